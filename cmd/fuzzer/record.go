package main

import (
	"context"
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
	"wakefuzz/dataset"
	"wakefuzz/internal/host"
	"wakefuzz/oracle/traffic/live"
	"wakefuzz/playback/speaker"
	"wakefuzz/scan"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// recordFlags are what the user chooses of a recording.
type recordFlags struct {
	kind, out      string
	length         time.Duration
	every, stretch time.Duration
	words, sounds  []string
}

func (a *app) recordCommand() *cobra.Command {
	var flags recordFlags
	cmd := &cobra.Command{
		Use:   "record CAMPAIGN-FILE --kind KIND",
		Short: "Record the traffic of a device, with labels: idle, controlled, probing, ordinary",
		Long: `Record what the device of a campaign file sends, in capture files, and when it was
awake, in labels.csv, which "fuzzer evaluate" reads. The kinds are the paper's
(section 5.1.1):

  idle        nobody speaks
  controlled  the wake word is played every --every
  probing     for each word a silent minute, then one in which it is played every 10 s
  ordinary    people use the device as they like; this takes a light sensor

The labels are what the light sensor sees or, without one, the times of the plays.
Where light and traffic disagree for long, it is said which of them has probably
died, and the labels since it was last seen at work are in doubtful.csv instead.

Ctrl-C ends it in good order. The same command goes on with what is left.`,
		Example: `  fuzzer record my-speaker.yaml --kind idle --for 6h
  fuzzer record my-speaker.yaml --kind controlled --every 5m
  fuzzer record my-camera.yaml --kind controlled --sound bark.wav --sound glass.wav
  fuzzer record my-speaker.yaml --kind ordinary --for 360h --out living-room`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if flags.kind == string(dataset.Probing) && cmd.Flags().Changed("for") {
				return usagef("--for: probing ends once each word had its turn; leave it out")
			}
			return a.record(ctx, args[0], flags)
		},
	}
	cmd.Flags().StringVar(&flags.kind, "kind", "", "idle, controlled, probing or ordinary")
	cmd.Flags().DurationVar(&flags.length, "for", dataset.PaperLength, "how long in all, sessions before included; not for probing")
	cmd.Flags().DurationVar(&flags.every, "every", 0, "the time from one play to the next (default 5m; probing 10s)")
	cmd.Flags().DurationVar(&flags.stretch, "stretch", dataset.PaperStretch, "the length of a silent stretch, and of one with plays; for probing")
	cmd.Flags().StringSliceVar(&flags.words, "words", nil, "the words to play, in turn (default the wake word; for probing with those of other assistants and 50 common words)")
	cmd.Flags().StringArrayVar(&flags.sounds, "sound", nil, "a WAV `file` to play in turn with the words; several by repeating it")
	cmd.Flags().StringVar(&flags.out, "out", "", "the dataset's `folder` (default datasets/NAME-KIND)")
	return cmd
}

// plan is what the flags ask for.
func (f recordFlags) plan(spec campaign.Spec) (dataset.Plan, error) {
	p := dataset.Plan{Kind: dataset.Kind(f.kind), Length: f.length}
	switch p.Kind {
	case dataset.Controlled:
		p.Every = f.every
		if p.Every == 0 {
			p.Every = dataset.PaperInterval
		}
	case dataset.Probing:
		p.Every, p.Stretch, p.Length = f.every, f.stretch, 0
		if p.Every == 0 {
			p.Every = dataset.PaperProbeEvery
		}
	default:
		if f.every != 0 || len(f.words)+len(f.sounds) > 0 {
			return p, usagef("--kind %s: nothing is played; leave out --every, --words and --sound", f.kind)
		}
	}
	if p.Plays() {
		for _, word := range f.words {
			p.Words = append(p.Words, strings.ToLower(strings.Join(strings.Fields(word), " ")))
		}
		p.Words = append(p.Words, f.sounds...)
		if len(p.Words) == 0 {
			p.Words = defaultWords(p.Kind, spec)
		}
	}
	if err := p.Validate(); err != nil {
		return p, usagef("--%w", err)
	}
	return p, nil
}

