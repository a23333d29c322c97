package protocol

import (
	"cmp"
	"fmt"
	"slices"

	"wakefuzz/phoneme"
	"wakefuzz/wordlists"
)

// SweepOptions say how often and in what portions a sweep goes over the words.
type SweepOptions struct {
	// Passes is how often words are played that have not been confirmed, each
	// time in another order.
	Passes int `yaml:"passes,omitempty"`
	// Segment is how many words are played back to back. Words of five or six
	// phonemes are a little under a second each, with the gap between them.
	Segment int `yaml:"segment,omitempty"`
	// Batch is how many words of a pass are played before what they drew is
	// followed up.
	Batch int `yaml:"batch,omitempty"`
	// Alone is how often a suspect is played by itself at most. The first
	// reaction sends it to the last stage.
	Alone int `yaml:"alone,omitempty"`
	// Ask is how many words, those that sound most like the wake word, are played
	// by themselves beforehand, to find some hits that tell what segments hide; 0
	// asks nothing.
	Ask int `yaml:"ask"`
}

// WithDefaults fills in what is left out: one pass, segments of a little over a
// minute, batches of about half an hour, suspects alone twice, 100 words asked.
//
// A word that reacts to half of its plays passes two plays alone three times in
// four, and three plays seven times in eight. One that reacts to nine in ten passes
// two as good as always. A third play of every suspect costs a sweep of all words
// 20 minutes.
func (o SweepOptions) WithDefaults() SweepOptions {
	return SweepOptions{
		Passes:  cmp.Or(o.Passes, 1),
		Segment: cmp.Or(o.Segment, 100),
		Batch:   cmp.Or(o.Batch, 3000),
		Alone:   cmp.Or(o.Alone, 2),
		Ask:     cmp.Or(o.Ask, 100),
	}
}

// Validate names the key at fault.
func (o SweepOptions) Validate() error {
	for _, number := range []struct {
		key string
		n   int
	}{{"passes", o.Passes}, {"segment", o.Segment}, {"batch", o.Batch}, {"alone", o.Alone}} {
		if number.n < 1 {
			return fmt.Errorf("%s: %d is less than 1", number.key, number.n)
		}
	}
	if o.Ask < 0 {
		return fmt.Errorf("ask: %d is negative", o.Ask)
	}
	return nil
}

// Sweep plays all candidates in segments, in an order shuffled by the seed. What
// may have caused a reaction is played alone, and what reacts alone is played
// in the last stage. Each batch begins with what the one before it drew, so
// that a night that ends early has rates of all that it found.
//
// A further pass plays what has not been confirmed, in another order. It finds
// words that react only now and then, and takes up those that could not be
// measured. One pass finds, of words with a rate of r, the share r(1-(1-r)^a)
// with a plays alone.
//
// A sweep misses words that need silence around them. Of 29 hits of openWakeWord's
// "alexa" in flite's kal16, which alone drew 80 % of their plays, as few as 9 % were
// left 0.1 s after another word, 15 % after 0.7 s, 38 % after 1 s and 60 % after 2 s,
// which is what its memory holds. So the device is asked first. The words that sound
// most like the wake word are played by themselves; those that react to half of their
// last plays or more are known hits, and are played again among the first words of
// the pass. Where they draw less than half of the reactions that their rates let one
// expect, the sweep goes on with one word at a time, and begins again with those that
// it played in segments.
//
// Words that react only together with a neighbour become suspects; alone they
// are quiet.
func Sweep(candidates []Candidate, wake phoneme.Pronunciation, seed uint64, o SweepOptions, last Last) Protocol {
	mustBeValid(o.Validate(), last.Validate())
	s := sweep{newRoster(candidates), o, last, nearest(candidates, wake, o.Ask), nil}
	for pass := range o.Passes {
		s.orders = append(s.orders, shuffled(candidates, fmt.Sprintf("sweep %d", pass+1), seed))
	}
	return s
}

type sweep struct {
	roster
	SweepOptions
	last   Last
	asked  []int   // places of the candidates that are played beforehand
	orders [][]int // of the candidates, for each pass
}

