package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"wakefuzz/campaign"
	"wakefuzz/phoneme"
	"wakefuzz/protocol"
	"wakefuzz/results"
	"wakefuzz/results/export"
	"wakefuzz/scan"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

func (a *app) runCommand() *cobra.Command {
	var dir string
	output := outputAuto
	cmd := &cobra.Command{
		Use:   "run CAMPAIGN-FILE",
		Short: "Carry out a campaign, or go on with it",
		Long: `Plan the campaign that the file describes, play it, store every play, and
print the ranked table.

Ctrl-C finishes the play in hand and stops; a second Ctrl-C stops at once. Run
the same command again, or "fuzzer resume FOLDER", to go on. Nothing that was
measured is measured twice.`,
		Example: "  fuzzer run examples/openwakeword-alexa.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, wake, err := readSpec(args[0])
			if err != nil {
				return err
			}
			if dir == "" {
				dir = filepath.Join("campaigns", spec.Name)
			}
			store, err := results.Open(dir)
			switch {
			case err == nil:
				err = adopt(dir, store, spec)
			case errors.Is(err, results.ErrNotFound):
				store, err = a.create(cmd.Context(), dir, filepath.Dir(args[0]), spec, wake)
			}
			if err != nil {
				return closing(store, err)
			}
			return closing(store, a.play(cmd.Context(), dir, store, spec, output))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the campaign's `folder` (default campaigns/NAME)")
	addOutputFlag(cmd, &output)
	return cmd
}

func (a *app) resumeCommand() *cobra.Command {
	output := outputAuto
	cmd := &cobra.Command{
		Use:     "resume FOLDER",
		Short:   "Go on with a campaign that was stopped",
		Example: "  fuzzer resume campaigns/openwakeword-alexa",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := results.Open(args[0])
			if err != nil {
				return err
			}
			spec, err := frozenSpec(store.Reader)
			if err != nil {
				return closing(store, err)
			}
			return closing(store, a.play(cmd.Context(), args[0], store, spec, output))
		},
	}
	addOutputFlag(cmd, &output)
	return cmd
}

// closing closes the store on the way out.
func closing(store *results.Store, err error) error {
	if store == nil {
		return err
	}
	return errors.Join(err, store.Close())
}

func frozenSpec(store *results.Reader) (campaign.Spec, error) {
	sessions, err := store.Sessions()
	if err != nil {
		return campaign.Spec{}, err
	}
	return campaign.FrozenSpec(store.Campaign(), sessions, drivers)
}

// adopt goes on with a stored campaign under a spec that plans the same.
func adopt(dir string, store *results.Store, spec campaign.Spec) error {
	frozen, err := frozenSpec(store.Reader)
	if err != nil {
		return err
	}
	return campaign.Adopt(dir, frozen, spec)
}

// create selects the words and makes the campaign's folder, once it is sure
// that the campaign can be carried out: a campaign that exists is bound to its
// file, so a mistake there has to show before.
func (a *app) create(ctx context.Context, dir, base string, spec campaign.Spec, wake wordlists.Word) (*results.Store, error) {
	words, err := a.selectWords(ctx, base, wake, spec.Words, spec.Seed)
	if err != nil {
		return nil, err
	}
	if err := a.rehearse(ctx, spec); err != nil {
		return nil, err
	}
	if spec.Protocol.Kind != campaign.KindExhaustive { // of which the plan says all
		a.complain("%s", expected(spec, campaign.Cost(spec, wake, words)))
	}
	return campaign.Create(dir, spec, wake, words, version())
}

// expected says what a protocol is expected to cost.
func expected(spec campaign.Spec, cost protocol.Cost) string {
	text := fmt.Sprintf("the protocol %s is expected to take about %d plays, at most %d", spec.Protocol.Kind, cost.Plays, cost.MostPlays)
	if spec.Bench.Physical() {
		text += fmt.Sprintf(", and %.1f hours of the bench", cost.Bench.Hours())
	}
	return text + fmt.Sprintf("; %d characters are spoken", cost.Characters)
}

// rehearse has each voice speak the wake word, which will be wanted anyway, and
// opens a bench.
func (a *app) rehearse(ctx context.Context, spec campaign.Spec) error {
	speaker, err := a.openSpeaker(ctx, spec.Voices, a.complain)
	if err != nil {
		return err
	}
	defer speaker.Close()
	for _, voice := range spec.Voices {
		_, err := speaker.Speak(ctx, tts.Utterance{Text: spec.WakeWord, Voice: voice})
		if err != nil && !errors.Is(err, tts.ErrUnspeakable) { // which is a matter of the word
			return err
		}
	}
	bench, err := a.openBench(ctx, spec)(0)
	if err != nil {
		return err
	}
	return bench.Close()
}

// complain tells the user what is worth knowing while a command works.
func (a *app) complain(format string, args ...any) {
	fmt.Fprintf(a.stderr, format+"\n", args...)
}

