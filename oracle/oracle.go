// Package oracle watches the device under test.
//
// An [Oracle] records; it does not judge. Judging is done by [Rules], pure
// functions of what was recorded, during the campaign and again whenever a
// rule changes.
package oracle

import (
	"context"
	"time"

	"wakefuzz/bench"
)

// Oracle records what happens on the bench. It is used by one goroutine.
type Oracle interface {
	// Name is what its observations are filed under: "engine".
	Name() string
	// Window is how long after the end of a sound it must watch before its
	// observation can be judged.
	Window() time.Duration
	// Observe returns what was recorded in the span, waiting until the bench's
	// clock has passed its end. What fails for this span only is a Fault in
	// the Observation; an error means that the oracle is of no further use, or
	// that ctx ended.
	Observe(ctx context.Context, watched bench.Span) (bench.Observation, error)
}

// Judge says what an observation means for a clip that sounded in the span. It
// is pure.
type Judge func(sound bench.Span, o bench.Observation) bench.Reading

// Rules is how a campaign judges a play: one judge per oracle, by the oracle's
// name, and how their readings become one verdict.
type Rules struct {
	Judges map[string]Judge
	Fusion Fusion
	// Text states the rules in one line, as stored with every attempt:
	// "engine score >= 0.5".
	Text string
}

// Fusion says how the readings of several oracles become one verdict: the name
// of the oracle that decides, or FusionAny or FusionAll.
type Fusion string

// The fusions that name no single oracle.
const (
	// FusionAny: reacted where any oracle reacted; quiet only where all were
	// measured and quiet.
	FusionAny Fusion = "any"
	// FusionAll: reacted where all oracles reacted; quiet where any was quiet.
	FusionAll Fusion = "all"
)

// Verdict is the outcome of a play under some rules.
type Verdict struct {
	State bench.State
	// Fault is why State is Unmeasured, or NoFault.
	Fault bench.Fault
	// Readings has one for each observation, in their order.
	Readings []bench.Reading
}

// Judge applies the rules to what was observed of a clip that sounded in the
// span. An observation with a fault reads as unmeasured whatever its judge
// would say, and so does one that no judge speaks for.
func (r Rules) Judge(sound bench.Span, observations []bench.Observation) Verdict {
	v := Verdict{Readings: make([]bench.Reading, len(observations))}
	for i, o := range observations {
		reading := bench.Reading{Fault: bench.FaultOracle}
		if judge := r.Judges[o.Oracle]; o.Fault != bench.NoFault {
			reading.Fault = o.Fault
		} else if judge != nil {
			reading = judge(sound, o)
		}
		reading.Oracle = o.Oracle
		v.Readings[i] = reading
	}
	v.State, v.Fault = r.Fusion.fuse(v.Readings)
	return v
}

func (f Fusion) fuse(readings []bench.Reading) (bench.State, bench.Fault) {
	var reacted, quiet, deciding int
	fault := bench.FaultOracle // where the deciding oracle recorded nothing at all
	for _, r := range readings {
		if f != FusionAny && f != FusionAll && r.Oracle != string(f) {
			continue
		}
		deciding++
		switch r.State {
		case bench.Reacted:
			reacted++
		case bench.Quiet:
			quiet++
		default:
			fault = r.Fault
		}
	}
	switch {
	case deciding == 0:
		return bench.Unmeasured, fault
	case reacted == deciding, f == FusionAny && reacted > 0:
		return bench.Reacted, bench.NoFault
	case quiet == deciding, f == FusionAll && quiet > 0:
		return bench.Quiet, bench.NoFault
	default:
		return bench.Unmeasured, fault
	}
}
