package wordlists

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"wakefuzz/phoneme"
)

// ErrEmpty is what [Select] returns, with an account of what took the words
// away, where no word is left.
var ErrEmpty = errors.New("no word is left to play")

// Guesser pronounces texts by the letter-to-sound rules of an offline voice. It
// returns one pronunciation for each text, "" for what it can't pronounce.
type Guesser func(ctx context.Context, texts []string) ([]phoneme.Pronunciation, error)

// Request is all that a selection depends on.
type Request struct {
	// Wake is the wake word, with at least one pronunciation.
	Wake Word
	// Selection may leave out what has a default.
	Selection Selection
	// Seed decides which random words are drawn, and the order "shuffle".
	Seed uint64
	// Dictionary pronounces the words, and is the list "cmudict".
	Dictionary *Dictionary
	// Guess pronounces words that the dictionary lacks. Where it is nil, such
	// words are an error.
	Guess Guesser
	// Open opens a list by the path that the selection gives; nil means
	// os.Open.
	Open func(path string) (io.ReadCloser, error)
}

// Select returns the words that are to be played, in their order. Equal
// requests give equal selections, on any machine. The wake word itself is never
// among them, not even where it is included.
//
// The error wraps [ErrEmpty] where nothing is left, and a [*MissingError] where
// words have no pronunciation and there is no Guess. All others name the key of
// the selection that is at fault.
func Select(ctx context.Context, req Request) ([]Word, error) {
	if req.Wake.Pronunciation() == "" {
		return nil, fmt.Errorf("the wake word %q has no pronunciation", req.Wake.Text)
	}
	if err := req.Selection.Validate(); err != nil {
		return nil, err
	}
	req.Selection = req.Selection.WithDefaults(req.Wake)
	if req.Open == nil {
		req.Open = func(path string) (io.ReadCloser, error) { return os.Open(path) }
	}
	s := selector{
		Request:  req,
		wake:     fold(req.Wake.Text),
		excluded: foldedSet(req.Selection.Exclude),
	}

	included := s.include()
	listed, err := s.gather(foldedSet(req.Selection.Include))
	if err != nil {
		return nil, err
	}
	// Guessing may start a program: all words in one go.
	words := slices.Concat(included, listed)
	if err := s.pronounce(ctx, words); err != nil {
		return nil, err
	}
	included, listed = words[:len(included)], words[len(included):]
	if err := allPronounced("include", included); err != nil {
		return nil, err
	}

	chosen := s.rank(slices.DeleteFunc(listed, s.dropByCount))
	if limit := s.Selection.Limit; limit > 0 && limit < len(chosen) {
		chosen = chosen[:limit]
	}
	chosen = append(chosen, s.rank(included)...)
	random, err := s.draw(ctx, chosen)
	if err != nil {
		return nil, err
	}
	chosen = append(chosen, s.rank(random)...)
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrEmpty, s.account())
	}
	slices.SortFunc(chosen, candidate.compare)
	return bare(chosen), nil
}

// selector is a selection being made.
type selector struct {
	Request
	wake     string // folded
	excluded map[string]bool
	// seen is the number of words in the lists, and dropped how many of them
	// each filter took away.
	seen    int
	dropped [filters]int
}

// filter is a reason for a word of a list not to be played.
type filter int

const (
	filterNone filter = iota
	filterWake
	filterExclude
	filterUnusual
	filterSilent
	filterPhonemes
	filters
)

// account says which filter took how many words away.
func (s *selector) account() string {
	reasons := [filters]string{
		filterWake:     "the wake word itself",
		filterExclude:  "excluded (exclude)",
		filterUnusual:  "with other characters than letters (unusual)",
		filterSilent:   "that the voice can't pronounce",
		filterPhonemes: fmt.Sprintf("with another number of phonemes than %s (phonemes)", numbers(s.Selection.Phonemes)),
	}
	account := fmt.Sprintf("%d in the lists (%s)", s.seen, strings.Join(s.Selection.Lists, ", "))
	for f, n := range s.dropped {
		if n > 0 {
			account += fmt.Sprintf(", less %d %s", n, reasons[f])
		}
	}
	return account
}

