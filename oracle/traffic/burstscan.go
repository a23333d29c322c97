package traffic

import (
	"math"
	"slices"
	"sort"

	"wakefuzz/bench"
)

// Scanner looks for rows of windows at any time. As in [BurstRule.Judge] every
// packet with payload begins a row, where the paper cuts time into windows once
// and for all. An activation reaches from the first such row to the end of the
// last, and its score is the rate, in kbit/s, that the best row sustained.
func (r BurstRule) Scanner() Scanner {
	return &burstScanner{rule: r, enough: r.enough(), ends: make([]int, r.Consecutive)}
}

// enough is the least number of bytes in a window that reach the rate.
func (r BurstRule) enough() int64 {
	const most = 1 << 50
	return int64(sort.Search(most, func(bytes int) bool { return r.rate(int64(bytes)) >= r.Rate }))
}

type burstScanner struct {
	rule   BurstRule
	enough int64 // bytes in a window
	clock
	counted
	sent recent // from the first packet on whose row is still open
	// Of the row that begins there: window is the one to be judged next, due
	// when it ends, and least the bytes of the poorest before it. Ends is where
	// in sent the windows before it end, and where later ones ended in rows
	// before, which is no later.
	window int
	due    bench.Instant
	least  int64
	ends   []int
	found  activations
}

func (s *burstScanner) Packet(p bench.Packet) {
	now := s.advance(p.At)
	if s.counts(p) && p.Payload > 0 {
		s.sent.add(now, int64(p.Payload))
		if len(s.sent.ticks) == 1 {
			s.begin()
		}
	}
	for now >= s.due && len(s.sent.ticks) > 0 {
		s.judge()
	}
}

// begin begins the row of the first packet.
func (s *burstScanner) begin() {
	s.window, s.least = 0, math.MaxInt64
	if len(s.sent.ticks) > 0 {
		s.due = s.sent.ticks[0].at.Add(s.rule.Window)
	}
}

// judge judges a window that is over. The first that fails ends the row.
func (s *burstScanner) judge() {
	start := 0
	if s.window > 0 {
		start = s.ends[s.window-1]
	}
	end := max(start, s.ends[s.window])
	for end < len(s.sent.ticks) && s.sent.ticks[end].at < s.due {
		end++
	}
	s.ends[s.window] = end
	s.window++
	in := s.sent.before(end) - s.sent.before(start)
	s.least = min(s.least, in)
	switch {
	case in < s.enough:
	case s.window < s.rule.Consecutive:
		s.due = s.due.Add(s.rule.Window)
		return
	default:
		s.found.add(Activation{Span: bench.Span{Start: s.sent.ticks[0].at, End: s.due}, Score: s.rule.rate(s.least)})
	}
	s.sent.ticks = s.sent.ticks[1:]
	for i := range s.ends {
		s.ends[i] = max(0, s.ends[i]-1)
	}
	s.begin()
}

// row is that which begins with the i-th packet, and the rate that it sustains
// by now.
func (s *burstScanner) row(i int) (row bench.Span, rate float64) {
	row.Start = s.sent.ticks[i].at
	row.End = row.Start
	for n := range s.rule.Consecutive {
		start := row.End
		row.End = start.Add(s.rule.Window)
		in := s.rule.rate(s.sent.bytes(start, row.End))
		if n == 0 || in < rate {
			rate = in
		}
	}
	return row, rate
}

// open adds the rows that suffice already, though they may go on.
func (s *burstScanner) open(found *activations) {
	for i := range s.sent.ticks {
		if row, rate := s.row(i); rate >= s.rule.Rate {
			found.add(Activation{Span: row, Score: rate})
		}
	}
}

func (s *burstScanner) Gap(span bench.Span) {
	s.open(&s.found)
	s.sent = recent{}
	clear(s.ends)
	s.advance(span.End)
}

func (s *burstScanner) Findings(bench.Instant) Findings {
	found := activations(slices.Clone(s.found))
	s.open(&found)
	return found.findings(s.notes()...)
}
