// Package learned prepares traffic for the learned baseline of section 5.4 of
// the paper: a classifier that is shown, with labels, what a device's traffic
// looks like when it was activated and when it was not.
//
// [Windows] cuts recordings into windows of equal length and makes of each a row
// of features and a label, for package forest to train and test on. The features
// are the paper's (section 5.4.1): statistics which tsfresh has for a sequence,
// here that of the packets' lengths. The paper lets tsfresh compute all that it
// can; [Names] lists the choice of them made here, and tests hold each against
// tsfresh.
//
// # Limits
//
//   - What is learned is about lengths in one window. Whether a window is like
//     those before it is not a feature.
//   - Where a capture has no direction, only the features of all packets say
//     anything, and a forest trained with directions is at a loss.
package learned

import (
	"fmt"
	"time"

	"wakefuzz/bench"
	"wakefuzz/forest"
	"wakefuzz/oracle/traffic"
)

// Recording is the traffic of a device in one capture, and when it was active.
type Recording struct {
	Name string
	// Packets are in the order of time.
	Packets []bench.Packet
	// Watched is what the capture covers, and Activations are when in it the
	// device was active, as by its light.
	Watched     bench.Span
	Activations []bench.Span
}

// Cut says how recordings are cut into windows.
type Cut struct {
	// Length is how long a window is, and Step how long after one the next
	// begins.
	Length, Step time.Duration
	// Block is the length of the stretches of a recording that are a group
	// each, for devices that have few recordings; or 0 where a recording is one
	// group. A window belongs to the block that it begins in.
	Block time.Duration
}

// DefaultCut has windows of 5 seconds that overlap by half. The paper doesn't
// say what it cut its traffic into. Of windows of 3, 5, 10 and 30 seconds these
// told activations best from the rest in cross-validation, on recordings of two
// Echos, labelled by their uploads, and of a HomePod, labelled by its light. No
// activation falls between two windows that overlap.
func DefaultCut() Cut { return Cut{Length: 5 * time.Second, Step: 2500 * time.Millisecond} }

// Window is what a row of features was made of.
type Window struct {
	// Recording is its number among those given.
	Recording int
	Span      bench.Span
}

// Windows cuts the recordings of one device: row i of the set is about window i.
// What is left at the end of a recording, shorter than a window, is left out.
//
// A row is positive where the device was active for half of the window at least,
// or the window holds half of an activation at least. Windows that an activation
// only touches hold little of what there is to learn.
func Windows(recordings []Recording, cut Cut) ([]Window, forest.Set, error) {
	if cut.Length <= 0 || cut.Step <= 0 || cut.Block < 0 {
		return nil, forest.Set{}, fmt.Errorf("windows of %v every %v, in blocks of %v: the first two must be longer than nothing, and the last not less",
			cut.Length, cut.Step, cut.Block)
	}
	var windows []Window
	var set forest.Set
	for i, r := range recordings {
		for span := (bench.Span{Start: r.Watched.Start, End: r.Watched.Start.Add(cut.Length)}); span.End <= r.Watched.End; {
			windows = append(windows, Window{Recording: i, Span: span})
			set.Rows = append(set.Rows, Features(traffic.Between(r.Packets, span)))
			set.Positive = append(set.Positive, active(span, r.Activations))
			group := r.Name
			if cut.Block > 0 {
				group = fmt.Sprintf("%s, block %d", r.Name, span.Start.Sub(r.Watched.Start)/cut.Block)
			}
			set.Groups = append(set.Groups, group)
			span = bench.Span{Start: span.Start.Add(cut.Step), End: span.End.Add(cut.Step)}
		}
	}
	return windows, set, nil
}

// active reports whether the window is one of an activation.
func active(window bench.Span, activations []bench.Span) bool {
	for _, a := range activations {
		common := bench.Span{Start: max(a.Start, window.Start), End: min(a.End, window.End)}.Duration()
		if common > 0 && 2*common >= min(a.Duration(), window.Duration()) {
			return true
		}
	}
	return false
}
