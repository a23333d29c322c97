//go:build e2e

package bed_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/internal/pulse"
	"wakefuzz/internal/virtualspeaker"
	"wakefuzz/internal/virtualspeaker/bed"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/light/serial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// observer watches a bed through the drivers that campaigns use.
type observer struct {
	*bed.Bed
	clock bench.Clock
	clips string // the folder of what was synthesized

	mu     sync.Mutex
	spells []bench.Span // in which the ring was lit; the last may have no end yet
	lit    bool
	sent   int // by the speaker, in bytes of payload
}

func observe(t *testing.T, o bed.Options) *observer {
	t.Helper()
	w := &observer{Bed: bed.New(t, o), clock: bench.NewClock(), clips: t.TempDir()}
	ctx, end := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	t.Cleanup(func() {
		end()
		watching.Wait()
	})

	options := serial.DefaultOptions()
	options.Port = w.Light
	options.Silence = 2 * time.Second // the sensor shares its two cores with all else here
	ring, err := serial.New(w.clock, options)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan struct{})
	once := sync.OnceFunc(func() { close(seen) })
	watching.Go(func() {
		err := ring.Watch(ctx, func(l light.Level) {
			w.see(bench.Edge{At: l.At, Lit: light.ActiveLow.Lit(l.High)})
			once()
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
			once()
		}
	})
	<-seen

	device, err := capture.ParseAddress(bed.DeviceMAC)
	if err != nil {
		t.Fatal(err)
	}
	var packets *capture.Live
	err = w.OnGateway(func() (err error) {
		packets, err = capture.Listen(ctx, bed.Interface, device, capture.KeepHeaders)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	watching.Go(func() {
		defer packets.Close()
		for {
			p, err := packets.Next()
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				if n := packets.Stats().Dropped; n > 0 {
					t.Errorf("%d packets were dropped", n)
				}
				return
			}
			if p.Size > 1514 {
				t.Errorf("a packet of %d bytes, longer than a wire carries", p.Size)
			}
			if p.Direction == capture.Outgoing {
				w.mu.Lock()
				w.sent += int(p.Payload)
				w.mu.Unlock()
			}
		}
	})
	return w
}

func (w *observer) see(e bench.Edge) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case e.Lit && !w.lit:
		w.spells = append(w.spells, bench.Span{Start: e.At})
	case !e.Lit && w.lit:
		w.spells[len(w.spells)-1].End = e.At
	}
	w.lit = e.Lit
}

