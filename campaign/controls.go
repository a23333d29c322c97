package campaign

import (
	"context"
	"fmt"
	"time"

	"wakefuzz/bench"
	"wakefuzz/results"
	"wakefuzz/tts"
)

// restlessPlays is how many plays in a row a device may spoil by not coming to
// rest, before the campaign waits for it.
const restlessPlays = 3

// watch is what a pass knows of the device's hearing.
type watch struct {
	// control is the trial of the wake word that was played last; heard says
	// whether any of its plays was measured, woke whether the device has reacted
	// in one, and seen which oracles saw so.
	control     results.TrialID
	heard, woke bool
	seen        map[string]bool
	// blind are the oracles that did not see the last control wake the device,
	// though it did.
	blind map[string]bool
	// unproven are the plays measured since the device last showed that it
	// hears, be it in an earlier session.
	unproven []results.Void
	// restless counts plays in a row that the device spoiled.
	restless int
	// voided counts plays that were taken back.
	voided int
}

// readUnproven reads from the store which plays no control has proven yet.
func (r *Runner) readUnproven() ([]results.Void, error) {
	controls := map[results.TrialID]bool{}
	for _, t := range r.Store.Trials() {
		controls[t.ID] = t.Role == results.RolePositive
	}
	voids, err := r.Store.Voids()
	if err != nil {
		return nil, err
	}
	void := map[results.Void]bool{}
	for _, v := range voids {
		void[results.Void{Play: v.Play, Number: v.Number}] = true
	}
	var unproven []results.Void
	for a, err := range r.Store.Attempts() {
		if err != nil {
			return nil, err
		}
		play := results.Void{Play: a.Play, Number: a.Number}
		switch {
		case a.State == bench.Unmeasured, void[play]:
		case controls[a.Play.Trial] && a.State == bench.Reacted:
			unproven = nil
		default:
			unproven = append(unproven, play)
		}
	}
	return unproven, nil
}

// check looks after each play whether the device under test still hears. Where
// the wake word no longer wakes it, in any play of a control, what was measured
// since it last did is void. Then, and where the device does not come to rest,
// the campaign waits until the wake word wakes it.
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
	control := j.trial.Role == results.RolePositive
	if control && p.control != j.trial.ID {
		p.control, p.heard, p.woke, p.seen = j.trial.ID, false, false, map[string]bool{}
	}
	if control {
		for _, reading := range p.Spec.Rules().Judge(a.Sound, a.Observations).Readings {
			p.seen[reading.Oracle] = p.seen[reading.Oracle] || reading.State == bench.Reacted
		}
	}
	if control && a.State != bench.Unmeasured {
		p.heard = true
	}
	if control && a.State == bench.Reacted {
		p.woke, p.unproven = true, nil
	}
	over := control && a.Play.Index == j.plays[len(j.plays)-1]
	if over && p.woke {
		p.compare(j.trial.Word)
	}
	switch {
	case over && p.heard && !p.woke:
		why := fmt.Sprintf("%q no longer wakes the device", j.trial.Word)
		for _, name := range p.Spec.Bench.oracles() {
			if p.seen[name] {
				why += fmt.Sprintf(", though its %s still reacts", name)
			}
		}
		n, err := p.void(why)
		if err != nil {
			return err
		}
		return p.await(ctx, b, a.Bench, fmt.Sprintf("%s; %d plays since it last did are void and will be played again", why, n))
	case p.restless >= p.tolerance(j.trial):
		return p.await(ctx, b, a.Bench, "the device does not come to rest: "+a.Detail)
	default:
		return nil
	}
}

// tolerance is how many plays in a row the device may spoil. At a fixed pace it
// may be busy with one play for all the rest of the trial.
func (p *pass) tolerance(t results.Trial) int {
	if p.Spec.Protocol.Pace.Fixed() {
		return max(restlessPlays, t.Plays)
	}
	return restlessPlays
}

// compare says after a control that woke the device which oracles did not see
// so, and which do again. The verdict does without them, so nothing is void: a
// night goes on without its second sense, but not without a word about it.
func (p *pass) compare(word string) {
	for _, name := range p.Spec.Bench.oracles() {
		seen := p.seen[name]
		switch {
		case !seen && !p.blind[name]:
			p.Note("%q wakes the device, but its %s does not show it: look at the device and at bench.%s; the campaign goes on, with the verdict by %s", word, name, name, p.Spec.Rules().Fusion)
			p.Log.Warn("an oracle does not see the control", "oracle", name)
		case seen && p.blind[name]:
			p.Note("its %s shows again that %q wakes the device", name, word)
			p.Log.Info("an oracle sees the control again", "oracle", name)
		}
		p.blind[name] = !seen
	}
}

// void takes back what is unproven, and returns how many plays that is.
func (p *pass) void(why string) (int, error) {
	n := len(p.unproven)
	if err := p.takeBack(p.unproven, why); err != nil {
		return 0, err
	}
	p.voided += n
	p.unproven = nil
	return n, nil
}

// takeBack takes plays back, if there are any, and counts anew.
func (p *pass) takeBack(back []results.Void, why string) error {
	if len(back) == 0 {
		return nil
	}
	now := time.Now()
	for i := range back {
		back[i].Reason, back[i].Wall = why, now
	}
	if err := p.Store.Void(back...); err != nil {
		return err
	}
	score, err := p.newScore()
	if err != nil {
		return err
	}
	p.score.become(score)
	return nil
}

// await says why the campaign pauses, and plays the wake word now and then
// until it wakes the device, or the run is to stop.
func (p *pass) await(ctx context.Context, b *Bench, number int, why string) error {
	p.Note("%s; trying every %v until the device hears", why, p.Spec.Controls.Retry)
	p.Log.Warn("campaign pauses", "reason", why)
	p.restless = 0

	waiting, cancel := p.untilStop(ctx)
	defer cancel()
	clip, err := p.Speak(waiting, tts.Utterance{Text: p.Spec.WakeWord, Voice: p.Spec.Voices[0]})
	for woke := false; !woke; {
		if waiting.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		select {
		case <-time.After(p.Spec.Controls.Retry):
			woke, err = p.probe(waiting, b, number, clip)
		case <-waiting.Done():
		}
	}
	p.Note("the device hears again")
	p.Log.Info("campaign goes on")
	return nil
}

// probe plays the wake word once, outside the plan, and stores nothing.
func (p *pass) probe(ctx context.Context, b *Bench, number int, clip tts.Clip) (woke bool, err error) {
	restless, err := p.settle(ctx, b)
	if err != nil || restless != "" {
		return false, err
	}
	verdict, err := p.attempt(ctx, b, clip, &results.Attempt{Bench: number})
	return verdict.State == bench.Reacted, err
}
