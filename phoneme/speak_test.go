package phoneme_test

import (
	"fmt"
	"strings"
	"testing"

	"wakefuzz/phoneme"
)

func TestSyllables(t *testing.T) {
	for p, want := range map[phoneme.Pronunciation]string{
		"AH0 L EH1 K S AH0":              "AH0 . L EH K1 . S AH0",
		"AE2 L AH0 G Z AE1 N D ER0":      "AE2 . L AH G0 . Z AE N1 . D ER0",
		"W IH1 N D OW0":                  "W IH N1 . D OW0",
		"S T R EH1 NG K TH S":            "S T R EH NG K TH S1",
		"S IH1 NG ER0":                   "S IH NG1 . ER0",
		"IH0 K S T R IY1 M":              "IH K0 . S T R IY M1",
		"V Y UW1":                        "V Y UW1",
		"IY0 AA1":                        "IY0 . AA1",
		"AH L EH K S AH":                 "AH0 . L EH K0 . S AH0",
		"S T":                            "S T0",
		"":                               "0",
		"ZH W AA1 N":                     "ZH W AA N1",
		"AH0 N D ER0 S T AE1 N D IH0 NG": "AH N0 . D ER0 . S T AE N1 . D IH NG0",
	} {
		var got []string
		for _, s := range p.Syllables() {
			got = append(got, strings.Join(s.Phones, " ")+fmt.Sprint(s.Stress))
		}
		if joined := strings.Join(got, " . "); joined != want {
			t.Errorf("%s is divided %q, want %q", p, joined, want)
		}
	}
}

func TestStressed(t *testing.T) {
	for p, want := range map[phoneme.Pronunciation]phoneme.Pronunciation{
		"AH L EH K S AH":    "AH0 L EH1 K S AH0",
		"K AH T":            "K AH1 T",
		"AH B AH V":         "AH1 B AH0 V",
		"W IH N D OW":       "W IH1 N D OW0",
		"AH0 L EH1 K S AH0": "AH0 L EH1 K S AH0",
		"AH L EH K S AH0":   "AH0 L EH0 K S AH0",
		"S T":               "S T",
		"":                  "",
	} {
		if got := p.Stressed(); got != want {
			t.Errorf("%q is stressed %q, want %q", p, got, want)
		}
	}
}

func TestIPA(t *testing.T) {
	for p, want := range map[phoneme.Pronunciation]string{
		"AH0 L EH1 K S AH0":       "əˈlɛksə",
		"AH L EH K S AH":          "əˈlɛksə",
		"K AH1 T":                 "ˈkʌt",
		"AE1 P AH0 L":             "ˈæpəl",
		"W AO1 T ER0":             "ˈwɔtɚ",
		"M AE2 N IH0 T OW1 B AH0": "ˌmænɪˈtoʊbə",
		"B ER1 D":                 "ˈbɝd",
		"S T":                     "st",
	} {
		if got := p.IPA(); got != want {
			t.Errorf("%q is %q, want %q", p, got, want)
		}
	}
}

// Whatever ParsePronunciation takes can be spoken: no phone gets lost in the
// syllables, and every one has a sign.
func FuzzSpoken(f *testing.F) {
	f.Add("AH0 L EH1 K S AH0")
	f.Add("NG NG S T R")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := phoneme.ParsePronunciation(s)
		if err != nil {
			return
		}
		var phones []string
		for _, syllable := range p.Syllables() {
			phones = append(phones, syllable.Phones...)
		}
		if got := strings.Join(phones, " "); got != string(p.Bare()) {
			t.Errorf("%q has the syllables of %q", p, got)
		}
		stressed, err := phoneme.ParsePronunciation(string(p.Stressed()))
		if err != nil || stressed.Bare() != p.Bare() {
			t.Errorf("%q is stressed %q, error %v", p, stressed, err)
		}
		if len([]rune(p.IPA())) < p.Count() {
			t.Errorf("%q is %q, which lacks a sign", p, p.IPA())
		}
	})
}
