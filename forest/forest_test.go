package forest_test

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"wakefuzz/forest"
	"wakefuzz/stats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// golden is what scikit-learn learned from rows and said of those asked;
// scripts/forest-golden.py made it.
type golden struct {
	Name          string
	Rows          [][]float64
	Positive      []int
	Asked         [][]float64
	Truth         []int
	Probability   []float64
	Trees, Leaves int
	Accuracy, AUC float64
}

func bools(ints []int) []bool {
	var bs []bool
	for _, i := range ints {
		bs = append(bs, i == 1)
	}
	return bs
}

func readGolden(t *testing.T) (trees, forests []golden) {
	t.Helper()
	var cases struct{ Trees, Forests []golden }
	data, err := os.ReadFile("testdata/forest.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases.Trees) < 60 || len(cases.Forests) != 4 {
		t.Fatalf("%d trees and %d forests", len(cases.Trees), len(cases.Forests))
	}
	return cases.Trees, cases.Forests
}

// Where one tree alone is right, it is grown: it says the same of rows on its
// thresholds and beside them.
func TestTreesAreThoseOfScikitLearn(t *testing.T) {
	trees, _ := readGolden(t)
	for i, c := range trees {
		for seed := range uint64(5) {
			f, err := forest.Grow(t.Context(), c.Rows, bools(c.Positive),
				forest.Options{Trees: 1, Features: len(c.Rows[0]), Whole: true, Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			for j, row := range c.Asked {
				if got := f.Probability(row); got != c.Probability[j] {
					t.Errorf("tree %d of %d leaves: %v has %v, want %v", i, c.Leaves, row, got, c.Probability[j])
				}
			}
		}
	}
}

// Trees of a forest are drawn. With thousands of them the mean hardly depends on
// the draw any more, and it must be the same as that of scikit-learn's, row by
// row, within what is left of chance.
func TestForestsAreThoseOfScikitLearn(t *testing.T) {
	_, forests := readGolden(t)
	for _, c := range forests {
		f, err := forest.Grow(t.Context(), c.Rows, bools(c.Positive), forest.Options{Trees: c.Trees, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		got := f.Probabilities(c.Asked)
		largest, sum := 0.0, 0.0
		for i, p := range got {
			// What one tree says is between 0 and 1, so that its variance is
			// p·(1-p) at most.
			mean := (p + c.Probability[i]) / 2
			variance := max(mean*(1-mean), 1/float64(c.Trees)) * 2 / float64(c.Trees)
			z := (p - c.Probability[i]) / math.Sqrt(variance)
			largest = max(largest, math.Abs(z))
			sum += z * z
		}
		// The sum of the squares scatters more than that of independent rows
		// would, since one draw of trees judges them all.
		if mean := sum / float64(len(got)); largest > 4.5 || mean > 1.5 {
			t.Errorf("%s: rows are up to %.1f standard errors off, and their squares %.2f on average", c.Name, largest, mean)
		}
		truth := bools(c.Truth)
		if got := accuracy(got, truth); math.Abs(got-c.Accuracy) > 0.03 {
			t.Errorf("%s: accuracy %.3f, want %.3f", c.Name, got, c.Accuracy)
		}
		if got := auc(got, truth); math.Abs(got-c.AUC) > 0.02 {
			t.Errorf("%s: AUC %.3f, want %.3f", c.Name, got, c.AUC)
		}
	}
}

func accuracy(ps []float64, truth []bool) float64 {
	right := 0.0
	for i, p := range ps {
		if (p >= 0.5) == truth[i] {
			right++
		}
	}
	return right / float64(len(ps))
}

func auc(ps []float64, truth []bool) float64 {
	var positive, negative []float64
	for i, p := range ps {
		if truth[i] {
			positive = append(positive, p)
		} else {
			negative = append(negative, p)
		}
	}
	area, _ := stats.AUC(positive, negative)
	return area
}

// made are rows of two features and noise, in groups of ten that share an
// offset, which the label depends on too.
func made(seed uint64, n int) forest.Set {
	random := rand.New(rand.NewPCG(seed, 7))
	var s forest.Set
	for i := range n {
		if i%10 == 0 {
			s.Groups = slices.Concat(s.Groups, slices.Repeat([]string{string(rune('a' + i/10))}, min(10, n-i)))
		}
		positive := random.IntN(3) == 0
		row := []float64{random.NormFloat64(), random.NormFloat64(), random.NormFloat64(), float64(random.IntN(3))}
		if positive {
			row[0] += 2
			row[1] -= 1
		}
		s.Rows = append(s.Rows, row)
		s.Positive = append(s.Positive, positive)
	}
	return s
}

func TestSeedAloneDecides(t *testing.T) {
	s := made(1, 200)
	asked := made(2, 50).Rows
	grow := func(o forest.Options) []float64 {
		f, err := forest.Grow(t.Context(), s.Rows, s.Positive, o)
		if err != nil {
			t.Fatal(err)
		}
		return f.Probabilities(asked)
	}
	first := grow(forest.Options{Seed: 3})
	if again := grow(forest.Options{Seed: 3, Trees: 100, Features: 2}); !slices.Equal(first, again) {
		t.Error("the defaults are 100 trees, and the square root of the features")
	}
	if other := grow(forest.Options{Seed: 4}); slices.Equal(first, other) {
		t.Error("another seed gives the same forest")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if alone := grow(forest.Options{Seed: 3}); !slices.Equal(first, alone) {
		t.Error("the number of processors changes the forest")
	}
}

func TestGrowRefuses(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	two := [][]float64{{1, 2}, {3, 4}}
	tests := []struct {
		name     string
		ctx      context.Context
		rows     [][]float64
		positive []bool
		options  forest.Options
		want     string
	}{
		{"no rows", t.Context(), nil, nil, forest.Options{}, forest.ErrOneKind.Error()},
		{"one kind", t.Context(), two, []bool{true, true}, forest.Options{}, forest.ErrOneKind.Error()},
		{"the other kind", t.Context(), two, []bool{false, false}, forest.Options{}, forest.ErrOneKind.Error()},
		{"too few labels", t.Context(), two, []bool{true}, forest.Options{}, "2 rows, and the kinds of 1"},
		{"no features", t.Context(), [][]float64{{}, {}}, []bool{true, false}, forest.Options{}, "row 0 has 0 features"},
		{"uneven", t.Context(), [][]float64{{1}, {1, 2}}, []bool{true, false}, forest.Options{}, "row 1 has 2 features"},
		{"NaN", t.Context(), [][]float64{{1}, {math.NaN()}}, []bool{true, false}, forest.Options{}, "row 1, feature 0: NaN"},
		{"infinite", t.Context(), [][]float64{{1}, {math.Inf(-1)}}, []bool{true, false}, forest.Options{}, "row 1, feature 0: -Inf"},
		{"trees", t.Context(), two, []bool{true, false}, forest.Options{Trees: -1}, "less than none"},
		{"features", t.Context(), two, []bool{true, false}, forest.Options{Features: -1}, "less than none"},
		{"ended", ended, two, []bool{true, false}, forest.Options{}, context.Canceled.Error()},
	}
	for _, tt := range tests {
		f, err := forest.Grow(tt.ctx, tt.rows, tt.positive, tt.options)
		if f != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// Values as large, as small and as near to each other as there are part rows as
// they should.
func TestThresholdsOfExtremes(t *testing.T) {
	for _, pair := range [][2]float64{
		{-math.MaxFloat64, math.MaxFloat64}, {math.MaxFloat64 / 2, math.MaxFloat64}, {0, math.SmallestNonzeroFloat64},
		{1, math.Nextafter(1, 2)}, {-1, math.Nextafter(-1, 0)},
	} {
		f, err := forest.Grow(t.Context(), [][]float64{{pair[0]}, {pair[1]}}, []bool{false, true}, forest.Options{Trees: 1, Whole: true})
		if err != nil {
			t.Fatal(err)
		}
		if low, high := f.Probability(pair[:1]), f.Probability(pair[1:]); low != 0 || high != 1 {
			t.Errorf("%g has %g and %g has %g", pair[0], low, pair[1], high)
		}
	}
}

// Where no single feature tells anything, a split that gains nothing is made all
// the same, for the next ones do.
func TestSplitsWithoutGain(t *testing.T) {
	rows := [][]float64{{0, 0}, {0, 1}, {1, 0}, {1, 1}}
	f, err := forest.Grow(t.Context(), rows, []bool{false, true, true, false}, forest.Options{Trees: 5, Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Probabilities(rows); !slices.Equal(got, []float64{0, 1, 1, 0}) {
		t.Errorf("probabilities %v", got)
	}
}

// Rows that are the same and of both kinds can't be told apart, nor is there a
// split where nothing varies.
func TestSameRowsShareALeaf(t *testing.T) {
	rows := [][]float64{{1, 5}, {1, 5}, {1, 5}, {1, 5}}
	f, err := forest.Grow(t.Context(), rows, []bool{true, false, false, false}, forest.Options{Trees: 3, Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Probability([]float64{9, 9}); got != 0.25 {
		t.Errorf("probability %g, want 0.25", got)
	}
}
