package capture

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offloads lists, by the names that ethtool has for them, the offloads of an
// interface that are on and that make several packets look like one: of gro,
// gso, tso and lro. It needs no rights. The error wraps ErrInterface where
// there is no such interface.
func Offloads(iface string) ([]string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("offloads of %s: %w", iface, err)
	}
	defer unix.Close(fd)
	var on []string
	for _, o := range []struct {
		name    string
		command uint32
		bits    uint32
	}{
		{"gro", unix.ETHTOOL_GGRO, ^uint32(0)},
		{"gso", unix.ETHTOOL_GGSO, ^uint32(0)},
		{"tso", unix.ETHTOOL_GTSO, ^uint32(0)},
		{"lro", unix.ETHTOOL_GFLAGS, lroFlag},
	} {
		value, err := ethtool(fd, iface, o.command)
		switch {
		case errors.Is(err, unix.EOPNOTSUPP): // it has none
		case errors.Is(err, unix.ENODEV):
			return nil, fmt.Errorf("offloads of %s: %w: %w", iface, ErrInterface, err)
		case err != nil:
			return nil, fmt.Errorf("offloads of %s: %w", iface, err)
		case value&o.bits != 0:
			on = append(on, o.name)
		}
	}
	return on, nil
}

// lroFlag is ETH_FLAG_LRO.
const lroFlag = 1 << 15

// ethtool asks the interface for a value.
func ethtool(fd int, iface string, command uint32) (uint32, error) {
	if len(iface) >= unix.IFNAMSIZ {
		return 0, unix.ENODEV
	}
	value := struct{ command, data uint32 }{command: command}
	request := struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:], iface)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return 0, errno
	}
	return value.data, nil
}
