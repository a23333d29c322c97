package evaluate

import (
	"fmt"
	"math"
	"time"

	"wakefuzz/analysis"
	"wakefuzz/bench"
	"wakefuzz/oracle/traffic"
)

// bank is all detectors that are evaluated.
type bank struct {
	families []family
	scanners []scanner
	ttests   []ttest
}

// family is a detector with its settings, from the laxest to the strictest.
type family struct {
	name, parameter string
	settings        []setting
	// compares says that windows are compared with those before them, so that it
	// has nothing to say of a capture that is shorter than two.
	compares bool
}

// setting is one of a family. What it finds is what the source does, of scores
// below a limit.
type setting struct {
	text            string
	value           float64
	usual, offCurve bool
	source          string
	below           float64
}

func (s setting) of(found []analysis.Activation) []analysis.Activation {
	var all []analysis.Activation
	for _, a := range found {
		if a.Score < s.below {
			all = append(all, a)
		}
	}
	return all
}

// scanner is a source.
type scanner struct {
	name string
	make func() traffic.Scanner
}

// ttest is a t-test of which each comparison is a source, whatever its p-value.
type ttest struct {
	rule    traffic.TTestRule
	sources []comparison
}

// comparison is one of those that a t-test makes.
type comparison struct {
	name  string
	of    func(traffic.TrialReading) traffic.Comparison
	paper bool // the paper gives a threshold for it, and its neighbour
}

// The values of the curves' parameters.
var (
	volumes    = []float64{1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 22, 25, 30, 35, 40, 50, 60, 80, 100, 150, 200} // kB
	paced      = []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 25, 30, 35, 40, 50, 60, 80}
	thresholds = []float64{1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.43, 0.42, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05, 0.02, 0.01, 0.001}
)

// mostWindows is the paper's largest n (section 5.2.1).
const mostWindows = 8

func newBank(rules traffic.Rules) bank {
	var b bank
	source := func(name string, make func() traffic.Scanner) string {
		b.scanners = append(b.scanners, scanner{name, make})
		return name
	}
	add := func(name, parameter string, settings ...setting) {
		b.families = append(b.families, family{name: name, parameter: parameter, settings: settings})
	}

	calibrated := []setting{{
		text: fmt.Sprintf("%g/h accepted", rules.Calibrated.FalseAlarms), usual: true, offCurve: true, below: math.Inf(1),
		source: source("calibrated", func() traffic.Scanner { return rules.Calibrated.Scanner() }),
	}}
	for _, kB := range paced {
		rule := traffic.PacedRule{Bytes: kB * 1000}
		calibrated = append(calibrated, setting{
			text: fmt.Sprintf("line at %g kB", kB), value: kB, below: math.Inf(1),
			source: source(rule.String(), rule.Scanner),
		})
	}
	add("calibrated", "paced kB in 3 s", calibrated...)

	var volume []setting
	for _, kB := range volumes {
		rule := rules.Volume
		rule.Bytes = int64(kB * 1000)
		volume = append(volume, setting{
			text: fmt.Sprintf("%g kB in %g s", kB, rule.Window.Seconds()), value: kB, usual: rule.Bytes == rules.Volume.Bytes, below: math.Inf(1),
			source: source(rule.String(), rule.Scanner),
		})
	}
	add("volume", "kB in 3 s", volume...)

	var burst []setting
	for n := 1; n <= mostWindows; n++ {
		rule := rules.Burst
		rule.Consecutive = n
		burst = append(burst, setting{
			text: fmt.Sprintf("n = %d", n), value: float64(n), usual: true, below: math.Inf(1),
			source: source(rule.String(), rule.Scanner),
		})
	}
	add("burst", "n", burst...)

	sizes := func(t traffic.TrialReading) traffic.Comparison { return t.Sizes }
	gaps := func(t traffic.TrialReading) traffic.Comparison { return t.Gaps }
	both := func(t traffic.TrialReading) traffic.Comparison { return t.Combined }
	rule := rules.TTest
	rule.Duration = Window
	rule.Features = ""
	rule.Bins = traffic.BinsIdle
	b.ttests = append(b.ttests, ttest{rule, []comparison{{"ttest", sizes, true}, {"ttest, gaps", gaps, false}, {"ttest, sizes and gaps", both, false}}})
	rule.Bins = traffic.BinsBoth
	b.ttests = append(b.ttests, ttest{rule, []comparison{{"ttest, bins of both", sizes, true}}})
	for _, t := range b.ttests {
		for _, c := range t.sources {
			var settings []setting
			for _, p := range thresholds {
				settings = append(settings, setting{
					text: fmt.Sprintf("p < %g", p), value: p, usual: p == 0.42 || p == 0.43 && c.paper, below: p, source: c.name,
				})
			}
			b.families = append(b.families, family{c.name, "p", settings, true})
		}
	}
	return b
}

