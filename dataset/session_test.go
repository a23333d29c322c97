package dataset_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
	"wakefuzz/dataset"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
	"wakefuzz/oracle/traffic/live"
	"wakefuzz/playback"
	"wakefuzz/results"
	"wakefuzz/tts"
)

const ms = time.Millisecond

// device is one under test with its light, its network and what it hears, in a
// bubble of synctest. The recorders of light and traffic are real.
type device struct {
	t     *testing.T
	began time.Time
	step  atomic.Int64 // of the wall clock

	dark, silent, deaf, blind, down atomic.Bool // what is broken

	hearing sync.WaitGroup
	mu      sync.Mutex
	lit     bool
	woken   []bench.Instant // when it was
	sends   chan struct{}   // a burst of speech
}

func newDevice(t *testing.T) *device {
	return &device{t: t, began: time.Now(), sends: make(chan struct{}, 1)}
}

func (d *device) Pair() bench.Pair {
	return bench.Pair{At: bench.Instant(time.Since(d.began)), Wall: time.Now().Add(time.Duration(d.step.Load()))}
}

func (d *device) now() bench.Instant { return d.Pair().At }

const (
	reaction = 300 * ms // after which the device wakes
	awake    = 4 * time.Second
	glance   = 100 * ms // of the light sensor
)

// hear is what the device does when the wake word sounds.
func (d *device) hear() {
	if d.deaf.Load() {
		return
	}
	time.Sleep(reaction)
	d.mu.Lock()
	d.woken = append(d.woken, d.now())
	d.lit = true
	d.mu.Unlock()
	if !d.silent.Load() && !d.down.Load() {
		d.sends <- struct{}{}
	}
	time.Sleep(awake)
	d.mu.Lock()
	d.lit = false
	d.mu.Unlock()
}

// Play sounds for half a second.
func (d *device) Play(_ context.Context, cue playback.Cue) (playback.Sounding, error) {
	start := d.now()
	if len(cue.Clip.Samples) > 0 && cue.Clip.Samples[0] == 1 {
		d.hearing.Go(d.hear)
	}
	time.Sleep(500 * ms)
	return playback.Sounding{Span: bench.Span{Start: start, End: d.now()}}, nil
}

// Timing and Watch are those of the light sensor.
func (d *device) Timing() light.Timing { return light.Timing{Source: "a script", Lag: 400 * ms} }

func (d *device) Watch(ctx context.Context, report func(light.Level)) error {
	for {
		if d.blind.Load() {
			return errors.New("it was unplugged")
		}
		d.mu.Lock()
		lit := d.lit && !d.dark.Load()
		d.mu.Unlock()
		report(light.Level{At: d.now(), High: lit})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(glance):
		}
	}
}

// listen captures what the device sends: a little every two seconds, and speech
// when it is awake.
func (d *device) listen(ctx context.Context) (live.Source, error) {
	if d.down.Load() {
		return nil, errors.New("the interface is down")
	}
	return &wire{device: d, ctx: ctx, next: d.now().Add(time.Second)}, nil
}

type wire struct {
	device *device
	ctx    context.Context
	next   bench.Instant // a keepalive
	speech int           // packets that are still to come
	frame  capture.Frame
}

func (w *wire) Next() (capture.Packet, error) {
	for {
		wait := w.next.Sub(w.device.now())
		if w.speech > 0 {
			wait = min(wait, 20*ms)
		}
		timer := time.NewTimer(wait)
		size := 0
		select {
		case <-w.ctx.Done():
			timer.Stop()
			return capture.Packet{}, context.Cause(w.ctx)
		case <-w.device.sends:
			timer.Stop()
			w.speech = int(awake / (20 * ms))
			continue
		case <-timer.C:
			switch {
			case w.device.down.Load():
				return capture.Packet{}, errors.New("the interface went down")
			case w.device.now() >= w.next:
				w.next, size = w.next.Add(2*time.Second), 40
			default:
				w.speech, size = w.speech-1, 640
			}
		}
		data := capturetest.Frame(capturetest.Speaker, capturetest.Cloud, capturetest.UDP, size)
		w.frame = capture.Frame{Link: capture.LinkEthernet, Time: w.device.Pair().Wall.Round(0), Data: data, Length: len(data), Headers: len(data) - size}
		return capture.Packet{Time: w.frame.Time, Size: int32(len(data)), Payload: int32(size), Direction: capture.Outgoing}, nil
	}
}

