package dataset

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/google/renameio/v2"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/results"
)

// The names in a folder.
const (
	recordName   = "record.jsonl"
	labelsName   = "labels.csv"
	doubtfulName = "doubtful.csv" // which no reader of labels takes for some
	fileTime     = "20060102T150405.000Z"
	fileSuffix   = ".pcapng"
)

// ErrOther means that a folder holds a dataset that was recorded otherwise.
var ErrOther = errors.New("the dataset in this folder was recorded otherwise")

// Folder is where a dataset is kept. One process at a time has it open.
type Folder struct {
	dir     string
	keep    capture.Keep
	release func() error
	record  *os.File
	length  int64 // of the record
	entries []Entry
	session int

	file   *os.File        // that is being written, or nil
	out    *capture.Writer // into buffer
	buffer bytes.Buffer    // whole blocks, once out is flushed
	size   int64           // of the file, as far as it is whole
	open   Entry           // the file's
	base   bench.Pair      // what its times count from
	last   bench.Instant   // its latest packet that is written
	frames int
}

// OpenFolder opens the folder of a dataset, and makes it if need be, for a
// session that begins now. What a killed session has left is mended. Errors are
// a *results.LockedError, wrap ErrOther or ErrRecord, or are of the file system.
func OpenFolder(dir string, s Settings, keep capture.Keep) (_ *Folder, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f := &Folder{dir: dir, keep: keep}
	if f.release, err = results.Hold(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.release())
		}
	}()
	if f.record, err = os.OpenFile(f.path(recordName), os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.record.Close())
		}
	}()
	if f.entries, f.length, err = ReadRecord(f.record); err != nil {
		return nil, fmt.Errorf("%s: %w", f.path(recordName), err)
	}
	if err = f.record.Truncate(f.length); err == nil {
		err = f.same(s)
	}
	if err == nil {
		err = f.mend(s.Device)
	}
	return f, err
}

func (f *Folder) path(name string) string { return filepath.Join(f.dir, name) }

// same returns an error that wraps ErrOther unless the sessions before had the
// same settings.
func (f *Folder) same(s Settings) error {
	for _, e := range f.entries {
		if e.Settings == nil {
			continue
		}
		// As they are read back; the length of a plan is not stored.
		text, err := json.Marshal(s)
		var is Settings
		if err == nil {
			err = json.Unmarshal(text, &is)
		}
		if err != nil {
			return err
		}
		if was := *e.Settings; !reflect.DeepEqual(was, is) {
			return fmt.Errorf("%w: it was %s; give another --out, or the same options", ErrOther, was)
		}
	}
	return nil
}

// String tells the settings in a line.
func (s Settings) String() string {
	text := string(s.Kind) + " of " + s.Device
	if s.Plays() {
		text += fmt.Sprintf(", %d words every %v", len(s.Words), s.Every)
	}
	if s.Kind == Probing {
		text += fmt.Sprintf(" in stretches of %v", s.Stretch)
	}
	if !s.Light {
		text += ", without light"
	}
	return text
}

// mend ends what a killed session has left open: its last file, of which the
// end may be missing.
func (f *Folder) mend(address string) error {
	open := map[string]Entry{}
	device, err := capture.ParseAddress(address)
	if err != nil {
		return err
	}
	for _, e := range f.entries {
		if e.Event == EventFile && e.To == 0 {
			open[e.File] = e
		} else if e.Event == EventFile {
			delete(open, e.File)
		}
	}
	for name, e := range open {
		from, to, packets, err := extent(f.path(name), device)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		e.To, e.Packets = max(e.From.Add(to.Sub(from)), e.From+1), packets
		f.session = e.Session
		if err := f.append(e); err != nil {
			return err
		}
	}
	return nil
}

// extent is from when to when packets are in a file, which may be cut short.
func extent(path string, device capture.Address) (from, to time.Time, packets int, err error) {
	r, err := capture.Open(path, device)
	if err != nil {
		if errors.Is(err, capture.ErrTruncated) || errors.Is(err, capture.ErrFormat) { // nothing was written yet
			err = nil
		}
		return from, to, 0, err
	}
	defer r.Close()
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, capture.ErrTruncated) {
			return from, to, packets, nil
		}
		if err != nil {
			return from, to, packets, err
		}
		if packets++; packets == 1 {
			from = p.Time
		}
		to = p.Time
	}
}

// begin begins a session, with whose beginning the clock begins.
func (f *Folder) begin(s Settings, pair bench.Pair) error {
	f.session = 1
	if n := len(f.entries); n > 0 {
		f.session = f.entries[n-1].Session + 1
	}
	return f.append(Entry{Event: EventBegin, From: pair.At, Wall: wall(pair), Settings: &s})
}

func wall(p bench.Pair) time.Time { return p.Wall.Round(0).UTC() }

// append adds to the record of the session, on the disk.
func (f *Folder) append(e Entry) error {
	e.Session = f.session
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	n, err := f.record.WriteAt(append(line, '\n'), f.length)
	if err != nil {
		return errors.Join(err, f.record.Truncate(f.length))
	}
	f.length += int64(n)
	f.entries = append(f.entries, e)
	return f.record.Sync()
}

