package traffic_test

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wakefuzz/bench"
	"wakefuzz/oracle/traffic"
)

const minute = bench.Instant(time.Minute)

var (
	idleMinute  = bench.Span{Start: 0, End: minute}
	probeMinute = bench.Span{Start: minute, End: 2 * minute}
)

// The p-values are those of numpy and scipy; scripts/ttest-golden.py made them.
func TestTTestAgreesWithNumpyAndScipy(t *testing.T) {
	agreesWithNumpyAndScipy(t, "testdata/ttest.json.gz")
}

// agreesWithNumpyAndScipy holds every choice that the rule leaves to the cases
// in the file.
func agreesWithNumpyAndScipy(t *testing.T, file string) {
	type window struct {
		At   []int64 // microseconds since the one before
		Size []int32
	}
	var cases []struct {
		Idle, Probe window
		P           [4][3]*float64
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(unzipped).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	packets := func(w window, at bench.Instant) []bench.Packet {
		var packets []bench.Packet
		for i, gap := range w.At {
			at = at.Add(time.Duration(gap) * time.Microsecond)
			packets = append(packets, bench.Packet{At: at, Size: w.Size[i], Direction: bench.Outgoing})
		}
		return packets
	}
	applicable := 0
	check := func(i int, rule traffic.TTestRule, what string, got traffic.Comparison, want *float64) {
		switch {
		case want == nil && (got.Inapplicable == "" || got.P != 0):
			t.Errorf("case %d, %v: %s compare as %+v, where there is nothing to compare", i, rule, what, got)
		case want != nil && (got.Inapplicable != "" || !(math.Abs(got.P-*want) <= 1e-9)):
			t.Errorf("case %d, %v: %s compare as %+v, want p = %g", i, rule, what, got, *want)
		case want != nil:
			applicable++
		}
	}
	rules := make([]traffic.TTestRule, 4)
	for i := range rules {
		rules[i] = traffic.PaperTTestRule()
		rules[i].Bins = []traffic.Bins{traffic.BinsIdle, traffic.BinsBoth}[i/2]
		rules[i].Variances = []traffic.Variances{traffic.VariancesEqual, traffic.VariancesUnequal}[i%2]
	}
	for i, c := range cases {
		for j, rule := range rules {
			reading := rule.Judge(packets(c.Idle, 0), packets(c.Probe, minute), idleMinute, probeMinute)
			check(i, rule, "sizes", reading.Sizes, c.P[j][0])
			check(i, rule, "gaps", reading.Gaps, c.P[j][1])
			check(i, rule, "both", reading.Combined, c.P[j][2])
		}
	}
	t.Logf("%d p-values of %d windows agree", applicable, 2*len(cases))
	if len(cases) < 500 || applicable < 4*len(cases) {
		t.Errorf("only %d comparisons of %d windows were applicable", applicable, 2*len(cases))
	}
}

// steady makes packets of sizes that repeat, all through a minute.
func steady(from bench.Instant, n int, sizes ...int32) []bench.Packet {
	var packets []bench.Packet
	for i := range n {
		at := from.Add(time.Minute / time.Duration(n) * time.Duration(i))
		packets = append(packets, bench.Packet{At: at, Size: sizes[i%len(sizes)], Direction: bench.Outgoing})
	}
	return packets
}

func TestTTestJudges(t *testing.T) {
	rule := traffic.PaperTTestRule()
	idle := steady(0, 40, 66, 66, 66, 97, 118, 254, 400)
	incoming := steady(minute, 400, 1514)
	for i := range incoming {
		incoming[i].Direction = bench.Incoming
	}
	unequal := bench.Span{Start: minute, End: 2*minute - 1}
	overlap := bench.Span{Start: minute - 1, End: 2*minute - 1}
	far := append(steady(0, 63, 66, 67, 68), bench.Packet{At: minute - 1, Size: math.MaxInt32, Direction: bench.Outgoing})
	tests := []struct {
		name        string
		idle, probe []bench.Packet
		idleSpan    bench.Span
		probeSpan   bench.Span
		state       bench.State
		why         string // of the sizes being no ground for a comparison
	}{
		{"the same again", idle, steady(minute, 40, 66, 66, 66, 97, 118, 254, 400), idleMinute, probeMinute, bench.Quiet, ""},
		{"ten times as many", idle, steady(minute, 400, 66, 66, 66, 97, 118, 254, 400), idleMinute, probeMinute, bench.Reacted, ""},
		{"many incoming", idle, append(steady(minute, 40, 66, 66, 66, 97, 118, 254, 400), incoming...), idleMinute, probeMinute, bench.Quiet, ""},
		{"beyond the spans", idle, append(steady(minute, 40, 66, 66, 66, 97, 118, 254, 400), steady(2*minute, 400, 100)...), idleMinute, probeMinute, bench.Quiet, ""},
		{"larger than any idle one", idle, steady(minute, 40, 1514), idleMinute, probeMinute, bench.Reacted, ""},
		{"silent", nil, steady(minute, 40, 66, 97), idleMinute, probeMinute, bench.Unmeasured, "too few different"},
		{"one packet", steady(0, 1, 66), steady(minute, 40, 66, 97), idleMinute, probeMinute, bench.Unmeasured, "too few different"},
		{"all of one size", steady(0, 40, 66), steady(minute, 40, 66, 97), idleMinute, probeMinute, bench.Unmeasured, "too few different"},
		{"two packets and none", steady(0, 2, 66, 97), nil, idleMinute, probeMinute, bench.Unmeasured, "same number"},
		{"bins without end", far, idle, idleMinute, probeMinute, bench.Unmeasured, "bins"},
		{"unequal spans", idle, idle, idleMinute, unequal, bench.Unmeasured, "both must last 1m0s"},
		{"overlapping spans", idle, idle, idleMinute, overlap, bench.Unmeasured, "overlap"},
	}
	for _, tt := range tests {
		got := rule.Judge(tt.idle, tt.probe, tt.idleSpan, tt.probeSpan)
		if got.State != tt.state || (tt.why == "") != (got.Sizes.Inapplicable == "") || !strings.Contains(got.Sizes.Inapplicable, tt.why) {
			t.Errorf("%s: got %+v, want %v, %q", tt.name, got, tt.state, tt.why)
		}
	}
}

func TestTTestGivesProbabilities(t *testing.T) {
	rule := traffic.PaperTTestRule()
	rapid.Check(t, func(t *rapid.T) {
		idle, probe := somePackets(t, "idle"), somePackets(t, "probe")
		by := bench.Instant(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "shift"))
		span := bench.Span{Start: -minute, End: 0}
		got := rule.Judge(shift(idle, -minute), probe, span, idleMinute)
		for _, c := range []traffic.Comparison{got.Sizes, got.Gaps} {
			if !(c.P >= 0 && c.P <= 1) || c.Inapplicable != "" && c.P != 0 {
				t.Errorf("%+v is no probability", c)
			}
		}
		moved := func(s bench.Span) bench.Span { return bench.Span{Start: s.Start + by, End: s.End + by} }
		if again := rule.Judge(shift(idle, by-minute), shift(probe, by), moved(span), moved(idleMinute)); again != got {
			t.Errorf("shifted by %d, %+v became %+v", by, got, again)
		}
	})
}

