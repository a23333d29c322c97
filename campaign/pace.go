package campaign

import (
	"context"
	"slices"
	"time"

	"wakefuzz/bench"
	"wakefuzz/results"
)

// pace is that of a trial whose plays begin at equal distances.
type pace struct {
	// from is when the first play begins, on the bench's clock.
	from    bench.Instant
	slot    time.Duration
	stretch time.Duration
	plays   int
	// played counts the plays, and end is when the stretch is over, which
	// begins with the first sound.
	played int
	end    bench.Instant
}

// next is when the next play begins.
func (c *pace) next() bench.Instant { return c.from.Add(time.Duration(c.played) * c.slot) }

// over counts a play, and returns after the last one when the stretch is over,
// and 0 before.
func (c *pace) over(a results.Attempt) bench.Instant {
	if c.played == 0 {
		c.end = max(c.from, a.Sound.Start).Add(c.stretch)
	}
	if c.played++; c.played < c.plays {
		return 0
	}
	return c.end
}

// playPaced plays a whole trial at the fixed pace (section 4.1.2 of the paper):
// a rest, an idle stretch, and a stretch of the same length with all plays. The
// last play is stored when the stretch is over, so that the trial is whole in
// the store, with all that was observed, or is not and will be played again.
// Nothing is taken back before it is.
func (p *pass) playPaced(ctx context.Context, number int, b *Bench, j spoken) error {
	spec := p.Spec.Protocol.Pace
	if err := p.wait(ctx, b, b.Now().Add(spec.Rest+spec.Stretch)); err != nil || p.Stopped() {
		return err
	}
	if err := p.takeBack(j.void, "the trial is played again, as a whole: "+j.cut); err != nil {
		return err
	}
	p.unproven = slices.DeleteFunc(p.unproven, func(v results.Void) bool { return v.Play.Trial == j.trial.ID })
	pace := pace{from: b.Now(), slot: spec.slot(len(j.plays)), stretch: spec.Stretch, plays: len(j.plays)}
	attempts := make([]results.Attempt, len(j.plays))
	for i, index := range j.plays {
		err := p.wait(ctx, b, pace.next())
		if err == nil && !p.Stopped() {
			attempts[i], err = p.playOnce(ctx, number, b, j, index, &pace)
		}
		if err != nil || p.Stopped() {
			return err
		}
	}
	// Only now, for a device that is looked after is played to.
	for _, a := range attempts {
		if err := p.check(ctx, b, j, a); err != nil {
			return err
		}
	}
	return nil
}

// wait waits until the instant, or until the run is to stop.
func (p *pass) wait(ctx context.Context, b *Bench, until bench.Instant) error {
	waiting, cancel := p.untilStop(ctx)
	defer cancel()
	for left := until.Sub(b.Now()); left > 0; left = until.Sub(b.Now()) {
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-waiting.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
	return nil
}
