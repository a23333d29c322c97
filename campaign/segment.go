package campaign

import (
	"context"
	"fmt"
	"sync"
	"time"

	"wakefuzz/bench"
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

// playSound plays the words as one sound, stores what it told, and returns of how
// many of them, from the first, it told something.
func (p *pass) playSound(ctx context.Context, number int, b *Bench, words []spoken) (told int, err error) {
	restless, err := p.settle(ctx, b)
	if err != nil || p.Stopped() {
		return 0, err
	}
	// Words that their voice can't speak are left out, up to the one before which
	// there is something to hear.
	var attempts []results.Attempt
	var sounding []placed
	var joined tts.Clip
	gap := int(p.Spec.Protocol.Gap.Seconds() * tts.SampleRate)
	for i, w := range words {
		if w.err != nil && !concernsOneWord(w.err) {
			return 0, fmt.Errorf("speaking %q: %w", w.trial.Word, w.err)
		}
		if w.err != nil || restless != "" {
			if i > 0 {
				words = words[:i]
				break
			}
			a := p.begin(results.PlayID{Trial: w.trial.ID}, number)
			a.Fault, a.Detail = bench.FaultDevice, restless
			if w.err != nil {
				a.Fault, a.Detail = bench.FaultSynthesis, w.err.Error()
			}
			return 1, p.store(ctx, b, words[:1], []results.Attempt{a})
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
	return told, p.store(ctx, b, words[:told], attempts[:told])
}

// glance is how often the device is looked at while a segment sounds.
const glance = 100 * time.Millisecond

// playUntilReaction plays the cue, and where it has several words stops it once
// the device seems to react, so that no more than a word or two are said to a
// device that is busy. What is a reaction the rules say later: a sound that was
// stopped for nothing costs time, and nothing else.
func playUntilReaction(ctx context.Context, b *Bench, cue playback.Cue, words int) (playback.Sounding, error) {
	if words < 2 || b.Reacting == nil {
		return b.Player.Play(ctx, cue)
	}
	stop := make(chan struct{})
	cue.Stop = stop
	over, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		for !b.Reacting(over) {
			select {
			case <-time.After(glance):
			case <-over.Done():
				return
			}
		}
		close(stop)
	})
	sounding, err := b.Player.Play(ctx, cue)
	cancel()
	watching.Wait()
	return sounding, err
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
	kept := false
	for i, a := range attempts {
		verdict := p.Spec.Rules().Judge(a.Sound, a.Observations)
		p.tell(words[i].trial, a, verdict)
		if !kept { // one reaction is one file, whichever word it is by
			p.keep(ctx, b, words[i].trial, a, verdict)
			kept = a.State == bench.Reacted
		}
		if err := p.check(ctx, b, words[i], a); err != nil {
			return err
		}
	}
	return nil
}
