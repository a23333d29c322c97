package wordlists

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

//go:embed data/common.txt
var commonWords []byte

var common = sync.OnceValue(func() []string {
	words, err := ReadList(bytes.NewReader(commonWords), "embedded list")
	if err != nil {
		panic(err) // a test reads the list
	}
	return words
})

// Common is the 1,000 words that are spoken most in the subtitles of American
// films and series, most used first. All are in the CMU dictionary.
func Common() []string { return slices.Clone(common()) }

// ReadList reads a list of words or phrases, one a line, in UTF-8:
//
//	# brands
//	electra
//	hey lecter   # a phrase
//
// Empty lines are ignored, and so is what follows a # at the beginning of a
// line or after white space. Text is folded to lower case with single spaces,
// and a word that was there before is dropped. Name stands for the list in
// errors. Text that is not UTF-8 or has control characters is an error that
// names the line, and so is a list of more than 64 MiB, two million lines, or
// 1024 bytes in a line.
func ReadList(r io.Reader, name string) ([]string, error) {
	var words []string
	seen := make(map[string]bool)
	err := eachLine(r, name, func(line string) error {
		word := fold(withoutComment(line))
		if strings.ContainsFunc(word, unicode.IsControl) {
			return fmt.Errorf("%q has a control character; a list is plain text", word)
		}
		if word != "" && !seen[word] {
			seen[word] = true
			words = append(words, word)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return words, nil
}

func withoutComment(line string) string {
	for i, c := range line {
		before, _ := utf8.DecodeLastRuneInString(line[:i])
		if c == '#' && (i == 0 || unicode.IsSpace(before)) {
			return line[:i]
		}
	}
	return line
}

// What is read of a text from outside at most. CMUdict, the largest that is of
// use here, has 3.6 MB, 135,155 lines, and 109 bytes in its longest one.
const (
	maxBytes = 64 << 20
	maxLines = 2_000_000
	maxLine  = 1024 // bytes
)

// eachLine hands the lines of a text to use, all being parts of one string. Its
// errors name the text, and where one line is at fault that line.
func eachLine(r io.Reader, name string, use func(line string) error) error {
	var text strings.Builder
	n, err := io.Copy(&text, io.LimitReader(r, maxBytes+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if n > maxBytes {
		return fmt.Errorf("%s: larger than %d MiB", name, maxBytes>>20)
	}
	number := 0
	for line := range strings.Lines(text.String()) {
		// A byte order mark is nothing to speak, and files that were joined have
		// some in the middle.
		line = strings.ReplaceAll(line, "\ufeff", "")
		number++
		switch {
		case number > maxLines:
			return fmt.Errorf("%s: more than %d lines", name, maxLines)
		case len(line) > maxLine:
			return fmt.Errorf("%s, line %d: longer than %d bytes", name, number, maxLine)
		case !utf8.ValidString(line):
			return fmt.Errorf("%s, line %d: not UTF-8; save the file as UTF-8", name, number)
		}
		if err := use(line); err != nil {
			return fmt.Errorf("%s, line %d: %w", name, number, err)
		}
	}
	return nil
}

// fold brings a word or phrase to the one form in which words are compared:
// lower case, single spaces, straight apostrophes.
func fold(text string) string {
	if isFolded(text) { // as nearly all of a large list is
		return text
	}
	text = strings.ReplaceAll(strings.ToLower(text), "’", "'")
	return strings.Join(strings.Fields(text), " ")
}

func isFolded(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// isPlain tells whether a folded text has letters and spaces only.
func isPlain(text string) bool {
	for _, c := range text {
		if c != ' ' && !unicode.IsLetter(c) {
			return false
		}
	}
	return true
}
