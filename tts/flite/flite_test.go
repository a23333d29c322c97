package flite_test

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

	"wakefuzz/tts"
	"wakefuzz/tts/flite"
	"wakefuzz/tts/ttstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t testing.TB) *flite.Synthesizer {
	t.Helper()
	s, err := flite.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func kal16(text string) tts.Utterance {
	return tts.Utterance{Text: text, Voice: tts.Voice{Engine: flite.Engine, Name: "kal16"}}
}

func TestConformance(t *testing.T) {
	s := start(t)
	for _, name := range []string{"kal16", "slt"} { // the two kinds of voice
		t.Run(name, func(t *testing.T) {
			ttstest.Run(t, s, ttstest.Options{Phones: true, Voice: tts.Voice{Engine: flite.Engine, Name: name}})
		})
	}
}

// The default voices of Debian's package are there, the talking clock isn't.
func TestVoices(t *testing.T) {
	got, err := start(t).Voices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"awb", "kal", "kal16", "rms", "slt"}; !slices.Equal(got, want) {
		t.Errorf("voices %q, want %q", got, want)
	}
}

func TestUnknownVoiceNamesTheOthers(t *testing.T) {
	u := kal16("alexa")
	u.Voice.Name = "kal17"
	if _, err := start(t).Synthesize(t.Context(), u); !errors.Is(err, tts.ErrVoice) || !strings.Contains(err.Error(), "awb, kal, kal16, rms, slt") {
		t.Errorf("error %v, want ErrVoice with the list of voices", err)
	}
}

func TestVersion(t *testing.T) {
	got, err := start(t).Version(t.Context())
	if err != nil || !strings.HasPrefix(got, "flite-2.") {
		t.Errorf("version %q, error %v, want flite-2.something", got, err)
	}
}

// A semitone is a semitone, for every voice that takes a pitch.
func TestPitch(t *testing.T) {
	s := start(t)
	for _, name := range []string{"awb", "kal", "kal16", "slt"} {
		for _, semitones := range []float64{-4, 5} {
			u := kal16("no no no")
			u.Voice.Name = name
			plain, err := s.Synthesize(t.Context(), u)
			if err != nil {
				t.Fatal(err)
			}
			u.Voice.Pitch = semitones
			shifted, err := s.Synthesize(t.Context(), u)
			if err != nil {
				t.Fatal(err)
			}
			if got := 12 * math.Log2(ttstest.Pitch(shifted)/ttstest.Pitch(plain)); math.Abs(got-semitones) > 1 {
				t.Errorf("%s, asked for %+g semitones, shifts by %+.2f (from %.0f Hz)", name, semitones, got, ttstest.Pitch(plain))
			}
		}
	}
	u := kal16("no")
	u.Voice.Name, u.Voice.Pitch = "rms", 2
	if _, err := s.Synthesize(t.Context(), u); !errors.Is(err, tts.ErrVoice) || !strings.Contains(err.Error(), "takes no change of pitch") {
		t.Errorf("rms: error %v, want ErrVoice about the pitch", err)
	}
}

func TestMissingProgram(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := flite.New(t.Context()); err == nil || !strings.Contains(err.Error(), "apt-get install flite") {
		t.Errorf("error %v, want what to install", err)
	}
}

func TestNewObeysItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := flite.New(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func BenchmarkSynthesize(b *testing.B) {
	s := start(b)
	for b.Loop() {
		if _, err := s.Synthesize(b.Context(), kal16("alexa")); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "words/s")
}

// A program that goes by the name but isn't flite is told at the start.
func TestStrangeProgram(t *testing.T) {
	for script, want := range map[string]string{
		"echo hello": "doesn't say its version",
		"[ $1 = -lv ] && exit 7; echo ' version: flite-9'":                        "exit status 7",
		"[ $1 = -lv ] && echo 'Voices: awb_time' || echo ' version: flite-9'":     "lists no voices",
		"[ $1 = -lv ] && echo 'There are no voices.' || echo ' version: flite-9'": "lists no voices",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "flite"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir)
		if _, err := flite.New(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", script, err, want)
		}
	}
}
