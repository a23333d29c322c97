package campaign_test

import (
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
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/oracle"
	"wakefuzz/oracle/traffic"
	"wakefuzz/results"
	"wakefuzz/wordlists"
)

// recorded is a device whose bench has evidence: the comment is all there is in
// a file, unless the test wants something else of it.
type recorded struct {
	device
	rig     *rig
	asked   []bench.Instant // from when, of each file
	settled []time.Duration // the limits of the settling since the last play
	size    int
	fails   error
	during  func(ctx context.Context) // while the device settles
}

func newRecorded(t *testing.T, spec campaign.Spec) *recorded {
	t.Helper()
	d := &recorded{rig: newRigOf(t, spec)}
	d.use(d.rig)
	return d
}

func (d *recorded) use(r *rig) {
	d.rig = r
	r.OpenBench = func(int) (*campaign.Bench, error) {
		return &campaign.Bench{
			Player: d, Oracles: []oracle.Oracle{d}, Evidence: d.evidence,
			Settle: func(ctx context.Context, s campaign.SettleSpec) (string, error) {
				d.settled = append(d.settled, s.Limit)
				if d.during != nil {
					d.during(ctx)
				}
				return "", ctx.Err()
			},
			Close: func() error { return nil },
		}, nil
	}
}

func (d *recorded) evidence(w io.Writer, from bench.Instant, comment string) error {
	d.rig.t.Helper()
	d.asked = append(d.asked, from)
	last := d.rig.attempts()[len(d.rig.attempts())-1]
	if !strings.Contains(comment, last.Play.String()) || from != last.Sound.Start.Add(-traffic.Lookback) {
		d.rig.t.Errorf("evidence from %d of %q; the last attempt that is stored is %s, from %d", from, comment, last.Play, last.Sound.Start)
	}
	if _, err := w.Write([]byte(comment + strings.Repeat(".", d.size))); err != nil {
		return err
	}
	return d.fails
}

func evidenceSpec(t *testing.T, text string) campaign.Spec {
	t.Helper()
	spec := parse(t, physicalSpec+text)
	spec.Protocol.Plays = 10
	return spec
}

// evidenceIn returns what is kept, by the names of the files.
func evidenceIn(t *testing.T, dir string) (names []string, texts map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "evidence"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	texts = map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, "evidence", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, e.Name())
		texts[e.Name()] = string(text)
	}
	return names, texts
}

// without are the names of files without the times, which no two campaigns share.
func without(names []string) []string {
	var rest []string
	for _, name := range names {
		_, after, _ := strings.Cut(name, "_")
		rest = append(rest, after)
	}
	slices.Sort(rest)
	return rest
}

// kept are the files that are to be there of the attempts: of all that reacted,
// and of those that did not the ones that the campaign chose.
func (d *recorded) kept() (want []string, quiet int) {
	d.rig.t.Helper()
	names, _ := evidenceIn(d.rig.t, d.rig.dir)
	for _, a := range d.rig.attempts() {
		var trial results.Trial
		for _, t := range d.rig.store.Trials() {
			if t.ID == a.Play.Trial {
				trial = t
			}
		}
		name := fmt.Sprintf("%s_%s_flite-kal16_%.12s_play%d_attempt%d_%s.pcapng", a.Wall.UTC().Format("20060102T150405.000Z"),
			trial.Word, trial.ID, a.Play.Index+1, a.Number, a.State)
		switch {
		case a.State == bench.Reacted:
			want = append(want, name)
		case slices.Contains(names, name):
			want = append(want, name)
			quiet++
		}
	}
	return want, quiet
}

// Every reaction leaves evidence, and a sample of the other plays, which is the
// same whenever and in however many sessions they are played.
func TestEvidenceIsKept(t *testing.T) {
	for _, tt := range []struct {
		quiet    int
		from, to int // how many of the quiet plays are kept
	}{{0, 0, 0}, {1, 1000, 1000}, {3, 3, 15}} {
		spec := evidenceSpec(t, fmt.Sprintf("evidence: {quiet: %d}\n", tt.quiet))
		whole := newRecorded(t, spec)
		whole.rig.run()
		names, texts := evidenceIn(t, whole.rig.dir)
		want, quiet := whole.kept()
		slices.Sort(want) // of two plays within a millisecond the name decides
		if !slices.Equal(names, want) {
			t.Errorf("one in %d: files\n%q, want\n%q", tt.quiet, names, want)
		}
		all := 0
		for _, a := range whole.rig.attempts() {
			if a.State == bench.Quiet {
				all++
			}
		}
		if quiet < min(tt.from, all) || quiet > tt.to {
			t.Errorf("one in %d: %d of %d quiet plays", tt.quiet, quiet, all)
		}
		for name, text := range texts {
			state := "quiet"
			if strings.HasSuffix(name, "_reacted.pcapng") {
				state = "reacted"
			}
			if !strings.Contains(text, fmt.Sprintf("%s (light %s)", state, state)) {
				t.Errorf("%s says %q", name, text)
			}
		}

		again := newRecorded(t, spec)
		stop := make(chan struct{})
		again.rig.Stop = stop
		again.rig.Report = func(e campaign.Event) {
			if e.Standing.Measured == 17 {
				close(stop)
			}
		}
		again.rig.run()
		again.rig.reopen()
		again.use(again.rig)
		again.rig.run()
		resumed, _ := evidenceIn(t, again.rig.dir)
		if !slices.Equal(without(resumed), without(names)) {
			t.Errorf("one in %d, resumed:\n%q, not\n%q", tt.quiet, resumed, names)
		}
	}
}

