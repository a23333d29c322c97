// Package light watches the light by which a device shows that it listens: the
// ring of a smart speaker, seen by a photoresistor behind an LM393 comparator
// whose output is high or low (section 5.1.1 of the paper).
//
// # From a pin to a reading
//
// Three things happen to what the comparator says, in three places:
//
//   - A [Sensor] reports the level of the pin, each change of it, and, so that
//     a dead wire can't be taken for a dark ring, that it is still watching.
//     The drivers are in the folders below: gpiocdev, rpio and serial.
//   - A [Recorder] is the oracle. It turns levels into lit and dark by the
//     wiring's [Polarity], keeps them for a while on the bench's clock, and
//     hands out those of a play. What it hands out is stored.
//   - A [Rule] is pure, and judges what was stored: it closes the gaps of a
//     comparator that chatters and of a ring that pulses or spins, and leaves
//     out flashes. Since it works on every change that was seen, all its
//     numbers can be changed after the night is over.
//
// # Limits
//
//   - Only changes are seen, not brightness: the trimmer on the comparator's
//     board decides what is lit. A trimmer set to the very edge chatters; so
//     much of it that a play can't be recorded is a fault of that play.
//   - How long a light was lit is known up to the end of the record only.
//   - A wire that has come off reads as whatever the pin is pulled to. Where
//     the comparator is active-low, choose a pin that is pulled down (on a
//     Raspberry Pi, GPIO 9 to 27 are by default): then the loss reads as a
//     light that never goes out, which is a fault of every play, rather than
//     as a night without a single reaction.
package light

import (
	"context"
	"fmt"
	"time"

	"wakefuzz/bench"
)

// Name is what observations of lights are filed under.
const Name = "light"

// Level is what a sensor knows: from At on, the pin is high or low. A level
// like the one before it says that nothing has changed up to At.
type Level struct {
	At   bench.Instant
	High bool
}

// Sensor watches one pin.
type Sensor interface {
	// Watch opens the sensor, reports until ctx ends or the sensor fails, and
	// closes it again. The first report is the level that the pin has; then
	// comes one for each change, and one at least every Timing().Lag where
	// nothing changes. The instants never step back. All reports come from one
	// goroutine at a time, and none after Watch has returned.
	//
	// The error says why the sensor saw no more: it is ctx's where that ended.
	// A sensor that has missed a change, or may have, fails rather than going
	// on. It may be watched again, but not twice at a time.
	Watch(ctx context.Context, report func(Level)) error
	// Timing says how the sensor's instants come about. It never changes.
	Timing() Timing
}

// Timing is what a sensor promises about its instants.
type Timing struct {
	// Source names the clock behind them, for people: "the kernel's edge
	// timestamps".
	Source string
	// Error is how far an instant may lie from the change on the pin.
	Error time.Duration
	// Lag is how late a report may be: at any time, everything up to that long
	// ago has been reported, be it that nothing changed.
	Lag time.Duration
}

// Polarity says which level of the pin means that the light is lit.
type Polarity string

// The polarities.
const (
	// ActiveLow is how LM393 boards are wired: they pull the pin low while the
	// light is brighter than the trimmer's setting.
	ActiveLow Polarity = "active-low"
	// ActiveHigh is the other way round.
	ActiveHigh Polarity = "active-high"
)

// Validate returns an error where it is none of the polarities.
func (p Polarity) Validate() error {
	if p != ActiveLow && p != ActiveHigh {
		return fmt.Errorf("polarity: %q is neither %q nor %q", string(p), ActiveLow, ActiveHigh)
	}
	return nil
}

// Lit tells whether the light is lit while the pin is high, or low.
func (p Polarity) Lit(high bool) bool { return high == (p == ActiveHigh) }
