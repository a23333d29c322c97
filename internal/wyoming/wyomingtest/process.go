package wyomingtest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Server is a real server: a process.
type Server struct {
	URI string

	process *os.Process
	ended   chan struct{}
}

// Python runs a real server, which is written in Python and takes the option
// --uri, in the environment that scripts/setup-wyoming.sh makes. It returns once
// the server listens, and ends it with t.
func Python(t testing.TB, args ...string) *Server {
	t.Helper()
	folder, err := os.MkdirTemp("", "wyoming") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	socket := filepath.Join(folder, "socket")
	python := filepath.Join(dataFolder(), "wyoming", "bin", "python")
	cmd := exec.Command(python, append(args, "--uri", "unix://"+socket)...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (run: scripts/setup-wyoming.sh)", err)
	}
	s := &Server{URI: "unix://" + socket, process: cmd.Process, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // it is killed
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("the server said:\n%s", said.Bytes())
		}
	})
	for deadline := time.After(time.Minute); ; {
		if conn, err := net.Dial("unix", socket); err == nil {
			_ = conn.Close()
			return s
		}
		select {
		case <-s.ended:
			t.Fatal("the server ended before it listened")
		case <-deadline:
			t.Fatal("the server does not listen")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Signal sends the server a signal.
func (s *Server) Signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := s.process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// Kill ends the server, and returns when it has ended.
func (s *Server) Kill() {
	_ = s.process.Kill() // it may have ended
	<-s.ended
}

// dataFolder is where set-up puts what the program does not contain.
func dataFolder() string {
	if folder := os.Getenv("WAKEFUZZ_DATA"); folder != "" {
		return folder
	}
	share := os.Getenv("XDG_DATA_HOME")
	if share == "" {
		share = filepath.Join(os.Getenv("HOME"), ".local", "share")
	}
	return filepath.Join(share, "wakefuzz")
}
