package protocol

import (
	"cmp"
	"slices"
	"strings"

	"wakefuzz/phoneme"
	"wakefuzz/wordlists"
)

// Invent makes candidates that no dictionary has out of words that wake a
// device: at most n, those first that are near to most hits. The lexicon is
// words of the language, such as a dictionary's.
//
//   - Words that could be of the language: a hit with one phone exchanged for
//     another, dropped or inserted, or the beginning of a hit with the end of
//     another one. Any three phones in a row, and the first and last two, are
//     found so in the lexicon; the whole is not.
//   - Pairs of words of the lexicon that sound like a hit when one is said after
//     the other: "plex us".
//
// A pair is spelled as its words, and spoken so: its phones alone are those of the
// hit. Any other invented word has no spelling: its Text is its phones,
// "p-l-eh-k-s", and it must be spoken by its pronunciation. Equal arguments give
// equal words.
//
// Of 118 hits of a model of "alexa", by flite's kal16, 20,621 words and 127 pairs
// can be made. Of the 300 words that are first in the order 183 wake the model in
// half of ten plays or more, of 200 taken evenly from all of them 73, and of the
// pairs 73; of the words of the dictionary 0.2 % do.
func Invent(hits []phoneme.Pronunciation, lexicon []wordlists.Word, n int) []wordlists.Word {
	v := newInventor(lexicon)
	for _, hit := range hits {
		v.pairs(hit)
		v.change(hit)
		for _, other := range hits {
			v.cross(hit, other)
		}
	}
	// Nearest to most hits; the distance is in phones as they are articulated.
	closeness := make([]float64, len(v.invented))
	order := make([]int, len(v.invented))
	for i, w := range v.invented {
		order[i] = i
		sounds := w.Pronunciation().Sounds()
		for _, hit := range hits {
			closeness[i] += nearness(sounds.Distance(hit.Sounds()))
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(closeness[b], closeness[a]) })
	words := make([]wordlists.Word, 0, min(n, len(order)))
	for _, i := range order[:min(n, len(order))] {
		words = append(words, v.invented[i])
	}
	return words
}

type inventor struct {
	said     map[pattern]bool    // three phones in a row, and two at an edge
	spelling map[string]string   // of the lexicon's bare pronunciations
	phones   map[string][]string // what may follow a phone, in order
	seen     map[string]bool
	invented []wordlists.Word
}

func newInventor(lexicon []wordlists.Word) *inventor {
	v := &inventor{
		said:     make(map[pattern]bool),
		spelling: make(map[string]string),
		phones:   make(map[string][]string),
		seen:     make(map[string]bool),
	}
	follows := make(map[[2]string]bool)
	for _, w := range lexicon {
		for _, p := range w.Pronunciations {
			for _, three := range threes(p.Sounds()) {
				v.said[three] = true
			}
			if bare := string(p.Bare()); v.spelling[bare] == "" {
				v.spelling[bare] = w.Text
			}
			before := ""
			for phone := range strings.FieldsSeq(string(p)) {
				if pair := [2]string{before, phone}; !follows[pair] {
					follows[pair] = true
					v.phones[before] = append(v.phones[before], phone)
				}
				before = strings.TrimRight(phone, "012")
			}
		}
	}
	for _, following := range v.phones {
		slices.Sort(following)
	}
	return v
}

// threes are all three symbols in a row, with the edges of the word.
func threes(sounds phoneme.Sounds) []pattern {
	padded := slices.Concat([]uint8{edge}, sounds, []uint8{edge})
	var rows []pattern
	for i := range max(0, len(padded)-2) {
		rows = append(rows, patternOf(padded[i:i+3]...))
	}
	return rows
}

// add takes phones, if they could be a word and are none.
func (v *inventor) add(phones ...string) {
	p := phoneme.Pronunciation(strings.Join(phones, " "))
	bare := string(p.Bare())
	if len(phones) == 0 || v.seen[bare] || v.spelling[bare] != "" {
		return
	}
	v.seen[bare] = true
	if slices.ContainsFunc(threes(p.Sounds()), func(three pattern) bool { return !v.said[three] }) {
		return
	}
	v.invented = append(v.invented, wordlists.Word{
		Text:           strings.ToLower(strings.ReplaceAll(bare, " ", "-")),
		Pronunciations: []phoneme.Pronunciation{p},
		List:           wordlists.ListInvented,
	})
}

// pairs splits a hit into words of the lexicon.
func (v *inventor) pairs(hit phoneme.Pronunciation) {
	phones := strings.Fields(string(hit))
	for i := 1; i < len(phones); i++ {
		head, tail := v.spelled(phones[:i]), v.spelled(phones[i:])
		if text := head + " " + tail; head != "" && tail != "" && !v.seen[text] {
			v.seen[text] = true
			v.invented = append(v.invented, wordlists.Word{
				Text: text, Pronunciations: []phoneme.Pronunciation{hit}, List: wordlists.ListPairs,
			})
		}
	}
}

func (v *inventor) spelled(phones []string) string {
	return v.spelling[string(phoneme.Pronunciation(strings.Join(phones, " ")).Bare())]
}

// change drops, exchanges and inserts a phone.
func (v *inventor) change(hit phoneme.Pronunciation) {
	phones := strings.Fields(string(hit))
	for i := range len(phones) + 1 {
		before := ""
		if i > 0 {
			before = strings.TrimRight(phones[i-1], "012")
		}
		if i < len(phones) {
			v.add(slices.Concat(phones[:i], phones[i+1:])...)
		}
		for _, phone := range v.phones[before] {
			v.add(slices.Concat(phones[:i], []string{phone}, phones[i:])...)
			if i < len(phones) {
				v.add(slices.Concat(phones[:i], []string{phone}, phones[i+1:])...)
			}
		}
	}
}

// cross joins the beginning of a word with the end of another at a phone that
// both have.
func (v *inventor) cross(a, b phoneme.Pronunciation) {
	heads, tails := strings.Fields(string(a)), strings.Fields(string(b))
	for i := range heads {
		for j := range tails {
			if heads[i] == tails[j] {
				v.add(slices.Concat(heads[:i], tails[j:])...)
			}
		}
	}
}
