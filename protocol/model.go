package protocol

import (
	"math"
	"slices"

	"wakefuzz/phoneme"
)

// edge stands before the first and behind the last phone.
const edge = phoneme.Phones

// vowelClass and consonantClass stand for any phone of their kind.
const (
	anyVowel = phoneme.Phones + 1 + iota
	anyConsonant
	hole // any one phone
	symbols
)

// pattern is a feature of a word: up to four symbols in a row, as the digits of
// a number with the base of symbols.
type pattern uint32

func patternOf(row ...uint8) pattern {
	p := pattern(0)
	for _, s := range row {
		p = p*(symbols+1) + pattern(s) + 1
	}
	return p
}

// String is such as "K S", "EH . S", "# L" (at the beginning).
func (p pattern) String() string {
	text := ""
	for ; p > 0; p /= symbols + 1 {
		s := uint8(p%(symbols+1)) - 1
		name := ""
		switch s {
		case edge:
			name = "#"
		case anyVowel:
			name = "vowel"
		case anyConsonant:
			name = "consonant"
		case hole:
			name = "."
		default:
			name = string(phoneme.Sounds{s}.Pronunciation())
		}
		if text != "" {
			name += " "
		}
		text = name + text
	}
	return text
}

// patterns are all that a word has, each once, in a fixed order.
func patterns(sounds phoneme.Sounds) []pattern {
	padded := make([]uint8, 0, len(sounds)+2)
	padded = append(padded, edge)
	padded = append(padded, sounds...)
	padded = append(padded, edge)
	seen := make(map[pattern]bool)
	var found []pattern
	add := func(row ...uint8) {
		if p := patternOf(row...); !seen[p] {
			seen[p] = true
			found = append(found, p)
		}
	}
	for i := range padded {
		rest := padded[i:]
		if rest[0] != edge {
			add(rest[0])
		}
		if len(rest) >= 2 {
			add(rest[0], rest[1])
			add(coarse(rest[0]), rest[1])
			add(rest[0], coarse(rest[1]))
		}
		if len(rest) >= 3 {
			add(rest[0], rest[1], rest[2])
			add(coarse(rest[0]), rest[1], rest[2])
			add(rest[0], rest[1], coarse(rest[2]))
			add(rest[0], hole, rest[2])
		}
		if len(rest) >= 4 {
			add(rest[0], rest[1], rest[2], rest[3])
		}
	}
	return found
}

func coarse(s uint8) uint8 {
	switch {
	case s >= phoneme.Phones:
		return s
	case phoneme.IsVowel(s):
		return anyVowel
	default:
		return anyConsonant
	}
}

// numbers is how many numbers an example has beside its features.
const numbers = 3

// example is a word that a model learns from.
type example struct {
	features []int32
	numbers  [numbers]float64
	label    float64 // the share of plays that drew a reaction
	weight   float64
}

// logistic is a logistic regression on features, which a word has or has not,
// and on numbers: the weights of the features, then those of the numbers, then
// the bias.
type logistic []float64

// score is the logarithm of the odds that a play draws a reaction, as far as
// they are known.
func (m logistic) score(e example) float64 {
	sum := m[len(m)-1]
	for _, f := range e.features {
		sum += m[f]
	}
	for i, v := range e.numbers {
		sum += float64(v * m[len(m)-1-numbers+i])
	}
	return sum
}

// addTo adds so many times the example's row to a sum of rows.
func (e example) addTo(sum []float64, times float64) {
	for _, f := range e.features {
		sum[f] += times
	}
	for i, v := range e.numbers {
		sum[len(sum)-1-numbers+i] += float64(v * times)
	}
	sum[len(sum)-1] += times
}

// learn fits a model: the weights that have the least sum of half their squares
// and of the examples' logarithmic losses. It goes by Newton's method, each step
// of which is solved by conjugate gradients (C.-J. Lin, R. C. Weng and S. S.
// Keerthi, "Trust region Newton method for large-scale logistic regression",
// JMLR 9, 2008), and halved for as long as it does not lead down.
func learn(examples []example, features int) logistic {
	m := make(logistic, features+numbers+1)
	chance := make([]float64, len(examples))
	// cost is what is made as low as can be. It leaves the chances behind.
	cost := func(m logistic) float64 {
		sum := dot(m, m) / 2
		for i, e := range examples {
			score := m.score(e)
			chance[i] = 1 / (1 + math.Exp(-score))
			// log(1+exp(score)) - label*score, without overflow
			sum += e.weight * (max(score, 0) + math.Log1p(math.Exp(-math.Abs(score))) - float64(e.label*score))
		}
		return sum
	}
	const (
		steps   = 20
		precise = 1e-2 // of the gradient, against that at the beginning
	)
	first := 0.0
	now := cost(m)
	for range steps {
		down := make([]float64, len(m)) // the gradient, downwards
		for i, w := range m {
			down[i] = -w
		}
		for i, e := range examples {
			e.addTo(down, float64(e.weight*(e.label-chance[i])))
		}
		size := math.Sqrt(dot(down, down))
		first = max(first, size)
		if size <= precise*first {
			break
		}
		step := solve(down, func(v logistic) []float64 {
			product := slices.Clone(v)
			for i, e := range examples {
				bend := e.weight * chance[i] * (1 - chance[i])
				e.addTo(product, float64(bend*v.score(e)))
			}
			return product
		})
		next := make(logistic, len(m))
		for share := 1.0; share > 1e-3; share /= 2 {
			for i := range m {
				next[i] = m[i] + float64(share*step[i])
			}
			if after := cost(next); after < now {
				now = after
				break
			}
		}
		m = next
	}
	return m
}

// solve is about the x for which times(x) is the right side, by conjugate
// gradients.
func solve(right []float64, times func(logistic) []float64) []float64 {
	const (
		turns   = 30
		precise = 0.1
	)
	x := make([]float64, len(right))
	rest := slices.Clone(right)
	way := slices.Clone(right)
	size := dot(rest, rest)
	enough := precise * precise * size
	for range turns {
		if size <= enough {
			break
		}
		product := times(way)
		far := size / dot(way, product)
		for i := range x {
			x[i] += float64(far * way[i])
			rest[i] -= float64(far * product[i])
		}
		before := size
		size = dot(rest, rest)
		for i := range way {
			way[i] = rest[i] + float64(size/before*way[i])
		}
	}
	return x
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i] * b[i])
	}
	return sum
}
