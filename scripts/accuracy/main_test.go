package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/evaluate"
	"wakefuzz/internal/idletraffic"
	"wakefuzz/oracle/traffic"
)

const second = bench.Instant(time.Second)

// madeUp is a folder in the form of the public data, of which nothing is real:
// three traces of a command, two captures of two commands each, and one of ten
// minutes that is labelled.
func madeUp(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, data []byte) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	speech := func(seconds ...int) []idletraffic.Upload {
		var uploads []idletraffic.Upload
		for i, at := range seconds {
			uploads = append(uploads, idletraffic.Upload{At: bench.Instant(at) * second, Kept: time.Second, Speech: 4 * time.Second, Rate: 16_000, Seed: uint64(i)})
		}
		return uploads
	}
	captured := func(length int, uploads []idletraffic.Upload) []byte {
		var out bytes.Buffer
		profile := idletraffic.Profiles()[0]
		packets := profile.With(profile.Packets(1, bench.Span{End: bench.Instant(length) * second}), uploads...)
		if err := idletraffic.WriteFile(&out, packets); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}

	var archive bytes.Buffer
	zipped := gzip.NewWriter(&archive)
	out := tar.NewWriter(zipped)
	for i := range 3 {
		var b strings.Builder
		b.WriteString(",time,size,direction\n")
		for n, p := range speech(1)[0].Packets() {
			fmt.Fprintf(&b, "%d,%g,%d,%s\n", n, time.Duration(p.At).Seconds(), p.Size-14, map[bench.Direction]string{bench.Outgoing: "1.0", bench.Incoming: "-1.0"}[p.Direction])
		}
		header := tar.Header{Name: fmt.Sprintf("trace_csv/%d.csv", i), Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(b.Len())}
		err := out.WriteHeader(&header)
		if err == nil {
			_, err = io.WriteString(out, b.String())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(out.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	file("vcfp/traces.tar.gz", archive.Bytes())
	file("vcfp/captures.csv", []byte("file,device_ip,duration_s,packets,nominal_invocations\n"+
		"captures/one/a.pcap,192.168.0.10,120,9,2\ncaptures/two/a.pcap,192.168.0.10,120,9,2\ncaptures/two/gone.pcap,192.168.0.10,120,9,2\n"))
	file("vcfp/captures/one/a.pcap", captured(120, speech(20, 80)))
	file("vcfp/captures/two/a.pcap", captured(120, speech(30, 90)))
	file("homepod/labels.csv", []byte("file,device,mac,activation_start_s,activation_end_s\n"+
		"homepod.pcap,Some Speaker,02:00:00:00:00:01,100,105\nhomepod.pcap,Some Speaker,02:00:00:00:00:01,300,305\n"))
	file("homepod/homepod.pcap", captured(600, speech(100, 300)))
	return dir
}

func TestPublicData(t *testing.T) {
	data, dir := madeUp(t), filepath.Join(t.TempDir(), "captures")
	if err := run(data, 0, []string{dir}); err != nil {
		t.Fatal(err)
	}
	recordings, err := evaluate.ReadLabels(dir)
	if err != nil {
		t.Fatal(err)
	}
	result, err := evaluate.Run(context.Background(), recordings, evaluate.Options{Rules: traffic.DefaultRules()})
	if err != nil {
		t.Fatal(err)
	}
	type counts struct{ captures, activations, found, nominal, detections, alarms int }
	got := make(map[string]counts)
	for _, d := range result.Devices {
		o := d.Curves[0].Outcomes[0]
		got[d.Name] = counts{d.Captures, o.Activations, o.Found, o.Nominal, o.Detections, o.FalseAlarms}
	}
	for name, want := range map[string]counts{
		"Some Speaker":      {1, 2, 2, 0, 0, 0},
		"Echo, commands":    {3, 3, 3, 0, 0, 0},
		"Echo 192.168.0.10": {2, 0, 0, 4, 4, 0},
	} {
		if got[name] != want || got[name+undirected] != want {
			t.Errorf("%s: %+v, and without directions %+v, want %+v", name, got[name], got[name+undirected], want)
		}
	}
	if len(got) != 6 {
		t.Errorf("the devices are %v", got)
	}
}

func TestMadeUpTraffic(t *testing.T) {
	dir := t.TempDir()
	if err := run("", 0.1, []string{dir}); err != nil {
		t.Fatal(err)
	}
	recordings, err := evaluate.ReadLabels(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := 2 + len(intervals)
	if want := files * len(idletraffic.Profiles()); len(recordings) != want {
		t.Errorf("%d recordings, want %d", len(recordings), want)
	}
	for _, r := range recordings {
		// The idle hours, those in which it was woken at intervals, and words.
		switch name := filepath.Base(r.File); {
		case name == "idle.pcapng" && len(r.Activations)+len(r.Stretches) == 0:
		case name == "probing.pcapng" && len(r.Stretches) == 200 && len(r.Activations) > 100:
		case name == "every-30-minutes.pcapng" && len(r.Activations) == 12:
		case strings.HasPrefix(name, "every-") && len(r.Activations) >= 3:
		default:
			t.Errorf("%s has %d activations and %d stretches", r.File, len(r.Activations), len(r.Stretches))
		}
	}
	first := recordings[:files]
	first = slices.DeleteFunc(first, func(r evaluate.Recording) bool { return strings.Contains(r.File, "-2-minutes") })
	result, err := evaluate.Run(context.Background(), first, evaluate.Options{Rules: traffic.DefaultRules()})
	if err != nil {
		t.Fatal(err)
	}
	if o := result.Devices[0].Curves[0].Outcomes[0]; float64(o.Found) < 0.98*float64(o.Activations) || o.FalseAlarms > 1 {
		t.Errorf("of %d activations %d are found, and %d others", o.Activations, o.Found, o.FalseAlarms)
	}
}

func TestWrongData(t *testing.T) {
	spoil := func(name, text string) string {
		dir := madeUp(t)
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	tests := []struct {
		name, data string
		hours      float64
		wrong      string
	}{
		{"nothing asked for", "", 0, "usage"},
		{"too many hours", "", 1e9, "usage"},
		{"an empty folder", t.TempDir(), 0, "holds none of the data"},
		{"a broken archive", spoil("vcfp/traces.tar.gz", "x"), 0, "vcfp/traces.tar.gz: "},
		{"a capture that is none", spoil("homepod/homepod.pcap", "x"), 0, "homepod/labels.csv: "},
		{"an address that is none", spoil("vcfp/captures.csv", "file,device_ip,nominal_invocations\ncaptures/one/a.pcap,x,2\n"), 0, "vcfp/captures.csv: line 2: address"},
		{"no number", spoil("vcfp/captures.csv", "file,device_ip,nominal_invocations\ncaptures/one/a.pcap,10.0.0.1,x\n"), 0, "line 2: nominal_invocations"},
	}
	for _, tt := range tests {
		if err := run(tt.data, tt.hours, []string{t.TempDir()}); err == nil || !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%s: the error is %v, want one with %q", tt.name, err, tt.wrong)
		}
	}
}