// tell gives the speaker a command.
func (w *observer) tell(t *testing.T, command string) virtualspeaker.Status {
	t.Helper()
	status, err := w.Speaker.Tell(command)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func (w *observer) tellCloud(t *testing.T, command string) virtualspeaker.CloudStatus {
	t.Helper()
	status, err := w.Cloud.Tell(command)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// say sounds a word.
func (w *observer) say(t *testing.T, word string) {
	t.Helper()
	clip := filepath.Join(w.clips, word+".wav")
	if out, err := exec.Command("flite", "-voice", "kal16", "-t", word, "-o", clip).CombinedOutput(); err != nil {
		t.Fatalf("flite: %v: %s (run: make setup)", err, out)
	}
	if out, err := w.Command(t.Context(), "paplay", "--device="+bed.Sink, "--latency-msec=200", clip).CombinedOutput(); err != nil {
		t.Fatalf("paplay: %v: %s", err, out)
	}
}

// reaction is what was seen of the speaker after a word.
type reaction struct {
	spells []bench.Span
	sent   int           // bytes of payload
	wake   time.Duration // from the beginning of the word to the first light
}

// lit is how long the ring was lit, in all.
func (r reaction) lit() (sum time.Duration) {
	for _, s := range r.spells {
		sum += s.Duration()
	}
	return sum
}

// attention is how long after a word a reaction may begin, on a busy machine.
const attention = 3 * time.Second

// after says a word and returns what the speaker did until it had settled.
func (w *observer) after(t *testing.T, word string) reaction {
	t.Helper()
	w.mu.Lock()
	w.spells, w.sent = nil, 0
	w.mu.Unlock()
	before := w.tell(t, "status").Wakes
	start := w.clock.Now()
	w.say(t, word)
	for deadline := time.Now().Add(attention); time.Now().Before(deadline) && w.tell(t, "status").Wakes == before; {
		time.Sleep(20 * time.Millisecond)
	}
	w.settle(t)
	w.mu.Lock()
	defer w.mu.Unlock()
	r := reaction{spells: w.spells, sent: w.sent}
	if len(r.spells) > 0 {
		r.wake = r.spells[0].Start.Sub(start)
	}
	t.Logf("%q: wake after %v, lit %d times for %v, %d bytes", word, r.wake, len(r.spells), r.lit(), r.sent)
	return r
}

// settle waits until the speaker does nothing and its ring is dark.
func (w *observer) settle(t *testing.T) {
	t.Helper()
	await(t, "the speaker to settle", func() bool {
		if w.tell(t, "status").Reacts {
			return false
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		return !w.lit
	})
}

func await(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// A stream of 2.5 s or more, at 32 kB/s; and more than all that is sent beside.
const (
	streamed = 70_000
	beside   = 20_000
)

// wakes says that the speaker reacted in both ways.
func (r reaction) wakes() bool { return len(r.spells) == 1 && r.sent >= streamed }

// rests says that it did not react at all.
func (r reaction) rests() bool { return len(r.spells) == 0 && r.sent < beside }

// awake says that the wake word wakes the speaker.
func (w *observer) awake(t *testing.T) {
	t.Helper()
	if r := w.after(t, "alexa"); !r.wakes() {
		t.Errorf("alexa: %+v", r)
	}
}

// asleep says that a word does not.
func (w *observer) asleep(t *testing.T, word string) {
	t.Helper()
	if r := w.after(t, word); !r.rests() {
		t.Errorf("%s: %+v", word, r)
	}
}

// What becomes of each command, in beds side by side.
func TestSpeaker(t *testing.T) {
	t.Parallel()
	each := func(name string, test func(*testing.T, *observer)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, observe(t, bed.Options{Boot: time.Second}))
		})
	}
	each("wakes", func(t *testing.T, w *observer) {
		before := w.tellCloud(t, "status")
		for range 3 {
			w.awake(t)
		}
		after := w.tellCloud(t, "status")
		if n := after.Streams - before.Streams; n != 3 {
			t.Errorf("the cloud has answered %d streams", n)
		}
		if n := after.Sound - before.Sound; n < 3*streamed {
			t.Errorf("the cloud has heard %d bytes", n)
		}
	})
	each("rests", func(t *testing.T, w *observer) {
		for _, word := range []string{"banana", "window"} {
			w.asleep(t, word)
		}
	})
	each("mute", func(t *testing.T, w *observer) {
		w.tell(t, "mute")
		w.asleep(t, "alexa")
		w.tell(t, "unmute")
		w.awake(t)
	})
	each("deaf", func(t *testing.T, w *observer) {
		w.tell(t, "deaf")
		w.asleep(t, "alexa")
		if best := w.tell(t, "status").Best; best < 0.5 {
			t.Errorf("the best score is %g: nothing was heard", best)
		}
		w.tell(t, "hearing")
		w.awake(t)
	})
	each("unplug", func(t *testing.T, w *observer) {
		if s := w.tell(t, "unplug"); s.Address != "" {
			t.Errorf("unplugged at %s", s.Address)
		}
		if r := w.after(t, "alexa"); len(r.spells) != 1 || r.sent > 0 {
			t.Errorf("alexa, unplugged: %+v", r)
		}
		w.tell(t, "plug")
		await(t, "an address", func() bool { return w.tell(t, "status").Address != "" })
		w.awake(t)
	})
	each("react", func(t *testing.T, w *observer) {
		w.tell(t, "react light")
		if r := w.after(t, "alexa"); len(r.spells) != 1 || r.sent >= beside {
			t.Errorf("light: %+v", r)
		}
		w.tell(t, "react traffic")
		if r := w.after(t, "alexa"); len(r.spells) != 0 || r.sent < streamed {
			t.Errorf("traffic: %+v", r)
		}
		w.tell(t, "react both")
		w.awake(t)
	})
	each("flicker", func(t *testing.T, w *observer) {
		w.tell(t, "flicker")
		if r := w.after(t, "alexa"); len(r.spells) < 5 || r.sent < streamed {
			t.Errorf("flicker: %+v", r)
		}
		w.tell(t, "steady")
		w.awake(t)
	})
	each("slow", func(t *testing.T, w *observer) {
		w.tellCloud(t, "slow 3s")
		if r := w.after(t, "alexa"); !r.wakes() || r.lit() < 5*time.Second {
			t.Errorf("slow: lit for %v, %+v", r.lit(), r)
		}
		w.tellCloud(t, "slow 0s")
		w.awake(t)
	})
	each("lossy", func(t *testing.T, w *observer) {
		before := w.tellCloud(t, "status")
		w.tellCloud(t, "lossy 0.2")
		r := w.after(t, "alexa")
		w.tellCloud(t, "lossy 0")
		heard := int(w.tellCloud(t, "status").Sound - before.Sound)
		// What is lost is sent again, beyond what TLS and HTTP add.
		if !r.wakes() || heard < streamed || r.sent < heard+heard/20 {
			t.Errorf("lossy: %d bytes heard, %+v", heard, r)
		}
		w.awake(t)
	})
	each("unplugged while it reacts", func(t *testing.T, w *observer) {
		w.say(t, "alexa")
		await(t, "a reaction", func() bool { return w.tell(t, "status").Reacts })
		w.tell(t, "unplug")
		w.settle(t)
		w.tell(t, "plug")
		await(t, "an address", func() bool { return w.tell(t, "status").Address != "" })
		w.awake(t)
	})
	each("loudspeaker replaced", func(t *testing.T, w *observer) {
		if err := w.Loudspeaker.Remove(); err != nil {
			t.Fatal(err)
		}
		var err error
		if w.Loudspeaker, err = w.Pulse.AddSink(bed.Sink, pulse.Telephone); err != nil {
			t.Fatal(err)
		}
		before := w.tell(t, "status").Wakes
		await(t, "the speaker to find it", func() bool {
			w.say(t, "alexa")
			return w.tell(t, "status").Wakes > before
		})
		w.settle(t)
		w.awake(t)
	})
	each("reboot", func(t *testing.T, w *observer) {
		w.awake(t)
		lives := w.tell(t, "status").Lives
		if s := w.tell(t, "mute"); s.Wakes == 0 {
			t.Error("no wake was counted")
		}
		w.tell(t, "reboot")
		await(t, "the next life", func() bool {
			s := w.tell(t, "status")
			return s.Lives == lives+1 && s.Hears && s.Address != ""
		})
		w.asleep(t, "alexa") // what was told before goes on
		w.tell(t, "unmute")
		w.awake(t)
		// In the middle of a reaction too.
		w.say(t, "alexa")
		await(t, "a reaction", func() bool { return w.tell(t, "status").Reacts })
		w.tell(t, "reboot")
		await(t, "the next life", func() bool {
			s := w.tell(t, "status")
			return s.Lives == lives+2 && s.Hears && s.Address != ""
		})
		w.awake(t)
	})
}

// Background traffic comes as often as haste says, and is no reaction.
func TestBackground(t *testing.T) {
	t.Parallel()
	w := observe(t, bed.Options{Haste: 40}) // small bursts every 0.5 s, medium ones every 7.5 s
	before := w.tellCloud(t, "status").Requests
	time.Sleep(10 * time.Second)
	after := w.tellCloud(t, "status")
	if n := after.Requests - before; n < 10 || n > 30 {
		t.Errorf("%d requests in ten seconds", n)
	}
	if s := w.tell(t, "status"); s.Wakes != 0 || after.Streams != 0 {
		t.Errorf("it reacted to nothing: %+v, %+v", s, after)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sent < 5_000 {
		t.Errorf("%d bytes were sent", w.sent)
	}
}

// Several devices hear the same loudspeaker, and each reacts to what is its own.
// The gateway sees the packets of all, each under its own address.
func TestDevices(t *testing.T) {
	t.Parallel()
	kinds := []bed.Device{
		{Model: "alexa_v0.1"},
		{Model: "hey_jarvis_v0.1"},
		{Model: virtualspeaker.AnySound, Background: virtualspeaker.CameraBackground},
		{Model: virtualspeaker.NoSound, Background: virtualspeaker.AlarmBackground},
	}
	b := bed.New(t, bed.Options{Devices: kinds})
	ctx, end := context.WithCancel(t.Context())
	var packets *capture.Live
	err := b.OnGateway(func() (err error) {
		packets, err = capture.Listen(ctx, bed.Interface, capture.Address{}, capture.KeepHeaders)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan map[string]int) // bytes of payload, by address
	go func() {
		defer packets.Close()
		count := map[string]int{}
		for {
			p, err := packets.Next()
			if err != nil {
				sent <- count
				return
			}
			if p.Size > 1514 {
				t.Errorf("a packet of %d bytes, longer than a wire carries", p.Size)
			}
			if p.Direction == capture.Outgoing {
				count[p.Device.String()] += int(p.Payload)
			}
		}
	}()
	w := &observer{Bed: b, clips: t.TempDir()}
	wakes := func() []int {
		await(t, "all devices to settle", func() bool {
			for _, s := range w.Speakers {
				if status, err := s.Tell("status"); err != nil || status.Reacts {
					return false
				}
			}
			return true
		})
		counts := make([]int, len(w.Speakers))
		for i, s := range w.Speakers {
			status, err := s.Tell("status")
			if err != nil {
				t.Fatal(err)
			}
			counts[i] = status.Wakes
		}
		return counts
	}
	for _, said := range []struct {
		word string
		want []int // wakes by then
	}{
		{"alexa", []int{1, 0, 1, 0}},
		{"hey jarvis", []int{1, 1, 2, 0}},
		{"banana", []int{1, 1, 3, 0}},
	} {
		w.say(t, said.word)
		time.Sleep(time.Second) // for what is heard late
		if got := wakes(); !slices.Equal(got, said.want) {
			t.Errorf("after %q the devices have woken %v times, want %v", said.word, got, said.want)
		}
	}
	end()
	bytes := <-sent
	t.Log(bytes)
	for i, s := range w.Speakers {
		status, err := s.Tell("status")
		if err != nil || status.Address == "" {
			t.Errorf("device %d: %+v, %v", i, status, err)
		}
		if n := bytes[bed.MAC(i)]; n < status.Wakes*streamed || n > status.Wakes*4*streamed+60_000 {
			t.Errorf("device %d has woken %d times and sent %d bytes", i, status.Wakes, n)
		}
	}
}

// There is no way out of a bed, and two don't know of each other.
func TestBedIsClosed(t *testing.T) {
	t.Parallel()
	a, b := bed.New(t, bed.Options{}), bed.New(t, bed.Options{})
	out, err := a.Command(t.Context(), "ip", "-brief", "address").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if name, _, _ := strings.Cut(strings.Fields(line)[0], "@"); name != "lo" && name != bed.Interface && name != "port0" && name != "wan0" {
			t.Errorf("the gateway has an interface %s", line)
		}
	}
	if out, err = a.Command(t.Context(), "ip", "route", "get", "192.0.2.1").CombinedOutput(); err == nil {
		t.Errorf("there is a way out: %s", out)
	}
	if a.Light == b.Light || a.Speaker.Socket == b.Speaker.Socket {
		t.Error("two beds share something")
	}
	for _, one := range []*bed.Bed{a, b} {
		if s, err := one.Speaker.Tell("status"); err != nil || s.Address == "" {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

// Whatever becomes of the process that made a bed, nothing of it goes on.
func TestKilled(t *testing.T) {
	t.Parallel()
	const mark = "WAKEFUZZ_BED_MARK"
	value := t.Name() + "-" + time.Now().Format(time.RFC3339Nano)
	program := filepath.Join(t.TempDir(), "virtualspeaker")
	if out, err := exec.Command("go", "build", "-o", program, "wakefuzz/internal/virtualspeaker/cmd/virtualspeaker").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	folder := t.TempDir()
	ready := filepath.Join(folder, "ready")
	cmd := exec.Command(program, "bed", folder, "sh", "-c", `touch "$1"; exec sleep 1000`, "sh", ready)
	cmd.Env = append(os.Environ(), mark+"="+value, "TMPDIR="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the bed", func() bool { _, err := os.Stat(ready); return err == nil })
	marked := func() (names []string) {
		paths, err := filepath.Glob("/proc/[0-9]*/environ")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), mark+"="+value) {
				name, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "comm"))
				names = append(names, strings.TrimSpace(string(name)))
			}
		}
		return names
	}
	if n := marked(); len(n) < 7 { // the bed, cloud, speaker, dnsmasq, pulseaudio, parec, busybox
		t.Errorf("only %q run", n)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	await(t, "all to end", func() bool { return len(marked()) == 0 })
}

func TestCommandsThatAreNone(t *testing.T) {
	t.Parallel()
	b := bed.New(t, bed.Options{})
	if _, err := b.Speaker.Tell("dance"); err == nil || !strings.Contains(err.Error(), "known: ") {
		t.Errorf("error %v", err)
	}
	if _, err := b.Cloud.Tell("lossy 2"); err == nil || !strings.Contains(err.Error(), "from 0 to 0.9") {
		t.Errorf("error %v", err)
	}
}
