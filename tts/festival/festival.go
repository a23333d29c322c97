// Package festival speaks with the Festival Speech Synthesis System, the offline
// synthesizer of Debian's package festival, version 2.5.
//
// Voices are packages of their own. Offered are the installed ones that speak
// English: kal_diphone (festvox-kallpc16k), ked_diphone (festvox-kdlpc16k),
// cmu_us_slt_arctic_hts (festvox-us-slt-hts), and whatever else voice.list names.
// kal_diphone and ked_diphone are made of recorded pairs of phones, the HTS voices
// of statistics. Said by any of them, "alexa" wakes openWakeWord's model.
//
// Limits, as found with 2.5:
//
//   - HTS voices, whose names end in _hts, take no change of pitch.
//   - Text is English, and without a letter or digit it is unspeakable: Festival
//     crashes at it. Characters outside ASCII are passed over.
//   - The voices of recorded pairs lack some pairs, as of W before a consonant.
//     Phones with one are unspeakable.
//   - What the user's ~/.festivalrc changes, changes the sound.
//
// Phones are spoken as the word would be that has them. Festival has one degree
// of stress, so a secondary one counts as a primary one.
//
// One process speaks one utterance, in 30 to 90 ms. One that speaks many would
// take 2 ms each, 16 ms with an HTS voice. But every clip is made once only, and
// this way nothing that one text leaves behind can change the next.
package festival

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"wakefuzz/phoneme"
	"wakefuzz/tts"
	"wakefuzz/tts/internal/program"
)

// Engine is the name of this driver in [tts.Voice].
const Engine = "festival"

// What a voice can be asked for: beyond, the speech falls apart.
const (
	minRate, maxRate = 0.25, 4.0 // of the usual pace
	maxPitch         = 12.0      // semitones, both ways
)

// heap is Festival's memory in cells. Its usual ten million take a fifth of a
// second to clear; the rules for words that it does not know fit into a tenth.
const heap = "1000000"

// Synthesizer is an installed Festival. It is safe for concurrent use.
type Synthesizer struct {
	festival program.Program
	version  string
	voices   []string
}

// New finds Festival and asks for its version and voices. The error tells what
// to install if it, or a voice, is missing.
func New(ctx context.Context) (*Synthesizer, error) {
	p, err := program.Find("festival", "festival festvox-kallpc16k")
	if err != nil {
		return nil, err
	}
	p.Gap = "using default diphone"
	s := &Synthesizer{festival: p}

	about, err := p.Output(ctx, "", "--version")
	if err != nil {
		return nil, err
	}
	_, s.version, _ = strings.Cut(strings.TrimSpace(string(about)), "System: ")
	if s.version == "" {
		return nil, fmt.Errorf("festival doesn't say its version, but %q", about)
	}

	list, err := p.Output(ctx, listVoices, "--heap", heap, "--pipe")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(list)) {
		if name, english := strings.CutSuffix(strings.TrimSpace(line), " english"); english {
			s.voices = append(s.voices, name)
		}
	}
	slices.Sort(s.voices)
	if len(s.voices) == 0 {
		return nil, fmt.Errorf(`festival has no voice that speaks English: install one with "apt-get install festvox-kallpc16k"; it lists %q`, list)
	}
	return s, nil
}

// listVoices prints the voices and their languages, a line each.
const listVoices = `(mapcar
 (lambda (v) (format t "%s %s\n" v (cadr (assoc 'language (cadr (assoc v Voice_descriptions))))))
 (voice.list))
`

// Voices lists the installed voices that speak English.
func (s *Synthesizer) Voices(context.Context) ([]string, error) { return slices.Clone(s.voices), nil }

// Version is what Festival calls its release.
func (s *Synthesizer) Version(context.Context) (string, error) { return s.version, nil }

// Synthesize speaks u. The pitch is shifted against the voice's own, and the pace
// is kept while it is.
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
	hts := strings.HasSuffix(v.Name, "_hts")
	if hts && v.Pitch != 0 {
		return tts.Clip{}, fmt.Errorf("%w: %s takes no change of pitch, the voices of Festival that are not HTS do", tts.ErrVoice, v.Name)
	}
	phones, err := program.Phones(u)
	if err != nil {
		return tts.Clip{}, err
	}
	text := plain(u.Text)
	if phones == "" && !strings.ContainsAny(text, letters) {
		return tts.Clip{}, fmt.Errorf("%w: Festival has no sound for %q", tts.ErrUnspeakable, u.Text)
	}

	var script strings.Builder
	fmt.Fprintf(&script, "(voice_%s)\n", v.Name)
	switch {
	case v.Pace() == 1:
	case hts:
		fmt.Fprintf(&script, "(set! hts_engine_params (append hts_engine_params '((\"-r\" %f))))\n", v.Pace())
	default:
		fmt.Fprintf(&script, "(Parameter.set 'Duration_Stretch (* %f (Parameter.get 'Duration_Stretch)))\n", 1/v.Pace())
	}
	if v.Pitch != 0 {
		fmt.Fprintf(&script, "(set! int_lr_params (cons (list 'target_f0_mean (* %f (cadr (assoc 'target_f0_mean int_lr_params)))) int_lr_params))\n",
			math.Exp2(v.Pitch/12))
	}
	if phones != "" {
		text = word
		fmt.Fprintf(&script, "(lex.add.entry '(%q nil (%s)))\n", word, syllables(phones))
	}
	fmt.Fprintf(&script, "(utt.save.wave (utt.synth (Utterance Text \"%s\")) \"/dev/stdout\")\n", text)
	return s.festival.Speak(ctx, u, script.String(), "--heap", heap, "--pipe")
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// plain is the text as it can stand between quotes in Scheme. What is not ASCII,
// and what a string there can't hold, becomes a space.
func plain(text string) string {
	text = strings.ReplaceAll(text, "’", "'")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return ' '
		}
		return r
	}, text)
}

// word is what Festival is told to say where it is to say phones: a word of its
// dictionary that no dictionary has, so that it speaks with the melody and the
// lengths of words. Phones by themselves (SayPhones) it drones.
const word = "wakefuzz"

// syllables writes stressed phones as an entry of Festival's dictionary:
// "((ax) 0) ((l eh k) 1) ((s ax) 0)".
func syllables(p phoneme.Pronunciation) string {
	var entry []string
	for _, s := range p.Syllables() {
		phones := slices.Clone(s.Phones)
		for i, phone := range phones {
			phones[i] = strings.ToLower(phone)
			if phone == "AH" && s.Stress == 0 {
				phones[i] = "ax"
			}
		}
		entry = append(entry, fmt.Sprintf("((%s) %d)", strings.Join(phones, " "), min(s.Stress, 1)))
	}
	return strings.Join(entry, " ")
}