func (s sweep) Next(done []Done) Batch {
	if len(done) == 0 && len(s.asked) > 0 {
		return s.ask()
	}
	all := s.standings(done, s.Alone)
	batch := s.finish(s.last, all)
	begun := slices.ContainsFunc(all, func(st standing) bool { return st.inSegments > 0 })
	if len(batch) > 0 && !begun && s.Ask > 0 {
		return batch // the first segments need known hits
	}
	batch = append(batch, s.confirm(all)...)
	hides, known := s.hides(all)
	if hides {
		return append(batch, s.fresh(all, s.Batch, func(st standing) int { return st.tried })...)
	}
	words := s.Batch
	if len(known) > 0 {
		words = min(words, apart*len(known))
	}
	items := s.fresh(all, words, func(st standing) int { return st.inSegments })
	return append(batch, segments(s.among(items, known), s.Segment)...)
}

// ask is the batch that the device is asked by.
func (s sweep) ask() Batch {
	var batch Batch
	for _, i := range s.asked {
		batch = append(batch, Item{Candidate: s.candidates[i], Stage: StageScreen, Plays: 1, Why: "near the wake word"})
	}
	return batch
}

// What known hits among other words must draw, if segments hide nothing, before
// that is decided; and after how many words there is one.
//
// At rates of 0.8 that takes 13 plays, of which five reactions or fewer are seen once
// in 800 times if segments hide nothing, and more once in 3,600 if they hide nine in
// ten.
const (
	enough = 10
	apart  = 10
)

// hides says whether segments hide more than half of what words draw alone, and
// until that is known, which hits are still to be played among other words.
func (s sweep) hides(all []standing) (hides bool, known []int) {
	if s.Ask == 0 {
		return false, nil
	}
	expected, drew := 0.0, 0
	for i, st := range all {
		if !st.confirmed || s.last.next(st.asked, st.last) > 0 || st.last.Reacted == 0 || st.last.Reacted < st.last.Quiet {
			continue
		}
		known = append(known, i)
		expected += float64(st.among.Measured()) * float64(st.last.Reacted) / float64(st.last.Measured())
		drew += st.among.Reacted
	}
	if expected < enough {
		return false, known
	}
	return float64(drew) < expected/2, nil
}

// among puts known hits between other words.
func (s sweep) among(items []Item, known []int) []Item {
	var mixed []Item
	for i, item := range items {
		if at := i / apart; i%apart == apart/2 && at < len(known) {
			mixed = append(mixed, Item{Candidate: s.candidates[known[at]], Stage: StageScreen, Plays: 1, Why: "a hit among other words"})
		}
		mixed = append(mixed, item)
	}
	return mixed
}

// fresh are the next words of a pass, at most so many, of which played says how
// often they were. A suspect waits: whether it is confirmed is known before the
// pass is over, or else it is the last of the pass.
func (s sweep) fresh(all []standing, most int, played func(standing) int) []Item {
	var items []Item
	for pass, order := range s.orders {
		for _, i := range order {
			if st := all[i]; played(st) > pass || st.suspect || st.confirmed {
				continue
			}
			items = append(items, Item{Candidate: s.candidates[i], Stage: StageScreen, Plays: 1})
			if len(items) == most {
				return items
			}
		}
		if len(items) > 0 {
			return items
		}
	}
	return nil
}

// nearest is the places of so many candidates that sound most like the wake word.
func nearest(candidates []Candidate, wake phoneme.Pronunciation, n int) []int {
	sounds := wake.Sounds()
	distances := make([]float64, len(candidates))
	order := make([]int, len(candidates))
	for i, c := range candidates {
		order[i] = i
		distances[i] = c.Word.Pronunciation().Sounds().Distance(sounds)
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(distances[a], distances[b]), cmp.Compare(a, b)) })
	return order[:min(n, len(order))]
}

// segments numbers items in segments of so many words, the last one shorter.
func segments(items []Item, words int) []Item {
	for i := range items {
		items[i].Segment = 1 + i/words
	}
	return items
}

// shuffled is the places of the candidates in a random order.
func shuffled(candidates []Candidate, purpose string, seed uint64) []int {
	lots := make([]uint64, len(candidates))
	order := make([]int, len(candidates))
	for i, c := range candidates {
		order[i] = i
		lots[i] = wordlists.Lot(purpose, seed, c.Word.Text+"\x00"+c.Voice)
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(lots[a], lots[b]), cmp.Compare(a, b)) })
	return order
}
