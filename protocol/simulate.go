package protocol

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"wakefuzz/wordlists"
)

// Device is one whose answers are known beforehand, on a virtual clock.
type Device struct {
	Timing
	// Rate is how likely a play of the candidate draws a reaction, whatever was
	// played before it: no word wakes the device only together with the one
	// before.
	Rate func(Candidate) float64
	// Masked is the share of its reactions that a candidate loses in a segment,
	// where it follows another word: see [Sweep].
	Masked float64
	// Clip is the length of the candidate's clip, without the silence around it.
	Clip func(Candidate) time.Duration
	// Seed decides which plays draw a reaction.
	Seed uint64
}

// Outcome is a candidate that is through the last stage, or is not yet where
// the last stage may stop early: the one that was told last counts.
type Outcome struct {
	Candidate
	// Last is what its plays of the last stage drew.
	Last Result
	// At is when, on the bench's clock; Plays and Words are how many plays and
	// how many different candidates had been played by then.
	At           time.Duration
	Plays, Words int
}

// Run is what a protocol made of a device.
type Run struct {
	// Outcomes are the items of the last stage in the order in which they were
	// played.
	Outcomes []Outcome
	// At, Plays and Words are what all of it took.
	At           time.Duration
	Plays, Words int
}

// Simulate runs a protocol on a device. Plays are the protocol's: a play in a
// segment that is cut off by a reaction counts once it sounds to its end or
// becomes a suspect, and is not played twice.
func Simulate(p Protocol, d Device) Run {
	s := simulation{Device: d, played: make(map[key]int), last: make(map[key]Result)}
	var done []Done
	for {
		batch := p.Next(done)
		if len(batch) == 0 {
			return s.run
		}
		done = append(done, Done{batch, s.batch(batch)})
	}
}

type simulation struct {
	Device
	run    Run
	played map[key]int
	last   map[key]Result
}

func (s *simulation) batch(batch Batch) []Result {
	results := make([]Result, 0, len(batch))
	for i := 0; i < len(batch); {
		end := i + 1
		if batch[i].Segment == 0 {
			results = append(results, s.alone(batch[i]))
		} else {
			for end < len(batch) && batch[end].Segment == batch[i].Segment {
				end++
			}
			results = append(results, s.segment(batch[i:end])...)
		}
		i = end
	}
	return results
}

// reacts draws lots for a play of the candidate with that rate. They depend on how often it
// was played before and on nothing else.
func (s *simulation) reacts(c Candidate, rate float64) bool {
	k := c.key()
	n := s.played[k]
	s.played[k]++
	s.run.Plays++
	s.run.Words = len(s.played)
	if rate <= 0 || rate >= 1 {
		return rate >= 1
	}
	lot := wordlists.Lot(fmt.Sprintf("play %d", n), s.Seed, k.text+"\x00"+k.voice)
	return float64(lot) < rate*math.MaxUint64
}

func (s *simulation) alone(item Item) Result {
	var got Result
	for range item.Plays {
		s.run.At += s.Clip(item.Candidate)
		if s.reacts(item.Candidate, s.Rate(item.Candidate)) {
			got.Reacted++
			s.run.At += s.Latency + s.Settle
		} else {
			got.Quiet++
			s.run.At += s.Window + s.Rest
		}
	}
	if item.Stage == StageLast {
		k := item.key()
		sum := s.last[k]
		sum.Reacted += got.Reacted
		sum.Quiet += got.Quiet
		s.last[k] = sum
		s.run.Outcomes = append(s.run.Outcomes, Outcome{item.Candidate, sum, s.run.At, s.run.Plays, s.run.Words})
	}
	return got
}

// segment plays items back to back, as a runner does it: see [Item].Segment.
func (s *simulation) segment(items []Item) []Result {
	results := make([]Result, len(items))
	starts, ends := make([]time.Duration, len(items)), make([]time.Duration, len(items))
	for from := 0; from < len(items); {
		at := time.Duration(0)
		for i := from; i < len(items); i++ {
			starts[i] = at
			ends[i] = at + s.Clip(items[i].Candidate)
			at = ends[i] + s.Gap
		}
		// The first reaction, and the words that sounded by then.
		next, reaction := len(items), time.Duration(-1)
		for i := from; i < next; i++ {
			if s.reacts(items[i].Candidate, (1-s.Masked)*s.Rate(items[i].Candidate)) && reaction < 0 {
				reaction = ends[i] + s.Latency
				next = i + 1
				for next < len(items) && starts[next] < reaction {
					next++
				}
			}
		}
		for i := from; i < next; i++ {
			if reaction >= 0 && ends[i]+s.Window >= reaction {
				results[i].Reacted = 1
			} else {
				results[i].Quiet = 1
			}
		}
		if reaction >= 0 {
			s.run.At += reaction + s.Settle
		} else {
			s.run.At += at - s.Gap + s.Window + s.Rest
		}
		from = next
	}
	return results
}

// Point is how far a run has come.
type Point struct {
	At           time.Duration
	Plays, Words int
	// Found is how many candidates that count were hits in the last stage.
	Found int
}

// Curve is how many of the candidates that count were found, and when: those
// that reacted in at least the share of their plays in the last stage. Nil
// counts all.
func (r Run) Curve(share float64, counts func(Candidate) bool) []Point {
	hit := make(map[key]bool)
	curve := []Point{{}}
	found := 0
	for _, o := range r.Outcomes {
		if counts != nil && !counts(o.Candidate) {
			continue
		}
		before := hit[o.key()]
		now := o.Last.Measured() > 0 && float64(o.Last.Reacted) >= share*float64(o.Last.Measured())
		hit[o.key()] = now
		switch {
		case now && !before:
			found++
		case before && !now:
			found--
		default:
			continue
		}
		curve = append(curve, Point{o.At, o.Plays, o.Words, found})
	}
	return append(curve, Point{r.At, r.Plays, r.Words, found})
}

// WriteCurves writes a row for each point of each curve: the protocol, bench
// hours, plays, words played, and words found.
func WriteCurves(w io.Writer, names []string, curves [][]Point) error {
	out := csv.NewWriter(w)
	out.Write([]string{"protocol", "bench_hours", "plays", "words", "found"})
	for i, name := range names {
		for _, p := range curves[i] {
			out.Write([]string{name, strconv.FormatFloat(p.At.Hours(), 'f', 4, 64), strconv.Itoa(p.Plays), strconv.Itoa(p.Words), strconv.Itoa(p.Found)})
		}
	}
	out.Flush()
	return out.Error()
}
