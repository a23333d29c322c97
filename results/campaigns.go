package results

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle/engine"
	"wakefuzz/stats"
)

// ErrWakeWords means that two campaigns are about different wake words, of which
// the false ones can't be compared.
var ErrWakeWords = errors.New("the campaigns are about different wake words")

// DiffLevel is the false discovery rate up to which the rate of a word is said to
// be another: of all words of which that is said, this share is expected to be
// there by chance.
const DiffLevel = 0.05

// CampaignComparison is what two campaigns found about the same words, with
// another model, firmware or voice. The campaigns may have different words;
// a word that one of them has not played is in only one of them.
//
// A word is tested where it has a last stage in both, of a length fixed
// beforehand. Where both had the same plays, with clip, phase and noise alike, as
// software benches have by the same seed, plays are paired, and McNemar's test is
// taken; otherwise Fisher's. Both are exact and two-sided.
//
// Q allows for all words that both campaigns have played, and a word that has
// got to the last stage in one of them counts as a p-value of 1. Only tests that
// could not have shown a difference don't count, whatever is true: of words all
// of whose plays, or whose paired plays, came out alike. That is known from
// their sum alone, and does not say which campaign they are of (R. E. Tarone, "A
// modified Bonferroni method for discrete data", Biometrics 46, 1990; P. B.
// Gilbert, "A modified false discovery rate multiple-comparisons procedure for
// discrete data", J. R. Stat. Soc. C 54, 2005).
type CampaignComparison struct {
	// A and B are what either says by itself, under its own judging.
	A, B Report
	// Pooled says that the campaigns have no voice in common. Words are then
	// compared over all voices of each, and have none here. Tests then say that
	// these voices differ, and nothing of other voices.
	Pooled bool
	// Words has an entry for each word that either played, by each of its voices,
	// in alphabetical order.
	Words []WordComparison
	// Tests is how many words Q allows for.
	Tests int
	// More and Less are how many words react more often in B than in A, and how
	// many less, of those with a last stage in both, all voices of a word
	// together. SignP is the p-value of the sign test that it is chance which.
	More, Less int
	SignP      float64
}

// WordComparison is what two campaigns found about a word.
type WordComparison struct {
	Word, Voice string
	A, B        Finding
	// Test is how P was found, or NoTest. P is how likely rates that are the same
	// give counts as different as these, and Q is P adjusted for there being many
	// words.
	Test Test
	P, Q float64
}

// Finding is what one campaign found about a word: the zero Finding is of one
// that it has not played.
type Finding struct {
	Share
	// Screened says that the word has no last stage: the plays are those of the
	// screening, which say nothing of how often it reacts.
	Screened bool
	Hit      bool
}

// Played says whether the campaign measured any play of the word.
func (f Finding) Played() bool { return f.Measured > 0 }

func (f Finding) tested() bool { return f.Played() && !f.Screened }

// Test is how two rates were compared.
type Test string

// The tests. Exports hold these names.
const (
	NoTest  Test = ""
	McNemar Test = "mcnemar"
	Fisher  Test = "fisher"
)

// Both says whether both campaigns have played the word.
func (w WordComparison) Both() bool { return w.A.Played() && w.B.Played() }

// Became says whether the word is a hit in B that was none in A.
func (w WordComparison) Became() bool { return w.Both() && w.B.Hit && !w.A.Hit }

// Ceased says whether the word was a hit in A that is none in B.
func (w WordComparison) Ceased() bool { return w.Both() && w.A.Hit && !w.B.Hit }

// Differs is 1 where the word reacts more often in B than in A at a false
// discovery rate of [DiffLevel], -1 where it does less often, and 0 where neither
// is known.
func (w WordComparison) Differs() int {
	if w.Test == NoTest || w.Q > DiffLevel {
		return 0
	}
	return cmp.Compare(w.B.Rate(), w.A.Rate())
}

// CompareCampaigns judges two campaigns, each by its own judging, and compares
// what they found about the same words. Errors are those of [Tally], or
// [ErrWakeWords].
func CompareCampaigns(a, b *Reader, judgingA, judgingB Judging) (CampaignComparison, error) {
	if a.campaign.WakeWord != b.campaign.WakeWord {
		return CampaignComparison{}, ErrWakeWords
	}
	sideA, err := newSide(a, judgingA)
	if err != nil {
		return CampaignComparison{}, err
	}
	sideB, err := newSide(b, judgingB)
	if err != nil {
		return CampaignComparison{}, err
	}
	c := CampaignComparison{A: *sideA.report, B: *sideB.report}
	voicesA, voicesB := c.A.Voices(), c.B.Voices()
	c.Pooled = len(voicesA) > 0 && len(voicesB) > 0 &&
		!slices.ContainsFunc(voicesA, func(voice string) bool { return slices.Contains(voicesB, voice) })
	foundA, foundB := sideA.findings(c.Pooled), sideB.findings(c.Pooled)
	keys := maps.Clone(foundA)
	maps.Copy(keys, foundB)
	var p []float64
	var of []int // places of their words
	for key := range keys {
		w, telling := compareWord(sideA, sideB, foundA[key], foundB[key])
		w.Word, w.Voice = key.word, key.voice
		switch {
		case w.Test == NoTest && w.Both():
			c.Tests++
		case telling:
			c.Tests++
			p, of = append(p, w.P), append(of, len(c.Words))
		}
		c.Words = append(c.Words, w)
	}
	for i, q := range stats.BenjaminiHochbergOf(c.Tests, p) {
		c.Words[of[i]].Q = q
	}
	slices.SortFunc(c.Words, func(a, b WordComparison) int {
		return cmp.Or(strings.Compare(a.Word, b.Word), strings.Compare(a.Voice, b.Voice))
	})
	c.sign()
	return c, nil
}

