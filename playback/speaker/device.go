package speaker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/gen2brain/malgo"

	"wakefuzz/bench"
	"wakefuzz/tts"
)

// Device is a loudspeaker, or what the system takes for one.
type Device struct {
	// Index counts the devices of all backends. It changes when devices come
	// and go.
	Index int
	// Backend is the sound system that offers it: "pulseaudio" or "alsa".
	Backend string
	// ID is what the backend calls it, such as
	// "alsa_output.usb-Speaker-00.analog-stereo". It stays the same.
	ID string
	// Name is its description for people.
	Name string
	// Default tells the device that its backend would choose.
	Default bool
}

// backend is the sound system of that name.
func (d Device) backend() backend {
	return backends[slices.IndexFunc(backends, func(b backend) bool { return b.name == d.Backend })]
}

// String is the device as it is listed.
func (d Device) String() string {
	return fmt.Sprintf("%d: %s (%s, %s)", d.Index, d.Name, d.ID, d.Backend)
}

// backend is a sound system.
type backend struct {
	name   string
	id     malgo.Backend
	server bool // between the program and the devices
	// period is what a device has to be asked for so that its latency is the
	// target. A sound server takes it for the latency in all. ALSA has three
	// periods in its buffer, and miniaudio one more that waits for room there.
	period time.Duration
}

// backends are the sound systems in the order in which they are tried.
var backends = []backend{
	{"pulseaudio", malgo.BackendPulseaudio, true, target},
	{"alsa", malgo.BackendAlsa, false, target / (periods + 1)},
}

const periods = 3

// discards is ALSA's device that swallows sound. It is not offered: a night of
// silence is no measurement.
const discards = "null"

// Devices lists the loudspeakers of this machine.
func Devices(ctx context.Context) ([]Device, error) {
	type listing struct {
		devices []Device
		err     error
	}
	listed := make(chan listing, 1)
	go func() { // a sound server that hangs would hold us up as well
		devices, err := list()
		listed <- listing{devices, err}
	}()
	select {
	case l := <-listed:
		return l.devices, l.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func list() ([]Device, error) {
	var devices []Device
	var failures []error
	for _, b := range backends {
		found, err := b.list()
		if err != nil {
			failures = append(failures, err)
		}
		for _, d := range found {
			d.Index = len(devices)
			devices = append(devices, d)
		}
	}
	if len(devices) == 0 {
		return nil, fmt.Errorf("speaker: no loudspeaker found: connect one, or start the sound server; %w", errors.Join(failures...))
	}
	return devices, nil
}

// connect connects to the sound system.
func (b backend) connect() (*malgo.AllocatedContext, error) {
	// Where real time is not permitted, it is an ordinary thread.
	config := malgo.ContextConfig{ThreadPriority: malgo.ThreadPriorityRealtime}
	c, err := malgo.InitContext([]malgo.Backend{b.id}, config, nil)
	if err != nil {
		return nil, fmt.Errorf("%s does not answer: %w", b.name, err)
	}
	return c, nil
}

func disconnect(c *malgo.AllocatedContext) {
	_ = c.Uninit() // its only error is that it was not connected
	c.Free()
}

func (b backend) list() ([]Device, error) {
	c, err := b.connect()
	if err != nil {
		return nil, err
	}
	defer disconnect(c)
	infos, err := c.Devices(malgo.Playback)
	if err != nil {
		return nil, fmt.Errorf("%s does not list its devices: %w", b.name, err)
	}
	var devices []Device
	for _, info := range infos {
		if d := (Device{Backend: b.name, ID: idOf(info), Name: info.Name(), Default: info.IsDefault != 0}); d.ID != discards {
			devices = append(devices, d)
		}
	}
	return devices, nil
}

// idOf is a device's ID as text, which it is on both backends.
func idOf(info malgo.DeviceInfo) string {
	id, _, _ := bytes.Cut(info.ID[:], []byte{0})
	return string(id)
}

// choose finds the device that the options name: by ID or name, by index, or by
// a part of ID or name, whichever of these fits first. Sound systems offer each
// other's devices too, so the first system that has one is the one to use.
func choose(devices []Device, o Options) (Device, error) {
	offered := filter(devices, func(d Device) bool { return o.Backend == "" || o.Backend == d.Backend })
	if len(offered) == 0 {
		return Device{}, fmt.Errorf("backend: %s has no loudspeaker; these are there: %s", o.Backend, names(devices))
	}
	if o.Device == "" {
		return offered[max(0, slices.IndexFunc(offered, func(d Device) bool { return d.Default }))], nil
	}
	for _, fits := range []func(Device) bool{
		func(d Device) bool { return d.ID == o.Device || d.Name == o.Device },
		func(d Device) bool { return strconv.Itoa(d.Index) == o.Device },
		func(d Device) bool { return contains(d.ID, o.Device) || contains(d.Name, o.Device) },
	} {
		found := filter(offered, fits)
		found = filter(found, func(d Device) bool { return d.Backend == found[0].Backend })
		if len(found) > 1 {
			return Device{}, fmt.Errorf("device: %q could be any of: %s; write more of the name, or its ID", o.Device, names(found))
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	return Device{}, fmt.Errorf("device: no loudspeaker is called %q; these are there: %s", o.Device, names(offered))
}

func filter(devices []Device, keep func(Device) bool) []Device {
	return slices.DeleteFunc(slices.Clone(devices), func(d Device) bool { return !keep(d) })
}

func contains(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

func names(devices []Device) string {
	list := make([]string, len(devices))
	for i, d := range devices {
		list[i] = d.String()
	}
	return strings.Join(list, "; ")
}

// openStream opens the very device that was chosen, not another one that took
// its place, and starts to feed it silence.
func openStream(d Device, clock bench.Clock) (*stream, error) {
	b := d.backend()
	c, err := b.connect()
	if err != nil {
		return nil, err
	}
	s := &stream{clock: clock, context: c}
	if s.device, err = b.open(c, d, s.fill); err != nil {
		disconnect(c)
		return nil, err
	}
	if err := s.device.Start(); err != nil {
		s.close()
		return nil, fmt.Errorf("%s does not start: %w", d.Name, err)
	}
	return s, nil
}

func (b backend) open(c *malgo.AllocatedContext, d Device, fill func(out []byte)) (*malgo.Device, error) {
	infos, err := c.Devices(malgo.Playback)
	if err != nil {
		return nil, fmt.Errorf("%s does not list its devices: %w", b.name, err)
	}
	for _, info := range infos {
		if idOf(info) != d.ID {
			continue
		}
		config := malgo.DefaultDeviceConfig(malgo.Playback)
		config.SampleRate = tts.SampleRate
		config.Playback.Format = malgo.FormatS16
		config.Playback.Channels = 1
		config.PeriodSizeInMilliseconds = uint32(b.period.Milliseconds())
		config.Periods = periods
		// Requests then come as the device makes them, which tells its pace.
		config.NoFixedSizedCallback = 1
		config.Pulse.StreamNamePlayback = "wakefuzz"
		// Asked for by its ID, the device is never exchanged for another.
		var pinner runtime.Pinner
		defer pinner.Unpin()
		pinner.Pin(&info.ID)
		config.Playback.DeviceID = unsafe.Pointer(&info.ID)
		device, err := malgo.InitDevice(c.Context, config, malgo.DeviceCallbacks{
			Data: func(out, _ []byte, _ uint32) { fill(out) },
		})
		if err != nil {
			return nil, fmt.Errorf("%s does not open: %w", d.Name, err)
		}
		return device, nil
	}
	return nil, fmt.Errorf("%s is gone", d.Name)
}
