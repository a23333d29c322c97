package serial_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"wakefuzz/bench"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/light/lighttest"
	"wakefuzz/oracle/light/serial"
	"wakefuzz/oracle/oracletest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// microcontroller is the far end of a pseudo-terminal.
type microcontroller struct {
	line *os.File // our end
	port *os.File // the other, held open as a device stays plugged in

	mu   sync.Mutex
	high bool
	stop chan struct{}
	done sync.WaitGroup
}

// plugIn makes a microcontroller that says nothing yet.
func plugIn(t *testing.T) *microcontroller {
	t.Helper()
	line, port, err := pty.Open()
	if err != nil {
		t.Fatalf("no pseudo-terminal: %v; is /dev/pts mounted?", err)
	}
	m := &microcontroller{line: line, port: port, stop: make(chan struct{})}
	t.Cleanup(func() {
		close(m.stop)
		m.done.Wait()
		line.Close()
		port.Close()
	})
	return m
}

// send sends what a program might.
func (m *microcontroller) send(t *testing.T, text string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.line.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// run runs the program of docs/serial-sensor.ino.
func (m *microcontroller) run() {
	m.done.Go(func() {
		for {
			m.mu.Lock()
			m.line.WriteString(map[bool]string{false: "H 0\r\n", true: "H 1\r\n"}[m.high])
			m.mu.Unlock()
			select {
			case <-m.stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
}

// set drives the microcontroller's pin.
func (m *microcontroller) set(t *testing.T, high bool) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if high == m.high {
		return
	}
	m.high = high
	if _, err := m.line.WriteString(map[bool]string{false: "L 0\r\n", true: "L 1\r\n"}[high]); err != nil {
		t.Fatal(err)
	}
}

func (m *microcontroller) options() serial.Options {
	o := serial.DefaultOptions()
	o.Port = m.port.Name()
	return o
}

func sensor(t *testing.T, clock bench.Clock, o serial.Options) *serial.Sensor {
	t.Helper()
	s, err := serial.New(clock, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSensor(t *testing.T) {
	lighttest.Run(t, func(t *testing.T) lighttest.Rig {
		m := plugIn(t)
		m.run()
		clock := bench.NewClock()
		o := m.options()
		o.Silence = 2 * time.Second // the test's own heartbeat may be late on a busy machine
		return lighttest.Rig{Sensor: sensor(t, clock, o), Now: clock.Now, Set: m.set, Changes: 500, Pace: 2 * time.Millisecond}
	})
}

func TestRecorderOverSerial(t *testing.T) {
	oracletest.Run(t, func(t *testing.T) oracletest.Bench {
		m := plugIn(t)
		m.run()
		clock := bench.NewClock()
		o := m.options()
		o.Silence = 2 * time.Second
		r, err := light.Open(t.Context(), light.Setup{
			Sensor:   sensor(t, clock, o),
			Polarity: light.ActiveLow,
			Window:   100 * time.Millisecond,
			Now:      clock.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return oracletest.Bench{Oracle: r, Sound: func(context.Context) (bench.Span, error) {
			start := clock.Now()
			time.Sleep(50 * time.Millisecond)
			return bench.Span{Start: start, End: clock.Now()}, nil
		}}
	})
}

// The port is set to pass bytes as they are, at the speed asked for.
func TestPortIsRaw(t *testing.T) {
	m := plugIn(t)
	m.run()
	o := m.options()
	o.Baud = 250_000 // no speed that has a constant of its own
	seen := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- sensor(t, bench.NewClock(), o).Watch(ctx, func(light.Level) {
			select {
			case seen <- struct{}{}:
			default:
			}
		})
	}()
	<-seen
	got, err := unix.IoctlGetTermios(int(m.port.Fd()), unix.TCGETS2)
	if err != nil {
		t.Fatal(err)
	}
	if got.Ispeed != 250_000 || got.Ospeed != 250_000 {
		t.Errorf("the port runs at %d and %d baud", got.Ispeed, got.Ospeed)
	}
	if got.Lflag&(unix.ECHO|unix.ICANON|unix.ISIG) != 0 || got.Iflag&(unix.ICRNL|unix.IXON) != 0 {
		t.Errorf("the port is not raw: %+v", got)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWhatAMicrocontrollerMaySay(t *testing.T) {
	tests := []struct {
		name string
		says string
		want string // what the error speaks of
		seen string // the levels reported
	}{
		{"a part of a line first", " 1\nL 0\nL 1\ncut", "no line of the protocol for", "01"},
		{"with carriage returns", "H 1\r\nL 0\r\n", "no line of the protocol for", "10"},
		{"a greeting", "boot: mode 3\n\xfe\x00\xff" + strings.Repeat("load ", 100) + "\nH 0\n", "no line of the protocol for", "0"},
		{"a long line that ends like one", strings.Repeat("x", 64) + "L 1\nL 0\n", "no line of the protocol for", "0"},
		{"the same level again", "L 1\nL 1\nH 1\n", "no line of the protocol for", "111"},
		{"silence at last", "H 0\nH 0\n", "for 150ms", "00"},
		{"a heartbeat that contradicts", "L 1\nH 1\nH 0\n", `"H 0\n" after level 1: a change was lost`, "11"},
		{"another letter", "L 1\nX 1\n", `"X 1\n", which is no line`, "1"},
		{"another digit", "L 1\nL 2\n", `"L 2\n", which is no line`, "1"},
		{"an empty line", "L 1\n\n", "which is no line", "1"},
		{"too long a line", "L 1\n" + strings.Repeat("1", 100), "which is no line", "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := plugIn(t)
			o := m.options()
			o.Silence = 150 * time.Millisecond
			// What is sent before the port is open is discarded, so send until
			// something has come through.
			var seen strings.Builder
			ended := make(chan error, 1)
			go func() {
				ended <- sensor(t, bench.NewClock(), o).Watch(t.Context(), func(l light.Level) {
					seen.WriteByte(map[bool]byte{false: '0', true: '1'}[l.High])
				})
			}()
			m.awaitRaw(t)
			m.send(t, tt.says)
			err := <-ended
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), o.Port) {
				t.Errorf("error %v, want one that speaks of %q and the port", err, tt.want)
			}
			if seen.String() != tt.seen {
				t.Errorf("levels %s, want %s", seen.String(), tt.seen)
			}
		})
	}
}

// awaitRaw waits until the sensor has opened the port.
func (m *microcontroller) awaitRaw(t *testing.T) {
	t.Helper()
	for range 1000 {
		settings, err := unix.IoctlGetTermios(int(m.port.Fd()), unix.TCGETS2)
		if err != nil {
			t.Fatal(err)
		}
		if settings.Lflag&unix.ICANON == 0 {
			time.Sleep(20 * time.Millisecond) // for the discarding that comes next
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the sensor did not open the port within ten seconds")
}

func TestUnplugged(t *testing.T) {
	line, port, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	o := serial.DefaultOptions()
	o.Port = port.Name()
	ended := make(chan error, 1)
	seen := make(chan struct{}, 10)
	go func() {
		ended <- sensor(t, bench.NewClock(), o).Watch(t.Context(), func(light.Level) { seen <- struct{}{} })
	}()
	m := &microcontroller{line: line, port: port}
	m.awaitRaw(t)
	m.send(t, "H 1\n")
	<-seen
	line.Close()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "plugged in") {
		t.Errorf("error %v", err)
	}
}

func TestPortsThatCannotBeOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for port, want := range map[string]string{
		"/dev/no-such-port": "/dev/serial/by-id",
		file:                "not a serial port",
		filepath.Dir(file):  "not a serial port",
	} {
		o := serial.DefaultOptions()
		o.Port = port
		err := sensor(t, bench.NewClock(), o).Watch(t.Context(), func(light.Level) { t.Error("something was reported") })
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), port) {
			t.Errorf("%s: error %v, want one that speaks of %q", port, err, want)
		}
	}
}

func TestOptions(t *testing.T) {
	change := func(f func(*serial.Options)) serial.Options {
		o := serial.DefaultOptions()
		f(&o)
		return o
	}
	tests := []struct {
		options serial.Options
		want    string // what the error speaks of; empty for none
	}{
		{serial.DefaultOptions(), ""},
		{change(func(o *serial.Options) { o.Port = "" }), "port: missing"},
		{change(func(o *serial.Options) { o.Baud = 0 }), "baud: 0 "},
		{change(func(o *serial.Options) { o.Baud = 1 << 40 }), "baud: 1099511627776 "},
		{change(func(o *serial.Options) { o.Silence = time.Millisecond }), "silence: 1ms "},
		{change(func(o *serial.Options) { o.Silence = time.Hour }), "silence: 1h0m0s "},
	}
	for _, tt := range tests {
		_, err := serial.New(bench.NewClock(), tt.options)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%+v: %v", tt.options, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%+v: error %v, want one with %q", tt.options, err, tt.want)
		}
	}
	o := serial.DefaultOptions()
	if err := yaml.UnmarshalWithOptions([]byte("port: /dev/ttyUSB0\nbaud: 9600\nsilence: 1s\n"), &o, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if want := (serial.Options{Port: "/dev/ttyUSB0", Baud: 9600, Silence: time.Second}); o != want {
		t.Errorf("got %+v, want %+v", o, want)
	}
}
