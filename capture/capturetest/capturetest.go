// Package capturetest holds what every [capture.Source] must do, as a suite
// that each passes, and makes the frames that its tests are fed with.
package capturetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"wakefuzz/capture"
)

// Host is one end of a conversation.
type Host struct {
	MAC      string
	IP4, IP6 string
}

// The hosts of the suite. Their addresses are reserved for documentation.
var (
	// Speaker is the device under test.
	Speaker = Host{"02:00:00:00:00:0a", "192.0.2.10", "2001:db8::10"}
	// Cloud is its service, seen through the gateway's MAC address.
	Cloud = Host{"02:00:00:00:00:01", "198.51.100.7", "2001:db8:1::7"}
	// Neighbour is a device that is none of the suite's business. It shares as
	// much of its addresses with the speaker as it can.
	Neighbour = Host{"02:00:00:00:00:0b", "192.0.2.11", "2001:db8::11"}
)

// Device is the n-th of many devices of a home, with addresses of its own as a
// router gives them.
func Device(n uint16) Host {
	high, low := n>>8, n&0xff
	return Host{fmt.Sprintf("02:00:00:01:%02x:%02x", high, low), fmt.Sprintf("10.0.%d.%d", high, low), fmt.Sprintf("fd00::%x", n)}
}

// Address reads an address, and panics where there is none.
func Address(s string) capture.Address {
	a, err := capture.ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

// Transport names what a made frame carries its payload in.
type Transport uint8

// The transports.
const (
	TCP Transport = iota
	UDP
)

// Frame makes an Ethernet frame of IPv4, padded as on a wire.
func Frame(from, to Host, in Transport, payload int) []byte {
	b := Serialize(Ethernet(from, to, layers.EthernetTypeIPv4), IPv4(from, to, in), transport(in), gopacket.Payload(make([]byte, payload)))
	return append(b, make([]byte, max(0, 60-len(b)))...)
}

// Frame6 makes an Ethernet frame of IPv6.
func Frame6(from, to Host, in Transport, payload int) []byte {
	next := layers.IPProtocolTCP
	if in == UDP {
		next = layers.IPProtocolUDP
	}
	ip := &layers.IPv6{Version: 6, NextHeader: next, HopLimit: 64, SrcIP: ip(from.IP6), DstIP: ip(to.IP6)}
	return Serialize(Ethernet(from, to, layers.EthernetTypeIPv6), ip, transport(in), gopacket.Payload(make([]byte, payload)))
}

// Ethernet is the header of a frame.
func Ethernet(from, to Host, kind layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: hardware(from.MAC), DstMAC: hardware(to.MAC), EthernetType: kind}
}

// IPv4 is the header of a packet.
func IPv4(from, to Host, in Transport) *layers.IPv4 {
	protocol := layers.IPProtocolTCP
	if in == UDP {
		protocol = layers.IPProtocolUDP
	}
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: ip(from.IP4), DstIP: ip(to.IP4)}
}

func transport(in Transport) gopacket.SerializableLayer {
	if in == UDP {
		return &layers.UDP{SrcPort: 40000, DstPort: 443}
	}
	// The timestamps that nearly every TCP packet carries: a header of 32 bytes.
	nop := layers.TCPOption{OptionType: layers.TCPOptionKindNop}
	stamps := layers.TCPOption{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)}
	return &layers.TCP{SrcPort: 40000, DstPort: 443, ACK: true, Options: []layers.TCPOption{nop, nop, stamps}}
}

// Traffic writes a capture of so many bytes, a packet every millisecond, and says
// how many packets it has. The hosts take turns at random. Packets are as large
// as a speaker's, 720 bytes on average, in random order and with content that
// does not shrink: two in five are bare acknowledgements, one in three is full.
// Streams of TCP go on as they do.
func Traffic(hosts []Host, start time.Time, bytes int, write func(capture.Frame) error) (packets int, err error) {
	type kind struct {
		frame   []byte
		tcp     bool
		stream  *uint32 // bytes that were sent before
		carries uint32
	}
	const header = 34 // where that of TCP begins
	var mix []kind
	for _, h := range hosts {
		sent := new(uint32)
		upload := kind{Frame(h, Cloud, TCP, 1448), true, sent, 1448}
		ack := kind{Frame(Cloud, h, TCP, 0), true, sent, 0}
		ports := ack.frame[header : header+4] // those of the stream that it is for
		ports[0], ports[1], ports[2], ports[3] = ports[2], ports[3], ports[0], ports[1]
		download, small := kind{frame: Frame(Cloud, h, UDP, 1200)}, kind{frame: Frame6(h, Cloud, UDP, 80)}
		mix = slices.Concat(mix, slices.Repeat([]kind{ack}, 40), slices.Repeat([]kind{upload}, 36),
			slices.Repeat([]kind{small}, 14), slices.Repeat([]kind{download}, 10))
	}
	random := rand.New(rand.NewPCG(1, 2))
	content := rand.NewChaCha8([32]byte{})
	for ; bytes > 0; packets++ {
		k := mix[random.IntN(len(mix))]
		if len(k.frame) > 90 {
			_, _ = content.Read(k.frame[90:]) // never fails
		}
		if k.tcp && k.carries > 0 {
			binary.BigEndian.PutUint32(k.frame[header+4:], *k.stream)
			*k.stream += k.carries
		} else if k.tcp {
			binary.BigEndian.PutUint32(k.frame[header+8:], *k.stream)
		}
		at := start.Add(time.Duration(packets) * time.Millisecond)
		if err := write(capture.Frame{Link: capture.LinkEthernet, Time: at, Data: k.frame, Length: len(k.frame)}); err != nil {
			return packets, err
		}
		bytes -= 16 + len(k.frame)
	}
	return packets, nil
}

