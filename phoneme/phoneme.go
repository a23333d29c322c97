// (doc by phoneme's owner)
package phoneme

// Pronunciation is a sequence of ARPAbet phones with one space between them,
// in upper case, vowels with or without a stress digit: "AH0 L EH1 K S AH0".
// It is a plain string so that a dictionary of 135,000 of them costs no more
// than its text.
type Pronunciation string
