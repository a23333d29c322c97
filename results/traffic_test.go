package results_test

import (
	"errors"
	"iter"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"wakefuzz/bench"
	"wakefuzz/results"
)

const second = bench.Instant(time.Second)

// everything is all time that a bench's clock has.
var everything = bench.Span{Start: math.MinInt64, End: math.MaxInt64}

func span(from, to bench.Instant) bench.Span {
	return bench.Span{Start: from * second, End: to * second}
}

// steady is a packet every 100 ms of the span.
func steady(s bench.Span) []bench.Packet {
	var packets []bench.Packet
	for at := s.Start; at < s.End; at += second / 10 {
		packets = append(packets, bench.Packet{At: at, Size: 100, Payload: 34, Direction: bench.Incoming})
	}
	return packets
}

func gather[T any](t testing.TB, all iter.Seq2[T, error]) []T {
	t.Helper()
	var list []T
	for v, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

func TestTrafficIsOneStreamOfEachBench(t *testing.T) {
	s, dir := create(t, plan(1, 1))
	if _, err := s.BeginSession(results.Session{}); err != nil {
		t.Fatal(err)
	}
	observe := func(session uint32, number int, traffic results.Traffic, clock ...bench.Pair) {
		t.Helper()
		if err := s.AppendObserved(results.Observed{Session: session, Bench: number, Traffic: []results.Traffic{traffic}, Clock: clock}); err != nil {
			t.Fatal(err)
		}
	}
	stretch := func(from, to bench.Instant, dropped uint64) results.Traffic {
		return results.Traffic{Watched: span(from, to), Packets: steady(span(from, to)), Dropped: dropped}
	}
	wall := campaign().Created
	pairs := []bench.Pair{
		{At: 0, Wall: wall, Error: time.Microsecond},
		{At: 5 * second, Wall: wall.Add(5*time.Second + 40*time.Nanosecond), Error: 300},
		{At: 9 * second, Wall: wall.Add(-time.Hour), Error: 300}, // a clock that was set
	}
	silent := results.Traffic{Watched: span(30, 31)}
	observe(1, 0, stretch(-10, 0, 0), pairs[:2]...)
	observe(1, 0, stretch(0, 10, 0)) // goes on
	observe(1, 1, stretch(0, 5, 0))
	observe(2, 0, stretch(0, 5, 0), bench.Pair{At: 1})
	observe(1, 0, stretch(10, 20, 3)) // goes on, but lacks packets
	observe(1, 0, results.Traffic{}, pairs[2])
	observe(1, 0, silent) // from 20 to 30 there was no capture

	check := func(r *results.Reader) {
		t.Helper()
		for name, c := range map[string]struct {
			session uint32
			number  int
			span    bench.Span
			want    []results.Traffic
		}{
			"all":             {1, 0, everything, []results.Traffic{stretch(-10, 10, 0), stretch(10, 20, 3), silent}},
			"another bench":   {1, 1, everything, []results.Traffic{stretch(0, 5, 0)}},
			"another session": {2, 0, everything, []results.Traffic{stretch(0, 5, 0)}},
			"a moment":        {1, 0, span(5, 6), []results.Traffic{stretch(-10, 10, 0)}},
			"up to an end":    {1, 0, span(5, 10), []results.Traffic{stretch(-10, 10, 0)}},
			"from an end":     {1, 0, span(10, 11), []results.Traffic{stretch(10, 20, 3)}},
			"into a gap":      {1, 0, span(19, 30), []results.Traffic{stretch(10, 20, 3)}},
			"a gap":           {1, 0, span(20, 30), nil},
			"after the end":   {1, 0, span(31, 99), nil},
			"empty":           {1, 0, span(5, 5), nil},
			"backwards":       {1, 0, span(15, 5), nil},
			"nobody's":        {7, 0, everything, nil},
		} {
			if got := gather(t, r.Traffic(c.session, c.number, c.span)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s:\n%v, not\n%v", name, got, c.want)
			}
			want := slices.DeleteFunc(steady(span(-10, 20)), func(p bench.Packet) bool { return p.At < c.span.Start || p.At >= c.span.End })
			if got := gather(t, r.Packets(c.session, c.number, c.span)); c.session == 1 && c.number == 0 && !slices.Equal(got, want) {
				t.Errorf("%s: %d packets, not %d", name, len(got), len(want))
			}
		}
		if got, err := r.Clock(1, 0); err != nil || !reflect.DeepEqual(got, pairs) {
			t.Errorf("clock: %v, %v", got, err)
		}
		if got, err := r.Clock(1, 1); err != nil || got != nil {
			t.Errorf("clock of another bench: %v, %v", got, err)
		}
		for range r.Packets(1, 0, everything) {
			break // a loop can be left
		}
		for _, err := range r.Packets(1, -1, everything) {
			if err == nil {
				t.Error("bench -1 has packets")
			}
		}
		if _, err := r.Clock(1, -1); err == nil {
			t.Error("bench -1 has a clock")
		}
	}
	check(s.Reader)
	closing(t, s)
	r := view(t, dir)
	check(r)
	closing(t, r)
	s, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, s)
	check(s.Reader)
	if err := s.AppendObserved(results.Observed{Session: 1, Traffic: []results.Traffic{stretch(30, 40, 0)}}); err == nil {
		t.Error("a stretch that overlaps one of an earlier process is taken")
	}
}

