// Package bed is a test bed: a virtual smart speaker or several, their cloud and
// the gateway between them, each in a network of its own, with a loudspeaker
// that all of them hear and a light sensor that sees the first one's ring.
//
//	test -- PulseAudio sink "wake" --> speaker -- ring --> light sensor (serial port)
//	                                      |
//	                     eth0, by DHCP    | DeviceMAC; further devices: MAC(1), MAC(2), ...
//	                     wlan0, a bridge  | 10.77.0.1
//	                                   gateway: DHCP, DNS, forwarding; the place to capture
//	                     wan0             | 198.51.100.1
//	                     eth0             | 198.51.100.2
//	                                    cloud
//
// What is tested runs on the gateway, by [Bed.Command] or [Bed.OnGateway],
// plays to the sink [Sink], watches the light on the port [Bed.Light] and
// captures the packets of [DeviceMAC], or of every device, on [Interface]. Faults
// are provoked with commands to [Bed.Speaker] and [Bed.Cloud]; package
// virtualspeaker lists them.
//
// Nothing can get out of the bed: its networks are connected to each other and
// to nothing else, and the machine's own network isn't touched. They have no
// names and its programs end with the process that started the bed, so that
// nothing stays of it, however that process ends, but temporary files.
// Any number of beds stand side by side.
//
// It takes root, and the programs of iproute2, util-linux, dnsmasq-base,
// busybox, pulseaudio and pulseaudio-utils.
package bed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"wakefuzz/internal/pulse"
	"wakefuzz/internal/virtualspeaker"
)

// What is the same in every bed.
const (
	// Sink is the loudspeaker's name in PulseAudio.
	Sink = "wake"
	// Interface is the gateway's, towards the devices.
	Interface = "wlan0"
	// DeviceMAC is the first device's hardware address.
	DeviceMAC = "02:57:46:00:00:01"
)

// MAC is a device's hardware address; MAC(0) is DeviceMAC.
func MAC(device int) string { return fmt.Sprintf("02:57:46:00:00:%02x", device+1) }

// Options are what tests may want otherwise. Zero values stand for those of
// [virtualspeaker.DefaultOptions].
type Options struct {
	// Silence is how long it is quiet at the end of a stream.
	Silence time.Duration
	// Haste is how many times more often the speaker sends background traffic.
	Haste float64
	// Boot is how long a reboot takes.
	Boot time.Duration
	// Devices are those of the bed. None stand for one, the zero Device.
	Devices []Device
}

// Device is what tests may want otherwise of a single device.
type Device struct {
	// Model is the wake word's, or what the device hears instead of one.
	Model string
	// Background is what it sends when idle.
	Background virtualspeaker.Background
}

// The times that things may take.
const (
	readiness = 30 * time.Second // of a device, on a busy machine
	ending    = 5 * time.Second  // of a program that was told to end
)

// Bed is a test bed whose devices are ready to be spoken to.
type Bed struct {
	// Pulse is the sound server, and Loudspeaker the sink in it.
	Pulse       *pulse.Server
	Loudspeaker *pulse.Sink
	// Light is the serial port of the light sensor.
	Light string
	// Speakers, of which Speaker is the first, and Cloud take commands.
	Speakers []virtualspeaker.Control[virtualspeaker.Status]
	Speaker  virtualspeaker.Control[virtualspeaker.Status]
	Cloud    virtualspeaker.Control[virtualspeaker.CloudStatus]

	gateway *namespace
	undo    []func() // what Close does, last first
}

// New makes a bed for a test, which fails where there can't be one. It ends
// with the test.
func New(tb testing.TB, o Options) *Bed {
	tb.Helper()
	file, err := build()
	if err != nil {
		tb.Fatal(err)
	}
	b, err := Start(tb.Context(), fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd()), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	return b
}

