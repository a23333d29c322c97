package stats

import (
	"math/rand/v2"
	"slices"
)

// BlockBootstrap is the 95 % percentile interval of the mean of a series whose
// neighbours depend on each other, such as windows of one capture: it is drawn
// anew from blocks of so many neighbours, which keep their dependence (the
// circular block bootstrap of D. Politis and J. Romano, 1992). A block should
// be longer than the dependence. The same seed gives the same interval.
func BlockBootstrap(series []float64, block, resamples int, seed uint64) Interval {
	n := len(series)
	if n == 0 || block < 1 || resamples < 1 {
		return Interval{}
	}
	// Sums of what precedes each place, twice around, so that a block's sum
	// costs the same whatever its length.
	sums := make([]float64, 2*n+1)
	for i := range 2 * n {
		sums[i+1] = sums[i] + series[i%n]
	}
	block = min(block, n)
	rng := rand.New(rand.NewPCG(seed, 0))
	means := make([]float64, resamples)
	for i := range means {
		total := 0.0
		for left := n; left > 0; left -= block {
			from := rng.IntN(n)
			total += sums[from+min(block, left)] - sums[from]
		}
		means[i] = total / float64(n)
	}
	slices.Sort(means)
	at := func(q float64) float64 { return means[int(q*float64(resamples-1)+0.5)] }
	return Interval{at(0.025), at(0.975)}
}
