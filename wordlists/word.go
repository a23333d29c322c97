package wordlists

import "wakefuzz/phoneme"

// Word is a candidate from a word list.
type Word struct {
	// Text is the word as it is spoken and shown, in lower case: "alexa",
	// "hey jarvis".
	Text string
	// Pronunciations are all that are known, the usual one first. Never empty
	// in a selection.
	Pronunciations []phoneme.Pronunciation
	// Guessed is true where the pronunciation comes from letter-to-sound rules
	// and not from a dictionary.
	Guessed bool
	// List names the list that the word came from: "cmudict", "common", a
	// file's base name, "include". Empty outside a selection.
	List string
}

// Pronunciation is the usual one, or "" where none is known.
func (w Word) Pronunciation() phoneme.Pronunciation {
	if len(w.Pronunciations) == 0 {
		return ""
	}
	return w.Pronunciations[0]
}
