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

// Judge says what the rounds of a plan show, which are in the order of time. load
// gives the packets of one, and those of one at a time are held. Errors are those
// of load, and wrap ErrPace where the rule looks longer than plays were watched
// for.
func (j Judging) Judge(plan Plan, rounds []Round, load func(Round) (Recording, error)) (Report, error) {
	window := j.window(rounds)
	// Windows may end as late as the runner lets plays be.
	if len(rounds) > 0 && window > plan.Pace.Every+late {
		return Report{}, fmt.Errorf("%w: the longest sound lasts %v and would be looked at for %v after that, but sounds were played every %v; lower judge.calibrated.latency",
			ErrPace, (window - j.Rule.Watch()).Round(time.Millisecond), j.Rule.Watch(), plan.Pace.Every)
	}
	report := Report{Rounds: len(rounds)}
	var dropped uint64
	devices := map[capture.Address]*evidence{}
	var begins []time.Duration // of rounds, on one clock
	for i, r := range rounds {
		report.Idle += r.Idle.Duration()
		dropped += r.Dropped
		begins = append(begins, 0)
		if i > 0 {
			begins[i] = begins[i-1] + rounds[i-1].Probing.End.Sub(0) + pause
		}
		recording, err := load(r)
		if err != nil {
			return Report{}, err
		}
		for address := range recording.Packets {
			if devices[address] == nil {
				d := newEvidence(plan, window)
				for k, before := range rounds[:i] { // in which it was silent
					d.add(before, begins[k], nil)
				}
				devices[address] = d
			}
		}
		for address, d := range devices {
			d.add(r, begins[i], recording.Packets[address])
		}
	}
	if dropped > 0 {
		report.Notes = append(report.Notes, fmt.Sprintf("the capture lost %d packets: what they carried is missing", dropped))
	}
	ordered := slices.SortedFunc(maps.Keys(devices), func(a, b capture.Address) int { return cmp.Compare(a.String(), b.String()) })
	for _, address := range ordered {
		report.Devices = append(report.Devices, j.device(address, devices[address]))
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
	return report, nil
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
// the first rounds. Errors are those of Judge.
func (j Judging) Candidates(plan Plan, rounds []Round, load func(Round) (Recording, error)) ([]int, error) {
	first := slices.DeleteFunc(slices.Clone(rounds), func(r Round) bool { return r.Task.Confirms })
	report, err := j.Judge(plan, first, load)
	found := map[int]bool{}
	for _, d := range report.Devices {
		for i, f := range d.Probes {
			if f.Plays > 0 && f.P <= CandidateP {
				found[i] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), err
}

// pause is how far apart rounds are put on the one clock that a device's
// traffic is judged on: their own clocks say nothing of each other.
const pause = time.Hour

// evidence is what is left of a device's packets.
type evidence struct {
	window  time.Duration
	packets int
	// null holds the idle windows of all rounds, and firstNull those of the first
	// rounds alone.
	null, firstNull *traffic.Null
	// first and second are what the windows of each probe's plays hold, those of
	// the first rounds and those of the repetitions.
	first, second [][]float64
}

func newEvidence(plan Plan, window time.Duration) *evidence {
	return &evidence{
		window: window, null: traffic.NewNull(window), firstNull: traffic.NewNull(window),
		first: make([][]float64, len(plan.Probes)), second: make([][]float64, len(plan.Probes)),
	}
}

// add takes in what the device sent and received in a round, which begins then.
func (d *evidence) add(r Round, begins time.Duration, packets []bench.Packet) {
	d.packets += len(packets)
	silent := shifted(traffic.Between(packets, r.Idle), begins)
	idle := bench.Span{Start: r.Idle.Start.Add(begins), End: r.Idle.End.Add(begins)}
	d.null.Learn(silent, idle)
	windows := d.second
	if !r.Task.Confirms {
		d.firstNull.Learn(silent, idle)
		windows = d.first
	}
	if r.Task.Probe >= len(windows) {
		return
	}
	for _, p := range r.Plays {
		held := traffic.PacedPeak(packets, bench.Span{Start: p.Sound.Start, End: p.Sound.Start.Add(d.window)})
		windows[r.Task.Probe] = append(windows[r.Task.Probe], held)
	}
}

// device judges one device.
func (j Judging) device(address capture.Address, of *evidence) Device {
	d := Device{Address: address, Packets: of.packets, Probes: make([]Finding, len(of.first))}
	line, notes := j.Rule.Line(of.null)
	d.Notes = notes
	var all []float64
	for i := range d.Probes {
		f := &d.Probes[i]
		for _, held := range slices.Concat(of.first[i], of.second[i]) {
			f.Plays++
			if held >= line {
				f.Reacted++
			}
		}
		f.P = pOf(of.firstNull, of.first[i])
		if len(of.second[i]) > 0 {
			f.Confirmed = true
			f.P = max(f.P, pOf(of.null, of.second[i]))
		}
		all = append(all, of.first[i]...)
		d.Any.Plays += f.Plays
		d.Any.Reacted += f.Reacted
	}
	d.Any.P = pOf(of.firstNull, all)
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
func (j Judging) window(rounds []Round) time.Duration {
	var longest time.Duration
	for _, r := range rounds {
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
