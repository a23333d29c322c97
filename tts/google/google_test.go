package google_test

import (
	"context"
	"errors"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"wakefuzz/internal/googletts"
	"wakefuzz/tts"
	"wakefuzz/tts/google"
	"wakefuzz/tts/ttstest"
)

var voice = tts.Voice{Engine: google.Engine, Name: "en-US-Neural2-C"}

func open(t testing.TB, o google.Options) *google.Synthesizer {
	t.Helper()
	s, err := google.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// start returns a server and a synthesizer that has listed its voices.
func start(t testing.TB) (*googletts.Server, *google.Synthesizer) {
	t.Helper()
	server := googletts.Start(t)
	s := open(t, google.Options{Endpoint: server.Endpoint()})
	if _, err := s.Voices(t.Context()); err != nil {
		t.Fatal(err)
	}
	return server, s
}

func say(ctx context.Context, s *google.Synthesizer, text string, v tts.Voice) error {
	_, err := s.Synthesize(ctx, tts.Utterance{Text: text, Voice: v})
	return err
}

func TestConformance(t *testing.T) {
	server := googletts.Start(t)
	ttstest.Run(t, open(t, google.Options{Endpoint: server.Endpoint()}), ttstest.Options{Phones: true, Voice: voice})
	if got := server.Stats(); got.Authorized != 0 || got.Listings != 1 {
		t.Errorf("an emulator was sent credentials %d times and asked for its voices %d times, want 0 and 1",
			got.Authorized, got.Listings)
	}
}

// Each fault ends in the error that says what to do, after one call alone.
func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		fault googletts.Fault
		want  error
		words string
	}{
		"quota":            {googletts.Quota, tts.ErrQuota, "requests per minute"},
		"outage":           {googletts.Outage, tts.ErrUnavailable, "currently unavailable"},
		"internal error":   {googletts.InternalError, tts.ErrUnavailable, "Internal error"},
		"unauthenticated":  {googletts.Unauthenticated, tts.ErrCredentials, "gcloud auth application-default login"},
		"service disabled": {googletts.ServiceDisabled, tts.ErrCredentials, "API of project 1234567890 is off: run `gcloud services enable texttospeech.googleapis.com`"},
		"billing disabled": {googletts.BillingDisabled, tts.ErrCredentials, "link a billing account of project 1234567890"},
		"denied":           {googletts.Denied, tts.ErrCredentials, "may not use the Text-to-Speech API"},
		"truncated answer": {googletts.Fault{Truncate: true}, tts.ErrUnavailable, "truncated"},
		"dropped":          {googletts.Fault{Drop: true}, tts.ErrUnavailable, "alexa"},
		"not implemented":  {googletts.Unimplemented, nil, "unexpected answer"},
	} {
		t.Run(name, func(t *testing.T) {
			server, s := start(t)
			server.Fail(1, test.fault)
			err := say(t.Context(), s, "alexa", voice)
			checkError(t, err, test.want, test.words)
			if got := server.Stats().Syntheses; got != 1 {
				t.Errorf("%d calls, want 1: trying again is not the driver's", got)
			}
			if err := say(t.Context(), s, "alexa", voice); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

var sentinels = []error{tts.ErrVoice, tts.ErrUnspeakable, tts.ErrCredentials, tts.ErrQuota, tts.ErrUnavailable}

// checkError wants an error of one line with the words, that wraps want and
// none of the other errors of package tts.
func checkError(t *testing.T, err, want error, words string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v", want)
	}
	for _, sentinel := range sentinels {
		if errors.Is(err, sentinel) != errors.Is(sentinel, want) {
			t.Errorf("error %v: want %v", err, want)
		}
	}
	if !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q: want one line with %q", err, words)
	}
}

func TestFaultsWhileListing(t *testing.T) {
	server := googletts.Start(t)
	s := open(t, google.Options{Endpoint: server.Endpoint()})
	server.Fail(1, googletts.Outage)
	checkError(t, say(t.Context(), s, "alexa", voice), tts.ErrUnavailable, "list the voices")
	server.Fail(1, googletts.ServiceDisabled)
	_, err := s.Voices(t.Context())
	checkError(t, err, tts.ErrCredentials, "gcloud services enable")
	if got := server.Stats(); got.Listings != 2 || got.Syntheses != 0 {
		t.Errorf("%d listings and %d syntheses, want 2 and 0", got.Listings, got.Syntheses)
	}
	if err := say(t.Context(), s, "alexa", voice); err != nil {
		t.Errorf("once the list can be had: %v", err)
	}
}

func TestTimeout(t *testing.T) {
	server := googletts.Start(t)
	s := open(t, google.Options{Endpoint: server.Endpoint(), Timeout: 100 * time.Millisecond})
	server.Fail(1, googletts.Fault{Delay: time.Hour})
	_, err := s.Voices(t.Context())
	checkError(t, err, tts.ErrUnavailable, "no answer within 100ms")
}

// What ends with the caller's context is the caller's doing, not an outage.
func TestContextEnds(t *testing.T) {
	server, s := start(t)
	server.Fail(2, googletts.Fault{Delay: time.Hour})

	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() { waiting <- say(ctx, s, "alexa", voice) }()
	for server.Stats().Syntheses == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) || errors.Is(err, tts.ErrUnavailable) {
		t.Errorf("error %v, want Canceled", err)
	}

	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := say(ctx, s, "alexa", voice); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, tts.ErrUnavailable) {
		t.Errorf("error %v, want DeadlineExceeded", err)
	}
}

