package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"wakefuzz/bench"
	"wakefuzz/calibration"
	"wakefuzz/campaign"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
	"wakefuzz/playback/speaker"
	"wakefuzz/tts"
)

// calibrateFlags are what the user chooses of a calibration.
type calibrateFlags struct {
	session calibration.Session
	format  string
	write   bool
}

func (a *app) calibrateCommand() *cobra.Command {
	var flags calibrateFlags
	s := &flags.session
	cmd := &cobra.Command{
		Use:   "calibrate CAMPAIGN-FILE",
		Short: "Measure a device on its bench, and suggest what to write into the campaign file",
		Long: `Watch the device in silence, play the wake word to it at several levels and then
a number of times, and measure when its light and its traffic react. Say which
values of the campaign file fit that: light window, debounce, min_lit, hold_over
and polarity; traffic latency and, for bursts, rate and windows; the level to play
at.
"go doc ./calibration" has the rules.

Nothing is stored in a campaign. With --write the suggested values are put into
the campaign file; the rest of it stays as it is, comments included. Do so before
the campaign begins: level and polarity can't change in one that has begun.

The exit code is 3 if something could not be measured; it is said what.`,
		Example: "  fuzzer calibrate my-speaker.yaml\n  fuzzer calibrate --levels=false --write my-speaker.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.validate(); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			err := a.calibrate(ctx, args[0], flags)
			if ctx.Err() != nil {
				return unfinished{exitInterrupted, "interrupted; the campaign file is as it was"}
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&s.Silence, "silence", time.Minute, "how long to watch the device in silence")
	cmd.Flags().IntVar(&s.Plays, "plays", 10, "how often to play the wake word")
	cmd.Flags().DurationVar(&s.Watch, "watch", 10*time.Second, "how long to watch after each play")
	cmd.Flags().BoolVar(&s.Levels, "levels", true, "search for the lowest level at which the wake word is heard, which takes minutes")
	cmd.Flags().BoolVar(&flags.write, "write", false, "put the suggested values into the campaign file")
	cmd.Flags().StringVar(&flags.format, "format", "table", "table or json")
	return cmd
}

func (f calibrateFlags) validate() error {
	s := f.session
	switch {
	case s.Silence < 5*time.Second:
		return usagef("--silence: %v is shorter than 5s", s.Silence)
	case s.Watch < 5*time.Second || s.Watch > time.Minute:
		return usagef("--watch: %v is not from 5s to 1m", s.Watch)
	case s.Plays < 3 || s.Plays > 1000:
		return usagef("--plays: %d is not from 3 to 1000", s.Plays)
	case f.format != "table" && f.format != "json":
		return usagef("--format: %q is neither table nor json", f.format)
	}
	return nil
}

// calibrate measures, reports, and writes what it suggests.
func (a *app) calibrate(ctx context.Context, path string, flags calibrateFlags) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return usagef("reading the campaign file: %w", err)
	}
	spec, _, err := readSpec(path)
	if err != nil {
		return err
	}
	if !spec.Bench.Physical() {
		return usagef("%s: a software bench has no light, traffic or loudspeaker to calibrate; its threshold, judge.engine, can be changed after a run, and fuzzer export then says what would have been", path)
	}
	record, err := a.measureDevice(ctx, spec, flags.session)
	if err != nil {
		return err
	}
	report := record.Report()
	if flags.format == "json" {
		out := json.NewEncoder(a.stdout)
		out.SetIndent("", "  ")
		err = out.Encode(report)
	} else {
		err = writeCalibration(a.stdout, report)
	}
	if err != nil {
		return err
	}
	if err := a.adoptSuggestions(path, text, report.Suggestions, flags.write); err != nil {
		return err
	}
	if n := len(report.Problems); n > 0 {
		return unfinished{exitUnmeasured, fmt.Sprintf("not all could be measured: %s", strings.Join(report.Problems, "; "))}
	}
	return nil
}

// measureDevice speaks the wake word by the first voice, and plays it on the
// bench of the spec.
func (a *app) measureDevice(ctx context.Context, spec campaign.Spec, session calibration.Session) (calibration.Record, error) {
	voice := spec.Voices[0]
	voices, err := a.openSpeaker(ctx, []tts.Voice{voice}, a.complain)
	if err != nil {
		return calibration.Record{}, err
	}
	defer voices.Close()
	if session.Clip, err = voices.Speak(ctx, tts.Utterance{Text: spec.WakeWord, Voice: voice}); err != nil {
		return calibration.Record{}, err
	}
	session.Setting, session.Settle, session.Note = settingOf(spec), spec.Bench.Settle, a.complain
	session.Highest = highest(*spec.Bench.Player.Options.(*speaker.Options), session.Clip)
	session.Open = func(ctx context.Context, s calibration.Setting) (*campaign.Bench, error) {
		return openHardware(ctx, withSetting(spec, s))
	}
	return session.Run(ctx)
}

// wired are the options of a sensor, of whichever driver.
type wired interface {
	wiring() light.Polarity
	rewired(light.Polarity) campaign.Options
}

func (s *sensor[O]) wiring() light.Polarity { return s.Polarity }

func (s *sensor[O]) rewired(p light.Polarity) campaign.Options {
	other := *s
	other.Polarity = p
	return &other
}

func settingOf(spec campaign.Spec) calibration.Setting {
	s := calibration.Setting{
		LevelDBFS: spec.Bench.Player.Options.(*speaker.Options).LevelDBFS,
		Light:     spec.Judge.Light,
		Traffic:   spec.Judge.Traffic,
	}
	if spec.Bench.Light != nil {
		s.Polarity = spec.Bench.Light.Options.(wired).wiring()
	}
	return s
}

