package protocol

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"wakefuzz/phoneme"
)

// GuidedOptions say how much a guided search plays, and when it gives up.
type GuidedOptions struct {
	// Words is how many different candidates are played at most.
	Words int `yaml:"words,omitempty"`
	// Batch is how many are chosen at a time, before what they drew is learnt
	// from.
	Batch int `yaml:"batch,omitempty"`
	// Explore is the share of them that is chosen at random.
	Explore float64 `yaml:"explore,omitempty"`
	// Segment is how many words are played back to back, as in a sweep; 1 plays
	// each by itself.
	Segment int `yaml:"segment,omitempty"`
	// Alone is how often a suspect of a segment is played by itself at most, as
	// in a sweep.
	Alone int `yaml:"alone,omitempty"`
	// Stop ends the search after so many words of which none was confirmed; 0
	// only when Words are played.
	Stop int `yaml:"stop,omitempty"`
	// Invent is how many words at most are made out of hits once the search is
	// through, and played as well: see [Inventing].
	Invent int `yaml:"invent,omitempty"`
}

// WithDefaults fills in what is left out. Words are played by themselves: there
// are few, and segments hide some.
func (o GuidedOptions) WithDefaults() GuidedOptions {
	return GuidedOptions{
		Words:   cmp.Or(o.Words, 3000),
		Batch:   cmp.Or(o.Batch, 25),
		Explore: cmp.Or(o.Explore, 0.05),
		Segment: cmp.Or(o.Segment, 1),
		Alone:   cmp.Or(o.Alone, 3),
		Stop:    o.Stop,
		Invent:  o.Invent,
	}
}

// Validate names the key at fault.
func (o GuidedOptions) Validate() error {
	switch {
	case o.Words < 1:
		return fmt.Errorf("words: %d is less than 1", o.Words)
	case o.Batch < 1:
		return fmt.Errorf("batch: %d is less than 1", o.Batch)
	case !(o.Explore >= 0 && o.Explore <= 1):
		return fmt.Errorf("explore: %v is not a share between 0 and 1", o.Explore)
	case o.Segment < 1:
		return fmt.Errorf("segment: %d is less than 1", o.Segment)
	case o.Alone < 1:
		return fmt.Errorf("alone: %d is less than 1", o.Alone)
	case o.Stop < 0:
		return fmt.Errorf("stop: %d is negative", o.Stop)
	case o.Invent < 0:
		return fmt.Errorf("invent: %d is negative", o.Invent)
	}
	return nil
}

// Settings of the search, chosen on one voice and one model, flite's kal16 and
// openWakeWord's "alexa", where they find 94 % of the hits in 3,000 words.
// Others, down to a third or up to three times of them, find 91 to 95 %. Batches of
// 25 find as many in the end as batches of 50, and 59 % in the first 500 words in
// the place of 46 %.
const (
	// reach is the distance at which a hit says a third of what it says of words
	// that sound the same.
	reach = 0.25
	// Words that were not played are taken for words that nothing wakes, since
	// hardly any does: so many of them, with so little weight each.
	unplayed       = 3000
	unplayedWeight = 0.1
	// The wake word is the first hit, with the weight of so many.
	wakeWeight = 3
	// A word that was quiet is played again where it is still the likeliest: each
	// quiet play takes so much from the logarithm of its odds, and it is played so
	// often at most.
	quietCosts = 0.7
	mostLooks  = 4
	// looksEach is how often a word was then played on average.
	looksEach = 1.8
)

