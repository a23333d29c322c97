package virtualspeaker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/internal/pulse"
	"wakefuzz/internal/virtualspeaker"
	"wakefuzz/oracle/engine/openwakeword"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const word = "../../oracle/engine/openwakeword/testdata/alexa-kal16.wav"

// home is a speaker in a home without a network of its own: its cloud is on
// the loopback.
type home struct {
	*virtualspeaker.Speaker
	cloud *virtualspeaker.Cloud
	sink  *pulse.Sink
	say   func(t *testing.T)

	mu   sync.Mutex
	ring []bool // what it did
}

func furnish(t *testing.T) *home {
	t.Helper()
	server, err := pulse.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	for _, variable := range server.Env() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	h := new(home)
	if h.sink, err = server.AddSink("wake", pulse.Telephone); err != nil {
		t.Fatal(err)
	}
	h.say = func(t *testing.T) {
		t.Helper()
		if out, err := exec.Command("paplay", "--device=wake", "--latency-msec=20", word).CombinedOutput(); err != nil {
			t.Fatalf("paplay: %v: %s", err, out)
		}
	}

	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		end()
		running.Wait()
	})
	var at string
	h.cloud, at = serve(ctx, t, &running)
	certificate := filepath.Join(t.TempDir(), "cloud.pem")
	if err := os.WriteFile(certificate, h.cloud.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	o := virtualspeaker.DefaultOptions()
	o.Assets = openwakeword.AssetsIn(dataFolder())
	o.Source = "wake.monitor"
	o.Cloud = at
	o.Silence = time.Second
	o.Boot = 10 * time.Millisecond
	o.Haste = 100
	o.Ring = func(lit bool) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ring = append(h.ring, lit)
	}
	if o.Trust, err = virtualspeaker.Trust(certificate); err != nil {
		t.Fatal(err)
	}
	if h.Speaker, err = virtualspeaker.New(o); err != nil {
		t.Fatal(err)
	}
	running.Go(func() {
		if err := h.Run(ctx); err != nil {
			t.Errorf("%v (run: make setup)", err)
		}
	})
	await(t, "the speaker to hear", func() bool { return h.tell(t, "status").Hears })
	return h
}

// serve runs a cloud on the loopback.
func serve(ctx context.Context, t *testing.T, running *sync.WaitGroup) (*virtualspeaker.Cloud, string) {
	t.Helper()
	cloud, err := virtualspeaker.NewCloud("127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := virtualspeaker.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() {
		if err := cloud.Run(ctx, listener); err != nil {
			t.Error(err)
		}
	})
	return cloud, listener.Addr().String()
}

func (h *home) tell(t *testing.T, command string) virtualspeaker.Status {
	t.Helper()
	status, err := h.Obey(command)
	if err != nil {
		t.Fatal(err)
	}
	return status.(virtualspeaker.Status)
}

func (h *home) received(t *testing.T) virtualspeaker.CloudStatus {
	t.Helper()
	status, err := h.cloud.Obey("status")
	if err != nil {
		t.Fatal(err)
	}
	return status.(virtualspeaker.CloudStatus)
}

// reaction says the wake word and returns what came of it: what the ring did
// and what the cloud received, after the speaker has settled.
func (h *home) reaction(t *testing.T) (ring []bool, received virtualspeaker.CloudStatus) {
	t.Helper()
	h.mu.Lock()
	h.ring = nil
	h.mu.Unlock()
	before, wakes := h.received(t), h.tell(t, "status").Wakes
	heard := func() bool { return h.tell(t, "status").Wakes > wakes }
	for range 3 { // a busy machine may cut a word short
		h.say(t)
		for waited := time.Now(); !heard() && time.Since(waited) < 5*time.Second; {
			time.Sleep(10 * time.Millisecond)
		}
		if heard() {
			break
		}
	}
	if !heard() {
		t.Fatal("waited in vain for a reaction")
	}
	await(t, "its end", func() bool { return !h.tell(t, "status").Reacts })
	h.mu.Lock()
	defer h.mu.Unlock()
	received = h.received(t)
	received.Streams -= before.Streams
	received.Sound -= before.Sound
	return h.ring, received
}

