package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
	"sync"
	"time"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/oracle"
	"wakefuzz/oracle/traffic"
)

const (
	// recent is how far back evidence goes.
	recent = 2 * time.Minute
	// maxGaps is how many gaps are remembered.
	maxGaps = 1 << 10
	// tick is how often the clocks are compared on a silent wire.
	tick = time.Second
	// A capture that failed is opened again after the shorter pause, which
	// doubles up to the longer one while it goes on failing.
	shortPause = 250 * time.Millisecond
	longPause  = 5 * time.Second
)

// Recorder captures all the time, and remembers. It implements
// [oracle.Oracle]. Its methods may be called from several goroutines, Close
// last.
type Recorder struct {
	setup   Setup
	end     context.CancelCauseFunc
	running sync.WaitGroup

	mu      sync.Mutex
	packets []bench.Packet  // in the order of time
	opened  bench.Instant   // when the record began
	drained bench.Instant   // what was before, Drain has returned
	since   bench.Instant   // nothing is remembered from before
	why     string          // why it isn't
	gaps    []gap           // in the order of their ends, and all after since
	down    *gap            // the gap that goes on, if one does
	read    bench.Pair      // when the clocks were last read
	frames  *capture.Recent // of the latest packets, one each
}

var _ oracle.Oracle = (*Recorder)(nil)

// gap is a span of which the record lacks something: packets that were dropped,
// a number of them, or for a reason given everything.
type gap struct {
	bench.Span
	dropped uint64
	why     string
}

// Open begins to capture. The error is why it can't.
func Open(ctx context.Context, setup Setup) (*Recorder, error) {
	if err := errors.Join(setup.Options.Validate(), setup.Rest.Validate()); err != nil {
		return nil, fmt.Errorf("traffic: %w", err)
	}
	if setup.Listen == nil {
		setup.Listen = setup.Options.Listen
	}
	recording, end := context.WithCancelCause(context.WithoutCancel(ctx))
	source, err := setup.Listen(recording)
	if err != nil {
		end(err)
		return nil, fmt.Errorf("traffic: %w", err)
	}
	r := &Recorder{setup: setup, end: end, read: setup.Pair(), why: "it was opened then"}
	r.opened, r.since, r.drained = r.read.At, r.read.At, r.read.At
	r.frames = capture.NewRecent(recent, setup.Options.Keep())
	r.running.Go(func() { r.record(recording, source) })
	r.running.Go(func() { r.compareClocks(recording) })
	return r, nil
}

// Close ends the capture. What was recorded can still be had.
func (r *Recorder) Close() {
	r.end(errors.New("the recorder was closed"))
	r.running.Wait()
}

// Name is traffic.Name.
func (r *Recorder) Name() string { return traffic.Name }

// Window is that of the setup.
func (r *Recorder) Window() time.Duration { return r.setup.Window }

// record captures until ctx ends, again and again where the capture fails.
func (r *Recorder) record(ctx context.Context, source Source) {
	pause := shortPause
	for {
		began := r.now()
		err := r.readAll(source)
		source.Close()
		r.goDown(err)
		if r.now().Sub(began) > longPause {
			pause = shortPause
		}
		for source = nil; source == nil; pause = min(2*pause, longPause) {
			if sleep(ctx, pause) != nil {
				return
			}
			if source, err = r.setup.Listen(ctx); err != nil {
				r.goDown(err)
			}
		}
		r.comeUp()
	}
}

// readAll remembers what the source gives, and returns why it ended.
func (r *Recorder) readAll(source Source) error {
	var dropped uint64
	counted := r.now() // when dropped was counted
	for {
		p, err := source.Next()
		stats := source.Stats()
		r.mu.Lock()
		pair := r.readClocks()
		at := pair.At
		if err == nil {
			at = r.add(p, pair)
			r.frames.Add(source.Frame())
		}
		if stats.Dropped > dropped {
			// There was room when the drops were last counted and, as packets
			// are dropped only while others wait, until this one came.
			r.addGap(gap{Span: bench.Span{Start: max(counted, at), End: pair.At + 1}, dropped: stats.Dropped - dropped})
		}
		r.mu.Unlock()
		if err != nil {
			return err
		}
		dropped, counted = stats.Dropped, pair.At
	}
}

// add remembers a packet, and returns when it came. The caller holds the lock.
func (r *Recorder) add(p capture.Packet, pair bench.Pair) bench.Instant {
	earliest := max(r.since, r.drained)
	if n := len(r.packets); n > 0 {
		earliest = max(earliest, r.packets[n-1].At)
	}
	at := max(earliest, min(pair.Instant(p.Time), pair.At))
	if len(r.packets) == Memory {
		r.packets = append(r.packets[:0], r.packets[Memory/2:]...)
		r.forget(r.packets[0].At, fmt.Sprintf("there have been %d packets since, and more are not remembered", Memory/2))
	}
	r.packets = append(r.packets, bench.Packet{At: at, Size: p.Size, Payload: p.Payload, Direction: direction(p.Direction)})
	return at
}