func (w *wire) Frame() capture.Frame { return w.frame }
func (w *wire) Stats() capture.Stats { return capture.Stats{} }
func (w *wire) Close() error         { return nil }

// speak gives a clip that is known by its first sample.
func speak(_ context.Context, word string, _ int) (tts.Clip, string, error) {
	clip := tts.Clip{Samples: make([]int16, tts.SampleRate/2)}
	if word == "alexa" {
		clip.Samples[0] = 1
	}
	return clip, "flite/kal16", nil
}

// recording is what a test wants of a recording.
type recording struct {
	dir       string
	plan      dataset.Plan
	sightless bool
	room      func() (int64, error)
}

// notes are what the user was told.
type notes []string

func (n notes) count(text string) (count int) {
	for _, line := range n {
		if strings.Contains(line, text) {
			count++
		}
	}
	return count
}

// record runs a session.
func (d *device) record(ctx context.Context, r recording) (dataset.Report, notes, error) {
	d.t.Helper()
	settings := dataset.Settings{Plan: r.plan, Device: capturetest.Speaker.MAC, WakeWord: "alexa", Light: !r.sightless, Reach: 2 * time.Second}
	folder, err := dataset.OpenFolder(r.dir, settings, capture.KeepHeaders)
	if err != nil {
		return dataset.Report{}, nil, err
	}
	defer folder.Close()
	defer d.hearing.Wait()
	d.began = time.Now() // a session's clock begins with it
	var told notes
	rule := light.DefaultRule()
	s := dataset.Session{
		Settings: settings, Folder: folder, Pair: d.Pair, LightRule: rule, Player: d, Speak: speak,
		Tap:  &dataset.Tap{Keep: capture.KeepHeaders, Pair: d.Pair},
		Room: func() (int64, error) { return 1 << 40, nil },
		Note: func(format string, args ...any) {
			told = append(told, fmt.Sprintf(format, args...))
			d.t.Logf("%8v  %s", time.Since(d.began).Round(ms), told[len(told)-1])
		},
	}
	if r.room != nil {
		s.Room = r.room
	}
	if !r.sightless {
		watch, err := light.Open(ctx, light.Setup{Sensor: d, Polarity: light.ActiveHigh, Window: rule.Watch(), Now: d.now})
		if err != nil {
			d.t.Fatal(err)
		}
		defer watch.Close()
		s.Light = watch
	}
	s.Traffic, err = live.Open(ctx, live.Setup{
		Options: live.Options{Interface: "wlan0", Device: capturetest.Speaker.MAC},
		Window:  traffic.DefaultBurstRule().Watch(), Rest: traffic.DefaultBurstRule(), Pair: d.Pair, Listen: s.Tap.Listen(d.listen),
	})
	if err != nil {
		d.t.Fatal(err)
	}
	defer s.Traffic.Close()
	err = s.Run(ctx)
	return folder.Report(), told, err
}

// row is a line of a table of labels.
type row struct {
	file, kind, doubt string
	from, to          float64 // -1 for none
}

// table reads labels.csv or doubtful.csv.
func table(t *testing.T, dir, name string) (rows []row) {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
	if err != nil || !slices.Equal(lines[0][:5], []string{"file", "device", "activation_start_s", "activation_end_s", "kind"}) {
		t.Fatalf("%s: %v %v", name, lines, err)
	}
	for _, line := range lines[1:] {
		r := row{file: line[0], kind: line[4], from: -1, to: -1}
		if line[1] != capturetest.Speaker.MAC {
			t.Errorf("%s: a label of %q", name, line[1])
		}
		if line[2] != "" {
			from, err1 := strconv.ParseFloat(line[2], 64)
			to, err2 := strconv.ParseFloat(line[3], 64)
			if r.from, r.to = from, to; err1 != nil || err2 != nil || to < from {
				t.Errorf("%s: %v", name, line)
			}
		}
		if len(line) > 5 {
			r.doubt = line[5]
		}
		rows = append(rows, r)
	}
	return rows
}

// packets are the times of a file's packets since the first, and how many carry
// speech.
func packets(t *testing.T, path string) (times []float64, speech int) {
	t.Helper()
	r, err := capture.Open(path, capturetest.Address(capturetest.Speaker.MAC))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var first time.Time
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return times, speech
		}
		if err != nil {
			t.Fatal(err)
		}
		if first.IsZero() {
			first = p.Time
		}
		times = append(times, p.Time.Sub(first).Seconds())
		if p.Payload == 640 {
			speech++
		}
	}
}

