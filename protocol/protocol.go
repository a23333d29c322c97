// Package protocol decides in what order and how often words are played.
//
// A [Protocol] goes in batches. Each batch is a pure function of what the
// protocol was made from and of the batches before it, each of them complete:
// so a campaign that was killed plans the same as one that was not, with one
// worker or with eight, and a protocol can be tried on a table of known rates
// ([Simulate]) before it costs a night. A protocol sees whether the device
// reacted, did not, or could not be watched; it never sees an engine's scores,
// because a device in a kitchen shows none.
//
// Plays have a [Stage]. Whatever comes before the last stage screens: it says
// which words are worth ten plays. A word is screened because it once reacted,
// so its screening plays say too much of its rate; and a rate is only shown of
// the last stage, for which the number of plays was fixed beforehand.
package protocol

import (
	"fmt"

	"wakefuzz/wordlists"
)

// Stage says what a play is for. Stored records hold these strings: they are
// never renamed.
type Stage string

// The stages.
const (
	// StageScreen is for finding words that are worth the last stage.
	StageScreen Stage = "screen"
	// StageLast is what rates are taken from: its plays are as many for each
	// word as was fixed beforehand.
	StageLast Stage = "last"
)

// Candidate is a word spoken by a voice.
type Candidate struct {
	Word wordlists.Word
	// Voice is the name of the voice, as tts.Voice.String gives it.
	Voice string
}

// Item is a candidate to be played in a batch. A candidate is at most once in a
// batch.
type Item struct {
	Candidate
	Stage Stage
	// Plays is how often it is played; in a segment, once.
	Plays int
	// Segment groups items, by a number from 1, that are played back to back
	// without waiting for the device, in their order. A reaction ends the
	// sound: the words that can have caused it have reacted, those that sounded
	// before did not, and the rest is played as a segment again. Items of
	// segment 0 are played by themselves.
	Segment int
	// Why says, to people, why the candidate was chosen: "", or such as "two
	// phonemes from lexus".
	Why string
}

// Batch is what is played before the protocol is asked again.
type Batch []Item

// Result is what became of an item: in how many of its plays the device
// reacted, and in how many it did not. Plays that could not be measured, after
// every try, are in neither.
type Result struct {
	Reacted, Quiet int
}

// Measured is how many of the item's plays could be measured.
func (r Result) Measured() int { return r.Reacted + r.Quiet }

// Done is a batch that is complete: Results[i] is what became of Batch[i].
type Done struct {
	Batch   Batch
	Results []Result
}

// Protocol decides what is played.
type Protocol interface {
	// Next returns the batch that follows those that are done, or none where
	// nothing is left to play. It is called once for each batch, in order, and
	// again from the start when a campaign is resumed: the same batches done
	// give the same batch.
	Next(done []Done) Batch
	// Cost is what the protocol asks of a bench, before anything was played.
	Cost(Facts) Cost
}

// Exhaustive plays every candidate so many times, in the last stage, in one
// batch.
func Exhaustive(candidates []Candidate, plays int) Protocol {
	return exhaustive{candidates, plays}
}

type exhaustive struct {
	candidates []Candidate
	plays      int
}

func (e exhaustive) Next(done []Done) Batch {
	if len(done) > 0 {
		return nil
	}
	batch := make(Batch, len(e.candidates))
	for i, c := range e.candidates {
		batch[i] = Item{Candidate: c, Stage: StageLast, Plays: e.plays}
	}
	return batch
}

// check panics unless the results fit their batch: that is the caller's error.
func (d Done) check() {
	if len(d.Batch) != len(d.Results) {
		panic(fmt.Sprintf("protocol: a batch of %d items with %d results", len(d.Batch), len(d.Results)))
	}
}
