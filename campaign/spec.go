package campaign

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"wakefuzz/oracle/engine"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
	"wakefuzz/phoneme"
	"wakefuzz/protocol"
	"wakefuzz/results"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// ErrSpec is wrapped by every error that a better campaign file would mend.
var ErrSpec = errors.New("campaign file")

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

// VoicesByName returns the voices by the names that trials have for them.
func (s Spec) VoicesByName() map[string]tts.Voice {
	voices := make(map[string]tts.Voice, len(s.Voices))
	for _, v := range s.Voices {
		voices[v.String()] = v
	}
	return voices
}
