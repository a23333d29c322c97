//go:build hardwaresim

package capture_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
	rules "wakefuzz/oracle/traffic"
	"wakefuzz/oracle/traffic/live"
)

// The radios of the emulated machine, which hear one another.
const (
	accessPoint = "wlan0" // as docs/access-point/hostapd.conf has it
	monitor     = "wlan3"
	injector    = "wlan4"
	frequency   = "2437" // channel 6, as the same file has it
)

// least is the size of the smallest datagram that is sent. What the stations'
// kernels send by themselves is smaller.
const least = 400

// What the frame of a datagram has besides, with WPA2: within what counts as
// its payload the headers of LLC and SNAP, IPv4 and UDP, and the checksum of
// CCMP; before that the header of 802.11 with quality of service, and CCMP's.
const (
	within = 8 + 20 + 8 + 8
	before = 26 + 8
)

// fact is what a data frame says of itself.
type fact struct {
	direction     capture.Direction
	peer          string
	size, payload int
}

func facts(packets []capture.Packet) []fact {
	var list []fact
	for _, p := range packets {
		list = append(list, fact{p.Direction, p.Peer.String(), int(p.Size), int(p.Payload)})
	}
	return list
}

// datagrams leaves out what the stations' kernels sent by themselves.
func datagrams(list []fact) []fact {
	return slices.DeleteFunc(slices.Clone(list), func(f fact) bool { return f.payload < least+within })
}

