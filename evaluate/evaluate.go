// Package evaluate measures detectors against labels: how many activations each
// finds, and how often it raises a false alarm.
//
// # Labels
//
// Captures are labelled by CSV files ([ReadLabels]), a line for each activation:
//
//	file                  the capture, relative to the labels' folder
//	device                the device's MAC or IP address, or a name for it
//	activation_start_s    when it woke, in seconds since the capture's first
//	activation_end_s      packet, whoever's, and when it slept again
//	mac, ip               its address, where device is a name
//	kind                  what woke it: wake, false, or a word
//	nominal               about how many activations there are, where it is not
//	                      known when
//
// The columns come in any order, from mac on they may be missing, and others
// are passed over. A line without times says that a capture is about a device,
// and nothing of activations: without other lines it was never awake. Two kinds
// are no activations but stretches of an experiment, about which only the t-test
// is asked: idle, in which nothing was played, and "probe WORD", in which a word
// was again and again. A third, doubtful, is a time of which nobody knows whether
// the device was awake. It counts for nothing: neither as time without
// activations, nor is a detection within the same reach of it a false alarm.
//
// # What is counted
//
// An activation is found when a detection overlaps the time from [Before] its
// start to [After] its end. Detections closer than [Join] are one, and those
// that find no activation are false alarms. TPR is the share of activations
// that were found. False alarms an hour are for the time that is not within
// reach of an activation.
//
// A detector that alarms without end has one false alarm. So there is also the
// false positive rate: the time of a capture is cut into windows of [Window], as
// section 5.2.2 of the paper does, and FPR is the share of those out of reach of
// any activation in which the detector was active. The first window has none
// before it to be compared with, and counts for no detector. The t-test, which
// compares, is not asked about captures that are shorter than two windows.
//
// AUC is how likely an activation stands out more than such a window, where what
// a setting of the detector finds stands out more than what only laxer settings
// do ([stats.AUC]).
//
// The learned baseline is asked about windows of its own ([learned.DefaultCut]),
// and those with at least such a probability are its detections. On the same
// device it is trained on nine tenths of the recordings, or of stretches of five
// minutes of them, and asked about the last, in turn.
//
// Intervals are of 95 %: Clopper and Pearson's for shares, Garwood's for false
// alarms an hour. They take activations, windows and false alarms for
// independent. What a detector learns in one capture it forgets before the next,
// and it is told nothing of the labels.
package evaluate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"wakefuzz/analysis"
	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/oracle/traffic"
	"wakefuzz/stats"
)

// What the package's comment speaks of.
const (
	Before = 2 * time.Second
	After  = 5 * time.Second
	Join   = 3 * time.Second
	Window = 30 * time.Second
)

// Result is how detectors did.
type Result struct {
	// Devices are in the order of the labels.
	Devices []Device
	// Learned is how the learned baseline did on devices that it was not trained
	// on.
	Learned []Learned
	// Notes tell a person, a line each, what limits the result.
	Notes []string
}

// Device is how detectors did on one device.
type Device struct {
	Name     string
	Captures int
	// Curves are one for each detector, in the same order for each device.
	Curves []Curve
	// Invoked has an entry for each capture, where one without activations is
	// there to compare them with.
	Invoked []Invoked
	// Probed has an entry for each stretch that has an idle one before it.
	Probed []Probed
}

// Curve is how one detector did with its various settings.
type Curve struct {
	// Detector names it, with what sets it apart from others of the same rule.
	Detector string
	// Parameter is what varies, with its unit.
	Parameter string
	// Outcomes are from the laxest setting to the strictest.
	Outcomes []Outcome
	// AUC is the area under the curve, where there are both activations and
	// windows without; HasAUC says so.
	AUC         float64
	AUCInterval stats.Interval
	HasAUC      bool
}