// Guided plays the words that are likeliest to wake the device, by a model that
// learns from what was played so far: a logistic regression on the phones in a
// row that a word has, on how near it sounds to confirmed hits, to the wake word,
// and to a part of it. So it begins with words that sound like the wake word, and
// goes on with words that have in common with hits what other words lack. A word
// that was quiet once is played again where the model still believes in it. A share
// of each batch is chosen at random, so that hits which are like no other may be met.
//
// What reacts alone goes to the last stage in the next batch, and what it
// reacted there is what the model learns. Each item says why it was chosen.
//
// Guided misses hits which are like no other hit, but for the few that are met
// at random, and says nothing of how many there are. Batches depend on floating
// point numbers: they are the same on machines of one architecture.
func Guided(candidates []Candidate, wake phoneme.Pronunciation, seed uint64, o GuidedOptions, last Last) Protocol {
	mustBeValid(o.Validate(), last.Validate())
	g := &guided{
		roster:        newRoster(candidates),
		GuidedOptions: o,
		last:          last,
		order:         shuffled(candidates, "guided", seed),
		numbers:       make(map[pattern]int32),
		near:          make(map[int][]float32),
	}
	for _, c := range candidates {
		g.add(c.Word.Pronunciation())
	}
	g.wake = len(candidates)
	g.add(wake)
	for _, s := range g.sounds {
		g.within = append(g.within, s.Within(g.sounds[g.wake]))
	}
	return g
}

type guided struct {
	roster
	GuidedOptions
	last  Last
	order []int // of the candidates, at random

	// Of each candidate, and of the wake word behind them.
	sounds   []phoneme.Sounds
	features [][]int32
	within   []float64 // its distance to the stretch of the wake word that is nearest
	wake     int       // its place

	patterns []pattern // of each feature
	numbers  map[pattern]int32

	mu   sync.Mutex
	near map[int][]float32 // the nearness of all to one
}

func (g *guided) add(p phoneme.Pronunciation) {
	sounds := p.Sounds()
	var features []int32
	for _, p := range patterns(sounds) {
		n, known := g.numbers[p]
		if !known {
			n = int32(len(g.patterns))
			g.numbers[p] = n
			g.patterns = append(g.patterns, p)
		}
		features = append(features, n)
	}
	g.sounds = append(g.sounds, sounds)
	g.features = append(g.features, features)
}

// nearTo is how near all are to one. It is kept: it is what takes the time.
func (g *guided) nearTo(one int) []float32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	near, known := g.near[one]
	if !known {
		near = make([]float32, len(g.sounds))
		for i, s := range g.sounds {
			near[i] = float32(nearness(s.Distance(g.sounds[one])))
		}
		g.near[one] = near
	}
	return near
}

// nearness is 1 for words that sound the same, and falls with the distance of
// [phoneme.Sounds].
func nearness(distance float64) float64 { return math.Exp(-distance / reach) }

// distance is what nearness was made of.
func distance(nearness float32) float64 { return -reach * math.Log(float64(nearness)) }

func (g *guided) Next(done []Done) Batch {
	all := g.standings(done, g.Alone)
	batch := g.finish(g.last, all)
	batch = append(batch, g.confirm(all)...)
	fresh := g.fresh(done, all)
	if g.Segment > 1 {
		fresh = segments(fresh, g.Segment)
	}
	return append(batch, fresh...)
}

// left is how many words may be chosen now.
func (g *guided) left(done []Done, all []standing) int {
	played := 0
	for _, s := range all {
		if s.looks() > 0 {
			played++
		}
	}
	vain := 0
	for _, d := range slices.Backward(done) {
		confirmed := false
		for i, item := range d.Batch {
			alone := item.Stage == StageScreen && item.Segment == 0
			confirmed = confirmed || alone && d.Results[i].Reacted > 0
			if item.Why != "" {
				vain++
			}
		}
		if confirmed {
			break
		}
	}
	if g.Stop > 0 && vain >= g.Stop {
		return 0
	}
	return max(0, min(g.Batch, g.Words-played))
}

func (g *guided) fresh(done []Done, all []standing) []Item {
	left := g.left(done, all)
	if left == 0 {
		return nil
	}
	b := g.beliefs(all)
	var open []int
	for i, s := range all {
		if !s.suspect && !s.confirmed && s.looks() < mostLooks {
			open = append(open, i)
			b.scores[i] -= quietCosts * float64(s.screened.Quiet)
		}
	}
	slices.SortFunc(open, func(i, j int) int { return cmp.Or(cmp.Compare(b.scores[j], b.scores[i]), cmp.Compare(i, j)) })

	var items []Item
	chosen := make(map[int]bool)
	take := func(i int, why string) {
		chosen[i] = true
		items = append(items, Item{Candidate: g.candidates[i], Stage: StageScreen, Plays: 1, Why: why})
	}
	best := left - int(math.Round(g.Explore*float64(left)))
	for _, i := range open[:min(best, len(open))] {
		take(i, g.why(i, b))
	}
	for _, i := range g.order {
		if len(items) == left {
			break
		}
		if !chosen[i] && all[i].looks() == 0 {
			take(i, "at random")
		}
	}
	return items
}

