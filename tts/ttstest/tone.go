package ttstest

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"wakefuzz/tts"
)

// Tone is a synthesizer that hums instead of speaking: 80 ms a letter, at a
// pitch that the text and the voice decide. Its zero value is ready for use, by
// many goroutines at once.
type Tone struct {
	// Before, if set, is called with each utterance before it sounds. What it
	// returns as an error is returned by Synthesize.
	Before func(ctx context.Context, u tts.Utterance) error
}

var toneVoices = []string{"alto", "bass", "tenor"}

// Synthesize hums the text, or the phones.
func (s Tone) Synthesize(ctx context.Context, u tts.Utterance) (tts.Clip, error) {
	if err := ctx.Err(); err != nil {
		return tts.Clip{}, err
	}
	if s.Before != nil {
		if err := s.Before(ctx, u); err != nil {
			return tts.Clip{}, err
		}
	}
	v, text := u.Voice, u.Text
	if phones, err := u.Phones(); err != nil {
		return tts.Clip{}, err
	} else if phones != "" {
		text = string(phones)
	}
	switch {
	case !slices.Contains(toneVoices, v.Name):
		return tts.Clip{}, fmt.Errorf("%w: %q, there are %v", tts.ErrVoice, v.Name, toneVoices)
	case !(v.Pace() > 0.1 && v.Pace() < 10), !(math.Abs(v.Pitch) <= 12), !(v.Volume <= 20):
		return tts.Clip{}, fmt.Errorf("%w: %s is out of range", tts.ErrVoice, v)
	case strings.TrimSpace(text) == "" || len(text) > 200:
		return tts.Clip{}, fmt.Errorf("%w: %d bytes", tts.ErrUnspeakable, len(text))
	}
	h := fnv.New32a()
	h.Write([]byte(v.Name + "/" + text))
	hertz := (100 + float64(h.Sum32()%10000)/100) * math.Exp2(v.Pitch/12)
	amplitude := min(3000*math.Pow(10, v.Volume/20), math.MaxInt16)
	seconds := 0.08 * float64(utf8.RuneCountInString(text)) / v.Pace()

	samples := make([]int16, int(seconds*tts.SampleRate))
	for i := range samples {
		samples[i] = int16(amplitude * math.Sin(2*math.Pi*hertz*float64(i)/tts.SampleRate))
	}
	return tts.Clip{Samples: samples}, nil
}

// Voices lists three voices.
func (Tone) Voices(context.Context) ([]string, error) { return slices.Clone(toneVoices), nil }

// Version returns "1".
func (Tone) Version(context.Context) (string, error) { return "1", nil }
