package campaign

import (
	"context"
	"fmt"
	"sync"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/playback"
	"wakefuzz/results"
	"wakefuzz/tts"
)

// playSegment plays words back to back, as one sound, to a device at rest. A
// reaction ends the sound. The words that can have caused it, by the windows of
// the rules, have all reacted; those before them did not; and those after them
// are played as a segment again, so that none goes unheard because the device was
// busy. All that a sound told is stored at once: what a kill cuts off is played
// again to a device at rest, and so a resumed segment equals one that was not
// cut off.
func (p *pass) playSegment(ctx context.Context, number int, b *Bench, words []spoken) error {
	for len(words) > 0 && !p.Stopped() {
		told, err := p.playSound(ctx, number, b, words)
		if err != nil || told == 0 {
			return err
		}
		words = words[told:]
	}
	return nil
}

// playSound plays the words as one sound, up to the first that its voice can't
// speak, stores what it told, and returns of how many of them, from the first,
// that was. It is none only where the run is to stop.
func (p *pass) playSound(ctx context.Context, number int, b *Bench, words []spoken) (told int, err error) {
	unheard := func(fault bench.Fault, detail string) (int, error) {
		a := p.begin(results.PlayID{Trial: words[0].trial.ID}, number)
		a.Fault, a.Detail = fault, detail
		return 1, p.store(ctx, b, words[:1], []results.Attempt{a})
	}
	if err := words[0].err; err != nil && !concernsOneWord(err) {
		return 0, fmt.Errorf("speaking %q: %w", words[0].trial.Word, err)
	} else if err != nil {
		return unheard(bench.FaultSynthesis, err.Error())
	}
	restless, err := p.settle(ctx, b)
	if err != nil || p.Stopped() {
		return 0, err
	}
	if restless != "" {
		return unheard(bench.FaultDevice, restless)
	}
	var attempts []results.Attempt
	var sounding []placed
	var joined tts.Clip
	gap := int(p.Spec.Protocol.Gap.Seconds() * tts.SampleRate)
	for _, w := range words {
		if w.err != nil {
			break
		}
		clip := w.clip.Trim()
		sounding = append(sounding, placed{clip: clip, at: joined.Duration()})
		joined.Samples = append(append(joined.Samples, clip.Samples...), make([]int16, gap)...)
		attempts = append(attempts, p.begin(results.PlayID{Trial: w.trial.ID}, number))
	}
	joined.Samples = joined.Samples[:len(joined.Samples)-gap]
	cue := playback.Cue{Clip: joined, Seed: attempts[0].Play.Seed()}
	verdicts, fatal := p.sound(ctx, b, cue, sounding, attempts)
	if fatal != nil {
		return 0, fatal
	}
	told = len(verdicts)
	if told == 0 && !p.Stopped() {
		// Left to a later try, for what stopped the sound may do so again.
		return unheard(bench.FaultDevice, "the sound was stopped before the word was over, as if the device reacted, but no oracle shows a reaction")
	}
	return told, p.store(ctx, b, words[:told], attempts[:told])
}

// glance is how often the device is looked at while a segment sounds.
const glance = 100 * time.Millisecond

// playUntilReaction plays the cue, and where it has several words stops it once
// the device seems to react, so that no more than a word or two are said to a
// device that is busy, or once the run is to stop. What is a reaction the rules
// say later: a sound that was stopped for nothing costs time, and nothing else.
func (p *pass) playUntilReaction(ctx context.Context, b *Bench, cue playback.Cue, words int) (playback.Sounding, error) {
	if words < 2 || b.Reacting == nil {
		return b.Player.Play(ctx, cue)
	}
	stop := make(chan struct{})
	cue.Stop = stop
	over, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		for !b.Reacting(over) && !p.Stopped() {
			select {
			case <-time.After(glance):
			case <-over.Done():
				return
			}
		}
		close(stop)
	})
	defer watching.Wait()
	defer cancel()
	return b.Player.Play(ctx, cue)
}

// store stores what a sound told of its words, all of it or none, and looks after
// the device.
func (p *pass) store(ctx context.Context, b *Bench, words []spoken, attempts []results.Attempt) error {
	if len(attempts) == 0 {
		return nil
	}
	until := bench.Instant(0)
	for _, a := range attempts {
		until = max(until, heard(a))
	}
	if err := p.Store.AppendObserved(p.observed(b, attempts[0], until), attempts...); err != nil {
		return err
	}
	verdicts := make([]oracle.Verdict, len(attempts))
	cause := -1 // the first word by which a reaction is known, if by another sense alone
	for i, a := range attempts {
		verdicts[i] = p.Spec.Rules().Judge(a.Sound, a.Observations)
		if reacted(verdicts[i]) && (cause < 0 || a.State == bench.Reacted && attempts[cause].State != bench.Reacted) {
			cause = i
		}
	}
	for i, a := range attempts {
		p.tell(words[i].trial, a, verdicts[i])
		if i == cause || !reacted(verdicts[i]) { // one reaction is one file
			p.keep(ctx, b, words[i].trial, a, verdicts[i])
		}
		if err := p.check(ctx, b, words[i], a); err != nil {
			return err
		}
	}
	return nil
}
