package evaluate

import (
	"context"
	"fmt"
	"math"
	"time"

	"wakefuzz/analysis"
	"wakefuzz/bench"
	"wakefuzz/forest"
	"wakefuzz/learned"
	"wakefuzz/oracle/traffic"
)

// Learned is how the forest that was trained on one device did on another
// (section 5.4.2 of the paper).
type Learned struct {
	On, Tested string
	Curve      Curve
}

const (
	folds = 10
	// fewRecordings is how many are too few to be dealt into folds as they are.
	// Then stretches of them are.
	fewRecordings = folds
	learnedBlock  = 5 * time.Minute
	// mostTrained is about how many windows a forest is trained on. Of those
	// without an activation every so many-th is, where there are more.
	mostTrained = 20_000
)

// forestFamily is the learned baseline: windows that are an activation with at
// least such a probability.
func forestFamily() family {
	f := family{name: "forest", parameter: "probability"}
	for _, p := range []float64{0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99} {
		f.settings = append(f.settings, setting{
			text: fmt.Sprintf("p >= %g", p), value: p, usual: p == 0.5, source: f.name,
			below: math.Nextafter(1-p, 2), // scores are 1-p
		})
	}
	return f
}

// lesson is a device's windows. Their features are made whenever they are
// needed: all at once they take a hundred times the room of the packets.
type lesson struct {
	facts   []facts
	packets [][]bench.Packet // of each recording
	windows []learned.Window // each of the recording with that number
	set     forest.Set       // of rows that are empty
}

// add adds a recording's windows.
func (l *lesson) add(f facts, length time.Duration, packets []bench.Packet) error {
	if f.Nominal > 0 {
		return nil
	}
	r := learned.Recording{Name: f.File, Packets: packets, Watched: bench.Span{End: bench.Instant(length)}}
	for _, a := range f.Activations {
		r.Activations = append(r.Activations, bench.Span{Start: bench.Instant(a.From), End: bench.Instant(a.To)})
	}
	cut := learned.DefaultCut()
	cut.Block = learnedBlock
	windows, set, err := learned.Windows([]learned.Recording{r}, cut)
	if err != nil {
		return err
	}
	for i, w := range windows {
		if overlapsAny(f.doubts, analysis.Span{From: time.Duration(w.Span.Start), To: time.Duration(w.Span.End)}) {
			continue // neither is it an activation nor none
		}
		w.Recording = len(l.facts)
		l.windows = append(l.windows, w)
		l.set.Rows = append(l.set.Rows, noFeatures)
		l.set.Positive = append(l.set.Positive, set.Positive[i])
		l.set.Groups = append(l.set.Groups, set.Groups[i])
	}
	l.facts = append(l.facts, f)
	l.packets = append(l.packets, packets)
	return nil
}

var noFeatures = []float64{0}

// row is the features of a window.
func (l *lesson) row(i int) []float64 {
	w := l.windows[i]
	return learned.Features(traffic.Between(l.packets[w.Recording], w.Span))
}

// grow trains a forest on the windows that are chosen.
func (l *lesson) grow(ctx context.Context, chosen func(window int) bool) (*forest.Forest, error) {
	quiet := 0
	for i, positive := range l.set.Positive {
		if !positive && chosen(i) {
			quiet++
		}
	}
	every := (quiet + mostTrained - 1) / mostTrained
	var rows [][]float64
	var positive []bool
	for i, isPositive := range l.set.Positive {
		if !chosen(i) {
			continue
		}
		if !isPositive {
			if quiet++; quiet%every != 0 {
				continue
			}
		}
		rows = append(rows, l.row(i))
		positive = append(positive, isPositive)
	}
	return forest.Grow(ctx, rows, positive, forest.Options{})
}

// crossValidate gives each window the probability that a forest gives it which
// was trained on other folds.
func (l *lesson) crossValidate(ctx context.Context) ([]float64, error) {
	if len(l.facts) >= fewRecordings {
		for i, w := range l.windows {
			l.set.Groups[i] = l.facts[w.Recording].File
		}
	}
	fold, err := l.set.Folds(folds, 0)
	if err != nil {
		return nil, err
	}
	probabilities := make([]float64, len(fold))
	for k := range folds {
		f, err := l.grow(ctx, func(i int) bool { return fold[i] != k })
		if err != nil {
			return nil, err
		}
		for i := range fold {
			if fold[i] == k {
				probabilities[i] = f.Probability(l.row(i))
			}
		}
	}
	return probabilities, nil
}

// judge holds windows with their probabilities against the facts.
func (l *lesson) judge(f family, probabilities []float64) curve {
	c := newCurve(f)
	found := make([][]analysis.Activation, len(l.facts))
	for i, w := range l.windows {
		found[w.Recording] = append(found[w.Recording], analysis.Activation{
			Start: time.Duration(w.Span.Start), End: time.Duration(w.Span.End), Score: 1 - probabilities[i],
		})
	}
	for i, facts := range l.facts {
		c.judge(f, facts, map[string][]analysis.Activation{f.name: found[i]})
	}
	return c
}

// learn evaluates the learned baseline: on each device by cross-validation, and
// from each to each other.
func (e *evaluation) learn(ctx context.Context) ([]Learned, error) {
	family := forestFamily()
	var able []*tally
	for _, t := range e.order {
		if len(t.lesson.facts) == 0 {
			continue
		}
		probabilities, err := t.lesson.crossValidate(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			e.notes[fmt.Sprintf("no forest for %s: %v", t.name, err)]++
			continue
		}
		t.curves = append(t.curves, t.lesson.judge(family, probabilities))
		able = append(able, t)
	}
	e.bank.families = append(e.bank.families, family)
	var grown []*forest.Forest
	for _, t := range able {
		f, err := t.lesson.grow(ctx, func(int) bool { return true })
		if err != nil {
			return nil, err
		}
		grown = append(grown, f)
	}
	var all []Learned
	for _, tested := range able {
		probabilities := make([][]float64, len(able))
		for i := range tested.lesson.windows {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			row := tested.lesson.row(i)
			for k, f := range grown {
				probabilities[k] = append(probabilities[k], f.Probability(row))
			}
		}
		for k, on := range able {
			if on != tested {
				all = append(all, Learned{on.name, tested.name, tested.lesson.judge(family, probabilities[k]).finished(family)})
			}
		}
	}
	return all, nil
}
