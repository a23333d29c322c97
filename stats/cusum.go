package stats

import (
	"fmt"
	"math"
)

// Cusum watches plays with a known answer, one after the other, and raises an
// alarm where they go wrong more often than they should: a wake word that is
// not heard, or silence that is. It is the Bernoulli CUSUM of M. Reynolds and
// Z. Stoumbos ("A CUSUM chart for monitoring a proportion when inspecting
// continuously", J. Qual. Technol. 31, 1999). A play that goes wrong adds Up, one
// that goes right takes 1 off, the sum is never below 0, and an alarm is a sum
// of Limit or more. One failure is forgotten, and many in a short time are not.
//
// Both numbers follow from three that mean something, see [NewCusum], and how
// often a bench that is well raises an alarm is exact, not simulated; see
// [Cusum.RunLength].
type Cusum struct {
	Up, Limit int

	sum, since int
}

// maxChain bounds what an absurd wish costs: Up times Limit.
const maxChain = 1 << 23

// NewCusum is the rule that tells plays which go wrong at the rate bad from
// those which do at the rate good, and which, while they go wrong at the rate
// good, raises an alarm every so many plays on average or less often. Up is the
// likelihood ratio's weight of a failure in units of that of a success, rounded,
// and Limit the lowest that keeps the promise. It wants 0 < good < bad < 1, and
// at least 1 play between alarms.
func NewCusum(good, bad, between float64) (*Cusum, error) {
	if !(0 < good && good < bad && bad < 1) || !(between >= 1) || math.IsInf(between, 1) {
		return nil, fmt.Errorf("no rule tells failures at a rate of %g from ones at %g with an alarm every %g plays: rates must lie between 0 and 1, the second above the first", good, bad, between)
	}
	failure := math.Log(bad / good)
	success := math.Log((1 - good) / (1 - bad))
	c := &Cusum{Up: max(1, int(math.Round(min(failure/success, maxChain)))), Limit: 1}
	// The run length grows with the limit: double it, then halve the interval.
	long := func(limit int) bool {
		return (&Cusum{Up: c.Up, Limit: limit}).RunLength(good) >= between
	}
	for !long(c.Limit) {
		if c.Limit *= 2; c.Limit*min(c.Up, c.Limit) > maxChain {
			return nil, fmt.Errorf("failures at a rate of %g and of %g are too alike to be told apart with an alarm every %g plays", good, bad, between)
		}
	}
	for low := c.Limit / 2; c.Limit-low > 1; {
		if middle := (low + c.Limit) / 2; long(middle) {
			c.Limit = middle
		} else {
			low = middle
		}
	}
	return c, nil
}

// Add counts a play, and reports whether that is an alarm. After an alarm the
// sum stays where it is until [Cusum.Reset].
func (c *Cusum) Add(wrong bool) (alarm bool) {
	if wrong {
		c.sum += c.Up
	} else {
		c.sum = max(0, c.sum-1)
	}
	c.since++
	if c.sum == 0 {
		c.since = 0
	}
	return c.sum >= c.Limit
}

// Since is how many plays ago the sum was last 0: the likeliest beginning of
// what raised the alarm is the first of them.
func (c *Cusum) Since() int { return c.since }

// Reset begins anew.
func (c *Cusum) Reset() { c.sum, c.since = 0, 0 }

// RunLength is how many plays there are on average from a sum of 0 to an alarm,
// where plays go wrong at that rate, each by itself. It is +Inf where none does, or where it is beyond all numbers.
//
// The sum is a Markov chain over 0 to Limit-1, and the run length is the time
// to leave it. Let L(s) be the time that is left at s. At 0 a success leaves all
// as it was, so L(0) = 1/p + L(Up), and above
//
//	L(s) = 1 + p·L(s+Up) + (1-p)·L(s-1)
//
// Put one into the next, from 0 upwards, each is a constant and a positive
// multiple of the Up that follow it. From the other end, where L is 0 from Limit
// on, they are then all known.
func (c *Cusum) RunLength(p float64) float64 {
	if !(p > 0) {
		return math.Inf(1)
	}
	// L(s) = constant[s] + Σ over j of ahead[s][j]·L(s+1+j), j < Up.
	constant := make([]float64, c.Limit)
	up := min(c.Up, c.Limit) // what is beyond the limit is an alarm anyway
	ahead := make([][]float64, c.Limit)
	for s := range c.Limit {
		ahead[s] = make([]float64, up)
		if s == 0 {
			constant[0] = 1 / p
			ahead[0][up-1] = 1
			continue
		}
		// L(s-1) has an L(s) in it: what comes round to itself is divided out.
		// What does not is added up: it is 1-(1-p)·before[0], which would
		// leave a rounding error that grows with every step.
		before := ahead[s-1]
		onwards := p
		for _, weight := range before[1:] {
			onwards += (1 - p) * weight
		}
		constant[s] = (1 + (1-p)*constant[s-1]) / onwards
		if math.IsInf(constant[s], 1) {
			return constant[s]
		}
		for j := range up - 1 {
			ahead[s][j] = (1 - p) * before[j+1] / onwards
		}
		ahead[s][up-1] += p / onwards
	}
	left := make([]float64, c.Limit+up) // 0 from the limit on
	for s := c.Limit - 1; s >= 0; s-- {
		left[s] = constant[s]
		for j, weight := range ahead[s] {
			left[s] += weight * left[s+1+j]
		}
	}
	return left[0]
}

// String says the rule.
func (c *Cusum) String() string {
	return fmt.Sprintf("each failure counts %d and each success -1, never below 0; alarm from %d on", c.Up, c.Limit)
}
