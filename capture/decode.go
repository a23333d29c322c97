package capture

import (
	"encoding/binary"
	"fmt"
)

// decoder turns frames into packets of one device, or of all.
type decoder struct {
	device  Address  // none: all
	retries *retries // from the first 802.11 link on
	others  others   // where no device is named
}

// verdict is what became of a frame.
type verdict uint8

const (
	isPacket verdict = iota
	isForeign
	isRetry
)

// parsed collects what the headers of a frame say. Addresses are slices of the
// frame, nil where it doesn't show them.
type parsed struct {
	srcMAC, dstMAC []byte
	srcIP, dstIP   []byte
	hop            Direction // which end alone is heard here, Unknown for both
	size           int       // bytes on the wire
	headers        int       // bytes of the frame before the payload
	payload        int
}

// check refuses a device that can't be recognised in frames of the link type.
func (d *decoder) check(link LinkType) error {
	switch link {
	case LinkEthernet:
		return nil
	case LinkRaw, LinkRawBSD, LinkRawBSD2, LinkIPv4, LinkIPv6, LinkCooked, LinkCooked2:
		if d.device.IsMAC() {
			return fmt.Errorf("%w: %s shows no destination MAC; give the device's IP address in place of %s", ErrDevice, link, d.device)
		}
	case LinkWiFi, LinkRadiotap:
		if d.device.IsValid() && !d.device.IsMAC() {
			return fmt.Errorf("%w: %s shows no IP addresses once it is encrypted; give the device's MAC address in place of %s", ErrDevice, link, d.device)
		}
		if d.retries == nil {
			d.retries = new(retries)
		}
	default:
		return fmt.Errorf("%w: %s is not supported; Ethernet, Linux cooked, raw IP and 802.11 are", ErrFormat, link)
	}
	return nil
}

// decode reads the headers of a frame, whose link type was checked: it sets the
// frame's Headers and fills in the packet. (Both are large enough for passing
// them by value to be half of the time that reading takes.)
func (d *decoder) decode(f *Frame, packet *Packet) verdict {
	p := parsed{size: f.Length}
	switch f.Link {
	case LinkWiFi, LinkRadiotap:
		return d.decodeWiFi(f, packet)
	case LinkEthernet:
		p.ethernet(f.Data)
	case LinkCooked:
		if len(f.Data) >= 16 {
			p.network(binary.BigEndian.Uint16(f.Data[14:]), f.Data, 16)
		}
	case LinkCooked2:
		if len(f.Data) >= 20 {
			p.network(binary.BigEndian.Uint16(f.Data), f.Data, 20)
		}
	default:
		p.raw(f.Data)
	}
	return d.finish(f, &p, packet)
}

// finish tells whose packet the frame is, and which way it went.
func (d *decoder) finish(f *Frame, p *parsed, packet *Packet) verdict {
	f.Headers = p.headers
	packet.Time = f.Time
	packet.Size = int32(p.size)
	packet.Payload = int32(p.payload)
	if !d.device.IsValid() {
		return d.others.split(p, packet)
	}
	from, to := p.srcMAC, p.dstMAC
	if !d.device.IsMAC() {
		from, to = p.srcIP, p.dstIP
	}
	switch own := d.device.raw(); {
	case string(from) == string(own) && string(to) == string(own):
		packet.Direction, packet.Peer = Unknown, d.device
	case string(from) == string(own):
		packet.Direction = Outgoing
		packet.Peer.set(either(p.dstIP, p.dstMAC))
	case string(to) == string(own):
		packet.Direction = Incoming
		packet.Peer.set(either(p.srcIP, p.srcMAC))
	default:
		return isForeign
	}
	packet.Device = d.device
	return isPacket
}

// either is the IP address where it can be read, else the MAC address.
func either(ip, mac []byte) []byte {
	if ip != nil {
		return ip
	}
	return mac
}

