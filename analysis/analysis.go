// Package analysis looks through captures for what devices sent when they had
// heard something: which devices there are, how much they sent, and when each
// was active, as far as the detectors of oracle/traffic can tell.
//
// An [Analyzer] takes packets one by one and keeps, of each device, a few sums
// and a scanner of each detector. [Read] has it take all packets of a capture
// file. Memory does not grow with the packets, and slowly with time.
//
// # Time
//
// Times are counted from the first packet of a capture, by the clock that
// stamped the packets, so that they can be held against labels and against other
// tools. Detectors reckon with time that passes steadily, and captures don't
// always:
//
//   - Packets that are a little out of order, by up to [Disorder], count at the
//     time of the one before.
//   - Where no packet comes for [Silence], the capture stood still or its clock
//     was set forward.
//   - Where time steps back by more than Disorder, the clock was set back.
//
// In the latter two cases no detector looks across, and a note says so.
//
// # Limits
//
//   - Every capture is read for itself: what was learnt of a device in one is
//     not known in the next.
//   - Of a capture with more than [MaxDevices] devices the first so many are
//     watched.
package analysis

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/oracle/traffic"
)

// The limits that the package's comment speaks of.
const (
	Disorder   = time.Second
	Silence    = time.Hour
	MaxDevices = 2000
)

// Errors that a caller may want to tell apart.
var (
	// ErrOrder: the packets are in no order of time.
	ErrOrder = errors.New("the packets are in no order of time")
	// ErrIdle: an idle span begins after the capture's end.
	ErrIdle = errors.New("no such idle span")
)

// Options say what is looked for.
type Options struct {
	// Detectors look at every device.
	Detectors []traffic.Detector
	// Idle are times in which no device was woken, for detectors that learn.
	// Once the clock was set, they are over.
	Idle []Span
	// Timelines says whether the devices' timelines are kept.
	Timelines bool
}

// Span is a stretch of a capture: times since its first packet, of which To is
// not a part.
type Span struct {
	From, To time.Duration
}

// Report is what a capture holds.
type Report struct {
	// Start is the time of the capture's first packet, or the zero Time of none.
	Start time.Time
	// Length is the time from there to the packet with the latest time, which is
	// the last one unless the clock was set back.
	Length time.Duration
	// Watched is for how long the capture was at work, without its silences.
	Watched time.Duration
	// Detectors are the names of those that looked.
	Detectors []string
	// Devices are in the order of their traffic, the largest first.
	Devices []Device
	// Notes tell a person, a line each, what limits the report.
	Notes []string
}

// Device is what a device did.
type Device struct {
	Address capture.Address
	Traffic Traffic
	// Activations are in the order of time, those of all detectors.
	Activations []Activation
	// Notes are what the detectors say besides.
	Notes []Note
	// Timeline is empty unless asked for.
	Timeline Timeline
}

// Traffic is how much a device sent and received.
type Traffic struct {
	Packets int64
	// Out and In are the bytes of frames that it sent and received, and Unknown
	// those of which the capture does not say that.
	Out, In, Unknown int64
	// First and Last are when its first and its last packet came, since the
	// capture's first.
	First, Last time.Duration
}

// Bytes is all that was sent and received.
func (t Traffic) Bytes() int64 { return t.Out + t.In + t.Unknown }

// Activation is a stretch in which a detector takes the device to have sent what
// it heard.
type Activation struct {
	Detector string
	// Start and End are times since the capture's first packet.
	Start, End time.Duration
	// Score is how strongly it stands out, in the detector's own unit.
	Score float64
	P     traffic.PValue
}

// Note is what a detector has to say of a device.
type Note struct {
	Detector, Text string
}

// Read takes all packets of a capture. Along with an error it returns what was
// found up to there: errors are those of the Reader, ErrOrder and ErrIdle.
func Read(r *capture.Reader, o Options) (Report, error) {
	a := New(o)
	first, err := r.Next()
	begin, _ := r.Times()
	a.At(begin)
	if err == nil {
		a.Packet(first)
		err = a.readOn(r)
	}
	_, latest := r.Times()
	a.At(latest)
	report := a.Report()
	if lost := r.Stats().Dropped; lost > 0 {
		report.Notes = append(report.Notes, fmt.Sprintf("the capture lost %d packets, by its own account: what they carried is missing", lost))
	}
	if errors.Is(err, io.EOF) {
		err = a.missed()
	}
	return report, err
}

