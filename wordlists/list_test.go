package wordlists_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"wakefuzz/wordlists"
)

func TestReadList(t *testing.T) {
	const text = "\ufeff# brands\r\n" +
		"Electra\r\n" +
		"\r\n" +
		"  hey \t LECTER   # a phrase\r\n" +
		"electra\n" +
		"C#\n" +
		"don’t\n" +
		"ÉTÉ # French\n" +
		"#\n" +
		"last"
	got, err := wordlists.ReadList(strings.NewReader(text), "brands.txt")
	want := []string{"electra", "hey lecter", "c#", "don't", "été", "last"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestReadListOfNothing(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# nothing", "\ufeff"} {
		if got, err := wordlists.ReadList(strings.NewReader(text), "empty.txt"); err != nil || len(got) != 0 {
			t.Errorf("%q gives %q, %v", text, got, err)
		}
	}
}

func TestReadListRefuses(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"latin-1":   {"alexa\n\xe9t\xe9\n", "w.txt, line 2: not UTF-8; save the file as UTF-8"},
		"utf-16":    {"\xff\xfea\x00", "w.txt, line 1: not UTF-8"},
		"binary":    {"alexa\x00", `w.txt, line 1: "alexa\x00" has a control character`},
		"long line": {"a\n" + strings.Repeat("b", 1025), "w.txt, line 2: longer than 1024 bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := wordlists.ReadList(strings.NewReader(tt.text), "w.txt")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %s", err, tt.want)
			}
		})
	}

	broken := iotest.ErrReader(errors.New("disk on fire"))
	if _, err := wordlists.ReadList(broken, "w.txt"); err == nil || err.Error() != "read w.txt: disk on fire" {
		t.Errorf("a failing reader gives %v", err)
	}
}

func TestCommon(t *testing.T) {
	words := wordlists.Common()
	if len(words) != 1000 {
		t.Fatalf("%d common words", len(words))
	}
	if got := words[:5]; !slices.Equal(got, []string{"you", "i", "the", "to", "a"}) {
		t.Errorf("the most used words are %q", got)
	}
	for _, w := range words {
		if _, ok := cmu(t).Lookup(w); !ok || !isLetters(w) {
			t.Errorf("%q is not a plain word of the dictionary", w)
		}
	}
	words[0] = "mine"
	if wordlists.Common()[0] != "you" {
		t.Error("a caller has changed the list for all")
	}
}

func FuzzReadList(f *testing.F) {
	f.Add("# brands\nelectra\nhey lecter # phrase\n")
	f.Add("\ufeffalexa\r\nALEXA\r\n")
	f.Add("a\u00a0\u2003b\nİ\nẞ’\n")
	f.Add("\xff\xfea\x00")
	f.Add("C#\n#c\n # d")
	f.Fuzz(func(t *testing.T, text string) {
		words, err := wordlists.ReadList(strings.NewReader(text), "list")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "list") {
				t.Fatalf("the error does not name the list: %v", err)
			}
			return
		}
		seen := make(map[string]bool)
		for _, w := range words {
			if w == "" || seen[w] || w != strings.Join(strings.Fields(w), " ") {
				t.Fatalf("bad or double word %q in %q", w, words)
			}
			seen[w] = true
		}
		// What was read reads the same again, but for a word that happens to
		// begin with, or have a part that begins with, a comment's sign.
		if strings.Contains(text, "#") {
			return
		}
		again, err := wordlists.ReadList(strings.NewReader(strings.Join(words, "\n")), "again")
		if err != nil || !slices.Equal(again, words) {
			t.Fatalf("%q reads as %q, %v", words, again, err)
		}
	})
}