// withSetting is the spec with the setting in the place of its own.
func withSetting(spec campaign.Spec, s calibration.Setting) campaign.Spec {
	player := *spec.Bench.Player.Options.(*speaker.Options)
	player.LevelDBFS = s.LevelDBFS
	spec.Bench.Player = withOptions(spec.Bench.Player, &player)
	if d := spec.Bench.Light; d != nil {
		spec.Bench.Light = withOptions(d, d.Options.(wired).rewired(s.Polarity))
	}
	spec.Judge.Light, spec.Judge.Traffic = s.Light, s.Traffic
	return spec
}

func withOptions(d *campaign.Driver, o campaign.Options) *campaign.Driver {
	other := *d
	other.Options = o
	return &other
}

// highest is the level to which the ceiling on peaks allows the clip to be
// brought.
func highest(o speaker.Options, clip tts.Clip) float64 {
	const low, high = -60, 0
	o.LevelDBFS = low
	least, _ := o.Gain(clip)
	o.LevelDBFS = high
	most, _ := o.Gain(clip)
	return low + most - least
}

// adoptSuggestions puts the suggested values into the file that had the text,
// or says how to.
func (a *app) adoptSuggestions(path string, text []byte, suggestions []calibration.Suggestion, write bool) error {
	var changes []campaign.Change
	for _, s := range suggestions {
		if s.New != s.Old {
			changes = append(changes, campaign.Change{Key: s.Key, Value: s.New})
		}
	}
	switch {
	case len(changes) == 0:
		return nil
	case !write:
		a.complain("%s is as it was; --write puts the suggested values into it", path)
		return nil
	}
	now, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(now, text) {
		err = fmt.Errorf("%s has changed meanwhile; it is left alone: write the suggested values by hand, or calibrate again", path)
	}
	if err != nil {
		return err
	}
	edited, err := campaign.EditSpec(path, text, drivers, changes...)
	if err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(path) // a link stays one
	if err == nil {
		err = renameio.WriteFile(target, edited, 0o644, renameio.WithExistingPermissions())
	}
	if err != nil {
		return fmt.Errorf("writing the campaign file: %w", err)
	}
	for _, c := range changes {
		a.complain("wrote into %s: %s: %s", path, c.Key, c.Value)
	}
	return nil
}

// writeCalibration writes the report for people.
func writeCalibration(w io.Writer, r calibration.Report) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "In silence")
	if l := r.Light; l != nil {
		polarity := "in the spec's polarity"
		if l.Inverted {
			polarity += ", so the other was taken"
		}
		fmt.Fprintf(out, "light\t%s\n", firstOf(l.Problem, fmt.Sprintf("lit for %.0f %% of the time %s; %d changes, the longest flash %v",
			100*l.Lit, polarity, l.Changes, l.Flash.Round(time.Millisecond))))
	}
	if t := r.Traffic; t != nil {
		fmt.Fprintf(out, "traffic\t%s\n", firstOf(t.Problem, fmt.Sprintf("%d packets, %d of them out; kbit/s out, by windows: half up to %.1f, 19 of 20 up to %.1f, the busiest %.1f",
			t.Packets, t.Outgoing, t.Median, t.Busy, t.Busiest)))
	}
	if len(r.Levels) > 0 {
		fmt.Fprint(out, "\nLevel\tplays\twoke it\n")
		for _, l := range r.Levels {
			fmt.Fprintf(out, "%g dBFS\t%d\t%d\n", l.DBFS, l.Plays, l.Woke)
		}
	}
	writePlays(out, r)
	if len(r.Suggestions) > 0 {
		fmt.Fprint(out, "\nKey\tnow\tsuggested\twhy\n")
		for _, s := range r.Suggestions {
			suggested := s.New
			if s.New == s.Old {
				suggested = "keep"
			}
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", s.Key, s.Old, suggested, s.Why)
		}
	}
	return out.Flush()
}

// writePlays writes what each sense saw of each play of the wake word.
func writePlays(out io.Writer, r calibration.Report) {
	if len(r.Plays) == 0 {
		return
	}
	var head []string
	if r.Light != nil {
		head = append(head, "light after", "lit for", "gaps", "longest")
	}
	if r.Traffic != nil {
		head = append(head, "upload after", "for", "kB out")
	}
	fmt.Fprintf(out, "\nThe wake word at %g dBFS\n%s\n", r.LevelDBFS, strings.Join(head, "\t"))
	for _, play := range r.Plays {
		var row []string
		if l, watched := play[light.Name]; watched {
			row = append(row, cells(l, seconds(l.Latency), seconds(l.Lasted), strconv.Itoa(l.Gaps), seconds(max(l.Gap, l.Chatter)))...)
		}
		if t, watched := play[traffic.Name]; watched {
			row = append(row, cells(t, seconds(t.Latency), seconds(t.Lasted), fmt.Sprintf("%.1f", float64(t.Bytes)/1000))...)
		}
		fmt.Fprintln(out, strings.Join(row, "\t"))
	}
	for _, name := range []string{light.Name, traffic.Name} {
		if _, watched := r.Plays[0][name]; watched {
			fmt.Fprintf(out, "seen by %s: %d of %d\n", name, len(r.Saw(name)), len(r.Plays))
		}
	}
}

// cells are those of a reaction, or why there is none.
func cells(r calibration.Reaction, measured ...string) []string {
	if r.State != bench.Reacted {
		clear(measured)
		measured[0] = firstOf(r.Problem, "none")
	}
	return measured
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
