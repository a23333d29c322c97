//go:build e2e

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"wakefuzz/explain"
)

// A device is asked what it is in a word that wakes it, and before and after
// whether it hears at all.
func TestExplainDevice(t *testing.T) {
	d := newDevice(t, night{words: "banana", plays: 1})
	out := d.fuzzer("explain", "--plays", "1", "--format", "json", d.spec, "hexcel").finish(t)
	t.Logf("%s\n%s", out.stderr, out.stdout)
	var report explain.Report
	if err := json.Unmarshal([]byte(out.stdout), &report); err != nil {
		t.Fatal(err)
	}
	tried := report.Tried
	if first, last := tried[0], tried[len(tried)-1]; first.Text != "alexa" || last.Text != "alexa" || !first.Wakes || !last.Wakes {
		t.Errorf("it began with %+v and ended with %+v", first, last)
	}
	if report.Stretch == "" || report.Stretch.Count() >= 6 || !strings.Contains(string(report.Pronunciation), string(report.Stretch)) {
		t.Errorf("%q of %q", report.Stretch, report.Pronunciation)
	}
	d.fuzzer("explain", "--plays", "1", d.spec, "banana").end(t, exitUnmeasured).says(t, `"banana", 0 of 1`, "there is nothing to explain")
}
