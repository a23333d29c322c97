// Package calibration measures a device under test on its bench, and suggests
// what to write into the spec: when its light counts as lit, when its packets
// count as an upload, and how loud to speak to it.
//
// # What is played
//
// A [Session] plays on a [campaign.Bench], as a campaign does, but for a
// different end, and stores nothing:
//
//  1. Silence, watched for a while: what light and traffic do at rest. A light
//     that reads lit most of that time is taken for one of the other polarity
//     from then on, and traffic that is never below the rule's rate has its rate
//     raised, so that the device can be waited for at all.
//  2. The wake word at several levels, a few times each, to find the lowest at
//     which it is heard.
//  3. The wake word a number of times at the level that then is suggested, each
//     time watched for longer than any rule would: how late the reactions come,
//     and how long they last.
//
// What was observed is a [Record]. [Record.Report] is a pure function of it.
//
// # What is suggested
//
// A value that fits what was measured is kept. Where it does not fit, these
// rules say what does, with margins since a night has more plays than an
// evening:
//
//   - bench.light.polarity: the other one, where the light read lit for more
//     than half of the silence, and with the other shows the reactions.
//   - judge.light.window, judge.traffic.latency: at least 1.5 times the longest
//     latency seen, and the 2 s that the paper waits for a ring.
//   - judge.light.debounce: at least twice the longest chatter, which is
//     darkness shorter than 25 ms within a reaction: a photoresistor can't
//     follow a ring so fast.
//   - judge.light.hold_over: at least 1.5 times the longest other darkness
//     within a reaction, and at most the 2 s that it can be.
//   - judge.light.min_lit: at least 1.5 times the longest flash in silence, at
//     most half of what each reaction was lit for at a stretch.
//   - judge.traffic.consecutive and rate: that many windows in a row in which
//     every upload was at least 2.25 times as fast as the idle device ever was
//     in as many, and as its busiest windows (1 in 20) were; the present number
//     or, if it does not fit, the first that does of 3, 4, ... 8, 2. The rate
//     lies between the two with a factor of 1.5 to each; if it does not, it
//     becomes their geometric mean. The calibrated detector has neither key: it
//     is only said where it can't cope with the device.
//   - bench.player.level_dbfs: at least 9 dB above the lowest level at which the
//     wake word was heard in every play, and no higher than the ceiling on peaks
//     allows. Words are meant to be heard well; whether they are taken for
//     another is what the night is to tell.
//
// A reaction is a light that comes on after the beginning of the word for
// longer than a flash in silence, or an upload of 6 kbit/s or more, the least
// that speech is ever coded with, and twice what the idle device sends, in two
// windows in a row. Rules are suggested for an oracle that saw a reaction in at
// least half of the plays, and in three. Otherwise the report says what is
// wrong instead.
//
// # Limits
//
//   - A minute of silence holds the small bursts of an idle device but seldom
//     the large ones: watch longer for those.
//   - The trimmer of a light sensor can't be read: only that the light seems to
//     be lit, dark or chattering.
//   - The knob of an amplifier is as unknown here as elsewhere.
package calibration

import (
	"math"
	"slices"
	"strconv"
	"time"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
)

// Setting is what a calibration may change.
type Setting struct {
	LevelDBFS float64
	Polarity  light.Polarity // "" where nothing watches the light
	Light     light.Rule
	Traffic   campaign.TrafficSpec
}

// Play is what was observed of one sound: by each oracle from the beginning of
// the sound, or earlier, until the watch ended.
type Play struct {
	Sound        bench.Span
	Observations []bench.Observation
}

// by is what an oracle observed.
func (p Play) by(oracle string) (bench.Observation, bool) {
	i := slices.IndexFunc(p.Observations, func(o bench.Observation) bool { return o.Oracle == oracle })
	if i < 0 {
		return bench.Observation{}, false
	}
	return p.Observations[i], true
}

// Step is one level of the search for the lowest.
type Step struct {
	LevelDBFS float64
	Plays     []Play
}

