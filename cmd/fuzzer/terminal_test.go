package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a terminal of 120 columns: what is typed and seen on it, and
// the side that a program has.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 120}); err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// onTerminal runs the program on a terminal of its own, types the text as soon
// as the screen shows the cue, and returns what the screen was sent.
func onTerminal(t *testing.T, code int, cue, text string, args ...string) string {
	t.Helper()
	person, program := terminal(t)
	cmd := command(t, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	program.Close() // so that reading ends with the child
	var screen strings.Builder
	for buffer := make([]byte, 4096); ; {
		n, err := person.Read(buffer)
		screen.Write(buffer[:n])
		if text != "" && strings.Contains(screen.String(), cue) {
			if _, err := io.WriteString(person, text); err != nil {
				t.Fatal(err)
			}
			text = ""
		}
		if err != nil { // EIO: the other side is closed
			break
		}
	}
	_ = cmd.Wait() // the exit code says it
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("exit code %d, want %d\n%q", got, code, screen.String())
	}
	return screen.String()
}

// On a terminal the progress is a bar, which is whole when the table comes and
// leaves the cursor as it was.
func TestBar(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "campaign")
	screen := onTerminal(t, exitDone, "", "", "run", campaignFile(t), "--dir", dir)
	bar, table, found := strings.Cut(screen, "False wake words of")
	if !found || strings.Contains(table, "\x1b") {
		t.Fatalf("no plain table after the bar: %q", screen)
	}
	if !strings.Contains(bar, "8/8 plays") || !strings.Contains(bar, "2 hits") || !strings.HasSuffix(bar, "\n") {
		t.Errorf("the bar: %q", bar)
	}
	if strings.LastIndex(bar, "\x1b[?25l") > strings.LastIndex(bar, "\x1b[?25h") {
		t.Errorf("the cursor stays hidden: %q", bar)
	}
	if plain := onTerminal(t, exitDone, "", "", "run", campaignFile(t), "--dir", dir+"-plain", "--output", "plain"); strings.Contains(plain, "\x1b") {
		t.Errorf("plain output moves the cursor: %q", plain)
	}
}

// Ctrl-C on a terminal ends the bar too.
func TestCtrlC(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "campaign")
	screen := onTerminal(t, exitInterrupted, "/40000 plays", "\x03", "run", campaignFile(t, endless...), "--dir", dir)
	for _, want := range []string{"finishing the play in hand; Ctrl-C again stops at once\r\n", "\nfuzzer: interrupted; ", "fuzzer resume " + dir + "\r\n"} {
		if !strings.Contains(screen, want) {
			t.Errorf("the screen lacks %q: %q", want, screen)
		}
	}
}
