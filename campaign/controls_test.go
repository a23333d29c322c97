package campaign_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/internal/fakebench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/light"
	"wakefuzz/playback"
	"wakefuzz/results"
)

const physicalSpec = `
name: physical
wake_word: alexa
voices:
  - {engine: flite, name: kal16}
bench:
  player: {driver: speaker}
  light: {driver: lamp}
protocol:
  plays: 2
controls:
  every: 1
  plays: 2
`

// device is a bench with a light, whose device may be deaf for some plays.
type device struct {
	fakebench.Bench
	played   int
	deaf     func(play int) bool
	restless func(play int) string
	lit      bool
}

func (d *device) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	d.played++
	s, err := d.Bench.Play(ctx, cue)
	o, _ := d.Bench.Observe(ctx, bench.Span{Start: s.Span.Start, End: s.Span.End.Add(time.Second)})
	d.lit = false
	for _, v := range o.Scores.Values {
		d.lit = d.lit || v > 0.5
	}
	d.lit = d.lit && (d.deaf == nil || !d.deaf(d.played))
	return s, err
}

func (*device) Name() string { return light.Name }

func (*device) Window() time.Duration { return 3 * time.Second }

func (d *device) Observe(_ context.Context, watched bench.Span) (bench.Observation, error) {
	o := bench.Observation{Oracle: light.Name, Watched: watched, Edges: []bench.Edge{{At: watched.Start}}}
	if d.lit {
		o.Edges = append(o.Edges, bench.Edge{At: watched.Start.Add(time.Second), Lit: true}, bench.Edge{At: watched.Start.Add(2 * time.Second)})
	}
	return o, nil
}

func (d *device) settle(context.Context, campaign.SettleSpec) (string, error) {
	if d.restless == nil {
		return "", nil
	}
	return d.restless(d.played), nil
}

// newDevice is a campaign on a device. Trials: alexa x2, then each of the four
// words x2, with alexa x2 behind each.
func newDevice(t *testing.T, d *device) *rig {
	t.Helper()
	r := newRigOf(t, parse(t, physicalSpec))
	r.OpenBench = func(int) (*campaign.Bench, error) {
		return &campaign.Bench{Player: d, Oracles: []oracle.Oracle{d}, Settle: d.settle, Close: func() error { return nil }}, nil
	}
	return r
}

func TestControlsStandBetweenTheWords(t *testing.T) {
	d := new(device)
	r := newDevice(t, d)
	if tally := r.run(); tally.Planned != 18 || tally.Left() != 0 {
		t.Fatalf("standing %+v", tally)
	}
	var order []string
	for _, a := range r.attempts() {
		for _, trial := range r.store.Trials() {
			if trial.ID == a.Play.Trial {
				order = append(order, trial.Word)
			}
		}
	}
	if got := strings.Join(order[:10], " "); got != "alexa alexa alexis alexis alexa alexa lexus lexus alexa alexa" {
		t.Errorf("played %s", got)
	}
	if d.played != 18 {
		t.Errorf("%d plays", d.played)
	}
}

// A device that goes deaf in mid-campaign costs time, and no wrong "no": what
// was played since it last heard is void and played again.
func TestDeafDeviceIsWaitedFor(t *testing.T) {
	whole := newDevice(t, new(device))
	whole.run()
	// From the very last play on, no control is left to notice it.
	for first := 1; first < 18; first++ {
		t.Run(fmt.Sprintf("deaf from play %d", first), func(t *testing.T) {
			d := &device{deaf: func(play int) bool { return play >= first && play < first+9 }}
			r := newDevice(t, d)
			var notes []string
			r.Note = func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
			synctest.Test(t, func(t *testing.T) {
				tally, err := r.Run(t.Context())
				if err != nil || tally.Left() != 0 {
					t.Errorf("%d plays left, error %v", tally.Left(), err)
				}
			})
			if got, want := r.csv(), whole.csv(); got != want {
				t.Errorf("with a deaf hour:\n%s\nwithout:\n%s", got, want)
			}
			if len(notes) != 2 || !strings.Contains(notes[0], "no longer wakes the device") || !strings.Contains(notes[1], "hears again") {
				t.Errorf("notes %q", notes)
			}
			if voids, err := r.store.Voids(); err != nil || len(voids) < 2 {
				t.Errorf("voids %v, %v", voids, err)
			}
		})
	}
}

// What a killed session left without a control behind it is void too, when the
// next session finds the device deaf.
func TestDeafnessIsNoticedInTheNextSession(t *testing.T) {
	whole := newDevice(t, new(device))
	whole.run()

	d := &device{deaf: func(play int) bool { return play >= 3 && play < 10 }}
	r := newDevice(t, d)
	stop := make(chan struct{})
	r.Stop = stop
	r.Report = func(e campaign.Event) {
		if e.Standing.Measured == 4 { // both plays of the first word, unheard
			close(stop)
		}
	}
	r.run()
	r.reopen()
	r.OpenBench = func(int) (*campaign.Bench, error) {
		return &campaign.Bench{Player: d, Oracles: []oracle.Oracle{d}, Settle: d.settle, Close: func() error { return nil }}, nil
	}
	synctest.Test(t, func(t *testing.T) {
		tally, err := r.Run(t.Context())
		if err != nil || tally.Left() != 0 {
			t.Errorf("%d plays left, error %v", tally.Left(), err)
		}
	})
	if got, want := r.csv(), whole.csv(); got != want {
		t.Errorf("deaf when the session ended:\n%s\nwithout:\n%s", got, want)
	}
}

func TestRestlessDeviceIsWaitedFor(t *testing.T) {
	unrest := 0
	d := &device{}
	d.restless = func(play int) string {
		if play >= 6 && unrest < 7 {
			unrest++
			return "its light stayed lit"
		}
		return ""
	}
	r := newDevice(t, d)
	var notes []string
	r.Note = func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	synctest.Test(t, func(t *testing.T) {
		tally, err := r.Run(t.Context())
		if err != nil || tally.Left() != 0 {
			t.Errorf("%d plays left, error %v", tally.Left(), err)
		}
	})
	if len(notes) == 0 || !strings.Contains(notes[0], "its light stayed lit") {
		t.Errorf("notes %q", notes)
	}
	faults := 0
	for _, a := range r.attempts() {
		if a.Fault == bench.FaultDevice {
			faults++
		}
	}
	if faults == 0 {
		t.Error("no play was spoilt by the device")
	}
	if voids, err := r.store.Voids(); err != nil || len(voids) > 0 {
		t.Errorf("%d plays are void, though the device heard them: %v", len(voids), err)
	}
}

// What is watched all the time is stored beside the attempts that cite it.
func TestWhatIsWatchedAllTheTimeIsStored(t *testing.T) {
	d := new(device)
	r := newDevice(t, d)
	var last bench.Instant
	r.OpenBench = func(int) (*campaign.Bench, error) {
		return &campaign.Bench{
			Player: d, Oracles: []oracle.Oracle{d}, Close: func() error { return nil },
			Observed: func(until bench.Instant) results.Observed {
				o := results.Observed{
					Traffic: results.Traffic{
						Watched: bench.Span{Start: last, End: until},
						Packets: []bench.Packet{{At: last, Size: 100, Payload: 40, Direction: bench.Outgoing}},
					},
				}
				last = until
				return o
			},
		}, nil
	}
	r.run()
	n := 0
	for _, err := range r.store.Packets(1, 0, bench.Span{End: last}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 18 {
		t.Errorf("%d packets stored of 18", n)
	}
}
