package traffic

import (
	"math"
	"slices"
	"sort"
	"time"

	"wakefuzz/bench"
)

// Scanner looks for activations in the traffic of one device, whatever was
// played when: in a capture file, or on the wire as it goes. What it keeps
// does not grow with the packets but, at most, slowly with time.
type Scanner interface {
	// Packet takes the device's next packet. Packets come in the order of
	// time; one that steps back counts as simultaneous with its predecessor.
	Packet(p bench.Packet)
	// Gap says that nothing is known of the span: the capture was not at work,
	// or its clock was set. No window reaches across.
	Gap(span bench.Span)
	// Findings returns what the traffic up to the instant holds, as far as it
	// is known by now: later traffic may change what a detector that learns
	// thinks of earlier traffic, and the last activation may still go on.
	Findings(now bench.Instant) Findings
}

// Findings is what a scanner found in the traffic of one device.
type Findings struct {
	// Activations are in the order of time and don't overlap.
	Activations []Activation
	// Notes tell a person, a line each, what limits the findings: that there
	// was too little idle traffic, that the device's own bursts are as large as
	// speech.
	Notes []string
}

// Activation is a stretch in which a device is taken to have sent what it
// heard.
type Activation struct {
	Span bench.Span
	// Score is how strongly it stands out, in the detector's own unit: the
	// larger, the stronger.
	Score float64
	// P is how likely the device's idle traffic has a stretch like this, where
	// the detector knows.
	P PValue
}

// PValue is a p-value in (0, 1], or none: the zero PValue.
type PValue struct {
	Value float64
	// Approximate says that it is not known by what was measured which traffic
	// was idle: the detector chose that itself.
	Approximate bool
}

// Known reports whether there is a p-value.
func (p PValue) Known() bool { return p.Value > 0 }

// joinWithin is how close two stretches of upload must lie to be one
// activation: a device that pauses for breath has not been woken twice.
const joinWithin = 3 * time.Second

// activations are those found so far.
type activations []Activation

// add takes an activation that begins no earlier than the last one did, and
// joins it to that where they lie close.
func (a *activations) add(next Activation) {
	if n := len(*a); n > 0 && next.Span.Start.Sub((*a)[n-1].Span.End) < joinWithin {
		last := &(*a)[n-1]
		last.Span.End = max(last.Span.End, next.Span.End)
		if next.Score > last.Score {
			last.Score, last.P = next.Score, next.P
		}
		return
	}
	*a = append(*a, next)
}

// clock makes packets' times fit to reckon with: none steps back, and none lies
// so far away that adding to it would overflow.
type clock struct {
	now   bench.Instant
	begun bool
}

func (c *clock) advance(to bench.Instant) bench.Instant {
	const farthest = math.MaxInt64 / 4
	to = min(max(to, -farthest), farthest)
	if !c.begun || to > c.now {
		c.now, c.begun = to, true
	}
	return c.now
}

// counted says which packets a scanner for outgoing traffic counts: all that are
// not known to come in. A capture knows the direction of every packet or of
// none, and in the latter case all of them count.
type counted struct{ undirected bool }

func (c *counted) counts(p bench.Packet) bool {
	c.undirected = c.undirected || p.Direction == bench.DirectionUnknown
	return p.Direction != bench.Incoming
}

func (c counted) notes() []string {
	if !c.undirected {
		return nil
	}
	return []string{"the packets have no direction, as both ends bear the same address: what the device was sent counts as if it had sent it"}
}

// recent is how many bytes passed when, for as far back as is needed. Packets
// within a millisecond of each other count as one, so that it is bounded
// however fast they come.
type recent struct {
	ticks []tick
	total int64
	room  []tick // all that ticks are a part of
}

type tick struct {
	at     bench.Instant
	before int64 // bytes
}

func (r *recent) add(at bench.Instant, bytes int64) {
	if n := len(r.ticks); n == 0 || at.Sub(r.ticks[n-1].at) >= time.Millisecond {
		if n == cap(r.ticks) {
			if 2*n > cap(r.room) {
				r.room = make([]tick, 0, max(16, 4*n))
			}
			r.ticks = append(r.room[:0], r.ticks...) // over those that were forgotten
		}
		r.ticks = append(r.ticks, tick{at, r.total})
	}
	r.total += bytes
}

// forget drops what passed before the instant.
func (r *recent) forget(before bench.Instant) {
	for len(r.ticks) > 0 && r.ticks[0].at < before {
		r.ticks = r.ticks[1:]
	}
}

// bytes is what passed from the one instant up to the other.
func (r *recent) bytes(from, to bench.Instant) int64 { return r.until(to) - r.until(from) }

func (r *recent) until(at bench.Instant) int64 {
	return r.before(sort.Search(len(r.ticks), func(i int) bool { return r.ticks[i].at >= at }))
}

// before is what passed before the i-th tick.
func (r *recent) before(i int) int64 {
	if i < len(r.ticks) {
		return r.ticks[i].before
	}
	return r.total
}

// findings are the activations with notes, as values of their own.
func (a activations) findings(notes ...string) Findings {
	return Findings{Activations: slices.Clone([]Activation(a)), Notes: notes}
}
