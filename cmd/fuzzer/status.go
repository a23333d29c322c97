package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"wakefuzz/campaign"
	"wakefuzz/phoneme"
	"wakefuzz/results"
	"wakefuzz/results/export"
)

// view reads a campaign, also while a runner works on it.
func (a *app) view(cmd *cobra.Command, dir string, read func(*results.Reader, campaign.Spec) error) error {
	store, err := results.View(cmd.Context(), dir)
	if err != nil {
		return err
	}
	spec, err := frozenSpec(store)
	if err == nil {
		err = read(store, spec)
	}
	return errors.Join(err, store.Close())
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status FOLDER",
		Short:   "Say where a campaign stands, also while it runs",
		Example: "  fuzzer status campaigns/openwakeword-alexa",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.view(cmd, args[0], func(store *results.Reader, spec campaign.Spec) error {
				return a.printStatus(args[0], store, spec)
			})
		},
	}
}

func (a *app) printStatus(dir string, store *results.Reader, spec campaign.Spec) error {
	report, err := results.Tally(store, spec.Judging())
	if err != nil {
		return err
	}
	sessions, err := store.Sessions()
	if err != nil {
		return err
	}
	c := store.Campaign()
	var text strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&text, "%-10s %s\n", label, fmt.Sprintf(format, args...))
	}
	line("campaign", "%s, wake word %q, plan %x", c.Name, c.WakeWord, c.PlanHash[:6])
	line("state", "%s", state(dir, store, report))
	line("plays", "%d of %d measured, %d words", report.Totals.Measured, report.Totals.Planned, len(report.Words))
	if failed := report.Totals.Failed - report.Totals.Busy; failed > 0 {
		line("failed", "%d plays were tried and could not be measured", failed)
	}
	if report.Totals.Busy > 0 {
		line("busy", "%d plays found the device busy with its reaction to one before", report.Totals.Busy)
	}
	line("hits", "%d words at %g or more, by %s", report.Totals.Hits, spec.Judge.HitRate, spec.Rules().Text)
	hearing := export.Hearing(report)
	for _, text := range hearing {
		line("controls", "%s", text)
	}
	if text := export.Segments(report.Segments()); text != "" {
		line("segments", "%s", text)
	}
	for _, control := range report.Controls {
		if len(hearing) > 0 {
			break
		}
		line("control", "%s by %s: %d of %d", control.Trial.Word, control.Trial.Voice, control.Reacted, control.Measured)
	}
	for _, text := range export.Wholes(report) {
		line("trials", "%s", text)
	}
	for _, text := range export.Background(report) {
		line("traffic", "%s", text)
	}
	if n := len(sessions); n > 0 {
		last := sessions[n-1]
		line("sessions", "%d, the last from %s with %d workers", n, last.Started.Local().Format(time.DateTime), last.Workers)
	}
	folder, files, size, err := campaign.Evidence(dir)
	if err != nil {
		return err
	}
	if files > 0 {
		line("evidence", "%d files of packets, %.1f MB, in %s", files, float64(size)/1e6, folder)
	}
	if table := export.Agreements(report); table != "" {
		text.WriteString("\n" + table)
	}
	_, err = io.WriteString(a.stdout, text.String())
	return err
}

func state(dir string, store *results.Reader, report results.Report) string {
	switch {
	case store.RunnerPID() != 0:
		return fmt.Sprintf("running, PID %d", store.RunnerPID())
	case report.Totals.Complete():
		return "complete"
	default:
		return "stopped; go on with: fuzzer resume " + dir
	}
}

func (a *app) exportCommand() *cobra.Command {
	var format, words, metric, order, out string
	var homophones bool
	cmd := &cobra.Command{
		Use:   "export FOLDER",
		Short: "Write a campaign's results, also while it runs",
		Long: `Write what a campaign has found so far: as a table to read, as the paper's
Table 5 (words by how often they woke the device), or as data.

The format negatives is a new folder, named by --out, with what a wake-word model is
trained not to react to: the hits as phrases for openWakeWord's training
configuration, and their clips as WAV files. Words that sound like the wake word are
kept apart, unless --homophones asks for them.`,
		Example: `  fuzzer export campaigns/openwakeword-alexa --format csv > alexa.csv
  fuzzer export campaigns/openwakeword-alexa --format negatives --out negatives`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format == formatNegatives {
				for _, flag := range []string{"words", "metric", "order"} {
					if cmd.Flags().Changed(flag) {
						return usagef("--%s: the format negatives is always of all hits", flag)
					}
				}
				if out == "" {
					return usagef("--format negatives: name a new folder by --out")
				}
				return a.view(cmd, args[0], func(store *results.Reader, spec campaign.Spec) error {
					return a.exportNegatives(cmd, store, spec, out, homophones)
				})
			}
			if out != "" || homophones {
				return usagef("--out and --homophones are about the format negatives; other formats are written to standard output")
			}
			f, err := export.ParseFormat(format)
			if err != nil {
				return usagef("--format: %w", err)
			}
			rows, known := map[string]export.Rows{"": export.Default, "hits": export.Hits, "all": export.All}[words]
			if !known {
				return usagef("--words: %q is neither hits nor all", words)
			}
			return a.view(cmd, args[0], func(store *results.Reader, spec campaign.Spec) error {
				if err := overrideRank(&spec.Rank, metric, order); err != nil {
					return err
				}
				return a.export(store, spec, f, export.Options{Rows: rows})
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", string(export.Table), strings.Trim(fmt.Sprint(export.Formats()), "[]")+" "+formatNegatives)
	cmd.Flags().StringVar(&words, "words", "", "hits or all (default hits; csv and json: all)")
	cmd.Flags().StringVar(&metric, "metric", "", "the phonetic distance to show, instead of the campaign's: "+listMetrics())
	cmd.Flags().StringVar(&order, "order", "", "distance, rate, lower-bound or impact, instead of the campaign's order")
	cmd.Flags().StringVar(&out, "out", "", "negatives: the new `folder`")
	cmd.Flags().BoolVar(&homophones, "homophones", false, "negatives: also words that sound like the wake word")
	return cmd
}

func (a *app) export(store *results.Reader, spec campaign.Spec, format export.Format, options export.Options) error {
	report, err := results.Tally(store, spec.Judging())
	if err != nil {
		return err
	}
	results.Rank(report.Words, spec.Rank.Order)
	return export.Write(a.stdout, format, report, options)
}

func overrideRank(r *campaign.RankSpec, metric, order string) (err error) {
	if metric != "" {
		if r.Metric, err = phoneme.ParseMetric(metric); err != nil {
			return usagef("--metric: %w", err)
		}
	}
	if order != "" {
		if r.Order, err = results.ParseOrder(order); err != nil {
			return usagef("--order: %w", err)
		}
	}
	return nil
}
