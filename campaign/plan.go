package campaign

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"wakefuzz/phoneme"
	"wakefuzz/protocol"
	"wakefuzz/results"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// Candidates are the words, each by each of the spec's voices: what a protocol
// chooses from.
func Candidates(spec Spec, words []wordlists.Word) []protocol.Candidate {
	candidates := make([]protocol.Candidate, 0, len(words)*len(spec.Voices))
	for _, w := range words {
		for _, v := range spec.Voices {
			candidates = append(candidates, protocol.Candidate{Word: w, Voice: v.String()})
		}
	}
	return candidates
}

// Plan lists the trials of a campaign's first batch, which is all of it where
// every word is played equally often, in the order in which they are played: first
// the wake word itself, as positive control, by each voice; then what the
// protocol asks for; and in between and at the end, where the spec asks for it,
// the wake word again and what must not react. It is a pure function of its
// arguments.
func Plan(spec Spec, wake wordlists.Word, words []wordlists.Word) []results.Trial {
	p := newPlanner(spec, wake, words)
	return p.trials(p.protocol.Next(nil), nil, nil)
}

// planner makes trials of what a protocol asks for.
type planner struct {
	spec     Spec
	wake     wordlists.Word
	words    []wordlists.Word
	protocol protocol.Protocol
	far      []wordlists.Word // see farWords
}

func newPlanner(spec Spec, wake wordlists.Word, words []wordlists.Word) *planner {
	p := &planner{spec: spec, wake: wake, words: words, protocol: spec.Protocol.of(spec.Seed, wake, Candidates(spec, words))}
	if spec.Controls.NegativeEvery > 0 {
		p.far = p.farWords()
	}
	return p
}

// trials plans the batch that follows the earlier trials, of which those words
// have reacted.
func (p *planner) trials(batch protocol.Batch, earlier []results.Trial, reacted map[string]bool) []results.Trial {
	d := p.draft(earlier)
	if d.number == 1 {
		for _, voice := range p.spec.Voices {
			d.control(results.RolePositive, p.wake, false, p.spec.Protocol.Plays, voice.String())
		}
	}
	quiet := p.negatives(reacted)
	words, checked := 0, 0
	for i, item := range batch {
		d.word(item)
		last := i == len(batch)-1
		if !last && item.Segment > 0 && batch[i+1].Segment == item.Segment {
			words++
			continue // nothing comes between the words of a segment
		}
		if !last && item.Segment == 0 && batch[i+1].Word.Text == item.Word.Text {
			continue // nor between the voices of a word
		}
		words++
		d.negatives(quiet)
		every := p.spec.Controls.Every
		if due := every > 0 && words-checked >= every; due || last && p.closes() {
			checked = words
			d.control(results.RolePositive, p.wake, false, p.spec.Controls.Plays, p.spec.Voices[0].String())
		}
	}
	return d.trials
}

// draft is a batch on its way to being trials.
type draft struct {
	spec   Spec
	number int                   // of the batch
	rounds map[results.Trial]int // of controls, by role, word and voice
	course course                // with the earlier batches
	trials []results.Trial
}

func (p *planner) draft(earlier []results.Trial) *draft {
	d := &draft{spec: p.spec, number: 1, rounds: map[results.Trial]int{}}
	for _, t := range earlier {
		d.number = t.Batch + 1
		if t.Role != results.RoleWord {
			d.rounds[results.Trial{Role: t.Role, Word: t.Word, Voice: t.Voice}]++
		}
		d.course.pass(t)
	}
	return d
}

func (d *draft) add(t results.Trial) {
	t.ID = trialID(d.spec.Seed, t)
	d.course.pass(t)
	d.trials = append(d.trials, t)
}

func (d *draft) word(item protocol.Item) {
	w := item.Word
	d.add(results.Trial{
		Role: results.RoleWord, Word: w.Text, Pronunciation: w.Pronunciation(), Guessed: w.Guessed, List: w.List,
		Voice: item.Voice, Round: d.number, Plays: item.Plays,
		Screening: item.Stage != protocol.StageLast, Segment: item.Segment, Why: item.Why,
	})
}

