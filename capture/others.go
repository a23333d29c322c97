package capture

import "slices"

// others tells devices apart where none was named. A frame is a packet of both
// of its ends, as each sees it, unless one is not here.
type others struct {
	// routers are the MAC addresses through which public IPv4 addresses have
	// been seen to talk to private ones.
	routers [][6]byte
	// waiting is the second packet of the latest frame.
	waiting   Packet
	isWaiting bool
}

// maxRouters is the most that are remembered. A network has one or two.
const maxRouters = 64

// split makes the packet that of the sender where it is a device here, else
// that of the receiver. Where both are, that of the receiver waits.
func (o *others) split(p *parsed, packet *Packet) verdict {
	from, to := p.srcMAC, p.dstMAC
	if string(from) == string(to) { // not shown, or not the true ones
		from, to = p.srcIP, p.dstIP
	}
	if string(from) == string(to) {
		packet.Device.set(either(p.srcIP, p.srcMAC))
		packet.Direction, packet.Peer = Unknown, packet.Device
		if !packet.Device.IsValid() {
			return isForeign
		}
		return isPacket
	}
	farSender, farReceiver := o.far(p)
	sends := p.hop != Incoming && !farSender
	receives := p.hop != Outgoing && !farReceiver && !isGroup(to)
	if !sends && !receives {
		return isForeign
	}
	if receives {
		incoming := packet
		if sends {
			o.waiting, o.isWaiting = *packet, true
			incoming = &o.waiting
		}
		incoming.Direction = Incoming
		incoming.Device.set(to)
		incoming.Peer.set(either(p.srcIP, p.srcMAC))
	}
	if sends {
		packet.Direction = Outgoing
		packet.Device.set(from)
		packet.Peer.set(either(p.dstIP, p.dstMAC))
	}
	return isPacket
}

// take returns the packet that waits, if one does.
func (o *others) take(packet *Packet) bool {
	if !o.isWaiting {
		return false
	}
	o.isWaiting = false
	*packet = o.waiting
	return true
}

// far reports which end is beyond a router, and only shows the router's MAC
// address: the public one that talks to a private one or, since IPv6 needs no
// private ones, any public one at a router that was found so.
func (o *others) far(p *parsed) (sender, receiver bool) {
	publicSender, publicReceiver := isPublic(p.srcIP), isPublic(p.dstIP)
	switch {
	case publicSender && isPrivate(p.dstIP):
		o.remember(p.srcMAC)
		return true, false
	case publicReceiver && isPrivate(p.srcIP):
		o.remember(p.dstMAC)
		return false, true
	}
	return publicSender && o.isRouter(p.srcMAC), publicReceiver && o.isRouter(p.dstMAC)
}

func (o *others) remember(router []byte) {
	if router != nil && len(o.routers) < maxRouters && !o.isRouter(router) {
		o.routers = append(o.routers, [6]byte(router))
	}
}

func (o *others) isRouter(hw []byte) bool {
	return hw != nil && slices.Contains(o.routers, [6]byte(hw))
}

// isGroup reports whether an address is that of many.
func isGroup(b []byte) bool {
	switch len(b) {
	case 6:
		return b[0]&1 != 0
	case 4:
		return b[0] >= 224 // and broadcast
	default:
		return b[0] == 0xff
	}
}

// isPrivate reports whether an IP address needs a router's own to reach the
// Internet (RFC 1918, RFC 6598).
func isPrivate(ip []byte) bool {
	return len(ip) == 4 && (ip[0] == 10 ||
		ip[0] == 192 && ip[1] == 168 ||
		ip[0] == 172 && ip[1]&0xf0 == 16 ||
		ip[0] == 100 && ip[1]&0xc0 == 64)
}

// isPublic reports whether it is an IP address of the Internet.
func isPublic(ip []byte) bool {
	switch len(ip) {
	case 16:
		return ip[0]&0xe0 == 0x20
	case 4:
		return !isPrivate(ip) && !isGroup(ip) && ip[0] != 0 && ip[0] != 127 && !(ip[0] == 169 && ip[1] == 254)
	default:
		return false
	}
}