// readOn takes the rest of a capture. To read packets takes as long as to look at
// them: each is done by a goroutine of its own.
func (a *Analyzer) readOn(r *capture.Reader) (err error) {
	const batches, size = 4, 1024
	read, free := make(chan []capture.Packet, batches), make(chan []capture.Packet, batches)
	for range batches {
		free <- make([]capture.Packet, size)
	}
	go func() {
		defer close(read)
		for batch := range free {
			n := 0
			for ; n < size; n++ {
				if batch[n], err = r.Next(); err != nil {
					break
				}
			}
			read <- batch[:n]
			if err != nil {
				return
			}
		}
	}()
	taken := 1
	for batch := range read {
		for i := range batch {
			a.take(&batch[i])
		}
		taken += len(batch)
		if a.clock.resets > maxResets {
			close(free)
			for range read { // until the other has ended
			}
			return fmt.Errorf("%w: it steps back %d times within the first %d; put them in order, as \"reordercap IN OUT\" of Wireshark does",
				ErrOrder, a.clock.resets, taken)
		}
		free <- batch[:size]
	}
	return err
}

// maxResets is how often a clock may be set within a capture.
const maxResets = 500

// Analyzer takes the packets of a network in the order in which they were
// captured. It is used by one goroutine.
type Analyzer struct {
	options  Options
	idle     []bench.Span
	clock    clock
	devices  map[capture.Address]*device
	recent   [1024]*device // by the hash of their addresses
	timeless int64         // packets without a time
	beyond   int64         // packets of devices that are too many
}

// device is one that is watched.
type device struct {
	address  capture.Address
	traffic  Traffic
	scanners []traffic.Scanner // in the order of the options' detectors
	timeline recording
}

// New returns an Analyzer of no packets yet.
func New(o Options) *Analyzer {
	idle := instants(o.Idle)
	a := &Analyzer{options: o, idle: idle, devices: make(map[capture.Address]*device)}
	if len(idle) > 0 {
		a.clock.reserved = idle[len(idle)-1].End
	}
	return a
}

// instants are the spans in order, and none twice.
func instants(spans []Span) []bench.Span {
	var ordered []bench.Span
	for _, s := range slices.SortedFunc(slices.Values(spans), func(a, b Span) int { return cmp.Compare(a.From, b.From) }) {
		span := bench.Span{Start: bench.Instant(s.From), End: bench.Instant(s.To)}
		if n := len(ordered); n > 0 && span.Start <= ordered[n-1].End {
			ordered[n-1].End = max(ordered[n-1].End, span.End)
			continue
		}
		ordered = append(ordered, span)
	}
	return ordered
}

// At says that the capture was at work at that time, whether or not a packet
// came that was given. The first time from which on it was is the one that all
// others are counted from. A zero Time says nothing.
func (a *Analyzer) At(t time.Time) {
	if t.IsZero() {
		return
	}
	if unknown, ok := a.clock.advance(t); ok {
		a.gap(unknown)
	}
}

// Resume says that the capture is at work again at that time, and was not since
// the latest one.
func (a *Analyzer) Resume(t time.Time) {
	if unknown, ok := a.clock.resume(t); ok {
		a.gap(unknown)
	}
}

func (a *Analyzer) gap(unknown bench.Span) {
	for _, d := range a.devices {
		for _, s := range d.scanners {
			s.Gap(unknown)
		}
	}
}

// Packet takes the next packet.
func (a *Analyzer) Packet(p capture.Packet) { a.take(&p) }

func (a *Analyzer) take(p *capture.Packet) {
	if p.Time.IsZero() {
		a.timeless++
		return
	}
	a.At(p.Time)
	d := a.device(&p.Device)
	if d == nil {
		a.beyond++
		return
	}
	d.traffic.add(p, a.clock.stamp)
	if a.options.Timelines {
		d.timeline.add(p, a.clock.stamp)
	}
	seen := bench.Packet{At: a.clock.now(), Size: p.Size, Payload: p.Payload, Direction: directions[p.Direction]}
	for _, s := range d.scanners {
		s.Packet(seen)
	}
}

