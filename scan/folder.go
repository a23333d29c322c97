package scan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/results"
)

// The files in a scan's folder.
const (
	specFile      = "spec.yaml"
	roundsFolder  = "rounds"
	roundSuffix   = ".json"
	packetsSuffix = ".pcapng"
)

// maxRoundBytes bounds the JSON file of a round, which holds its plays.
const maxRoundBytes = 1 << 20

// Errors that a caller may want to tell apart.
var (
	// ErrRound means that a round's file is damaged, or of another scan.
	ErrRound = errors.New("not a round of this scan")
	// ErrNotFound: the folder holds no scan.
	ErrNotFound = errors.New("no such scan")
)

// Folder holds the rounds of a scan.
type Folder struct {
	path    string
	release func() error // nil where it is only read
}

// Open opens the folder for the scan of that text, its spec with every default
// filled in, and makes it if need be. same says whether the scan that the folder
// holds already plans the same. Until Close nobody else can open it.
//
// Errors are a *results.LockedError, that of same, or of the file system.
func Open(path, spec string, same func(stored string) error) (_ *Folder, err error) {
	if err := os.MkdirAll(filepath.Join(path, roundsFolder), 0o755); err != nil {
		return nil, err
	}
	release, err := results.Hold(path)
	if err != nil {
		return nil, err
	}
	f := &Folder{path, release}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	stored, err := os.ReadFile(filepath.Join(path, specFile))
	if err == nil {
		err = same(string(stored))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := renameio.WriteFile(filepath.Join(path, specFile), []byte(spec), 0o644); err != nil {
		return nil, err
	}
	return f, f.tidy()
}

// Path is where the folder is.
func (f *Folder) Path() string { return f.path }

// View opens a folder for reading, also while a scan goes on in it. Errors wrap
// ErrNotFound, or are of the file system.
func View(path string) (f *Folder, spec string, err error) {
	text, err := os.ReadFile(filepath.Join(path, specFile))
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%s: %w: it holds no %s", path, ErrNotFound, specFile)
	}
	return &Folder{path: path}, string(text), err
}

// Close lets others open the folder.
func (f *Folder) Close() error {
	if f.release == nil {
		return nil
	}
	return f.release()
}

// tidy removes what a killed process left: packets of rounds that did not
// happen, and what was being written.
func (f *Folder) tidy() error {
	entries, err := os.ReadDir(filepath.Join(f.path, roundsFolder))
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, captured := strings.CutSuffix(e.Name(), packetsSuffix)
		if captured {
			_, err = os.Stat(f.file(name, roundSuffix))
		}
		if captured && errors.Is(err, os.ErrNotExist) || strings.HasPrefix(e.Name(), ".") {
			os.Remove(filepath.Join(f.path, roundsFolder, e.Name()))
		}
	}
	return nil
}

func (f *Folder) file(name, suffix string) string {
	return filepath.Join(f.path, roundsFolder, name+suffix)
}

// name is that of a task's files.
func (t Task) name() string {
	batch := "first"
	if t.Confirms {
		batch = "again"
	}
	return fmt.Sprintf("probe%03d-%s%02d", t.Probe+1, batch, t.Repeat+1)
}

// Size is how many bytes the rounds take.
func (f *Folder) Size() (bytes int64, err error) {
	entries, err := os.ReadDir(filepath.Join(f.path, roundsFolder))
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
	}
	return bytes, err
}

// Rounds are those that happened, in the order of time.
func (f *Folder) Rounds() ([]Round, error) {
	entries, err := os.ReadDir(filepath.Join(f.path, roundsFolder))
	if err != nil {
		return nil, err
	}
	var rounds []Round
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), roundSuffix) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(f.path, roundsFolder, e.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		r, err := DecodeRound(text)
		if err == nil && r.Task.name()+roundSuffix != e.Name() {
			err = fmt.Errorf("%w: it is of %s", ErrRound, r.Task.name())
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w; remove it to have the round played again", path, err)
		}
		rounds = append(rounds, r)
	}
	slices.SortStableFunc(rounds, func(a, b Round) int { return a.Began.Compare(b.Began) })
	return rounds, nil
}

