package phoneme

import (
	"bytes"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// DoubleMetaphone is the code of text by Lawrence Philips' Double Metaphone
// (C/C++ Users Journal, June 2000), not cut to four letters. The primary code
// is how an American reads the text; the secondary code is how it sounds where
// the word's origin leaves a choice, and equals the primary one elsewhere.
// Codes are made of the letters A F H J K L M N P R S T X and 0, where X is
// "sh", 0 is "th", and A stands for any vowel, which only counts at the very
// beginning.
//
// A phrase is coded as one stretch of text, not word by word: what the rules
// say of the beginning or the end of a word holds for the beginning and the
// end of the phrase, and the few rules that look for a space ("San José",
// "Mac Gregor") find it. White space around the text is dropped, and within it
// every run of white space counts as one space. Digits and punctuation have no
// code, but they do stand between letters: "'em" is coded M, for its E is not
// the beginning.
//
// Accents are dropped, so "é" is "e"; only "ç" has a sound of its own.
// Ligatures and other letters of European languages are spelled out ("ß" is
// "ss", "ø" is "o"). Letters of other scripts have no code, and neither has
// text without any letter.
//
// Implementations of the algorithm differ in details, such as the secondary
// code of "social" or how "McCall" doubles its C. This one gives what the npm
// package double-metaphone 2.0.1 gives, for every word of the CMU dictionary.
// The two differ only in accents and white space: that package knows "é" as a
// vowel at the beginning alone, and takes white space as it comes.
func DoubleMetaphone(text string) (primary, secondary string) {
	e := encoder{text: fold(text), pos: begin}
	e.slavoGermanic = bytes.ContainsAny(e.text, "WK") || bytes.Contains(e.text, []byte("CZ"))
	e.germanic = e.begins("VAN ", "VON ", "SCH")

	switch {
	case e.has(0, "GN", "KN", "PN", "WR", "PS"):
		e.pos++ // the first letter is silent
	case e.at(0) == 'X':
		e.add("S") // as in Xavier
		e.pos++
	}
	for e.pos < e.end() {
		e.pos += e.encode(e.text[e.pos])
	}

	primary = string(e.primary)
	if bytes.Equal(e.primary, e.secondary) {
		return primary, primary
	}
	return primary, string(e.secondary)
}

// cCedilla is how the folded text holds a Ç: one byte, as any other letter.
const cCedilla = 0xC7

// spelledOut has the letters that are no accented form of another one.
var spelledOut = map[rune]string{
	'Æ': "AE", 'Œ': "OE", 'Ø': "O", 'ß': "SS", 'Ł': "L", 'Đ': "D", 'Ð': "TH", 'Þ': "TH",
}

// padding stands around the folded text, so that rules may look past its ends.
// None looks further than six letters.
const (
	padding = "      "
	begin   = len(padding)
)

// fold is text as the rules want it: upper case, one byte a character, no
// accents, single spaces, padded. A character that means nothing to the rules
// is kept as some byte that is no letter, because it keeps its neighbours
// apart.
func fold(text string) []byte {
	folded := make([]byte, 0, len(text)+2*len(padding))
	folded = append(folded, padding...)
	for _, r := range norm.NFKD.String(text) {
		r = unicode.ToUpper(r)
		last := &folded[len(folded)-1]
		switch {
		case unicode.IsSpace(r):
			if *last != ' ' {
				folded = append(folded, ' ')
			}
		case r < unicode.MaxASCII:
			folded = append(folded, byte(r))
		case r == '\u0327' && *last == 'C': // a cedilla
			*last = cCedilla
		case unicode.Is(unicode.Mn, r):
		case spelledOut[r] != "":
			folded = append(folded, spelledOut[r]...)
		default:
			folded = append(folded, '-')
		}
	}
	if len(folded) > begin {
		folded = bytes.TrimSuffix(folded, []byte{' '})
	}
	return append(folded, padding...)
}

// encoder walks over a text and gathers its codes. There is one method for
// each letter whose sound depends on its neighbours. It is called with the
// letter at pos, adds that letter's sound, and returns how many letters the
// sound has used up.
type encoder struct {
	text               []byte // as fold gives it
	pos                int
	primary, secondary []byte

	// slavoGermanic tells that some letter group points to a Slavic or
	// Germanic word; germanic that the beginning does to a German or Dutch one.
	slavoGermanic, germanic bool
}

func (e *encoder) end() int     { return len(e.text) - len(padding) }
func (e *encoder) first() bool  { return e.pos == begin }
func (e *encoder) second() bool { return e.pos == begin+1 }
func (e *encoder) last() bool   { return e.pos == e.end()-1 }

// at is the letter offset places after the current one, or a space outside the
// text.
func (e *encoder) at(offset int) byte { return e.text[e.pos+offset] }

// in tells whether the letter offset places after the current one is one of
// the set.
func (e *encoder) in(offset int, set string) bool {
	return strings.IndexByte(set, e.at(offset)) >= 0
}

func (e *encoder) vowel(offset int) bool { return e.in(offset, "AEIOUY") }

// has tells whether one of the groups stands offset places after the current
// letter, begins whether one stands at the beginning.
func (e *encoder) has(offset int, groups ...string) bool {
	ahead := e.text[e.pos+offset:]
	for _, group := range groups {
		if string(ahead[:len(group)]) == group {
			return true
		}
	}
	return false
}

func (e *encoder) begins(groups ...string) bool { return e.has(begin-e.pos, groups...) }

// add appends a sound to both codes, fork a sound to each.
func (e *encoder) add(sound string) { e.fork(sound, sound) }

func (e *encoder) fork(primary, secondary string) {
	e.primary = append(e.primary, primary...)
	e.secondary = append(e.secondary, secondary...)
}

// skip is the number of letters used up by one that swallows a following
// letter of the set.
func (e *encoder) skip(set string) int {
	if e.in(1, set) {
		return 2
	}
	return 1
}

func (e *encoder) encode(letter byte) int {
	switch letter {
	case 'A', 'E', 'I', 'O', 'U', 'Y':
		if e.first() {
			e.add("A")
		}
		return 1
	case 'B':
		e.add("P")
		return e.skip("B")
	case 'C':
		return e.c()
	case cCedilla:
		e.add("S")
		return 1
	case 'D':
		return e.d()
	case 'F':
		e.add("F")
		return e.skip("F")
	case 'G':
		return e.g()
	case 'H':
		return e.h()
	case 'J':
		return e.j()
	case 'K':
		e.add("K")
		return e.skip("K")
	case 'L':
		return e.l()
	case 'M':
		return e.m()
	case 'N':
		e.add("N")
		return e.skip("N")
	case 'P':
		return e.p()
	case 'Q':
		e.add("K")
		return e.skip("Q")
	case 'R':
		return e.r()
	case 'S':
		return e.s()
	case 'T':
		return e.t()
	case 'V':
		e.add("F")
		return e.skip("V")
	case 'W':
		return e.w()
	case 'X':
		return e.x()
	case 'Z':
		return e.z()
	default:
		return 1
	}
}

func (e *encoder) c() int {
	switch {
	case !e.vowel(-2) && e.has(-1, "ACH") && e.at(2) != 'I' &&
		(e.at(2) != 'E' || e.has(-2, "BACHER", "MACHER")): // Bach, Schumacher
		e.add("K")
		return 2
	case e.first() && e.has(0, "CAESAR"):
		e.add("S")
		return 2
	case e.has(0, "CHIA"): // chianti
		e.add("K")
		return 2
	case e.at(1) == 'H':
		return e.ch()
	case e.at(1) == 'Z' && !e.has(-2, "WICZ"): // Czerny
		e.fork("S", "X")
		return 2
	case e.has(1, "CIA"): // focaccia
		e.add("X")
		return 3
	case e.at(1) == 'C' && !(e.second() && e.at(-1) == 'M'): // but McClellan
		return e.cc()
	case e.in(1, "KGQ"):
		e.add("K")
		return 2
	case e.has(1, "IO", "IE"): // precious, in Italian fashion
		e.fork("S", "X")
		return 2
	case e.in(1, "IEY"):
		e.add("S")
		return 2
	}
	e.add("K")
	if e.has(1, " C", " Q", " G") { // Mac Caffrey, Mac Gregor
		return 3
	}
	return 1
}

func (e *encoder) ch() int {
	const (
		// afterHard are the letters before which a Germanic CH is hard, as in
		// Wachtler and Wechsler, and so is one that ends the word: its space.
		afterHard = "LRNMBHFVW "
		darkVowel = "AOUE"
	)
	switch {
	case !e.first() && e.at(2) == 'A' && e.at(3) == 'E': // Michael
		e.fork("K", "X")
	case e.first() && e.has(1, "HARAC", "HARIS", "HOR", "HYM", "HIA", "HEM") && !e.has(1, "HORE"): // Greek: chorus
		e.add("K")
	case e.germanic, e.has(-2, "ORCHES", "ARCHIT", "ORCHID"), e.in(2, "TS"),
		(e.first() || e.in(-1, darkVowel)) && e.in(2, afterHard):
		e.add("K")
	case e.first():
		e.add("X")
	case e.begins("MC"): // McHugh
		e.add("K")
	default:
		e.fork("X", "K")
	}
	return 2
}

func (e *encoder) cc() int {
	if !e.in(2, "IEH") || e.has(2, "HU") { // bacchus
		e.add("K")
		return 2
	}
	if e.second() && e.at(-1) == 'A' || e.has(-1, "UCCEE", "UCCES") { // accident, succeed
		e.add("KS")
	} else { // bocce
		e.add("X")
	}
	return 3
}

func (e *encoder) d() int {
	switch {
	case e.at(1) != 'G':
		e.add("T")
		return e.skip("TD")
	case e.in(2, "IEY"): // edge
		e.add("J")
		return 3
	default: // Edgar
		e.add("TK")
		return 2
	}
}

func (e *encoder) g() int {
	switch {
	case e.at(1) == 'H':
		return e.gh()
	case e.at(1) == 'N':
		switch {
		case e.second() && e.vowel(-1) && !e.slavoGermanic:
			e.fork("KN", "N")
		case !e.has(2, "EY") && !e.slavoGermanic: // but Cagney
			e.fork("N", "KN")
		default:
			e.add("KN")
		}
		return 2
	case e.has(1, "LI") && !e.slavoGermanic: // tagliaro
		e.fork("KL", "L")
		return 2
	case e.first() && (e.at(1) == 'Y' ||
		e.has(1, "ES", "EP", "EB", "EL", "EY", "IB", "IL", "IN", "IE", "EI", "ER")):
		e.fork("K", "J")
		return 2
	case !e.in(-1, "EI") && (e.has(1, "ER") && !e.begins("DANGER", "RANGER", "MANGER") ||
		e.at(1) == 'Y' && !e.in(-1, "RG")): // but energy
		e.fork("K", "J")
		return 2
	case e.in(1, "EIY") || e.has(-1, "AGGI", "OGGI"): // biaggi
		switch {
		case e.germanic, e.has(1, "ET"):
			e.add("K")
		case e.has(1, "IER "):
			e.add("J")
		default:
			e.fork("J", "K")
		}
		return 2
	}
	e.add("K")
	return e.skip("G")
}

func (e *encoder) gh() int {
	switch {
	case !e.first() && !e.vowel(-1):
		e.add("K")
	case e.first() && e.at(2) == 'I': // ghislane
		e.add("J")
	case e.first():
		e.add("K")
	case e.in(-2, "BHD"), e.in(-3, "BHD"), e.in(-4, "BH"):
		// Silent, by Parker's rule: hugh, bough, broughton.
	case e.at(-1) == 'U' && e.in(-3, "CGLRT"): // laugh, tough
		e.add("F")
	case e.at(-1) != 'I':
		e.add("K")
	}
	return 2
}

// An H sounds only before a vowel, at the beginning or after another vowel.
func (e *encoder) h() int {
	if (e.first() || e.vowel(-1)) && e.vowel(1) {
		e.add("H")
		return 2
	}
	return 1
}

func (e *encoder) j() int {
	switch {
	case e.begins("SAN "), e.first() && e.has(0, "JOSE "):
		e.add("H")
	case e.has(0, "JOSE"):
		e.fork("J", "H")
	case e.first(): // Yankelovich and Jankelowicz
		e.fork("J", "A")
	case e.vowel(-1) && !e.slavoGermanic && e.in(1, "AO"): // bajador
		e.fork("J", "H")
	case e.last():
		e.fork("J", "")
	case !e.in(1, "LTKSNMBZ") && !e.in(-1, "SKL"):
		e.add("J")
	default:
		return e.skip("J")
	}
	return 1
}

func (e *encoder) l() int {
	if e.at(1) != 'L' {
		e.add("L")
		return 1
	}
	fromEnd := e.end() - e.pos
	if fromEnd == 3 && e.has(-1, "ILLO", "ILLA", "ALLE") || // cabrillo, gallegos
		e.has(-1, "ALLE") && (e.has(fromEnd-2, "AS", "OS") || e.in(fromEnd-1, "AO")) {
		e.fork("L", "")
	} else {
		e.add("L")
	}
	return 2
}

func (e *encoder) m() int {
	e.add("M")
	fromEnd := e.end() - e.pos
	if e.has(-1, "UMB") && (fromEnd == 2 || e.has(2, "ER")) { // dumb, thumber: the B is silent
		return 2
	}
	return e.skip("M")
}

func (e *encoder) p() int {
	if e.at(1) == 'H' {
		e.add("F")
		return 2
	}
	e.add("P")
	return e.skip("PB") // campbell, raspberry
}

func (e *encoder) r() int {
	if e.last() && !e.slavoGermanic && e.has(-2, "IE") && e.at(-4) != 'M' && !e.in(-3, "AE") { // French: rogier
		e.fork("", "R")
	} else {
		e.add("R")
	}
	return e.skip("R")
}

func (e *encoder) s() int {
	switch {
	case e.has(-1, "ISL", "YSL"): // isle, Carlysle
		return 1
	case e.first() && e.has(0, "SUGAR"):
		e.fork("X", "S")
		return 1
	case e.at(1) == 'H':
		if e.has(1, "HEIM", "HOEK", "HOLM", "HOLZ") {
			e.add("S")
		} else {
			e.add("X")
		}
		return 2
	case e.has(1, "IO", "IA"):
		if e.slavoGermanic {
			e.add("S")
		} else {
			e.fork("S", "X")
		}
		return 3
	case e.first() && e.in(1, "MNLW"), e.at(1) == 'Z': // Smith and Schmidt
		e.fork("S", "X")
		return e.skip("Z")
	case e.at(1) == 'C':
		return e.sc()
	}
	if e.last() && e.has(-2, "AI", "OI") { // French: artois
		e.fork("", "S")
	} else {
		e.add("S")
	}
	return e.skip("SZ")
}

func (e *encoder) sc() int {
	switch {
	case e.at(2) == 'H':
		switch {
		case e.has(3, "ER", "EN"): // schermerhorn
			e.fork("X", "SK")
		case e.has(3, "OO", "UY", "ED", "EM"): // Dutch: school
			e.add("SK")
		case e.first() && !e.vowel(3) && e.at(3) != 'W':
			e.fork("X", "S")
		default:
			e.add("X")
		}
	case e.in(2, "IEY"):
		e.add("S")
	default:
		e.add("SK")
	}
	return 3
}

func (e *encoder) t() int {
	switch {
	case e.has(1, "ION", "IA", "CH"):
		e.add("X")
		return 3
	case e.at(1) == 'H', e.has(1, "TH"):
		if e.has(2, "OM", "AM") || e.germanic { // Thomas
			e.add("T")
		} else {
			e.fork("0", "T")
		}
		return 2
	}
	e.add("T")
	return e.skip("TD")
}

func (e *encoder) w() int {
	if e.at(1) == 'R' {
		e.add("R")
		return 2
	}
	switch {
	case e.first() && e.vowel(1): // Wasserman and Vasserman
		e.fork("A", "F")
	case e.first() && e.at(1) == 'H':
		e.add("A")
	}
	switch {
	case e.last() && e.vowel(-1), e.has(-1, "EWSKI", "EWSKY", "OWSKI", "OWSKY"), e.begins("SCH"): // Filipow, Filipowski
		e.fork("", "F")
	case e.has(1, "ICZ", "ITZ"): // Filipowicz
		e.fork("TS", "FX")
		return 4
	}
	return 1
}

func (e *encoder) x() int {
	if !(e.last() && (e.has(-3, "IAU", "EAU") || e.has(-2, "AU", "OU"))) { // French: breaux
		e.add("KS")
	}
	return e.skip("CX")
}

func (e *encoder) z() int {
	if e.at(1) == 'H' { // Chinese: Zhao
		e.add("J")
		return 2
	}
	if e.has(1, "ZO", "ZI", "ZA") || e.slavoGermanic && !e.first() && e.at(-1) != 'T' {
		e.fork("S", "TS")
	} else {
		e.add("S")
	}
	return e.skip("Z")
}
