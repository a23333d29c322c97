package rpio_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"

	"wakefuzz/bench"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/light/rpio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Nothing is mapped on a machine that is no Raspberry Pi.
func TestElsewhere(t *testing.T) {
	s, err := rpio.New(bench.NewClock(), rpio.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err = s.Watch(ctx, func(light.Level) { cancel() })
	if err == nil || !strings.Contains(err.Error(), "GPIO 17: this is no Raspberry Pi") {
		t.Errorf("error %v", err)
	}
	cancel()
	if err := s.Watch(ctx, func(light.Level) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("under a cancelled context: error %v", err)
	}
}

func TestOptions(t *testing.T) {
	change := func(f func(*rpio.Options)) rpio.Options {
		o := rpio.DefaultOptions()
		f(&o)
		return o
	}
	tests := []struct {
		options rpio.Options
		want    string // what the error speaks of; empty for none
	}{
		{rpio.DefaultOptions(), ""},
		{change(func(o *rpio.Options) { o.Pin = -1 }), "pin: -1 "},
		{change(func(o *rpio.Options) { o.Pin = 28 }), "pin: 28 "},
		{change(func(o *rpio.Options) { o.Period = 2 * time.Millisecond }), "period: 2ms "},
		{change(func(o *rpio.Options) { o.Period = 0 }), "period: 0s "},
		{change(func(o *rpio.Options) { o.Gap = 5 * time.Millisecond }), "gap: 5ms "},
		{change(func(o *rpio.Options) { o.Gap = time.Minute }), "gap: 1m0s "},
	}
	for _, tt := range tests {
		_, err := rpio.New(bench.NewClock(), tt.options)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%+v: %v", tt.options, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%+v: error %v, want one with %q", tt.options, err, tt.want)
		}
	}
	o := rpio.DefaultOptions()
	if err := yaml.UnmarshalWithOptions([]byte("pin: 22\nperiod: 500us\ngap: 20ms\n"), &o, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if want := (rpio.Options{Pin: 22, Period: 500 * time.Microsecond, Gap: 20 * time.Millisecond}); o != want {
		t.Errorf("got %+v, want %+v", o, want)
	}
}
