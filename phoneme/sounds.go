package phoneme

import (
	"math"
	"math/bits"
	"slices"
	"strings"
)

// Sounds is a pronunciation as numbers of phones, for whoever compares many.
// Phones that are not of the notation are left out, as stress is.
type Sounds []uint8

// Sounds are the phones of the pronunciation.
func (p Pronunciation) Sounds() Sounds {
	sounds := make(Sounds, 0, p.Count())
	for phone := range strings.FieldsSeq(string(p)) {
		if n, known := phoneNumber[strings.TrimRight(phone, digits)]; known {
			sounds = append(sounds, uint8(n))
		}
	}
	return sounds
}

// Pronunciation is what the sounds are made from, without stress.
func (s Sounds) Pronunciation() Pronunciation {
	names := make([]string, len(s))
	for i, n := range s {
		names[i] = phoneName[n]
	}
	return Pronunciation(strings.Join(names, " "))
}

// Phones is how many phones the notation has: those of [Sounds] are below.
const Phones = 39

// IsVowel tells whether a phone of [Sounds] is a vowel.
func IsVowel(sound uint8) bool { return strings.IndexByte(vowelLetters, phoneName[sound][0]) >= 0 }

var phoneName = strings.Fields(arpabet)

// Gap is what it costs, in [Sounds.Distance], to drop or insert a phone. To
// exchange one for the furthest costs as much as to drop it and insert the
// other.
const Gap = 0.5

// Difference is how far apart two phones are by how they are articulated, from
// 0 (the same) to 1. Both are phones of the notation, without stress: any other
// is at distance 1 from all.
//
// Consonants differ by place, manner, voice, and in being nasal, lateral or
// retroflex, with the values and saliences of ALINE (G. Kondrak, "Algorithms for
// Language Reconstruction", 2002, pages 55 and 56), where 60 of its units
// are 1 here. Vowels differ by height, backness, and in being rounded or
// retroflex, at both ends where they are diphthongs. ALINE's saliences would let
// any vowel pass for any other, at less than the cost of another voice; here
// they are four times as high. A consonant and a vowel are at distance 1.
func Difference(a, b string) float64 {
	i, known := phoneNumber[a]
	j, both := phoneNumber[b]
	switch {
	case a == b:
		return 0
	case !known || !both:
		return 1
	}
	return differences[i][j]
}

// Distance is the least sum of [Difference] and [Gap] that makes t of s: phones
// that sound alike are exchanged for less than others.
func (s Sounds) Distance(t Sounds) float64 {
	var buffer [64]float64 // on the stack, for all but the longest phrases
	row := append(buffer[:0], 0)
	for j := range t {
		row = append(row, Gap*float64(j+1))
	}
	s.align(t, row)
	return row[len(t)]
}

// Within is the distance of s to that stretch of t which is nearest: what t has
// before and after it costs nothing. It tells a word that sounds like a part of a
// phrase.
func (s Sounds) Within(t Sounds) float64 {
	var buffer [64]float64
	row := append(buffer[:0], make([]float64, len(t)+1)...)
	s.align(t, row)
	return slices.Min(row)
}

// align takes the row of what it costs to make each beginning of t of nothing to
// that of what it costs to make it of s.
func (s Sounds) align(t Sounds, row []float64) {
	for i, a := range s {
		diagonal := row[0]
		row[0] = Gap * float64(i+1)
		left := row[0]
		for j, b := range t {
			left = min(diagonal+differences[a][b], left+Gap, row[j+1]+Gap)
			diagonal, row[j+1] = row[j+1], left
		}
	}
}

// The values of ALINE's features.
const (
	bilabial, labiodental, dental, alveolar      = 1.0, 0.95, 0.9, 0.85
	palatoAlveolar, palatal, velar, glottal      = 0.75, 0.7, 0.6, 0.1
	stop, affricate, fricative, approximant      = 1.0, 0.9, 0.8, 0.6
	high, mid, low, front, central, back         = 1.0, 0.5, 0.0, 1.0, 0.5, 0.0
	placeWeight, mannerWeight, otherWeight       = 40, 50, 10
	heightWeight, backnessWeight, roundWeight    = 20, 20, 20
	furthest                                     = 60
	voiced, nasal, lateral, retroflex, roundness = 1, 2, 4, 8, 16
)

type consonant struct {
	place, manner float64
	marks         uint
}

var consonants = map[string]consonant{
	"B": {bilabial, stop, voiced}, "P": {bilabial, stop, 0}, "M": {bilabial, stop, voiced | nasal},
	"D": {alveolar, stop, voiced}, "T": {alveolar, stop, 0}, "N": {alveolar, stop, voiced | nasal},
	"G": {velar, stop, voiced}, "K": {velar, stop, 0}, "NG": {velar, stop, voiced | nasal},
	"V": {labiodental, fricative, voiced}, "F": {labiodental, fricative, 0},
	"DH": {dental, fricative, voiced}, "TH": {dental, fricative, 0},
	"Z": {alveolar, fricative, voiced}, "S": {alveolar, fricative, 0},
	"ZH": {palatoAlveolar, fricative, voiced}, "SH": {palatoAlveolar, fricative, 0},
	"JH": {palatoAlveolar, affricate, voiced}, "CH": {palatoAlveolar, affricate, 0},
	"HH": {glottal, fricative, 0},
	"L":  {alveolar, approximant, voiced | lateral}, "R": {alveolar, approximant, voiced | retroflex},
	"Y": {palatal, approximant, voiced}, "W": {bilabial, approximant, voiced},
}

// vowel is one end of a vowel.
type vowel struct {
	height, backness float64
	marks            uint
}

var vowels = map[string][2]vowel{
	"IY": same(vowel{high, front, 0}), "IH": same(vowel{0.8, 0.9, 0}),
	"EH": same(vowel{mid, front, 0}), "AE": same(vowel{low, front, 0}),
	"AH": same(vowel{mid, central, 0}), "ER": same(vowel{mid, central, retroflex}),
	"UW": same(vowel{high, back, roundness}), "UH": same(vowel{0.8, 0.1, roundness}),
	"AO": same(vowel{mid, back, roundness}), "AA": same(vowel{low, back, 0}),
	"EY": {{mid, front, 0}, {high, front, 0}}, "AY": {{low, central, 0}, {high, front, 0}},
	"OW": {{mid, back, roundness}, {high, back, roundness}}, "AW": {{low, central, 0}, {high, back, roundness}},
	"OY": {{mid, back, roundness}, {high, front, 0}},
}

func same(v vowel) [2]vowel { return [2]vowel{v, v} }

var differences = func() (table [Phones][Phones]float64) {
	for i, a := range phoneName {
		for j, b := range phoneName {
			c, isConsonant := consonants[a]
			d, both := consonants[b]
			units := float64(furthest)
			switch {
			case isConsonant && both:
				units = placeWeight*math.Abs(c.place-d.place) + mannerWeight*math.Abs(c.manner-d.manner) +
					otherWeight*marks(c.marks^d.marks)
			case !isConsonant && !both:
				units = (vowels[a][0].unlike(vowels[b][0]) + vowels[a][1].unlike(vowels[b][1])) / 2
			}
			table[i][j] = min(1, units/furthest)
		}
	}
	return table
}()

func (v vowel) unlike(w vowel) float64 {
	return heightWeight*math.Abs(v.height-w.height) + backnessWeight*math.Abs(v.backness-w.backness) +
		roundWeight*marks(v.marks^w.marks)
}

func marks(different uint) float64 { return float64(bits.OnesCount(different)) }
