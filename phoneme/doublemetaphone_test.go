package phoneme_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"wakefuzz/phoneme"
)

func ExampleDoubleMetaphone() {
	for _, text := range []string{"alexa", "hey jarvis", "Schmidt", "Michael"} {
		primary, secondary := phoneme.DoubleMetaphone(text)
		fmt.Println(text, primary, secondary)
	}
	// Output:
	// alexa ALKS ALKS
	// hey jarvis HJRFS HJRFS
	// Schmidt XMT SMT
	// Michael MKL MXL
}

// What another implementation makes of every word of the CMU dictionary, of
// phrases and of made-up words; scripts/double-metaphone-reference.mjs wrote
// it.
func TestDoubleMetaphoneAgreesWithReference(t *testing.T) {
	file, err := os.Open("testdata/double-metaphone.tsv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var lines, differ int
	for scanner := bufio.NewScanner(unzipped); ; lines++ {
		if !scanner.Scan() {
			if err := scanner.Err(); err != nil {
				t.Fatal(err)
			}
			break
		}
		fields := strings.Split(scanner.Text(), "\t")
		text, wantPrimary := fields[0], fields[1]
		wantSecondary := fields[len(fields)-1] // left out where it equals the primary code
		primary, secondary := phoneme.DoubleMetaphone(text)
		if primary != wantPrimary || secondary != wantSecondary {
			if differ++; differ <= 20 {
				t.Errorf("DoubleMetaphone(%q) = %s, %s; the reference gives %s, %s",
					text, primary, secondary, wantPrimary, wantSecondary)
			}
		}
	}
	if lines < 138_000 {
		t.Errorf("the reference ends after %d lines", lines)
	}
	if differ > 0 {
		t.Errorf("%d of %d differ", differ, lines)
	}
}

func TestDoubleMetaphoneBeyondEnglishLetters(t *testing.T) {
	for _, test := range []struct{ text, primary, secondary string }{
		{"", "", ""},
		{"42", "", ""},
		{"алекса", "", ""},
		{"\xff\xfe", "", ""},
		// Accents fall away, composed or not, and e keeps its effect on a c.
		{"école", "AKL", "AKL"},
		{"célèbre", "SLPR", "SLPR"},
		{"ce\u0301le\u0300bre", "SLPR", "SLPR"},
		{"façade", "FST", "FST"},
		{"fac\u0327ade", "FST", "FST"},
		{"Ş\u0327", "S", "S"},
		{"Straße", "STRS", "STRS"},
		{"Þór", "0R", "TR"},
		{"Łódź", "LTS", "LTS"},
		{"ﬁn", "FN", "FN"},
		{"ＡＬＥＸＡ", "ALKS", "ALKS"},
		// White space is one space, or none at the ends.
		{" \t alexa \n", "ALKS", "ALKS"},
		{"mac\u00a0 gregor", "MKRKR", "MKRKR"},
		{"mac gregor", "MKRKR", "MKRKR"},
		// Other characters separate: this E doesn't begin the text.
		{"'em", "M", "M"},
		{"\u2019em", "M", "M"},
	} {
		primary, secondary := phoneme.DoubleMetaphone(test.text)
		if primary != test.primary || secondary != test.secondary {
			t.Errorf("DoubleMetaphone(%q) = %s, %s; want %s, %s", test.text, primary, secondary, test.primary, test.secondary)
		}
	}
}

func TestDoubleMetaphoneIsNotTruncated(t *testing.T) {
	short, _ := phoneme.DoubleMetaphone("lexa")
	long, _ := phoneme.DoubleMetaphone(strings.Repeat("lexa", 1000))
	if want := strings.Repeat(short, 1000); long != want {
		t.Errorf("got %d letters, want %d", len(long), len(want))
	}
}

func TestDoubleMetaphoneIgnoresWritingHabits(t *testing.T) {
	text := rapid.StringMatching(`[a-zA-Z' \-àéèêëïôüçñåöäßøæ]{0,20}`)
	rapid.Check(t, func(t *rapid.T) {
		text := text.Draw(t, "text")
		primary, secondary := phoneme.DoubleMetaphone(text)
		for habit, same := range map[string]string{
			"upper case": strings.ToUpper(text),
			"decomposed": norm.NFD.String(text),
			"spaced":     "  " + strings.ReplaceAll(text, " ", " \t") + "\n",
		} {
			if p, s := phoneme.DoubleMetaphone(same); p != primary || s != secondary {
				t.Errorf("%q is %s, %s, but %s, as %q, it is %s, %s", text, primary, secondary, habit, same, p, s)
			}
		}
	})
}

func FuzzDoubleMetaphone(f *testing.F) {
	f.Add("alexa", "elixir", "hey jarvis")
	f.Add("", "x", "Ça")
	f.Add("SCHWARZENEGGER", "mac gregor", "san jose")
	f.Add("Ångström", "\xff\x00", "e\u0301\u0327")
	f.Add(strings.Repeat("ugh", 200), "ﷺ", "кошка")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if len(a)+len(b)+len(c) > 4096 {
			t.Skip("longer than any phrase")
		}
		for _, text := range []string{a, b, c} {
			primary, secondary := phoneme.DoubleMetaphone(text)
			if strings.Trim(primary+secondary, "AFHJKLMNPRSTX0") != "" {
				t.Errorf("DoubleMetaphone(%q) = %q, %q holds what is no code letter", text, primary, secondary)
			}
		}
		for _, m := range phoneme.Metrics() {
			if m != phoneme.MetricPhonemes {
				checkMetricAxioms(t, m, m.Code(a, ""), m.Code(b, ""), m.Code(c, ""))
			}
		}
	})
}

func BenchmarkDoubleMetaphone(b *testing.B) {
	for _, text := range []string{"alexa", "hey jarvis", "electrotelegraphic", "garçon"} {
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				phoneme.DoubleMetaphone(text)
			}
		})
	}
}
