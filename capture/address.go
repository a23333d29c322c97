package capture

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
)

// Address is a MAC or an IP address. Addresses are compared with ==, and the
// zero Address is none.
type Address struct {
	bytes [16]byte
	kind  kind
}

type kind uint8

const (
	none kind = iota
	mac
	ip4
	ip6
)

// ParseAddress reads an address: "68:db:f5:90:19:64", "68-db-f5-90-19-64",
// "192.168.86.40" or "fd00::1".
func ParseAddress(s string) (a Address, err error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		a.set(ip.Unmap().AsSlice())
		return a, nil
	}
	if hw, err := net.ParseMAC(s); err == nil && len(hw) == 6 {
		a.set(hw)
		return a, nil
	}
	return Address{}, fmt.Errorf("address %q is neither a MAC address like 68:db:f5:90:19:64 nor an IP address like 192.168.86.40 or fd00::1 (without a zone)", s)
}

// set makes it the address with these bytes: as many as a MAC or an IP address
// has, or none.
func (a *Address) set(b []byte) {
	*a = Address{}
	switch len(b) { // with lengths that the compiler knows, copying is quick
	case 4:
		a.kind = ip4
		copy(a.bytes[:4], b)
	case 6:
		a.kind = mac
		copy(a.bytes[:6], b)
	case 16:
		a.kind = ip6
		copy(a.bytes[:], b)
	}
}

// IsValid reports whether there is an address.
func (a Address) IsValid() bool { return a.kind != none }

// IsMAC reports whether it is a MAC address.
func (a Address) IsMAC() bool { return a.kind == mac }

// Hash is a number that differs between most addresses, in all of its bits.
func (a Address) Hash() uint64 {
	const odd = 0x9e3779b97f4a7c15 // of digits without a pattern
	h := binary.LittleEndian.Uint64(a.bytes[:8])*odd ^ binary.LittleEndian.Uint64(a.bytes[8:])
	return bits.ReverseBytes64(h * odd)
}

// String returns the address in the form that ParseAddress reads, or "" for
// none.
func (a Address) String() string {
	switch b := a.raw(); a.kind {
	case mac:
		return net.HardwareAddr(b).String()
	case ip4, ip6:
		ip, _ := netip.AddrFromSlice(b)
		return ip.String()
	default:
		return ""
	}
}

// raw is the address as frames carry it.
func (a *Address) raw() []byte {
	switch a.kind {
	case mac:
		return a.bytes[:6]
	case ip4:
		return a.bytes[:4]
	case ip6:
		return a.bytes[:]
	default:
		return nil
	}
}
