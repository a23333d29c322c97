package stats_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"pgregory.net/rapid"

	"wakefuzz/stats"
)

// near holds to 1e-9, of large numbers to that share of them.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9*max(1, math.Abs(want))) {
		t.Errorf("%s is %.15g, want %.15g", what, got, want)
	}
}

// The numbers are those of scipy and statsmodels; scripts/stats-golden.py made
// them.
func TestAgreesWithScipyAndStatsmodels(t *testing.T) {
	var golden struct {
		Proportions []struct {
			K, N          int
			Level         float64
			Wilson, Exact [2]float64
		}
		Rates []struct {
			K        int
			Exposure float64
			Interval [2]float64
		}
		Student []struct{ T, Degrees, P float64 }
		Samples []struct {
			X, Y []float64
			P    float64
			AUC  [3]float64
		}
		Discoveries []struct{ P, Adjusted []float64 }
		Selections  []struct {
			M           int
			P, Adjusted []float64
		}
		Tables []struct {
			K1, N1, K2, N2 int
			Greater        float64
			TwoSided       float64 `json:"two_sided"`
		}
		Binomials []struct {
			K, N       int
			P, Greater float64
			TwoSided   float64 `json:"two_sided"`
		}
		Pairs []struct {
			First, Second int
			P             float64
		}
		Ranks []struct {
			A, B, Y         []float64
			Rho, Difference [3]float64
		}
		Cusums []struct {
			P         float64
			Up, Limit int
			Plays     float64
		}
	}
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	for _, c := range golden.Proportions {
		wilson := stats.Wilson(c.K, c.N)
		near(t, "Wilson's lower end", wilson.Lower, c.Wilson[0])
		near(t, "Wilson's upper end", wilson.Upper, c.Wilson[1])
		exact := stats.ClopperPearson(c.K, c.N, c.Level)
		near(t, "Clopper and Pearson's lower end", exact.Lower, c.Exact[0])
		near(t, "Clopper and Pearson's upper end", exact.Upper, c.Exact[1])
	}
	for _, c := range golden.Rates {
		rate := stats.Poisson(c.K, c.Exposure)
		near(t, "the rate's lower end", rate.Lower, c.Interval[0])
		near(t, "the rate's upper end", rate.Upper, c.Interval[1])
	}
	for _, c := range golden.Student {
		near(t, "Student's p", stats.StudentTwoSided(c.T, c.Degrees), c.P)
	}
	for _, c := range golden.Samples {
		near(t, "Mann and Whitney's p", stats.MannWhitney(c.X, c.Y), c.P)
		area, interval := stats.AUC(c.X, c.Y)
		near(t, "the area", area, c.AUC[0])
		near(t, "the area's lower end", interval.Lower, c.AUC[1])
		near(t, "the area's upper end", interval.Upper, c.AUC[2])
	}
	for _, c := range golden.Discoveries {
		for i, p := range stats.BenjaminiHochberg(c.P) {
			near(t, "the adjusted p", p, c.Adjusted[i])
		}
	}
	for _, c := range golden.Selections {
		for i, p := range stats.BenjaminiHochbergOf(c.M, c.P) {
			near(t, "the adjusted p of a selection", p, c.Adjusted[i])
		}
	}
	for _, c := range golden.Tables {
		near(t, "Fisher's one-sided p", stats.FisherGreater(c.K1, c.N1, c.K2, c.N2), c.Greater)
		near(t, "Fisher's two-sided p", stats.FisherTwoSided(c.K1, c.N1, c.K2, c.N2), c.TwoSided)
	}
	for _, c := range golden.Binomials {
		near(t, "the binomial's one-sided p", stats.BinomialGreater(c.K, c.N, c.P), c.Greater)
		near(t, "the binomial's two-sided p", stats.BinomialTwoSided(c.K, c.N, c.P), c.TwoSided)
	}
	for _, c := range golden.Pairs {
		near(t, "McNemar's p", stats.McNemar(c.First, c.Second), c.P)
	}
	for _, c := range golden.Ranks {
		rho, interval := stats.Spearman(c.A, c.Y)
		near(t, "the rank correlation", rho, c.Rho[0])
		near(t, "its lower end", interval.Lower, c.Rho[1])
		near(t, "its upper end", interval.Upper, c.Rho[2])
		difference, interval := stats.SpearmanDifference(c.A, c.B, c.Y)
		near(t, "the difference of two", difference, c.Difference[0])
		near(t, "its lower end", interval.Lower, c.Difference[1])
		near(t, "its upper end", interval.Upper, c.Difference[2])
	}
	for _, c := range golden.Cusums {
		near(t, "the run length", (&stats.Cusum{Up: c.Up, Limit: c.Limit}).RunLength(c.P), c.Plays)
	}
	if n := len(golden.Proportions) + len(golden.Rates) + len(golden.Student) + len(golden.Samples); n < 500 {
		t.Errorf("only %d golden cases", n)
	}
	if n := len(golden.Tables) + len(golden.Binomials) + len(golden.Pairs) + len(golden.Ranks) + len(golden.Cusums); n < 600 {
		t.Errorf("only %d golden cases of tables, ranks and alarms", n)
	}
}

