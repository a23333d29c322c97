// Package flite speaks with CMU Flite, the offline synthesizer of Debian's
// package flite, version 2.2.
//
// Of its voices, kal is 8 kHz and all others are 16 kHz. kal16 wakes wake-word
// models most like a person does. Flite's own limits, as found with 2.2:
//
//   - The voice awb_time is a talking clock, which says the same for every
//     word. It is not offered.
//   - The voice rms takes no change of pitch.
//   - Text is English. Letters outside ASCII are passed over, so "naïve" sounds
//     wrong and "é" is unspeakable.
//   - The voices kal and kal16 are made of recorded pairs of phones, and lack
//     some that English has no use for, such as W before a consonant. Asked for
//     phones with such a pair, they say ErrUnspeakable; the other voices can say
//     any.
//
// Phones are spoken as the word would be that has them: "alexa" and AH0 L EH1 K S
// AH0 are the same clip. Flite has one degree of stress, so a secondary one
// counts as a primary one.
//
// One process speaks one utterance, 80 to 95 words a second and core.
package flite

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"wakefuzz/tts"
	"wakefuzz/tts/internal/program"
)

// Engine is the name of this driver in [tts.Voice].
const Engine = "flite"

// What a voice can be asked for: beyond, flite's speech falls apart.
const (
	minRate, maxRate = 0.25, 4.0 // of the usual pace
	maxPitch         = 12.0      // semitones, both ways
)

const (
	talkingClock = "awb_time" // see the package comment
	steadyPitch  = "rms"
)

// Synthesizer is an installed flite. It is safe for concurrent use.
type Synthesizer struct {
	flite   program.Program
	version string
	voices  []string
}

// New finds flite and asks for its version and voices. The error tells what to
// install if it is missing.
func New(ctx context.Context) (*Synthesizer, error) {
	p, err := program.Find("flite", "flite")
	if err != nil {
		return nil, err
	}
	p.Gap = "udb failed to find entry for:"
	s := &Synthesizer{flite: p}

	// flite says its version and exits with status 1.
	about, err := p.Output(ctx, "", "--version")
	_, rest, found := strings.Cut(string(about), "version: ")
	if !found {
		return nil, fmt.Errorf("flite doesn't say its version, but %q: %w", about, err)
	}
	s.version, _, _ = strings.Cut(rest, "\n")

	list, err := p.Output(ctx, "", "-lv")
	if err != nil {
		return nil, err
	}
	_, names, _ := strings.Cut(string(list), ":")
	s.voices = slices.DeleteFunc(strings.Fields(names), func(name string) bool { return name == talkingClock })
	slices.Sort(s.voices)
	if len(s.voices) == 0 {
		return nil, fmt.Errorf("flite lists no voices, but %q", list)
	}
	return s, nil
}

// Voices lists the installed voices that can speak any word.
func (s *Synthesizer) Voices(context.Context) ([]string, error) { return slices.Clone(s.voices), nil }

// Version is what flite calls its release.
func (s *Synthesizer) Version(context.Context) (string, error) { return s.version, nil }

// Synthesize speaks u. The pitch is shifted against the voice's own, and the
// pace is kept while it is.
func (s *Synthesizer) Synthesize(ctx context.Context, u tts.Utterance) (tts.Clip, error) {
	v := u.Voice
	if err := program.CheckVoice(v, s.voices); err != nil {
		return tts.Clip{}, err
	}
	if err := program.CheckRange(v, "rate", v.Pace(), minRate, maxRate); err != nil {
		return tts.Clip{}, err
	}
	if err := program.CheckRange(v, "pitch", v.Pitch, -maxPitch, maxPitch); err != nil {
		return tts.Clip{}, err
	}
	if v.Name == steadyPitch && v.Pitch != 0 {
		return tts.Clip{}, fmt.Errorf("%w: %s takes no change of pitch, the other voices of flite do", tts.ErrVoice, v.Name)
	}
	phones, err := program.Phones(u)
	if err != nil {
		return tts.Clip{}, err
	}
	args := []string{"-voice", v.Name}
	if v.Pace() != 1 {
		args = append(args, "--setf", fmt.Sprintf("duration_stretch=%f", 1/v.Pace()))
	}
	if v.Pitch != 0 {
		args = append(args, "--setf", fmt.Sprintf("f0_shift=%f", math.Exp2(v.Pitch/12)))
	}
	text, lexicon := plainApostrophes(u.Text), ""
	if phones != "" {
		text, lexicon = word, word+" nil : "+strings.Join(fromARPAbet(phones), " ")+"\n"
		args = append(args, "-add_lex", "/dev/stdin")
	}
	// The text is taken as it is only behind -t: standing alone, one word is the
	// name of a file.
	args = append(args, "-t", text, "-o", "/dev/stdout")
	return s.flite.Speak(ctx, u, lexicon, args...)
}

// plainApostrophes: flite drops all that isn't ASCII, and "can’t" would become
// "cant".
func plainApostrophes(text string) string { return strings.ReplaceAll(text, "’", "'") }
