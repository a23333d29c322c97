package results_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"wakefuzz/bench"
	"wakefuzz/results"
)

func TestWhatIsStoredComesBack(t *testing.T) {
	trials := plan(3, 2)
	trials[0].Guessed = true
	s, dir := create(t, trials)

	second, err := s.BeginSession(results.Session{Host: "pi"})
	if err != nil {
		t.Fatal(err)
	}
	if second != 2 {
		t.Errorf("the second session has ID %d", second)
	}
	want := []results.Attempt{
		attempt(play(trials[0], 0), 1, 1, 0.9),
		failed(play(trials[0], 1), 1, 1),
		attempt(play(trials[0], 1), 2, 2, 0.2),
		attempt(play(trials[2], 0), 1, 2, 1),
	}
	// What tests like to forget: two oracles, scores that are no numbers, a
	// sound before the clock's beginning.
	want[3].Observations = append(want[3].Observations, bench.Observation{Oracle: "light", Fault: bench.FaultDevice, Detail: "dark"})
	want[3].Observations[0].Scores.Values = []float32{float32(math.Inf(1)), -0.5, math.MaxFloat32}
	want[3].Sound.Start = -5
	void := results.Void{Play: want[0].Play, Number: 1, Reason: "control lost", Wall: campaign().Created}

	if err := s.Append(want[:2]...); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(want[2:]...); err != nil {
		t.Fatal(err)
	}
	if err := s.Void(void); err != nil {
		t.Fatal(err)
	}

	check := func(r *results.Reader) {
		t.Helper()
		if got := r.Campaign(); got != campaign() {
			t.Errorf("campaign: %+v", got)
		}
		if got := r.Trials(); !reflect.DeepEqual(got, trials) {
			t.Errorf("trials: %+v", got)
		}
		if got := all(t, r); !reflect.DeepEqual(got, want) {
			t.Errorf("attempts:\n%+v\nwant\n%+v", got, want)
		}
		voids, err := r.Voids()
		if err != nil || !reflect.DeepEqual(voids, []results.Void{void}) {
			t.Errorf("voids: %+v, %v", voids, err)
		}
		sessions, err := r.Sessions()
		if err != nil || len(sessions) != 2 || sessions[0].Facts["model"] != "alexa_v0.1" || sessions[1].ID != 2 {
			t.Errorf("sessions: %+v, %v", sessions, err)
		}
		progress, err := r.Progress()
		if err != nil {
			t.Fatal(err)
		}
		if done, planned := progress.Count(); done != 2 || planned != 6 {
			t.Errorf("%d of %d done, not 2 of 6", done, planned)
		}
		if progress.Done(want[0].Play) || !progress.Done(want[1].Play) || progress.Next(want[1].Play) != 3 {
			t.Error("progress is wrong")
		}
		if stranger := (results.PlayID{Index: 9}); progress.Done(stranger) || progress.Next(stranger) != 1 {
			t.Error("a play that is not planned has progress")
		}
	}
	check(s.Reader)
	r := view(t, dir) // a copy from the runner
	check(r)
	closing(t, r)
	closing(t, s)
	r = view(t, dir) // the file itself
	check(r)
	closing(t, r)

	s, err = results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, s)
	check(s.Reader)
	if third, err := s.BeginSession(results.Session{}); err != nil || third != 3 {
		t.Errorf("the third session has ID %d, %v", third, err)
	}
}

func TestTextThatIsNotUTF8IsStoredReadably(t *testing.T) {
	trials := plan(1, 1)
	s, _ := create(t, trials)
	defer closing(t, s)
	a := failed(play(trials[0], 0), 1, 1)
	a.Detail = "\xff device says \xc0"
	if err := s.Append(a); err != nil {
		t.Fatal(err)
	}
	if got := all(t, s.Reader)[0].Detail; got != "\uFFFD device says \uFFFD" {
		t.Errorf("%q", got)
	}
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	trials := plan(2, 2)
	s, _ := create(t, trials)
	defer closing(t, s)
	good := attempt(play(trials[0], 0), 1, 1, 0.9)
	huge := attempt(play(trials[1], 0), 1, 1, 0.9)
	huge.Observations[0].Scores.Values = make([]float32, 2<<20)
	many := attempt(play(trials[1], 0), 1, 1, 0.9)
	many.Observations = make([]bench.Observation, 2000)

	for name, bad := range map[string]results.Attempt{
		"unknown trial":     attempt(results.PlayID{}, 1, 1, 0),
		"index too high":    attempt(play(trials[0], 2), 1, 1, 0),
		"index negative":    attempt(play(trials[0], -1), 1, 1, 0),
		"number too high":   attempt(play(trials[0], 1), 2, 1, 0),
		"number zero":       attempt(play(trials[0], 1), 0, 1, 0),
		"number used":       attempt(play(trials[0], 0), 1, 1, 0),
		"session not begun": attempt(play(trials[0], 1), 1, 2, 0),
		"session zero":      attempt(play(trials[0], 1), 1, 0, 0),
		"too large":         huge,
		"too many":          many,
	} {
		if err := s.Append(good, bad); err == nil {
			t.Errorf("%s: stored", name)
		}
	}
	if n := len(all(t, s.Reader)); n != 0 {
		t.Errorf("%d attempts are stored of commits that failed", n)
	}
	// What failed leaves no trace in the numbers either.
	if err := s.Append(good, attempt(good.Play, 2, 1, 0.9)); err != nil {
		t.Error(err)
	}
	if err := s.Append(); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]results.Void{
		"unknown trial":    {Number: 1},
		"not yet":          {Play: good.Play, Number: 3},
		"number zero":      {Play: good.Play},
		"never attempted":  {Play: play(trials[1], 0), Number: 1},
		"index too high":   {Play: play(trials[0], 2), Number: 1},
		"index even lower": {Play: play(trials[0], -1), Number: 1},
	} {
		if err := s.Void(results.Void{Play: good.Play, Number: 1}, bad); err == nil {
			t.Errorf("%s: voided", name)
		}
	}
	if voids, err := s.Voids(); err != nil || len(voids) != 0 {
		t.Errorf("%d voids are stored of commits that failed, %v", len(voids), err)
	}
}

