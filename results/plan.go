package results

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// plan is what is planned of a campaign so far, with what finds a play in it.
// What is planned never changes; batches are only ever added. Every play has a
// slot, its place among all plays of the plan, so that what is known of each
// play fits a slice.
type plan struct {
	trials []Trial
	places map[TrialID]int
	// first[i] is the slot of the first play of trials[i]; its last element is
	// the number of plays.
	first []int
	// batches is how many there are, and whole says that none will follow.
	batches int
	whole   bool
}

// newPlan plans trials in batches of so many; one of none ends the plan.
func newPlan(trials []Trial, batches []int) (*plan, error) {
	p := &plan{places: make(map[TrialID]int, len(trials)), first: []int{0}}
	for _, n := range batches {
		if n > len(trials) {
			return nil, fmt.Errorf("a batch of %d trials, of which %d are there", n, len(trials))
		}
		if err := p.extend(trials[:n]); err != nil {
			return nil, err
		}
		trials = trials[n:]
	}
	switch {
	case len(trials) > 0:
		return nil, fmt.Errorf("%d trials are in no batch", len(trials))
	case p.batches == 0:
		return nil, errors.New("the plan has no trials")
	}
	return p, nil
}

// extend adds a batch; one without trials ends the plan. The plan is of no
// further use where it fails.
func (p *plan) extend(batch []Trial) error {
	if p.whole {
		return errors.New("the plan is whole already")
	}
	if len(batch) == 0 {
		p.whole = true
		return nil
	}
	p.batches++
	for _, t := range batch {
		if err := t.validate(); err != nil {
			return err
		}
		if _, twice := p.places[t.ID]; twice {
			return fmt.Errorf("trial %s is planned twice", t.ID)
		}
		t.Batch = p.batches
		p.places[t.ID] = len(p.trials)
		p.first = append(p.first, p.plays()+t.Plays)
		p.trials = append(p.trials, t)
		if p.plays() > maxPlays {
			return fmt.Errorf("the plan has more than %d plays", maxPlays)
		}
	}
	return nil
}

// clone is a copy that can be extended without changing the plan.
func (p *plan) clone() *plan {
	q := *p
	q.trials, q.places, q.first = slices.Clone(p.trials), maps.Clone(p.places), slices.Clone(p.first)
	return &q
}

func (p *plan) plays() int { return p.first[len(p.first)-1] }

// place is the place of the play's trial in the plan.
func (p *plan) place(id PlayID) (int, error) {
	place, known := p.places[id.Trial]
	if !known || id.Index < 0 || id.Index >= p.trials[place].Plays {
		return 0, fmt.Errorf("play %s is not in the plan", id)
	}
	return place, nil
}

func (p *plan) validate(place, index, number int) error {
	if place < 0 || place >= len(p.trials) || index < 0 || index >= p.trials[place].Plays {
		return fmt.Errorf("play %d of trial %d is not in the plan", index, place)
	}
	if number < 1 {
		return fmt.Errorf("attempt number %d", number)
	}
	return nil
}
