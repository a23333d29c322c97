package campaign

import (
	"context"
	"fmt"
	"time"

	"wakefuzz/bench"
	"wakefuzz/playback"
)

// Once sounds the cue outside of any campaign, and returns what each oracle saw of
// it until so long after it, or for its window where that is longer. A sound with
// a fault is not watched. An error means that the bench is of no further use, or
// that ctx ended.
func (b *Bench) Once(ctx context.Context, cue playback.Cue, watch time.Duration) (playback.Sounding, []bench.Observation, error) {
	sounding, err := b.Player.Play(ctx, cue)
	if err != nil {
		return sounding, nil, fmt.Errorf("player: %w", err)
	}
	if sounding.Fault != bench.NoFault {
		return sounding, nil, nil
	}
	var observations []bench.Observation
	for _, o := range b.Oracles {
		observation, err := o.Observe(ctx, bench.Span{Start: sounding.Span.Start, End: sounding.Span.End.Add(max(watch, o.Window()))})
		if err != nil {
			return sounding, nil, fmt.Errorf("oracle %s: %w", o.Name(), err)
		}
		observations = append(observations, observation)
	}
	return sounding, observations, nil
}
