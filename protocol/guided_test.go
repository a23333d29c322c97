package protocol_test

import (
	"strings"
	"testing"
	"time"

	"wakefuzz/protocol"
)

// exy are words of the dictionary, of which those with EH K S wake the device.
func exy(t testing.TB, most int) (candidates []protocol.Candidate, hit func(protocol.Candidate) bool) {
	for i, w := range lexicon(t) {
		if n := w.Pronunciation().Count(); i%5 == 0 && (n == 5 || n == 6) && len(candidates) < most {
			candidates = append(candidates, protocol.Candidate{Word: w, Voice: "flite/kal16"})
		}
	}
	return candidates, func(c protocol.Candidate) bool {
		return strings.Contains(string(c.Word.Pronunciation().Bare()), "EH K S")
	}
}

// What hits have in common is learnt from few of them, and found where nothing
// else is like the wake word.
func TestGuidedLearns(t *testing.T) {
	candidates, hit := exy(t, 3000)
	hits := 0
	for _, c := range candidates {
		if hit(c) {
			hits++
		}
	}
	d := protocol.Device{
		Timing: protocol.DefaultTiming(),
		Rate: func(c protocol.Candidate) float64 {
			if hit(c) {
				return 0.9
			}
			return 0
		},
		Clip: func(protocol.Candidate) time.Duration { return 600 * time.Millisecond },
		Seed: 1,
	}
	for _, segment := range []int{1, 20} {
		o := protocol.GuidedOptions{Words: 300, Batch: 50, Segment: segment}.WithDefaults()
		run := protocol.Simulate(protocol.Guided(candidates, "AH L EH K S AH", 1, o, protocol.Last{Plays: 10}), d)
		if found := len(run.Outcomes); found < hits*9/10 {
			t.Errorf("%d of %d hits are found in %d of %d words", found, hits, run.Words, len(candidates))
		}
	}
}

// An item says why it was chosen, and one at random is among them.
func TestGuidedSaysWhy(t *testing.T) {
	candidates, hit := exy(t, 2000)
	p := protocol.Guided(candidates, "AH L EH K S AH", 1,
		protocol.GuidedOptions{Words: 300, Batch: 50, Explore: 0.1, Segment: 1, Alone: 1}, protocol.Last{Plays: 2})
	var done []protocol.Done
	chosen, shares, random := 0, 0, 0
	for batch := p.Next(nil); len(batch) > 0; batch = p.Next(done) {
		d := protocol.Done{Batch: batch}
		for _, item := range batch {
			if item.Stage == protocol.StageScreen {
				chosen++
			}
			switch {
			case item.Stage == protocol.StageLast:
			case item.Why == "at random":
				random++
			case strings.Contains(item.Why, "shares ") && strings.Contains(item.Why, " with "):
				shares++
			case !strings.Contains(item.Why, " from "):
				t.Errorf("%q was chosen because of %q", item.Word.Text, item.Why)
			}
			r := protocol.Result{Quiet: item.Plays}
			if hit(item.Candidate) {
				r = protocol.Result{Reacted: item.Plays}
			}
			d.Results = append(d.Results, r)
		}
		done = append(done, d)
	}
	if share := float64(random) / float64(chosen); share < 0.08 || share > 0.12 || shares == 0 {
		t.Errorf("%d of %d words at random, and %d that share something with a hit", random, chosen, shares)
	}
}

// A search that finds nothing more ends.
func TestGuidedStops(t *testing.T) {
	candidates, _ := exy(t, 2000)
	o := protocol.GuidedOptions{Words: 1500, Batch: 50, Stop: 200}.WithDefaults()
	run := protocol.Simulate(protocol.Guided(candidates, "AH L EH K S AH", 1, o, protocol.Last{Plays: 2}), device(func(string) float64 { return 0 }))
	if run.Words > 200 || run.Words < 150 { // some are played twice
		t.Errorf("%d words were played, want about 200", run.Words)
	}
}