// Outcome is how a detector did with one setting.
type Outcome struct {
	// Setting is what a person reads, and Value that of the curve's parameter.
	// A setting that is no point of the curve has OffCurve set.
	Setting  string
	Value    float64
	OffCurve bool
	// Usual settings are those to tell a person.
	Usual bool

	Activations, Found int
	// Kinds are the same for each kind of activation.
	Kinds map[string]Share
	// Windows are those out of reach of any activation, and Alarmed those in
	// which the detector was active.
	Windows, Alarmed int
	FalseAlarms      int
	Hours            float64
	// Nominal is about how many activations there were at unknown times, and
	// Detections what was found in those captures.
	Nominal, Detections int
}

// Share is a part of a number of things.
type Share struct{ Part, Of int }

// TPR is the share of activations that were found.
func (o Outcome) TPR() Share { return Share{o.Found, o.Activations} }

// FPR is the share of windows with a false alarm.
func (o Outcome) FPR() Share { return Share{o.Alarmed, o.Windows} }

// Options say what is evaluated.
type Options struct {
	// Rules are the detectors' settings, beside the usual variations of them.
	Rules traffic.Rules
	// Learned adds the learned baseline of section 5.4 of the paper, which takes
	// the most of the time.
	Learned bool
}

// Run evaluates detectors. Errors about labels that don't fit the captures wrap
// ErrLabels; others are those of package capture, and the context's.
func Run(ctx context.Context, recordings []Recording, o Options) (*Result, error) {
	e := &evaluation{bank: newBank(o.Rules), learned: o.Learned, devices: make(map[labelled]*tally), notes: make(map[string]int)}
	e.plan(recordings)
	var wrong mistakes
	for _, r := range recordings {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		switch err := e.recording(r); {
		case errors.Is(err, ErrLabels):
			wrong = append(wrong, err)
		case err != nil:
			return nil, err
		}
	}
	if err := wrong.error(); err != nil {
		return nil, err
	}
	var transfers []Learned
	if o.Learned {
		var err error
		if transfers, err = e.learn(ctx); err != nil {
			return nil, err
		}
	}
	result := e.result()
	result.Learned = transfers
	return result, nil
}

// evaluation is what is known so far.
type evaluation struct {
	bank    bank
	learned bool
	devices map[labelled]*tally // by name and address
	order   []*tally
	notes   map[string]int
}

// tally is what is known of a device.
type tally struct {
	name     string
	captures int
	curves   []curve
	// compared says that there are captures with activations, and one without
	// to hold them against.
	compared bool
	heard    []heard
	probed   []Probed
	lesson   lesson
}

// curve is what is known of a detector on a device.
type curve struct {
	outcomes []Outcome
	// positive and negative are how much each activation and each window out of
	// reach of any stands out: the number of settings that find it.
	positive, negative []float64
}

func newCurve(f family) curve {
	c := curve{outcomes: make([]Outcome, len(f.settings))}
	for i, s := range f.settings {
		c.outcomes[i] = Outcome{Setting: s.text, Value: s.value, OffCurve: s.offCurve, Usual: s.usual, Kinds: make(map[string]Share)}
	}
	return c
}

// finished is the curve with what follows from it.
func (c curve) finished(f family) Curve {
	curve := Curve{Detector: f.name, Parameter: f.parameter, Outcomes: c.outcomes}
	if len(c.positive) > 0 && len(c.negative) > 0 {
		curve.HasAUC = true
		curve.AUC, curve.AUCInterval = stats.AUC(c.positive, c.negative)
	}
	return curve
}

func (e *evaluation) tally(r Recording) *tally { return e.devices[labelled{r.Name, r.Device}] }

// plan makes a place for each device.
func (e *evaluation) plan(recordings []Recording) {
	type count struct{ idle, awake int }
	counts := make(map[*tally]*count)
	named := make(map[string]capture.Address)
	for _, r := range recordings {
		t := e.tally(r)
		if t == nil {
			t = &tally{name: r.Name}
			if other, taken := named[r.Name]; taken && other != r.Device {
				t.name = fmt.Sprintf("%s (%s)", r.Name, r.Device)
			}
			named[r.Name] = r.Device
			for _, f := range e.bank.families {
				t.curves = append(t.curves, newCurve(f))
			}
			e.devices[labelled{r.Name, r.Device}] = t
			e.order = append(e.order, t)
			counts[t] = &count{}
		}
		switch {
		case len(r.Doubts) > 0: // is compared as a whole with nothing
		case len(r.Activations) > 0:
			counts[t].awake++
		case len(r.Stretches) == 0 && r.Nominal == 0:
			counts[t].idle++
		}
	}
	for t, n := range counts {
		t.compared = n.idle > 0 && n.awake > 1
	}
}