// defaultWords are the wake word and, for probing, those of other assistants and
// as many common words as the paper chose by chance.
func defaultWords(kind dataset.Kind, spec campaign.Spec) []string {
	words := []string{spec.WakeWord}
	if kind != dataset.Probing {
		return words
	}
	for _, w := range scan.KnownWakeWords {
		if w != spec.WakeWord {
			words = append(words, w)
		}
	}
	draw := scan.Default()
	draw.Seed = spec.Seed
	draw.Probes = scan.ProbesSpec{WakeWords: words, Random: scan.RandomSpec{Words: dataset.PaperProbingWords}}
	probes := draw.Plan(wordlists.Common()).Probes
	return append(words, probes[len(probes)-1].Says...)
}

// record records, and tells what was.
func (a *app) record(ctx context.Context, path string, flags recordFlags) error {
	spec, _, err := readSpec(path)
	if err != nil {
		return err
	}
	plan, err := flags.plan(spec)
	switch {
	case err != nil:
		return err
	case spec.Bench.Traffic == nil:
		return usagef("%s: bench.traffic: is missing; a dataset is what the device sends", path)
	case plan.Kind == dataset.Ordinary && spec.Bench.Light == nil:
		return usagef("%s: bench.light: is missing; in ordinary use nothing else tells when the device is awake", path)
	}
	dir := firstOf(flags.out, filepath.Join("datasets", spec.Name+"-"+flags.kind))
	options := *spec.Bench.Traffic.Options.(*live.Options)
	settings := dataset.Settings{
		Plan: plan, Device: options.Device, WakeWord: spec.WakeWord, Light: spec.Bench.Light != nil,
		Reach: max(spec.Judge.Light.Window, spec.Judge.Traffic.Latency()),
	}
	var speak func(context.Context, string, int) (tts.Clip, string, error)
	if plan.Plays() {
		voices, err := a.openSpeaker(ctx, spec.Voices, a.complain)
		if err != nil {
			return err
		}
		defer voices.Close()
		if speak, err = rehearsed(ctx, voices, spec.Voices, plan.Words, flags.sounds); err != nil {
			return err
		}
	}
	folder, err := dataset.OpenFolder(dir, settings, options.Keep())
	if err != nil {
		return err
	}
	defer folder.Close()
	session := dataset.Session{Settings: settings, Folder: folder, LightRule: spec.Judge.Light, Speak: speak, Note: a.complain,
		Room: func() (int64, error) {
			disk, err := host.DiskOf(dir)
			return disk.Bytes, err
		},
	}
	bench, err := openRecording(ctx, spec, &session)
	if err != nil {
		return err
	}
	defer bench.close()
	a.complain("recording into %s; Ctrl-C ends it", dir)
	err = session.Run(ctx)
	report := folder.Report()
	if failed := writeRecording(a.stdout, report); failed != nil && err == nil {
		err = failed
	}
	return recordingEnd(ctx, err, report, plan)
}

// recordingEnd is the error with which a recording ends.
func recordingEnd(ctx context.Context, err error, r dataset.Report, plan dataset.Plan) error {
	doubtful, unknown := doubtsOf(r)
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return unfinished{exitInterrupted, "interrupted; the same command goes on"}
	case err != nil:
		return err
	case doubtful > 0:
		return unfinished{exitUnmeasured, fmt.Sprintf("labels are doubtful for %v, in %d of %d files; they are in doubtful.csv, with the reasons", unknown.Round(time.Second), doubtful, len(r.Files))}
	case len(r.Pairs) < len(plan.Words) && plan.Kind == dataset.Probing:
		return unfinished{exitUnmeasured, fmt.Sprintf("%d of %d words had both stretches; the same command goes on", len(r.Pairs), len(plan.Words))}
	default:
		return nil
	}
}

// doubtsOf is how many files have doubtful times, and how long those are.
func doubtsOf(r dataset.Report) (files int, unknown time.Duration) {
	for _, f := range r.Files {
		if len(f.Doubts) > 0 {
			files++
		}
		for _, u := range f.Unknown {
			unknown += u.End - u.Start
		}
	}
	return files, unknown
}