// TestOnBoard runs inside an emulated machine whose kernel has radios made by
// software; see scripts/hardware-sim.sh. A device and its neighbour join an
// access point that runs by the documentation's configuration. Another radio
// listens, and is a member of nothing.
func TestOnBoard(t *testing.T) {
	tune(t, monitor)
	tune(t, injector)
	router := newStation(t, "", accessPoint, "192.0.2.1")
	device := newStation(t, "device", "wlan1", "192.0.2.2")
	neighbour := newStation(t, "neighbour", "wlan2", "192.0.2.3")
	everybody := &station{mac: "ff:ff:ff:ff:ff:ff", at: netip.MustParseAddrPort("192.0.2.255:4000")}
	whole := overhear(t, device, capture.KeepPayload)
	headers := overhear(t, device, capture.KeepHeaders)
	air := witness(t)

	start(t, "", "AP-ENABLED", "hostapd", "-f", "/proc/self/fd/1", "/etc/hostapd.conf")
	router.open(t)
	device.join(t)
	neighbour.join(t)

	talk := conversation{size: least, said: map[*station][]fact{}}
	for range 30 {
		talk.say(t, device, router)
		talk.say(t, router, device)
		talk.say(t, neighbour, router)
		talk.say(t, router, neighbour)
		talk.say(t, neighbour, device) // passes the air twice, as does the next
		talk.say(t, device, neighbour)
	}
	const upload = 40 // in one go
	for range upload {
		talk.send(t, device, router)
	}
	for i := range upload {
		router.receive(t, talk.size-upload+1+i)
	}
	talk.send(t, device, everybody) // passes the air twice, and the second time to the device too
	talk.say(t, device, router)
	// While it listens on another channel, the device can't hear the access
	// point. It says so before and afterwards, in frames without data.
	run(t, device.namespace, "iw", "dev", device.radio, "scan", "trigger", "freq", "2412")
	for range 2 {
		air.until(t, "frame without data", func(wifi *layers.Dot11) bool {
			return wifi.Address2.String() == device.mac && kind(wifi) == "no data"
		})
	}
	talk.say(t, router, device)
	talk.say(t, device, router)
	whole.until(t, talk.size)
	headers.until(t, talk.size)
	air.until(t, "last datagram", func(wifi *layers.Dot11) bool {
		return wifi.Address2.String() == device.mac && length(wifi) == before+within+talk.size
	})

	t.Run("every data frame", func(t *testing.T) {
		if got, want := datagrams(facts(whole.packets)), talk.said[device]; !slices.Equal(got, want) {
			t.Errorf("of %d datagrams %d were captured:\n got %v\nwant %v", len(want), len(got), got, want)
		}
		if whole.stats.Dropped+whole.stats.Retries != 0 {
			t.Errorf("%+v, want nothing dropped or repeated", whole.stats)
		}
		t.Logf("%d packets, of which %d are datagrams of the test", len(whole.packets), len(talk.said[device]))
	})
	t.Run("headers alone", func(t *testing.T) {
		if got, want := facts(headers.packets), facts(whole.packets); !slices.Equal(got, want) {
			t.Errorf("got %v\nwith payload %v", got, want)
		}
	})
	t.Run("as another decoder has it", func(t *testing.T) {
		want, others := air.of(device)
		got := facts(whole.packets)
		for i := range got {
			got[i].payload = 0 // which the other decoder doesn't say
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
		if others["management"] == 0 || others["no data"] == 0 {
			t.Errorf("beside data the device was in frames %v: none to leave out", others)
		}
		t.Logf("%d frames on the air; the device's: %d of data, and %v", len(air.frames), len(want), others)
	})
	t.Run("from a file", func(t *testing.T) {
		path := fileOf(t, capture.KeepPayload, air.frames)
		if got, want := facts(packetsIn(t, path, device)), facts(whole.packets); !slices.Equal(got, want) {
			t.Errorf("of the device: got %v\nlive %v", got, want)
		}
		if got, want := facts(packetsIn(t, path, neighbour)), talk.said[neighbour]; !slices.Equal(datagrams(got), want) {
			t.Errorf("of the neighbour: got %v\nwant %v", got, want)
		}
	})
	t.Run("as evidence", func(t *testing.T) {
		path := fileOf(t, capture.KeepHeaders, whole.frames)
		if got := packetsIn(t, path, device); !slices.Equal(got, whole.packets) {
			t.Errorf("got %v\nlive %v", got, whole.packets)
		}
	})
	t.Run("burst rule", func(t *testing.T) {
		rule, clock := rules.DefaultBurstRule(), bench.NewClock()
		recorder, err := live.Open(t.Context(), live.Setup{
			Options: live.Options{Interface: monitor, Device: device.mac},
			Window:  rule.Watch(),
			Rest:    rule,
			Pair:    clock.Pair,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer recorder.Close()
		// A stream to the device is an answer, one from it an upload.
		for _, play := range []struct {
			from, to *station
			want     bench.State
		}{{router, device, bench.Quiet}, {device, router, bench.Reacted}} {
			sound := bench.Span{Start: clock.Now(), End: clock.Now() + bench.Instant(100*time.Millisecond)}
			watched := bench.Span{Start: sound.Start, End: sound.End + bench.Instant(rule.Watch())}
			for clock.Now() < watched.End {
				play.from.send(t, play.to, least)
				play.to.receive(t, least)
				time.Sleep(20 * time.Millisecond)
			}
			o, err := recorder.Observe(t.Context(), watched)
			if err != nil {
				t.Fatal(err)
			}
			if got := rule.Judge(sound, o); got.State != play.want {
				t.Errorf("while %s streams to %s: %+v, want %v", play.from.radio, play.to.radio, got, play.want)
			}
		}
	})
	t.Run("retries", func(t *testing.T) {
		// These radios lose nothing, so that none tries twice: it is done for them.
		talk.say(t, device, router)
		whole.until(t, talk.size)
		heard := len(whole.packets)
		frame := whole.frames[heard-1]
		inject(t, retry(frame, 0))
		inject(t, retry(frame, 1000)) // of a first try that was missed
		whole.until(t, talk.size)
		if got, want := facts(whole.packets[heard:]), facts(whole.packets[heard-1:heard]); !slices.Equal(got, want) {
			t.Errorf("got %v, want only the retry of what was missed: %v", got, want)
		}
		if whole.stats.Retries != 1 {
			t.Errorf("%+v, want 1 retry", whole.stats)
		}
	})
}

// conversation is what stations say to one another, datagrams that have a size
// each, and what a capture should have of it.
type conversation struct {
	size int // of the last one
	said map[*station][]fact
}

func (c *conversation) send(t *testing.T, from, to *station) {
	t.Helper()
	c.size++
	from.send(t, to, c.size)
	f := fact{capture.Outgoing, to.mac, before + within + c.size, within + c.size}
	c.said[from] = append(c.said[from], f)
	f.direction, f.peer = capture.Incoming, from.mac
	c.said[to] = append(c.said[to], f)
}

// say sends, and waits until it has arrived.
func (c *conversation) say(t *testing.T, from, to *station) {
	t.Helper()
	c.send(t, from, to)
	to.receive(t, c.size)
}

// overheard is a capture of a device.
type overheard struct {
	live    *capture.Live
	packets []capture.Packet
	frames  []capture.Frame
	stats   capture.Stats
}

func overhear(t *testing.T, s *station, keep capture.Keep) *overheard {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // should a datagram be missing
	t.Cleanup(cancel)
	return &overheard{live: listen(ctx, t, monitor, capturetest.Address(s.mac), keep)}
}

// until reads on, up to a datagram of the size.
func (o *overheard) until(t *testing.T, size int) {
	t.Helper()
	for {
		p, err := o.live.Next()
		if err != nil {
			t.Fatalf("a datagram of %d bytes is missing; after %d packets: %v", size, len(o.packets), err)
		}
		f := o.live.Frame()
		f.Data = slices.Clone(f.Data)
		o.packets, o.frames, o.stats = append(o.packets, p), append(o.frames, f), o.live.Stats()
		if int(p.Payload) == within+size {
			return
		}
	}
}

// onAir are all frames that the monitor hears, by a socket beside the captures.
type onAir struct {
	socket int
	frames []capture.Frame
}

func witness(t *testing.T) *onAir {
	t.Helper()
	ifi, err := net.InterfaceByName(monitor)
	if err != nil {
		t.Fatal(err)
	}
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in network order
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(socket) })
	// The frames wait in the kernel until they are read.
	if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(socket, &unix.SockaddrLinklayer{Ifindex: ifi.Index, Protocol: all}); err != nil {
		t.Fatal(err)
	}
	return &onAir{socket: socket}
}

// until reads up to a certain frame.
func (a *onAir) until(t *testing.T, what string, is func(*layers.Dot11) bool) {
	t.Helper()
	b := make([]byte, 4096)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); { // beacons keep it from waiting for ever
		n, err := unix.Read(a.socket, b)
		if err != nil {
			t.Fatal(err)
		}
		f := capture.Frame{Link: capture.LinkRadiotap, Time: time.Now(), Data: slices.Clone(b[:n]), Length: n}
		a.frames = append(a.frames, f)
		if wifi := dot11(f); wifi != nil && is(wifi) {
			return
		}
	}
	t.Fatalf("no %s on the air", what)
}