// Record is all that a session observed.
type Record struct {
	// Began is the spec's setting, and Used the one at the end.
	Began, Used Setting
	// Highest is the level that the ceiling on peaks allows the wake word.
	Highest float64
	// Rest is the silence, observed with the setting of the spec.
	Rest Play
	// Steps are the levels tried, and Plays those of the wake word after that.
	Steps []Step
	Plays []Play
	// Trouble is why the session ended early, or "".
	Trouble string
}

// Bounds of what is taken for what; the package's comment has the reasons.
const (
	chatter     = 25 * time.Millisecond
	flash       = 20 * time.Millisecond
	leastUpload = 6 // kbit/s
	longestRow  = 8 // windows
)

// LightAtRest is what a light did in silence.
type LightAtRest struct {
	// Lit is the share of the time in which it was lit under the spec's
	// polarity, and Inverted says that the other is taken from then on.
	Lit      float64 `json:"lit"`
	Inverted bool    `json:"inverted"`
	// Changes counts those of the pin. Flash is the longest time for which it
	// was lit, under the polarity taken.
	Changes int           `json:"changes"`
	Flash   time.Duration `json:"flash_ns"`
	// Problem is why nothing was observed, or "".
	Problem string `json:"problem,omitempty"`
}

// TrafficAtRest is what a device sent in silence.
type TrafficAtRest struct {
	// Packets counts those both ways, and Outgoing the device's own.
	Packets  int `json:"packets"`
	Outgoing int `json:"outgoing"`
	// Median, Busy and Busiest are quantiles of the outgoing payload in a
	// window, in kbit/s: half, 19 of 20, and all windows are no higher.
	Median  float64 `json:"median_kbits"`
	Busy    float64 `json:"busy_kbits"`
	Busiest float64 `json:"busiest_kbits"`
	// Problem is why nothing was observed, or "".
	Problem string `json:"problem,omitempty"`

	rows rows
}

// rest is what the device did in silence; nil stands for what nothing watches.
// It is what a reaction is told from.
type rest struct {
	light   *LightAtRest
	traffic *TrafficAtRest
	window  time.Duration // of the traffic's rule
}

// rest measures the silence.
func (r Record) rest() rest {
	return rest{r.lightAtRest(), r.trafficAtRest(), r.Began.Traffic.Burst.Window}
}

func (r Record) lightAtRest() *LightAtRest {
	o, ok := r.Rest.by(light.Name)
	switch {
	case !ok:
		return nil
	case o.Fault != bench.NoFault:
		return &LightAtRest{Problem: o.Detail}
	}
	o = since(o, r.Rest.Sound.Start)
	var lit time.Duration
	for _, s := range (light.Rule{}).Spells(o) {
		lit += s.Duration()
	}
	rest := LightAtRest{Lit: lit.Seconds() / o.Watched.Duration().Seconds(), Changes: len(o.Edges) - 1}
	if rest.Inverted = rest.Lit > 0.5; rest.Inverted {
		o = inverted(o)
	}
	for _, s := range (light.Rule{Debounce: chatter}).Spells(o) {
		rest.Flash = max(rest.Flash, s.Duration())
	}
	return &rest
}

func (r Record) trafficAtRest() *TrafficAtRest {
	o, ok := r.Rest.by(traffic.Name)
	switch {
	case !ok:
		return nil
	case o.Fault != bench.NoFault:
		return &TrafficAtRest{Problem: o.Detail}
	}
	window := r.Began.Traffic.Burst.Window
	watched := bench.Span{Start: r.Rest.Sound.Start, End: o.Watched.End}
	o.Packets = traffic.Between(o.Packets, watched)
	rest := TrafficAtRest{Packets: len(o.Packets), rows: rowsOf(o, bench.Span{Start: watched.Start, End: watched.Start}, window)}
	for _, p := range o.Packets {
		if p.Direction == bench.Outgoing {
			rest.Outgoing++
		}
	}
	var windows []float64
	for t := watched.Start; t.Add(window) <= watched.End; t = t.Add(window) {
		windows = append(windows, kbits(payload(o.Packets, bench.Span{Start: t, End: t.Add(window)}), window))
	}
	slices.Sort(windows)
	rest.Median, rest.Busy, rest.Busiest = quantile(windows, 0.5), quantile(windows, 0.95), quantile(windows, 1)
	return &rest
}

