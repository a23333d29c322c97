package rpio

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wakefuzz/bench"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/light/lighttest"
)

// variable is the sensor but for the registers: its pin is a variable.
type variable struct {
	*Sensor
	high atomic.Bool
}

func (v *variable) Watch(ctx context.Context, report func(light.Level)) error {
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		prioritize()
		ended <- v.poll(ctx, v.high.Load, report)
	}()
	return <-ended
}

func TestPoll(t *testing.T) {
	lighttest.Run(t, func(t *testing.T) lighttest.Rig {
		clock := bench.NewClock()
		o := DefaultOptions()
		o.Gap = time.Second // the machine that tests may be busy
		s, err := New(clock, o)
		if err != nil {
			t.Fatal(err)
		}
		v := &variable{Sensor: s}
		set := func(_ *testing.T, high bool) { v.high.Store(high) }
		return lighttest.Rig{Sensor: v, Now: clock.Now, Set: set, Changes: 20, Pace: 300 * time.Millisecond}
	})
}

// A reading that takes long hides what happens meanwhile.
func TestPollNoticesAGap(t *testing.T) {
	o := DefaultOptions()
	s, err := New(bench.NewClock(), o)
	if err != nil {
		t.Fatal(err)
	}
	readings := 0
	err = s.poll(t.Context(), func() bool {
		if readings++; readings == 3 {
			time.Sleep(o.Gap)
		}
		return false
	}, func(light.Level) {})
	if err == nil || !strings.Contains(err.Error(), "too busy") {
		t.Errorf("error %v", err)
	}
}

func TestSupportedBoards(t *testing.T) {
	tests := []struct {
		board string
		want  string // what the error speaks of; empty for none
	}{
		{"raspberrypi,model-b\x00brcm,bcm2835\x00", ""},
		{"raspberrypi,2-model-b\x00brcm,bcm2836\x00", ""},
		{"raspberrypi,3-model-b\x00brcm,bcm2837\x00", ""},
		{"raspberrypi,4-model-b\x00brcm,bcm2711\x00", ""},
		{"raspberrypi,5-model-b\x00brcm,bcm2712\x00", "does not know the Raspberry Pi 5"},
		{"libre-computer,cc\x00amlogic,s905x\x00", "no Raspberry Pi"},
		{"", "no Raspberry Pi"},
	}
	for _, tt := range tests {
		err := supported([]byte(tt.board))
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%q: %v", tt.board, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%q: error %v, want one with %q", tt.board, err, tt.want)
		}
	}
}

func TestExplain(t *testing.T) {
	hint := "usermod"
	if os.Geteuid() == 0 {
		hint = "iomem=relaxed"
	}
	for want, err := range map[string]error{
		hint:       &fs.PathError{Op: "open", Path: "/dev/gpiomem", Err: unix.EACCES},
		"too many": unix.EMFILE,
	} {
		if got := explain(err); !errors.Is(got, err) || !strings.Contains(got.Error(), want) {
			t.Errorf("%v is explained by %q, want %q in it", err, got, want)
		}
	}
}
