// Package traffic judges the packets that a device sends: whether it began to
// upload after a sound, as one does that streams what it hears to its cloud.
//
// Four rules stand here, and all are pure:
//
//   - A [BurstRule] is the paper's section 4.1.1: outgoing payload at the rate
//     of audio, sustained for some windows in a row.
//   - A [TTestRule] is its section 4.1.2: whether the packets of the minute
//     that holds a trial's plays are of other sizes than those of an idle
//     minute.
//   - A [CalibratedRule] is ours: whether more was sent, at the pace of speech,
//     than the device's own idle traffic holds, of which a [Null] knows how
//     often it holds how much.
//   - A [VolumeRule] is the yardstick: so many bytes in so much time.
//
// Judge reads a play or, for the t-test, a trial, at times that are known. A
// [Scanner] finds activations in traffic of unknown content. What they judge is
// recorded by the package live, below.
//
// # What counts
//
// The rules look at outgoing packets, but for the VolumeRule. The paper's rules
// for plays don't count packets of unknown direction: an answer that streams in
// would pass for speech that streams out. A recorder always knows the direction;
// only a file whose addresses were taken out leaves it open. Scanners
// and the CalibratedRule make do with such files, and count all that isn't known
// to come in.
//
// # Limits
//
//   - A device that streams the whole night is uploading when each sound
//     begins, and no burst can be told from the rest: that is a fault of every
//     play, not a night of reactions.
//   - A reaction shorter than the windows of a burst rule is missed. On real
//     recordings the paper's five windows miss most short reactions; the
//     default of three misses few.
//   - The t-test compares how many packets fall into a bin on average, and a
//     minute with fewer packets than the idle one differs as much as one with
//     more. It says that something changed, not what.
//   - Where directions are unknown, what a device downloads at the pace of speech
//     is taken for it.
//   - Background that is as large, as slow and as irregular as speech can't be
//     told from it by any rule here.
package traffic

import (
	"cmp"
	"slices"
	"time"

	"wakefuzz/bench"
)

// Name is what observations of traffic are filed under.
const Name = "traffic"

// Lookback is how long before a span the record of a device's traffic begins,
// where it reaches back so far: an upload that was under way when the sound
// began is then seen for what it was.
const Lookback = 2 * time.Second

// Between are the packets in the span, of packets in the order of time.
func Between(packets []bench.Packet, span bench.Span) []bench.Packet {
	return packets[position(packets, span.Start):max(position(packets, span.Start), position(packets, span.End))]
}

// position is how many packets come before the instant.
func position(packets []bench.Packet, at bench.Instant) int {
	i, _ := slices.BinarySearchFunc(packets, at, func(p bench.Packet, at bench.Instant) int { return cmp.Compare(p.At, at) })
	return i
}

// outgoing are the packets that the device sent.
func outgoing(packets []bench.Packet) []bench.Packet {
	var sent []bench.Packet
	for _, p := range packets {
		if p.Direction == bench.Outgoing {
			sent = append(sent, p)
		}
	}
	return sent
}

// inOrder reports whether the packets are in the order of time.
func inOrder(packets []bench.Packet) bool {
	return slices.IsSortedFunc(packets, func(a, b bench.Packet) int { return cmp.Compare(a.At, b.At) })
}
