// Package capture reads the packets of one device, or of every device of a
// network, from an interface while they pass or from a file.
//
// # Concepts
//
// A [Packet] is what is left of a packet once its content is out of the way:
// when, how large, which way, between whom. It is what detectors work on, and
// it is all that a campaign stores of the traffic.
//
// A [Source] gives packets one by one. There are two: [Listen] captures on an
// interface, [Open] and [NewReader] read a file. Both are told the device by
// its [Address] and give nobody else's packets.
//
// A [Frame] is the same packet as bytes, with its headers measured, as long as
// it is the latest. [Recent] keeps the headers of the latest minutes, and
// [Writer] makes a pcapng file of them: the evidence for what a detector said.
//
// # Sizes
//
// [Packet.Size] is the frame as the wire carried it, without checksum and
// without what a monitor-mode interface puts before it. [Packet.Payload] is
// what TCP or UDP carried, taken from the lengths in the headers, so that
// neither the padding of short frames nor a capture cut after the headers
// changes it. Other IP protocols count whatever IP carried, later fragments
// all of theirs, and what isn't IP counts none. An encrypted 802.11 data frame
// counts its body without the cipher's header: the network and transport
// headers, and the cipher's checksum, are inside and can't be told apart. With
// WPA2 (CCMP) they are 44 bytes for UDP over IPv4.
//
// # All devices
//
// A source that is told no device gives the packets of all that it finds, each
// packet with its device, as if that had been named. A device is whoever sends
// or receives under a MAC address or, where the link shows none or both are the
// same, under an IP address. A frame from one device to another is two packets,
// first the sender's and then the receiver's; one to a group, such as all, is
// the sender's alone.
//
// What is beyond the router bears its MAC address, and is no device: whoever
// has a public IPv4 address and talks to a private one, and from the first such
// packet on every public address at that MAC address. So the router itself
// appears with its own packets only. On a network without private IPv4
// addresses, and on links without MAC addresses for public ones, nothing says
// which end is here, and both count as devices.
//
// Where a capture has had its addresses taken out, so that both ends bear the
// same, the direction is unknown.
//
// # Monitor mode
//
// A frame that travels from one station to another passes the air twice. Only
// the device's own hop counts: what it transmits and what is addressed to it
// on the air, by the To-DS and From-DS bits. Frames without data (management,
// control, null) are not packets. Neither is a retry of a frame that was
// already heard; a retry whose first try was missed is. In a monitor-mode
// capture a device goes by its MAC address, since nothing else is readable.
//
// # Live capture
//
// Listen reads an AF_PACKET socket with a memory-mapped ring (TPACKET_V2). The
// filter is in the kernel before the socket is bound, so that where a device is
// named no packet of another ever reaches the process, not even between opening
// and filtering. The kernel stamps the time of each packet, and counts those
// for which the ring had no room. Waiting goes through Go's network poller: it
// costs no thread and ends at once with the context. Nothing but CAP_NET_RAW is
// needed, and the ring, unlike a socket's receive buffer, is not limited by
// net.core.rmem_max without CAP_NET_ADMIN. gopacket's pcapgo.EthernetHandle and
// afpacket.TPacket both bind before a filter can be set, and the former can't
// be woken on a silent wire.
//
// # Limits
//
//   - Times are the capturing machine's wall clock. They step where it steps,
//     and under load neighbours may be a little out of order.
//   - An interface with segmentation offload (a virtual one above all) shows
//     several packets as one large one. Bytes stay right but for the repeated
//     headers; numbers of packets don't. "ethtool -K IF gro off gso off tso
//     off" mends it.
//   - A device known by IP is known by that one address: its packets of the
//     other IP version belong to nobody. The MAC address knows them all.
//   - Linux cooked captures and raw IP have no destination MAC: there the
//     device goes by its IP address.
//   - Tunnels are not looked into.
package capture

import (
	"errors"
	"fmt"
	"time"
)

// Packet is one packet of a device. It holds no pointers but that of Time,
// which is nil: UTC.
type Packet struct {
	// Time is when the kernel saw the packet, by the wall clock; it is the zero
	// Time for the rare file that doesn't say.
	Time time.Time
	// Device is the address by which the source knows the device.
	Device Address
	// Peer is the other end: its IP address where it can be read, else its MAC
	// address.
	Peer Address
	// Direction is relative to the device.
	Direction Direction
	// Size is the frame's length on the wire, in bytes.
	Size int32
	// Payload is the number of those bytes that TCP or UDP carried; see the
	// package's comment for what is neither.
	Payload int32
}

