package protocol

import (
	"errors"
	"fmt"
)

// Last is the last stage: how often a word is played whose rate is shown.
type Last struct {
	// Plays is how often: ten in the paper.
	Plays int
	// Hit, where it is not 0, is how many reactions make a word a hit, and has
	// the plays of a word stop as soon as it has that many or can't have them
	// any more. That saves up to half of the plays and finds the same hits as
	// all plays would. But the rates are for ranking only: the number of plays
	// depends on what they gave, so that a hit's share of reactions is too high
	// (five of five for any word that is as quick), other words' too low, and no
	// interval holds what it says.
	Hit int
}

// Validate names what is wrong.
func (l Last) Validate() error {
	switch {
	case l.Plays < 1:
		return errors.New("the last stage has no plays")
	case l.Hit < 0 || l.Hit > l.Plays:
		return fmt.Errorf("%d reactions in %d plays can't be a hit", l.Hit, l.Plays)
	}
	return nil
}

// next is how often a word is played now that was asked to be played so often
// in the last stage and gave so much, or 0 where it is through. Where it may
// stop early these are the plays without which nothing can be decided, so that
// a word is through after few batches. Plays that could not be measured are
// spent: a word ends, whatever the bench does.
func (l Last) next(asked int, got Result) int {
	left := l.Plays - asked
	if l.Hit == 0 {
		return left
	}
	return max(0, min(left, l.Hit-got.Reacted, l.Plays-l.Hit+1-got.Quiet))
}
