// Package scan finds out which devices of a network react to sound: the paper's
// main scenario (sections 3, 4.1 and 5.1.1, "online probing").
//
// # Concepts
//
// A [Probe] is something to be heard: the wake word of a common assistant, a
// sound from a file, or words by chance. A [Round] plays one probe: a stretch of
// silence, in which the devices are idle, and one in which the probe sounds again
// and again. All packets that pass in a round are kept, of every device.
//
// What a round holds is raw. [Judge] is a pure function of the rounds, and says
// of every device and probe how likely the device's traffic after the plays
// would be if it had heard nothing. Another rule can judge the same rounds
// again.
//
// # Statistics
//
// The windows after the plays of a probe are held against windows of the same
// length in all idle stretches (traffic.Null, a permutation test), for each
// device by itself, so that nothing has to be known about devices, and nothing
// is assumed of their traffic but that idle windows are alike.
//
// Every probe is played first of all as often as the spec says. One that any
// device may have reacted to, at [CandidateP], is then played again
// (section 4.1.2: the test "must be repeated several times"), so that a device
// that was busy by chance is told from one that reacts. The p-value of a probe
// that was repeated is the larger of the first one and that of the
// repetitions alone. As the latter would hold by itself whatever made the probe
// be repeated, so does the larger.
//
// The p-values of all devices and probes are adjusted together (Benjamini and
// Hochberg): of the reactions that are reported, a share of at most Level is
// expected to be none. Whether a device reacts to sound at all is asked apart,
// of the first plays of all probes together; that also finds a device that
// reacts to anything, but seldom.
//
// # Storage
//
// A scan's folder holds
//
//	spec.yaml            the spec as it runs
//	lock                 held while a scan runs
//	rounds/NAME.pcapng   the packets of a round, headers only
//	rounds/NAME.json     what was played when; written last
//
// A round without its JSON file did not happen. Resuming is a subtraction: what
// the plan lacks is played. The captures are ordinary ones: other programs read
// them, and the detectors can judge them.
//
// # Limits
//
//   - A device is told by its MAC address. One that changes it is another.
//   - A report holds the packets of one round at a time in memory, 24 bytes each.
//   - Rounds can be judged again by a rule that looks as long after a sound as the
//     pace leaves time for, and no longer: then the next sound comes.
//   - A device that only records, and uploads much later or slowly, is not found.
//   - Somebody who speaks in the rounds of a probe, or a device that is used just
//     then, may pass for a reaction. Scan while nobody is at home.
package scan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"wakefuzz/bench"
)

// CandidateP is the p-value up to which a probe is played again.
const CandidateP = 0.1

// Kind is what a probe is made of.
type Kind string

// The kinds.
const (
	// WakeWord is a word or phrase that an assistant is meant to react to.
	WakeWord Kind = "wake word"
	// Sound is a recording, of breaking glass or a barking dog.
	Sound Kind = "sound"
	// Words are other words, each played once, with or without a wake word before
	// them.
	Words Kind = "words"
)

// Probe is something that devices may react to.
type Probe struct {
	Kind Kind
	// Name is unique within its kind: the wake word, the file, or the prefix.
	Name string
	// Says holds what is sounded: one text or file again and again, or as many
	// texts as there are plays.
	Says []string
}

// String names the probe in a report.
func (p Probe) String() string {
	switch {
	case p.Kind == Words && p.Name == "":
		return "random words"
	case p.Kind == Words:
		return fmt.Sprintf("%q and a random word", p.Name)
	default:
		return fmt.Sprintf("%q", p.Name)
	}
}

// Task is a round that is to be played: a probe, by its place in the plan, and
// the how many-th round of it, from 0.
type Task struct {
	Probe, Repeat int
	// Confirms says that the round is one of those that repeat a probe which a
	// device may have reacted to.
	Confirms bool
}

// Plan is what a spec asks for.
type Plan struct {
	Probes []Probe
	Pace   Pace
	// Confirm is how many rounds repeat a candidate.
	Confirm int
	// Seed decides on the order of rounds.
	Seed uint64
}

// rounds is how many rounds a probe takes at first.
func (p Plan) rounds(probe int) int {
	return max(1, (len(p.Probes[probe].Says)+p.Pace.Plays()-1)/p.Pace.Plays())
}

// says is what the plays of a round sound. Repetitions say what the first rounds
// said.
func (p Plan) says(t Task) []string {
	all := p.Probes[t.Probe].Says
	says := make([]string, p.Pace.Plays())
	for i := range says {
		says[i] = all[(t.Repeat*len(says)+i)%len(all)]
	}
	return says
}

// First are the rounds that are played in any case. They are in an order by
// chance, so that nothing that changes with time of day falls on one kind of
// probe.
func (p Plan) First() []Task {
	var tasks []Task
	for i := range p.Probes {
		for r := range p.rounds(i) {
			tasks = append(tasks, Task{Probe: i, Repeat: r})
		}
	}
	shuffle(tasks, p.Seed, 1)
	return tasks
}

// Second are the rounds that repeat the candidates, which are places in the
// plan.
func (p Plan) Second(candidates []int) []Task {
	var tasks []Task
	for _, i := range candidates {
		for r := range p.Confirm * p.rounds(i) {
			tasks = append(tasks, Task{Probe: i, Repeat: r, Confirms: true})
		}
	}
	shuffle(tasks, p.Seed, 2)
	return tasks
}

// Left is how many of the first rounds are yet to be played and, at most, of all:
// which probes are repeated shows only after the first.
func (p Plan) Left(rounds []Round) (first, most int) {
	var all []int
	for i := range p.Probes {
		all = append(all, i)
	}
	first = len(left(p.First(), rounds))
	return first, first + len(left(p.Second(all), rounds))
}

func shuffle(tasks []Task, seed, batch uint64) {
	rng := rand.New(rand.NewPCG(seed, batch))
	rng.Shuffle(len(tasks), func(i, j int) { tasks[i], tasks[j] = tasks[j], tasks[i] })
}

// left are the tasks of which there is no round.
func left(tasks []Task, rounds []Round) []Task {
	return slices.DeleteFunc(slices.Clone(tasks), func(t Task) bool {
		return slices.ContainsFunc(rounds, func(r Round) bool { return r.Task == t })
	})
}

// Round is what was done in a round. Instants are on a clock that began with it.
type Round struct {
	Task Task
	// Began is the clock's beginning, by the wall clock that stamps packets.
	Began time.Time
	// Idle is the stretch of silence, and Probing the one of the plays.
	Idle, Probing bench.Span
	Plays         []Play
	// Dropped is how many packets the capture lost.
	Dropped uint64
}

// Play is a sound that was played.
type Play struct {
	// Says is the text, or the file.
	Says  string
	Sound bench.Span
}
