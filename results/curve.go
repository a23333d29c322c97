package results

import (
	"errors"
	"slices"

	"wakefuzz/bench"
	"wakefuzz/oracle/engine"
)

// ErrNoScores means that a campaign has no scores of an engine, of which another
// threshold could be asked.
var ErrNoScores = errors.New("the campaign has no scores of a wake-word engine")

// Curve is how many false wake words there are, and how often the wake word is
// heard, at each threshold of an engine's score.
type Curve struct {
	Campaign Campaign
	// Rule is the rule whose threshold is moved, and HitRate makes a word a hit.
	Rule    engine.Rule
	HitRate float64
	// Tested is how many words have a last stage, by each voice.
	Tested int
	// Points are by threshold, lowest first.
	Points []CurvePoint
}

// CurvePoint is one threshold of a curve.
type CurvePoint struct {
	Threshold float64
	// Hits is how many words of the last stage are hits, and Plays in how many of
	// the plays of all of them the device would have reacted.
	Hits  int
	Plays Share
	// Unplayed is how many words would have reacted in a play of the screening in
	// which they did not, and never got a last stage. They may be hits as well: at
	// a threshold below that of the night, the number of hits lies between Hits
	// and the sum.
	Unplayed int
	// Wake is in how many of the plays of the wake word it would have.
	Wake Share
}

// Thresholds judges the store at every one of the thresholds, in one pass over
// what was scored. Errors are those of reading the store, or [ErrNoScores].
func Thresholds(r *Reader, rule engine.Rule, hitRate float64, thresholds []float64) (Curve, error) {
	voided, err := r.voided()
	if err != nil {
		return Curve{}, err
	}
	reaches := make([]playReach, r.plan.plays())
	scored := false
	for a, err := range r.Attempts() {
		if err != nil {
			return Curve{}, err
		}
		slot := r.plan.first[r.plan.places[a.Play.Trial]] + a.Play.Index
		if !counts(a.State, voided[attemptKey{slot, a.Number}]) {
			continue
		}
		reaches[slot] = playReach{reacted: a.State == bench.Reacted}
		for _, o := range a.Observations {
			if o.Oracle == engine.Name {
				reaches[slot].threshold, reaches[slot].measured = rule.Reach(o)
			}
		}
		scored = scored || reaches[slot].measured
	}
	if !scored {
		return Curve{}, ErrNoScores
	}

	tested, screened, wake := r.byWord(reaches)
	var words, plays, unplayed, wakes []float32 // from which thresholds on down each is a hit, or reacts
	c := Curve{Campaign: r.campaign, Rule: rule, HitRate: hitRate, Tested: len(tested)}
	for key, of := range tested {
		delete(screened, key)
		reached := of.reached()
		plays = append(plays, reached...)
		if need := hitsNeeded(of.planned, hitRate); need <= len(reached) {
			words = append(words, reached[len(reached)-need])
		}
	}
	for _, of := range screened {
		of.plays = slices.DeleteFunc(of.plays, func(p playReach) bool { return p.reacted })
		if reached := of.reached(); len(reached) > 0 {
			unplayed = append(unplayed, reached[len(reached)-1])
		}
	}
	wakes = wake.reached()
	for _, all := range [][]float32{words, plays, unplayed, wakes} {
		slices.Sort(all)
	}
	thresholds = slices.Compact(slices.Sorted(slices.Values(thresholds)))
	for _, t := range thresholds {
		c.Points = append(c.Points, CurvePoint{
			Threshold: t, Hits: from(words, t), Unplayed: from(unplayed, t),
			Plays: Share{from(plays, t), len(plays)}, Wake: Share{from(wakes, t), len(wakes)},
		})
	}
	return c, nil
}

// playReach is from which threshold on down a play reacts, and whether it did at
// the time.
type playReach struct {
	threshold         float32
	measured, reacted bool
}

// wordReach are the plays of a word.
type wordReach struct {
	plays   []playReach
	planned int
}

// reached are the thresholds of the plays that were measured, lowest first.
func (w wordReach) reached() []float32 {
	var all []float32
	for _, p := range w.plays {
		if p.measured {
			all = append(all, p.threshold)
		}
	}
	slices.Sort(all)
	return all
}

// byWord groups plays by the word and voice of which they are: those of the last
// stage, those of the screening, and those of the wake word.
func (r *Reader) byWord(reaches []playReach) (tested, screened map[wordVoice]*wordReach, wake wordReach) {
	tested, screened = map[wordVoice]*wordReach{}, map[wordVoice]*wordReach{}
	for i, t := range r.plan.trials {
		of := &wake
		switch t.Role {
		case RoleNegative:
			continue
		case RoleWord:
			stage := tested
			if t.Screening {
				stage = screened
			}
			key := wordVoice{t.Word, t.Voice}
			if stage[key] == nil {
				stage[key] = &wordReach{}
			}
			of = stage[key]
		}
		of.planned += t.Plays
		of.plays = append(of.plays, reaches[r.plan.first[i]:r.plan.first[i+1]]...)
	}
	return tested, screened, wake
}

// hitsNeeded is in how many of its plays a word has to react to be a hit.
func hitsNeeded(planned int, rate float64) int {
	need := 1
	for !IsHit(need, planned, rate) {
		need++
	}
	return need
}

// from counts the values, sorted, that are at least the threshold: as the float32
// that scores are.
func from(sorted []float32, threshold float64) int {
	place, _ := slices.BinarySearch(sorted, float32(threshold))
	return len(sorted) - place
}
