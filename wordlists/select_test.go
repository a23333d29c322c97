package wordlists_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"wakefuzz/phoneme"
	"wakefuzz/wordlists"
)

// small is a dictionary to select from by hand.
const small = `
alexa AH0 L EH1 K S AH0
alexis AH0 L EH1 K S AH0 S
electra IH0 L EH1 K T R AH0
electra(2) L EH1 K T R AH0
hey HH EY1
hex HH EH1 K S
lecture L EH1 K CH ER0
lexi L EH1 K S IY0
lexus L EH1 K S AH0 S
taxi T AE1 K S IY0
x-ray EH1 K S R EY2
elk's EH1 L K S AH0
`

func request(t testing.TB, s wordlists.Selection) wordlists.Request {
	t.Helper()
	d := parse(t, small)
	wake, err := d.Phrase("alexa")
	if err != nil {
		t.Fatal(err)
	}
	return wordlists.Request{Wake: wake, Selection: s, Seed: 1, Dictionary: d, Guess: spell}
}

// spell pronounces a text by its letters, a phone for each of a few. It can't
// pronounce what has a q.
func spell(_ context.Context, texts []string) ([]phoneme.Pronunciation, error) {
	var guesses []phoneme.Pronunciation
	for _, text := range texts {
		var phones []string
		for _, c := range text {
			if phone, ok := map[rune]string{'a': "AH0", 'e': "EH1", 'k': "K", 'l': "L", 's': "S", 't': "T"}[c]; ok {
				phones = append(phones, phone)
			}
		}
		if strings.Contains(text, "q") {
			phones = nil
		}
		guesses = append(guesses, phoneme.Pronunciation(strings.Join(phones, " ")))
	}
	return guesses, nil
}

func files(all map[string]string) func(string) (io.ReadCloser, error) {
	system := make(fstest.MapFS)
	for name, text := range all {
		system[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return func(path string) (io.ReadCloser, error) { return system.Open(path) }
}

func texts(words []wordlists.Word) []string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = w.Text
	}
	return all
}

