package results

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"wakefuzz/bench"
	"wakefuzz/phoneme"
)

// schema is the version of everything in this file. A field's number is never
// used for another meaning. A record with a field that its schema does not
// know is damaged, so a new field is a new schema; a store of an older schema
// lacks some of the fields and buckets, and nothing else.
//
//	1  the beginning
//	2  an observation's fields 10 to 12; packets and clock
//	3  an observation's field 13; a trial's fields 10 to 12, a campaign's field 8;
//	   candidates and batches
const schema = 3

// maxRecord is the longest record in bytes, and maxPlays the most plays of a
// plan: far above any campaign, and low enough that a hostile file can't take
// all memory.
const (
	maxRecord = 4 << 20
	maxPlays  = 1 << 24
)

// The wire types are the schema: apart from the types of record.go, so that a
// change of those can't change what is stored. Times are nanoseconds since
// 1970, 0 for the zero time; spans and durations are nanoseconds; hashes are
// byte strings, left out where all zero.

type wireCampaign struct {
	Name              string `cbor:"1,keyasint"`
	WakeWord          string `cbor:"2,keyasint"`
	WakePronunciation string `cbor:"3,keyasint,omitempty"`
	PlanHash          []byte `cbor:"4,keyasint,omitempty"`
	Created           int64  `cbor:"5,keyasint,omitempty"`
	Fuzzer            string `cbor:"6,keyasint,omitempty"`
	Spec              string `cbor:"7,keyasint,omitempty"`
	Selected          int    `cbor:"8,keyasint,omitempty"`
}

type wireCandidate struct {
	Word           string   `cbor:"1,keyasint"`
	Pronunciations []string `cbor:"2,keyasint,omitempty"`
	Guessed        bool     `cbor:"3,keyasint,omitempty"`
	List           string   `cbor:"4,keyasint,omitempty"`
}

// wireBatch says how many trials a batch has. One of none is behind the last
// batch: the plan is whole.
type wireBatch struct {
	Trials int `cbor:"1,keyasint"`
}

type wireTrial struct {
	ID            []byte `cbor:"1,keyasint"`
	Role          string `cbor:"2,keyasint"`
	Word          string `cbor:"3,keyasint"`
	Pronunciation string `cbor:"4,keyasint,omitempty"`
	Guessed       bool   `cbor:"5,keyasint,omitempty"`
	List          string `cbor:"6,keyasint,omitempty"`
	Voice         string `cbor:"7,keyasint,omitempty"`
	Round         int    `cbor:"8,keyasint,omitempty"`
	Plays         int    `cbor:"9,keyasint"`
	Screening     bool   `cbor:"10,keyasint,omitempty"`
	Segment       int    `cbor:"11,keyasint,omitempty"`
	Why           string `cbor:"12,keyasint,omitempty"`
}

type wireSession struct {
	ID      uint32            `cbor:"1,keyasint"`
	Started int64             `cbor:"2,keyasint,omitempty"`
	Host    string            `cbor:"3,keyasint,omitempty"`
	PID     int               `cbor:"4,keyasint,omitempty"`
	Fuzzer  string            `cbor:"5,keyasint,omitempty"`
	Workers int               `cbor:"6,keyasint,omitempty"`
	Facts   map[string]string `cbor:"7,keyasint,omitempty"`
	Spec    string            `cbor:"8,keyasint,omitempty"`
}

// wireOutcome is the part of an attempt that resuming needs. Trial is the
// trial's place in the plan, from 0.
type wireOutcome struct {
	Trial  int   `cbor:"1,keyasint"`
	Index  int   `cbor:"2,keyasint"`
	Number int   `cbor:"3,keyasint"`
	State  uint8 `cbor:"4,keyasint"`
}

