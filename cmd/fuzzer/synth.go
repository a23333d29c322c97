package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"wakefuzz/campaign"
	"wakefuzz/phoneme"
	"wakefuzz/tts"
	"wakefuzz/tts/google"
	"wakefuzz/wordlists"
)

func (a *app) synthCommand() *cobra.Command {
	var (
		dry    bool
		phones string
	)
	cmd := &cobra.Command{
		Use:   "synth CAMPAIGN-FILE",
		Short: "Make the clips of a campaign ahead of time",
		Long: `Make every clip that the campaign will play and that the cache lacks. Before
it begins it says how many characters will be billed and what they cost, by the
prices in the configuration.

With --phones it makes the clips of a pronunciation instead, one by each of the
campaign's voices, and says where they are: what no dictionary has can be listened
to as well.`,
		Example: `  fuzzer synth --dry-run examples/google-alexa.yaml
  fuzzer synth --phones "AH0 L EH1 K S AH0" examples/openwakeword-alexa.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer cancel()
			spec, wake, err := readSpec(args[0])
			if err != nil {
				return err
			}
			var all []tts.Utterance
			if phones != "" {
				p, err := phoneme.ParsePronunciation(phones)
				if err != nil {
					return usagef("--phones: %w", err)
				}
				for _, voice := range spec.Voices {
					all = append(all, tts.Utterance{Voice: voice, Pronunciation: p})
				}
			} else {
				words, err := a.selectWords(ctx, filepath.Dir(args[0]), wake, spec.Words, spec.Seed)
				if err != nil {
					return err
				}
				all = utterances(spec, wake, words)
			}
			speaker, err := a.openSpeaker(ctx, spec.Voices, a.complain)
			if err != nil {
				return err
			}
			defer speaker.Close()
			stock, err := speaker.takeStock(ctx, all, nil)
			if err != nil {
				return err
			}
			if err := a.announce(stock); err != nil || dry {
				return err
			}
			if len(stock.missing) > 0 {
				if err := a.synthesize(ctx, speaker, stock.missing); err != nil {
					return err
				}
			}
			if phones == "" {
				return nil
			}
			return a.listFiles(ctx, speaker, all)
		},
	}
	cmd.Flags().StringVar(&phones, "phones", "", "speak these ARPAbet phones instead of the campaign's words")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be made and billed")
	return cmd
}

// listFiles prints where the clips are.
func (a *app) listFiles(ctx context.Context, s *voicebox, all []tts.Utterance) error {
	for _, u := range all {
		path, err := s.caches[u.Voice.Engine].File(ctx, u)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.stdout, "%s: %s\n", u.Voice, path); err != nil {
			return err
		}
	}
	return nil
}

// utterances are what a campaign may speak, each once.
func utterances(spec campaign.Spec, wake wordlists.Word, words []wordlists.Word) []tts.Utterance {
	var all []tts.Utterance
	known := map[tts.Utterance]bool{}
	for _, w := range slices.Concat([]wordlists.Word{wake}, words) {
		for _, voice := range spec.Voices {
			if u := (tts.Utterance{Text: w.Text, Voice: voice}); !known[u] {
				known[u] = true
				all = append(all, u)
			}
		}
	}
	return all
}

// stock is what the cache has of the clips that are wanted.
type stock struct {
	wanted  int
	missing []tts.Utterance
	// billed are the characters that making the missing ones costs.
	billed map[tts.Voice]int
}

// takeStock looks through the cache for the clips. What is there it hands to
// have, unless that is nil.
func (s *voicebox) takeStock(ctx context.Context, all []tts.Utterance, have func(tts.Utterance, tts.Clip)) (stock, error) {
	stock := stock{wanted: len(all), billed: map[tts.Voice]int{}}
	for _, u := range all {
		clip, there, err := s.caches[u.Voice.Engine].Peek(ctx, u)
		switch {
		case err != nil:
			return stock, err
		case there && have != nil:
			have(u, clip)
		case !there:
			stock.missing = append(stock.missing, u)
			if b, ok := s.engines[u.Voice.Engine].(tts.Biller); ok {
				stock.billed[u.Voice] += b.BilledCharacters(u)
			}
		}
	}
	return stock, nil
}

func (s stock) String() string {
	return fmt.Sprintf("%d clips, %d in the cache, %d to make", s.wanted, s.wanted-len(s.missing), len(s.missing))
}

// announce prints what is missing in the cache and what it costs to make.
func (a *app) announce(s stock) error {
	_, err := fmt.Fprintf(a.stdout, "%s\n%s\n", s, strings.Join(a.costs(s), "\n"))
	return err
}

// costs says, a line for each voice that is billed, what the missing clips
// cost.
func (a *app) costs(s stock) []string {
	if len(s.billed) == 0 {
		return []string{"nothing is billed"}
	}
	var lines []string
	prices := google.ListPrices()
	maps.Copy(prices, a.config.Prices)
	for _, voice := range slices.SortedFunc(maps.Keys(s.billed), func(a, b tts.Voice) int { return strings.Compare(a.String(), b.String()) }) {
		cost := "its price is not in the configuration"
		if usd, known := prices.PerMillion(voice.Name); known {
			cost = fmt.Sprintf("%.2f USD at %.2f USD per million (list prices of %s, or the configuration's)",
				float64(s.billed[voice])*usd/1e6, usd, google.PricesAsOf)
		}
		lines = append(lines, fmt.Sprintf("%s: %d characters billed, %s", voice, s.billed[voice], cost))
	}
	return lines
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
				failed[i] = fmt.Errorf("%q by %s: %w", u, u.Voice, err)
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
