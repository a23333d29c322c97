package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"wakefuzz/playback/speaker"
	"wakefuzz/tts"
)

func (a *app) voicesCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "voices [ENGINE]",
		Short:   "List the voices of an engine, or of all that are installed",
		Example: "  fuzzer voices flite",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.listVoices(cmd.Context(), args[0])
			}
			for _, engine := range slices.Sorted(maps.Keys(synthesizers)) {
				// One engine that isn't there must not hide the others.
				if err := a.listVoices(cmd.Context(), engine); err != nil {
					a.complain("%s", describe(err))
				}
			}
			return nil
		},
	}
}

func (a *app) devicesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "devices",
		Short: "List the loudspeakers that a campaign can play on",
		Long: `List the loudspeakers that a campaign can play on, for the key bench.player.device
of a campaign file: by index, name or ID. An asterisk marks what the system would
choose.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			devices, err := speaker.Devices(cmd.Context())
			if err != nil {
				return err
			}
			for _, d := range devices {
				mark := " "
				if d.Default {
					mark = "*"
				}
				if _, err := fmt.Fprintln(a.stdout, mark, d); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) listVoices(ctx context.Context, engine string) error {
	s, err := a.openSynthesizer(ctx, engine)
	if err != nil {
		return err
	}
	defer closeSynthesizer(s)
	names, err := s.Voices(ctx)
	if err != nil {
		return fmt.Errorf("listing the voices of %s: %w", engine, err)
	}
	for _, name := range names {
		if _, err := fmt.Fprintln(a.stdout, tts.Voice{Engine: engine, Name: name}); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) openSynthesizer(ctx context.Context, engine string) (tts.Synthesizer, error) {
	open, ok := synthesizers[engine]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(synthesizers)), ", ")
		return nil, fmt.Errorf("%w: engine %q is not one of: %s", tts.ErrVoice, engine, known)
	}
	return open(ctx, a.config)
}

func closeSynthesizer(s tts.Synthesizer) {
	if c, ok := s.(interface{ Close() error }); ok {
		_ = c.Close() // nothing is lost: clips are stored as they come
	}
}
