package capture_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
)

var (
	speakerHost = capturetest.Speaker
	cloud       = capturetest.Cloud
	neighbour   = capturetest.Neighbour
)

// TestHeaders feeds frames of each shape, whole and cut, and checks what is
// said of them. The speaker sends them all, 100 bytes of payload in each.
func TestHeaders(t *testing.T) {
	const payload = 100
	udp := capturetest.Frame(speakerHost, cloud, capturetest.UDP, payload)
	tcp := capturetest.Frame(speakerHost, cloud, capturetest.TCP, payload)
	tcp6 := capturetest.Frame6(speakerHost, cloud, capturetest.TCP, payload)
	vlan := func(b []byte, tags ...uint16) []byte {
		out := append([]byte(nil), b[:12]...)
		for _, tag := range tags {
			out = binary.BigEndian.AppendUint16(out, tag)
			out = append(out, 0, 7)
		}
		return append(out, b[12:]...)
	}
	extended := func(chain []byte) []byte {
		// The kind of the first extension header, then the headers.
		b := append([]byte(nil), tcp6...)
		b[20] = chain[0]
		binary.BigEndian.PutUint16(b[18:], binary.BigEndian.Uint16(b[18:])+uint16(len(chain)-1))
		out := append(append([]byte(nil), b[:54]...), chain[1:]...)
		return append(out, b[54:]...)
	}
	cooked := append([]byte{0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 10, 0, 0, 8, 0}, udp[14:]...)
	cooked2 := append([]byte{0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 2, 0, 0, 0, 0, 10, 0, 0}, tcp6[14:]...)
	offloaded := append([]byte(nil), tcp...)
	offloaded[16], offloaded[17] = 0, 0
	lying := append([]byte(nil), tcp...)
	lying[16], lying[17] = 0xff, 0xff
	odd := append([]byte(nil), udp...)
	odd[23] = 50 // ESP

	const ip4, ip6 = "192.0.2.10", "2001:db8::10"
	for _, c := range []struct {
		name          string
		link          capture.LinkType
		device        string
		frame         []byte
		size, payload int32
		headers       int
	}{
		{"UDP", capture.LinkEthernet, "", udp, 142, 100, 42},
		{"TCP with options", capture.LinkEthernet, "", tcp, 166, 100, 66},
		{"TCP over IPv6", capture.LinkEthernet, "", tcp6, 186, 100, 86},
		{"VLAN", capture.LinkEthernet, "", vlan(tcp, 0x8100), 170, 100, 70},
		{"two VLANs", capture.LinkEthernet, ip6, vlan(tcp6, 0x88a8, 0x8100), 194, 100, 94},
		{"Linux cooked", capture.LinkCooked, ip4, cooked, 144, 100, 44},
		{"Linux cooked v2", capture.LinkCooked2, ip6, cooked2, 192, 100, 92},
		{"raw IP", capture.LinkRaw, ip4, tcp[14:], 152, 100, 52},
		{"raw IP of BSD", capture.LinkRawBSD, ip6, tcp6[14:], 172, 100, 72},
		{"raw IP of OpenBSD", capture.LinkRawBSD2, ip4, udp[14:], 128, 100, 28},
		{"raw IPv4", capture.LinkIPv4, ip4, udp[14:], 128, 100, 28},
		{"raw IPv6", capture.LinkIPv6, ip6, tcp6[14:], 172, 100, 72},
		{"hop-by-hop and destination options", capture.LinkEthernet, "",
			extended(append([]byte{0}, append([]byte{60, 0, 0, 0, 0, 0, 0, 0}, append([]byte{6, 1}, make([]byte, 14)...)...)...)), 210, 100, 110},
		{"authentication header", capture.LinkEthernet, "",
			extended(append([]byte{51}, append([]byte{6, 4}, make([]byte, 22)...)...)), 210, 100, 110},
		{"first IPv6 fragment", capture.LinkEthernet, "",
			extended([]byte{44, 6, 0, 0, 1, 0, 0, 0, 9}), 194, 100, 94},
		{"later IPv6 fragment", capture.LinkEthernet, "",
			extended([]byte{44, 6, 0, 1, 0x41, 0, 0, 0, 9}), 194, 132, 62},
		{"offloaded segment without a length", capture.LinkEthernet, "", offloaded, 166, 100, 66},
		{"length beyond the frame", capture.LinkEthernet, "", lying, 166, 100, 66},
		{"another protocol", capture.LinkEthernet, "", odd, 142, 108, 34},
	} {
		t.Run(c.name, func(t *testing.T) {
			device := speaker
			if c.device != "" {
				device = capturetest.Address(c.device)
			}
			packets, _, err := read(t, pcapFile(c.link, record{at: noon, data: c.frame}), device)
			if err != nil || len(packets) != 1 {
				t.Fatalf("%d packets, %v", len(packets), err)
			}
			p := packets[0]
			if p.Size != c.size || p.Payload != c.payload || p.Direction != capture.Outgoing || !p.Peer.IsValid() {
				t.Errorf("got %+v; want size %d, payload %d", p, c.size, c.payload)
			}
			checkHeaders(t, c.link, device, c.frame, c.headers)
			// Cut after its headers, the frame says the same of itself.
			cut := record{at: noon, data: c.frame[:c.headers], length: len(c.frame)}
			again, _, err := read(t, pcapFile(c.link, cut), device)
			if err != nil || len(again) != 1 || again[0] != p {
				t.Errorf("cut after the headers: %+v, %v; want %+v", again, err, p)
			}
			// Cut anywhere it is read without complaint, and its size is known
			// as soon as its owner is.
			for n := range c.frame {
				some, _, err := read(t, pcapFile(c.link, record{at: noon, data: c.frame[:n], length: len(c.frame)}), device)
				if err != nil {
					t.Fatalf("cut to %d bytes: %v", n, err)
				}
				for _, p := range some {
					if p.Size != c.size || p.Payload < 0 || p.Payload > p.Size {
						t.Errorf("cut to %d bytes: %+v", n, p)
					}
				}
			}
		})
	}
}

