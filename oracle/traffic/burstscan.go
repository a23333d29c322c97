package traffic

import (
	"math"
	"slices"
	"sort"
	"time"

	"wakefuzz/bench"
)

// Scanner looks for rows of windows at any time. As in [BurstRule.Judge] every
// packet with payload begins a row, where the paper cuts time into windows once
// and for all. An activation reaches from the first such row to the end of the
// last, and its score is the rate, in kbit/s, that the best row sustained.
func (r BurstRule) Scanner() Scanner {
	return &burstScanner{rule: r, enough: r.enough(), length: time.Duration(r.Consecutive) * r.Window, ends: make([]int, r.Consecutive)}
}

// enough is the least number of bytes in a window that reach the rate.
func (r BurstRule) enough() int64 {
	const most = 1 << 50
	return int64(sort.Search(most, func(bytes int) bool { return r.rate(int64(bytes)) >= r.Rate }))
}

type burstScanner struct {
	rule   BurstRule
	enough int64         // bytes in a window
	length time.Duration // of a row
	clock
	counted
	sent recent // from the first packet on whose row is still open
	left int    // packets before that
	// ends are how many packets came before the end of each window of the row
	// that was judged last, so far as it was. Those of later rows end no earlier.
	ends  []int
	found activations
}

func (s *burstScanner) Packet(p bench.Packet) {
	now := s.advance(p.At)
	if s.counts(p) && p.Payload > 0 {
		s.sent.add(now, int64(p.Payload))
	}
	for len(s.sent.ticks) > 0 && now.Sub(s.sent.ticks[0].at) >= s.length {
		s.judge()
	}
}

// judge judges the row of the first packet, which is over. The first window that
// fails ends it.
func (s *burstScanner) judge() {
	ticks := s.sent.ticks
	row := bench.Span{Start: ticks[0].at, End: ticks[0].at}
	least, before := int64(math.MaxInt64), ticks[0].before
	for n, passed := range s.ends {
		row.End = row.End.Add(s.rule.Window)
		end := max(0, passed-s.left)
		for end < len(ticks) && ticks[end].at < row.End {
			end++
		}
		s.ends[n] = end + s.left
		until := s.sent.before(end)
		least = min(least, until-before)
		before = until
		if least < s.enough {
			break
		}
	}
	if least >= s.enough {
		s.found.add(Activation{Span: row, Score: s.rule.rate(least)})
	}
	s.sent.ticks = ticks[1:]
	s.left++
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
	s.sent, s.left = recent{}, 0
	clear(s.ends)
	s.advance(span.End)
}

func (s *burstScanner) Findings(bench.Instant) Findings {
	found := activations(slices.Clone(s.found))
	s.open(&found)
	return found.findings(s.notes()...)
}
