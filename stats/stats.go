// Package stats holds the statistics that judging and reporting need: intervals
// of proportions, rates, rank correlations and areas under curves, exact tests,
// the control of false discoveries, and an alarm for what drifts. All of it is
// pure, and checked against scipy and statsmodels (scripts/stats-golden.py).
// docs/statistics.md says which question of a campaign each of them answers.
//
// Intervals are two-sided, of 95 % where no level is asked for. A number that
// can't be had, such as a mean of nothing, is stated by each function; none of
// them returns NaN for input without NaN.
package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Interval is a confidence interval.
type Interval struct {
	Lower, Upper float64
}

// z95 is the 97.5 % quantile of the normal distribution.
const z95 = 1.959963984540054

// Wilson is the 95 % score interval of a proportion of which k of n were seen
// (E. B. Wilson, "Probable inference, the law of succession, and statistical
// inference", J. Am. Stat. Assoc. 22, 1927). Unlike the textbook's normal
// interval it stays within [0, 1] and means something at 0 and n of n, where
// false wake words mostly are. For n = 0 it is all of [0, 1].
func Wilson(k, n int) Interval {
	if n == 0 {
		return Interval{0, 1}
	}
	const z = z95
	p, m := float64(k)/float64(n), float64(n)
	center := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	i := Interval{center - half, center + half}
	// Exact in theory, and a rounding error away from it here.
	if k == 0 {
		i.Lower = 0
	}
	if k == n {
		i.Upper = 1
	}
	return i
}

// ClopperPearson is the exact interval of a proportion of which k of n were
// seen: it holds the true one at least as often as its level, such as 0.95,
// says. For n = 0 it is all of [0, 1].
func ClopperPearson(k, n int, level float64) Interval {
	return ClopperPearsonShares(float64(k), n, level)
}

// ClopperPearsonShares is that interval for the mean of n outcomes that lie
// anywhere from 0 to 1, each a share itself, and that sum to sum. Such outcomes
// spread less than those of 0 and 1 alone with the same mean, for which the
// interval is made, so it is too wide rather than too narrow.
func ClopperPearsonShares(sum float64, n int, level float64) Interval {
	const rounding = 1e-9 // ten times a tenth is not quite one
	tail, m := (1-level)/2, float64(n)
	i := Interval{0, 1}
	if sum > rounding {
		i.Lower = mathext.InvRegIncBeta(sum, m-sum+1, tail)
	}
	if sum < m-rounding {
		i.Upper = mathext.InvRegIncBeta(sum+1, m-sum, 1-tail)
	}
	return i
}

// Poisson is the exact 95 % interval of the rate of events of which k were seen
// in the exposure, such as hours (F. Garwood, "Fiducial limits for the Poisson
// distribution", Biometrika 28, 1936). Without exposure nothing is known, and
// it reaches from 0 to +Inf.
func Poisson(k int, exposure float64) Interval {
	if !(exposure > 0) {
		return Interval{0, math.Inf(1)}
	}
	const tail = 0.025
	i := Interval{Upper: mathext.GammaIncRegInv(float64(k+1), 1-tail) / exposure}
	if k > 0 {
		i.Lower = mathext.GammaIncRegInv(float64(k), tail) / exposure
	}
	return i
}

// StudentTwoSided is the probability that Student's t with the degrees of
// freedom lies as far from 0 as t or farther.
func StudentTwoSided(t, degrees float64) float64 {
	if math.IsInf(t*t, 0) {
		return 0
	}
	// Of two equal forms, the one whose argument is not near 1, where it would
	// have lost what t is.
	if t*t < degrees {
		return 1 - mathext.RegIncBeta(0.5, degrees/2, t*t/(degrees+t*t))
	}
	return mathext.RegIncBeta(degrees/2, 0.5, degrees/(degrees+t*t))
}

