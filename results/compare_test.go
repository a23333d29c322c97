package results_test

import (
	"fmt"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/traffic"
	"wakefuzz/results"
)

func TestCompare(t *testing.T) {
	trials := plan(3, 4) // the last is the control
	s, _ := create(t, trials)
	defer closing(t, s)
	for i, peaks := range [][]float32{{0.9, 0.9, 0.6, 0.1}, {0.6, 0.1, 0.1, 0.1}, {0.9, 0.9, 0.9, 0.9}} {
		for k, peak := range peaks {
			if err := s.Append(attempt(play(trials[i], k), 1, 1, peak)); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err := results.Compare(s.Reader, judging(0.5), judging(0.7), "")
	if err != nil {
		t.Fatal(err)
	}
	want := []results.Change{
		{Trial: trials[0], Was: results.Outcome{Measured: 4, Reacted: 3, Hit: true}, Now: results.Outcome{Measured: 4, Reacted: 2, Hit: true}},
		{Trial: trials[1], Was: results.Outcome{Measured: 4, Reacted: 1, Hit: true}, Now: results.Outcome{Measured: 4}},
		{Trial: trials[2], Was: results.Outcome{Measured: 4, Reacted: 4, Hit: true}, Now: results.Outcome{Measured: 4, Reacted: 4, Hit: true}},
	}
	for i, w := range want {
		got := c.Changes[i]
		if got != w || got.Ceased() != (i == 1) || got.Became() || c.Differs(got) != (i < 2) {
			t.Errorf("%s: %+v, want %+v", w.Trial.Word, got, w)
		}
	}
	if c.Agreement[bench.Reacted][bench.Reacted] != 6 || c.Agreement[bench.Reacted][bench.Quiet] != 2 || c.Agreement[bench.Quiet][bench.Quiet] != 4 {
		t.Errorf("agreement %v", c.Agreement)
	}
	if c.Was.Totals.Hits != 2 || c.Now.Totals.Hits != 1 {
		t.Errorf("%d hits were, %d are", c.Was.Totals.Hits, c.Now.Totals.Hits)
	}

	// The other way round they become hits, and a rule for whole trials is
	// compared with the verdict on the trial's plays.
	if c, err = results.Compare(s.Reader, judging(0.7), judging(0.5), ""); err != nil || !c.Changes[1].Became() {
		t.Errorf("%+v, %v", c.Changes, err)
	}
	whole := judging(0.5)
	whole.Trials = []oracle.TrialRule{{Name: "ears", Judge: func(oracle.Trial) oracle.TrialReading { return oracle.TrialReading{} }}}
	if c, err = results.Compare(s.Reader, judging(0.7), whole, "ears"); err != nil {
		t.Fatal(err)
	}
	if got := c.Changes[0]; got.Now != (results.Outcome{}) || !c.Differs(got) || c.Agreement[bench.Reacted][bench.Unmeasured] != 2 || c.Agreement[bench.Quiet][bench.Unmeasured] != 1 {
		t.Errorf("%+v, agreement %v", got, c.Agreement)
	}
	if _, err := results.Compare(s.Reader, judging(0.5), whole, "eyes"); err == nil {
		t.Error("compared with a rule that isn't there")
	}
}

// A rule that looks longer than plays were watched for reads on in the stream, as
// far as that goes without a gap.
func TestLongerRuleReadsOn(t *testing.T) {
	const start = 10 * second
	rule := traffic.PaperBurstRule()
	upload := func(until bench.Instant) (packets []bench.Packet) {
		for at := start + second; at < until; at += second / 10 {
			packets = append(packets, bench.Packet{At: at, Size: 1066, Payload: 1000, Direction: bench.Outgoing})
		}
		return packets
	}
	within := func(packets []bench.Packet, span bench.Span) []bench.Packet { return traffic.Between(packets, span) }
	tests := map[string]struct {
		sent    []bench.Packet
		watched []bench.Span
		dropped uint64
		want    bench.State
	}{
		"an upload":      {upload(start + 8*second), []bench.Span{{End: 30 * second}}, 0, bench.Reacted},
		"a short one":    {upload(start + 4*second), []bench.Span{{End: 30 * second}}, 0, bench.Quiet},
		"the end":        {upload(start + 4*second), []bench.Span{{End: start + 5*second}}, 0, bench.Unmeasured},
		"a gap":          {upload(start + 4*second), []bench.Span{{End: start + 5*second}, {Start: start + 6*second, End: 30 * second}}, 0, bench.Unmeasured},
		"packets lost":   {upload(start + 4*second), []bench.Span{{End: start + 5*second}, {Start: start + 5*second, End: 30 * second}}, 3, bench.Unmeasured},
		"in two pieces":  {upload(start + 8*second), []bench.Span{{End: start + 5*second}, {Start: start + 5*second, End: 30 * second}}, 0, bench.Reacted},
		"seen till then": {upload(start + 5*second), []bench.Span{{End: start + 5*second}}, 0, bench.Unmeasured},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			trials := plan(1, 1)
			s, _ := create(t, trials)
			defer closing(t, s)
			o := results.Observed{Session: 1, Bench: 1}
			for i, span := range tt.watched {
				stretch := results.Traffic{Watched: span, Packets: within(tt.sent, span)}
				if i > 0 {
					stretch.Dropped = tt.dropped
				}
				o.Traffic = append(o.Traffic, stretch)
			}
			a := attempt(play(trials[0], 0), 1, 1, 0.9)
			a.Sound = bench.Span{Start: start, End: start + second}
			watched := bench.Span{Start: start - 2*second, End: start + 4*second}
			a.Observations = []bench.Observation{{Oracle: traffic.Name, Watched: watched, Packets: within(tt.sent, watched)}}
			if err := s.AppendObserved(o, a); err != nil {
				t.Fatal(err)
			}
			j := judging(0.5)
			j.Rules = oracle.Rules{Judges: map[string]oracle.Judge{traffic.Name: rule.Judge}, Fusion: traffic.Name}
			states := map[bench.State]string{bench.Reacted: "1 of 1", bench.Quiet: "0 of 1", bench.Unmeasured: "0 of 0"}
			for _, watch := range []time.Duration{0, rule.Watch()} {
				j.Watch = watch
				report, err := results.Tally(s.Reader, j)
				if err != nil {
					t.Fatal(err)
				}
				want := states[tt.want]
				if watch == 0 {
					want = states[bench.Unmeasured]
				}
				row := report.Words[0]
				got := fmt.Sprintf("%d of %d", row.Reacted, row.Measured)
				if got != want {
					t.Errorf("watched for %v: %s, want %s", watch, got, want)
				}
			}
		})
	}
}
