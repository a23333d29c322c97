package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wakefuzz/campaign"
	"wakefuzz/internal/figure"
	"wakefuzz/oracle"
	enginerule "wakefuzz/oracle/engine"
	"wakefuzz/oracle/traffic"
	"wakefuzz/results"
	"wakefuzz/results/export"
)

// wholeTTest is the t-test's name among the rules for whole trials, and that of
// the detector here.
const wholeTTest = "ttest"

// rescoring is what the flags of rescore ask for.
type rescoring struct {
	detector, judge string
	rule            campaign.JudgeSpec // what flags set of it
	threshold       float64
	flags           *pflag.FlagSet
}

// ruleFlags are the flags of each detector.
var ruleFlags = map[string][]string{
	string(campaign.DetectorBurst):      {"n", "rate"},
	string(campaign.DetectorCalibrated): {"false-alarms"},
	wholeTTest:                          {"threshold"},
	enginerule.Name:                     {"threshold", "patience", "curve", "plot"},
}

// detectors are their names, for messages.
var detectors = strings.Join(slices.Sorted(maps.Keys(ruleFlags)), ", ")

func (a *app) rescoreCommand() *cobra.Command {
	var r rescoring
	var format, plot string
	var curve bool
	cmd := &cobra.Command{
		Use:   "rescore FOLDER",
		Short: "Judge a campaign again by another rule, and say what changes",
		Long: `Judge what a campaign has observed by another rule than its own, and print the
words that become hits or cease to be, and how often the two rules agree. Nothing
is played, and the campaign stays as it is.

With --detector, both sides are what one oracle says by itself, a wake-word engine by
its scores or a device by its traffic: by the campaign's own rule, and by the detector
with its flags; what no flag sets is as in the campaign. ttest judges whole trials of
a campaign at a fixed pace. With --judge, the verdict is that of the section judge in
a YAML file, which may be a campaign file.

With --curve, it prints how many false wake words there are at each threshold of an
engine's score, and how often the wake word itself is then heard; --plot draws it.`,
		Example: `  fuzzer rescore campaigns/openwakeword-alexa --detector engine --threshold 0.8
  fuzzer rescore campaigns/openwakeword-alexa --detector engine --curve --plot curve.svg
  fuzzer rescore campaigns/night --detector burst --n 5
  fuzzer rescore campaigns/night --detector calibrated --false-alarms 1
  fuzzer rescore campaigns/night --judge stricter.yaml --format csv`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f := export.Format(format)
			if !slices.Contains(export.ComparisonFormats(), f) {
				return usagef("--format: %q is not one of: table, csv, json", format)
			}
			r.flags = cmd.Flags()
			if err := r.check(); err != nil {
				return err
			}
			if plot != "" && !curve {
				return usagef("--plot draws a curve, which --curve asks for")
			}
			if plot != "" {
				if err := figure.CheckPath(plot); err != nil {
					return usagef("--plot: %w", err)
				}
			}
			return a.view(cmd, args[0], func(store *results.Reader, spec campaign.Spec) error {
				was, now, err := r.specs(spec)
				if err != nil {
					return err
				}
				if curve {
					return a.curve(store, now, f, plot)
				}
				whole := ""
				if r.detector == wholeTTest {
					whole = wholeTTest
				}
				c, err := results.Compare(store, was.Judging(), now.Judging(), whole)
				if err != nil {
					return err
				}
				return export.WriteComparison(a.stdout, f, c)
			})
		},
	}
	paper := traffic.PaperBurstRule()
	cmd.Flags().StringVar(&r.detector, "detector", "", "judge an engine's scores by: engine; or traffic by: burst, calibrated, or ttest")
	cmd.Flags().StringVar(&r.judge, "judge", "", "judge by the section judge of a YAML `file`")
	cmd.Flags().IntVar(&r.rule.Traffic.Burst.Consecutive, "n", 0, fmt.Sprintf("burst: how many windows in a row, the paper's is %d", paper.Consecutive))
	cmd.Flags().Float64Var(&r.rule.Traffic.Burst.Rate, "rate", 0, fmt.Sprintf("burst: the least rate in each, in kbit/s, the paper's is %g", paper.Rate))
	cmd.Flags().Float64Var(&r.rule.Traffic.Calibrated.FalseAlarms, "false-alarms", 0, "calibrated: how many false alarms an hour are accepted")
	cmd.Flags().Float64Var(&r.threshold, "threshold", 0, fmt.Sprintf("engine: the score from which a frame counts; ttest: the p-value below which a trial reacted, the paper's is %g", traffic.PaperTTestRule().Threshold))
	cmd.Flags().IntVar(&r.rule.Engine.Patience, "patience", 0, "engine: how many such frames in a row are a reaction")
	cmd.Flags().BoolVar(&curve, "curve", false, "engine: false wake words at every threshold, instead of what changes")
	cmd.Flags().StringVar(&plot, "plot", "", "engine: draw the curve into an .svg or .png `file`")
	cmd.Flags().StringVar(&format, "format", string(export.Table), "table, csv or json")
	return cmd
}

