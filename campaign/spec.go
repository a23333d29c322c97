package campaign

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/goccy/go-yaml"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
	"wakefuzz/phoneme"
	"wakefuzz/protocol"
	"wakefuzz/results"
	"wakefuzz/stats"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// ErrSpec is wrapped by every error that a better campaign file would mend.
var ErrSpec = errors.New("campaign file")

// maxSpecBytes bounds a campaign file: the largest sensible one, with long
// include lists, stays far below.
const maxSpecBytes = 1 << 20

// PaperPlays is how often the paper played each word in its last round, section
// 5.5 and Table 5.
const PaperPlays = 10

// Spec is a campaign file. The example file examples/every-key.yaml documents
// every key.
type Spec struct {
	// Name names the campaign and its folder.
	Name string `yaml:"name"`
	// WakeWord is what the device is meant to react to: a word or a phrase.
	WakeWord string `yaml:"wake_word"`
	// Pronunciation is the wake word's, in ARPAbet. It is needed only where the
	// dictionary lacks the word.
	Pronunciation phoneme.Pronunciation `yaml:"pronunciation,omitempty"`
	// Seed is where everything random begins: shuffles, phases, noise.
	Seed uint64 `yaml:"seed"`
	// Words says which words are tried. What it leaves out gets its default from
	// the wake word, by Selection.WithDefaults.
	Words wordlists.Selection `yaml:"words"`
	// Voices speak each word, one trial a voice.
	Voices Voices `yaml:"voices"`
	// VoicesSample is how many of the voices that the file spells out take part,
	// chosen by the seed; 0 means all.
	VoicesSample int `yaml:"voices_sample,omitempty"`
	// Bench is what the words are played to.
	Bench BenchSpec `yaml:"bench"`
	// Protocol is in what order and how often.
	Protocol ProtocolSpec `yaml:"protocol"`
	// Controls are plays of the wake word in between, which show that the
	// device still hears.
	Controls ControlsSpec `yaml:"controls"`
	// Evidence is what is kept for people and other tools to look into.
	Evidence EvidenceSpec `yaml:"evidence"`
	// Judge says what counts as a reaction and as a hit. It shapes no
	// observation: another rule may judge the same night again.
	Judge JudgeSpec `yaml:"judge"`
	// Rank is the order of the table.
	Rank RankSpec `yaml:"rank"`
	// Gate is what the campaign must keep to where it is compared with an earlier
	// one.
	Gate results.Gate `yaml:"gate,omitempty"`
}

// BenchSpec is the bench section of a spec: either a software bench, the key
// engine alone, or a bench with hardware, a player and what watches.
type BenchSpec struct {
	// Engine is a software bench: a wake-word model that is player and oracle
	// in one.
	Engine *Driver `yaml:"engine,omitempty"`
	// Player sounds the clips at a device.
	Player *Driver `yaml:"player,omitempty"`
	// Light watches the device's light, and Traffic its packets.
	Light   *Driver `yaml:"light,omitempty"`
	Traffic *Driver `yaml:"traffic,omitempty"`
	// Settle is how the device comes to rest before each play, where there is
	// hardware.
	Settle SettleSpec `yaml:"settle"`
	// Workers is how many software benches run side by side; 0 means one for
	// each processor, or one for a server. With hardware there is one.
	Workers int `yaml:"workers"`
}

// Physical says whether the bench has hardware.
func (b BenchSpec) Physical() bool { return b.Player != nil }

// SettleSpec is how the device comes to rest before each play.
type SettleSpec struct {
	// Quiet is for how long the light must have been dark and the traffic
	// below the rate of the rule for bursts.
	Quiet time.Duration `yaml:"quiet"`
	// Limit is how long to wait for that. A device that does not come to rest
	// makes the play unmeasured.
	Limit time.Duration `yaml:"limit"`
}

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

// PaceSpec is when plays begin.
type PaceSpec struct {
	Kind PaceKind `yaml:"kind"`
	// Rest is how long a trial at a fixed pace waits before its idle stretch, so
	// that what the play before drew does not reach into it.
	Rest time.Duration `yaml:"rest"`
	// Stretch is the length of a trial's idle stretch, and of the stretch
	// after it, in which its plays begin at equal distances: the paper's d,
	// section 4.1.2.
	Stretch time.Duration `yaml:"stretch"`
}