type wireAttempt struct {
	wireOutcome
	Session      uint32            `cbor:"5,keyasint"`
	Bench        int               `cbor:"6,keyasint,omitempty"`
	Wall         int64             `cbor:"7,keyasint,omitempty"`
	Clip         []byte            `cbor:"8,keyasint,omitempty"`
	SoundStart   int64             `cbor:"9,keyasint,omitempty"`
	SoundEnd     int64             `cbor:"10,keyasint,omitempty"`
	Phase        int64             `cbor:"11,keyasint,omitempty"`
	NoiseDBFS    float64           `cbor:"12,keyasint"`
	GainDB       float64           `cbor:"13,keyasint,omitempty"`
	Rule         string            `cbor:"14,keyasint,omitempty"`
	Fault        string            `cbor:"15,keyasint,omitempty"`
	Detail       string            `cbor:"16,keyasint,omitempty"`
	Observations []wireObservation `cbor:"17,keyasint,omitempty"`
}

// wireObservation holds scores as little-endian float32, one after the other.
// An edge is a number: twice its nanoseconds after the edge before it, plus one
// if lit; the first counts from WatchedStart. Edges holds them as varints.
// OldEdges, of schema 1, counts all of them from WatchedStart, and had no room
// for more than 1024. Packets is how many packets the bench's traffic holds in
// the watched span, or 0 where the observation is not of packets. Detections
// holds varints: the nanoseconds after the detection before, or WatchedStart.
type wireObservation struct {
	Oracle       string  `cbor:"1,keyasint"`
	WatchedStart int64   `cbor:"2,keyasint,omitempty"`
	WatchedEnd   int64   `cbor:"3,keyasint,omitempty"`
	ScoresStart  int64   `cbor:"4,keyasint,omitempty"`
	ScoresStep   int64   `cbor:"5,keyasint,omitempty"`
	Scores       []byte  `cbor:"6,keyasint,omitempty"`
	Fault        string  `cbor:"7,keyasint,omitempty"`
	Detail       string  `cbor:"8,keyasint,omitempty"`
	OldEdges     []int64 `cbor:"9,keyasint,omitempty"`
	Packets      int     `cbor:"10,keyasint,omitempty"`
	Dropped      uint64  `cbor:"11,keyasint,omitempty"`
	Edges        []byte  `cbor:"12,keyasint,omitempty"`
	Detections   []byte  `cbor:"13,keyasint,omitempty"`
}

type wireVoid struct {
	Trial  int    `cbor:"1,keyasint"`
	Index  int    `cbor:"2,keyasint"`
	Number int    `cbor:"3,keyasint"`
	Reason string `cbor:"4,keyasint,omitempty"`
	Wall   int64  `cbor:"5,keyasint,omitempty"`
}

// wireTraffic is a stretch of traffic. Its key has the session, the bench and
// the end of the stretch; Length is how long before that it began. Packets is
// what packPackets makes of them.
type wireTraffic struct {
	Length  int64  `cbor:"1,keyasint"`
	Packets []byte `cbor:"2,keyasint,omitempty"`
	Dropped uint64 `cbor:"3,keyasint,omitempty"`
}

// wireTrafficHead is the most that a record of traffic has besides its packets:
// checksum, map, and the rest of the fields.
const wireTrafficHead = 4 + 1 + 10 + 6 + 10

// wireClock holds three varints for each pair: instant and wall time, both as
// the difference to the pair before, and the error.
type wireClock struct {
	Session uint32 `cbor:"1,keyasint"`
	Bench   uint32 `cbor:"2,keyasint,omitempty"`
	Pairs   []byte `cbor:"3,keyasint"`
}

var (
	encoding = must(cbor.CoreDetEncOptions().EncMode())
	strict   = must(decoding(cbor.ExtraDecErrorUnknownField).DecMode())
	// lenient skips the fields that the target lacks.
	lenient = must(decoding(cbor.ExtraDecErrorNone).DecMode())
)

