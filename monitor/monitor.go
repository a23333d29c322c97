// Package monitor watches a network without making a sound, and tells of every
// device that just sent what looks like speech, as it happens: the paper's
// passive use of its detectors (section 4.1).
//
// # Concepts
//
// A [Monitor] captures the packets of every device, has an analysis.Analyzer
// look at them, and passes on each [Activation] once, when it is over. Detectors
// that learn get better with time: what they make of earlier traffic may change.
// So an activation may be told of late, and the report at the end, which is the
// last word, may lack one that was told of.
//
// # What is stored
//
// A [Folder] keeps the headers of what passed, in capture files of an hour each;
// the oldest go once there is too much. A monitor that is started on a folder
// reads them first, and so knows what the one before had learnt. One that is
// killed leaves its last file cut short, which costs a second of traffic.
//
// # Lost packets
//
// Where more passes than is read in time, the kernel drops packets, of which
// device nobody knows. What a device sent meanwhile then counts as less than it
// was: an activation may be missed or look smaller, but none is made up. They are
// counted, told of, and in the report.
//
// # Time
//
// The monitor reckons with the kernel's steady clock. The wall clock may be set
// while it watches: times are told by the wall clock as it stood when the
// activation was told of. A capture that fails, because its interface went down,
// is opened again until that succeeds, and what passed meanwhile is not taken
// for silence.
//
// # Limits
//
//   - An activation is told of a few seconds after its end.
//   - Packets that wait to be read when the wall clock is set are misplaced by a
//     second at most.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"wakefuzz/analysis"
	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/oracle/traffic"
)

// Source is a capture, until the context ends that it was opened under.
type Source interface {
	capture.Source
	io.Closer
}

// Setup is what a monitor needs.
type Setup struct {
	// Detector looks at every device.
	Detector traffic.Detector
	// Devices are those that are watched, or none for all.
	Devices []capture.Address
	// Listen begins to capture the packets of every device.
	Listen func(context.Context) (Source, error)
	// Pair reads the steady clock and the wall clock.
	Pair func() bench.Pair
	// Folder keeps what passes, unless it is nil.
	Folder *Folder
	// Tell is told of activations, and Note of what is worth knowing. Neither is
	// called twice at a time.
	Tell func(Activation)
	Note func(format string, args ...any)
}

// Activation is a stretch in which a device sent what looks like speech.
type Activation struct {
	Device capture.Address
	// Start and End are by the wall clock.
	Start, End time.Time
	// Bytes is how much the device sent meanwhile, frames and all, or 0 where it
	// is so long ago that this is no longer known. Where directions are unknown,
	// what it received counts as well.
	Bytes int64
	// Score and P are the detector's.
	Score float64
	P     traffic.PValue
}

const (
	// glance is how often the detector is asked.
	glance = time.Second
	// over is how long after its end an activation is over: detectors join what
	// lies closer.
	over = 4 * time.Second
	// A capture that failed is opened again after the shorter pause, which
	// doubles up to the longer one while it goes on failing.
	shortPause = 250 * time.Millisecond
	longPause  = 5 * time.Second
	// warnEvery is how often it is told that packets are lost, while they are.
	warnEvery = time.Minute
)

// monitor is one at work.
type monitor struct {
	Setup

	mu       sync.Mutex
	analyzer *analysis.Analyzer
	now      time.Time  // what the analyzer takes for the present
	dropped  uint64     // packets that the kernel had no room for
	warned   time.Time  // when that was last told of
	read     bench.Pair // when the clocks were last read, which was then
	meters   map[capture.Address]*meter
	told     map[capture.Address][]span
}

// Report is what was found.
type Report struct {
	analysis.Report
	// Dropped is how many packets, of whichever device, the kernel had no room
	// for.
	Dropped uint64
}

// span is a stretch of the analyzer's time.
type span struct{ start, end time.Duration }