// compareWord compares what was found about a word, nil where it was not played.
// Telling is whether there is a test that could have shown a difference; of one
// that could not, P and Q are 1.
func compareWord(a, b side, inA, inB *found) (w WordComparison, telling bool) {
	if inA != nil {
		w.A = inA.Finding
	}
	if inB != nil {
		w.B = inB.Finding
	}
	early := a.report.Judging.Early || b.report.Judging.Early
	if early || !w.A.tested() || !w.B.tested() {
		return w, false
	}
	if onlyA, onlyB, paired := pairs(a, b, inA.trial, inB.trial); paired {
		w.Test, w.P, telling = McNemar, stats.McNemar(onlyA, onlyB), onlyA+onlyB > 0
	} else {
		reacted, measured := w.A.Reacted+w.B.Reacted, w.A.Measured+w.B.Measured
		w.Test, w.P = Fisher, stats.FisherTwoSided(w.A.Reacted, w.A.Measured, w.B.Reacted, w.B.Measured)
		telling = reacted > 0 && reacted < measured
	}
	if !telling {
		w.Q = 1
	}
	return w, telling
}

// sign counts the words that react more often, and less, in B.
func (c *CampaignComparison) sign() {
	for i := 0; i < len(c.Words); {
		word, difference := c.Words[i].Word, 0.0
		for ; i < len(c.Words) && c.Words[i].Word == word; i++ {
			if w := c.Words[i]; w.Test != NoTest {
				difference += w.B.Rate() - w.A.Rate()
			}
		}
		switch {
		case difference > 0:
			c.More++
		case difference < 0:
			c.Less++
		}
	}
	c.SignP = stats.McNemar(c.Less, c.More)
}

// side is one of two campaigns.
type side struct {
	plan   *plan
	report *Report
	plays  []outcome
}

func newSide(r *Reader, j Judging) (side, error) {
	report, plays, err := tally(r, j)
	if err != nil {
		return side{}, err
	}
	return side{r.plan, report, plays}, nil
}

type wordVoice struct{ word, voice string }

// found is a finding with the trial that it is of, which is the first where there
// are several.
type found struct {
	Finding
	trial TrialID
}

// findings are what the campaign found about each word, over all voices where they
// are pooled. Screening plays are left out where there is a last stage.
func (s side) findings(pooled bool) map[wordVoice]*found {
	all := map[wordVoice]*found{}
	for _, rows := range [][]Row{s.report.Words, s.report.Screened} {
		for _, row := range rows {
			key := wordVoice{row.Trial.Word, row.Trial.Voice}
			if pooled {
				key.voice = ""
			}
			f := all[key]
			switch {
			case row.Measured == 0:
				continue
			case f == nil:
				f = &found{trial: row.Trial.ID, Finding: Finding{Screened: row.Trial.Screening}}
				all[key] = f
			case f.Screened != row.Trial.Screening:
				continue
			}
			f.add(row.Reacted, row.Measured)
			f.Hit = f.Hit || row.Hit
		}
	}
	return all
}

// stimulus is what was played, as far as a bench that is software can tell.
type stimulus struct {
	clip        [sha256.Size]byte
	phase       time.Duration
	noise, gain float64
}

// pairs counts in how many plays that both campaigns had, with the same stimulus,
// only the one or only the other device reacted. They are not paired unless the
// trial is the same in both, and each stimulus is, of software benches: a room does
// not sound the same twice.
func pairs(a, b side, trialA, trialB TrialID) (onlyA, onlyB int, paired bool) {
	_, softA := a.report.Judging.Rules.Judges[engine.Name]
	_, softB := b.report.Judging.Rules.Judges[engine.Name]
	if trialA != trialB || !softA || !softB {
		return 0, 0, false
	}
	playsA, playsB := a.of(trialA), b.of(trialB)
	if len(playsA) != len(playsB) {
		return 0, 0, false
	}
	for i, in := range playsA {
		if in.state == bench.Unmeasured || playsB[i].state == bench.Unmeasured {
			continue
		}
		if in.stimulus != playsB[i].stimulus {
			return 0, 0, false
		}
		paired = true
		switch {
		case in.state == bench.Reacted && playsB[i].state != bench.Reacted:
			onlyA++
		case in.state != bench.Reacted && playsB[i].state == bench.Reacted:
			onlyB++
		}
	}
	return onlyA, onlyB, paired
}

// of are the trial's plays.
func (s side) of(id TrialID) []outcome {
	place := s.plan.places[id]
	return s.plays[s.plan.first[place]:s.plan.first[place+1]]
}
