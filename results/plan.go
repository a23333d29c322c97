package results

import (
	"errors"
	"fmt"
)

// plan is a campaign's frozen plan, with what finds a play in it. Every play
// has a slot, its place among all plays of the plan, so that what is known of
// each play fits a slice.
type plan struct {
	trials []Trial
	places map[TrialID]int
	// first[i] is the slot of the first play of trials[i]; its last element is
	// the number of plays.
	first []int
}

func newPlan(trials []Trial) (*plan, error) {
	p := &plan{trials: trials, places: make(map[TrialID]int, len(trials)), first: make([]int, 1, len(trials)+1)}
	if len(trials) == 0 {
		return nil, errors.New("the plan has no trials")
	}
	for i, t := range trials {
		if err := t.validate(); err != nil {
			return nil, err
		}
		if _, twice := p.places[t.ID]; twice {
			return nil, fmt.Errorf("trial %s is planned twice", t.ID)
		}
		p.places[t.ID] = i
		p.first = append(p.first, p.first[i]+t.Plays)
		if p.plays() > maxPlays {
			return nil, fmt.Errorf("the plan has more than %d plays", maxPlays)
		}
	}
	return p, nil
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