func TestCreateRefusesBadPlans(t *testing.T) {
	twice := plan(2, 1)
	twice[1].ID = twice[0].ID
	for name, trials := range map[string][]results.Trial{
		"empty":          nil,
		"twice":          twice,
		"no plays":       plan(1, 0),
		"too many plays": plan(3, 8<<20),
		"no role":        {{Plays: 1}},
	} {
		dir := filepath.Join(t.TempDir(), "campaign")
		if _, err := results.Create(dir, campaign(), trials); err == nil {
			t.Errorf("%s: created", name)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: a folder was made", name)
		}
	}
}

func TestFoldersWithoutOrWithAStore(t *testing.T) {
	empty := t.TempDir()
	for _, dir := range []string{empty, filepath.Join(empty, "nowhere")} {
		if _, err := results.Open(dir); !errors.Is(err, results.ErrNotFound) {
			t.Errorf("open %s: %v", dir, err)
		}
		if _, err := results.View(t.Context(), dir); !errors.Is(err, results.ErrNotFound) {
			t.Errorf("view %s: %v", dir, err)
		}
	}
	if left, _ := os.ReadDir(empty); len(left) != 0 {
		t.Errorf("looking for a store left %v behind", left)
	}

	s, dir := create(t, plan(1, 1))
	closing(t, s)
	if _, err := results.Create(dir, campaign(), plan(1, 1)); !errors.Is(err, results.ErrExists) {
		t.Errorf("create: %v", err)
	}

	// What a kill in the middle of an earlier creation leaves is no hindrance.
	dir = filepath.Join(t.TempDir(), "again")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "store.db.new"), []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	closing(t, createIn(t, dir, plan(1, 1)))
	if _, err := os.Stat(filepath.Join(dir, "store.db.new")); err == nil {
		t.Error("the leftover is still there")
	}
}

func TestASecondRunnerIsRefused(t *testing.T) {
	trials := plan(2, 1)
	s, dir := create(t, trials)
	defer closing(t, s)
	_, err := results.Open(dir)
	locked, ok := errors.AsType[*results.LockedError](err)
	if !ok {
		t.Fatalf("open: %v", err)
	}
	if locked.PID != os.Getpid() || locked.Host == "" || locked.Since.IsZero() {
		t.Errorf("%+v", locked)
	}
	if message := locked.Error(); !strings.Contains(message, "kill -INT") || !strings.Contains(message, dir) {
		t.Error(message)
	}
	if _, err := results.Create(dir, campaign(), trials); !errors.As(err, &locked) {
		t.Errorf("create: %v", err)
	}
	if err := s.Append(attempt(play(trials[0], 0), 1, 1, 0.9)); err != nil {
		t.Errorf("the first runner is disturbed: %v", err)
	}
}

func TestAttemptsCanBeAppendedWhileTheyAreRead(t *testing.T) {
	const plays = 300
	trials := plan(2, plays)
	s, _ := create(t, trials)
	defer closing(t, s)
	var first []results.Attempt
	for i := range plays {
		first = append(first, attempt(play(trials[0], i), 1, 1, 0.9))
	}
	if err := s.Append(first...); err != nil {
		t.Fatal(err)
	}
	n := 0
	for a, err := range s.Attempts() {
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Append(attempt(play(trials[1], a.Play.Index), 1, 1, 0.1)); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != plays {
		t.Errorf("the loop saw %d attempts, not the %d that were there", n, plays)
	}
	if n := len(all(t, s.Reader)); n != 2*plays {
		t.Errorf("%d attempts", n)
	}
	for range s.Attempts() {
		break // a loop can be left
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	s, dir := create(t, plan(1, 1))
	closing(t, s)
	rewrite(t, dir, "header", "schema", binary.BigEndian.AppendUint32(nil, 4))
	if _, err := results.Open(dir); !errors.Is(err, results.ErrNewerSchema) {
		t.Errorf("open: %v", err)
	}
	if _, err := results.View(t.Context(), dir); !errors.Is(err, results.ErrNewerSchema) || errors.Is(err, results.ErrDamaged) {
		t.Errorf("view: %v", err)
	}
}

// rewrite gives a key another value, sealed as the package comment says.
func rewrite(t *testing.T, dir, bucket, key string, body []byte) {
	t.Helper()
	sum := crc32.Checksum([]byte(bucket+key+string(body)), crc32.MakeTable(crc32.Castagnoli))
	edit(t, dir, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucket)).Put([]byte(key), append(binary.LittleEndian.AppendUint32(nil, sum), body...))
	})
}

// edit changes the store behind the package's back.
func edit(t *testing.T, dir string, fn func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "store.db"), 0o644, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, db)
	if err := db.Update(fn); err != nil {
		t.Fatal(err)
	}
}

func TestPlayIDs(t *testing.T) {
	a, b := play(trial("a", "", 2), 0), play(trial("a", "", 2), 1)
	if a.Seed() == b.Seed() {
		t.Error("two plays have one seed")
	}
	if want := a.Trial.String() + "#1"; a.String() != want {
		t.Errorf("%s, not %s", a, want)
	}
}
