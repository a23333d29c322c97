package wordlists

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"wakefuzz/phoneme"
)

// The lists that have a name. Any other name is the path of a file.
const (
	// ListCMU is the CMU dictionary.
	ListCMU = "cmudict"
	// ListCommon is the 1,000 most used words.
	ListCommon = "common"
	// ListNone stands alone, for a selection of included or random words only.
	ListNone = "none"
)

// The lists of words that a protocol makes up, which no selection has. Those of
// ListInvented have no spelling, and those of ListPairs are two words.
const (
	ListInvented = "invented"
	ListPairs    = "invented pairs"
)

// Invented says whether the list is of words that a protocol makes up.
func Invented(list string) bool { return list == ListInvented || list == ListPairs }

// listInclude is where words that were included by hand are said to be from.
const listInclude = "include"

// AnyCount accepts every word, as the only element of Selection.Phonemes.
const AnyCount = 0

// The orders besides those by the distances of package phoneme.
const (
	OrderAlphabet = "alphabet"
	// OrderShuffle is a random order that depends on the seed alone.
	OrderShuffle = "shuffle"
)

// Variants says which of a word's pronunciations are counted.
type Variants string

// The variants.
const (
	VariantsFirst Variants = "first"
	VariantsAny   Variants = "any"
)

// Selection says which words a campaign plays, and in which order: the key
// "words" of a campaign file. What is left out has the default of
// [Selection.WithDefaults].
type Selection struct {
	// Lists are "cmudict" (the default), "common", and paths of files as
	// [ReadList] reads them; or "none" alone. A word of several lists counts
	// for the first.
	Lists []string `yaml:"lists,omitempty"`
	// Phonemes are the counts of phonemes that a word may have. The default is
	// that of the wake word and one less, as in sections 4.2 and 5.5 of the
	// paper: 6 and 5 for "alexa". 0 alone accepts every count.
	Phonemes []int `yaml:"phonemes,omitempty"`
	// Variants is "first" (the default) where the first pronunciation must have
	// one of those counts, or "any" where any of them may.
	Variants Variants `yaml:"variants,omitempty"`
	// Unusual also takes words of the lists that have other characters than
	// letters: digits, dots, apostrophes, hyphens.
	Unusual bool `yaml:"unusual,omitempty"`
	// Include are words that are always in, whatever else is said here.
	Include []string `yaml:"include,omitempty"`
	// Exclude are words that are never in.
	Exclude []string `yaml:"exclude,omitempty"`
	// Random adds random words, as section 4.2 of the paper did.
	Random Random `yaml:"random,omitempty"`
	// Order is by distance to the wake word, nearest first: the name of one of
	// [phoneme.Metrics] (the default is "double-metaphone"), where equal
	// distances are told apart by the edit distance between the phonemes and
	// then by the alphabet. Or it is "alphabet", or "shuffle".
	Order string `yaml:"order,omitempty"`
	// Limit is how many words of the lists are taken, the first in that order,
	// or 0 for all. Included and random words come on top.
	Limit int `yaml:"limit,omitempty"`
}

// Random says how many random words are added to a selection.
type Random struct {
	// Count is how many, besides those that are selected anyway.
	Count int `yaml:"count"`
	// List is where they are drawn from, whatever their phoneme count: a list
	// as in Selection.Lists, "cmudict" by default.
	List string `yaml:"list,omitempty"`
}

// WithDefaults fills in what the selection leaves out, for a wake word.
func (s Selection) WithDefaults(wake Word) Selection {
	if len(s.Lists) == 0 {
		s.Lists = []string{ListCMU}
	}
	if len(s.Phonemes) == 0 {
		n := wake.Pronunciation().Count()
		s.Phonemes = []int{n}
		if n > 1 {
			s.Phonemes = append(s.Phonemes, n-1)
		}
	}
	if s.Variants == "" {
		s.Variants = VariantsFirst
	}
	if s.Random.List == "" {
		s.Random.List = ListCMU
	}
	if s.Order == "" {
		s.Order = string(phoneme.MetricDoubleMetaphone)
	}
	return s
}

// Validate returns an error, or several joined, that name the key at fault.
// Whether files and included words exist is for [Select] to find out.
func (s Selection) Validate() error {
	return errors.Join(
		validateLists(s.Lists),
		validatePhonemes(s.Phonemes),
		s.validateVariants(),
		validateWords("include", s.Include),
		validateWords("exclude", s.Exclude),
		s.validateOverlap(),
		validateNumber("random.count", s.Random.Count),
		s.validateOrder(),
		validateNumber("limit", s.Limit),
	)
}

func validateLists(lists []string) error {
	if slices.Contains(lists, "") {
		return errors.New(`lists: one name is empty; use "cmudict", "common" or the path of a file`)
	}
	if len(lists) > 1 && slices.Contains(lists, ListNone) {
		return errors.New(`lists: "none" can't be used with other lists`)
	}
	return nil
}

func validatePhonemes(counts []int) error {
	for _, n := range counts {
		if n < 0 {
			return fmt.Errorf("phonemes: %d is not a number of phonemes", n)
		}
	}
	if len(counts) > 1 && slices.Contains(counts, AnyCount) {
		return errors.New("phonemes: 0 accepts every count, and can't be used with other counts")
	}
	return nil
}

func (s Selection) validateVariants() error {
	switch s.Variants {
	case "", VariantsFirst, VariantsAny:
		return nil
	}
	return fmt.Errorf(`variants: %q is neither "first" nor "any"`, s.Variants)
}

func validateWords(key string, words []string) error {
	if slices.ContainsFunc(words, func(w string) bool { return fold(w) == "" }) {
		return fmt.Errorf("%s: one word is empty", key)
	}
	return nil
}

func (s Selection) validateOverlap() error {
	excluded := foldedSet(s.Exclude)
	for _, w := range s.Include {
		if excluded[fold(w)] {
			return fmt.Errorf("exclude: %q is in include too", w)
		}
	}
	return nil
}

func (s Selection) validateOrder() error {
	switch s.Order {
	case "", OrderAlphabet, OrderShuffle:
		return nil
	}
	if _, err := phoneme.ParseMetric(s.Order); err != nil {
		return fmt.Errorf("order: %q is not one of %s", s.Order, strings.Join(orders(), ", "))
	}
	return nil
}

// orders are the names that Selection.Order takes.
func orders() []string {
	var names []string
	for _, m := range phoneme.Metrics() {
		names = append(names, string(m))
	}
	return append(names, OrderAlphabet, OrderShuffle)
}

func validateNumber(key string, n int) error {
	if n < 0 {
		return fmt.Errorf("%s: %d is less than 0", key, n)
	}
	return nil
}

func foldedSet(words []string) map[string]bool {
	set := make(map[string]bool, len(words))
	for _, w := range words {
		set[fold(w)] = true
	}
	return set
}
