// Package playback sounds clips at the device under test.
package playback

import (
	"context"
	"time"

	"wakefuzz/bench"
	"wakefuzz/tts"
)

// Cue is one clip to sound once.
type Cue struct {
	Clip tts.Clip
	// Seed is the play's own randomness, derived from its ID. A player that
	// varies anything between plays (start phase, noise) derives it from here
	// alone, so that a resumed campaign equals an uninterrupted one.
	Seed uint64
	// Stop, when closed, ends the sound before its end, as soon as the player can:
	// Sounding.Span says when. A player that is faster than any clock may sound
	// the clip whole. It is nil where nothing stops the sound.
	Stop <-chan struct{}
}

// Sounding is how a clip sounded.
type Sounding struct {
	// Span is from the first to after the last sample of the clip that sounded.
	Span bench.Span
	// Phase is the delay that the player put before the clip, from the seed.
	Phase time.Duration
	// NoiseDBFS is the level of noise added under the clip, in dB relative to a
	// full-scale square wave (RMS), or negative infinity for none.
	NoiseDBFS float64
	// GainDB is the change of level that the player made.
	GainDB float64
	// Fault is why the play is unmeasured, or NoFault; Detail says it in words.
	Fault  bench.Fault
	Detail string
}

// Player sounds clips. It is used by one goroutine.
type Player interface {
	// Play sounds the clip and returns when its last sample has left. A device
	// that fails for this play is a Fault in the Sounding; an error means that
	// no further play is possible, or that ctx ended.
	Play(ctx context.Context, cue Cue) (Sounding, error)
}
