package capture_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
)

// The interfaces of a test: what is sent at far arrives at near.
const near, far = "near", "far"

// enter moves the test's goroutine into a network namespace of its own, from
// which nothing can leave. The goroutine keeps its thread to itself, and the
// namespace ends with it.
func enter(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a live capture is tested as root: it needs a network namespace of its own; sudo make test")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
}

func ip(t testing.TB, arguments string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s (is iproute2 installed?)", arguments, err, out)
	}
}

// newWire enters a namespace with a wire in it, and returns what sends a frame
// at its far end.
func newWire(t testing.TB) (send func(frame []byte)) {
	t.Helper()
	enter(t)
	ip(t, "link add "+near+" type veth peer name "+far)
	ip(t, "link set "+near+" up")
	ip(t, "link set "+far+" up")
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func(frame []byte) {
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index(t, far)}); err != nil {
			t.Errorf("send a frame of %d bytes: %v", len(frame), err)
		}
	}
}

func index(t testing.TB, name string) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		t.Fatal(err)
	}
	return int(request.Uint32())
}

func listen(ctx context.Context, t testing.TB, iface string, device capture.Address, keep capture.Keep) *capture.Live {
	t.Helper()
	l, err := capture.Listen(ctx, iface, device, keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestLiveIsASource(t *testing.T) {
	for keep, name := range map[capture.Keep]string{capture.KeepHeaders: "headers", capture.KeepPayload: "payload"} {
		t.Run(name, func(t *testing.T) {
			capturetest.Run(t, func(t *testing.T, device capture.Address, frames [][]byte) (capture.Source, func()) {
				send := newWire(t)
				ctx, cancel := context.WithCancel(t.Context())
				l := listen(ctx, t, near, device, keep)
				for _, f := range frames {
					send(f)
				}
				return l, cancel
			})
		})
	}
}

func TestOthersPacketsStayInTheKernel(t *testing.T) {
	send := newWire(t)
	own := capturetest.Frame(speakerHost, cloud, capturetest.UDP, 10)
	foreign := capturetest.Frame(neighbour, cloud, capturetest.UDP, 10)

	// The neighbour never pauses, not even while the capture is set up.
	namespace, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer namespace.Close()
	var stop atomic.Bool
	done := make(chan struct{})
	target := index(t, far)
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		for !stop.Load() {
			if err := unix.Sendto(fd, foreign, 0, &unix.SockaddrLinklayer{Ifindex: target}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for range 20 {
		l := listen(t.Context(), t, near, speaker, capture.KeepHeaders)
		send(own)
		p, err := l.Next()
		if err != nil || p.Payload != 10 {
			t.Errorf("%+v, %v", p, err)
		}
		if s := l.Stats(); s.Packets != 1 || s.Skipped != 0 {
			t.Errorf("%+v; want one packet, and none of the neighbour's", s)
		}
		l.Close()
	}
	stop.Store(true)
	<-done
}

func TestTaggedFramesAreWhole(t *testing.T) {
	send := newWire(t)
	frame := capturetest.Frame(speakerHost, cloud, capturetest.UDP, 100) // 142 bytes
	tag := func(b []byte, kind uint16) []byte {
		out := binary.BigEndian.AppendUint16(append([]byte(nil), b[:12]...), kind)
		return append(append(out, 0, 5), b[12:]...)
	}
	for _, device := range []string{speakerHost.MAC, speakerHost.IP4} {
		l := listen(t.Context(), t, near, capturetest.Address(device), capture.KeepHeaders)
		send(tag(frame, 0x8100))
		send(tag(tag(frame, 0x8100), 0x88a8))
		for _, size := range []int32{146, 150} {
			p, err := l.Next()
			if err != nil || p.Size != size || p.Payload != 100 {
				t.Errorf("%s: %+v, %v; want size %d, payload 100", device, p, err, size)
			}
		}
	}
}

func TestHeadersOnlyLeaveTheKernel(t *testing.T) {
	send := newWire(t)
	frame := capturetest.Frame(speakerHost, cloud, capturetest.UDP, 1400)
	headers := listen(t.Context(), t, near, speaker, capture.KeepHeaders)
	whole := listen(t.Context(), t, near, speaker, capture.KeepPayload)
	before := time.Now()
	send(frame)
	for _, c := range []struct {
		live *capture.Live
		most int
	}{{headers, 200}, {whole, len(frame)}} {
		p, err := c.live.Next()
		if err != nil || p.Size != 1442 || p.Payload != 1400 {
			t.Errorf("%+v, %v", p, err)
		}
		if p.Time.Before(before.Round(0)) || p.Time.After(time.Now()) {
			t.Errorf("captured at %v, sent after %v", p.Time, before)
		}
		if n := len(c.live.Frame().Data); n > c.most || n < 42 {
			t.Errorf("%d bytes came, want up to %d", n, c.most)
		}
	}
	if n := len(whole.Frame().Data); n != len(frame) {
		t.Errorf("%d bytes of %d", n, len(frame))
	}
	if whole.Link() != capture.LinkEthernet {
		t.Errorf("link type %v", whole.Link())
	}
}

func TestLossIsCounted(t *testing.T) {
	send := newWire(t)
	l := listen(t.Context(), t, near, speaker, capture.KeepHeaders)
	frame := capturetest.Frame(speakerHost, cloud, capturetest.UDP, 10)
	const sent = 17000 // more than there is room for while nobody reads
	for range sent {
		send(frame)
	}
	dropped := l.Stats().Dropped
	if dropped == 0 || dropped >= sent {
		t.Fatalf("%d dropped of %d", dropped, sent)
	}
	for range sent - dropped {
		if _, err := l.Next(); err != nil {
			t.Fatal(err)
		}
	}
	send(frame) // there is room again
	if _, err := l.Next(); err != nil {
		t.Fatal(err)
	}
	if s := l.Stats(); s.Packets != sent-dropped+1 || s.Dropped != dropped {
		t.Errorf("%+v, want %d packets and %d dropped", s, sent-dropped+1, dropped)
	}
}

func TestASilentWireEndsWithItsContext(t *testing.T) {
	newWire(t)
	reason := errors.New("the night is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	l := listen(ctx, t, near, speaker, capture.KeepHeaders)
	ended := make(chan error)
	go func() {
		_, err := l.Next()
		ended <- err
	}()
	cancel(reason)
	if err := <-ended; !errors.Is(err, reason) {
		t.Errorf("ended with %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}

	// So does one that was never begun, and a wire that isn't silent.
	l = listen(ctx, t, near, speaker, capture.KeepHeaders)
	if _, err := l.Next(); !errors.Is(err, reason) {
		t.Errorf("ended with %v", err)
	}
	l = listen(t.Context(), t, near, speaker, capture.KeepHeaders)
	l.Close()
	if _, err := l.Next(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestAnInterfaceThatGoesAway(t *testing.T) {
	send := newWire(t)
	ctx := t.Context()
	for _, command := range []string{"link set near down", "link del near"} {
		ip(t, "link set near up")
		l := listen(ctx, t, near, speaker, capture.KeepHeaders)
		send(capturetest.Frame(speakerHost, cloud, capturetest.UDP, 10))
		ip(t, command)
		if _, err := l.Next(); err != nil {
			t.Errorf("%s: a packet from before is lost: %v", command, err)
		}
		if _, err := l.Next(); !errors.Is(err, capture.ErrInterface) {
			t.Errorf("%s: %v", command, err)
		}
		if command == "link set near down" {
			if _, err := capture.Listen(ctx, near, speaker, capture.KeepHeaders); !errors.Is(err, capture.ErrInterface) {
				t.Errorf("on an interface that is down: %v", err)
			}
		}
	}
}

func TestLiveWithoutADevice(t *testing.T) {
	send := newWire(t)
	lamp := capturetest.Host{MAC: "02:00:00:00:00:0c", IP4: "10.0.0.12", IP6: "fd00::12"}
	plug := capturetest.Host{MAC: "02:00:00:00:00:0d", IP4: "10.0.0.13", IP6: "fd00::13"}
	data := [][]byte{
		capturetest.Frame(lamp, cloud, capturetest.TCP, 700),
		capturetest.Frame(lamp, plug, capturetest.UDP, 100),
		capturetest.Frame6(plug, cloud, capturetest.UDP, 100),
		capturetest.Frame(cloud, plug, capturetest.TCP, 0),
	}
	tagged := append([]byte(nil), data[1]...)
	data = append(data, append(tagged[:12:12], append([]byte{0x81, 0, 0, 7}, tagged[12:]...)...))
	want, _, err := read(t, pcapFile(capture.LinkEthernet, frames(data...)...), capture.Address{})
	if err != nil || len(want) != 7 {
		t.Fatalf("%d packets in a file of the same, %v", len(want), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l := listen(ctx, t, near, capture.Address{}, capture.KeepHeaders)
	for _, f := range data {
		send(f)
	}
	for i := 0; i < len(want); {
		got, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if device := got.Device.String(); device != lamp.MAC && device != plug.MAC {
			continue // the interfaces' own announcements
		}
		got.Time = want[i].Time
		if got != want[i] {
			t.Errorf("packet %d:\n got %+v\nwant %+v", i+1, got, want[i])
		}
		i++
	}
	cancel()
	for err == nil { // what else the interfaces announce
		_, err = l.Next()
	}
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWhatCannotBeListenedTo(t *testing.T) {
	newWire(t)
	ip(t, "link set lo up")
	for _, c := range []struct {
		iface  string
		device capture.Address
		want   error
	}{
		{"wlan7", speaker, capture.ErrInterface},
		{"lo", speaker, capture.ErrInterface},
	} {
		if _, err := capture.Listen(t.Context(), c.iface, c.device, 0); !errors.Is(err, c.want) {
			t.Errorf("%s, %q: %v, want %v", c.iface, c.device, err, c.want)
		}
	}
}

// capabilities leaves the calling thread no right but those.
func capabilities(t *testing.T, rights uint32) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: rights, Permitted: rights}}
	if err := unix.Capset(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
}

func TestRights(t *testing.T) {
	send := newWire(t)
	frame := capturetest.Frame(speakerHost, cloud, capturetest.UDP, 10)
	capabilities(t, 1<<unix.CAP_NET_RAW)
	l := listen(t.Context(), t, near, speaker, capture.KeepPayload)
	send(frame)
	if _, err := l.Next(); err != nil {
		t.Errorf("with CAP_NET_RAW alone: %v", err)
	}
	capabilities(t, 0)
	_, err := capture.Listen(t.Context(), near, speaker, capture.KeepHeaders)
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "setcap cap_net_raw") {
		t.Errorf("without any right: %v", err)
	}
}

// TestMonitorMode captures on an interface that says of itself that it is in
// monitor mode, and whose frames a test can make.
func TestMonitorMode(t *testing.T) {
	enter(t)
	air, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("/dev/net/tun: %v (is the kernel's tun module there?)", err)
	}
	defer unix.Close(air)
	request, err := unix.NewIfreq("mon0")
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(air, unix.TUNSETIFF, request); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetInt(air, unix.TUNSETLINK, unix.ARPHRD_IEEE80211_RADIOTAP); err != nil {
		t.Fatal(err)
	}
	ip(t, "link set mon0 up")

	l := listen(t.Context(), t, "mon0", speaker, capture.KeepHeaders)
	radiotap := []byte{0, 0, 18, 0, 3, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 0x10, 0}
	for _, w := range []wifi{
		{toDS: true, protected: true, a1: bssid, a2: neighbour.MAC, a3: cloud.MAC, body: ccmp(50)},
		{toDS: true, subtype: 4, a1: bssid, a2: speakerHost.MAC, a3: cloud.MAC, body: make([]byte, 30)},
		{toDS: true, protected: true, subtype: 8, a1: bssid, a2: speakerHost.MAC, a3: cloud.MAC, body: ccmp(900)},
		{fromDS: true, protected: true, subtype: 8, a1: neighbour.MAC, a2: bssid, a3: speakerHost.MAC, body: ccmp(900)},
		{fromDS: true, protected: true, subtype: 8, a1: speakerHost.MAC, a2: bssid, a3: cloud.MAC, body: ccmp(70)},
	} {
		frame := append(append(append([]byte(nil), radiotap...), w.frame()...), 1, 2, 3, 4)
		if _, err := unix.Write(air, frame); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []capture.Packet{
		{Direction: capture.Outgoing, Size: 26 + 916, Payload: 908},
		{Direction: capture.Incoming, Size: 26 + 86, Payload: 78},
	} {
		got, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		want.Time, want.Device, want.Peer = got.Time, speaker, capturetest.Address(cloud.MAC)
		if got != want {
			t.Errorf("\n got %+v\nwant %+v", got, want)
		}
	}
	if s := l.Stats(); s.Packets != 2 || s.Skipped != 0 {
		t.Errorf("%+v, want two packets and nothing else", s)
	}
	if _, err := capture.Listen(t.Context(), "mon0", capturetest.Address(speakerHost.IP4), 0); !errors.Is(err, capture.ErrDevice) {
		t.Errorf("by IP address: %v", err)
	}
}