// EtherTypes, and the protocols and extension headers of IP.
const (
	typeIPv4   = 0x0800
	typeIPv6   = 0x86dd
	typeVLAN   = 0x8100
	typeQinQ   = 0x88a8
	typeQinQ91 = 0x9100

	protoHopByHop    = 0
	protoTCP         = 6
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoAuth        = 51
	protoDestination = 60
	protoMobility    = 135
	protoHIP         = 139
	protoShim6       = 140
)

func (p *parsed) ethernet(b []byte) {
	if len(b) < 14 {
		p.headers = len(b)
		return
	}
	p.dstMAC, p.srcMAC = b[0:6], b[6:12]
	kind, at := binary.BigEndian.Uint16(b[12:]), 14
	for (kind == typeVLAN || kind == typeQinQ || kind == typeQinQ91) && len(b) >= at+4 {
		kind = binary.BigEndian.Uint16(b[at+2:])
		at += 4
	}
	p.network(kind, b, at)
}

func (p *parsed) raw(b []byte) {
	if len(b) == 0 {
		return
	}
	switch b[0] >> 4 {
	case 4:
		p.ipv4(b, 0)
	case 6:
		p.ipv6(b, 0)
	}
}

// network reads what begins at b[at:], by its EtherType. Of what isn't IP,
// only the header of the link is known.
func (p *parsed) network(kind uint16, b []byte, at int) {
	p.headers = at
	switch kind {
	case typeIPv4:
		p.ipv4(b, at)
	case typeIPv6:
		p.ipv6(b, at)
	}
}

// ipv4 and ipv6 read an IP packet at b[at:]. Lengths are taken from the
// headers, held against what the wire carried; zero means that the length
// didn't fit the header's field, as with offloaded segments.
func (p *parsed) ipv4(b []byte, at int) {
	h := b[at:]
	if len(h) < 20 || h[0]>>4 != 4 {
		return
	}
	p.srcIP, p.dstIP = h[12:16], h[16:20]
	room := p.size - at
	total := int(binary.BigEndian.Uint16(h[2:]))
	if total == 0 || total > room {
		total = room
	}
	header := max(20, int(h[0]&15)*4)
	laterFragment := binary.BigEndian.Uint16(h[6:])&0x1fff != 0
	p.transport(h[9], laterFragment, b, at+header, total-header)
}

func (p *parsed) ipv6(b []byte, at int) {
	h := b[at:]
	if len(h) < 40 || h[0]>>4 != 6 {
		return
	}
	p.srcIP, p.dstIP = h[8:24], h[24:40]
	room := p.size - at - 40
	left := int(binary.BigEndian.Uint16(h[4:]))
	if left == 0 || left > room {
		left = room
	}
	next, at := h[6], at+40
	laterFragment := false
	// Each step moves on by eight bytes or more: the frame bounds the loop.
	for !laterFragment && len(b) >= at+8 {
		var length int
		switch next {
		case protoHopByHop, protoRouting, protoDestination, protoMobility, protoHIP, protoShim6:
			length = 8 + 8*int(b[at+1])
		case protoAuth:
			length = 8 + 4*int(b[at+1])
		case protoFragment:
			length = 8
			laterFragment = binary.BigEndian.Uint16(b[at+2:])>>3 != 0
		default:
			p.transport(next, false, b, at, left)
			return
		}
		next = b[at]
		at += length
		left -= length
	}
	p.transport(next, laterFragment, b, at, left)
}

// transport subtracts the transport's header, at b[at:], from the bytes that
// IP carries. A header that wasn't captured is taken to be of the least size.
func (p *parsed) transport(proto uint8, laterFragment bool, b []byte, at, carried int) {
	header := 0
	switch {
	case laterFragment:
	case proto == protoTCP:
		header = 20
		if len(b) > at+12 {
			header = max(20, int(b[at+12]>>4)*4)
		}
	case proto == protoUDP:
		header = 8
	}
	p.headers = min(at+header, len(b))
	p.payload = max(0, carried-header)
}
