package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/oracle"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/light/gpiocdev"
	"wakefuzz/oracle/light/rpio"
	"wakefuzz/oracle/light/serial"
	"wakefuzz/oracle/traffic"
	"wakefuzz/oracle/traffic/live"
	"wakefuzz/playback/speaker"
	"wakefuzz/results"
)

// sensor is the section light of a spec: a driver's own options, and how the
// sensor is wired.
type sensor[O campaign.Options] struct {
	Driver   O              `yaml:",inline"`
	Polarity light.Polarity `yaml:"polarity"`
}

// Validate says which option can't be used, and why.
func (s *sensor[O]) Validate() error {
	if err := s.Polarity.Validate(); err != nil {
		return fmt.Errorf("polarity: %w", err)
	}
	return s.Driver.Validate()
}

// hardware is a bench with a device under test.
type hardware struct {
	spec    campaign.Spec
	clock   bench.Clock
	speaker *speaker.Speaker
	light   *light.Recorder // nil where nothing watches the light
	traffic *live.Recorder  // nil where nothing watches the traffic
}

// openHardware opens the bench that the spec describes.
func openHardware(ctx context.Context, spec campaign.Spec) (_ *campaign.Bench, err error) {
	h := &hardware{spec: spec, clock: bench.NewClock()}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	var oracles []oracle.Oracle
	if h.spec.Bench.Light != nil {
		if h.light, err = openLight(ctx, spec, h.clock); err != nil {
			return nil, fmt.Errorf("bench.light: %w", err)
		}
		oracles = append(oracles, h.light)
	}
	if d := h.spec.Bench.Traffic; d != nil {
		setup := live.Setup{Options: *d.Options.(*live.Options), Window: spec.Judge.Traffic.Watch(), Rest: spec.Judge.Traffic.Burst, Pair: h.clock.Pair}
		if h.traffic, err = live.Open(ctx, setup); err != nil {
			return nil, fmt.Errorf("bench.traffic: %w", err)
		}
		oracles = append(oracles, h.traffic)
	}
	if h.speaker, err = speaker.New(*spec.Bench.Player.Options.(*speaker.Options), h.clock); err != nil {
		return nil, fmt.Errorf("bench.player: %w", err)
	}
	b := &campaign.Bench{Player: h.speaker, Oracles: oracles, Facts: h.speaker.Facts(), Settle: h.settle, Now: h.clock.Now, Reacting: h.reacting, Close: h.close}
	if h.traffic != nil {
		b.Observed, b.Evidence = h.observed, h.evidence
	}
	return b, nil
}

// openLight begins to watch the light that the spec describes.
func openLight(ctx context.Context, spec campaign.Spec, clock bench.Clock) (*light.Recorder, error) {
	setup := light.Setup{Window: spec.Judge.Light.Watch(), Now: clock.Now}
	var err error
	switch o := spec.Bench.Light.Options.(type) {
	case *sensor[gpiocdev.Options]:
		setup.Polarity = o.Polarity
		setup.Sensor, err = gpiocdev.New(clock, o.Driver)
	case *sensor[rpio.Options]:
		setup.Polarity = o.Polarity
		setup.Sensor, err = rpio.New(clock, o.Driver)
	case *sensor[serial.Options]:
		setup.Polarity = o.Polarity
		setup.Sensor, err = serial.New(clock, o.Driver)
	default:
		return nil, fmt.Errorf("no such driver: %s", spec.Bench.Light.Name)
	}
	if err != nil {
		return nil, err
	}
	return light.Open(ctx, setup)
}

func (h *hardware) close() error {
	if h.light != nil {
		h.light.Close()
	}
	if h.traffic != nil {
		h.traffic.Close()
	}
	if h.speaker != nil {
		return h.speaker.Close()
	}
	return nil
}

// settle waits until the light has been dark, and the traffic quiet, for the
// time asked.
func (h *hardware) settle(ctx context.Context, s campaign.SettleSpec) (restless string, err error) {
	deadline := h.clock.Now().Add(s.Limit)
	if h.light != nil {
		if restless, err := h.dark(ctx, s.Quiet, deadline); err != nil || restless != "" {
			return restless, err
		}
	}
	if h.traffic != nil {
		left := max(deadline.Sub(h.clock.Now()), 0)
		quiet, err := h.traffic.Quiet(ctx, s.Quiet, left)
		if err != nil || !quiet {
			return fmt.Sprintf("its traffic was not quiet for %v within %v", s.Quiet, s.Limit), err
		}
	}
	return "", nil
}

// glance is how often the light is looked at while it settles.
const glance = 100 * time.Millisecond

func (h *hardware) dark(ctx context.Context, quiet time.Duration, deadline bench.Instant) (string, error) {
	for {
		now := h.clock.Now()
		o, err := h.light.Observe(ctx, bench.Span{Start: now.Add(-quiet), End: now})
		if err != nil {
			return "", err
		}
		why := fmt.Sprintf("its light was not dark for %v", quiet)
		if o.Fault != bench.NoFault {
			why = o.Detail
		} else if spells := h.spec.Judge.Light.Spells(o); len(spells) == 0 || spells[len(spells)-1].End < now.Add(-quiet) {
			return "", nil
		}
		if now >= deadline {
			return why, nil
		}
		select {
		case <-time.After(glance):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// reacting says whether what decides the verdict shows a reaction just now: the
// light is on, or the device has sent as much as speech. Where both decide,
// either is enough.
func (h *hardware) reacting(ctx context.Context) bool {
	verdict := h.spec.Rules().Fusion
	return verdict != traffic.Name && h.light != nil && h.lit(ctx) ||
		verdict != light.Name && h.traffic != nil && h.sends(ctx)
}

func (h *hardware) lit(ctx context.Context) bool {
	now := h.clock.Now()
	o, err := h.light.Observe(ctx, bench.Span{Start: now.Add(-glance), End: now})
	if err != nil || o.Fault != bench.NoFault {
		return false
	}
	spells := h.spec.Judge.Light.Spells(o)
	return len(spells) > 0 && spells[len(spells)-1].End >= now.Add(-glance)
}

func (h *hardware) sends(ctx context.Context) bool {
	quiet, err := h.traffic.Quiet(ctx, h.spec.Judge.Traffic.Burst.Window, 0)
	return err == nil && !quiet
}

// observed is the traffic up to the instant, for the store.
func (h *hardware) observed(until bench.Instant) results.Observed {
	o := results.Observed{Clock: []bench.Pair{h.clock.Pair()}}
	for _, stretch := range h.traffic.Drain(until) {
		o.Traffic = append(o.Traffic, results.Traffic(stretch))
	}
	return o
}

// evidence writes what passed since the instant.
func (h *hardware) evidence(w io.Writer, from bench.Instant, comment string) error {
	return h.traffic.Evidence(w, bench.Span{Start: from, End: h.clock.Now()}, comment)
}