// PaceKind is the name of a pace.
type PaceKind string

// The paces.
const (
	// PaceSettled: before each play the device comes to rest; see SettleSpec.
	PaceSettled PaceKind = "settled"
	// PaceFixed: a trial is an idle stretch and one with its plays, in which
	// nothing waits for the device, as in section 4.1.2 of the paper. It is
	// played whole or not at all, and only such a trial can be judged as one.
	PaceFixed PaceKind = "fixed"
)

// PaperStretch is the length of the paper's two stretches, section 4.1.2.
const PaperStretch = time.Minute

// wordLength is what the pace allows for a word and the loudspeaker's latency.
// Longer words make the plays after them late.
const wordLength = time.Second

// Fixed says whether the pace is the fixed one.
func (p PaceSpec) Fixed() bool { return p.Kind == PaceFixed }

// Trial is how long a trial at the fixed pace takes.
func (p PaceSpec) Trial() time.Duration { return p.Rest + 2*p.Stretch }

// slot is the time from one play to the next, of so many.
func (p PaceSpec) slot(plays int) time.Duration { return p.Stretch / time.Duration(plays) }

func (p PaceSpec) validate() error {
	switch {
	case p.Kind != PaceSettled && p.Kind != PaceFixed:
		return fmt.Errorf("kind: %q is not one of: settled, fixed", p.Kind)
	case p.Rest < 0:
		return fmt.Errorf("rest: %v is negative", p.Rest)
	case p.Stretch <= 0 || p.Stretch > time.Hour:
		return fmt.Errorf("stretch: %v is not between nothing and an hour", p.Stretch)
	}
	return nil
}

// ControlsSpec is the controls section of a spec. The wake word is in any case
// played at the start, as often as every word.
type ControlsSpec struct {
	// Every is after how many words the wake word is played again, 0 for never.
	// Where it no longer wakes the device in any of its plays, what was played
	// since it last did is void and played again.
	Every int `yaml:"every"`
	// Plays is how often it is then played.
	Plays int `yaml:"plays"`
	// NegativeEvery is after how many words a negative control is played, which
	// must not wake the device, 0 for never: silence, or a word that sounds
	// nothing like the wake word. The words of the screening and of the last stage
	// are counted by themselves, over all batches, and the control has as many
	// plays as they have. The first word of each stage is followed by one. What
	// falls due within a segment comes behind it.
	NegativeEvery int `yaml:"negative_every"`
	// Drift is when a device that hears less and less raises an alarm.
	Drift DriftSpec `yaml:"drift"`
	// Retry is how long a campaign waits, once the wake word no longer wakes
	// the device, before it plays it again.
	Retry time.Duration `yaml:"retry"`
}

// DriftSpec is when plays of the wake word say that a device hears less than it
// did, though it still reacts now and then: a sequential test, see stats.Cusum.
type DriftSpec struct {
	// Miss is the share of them that a device which is well may miss, and Lost the
	// share from which on it should be noticed.
	Miss float64 `yaml:"miss"`
	Lost float64 `yaml:"lost"`
	// Between is how many plays of the wake word there are on average between two
	// false alarms, of a device that misses the share Miss.
	Between float64 `yaml:"between"`
}

// JudgeSpec is the judge section of a spec.
type JudgeSpec struct {
	// Engine is when an engine's scores are a reaction, Light when a light's
	// changes are one, and Traffic when a device's packets are.
	Engine  engine.Rule `yaml:"engine"`
	Light   light.Rule  `yaml:"light"`
	Traffic TrafficSpec `yaml:"traffic"`
	// TTest judges the packets of a whole trial, where it was played at a fixed
	// pace. It has no part in the verdict.
	TTest traffic.TTestRule `yaml:"ttest"`
	// Verdict says how the oracles' readings of a play become one: the name of
	// the oracle that decides, "any" or "all". By default the engine decides
	// where there is one, else the light, else the traffic.
	Verdict oracle.Fusion `yaml:"verdict,omitempty"`
	// HitRate is the share of a word's plays that makes it a hit.
	HitRate float64 `yaml:"hit_rate"`
}

