// Package lighttest is the conformance suite of light sensors: what every
// [light.Sensor] promises, checked by driving the pin that it watches. A
// driver's test calls [Run] with a real sensor.
package lighttest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle/light"
)

// Rig is a sensor, and the other end of what it watches.
type Rig struct {
	Sensor light.Sensor
	// Now is the clock that the sensor's instants are on.
	Now func() bench.Instant
	// Set drives the pin, and returns once it is high, or low.
	Set func(t *testing.T, high bool)
	// Changes is how many changes are made in a row, and Pace how far apart:
	// as many, and as fast, as the sensor must see every one of.
	Changes int
	Pace    time.Duration
}

// patience is how long anything may take that the suite waits for. It decides
// when a test has failed, and nothing else.
const patience = 30 * time.Second

// Run checks that a sensor keeps its promises. It takes Changes times Pace and
// a few seconds more; rig sets one up, and takes it down when t ends.
func Run(t *testing.T, rig func(t *testing.T) Rig) {
	t.Run("level at the beginning", func(t *testing.T) {
		r := rig(t)
		for _, high := range []bool{true, false, true} {
			r.Set(t, high)
			before := r.Now()
			w := r.watch(t)
			first := w.wait(t, "a first report", func([]light.Level) bool { return true })[0]
			if first.High != high {
				t.Errorf("the pin was high: %t, the first report says %t", high, first.High)
			}
			if first.At < before.Add(-r.Sensor.Timing().Error) {
				t.Errorf("the first report speaks of %v before the watch began", before.Sub(first.At))
			}
			w.end(t)
		}
	})

	t.Run("every change in order", func(t *testing.T) {
		r := rig(t)
		r.Set(t, false)
		w := r.watch(t)
		w.wait(t, "a first report", func([]light.Level) bool { return true })
		set := make([]bench.Instant, 0, r.Changes) // when each change was about to be made
		next := time.Now()
		for i := range r.Changes {
			next = next.Add(r.Pace)
			time.Sleep(time.Until(next))
			set = append(set, r.Now())
			r.Set(t, i%2 == 0)
		}
		// Until they are there, or something says that they will not come.
		over := r.Now().Add(2 * r.Sensor.Timing().Lag)
		levels := w.wait(t, "the last change", func(levels []light.Level) bool {
			return len(changes(levels)) >= r.Changes || levels[len(levels)-1].At > over
		})
		seen := changes(levels)
		if len(seen) != r.Changes {
			t.Fatalf("%d changes were made, %v apart, and %d were seen", r.Changes, r.Pace, len(seen))
		}
		for i, l := range seen {
			if l.High != (i%2 == 0) {
				t.Errorf("change %d: the pin is said to be high: %t", i+1, l.High)
			}
			if early := set[i].Sub(l.At); early > r.Sensor.Timing().Error {
				t.Errorf("change %d was seen %v before it was made", i+1, early)
			}
		}
		w.end(t)
		t.Logf("%d changes made, %v apart, and all seen", r.Changes, r.Pace)
	})

	t.Run("heard of while nothing changes", func(t *testing.T) {
		r := rig(t)
		r.Set(t, false)
		w := r.watch(t)
		until := r.Now().Add(2 * r.Sensor.Timing().Lag)
		levels := w.wait(t, "a report of the present", func(levels []light.Level) bool {
			return levels[len(levels)-1].At >= until
		})
		if n := len(changes(levels)); n > 0 {
			t.Errorf("nothing changed, and %d changes were reported", n)
		}
		w.end(t)
	})

	t.Run("ended and watched again", func(t *testing.T) {
		r := rig(t)
		for range 3 {
			w := r.watch(t)
			w.wait(t, "a first report", func([]light.Level) bool { return true })
			w.end(t)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Sensor.Watch(ended, func(light.Level) {}); !errors.Is(err, context.Canceled) {
			t.Errorf("under a cancelled context Watch returned %v, want %v", err, context.Canceled)
		}
	})

	t.Run("timing", func(t *testing.T) {
		timing := rig(t).Sensor.Timing()
		if timing.Source == "" || timing.Error < 0 || timing.Lag <= 0 {
			t.Errorf("the sensor says of its timing: %+v", timing)
		}
	})
}

// watch is a Watch under way, and what it has reported.
type watch struct {
	cancel context.CancelFunc
	ended  chan error

	mu     sync.Mutex
	levels []light.Level
	news   chan struct{} // holds a token where something was reported
}

func (r Rig) watch(t *testing.T) *watch {
	ctx, cancel := context.WithCancel(t.Context())
	w := &watch{cancel: cancel, ended: make(chan error, 1), news: make(chan struct{}, 1)}
	go func() { w.ended <- r.Sensor.Watch(ctx, w.report) }()
	return w
}

func (w *watch) report(l light.Level) {
	w.mu.Lock()
	w.levels = append(w.levels, l)
	w.mu.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// reported is what was reported so far.
func (w *watch) reported() []light.Level {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.levels)
}

// wait waits until what was reported is enough, and returns it.
func (w *watch) wait(t *testing.T, what string, enough func([]light.Level) bool) []light.Level {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case <-w.news:
			if levels := w.reported(); enough(levels) {
				return levels
			}
		case err := <-w.ended:
			t.Fatalf("waiting for %s: Watch returned %v", what, err)
		case <-timeout:
			t.Fatalf("waiting for %s: nothing within %v, of %d reports", what, patience, len(w.reported()))
		}
	}
}

// end ends the watch, which must end, and checks all that it reported.
func (w *watch) end(t *testing.T) {
	t.Helper()
	w.cancel()
	select {
	case err := <-w.ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Watch returned %v, want %v", err, context.Canceled)
		}
	case <-time.After(patience):
		t.Fatalf("Watch did not return within %v of the end of its context", patience)
	}
	levels := w.reported()
	for i := range levels[1:] {
		if back := levels[i].At.Sub(levels[i+1].At); back > 0 {
			t.Errorf("report %d steps back by %v", i+2, back)
		}
	}
}

// changes are the levels that differ from the one before.
func changes(levels []light.Level) []light.Level {
	var seen []light.Level
	for i := range levels[1:] {
		if levels[i].High != levels[i+1].High {
			seen = append(seen, levels[i+1])
		}
	}
	return seen
}
