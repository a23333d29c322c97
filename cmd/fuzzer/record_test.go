package main

import (
	"slices"
	"testing"
	"time"

	"wakefuzz/campaign"
	"wakefuzz/dataset"
)

// What is recorded unless something else is asked for.
func TestRecordDefaults(t *testing.T) {
	spec := campaign.Default()
	spec.WakeWord = "alexa"
	flags := recordFlags{length: dataset.PaperLength, stretch: dataset.PaperStretch}

	flags.kind = "controlled"
	p, err := flags.plan(spec)
	if err != nil || p.Every != 5*time.Minute || p.Length != 6*time.Hour || !slices.Equal(p.Words, []string{"alexa"}) {
		t.Errorf("%+v, %v", p, err)
	}
	flags.words, flags.sounds = []string{" Hey  Google"}, []string{"bark.wav"}
	if p, err = flags.plan(spec); err != nil || !slices.Equal(p.Words, []string{"hey google", "bark.wav"}) {
		t.Errorf("%+v, %v", p, err)
	}

	flags = recordFlags{kind: "probing", stretch: dataset.PaperStretch}
	p, err = flags.plan(spec)
	if err != nil || p.Every != 10*time.Second || p.Stretch != time.Minute {
		t.Errorf("%+v, %v", p, err)
	}
	words := slices.Clone(p.Words)
	slices.Sort(words)
	if words[0] == "" || len(slices.Compact(words)) != len(p.Words) || p.Words[0] != "alexa" || !slices.Contains(p.Words, "hey siri") || len(p.Words) < 60 {
		t.Errorf("words %q", p.Words)
	}
	again, err := flags.plan(spec)
	if err != nil || !slices.Equal(again.Words, p.Words) {
		t.Errorf("%v; the words differ each time: %q", err, again.Words)
	}
}