// RankSpec is the rank section of a spec.
type RankSpec struct {
	// Metric is the phonetic distance that the table shows.
	Metric phoneme.Metric `yaml:"metric"`
	// Order is what the hits are ordered by.
	Order results.Order `yaml:"order"`
}

// Default returns the spec that a campaign file starts from.
func Default() Spec {
	return Spec{
		Seed: 1,
		Protocol: ProtocolSpec{
			Kind: KindExhaustive, Plays: PaperPlays, Tries: 3,
			Rounds: protocol.RoundsOptions{}.WithDefaults(),
			Sweep:  protocol.SweepOptions{}.WithDefaults(),
			Guided: protocol.GuidedOptions{}.WithDefaults(),
			Gap:    protocol.DefaultTiming().Gap,
			Pace:   PaceSpec{Kind: PaceSettled, Rest: 10 * time.Second, Stretch: PaperStretch},
		},
		Bench:    BenchSpec{Settle: SettleSpec{Quiet: 2 * time.Second, Limit: 30 * time.Second}},
		Controls: ControlsSpec{Plays: 3, Drift: DriftSpec{Miss: 0.05, Lost: 0.4, Between: 10000}, Retry: 30 * time.Second},
		Evidence: EvidenceSpec{Quiet: 20, LimitMB: 500},
		Judge: JudgeSpec{
			Engine:  engine.DefaultRule(),
			Light:   light.DefaultRule(),
			Traffic: defaultTraffic(),
			TTest:   traffic.TTestRule{Threshold: traffic.PaperTTestRule().Threshold},
			HitRate: results.PaperHitRate,
		},
		Rank: RankSpec{Metric: phoneme.MetricDoubleMetaphone, Order: results.OrderDistance},
	}
}

// ParseSpec reads a campaign file strictly: a key that is unknown, a value of
// the wrong type or out of range is an error that wraps ErrSpec and names the
// line, with name standing for the file.
func ParseSpec(name string, text []byte, drivers Drivers) (Spec, error) {
	spec := Default()
	if err := Decode(text, drivers, &spec); err != nil {
		return Spec{}, fmt.Errorf("%w %s%w", ErrSpec, name, err)
	}
	if err := spec.validate(); err != nil {
		return Spec{}, fmt.Errorf("%w %s: %w", ErrSpec, name, err)
	}
	return spec, nil
}

// Decode reads a file of a person's strictly into a struct that holds its
// defaults; drivers are what it may name. The error begins with a colon, or with
// the place of what is wrong, ":line:column: ", and is to stand behind the
// file's name.
func Decode(text []byte, drivers Drivers, spec any) error {
	if len(text) > maxSpecBytes {
		return fmt.Errorf(": larger than %d bytes", maxSpecBytes)
	}
	ctx := context.WithValue(context.Background(), driversKey{}, drivers)
	if err := decode(ctx, text, spec, yaml.Strict()); err != nil {
		return errors.New(explain(err, spec, drivers))
	}
	if err := keeps(spec, text); err != nil {
		return fmt.Errorf(": %w", err)
	}
	return nil
}

// decode is the YAML decoder, which panics at some files that are none of its
// liking, such as a list that is a tag and nothing else.
func decode(ctx context.Context, text []byte, spec any, options ...yaml.DecodeOption) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("it can't be read as YAML: %v", v)
		}
	}()
	return yaml.UnmarshalContext(ctx, text, spec, options...)
}

// keeps returns an error where the spec took a number for another than was
// written: the decoder silently cuts the fraction off where a whole number is
// wanted.
func keeps(spec any, written []byte) error {
	frozen, err := yaml.Marshal(spec)
	if err != nil {
		return err
	}
	var was, is any
	if err := errors.Join(yaml.Unmarshal(written, &was), yaml.Unmarshal(frozen, &is)); err != nil {
		return err
	}
	return cutOff("", was, is)
}

