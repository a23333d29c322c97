package scan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"wakefuzz/campaign"
	"wakefuzz/tts"
)

// ErrSpec is wrapped by every error that a better scan file would mend.
var ErrSpec = errors.New("scan file")

// Spec is a scan file. The example file examples/scan.yaml documents every key.
type Spec struct {
	// Name names the scan and its folder.
	Name string `yaml:"name"`
	// Seed is where everything random begins: the words, the order of rounds.
	Seed uint64 `yaml:"seed"`
	// Interface is the network interface that the devices' packets pass.
	Interface string `yaml:"interface"`
	// Player sounds the probes.
	Player *campaign.Driver `yaml:"player"`
	// Voice speaks what is text.
	Voice tts.Voice `yaml:"voice"`
	// Probes are what is tried.
	Probes ProbesSpec `yaml:"probes"`
	// Pace is when.
	Pace Pace `yaml:"pace"`
	// Confirm is how often the rounds of a probe are repeated that a device may
	// have reacted to.
	Confirm int `yaml:"confirm"`
	// Judge is how the rounds are judged. It shapes no observation.
	Judge Judging `yaml:"judge"`
	// LimitMB is how much is kept at most, in megabytes; 0 for any amount.
	LimitMB int `yaml:"limit_mb"`
}

// ProbesSpec is the section probes.
type ProbesSpec struct {
	// WakeWords are wake words of assistants.
	WakeWords []string `yaml:"wake_words"`
	// Sounds are WAV files, seen from the folder of the scan file.
	Sounds []string `yaml:"sounds"`
	// Random are words by chance, of the 1,000 most used ones.
	Random RandomSpec `yaml:"random"`
}

// RandomSpec is the key random.
type RandomSpec struct {
	// Words is how many different ones are played.
	Words int `yaml:"words"`
	// After are wake words that are spoken before each word, in further probes:
	// "alexa, banana" (section 3).
	After []string `yaml:"after,omitempty"`
}

// KnownWakeWords are those of common assistants, and of the models that come
// with openWakeWord.
var KnownWakeWords = []string{
	"alexa", "amazon", "echo", "computer", "ziggy",
	"hey google", "ok google", "hey siri", "siri",
	"hey cortana", "hi bixby", "hey mycroft", "hey jarvis",
}

// Default returns the spec that a scan file starts from.
func Default() Spec {
	return Spec{
		Seed:    1,
		Voice:   tts.Voice{Engine: "flite", Name: "kal16"},
		Probes:  ProbesSpec{WakeWords: slices.Clone(KnownWakeWords), Random: RandomSpec{Words: 12}},
		Pace:    PaperPace(),
		Confirm: 2,
		Judge:   DefaultJudging(),
		LimitMB: 2000,
	}
}

// ParseSpec reads a scan file strictly. Errors wrap ErrSpec and name the line,
// with name standing for the file.
func ParseSpec(name string, text []byte, drivers campaign.Drivers) (Spec, error) {
	spec := Default()
	if err := campaign.Decode(text, drivers, &spec); err != nil {
		return Spec{}, fmt.Errorf("%w %s%w", ErrSpec, name, err)
	}
	if err := spec.validate(); err != nil {
		return Spec{}, fmt.Errorf("%w %s: %w", ErrSpec, name, err)
	}
	return spec, nil
}

// IsSpec says whether a text is meant to be a scan file, and not a campaign file:
// by its keys, whatever is wrong with it otherwise.
func IsSpec(text []byte) bool { return scanKey.Match(text) && !campaignKey.Match(text) }

var (
	scanKey     = regexp.MustCompile(`(?m)^(interface|probes)\s*:`)
	campaignKey = regexp.MustCompile(`(?m)^(bench|wake_word)\s*:`)
)

var folderName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func (s *Spec) validate() error {
	switch {
	case !folderName.MatchString(s.Name):
		return fmt.Errorf("name: %q names the scan's folder: 1 to 100 letters, digits, dots, dashes and underscores, a letter or digit first", s.Name)
	case s.Interface == "":
		return errors.New(`interface: none is named; name the one that the devices' packets pass, such as wlan0 ("ip link" lists them)`)
	case s.Player == nil:
		return errors.New("player: is missing; give what sounds the probes, such as {driver: speaker}")
	case s.Player.Kind != campaign.KindPlayer:
		return fmt.Errorf("player: the driver %s is not a player but a %s", s.Player.Name, s.Player.Kind)
	case s.Voice.Engine == "" || s.Voice.Name == "":
		return errors.New("voice: needs an engine and a name, such as {engine: flite, name: kal16}")
	case s.Confirm < 0 || s.Confirm > 100:
		return fmt.Errorf("confirm: %d is not between 0 and 100", s.Confirm)
	case s.LimitMB < 0 || s.LimitMB > 1_000_000:
		return fmt.Errorf("limit_mb: %d is not between 0 and 1000000", s.LimitMB)
	}
	if err := s.Player.Options.Validate(); err != nil {
		return fmt.Errorf("player.%w", err)
	}
	if err := s.Pace.Validate(); err != nil {
		return fmt.Errorf("pace.%w", err)
	}
	if err := s.Judge.Validate(); err != nil {
		return fmt.Errorf("judge.%w", err)
	}
	if err := s.Probes.validate(); err != nil {
		return fmt.Errorf("probes.%w", err)
	}
	return nil
}

