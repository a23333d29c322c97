// Package explain finds out what it is in a word that wakes a device: the
// smallest stretch of its phones that still does.
//
// # What is played
//
// A [Session] plays on a [campaign.Bench], as a campaign does, but for a
// different end, and stores nothing:
//
//  1. The wake word, where the device may be deaf: on a bench with hardware. It
//     has to wake the device.
//  2. The word, spelled, as a campaign plays it.
//  3. Its pronunciations, as phones, one after the other until one wakes the
//     device. Only what is spoken as phones can be cut into stretches.
//  4. Stretches of that pronunciation, and then parts of the smallest stretch,
//     as [protocol.Shrink] asks for them.
//  5. The wake word again.
//
// Each is played the same number of times, and wakes the device if at least the
// stated share of the plays reacted. On a software bench a play follows from what
// is played, its number and the spec's seed, so that the same word has the same
// explanation.
//
// # Limits
//
//   - A voice has its own dictionary and its own rules. What it says of a spelled
//     word may be none of the pronunciations that are known. Then the spelled
//     word wakes the device and none of them does, and there is nothing to cut.
//   - A stretch is said as a word of its own. Its first and its last phone are
//     said at an edge, longer and less like their neighbours than within the word,
//     and the syllable with the stress may be gone.
//   - A word that reacts in about the stated share of its plays is cut by chance.
//     More plays help.
package explain

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/oracle"
	"wakefuzz/phoneme"
	"wakefuzz/playback"
	"wakefuzz/protocol"
	"wakefuzz/results"
	"wakefuzz/tts"
)

// tries is how often a play that can't be measured is tried.
const tries = 5

// Session plays a word and its stretches.
type Session struct {
	// Word is its spelling, or its name where Unspelled says that it has none and is
	// not to be played so.
	Word      string
	Unspelled bool
	// Pronunciations are how it may sound, the likeliest first.
	Pronunciations []phoneme.Pronunciation
	WakeWord       string
	Voice          tts.Voice
	// Plays is how often each is played, at least 1, and Share of its plays has to
	// react, above 0 and up to 1, for it to wake the device.
	Plays int
	Share float64
	// Seed, Settle and Rules are the spec's.
	Seed   uint64
	Settle campaign.SettleSpec
	Rules  oracle.Rules
	Bench  *campaign.Bench
	Speak  func(context.Context, tts.Utterance) (tts.Clip, error)
	// Note is told how it goes.
	Note func(format string, args ...any)
}

// Report is what a session found out.
type Report struct {
	Word     string  `json:"word"`
	WakeWord string  `json:"wake_word"`
	Voice    string  `json:"voice"`
	Plays    int     `json:"plays"`
	Share    float64 `json:"share"`
	Rule     string  `json:"rule"`
	// Tried is all that was played, in order.
	Tried []Try `json:"tried"`
	// Pronunciation is the first that wakes the device, or "".
	Pronunciation phoneme.Pronunciation `json:"pronunciation,omitempty"`
	// Stretch is what is left of it, phones in a row, and Core are those of the
	// stretch without any of which the others do not wake the device; see
	// [protocol.Shrink].
	Stretch phoneme.Pronunciation `json:"stretch,omitempty"`
	Core    phoneme.Pronunciation `json:"core,omitempty"`
	// Problem is why there is no stretch, or why it may be wrong, or "".
	Problem string `json:"problem,omitempty"`
}

// Try is something that was played.
type Try struct {
	// Text is what was spelled, and Phones what was spoken as phones.
	Text   string                `json:"text,omitempty"`
	Phones phoneme.Pronunciation `json:"phones,omitempty"`
	// Reacted counts the plays that did, of Plays. There is none of what the voice
	// can't speak, such as a single consonant.
	Reacted int  `json:"reacted"`
	Plays   int  `json:"plays"`
	Wakes   bool `json:"wakes"`
}

// String is what was played.
func (t Try) String() string {
	if t.Phones != "" {
		return string(t.Phones)
	}
	return fmt.Sprintf("%q", t.Text)
}

// problem ends a session, and is what its report says.
type problem string

func (p problem) Error() string { return string(p) }

// Run plays, until the stretch is found or ctx ends. What the word or the device
// makes impossible is the report's Problem; an error means that the bench or the
// voice is of no use, or that ctx ended.
func (s Session) Run(ctx context.Context) (Report, error) {
	r := Report{Word: s.Word, WakeWord: s.WakeWord, Voice: s.Voice.String(), Plays: s.Plays, Share: s.Share, Rule: s.Rules.Text}
	err := s.explain(ctx, &r)
	var p problem
	if errors.As(err, &p) {
		r.Problem, err = string(p), nil
	}
	return r, err
}

