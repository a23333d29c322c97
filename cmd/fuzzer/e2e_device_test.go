//go:build e2e

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"wakefuzz/internal/virtualspeaker/bed"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
	"wakefuzz/results"
)

// patience is how long a test waits for what must happen, on a machine that may
// be busy.
const patience = 4 * time.Minute

const e2eSpec = `
name: e2e
wake_word: alexa
words:
  lists: [none]
  include: [%s]
  order: alphabet
voices:
  - {engine: flite, name: kal16}
bench:
  player: {driver: speaker, device: %s, backend: pulseaudio}
  light: {driver: serial, port: %s, silence: 2s}
  traffic: {driver: capture, interface: %s, device: "%s"}
  settle: {quiet: 1s, limit: %v}
protocol: {plays: %d, tries: 8}
controls: {every: %d, plays: 2, retry: 2s}
judge: {verdict: %s}
`

// night is what differs from one campaign to the next.
type night struct {
	words        string
	plays, every int           // as in the campaign file
	limit        time.Duration // of settling; 0 for the usual
	verdict      string        // "" for light
	bed          bed.Options
}

// device is a campaign against a device in a bed of its own. Campaigns of
// several tests run side by side.
type device struct {
	*bed.Bed
	t            *testing.T
	spec, folder string
}

// newDevice makes a bed and the campaign file of a night.
func newDevice(t *testing.T, p night) *device {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	d := &device{Bed: bed.New(t, p.bed), t: t, spec: filepath.Join(dir, "e2e.yaml"), folder: filepath.Join(dir, "campaign")}
	text := fmt.Appendf(nil, e2eSpec, p.words, bed.Sink, d.Light, bed.Interface, bed.DeviceMAC,
		cmp.Or(p.limit, 30*time.Second), p.plays, p.every, cmp.Or(p.verdict, light.Name))
	if err := os.WriteFile(d.spec, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return d
}

// process is the program while it runs.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}

	out, err written
}

// written is what a program has written so far.
type written struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes in what the program writes.
func (o *written) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *written) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// said is what the program told its user.
func (p *process) said() string { return p.err.String() }

// fuzzer starts the program on the gateway, where the device's packets pass. It
// ends with the test, and with this process, however that ends.
func (d *device) fuzzer(args ...string) *process {
	d.t.Helper()
	program, err := exec.LookPath("fuzzer")
	if err != nil {
		d.t.Fatal(err)
	}
	r := &process{cmd: d.Command(d.t.Context(), program, args...), ended: make(chan struct{})}
	r.cmd.Env = append(r.cmd.Env, environment...)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.err
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		defer close(r.ended)
		// The kernel takes the death of the thread that started the program for
		// that of the whole process, so the thread stays until the program ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := r.cmd.Start()
		started <- err
		if err == nil {
			_ = r.cmd.Wait() // the exit code says it
		}
	}()
	if err := <-started; err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { <-r.ended })
	return r
}

// finish waits until the program ends, with its campaign done.
func (p *process) finish(t *testing.T) outcome {
	t.Helper()
	return p.end(t, exitDone)
}

// end waits until the program ends, which has to be with the exit code.
func (p *process) end(t *testing.T, code int) outcome {
	t.Helper()
	<-p.ended
	o := outcome{p.cmd.ProcessState.ExitCode(), p.out.String(), p.said()}
	o.check(t, code)
	return o
}

// tell provokes a fault of the speaker, or ends one.
func (d *device) tell(command string) {
	d.t.Helper()
	if _, err := d.Speaker.Tell(command); err != nil {
		d.t.Fatal(err)
	}
}

// tellCloud provokes a fault of the cloud, or ends one.
func (d *device) tellCloud(command string) {
	d.t.Helper()
	if _, err := d.Cloud.Tell(command); err != nil {
		d.t.Fatal(err)
	}
}

// await waits until the condition holds, while the program runs.
func (d *device) await(r *process, what string, holds func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		select {
		case <-r.ended:
			d.t.Fatalf("the program ended, and there was no %s:\n%s", what, r.said())
		case <-time.After(200 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("waited in vain for %s:\n%s", what, r.said())
		}
	}
}

// awaitAttempts waits until so many attempts are stored. Until the plan has been
// gone through once, they are its plays in order, measured or not.
func (d *device) awaitAttempts(r *process, n int) {
	d.t.Helper()
	d.await(r, fmt.Sprintf("%d attempts", n), func() bool {
		store, err := results.View(d.t.Context(), d.folder)
		if err != nil {
			return false // not there yet
		}
		defer store.Close()
		done := 0
		for _, err := range store.Attempts() {
			if err != nil {
				d.t.Fatal(err)
			}
			done++
		}
		return done >= n
	})
}

// awaitWord waits until the program says something.
func (d *device) awaitWord(r *process, text string) {
	d.t.Helper()
	d.await(r, fmt.Sprintf("%q", text), func() bool { return strings.Contains(r.said(), text) })
}

// report is what the campaign found out, and the attempts that it rests on. It
// must be complete: every play has exactly one attempt that counts, and the
// capture lost nothing.
func (d *device) report() (results.Report, []attempt) {
	d.t.Helper()
	r, err := results.View(d.t.Context(), d.folder)
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Close()
	spec, err := frozenSpec(r)
	if err != nil {
		d.t.Fatal(err)
	}
	words := map[results.TrialID]string{}
	for _, trial := range r.Trials() {
		words[trial.ID] = trial.Word
	}
	var attempts []attempt
	for a, err := range r.Attempts() {
		if err != nil {
			d.t.Fatal(err)
		}
		attempts = append(attempts, attempt{a, words[a.Play.Trial]})
	}
	slices.SortFunc(attempts, func(a, b attempt) int { return a.Wall.Compare(b.Wall) })
	for _, a := range attempts {
		d.t.Logf("%s %s, play %s: %v %s %+v", a.Wall.Format(time.TimeOnly), a.word, a.Play,
			a.State, a.Detail, spec.Rules().Judge(a.Sound, a.Observations).Readings)
		for _, o := range a.Observations {
			if o.Dropped > 0 {
				d.t.Errorf("%d packets dropped in play %s", o.Dropped, a.Play)
			}
		}
	}
	report, err := results.Tally(r, spec.Judging())
	if err != nil {
		d.t.Fatal(err)
	}
	if t := report.Totals; t.Measured != t.Planned {
		d.t.Errorf("the campaign is not complete: %+v", t)
	}
	if n := countingAttempts(d.t, d.folder); n != report.Totals.Planned {
		d.t.Errorf("%d plays have an attempt that counts, want %d", n, report.Totals.Planned)
	}
	return report, attempts
}

// attempt is a stored one, with its word.
type attempt struct {
	results.Attempt
	word string
}

// seen counts the plays in which each oracle saw a reaction.
type seen struct{ light, traffic int }

// byWord is what each oracle read, of words and controls.
func byWord(report results.Report) map[string]seen {
	words := map[string]seen{}
	for _, row := range append(report.Words, report.Controls...) {
		s := words[row.Trial.Word]
		for _, by := range row.ByOracle {
			switch by.Oracle {
			case light.Name:
				s.light += by.Reacted
			case traffic.Name:
				s.traffic += by.Reacted
			}
		}
		words[row.Trial.Word] = s
	}
	return words
}
