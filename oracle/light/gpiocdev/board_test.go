//go:build hardwaresim

package gpiocdev_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/hardwaresim/outside"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/light/gpiocdev"
	"wakefuzz/oracle/light/lighttest"
)

// TestOnBoard runs inside an emulated board with a PL061, whose interrupts are
// the kernel's to handle; see scripts/hardware-sim.sh.
func TestOnBoard(t *testing.T) {
	options := gpiocdev.Options{Chip: "gpiochip0", Line: 5}
	open := func(t *testing.T, o gpiocdev.Options) (*gpiocdev.Sensor, bench.Clock) {
		clock := bench.NewClock()
		s, err := gpiocdev.New(clock, o)
		if err != nil {
			t.Fatal(err)
		}
		return s, clock
	}
	lighttest.Run(t, func(t *testing.T) lighttest.Rig {
		s, clock := open(t, options)
		return lighttest.Rig{
			Sensor:  s,
			Now:     clock.Now,
			Set:     func(t *testing.T, high bool) { outside.Set(t, options.Line, high) },
			Changes: 200,
			Pace:    10 * time.Millisecond,
		}
	})

	t.Run("lines that can't be had", func(t *testing.T) {
		busy, _ := open(t, options)
		for name, tt := range map[string]struct {
			line int
			want string
		}{
			"in use":       {options.Line, `"wakefuzz" is using it`},
			"not the chip": {4711, "gpioinfo lists"},
		} {
			t.Run(name, func(t *testing.T) {
				other := options
				other.Line = tt.line
				s, _ := open(t, other)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				busy.Watch(ctx, func(light.Level) {
					err := s.Watch(t.Context(), func(light.Level) {})
					if err == nil || !strings.Contains(err.Error(), tt.want) {
						t.Errorf("error %v, want one that speaks of %q", err, tt.want)
					}
					cancel()
				})
			})
		}
	})
}
