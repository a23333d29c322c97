package results

import (
	"fmt"
	"slices"

	"wakefuzz/bench"
	"wakefuzz/oracle"
)

// Comparison is what two judgings make of the same store.
type Comparison struct {
	// Was and Now are what either says by itself.
	Was, Now Report
	// Whole names the rule for whole trials of Now that is compared, or is "" where
	// the verdicts on plays are.
	Whole string
	// Changes has an entry for each trial, in plan order, whether it differs or
	// not.
	Changes []Change
	// Agreement counts the plays that count, or for a rule for whole trials the
	// trials, by what they were (first) and what they are now.
	Agreement [bench.Reacted + 1][bench.Reacted + 1]int
	// Unplayed are the words that never got a last stage and would have reacted in
	// a play of the screening in which they did not, by the second judging: whether
	// they would have been hits was never tried. They are in plan order, a trial of
	// each.
	Unplayed []Trial
}

// Change is what two judgings make of one trial.
type Change struct {
	Trial    Trial
	Was, Now Outcome
}

// Outcome is in how many plays the device reacted, of how many that could be
// judged. A rule for whole trials judges one, the trial.
type Outcome struct {
	Measured, Reacted int
	Hit               bool
}

// Differs says whether the two judgings make something else of the trial: other
// counts or, where they count other things, another hit.
func (c Comparison) Differs(change Change) bool {
	if c.Whole != "" {
		return change.Was.Hit != change.Now.Hit
	}
	return change.Was != change.Now
}

// Became says whether the word is a hit now that was none.
func (c Change) Became() bool { return c.Now.Hit && !c.Was.Hit }

// Ceased says whether the word was a hit that is none now.
func (c Change) Ceased() bool { return c.Was.Hit && !c.Now.Hit }

// Compare judges a store by two judgings. Where whole names one of the rules for
// whole trials of the second, it is this rule that is compared with the verdicts
// of the first: a word is a hit by it where it says that its trial reacted.
// Errors are those of [Tally], or that there is no such rule.
func Compare(r *Reader, was, now Judging, whole string) (Comparison, error) {
	before, plays, err := tally(r, was)
	if err != nil {
		return Comparison{}, err
	}
	after, replays, err := tally(r, now)
	if err != nil {
		return Comparison{}, err
	}
	rule := slices.IndexFunc(now.Trials, func(t oracle.TrialRule) bool { return t.Name == whole })
	if whole != "" && rule < 0 {
		return Comparison{}, fmt.Errorf("there is no rule %q for whole trials", whole)
	}
	c := Comparison{Was: *before, Now: *after, Whole: whole}
	wasRows, nowRows := before.byTrial(), after.byTrial()
	for _, t := range r.plan.trials {
		row, again := wasRows[t.ID], nowRows[t.ID]
		change := Change{Trial: t, Was: outcomeOf(row), Now: outcomeOf(again)}
		if whole != "" {
			reading := again.Trials[rule]
			change.Now = Outcome{Hit: reading.State == bench.Reacted}
			if reading.State != bench.Unmeasured {
				change.Now.Measured = 1
			}
			if change.Now.Hit {
				change.Now.Reacted = 1
			}
			c.Agreement[change.Was.state()][reading.State]++
		}
		c.Changes = append(c.Changes, change)
	}
	for slot, play := range plays {
		if whole == "" && play.counts {
			c.Agreement[play.state][replays[slot].state]++
		}
	}
	c.Unplayed = unplayed(r.plan, replays)
	return c, nil
}

// unplayed are the words that would have got on from a screening by these
// verdicts, and did not.
func unplayed(p *plan, plays []outcome) []Trial {
	known := make(map[wordVoice]bool)
	for _, t := range p.trials {
		if t.tested() {
			known[wordVoice{t.Word, t.Voice}] = true
		}
	}
	var trials []Trial
	for i, t := range p.trials {
		key := wordVoice{t.Word, t.Voice}
		if t.Role != RoleWord || known[key] {
			continue
		}
		if slices.ContainsFunc(plays[p.first[i]:p.first[i+1]], func(o outcome) bool { return o.state == bench.Reacted && o.live != bench.Reacted }) {
			known[key] = true
			trials = append(trials, t)
		}
	}
	return trials
}

// byTrial are the report's rows by their trials.
func (r *Report) byTrial() map[TrialID]Row {
	rows := make(map[TrialID]Row)
	for _, row := range slices.Concat(r.Words, r.Screened, r.Controls) {
		rows[row.Trial.ID] = row
	}
	return rows
}

func outcomeOf(row Row) Outcome {
	return Outcome{Measured: row.Measured, Reacted: row.Reacted, Hit: row.Hit}
}

// state is what a trial is by its plays.
func (o Outcome) state() bench.State {
	switch {
	case o.Measured == 0:
		return bench.Unmeasured
	case o.Hit:
		return bench.Reacted
	default:
		return bench.Quiet
	}
}