// Load returns the round with its packets.
func (f *Folder) Load(r Round) (Recording, error) {
	source, err := capture.Open(f.file(r.Task.name(), packetsSuffix), capture.Address{})
	if err != nil {
		return Recording{}, err
	}
	defer source.Close()
	return r.Load(source)
}

// Add makes a round happen whose packets are in a file that create made.
func (f *Folder) Add(r Round, packets *renameio.PendingFile) error {
	text, err := r.Encode()
	if err != nil {
		return err
	}
	if err := packets.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return renameio.WriteFile(f.file(r.Task.name(), roundSuffix), text, 0o644)
}

// create begins the file of a round's packets.
func (f *Folder) create(t Task) (*renameio.PendingFile, error) {
	path := f.file(t.name(), packetsSuffix)
	return renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(0o644))
}

// wireRound is how a round is written: times as seconds since it began, which
// is the time of the capture's clock.
type wireRound struct {
	Probe    int        `json:"probe"`
	Repeat   int        `json:"repeat"`
	Confirms bool       `json:"confirms"`
	Began    time.Time  `json:"began"`
	Idle     wireSpan   `json:"idle"`
	Probing  wireSpan   `json:"probing"`
	Plays    []wirePlay `json:"plays"`
	Dropped  uint64     `json:"dropped"`
}

type wirePlay struct {
	Says  string   `json:"says"`
	Sound wireSpan `json:"sound"`
}

// wireSpan is where a span begins and ends, in nanoseconds.
type wireSpan [2]bench.Instant

func (s wireSpan) span() bench.Span { return bench.Span{Start: s[0], End: s[1]} }

// within says whether the span is one, within another.
func (s wireSpan) within(outer wireSpan) bool {
	return outer[0] <= s[0] && s[0] < s[1] && s[1] <= outer[1]
}

// longestRound is more than any round takes, in instants.
const longestRound = bench.Instant(24 * time.Hour)

// Encode writes the round.
func (r Round) Encode() ([]byte, error) {
	w := wireRound{
		Probe: r.Task.Probe, Repeat: r.Task.Repeat, Confirms: r.Task.Confirms, Began: r.Began,
		Idle: wireSpan{r.Idle.Start, r.Idle.End}, Probing: wireSpan{r.Probing.Start, r.Probing.End}, Dropped: r.Dropped,
	}
	for _, p := range r.Plays {
		w.Plays = append(w.Plays, wirePlay{p.Says, wireSpan{p.Sound.Start, p.Sound.End}})
	}
	text, err := json.MarshalIndent(w, "", " ")
	return append(text, '\n'), err
}

// DecodeRound reads a round, and returns an error that wraps ErrRound where it
// could not have been.
func DecodeRound(text []byte) (Round, error) {
	if len(text) > maxRoundBytes {
		return Round{}, fmt.Errorf("%w: it is larger than %d bytes", ErrRound, maxRoundBytes)
	}
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	var w wireRound
	if err := in.Decode(&w); err != nil {
		return Round{}, fmt.Errorf("%w: %w", ErrRound, err)
	}
	whole := wireSpan{0, longestRound}
	if w.Probe < 0 || w.Repeat < 0 || !w.Idle.within(whole) || !w.Probing.within(whole) || w.Probing[0] < w.Idle[1] {
		return Round{}, fmt.Errorf("%w: it tells of what can't be", ErrRound)
	}
	r := Round{
		Task:  Task{Probe: w.Probe, Repeat: w.Repeat, Confirms: w.Confirms},
		Began: w.Began, Idle: w.Idle.span(), Probing: w.Probing.span(), Dropped: w.Dropped,
	}
	for _, p := range w.Plays {
		if !p.Sound.within(w.Probing) {
			return Round{}, fmt.Errorf("%w: a play lies outside of it", ErrRound)
		}
		r.Plays = append(r.Plays, Play{p.Says, p.Sound.span()})
	}
	return r, nil
}
