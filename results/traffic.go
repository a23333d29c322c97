package results

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"
	"time"

	"go.etcd.io/bbolt"

	"wakefuzz/bench"
	"wakefuzz/oracle/traffic"
)

// Traffic is stored apart from the attempts, so that what lies between two
// plays is there as well, and packets of two overlapping spans only once. A
// record is a stretch of time. Its key ends with the end of the stretch: the
// first record that can hold a packet of some instant is found by one search.

// trafficSchema is the first schema with traffic and clock.
const trafficSchema = 2

// batchesSchema is the first schema with candidates and batches.
const batchesSchema = 3

// stream is whose traffic it is: a bench of a session, with a clock of its own.
type stream struct{ session, bench uint32 }

func streamOf(session uint32, number int) (stream, error) {
	if number < 0 || number > math.MaxInt32 {
		return stream{}, fmt.Errorf("bench %d: there is no such bench", number)
	}
	return stream{session, uint32(number)}, nil
}

func (s stream) String() string { return fmt.Sprintf("session %d, bench %d", s.session, s.bench) }

// The key of a record of traffic is its session and its bench, big-endian
// uint32, and the end of the stretch, big-endian int64 with the sign turned
// over, so that keys are in the order of time.
const (
	streamLen     = 8
	trafficKeyLen = streamLen + 8
	signBit       = 1 << 63
)

func (s stream) key(end bench.Instant) []byte {
	key := make([]byte, 0, trafficKeyLen)
	key = binary.BigEndian.AppendUint32(key, s.session)
	key = binary.BigEndian.AppendUint32(key, s.bench)
	return binary.BigEndian.AppendUint64(key, uint64(end)^signBit)
}

// end is the instant in a key of the stream, if it is one.
func (s stream) end(key []byte) (bench.Instant, bool) {
	if len(key) != trafficKeyLen || !bytes.Equal(key[:streamLen], s.key(0)[:streamLen]) {
		return 0, false
	}
	return bench.Instant(binary.BigEndian.Uint64(key[streamLen:]) ^ signBit), true
}

func (t Traffic) empty() bool {
	return t.Watched == bench.Span{} && len(t.Packets) == 0 && t.Dropped == 0
}

func (t Traffic) validate() error {
	if t.Watched.Start >= t.Watched.End || t.Watched.Duration() < 0 {
		return fmt.Errorf("a stretch from %d to %d", t.Watched.Start, t.Watched.End)
	}
	last := t.Watched.Start
	for i, p := range t.Packets {
		if p.At < last || p.At >= t.Watched.End {
			return fmt.Errorf("packet %d, at %d, is out of order, or out of its stretch from %d to %d", i, p.At, t.Watched.Start, t.Watched.End)
		}
		if p.Direction > bench.Incoming {
			return fmt.Errorf("packet %d has no known direction: %d", i, p.Direction)
		}
		last = p.At
	}
	return nil
}

// pieces cuts a stretch into such as a record of so many bytes holds. A piece
// does not say which of the packets that were dropped it lacks, so each may
// lack all of them.
func (t Traffic) pieces(size int) iter.Seq[Traffic] {
	return func(yield func(Traffic) bool) {
		for {
			_, cut := packPackets(t.Packets, t.Watched.Start, size-wireTrafficHead)
			// A span can't end between two packets of the same time.
			for cut < len(t.Packets) && cut > 0 && t.Packets[cut].At == t.Packets[cut-1].At {
				cut++
			}
			if cut == len(t.Packets) {
				yield(t)
				return
			}
			piece := t
			piece.Packets, t.Packets = t.Packets[:cut], t.Packets[cut:]
			piece.Watched.End, t.Watched.Start = t.Packets[0].At, t.Packets[0].At
			if !yield(piece) {
				return
			}
		}
	}
}

// putTraffic appends to the stream. What goes on where its last record ended
// is put into that record as far as there is room, so that records are of a
// size that suits the pages of the file, however short the stretches are.
func putTraffic(tx *bbolt.Tx, s stream, t Traffic) error {
	if err := t.validate(); err != nil {
		return err
	}
	b := tx.Bucket(packetsBucket)
	b.FillPercent = 1
	if key, value := s.last(b); key != nil {
		last, err := s.decode(key, value)
		if err != nil {
			return err
		}
		if t.Watched.Start < last.Watched.End {
			return fmt.Errorf("a stretch from %d, but the one before ends at %d", t.Watched.Start, last.Watched.End)
		}
		if t.Watched.Start == last.Watched.End && t.Dropped == 0 && last.Dropped == 0 {
			t.Watched.Start, t.Packets = last.Watched.Start, slices.Concat(last.Packets, t.Packets)
			if err := errors.Join(b.Delete(key), b.SetSequence(b.Sequence()-1)); err != nil {
				return err
			}
		}
	}
	// A leaf of bbolt has two records at least, and so has one that is full.
	size := (tx.DB().Info().PageSize-pageHeader)/2 - element - trafficKeyLen
	for piece := range t.pieces(size) {
		if _, err := b.NextSequence(); err != nil { // counts the records
			return err
		}
		if err := putSealed(b, packetsBucket, s.key(piece.Watched.End), encodeTraffic(piece)); err != nil {
			return err
		}
	}
	return nil
}