func TestFragmentsOfIPv4AddUp(t *testing.T) {
	const mtu, datagram = 1480, 4000 // UDP header and payload in three fragments
	body := make([]byte, 8+datagram)
	var records []record
	for at := 0; at < len(body); at += mtu {
		ip := capturetest.IPv4(speakerHost, cloud, capturetest.UDP)
		ip.FragOffset = uint16(at / 8)
		if at+mtu < len(body) {
			ip.Flags = layers.IPv4MoreFragments
		}
		part := body[at:min(at+mtu, len(body))]
		records = append(records, record{at: noon, data: capturetest.Serialize(
			capturetest.Ethernet(speakerHost, cloud, layers.EthernetTypeIPv4), ip, gopacket.Payload(part))})
	}
	packets, _, err := read(t, pcapFile(capture.LinkEthernet, records...), speaker)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, p := range packets {
		sum += int(p.Payload)
	}
	if len(packets) != 3 || sum != datagram {
		t.Errorf("%d fragments carry %d bytes, want 3 with %d", len(packets), sum, datagram)
	}
}

// TestWithoutADevice holds a source that was told no device to giving each frame
// as every device of the network sees it.
func TestWithoutADevice(t *testing.T) {
	host := func(n byte, ip4, ip6 string) capturetest.Host {
		return capturetest.Host{MAC: fmt.Sprintf("02:00:00:00:00:%02x", n), IP4: ip4, IP6: ip6}
	}
	router := host(1, "192.168.1.1", "2001:db8:1::1")
	echo, lamp := host(10, "192.168.1.10", "2001:db8:1::10"), host(11, "192.168.1.11", "2001:db8:1::11")
	// Whoever is beyond the router shows its MAC address.
	cloud, lab := host(1, "203.0.113.7", "2001:db8:2::7"), host(1, "100.64.3.2", "")
	everyone := capturetest.Host{MAC: "ff:ff:ff:ff:ff:ff", IP4: "255.255.255.255", IP6: "ff02::1"}
	hidden := func(h capturetest.Host) capturetest.Host { h.MAC = "00:00:00:00:00:00"; return h }
	frame, frame6 := capturetest.Frame, capturetest.Frame6
	arp := func(from, to capturetest.Host) []byte {
		return capturetest.Serialize(capturetest.Ethernet(from, to, layers.EthernetTypeARP), gopacket.Payload(make([]byte, 46)))
	}
	radio := func(w wifi) []byte { w.protected, w.body = true, ccmp(9); return w.frame() }
	upload := frame(echo, cloud, capturetest.TCP, 9)

	for _, c := range []struct {
		name   string
		link   capture.LinkType
		frames [][]byte
		want   string
	}{
		{"to the Internet", 1, [][]byte{upload}, "0a>203.0.113.7"},
		{"from the Internet", 1, [][]byte{frame(cloud, echo, capturetest.TCP, 9)}, "0a<203.0.113.7"},
		{"between two devices", 1, [][]byte{frame(echo, lamp, capturetest.UDP, 9)}, "0a>192.168.1.11 0b<192.168.1.10"},
		{"the router for itself", 1, [][]byte{upload, frame(router, echo, capturetest.UDP, 9)}, "0a>203.0.113.7 01>192.168.1.10 0a<192.168.1.1"},
		{"to all", 1, [][]byte{frame(echo, everyone, capturetest.UDP, 9)}, "0a>255.255.255.255"},
		{"not IP", 1, [][]byte{arp(echo, lamp), arp(lamp, everyone)}, "0a>02:00:00:00:00:0b 0b<02:00:00:00:00:0a 0b>ff:ff:ff:ff:ff:ff"},
		{"IPv6 through a router that is known", 1, [][]byte{upload, frame6(echo, cloud, capturetest.TCP, 9), frame6(cloud, lamp, capturetest.TCP, 9)},
			"0a>203.0.113.7 0a>2001:db8:2::7 0b<2001:db8:2::7"},
		{"IPv6 through one that is not", 1, [][]byte{frame6(echo, cloud, capturetest.TCP, 9)}, "0a>2001:db8:2::7 01<2001:db8:1::10"},
		{"IPv6 to all", 1, [][]byte{upload, frame6(echo, capturetest.Host{MAC: "33:33:00:00:00:01", IP6: "ff02::1"}, capturetest.UDP, 9)}, "0a>203.0.113.7 0a>ff02::1"},
		{"between private networks", 1, [][]byte{frame(echo, lab, capturetest.UDP, 9)}, "0a>100.64.3.2 01<192.168.1.10"},
		{"MAC addresses taken out", 1, [][]byte{frame(hidden(echo), hidden(cloud), capturetest.UDP, 9)}, "192.168.1.10>203.0.113.7"},
		{"all addresses taken out", 1, [][]byte{arp(hidden(echo), hidden(cloud)), frame(hidden(echo), hidden(echo), capturetest.UDP, 9)},
			"00?00:00:00:00:00:00 192.168.1.10?192.168.1.10"},
		{"no address at all", 1, [][]byte{{1, 2, 3}}, ""},
		{"raw IP", capture.LinkRaw, [][]byte{upload[14:], frame(echo, lamp, capturetest.UDP, 9)[14:], frame(echo, everyone, capturetest.UDP, 9)[14:]},
			"192.168.1.10>203.0.113.7 192.168.1.10>192.168.1.11 192.168.1.11<192.168.1.10 192.168.1.10>255.255.255.255"},
		{"raw IPv6", capture.LinkRaw, [][]byte{frame6(echo, cloud, capturetest.UDP, 9)[14:], frame6(echo, everyone, capturetest.UDP, 9)[14:]},
			"2001:db8:1::10>2001:db8:2::7 2001:db8:2::7<2001:db8:1::10 2001:db8:1::10>ff02::1"},
		{"Wi-Fi, both hops of one frame", capture.LinkWiFi, [][]byte{
			radio(wifi{toDS: true, a1: bssid, a2: echo.MAC, a3: lamp.MAC}),
			radio(wifi{fromDS: true, a1: lamp.MAC, a2: bssid, a3: echo.MAC}),
		}, "0a>02:00:00:00:00:0b 0b<02:00:00:00:00:0a"},
		{"Wi-Fi, to all", capture.LinkWiFi, [][]byte{
			radio(wifi{fromDS: true, a1: everyone.MAC, a2: bssid, a3: echo.MAC}),
		}, ""},
		{"Wi-Fi, from end to end", capture.LinkWiFi, [][]byte{
			radio(wifi{a1: lamp.MAC, a2: echo.MAC, a3: bssid}),
		}, "0a>02:00:00:00:00:0b 0b<02:00:00:00:00:0a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			packets, r, err := read(t, pcapFile(c.link, frames(c.frames...)...), capture.Address{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range packets {
				sign := map[capture.Direction]string{capture.Outgoing: ">", capture.Incoming: "<", capture.Unknown: "?"}[p.Direction]
				got = append(got, strings.TrimPrefix(strings.TrimPrefix(p.Device.String(), "02:00:00:00:00:"), "00:00:00:00:00:")+sign+p.Peer.String())
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("\n got %s\nwant %s", s, c.want)
			}
			if s := r.Stats(); s.Packets != uint64(len(packets)) {
				t.Errorf("counted %+v, of %d packets", s, len(packets))
			}
		})
	}
}

