package capture

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// The first four bytes of a pcap file, read in its own byte order.
const (
	pcapMicros = 0xa1b2c3d4
	pcapNanos  = 0xa1b23c4d
)

// pcap is the classic format: a header, then a record for each frame.
type pcap struct {
	*stream
	link LinkType
	// tick is the unit of the fractions of seconds, in nanoseconds.
	tick int64
}

func newPcap(s *stream) (*pcap, error) {
	const size = 24
	if err := s.need(size); err != nil {
		return nil, s.at(err)
	}
	h := s.window
	magic := s.u32(h)
	if magic != pcapMicros && magic != pcapNanos {
		s.swapped = true
		magic = s.u32(h)
	}
	p := &pcap{stream: s, link: LinkType(s.u32(h[20:])), tick: 1}
	if magic == pcapMicros {
		p.tick = 1000
	}
	if major := s.u16(h[4:]); major != 2 {
		return nil, fmt.Errorf("%w: it is pcap of version %d; version 2 is known", ErrFormat, major)
	}
	s.held = size
	return p, nil
}

func (p *pcap) next(f *Frame) error {
	const size = 16
	if err := p.advance(); err != nil {
		return p.at(err)
	}
	if err := p.need(size); err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return p.at(err)
	}
	h := p.window
	seconds, fraction := p.u32(h), p.u32(h[4:])
	captured, length := p.u32(h[8:]), p.u32(h[12:])
	if err := sizes(captured, length); err != nil {
		return p.at(err)
	}
	end := size + int(captured)
	if err := p.need(end); err != nil {
		return p.at(err)
	}
	p.held = int64(end)
	p.packet++
	f.Link = p.link
	f.Time = time.Unix(int64(seconds), int64(fraction)*p.tick).UTC()
	f.Data = p.window[size:end]
	f.Length = int(max(captured, length))
	return nil
}

// dropped is what the format has no place for.
func (p *pcap) dropped() uint64 { return 0 }
