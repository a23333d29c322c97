package capture

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"
)

// Blocks of pcapng that are read. Others are skipped.
const (
	ngSection      = 0x0a0d0d0a
	ngInterface    = 1
	ngOldPacket    = 2
	ngSimplePacket = 3
	ngStatistics   = 5
	ngPacket       = 6

	ngByteOrder = 0x1a2b3c4d
)

// Options within blocks.
const (
	ngOptionEnd        = 0
	ngInterfaceDropped = 5 // of an interface's statistics
	ngSystemDropped    = 7
	ngTimeResolution   = 9 // of an interface
	ngTimeOffset       = 14
)

// pcapng is a file of blocks, in sections that have a byte order each.
type pcapng struct {
	*stream
	interfaces []ngLink // of this section
	lost       uint64   // in the sections before this one
}

// ngLink is an interface: a packet refers to one by its number.
type ngLink struct {
	link     LinkType
	captures uint32 // most bytes of a frame, 0 for all
	units    uint64 // of time in a second
	offset   int64  // seconds to add to times
	lost     uint64 // drops that its statistics speak of
}

func (n *pcapng) next(f *Frame) error {
	for {
		found, err := n.block(f)
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		if err != nil {
			return n.at(err)
		}
		if found {
			n.packet++
			return nil
		}
	}
}

// dropped is the sum of what the statistics say: each interface's own are
// running totals, of which the last counts.
func (n *pcapng) dropped() uint64 {
	sum := n.lost
	for _, l := range n.interfaces {
		sum += l.lost
	}
	return sum
}

// block reads a block, and the frame that is found in it if there is one. The frame
// is held; what comes after it in the block is left behind by the next call.
func (n *pcapng) block(f *Frame) (found bool, err error) {
	if err := n.advance(); err != nil {
		return false, err
	}
	const head, tail = 8, 4
	if err := n.need(head); err != nil {
		return false, err
	}
	h := n.window
	kind := n.u32(h)
	if kind == ngSection { // the same in either byte order
		return false, n.section()
	}
	length := n.u32(h[4:])
	if length < head+tail || length%4 != 0 {
		return false, fmt.Errorf("%w: a block of %d bytes is impossible; the file is damaged here", ErrFormat, length)
	}
	body := int64(length) - head - tail

	switch kind {
	case ngInterface, ngStatistics:
		if body > bufferSize-head {
			return false, fmt.Errorf("%w: an interface's description of %d bytes is not credible; the file is damaged here", ErrFormat, body)
		}
		if err := n.need(head + int(body)); err != nil {
			return false, early(err)
		}
		b := n.window[head:][:body]
		if kind == ngStatistics {
			n.count(b)
		} else if err := n.describe(b); err != nil {
			return false, err
		}
	case ngPacket, ngOldPacket, ngSimplePacket:
		if err := n.frame(f, kind, body); err != nil {
			return false, err
		}
		found = true
	}
	n.held = int64(length)
	return found, nil
}

// section begins a section.
func (n *pcapng) section() error {
	const head = 12
	if err := n.need(head); err != nil {
		return early(err)
	}
	h := n.window
	n.swapped = false
	if n.u32(h[8:]) != ngByteOrder {
		n.swapped = true
		if n.u32(h[8:]) != ngByteOrder {
			return fmt.Errorf("%w: a section has no byte order; the file is damaged here", ErrFormat)
		}
	}
	length := n.u32(h[4:])
	if length < 28 || length%4 != 0 {
		return fmt.Errorf("%w: a section's header of %d bytes is impossible; the file is damaged here", ErrFormat, length)
	}
	n.lost = n.dropped()
	n.interfaces = n.interfaces[:0]
	n.held = int64(length)
	return nil
}

// describe reads an interface's description.
func (n *pcapng) describe(b []byte) error {
	if len(b) < 8 {
		return fmt.Errorf("%w: an interface's description is too short; the file is damaged here", ErrFormat)
	}
	if len(n.interfaces) == maxInterfaces {
		return fmt.Errorf("%w: it describes more than %d interfaces", ErrFormat, maxInterfaces)
	}
	l := ngLink{link: LinkType(n.u16(b)), captures: n.u32(b[4:]), units: 1e6}
	var err error
	n.options(b[8:], func(code uint16, value []byte) {
		switch {
		case code == ngTimeResolution && len(value) == 1:
			l.units, err = resolution(value[0])
		case code == ngTimeOffset && len(value) == 8:
			l.offset = int64(n.u64(value))
		}
	})
	n.interfaces = append(n.interfaces, l)
	return err
}

