package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/capture"
	"wakefuzz/playback/speaker"
	"wakefuzz/scan"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// scanFlags are what the user chooses of a scan.
type scanFlags struct {
	dir, format string
	report      bool
}

func (a *app) scanCommand() *cobra.Command {
	var flags scanFlags
	cmd := &cobra.Command{
		Use:   "scan SCAN-FILE",
		Short: "Find out which devices of a network react to sound, and to which",
		Long: `Alternate minutes of silence and minutes in which something is played: wake words
of common assistants, sounds from files, random words with or without a wake word
before them. Capture what every device on the network sends meanwhile, and say
which of them react to sound at all, to what, and how sure that is.

Everything that passes is kept, headers only, in the scan's folder. Ctrl-C stops at
once; run the same command again to go on. At most the round in hand is lost.`,
		Example: "  sudo fuzzer scan examples/scans/home.yaml\n  fuzzer scan examples/scans/home.yaml --report",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.format != "table" && flags.format != "json" {
				return usagef("--format: %q is neither table nor json", flags.format)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return a.scan(ctx, args[0], flags)
		},
	}
	cmd.Flags().StringVar(&flags.dir, "dir", "", "the scan's `folder` (default scans/NAME)")
	cmd.Flags().BoolVar(&flags.report, "report", false, "play nothing, and report what is in the folder")
	cmd.Flags().StringVar(&flags.format, "format", "table", "table or json")
	return cmd
}

func (a *app) scan(ctx context.Context, path string, flags scanFlags) error {
	spec, err := readScan(path)
	if err != nil {
		return err
	}
	if flags.dir == "" {
		flags.dir = filepath.Join("scans", spec.Name)
	}
	plan := spec.Plan(wordlists.Common())
	if flags.report {
		folder, stored, err := scan.View(flags.dir)
		if err == nil {
			err = a.sameScan(spec)(stored)
		}
		if err != nil {
			return err
		}
		return a.reportScan(folder, spec, plan, flags.format)
	}
	frozen, err := spec.YAML()
	if err != nil {
		return err
	}
	folder, err := scan.Open(flags.dir, frozen, a.sameScan(spec))
	if err != nil {
		return err
	}
	defer folder.Close()
	err = a.playScan(ctx, folder, spec, plan)
	if errors.Is(err, scan.ErrPace) { // which holds for the report, too
		return err
	}
	if ctx.Err() != nil {
		err = unfinished{exitInterrupted, fmt.Sprintf("interrupted; go on with: fuzzer scan %s", path)}
	}
	return errors.Join(a.reportScan(folder, spec, plan, flags.format), err)
}

// readScan reads a scan file. Paths in it are absolute then.
func readScan(path string) (scan.Spec, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return scan.Spec{}, usagef("reading the scan file: %w", err)
	}
	spec, err := scan.ParseSpec(path, text, drivers)
	if err != nil {
		if _, other := campaign.ParseSpec(path, text, drivers); other == nil {
			err = usagef("%s is a campaign file: fuzzer run carries it out", path)
		}
		return scan.Spec{}, err
	}
	return spec, spec.Anchor(filepath.Dir(path))
}

// sameScan compares what a folder holds with the spec.
func (a *app) sameScan(spec scan.Spec) func(stored string) error {
	return func(stored string) error {
		old, err := scan.ParseSpec("stored with the scan", []byte(stored), drivers)
		if err != nil {
			return err
		}
		return old.Same(spec)
	}
}

func (a *app) playScan(ctx context.Context, folder *scan.Folder, spec scan.Spec, plan scan.Plan) error {
	voices, err := a.openSpeaker(ctx, []tts.Voice{spec.Voice}, a.complain)
	if err != nil {
		return err
	}
	defer voices.Close()
	clock := bench.NewClock()
	player, err := speaker.New(*spec.Player.Options.(*speaker.Options), clock)
	if err != nil {
		return fmt.Errorf("player: %w", err)
	}
	defer player.Close()
	runner := scan.Runner{
		Plan: plan, Judging: spec.Judge, Folder: folder, Limit: int64(spec.LimitMB) * 1e6,
		Player: player,
		Clip: func(ctx context.Context, kind scan.Kind, says string) (tts.Clip, error) {
			if kind == scan.Sound {
				return readSound(says)
			}
			return voices.Speak(ctx, tts.Utterance{Text: says, Voice: spec.Voice})
		},
		Listen: func(ctx context.Context) (scan.Source, error) {
			live, err := capture.Listen(ctx, spec.Interface, capture.Address{}, capture.KeepHeaders)
			if err != nil {
				return nil, err // not a Source that holds nil
			}
			return live, nil
		},
		Pair: clock.Pair,
		Begin: func(task scan.Task, left int) {
			again := ""
			if task.Confirms {
				again = ", again"
			}
			a.complain("%v of silence, then %s%s; %d rounds left, %v", spec.Pace.Stretch, plan.Probes[task.Probe], again, left,
				(time.Duration(left) * spec.Pace.Round()).Round(time.Minute))
		},
		Note: a.complain,
	}
	return runner.Run(ctx)
}