// TestBothEnds reads a capture whose addresses were taken out: which way a packet
// went is unknown, whether or not the one address is named.
func TestBothEnds(t *testing.T) {
	nobody := capturetest.Host{MAC: "00:00:00:00:00:00", IP4: "0.0.0.0"}
	for _, name := range []string{"", nobody.MAC, nobody.IP4} {
		device, _ := capture.ParseAddress(name)
		packets, _, err := read(t, pcapFile(1, frames(capturetest.Frame(nobody, nobody, capturetest.TCP, 9))...), device)
		if err != nil || len(packets) != 1 || packets[0].Direction != capture.Unknown || packets[0].Peer != packets[0].Device {
			t.Errorf("device %q: %+v, %v", name, packets, err)
		}
	}
}

// TestAllDevicesAgreeWithEach reads a busy network's capture without a device,
// and holds each device's packets to what a source that was told of it gives.
func TestAllDevicesAgreeWithEach(t *testing.T) {
	gateway := capturetest.Host{MAC: cloud.MAC, IP4: "203.0.113.9", IP6: "2001:db8:9::9"}
	var hosts []capturetest.Host
	for i := range 20 {
		hosts = append(hosts, capturetest.Host{MAC: fmt.Sprintf("02:00:00:00:01:%02x", i), IP4: fmt.Sprintf("10.0.0.%d", i+1), IP6: fmt.Sprintf("fd00::%x", i+1)})
	}
	random := rand.New(rand.NewPCG(1, 2))
	var data [][]byte
	for range 2000 {
		from, to := hosts[random.IntN(len(hosts))], hosts[random.IntN(len(hosts))]
		switch random.IntN(4) {
		case 0:
			from = gateway
		case 1:
			to = gateway
		}
		if from == to {
			continue
		}
		frame := capturetest.Frame
		if from != gateway && to != gateway && random.IntN(2) == 0 {
			frame = capturetest.Frame6
		}
		data = append(data, frame(from, to, capturetest.TCP, random.IntN(1400)))
	}
	file := pcapFile(capture.LinkEthernet, frames(data...)...)
	all, _, err := read(t, file, capture.Address{})
	if err != nil {
		t.Fatal(err)
	}
	byDevice := map[capture.Address][]capture.Packet{}
	for _, p := range all {
		byDevice[p.Device] = append(byDevice[p.Device], p)
	}
	if len(byDevice) != len(hosts) {
		t.Errorf("%d devices, want %d", len(byDevice), len(hosts))
	}
	for device, got := range byDevice {
		want, _, err := read(t, file, device)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v: %d packets, %d when it is named; %v", device, len(got), len(want), err)
		}
	}
}

