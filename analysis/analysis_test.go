package analysis_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wakefuzz/analysis"
	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
	"wakefuzz/internal/idletraffic"
	"wakefuzz/oracle/traffic"
)

var (
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	speaker = capturetest.Device(1)
	lamp    = capturetest.Device(2)
)

// file makes a capture of frames.
type file struct {
	t   testing.TB
	out bytes.Buffer
	w   *capture.Writer
}

func newFile(t testing.TB) *file {
	f := &file{t: t}
	var err error
	if f.w, err = capture.NewWriter(&f.out, capture.LinkEthernet, capture.KeepPayload, ""); err != nil {
		t.Fatal(err)
	}
	return f
}

// add adds a frame, so long after noon.
func (f *file) add(at time.Duration, data []byte) {
	if err := f.w.Write(capture.Frame{Link: capture.LinkEthernet, Time: noon.Add(at), Data: data, Length: len(data)}); err != nil {
		f.t.Fatal(err)
	}
}

// sends adds a packet from the host to the cloud.
func (f *file) sends(at time.Duration, host capturetest.Host, payload int) {
	f.add(at, capturetest.Frame(host, capturetest.Cloud, capturetest.TCP, payload))
}

// idles adds a small packet every 5 s in a span.
func (f *file) idles(from, to time.Duration, hosts ...capturetest.Host) {
	for at := from; at < to; at += 5 * time.Second {
		for _, h := range hosts {
			f.sends(at, h, 100)
		}
	}
}

// uploads adds 5 s of speech at 64 kbit/s.
func (f *file) uploads(at time.Duration, host capturetest.Host) {
	for end := at + 5*time.Second; at < end; at += 100 * time.Millisecond {
		f.sends(at, host, 800)
	}
}

func (f *file) bytes() []byte {
	if err := f.w.Flush(); err != nil {
		f.t.Fatal(err)
	}
	return f.out.Bytes()
}

// detectors are those of the names.
func detectors(names ...string) []traffic.Detector {
	d, err := traffic.DefaultRules().Named(names...)
	if err != nil {
		panic(err)
	}
	return d
}

func read(t testing.TB, data []byte, device string, o analysis.Options) (analysis.Report, error) {
	t.Helper()
	var address capture.Address
	if device != "" {
		address = capturetest.Address(device)
	}
	r, err := capture.NewReader(bytes.NewReader(data), address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return analysis.Read(r, o)
}

// of is what the report says of a device.
func of(t testing.TB, r analysis.Report, host capturetest.Host) analysis.Device {
	t.Helper()
	for _, d := range r.Devices {
		if d.Address == capturetest.Address(host.MAC) {
			return d
		}
	}
	t.Fatalf("%s is not among %+v", host.MAC, r.Devices)
	return analysis.Device{}
}

// says makes sure that a note has the text.
func says(t testing.TB, notes []string, text string) {
	t.Helper()
	if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, text) }) {
		t.Errorf("no note says %q: %q", text, notes)
	}
}

func TestReadFindsTheDeviceThatUploads(t *testing.T) {
	f := newFile(t)
	f.idles(0, 5*time.Minute, speaker, lamp)
	f.uploads(5*time.Minute, speaker)
	f.add(305500*time.Millisecond, capturetest.Frame(capturetest.Cloud, speaker, capturetest.TCP, 934))
	f.idles(306*time.Second, 10*time.Minute, speaker, lamp)
	data := f.bytes()
	for _, device := range []string{"", speaker.MAC} {
		report, err := read(t, data, device, analysis.Options{Detectors: detectors("all")})
		if err != nil {
			t.Fatal(err)
		}
		if device == "" {
			if quiet := of(t, report, lamp); len(quiet.Activations) != 0 {
				t.Errorf("the lamp is found to have heard something: %+v", quiet)
			}
		}
		d := of(t, report, speaker)
		// Frames have 66 bytes of headers.
		want := analysis.Traffic{Packets: 60 + 50 + 1 + 59, Out: 119*166 + 50*866, In: 1000, Last: 596 * time.Second}
		if d.Traffic != want {
			t.Errorf("traffic %+v, want %+v", d.Traffic, want)
		}
		if report.Start != noon || report.Length != 596*time.Second || report.Watched != report.Length {
			t.Errorf("the capture is from %v on, %v long, watched for %v", report.Start, report.Length, report.Watched)
		}
		found := map[string]int{}
		for _, a := range d.Activations {
			found[a.Detector]++
			if a.Detector != "ttest" && (a.Start < 297*time.Second || a.Start > 301*time.Second || a.End < 304*time.Second || a.End > 309*time.Second) {
				t.Errorf("%+v, of an upload from 300 s to 305 s", a)
			}
		}
		if found["calibrated"] != 1 || found["burst"] != 1 || found["volume"] != 0 {
			t.Errorf("found %v, in %+v", found, d.Activations)
		}
	}
}