func direction(d capture.Direction) bench.Direction {
	switch d {
	case capture.Outgoing:
		return bench.Outgoing
	case capture.Incoming:
		return bench.Incoming
	default:
		return bench.DirectionUnknown
	}
}

// forget notes that nothing is known from before the instant. The caller holds
// the lock.
func (r *Recorder) forget(since bench.Instant, why string) {
	r.since, r.why = since, why
	r.gaps = slices.DeleteFunc(r.gaps, func(g gap) bool { return g.End <= since })
}

// addGap remembers a gap. The caller holds the lock.
func (r *Recorder) addGap(g gap) {
	if len(r.gaps) == maxGaps {
		r.forget(r.gaps[maxGaps/2].End, fmt.Sprintf("there have been %d gaps since, and more are not remembered", maxGaps/2))
	}
	r.gaps = append(r.gaps, g)
}

// goDown notes that the capture doesn't run, and why. What is noticed now may
// have happened Delay ago.
func (r *Recorder) goDown(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down == nil {
		r.down = &gap{Span: bench.Span{Start: r.readClocks().At.Add(-Delay), End: math.MaxInt64}}
	}
	r.down.why = fmt.Sprintf("nothing was captured: %v", why)
}

// comeUp notes that the capture runs again.
func (r *Recorder) comeUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down.End = r.readClocks().At
	r.addGap(*r.down)
	r.down = nil
}

// compareClocks keeps short what a step of the wall clock puts in doubt.
func (r *Recorder) compareClocks(ctx context.Context) {
	for sleep(ctx, tick) == nil {
		r.mu.Lock()
		r.readClocks()
		r.mu.Unlock()
	}
}

// readClocks reads both clocks, and notes a gap where the wall clock was set
// since they were last read. The caller holds the lock.
func (r *Recorder) readClocks() bench.Pair {
	pair := r.setup.Pair()
	// How far one pair would misplace the other's moment.
	if step := r.read.Instant(pair.Wall).Sub(pair.At); step.Abs() > MaxStep {
		r.addGap(gap{
			Span: bench.Span{Start: r.read.At + 1, End: pair.At + 1}, // that reading was still good
			why:  fmt.Sprintf("the wall clock was set by %v, so that packets can't be told apart; let chrony or another service keep it, without steps", step),
		})
	}
	r.read = pair
	return pair
}

func (r *Recorder) now() bench.Instant { return r.setup.Pair().At }

