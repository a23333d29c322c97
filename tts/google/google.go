// Package google speaks with Google Cloud Text-to-Speech, through the official
// client.
//
// # Voices
//
// A voice's name begins with its language, then comes its family: the voice
// en-US-Neural2-C is of the family Neural2, which decides the price (see
// [Prices]). Rate, pitch and volume go to the service as they are. Not every
// family takes them all: Chirp3-HD voices have no pitch.
//
// The service has been seen to answer a request for a voice that doesn't exist
// with another voice of the same family. So every name is looked up in the
// service's own list, which is asked for once, before anything is spoken.
//
// # Credentials
//
// Application default credentials are used: the file that
// GOOGLE_APPLICATION_CREDENTIALS names, or else what `gcloud auth
// application-default login` left behind, or else the account of the machine,
// where the machine is Google's. Whether it is, is decided without a look at
// the network: GCE_METADATA_HOST is set, or the firmware says so.
//
// # Phones
//
// Phones are sent as SSML, in a phoneme element with the IPA, which is billed tags
// and all: for "alexa" 67 characters instead of 5. Whether a voice takes it is the
// service's to say. Its CustomPronunciations would do as well,
// but only for American English so far.
//
// # Limits
//
// Each call stands alone: nothing is tried again and nothing is held back here,
// because package tts counts tries and keeps the pace. The service does not
// promise that a voice stays the same, nor that it says a word twice in exactly
// the same way; the cache is what keeps a campaign's clips fixed.
package google

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	texttospeech "cloud.google.com/go/texttospeech/apiv1"
	"cloud.google.com/go/texttospeech/apiv1/texttospeechpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"wakefuzz/phoneme"
	"wakefuzz/tts"
)

// Engine is the driver's name in a [tts.Voice].
const Engine = "google"

// DefaultTimeout is how long a call may take. The service usually answers a
// word within a second.
const DefaultTimeout = 30 * time.Second

// What the service accepts, as its interface documents it (API v1, client
// v1.24.0): a factor, semitones, and decibels. Outside these limits, or with a
// setting that is not a number, an utterance is refused before the service
// hears of it.
const (
	MinRate   = 0.25
	MaxRate   = 2.0
	MinPitch  = -20.0
	MaxPitch  = 20.0
	MinVolume = -96.0
	MaxVolume = 16.0
)

// apiVersion is the interface that renders. The service names no version of
// its voices.
const apiVersion = "google.cloud.texttospeech.v1"

// maxReconnect caps the pause between two tries to reach the service. The
// client's own cap is two minutes, during which every call fails without being
// tried.
const maxReconnect = 5 * time.Second

// Options says how to reach the service. The zero Options reach Google.
type Options struct {
	// Endpoint is another address of the service: a regional one as
	// "eu-texttospeech.googleapis.com:443", or an emulator on this machine as
	// "http://127.0.0.1:PORT". Nothing else is accepted: credentials go to
	// Google alone, and plaintext, which anyone in between could read and
	// replace, does not leave the machine. An emulator is sent no credentials.
	Endpoint string `yaml:"endpoint,omitempty"`
	// Timeout is how long a call may take; 0 means DefaultTimeout.
	Timeout time.Duration `yaml:"timeout,omitempty"`
}

// Synthesizer is a client of the service. It can be used by many goroutines.
type Synthesizer struct {
	client  *texttospeech.Client
	timeout time.Duration
	version string

	listing chan struct{} // holds a value while voices is in use: a mutex that can be waited for under a context
	voices  []string      // nil until the service has listed them
}

var (
	_ tts.Synthesizer = (*Synthesizer)(nil)
	_ tts.Biller      = (*Synthesizer)(nil)
)

