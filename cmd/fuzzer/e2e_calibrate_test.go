//go:build e2e

package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"wakefuzz/calibration"
	"wakefuzz/internal/virtualspeaker/bed"
)

// A spec with the wrong polarity, and with a level that leaves little to spare,
// is put right by a calibration, and the campaign then runs with it.
func TestCalibrateDevice(t *testing.T) {
	d := newDevice(t, night{words: "banana", plays: 2})
	d.change("port: ", "polarity: active-high, port: ", "backend: pulseaudio", "backend: pulseaudio, level_dbfs: -47")
	out := d.fuzzer("calibrate", "--silence", "25s", "--plays", "3", "--watch", "6s", "--write", d.spec).finish(t)
	t.Logf("%s\n%s", out.stderr, out.stdout)
	after := d.text()
	if !strings.Contains(after, "polarity: active-low, port: ") {
		t.Errorf("the file is now:\n%s", after)
	}
	level := regexp.MustCompile(`pulseaudio, level_dbfs: (-\d+)}`).FindStringSubmatch(after)
	if len(level) == 0 {
		t.Fatalf("the file is now:\n%s", after)
	}
	if n, err := strconv.Atoi(level[1]); err != nil || n < -41 || n > -20 {
		t.Errorf("the level is now %s", level[1])
	}

	// The device is tested with it as it is.
	d.fuzzer("run", d.spec, "--dir", d.folder).finish(t)
	report, _ := d.report()
	if words := byWord(report); words["alexa"] != (seen{2, 2}) || words["banana"] != (seen{}) {
		t.Errorf("%+v", words)
	}
}

// A MAC that is another device's is told from a device that does not react.
func TestCalibrateOtherDevice(t *testing.T) {
	d := newDevice(t, night{words: "banana", plays: 2})
	d.change(bed.DeviceMAC, "02:57:46:00:00:99")
	before := d.text()
	out := d.fuzzer("calibrate", "--silence", "5s", "--plays", "3", "--watch", "5s", "--levels=false", "--format", "json", d.spec).end(t, exitUnmeasured)
	out.says(t, "traffic: no packets of the device at all")
	var report calibration.Report
	if err := json.Unmarshal([]byte(out.stdout), &report); err != nil {
		t.Fatal(err)
	}
	for _, s := range report.Suggestions {
		if strings.Contains(s.Key, "traffic") {
			t.Errorf("it suggests %+v", s)
		}
	}
	if len(report.Suggestions) == 0 || len(report.Plays) != 3 || d.text() != before {
		t.Errorf("%d suggestions, %d plays, and the file:\n%s", len(report.Suggestions), len(report.Plays), d.text())
	}

	// Ctrl-C ends it at once, and changes nothing.
	watching := d.fuzzer("calibrate", "--silence", "1h", "--write", d.spec)
	d.awaitWord(watching, "watching the device in silence")
	if err := watching.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	watching.end(t, exitInterrupted)
	if d.text() != before {
		t.Errorf("the file is now:\n%s", d.text())
	}
}

// text is the campaign file's.
func (d *device) text() string {
	d.t.Helper()
	text, err := os.ReadFile(d.spec)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

// change changes the campaign file by pairs of old and new text.
func (d *device) change(pairs ...string) {
	d.t.Helper()
	write(d.t, d.spec, []byte(strings.NewReplacer(pairs...).Replace(d.text())))
}