func captures(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var controlled = dataset.Plan{Kind: dataset.Controlled, Length: 3 * time.Minute, Every: 30 * time.Second, Words: []string{"alexa", "banana"}}

// Each wake word has its label, to the tick of the sensor, and the file its
// packets.
func TestControlled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newDevice(t), t.TempDir()
		report, told, err := d.record(t.Context(), recording{dir: dir, plan: controlled})
		if err != nil {
			t.Fatal(err)
		}
		labels, files := table(t, dir, "labels.csv"), captures(t, dir)
		if len(files) != 1 || len(labels) != 3 || len(table(t, dir, "doubtful.csv")) != 0 || len(report.Doubts) != 0 {
			t.Fatalf("%d files, labels %+v, doubts %+v", len(files), labels, report.Doubts)
		}
		first := report.Files[0].Span.Start
		for i, l := range labels {
			start := d.woken[i].Sub(first).Seconds()
			if l.file != filepath.Base(files[0]) || l.kind != "alexa" || math.Abs(l.from-start) > 0.11 || math.Abs(l.to-start-awake.Seconds()) > 0.21 {
				t.Errorf("label %d is %+v, want one from %.3f s on", i, l, start)
			}
		}
		times, speech := packets(t, files[0])
		if want := 3 * int(awake/(20*ms)); speech != want || len(times) != report.Files[0].Packets {
			t.Errorf("%d packets of speech of %d, %d in all, of which the report has %d", speech, want, len(times), report.Files[0].Packets)
		}
		if info, err := os.Stat(files[0]); err != nil || info.Size() > int64(100*len(times)) {
			t.Errorf("%v bytes of headers", info.Size())
		}
		both, lights, uploads := report.Agreement()
		if both != 3 || lights+uploads != 0 || report.Plays != 5 {
			t.Errorf("%d agreements, %d lights and %d uploads alone, %d plays", both, lights, uploads, report.Plays)
		}
		if told.count("alexa: light, upload") != 3 || told.count("banana: no light, no upload") != 2 {
			t.Errorf("it tells %q", told)
		}
	})
}

// A light sensor that reads dark from some moment on is named, and a capture of
// another device's packets is, but for neither a word is said too early.
func TestDeath(t *testing.T) {
	plan := controlled
	plan.Length, plan.Words = 20*time.Minute, []string{"alexa"}
	for name, tt := range map[string]struct {
		after  time.Duration
		breaks func(*device)
		says   string
	}{
		"light": {15 * time.Minute, func(d *device) { d.dark.Store(true) }, "the light sensor has probably died"},
		"light, never worked": {0, func(d *device) { d.dark.Store(true) },
			"the light sensor has probably died: 8 uploads in a row came without light, after 0 of 0"},
		"traffic": {15 * time.Minute, func(d *device) { d.silent.Store(true) }, "the capture has probably died"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, dir := newDevice(t), t.TempDir()
				broken := time.AfterFunc(tt.after, func() { tt.breaks(d) })
				defer broken.Stop()
				report, told, err := d.record(t.Context(), recording{dir: dir, plan: plan})
				if err != nil {
					t.Fatal(err)
				}
				if told.count(tt.says) != 1 || told.count("trusted again") != 0 || len(report.Doubts) != 1 {
					t.Fatalf("it tells %q; doubts %+v", told, report.Doubts)
				}
				doubt := report.Doubts[0]
				if from := time.Duration(doubt.Span.Start); from < tt.after-time.Minute || from > tt.after || !doubt.Open {
					t.Errorf("the doubt is %+v", doubt)
				}
				first := report.Files[0].Span.Start
				from := doubt.Span.Start.Sub(first).Seconds()
				var times []row
				certain := 0
				for _, l := range table(t, dir, "labels.csv") {
					switch {
					case l.kind == "doubtful":
						times = append(times, l)
					case l.kind != "alexa" || l.to >= from:
						t.Errorf("a doubtful label is written as truth: %+v", l)
					default:
						certain++
					}
				}
				woken := 0
				for _, at := range d.woken {
					if at < doubt.Span.Start {
						woken++
					}
				}
				if certain != woken {
					t.Errorf("%d certain labels of %d times awake before the doubt", certain, woken)
				}
				// Where all is doubtful, the file is not among the labels.
				if tt.after == 0 && len(times) != 0 || tt.after > 0 && (len(times) != 1 || math.Abs(times[0].from-from) > 0.01 || times[0].to < 20*60-2) {
					t.Errorf("doubtful are %+v", times)
				}
				doubtful := table(t, dir, "doubtful.csv")
				if len(doubtful) == 0 {
					t.Error("there is nothing in doubtful.csv")
				}
				for _, l := range doubtful {
					if !strings.Contains(l.doubt, "has probably died") || l.to >= 0 && l.to < from {
						t.Errorf("%+v", l)
					}
				}
			})
		})
	}
}

