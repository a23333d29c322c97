package serial

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// zeros never ends a line.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestALineWithoutEndTakesNoMemory(t *testing.T) {
	for _, begin := range []string{"", "L 1\n"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := read(io.MultiReader(strings.NewReader(begin), io.LimitReader(zeros{}, 64<<20)), func(bool) error { return nil })
		runtime.ReadMemStats(&after)
		if err == nil || len(err.Error()) > 6*longest {
			t.Errorf("after %q: %v", begin, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
			t.Errorf("after %q: %d bytes of memory", begin, grown)
		}
	}
}

// Whatever is sent, in whatever pieces, the levels are those of its lines, and
// it ends with an error that quotes no more than a line.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"", "L 1\n", "H 0\r\nL 1\r\nH 1\r\n", " 1\nL 0\n", "L 1\nH 0\n", "L 1\nx", "boot\n\xff\xfe\nL 0\nL\n",
		strings.Repeat("x", 200) + "\nL 1\n", strings.Repeat("x", longest) + "L 1\n", "L 1\n" + strings.Repeat("\n", 3),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		sent = sent[:min(len(sent), 1<<16)]
		levels := func(r io.Reader) (seen []byte, err error) {
			err = read(r, func(high bool) error {
				seen = append(seen, map[bool]byte{false: '0', true: '1'}[high])
				return nil
			})
			return seen, err
		}
		seen, err := levels(bytes.NewReader(sent))
		if err == nil || len(err.Error()) > 6*longest {
			t.Fatalf("error %v", err)
		}
		inPieces, again := levels(iotest.OneByteReader(bytes.NewReader(sent)))
		if !bytes.Equal(seen, inPieces) || err.Error() != again.Error() {
			t.Fatalf("%q, %v; and in pieces %q, %v", seen, err, inPieces, again)
		}
		// Each level is the end of a line that was sent, in order.
		rest := sent
		for _, level := range seen {
			i := bytes.IndexAny(rest, "LH")
			for i >= 0 && !(len(rest) > i+3 && rest[i+1] == ' ' && rest[i+2] == level && (rest[i+3] == '\n' || rest[i+3] == '\r')) {
				next := bytes.IndexAny(rest[i+1:], "LH")
				if next < 0 {
					t.Fatalf("levels %q of %q", seen, sent)
				}
				i += 1 + next
			}
			if i < 0 {
				t.Fatalf("levels %q of %q", seen, sent)
			}
			rest = rest[i+4:]
		}
		if errors.Is(err, io.EOF) && len(seen) == 0 && bytes.HasPrefix(sent, []byte("L 1\n")) {
			t.Fatalf("%q was not understood", sent)
		}
	})
}
