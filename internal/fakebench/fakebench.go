// Package fakebench is a bench on which every clip has a known chance to
// react. Tests and benchmarks of what stands above the drivers use it; what a
// driver does is never tested against it.
package fakebench

import (
	"context"
	"math/rand/v2"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine"
	"wakefuzz/playback"
	"wakefuzz/tts"
)

const (
	clipLength = 500 * time.Millisecond
	window     = time.Second
	frame      = 80 * time.Millisecond
)

// Clip returns a clip that reacts in a share of its plays, 0 to 1, in steps of
// a thousandth.
func Clip(rate float64) tts.Clip {
	samples := make([]int16, int(clipLength*tts.SampleRate/time.Second))
	samples[0] = int16(rate*1000 + 0.5)
	return tts.Clip{Samples: samples}
}

// Bench is a player and an oracle on a virtual clock. Whether a play reacts
// depends on its clip and its seed alone.
type Bench struct {
	now  bench.Instant
	peak float32
}

var (
	_ playback.Player = (*Bench)(nil)
	_ oracle.Oracle   = (*Bench)(nil)
)

// Play decides whether the clip reacts, and moves the clock to its end.
func (b *Bench) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	b.peak = 0.1
	if rand.New(rand.NewPCG(cue.Seed, 0)).Float64()*1000 < float64(cue.Clip.Samples[0]) {
		b.peak = 0.9
	}
	start := b.now
	b.now = b.now.Add(cue.Clip.Duration())
	return playback.Sounding{Span: bench.Span{Start: start, End: b.now}}, ctx.Err()
}

// Name is the name of engines.
func (b *Bench) Name() string { return engine.Name }

// Window is one second.
func (b *Bench) Window() time.Duration { return window }

// Observe returns a score for every 80 ms of the span, as many as a real engine
// does, with the peak in the middle.
func (b *Bench) Observe(ctx context.Context, watched bench.Span) (bench.Observation, error) {
	b.now = max(b.now, watched.End)
	scores := make([]float32, watched.Duration()/frame)
	for i := range scores {
		scores[i] = b.peak / float32(1+max(i-len(scores)/2, len(scores)/2-i))
	}
	return bench.Observation{
		Oracle:  engine.Name,
		Watched: watched,
		Scores:  bench.Series{Start: watched.Start.Add(frame), Step: frame, Values: scores},
	}, ctx.Err()
}