// rehearsed makes every clip that will be wanted, and returns what gives it: the
// voices take turns.
func rehearsed(ctx context.Context, box *voicebox, voices []tts.Voice, words, sounds []string) (func(context.Context, string, int) (tts.Clip, string, error), error) {
	recorded := map[string]tts.Clip{}
	for _, path := range sounds {
		clip, err := readSound(path)
		if err != nil {
			return nil, fmt.Errorf("--%w", err) // sound FILE: what is wrong with it
		}
		recorded[path] = clip
	}
	speak := func(ctx context.Context, word string, n int) (tts.Clip, string, error) {
		if clip, is := recorded[word]; is {
			return clip, "", nil
		}
		voice := voices[n%len(voices)]
		clip, err := box.Speak(ctx, tts.Utterance{Text: word, Voice: voice})
		return clip, voice.String(), err
	}
	for _, word := range words {
		for n := range voices {
			if _, _, err := speak(ctx, word, n); err != nil {
				return nil, fmt.Errorf("speaking %q: %w", word, err)
			}
		}
	}
	return speak, nil
}

// openRecording opens what the session needs of the spec's bench: the
// loudspeaker only where something is played.
func openRecording(ctx context.Context, spec campaign.Spec, s *dataset.Session) (_ *hardware, err error) {
	h := &hardware{spec: spec, clock: bench.NewClock()}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	s.Pair = h.clock.Pair
	options := *spec.Bench.Traffic.Options.(*live.Options)
	s.Tap = &dataset.Tap{Keep: options.Keep(), Pair: h.clock.Pair}
	if spec.Bench.Light != nil {
		if h.light, err = openLight(ctx, spec, h.clock); err != nil {
			return nil, fmt.Errorf("bench.light: %w", err)
		}
		s.Light = h.light
	}
	setup := live.Setup{
		Options: options, Window: spec.Judge.Traffic.Watch(), Rest: spec.Judge.Traffic.Burst,
		Pair: h.clock.Pair, Listen: s.Tap.Listen(options.Listen),
	}
	if h.traffic, err = live.Open(ctx, setup); err != nil {
		return nil, fmt.Errorf("bench.traffic: %w", err)
	}
	s.Traffic = h.traffic
	if !s.Settings.Plays() {
		return h, nil
	}
	if h.speaker, err = speaker.New(*spec.Bench.Player.Options.(*speaker.Options), h.clock); err != nil {
		return nil, fmt.Errorf("bench.player: %w", err)
	}
	s.Player = h.speaker
	return h, nil
}

// writeRecording tells what a dataset holds.
func writeRecording(w io.Writer, r dataset.Report) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var packets, labels, doubtful int
	var dropped uint64
	for _, f := range r.Files {
		packets += f.Packets
		dropped += f.Dropped
		labels += len(f.Labels)
		doubtful += len(f.Doubtful)
	}
	files, unknown := doubtsOf(r)
	fmt.Fprintf(out, "recorded\t%v, in %d sessions\n", r.Length.Round(time.Second), r.Sessions)
	fmt.Fprintf(out, "files\t%d, with doubtful times %d\n", len(r.Files), files)
	fmt.Fprintf(out, "packets\t%d, dropped %d\n", packets, dropped)
	fmt.Fprintf(out, "plays\t%d, not sounded %d\n", r.Plays, r.Faults)
	fmt.Fprintf(out, "labels\t%d, and doubtful %d, in %v\n", labels, doubtful, unknown.Round(time.Second))
	both, light, upload := r.Agreement()
	fmt.Fprintf(out, "light and upload\t%d\nlight alone\t%d\nupload alone\t%d\n", both, light, upload)
	if r.Unfiled > 0 {
		fmt.Fprintf(out, "lights without a file\t%d\n", r.Unfiled)
	}
	for _, d := range r.Doubts {
		fmt.Fprintf(out, "doubt\tsession %d, %v to %v: the %s %s\n", d.Session, time.Duration(d.Span.Start).Round(time.Second),
			time.Duration(d.Span.End).Round(time.Second), d.Who, d.Why)
	}
	return out.Flush()
}