// corrected is the setting under which the device can be worked with.
func (r rest) corrected(s Setting) Setting {
	if r.light != nil && r.light.Inverted {
		s.Polarity = other(s.Polarity)
	}
	if r.traffic != nil && r.traffic.Busy >= s.Traffic.Burst.Rate {
		s.Traffic.Burst.Rate = round(spare * r.traffic.Busy)
	}
	return s
}

func other(p light.Polarity) light.Polarity {
	if p == light.ActiveLow {
		return light.ActiveHigh
	}
	return light.ActiveLow
}

// Reaction is what an oracle saw of one play of the wake word.
type Reaction struct {
	// State is Reacted, Quiet, or Unmeasured for the reason in Problem.
	State   bench.State `json:"-"`
	Reacted bool        `json:"reacted"`
	Problem string      `json:"problem,omitempty"`
	// Latency is the time from the end of the word to the reaction, and Lasted
	// how long it went on, as far as it was watched.
	Latency time.Duration `json:"latency_ns"`
	Lasted  time.Duration `json:"lasted_ns"`
	// Gaps counts the dark gaps in a light's reaction, Gap is the longest that
	// is no chatter, and Chatter the longest that is. Stretch is the longest
	// time lit, chatter aside.
	Gaps    int           `json:"gaps,omitempty"`
	Gap     time.Duration `json:"gap_ns,omitempty"`
	Chatter time.Duration `json:"chatter_ns,omitempty"`
	Stretch time.Duration `json:"stretch_ns,omitempty"`
	// Bytes are the outgoing payload from the beginning of the word to the end
	// of the watch.
	Bytes int64 `json:"bytes,omitempty"`

	rows rows
}

func unmeasured(why string) Reaction { return Reaction{State: bench.Unmeasured, Problem: why} }

// reactions are what the oracles saw of a play, by their names.
func (r rest) reactions(p Play) map[string]Reaction {
	seen := map[string]Reaction{}
	if o, ok := p.by(light.Name); ok {
		seen[light.Name] = lit(p, o, r.light.Flash)
	}
	if o, ok := p.by(traffic.Name); ok {
		rule := traffic.BurstRule{Window: r.window, Rate: max(leastUpload, 2*r.traffic.rows[2]), Consecutive: 2}
		seen[traffic.Name] = uploaded(p, o, rule)
	}
	return seen
}

// woke says whether any oracle saw a reaction.
func (r rest) woke(p Play) bool {
	for _, re := range r.reactions(p) {
		if re.State == bench.Reacted {
			return true
		}
	}
	return false
}

// heard says whether every one of the plays woke the device.
func (r rest) heard(plays []Play) bool {
	return !slices.ContainsFunc(plays, func(p Play) bool { return !r.woke(p) })
}

// lit is the light's reaction, where a flash at rest was that long.
func lit(p Play, o bench.Observation, atRest time.Duration) Reaction {
	if o.Fault != bench.NoFault {
		return unmeasured(o.Detail)
	}
	o = since(o, p.Sound.Start)
	spells := (light.Rule{Debounce: chatter, MinLit: max(flash, atRest*3/2), HoldOver: light.Lookback}).Spells(o)
	if len(spells) == 0 {
		return Reaction{State: bench.Quiet}
	}
	whole := spells[0]
	if whole.Start == o.Watched.Start {
		return unmeasured("its light was lit already")
	}
	r := Reaction{State: bench.Reacted, Reacted: true, Latency: whole.Start.Sub(p.Sound.End), Lasted: whole.Duration()}
	var last bench.Instant
	for _, s := range (light.Rule{}).Spells(o) {
		if s.Start < whole.Start || s.End > whole.End {
			continue
		}
		if s.Start > whole.Start {
			gap := s.Start.Sub(last)
			r.Gaps++
			if gap < chatter {
				r.Chatter = max(r.Chatter, gap)
			} else {
				r.Gap = max(r.Gap, gap)
			}
		}
		last = s.End
	}
	for _, s := range (light.Rule{Debounce: chatter}).Spells(o) {
		if s.Start >= whole.Start && s.End <= whole.End {
			r.Stretch = max(r.Stretch, s.Duration())
		}
	}
	return r
}

