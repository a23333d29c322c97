package campaign

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"wakefuzz/bench"
	"wakefuzz/results"
)

// PaceSpec is when plays begin.
type PaceSpec struct {
	Kind PaceKind `yaml:"kind"`
	// Rest is how long a trial at a fixed pace waits before its idle stretch, so
	// that what the play before drew does not reach into it.
	Rest time.Duration `yaml:"rest"`
	// Stretch is the length of a trial's idle stretch, and of the stretch
	// after it, in which its plays begin at equal distances: the paper's d,
	// section 4.1.2.
	Stretch time.Duration `yaml:"stretch"`
}

// PaceKind is the name of a pace.
type PaceKind string

// The paces.
const (
	// PaceSettled: before each play the device comes to rest; see SettleSpec.
	PaceSettled PaceKind = "settled"
	// PaceFixed: a trial is an idle stretch and one with its plays, in which
	// nothing waits for the device, as in section 4.1.2 of the paper. It is
	// played whole or not at all, and only such a trial can be judged as one.
	PaceFixed PaceKind = "fixed"
)

// PaperStretch is the length of the paper's two stretches, section 4.1.2.
const PaperStretch = time.Minute

// wordLength is what the pace allows for a word and the loudspeaker's latency.
// Longer words make the plays after them late.
const wordLength = time.Second

// Fixed says whether the pace is the fixed one.
func (p PaceSpec) Fixed() bool { return p.Kind == PaceFixed }

// Trial is how long a trial at the fixed pace takes.
func (p PaceSpec) Trial() time.Duration { return p.Rest + 2*p.Stretch }

// slot is the time from one play to the next, of so many.
func (p PaceSpec) slot(plays int) time.Duration { return p.Stretch / time.Duration(plays) }

func (p PaceSpec) validate() error {
	switch {
	case p.Kind != PaceSettled && p.Kind != PaceFixed:
		return fmt.Errorf("kind: %q is not one of: settled, fixed", p.Kind)
	case p.Rest < 0:
		return fmt.Errorf("rest: %v is negative", p.Rest)
	case p.Stretch <= 0 || p.Stretch > time.Hour:
		return fmt.Errorf("stretch: %v is not between nothing and an hour", p.Stretch)
	}
	return nil
}

// keepsPace returns an error unless what a play takes fits between two plays at
// the fixed pace.
func (s Spec) keepsPace() error {
	if !s.Protocol.Pace.Fixed() {
		return nil
	}
	if !s.Bench.Physical() {
		return errors.New("protocol.pace.kind: a software bench has no time to keep; leave it out")
	}
	plays, key := s.Protocol.Plays, "protocol.plays"
	if s.Controls.Every > 0 && s.Controls.Plays > plays {
		plays, key = s.Controls.Plays, "controls.plays"
	}
	slot := s.Protocol.Pace.slot(plays)
	watched := s.watches()
	for _, name := range s.Bench.oracles() {
		if need := wordLength + watched[name]; slot < need {
			return fmt.Errorf("protocol.pace.stretch: %v is %v for each of %d plays, but a word and the %v that judge.%s watches after it take %v; lengthen it, or lower %s",
				s.Protocol.Pace.Stretch, slot, plays, watched[name], name, need, key)
		}
	}
	return nil
}

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
