// Package oracletest is the conformance suite of oracles: what every
// [oracle.Oracle] promises, checked by observing. A driver's test calls [Run]
// with a real oracle.
package oracletest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"wakefuzz/bench"
	"wakefuzz/oracle"
)

// Bench is an oracle and what it watches.
type Bench struct {
	Oracle oracle.Oracle
	// Sound sounds something at the device, half a second or more, and returns
	// when, as a player would.
	Sound func(ctx context.Context) (bench.Span, error)
}

// Run checks that an oracle keeps its promises. It makes some ten sounds and
// observes each for the oracle's window; open opens a bench, and closes it when
// t ends.
func Run(t *testing.T, open func(t *testing.T) Bench) {
	t.Run("plays", func(t *testing.T) {
		b := open(t)
		name, window := b.Oracle.Name(), b.Oracle.Window()
		if name == "" {
			t.Error("the oracle has no name to file its observations under")
		}
		if window <= 0 {
			t.Errorf("the window is %v: the oracle would watch nothing", window)
		}
		for range 3 {
			watched := b.sound(t)
			b.observe(t, watched)
		}
		if b.Oracle.Name() != name || b.Oracle.Window() != window {
			t.Error("name or window changed while the oracle was in use")
		}
	})

	t.Run("an observation stays what it is", func(t *testing.T) {
		b := open(t)
		watched := b.sound(t)
		first := b.observe(t, watched)
		kept := first
		kept.Scores.Values, kept.Detections = slices.Clone(first.Scores.Values), slices.Clone(first.Detections)
		clear(first.Scores.Values) // the caller's own
		clear(first.Detections)
		if again := b.observe(t, watched); !reflect.DeepEqual(again, kept) {
			t.Errorf("the span was observed twice, first as %+v, then as %+v", kept, again)
		}
		values, detections := slices.Clone(kept.Scores.Values), slices.Clone(kept.Detections)
		b.observe(t, b.sound(t))
		if !reflect.DeepEqual(kept.Scores.Values, values) || !slices.Equal(kept.Detections, detections) {
			t.Error("the next play changed an observation that had been returned")
		}
	})

	t.Run("in parts", func(t *testing.T) {
		b := open(t)
		watched := b.sound(t)
		middle := watched.Start.Add(watched.Duration() / 2)
		first := b.observe(t, bench.Span{Start: watched.Start, End: middle})
		second := b.observe(t, bench.Span{Start: middle, End: watched.End})
		whole := b.observe(t, watched)
		if parts := slices.Concat(first.Scores.Values, second.Scores.Values); !slices.Equal(parts, whole.Scores.Values) {
			t.Errorf("two halves of a span were observed as %v, the whole as %v", parts, whole.Scores.Values)
		}
		if parts := slices.Concat(first.Detections, second.Detections); !slices.Equal(parts, whole.Detections) {
			t.Errorf("two halves of a span hold the detections %v, the whole %v", parts, whole.Detections)
		}
	})

	t.Run("no time at all", func(t *testing.T) {
		b := open(t)
		watched := b.sound(t)
		b.observe(t, bench.Span{Start: watched.Start, End: watched.Start})
	})

	t.Run("cancelled", func(t *testing.T) {
		b := open(t)
		watched := b.sound(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.Oracle.Observe(ctx, watched); !errors.Is(err, context.Canceled) {
			t.Errorf("under a cancelled context Observe returned %v, want %v", err, context.Canceled)
		}
		b.observe(t, watched) // the oracle is still of use
	})
}

// sound sounds something and returns the span in which it is to be observed.
func (b Bench) sound(t *testing.T) bench.Span {
	t.Helper()
	sound, err := b.Sound(t.Context())
	if err != nil {
		t.Fatalf("the bench can't sound anything: %v", err)
	}
	return bench.Span{Start: sound.Start, End: sound.End.Add(b.Oracle.Window())}
}

// observe observes the span, of which all must have been recorded.
func (b Bench) observe(t *testing.T, watched bench.Span) bench.Observation {
	t.Helper()
	o, err := b.Oracle.Observe(t.Context(), watched)
	if err != nil {
		t.Fatalf("Observe(%v): %v", watched, err)
	}
	if o.Fault != bench.NoFault {
		t.Fatalf("Observe(%v): fault %q: %s", watched, o.Fault, o.Detail)
	}
	if o.Oracle != b.Oracle.Name() {
		t.Errorf("the observation is filed under %q, the oracle's name is %q", o.Oracle, b.Oracle.Name())
	}
	if o.Watched.Start > watched.Start || o.Watched.End < watched.End {
		t.Errorf("asked for %v, the oracle watched %v only", watched, o.Watched)
	}
	for _, d := range o.Detections {
		if d < o.Watched.Start || d >= o.Watched.End {
			t.Errorf("a detection at %d is not in the watched span %v", d, o.Watched)
		}
	}
	if s := o.Scores; len(s.Values) > 0 {
		first, last := s.At(0), s.At(len(s.Values)-1)
		switch {
		case s.Step <= 0:
			t.Errorf("the scores are %v apart", s.Step)
		case first <= o.Watched.Start || last > o.Watched.End:
			t.Errorf("the scores from %d to %d leave the watched span %v", first, last, o.Watched)
		case first.Sub(o.Watched.Start) > s.Step || o.Watched.End.Sub(last) >= s.Step:
			t.Errorf("the scores from %d to %d leave out a part of the watched span %v", first, last, o.Watched)
		}
	}
	return o
}