func TestContextEndsBehindAnotherListing(t *testing.T) {
	server := googletts.Start(t)
	s := open(t, google.Options{Endpoint: server.Endpoint()})
	server.Fail(1, googletts.Fault{Delay: time.Hour})
	first, leave := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() {
		_, err := s.Voices(first)
		waiting <- err
	}()
	for server.Stats().Listings == 0 {
		time.Sleep(time.Millisecond)
	}
	second, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Voices(second); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second caller's error is %v, want DeadlineExceeded", err)
	}
	leave()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("the first caller's error is %v, want Canceled", err)
	}
}

func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, google.Options{Endpoint: "http://" + listener.Addr().String()})
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Voices(t.Context())
	checkError(t, err, tts.ErrUnavailable, "connection error")
}

// What the service would refuse, or would speak with another voice, never
// reaches it.
func TestRefusedBeforeItCosts(t *testing.T) {
	server, s := start(t)
	for words, change := range map[string]func(*tts.Voice){
		"rate: 0.24":              func(v *tts.Voice) { v.Rate = 0.24 },
		"from 0.25 to 2":          func(v *tts.Voice) { v.Rate = 2.01 },
		"pitch: 20.5":             func(v *tts.Voice) { v.Pitch = 20.5 },
		"from -96 to 16":          func(v *tts.Voice) { v.Volume = 16.5 },
		"volume: NaN":             func(v *tts.Voice) { v.Volume = math.NaN() },
		"5 voices":                func(v *tts.Voice) { v.Name = "en-US-Neural2-Q" },
		`"Charon" is not among`:   func(v *tts.Voice) { v.Name = "Charon" },
		`"" is not among`:         func(v *tts.Voice) { v.Name = "" },
		`"EN-us-Neural2-C" is no`: func(v *tts.Voice) { v.Name = "EN-us-Neural2-C" },
	} {
		v := voice
		change(&v)
		checkError(t, say(t.Context(), s, "alexa", v), tts.ErrVoice, words)
	}
	checkError(t, say(t.Context(), s, "\xff", voice), tts.ErrUnspeakable, "UTF-8")
	if got := server.Stats().Syntheses; got != 0 {
		t.Errorf("the service was called %d times", got)
	}
}

func TestInvalidArgument(t *testing.T) {
	_, s := start(t)
	checkError(t, say(t.Context(), s, "", voice), tts.ErrUnspeakable, "invalid argument")
	checkError(t, say(t.Context(), s, strings.Repeat("a", 5001), voice), tts.ErrUnspeakable, "5000 bytes")
	mute := tts.Voice{Name: "en-US-Neural2-D"} // has no sound for what has no letter
	checkError(t, say(t.Context(), s, "...", mute), tts.ErrUnspeakable, "silence")
	fixed := tts.Voice{Name: "en-US-Chirp3-HD-Charon", Pitch: 2}
	checkError(t, say(t.Context(), s, "alexa", fixed), tts.ErrVoice, "does not support pitch")
}

