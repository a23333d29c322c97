package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"wakefuzz/campaign"
	"wakefuzz/internal/host"
	"wakefuzz/results"
	"wakefuzz/scan"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

func (a *app) doctorCommand() *cobra.Command {
	var dir string
	listen := 30 * time.Second // the paper's devices sent something every 20 s
	cmd := &cobra.Command{
		Use:   "doctor FILE",
		Short: "Check everything that a campaign or a scan depends on",
		Long: `Check everything that the campaign or the scan of a file depends on, from the
clock to the device, say how to mend what is wrong, and how long it will take and
what its voices cost. What fails would end it or spoil it; a warning is worth a
look. Nothing is changed, no word is spoken, and nothing is billed.`,
		Example: "  fuzzer doctor examples/openwakeword-alexa.yaml\n  sudo fuzzer doctor examples/scans/home.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if listen < time.Second {
				return usagef("--listen: %v is shorter than a second", listen)
			}
			ctx, cancel := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer cancel()
			text, err := os.ReadFile(args[0])
			if err != nil {
				return usagef("reading the file: %w", err)
			}
			patient := *a
			patient.config.Synthesis.GiveUpAfter = answerWithin
			d := &doctor{app: &patient, file: args[0], dir: dir, listen: listen, facts: map[string]string{}}
			if scan.IsSpec(text) {
				err = d.examineScan(ctx)
			} else {
				err = d.examineCampaign(ctx)
			}
			if err != nil {
				return err
			}
			if ctx.Err() != nil {
				return unfinished{exitInterrupted, "interrupted"}
			}
			return d.conclude()
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the `folder` of the campaign or the scan (default campaigns/NAME or scans/NAME)")
	cmd.Flags().DurationVar(&listen, "listen", listen, "how `long` to listen for the device's packets at most, or to those of a scan's network")
	return cmd
}

// answerWithin is how long a check waits for what may never answer.
const answerWithin = 20 * time.Second

// doctor checks what a campaign depends on, or a scan: to the checks that both
// share, a scan is a campaign of one voice on a bench with a loudspeaker.
type doctor struct {
	*app
	file, dir string
	listen    time.Duration
	begin     string // the command that would begin
	spec      campaign.Spec
	wake      wordlists.Word

	sessions []results.Session // of the campaign that is in the folder
	running  bool              // by another process, which needs the bench
	left     []share           // what is yet to be played
	expected string            // what the protocol will cost, where the plan does not tell
	clips    clipSizes
	stock    stock
	mute     []tts.Voice       // that could not be asked
	facts    map[string]string // what shapes the observations,
	partial  bool              // as far as it could be found out
	// pace is how long a play of a clip of that length takes, on a bench that
	// could be opened.
	pace func(clip time.Duration) time.Duration

	warnings, checks int
	failed           []string
	writing          error
}

// share is how often an utterance is yet to be played.
type share struct {
	utterance tts.Utterance
	plays     int
}

// examineCampaign makes the checks. An error is that there is no campaign file.
func (d *doctor) examineCampaign(ctx context.Context) (err error) {
	if d.spec, d.wake, err = readSpec(d.file); err != nil {
		return err
	}
	d.begin = "run"
	d.dir = firstOf(d.dir, filepath.Join("campaigns", d.spec.Name))
	d.checkClock()
	d.checkCampaign(ctx)
	if voices := d.checkVoices(ctx); voices != nil {
		d.checkClips(ctx, voices)
		voices.Close()
	}
	if !d.running { // who holds the bench must not be disturbed
		d.checkBench(ctx)
		d.checkFacts()
	}
	d.checkDisks(d.campaignNeeds())
	d.tellNight()
	return nil
}

// ok reports that all is well.
func (d *doctor) ok(check, format string, args ...any) {
	d.checks++
	d.line("ok", check, fmt.Sprintf(format, args...))
}

// warn reports what may spoil some plays, and how to mend it.
func (d *doctor) warn(check, mend, format string, args ...any) {
	d.checks++
	d.warnings++
	d.line("warn", check, fmt.Sprintf(format, args...)+"\n"+mend)
}

// fail reports what would end the campaign or make it worthless, and how to
// mend it.
func (d *doctor) fail(check, mend, format string, args ...any) {
	d.checks++
	d.failed = append(d.failed, check)
	d.line("FAIL", check, fmt.Sprintf(format, args...)+"\n"+mend)
}

// failWith reports an error. Errors say what is wrong and then, after a
// semicolon, how to mend it; mend is for those that don't.
func (d *doctor) failWith(check string, err error, mend string) {
	what, rest, found := strings.Cut(describe(err), "; ")
	if found {
		mend = rest
	}
	d.fail(check, mend, "%s", what)
}

// line writes what was found, with every line after the first indented.
func (d *doctor) line(state, check, text string) {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+strings.Repeat(" ", 15))
	_, err := fmt.Fprintf(d.stdout, "%-5s %-8s %s\n", state, check, text)
	d.writing = errors.Join(d.writing, err)
}

