// Package bench is the vocabulary that players, oracles and the store share:
// when something happened, what was recorded, and what a recording says.
//
// A bench is the device under test, with the player that sounds clips at it
// and the oracles that watch it. Two kinds of value leave a bench and must not
// be confused:
//
//   - An [Observation] is what an oracle recorded: scores per frame, and what
//     went wrong while it watched. It is stored and never changes.
//   - A [Reading] is what an observation says under a rule: the device reacted,
//     it did not, or the play could not be measured. It is computed, and
//     computed again when the rule changes.
//
// An error returned by a player or an oracle means that the campaign can't go
// on. Whatever concerns one play only is a [Fault], and is data.
//
// The package imports nothing of the project.
package bench

import "time"

// Instant is a point on a bench's own clock, in nanoseconds since that clock
// began. A bench with hardware begins its clock with the session; a software
// bench has a virtual clock that moves as samples are pushed. Instants of two
// sessions, or of two benches in one session, can't be compared.
type Instant int64

// Add returns the instant d later.
func (t Instant) Add(d time.Duration) Instant { return t + Instant(d) }

// Sub returns the time from u to t.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// Span is a stretch of a bench's clock: Start is part of it, End is not.
type Span struct {
	Start, End Instant
}

// Duration is the span's length.
func (s Span) Duration() time.Duration { return s.End.Sub(s.Start) }

// Series is a signal sampled at a steady pace, as a wake-word model's score
// per frame. Values[i] speaks of the frame that ended at Start + i·Step.
type Series struct {
	Start  Instant
	Step   time.Duration
	Values []float32
}

// At is the instant of which Values[i] speaks.
func (s Series) At(i int) Instant { return s.Start.Add(time.Duration(i) * s.Step) }

// Edge is a change of a light: from At on it is lit, or it is dark.
type Edge struct {
	At  Instant
	Lit bool
}

// Packet is what is kept of a network packet: when, how large, which way.
type Packet struct {
	At Instant
	// Size is the frame's length on the wire and Payload what TCP or UDP
	// carried of it, in bytes.
	Size, Payload int32
	Direction     Direction
}

// Direction says which way a packet went, seen from the device under test.
// Stored records hold these numbers.
type Direction uint8

// The directions.
const (
	DirectionUnknown Direction = iota
	Outgoing
	Incoming
)

// Observation is what one oracle recorded of one play.
type Observation struct {
	// Oracle is the name of the oracle that recorded it, such as "engine".
	Oracle string
	// Watched is the span that the record covers.
	Watched Span
	// Scores holds an engine's score per frame. Empty for other oracles.
	Scores Series
	// Detections holds when an engine said that it had heard its wake word, of
	// engines that tell no scores. Empty for other oracles.
	Detections []Instant
	// Edges holds a light's changes. The first stands at the beginning of the
	// watched span and says whether the light was lit then. Empty for other
	// oracles.
	Edges []Edge
	// Packets holds the device's traffic in the watched span, in the order of
	// time. Empty for other oracles.
	Packets []Packet
	// Dropped is how many packets the span lacks because the capture lost them.
	Dropped uint64
	// Fault is why the record can't be used, or NoFault.
	Fault Fault
	// Detail explains the fault in words.
	Detail string
}

// State is the outcome of judging a play. Its zero value is Unmeasured, so
// that what was never filled in is never taken for a "no".
type State uint8

// The three outcomes.
const (
	Unmeasured State = iota
	Quiet
	Reacted
)

// String returns "unmeasured", "quiet" or "reacted".
func (s State) String() string {
	switch s {
	case Quiet:
		return "quiet"
	case Reacted:
		return "reacted"
	default:
		return "unmeasured"
	}
}

// Reading is what one observation says under one rule.
type Reading struct {
	Oracle string
	State  State
	// Strength is how strongly, in the oracle's own unit: the peak score of an
	// engine. It is given for Quiet too.
	Strength float64
	// Latency is the time from the end of the sound to the reaction. It is
	// negative for a reaction before the sound was over, and only meaningful
	// where State is Reacted.
	Latency time.Duration
	// Fault is why State is Unmeasured, or NoFault.
	Fault Fault
}

// Fault names why a play could not be measured. The set is closed, and each
// fault belongs to one party; see [Fault.Party].
type Fault string

// The faults. Stored records hold these strings: they are never renamed.
const (
	NoFault Fault = ""
	// FaultSynthesis: the voice could not speak the utterance.
	FaultSynthesis Fault = "synthesis"
	// FaultPlayer: the sound did not leave as it should have.
	FaultPlayer Fault = "player"
	// FaultOracle: an oracle recorded nothing or lost a part of it.
	FaultOracle Fault = "oracle"
	// FaultDevice: the device under test was not in a state to be tested.
	FaultDevice Fault = "device"
	// FaultInterrupted: the operator stopped the campaign in mid-play.
	FaultInterrupted Fault = "interrupted"
)

// Party says whose fault it is: "target" (the device under test), "rig" (what
// plays and watches), "operator", or "" for NoFault.
func (f Fault) Party() string {
	switch f {
	case NoFault:
		return ""
	case FaultDevice:
		return "target"
	case FaultInterrupted:
		return "operator"
	default:
		return "rig"
	}
}
