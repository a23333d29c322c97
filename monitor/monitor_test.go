package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
	"wakefuzz/monitor"
	"wakefuzz/oracle/traffic"
	"wakefuzz/results"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The hosts of a network. Their addresses are private, as the cloud's is not.
var (
	speaker = capturetest.Host{MAC: "02:00:00:00:00:21", IP4: "192.168.1.21"}
	laptop  = capturetest.Host{MAC: "02:00:00:00:00:22", IP4: "192.168.1.22"}
)

// network is what passes in a synctest bubble.
type network struct {
	began time.Time

	mu   sync.Mutex
	set  time.Duration // what the wall clock was set by
	taps []*tap
	down bool
}

func (n *network) pair() bench.Pair {
	n.mu.Lock()
	defer n.mu.Unlock()
	return bench.Pair{At: bench.Instant(time.Since(n.began)), Wall: time.Now().Add(n.set)}
}

// setClock sets the wall clock.
func (n *network) setClock(by time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.set += by
}

func (n *network) listen(ctx context.Context) (monitor.Source, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return nil, capture.ErrInterface
	}
	t := &tap{ctx: ctx, frames: make(chan capture.Frame, 10_000), down: make(chan error, 1)}
	n.taps = append(n.taps, t)
	return t, nil
}

// send puts a packet on the wire.
func (n *network) send(from capturetest.Host, payload int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := capture.Frame{
		Link: capture.LinkEthernet, Time: time.Now().Add(n.set).UTC(), Headers: 66,
		Data: capturetest.Frame(from, capturetest.Cloud, capturetest.TCP, payload),
	}
	f.Length = len(f.Data)
	for _, t := range n.taps {
		t.frames <- f
	}
}

// speak has a device upload for three seconds at the pace of speech.
func (n *network) speak(from capturetest.Host) {
	for range 60 {
		n.send(from, 1400)
		time.Sleep(50 * time.Millisecond)
	}
}

// idle has a device send little for that long.
func (n *network) idle(from capturetest.Host, length time.Duration) {
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(5 * time.Second) {
		n.send(from, 300)
	}
}

// lose has the kernel drop packets.
func (n *network) lose(packets uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range n.taps {
		t.dropped.Add(packets)
	}
}

// pull takes the interface down.
func (n *network) pull() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = true
	for _, t := range n.taps {
		t.down <- fmt.Errorf("%w: it is down", capture.ErrInterface)
	}
	n.taps = nil
}

// plug brings it up.
func (n *network) plug() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = false
}

// tap is a capture.
type tap struct {
	ctx     context.Context
	frames  chan capture.Frame
	down    chan error
	last    capture.Frame
	dropped atomic.Uint64
}

func (t *tap) Next() (capture.Packet, error) {
	select {
	case t.last = <-t.frames:
		device := capturetest.Address(net.HardwareAddr(t.last.Data[6:12]).String())
		return capture.Packet{
			Time: t.last.Time, Device: device, Direction: capture.Outgoing,
			Size: int32(t.last.Length), Payload: int32(t.last.Length - 66),
		}, nil
	case err := <-t.down:
		return capture.Packet{}, err
	case <-t.ctx.Done():
		return capture.Packet{}, context.Cause(t.ctx)
	}
}

func (t *tap) Frame() capture.Frame { return t.last }
func (t *tap) Stats() capture.Stats { return capture.Stats{Dropped: t.dropped.Load()} }
func (t *tap) Close() error         { return nil }

// watch runs a monitor while a day goes on, and returns what it told, and how
// many activations of the speaker it knows of in the end.
func (n *network) watch(t *testing.T, change func(*monitor.Setup), day func()) (told []monitor.Activation, known int) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	s := monitor.Setup{
		Detector: traffic.DefaultCalibratedRule().Detector(),
		Listen:   n.listen, Pair: n.pair,
		Tell: func(a monitor.Activation) { told = append(told, a) },
		Note: t.Logf,
	}
	change(&s)
	done := make(chan error)
	go func() {
		report, err := monitor.Run(ctx, s)
		for _, d := range report.Devices {
			if d.Address.String() == speaker.MAC {
				known = len(d.Activations)
			}
		}
		done <- err
	}()
	synctest.Wait()
	day()
	time.Sleep(10 * time.Second) // in which what was last is over
	end()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return told, known
}

func TestMonitor(t *testing.T) {
	all := func(*monitor.Setup) {}
	for _, tt := range []struct {
		name   string
		change func(*monitor.Setup)
		day    func(n *network)
		want   int
	}{
		{"nothing", all, func(n *network) { n.idle(speaker, 10*time.Minute) }, 0},
		{"two devices", all, func(n *network) {
			n.speak(speaker)
			n.idle(speaker, time.Minute)
			n.speak(laptop)
			n.speak(speaker)
		}, 3},
		{"one device asked for", func(s *monitor.Setup) {
			s.Devices = []capture.Address{capturetest.Address(speaker.MAC)}
		}, func(n *network) { n.speak(speaker); n.speak(laptop) }, 1},
		{"interface goes down", all, func(n *network) {
			n.speak(speaker)
			n.pull()
			time.Sleep(2 * time.Minute)
			n.plug()
			time.Sleep(10 * time.Second)
			n.speak(speaker)
		}, 2},
		{"clock set ahead", all, func(n *network) {
			n.speak(speaker)
			time.Sleep(30 * time.Second)
			n.setClock(3 * time.Hour)
			time.Sleep(30 * time.Second)
			n.speak(speaker)
		}, 2},
		{"clock set back in the middle", all, func(n *network) {
			n.idle(speaker, time.Minute)
			time.AfterFunc(1500*time.Millisecond, func() { n.setClock(-time.Hour) })
			n.speak(speaker)
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{began: time.Now()}
				told, _ := n.watch(t, tt.change, func() { tt.day(n) })
				if len(told) != tt.want {
					t.Errorf("it told of %d activations, not of %d: %v", len(told), tt.want, told)
				}
				for _, a := range told {
					if took := a.End.Sub(a.Start); took < 2*time.Second || took > 5*time.Second || a.Bytes < 60_000 {
						t.Errorf("%v from %v to %v", a, a.Start, a.End)
					}
				}
			})
		})
	}
}

