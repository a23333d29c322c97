package phoneme_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"wakefuzz/phoneme"
)

// The notation written out again, so that a slip in the package shows.
var (
	vowels     = strings.Fields("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW")
	consonants = strings.Fields("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH")
	allPhones  = slices.Concat(vowels, consonants)
)

// phones draws a sequence of phones, vowels with or without stress.
func phones() *rapid.Generator[[]string] {
	stress := rapid.SampledFrom([]string{"", "0", "1", "2"})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		phone := rapid.SampledFrom(allPhones).Draw(t, "phone")
		if slices.Contains(vowels, phone) {
			phone += stress.Draw(t, "stress")
		}
		return phone
	}), 1, 30)
}

func pronunciation(phones []string) phoneme.Pronunciation {
	return phoneme.Pronunciation(strings.Join(phones, " "))
}

func TestParsePronunciation(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"AH0 L EH1 K S AH0", "AH0 L EH1 K S AH0"},
		{"ah0 l eh1 k s ah0", "AH0 L EH1 K S AH0"},
		{"\tAh l\n EH  k s Ah2 ", "AH L EH K S AH2"},
		{"zh", "ZH"},
	} {
		p, err := phoneme.ParsePronunciation(test.in)
		if err != nil || string(p) != test.want {
			t.Errorf("ParsePronunciation(%q) = %q, %v; want %q", test.in, p, err, test.want)
		}
	}
}

func TestParsePronunciationRefuses(t *testing.T) {
	for _, test := range []struct{ in, says string }{
		{"", "empty"},
		{" \t", "empty"},
		{"AH0 L EX1", `phone 3, "EX1", is not of the CMU dictionary's ARPAbet: use AA AE `},
		{"alexa", `phone 1, "ALEXA"`},
		{"1", `phone 1, "1"`},
		{"AH0 L2", `phone 2, "L2", is a consonant with a stress digit: use L`},
		{"ah3", `phone 1, "AH3", has stress 3: use AH0 (none), AH1 (primary) or AH2 (secondary)`},
		{"AH01", `has stress 01`},
		{"AH0-L", `phone 1, "AH0-L"`},
		{strings.Repeat("AH0 ", 257), "1028 bytes is too long: the limit is 1024"},
		{strings.Repeat("Q", 1000), `phone 1, "QQQQQQQQQQQQQQQQ", is not`},
	} {
		p, err := phoneme.ParsePronunciation(test.in)
		if err == nil || p != "" || !strings.Contains(err.Error(), test.says) {
			t.Errorf("ParsePronunciation(%.20q) = %q, %v; want an error that says %q", test.in, p, err, test.says)
		}
	}
}

func TestPronunciation(t *testing.T) {
	p := phoneme.Pronunciation("AH0 L EH1 K S AH0")
	if got := p.Bare(); got != "AH L EH K S AH" {
		t.Errorf("Bare() = %q", got)
	}
	if got := p.Phones(); !slices.Equal(got, []string{"AH", "L", "EH", "K", "S", "AH"}) {
		t.Errorf("Phones() = %q", got)
	}
	if got := p.Count(); got != 6 {
		t.Errorf("Count() = %d", got)
	}
	if n := testing.AllocsPerRun(100, func() { p.Count() }); n != 0 {
		t.Errorf("Count allocates %v times", n)
	}
	var none phoneme.Pronunciation
	if none.Count() != 0 || len(none.Phones()) != 0 || none.Bare() != "" {
		t.Errorf("the empty pronunciation has %d phones, %q, %q", none.Count(), none.Phones(), none.Bare())
	}
}

func TestParseUndoesCaseAndSpacing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := phones().Draw(t, "phones")
		space := rapid.SampledFrom([]string{" ", "  ", "\t", "\n"})
		var messy strings.Builder
		for _, phone := range want {
			if rapid.Bool().Draw(t, "lower") {
				phone = strings.ToLower(phone)
			}
			messy.WriteString(space.Draw(t, "space") + phone)
		}
		p, err := phoneme.ParsePronunciation(messy.String())
		if err != nil {
			t.Fatal(err)
		}
		if p != pronunciation(want) {
			t.Fatalf("ParsePronunciation(%q) = %q", messy.String(), p)
		}
		if p.Count() != len(want) || len(p.Phones()) != len(want) {
			t.Fatalf("%q: Count is %d, Phones are %q", p, p.Count(), p.Phones())
		}
	})
}

func FuzzParsePronunciation(f *testing.F) {
	for _, seed := range []string{
		"AH0 L EH1 K S AH0", "hh ey1", " AA  ZH ", "AX0", "L1", "AH3", "", "1", "AH0\x00", "ſ", "É0", strings.Repeat("K ", 600),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := phoneme.ParsePronunciation(s)
		if err != nil {
			if len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("error is not one short line: %q", err)
			}
			return
		}
		if again, err := phoneme.ParsePronunciation(string(p)); err != nil || again != p {
			t.Errorf("%q read again is %q, %v", p, again, err)
		}
		phones := p.Phones()
		if p.Count() != len(phones) {
			t.Errorf("%q: Count is %d, but Phones are %q", p, p.Count(), phones)
		}
		for _, phone := range phones {
			if !slices.Contains(allPhones, phone) {
				t.Errorf("%q holds %q", p, phone)
			}
		}
	})
}

func BenchmarkParsePronunciation(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := phoneme.ParsePronunciation("AH0 L EH1 K S AH0"); err != nil {
			b.Fatal(err)
		}
	}
}
