//go:build e2e

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"wakefuzz/internal/virtualspeaker"
	"wakefuzz/internal/virtualspeaker/bed"
	"wakefuzz/tts"
)

const scanSpec = `
name: e2e
interface: %s
player: {driver: speaker, device: %s, backend: pulseaudio}
probes:
  wake_words: [alexa, hey jarvis]
  sounds: [glass.wav]
  random: {words: 3}
pace: {rest: 6s, stretch: 24s, every: 8s}
confirm: 1
`

// household is a home with two speakers of different makes, a camera that tells
// of any noise, and a smoke alarm.
func household(t *testing.T) *device {
	t.Helper()
	return newDevice(t, night{words: "banana", plays: 2, bed: bed.Options{Devices: []bed.Device{
		{Model: "alexa_v0.1"},
		{Model: "hey_jarvis_v0.1"},
		{Model: virtualspeaker.AnySound, Background: virtualspeaker.CameraBackground},
		{Model: virtualspeaker.NoSound, Background: virtualspeaker.AlarmBackground},
	}}})
}

// A scan tells what each device reacts to, though it is killed in the middle.
func TestScanDevices(t *testing.T) {
	d := household(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "scan.yaml")
	write(t, file, fmt.Appendf(nil, scanSpec, bed.Interface, bed.Sink))
	glass, err := os.Create(filepath.Join(dir, "glass.wav"))
	if err != nil {
		t.Fatal(err)
	}
	if err := tts.EncodeWAV(glass, crash()); err != nil {
		t.Fatal(err)
	}
	glass.Close()
	folder := filepath.Join(dir, "scan")
	args := []string{"scan", file, "--dir", folder, "--format", "json"}

	killed := d.fuzzer(args...)
	rounds := func() int {
		done, err := filepath.Glob(filepath.Join(folder, "rounds", "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		return len(done)
	}
	d.await(killed, "two rounds", func() bool { return rounds() >= 2 })
	time.Sleep(5 * time.Second) // into the third
	if err := killed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-killed.ended

	out := d.fuzzer(args...).finish(t)
	t.Logf("%s", out.stderr)
	var report scanned
	if err := json.Unmarshal([]byte(out.stdout), &report); err != nil {
		t.Fatalf("%v\n%s", err, out.stdout)
	}
	want := map[string][]string{
		bed.MAC(0): {"alexa"},
		bed.MAC(1): {"hey jarvis"},
		bed.MAC(2): {"alexa", "hey jarvis", filepath.Join(dir, "glass.wav"), ""},
		bed.MAC(3): nil,
	}
	for _, found := range report.Devices {
		var to []string
		for _, p := range found.Probes {
			if p.Reacts {
				to = append(to, p.Probe)
			}
			if p.Reacts && !p.Confirmed { // section 4.1.2: repeated on a first reaction
				t.Errorf("%s to %q was not probed again", found.Device, p.Probe)
			}
		}
		t.Logf("%+v", found)
		if !slices.Equal(to, want[found.Device]) || found.Reacts != (len(to) > 0) {
			t.Errorf("%s reacts: %v, to %q, want %q", found.Device, found.Reacts, to, want[found.Device])
		}
		delete(want, found.Device)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	// Nothing is played twice, and a report plays nothing.
	if again := d.fuzzer(args...).finish(t); again.stdout != out.stdout {
		t.Errorf("another run says\n%s", again.stdout)
	}
}

// crash is a burst of noise that dies away, as that of breaking glass does.
func crash() tts.Clip {
	clip := tts.Clip{Samples: make([]int16, tts.SampleRate)}
	state := uint32(1)
	for i := range clip.Samples {
		state = state*1664525 + 1013904223
		left := len(clip.Samples) - i
		clip.Samples[i] = int16(int(int16(state>>16)) * left / len(clip.Samples) / 2)
	}
	return clip
}
