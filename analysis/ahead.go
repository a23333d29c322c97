package analysis

import (
	"time"

	"wakefuzz/capture"
)

// batch is packets that were read, and the error that they end with.
type batch struct {
	packets []capture.Packet
	first   time.Time // of all frames so far
	err     error
}

// Reading ahead: a few batches, of a third of a megabyte together.
const (
	batchPackets = 1024
	batches      = 4
)

// ahead reads a capture in a goroutine of its own, since to read a packet and to
// look at it take as long. It calls take with each batch, until take returns
// false or the capture ends.
func ahead(r *capture.Reader, take func(batch) bool) {
	empty, full := make(chan []capture.Packet, batches), make(chan batch, batches)
	for range batches {
		empty <- make([]capture.Packet, 0, batchPackets)
	}
	go func() {
		defer close(full)
		for buffer := range empty {
			b := batch{packets: buffer[:0]}
			for len(b.packets) < batchPackets && b.err == nil {
				var p capture.Packet
				if p, b.err = r.Next(); b.err == nil {
					b.packets = append(b.packets, p)
				}
			}
			b.first, _ = r.Times()
			full <- b
			if b.err != nil {
				return
			}
		}
	}()
	for b := range full {
		if !take(b) {
			break
		}
		empty <- b.packets
	}
	close(empty)
	for range full { // until the goroutine has ended
	}
}
