// Package forest is the learner of the baseline that section 5.4 of the paper
// compares its detectors with: a random forest (Breiman 2001) that tells two
// kinds of rows of numbers apart, and the means to test it on rows that it was
// not trained on.
//
// # The forest
//
// [Grow] trains it. Each tree is grown on a bootstrap sample of the rows. It
// splits wherever that makes the Gini impurity least, looking at a few features
// drawn anew for each split, until what is left is of one kind. What a tree
// says of a row is the share of positive rows in the leaf that the row falls
// into, and what the forest says is the mean of its trees. The numbers are those
// of scikit-learn's RandomForestClassifier, the paper's, which tests hold this
// package against: the trees of both are draws from the same distribution.
//
// The same rows and seed give the same forest, however many processors grow it.
//
// # Testing it
//
// [CrossValidate] trains and tests within one [Set] of rows, such as the windows
// of one device. [Transfer] trains on one set and tests on another. Rows that
// come from one recording resemble each other more than those of another day
// do, so they share a group, and no group is trained and tested on at once.
//
// The package knows nothing of packets and imports nothing of the project.
package forest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// ErrOneKind is returned where there is nothing to tell apart: all rows to be
// trained on are positive, or none is.
var ErrOneKind = errors.New("rows of one kind only leave nothing to learn")

// Options say how a forest is grown. The zero value is scikit-learn's default.
type Options struct {
	// Trees is how many there are, or 0 for 100.
	Trees int
	// Features is how many of a row's features are looked at for each split, or
	// 0 for the square root of their number.
	Features int
	// Whole grows each tree on the rows as they are, without a bootstrap.
	Whole bool
	// Seed decides what is drawn.
	Seed uint64
}

// Forest tells rows apart. It is safe for concurrent use.
type Forest struct {
	features int
	trees    [][]node
}

// node is a split or a leaf. The nodes of a tree stand in preorder: a split is
// followed by its left child.
type node struct {
	feature int32 // leaf, for a leaf
	right   int32 // where the right child stands
	// value is a split's threshold, up to which a feature's value goes left, or
	// a leaf's share of positive rows.
	value float64
}

const leaf = -1

