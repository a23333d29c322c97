package results_test

import (
	"math"
	"testing"

	"wakefuzz/results"
)

func TestSegments(t *testing.T) {
	hit := func(word string, reacted int) results.Row {
		row := spokenBy(word, "a", reacted)
		row.Trial.Batch = 2
		return row
	}
	inSegment := func(word string, batch, reacted int) results.Row {
		row := spokenBy(word, "a", reacted)
		row.Trial.Screening, row.Trial.Plays, row.Trial.Batch, row.Trial.Segment = true, 1, batch, 3
		row.Measured = 1
		return row
	}
	alone := inSegment("lexus", 3, 1)
	alone.Trial.Segment = 0
	unmeasured := inSegment("lexus", 5, 0)
	unmeasured.Measured = 0
	otherVoice := inSegment("lexus", 3, 1)
	otherVoice.Trial.Voice = "b"
	r := results.Report{
		Words: []results.Row{hit("lexus", 10), hit("vex", 5)},
		Screened: []results.Row{
			inSegment("lexus", 1, 1), // before it was known
			inSegment("window", 3, 0), alone, unmeasured, otherVoice,
			inSegment("lexus", 3, 1), inSegment("vex", 3, 0), inSegment("lexus", 4, 0), inSegment("vex", 4, 0),
		},
	}
	s := r.Segments()
	if (s.Drew != results.Share{Reacted: 1, Measured: 4}) || s.Expected != 3 {
		t.Fatalf("%+v, want 1 of 4, with 3 expected", s)
	}
	// One of four is 0.25 (0.006 to 0.806 by Clopper and Pearson), where it is 0.75 alone.
	share, lower, upper := s.Hidden()
	if math.Abs(share-2.0/3) > 1e-9 || lower != 0 || math.Abs(upper-(1-0.00631/0.75)) > 1e-4 {
		t.Errorf("hidden are %g, from %g to %g", share, lower, upper)
	}
	if s := (results.Report{Words: r.Words}).Segments(); s.Expected != 0 {
		t.Errorf("nothing in segments is %+v", s)
	}
}