var directions = [...]bench.Direction{
	capture.Unknown:  bench.DirectionUnknown,
	capture.Outgoing: bench.Outgoing,
	capture.Incoming: bench.Incoming,
}

// device is that of the address, or nil where it is one too many.
func (a *Analyzer) device(address *capture.Address) *device {
	recent := &a.recent[address.Hash()%uint64(len(a.recent))]
	if d := *recent; d != nil && d.address == *address {
		return d
	}
	d := a.devices[*address]
	switch {
	case d != nil:
	case len(a.devices) == MaxDevices:
		return nil
	default:
		d = &device{address: *address, traffic: Traffic{First: a.clock.stamp}}
		for _, detector := range a.options.Detectors {
			d.scanners = append(d.scanners, detector.Scanner(a.idle...))
		}
		a.devices[*address] = d
	}
	*recent = d
	return d
}

func (t *Traffic) add(p *capture.Packet, at time.Duration) {
	t.Packets++
	t.Last = at
	switch size := int64(p.Size); p.Direction {
	case capture.Outgoing:
		t.Out += size
	case capture.Incoming:
		t.In += size
	default:
		t.Unknown += size
	}
}

// Report says what was found up to now. More packets may follow.
func (a *Analyzer) Report() Report {
	report := Report{
		Start:   a.clock.origin,
		Length:  a.clock.farthest,
		Watched: a.clock.watched,
		Notes:   a.clock.notes(),
	}
	if a.timeless > 0 {
		report.Notes = append(report.Notes, fmt.Sprintf("%d packets have no time and are left out", a.timeless))
	}
	if a.beyond > 0 {
		report.Notes = append(report.Notes, fmt.Sprintf("there are more than %d devices: %d packets of others are left out; name a device to have it watched", MaxDevices, a.beyond))
	}
	for _, s := range a.idle {
		if end := bench.Instant(a.clock.farthest); s.Start < end && end < s.End {
			report.Notes = append(report.Notes, fmt.Sprintf("idle span %v ends after the capture, which ends at %s", written(s), seconds(a.clock.farthest)))
		}
	}
	for _, d := range a.options.Detectors {
		report.Detectors = append(report.Detectors, d.Name)
	}
	for _, d := range a.devices {
		report.Devices = append(report.Devices, a.found(d))
	}
	slices.SortFunc(report.Devices, func(x, y Device) int {
		return cmp.Or(cmp.Compare(y.Traffic.Bytes(), x.Traffic.Bytes()), cmp.Compare(x.Address.String(), y.Address.String()))
	})
	return report
}

// found is what is known of a device by now.
func (a *Analyzer) found(d *device) Device {
	device := Device{Address: d.address, Traffic: d.traffic, Timeline: d.timeline.timeline()}
	for i, s := range d.scanners {
		name := a.options.Detectors[i].Name
		findings := s.Findings(a.clock.now())
		for _, f := range findings.Activations {
			start, end := a.clock.stamps(f.Span)
			device.Activations = append(device.Activations, Activation{Detector: name, Start: start, End: end, Score: f.Score, P: f.P})
		}
		for _, note := range findings.Notes {
			device.Notes = append(device.Notes, Note{name, note})
		}
	}
	slices.SortStableFunc(device.Activations, func(x, y Activation) int { return cmp.Compare(x.Start, y.Start) })
	return device
}

// missed is an error where an idle span lies beyond the capture's end.
func (a *Analyzer) missed() error {
	for _, s := range a.idle {
		if a.clock.begun && s.Start >= bench.Instant(a.clock.farthest) {
			return fmt.Errorf("%w: %s begins after the capture's end, at %s", ErrIdle, written(s), seconds(a.clock.farthest))
		}
	}
	return nil
}

func written(s bench.Span) string {
	return fmt.Sprintf("%v-%v", time.Duration(s.Start), time.Duration(s.End))
}

// seconds is a time as the tables have it.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