func (d *draft) control(role results.Role, w wordlists.Word, screening bool, plays int, voice string) {
	of := results.Trial{Role: role, Word: w.Text, Voice: voice}
	d.rounds[of]++
	d.add(results.Trial{
		Role: role, Word: w.Text, Pronunciation: w.Pronunciation(), Guessed: w.Guessed, List: w.List,
		Voice: voice, Round: d.rounds[of], Plays: plays, Screening: screening,
	})
}

// negatives adds the negative controls that are due, for each stage, with as many
// plays as its words have.
func (d *draft) negatives(from negatives) {
	for _, screening := range []bool{false, true} {
		for stage := d.course.stage(screening); stage.owes(d.spec.Controls.NegativeEvery); {
			w, voice := from.at(stage.negatives)
			d.control(results.RoleNegative, w, screening, stage.plays, voice)
		}
	}
}

// closes says whether each batch ends with the wake word. Where what follows
// depends on it, a device is asked whether it still hears.
func (p *planner) closes() bool {
	return p.spec.Controls.Every > 0 || p.spec.Bench.Physical() && p.spec.Protocol.Kind != KindExhaustive
}

// trialID hashes what makes a trial the one it is. The bench is left out on
// purpose: the same words played to two models get the same phases and the
// same noise, so that a comparison of the two is paired.
func trialID(seed uint64, t results.Trial) results.TrialID {
	sum := sha256.Sum256(fmt.Appendf(nil, "trial v1\n%d\n%s\n%q\n%q\n%d\n", seed, t.Role, t.Word, t.Voice, t.Round))
	return results.TrialID(sum[:16])
}

// planHash hashes the part of the spec that shapes the plan, and the trials
// that it begins with.
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

// planner is the planner of the stored campaign. It is made once: of 47,000 words
// that takes a second, and what a protocol worked out for one batch serves the next.
func (r *Runner) planner() (*planner, error) {
	if r.plans != nil {
		return r.plans, nil
	}
	candidates, err := r.Store.Candidates()
	if err != nil {
		return nil, err
	}
	words := make([]wordlists.Word, len(candidates))
	for i, c := range candidates {
		words[i] = wordlists.Word{Text: c.Word, Pronunciations: c.Pronunciations, Guessed: c.Guessed, List: c.List}
	}
	stored := r.Store.Campaign()
	wake := wordlists.Word{Text: stored.WakeWord, Pronunciations: []phoneme.Pronunciation{stored.WakePronunciation}}
	r.plans = newPlanner(r.Spec, wake, words)
	return r.plans, nil
}

// planNext plans the next batch, if there is one, from what became of those
// before.
func (r *Runner) planNext() (more bool, err error) {
	if r.Store.Whole() {
		return false, nil
	}
	p, err := r.planner()
	if err != nil {
		return false, err
	}
	progress, err := r.Store.Progress()
	if err != nil {
		return false, err
	}
	planned := r.Store.Trials()
	done := p.done(planned, progress)
	reacted := map[string]bool{}
	for _, d := range done {
		for i, item := range d.Batch {
			reacted[item.Word.Text] = reacted[item.Word.Text] || d.Results[i].Reacted > 0
		}
	}
	trials := p.trials(p.protocol.Next(done), planned, reacted)
	return len(trials) > 0, r.Store.Plan(trials...)
}

// done are the batches that are planned, which are complete, and what became of
// their words.
func (p *planner) done(planned []results.Trial, progress *results.Progress) []protocol.Done {
	words := make(map[string]wordlists.Word, len(p.words))
	for _, w := range p.words {
		words[w.Text] = w
	}
	var done []protocol.Done
	for _, t := range planned {
		for len(done) < t.Batch {
			done = append(done, protocol.Done{})
		}
		if t.Role != results.RoleWord {
			continue
		}
		w, known := words[t.Word]
		if !known || !slices.Contains(w.Pronunciations, t.Pronunciation) { // the protocol made it up
			w = wordlists.Word{Text: t.Word, Pronunciations: []phoneme.Pronunciation{t.Pronunciation}, Guessed: t.Guessed, List: t.List}
		}
		stage := protocol.StageLast
		if t.Screening {
			stage = protocol.StageScreen
		}
		d := &done[t.Batch-1]
		d.Batch = append(d.Batch, protocol.Item{
			Candidate: protocol.Candidate{Word: w, Voice: t.Voice}, Stage: stage, Plays: t.Plays, Segment: t.Segment, Why: t.Why,
		})
		reacted, quiet := progress.Result(t.ID)
		d.Results = append(d.Results, protocol.Result{Reacted: reacted, Quiet: quiet})
	}
	return done
}