// Grow trains a forest on rows of equally many features, at least one, of which
// those where positive holds are to be told from the others. It returns
// [ErrOneKind] where they are of one kind, another error for rows that no forest
// can be trained on, and the context's error once that has ended.
func Grow(ctx context.Context, rows [][]float64, positive []bool, o Options) (*Forest, error) {
	if o.Trees < 0 || o.Features < 0 {
		return nil, fmt.Errorf("%d trees, and %d features to look at: less than none", o.Trees, o.Features)
	}
	if err := check(rows, positive); err != nil {
		return nil, err
	}
	if !slices.Contains(positive, true) || !slices.Contains(positive, false) {
		return nil, ErrOneKind
	}
	features := len(rows[0])
	f := &Forest{features: features, trees: make([][]node, cmp.Or(o.Trees, 100))}
	tries := cmp.Or(o.Features, int(math.Sqrt(float64(features))))
	columns := make([]column, features)
	for i := range columns {
		columns[i] = newColumn(rows, i)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range f.trees {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			g := grower{
				columns:  columns,
				positive: positive,
				tries:    tries,
				random:   rand.New(rand.NewPCG(o.Seed, uint64(i))),
				order:    make([]int, features),
				times:    make([]uint32, len(rows)),
			}
			for i := range g.order {
				g.order[i] = i
			}
			f.trees[i] = g.tree(o.Whole)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return f, nil
}

// check returns an error where the rows can't be trained on.
func check(rows [][]float64, positive []bool) error {
	if len(rows) != len(positive) {
		return fmt.Errorf("%d rows, and the kinds of %d", len(rows), len(positive))
	}
	for i, row := range rows {
		if len(row) == 0 || len(row) != len(rows[0]) {
			return fmt.Errorf("row %d has %d features, and the first has %d", i, len(row), len(rows[0]))
		}
		for j, v := range row {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("row %d, feature %d: %g is no number to split at", i, j, v)
			}
		}
	}
	return nil
}

// Probability is the forest's belief that a row is positive, from 0 to 1. The
// row must have as many features as those trained on, none of them NaN.
func (f *Forest) Probability(row []float64) float64 {
	if len(row) != f.features {
		panic(fmt.Sprintf("forest: a row of %d features for a forest of %d", len(row), f.features))
	}
	sum := 0.0
	for _, tree := range f.trees {
		at := int32(0)
		for tree[at].feature != leaf {
			if row[tree[at].feature] <= tree[at].value {
				at++
			} else {
				at = tree[at].right
			}
		}
		sum += tree[at].value
	}
	return sum / float64(len(f.trees))
}

// Probabilities are those of the rows.
func (f *Forest) Probabilities(rows [][]float64) []float64 {
	ps := make([]float64, len(rows))
	for i, row := range rows {
		ps[i] = f.Probability(row)
	}
	return ps
}

// column is one feature of all rows: its different values in ascending order,
// and for each row which of them it has. Rows are sorted once, not for each
// split.
type column struct {
	values []float64
	rank   []uint32
}

func newColumn(rows [][]float64, feature int) column {
	c := column{values: make([]float64, len(rows)), rank: make([]uint32, len(rows))}
	for i, row := range rows {
		c.values[i] = row[feature]
	}
	slices.Sort(c.values)
	c.values = slices.Compact(c.values)
	for i, row := range rows {
		rank, _ := slices.BinarySearch(c.values, row[feature])
		c.rank[i] = uint32(rank)
	}
	return c
}

// between is a threshold between two values of the column: the lower one goes
// left of it and the higher one right.
func (c column) between(low, high uint32) float64 {
	middle := c.values[low]/2 + c.values[high]/2
	if middle < c.values[low] || middle >= c.values[high] { // neighbours, rounded
		return c.values[low]
	}
	return middle
}

// grower grows one tree.
type grower struct {
	columns  []column
	positive []bool
	tries    int
	random   *rand.Rand
	order    []int    // the features, those drawn for the present split in front
	times    []uint32 // how many times each row is in the tree's sample
	values   []valued // scratch of byValue
	nodes    []node
}

// tree draws the rows and grows a tree on them.
func (g *grower) tree(whole bool) []node {
	for i := range g.times {
		if whole {
			g.times[i] = 1
		} else {
			g.times[g.random.IntN(len(g.times))]++
		}
	}
	var rows []int32
	for i, n := range g.times {
		if n > 0 {
			rows = append(rows, int32(i))
		}
	}
	g.grow(rows)
	return g.nodes
}

// grow appends the subtree of the rows, which it reorders.
func (g *grower) grow(rows []int32) {
	all := g.count(rows)
	at := len(g.nodes)
	g.nodes = append(g.nodes, node{feature: leaf, value: all.positive / all.rows})
	if all.positive == 0 || all.positive == all.rows {
		return
	}
	best, ok := g.split(rows, all)
	if !ok {
		return
	}
	c := g.columns[best.feature]
	left := 0
	for i, row := range rows {
		if c.rank[row] <= best.low {
			rows[left], rows[i] = rows[i], rows[left]
			left++
		}
	}
	g.grow(rows[:left])
	g.nodes[at] = node{feature: int32(best.feature), right: int32(len(g.nodes)), value: c.between(best.low, best.high)}
	g.grow(rows[left:])
}

// tally counts rows, each as many times as the sample holds it.
type tally struct {
	rows, positive float64
}

// purity is the sum over both kinds of the square of their number, over that of
// all. The more two sides of a split have together, the less is their impurity.
func (t tally) purity() float64 {
	negative := t.rows - t.positive
	return (float64(t.positive*t.positive) + float64(negative*negative)) / t.rows
}

func (g *grower) count(rows []int32) tally {
	var t tally
	for _, row := range rows {
		t.rows += float64(g.times[row])
		if g.positive[row] {
			t.positive += float64(g.times[row])
		}
	}
	return t
}

// split is a place to split at: between two values of a feature, by rank.
type split struct {
	feature   int
	low, high uint32
	purity    float64
}

// split is the best split of the rows by some features drawn. Features that
// don't vary among the rows count as drawn, but where none does that was drawn,
// the drawing goes on. It is not ok where none varies at all.
func (g *grower) split(rows []int32, all tally) (best split, ok bool) {
	for i := range g.order {
		if i >= g.tries && ok {
			break
		}
		drawn := i + g.random.IntN(len(g.order)-i)
		g.order[i], g.order[drawn] = g.order[drawn], g.order[i]
		if s, varies := g.scan(g.order[i], rows, all); varies && (!ok || s.purity > best.purity) {
			best, ok = s, true
		}
	}
	return best, ok
}

// scan is the best split of the rows by the feature, the lowest of equals. The
// feature varies where there is one.
func (g *grower) scan(feature int, rows []int32, all tally) (best split, varies bool) {
	var left tally
	low := uint32(0)
	for i, v := range g.byValue(g.columns[feature], rows) {
		if i > 0 {
			right := tally{all.rows - left.rows, all.positive - left.positive}
			if p := left.purity() + right.purity(); !varies || p > best.purity {
				best, varies = split{feature, low, v.rank, p}, true
			}
		}
		low = v.rank
		left.rows += float64(v.rows)
		left.positive += float64(v.positive)
	}
	return best, varies
}

// valued counts the rows that have one value of a feature.
type valued struct {
	rank, rows, positive uint32
}

// byValue counts the rows of each value that is among them, in ascending order.
// What it returns is valid until it is called again.
func (g *grower) byValue(c column, rows []int32) []valued {
	g.values = g.values[:0]
	if len(c.values) > 2*len(rows) {
		for _, row := range rows {
			g.values = append(g.values, g.valued(c, row))
		}
		slices.SortFunc(g.values, func(a, b valued) int { return cmp.Compare(a.rank, b.rank) })
	} else { // of many rows, each value has its place
		g.values = slices.Grow(g.values, len(c.values))[:len(c.values)]
		clear(g.values)
		for _, row := range rows {
			v := g.valued(c, row)
			at := &g.values[v.rank]
			*at = valued{v.rank, at.rows + v.rows, at.positive + v.positive}
		}
	}
	// Values that are there are moved to the front, once each.
	n := 0
	for _, v := range g.values {
		switch {
		case v.rows == 0:
		case n > 0 && g.values[n-1].rank == v.rank:
			g.values[n-1].rows += v.rows
			g.values[n-1].positive += v.positive
		default:
			g.values[n] = v
			n++
		}
	}
	return g.values[:n]
}

func (g *grower) valued(c column, row int32) valued {
	v := valued{rank: c.rank[row], rows: g.times[row]}
	if g.positive[row] {
		v.positive = v.rows
	}
	return v
}