// check returns an error unless the flags go together.
func (r rescoring) check() error {
	if (r.detector == "") == (r.judge == "") {
		return usagef("give one of --detector and --judge: what to judge by")
	}
	if _, known := ruleFlags[r.detector]; r.detector != "" && !known {
		return usagef("--detector: %q is not one of: %s", r.detector, detectors)
	}
	about := map[string][]string{} // which detectors a flag is about
	for _, detector := range slices.Sorted(maps.Keys(ruleFlags)) {
		for _, flag := range ruleFlags[detector] {
			about[flag] = append(about[flag], detector)
		}
	}
	for flag, of := range about {
		if r.flags.Changed(flag) && !slices.Contains(of, r.detector) {
			return usagef("--%s is about the detector %s, and this is %s", flag, strings.Join(of, " or "), cmp.Or(r.detector, "--judge"))
		}
	}
	return nil
}

// specs are the campaign's spec and the one to judge by.
func (r rescoring) specs(spec campaign.Spec) (was, now campaign.Spec, err error) {
	if r.judge != "" {
		text, err := os.ReadFile(r.judge)
		if err != nil {
			return was, now, usagef("--judge: %w", err)
		}
		judge, err := campaign.ParseJudge(r.judge, text, drivers)
		if err != nil {
			return was, now, err
		}
		if now, err = spec.Rejudged(judge); err != nil {
			err = fmt.Errorf("%w %s: %w", campaign.ErrSpec, r.judge, err)
		}
		return spec, now, err
	}
	was = spec
	judge := was.Judge
	if r.detector == enginerule.Name {
		if spec.Bench.Engine == nil {
			return was, now, usagef("--detector engine: the campaign has no wake-word engine that it could ask for scores")
		}
	} else {
		if spec.Bench.Traffic == nil {
			return was, now, usagef("--detector: the campaign did not watch the device's traffic")
		}
		was.Judge.Verdict = oracle.Fusion(traffic.Name)
		judge.Verdict = was.Judge.Verdict
	}
	switch {
	case r.detector == enginerule.Name:
	case r.detector != wholeTTest:
		judge.Traffic = judge.Traffic.By(campaign.Detector(r.detector))
	case !spec.Protocol.Pace.Fixed():
		return was, now, usagef("--detector ttest: it compares the stretches of a fixed pace, which this campaign was not played at")
	}
	for flag, set := range map[string]func(){
		"n":            func() { judge.Traffic.Burst.Consecutive = r.rule.Traffic.Burst.Consecutive },
		"rate":         func() { judge.Traffic.Burst.Rate = r.rule.Traffic.Burst.Rate },
		"false-alarms": func() { judge.Traffic.Calibrated.FalseAlarms = r.rule.Traffic.Calibrated.FalseAlarms },
		"patience":     func() { judge.Engine.Patience = r.rule.Engine.Patience },
		"threshold": func() {
			if r.detector == enginerule.Name {
				judge.Engine.Threshold = r.threshold
			} else {
				judge.TTest.Threshold = r.threshold
			}
		},
	} {
		if r.flags.Changed(flag) {
			set()
		}
	}
	if now, err = was.Rejudged(judge); err != nil {
		return was, now, usagef("--detector %s: %w", r.detector, err)
	}
	return was, now, nil
}

// curve writes the curve of false wake words by threshold.
func (a *app) curve(store *results.Reader, spec campaign.Spec, format export.Format, plot string) error {
	thresholds := []float64{spec.Judge.Engine.Threshold, 0.995, 0.999}
	for i := 1; i < 100; i++ {
		thresholds = append(thresholds, float64(i)/100)
	}
	c, err := results.Thresholds(store, spec.Judge.Engine, spec.Judge.HitRate, thresholds)
	if errors.Is(err, results.ErrNoScores) {
		return usagef("--curve: %w", err)
	}
	if err != nil {
		return err
	}
	if plot != "" {
		if err := export.WriteCurveFigure(plot, c); err != nil {
			return err
		}
	}
	return export.WriteCurve(a.stdout, format, c)
}