// job is what is left to play of a trial, or of a segment of trials.
type job struct {
	trial results.Trial
	// plays are the indices of the plays that no attempt counts for; at a fixed
	// pace, of all.
	plays []int
	// cut is why a trial at a fixed pace is to be played, and void what there is
	// of it, which then no longer counts.
	cut  string
	void []results.Void
	// segment are the trials that are left of a segment, in their order, whose
	// first is trial. It is empty for a trial that is played by itself.
	segment []results.Trial
}

// remaining subtracts from what is planned the plays that have an attempt that
// counts. What could not be measured in an earlier batch stays so, for the
// batches after it were planned without it; but what was taken back is played
// again.
func remaining(trials []results.Trial, progress *results.Progress) []job {
	var jobs []job
	batches := 0
	if n := len(trials); n > 0 {
		batches = trials[n-1].Batch
	}
	for _, t := range trials {
		j := job{trial: t}
		for i := range t.Plays {
			id := results.PlayID{Trial: t.ID, Index: i}
			if !progress.Done(id) && (t.Batch == batches || progress.Voided(id)) {
				j.plays = append(j.plays, i)
			}
		}
		if len(j.plays) == 0 {
			continue
		}
		if t.Segment > 0 {
			j.segment = []results.Trial{t}
			if n := len(jobs); n > 0 && jobs[n-1].trial.Segment == t.Segment && jobs[n-1].trial.Batch == t.Batch {
				jobs[n-1].segment = append(jobs[n-1].segment, t)
				continue
			}
		}
		jobs = append(jobs, j)
	}
	return jobs
}

// untaken lists the trials that were not played whole, of the last batch or
// with a play that was taken back.
func untaken(trials []results.Trial, takes *results.Takes, progress *results.Progress) []job {
	left := map[results.TrialID]bool{}
	for _, j := range remaining(trials, progress) {
		left[j.trial.ID] = true
	}
	var jobs []job
	for _, t := range trials {
		cut := takes.Cut(t.ID)
		if cut == "" || t.Batch < trials[len(trials)-1].Batch && !left[t.ID] {
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

// Utterance is what a trial's clip speaks, by one of the spec's voices: see
// [Spec.VoicesByName]. Words that a protocol invented are spoken phone by phone,
// as no voice could read them. Silence, the word "", has no utterance.
func Utterance(t results.Trial, voices map[string]tts.Voice) tts.Utterance {
	u := tts.Utterance{Text: t.Word, Voice: voices[t.Voice]}
	if t.List == wordlists.ListInvented {
		u.Pronunciation = t.Pronunciation
	}
	return u
}

// What a cost is estimated from that nobody knows before the campaign: how long a
// phone lasts in a clip without the silence around it, in seven offline voices;
// and of the words of five and six phonemes, how many wake a model of "alexa" at
// all, and in what share of their plays.
const (
	phoneLength   = 95 * time.Millisecond
	expectedHits  = 0.002
	expectedShare = 0.6
)

// Cost is what the campaign asks of its bench, before anything is played. Controls
// come on top of it.
func Cost(spec Spec, wake wordlists.Word, words []wordlists.Word) protocol.Cost {
	facts := protocol.Facts{Timing: protocol.DefaultTiming(), Hits: expectedHits, Rate: expectedShare}
	facts.Gap, facts.Window = spec.Protocol.Gap, 0
	for _, watched := range spec.watches() {
		facts.Window = max(facts.Window, watched)
	}
	facts.Rest = max(0, spec.Bench.Settle.Quiet-facts.Window) // it rests while it is watched
	phones := 0
	for _, w := range words {
		phones += w.Pronunciation().Count()
	}
	facts.Clip = phoneLength * time.Duration(phones) / time.Duration(max(1, len(words)))
	return newPlanner(spec, wake, words).protocol.Cost(facts)
}
