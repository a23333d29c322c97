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

// Next goes by what each candidate has been through, not by how many batches
// there were: results that were taken back may come out otherwise later, and a
// word that then reacted after all is played in the rounds that it lacks.
func (r rounds) Next(done []Done) Batch {
	all := r.standings(done, 1)
	through := make([]int, len(r.candidates)) // rounds; -1 for those that are out
	for _, d := range done {
		for i, item := range d.Batch {
			passed := &through[r.place[item.key()]]
			if got := d.Results[i]; item.Stage == StageLast || *passed < 0 {
				continue
			} else if got.Reacted > 0 || got.Measured() == 0 {
				*passed++
			} else {
				*passed = -1
			}
		}
	}
	var batch Batch
	for i, c := range r.candidates {
		all[i].confirmed = through[i] == len(r.Screens) || all[i].asked > 0
		if passed := through[i]; passed >= 0 && !all[i].confirmed {
			batch = append(batch, Item{Candidate: c, Stage: StageScreen, Plays: r.Screens[passed]})
		}
	}
	return append(r.finish(r.last, all), batch...)
}

// mustBeValid panics where options are not: whoever reads them from a file has
// validated them.
func mustBeValid(problems ...error) {
	if err := errors.Join(problems...); err != nil {
		panic("protocol: " + err.Error())
	}
}