// Direction says which way a packet went.
type Direction uint8

// The directions.
const (
	// Unknown is the direction where both ends have the same address.
	Unknown Direction = iota
	// Outgoing packets are sent by the device.
	Outgoing
	// Incoming packets are sent to the device.
	Incoming
)

// String returns "unknown", "outgoing" or "incoming".
func (d Direction) String() string {
	switch d {
	case Outgoing:
		return "outgoing"
	case Incoming:
		return "incoming"
	default:
		return "unknown"
	}
}

// Source gives the packets of one device, or of all, in the order in which they
// were captured. It is used by one goroutine.
type Source interface {
	// Next returns the next packet. After an error there are no more, and every
	// further call returns the same: io.EOF at the end of a file, the cause of
	// the context's end for a live capture.
	Next() (Packet, error)
	// Frame returns the bytes of the packet that Next returned last. Its Data
	// is valid until Next or Close is called.
	Frame() Frame
	// Stats counts what happened so far.
	Stats() Stats
}

// Stats counts frames.
type Stats struct {
	// Packets were returned by Next. Without a device, a frame may be two.
	Packets uint64
	// Skipped were seen but are no packets of the device, or of any. A live capture leaves
	// most of them in the kernel, uncounted.
	Skipped uint64
	// Retries were skipped because they repeat a frame on the air.
	Retries uint64
	// Dropped were lost for want of room: by the kernel, or by whoever wrote
	// the file, where it says so.
	Dropped uint64
}

// Frame is a packet as bytes.
type Frame struct {
	Link LinkType
	Time time.Time
	// Data is what was captured, from the first byte of the link's header.
	Data []byte
	// Length is how many bytes there were to capture.
	Length int
	// Headers is how many bytes of Data are headers, up to that of the
	// transport. The payload begins after them.
	Headers int
}

// Same says whether two frames that a live capture gave one after the other are
// one: a frame from one device to another is two packets.
func (f Frame) Same(next Frame) bool {
	return len(f.Data) > 0 && len(next.Data) > 0 && &f.Data[0] == &next.Data[0] && f.Time.Equal(next.Time)
}

// Keep says how much of a frame is kept.
type Keep uint8

// What can be kept.
const (
	// KeepHeaders cuts frames where the payload begins.
	KeepHeaders Keep = iota
	// KeepPayload keeps frames whole.
	KeepPayload
)

// LinkType is the kind of header that frames of a capture begin with, by the
// registry that pcap and pcapng share.
type LinkType uint16

// The link types that can be read.
const (
	LinkEthernet LinkType = 1
	LinkRawBSD   LinkType = 12 // raw IP, as some systems number it
	LinkRawBSD2  LinkType = 14 // raw IP, as others do
	LinkRaw      LinkType = 101
	LinkWiFi     LinkType = 105 // 802.11
	LinkCooked   LinkType = 113 // Linux "any" interface
	LinkRadiotap LinkType = 127 // 802.11 after a radiotap header
	LinkIPv4     LinkType = 228
	LinkIPv6     LinkType = 229
	LinkCooked2  LinkType = 276
)

// String names the link type, or gives its number.
func (l LinkType) String() string {
	switch l {
	case LinkEthernet:
		return "Ethernet"
	case LinkRaw, LinkRawBSD, LinkRawBSD2:
		return "raw IP"
	case LinkIPv4:
		return "raw IPv4"
	case LinkIPv6:
		return "raw IPv6"
	case LinkWiFi:
		return "802.11"
	case LinkRadiotap:
		return "802.11 with radiotap"
	case LinkCooked:
		return "Linux cooked"
	case LinkCooked2:
		return "Linux cooked v2"
	default:
		return fmt.Sprintf("link type %d", uint16(l))
	}
}

// Errors that a caller may want to tell apart.
var (
	// ErrTruncated: a file ends in the middle of a record. All packets before
	// it were given.
	ErrTruncated = errors.New("the file ends in mid-record")
	// ErrFormat: a file is no capture, is damaged, or is of a kind that can't
	// be read.
	ErrFormat = errors.New("not a readable capture")
	// ErrDevice: the device's address is of a kind that frames of this link
	// type don't show.
	ErrDevice = errors.New("device can't be told by this address")
	// ErrInterface: the interface is missing, is of a kind that can't be read,
	// or went down. Once it is back, Listen again.
	ErrInterface = errors.New("interface is not usable")
)
