package results

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Gate is the section gate of a spec: what a campaign has to keep to where it is
// compared with an earlier one. What is nil is not asked.
type Gate struct {
	// MaxHits is how many words may be hits, each by each voice.
	MaxHits *int `yaml:"max_hits,omitempty"`
	// MaxNewHits is how many words may have become hits, of those that both
	// campaigns have played.
	MaxNewHits *int `yaml:"max_new_hits,omitempty"`
	// MaxRisen is how many words may react more often than in the earlier
	// campaign, as far as that is sure; see [WordComparison.Differs].
	MaxRisen *int `yaml:"max_risen,omitempty"`
	// MaxRate is the share of its plays in which any word may react.
	MaxRate *float64 `yaml:"max_rate,omitempty"`
	// MinWakeRate is the share of its plays in which the wake word itself has to
	// wake the device, by each voice.
	MinWakeRate *float64 `yaml:"min_wake_rate,omitempty"`
}

// Asks says whether the gate asks for anything.
func (g Gate) Asks() bool { return g != Gate{} }

// String lists the thresholds: "max_hits 20, max_rate 0.9".
func (g Gate) String() string {
	var all []string
	for _, t := range []struct {
		name string
		n    *int
		rate *float64
	}{
		{"max_hits", g.MaxHits, nil}, {"max_new_hits", g.MaxNewHits, nil}, {"max_risen", g.MaxRisen, nil},
		{"max_rate", nil, g.MaxRate}, {"min_wake_rate", nil, g.MinWakeRate},
	} {
		switch {
		case t.n != nil:
			all = append(all, fmt.Sprintf("%s %d", t.name, *t.n))
		case t.rate != nil:
			all = append(all, fmt.Sprintf("%s %g", t.name, *t.rate))
		}
	}
	return strings.Join(all, ", ")
}

// Validate names the key at fault.
func (g Gate) Validate() error {
	for name, n := range map[string]*int{"max_hits": g.MaxHits, "max_new_hits": g.MaxNewHits, "max_risen": g.MaxRisen} {
		if n != nil && *n < 0 {
			return fmt.Errorf("%s: %d is negative", name, *n)
		}
	}
	for name, rate := range map[string]*float64{"max_rate": g.MaxRate, "min_wake_rate": g.MinWakeRate} {
		if rate != nil && !(*rate >= 0 && *rate <= 1) {
			return fmt.Errorf("%s: %g is not in [0, 1]", name, *rate)
		}
	}
	return nil
}

// Crossed says, a text each, which thresholds the later campaign of the two, B,
// has crossed. A gate that asks for anything also asks that the wake word is a hit
// by each voice: a device that hears nothing has no false wake words either.
func (g Gate) Crossed(c CampaignComparison) []string {
	if !g.Asks() {
		return nil
	}
	var crossed []string
	add := func(format string, args ...any) { crossed = append(crossed, fmt.Sprintf(format, args...)) }
	became, risen := 0, 0
	for _, w := range c.Words {
		if w.Became() {
			became++
		}
		if w.Differs() > 0 {
			risen++
		}
	}
	for _, most := range []struct {
		key  string
		most *int
		is   int
	}{{"max_hits", g.MaxHits, c.B.Totals.Hits}, {"max_new_hits", g.MaxNewHits, became}, {"max_risen", g.MaxRisen, risen}} {
		if most.most != nil && most.is > *most.most {
			add("%s: %d, at most %d", most.key, most.is, *most.most)
		}
	}
	if g.MaxRate != nil {
		over, worst := 0, Row{}
		for _, row := range c.B.Words {
			if row.Rate > *g.MaxRate {
				over++
			}
			if row.Rate > worst.Rate {
				worst = row
			}
		}
		if over > 0 {
			add("max_rate: %d above %g, the highest %q by %s with %.2f", over, *g.MaxRate, worst.Trial.Word, worst.Trial.Voice, worst.Rate)
		}
	}
	least, key := c.B.Judging.HitRate, "the wake word"
	if g.MinWakeRate != nil {
		least, key = max(least, *g.MinWakeRate), "min_wake_rate"
	}
	wakes := c.B.wakes()
	for _, voice := range slices.Sorted(maps.Keys(wakes)) {
		if wake := wakes[voice]; wake.Measured == 0 || wake.Rate() < least {
			add("%s: %d of %d by %s, at least %g", key, wake.Reacted, wake.Measured, voice, least)
		}
	}
	if len(wakes) == 0 {
		add("%s: it was not played", key)
	}
	return crossed
}

// wakes is what was found about the wake word, by voice, in all its plays.
func (r Report) wakes() map[string]Share {
	wakes := map[string]Share{}
	for _, row := range r.Controls {
		if row.Trial.Role == RolePositive {
			s := wakes[row.Trial.Voice]
			s.add(row.Reacted, row.Measured)
			wakes[row.Trial.Voice] = s
		}
	}
	return wakes
}
