package campaign

import (
	"context"
	"fmt"
	"time"

	"wakefuzz/bench"
	"wakefuzz/results"
	"wakefuzz/stats"
	"wakefuzz/tts"
)

// ControlsSpec is the controls section of a spec. The wake word is in any case
// played at the start, as often as every word.
type ControlsSpec struct {
	// Every is after how many words the wake word is played again, 0 for never.
	// Where it no longer wakes the device in any of its plays, what was played
	// since it last did is void and played again.
	Every int `yaml:"every"`
	// Plays is how often it is then played.
	Plays int `yaml:"plays"`
	// NegativeEvery is after how many words a negative control is played, which
	// must not wake the device, 0 for never: silence, or a word that sounds
	// nothing like the wake word. The words of the screening and of the last stage
	// are counted by themselves, over all batches, and the control has as many
	// plays as they have. The first word of each stage is followed by one. What
	// falls due within a segment comes behind it.
	NegativeEvery int `yaml:"negative_every"`
	// Drift is when a device that hears less and less raises an alarm.
	Drift DriftSpec `yaml:"drift"`
	// Retry is how long a campaign waits, once the wake word no longer wakes
	// the device, before it plays it again.
	Retry time.Duration `yaml:"retry"`
}

// DriftSpec is when plays of the wake word say that a device hears less than it
// did, though it still reacts now and then: a sequential test, see stats.Cusum.
type DriftSpec struct {
	// Miss is the share of them that a device which is well may miss, and Lost the
	// share from which on it should be noticed.
	Miss float64 `yaml:"miss"`
	Lost float64 `yaml:"lost"`
	// Between is how many plays of the wake word there are on average between two
	// false alarms, of a device that misses the share Miss.
	Between float64 `yaml:"between"`
}

func (c ControlsSpec) validate() error {
	switch {
	case c.Every < 0:
		return fmt.Errorf("every: %d is negative", c.Every)
	case c.Plays < 1 || c.Plays > 100:
		return fmt.Errorf("plays: %d is not between 1 and 100", c.Plays)
	case c.NegativeEvery < 0 || c.NegativeEvery > 1e6:
		return fmt.Errorf("negative_every: %d is not between 0 and 1000000", c.NegativeEvery)
	case c.Drift.Between > 1e9:
		return fmt.Errorf("drift.between: %g is more plays than there are in a campaign", c.Drift.Between)
	case c.Retry < time.Second:
		return fmt.Errorf("retry: %v is shorter than a second", c.Retry)
	}
	if _, err := stats.NewCusum(c.Drift.Miss, c.Drift.Lost, c.Drift.Between); err != nil {
		return fmt.Errorf("drift: %w", err)
	}
	return nil
}

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
	// hearing is what controls have shown so far, be it in an earlier session.
	hearing
	// restless counts plays in a row that the device spoiled.
	restless int
	// voided counts plays that were taken back.
	voided int
}

// hearing is what plays of the wake word show of the device.
type hearing struct {
	// unproven are the plays measured since the wake word last woke the device.
	unproven []results.Void
	// drift tells a device that hears less and less, of which single reactions are
	// no proof; doubtful are the plays measured since a control was last heard in
	// every play, and nothing spoke of drift.
	drift    *stats.Cusum
	doubtful []results.Void
	// of is the trial that was played last, and whole says that it is a control,
	// heard in every play so far.
	of    results.TrialID
	whole bool
}

func newHearing(c ControlsSpec) (hearing, error) {
	drift, err := stats.NewCusum(c.Drift.Miss, c.Drift.Lost, c.Drift.Between)
	return hearing{drift: drift}, err
}

// add counts a measured play, and reports whether the device drifts.
func (h *hearing) add(play results.Void, control, reacted bool) (drifts bool) {
	if of := play.Play.Trial; h.of != of {
		if h.whole && h.drift.Since() == 0 {
			h.doubtful = nil
		}
		h.of, h.whole = of, control
	}
	if control {
		h.whole = h.whole && reacted
		drifts = h.drift.Add(!reacted)
	}
	if control && reacted {
		h.unproven = nil
	} else {
		h.unproven = append(h.unproven, play)
	}
	h.doubtful = append(h.doubtful, play)
	return drifts
}

// readHearing reads from the store what controls have shown.
func (r *Runner) readHearing() (hearing, error) {
	h, err := newHearing(r.Spec.Controls)
	if err != nil {
		return h, err
	}
	controls := map[results.TrialID]bool{}
	for _, t := range r.Store.Trials() {
		controls[t.ID] = t.Role == results.RolePositive
	}
	voids, err := r.Store.Voids()
	if err != nil {
		return h, err
	}
	void := map[results.Void]bool{}
	for _, v := range voids {
		void[results.Void{Play: v.Play, Number: v.Number}] = true
	}
	for a, err := range r.Store.Attempts() {
		if err != nil {
			return h, err
		}
		if play := (results.Void{Play: a.Play, Number: a.Number}); a.State != bench.Unmeasured && !void[play] {
			h.add(play, controls[a.Play.Trial], a.State == bench.Reacted)
		}
	}
	return h, nil
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
	control := j.trial.Role == results.RolePositive
	drifts := false
	if a.State != bench.Unmeasured {
		drifts = p.add(results.Void{Play: a.Play, Number: a.Number}, control, a.State == bench.Reacted)
	}
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
		p.woke = true
	}
	over := control && a.Play.Index == j.plays[len(j.plays)-1]
	if over && p.woke {
		p.compare(j.trial.Word)
	}
	if drifts {
		p.unproven = p.doubtful
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
		return p.await(ctx, b, a.Bench, 1, fmt.Sprintf("%s; %d plays since it last did are void and will be played again", why, n))
	case drifts:
		why := fmt.Sprintf("%q wakes the device less and less often: %d of its plays in a row went wrong too often for a device that misses one in %.0f", j.trial.Word, p.drift.Since(), 1/p.Spec.Controls.Drift.Miss)
		n, err := p.void(why)
		if err != nil {
			return err
		}
		return p.await(ctx, b, a.Bench, recovered, fmt.Sprintf("%s; %d plays since it began are void and will be played again", why, n))
	case p.restless >= p.tolerance(j.trial):
		return p.await(ctx, b, a.Bench, 1, "the device does not come to rest: "+a.Detail)
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
	p.unproven, p.doubtful = nil, nil
	p.drift.Reset()
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

// recovered is how many plays of the wake word in a row have to wake a device
// that drifted before the campaign goes on. One that hears four in ten does so by
// chance once in ten thousand times, and one that misses one in twenty in six of
// ten tries.
const recovered = 10

// await says why the campaign pauses, and plays the wake word now and then
// until it wakes the device so often in a row, or the run is to stop.
func (p *pass) await(ctx context.Context, b *Bench, number, times int, why string) error {
	p.Note("%s; trying every %v until the device hears", why, p.Spec.Controls.Retry)
	p.Log.Warn("campaign pauses", "reason", why)
	p.restless = 0

	waiting, cancel := p.untilStop(ctx)
	defer cancel()
	clip, err := p.Speak(waiting, tts.Utterance{Text: p.Spec.WakeWord, Voice: p.Spec.Voices[0]})
	for woken := 0; woken < times; {
		if waiting.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		pause := p.Spec.Controls.Retry
		if woken > 0 {
			pause = 0 // it comes to rest before each play anyway
		}
		select {
		case <-time.After(pause):
			var woke bool
			if woke, err = p.probe(waiting, b, number, clip); woke {
				woken++
			} else {
				woken = 0
			}
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
