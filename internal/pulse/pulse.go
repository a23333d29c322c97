// Package pulse runs a private PulseAudio for tests: a sound server of its own
// with loudspeakers that exist only in it, on any Linux machine, with or
// without a sound card.
//
// A test binary starts one [Server], usually in TestMain, and points its own
// process to it by [Server.Use]. A [Sink] is a loudspeaker that swallows what
// is played to it, in real time; it can be removed, as a USB device is
// unplugged, and added again. What it sounds can be heard by a [Recorder],
// which also says when each sample was heard.
//
// A server touches nothing of the user's: socket, state and cookie lie in a
// folder that is removed with it. It ends with the process that started it,
// however that ends.
package pulse

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// patience is how long a server may take to start or to end.
const patience = 15 * time.Second

// Server is a running PulseAudio without any sinks.
type Server struct {
	dir    string
	cmd    *exec.Cmd
	stderr bytes.Buffer
	ended  chan struct{} // closed once the process is gone
}

// Start starts a server. The error says what to install where PulseAudio is
// missing.
func Start() (*Server, error) {
	for _, program := range []string{"pulseaudio", "pactl", "parec"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("pulse: %w; install it with: apt-get install pulseaudio pulseaudio-utils", err)
		}
	}
	// A socket's path ends at 108 bytes, so the folder can't lie just anywhere.
	dir, err := os.MkdirTemp("", "pulse-")
	if err != nil {
		return nil, fmt.Errorf("pulse: making a folder for the server: %w", err)
	}
	s := &Server{dir: dir, ended: make(chan struct{})}
	s.cmd = exec.Command("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes",
		"--use-pid-file=no", "--log-target=stderr", "--log-level=error",
		"-L", "module-native-protocol-unix auth-anonymous=1 socket="+s.socket())
	s.cmd.Env = append(os.Environ(), append(s.Env(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)...)
	s.cmd.Stderr = &s.stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The kernel takes the death of the thread that started the server for
		// that of the whole process, so the thread stays until the server ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(s.ended)
		err := s.cmd.Start()
		started <- err
		if err == nil {
			_ = s.cmd.Wait() // it is ended by a signal
		}
	}()
	if err := <-started; err != nil {
		return nil, errors.Join(fmt.Errorf("pulse: starting the server: %w", err), os.RemoveAll(dir))
	}
	if err := s.waitReady(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) socket() string { return filepath.Join(s.dir, "socket") }

// waitReady waits until the server answers.
func (s *Server) waitReady() error {
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.Dial("unix", s.socket())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.ended:
			return fmt.Errorf("pulse: the server ended at once: %s", bytes.TrimSpace(s.stderr.Bytes()))
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("pulse: the server does not answer after %v: %w", patience, err)
		}
	}
}

// Env is the environment of a program that is to use the server, as
// "NAME=value".
func (s *Server) Env() []string {
	return []string{
		"PULSE_SERVER=unix:" + s.socket(),
		"PULSE_COOKIE=" + filepath.Join(s.dir, "cookie"),
		"PULSE_RUNTIME_PATH=" + s.dir,
	}
}

// Use points this process, and what it starts from now on, to the server.
func (s *Server) Use() error {
	for _, variable := range s.Env() {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("pulse: %w", err)
		}
	}
	return nil
}

// Signal sends a signal to the server: SIGSTOP makes it hang, SIGCONT go on,
// SIGKILL crash.
func (s *Server) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }

// Close ends the server and removes its folder.
func (s *Server) Close() error {
	_ = s.Signal(syscall.SIGCONT) // a server that hangs can't end
	_ = s.Signal(syscall.SIGTERM) // fails only where it has ended already
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.Signal(syscall.SIGKILL)
		<-s.ended
	}
	return os.RemoveAll(s.dir)
}

// command is a client program of the server.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), append(s.Env(), "LC_ALL=C")...)
	return cmd
}

// pactl runs a command of the server's and returns what it prints.
func (s *Server) pactl(args ...string) (string, error) {
	cmd := s.command("pactl", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("pulse: pactl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// Format is how a sink takes its sound.
type Format struct {
	Rate     int // samples per second
	Channels int
}

// Telephone is the format that wake-word models listen at.
var Telephone = Format{Rate: 16000, Channels: 1}

// Sink is a loudspeaker of a server.
type Sink struct {
	server *Server
	name   string
	module string // the server's number for it
}

// AddSink adds a loudspeaker, which is described to users as "The NAME
// loudspeaker". The first one is the server's default.
func (s *Server) AddSink(name string, format Format) (*Sink, error) {
	module, err := s.pactl("load-module", "module-null-sink", "sink_name="+name,
		fmt.Sprintf("rate=%d", format.Rate), fmt.Sprintf("channels=%d", format.Channels), "format=s16le",
		fmt.Sprintf(`sink_properties='device.description="The %s loudspeaker"'`, name))
	if err != nil {
		return nil, err
	}
	return &Sink{server: s, name: name, module: module}, nil
}

// Name is what the server calls the sink.
func (k *Sink) Name() string { return k.name }

// Remove takes the sink away at once, in the middle of whatever it sounds.
func (k *Sink) Remove() error {
	_, err := k.server.pactl("unload-module", k.module)
	return err
}

// Suspend makes the sink stop taking sound, or go on.
func (k *Sink) Suspend(yes bool) error {
	_, err := k.server.pactl("suspend-sink", k.name, fmt.Sprint(yes))
	return err
}
