package traffic

import (
	"fmt"
	"slices"
	"time"

	"wakefuzz/bench"
)

// Scanner looks for activations at any time. The idle spans, if any are stated,
// are those in which the device is known not to have been woken; they are in the
// order of time. An activation's score is the most paced bytes of a window in
// it. What is found may change as more is learnt.
//
// Without idle spans the p-value ranks an activation among the windows below
// the line, and is approximate.
func (r CalibratedRule) Scanner(idle ...bench.Span) Scanner {
	return &calibratedScanner{rule: r, least: leastLine, stated: len(idle) > 0, idle: idle, null: NewNull(PacedWindow)}
}

// PacedRule draws the line at so many paced bytes, whatever the device: it shows
// what the calibrated detector could do with the best line for each.
type PacedRule struct {
	Bytes float64
}

// String states the rule.
func (r PacedRule) String() string {
	return fmt.Sprintf("traffic of %.0f paced bytes within %v", r.Bytes, PacedWindow)
}

// Scanner looks for the volume at any time. Scores are those of
// [CalibratedRule.Scanner].
func (r PacedRule) Scanner() Scanner {
	return pacedScanner{&calibratedScanner{least: r.Bytes, null: NewNull(PacedWindow)}}
}

type pacedScanner struct{ *calibratedScanner }

func (s pacedScanner) Findings(bench.Instant) Findings {
	return s.stretches().findings(s.notes()...)
}

type calibratedScanner struct {
	rule   CalibratedRule
	least  float64 // paced bytes of what is loud
	stated bool
	idle   []bench.Span // those that are not over
	clock
	counted
	pacer
	watching bool
	over     bench.Instant // when the present slot is
	since    int64         // the slot from which on nothing is missing
	peak     int32         // of the present window of the null
	null     *Null
	// loud are the stretches that the line could be below. They end with the
	// last slot in which something was sent.
	loud  activations
	aloud bool  // the latest window is part of the last of them
	sent  int64 // the latest slot in which something was sent
}

// fewestAudio is in how many of a window's slots there must be as much as audio
// takes, where directions are unknown: what is over within 0.6 s was downloaded.
// It keeps away one of a HomePod's two false alarms, and none of a thousand
// commands to Echos: the 998 above the line fill nine slots or more. Cut off 1.8 s
// after they began, as a false wake may be, two of a thousand more go unseen, and
// ten at 1.2 s; hence it is not asked for where directions are known.
const fewestAudio = 7

// longestSilence is more than a device that is on is silent for: the capture
// was paused, or its clock was set.
const longestSilence = time.Hour

func (s *calibratedScanner) Packet(p bench.Packet) {
	now := s.advance(p.At)
	if !s.watching || now >= s.over {
		s.reach(slotOf(now))
	}
	if s.counts(p) {
		s.add(carried(p))
	}
}

// reach moves on to the slot.
func (s *calibratedScanner) reach(slot int64) {
	if s.watching && slot-s.slot > int64(longestSilence/slotLength) {
		s.stop(slot)
	}
	if !s.watching {
		s.watching, s.since = true, slot
		s.pacer = pacer{slot: slot}
		s.peak, s.aloud = 0, false
	}
	s.pass(slot)
	s.over = instantOf(slot + 1)
}

func (s *calibratedScanner) Gap(span bench.Span) {
	if s.watching {
		s.stop(slotOf(span.Start))
	}
	s.advance(span.End)
}

// stop ends the watch with the slot, or once what was sent has had its effect.
func (s *calibratedScanner) stop(at int64) {
	s.pass(min(at, s.slot+2*pacedSlots))
	s.watching = false
}

// pass ends all slots before the one.
func (s *calibratedScanner) pass(slot int64) {
	for s.slot < slot {
		if s.sum == 0 && s.raw == 0 {
			// Nothing was sent for a window's length: the rest of this one is as
			// silent.
			s.slot, s.aloud = min(slot, s.slot+pacedSlots-place(s.slot)), false
		} else {
			s.peak = max(s.peak, s.hear())
		}
		if place(s.slot) == 0 {
			s.learn()
			s.peak = 0
		}
	}
}

// hear ends the present slot.
func (s *calibratedScanner) hear() int32 {
	if s.raw > 0 {
		s.sent = s.slot
	}
	sum := s.next()
	if s.undirected && s.audio < fewestAudio {
		sum = min(sum, int32(leastLine)-1)
	}
	if float64(sum) < s.least {
		s.aloud = false
		return sum
	}
	start := s.first()
	if s.aloud {
		start = s.sent // goes on
	}
	s.loud.add(Activation{Span: bench.Span{Start: instantOf(start), End: instantOf(s.sent + 1)}, Score: float64(sum)})
	s.aloud = true
	return sum
}

func instantOf(slot int64) bench.Instant { return bench.Instant(slot) * bench.Instant(slotLength) }

// learn adds the window that ends with the present slot's beginning, where
// nothing is missing of it nor of the one before, which its sums reach into.
func (s *calibratedScanner) learn() {
	first := s.slot - 2*pacedSlots
	if first < s.since {
		return
	}
	if s.stated {
		start, end := instantOf(first), instantOf(s.slot)
		for len(s.idle) > 0 && s.idle[0].End < end {
			s.idle = s.idle[1:]
		}
		if len(s.idle) == 0 || s.idle[0].Start > start {
			return
		}
	}
	s.null.add(instantOf(s.slot-pacedSlots), float32(s.peak))
}

func (s *calibratedScanner) Findings(bench.Instant) Findings {
	line, p, notes := s.line()
	var found activations
	for _, a := range s.stretches() {
		if a.Score >= line {
			a.P = p(a.Score)
			found = append(found, a)
		}
	}
	return found.findings(append(s.notes(), notes...)...)
}

// stretches are the loud ones by now: the present slot counts as if it were
// over.
func (s *calibratedScanner) stretches() activations {
	now := *s
	now.loud = slices.Clone(s.loud)
	if now.watching {
		now.hear()
	}
	return now.loud
}

// line is where the line is drawn by now, what p-value a score above it has, and
// what is to be said of it.
func (s *calibratedScanner) line() (line float64, p func(float64) PValue, notes []string) {
	if s.stated {
		line, notes = s.rule.Line(s.null)
		return line, s.null.P, notes
	}
	line, learnt := emptiest(s.null.audible)
	if !learnt {
		notes = append(notes, fmt.Sprintf("the device sent too little to learn from, so the line is the default of %.1f kB in %v", line/1000, PacedWindow))
	}
	above := slices.DeleteFunc(slices.Clone(s.null.audible), func(a audible) bool { return float64(a.peak) < line })
	if period, regular := regularly(above); regular {
		notes = append(notes, fmt.Sprintf("the activations come every %v: if nobody spoke then, they are the device's own; state an idle span to have them learnt", period.Round(time.Second)))
	}
	idle := 0
	for _, score := range s.null.scores {
		if float64(score) < line {
			idle++
		}
	}
	return line, func(float64) PValue { return PValue{Value: 1 / float64(1+idle), Approximate: true} }, notes
}
