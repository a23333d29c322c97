package wordlists

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"math"
	"sync"
)

//go:embed data/frequency.gz
var frequencyData []byte

// corpusMillions is how many millions of words were counted, those included
// that are in no dictionary.
const corpusMillions = 49.719560

// frequencies has a code for each word of the CMU dictionary, in its order.
var frequencies = sync.OnceValues(func() ([]byte, error) {
	d, err := CMU()
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(frequencyData))
	if err != nil {
		return nil, fmt.Errorf("embedded word frequencies: %w", err)
	}
	codes, err := io.ReadAll(io.LimitReader(z, int64(d.Len())+1))
	if err != nil {
		return nil, fmt.Errorf("embedded word frequencies: %w", err)
	}
	if len(codes) != d.Len() {
		return nil, fmt.Errorf("embedded word frequencies are not those of the dictionary's %d words: run go generate", d.Len())
	}
	return codes, nil
})

// Frequency is how often a word is said in a million words of everyday speech,
// as counted in the subtitles of American films and series, to 3 %: 464 of
// "next", 0.2 of "vex". It is not known, and 0, for words that were not counted:
// those outside the CMU dictionary and three in five of those inside it, which
// are rare, and many a name, which is not ("alexis"); contractions ("don't")
// and phrases. Spelling is all that was counted: "read" is both.
//
// The first call unpacks the dictionary, and panics if the program file is
// damaged, which [CMU] would have told.
func Frequency(word string) (perMillion float64, known bool) {
	codes, err := frequencies()
	if err != nil {
		panic(err) // a test reads all
	}
	d, _ := CMU() // there is no code without
	i, found := d.find(word)
	if !found || codes[i] == 0 {
		return 0, false
	}
	return math.Pow(10, float64(codes[i]-1)/40) / corpusMillions, true
}
