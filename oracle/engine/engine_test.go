package engine_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wakefuzz/bench"
	"wakefuzz/oracle/engine"
)

const step = 80 * time.Millisecond

func TestJudge(t *testing.T) {
	nan := float32(math.NaN())
	// The sound ends with the third frame.
	sound := bench.Span{Start: 0, End: bench.Instant(3 * step)}
	tests := []struct {
		name     string
		rule     engine.Rule
		scores   []float32
		state    bench.State
		strength float64
		latency  time.Duration
	}{
		{"nothing recorded", engine.DefaultRule(), nil, bench.Unmeasured, 0, 0},
		{"silence", engine.DefaultRule(), []float32{0, 0, 0, 0}, bench.Quiet, 0, 0},
		{"just below", engine.DefaultRule(), []float32{0, 0.25, 0.4921875, 0}, bench.Quiet, 0.4921875, 0},
		{"at the threshold", engine.DefaultRule(), []float32{0, 0.5, 0, 0}, bench.Reacted, 0.5, -step},
		{"first crossing counts, peak is the strength", engine.DefaultRule(), []float32{0, 0, 0, 0, 0.75, 0.875, 0.625}, bench.Reacted, 0.875, 2 * step},
		{"a threshold that float32 rounds", engine.Rule{Threshold: 0.9, Patience: 1}, []float32{0.9}, bench.Reacted, float64(float32(0.9)), -2 * step},
		{"not a number", engine.DefaultRule(), []float32{0, nan, 0.75}, bench.Unmeasured, 0, 0},
		{"not a number after a reaction", engine.DefaultRule(), []float32{0.75, nan}, bench.Unmeasured, 0, 0},
		{"patience", engine.Rule{Threshold: 0.5, Patience: 3}, []float32{0.5, 0.5, 0.5, 0.75}, bench.Reacted, 0.75, 0},
		{"patience, interrupted", engine.Rule{Threshold: 0.5, Patience: 3}, []float32{0.75, 0.75, 0.25, 0.75, 0.75}, bench.Quiet, 0.75, 0},
		{"patience, second run", engine.Rule{Threshold: 0.5, Patience: 2}, []float32{0.75, 0.25, 0.75, 0.75, 0.25, 0.75, 0.75}, bench.Reacted, 0.75, step},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.rule.Judge(sound, bench.Observation{
				Oracle: engine.Name,
				Scores: bench.Series{Start: bench.Instant(step), Step: step, Values: tt.scores},
			})
			want := bench.Reading{Oracle: engine.Name, State: tt.state, Strength: tt.strength, Latency: tt.latency}
			if tt.state == bench.Unmeasured {
				want.Fault = bench.FaultOracle
			}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// Reach says of every threshold what Judge says.
func TestReach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOf(rapid.Float32Range(0, 1)).Draw(t, "scores")
		o := bench.Observation{Oracle: engine.Name, Scores: bench.Series{Step: step, Values: scores}}
		rule := engine.Rule{Patience: rapid.IntRange(1, 4).Draw(t, "patience")}
		reach, measured := rule.Reach(o)
		thresholds := []float64{1e-6, 0.5, 1}
		for _, s := range scores {
			thresholds = append(thresholds, float64(s))
		}
		for _, rule.Threshold = range thresholds {
			if rule.Threshold <= 0 {
				continue
			}
			want := rule.Judge(bench.Span{}, o).State
			got := bench.Quiet
			switch {
			case !measured:
				got = bench.Unmeasured
			case reach >= float32(rule.Threshold):
				got = bench.Reacted
			}
			if got != want {
				t.Fatalf("at %g: %v by a reach of %g, %v by the rule", rule.Threshold, got, reach, want)
			}
		}
	})
	nan := bench.Observation{Scores: bench.Series{Values: []float32{1, float32(math.NaN())}}}
	if reach, measured := engine.DefaultRule().Reach(nan); measured || reach != 0 {
		t.Errorf("no number: %g, %v", reach, measured)
	}
}

func TestJudgeDetections(t *testing.T) {
	watched := bench.Span{Start: 0, End: bench.Instant(9 * step)}
	sound := bench.Span{Start: 0, End: bench.Instant(3 * step)}
	unmeasured := bench.Reading{Oracle: engine.Name, Fault: bench.FaultOracle}
	for name, c := range map[string]struct {
		o    bench.Observation
		want bench.Reading
	}{
		"none": {bench.Observation{Watched: watched}, bench.Reading{State: bench.Quiet}},
		"two": {
			bench.Observation{Watched: watched, Detections: []bench.Instant{bench.Instant(4 * step), bench.Instant(5 * step)}},
			bench.Reading{State: bench.Reacted, Strength: 2, Latency: step},
		},
		"nothing watched":    {bench.Observation{}, unmeasured},
		"an engine's scores": {bench.Observation{Watched: watched, Scores: bench.Series{Step: step, Values: []float32{0.9}}}, unmeasured},
	} {
		c.o.Oracle, c.want.Oracle = engine.Name, engine.Name
		if got := (engine.Detected{}).Judge(sound, c.o); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestRuleValidate(t *testing.T) {
	tests := []struct {
		rule engine.Rule
		want string // what the error speaks of; empty for none
	}{
		{engine.DefaultRule(), ""},
		{engine.Rule{Threshold: 1, Patience: 5}, ""},
		{engine.Rule{Threshold: 0, Patience: 1}, "threshold: 0 "},
		{engine.Rule{Threshold: 1.5, Patience: 1}, "threshold: 1.5 "},
		{engine.Rule{Threshold: -0.5, Patience: 1}, "threshold: -0.5 "},
		{engine.Rule{Threshold: math.NaN(), Patience: 1}, "threshold: NaN "},
		{engine.Rule{Threshold: 0.5, Patience: 0}, "patience: 0 "},
	}
	for _, tt := range tests {
		err := tt.rule.Validate()
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%+v: %v", tt.rule, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%+v: error %v, want one with %q", tt.rule, err, tt.want)
		}
	}
}

func TestRuleString(t *testing.T) {
	for want, rule := range map[string]engine.Rule{
		"engine score >= 0.5":               engine.DefaultRule(),
		"engine score >= 0.75 for 3 frames": {Threshold: 0.75, Patience: 3},
	} {
		if got := rule.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
