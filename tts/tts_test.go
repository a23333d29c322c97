package tts_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"wakefuzz/phoneme"
	"wakefuzz/tts"
)

func TestClip(t *testing.T) {
	c := tts.Clip{Samples: make([]int16, tts.SampleRate/2)}
	if got := c.Duration(); got != 500*time.Millisecond {
		t.Errorf("half a second of samples lasts %v", got)
	}
	other := tts.Clip{Samples: slices.Clone(c.Samples)}
	if other.Sum() != c.Sum() {
		t.Error("equal clips have different sums")
	}
	other.Samples[4000]++
	if other.Sum() == c.Sum() {
		t.Error("different clips have equal sums")
	}
}

func TestVoiceString(t *testing.T) {
	for want, v := range map[string]tts.Voice{
		"flite/kal16": {Engine: "flite", Name: "kal16"},
		"flite/slt":   {Engine: "flite", Name: "slt", Rate: 1},
		"google/en-US-A rate=1.25 pitch=-2 volume=0.5": {Engine: "google", Name: "en-US-A", Rate: 1.25, Pitch: -2, Volume: 0.5},
	} {
		if got := v.String(); got != want {
			t.Errorf("%#v is %q, want %q", v, got, want)
		}
	}
}

// All that shapes the sound is in the key, and nothing else is.
func TestKey(t *testing.T) {
	base := tts.Utterance{Text: "alexa", Voice: tts.Voice{Engine: "flite", Name: "kal"}}
	keys := map[string]string{tts.Key(base, "2.2"): "base"}
	for name, change := range map[string]func(*tts.Utterance){
		"text":   func(u *tts.Utterance) { u.Text = "Alexa" },
		"engine": func(u *tts.Utterance) { u.Voice.Engine = "google" },
		"name":   func(u *tts.Utterance) { u.Voice.Name = "kal16" },
		"rate":   func(u *tts.Utterance) { u.Voice.Rate = math.Nextafter(1, 2) },
		"pitch":  func(u *tts.Utterance) { u.Voice.Pitch = 1 },
		"volume": func(u *tts.Utterance) { u.Voice.Volume = 1 },
		"phones": func(u *tts.Utterance) { u.Pronunciation = "AH L EH K S AH" },
		"stress": func(u *tts.Utterance) { u.Pronunciation = "AH0 L EH1 K S AH0" },
		// Where one field ends and the next begins matters.
		"boundary": func(u *tts.Utterance) { u.Voice.Engine, u.Voice.Name = "flite\" \"2.2\" \"kal", "" },
	} {
		u := base
		change(&u)
		key := tts.Key(u, "2.2")
		if other, dup := keys[key]; dup {
			t.Errorf("changing the %s gives the key of %s", name, other)
		}
		keys[key] = name
	}
	if _, dup := keys[tts.Key(base, "2.3")]; dup {
		t.Error("another version gives the same key")
	}
	base.Voice.Rate = 1
	if keys[tts.Key(base, "2.2")] != "base" {
		t.Error("the usual rate, spelled out, gives another key")
	}
	// What lies in people's caches stays of use.
	if got := tts.Key(base, "2.2"); got != "81eaeb9095ed1501c5257ec4ed778216e28d2c9639e1fcc50028966f5218d3b8" {
		t.Errorf("the key of a plain text has become %s", got)
	}
}

func TestUtterancePhones(t *testing.T) {
	for p, want := range map[phoneme.Pronunciation]phoneme.Pronunciation{
		"":                  "",
		"ah l eh k  s ah":   "AH0 L EH1 K S AH0",
		"AH0 L EH1 K S AH0": "AH0 L EH1 K S AH0",
	} {
		if got, err := (tts.Utterance{Pronunciation: p}).Phones(); err != nil || got != want {
			t.Errorf("%q has the phones %q, error %v, want %q", p, got, err, want)
		}
	}
	if _, err := (tts.Utterance{Pronunciation: "AX"}).Phones(); !errors.Is(err, tts.ErrUnspeakable) {
		t.Errorf("no phone of ours: error %v, want ErrUnspeakable", err)
	}
}