// recording evaluates the detectors on a recording.
func (e *evaluation) recording(r Recording) error {
	t := e.tally(r)
	kept := collector{spans: r.spans(t.compared)}
	var all collector
	if e.learned {
		all.spans = []analysis.Span{{To: longest}}
	}
	report, err := e.read(r, &kept, &all)
	if err != nil {
		return err
	}
	if err := r.check(report.Length); err != nil {
		return err
	}
	for _, note := range report.Notes {
		e.notes[note]++
	}
	t.captures++
	found := make(map[string][]analysis.Activation)
	for _, a := range report.Devices[0].Activations {
		found[a.Detector] = append(found[a.Detector], a)
	}
	facts := factsOf(r, report, found[windowsName])
	for i, f := range e.bank.families {
		if !f.compares || len(found[windowsName]) > 0 {
			t.curves[i].judge(f, facts, found)
		}
	}
	if t.compared {
		t.heard = append(t.heard, heard{r, report.Length, kept.packets})
	}
	t.probed = append(t.probed, r.probed(kept.packets)...)
	if e.learned {
		return t.lesson.add(facts, report.Length, all.packets)
	}
	return nil
}

// read has all detectors look at the recording.
func (e *evaluation) read(r Recording, kept ...*collector) (analysis.Report, error) {
	in, err := capture.Open(r.File, r.Device)
	if err != nil {
		return analysis.Report{}, err
	}
	defer in.Close()
	detectors := e.bank.detectors()
	for _, k := range kept {
		if len(k.spans) > 0 {
			detectors = append(detectors, detector(keptName, k))
		}
	}
	report, err := analysis.Read(in, analysis.Options{Detectors: detectors})
	switch {
	case errors.Is(err, capture.ErrTruncated) && len(report.Devices) > 0:
		report.Notes = append(report.Notes, "the capture ends in the middle of a packet")
	case err != nil && strings.HasPrefix(err.Error(), r.File):
		return report, err
	case err != nil:
		return report, fmt.Errorf("%s: %w", r.File, err)
	case len(report.Devices) == 0:
		return report, r.absent()
	}
	return report, nil
}

// absent says that a capture has no packet of the device, and of which it has.
func (r Recording) absent() error {
	in, err := capture.Open(r.File, capture.Address{})
	if err != nil {
		return err
	}
	defer in.Close()
	packets := make(map[string]int)
	for {
		p, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		packets[p.Device.String()]++
	}
	if len(packets) == 0 {
		return r.at.errorf("%s holds no packets of any device", r.File)
	}
	there := slices.SortedFunc(maps.Keys(packets), func(a, b string) int {
		return cmp.Or(cmp.Compare(packets[b], packets[a]), cmp.Compare(a, b))
	})
	const most = 5
	more := ""
	if n := len(there) - most; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return r.at.errorf("%s holds no packet of %s; it has those of %s%s", r.File, r.Device, strings.Join(there[:min(most, len(there))], ", "), more)
}

// facts are what a recording's detections are held against.
type facts struct {
	Recording
	// reach are the times within reach of each activation, doubts those within
	// reach of a doubt, and excused both.
	reach, doubts, excused []analysis.Span
	// quiet are the windows out of reach.
	quiet []analysis.Span
	hours float64
}

