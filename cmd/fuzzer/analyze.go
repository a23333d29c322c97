package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"wakefuzz/analysis"
	"wakefuzz/capture"
	"wakefuzz/oracle/traffic"
)

func (a *app) analyzeCommand() *cobra.Command {
	var device, format, plot string
	var names, spans []string
	rules := traffic.DefaultRules()
	cmd := &cobra.Command{
		Use:   "analyze CAPTURE...",
		Short: "Find in captures when devices sent what they had heard",
		Long: `Read captures (pcap or pcapng, plain or compressed; - for standard input) and
print every device in them, how much it sent and received, and when it was
active as a speaker is that streams what it heard.

The calibrated detector learns what each device's quiet looks like. Tell it when
nobody spoke, and its p-values hold as they are; else it finds the quiet itself,
and they are approximate ("~"). burst and ttest are the paper's, and volume is a
plain rule to hold the others against. Times are counted from the capture's
first packet.`,
		Example: `  fuzzer analyze night.pcapng
  fuzzer analyze night.pcapng --device 68:db:f5:90:19:64 --idle 0-10m --plot night.svg
  fuzzer analyze *.pcap --detector burst,calibrated --format jsonl`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, files []string) error {
			o := analysis.Options{Timelines: plot != ""}
			var address capture.Address
			f, err := analysis.ParseFormat(format)
			if err != nil {
				return usagef("--format: %w", err)
			}
			if device != "" {
				if address, err = capture.ParseAddress(device); err != nil {
					return usagef("--device: %w", err)
				}
			}
			if err := rules.Calibrated.Validate(); err != nil {
				return usagef("--false-alarms: %g an hour is not a rate above 0", rules.Calibrated.FalseAlarms)
			}
			if o.Detectors, err = rules.Named(names...); err != nil {
				return usagef("--detector: %w", err)
			}
			if o.Idle, err = parseIdle(spans); err != nil {
				return usagef("--idle: %w", err)
			}
			var figure *analysis.Figure
			if plot != "" {
				if figure, err = analysis.NewFigure(plot); err != nil {
					return usagef("--plot: %w", err)
				}
			}
			return a.analyze(files, address, o, f, figure)
		},
	}
	cmd.Flags().StringVar(&device, "device", "", "the device's MAC or IP `address` (default: every device)")
	cmd.Flags().StringSliceVar(&names, "detector", []string{"calibrated"}, "what looks for activations: calibrated, burst, ttest, volume, or all; several with commas")
	cmd.Flags().StringSliceVar(&spans, "idle", nil, "when nobody spoke, since the first packet: `from-to` in seconds, or as in 10m-1h; several with commas")
	cmd.Flags().Float64Var(&rules.Calibrated.FalseAlarms, "false-alarms", rules.Calibrated.FalseAlarms, "how many false alarms an hour and device are accepted, by the calibrated detector")
	cmd.Flags().StringVar(&format, "format", string(analysis.Table), "table, csv or jsonl; the latter two have a line for each activation")
	cmd.Flags().StringVar(&plot, "plot", "", "draw each device's traffic and activations into a `file`, .svg or .png")
	return cmd
}

// longestIdle is more than any capture lasts.
const longestIdle = 366 * 24 * time.Hour

// parseIdle reads spans such as 0-60 or 10m-1h.
func parseIdle(spans []string) ([]analysis.Span, error) {
	var idle []analysis.Span
	for _, s := range spans {
		from, to, ok := strings.Cut(s, "-")
		start, err1 := parseTime(from)
		end, err2 := parseTime(to)
		switch {
		case !ok || err1 != nil || err2 != nil:
			return nil, fmt.Errorf("%q is not a span from-to, such as 0-60 (seconds) or 10m-1h", s)
		case end <= start:
			return nil, fmt.Errorf("%q ends no later than it begins", s)
		case end > longestIdle:
			return nil, fmt.Errorf("%q is longer than a year", s)
		}
		idle = append(idle, analysis.Span{From: start, To: end})
	}
	return idle, nil
}

// parseTime reads a time since the beginning: seconds, or with units.
func parseTime(s string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(s, 64); err == nil && seconds >= 0 && seconds <= longestIdle.Seconds() {
		return time.Duration(seconds * float64(time.Second)), nil
	}
	return time.ParseDuration(s)
}

// analyze reads the captures one after the other. One that fails keeps none of
// the others from being read.
func (a *app) analyze(files []string, device capture.Address, o analysis.Options, format analysis.Format, figure *analysis.Figure) error {
	out := analysis.NewWriter(a.stdout, format)
	var failed error
	for _, file := range files {
		report, err := a.read(file, device, o)
		if err == nil && device.IsValid() && len(report.Devices) == 0 {
			err = a.absent(file, device)
		}
		switch {
		case failed == nil:
			failed = err
		case err != nil:
			failed = fmt.Errorf("%w; %w", failed, err)
		}
		if err != nil && len(report.Devices) == 0 {
			continue
		}
		if err := out.Write(file, report); err != nil {
			return err
		}
		if format != analysis.Table {
			for _, remark := range report.Remarks() {
				fmt.Fprintf(a.stderr, "note: %s: %s\n", file, remark)
			}
		}
		if figure != nil {
			figure.Add(file, report)
		}
	}
	if figure == nil {
		return failed
	}
	if left := figure.Omitted(); left > 0 {
		fmt.Fprintf(a.stderr, "note: the figure leaves out %d devices, those with the fewest activations and the least traffic; --device shows one\n", left)
	}
	if err := figure.Write(); err != nil {
		return errors.Join(failed, err)
	}
	return failed
}

// read analyses a file, or standard input.
func (a *app) read(file string, device capture.Address, o analysis.Options) (analysis.Report, error) {
	var r *capture.Reader
	var err error
	if file == "-" {
		r, err = capture.NewReader(a.stdin, device)
		file = "standard input"
	} else {
		r, err = capture.Open(file, device)
	}
	report := analysis.Report{}
	if err == nil {
		defer r.Close()
		report, err = analysis.Read(r, o)
	}
	switch {
	case err == nil:
		return report, nil
	case file == "standard input", errors.Is(err, analysis.ErrIdle), errors.Is(err, analysis.ErrOrder):
		err = fmt.Errorf("%s: %w", file, err)
	}
	if errors.Is(err, analysis.ErrIdle) || errors.Is(err, capture.ErrDevice) {
		err = usageError{err}
	}
	return report, err
}

// absent says that a device is not in a file, and which are.
func (a *app) absent(file string, device capture.Address) error {
	if file == "-" {
		return usagef("standard input: there is no packet of %s; leave --device out to see every device", device)
	}
	report, err := a.read(file, capture.Address{}, analysis.Options{})
	if err != nil {
		return err
	}
	if len(report.Devices) == 0 {
		return usagef("%s: there is no packet of %s, nor of any other device", file, device)
	}
	const most = 10
	var there []string
	for _, d := range report.Devices[:min(most, len(report.Devices))] {
		there = append(there, d.Address.String())
	}
	more := ""
	if n := len(report.Devices) - most; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return usagef("%s: there is no packet of %s; there are %s%s", file, device, strings.Join(there, ", "), more)
}
