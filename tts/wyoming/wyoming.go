// Package wyoming speaks with a server of the Wyoming protocol, Home
// Assistant's: Piper's, and others.
//
// # Voices
//
// A voice has the server's name of it, such as en_US-lessac-medium. A voice
// with several speakers is one voice for each: en_US-libritts-high/p3922. The
// server is asked for its voices before each utterance, because servers answer
// for a voice that they don't have with another.
//
// The protocol knows neither rate nor pitch nor phones: a voice that is asked
// for any is refused. The volume is changed here.
//
// # Limits
//
//   - Each call stands alone, on a connection of its own: nothing is tried again
//     and nothing is held back here, because package tts does both.
//   - Piper's voices draw random numbers for every utterance, and say a word a
//     little differently each time. The cache is what keeps a campaign's clips
//     fixed.
//   - The version is the program's, where the server tells it. Of a voice whose
//     model was replaced nothing is noticed.
package wyoming

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"wakefuzz/internal/wyoming"
	"wakefuzz/tts"
	"wakefuzz/tts/internal/program"
)

// Engine is the driver's name in a [tts.Voice].
const Engine = "wyoming"

// The defaults of [Options]: the port of Piper's server, and how long a call may
// take.
const (
	DefaultURI     = "tcp://127.0.0.1:10200"
	DefaultTimeout = 30 * time.Second
)

// Options says how to reach the server.
type Options struct {
	// URI is where it listens, tcp://HOST:PORT or unix:///PATH; "" means
	// DefaultURI.
	URI string `yaml:"uri,omitempty"`
	// Timeout is how long a call may take; 0 means DefaultTimeout.
	Timeout time.Duration `yaml:"timeout,omitempty"`
}

// Synthesizer is a client of the server. It can be used by many goroutines.
type Synthesizer struct {
	uri     string
	address wyoming.Address
	timeout time.Duration
}

var _ tts.Synthesizer = (*Synthesizer)(nil)

// New returns a client of the server, which is not asked yet.
func New(o Options) (*Synthesizer, error) {
	s := &Synthesizer{uri: cmp.Or(o.URI, DefaultURI), timeout: cmp.Or(o.Timeout, DefaultTimeout)}
	var err error
	if s.address, err = wyoming.ParseAddress(s.uri); err != nil {
		return nil, fmt.Errorf("wyoming: uri: %w", err)
	}
	if s.timeout < 0 {
		return nil, fmt.Errorf("wyoming: timeout: %v is negative", s.timeout)
	}
	return s, nil
}

// Voices lists the server's voices.
func (s *Synthesizer) Voices(ctx context.Context) (names []string, err error) {
	err = s.call(ctx, func(_ context.Context, _ *wyoming.Conn, o offer) error {
		names = o.names()
		return nil
	})
	return names, err
}

// Version names the server's programs and their versions. Of programs whose
// versions the server does not tell it says where they are instead, so that one
// is never taken for another.
func (s *Synthesizer) Version(ctx context.Context) (version string, err error) {
	err = s.call(ctx, func(_ context.Context, _ *wyoming.Conn, o offer) error {
		version = strings.Join(o.programs, ", ")
		return nil
	})
	return version, err
}

// Synthesize speaks u.
func (s *Synthesizer) Synthesize(ctx context.Context, u tts.Utterance) (clip tts.Clip, err error) {
	v := u.Voice
	for _, setting := range []struct {
		name         string
		value, fixed float64
	}{{"rate", v.Pace(), 1}, {"pitch", v.Pitch, 0}} {
		if err := program.CheckRange(v, setting.name, setting.value, setting.fixed, setting.fixed); err != nil {
			return tts.Clip{}, err
		}
	}
	phones, err := program.Phones(u)
	switch {
	case err != nil:
		return tts.Clip{}, err
	case phones != "":
		return tts.Clip{}, fmt.Errorf("%w: a server of the Wyoming protocol takes no phones: %q", tts.ErrUnspeakable, u)
	}
	err = s.call(ctx, func(calling context.Context, conn *wyoming.Conn, o offer) error {
		if err := program.CheckVoice(v, o.names()); err != nil {
			return err
		}
		clip, err = speak(calling, conn, wyoming.Synthesize{Text: u.Text, Voice: o.voices[v.Name]})
		return err
	})
	if err != nil {
		return tts.Clip{}, err
	}
	return program.Finish(s.uri, u, clip)
}

