package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock is the clock of a bench with hardware: the kernel's monotonic clock,
// counted from the beginning of the session. It neither steps nor slews with
// the wall clock, and it is the clock that GPIO events are stamped with.
type Clock struct {
	origin int64 // CLOCK_MONOTONIC, nanoseconds
}

// NewClock begins a session's clock.
func NewClock() Clock { return Clock{origin: monotonic()} }

// Now is the present instant.
func (c Clock) Now() Instant { return Instant(monotonic() - c.origin) }

// Monotonic turns a reading of the kernel's CLOCK_MONOTONIC, in nanoseconds,
// into an instant.
func (c Clock) Monotonic(ns int64) Instant { return Instant(ns - c.origin) }

// Pair reads the clock and the wall clock together. Packets are stamped with
// wall time; pairs taken every few seconds map it to instants, whatever the
// wall clock does in between. Error is how far apart the two readings may lie.
func (c Clock) Pair() Pair {
	before := c.Now()
	wall := time.Now()
	after := c.Now()
	return Pair{At: before.Add(after.Sub(before) / 2), Wall: wall, Error: after.Sub(before)}
}

// Pair is one moment on a bench's clock and on the wall clock.
type Pair struct {
	At    Instant
	Wall  time.Time
	Error time.Duration
}

// Instant turns a wall time into an instant, by this pair.
func (p Pair) Instant(wall time.Time) Instant {
	// Round strips the monotonic reading: both are wall times here.
	return p.At.Add(wall.Round(0).Sub(p.Wall.Round(0)))
}

func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("bench: no monotonic clock: " + err.Error()) // Linux always has one
	}
	return ts.Nano()
}