func await(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ready(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func dataFolder() string {
	if folder := os.Getenv("WAKEFUZZ_DATA"); folder != "" {
		return folder
	}
	share := os.Getenv("XDG_DATA_HOME")
	if share == "" {
		share = filepath.Join(os.Getenv("HOME"), ".local", "share")
	}
	return filepath.Join(share, "wakefuzz")
}

func TestSpeaker(t *testing.T) {
	h := furnish(t)
	steady := func(t *testing.T) {
		t.Helper()
		ring, received := h.reaction(t)
		if len(ring) != 2 || !ring[0] || ring[1] {
			t.Errorf("the ring did %v", ring)
		}
		// Half a second from before the word was known, and a second of silence.
		if received.Streams != 1 || received.Sound < 45_000 {
			t.Errorf("the cloud received %+v", received)
		}
	}
	t.Run("steady", steady)
	t.Run("light", func(t *testing.T) {
		h.tell(t, "react light")
		if ring, received := h.reaction(t); len(ring) != 2 || received.Streams != 0 || received.Sound != 0 {
			t.Errorf("ring %v, cloud %+v", ring, received)
		}
	})
	t.Run("traffic", func(t *testing.T) {
		h.tell(t, "react traffic")
		if ring, received := h.reaction(t); len(ring) != 0 || received.Streams != 1 {
			t.Errorf("ring %v, cloud %+v", ring, received)
		}
		h.tell(t, "react both")
	})
	t.Run("flicker", func(t *testing.T) {
		h.tell(t, "flicker")
		ring, _ := h.reaction(t)
		if len(ring) < 4 || len(ring)%2 != 0 {
			t.Fatalf("the ring did %v", ring)
		}
		for i, lit := range ring {
			if lit != (i%2 == 0) {
				t.Fatalf("the ring did %v", ring)
			}
		}
		h.tell(t, "steady")
	})
	t.Run("lossy", func(t *testing.T) {
		if _, err := h.cloud.Obey("lossy 0.3"); err != nil {
			t.Fatal(err)
		}
		steady(t)
		if _, err := h.cloud.Obey("lossy 0"); err != nil {
			t.Fatal(err)
		}
	})
	for _, silence := range []string{"mute", "deaf"} {
		t.Run(silence, func(t *testing.T) {
			wakes := h.tell(t, silence).Wakes
			h.say(t)
			if silence == "deaf" {
				await(t, "the word to be heard", func() bool { return h.tell(t, "status").Best > 0.5 })
			}
			// What may still be on its way: 3 s of sound.
			said := h.tell(t, "status").Frames
			await(t, "the silence after it", func() bool { return h.tell(t, "status").Frames >= said+40 })
			s := h.tell(t, "status")
			if s.Wakes != wakes {
				t.Error("it reacted")
			}
			if heard := s.Best > 0.5; heard != (silence == "deaf") {
				t.Errorf("the best score was %g", s.Best)
			}
			h.tell(t, map[string]string{"mute": "unmute", "deaf": "hearing"}[silence])
		})
	}
	t.Run("misses", func(t *testing.T) {
		wakes := h.tell(t, "misses 1").Wakes
		h.say(t)
		time.Sleep(time.Second)
		if s := h.tell(t, "status"); s.Wakes != wakes || s.Best < 0.5 {
			t.Errorf("it reacted: %+v", s)
		}
		h.tell(t, "misses 0")
	})
	t.Run("reboot", func(t *testing.T) {
		before := h.tell(t, "status")
		h.tell(t, "reboot")
		await(t, "the next life", func() bool {
			s := h.tell(t, "status")
			return s.Lives == before.Lives+1 && s.Hears
		})
		if s := h.tell(t, "status"); s.Wakes != before.Wakes {
			t.Errorf("%d wakes were counted, and then %d", before.Wakes, s.Wakes)
		}
		steady(t)
	})
	t.Run("loudspeaker gone", func(t *testing.T) {
		if err := h.sink.Remove(); err != nil {
			t.Fatal(err)
		}
		h.tell(t, "reboot") // a life that begins without it goes on as well
		await(t, "the next life", func() bool { return h.tell(t, "status").Hears })
	})
	t.Run("background", func(t *testing.T) {
		seen := h.received(t).Requests
		await(t, "background traffic", func() bool { return h.received(t).Requests > seen+5 })
	})
}

func TestCommandsThatAreNone(t *testing.T) {
	o := virtualspeaker.DefaultOptions()
	o.Cloud = "127.0.0.1:1"
	o.Ring = func(bool) {}
	s, err := virtualspeaker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := virtualspeaker.NewCloud("cloud.test")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		obey    func(string) (any, error)
		command string
		want    string
	}{
		{s.Obey, "dance", "known: status"},
		{s.Obey, "", "known: status"},
		{s.Obey, "mute twice", "known: status"},
		{s.Obey, "react", "react light"},
		{s.Obey, "misses", "known: status"},
		{s.Obey, "misses NaN", "from 0 to 1"},
		{s.Obey, "misses 1.1", "from 0 to 1"},
		{s.Obey, "unplug", "no network interface"},
		{s.Obey, "plug", "no network interface"},
		{c.Obey, "dance", "known: status"},
		{c.Obey, "slow", "not a duration"},
		{c.Obey, "slow -1s", "not a duration"},
		{c.Obey, "lossy", "from 0 to 0.9"},
		{c.Obey, "lossy NaN", "from 0 to 0.9"},
		{c.Obey, "lossy 0.91", "from 0 to 0.9"},
		{c.Obey, "lossy 0.1", "not running"},
	} {
		if _, err := tt.obey(tt.command); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v, want one that speaks of %q", tt.command, err, tt.want)
		}
	}
	// Off, there is nothing to reboot.
	if _, err := s.Obey("reboot"); err != nil {
		t.Error(err)
	}
}

