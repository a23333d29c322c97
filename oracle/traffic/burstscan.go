package traffic

import (
	"slices"

	"wakefuzz/bench"
)

// Scanner looks for rows of windows at any time. As in [BurstRule.Judge] every
// packet with payload begins a row, where the paper cuts time into windows once
// and for all. An activation reaches from the first such row to the end of the
// last, and its score is the rate, in kbit/s, that the best row sustained.
func (r BurstRule) Scanner() Scanner { return &burstScanner{rule: r} }

type burstScanner struct {
	rule BurstRule
	clock
	counted
	sent  recent // from the first packet on whose row is still open
	found activations
}

func (s *burstScanner) Packet(p bench.Packet) {
	now := s.advance(p.At)
	if s.counts(p) && p.Payload > 0 {
		s.sent.add(now, int64(p.Payload))
	}
	for len(s.sent.ticks) > 0 {
		row, rate, done := s.row(0, now)
		if !done {
			return
		}
		if rate >= s.rule.Rate {
			s.found.add(Activation{Span: row, Score: rate})
		}
		s.sent.ticks = s.sent.ticks[1:]
	}
}

// row is that which begins with the i-th packet, and the rate that it sustains
// by now. It is done once nothing more can change that or, if it fails, mend it.
func (s *burstScanner) row(i int, now bench.Instant) (row bench.Span, rate float64, done bool) {
	row.Start = s.sent.ticks[i].at
	row.End = row.Start
	for n := range s.rule.Consecutive {
		start := row.End
		row.End = start.Add(s.rule.Window)
		in := s.rule.rate(s.sent.bytes(start, row.End))
		if n == 0 || in < rate {
			rate = in
		}
		if rate < s.rule.Rate {
			return row, rate, now >= row.End
		}
	}
	return row, rate, now >= row.End
}

// open adds the rows that suffice already, though they may go on.
func (s *burstScanner) open(found *activations) {
	for i := range s.sent.ticks {
		if row, rate, _ := s.row(i, s.now); rate >= s.rule.Rate {
			found.add(Activation{Span: row, Score: rate})
		}
	}
}

func (s *burstScanner) Gap(span bench.Span) {
	s.open(&s.found)
	s.sent = recent{}
	s.advance(span.End)
}

func (s *burstScanner) Findings(bench.Instant) Findings {
	found := activations(slices.Clone(s.found))
	s.open(&found)
	return found.findings(s.notes()...)
}