func (s Session) explain(ctx context.Context, r *Report) error {
	hears := func() (bool, error) { return true, nil }
	if s.Bench.Settle != nil {
		hears = func() (bool, error) { return s.wakes(ctx, r, Try{Text: s.WakeWord}) }
	}
	if heard, err := hears(); err != nil {
		return err
	} else if !heard {
		return problem(fmt.Sprintf("the wake word, %s, does not wake the device, so nothing can be said of other words", r.last()))
	}
	quiet := "spoken as phones it does not wake the device"
	if !s.Unspelled {
		if woke, err := s.wakes(ctx, r, Try{Text: s.Word}); err != nil {
			return err
		} else if !woke {
			return problem(r.last() + r.seldom())
		}
		quiet += ", though spelled it does: the voice may say the spelling in another way"
	}
	ask := func(ctx context.Context, phones []string) (bool, error) {
		return s.wakes(ctx, r, Try{Phones: phoneme.Pronunciation(strings.Join(phones, " "))})
	}
	for _, p := range s.Pronunciations {
		stretch, core, err := protocol.Shrink(ctx, strings.Fields(string(p)), ask)
		if errors.Is(err, protocol.ErrQuiet) {
			if r.Tried[len(r.Tried)-1].Plays == 0 {
				quiet = r.last()
			}
			continue
		}
		if err != nil {
			return err
		}
		r.Pronunciation = p
		r.Stretch = phoneme.Pronunciation(strings.Join(stretch, " "))
		r.Core = phoneme.Pronunciation(strings.Join(core, " "))
		if heard, err := hears(); err != nil {
			return err
		} else if !heard {
			return problem(fmt.Sprintf("at the end the wake word, %s, does not wake the device: what did not wake it before may do so", r.last()))
		}
		return nil
	}
	return problem(quiet)
}

// last says how often the device reacted to what was played last.
func (r *Report) last() string {
	t := r.Tried[len(r.Tried)-1]
	if t.Plays == 0 {
		return fmt.Sprintf("%s, which the voice %s can't speak", t, r.Voice)
	}
	return fmt.Sprintf("%s, %d of %d", t, t.Reacted, t.Plays)
}

// seldom says that what was played last does not wake the device.
func (r *Report) seldom() string {
	if r.Tried[len(r.Tried)-1].Reacted > 0 {
		return fmt.Sprintf(": it wakes the device less often than in a share of %g of its plays; what does so less often can be explained with a lower share, and with more plays", r.Share)
	}
	return ": it does not wake the device, so there is nothing to explain"
}

// wakes plays it, and says whether it wakes the device.
func (s Session) wakes(ctx context.Context, r *Report, t Try) (bool, error) {
	clip, err := s.Speak(ctx, tts.Utterance{Text: t.Text, Voice: s.Voice, Pronunciation: t.Phones})
	switch {
	case errors.Is(err, tts.ErrUnspeakable) && ctx.Err() == nil:
	case err != nil:
		return false, fmt.Errorf("speaking %s: %w", t, err)
	default:
		for t.Plays < s.Plays {
			reacted, err := s.play(ctx, clip, s.seed(t))
			if err != nil {
				return false, err
			}
			t.Plays++
			if reacted {
				t.Reacted++
			}
		}
		t.Wakes = results.IsHit(t.Reacted, t.Plays, s.Share)
	}
	r.Tried = append(r.Tried, t)
	s.Note("%s", r.last())
	return t.Wakes, nil
}

// seed is that of the next play.
func (s Session) seed(t Try) uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "explain v1\n%d\n%q\n%q\n%q\n%d\n", s.Seed, s.Voice, t.Text, t.Phones, t.Plays))
	return binary.BigEndian.Uint64(sum[:])
}

// play plays the clip to a device at rest until the play can be measured.
func (s Session) play(ctx context.Context, clip tts.Clip, seed uint64) (reacted bool, err error) {
	why := ""
	for range tries {
		if s.Bench.Settle != nil {
			restless, err := s.Bench.Settle(ctx, s.Settle)
			if err != nil {
				return false, err
			}
			if restless != "" {
				why = "the device does not come to rest: " + restless
				s.Note("%s", why)
				continue
			}
		}
		sounding, observations, err := s.Bench.Once(ctx, playback.Cue{Clip: clip, Seed: seed}, 0)
		if err != nil {
			return false, err
		}
		fault, detail := sounding.Fault, sounding.Detail
		if fault == bench.NoFault {
			verdict := s.Rules.Judge(sounding.Span, observations)
			if verdict.State != bench.Unmeasured {
				return verdict.State == bench.Reacted, nil
			}
			fault = verdict.Fault
			for _, o := range observations {
				if o.Fault != bench.NoFault {
					detail = o.Detail
				}
			}
		}
		why = strings.TrimSuffix(fmt.Sprintf("a play could not be measured: %s: %s", fault, detail), ": ")
		s.Note("%s", why)
	}
	return false, problem(why)
}