// A sensor that comes back is trusted again, and files before and after keep
// their labels. A session may end in between.
func TestDeathAndReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newDevice(t), t.TempDir()
		plan := controlled
		plan.Length, plan.Words = 130*time.Minute, []string{"alexa"}
		dies := time.AfterFunc(70*time.Minute, func() { d.dark.Store(true) })
		returns := time.AfterFunc(100*time.Minute, func() { d.dark.Store(false) })
		defer dies.Stop()
		defer returns.Stop()
		report, told, err := d.record(t.Context(), recording{dir: dir, plan: plan})
		if err != nil || told.count("the light sensor can be trusted again") != 1 {
			t.Fatalf("%v, %q", err, told)
		}
		// The hours of death lie within the second file, and split it.
		var unknown float64
		labels, files := 0, map[string]bool{}
		for _, l := range table(t, dir, "labels.csv") {
			files[l.file] = true
			if l.kind == "doubtful" {
				unknown += l.to - l.from
			} else {
				labels++
			}
		}
		if want := len(d.woken) - 60; len(files) != len(report.Files) || labels < want-1 || labels > want+1 {
			t.Errorf("%d labels of %d times awake, in %d files of %d", labels, len(d.woken), len(files), len(report.Files))
		}
		if minutes := unknown / 60; minutes < 30 || minutes > 31.1 {
			t.Errorf("%.1f minutes are doubtful", minutes)
		}
		for _, l := range table(t, dir, "doubtful.csv") {
			if l.doubt == "" {
				t.Errorf("%+v", l)
			}
		}
	})
}

// What a sensor that is unplugged would have seen is not known, and it is said at
// once.
func TestBlind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newDevice(t), t.TempDir()
		unplugged := time.AfterFunc(time.Minute, func() { d.blind.Store(true) })
		plugged := time.AfterFunc(100*time.Second, func() { d.blind.Store(false) })
		defer unplugged.Stop()
		defer plugged.Stop()
		_, told, err := d.record(t.Context(), recording{dir: dir, plan: controlled})
		if err != nil {
			t.Fatal(err)
		}
		if told.count("the light sensor could not be read: light: it was unplugged; labels from") != 1 || told.count("the light sensor can be trusted again") != 1 {
			t.Errorf("it tells %q", told)
		}
		labels := table(t, dir, "labels.csv")
		if len(labels) != 3 || labels[0].kind != "alexa" || labels[1].kind != "doubtful" || labels[2].kind != "alexa" ||
			math.Abs(labels[1].to-labels[1].from-40) > 6 {
			t.Errorf("labels %+v", labels)
		}
	})
}

// No file reaches across a time in which nothing was captured, nor is what
// happened then an argument against anybody.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newDevice(t), t.TempDir()
		plan := controlled
		plan.Length, plan.Words = 20*time.Minute, []string{"alexa"}
		down := time.AfterFunc(5*time.Minute, func() { d.down.Store(true) })
		up := time.AfterFunc(15*time.Minute, func() { d.down.Store(false) })
		defer down.Stop()
		defer up.Stop()
		report, told, err := d.record(t.Context(), recording{dir: dir, plan: plan})
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Files) != 2 || len(report.Doubts) != 0 || report.Unfiled < 19 {
			t.Errorf("%d files, doubts %+v, %d lights without a file", len(report.Files), report.Doubts, report.Unfiled)
		}
		if told.count("nothing is captured") != 1 || told.count("the capture is at work again, after 10m") != 1 {
			t.Errorf("it tells %q", told)
		}
		for _, f := range report.Files {
			if f.Span.Duration() > 5*time.Minute {
				t.Errorf("%s lasts %v", f.Name, f.Span.Duration())
			}
		}
	})
}