// conclude sums up. The error says what failed.
func (d *doctor) conclude() error {
	switch n := len(d.failed); {
	case d.writing != nil:
		return d.writing
	case n > 0:
		return unfinished{exitUnfit, fmt.Sprintf("%d of %d checks failed: %s",
			n, d.checks, strings.Join(slices.Compact(slices.Clone(d.failed)), ", "))}
	}
	_, err := fmt.Fprintf(d.stdout, "none of %d checks failed, warnings: %d; begin with: fuzzer %s %s\n", d.checks, d.warnings, d.begin, d.file)
	return err
}

func (d *doctor) checkClock() {
	const mend = "let the machine have the network until timedatectl says that the clock is synchronized, or set the clock"
	program, _ := os.Executable() // unknown: then the source's date alone counts
	if built := host.Built(program); time.Now().Before(built) {
		d.fail("clock", mend, "it shows %s, but this program is of %s", date(time.Now()), date(built))
		return
	}
	synchronized, err := host.Synchronized()
	switch {
	case err != nil:
		d.failWith("clock", err, mend)
	case !synchronized:
		d.warn("clock", mend, "it shows %s, but is not synchronized: where it is set in the middle of a play, that play is lost", date(time.Now()))
	default:
		d.ok("clock", "synchronized")
	}
}

// date is a point in time as people read it.
func date(t time.Time) string { return t.Format("Mon 2 Jan 2006 15:04") }

// checkCampaign finds out what is left to play: of the campaign that is in the
// folder, or of a new one.
func (d *doctor) checkCampaign(ctx context.Context) {
	viewing, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	stored, err := results.View(viewing, d.dir)
	if errors.Is(err, results.ErrNotFound) {
		d.ok("campaign", "%s does not exist yet and will be made", d.dir)
		d.checkWords(ctx)
		return
	}
	if err != nil {
		d.failWith("campaign", err, "choose another folder with --dir")
		d.checkWords(ctx)
		return
	}
	defer stored.Close()
	if err := d.checkStored(stored); err != nil {
		d.failWith("campaign", err, "choose another folder with --dir")
	}
}

func (d *doctor) checkStored(stored *results.Reader) error {
	frozen, err := frozenSpec(stored)
	if err != nil {
		return err
	}
	diff, err := campaign.PlanDiff(frozen, d.spec)
	if err != nil {
		return err
	}
	progress, err := stored.Progress()
	if err != nil {
		return err
	}
	if d.sessions, err = stored.Sessions(); err != nil {
		return err
	}
	voices := frozen.VoicesByName()
	for _, t := range stored.Trials() {
		s := share{utterance: campaign.Utterance(t, voices)}
		if t.Word == "" {
			continue // silence needs no voice
		}
		for i := range t.Plays {
			if !progress.Done(results.PlayID{Trial: t.ID, Index: i}) {
				s.plays++
			}
		}
		if s.plays > 0 {
			d.left = append(d.left, s)
		}
	}
	done, planned := progress.Count()
	switch pid := stored.RunnerPID(); {
	case pid != 0:
		d.running = true
		d.fail("campaign", "wait until it ends, or stop it with Ctrl-C", "process %d is at it in %s, with %d of %d plays stored; the bench is not looked at", pid, d.dir, done, planned)
	case len(diff) > 0:
		d.fail("campaign", "give it a name or a --dir of its own, or take the change back",
			"the file plans something else than the campaign in %s:\n%s", d.dir, strings.Join(diff, "\n"))
	case done == planned:
		d.ok("campaign", "%s is complete: nothing is left to play", d.dir)
	default:
		d.ok("campaign", "%s goes on: %d of %d plays are stored", d.dir, done, planned)
	}
	return nil
}

// checkWords selects the words and plans a new campaign.
func (d *doctor) checkWords(ctx context.Context) {
	words, err := d.selectWords(ctx, filepath.Dir(d.file), d.wake, d.spec.Words, d.spec.Seed)
	if err != nil {
		d.failWith("words", err, "see the section words of the campaign file")
		return
	}
	voices := d.spec.VoicesByName()
	for _, t := range campaign.Plan(d.spec, d.wake, words) {
		if t.Word != "" { // silence needs no voice
			d.left = append(d.left, share{campaign.Utterance(t, voices), t.Plays})
		}
	}
	if d.spec.Protocol.Kind != campaign.KindExhaustive {
		d.expected = expected(d.spec, campaign.Cost(d.spec, d.wake, words))
	}
	d.ok("words", "%d, and %q as control", len(words), d.wake.Text)
}

// checkFacts makes sure that what shapes the observations is what shaped those
// of the sessions before, as a campaign that goes on does.
func (d *doctor) checkFacts() {
	if len(d.sessions) == 0 || d.partial {
		return
	}
	if err := campaign.SameFacts(d.sessions, d.facts); err != nil {
		d.failWith("campaign", err, "")
	}
}
