package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/monitor"
	"wakefuzz/oracle/traffic"
)

// monitorFlags are what the user chooses of a monitor.
type monitorFlags struct {
	iface, detector, dir, format string
	devices                      []string
	limitMB                      int
	rules                        traffic.Rules
}

func (a *app) monitorCommand() *cobra.Command {
	flags := monitorFlags{rules: traffic.DefaultRules()}
	cmd := &cobra.Command{
		Use:   "monitor --interface IF",
		Short: "Tell which devices send what they hear, as it happens",
		Long: `Watch every device on a network, make no sound, and print a line for each time
that one sends what looks like speech: when, which device, for how long, how much,
and how likely its idle traffic does so. Ctrl-C ends it, with a summary.

The calibrated detector learns what each device's quiet looks like while it
watches. With --dir it keeps the headers of what passes, and begins the next time
with what it had learnt.`,
		Example: "  fuzzer monitor --interface wlan0\n  fuzzer monitor --interface wlan0 --dir monitor --format jsonl",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return a.monitor(ctx, flags)
		},
	}
	cmd.Flags().StringVar(&flags.iface, "interface", "", "the network `interface` that the devices' packets pass, such as wlan0")
	cmd.Flags().StringArrayVar(&flags.devices, "device", nil, "a device's MAC or IP `address`; several by repeating it (default: every device)")
	cmd.Flags().StringVar(&flags.detector, "detector", "calibrated", "what looks for activations: calibrated, burst, ttest, volume")
	cmd.Flags().Float64Var(&flags.rules.Calibrated.FalseAlarms, "false-alarms", flags.rules.Calibrated.FalseAlarms, "how many false alarms an hour and device are accepted, by the calibrated detector")
	cmd.Flags().StringVar(&flags.dir, "dir", "", "keep what passes in this `folder`, and begin with what is there")
	cmd.Flags().IntVar(&flags.limitMB, "limit-mb", 1000, "how much the folder may hold; the oldest goes first")
	cmd.Flags().StringVar(&flags.format, "format", "table", "table, or jsonl: an object for each activation and, at the end, for each device and for the capture")
	return cmd
}

// setup is what the flags ask for.
func (f monitorFlags) setup() (s monitor.Setup, err error) {
	switch {
	case f.iface == "":
		return s, usagef(`--interface: none is named; name the one that the devices' packets pass, such as wlan0 ("ip link" lists them)`)
	case f.format != "table" && f.format != "jsonl":
		return s, usagef("--format: %q is neither table nor jsonl", f.format)
	case f.limitMB < 1 || f.limitMB > 1_000_000:
		return s, usagef("--limit-mb: %d is not between 1 and 1000000", f.limitMB)
	}
	if err := f.rules.Calibrated.Validate(); err != nil {
		return s, usagef("--false-alarms: %g an hour is not a rate above 0", f.rules.Calibrated.FalseAlarms)
	}
	detectors, err := f.rules.Named(f.detector)
	if err != nil {
		return s, usagef("--detector: %w", err)
	}
	if len(detectors) > 1 {
		return s, usagef("--detector: %s: a monitor has one", f.detector)
	}
	for _, text := range f.devices {
		address, err := capture.ParseAddress(text)
		if err != nil {
			return s, usagef("--device: %w", err)
		}
		s.Devices = append(s.Devices, address)
	}
	s.Detector, s.Pair = detectors[0], bench.NewClock().Pair
	s.Listen = func(ctx context.Context) (monitor.Source, error) {
		live, err := capture.Listen(ctx, f.iface, capture.Address{}, capture.KeepHeaders)
		if err != nil {
			return nil, err // not a Source that holds nil
		}
		return live, nil
	}
	return s, nil
}

func (a *app) monitor(ctx context.Context, flags monitorFlags) error {
	setup, err := flags.setup()
	if err != nil {
		return err
	}
	if flags.dir != "" {
		if setup.Folder, err = monitor.Open(flags.dir, int64(flags.limitMB)*1e6); err != nil {
			return err
		}
		defer setup.Folder.Close()
	}
	setup.Note = a.complain
	setup.Tell = func(activation monitor.Activation) { fmt.Fprintln(a.stdout, activation) }
	if flags.format == "jsonl" {
		setup.Tell = func(activation monitor.Activation) { a.tellJSON(activation) }
	}
	listen, tell := setup.Listen, sync.OnceFunc(func() { a.complain("watching %s; Ctrl-C ends it", flags.iface) })
	setup.Listen = func(ctx context.Context) (monitor.Source, error) {
		source, err := listen(ctx)
		if err == nil {
			tell()
		}
		return source, err
	}
	report, err := monitor.Run(ctx, setup)
	if err != nil {
		return err
	}
	return a.summarize(report, flags.format)
}

// tellJSON writes an activation as one object.
func (a *app) tellJSON(m monitor.Activation) {
	_ = json.NewEncoder(a.stdout).Encode(struct {
		Event       string    `json:"event"`
		Device      string    `json:"device"`
		Start       time.Time `json:"start_utc"`
		End         time.Time `json:"end_utc"`
		Bytes       int64     `json:"bytes"`
		Score       float64   `json:"score"`
		P           *float64  `json:"p"`
		Approximate bool      `json:"p_approximate"`
	}{"activation", m.Device.String(), m.Start.UTC(), m.End.UTC(), m.Bytes, m.Score, pointer(m.P), m.P.Approximate})
}

// pointer is the p-value, or nil for none.
func pointer(p traffic.PValue) *float64 {
	if !p.Known() {
		return nil
	}
	return &p.Value
}

// summarize writes what was found of each device in all.
func (a *app) summarize(r monitor.Report, format string) error {
	if format == "jsonl" {
		out := json.NewEncoder(a.stdout)
		var failed error
		for _, d := range r.Devices {
			failed = errors.Join(failed, out.Encode(map[string]any{
				"event": "device", "device": d.Address.String(), "packets": d.Traffic.Packets, "bytes": d.Traffic.Bytes(),
				"watched_seconds": r.Watched.Seconds(), "activations": len(d.Activations),
			}))
		}
		return errors.Join(failed, out.Encode(map[string]any{
			"event": "capture", "watched_seconds": r.Watched.Seconds(), "dropped_packets": r.Dropped, "notes": append([]string{}, r.Remarks()...),
		}))
	}
	out := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "\nIn %v:\n\nDevice\tpackets\tkB\tactivations\tof s\n", r.Watched.Round(time.Second))
	for _, d := range r.Devices {
		var length time.Duration
		for _, activation := range d.Activations {
			length += activation.End - activation.Start
		}
		fmt.Fprintf(out, "%s\t%d\t%.1f\t%d\t%.1f\n", d.Address, d.Traffic.Packets, float64(d.Traffic.Bytes())/1000, len(d.Activations), length.Seconds())
	}
	if err := out.Flush(); err != nil {
		return err
	}
	for _, remark := range r.Remarks() {
		fmt.Fprintf(a.stderr, "note: %s\n", remark)
	}
	return nil
}
