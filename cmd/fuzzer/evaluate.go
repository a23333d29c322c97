package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"wakefuzz/evaluate"
	"wakefuzz/oracle/traffic"
)

func (a *app) evaluateCommand() *cobra.Command {
	var out, format, figures string
	o := evaluate.Options{Rules: traffic.DefaultRules()}
	cmd := &cobra.Command{
		Use:   "evaluate DIR",
		Short: "Measure how well detectors find labelled activations",
		Long: `Look through the captures of a folder with every detector and its usual
settings, hold what they find against labels, and print for each device how many
activations were found, in how many windows of 30 s without any the detector was
active, how often an hour it raised a false alarm, and how well its scores
separate the two, each with its interval of 95 %.

Labels are CSV files such as labels.csv in the folder or below it, a line for
each activation, in seconds since the capture's first packet:

  file,device,activation_start_s,activation_end_s
  kitchen.pcap,68:db:f5:90:19:64,115,122

A line without times names a capture in which the device was never awake. "go doc
./evaluate" has the columns that may be added, and how things are counted.`,
		Example: `  fuzzer evaluate captures
  fuzzer evaluate captures --out results --figures png`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case format != "table" && format != "csv":
				return usagef("--format: %q is not one of: table, csv", format)
			case figures != "svg" && figures != "png":
				return usagef("--figures: %q is not one of: svg, png", figures)
			case o.Rules.Calibrated.Validate() != nil:
				return usagef("--false-alarms: %g an hour is not a rate above 0", o.Rules.Calibrated.FalseAlarms)
			}
			return a.evaluate(cmd.Context(), args[0], o, out, format, figures)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the `folder` for all figures and tables (default: none are written)")
	cmd.Flags().StringVar(&format, "format", "table", "table or csv")
	cmd.Flags().StringVar(&figures, "figures", "svg", "with --out, what figures are: svg or png")
	cmd.Flags().Float64Var(&o.Rules.Calibrated.FalseAlarms, "false-alarms", o.Rules.Calibrated.FalseAlarms, "how many false alarms an hour and device are accepted, by the calibrated detector")
	cmd.Flags().BoolVar(&o.Learned, "learned", false, "add the paper's learned baseline, a random forest: within each device, and from each to the others")
	return cmd
}

func (a *app) evaluate(ctx context.Context, dir string, o evaluate.Options, out, format, figures string) error {
	recordings, err := evaluate.ReadLabels(dir)
	if err != nil {
		return labelsError(err)
	}
	result, err := evaluate.Run(ctx, recordings, o)
	if err != nil {
		return labelsError(err)
	}
	write := result.WriteTable
	if format == "csv" {
		write = result.WriteCSV
	}
	if err := write(a.stdout); err != nil {
		return err
	}
	for _, note := range result.Notes {
		fmt.Fprintf(a.stderr, "note: %s\n", note)
	}
	if out == "" {
		return nil
	}
	saved, err := result.Save(out, figures)
	for _, omitted := range saved.Omitted {
		fmt.Fprintf(a.stderr, "note: left out %s\n", omitted)
	}
	if err == nil {
		fmt.Fprintf(a.stderr, "%d files in %s\n", len(saved.Files), out)
	}
	return err
}

// labelsError makes labels that don't fit a mistake in the command line.
func labelsError(err error) error {
	if errors.Is(err, evaluate.ErrLabels) {
		return usageError{err}
	}
	return err
}