// readSpec reads a campaign file and finds its wake word, on which the defaults
// of the selection depend.
func readSpec(path string) (campaign.Spec, wordlists.Word, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return campaign.Spec{}, wordlists.Word{}, usagef("reading the campaign file: %w", err)
	}
	spec, err := campaign.ParseSpec(path, text, drivers)
	if err != nil {
		if _, other := scan.ParseSpec(path, text, drivers); other == nil {
			err = usagef("%s is a scan file: fuzzer scan carries it out", path)
		}
		return campaign.Spec{}, wordlists.Word{}, err
	}
	if err := anchor(&spec, filepath.Dir(path)); err != nil {
		return campaign.Spec{}, wordlists.Word{}, err
	}
	wake, err := wakeWord(spec.WakeWord, string(spec.Pronunciation))
	spec.Words = spec.Words.WithDefaults(wake)
	return spec, wake, err
}

// wakeWord finds how the wake word sounds, unless it is told.
func wakeWord(text, pronunciation string) (wordlists.Word, error) {
	if pronunciation != "" {
		p, err := phoneme.ParsePronunciation(pronunciation)
		if err != nil {
			return wordlists.Word{}, usagef("the wake word's pronunciation: %w", err)
		}
		return wordlists.Word{Text: text, Pronunciations: []phoneme.Pronunciation{p}}, nil
	}
	dictionary, err := wordlists.CMU()
	if err != nil {
		return wordlists.Word{}, err
	}
	wake, err := dictionary.Phrase(text)
	var missing *wordlists.MissingError
	if errors.As(err, &missing) {
		return wake, usagef("the wake word %q: %w; say how it sounds, in ARPAbet, with the key pronunciation of the campaign file or the flag --pronunciation, as in: AH L EH K S AH", text, err)
	}
	return wake, err
}

// selectWords finds the words to try. Word lists are looked for beside the
// campaign file, in base.
func (a *app) selectWords(ctx context.Context, base string, wake wordlists.Word, s wordlists.Selection, seed uint64) ([]wordlists.Word, error) {
	dictionary, err := wordlists.CMU()
	if err != nil {
		return nil, err
	}
	words, err := wordlists.Select(ctx, wordlists.Request{
		Dictionary: dictionary,
		Wake:       wake,
		Selection:  s,
		Seed:       seed,
		Guess:      a.guess,
		Open: func(name string) (io.ReadCloser, error) {
			if !filepath.IsAbs(name) {
				name = filepath.Join(base, name)
			}
			return os.Open(name)
		},
	})
	if err != nil && ctx.Err() == nil {
		err = usagef("selecting words: %w", err)
	}
	return words, err
}

// play runs a campaign until it is done or stopped, and prints what it found.
func (a *app) play(ctx context.Context, dir string, store *results.Store, spec campaign.Spec, output outputMode) error {
	logFile, err := campaign.OpenLog(dir)
	if err != nil {
		return err
	}
	defer logFile.Close()
	log := slog.New(slog.NewJSONHandler(logFile, nil))

	display := a.newDisplay(output)
	ctx, stop, release := interruptible(ctx, display.note)
	defer release()
	runner := campaign.Runner{
		Spec:      spec,
		Store:     store,
		Folder:    dir,
		OpenBench: a.openBench(ctx, spec),
		Workers:   workers(spec),
		Version:   version(),
		Stop:      stop,
		Begin:     display.begin,
		Report:    display.play,
		Note:      display.note,
		Log:       log,
	}
	log.Info("run begins", "version", version(), "pid", os.Getpid(), "workers", runner.Workers)
	standing, err := a.measure(ctx, runner, display.note)
	log.Info("run ends", "measured", standing.Measured, "planned", standing.Planned, "error", err)
	resume := fmt.Sprintf("%d of %d plays are stored; go on with: fuzzer resume %s", standing.Measured, standing.Planned, dir)
	tried := err == nil && (standing.Over() || !runner.Stopped())
	switch {
	case tried && standing.Over():
	case tried:
		err = unfinished{exitUnmeasured, fmt.Sprintf("%d plays could not be measured; the log in %s says why; %s", standing.Left(), dir, resume)}
	case err == nil, ctx.Err() != nil:
		err = unfinished{exitInterrupted, "interrupted; " + resume}
	default:
		err = fmt.Errorf("%w\n%s", err, resume)
	}
	display.end(standing, err)
	if tried && output != outputJSON { // which is objects only; fuzzer export has the table
		err = errors.Join(a.export(store.Reader, spec, export.Table, export.Options{}), err)
	}
	return err
}

// measure has the runner play what is left, for which it opens the voices.
func (a *app) measure(ctx context.Context, runner campaign.Runner, note func(format string, args ...any)) (campaign.Standing, error) {
	standing, err := runner.Standing()
	if err != nil {
		return standing, err
	}
	if !standing.Over() {
		speaker, err := a.openSpeaker(ctx, runner.Spec.Voices, func(format string, args ...any) {
			note(format, args...)
			runner.Log.Warn(fmt.Sprintf(format, args...))
		})
		if err != nil {
			return standing, err
		}
		defer speaker.Close()
		runner.Speak = speaker.Speak
		if runner.VoiceFacts, err = speaker.Facts(ctx); err != nil {
			return standing, err
		}
	}
	return runner.Run(ctx)
}

// interruptible turns the first Ctrl-C, or SIGTERM, into a stop after the play
// in hand, and the second into the end of the context.
func interruptible(parent context.Context, note func(format string, args ...any)) (ctx context.Context, stop <-chan struct{}, release func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	stopping := make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
			return
		}
		note("finishing the play in hand; Ctrl-C again stops at once")
		close(stopping)
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, stopping, func() {
		signal.Stop(signals)
		cancel()
	}
}
