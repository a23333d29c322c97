//go:build e2e

package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/virtualspeaker/bed"
	"wakefuzz/results"
)

// Words that wake the model however they are met, alone or a second after
// another word, and words that never do.
var (
	alike  = []string{"alexei", "alexis", "elexis"}
	unlike = []string{
		"acorn", "banana", "bottle", "bramble", "camel", "cobalt", "dinner", "dolphin", "ember", "forest",
		"garden", "gravel", "harbor", "hello", "insect", "jungle", "kitten", "lemon", "marble", "napkin",
		"orange", "pepper", "potato", "rabbit", "summer", "tunnel", "violin", "walnut", "window", "yellow",
		"bishop", "candle", "dagger", "falcon", "goblin", "hammer", "ladder",
	}
)

// less is what the program says of a device that drifts.
const less = `"alexa" wakes the device less and less often`

// A sweep over forty words on a device, killed in the middle of a segment and
// resumed: a reaction stops the sound, what may have caused it is played alone,
// and the table has the words that a model finds which hears each alone.
func TestDeviceIsSwept(t *testing.T) {
	words := slices.Concat(alike, unlike)
	d := newDevice(t, night{words: strings.Join(words, ", "), plays: 3, bed: bed.Options{Haste: chatter}})
	d.change("protocol: {", "protocol: {kind: sweep, gap: 1s, sweep: {segment: 10, alone: 1, ask: 0}, ")
	first := d.fuzzer("run", d.spec, "--dir", d.folder)
	d.awaitAttempts(first, 4) // the first control, and something of the first segment
	time.Sleep(5 * time.Second)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-first.ended
	out := d.fuzzer("resume", d.folder).finish(t)
	t.Logf("%s\n%s", out.stderr, out.stdout)

	report, attempts := d.report()
	found := map[string]seen{}
	for _, row := range report.Words {
		found[row.Trial.Word] = byWord(report)[row.Trial.Word]
	}
	want := map[string]seen{}
	for _, word := range alike {
		want[word] = seen{3, 3}
	}
	if !maps.Equal(found, want) {
		t.Errorf("the last stage: %+v, want %+v", found, want)
	}
	for _, row := range slices.Concat(report.Words, report.Controls) {
		if n := row.ByOracle; n[0].Reacted != n[1].Reacted {
			t.Errorf("%s: the oracles do not agree: %+v", row.Trial.Word, n)
		}
	}
	if got := aloneOnModel(t, words); !slices.Equal(got, alike) {
		t.Errorf("a model that hears each word alone finds %q", got)
	}
	d.checkSegments(attempts)
	d.checkStops()
	checkEvidence(t, d.folder)
}

