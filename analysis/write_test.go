package analysis_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wakefuzz/analysis"
	"wakefuzz/capture/capturetest"
)

// written is a report in a format.
func written(t rapid.TB, f analysis.Format, reports ...analysis.Report) string {
	t.Helper()
	var out strings.Builder
	w := analysis.NewWriter(&out, f)
	for _, r := range reports {
		if err := w.Write("f", r); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// checkWritten makes sure that a report can be read in every format, and that
// no number in it is none.
func checkWritten(t rapid.TB, r analysis.Report) {
	t.Helper()
	n := 0
	for _, d := range r.Devices {
		n += len(d.Activations)
	}
	last := math.Inf(-1)
	lines := strings.Split(strings.TrimSuffix(written(t, analysis.JSONL, r), "\n"), "\n")
	if lines[0] == "" {
		lines = nil
	}
	for _, line := range lines {
		var got struct {
			Start, End, Score *float64
			P                 *float64
			StartUTC          string `json:"start_utc"`
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if got.Start == nil || got.End == nil || got.Score == nil || *got.Start < last || *got.End < *got.Start {
			t.Errorf("after %g comes %s", last, line)
		}
		last = *got.Start
	}
	rows, err := csv.NewReader(strings.NewReader(written(t, analysis.CSV, r))).ReadAll()
	if err != nil || len(rows) != n+1 || len(lines) != n {
		t.Errorf("%d rows of CSV and %d of JSON for %d activations, %v", len(rows), len(lines), n, err)
	}
	for _, row := range rows[1:] {
		for i, name := range rows[0] {
			if _, err := strconv.ParseFloat(row[i], 64); err != nil && (name == "start" || name == "end" || name == "score" || name == "p" && row[i] != "") {
				t.Errorf("%s is %q", name, row[i])
			}
		}
	}
	for _, f := range []analysis.Format{analysis.Table, analysis.CSV, analysis.JSONL} {
		if text := written(t, f, r); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("no number: %s", text)
		}
	}
}

func TestFormats(t *testing.T) {
	if _, err := analysis.ParseFormat("xml"); err == nil || !strings.Contains(err.Error(), "table, csv, jsonl") {
		t.Errorf("xml is a format: %v", err)
	}
	f := newFile(t)
	f.idles(0, 5*time.Minute, speaker, lamp)
	f.uploads(5*time.Minute, speaker)
	report, err := read(t, f.bytes(), "", analysis.Options{Detectors: detectors("calibrated", "burst")})
	if err != nil {
		t.Fatal(err)
	}
	if got := written(t, analysis.CSV, report, report); strings.Count(got, "file,device") != 1 || strings.Count(got, "\n") != 5 {
		t.Errorf("two reports of two activations as CSV:\n%s", got)
	}
	broken := analysis.NewWriter(writer(func([]byte) (int, error) { return 0, io.ErrClosedPipe }), analysis.CSV)
	if err := broken.Write("f", report); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("writing to nowhere: %v", err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func TestFigure(t *testing.T) {
	f := newFile(t)
	f.idles(0, 5*time.Minute, speaker, lamp)
	f.uploads(5*time.Minute, speaker)
	for n := range uint16(10) {
		f.sends(306*time.Second, capturetest.Device(100+n), 10)
	}
	report, err := read(t, f.bytes(), "", analysis.Options{Detectors: detectors("calibrated", "burst"), Timelines: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := analysis.NewFigure("figure.gif"); err == nil {
		t.Error("a figure in a format that there is none of")
	}
	draw := func(name string) []byte {
		path := filepath.Join(t.TempDir(), name)
		figure, err := analysis.NewFigure(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := figure.Write(); err == nil {
			t.Error("a figure of nothing")
		}
		figure.Add("home.pcap", report)
		if figure.Omitted() != 2 {
			t.Errorf("of 12 devices, %d are left out", figure.Omitted())
		}
		if err := figure.Write(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if _, err := png.Decode(bytes.NewReader(draw("figure.PNG"))); err != nil {
		t.Error(err)
	}
	svg := draw("figure.svg")
	for decoder := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{speaker.MAC, lamp.MAC, "activation, calibrated", "activation, burst", "bytes/s", "time since the first packet (min)"} {
		if !bytes.Contains(svg, []byte(">"+text+"<")) {
			t.Errorf("the figure does not say %q", text)
		}
	}
	if bytes.Contains(svg, []byte("NaN")) {
		t.Error("the figure has a place that is none")
	}
}