func cutOff(path string, was, is any) error {
	switch was := was.(type) {
	case map[string]any:
		taken, _ := is.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(was)) {
			if err := cutOff(strings.TrimPrefix(path+"."+key, "."), was[key], taken[key]); err != nil {
				return err
			}
		}
	case []any:
		taken, _ := is.([]any)
		for i := range min(len(was), len(taken)) {
			if err := cutOff(fmt.Sprintf("%s[%d]", path, i), was[i], taken[i]); err != nil {
				return err
			}
		}
	case float64:
		whole, ok := is.(uint64)
		if ok && float64(whole) != was {
			return fmt.Errorf("%s: %g is not a whole number", path, was)
		}
	}
	return nil
}

var folderName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func (s *Spec) validate() error {
	s.WakeWord = strings.ToLower(strings.Join(strings.Fields(s.WakeWord), " "))
	switch {
	case !folderName.MatchString(s.Name):
		return fmt.Errorf("name: %q names the campaign's folder: 1 to 100 letters, digits, dots, dashes and underscores, a letter or digit first", s.Name)
	case s.WakeWord == "":
		return errors.New("wake_word: is missing; give the word that the device is meant to react to")
	case len(s.Voices) == 0:
		return errors.New("voices: is empty; give at least one, such as {engine: flite, name: kal16}")
	}
	if s.Pronunciation != "" {
		p, err := phoneme.ParsePronunciation(string(s.Pronunciation))
		if err != nil {
			return fmt.Errorf("pronunciation: %w", err)
		}
		s.Pronunciation = p
	}
	for i, v := range s.Voices {
		if v.Engine == "" || v.Name == "" {
			return fmt.Errorf("voices[%d]: needs an engine and a name, such as {engine: flite, name: kal16}", i)
		}
		if first := slices.IndexFunc(s.Voices, func(w tts.Voice) bool { return w.String() == v.String() }); first < i {
			return fmt.Errorf("voices[%d]: %s stands there twice", i, v)
		}
	}
	if err := s.sampleVoices(); err != nil {
		return err
	}
	if err := s.Words.Validate(); err != nil {
		return fmt.Errorf("words.%w", err)
	}
	if err := s.Bench.validate(); err != nil {
		return fmt.Errorf("bench.%w", err)
	}
	if err := s.Controls.validate(); err != nil {
		return fmt.Errorf("controls.%w", err)
	}
	if err := s.Evidence.validate(); err != nil {
		return fmt.Errorf("evidence.%w", err)
	}
	if s.Controls.Every > 0 && !s.Bench.Physical() {
		return errors.New("controls.every: a software bench does not go deaf; leave it out")
	}
	if err := s.Protocol.validate(); err != nil {
		return fmt.Errorf("protocol.%w", err)
	}
	if err := s.validateJudge(); err != nil {
		return err
	}
	if err := s.Gate.Validate(); err != nil {
		return fmt.Errorf("gate.%w", err)
	}
	return s.keepsPace()
}

// validateJudge returns an error where the section judge could not judge what
// the bench observes.
func (s Spec) validateJudge() error {
	if !(s.Judge.HitRate > 0 && s.Judge.HitRate <= 1) {
		return fmt.Errorf("judge.hit_rate: %g is not in (0, 1]", s.Judge.HitRate)
	}
	if e := s.Bench.Engine; e != nil && e.Scoreless && s.Judge.Engine != engine.DefaultRule() {
		return fmt.Errorf("judge.engine: the driver %s tells no scores to judge; leave it out, and set the threshold where the engine runs", e.Name)
	}
	for _, rule := range s.rules() {
		if err := rule.Validate(); err != nil {
			return fmt.Errorf("judge.%s.%w", rule.oracle, err)
		}
	}
	if err := s.tTest().Validate(); err != nil {
		return fmt.Errorf("judge.ttest.%w", err)
	}
	if v := s.Judge.Verdict; v != "" && v != oracle.FusionAny && v != oracle.FusionAll && !slices.Contains(s.Bench.oracles(), string(v)) {
		return fmt.Errorf("judge.verdict: %q is neither any, all, nor an oracle of this bench: %s", v, strings.Join(s.Bench.oracles(), ", "))
	}
	return nil
}

