package live_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
	"wakefuzz/oracle/oracletest"
	"wakefuzz/oracle/traffic"
	"wakefuzz/oracle/traffic/live"
	"wakefuzz/results"
)

// wire is a cable from the device's end, where the test sends, to the gateway.
type wire struct {
	t       *testing.T
	clock   bench.Clock
	socket  int
	gateway string
}

func lay(t *testing.T) *wire {
	t.Helper()
	w := &wire{t: t, clock: bench.NewClock(), gateway: "gateway"}
	ip(t, "link add gateway type veth peer name device")
	t.Cleanup(func() { ip(t, "link del gateway") })
	ip(t, "link set gateway up")
	ip(t, "link set device up")
	var err error
	if w.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		t.Fatalf("open a socket to send at: %v", err)
	}
	t.Cleanup(func() { unix.Close(w.socket) })
	return w
}

func ip(t *testing.T, arguments string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s (install iproute2, where it is missing)", arguments, err, out)
	}
}

func (w *wire) send(from, to capturetest.Host, payload int) {
	device, err := net.InterfaceByName("device")
	if err == nil {
		err = unix.Sendto(w.socket, capturetest.Frame(from, to, capturetest.UDP, payload), 0, &unix.SockaddrLinklayer{Ifindex: device.Index})
	}
	if err != nil {
		w.t.Errorf("send a packet: %v", err)
	}
}

func (w *wire) open(options live.Options) *live.Recorder {
	w.t.Helper()
	rule := traffic.BurstRule{Window: 100 * ms, Rate: 23, Consecutive: 2, Latency: 100 * ms}
	r, err := live.Open(w.t.Context(), live.Setup{Options: options, Window: rule.Watch(), Rest: rule, Pair: w.clock.Pair})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(r.Close)
	return r
}

func (w *wire) options() live.Options {
	return live.Options{Interface: w.gateway, Device: capturetest.Speaker.MAC}
}

// sound is half a second, in which the device uploads.
func (w *wire) sound(context.Context) (bench.Span, error) {
	start := w.clock.Now()
	for range 10 {
		w.send(capturetest.Speaker, capturetest.Cloud, 1000)
		w.send(capturetest.Cloud, capturetest.Speaker, 100)
		w.send(capturetest.Neighbour, capturetest.Cloud, 1000)
		time.Sleep(50 * ms)
	}
	return bench.Span{Start: start, End: w.clock.Now()}, nil
}

func TestRecorderIsAnOracle(t *testing.T) {
	oracletest.Run(t, func(t *testing.T) oracletest.Bench {
		w := lay(t)
		return oracletest.Bench{Oracle: w.open(w.options()), Sound: w.sound}
	})
}

func TestRecorderOnAWire(t *testing.T) {
	w := lay(t)
	r := w.open(w.options())
	sound, _ := w.sound(t.Context())
	watched := bench.Span{Start: sound.Start, End: sound.End.Add(r.Window())}
	o, err := r.Observe(t.Context(), watched)
	if err != nil {
		t.Fatal(err)
	}
	if o.Fault != bench.NoFault || o.Dropped != 0 || len(o.Packets) != 20 {
		t.Fatalf("of 20 packets there are %d, %d dropped, fault %q %s", len(o.Packets), o.Dropped, o.Fault, o.Detail)
	}
	for i, p := range o.Packets {
		want := bench.Packet{At: p.At, Size: 1042, Payload: 1000, Direction: bench.Outgoing}
		if i%2 == 1 {
			want = bench.Packet{At: p.At, Size: 142, Payload: 100, Direction: bench.Incoming}
		}
		if p != want || p.At < sound.Start || p.At >= sound.End {
			t.Errorf("packet %d is %+v, want %+v within %v", i, p, want, sound)
		}
	}
	var file bytes.Buffer
	if err := r.Evidence(&file, watched, "play 7 of the test"); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(file.Bytes(), []byte("play 7 of the test")) || file.Len() > 20*200 {
		t.Errorf("the evidence is of %d bytes, with the comment in it: %v", file.Len(), bytes.Contains(file.Bytes(), []byte("play 7 of the test")))
	}
	if n := count(t, &file); n != 20 {
		t.Errorf("the evidence holds %d packets of 20", n)
	}
}

func count(t *testing.T, file io.Reader) (packets int) {
	t.Helper()
	in, err := capture.NewReader(file, capturetest.Address(capturetest.Speaker.MAC))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for {
		_, err := in.Next()
		if errors.Is(err, io.EOF) {
			return packets
		}
		if err != nil {
			t.Fatal(err)
		}
		packets++
	}
}

