package capture_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
)

func TestNeighbours(t *testing.T) {
	newWire(t)
	ip(t, "address add 192.0.2.1/24 dev "+near)
	ip(t, "neighbour add 192.0.2.7 lladdr "+speakerHost.MAC+" dev "+near)
	got, err := capture.Neighbours(near)
	want := map[capture.Address]capture.Address{capturetest.Address("192.0.2.7"): capturetest.Address(speakerHost.MAC)}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("neighbours %v, error %v", got, err)
	}
	if got, err := capture.Neighbours(far); err != nil || len(got) != 0 {
		t.Errorf("on another interface: %v, error %v", got, err)
	}
}

func TestOffloads(t *testing.T) {
	newWire(t)
	for _, on := range []uint32{1, 0} {
		setTSO(t, near, on)
		got, err := capture.Offloads(near)
		if err != nil || slices.Contains(got, "tso") != (on == 1) {
			t.Errorf("tso set to %d: %v, error %v", on, got, err)
		}
	}
	for _, none := range []string{"nosuch", "a-name-longer-than-any"} {
		if _, err := capture.Offloads(none); !errors.Is(err, capture.ErrInterface) {
			t.Errorf("%s: error %v", none, err)
		}
	}
}

// setTSO is "ethtool -K IFACE tso on" or off.
func setTSO(t *testing.T, iface string, on uint32) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	value := [2]uint32{unix.ETHTOOL_STSO, on}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:], iface)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		t.Fatalf("ethtool -K %s tso %d: %v", iface, on, errno)
	}
}
