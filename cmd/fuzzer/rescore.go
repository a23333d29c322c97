package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"wakefuzz/campaign"
	"wakefuzz/oracle"
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
	flags           *pflag.FlagSet
}

// ruleFlags are the flags of each detector.
var ruleFlags = map[string][]string{
	string(campaign.DetectorBurst):      {"n", "rate"},
	string(campaign.DetectorCalibrated): {"false-alarms"},
	wholeTTest:                          {"threshold"},
}

func (a *app) rescoreCommand() *cobra.Command {
	var r rescoring
	var format string
	cmd := &cobra.Command{
		Use:   "rescore FOLDER",
		Short: "Judge a campaign again by another rule, and say what changes",
		Long: `Judge what a campaign has observed by another rule than its own, and print the
words that become hits or cease to be, and how often the two rules agree. Nothing
is played, and the campaign stays as it is.

With --detector, both sides are what traffic says by itself: by the campaign's own
rule, and by the detector with its flags; what no flag sets is as in the campaign.
ttest judges whole trials of a campaign at a fixed pace. With --judge, the verdict
is that of the section judge in a YAML file, which may be a campaign file.`,
		Example: `  fuzzer rescore campaigns/night --detector burst --n 5
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
			return a.view(cmd, args[0], func(store *results.Reader, spec campaign.Spec) error {
				was, now, err := r.specs(spec)
				if err != nil {
					return err
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
	cmd.Flags().StringVar(&r.detector, "detector", "", "judge traffic by: burst, calibrated, or ttest")
	cmd.Flags().StringVar(&r.judge, "judge", "", "judge by the section judge of a YAML `file`")
	cmd.Flags().IntVar(&r.rule.Traffic.Burst.Consecutive, "n", 0, fmt.Sprintf("burst: how many windows in a row, the paper's is %d", paper.Consecutive))
	cmd.Flags().Float64Var(&r.rule.Traffic.Burst.Rate, "rate", 0, fmt.Sprintf("burst: the least rate in each, in kbit/s, the paper's is %g", paper.Rate))
	cmd.Flags().Float64Var(&r.rule.Traffic.Calibrated.FalseAlarms, "false-alarms", 0, "calibrated: how many false alarms an hour are accepted")
	cmd.Flags().Float64Var(&r.rule.TTest.Threshold, "threshold", 0, fmt.Sprintf("ttest: the p-value below which a trial reacted, the paper's is %g", traffic.PaperTTestRule().Threshold))
	cmd.Flags().StringVar(&format, "format", string(export.Table), "table, csv or json")
	return cmd
}

// check returns an error unless the flags go together.
func (r rescoring) check() error {
	if (r.detector == "") == (r.judge == "") {
		return usagef("give one of --detector and --judge: what to judge by")
	}
	if _, known := ruleFlags[r.detector]; r.detector != "" && !known {
		return usagef("--detector: %q is not one of: burst, calibrated, ttest", r.detector)
	}
	for detector, flags := range ruleFlags {
		for _, flag := range flags {
			if r.flags.Changed(flag) && r.detector != detector {
				return usagef("--%s is about the detector %s, and this is %s", flag, detector, cmp.Or(r.detector, "--judge"))
			}
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
	if spec.Bench.Traffic == nil {
		return was, now, usagef("--detector: the campaign did not watch the device's traffic")
	}
	was = spec
	was.Judge.Verdict = oracle.Fusion(traffic.Name)
	judge := was.Judge
	switch {
	case r.detector != wholeTTest:
		judge.Traffic = judge.Traffic.By(campaign.Detector(r.detector))
	case !spec.Protocol.Pace.Fixed():
		return was, now, usagef("--detector ttest: it compares the stretches of a fixed pace, which this campaign was not played at")
	}
	for flag, set := range map[string]func(){
		"n":            func() { judge.Traffic.Burst.Consecutive = r.rule.Traffic.Burst.Consecutive },
		"rate":         func() { judge.Traffic.Burst.Rate = r.rule.Traffic.Burst.Rate },
		"false-alarms": func() { judge.Traffic.Calibrated.FalseAlarms = r.rule.Traffic.Calibrated.FalseAlarms },
		"threshold":    func() { judge.TTest.Threshold = r.rule.TTest.Threshold },
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
