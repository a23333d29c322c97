// Package dataset records the traffic of a device together with what is known
// of when the device was awake: the datasets of section 5.1.1 of the paper.
//
// # Concepts
//
// A [Plan] says what happens meanwhile: nothing, a wake word at intervals, the
// alternation of silent and probing minutes, or whatever people do. A [Session]
// carries it out and puts what it sees into a [Folder]:
//
//	20260102T150405.000Z.pcapng   what passed, in files of an hour, and the like
//	record.jsonl                  what was played and seen, an object a line
//	labels.csv                    when the device was awake, by file
//	doubtful.csv                  the same, of labels that can't be trusted
//	lock                          held while somebody records; names their PID
//
// The record is the raw observation, and only appended to. Both tables are
// made of it by [Judge], a pure function, each time that something is added to
// it: what is learnt later may throw doubt on what was seen before.
//
// # Time
//
// Times in the capture files are those of the kernel's steady clock, which
// begins in each file with the wall clock as it stood then. So they never step,
// and labels, which count from a file's first packet, fit to the millisecond
// whatever is done to the wall clock. The record has a pair of both clocks for
// every minute.
//
// A file begins with its first packet. It is cut after an hour, as soon as
// nothing has been lit or played for a while, and wherever the capture was not
// at work: no file reaches across time of which nothing is known. Pairs of
// stretches, in probing, are never cut for their length.
//
// # Labels
//
// A label is a spell of the device's light, by the light rule of the campaign
// file. Its kind is the word that drew it; "false", where nothing was played and
// nobody was to speak; and empty in ordinary use, where nobody knows. Where
// nothing watches the light, labels are nominal: the times of the plays, of
// those that are meant to wake the device. A file without a label is named by a
// line without times.
//
// # When the oracles disagree
//
// An occasion is a light, an upload that the calibrated detector finds, or both,
// where they overlap as an activation and its detection do: from 2 s before the
// light to 5 s after it. Each oracle is held against the other: of the occasions
// that the other saw, how many did it see?
//
// An oracle has probably died when it has missed at least three such occasions
// in a row, and so many that it can't be chance: if the s that it saw and the m
// that it missed before, and the k missed now, came in random order, all k would
// be the last with a probability of at most [Unlikely]. That probability is
//
//	(m+k)/(s+m+k) * (m+k-1)/(s+m+k-1) * ... * (m+1)/(s+m+1)
//
// and is exact, whatever the true rate of agreement is. After fifty agreements
// three misses are enough, and where one in ten of fifty was missed before, five.
// In controlled recordings eight agreements are added, about as many as a
// calibration shows, so that an oracle which never worked is found out too,
// after eight. As the question is asked again at each occasion, a living oracle
// is sometimes taken for dead: simulated, at 1 in 25,000 occasions where one in
// twenty is missed, and at 1 in 8,000 where every other is. In idle recordings
// nobody is to wake the device, its own bursts are all that there is to agree
// on, and nothing is said of the light sensor.
//
// A device that no longer reacts to what is meant to wake it, by either oracle,
// is told by the same rule.
//
// Doubt begins after what the oracle last saw, or with the session, since nobody
// knows when in between it died, and ends with what it sees next. It also
// falls on times in which the light could not be read for more than 2 s, and on
// a light that is lit for longer than ten minutes. Labels in such a time are in
// doubtful.csv, and those of both stretches of a word if either is touched. What
// is left in labels.csv is the time itself, with the kind "doubtful": without it,
// a device of which nothing is known would pass for one that was not awake.
//
// # Limits
//
//   - One device is recorded at a time.
//   - Where both oracles die at once, it looks like a device that does not
//     react, or like a quiet day.
//   - In ordinary use the detector's false alarms count as uploads that the
//     light missed. A night of them may look like a light that died.
//   - A process that is killed loses two seconds at most.
package dataset

import (
	"errors"
	"fmt"
	"iter"
	"time"
)

// Kind is what happens while a dataset is recorded, section 5.1.1.
type Kind string

// The kinds.
const (
	// Idle: nobody speaks.
	Idle Kind = "idle"
	// Controlled: what wakes the device is played at intervals.
	Controlled Kind = "controlled"
	// Probing: for each word a silent stretch, and one in which it is played
	// again and again.
	Probing Kind = "probing"
	// Ordinary: people do as they like.
	Ordinary Kind = "ordinary"
)