func TestOfNothing(t *testing.T) {
	if got := stats.Wilson(0, 0); got != (stats.Interval{Lower: 0, Upper: 1}) {
		t.Errorf("Wilson's interval of nothing is %v", got)
	}
	if got := stats.ClopperPearson(0, 0, 0.95); got != (stats.Interval{Lower: 0, Upper: 1}) {
		t.Errorf("the exact interval of nothing is %v", got)
	}
	if got := stats.Poisson(0, 0); got.Lower != 0 || !math.IsInf(got.Upper, 1) {
		t.Errorf("the rate in no time is %v", got)
	}
	if area, got := stats.AUC(nil, []float64{1}); area != 0.5 || got != (stats.Interval{Lower: 0, Upper: 1}) {
		t.Errorf("the area of nothing is %g, %v", area, got)
	}
	if got := stats.MannWhitney([]float64{1, 1}, []float64{1}); got != 1 {
		t.Errorf("equal values differ with p = %g", got)
	}
	if got := stats.BenjaminiHochberg(nil); len(got) != 0 {
		t.Errorf("no p-values adjust to %v", got)
	}
	for name, p := range map[string]float64{
		"two tables of nothing":        stats.FisherGreater(0, 0, 0, 0),
		"nothing beside something":     stats.FisherTwoSided(0, 0, 3, 5),
		"something beside nothing":     stats.FisherGreater(3, 5, 0, 0),
		"none of none":                 stats.BinomialTwoSided(0, 0, 0.3),
		"none at a rate of 0":          stats.BinomialGreater(0, 10, 0),
		"all at a rate of 1":           stats.BinomialTwoSided(10, 10, 1),
		"pairs that are all alike":     stats.McNemar(0, 0),
		"a selection without p-values": 1 - float64(len(stats.BenjaminiHochbergOf(100, nil))),
		"of fewer than there are":      stats.BenjaminiHochbergOf(0, []float64{1})[0],
	} {
		if p != 1 {
			t.Errorf("%s have p = %g", name, p)
		}
	}
	if got := stats.BlockBootstrap(nil, 5, 100, 1); got != (stats.Interval{}) {
		t.Errorf("the mean of nothing is in %v", got)
	}
}

// Perfect separation of few cases is no proof of perfection.
func TestAUCOfSeparateClasses(t *testing.T) {
	low, high := []float64{1, 2, 3}, []float64{4, 5, 6, 7}
	if area, got := stats.AUC(high, low); area != 1 || got.Upper != 1 || !(got.Lower > 0.2 && got.Lower < 0.4) {
		t.Errorf("the area is %g, %v", area, got)
	}
	if area, got := stats.AUC(low, high); area != 0 || got.Lower != 0 || !(got.Upper > 0.6 && got.Upper < 0.8) {
		t.Errorf("the area the wrong way round is %g, %v", area, got)
	}
}

func TestIntervalsHoldWhatTheyAreOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 2000).Draw(t, "n")
		k := rapid.IntRange(0, n).Draw(t, "k")
		p := float64(k) / float64(n)
		wilson := stats.Wilson(k, n)
		exact, rate := stats.ClopperPearson(k, n, 0.95), stats.Poisson(k, float64(n))
		for _, i := range []stats.Interval{wilson, exact, rate} {
			if !(0 <= i.Lower && i.Lower <= p && p <= i.Upper) {
				t.Errorf("%d of %d: %v does not hold it", k, n, i)
			}
		}
		value := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 9), func(i int) float64 { return float64(i) }), 1, 20)
		positive, negative := value.Draw(t, "positive"), value.Draw(t, "negative")
		area, i := stats.AUC(positive, negative)
		if !(0 <= i.Lower && i.Lower <= area+1e-12 && area <= i.Upper+1e-12 && i.Upper <= 1) {
			t.Errorf("an area of %g in %v", area, i)
		}
	})
}

// Of a series in which each value comes ten times, the block bootstrap knows
// that there are ten times fewer; the mean of many such series lies in its
// interval about as often as it says.
func TestBlockBootstrapCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const series, length = 400, 2000
	// Without blocks it is far from holding, which fewer series show.
	const singly = series / 5
	held, heldSingly := 0, 0
	for i := range uint64(series) {
		values := make([]float64, length)
		for j := range values {
			if j%10 == 0 {
				values[j] = rng.Float64()
			} else {
				values[j] = values[j-1]
			}
		}
		if in := stats.BlockBootstrap(values, 50, 400, i); in.Lower <= 0.5 && 0.5 <= in.Upper {
			held++
		}
		if i < singly {
			if in := stats.BlockBootstrap(values, 1, 400, i); in.Lower <= 0.5 && 0.5 <= in.Upper {
				heldSingly++
			}
		}
	}
	if share := float64(held) / series; share < 0.90 || share > 0.98 {
		t.Errorf("the interval holds the mean in %.3f of the series, want 0.95", share)
	}
	if share := float64(heldSingly) / singly; share > 0.7 {
		t.Errorf("without blocks the interval still holds the mean in %.3f of the series: the test tests nothing", share)
	}
}

// Shares spread less than yes and no, so the interval of their mean holds at least
// as often as it says, whatever their distribution.
func TestClopperPearsonSharesHolds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() float64{
		"uniform":       random.Float64,
		"mostly none":   func() float64 { return math.Pow(random.Float64(), 9) },
		"mostly all":    func() float64 { return math.Pow(random.Float64(), 1./9) },
		"nearly yes/no": func() float64 { return math.Round(random.Float64()) },
		"all alike":     func() float64 { return 0.3 },
	} {
		mean := 0.0
		const many = 1 << 20
		for range many {
			mean += draw() / many
		}
		for _, n := range []int{2, 3, 6, 20} {
			held := 0
			const times = 4000
			for range times {
				sum := 0.0
				for range n {
					sum += draw()
				}
				if i := stats.ClopperPearsonShares(sum, n, 0.95); i.Lower <= mean && mean <= i.Upper {
					held++
				}
			}
			if share := float64(held) / times; share < 0.94 { // 0.95, of so many drawn
				t.Errorf("%s, %d shares: the interval holds in %.3f", name, n, share)
			}
		}
	}
}