// beliefs are what the search holds to be likely.
type beliefs struct {
	hits   []int       // the wake word first
	near   [][]float32 // for each hit, the nearness of all
	model  logistic
	scores []float64 // of the candidates
}

func (g *guided) beliefs(all []standing) beliefs {
	rate := func(i int) float64 {
		if i == g.wake {
			return 1
		}
		return float64(all[i].last.Reacted) / float64(max(1, all[i].last.Measured()))
	}
	b := beliefs{hits: []int{g.wake}}
	for i := range all {
		if rate(i) > 0 {
			b.hits = append(b.hits, i)
		}
	}
	// How much there is of hits around each word, itself left out.
	around := make([]float64, len(g.sounds))
	for _, hit := range b.hits {
		weight, near := rate(hit), g.nearTo(hit)
		b.near = append(b.near, near)
		for i, n := range near {
			if i != hit {
				around[i] += float64(weight * float64(n))
			}
		}
	}
	row := func(i int, label, weight float64) example {
		return example{g.features[i], [numbers]float64{math.Log(around[i]+1e-6) / 3, -distance(b.near[0][i]), -g.within[i]}, label, weight}
	}

	examples := []example{row(g.wake, 1, wakeWeight)}
	others := 0
	for _, i := range g.order {
		switch s := all[i]; {
		case s.last.Measured() > 0:
			examples = append(examples, row(i, rate(i), 1))
		case s.suspect || s.confirmed:
		case s.screened.Quiet > 0:
			examples = append(examples, row(i, 0, 1))
		case others < unplayed:
			others++
			examples = append(examples, row(i, 0, unplayedWeight))
		}
	}
	b.model = learn(examples, len(g.patterns))
	b.scores = make([]float64, len(all))
	for i := range all {
		b.scores[i] = b.model.score(row(i, 0, 0))
	}
	return b
}

// why says what speaks for a candidate: the hit that it is nearest to, and the
// phones which say most for it, with hits that have them.
func (g *guided) why(i int, b beliefs) string {
	name := func(i int) string {
		if i == g.wake {
			return "the wake word"
		}
		return g.candidates[i].Word.Text
	}
	nearest := make([]int, len(b.hits)) // places in b.hits
	for k := range nearest {
		nearest[k] = k
	}
	slices.SortStableFunc(nearest, func(h, k int) int { return cmp.Compare(b.near[k][i], b.near[h][i]) })
	why := fmt.Sprintf("%.1f from %s", distance(b.near[nearest[0]][i]), name(b.hits[nearest[0]]))

	best := int32(-1)
	for _, f := range g.features[i] {
		if b.model[f] > 0 && (best < 0 || b.model[f] > b.model[best]) {
			best = f
		}
	}
	var sharing []string
	for _, k := range nearest {
		hit := b.hits[k]
		if slices.Contains(g.features[hit], best) && len(sharing) < 2 && !slices.Contains(sharing, name(hit)) {
			sharing = append(sharing, name(hit))
		}
	}
	if len(sharing) > 0 {
		why += fmt.Sprintf("; shares %s with %s", g.patterns[best], strings.Join(sharing, ", "))
	}
	return why
}

func (g *guided) Cost(f Facts) Cost {
	// It is taken to find all hits, as far as its plays let it.
	b := bill{Facts: f}
	words := min(g.Words, len(g.candidates))
	hits := min(float64(words), float64(len(g.candidates))*f.Hits)
	if g.Segment > 1 {
		hits = b.screen(float64(words), hits, g.Segment, g.Alone)
	} else {
		b.alone(looksEach*float64(words), hits)
	}
	b.finish(hits, g.last)
	cost := b.cost(words*(mostLooks*(1+g.Alone)+g.last.Plays), g.candidates)
	cost.Characters = cost.Characters * words / max(1, len(g.candidates))
	return cost
}