func TestSelect(t *testing.T) {
	tests := map[string]struct {
		selection string // YAML, as in a campaign file
		want      string
	}{
		"default":                        {"", "lexi lexus taxi lecture"},
		"own count only":                 {"phonemes: [6]", "lexus"},
		"another count":                  {"phonemes: [7, 4]", "alexis electra hex"},
		"every count":                    {"phonemes: [0]", "alexis lexi lexus electra hex taxi lecture hey"},
		"any variant":                    {"variants: any", "lexi lexus electra taxi lecture"},
		"unusual":                        {"unusual: true", "elk's lexi lexus taxi lecture x-ray"},
		"limit":                          {"limit: 2", "lexi lexus"},
		"limit beyond the end":           {"limit: 20", "lexi lexus taxi lecture"},
		"exclude":                        {"exclude: [LEXUS, nothing]", "lexi taxi lecture"},
		"include beyond count and limit": {"{include: [Hex, x-ray], limit: 1}", "lexi hex x-ray"},
		"include what is listed":         {"{include: [taxi], limit: 1}", "lexi taxi"},
		"include twice":                  {"include: [hex, HEX]", "lexi lexus hex taxi lecture"},
		"the wake word is never in":      {"{lists: [none], include: [Alexa, hex]}", "hex"},
		"include only":                   {"{lists: [none], include: [lexi, lexus]}", "lexi lexus"},
		"a phrase":                       {"{lists: [none], include: ['hey  Lexi']}", "hey lexi"},
		"alphabet":                       {"order: alphabet", "lecture lexi lexus taxi"},
		"by phonemes":                    {"order: phonemes", "lexi lexus lecture taxi"},
		"by letters":                     {"order: letters", "lexi lexus taxi lecture"},
		"by metaphone":                   {"order: metaphone", "lexi lexus taxi lecture"},
		"a file":                         {"lists: [lists/brands.txt]", "lexi lexus salsa"},
		"a file of any count":            {"{lists: [lists/brands.txt], phonemes: [0]}", "lexi lexus hex salsa kale"},
		"two lists":                      {"{lists: [lists/brands.txt, cmudict], exclude: [lecture]}", "lexi lexus salsa taxi"},
		"random only":                    {"{lists: [none], random: {count: 8, list: cmudict}}", "alexis lexi lexus electra hex taxi lecture hey"},
		"random of what is left":         {"{random: {count: 4}}", "alexis lexi lexus electra hex taxi lecture hey"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var s wordlists.Selection
			if err := yaml.UnmarshalWithOptions([]byte(tt.selection), &s, yaml.Strict()); err != nil {
				t.Fatal(err)
			}
			req := request(t, s)
			req.Open = files(map[string]string{"lists/brands.txt": "lexus\nlexi # brand\nhex\nkale\nsalsa\nhowl-er\nqueasels\n"})
			got, err := wordlists.Select(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(texts(got), " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSelectSaysWhereWordsAreFrom(t *testing.T) {
	req := request(t, wordlists.Selection{
		Lists:   []string{"lists/brands.txt", "cmudict"},
		Include: []string{"Hex", "kale"},
		Exclude: []string{"lecture", "lexus"},
		Order:   "alphabet",
	})
	req.Open = files(map[string]string{"lists/brands.txt": "lexi\nsalsa\nhex\n"})
	got, err := wordlists.Select(t.Context(), req)
	want := []wordlists.Word{
		{Text: "hex", Pronunciations: []phoneme.Pronunciation{"HH EH1 K S"}, List: "include"},
		{Text: "kale", Pronunciations: []phoneme.Pronunciation{"K AH0 L EH1"}, Guessed: true, List: "include"},
		{Text: "lexi", Pronunciations: []phoneme.Pronunciation{"L EH1 K S IY0"}, List: "brands.txt"},
		{Text: "salsa", Pronunciations: []phoneme.Pronunciation{"S AH0 L S AH0"}, Guessed: true, List: "brands.txt"},
		{Text: "taxi", Pronunciations: []phoneme.Pronunciation{"T AE1 K S IY0"}, List: "cmudict"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestSelectOpensRealFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.txt")
	if err := os.WriteFile(path, []byte("lexi\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := wordlists.Select(t.Context(), request(t, wordlists.Selection{Lists: []string{path}}))
	if err != nil || len(got) != 1 || got[0].List != "own.txt" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// The paper's own selection, from the whole dictionary.
func TestSelectForAlexa(t *testing.T) {
	d := cmu(t)
	wake, _ := d.Lookup("alexa")
	words, err := wordlists.Select(t.Context(), wordlists.Request{Wake: wake, Dictionary: d})
	if err != nil {
		t.Fatal(err)
	}
	if len(words) != 47256 { // 47,257 less alexa itself
		t.Errorf("%d words", len(words))
	}
	metric := phoneme.MetricDoubleMetaphone
	far := func(w wordlists.Word) int {
		return metric.Distance(metric.Code(w.Text, ""), metric.Code("alexa", ""))
	}
	if !slices.IsSortedFunc(words, func(a, b wordlists.Word) int { return far(a) - far(b) }) {
		t.Error("the words are not in order of distance")
	}
}

func TestSelectPhraseCounts(t *testing.T) {
	d := cmu(t)
	wake, err := d.Phrase("hey jarvis")
	if err != nil {
		t.Fatal(err)
	}
	s := wordlists.Selection{}.WithDefaults(wake)
	if !slices.Equal(s.Phonemes, []int{8, 7}) {
		t.Errorf("counts are %v", s.Phonemes)
	}
}

func TestDefaults(t *testing.T) {
	wake := wordlists.Word{Text: "a", Pronunciations: []phoneme.Pronunciation{"AH0"}}
	got := wordlists.Selection{Limit: 3}.WithDefaults(wake)
	want := "{[cmudict] [1] first false [] [] {0 cmudict} double-metaphone 3}"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	if again := got.WithDefaults(wake); fmt.Sprint(again) != want {
		t.Errorf("defaults of defaults are %v", again)
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	tests := []struct {
		selection wordlists.Selection
		want      string
	}{
		{wordlists.Selection{Lists: []string{""}}, "lists: one name is empty"},
		{wordlists.Selection{Lists: []string{"none", "common"}}, `lists: "none" can't be used with other lists`},
		{wordlists.Selection{Phonemes: []int{5, -1}}, "phonemes: -1 is not"},
		{wordlists.Selection{Phonemes: []int{0, 5}}, "phonemes: 0 accepts every count"},
		{wordlists.Selection{Variants: "all"}, `variants: "all" is neither`},
		{wordlists.Selection{Include: []string{"a", " "}}, "include: one word is empty"},
		{wordlists.Selection{Exclude: []string{""}}, "exclude: one word is empty"},
		{wordlists.Selection{Include: []string{"Lexi"}, Exclude: []string{"lexi"}}, `exclude: "Lexi" is in include too`},
		{wordlists.Selection{Random: wordlists.Random{Count: -1}}, "random.count: -1"},
		{wordlists.Selection{Order: "soundex"}, `order: "soundex" is not one of double-metaphone, metaphone, letters, phonemes, alphabet, shuffle`},
		{wordlists.Selection{Limit: -5}, "limit: -5 is less than 0"},
	}
	for _, tt := range tests {
		if err := tt.selection.Validate(); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("Validate(%+v) = %v, want %s", tt.selection, err, tt.want)
		}
		if _, err := wordlists.Select(t.Context(), request(t, tt.selection)); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("Select(%+v) = %v, want %s", tt.selection, err, tt.want)
		}
	}
	several := wordlists.Selection{Limit: -1, Variants: "x"}.Validate()
	if several == nil || !strings.Contains(several.Error(), "limit") || !strings.Contains(several.Error(), "variants") {
		t.Errorf("two faults are reported as %v", several)
	}
}

func TestSelectErrors(t *testing.T) {
	guess := func(p []phoneme.Pronunciation, err error) wordlists.Guesser {
		return func(context.Context, []string) ([]phoneme.Pronunciation, error) { return p, err }
	}
	tests := map[string]struct {
		selection wordlists.Selection
		guess     wordlists.Guesser
		want      string
	}{
		"missing file":        {wordlists.Selection{Lists: []string{"no.txt"}}, spell, "lists: open no.txt: file does not exist"},
		"missing random file": {wordlists.Selection{Random: wordlists.Random{Count: 1, List: "no.txt"}}, spell, "random.list: open no.txt"},
		"broken file":         {wordlists.Selection{Lists: []string{"bad.txt"}}, spell, "lists: bad.txt, line 2: not UTF-8"},
		"too many random":     {wordlists.Selection{Random: wordlists.Random{Count: 5}}, spell, `random.count: 5 words are asked for, but only 4 are left in "cmudict"`},
		"silent include":      {wordlists.Selection{Include: []string{"qlek"}}, spell, `include: the voice can't pronounce "qlek"`},
		"silent random":       {wordlists.Selection{Random: wordlists.Random{Count: 1, List: "q.txt"}}, spell, `random: the voice can't pronounce "queasels"`},
		"no guesser": {wordlists.Selection{Include: []string{"Lek", "Sket"}}, nil,
			`the pronouncing dictionary lacks "lek", "sket", and there is no offline voice to guess how they sound: install one`},
		"no guesser for random": {wordlists.Selection{Random: wordlists.Random{Count: 1, List: "q.txt"}}, nil,
			`the pronouncing dictionary lacks "queasels"`},
		"guesser fails":       {wordlists.Selection{Include: []string{"lek"}}, guess(nil, errors.New("no flite")), `guess the pronunciation of "lek": no flite`},
		"guesser is careless": {wordlists.Selection{Include: []string{"lek"}}, guess(nil, nil), `guess the pronunciation of "lek": 1 words, but 0 answers`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			req := request(t, tt.selection)
			req.Guess = tt.guess
			req.Open = files(map[string]string{"bad.txt": "lexi\n\xff", "q.txt": "queasels"})
			words, err := wordlists.Select(t.Context(), req)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %q, %v, want %s", texts(words), err, tt.want)
			}
		})
	}

	req := request(t, wordlists.Selection{Include: []string{"lek"}})
	req.Guess = nil
	_, err := wordlists.Select(t.Context(), req)
	if missing := new(wordlists.MissingError); !errors.As(err, &missing) || !slices.Equal(missing.Words, []string{"lek"}) {
		t.Errorf("no MissingError in %v", err)
	}
	req = request(t, wordlists.Selection{Lists: []string{"no.txt"}})
	req.Open = files(nil)
	if _, err := wordlists.Select(t.Context(), req); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no fs.ErrNotExist in %v", err)
	}
	req = request(t, wordlists.Selection{})
	req.Wake = wordlists.Word{Text: "alexa"}
	if _, err := wordlists.Select(t.Context(), req); err == nil {
		t.Error("a wake word without pronunciation is accepted")
	}
}

func TestSelectGuessesAllAtOnce(t *testing.T) {
	req := request(t, wordlists.Selection{Lists: []string{"w.txt"}, Phonemes: []int{3}, Include: []string{"kat"}})
	req.Open = files(map[string]string{"w.txt": "kel\nhex\nk9\nkat\nlast\n"})
	var asked [][]string
	req.Guess = func(ctx context.Context, texts []string) ([]phoneme.Pronunciation, error) {
		asked = append(asked, texts)
		return spell(ctx, texts)
	}
	got, err := wordlists.Select(t.Context(), req)
	if err != nil || !slices.Equal(texts(got), []string{"kat", "kel"}) {
		t.Errorf("got %q, %v", texts(got), err)
	}
	if want := "[[kat kel last]]"; fmt.Sprint(asked) != want {
		t.Errorf("asked for %v, want %s", asked, want)
	}
}

func TestEmptySelectionSaysWhy(t *testing.T) {
	tests := []struct {
		selection wordlists.Selection
		want      string
	}{
		{wordlists.Selection{Phonemes: []int{40, 41}, Exclude: []string{"taxi"}},
			"no word is left to play: 11 in the lists (cmudict), less 1 the wake word itself, " +
				"less 1 excluded (exclude), less 2 with other characters than letters (unusual), " +
				"less 7 with another number of phonemes than 40 or 41 (phonemes)"},
		{wordlists.Selection{Lists: []string{"q.txt"}},
			"no word is left to play: 1 in the lists (q.txt), less 1 that the voice can't pronounce"},
		{wordlists.Selection{Lists: []string{"none"}, Include: []string{"alexa"}},
			"no word is left to play: 0 in the lists (none)"},
	}
	for _, tt := range tests {
		req := request(t, tt.selection)
		req.Open = files(map[string]string{"q.txt": "queasels"})
		words, err := wordlists.Select(t.Context(), req)
		if !errors.Is(err, wordlists.ErrEmpty) || err.Error() != tt.want {
			t.Errorf("got %q, %v, want %s", texts(words), err, tt.want)
		}
	}
}

// The order of a shuffle is part of what campaigns are reproduced by: it must
// never change.
func TestShuffleIsForEver(t *testing.T) {
	for seed, want := range map[uint64]string{
		1: "hey alexis electra taxi hex lecture lexus lexi",
		2: "hey lecture taxi lexi electra lexus alexis hex",
	} {
		req := request(t, wordlists.Selection{Order: "shuffle", Phonemes: []int{0}})
		req.Seed = seed
		got, err := wordlists.Select(t.Context(), req)
		if err != nil || strings.Join(texts(got), " ") != want {
			t.Errorf("seed %d gives %q, %v, want %q", seed, texts(got), err, want)
		}
	}
	for seed, want := range map[uint64]string{
		1: "buy school upstairs",
		2: "leaving sir until",
	} {
		req := request(t, wordlists.Selection{Lists: []string{"none"}, Random: wordlists.Random{Count: 3, List: "common"}, Order: "alphabet"})
		req.Dictionary = cmu(t)
		req.Seed = seed
		got, err := wordlists.Select(t.Context(), req)
		if err != nil || strings.Join(texts(got), " ") != want {
			t.Errorf("seed %d draws %q, %v, want %q", seed, texts(got), err, want)
		}
	}
}

// A word that goes leaves all others in their order.
func TestShuffleIsStable(t *testing.T) {
	shuffled := func(exclude ...string) []string {
		words, err := wordlists.Select(t.Context(), request(t, wordlists.Selection{Order: "shuffle", Exclude: exclude}))
		if err != nil {
			t.Fatal(err)
		}
		return texts(words)
	}
	all := shuffled()
	for _, w := range all {
		others := slices.DeleteFunc(slices.Clone(all), func(o string) bool { return o == w })
		if got := shuffled(w); !slices.Equal(got, others) {
			t.Errorf("%q without %q are %q", all, w, got)
		}
	}
}

// Whatever a selection asks for, what comes out keeps its promises.
func TestSelectProperties(t *testing.T) {
	d := cmu(t)
	common := wordlists.Common()
	wake, _ := d.Lookup("alexa")
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom(common)
		s := wordlists.Selection{
			Lists:    []string{"common"},
			Phonemes: rapid.SliceOfNDistinct(rapid.IntRange(1, 7), 1, 3, rapid.ID).Draw(t, "phonemes"),
			Variants: rapid.SampledFrom([]wordlists.Variants{"", "first", "any"}).Draw(t, "variants"),
			Include:  rapid.SliceOfN(word, 0, 4).Draw(t, "include"),
			Random:   wordlists.Random{Count: rapid.IntRange(0, 9).Draw(t, "random"), List: "common"},
			Order:    rapid.SampledFrom([]string{"", "metaphone", "letters", "phonemes", "alphabet", "shuffle"}).Draw(t, "order"),
			Limit:    rapid.IntRange(0, 30).Draw(t, "limit"),
		}
		for _, w := range rapid.SliceOfN(word, 0, 4).Draw(t, "exclude") {
			if !slices.Contains(s.Include, w) {
				s.Exclude = append(s.Exclude, w)
			}
		}
		req := wordlists.Request{Wake: wake, Selection: s, Seed: rapid.Uint64().Draw(t, "seed"), Dictionary: d}
		select1 := func(req wordlists.Request) []wordlists.Word {
			words, err := wordlists.Select(context.Background(), req)
			if err != nil && !errors.Is(err, wordlists.ErrEmpty) {
				t.Fatal(err)
			}
			return words
		}
		words := select1(req)
		if !slices.EqualFunc(words, select1(req), func(a, b wordlists.Word) bool { return a.Text == b.Text }) {
			t.Fatal("the same request selects other words")
		}

		seen := make(map[string]bool)
		fitting := 0
		for _, w := range words {
			if seen[w.Text] || w.Text == "alexa" || slices.Contains(s.Exclude, w.Text) || len(w.Pronunciations) == 0 {
				t.Fatalf("%+v should not be in", w)
			}
			seen[w.Text] = true
			counted := w.Pronunciations
			if s.Variants != wordlists.VariantsAny {
				counted = counted[:1]
			}
			fits := slices.ContainsFunc(counted, func(p phoneme.Pronunciation) bool { return slices.Contains(s.Phonemes, p.Count()) })
			if fits && w.List != "include" {
				fitting++
			}
			if !fits && w.List != "include" && s.Random.Count == 0 {
				t.Fatalf("%+v has the wrong count", w)
			}
		}
		for _, w := range s.Include {
			if !seen[w] {
				t.Fatalf("%q is included, but not in", w)
			}
		}
		if s.Limit > 0 && fitting > s.Limit+s.Random.Count {
			t.Fatalf("%d words of the list in spite of limit %d", fitting, s.Limit)
		}

		// Each neighbour in the order is nearer, or the alphabet decides.
		if s.Order == "shuffle" {
			return
		}
		key := func(w wordlists.Word) string {
			if s.Order == "alphabet" {
				return w.Text
			}
			metric := phoneme.Metric(s.Order)
			if s.Order == "" {
				metric = phoneme.MetricDoubleMetaphone
			}
			far := func(m phoneme.Metric) int {
				return m.Distance(m.Code(wake.Text, wake.Pronunciation()), m.Code(w.Text, w.Pronunciation()))
			}
			return fmt.Sprintf("%03d %03d %s", far(metric), far(phoneme.MetricPhonemes), w.Text)
		}
		if !slices.IsSortedFunc(words, func(a, b wordlists.Word) int { return strings.Compare(key(a), key(b)) }) {
			t.Fatalf("out of order: %q", texts(words))
		}
	})
}

// BenchmarkSelect makes the paper's selection for alexa.
func BenchmarkSelect(b *testing.B) {
	d := cmu(b)
	wake, _ := d.Lookup("alexa")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wordlists.Select(b.Context(), wordlists.Request{Wake: wake, Dictionary: d}); err != nil {
			b.Fatal(err)
		}
	}
}
