package wordlists_test

import (
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"wakefuzz/phoneme"
	"wakefuzz/wordlists"
)

func cmu(t testing.TB) *wordlists.Dictionary {
	t.Helper()
	d, err := wordlists.CMU()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func parse(t testing.TB, text string) *wordlists.Dictionary {
	t.Helper()
	d, err := wordlists.ParseDictionary(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func isLetters(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c < 'a' || c > 'z' })
}

func TestCMUIsWhole(t *testing.T) {
	d := cmu(t)
	var words, pronunciations, plain, fiveOrSix int
	last := ""
	for w := range d.All() {
		words++
		pronunciations += len(w.Pronunciations)
		if w.Text <= last {
			t.Fatalf("%q stands behind %q", w.Text, last)
		}
		last = w.Text
		if isLetters(w.Text) {
			plain++
			if n := w.Pronunciation().Count(); n == 5 || n == 6 {
				fiveOrSix++
			}
		}
	}
	type numbers struct{ Words, Pronunciations, Plain, FiveOrSix int }
	got := numbers{words, pronunciations, plain, fiveOrSix}
	// Five or six is 47,250 where the comments behind a few pronunciations
	// ("AO1 L B AO0 R G # place, danish") are counted as phones.
	want := numbers{Words: 126046, Pronunciations: 135155, Plain: 117490, FiveOrSix: 47257}
	if got != want {
		t.Errorf("CMU has %+v, want %+v", got, want)
	}
	if d.Len() != words {
		t.Errorf("Len is %d, All has %d", d.Len(), words)
	}
}

func TestCMUNeighboursOfAlexa(t *testing.T) {
	d := cmu(t)
	alexa, ok := d.Lookup("alexa")
	if !ok {
		t.Fatal("no alexa")
	}
	metric := phoneme.MetricPhonemes
	code := metric.Code("", alexa.Pronunciation())
	near := 0
	for w := range d.All() {
		if isLetters(w.Text) && w.Text != "alexa" && metric.Distance(code, metric.Code("", w.Pronunciation())) <= 3 {
			near++
		}
	}
	if near != 446 {
		t.Errorf("%d words of letters are within three phonemes of alexa, want 446", near)
	}
}

func TestTable5IsHalfOutsideCMU(t *testing.T) {
	file, err := os.Open("testdata/table5.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	words, err := wordlists.ReadList(file, "table5.txt")
	if err != nil {
		t.Fatal(err)
	}
	missing := slices.DeleteFunc(slices.Clone(words), func(w string) bool {
		_, ok := cmu(t).Lookup(w)
		return ok
	})
	if len(words) != 90 || len(missing) != 47 {
		t.Errorf("%d of %d words are outside the dictionary, want 47 of 90", len(missing), len(words))
	}
}

func TestLookup(t *testing.T) {
	d := cmu(t)
	for _, text := range []string{"read", "READ", "  Read\n"} {
		w, ok := d.Lookup(text)
		want := []phoneme.Pronunciation{"R EH1 D", "R IY1 D"}
		if !ok || w.Text != "read" || !slices.Equal(w.Pronunciations, want) {
			t.Errorf("Lookup(%q) = %+v, %v", text, w, ok)
		}
	}
	if w, ok := d.Lookup("don’t"); !ok || w.Text != "don't" {
		t.Errorf("a typographic apostrophe is not folded: %+v, %v", w, ok)
	}
	for _, text := range []string{"", "ochna", "read(2)", "zzzzzz"} {
		if w, ok := d.Lookup(text); ok {
			t.Errorf("Lookup(%q) = %+v", text, w)
		}
	}
}

func TestAllStops(t *testing.T) {
	for w := range cmu(t).All() {
		if w.Text != "'bout" {
			t.Errorf("first word is %q", w.Text)
		}
		break
	}
}

func TestWordsDoNotShareRoom(t *testing.T) {
	d := parse(t, "a AH0\nb B IY1\n")
	a, _ := d.Lookup("a")
	_ = append(a.Pronunciations, "EY1")
	if b, _ := d.Lookup("b"); b.Pronunciation() != "B IY1" {
		t.Errorf("b became %q", b.Pronunciation())
	}
}

func TestPhrase(t *testing.T) {
	d := parse(t, `
hey HH EY1
jarvis JH AA1 R V IH0 S
the DH AH0
the(2) DH AH1
the(3) DH IY0
read R EH1 D
read(2) R IY1 D
`)
	tests := []struct {
		text string
		want wordlists.Word
	}{
		{"Hey  Jarvis", wordlists.Word{
			Text:           "hey jarvis",
			Pronunciations: []phoneme.Pronunciation{"HH EY1 JH AA1 R V IH0 S"},
		}},
		{"jarvis", wordlists.Word{
			Text:           "jarvis",
			Pronunciations: []phoneme.Pronunciation{"JH AA1 R V IH0 S"},
		}},
		{"the read", wordlists.Word{
			Text: "the read",
			Pronunciations: []phoneme.Pronunciation{
				"DH AH0 R EH1 D", "DH AH0 R IY1 D", "DH AH1 R EH1 D",
				"DH AH1 R IY1 D", "DH IY0 R EH1 D", "DH IY0 R IY1 D",
			},
		}},
	}
	for _, tt := range tests {
		got, err := d.Phrase(tt.text)
		if err != nil || got.Text != tt.want.Text || !slices.Equal(got.Pronunciations, tt.want.Pronunciations) {
			t.Errorf("Phrase(%q) = %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
	}

	long, err := d.Phrase("the the the read")
	if err != nil || len(long.Pronunciations) != 16 || long.Pronunciation() != "DH AH0 DH AH0 DH AH0 R EH1 D" {
		t.Errorf("a phrase of 54 pronunciations gives %d, %v", len(long.Pronunciations), err)
	}
}

func TestPhraseNamesWhatIsMissing(t *testing.T) {
	d := parse(t, "hey HH EY1\n")
	_, err := d.Phrase("hey Lecter, Ochna hey")
	var missing *wordlists.MissingError
	if !errors.As(err, &missing) || !slices.Equal(missing.Words, []string{"lecter,", "ochna"}) {
		t.Errorf("error is %v", err)
	}
	if want := `the pronouncing dictionary lacks "lecter,", "ochna"`; err.Error() != want {
		t.Errorf("error says %q, want %q", err, want)
	}
	if _, err := d.Phrase(" \t"); err == nil {
		t.Error("an empty phrase was pronounced")
	}
}

func TestMissingErrorStaysShort(t *testing.T) {
	err := &wordlists.MissingError{Words: strings.Split(strings.Repeat("x", 1000), "")}
	if got := err.Error(); !strings.HasSuffix(got, `"x" and 990 more`) {
		t.Errorf("error says %q", got)
	}
}

func TestParseDictionaryFormats(t *testing.T) {
	// The older releases of CMUdict are in upper case, number variants from 1,
	// and have comments of another kind.
	d := parse(t, "\ufeff;;; # CMUdict\r\n"+
		"READ  R EH1 D\r\n"+
		"READ(1)  R IY1 D\r\n"+
		"\r\n"+
		"# more\r\n"+
		"Aalborg AO1 L B AO0 R G # place, danish\r\n"+
		"(paren P ER0 EH1 N\n"+
		"x(y) EH1 K S\n"+
		"close-paren) K L OW1 Z\n"+
		"tab\tt ae1  b")
	got := make(map[string][]phoneme.Pronunciation)
	for w := range d.All() {
		got[w.Text] = w.Pronunciations
	}
	want := map[string][]phoneme.Pronunciation{
		"(paren":       {"P ER0 EH1 N"},
		"aalborg":      {"AO1 L B AO0 R G"},
		"close-paren)": {"K L OW1 Z"},
		"read":         {"R EH1 D", "R IY1 D"},
		"tab":          {"T AE1 B"},
		"x(y)":         {"EH1 K S"},
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseDictionaryRefuses(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"no phones":       {"a AH0\nb\n", `dictionary, line 2: "b" has no pronunciation`},
		"only a comment":  {"b # B IY1", `dictionary, line 1: "b" has no pronunciation`},
		"unknown phone":   {"a AH0\n\nb Q9\n", `dictionary, line 3: "b": `},
		"no word":         {"(2) AH0\n", "dictionary, line 1: no word before"},
		"not UTF-8":       {"a AH0\nb\xff B IY1\n", "dictionary, line 2: not UTF-8"},
		"long line":       {"a AH0\na " + strings.Repeat("AH0 ", 256), "dictionary, line 2: longer than 1024 bytes"},
		"too many lines":  {strings.Repeat("\n", 2_000_001), "dictionary: more than 2000000 lines"},
		"too large":       {strings.Repeat("x", 64<<20+1), "dictionary: larger than 64 MiB"},
		"not a text file": {"\x00\x01\x02", `dictionary, line 1: "\x00\x01\x02" has no pronunciation`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := wordlists.ParseDictionary(strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %s", err, tt.want)
			}
		})
	}

	broken := iotest.ErrReader(errors.New("disk on fire"))
	if _, err := wordlists.ParseDictionary(broken); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("a failing reader gives %v", err)
	}
}

// Whatever order a dictionary's lines are in, it says the same.
func TestParseDictionarySorts(t *testing.T) {
	lines := []string{"b B IY1", "a AH0", "c S IY1", "a.m. EY2 EH1 M", "état EY2 T AA1", "a's EY1 Z"}
	want := []string{"a", "a's", "a.m.", "b", "c", "état"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.Permutation(lines).Draw(t, "lines"), "\n")
		d, err := wordlists.ParseDictionary(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for w := range d.All() {
			got = append(got, w.Text)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func FuzzParseDictionary(f *testing.F) {
	f.Add("alexa AH0 L EH1 K S AH0\nread R EH1 D\nread(2) R IY1 D # variant\n")
	f.Add(";;; comment\r\nREAD  R EH1 D\r\n")
	f.Add("\ufeffb B IY1\na AH0")
	f.Add("(2) AH0\n() AH0\n")
	f.Add("a\xff AH0")
	f.Add("a\u00a0b AH0\n")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := wordlists.ParseDictionary(strings.NewReader(text))
		if err != nil {
			return
		}
		words := 0
		last := ""
		for w := range d.All() {
			words++
			if w.Text == "" || w.Text <= last {
				t.Fatalf("%q stands behind %q", w.Text, last)
			}
			last = w.Text
			for _, p := range w.Pronunciations {
				if q, err := phoneme.ParsePronunciation(string(p)); err != nil || p != q || p.Count() == 0 {
					t.Fatalf("%q has the pronunciation %q", w.Text, p)
				}
			}
			found, ok := d.Lookup(w.Text)
			if !ok || found.Text != w.Text || !slices.Equal(found.Pronunciations, w.Pronunciations) {
				t.Fatalf("Lookup(%q) = %+v, %v", w.Text, found, ok)
			}
		}
		if words != d.Len() {
			t.Fatalf("Len is %d, All has %d", d.Len(), words)
		}
	})
}

// BenchmarkDictionaryLoad unpacks and parses the CMU dictionary.
func BenchmarkDictionaryLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wordlists.LoadCMU(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseDictionary parses the CMU dictionary's text.
func BenchmarkParseDictionary(b *testing.B) {
	var text strings.Builder
	for w := range cmu(b).All() {
		for _, p := range w.Pronunciations {
			_, _ = io.WriteString(&text, w.Text+" "+string(p)+"\n")
		}
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wordlists.ParseDictionary(strings.NewReader(text.String())); err != nil {
			b.Fatal(err)
		}
	}
}
