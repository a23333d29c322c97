package analysis

import (
	"math"
	"slices"
	"time"

	"wakefuzz/capture"
)

// Timeline is how fast a device sent and received as time passed.
type Timeline struct {
	// Step is the time from one value to the next: a second, or that doubled
	// so often that there are not too many.
	Step time.Duration
	// Out and In are the most bytes that it sent and received in a second of
	// each step. Bytes of unknown direction are in Out.
	Out, In []uint32
}

// maxSteps is how many steps a timeline has at most: more than are seen in a
// figure.
const maxSteps = 4096

// recording is a timeline that is being made.
type recording struct {
	width   int64 // seconds in a step
	out, in []uint32
	second  int64 // the present one
	sent    uint64
	got     uint64
}

// add takes a packet. What came before the capture's first packet, by a clock
// that was set, is left out.
func (r *recording) add(p *capture.Packet, at time.Duration) {
	if at < 0 {
		return
	}
	if second := int64(at / time.Second); second != r.second {
		r.end()
		r.second = second
	}
	if p.Direction == capture.Incoming {
		r.got += uint64(p.Size)
	} else {
		r.sent += uint64(p.Size)
	}
}

// end ends the present second.
func (r *recording) end() {
	if r.sent+r.got == 0 {
		return
	}
	r.width = max(r.width, 1)
	for r.second/r.width >= maxSteps {
		r.width *= 2
		r.out, r.in = halved(r.out), halved(r.in)
	}
	i := int(r.second / r.width)
	if more := i + 1 - len(r.out); more > 0 {
		r.out = append(r.out, make([]uint32, more)...)
		r.in = append(r.in, make([]uint32, more)...)
	}
	r.out[i] = max(r.out[i], uint32(min(r.sent, math.MaxUint32)))
	r.in[i] = max(r.in[i], uint32(min(r.got, math.MaxUint32)))
	r.sent, r.got = 0, 0
}

// halved has half as many steps, each twice as long.
func halved(values []uint32) []uint32 {
	for i, v := range values {
		if i%2 == 0 {
			values[i/2] = v
		} else {
			values[i/2] = max(values[i/2], v)
		}
	}
	return values[:(len(values)+1)/2]
}

// timeline is what was recorded by now.
func (r *recording) timeline() Timeline {
	now := *r
	now.out, now.in = slices.Clone(r.out), slices.Clone(r.in)
	now.end()
	return Timeline{Step: time.Duration(now.width) * time.Second, Out: now.out, In: now.in}
}