// Run watches until ctx ends, and returns what was found, the folder's earlier
// traffic included. An error is why it could not begin, or what became of the
// disk.
func Run(parent context.Context, s Setup) (_ Report, err error) {
	m := &monitor{
		Setup:    s,
		analyzer: analysis.New(analysis.Options{Detectors: []traffic.Detector{s.Detector}}),
		meters:   map[capture.Address]*meter{},
		told:     map[capture.Address][]span{},
	}
	ctx, fail := context.WithCancelCause(parent)
	defer fail(nil)
	source, err := m.Listen(ctx)
	if err != nil {
		return Report{}, err
	}
	if m.Folder != nil {
		if err := m.Folder.replay(m.watched, m.analyzer, m.Note); err != nil {
			return Report{}, errors.Join(err, source.Close())
		}
		defer func() { err = errors.Join(err, m.Folder.cut()) }()
	}
	m.begin()
	var ticking sync.WaitGroup
	ticking.Go(func() { m.tick(ctx, fail) })
	m.capture(ctx, source, fail)
	ticking.Wait()
	m.tellAll(m.Tell)
	if parent.Err() == nil {
		err = context.Cause(ctx)
	}
	report := Report{m.analyzer.Report(), m.dropped}
	if m.dropped > 0 {
		report.Notes = append(report.Notes, dropNote(m.dropped))
	}
	return report, err
}

// dropNote says what lost packets mean.
func dropNote(packets uint64) string {
	return fmt.Sprintf("the kernel dropped %d packets, of whichever device: an activation in which some are missing may go unseen, but none is made up by it", packets)
}

// begin lets the present begin, after what was read from the folder. What was
// found there was told of before.
func (m *monitor) begin() {
	m.read = m.Pair()
	m.now = m.read.Wall.Round(0)
	m.analyzer.Resume(m.now)
	m.tellAll(func(Activation) {})
}

// capture takes in what passes until ctx ends, again and again where the
// capture fails. It closes the sources.
func (m *monitor) capture(ctx context.Context, source Source, fail func(error)) {
	pause := shortPause
	for {
		began := m.Pair().At
		lost, err := m.takeAll(source)
		source.Close()
		if err != nil {
			fail(err)
		}
		if ctx.Err() != nil {
			return
		}
		m.locked(func() { m.Note("nothing is captured: %v", lost) })
		if m.Pair().At.Sub(began) > longPause {
			pause = shortPause
		}
		for source = nil; source == nil; pause = min(2*pause, longPause) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			if source, err = m.Listen(ctx); err != nil {
				source = nil
			}
		}
		m.locked(func() {
			m.Note("the capture goes on")
			m.advance(time.Time{})
			m.analyzer.Resume(m.now)
			if m.Folder != nil {
				if err := m.Folder.cut(); err != nil {
					fail(err)
				}
			}
		})
	}
}

// takeAll takes in what the source gives, and returns why it ended, or what is
// wrong with the disk.
func (m *monitor) takeAll(source Source) (lost, err error) {
	var last capture.Frame
	var dropped uint64
	for {
		p, lost := source.Next()
		if all := source.Stats().Dropped; all > dropped {
			m.locked(func() { m.drop(all - dropped) })
			dropped = all
		}
		if lost != nil {
			return lost, nil
		}
		frame := source.Frame()
		m.locked(func() {
			m.advance(p.Time)
			if m.Folder != nil && !last.Same(frame) {
				err = m.Folder.add(frame, m.now)
			}
			p.Time = m.now
			m.take(p)
		})
		if err != nil {
			return nil, err
		}
		last = frame
	}
}

// drop takes in that packets were lost.
func (m *monitor) drop(packets uint64) {
	m.dropped += packets
	if m.warned.IsZero() || m.now.Sub(m.warned) >= warnEvery {
		m.warned = m.now
		m.Note("%s", dropNote(m.dropped))
	}
}

// take has the detector look at a packet of a device that is watched.
func (m *monitor) take(p capture.Packet) {
	if !m.watched(p) {
		return
	}
	m.analyzer.Packet(p)
	if p.Direction != capture.Incoming {
		if m.meters[p.Device] == nil {
			m.meters[p.Device] = new(meter)
		}
		m.meters[p.Device].add(p.Time, int64(p.Size))
	}
}

