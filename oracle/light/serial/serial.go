// Package serial watches a light through a microcontroller on a serial port,
// for machines without pins of their own.
//
// # Protocol
//
// The microcontroller sends lines of ASCII, each a letter, a space, a digit
// and a line feed, which a carriage return may precede:
//
//	L 1    the pin has become high ("L 0": low); sent at every change
//	H 1    the pin is still high ("H 0": low); sent when nothing was sent for
//	       a tenth of a second
//
// Nothing is sent to it. Whatever it sends before the first such line is
// skipped for 5 s: the port may have been opened in the middle of a line, and
// many a microcontroller begins anew when its port is opened, with greetings
// of its own. After that any other line is an error. So is an H that
// contradicts the line before it: an L was lost. And so is the lack of lines
// for longer than Options.Silence. docs/serial-sensor.ino is such a program
// for an Arduino.
//
// # Time
//
// The lines bear no time of their own: an instant is when the line arrived.
// That is later than the change by the time on the wire, 0.35 ms at 115200
// baud, and by what a USB adapter holds back: 1 ms for most, 16 ms for those
// by FTDI unless their latency timer is set lower.
package serial

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"wakefuzz/bench"
	"wakefuzz/oracle/light"
)

// Options say where the microcontroller is.
type Options struct {
	// Port is the device's file. The names in /dev/serial/by-id stay the same
	// when devices are plugged in another order.
	Port string `yaml:"port"`
	// Baud is the speed of the line, in bits per second. Devices that are USB
	// themselves ignore it.
	Baud int `yaml:"baud"`
	// Silence is how long the line may be silent before it is taken for dead.
	Silence time.Duration `yaml:"silence"`
}

// DefaultOptions are an Arduino's: five of its heartbeats may go missing.
func DefaultOptions() Options {
	return Options{Port: "/dev/ttyACM0", Baud: 115200, Silence: 500 * time.Millisecond}
}

// Validate says which option can't be used, and why.
func (o Options) Validate() error {
	switch {
	case o.Port == "":
		return errors.New("port: missing; name the microcontroller's device, such as /dev/ttyACM0")
	case o.Baud < 1200 || o.Baud > 4_000_000:
		return fmt.Errorf("baud: %d is not between 1200 and 4000000", o.Baud)
	case o.Silence < 100*time.Millisecond || o.Silence > time.Minute:
		return fmt.Errorf("silence: %v is not between 100ms, the time between two heartbeats, and 1m", o.Silence)
	}
	return nil
}

// greeting is how long the first line may be waited for.
const greeting = 5 * time.Second

// Sensor is a microcontroller. It implements [light.Sensor].
type Sensor struct {
	clock   bench.Clock
	options Options
}

var _ light.Sensor = (*Sensor)(nil)

// New returns the sensor. The port is opened by Watch.
func New(clock bench.Clock, options Options) (*Sensor, error) {
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("serial: %w", err)
	}
	return &Sensor{clock: clock, options: options}, nil
}

// Timing says that instants are those of arrival.
func (s *Sensor) Timing() light.Timing {
	return light.Timing{Source: "arrival of lines", Error: 20 * time.Millisecond, Lag: s.options.Silence}
}

// Watch reports what the microcontroller says.
func (s *Sensor) Watch(ctx context.Context, report func(light.Level)) error {
	err := s.watch(ctx, report)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("serial: %s: %w", s.options.Port, err)
}

func (s *Sensor) watch(ctx context.Context, report func(light.Level)) error {
	port, err := open(s.options)
	if err != nil {
		return err
	}
	defer port.Close()
	// Closing a file ends a read that waits.
	defer context.AfterFunc(ctx, func() { port.Close() })()

	if err := port.SetReadDeadline(time.Now().Add(greeting)); err != nil {
		return err
	}
	err = read(port, func(high bool) error {
		report(light.Level{At: s.clock.Now(), High: high})
		return port.SetReadDeadline(time.Now().Add(s.options.Silence))
	})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no line of the protocol for %v, or for %v since it was opened; is the microcontroller running the program of docs/serial-sensor.ino, at %d baud?",
			s.options.Silence, greeting, s.options.Baud)
	case errors.Is(err, io.EOF), errors.Is(err, unix.EIO):
		return errors.New("the line was cut; is the microcontroller still plugged in?")
	}
	return err
}

// open opens the port for bytes as they are: eight bits, no parity, no echo,
// nothing translated, no modem's lines.
func open(o Options) (*os.File, error) {
	port, err := os.OpenFile(o.Port, os.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, errors.New("no such device; plug the microcontroller in, and look for it in /dev/serial/by-id")
	case errors.Is(err, os.ErrPermission):
		return nil, errors.New("no permission; add the user to the group dialout: sudo usermod -aG dialout $USER, and log in again")
	case err != nil:
		return nil, err
	}
	if err := configure(port, o.Baud); err != nil {
		port.Close()
		return nil, err
	}
	return port, nil
}

func configure(port *os.File, baud int) error {
	raw, err := port.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		t, err := unix.IoctlGetTermios(int(fd), unix.TCGETS2)
		if err != nil {
			failed = fmt.Errorf("not a serial port: %w", err)
			return
		}
		t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
		// BOTHER takes the speed as a number. Without HUPCL the port's next
		// opening resets no microcontroller.
		t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.BOTHER
		t.Ispeed, t.Ospeed = uint32(baud), uint32(baud)
		t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
		if err := unix.IoctlSetTermios(int(fd), unix.TCSETS2, t); err != nil {
			failed = fmt.Errorf("setting %d baud: %w", baud, err)
			return
		}
		// What was sent before has arrived at some other time.
		if err := unix.IoctlSetInt(int(fd), unix.TCFLSH, unix.TCIFLUSH); err != nil {
			failed = fmt.Errorf("discarding old input: %w", err)
		}
	})
	return errors.Join(err, failed)
}

// longest is how long a line may be, in bytes: the protocol's, and, while those
// are waited for, the part of a longer one that is looked at.
const longest = 64

// read reads lines until it can't, and says of each whether the pin is high.
func read(from io.Reader, pin func(high bool) error) error {
	lines := bufio.NewReaderSize(from, longest)
	var last byte // the level, or 0 before the first line of the protocol
	long := false // what comes next is more of a line that is too long
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		kind, level, ok := parse(line)
		ok = ok && !long
		long = err != nil
		switch {
		case !ok && last == 0:
			continue
		case !ok:
			return fmt.Errorf("sent %q, which is no line of the protocol", line)
		case kind == 'H' && last != 0 && level != last:
			return fmt.Errorf("sent %q after level %c: a change was lost", line, last)
		}
		last = level
		if err := pin(level == '1'); err != nil {
			return err
		}
	}
}

// parse reads a line: 'L' or 'H', a space, and '0' or '1'.
func parse(line []byte) (kind, level byte, ok bool) {
	line, whole := bytes.CutSuffix(line, []byte{'\n'})
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if !whole || len(line) != 3 || line[1] != ' ' {
		return 0, 0, false
	}
	kind, level = line[0], line[2]
	return kind, level, (kind == 'L' || kind == 'H') && (level == '0' || level == '1')
}
