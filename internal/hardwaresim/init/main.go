// Init is the first process of an emulated machine. It makes the machine fit
// for programs, runs /guest with its own arguments, and says how that ended.
// Where there are modules for the kernel, it loads them first.
//
// Running the program as a process of its own is more than tidy: go-rpio looks
// for its board in /proc when a program starts, and here /proc is there by
// then.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	status := 0
	if err := run(); err != nil {
		status = 1
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			status = exit.ExitCode()
		} else {
			fmt.Println("init:", err)
		}
	}
	fmt.Printf("init: exit %d\n", status)
	for {
		_ = unix.Pause() // until the machine is switched off: where init ends, Linux panics
	}
}

func run() error {
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"},
		{"sysfs", "/sys"},
		{"devtmpfs", "/dev"},
		{"tmpfs", "/run"},
		{"tmpfs", "/tmp"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", m.at, err)
		}
	}
	if err := raw(0); err != nil {
		return fmt.Errorf("making the console raw: %w", err)
	}
	if err := loadModules("/modules"); err != nil {
		return err
	}
	guest := exec.Command("/guest", os.Args[1:]...)
	guest.Stdin, guest.Stdout, guest.Stderr = os.Stdin, os.Stdout, os.Stderr
	guest.Env = []string{"HOME=/tmp", "TMPDIR=/tmp", "PATH=/bin"}
	return guest.Run()
}

// raw makes the terminal pass bytes as they are, both ways.
func raw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

// loadModules loads those of a folder that its file "order" lists, a file and
// its parameters in each line.
func loadModules(folder string) error {
	order, err := os.ReadFile(filepath.Join(folder, "order"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(order)) {
		name, parameters, _ := strings.Cut(strings.TrimSpace(line), " ")
		file, err := os.Open(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(file.Fd()), parameters, 0)
		file.Close()
		if err != nil {
			return fmt.Errorf("loading %s: %w", name, err)
		}
	}
	return nil
}
