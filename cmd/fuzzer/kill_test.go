package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/results"
)

// kills is how many times the program is killed, each time at a random moment
// of its life.
const kills = 50

const killSpec = `
name: killed
wake_word: alexa
words:
  lists: [none]
  include: [alexei, lexus, elixir, vexed, next, hello, banana]
voices:
  - {engine: flite, name: kal16}
bench:
  workers: %d
  engine: {driver: openwakeword, model: alexa_v0.1}
`

// A power cut at any moment loses no stored play and repeats none: every
// planned play ends up with exactly one attempt that counts, and the exported
// CSV is that of an uninterrupted run, byte for byte, with 1 worker and with 2.
func TestKilledAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	specs := map[int]string{}
	for _, workers := range []int{1, 2} {
		specs[workers] = filepath.Join(dir, fmt.Sprintf("%d.yaml", workers))
		if err := os.WriteFile(specs[workers], fmt.Appendf(nil, killSpec, workers), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	whole := filepath.Join(dir, "whole")
	began := time.Now()
	output(t, command(t, "run", specs[1], "--dir", whole))
	takes := time.Since(began)
	want := output(t, command(t, "export", whole, "--format", "csv"))
	const planned = 80
	if n := countingAttempts(t, whole); n != planned {
		t.Fatalf("%d plays in the uninterrupted run, want %d", n, planned)
	}

	killed, campaigns := 0, 0
	for killed < kills {
		campaigns++
		folder := filepath.Join(dir, fmt.Sprintf("killed-%d", campaigns))
		for life := 1; ; life++ {
			workers := 1 + (killed+life)%2
			// Not all lives end before their work is done: that is a moment too.
			lifetime := time.Duration(rand.Int64N(int64(takes) / 3))
			if killed >= kills {
				lifetime = time.Minute
			}
			finished, wasKilled := runFor(t, lifetime, command(t, "run", specs[workers], "--dir", folder))
			if wasKilled {
				killed++
			}
			if finished {
				break
			}
		}
		if n := countingAttempts(t, folder); n != planned {
			t.Errorf("campaign %d: %d plays have an attempt that counts, want %d", campaigns, n, planned)
		}
		if got := output(t, command(t, "export", folder, "--format", "csv")); got != want {
			t.Errorf("campaign %d, killed again and again:\n%s\nuninterrupted:\n%s", campaigns, got, want)
		}
	}
	t.Logf("killed %d times in %d campaigns; a whole run takes %v", killed, campaigns, takes)
}

const killProtocolSpec = `
name: killed
wake_word: alexa
words: {phonemes: [5, 6], order: phonemes, limit: 120}
voices:
  - {engine: flite, name: kal16}
bench:
  workers: %d
  engine: {driver: openwakeword, model: alexa_v0.1}
controls: {negative_every: 10}
protocol: %s
`

// Where the plan depends on what was found so far, it is still the same however
// often the program is killed, and so is the exported CSV, byte for byte, with 1
// worker and with 2.
func TestKilledInAnyProtocol(t *testing.T) {
	const seed, kills = 7, 5
	protocols := []struct{ name, protocol string }{
		{"rounds", "{kind: rounds, plays: 3, rounds: {screens: [1, 1]}}"},
		{"sweep", "{kind: sweep, plays: 3, gap: 1s, sweep: {passes: 2, segment: 8, batch: 60, alone: 2}}"},
		{"sweep that may stop", "{kind: sweep, plays: 5, stop_at: 3, gap: 1s, sweep: {segment: 8, batch: 60, alone: 1}}"},
		{"guided", "{kind: guided, plays: 3, guided: {words: 60, batch: 20}}"},
		{"guided in segments", "{kind: guided, plays: 3, gap: 1s, guided: {words: 60, batch: 20, segment: 5, alone: 1}}"},
	}
	for number, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			moments := rand.New(rand.NewPCG(seed, uint64(number)))
			dir := t.TempDir()
			specs := map[int]string{}
			for _, workers := range []int{1, 2} {
				specs[workers] = filepath.Join(dir, fmt.Sprintf("%d.yaml", workers))
				write(t, specs[workers], fmt.Appendf(nil, killProtocolSpec, workers, p.protocol))
			}
			whole := filepath.Join(dir, "whole")
			began := time.Now()
			output(t, command(t, "run", specs[2], "--dir", whole))
			takes := time.Since(began)
			want := output(t, command(t, "export", whole, "--format", "csv"))
			planned := countingAttempts(t, whole)
			if hits := strings.Count(want, ",true,"); hits < 5 {
				t.Errorf("%d hits, which is not enough to say much:\n%s", hits, want)
			}

			folder := filepath.Join(dir, "killed")
			killed, lives := 0, 0
			for finished := false; !finished; {
				lives++
				lifetime := time.Minute
				if killed < kills {
					// A life begins with 0.3 s of reading; what is left of it is work.
					lifetime = 300*time.Millisecond + time.Duration(moments.Int64N(int64(takes)/2))
				}
				var dead bool
				finished, dead = runFor(t, lifetime, command(t, "run", specs[1+lives%2], "--dir", folder))
				if dead {
					killed++
				}
			}
			if n := countingAttempts(t, folder); n != planned {
				t.Errorf("%d plays have an attempt that counts, want %d", n, planned)
			}
			if got := output(t, command(t, "export", folder, "--format", "csv")); got != want {
				t.Errorf("killed %d times:\n%s\nuninterrupted:\n%s", killed, got, want)
			}
			t.Logf("killed %d times; a whole run of %d plays takes %v", killed, planned, takes)
		})
	}
}

// runFor runs the command and kills it when its lifetime is over.
func runFor(t *testing.T, lifetime time.Duration, cmd *exec.Cmd) (finished, killed bool) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), lifetime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	stop()
	if err != nil && ctx.Err() == nil {
		t.Fatalf("%v:\n%s", err, stderr.String())
	}
	return err == nil, err != nil
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, stderr.String())
	}
	return string(out)
}

// countingAttempts counts the plays of a campaign that have an attempt that
// counts, and fails where a play has more than one that was measured and is not
// void.
func countingAttempts(t *testing.T, dir string) int {
	t.Helper()
	r, err := results.View(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	voids, err := r.Voids()
	if err != nil {
		t.Fatal(err)
	}
	measured := map[results.PlayID]int{}
	for a, err := range r.Attempts() {
		if err != nil {
			t.Fatal(err)
		}
		void := slices.ContainsFunc(voids, func(v results.Void) bool { return v.Play == a.Play && v.Number == a.Number })
		if a.State != bench.Unmeasured && !void {
			measured[a.Play]++
		}
	}
	for play, n := range measured {
		if n != 1 {
			t.Errorf("play %s was measured %d times", play, n)
		}
	}
	return len(measured)
}