// Serialize joins layers into a frame, with lengths filled in.
func Serialize(l ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, l...); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func hardware(s string) net.HardwareAddr {
	a, err := net.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return a
}

func ip(s string) net.IP { return netip.MustParseAddr(s).AsSlice() }

// Wire makes a source that will see the Ethernet frames in this order, as a
// capture of the device. A source that doesn't end by itself is ended by end.
type Wire func(t *testing.T, device capture.Address, frames [][]byte) (source capture.Source, end func())

// want is a frame and what a source must say of it; nothing where the frame is
// not the speaker's.
type want struct {
	frame      []byte
	direction  capture.Direction
	peer       string
	size       int32
	payload    int32
	headers    int
	speakersIP string // by which the packet is found; "" by the MAC alone
}

func conversation() []want {
	arp := Serialize(Ethernet(Speaker, Cloud, layers.EthernetTypeARP), gopacket.Payload(make([]byte, 46)))
	return []want{
		{Frame(Neighbour, Cloud, TCP, 300), capture.Unknown, "", 0, 0, 0, ""},
		{Frame(Speaker, Cloud, TCP, 700), capture.Outgoing, Cloud.IP4, 766, 700, 66, Speaker.IP4},
		{Frame(Cloud, Speaker, TCP, 0), capture.Incoming, Cloud.IP4, 66, 0, 66, Speaker.IP4},
		{Frame(Cloud, Speaker, UDP, 1), capture.Incoming, Cloud.IP4, 60, 1, 42, Speaker.IP4},
		{Frame(Cloud, Neighbour, UDP, 9), capture.Unknown, "", 0, 0, 0, ""},
		{Frame6(Speaker, Neighbour, UDP, 100), capture.Outgoing, Neighbour.IP6, 162, 100, 62, Speaker.IP6},
		{Frame6(Neighbour, Cloud, TCP, 100), capture.Unknown, "", 0, 0, 0, ""},
		{Frame6(Cloud, Speaker, TCP, 1200), capture.Incoming, Cloud.IP6, 1286, 1200, 86, Speaker.IP6},
		{arp, capture.Outgoing, Cloud.MAC, 60, 0, 14, ""},
		{Frame(Speaker, Cloud, UDP, 33), capture.Outgoing, Cloud.IP4, 75, 33, 42, Speaker.IP4},
	}
}

// Run holds a source to what capture.Source says: the device's packets and no
// others, in order, with their facts and bytes, counted, and an end that stays.
func Run(t *testing.T, wire Wire) {
	for _, device := range []string{Speaker.MAC, Speaker.IP4, Speaker.IP6} {
		t.Run(device, func(t *testing.T) {
			var frames [][]byte
			var wants []want
			for _, w := range conversation() {
				frames = append(frames, w.frame)
				if w.size > 0 && (device == Speaker.MAC || device == w.speakersIP) {
					wants = append(wants, w)
				}
			}
			source, end := wire(t, Address(device), frames)
			for i, w := range wants {
				got, err := source.Next()
				if err != nil {
					t.Fatalf("packet %d of %d: %v", i+1, len(wants), err)
				}
				if got.Time.IsZero() {
					t.Errorf("packet %d has no time", i+1)
				}
				expected := capture.Packet{
					Time: got.Time, Device: Address(device), Peer: Address(w.peer),
					Direction: w.direction, Size: w.size, Payload: w.payload,
				}
				if got != expected {
					t.Errorf("packet %d:\n got %+v\nwant %+v", i+1, got, expected)
				}
				checkFrame(t, source.Frame(), got, w)
			}
			if got := source.Stats(); got.Packets != uint64(len(wants)) || got.Dropped != 0 || got.Retries != 0 {
				t.Errorf("counted %+v, want %d packets and none lost", got, len(wants))
			}
			end()
			p, first := source.Next()
			if first == nil {
				t.Fatalf("a packet too many: %+v", p)
			}
			if _, again := source.Next(); !errors.Is(again, first) {
				t.Errorf("ended with %v, then with %v", first, again)
			}
			if f := source.Frame(); f.Data != nil {
				t.Errorf("a frame of %d bytes after the end", len(f.Data))
			}
		})
	}
}

func checkFrame(t *testing.T, f capture.Frame, p capture.Packet, w want) {
	t.Helper()
	if f.Link != capture.LinkEthernet || !f.Time.Equal(p.Time) || f.Length != len(w.frame) || f.Headers != w.headers {
		t.Errorf("frame %v, %d long, with %d of headers at %v; want %d, %d at %v", f.Link, f.Length, f.Headers, f.Time, len(w.frame), w.headers, p.Time)
	}
	if len(f.Data) < f.Headers || len(f.Data) > f.Length || string(f.Data) != string(w.frame[:len(f.Data)]) {
		t.Errorf("frame of %d bytes is not what was sent", len(f.Data))
	}
}
