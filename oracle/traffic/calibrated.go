package traffic

import (
	"fmt"
	"math"
	"slices"
	"time"

	"wakefuzz/bench"
)

// CalibratedRule is ours: paced bytes (paced.go) against what the device's own
// idle traffic holds. Its one setting means the same on every device. It learns
// without labels:
//
//   - Where idle spans are stated, the line is drawn where the idle windows
//     reach it no oftener than the user accepts. Where they are too few to show
//     that, it is above all of them and at least the default.
//   - Where none are stated, or they hold what they should not, it is drawn at
//     the emptiest place between background and speech: of the stretches that
//     carried much, where the fewest lie. How many activations there are changes
//     nothing about that, as they lie above it.
//   - Where there is too little of either, it is the default.
type CalibratedRule struct {
	// FalseAlarms is how many an hour are accepted.
	FalseAlarms float64 `yaml:"false_alarms"`
	// Latency is how long after the end of the sound an upload may begin.
	Latency time.Duration `yaml:"latency"`
}

// DefaultCalibratedRule accepts one false alarm in five hours.
func DefaultCalibratedRule() CalibratedRule {
	return CalibratedRule{FalseAlarms: 0.2, Latency: 2 * time.Second}
}

// The line, in paced bytes.
const (
	// DefaultLine is for devices of which too little is known: 998 of a thousand
	// commands to Echos lie above it.
	DefaultLine = 10_500
	// leastLine is the paper's rate of audio (section 4.1.1), 23 kbit/s,
	// throughout a window: whatever the idle traffic is like, less isn't speech.
	leastLine = 23 * 1000 / 8 * float64(pacedSlots*slotLength) / float64(time.Second)
	// The emptiest place is looked for between these: background reached 11.2 kB
	// on the real captures, and short activations began at 16 kB.
	lowestGap, usualGap, highestGap = 10_300, 13_000, 25_000
)

// Validate returns an error where the rule could not decide anything.
func (r CalibratedRule) Validate() error {
	switch {
	case !(r.FalseAlarms > 0) || math.IsInf(r.FalseAlarms, 1):
		return fmt.Errorf("false_alarms: %g an hour is not a rate above 0", r.FalseAlarms)
	case r.Latency < 0:
		return fmt.Errorf("latency: %v is negative", r.Latency)
	}
	return nil
}

// String states the rule.
func (r CalibratedRule) String() string {
	return fmt.Sprintf("traffic above idle, %g false alarms an hour, within %v", r.FalseAlarms, r.Latency)
}

// Watch is how long after the end of a sound the traffic must be watched.
func (r CalibratedRule) Watch() time.Duration { return r.Latency + PacedWindow }

// NullFor is an empty null for plays of sounds that last no longer.
func (r CalibratedRule) NullFor(longest time.Duration) *Null { return NewNull(longest + r.Watch()) }

// level is the p-value at which idle windows alarm as often as accepted.
func (r CalibratedRule) level(unit time.Duration) float64 {
	return min(1, r.FalseAlarms*unit.Hours())
}

// Judge reads the packets of a play, watched from the beginning of the sound or
// earlier. Strength is the most paced bytes of a window,
// and Latency is where the first window with enough begins. The p-value is known
// where there is a null of windows at least as long as the play's; without a null
// (nil) the default line is used.
//
// Faults are those of [BurstRule.Judge]: a device that was uploading already,
// an incomplete record without a reaction.
func (r CalibratedRule) Judge(sound bench.Span, o bench.Observation, null *Null) (bench.Reading, PValue) {
	return r.Judging(null)(sound, o)
}

// Judging is Judge for many plays that are compared with the same null.
func (r CalibratedRule) Judging(null *Null) func(bench.Span, bench.Observation) (bench.Reading, PValue) {
	line := float64(DefaultLine)
	if null != nil {
		line, _ = r.Line(null)
	}
	return func(sound bench.Span, o bench.Observation) (bench.Reading, PValue) {
		return r.judge(sound, o, line, null)
	}
}

func (r CalibratedRule) judge(sound bench.Span, o bench.Observation, line float64, null *Null) (bench.Reading, PValue) {
	unmeasured := func(f bench.Fault) (bench.Reading, PValue) {
		return bench.Reading{Oracle: o.Oracle, Fault: f}, PValue{}
	}
	if o.Watched.Start > sound.Start || !inOrder(o.Packets) {
		return unmeasured(bench.FaultOracle)
	}
	before, _, _ := pacedPeak(o.Packets, bench.Span{Start: sound.Start.Add(-Lookback), End: sound.Start}, line)
	if before >= line*Lookback.Seconds()/PacedWindow.Seconds() {
		return unmeasured(bench.FaultDevice)
	}
	play := bench.Span{Start: sound.Start, End: sound.End.Add(r.Watch())}
	peak, since, reached := pacedPeak(o.Packets, play, line)
	reading := bench.Reading{Oracle: o.Oracle, State: bench.Quiet, Strength: peak}
	switch {
	case reached:
		reading.State = bench.Reacted
		reading.Latency = since.Sub(sound.End)
	case o.Dropped > 0 || o.Watched.End < play.End:
		return unmeasured(bench.FaultOracle)
	}
	var p PValue
	if null != nil && null.Len() > 0 && play.Duration() <= null.Unit() {
		p = null.P(peak)
	}
	return reading, p
}