// Times are told by the wall clock as it stands.
func TestTimesAfterTheClockWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{began: time.Now()}
		var spoke time.Time
		told, _ := n.watch(t, func(*monitor.Setup) {}, func() {
			time.Sleep(time.Minute)
			n.setClock(3 * time.Hour)
			time.Sleep(time.Minute)
			spoke = n.pair().Wall
			n.speak(speaker)
		})
		if len(told) != 1 || told[0].Start.Sub(spoke).Abs() > time.Second {
			t.Errorf("spoken at %v, told: %v", spoke, told)
		}
	})
}

// A monitor that is started again knows what it knew, and tells nothing twice.
func TestMonitorGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{began: time.Now()}
		dir := t.TempDir()
		open := func(s *monitor.Setup) {
			folder, err := monitor.Open(dir, 1e9)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { folder.Close() })
			s.Folder = folder
		}
		day := func() {
			n.idle(speaker, 90*time.Minute)
			n.speak(speaker)
		}
		var last *monitor.Folder
		told, known := n.watch(t, func(s *monitor.Setup) { open(s); last = s.Folder }, day)
		if len(told) != 1 || known != 1 {
			t.Errorf("told of %d, knows of %d", len(told), known)
		}
		var locked *results.LockedError
		if _, err := monitor.Open(dir, 1); !errors.As(err, &locked) {
			t.Errorf("open twice: %v", err)
		}
		if err := last.Close(); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.pcapng"))
		if err != nil || len(files) != 2 {
			t.Errorf("an hour and a half is in %q, %v", files, err)
		}
		// The last file is cut short, as by a kill.
		info, err := os.Stat(files[len(files)-1])
		if err == nil {
			err = os.Truncate(files[len(files)-1], info.Size()-7)
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		n.taps = nil
		told, known = n.watch(t, func(s *monitor.Setup) { open(s); last = s.Folder }, day)
		if len(told) != 1 || known != 2 {
			t.Errorf("the second time, told of %d, knows of %d", len(told), known)
		}
		if err := last.Close(); err != nil {
			t.Fatal(err)
		}
		// Where there is no room, the oldest goes.
		n.taps = nil
		n.watch(t, func(s *monitor.Setup) {
			folder, err := monitor.Open(dir, 1)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { folder.Close() })
			s.Folder = folder
		}, func() { n.send(speaker, 1) })
		if files, err := filepath.Glob(filepath.Join(dir, "*.pcapng")); err != nil || len(files) != 1 {
			t.Errorf("without room there are %q, %v", files, err)
		}
	})
}

// What the kernel drops is told of while it happens, though not with every
// packet, and in the end.
func TestLostPacketsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{began: time.Now()}
		ctx, end := context.WithCancel(t.Context())
		var notes []string
		done := make(chan monitor.Report)
		go func() {
			report, err := monitor.Run(ctx, monitor.Setup{
				Detector: traffic.DefaultCalibratedRule().Detector(), Listen: n.listen, Pair: n.pair,
				Tell: func(monitor.Activation) {},
				Note: func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) },
			})
			if err != nil {
				t.Error(err)
			}
			done <- report
		}()
		synctest.Wait()
		for range 20 {
			n.lose(3)
			n.send(speaker, 300)
			time.Sleep(5 * time.Second)
		}
		// A capture that begins anew counts from zero; its last drops are found
		// though no packet comes after them.
		n.pull()
		n.plug()
		time.Sleep(10 * time.Second)
		n.lose(7)
		end()
		report := <-done
		if report.Dropped != 67 || !strings.Contains(strings.Join(report.Remarks(), "\n"), "dropped 67 packets") {
			t.Errorf("%d packets were dropped; it remarks %q", report.Dropped, report.Remarks())
		}
		told := 0
		for _, note := range notes {
			if strings.Contains(note, "dropped") {
				told++
			}
		}
		if told < 2 || told > 4 {
			t.Errorf("it tells of that %d times: %q", told, notes)
		}
	})
}

func TestMonitorThatCannotBe(t *testing.T) {
	_, err := monitor.Run(t.Context(), monitor.Setup{
		Detector: traffic.DefaultCalibratedRule().Detector(),
		Listen:   func(context.Context) (monitor.Source, error) { return nil, os.ErrPermission },
	})
	if !errors.Is(err, os.ErrPermission) {
		t.Errorf("error %v", err)
	}
}
