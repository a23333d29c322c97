package light

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle"
)

const (
	// memory is how many changes are kept, 1 MB of them: at the 5 a second of
	// a ring that spins, three and a half hours.
	memory = 1 << 16
	// busiest is how many changes a record may hold. A ring makes some dozens;
	// a comparator that makes thousands needs its trimmer turned.
	busiest = 4096
	// A sensor that failed is opened again after the shorter pause, which
	// doubles up to the longer one while it goes on failing.
	shortPause = 250 * time.Millisecond
	longPause  = 5 * time.Second
)

// Setup is what a recorder needs.
type Setup struct {
	Sensor   Sensor
	Polarity Polarity
	// Window is how long after the end of a sound the light is watched, such
	// as Rule.Watch of the rule that will judge.
	Window time.Duration
	// Now is the bench's clock, which is the sensor's too.
	Now func() bench.Instant
}

// Recorder watches a light all the time, and remembers. It implements
// [oracle.Oracle].
//
// A sensor that fails, or falls silent for longer than its lag, is closed and
// opened again. Any span that it was not watching throughout is a fault of the
// oracle, and never reads as dark.
type Recorder struct {
	setup Setup
	end   context.CancelFunc
	ended chan struct{}

	mu      sync.Mutex
	changed chan struct{} // closed at the next report or failure
	history history
	broken  error // why the history goes back no further
}

var _ oracle.Oracle = (*Recorder)(nil)

// history is what an unbroken watch has seen, from its first report to its
// last. No edge means that there was none yet.
type history struct {
	edges   []bench.Edge
	through bench.Instant
}

// Open begins to record, and returns once the sensor has reported for the
// first time. The error is why it could not.
func Open(ctx context.Context, setup Setup) (*Recorder, error) {
	if err := setup.Polarity.Validate(); err != nil {
		return nil, fmt.Errorf("light: %w", err)
	}
	recording, end := context.WithCancel(context.WithoutCancel(ctx))
	r := &Recorder{setup: setup, end: end, ended: make(chan struct{}), changed: make(chan struct{})}
	go func() {
		defer close(r.ended)
		r.record(recording)
	}()
	for {
		r.mu.Lock()
		changed, seen, failure := r.changed, len(r.history.edges) > 0, r.broken
		r.mu.Unlock()
		switch {
		case seen:
			return r, nil
		case failure != nil:
			r.Close()
			return nil, fmt.Errorf("light: %w", failure)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			r.Close()
			return nil, fmt.Errorf("light: waiting for the sensor's first report: %w", ctx.Err())
		}
	}
}

// Close ends the recording and closes the sensor. Observe then finds nothing
// new.
func (r *Recorder) Close() {
	r.end()
	<-r.ended
}

// Name is Name.
func (r *Recorder) Name() string { return Name }

// Window is the setup's.
func (r *Recorder) Window() time.Duration { return r.setup.Window }

// record watches until ctx ends, again and again where the sensor fails.
func (r *Recorder) record(ctx context.Context) {
	pause := shortPause
	for ctx.Err() == nil {
		began := r.setup.Now()
		err := r.watch(ctx)
		r.forget(err)
		if r.setup.Now().Sub(began) > longPause {
			pause = shortPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longPause)
	}
}

// watch watches once, until the sensor fails, falls silent or steps back in
// time, and returns why.
func (r *Recorder) watch(ctx context.Context) error {
	watching, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lag := r.setup.Sensor.Timing().Lag
	var silence *time.Timer
	err := r.setup.Sensor.Watch(watching, func(l Level) {
		if silence == nil {
			silence = time.AfterFunc(lag, func() {
				cancel(fmt.Errorf("the sensor reported nothing for %v", lag))
			})
		}
		silence.Reset(lag)
		if err := r.add(l); err != nil {
			cancel(err)
		}
	})
	if silence != nil {
		silence.Stop()
	}
	if cause := context.Cause(watching); cause != nil {
		return cause
	}
	if err == nil {
		return errors.New("the sensor stopped watching, without a reason")
	}
	return err
}

// add remembers a report.
func (r *Recorder) add(l Level) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &r.history
	if len(h.edges) > 0 && l.At < h.through {
		return fmt.Errorf("the sensor reported a change %v before what it had reported already", h.through.Sub(l.At))
	}
	lit := r.setup.Polarity.Lit(l.High)
	if len(h.edges) == 0 || h.edges[len(h.edges)-1].Lit != lit {
		if len(h.edges) == memory {
			h.edges = append(h.edges[:0], h.edges[memory/2:]...)
			r.broken = fmt.Errorf("it has changed %d times since, too often to be remembered", memory/2)
		}
		h.edges = append(h.edges, bench.Edge{At: l.At, Lit: lit})
	}
	h.through = l.At
	r.announce()
	return nil
}

// forget drops the history: what follows is not joined to it.
func (r *Recorder) forget(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = history{}
	r.broken = why
	r.announce()
}

// announce wakes those who wait for news. The caller holds the lock.
func (r *Recorder) announce() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Observe returns the light's changes from Lookback before the span, where the
// record goes back so far, to the span's end. It waits until the sensor has
// reported past that end, or is late to do so. An error means that ctx ended,
// or that the span ends before it starts.
func (r *Recorder) Observe(ctx context.Context, watched bench.Span) (bench.Observation, error) {
	if watched.End < watched.Start {
		return bench.Observation{}, fmt.Errorf("light: asked to observe a span that ends %v before it starts", -watched.Duration())
	}
	late := watched.End.Add(r.setup.Sensor.Timing().Lag)
	for {
		if err := ctx.Err(); err != nil {
			return bench.Observation{}, err
		}
		r.mu.Lock()
		changed, now := r.changed, r.setup.Now()
		if known := r.history.through >= watched.End && now >= watched.End; known || now >= late {
			defer r.mu.Unlock()
			return r.observation(watched), nil
		}
		r.mu.Unlock()
		wait := late.Sub(now)
		if now < watched.End {
			wait = watched.End.Sub(now)
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// observation is what is known of the span. The caller holds the lock.
func (r *Recorder) observation(watched bench.Span) bench.Observation {
	o := bench.Observation{Oracle: Name, Watched: watched}
	fault := func(format string, args ...any) bench.Observation {
		o.Fault, o.Detail = bench.FaultOracle, "light: "+fmt.Sprintf(format, args...)
		return o
	}
	h := r.history
	switch {
	case len(h.edges) == 0:
		return fault("%v", r.broken)
	case h.edges[0].At > watched.Start && r.broken != nil:
		return fault("the record begins %v into the span: %v", h.edges[0].At.Sub(watched.Start), r.broken)
	case h.edges[0].At > watched.Start:
		return fault("the record begins %v into the span, when it was opened", h.edges[0].At.Sub(watched.Start))
	case h.through < watched.End:
		return fault("the sensor has reported nothing of the last %v", watched.End.Sub(h.through))
	}
	o.Watched.Start = max(watched.Start.Add(-Lookback), h.edges[0].At)
	// The edge that says what the light was at the start: the last one not after it.
	first, _ := slices.BinarySearchFunc(h.edges, o.Watched.Start, func(e bench.Edge, start bench.Instant) int {
		if e.At <= start {
			return -1
		}
		return 1
	})
	first--
	end := first + 1
	for end < len(h.edges) && h.edges[end].At < watched.End {
		end++
	}
	if n := end - first; n > busiest {
		return fault("it changed %d times in %v: turn the trimmer of the comparator, or shade the sensor", n, o.Watched.Duration())
	}
	o.Edges = slices.Clone(h.edges[first:end])
	o.Edges[0].At = o.Watched.Start
	return o
}