// Observe returns the packets from traffic.Lookback before the span, where the
// record goes back so far, to the span's end. It waits until Delay after that
// end. An error means that ctx ended, or that the span ends before it starts.
func (r *Recorder) Observe(ctx context.Context, watched bench.Span) (bench.Observation, error) {
	if watched.End < watched.Start {
		return bench.Observation{}, fmt.Errorf("traffic: asked to observe a span that ends %v before it starts", -watched.Duration())
	}
	if err := r.catchUp(ctx, watched.End); err != nil {
		return bench.Observation{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readClocks() // on a silent wire, a step may not have been noticed yet
	return r.observation(watched), nil
}

// catchUp waits until what came before the instant can all have been read.
func (r *Recorder) catchUp(ctx context.Context, until bench.Instant) error {
	if err := sleep(ctx, until.Sub(r.now())); err != nil {
		return err
	}
	// A process that was stopped finds its time over when it goes on, and its
	// packets not read yet. It gets the time again.
	for stopped := true; stopped; {
		before := r.now()
		if err := sleep(ctx, Delay); err != nil {
			return err
		}
		stopped = r.now().Sub(before) > 2*Delay
	}
	return nil
}

// observation is what is known of the span. The caller holds the lock.
func (r *Recorder) observation(watched bench.Span) bench.Observation {
	o := bench.Observation{Oracle: traffic.Name, Watched: watched}
	fault := func(format string, args ...any) bench.Observation {
		return bench.Observation{Oracle: traffic.Name, Watched: watched, Fault: bench.FaultOracle, Detail: "traffic: " + fmt.Sprintf(format, args...)}
	}
	if r.since > watched.Start {
		return fault("the record begins %v into the span: %s", r.since.Sub(watched.Start), r.why)
	}
	o.Watched.Start = max(watched.Start.Add(-traffic.Lookback), r.since)
	for _, g := range r.allGaps() {
		switch {
		case g.End <= watched.Start:
			o.Watched.Start = max(o.Watched.Start, g.End)
		case g.Start >= watched.End:
		case g.why != "":
			return fault("%s", g.why)
		default:
			o.Dropped += g.dropped
		}
	}
	o.Packets = slices.Clone(traffic.Between(r.packets, o.Watched))
	return o
}

// allGaps are those remembered and the one that goes on. The caller holds the
// lock.
func (r *Recorder) allGaps() []gap {
	if r.down == nil {
		return r.gaps
	}
	return append(slices.Clip(r.gaps), *r.down)
}

// Stretch is a span in which the capture was at work throughout.
type Stretch struct {
	Watched bench.Span
	// Packets are those of the span, in the order of time.
	Packets []bench.Packet
	// Dropped is how many packets at most are missing.
	Dropped uint64
}

// Drain returns the record from where it was last drained to the instant, or to
// now if that is earlier. What lies between two stretches was not watched: the
// capture was down, the wall clock was set, or more packets have come since
// than are remembered. Drain waits for what is still to be read; a packet that
// comes even later counts as of the first moment that was not drained, here and
// in what is observed from then on.
func (r *Recorder) Drain(until bench.Instant) []Stretch {
	until = min(until, r.now())
	if r.now() < until.Add(Delay) {
		_ = r.catchUp(context.Background(), until) // which nothing can end
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readClocks() // as Observe does
	whole := bench.Span{Start: max(r.drained, r.since), End: until}
	r.drained = max(r.drained, until)
	// Between two cuts, either all is lacking in the same way or nothing is.
	cuts := []bench.Instant{whole.Start, whole.End}
	gaps := r.allGaps()
	for _, g := range gaps {
		cuts = append(cuts, min(max(g.Start, whole.Start), whole.End), min(max(g.End, whole.Start), whole.End))
	}
	slices.Sort(cuts)
	var stretches []Stretch
	for i, start := range cuts[:len(cuts)-1] {
		s := Stretch{Watched: bench.Span{Start: start, End: cuts[i+1]}}
		if s.Watched.Duration() <= 0 {
			continue
		}
		down := false
		for _, g := range gaps {
			if g.Start < s.Watched.End && s.Watched.Start < g.End {
				down = down || g.why != ""
				s.Dropped += g.dropped
			}
		}
		if !down {
			s.Packets = append(s.Packets, traffic.Between(r.packets, s.Watched)...)
			stretches = append(stretches, s)
		}
	}
	return stretches
}

// Quiet waits until the device has sent below the rule's rate for the time
// given, and reports whether it did so within the limit. Time that is not on
// record is not quiet. An error means that ctx ended.
func (r *Recorder) Quiet(ctx context.Context, length, limit time.Duration) (bool, error) {
	deadline := r.now().Add(limit)
	for {
		now := r.now()
		settled := r.restless(now, length).Add(length + Delay)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case now >= settled:
			return true, nil
		case now >= deadline:
			return false, nil
		}
		if err := sleep(ctx, min(settled, deadline).Sub(now)); err != nil {
			return false, err
		}
	}
}

// restless is when, of late, the device was last sending at the rule's rate or
// nobody knows whether it was.
func (r *Recorder) restless(now bench.Instant, length time.Duration) bench.Instant {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.since
	for _, g := range r.allGaps() {
		last = max(last, min(g.End, now))
	}
	late := bench.Span{Start: now.Add(-length - Delay - r.setup.Rest.Window), End: math.MaxInt64}
	if busy, was := r.setup.Rest.LastBusy(traffic.Between(r.packets, late)); was {
		last = max(last, busy)
	}
	return last
}

// Evidence writes the frames of the packets in the span as a pcapng file with a
// comment. An error means that they are not all remembered, that the interface
// came back as one of another kind meanwhile, or that they can't be written.
func (r *Recorder) Evidence(w io.Writer, span bench.Span, comment string) error {
	frames, err := r.framesOf(span)
	if err != nil {
		return err
	}
	link := capture.LinkEthernet // of a file without frames
	if len(frames) > 0 {
		link = frames[0].Link
	}
	out, err := capture.NewWriter(w, link, r.setup.Options.Keep(), comment)
	if err != nil {
		return err
	}
	for _, f := range frames {
		if err := out.Write(f); err != nil {
			return err
		}
	}
	return out.Flush()
}

// framesOf are the frames of the packets in the span.
func (r *Recorder) framesOf(span bench.Span) ([]capture.Frame, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since > max(span.Start, r.opened) {
		return nil, fmt.Errorf("traffic: the record no longer goes back so far: %s", r.why)
	}
	// A frame is remembered with its packet, but not for as long.
	frames := r.frames.Frames()
	forgotten := max(len(r.packets)-len(frames), 0)
	if forgotten > 0 && r.packets[forgotten-1].At >= span.Start {
		return nil, fmt.Errorf("traffic: frames of %v ago are no longer remembered; %v is the most", r.now().Sub(span.Start).Round(time.Second), recent)
	}
	packets := r.packets[forgotten:]
	frames = frames[len(frames)-len(packets):]
	from := sort.Search(len(packets), func(i int) bool { return packets[i].At >= span.Start })
	return slices.Clone(frames[from : from+len(traffic.Between(packets, span))]), nil
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
