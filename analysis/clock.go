package analysis

import (
	"fmt"
	"sort"
	"time"

	"wakefuzz/bench"
)

// clock turns the times of packets into instants that never step back, and
// instants into times again. An instant is the time since the capture's first
// packet until the clock is set for the first time.
type clock struct {
	begun  bool
	origin time.Time
	// stamp is the present time and farthest the latest of all, since origin.
	stamp, farthest time.Duration
	// offset is what an instant is ahead of its time at present.
	offset bench.Instant
	// reserved instants are for times before the clock is set.
	reserved bench.Instant
	eras     []era // that are over
	watched  time.Duration

	late     int64 // packets out of order
	latest   time.Duration
	silences int
	resets   int
	jumps    []string // the first of either, in words
}

// era is the time from one setting of the clock to the next.
type era struct {
	end    bench.Instant // of its last packet
	offset bench.Instant
}

const (
	// farthestTime is more than any capture lasts, and no more than a difference of
	// two of which can be told.
	farthestTime = (1<<62 - 1) * time.Nanosecond // 146 years
	// longestSilence is more than a capture stands still for. Time that jumps
	// forward by more was set, and is not reckoned with.
	longestSilence = 30 * 24 * time.Hour
	// apart is how far apart two eras are kept: no detector joins what it finds
	// on either side.
	apart = bench.Instant(time.Minute)
)

// advance moves to a time. Of two times of which nothing is known in between, it
// returns the span of instants.
func (c *clock) advance(t time.Time) (gap bench.Span, ok bool) {
	if !c.begun {
		c.begun, c.origin = true, t
	}
	to := min(max(t.Sub(c.origin), -farthestTime), farthestTime)
	switch step := to - c.stamp; {
	case step >= 0 && step < Silence:
		c.stamp = to
		c.watched += step
		c.farthest = max(c.farthest, to)
		return bench.Span{}, false
	case step < 0 && step >= -Disorder:
		c.late++
		c.latest = max(c.latest, -step)
		return bench.Span{}, false
	case step > 0 && step <= longestSilence:
		c.silences++
		c.jump("no packet came from %s to %s: the capture stood still or the devices were off, or the clock was set forward", seconds(c.stamp), seconds(to))
		gap = bench.Span{Start: c.now(), End: c.now().Add(step)}
	default:
		c.resets++
		c.jump("the clock was set at %s, to %s", seconds(c.stamp), seconds(to))
		gap = bench.Span{Start: c.now(), End: max(c.now(), c.reserved) + apart}
		c.eras = append(c.eras, era{c.now(), c.offset})
		c.offset = gap.End - bench.Instant(to)
	}
	c.stamp = to
	c.farthest = max(c.farthest, to)
	return gap, true
}

// resume moves to a time like advance, where nothing is known from the latest
// time on.
func (c *clock) resume(t time.Time) (gap bench.Span, ok bool) {
	to := min(t.Sub(c.origin), farthestTime)
	step := to - c.stamp
	if !c.begun || step < 0 || step >= Silence {
		return c.advance(t)
	}
	gap = bench.Span{Start: c.now(), End: c.now().Add(step)}
	c.stamp, c.farthest = to, max(c.farthest, to)
	return gap, step > 0
}

// now is the present instant.
func (c *clock) now() bench.Instant { return bench.Instant(c.stamp) + c.offset }

// stamps are the times of a span, by the clock as it was at its beginning.
func (c *clock) stamps(s bench.Span) (start, end time.Duration) {
	offset := c.offset
	if i := sort.Search(len(c.eras), func(i int) bool { return s.Start <= c.eras[i].end }); i < len(c.eras) {
		offset = c.eras[i].offset
	}
	return time.Duration(s.Start - offset), time.Duration(s.End - offset)
}

const maxJumps = 3 // that are told one by one

func (c *clock) jump(format string, args ...any) {
	if len(c.jumps) < maxJumps {
		c.jumps = append(c.jumps, fmt.Sprintf(format, args...))
	}
}

// notes say what was odd.
func (c *clock) notes() []string {
	notes := append([]string(nil), c.jumps...)
	if n := c.silences + c.resets; n > maxJumps {
		notes = append(notes, fmt.Sprintf("there were %d more such jumps of time", n-maxJumps))
	}
	if c.resets > 0 && c.reserved > 0 {
		notes = append(notes, "from where the clock was first set, no time counts as idle")
	}
	if c.latest >= time.Millisecond { // less is below what any detector tells apart
		notes = append(notes, fmt.Sprintf("%d packets are out of order, by up to %v: each counts at the time of the one before", c.late, c.latest.Round(time.Microsecond)))
	}
	return notes
}