func (p *ProbesSpec) validate() error {
	for _, list := range []struct {
		key   string
		items []string
		fold  bool
	}{{"wake_words", p.WakeWords, true}, {"random.after", p.Random.After, true}, {"sounds", p.Sounds, false}} {
		for i, item := range list.items {
			if list.fold {
				item = strings.ToLower(strings.Join(strings.Fields(item), " "))
				list.items[i] = item
			}
			if item == "" {
				return fmt.Errorf("%s[%d]: is empty", list.key, i)
			}
			if slices.Contains(list.items[:i], item) {
				return fmt.Errorf("%s[%d]: %s stands there twice", list.key, i, item)
			}
		}
	}
	switch {
	case p.Random.Words < 0 || p.Random.Words > 1000:
		return fmt.Errorf("random.words: %d is not between 0 and 1000", p.Random.Words)
	case p.Random.Words == 0 && len(p.Random.After) > 0:
		return errors.New("random.after: is of no use without random.words")
	case len(p.WakeWords)+len(p.Sounds)+p.Random.Words == 0:
		return errors.New("wake_words: is empty, and so are sounds and random.words; give something to play")
	}
	return nil
}

// Plan is what the spec asks for. Random words are drawn from the list.
func (s Spec) Plan(words []string) Plan {
	plan := Plan{Pace: s.Pace, Confirm: s.Confirm, Seed: s.Seed}
	for _, w := range s.Probes.WakeWords {
		plan.Probes = append(plan.Probes, Probe{WakeWord, w, []string{w}})
	}
	for _, file := range s.Probes.Sounds {
		plan.Probes = append(plan.Probes, Probe{Sound, file, []string{file}})
	}
	if s.Probes.Random.Words > 0 {
		random := s.draw(words)
		plan.Probes = append(plan.Probes, Probe{Words, "", random})
		for _, wake := range s.Probes.Random.After {
			says := make([]string, len(random))
			for i, w := range random {
				says[i] = wake + ", " + w
			}
			plan.Probes = append(plan.Probes, Probe{Words, wake, says})
		}
	}
	return plan
}

// draw draws the random words. None is a part of a wake word.
func (s Spec) draw(words []string) []string {
	var wake []string
	for _, w := range slices.Concat(KnownWakeWords, s.Probes.WakeWords) {
		wake = append(wake, strings.Fields(w)...)
	}
	rest := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return slices.Contains(wake, w) })
	rng := rand.New(rand.NewPCG(s.Seed, 0))
	rng.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	return rest[:min(s.Probes.Random.Words, len(rest))]
}

// Anchor makes the paths of sounds absolute: they are taken from the folder of
// the scan file.
func (s *Spec) Anchor(base string) error {
	for i, file := range s.Probes.Sounds {
		if filepath.IsAbs(file) {
			continue
		}
		path, err := filepath.Abs(filepath.Join(base, file))
		if err != nil {
			return err
		}
		s.Probes.Sounds[i] = path
	}
	return nil
}

// YAML returns the spec with every default filled in.
func (s Spec) YAML() (string, error) {
	text, err := yaml.MarshalWithOptions(s, yaml.IndentSequence(true))
	return string(text), err
}

// ErrPlanChanged means that a scan file plans something else than the scan in
// its folder.
var ErrPlanChanged = errors.New("the scan file plans something else than the scan in this folder; give it a name or a --dir of its own, or take the change back")

// Same returns ErrPlanChanged unless both specs observe the same. How they
// judge, and how much they keep, may differ.
func (s Spec) Same(other Spec) error {
	d := Default()
	s.Judge, s.LimitMB, other.Judge, other.LimitMB = d.Judge, d.LimitMB, d.Judge, d.LimitMB
	was, err := s.YAML()
	if err != nil {
		return err
	}
	is, err := other.YAML()
	if err != nil {
		return err
	}
	if was != is {
		return ErrPlanChanged
	}
	return nil
}
