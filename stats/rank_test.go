package stats_test

import (
	"math/rand/v2"
	"testing"

	"wakefuzz/stats"
)

// Of words with small whole distances, one in a hundred a hit, the intervals
// hold the truth about as often as they say.
func TestSpearmanCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	const words, samples = 3000, 250
	near, rough, hit := make([]float64, words), make([]float64, words), make([]float64, words)
	for i := range words {
		near[i] = float64(rng.IntN(5) + rng.IntN(5))
		rough[i] = max(0, near[i]+float64(rng.IntN(5)-2))
		if rng.Float64() < 0.05/(1+near[i]*near[i]/2) {
			hit[i] = 1
		}
	}
	rho, _ := stats.Spearman(near, hit)
	difference, _ := stats.SpearmanDifference(near, rough, hit)

	held, heldDifference := 0, 0
	a, b, y := make([]float64, words), make([]float64, words), make([]float64, words)
	for range samples {
		for i := range words {
			k := rng.IntN(words)
			a[i], b[i], y[i] = near[k], rough[k], hit[k]
		}
		if _, in := stats.Spearman(a, y); in.Lower <= rho && rho <= in.Upper {
			held++
		}
		if _, in := stats.SpearmanDifference(a, b, y); in.Lower <= difference && difference <= in.Upper {
			heldDifference++
		}
	}
	for what, n := range map[string]int{"correlation": held, "difference": heldDifference} {
		if share := float64(n) / samples; share < 0.91 || share > 0.98 {
			t.Errorf("the interval of the %s holds it in %.3f of the samples, want 0.95", what, share)
		}
	}
}

func TestSpearmanOfNothing(t *testing.T) {
	all := stats.Interval{Lower: -1, Upper: 1}
	for name, c := range map[string]struct {
		x, y []float64
		want float64
	}{
		"nothing":     {nil, nil, 0},
		"one":         {[]float64{1}, []float64{2}, 0},
		"two":         {[]float64{1, 2}, []float64{5, 9}, 1},
		"all equal":   {[]float64{1, 1, 1, 1, 1}, []float64{1, 2, 3, 4, 5}, 0},
		"all agree":   {[]float64{1, 2, 3, 4, 5}, []float64{1, 4, 9, 16, 25}, 1},
		"all reverse": {[]float64{1, 2, 3, 4, 5}, []float64{9, 7, 5, 3, 1}, -1},
	} {
		if rho, in := stats.Spearman(c.x, c.y); rho != c.want || in != all {
			t.Errorf("%s: %g, %v, want %g", name, rho, in, c.want)
		}
	}
	if d, in := stats.SpearmanDifference(nil, nil, nil); d != 0 || in != (stats.Interval{Lower: -2, Upper: 2}) {
		t.Errorf("the difference of nothing is %g, %v", d, in)
	}
}
