package evaluate_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/evaluate"
	"wakefuzz/internal/idletraffic"
	"wakefuzz/oracle/traffic"
)

const second = bench.Instant(time.Second)

// chatter is a packet of 200 bytes each second.
func chatter(seconds int) []bench.Packet {
	var packets []bench.Packet
	for i := range seconds {
		packets = append(packets, bench.Packet{At: bench.Instant(i) * second, Size: 200, Payload: 134, Direction: bench.Outgoing})
	}
	return packets
}

// upload is speech of 16 kB/s.
func upload(from, seconds int) []bench.Packet {
	var packets []bench.Packet
	for i := range 10 * seconds {
		at := bench.Instant(from)*second + bench.Instant(i)*second/10
		packets = append(packets, bench.Packet{At: at, Size: 866, Payload: 800, Direction: bench.Outgoing},
			bench.Packet{At: at + second/50, Size: 866, Payload: 800, Direction: bench.Outgoing})
	}
	return packets
}

// record writes packets as a capture.
func record(t *testing.T, path string, parts ...[]bench.Packet) {
	t.Helper()
	packets := slices.Concat(parts...)
	slices.SortStableFunc(packets, func(a, b bench.Packet) int { return int(a.At - b.At) })
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(idletraffic.WriteFile(file, slices.Values(packets)), file.Close()); err != nil {
		t.Fatal(err)
	}
}

// of is what came out for a device's detector and setting.
func of(t *testing.T, r *evaluate.Result, device int, detector, setting string) evaluate.Outcome {
	t.Helper()
	for _, c := range r.Devices[device].Curves {
		for _, o := range c.Outcomes {
			if c.Detector == detector && o.Setting == setting {
				return o
			}
		}
	}
	t.Fatalf("there is no %s with %s", detector, setting)
	return evaluate.Outcome{}
}

// Counted by hand: 15 minutes with an upload at 300 s that is labelled, one at
// 610 s that is not, and a label at 450 s where nothing was sent. There are 30
// windows, but the last is not over and the first counts for none. Out of reach
// of the activations, which is from 298 to 310 s and from 448 to 460 s, are all
// but 2 of each.
func TestCounts(t *testing.T) {
	dir := t.TempDir()
	record(t, filepath.Join(dir, "a.pcapng"), chatter(900), upload(300, 5), upload(610, 5))
	write(t, filepath.Join(dir, "labels.csv"), head+",kind\n"+
		"a.pcapng,02:00:00:00:00:01,450,455,false\na.pcapng,02:00:00:00:00:01,300,305,wake\n")
	result, err := evaluated(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := evaluate.Outcome{Activations: 2, Found: 1, Windows: 24, Alarmed: 1, FalseAlarms: 1}
	for detector, settings := range map[string][]string{
		"calibrated": {"0.2/h accepted", "line at 12 kB"},
		"volume":     {"25 kB in 3 s"},
		"burst":      {"n = 1", "n = 3", "n = 5"},
	} {
		for _, setting := range settings {
			o := of(t, result, 0, detector, setting)
			got := evaluate.Outcome{Activations: o.Activations, Found: o.Found, Windows: o.Windows, Alarmed: o.Alarmed, FalseAlarms: o.FalseAlarms}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s, %s: %+v, want %+v", detector, setting, got, want)
			}
			if hours := (899.0 - 24) / 3600; o.Hours < hours-1e-9 || o.Hours > hours+1e-9 {
				t.Errorf("%s: %g hours, want %g", detector, o.Hours, hours)
			}
			if o.Kinds["wake"] != (evaluate.Share{Part: 1, Of: 1}) || o.Kinds["false"] != (evaluate.Share{Part: 0, Of: 1}) {
				t.Errorf("%s: by kind %v", detector, o.Kinds)
			}
		}
	}
	if o := of(t, result, 0, "burst", "n = 8"); o.Found != 0 || o.FalseAlarms != 0 {
		t.Errorf("uploads of 5 s fill 8 windows of 1 s: %+v", o)
	}
	// Packets that are all of one size make no bins. So the t-test sees a change
	// only when an upload was in the window before.
	if o := of(t, result, 0, "ttest", "p < 0.42"); o.Activations != 2 || o.Found != 0 || o.Windows != 24 || o.Alarmed != 2 || o.FalseAlarms != 2 {
		t.Errorf("the t-test: %+v", o)
	}
}