func decoding(extra cbor.ExtraDecErrorCond) cbor.DecOptions {
	return cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   4,
		MaxArrayElements:  1024,
		MaxMapPairs:       1024,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: extra,
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // constant options that the library refuses
	}
	return v
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal encodes a record and puts a checksum before it. The checksum covers the
// bucket and the key as well, so that a record can't pass for another.
func seal(bucket, key []byte, wire any) ([]byte, error) {
	body, err := encoding.Marshal(wire)
	if err != nil {
		return nil, err
	}
	if len(body) > maxRecord {
		return nil, fmt.Errorf("a record of %d bytes: at most %d can be stored", len(body), maxRecord)
	}
	if err := strict.Wellformed(body); err != nil {
		return nil, err // beyond the limits: it could never be read back
	}
	return append(binary.LittleEndian.AppendUint32(nil, checksum(bucket, key, body)), body...), nil
}

// unseal returns the record's body if it is what was sealed.
func unseal(bucket, key, value []byte) ([]byte, error) {
	const head = 4
	if len(value) < head || len(value) > head+maxRecord {
		return nil, fmt.Errorf("a record of %d bytes", len(value))
	}
	body := value[head:]
	if binary.LittleEndian.Uint32(value) != checksum(bucket, key, body) {
		return nil, errors.New("checksum mismatch")
	}
	return body, nil
}

func checksum(bucket, key, body []byte) uint32 {
	sum := crc32.Update(0, castagnoli, bucket)
	sum = crc32.Update(sum, castagnoli, key)
	return crc32.Update(sum, castagnoli, body)
}

func encodeCampaign(c Campaign) wireCampaign {
	return wireCampaign{
		Name:              text(c.Name),
		WakeWord:          text(c.WakeWord),
		WakePronunciation: text(string(c.WakePronunciation)),
		PlanHash:          packHash(c.PlanHash[:]),
		Created:           packTime(c.Created),
		Fuzzer:            text(c.Fuzzer),
		Spec:              text(c.Spec),
		Selected:          c.Selected,
	}
}

func decodeCampaign(body []byte) (Campaign, error) {
	var w wireCampaign
	if err := strict.Unmarshal(body, &w); err != nil {
		return Campaign{}, err
	}
	c := Campaign{
		Name:              w.Name,
		WakeWord:          w.WakeWord,
		WakePronunciation: phoneme.Pronunciation(w.WakePronunciation),
		Created:           unpackTime(w.Created),
		Fuzzer:            w.Fuzzer,
		Spec:              w.Spec,
		Selected:          w.Selected,
	}
	if c.Selected < 0 || c.Selected > maxPlays {
		return Campaign{}, fmt.Errorf("%d words were selected", c.Selected)
	}
	return c, unpackHash(c.PlanHash[:], w.PlanHash)
}

func encodeCandidate(c Candidate) wireCandidate {
	w := wireCandidate{Word: text(c.Word), Guessed: c.Guessed, List: text(c.List)}
	for _, p := range c.Pronunciations {
		w.Pronunciations = append(w.Pronunciations, text(string(p)))
	}
	return w
}

func decodeCandidate(body []byte) (Candidate, error) {
	var w wireCandidate
	if err := strict.Unmarshal(body, &w); err != nil {
		return Candidate{}, err
	}
	c := Candidate{Word: w.Word, Guessed: w.Guessed, List: w.List}
	for _, p := range w.Pronunciations {
		c.Pronunciations = append(c.Pronunciations, phoneme.Pronunciation(p))
	}
	return c, nil
}

// decodeBatch returns how many trials the batch has.
func decodeBatch(body []byte) (int, error) {
	var w wireBatch
	if err := strict.Unmarshal(body, &w); err != nil {
		return 0, err
	}
	if w.Trials < 0 || w.Trials > maxPlays {
		return 0, fmt.Errorf("a batch of %d trials", w.Trials)
	}
	return w.Trials, nil
}

func encodeTrial(t Trial) wireTrial {
	return wireTrial{
		ID:            t.ID[:],
		Role:          string(t.Role),
		Word:          text(t.Word),
		Pronunciation: text(string(t.Pronunciation)),
		Guessed:       t.Guessed,
		List:          text(t.List),
		Voice:         text(t.Voice),
		Round:         t.Round,
		Plays:         t.Plays,
		Screening:     t.Screening,
		Segment:       t.Segment,
		Why:           text(t.Why),
	}
}

