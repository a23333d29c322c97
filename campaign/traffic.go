package campaign

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"wakefuzz/bench"
	"wakefuzz/oracle/traffic"
	"wakefuzz/results"
)

// Detector is the name of a way to judge the traffic of a play.
type Detector string

// The detectors.
const (
	// DetectorCalibrated is ours: more, at the pace of speech, than the device's
	// own idle traffic holds.
	DetectorCalibrated Detector = "calibrated"
	// DetectorBurst is that of section 4.1.1 of the paper.
	DetectorBurst Detector = "burst"
)

// TrafficSpec is when a device's packets are a reaction: its detector, and in a
// file beside it the keys of that detector's rule. A file that names no detector
// means the one whose keys it has, so that those from before there was a choice
// still mean bursts; with the keys of neither it means the calibrated one.
type TrafficSpec struct {
	Detector   Detector `yaml:"detector"`
	Calibrated traffic.CalibratedRule
	// Burst is the rule for bursts. By its window and rate the device is at rest,
	// whichever detector judges.
	Burst traffic.BurstRule
}

func defaultTraffic() TrafficSpec {
	return TrafficSpec{DetectorCalibrated, traffic.DefaultCalibratedRule(), traffic.DefaultBurstRule()}
}

// calibratedKeys and burstKeys are the sections of a file.
type calibratedKeys struct {
	Detector               Detector `yaml:"detector"`
	traffic.CalibratedRule `yaml:",inline"`
}

type burstKeys struct {
	Detector          Detector `yaml:"detector"`
	traffic.BurstRule `yaml:",inline"`
}

// ownKeys are those that one detector's rule has and the other's has not.
var ownKeys = map[string]Detector{
	"false_alarms": DetectorCalibrated,
	"window":       DetectorBurst, "rate": DetectorBurst, "consecutive": DetectorBurst,
}

// UnmarshalYAML decodes the section strictly into the rule of its detector.
func (t *TrafficSpec) UnmarshalYAML(_ context.Context, node ast.Node) error {
	*t = defaultTraffic()
	section, ok := node.(*ast.MappingNode)
	if !ok {
		return &yaml.SyntaxError{Message: "this section needs the key detector, or the keys of a detector's rule", Token: node.GetToken()}
	}
	var named, implied Detector
	for _, v := range section.Values {
		if key := v.Key.String(); key == "detector" {
			if err := yaml.NodeToValue(v.Value, &named); err != nil {
				return err
			}
			if named != DetectorCalibrated && named != DetectorBurst {
				return &yaml.SyntaxError{Message: unknownDetector(named).Error(), Token: v.Value.GetToken()}
			}
		} else if implied == "" {
			implied = ownKeys[key]
		}
	}
	t.Detector = cmp.Or(named, implied, t.Detector)
	for _, v := range section.Values {
		if key := v.Key.String(); ownKeys[key] != "" && ownKeys[key] != t.Detector {
			return &yaml.SyntaxError{
				Message: fmt.Sprintf("%s is a key of the detector %s, and this one is %s: take it out, or write detector: %s", key, ownKeys[key], t.Detector, ownKeys[key]),
				Token:   v.Key.GetToken(),
			}
		}
	}
	if t.Detector == DetectorBurst {
		keys := burstKeys{BurstRule: t.Burst}
		err := yaml.NodeToValue(node, &keys, yaml.Strict())
		t.Burst = keys.BurstRule
		return err
	}
	keys := calibratedKeys{CalibratedRule: t.Calibrated}
	err := yaml.NodeToValue(node, &keys, yaml.Strict())
	t.Calibrated = keys.CalibratedRule
	return err
}

// MarshalYAML writes the section as it is read.
func (t TrafficSpec) MarshalYAML() (any, error) {
	if t.Detector == DetectorBurst {
		return burstKeys{t.Detector, t.Burst}, nil
	}
	return calibratedKeys{t.Detector, t.Calibrated}, nil
}

// By is the section with another detector that waits for an upload as long as its
// own does.
func (t TrafficSpec) By(d Detector) TrafficSpec {
	latency := t.Calibrated.Latency
	if t.Detector == DetectorBurst {
		latency = t.Burst.Latency
	}
	t.Detector, t.Calibrated.Latency, t.Burst.Latency = d, latency, latency
	return t
}

// playRule is a rule for the traffic of plays.
type playRule interface {
	judge
	Watch() time.Duration
}

// calibrated judges by the calibrated rule without knowing the device's idle
// traffic, as one does while the night goes on.
type calibrated struct{ traffic.CalibratedRule }

func (c calibrated) Judge(sound bench.Span, o bench.Observation) bench.Reading {
	reading, _ := c.CalibratedRule.Judge(sound, o, nil)
	return reading
}

func (t TrafficSpec) rule() playRule {
	if t.Detector == DetectorBurst {
		return t.Burst
	}
	return calibrated{t.Calibrated}
}

// Validate returns an error where the rule could not decide anything.
func (t TrafficSpec) Validate() error {
	if t.Detector != DetectorCalibrated && t.Detector != DetectorBurst {
		return fmt.Errorf("detector: %w", unknownDetector(t.Detector))
	}
	return t.rule().Validate()
}

func unknownDetector(d Detector) error {
	return fmt.Errorf("%q is not one of: %s, %s", d, DetectorCalibrated, DetectorBurst)
}

// String states the rule.
func (t TrafficSpec) String() string { return t.rule().String() }

// Watch is how long after the end of a sound the traffic must be watched.
func (t TrafficSpec) Watch() time.Duration { return t.rule().Watch() }

// Latency is how long after the end of a sound an upload may begin.
func (t TrafficSpec) Latency() time.Duration { return t.By(DetectorCalibrated).Calibrated.Latency }

// Judge reads the packets of a play.
func (t TrafficSpec) Judge(sound bench.Span, o bench.Observation) bench.Reading {
	return t.rule().Judge(sound, o)
}

// ranking is how plays are ranked among the device's own traffic, whichever
// detector judges them. Where that is bursts, it is by what they were watched
// for.
func (t TrafficSpec) ranking() *results.Ranking {
	r := results.Ranking{Rule: t.Calibrated, Decides: t.Detector == DetectorCalibrated}
	if !r.Decides {
		r.Rule.Latency = max(0, t.Burst.Watch()-traffic.PacedWindow)
	}
	return &r
}
