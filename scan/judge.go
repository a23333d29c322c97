package scan

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/oracle/traffic"
	"wakefuzz/stats"
)

// Judging is how rounds are judged.
type Judging struct {
	// Rule says what counts of the traffic, and for how long after a play.
	Rule traffic.CalibratedRule `yaml:"calibrated"`
	// Level is the share of false reactions that is accepted among those that
	// are reported.
	Level float64 `yaml:"level"`
}

// DefaultJudging accepts one false reaction in twenty.
func DefaultJudging() Judging { return Judging{Rule: traffic.DefaultCalibratedRule(), Level: 0.05} }

// Validate says what can't be judged by.
func (j Judging) Validate() error {
	if err := j.Rule.Validate(); err != nil {
		return fmt.Errorf("calibrated.%w", err)
	}
	if !(j.Level > 0 && j.Level < 1) {
		return fmt.Errorf("level: %g is not between 0 and 1", j.Level)
	}
	return nil
}

// Report is what a scan found.
type Report struct {
	// Devices are in the order of how surely they react to sound.
	Devices []Device
	// Rounds is how many rounds there are, and Idle how long all devices were
	// watched idle.
	Rounds int
	Idle   time.Duration
	// Notes tell a person, a line each, what limits the report.
	Notes []string
}

// Device is what was found of a device.
type Device struct {
	Address capture.Address
	// Packets is how many it sent and received.
	Packets int
	// Any says whether it reacts to sound at all: to the first plays of all
	// probes together.
	Any Finding
	// Probes are in the order of the plan.
	Probes []Finding
	// Notes tell what limits the findings.
	Notes []string
}

// Reacts says whether the device reacts to any sound or probe.
func (d Device) Reacts() bool {
	return d.Any.Reacts || slices.ContainsFunc(d.Probes, func(f Finding) bool { return f.Reacts })
}

// Finding is what was found of a device and a probe.
type Finding struct {
	// Plays is how often the probe was played, and Reacted after how many plays
	// the device sent what looks like speech.
	Plays, Reacted int
	// P is how likely its traffic would be had it heard nothing, and Q the
	// same adjusted for there being many devices and probes. They are 1 where
	// nothing was played.
	P, Q float64
	// Confirmed says that the probe was played again after it had been a
	// candidate.
	Confirmed bool
	// Reacts says that Q is at most Judging.Level, and that it sent what looks
	// like speech at least once: a difference that no speech fits into is none
	// that matters here.
	Reacts bool
}

// Recording is a round with its packets, in the order of time, by device.
type Recording struct {
	Round
	Packets map[capture.Address][]bench.Packet
}

// Load reads the packets of a round.
func (r Round) Load(source capture.Source) (Recording, error) {
	recording := Recording{Round: r, Packets: map[capture.Address][]bench.Packet{}}
	last := bench.Instant(0)
	for {
		p, err := source.Next()
		if err == io.EOF { //nolint:errorlint // Source returns it as it is
			return recording, nil
		}
		if err != nil {
			return recording, err
		}
		// Under load, stamps of neighbours are a little out of order.
		last = max(last, bench.Instant(p.Time.Sub(r.Began)))
		recording.Packets[p.Device] = append(recording.Packets[p.Device], bench.Packet{
			At: last, Size: p.Size, Payload: p.Payload, Direction: directions[p.Direction],
		})
	}
}

var directions = [...]bench.Direction{
	capture.Unknown:  bench.DirectionUnknown,
	capture.Outgoing: bench.Outgoing,
	capture.Incoming: bench.Incoming,
}

// Judge says what the recordings of the probes show.
func (j Judging) Judge(probes []Probe, recordings []Recording) Report {
	report := Report{Rounds: len(recordings)}
	var dropped uint64
	addresses := map[capture.Address]bool{}
	for _, r := range recordings {
		report.Idle += r.Idle.Duration()
		dropped += r.Dropped
		for a := range r.Packets {
			addresses[a] = true
		}
	}
	if dropped > 0 {
		report.Notes = append(report.Notes, fmt.Sprintf("the capture lost %d packets: what they carried is missing", dropped))
	}
	ordered := slices.SortedFunc(maps.Keys(addresses), func(a, b capture.Address) int { return cmp.Compare(a.String(), b.String()) })
	for _, a := range ordered {
		report.Devices = append(report.Devices, j.device(a, probes, recordings))
	}
	var every, any []*Finding
	for i := range report.Devices {
		any = append(any, &report.Devices[i].Any)
		for k := range report.Devices[i].Probes {
			every = append(every, &report.Devices[i].Probes[k])
		}
	}
	j.adjust(every)
	j.adjust(any)
	slices.SortStableFunc(report.Devices, func(a, b Device) int { return cmp.Compare(a.surely(), b.surely()) })
	return report
}

