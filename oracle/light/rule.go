package light

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"wakefuzz/bench"
)

// Rule is when a light's changes are a reaction.
//
// It sees the light as spells: spans in which it was lit. Dark gaps shorter
// than Debounce are closed first; then spells shorter than MinLit are left
// out; then gaps shorter than HoldOver are closed.
type Rule struct {
	// Window is how long after the end of the sound the light may come on.
	Window time.Duration `yaml:"window"`
	// Debounce is the longest darkness, exclusive, that is a comparator's
	// chatter and no darkness at all.
	Debounce time.Duration `yaml:"debounce"`
	// MinLit is how long the light must stay lit to count.
	MinLit time.Duration `yaml:"min_lit"`
	// HoldOver is the longest darkness, exclusive, that is a part of the same
	// reaction, as in a ring that pulses or spins. At most Lookback.
	HoldOver time.Duration `yaml:"hold_over"`
}

// PaperWindow is how long the paper waits for the ring (section 5.5).
const PaperWindow = 2 * time.Second

// Lookback is how long before a span the record of a [Recorder] begins, where
// it reaches back so far: a ring that was between two pulses when the sound
// began is then seen for what it was.
const Lookback = 2 * time.Second

// DefaultRule waits as long as the paper. The other numbers are ours, and come
// from how photoresistors and rings behave rather than from measurements: a
// photoresistor takes 10 to 50 ms to follow a light, a segment that spins past
// it stays for 80 ms or longer, and a ring pulses faster than twice a second.
func DefaultRule() Rule {
	return Rule{
		Window:   PaperWindow,
		Debounce: 10 * time.Millisecond,
		MinLit:   50 * time.Millisecond,
		HoldOver: 500 * time.Millisecond,
	}
}

// Validate returns an error where the rule could not decide anything.
func (r Rule) Validate() error {
	switch {
	case r.Window <= 0:
		return fmt.Errorf("window: %v is not longer than nothing", r.Window)
	case r.Debounce < 0:
		return fmt.Errorf("debounce: %v is negative", r.Debounce)
	case r.MinLit < 0:
		return fmt.Errorf("min_lit: %v is negative", r.MinLit)
	case r.HoldOver < r.Debounce:
		return fmt.Errorf("hold_over: %v is shorter than the debounce of %v", r.HoldOver, r.Debounce)
	case r.HoldOver > Lookback:
		return fmt.Errorf("hold_over: %v is longer than the %v before a play that are recorded", r.HoldOver, Lookback)
	}
	return nil
}

// String states the rule.
func (r Rule) String() string {
	return fmt.Sprintf("light lit for %v within %v, gaps below %v and %v closed", r.MinLit, r.Window, r.Debounce, r.HoldOver)
}

// Watch is how long after the end of a sound a light must be watched, so that
// one that comes on in the last moment of the window can be judged.
func (r Rule) Watch() time.Duration { return r.Window + r.MinLit + r.Debounce }

// Judge reads the changes of a light that was watched from the beginning of
// the sound, or earlier. The reaction is the first spell that begins after the
// sound has begun and before the window closes; Strength is how long it
// lasted, in seconds, as far as it was watched, and 0 where there is none.
//
// A light that was lit already when the sound began is a fault of the device:
// it had not settled. A record that is too short to decide, or that makes no
// sense, is a fault of the oracle.
func (r Rule) Judge(sound bench.Span, o bench.Observation) bench.Reading {
	unmeasured := func(f bench.Fault) bench.Reading { return bench.Reading{Oracle: o.Oracle, Fault: f} }
	if !sensible(o) || o.Watched.Start > sound.Start {
		return unmeasured(bench.FaultOracle)
	}
	closes := sound.End.Add(r.Window)
	for _, lit := range r.Spells(o) {
		switch {
		case lit.End <= sound.Start || lit.Start >= closes:
			continue
		case lit.Start <= sound.Start:
			return unmeasured(bench.FaultDevice)
		case lit.Duration() < r.MinLit: // cut off by the end of the record
			return unmeasured(bench.FaultOracle)
		}
		return bench.Reading{
			Oracle:   o.Oracle,
			State:    bench.Reacted,
			Strength: lit.Duration().Seconds(),
			Latency:  lit.Start.Sub(sound.End),
		}
	}
	if o.Watched.End < closes {
		return unmeasured(bench.FaultOracle)
	}
	return bench.Reading{Oracle: o.Oracle, State: bench.Quiet}
}

// Spells are the spans in which the light was lit, by the rule, in order. A
// spell that an end of the record cuts off is kept however short it looks.
// There are none in a record that makes no sense.
func (r Rule) Spells(o bench.Observation) []bench.Span {
	if !sensible(o) {
		return nil
	}
	spells := closeGaps(lit(o), r.Debounce)
	spells = slices.DeleteFunc(spells, func(s bench.Span) bool {
		return s.Duration() < r.MinLit && s.Start > o.Watched.Start && s.End < o.Watched.End
	})
	return closeGaps(spells, r.HoldOver)
}

// sensible tells a record that can be read from one that can't: it says what
// the light was at its beginning, and its changes are in order and within it.
func sensible(o bench.Observation) bool {
	n := len(o.Edges)
	return n > 0 && o.Edges[0].At == o.Watched.Start && o.Edges[n-1].At <= o.Watched.End &&
		slices.IsSortedFunc(o.Edges, func(a, b bench.Edge) int { return cmp.Compare(a.At, b.At) })
}

// lit are the spans in which the light was lit as recorded.
func lit(o bench.Observation) []bench.Span {
	var spells []bench.Span
	for i, e := range o.Edges {
		end := o.Watched.End
		if i+1 < len(o.Edges) {
			end = o.Edges[i+1].At
		}
		if e.Lit && end > e.At {
			spells = append(spells, bench.Span{Start: e.At, End: end})
		}
	}
	return closeGaps(spells, 1) // those that touch are one
}

// closeGaps joins the spells that lie less than gap apart, in place.
func closeGaps(spells []bench.Span, gap time.Duration) []bench.Span {
	joined := spells[:0]
	for _, s := range spells {
		if last := len(joined) - 1; last >= 0 && s.Start.Sub(joined[last].End) < gap {
			joined[last].End = s.End
		} else {
			joined = append(joined, s)
		}
	}
	return joined
}
