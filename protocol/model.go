package protocol

import (
	"math"

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
const numbers = 2

// example is a word that a model learns from.
type example struct {
	features []int32
	numbers  [numbers]float64
	label    float64 // the share of plays that drew a reaction
	weight   float64
}

// logistic is a logistic regression on features, which a word has or has not,
// and on numbers.
type logistic struct {
	bias    float64
	weights []float64 // of the features
	slopes  [numbers]float64
}

// How a model learns.
var (
	turns     = 20 // how often it sees each example
	step      = 0.3
	penalty   = 1e-3 // on the squares of the weights
	firstBias = -3.0
)

// learn fits a model by gradient descent with a step for each weight (J. Duchi,
// E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning and
// stochastic optimization", JMLR 12, 2011), in the order of the examples: equal
// examples give equal weights.
func learn(examples []example, features int) logistic {
	m := logistic{bias: firstBias, weights: make([]float64, features)}
	squares := make([]float64, features)
	var slopeSquares [numbers]float64
	biasSquare := 1.0
	down := func(weight, square *float64, gradient float64) {
		gradient += penalty * *weight
		*square += gradient * gradient
		*weight -= step * gradient / math.Sqrt(*square+1e-3)
	}
	for range turns {
		for _, e := range examples {
			off := e.weight * (1/(1+math.Exp(-m.score(e))) - e.label)
			biasSquare += off * off
			m.bias -= step * off / math.Sqrt(biasSquare)
			for _, f := range e.features {
				down(&m.weights[f], &squares[f], off)
			}
			for i, v := range e.numbers {
				down(&m.slopes[i], &slopeSquares[i], off*v)
			}
		}
	}
	return m
}

// score is the logarithm of the odds that a play draws a reaction, as far as it
// is known.
func (m logistic) score(e example) float64 {
	sum := m.bias
	for _, f := range e.features {
		sum += m.weights[f]
	}
	for i, v := range e.numbers {
		sum += m.slopes[i] * v
	}
	return sum
}