// blindTraffic sees nothing of any reaction.
type blindTraffic struct{}

func (blindTraffic) Name() string { return traffic.Name }

func (blindTraffic) Window() time.Duration { return 5 * time.Second }

func (blindTraffic) Observe(_ context.Context, watched bench.Span) (bench.Observation, error) {
	return bench.Observation{Oracle: traffic.Name, Watched: watched}, nil
}

// A light without traffic is a finding of its own, whatever the verdict.
func TestEvidenceOfWhatOneOracleSaw(t *testing.T) {
	spec := parse(t, strings.Replace(physicalSpec, "light: {driver: lamp}", "light: {driver: lamp}\n  traffic: {driver: tap}", 1)+
		"evidence: {quiet: 0}\njudge: {verdict: traffic}\n")
	d := newRecorded(t, spec)
	open := d.rig.OpenBench
	d.rig.OpenBench = func(n int) (*campaign.Bench, error) {
		b, err := open(n)
		b.Oracles = append(b.Oracles, blindTraffic{})
		return b, err
	}
	stop := make(chan struct{})
	d.rig.Stop = stop
	d.rig.Report = func(e campaign.Event) {
		if e.Standing.Measured == 1 { // the wake word
			close(stop)
		}
	}
	d.rig.run()
	names, texts := evidenceIn(t, d.rig.dir)
	if len(names) != 1 || !strings.HasSuffix(names[0], "_quiet.pcapng") || !strings.Contains(texts[names[0]], "quiet (light reacted, traffic quiet)") {
		t.Errorf("kept %q", texts)
	}
}

// After a reaction the evidence waits until the device rests, but not for a
// campaign that is to stop.
func TestEvidenceHasTheWholeReaction(t *testing.T) {
	d := newRecorded(t, evidenceSpec(t, "evidence: {quiet: 1}\n"))
	stop := make(chan struct{})
	d.rig.Stop = stop
	d.rig.Runner.Spec.Bench.Settle.Limit = time.Hour
	d.rig.Report = func(e campaign.Event) {
		d.settled = nil
		if e.Standing.Measured == 1 {
			d.during = func(ctx context.Context) {
				close(stop)
				<-ctx.Done()
			}
		}
	}
	d.rig.run()
	if names, _ := evidenceIn(t, d.rig.dir); len(names) != 1 {
		t.Errorf("of a reaction before the campaign stopped there is %q", names)
	}
	if !slices.Equal(d.settled, []time.Duration{30 * time.Second}) {
		t.Errorf("after the reaction, the device was let settle for %v at most", d.settled)
	}
}

// At a fixed pace nothing waits for the device.
func TestEvidenceKeepsThePace(t *testing.T) {
	h := new(home)
	r := newHome(t, h)
	r.Runner.Spec.Evidence.Quiet = 0
	r.OpenBench = func(n int) (*campaign.Bench, error) {
		b, err := h.open(n)
		b.Evidence = func(io.Writer, bench.Instant, string) error { return nil }
		b.Settle = func(context.Context, campaign.SettleSpec) (string, error) {
			t.Error("the device was waited for")
			return "", nil
		}
		return b, err
	}
	r.pass()
	reacted := 0
	for _, a := range r.attempts() {
		if a.State == bench.Reacted {
			reacted++
		}
	}
	if names, _ := evidenceIn(t, r.dir); len(names) != reacted || reacted < 10 {
		t.Errorf("%d plays reacted, %d have evidence", reacted, len(names))
	}
}

