package campaign

import (
	"context"
	"fmt"
	"time"

	"wakefuzz/bench"
	"wakefuzz/results"
)

// restlessPlays is how many plays in a row a device may spoil by not coming to
// rest, before the campaign waits for it.
const restlessPlays = 3

// watch is what a pass knows of the device's hearing.
type watch struct {
	// control is the latest play of the wake word, and woke says whether the
	// device has reacted in the trial that it belongs to.
	control *spoken
	woke    bool
	// unproven are the plays measured since the device last showed that it
	// hears.
	unproven []results.Void
	// restless counts plays in a row that the device spoiled.
	restless int
	// voided counts plays that were taken back.
	voided int
}

// check looks after each play whether the device under test still hears. Where
// the wake word no longer wakes it, in any play of a control, what was measured
// since it last did is void, and the campaign waits until it does again.
func (p *pass) check(ctx context.Context, b *Bench, j spoken, a results.Attempt) error {
	if !p.Spec.Bench.Physical() || j.err != nil {
		return nil // a word that its voice can't speak says nothing of the device
	}
	p.restless++
	if a.Fault != bench.FaultDevice {
		p.restless = 0
	}
	if a.State != bench.Unmeasured {
		p.unproven = append(p.unproven, results.Void{Play: a.Play, Number: a.Number})
	}
	if j.trial.Role == results.RolePositive {
		if p.control == nil || p.control.trial.ID != j.trial.ID {
			p.control, p.woke = &j, false
		}
		if a.State == bench.Reacted {
			p.woke, p.unproven = true, nil
		}
	}
	lastOfControl := j.trial.Role == results.RolePositive && a.Play.Index == j.plays[len(j.plays)-1]
	switch {
	case lastOfControl && !p.woke:
		return p.lost(ctx, b, a.Bench, fmt.Sprintf("%q no longer wakes the device", j.trial.Word))
	case p.restless >= restlessPlays && p.control != nil:
		return p.lost(ctx, b, a.Bench, "the device does not come to rest: "+a.Detail)
	default:
		return nil
	}
}

// lost voids what is unproven, and waits until the wake word wakes the device.
func (p *pass) lost(ctx context.Context, b *Bench, number int, why string) error {
	now := time.Now()
	for i := range p.unproven {
		p.unproven[i].Reason, p.unproven[i].Wall = why, now
	}
	if len(p.unproven) > 0 {
		if err := p.Store.Void(p.unproven...); err != nil {
			return err
		}
		score, err := p.newScore()
		if err != nil {
			return err
		}
		p.score.become(score)
	}
	p.voided += len(p.unproven)
	p.Note("%s; %d plays since it last did are void and will be played again; trying every %v until it hears", why, len(p.unproven), p.Spec.Controls.Retry)
	p.Log.Warn("device lost", "reason", why, "voided", len(p.unproven))
	p.unproven, p.restless = nil, 0

	waiting, cancel := p.untilStop(ctx)
	defer cancel()
	for {
		select {
		case <-time.After(p.Spec.Controls.Retry):
		case <-waiting.Done():
			return ctx.Err()
		}
		woke, err := p.probe(waiting, b, number)
		switch {
		case waiting.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case woke:
			p.Note("the device hears again")
			p.Log.Info("device back")
			return nil
		}
	}
}

// probe plays the wake word once, outside the plan, and stores nothing.
func (p *pass) probe(ctx context.Context, b *Bench, number int) (woke bool, err error) {
	restless, err := p.settle(ctx, b)
	if err != nil || restless != "" {
		return false, err
	}
	a := results.Attempt{Play: results.PlayID{Trial: p.control.trial.ID, Index: -1}, Bench: number}
	verdict, err := p.attempt(ctx, b, p.control.clip, &a)
	return verdict.State == bench.Reacted, err
}