// aloneOnModel are the words that wake the model when each is played alone.
func aloneOnModel(t *testing.T, words []string) (hits []string) {
	t.Helper()
	file := campaignFile(t, "[alexis, lexus, banana]", "["+strings.Join(words, ", ")+"]")
	folder := filepath.Join(t.TempDir(), "alone")
	fuzzer(t, exitDone, "run", file, "--dir", folder)
	r, err := results.View(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec, err := frozenSpec(r)
	if err != nil {
		t.Fatal(err)
	}
	report, err := results.Tally(r, spec.Judging())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range report.Words {
		if row.Hit {
			hits = append(hits, row.Trial.Word)
		}
	}
	slices.Sort(hits)
	return hits
}

// checkSegments checks that every word sounded in a segment, and that what
// reacted there, and nothing else, was then played alone.
func (d *device) checkSegments(attempts []attempt) {
	d.t.Helper()
	r, err := results.View(d.t.Context(), d.folder)
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Close()
	trials := map[results.TrialID]results.Trial{}
	for _, trial := range r.Trials() {
		trials[trial.ID] = trial
	}
	swept, suspects, alone := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, a := range attempts {
		switch trial := trials[a.Play.Trial]; {
		case a.State == bench.Unmeasured || trial.Role != results.RoleWord || !trial.Screening:
		case trial.Segment == 0:
			alone[a.word] = true
		default:
			swept[a.word] = true
			if a.State == bench.Reacted {
				suspects[a.word] = true
			}
		}
	}
	if len(swept) != len(alike)+len(unlike) {
		d.t.Errorf("%d words sounded in segments", len(swept))
	}
	if !maps.Equal(suspects, alone) || len(suspects) > 4*len(alike) {
		d.t.Errorf("%v reacted in a segment, and %v were played alone", suspects, alone)
	}
}

// checkStops checks by the log that reactions stopped sounds.
func (d *device) checkStops() {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.folder, "log.jsonl"))
	if err != nil {
		d.t.Fatal(err)
	}
	stops := 0
	for line := range strings.Lines(string(text)) {
		var event struct {
			Msg              string
			Sounded, Planned time.Duration
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			d.t.Fatalf("%s: %v", line, err)
		}
		if event.Msg != "a sound was stopped" {
			continue
		}
		stops++
		d.t.Logf("a sound of %v was stopped after %v", event.Planned, event.Sounded)
		if event.Sounded >= event.Planned {
			d.t.Errorf("a sound of %v was stopped after %v", event.Planned, event.Sounded)
		}
	}
	if stops == 0 {
		d.t.Error("no reaction stopped a sound")
	}
}

// A device that is muted for a good part of a sweep: what it did not hear is
// void, and swept again.
func TestDeviceThatIsMutedInASweep(t *testing.T) {
	words := slices.Concat(alike[:2], unlike[:10])
	d := newDevice(t, night{words: strings.Join(words, ", "), plays: 2, every: 4, bed: bed.Options{Haste: chatter}})
	d.change("protocol: {", "protocol: {kind: sweep, gap: 1s, sweep: {segment: 4, alone: 1, ask: 0}, ")
	r := d.fuzzer("run", d.spec, "--dir", d.folder)
	d.awaitAttempts(r, 2) // the first control
	d.tell("mute")
	d.awaitWord(r, deaf)
	d.tell("unmute")
	r.finish(t).says(t, hears)

	report, _ := d.report()
	checkWords(t, report, map[string]seen{"alexei": {2, 2}, "alexis": {2, 2}})
	if n := len(report.Words); n != 2 {
		t.Errorf("%d words in the last stage", n)
	}
	if report.Totals.Voided == 0 {
		t.Error("nothing is void")
	}
}

// A device that hears less and less still reacts to half of what should wake it,
// in every control. That is noticed in a later round, what was played in earlier
// ones is void, too, and no word is lost.
func TestDeviceThatHearsLess(t *testing.T) {
	d := newDevice(t, night{words: "acorn, " + strings.Join(alike[:2], ", "), plays: 2, every: 3, bed: bed.Options{Haste: chatter}})
	d.change("protocol: {", "protocol: {kind: rounds, rounds: {screens: [1]}, ",
		"controls: {", "controls: {drift: {miss: 0.05, lost: 0.5, between: 200}, ")
	r := d.fuzzer("run", d.spec, "--dir", d.folder)
	d.awaitAttempts(r, 2) // the first control
	d.tell("misses 0.5")
	d.awaitWord(r, less)
	d.tell("misses 0")
	r.finish(t).says(t, hears)

	report, _ := d.report()
	checkWords(t, report, map[string]seen{"alexei": {2, 2}, "alexis": {2, 2}})
	if n := len(report.Words); n != 2 {
		t.Errorf("%d words in the last stage", n)
	}
	if report.Totals.Voided < 3 { // more than the plays of a control
		t.Errorf("%d attempts are void", report.Totals.Voided)
	}
	for _, row := range report.Controls {
		if row.Reacted != row.Measured {
			t.Errorf("control %s: %d of %d", row.Trial.Word, row.Reacted, row.Measured)
		}
	}
}
