package results

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"wakefuzz/bench"
	"wakefuzz/phoneme"
)

// TrialID identifies a planned trial: a hash of all that defines it, so that
// the same spec and seed plan the same IDs on every machine.
type TrialID [16]byte

// String is the ID in hexadecimal.
func (id TrialID) String() string { return hex.EncodeToString(id[:]) }

// PlayID identifies a planned play: the Index-th, from 0, of its trial.
type PlayID struct {
	Trial TrialID
	Index int
}

// String is the trial's ID, a hash sign and the play's number from 1.
func (id PlayID) String() string { return fmt.Sprintf("%s#%d", id.Trial, id.Index+1) }

// Seed is the play's own randomness: whatever differs between the plays of a
// trial is derived from it.
func (id PlayID) Seed() uint64 {
	var b [len(id.Trial) + 8]byte
	copy(b[:], id.Trial[:])
	binary.BigEndian.PutUint64(b[len(id.Trial):], uint64(id.Index))
	sum := sha256.Sum256(b[:])
	return binary.BigEndian.Uint64(sum[:8])
}

// Role says what a trial is for.
type Role string

// The roles. Stored records hold these strings: they are never renamed.
const (
	// RoleWord is a trial of a candidate word.
	RoleWord Role = "word"
	// RolePositive is a trial of the wake word itself, which must react.
	RolePositive Role = "positive"
	// RoleNegative is a trial of what must not react: of silence, whose Word is
	// "", or of a word that sounds nothing like the wake word.
	RoleNegative Role = "negative"
)

// Candidate is a word that the campaign may try.
type Candidate struct {
	Word           string
	Pronunciations []phoneme.Pronunciation
	Guessed        bool
	List           string
}

// Trial is a planned trial: all plays of one utterance in one round.
type Trial struct {
	ID   TrialID
	Role Role
	// Word is the text spoken; Pronunciation is how the list, or where Guessed
	// is true a letter-to-sound rule, says it sounds; List is where it is from.
	Word          string
	Pronunciation phoneme.Pronunciation
	Guessed       bool
	List          string
	// Voice is the name of the voice, as tts.Voice.String gives it.
	Voice string
	// Round tells trials of the same word and voice apart: for words it is the
	// number of the batch, for controls they are counted. Plays is how many plays
	// the trial has.
	Round int
	Plays int
	// Batch is the number, from 1, of the batch that the trial was planned in.
	// The store assigns it.
	Batch int
	// Screening is true for what is played to find out which words are worth the
	// last stage. Rates are of trials that are not screening, because a word
	// that gets that far has reacted in its screening by choice.
	Screening bool
	// Segment groups the trials of a batch, by a number from 1, that are played
	// back to back, in their order, in one sound. Those of segment 0 are played
	// by themselves.
	Segment int
	// Why says, to people, why the word was chosen: "" where all are.
	Why string
}

// tested says whether the trial is what a word's rate is taken from.
func (t Trial) tested() bool { return t.Role == RoleWord && !t.Screening }

// Campaign is what a store says of the campaign that it belongs to.
type Campaign struct {
	Name              string
	WakeWord          string
	WakePronunciation phoneme.Pronunciation
	// PlanHash is the hash of the plan: of the part of the spec that shapes it
	// and of the trials planned.
	PlanHash [sha256.Size]byte
	Created  time.Time
	// Fuzzer is the version of the program that made the store.
	Fuzzer string
	// Spec is the spec that planned the campaign, as YAML with every default
	// filled in.
	Spec string
	// Selected is how many words were selected, times the voices that speak
	// them: how many hypotheses there are, whether or not each gets a trial. In
	// a store of schema 2 or older it is 0, and each has one.
	Selected int
}

// Session is one run of the program on a campaign. Resuming begins a new one.
type Session struct {
	// ID counts from 1; the store assigns it.
	ID      uint32
	Started time.Time
	Host    string
	PID     int
	Fuzzer  string
	Workers int
	// Spec is the campaign's spec as it stood in this session, in the form of
	// Campaign.Spec. It may differ from that in what does not touch the plan.
	Spec string
	// Facts are what else shapes the observations of this session: hashes of
	// model and runtime, versions of the voices' engines.
	Facts map[string]string
}

// Attempt is one try at a play. Attempts are only ever appended.
type Attempt struct {
	Play PlayID
	// Number counts the attempts of this play from 1.
	Number  int
	Session uint32
	// Bench is the number of the parallel bench, from 0, whose clock Sound and
	// Observations are on.
	Bench int
	// Wall is when the attempt began.
	Wall time.Time
	// Clip is the hash of the samples that were played.
	Clip [sha256.Size]byte
	// Sound is the span in which the clip sounded.
	Sound bench.Span
	// Phase, NoiseDBFS and GainDB are what the player did to the clip.
	Phase     time.Duration
	NoiseDBFS float64
	GainDB    float64
	// Observations are what the oracles recorded. The packets of one are a part
	// of its bench's traffic; see [Store.AppendObserved].
	Observations []bench.Observation
	// State is the verdict at the time of the play, and Rule the rule that gave
	// it. Later judgings don't change it.
	State bench.State
	Rule  string
	// Fault is why State is Unmeasured, or NoFault; Detail says it in words.
	Fault  bench.Fault
	Detail string
}

// Observed is what was recorded of a bench since the last time, whatever was
// played meanwhile.
type Observed struct {
	// Session and Bench say whose clock it is on; see Attempt.Bench.
	Session uint32
	Bench   int
	// Traffic holds the next stretches of the device's traffic. The zero Traffic
	// is none.
	Traffic []Traffic
	// Clock holds moments that map the bench's clock to the wall clock.
	Clock []bench.Pair
}

// Traffic is a stretch of the traffic of the device under test.
type Traffic struct {
	// Watched is the span in which the capture was at work. Where one stretch
	// ends before the next begins, it was not.
	Watched bench.Span
	// Packets holds what was seen of it, in the order of time.
	Packets []bench.Packet
	// Dropped is how many packets at most the capture lost in the span.
	Dropped uint64
}

// Void takes an attempt back that was measured, for a reason that came to
// light later. The play is then played again.
type Void struct {
	Play   PlayID
	Number int
	Reason string
	Wall   time.Time
}