func TestDeviceThatTheLinkCannotShow(t *testing.T) {
	for _, c := range []struct {
		link   capture.LinkType
		device string
		want   error
	}{
		{capture.LinkCooked, speakerHost.MAC, capture.ErrDevice},
		{capture.LinkCooked2, speakerHost.MAC, capture.ErrDevice},
		{capture.LinkRaw, speakerHost.MAC, capture.ErrDevice},
		{capture.LinkRadiotap, speakerHost.IP4, capture.ErrDevice},
		{capture.LinkWiFi, speakerHost.IP6, capture.ErrDevice},
		{147, speakerHost.MAC, capture.ErrFormat},
	} {
		_, _, err := read(t, pcapFile(c.link, frames(make([]byte, 60))...), capturetest.Address(c.device))
		if !errors.Is(err, c.want) {
			t.Errorf("%s with %s: %v, want %v", c.link, c.device, err, c.want)
		}
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"68:DB:f5:90:19:64":  "68:db:f5:90:19:64",
		"68-db-f5-90-19-64":  "68:db:f5:90:19:64",
		"192.168.86.40":      "192.168.86.40",
		"::ffff:192.0.2.1":   "192.0.2.1",
		"fd00:0:0:0:0:0:0:1": "fd00::1",
	} {
		a, err := capture.ParseAddress(in)
		if err != nil || a.String() != want || !a.IsValid() || a.IsMAC() != (want[2] == ':' && len(want) == 17) {
			t.Errorf("%s: %v, %v", in, a, err)
		}
	}
	for _, in := range []string{"", "echo", "fe80::1%eth0", "192.168.86", "00:00:00:00:fe:80:00:00:00:00:00:00:02:00:5e:10:00:00:00:01"} {
		if a, err := capture.ParseAddress(in); err == nil {
			t.Errorf("%q is %v", in, a)
		}
	}
	if s := (capture.Address{}).String(); s != "" {
		t.Errorf("no address is %q", s)
	}
}