// keepsPace returns an error unless what a play takes fits between two plays at
// the fixed pace.
func (s Spec) keepsPace() error {
	if !s.Protocol.Pace.Fixed() {
		return nil
	}
	if !s.Bench.Physical() {
		return errors.New("protocol.pace.kind: a software bench has no time to keep; leave it out")
	}
	plays, key := s.Protocol.Plays, "protocol.plays"
	if s.Controls.Every > 0 && s.Controls.Plays > plays {
		plays, key = s.Controls.Plays, "controls.plays"
	}
	slot := s.Protocol.Pace.slot(plays)
	watched := s.watches()
	for _, name := range s.Bench.oracles() {
		if need := wordLength + watched[name]; slot < need {
			return fmt.Errorf("protocol.pace.stretch: %v is %v for each of %d plays, but a word and the %v that judge.%s watches after it take %v; lengthen it, or lower %s",
				s.Protocol.Pace.Stretch, slot, plays, watched[name], name, need, key)
		}
	}
	return nil
}

// watches are how long after a word the oracles of the bench watch, where there is
// hardware.
func (s Spec) watches() map[string]time.Duration {
	watches := map[string]time.Duration{light.Name: s.Judge.Light.Watch(), traffic.Name: s.Judge.Traffic.Watch()}
	maps.DeleteFunc(watches, func(name string, _ time.Duration) bool { return !slices.Contains(s.Bench.oracles(), name) })
	return watches
}

func (b BenchSpec) validate() error {
	sections := map[Kind]*Driver{KindEngine: b.Engine, KindPlayer: b.Player, KindLight: b.Light, KindTraffic: b.Traffic}
	for _, kind := range []Kind{KindEngine, KindPlayer, KindLight, KindTraffic} {
		d := sections[kind]
		if d == nil {
			continue
		}
		if d.Kind != kind {
			return fmt.Errorf("%s: the driver %s is not a %s but a %s", kind, d.Name, kind, d.Kind)
		}
		if err := d.Options.Validate(); err != nil {
			return fmt.Errorf("%s.%w", kind, err)
		}
	}
	hardware := b.Player != nil || b.Light != nil || b.Traffic != nil
	switch {
	case b.Engine == nil && !hardware:
		return errors.New("engine: is missing; give a driver, such as {driver: openwakeword, model: alexa_v0.1}")
	case b.Engine != nil && hardware:
		return errors.New("engine: is a bench of its own; take it out, or the sections player, light and traffic")
	case hardware && b.Player == nil:
		return errors.New("player: is missing; give what sounds the clips, such as {driver: speaker}")
	case hardware && b.Light == nil && b.Traffic == nil:
		return errors.New("light: is missing, and so is traffic; give at least one that watches the device")
	case b.Workers < 0 || b.Workers > 1024:
		return fmt.Errorf("workers: %d is not between 0 and 1024", b.Workers)
	case hardware && b.Workers > 1:
		return fmt.Errorf("workers: %d can't share one device", b.Workers)
	case b.Settle.Quiet < 0 || b.Settle.Limit < b.Settle.Quiet:
		return fmt.Errorf("settle: a limit of %v can't be kept with %v of quiet", b.Settle.Limit, b.Settle.Quiet)
	}
	return nil
}

// oracles are the names of what watches, the one that decides by default first.
func (b BenchSpec) oracles() []string {
	var names []string
	for _, o := range []struct {
		driver *Driver
		name   string
	}{{b.Engine, engine.Name}, {b.Light, light.Name}, {b.Traffic, traffic.Name}} {
		if o.driver != nil {
			names = append(names, o.name)
		}
	}
	return names
}

