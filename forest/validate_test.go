package forest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"wakefuzz/forest"
)

// Groups stay whole, no fold is empty, and the folds are as even as groups of
// that size can be.
func TestFolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.IntRange(2, 30).Draw(t, "groups")
		k := rapid.IntRange(2, 12).Draw(t, "folds")
		largest := rapid.IntRange(1, 9).Draw(t, "largest")
		var s forest.Set
		positive := map[string]int{}
		for g := range groups {
			name := fmt.Sprint(g)
			for range rapid.IntRange(1, largest).Draw(t, "rows") {
				is := rapid.Bool().Draw(t, "positive")
				s.Rows = append(s.Rows, []float64{0})
				s.Positive = append(s.Positive, is)
				s.Groups = append(s.Groups, name)
				if is {
					positive[name]++
				}
			}
		}
		seed := rapid.Uint64().Draw(t, "seed")
		of, err := s.Folds(k, seed)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.Folds(k, seed); err != nil || !slices.Equal(of, again) {
			t.Fatalf("the same seed deals otherwise, %v", err)
		}
		if of, k := slices.Max(of)+1, min(k, groups); of != k {
			t.Fatalf("%d folds, want %d", of, k)
		}
		fold := map[string]int{}
		rows := make([]int, min(k, groups))
		positives := make([]int, min(k, groups))
		most := 0
		for i, f := range of {
			if g, dealt := fold[s.Groups[i]]; dealt && g != f {
				t.Fatalf("group %s is in folds %d and %d", s.Groups[i], g, f)
			}
			fold[s.Groups[i]] = f
			rows[f]++
			if s.Positive[i] {
				positives[f]++
			}
			most = max(most, positive[s.Groups[i]])
		}
		if slices.Min(rows) == 0 {
			t.Fatalf("a fold is empty: %v", rows)
		}
		if d := slices.Max(positives) - slices.Min(positives); d > most {
			t.Fatalf("folds of %v positive rows, from groups of at most %d", positives, most)
		}
	})
}

// Groups without positive rows are dealt by size, and don't all go where
// positive rows happen to be fewest.
func TestFoldsSpreadNegativeGroups(t *testing.T) {
	var s forest.Set
	for i := range 22 {
		s.Rows = append(s.Rows, []float64{0})
		s.Positive = append(s.Positive, i < 3)
		s.Groups = append(s.Groups, fmt.Sprint(i))
	}
	of, err := s.Folds(2, 0)
	if err != nil {
		t.Fatal(err)
	}
	rows := [2]int{}
	for _, f := range of {
		rows[f]++
	}
	if rows != [2]int{11, 11} {
		t.Errorf("folds of %v rows", rows)
	}
}

// What a row is said to be never depends on its own label, nor on that of any
// row in its group.
func TestCrossValidationDoesNotPeek(t *testing.T) {
	s := made(5, 200)
	before, err := forest.CrossValidate(t.Context(), s, 20, forest.Options{Trees: 30})
	if err != nil {
		t.Fatal(err)
	}
	if a := auc(before, s.Positive); a < 0.8 || a > 0.99 {
		t.Errorf("AUC %.3f", a)
	}
	// Each group swaps two labels of its own, so that the folds stay.
	for _, name := range []string{"a", "f", "t"} {
		swapped := s
		swapped.Positive = slices.Clone(s.Positive)
		first := slices.Index(s.Groups, name)
		yes := first + slices.Index(s.Positive[first:first+10], true)
		no := first + slices.Index(s.Positive[first:first+10], false)
		swapped.Positive[yes], swapped.Positive[no] = false, true
		after, err := forest.CrossValidate(t.Context(), swapped, 20, forest.Options{Trees: 30})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(before[first:first+10], after[first:first+10]) {
			t.Errorf("group %s: its own labels change what is said of it", name)
		}
		if slices.Equal(before, after) {
			t.Errorf("group %s: its labels change nothing elsewhere", name)
		}
	}
}

func TestCrossValidationNeedsBothKinds(t *testing.T) {
	s := made(5, 40)
	one := s
	one.Groups = slices.Repeat([]string{"a"}, 40)
	uneven := s
	uneven.Groups = s.Groups[:39]
	lonely := s
	lonely.Positive = make([]bool, 40)
	lonely.Positive[0], lonely.Positive[5] = true, true
	for name, tt := range map[string]struct {
		set  forest.Set
		k    int
		want string
	}{
		"one group":                {one, 10, "two groups"},
		"one fold":                 {s, 1, "two folds"},
		"no rows":                  {forest.Set{}, 10, "two groups"},
		"too few groups":           {uneven, 10, "the groups of 39"},
		"all positive in one fold": {lonely, 10, forest.ErrOneKind.Error()},
	} {
		if _, err := forest.CrossValidate(t.Context(), tt.set, tt.k, forest.Options{Trees: 2}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestTransfer(t *testing.T) {
	near, other := made(1, 150), made(2, 90)
	// In a third set the first feature says the contrary.
	contrary := made(3, 120)
	for i, row := range contrary.Rows {
		contrary.Rows[i] = []float64{-row[0], -row[1], row[2], row[3]}
	}
	sets := []forest.Set{near, other, contrary}
	result, err := forest.Transfer(t.Context(), sets, forest.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range sets {
		for j, test := range sets {
			ps := result[i][j]
			switch a := 0.0; {
			case i == j:
				if ps != nil {
					t.Errorf("set %d is tested on what it was trained on", i)
				}
			case len(ps) != len(test.Rows):
				t.Errorf("from %d to %d: %d probabilities of %d rows", i, j, len(ps), len(test.Rows))
			default:
				a = auc(ps, test.Positive)
				if alike := i < 2 && j < 2; alike && a < 0.8 || !alike && a > 0.5 {
					t.Errorf("from %d to %d: AUC %.3f", i, j, a)
				}
			}
		}
	}
	f, err := forest.Grow(t.Context(), other.Rows, other.Positive, forest.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(result[1][0], f.Probabilities(near.Rows)) {
		t.Error("at [1][0] is not what the forest of set 1 says of set 0")
	}
}

func TestTransferRefuses(t *testing.T) {
	s := made(1, 50)
	idle := forest.Set{Rows: s.Rows, Positive: make([]bool, 50), Groups: s.Groups}
	if _, err := forest.Transfer(t.Context(), []forest.Set{s, idle}, forest.Options{Trees: 2}); !errors.Is(err, forest.ErrOneKind) || !strings.Contains(err.Error(), "set 1") {
		t.Errorf("a set of one kind: %v", err)
	}
	narrow := forest.Set{Rows: [][]float64{{1}, {2}}, Positive: []bool{true, false}}
	if _, err := forest.Transfer(t.Context(), []forest.Set{s, narrow}, forest.Options{Trees: 2}); err == nil || !strings.Contains(err.Error(), "4 features") {
		t.Errorf("a set of other features: %v", err)
	}
	broken := forest.Set{Rows: [][]float64{{1, 2, 3, 4}, {2}}, Positive: []bool{true, false}}
	if _, err := forest.Transfer(t.Context(), []forest.Set{s, broken}, forest.Options{Trees: 2}); err == nil || !strings.Contains(err.Error(), "set 1: row 1") {
		t.Errorf("a broken set: %v", err)
	}
}
