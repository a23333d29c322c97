package stats

// masses is a distribution over some whole numbers in a row: how likely each
// is, as a multiple of the likeliest, whose mass is 1. Built from ratios of
// neighbours, they lose no digits to factorials.
type masses struct {
	low int
	of  []float64
}

// massesAround builds the distribution over low to high from its mode and the
// ratio of the mass at i+1 to that at i.
func massesAround(mode, low, high int, ratio func(i int) float64) masses {
	m := masses{low, make([]float64, high-low+1)}
	m.of[mode-low] = 1
	for i := mode; i < high; i++ {
		m.of[i+1-low] = m.of[i-low] * ratio(i)
	}
	for i := mode; i > low; i-- {
		m.of[i-1-low] = m.of[i-low] / ratio(i-1)
	}
	return m
}

// atLeast is how likely k or more is.
func (m masses) atLeast(k int) float64 {
	tail, all := 0.0, 0.0
	for i, mass := range m.of {
		all += mass
		if m.low+i >= k {
			tail += mass
		}
	}
	return tail / all
}

// noLikelier is how likely something is that is no likelier than k.
func (m masses) noLikelier(k int) float64 {
	// Masses that are equal in theory differ by rounding.
	const rounding = 1e-7
	tail, all, limit := 0.0, 0.0, m.of[k-m.low]*(1+rounding)
	for _, mass := range m.of {
		all += mass
		if mass <= limit {
			tail += mass
		}
	}
	return tail / all
}

// table is the distribution of how many of the k1+k2 that reacted are among
// the first n1, if it is all chance.
func table(k1, n1, k2, n2 int) masses {
	reacted := k1 + k2
	low, high := max(0, reacted-n2), min(reacted, n1)
	mode := int(float64(n1+1) * float64(reacted+1) / float64(n1+n2+2))
	return massesAround(min(max(mode, low), high), low, high, func(i int) float64 {
		return float64(reacted-i) * float64(n1-i) / (float64(i+1) * float64(n2-reacted+i+1))
	})
}

// FisherGreater is the one-sided p-value of Fisher's exact test: how likely at
// least k1 of the first n1 plays react, if k1+k2 of all n1+n2 do and it is
// chance which. Small, it says that the first react more often than the second
// (R. A. Fisher, "Statistical methods for research workers", 1934, section
// 21.02). It takes 0 <= k <= n, and is 1 where one n is 0.
func FisherGreater(k1, n1, k2, n2 int) float64 { return table(k1, n1, k2, n2).atLeast(k1) }

// FisherTwoSided is the two-sided p-value of Fisher's exact test that the first
// n1 plays, of which k1 reacted, and the second n2, of which k2 did, have the
// same rate: how likely a table is that is no likelier than this one. It takes
// 0 <= k <= n, and is 1 where one n is 0.
func FisherTwoSided(k1, n1, k2, n2 int) float64 { return table(k1, n1, k2, n2).noLikelier(k1) }

func binomial(n int, p float64) masses {
	return massesAround(min(int(float64(n+1)*p), n), 0, n, func(i int) float64 {
		return float64(n-i) / float64(i+1) * (p / (1 - p))
	})
}

// BinomialGreater is how likely k or more of n plays react at the rate p: the
// one-sided p-value of the exact test that the rate is at most p.
func BinomialGreater(k, n int, p float64) float64 { return binomial(n, p).atLeast(k) }

// BinomialTwoSided is the two-sided p-value of the exact test that k of n plays
// reacted at the rate p: how likely an outcome is that is no likelier than k.
func BinomialTwoSided(k, n int, p float64) float64 { return binomial(n, p).noLikelier(k) }

// McNemar is the two-sided p-value of the exact test that two benches react
// alike, from plays that both had, with the same clip, phase and noise: in so
// many only the first reacted, in so many only the second. Plays in which both
// did or neither did say nothing about a difference (Q. McNemar, "Note on the
// sampling error of the difference between correlated proportions or
// percentages", Psychometrika 12, 1947). It is 1 where there are none.
func McNemar(onlyFirst, onlySecond int) float64 {
	return BinomialTwoSided(onlyFirst, onlyFirst+onlySecond, 0.5)
}
