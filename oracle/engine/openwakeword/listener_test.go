package openwakeword_test

import (
	"errors"
	"io/fs"
	"math"
	"slices"
	"testing"
	"time"

	"wakefuzz/oracle/engine/openwakeword"
	"wakefuzz/playback"
	"wakefuzz/tts"
)

// A listener that hears what a play sounded, in pieces of whatever length,
// scores it as the play did.
func TestListenerScoresLikeAPlay(t *testing.T) {
	for _, wakeWord := range []string{"alexa_v0.1", "hey_jarvis_v0.1"} {
		t.Run(wakeWord, func(t *testing.T) {
			e := open(t, model(wakeWord), noise(math.Inf(-1)))
			l := listener(t, wakeWord)
			word := clip(t, "alexa-kal16")
			sound, o, err := play(t.Context(), e, playback.Cue{Clip: word, Seed: 3}, e.Window())
			if err != nil {
				t.Fatal(err)
			}
			played := slices.Concat(
				make([]int16, sound.Phase*tts.SampleRate/time.Second),
				word.Samples,
				make([]int16, e.Window()*tts.SampleRate/time.Second+1280))
			var heard []float32
			for length := 1; len(played) > 0; length = length*3%4096 + 1 {
				piece := played[:min(length, len(played))]
				played = played[len(piece):]
				scores, err := l.Hear(piece)
				if err != nil {
					t.Fatal(err)
				}
				heard = append(heard, scores...)
			}
			if want := o.Scores.Values; len(heard) < len(want) || !slices.Equal(heard[:len(want)], want) {
				t.Errorf("heard %v\nplayed %v", heard, want)
			}
		})
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
