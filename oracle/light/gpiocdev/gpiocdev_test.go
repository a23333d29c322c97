package gpiocdev_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"

	"wakefuzz/bench"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/light/gpiocdev"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestChipsThatAreNone(t *testing.T) {
	s, err := gpiocdev.New(bench.NewClock(), gpiocdev.Options{Chip: "gpiochip4711", Line: 17})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Watch(t.Context(), func(light.Level) { t.Error("something was reported") })
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "line 17 of gpiochip4711") {
		t.Errorf("error %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Watch(ended, func(light.Level) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("under a cancelled context: error %v", err)
	}
}

func TestTiming(t *testing.T) {
	s, err := gpiocdev.New(bench.NewClock(), gpiocdev.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Timing(); got.Source == "" || got.Error <= 0 || got.Lag < 100*time.Millisecond {
		t.Errorf("timing %+v", got)
	}
}

func TestOptions(t *testing.T) {
	tests := []struct {
		options gpiocdev.Options
		want    string // what the error speaks of; empty for none
	}{
		{gpiocdev.DefaultOptions(), ""},
		{gpiocdev.Options{Chip: "/dev/gpiochip4"}, ""},
		{gpiocdev.Options{}, `chip: ""`},
		{gpiocdev.Options{Chip: "/dev/mem"}, `chip: "/dev/mem"`},
		{gpiocdev.Options{Chip: "gpiochip0", Line: -1}, "line: -1"},
		{gpiocdev.Options{Chip: "gpiochip0", Line: 1 << 40}, "line: 1099511627776"},
	}
	for _, tt := range tests {
		_, err := gpiocdev.New(bench.NewClock(), tt.options)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%+v: %v", tt.options, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%+v: error %v, want one with %q", tt.options, err, tt.want)
		}
	}
	o := gpiocdev.DefaultOptions()
	if err := yaml.UnmarshalWithOptions([]byte("chip: gpiochip4\nline: 22\n"), &o, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if want := (gpiocdev.Options{Chip: "gpiochip4", Line: 22}); o != want {
		t.Errorf("got %+v, want %+v", o, want)
	}
}
