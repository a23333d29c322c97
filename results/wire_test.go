package results

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"wakefuzz/bench"
)

// The fuzz targets feed the decoders what comes behind a record's checksum.
// Whatever a decoder takes must be stored as it was read.

func fuzzRecord[R, W any](f *testing.F, seeds []R, encode func(R) W, decode func([]byte) (R, error)) {
	for _, r := range seeds {
		body, err := encoding.Marshal(encode(r))
		if err != nil {
			f.Fatal(err)
		}
		if got, err := decode(body); err != nil || !reflect.DeepEqual(got, r) {
			f.Fatalf("%+v comes back as %+v, %v", r, got, err)
		}
		f.Add(body)
	}
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > maxRecord {
			return
		}
		first, err := decode(body)
		if err != nil {
			return
		}
		again, err := encoding.Marshal(encode(first))
		if err != nil {
			t.Fatal(err)
		}
		second, err := decode(again)
		if err != nil {
			t.Fatalf("%+v can't be read back: %v", first, err)
		}
		third, err := encoding.Marshal(encode(second))
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(third) { // compares scores that are no numbers too
			t.Fatalf("%+v comes back as %+v", first, second)
		}
	})
}

func fuzzPlan(tb testing.TB) *plan {
	p, err := newPlan([]Trial{{ID: TrialID{1}, Role: RoleWord, Plays: 3}, {ID: TrialID{2}, Role: RolePositive, Plays: 2}}, []int{2, 0})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func FuzzDecodeCampaign(f *testing.F) {
	fuzzRecord(f, []Campaign{
		{},
		{Name: "n", WakeWord: "hey jarvis", WakePronunciation: "HH EY1", PlanHash: [32]byte{9}, Created: time.Unix(1, 2).UTC(), Fuzzer: "v1", Spec: "a: b"},
	}, encodeCampaign, decodeCampaign)
}

func FuzzDecodeTrial(f *testing.F) {
	fuzzRecord(f, []Trial{
		{Role: RoleWord, Plays: 1},
		{ID: TrialID{7}, Role: RolePositive, Word: "alexa", Pronunciation: "AH0", Guessed: true, List: "l", Voice: "flite/kal16", Round: 2, Plays: 10},
	}, encodeTrial, decodeTrial)
}

func FuzzDecodeSession(f *testing.F) {
	fuzzRecord(f, []Session{
		{},
		{ID: 3, Started: time.Unix(5, 0).UTC(), Host: "pi", PID: 4, Fuzzer: "v1", Workers: 2, Spec: "a: b", Facts: map[string]string{"a": "b"}},
	}, encodeSession, decodeSession)
}

func FuzzDecodeAttempt(f *testing.F) {
	p := fuzzPlan(f)
	fuzzRecord(f, []storedAttempt{
		{Attempt: Attempt{Play: PlayID{Trial: TrialID{1}}, Number: 1}},
		{Attempt: Attempt{
			Play: PlayID{Trial: TrialID{2}, Index: 1}, Number: 2, Session: 3, Bench: 1, Wall: time.Unix(6, 7).UTC(),
			Clip: [32]byte{1}, Sound: bench.Span{Start: -1, End: 5}, Phase: 3, NoiseDBFS: -40, GainDB: 1,
			State: bench.Reacted, Rule: "r", Fault: bench.FaultDevice, Detail: "d",
			Observations: []bench.Observation{{
				Oracle: "engine", Watched: bench.Span{Start: 1, End: 2}, Fault: bench.FaultOracle, Detail: "x",
				Scores: bench.Series{Start: 1, Step: 80e6, Values: []float32{0, 0.5, 1}},
				Edges:  []bench.Edge{{At: -5, Lit: true}, {At: 7}},
			}, {Oracle: "traffic", Dropped: 3},
				{Oracle: "engine", Watched: bench.Span{Start: 1, End: 9}, Detections: []bench.Instant{-3, 8}}},
		}, packets: []int{0, 9, 0}},
	}, func(a storedAttempt) wireAttempt { return encodeAttempt(a, p.places[a.Play.Trial]) },
		func(body []byte) (storedAttempt, error) {
			a, err := decodeAttempt(body, p)
			if err != nil {
				return a, err
			}
			o, err := decodeOutcome(body, p)
			if err != nil || bench.State(o.State) != a.State || o.Number != a.Number || o.Index != a.Play.Index {
				panic(fmt.Sprintf("the outcome %+v is not that of %+v: %v", o, a, err))
			}
			return a, nil
		})
}

func FuzzDecodeVoid(f *testing.F) {
	p := fuzzPlan(f)
	fuzzRecord(f, []Void{
		{Play: PlayID{Trial: TrialID{1}}, Number: 1},
		{Play: PlayID{Trial: TrialID{2}, Index: 1}, Number: 2, Reason: "control lost", Wall: time.Unix(8, 9).UTC()},
	}, func(v Void) wireVoid { return encodeVoid(v, p.places[v.Play.Trial]) },
		func(body []byte) (Void, error) { return decodeVoid(body, p) })
}

func FuzzDecodeTraffic(f *testing.F) {
	const end = 60e9
	span := bench.Span{Start: -1, End: end}
	fuzzRecord(f, []Traffic{
		{Watched: span},
		{Watched: span, Dropped: 7, Packets: []bench.Packet{
			{At: -1, Size: 1514, Payload: 1448, Direction: bench.Outgoing},
			{At: -1, Size: 1514, Payload: 1448, Direction: bench.Outgoing},
			{At: 3, Size: 66, Direction: bench.Incoming},
			{At: 1e6, Size: 60, Payload: 1, Direction: bench.Outgoing},
			{At: end - 1, Size: math.MaxInt32, Payload: math.MinInt32 + 9},
			{At: end - 1, Size: -1, Payload: math.MaxInt32},
		}},
	}, encodeTraffic, func(body []byte) (Traffic, error) {
		t, err := decodeTraffic(body, end)
		if err == nil {
			if err := t.validate(); err != nil {
				panic(err)
			}
		}
		return t, err
	})
}

func FuzzDecodeClock(f *testing.F) {
	at := time.Unix(1e9, 7).UTC()
	fuzzRecord(f, []clockRecord{
		{},
		{stream: stream{1, 2}, pairs: []bench.Pair{{At: -3, Wall: at, Error: 50}, {At: 9e9, Wall: at.Add(-time.Hour), Error: 60}, {At: 10e9}}},
	}, encodeClock, decodeClock)
}

// A change of what is stored must be a new schema, so the bytes are held here.
func TestTheSchemaIsWhatItWas(t *testing.T) {
	p := fuzzPlan(t)
	for name, c := range map[string]struct {
		wire any
		want string
	}{
		"attempt": {
			encodeAttempt(storedAttempt{Attempt{
				Play: PlayID{Trial: p.trials[1].ID, Index: 1}, Number: 2, Session: 3, Wall: time.Unix(0, 7),
				State: bench.Quiet, NoiseDBFS: -0.5, Rule: "r",
				Observations: []bench.Observation{
					{Oracle: "e", Scores: bench.Series{Start: 1, Step: 2, Values: []float32{1}}},
					{Oracle: "l", Edges: []bench.Edge{{At: 2}, {At: 5, Lit: true}}, Dropped: 4},
					{Oracle: "s", Watched: bench.Span{Start: 1}, Detections: []bench.Instant{2, 5}},
				},
			}, []int{0, 9}}, 1),
			"\xa9\x01\x01\x02\x01\x03\x02\x04\x01\x05\x03\x07\x07\x0c\xf9\xb8\x00\x0ear\x11\x83\xa4\x01ae\x04\x01\x05\x02\x06D\x00\x00\x80?\xa4\x01al\x0a\x09\x0b\x04\x0cB\x08\x0e\xa3\x01as\x02\x01\x0dB\x02\x06",
		},
		"traffic": {
			encodeTraffic(Traffic{Watched: bench.Span{Start: 5, End: 9}, Dropped: 2, Packets: []bench.Packet{
				{At: 6, Size: 70, Payload: 4, Direction: bench.Outgoing}, {At: 8, Size: 71, Payload: 5, Direction: bench.Outgoing},
			}}),
			"\xa3\x01\x04\x02H\x01\xb1\x04\x84\x01\x02\xbd\x04\x03\x02",
		},
		"clock": {
			encodeClock(clockRecord{stream{1, 2}, []bench.Pair{{At: 1, Wall: time.Unix(0, 2), Error: 3}, {At: 2, Wall: time.Unix(0, 1), Error: 3}}}),
			"\xa3\x01\x01\x02\x02\x03F\x02\x04\x06\x02\x01\x06",
		},
		"void":     {encodeVoid(Void{Number: 1, Reason: "x"}, 0), "\xa4\x01\x00\x02\x00\x03\x01\x04ax"},
		"session":  {encodeSession(Session{ID: 1, PID: 2, Facts: map[string]string{"a": "b"}}), "\xa3\x01\x01\x04\x02\x07\xa1aaab"},
		"trial":    {encodeTrial(Trial{Role: RoleWord, Word: "w", Plays: 10}), "\xa4\x01P" + string(make([]byte, 16)) + "\x02dword\x03aw\x09\x0a"},
		"campaign": {encodeCampaign(Campaign{Name: "n", WakeWord: "w"}), "\xa2\x01an\x02aw"},
	} {
		got, err := encoding.Marshal(c.wire)
		if err != nil || string(got) != c.want {
			t.Errorf("%s is stored as\n%q, %v, not\n%q", name, got, err, c.want)
		}
	}
}