// of tells a station's data frames from all others, of which it says how many
// there were.
func (a *onAir) of(s *station) (data []fact, others map[string]int) {
	others = map[string]int{}
	for _, f := range a.frames {
		wifi := dot11(f)
		if wifi == nil {
			continue
		}
		got := fact{size: length(wifi), peer: wifi.Address3.String()}
		switch s.mac {
		case wifi.Address2.String():
			got.direction = capture.Outgoing
		case wifi.Address1.String():
			got.direction = capture.Incoming
		default:
			continue
		}
		if k := kind(wifi); k != "data" {
			others[k]++
			continue
		}
		data = append(data, got)
	}
	return data, others
}

// dot11 is how another decoder, gopacket's, reads a frame.
func dot11(f capture.Frame) *layers.Dot11 {
	p := gopacket.NewPacket(f.Data, layers.LayerTypeRadioTap, gopacket.NoCopy)
	wifi, _ := p.Layer(layers.LayerTypeDot11).(*layers.Dot11)
	return wifi
}

func length(wifi *layers.Dot11) int { return len(wifi.Contents) + len(wifi.Payload) }

func kind(wifi *layers.Dot11) string {
	switch {
	case wifi.Type.MainType() == layers.Dot11TypeMgmt:
		return "management"
	case wifi.Type.MainType() == layers.Dot11TypeCtrl:
		return "control"
	case wifi.Type == layers.Dot11TypeData, wifi.Type == layers.Dot11TypeDataQOSData:
		return "data"
	default:
		return "no data"
	}
}

func fileOf(t *testing.T, keep capture.Keep, frames []capture.Frame) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "air.pcapng")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w, err := capture.NewWriter(file, capture.LinkRadiotap, keep, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := w.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return path
}

func packetsIn(t *testing.T, path string, s *station) []capture.Packet {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	packets, _, err := read(t, file, capturetest.Address(s.mac))
	if err != nil {
		t.Fatal(err)
	}
	return packets
}

// retry is a frame as its sender would send it again, with a number that is
// later than its own.
func retry(f capture.Frame, later uint16) []byte {
	b := slices.Clone(f.Data[binary.LittleEndian.Uint16(f.Data[2:]):])
	b[1] |= 0x08
	number := binary.LittleEndian.Uint16(b[22:])
	binary.LittleEndian.PutUint16(b[22:], number+later<<4)
	return b
}

// inject sends a frame just as it is.
func inject(t *testing.T, frame []byte) {
	t.Helper()
	ifi, err := net.InterfaceByName(injector)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	// Radiotap with nothing but flags for sending: expect no acknowledgement,
	// and keep the frame's number.
	radiotap := []byte{0, 0, 10, 0, 0, 0x80, 0, 0, 0x18, 0}
	if err := unix.Sendto(socket, append(radiotap, frame...), 0, &unix.SockaddrLinklayer{Ifindex: ifi.Index}); err != nil {
		t.Fatal(err)
	}
}

// tune makes a radio listen to the access point's channel.
func tune(t *testing.T, radio string) {
	t.Helper()
	run(t, "", "iw", "dev", radio, "set", "type", "monitor")
	run(t, "", "ip", "link", "set", radio, "up")
	run(t, "", "iw", "dev", radio, "set", "freq", frequency)
}

