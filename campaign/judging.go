package campaign

import (
	"fmt"
	"slices"
	"strings"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
	"wakefuzz/results"
)

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
