//go:build wyoming

package wyoming_test

import (
	"context"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/wyoming/wyomingtest"
	"wakefuzz/oracle/engine"
	"wakefuzz/oracle/engine/openwakeword"
	"wakefuzz/oracle/engine/wyoming"
	"wakefuzz/oracle/oracletest"
	"wakefuzz/playback"
	"wakefuzz/playback/playbacktest"
	"wakefuzz/tts"
	"wakefuzz/tts/flite"
)

// real starts openWakeWord's own server.
func real(t testing.TB) (wyoming.Options, *wyomingtest.Server) {
	t.Helper()
	server := wyomingtest.Python(t, "-m", "wyoming_openwakeword", "--preload-model", model)
	o := wyoming.DefaultOptions()
	o.URI, o.Model = server.URI, model
	return o, server
}

func TestConformanceOfARealServer(t *testing.T) {
	o, _ := real(t)
	o.Speed, o.Lag = 0, 0 // what it detects does not matter here
	t.Run("player", func(t *testing.T) {
		playbacktest.Run(t, func(t *testing.T) playback.Player { return open(t, o) })
	})
	t.Run("oracle", func(t *testing.T) {
		word := clip(t, "weather-kal16")
		oracletest.Run(t, func(t *testing.T) oracletest.Bench {
			e := open(t, o)
			return oracletest.Bench{Oracle: e, Sound: func(ctx context.Context) (bench.Span, error) {
				sound, err := e.Play(ctx, playback.Cue{Clip: word})
				return sound.Span, err
			}}
		})
	})
}

// What wakes the model in this process wakes the server that runs the same model,
// and what does not, does not. The two are not the same play by play: the server
// begins its embeddings half a frame beside ours, at every phase, and words near
// the threshold fall on either side.
func TestTheSameWordsWakeARealServer(t *testing.T) {
	voice, err := flite.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const plays, hit = 10, 2 // the paper's: a fifth
	type word struct {
		text  string
		wakes bool
	}
	// A server for each group: one that has several clients mixes what they say.
	groups := [][]word{
		{{"alexa", true}, {"vexed", true}, {"window", false}},
		{{"hext", true}, {"plexus", true}, {"banana", false}},
		{{"elexis", true}, {"alexis", true}, {"letter", false}},
		{{"lexus", true}, {"hexcel", true}, {"weather", false}},
	}
	var working sync.WaitGroup
	for _, group := range groups {
		o, _ := real(t)
		o.Speed, o.Lag = 4, time.Second // it computes that much faster, and tests share a machine
		server, inside := open(t, o), openModel(t)
		working.Go(func() {
			for _, w := range group {
				c, err := voice.Synthesize(t.Context(), tts.Utterance{Text: w.text, Voice: tts.Voice{Engine: flite.Engine, Name: "kal16"}})
				if err != nil {
					t.Error(err)
					return
				}
				there := reactions(t, server, engine.Detected{}.Judge, c, plays)
				here := reactions(t, inside, engine.DefaultRule().Judge, c, plays)
				t.Logf("%-8s %2d/%d by the server, %2d/%d in this process", w.text, there, plays, here, plays)
				if w.wakes && min(there, here) < hit || !w.wakes && max(there, here) > 0 {
					t.Errorf("%s wakes: %t", w.text, w.wakes)
				}
			}
		})
	}
	working.Wait()
}

func openModel(t testing.TB) *openwakeword.Engine {
	t.Helper()
	m, err := openwakeword.New(assets(), openwakeword.DefaultOptions())
	if err != nil {
		t.Fatalf("%v (run: make setup)", err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// reactions is in how many of its plays the clip wakes the engine.
func reactions(t *testing.T, e listener, judge func(bench.Span, bench.Observation) bench.Reading, c tts.Clip, plays int) (reacted int) {
	for seed := range uint64(plays) {
		sound, o := play(t, e, playback.Cue{Clip: c, Seed: seed})
		if sound.Fault != bench.NoFault || o.Fault != bench.NoFault {
			t.Errorf("seed %d: %s%s", seed, sound.Detail, o.Detail)
		}
		if judge(sound.Span, o).State == bench.Reacted {
			reacted++
		}
	}
	return reacted
}

// The real server would load any other model for a name that it does not know,
// or hang up.
func TestARealServerIsAskedForItsNames(t *testing.T) {
	o, _ := real(t)
	if facts := open(t, o).Facts(); facts["wyoming program"] != "openwakeword" || facts["wyoming model"] != model {
		t.Errorf("facts %v", facts)
	}
	o.Model = "alexa"
	if _, err := wyoming.New(t.Context(), o); err == nil || !strings.Contains(err.Error(), "alexa_v0.1, hey_jarvis_v0.1") {
		t.Errorf("a name that it does not have: %v", err)
	}
}

// A real server that is stopped, goes on, and is killed.
func TestARealServerThatHangsAndDies(t *testing.T) {
	o, server := real(t)
	o.Speed, o.Lag, o.Timeout = 0, 0, 2*time.Second
	e, cue := open(t, o), playback.Cue{Clip: clip(t, "weather-kal16")}
	if sound, _ := play(t, e, cue); sound.Fault != bench.NoFault {
		t.Errorf("fault %q: %s", sound.Fault, sound.Detail)
	}
	server.Signal(t, syscall.SIGSTOP)
	if sound, _ := play(t, e, cue); sound.Fault != bench.FaultDevice {
		t.Errorf("stopped: fault %q: %s", sound.Fault, sound.Detail)
	}
	server.Signal(t, syscall.SIGCONT)
	if sound, _ := play(t, e, cue); sound.Fault != bench.NoFault {
		t.Errorf("going on: fault %q: %s", sound.Fault, sound.Detail)
	}
	server.Kill()
	if _, err := e.Play(t.Context(), cue); err == nil || !strings.Contains(err.Error(), "can't be reached") {
		t.Errorf("killed: %v", err)
	}
}
