package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"wakefuzz/campaign"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine/openwakeword"
	"wakefuzz/oracle/engine/pocketsphinx"
	"wakefuzz/oracle/engine/wyoming"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/light/gpiocdev"
	"wakefuzz/oracle/light/rpio"
	"wakefuzz/oracle/light/serial"
	"wakefuzz/oracle/traffic/live"
	"wakefuzz/phoneme"
	"wakefuzz/playback"
	"wakefuzz/playback/speaker"
	"wakefuzz/tts"
	"wakefuzz/tts/espeak"
	"wakefuzz/tts/festival"
	"wakefuzz/tts/flite"
	"wakefuzz/tts/google"
	wyomingtts "wakefuzz/tts/wyoming"
)

// This file is the one place that names drivers.

// drivers are what a bench may be made of.
var drivers = campaign.Drivers{
	"openwakeword": {Kind: campaign.KindEngine, Options: func() campaign.Options {
		o := openwakeword.DefaultOptions()
		return &o
	}},
	"pocketsphinx": {Kind: campaign.KindEngine, Options: func() campaign.Options {
		o := pocketsphinx.DefaultOptions()
		return &o
	}},
	"wyoming": {Kind: campaign.KindEngine, Scoreless: true, Options: func() campaign.Options {
		o := wyoming.DefaultOptions()
		return &o
	}},
	"speaker": {Kind: campaign.KindPlayer, Options: func() campaign.Options {
		o := speaker.DefaultOptions()
		return &o
	}},
	"gpiocdev": {Kind: campaign.KindLight, Options: func() campaign.Options {
		return &sensor[gpiocdev.Options]{Driver: gpiocdev.DefaultOptions(), Polarity: light.ActiveLow}
	}},
	"rpio": {Kind: campaign.KindLight, Options: func() campaign.Options {
		return &sensor[rpio.Options]{Driver: rpio.DefaultOptions(), Polarity: light.ActiveLow}
	}},
	"serial": {Kind: campaign.KindLight, Options: func() campaign.Options {
		return &sensor[serial.Options]{Driver: serial.DefaultOptions(), Polarity: light.ActiveLow}
	}},
	"capture": {Kind: campaign.KindTraffic, Options: func() campaign.Options { return new(live.Options) }},
}

// synthesizers open the engines that speak, by name.
var synthesizers = map[string]func(context.Context, config) (tts.Synthesizer, error){
	"flite":     func(ctx context.Context, _ config) (tts.Synthesizer, error) { return flite.New(ctx) },
	"espeak-ng": func(ctx context.Context, _ config) (tts.Synthesizer, error) { return espeak.New(ctx) },
	"festival":  func(ctx context.Context, _ config) (tts.Synthesizer, error) { return festival.New(ctx) },
	"wyoming":   func(_ context.Context, c config) (tts.Synthesizer, error) { return wyomingtts.New(c.Wyoming) },
	"google": func(ctx context.Context, c config) (tts.Synthesizer, error) {
		return google.New(ctx, c.Google)
	},
}

// openBench returns what opens the benches of a spec.
func (a *app) openBench(ctx context.Context, spec campaign.Spec) func(int) (*campaign.Bench, error) {
	return func(int) (*campaign.Bench, error) {
		if spec.Bench.Physical() {
			return openHardware(ctx, spec)
		}
		switch o := spec.Bench.Engine.Options.(type) {
		case *openwakeword.Options:
			return softwareBench(openwakeword.New(openwakeword.AssetsIn(a.config.Data), *o))
		case *wyoming.Options:
			return softwareBench(wyoming.New(ctx, *o))
		case *pocketsphinx.Options:
			return softwareBench(pocketsphinx.New(*o))
		default:
			return nil, fmt.Errorf("bench.engine: no such driver: %s", spec.Bench.Engine.Name)
		}
	}
}

// engine is a driver that is player and oracle in one.
type engine interface {
	playback.Player
	oracle.Oracle
	Facts() map[string]string
	Close() error
}

func softwareBench[E engine](e E, err error) (*campaign.Bench, error) {
	if err != nil {
		return nil, fmt.Errorf("bench.engine: %w", err)
	}
	return &campaign.Bench{Player: e, Oracles: []oracle.Oracle{e}, Facts: e.Facts(), Close: e.Close}, nil
}

