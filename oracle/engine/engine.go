// Package engine judges what a wake-word engine scored, frame by frame, or said
// that it detected, where it tells no scores. It is pure; the engines themselves
// are drivers in the folders below.
package engine

import (
	"fmt"
	"slices"

	"wakefuzz/bench"
)

// Name is what observations of engines are filed under.
const Name = "engine"

// Rule is when a series of scores is a reaction.
type Rule struct {
	// Threshold is the score from which a frame counts, in (0, 1].
	Threshold float64 `yaml:"threshold"`
	// Patience is how many frames in a row must count, at least 1.
	Patience int `yaml:"patience"`
}

// DefaultRule is openWakeWord's own: a single frame at 0.5.
func DefaultRule() Rule { return Rule{Threshold: 0.5, Patience: 1} }

// String states the rule.
func (r Rule) String() string {
	if r.Patience > 1 {
		return fmt.Sprintf("engine score >= %g for %d frames", r.Threshold, r.Patience)
	}
	return fmt.Sprintf("engine score >= %g", r.Threshold)
}

// Validate returns an error where the rule could not decide anything.
func (r Rule) Validate() error {
	if !(r.Threshold > 0 && r.Threshold <= 1) {
		return fmt.Errorf("threshold: %g is not in (0, 1]", r.Threshold)
	}
	if r.Patience < 1 {
		return fmt.Errorf("patience: %d is not at least 1", r.Patience)
	}
	return nil
}

// Judge reads the scores. Strength is the peak score; the reaction is at the
// frame that completes the first run of Patience frames. Scores that are
// missing, or not a number, read as unmeasured.
func (r Rule) Judge(sound bench.Span, o bench.Observation) bench.Reading {
	reading := bench.Reading{Oracle: o.Oracle, State: bench.Quiet}
	if len(o.Scores.Values) == 0 {
		return unmeasured(o.Oracle)
	}
	run := 0
	for i, v := range o.Scores.Values {
		score := float64(v)
		if score != score {
			return unmeasured(o.Oracle)
		}
		reading.Strength = max(reading.Strength, score)
		// The threshold is compared as the float32 that scores are.
		if v >= float32(r.Threshold) {
			run++
		} else {
			run = 0
		}
		if run == r.Patience && reading.State != bench.Reacted {
			reading.State = bench.Reacted
			reading.Latency = o.Scores.At(i).Sub(sound.End)
		}
	}
	return reading
}

// Reach is the highest threshold at which the rule, with its patience, reads the
// scores as a reaction: [Rule.Judge] does so at that threshold and below. It is 0
// where no threshold does. The second result is false for scores that read as
// unmeasured.
func (r Rule) Reach(o bench.Observation) (threshold float32, measured bool) {
	values := o.Scores.Values
	if len(values) == 0 || slices.ContainsFunc(values, func(v float32) bool { return v != v }) {
		return 0, false
	}
	for end := r.Patience; end <= len(values); end++ {
		threshold = max(threshold, slices.Min(values[end-r.Patience:end]))
	}
	return threshold, true
}

// Detected is the rule for engines that tell no scores: a detection is a
// reaction. Where the line lies was the engine's own decision, and no rule can
// move it afterwards.
type Detected struct{}

// String states the rule.
func (Detected) String() string { return "engine says so" }

// Validate returns nil: there is nothing to choose.
func (Detected) Validate() error { return nil }

// Judge reads the detections. Strength is their number; the reaction is at the
// first. What was not watched at all, or is of an engine that tells scores,
// reads as unmeasured.
func (Detected) Judge(sound bench.Span, o bench.Observation) bench.Reading {
	switch {
	case o.Watched.Duration() <= 0 || len(o.Scores.Values) > 0:
		return unmeasured(o.Oracle)
	case len(o.Detections) == 0:
		return bench.Reading{Oracle: o.Oracle, State: bench.Quiet}
	}
	return bench.Reading{
		Oracle:   o.Oracle,
		State:    bench.Reacted,
		Strength: float64(len(o.Detections)),
		Latency:  slices.Min(o.Detections).Sub(sound.End),
	}
}

func unmeasured(oracle string) bench.Reading {
	return bench.Reading{Oracle: oracle, Fault: bench.FaultOracle}
}
