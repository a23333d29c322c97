package dataset

import "wakefuzz/bench"

const (
	// Unlikely is the probability at which a row of misses is no chance.
	Unlikely = 1e-4
	// leastMisses is the shortest row that can mean anything.
	leastMisses = 3
	// credit is how many agreements an oracle is taken to have had, where what
	// wakes the device is played.
	credit = 8
)

// trust is how far an observer can be trusted, by what it saw and missed of what
// another is sure of.
type trust struct {
	seen, missed int // before the present row of misses
	row          int
	since        bench.Instant // after what it last saw, or the session's beginning
	lost         bool
}

// see counts an occasion, and reports whether trust was lost or came back.
func (t *trust) see(saw bool, at bench.Span, credit int) (changed bool) {
	if saw {
		t.since = at.End + 1
		changed = t.lost
		if !t.lost {
			t.missed += t.row // by chance
		}
		t.seen++
		t.row, t.lost = 0, false
		return changed
	}
	t.row++
	if !t.lost && t.row >= leastMisses && t.chance(credit) <= Unlikely {
		t.lost = true
		return true
	}
	return false
}

// chance is how likely the present row of misses is the last of all occasions,
// if they came in random order.
func (t *trust) chance(credit int) float64 {
	p := 1.0
	for i := 1; i <= t.row; i++ {
		p *= float64(t.missed+i) / float64(t.seen+credit+t.missed+i)
	}
	return p
}

// restart forgets the present row: somebody has seen to the bench.
func (t *trust) restart() { t.row, t.since, t.lost = 0, 0, false }