// readSound reads a WAV file.
func readSound(path string) (tts.Clip, error) {
	file, err := os.Open(path)
	if err != nil {
		return tts.Clip{}, usagef("sound: %w", err)
	}
	defer file.Close()
	clip, err := tts.DecodeWAV(file)
	if err != nil {
		return tts.Clip{}, usagef("sound %s: %w; it takes 16-bit PCM", path, err)
	}
	return clip, nil
}

// reportScan judges what is in the folder, and prints it.
func (a *app) reportScan(folder *scan.Folder, spec scan.Spec, plan scan.Plan, format string) error {
	rounds, err := folder.Rounds()
	if err != nil {
		return err
	}
	report, err := spec.Judge.Judge(plan, rounds, folder.Load)
	if err != nil {
		return err
	}
	if format == "json" {
		out := json.NewEncoder(a.stdout)
		out.SetIndent("", "  ")
		return out.Encode(scanTable(report, plan))
	}
	return writeScan(a.stdout, scanTable(report, plan), spec.Judge.Level)
}

// scanned is a report as it is written.
type scanned struct {
	Rounds      int             `json:"rounds"`
	IdleSeconds float64         `json:"idle_seconds"`
	Devices     []scannedDevice `json:"devices"`
	Notes       []string        `json:"notes,omitempty"`
}

type scannedDevice struct {
	Device  string         `json:"device"`
	Packets int            `json:"packets"`
	Reacts  bool           `json:"reacts"`
	Any     scannedProbe   `json:"any_sound"`
	Probes  []scannedProbe `json:"probes"`
	Notes   []string       `json:"notes,omitempty"`
}

type scannedProbe struct {
	Kind      string  `json:"kind,omitempty"`
	Probe     string  `json:"probe,omitempty"`
	Plays     int     `json:"plays"`
	Reacted   int     `json:"reacted"`
	P         float64 `json:"p"`
	Q         float64 `json:"q"`
	Confirmed bool    `json:"confirmed,omitempty"`
	Reacts    bool    `json:"reacts"`
	label     string
}

func scanTable(r scan.Report, plan scan.Plan) scanned {
	out := scanned{Rounds: r.Rounds, IdleSeconds: r.Idle.Seconds(), Devices: []scannedDevice{}, Notes: r.Notes}
	finding := func(f scan.Finding) scannedProbe {
		return scannedProbe{Plays: f.Plays, Reacted: f.Reacted, P: f.P, Q: f.Q, Confirmed: f.Confirmed, Reacts: f.Reacts}
	}
	for _, d := range r.Devices {
		device := scannedDevice{
			Device: d.Address.String(), Packets: d.Packets, Reacts: d.Reacts(), Any: finding(d.Any), Notes: d.Notes,
			Probes: []scannedProbe{},
		}
		for i, f := range d.Probes {
			if f.Plays == 0 {
				continue
			}
			probe := finding(f)
			probe.Kind, probe.Probe, probe.label = string(plan.Probes[i].Kind), plan.Probes[i].Name, plan.Probes[i].String()
			device.Probes = append(device.Probes, probe)
		}
		out.Devices = append(out.Devices, device)
	}
	return out
}

// writeScan writes the report for people.
func writeScan(w io.Writer, r scanned, level float64) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "%d rounds, %v of idle traffic. Of the reactions below one in %.0f at most is expected to be none.\n\n",
		r.Rounds, time.Duration(r.IdleSeconds*float64(time.Second)).Round(time.Second), 1/level)
	fmt.Fprintln(out, "Device\tpackets\treacts to sound\tq\tto")
	for _, d := range r.Devices {
		var to []string
		best := d.Any.Q
		for _, p := range d.Probes {
			best = min(best, p.Q)
			if p.Reacts {
				to = append(to, fmt.Sprintf("%s (%d of %d)", p.label, p.Reacted, p.Plays))
			}
		}
		reacts := "no"
		switch {
		case d.Reacts && len(to) > 0:
			reacts = "yes"
		case d.Reacts:
			reacts, to = "yes", []string{"sound, now and then"}
		}
		fmt.Fprintf(out, "%s\t%d\t%s\t%.2g\t%s\n", d.Device, d.Packets, reacts, best, strings.Join(to, ", "))
	}
	if err := out.Flush(); err != nil {
		return err
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	for _, d := range r.Devices {
		for _, note := range d.Notes {
			fmt.Fprintf(w, "note: %s: %s\n", d.Device, note)
		}
	}
	return nil
}
