package main

import (
	"os"
	"path/filepath"
	"testing"

	"wakefuzz/campaign"
	"wakefuzz/wordlists"
)

// What is not all measured passes no gate.
func TestAnIncompleteCampaignPassesNoGate(t *testing.T) {
	file := campaignFile(t, "protocol:", "gate: {max_hits: 3}\nprotocol:")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := campaign.ParseSpec(file, text, drivers)
	if err != nil {
		t.Fatal(err)
	}
	dictionary, err := wordlists.CMU()
	if err != nil {
		t.Fatal(err)
	}
	var words []wordlists.Word
	for _, text := range []string{"alexa", "alexis"} {
		word, err := dictionary.Phrase(text)
		if err != nil {
			t.Fatal(err)
		}
		words = append(words, word)
	}
	planned, played := filepath.Join(t.TempDir(), "planned"), filepath.Join(t.TempDir(), "played")
	store, err := campaign.Create(planned, spec, words[0], words[1:], "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	fuzzer(t, exitDone, "run", file, "--dir", played)
	fuzzer(t, exitUnmeasured, "compare", planned, played).says(t, "not all is measured")
	fuzzer(t, exitGate, "compare", played, planned).says(t, "the wake word: 0 of 0")
	fuzzer(t, exitDone, "compare", played, played).says(t, "the gate holds: max_hits 3")
}
