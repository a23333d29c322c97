package bed

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// sensor is a microcontroller with a light sensor before the speaker's ring. It
// speaks the protocol of package serial through a pseudo-terminal, and pulls
// its pin low while the light is lit, as LM393 boards do.
type sensor struct {
	line *os.File // the microcontroller's end
	port *os.File // the other; open for as long as the device is plugged in
	lit  chan bool
	done chan struct{}
}

// heartbeat is how often the level is sent when it does not change.
const heartbeat = 100 * time.Millisecond

func newSensor() (*sensor, error) {
	line, port, err := openTerminal()
	if err != nil {
		return nil, fmt.Errorf("light sensor: %w", err)
	}
	s := &sensor{line: line, port: port, lit: make(chan bool), done: make(chan struct{})}
	go s.speak()
	return s, nil
}

// openTerminal opens a pseudo-terminal that passes bytes as they are.
func openTerminal() (line, port *os.File, err error) {
	// Non-blocking, so that Go's poller watches it and deadlines work.
	if line, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0); err != nil {
		return nil, nil, err
	}
	var number uint32
	raw, err := line.SyscallConn()
	if err == nil {
		var failed error
		err = raw.Control(func(fd uintptr) {
			failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
			if failed == nil {
				number, failed = unix.IoctlGetUint32(int(fd), unix.TIOCGPTN)
			}
		})
		err = errors.Join(err, failed)
	}
	if err == nil {
		port, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		line.Close()
		return nil, nil, err
	}
	if _, err = term.MakeRaw(int(port.Fd())); err != nil {
		line.Close()
		port.Close()
		return nil, nil, err
	}
	return line, port, nil
}

// path is the device's file.
func (s *sensor) path() string { return s.port.Name() }

// show is what the ring does.
func (s *sensor) show(lit bool) { s.lit <- lit }

// speak sends the level at every change, and after every silence.
func (s *sensor) speak() {
	defer close(s.done)
	level := '1'
	kind := 'L'
	for {
		// Where nobody reads, the line fills up, and what is sent is lost, as
		// on a wire: whoever opens the port discards what is old.
		_ = s.line.SetWriteDeadline(time.Now().Add(heartbeat / 10))
		fmt.Fprintf(s.line, "%c %c\n", kind, level)
		kind = 'H'
		select {
		case lit, more := <-s.lit:
			if !more {
				return
			}
			now := '1'
			if lit {
				now = '0'
			}
			if now != level {
				level, kind = now, 'L'
			}
		case <-time.After(heartbeat):
		}
	}
}

func (s *sensor) close() {
	close(s.lit)
	<-s.done
	s.line.Close()
	s.port.Close()
}