// decode is the stretch of a record of the stream.
func (s stream) decode(key, value []byte) (t Traffic, err error) {
	end, _ := s.end(key)
	body, err := unseal(packetsBucket, key, value)
	if err == nil {
		t, err = decodeTraffic(body, end)
	}
	if err != nil {
		return Traffic{}, fmt.Errorf("packets of %s up to %d: %w", s, end, err)
	}
	return t, nil
}

// last is the stream's last record, or nil.
func (s stream) last(b *bbolt.Bucket) (key, value []byte) {
	c := b.Cursor()
	if key, _ = c.Seek(stream{s.session, s.bench + 1}.key(math.MinInt64)); key == nil {
		key, value = c.Last()
	} else {
		key, value = c.Prev()
	}
	if _, ours := s.end(key); !ours {
		return nil, nil
	}
	return key, value
}

// checkTraffic returns an error unless all traffic that was written is there
// and sound.
func checkTraffic(tx *bbolt.Tx) error {
	b := tx.Bucket(packetsBucket)
	if b == nil {
		return errors.New("no packets")
	}
	var n uint64
	c := b.Cursor()
	for key, value := c.First(); key != nil; key, value = c.Next() {
		n++
		if len(key) != trafficKeyLen {
			return fmt.Errorf("packets: a key of %d bytes", len(key))
		}
		if _, err := unseal(packetsBucket, key, value); err != nil {
			return fmt.Errorf("packets: record %d: %w", n, err)
		}
	}
	if n != b.Sequence() {
		return fmt.Errorf("packets: %d records were written, %d are there", b.Sequence(), n)
	}
	return nil
}

// scan calls each with the stream's stretches that overlap the span, in the
// order of time, until it returns false.
func (s stream) scan(tx *bbolt.Tx, span bench.Span, each func(Traffic) bool) error {
	b := tx.Bucket(packetsBucket)
	if b == nil || span.Start >= span.End { // an older schema has no such bucket
		return nil
	}
	c := b.Cursor()
	for key, value := c.Seek(s.key(span.Start + 1)); ; key, value = c.Next() {
		if _, ours := s.end(key); !ours {
			return nil
		}
		t, err := s.decode(key, value)
		if err != nil {
			return err
		}
		if t.Watched.Start >= span.End || !each(t) {
			return nil
		}
	}
}

// packets appends the stream's packets in the span to a list. It leaves the
// last record that it decoded in memo, and takes what it can from there: the
// spans of one play after another are mostly in one record.
func (s stream) packets(tx *bbolt.Tx, span bench.Span, memo *Traffic, list []bench.Packet) ([]bench.Packet, error) {
	if memo.Watched.Start <= span.Start && span.Start < memo.Watched.End {
		list = append(list, within(memo.Packets, span)...)
		span.Start = memo.Watched.End
	}
	err := s.scan(tx, span, func(t Traffic) bool {
		list = append(list, within(t.Packets, span)...)
		*memo = t
		return true
	})
	return list, err
}

// within is the part of the packets, which are in the order of time, that lies
// in the span.
func within(packets []bench.Packet, span bench.Span) []bench.Packet {
	if span.Start >= span.End {
		return nil
	}
	from := func(t bench.Instant) int {
		return sort.Search(len(packets), func(i int) bool { return packets[i].At >= t })
	}
	return packets[from(span.Start):from(span.End)]
}

// citePackets says how many packets will be read back for each observation of
// the attempt, or nil where none has any. That it returns an error where those that were observed are not
// among them is what makes it safe to store them no second time.
func citePackets(tx *bbolt.Tx, a Attempt) ([]int, error) {
	var cited []int
	for i, o := range a.Observations {
		if len(o.Packets) == 0 {
			continue
		}
		s, err := streamOf(a.Session, a.Bench)
		if err != nil {
			return nil, err
		}
		stored, err := s.packets(tx, o.Watched, new(Traffic), nil)
		if err != nil {
			return nil, err
		}
		found := 0
		for _, p := range stored {
			if found < len(o.Packets) && p == o.Packets[found] {
				found++
			}
		}
		if found < len(o.Packets) {
			return nil, fmt.Errorf("oracle %s saw a packet at %d that is not in the traffic of %s, or not in its order: store the traffic before, or with, what cites it",
				o.Oracle, o.Packets[found].At, s)
		}
		if cited == nil {
			cited = make([]int, len(a.Observations))
		}
		cited[i] = len(stored)
	}
	return cited, nil
}

