// Package tts turns words into clips.
//
// A [Voice] is an engine, one of its voices, and how it speaks. An [Utterance]
// is a text spoken by a voice; a [Clip] is the sound that comes out, 16 kHz
// mono. A [Synthesizer] is an engine's driver; drivers stand in the folders
// below this one, and every driver passes the suite in ttstest.
package tts

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"wakefuzz/phoneme"
)

// SampleRate is the rate of every clip in samples per second: what wake-word
// models listen at, and what the campaign asks of every engine.
const SampleRate = 16000

// Clip is mono sound at [SampleRate], signed 16 bit.
type Clip struct {
	Samples []int16
}

// Duration is how long the clip sounds.
func (c Clip) Duration() time.Duration {
	return time.Duration(len(c.Samples)) * time.Second / SampleRate
}

// Sum identifies the sound: the SHA-256 of the samples as little-endian bytes.
func (c Clip) Sum() [sha256.Size]byte {
	return sha256.Sum256(c.appendPCM(make([]byte, 0, 2*len(c.Samples))))
}

// appendPCM appends the samples as little-endian bytes.
func (c Clip) appendPCM(b []byte) []byte {
	for _, s := range c.Samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// Voice is an engine, one of its voices, and how it speaks. The zero Rate
// means 1, the engine's usual pace.
type Voice struct {
	// Engine is the driver's name: "flite", "espeak-ng", "google".
	Engine string `yaml:"engine"`
	// Name is the engine's own name of the voice: "kal16", "en-US-Neural2-C".
	Name string `yaml:"name"`
	// Rate is the pace: 2 is twice as fast as usual.
	Rate float64 `yaml:"rate,omitempty"`
	// Pitch is the shift in semitones.
	Pitch float64 `yaml:"pitch,omitempty"`
	// Volume is the gain in decibels.
	Volume float64 `yaml:"volume,omitempty"`
}

// Pace is Rate with its default filled in.
func (v Voice) Pace() float64 {
	if v.Rate == 0 {
		return 1
	}
	return v.Rate
}

// String is the voice's name in tables and plans, "engine/name", with what
// differs from the engine's usual manner behind it: "flite/kal16 rate=1.2".
func (v Voice) String() string {
	var b strings.Builder
	b.WriteString(v.Engine + "/" + v.Name)
	if v.Pace() != 1 {
		b.WriteString(" rate=" + number(v.Rate))
	}
	if v.Pitch != 0 {
		b.WriteString(" pitch=" + number(v.Pitch))
	}
	if v.Volume != 0 {
		b.WriteString(" volume=" + number(v.Volume))
	}
	return b.String()
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// Utterance is a text spoken by a voice.
type Utterance struct {
	Text  string
	Voice Voice
	// Pronunciation, where it is set, is spoken instead of the text, so that
	// what no dictionary has can be said too. Text is then its name.
	Pronunciation phoneme.Pronunciation
}

// Phones are what is to be spoken instead of the text, with a stress digit at
// every vowel, or "" where the text is. A pronunciation that is none is
// ErrUnspeakable.
func (u Utterance) Phones() (phoneme.Pronunciation, error) {
	if u.Pronunciation == "" {
		return "", nil
	}
	p, err := phoneme.ParsePronunciation(string(u.Pronunciation))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnspeakable, err)
	}
	return p.Stressed(), nil
}

// String is the text, with the phones behind it where they are spoken instead:
// "alexa [AH L EH K S AH]".
func (u Utterance) String() string {
	if u.Pronunciation == "" {
		return u.Text
	}
	return strings.TrimSpace(u.Text + " [" + string(u.Pronunciation) + "]")
}

// Synthesizer is an engine that speaks.
type Synthesizer interface {
	// Synthesize speaks the utterance. The same utterance gives the same
	// samples for as long as Version returns the same. Errors wrap one of
	// ErrVoice, ErrUnspeakable, ErrCredentials, ErrQuota, ErrUnavailable where
	// one fits; any other error is a broken installation. A pronunciation that
	// the voice has no way to speak is ErrUnspeakable, and never read as text.
	Synthesize(ctx context.Context, u Utterance) (Clip, error)
	// Voices lists the engine's voices by name, sorted.
	Voices(ctx context.Context) ([]string, error)
	// Version names what renders, as part of what shapes the sound: the
	// engine's release, or the service's API version.
	Version(ctx context.Context) (string, error)
}

// Biller is a Synthesizer whose use costs money.
type Biller interface {
	// BilledCharacters is how many characters the service would bill for u.
	BilledCharacters(u Utterance) int
}

// What can go wrong with an utterance, for errors.Is.
var (
	// ErrVoice: the engine has no voice of that name, or the voice can't speak
	// at the rate, pitch or volume asked for.
	ErrVoice = errors.New("no such voice")
	// ErrUnspeakable: the engine refuses the text or the phones, or gave no
	// sound for them. Only this utterance is concerned.
	ErrUnspeakable = errors.New("the voice can't speak this")
	// ErrCredentials: the service refuses who we are. Trying again is useless.
	ErrCredentials = errors.New("credentials missing or refused")
	// ErrQuota: the service wants us to slow down. Trying again later helps.
	ErrQuota = errors.New("quota exceeded")
	// ErrUnavailable: the service can't be reached. Trying again later helps.
	ErrUnavailable = errors.New("service unavailable")
)

// Key identifies all that shapes the sound of an utterance rendered by an
// engine of that version: two utterances of one key sound the same. Our own
// part in it, such as the change of rate in [DecodeWAV], is the "v1" of the key:
// whoever changes how it sounds raises it. Phones instead of the text add a line
// of their own, with a version of their own, and so leave the keys of texts as
// they were.
func Key(u Utterance, version string) string {
	h := sha256.New()
	v := u.Voice
	fmt.Fprintf(h, "clip v1\n%q %q %q\n%g %g %g\n%d\n%q\n",
		v.Engine, version, v.Name, v.Pace(), v.Pitch, v.Volume, SampleRate, u.Text)
	if u.Pronunciation != "" {
		fmt.Fprintf(h, "phones v1 %q\n", u.Pronunciation)
	}
	return hex.EncodeToString(h.Sum(nil))
}
