package ttstest_test

import (
	"math"
	"testing"

	"go.uber.org/goleak"

	"wakefuzz/tts"
	"wakefuzz/tts/ttstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The suite accepts a synthesizer that keeps its promises.
func TestTone(t *testing.T) {
	ttstest.Run(t, ttstest.Tone{}, ttstest.Options{Phones: true, Voice: tts.Voice{Engine: "tone", Name: "tenor"}})
}

func TestPitch(t *testing.T) {
	for _, hertz := range []float64{70, 110, 220, 380} {
		// A buzz, as vocal folds make: ten harmonics.
		c := tts.Clip{Samples: make([]int16, tts.SampleRate/2)}
		for i := range c.Samples {
			for k := 1.0; k <= 10; k++ {
				c.Samples[i] += int16(2000 * math.Cos(2*math.Pi*k*hertz*float64(i)/tts.SampleRate))
			}
		}
		if got := ttstest.Pitch(c); math.Abs(got/hertz-1) > 0.03 {
			t.Errorf("a buzz of %v Hz is heard at %.1f Hz", hertz, got)
		}
	}
	if got := ttstest.Pitch(tts.Clip{Samples: make([]int16, tts.SampleRate)}); got != 0 {
		t.Errorf("silence has a pitch of %v Hz", got)
	}
}