// refill gives the attempt's observations their packets back. The memos are
// for attempts that are read one after the other.
func (r *Reader) refill(a storedAttempt, memos map[stream]*Traffic) error {
	return r.read(func(tx *bbolt.Tx) error {
		s, err := streamOf(a.Session, a.Bench)
		if err != nil {
			return err
		}
		if memos[s] == nil {
			memos[s] = new(Traffic)
		}
		for i, n := range a.packets {
			if n == 0 {
				continue
			}
			o := &a.Observations[i]
			// The number is a hint at most until it has been seen to be true.
			list := make([]bench.Packet, 0, max(0, min(n, 1<<10)))
			if o.Packets, err = s.packets(tx, o.Watched, memos[s], list); err != nil {
				return err
			}
			if len(o.Packets) != n {
				return fmt.Errorf("play %s, attempt %d: %d packets of %d are left", a.Play, a.Number, len(o.Packets), n)
			}
		}
		return nil
	})
}

// Traffic yields a bench's traffic in the span, in the order of time, as the
// stretches that overlap it. An error ends it. It keeps little of them in
// memory, and lets the store be written to meanwhile.
//
// The stretches need not be those that were stored: what went on without a gap
// and without a packet dropped may come back as one, and what is long comes
// back as several. Each of those counts all packets that were dropped in the
// whole, as no one knows where they are missing.
func (r *Reader) Traffic(session uint32, number int, span bench.Span) iter.Seq2[Traffic, error] {
	const batchSize = 1 << 14 // packets
	return func(yield func(Traffic, error) bool) {
		s, err := streamOf(session, number)
		for more := err == nil; more; {
			var batch []Traffic
			size := 0
			more = false
			err = r.read(func(tx *bbolt.Tx) error {
				return s.scan(tx, span, func(t Traffic) bool {
					batch = append(batch, t)
					size += 16 + len(t.Packets) // what a stretch without packets takes
					more = size >= batchSize
					return !more
				})
			})
			for _, t := range batch {
				if !yield(t, nil) {
					return
				}
				span.Start = t.Watched.End
			}
		}
		if err != nil {
			yield(Traffic{}, err)
		}
	}
}

// readOn makes what was observed of an attempt's traffic go on until so long after
// the sound, as far as there is more in the stream without a gap.
func (r *Reader) readOn(a Attempt, watch time.Duration) error {
	until := a.Sound.End.Add(watch)
	for i := range a.Observations {
		o := &a.Observations[i]
		if o.Oracle != traffic.Name || o.Fault != bench.NoFault || o.Watched.End >= until {
			continue
		}
		more := bench.Span{Start: o.Watched.End, End: until}
		for piece, err := range r.Traffic(a.Session, a.Bench, more) {
			if err != nil {
				return err
			}
			if piece.Watched.Start > o.Watched.End {
				break
			}
			o.Packets = append(o.Packets, within(piece.Packets, bench.Span{Start: o.Watched.End, End: until})...)
			o.Dropped += piece.Dropped
			o.Watched.End = min(piece.Watched.End, until)
		}
	}
	return nil
}

// Packets yields the packets of a bench's traffic in the span, in the order of
// time. An error ends it. [Reader.Traffic] tells a silent device from a capture
// that was not at work.
func (r *Reader) Packets(session uint32, number int, span bench.Span) iter.Seq2[bench.Packet, error] {
	return func(yield func(bench.Packet, error) bool) {
		for t, err := range r.Traffic(session, number, span) {
			if err != nil {
				yield(bench.Packet{}, err)
				return
			}
			for _, p := range within(t.Packets, span) {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

// Clock returns the moments that map the clock of a session's bench to the
// wall clock, in the order in which they were stored.
func (r *Reader) Clock(session uint32, number int) ([]bench.Pair, error) {
	s, err := streamOf(session, number)
	if err != nil || r.schema < trafficSchema {
		return nil, err
	}
	var pairs []bench.Pair
	for c, err := range journal(r, clockBucket, decodeClock) {
		if err != nil {
			return nil, err
		}
		if c.stream == s {
			pairs = append(pairs, c.pairs...)
		}
	}
	return pairs, nil
}