// MannWhitney is the two-sided p-value of the rank-sum test that neither of two
// samples tends to hold the larger values, by its normal approximation with
// corrections for ties and continuity. It is 1 where all values are the same
// or a sample is empty.
func MannWhitney(x, y []float64) float64 {
	m, n := float64(len(x)), float64(len(y))
	ranks := midranks(slices.Concat(x, y))
	u := -m * (m + 1) / 2
	for _, r := range ranks.of[:len(x)] {
		u += r
	}
	variance := m * n / 12 * ((m + n + 1) - ranks.ties/((m+n)*(m+n-1)))
	if !(variance > 0) {
		return 1
	}
	z := max(0, math.Abs(u-m*n/2)-0.5) / math.Sqrt(variance)
	return min(1, math.Erfc(z/math.Sqrt2))
}

// AUC is the area under the ROC curve of scores that should be higher for the
// positive cases than for the negative ones: how likely a positive one scores
// higher than a negative one, ties counting half. Its interval is that of
// DeLong, DeLong and Clarke-Pearson ("Comparing the areas under two or more
// correlated ROC curves", Biometrics 44, 1988) on the scale of the logit, which
// keeps it within [0, 1]. Where every positive case lies on the same side of
// every negative one that interval would be a point; then its far end is the
// Clopper-Pearson bound for as many cases as the smaller class has. Without
// cases of both classes the area is 0.5 and anything may be true.
func AUC(positive, negative []float64) (area float64, interval Interval) {
	m, n := float64(len(positive)), float64(len(negative))
	if m == 0 || n == 0 {
		return 0.5, Interval{0, 1}
	}
	all := midranks(slices.Concat(positive, negative)).of
	within := midranks(positive).of
	// How much of the other class each case beats.
	beats := make([]float64, len(positive))
	for i := range beats {
		beats[i] = (all[i] - within[i]) / n
	}
	within = midranks(negative).of
	beaten := make([]float64, len(negative))
	for i := range beaten {
		beaten[i] = 1 - (all[len(positive)+i]-within[i])/m
	}
	area = Mean(beats)
	variance := Variance(beats)/m + Variance(beaten)/n
	fewer := min(len(positive), len(negative))
	switch {
	case area >= 1:
		return 1, Interval{ClopperPearson(fewer, fewer, 0.95).Lower, 1}
	case area <= 0:
		return 0, Interval{0, ClopperPearson(0, fewer, 0.95).Upper}
	}
	logit := math.Log(area / (1 - area))
	half := z95 * math.Sqrt(variance) / (area * (1 - area))
	return area, Interval{1 / (1 + math.Exp(half-logit)), 1 / (1 + math.Exp(-half-logit))}
}

// Mean is the mean of the values, and 0 of none.
func Mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / max(1, float64(len(values)))
}

// Variance is the sample variance, and 0 of fewer than two values.
func Variance(values []float64) float64 {
	mean, sum := Mean(values), 0.0
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return sum / max(1, float64(len(values)-1))
}

// BenjaminiHochberg adjusts p-values for there being many of them: taking all
// hypotheses whose adjusted value is at most q for true keeps the expected
// share of false ones among them at q, where the p-values are independent or
// positively dependent (Y. Benjamini and Y. Hochberg, "Controlling the false
// discovery rate", J. R. Stat. Soc. B 57, 1995).
func BenjaminiHochberg(p []float64) []float64 { return BenjaminiHochbergOf(len(p), p) }

// BenjaminiHochbergOf adjusts the p-values of those of m hypotheses that were
// tested. All others count as p-values of 1: whatever chose which to test, such
// as a round that sorted words out, may have looked at them. m is never taken
// to be less than there are p-values.
func BenjaminiHochbergOf(m int, p []float64) []float64 {
	m = max(m, len(p))
	adjusted := make([]float64, len(p))
	least := 1.0
	for i, k := range slices.Backward(ascending(p)) {
		least = min(least, p[k]*float64(m)/float64(i+1))
		adjusted[k] = least
	}
	return adjusted
}
