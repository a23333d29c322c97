package stats

import (
	"cmp"
	"math"
	"slices"
)

// ranking is what the ranks of a sample are made of.
type ranking struct {
	of   []float64 // the rank of each value, from 1; equal values share the mean of theirs
	ties float64   // Σ t³−t over groups of t equal values
}

func midranks(values []float64) ranking {
	order := ascending(values)
	r := ranking{of: make([]float64, len(values))}
	for i := 0; i < len(order); {
		j := endOfTies(values, order, i)
		for _, k := range order[i:j] {
			r.of[k] = float64(i+1+j) / 2
		}
		t := float64(j - i)
		r.ties += t*t*t - t
		i = j
	}
	return r
}

// ascending are the places of the values, the lowest first.
func ascending(values []float64) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	return order
}

// endOfTies is where the values end, in that order, that are equal to the one
// at i.
func endOfTies(values []float64, order []int, i int) int {
	j := i + 1
	for j < len(order) && values[order[j]] == values[order[i]] {
		j++
	}
	return j
}

// Spearman is the rank correlation of pairs x[i], y[i], from -1 to 1, ties
// sharing the mean of their ranks (C. Spearman, "The proof and measurement of
// association between two things", Am. J. Psychol. 15, 1904).
//
// Its 95 % interval is made for many ties, which the usual ones are not: nearly
// all words never wake a device, and their distances are small whole numbers.
// The variance is the mean square of what each pair contributes (the
// infinitesimal jackknife), on Fisher's scale, artanh. It needs some ten pairs
// on either side of whatever is rare.
//
// The correlation is 0 where x or y is the same throughout. The interval is all
// of [-1, 1] then, with fewer than four pairs, and where all ranks agree or all
// disagree, so that nothing says how far off that may be.
func Spearman(x, y []float64) (rho float64, interval Interval) {
	rho, influences := spearman(x, y)
	if influences == nil || math.Abs(rho) > 1-1e-9 {
		return rho, Interval{-1, 1}
	}
	half := z95 * deviation(influences) / (1 - rho*rho)
	z := math.Atanh(rho)
	return rho, Interval{math.Tanh(z - half), math.Tanh(z + half)}
}

// SpearmanDifference is by how much the rank correlation of a with y is above
// that of b with y, from -2 to 2, and its 95 % interval; a[i], b[i] and y[i] are
// of the same word. Two correlations with one y go up and down together, so this
// tells more than comparing their own intervals does. The interval is all of
// [-2, 2] where that of [Spearman] would be all of [-1, 1].
func SpearmanDifference(a, b, y []float64) (difference float64, interval Interval) {
	rhoA, ofA := spearman(a, y)
	rhoB, ofB := spearman(b, y)
	difference = rhoA - rhoB
	if ofA == nil || ofB == nil {
		return difference, Interval{-2, 2}
	}
	for i := range ofA {
		ofA[i] -= ofB[i]
	}
	half := z95 * deviation(ofA)
	return difference, Interval{max(-2, difference-half), min(2, difference+half)}
}

// deviation is the standard deviation of what is the mean of the influences.
func deviation(influences []float64) float64 {
	sum := 0.0
	for _, v := range influences {
		sum += v * v
	}
	return math.Sqrt(sum) / float64(len(influences))
}

// spearman is the correlation of the ranks of x and y, and what each pair
// contributes to it: by how much the correlation changes for each share of the
// sample that is more of this pair. There are none where they can't be had.
//
// A rank, less a half and as a share of all, is F(x): how much of the sample
// lies below x, half of what is equal to it included. The correlation is
// a/√(bc) with a = mean(F·G) - 1/4, b = mean(F²) - 1/4, c = mean(G²) - 1/4. A
// pair contributes to each by its own F and G, and by raising those of all
// pairs above it.
func spearman(x, y []float64) (rho float64, influences []float64) {
	n := float64(len(x))
	f, g := shares(x), shares(y)
	var fg, ff, gg float64
	for i := range f {
		fg += f[i] * g[i] / n
		ff += f[i] * f[i] / n
		gg += g[i] * g[i] / n
	}
	a, b, c := fg-0.25, ff-0.25, gg-0.25
	if n < 4 || b < 1e-12 || c < 1e-12 {
		if n < 2 || b < 1e-12 || c < 1e-12 {
			return 0, nil
		}
		return clamp(a / math.Sqrt(b*c)), nil
	}
	rho = clamp(a / math.Sqrt(b*c))
	gAbove, fAbove := above(x, g), above(y, f)
	ffAbove, ggAbove := above(x, f), above(y, g)
	influences = make([]float64, len(x))
	for i := range influences {
		da := f[i]*g[i] + gAbove[i] + fAbove[i] - 3*fg
		db := f[i]*f[i] + 2*ffAbove[i] - 3*ff
		dc := g[i]*g[i] + 2*ggAbove[i] - 3*gg
		influences[i] = da/math.Sqrt(b*c) - rho/2*(db/b+dc/c)
	}
	return rho, influences
}

func clamp(rho float64) float64 { return max(-1, min(1, rho)) }

// shares is, of each value, how much of all lies below it, half of what is
// equal to it included.
func shares(values []float64) []float64 {
	ranks := midranks(values).of
	for i := range ranks {
		ranks[i] = (ranks[i] - 0.5) / float64(len(values))
	}
	return ranks
}

// above is, of each value, the sum of the weights of those above it and half of
// those equal to it, divided by how many there are.
func above(values, weights []float64) []float64 {
	order := ascending(values)
	sums := make([]float64, len(values))
	left := 0.0
	for _, w := range weights {
		left += w
	}
	for i := 0; i < len(order); {
		j := endOfTies(values, order, i)
		equal := 0.0
		for _, k := range order[i:j] {
			equal += weights[k]
		}
		for _, k := range order[i:j] {
			sums[k] = (left - equal/2) / float64(len(values))
		}
		left -= equal
		i = j
	}
	return sums
}
