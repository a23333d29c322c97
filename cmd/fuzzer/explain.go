package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"wakefuzz/campaign"
	"wakefuzz/explain"
	"wakefuzz/internal/texttable"
	"wakefuzz/phoneme"
	"wakefuzz/results"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// explaining is what the flags of explain ask for.
type explaining struct {
	voice, phones, format string
	plays                 int
	share                 float64
}

func (a *app) explainCommand() *cobra.Command {
	var e explaining
	cmd := &cobra.Command{
		Use:   "explain CAMPAIGN-FILE|FOLDER WORD",
		Short: "Find the smallest stretch of a word that still wakes the device",
		Long: `Play a word that wakes the device of a campaign, first spelled, then as the
phones that it is made of, then stretches of these, and print the smallest stretch
that still wakes the device, what of it the device needs, and all that was tried.

Bench, voice and rule are the campaign's, from its file or from a folder that has
been played. A device is let come to rest before each play, and has to react to
the wake word before and after. Nothing is stored.
"go doc ./explain" says what is played, and what that can't tell.

The exit code is 3 if there is nothing to explain, or no way to: the word does not
wake the device, or does so spelled but not as phones. It is said what.`,
		Example: `  fuzzer explain examples/openwakeword-alexa.yaml lexus
  fuzzer explain campaigns/openwakeword-alexa hexcel --plays 20
  fuzzer explain examples/openwakeword-alexa.yaml plexa --phones "P L EH1 K S AH0"`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := e.validate(); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			cmd.SetContext(ctx)
			err := a.explain(cmd, args[0], args[1], e)
			if ctx.Err() != nil {
				return unfinished{exitInterrupted, "interrupted; nothing is stored"}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&e.voice, "voice", "", "the `voice` of the campaign that speaks, such as flite/kal16 (default the first)")
	cmd.Flags().StringVar(&e.phones, "phones", "", "how the word sounds, in ARPAbet; it is then not played spelled")
	cmd.Flags().IntVar(&e.plays, "plays", 5, "how often each is played")
	cmd.Flags().Float64Var(&e.share, "share", 0.5, "the share of them that has to react for it to wake the device")
	cmd.Flags().StringVar(&e.format, "format", "table", "table or json")
	return cmd
}

func (e explaining) validate() error {
	switch {
	case e.plays < 1 || e.plays > 1000:
		return usagef("--plays: %d is not from 1 to 1000", e.plays)
	case !(e.share > 0 && e.share <= 1):
		return usagef("--share: %g is not above 0 and up to 1", e.share)
	case e.format != "table" && e.format != "json":
		return usagef("--format: %q is neither table nor json", e.format)
	}
	return nil
}

func (a *app) explain(cmd *cobra.Command, path, word string, e explaining) (err error) {
	ctx := cmd.Context()
	spec, sessions, err := a.campaignAt(cmd, path)
	if err != nil {
		return err
	}
	voice, err := e.voiceOf(spec)
	if err != nil {
		return err
	}
	if word = strings.ToLower(strings.Join(strings.Fields(word), " ")); word == "" {
		return usagef("the word is empty")
	}
	pronunciations, err := a.pronunciations(ctx, spec, voice, word, e.phones)
	if err != nil {
		return err
	}
	voices, err := a.openSpeaker(ctx, []tts.Voice{voice}, a.complain)
	if err != nil {
		return err
	}
	defer voices.Close()
	bench, err := a.openBench(ctx, spec)(0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bench.Close()) }()
	if err := sameAsPlayed(ctx, sessions, bench, voices); err != nil {
		return err
	}
	session := explain.Session{
		Word: word, Unspelled: e.phones != "", Pronunciations: pronunciations, WakeWord: spec.WakeWord,
		Voice: voice, Plays: e.plays, Share: e.share,
		Seed: spec.Seed, Settle: spec.Bench.Settle, Rules: spec.Rules(),
		Bench: bench, Speak: voices.Speak, Note: func(string, ...any) {},
	}
	if spec.Bench.Physical() { // where each line takes a minute
		session.Note = a.complain
	}
	report, err := session.Run(ctx)
	if err != nil {
		return err
	}
	if e.format == "json" {
		out := json.NewEncoder(a.stdout)
		out.SetIndent("", "  ")
		err = out.Encode(report)
	} else {
		err = writeExplanation(a.stdout, report)
	}
	if err == nil && report.Problem != "" {
		err = unfinished{exitUnmeasured, report.Problem}
	}
	return err
}

