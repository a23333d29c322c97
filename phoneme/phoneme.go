// Package phoneme measures how far apart two words sound.
//
// A word has a spelling and a [Pronunciation]: its phones in ARPAbet, the
// notation of the CMU Pronouncing Dictionary. The number of phones is what a
// campaign selects words by; the distance to the wake word is what it orders
// and ranks them by.
//
// A [Metric] turns a word into a code and compares codes by Levenshtein
// distance, in letters or phones inserted, dropped or exchanged:
//
//	double-metaphone   DoubleMetaphone's primary code: alexa is ALKS
//	metaphone          Metaphone's code: alexa is LKS
//	letters            the spelling: alexa
//	phonemes           the pronunciation without stress: AH L EH K S AH
//
// The first is the paper's: of all schemes that were tried, Double Metaphone's
// primary code, not cut to the usual four letters, is the one that gives the
// figures of section 5.5 for Table 5, with 3, 9, 25, 29, 14, 2, 2, 4 and 1
// words at distance 0 to 8 from "alexa".
//
// Metaphone codes are made from spelling by rules for English (and, in Double
// Metaphone, for names of European origin). They are coarse: vowels count at
// most at the beginning of the text, and most voiced consonants are coded as
// their voiceless kin, so that words that no one would confuse can be at
// distance 0, as alexa and elks are. The phoneme distance counts every phone,
// but every exchange alike: B for P weighs as much as B for AA.
//
// All functions are pure and safe for concurrent use. The package imports
// nothing of the project.
package phoneme

import (
	"errors"
	"fmt"
	"strings"
)

// Pronunciation is a sequence of ARPAbet phones with one space between them,
// in upper case, vowels with or without a stress digit: "AH0 L EH1 K S AH0".
// It is a plain string so that a dictionary of 135,000 of them costs no more
// than its text.
type Pronunciation string

// arpabet is the notation's 39 phones, sorted. Those that begin with a vowel's
// letter are the vowels.
const arpabet = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"

// phoneNumber gives each phone its place in arpabet.
var phoneNumber = func() map[string]int {
	numbers := make(map[string]int)
	for i, phone := range strings.Fields(arpabet) {
		numbers[phone] = i
	}
	return numbers
}()

const (
	vowelLetters = "AEIOU"
	digits       = "0123456789"
)

// maxPronunciation is the longest pronunciation that is read, in bytes. The
// longest of the CMU dictionary has 80.
const maxPronunciation = 1024

// ParsePronunciation reads a pronunciation in any case and spacing. The phones
// are the 39 of the CMU dictionary; a vowel may carry a stress digit from 0 to
// 2. The error names the phone that is wrong and the phones that there are. A
// string that is in order already is returned as it is, without a copy.
func ParsePronunciation(s string) (Pronunciation, error) {
	if len(s) > maxPronunciation {
		return "", fmt.Errorf("pronunciation of %d bytes is too long: the limit is %d", len(s), maxPronunciation)
	}
	if p := Pronunciation(s); p.check() == nil {
		return p, nil
	}
	p := Pronunciation(strings.Join(strings.Fields(strings.ToUpper(s)), " "))
	if err := p.check(); err != nil {
		return "", err
	}
	return p, nil
}

func (p Pronunciation) check() error {
	if p == "" {
		return errors.New("pronunciation is empty: give ARPAbet phones, such as AH0 L EH1 K S AH0")
	}
	n := 0
	for phone := range strings.SplitSeq(string(p), " ") {
		n++
		bare := strings.TrimRight(phone, digits)
		stress := phone[len(bare):]
		_, known := phoneNumber[bare]
		switch {
		case !known:
			return fmt.Errorf("phone %d, %.16q, is not of the CMU dictionary's ARPAbet: use %s", n, phone, arpabet)
		case stress == "":
		case !strings.Contains(vowelLetters, bare[:1]):
			return fmt.Errorf("phone %d, %.16q, is a consonant with a stress digit: use %s", n, phone, bare)
		case stress != "0" && stress != "1" && stress != "2":
			return fmt.Errorf("phone %d, %.16q, has stress %.16s: use %s0 (none), %[4]s1 (primary) or %[4]s2 (secondary)", n, phone, stress, bare)
		}
	}
	return nil
}

// Phones are the phones one by one, without stress.
func (p Pronunciation) Phones() []string { return strings.Fields(string(p.Bare())) }

// Count is the number of phones.
func (p Pronunciation) Count() int {
	if p == "" {
		return 0
	}
	return strings.Count(string(p), " ") + 1
}

// Bare is the pronunciation without stress: "AH L EH K S AH".
func (p Pronunciation) Bare() Pronunciation {
	return Pronunciation(strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, string(p)))
}
