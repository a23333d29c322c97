package results_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
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

// content is all that a store holds.
type content struct {
	campaign results.Campaign
	trials   []results.Trial
	sessions []results.Session
	attempts []results.Attempt
	voids    []results.Void
	traffic  []results.Traffic
	clock    []bench.Pair
}

func read(r *results.Reader) (c content, err error) {
	c.campaign, c.trials = r.Campaign(), r.Trials()
	if c.sessions, err = r.Sessions(); err != nil {
		return c, err
	}
	if c.voids, err = r.Voids(); err != nil {
		return c, err
	}
	for a, err := range r.Attempts() {
		if err != nil {
			return c, err
		}
		c.attempts = append(c.attempts, a)
	}
	for t, err := range r.Traffic(1, 1, bench.Span{End: math.MaxInt64}) {
		if err != nil {
			return c, err
		}
		c.traffic = append(c.traffic, t)
	}
	c.clock, err = r.Clock(1, 1)
	return c, err
}

// sample is a store with pages of all kinds: branches, overflow, free ones.
func sample(t testing.TB, commits int) (dir string, file []byte, want content) {
	t.Helper()
	trials := plan(20, 100)
	s, dir := create(t, trials)
	for i := range commits {
		var group []results.Attempt
		for j := range 3 {
			group = append(group, attempt(play(trials[i%20], (i/20)*3+j), 1, 1, 0.9))
		}
		if i%20 == 5 {
			group[0].Observations[0].Scores.Values = make([]float32, 1500)
		}
		observed := results.Observed{
			Session: 1, Bench: 1,
			Clock: []bench.Pair{{At: bench.Instant(i), Wall: group[0].Wall}},
		}
		if i%4 == 0 {
			group[2] = watching(later(group[2], time.Duration(i)*100*time.Second))
			seen := group[2].Observations[1]
			observed.Traffic = []results.Traffic{{Watched: seen.Watched, Packets: seen.Packets}}
		}
		if err := s.AppendObserved(observed, group...); err != nil {
			t.Fatal(err)
		}
		if i%7 == 0 {
			if err := s.Void(results.Void{Play: group[1].Play, Number: 1, Reason: "test"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	want, err := read(s.Reader)
	if err != nil {
		t.Fatal(err)
	}
	closing(t, s)
	if file, err = os.ReadFile(filepath.Join(dir, "store.db")); err != nil {
		t.Fatal(err)
	}
	return dir, file, want
}

// readDamaged reads a store from the bytes of its file.
func readDamaged(t testing.TB, dir string, file []byte) (content, error) {
	t.Helper()
	path := filepath.Join(dir, "store.db")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := results.View(t.Context(), dir)
	if err != nil {
		return content{}, err
	}
	defer closing(t, r)
	return read(r)
}

func TestDamageIsFound(t *testing.T) {
	_, sound, want := sample(t, 40)
	damage := t.TempDir()
	pageSize := os.Getpagesize()
	random := rand.New(rand.NewPCG(1, 2))
	var found, harmless int
	try := func(what string, file []byte, metaTouched bool) {
		t.Helper()
		got, err := readDamaged(t, damage, file)
		switch {
		case errors.Is(err, results.ErrDamaged):
			found++
			if message := err.Error(); strings.Contains(message, "\n") || !strings.Contains(message, "left as it is") {
				t.Errorf("%s: %q", what, message)
			}
		case err != nil:
			t.Errorf("%s: %v", what, err)
		case reflect.DeepEqual(got, want):
			harmless++
		case metaTouched && len(got.attempts)+len(got.voids) >= len(want.attempts)+len(want.voids)-3 &&
			reflect.DeepEqual(got.attempts, want.attempts[:len(got.attempts)]):
			harmless++ // the last commit is taken back
		default:
			t.Errorf("%s: wrong data", what)
		}
	}
	for range 500 {
		file := bytes.Clone(sound)
		at := random.IntN(len(file))
		if random.IntN(3) == 0 { // page headers and element tables are a small part
			at = at/pageSize*pageSize + random.IntN(64)
		}
		file[at] ^= 1 << random.IntN(8)
		try("a flipped bit", file, at < 2*pageSize)
	}
	for range 80 {
		file := bytes.Clone(sound)
		from, to := random.IntN(len(file)/pageSize), random.IntN(len(file)/pageSize)
		copy(file[to*pageSize:(to+1)*pageSize], file[from*pageSize:])
		try("a page in the place of another", file, to < 2)
	}
	for range 60 {
		file := bytes.Clone(sound)
		to := 2 + random.IntN(len(file)/pageSize-2)
		for i := range pageSize {
			file[to*pageSize+i] = byte(random.Uint32())
		}
		try("a page of noise", file, false)
	}
	for range 60 {
		try("cut off", sound[:random.IntN(len(sound))], false)
	}
	try("empty", nil, false)
	try("noise", bytes.Repeat([]byte("noise"), 10_000), false)
	if found < 200 || harmless < 50 {
		t.Errorf("%d kinds of damage found and %d harmless: the test has lost its bite", found, harmless)
	}
}

func TestADamagedStoreIsNotWrittenTo(t *testing.T) {
	dir, sound, _ := sample(t, 20)
	path := filepath.Join(dir, "store.db")
	defer os.WriteFile(path, sound, 0o644) // for the check at the end
	at := bytes.LastIndex(sound, []byte("engine score"))
	file := bytes.Clone(sound)
	file[at]++
	for _, file := range [][]byte{file, sound[:len(sound)/2], nil} {
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
		if s, err := results.Open(dir); !errors.Is(err, results.ErrDamaged) {
			t.Errorf("open: %v", err)
			if err == nil {
				closing(t, s)
			}
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, file) {
			t.Errorf("the file was changed, %v", err)
		}
	}
}

func TestARecordThatIsMissingIsDamage(t *testing.T) {
	key := func(n byte) []byte { return []byte{0, 0, 0, 0, 0, 0, 0, n} }
	for name, damage := range map[string]func(*bbolt.Tx) error{
		"first attempt":  func(tx *bbolt.Tx) error { return tx.Bucket([]byte("attempts")).Delete(key(1)) },
		"middle attempt": func(tx *bbolt.Tx) error { return tx.Bucket([]byte("attempts")).Delete(key(7)) },
		"last attempt":   func(tx *bbolt.Tx) error { return tx.Bucket([]byte("attempts")).Delete(key(60)) },
		"session":        func(tx *bbolt.Tx) error { return tx.Bucket([]byte("sessions")).Delete(key(1)) },
		"trial":          func(tx *bbolt.Tx) error { return tx.Bucket([]byte("trials")).Delete(key(3)) },
		"bucket":         func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("voids")) },
		"header":         func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("header")) },
		"schema":         func(tx *bbolt.Tx) error { return tx.Bucket([]byte("header")).Delete([]byte("schema")) },
		"campaign":       func(tx *bbolt.Tx) error { return tx.Bucket([]byte("header")).Delete([]byte("campaign")) },
		"all trials": func(tx *bbolt.Tx) error {
			if err := tx.DeleteBucket([]byte("trials")); err != nil {
				return err
			}
			_, err := tx.CreateBucket([]byte("trials"))
			return err
		},
		"first packets": func(tx *bbolt.Tx) error { return deleteOne(tx.Bucket([]byte("packets")), (*bbolt.Cursor).First) },
		"last packets":  func(tx *bbolt.Tx) error { return deleteOne(tx.Bucket([]byte("packets")), (*bbolt.Cursor).Last) },
		"all packets":   func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("packets")) },
		"last pair":     func(tx *bbolt.Tx) error { return tx.Bucket([]byte("clock")).Delete(key(20)) },
		"all pairs":     func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("clock")) },
		"more packets": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("packets")).Put([]byte("key"), []byte("value"))
		},
		"swapped": func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("attempts"))
			return b.Put(key(2), bytes.Clone(b.Get(key(5))))
		},
	} {
		dir, _, _ := sample(t, 20)
		edit(t, dir, damage)
		if _, err := results.Open(dir); !errors.Is(err, results.ErrDamaged) {
			t.Errorf("%s: open: %v", name, err)
		}
	}
}