// Where the reach of an activation ends, to the tenth of a second. The last row
// of three windows ends at 305.8 s.
func TestReach(t *testing.T) {
	for _, tt := range []struct {
		start, end float64 // of the label; the upload is from 300 to 305 s
		found      bool
	}{
		{300, 305, true}, {307.7, 309, true}, {307.9, 309, false}, {290, 295.1, true}, {290, 294.9, false}, {0, 599, true},
	} {
		dir := labelled(t, fmt.Sprintf("%s\na.pcapng,02:00:00:00:00:01,%g,%g\n", head, tt.start, tt.end))
		result, err := evaluated(dir)
		if err != nil {
			t.Fatal(err)
		}
		o := of(t, result, 0, "burst", "n = 3")
		if o.Found != map[bool]int{true: 1}[tt.found] || o.FalseAlarms != map[bool]int{false: 1}[tt.found] {
			t.Errorf("an activation from %g to %g s: %+v", tt.start, tt.end, o)
		}
		if tt.end > 590 && (o.Hours != 0 || o.Windows != 0) {
			t.Errorf("all the time is within reach, and yet there are %g h and %d windows", o.Hours, o.Windows)
		}
	}
}

// A doubtful time is neither time without activations, nor is what is found in it
// a false alarm. Activations elsewhere count as ever.
func TestDoubts(t *testing.T) {
	certain, err := evaluated(labelled(t, head+"\na.pcapng,02:00:00:00:00:01,,\n"))
	if err != nil {
		t.Fatal(err)
	}
	doubtful, err := evaluated(labelled(t, "kind,"+head+"\ndoubtful,a.pcapng,02:00:00:00:00:01,280,302\ndoubtful,a.pcapng,02:00:00:00:00:01,302,310\n,a.pcapng,02:00:00:00:00:01,100,104\n"))
	if err != nil {
		t.Fatal(err)
	}
	was, is := of(t, certain, 0, "burst", "n = 3"), of(t, doubtful, 0, "burst", "n = 3")
	if was.FalseAlarms != 1 || was.Alarmed != 1 || is.FalseAlarms != 0 || is.Alarmed != 0 || is.Activations != 1 || is.Found != 0 {
		t.Errorf("%+v, and with doubts %+v", was, is)
	}
	// From 278 to 315 s, and from 98 to 109 s.
	if less := (was.Hours - is.Hours) * 3600; math.Abs(less-37-11) > 0.01 {
		t.Errorf("%g s are left out", less)
	}
	if was.Windows-is.Windows < 3 {
		t.Errorf("%d windows, and with doubts %d", was.Windows, is.Windows)
	}
}

// Numbers of times that are not known are told beside what was found, and stay
// out of all rates; so do captures that are too short for the t-test.
func TestNominalAndShort(t *testing.T) {
	dir := labelled(t, "nominal,"+head+"\n2,a.pcapng,02:00:00:00:00:01,,\n,b.pcapng,02:00:00:00:00:01,4,9\n")
	record(t, filepath.Join(dir, "b.pcapng"), chatter(20), upload(5, 4))
	result, err := evaluated(dir)
	if err != nil {
		t.Fatal(err)
	}
	o := of(t, result, 0, "calibrated", "0.2/h accepted")
	if o.Nominal != 2 || o.Detections != 1 || o.Activations != 1 || o.Found != 1 || o.Windows != 0 || o.FalseAlarms != 0 {
		t.Errorf("calibrated: %+v", o)
	}
	if o := of(t, result, 0, "ttest", "p < 0.42"); o.Nominal != 2 || o.Activations != 0 {
		t.Errorf("the t-test: %+v", o)
	}
	table := text(t, result.WriteTable)
	if !strings.Contains(table, "1 of 1") || !strings.Contains(table, "n.a.") {
		t.Errorf("the table is\n%s", table)
	}
}

// Without directions, stretches are compared by all that passes.
func TestStretchesWithoutDirections(t *testing.T) {
	dir := t.TempDir()
	profile := idletraffic.Profiles()[5] // which has none
	record(t, filepath.Join(dir, "a.pcapng"), slices.Collect(profile.Packets(1, bench.Span{End: 120 * second})))
	write(t, filepath.Join(dir, "labels.csv"), fmt.Sprintf("kind,%s\nidle,a.pcapng,%[2]s,0,60\nprobe alexa,a.pcapng,%[2]s,60,120\n", head, idletraffic.Nobody))
	result, err := evaluated(dir)
	if err != nil {
		t.Fatal(err)
	}
	if probed := result.Devices[0].Probed; len(probed) != 1 || probed[0].Inapplicable != "" || probed[0].P <= 0 {
		t.Errorf("%+v", probed)
	}
}