func decodeTrial(body []byte) (Trial, error) {
	var w wireTrial
	if err := strict.Unmarshal(body, &w); err != nil {
		return Trial{}, err
	}
	t := Trial{
		Role:          Role(w.Role),
		Word:          w.Word,
		Pronunciation: phoneme.Pronunciation(w.Pronunciation),
		Guessed:       w.Guessed,
		List:          w.List,
		Voice:         w.Voice,
		Round:         w.Round,
		Plays:         w.Plays,
		Screening:     w.Screening,
		Segment:       w.Segment,
		Why:           w.Why,
	}
	if err := unpackHash(t.ID[:], w.ID); err != nil {
		return Trial{}, err
	}
	return t, t.validate()
}

// validate returns an error for a trial that no plan may hold.
func (t Trial) validate() error {
	switch {
	case t.Role != RoleWord && t.Role != RolePositive && t.Role != RoleNegative:
		return fmt.Errorf("trial %s: unknown role %q", t.ID, t.Role)
	case t.Plays < 1 || t.Plays > maxPlays:
		return fmt.Errorf("trial %s: %d plays", t.ID, t.Plays)
	case t.Segment < 0 || t.Segment > 0 && t.Plays != 1:
		return fmt.Errorf("trial %s: %d plays in segment %d", t.ID, t.Plays, t.Segment)
	default:
		return nil
	}
}

func encodeSession(s Session) wireSession {
	w := wireSession{
		ID:      s.ID,
		Started: packTime(s.Started),
		Host:    text(s.Host),
		PID:     s.PID,
		Fuzzer:  text(s.Fuzzer),
		Spec:    text(s.Spec),
		Workers: s.Workers,
		Facts:   make(map[string]string, len(s.Facts)),
	}
	for name, value := range s.Facts {
		w.Facts[text(name)] = text(value)
	}
	return w
}

func decodeSession(body []byte) (Session, error) {
	var w wireSession
	if err := strict.Unmarshal(body, &w); err != nil {
		return Session{}, err
	}
	s := Session{
		ID:      w.ID,
		Started: unpackTime(w.Started),
		Host:    w.Host,
		PID:     w.PID,
		Fuzzer:  w.Fuzzer,
		Spec:    w.Spec,
		Workers: w.Workers,
	}
	if len(w.Facts) > 0 {
		s.Facts = w.Facts
	}
	return s, nil
}

func encodeAttempt(a storedAttempt, place int) wireAttempt {
	w := wireAttempt{
		wireOutcome: wireOutcome{Trial: place, Index: a.Play.Index, Number: a.Number, State: uint8(a.State)},
		Session:     a.Session,
		Bench:       a.Bench,
		Wall:        packTime(a.Wall),
		Clip:        packHash(a.Clip[:]),
		SoundStart:  int64(a.Sound.Start),
		SoundEnd:    int64(a.Sound.End),
		Phase:       int64(a.Phase),
		NoiseDBFS:   a.NoiseDBFS,
		GainDB:      a.GainDB,
		Rule:        text(a.Rule),
		Fault:       text(string(a.Fault)),
		Detail:      text(a.Detail),
	}
	for _, o := range a.Observations {
		w.Observations = append(w.Observations, wireObservation{
			Oracle:       text(o.Oracle),
			WatchedStart: int64(o.Watched.Start),
			WatchedEnd:   int64(o.Watched.End),
			ScoresStart:  int64(o.Scores.Start),
			ScoresStep:   int64(o.Scores.Step),
			Scores:       packScores(o.Scores.Values),
			Fault:        text(string(o.Fault)),
			Detail:       text(o.Detail),
			Dropped:      o.Dropped,
			Edges:        packEdges(o.Edges, o.Watched.Start),
			Detections:   packInstants(o.Detections, o.Watched.Start),
		})
	}
	for i, n := range a.packets {
		w.Observations[i].Packets = n
	}
	return w
}

