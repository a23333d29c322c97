package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"wakefuzz/campaign"
	"wakefuzz/internal/idletraffic"
	"wakefuzz/internal/nights"
	"wakefuzz/wordlists"
)

// madeUpNight is a command of the scripts: "night FILE FOLDER WORD=RATE..." plays
// the campaign of the file to a device that is made up, with these words in the
// place of its own, each of which wakes it in that share of its plays.
func madeUpNight(ts *testscript.TestScript, _ bool, args []string) {
	file, folder := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	text, err := os.ReadFile(file)
	ts.Check(err)
	spec, err := campaign.ParseSpec(args[0], text, drivers)
	ts.Check(err)
	dictionary, err := wordlists.CMU()
	ts.Check(err)
	wake, err := dictionary.Phrase(spec.WakeWord)
	ts.Check(err)
	night := nights.Night{Device: idletraffic.Profiles()[1], Seed: 1, Fixed: spec.Protocol.Pace.Fixed(), Reacts: map[string]float64{}}
	var words []wordlists.Word
	for _, arg := range args[2:] {
		text, rate, _ := strings.Cut(arg, "=")
		word, err := dictionary.Phrase(text)
		ts.Check(err)
		night.Reacts[text], err = strconv.ParseFloat(rate, 64)
		ts.Check(err)
		words = append(words, word)
	}
	store, err := campaign.Create(folder, spec, wake, words, "test")
	ts.Check(err)
	ts.Check(night.Play(store))
	ts.Check(store.Close())
}
