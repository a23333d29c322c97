package dataset

import (
	"context"
	"sync"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/oracle/traffic/live"
)

// Tap keeps the frames that a recorder of traffic reads, until they are taken.
type Tap struct {
	Keep capture.Keep
	// Pair reads the bench's clock and the wall clock.
	Pair func() bench.Pair

	mu     sync.Mutex
	frames []tapped
	latest bench.Instant
}

// tapped is a frame, and when it came.
type tapped struct {
	frame capture.Frame
	at    bench.Instant
}

// Listen is listen, with a tap in what it opens.
func (t *Tap) Listen(listen func(context.Context) (live.Source, error)) func(context.Context) (live.Source, error) {
	return func(ctx context.Context) (live.Source, error) {
		source, err := listen(ctx)
		if err != nil {
			return nil, err
		}
		return tappedSource{source, t}, nil
	}
}

type tappedSource struct {
	live.Source
	tap *Tap
}

func (s tappedSource) Next() (capture.Packet, error) {
	p, err := s.Source.Next()
	if err == nil {
		s.tap.add(s.Frame())
	}
	return p, err
}

// add keeps a copy of a frame, with its time on the bench's clock, which never
// steps back.
func (t *Tap) add(f capture.Frame) {
	pair := t.Pair()
	data := f.Data
	if t.Keep == capture.KeepHeaders {
		data = data[:f.Headers]
	}
	f.Data = append([]byte(nil), data...)
	f.Headers = min(f.Headers, len(f.Data))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latest = max(t.latest, min(pair.Instant(f.Time), pair.At))
	t.frames = append(t.frames, tapped{f, t.latest})
}

// take returns the frames from before the instant that were not taken yet.
func (t *Tap) take(until bench.Instant) []tapped {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for n < len(t.frames) && t.frames[n].at < until {
		n++
	}
	taken := t.frames[:n:n]
	t.frames = append([]tapped(nil), t.frames[n:]...)
	return taken
}
