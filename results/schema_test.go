package results_test

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"wakefuzz/bench"
	"wakefuzz/results"
)

// schema1 is what testdata/schema1.db.gz holds, a store that was written by the
// program when its schema was 1. Its first session is that of create.
func schema1() (trials []results.Trial, attempts []results.Attempt, void results.Void) {
	trials = plan(3, 2)
	attempts = []results.Attempt{
		attempt(play(trials[0], 0), 1, 1, 0.9),
		failed(play(trials[0], 1), 1, 1),
		attempt(play(trials[0], 1), 2, 1, 0.2),
		attempt(play(trials[1], 0), 1, 1, 0.7),
		attempt(play(trials[2], 0), 1, 1, 1),
	}
	watched := attempts[3].Observations[0].Watched
	attempts[3].Observations = append(attempts[3].Observations, bench.Observation{
		Oracle:  "light",
		Watched: watched,
		Edges:   []bench.Edge{{At: watched.Start}, {At: watched.Start.Add(time.Second), Lit: true}},
	})
	return trials, attempts, results.Void{Play: attempts[0].Play, Number: 1, Reason: "control lost", Wall: campaign().Created}
}

// oldStore puts the store of schema 1 into a folder, as it was or edited.
func oldStore(t *testing.T) (dir string) {
	t.Helper()
	packed, err := os.Open(filepath.Join("testdata", "schema1.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "store.db"), file, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAStoreOfSchema1IsReadAndContinued(t *testing.T) {
	dir := oldStore(t)
	trials, attempts, void := schema1()
	check := func(r *results.Reader, attempts []results.Attempt) {
		t.Helper()
		got, err := read(r)
		if err != nil {
			t.Fatal(err)
		}
		if got.campaign != campaign() || !reflect.DeepEqual(got.trials, trials) || len(got.sessions) != 1 ||
			!reflect.DeepEqual(got.attempts, attempts) || !reflect.DeepEqual(got.voids, []results.Void{void}) {
			t.Errorf("%+v", got)
		}
	}
	before, err := os.ReadFile(filepath.Join(dir, "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	r := view(t, dir)
	check(r, attempts)
	if pairs, err := r.Clock(1, 1); err != nil || pairs != nil {
		t.Errorf("clock: %v, %v", pairs, err)
	}
	for range r.Packets(1, 1, bench.Span{End: 1e12}) {
		t.Error("a packet from nowhere")
	}
	closing(t, r)
	if after, err := os.ReadFile(filepath.Join(dir, "store.db")); err != nil || string(after) != string(before) {
		t.Errorf("reading has changed the store, %v", err)
	}

	for range 2 { // upgraded, then as it is
		s, err := results.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		check(s.Reader, attempts)
		a := watching(attempt(play(trials[1], 0), len(attempts)-3, 1, 0.9))
		traffic := results.Traffic{Watched: a.Observations[1].Watched, Packets: a.Observations[1].Packets}
		if len(attempts) > 5 {
			traffic = results.Traffic{} // is stored already
		}
		if err := s.AppendObserved(results.Observed{Session: 1, Bench: a.Bench, Traffic: []results.Traffic{traffic}}, a); err != nil {
			t.Fatal(err)
		}
		attempts = append(attempts, a)
		check(s.Reader, attempts)
		closing(t, s)
	}
	checkFile(t, dir)
}

func TestAnOldStoreThatIsDamagedIsNotUpgraded(t *testing.T) {
	dir := oldStore(t)
	edit(t, dir, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("voids")).Delete([]byte{0, 0, 0, 0, 0, 0, 0, 1})
	})
	if _, err := results.Open(dir); !errors.Is(err, results.ErrDamaged) {
		t.Errorf("open: %v", err)
	}
	edit(t, dir, func(tx *bbolt.Tx) error {
		if tx.Bucket([]byte("packets")) != nil {
			t.Error("the store was upgraded")
		}
		return nil
	})
}
