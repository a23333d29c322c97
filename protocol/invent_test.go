package protocol_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"wakefuzz/phoneme"
	"wakefuzz/protocol"
	"wakefuzz/wordlists"
)

func lexicon(t testing.TB) []wordlists.Word {
	cmu, err := wordlists.CMU()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(cmu.All())
}

func ExampleInvent() {
	cmu, err := wordlists.CMU()
	if err != nil {
		fmt.Println(err)
		return
	}
	hits := []phoneme.Pronunciation{"L EH1 K S AH0 S", "P L EH1 K S AH0 S", "HH EH1 K S"}
	for _, w := range protocol.Invent(hits, slices.Collect(cmu.All()), 5) {
		fmt.Printf("%s: %s\n", w.Text, w.Pronunciation())
	}
	// Output:
	// lech sus: L EH1 K S AH0 S
	// lex us: L EH1 K S AH0 S
	// plex us: P L EH1 K S AH0 S
	// l-eh-k-th-ah-s: L EH1 K TH AH0 S
	// l-eh-k-s-ah-th: L EH1 K S AH0 TH
}

func TestInventedWordsCouldBeWords(t *testing.T) {
	words := lexicon(t)[:20000]
	rows, known := map[string]bool{}, map[string]bool{}
	for _, w := range words {
		for _, p := range w.Pronunciations {
			known[string(p.Bare())] = true
			for _, row := range threes(p) {
				rows[row] = true
			}
		}
	}
	hits := []phoneme.Pronunciation{"L EH1 K S AH0 S", "N EH1 K S T", "V EH1 K S"}
	invented := protocol.Invent(hits, words, 1000)
	if len(invented) < 20 {
		t.Fatalf("only %d words", len(invented))
	}
	seen := map[string]bool{}
	for _, w := range invented {
		p := w.Pronunciation()
		if _, err := phoneme.ParsePronunciation(string(p)); err != nil || seen[w.Text] {
			t.Errorf("%+v: %v, twice: %v", w, err, seen[w.Text])
		}
		seen[w.Text] = true
		if a, b, pair := strings.Cut(w.Text, " "); pair {
			if w.List != wordlists.ListPairs {
				t.Errorf("the pair %q is of the list %q", w.Text, w.List)
			}
			if !slices.Contains(hits, p) || a == "" || b == "" {
				t.Errorf("the pair %q is said as %s", w.Text, p)
			}
			continue
		}
		if w.List != wordlists.ListInvented {
			t.Errorf("%s is of the list %q", p, w.List)
		}
		if known[string(p.Bare())] {
			t.Errorf("%s is a word", p)
		}
		for _, row := range threes(p) {
			if !rows[row] {
				t.Errorf("%s has %s, which no word has", p, row)
			}
		}
	}
	if again := protocol.Invent(hits, words, 1000); fmt.Sprint(again) != fmt.Sprint(invented) {
		t.Error("the second time other words are invented")
	}
	if got := protocol.Invent(nil, words, 10); len(got) != 0 {
		t.Errorf("%v was invented of nothing", got)
	}
}

// threes are any three phones in a row, with the edges of the word.
func threes(p phoneme.Pronunciation) []string {
	phones := append(append([]string{"#"}, p.Phones()...), "#")
	var rows []string
	for i := range len(phones) - 2 {
		rows = append(rows, strings.Join(phones[i:i+3], " "))
	}
	return rows
}