func TestAnAttemptHasItsPackets(t *testing.T) {
	trials := plan(2, 40)
	s, dir := create(t, trials)
	defer closing(t, s)
	var want []results.Attempt
	for i := range 40 {
		// Every play is watched until the next one has begun, and the traffic
		// of that second is stored with the first of the two.
		a := attempt(play(trials[0], i), 1, 1, float32(i%2))
		a = later(a, time.Duration(i)*5*time.Second)
		watched := bench.Span{Start: a.Sound.Start, End: a.Sound.Start + 6*second}
		a.Observations = append(a.Observations,
			bench.Observation{Oracle: "traffic", Watched: watched, Packets: steady(watched), Dropped: uint64(i)},
			bench.Observation{Oracle: "light", Watched: watched}, // not of packets
		)
		stretch := bench.Span{Start: watched.Start + second, End: watched.End}
		if i == 0 {
			stretch.Start = 0 // the idle stretch before the first play
		}
		observed := results.Observed{Session: 1, Bench: 1, Traffic: []results.Traffic{{Watched: stretch, Packets: steady(stretch)}}}
		if err := s.AppendObserved(observed, a); err != nil {
			t.Fatal(err)
		}
		want = append(want, a)
	}
	if got := all(t, s.Reader); !reflect.DeepEqual(got, want) {
		t.Error("attempts come back otherwise")
	}
	for a, err := range s.Attempts() {
		if err != nil || len(a.Observations[1].Packets) != 60 {
			t.Fatalf("%+v, %v", a, err)
		}
		break // a loop can be left
	}
	r := view(t, dir)
	defer closing(t, r)
	if got := all(t, r); !reflect.DeepEqual(got, want) {
		t.Error("attempts of the copy come back otherwise")
	}
}