// The names of sources that are no detectors.
const (
	windowsName = "windows"
	keptName    = "packets"
)

// detectors are those to analyse one device of one capture with.
func (b bank) detectors() []traffic.Detector {
	all := []traffic.Detector{detector(windowsName, &windows{})}
	for _, s := range b.scanners {
		all = append(all, detector(s.name, s.make()))
	}
	for _, t := range b.ttests {
		tests := t.rule.Scanner()
		for i, c := range t.sources {
			s := comparisons{tests, c.of, i == 0}
			all = append(all, detector(c.name, s))
		}
	}
	return all
}

// comparisons are those of a t-test, each an activation whose score is its
// p-value. One of those that share a scanner feeds it.
type comparisons struct {
	*traffic.TTestScanner
	of    func(traffic.TrialReading) traffic.Comparison
	feeds bool
}

func (c comparisons) Packet(p bench.Packet) {
	if c.feeds {
		c.TTestScanner.Packet(p)
	}
}

func (c comparisons) Gap(span bench.Span) {
	if c.feeds {
		c.TTestScanner.Gap(span)
	}
}

func (c comparisons) Findings(bench.Instant) traffic.Findings {
	var all traffic.Findings
	for _, s := range c.Stretches() {
		if compared := c.of(s.Reading); compared.Inapplicable == "" {
			all.Activations = append(all.Activations, traffic.Activation{Span: s.Span, Score: compared.P})
		}
	}
	return all
}

// windows are those that false positive rates are about, each an activation.
// They are the t-test's stretches: from the device's first packet on, and anew
// where the capture was not at work.
type windows struct {
	begun bool
	next  bench.Instant
	first bool
	all   []traffic.Activation
}

func (w *windows) Packet(p bench.Packet) {
	if !w.begun {
		w.begun, w.first, w.next = true, true, p.At
	}
	for ; p.At >= w.next.Add(Window); w.next = w.next.Add(Window) {
		if !w.first {
			w.all = append(w.all, traffic.Activation{Span: bench.Span{Start: w.next, End: w.next.Add(Window)}})
		}
		w.first = false
	}
}

func (w *windows) Gap(bench.Span) { w.begun = false }

func (w *windows) Findings(bench.Instant) traffic.Findings {
	return traffic.Findings{Activations: w.all}
}

// collector keeps the packets in some spans.
type collector struct {
	spans   []analysis.Span
	packets []bench.Packet
}

// maxKept is how many packets are kept of a recording: of a speaker, a week.
const maxKept = 1 << 23

func (c *collector) Packet(p bench.Packet) {
	at := time.Duration(p.At)
	for len(c.spans) > 0 && at >= c.spans[0].To {
		c.spans = c.spans[1:]
	}
	if len(c.spans) > 0 && at >= c.spans[0].From && len(c.packets) < maxKept {
		c.packets = append(c.packets, p)
	}
}

func (c *collector) Gap(bench.Span) {}

func (c *collector) Findings(bench.Instant) traffic.Findings { return traffic.Findings{} }