func TestStatedIdleTime(t *testing.T) {
	f := newFile(t)
	f.idles(0, 30*time.Minute, speaker)
	f.uploads(30*time.Minute, speaker)
	data := f.bytes()
	o := analysis.Options{Detectors: detectors("calibrated")}
	p := func() traffic.PValue {
		t.Helper()
		report, err := read(t, data, "", o)
		if err != nil {
			t.Fatal(err)
		}
		d := of(t, report, speaker)
		if len(d.Activations) != 1 {
			t.Fatalf("%+v", d)
		}
		return d.Activations[0].P
	}
	if got := p(); !got.Approximate {
		t.Errorf("without stated idle time, p is %+v", got)
	}
	o.Idle = []analysis.Span{{From: 10 * time.Minute, To: 29 * time.Minute}, {From: 0, To: 15 * time.Minute}}
	// Windows of 3 s in 29 minutes, and some that are cut at the edges.
	if got := p(); got.Approximate || got.Value < 1.0/(29*20+1) || got.Value > 1.0/(29*20-3) {
		t.Errorf("of 29 idle minutes, p is %+v", got)
	}

	o.Idle = []analysis.Span{{From: 20 * time.Minute, To: time.Hour}}
	report, err := read(t, data, "", o)
	if err != nil {
		t.Fatal(err)
	}
	says(t, report.Notes, "idle span 20m0s-1h0m0s ends after the capture, which ends at 1804.9 s")
	o.Idle = []analysis.Span{{From: time.Minute, To: time.Minute + time.Second}}
	if report, err = read(t, data, "", o); err != nil {
		t.Fatal(err)
	}
	says(t, report.Remarks(), "0s of idle traffic is too little")
	o.Idle = []analysis.Span{{From: time.Hour, To: 2 * time.Hour}}
	if _, err := read(t, data, "", o); !errors.Is(err, analysis.ErrIdle) || !strings.Contains(err.Error(), "1h0m0s-2h0m0s begins after the capture's end, at 1804.9 s") {
		t.Errorf("an idle span beyond the end: %v", err)
	}
	// The device's last packet is not the capture's.
	f.idles(31*time.Minute, 32*time.Minute, lamp)
	o.Idle = []analysis.Span{{From: 1850 * time.Second, To: 1900 * time.Second}}
	if _, err := read(t, f.bytes(), speaker.MAC, o); err != nil {
		t.Errorf("an idle span in which others sent: %v", err)
	}
}