func deleteOne(b *bbolt.Bucket, which func(*bbolt.Cursor) (key, value []byte)) error {
	key, _ := which(b.Cursor())
	return b.Delete(key)
}

// A file that is cut short under a reader is a bus error to a program that has
// it mapped.
func TestAFileCutShortWhileItIsRead(t *testing.T) {
	dir, sound, _ := sample(t, 60)
	path := filepath.Join(dir, "store.db")
	defer os.WriteFile(path, sound, 0o644)
	r := view(t, dir)
	defer closing(t, r)
	if err := os.Truncate(path, 2*int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	if _, err := read(r); !errors.Is(err, results.ErrDamaged) {
		t.Errorf("read: %v", err)
	}
	if _, err := results.Tally(r, judging(0.5)); !errors.Is(err, results.ErrDamaged) {
		t.Errorf("tally: %v", err)
	}
	if _, err := r.Progress(); !errors.Is(err, results.ErrDamaged) {
		t.Errorf("progress: %v", err)
	}
}

func FuzzView(f *testing.F) {
	_, sound, _ := sample(f, 4)
	f.Add(sound)
	f.Add(sound[:len(sound)/2])
	f.Add([]byte{})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 1<<20 {
			return
		}
		if _, err := readDamaged(t, dir, file); err != nil &&
			!errors.Is(err, results.ErrDamaged) && !errors.Is(err, results.ErrNewerSchema) {
			t.Error(err)
		}
	})
}
