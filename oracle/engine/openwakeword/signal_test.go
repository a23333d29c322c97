package openwakeword

import (
	"math"
	"slices"
	"testing"

	"wakefuzz/playback"
	"wakefuzz/tts"
)

// hear returns the first n samples of a play.
func hear(cue playback.Cue, noiseDBFS float64, n int) (samples []float32, delay int) {
	s := newSignal(cue, noiseDBFS)
	delay = s.delay
	samples = make([]float32, n)
	for part := range slices.Chunk(samples, frameSamples) {
		s.read(part)
	}
	return samples, delay
}

func TestSignalWithoutNoiseIsTheClip(t *testing.T) {
	clip := []int16{1, -2, math.MaxInt16, math.MinInt16}
	samples, delay := hear(playback.Cue{Clip: tts.Clip{Samples: clip}, Seed: 1}, math.Inf(-1), 2*frameSamples)
	for i, got := range samples {
		var want float32
		if j := i - delay; j >= 0 && j < len(clip) {
			want = float32(clip[j])
		}
		if got != want {
			t.Fatalf("sample %d of a clip that starts after %d: %g, want %g", i, delay, got, want)
		}
	}
}

func TestNoise(t *testing.T) {
	const n = 1 << 16
	for _, level := range []float64{-90, -60, -33.3, -10} {
		samples, delay := hear(playback.Cue{Seed: 7}, level, n)
		if slices.ContainsFunc(samples[:delay], func(v float32) bool { return v != 0 }) {
			t.Errorf("%g dBFS: the noise does not wait for the clip", level)
		}
		var sum, square float64
		for _, v := range samples[delay:] {
			sum += float64(v)
			square += float64(v) * float64(v)
		}
		count := float64(n - delay)
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
	clip := make([]int16, 10*frameSamples)
	for i := range clip {
		clip[i] = math.MaxInt16
		if i%2 == 1 {
			clip[i] = math.MinInt16
		}
	}
	samples, delay := hear(playback.Cue{Clip: tts.Clip{Samples: clip}}, -20, len(clip))
	var cut int
	for i, v := range samples[delay:] {
		if v == float32(clip[i]) {
			cut++
		}
		if v > math.MaxInt16 || v < math.MinInt16 || v*float32(clip[i]) < 0 {
			t.Fatalf("a sample of %d became %g", clip[i], v)
		}
	}
	if share := float64(cut) / float64(len(samples)-delay); share < 0.4 || share > 0.6 {
		t.Errorf("%.0f %% of the samples sit at full scale, want about half", 100*share)
	}
}

func TestPhaseIsUniformAndNeedsNoNoise(t *testing.T) {
	const plays, bins = 1 << 14, 16
	var counts [bins]float64
	for seed := range uint64(plays) {
		quiet, noisy := newSignal(playback.Cue{Seed: seed}, math.Inf(-1)), newSignal(playback.Cue{Seed: seed}, -30)
		if quiet.delay != noisy.delay {
			t.Fatalf("seed %d: the level of the noise changed the phase", seed)
		}
		if quiet.delay < 0 || quiet.delay >= frameSamples {
			t.Fatalf("seed %d: a delay of %d samples", seed, quiet.delay)
		}
		counts[quiet.delay*bins/frameSamples]++
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
