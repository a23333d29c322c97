package playback_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"wakefuzz/playback"
	"wakefuzz/tts"
)

// frame is a length in samples that plays may begin at any of.
const frame = 1280

// delay is a new signal's phase in samples.
func delay(s playback.Signal) int { return int(s.Phase() * tts.SampleRate / time.Second) }

// hear returns the first n samples of a play, and how many lie before the clip.
func hear(cue playback.Cue, noiseDBFS float64, n int) (samples []int16, before int) {
	s := playback.NewSignal(cue, frame, noiseDBFS)
	before = delay(s)
	for range n {
		samples = append(samples, s.Next())
	}
	return samples, before
}

func TestSignalWithoutNoiseIsTheClip(t *testing.T) {
	clip := []int16{1, -2, math.MaxInt16, math.MinInt16}
	samples, before := hear(playback.Cue{Clip: tts.Clip{Samples: clip}, Seed: 1}, math.Inf(-1), 2*frame)
	for i, got := range samples {
		var want int16
		if j := i - before; j >= 0 && j < len(clip) {
			want = clip[j]
		}
		if got != want {
			t.Fatalf("sample %d of a clip that starts after %d: %d, want %d", i, before, got, want)
		}
	}
}

func TestTheZeroSignalIsSilence(t *testing.T) {
	var s playback.Signal
	for range frame {
		if v := s.Next(); v != 0 {
			t.Fatalf("a sample of %d", v)
		}
	}
}

func TestNoise(t *testing.T) {
	const n = 1 << 16
	for _, level := range []float64{-90, -60, -33.3, -10} {
		samples, before := hear(playback.Cue{Seed: 7}, level, n)
		if slices.ContainsFunc(samples[:before], func(v int16) bool { return v != 0 }) {
			t.Errorf("%g dBFS: the noise does not wait for the clip", level)
		}
		var sum, square float64
		for _, v := range samples[before:] {
			sum += float64(v)
			square += float64(v) * float64(v)
		}
		count := float64(n - before)
		// Rounding to whole samples adds noise of its own, 1/12 in power.
		rms := math.Sqrt(square/count - 1./12)
		if got := 20 * math.Log10(rms/32768); math.Abs(got-level) > 0.1 {
			t.Errorf("noise of %g dBFS came out at %.2f dBFS", level, got)
		}
		if mean := sum / count; math.Abs(mean) > 5*rms/math.Sqrt(count) {
			t.Errorf("noise of %g dBFS has a mean of %g samples", level, mean)
		}
	}
}

func TestNoiseOnAFullScaleClipSaturates(t *testing.T) {
	clip := make([]int16, 10*frame)
	for i := range clip {
		clip[i] = math.MaxInt16
		if i%2 == 1 {
			clip[i] = math.MinInt16
		}
	}
	samples, before := hear(playback.Cue{Clip: tts.Clip{Samples: clip}}, -20, len(clip))
	var cut int
	for i, v := range samples[before:] {
		if v == clip[i] {
			cut++
		}
		if int(v)*int(clip[i]) < 0 {
			t.Fatalf("a sample of %d became %d", clip[i], v)
		}
	}
	if share := float64(cut) / float64(len(samples)-before); share < 0.4 || share > 0.6 {
		t.Errorf("%.0f %% of the samples sit at full scale, want about half", 100*share)
	}
}

func TestPhaseIsUniformAndNeedsNoNoise(t *testing.T) {
	const plays, bins = 1 << 14, 16
	var counts [bins]float64
	for seed := range uint64(plays) {
		cue := playback.Cue{Seed: seed}
		quiet, noisy := delay(playback.NewSignal(cue, frame, math.Inf(-1))), delay(playback.NewSignal(cue, frame, -30))
		if quiet != noisy {
			t.Fatalf("seed %d: the level of the noise changed the phase", seed)
		}
		if quiet < 0 || quiet >= frame {
			t.Fatalf("seed %d: a delay of %d samples", seed, quiet)
		}
		counts[quiet*bins/frame]++
	}
	const expected = plays / bins
	var chi float64
	for _, c := range counts {
		chi += (c - expected) * (c - expected) / expected
	}
	if chi > 37.7 { // p = 0.001 at 15 degrees of freedom; the seeds are fixed
		t.Errorf("the phases of %d seeds in a row are not uniform: chi-squared %.1f", plays, chi)
	}
}

func TestCheckNoise(t *testing.T) {
	for level, ok := range map[float64]bool{
		math.Inf(-1): true, -100: true, -60: true, -10: true,
		-101: false, -9: false, 0: false, math.Inf(1): false, math.NaN(): false,
	} {
		if err := playback.CheckNoise(level); (err == nil) != ok {
			t.Errorf("%g dBFS: %v", level, err)
		}
	}
}