// surely is the least adjusted p-value.
func (d Device) surely() float64 {
	q := d.Any.Q
	for _, f := range d.Probes {
		q = min(q, f.Q)
	}
	return q
}

// adjust fills in what depends on all findings.
func (j Judging) adjust(findings []*Finding) {
	p := make([]float64, len(findings))
	for i, f := range findings {
		p[i] = f.P
	}
	for i, q := range stats.BenjaminiHochberg(p) {
		findings[i].Q = q
		findings[i].Reacts = q <= j.Level && findings[i].Reacted > 0
	}
}

// Candidates are the places of the probes that a device may have reacted to, by
// the first rounds.
func (j Judging) Candidates(probes []Probe, recordings []Recording) []int {
	first := slices.DeleteFunc(slices.Clone(recordings), func(r Recording) bool { return r.Task.Confirms })
	found := map[int]bool{}
	for _, d := range j.Judge(probes, first).Devices {
		for i, f := range d.Probes {
			if f.Plays > 0 && f.P <= CandidateP {
				found[i] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// pause is how far apart rounds are put on the one clock that a device's
// traffic is judged on: their own clocks say nothing of each other.
const pause = time.Hour

// device judges one device.
func (j Judging) device(address capture.Address, probes []Probe, recordings []Recording) Device {
	d := Device{Address: address, Probes: make([]Finding, len(probes))}
	window := j.window(recordings)
	null, firstNull := traffic.NewNull(window), traffic.NewNull(window)
	var shift time.Duration
	for _, r := range recordings {
		d.Packets += len(r.Packets[address])
		packets := shifted(r.Packets[address], shift)
		idle := bench.Span{Start: r.Idle.Start.Add(shift), End: r.Idle.End.Add(shift)}
		null.Learn(packets, idle)
		if !r.Task.Confirms {
			firstNull.Learn(packets, idle)
		}
		shift += r.Probing.End.Sub(0) + pause
	}
	line, notes := j.Rule.Line(null)
	d.Notes = notes

	// The windows of a probe's plays, those of the first rounds and of the
	// repetitions.
	first, second := make([][]float64, len(probes)), make([][]float64, len(probes))
	for _, r := range recordings {
		if r.Task.Probe < 0 || r.Task.Probe >= len(probes) {
			continue
		}
		windows := &first[r.Task.Probe]
		if r.Task.Confirms {
			windows = &second[r.Task.Probe]
		}
		for _, p := range r.Plays {
			held := traffic.PacedPeak(r.Packets[address], bench.Span{Start: p.Sound.Start, End: p.Sound.Start.Add(window)})
			*windows = append(*windows, held)
			f := &d.Probes[r.Task.Probe]
			f.Plays++
			if held >= line {
				f.Reacted++
			}
		}
	}
	var all []float64
	for i := range probes {
		f := &d.Probes[i]
		f.P = pOf(firstNull, first[i])
		if len(second[i]) > 0 {
			f.Confirmed = true
			f.P = max(f.P, pOf(null, second[i]))
		}
		all = append(all, first[i]...)
		d.Any.Plays += f.Plays
		d.Any.Reacted += f.Reacted
	}
	d.Any.P = pOf(firstNull, all)
	return d
}

// pOf is the p-value of the windows, and 1 where there is none.
func pOf(null *traffic.Null, windows []float64) float64 {
	if p := null.Permute(windows); p.Known() {
		return p.Value
	}
	return 1
}

// window is how long a device is watched from the beginning of a play on: all
// windows are as long as that of the longest sound.
func (j Judging) window(recordings []Recording) time.Duration {
	var longest time.Duration
	for _, r := range recordings {
		for _, p := range r.Plays {
			longest = max(longest, p.Sound.Duration())
		}
	}
	return longest + j.Rule.Watch()
}

// shifted are the packets that much later.
func shifted(packets []bench.Packet, by time.Duration) []bench.Packet {
	later := make([]bench.Packet, len(packets))
	for i, p := range packets {
		p.At = p.At.Add(by)
		later[i] = p
	}
	return later
}
