// Package live records the traffic of a device while it passes an interface.
//
// # Concepts
//
// A [Recorder] is the oracle that watches traffic. It captures all the time,
// from [Open] to Close, and remembers the latest packets. There are three ways
// to what it remembers:
//
//   - Observe returns the packets of a play, for a verdict.
//   - Drain returns every packet once, in order, for the store: one stream, with
//     its gaps and drops, in which a night can be judged again by other rules.
//   - Evidence writes the frames of a play as a pcapng file, for people and
//     other tools.
//
// Quiet waits until the device has stopped sending, as a bench does before the
// next play.
//
// # Time
//
// Packets are stamped by the kernel with wall time. Each is mapped to the
// bench's clock by a [bench.Pair] that is taken as the packet is read, so that
// a wall clock which runs fast or slow adds no error, and a packet that waited
// to be read still keeps the kernel's stamp. Packets never step back: one with
// a stamp before that of its predecessor counts as simultaneous.
//
// Where the wall clock is set by more than [MaxStep] within a second or between
// two packets, nobody can tell the packets around that moment from each other,
// and what is observed of them is a fault. What stays within the bound may
// misplace a packet that was waiting just then, by the bound at most.
//
// # Gaps
//
// A capture that fails, because the interface went down or vanished, is opened
// again until that succeeds. What it did not watch throughout is a fault of
// the oracle, and never reads as silence. Packets that the kernel had no room
// for are counted in every observation that they may belong to.
//
// # Limits
//
//   - What is remembered is bounded: at least the latest half of [Memory]
//     packets, three and a half hours at ten a second. Drain must be called
//     before they have passed.
//   - Evidence goes back two minutes at most. It is whole, packet for packet what
//     is observed of its span, or refused.
package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/oracle/traffic"
)

const (
	// Delay is how long after a moment everything that was captured up to then
	// is taken to have been read. The kernel hands packets over at once; this is
	// for a machine that is busy.
	Delay = 100 * time.Millisecond
	// MaxStep is how far the wall clock may be set without a fault. One that
	// chrony slews as fast as it ever does stays below it, from second to
	// second.
	MaxStep = 100 * time.Millisecond
	// Memory is how many packets are remembered at most, in 6 MB.
	Memory = 1 << 18
)

// Options say what to capture.
type Options struct {
	// Interface is the network interface that the device's packets pass: that
	// of the access point, or one in monitor mode.
	Interface string `yaml:"interface"`
	// Device is the device's MAC or IP address; in monitor mode it is the MAC.
	Device string `yaml:"device"`
	// Payload keeps what packets carry as evidence, where else their headers
	// alone are kept. Observations hold neither.
	Payload bool `yaml:"payload"`
}

// Validate returns an error where nothing could be captured by these options
// on any machine.
func (o Options) Validate() error {
	if o.Interface == "" {
		return errors.New(`interface: none is named; name the one that the device's packets pass, such as wlan0 ("ip link" lists them)`)
	}
	if _, err := capture.ParseAddress(o.Device); err != nil {
		return fmt.Errorf("device: %w", err)
	}
	return nil
}

// Keep says how much of a frame is kept.
func (o Options) Keep() capture.Keep {
	if o.Payload {
		return capture.KeepPayload
	}
	return capture.KeepHeaders
}

// Source is a capture that can be closed. Its Next ends with the context that
// it was opened under.
type Source interface {
	capture.Source
	io.Closer
}

// Listen captures on the interface until ctx ends.
func (o Options) Listen(ctx context.Context) (Source, error) {
	device, err := capture.ParseAddress(o.Device)
	if err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	live, err := capture.Listen(ctx, o.Interface, device, o.Keep())
	if err != nil {
		return nil, err // not a Source that holds nil
	}
	return live, nil
}

// Setup is what a recorder needs.
type Setup struct {
	Options Options
	// Window is how long after a sound the rule watches that will judge it.
	Window time.Duration
	// Rest says by its window and rate what is quiet.
	Rest traffic.BurstRule
	// Pair reads the bench's clock and the wall clock, as [bench.Clock.Pair].
	Pair func() bench.Pair
	// Listen opens a capture in the place of Options.Listen, unless it is nil.
	Listen func(context.Context) (Source, error)
}
