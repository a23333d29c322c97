package phoneme

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/agnivade/levenshtein"
	"github.com/dotcypress/phonetics"
	"golang.org/x/text/unicode/norm"
)

// Metaphone is the code of text by the first Metaphone of 1990, as the module
// dotcypress/phonetics has it. That variant has no code for a vowel even at
// the beginning, so that "alexa" is LKS, where Philips' own rules give ALKS.
// Spaces, punctuation and letters other than a to z have no code.
func Metaphone(text string) string { return phonetics.EncodeMetaphone(text) }

// Metric is a way to say how far apart two words sound. The zero Metric is
// none: use one of the constants, or ParseMetric.
type Metric string

// The metrics. Campaign files and exports hold these strings.
const (
	// MetricDoubleMetaphone compares the primary codes of [DoubleMetaphone],
	// as the paper does in section 5.5. It is the one to take where nothing
	// else is asked for.
	MetricDoubleMetaphone Metric = "double-metaphone"
	// MetricMetaphone compares the codes of [Metaphone].
	MetricMetaphone Metric = "metaphone"
	// MetricLetters compares spellings, without regard to case, spaces and
	// punctuation.
	MetricLetters Metric = "letters"
	// MetricPhonemes compares pronunciations phone by phone, without stress.
	MetricPhonemes Metric = "phonemes"
)

// Metrics are all metrics, the default first.
func Metrics() []Metric {
	return []Metric{MetricDoubleMetaphone, MetricMetaphone, MetricLetters, MetricPhonemes}
}

// ParseMetric is the metric of that name. The error lists the names.
func ParseMetric(name string) (Metric, error) {
	if m := Metric(name); slices.Contains(Metrics(), m) {
		return m, nil
	}
	return "", fmt.Errorf("no metric %.40q: use one of %v", name, Metrics())
}

// UnmarshalText is ParseMetric for decoders.
func (m *Metric) UnmarshalText(text []byte) error {
	parsed, err := ParseMetric(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

// Code is what the metric compares of a word that is spelled text and sounds
// like p. Only MetricPhonemes looks at p, and it looks at nothing else. Words
// that are told apart only by what the metric leaves out have the same code.
func (m Metric) Code(text string, p Pronunciation) string {
	switch m {
	case MetricDoubleMetaphone:
		primary, _ := DoubleMetaphone(text)
		return primary
	case MetricMetaphone:
		return Metaphone(text)
	case MetricLetters:
		return letters(text)
	case MetricPhonemes:
		return string(p.Bare())
	default:
		panic(m.unknown())
	}
}

// Distance is the Levenshtein distance of two codes of this metric: how many
// letters, or phones, must be inserted, dropped or exchanged to make b of a.
func (m Metric) Distance(a, b string) int {
	switch m {
	case MetricDoubleMetaphone, MetricMetaphone, MetricLetters:
		return levenshtein.ComputeDistance(a, b)
	case MetricPhonemes:
		return levenshtein.ComputeDistance(onePerPhone(a), onePerPhone(b))
	default:
		panic(m.unknown())
	}
}

// unknown is for a metric that no parser has let through: a mistake of the
// program, not of its user.
func (m Metric) unknown() string { return fmt.Sprintf("phoneme: no metric %q", string(m)) }

// letters is text in lower case without all that is neither letter nor digit.
func letters(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, norm.NFC.String(text))
}

// onePerPhone writes the phones of a code as one character each, which makes
// a distance in letters one in phones.
func onePerPhone(code string) string {
	var buffer [64]byte // on the stack, for all but the longest phrases
	encoded := buffer[:0]
	for phone := range strings.FieldsSeq(code) {
		if n, known := phoneNumber[phone]; known {
			encoded = append(encoded, 'A'+byte(n))
		} else {
			encoded = append(encoded, '?')
		}
	}
	return string(encoded)
}