func TestNames(t *testing.T) {
	for link, want := range map[capture.LinkType]string{
		1: "Ethernet", 12: "raw IP", 14: "raw IP", 101: "raw IP", 105: "802.11", 113: "Linux cooked",
		127: "802.11 with radiotap", 228: "raw IPv4", 229: "raw IPv6", 276: "Linux cooked v2", 195: "link type 195",
	} {
		if got := link.String(); got != want {
			t.Errorf("link type %d is %q, want %q", uint16(link), got, want)
		}
	}
	for direction, want := range map[capture.Direction]string{
		capture.Unknown: "unknown", capture.Outgoing: "outgoing", capture.Incoming: "incoming",
	} {
		if got := direction.String(); got != want {
			t.Errorf("direction %d is %q, want %q", direction, got, want)
		}
	}
}

// wifi makes an 802.11 data frame.
type wifi struct {
	toDS, fromDS, retry, protected, order bool
	subtype                               byte
	a1, a2, a3, a4                        string
	sequence                              uint16
	body                                  []byte
}

func (w wifi) frame() []byte {
	var flags byte
	for i, set := range []bool{w.toDS, w.fromDS, false, w.retry, false, false, w.protected, w.order} {
		if set {
			flags |= 1 << i
		}
	}
	b := []byte{w.subtype<<4 | 0x08, flags, 0, 0}
	address := func(s string) {
		var mac [6]byte
		copy(mac[:], capturetest.Ethernet(capturetest.Host{MAC: s}, capturetest.Host{MAC: s}, 0).SrcMAC)
		b = append(b, mac[:]...)
	}
	address(w.a1)
	address(w.a2)
	address(w.a3)
	b = binary.LittleEndian.AppendUint16(b, w.sequence<<4)
	if w.toDS && w.fromDS {
		address(w.a4)
	}
	if w.subtype&8 != 0 {
		b = append(b, 0, 0)
		if w.order {
			b = append(b, 0, 0, 0, 0)
		}
	}
	return append(b, w.body...)
}