// An interface that goes down is watched again once it is up. The store then
// knows when it was not.
func TestRecorderOnAWireThatBreaks(t *testing.T) {
	w := lay(t)
	options := w.options()
	options.Payload = true
	r := w.open(options)
	opened := w.clock.Now()
	w.send(capturetest.Speaker, capturetest.Cloud, 3)
	from := w.clock.Now()
	before, err := r.Observe(t.Context(), bench.Span{Start: opened, End: from})
	if err != nil || len(before.Packets) != 1 {
		t.Fatalf("before: %+v, %v", before, err)
	}
	ip(t, "link set gateway down")
	o, err := r.Observe(t.Context(), bench.Span{Start: from, End: w.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if o.Fault != bench.FaultOracle || !strings.Contains(o.Detail, "down") {
		t.Errorf("while the interface was down: fault %q, %q", o.Fault, o.Detail)
	}
	down := w.clock.Now()
	ip(t, "link set gateway up")
	for o.Fault != bench.NoFault { // the test's own time limit ends it
		start := w.clock.Now()
		w.send(capturetest.Speaker, capturetest.Cloud, 5)
		if o, err = r.Observe(t.Context(), bench.Span{Start: start, End: w.clock.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if len(o.Packets) != 1 || o.Packets[0].Payload != 5 {
		t.Errorf("once the interface was back: %+v", o.Packets)
	}

	var until bench.Instant // it was watched without a gap
	store := w.store(r.Drain(o.Watched.End))
	for s, err := range store.Traffic(1, 0, bench.Span{End: o.Watched.End}) {
		if err != nil {
			t.Fatal(err)
		}
		if s.Watched.Start <= down && down < s.Watched.End {
			t.Errorf("the store has it that %v was watched, when the interface was down at %d", s.Watched, down)
		}
		if until == 0 || s.Watched.Start == until {
			until = s.Watched.End
		}
	}
	if until > down || until <= before.Packets[0].At {
		t.Errorf("what was watched before the interface went down ends at %d", until)
	}
	var sizes []int32
	for p, err := range store.Packets(1, 0, bench.Span{End: o.Watched.End}) {
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, p.Payload)
	}
	if len(sizes) < 2 || sizes[0] != 3 || sizes[len(sizes)-1] != 5 {
		t.Errorf("the store has packets of %v bytes, of before and after", sizes)
	}
}

// store stores what was drained.
func (w *wire) store(drained []live.Stretch) *results.Store {
	w.t.Helper()
	s, err := results.Create(filepath.Join(w.t.TempDir(), "campaign"), results.Campaign{},
		[]results.Trial{{ID: results.TrialID{1}, Role: results.RoleWord, Word: "alexa", Voice: "flite/kal16", Round: 1, Plays: 1}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	if _, err := s.BeginSession(results.Session{}); err != nil {
		w.t.Fatal(err)
	}
	o := results.Observed{Session: 1}
	for _, stretch := range drained {
		o.Traffic = append(o.Traffic, results.Traffic(stretch))
	}
	if err := s.AppendObserved(o); err != nil {
		w.t.Fatal(err)
	}
	return s
}

func TestOpenRefuses(t *testing.T) {
	lay(t)
	good := live.Setup{
		Options: live.Options{Interface: "gateway", Device: capturetest.Speaker.IP4},
		Window:  traffic.DefaultBurstRule().Watch(),
		Rest:    traffic.DefaultBurstRule(),
		Pair:    bench.NewClock().Pair,
	}
	tests := []struct {
		name   string
		change func(*live.Setup)
		says   string
		is     error
	}{
		{"no interface", func(s *live.Setup) { s.Options.Interface = "" }, "interface: none is named", nil},
		{"no such interface", func(s *live.Setup) { s.Options.Interface = "elsewhere" }, "elsewhere", capture.ErrInterface},
		{"no address", func(s *live.Setup) { s.Options.Device = "echo" }, `device: address "echo"`, nil},
		{"a rule that decides nothing", func(s *live.Setup) { s.Rest.Rate = 0 }, "rate: 0 kbit/s", nil},
	}
	for _, tt := range tests {
		setup := good
		tt.change(&setup)
		r, err := live.Open(t.Context(), setup)
		if err == nil {
			r.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.says) || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: got error %v, want one that says %q", tt.name, err, tt.says)
		}
	}
	if _, err := (live.Options{Interface: "gateway"}).Listen(t.Context()); err == nil {
		t.Error("nothing in particular is listened to")
	}
}