// campaignAt reads the spec of a campaign file, or of a folder together with the
// sessions in which it was played. A device that a campaign is just playing to is
// left alone.
func (a *app) campaignAt(cmd *cobra.Command, path string) (spec campaign.Spec, sessions []results.Session, err error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		spec, _, err := readSpec(path)
		return spec, nil, err
	}
	err = a.view(cmd, path, func(store *results.Reader, stored campaign.Spec) (err error) {
		spec = stored
		sessions, err = store.Sessions()
		return err
	})
	if held := results.Held(path); err == nil && held != nil && spec.Bench.Physical() {
		err = held
	}
	return spec, sessions, err
}

// sameAsPlayed returns an error where bench or voice are not those of the sessions.
// What they have had beside that, such as other voices, is not asked for.
func sameAsPlayed(ctx context.Context, sessions []results.Session, bench *campaign.Bench, voices *voicebox) error {
	if len(sessions) == 0 {
		return nil
	}
	facts, err := voices.Facts(ctx)
	if err != nil {
		return err
	}
	maps.Copy(facts, bench.Facts)
	first := sessions[0]
	first.Facts = maps.Clone(first.Facts)
	maps.DeleteFunc(first.Facts, func(key, _ string) bool {
		_, asked := facts[key]
		return !asked
	})
	return campaign.SameFacts([]results.Session{first}, facts)
}

// voiceOf is the voice that is to speak.
func (e explaining) voiceOf(spec campaign.Spec) (tts.Voice, error) {
	if e.voice == "" {
		return spec.Voices[0], nil
	}
	var names []string
	for _, v := range spec.Voices {
		if v.String() == e.voice {
			return v, nil
		}
		names = append(names, v.String())
	}
	return tts.Voice{}, usagef("--voice: %q is not one of the campaign's: %s", e.voice, strings.Join(names, ", "))
}

// pronunciations are how the word may sound: as the user says, or by the campaign
// file and the dictionary, and where the voice is flite's, or no dictionary has
// the word, by flite.
func (a *app) pronunciations(ctx context.Context, spec campaign.Spec, voice tts.Voice, text, phones string) ([]phoneme.Pronunciation, error) {
	if phones != "" {
		p, err := phoneme.ParsePronunciation(phones)
		if err != nil {
			return nil, usagef("--phones: %w", err)
		}
		return []phoneme.Pronunciation{p}, nil
	}
	dictionary, err := wordlists.CMU()
	if err != nil {
		return nil, err
	}
	word, err := dictionary.Phrase(text)
	var missing *wordlists.MissingError
	if err != nil && !errors.As(err, &missing) {
		return nil, err
	}
	known := word.Pronunciations
	if text == spec.WakeWord && spec.Pronunciation != "" {
		known = append([]phoneme.Pronunciation{spec.Pronunciation}, known...)
	}
	if voice.Engine == "flite" || len(known) == 0 {
		guessed, err := a.guess(ctx, []string{text})
		if err != nil {
			return nil, err
		}
		if guessed[0] != "" {
			known = append(slices.Clone(known), guessed...)
		}
	}
	var distinct []phoneme.Pronunciation
	for _, p := range known {
		if !slices.ContainsFunc(distinct, func(q phoneme.Pronunciation) bool { return q.Bare() == p.Bare() }) {
			distinct = append(distinct, p)
		}
	}
	if len(distinct) == 0 {
		return nil, usagef("nobody knows how %q sounds; say so in ARPAbet, as in: --phones \"L EH1 K S AH0 S\"", text)
	}
	return distinct, nil
}

// writeExplanation writes the report for people.
func writeExplanation(w io.Writer, r explain.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "What of %q by %s wakes the device\n\n", r.Word, r.Voice)
	t := texttable.New(table.Row{"played", "reacted", ""}, 1, 3)
	for _, try := range r.Tried {
		count, mark := fmt.Sprintf("%d/%d", try.Reacted, try.Plays), ""
		switch {
		case try.Plays == 0:
			count, mark = "-", "the voice can't speak this"
		case try.Wakes:
			mark = "wakes"
		}
		t.AppendRow(table.Row{try, count, mark})
	}
	b.WriteString(texttable.Render(t))
	if r.Stretch != "" {
		needs := "each of them"
		if r.Core != r.Stretch {
			needs = "only " + string(r.Core)
		}
		fmt.Fprintf(&b, "\nThe smallest stretch that wakes it: %s, %d of %d phones. It needs %s.\n",
			r.Stretch, r.Stretch.Count(), r.Pronunciation.Count(), needs)
	}
	fmt.Fprintf(&b, "\nRule: %s; %d plays each, and what reacts in a share of %g of them wakes it.\n", r.Rule, r.Plays, r.Share)
	_, err := io.WriteString(w, b.String())
	return err
}