func TestSpeakersThatCannotBe(t *testing.T) {
	good := virtualspeaker.DefaultOptions()
	good.Cloud, good.Ring = "127.0.0.1:1", func(bool) {}
	for want, change := range map[string]func(*virtualspeaker.Options){
		"haste":      func(o *virtualspeaker.Options) { o.Haste = 0 },
		"ring":       func(o *virtualspeaker.Options) { o.Ring = nil },
		"background": func(o *virtualspeaker.Options) { o.Background = nil },
		"no-such-if": func(o *virtualspeaker.Options) { o.Interface, o.Folder = "no-such-if", "/no-such-if" },
	} {
		o := good
		change(&o)
		if _, err := virtualspeaker.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that speaks of %q", err, want)
		}
	}
	o := good
	o.Assets = openwakeword.AssetsIn(t.TempDir())
	s, err := virtualspeaker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a model: error %v", err)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, empty + "x"} {
		if _, err := virtualspeaker.Trust(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v", path, err)
		}
	}
}

func TestBackground(t *testing.T) {
	for _, b := range []virtualspeaker.Background{
		virtualspeaker.SpeakerBackground, virtualspeaker.CameraBackground, virtualspeaker.AlarmBackground,
	} {
		var again virtualspeaker.Background
		if err := again.Set(b.String()); err != nil || !slices.Equal(again, b) {
			t.Errorf("%v reads as %v, %v", b, again, err)
		}
	}
	for _, text := range []string{"", "20s", "20s:0", "0s:400", "-1s:400", "20s:400,", "x:1"} {
		b := virtualspeaker.AlarmBackground
		if err := b.Set(text); err == nil || !slices.Equal(b, virtualspeaker.AlarmBackground) {
			t.Errorf("%q: %v, error %v", text, b, err)
		}
	}
}

func TestControl(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "control")
	control := virtualspeaker.Control[int]{Socket: socket}
	if _, err := control.Tell("anything"); err == nil {
		t.Error("somebody answers who isn't there")
	}
	ctx, end := context.WithCancel(t.Context())
	served := make(chan error)
	go func() {
		served <- virtualspeaker.Serve(ctx, socket, func(command string) (any, error) {
			switch command {
			case "fail":
				return nil, errors.New("it fails")
			case "wrong":
				return "not a number", nil
			case "unspeakable":
				return func() {}, nil
			}
			return len(command), nil
		})
	}()
	await(t, "the socket", func() bool { _, err := os.Stat(socket); return err == nil })
	if n, err := control.Tell("hello"); n != 5 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for command, want := range map[string]string{
		"fail":                   "it fails",
		"wrong":                  "wrong",
		"unspeakable":            "unsupported type",
		strings.Repeat("x", 300): "control: ", // cut off
	} {
		if _, err := control.Tell(command); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: error %v, want one that speaks of %q", command, err, want)
		}
	}
	// One who listens to nothing does not keep the others.
	idle, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if _, err := control.Tell("still there?"); err != nil {
		t.Error(err)
	}
	end()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := virtualspeaker.Serve(t.Context(), filepath.Join(socket, "below"), nil); err == nil {
		t.Error("a socket was made where there can't be one")
	}
}

// Whatever is told, a speaker and a cloud either obey or say what is wrong.
func FuzzObey(f *testing.F) {
	for _, seed := range []string{"status", "mute", "react light", "reboot", "unplug", "slow 3s", "slow 9999999h", "lossy 0.5", "lossy 1e-400", "\xff", ""} {
		f.Add(seed)
	}
	o := virtualspeaker.DefaultOptions()
	o.Cloud, o.Ring = "127.0.0.1:1", func(bool) {}
	s, err := virtualspeaker.New(o)
	if err != nil {
		f.Fatal(err)
	}
	c, err := virtualspeaker.NewCloud()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, command string) {
		command = command[:min(len(command), 256)]
		for _, obey := range []func(string) (any, error){s.Obey, c.Obey} {
			if status, err := obey(command); (status == nil) == (err == nil) {
				t.Errorf("%q: %v, %v", command, status, err)
			}
		}
	})
}

func ExampleControl() {
	speaker := virtualspeaker.Control[virtualspeaker.Status]{Socket: "/nowhere/speaker.sock"}
	if _, err := speaker.Tell("mute"); err != nil {
		fmt.Println(err)
	}
	// Output: control: dial unix /nowhere/speaker.sock: connect: no such file or directory
}
