package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/wyoming"
	"wakefuzz/internal/wyoming/wyomingtest"
	"wakefuzz/results"
)

// decode reads the lines of --output json, each of which has to be an object.
func decode(t *testing.T, lines string) []jsonEvent {
	t.Helper()
	var events []jsonEvent
	for line := range strings.Lines(lines) {
		events = append(events, decodeLine(t, []byte(line)))
	}
	if len(events) == 0 {
		t.Fatal("no events")
	}
	return events
}

func decodeLine(t *testing.T, line []byte) (e jsonEvent) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Event == "" || e.Time == "" {
		t.Fatalf("not an event: %v\n%s", err, line)
	}
	return e
}

// child is a runner at work, which reports by --output json.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

func start(t *testing.T, args ...string) *child {
	t.Helper()
	return startCommand(t, command(t, append(args, "--output", "json")...))
}

func startCommand(t *testing.T, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{t: t, cmd: cmd}
	c.cmd.Stderr = &c.stderr
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.lines = bufio.NewScanner(stdout)
	return c
}

// await returns the next event of a kind.
func (c *child) await(kind string) jsonEvent {
	c.t.Helper()
	for c.lines.Scan() {
		if e := decodeLine(c.t, c.lines.Bytes()); e.Event == kind {
			return e
		}
	}
	_ = c.cmd.Wait()
	c.t.Fatalf("no event %q\n%s", kind, c.stderr.String())
	return jsonEvent{}
}

func (c *child) signal(s os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// interrupted waits for the end of a child that was interrupted, and returns
// the last event.
func (c *child) interrupted() (last jsonEvent, o outcome) {
	c.t.Helper()
	for c.lines.Scan() {
		last = decodeLine(c.t, c.lines.Bytes())
	}
	_ = c.cmd.Wait() // the exit code says it
	o = outcome{code: c.cmd.ProcessState.ExitCode(), stderr: c.stderr.String()}
	o.check(c.t, exitInterrupted)
	return last, o
}

// endless is the change that makes a campaign outlast any test.
var endless = []string{"plays: 2", "plays: 10000"}

// While a campaign runs it can be looked at and not be run by another, and the
// first Ctrl-C finishes the play in hand.
func TestWhileItRuns(t *testing.T) {
	t.Parallel()
	file, dir := campaignFile(t, endless...), filepath.Join(t.TempDir(), strings.Repeat("long", 30), "campaign")
	c := start(t, "run", file, "--dir", dir)
	if begin := c.await("begin"); *begin.Measured != 0 || *begin.Planned != 40000 {
		t.Errorf("at the start: %d of %d", *begin.Measured, *begin.Planned)
	}
	c.await("play")
	pid := fmt.Sprint(c.cmd.Process.Pid)

	status := fuzzer(t, exitDone, "status", dir).stdout
	if !strings.Contains(status, "running, PID "+pid+"\n") || strings.Contains(status, " 0 of 40000") {
		t.Errorf("status:\n%s", status)
	}
	if csv := exportCSV(t, dir); !strings.Contains(csv, "\nalexa,positive,") {
		t.Errorf("export:\n%s", csv)
	}
	fuzzer(t, exitLocked, "run", file, "--dir", dir).says(t, "in use by process "+pid, "kill -INT "+pid)
	fuzzer(t, exitLocked, "resume", dir).says(t, "in use by process "+pid)

	c.signal(os.Interrupt)
	end, o := c.interrupted()
	o.says(t, "interrupted; ", "go on with: fuzzer resume "+dir)
	if end.Event != "end" || end.State != "interrupted" || *end.Measured == 0 {
		t.Errorf("the last event: %+v", end)
	}
	if n := len(measured(t, dir)); n != *end.Measured || len(unfinishedPlays(t, dir)) != 0 {
		t.Errorf("%d plays are stored, %d cut short; %d were reported", n, len(unfinishedPlays(t, dir)), *end.Measured)
	}
	if status := fuzzer(t, exitDone, "status", dir).stdout; !strings.Contains(status, "stopped; go on with: fuzzer resume "+dir) {
		t.Errorf("status:\n%s", status)
	}

	// It goes on where it stood; a polite kill is heeded as Ctrl-C is.
	c = start(t, "resume", dir)
	if begin := c.await("begin"); *begin.Measured != *end.Measured {
		t.Errorf("resumed at %d, stopped at %d", *begin.Measured, *end.Measured)
	}
	c.await("play")
	c.signal(syscall.SIGTERM)
	c.interrupted()
}

// unfinishedPlays are the attempts that the operator cut short.
func unfinishedPlays(t *testing.T, dir string) []results.Attempt {
	t.Helper()
	r, err := results.View(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var cut []results.Attempt
	for a, err := range r.Attempts() {
		if err != nil {
			t.Fatal(err)
		}
		if a.Fault == bench.FaultInterrupted {
			cut = append(cut, a)
		}
	}
	return cut
}

// A second Ctrl-C does not wait for the play in hand, which here would take for
// ever: the server never answers it.
func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	var streams atomic.Int32
	inHand := make(chan struct{}, 1)
	uri := wyomingtest.Serve(t, func(ctx context.Context, c *wyoming.Conn) {
		for {
			e, err := c.Receive(ctx)
			if err != nil {
				return
			}
			switch {
			case e.Type == wyoming.TypeDescribe:
				err = c.Send(ctx, wyomingtest.Event(t, wyoming.TypeInfo, wyoming.Info{Wake: []wyoming.Program{
					{Name: "ears", Models: []wyoming.Model{{Name: "alexa", Installed: true}}},
				}}, nil))
			case e.Type == wyoming.TypeAudioStop && streams.Add(1) == 1:
				err = c.Send(ctx, wyoming.Event{Type: wyoming.TypeNotDetected})
			case e.Type == wyoming.TypeAudioStop:
				inHand <- struct{}{}
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	engine := fmt.Sprintf("driver: wyoming, uri: %q, model: alexa, speed: 0, lag: 0s, timeout: 10m}, workers: 1}\n", uri)
	file, dir := campaignFile(t, "driver: openwakeword, model: alexa_v0.1, window: 1.2s}}\n", engine), filepath.Join(t.TempDir(), "campaign")
	c := start(t, "run", file, "--dir", dir)
	c.await("play")
	select {
	case <-inHand:
	case <-time.After(time.Minute):
		t.Fatal("there is no second play")
	}
	c.signal(os.Interrupt)
	if note := c.await("note"); !strings.Contains(note.Message, "Ctrl-C again stops at once") {
		t.Errorf("after the first Ctrl-C: %q", note.Message)
	}
	c.signal(os.Interrupt)
	end, o := c.interrupted()
	o.says(t, "interrupted; 1 of 8 plays are stored; go on with: fuzzer resume "+dir)
	if cut := unfinishedPlays(t, dir); len(cut) != 1 || end.State != "interrupted" || *end.Measured != 1 {
		t.Errorf("%d plays were cut short; the last event: %+v", len(cut), end)
	}
}
