package campaign

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"wakefuzz/protocol"
	"wakefuzz/wordlists"
)

// ProtocolSpec is the protocol section of a spec.
type ProtocolSpec struct {
	// Kind is the protocol's name.
	Kind ProtocolKind `yaml:"kind"`
	// Plays is how often a word is played in the last stage, from which rates
	// are taken.
	Plays int `yaml:"plays"`
	// StopAt, where it is not 0, is how many reactions in the last stage are
	// enough: its plays stop where a word has that many or can't reach them any
	// more. Rates are then no more than an order of words; see protocol.Last.
	StopAt int `yaml:"stop_at"`
	// Gap is the silence between two words of a segment, which are played back to
	// back; see protocol.Item.
	Gap time.Duration `yaml:"gap"`
	// Rounds, Sweep and Guided are the options of the protocols of these names.
	Rounds protocol.RoundsOptions `yaml:"rounds"`
	Sweep  protocol.SweepOptions  `yaml:"sweep"`
	Guided protocol.GuidedOptions `yaml:"guided"`
	// Tries is how often a play that could not be measured is tried in one
	// session, before it is left to a resumed one; at a fixed pace, a trial.
	Tries int `yaml:"tries"`
	// Pace is when plays begin.
	Pace PaceSpec `yaml:"pace"`
}

// ProtocolKind is the name of a protocol.
type ProtocolKind string

// The protocols; see package protocol.
const (
	// KindExhaustive plays every word equally often.
	KindExhaustive ProtocolKind = "exhaustive"
	// KindRounds plays every word, then again those that reacted, and so on.
	KindRounds ProtocolKind = "rounds"
	// KindSweep plays words back to back and follows up what reacts.
	KindSweep ProtocolKind = "sweep"
	// KindGuided learns from what reacts where to look next.
	KindGuided ProtocolKind = "guided"
)

// ProtocolKinds lists the protocols.
func ProtocolKinds() []ProtocolKind {
	return []ProtocolKind{KindExhaustive, KindRounds, KindSweep, KindGuided}
}

// of makes the protocol.
func (p ProtocolSpec) of(seed uint64, wake wordlists.Word, candidates []protocol.Candidate) protocol.Protocol {
	last := protocol.Last{Plays: p.Plays, Hit: p.StopAt}
	switch p.Kind {
	case KindRounds:
		return protocol.Rounds(candidates, p.Rounds, last)
	case KindSweep:
		return protocol.Sweep(candidates, wake.Pronunciation(), seed, p.Sweep, last)
	case KindGuided:
		guided := protocol.Guided(candidates, wake.Pronunciation(), seed, p.Guided, last)
		if n := p.invents(); n > 0 {
			return protocol.Inventing(guided, candidates, wake, n, language, last)
		}
		return guided
	default:
		return protocol.Exhaustive(candidates, p.Plays)
	}
}

// invents is how many words a protocol makes up at most.
func (p ProtocolSpec) invents() int {
	if p.Kind == KindGuided {
		return p.Guided.Invent
	}
	return 0
}

// language is the words of the dictionary. It can be read: otherwise there would
// be no campaign to plan.
func language() []wordlists.Word {
	dictionary, err := wordlists.CMU()
	if err != nil {
		panic(err)
	}
	return slices.Collect(dictionary.All())
}

// validate names the key at fault.
func (p ProtocolSpec) validate() error {
	switch {
	case !slices.Contains(ProtocolKinds(), p.Kind):
		return fmt.Errorf("kind: %q is not one of: %s", p.Kind, strings.Trim(strings.ReplaceAll(fmt.Sprint(ProtocolKinds()), " ", ", "), "[]"))
	case p.Plays < 1 || p.Plays > 10000:
		return fmt.Errorf("plays: %d is not between 1 and 10000", p.Plays)
	case p.StopAt < 0 || p.StopAt > p.Plays:
		return fmt.Errorf("stop_at: %d is not between 0 and the %d plays", p.StopAt, p.Plays)
	case p.StopAt > 0 && p.Kind == KindExhaustive:
		return errors.New("stop_at: the protocol exhaustive plays every word equally often; leave it out")
	case p.Tries < 1 || p.Tries > 100:
		return fmt.Errorf("tries: %d is not between 1 and 100", p.Tries)
	case p.Gap < 0 || p.Gap > time.Minute:
		return fmt.Errorf("gap: %v is not between nothing and a minute", p.Gap)
	case (p.Kind == KindSweep || p.Kind == KindGuided) && p.Pace.Fixed():
		return fmt.Errorf("pace.kind: the protocol %s does not wait between words, so it has no fixed pace", p.Kind)
	}
	if err := p.Rounds.Validate(); err != nil {
		return fmt.Errorf("rounds.%w", err)
	}
	if err := p.Sweep.Validate(); err != nil {
		return fmt.Errorf("sweep.%w", err)
	}
	if err := p.Guided.Validate(); err != nil {
		return fmt.Errorf("guided.%w", err)
	}
	if err := p.Pace.validate(); err != nil {
		return fmt.Errorf("pace.%w", err)
	}
	return nil
}
