package campaign_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"wakefuzz/campaign"
	"wakefuzz/internal/fakebench"
	"wakefuzz/results"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// due is how many negative controls there are after so many words: one after the
// first, and one after every so many more.
func due(words, every int) int {
	if words == 0 {
		return 0
	}
	return 1 + (words-1)/every
}

// stageName is what messages call a trial's stage.
func stageName(t results.Trial) string {
	if t.Screening {
		return "screening"
	}
	return "last stage"
}

// negativesOf are the negative controls of a plan.
func negativesOf(plan []results.Trial) []results.Trial {
	return slices.DeleteFunc(slices.Clone(plan), func(t results.Trial) bool { return t.Role != results.RoleNegative })
}

// checkNegatives makes sure that each stage of a plan, whose words have one voice,
// has its negative controls where they belong, and returns how many it has.
func checkNegatives(t *testing.T, plan []results.Trial, every int) map[string]int {
	t.Helper()
	words, controls, plays := map[string]int{}, map[string]int{}, map[string]int{}
	seen := map[results.TrialID]bool{}
	var before results.Trial
	for i, trial := range plan {
		stage := stageName(trial)
		if seen[trial.ID] {
			t.Errorf("trial %d: the ID of %q is not its own", i, trial.Word)
		}
		seen[trial.ID] = true
		switch trial.Role {
		case results.RoleWord:
			words[stage]++
			plays[stage] = trial.Plays
		case results.RoleNegative:
			controls[stage]++
			if trial.Plays != plays[stage] {
				t.Errorf("trial %d: %q is played %d times among words of the %s that are played %d times", i, trial.Word, trial.Plays, stage, plays[stage])
			}
			if before.Role == results.RoleWord && before.Screening != trial.Screening {
				t.Errorf("trial %d: a control of the %s follows %q, which is of the other", i, stage, before.Word)
			}
		}
		before = trial
		if i+1 < len(plan) {
			next := plan[i+1]
			together := next.Segment > 0 && segmentOf(plan, i) == segmentOf(plan, i+1)
			if together && trial.Role != results.RoleWord {
				t.Errorf("trial %d: %q stands within segment %d of batch %d", i, trial.Word, next.Segment, next.Batch)
			}
			if together || next.Role == results.RoleNegative {
				continue // the controls are not complete yet
			}
		}
		if trial.Role == results.RolePositive {
			continue
		}
		if want := due(words[stage], every); controls[stage] != want {
			t.Fatalf("trial %d: %d negative controls after %d words of the %s, want %d", i, controls[stage], words[stage], stage, want)
		}
	}
	return controls
}

// segmentOf is the batch and the segment of the last word up to the trial.
func segmentOf(plan []results.Trial, i int) [2]int {
	for ; i >= 0; i-- {
		if plan[i].Role == results.RoleWord {
			return [2]int{plan[i].Batch, plan[i].Segment}
		}
	}
	return [2]int{}
}

// withNegatives is a campaign of the screened words that was played to its end.
func withNegatives(t *testing.T, protocol string, every int) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), spec: parse(t, fmt.Sprintf(screened, protocol))}
	r.spec.Controls.NegativeEvery = every
	store, err := campaign.Create(r.dir, r.spec, wake, screenedWords(), "test")
	if err != nil {
		t.Fatal(err)
	}
	r.use(store)
	r.screening()
	r.run()
	return r
}

// The rate of negative controls is kept over all batches, however small, by each
// stage for itself.
func TestNegativesComeAtARate(t *testing.T) {
	protocols := map[string]string{
		"small batches":             `{kind: guided, guided: {words: 60, batch: 3}}`,
		"small batches in segments": `{kind: guided, guided: {words: 60, batch: 6, segment: 4}}`,
	}
	for name, protocol := range screenings {
		protocols[name] = protocol
	}
	for name, protocol := range protocols {
		for _, every := range []int{1, 4, 10} {
			t.Run(fmt.Sprintf("%s, %d", name, every), func(t *testing.T) {
				plan := withNegatives(t, protocol, every).store.Trials()
				controls := checkNegatives(t, plan, every)
				if strings.Contains(name, "small") && plan[len(plan)-1].Batch < 10 {
					t.Errorf("%d batches are not many", plan[len(plan)-1].Batch)
				}
				if controls["screening"] < 60/every || controls["last stage"] == 0 {
					t.Errorf("controls %v", controls)
				}
			})
		}
	}
}

