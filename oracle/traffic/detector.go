package traffic

import (
	"fmt"
	"strings"

	"wakefuzz/bench"
)

// Detector is a way to look for activations in any traffic: a rule, and the name
// by which people choose it. It holds no state; each device gets a Scanner of
// its own.
type Detector struct {
	Name string
	// Rule is what it goes by, which String states.
	Rule fmt.Stringer
	scan func(idle []bench.Span) Scanner
}

// NewDetector is a detector of another rule than those of this package.
func NewDetector(name string, rule fmt.Stringer, scan func(idle []bench.Span) Scanner) Detector {
	return Detector{name, rule, scan}
}

// Scanner begins to look at the traffic of one device. In the idle spans it is
// known not to have been woken; they are in the order of time. Only the
// calibrated detector learns from them.
func (d Detector) Scanner(idle ...bench.Span) Scanner { return d.scan(idle) }

// Detector is the rule as a choice among detectors.
func (r CalibratedRule) Detector() Detector {
	return Detector{"calibrated", r, func(idle []bench.Span) Scanner { return r.Scanner(idle...) }}
}

// Detector is the rule as a choice among detectors.
func (r BurstRule) Detector() Detector {
	return Detector{"burst", r, func([]bench.Span) Scanner { return r.Scanner() }}
}

// Detector is the rule as a choice among detectors.
func (r TTestRule) Detector() Detector {
	return Detector{"ttest", r, func([]bench.Span) Scanner { return r.detector() }}
}

// Detector is the rule as a choice among detectors.
func (r VolumeRule) Detector() Detector {
	return Detector{"volume", r, func([]bench.Span) Scanner { return r.Scanner() }}
}

// Rules are the settings of all detectors.
type Rules struct {
	Calibrated CalibratedRule `yaml:"calibrated"`
	Burst      BurstRule      `yaml:"burst"`
	TTest      TTestRule      `yaml:"ttest"`
	Volume     VolumeRule     `yaml:"volume"`
}

// DefaultRules are those for traffic of which it is not known what was played
// when.
func DefaultRules() Rules {
	return Rules{DefaultCalibratedRule(), DefaultBurstRule(), PaperTTestScan(), PlainVolumeRule()}
}

// Detectors are all that there are, and the first is the one to choose unless
// there is a reason.
func (r Rules) Detectors() []Detector {
	return []Detector{r.Calibrated.Detector(), r.Burst.Detector(), r.TTest.Detector(), r.Volume.Detector()}
}

// Named are the detectors of these names, of which "all" means all.
func (r Rules) Named(names ...string) ([]Detector, error) {
	all := r.Detectors()
	known := make(map[string]Detector)
	list := make([]string, 0, len(all))
	for _, d := range all {
		known[d.Name] = d
		list = append(list, d.Name)
	}
	var chosen []Detector
	seen := make(map[string]bool)
	add := func(d Detector) {
		if !seen[d.Name] {
			seen[d.Name] = true
			chosen = append(chosen, d)
		}
	}
	for _, name := range names {
		d, ok := known[name]
		switch {
		case name == "all":
			for _, d := range all {
				add(d)
			}
		case ok:
			add(d)
		default:
			return nil, fmt.Errorf("%q is no detector; there are %s, and all", name, strings.Join(list, ", "))
		}
	}
	return chosen, nil
}
