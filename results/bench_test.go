package results_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"wakefuzz/results"
)

// BenchmarkCommit stores one attempt in a synced commit, and beside it does
// with as many bytes what the store is built on: a bare commit of bbolt, and a
// bare file that is appended to and synced.
func BenchmarkCommit(b *testing.B) {
	trials := plan(1, 1<<20)
	next := func(n int) results.Attempt { return attempt(play(trials[0], n), 1, 1, 0.9) }
	record := make([]byte, recordSize(b, next(0)))
	report := func(b *testing.B) { b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s") }

	b.Run("store", func(b *testing.B) {
		s, _ := create(b, trials)
		defer closing(b, s)
		n := 0
		for b.Loop() {
			if err := s.Append(next(n)); err != nil {
				b.Fatal(err)
			}
			n++
		}
		report(b)
	})
	b.Run("bbolt", func(b *testing.B) {
		db, err := bbolt.Open(filepath.Join(b.TempDir(), "db"), 0o600, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer closing(b, db)
		bucket := []byte("attempts")
		if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(bucket); return err }); err != nil {
			b.Fatal(err)
		}
		var n uint64
		for b.Loop() {
			if err := db.Update(func(tx *bbolt.Tx) error {
				attempts := tx.Bucket(bucket)
				attempts.FillPercent = 1
				return attempts.Put(binary.BigEndian.AppendUint64(nil, n), record)
			}); err != nil {
				b.Fatal(err)
			}
			n++
		}
		report(b)
	})
	b.Run("file", func(b *testing.B) {
		f, err := os.OpenFile(filepath.Join(b.TempDir(), "file"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		defer closing(b, f)
		for b.Loop() {
			if _, err := f.Write(record); err != nil {
				b.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
		report(b)
	})
}

// recordSize is how many bytes the store makes of an attempt.
func recordSize(b *testing.B, a results.Attempt) int {
	b.Helper()
	s, dir := create(b, plan(1, 1<<20))
	if err := s.Append(a); err != nil {
		b.Fatal(err)
	}
	closing(b, s)
	db, err := bbolt.Open(filepath.Join(dir, "store.db"), 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	defer closing(b, db)
	size := 0
	if err := db.View(func(tx *bbolt.Tx) error {
		_, value := tx.Bucket([]byte("attempts")).Cursor().First()
		size = len(value)
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return size
}