// add adds a frame to the file, or begins one with it.
func (f *Folder) add(t tapped, pair bench.Pair) error {
	if f.file == nil {
		if err := f.start(t, pair); err != nil {
			return err
		}
	}
	frame := t.frame
	frame.Time = f.base.Wall.Add(t.at.Sub(f.base.At)).Round(0)
	f.frames++
	f.last = max(f.last, t.at)
	return f.out.Write(frame)
}

// start begins a file.
func (f *Folder) start(t tapped, pair bench.Pair) error {
	f.base = pair
	first := pair.Wall.Add(t.at.Sub(pair.At)).Round(0)
	f.open = Entry{Event: EventFile, From: t.at, Wall: first.UTC(), File: first.UTC().Format(fileTime) + fileSuffix}
	file, err := os.OpenFile(f.path(f.open.File), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	f.file, f.size, f.frames, f.last = file, 0, 0, t.at
	f.buffer.Reset()
	if f.out, err = capture.NewWriter(&f.buffer, t.frame.Link, f.keep, "wakefuzz record"); err != nil {
		return err
	}
	return f.append(f.open)
}

// flush writes what there is of the file, in whole blocks or not at all.
func (f *Folder) flush() error {
	if f.file == nil {
		return nil
	}
	if err := f.out.Flush(); err != nil {
		return err
	}
	n, err := f.file.Write(f.buffer.Bytes())
	f.buffer.Reset()
	if err != nil {
		return errors.Join(err, f.file.Truncate(f.size))
	}
	f.size += int64(n)
	return nil
}

// cut ends the file. The next packet begins another.
func (f *Folder) cut(dropped uint64) error {
	if f.file == nil {
		return nil
	}
	e := f.written()
	e.Dropped = dropped
	err := errors.Join(f.flush(), f.file.Sync(), f.file.Close())
	f.file = nil
	return errors.Join(err, f.append(e))
}

// written is the file as far as it is.
func (f *Folder) written() Entry {
	e := f.open
	e.To, e.Packets = max(f.last, e.From+1), f.frames
	return e
}

// Report judges what the folder holds.
func (f *Folder) Report() Report { return Judge(f.entries) }

// report judges what there is by now of a session that goes on.
func (f *Folder) report(now bench.Instant) Report {
	entries := append(f.entries[:len(f.entries):len(f.entries)], Entry{Session: f.session, Event: EventAlive, From: now})
	if f.file != nil {
		e := f.written()
		e.Session = f.session
		entries = append(entries, e)
	}
	return Judge(entries)
}

// write writes the tables.
func (f *Folder) write(r Report) error {
	var certain, doubtful bytes.Buffer
	if err := errors.Join(r.writeLabels(&certain, false), r.writeLabels(&doubtful, true)); err != nil {
		return err
	}
	return errors.Join(f.replace(labelsName, certain.Bytes()), f.replace(doubtfulName, doubtful.Bytes()))
}

// replace replaces a table, unless it says the same already.
func (f *Folder) replace(name string, text []byte) error {
	if was, err := os.ReadFile(f.path(name)); err == nil && bytes.Equal(was, text) {
		return nil
	}
	return renameio.WriteFile(f.path(name), text, 0o644)
}

// writeLabels writes the labels that are in doubt, or those that are not. Among
// the latter are the times of which nothing can be said.
func (r Report) writeLabels(w io.Writer, doubtful bool) error {
	out := csv.NewWriter(w)
	header := []string{"file", "device", "activation_start_s", "activation_end_s", "kind"}
	if doubtful {
		header = append(header, "doubt")
	}
	out.Write(header)
	for _, f := range r.Files {
		labels := slices.Concat(f.Labels, f.Unknown)
		if doubtful {
			labels = f.Doubtful
		}
		if f.Packets == 0 || doubtful && len(f.Doubts) == 0 || !doubtful && f.Lost() {
			continue
		}
		write := func(start, end, kind, why string) {
			row := []string{f.Name, r.Settings.Device, start, end, kind}
			if doubtful {
				row = append(row, why)
			}
			out.Write(row)
		}
		slices.SortStableFunc(labels, func(a, b Label) int { return cmp.Compare(a.Start, b.Start) })
		for _, l := range labels {
			write(inSeconds(l.Start), inSeconds(l.End), l.Kind, l.Why)
		}
		switch {
		case len(labels) > 0:
		case doubtful:
			write("", "", "", f.Doubts[0].about(f))
		default:
			write("", "", "", "")
		}
	}
	out.Flush()
	return out.Error()
}

// about tells the doubt, with its time in a file.
func (d Doubt) about(f File) string {
	return fmt.Sprintf("from %s to %s s the %s %s", inSeconds(max(d.Span.Start.Sub(f.Span.Start), 0)), inSeconds(d.Span.End.Sub(f.Span.Start)), d.Who, d.Why)
}

// inSeconds is cut to the millisecond, so that it never lies beyond the last packet.
func inSeconds(d time.Duration) string {
	return strconv.FormatFloat(d.Truncate(time.Millisecond).Seconds(), 'f', 3, 64)
}

// Close lets others open the folder.
func (f *Folder) Close() error { return errors.Join(f.record.Close(), f.release()) }