// build builds the command virtualspeaker, once for all beds of this process.
// It is a file without a name, which goes with the process.
var build = sync.OnceValues(func() (*os.File, error) {
	folder, err := os.MkdirTemp("", "virtualspeaker-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	program := filepath.Join(folder, "virtualspeaker")
	out, err := exec.Command("go", "build", "-o", program, "wakefuzz/internal/virtualspeaker/cmd/virtualspeaker").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("building the virtual speaker: %w: %s", err, out)
	}
	return os.Open(program)
})

// Start makes a bed of that program, which is the command virtualspeaker. The
// bed must be closed.
func Start(ctx context.Context, program string, o Options) (*Bed, error) {
	b := new(Bed)
	if err := b.start(ctx, program, o); err != nil {
		b.Close()
		return nil, fmt.Errorf("test bed: %w", err)
	}
	return b, nil
}

func (b *Bed) start(ctx context.Context, executable string, o Options) error {
	for name, from := range map[string]string{
		"ip": "iproute2", "nsenter": "util-linux", "dnsmasq": "dnsmasq-base", "busybox": "busybox",
	} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w; install it with: apt-get install %s", err, from)
		}
	}
	folder, err := os.MkdirTemp("", "virtualspeaker-")
	if err != nil {
		return err
	}
	b.later(func() { os.RemoveAll(folder) })
	file := func(name string) string { return filepath.Join(folder, name) }

	if len(o.Devices) == 0 {
		o.Devices = make([]Device, 1)
	}
	homes, cloud, err := b.connect(ctx, len(o.Devices))
	if err != nil {
		return err
	}
	if b.Pulse, err = pulse.Start(); err != nil {
		return err
	}
	b.later(func() { _ = b.Pulse.Close() })
	if b.Loudspeaker, err = b.Pulse.AddSink(Sink, pulse.Telephone); err != nil {
		return err
	}
	light, err := newSensor()
	if err != nil {
		return err
	}
	b.later(light.close)
	b.Light = light.path()

	// Not as a daemon, since one changes its user, and the kernel then no longer
	// ends it with its parent.
	dnsmasq, err := b.run(b.gateway.command(ctx, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--interface="+Interface,
		"--except-interface=lo", "--bind-interfaces", "--no-hosts", "--no-resolv",
		"--address=/cloud.test/"+cloudAddress, "--no-ping", "--dhcp-authoritative",
		"--dhcp-range=10.77.0.50,10.77.0.99,1h", "--dhcp-leasefile="+file("leases")), nil)
	if err != nil {
		return err
	}
	b.Cloud.Socket = file("cloud.sock")
	clouds, err := b.run(cloud.command(ctx, executable, "cloud",
		"-control", b.Cloud.Socket, "-certificate", file("cloud.pem")), nil)
	if err != nil {
		return err
	}
	if err := await(ctx, clouds, func() bool { _, err := b.Cloud.Tell("status"); return err == nil }); err != nil {
		return fmt.Errorf("the cloud: %w", err)
	}
	devices := make([]*program, len(o.Devices))
	for i, d := range o.Devices {
		folder := file(fmt.Sprintf("device%d", i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
		control := virtualspeaker.Control[virtualspeaker.Status]{Socket: filepath.Join(folder, "speaker.sock")}
		b.Speakers = append(b.Speakers, control)
		cmd := homes[i].command(ctx, executable, append([]string{"speaker", "-control", control.Socket,
			"-certificate", file("cloud.pem"), "-folder", folder, "-interface", deviceInterface,
			"-source", Sink + ".monitor"}, o.flags(d)...)...)
		cmd.Env = append(os.Environ(), b.Pulse.Env()...)
		var ring func(lit bool)
		if i == 0 {
			ring = light.show
		}
		if devices[i], err = b.run(cmd, ring); err != nil {
			return err
		}
	}
	b.Speaker = b.Speakers[0]
	for i, control := range b.Speakers {
		if err := await(ctx, devices[i], func() bool { return ready(control) }); err != nil {
			return fmt.Errorf("device %d: %w\n%s", i, err, dnsmasq.said())
		}
	}
	return nil
}

// flags are how the command virtualspeaker is told of a device.
func (o Options) flags(d Device) (args []string) {
	add := func(name string, value any) { args = append(args, "-"+name, fmt.Sprint(value)) }
	if o.Silence > 0 {
		add("silence", o.Silence)
	}
	if o.Haste > 0 {
		add("haste", o.Haste)
	}
	if o.Boot > 0 {
		add("boot", o.Boot)
	}
	if d.Model != "" {
		add("model", d.Model)
	}
	if len(d.Background) > 0 {
		add("background", d.Background)
	}
	return args
}

// The addresses and names that only the bed needs to know. The cloud's address
// is none of a home's, by which a capture of every device tells it from those:
// it is one of those reserved for documentation (RFC 5737).
const (
	deviceInterface = "eth0"
	cloudAddress    = "198.51.100.2"
)

// connect makes the networks and what connects them.
func (b *Bed) connect(ctx context.Context, devices int) (homes []*namespace, cloud *namespace, err error) {
	homes = make([]*namespace, devices)
	all := []**namespace{&b.gateway, &cloud}
	for i := range homes {
		all = append(all, &homes[i])
	}
	for _, n := range all {
		if *n, err = newNamespace(ctx); err != nil {
			return nil, nil, err
		}
		b.later((*n).close)
	}
	type step struct {
		in      *namespace
		command string
	}
	// One segment at a time: packets then have the sizes that they have on a
	// wire, and captures show each.
	steps := []step{
		{b.gateway, "ip link add " + Interface + " gso_max_segs 1 type bridge forward_delay 0 mcast_snooping 0"},
		{b.gateway, "ip link add wan0 gso_max_segs 1 type veth peer name eth0 gso_max_segs 1 netns " + cloud.path()},
		{b.gateway, "ip address add 10.77.0.1/24 dev " + Interface},
		{b.gateway, "ip address add 198.51.100.1/24 dev wan0"},
		{b.gateway, "ip link set " + Interface + " up"},
		{b.gateway, "ip link set wan0 up"},
		{b.gateway, "echo 1 >/proc/sys/net/ipv4/ip_forward"},
		{cloud, "ip address add " + cloudAddress + "/24 dev eth0"},
		{cloud, "ip link set eth0 up"},
		{cloud, "ip route add default via 198.51.100.1"},
	}
	for i, home := range homes {
		port := fmt.Sprintf("port%d", i)
		steps = append(steps,
			step{b.gateway, "ip link add " + port + " gso_max_segs 1 type veth peer name " + deviceInterface +
				" address " + MAC(i) + " gso_max_segs 1 netns " + home.path()},
			step{b.gateway, "ip link set " + port + " master " + Interface + " up"})
	}
	for _, s := range steps {
		if err := s.in.run(ctx, "sh", "-c", s.command); err != nil {
			return nil, nil, err
		}
	}
	return homes, cloud, nil
}

// ready says whether a device hears and has greeted its cloud.
func ready(device virtualspeaker.Control[virtualspeaker.Status]) bool {
	s, err := device.Tell("status")
	return err == nil && s.Hears && s.Online && s.Address != ""
}

// await waits until something is ready, as long as the program runs.
func await(ctx context.Context, p *program, ready func() bool) error {
	for deadline := time.Now().Add(readiness); !ready(); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return fmt.Errorf("it ended at once: %s", p.said())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready after %v: %s", readiness, p.said())
		}
	}
	return nil
}

// Command is a program that runs on the gateway and plays to the bed's sound
// server.
func (b *Bed) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := b.gateway.command(ctx, name, args...)
	cmd.Env = append(os.Environ(), b.Pulse.Env()...)
	return cmd
}

// OnGateway calls f on a thread that is on the gateway: sockets that f opens
// are there. Goroutines that it starts are not.
func (b *Bed) OnGateway(f func() error) error { return b.gateway.within(f) }

// later has Close do something.
func (b *Bed) later(f func()) { b.undo = append(b.undo, f) }

// Close ends everything, within a bounded time.
func (b *Bed) Close() {
	for _, f := range slices.Backward(b.undo) {
		f()
	}
	b.undo = nil
}
