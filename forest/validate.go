package forest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Set is rows of one source, such as the windows of one device.
type Set struct {
	Rows     [][]float64
	Positive []bool
	// Groups names the group of each row, such as the recording it is from.
	Groups []string
}

// Folds deals the set's rows into so many folds, or one for each group where
// there are fewer, and gives each row the number of its fold, from 0. Groups
// stay whole. The folds get about equally many positive rows, and about equally
// many rows, as far as the groups allow. The seed decides between groups that
// are alike. It returns an error where there are less than two folds to make.
func (s Set) Folds(folds int, seed uint64) ([]int, error) {
	if err := check(s.Rows, s.Positive); err != nil {
		return nil, err
	}
	if len(s.Rows) != len(s.Groups) {
		return nil, fmt.Errorf("%d rows, and the groups of %d", len(s.Rows), len(s.Groups))
	}
	type group struct {
		rows     []int
		positive int
	}
	var groups []*group
	named := map[string]*group{}
	for i, name := range s.Groups {
		g := named[name]
		if g == nil {
			g = &group{}
			named[name] = g
			groups = append(groups, g)
		}
		g.rows = append(g.rows, i)
		if s.Positive[i] {
			g.positive++
		}
	}
	folds = min(folds, len(groups))
	if folds < 2 {
		return nil, errors.New("cross-validation needs two folds, and rows of two groups at least")
	}
	// The largest groups come first, and each goes where there is least so far of
	// what it has: positive rows, or rows at all.
	random := rand.New(rand.NewPCG(seed, 0))
	random.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
	slices.SortStableFunc(groups, func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.positive, a.positive), cmp.Compare(len(b.rows), len(a.rows)))
	})
	type fold struct{ number, positive, rows int }
	dealt := make([]fold, folds)
	for i := range dealt {
		dealt[i].number = i
	}
	of := make([]int, len(s.Rows))
	for _, g := range groups {
		least := slices.MinFunc(dealt, func(a, b fold) int {
			if g.positive > 0 && a.positive != b.positive {
				return cmp.Compare(a.positive, b.positive)
			}
			return cmp.Compare(a.rows, b.rows)
		})
		dealt[least.number].positive += g.positive
		dealt[least.number].rows += len(g.rows)
		for _, row := range g.rows {
			of[row] = least.number
		}
	}
	return of, nil
}

// CrossValidate gives each row of the set the probability that a forest gives
// it which was grown on the other folds (see [Set.Folds]). It returns the errors
// of Folds and of [Grow]: [ErrOneKind] where all the positive rows, or all the
// others, are in one fold, for then there is nothing to train on beside it.
func CrossValidate(ctx context.Context, s Set, folds int, o Options) ([]float64, error) {
	of, err := s.Folds(folds, o.Seed)
	if err != nil {
		return nil, err
	}
	ps := make([]float64, len(s.Rows))
	for fold := range slices.Max(of) + 1 {
		var rows [][]float64
		var positive []bool
		for i, row := range s.Rows {
			if of[i] != fold {
				rows = append(rows, row)
				positive = append(positive, s.Positive[i])
			}
		}
		f, err := Grow(ctx, rows, positive, o)
		if err != nil {
			return nil, err
		}
		for i, row := range s.Rows {
			if of[i] == fold {
				ps[i] = f.Probability(row)
			}
		}
	}
	return ps, nil
}

// Transfer grows a forest on each set and asks it about every other: the result
// at [i][j] holds the probabilities of the rows of set j from the forest of set
// i. Where i and j are the same it holds none: that is [CrossValidate]'s. It
// returns the errors of [Grow], and one where the sets differ in their features.
func Transfer(ctx context.Context, sets []Set, o Options) ([][][]float64, error) {
	for i, s := range sets {
		if err := check(s.Rows, s.Positive); err != nil {
			return nil, fmt.Errorf("set %d: %w", i, err)
		}
	}
	result := make([][][]float64, len(sets))
	for i, train := range sets {
		f, err := Grow(ctx, train.Rows, train.Positive, o)
		if err != nil {
			return nil, fmt.Errorf("set %d: %w", i, err)
		}
		result[i] = make([][]float64, len(sets))
		for j, test := range sets {
			if j == i {
				continue
			}
			if len(test.Rows) > 0 && len(test.Rows[0]) != f.features {
				return nil, fmt.Errorf("set %d has %d features, and set %d has %d", i, f.features, j, len(test.Rows[0]))
			}
			result[i][j] = f.Probabilities(test.Rows)
		}
	}
	return result, nil
}
