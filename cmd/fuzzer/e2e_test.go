//go:build e2e

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
  include: [alexei, lexis, hexcel, banana, window, hello, potato, garden]
voices:
  - {engine: flite, name: kal16}
bench:
  player: {driver: speaker, device: %s, backend: pulseaudio}
  light: {driver: serial, port: %s, silence: 2s}
  traffic: {driver: capture, interface: %s, device: "%s"}
  settle: {quiet: 1s, limit: 30s}
protocol: {plays: 5}
controls: {every: 4, plays: 2, retry: 2s}
`

// A campaign in real time, from the loudspeaker through the air of a sound
// server to a device that hears, lights its ring and uploads; killed in the
// middle and resumed.
func TestCampaignAgainstADevice(t *testing.T) {
	b := bed.New(t, bed.Options{})
	dir := t.TempDir()
	spec := filepath.Join(dir, "e2e.yaml")
	if err := os.WriteFile(spec, fmt.Appendf(nil, e2eSpec, bed.Sink, b.Light, bed.Interface, bed.DeviceMAC), 0o644); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("fuzzer")
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "campaign")
	onGateway := func(args ...string) *exec.Cmd {
		cmd := b.Command(t.Context(), program, args...)
		cmd.Env = append(cmd.Env, environment...)
		return cmd
	}

	// Killed after some plays, wherever it is then.
	first := onGateway("run", spec, "--dir", folder)
	var said bytes.Buffer
	first.Stderr = &said
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	for measured := 0; measured < 12; {
		time.Sleep(time.Second)
		if r, err := results.View(t.Context(), folder); err == nil {
			progress, err := r.Progress()
			if err != nil {
				t.Fatal(err)
			}
			measured, _ = progress.Count()
			r.Close()
		}
		if first.ProcessState != nil || t.Context().Err() != nil {
			t.Fatalf("the campaign ended early: %s", said.String())
		}
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.Wait()

	out := finish(t, exitDone, onGateway("resume", folder))
	t.Logf("%s\n%s", out.stderr, out.stdout)
	const planned = 5*9 + 2*2
	if n := countingAttempts(t, folder); n != planned {
		t.Errorf("%d plays have an attempt that counts, want %d", n, planned)
	}

	byLight, byTraffic := e2eReadings(t, folder)
	for word, want := range map[string]int{"alexa": 9, "banana": 0, "hello": 0, "window": 0} {
		if byLight[word] != want || byTraffic[word] != want {
			t.Errorf("%s: light %d, traffic %d; want %d by both", word, byLight[word], byTraffic[word], want)
		}
	}
}

// e2eReadings counts the reactions that each oracle saw of the plays that
// count, by word.
func e2eReadings(t *testing.T, folder string) (byLight, byTraffic map[string]int) {
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
