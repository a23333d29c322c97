package wordlists_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"testing"
)

// BenchmarkGunzip does the part of loading the CMU dictionary that no parser
// could save: it unpacks the text.
func BenchmarkGunzip(b *testing.B) {
	packed, err := os.ReadFile("data/cmudict.txt.gz")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		text, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, text); err != nil {
			b.Fatal(err)
		}
	}
}
