package flite_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"wakefuzz/phoneme"
	"wakefuzz/tts"
	"wakefuzz/tts/flite"
)

func TestPronounce(t *testing.T) {
	texts := []string{
		"alexa", "Hext", "cut", "cot", "hey jarvis", "don't", "can’t", "'bout", "", "e-mail", "12", "...", "日本", "x. y.", "two\nlines", "-v",
	}
	want := []phoneme.Pronunciation{
		"AH L EH K S AH", "HH EH K S T", "K AH T", "K AA T", "HH EY JH AA R V AH S", "D OW N T", "K AE N T", "B AW T", "",
		"IY M EY L", "T W EH L V", "", "", "EH K S W AY", "T UW L AY N Z", "V IY",
	}
	got, err := start(t).Pronounce(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		if got[i] != want[i] {
			t.Errorf("%q is said %q, want %q", text, got[i], want[i])
		}
	}
}

// A word is said the same alone and among others, more of them than one process
// takes.
func TestPronounceManyAsOne(t *testing.T) {
	s := start(t)
	some := []string{"a", "the", "read", "dr", "lead", "o'clock", "qwrtz", "Bass", "mr", "st"}
	var texts []string
	for i := range 120 {
		texts = append(texts, some...)
		texts = append(texts, "wake"+strings.Repeat("e", i%5))
	}
	got, err := s.Pronounce(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		if first := i % (len(some) + 1); got[i] != got[first] && first < len(some) {
			t.Fatalf("%q is said %q at place %d, %q at place %d", text, got[i], i, got[first], first)
		}
		if _, err := phoneme.ParsePronunciation(string(got[i])); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	}
	for i, text := range some {
		if alone, err := s.Pronounce(t.Context(), []string{text}); err != nil || alone[0] != got[i] {
			t.Errorf("%q is said %q alone, error %v, and %q among others", text, alone[0], err, got[i])
		}
	}
}

func TestPronounceObeysItsContext(t *testing.T) {
	s := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, text := range []string{"plain", "e-mail"} {
		if _, err := s.Pronounce(ctx, []string{text}); !errors.Is(err, context.Canceled) {
			t.Errorf("%q: error %v, want context.Canceled", text, err)
		}
	}
}

// A word by its phones is the word, to the last sample, with every voice.
func TestPhonesSoundLikeTheWord(t *testing.T) {
	s := start(t)
	for _, voice := range []string{"awb", "kal", "kal16", "rms", "slt"} {
		for text, phones := range map[string]phoneme.Pronunciation{
			"alexa": "AH0 L EH1 K S AH0", "window": "W IH1 N D OW0", "alexander": "AE2 L AH0 G Z AE1 N D ER0",
		} {
			v := tts.Voice{Engine: flite.Engine, Name: voice}
			word, err := s.Synthesize(t.Context(), tts.Utterance{Text: text, Voice: v})
			if err != nil {
				t.Fatal(err)
			}
			spoken, err := s.Synthesize(t.Context(), tts.Utterance{Text: text, Voice: v, Pronunciation: phones})
			if err != nil {
				t.Fatal(err)
			}
			if spoken.Sum() != word.Sum() {
				t.Errorf("%s says %q otherwise by its phones", voice, text)
			}
		}
	}
}

// The voices of recorded pairs refuse phones that they lack a pair for, and the
// others don't.
func TestMissingPairs(t *testing.T) {
	s := start(t)
	for voice, lacks := range map[string]bool{"kal": true, "kal16": true, "awb": false, "rms": false, "slt": false} {
		for _, phones := range []phoneme.Pronunciation{"HH W AY1 T", "NG AA1", "AA1 W B"} {
			_, err := s.Synthesize(t.Context(), tts.Utterance{Voice: tts.Voice{Engine: flite.Engine, Name: voice}, Pronunciation: phones})
			if errors.Is(err, tts.ErrUnspeakable) != lacks || err != nil && !lacks {
				t.Errorf("%s says %s: error %v", voice, phones, err)
			}
		}
	}
}

func BenchmarkPronounce(b *testing.B) {
	s, err := flite.New(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	texts := make([]string, 500)
	for i := range texts {
		texts[i] = "wakeword" + strings.Repeat("a", i%20)
	}
	for b.Loop() {
		if _, err := s.Pronounce(b.Context(), texts); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(texts))/b.Elapsed().Seconds(), "words/s")
}
