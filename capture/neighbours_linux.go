package capture

import (
	"fmt"
	"os"
	"strings"
)

// Neighbours is what this machine has lately learnt of the devices beyond an
// interface, from the kernel's table: the MAC addresses of those that answered,
// by their IPv4 addresses. It needs no rights.
func Neighbours(iface string) (map[Address]Address, error) {
	table, err := os.ReadFile("/proc/thread-self/net/arp")
	if err != nil {
		return nil, fmt.Errorf("neighbours on %s: %w", iface, err)
	}
	known := map[Address]Address{}
	for line := range strings.Lines(string(table)) {
		// IP address, type, flags, MAC address, mask and interface. A neighbour
		// that never answered has a MAC address of zeros.
		fields := strings.Fields(line)
		if len(fields) != 6 || fields[5] != iface {
			continue
		}
		ip, err := ParseAddress(fields[0])
		hw, err2 := ParseAddress(fields[3])
		if err == nil && err2 == nil && hw != (Address{kind: mac}) {
			known[ip] = hw
		}
	}
	return known, nil
}
