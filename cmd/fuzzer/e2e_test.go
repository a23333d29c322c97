//go:build e2e

package main

import (
	"testing"

	"wakefuzz/internal/virtualspeaker/bed"
)

// A campaign in real time, from the loudspeaker through the air of a sound
// server to a device that hears, lights its ring and uploads; killed in the
// middle and resumed.
func TestDeviceIsFuzzed(t *testing.T) {
	d := newDevice(t, night{words: "alexei, lexis, hexcel, banana, window, hello, potato, garden", plays: 5, every: 4, bed: bed.Options{Haste: 0.2}})
	first := d.fuzzer("run", d.spec, "--dir", d.folder)
	d.awaitAttempts(first, 12)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-first.ended

	out := d.fuzzer("resume", d.folder).finish(t)
	t.Logf("%s\n%s", out.stderr, out.stdout)
	report, _ := d.report()
	if want := 5*9 + 2*2; report.Totals.Planned != want {
		t.Errorf("%d plays are planned, want %d", report.Totals.Planned, want)
	}
	words := byWord(report)
	for word, want := range map[string]seen{"alexa": {9, 9}, "banana": {}, "hello": {}, "window": {}} {
		if words[word] != want {
			t.Errorf("%s: %+v, want %+v", word, words[word], want)
		}
	}
	// How much it sent tells the wake word from words that it doesn't know, too,
	// whose p-values are all small once in a thousand runs.
	least, most := 1/float64(report.Background.Windows+1), 0.0
	for _, row := range append(report.Words, report.Controls...) {
		t.Logf("%s: %d of %d, p %.4f, q %.4f", row.Trial.Word, row.Reacted, row.Measured, row.P, row.Q)
		switch row.Trial.Word {
		case "alexa":
			if row.Trial.Plays == 5 && row.P != least {
				t.Errorf("alexa has p = %g, and not the least, %g", row.P, least)
			}
		case "banana", "hello", "window":
			most = max(most, row.P)
		}
	}
	if most < 0.1 {
		t.Errorf("no word that doesn't wake it has a p above %g", most)
	}
	checkEvidence(t, d.folder)
}