// Line is the number of paced bytes from which a window isn't idle, drawn from
// windows that are stated to be, and what is to be said of them.
func (r CalibratedRule) Line(idle *Null) (bytes float64, notes []string) {
	level := r.level(idle.unit)
	line, enough := idle.Threshold(level)
	if !enough {
		line = max(DefaultLine, math.Nextafter(idle.max(), math.Inf(1)))
		need := time.Duration(float64(time.Hour) / r.FalseAlarms)
		if idle.learn().drifts.real() {
			need *= 2
		}
		notes = append(notes, fmt.Sprintf("%v of idle traffic is too little to show %g false alarms an hour, which takes %v; no p-value is below 1/%d",
			idle.Span().Round(time.Second), r.FalseAlarms, need.Round(time.Second), idle.Len()+1))
	}
	notes = append(notes, idle.Drift()...)
	line = max(line, leastLine)
	gap, _ := emptiest(idle.audible)
	suspects := slices.DeleteFunc(slices.Clone(idle.audible), func(a audible) bool { return float64(a.peak) < gap })
	if line <= gap || len(suspects) == 0 {
		return line, notes
	}
	// Idle traffic reaches what speech does. If it does so at regular times, or
	// at all sizes, it's the device's own; if at odd times and by a leap, it is
	// most likely somebody speaking.
	if period, regular := regularly(suspects); regular {
		return line, append(notes, fmt.Sprintf("every %v the idle device sends as much as speech does: activations of less than %.1f kB in %v go unseen",
			period.Round(time.Second), line/1000, PacedWindow))
	}
	if !separate(idle.audible, gap) {
		return line, append(notes, fmt.Sprintf("the idle device sends as much as speech does: activations of less than %.1f kB in %v go unseen",
			line/1000, PacedWindow))
	}
	return gap, append(notes, fmt.Sprintf("the idle traffic holds %d stretches that look like activations, so the line is drawn below them; they still count in p-values",
		len(suspects)))
}

// emptiest is the place between background and speech near which the fewest
// stretches peak, by a kernel density of the peaks' logarithms. Of places that
// are equally empty it is the one nearest to usualGap. It returns false, and the
// default, where there are too few stretches to say.
func emptiest(stretches []audible) (bytes float64, ok bool) {
	const fewest = 5
	if len(stretches) < fewest {
		return DefaultLine, false
	}
	density := densityOf(stretches)
	const steps = 200
	least := math.Inf(1)
	for i := range steps + 1 {
		place := lowestGap * math.Pow(float64(highestGap)/lowestGap, float64(i)/steps)
		off := math.Log(place/usualGap) / 0.5
		if d := density(place) + 0.05*off*off; d < least {
			bytes, least = place, d
		}
	}
	return bytes, true
}

// densityOf is how many stretches peak about a number of bytes, by a Gaussian
// kernel that is an eighth of it wide.
func densityOf(stretches []audible) func(bytes float64) float64 {
	const width, cells = 0.12, 100 // to the natural logarithm
	counts := make(map[int]float64)
	for _, s := range stretches {
		counts[int(math.Round(math.Log(float64(s.peak))*cells))]++
	}
	keys := make([]int, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	slices.Sort(keys) // sums come out the same each time
	return func(bytes float64) float64 {
		sum := 0.0
		for _, k := range keys {
			off := (float64(k)/cells - math.Log(bytes)) / width
			sum += counts[k] * math.Exp(-off*off/2)
		}
		return sum
	}
}

// separate reports whether the gap is one: much emptier than where the stretches
// above it peak.
func separate(stretches []audible, gap float64) bool {
	density := densityOf(stretches)
	most := 0.0
	for _, s := range stretches {
		if float64(s.peak) >= gap {
			most = max(most, density(float64(s.peak)))
		}
	}
	return density(gap) <= most/4
}

// regularly reports whether stretches come at regular times: three in four of
// the times between them within a tenth of the middle one. Of stretches at
// random times so many are by chance in about one of ten thousand cases.
func regularly(stretches []audible) (period time.Duration, regular bool) {
	const fewest = 6 // times between stretches
	if len(stretches) <= fewest {
		return 0, false
	}
	between := make([]time.Duration, 0, len(stretches)-1)
	for i, s := range stretches[1:] {
		between = append(between, s.at.Sub(stretches[i].at))
	}
	sorted := slices.Clone(between)
	slices.Sort(sorted)
	period = sorted[len(sorted)/2]
	alike := 0
	for _, b := range between {
		if (b - period).Abs() <= period/10 {
			alike++
		}
	}
	return period, 4*alike >= 3*len(between)
}