// The clock is set in the middle of an idle time: what is found afterwards has
// its time by the new clock, and nothing is found where it was set.
func TestClockJumps(t *testing.T) {
	for name, c := range map[string]struct {
		step    time.Duration
		note    string
		watched time.Duration
	}{
		"back":       {-30 * time.Minute, "the clock was set at 595.0 s, to -1200.0 s", 1200 * time.Second},
		"forward":    {2 * time.Hour, "no packet came from 595.0 s to 7800.0 s", 1200 * time.Second},
		"by decades": {30 * 365 * 24 * time.Hour, "the clock was set at 595.0 s, to 946080600.0 s", 1200 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFile(t)
			f.idles(0, 10*time.Minute, speaker, lamp)
			f.idles(10*time.Minute+c.step, 15*time.Minute+c.step, speaker, lamp)
			f.uploads(15*time.Minute+c.step, speaker)
			f.idles(906*time.Second+c.step, 20*time.Minute+c.step, speaker, lamp)
			report, err := read(t, f.bytes(), "", analysis.Options{Detectors: detectors("calibrated", "burst")})
			if err != nil {
				t.Fatal(err)
			}
			says(t, report.Notes, c.note)
			d := of(t, report, speaker)
			if len(d.Activations) != 2 {
				t.Fatalf("an upload is found as %+v", d.Activations)
			}
			for _, a := range d.Activations {
				if off := a.Start - 15*time.Minute - c.step; off < -3*time.Second || off > time.Second {
					t.Errorf("it is found at %v", a.Start)
				}
			}
			if want := max(595*time.Second, 20*time.Minute+c.step-4*time.Second); report.Length != want {
				t.Errorf("it is %v long, not %v", report.Length, want)
			}
			if w := report.Watched; w > c.watched || w < c.watched-20*time.Second {
				t.Errorf("watched for %v", w)
			}
		})
	}
}

// An upload that a clock set back cuts in two is two, and idle time is over.
func TestClockSetInAnUpload(t *testing.T) {
	f := newFile(t)
	f.idles(0, 10*time.Minute, speaker)
	f.uploads(10*time.Minute, speaker)
	f.uploads(5*time.Minute, speaker)
	report, err := read(t, f.bytes(), "", analysis.Options{
		Detectors: detectors("calibrated"), Idle: []analysis.Span{{From: 0, To: 20 * time.Minute}},
	})
	if err != nil {
		t.Fatal(err)
	}
	says(t, report.Notes, "no time counts as idle")
	a := of(t, report, speaker).Activations
	if len(a) != 2 || a[0].Start.Round(time.Second) != 5*time.Minute || a[1].Start.Round(time.Second) != 10*time.Minute {
		t.Errorf("found %+v", a)
	}
}

func TestPacketsOutOfOrder(t *testing.T) {
	f := newFile(t)
	f.sends(time.Second, speaker, 100)
	f.sends(800*time.Millisecond, speaker, 100)
	f.sends(2*time.Second, speaker, 100)
	report, err := read(t, f.bytes(), "", analysis.Options{})
	if err != nil || report.Length != time.Second || of(t, report, speaker).Traffic.Packets != 3 {
		t.Errorf("%+v, %v", report, err)
	}
	says(t, report.Notes, "1 packets are out of order, by up to 200ms")

	chaos := newFile(t)
	for i := range 1200 {
		chaos.sends(time.Duration(i%2)*time.Minute, speaker, 100)
	}
	report, err = read(t, chaos.bytes(), "", analysis.Options{Detectors: detectors("all")})
	if !errors.Is(err, analysis.ErrOrder) || !strings.Contains(err.Error(), "reordercap") || len(report.Devices) == 0 {
		t.Errorf("packets in no order: %v", err)
	}
}