// New returns a client of the service. The service itself is not asked yet. The
// error wraps [tts.ErrCredentials] where there are no credentials or they can't
// be read. Close the Synthesizer after use.
func New(ctx context.Context, o Options) (*Synthesizer, error) {
	if o.Timeout < 0 {
		return nil, fmt.Errorf("google: timeout: %v is negative", o.Timeout)
	}
	s := &Synthesizer{
		timeout: cmp.Or(o.Timeout, DefaultTimeout),
		version: apiVersion,
		listing: make(chan struct{}, 1),
	}
	reconnect := grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: s.timeout}
	reconnect.Backoff.MaxDelay = maxReconnect
	options := []option.ClientOption{
		option.WithTelemetryDisabled(),
		option.WithGRPCDialOption(grpc.WithConnectParams(reconnect)),
	}
	endpoint, emulated, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return nil, err
	}
	if endpoint != "" {
		options = append(options, option.WithEndpoint(endpoint))
	}
	if emulated {
		// An emulator's speech must never be taken from the cache for Google's.
		s.version += " at " + endpoint
		options = append(options, option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	} else {
		credentials, err := findCredentials()
		if err != nil {
			return nil, err
		}
		options = append(options, option.WithAuthCredentials(credentials))
	}
	s.client, err = texttospeech.NewClient(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("google: %w", err)
	}
	// The client would try again by itself, for up to five minutes and unseen.
	s.client.CallOptions = &texttospeech.CallOptions{}
	return s, nil
}

// parseEndpoint returns the host and port to dial, both empty for the usual
// ones, and whether an emulator listens there.
func parseEndpoint(endpoint string) (hostPort string, emulated bool, err error) {
	if endpoint == "" {
		return "", false, nil
	}
	if strings.Contains(endpoint, "://") {
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != "http" || u.Port() == "" || u.Host != strings.TrimPrefix(endpoint, "http://") {
			return "", false, fmt.Errorf("google: endpoint: %q is neither host:port nor http://127.0.0.1:PORT", endpoint)
		}
		if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && !ip.IsLoopback() {
			return "", false, fmt.Errorf("google: endpoint: %q is plaintext to another machine, where it can be read and replaced on the way; use an emulator on 127.0.0.1", endpoint)
		}
		return u.Host, true, nil
	}
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return "", false, fmt.Errorf("google: endpoint: %w", err)
	}
	if !strings.HasSuffix(host, ".googleapis.com") {
		return "", false, fmt.Errorf("google: endpoint: %q is not Google's, and would be sent the credentials; use a host under googleapis.com, or http://127.0.0.1:PORT for an emulator", endpoint)
	}
	return endpoint, false, nil
}

// Close ends the connection to the service.
func (s *Synthesizer) Close() error {
	if err := s.client.Close(); err != nil {
		return fmt.Errorf("google: close: %w", err)
	}
	return nil
}

// Version names the service's interface, and the emulator where one is used.
func (s *Synthesizer) Version(context.Context) (string, error) { return s.version, nil }

// BilledCharacters counts what the service bills: every Unicode character that
// is sent, spaces, punctuation and the tags of SSML too. It is 0 for phones that
// are none, which are not sent.
func (s *Synthesizer) BilledCharacters(u tts.Utterance) int {
	phones, err := u.Phones()
	switch {
	case err != nil:
		return 0
	case phones != "":
		return utf8.RuneCountInString(ssml(u.Text, phones))
	default:
		return utf8.RuneCountInString(u.Text)
	}
}

// ssml has the service say the phones, whatever the text.
func ssml(text string, phones phoneme.Pronunciation) string {
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(text)) // a Builder takes everything
	return `<speak><phoneme alphabet="ipa" ph="` + phones.IPA() + `">` + escaped.String() + `</phoneme></speak>`
}

// Voices lists the voices whose name begins with a language. The service has
// others, which need a model's name beside their own; they can't be used. The
// list is asked for once.
func (s *Synthesizer) Voices(ctx context.Context) ([]string, error) {
	voices, err := s.list(ctx)
	return slices.Clone(voices), err
}

func (s *Synthesizer) list(ctx context.Context) ([]string, error) {
	select {
	case s.listing <- struct{}{}:
		defer func() { <-s.listing }()
	case <-ctx.Done():
		return nil, fmt.Errorf("google: list the voices: %w", ctx.Err())
	}
	if s.voices != nil {
		return s.voices, nil
	}
	call, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	answer, err := s.client.ListVoices(call, &texttospeechpb.ListVoicesRequest{})
	if err != nil {
		return nil, fmt.Errorf("google: list the voices: %w", s.explain(ctx, err))
	}
	voices := []string{}
	for _, v := range answer.GetVoices() {
		if _, _, ok := splitName(v.GetName()); ok {
			voices = append(voices, v.GetName())
		}
	}
	slices.Sort(voices)
	s.voices = slices.Compact(voices)
	return s.voices, nil
}