// storedAttempt is an attempt as it is stored: apart from its packets. How many
// each observation has is in packets, which is nil where none has any.
type storedAttempt struct {
	Attempt
	packets []int
}

func decodeAttempt(body []byte, p *plan) (storedAttempt, error) {
	var w wireAttempt
	if err := strict.Unmarshal(body, &w); err != nil {
		return storedAttempt{}, err
	}
	if err := w.validate(p); err != nil {
		return storedAttempt{}, err
	}
	a := storedAttempt{Attempt: Attempt{
		Play:      PlayID{Trial: p.trials[w.Trial].ID, Index: w.Index},
		Number:    w.Number,
		Session:   w.Session,
		Bench:     w.Bench,
		Wall:      unpackTime(w.Wall),
		Sound:     bench.Span{Start: bench.Instant(w.SoundStart), End: bench.Instant(w.SoundEnd)},
		Phase:     time.Duration(w.Phase),
		NoiseDBFS: w.NoiseDBFS,
		GainDB:    w.GainDB,
		State:     bench.State(w.State),
		Rule:      w.Rule,
		Fault:     bench.Fault(w.Fault),
		Detail:    w.Detail,
	}}
	if len(w.Observations) > 0 {
		a.Observations = make([]bench.Observation, len(w.Observations))
	}
	for i, o := range w.Observations {
		scores, err := unpackScores(o.Scores)
		if err != nil {
			return storedAttempt{}, err
		}
		edges, err := unpackEdges(o.Edges, bench.Instant(o.WatchedStart))
		if err != nil {
			return storedAttempt{}, err
		}
		detections, err := unpackInstants(o.Detections, bench.Instant(o.WatchedStart))
		if err != nil {
			return storedAttempt{}, err
		}
		if len(o.OldEdges) > 0 {
			edges = unpackOldEdges(o.OldEdges, bench.Instant(o.WatchedStart))
		}
		if o.Packets != 0 {
			if a.packets == nil {
				a.packets = make([]int, len(w.Observations))
			}
			a.packets[i] = o.Packets
		}
		a.Observations[i] = bench.Observation{
			Oracle:     o.Oracle,
			Watched:    bench.Span{Start: bench.Instant(o.WatchedStart), End: bench.Instant(o.WatchedEnd)},
			Scores:     bench.Series{Start: bench.Instant(o.ScoresStart), Step: time.Duration(o.ScoresStep), Values: scores},
			Fault:      bench.Fault(o.Fault),
			Detail:     o.Detail,
			Edges:      edges,
			Dropped:    o.Dropped,
			Detections: detections,
		}
	}
	return a, unpackHash(a.Clip[:], w.Clip)
}

func decodeOutcome(body []byte, p *plan) (wireOutcome, error) {
	var w wireOutcome
	if err := lenient.Unmarshal(body, &w); err != nil {
		return wireOutcome{}, err
	}
	return w, w.validate(p)
}

func (w wireOutcome) validate(p *plan) error {
	if w.State > uint8(bench.Reacted) {
		return fmt.Errorf("unknown state %d", w.State)
	}
	return p.validate(w.Trial, w.Index, w.Number)
}

func encodeVoid(v Void, place int) wireVoid {
	return wireVoid{
		Trial:  place,
		Index:  v.Play.Index,
		Number: v.Number,
		Reason: text(v.Reason),
		Wall:   packTime(v.Wall),
	}
}

func decodeVoid(body []byte, p *plan) (Void, error) {
	var w wireVoid
	if err := strict.Unmarshal(body, &w); err != nil {
		return Void{}, err
	}
	if err := p.validate(w.Trial, w.Index, w.Number); err != nil {
		return Void{}, err
	}
	return Void{
		Play:   PlayID{Trial: p.trials[w.Trial].ID, Index: w.Index},
		Number: w.Number,
		Reason: w.Reason,
		Wall:   unpackTime(w.Wall),
	}, nil
}

// text makes a string fit for CBOR, which takes UTF-8 alone: what a broken
// device says must not make a record unreadable.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func packTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func unpackTime(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

