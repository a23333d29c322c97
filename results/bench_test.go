package results_test

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"wakefuzz/bench"
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

// speaker is a stretch of what a smart speaker sends and gets, as the paper's
// section 4 describes it: keep-alives every few seconds, and where it reacted
// three seconds of speech, 16 bit at 16 kHz over TLS, with the answer to it.
func speaker(r *rand.Rand, watched bench.Span, reacted bool) []bench.Packet {
	var packets []bench.Packet
	add := func(at bench.Instant, payload int32, d bench.Direction) {
		at += bench.Instant(r.Int64N(int64(3 * time.Millisecond)))
		if at < watched.End {
			packets = append(packets, bench.Packet{At: at, Size: payload + 66, Payload: payload, Direction: d})
		}
	}
	const ms = bench.Instant(time.Millisecond)
	for at := watched.Start + bench.Instant(r.Int64N(int64(time.Second))); at < watched.End; at += 2 * second {
		for range 3 {
			add(at, 31+r.Int32N(200), bench.Outgoing)
			add(at+20*ms, 31+r.Int32N(200), bench.Incoming)
			add(at+21*ms, 0, bench.Outgoing)
		}
	}
	if reacted {
		for at := watched.Start + second; at < watched.Start+4*second; at += 90 * ms {
			add(at, 1448, bench.Outgoing)
			add(at, 1432+r.Int32N(16), bench.Outgoing)
			add(at+25*ms, 0, bench.Incoming)
		}
		for at := watched.Start + 4*second; at < watched.Start+5*second; at += 20 * ms {
			add(at, 1448, bench.Incoming)
			add(at, 0, bench.Outgoing)
		}
	}
	slices.SortFunc(packets, func(a, b bench.Packet) int { return cmp.Compare(a.At, b.At) })
	return packets
}

// night fills a store with plays, eight seconds each, and says how many packets
// that makes. One play in two reacts.
func night(b *testing.B, s *results.Store, t results.Trial, plays, commit int, traffic bool) (packets int) {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for from := 0; from < plays; from += commit {
		watched := bench.Span{Start: bench.Instant(from) * 8 * second, End: bench.Instant(from+commit) * 8 * second}
		observed := results.Observed{Session: 1, Bench: 1, Traffic: []results.Traffic{{Watched: watched}}}
		var group []results.Attempt
		for i := from; i < from+commit; i++ {
			a := later(attempt(play(t, i), 1, 1, float32(i%2)), time.Duration(i)*8*time.Second)
			a.Observations[0].Scores = bench.Series{}
			o := bench.Observation{Oracle: "traffic", Watched: bench.Span{Start: bench.Instant(i) * 8 * second}}
			o.Watched.End = o.Watched.Start + 8*second
			if traffic {
				o.Packets = speaker(r, o.Watched, i%2 == 1)
				observed.Traffic[0].Packets = append(observed.Traffic[0].Packets, o.Packets...)
			}
			a.Observations = append(a.Observations, o)
			group = append(group, a)
		}
		packets += len(observed.Traffic[0].Packets)
		if !traffic {
			observed = results.Observed{}
		}
		if err := s.AppendObserved(observed, group...); err != nil {
			b.Fatal(err)
		}
	}
	return packets
}

// BenchmarkTraffic stores a play with its packets in a synced commit, and reads
// them again: as a stream, and with the attempts, beside attempts without.
func BenchmarkTraffic(b *testing.B) {
	trials := plan(1, 1<<20)
	b.Run("store", func(b *testing.B) {
		s, dir := create(b, trials)
		b.ResetTimer()
		packets := night(b, s, trials[0], b.N, 1, true)
		b.ReportMetric(float64(packets)/b.Elapsed().Seconds(), "packets/s")
		closing(b, s)
		b.ReportMetric(float64(trafficSize(b, dir))/float64(packets), "B/packet")
	})
	const plays = 10_000
	s, _ := create(b, trials)
	defer closing(b, s)
	packets := night(b, s, trials[0], plays, 500, true)
	b.Run("stream", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, err := range s.Packets(1, 1, everything) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != packets {
				b.Fatalf("%d packets, not %d", n, packets)
			}
		}
		b.ReportMetric(float64(b.N*packets)/b.Elapsed().Seconds(), "packets/s")
	})
	bare, _ := create(b, trials)
	defer closing(b, bare)
	night(b, bare, trials[0], plays, 500, false)
	for name, s := range map[string]*results.Store{"attempts": s, "attempts-without": bare} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for _, err := range s.Attempts() {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N*plays)/b.Elapsed().Seconds(), "attempts/s")
		})
	}
}

// trafficSize is how many bytes of the store's file hold traffic.
func trafficSize(b *testing.B, dir string) (size int) {
	b.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "store.db"), 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	defer closing(b, db)
	if err := db.View(func(tx *bbolt.Tx) error {
		stats := tx.Bucket([]byte("packets")).Stats()
		size = stats.LeafAlloc + stats.BranchAlloc
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return size
}
