package results_test

import (
	"strings"
	"testing"

	"wakefuzz/phoneme"
	"wakefuzz/results"
	"wakefuzz/wordlists"
)

func TestHomophone(t *testing.T) {
	dictionary, err := wordlists.CMU()
	if err != nil {
		t.Fatal(err)
	}
	for word, p := range map[string]phoneme.Pronunciation{
		"alexa":         "AH0 L EH1 K S AH0",
		"alexa's":       "AH0 L EH1 K S AH0 Z",
		"uhleksuh":      "AH1 L EH0 K S AH1", // no dictionary has it
		"hey alexa":     "HH EY1 AH0 L EH1 K S AH0",
		"not: alexis":   "AH0 L EH1 K S IH0 S",
		"not: lexus":    "L EH1 K S AH0 S",
		"not: alexei":   "AH0 L EH1 K S EY0",
		"not: anything": "",
	} {
		text, different := strings.CutPrefix(word, "not: ")
		if got := results.Homophone(campaign(), results.Trial{Word: text, Pronunciation: p}, dictionary); got == different {
			t.Errorf("%q: %v", text, got)
		}
	}
	// By any pronunciation of either.
	of := results.Campaign{WakeWord: "read", WakePronunciation: "R IY1 D"}
	if !results.Homophone(of, results.Trial{Word: "red", Pronunciation: "R EH1 D"}, dictionary) {
		t.Error(`"red" is not taken for the past of "read"`)
	}
}
