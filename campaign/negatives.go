package campaign

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"wakefuzz/phoneme"
	"wakefuzz/results"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// negatives is what a campaign's negative controls are taken from: silence, and
// words that sound least like the wake word.
type negatives struct {
	far    []wordlists.Word
	voices []tts.Voice
}

// negatives are those of a campaign in which these words have reacted, which are
// left out. The others keep their order whatever reacts, so that one word does not
// come up again before all others had their turn.
func (p *planner) negatives(reacted map[string]bool) negatives {
	far := slices.DeleteFunc(slices.Clone(p.far), func(w wordlists.Word) bool { return reacted[w.Text] })
	return negatives{far: far, voices: p.spec.Voices}
}

// farWords are the quarter of the words that sounds least like the wake word, in
// random order, because the farthest few are all alike. Of fewer than four words
// there are none: each of them may be near.
func (p *planner) farWords() []wordlists.Word {
	code := phoneme.MetricPhonemes.Code(p.wake.Text, p.wake.Pronunciation())
	distance := make(map[string]int, len(p.words))
	for _, w := range p.words {
		distance[w.Text] = phoneme.MetricPhonemes.Distance(phoneme.MetricPhonemes.Code(w.Text, w.Pronunciation()), code)
	}
	far := slices.Clone(p.words)
	slices.SortStableFunc(far, func(a, b wordlists.Word) int { return cmp.Compare(distance[b.Text], distance[a.Text]) })
	far = far[:len(far)/4]
	rand.New(rand.NewPCG(p.spec.Seed, farSeed)).Shuffle(len(far), func(i, j int) { far[i], far[j] = far[j], far[i] })
	return far
}

// farSeed is the second half of a generator's seed; see [planner.farWords].
const farSeed = 0x66617220776f7264

// silenceEvery is how many negative controls of a stage there are for each that is
// silence. The first one is.
const silenceEvery = 5

// at is a stage's negative control of that number, from 0. Silence is the word "".
// Voices are taken in turn for far words by themselves: silence would else keep
// one of five voices from ever speaking a far word.
func (n negatives) at(number int) (w wordlists.Word, voice string) {
	silences := number/silenceEvery + 1 // up to this number, with it
	if number%silenceEvery == 0 || len(n.far) == 0 {
		return wordlists.Word{}, n.voices[(silences-1)%len(n.voices)].String()
	}
	spoken := number - silences
	return n.far[spoken%len(n.far)], n.voices[spoken%len(n.voices)].String()
}

// course is how far a plan has come, in its order, in each of the stages.
type course struct {
	screening, last stageCourse
	before          results.Trial // the word's before
}

// stageCourse is how many words and negative controls of a stage a plan has so
// far, and how often the last of these words is played.
type stageCourse struct {
	words, negatives, plays int
}

func (c *course) stage(screening bool) *stageCourse {
	if screening {
		return &c.screening
	}
	return &c.last
}

// pass goes on to the trial that follows in the plan.
func (c *course) pass(t results.Trial) {
	stage := c.stage(t.Screening)
	switch t.Role {
	case results.RoleNegative:
		stage.negatives++
	case results.RoleWord:
		if !sameWord(c.before, t) {
			stage.words++
		}
		stage.plays, c.before = t.Plays, t
	}
}

// sameWord says whether of two words' trials that follow each other the second is
// only another voice of the first.
func sameWord(a, b results.Trial) bool {
	return a.Word == b.Word && a.Round == b.Round && a.Screening == b.Screening && a.Segment == 0 && b.Segment == 0
}

// owes says whether the stage has fewer negative controls than it should. One is
// due after the first word, so that a last stage of a few words has one, and one
// after every so many more.
func (s *stageCourse) owes(every int) bool {
	return every > 0 && s.negatives*every < s.words
}
