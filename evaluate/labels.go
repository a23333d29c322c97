package evaluate

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"wakefuzz/analysis"
	"wakefuzz/capture"
)

// ErrLabels is wrapped by errors that other labels would mend.
var ErrLabels = errors.New("labels")

// Recording is what is known of one device in one capture.
type Recording struct {
	// File is the capture.
	File string
	// Device is whose packets count, and Name what tables call it: the same as
	// the address where the labels have no other.
	Device capture.Address
	Name   string
	// Activations and Stretches are each in the order of time.
	Activations []Activation
	Stretches   []Stretch
	// Doubts are stretches in which nobody knows whether the device was awake.
	Doubts []Stretch
	// Nominal is about how many activations there are where it is not known
	// when, and 0 otherwise.
	Nominal int

	at position // of the first line about it
}

// Activation is a time in which the device was awake, as somebody or something
// saw.
type Activation struct {
	analysis.Span
	// Kind is whatever the labels say.
	Kind string

	at position
}

// Stretch is a time of an experiment in which nothing was played, or a word was
// again and again.
type Stretch struct {
	analysis.Span
	// Word is what was played, or "".
	Word string

	at position
}

// position is a line of a labels file.
type position struct {
	file string
	line int
}

// labelError is a mistake in the labels.
type labelError struct {
	at   position
	text string
}

func (e labelError) Error() string {
	return fmt.Sprintf("%s:%d: %s", e.at.file, e.at.line, e.text)
}

func (e labelError) Is(target error) bool { return target == ErrLabels }

func (p position) errorf(format string, args ...any) error {
	return labelError{p, fmt.Sprintf(format, args...)}
}

// maxMistakes is how many mistakes are told at once.
const maxMistakes = 10

// mistakes are errors, of which the first are told.
type mistakes []error

func (m mistakes) error() error {
	if more := len(m) - maxMistakes; more > 0 {
		return errors.Join(append(slices.Clone([]error(m[:maxMistakes])), fmt.Errorf("and %d more mistakes", more))...)
	}
	return errors.Join(m...)
}

// ReadLabels reads all labels in a folder and those below it: the files whose
// names hold "labels" and end in ".csv". Captures are named relative to the
// folder of the file that labels them. Errors about what labels say wrap
// ErrLabels, and name the file and the line.
func ReadLabels(dir string) ([]Recording, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if name := strings.ToLower(entry.Name()); strings.Contains(name, "labels") && strings.HasSuffix(name, ".csv") {
			files = append(files, path)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read labels: %w", err)
	case len(files) == 0:
		return nil, fmt.Errorf("%s: %w: there is no file like labels.csv, whose first line is %q", dir, ErrLabels, strings.Join(columns[:4], ","))
	}
	all := newLabels()
	for _, file := range files {
		if err := all.readFile(file); err != nil {
			return nil, err
		}
	}
	return all.recordings()
}

// columns of a labels file; the first four are needed.
var columns = []string{"file", "device", "activation_start_s", "activation_end_s", "mac", "ip", "kind", "nominal"}

// maxLabels is how long a labels file may be, in bytes.
const maxLabels = 64 << 20

// labels are those that were read so far.
type labels struct {
	of    map[labelled]*Recording
	order []*Recording
	wrong mistakes
}

type labelled struct {
	file   string
	device capture.Address
}

func newLabels() *labels { return &labels{of: make(map[labelled]*Recording)} }

func (l *labels) readFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read labels: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > maxLabels {
		return position{path, 1}.errorf("the file has %d bytes, more than %d", info.Size(), maxLabels)
	}
	return l.read(path, io.LimitReader(f, maxLabels))
}

// read reads a labels file. An error is that there are no columns to read.
func (l *labels) read(path string, in io.Reader) error {
	r := csv.NewReader(in)
	r.FieldsPerRecord = -1
	r.TrimLeadingSpace = true
	head, err := r.Read()
	var bad *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return position{path, 1}.errorf("the file is empty")
	case errors.As(err, &bad):
		return position{path, bad.Line}.errorf("%v", bad.Err)
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	}
	column := make(map[string]int)
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if _, twice := column[name]; !twice {
			column[name] = i
		}
	}
	for _, name := range columns[:4] {
		if _, ok := column[name]; !ok {
			return position{path, 1}.errorf("there is no column %q; the first line names the columns: %s", name, strings.Join(columns[:4], ","))
		}
	}
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if errors.As(err, &bad) {
			return position{path, bad.Line}.errorf("%v", bad.Err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		line, _ := r.FieldPos(0)
		at := position{path, line}
		row := make(map[string]string)
		for _, name := range columns {
			if i, ok := column[name]; ok && i < len(fields) {
				row[name] = strings.TrimSpace(fields[i])
			}
		}
		if err := l.add(at, row); err != nil {
			l.wrong = append(l.wrong, err)
		}
	}
}