func TestOddCaptures(t *testing.T) {
	all := analysis.Options{Detectors: detectors("all"), Timelines: true}
	t.Run("no packets", func(t *testing.T) {
		report, err := read(t, newFile(t).bytes(), "", all)
		if err != nil || len(report.Devices) != 0 || !report.Start.IsZero() {
			t.Errorf("%+v, %v", report, err)
		}
	})
	t.Run("one packet", func(t *testing.T) {
		f := newFile(t)
		f.sends(0, speaker, 100)
		report, err := read(t, f.bytes(), "", all)
		if err != nil || len(report.Devices) != 1 || report.Watched != 0 || len(report.Devices[0].Activations) != 0 {
			t.Errorf("%+v, %v", report, err)
		}
		checkWritten(t, report)
	})
	t.Run("truncated", func(t *testing.T) {
		f := newFile(t)
		f.idles(0, 5*time.Minute, speaker)
		f.uploads(5*time.Minute, speaker)
		f.idles(306*time.Second, 10*time.Minute, speaker)
		data := f.bytes()
		report, err := read(t, data[:len(data)-10], "", all)
		if !errors.Is(err, capture.ErrTruncated) || len(of(t, report, speaker).Activations) < 2 {
			t.Errorf("%+v, %v", report, err)
		}
	})
	t.Run("days", func(t *testing.T) {
		f := newFile(t)
		for at := time.Duration(0); at < 4*24*time.Hour; at += time.Minute {
			f.sends(at, speaker, 100)
		}
		f.uploads(4*24*time.Hour, speaker)
		report, err := read(t, f.bytes(), "", all)
		d := of(t, report, speaker)
		if err != nil || len(d.Activations) == 0 || d.Activations[0].Start < 4*24*time.Hour-30*time.Second {
			t.Errorf("%+v, %v", d.Activations, err)
		}
		if n := len(d.Timeline.Out); n < 1000 || n > 4096 || slices.Max(d.Timeline.Out) != 10*866 {
			t.Errorf("a timeline of %d steps of %v, at most %d bytes/s", n, d.Timeline.Step, slices.Max(d.Timeline.Out))
		}
	})
	t.Run("addresses taken out", func(t *testing.T) {
		nobody := capturetest.Host{MAC: "00:00:00:00:00:00", IP4: "10.0.0.1", IP6: "fd00::1"}
		f := newFile(t)
		for at := time.Duration(0); at < 5*time.Second; at += 100 * time.Millisecond {
			f.add(at, capturetest.Frame(nobody, nobody, capturetest.TCP, 800))
		}
		report, err := read(t, f.bytes(), "", all)
		if err != nil || len(report.Devices) != 1 || report.Devices[0].Traffic.Unknown != 50*866 || report.Devices[0].Traffic.Bytes() != 50*866 {
			t.Fatalf("%+v, %v", report, err)
		}
		if len(report.Devices[0].Activations) == 0 {
			t.Error("an upload without direction is not found")
		}
		says(t, report.Remarks(), "direction")
		checkWritten(t, report)
	})
	t.Run("802.11", func(t *testing.T) {
		var out bytes.Buffer
		w, err := capture.NewWriter(&out, capture.LinkWiFi, capture.KeepPayload, "")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			data := make([]byte, 24+8+800)
			data[0], data[1] = 0x08, 0x41 // data to the access point, encrypted
			copy(data[4:], "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x0a\x02\x00\x00\x00\x00\x01")
			binary.LittleEndian.PutUint16(data[22:], uint16(i)<<4)
			data[27] = 0x20
			w.Write(capture.Frame{Link: capture.LinkWiFi, Time: noon.Add(time.Duration(i) * 100 * time.Millisecond), Data: data, Length: len(data)})
		}
		w.Flush()
		report, err := read(t, out.Bytes(), "", all)
		if err != nil || len(report.Devices) != 1 || len(report.Devices[0].Activations) == 0 || report.Devices[0].Address.String() != "02:00:00:00:00:0a" {
			t.Errorf("%+v, %v", report, err)
		}
	})
	t.Run("no times", func(t *testing.T) {
		a := analysis.New(all)
		a.Packet(capture.Packet{Device: capturetest.Address(speaker.MAC), Size: 100})
		says(t, a.Report().Notes, "1 packets have no time")
	})
	t.Run("too many devices", func(t *testing.T) {
		a := analysis.New(all)
		for n := range analysis.MaxDevices + 2 {
			a.Packet(capture.Packet{Time: noon, Device: capturetest.Address(capturetest.Device(uint16(n)).MAC), Size: 100})
		}
		report := a.Report()
		if len(report.Devices) != analysis.MaxDevices {
			t.Errorf("%d devices", len(report.Devices))
		}
		says(t, report.Notes, "2 packets of others are left out")
	})
}