// Whatever is done to the wall clock, times in a file go on, and labels fit.
func TestWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newDevice(t), t.TempDir()
		set := time.AfterFunc(45*time.Second+300*ms, func() { d.step.Store(int64(-time.Hour)) })
		defer set.Stop()
		report, _, err := d.record(t.Context(), recording{dir: dir, plan: controlled})
		if err != nil {
			t.Fatal(err)
		}
		labels := table(t, dir, "labels.csv")
		if len(labels) != 3 || len(report.Files) != 2 {
			t.Fatalf("labels %+v in %d files", labels, len(report.Files))
		}
		for i, l := range labels {
			f := report.Files[slices.IndexFunc(report.Files, func(f dataset.File) bool { return f.Name == l.file })]
			if start := d.woken[i].Sub(f.Span.Start).Seconds(); math.Abs(l.from-start) > 0.11 {
				t.Errorf("label %d is %+v, want one from %.3f s on", i, l, start)
			}
			times, _ := packets(t, filepath.Join(dir, l.file))
			if !slices.IsSorted(times) || times[len(times)-1] > 180 {
				t.Errorf("times of %s: %v", l.file, times)
			}
		}
	})
}

// Without a light the labels are the plays.
func TestNominal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newDevice(t), t.TempDir()
		if _, _, err := d.record(t.Context(), recording{dir: dir, plan: controlled, sightless: true}); err != nil {
			t.Fatal(err)
		}
		labels := table(t, dir, "labels.csv")
		if len(labels) != 5 {
			t.Fatalf("labels %+v", labels)
		}
		for i, l := range labels {
			if want := []string{"alexa", "banana"}[i%2]; l.kind != want || math.Abs(l.to-l.from-0.5) > 0.01 || math.Abs(l.from-labels[0].from-30*float64(i)) > 0.1 {
				t.Errorf("label %d is %+v", i, l)
			}
		}
	})
}

// A device that nothing wakes any more is named; the labels stay, since both
// oracles agree.
func TestDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newDevice(t), t.TempDir()
		plan := controlled
		plan.Length, plan.Words = 30*time.Minute, []string{"alexa"}
		deaf := time.AfterFunc(15*time.Minute, func() { d.deaf.Store(true) })
		defer deaf.Stop()
		_, told, err := d.record(t.Context(), recording{dir: dir, plan: plan})
		if err != nil || told.count("the device no longer reacts") != 1 {
			t.Errorf("%v, %q", err, told)
		}
		if labels := table(t, dir, "labels.csv"); len(labels) != len(d.woken) {
			t.Errorf("%d labels of %d times awake", len(labels), len(d.woken))
		}
	})
}

// Idle time has a line of its own, and what wakes the device in it is false.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newDevice(t), t.TempDir()
		spoken := time.AfterFunc(90*time.Minute, func() { d.hear() })
		defer spoken.Stop()
		plan := dataset.Plan{Kind: dataset.Idle, Length: 125 * time.Minute}
		report, _, err := d.record(t.Context(), recording{dir: dir, plan: plan})
		if err != nil {
			t.Fatal(err)
		}
		labels := table(t, dir, "labels.csv")
		if len(labels) != 3 || labels[0].from != -1 || labels[1].kind != "false" || labels[2].from != -1 {
			t.Errorf("labels %+v", labels)
		}
		if got := report.Length; got < plan.Length || got > plan.Length+2*time.Second {
			t.Errorf("it lasts %v", got)
		}
	})
}

// Each word has a silent stretch and one in which it is played.
func TestProbing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newDevice(t), t.TempDir()
		plan := dataset.Plan{Kind: dataset.Probing, Every: 10 * time.Second, Stretch: time.Minute, Words: []string{"banana", "alexa", "door"}}
		ctx, cancel := context.WithCancel(t.Context())
		stop := time.AfterFunc(3*time.Minute, cancel) // in the middle of the second word
		defer stop.Stop()
		if _, _, err := d.record(ctx, recording{dir: dir, plan: plan}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, _, err := d.record(t.Context(), recording{dir: dir, plan: plan}); err != nil {
			t.Fatal(err)
		}
		stretches := map[string]int{}
		awake := 0
		for _, l := range table(t, dir, "labels.csv") {
			stretches[l.kind]++
			if l.kind == "alexa" {
				awake++
			} else if math.Abs(l.to-l.from-60) > 1.1 {
				t.Errorf("%+v", l)
			}
		}
		if stretches["idle"] != 3 || stretches["probe banana"] != 1 || stretches["probe alexa"] != 1 || stretches["probe door"] != 1 || awake < 6 {
			t.Errorf("%v", stretches)
		}
	})
}

