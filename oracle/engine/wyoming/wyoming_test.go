package wyoming_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/bench"
	protocol "wakefuzz/internal/wyoming"
	"wakefuzz/internal/wyoming/wyomingtest"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine"
	"wakefuzz/oracle/engine/openwakeword"
	"wakefuzz/oracle/engine/wyoming"
	"wakefuzz/oracle/oracletest"
	"wakefuzz/playback"
	"wakefuzz/playback/playbacktest"
	"wakefuzz/tts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const model = "alexa_v0.1"

// info is what the servers of these tests offer.
var info = protocol.Info{Wake: []protocol.Program{{Name: "ears", Version: "2.1", Models: []protocol.Model{
	{Name: "hey_jarvis_v0.1", Installed: true},
	{Name: model, Version: "v0.1", Installed: true},
	{Name: "weather_v0.1"},
}}}}

func assets() openwakeword.Assets {
	folder := os.Getenv("WAKEFUZZ_DATA")
	if folder == "" {
		share := os.Getenv("XDG_DATA_HOME")
		if share == "" {
			share = filepath.Join(os.Getenv("HOME"), ".local", "share")
		}
		folder = filepath.Join(share, "wakefuzz")
	}
	return openwakeword.AssetsIn(folder)
}

func clip(t testing.TB, name string) tts.Clip {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "openwakeword", "testdata", name+".wav"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := tts.DecodeWAV(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// options are for a server that hears everything before it answers.
func options(uri string) wyoming.Options {
	o := wyoming.DefaultOptions()
	o.URI, o.Model, o.Speed, o.Lag = uri, model, 0, 0
	return o
}

func open(t testing.TB, o wyoming.Options) *wyoming.Engine {
	t.Helper()
	e, err := wyoming.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// listener is an engine, player and oracle in one.
type listener interface {
	playback.Player
	oracle.Oracle
}

// play plays a cue and observes it.
func play(t testing.TB, e listener, cue playback.Cue) (playback.Sounding, bench.Observation) {
	t.Helper()
	sound, err := e.Play(t.Context(), cue)
	if err != nil {
		t.Fatal(err)
	}
	o, err := e.Observe(t.Context(), bench.Span{Start: sound.Span.Start, End: sound.Span.End.Add(e.Window())})
	if err != nil {
		t.Fatal(err)
	}
	return sound, o
}

// serve serves a wake-word server of one thread: the project's own model, which
// hears each frame before it takes the next event.
func serve(t testing.TB) (uri string) {
	return wyomingtest.Serve(t, func(ctx context.Context, c *protocol.Conn) {
		ears, err := openwakeword.NewListener(assets(), model)
		if err != nil {
			t.Errorf("%v (run: make setup)", err)
			return
		}
		defer ears.Close()
		detected := false
		for {
			e, err := c.Receive(ctx)
			if err != nil {
				return
			}
			switch e.Type {
			case protocol.TypeDescribe:
				err = c.Send(ctx, wyomingtest.Event(t, protocol.TypeInfo, info, nil))
			case protocol.TypeAudioChunk:
				var chunk protocol.Audio
				if err := e.Decode(&chunk); err != nil {
					t.Error(err)
				}
				samples := make([]int16, len(e.Payload)/2)
				for i := range samples {
					samples[i] = int16(binary.LittleEndian.Uint16(e.Payload[2*i:]))
				}
				scores, failed := ears.Hear(samples)
				if failed != nil {
					t.Error(failed)
				}
				if slices.ContainsFunc(scores, func(v float32) bool { return v >= 0.5 }) {
					detected = true
					err = c.Send(ctx, wyomingtest.Event(t, protocol.TypeDetection, protocol.Detection{Name: model, Timestamp: chunk.Timestamp}, nil))
				}
			case protocol.TypeAudioStop:
				if !detected {
					err = c.Send(ctx, protocol.Event{Type: protocol.TypeNotDetected})
				}
			}
			if err != nil {
				return
			}
		}
	})
}

func TestConformance(t *testing.T) {
	uri := serve(t)
	t.Run("player", func(t *testing.T) {
		playbacktest.Run(t, func(t *testing.T) playback.Player { return open(t, options(uri)) })
	})
	t.Run("oracle", func(t *testing.T) {
		word := clip(t, "weather-kal16") // a detection would end the stream
		oracletest.Run(t, func(t *testing.T) oracletest.Bench {
			e := open(t, options(uri))
			var plays uint64
			return oracletest.Bench{Oracle: e, Sound: func(ctx context.Context) (bench.Span, error) {
				plays++
				sound, err := e.Play(ctx, playback.Cue{Clip: word, Seed: plays})
				return sound.Span, err
			}}
		})
	})
}

// The same model, behind a server and in this process, hears the same of each
// play, so it reacts to the same plays at the same time.
func TestAServerReactsAsTheModelDoes(t *testing.T) {
	e := open(t, options(serve(t)))
	own := openwakeword.DefaultOptions()
	own.Window = e.Window()
	m, err := openwakeword.New(assets(), own)
	if err != nil {
		t.Fatalf("%v (run: make setup)", err)
	}
	defer m.Close()
	reacted := 0
	for _, name := range []string{"alexa-kal16", "next-kal16", "vexed-kal16", "weather-kal16"} {
		word := clip(t, name)
		for seed := range uint64(3) {
			cue := playback.Cue{Clip: word, Seed: seed}
			there, detected := play(t, e, cue)
			here, scored := play(t, m, cue)
			got := (engine.Detected{}).Judge(there.Span, detected)
			want := engine.DefaultRule().Judge(here.Span, scored)
			if got.State != want.State || got.Latency != want.Latency {
				t.Errorf("%s, seed %d: behind a server %+v, here %+v", name, seed, got, want)
			}
			if there.Phase != here.Phase || there.NoiseDBFS != here.NoiseDBFS {
				t.Errorf("%s, seed %d: behind a server %+v, here %+v", name, seed, there, here)
			}
			if got.State == bench.Reacted {
				reacted++
			}
		}
	}
	if reacted < 3 || reacted > 9 {
		t.Errorf("%d of 12 plays reacted", reacted)
	}
}

// At the pace of speech, and whatever a server's lag is, a play is the same.
func TestSpeedAndLag(t *testing.T) {
	uri := serve(t)
	fast, slow := options(uri), options(uri)
	slow.Speed, slow.Lag = 10, 50*time.Millisecond
	for _, name := range []string{"alexa-kal16", "weather-kal16"} {
		cue := playback.Cue{Clip: clip(t, name), Seed: 3}
		_, a := play(t, open(t, fast), cue)
		_, b := play(t, open(t, slow), cue)
		if !slices.Equal(a.Detections, b.Detections) || a.Fault != b.Fault {
			t.Errorf("%s: %+v, %+v", name, a, b)
		}
	}
}

// scripted is a server that says what it offers, and then what it is told to.
type scripted struct {
	at   int                                         // at which chunk, from 1; 0: at the end
	does func(c *protocol.Conn, ctx context.Context) // nil: nothing, for ever
}

func (s scripted) serve(t *testing.T) (uri string) {
	return wyomingtest.Serve(t, func(ctx context.Context, c *protocol.Conn) {
		chunks := 0
		for {
			e, err := c.Receive(ctx)
			if err != nil {
				return
			}
			switch e.Type {
			case protocol.TypeDescribe:
				_ = c.Send(ctx, wyomingtest.Event(t, protocol.TypeInfo, info, nil))
				continue
			case protocol.TypeAudioChunk:
				chunks++
			}
			if s.does != nil && (e.Type == protocol.TypeAudioStop && s.at == 0 || e.Type == protocol.TypeAudioChunk && chunks == s.at) {
				s.does(c, ctx)
				return
			}
		}
	})
}

func says(t *testing.T, kind string, data any) func(*protocol.Conn, context.Context) {
	return func(c *protocol.Conn, ctx context.Context) {
		err := c.Send(ctx, wyomingtest.Event(t, kind, data, nil))
		for err == nil { // until the client hangs up
			_, err = c.Receive(ctx)
		}
	}
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		server scripted
		want   string
	}{
		"never answers":       {scripted{}, "did not answer within"},
		"hangs up":            {scripted{at: 0, does: func(*protocol.Conn, context.Context) {}}, "ended the connection without an answer"},
		"hangs up early":      {scripted{at: 40, does: func(*protocol.Conn, context.Context) {}}, ""},
		"an error":            {scripted{does: says(t, protocol.TypeError, protocol.Error{Text: "no model"})}, "no model"},
		"another wake word":   {scripted{at: 40, does: says(t, protocol.TypeDetection, protocol.Detection{Name: "ok_nabu"})}, "detected ok_nabu"},
		"in the lead-in":      {scripted{at: 9, does: says(t, protocol.TypeDetection, protocol.Detection{Name: model, Timestamp: ms(720)})}, "before it was played anything"},
		"no wake word, early": {scripted{at: 40, does: says(t, protocol.TypeNotDetected, nil)}, "before it has heard all"},
		"a name of numbers":   {scripted{does: says(t, protocol.TypeDetection, map[string]int{"name": 3})}, "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(c.server.serve(t))
			o.Timeout = 500 * time.Millisecond
			o.Speed = 50 // so that what comes early is early
			e := open(t, o)
			for range 2 { // the next play begins afresh
				sound, observed := play(t, e, playback.Cue{Clip: clip(t, "weather-kal16"), Seed: 1})
				if sound.Fault != bench.FaultDevice || !strings.Contains(sound.Detail, c.want) {
					t.Errorf("fault %q: %s", sound.Fault, sound.Detail)
				}
				if observed.Fault != sound.Fault || observed.Detail != sound.Detail {
					t.Errorf("observed as fault %q: %s", observed.Fault, observed.Detail)
				}
			}
		})
	}
}

func ms(t int64) *int64 { return &t }

// Garbage, and a flood, in the place of an answer.
func TestGarbage(t *testing.T) {
	for name, bytes := range map[string]string{"not the protocol": "HTTP/1.1 400 Bad Request\r\n\r\n", "no end": strings.Repeat(" ", 5<<20)} {
		t.Run(name, func(t *testing.T) {
			e := open(t, options(serveRaw(t, bytes)))
			if sound, _ := play(t, e, playback.Cue{Clip: clip(t, "weather-kal16")}); sound.Fault != bench.FaultDevice {
				t.Errorf("fault %q: %s", sound.Fault, sound.Detail)
			}
		})
	}
}

// serveRaw says what it offers to the first, and to those who come later the
// given bytes.
func serveRaw(t *testing.T, bytes string) (uri string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for first := true; ; first = false {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if first {
				_ = protocol.NewConn(c).Send(context.Background(), wyomingtest.Event(t, protocol.TypeInfo, info, nil))
			} else {
				_, _ = c.Write([]byte(bytes))
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return "tcp://" + l.Addr().String()
}

// What a server says of the time is taken where it can be true.
func TestTimestamps(t *testing.T) {
	word := clip(t, "weather-kal16")
	const frame = 80 * time.Millisecond
	for name, c := range map[string]struct {
		timestamp        *int64
		earliest, latest time.Duration
	}{
		"true":             {ms(40 * 80), 40 * frame, 40 * frame},
		"none":             {nil, 45 * frame, math.MaxInt64},
		"from another age": {ms(math.MaxInt64), 45 * frame, math.MaxInt64},
	} {
		o := options(scripted{at: 45, does: says(t, protocol.TypeDetection, protocol.Detection{Timestamp: c.timestamp})}.serve(t))
		o.Speed = 4 // slow enough for the answer to come before the next frame
		e := open(t, o)
		sound, observed := play(t, e, playback.Cue{Clip: word, Seed: 2})
		if len(observed.Detections) != 1 || observed.Fault != bench.NoFault {
			t.Fatalf("%s: %+v", name, observed)
		}
		if got := time.Duration(observed.Detections[0]); got < c.earliest || got > c.latest {
			t.Errorf("%s: detected at %v, not between %v and %v", name, got, c.earliest, c.latest)
		}
		// After a detection nothing was heard.
		after := bench.Span{Start: observed.Detections[0] + 1, End: sound.Span.End.Add(e.Window())}
		if o, err := e.Observe(t.Context(), after); err != nil || o.Fault != bench.FaultOracle {
			t.Errorf("%s: after the detection: %+v, %v", name, o, err)
		}
		before := bench.Span{Start: sound.Span.Start, End: observed.Detections[0]}
		if o, err := e.Observe(t.Context(), before); err != nil || o.Fault != bench.NoFault || len(o.Detections) > 0 {
			t.Errorf("%s: before the detection: %+v, %v", name, o, err)
		}
	}
	// A server that lags tells the time of the sound that came last.
	o := options(scripted{does: says(t, protocol.TypeDetection, protocol.Detection{Name: model, Timestamp: ms(1e12)})}.serve(t))
	e := open(t, o)
	sound, observed := play(t, e, playback.Cue{Clip: word, Seed: 2})
	if v := (engine.Detected{}).Judge(sound.Span, observed); v.State != bench.Reacted || v.Latency > e.Window() {
		t.Errorf("a late answer: %+v", v)
	}
}

func TestObserveAfterTheFact(t *testing.T) {
	e := open(t, options(scripted{does: says(t, protocol.TypeNotDetected, nil)}.serve(t)))
	nothing, err := e.Observe(t.Context(), bench.Span{End: 1})
	if err != nil || nothing.Fault != bench.FaultOracle {
		t.Errorf("before the first play: %+v, %v", nothing, err)
	}
	first, _ := play(t, e, playback.Cue{})
	second, _ := play(t, e, playback.Cue{})
	for name, span := range map[string]bench.Span{
		"a play before the last": first.Span,
		"beyond the window":      {Start: second.Span.Start, End: second.Span.End.Add(time.Hour)},
	} {
		if o, err := e.Observe(t.Context(), span); err != nil || o.Fault != bench.FaultOracle {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	if _, err := e.Observe(t.Context(), bench.Span{Start: 2, End: 1}); err == nil {
		t.Error("a span that ends before it starts was observed")
	}
}

func TestCancelledInTheMiddle(t *testing.T) {
	e := open(t, options(scripted{}.serve(t)))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := e.Play(ctx, playback.Cue{Clip: clip(t, "weather-kal16")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// A server that is gone, or another than before, is the end of a campaign.
func TestAServerThatIsNoLongerTheSame(t *testing.T) {
	offers := make(chan protocol.Info, 2)
	other := protocol.Info{Wake: []protocol.Program{{Name: "ears", Version: "2.2", Models: info.Wake[0].Models}}}
	offers <- info
	offers <- other
	uri := wyomingtest.Serve(t, func(ctx context.Context, c *protocol.Conn) {
		if _, err := c.Receive(ctx); err == nil {
			_ = c.Send(ctx, wyomingtest.Event(t, protocol.TypeInfo, <-offers, nil))
		}
	})
	e := open(t, options(uri))
	if facts := e.Facts(); facts["wyoming program"] != "ears 2.1" || facts["wyoming model"] != "alexa_v0.1 v0.1" {
		t.Errorf("facts %v", facts)
	}
	if _, err := e.Play(t.Context(), playback.Cue{}); err == nil || !strings.Contains(err.Error(), "ears 2.2") {
		t.Errorf("another version: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	there := scripted{}.serve(t)
	nobody := "unix://" + filepath.Join(t.TempDir(), "nobody")
	mute := wyomingtest.Serve(t, func(ctx context.Context, _ *protocol.Conn) { <-ctx.Done() })
	empty := wyomingtest.Serve(t, func(ctx context.Context, c *protocol.Conn) {
		_ = c.Send(ctx, wyomingtest.Event(t, protocol.TypeInfo, protocol.Info{TTS: info.Wake}, nil))
	})
	for name, c := range map[string]struct {
		change func(*wyoming.Options)
		want   string
	}{
		"nobody there":       {func(o *wyoming.Options) { o.URI = nobody }, "can't be reached"},
		"nobody answers":     {func(o *wyoming.Options) { o.URI = mute }, "did not answer within"},
		"no wake words":      {func(o *wyoming.Options) { o.URI = empty }, "has no wake words"},
		"unknown":            {func(o *wyoming.Options) { o.Model = "alexa" }, `no wake word "alexa", but alexa_v0.1, hey_jarvis_v0.1`},
		"not installed":      {func(o *wyoming.Options) { o.Model = "weather_v0.1" }, "no wake word"},
		"options that can't": {func(o *wyoming.Options) { o.Window = 0 }, "window"},
	} {
		o := options(there)
		o.Timeout = 300 * time.Millisecond
		c.change(&o)
		if _, err := wyoming.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOptionsValidate(t *testing.T) {
	for want, change := range map[string]func(*wyoming.Options){
		"":             func(o *wyoming.Options) { o.NoiseDBFS = math.Inf(-1) },
		"uri: ":        func(o *wyoming.Options) { o.URI = "127.0.0.1:10400" },
		"model: ":      func(o *wyoming.Options) { o.Model = "" },
		"noise_dbfs: ": func(o *wyoming.Options) { o.NoiseDBFS = 0 },
		"window: ":     func(o *wyoming.Options) { o.Window = time.Millisecond },
		"speed: -":     func(o *wyoming.Options) { o.Speed = -1 },
		"speed: N":     func(o *wyoming.Options) { o.Speed = math.NaN() },
		"lag: ":        func(o *wyoming.Options) { o.Lag = -1 },
		"timeout: ":    func(o *wyoming.Options) { o.Timeout = 0 },
	} {
		o := wyoming.DefaultOptions()
		o.Model = model
		change(&o)
		err := o.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%+v: error %v, want %q", o, err, want)
		}
	}
}
