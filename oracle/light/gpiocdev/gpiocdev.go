// Package gpiocdev watches a light through a line of a GPIO chip, by the
// kernel's character device: on any Linux board, the Raspberry Pi 5 among
// them. It needs Linux 5.10 and the right to open /dev/gpiochip*, which on
// most systems the group gpio has.
//
// # Time
//
// The kernel stamps each edge in its interrupt, on the monotonic clock, which
// is the bench's. How late the edge is read does not matter. Where the line
// hangs on an expander behind I2C or USB, the stamp is that of the expander's
// interrupt, some milliseconds later.
//
// # What can't be lost unnoticed
//
// The kernel numbers the edges and keeps 1024 for the reader; a gap in the
// numbers ends the watch. An edge that makes no interrupt would leave no gap,
// so the level is read as well, fifty times a second: where it stays other
// than the edges say, the watch ends too.
package gpiocdev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/warthog618/go-gpiocdev"
	"golang.org/x/sys/unix"

	"wakefuzz/bench"
	"wakefuzz/oracle/light"
)

// Options say which line the light is on.
type Options struct {
	// Chip is the GPIO chip, as gpiodetect lists it: "gpiochip0", or its path.
	Chip string `yaml:"chip"`
	// Line is the line's offset on the chip, as gpioinfo lists it. On a
	// Raspberry Pi it is the GPIO's number.
	Line int `yaml:"line"`
}

// DefaultOptions are GPIO 17 of a Raspberry Pi, which is pin 11 of its header.
func DefaultOptions() Options { return Options{Chip: "gpiochip0", Line: 17} }

// Validate says which option can't be used, and why.
func (o Options) Validate() error {
	if name := filepath.Base(o.Chip); !strings.HasPrefix(name, "gpiochip") {
		return fmt.Errorf("chip: %q is no GPIO chip; gpiodetect lists them, such as gpiochip0", o.Chip)
	}
	if o.Line < 0 || o.Line > 1<<16 {
		return fmt.Errorf("line: %d is no line; gpioinfo lists those of a chip", o.Line)
	}
	return nil
}

const (
	// pause is the time between two readings of the level.
	pause = 20 * time.Millisecond
	// inFlight is how long an edge may take from the pin to us. Only when that
	// has passed is it said that there was none: each play waits as long, and a
	// machine that is busy for longer loses it.
	inFlight = 200 * time.Millisecond
	// lag leaves a loaded machine time to get round to it.
	lag = 500 * time.Millisecond
)

// Sensor is a line. It implements [light.Sensor].
type Sensor struct {
	clock   bench.Clock
	options Options
}

var _ light.Sensor = (*Sensor)(nil)

// New returns the sensor. The line is requested by Watch.
func New(clock bench.Clock, options Options) (*Sensor, error) {
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("gpiocdev: %w", err)
	}
	return &Sensor{clock: clock, options: options}, nil
}

// Timing says that instants are the kernel's.
func (*Sensor) Timing() light.Timing {
	return light.Timing{Source: "the kernel's edge timestamps", Error: time.Millisecond, Lag: lag}
}

// Watch reports the line's edges.
func (s *Sensor) Watch(ctx context.Context, report func(light.Level)) error {
	err := s.watch(ctx, report)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("gpiocdev: line %d of %s: %w", s.options.Line, s.options.Chip, err)
}

func (s *Sensor) watch(ctx context.Context, report func(light.Level)) error {
	events := make(chan gpiocdev.LineEvent)
	done := make(chan struct{})
	line, err := gpiocdev.RequestLine(s.options.Chip, s.options.Line,
		gpiocdev.WithConsumer("wakefuzz"),
		gpiocdev.WithABIVersion(2), // numbers the edges, and stamps them by the monotonic clock
		gpiocdev.WithBothEdges,
		gpiocdev.WithEventBufferSize(1024),
		gpiocdev.WithEventHandler(func(e gpiocdev.LineEvent) {
			select {
			case events <- e:
			case <-done:
			}
		}))
	if err != nil {
		return s.options.explain(err)
	}
	defer line.Close() // waits for the handler, which done lets go
	defer close(done)

	began := s.clock.Now()
	high, err := line.Value()
	if err != nil {
		return err
	}
	k := knowledge{high: high == 1, began: began, through: began}
	report(k.level())
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		news := false
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-events:
			news, err = k.edge(s.clock.Monotonic(int64(e.Timestamp)), e.Type == gpiocdev.LineEventRisingEdge, e.LineSeqno)
		case <-tick.C:
			now := s.clock.Now()
			if high, err = line.Value(); err == nil {
				news, err = k.reading(now, high == 1)
			}
		}
		if err != nil {
			return err
		}
		if news {
			report(k.level())
		}
	}
}

// explain says what to do about a line that could not be had.
func (o Options) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; gpiodetect lists the chips there are", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, gpiocdev.ErrPermissionDenied):
		return fmt.Errorf("%w; add the user to the group gpio: sudo usermod -aG gpio $USER, and log in again", err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w: %s is using it; end that, or take another line", err, o.user())
	case errors.Is(err, gpiocdev.ErrInvalidOffset):
		return fmt.Errorf("%w; gpioinfo lists the lines of the chip", err)
	}
	return err
}

// user is who uses the line, by the name that it gave the kernel.
func (o Options) user() string {
	chip, err := gpiocdev.NewChip(o.Chip)
	if err != nil {
		return "somebody"
	}
	defer chip.Close()
	info, err := chip.LineInfo(o.Line)
	if err != nil || info.Consumer == "" {
		return "somebody"
	}
	return fmt.Sprintf("%q", info.Consumer)
}

// knowledge is what is known of a line.
type knowledge struct {
	high    bool
	began   bench.Instant // when the level was read at first
	through bench.Instant // up to when it is known
	edges   uint32        // the number of the last one
	doubted bool          // the last reading was not as the edges say,
	since   bench.Instant // nor any other since then
}

func (k *knowledge) level() light.Level { return light.Level{At: k.through, High: k.high} }

// edge takes in an edge, and tells whether it is news.
func (k *knowledge) edge(at bench.Instant, high bool, number uint32) (news bool, err error) {
	if number != k.edges+1 {
		return false, fmt.Errorf("edge %d came after edge %d: the light changes faster than it can be read, or the machine is too busy", number, k.edges)
	}
	k.edges = number
	k.doubted = false
	switch {
	case at <= k.began: // the first reading knew
		return false, nil
	case at < k.through:
		return false, fmt.Errorf("an edge took longer than %v to get here: the machine is too busy", inFlight)
	}
	k.high, k.through = high, at
	return true, nil
}

// reading takes in that the line read high, or low, just after now.
func (k *knowledge) reading(now bench.Instant, high bool) (news bool, err error) {
	if high != k.high {
		switch {
		case !k.doubted: // the edge may be on its way
			k.doubted, k.since = true, now
		case now.Sub(k.since) > inFlight:
			return false, errors.New("its level changed without an edge; does its chip make interrupts of both edges?")
		}
		return false, nil
	}
	k.doubted = false
	if sure := now.Add(-inFlight); sure > k.through {
		k.through = sure
		return true, nil
	}
	return false, nil
}