func TestVoices(t *testing.T) {
	server, s := start(t)
	want := []string{"en-GB-Standard-B", "en-US-Chirp3-HD-Charon", "en-US-Neural2-C", "en-US-Neural2-D", "en-US-Standard-B"}
	for range 2 {
		got, err := s.Voices(t.Context())
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("voices %q, %v; want %q", got, err, want)
		}
		got[0] = "the caller's own copy"
	}
	if got := server.Stats().Listings; got != 1 {
		t.Errorf("the list was asked for %d times", got)
	}
}

func TestBilledCharacters(t *testing.T) {
	_, s := start(t)
	for text, want := range map[string]int{"": 0, "alexa": 5, "ok google": 9, "naïve 日本": 8} {
		if got := s.BilledCharacters(tts.Utterance{Text: text, Voice: voice}); got != want {
			t.Errorf("%q: %d characters, want %d", text, got, want)
		}
	}
}

// Phones are billed with the tags around them, and the count is the service's.
func TestPhonesAreBilledWithTheirTags(t *testing.T) {
	server, s := start(t)
	before := server.Stats().Characters
	u := tts.Utterance{Text: "alexa", Voice: voice, Pronunciation: "AH0 L EH1 K S AH0"}
	if _, err := s.Synthesize(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if got, want := s.BilledCharacters(u), server.Stats().Characters-before; got != want || got != 67 {
		t.Errorf("%d characters, the service counts %d, want 67", got, want)
	}
	u.Pronunciation = "AX"
	if got := s.BilledCharacters(u); got != 0 {
		t.Errorf("what is not sent is billed %d characters", got)
	}
}

func TestOptions(t *testing.T) {
	var o google.Options
	if err := yaml.UnmarshalWithOptions([]byte("endpoint: http://127.0.0.1:80\ntimeout: 5s\n"), &o, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if want := (google.Options{Endpoint: "http://127.0.0.1:80", Timeout: 5 * time.Second}); o != want {
		t.Errorf("%+v, want %+v", o, want)
	}
	for _, local := range []string{"http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9"} {
		open(t, google.Options{Endpoint: local})
	}
	for _, bad := range []google.Options{
		{Timeout: -1},
		{Endpoint: "http://192.0.2.1:80"},
		{Endpoint: "http://emulator.example:80"},
		{Endpoint: "http://127.0.0.1"},
		{Endpoint: "http://127.0.0.1:80/v1"},
		{Endpoint: "http://user@127.0.0.1:80"},
		{Endpoint: "https://texttospeech.googleapis.com"},
		{Endpoint: "texttospeech.googleapis.com"},
		{Endpoint: "googleapis.com.example:443"},
		{Endpoint: "127.0.0.1:443"},
	} {
		if s, err := google.New(t.Context(), bad); err == nil {
			t.Errorf("%+v is accepted", bad)
			_ = s.Close()
		}
	}
}

func TestPrices(t *testing.T) {
	prices := google.ListPrices()
	prices["Neural2-Z"] = 1 // a price that someone negotiated for one voice
	for voice, want := range map[string]float64{
		"en-US-Standard-B":       4,
		"en-US-Wavenet-D":        4,
		"en-US-Neural2-C":        16,
		"en-US-Neural2-Z":        1,
		"en-US-Polyglot-1":       16,
		"en-US-Chirp-HD-F":       30,
		"cmn-CN-Chirp3-HD-Kore":  30,
		"en-US-Studio-O":         160,
		"es-419-Standard-A":      4,
		"en-US-Neural":           -1,
		"en-US-Hologram-A":       -1,
		"Charon":                 -1,
		"":                       -1,
		"Neural2-C":              -1,
		"en-US--":                -1,
		"en-US-Standardissimo-A": -1,
	} {
		usd, known := prices.PerMillion(voice)
		if known != (want > 0) || known && usd != want {
			t.Errorf("%q: %v USD, known %v; want %v", voice, usd, known, want)
		}
	}
}

// The clip comes from flite over loopback, so this is the driver's own cost
// plus that of a process.
func BenchmarkSynthesize(b *testing.B) {
	_, s := start(b)
	for b.Loop() {
		if err := say(b.Context(), s, "alexa", voice); err != nil {
			b.Fatal(err)
		}
	}
}