// numbers writes counts as "6 or 5".
func numbers(counts []int) string {
	texts := make([]string, len(counts))
	for i, n := range counts {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, " or ")
}

// include is the words that are in by name.
func (s *selector) include() []Word {
	var words []Word
	seen := map[string]bool{s.wake: true}
	for _, text := range s.Selection.Include {
		if text = fold(text); !seen[text] {
			seen[text] = true
			words = append(words, s.word(text, listInclude))
		}
	}
	return words
}

// gather is the words of the lists that pass the filters, and those that can't
// be counted before their pronunciation is guessed. Words that are in already
// are left out.
func (s *selector) gather(in map[string]bool) ([]Word, error) {
	var words []Word
	for _, list := range s.Selection.Lists {
		err := s.each(list, func(w Word) {
			s.seen++
			switch f := s.refuse(w.Text); {
			case f != filterNone:
				s.dropped[f]++
			case in[w.Text]:
			case len(w.Pronunciations) > 0 && s.dropByCount(w):
			default:
				in[w.Text] = true
				words = append(words, w)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("lists: %w", err)
		}
	}
	return words, nil
}

// each hands all words of a list to use.
func (s *selector) each(list string, use func(Word)) error {
	var texts []string
	switch list {
	case ListNone:
	case ListCMU:
		for w := range s.Dictionary.All() {
			w.List = list
			use(w)
		}
	case ListCommon:
		texts = common()
	default:
		file, err := s.Open(list)
		if err != nil {
			return err
		}
		defer file.Close()
		if texts, err = ReadList(file, list); err != nil {
			return err
		}
	}
	for _, text := range texts {
		use(s.word(text, filepath.Base(list)))
	}
	return nil
}

// word looks a folded text up. One that the dictionary lacks has no
// pronunciation yet.
func (s *selector) word(text, list string) Word {
	w, err := s.Dictionary.Phrase(text)
	if err != nil {
		w = Word{Text: text}
	}
	w.List = list
	return w
}

// refuse applies the filters that need no pronunciation.
func (s *selector) refuse(text string) filter {
	switch {
	case text == s.wake:
		return filterWake
	case s.excluded[text]:
		return filterExclude
	case !s.Selection.Unusual && !isPlain(text):
		return filterUnusual
	}
	return filterNone
}

// dropByCount applies the filters that need the pronunciation.
func (s *selector) dropByCount(w Word) bool {
	counted := w.Pronunciations
	if s.Selection.Variants == VariantsFirst {
		counted = counted[:min(len(counted), 1)]
	}
	fits := func(p phoneme.Pronunciation) bool {
		return s.Selection.Phonemes[0] == AnyCount || slices.Contains(s.Selection.Phonemes, p.Count())
	}
	switch {
	case len(counted) == 0:
		s.dropped[filterSilent]++
		return true
	case !slices.ContainsFunc(counted, fits):
		s.dropped[filterPhonemes]++
		return true
	}
	return false
}

// pronounce guesses the pronunciations that are missing. A word that can't be
// guessed stays without.
func (s *selector) pronounce(ctx context.Context, words []Word) error {
	var missing []string
	for _, w := range words {
		if len(w.Pronunciations) == 0 {
			missing = append(missing, w.Text)
		}
	}
	if missing == nil {
		return nil
	}
	if s.Guess == nil {
		return fmt.Errorf("%w, and there is no offline voice to guess how they sound: install one (apt-get install flite) or take them out",
			&MissingError{Words: missing})
	}
	guesses, err := s.Guess(ctx, missing)
	if err != nil {
		return fmt.Errorf("guess the pronunciation of %s: %w", quote(missing), err)
	}
	if len(guesses) != len(missing) {
		return fmt.Errorf("guess the pronunciation of %s: %d words, but %d answers", quote(missing), len(missing), len(guesses))
	}
	for i := range words {
		if len(words[i].Pronunciations) > 0 {
			continue
		}
		if guesses[0] != "" {
			words[i].Pronunciations = guesses[:1:1]
			words[i].Guessed = true
		}
		guesses = guesses[1:]
	}
	return nil
}

// allPronounced returns an error for a word that no one but the campaign's
// author can do without.
func allPronounced(key string, words []Word) error {
	for _, w := range words {
		if len(w.Pronunciations) == 0 {
			return fmt.Errorf("%s: the voice can't pronounce %q; exclude it", key, w.Text)
		}
	}
	return nil
}

// draw returns the random words, none of which is among the chosen.
func (s *selector) draw(ctx context.Context, chosen []candidate) ([]Word, error) {
	count, list := s.Selection.Random.Count, s.Selection.Random.List
	if count == 0 {
		return nil, nil
	}
	in := make(map[string]bool, len(chosen))
	for _, c := range chosen {
		in[c.Text] = true
	}
	var lots []candidate
	err := s.each(list, func(w Word) {
		if !in[w.Text] && s.refuse(w.Text) == filterNone {
			lots = append(lots, candidate{Word: w, lot: Lot("random", s.Seed, w.Text)})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("random.list: %w", err)
	}
	if len(lots) < count {
		return nil, fmt.Errorf("random.count: %d words are asked for, but only %d are left in %q", count, len(lots), list)
	}
	slices.SortFunc(lots, candidate.compare)
	words := bare(lots[:count])
	if err := s.pronounce(ctx, words); err != nil {
		return nil, err
	}
	return words, allPronounced("random", words)
}

// candidate is a word with what decides its place. Numbers that the order
// doesn't ask for are 0.
type candidate struct {
	Word
	distance int // by the metric, to the wake word
	phonemes int // edit distance to the wake word's phonemes
	lot      uint64
}

func (c candidate) compare(d candidate) int {
	return cmp.Or(
		cmp.Compare(c.distance, d.distance),
		cmp.Compare(c.phonemes, d.phonemes),
		cmp.Compare(c.lot, d.lot),
		cmp.Compare(c.Text, d.Text),
	)
}

// bare is the words alone.
func bare(candidates []candidate) []Word {
	words := make([]Word, len(candidates))
	for i, c := range candidates {
		words[i] = c.Word
	}
	return words
}

// rank puts words into the order of the selection. It is the first
// pronunciation that decides, also where another one was counted.
func (s *selector) rank(words []Word) []candidate {
	ranked := make([]candidate, len(words))
	for i, w := range words {
		ranked[i].Word = w
	}
	switch s.Selection.Order {
	case OrderAlphabet:
	case OrderShuffle:
		for i := range ranked {
			ranked[i].lot = Lot("shuffle", s.Seed, ranked[i].Text)
		}
	default:
		byMetric := distanceTo(s.Wake, phoneme.Metric(s.Selection.Order))
		byPhonemes := distanceTo(s.Wake, phoneme.MetricPhonemes)
		for i := range ranked {
			ranked[i].distance = byMetric(ranked[i].Word)
			ranked[i].phonemes = byPhonemes(ranked[i].Word)
		}
	}
	slices.SortFunc(ranked, candidate.compare)
	return ranked
}

// distanceTo measures words against one and the same.
func distanceTo(wake Word, metric phoneme.Metric) func(Word) int {
	code := metric.Code(wake.Text, wake.Pronunciation())
	return func(w Word) int { return metric.Distance(metric.Code(w.Text, w.Pronunciation()), code) }
}

// Lot is a word's random number, another one for each purpose. Drawing and shuffling by a hash of seed and
// word, rather than by a generator, gives the same result on every machine and
// with every release of Go, whatever else is in the list: where a word comes or
// goes, all others keep their order.
func Lot(purpose string, seed uint64, text string) uint64 {
	h := make([]byte, 0, 64)
	h = append(h, purpose...)
	h = binary.BigEndian.AppendUint64(h, seed)
	h = append(h, text...)
	sum := sha256.Sum256(h)
	return binary.BigEndian.Uint64(sum[:])
}
