// Hardwaresim runs a test program inside an emulated machine, and is what lies
// outside of that machine meanwhile: it drives the far ends of its pins and
// looks at its registers as the program asks (see package outside). A PC has no
// pins; it has a kernel with radios made by software.
//
//	hardwaresim -machine pi3b -kernel vmlinuz -dtb bcm2837-rpi-3-b.dtb -initrd initramfs -test.v
//
// The initramfs has package init as /init and the test program as /guest, which
// gets the arguments that are left. Its output is passed on, and the status is
// its status. The machine is gone when hardwaresim is, and leaves nothing
// behind.
//
// scripts/hardware-sim.sh builds all that it needs.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	// QEMU is killed when the thread ends that started it.
	runtime.LockOSThread()
	// Nor should it wait for the rest of this machine: its clock goes on while it
	// stands still, and a test would see a gap. QEMU inherits the priority.
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, -20) // without the right: as anybody
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	status, err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hardwaresim:", err)
		status = 1
	}
	os.Exit(status)
}

// run runs a machine, and returns the status of the program in it.
func run(ctx context.Context, args []string, out io.Writer) (status int, err error) {
	flags := flag.NewFlagSet("hardwaresim", flag.ContinueOnError)
	name := flags.String("machine", "", "which machine: pi3b, pl061 or pc")
	kernel := flags.String("kernel", "", "its kernel")
	dtb := flags.String("dtb", "", "its device tree, where it needs one")
	initrd := flags.String("initrd", "", "its initramfs")
	limit := flags.Duration("timeout", 3*time.Minute, "how long it may run")
	if err := flags.Parse(args); err != nil {
		return 0, err
	}
	m, ok := machines[*name]
	if !ok {
		return 0, fmt.Errorf("no such machine: %q", *name)
	}
	dir, err := os.MkdirTemp("", "hardwaresim-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)

	ctx, cancel := context.WithTimeoutCause(ctx, *limit, fmt.Errorf("not done after %v", *limit))
	defer cancel()
	sockets := map[string]string{"qtest": filepath.Join(dir, "qtest"), "qmp": filepath.Join(dir, "qmp")}
	emulator := []string{
		// Never KVM: where this machine is a virtual one itself, it may be there
		// and hang.
		"-accel", "tcg,thread=multi", "-display", "none", "-monitor", "none", "-no-reboot", "-nic", "none",
		"-qtest", "unix:" + sockets["qtest"] + ",server=on,wait=off", "-qtest-log", "/dev/null",
		"-qmp", "unix:" + sockets["qmp"] + ",server=on,wait=off",
		"-kernel", *kernel, "-initrd", *initrd,
		"-append", m.boot + " loglevel=1 rdinit=/init panic=-1 -- " + strings.Join(flags.Args(), " "),
	}
	if *dtb != "" {
		emulator = append(emulator, "-dtb", *dtb)
	}
	qemu := exec.CommandContext(ctx, "qemu-system-"+m.architecture, append(emulator, m.emulator...)...)
	qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	qemu.Stderr = os.Stderr
	toGuest, err := qemu.StdinPipe()
	if err != nil {
		return 0, err
	}
	fromGuest, err := qemu.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := qemu.Start(); err != nil {
		return 0, err
	}
	defer func() {
		cancel()
		_ = qemu.Wait() // it was killed: there is nothing to learn
	}()
	w := &wires{machine: m, sockets: sockets}
	defer w.close()
	if err := listen(ctx, fromGuest, toGuest, w, out, &status); err != nil {
		return 0, errors.Join(err, context.Cause(ctx))
	}
	return status, nil
}

// listen reads the console until the program in the machine has ended. It
// answers what is asked of the outside, and passes on the rest.
func listen(ctx context.Context, from io.Reader, to io.Writer, w *wires, out io.Writer, status *int) error {
	console := bufio.NewScanner(from)
	for console.Scan() {
		// A serial port that is being set up may make noise.
		line := strings.ToValidUTF8(strings.TrimRight(console.Text(), "\r"), "")
		if request, ok := strings.CutPrefix(line, "outside: "); ok {
			answer, err := w.do(ctx, strings.Fields(request))
			if err != nil {
				answer = "error: " + err.Error()
			}
			if _, err := fmt.Fprintln(to, answer); err != nil {
				return fmt.Errorf("answering the machine: %w", err)
			}
			continue
		}
		if _, err := fmt.Sscanf(line, "init: exit %d", status); err == nil {
			return nil
		}
		fmt.Fprintln(out, line)
	}
	return errors.Join(errors.New("the machine stopped before the program in it had ended"), console.Err())
}

// machine is a kind of machine.
type machine struct {
	architecture string   // as the emulator calls it
	emulator     []string // arguments of the emulator
	boot         string   // of the kernel
	// pin is the command that makes a pin high, or low; nil where there is none.
	pin func(ctx context.Context, w *wires, pin uint, high bool) (string, error)
}

var machines = map[string]machine{
	"pi3b": {
		// The first serial port is the Bluetooth chip's, which hears nothing
		// but that.
		architecture: "aarch64",
		emulator:     []string{"-M", "raspi3b", "-serial", "null", "-serial", "stdio"},
		boot:         "console=ttyS1,115200 iomem=relaxed maxcpus=2",
		// The registers that set and clear levels work on inputs as well here,
		// which on a real chip they don't.
		pin: func(_ context.Context, _ *wires, pin uint, high bool) (string, error) {
			const set, clear = 0x3f20001c, 0x3f200028
			register := clear
			if high {
				register = set
			}
			return fmt.Sprintf("writel %#x %#x", register, uint32(1)<<pin), nil
		},
	},
	"pl061": {
		architecture: "aarch64",
		emulator:     []string{"-M", "virt", "-cpu", "cortex-a53", "-serial", "stdio"},
		boot:         "console=ttyAMA0",
		pin: func(ctx context.Context, w *wires, pin uint, high bool) (string, error) {
			path, err := w.device(ctx, "pl061")
			if err != nil {
				return "", err
			}
			level := 0
			if high {
				level = 1
			}
			return fmt.Sprintf("set_irq_in %s unnamed-gpio-in %d %d", path, pin, level), nil
		},
	},
	"pc": {
		architecture: "x86_64",
		emulator:     []string{"-M", "q35", "-m", "512", "-smp", "2", "-serial", "stdio"},
		boot:         "console=ttyS0",
	},
}

// wires are the outside of a machine, by way of the emulator's sockets.
type wires struct {
	machine machine
	sockets map[string]string
	open    map[string]*socket
	devices map[string]string // paths, by kind
}

// do does what the program in the machine asks for.
func (w *wires) do(ctx context.Context, request []string) (string, error) {
	var pin, level uint
	var address, value uint64
	text := strings.Join(request, " ")
	scan := func(format string, into ...any) bool {
		_, err := fmt.Sscanf(text+"\n", format+"\n", into...)
		return err == nil
	}
	switch {
	case scan("pin %d %d", &pin, &level) && pin < 32 && level < 2 && w.machine.pin != nil:
		command, err := w.machine.pin(ctx, w, pin, level == 1)
		if err != nil {
			return "", err
		}
		return w.qtest(ctx, command)
	case scan("load %v", &address):
		return w.qtest(ctx, fmt.Sprintf("readl %#x", address))
	case scan("store %v %v", &address, &value):
		return w.qtest(ctx, fmt.Sprintf("writel %#x %#x", address, value))
	}
	return "", fmt.Errorf("what is %q?", text)
}

// qtest has the emulator carry out a command, and returns "ok" and the answer.
func (w *wires) qtest(ctx context.Context, command string) (string, error) {
	s, err := w.socket(ctx, "qtest")
	if err != nil {
		return "", err
	}
	line, err := s.ask(command)
	if err != nil {
		return "", err
	}
	answer, ok := strings.CutPrefix(line, "OK")
	if !ok {
		return "", fmt.Errorf("%s: %s", command, line)
	}
	return "ok" + answer, nil
}

// socket returns an open socket of the emulator.
func (w *wires) socket(ctx context.Context, name string) (*socket, error) {
	if s := w.open[name]; s != nil {
		return s, nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", w.sockets[name])
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	s := &socket{conn: conn, lines: bufio.NewReader(conn)}
	if w.open == nil {
		w.open = map[string]*socket{}
	}
	w.open[name] = s
	return s, nil
}

func (w *wires) close() {
	for _, s := range w.open {
		s.conn.Close()
	}
}

// socket answers each line with one.
type socket struct {
	conn  net.Conn
	lines *bufio.Reader
}

func (s *socket) ask(line string) (string, error) {
	if _, err := fmt.Fprintln(s.conn, line); err != nil {
		return "", err
	}
	return s.read()
}

func (s *socket) read() (string, error) {
	line, err := s.lines.ReadString('\n')
	return strings.TrimSpace(line), err
}