func factsOf(r Recording, report analysis.Report, windows []analysis.Activation) facts {
	f := facts{Recording: r}
	for _, a := range r.Activations {
		f.reach = append(f.reach, reachOf(a.Span))
	}
	for _, d := range r.Doubts {
		f.doubts = append(f.doubts, reachOf(d.Span))
	}
	f.excused = merged(slices.Concat(f.reach, f.doubts))
	if r.Nominal > 0 {
		return f
	}
	watched := report.Watched
	for _, s := range f.excused {
		watched -= max(0, min(s.To, report.Length)-max(s.From, 0))
	}
	f.hours = max(0, watched).Hours()
	for _, w := range windows {
		if span := (analysis.Span{From: w.Start, To: w.End}); !overlapsAny(f.excused, span) {
			f.quiet = append(f.quiet, span)
		}
	}
	return f
}

// reachOf is within reach of an activation.
func reachOf(s analysis.Span) analysis.Span {
	return analysis.Span{From: s.From - Before, To: s.To + After}
}

// merged are the spans in the order of time, of which none overlaps another.
func merged(spans []analysis.Span) (all []analysis.Span) {
	slices.SortFunc(spans, func(a, b analysis.Span) int { return cmp.Compare(a.From, b.From) })
	for _, s := range spans {
		if n := len(all); n > 0 && s.From <= all[n-1].To {
			all[n-1].To = max(all[n-1].To, s.To)
			continue
		}
		all = append(all, s)
	}
	return all
}

// overlapsAny reports whether any of the spans, of which none ends before one
// that precedes it, overlaps the one.
func overlapsAny(spans []analysis.Span, s analysis.Span) bool {
	i := sort.Search(len(spans), func(i int) bool { return spans[i].To > s.From })
	return i < len(spans) && spans[i].From < s.To
}

// joined are activations as detections.
func joined(found []analysis.Activation) []analysis.Span {
	var all []analysis.Span
	for _, a := range found {
		if n := len(all); n > 0 && a.Start-all[n-1].To < Join {
			all[n-1].To = max(all[n-1].To, a.End)
			continue
		}
		all = append(all, analysis.Span{From: a.Start, To: a.End})
	}
	return all
}

// judge holds what a family of detectors found against the facts.
func (c *curve) judge(f family, facts facts, found map[string][]analysis.Activation) {
	positive, negative := make([]float64, len(facts.reach)), make([]float64, len(facts.quiet))
	rank := 0.0
	for i, s := range f.settings {
		detections := joined(s.of(found[s.source]))
		o := &c.outcomes[i]
		if facts.Nominal > 0 {
			o.Nominal += facts.Nominal
			o.Detections += len(detections)
			continue
		}
		if !s.offCurve {
			rank++
		}
		for j, reach := range facts.reach {
			kind := o.Kinds[facts.Activations[j].Kind]
			kind.Of++
			o.Activations++
			if overlapsAny(detections, reach) {
				kind.Part++
				o.Found++
				if !s.offCurve {
					positive[j] = rank
				}
			}
			o.Kinds[facts.Activations[j].Kind] = kind
		}
		for j, window := range facts.quiet {
			o.Windows++
			if overlapsAny(detections, window) {
				o.Alarmed++
				if !s.offCurve {
					negative[j] = rank
				}
			}
		}
		for _, d := range detections {
			if !overlapsAny(facts.excused, d) {
				o.FalseAlarms++
			}
		}
		o.Hours += facts.hours
	}
	c.positive = append(c.positive, positive...)
	c.negative = append(c.negative, negative...)
}

// result is what came out.
func (e *evaluation) result() *Result {
	result := &Result{}
	for _, t := range e.order {
		d := Device{Name: t.name, Captures: t.captures, Invoked: t.invoked(), Probed: t.probed}
		for i, c := range t.curves {
			d.Curves = append(d.Curves, c.finished(e.bank.families[i]))
		}
		result.Devices = append(result.Devices, d)
	}
	for _, note := range slices.Sorted(maps.Keys(e.notes)) {
		if n := e.notes[note]; n > 1 {
			note = fmt.Sprintf("in %d captures: %s", n, note)
		}
		result.Notes = append(result.Notes, note)
	}
	return result
}

// detector has a scanner of ours take part in an analysis of one device.
func detector(name string, s traffic.Scanner) traffic.Detector {
	return traffic.NewDetector(name, nil, func([]bench.Span) traffic.Scanner { return s })
}
