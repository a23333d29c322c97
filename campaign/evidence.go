package campaign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/google/renameio/v2"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/traffic"
	"wakefuzz/results"
)

const (
	// evidenceFolder is where evidence is, in a campaign's folder.
	evidenceFolder = "evidence"
	evidenceSuffix = ".pcapng"
	// evidenceLead is how long before the sound evidence begins: as long as
	// observations of traffic do.
	evidenceLead = traffic.Lookback
	// evidenceTail is how long the evidence of a reaction waits at most for the
	// device to come to rest. A recorder remembers frames for longer.
	evidenceTail = 30 * time.Second
)

// EvidenceSpec is the evidence section of a spec: which plays' packets are kept
// as files, where the bench records any. It shapes no observation.
type EvidenceSpec struct {
	// Quiet keeps one in so many of the plays that nothing reacted to, beside
	// all those that something did; 0 for none.
	Quiet int `yaml:"quiet"`
	// LimitMB is how much is kept at most, in megabytes; 0 for nothing.
	LimitMB int `yaml:"limit_mb"`
}

func (e EvidenceSpec) validate() error {
	switch {
	case e.Quiet < 0:
		return fmt.Errorf("quiet: %d is negative", e.Quiet)
	case e.LimitMB < 0 || e.LimitMB > 1_000_000:
		return fmt.Errorf("limit_mb: %d is not between 0 and 1000000", e.LimitMB)
	}
	return nil
}

// wants says whether a play's evidence is kept. For one without a reaction the
// play's own randomness decides, so that a campaign played again keeps the
// same.
func (e EvidenceSpec) wants(play results.PlayID, v oracle.Verdict) bool {
	switch {
	case e.LimitMB == 0 || len(v.Readings) == 0:
		return false
	case reacted(v):
		return true
	default:
		return e.Quiet > 0 && rand.New(rand.NewPCG(play.Seed(), sampling)).IntN(e.Quiet) == 0
	}
}

// sampling is the second half of the generator's seed. It keeps this draw apart
// from the player's.
const sampling = 0x65766964656e6365

// reacted says whether any oracle saw a reaction, whatever the verdict is.
func reacted(v oracle.Verdict) bool {
	return slices.ContainsFunc(v.Readings, func(r bench.Reading) bool { return r.State == bench.Reacted })
}

// evidence is a campaign's folder of evidence.
type evidence struct {
	dir   string
	limit int64

	mu     sync.Mutex
	opened bool
	bytes  int64 // in the folder
	failed bool  // the user was told so
}

// keep writes the evidence of a play that was just stored. It comes after the
// store, so that no file ever speaks of an attempt that is not stored: a process
// that is killed in between leaves the attempt without evidence, and never a
// part of a file. What can't be kept costs the file and nothing else.
func (p *pass) keep(ctx context.Context, b *Bench, t results.Trial, a results.Attempt, v oracle.Verdict) {
	if b.Evidence == nil || !p.Spec.Evidence.wants(a.Play, v) {
		return
	}
	if reacted(v) && b.Settle != nil && !p.Spec.Protocol.Pace.Fixed() {
		// Whatever it sends till it rests is evidence, too, and the next play
		// would wait for the same.
		resting, cancel := p.untilStop(ctx)
		s := p.Spec.Bench.Settle
		s.Limit = min(s.Limit, evidenceTail)
		_, _ = b.Settle(resting, s) // a bench that can't any longer says so before the next play
		cancel()
	}
	err := p.evidence.add(evidenceName(t, a), func(w io.Writer) error {
		return b.Evidence(w, a.Sound.Start.Add(-evidenceLead), evidenceComment(t, a, v))
	})
	if err == nil {
		return
	}
	p.Log.Warn("evidence not kept", "word", t.Word, "play", a.Play, "attempt", a.Number, "error", err)
	if p.evidence.failsFirst() {
		p.Note("the evidence of a play of %q is not kept: %v; the campaign goes on, and the log names any further plays", t.Word, err)
	}
}

// evidenceName is the name of an attempt's file. Names are in the order of time,
// and no two attempts share one.
func evidenceName(t results.Trial, a results.Attempt) string {
	return fmt.Sprintf("%s_%s_%s_%x_play%d_attempt%d_%s%s", a.Wall.UTC().Format("20060102T150405.000Z"),
		slug(t.Word), slug(t.Voice), t.ID[:6], a.Play.Index+1, a.Number, a.State, evidenceSuffix)
}

// slug is a text as a part of a file's name: letters and digits of any script,
// with a dash for whatever is between them.
func slug(s string) string {
	const longest = 60 // bytes
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !unicode.In(r, unicode.L, unicode.M, unicode.N) }), "-")
	for end, r := range s {
		if end+len(string(r)) > longest {
			return s[:end]
		}
	}
	return s
}

// evidenceComment says what a file is the evidence of.
func evidenceComment(t results.Trial, a results.Attempt, v oracle.Verdict) string {
	var readings []string
	for _, r := range v.Readings {
		readings = append(readings, fmt.Sprintf("%s %s", r.Oracle, r.State))
	}
	return fmt.Sprintf("%q by %s, play %d of %d, attempt %d: %s (%s), by the rule %s; begun %s; play %s",
		t.Word, t.Voice, a.Play.Index+1, t.Plays, a.Number, a.State, strings.Join(readings, ", "), a.Rule,
		a.Wall.UTC().Format("2006-01-02T15:04:05.000Z"), a.Play)
}

// add writes a file whole, or not at all.
func (e *evidence) add(name string, write func(io.Writer) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.open(); err != nil {
		return err
	}
	// Gathered in memory, as nothing that records should wait for a disk.
	var file bytes.Buffer
	if err := write(&file); err != nil {
		return err
	}
	size := int64(file.Len())
	if e.bytes+size > e.limit {
		return fmt.Errorf("%s holds as much as it may; raise evidence.limit_mb, or move files away", e.dir)
	}
	if err := renameio.WriteFile(filepath.Join(e.dir, name), file.Bytes(), 0o644, renameio.WithTempDir(e.dir)); err != nil {
		return err
	}
	e.bytes += size
	return nil
}

// open makes the folder ready, once: it counts what is there, and removes what
// a killed process was writing.
func (e *evidence) open() error {
	if e.opened {
		return nil
	}
	if err := os.MkdirAll(e.dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") && strings.Contains(entry.Name(), evidenceSuffix) {
			os.Remove(filepath.Join(e.dir, entry.Name()))
		}
	}
	_, e.bytes, err = countEvidence(e.dir)
	e.opened = err == nil
	return err
}

// failsFirst says whether it is the first time that it is asked.
func (e *evidence) failsFirst() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer func() { e.failed = true }()
	return !e.failed
}

// Evidence says where the evidence of the campaign in a folder is, of how many
// attempts there is any, and how many bytes it takes.
func Evidence(dir string) (folder string, files int, bytes int64, err error) {
	folder = filepath.Join(dir, evidenceFolder)
	files, bytes, err = countEvidence(folder)
	if errors.Is(err, os.ErrNotExist) {
		err = nil // there is none
	}
	return folder, files, bytes, err
}

func countEvidence(folder string) (files int, bytes int64, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return 0, 0, err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") || filepath.Ext(entry.Name()) != evidenceSuffix {
			continue // being written, or not ours
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // moved away meanwhile
		}
		if err != nil {
			return 0, 0, err
		}
		files++
		bytes += info.Size()
	}
	return files, bytes, nil
}
