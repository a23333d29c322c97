package protocol

import (
	"cmp"
	"fmt"
	"slices"

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
}

// WithDefaults fills in what is left out: one pass, segments of a little over a
// minute, batches of about half an hour, suspects alone twice.
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
// A sweep misses words that need silence around them, and whether many do is a
// question to ask of a device before it is swept: play known hits among other
// words, once alone and once in segments. Of 29 hits of openWakeWord's "alexa"
// in flite's kal16, which alone drew 80 % of their plays, as few as 9 % were left
// 0.1 s after another word, 15 % after 0.7 s, 38 % after 1 s and 60 % after 2 s,
// which is what its memory holds. There a segment saves nothing.
//
// Words that react only together with a neighbour become suspects; alone they
// are quiet.
func Sweep(candidates []Candidate, seed uint64, o SweepOptions, last Last) Protocol {
	mustBeValid(o.Validate(), last.Validate())
	s := sweep{newRoster(candidates), o, last, nil}
	for pass := range o.Passes {
		s.orders = append(s.orders, shuffled(candidates, fmt.Sprintf("sweep %d", pass+1), seed))
	}
	return s
}

type sweep struct {
	roster
	SweepOptions
	last   Last
	orders [][]int // of the candidates, for each pass
}

func (s sweep) Next(done []Done) Batch {
	all := s.standings(done, s.Alone)
	batch := s.finish(s.last, all)
	batch = append(batch, s.confirm(all)...)
	return append(batch, segments(s.fresh(all), s.Segment)...)
}

// fresh are the next words of a pass. A suspect waits: whether it is confirmed
// is known before the pass is over, or else it is the last of the pass.
func (s sweep) fresh(all []standing) []Item {
	var items []Item
	for pass, order := range s.orders {
		for _, i := range order {
			if st := all[i]; st.inSegments > pass || st.suspect || st.confirmed {
				continue
			}
			items = append(items, Item{Candidate: s.candidates[i], Stage: StageScreen, Plays: 1})
			if len(items) == s.Batch {
				return items
			}
		}
		if len(items) > 0 {
			return items
		}
	}
	return nil
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
