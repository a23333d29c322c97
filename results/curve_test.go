package results_test

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"wakefuzz/oracle/engine"
	"wakefuzz/results"
)

// At each threshold the curve says what judging the store by it says.
func TestThresholds(t *testing.T) {
	trials := plan(30, 5)
	random := rand.New(rand.NewPCG(3, 4))
	for i := range trials[:20] {
		trials[i].Screening, trials[i].Plays = true, 1
		if i < 5 { // they have a last stage too
			last := trials[i]
			last.ID[0]++
			last.Screening, last.Plays, last.Round = false, 5, 2
			trials = append(trials, last)
		}
	}
	s, _ := create(t, trials)
	defer closing(t, s)
	for _, trial := range trials {
		for i := range trial.Plays {
			a := attempt(play(trial, i), 1, 1, random.Float32())
			for k := range a.Observations[0].Scores.Values[7:] {
				a.Observations[0].Scores.Values[7+k] = random.Float32()
			}
			if random.IntN(8) == 0 {
				a = failed(play(trial, i), 1, 1)
			}
			if err := s.Append(a); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, patience := range []int{1, 3} {
		rule := engine.Rule{Threshold: 0.5, Patience: patience}
		thresholds := []float64{0.9, 0.5, 0.1, 0.5, 1, 0.75}
		c, err := results.Thresholds(s.Reader, rule, 0.4, thresholds)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Points) != 5 || c.Tested != 14 || c.Points[0].Threshold != 0.1 {
			t.Fatalf("%+v", c)
		}
		for _, p := range c.Points {
			rule.Threshold = p.Threshold
			j := judging(0.5)
			j.HitRate = 0.4
			j.Rules.Judges[engine.Name] = rule.Judge
			// What the screening gave is compared with the night.
			both, err := results.Compare(s.Reader, judging(0.5), j, "")
			if err != nil {
				t.Fatal(err)
			}
			want := results.CurvePoint{Threshold: p.Threshold, Hits: both.Now.Totals.Hits, Unplayed: len(both.Unplayed)}
			for _, row := range both.Now.Words {
				want.Plays.Reacted += row.Reacted
				want.Plays.Measured += row.Measured
			}
			for _, row := range both.Now.Controls {
				want.Wake.Reacted += row.Reacted
				want.Wake.Measured += row.Measured
			}
			if p != want {
				t.Errorf("patience %d: %+v, by judging again %+v", patience, p, want)
			}
		}
		if !slices.IsSortedFunc(c.Points, func(a, b results.CurvePoint) int { return b.Hits - a.Hits }) || c.Points[0].Hits == 0 || c.Points[0].Unplayed == 0 {
			t.Errorf("patience %d: %+v", patience, c.Points)
		}
	}
}

func TestACampaignWithoutScoresHasNoCurve(t *testing.T) {
	s := createIn(t, filepath.Join(t.TempDir(), "campaign"), plan(2, 1))
	defer closing(t, s)
	if _, err := results.Thresholds(s.Reader, engine.DefaultRule(), 0.2, []float64{0.5}); !errors.Is(err, results.ErrNoScores) {
		t.Errorf("error %v", err)
	}
}