// uploaded is the traffic's reaction, by a rule that allows for any latency.
func uploaded(p Play, o bench.Observation, rule traffic.BurstRule) Reaction {
	if o.Fault != bench.NoFault {
		return unmeasured(o.Detail)
	}
	if o.Dropped > 0 {
		return unmeasured("packets were dropped")
	}
	rule.Latency = max(o.Watched.End.Sub(p.Sound.End)-time.Duration(rule.Consecutive)*rule.Window, 0)
	r := Reaction{
		Bytes: payload(o.Packets, bench.Span{Start: p.Sound.Start, End: o.Watched.End}),
		rows:  rowsOf(o, p.Sound, rule.Window),
	}
	reading := rule.Judge(p.Sound, o)
	switch r.State = reading.State; {
	case reading.Fault == bench.FaultDevice:
		r.Problem = "it was sending already"
	case reading.State == bench.Unmeasured:
		r.Problem = "it was not watched long enough"
	case reading.State == bench.Reacted:
		r.Reacted, r.Latency = true, reading.Latency
		begun := p.Sound.End.Add(r.Latency)
		end := begun // of the windows in a row that reach the rate
		for kbits(payload(o.Packets, bench.Span{Start: end, End: end.Add(rule.Window)}), rule.Window) >= rule.Rate {
			end = end.Add(rule.Window)
		}
		if last, busy := rule.LastBusy(traffic.Between(o.Packets, bench.Span{Start: begun, End: end})); busy {
			r.Lasted = last.Sub(begun)
		}
	}
	return r
}

// rows[n] is the rate in kbit/s that the best n windows in a row sustained, for
// n from 1.
type rows [longestRow + 1]float64

// rowsOf are those that begin after the sound did.
func rowsOf(o bench.Observation, sound bench.Span, window time.Duration) (best rows) {
	o.Dropped = 0 // what is there counts
	for n := 1; n < len(best); n++ {
		// A rate that nothing reaches has the rule say what was.
		rule := traffic.BurstRule{Window: window, Rate: math.MaxFloat64, Consecutive: n}
		if rule.Latency = o.Watched.End.Sub(sound.End) - time.Duration(n)*window; rule.Latency >= 0 {
			best[n] = rule.Judge(sound, o).Strength
		}
	}
	return best
}

// since is the part of a light's record from the instant on.
func since(o bench.Observation, start bench.Instant) bench.Observation {
	first := 0
	for first+1 < len(o.Edges) && o.Edges[first+1].At <= start {
		first++
	}
	if len(o.Edges) > 0 && o.Edges[first].At < start {
		o.Edges = slices.Clone(o.Edges[first:])
		o.Edges[0].At = start
		o.Watched.Start = start
	}
	return o
}

// inverted is a light's record under the other polarity.
func inverted(o bench.Observation) bench.Observation {
	o.Edges = slices.Clone(o.Edges)
	for i := range o.Edges {
		o.Edges[i].Lit = !o.Edges[i].Lit
	}
	return o
}

// payload is what the device sent in the span, in bytes.
func payload(packets []bench.Packet, span bench.Span) (sum int64) {
	for _, p := range traffic.Between(packets, span) {
		if p.Direction == bench.Outgoing {
			sum += int64(max(p.Payload, 0))
		}
	}
	return sum
}

func kbits(bytes int64, window time.Duration) float64 {
	return float64(bytes) * 8 / 1000 / window.Seconds()
}

// quantile is the least of the sorted values that the share of them does not
// exceed.
func quantile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(int(math.Ceil(share*float64(len(sorted))))-1, 0)]
}

// round rounds a rate to two digits.
func round(rate float64) float64 {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(rate, 'g', 2, 64), 64) // which it wrote itself
	return rounded
}
