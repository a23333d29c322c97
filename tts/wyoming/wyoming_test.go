package wyoming_test

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	protocol "wakefuzz/internal/wyoming"
	"wakefuzz/internal/wyoming/wyomingtest"
	"wakefuzz/tts"
	"wakefuzz/tts/flite"
	"wakefuzz/tts/ttstest"
	"wakefuzz/tts/wyoming"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, uri string) *wyoming.Synthesizer {
	t.Helper()
	s, err := wyoming.New(wyoming.Options{URI: uri, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pcm are the samples as they go over the wire.
func pcm(samples []int16) (b []byte) {
	for _, s := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// serve serves flite's voices: kal16 and slt, and a voice of two speakers.
func serve(t *testing.T) (uri string) {
	engine, err := flite.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info := protocol.Info{TTS: []protocol.Program{{Name: "flite", Version: "2.2", Voices: []protocol.Model{
		{Name: "slt", Installed: true}, {Name: "kal16", Installed: true}, {Name: "absent"},
		{Name: "men", Installed: true, Speakers: []protocol.Speaker{{Name: "rms"}, {Name: "awb"}}},
	}}}}
	return wyomingtest.Serve(t, func(ctx context.Context, c *protocol.Conn) {
		for {
			e, err := c.Receive(ctx)
			if err != nil {
				return
			}
			if e.Type == protocol.TypeDescribe {
				_ = c.Send(ctx, wyomingtest.Event(t, protocol.TypeInfo, info, nil))
				continue
			}
			var ask protocol.Synthesize
			if err := e.Decode(&ask); err != nil {
				t.Error(err)
			}
			name := ask.Voice.Name
			if ask.Voice.Speaker != "" {
				name = ask.Voice.Speaker
			}
			// A clip that is no sound is sent as silence, as Piper does.
			clip, err := engine.Synthesize(ctx, tts.Utterance{Text: ask.Text, Voice: tts.Voice{Engine: flite.Engine, Name: name}})
			if err != nil && !errors.Is(err, tts.ErrUnspeakable) && ctx.Err() == nil {
				t.Error(err)
			}
			format := protocol.Audio{Rate: tts.SampleRate, Width: 2, Channels: 1}
			events := []protocol.Event{wyomingtest.Event(t, protocol.TypeAudioStart, format, nil)}
			for part := range slices.Chunk(clip.Samples, 1024) {
				events = append(events, wyomingtest.Event(t, protocol.TypeAudioChunk, format, pcm(part)))
			}
			if err := c.Send(ctx, append(events, protocol.Event{Type: protocol.TypeAudioStop})...); err != nil {
				return
			}
		}
	})
}

func TestConformance(t *testing.T) {
	ttstest.Run(t, open(t, serve(t)), ttstest.Options{Fixed: true, Voice: tts.Voice{Engine: wyoming.Engine, Name: "kal16"}})
}

func TestOffer(t *testing.T) {
	s := open(t, serve(t))
	voices, err := s.Voices(t.Context())
	if want := []string{"kal16", "men/awb", "men/rms", "slt"}; err != nil || !slices.Equal(voices, want) {
		t.Errorf("voices %q, %v", voices, err)
	}
	if version, err := s.Version(t.Context()); err != nil || version != "flite 2.2" {
		t.Errorf("version %q, %v", version, err)
	}
	for _, name := range []string{"men", "absent", "men/slt"} {
		if _, err := s.Synthesize(t.Context(), tts.Utterance{Text: "alexa", Voice: tts.Voice{Engine: wyoming.Engine, Name: name}}); !errors.Is(err, tts.ErrVoice) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A server that tells no version is not taken for another.
func TestVersionOfAServerThatTellsNone(t *testing.T) {
	uri := wyomingtest.Serve(t, says(t, protocol.Info{TTS: []protocol.Program{{Name: "mute"}}}))
	if version, err := open(t, uri).Version(t.Context()); err != nil || version != "mute at "+uri {
		t.Errorf("version %q, %v", version, err)
	}
}

// says is a server that answers a question for what it offers, and the next
// with the events.
func says(t *testing.T, info protocol.Info, events ...protocol.Event) func(context.Context, *protocol.Conn) {
	return func(ctx context.Context, c *protocol.Conn) {
		if _, err := c.Receive(ctx); err != nil {
			return
		}
		_ = c.Send(ctx, wyomingtest.Event(t, protocol.TypeInfo, info, nil))
		if _, err := c.Receive(ctx); err == nil {
			_ = c.Send(ctx, events...)
		}
	}
}

func TestFailures(t *testing.T) {
	info := protocol.Info{TTS: []protocol.Program{{Name: "p", Voices: []protocol.Model{{Name: "v", Installed: true}}}}}
	chunk := func(format protocol.Audio, bytes int) protocol.Event {
		return wyomingtest.Event(t, protocol.TypeAudioChunk, format, make([]byte, bytes))
	}
	mono := protocol.Audio{Rate: 22050, Width: 2, Channels: 1}
	stop := protocol.Event{Type: protocol.TypeAudioStop}
	for name, c := range map[string]struct {
		serve func(context.Context, *protocol.Conn)
		is    error
		want  string
	}{
		"hangs":            {func(ctx context.Context, _ *protocol.Conn) { <-ctx.Done() }, tts.ErrUnavailable, "no answer within 300ms"},
		"hangs up":         {says(t, info), tts.ErrUnavailable, "EOF"},
		"no voices":        {says(t, protocol.Info{}), tts.ErrUnavailable, "speaks no text"},
		"fails":            {says(t, info, wyomingtest.Event(t, protocol.TypeError, protocol.Error{Text: "no model"}, nil)), tts.ErrUnavailable, "no model"},
		"no sound":         {says(t, info, stop), tts.ErrUnspeakable, "no sound"},
		"silence":          {says(t, info, chunk(mono, 22050), stop), tts.ErrUnspeakable, "no sound"},
		"stops in between": {says(t, info, chunk(mono, 22050)), tts.ErrUnavailable, "EOF"},
		"floating point":   {says(t, info, chunk(protocol.Audio{Rate: 22050, Width: 4, Channels: 1}, 8), stop), tts.ErrUnavailable, "4 bytes a sample"},
		"a slow voice":     {says(t, info, chunk(protocol.Audio{Rate: 10, Width: 2, Channels: 1}, 8), stop), tts.ErrUnavailable, "10 samples per second"},
		"half a sample":    {says(t, info, chunk(mono, 7), stop), tts.ErrUnavailable, "whole frames"},
		"two formats":      {says(t, info, chunk(mono, 8), chunk(protocol.Audio{Rate: 16000, Width: 2, Channels: 1}, 8), stop), tts.ErrUnavailable, "format changes"},
		"without an end":   {says(t, info, slices.Repeat([]protocol.Event{chunk(mono, 4<<20)}, 5)...), tts.ErrUnspeakable, "longer than"},
		"no numbers":       {says(t, info, wyomingtest.Event(t, protocol.TypeAudioChunk, map[string]string{"rate": "fast"}, []byte{1, 2})), tts.ErrUnavailable, "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := wyoming.Options{URI: wyomingtest.Serve(t, c.serve)}
			if name == "hangs" {
				o.Timeout = 300 * time.Millisecond
			}
			s, err := wyoming.New(o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Synthesize(t.Context(), tts.Utterance{Text: "alexa", Voice: tts.Voice{Engine: wyoming.Engine, Name: "v"}})
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %v with %q", err, c.is, c.want)
			}
		})
	}
	nobody, err := wyoming.New(wyoming.Options{URI: "unix://" + t.TempDir() + "/nobody"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nobody.Voices(t.Context()); !errors.Is(err, tts.ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for want, o := range map[string]wyoming.Options{
		"uri":     {URI: "localhost:10200"},
		"timeout": {Timeout: -1},
	} {
		if _, err := wyoming.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
