package pulse_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/bench"
	"wakefuzz/internal/pulse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) *pulse.Server {
	t.Helper()
	s, err := pulse.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A recording of a sink that nobody plays to is silence, and as long as it
// took.
func TestRecord(t *testing.T) {
	sink, err := start(t).AddSink("quiet", pulse.Telephone)
	if err != nil {
		t.Fatal(err)
	}
	clock := bench.NewClock()
	before := clock.Now()
	recorder, err := sink.Record(clock)
	if err != nil {
		t.Fatal(err)
	}
	begun := clock.Now()
	time.Sleep(300 * time.Millisecond)
	recording, err := recorder.Stop()
	if err != nil {
		t.Fatal(err)
	}
	after := clock.Now()
	if slices.ContainsFunc(recording.Samples, func(s int16) bool { return s != 0 }) {
		t.Error("a sink that nobody played to was heard")
	}
	const jitter = 10 * time.Millisecond
	end := recording.At(len(recording.Samples))
	if recording.Start < before.Add(-jitter) || recording.Start > begun.Add(jitter) || end > after.Add(jitter) {
		t.Errorf("the recording is from %d to %d; it was begun from %d to %d and ended at %d",
			recording.Start, end, before, begun, after)
	}
}

func TestRecordOfNothing(t *testing.T) {
	sink, err := start(t).AddSink("gone", pulse.Telephone)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := sink.Record(bench.NewClock()); err == nil {
		t.Error("a sink that is gone was recorded")
	}
	if err := sink.Remove(); err == nil || !strings.Contains(err.Error(), "pactl") {
		t.Errorf("removed twice: error %v", err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	s, err := pulse.Start()
	if err != nil {
		t.Fatal(err)
	}
	_, dir, _ := strings.Cut(s.Env()[len(s.Env())-1], "=")
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestMissingPrograms(t *testing.T) {
	t.Setenv("PATH", "")
	if _, err := pulse.Start(); err == nil || !strings.Contains(err.Error(), "apt-get install pulseaudio") {
		t.Errorf("error %v", err)
	}
}
