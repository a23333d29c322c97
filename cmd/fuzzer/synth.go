package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"wakefuzz/campaign"
	"wakefuzz/tts"
	"wakefuzz/tts/google"
)

func (a *app) synthCommand() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "synth CAMPAIGN-FILE",
		Short: "Make the clips of a campaign ahead of time",
		Long: `Make every clip that the campaign will play and that the cache lacks. Before
it begins it says how many characters will be billed and what they cost, by the
prices in the configuration.`,
		Example: "  fuzzer synth --dry-run examples/google-alexa.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer cancel()
			spec, wake, err := readSpec(args[0])
			if err != nil {
				return err
			}
			words, err := a.selectWords(ctx, filepath.Dir(args[0]), wake, spec.Words, spec.Seed)
			if err != nil {
				return err
			}
			speaker, err := a.openSpeaker(ctx, spec.Voices, a.complain)
			if err != nil {
				return err
			}
			defer speaker.Close()
			var utterances []tts.Utterance
			voices := spec.VoicesByName()
			for _, t := range campaign.Plan(spec, wake, words) {
				utterances = append(utterances, tts.Utterance{Text: t.Word, Voice: voices[t.Voice]})
			}
			missing, err := a.announce(ctx, speaker, utterances)
			if err != nil || dry || len(missing) == 0 {
				return err
			}
			return a.synthesize(ctx, speaker, missing)
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be made and billed")
	return cmd
}

// announce prints what is missing in the cache and what it costs to make, and
// returns it.
func (a *app) announce(ctx context.Context, s *voicebox, all []tts.Utterance) ([]tts.Utterance, error) {
	var missing []tts.Utterance
	billed := map[tts.Voice]int{}
	for _, u := range all {
		have, err := s.caches[u.Voice.Engine].Holds(ctx, u)
		if err != nil {
			return nil, err
		}
		if have {
			continue
		}
		missing = append(missing, u)
		if b, ok := s.engines[u.Voice.Engine].(tts.Biller); ok {
			billed[u.Voice] += b.BilledCharacters(u)
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d clips, %d in the cache, %d to make\n", len(all), len(all)-len(missing), len(missing))
	if len(billed) == 0 {
		fmt.Fprintln(&text, "nothing is billed")
	}
	prices := google.ListPrices()
	maps.Copy(prices, a.config.Prices)
	for _, voice := range slices.SortedFunc(maps.Keys(billed), func(a, b tts.Voice) int { return strings.Compare(a.String(), b.String()) }) {
		cost := "its price is not in the configuration"
		if usd, known := prices.PerMillion(voice.Name); known {
			cost = fmt.Sprintf("%.2f USD at %.2f USD per million (list prices of %s, or the configuration's)",
				float64(billed[voice])*usd/1e6, usd, google.PricesAsOf)
		}
		fmt.Fprintf(&text, "%s: %d characters billed, %s\n", voice, billed[voice], cost)
	}
	_, err := io.WriteString(a.stdout, text.String())
	return missing, err
}

// synthesisAhead is how many utterances are asked for at once; how many calls
// are under way at once is the configuration's to say.
const synthesisAhead = 64

// synthesize makes the clips. A text that its voice can't speak is reported
// and does not keep the others from being made.
func (a *app) synthesize(ctx context.Context, s *voicebox, utterances []tts.Utterance) error {
	g, speaking := errgroup.WithContext(ctx)
	g.SetLimit(synthesisAhead)
	failed := make([]error, len(utterances))
	for i, u := range utterances {
		g.Go(func() error {
			_, err := s.Speak(speaking, u)
			if errors.Is(err, tts.ErrUnspeakable) {
				failed[i] = fmt.Errorf("%q by %s: %w", u.Text, u.Voice, err)
				return nil
			}
			return err
		})
	}
	const resume = "what was made is kept; run the same command again to go on"
	switch err := g.Wait(); {
	case ctx.Err() != nil:
		return unfinished{exitInterrupted, "interrupted; " + resume}
	case err != nil:
		return fmt.Errorf("%w\n%s", err, resume)
	}
	if err := errors.Join(failed...); err != nil {
		return unfinished{exitUnmeasured, strings.TrimSpace(err.Error())}
	}
	_, err := fmt.Fprintf(a.stdout, "%d clips made\n", len(utterances))
	return err
}
