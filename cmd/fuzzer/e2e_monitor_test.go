//go:build e2e

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"wakefuzz/internal/virtualspeaker/bed"
)

// A monitor tells of each device's uploads as they happen, goes on when its
// interface was down, and knows after a restart what it had seen.
func TestMonitorDevices(t *testing.T) {
	d := household(t)
	folder := filepath.Join(t.TempDir(), "monitor")
	args := []string{"monitor", "--interface", bed.Interface, "--dir", folder, "--format", "jsonl"}
	say := func(word string) {
		t.Helper()
		clip := filepath.Join(t.TempDir(), "word.wav")
		if out, err := exec.Command("flite", "-voice", "kal16", "-t", word, "-o", clip).CombinedOutput(); err != nil {
			t.Fatalf("flite: %v: %s (run: make setup)", err, out)
		}
		if out, err := d.Command(t.Context(), "paplay", "--device="+bed.Sink, "--latency-msec=200", clip).CombinedOutput(); err != nil {
			t.Fatalf("paplay: %v: %s", err, out)
		}
	}
	// told is how often the program has told of each device.
	told := func(p *process) map[string]int {
		counts := map[string]int{}
		for line := range strings.Lines(p.out.String()) {
			var event struct {
				Event, Device string
				Bytes         int64
			}
			if json.Unmarshal([]byte(line), &event) == nil && event.Event == "activation" && event.Bytes > 30_000 {
				counts[event.Device]++
			}
		}
		return counts
	}
	watching := d.fuzzer(args...)
	d.awaitWord(watching, "watching")
	say("alexa")
	d.await(watching, "a speaker and the camera", func() bool {
		n := told(watching)
		return n[bed.MAC(0)] == 1 && n[bed.MAC(2)] == 1
	})
	for _, step := range []string{"down", "up"} {
		if out, err := d.Command(t.Context(), "ip", "link", "set", bed.Interface, step).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		d.awaitWord(watching, map[string]string{"down": "nothing is captured", "up": "goes on"}[step])
	}
	say("hey jarvis")
	d.await(watching, "the other speaker and the camera", func() bool {
		n := told(watching)
		return n[bed.MAC(0)] == 1 && n[bed.MAC(1)] == 1 && n[bed.MAC(2)] == 2
	})
	if err := watching.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-watching.ended

	again := d.fuzzer(args...)
	d.awaitWord(again, "watching")
	say("alexa")
	d.await(again, "a speaker and the camera", func() bool { return told(again)[bed.MAC(0)] == 1 && told(again)[bed.MAC(2)] == 1 })
	if err := again.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	out := again.finish(t)
	want := map[string]int{bed.MAC(0): 2, bed.MAC(1): 1, bed.MAC(2): 3, bed.MAC(3): 0}
	for line := range strings.Lines(out.stdout) {
		var event struct {
			Event, Device string
			Activations   int
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		if n, ok := want[event.Device]; ok && event.Event == "device" {
			if event.Activations != n {
				t.Errorf("%s: %d activations in all, want %d", event.Device, event.Activations, n)
			}
			delete(want, event.Device)
		}
	}
	if len(want) > 0 {
		t.Errorf("the summary lacks %v:\n%s", want, out.stdout)
	}
	t.Logf("%s\n%s", out.stderr, out.stdout)
}
