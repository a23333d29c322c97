package traffic

import (
	"math"
	"time"

	"wakefuzz/bench"
)

// What the calibrated detector measures are paced bytes: what packets carried
// in a slot of 100 ms, of which no more counts than speech at 256 kbit/s can
// fill, summed over 3 s. Speech can't be heard faster than it is spoken, so what
// passes faster is something else: a report, an update, a page. It may be a
// hundred times as large, and fills few slots. 256 kbit/s is 16-bit samples at
// 16 kHz, the most that the paper's devices send (section 4.1.1).
//
// Of the caps, slots and windows that were tried on real captures these keep
// activations and background the farthest apart: of a HomePod's own traffic the
// largest window holds 11.2 kB and those of its activations 19.6 kB; 0.5 % of a
// thousand commands to Echos hold less than 16.4 kB.
const (
	slotLength = 100 * time.Millisecond
	slotCap    = 3200 // bytes
	pacedSlots = 30
	// audioSlot is what a slot holds at the paper's rate of audio, 23 kbit/s.
	audioSlot = 288

	// PacedWindow is the window over which paced bytes are summed.
	PacedWindow = pacedSlots * slotLength
	// MostPacedBytes is what a window can hold.
	MostPacedBytes = pacedSlots * slotCap
)

// pacer sums the paced bytes of the window that ends with the present slot.
type pacer struct {
	slot  int64 // the present one, counted from the clock's origin
	raw   int64 // its bytes
	slots [pacedSlots]int32
	// Of slots, of which the present one is not a part yet:
	sum   int32
	audio int // how many hold audioSlot or more
}

// slotOf is the slot of an instant.
func slotOf(at bench.Instant) int64 {
	const length = bench.Instant(slotLength)
	slot := at / length
	if at < slot*length {
		slot--
	}
	return int64(slot)
}

// place is where in a window of slots that begins with a multiple of them a slot
// is.
func place(slot int64) int64 {
	if i := slot % pacedSlots; i >= 0 {
		return i
	}
	return slot%pacedSlots + pacedSlots
}

// add counts bytes in the present slot.
func (p *pacer) add(bytes int64) { p.raw += bytes }

// next ends the present slot and returns the paced bytes of the window that
// ends with it.
func (p *pacer) next() int32 {
	i := place(p.slot)
	capped := int32(min(p.raw, slotCap))
	p.sum += capped - p.slots[i]
	if p.slots[i] >= audioSlot {
		p.audio--
	}
	if capped >= audioSlot {
		p.audio++
	}
	p.slots[i] = capped
	p.raw = 0
	p.slot++
	return p.sum
}

// first is the first of the slots of the window that just ended, in which
// anything was sent.
func (p *pacer) first() int64 {
	for slot := p.slot - pacedSlots; slot < p.slot; slot++ {
		if p.slots[place(slot)] > 0 {
			return slot
		}
	}
	return p.slot
}

// PacedPeak is the most paced bytes that a window of PacedWindow within the span
// holds. Packets are the device's, in the order of time.
func PacedPeak(packets []bench.Packet, span bench.Span) float64 {
	peak, _, _ := pacedPeak(packets, span, math.Inf(1))
	return peak
}

// pacedPeak is the largest window within the span. The span's own beginning is
// that of the first slot, so that a play reads the same whenever it is played.
// It is reached when a window first holds the threshold: since is then where the
// bytes of that window begin.
func pacedPeak(packets []bench.Packet, span bench.Span, threshold float64) (peak float64, since bench.Instant, reached bool) {
	var p pacer
	end := slotOf(bench.Instant(span.Duration()) - 1)
	advance := func(to int64) {
		// A silence longer than a window changes nothing once it is over.
		to = min(to, p.slot+2*pacedSlots)
		for p.slot < to {
			sum := float64(p.next())
			peak = max(peak, sum)
			if sum >= threshold && !reached {
				since, reached = span.Start.Add(time.Duration(p.first())*slotLength), true
			}
		}
	}
	for _, packet := range Between(packets, span) {
		if packet.Direction == bench.Incoming {
			continue
		}
		slot := slotOf(packet.At - span.Start)
		advance(slot)
		if p.slot < slot { // after a silence
			p.slot = slot
		}
		p.add(carried(packet))
	}
	advance(end + 1)
	return peak, since, reached
}
