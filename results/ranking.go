package results

import (
	"fmt"
	"maps"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/traffic"
	"wakefuzz/stats"
)

// Ranking says how plays are ranked among the device's own traffic, so that
// words get p-values that need no threshold.
//
// At a fixed pace, the idle stretch before each trial is cut into windows as long
// as the longest play and what is watched after it. The plays of a word are
// ranked among those of all trials, and the p-values are exact: whatever the
// device sends of its own accord, a word that it doesn't hear draws no more.
//
// A settled campaign has no time in which nothing sounds: one play follows upon
// the other as soon as the device has been quiet. What it would have sent
// otherwise is not to be had from elsewhere in the night either, as plays that
// wait for quiet are no sample of the device's day. But the plays of other words
// began alike. Each word is ranked among the plays of all words, and those that
// stand out (Q at most 5 %) are taken out of what the rest is compared with,
// until no more do. Words that do react and are not found out make the p-values
// of others larger than need be, and never smaller. One in twenty of those taken
// out may stand there by chance, which is why these p-values are marked as
// approximate.
//
// Of a play, only a whole record counts: one with packets lost would be ranked
// too low. So would be one that was watched for less than the rule asks for.
type Ranking struct {
	// Rule says what is ranked, and how long each play is watched.
	Rule traffic.CalibratedRule
	// Decides says that traffic is judged by this rule, too: in a campaign at a
	// fixed pace by the line that its idle windows draw, in place of the one by
	// which plays were judged while nothing was known yet.
	Decides bool
}

// Background is what the plays of a campaign were ranked among.
type Background struct {
	// Windows is how many windows there were, each of the length Unit. No P is
	// less than 1/(Windows+1).
	Windows int
	Unit    time.Duration
	// Approximate says that it isn't known whether the device reacted in them.
	Approximate bool
	// Line is from how many bytes on a play is a reaction, and 0 where that was
	// not learnt from the windows.
	Line float64
	// Notes tell a person, a line each, what limits the p-values.
	Notes []string
}

// standsOut is the share of words taken for reacting by mistake that a settled
// campaign's comparison of words with each other puts up with.
const standsOut = 0.05

// decide is how plays are judged, once it is known what idle windows hold.
func (k *Ranking) decide(rules oracle.Rules, idle *traffic.Null) oracle.Rules {
	if k == nil || !k.Decides || idle.Len() == 0 || rules.Judges[traffic.Name] == nil {
		return rules
	}
	rules.Judges = maps.Clone(rules.Judges)
	judge := k.Rule.Judging(idle)
	rules.Judges[traffic.Name] = func(sound bench.Span, o bench.Observation) bench.Reading {
		reading, _ := judge(sound, o)
		return reading
	}
	return rules
}

// scores are how much was sent in each play, by its slot: paced bytes, or a
// negative number where that is not known.
type scores struct {
	*Ranking
	of []float32
}

func (k *Ranking) newScores(plays int) *scores {
	if k == nil {
		return nil
	}
	s := &scores{k, make([]float32, plays)}
	for slot := range s.of {
		s.of[slot] = -1
	}
	return s
}

// add takes in an attempt that counts.
func (s *scores) add(slot int, a Attempt) {
	if s == nil {
		return
	}
	s.of[slot] = -1
	for _, o := range a.Observations {
		if o.Oracle != traffic.Name || o.Fault != bench.NoFault || o.Dropped > 0 || o.Watched.End < a.Sound.End.Add(s.Rule.Watch()) {
			continue
		}
		if reading, _ := s.Rule.Judge(a.Sound, o, nil); reading.State != bench.Unmeasured {
			s.of[slot] = float32(reading.Strength)
		}
	}
}

// rank gives the rows of the plan's trials their P and Q.
func (s *scores) rank(p *plan, rows []Row, idle *traffic.Null, paced bool) *Background {
	if s == nil {
		return nil
	}
	plays := make([][]float64, len(rows))
	known := 0
	for i := range rows {
		for _, score := range s.of[p.first[i]:p.first[i+1]] {
			if score >= 0 {
				plays[i] = append(plays[i], float64(score))
				known++
			}
		}
	}
	b := &Background{Approximate: !paced}
	if !paced {
		idle = amongThemselves(p, rows, plays, idle.Unit())
		b.Notes = append(b.Notes, "the plays were not at a fixed pace, so words are compared with each other and not with idle traffic: their p-values are approximate")
	}
	b.Windows, b.Unit = idle.Len(), idle.Unit()
	switch {
	case known == 0:
		b.Notes = nil
	case idle.Len() == 0:
		b.Notes = append(b.Notes, fmt.Sprintf("there is no window of %v in which the device was idle to compare with, so no p-value is known", b.Unit.Round(time.Millisecond)))
	case paced:
		var notes []string
		if b.Line, notes = s.Rule.Line(idle); !s.Decides {
			b.Line = 0
		}
		b.Notes = append(b.Notes, notes...)
	default:
		b.Notes = append(b.Notes, idle.Drift()...)
	}
	if known > 0 {
		b.Notes = append(b.Notes, idle.Phases()...)
	}
	for i := range rows {
		if !p.trials[i].Screening { // whose plays share windows, and have no rate
			rows[i].P = idle.Combine(plays[i]).Value
			rows[i].PlayP = playP(s.of[p.first[i]:p.first[i+1]], idle)
		}
	}
	adjust(p, rows)
	return b
}

// playP ranks each play by itself.
func playP(scores []float32, idle *traffic.Null) []float64 {
	each := make([]float64, len(scores))
	for i, score := range scores {
		if score >= 0 && idle.Len() > 0 {
			each[i] = idle.P(float64(score)).Value
		}
	}
	return each
}

// amongThemselves are the plays of words, but for those of words that stand out
// of them.
func amongThemselves(p *plan, rows []Row, plays [][]float64, unit time.Duration) *traffic.Null {
	out := make([]bool, len(rows))
	for {
		null := traffic.NewNull(unit)
		var at bench.Instant
		for i := range rows {
			if !p.trials[i].tested() || out[i] {
				continue
			}
			for _, score := range plays[i] {
				null.Add(at, score)
				at = at.Add(unit)
			}
			at = at.Add(unit) // another word is no neighbour
		}
		for i := range rows {
			if !out[i] && !p.trials[i].Screening {
				rows[i].P = null.Combine(plays[i]).Value
			}
		}
		adjust(p, rows)
		more := false
		for i, row := range rows {
			if !out[i] && row.Q > 0 && row.Q <= standsOut {
				out[i], more = true, true
			}
		}
		if !more {
			return null
		}
	}
}

// adjust gives words their Q, of those of which there is a P.
func adjust(p *plan, rows []Row) {
	var places []int
	var values []float64
	for i, row := range rows {
		if p.trials[i].tested() && row.P > 0 {
			places, values = append(places, i), append(values, row.P)
		}
	}
	for k, q := range stats.BenjaminiHochberg(values) {
		rows[places[k]].Q = q
	}
}