// add adds a line.
func (l *labels) add(at position, row map[string]string) error {
	if row["file"] == "" {
		return at.errorf("the line names no file")
	}
	written := cmp.Or(row["mac"], row["ip"], row["device"])
	device, err := capture.ParseAddress(written)
	if err != nil {
		return at.errorf("device: %v; where device is a name, the column mac or ip has the address", err)
	}
	path := filepath.FromSlash(row["file"])
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(at.file), path)
	}
	name := row["device"]
	if name == "" || name == written {
		name = device.String()
	}
	recording := l.recording(labelled{path, device}, at, name)

	nominal, start, end := row["nominal"], row["activation_start_s"], row["activation_end_s"]
	switch {
	case nominal != "" && (start != "" || end != ""):
		return at.errorf("nominal is for activations at unknown times, and this line has a time")
	case nominal != "":
		n, err := strconv.Atoi(nominal)
		if err != nil || n < 0 || n > 1_000_000 {
			return at.errorf("nominal: %q is not a number of activations", nominal)
		}
		recording.Nominal += n
		return nil
	case start == "" && end == "":
		return nil // the device was never awake
	case start == "" || end == "":
		return at.errorf("of activation_start_s and activation_end_s one is empty; both are, where there is no activation")
	}
	span := analysis.Span{}
	if span.From, err = parseSeconds(start); err != nil {
		return at.errorf("activation_start_s: %v", err)
	}
	if span.To, err = parseSeconds(end); err != nil {
		return at.errorf("activation_end_s: %v", err)
	}
	if span.To < span.From {
		return at.errorf("the activation ends at %s s, before it begins at %s s", end, start)
	}
	kind := row["kind"]
	word, probed := strings.CutPrefix(kind, probePrefix)
	switch {
	case kind == doubtfulKind:
		recording.Doubts = append(recording.Doubts, Stretch{span, "", at})
		return nil
	case kind != idleKind && !probed:
		recording.Activations = append(recording.Activations, Activation{span, kind, at})
		return nil
	case span.From == span.To:
		return at.errorf("the stretch of %s s has no length", start)
	case probed && word == "":
		return at.errorf("kind: %q names no word", kind)
	case kind == idleKind:
		word = ""
	}
	recording.Stretches = append(recording.Stretches, Stretch{span, word, at})
	return nil
}

// The kinds that are no activations.
const (
	idleKind     = "idle"
	probePrefix  = "probe "
	doubtfulKind = "doubtful"
)

func (l *labels) recording(of labelled, at position, name string) *Recording {
	r := l.of[of]
	if r == nil {
		r = &Recording{File: of.file, Device: of.device, Name: name, at: at}
		l.of[of] = r
		l.order = append(l.order, r)
	}
	return r
}

// longest is more than any capture lasts.
const longest = 366 * 24 * time.Hour

func parseSeconds(s string) (time.Duration, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0 && v <= longest.Seconds()) { // NaN fails too
		return 0, fmt.Errorf("%q is not a time in seconds since the first packet", s)
	}
	return time.Duration(v * float64(time.Second)), nil
}

// recordings are all that the labels are about, once they are known to make
// sense.
func (l *labels) recordings() ([]Recording, error) {
	var all []Recording
	for _, r := range l.order {
		if info, err := os.Stat(r.File); err != nil || info.IsDir() {
			l.wrong = append(l.wrong, r.at.errorf("there is no capture %s", r.File))
		}
		if r.Nominal > 0 && len(r.Activations) > 0 {
			l.wrong = append(l.wrong, r.Activations[0].at.errorf("%s has a nominal number of activations too (line %d): either their times are known or not", r.File, r.at.line))
		}
		slices.SortStableFunc(r.Activations, func(a, b Activation) int { return cmp.Compare(a.From, b.From) })
		for i := 1; i < len(r.Activations); i++ {
			if before, a := r.Activations[i-1], r.Activations[i]; a.From < before.To {
				l.wrong = append(l.wrong, overlap("activation", before.Span, before.at, a.Span, a.at))
			}
		}
		for _, stretches := range [][]Stretch{r.Stretches, r.Doubts} {
			slices.SortStableFunc(stretches, func(a, b Stretch) int { return cmp.Compare(a.From, b.From) })
			for i := 1; i < len(stretches); i++ {
				if before, s := stretches[i-1], stretches[i]; s.From < before.To {
					l.wrong = append(l.wrong, overlap("stretch", before.Span, before.at, s.Span, s.at))
				}
			}
		}
		all = append(all, *r)
	}
	if err := l.wrong.error(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: they name no capture", ErrLabels)
	}
	return all, nil
}

// overlap says that two labels of one device overlap.
func overlap(what string, a analysis.Span, first position, b analysis.Span, second position) error {
	where := fmt.Sprintf("line %d", first.line)
	if first.file != second.file {
		where = fmt.Sprintf("%s:%d", first.file, first.line)
	}
	return second.errorf("the %s of %s overlaps that of %s in %s", what, interval(b), interval(a), where)
}

func interval(s analysis.Span) string {
	return fmt.Sprintf("%g to %g s", s.From.Seconds(), s.To.Seconds())
}

// check says what is wrong with the labels of a capture that lasted so long.
func (r Recording) check(length time.Duration) error {
	var wrong mistakes
	outside := func(what string, s analysis.Span, at position) {
		if s.From > length {
			wrong = append(wrong, at.errorf("the %s of %s lies outside %s, which lasts %.1f s", what, interval(s), r.File, length.Seconds()))
		}
	}
	for _, a := range r.Activations {
		outside("activation", a.Span, a.at)
	}
	for _, s := range slices.Concat(r.Stretches, r.Doubts) {
		outside("stretch", s.Span, s.at)
	}
	return wrong.error()
}