// anchor makes the paths of a driver's options absolute: they are taken from
// the folder of the campaign file, and a campaign may be resumed from another.
func anchor(spec *campaign.Spec, base string) error {
	if spec.Bench.Physical() {
		return nil
	}
	var model *string
	switch o := spec.Bench.Engine.Options.(type) {
	case *openwakeword.Options:
		if filepath.Base(o.Model) == o.Model {
			return nil // a name, and no path
		}
		model = &o.Model
	case *pocketsphinx.Options:
		model = &o.Model
	}
	if model == nil || *model == "" || filepath.IsAbs(*model) {
		return nil
	}
	path, err := filepath.Abs(filepath.Join(base, *model))
	*model = path
	return err
}

// workers is how many benches of a spec work side by side.
func workers(spec campaign.Spec) int {
	switch {
	case spec.Bench.Physical():
		return 1
	case spec.Bench.Workers > 0:
		return spec.Bench.Workers
	case spec.Bench.Engine.Name == "wyoming":
		return 1 // one server; and what it hears of several clients may depend on all
	default:
		return runtime.NumCPU()
	}
}

// guess asks an offline voice how words sound that no dictionary has.
func (a *app) guess(ctx context.Context, texts []string) ([]phoneme.Pronunciation, error) {
	voice, err := flite.New(ctx)
	if err != nil {
		return nil, err
	}
	return voice.Pronounce(ctx, texts)
}

// voicebox speaks by any of several engines, through the cache.
type voicebox struct {
	engines map[string]tts.Synthesizer
	caches  map[string]*tts.Cache
	note    func(format string, args ...any)
}

// openSpeaker opens the engines of the voices and makes sure that each voice
// exists before a night depends on it. What the user should know while it
// speaks, it says by note.
func (a *app) openSpeaker(ctx context.Context, voices []tts.Voice, note func(format string, args ...any)) (*voicebox, error) {
	s := &voicebox{engines: map[string]tts.Synthesizer{}, caches: map[string]*tts.Cache{}, note: note}
	limits := a.config.Synthesis.limits(func(why error, wait time.Duration) {
		note("waiting %v for a voice: %v", wait.Round(time.Second), why)
	})
	throttled := map[string]tts.Synthesizer{}
	for _, v := range voices {
		if s.engines[v.Engine] == nil {
			e, err := a.openSynthesizer(ctx, v.Engine)
			if err != nil {
				return nil, s.closing(err)
			}
			s.engines[v.Engine] = e
			throttled[v.Engine] = tts.Throttle(e, limits)
			s.caches[v.Engine] = tts.NewCache(a.config.Cache, throttled[v.Engine])
		}
		names, err := throttled[v.Engine].Voices(ctx)
		if err != nil {
			return nil, s.closing(fmt.Errorf("listing the voices of %s: %w", v.Engine, err))
		}
		if !slices.Contains(names, v.Name) {
			return nil, s.closing(fmt.Errorf("%w: %s; list them with: fuzzer voices %s", tts.ErrVoice, v, v.Engine))
		}
	}
	return s, nil
}

// Speak returns the clip of an utterance.
func (s *voicebox) Speak(ctx context.Context, u tts.Utterance) (tts.Clip, error) {
	clip, origin, err := s.caches[u.Voice.Engine].Clip(ctx, u)
	if origin == tts.Remade {
		s.note("the clip of %q by %s was damaged and was made again", u, u.Voice)
	}
	return clip, err
}

// Facts are the engines' versions: what shapes the clips beyond the spec.
func (s *voicebox) Facts(ctx context.Context) (map[string]string, error) {
	facts := map[string]string{}
	for name, e := range s.engines {
		version, err := e.Version(ctx)
		if err != nil {
			return nil, fmt.Errorf("asking %s for its version: %w", name, err)
		}
		facts["voice."+name] = version
	}
	return facts, nil
}

// Close frees the engines.
func (s *voicebox) Close() {
	for _, e := range s.engines {
		closeSynthesizer(e)
	}
}

// closing closes what is open on the way out with an error.
func (s *voicebox) closing(err error) error {
	s.Close()
	return err
}