// ccmp is an encrypted body: the cipher's header, data, the cipher's checksum.
func ccmp(data int) []byte {
	return append([]byte{1, 0, 0, 0x20, 0, 0, 0, 0}, make([]byte, data+8)...)
}

const bssid = "02:00:00:00:00:aa"

func TestWiFi(t *testing.T) {
	const dev, gate, other = "02:00:00:00:00:0a", "02:00:00:00:00:01", "02:00:00:00:00:0b"
	plain := append([]byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, capturetest.Frame(speakerHost, cloud, capturetest.UDP, 100)[14:]...)
	for _, c := range []struct {
		name          string
		frame         wifi
		direction     capture.Direction // Unknown: no packet of the device
		peer          string
		size, payload int32
		headers       int
	}{
		{"to the access point", wifi{toDS: true, protected: true, subtype: 8, a1: bssid, a2: dev, a3: gate, body: ccmp(200)},
			capture.Outgoing, gate, 26 + 216, 208, 34},
		{"from the access point", wifi{fromDS: true, protected: true, subtype: 8, a1: dev, a2: bssid, a3: gate, body: ccmp(200)},
			capture.Incoming, gate, 26 + 216, 208, 34},
		{"without quality of service, WEP", wifi{toDS: true, protected: true, a1: bssid, a2: dev, a3: gate, body: make([]byte, 108)},
			capture.Outgoing, gate, 24 + 108, 104, 28},
		{"HT control", wifi{toDS: true, protected: true, order: true, subtype: 8, a1: bssid, a2: dev, a3: gate, body: ccmp(200)},
			capture.Outgoing, gate, 30 + 216, 208, 38},
		{"four addresses", wifi{toDS: true, fromDS: true, protected: true, a1: bssid, a2: dev, a3: gate, a4: other, body: ccmp(50)},
			capture.Outgoing, gate, 30 + 66, 58, 38},
		{"direct link", wifi{protected: true, a1: dev, a2: other, a3: bssid, body: ccmp(50)},
			capture.Incoming, other, 24 + 66, 58, 32},
		{"open network", wifi{toDS: true, subtype: 8, a1: bssid, a2: dev, a3: gate, body: plain},
			capture.Outgoing, cloud.IP4, 26 + 8 + 128, 100, 62},
		{"second hop of what the device sent", wifi{fromDS: true, protected: true, a1: other, a2: bssid, a3: dev, body: ccmp(9)},
			capture.Unknown, "", 0, 0, 0},
		{"null", wifi{toDS: true, subtype: 4, a1: bssid, a2: dev, a3: gate}, capture.Unknown, "", 0, 0, 0},
		{"a neighbour's", wifi{toDS: true, protected: true, a1: bssid, a2: other, a3: gate, body: ccmp(9)},
			capture.Unknown, "", 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.frame.frame()
			for link, before := range map[capture.LinkType][]byte{
				capture.LinkWiFi: nil,
				// Time and flags, as drivers give them.
				capture.LinkRadiotap: {0, 0, 18, 0, 3, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0},
			} {
				packets, r, err := read(t, pcapFile(link, frames(append(before, b...))...), speaker)
				if err != nil {
					t.Fatal(err)
				}
				if c.direction == capture.Unknown {
					if len(packets) != 0 || r.Stats().Skipped != 1 {
						t.Errorf("%s: %+v, %+v; want it skipped", link, packets, r.Stats())
					}
					continue
				}
				want := capture.Packet{Time: noon, Device: speaker, Peer: capturetest.Address(c.peer), Direction: c.direction, Size: c.size, Payload: c.payload}
				if len(packets) != 1 || packets[0] != want {
					t.Errorf("%s:\n got %+v\nwant %+v", link, packets, want)
				}
				checkHeaders(t, link, speaker, append(before, b...), len(before)+c.headers)
			}
		})
	}
}

