package wordlists_test

import (
	"math"
	"testing"

	"wakefuzz/wordlists"
)

// The counts are SUBTLEX-US's own, of 49.7 million words.
func TestFrequency(t *testing.T) {
	for word, count := range map[string]float64{
		"you": 2134713, "next": 23090, " Letter ": 4213, "london": 2347, "lecture": 534, "hex": 66, "vex": 10,
	} {
		want := count / 49.71956
		got, known := wordlists.Frequency(word)
		if !known || math.Abs(got/want-1) > 0.03 {
			t.Errorf("%q is said %g times in a million words (%v), want %g", word, got, known, want)
		}
	}
	for _, word := range []string{"", "hexcel", "ochna", "hey jarvis", "don't", "don", "t", "next(2)"} {
		if got, known := wordlists.Frequency(word); known || got != 0 {
			t.Errorf("%q is said %g times in a million words, and was never counted", word, got)
		}
	}
}

func TestFrequencyOfAll(t *testing.T) {
	counted, all := 0, 0.0
	for w := range cmu(t).All() {
		if perMillion, known := wordlists.Frequency(w.Text); known {
			counted++
			all += perMillion
		}
	}
	// The rest of a million are fragments of contractions and what no
	// dictionary has.
	if counted != 48795 || all < 0.9e6 || all > 1e6 {
		t.Errorf("%d words are counted, %.0f in a million", counted, all)
	}
	last := math.Inf(1)
	for _, word := range wordlists.Common() {
		perMillion, known := wordlists.Frequency(word)
		if !known || perMillion > last {
			t.Errorf("%q is common and said %g times in a million words (%v), more than the one before it", word, perMillion, known)
		}
		last = perMillion
	}
}
