// Package rpio watches a light through a pin of a Raspberry Pi 1 to 4 by
// reading the chip's registers, as the paper's bench did it: with go-rpio, a
// thousand times a second.
//
// Package gpiocdev does the same with less work and truer instants, and works
// on a Pi 5 too. This one is for systems without the GPIO character device,
// such as those with kernels older than Linux 5.10.
//
// # Time
//
// An instant is when a reading first differed, so it is late by a reading's
// period at most, where the machine is not busy. Two readings that lie further
// apart than Options.Gap end the watch: a flash might have been missed. The
// thread that reads asks for real-time priority, and goes on without it where
// it has no right to it (CAP_SYS_NICE).
//
// # Limits
//
//   - go-rpio maps the registers once for the whole process. So a process
//     can watch one pin at a time by this package.
//   - It finds out which chip it runs on when the program starts, from /proc.
//   - The registers are those of /dev/gpiomem, for which the group gpio is
//     enough, or for root /dev/mem, which many kernels refuse. Nothing is
//     mapped on anything but a Raspberry Pi 1 to 4: what lies at those
//     addresses elsewhere must not be written to.
package rpio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/stianeikeland/go-rpio/v4"
	"golang.org/x/sys/unix"

	"wakefuzz/bench"
	"wakefuzz/oracle/light"
)

// Options say which pin the light is on, and how it is read.
type Options struct {
	// Pin is the GPIO's number, as the chip counts, from 0 to 27. It becomes an
	// input; which way it is pulled stays as it is.
	Pin int `yaml:"pin"`
	// Period is the time between two readings, at most 1 ms.
	Period time.Duration `yaml:"period"`
	// Gap is how far apart two readings may lie at most.
	Gap time.Duration `yaml:"gap"`
}

// DefaultOptions are GPIO 17, which is pin 11 of the header, read at 1 kHz. A
// gap as long as the shortest light that counts by the default rule could hide
// it.
func DefaultOptions() Options {
	return Options{Pin: 17, Period: time.Millisecond, Gap: 50 * time.Millisecond}
}

// Validate says which option can't be used, and why.
func (o Options) Validate() error {
	switch {
	case o.Pin < 0 || o.Pin > 27:
		return fmt.Errorf("pin: %d is none of GPIO 0 to 27, which the header has", o.Pin)
	case o.Period < 100*time.Microsecond || o.Period > time.Millisecond:
		return fmt.Errorf("period: %v is not between 100µs and 1ms", o.Period)
	case o.Gap < 10*o.Period || o.Gap > 10*time.Second:
		return fmt.Errorf("gap: %v is not between ten periods and 10s", o.Gap)
	}
	return nil
}

const (
	// beat is how often it is said that nothing changed.
	beat = 20 * time.Millisecond
	// delay leaves a loaded machine time to report what was read.
	delay = 500 * time.Millisecond
)

// Sensor is a pin. It implements [light.Sensor].
type Sensor struct {
	clock   bench.Clock
	options Options
}

var _ light.Sensor = (*Sensor)(nil)

// New returns the sensor. The registers are mapped by Watch.
func New(clock bench.Clock, options Options) (*Sensor, error) {
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("rpio: %w", err)
	}
	return &Sensor{clock: clock, options: options}, nil
}

// Timing says that instants are those of readings, and how far those may lie
// apart.
func (s *Sensor) Timing() light.Timing {
	return light.Timing{
		Source: fmt.Sprintf("readings every %v", s.options.Period),
		Error:  s.options.Gap,
		Lag:    s.options.Gap + delay,
	}
}

// Watch reports the pin's changes.
func (s *Sensor) Watch(ctx context.Context, report func(light.Level)) error {
	err := s.watch(ctx, report)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("rpio: GPIO %d: %w", s.options.Pin, err)
}

// registers are go-rpio's, of which a process has one mapping.
var registers sync.Mutex

func (s *Sensor) watch(ctx context.Context, report func(light.Level)) error {
	if !registers.TryLock() {
		return errors.New("this process is watching a pin already")
	}
	defer registers.Unlock()
	board, _ := os.ReadFile("/proc/device-tree/compatible") // no such file, no such board
	if err := supported(board); err != nil {
		return err
	}
	if err := rpio.Open(); err != nil {
		return explain(err)
	}
	defer rpio.Close()
	pin := rpio.Pin(s.options.Pin)
	pin.Input()

	ended := make(chan error, 1)
	go func() {
		// The thread ends with the goroutine, and its priority with it.
		runtime.LockOSThread()
		prioritize()
		ended <- s.poll(ctx, func() bool { return pin.Read() == rpio.High }, report)
	}()
	return <-ended
}

// supported refuses boards whose registers go-rpio does not know. The board
// says what it is compatible with in strings that each end with a zero.
func supported(board []byte) error {
	for name := range bytes.SplitSeq(board, []byte{0}) {
		switch string(name) {
		case "brcm,bcm2835", "brcm,bcm2836", "brcm,bcm2837", "brcm,bcm2711":
			return nil
		case "brcm,bcm2712":
			return errors.New("go-rpio does not know the Raspberry Pi 5; use the gpiocdev sensor")
		}
	}
	return errors.New("this is no Raspberry Pi 1 to 4; use the gpiocdev sensor on other boards, or the serial one")
}

// explain says what to do about registers that could not be mapped.
func explain(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		if os.Geteuid() == 0 {
			return fmt.Errorf("the kernel keeps root from the registers: %w; run as a user of the group gpio, or boot with iomem=relaxed", err)
		}
		return fmt.Errorf("%w; add the user to the group gpio: sudo usermod -aG gpio $USER, and log in again", err)
	}
	return err
}

// prioritize asks that this thread be run as soon as it is due. It does little
// and often; being late is what hurts it.
func prioritize() {
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 1}, 0) // without the right: as anybody
}

// poll reads the pin every period, and reports what is new.
func (s *Sensor) poll(ctx context.Context, read func() bool, report func(light.Level)) error {
	now := monotonic()
	last := light.Level{At: s.clock.Monotonic(now), High: read()}
	report(last)
	for deadline := now; ctx.Err() == nil; {
		// Deadlines rather than pauses: what a reading takes does not add up.
		deadline = max(deadline+s.options.Period.Nanoseconds(), now)
		sleepUntil(deadline)
		high, before := read(), now
		now = monotonic()
		if gap := time.Duration(now - before); gap > s.options.Gap {
			return fmt.Errorf("not read for %v: the machine is too busy", gap)
		}
		at := s.clock.Monotonic(now)
		if high != last.High || at.Sub(last.At) >= beat {
			last = light.Level{At: at, High: high}
			report(last)
		}
	}
	return ctx.Err()
}

// sleepUntil sleeps until the monotonic clock shows that many nanoseconds.
//
// The runtime's own timers wake up at whole milliseconds at best. A sleeping
// system call that the runtime knows of sends its monitor looking for work
// every 20 µs, which costs as much as the readings themselves: 11 to 16 % of a
// processor on a small PC, against 5 to 7 %. So it is not told, where there
// are other processors that Go can run on meanwhile.
func sleepUntil(deadline int64) {
	at := unix.NsecToTimespec(deadline)
	if runtime.GOMAXPROCS(0) == 1 {
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil) == unix.EINTR {
		}
		return
	}
	for errno := unix.EINTR; errno == unix.EINTR; {
		_, _, errno = unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP,
			unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&at)), 0, 0, 0)
	}
}

func monotonic() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // bench.NewClock has used it
	return now.Nano()
}