func TestPacketsAreStoredOnce(t *testing.T) {
	trials := plan(2, 4)
	s, _ := create(t, trials)
	defer closing(t, s)
	a := watching(attempt(play(trials[0], 0), 1, 1, 0.9))
	seen := a.Observations[1]
	whole := results.Traffic{Watched: seen.Watched, Packets: seen.Packets}
	observed := func(edit func(*results.Observed)) results.Observed {
		o := results.Observed{Session: 1, Bench: a.Bench, Traffic: []results.Traffic{whole}}
		o.Traffic[0].Packets = slices.Clone(whole.Packets)
		edit(&o)
		return o
	}
	for name, o := range map[string]results.Observed{
		"no traffic":             {},
		"another bench":          observed(func(o *results.Observed) { o.Bench++ }),
		"a packet is missing":    observed(func(o *results.Observed) { o.Traffic[0].Packets = o.Traffic[0].Packets[1:] }),
		"a packet is another":    observed(func(o *results.Observed) { o.Traffic[0].Packets[3].Size++ }),
		"session not begun":      observed(func(o *results.Observed) { o.Session = 2 }),
		"session zero":           observed(func(o *results.Observed) { o.Session = 0 }),
		"no such bench":          observed(func(o *results.Observed) { o.Bench = -1 }),
		"out of order":           observed(func(o *results.Observed) { slices.Reverse(o.Traffic[0].Packets) }),
		"before the stretch":     observed(func(o *results.Observed) { o.Traffic[0].Watched.Start++ }),
		"after the stretch":      observed(func(o *results.Observed) { o.Traffic[0].Watched.End = o.Traffic[0].Packets[30].At }),
		"no stretch":             observed(func(o *results.Observed) { o.Traffic[0].Watched = bench.Span{} }),
		"backwards":              observed(func(o *results.Observed) { o.Traffic[0] = results.Traffic{Watched: span(9, 8)} }),
		"longer than the clock":  observed(func(o *results.Observed) { o.Traffic[0] = results.Traffic{Watched: everything} }),
		"an unknown direction":   observed(func(o *results.Observed) { o.Traffic[0].Packets[0].Direction = 3 }),
		"a clock, not a session": observed(func(o *results.Observed) { o.Traffic, o.Session, o.Clock = nil, 9, make([]bench.Pair, 1) }),
		"too many pairs":         observed(func(o *results.Observed) { o.Clock = make([]bench.Pair, 2<<20) }),
	} {
		err := s.AppendObserved(o, a)
		if err == nil {
			t.Fatalf("%s: stored", name)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q", name, err)
		}
	}
	if n := len(gather(t, s.Packets(1, a.Bench, everything))); n != 0 {
		t.Errorf("%d packets are stored of commits that failed", n)
	}
	// The traffic may be there before what cites it.
	if err := s.AppendObserved(observed(func(*results.Observed) {})); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendObserved(observed(func(*results.Observed) {}), a); err == nil {
		t.Error("a stretch is stored twice")
	}
	if err := s.Append(a); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(watching(later(attempt(play(trials[0], 1), 1, 1, 0.1), time.Hour))); err == nil {
		t.Error("packets are cited that are not there")
	}
}

func TestAPacketThatComesInLate(t *testing.T) {
	trials := plan(1, 1)
	s, _ := create(t, trials)
	defer closing(t, s)
	a := watching(attempt(play(trials[0], 0), 1, 1, 0.9))
	seen := a.Observations[1]
	late := slices.Insert(slices.Clone(seen.Packets), 7, seen.Packets[7])
	if err := s.AppendObserved(results.Observed{Session: 1, Bench: a.Bench, Traffic: []results.Traffic{{Watched: seen.Watched, Packets: late}}}, a); err != nil {
		t.Fatal(err)
	}
	if got := all(t, s.Reader)[0].Observations[1].Packets; !slices.Equal(got, late) {
		t.Errorf("%d packets, not %d", len(got), len(late))
	}
}

// What is read is what was written, whatever way it is cut.
func TestAnyTrafficComesBack(t *testing.T) {
	s, _ := create(t, plan(1, 1))
	defer closing(t, s)
	number := 0
	rapid.Check(t, func(t *rapid.T) {
		number++ // a bench of its own
		at := bench.Instant(rapid.Int64Range(-1e12, 1e12).Draw(t, "start"))
		var stretches []results.Traffic
		for range rapid.IntRange(1, 4).Draw(t, "stretches") {
			traffic := results.Traffic{Dropped: rapid.SampledFrom([]uint64{0, 0, 1, math.MaxUint64}).Draw(t, "dropped")}
			at += bench.Instant(rapid.SampledFrom([]int64{0, 1, 1e9}).Draw(t, "gap"))
			traffic.Watched.Start = at
			for range rapid.IntRange(0, 20).Draw(t, "packets") {
				at += bench.Instant(rapid.SampledFrom([]int64{0, 1, 1e3, 1e6, 3e10}).Draw(t, "after"))
				traffic.Packets = append(traffic.Packets, bench.Packet{
					At:        at,
					Size:      rapid.Int32().Draw(t, "size"),
					Payload:   rapid.SampledFrom([]int32{0, 1448, math.MinInt32, math.MaxInt32}).Draw(t, "payload"),
					Direction: bench.Direction(rapid.IntRange(0, 2).Draw(t, "direction")),
				})
			}
			at++
			traffic.Watched.End = at
			stretches = append(stretches, traffic)
			if err := s.AppendObserved(results.Observed{Session: 1, Bench: number, Traffic: []results.Traffic{traffic}}); err != nil {
				t.Fatal(err)
			}
		}
		var got []results.Traffic
		for traffic, err := range s.Traffic(1, number, everything) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, traffic)
		}
		if !reflect.DeepEqual(got, joined(stretches)) {
			t.Fatalf("%v comes back as %v", stretches, got)
		}
	})
}