// A last stage of fewer words than there are to a control has one all the same.
func TestAShortLastStageHasANegative(t *testing.T) {
	for name, protocol := range screenings {
		t.Run(name, func(t *testing.T) {
			plan := withNegatives(t, protocol, 1000).store.Trials()
			if controls := checkNegatives(t, plan, 1000); controls["screening"] != 1 || controls["last stage"] != 1 {
				t.Errorf("controls %v", controls)
			}
			first := slices.IndexFunc(plan, func(t results.Trial) bool { return t.Role == results.RoleWord && !t.Screening })
			if next := plan[first+1]; next.Role != results.RoleNegative || next.Screening || next.Word != "" {
				t.Errorf("the first word of the last stage is followed by %+v", next)
			}
		})
	}
}

// nearAndFar are so many words each, the far ones with nothing of the wake word.
func nearAndFar(near, far int) []wordlists.Word {
	var all []wordlists.Word
	for i := range near {
		all = append(all, word(fmt.Sprintf("near%02d", i), "AH0 L EH1 K S IH0 S"))
	}
	for i := range far {
		all = append(all, word(fmt.Sprintf("far%02d", i), "B UH1 M P IH0 NG M UW1 D"))
	}
	return all
}

// Silence comes first and at every fifth; the others are the farthest quarter,
// each of them in turn, by all voices.
func TestNegativesAreSilenceAndFarWords(t *testing.T) {
	spec := parse(t, smallSpec)
	spec.Controls.NegativeEvery = 1
	spec.Voices = nil
	for _, name := range []string{"kal16", "slt", "awb", "rms", "kal"} {
		spec.Voices = append(spec.Voices, tts.Voice{Engine: "flite", Name: name})
	}
	plan := campaign.Plan(spec, wake, nearAndFar(45, 15))
	negatives := negativesOf(plan)
	if len(negatives) != 60 { // the voices of a word make it no more than one
		t.Fatalf("%d negative controls of 60 words", len(negatives))
	}
	words, voices := map[string]int{}, map[string]int{}
	for i, control := range negatives {
		if silent := control.Word == ""; silent != (i%5 == 0) || !silent && !strings.HasPrefix(control.Word, "far") {
			t.Errorf("negative control %d is %q", i, control.Word)
		}
		if control.Word != "" {
			words[control.Word]++
			voices[control.Voice]++
		}
	}
	for word, n := range words { // 48 of 15
		if n < 3 || n > 4 {
			t.Errorf("%q is played %d times", word, n)
		}
	}
	if len(words) != 15 || len(voices) != 5 {
		t.Errorf("words %v, voices %v", words, voices)
	}
	for i, trial := range plan[1:] { // a voice of a word is followed by its next one
		if before := plan[i]; trial.Role == results.RoleNegative && (before.Role != results.RoleWord || before.Voice != "flite/kal") {
			t.Errorf("negative control %q follows %q by %s", trial.Word, before.Word, before.Voice)
		}
	}
	if again := campaign.Plan(spec, wake, nearAndFar(45, 15)); !slices.Equal(plan, again) {
		t.Error("it is planned in another way the second time")
	}
	spec.Controls.NegativeEvery = 0
	if n := len(negativesOf(campaign.Plan(spec, wake, nearAndFar(45, 15)))); n > 0 {
		t.Errorf("%d negative controls where none are asked for", n)
	}
	spec.Controls.NegativeEvery = 1
	for _, control := range negativesOf(campaign.Plan(spec, wake, nearAndFar(3, 0))) {
		if control.Word != "" {
			t.Errorf("%q is far among three words", control.Word)
		}
	}
}

// A far word that has reacted is no negative control of the batches after.
func TestNegativesHaveNotReacted(t *testing.T) {
	r := &rig{t: t, dir: t.TempDir(), spec: parse(t, fmt.Sprintf(screened, `{kind: rounds, rounds: {screens: [1]}}`))}
	r.spec.Controls.NegativeEvery = 1
	store, err := campaign.Create(r.dir, r.spec, wake, nearAndFar(30, 10), "test")
	if err != nil {
		t.Fatal(err)
	}
	r.use(store)
	r.Speak = func(_ context.Context, u tts.Utterance) (tts.Clip, error) {
		if u.Text == wake.Text || strings.HasPrefix(u.Text, "far") && u.Text < "far08" {
			return fakebench.Clip(1), nil
		}
		return fakebench.Clip(0), nil
	}
	r.run()
	screening, last := map[string]bool{}, map[string]bool{}
	for _, control := range negativesOf(r.store.Trials()) {
		if control.Screening {
			screening[control.Word] = true
		} else {
			last[control.Word] = true
		}
	}
	if len(screening) != 11 {
		t.Errorf("%d negative controls before anything has reacted, want silence and 10 words: %v", len(screening), screening)
	}
	if len(last) != 3 || !last[""] || !last["far08"] || !last["far09"] {
		t.Errorf("negative controls after the others have reacted: %v", last)
	}
}
