//go:build e2e

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/virtualspeaker/bed"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
	"wakefuzz/results"
)

const e2eSpec = `
name: e2e
wake_word: alexa
words:
  lists: [none]
  include: [%s]
voices:
  - {engine: flite, name: kal16}
bench:
  player: {driver: speaker, device: %s, backend: pulseaudio}
  light: {driver: serial, port: %s, silence: 2s}
  traffic: {driver: capture, interface: %s, device: "%s"}
  settle: {quiet: 1s, limit: 30s}
protocol: {plays: %d}
controls: {every: %d, plays: 2, retry: 2s}
`

// device is a campaign against the bed's device.
type device struct {
	*bed.Bed
	t            *testing.T
	spec, folder string
}

func newDevice(t *testing.T, words string, plays, every int) *device {
	t.Helper()
	dir := t.TempDir()
	d := &device{Bed: bed.New(t, bed.Options{}), t: t, spec: filepath.Join(dir, "e2e.yaml"), folder: filepath.Join(dir, "campaign")}
	text := fmt.Appendf(nil, e2eSpec, words, bed.Sink, d.Light, bed.Interface, bed.DeviceMAC, plays, every)
	if err := os.WriteFile(d.spec, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return d
}

// fuzzer is the program on the gateway, where the device's packets pass.
func (d *device) fuzzer(args ...string) *exec.Cmd {
	d.t.Helper()
	program, err := exec.LookPath("fuzzer")
	if err != nil {
		d.t.Fatal(err)
	}
	cmd := d.Command(d.t.Context(), program, args...)
	cmd.Env = append(cmd.Env, environment...)
	return cmd
}

// await waits until the condition holds of the campaign as it is stored.
func (d *device) await(what string, holds func(*results.Reader) bool) {
	d.t.Helper()
	for deadline := time.Now().Add(4 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
		r, err := results.View(d.t.Context(), d.folder)
		if err != nil {
			continue // not there yet
		}
		held := holds(r)
		r.Close()
		if held {
			return
		}
	}
	d.t.Fatalf("waited in vain for %s", what)
}

func (d *device) awaitPlays(n int) {
	d.t.Helper()
	d.await(fmt.Sprintf("%d plays", n), func(r *results.Reader) bool {
		progress, err := r.Progress()
		if err != nil {
			d.t.Fatal(err)
		}
		done, _ := progress.Count()
		return done >= n
	})
}

// A campaign in real time, from the loudspeaker through the air of a sound
// server to a device that hears, lights its ring and uploads; killed in the
// middle and resumed.
func TestCampaignAgainstADevice(t *testing.T) {
	d := newDevice(t, "alexei, lexis, hexcel, banana, window, hello, potato, garden", 5, 4)
	first := d.fuzzer("run", d.spec, "--dir", d.folder)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	d.awaitPlays(12)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.Wait()

	out := finish(t, exitDone, d.fuzzer("resume", d.folder))
	t.Logf("%s\n%s", out.stderr, out.stdout)
	const planned = 5*9 + 2*2
	if n := countingAttempts(t, d.folder); n != planned {
		t.Errorf("%d plays have an attempt that counts, want %d", n, planned)
	}

	byLight, byTraffic := readings(t, d.folder)
	for word, want := range map[string]int{"alexa": 9, "banana": 0, "hello": 0, "window": 0} {
		if byLight[word] != want || byTraffic[word] != want {
			t.Errorf("%s: light %d, traffic %d; want %d by both", word, byLight[word], byTraffic[word], want)
		}
	}
}

// A device that is muted in mid-campaign is noticed and waited for; what it did
// not hear is no "no".
func TestMutedDeviceIsWaitedFor(t *testing.T) {
	d := newDevice(t, "alexei, banana", 2, 1)
	cmd := d.fuzzer("run", d.spec, "--dir", d.folder)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tell := func(command string) {
		if _, err := d.Speaker.Tell(command); err != nil {
			t.Fatal(err)
		}
	}
	d.awaitPlays(2)
	tell("mute")
	d.await("plays to be voided", func(r *results.Reader) bool {
		voids, err := r.Voids()
		if err != nil {
			t.Fatal(err)
		}
		return len(voids) > 0
	})
	tell("unmute")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	for _, want := range []string{`"alexa" no longer wakes the device`, "the device hears again"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it did not say %q:\n%s", want, said.String())
		}
	}
	r, err := results.View(t.Context(), d.folder)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec, err := frozenSpec(r)
	if err != nil {
		t.Fatal(err)
	}
	report, err := results.Tally(r, spec.Judging())
	if err != nil {
		t.Fatal(err)
	}
	if !report.Totals.Complete() || report.Totals.Voided == 0 {
		t.Errorf("totals %+v", report.Totals)
	}
	want := map[string]int{"alexei": 2, "banana": 0, "alexa": 2}
	for _, row := range append(report.Words, report.Controls...) {
		if row.Reacted != want[row.Trial.Word] {
			t.Errorf("%s, round %d: %d of %d", row.Trial.Word, row.Trial.Round, row.Reacted, row.Measured)
		}
	}
}

// readings counts the reactions that each oracle saw of the plays that
// count, by word.
func readings(t *testing.T, folder string) (byLight, byTraffic map[string]int) {
	t.Helper()
	r, err := results.View(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec, err := frozenSpec(r)
	if err != nil {
		t.Fatal(err)
	}
	words := map[results.TrialID]string{}
	for _, trial := range r.Trials() {
		words[trial.ID] = trial.Word
	}
	seen := map[string]map[string]int{light.Name: {}, traffic.Name: {}}
	for a, err := range r.Attempts() {
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range a.Observations {
			if o.Dropped > 0 {
				t.Errorf("%d packets dropped in play %s", o.Dropped, a.Play)
			}
		}
		if a.State == bench.Unmeasured {
			continue
		}
		for _, reading := range spec.Rules().Judge(a.Sound, a.Observations).Readings {
			if reading.State == bench.Reacted {
				seen[reading.Oracle][words[a.Play.Trial]]++
			}
		}
	}
	return seen[light.Name], seen[traffic.Name]
}
