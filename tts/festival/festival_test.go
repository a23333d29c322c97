package festival_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"wakefuzz/phoneme"
	"wakefuzz/tts"
	"wakefuzz/tts/festival"
	"wakefuzz/tts/ttstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t testing.TB) *festival.Synthesizer {
	t.Helper()
	s, err := festival.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func kal(text string) tts.Utterance {
	return tts.Utterance{Text: text, Voice: tts.Voice{Engine: festival.Engine, Name: "kal_diphone"}}
}

func TestConformance(t *testing.T) {
	ttstest.Run(t, start(t), ttstest.Options{Phones: true, Voice: kal("").Voice})
}

// A voice of statistics keeps the promises too, but for the pitch, which it
// refuses.
func TestVoicesOfStatistics(t *testing.T) {
	s := start(t)
	voices, err := s.Voices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(voices, func(name string) bool { return strings.HasSuffix(name, "_hts") })
	if i < 0 {
		t.Fatal("no HTS voice: apt-get install festvox-us-slt-hts")
	}
	u := kal("extraordinary")
	u.Voice.Name = voices[i]
	usual, err := s.Synthesize(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Synthesize(t.Context(), u); err != nil || again.Sum() != usual.Sum() {
		t.Errorf("it sounds different the second time, error %v", err)
	}
	u.Voice.Rate = 1.5
	if fast, err := s.Synthesize(t.Context(), u); err != nil || fast.Duration() >= usual.Duration() {
		t.Errorf("it lasts %v at rate 1.5, error %v, and %v at 1", fast.Duration(), err, usual.Duration())
	}
	u.Voice.Rate, u.Voice.Pitch = 0, 2
	if _, err := s.Synthesize(t.Context(), u); !errors.Is(err, tts.ErrVoice) {
		t.Errorf("with a pitch: error %v, want ErrVoice", err)
	}
	u.Voice.Pitch = 0
	u.Text = "alexa"
	word, err := s.Synthesize(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	u.Pronunciation = "AH0 L EH1 K S AH0"
	if phones, err := s.Synthesize(t.Context(), u); err != nil || phones.Sum() != word.Sum() {
		t.Errorf("alexa by its phones sounds different, error %v", err)
	}
}

// A word by its phones is the word, to the last sample.
func TestPhonesSoundLikeTheWord(t *testing.T) {
	s := start(t)
	for text, phones := range map[string]phoneme.Pronunciation{
		"alexa": "AH0 L EH1 K S AH0", "window": "W IH1 N D OW0", "alexander": "AE2 L AH0 G Z AE1 N D ER0",
	} {
		u := kal(text)
		word, err := s.Synthesize(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		u.Pronunciation = phones
		if spoken, err := s.Synthesize(t.Context(), u); err != nil || spoken.Sum() != word.Sum() {
			t.Errorf("%q sounds different by its phones, error %v", text, err)
		}
	}
}

func TestMissingPairs(t *testing.T) {
	u := kal("")
	u.Pronunciation = "HH W AY1 T"
	if _, err := start(t).Synthesize(t.Context(), u); !errors.Is(err, tts.ErrUnspeakable) {
		t.Errorf("error %v, want ErrUnspeakable", err)
	}
}

// A semitone is a semitone.
func TestPitch(t *testing.T) {
	s := start(t)
	plain, err := s.Synthesize(t.Context(), kal("no no no"))
	if err != nil {
		t.Fatal(err)
	}
	for _, semitones := range []float64{-4, 5} {
		u := kal("no no no")
		u.Voice.Pitch = semitones
		shifted, err := s.Synthesize(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		if got := 12 * math.Log2(ttstest.Pitch(shifted)/ttstest.Pitch(plain)); math.Abs(got-semitones) > 1 {
			t.Errorf("asked for %+g semitones, it shifts by %+.2f (from %.0f Hz)", semitones, got, ttstest.Pitch(plain))
		}
	}
}

// Texts that Festival itself crashes at, or that are Scheme.
func TestTextsThatAreNone(t *testing.T) {
	s := start(t)
	for _, text := range []string{"...", "'", "(", ",", "日本", `"`, `\`} {
		if _, err := s.Synthesize(t.Context(), kal(text)); !errors.Is(err, tts.ErrUnspeakable) {
			t.Errorf("%q: error %v, want ErrUnspeakable", text, err)
		}
	}
	spoken, err := s.Synthesize(t.Context(), kal("alexa"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{`alexa" (quit) "`, `alexa\`, "alexa\n(quit)"} {
		if c, err := s.Synthesize(t.Context(), kal(text)); err != nil || c.Duration() < spoken.Duration() {
			t.Errorf("%q lasts %v, error %v, and alexa alone %v", text, c.Duration(), err, spoken.Duration())
		}
	}
}

func TestVersion(t *testing.T) {
	got, err := start(t).Version(t.Context())
	if err != nil || !strings.HasPrefix(got, "2.") {
		t.Errorf("version %q, error %v, want 2.something", got, err)
	}
}

func TestMissingProgram(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := festival.New(t.Context()); err == nil || !strings.Contains(err.Error(), "apt-get install festival festvox-kallpc16k") {
		t.Errorf("error %v, want what to install", err)
	}
}

func TestNewObeysItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := festival.New(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// A program that goes by the name but isn't Festival, or has no voice, is told at
// the start.
func TestStrangeProgram(t *testing.T) {
	for script, want := range map[string]string{
		"echo hello": "doesn't say its version",
		"[ $1 = --version ] && echo 'System: 2' || exit 7":           "exit status 7",
		"[ $1 = --version ] && echo 'System: 2' || echo 'krb czech'": "apt-get install festvox-kallpc16k",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "festival"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir)
		if _, err := festival.New(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", script, err, want)
		}
	}
}

func BenchmarkSynthesize(b *testing.B) {
	s := start(b)
	for b.Loop() {
		if _, err := s.Synthesize(b.Context(), kal("alexa")); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "words/s")
}
