//go:build e2e

package main

import (
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/virtualspeaker/bed"
	"wakefuzz/results"
)

// These tests are the table "When something fails" of docs/hardware.md.

// chatter is so rare here that none will fall into the moment between the
// settling and a word, which would leave that word's traffic unmeasured.
const chatter = 0.01

// told and cloudTold are faults, or their ends: what the speaker is told, or its
// cloud.
func told(command string) func(*device)      { return func(d *device) { d.tell(command) } }
func cloudTold(command string) func(*device) { return func(d *device) { d.tellCloud(command) } }

// What the program says when a device stops reacting, and when it reacts again.
const (
	deaf      = `"alexa" no longer wakes the device`
	restless  = "the device does not come to rest: its light was not dark"
	hears     = "the device hears again"
	unseen    = `"alexa" wakes the device, but its `
	seenAgain = ` shows again that "alexa" wakes the device`
)

// agree counts plays by who saw a reaction in them.
type agree struct{ both, light, traffic, none int }

func agreement(t *testing.T, report results.Report) agree {
	t.Helper()
	if len(report.Agreements) != 1 {
		t.Fatalf("%d tables of agreement, not one of light and traffic", len(report.Agreements))
	}
	n := report.Agreements[0].Plays
	return agree{
		both:    n[bench.Reacted][bench.Reacted],
		light:   n[bench.Reacted][bench.Quiet],
		traffic: n[bench.Quiet][bench.Reacted],
		none:    n[bench.Quiet][bench.Quiet],
	}
}

func checkWords(t *testing.T, report results.Report, want map[string]seen) {
	t.Helper()
	got := byWord(report)
	for word := range want {
		if got[word] != want[word] {
			t.Errorf("%s: %+v, want %+v", word, got[word], want[word])
		}
	}
}

// A device, or a network, that is only worse than usual changes no count.
func TestDeviceThatIsBarelyWell(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*device){
		"slow cloud":      cloudTold("slow 5s"),
		"lost packets":    cloudTold("lossy 0.1"),
		"flickering ring": told("flicker"),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(t, night{words: "acorn, alexei", plays: 2, every: 1, bed: bed.Options{Haste: chatter}})
			fault(d)
			out := d.fuzzer("run", d.spec, "--dir", d.folder).finish(t)
			for _, text := range []string{deaf, restless, unseen} {
				if strings.Contains(out.stderr, text) {
					t.Errorf("it said %q:\n%s", text, out.stderr)
				}
			}
			report, _ := d.report()
			checkWords(t, report, map[string]seen{"alexa": {6, 6}, "alexei": {2, 2}, "acorn": {}})
			if got, want := agreement(t, report), (agree{both: 8, none: 2}); got != want {
				t.Errorf("agreement %+v, want %+v", got, want)
			}
			if report.Totals.Voided > 0 {
				t.Errorf("%d attempts are void", report.Totals.Voided)
			}
		})
	}
}

// A device that reacts by one sense only, for three of the five controls and
// the word alexei between them: where the verdict does without the other, the
// campaign goes on, counts who saw what, and says so.
func TestDeviceThatLosesASense(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, verdict string
		begin, end    func(*device)
		lost          string
	}{
		{"unplugged", "light", told("unplug"), told("plug"), "traffic"},
		{"reaction without traffic", "light", told("react light"), told("react both"), "traffic"},
		{"traffic without reaction", "any", told("react traffic"), told("react both"), "light"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDevice(t, night{words: "acorn, alexei, window", plays: 2, every: 1, verdict: test.verdict, bed: bed.Options{Haste: chatter}})
			r := d.fuzzer("run", d.spec, "--dir", d.folder)
			d.awaitAttempts(r, 2) // the first control; acorn tells nothing by either sense
			test.begin(d)
			begun := time.Now()
			d.awaitAttempts(r, 10) // the third; nor does window
			test.end(d)
			ended := time.Now()
			out := r.finish(t)
			out.says(t, unseen+test.lost, test.lost+seenAgain)
			if strings.Contains(out.stderr, deaf) {
				t.Errorf("it paused:\n%s", out.stderr)
			}

			report, attempts := d.report()
			words := map[string]seen{"acorn": {}, "window": {}}
			var agreed agree
			for _, a := range attempts {
				s := words[a.word]
				failing := a.Wall.After(begun) && a.Wall.Before(ended)
				switch {
				case a.State == bench.Unmeasured: // on a busy machine; it was played again
					continue
				case a.word == "acorn", a.word == "window":
					agreed.none++
				case failing && test.lost == "light":
					s.traffic++
					agreed.traffic++
				case failing:
					s.light++
					agreed.light++
				default:
					s.light++
					s.traffic++
					agreed.both++
				}
				words[a.word] = s
			}
			if agreed.light+agreed.traffic < 3 {
				t.Errorf("%d plays fell into the time of the fault", agreed.light+agreed.traffic)
			}
			checkWords(t, report, words)
			if got := agreement(t, report); got != agreed {
				t.Errorf("agreement %+v, want %+v", got, agreed)
			}
			if report.Totals.Voided > 0 {
				t.Errorf("%d attempts are void", report.Totals.Voided)
			}
		})
	}
}

// A device that stops reacting, as far as the verdict goes, is noticed and
// waited for; what it did not hear is no "no", but void and played again.
func TestDeviceThatStopsReacting(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		night      night
		begin, end func(*device)
		says       string
		voids      bool
	}{
		{"muted", night{}, told("mute"), told("unmute"), deaf + "; ", true},
		{"unplugged", night{verdict: "all"}, told("unplug"), told("plug"), deaf + ", though its light still reacts; ", true},
		{"reaction without traffic", night{verdict: "traffic"}, told("react light"), told("react both"), deaf + ", though its light still reacts; ", true},
		{"traffic without reaction", night{}, told("react traffic"), told("react both"), deaf + ", though its traffic still reacts; ", true},
		// It takes so long that no control can miss it, on a busy machine either.
		{"reboot", night{bed: bed.Options{Boot: time.Minute}}, told("reboot"), func(*device) {}, deaf + "; ", true},
		// A device that still lights up heard what it was played.
		{"hanging cloud", night{limit: 3 * time.Second}, cloudTold("slow 1m"), cloudTold("slow 0s"), restless, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := test.night
			p.words, p.plays, p.every, p.bed.Haste = "acorn, alexei", 2, 1, chatter
			d := newDevice(t, p)
			r := d.fuzzer("run", d.spec, "--dir", d.folder)
			d.awaitAttempts(r, 2) // the first control
			test.begin(d)
			d.awaitWord(r, test.says)
			test.end(d)
			out := r.finish(t)
			out.says(t, hears)

			report, _ := d.report()
			checkWords(t, report, map[string]seen{"alexa": {6, 6}, "alexei": {2, 2}, "acorn": {}})
			if got, want := agreement(t, report), (agree{both: 8, none: 2}); got != want {
				t.Errorf("agreement %+v, want %+v", got, want)
			}
			if voids := report.Totals.Voided > 0; voids != test.voids {
				t.Errorf("%d attempts are void", report.Totals.Voided)
			}
		})
	}
}
