//go:build hardwaresim

package rpio_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wakefuzz/bench"
	"wakefuzz/internal/hardwaresim/outside"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/light/lighttest"
	"wakefuzz/oracle/light/rpio"
)

// The register that holds the modes of GPIO 10 to 19, three bits each, on a
// Raspberry Pi 3; and where in it those of GPIO 17 are.
const (
	modes     = 0x3f200004
	shift     = 3 * 7
	modeBits  = 7 << shift
	modeInput = 0 << shift
	modeAlt5  = 2 << shift
)

// TestOnBoard runs inside an emulated Raspberry Pi 3B; see
// scripts/hardware-sim.sh.
func TestOnBoard(t *testing.T) {
	options := rpio.DefaultOptions()
	options.Gap = 2 * time.Second // the emulator gets its turn when the host sees fit
	open := func(t *testing.T) (*rpio.Sensor, bench.Clock) {
		clock := bench.NewClock()
		s, err := rpio.New(clock, options)
		if err != nil {
			t.Fatal(err)
		}
		return s, clock
	}
	set := func(t *testing.T, high bool) { outside.Set(t, options.Pin, high) }

	lighttest.Run(t, func(t *testing.T) lighttest.Rig {
		s, clock := open(t)
		return lighttest.Rig{Sensor: s, Now: clock.Now, Set: set, Changes: 24, Pace: 300 * time.Millisecond}
	})

	// The emulated chip reads a pin's level whatever its mode; a real one reads
	// an input.
	t.Run("mode register", func(t *testing.T) {
		before := outside.Load(t, modes)&^modeBits | modeAlt5
		outside.Store(t, modes, before)
		s, _ := open(t)
		watch(t, s, func(light.Level) bool { return false })
		if got, want := outside.Load(t, modes), before&^modeBits|modeInput; got != want {
			t.Errorf("the modes of GPIO 10 to 19 are %#010x, want %#010x, which has GPIO 17 as an input", got, want)
		}
	})

	t.Run("one pin at a time", func(t *testing.T) {
		s, clock := open(t)
		other, err := rpio.New(clock, options)
		if err != nil {
			t.Fatal(err)
		}
		watch(t, s, func(light.Level) bool {
			if err := other.Watch(t.Context(), func(light.Level) {}); err == nil {
				t.Error("two pins are watched at a time")
			}
			return false
		})
	})

	// What an emulated processor takes says little. A loop that does nothing but
	// sleep says how little.
	t.Run("processor time", func(t *testing.T) {
		const stretch = 5 * time.Second
		s, clock := open(t)
		set(t, false)
		share := func(work func(began bench.Instant)) float64 {
			began, used := clock.Now(), processorTime(t)
			work(began)
			return 100 * float64(processorTime(t)-used) / float64(clock.Now().Sub(began))
		}
		driver := share(func(began bench.Instant) {
			watch(t, s, func(l light.Level) bool { return l.At.Sub(began) < stretch })
		})
		bare := share(func(began bench.Instant) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for clock.Now().Sub(began) < stretch {
				unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &unix.Timespec{Nsec: options.Period.Nanoseconds()}, nil)
			}
		})
		t.Logf("at 1 kHz the driver takes %.1f %% of an emulated processor, a loop that only sleeps %.1f %%", driver, bare)
	})
}

// watch watches for as long as it is told to go on.
func watch(t *testing.T, s *rpio.Sensor, more func(light.Level) bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := s.Watch(ctx, func(l light.Level) {
		if !more(l) {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// processorTime is what this process has used so far.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
