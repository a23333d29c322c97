// Package playbacktest is the conformance suite of players: what every
// [playback.Player] promises, checked by playing. A driver's test calls [Run]
// with a real player.
package playbacktest

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/playback"
	"wakefuzz/tts"
)

// Run checks that a player keeps its promises. It plays about 15 s of sound;
// open opens a player on a bench of its own, and closes it when t ends.
func Run(t *testing.T, open func(t *testing.T) playback.Player) {
	t.Run("clips of any length", func(t *testing.T) {
		p := open(t)
		last := bench.Span{Start: math.MinInt64, End: math.MinInt64}
		for _, length := range []int{0, 1, 7, tts.SampleRate / 2, tts.SampleRate/2 + 1, 10 * tts.SampleRate, 0} {
			clip := tone(length, 8000)
			sound := play(t, p, playback.Cue{Clip: clip, Seed: uint64(length)})
			if sound.Span.Duration() != clip.Duration() {
				t.Errorf("a clip of %v sounded for %v", clip.Duration(), sound.Span.Duration())
			}
			if sound.Span.Start < last.End {
				t.Errorf("a clip started at %d, before the last one ended at %d", sound.Span.Start, last.End)
			}
			last = sound.Span
		}
	})

	t.Run("clips of any level", func(t *testing.T) {
		p := open(t)
		for _, amplitude := range []int{0, 1, math.MaxInt16, -math.MinInt16} {
			clip := tone(tts.SampleRate/4, amplitude)
			before := clip.Sum()
			play(t, p, playback.Cue{Clip: clip, Seed: 1})
			if clip.Sum() != before {
				t.Errorf("the player changed the samples of a clip of amplitude %d", amplitude)
			}
		}
	})

	t.Run("the seed alone decides", func(t *testing.T) {
		clip := tone(tts.SampleRate/10, 8000)
		seeds := []uint64{0, 1, 2, math.MaxUint64}
		forwards, backwards := open(t), open(t)
		phases := make(map[uint64]time.Duration)
		for _, seed := range seeds {
			phases[seed] = play(t, forwards, playback.Cue{Clip: clip, Seed: seed}).Phase
		}
		for _, seed := range slices.Backward(seeds) {
			if phase := play(t, backwards, playback.Cue{Clip: clip, Seed: seed}).Phase; phase != phases[seed] {
				t.Errorf("seed %d gave a phase of %v, and in another order of plays %v", seed, phases[seed], phase)
			}
		}
	})

	t.Run("cancelled", func(t *testing.T) {
		p := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		cue := playback.Cue{Clip: tone(tts.SampleRate/10, 8000), Seed: 1}
		if _, err := p.Play(ctx, cue); !errors.Is(err, context.Canceled) {
			t.Errorf("under a cancelled context Play returned %v, want %v", err, context.Canceled)
		}
		play(t, p, cue) // the player is still of use
	})
}

// play plays the cue, which must sound as it should.
func play(t *testing.T, p playback.Player, cue playback.Cue) playback.Sounding {
	t.Helper()
	sound, err := p.Play(t.Context(), cue)
	if err != nil {
		t.Fatalf("Play of %v: %v", cue.Clip.Duration(), err)
	}
	if sound.Fault != bench.NoFault {
		t.Fatalf("Play of %v: fault %q: %s", cue.Clip.Duration(), sound.Fault, sound.Detail)
	}
	if sound.Phase < 0 {
		t.Errorf("the phase is %v, before the play began", sound.Phase)
	}
	if math.IsNaN(sound.NoiseDBFS) || sound.NoiseDBFS > 0 {
		t.Errorf("the noise is %g dBFS, want at most 0", sound.NoiseDBFS)
	}
	if math.IsNaN(sound.GainDB) || math.IsInf(sound.GainDB, 0) {
		t.Errorf("the gain is %g dB, want a finite number", sound.GainDB)
	}
	return sound
}

// tone is a square wave of 500 Hz. An amplitude of 32768 is full scale.
func tone(length, amplitude int) tts.Clip {
	samples := make([]int16, length)
	for i := range samples {
		sample := amplitude
		if i/16%2 == 1 {
			sample = -amplitude
		}
		samples[i] = int16(min(sample, math.MaxInt16))
	}
	return tts.Clip{Samples: samples}
}
