package openwakeword_test

import (
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle/engine/openwakeword"
	"wakefuzz/playback"
	"wakefuzz/tts"
)

// A play is heard in batches, and a listener hears frame by frame, in pieces of
// whatever length. They score the same sounds alike, however long these are,
// whichever model listens. And a play's scores don't depend on the plays before
// it, to the last bit.
func TestPlaysAndListenersScoreAlike(t *testing.T) {
	for _, wakeWord := range wakeWords(t) {
		t.Run(wakeWord, func(t *testing.T) {
			t.Parallel()
			e := open(t, model(wakeWord), noise(math.Inf(-1)))
			var first []float32
			for seed, length := range []int{0, 1, 1279, 1280, 1281, 20_000, 63 * 1280, 64 * 1280, 65 * 1280, 200_000, 60 * tts.SampleRate} {
				cue := playback.Cue{Clip: babble(t, length, uint64(seed)), Seed: uint64(seed)}
				sound, o, err := play(t.Context(), e, cue, e.Window())
				if err != nil {
					t.Fatal(err)
				}
				l := listener(t, wakeWord)
				played := slices.Concat(
					make([]int16, sound.Phase*tts.SampleRate/time.Second),
					cue.Clip.Samples,
					make([]int16, e.Window()*tts.SampleRate/time.Second+1280))
				var heard []float32
				for piece := 1; len(played) > 0; piece = piece*3%4096 + 1 {
					piece := played[:min(piece, len(played))]
					played = played[len(piece):]
					scores, err := l.Hear(piece)
					if err != nil {
						t.Fatal(err)
					}
					heard = append(heard, scores...)
				}
				got := o.Scores.Values
				if len(heard) < len(got) {
					t.Fatalf("%d samples: %d scores, and %d frame by frame", length, len(got), len(heard))
				}
				for i, want := range heard[:len(got)] {
					if difference := math.Abs(float64(got[i]) - float64(want)); !(difference < 1e-4) {
						t.Errorf("%d samples: score %d is %g, and %g frame by frame", length, i, got[i], want)
					}
				}
				if first == nil {
					first = got
				}
			}
			if again := scores(t, e, playback.Cue{Clip: babble(t, 0, 0)}); !slices.Equal(again, first) {
				t.Errorf("after longer plays, the first one gave %v instead of %v", again, first)
			}
		})
	}
}

// wakeWords are all models that there are, but the two that they share.
func wakeWords(t *testing.T) (names []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(assets().Models, "*_v*.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".onnx"))
	}
	if len(names) == 0 {
		t.Fatal("no models (run: make setup)")
	}
	return names
}

// babble is so many samples of words, some of them wake words, with pauses in
// between and noise of a changing level under all of it. Some of it is digital
// silence.
func babble(t *testing.T, length int, seed uint64) tts.Clip {
	t.Helper()
	words := []string{"alexa-kal16", "vexed-kal16", "weather-kal16", "alexa-slt", "lexus-slt", "next-kal16", "alexa-awb"}
	random := rand.New(rand.NewPCG(seed, 0))
	var samples []int16
	for len(samples) < length {
		samples = append(samples, clip(t, words[random.IntN(len(words))]).Samples...)
		samples = append(samples, make([]int16, random.IntN(2*tts.SampleRate))...)
	}
	samples = samples[:length]
	for i, level := 0, 0.0; i < length; i++ {
		if i%8000 == 0 {
			level = []float64{0, 1, 30, 1000}[random.IntN(4)]
		}
		samples[i] = int16(max(math.MinInt16, min(math.MaxInt16, float64(samples[i])+level*random.NormFloat64())))
	}
	return tts.Clip{Samples: samples}
}

// A play's scores don't depend on when they are asked for, nor in what pieces,
// to the last bit; beyond its window neither.
func TestScoresDoNotDependOnWhatIsObserved(t *testing.T) {
	cue := playback.Cue{Clip: babble(t, 7*tts.SampleRate, 1), Seed: 1}
	const watched = 12 * time.Second
	_, whole, err := play(t.Context(), open(t), cue, watched)
	if err != nil {
		t.Fatal(err)
	}
	e := open(t)
	sound, err := e.Play(t.Context(), cue)
	if err != nil {
		t.Fatal(err)
	}
	var pieces []float32
	end := sound.Span.End.Add(watched)
	for span := (bench.Span{Start: sound.Span.Start}); span.Start < end; span.Start = span.End {
		span.End = min(span.Start.Add(330*time.Millisecond), end)
		o, err := e.Observe(t.Context(), span)
		if err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, o.Scores.Values...)
	}
	if !slices.Equal(pieces, whole.Scores.Values) {
		t.Errorf("in pieces %v\nat once %v", pieces, whole.Scores.Values)
	}
}

func TestListenerHearsTheWakeWordAgain(t *testing.T) {
	l := listener(t, "alexa_v0.1")
	word := slices.Concat(clip(t, "alexa-kal16").Samples, make([]int16, 3*tts.SampleRate))
	for n := range 3 {
		scores, err := l.Hear(word)
		if err != nil {
			t.Fatal(err)
		}
		if best := slices.Max(scores); best < 0.9 {
			t.Errorf("time %d: the best score is %g", n+1, best)
		}
		if last := scores[len(scores)-1]; last > 0.1 {
			t.Errorf("time %d: the score after three seconds of silence is %g", n+1, last)
		}
	}
}

func TestListenerErrors(t *testing.T) {
	if _, err := openwakeword.NewListener(assets(), "alexo"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a model that there is not: error %v", err)
	}
	l := listener(t, "alexa_v0.1")
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := l.Hear(nil); err == nil {
		t.Error("a closed listener hears")
	}
}

func listener(t *testing.T, wakeWord string) *openwakeword.Listener {
	t.Helper()
	l, err := openwakeword.NewListener(assets(), wakeWord)
	if err != nil {
		t.Fatalf("%v (run: make setup)", err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}