// Synthesize speaks the utterance by one call that may be billed. It never
// tries again.
func (s *Synthesizer) Synthesize(ctx context.Context, u tts.Utterance) (tts.Clip, error) {
	v := u.Voice
	if err := checkSettings(v); err != nil {
		return tts.Clip{}, err
	}
	if !utf8.ValidString(u.Text) {
		return tts.Clip{}, fmt.Errorf("google: %q is not UTF-8: %w", u.Text, tts.ErrUnspeakable)
	}
	phones, err := u.Phones()
	if err != nil {
		return tts.Clip{}, fmt.Errorf("google: %w", err)
	}
	input := &texttospeechpb.SynthesisInput{InputSource: &texttospeechpb.SynthesisInput_Text{Text: u.Text}}
	if phones != "" {
		input.InputSource = &texttospeechpb.SynthesisInput_Ssml{Ssml: ssml(u.Text, phones)}
	}
	voices, err := s.list(ctx)
	if err != nil {
		return tts.Clip{}, err
	}
	if _, listed := slices.BinarySearch(voices, v.Name); !listed {
		return tts.Clip{}, fmt.Errorf("google: the service lists %d voices and %q is not among them: %w", len(voices), v.Name, tts.ErrVoice)
	}
	language, _, _ := splitName(v.Name)
	audio := &texttospeechpb.AudioConfig{
		AudioEncoding:   texttospeechpb.AudioEncoding_LINEAR16,
		SampleRateHertz: tts.SampleRate,
		Pitch:           v.Pitch,
		VolumeGainDb:    v.Volume,
	}
	if v.Pace() != 1 { // some voices refuse to hear of a rate, even the usual one
		audio.SpeakingRate = v.Rate
	}
	call, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	answer, err := s.client.SynthesizeSpeech(call, &texttospeechpb.SynthesizeSpeechRequest{
		Input:       input,
		Voice:       &texttospeechpb.VoiceSelectionParams{LanguageCode: language, Name: v.Name},
		AudioConfig: audio,
	})
	if err != nil {
		return tts.Clip{}, fmt.Errorf("google: %s says %q: %w", v.Name, u, s.explain(ctx, err))
	}
	clip, err := tts.DecodeWAV(bytes.NewReader(answer.GetAudioContent()))
	switch {
	case err != nil:
		return tts.Clip{}, fmt.Errorf("google: %s says %q: damaged answer: %w: %w", v.Name, u, tts.ErrUnavailable, err)
	case !slices.ContainsFunc(clip.Samples, func(x int16) bool { return x != 0 }):
		return tts.Clip{}, fmt.Errorf("google: %s says %q: the answer is silence: %w", v.Name, u, tts.ErrUnspeakable)
	}
	return clip, nil
}

// checkSettings refuses what the service would, at no cost.
func checkSettings(v tts.Voice) error {
	for _, setting := range []struct {
		name             string
		value, low, high float64
	}{
		{"rate", v.Pace(), MinRate, MaxRate},
		{"pitch", v.Pitch, MinPitch, MaxPitch},
		{"volume", v.Volume, MinVolume, MaxVolume},
	} {
		if !(setting.value >= setting.low && setting.value <= setting.high) {
			return fmt.Errorf("google: %s: %g is not in the service's range from %g to %g: %w",
				setting.name, setting.value, setting.low, setting.high, tts.ErrVoice)
		}
	}
	return nil
}

// splitName takes a voice's name apart: "en-US-Chirp3-HD-Charon" is the
// language en-US and, in it, Chirp3-HD-Charon.
func splitName(voice string) (language, rest string, ok bool) {
	parts := strings.SplitN(voice, "-", 3)
	if len(parts) < 3 {
		return "", "", false
	}
	return parts[0] + "-" + parts[1], parts[2], true
}