// checkHeaders reads a file of one frame again, for where its payload begins.
func checkHeaders(t *testing.T, link capture.LinkType, device capture.Address, frame []byte, want int) {
	t.Helper()
	r := open(t, pcapFile(link, frames(frame)...), device)
	if _, err := r.Next(); err != nil || r.Frame().Headers != want {
		t.Errorf("%s: headers of %d bytes, want %d; %v", link, r.Frame().Headers, want, err)
	}
}

func TestRadiotap(t *testing.T) {
	frame := wifi{toDS: true, protected: true, a1: bssid, a2: speakerHost.MAC, a3: cloud.MAC, body: ccmp(100)}.frame()
	const size = 24 + 116
	for _, c := range []struct {
		name   string
		header []byte
		after  int
		size   int32 // 0: no packet
	}{
		{"no fields", []byte{0, 0, 8, 0, 0, 0, 0, 0}, 0, size},
		{"flags first", []byte{0, 0, 9, 0, 2, 0, 0, 0, 0}, 0, size},
		{"checksum", []byte{0, 0, 9, 0, 2, 0, 0, 0, 0x10}, 4, size},
		{"more words", []byte{0, 0, 17, 0, 2, 0, 0, 0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0x10}, 4, size},
		{"more words and a time, aligned", []byte{0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x10}[:25], 4, size},
		{"damaged on the air", []byte{0, 0, 9, 0, 2, 0, 0, 0, 0x50}, 4, 0},
		{"another version", []byte{1, 0, 8, 0, 0, 0, 0, 0}, 0, 0},
		{"too short a length", []byte{0, 0, 7, 0, 0, 0, 0, 0}, 0, 0},
		{"too long a length", []byte{0, 0, 0xff, 0xff, 0, 0, 0, 0}, 0, 0},
		{"words without end", []byte{0, 0, 8, 0, 0, 0, 0, 0x80}, 0, 0},
		{"flags that are missing", []byte{0, 0, 8, 0, 2, 0, 0, 0}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := append(append(append([]byte(nil), c.header...), frame...), make([]byte, c.after)...)
			packets, _, err := read(t, pcapFile(capture.LinkRadiotap, frames(b)...), speaker)
			if err != nil {
				t.Fatal(err)
			}
			if c.size == 0 && len(packets) != 0 || c.size != 0 && (len(packets) != 1 || packets[0].Size != c.size) {
				t.Errorf("got %+v, want size %d", packets, c.size)
			}
		})
	}
}

func TestRetriesCountOnce(t *testing.T) {
	send := func(sequence uint16, retry bool) []byte {
		return wifi{toDS: true, protected: true, subtype: 8, retry: retry, sequence: sequence, a1: bssid, a2: speakerHost.MAC, a3: cloud.MAC, body: ccmp(100)}.frame()
	}
	records := frames(
		send(1, false), send(2, false), send(3, false),
		send(2, true),  // heard before: a retry
		send(7, true),  // its first try was missed
		send(7, true),  // a retry of that
		send(2, false), // the numbers came round
	)
	for i := range records {
		records[i].at = noon.Add(time.Duration(i) * time.Millisecond)
	}
	late := record{at: noon.Add(time.Minute), data: send(3, true)} // of another round
	packets, r, err := read(t, pcapFile(capture.LinkWiFi, append(records, late)...), speaker)
	if err != nil {
		t.Fatal(err)
	}
	if len(packets) != 6 || r.Stats().Retries != 2 {
		t.Errorf("%d packets and %d retries, want 6 and 2", len(packets), r.Stats().Retries)
	}
}