// A session goes on with what is left, and a folder of other settings is left
// alone.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newDevice(t), t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		stop := time.AfterFunc(100*time.Second, cancel)
		defer stop.Stop()
		r := recording{dir: dir, plan: controlled}
		if _, _, err := d.record(ctx, r); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		other := r
		other.plan.Every = time.Minute
		if _, _, err := d.record(t.Context(), other); !errors.Is(err, dataset.ErrOther) || !strings.Contains(err.Error(), "controlled of") {
			t.Errorf("with another interval: %v", err)
		}
		report, _, err := d.record(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if report.Sessions != 2 || len(report.Files) != 2 || report.Length < controlled.Length || report.Length > controlled.Length+3*time.Second {
			t.Errorf("%d sessions, %d files, %v", report.Sessions, len(report.Files), report.Length)
		}
		if labels := table(t, dir, "labels.csv"); len(labels) != len(d.woken) {
			t.Errorf("%d labels of %d times awake", len(labels), len(d.woken))
		}
	})
}

// A process that was killed leaves a file without an end and half a line. What
// was known is kept.
func TestKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newDevice(t), t.TempDir()
		copied := filepath.Join(t.TempDir(), "copy")
		killed := time.AfterFunc(96*time.Second, func() { // while the device is awake
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Error(err)
			}
		})
		defer killed.Stop()
		if _, _, err := d.record(t.Context(), recording{dir: dir, plan: controlled}); err != nil {
			t.Fatal(err)
		}
		file := captures(t, copied)[0]
		for name, text := range map[string]string{file: "\x06\x00\x00\x00", filepath.Join(copied, "record.jsonl"): `{"session":1,"ev`} {
			f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString(text)
			}
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
		}
		woken := len(d.woken)
		report, _, err := d.record(t.Context(), recording{dir: copied, plan: controlled})
		if err != nil {
			t.Fatal(err)
		}
		first := report.Files[0]
		if len(report.Files) != 2 || len(first.Labels) != 2 || first.Span.Duration() < 93*time.Second {
			t.Errorf("%d files, the first %+v", len(report.Files), first)
		}
		if labels := table(t, copied, "labels.csv"); len(labels) != 2+len(d.woken)-woken {
			t.Errorf("labels %+v", labels)
		}
	})
}

// A disk that fills up ends the recording in good order.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, dir := newDevice(t), t.TempDir()
		_, _, err := d.record(t.Context(), recording{dir: dir, plan: controlled, room: func() (int64, error) {
			return 17<<20 - int64(time.Since(d.began)/time.Second)<<14, nil
		}})
		if !errors.Is(err, dataset.ErrFull) || !strings.Contains(err.Error(), "make room and record again") {
			t.Errorf("error %v", err)
		}
		if labels := table(t, dir, "labels.csv"); len(labels) != 1 {
			t.Errorf("labels %+v", labels)
		}
	})
}

// One process at a time records into a folder.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	folder, err := dataset.OpenFolder(dir, dataset.Settings{Device: capturetest.Speaker.MAC}, capture.KeepHeaders)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	var locked *results.LockedError
	if _, err := dataset.OpenFolder(dir, dataset.Settings{Device: capturetest.Speaker.MAC}, capture.KeepHeaders); !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Errorf("error %v", err)
	}
}

func FuzzReadRecord(f *testing.F) {
	f.Add([]byte(`{"session":1,"event":"begin","from_ns":0,"settings":{"kind":"idle","device":"","wake_word":"","light":true,"reach_ns":0}}` + "\n" +
		`{"session":1,"event":"file","from_ns":5,"file":"a"}` + "\n" + `{"session":1,"event":"light","from_ns":6}` + "\n" +
		`{"session":1,"event":"upload","from_ns":7,"to_ns":9}` + "\n" + `{"session":1,"event":"play","from_ns":7,"to_ns":9,"word":"w"}` + "\n"))
	f.Add([]byte(`{"session":2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, size, err := dataset.ReadRecord(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, dataset.ErrRecord) {
				t.Errorf("error %v", err)
			}
			return
		}
		if size > int64(len(text)) {
			t.Errorf("%d bytes of %d", size, len(text))
		}
		for _, file := range dataset.Judge(entries).Files { // any record has a meaning
			for _, l := range slices.Concat(file.Labels, file.Doubtful, file.Unknown) {
				if l.Start < 0 || l.End < l.Start {
					t.Errorf("label %+v", l)
				}
			}
		}
	})
}
