package monitor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wakefuzz/analysis"
	"wakefuzz/capture"
	"wakefuzz/results"
)

// Folder keeps what passed in files of an hour each, of headers only. Those of a
// capture that began anew, of which the time before is not known, are named so.
type Folder struct {
	path    string
	limit   int64
	release func() error

	file   *os.File        // nil until something has passed
	out    *capture.Writer // into the file
	until  time.Time       // when the next file begins
	goesOn bool            // the next file goes on where the last one ends
}

const (
	fileLength = time.Hour
	fileTime   = "20060102T150405.000Z"
	goesOnMark = "-goes-on"
	suffix     = ".pcapng"
)

// Open opens a folder that keeps so many bytes at most, and makes it if need
// be. Until Close nobody else can open it. Errors are a *results.LockedError or
// of the file system.
func Open(path string, limit int64) (*Folder, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	release, err := results.Hold(path)
	if err != nil {
		return nil, err
	}
	return &Folder{path: path, limit: limit, release: release}, nil
}

// Close lets others open the folder.
func (f *Folder) Close() error { return errors.Join(f.cut(), f.release()) }

// files are the names of what is kept, in the order of time.
func (f *Folder) files() ([]string, error) {
	entries, err := os.ReadDir(f.path)
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

// replay has the analyzer look at what is kept.
func (f *Folder) replay(watched func(capture.Packet) bool, analyzer *analysis.Analyzer, note func(string, ...any)) error {
	names, err := f.files()
	if err != nil {
		return err
	}
	for _, name := range names {
		began, err := time.Parse(fileTime, strings.TrimSuffix(strings.TrimSuffix(name, suffix), goesOnMark))
		if err != nil {
			continue // not ours
		}
		if !strings.HasSuffix(name, goesOnMark+suffix) {
			analyzer.Resume(began)
		}
		err = read(filepath.Join(f.path, name), func(p capture.Packet) {
			if watched(p) {
				analyzer.Packet(p)
			}
		})
		if err != nil {
			note("%s: %v; the rest of it is left out", name, err)
		}
	}
	return nil
}

// read gives the packets of a file. One that was cut short is no error.
func read(path string, take func(capture.Packet)) error {
	r, err := capture.Open(path, capture.Address{})
	for err == nil {
		var p capture.Packet
		if p, err = r.Next(); err == nil {
			take(p)
		}
	}
	if r != nil {
		r.Close()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, capture.ErrTruncated) {
		return nil
	}
	return err
}

// add keeps a frame that passed at that time.
func (f *Folder) add(frame capture.Frame, at time.Time) error {
	if f.out != nil && !at.Before(f.until) {
		if err := f.cut(); err != nil {
			return err
		}
		f.goesOn = true
	}
	if f.out == nil {
		if err := f.begin(frame.Link, at); err != nil {
			return err
		}
	}
	frame.Time = at
	return f.out.Write(frame)
}

// begin begins a file, once there is room.
func (f *Folder) begin(link capture.LinkType, at time.Time) error {
	if err := f.makeRoom(); err != nil {
		return err
	}
	name := at.UTC().Format(fileTime)
	if f.goesOn {
		name += goesOnMark
	}
	file, err := os.OpenFile(filepath.Join(f.path, name+suffix), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	out, err := capture.NewWriter(file, link, capture.KeepHeaders, "wakefuzz monitor")
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.file, f.out, f.until, f.goesOn = file, out, at.Add(fileLength), false
	return nil
}

// makeRoom removes the oldest files while there is too much.
func (f *Folder) makeRoom() error {
	names, err := f.files()
	if err != nil {
		return err
	}
	var sum int64
	for _, name := range slices.Backward(names) {
		info, err := os.Stat(filepath.Join(f.path, name))
		if err != nil {
			return err
		}
		if sum += info.Size(); sum > f.limit {
			if err := os.Remove(filepath.Join(f.path, name)); err != nil {
				return fmt.Errorf("making room: %w", err)
			}
		}
	}
	return nil
}

// flush writes what is buffered.
func (f *Folder) flush() error {
	if f.out == nil {
		return nil
	}
	return f.out.Flush()
}

// cut ends the file. The next frame begins another.
func (f *Folder) cut() error {
	if f.out == nil {
		return nil
	}
	err := errors.Join(f.out.Flush(), f.file.Close())
	f.file, f.out = nil, nil
	return err
}
