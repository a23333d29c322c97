package results_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/results"
)

// A trial of four plays, a minute each way: what is stored of it, and what of
// that can be judged as a whole.
func TestTrialsAsAWhole(t *testing.T) {
	const (
		plays  = 4
		length = time.Minute
		start  = 100 * second // of the first sound
	)
	type night struct {
		before   []results.Attempt // of the other trial
		attempts []results.Attempt
		traffic  []results.Traffic
		void     []results.Void
	}
	trials := plan(2, plays)
	sounding := func(t results.Trial, i int, at bench.Instant) results.Attempt {
		a := attempt(play(t, i), 1, 1, 0.9)
		a.Observations = nil
		a.Sound = bench.Span{Start: at, End: at + second}
		return a
	}
	stretch := func(from, to bench.Instant) results.Traffic {
		return results.Traffic{Watched: bench.Span{Start: from, End: to}, Packets: steady(bench.Span{Start: from, End: to})}
	}
	tests := map[string]struct {
		change       func(*night)
		inapplicable string // "" where it is whole
		cut          string // why it would be played again
	}{
		"whole":            {change: func(*night) {}},
		"in pieces":        {change: func(n *night) { n.traffic = []results.Traffic{stretch(0, 70*second), stretch(70*second, 200*second)} }},
		"just enough":      {change: func(n *night) { n.traffic = []results.Traffic{stretch(start-60*second, start+60*second)} }},
		"nothing captured": {func(n *night) { n.traffic = nil }, "not at work", ""},
		"begun too late":   {func(n *night) { n.traffic = []results.Traffic{stretch(start-60*second+1, 200*second)} }, "not at work", ""},
		"ended too early":  {func(n *night) { n.traffic = []results.Traffic{stretch(0, start+60*second-1)} }, "not at work", ""},
		"a gap":            {func(n *night) { n.traffic = []results.Traffic{stretch(0, 90*second), stretch(90*second+1, 200*second)} }, "not at work", ""},
		"packets dropped":  {func(n *night) { n.traffic[0].Dropped = 3 }, "lost up to 3 packets", ""},
		"dropped before": {change: func(n *night) {
			n.traffic = []results.Traffic{{Watched: span(0, 30), Dropped: 3}, stretch(30*second, 200*second)}
		}},
		"another play before":     {change: func(n *night) { n.before = []results.Attempt{sounding(trials[1], 0, 39*second)} }},
		"another play in it":      {func(n *night) { n.before = []results.Attempt{sounding(trials[1], 0, 40*second)} }, "another play sounded in the idle stretch", ""},
		"another play in between": {func(n *night) { n.attempts = slices.Insert(n.attempts, 1, sounding(trials[1], 0, 104*second)) }, "in one go", "in one go"},
		"the other way round":     {func(n *night) { slices.Reverse(n.attempts) }, "in one go", "in one go"},
		"two sessions":            {func(n *night) { n.attempts[3].Session = 2 }, "in one go", "in one go"},
		"two benches":             {func(n *night) { n.attempts[3].Bench = 0 }, "in one go", "in one go"},
		"a play of its own": {func(n *night) {
			a := sounding(trials[0], 2, 180*second)
			a.Number = 2
			n.attempts = append(n.attempts, a)
		}, "in one go", "in one go"},
		"cut off":             {func(n *night) { n.attempts = n.attempts[:3] }, "cut off after 3 of 4 plays", "cut off"},
		"not played":          {func(n *night) { n.attempts = nil }, "not played", "not played"},
		"a play is void":      {func(n *night) { n.void = []results.Void{{Play: play(trials[0], 1), Number: 1}} }, "play 2 of 4 is void", "void"},
		"silent":              {func(n *night) { n.attempts[2] = failed(play(trials[0], 2), 1, 1); n.attempts[2].Bench = 1 }, "play 3 of 4 did not sound", "play 3 of 4 was not measured: oracle"},
		"unseen":              {func(n *night) { n.attempts[2].State, n.attempts[2].Fault = bench.Unmeasured, bench.FaultOracle }, "", "play 3 of 4 was not measured: oracle"},
		"busy":                {change: func(n *night) { n.attempts[2].State, n.attempts[2].Fault = bench.Unmeasured, bench.FaultDevice }},
		"busy from the first": {func(n *night) { n.attempts[0].State, n.attempts[0].Fault = bench.Unmeasured, bench.FaultDevice }, "", "play 1 of 4 was not measured: device"},
		"late":                {func(n *night) { n.attempts[2].Sound.Start += 8 * second; n.attempts[2].Sound.End += 8 * second }, "did not keep the pace: play 3 of 4 began 8s late", ""},
		"a little late":       {change: func(n *night) { n.attempts[2].Sound.Start += 7 * second; n.attempts[2].Sound.End += 7 * second }},
		"over the end":        {func(n *night) { n.attempts[3].Sound.End += 15 * second }, "play 4 of 4 ended after", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := create(t, trials)
			defer closing(t, s)
			if _, err := s.BeginSession(results.Session{}); err != nil {
				t.Fatal(err)
			}
			n := night{traffic: []results.Traffic{stretch(0, 200*second)}}
			for i := range plays {
				n.attempts = append(n.attempts, sounding(trials[0], i, start+bench.Instant(i)*15*second))
			}
			test.change(&n)
			for i := range n.before {
				n.before[i].Bench = 1
			}
			if err := s.AppendObserved(results.Observed{Session: 1, Bench: 1, Traffic: n.traffic}, slices.Concat(n.before, n.attempts)...); err != nil {
				t.Fatal(err)
			}
			if err := s.Void(n.void...); err != nil {
				t.Fatal(err)
			}

			var heard []oracle.Trial
			j := judging(0.5)
			j.Stretch = length
			j.Trials = []oracle.TrialRule{{Name: "ears", Judge: func(t oracle.Trial) oracle.TrialReading {
				heard = append(heard, t)
				return oracle.TrialReading{State: bench.Reacted, P: 0.5}
			}}}
			report, err := results.Tally(s.Reader, j)
			if err != nil {
				t.Fatal(err)
			}
			reading := report.Words[0].Trials[0]
			if whole := test.inapplicable == ""; whole != (reading.State == bench.Reacted) || !strings.Contains(reading.Inapplicable, test.inapplicable) {
				t.Errorf("%+v", reading)
			}
			for _, trial := range heard {
				idle, probe := bench.Span{Start: start - 60*second, End: start}, bench.Span{Start: start, End: start + 60*second}
				if trial.Idle != idle || trial.Probe != probe || len(trial.Sounds) != plays {
					t.Errorf("judged by %+v", trial)
				}
				if want := steady(bench.Span{Start: idle.Start, End: probe.End}); !slices.Equal(trial.Packets, want) {
					t.Errorf("judged by %d packets, not %d", len(trial.Packets), len(want))
				}
			}
			takes, err := s.Takes()
			if err != nil {
				t.Fatal(err)
			}
			if cut := takes.Cut(trials[0].ID); (test.cut == "") != (cut == "") || !strings.Contains(cut, test.cut) {
				t.Errorf("it would be played again because %q, not %q", cut, test.cut)
			}
			if busy := takes.Busy(trials[0].ID); busy != report.Totals.Busy || (busy > 0) != (name == "busy") {
				t.Errorf("%d plays found it busy, in all %d", busy, report.Totals.Busy)
			}
			// Without a pace, nothing is judged and nothing made up.
			j.Stretch = 0
			if report, err = results.Tally(s.Reader, j); err != nil {
				t.Fatal(err)
			}
			if got := report.Words[0].Trials[0]; got.State != bench.Unmeasured || !strings.Contains(got.Inapplicable, "fixed pace") {
				t.Errorf("without a pace: %+v", got)
			}
			if w := report.Wholes[0]; w.Trials[bench.Unmeasured] != 2 || len(w.Inapplicable) != 1 {
				t.Errorf("without a pace: %+v", w)
			}
		})
	}
}
