// Package espeak speaks with eSpeak NG, the offline synthesizer of Debian's
// package espeak-ng, version 1.51.
//
// A voice is the tag of a language, such as "en-us", alone or with one of
// eSpeak NG's variants behind a plus sign: "en-us+f2", "en-gb+Andrea". Only
// languages are listed by [Synthesizer.Voices]. Voices that need the MBROLA
// program are not offered.
//
// Phones are those of English, and only the voices for English speak them. The
// unstressed first vowel of "alexa" and its like, which eSpeak NG says like the A
// of "cat", comes out as that of "about".
//
// The sound is made by formants and is less like a person's than flite's:
// wake-word models hear it only in part. Text between [[ and ]] is read as
// eSpeak NG's own phoneme names.
//
// One process speaks one utterance, 40 to 90 words a second and core.
package espeak

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"wakefuzz/phoneme"
	"wakefuzz/tts"
	"wakefuzz/tts/internal/program"
)

// Engine is the name of this driver in [tts.Voice].
const Engine = "espeak-ng"

// eSpeak NG counts pace in words per minute, and can't go slower than 80 nor,
// without changing its manner, faster than 450.
const (
	usualPace        = 175.0
	minRate, maxRate = 80 / usualPace, 450 / usualPace
)

// eSpeak NG has a scale of pitch from 0 to 99, an octave per 50 steps. It moves
// the bottom of the melody by as much, but not its span, so the voice as a whole
// moves less. The factor is measured, on five voices and phrases: within the
// range given, the median of the pitch shifts as asked, to about a semitone.
const (
	usualPitch         = 50.0
	pitchPerSemitone   = 5.6
	minPitch, maxPitch = -4, 8.75
)

// The folders of eSpeak NG's data with what isn't a language by itself.
const variantDir, mbrolaDir = "!v/", "mb/"

// Synthesizer is an installed eSpeak NG. It is safe for concurrent use.
type Synthesizer struct {
	espeak             program.Program
	version            string
	languages, variant []string // sorted
}

// New finds eSpeak NG and asks for its version and voices. The error tells what
// to install if it is missing.
func New(ctx context.Context) (*Synthesizer, error) {
	p, err := program.Find("espeak-ng", "espeak-ng")
	if err != nil {
		return nil, err
	}
	s := &Synthesizer{espeak: p}

	about, err := p.Output(ctx, "", "--version")
	if err != nil {
		return nil, err
	}
	// Where the data lies, the second half of the line, doesn't shape the sound.
	version, _, _ := strings.Cut(string(about), "Data at:")
	s.version = strings.TrimSpace(version)

	languages, err := p.Output(ctx, "", "--voices")
	if err != nil {
		return nil, err
	}
	variants, err := p.Output(ctx, "", "--voices=variant")
	if err != nil {
		return nil, err
	}
	for _, v := range parseVoices(string(languages)) {
		if !strings.HasPrefix(v.file, mbrolaDir) {
			s.languages = append(s.languages, v.language)
		}
	}
	for _, v := range parseVoices(string(variants)) {
		if name, ok := strings.CutPrefix(v.file, variantDir); ok {
			s.variant = append(s.variant, name)
		}
	}
	slices.Sort(s.languages)
	s.languages = slices.Compact(s.languages)
	slices.Sort(s.variant)
	if len(s.languages) == 0 {
		return nil, fmt.Errorf("espeak-ng lists no voices, but %q", languages)
	}
	return s, nil
}

type voice struct{ language, file string }

// parseVoices reads the table that --voices prints: a heading, then priority,
// language, age and gender, name, file, and other languages in parentheses.
func parseVoices(table string) (voices []voice) {
	lines := strings.Split(table, "\n")
	for _, line := range lines[1:] {
		f := strings.Fields(line)
		if len(f) < 5 || len(f) > 5 && !strings.HasPrefix(f[5], "(") {
			continue // a file name with a space can't be told from what follows
		}
		voices = append(voices, voice{language: f[1], file: f[4]})
	}
	return voices
}

// Voices lists the languages.
func (s *Synthesizer) Voices(context.Context) ([]string, error) {
	return slices.Clone(s.languages), nil
}

// Version is what eSpeak NG calls its release.
func (s *Synthesizer) Version(context.Context) (string, error) { return s.version, nil }

// Synthesize speaks u. Pace is rounded to a word per minute (0.6 %), pitch to a
// fifth of a semitone.
func (s *Synthesizer) Synthesize(ctx context.Context, u tts.Utterance) (tts.Clip, error) {
	v := u.Voice
	language, variant, varied := strings.Cut(v.Name, "+")
	base := v
	base.Name = language
	if err := program.CheckVoice(base, s.languages); err != nil {
		return tts.Clip{}, err
	}
	// eSpeak NG passes over a variant that it doesn't know.
	if _, ok := slices.BinarySearch(s.variant, variant); varied && !ok {
		return tts.Clip{}, fmt.Errorf("%w: %q, the variants are %s", tts.ErrVoice, v.Name, strings.Join(s.variant, ", "))
	}
	if err := program.CheckRange(v, "rate", v.Pace(), minRate, maxRate); err != nil {
		return tts.Clip{}, err
	}
	if err := program.CheckRange(v, "pitch", v.Pitch, minPitch, maxPitch); err != nil {
		return tts.Clip{}, err
	}
	phones, err := program.Phones(u)
	if err != nil {
		return tts.Clip{}, err
	}
	text := u.Text
	if phones != "" {
		if language != "en" && !strings.HasPrefix(language, "en-") {
			return tts.Clip{}, fmt.Errorf("%w: the phones are English, and %s is not", tts.ErrUnspeakable, language)
		}
		text = mnemonics(phones)
	}
	return s.espeak.Speak(ctx, u, "",
		"-b", "1", // the text is UTF-8
		"-v", v.Name,
		"-s", whole(usualPace*v.Pace()),
		"-p", whole(usualPitch+pitchPerSemitone*v.Pitch),
		"--stdout", "--", text)
}

func whole(x float64) string { return strconv.Itoa(int(math.Round(x))) }

// mnemonics writes stressed phones as eSpeak NG reads them: its own names between
// double brackets, with a bar between two phones and the stress before the vowel.
func mnemonics(p phoneme.Pronunciation) string {
	var spoken []string
	for phone := range strings.FieldsSeq(string(p)) {
		bare := strings.TrimRight(phone, "012")
		name := names[bare]
		switch phone[len(bare):] {
		case "0":
			name = cmp.Or(weakNames[bare], name)
		case "1":
			name = "'" + name
		case "2":
			name = "," + name
		}
		spoken = append(spoken, name)
	}
	return "[[" + strings.Join(spoken, "|") + "]]"
}

// names are eSpeak NG's names of the phones, and weakNames those of vowels that
// are others where they are unstressed.
var (
	names = map[string]string{
		"AA": "A:", "AE": "a", "AH": "V", "AO": "O:", "AW": "aU", "AY": "aI", "B": "b", "CH": "tS", "D": "d", "DH": "D",
		"EH": "E", "ER": "3:", "EY": "eI", "F": "f", "G": "g", "HH": "h", "IH": "I", "IY": "i:", "JH": "dZ", "K": "k",
		"L": "l", "M": "m", "N": "n", "NG": "N", "OW": "oU", "OY": "OI", "P": "p", "R": "r", "S": "s", "SH": "S",
		"T": "t", "TH": "T", "UH": "U", "UW": "u:", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "Z",
	}
	weakNames = map[string]string{"AH": "@", "ER": "3", "IY": "i"}
)