// resolution is how many units of time a second has.
func resolution(b byte) (uint64, error) {
	if exponent := b & 0x7f; b&0x80 != 0 && exponent < 64 {
		return 1 << exponent, nil
	} else if b&0x80 == 0 && exponent <= 19 {
		units := uint64(1)
		for range exponent {
			units *= 10
		}
		return units, nil
	}
	return 0, fmt.Errorf("%w: times in units of %#x are not supported; seconds/10^19 are the finest", ErrFormat, b)
}

// count reads an interface's statistics.
func (n *pcapng) count(b []byte) {
	if len(b) < 12 || uint64(n.u32(b)) >= uint64(len(n.interfaces)) {
		return
	}
	l := &n.interfaces[n.u32(b)]
	l.lost = 0
	n.options(b[12:], func(code uint16, value []byte) {
		if (code == ngInterfaceDropped || code == ngSystemDropped) && len(value) == 8 {
			l.lost += n.u64(value)
		}
	})
}

// options calls yield with each option. Options that don't fit end the list:
// no packet depends on them.
func (n *pcapng) options(b []byte, yield func(code uint16, value []byte)) {
	for len(b) >= 4 {
		code, length := n.u16(b), int(n.u16(b[2:]))
		b = b[4:]
		if code == ngOptionEnd || length > len(b) {
			return
		}
		yield(code, b[:length])
		b = b[min((length+3)&^3, len(b)):]
	}
}

// frame reads the frame in a block with so large a body.
func (n *pcapng) frame(f *Frame, kind uint32, body int64) error {
	const head = 8
	fixed := 20
	if kind == ngSimplePacket {
		fixed = 4
	}
	if body < int64(fixed) {
		return fmt.Errorf("%w: a packet's block is too short; the file is damaged here", ErrFormat)
	}
	if err := n.need(head + fixed); err != nil {
		return early(err)
	}
	b := n.window[head:]

	var id, captured, length uint32
	var ticks uint64
	switch kind {
	case ngSimplePacket:
		length = n.u32(b)
		captured = length
	case ngPacket:
		id = n.u32(b)
	case ngOldPacket:
		id = uint32(n.u16(b))
	}
	if kind != ngSimplePacket {
		ticks = uint64(n.u32(b[4:]))<<32 | uint64(n.u32(b[8:]))
		captured, length = n.u32(b[12:]), n.u32(b[16:])
	}
	if uint64(id) >= uint64(len(n.interfaces)) {
		return fmt.Errorf("%w: the packet is from interface %d, of %d that the file describes; the file is damaged here", ErrFormat, id, len(n.interfaces))
	}
	l := &n.interfaces[id]
	if kind == ngSimplePacket && l.captures != 0 {
		captured = min(captured, l.captures)
	}
	if err := sizes(captured, length); err != nil {
		return err
	}
	if int64(fixed)+int64(captured) > body {
		return fmt.Errorf("%w: the packet claims %d bytes, its block has %d; the file is damaged here", ErrFormat, captured, body-int64(fixed))
	}
	end := head + fixed + int(captured)
	if err := n.need(end); err != nil {
		return early(err)
	}
	f.Link = l.link
	f.Time = time.Time{}
	if kind != ngSimplePacket {
		f.Time = l.time(ticks)
	}
	f.Data = n.window[head+fixed : end]
	f.Length = int(max(captured, length))
	return nil
}

func (l *ngLink) time(ticks uint64) time.Time {
	high, low := bits.Mul64(ticks%l.units, 1e9)
	nanoseconds, _ := bits.Div64(high, low, l.units)
	return time.Unix(int64(ticks/l.units)+l.offset, int64(nanoseconds)).UTC()
}

func (n *pcapng) u64(b []byte) uint64 {
	first, second := uint64(n.u32(b)), uint64(n.u32(b[4:]))
	if n.swapped {
		return first<<32 | second
	}
	return second<<32 | first
}
