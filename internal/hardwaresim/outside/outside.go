// Package outside is for tests that run inside an emulated machine: it reaches
// what lies outside of that machine, such as the far end of a pin's wire. It
// speaks over the console with the program that runs the machine, hardwaresim.
package outside

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Set drives a pin from outside, and returns once it is high, or low.
func Set(t testing.TB, pin int, high bool) {
	t.Helper()
	level := 0
	if high {
		level = 1
	}
	ask(t, "pin %d %d", pin, level)
}

// Load reads a 32-bit register at a physical address.
func Load(t testing.TB, address uint64) uint32 {
	t.Helper()
	answer := ask(t, "load %#x", address)
	value, err := strconv.ParseUint(answer, 0, 32)
	if err != nil {
		t.Fatalf("outside: register %#x reads %q", address, answer)
	}
	return uint32(value)
}

// Store writes a 32-bit register at a physical address.
func Store(t testing.TB, address uint64, value uint32) {
	t.Helper()
	ask(t, "store %#x %#x", address, value)
}

// ask sends a request in a line, and returns the answer in the next.
func ask(t testing.TB, format string, args ...any) string {
	t.Helper()
	fmt.Fprintf(os.Stdout, "outside: "+format+"\n", args...)
	// The console is raw, and nothing but answers comes in: read what is there
	// until the line ends.
	var line []byte
	for one := make([]byte, 1); ; {
		if _, err := os.Stdin.Read(one); err != nil {
			t.Fatalf("outside: no answer: %v; is this machine run by hardwaresim?", err)
		}
		if one[0] == '\n' {
			break
		}
		line = append(line, one[0])
	}
	answer, ok := strings.CutPrefix(string(line), "ok")
	if !ok {
		t.Fatalf("outside: %s", line)
	}
	return strings.TrimSpace(answer)
}