// What a speaker of the made-up traffic was asked is found, and nothing else.
func TestMadeUpSpeakers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, profile := range idletraffic.Profiles() {
		t.Run(profile.Name, func(t *testing.T) {
			var uploads []idletraffic.Upload
			for i := range 10 {
				at := bench.Instant(time.Duration(10+5*i)*time.Minute) + bench.Instant(rng.IntN(1e9))
				uploads = append(uploads, idletraffic.Upload{At: at, Kept: time.Second, Speech: 4 * time.Second, Rate: 16000, Seed: rng.Uint64()})
			}
			a := analysis.New(analysis.Options{Detectors: detectors("calibrated")})
			a.At(noon)
			idle := profile.Packets(7, bench.Span{End: bench.Instant(time.Hour)})
			for p := range profile.With(idle, uploads...) {
				a.Packet(capture.Packet{
					Time: noon.Add(time.Duration(p.At)), Device: capturetest.Address(speaker.MAC),
					Size: p.Size, Payload: p.Payload, Direction: capture.Direction(p.Direction),
				})
			}
			d := of(t, a.Report(), speaker)
			for _, u := range uploads {
				if !slices.ContainsFunc(d.Activations, func(a analysis.Activation) bool {
					return a.Start < time.Duration(u.Span().End) && a.End > time.Duration(u.At)
				}) {
					t.Errorf("the upload at %v is not found", time.Duration(u.At))
				}
			}
			if n := len(d.Activations); n > len(uploads)+1 {
				t.Errorf("%d activations of %d uploads: %+v", n, len(uploads), d.Activations)
			}
		})
	}
}

// Whatever packets come, a report is valid and can be written.
func TestAnyPacketsGiveAValidReport(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := analysis.Options{Detectors: detectors("all"), Timelines: true}
		if rapid.Bool().Draw(t, "idle") {
			from := time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "from"))
			o.Idle = []analysis.Span{{From: from, To: from + time.Duration(rapid.Int64Range(1, 1e12).Draw(t, "length"))}}
		}
		a := analysis.New(o)
		at := noon
		for range rapid.IntRange(0, 60).Draw(t, "packets") {
			step := rapid.OneOf(rapid.Int64Range(0, 1e9), rapid.Int64Range(-2e9, 2e9), rapid.Int64Range(-1e16, 1e16), rapid.Int64()).Draw(t, "step")
			at = at.Add(time.Duration(step))
			for range rapid.SampledFrom([]int{1, 1, 100}).Draw(t, "times") {
				a.Packet(capture.Packet{
					Time:      at,
					Device:    capturetest.Address(capturetest.Device(uint16(rapid.IntRange(0, 3).Draw(t, "device"))).MAC),
					Direction: capture.Direction(rapid.IntRange(0, 2).Draw(t, "direction")),
					Size:      rapid.OneOf(rapid.Int32Range(60, 1514), rapid.Int32Range(0, 1<<24)).Draw(t, "size"),
					Payload:   rapid.Int32Range(0, 1448).Draw(t, "payload"),
				})
				at = at.Add(50 * time.Millisecond)
			}
		}
		checkReport(t, a.Report())
	})
}

// checkReport holds a report to what must be true of any.
func checkReport(t rapid.TB, r analysis.Report) {
	t.Helper()
	for i, d := range r.Devices {
		if i > 0 && d.Traffic.Bytes() > r.Devices[i-1].Traffic.Bytes() {
			t.Errorf("devices are not in the order of their traffic")
		}
		if d.Traffic.Packets < 1 || d.Traffic.Out < 0 || d.Traffic.In < 0 || d.Traffic.Unknown < 0 {
			t.Errorf("impossible traffic %+v", d.Traffic)
		}
		for j, a := range d.Activations {
			if j > 0 && a.Start < d.Activations[j-1].Start {
				t.Errorf("activations are not in the order of time: %+v", d.Activations)
			}
			if a.End <= a.Start || !(a.Score > 0) || a.P.Value < 0 || a.P.Value > 1 {
				t.Errorf("impossible activation %+v", a)
			}
		}
		if len(d.Timeline.Out) != len(d.Timeline.In) || len(d.Timeline.Out) > 0 && d.Timeline.Step <= 0 {
			t.Errorf("impossible timeline %+v", d.Timeline)
		}
	}
	checkWritten(t, r)
}
