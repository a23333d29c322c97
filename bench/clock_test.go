package bench_test

import (
	"testing"
	"time"

	"wakefuzz/bench"
)

func TestClockMovesForward(t *testing.T) {
	c := bench.NewClock()
	last := c.Now()
	if last < 0 {
		t.Fatalf("a new clock stands at %d", last)
	}
	for range 1000 {
		now := c.Now()
		if now < last {
			t.Fatalf("the clock went back from %d to %d", last, now)
		}
		last = now
	}
}

func TestPairMapsWallTime(t *testing.T) {
	c := bench.NewClock()
	p := c.Pair()
	if p.Error < 0 || p.At < 0 || p.At > c.Now() {
		t.Fatalf("pair %+v", p)
	}
	// A wall time keeps its distance from the pair, with or without a monotonic
	// reading, before and after.
	for _, d := range []time.Duration{0, time.Second, -time.Hour} {
		if got := p.Instant(p.Wall.Add(d)).Sub(p.At); got != d {
			t.Errorf("%v after the pair maps to %v after it", d, got)
		}
		if got := p.Instant(p.Wall.Add(d).Round(0)).Sub(p.At); got != d {
			t.Errorf("%v after the pair, without monotonic reading, maps to %v after it", d, got)
		}
	}
}

func TestSeriesAndSpans(t *testing.T) {
	s := bench.Series{Start: 100, Step: 80 * time.Millisecond, Values: make([]float32, 3)}
	if got := s.At(2).Sub(s.At(0)); got != 160*time.Millisecond {
		t.Errorf("two steps take %v", got)
	}
	span := bench.Span{Start: 5, End: bench.Instant(5).Add(time.Second)}
	if span.Duration() != time.Second {
		t.Errorf("span of %v", span.Duration())
	}
}

// What was never filled in must not read as a "no", and every fault belongs to
// somebody.
func TestZeroValuesAndParties(t *testing.T) {
	var r bench.Reading
	if r.State != bench.Unmeasured || r.State.String() != "unmeasured" {
		t.Errorf("the zero reading is %v", r.State)
	}
	for fault, party := range map[bench.Fault]string{
		bench.NoFault: "", bench.FaultDevice: "target", bench.FaultInterrupted: "operator",
		bench.FaultPlayer: "rig", bench.FaultOracle: "rig", bench.FaultSynthesis: "rig",
	} {
		if got := fault.Party(); got != party {
			t.Errorf("fault %q belongs to %q, want %q", fault, got, party)
		}
	}
	if bench.Reacted.String() != "reacted" || bench.Quiet.String() != "quiet" {
		t.Error("states are stored by these names")
	}
}
