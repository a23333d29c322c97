package phoneme

import (
	"slices"
	"strings"
)

// Syllable is a syllable of a word: its phones without stress, and the stress
// of its vowel, 0 (none), 1 (primary) or 2 (secondary).
type Syllable struct {
	Phones []string
	Stress int
	vowel  int // the vowel's place among the phones, or their number
}

// Syllables divides a pronunciation into syllables, one for each vowel. The
// consonants between two vowels belong to the second as far as an English word
// may begin with them, and the rest to the first, as the dictionaries of speech
// synthesizers have it: AH0 . L EH1 K . S AH0. Consonants without a vowel are
// one syllable. A vowel without a digit has no stress; see [Pronunciation.Stressed].
func (p Pronunciation) Syllables() []Syllable {
	phones := strings.Fields(string(p))
	var syllables []Syllable
	start := 0 // of the phones that belong to no syllable yet
	for i, phone := range phones {
		if !isVowel(phone) {
			continue
		}
		begin := start
		if n := len(syllables); n > 0 {
			for begin < i && !isOnset(phones[begin:i]) {
				begin++
			}
			last := &syllables[n-1]
			last.Phones = append(last.Phones, phones[start:begin]...)
		}
		bare, stress := cutStress(phone)
		syllables = append(syllables, Syllable{
			Phones: append(slices.Clone(phones[begin:i]), bare),
			Stress: max(stress, 0),
			vowel:  i - begin,
		})
		start = i + 1
	}
	if len(syllables) == 0 {
		return []Syllable{{Phones: phones, vowel: len(phones)}}
	}
	last := &syllables[len(syllables)-1]
	last.Phones = append(last.Phones, phones[start:]...)
	return syllables
}

// isVowel says whether the phone, with or without a stress digit, is a vowel.
func isVowel(phone string) bool { return strings.Contains(vowelLetters, phone[:1]) }

// cutStress takes the stress digit off a phone. The stress is -1 where there is
// none.
func cutStress(phone string) (bare string, stress int) {
	if last := phone[len(phone)-1]; '0' <= last && last <= '9' {
		return phone[:len(phone)-1], int(last - '0')
	}
	return phone, -1
}

// onsets are the clusters of consonants that English words begin with, beyond
// the single ones.
const onsets = "|B L|B R|B Y|D R|D W|F L|F R|F Y|G L|G R|G W|HH W|HH Y|K L|K R|K W|K Y|M Y|P L|P R|P Y|" +
	"S K|S K R|S K W|S K Y|S L|S M|S N|S P|S P L|S P R|S P Y|S T|S T R|S W|SH R|T R|T W|TH R|TH W|V Y|"

func isOnset(consonants []string) bool {
	switch len(consonants) {
	case 0:
		return true
	case 1:
		return consonants[0] != "NG"
	default:
		return strings.Contains(onsets, "|"+strings.Join(consonants, " ")+"|")
	}
}

// Stressed is the pronunciation with a stress digit at every vowel, as a voice
// needs it. One that has digits keeps them, and its other vowels get 0. Without
// any, the first vowel that is not AH gets the primary stress, or else the
// first: AH L EH K S AH becomes AH0 L EH1 K S AH0.
func (p Pronunciation) Stressed() Pronunciation {
	phones := strings.Fields(string(p))
	primary := -1
	for i, phone := range phones {
		if _, stress := cutStress(phone); stress >= 0 {
			primary = -1
			break
		}
		if isVowel(phone) && (primary < 0 || phones[primary] == "AH" && phone != "AH") {
			primary = i
		}
	}
	for i, phone := range phones {
		if _, stress := cutStress(phone); stress >= 0 || !isVowel(phone) {
			continue
		}
		if i == primary {
			phones[i] += "1"
		} else {
			phones[i] += "0"
		}
	}
	return Pronunciation(strings.Join(phones, " "))
}

// IPA is the pronunciation in the International Phonetic Alphabet, broad and
// American, with the mark of stress before the syllable: "əˈlɛksə". AH and ER
// without stress are ə and ɚ, and ʌ and ɝ with it.
func (p Pronunciation) IPA() string {
	var b strings.Builder
	for _, s := range p.Stressed().Syllables() {
		b.WriteString([]string{"", "ˈ", "ˌ"}[s.Stress])
		for i, phone := range s.Phones {
			if i == s.vowel && s.Stress == 0 && weak[phone] != "" {
				b.WriteString(weak[phone])
			} else {
				b.WriteString(ipa[phone])
			}
		}
	}
	return b.String()
}

var ipa = map[string]string{
	"AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AY": "aɪ", "B": "b", "CH": "tʃ", "D": "d", "DH": "ð",
	"EH": "ɛ", "ER": "ɝ", "EY": "eɪ", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "dʒ", "K": "k",
	"L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ",
	"T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}

// weak are the vowels that have a sign of their own where they are unstressed.
var weak = map[string]string{"AH": "ə", "ER": "ɚ"}
