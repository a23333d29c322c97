package bed

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// program is a part of the bed that runs.
type program struct {
	ended chan struct{} // closed once it has

	mu   sync.Mutex
	tail []byte // of what it wrote to its error output
}

// enough is how much of a program's messages is kept, in bytes.
const enough = 8 << 10

// Write takes in what the program says.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tail = append(p.tail, b...)
	p.tail = p.tail[max(0, len(p.tail)-enough):]
	return len(b), nil
}

// said is what the program said last.
func (p *program) said() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(bytes.TrimSpace(p.tail))
}

// run starts a program that ends with the bed, or with this process, and
// passes on what its ring does, if it has one.
func (b *Bed) run(cmd *exec.Cmd, ring func(lit bool)) (*program, error) {
	p := &program{ended: make(chan struct{})}
	cmd.Stderr = p
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = ending
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	go func() {
		// The kernel takes the death of the thread that started the program for
		// that of the whole process, so the thread stays until the program ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if ring != nil {
				ring(lines.Text() == "lit")
			}
		}
		if ring != nil {
			ring(false) // a speaker without power
		}
		if err := cmd.Wait(); err != nil {
			fmt.Fprintln(p, err)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd, err)
	}
	b.later(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // fails only where it has ended already
		select {
		case <-p.ended:
		case <-time.After(ending):
			_ = cmd.Process.Kill()
			<-p.ended
		}
	})
	return p, nil
}
