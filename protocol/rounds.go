package protocol

import (
	"errors"
	"fmt"
)

// RoundsOptions are the rounds before the last one.
type RoundsOptions struct {
	// Screens is how often each word is played in each round: [1, 1] has every
	// word played once, and those that reacted once more.
	Screens []int `yaml:"screens,omitempty"`
}

// WithDefaults fills in what is left out. The paper does not say how many
// rounds there were.
func (o RoundsOptions) WithDefaults() RoundsOptions {
	if len(o.Screens) == 0 {
		o.Screens = []int{1, 1}
	}
	return o
}

// Validate names the key at fault.
func (o RoundsOptions) Validate() error {
	if len(o.Screens) == 0 {
		return errors.New("screens: there is no round before the last one")
	}
	for _, plays := range o.Screens {
		if plays < 1 {
			return fmt.Errorf("screens: a round of %d plays", plays)
		}
	}
	return nil
}

// Rounds plays every candidate, then those again that reacted, and so on; those
// that reacted in every round are played in the last stage. That is how the
// paper's section 5.5 can be read, which shows "the last round of 10 tests for
// each word". A candidate whose plays in a round could all not be measured goes
// on as if it had reacted.
//
// It misses words that stay quiet in a single round: of those that react to
// half of their plays, three in four with two rounds of one play.
func Rounds(candidates []Candidate, o RoundsOptions, last Last) Protocol {
	mustBeValid(o.Validate(), last.Validate())
	return rounds{newRoster(candidates), o, last}
}

type rounds struct {
	roster
	RoundsOptions
	last Last
}

func (r rounds) Next(done []Done) Batch {
	alive := r.candidates
	for i, plays := range r.Screens {
		if i == len(done) {
			batch := make(Batch, len(alive))
			for i, c := range alive {
				batch[i] = Item{Candidate: c, Stage: StageScreen, Plays: plays}
			}
			return batch
		}
		alive = alive[:0:0]
		done[i].check()
		for j, item := range done[i].Batch {
			if got := done[i].Results[j]; got.Reacted > 0 || got.Measured() == 0 {
				alive = append(alive, item.Candidate)
			}
		}
	}
	all := r.standings(done[len(r.Screens):], 1)
	for _, c := range alive {
		all[r.place[c.key()]].confirmed = true
	}
	return r.finish(r.last, all)
}

// mustBeValid panics where options are not: whoever reads them from a file has
// validated them.
func mustBeValid(problems ...error) {
	if err := errors.Join(problems...); err != nil {
		panic("protocol: " + err.Error())
	}
}