// The paper's numbers, section 5.1.1.
const (
	PaperLength       = 6 * time.Hour
	PaperInterval     = 5 * time.Minute // one of 1, 2, 5, 10, 30, 60 and 120
	PaperStretch      = time.Minute
	PaperProbeEvery   = 10 * time.Second
	PaperProbingWords = 50
)

// Plan is what is to be recorded.
type Plan struct {
	Kind Kind `json:"kind"`
	// Length is how long in all. Probing ends with its words, and has none.
	Length time.Duration `json:"-"`
	// Every is the time from one play to the next, and Stretch that of a silent
	// stretch, and of one with plays.
	Every   time.Duration `json:"every_ns,omitempty"`
	Stretch time.Duration `json:"stretch_ns,omitempty"`
	// Words are played in turn.
	Words []string `json:"words,omitempty"`
}

// leastInterval leaves time between two plays for the device to come to rest,
// and for a file to end. leastRepeat is for plays that needn't.
const (
	leastInterval = 20 * time.Second
	leastRepeat   = 5 * time.Second
)

// Validate says what of the plan can't be carried out.
func (p Plan) Validate() error {
	switch {
	case p.Kind != Idle && p.Kind != Controlled && p.Kind != Probing && p.Kind != Ordinary:
		return fmt.Errorf("kind: %q is not one of: idle, controlled, probing, ordinary", p.Kind)
	case p.Kind != Probing && p.Length <= 0:
		return fmt.Errorf("for: %v is no time", p.Length)
	case p.Kind == Controlled && (p.Every < leastInterval || p.Every > 24*time.Hour):
		return fmt.Errorf("every: %v is not between %v and 24h", p.Every, leastInterval)
	case p.Kind == Probing && p.Every < leastRepeat:
		return fmt.Errorf("every: %v is shorter than %v", p.Every, leastRepeat)
	case p.Kind == Probing && (p.Stretch < p.Every || p.Stretch > time.Hour):
		return fmt.Errorf("stretch: %v is not between %v, the time between two plays, and 1h", p.Stretch, p.Every)
	case p.Plays() && len(p.Words) == 0:
		return errors.New("words: there are none to play")
	}
	return nil
}

// Plays says whether anything is played.
func (p Plan) Plays() bool { return p.Kind == Controlled || p.Kind == Probing }

// Act is what is to be done.
type Act uint8

// The acts.
const (
	// Play plays the word.
	Play Act = iota
	// Silence begins the silent stretch before the word, and Over ends that
	// with the plays.
	Silence
	Over
	// End ends the session.
	End
)

// Step is something to be done at a time, counted from the session's beginning.
type Step struct {
	At   time.Duration
	Act  Act
	Word string
}

// Done is what sessions before have recorded.
type Done struct {
	Length time.Duration
	// Plays is how many plays there were, and Pairs which words, by their places
	// in the plan, have had both their stretches.
	Plays int
	Pairs map[string]bool
}

// Steps are what is left to do, in the order of time.
func (p Plan) Steps(done Done) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		var end time.Duration
		switch p.Kind {
		case Probing:
			for _, word := range p.Words {
				if done.Pairs[word] {
					continue
				}
				if !p.pair(end, word, yield) {
					return
				}
				end += 2 * p.Stretch
			}
		case Controlled:
			end = max(p.Length-done.Length, 0)
			for at, n := p.Every, done.Plays; at < end; at, n = at+p.Every, n+1 {
				if !yield(Step{at, Play, p.Words[n%len(p.Words)]}) {
					return
				}
			}
		default:
			end = max(p.Length-done.Length, 0)
		}
		yield(Step{At: end, Act: End})
	}
}

// pair are the steps of a word's two stretches.
func (p Plan) pair(from time.Duration, word string, yield func(Step) bool) bool {
	if !yield(Step{from, Silence, word}) {
		return false
	}
	from += p.Stretch
	for at := time.Duration(0); at < p.Stretch; at += p.Every {
		if !yield(Step{from + at, Play, word}) {
			return false
		}
	}
	return yield(Step{from + p.Stretch, Over, word})
}