func (m *monitor) watched(p capture.Packet) bool {
	return len(m.Devices) == 0 || slices.Contains(m.Devices, p.Device)
}

// advance moves the present on, to now or to when the packet was stamped: by the
// steady clock, whatever the wall clock does.
func (m *monitor) advance(stamped time.Time) {
	pair := m.Pair()
	if step := m.read.Instant(pair.Wall).Sub(pair.At); step.Abs() > glance {
		m.Note("the wall clock was set by %v; times from now on are by the new one", step.Round(time.Millisecond))
	}
	to := m.now.Add(pair.At.Sub(m.read.At))
	if !stamped.IsZero() {
		age := min(max(pair.Wall.Round(0).Sub(stamped), 0), glance)
		to = to.Add(-age)
	}
	if to.After(m.now) {
		m.read.At = m.read.At.Add(to.Sub(m.now))
		m.read.Wall = pair.Wall.Add(-pair.At.Sub(m.read.At))
		m.now = to
	}
}

// tick asks the detector again and again, until ctx ends.
func (m *monitor) tick(ctx context.Context, fail func(error)) {
	ticks := time.NewTicker(glance)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		m.locked(func() {
			m.advance(time.Time{})
			m.analyzer.At(m.now)
			m.tellAll(m.Tell)
			if m.Folder != nil {
				if err := m.Folder.flush(); err != nil {
					fail(err)
				}
			}
		})
	}
}

func (m *monitor) locked(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// tellAll tells of the activations that are over and have not been told of.
func (m *monitor) tellAll(tell func(Activation)) {
	report := m.analyzer.Report()
	toWall := m.read.Wall.Round(0).Sub(m.now) // what the wall clock was set by, in all
	for _, d := range report.Devices {
		for _, a := range d.Activations {
			s := span{a.Start, a.End}
			if report.Length-a.End < over || slices.ContainsFunc(m.told[d.Address], s.overlaps) {
				continue
			}
			m.told[d.Address] = append(m.told[d.Address], s)
			start, end := report.Start.Add(a.Start), report.Start.Add(a.End)
			told := Activation{Device: d.Address, Start: start.Add(toWall), End: end.Add(toWall), Score: a.Score, P: a.P}
			if meter := m.meters[d.Address]; meter != nil {
				told.Bytes = meter.between(start, end)
			}
			tell(told)
		}
	}
}

func (s span) overlaps(t span) bool { return s.start < t.end && t.start < s.end }

// String tells of the activation in a line.
func (a Activation) String() string {
	p := ""
	if a.P.Known() {
		p = fmt.Sprintf(", p %.2g", a.P.Value)
		if a.P.Approximate {
			p = fmt.Sprintf(", p about %.1g", a.P.Value)
		}
	}
	return fmt.Sprintf("%s  %s  %.1f s, %.1f kB%s", a.Start.Local().Format(time.DateTime), a.Device,
		a.End.Sub(a.Start).Seconds(), float64(a.Bytes)/1000, p)
}

// meter is how much a device sent of late.
type meter struct{ ticks []tick }

// tick is what was sent within a tenth of a second.
type tick struct {
	at    time.Time
	bytes int64
}

const (
	tickLength = 100 * time.Millisecond
	// maxTicks bounds a meter: ten minutes of which no tenth is silent. Of a
	// fuller one the older half is forgotten.
	maxTicks = 6000
)

func (m *meter) add(at time.Time, bytes int64) {
	at = at.Truncate(tickLength)
	if n := len(m.ticks); n > 0 && !at.After(m.ticks[n-1].at) {
		m.ticks[n-1].bytes += bytes
		return
	}
	if len(m.ticks) == maxTicks {
		m.ticks = append(m.ticks[:0], m.ticks[maxTicks/2:]...)
	}
	m.ticks = append(m.ticks, tick{at, bytes})
}

// between is what was sent from the one time to the other, or 0 where that is
// forgotten.
func (m *meter) between(from, to time.Time) (sum int64) {
	from = from.Truncate(tickLength)
	for _, t := range m.ticks {
		if !t.at.Before(from) && t.at.Before(to) {
			sum += t.bytes
		}
	}
	return sum
}