func packHash(sum []byte) []byte {
	if !slices.ContainsFunc(sum, func(b byte) bool { return b != 0 }) {
		return nil
	}
	return sum
}

func unpackHash(dst, packed []byte) error {
	if len(packed) != 0 && len(packed) != len(dst) {
		return fmt.Errorf("a hash of %d bytes, not %d", len(packed), len(dst))
	}
	copy(dst, packed)
	return nil
}

func packScores(values []float32) []byte {
	packed := make([]byte, 0, 4*len(values))
	for _, v := range values {
		packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(v))
	}
	return packed
}

func unpackScores(packed []byte) ([]float32, error) {
	if len(packed)%4 != 0 {
		return nil, fmt.Errorf("scores of %d bytes, not a multiple of 4", len(packed))
	}
	if len(packed) == 0 {
		return nil, nil
	}
	values := make([]float32, len(packed)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(packed[4*i:]))
	}
	return values, nil
}

func packEdges(edges []bench.Edge, last bench.Instant) []byte {
	var packed []byte
	for _, e := range edges {
		after := 2 * int64(e.At.Sub(last))
		if e.Lit {
			after++
		}
		packed = binary.AppendVarint(packed, after)
		last = e.At
	}
	return packed
}

func unpackEdges(packed []byte, last bench.Instant) ([]bench.Edge, error) {
	if len(packed) == 0 {
		return nil, nil
	}
	edges := make([]bench.Edge, 0, len(packed)/2)
	for len(packed) > 0 {
		after, n := binary.Varint(packed)
		if n <= 0 {
			return nil, errors.New("edges that end in the middle of one")
		}
		packed = packed[n:]
		last = last.Add(time.Duration(after >> 1))
		edges = append(edges, bench.Edge{At: last, Lit: after&1 == 1})
	}
	return edges, nil
}

func packInstants(instants []bench.Instant, last bench.Instant) []byte {
	var packed []byte
	for _, at := range instants {
		packed = binary.AppendVarint(packed, int64(at.Sub(last)))
		last = at
	}
	return packed
}

func unpackInstants(packed []byte, last bench.Instant) ([]bench.Instant, error) {
	var instants []bench.Instant
	for len(packed) > 0 {
		after, n := binary.Varint(packed)
		if n <= 0 {
			return nil, errors.New("detections that end in the middle of one")
		}
		packed = packed[n:]
		last = last.Add(time.Duration(after))
		instants = append(instants, last)
	}
	return instants, nil
}

func unpackOldEdges(packed []int64, start bench.Instant) []bench.Edge {
	edges := make([]bench.Edge, len(packed))
	for i, p := range packed {
		edges[i] = bench.Edge{At: start.Add(time.Duration(p >> 1)), Lit: p&1 == 1}
	}
	return edges
}

func encodeTraffic(t Traffic) wireTraffic {
	packed, _ := packPackets(t.Packets, t.Watched.Start, math.MaxInt)
	return wireTraffic{Length: int64(t.Watched.Duration()), Packets: packed, Dropped: t.Dropped}
}

func decodeTraffic(body []byte, end bench.Instant) (Traffic, error) {
	var w wireTraffic
	if err := strict.Unmarshal(body, &w); err != nil {
		return Traffic{}, err
	}
	t := Traffic{Watched: bench.Span{Start: end - bench.Instant(w.Length), End: end}, Dropped: w.Dropped}
	if w.Length <= 0 || t.Watched.Start >= end {
		return Traffic{}, fmt.Errorf("a stretch of %d ns", w.Length)
	}
	var err error
	t.Packets, err = unpackPackets(w.Packets, t.Watched)
	return t, err
}

// The packets of a stretch are coded one after the other, each as
//
//	uvarint  nanoseconds since the packet before it, or since the beginning
//	uvarint  8 times the size, plus 4 if it has as much besides its payload as
//	         the packet of its direction before it, plus the direction
//	varint   how much that is, where it is not as much
//
// All sizes are in bytes. What a packet has besides its payload is its headers,
// and they hardly change in a connection: most packets take five bytes.
const (
	sameHeaders   = 1 << 2
	directionMask = 1<<2 - 1
	sizeShift     = 3
)