func TestTTestRule(t *testing.T) {
	if got, want := traffic.PaperTTestRule().String(), "t-test of packet sizes p < 0.42, over 1m0s"; got != want {
		t.Errorf("the rule states itself as %q, want %q", got, want)
	}
	other := traffic.TTestRule{Threshold: 0.1, Duration: time.Second, Features: traffic.FeaturesBoth, Bins: traffic.BinsBoth, Variances: traffic.VariancesUnequal}
	if got, want := other.String(), "t-test of packet sizes and gaps p < 0.1, over 1s, bins of both stretches, unequal variances"; got != want {
		t.Errorf("the rule states itself as %q, want %q", got, want)
	}
	tests := []struct {
		change func(*traffic.TTestRule)
		wrong  string
	}{
		{func(*traffic.TTestRule) {}, ""},
		{func(r *traffic.TTestRule) { r.Threshold = 1 }, ""},
		{func(r *traffic.TTestRule) { r.Threshold = 0 }, "threshold"},
		{func(r *traffic.TTestRule) { r.Threshold = 1.1 }, "threshold"},
		{func(r *traffic.TTestRule) { r.Threshold = math.NaN() }, "threshold"},
		{func(r *traffic.TTestRule) { r.Duration = 0 }, "duration"},
		{func(r *traffic.TTestRule) { r.Features = traffic.FeaturesBoth }, ""},
		{func(r *traffic.TTestRule) { r.Features = "colours" }, "features"},
		{func(r *traffic.TTestRule) { r.Bins = traffic.BinsBoth }, ""},
		{func(r *traffic.TTestRule) { r.Bins = "neither" }, "bins"},
		{func(r *traffic.TTestRule) { r.Variances = traffic.VariancesUnequal }, ""},
		{func(r *traffic.TTestRule) { r.Variances = "none" }, "variances"},
	}
	for _, tt := range tests {
		rule := traffic.PaperTTestRule()
		tt.change(&rule)
		checkError(t, rule, rule.Validate(), tt.wrong)
	}
}
