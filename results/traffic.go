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

	"go.etcd.io/bbolt"

	"wakefuzz/bench"
)

// Traffic is stored apart from the attempts, so that what lies between two
// plays is there as well, and packets of two overlapping spans only once. A
// record is a stretch of time. Its key ends with the end of the stretch: the
// first record that can hold a packet of some instant is found by one search.

// trafficSchema is the first schema with traffic and clock.
const trafficSchema = 2

// maxStretch is how many packets a record of traffic has; more are stored as
// several stretches. It bounds what reading a span takes.
const maxStretch = 1 << 14

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

// pieces cuts a stretch into such as a record holds. A piece does not say which
// of the packets that were dropped it lacks, so each may lack all of them.
func (t Traffic) pieces() iter.Seq[Traffic] {
	return func(yield func(Traffic) bool) {
		for len(t.Packets) > maxStretch {
			cut := maxStretch
			for cut < len(t.Packets) && t.Packets[cut].At == t.Packets[cut-1].At {
				cut++
			}
			if cut == len(t.Packets) {
				break
			}
			piece := t
			piece.Packets, t.Packets = t.Packets[:cut], t.Packets[cut:]
			piece.Watched.End, t.Watched.Start = t.Packets[0].At, t.Packets[0].At
			if !yield(piece) {
				return
			}
		}
		yield(t)
	}
}

func putTraffic(tx *bbolt.Tx, s stream, t Traffic) error {
	if err := t.validate(); err != nil {
		return err
	}
	b := tx.Bucket(packetsBucket)
	b.FillPercent = 1
	if end, any := s.last(b); any && t.Watched.Start < end {
		return fmt.Errorf("a stretch from %d, but the one before ends at %d", t.Watched.Start, end)
	}
	for piece := range t.pieces() {
		if _, err := b.NextSequence(); err != nil { // counts the records
			return err
		}
		if err := putSealed(b, packetsBucket, s.key(piece.Watched.End), encodeTraffic(piece)); err != nil {
			return err
		}
	}
	return nil
}

// last is the end of the stream's last stretch, if there is one.
func (s stream) last(b *bbolt.Bucket) (end bench.Instant, any bool) {
	c := b.Cursor()
	key, _ := c.Seek(stream{s.session, s.bench + 1}.key(math.MinInt64))
	if key == nil {
		key, _ = c.Last()
	} else {
		key, _ = c.Prev()
	}
	return s.end(key)
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
		end, ours := s.end(key)
		if !ours {
			return nil
		}
		body, err := unseal(packetsBucket, key, value)
		var t Traffic
		if err == nil {
			t, err = decodeTraffic(body, end)
		}
		if err != nil {
			return fmt.Errorf("packets of %s up to %d: %w", s, end, err)
		}
		if t.Watched.Start >= span.End || !each(t) {
			return nil
		}
	}
}

// packets are the stream's packets in the span.
func (s stream) packets(tx *bbolt.Tx, span bench.Span) (packets []bench.Packet, err error) {
	err = s.scan(tx, span, func(t Traffic) bool {
		packets = append(packets, within(t.Packets, span)...)
		return true
	})
	return packets, err
}

// within is the part of the packets, which are in the order of time, that lies
// in the span.
func within(packets []bench.Packet, span bench.Span) []bench.Packet {
	from := func(t bench.Instant) int {
		return sort.Search(len(packets), func(i int) bool { return packets[i].At >= t })
	}
	return packets[from(span.Start):from(span.End)]
}

// checkPackets returns an error unless the packets of the attempt are those
// that will be read back for it.
func checkPackets(tx *bbolt.Tx, a Attempt) error {
	for _, o := range a.Observations {
		if len(o.Packets) == 0 {
			continue
		}
		s, err := streamOf(a.Session, a.Bench)
		if err != nil {
			return err
		}
		stored, err := s.packets(tx, o.Watched)
		if err != nil {
			return err
		}
		if !slices.Equal(o.Packets, stored) {
			return fmt.Errorf("oracle %s saw %d packets from %d to %d, but the traffic of %s has %d, or others: store the traffic before, or with, what cites it",
				o.Oracle, len(o.Packets), o.Watched.Start, o.Watched.End, s, len(stored))
		}
	}
	return nil
}

// refill gives the attempt's observations their packets back.
func (r *Reader) refill(a storedAttempt) error {
	return r.read(func(tx *bbolt.Tx) error {
		s, err := streamOf(a.Session, a.Bench)
		for i, n := range a.packets {
			if n == 0 || err != nil {
				continue
			}
			o := &a.Observations[i]
			o.Packets, err = s.packets(tx, o.Watched)
			if err == nil && len(o.Packets) != n {
				err = fmt.Errorf("%d packets of %d are left", len(o.Packets), n)
			}
		}
		if err != nil {
			return fmt.Errorf("play %s, attempt %d: %w", a.Play, a.Number, err)
		}
		return nil
	})
}

// Traffic yields the stretches of a bench's traffic that overlap the span, in
// the order of time, each as a whole. An error ends it. It keeps no more than
// a few stretches in memory, and lets the store be written to meanwhile.
//
// A stretch with more than 16384 packets comes back as several. Each then
// counts all packets that were dropped in the whole, as no one knows where
// they are missing.
func (r *Reader) Traffic(session uint32, number int, span bench.Span) iter.Seq2[Traffic, error] {
	const batchSize = maxStretch
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