// joined makes one of stretches that go on without a gap and a loss.
func joined(stretches []results.Traffic) []results.Traffic {
	list := slices.Clone(stretches[:1])
	for _, next := range stretches[1:] {
		last := &list[len(list)-1]
		if last.Watched.End != next.Watched.Start || last.Dropped > 0 || next.Dropped > 0 {
			list = append(list, next)
			continue
		}
		last.Watched.End, last.Packets = next.Watched.End, append(last.Packets, next.Packets...)
	}
	return list
}

func TestALongStretchIsCut(t *testing.T) {
	s, _ := create(t, plan(1, 1))
	defer closing(t, s)
	const n = 100_000
	traffic := results.Traffic{Watched: bench.Span{End: n * 1000}, Dropped: 2}
	for i := range n {
		at := bench.Instant(i) * 1000
		if i >= 16_000 && i < 17_000 { // it can't be cut here
			at = 16_000_000
		}
		traffic.Packets = append(traffic.Packets, bench.Packet{At: at, Size: int32(i)})
	}
	if err := s.AppendObserved(results.Observed{Session: 1, Traffic: []results.Traffic{traffic}}); err != nil {
		t.Fatal(err)
	}
	if got := gather(t, s.Packets(1, 0, everything)); !slices.Equal(got, traffic.Packets) {
		t.Errorf("%d packets come back", len(got))
	}
	end := traffic.Watched.Start
	for _, piece := range gather(t, s.Traffic(1, 0, everything)) {
		if piece.Watched.Start != end || piece.Dropped != 2 || len(piece.Packets) > 2000 {
			t.Errorf("a stretch from %d, not %d, of %d packets with %d dropped", piece.Watched.Start, end, len(piece.Packets), piece.Dropped)
		}
		end = piece.Watched.End
	}
	if end != traffic.Watched.End {
		t.Errorf("the last stretch ends at %d", end)
	}
	same := results.Traffic{Watched: bench.Span{Start: end, End: end + 1}, Packets: make([]bench.Packet, 20_000)}
	for i := range same.Packets {
		same.Packets[i].At = end
	}
	if err := s.AppendObserved(results.Observed{Session: 1, Traffic: []results.Traffic{same}}); err != nil {
		t.Fatal(err)
	}
	if got := gather(t, s.Traffic(1, 0, same.Watched)); !reflect.DeepEqual(got, []results.Traffic{same}) {
		t.Error("packets of one moment come back otherwise")
	}
}

// A record of traffic that is whole but not the one that was written is found
// by the attempts that cite it.
func TestTrafficThatIsNotWhatAnAttemptCites(t *testing.T) {
	dir, _, _ := sample(t, 20)
	edit(t, dir, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("packets"))
		key, _ := b.Cursor().First()
		if err := b.Delete(key); err != nil {
			return err
		}
		return b.SetSequence(b.Sequence() - 1)
	})
	r := view(t, dir)
	defer closing(t, r)
	for _, err := range r.Attempts() {
		if errors.Is(err, results.ErrDamaged) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("not found")
}

func TestALightThatFlickersFits(t *testing.T) {
	trials := plan(1, 1)
	s, _ := create(t, trials)
	defer closing(t, s)
	a := attempt(play(trials[0], 0), 1, 1, 0.9)
	light := bench.Observation{Oracle: "light", Watched: a.Observations[0].Watched}
	for i := range 20_000 {
		light.Edges = append(light.Edges, bench.Edge{At: light.Watched.Start.Add(time.Duration(i) * 150 * time.Microsecond), Lit: i%2 == 1})
	}
	a.Observations = append(a.Observations, light)
	if err := s.Append(a); err != nil {
		t.Fatal(err)
	}
	if got := all(t, s.Reader); !reflect.DeepEqual(got, []results.Attempt{a}) {
		t.Error("it comes back otherwise")
	}
}
