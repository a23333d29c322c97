package traffic

import (
	"fmt"
	"time"

	"wakefuzz/bench"
)

// Scanner compares each stretch of traffic with the one before it, stretch after
// stretch from the first packet on (section 5.2.2). An activation is a stretch
// that differs, or several in a row; its score is 1-p. The test can't tell
// which of the two stretches was the idle one: the first stretch after an
// activation mostly differs as well.
func (r TTestRule) Scanner() *TTestScanner {
	none := func() sample { return sample{gaps: []float64{}} }
	return &TTestScanner{rule: r, present: none(), before: none()}
}

// detector is a Scanner that compares nothing but what decides.
func (r TTestRule) detector() Scanner {
	s := r.Scanner()
	if r.Features != FeatureGaps && r.Features != FeaturesBoth {
		s.present.gaps, s.before.gaps = nil, nil
	}
	return s
}

// TTestScanner is a [Scanner].
type TTestScanner struct {
	rule TTestRule
	clock
	counted
	begun     bool
	start     bench.Instant // of the present stretch
	present   sample        // not sorted yet
	before    sample
	last      bench.Instant // of present's packets, where it has any
	whole     bool          // there is a stretch before the present one
	overfull  bool          // the present stretch has more packets than are worked with
	lost      int           // stretches that had
	stretches []Stretch
}

// Stretch is a comparison of a stretch of traffic with the one before it.
type Stretch struct {
	Span    bench.Span
	Reading TrialReading
}

// maxStretchPackets bounds the memory that a stretch takes. It is 30 s of 100
// Mbit/s in full packets, which no speaker sends.
const maxStretchPackets = 1 << 18

// Packet takes the next packet.
func (s *TTestScanner) Packet(p bench.Packet) {
	p.At = s.advance(p.At)
	if !s.begun {
		s.begun, s.start = true, p.At
	}
	s.close(p.At)
	switch {
	case !s.counts(p):
	case len(s.present.sizes) == maxStretchPackets:
		s.overfull = true
	default:
		s.add(p)
	}
}

// add adds a packet to the present stretch.
func (s *TTestScanner) add(p bench.Packet) {
	if s.present.gaps != nil && len(s.present.sizes) > 0 {
		s.present.gaps = append(s.present.gaps, p.At.Sub(s.last).Seconds())
	}
	s.present.sizes = append(s.present.sizes, float64(p.Size))
	s.last = p.At
}

// close compares the stretches that are over by now. Of a long silence only the
// first stretch is, with the traffic before it.
func (s *TTestScanner) close(now bench.Instant) {
	for range 2 {
		if now < s.start.Add(s.rule.Duration) {
			return
		}
		if s.overfull {
			s.lost++
		}
		s.present.sort()
		if s.whole && !s.overfull {
			s.stretches = append(s.stretches, Stretch{
				Span:    bench.Span{Start: s.start, End: s.start.Add(s.rule.Duration)},
				Reading: s.rule.judge(s.before, s.present),
			})
		}
		s.whole = !s.overfull
		s.before, s.present, s.overfull = s.present, s.before.emptied(), false
		s.start = s.start.Add(s.rule.Duration)
	}
	if silent := now.Sub(s.start) / s.rule.Duration; silent > 0 {
		s.before = s.before.emptied()
		s.whole = true
		s.start = s.start.Add(silent * s.rule.Duration)
	}
}

// Gap says that nothing is known of the span. Stretches begin anew after it.
func (s *TTestScanner) Gap(span bench.Span) {
	s.advance(span.End)
	s.begun, s.whole, s.overfull = false, false, false
	s.present, s.before = s.present.emptied(), s.before.emptied()
}

// Stretches are the comparisons made so far, for whom another threshold may
// matter.
func (s *TTestScanner) Stretches() []Stretch { return s.stretches }

// Findings returns what was found so far. The stretch that is under way is not
// judged yet.
func (s *TTestScanner) Findings(bench.Instant) Findings {
	var found activations
	for _, c := range s.stretches {
		if c.Reading.State == bench.Reacted {
			p := c.Reading.Of(s.rule.Features).P
			// That the stretch before was idle is nobody's statement. A p-value
			// is never 0, but its number may be too small to be written.
			found.add(Activation{Span: c.Span, Score: 1 - p, P: PValue{Value: max(p, smallestP), Approximate: true}})
		}
	}
	notes := s.notes()
	if s.lost > 0 {
		notes = append(notes, fmt.Sprintf("%d stretches of %v hold more than %d packets and are not compared",
			s.lost, s.rule.Duration.Round(time.Millisecond), maxStretchPackets))
	}
	return found.findings(notes...)
}
