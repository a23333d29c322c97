//go:build e2e

package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"wakefuzz/capture"
	"wakefuzz/internal/virtualspeaker/bed"
)

// A controlled recording of a device: its capture can be read, and has a label
// for each time that the device was awake, when it was.
func TestDeviceIsRecorded(t *testing.T) {
	d := newDevice(t, night{words: "banana", plays: 2})
	dir := filepath.Join(t.TempDir(), "dataset")
	record := []string{"record", d.spec, "--kind", "controlled", "--every", "20s", "--words", "alexa,banana", "--out", dir, "--for"}
	awake := d.follow()
	out := d.fuzzer(append(record, "90s")...).finish(t)
	woken := awake()
	t.Logf("%s\n%s", out.stderr, out.stdout)

	labels := d.labels(filepath.Join(dir, "labels.csv"))
	if len(labels) != len(woken) || len(woken) == 0 || len(woken) > 2 { // one play may have failed, on a busy machine
		t.Fatalf("%d labels, and the device was awake %d times", len(labels), len(woken))
	}
	first, speech := d.packets(filepath.Join(dir, labels[0].file))
	for i, l := range labels {
		const tolerance = 1.0 // seconds, on a busy machine
		from, to := woken[i][0].Sub(first).Seconds(), woken[i][1].Sub(first).Seconds()
		if l.kind != "alexa" || l.from < from-tolerance || l.from > from+tolerance || l.to < to-tolerance || l.to > to+tolerance {
			t.Errorf("label %+v, and the device was awake from %.2f to %.2f s", l, from, to)
		}
		sent := 0
		for _, at := range speech {
			if at >= l.from-1 && at <= l.to+1 {
				sent++
			}
		}
		if sent < 20 {
			t.Errorf("around label %+v the capture has %d packets with payload", l, sent)
		}
	}

	// It goes on where it ended, and Ctrl-C ends it in good order.
	more := d.fuzzer(append(record, "3h")...)
	d.awaitWord(more, "alexa: light, upload")
	if err := more.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	more.end(t, exitInterrupted).says(t, "interrupted; the same command goes on")
	if labels := d.labels(filepath.Join(dir, "labels.csv")); len(labels) != len(woken)+1 || labels[len(woken)].file == labels[0].file {
		t.Errorf("labels %+v", labels)
	}
	if !strings.Contains(more.out.String(), "in 2 sessions") {
		t.Errorf("it summarizes:\n%s", more.out.String())
	}
}

// A light sensor that no longer sees the ring, while every wake word still draws
// its upload, is named, and what it says isn't taken for truth.
func TestDeviceOutlivesItsSensor(t *testing.T) {
	d := newDevice(t, night{words: "banana", plays: 2})
	dir := filepath.Join(t.TempDir(), "dataset")
	d.tell("react traffic")
	r := d.fuzzer("record", d.spec, "--kind", "controlled", "--every", "20s", "--out", dir)
	d.awaitWord(r, "the light sensor has probably died")
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	t.Log(r.end(t, exitInterrupted).stderr)
	if labels := d.labels(filepath.Join(dir, "labels.csv")); len(labels) != 0 {
		t.Errorf("labels %+v", labels)
	}
	if doubtful := d.labels(filepath.Join(dir, "doubtful.csv")); len(doubtful) == 0 {
		t.Error("there are no doubtful labels")
	}
	if !strings.Contains(r.out.String(), "has probably died") {
		t.Errorf("it summarizes:\n%s", r.out.String())
	}
}

// Online probing, section 5.1.1: each word has a silent stretch and one with
// plays, and evaluate knows which of them woke the device and compares each with
// the silence before it.
func TestDeviceIsProbed(t *testing.T) {
	d := newDevice(t, night{words: "banana", plays: 2})
	dir := filepath.Join(t.TempDir(), "dataset")
	out := d.fuzzer("record", d.spec, "--kind", "probing", "--words", "alexa,banana", "--every", "8s", "--stretch", "24s", "--out", dir).finish(t)
	t.Logf("%s\n%s", out.stderr, out.stdout)
	count := map[string]int{}
	for _, l := range d.labels(filepath.Join(dir, "labels.csv")) {
		count[l.kind]++
		if strings.HasPrefix(l.kind, "probe ") && (l.to-l.from < 23.9 || l.to-l.from > 24.1) {
			t.Errorf("a stretch is %+v", l)
		}
	}
	// One play may have failed, on a busy machine.
	if count["idle"] != 2 || count["probe alexa"] != 1 || count["probe banana"] != 1 || count["alexa"] < 2 || count["alexa"] > 3 || count["banana"] > 0 {
		t.Errorf("labels: %v", count)
	}

	d.fuzzer("evaluate", dir, "--out", filepath.Join(dir, "out")).finish(t)
	text, err := os.ReadFile(filepath.Join(dir, "out", "probes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	awake := map[string]string{}
	for _, row := range rows[1:] {
		awake[row[slices.Index(rows[0], "word")]] = row[slices.Index(rows[0], "awake")]
		if p, err := strconv.ParseFloat(row[slices.Index(rows[0], "p")], 64); err != nil || p < 0 || p > 1 {
			t.Errorf("%v: %v", row, err)
		}
	}
	t.Logf("%s", text)
	if len(awake) != 3 || awake["alexa"] != "true" || awake["banana"] != "false" { // and the second silence
		t.Errorf("awake: %v", awake)
	}
}

// follow notes when the device is awake, until the function that it returns is
// called.
func (d *device) follow() (woken func() [][2]time.Time) {
	var spells [][2]time.Time
	var following sync.WaitGroup
	over := make(chan struct{})
	following.Go(func() {
		was := false
		for {
			status, err := d.Speaker.Tell("status")
			now := time.Now()
			if err == nil && status.Reacts && !was {
				spells = append(spells, [2]time.Time{now, now})
			}
			if err == nil && was {
				spells[len(spells)-1][1] = now
			}
			was = err == nil && status.Reacts
			select {
			case <-over:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	end := sync.OnceFunc(func() {
		close(over)
		following.Wait()
	})
	d.t.Cleanup(end)
	return func() [][2]time.Time {
		end()
		return spells
	}
}

// label is a line of a table of labels.
type label struct {
	file, kind string
	from, to   float64
}

func (d *device) labels(path string) (labels []label) {
	d.t.Helper()
	file, err := os.Open(path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil || len(rows) == 0 {
		d.t.Fatalf("%s: %v", path, err)
	}
	for _, row := range rows[1:] {
		l := label{file: row[0], kind: row[4]}
		if row[2] != "" {
			var err1, err2 error
			l.from, err1 = strconv.ParseFloat(row[2], 64)
			l.to, err2 = strconv.ParseFloat(row[3], 64)
			if err := errors.Join(err1, err2); err != nil {
				d.t.Errorf("%s: %v", path, err)
			}
		}
		labels = append(labels, l)
	}
	return labels
}

// packets reads a capture: when it begins, and when the device sent something,
// in seconds since.
func (d *device) packets(path string) (first time.Time, sent []float64) {
	d.t.Helper()
	address, err := capture.ParseAddress(bed.DeviceMAC)
	if err != nil {
		d.t.Fatal(err)
	}
	r, err := capture.Open(path, address)
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Close()
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return first, sent
		}
		if err != nil {
			d.t.Fatal(err)
		}
		if first.IsZero() {
			first = p.Time
		}
		if p.Direction == capture.Outgoing && p.Payload > 0 {
			sent = append(sent, p.Time.Sub(first).Seconds())
		}
	}
}
