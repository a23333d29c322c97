package results

import (
	"slices"

	"wakefuzz/phoneme"
	"wakefuzz/wordlists"
)

// Homophone says whether a word can't be told from the wake word by its sound: by
// any pronunciation of either, stress aside, it sounds the same, or has the wake
// word in it, as "alexa's" has. A model that is trained not to react to such a
// word no longer reacts to the wake word. Pronunciations are those of the trial and
// of the dictionary.
func Homophone(c Campaign, t Trial, d *wordlists.Dictionary) bool {
	wakes := pronunciations(d, c.WakeWord, c.WakePronunciation)
	for _, p := range pronunciations(d, t.Word, t.Pronunciation) {
		if slices.ContainsFunc(wakes, func(wake phoneme.Pronunciation) bool { return holds(p.Phones(), wake.Phones()) }) {
			return true
		}
	}
	return false
}

// pronunciations are those of the dictionary, and the one that is known already.
func pronunciations(d *wordlists.Dictionary, text string, known phoneme.Pronunciation) []phoneme.Pronunciation {
	word, err := d.Phrase(text)
	if err != nil { // the dictionary lacks it
		return []phoneme.Pronunciation{known}
	}
	return append(word.Pronunciations, known)
}

// holds says whether the phones have the other ones in a row.
func holds(phones, part []string) bool {
	for i := range len(phones) - len(part) + 1 {
		if len(part) > 0 && slices.Equal(phones[i:i+len(part)], part) {
			return true
		}
	}
	return false
}
