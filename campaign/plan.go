package campaign

import (
	"crypto/sha256"
	"fmt"

	"wakefuzz/results"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// Plan lists the trials of a campaign in the order in which they are played:
// first the wake word itself, as positive control, then each word, by each
// voice; and in between and at the end, where the spec asks for it, the wake
// word again by the first voice. It is a pure function of its arguments.
func Plan(spec Spec, wake wordlists.Word, words []wordlists.Word) []results.Trial {
	trials := make([]results.Trial, 0, (1+len(words))*len(spec.Voices))
	add := func(role results.Role, w wordlists.Word, round, plays int, voices ...tts.Voice) {
		for _, voice := range voices {
			t := results.Trial{
				Role:          role,
				Word:          w.Text,
				Pronunciation: w.Pronunciation(),
				Guessed:       w.Guessed,
				List:          w.List,
				Voice:         voice.String(),
				Round:         round,
				Plays:         plays,
			}
			t.ID = trialID(spec.Seed, t)
			trials = append(trials, t)
		}
	}
	plays := spec.Protocol.Plays
	add(results.RolePositive, wake, 1, plays, spec.Voices...)
	checks := 0
	for i, w := range words {
		add(results.RoleWord, w, 1, plays, spec.Voices...)
		last := i == len(words)-1
		if every := spec.Controls.Every; every > 0 && (last || (i+1)%every == 0) {
			checks++
			add(results.RolePositive, wake, 1+checks, spec.Controls.Plays, spec.Voices[0])
		}
	}
	return trials
}

// trialID hashes what makes a trial the one it is. The bench is left out on
// purpose: the same words played to two models get the same phases and the
// same noise, so that a comparison of the two is paired.
func trialID(seed uint64, t results.Trial) results.TrialID {
	sum := sha256.Sum256(fmt.Appendf(nil, "trial v1\n%d\n%s\n%q\n%q\n%d\n", seed, t.Role, t.Word, t.Voice, t.Round))
	return results.TrialID(sum[:16])
}

// planHash hashes the part of the spec that shapes the plan, and the trials.
func planHash(spec Spec, trials []results.Trial) ([sha256.Size]byte, error) {
	text, err := spec.plan().YAML()
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "plan v1\n%s\n", text)
	for _, t := range trials {
		fmt.Fprintf(h, "%s %d\n", t.ID, t.Plays)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// job is what is left to play of a trial.
type job struct {
	trial results.Trial
	// plays are the indices of the plays that no attempt counts for; at a fixed
	// pace, of all.
	plays []int
	// cut is why a trial at a fixed pace is to be played, and void what there is
	// of it, which then no longer counts.
	cut  string
	void []results.Void
}

// remaining subtracts from the plan the plays that have an attempt that counts.
func remaining(trials []results.Trial, progress *results.Progress) []job {
	var jobs []job
	for _, t := range trials {
		j := job{trial: t}
		for i := range t.Plays {
			if !progress.Done(results.PlayID{Trial: t.ID, Index: i}) {
				j.plays = append(j.plays, i)
			}
		}
		if len(j.plays) > 0 {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// untaken lists the trials that were not played whole.
func untaken(trials []results.Trial, takes *results.Takes) []job {
	var jobs []job
	for _, t := range trials {
		cut := takes.Cut(t.ID)
		if cut == "" {
			continue
		}
		j := job{trial: t, cut: cut, void: takes.Counting(t.ID)}
		for i := range t.Plays {
			j.plays = append(j.plays, i)
		}
		jobs = append(jobs, j)
	}
	return jobs
}
