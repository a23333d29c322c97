package espeak_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"wakefuzz/tts"
	"wakefuzz/tts/espeak"
	"wakefuzz/tts/ttstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t testing.TB) *espeak.Synthesizer {
	t.Helper()
	s, err := espeak.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func english(text string) tts.Utterance {
	return tts.Utterance{Text: text, Voice: tts.Voice{Engine: espeak.Engine, Name: "en-us"}}
}

func TestConformance(t *testing.T) {
	ttstest.Run(t, start(t), ttstest.Options{Phones: true, Voice: english("").Voice, Voices: 12})
}

// A variant is another voice; one that doesn't exist is refused, though eSpeak
// NG itself would speak without it.
func TestVariants(t *testing.T) {
	s := start(t)
	plain, err := s.Synthesize(t.Context(), english("alexa"))
	if err != nil {
		t.Fatal(err)
	}
	u := english("alexa")
	for _, name := range []string{"en-us+f2", "en-us+Andrea"} {
		u.Voice.Name = name
		c, err := s.Synthesize(t.Context(), u)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.Sum() == plain.Sum() {
			t.Errorf("%s sounds like en-us", name)
		}
	}
	for _, name := range []string{"en-us+nobody", "en-us+", "klingon+f2", "en-us+f2+f3", "en"} {
		u.Voice.Name = name
		if _, err := s.Synthesize(t.Context(), u); !errors.Is(err, tts.ErrVoice) {
			t.Errorf("%s: error %v, want ErrVoice", name, err)
		}
	}
}

// What needs MBROLA, or stands for no language, is not offered.
func TestVoices(t *testing.T) {
	got, err := start(t).Voices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range got {
		if name == "variant" || strings.ContainsAny(name, "/ ") {
			t.Errorf("voice %q is no language", name)
		}
	}
}

func TestVersion(t *testing.T) {
	got, err := start(t).Version(t.Context())
	if err != nil || !strings.HasPrefix(got, "eSpeak NG text-to-speech: 1.") || strings.Contains(got, "/") {
		t.Errorf("version %q, error %v, want eSpeak NG's without a path", got, err)
	}
}

// The voice as a whole moves by about as many semitones as asked for.
func TestPitch(t *testing.T) {
	s := start(t)
	plain, err := s.Synthesize(t.Context(), english("no no no"))
	if err != nil {
		t.Fatal(err)
	}
	for _, semitones := range []float64{-4, -2, 3, 6, 8.75} {
		u := english("no no no")
		u.Voice.Pitch = semitones
		shifted, err := s.Synthesize(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		if got := 12 * math.Log2(ttstest.Pitch(shifted)/ttstest.Pitch(plain)); math.Abs(got-semitones) > 1 {
			t.Errorf("asked for %+g semitones, shifts by %+.2f (from %.0f Hz)", semitones, got, ttstest.Pitch(plain))
		}
	}
}

func TestMissingProgram(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := espeak.New(t.Context()); err == nil || !strings.Contains(err.Error(), "apt-get install espeak-ng") {
		t.Errorf("error %v, want what to install", err)
	}
}

func TestNewObeysItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := espeak.New(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func BenchmarkSynthesize(b *testing.B) {
	s := start(b)
	for b.Loop() {
		if _, err := s.Synthesize(b.Context(), english("alexa")); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "words/s")
}