// station is a member of the Wi-Fi.
type station struct {
	namespace, radio, mac string
	at                    netip.AddrPort
	socket                *net.UDPConn
}

// newStation puts a radio into a network namespace of its own, unless that is
// "", so that what it sends has to pass the air.
func newStation(t *testing.T, namespace, radio, address string) *station {
	t.Helper()
	s := &station{namespace: namespace, radio: radio, at: netip.AddrPortFrom(netip.MustParseAddr(address), 4000)}
	ifi, err := net.InterfaceByName(radio)
	if err != nil {
		t.Fatal(err)
	}
	s.mac = ifi.HardwareAddr.String()
	if namespace != "" {
		phy, err := os.ReadFile(filepath.Join("/sys/class/net", radio, "phy80211", "name"))
		if err != nil {
			t.Fatal(err)
		}
		run(t, "", "ip", "netns", "add", namespace)
		run(t, "", "iw", "phy", strings.TrimSpace(string(phy)), "set", "netns", "name", namespace)
	}
	return s
}

func (s *station) join(t *testing.T) {
	t.Helper()
	settings, err := os.ReadFile("/etc/hostapd.conf")
	if err != nil {
		t.Fatal(err)
	}
	value := func(key string) string {
		for line := range strings.Lines(string(settings)) {
			if value, ok := strings.CutPrefix(line, key+"="); ok {
				return strings.TrimSpace(value)
			}
		}
		t.Fatalf("no %s in hostapd.conf", key)
		return ""
	}
	path := filepath.Join(t.TempDir(), "wpa_supplicant.conf")
	network := fmt.Sprintf("network={\nssid=%q\npsk=%q\nscan_freq=%s\n}\n", value("ssid"), value("wpa_passphrase"), frequency)
	if err := os.WriteFile(path, []byte(network), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, s.namespace, "CTRL-EVENT-CONNECTED", "wpa_supplicant", "-D", "nl80211", "-i", s.radio, "-c", path, "-f", "/proc/self/fd/1")
	s.open(t)
}

// open gives the station its address, and a socket.
func (s *station) open(t *testing.T) {
	t.Helper()
	run(t, s.namespace, "ip", "address", "add", s.at.Addr().String()+"/24", "broadcast", "+", "dev", s.radio)
	err := inside(s.namespace, func() (err error) {
		s.socket, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(s.at))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.socket.Close() })
}

func (s *station) send(t *testing.T, to *station, size int) {
	t.Helper()
	if _, err := s.socket.WriteToUDPAddrPort(make([]byte, size), to.at); err != nil {
		t.Fatal(err)
	}
}

// receive waits for the next datagram, which must be of the size.
func (s *station) receive(t *testing.T, size int) {
	t.Helper()
	if err := s.socket.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := s.socket.Read(make([]byte, 2000))
	if err != nil || n != size {
		t.Fatalf("on %s a datagram of %d bytes arrived, want %d: %v", s.radio, n, size, err)
	}
}

// inside calls a function on a thread that is in a network namespace, unless
// that is "". What it opens and starts stays there.
func inside(namespace string, f func() error) error {
	if namespace == "" {
		return f()
	}
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		result <- func() error {
			file, err := os.Open(filepath.Join("/run/netns", namespace))
			if err != nil {
				return err
			}
			defer file.Close()
			if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			return f()
		}()
	}()
	return <-result
}

// run runs a command in a network namespace.
func run(t *testing.T, namespace string, command ...string) {
	t.Helper()
	var out []byte
	err := inside(namespace, func() (err error) {
		out, err = exec.Command(command[0], command[1:]...).CombinedOutput()
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, out)
	}
}

// start starts a daemon in a network namespace, and waits until it says that it
// is ready.
func start(t *testing.T, namespace, ready string, command ...string) {
	t.Helper()
	daemon := exec.Command(command[0], command[1:]...)
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := inside(namespace, daemon.Start); err != nil {
		t.Fatal(err)
	}
	said := make(chan string)
	go func() {
		defer close(said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = daemon.Process.Kill()
		for range said {
		}
		_ = daemon.Wait() // it was killed
	})
	var all strings.Builder
	for patience := time.After(time.Minute); ; {
		select {
		case line, ok := <-said:
			if ok && !strings.Contains(line, ready) {
				fmt.Fprintln(&all, line)
				continue
			}
			if ok {
				go func() {
					for range said { // it may go on talking
					}
				}()
				return
			}
			t.Fatalf("%s ended without being ready:\n%s", command[0], all.String())
		case <-patience:
			t.Fatalf("%s is not ready:\n%s", command[0], all.String())
		}
	}
}