func text(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// evening is two devices of which one was spoken to: idle, twice with speech, and
// words after silence.
func evening(t *testing.T) string {
	dir := t.TempDir()
	var labels strings.Builder
	labels.WriteString(head + ",kind,mac\n")
	profiles := idletraffic.Profiles()
	for i, profile := range []idletraffic.Profile{profiles[0], profiles[5]} {
		mac := idletraffic.Speaker
		if !profile.Directed {
			mac = idletraffic.Nobody
		}
		line := func(file string, from, to float64, kind string) {
			fmt.Fprintf(&labels, "%s,\"%s\",%g,%g,%s,%s\n", file, profile.Name, from, to, kind, mac)
		}
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		for k, every := range []int{0, 60, 240} {
			file := fmt.Sprintf("%d-every-%d.pcapng", i, every)
			const length = 20 * 60
			var uploads []idletraffic.Upload
			for at := 30; every > 0 && at < length; at += every {
				u := idletraffic.SomeUpload(rng, bench.Instant(at)*second)
				uploads = append(uploads, u)
				line(file, float64(at), float64(at)+u.Speech.Seconds(), "wake")
			}
			if every == 0 {
				fmt.Fprintf(&labels, "%s,\"%s\",,,,%s\n", file, profile.Name, mac)
			}
			span := bench.Span{End: length * second}
			record(t, filepath.Join(dir, file), slices.Collect(profile.With(profile.Packets(uint64(k), span), uploads...)))
		}
		file := fmt.Sprintf("%d-probing.pcapng", i)
		var uploads []idletraffic.Upload
		for k := range 8 {
			from := float64(120 * k)
			line(file, from, from+60, "idle")
			word := []string{"alexa", "major"}[k%2]
			line(file, from+60, from+120, "probe "+word)
			if word == "alexa" {
				u := idletraffic.SomeUpload(rng, bench.Instant(120*k+70)*second)
				uploads = append(uploads, u)
				line(file, from+70, from+70+u.Speech.Seconds(), word)
			}
		}
		span := bench.Span{End: 960 * second}
		record(t, filepath.Join(dir, file), slices.Collect(profile.With(profile.Packets(9, span), uploads...)))
	}
	write(t, filepath.Join(dir, "labels.csv"), labels.String())
	return dir
}

// A stricter setting finds no more and alarms no oftener, whatever the detector;
// shares are shares; nothing that is written is no number.
func TestEvening(t *testing.T) {
	dir := evening(t)
	recordings, err := evaluate.ReadLabels(dir)
	if err != nil {
		t.Fatal(err)
	}
	result, err := evaluate.Run(context.Background(), recordings, evaluate.Options{Rules: traffic.DefaultRules(), Learned: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range result.Devices {
		for _, c := range d.Curves {
			if !c.HasAUC || !(c.AUCInterval.Lower <= c.AUC && c.AUC <= c.AUCInterval.Upper) {
				t.Errorf("%s, %s: AUC %v %g %v", d.Name, c.Detector, c.HasAUC, c.AUC, c.AUCInterval)
			}
			var before *evaluate.Outcome
			for _, o := range c.Outcomes {
				if o.OffCurve {
					continue
				}
				if before != nil && (o.Found > before.Found || o.Alarmed > before.Alarmed) {
					t.Errorf("%s, %s: %s finds %d and alarms %d times, %s %d and %d", d.Name, c.Detector,
						o.Setting, o.Found, o.Alarmed, before.Setting, before.Found, before.Alarmed)
				}
				before = &o
			}
		}
		calibrated := of(t, result, slices.IndexFunc(result.Devices, func(x evaluate.Device) bool { return x.Name == d.Name }), "calibrated", "0.2/h accepted")
		if calibrated.Activations != 29 || calibrated.Found < 28 || calibrated.FalseAlarms > 1 {
			t.Errorf("%s: %+v", d.Name, calibrated)
		}
		if len(d.Invoked) != 2 || len(d.Probed) != 15 {
			t.Errorf("%s: %d captures against an idle one, %d stretches", d.Name, len(d.Invoked), len(d.Probed))
		}
		for i, p := range d.Probed {
			if p.Awake != (p.Word == "alexa") || (p.Word == "") != (i%2 == 1) {
				t.Errorf("%s: stretch %d is %+v", d.Name, i, p)
			}
		}
	}
	if len(result.Learned) != 2 {
		t.Errorf("%d transfers", len(result.Learned))
	}
	table := text(t, result.WriteTable)
	if strings.Contains(table, "NaN") || strings.Contains(table, "Inf") {
		t.Errorf("the table is\n%s", table)
	}
	for _, format := range []string{"svg", "png"} {
		out := filepath.Join(t.TempDir(), "out")
		saved, err := result.Save(out, format)
		if err != nil {
			t.Fatal(err)
		}
		if len(saved.Omitted) > 0 {
			t.Errorf("left out: %v", saved.Omitted)
		}
		figures := 0
		for _, file := range saved.Files {
			figures += check(t, file)
		}
		if figures != 7 || len(saved.Files) != 13 {
			t.Errorf("%d figures among %d files", figures, len(saved.Files))
		}
	}
}

// check reads a file that was written, and returns how many figures it is.
func check(t *testing.T, path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return 0
	}
	switch filepath.Ext(path) {
	case ".csv":
		rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
		if err != nil || len(rows) < 2 {
			t.Errorf("%s has %d lines, error %v", path, len(rows), err)
		}
		for _, row := range rows {
			for _, field := range row {
				if v, err := strconv.ParseFloat(field, 64); err == nil && (v != v || v > 1e12) {
					t.Errorf("%s has %q", path, field)
				}
			}
		}
		return 0
	case ".png":
		if _, err := png.Decode(bytes.NewReader(data)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	case ".svg":
		if err := xml.Unmarshal(data, new(struct{})); err != nil || bytes.Contains(data, []byte("NaN")) {
			t.Errorf("%s: %v", path, err)
		}
	}
	return 1
}

// Figures that would show nothing are left out, with the reason.
func TestFiguresThatAreLeftOut(t *testing.T) {
	result, err := evaluated(labelled(t, "nominal,"+head+"\n1,a.pcapng,02:00:00:00:00:01,,\n"))
	if err != nil {
		t.Fatal(err)
	}
	saved, err := result.Save(t.TempDir(), "svg")
	if err != nil {
		t.Fatal(err)
	}
	if len(saved.Omitted) != 7 {
		t.Errorf("left out: %v", saved.Omitted)
	}
	for _, o := range saved.Omitted {
		if _, reason, _ := strings.Cut(o, ": "); reason == "" {
			t.Errorf("%q gives no reason", o)
		}
	}
}

// Captures that are cut, empty or no captures at all.
func TestOddCaptures(t *testing.T) {
	labels := head + "\na.pcapng,02:00:00:00:00:01,300,305\n"
	dir := labelled(t, labels)
	path := filepath.Join(dir, "a.pcapng")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(data[:len(data)-10]))
	result, err := evaluated(dir)
	if err != nil || of(t, result, 0, "burst", "n = 3").Found != 1 || !slices.Contains(result.Notes, "the capture ends in the middle of a packet") {
		t.Errorf("a capture that is cut: %+v, %v", result, err)
	}
	write(t, path, "")
	if _, err := evaluated(dir); !errors.Is(err, capture.ErrFormat) || errors.Is(err, evaluate.ErrLabels) || !strings.Contains(err.Error(), path) {
		t.Errorf("an empty file: %v", err)
	}
	record(t, path)
	if _, err := evaluated(dir); !errors.Is(err, evaluate.ErrLabels) || !strings.Contains(err.Error(), "holds no packet of 02:00:00:00:00:01") {
		t.Errorf("a capture without the device: %v", err)
	}
	record(t, path, chatter(1))
	write(t, filepath.Join(dir, "labels.csv"), head+"\na.pcapng,02:00:00:00:00:01,0,0\n")
	if result, err = evaluated(dir); err != nil || of(t, result, 0, "volume", "25 kB in 3 s").Activations != 1 {
		t.Errorf("a capture of one packet: %v", err)
	}
}

// It ends when it is told to.
func TestRunStops(t *testing.T) {
	recordings, err := evaluate.ReadLabels(labelled(t, head+"\na.pcapng,02:00:00:00:00:01,300,305\n"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := evaluate.Run(ctx, recordings, evaluate.Options{Rules: traffic.DefaultRules()}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}
