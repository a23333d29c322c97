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
	// reaction is how long after the beginning of a word the bench reacts to it.
	reaction = 10 * frame
)

// Clip returns a clip that reacts in a share of its plays, 0 to 1, in steps of
// a thousandth. Its first sample says so, and all others are silent.
func Clip(rate float64) tts.Clip {
	samples := make([]int16, int(clipLength*tts.SampleRate/time.Second))
	samples[0] = int16(rate*1000 + 0.5)
	return tts.Clip{Samples: samples}
}

// Bench is a player and an oracle on a virtual clock. Whether a play reacts
// depends on its clip and its seed alone. In clips that are joined it hears each
// by itself.
type Bench struct {
	now     bench.Instant
	reacted []bench.Instant // in the last play
}

var (
	_ playback.Player = (*Bench)(nil)
	_ oracle.Oracle   = (*Bench)(nil)
)

// Play decides whether the clip reacts, and moves the clock to its end.
func (b *Bench) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	start := b.now
	b.reacted = nil
	lots := rand.New(rand.NewPCG(cue.Seed, 0))
	for i, thousandths := range cue.Clip.Samples {
		if thousandths > 0 && lots.Float64()*1000 < float64(thousandths) {
			word := start.Add(time.Duration(i) * time.Second / tts.SampleRate)
			b.reacted = append(b.reacted, word.Add(reaction))
		}
	}
	b.now = b.now.Add(cue.Clip.Duration())
	return playback.Sounding{Span: bench.Span{Start: start, End: b.now}}, ctx.Err()
}

// Name is the name of engines.
func (b *Bench) Name() string { return engine.Name }

// Window is one second.
func (b *Bench) Window() time.Duration { return window }

// Observe returns a score for every 80 ms of the span, as many as a real engine
// does, which is high where the bench reacted.
func (b *Bench) Observe(ctx context.Context, watched bench.Span) (bench.Observation, error) {
	b.now = max(b.now, watched.End)
	scores := make([]float32, watched.Duration()/frame)
	for i := range scores {
		scores[i] = 0.1
		end := watched.Start.Add(time.Duration(i+1) * frame)
		for _, at := range b.reacted {
			if at > end.Add(-frame) && at <= end {
				scores[i] = 0.9
			}
		}
	}
	return bench.Observation{
		Oracle:  engine.Name,
		Watched: watched,
		Scores:  bench.Series{Start: watched.Start.Add(frame), Step: frame, Values: scores},
	}, ctx.Err()
}