func (c ControlsSpec) validate() error {
	switch {
	case c.Every < 0:
		return fmt.Errorf("every: %d is negative", c.Every)
	case c.Plays < 1 || c.Plays > 100:
		return fmt.Errorf("plays: %d is not between 1 and 100", c.Plays)
	case c.NegativeEvery < 0 || c.NegativeEvery > 1e6:
		return fmt.Errorf("negative_every: %d is not between 0 and 1000000", c.NegativeEvery)
	case c.Drift.Between > 1e9:
		return fmt.Errorf("drift.between: %g is more plays than there are in a campaign", c.Drift.Between)
	case c.Retry < time.Second:
		return fmt.Errorf("retry: %v is shorter than a second", c.Retry)
	}
	if _, err := stats.NewCusum(c.Drift.Miss, c.Drift.Lost, c.Drift.Between); err != nil {
		return fmt.Errorf("drift: %w", err)
	}
	return nil
}

// rule is how one oracle's observations are judged.
type rule struct {
	oracle string
	judge
}

type judge interface {
	Validate() error
	String() string
	Judge(sound bench.Span, o bench.Observation) bench.Reading
}

// engineRule is how an engine's observations are judged.
func (s Spec) engineRule() judge {
	if e := s.Bench.Engine; e != nil && e.Scoreless {
		return engine.Detected{}
	}
	return s.Judge.Engine
}

// rules are those of the oracles that the bench has.
func (s Spec) rules() []rule {
	all := []rule{{engine.Name, s.engineRule()}, {light.Name, s.Judge.Light}, {traffic.Name, s.Judge.Traffic}}
	return slices.DeleteFunc(all, func(r rule) bool { return !slices.Contains(s.Bench.oracles(), r.oracle) })
}

// Rules returns how the spec judges a play.
func (s Spec) Rules() oracle.Rules {
	rules := oracle.Rules{Judges: map[string]oracle.Judge{}, Fusion: s.Judge.Verdict}
	var texts []string
	for _, r := range s.rules() {
		rules.Judges[r.oracle] = r.Judge
		texts = append(texts, r.String())
	}
	if rules.Fusion == "" {
		rules.Fusion = oracle.Fusion(s.Bench.oracles()[0])
	}
	if len(texts) > 1 {
		texts = append(texts, "verdict by "+string(rules.Fusion))
	}
	rules.Text = strings.Join(texts, "; ")
	return rules
}

// VoicesByName returns the voices by the names that trials have for them.
func (s Spec) VoicesByName() map[string]tts.Voice {
	voices := make(map[string]tts.Voice, len(s.Voices))
	for _, v := range s.Voices {
		voices[v.String()] = v
	}
	return voices
}

// Judging returns how the spec judges a campaign.
func (s Spec) Judging() results.Judging {
	j := results.Judging{Rules: s.Rules(), Metric: s.Rank.Metric, HitRate: s.Judge.HitRate, Early: s.Protocol.StopAt > 0}
	if s.Protocol.Pace.Fixed() {
		j.Stretch = s.Protocol.Pace.Stretch
	}
	if s.Bench.Traffic != nil {
		j.Trials = append(j.Trials, trialRule(s.tTest()))
		j.Ranking, j.Watch = s.Judge.Traffic.ranking(), s.Judge.Traffic.Watch()
	}
	return j
}

// tTest is the rule with the length of the stretches that it compares.
func (s Spec) tTest() traffic.TTestRule {
	rule := s.Judge.TTest
	rule.Duration = s.Protocol.Pace.Stretch
	return rule
}

// trialRule judges a trial's packets by the rule.
func trialRule(rule traffic.TTestRule) oracle.TrialRule {
	return oracle.TrialRule{
		Name: "ttest",
		Text: rule.String(),
		Judge: func(t oracle.Trial) oracle.TrialReading {
			r := rule.Judge(t.Packets, t.Packets, t.Idle, t.Probe)
			c := r.Of(rule.Features)
			return oracle.TrialReading{State: r.State, P: c.P, Inapplicable: c.Inapplicable}
		},
	}
}

// YAML returns the spec with every default filled in.
func (s Spec) YAML() (string, error) {
	text, err := yaml.MarshalWithOptions(s, yaml.IndentSequence(true))
	return string(text), err
}