// Words and voices are any text; what is made of them is a plain file's name.
func TestEvidenceNames(t *testing.T) {
	spec := evidenceSpec(t, "evidence: {quiet: 1}\n")
	spec.Protocol.Plays, spec.Controls.Every = 1, 0
	texts := map[string]string{
		"../../etc/passwd":         "_etc-passwd_",
		"don't":                    "_don-t_",
		"ön  naïve Straße":         "_ön-naïve-Straße_",
		"アレクサ":                     "_アレクサ_",
		"a\x00b\xff\nc":            "_a-b-c_",
		"...":                      "__",
		".hidden":                  "_hidden_",
		strings.Repeat("ß", 1000):  "_" + strings.Repeat("ß", 30) + "_",
		strings.Repeat("x ", 1000): "_" + strings.Repeat("x-", 30) + "_",
	}
	var words []wordlists.Word
	for text := range texts {
		words = append(words, word(text, "AH0"))
	}
	r := &rig{t: t, dir: t.TempDir(), spec: spec}
	store, err := campaign.Create(r.dir, spec, wake, words, "test")
	if err != nil {
		t.Fatal(err)
	}
	r.use(store)
	new(recorded).use(r)
	r.run()
	names, _ := evidenceIn(t, r.dir)
	if len(names) != 1+len(texts) {
		t.Errorf("%d files of %d plays: %q", len(names), 1+len(texts), names)
	}
	for text, want := range texts {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, want+"flite-kal16_") }) {
			t.Errorf("no file of %.20q with %q in its name: %q", text, want, names)
		}
	}
	for _, name := range names {
		if len(name) > 230 || !utf8.ValidString(name) || strings.HasPrefix(name, ".") {
			t.Errorf("a file's name: %q", name)
		}
	}
}

// Evidence that can't be kept costs no play, and is told of once.
func TestEvidenceThatFails(t *testing.T) {
	for name, tt := range map[string]struct {
		breaks func(*testing.T, *recorded)
		says   string
		kept   int
	}{
		"not remembered": {func(_ *testing.T, d *recorded) { d.fails = errBroken }, "broken", 0},
		"no folder": {func(t *testing.T, d *recorded) {
			if err := os.WriteFile(filepath.Join(d.rig.dir, "evidence"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a directory", -1},
		"full disk": {func(t *testing.T, d *recorded) {
			dir := filepath.Join(d.rig.dir, "evidence")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k")
			if errors.Is(err, unix.EPERM) {
				t.Skip("only root, with the capability to administer the system, can mount a disk")
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
			d.size = 24 << 10 // two in 16 pages
		}, "no space left on device", 2},
		"limit": {func(_ *testing.T, d *recorded) { d.size = 400_000 }, "evidence.limit_mb", 2},
	} {
		t.Run(name, func(t *testing.T) {
			d := newRecorded(t, evidenceSpec(t, "evidence: {quiet: 0, limit_mb: 1}\n"))
			tt.breaks(t, d)
			var notes []string
			d.rig.Note = func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
			if tally := d.rig.run(); tally.Left() != 0 {
				t.Errorf("%d plays are left", tally.Left())
			}
			if len(notes) != 1 || !strings.Contains(notes[0], tt.says) || strings.Contains(notes[0], "\n") {
				t.Errorf("notes %q, want one that says %q", notes, tt.says)
			}
			reacted := 0
			for _, a := range d.rig.attempts() {
				if a.State == bench.Reacted {
					reacted++
				}
			}
			failed := strings.Count(d.rig.log.String(), "evidence not kept")
			if failed != reacted-max(tt.kept, 0) {
				t.Errorf("%d of %d are logged as not kept, want all but %d", failed, reacted, tt.kept)
			}
			if tt.kept < 0 {
				return
			}
			if names, _ := evidenceIn(t, d.rig.dir); len(names) != tt.kept {
				t.Errorf("kept %q, want %d files and no part of one", names, tt.kept)
			}
		})
	}
}

// What stands in the folder counts, in whatever session it came there; what a
// killed process was writing goes; what is not evidence stays.
func TestEvidenceFolderIsTakenAsItIs(t *testing.T) {
	spec := evidenceSpec(t, "evidence: {quiet: 0, limit_mb: 1}\n")
	d := newRecorded(t, spec)
	dir := filepath.Join(d.rig.dir, "evidence")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"earlier.pcapng": 700_000, ".half.pcapng123": 700_000, "notes.txt": 700_000} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d.size = 200_000
	d.rig.run()
	names, _ := evidenceIn(t, d.rig.dir)
	if len(names) != 3 || !strings.Contains(names[0], "_alexa_") || names[1] != "earlier.pcapng" || names[2] != "notes.txt" {
		t.Errorf("kept %q", names)
	}
	folder, files, size, err := campaign.Evidence(d.rig.dir)
	if folder != dir || files != 2 || size < 900_000 || size > 1_000_000 || err != nil {
		t.Errorf("%d files of %d bytes in %s, %v", files, size, folder, err)
	}
	if _, files, _, err := campaign.Evidence(t.TempDir()); files != 0 || err != nil {
		t.Errorf("without a folder: %d files, %v", files, err)
	}

	off := evidenceSpec(t, "evidence: {limit_mb: 0}\n")
	none := newRecorded(t, off)
	none.rig.run()
	if len(none.asked) > 0 {
		t.Errorf("%d files were written, for nothing", len(none.asked))
	}
}
