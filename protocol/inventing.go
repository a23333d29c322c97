package protocol

import (
	"fmt"
	"slices"

	"wakefuzz/phoneme"
	"wakefuzz/wordlists"
)

// Inventing does what a protocol of these candidates does, and once that is
// through plays so many words at most that [Invent] makes out of what it found:
// each once by every voice, and in the last stage what reacted. They are made out
// of the wake word and of the words that reacted in at least half of their last
// plays. The lexicon is asked for when that is due.
//
// Half of what is invented, or more, can be expected to react: a guided search of
// 500 words found 66 that wake a model of "alexa" in half of their plays or more,
// and of 300 invented after it 169 do. That says little of what people say, and
// much of what the model takes for its wake word.
//
// What is invented stands in the batch that screens it. A campaign that is resumed
// with another lexicon goes on with that batch.
func Inventing(p Protocol, candidates []Candidate, wake wordlists.Word, words int, lexicon func() []wordlists.Word, last Last) Protocol {
	mustBeValid(last.Validate())
	return inventing{p, newRoster(candidates), wake, words, lexicon, last}
}

type inventing struct {
	Protocol
	roster
	wake    wordlists.Word
	words   int
	lexicon func() []wordlists.Word
	last    Last
}

func (p inventing) Next(done []Done) Batch {
	screen := slices.IndexFunc(done, func(d Done) bool { return len(d.Batch) > 0 && !p.has(d.Batch[0].Candidate) })
	if screen >= 0 {
		var invented []Candidate
		for _, item := range done[screen].Batch {
			invented = append(invented, item.Candidate)
		}
		return Rounds(invented, RoundsOptions{Screens: []int{1}}, p.last).Next(done[screen:])
	}
	if batch := p.Protocol.Next(done); len(batch) > 0 {
		return batch
	}
	return p.invent(done)
}

func (p inventing) has(c Candidate) bool {
	_, known := p.place[c.key()]
	return known
}

// invent is the batch that screens what is invented.
func (p inventing) invent(done []Done) Batch {
	hits := p.hits(done)
	var sounds []phoneme.Pronunciation
	for _, hit := range hits {
		sounds = append(sounds, hit.Pronunciation())
	}
	var batch Batch
	for _, w := range Invent(sounds, p.lexicon(), p.words) {
		why := whyInvented(w, hits)
		for _, voice := range p.voices() {
			if c := (Candidate{w, voice}); !p.has(c) { // a list may have the pair
				batch = append(batch, Item{Candidate: c, Stage: StageScreen, Plays: 1, Why: why})
			}
		}
	}
	return batch
}

// voices are those of the candidates, in their order.
func (p inventing) voices() (voices []string) {
	known := make(map[string]bool)
	for _, c := range p.candidates {
		if !known[c.Voice] {
			known[c.Voice] = true
			voices = append(voices, c.Voice)
		}
	}
	return voices
}

// hits are the wake word and the words that reacted in at least half of their
// last plays, by any voice.
func (p inventing) hits(done []Done) []wordlists.Word {
	hits := []wordlists.Word{p.wake}
	known := map[string]bool{p.wake.Text: true}
	for i, s := range p.standings(done, 1) {
		w := p.candidates[i].Word
		if s.last.Reacted > 0 && s.last.Reacted >= s.last.Quiet && !known[w.Text] {
			known[w.Text] = true
			hits = append(hits, w)
		}
	}
	return hits
}

// whyInvented names the hit that an invented word is nearest to.
func whyInvented(w wordlists.Word, hits []wordlists.Word) string {
	sounds := w.Pronunciation().Sounds()
	nearest, least := 0, 0.0
	for i, hit := range hits {
		if d := sounds.Distance(hit.Pronunciation().Sounds()); i == 0 || d < least {
			nearest, least = i, d
		}
	}
	return fmt.Sprintf("invented; %.1f from %s", least, hits[nearest].Text)
}

// reacting is the share of what is invented that reacts: see [Invent].
const reacting = 0.6

func (p inventing) Cost(f Facts) Cost {
	cost := p.Protocol.Cost(f)
	n := float64(p.words * len(p.voices()))
	b := bill{Facts: f}
	b.alone(n, n*reacting)
	b.alone(n*reacting*float64(p.last.Plays), n*reacting*float64(p.last.Plays))
	invented := b.cost(int(n)*(1+p.last.Plays), p.candidates) // whose words are as long
	cost.Plays += invented.Plays
	cost.MostPlays += invented.MostPlays
	cost.Bench += invented.Bench
	cost.Characters += invented.Characters * int(n) / max(1, len(p.candidates))
	return cost
}