// offer is what a server offers.
type offer struct {
	programs []string
	voices   map[string]wyoming.Voice // by their names in a tts.Voice
}

func (o offer) names() []string {
	names := make([]string, 0, len(o.voices))
	for name := range o.voices {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// call connects to the server, asks it what it offers, and has do go on, all
// within the timeout. What fails on the way is tts.ErrUnavailable.
func (s *Synthesizer) call(ctx context.Context, do func(context.Context, *wyoming.Conn, offer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	calling, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := s.converse(calling, do)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("wyoming: %s: %w: no answer within %v", s.uri, tts.ErrUnavailable, s.timeout)
	case errors.Is(err, tts.ErrVoice), errors.Is(err, tts.ErrUnspeakable):
		return err
	default:
		return fmt.Errorf("wyoming: %s: %w: %w", s.uri, tts.ErrUnavailable, err)
	}
}

func (s *Synthesizer) converse(ctx context.Context, do func(context.Context, *wyoming.Conn, offer) error) error {
	conn, err := wyoming.Dial(ctx, s.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	info, err := conn.Describe(ctx)
	if err != nil {
		return err
	}
	o := offer{voices: map[string]wyoming.Voice{}}
	for _, p := range info.TTS {
		o.programs = append(o.programs, p.Name+" "+cmp.Or(p.Version, "at "+s.uri))
		for _, v := range p.Voices {
			if !v.Installed {
				continue
			}
			if len(v.Speakers) == 0 {
				o.voices[v.Name] = wyoming.Voice{Name: v.Name}
			}
			for _, speaker := range v.Speakers {
				o.voices[v.Name+"/"+speaker.Name] = wyoming.Voice{Name: v.Name, Speaker: speaker.Name}
			}
		}
	}
	if len(o.programs) == 0 {
		return errors.New("the server speaks no text")
	}
	return do(ctx, conn, o)
}

// longest is tts.MaxDuration of sound in bytes, at the highest rate that is read
// and in stereo.
const longest = int(tts.MaxDuration/time.Second) * 48000 * 2 * 2

// speak has the server speak, and returns what it heard until the sound ended.
func speak(ctx context.Context, conn *wyoming.Conn, what wyoming.Synthesize) (tts.Clip, error) {
	ask, err := wyoming.NewEvent(wyoming.TypeSynthesize, what, nil)
	if err != nil {
		return tts.Clip{}, err
	}
	if err := conn.Send(ctx, ask); err != nil {
		return tts.Clip{}, err
	}
	var (
		format wyoming.Audio
		sound  []byte
	)
	for {
		e, err := conn.Receive(ctx)
		if err != nil {
			return tts.Clip{}, err
		}
		switch e.Type {
		case wyoming.TypeAudioStop:
			if len(sound) == 0 {
				return tts.Clip{}, fmt.Errorf("%w: the server makes no sound of %q", tts.ErrUnspeakable, what.Text)
			}
			clip, err := tts.DecodePCM(sound, format.Rate, format.Channels)
			if err != nil {
				return tts.Clip{}, fmt.Errorf("unusable sound: %w", err)
			}
			return clip, nil
		case wyoming.TypeAudioChunk:
			var chunk wyoming.Audio
			if err := e.Decode(&chunk); err != nil {
				return tts.Clip{}, err
			}
			chunk.Timestamp = nil // the server's own
			switch {
			case chunk.Width != 2:
				return tts.Clip{}, fmt.Errorf("unusable sound: %d bytes a sample, only 2 are read", chunk.Width)
			case len(sound) > 0 && chunk != format:
				return tts.Clip{}, fmt.Errorf("unusable sound: its format changes from %+v to %+v", format, chunk)
			case len(sound)+len(e.Payload) > longest:
				return tts.Clip{}, fmt.Errorf("%w: the sound of %.40q is longer than %v", tts.ErrUnspeakable, what.Text, tts.MaxDuration)
			}
			format = chunk
			sound = append(sound, e.Payload...)
		}
	}
}