// plan returns the part of the spec that decides what is planned and observed,
// with the rest at its default: evidence, judging, ranking, the gate, and how many
// hands work.
func (s Spec) plan() Spec {
	d := Default()
	s.Evidence, s.Judge, s.Rank, s.Gate = d.Evidence, d.Judge, d.Rank, d.Gate
	s.Bench.Workers, s.Protocol.Tries = 0, d.Protocol.Tries
	return s
}

// PlanDiff lists, a line each, where two specs differ in what decides the plan.
func PlanDiff(was, is Spec) ([]string, error) {
	old, err := was.plan().values()
	if err != nil {
		return nil, err
	}
	now, err := is.plan().values()
	if err != nil {
		return nil, err
	}
	var diff []string
	for _, key := range union(old, now) {
		if old[key] != now[key] {
			diff = append(diff, fmt.Sprintf("%s: %s -> %s", key, orNone(old[key]), orNone(now[key])))
		}
	}
	return diff, nil
}

// values returns the spec as dotted keys and their values, each as one line of
// YAML. Lists are one value.
func (s Spec) values() (map[string]string, error) {
	text, err := s.YAML()
	if err != nil {
		return nil, err
	}
	var tree yaml.MapSlice
	if err := yaml.UnmarshalWithOptions([]byte(text), &tree, yaml.UseOrderedMap()); err != nil {
		return nil, err
	}
	flat := map[string]string{}
	var walk func(path string, v any) error
	walk = func(path string, v any) error {
		if m, ok := v.(yaml.MapSlice); ok {
			for _, item := range m {
				if err := walk(strings.TrimPrefix(path+"."+fmt.Sprint(item.Key), "."), item.Value); err != nil {
					return err
				}
			}
			return nil
		}
		line, err := yaml.MarshalWithOptions(v, yaml.Flow(true))
		flat[path] = strings.TrimSpace(string(line))
		return err
	}
	return flat, walk("", tree)
}

func union(a, b map[string]string) []string {
	var keys []string
	for _, m := range []map[string]string{a, b} {
		for k := range m {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// explain turns an error of the YAML decoder into ":line:column: what", names
// the nearest known key where one is unknown, and says what a value should be.
func explain(err error, spec any, drivers Drivers) string {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return ": " + err.Error()
	}
	message := at.GetMessage()
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		key := unknown.Token.Value
		message = fmt.Sprintf("unknown key %q", key)
		if near := nearest(key, keys(spec, drivers)); near != "" {
			message += fmt.Sprintf("; did you mean %q?", near)
		}
	}
	var wrong *yaml.TypeError
	var large *yaml.OverflowError
	switch {
	case errors.As(err, &wrong):
		message = fmt.Sprintf("%q is not %s", wrong.Token.Value, kind(wrong.DstType))
	case errors.As(err, &large):
		message = large.SrcNum + " is out of range"
	}
	position := at.GetToken().Position
	return fmt.Sprintf(":%d:%d: %s", position.Line, position.Column, message)
}

// kind says what a value of the type looks like in a file.
func kind(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration, such as 1.2s"
	case reflect.Int <= t.Kind() && t.Kind() <= reflect.Uint64:
		return "a whole number"
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		return "a number"
	case t.Kind() == reflect.Bool:
		return "true or false"
	default:
		return "a " + t.Kind().String()
	}
}

// nearest returns the known key closest to the given one, or "" where none is
// within half its length.
func nearest(key string, known []string) string {
	best, distance := "", len(key)/2+1
	for _, k := range known {
		if d := levenshtein.ComputeDistance(key, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// keys returns every key that a spec may hold, sorted.
func keys(spec any, drivers Drivers) []string {
	found := []string{"driver"}
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for f := range t.Fields() {
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if key == "-" || !f.IsExported() {
				continue
			}
			if key != "" {
				found = append(found, key)
			}
			walk(f.Type) // an inline struct has keys, but none of its own
		}
	}
	walk(reflect.TypeOf(spec))
	for _, options := range drivers {
		walk(reflect.TypeOf(options.Options()))
	}
	slices.Sort(found)
	return slices.Compact(found)
}
