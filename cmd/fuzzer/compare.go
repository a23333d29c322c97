package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"wakefuzz/campaign"
	"wakefuzz/results"
	"wakefuzz/results/export"
)

func (a *app) compareCommand() *cobra.Command {
	var format, gateFile string
	cmd := &cobra.Command{
		Use:   "compare FOLDER-A FOLDER-B",
		Short: "Say which words came, went and changed from one campaign to another",
		Long: `Compare two campaigns about the same wake word, such as those of two models, two
firmwares or two voices: which words became hits or ceased to be, and which react
more or less often, with a test for each and the false discovery rate over all.

With a section gate in the file of campaign B, or in the file of --gate, the exit
code is 99 where B crosses one of its thresholds, and 3 where it does not but one
of the campaigns is incomplete. examples/every-key.yaml has the keys.`,
		Example: `  fuzzer compare campaigns/model-1 campaigns/model-2
  fuzzer compare campaigns/model-1 campaigns/model-2 --gate gate.yaml --format csv`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f := export.Format(format)
			if !slices.Contains(export.ComparisonFormats(), f) {
				return usagef("--format: %q is not one of: table, csv, json", format)
			}
			var gate results.Gate
			if gateFile != "" {
				text, err := os.ReadFile(gateFile)
				if err != nil {
					return usagef("--gate: %w", err)
				}
				if gate, err = campaign.ParseGate(gateFile, text, drivers); err != nil {
					return err
				}
			}
			return a.view(cmd, args[0], func(storeA *results.Reader, specA campaign.Spec) error {
				return a.view(cmd, args[1], func(storeB *results.Reader, specB campaign.Spec) error {
					if gateFile == "" {
						gate = specB.Gate
					}
					return a.compare(storeA, storeB, specA, specB, f, gate)
				})
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", string(export.Table), "table, csv or json")
	cmd.Flags().StringVar(&gateFile, "gate", "", "take the section gate of this YAML `file`, and not of campaign B")
	return cmd
}

func (a *app) compare(storeA, storeB *results.Reader, specA, specB campaign.Spec, format export.Format, gate results.Gate) error {
	c, err := results.CompareCampaigns(storeA, storeB, specA.Judging(), specB.Judging())
	if errors.Is(err, results.ErrWakeWords) {
		return usagef("%w: %q and %q", err, storeA.Campaign().WakeWord, storeB.Campaign().WakeWord)
	}
	if err != nil {
		return err
	}
	differences, err := differ(storeA, storeB, specA, specB)
	if err != nil {
		return err
	}
	if err := export.WriteCampaigns(a.stdout, format, c, differences); err != nil {
		return err
	}
	crossed := gate.Crossed(c)
	switch {
	case len(crossed) > 0:
		return unfinished{exitGate, "the gate is crossed\n  " + strings.Join(crossed, "\n  ")}
	case gate.Asks() && !(c.A.Totals.Complete() && c.B.Totals.Complete()):
		return unfinished{exitUnmeasured, "no threshold of the gate is crossed so far, but not all is measured"}
	case gate.Asks():
		a.complain("the gate holds: %s", gate)
	}
	return nil
}

// differ says, a line each, in what two campaigns differ that shapes what they
// observed: in the files, and in models, runtimes and voices.
func differ(storeA, storeB *results.Reader, specA, specB campaign.Spec) ([]string, error) {
	specA.Name = specB.Name
	lines, err := campaign.PlanDiff(specA, specB)
	if err != nil {
		return nil, err
	}
	var facts [2]map[string]string
	for i, store := range []*results.Reader{storeA, storeB} {
		sessions, err := store.Sessions()
		if err != nil {
			return nil, err
		}
		if len(sessions) > 0 {
			facts[i] = sessions[0].Facts
		}
	}
	names := maps.Clone(facts[0])
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, facts[1])
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if was, is := facts[0][name], facts[1][name]; was != is {
			lines = append(lines, fmt.Sprintf("%s: %s -> %s", name, firstOf(was, "(none)"), firstOf(is, "(none)")))
		}
	}
	return lines, nil
}