// packPackets codes the packets of a stretch that begins at last: the first n
// of them, as many as fit into so many bytes, but one at least.
func packPackets(packets []bench.Packet, last bench.Instant, size int) (packed []byte, n int) {
	packed = make([]byte, 0, 6*len(packets))
	var headers [directionMask + 1]int64
	for n, p := range packets {
		before := len(packed)
		packed = binary.AppendUvarint(packed, uint64(p.At-last))
		last = p.At
		shape := uint64(uint32(p.Size))<<sizeShift | uint64(p.Direction)
		if h := int64(p.Size) - int64(p.Payload); h == headers[p.Direction] {
			packed = binary.AppendUvarint(packed, shape|sameHeaders)
		} else {
			packed = binary.AppendUvarint(packed, shape)
			packed = binary.AppendVarint(packed, h)
			headers[p.Direction] = h
		}
		if len(packed) > size && n > 0 {
			return packed[:before], n
		}
	}
	return packed, len(packets)
}

func unpackPackets(packed []byte, watched bench.Span) ([]bench.Packet, error) {
	if len(packed) == 0 {
		return nil, nil
	}
	var (
		packets = make([]bench.Packet, 0, len(packed)/4)
		headers [directionMask + 1]int64
		at      = watched.Start
		broken  = false
	)
	uvarint := func() uint64 {
		v, n := binary.Uvarint(packed)
		broken = broken || n <= 0
		packed = packed[max(n, 0):]
		return v
	}
	for len(packed) > 0 {
		after, shape := uvarint(), uvarint()
		size, direction := int64(int32(shape>>sizeShift)), bench.Direction(shape&directionMask)
		if shape&sameHeaders == 0 {
			zigzag := uvarint()
			headers[direction] = int64(zigzag>>1) ^ -int64(zigzag&1)
		}
		payload := size - headers[direction]
		switch {
		case broken:
			return nil, errors.New("a packet that is cut off")
		case after >= uint64(watched.End-at):
			return nil, errors.New("a packet beyond the end of its stretch")
		case direction > bench.Incoming, shape>>sizeShift > math.MaxUint32, payload != int64(int32(payload)):
			return nil, errors.New("a packet that can't be")
		}
		at += bench.Instant(after)
		packets = append(packets, bench.Packet{At: at, Size: int32(size), Payload: int32(payload), Direction: direction})
	}
	return packets, nil
}

// clockRecord is a record of the bucket clock.
type clockRecord struct {
	stream
	pairs []bench.Pair
}

func encodeClock(c clockRecord) wireClock {
	w := wireClock{Session: c.session, Bench: c.bench}
	var at, wall int64
	for _, p := range c.pairs {
		w.Pairs = binary.AppendVarint(w.Pairs, int64(p.At)-at)
		w.Pairs = binary.AppendVarint(w.Pairs, packTime(p.Wall)-wall)
		w.Pairs = binary.AppendVarint(w.Pairs, int64(p.Error))
		at, wall = int64(p.At), packTime(p.Wall)
	}
	return w
}

func decodeClock(body []byte) (clockRecord, error) {
	var w wireClock
	if err := strict.Unmarshal(body, &w); err != nil {
		return clockRecord{}, err
	}
	c := clockRecord{stream: stream{w.Session, w.Bench}}
	var at, wall int64
	for packed := w.Pairs; len(packed) > 0; {
		var fields [3]int64
		for i := range fields {
			v, n := binary.Varint(packed)
			if n <= 0 {
				return clockRecord{}, errors.New("a pair that is cut off")
			}
			fields[i], packed = v, packed[n:]
		}
		at, wall = at+fields[0], wall+fields[1]
		c.pairs = append(c.pairs, bench.Pair{At: bench.Instant(at), Wall: unpackTime(wall), Error: time.Duration(fields[2])})
	}
	return c, nil
}
