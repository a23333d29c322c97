package wordlists

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"

	"wakefuzz/phoneme"
)

// maxPhraseVariants is how many pronunciations a phrase gets at most: enough
// for all those of four ambiguous words.
const maxPhraseVariants = 16

//go:generate go run ../scripts/wordlists data

//go:embed data/cmudict.txt.gz
var cmudict []byte

var cmu = sync.OnceValues(loadCMU)

func loadCMU() (*Dictionary, error) {
	text, err := gzip.NewReader(bytes.NewReader(cmudict))
	if err != nil {
		return nil, fmt.Errorf("embedded dictionary: %w", err)
	}
	d, err := ParseDictionary(text)
	if err != nil {
		return nil, fmt.Errorf("embedded %w", err)
	}
	return d, nil
}

// CMU is the CMU Pronouncing Dictionary: 126,046 words of American English with
// 135,155 pronunciations. It is unpacked at the first call; an error means that
// the program file is damaged.
func CMU() (*Dictionary, error) { return cmu() }

// Dictionary knows how words are pronounced. It doesn't change, and may be
// used by several goroutines.
type Dictionary struct {
	// All strings are parts of the one text that was parsed. The
	// pronunciations of texts[i] begin at pronunciations[first[i]] and end
	// before those of texts[i+1]; first has one more element to close the last.
	texts          []string
	first          []uint32
	pronunciations []phoneme.Pronunciation
}

// ParseDictionary reads a dictionary in the format of CMUdict:
//
//	;;; a comment
//	alexa AH0 L EH1 K S AH0
//	read R EH1 D
//	read(2) R IY1 D   # another comment
//
// A line has a word and its phones; a number in parentheses marks a further
// pronunciation of the word, and the order of lines is the order of
// pronunciations. Words may be in upper or lower case and in any order. A line
// without phones or with unknown ones is an error that names the line, and so
// is text that is not UTF-8 or is larger than any dictionary: more than 64 MiB,
// two million lines, or 1024 bytes in a line.
func ParseDictionary(r io.Reader) (*Dictionary, error) {
	type entry struct {
		word          string
		pronunciation phoneme.Pronunciation
	}
	byWord := func(a, b entry) int { return cmp.Compare(a.word, b.word) }
	var entries []entry
	err := eachLine(r, "dictionary", func(line string) error {
		word, pronunciation, err := parseEntry(line)
		if word != "" {
			entries = append(entries, entry{word, pronunciation})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if !slices.IsSortedFunc(entries, byWord) {
		slices.SortStableFunc(entries, byWord)
	}

	d := &Dictionary{pronunciations: make([]phoneme.Pronunciation, len(entries))}
	for i, e := range entries {
		if i == 0 || e.word != entries[i-1].word {
			d.texts = append(d.texts, e.word)
			d.first = append(d.first, uint32(i))
		}
		d.pronunciations[i] = e.pronunciation
	}
	d.first = append(d.first, uint32(len(entries)))
	return d, nil
}

// parseEntry reads one line. The word is empty for a line that has none.
func parseEntry(line string) (string, phoneme.Pronunciation, error) {
	if strings.HasPrefix(line, ";;;") {
		return "", "", nil
	}
	line, _, _ = strings.Cut(line, "#")
	line = strings.TrimSpace(line)
	if line == "" {
		return "", "", nil
	}
	space := strings.IndexAny(line, " \t")
	if space < 0 {
		return "", "", fmt.Errorf("%q has no pronunciation", line)
	}
	word := fold(withoutVariant(line[:space]))
	if word == "" {
		return "", "", fmt.Errorf("no word before %q", line)
	}
	pronunciation, err := phoneme.ParsePronunciation(strings.TrimSpace(line[space:]))
	if err != nil {
		return "", "", fmt.Errorf("%q: %w", word, err)
	}
	return word, pronunciation, nil
}

// withoutVariant turns "read(2)" into "read".
func withoutVariant(word string) string {
	inner, isVariant := strings.CutSuffix(word, ")")
	head := strings.TrimRight(inner, "0123456789")
	if !isVariant || head == inner || !strings.HasSuffix(head, "(") {
		return word
	}
	return strings.TrimSuffix(head, "(")
}

// Len is the number of words.
func (d *Dictionary) Len() int { return len(d.texts) }

// All yields every word in alphabetical order, which is the order of bytes:
// "a's" is before "aaron", "zebra" before "état".
func (d *Dictionary) All() iter.Seq[Word] {
	return func(yield func(Word) bool) {
		for i := range d.texts {
			if !yield(d.word(i)) {
				return
			}
		}
	}
}

// Lookup finds a word, whatever its case and the white space around it.
func (d *Dictionary) Lookup(text string) (Word, bool) {
	i, found := d.find(text)
	if !found {
		return Word{}, false
	}
	return d.word(i), true
}

func (d *Dictionary) find(text string) (int, bool) {
	return slices.BinarySearch(d.texts, fold(text))
}

func (d *Dictionary) word(i int) Word {
	from, to := d.first[i], d.first[i+1]
	return Word{Text: d.texts[i], Pronunciations: d.pronunciations[from:to:to]}
}

// Phrase pronounces one or several words: "hey jarvis". Its first
// pronunciation joins the first ones of its words; the others combine the
// others, up to 16 in all. Words that the dictionary lacks are named by a
// [*MissingError].
func (d *Dictionary) Phrase(text string) (Word, error) {
	if word, ok := d.Lookup(text); ok {
		return word, nil
	}
	phrase := Word{Text: fold(text), Pronunciations: []phoneme.Pronunciation{""}}
	if phrase.Text == "" {
		return Word{}, errors.New("no word to pronounce")
	}
	var missing []string
	for part := range strings.FieldsSeq(phrase.Text) {
		word, ok := d.Lookup(part)
		if !ok {
			missing = append(missing, part)
			continue
		}
		phrase.Pronunciations = combine(phrase.Pronunciations, word.Pronunciations)
	}
	if missing != nil {
		return Word{}, &MissingError{Words: missing}
	}
	return phrase, nil
}

// combine appends each of the tails to each of the heads.
func combine(heads, tails []phoneme.Pronunciation) []phoneme.Pronunciation {
	var all []phoneme.Pronunciation
	for _, head := range heads {
		for _, tail := range tails {
			if len(all) == maxPhraseVariants {
				return all
			}
			if head != "" {
				tail = head + " " + tail
			}
			all = append(all, tail)
		}
	}
	return all
}

// MissingError says which words have no known pronunciation.
type MissingError struct {
	// Words are in lower case, in the order in which they were asked for.
	Words []string
}

// Error names the first few of the words.
func (e *MissingError) Error() string {
	return "the pronouncing dictionary lacks " + quote(e.Words)
}

// quote lists a few words for an error message.
func quote(words []string) string {
	const shown = 10
	var b strings.Builder
	for i, w := range words[:min(len(words), shown)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", w)
	}
	if more := len(words) - shown; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}
