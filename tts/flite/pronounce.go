package flite

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"wakefuzz/phoneme"
	"wakefuzz/tts/internal/program"
)

// pronouncer is the voice that is asked: the quickest that tells AH from AA.
const pronouncer = "kal16"

// pronounceBatch is how many texts one process takes.
const pronounceBatch = 500

// Pronounce tells how flite says each text: from its own dictionary, or by its
// letter-to-sound rules. The phones are without stress. A text that flite can't
// say has an empty pronunciation.
//
// It is what the voices really say, so abbreviations come out in full ("dr" as
// "drive"). Flite takes AO for AA except before R.
//
// It goes at about a thousand words a second for plain words; a text with
// anything but letters, spaces and apostrophes has a process of its own.
func (s *Synthesizer) Pronounce(ctx context.Context, texts []string) ([]phoneme.Pronunciation, error) {
	said := make([]phoneme.Pronunciation, len(texts))
	var plain, other []int // indices of texts
	for i, text := range texts {
		switch {
		case program.CheckText(text) != nil:
		case isPlain(text):
			plain = append(plain, i)
		default:
			other = append(other, i)
		}
	}
	for batch := range slices.Chunk(plain, pronounceBatch) {
		// One paragraph a text is one line a text of output. There is no other
		// way to tell the texts apart again, so the lines are counted.
		var script strings.Builder
		for _, i := range batch {
			script.WriteString(texts[i] + "\n\n")
		}
		out, err := s.segments(ctx, script.String(), "-f", "/dev/stdin")
		if err != nil {
			return nil, err
		}
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		if len(lines) != len(batch) {
			other = append(other, batch...)
			continue
		}
		for k, i := range batch {
			if said[i], err = fromSegments(lines[k]); err != nil {
				return nil, fmt.Errorf("pronounce %q: %w", texts[i], err)
			}
		}
	}
	for _, i := range other {
		out, err := s.segments(ctx, "", "-t", plainApostrophes(texts[i]))
		if err != nil {
			return nil, fmt.Errorf("pronounce %q: %w", texts[i], err)
		}
		if said[i], err = fromSegments(out); err != nil {
			return nil, fmt.Errorf("pronounce %q: %w", texts[i], err)
		}
	}
	return said, nil
}

// isPlain tells whether flite reads the text as one sentence on one line,
// whatever stands around it.
func isPlain(text string) bool {
	letters := false
	for _, r := range text {
		switch {
		case 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z':
			letters = true
		case r != ' ' && r != '\'':
			return false
		}
	}
	return letters
}

func (s *Synthesizer) segments(ctx context.Context, stdin string, source ...string) (string, error) {
	args := append([]string{"-voice", pronouncer, "-ps", "-o", "none"}, source...)
	out, err := s.flite.Output(ctx, stdin, args...)
	return string(out), err
}

// fromSegments reads what flite -ps prints: phones in lower case, and pauses.
func fromSegments(segments string) (phoneme.Pronunciation, error) {
	var phones []string
	for phone := range strings.FieldsSeq(segments) {
		switch phone {
		case "pau":
		case "ax": // the vowel of "about", which ARPAbet counts as an unstressed AH
			phones = append(phones, "AH")
		default:
			phones = append(phones, phone)
		}
	}
	if len(phones) == 0 {
		return "", nil
	}
	return phoneme.ParsePronunciation(strings.Join(phones, " "))
}

// word is what flite is told to say where it is to say phones: a word of its
// dictionary that no dictionary has, so that it speaks with the melody and the
// lengths of words. Phones by themselves (its option -p) it drones.
const word = "wakefuzz"

// fromARPAbet turns stressed phones into the names of flite's dictionary: vowels
// with 0 or 1, and ax0, the vowel of "about", for the unstressed AH.
func fromARPAbet(p phoneme.Pronunciation) []string {
	phones := strings.Fields(strings.ToLower(string(p)))
	for i, phone := range phones {
		switch {
		case phone == "ah0":
			phones[i] = "ax0"
		case strings.HasSuffix(phone, "2"):
			phones[i] = strings.TrimSuffix(phone, "2") + "1"
		}
	}
	return phones
}
