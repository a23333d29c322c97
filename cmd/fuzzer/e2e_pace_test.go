//go:build e2e

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/virtualspeaker/bed"
	"wakefuzz/results"
)

const pacedSpec = `
name: paced
wake_word: alexa
words:
  lists: [none]
  include: [banana]
voices:
  - {engine: flite, name: kal16}
bench:
  player: {driver: speaker, device: %s, backend: pulseaudio}
  light: {driver: serial, port: %s, silence: 2s}
  traffic: {driver: capture, interface: %s, device: "%s"}
protocol:
  plays: 3
  pace: {kind: fixed, rest: 4s, stretch: 24s}
`

// Trials at the paper's pace, with shorter stretches, on a device that chatters
// ten times as often as an Echo; killed in the middle of one and resumed.
func TestDeviceAtFixedPace(t *testing.T) {
	t.Parallel()
	const plays = 3
	home := bed.New(t, bed.Options{Haste: 10})
	dir := t.TempDir()
	spec, folder := filepath.Join(dir, "paced.yaml"), filepath.Join(dir, "campaign")
	text := fmt.Appendf(nil, pacedSpec, bed.Sink, home.Light, bed.Interface, bed.DeviceMAC)
	if err := os.WriteFile(spec, text, 0o644); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("fuzzer")
	if err != nil {
		t.Fatal(err)
	}
	fuzzer := func(args ...string) *exec.Cmd {
		cmd := home.Command(t.Context(), program, args...)
		cmd.Env = append(cmd.Env, environment...)
		return cmd
	}
	// view reads the campaign as it is stored.
	view := func(read func(*results.Reader)) {
		r, err := results.View(t.Context(), folder)
		if err != nil {
			return // not there yet
		}
		defer r.Close()
		read(r)
	}

	first := fuzzer("run", spec, "--dir", folder)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	for done, deadline := 0, time.Now().Add(4*time.Minute); done <= plays; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for the second trial")
		}
		view(func(r *results.Reader) {
			progress, err := r.Progress()
			if err != nil {
				t.Fatal(err)
			}
			done, _ = progress.Count()
		})
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	out, err := fuzzer("resume", folder).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}

	var report results.Report
	view(func(r *results.Reader) {
		frozen, err := frozenSpec(r)
		if err != nil {
			t.Fatal(err)
		}
		if report, err = results.Tally(r, frozen.Judging()); err != nil {
			t.Fatal(err)
		}
		// The sounds of a trial that counts, and what was captured around them.
		var sounds []bench.Span
		for a, err := range r.Attempts() {
			if err != nil {
				t.Fatal(err)
			}
			if a.Session == 2 {
				sounds = append(sounds, a.Sound)
			}
		}
		if len(sounds) < plays {
			t.Fatalf("%d plays in the second session, want the trial that was cut off", len(sounds))
		}
		sounds = sounds[len(sounds)-plays:] // a busy machine may have spoilt a trial before
		for i := range sounds[1:] {
			t.Logf("play %d began %v after the one before", i+2, sounds[i+1].Start.Sub(sounds[i].Start))
		}
	})
	if totals := report.Totals; totals.Measured != 2*plays || !totals.Complete() || totals.Voided == 0 {
		t.Errorf("totals %+v", totals)
	}
	least := 1 / float64(report.Background.Windows+1)
	for _, row := range append(report.Words, report.Controls...) {
		got := row.Trials[0]
		t.Logf("%s: %d of %d; traffic p %.4f, at least %.4f; t-test %v, p %.4f %s",
			row.Trial.Word, row.Reacted, row.Measured, row.P, least, got.State, got.P, got.Inapplicable)
		// Of a word that doesn't wake it any p is as likely as another.
		if wake := row.Trial.Word == "alexa"; wake && row.P != least || row.P < least {
			t.Errorf("%s: p %.4f among %+v", row.Trial.Word, row.P, report.Background)
		}
		// That the t-test applies is for this test to say. What it finds in three
		// plays and 24 s depends on the chatter between them.
		if want := map[string]int{"alexa": plays}[row.Trial.Word]; got.State == bench.Unmeasured || row.Reacted != want {
			t.Errorf("%s: %d reactions, want %d; t-test %v %s", row.Trial.Word, row.Reacted, want, got.State, got.Inapplicable)
		}
	}
}
