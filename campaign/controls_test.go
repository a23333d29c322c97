package campaign_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/internal/fakebench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
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
	stutter  func(play int) bool // of the loudspeaker
	lit      bool
}

func (d *device) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	d.played++
	if d.stutter != nil && d.stutter(d.played) {
		return playback.Sounding{Fault: bench.FaultPlayer, Detail: "it stuttered"}, nil
	}
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

// A device that hears less and less still reacts to most controls. That is
// noticed too, the plays since it began are void, and the campaign waits until the
// device is well.
func TestDriftIsNoticed(t *testing.T) {
	night := func(d *device) *rig {
		spec := parse(t, physicalSpec)
		spec.Protocol.Plays = 3
		r := &rig{t: t, dir: t.TempDir(), spec: spec}
		store, err := campaign.Create(r.dir, r.spec, wake, screenedWords(), "test")
		if err != nil {
			t.Fatal(err)
		}
		r.use(store)
		r.screening()
		r.OpenBench = func(int) (*campaign.Bench, error) {
			return &campaign.Bench{Player: d, Oracles: []oracle.Oracle{d}, Settle: d.settle, Close: func() error { return nil }}, nil
		}
		return r
	}
	whole := night(new(device))
	whole.run()

	repaired := false
	lots := rand.New(rand.NewPCG(1, 2))
	d := &device{deaf: func(play int) bool {
		worse := min(0.6, float64(play-60)/100) // it misses more and more, up to six in ten
		return !repaired && lots.Float64() < worse
	}}
	r := night(d)
	var notes []string
	r.Note = func(format string, args ...any) {
		notes = append(notes, fmt.Sprintf(format, args...))
		repaired = repaired || strings.Contains(notes[len(notes)-1], "less and less often")
	}
	synctest.Test(t, func(t *testing.T) {
		if standing, err := r.Run(t.Context()); err != nil || !standing.Over() {
			t.Errorf("%+v, error %v", standing, err)
		}
	})
	if !repaired {
		t.Fatalf("nobody noticed: %q", notes)
	}
	voids, err := r.store.Voids()
	if err != nil || len(voids) < 10 {
		t.Errorf("%d plays were taken back, %v", len(voids), err)
	}
	// What is left is at most what was missed before the likeliest beginning.
	wrong := 0
	for _, row := range r.report().Words {
		if row.Reacted < int(3*screenedRates[row.Trial.Word]) {
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("%d words have a wrong no", wrong)
	}
	if len(notes) > 8 {
		t.Errorf("notes %q", notes)
	}
}

// A drift that is noticed in a later batch takes back what was played in an
// earlier one, and a word that the device had missed there is played in all the
// rounds after all.
func TestDriftReachesBackOverBatches(t *testing.T) {
	spec := parse(t, strings.NewReplacer(
		"  plays: 2\ncontrols:\n  every: 1", "  plays: 2\n  kind: rounds\n  rounds: {screens: [1]}\ncontrols:\n  drift: {miss: 0.05, lost: 0.5, between: 200}\n  every: 3",
	).Replace(physicalSpec))
	r := &rig{t: t, dir: t.TempDir(), spec: spec}
	store, err := campaign.Create(r.dir, r.spec, wake, screenedWords()[6:9], "test")
	if err != nil {
		t.Fatal(err)
	}
	r.use(store)
	r.screening()
	// Once the campaign has begun with a control, every second wake word is missed.
	wakes, repaired := 0, false
	d := &device{deaf: func(int) bool {
		wakes++
		return !repaired && wakes > 2 && wakes%2 == 0
	}}
	r.OpenBench = func(int) (*campaign.Bench, error) {
		return &campaign.Bench{Player: d, Oracles: []oracle.Oracle{d}, Close: func() error { return nil }}, nil
	}
	batch := 0
	r.Report = func(e campaign.Event) {
		if !repaired {
			batch = e.Standing.Batch
		}
	}
	r.Note = func(format string, args ...any) {
		repaired = repaired || strings.Contains(fmt.Sprintf(format, args...), "less and less often")
	}
	synctest.Test(t, func(t *testing.T) {
		if standing, err := r.Run(t.Context()); err != nil || !standing.Over() || standing.Hits != 2 {
			t.Errorf("%+v, error %v", standing, err)
		}
	})
	if !repaired || batch != 2 {
		t.Errorf("noticed: %v, in batch %d", repaired, batch)
	}
	report := r.report()
	for _, row := range report.Words {
		if row.Reacted != 2 {
			t.Errorf("%s: %d of %d", row.Trial.Word, row.Reacted, row.Measured)
		}
	}
	if len(report.Words) != 2 || report.Totals.Voided == 0 {
		t.Errorf("%d words in the last stage, %+v", len(report.Words), report.Totals)
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

// A control that could not be measured says nothing of the device.
func TestControlThatIsNotMeasured(t *testing.T) {
	whole := newDevice(t, new(device))
	whole.run()
	// Plays 5 and 6 are the second control.
	r := newDevice(t, &device{stutter: func(play int) bool { return play == 5 || play == 6 }})
	r.Note = func(format string, args ...any) { t.Errorf("it said: "+format, args...) }
	if tally := r.run(); tally.Left() != 0 {
		t.Errorf("%d plays left", tally.Left())
	}
	if got, want := r.csv(), whole.csv(); got != want {
		t.Errorf("with a loudspeaker that stuttered:\n%s\nwithout:\n%s", got, want)
	}
	if voids, err := r.store.Voids(); err != nil || len(voids) > 0 {
		t.Errorf("%d plays are void, error %v", len(voids), err)
	}
}

// wire watches the traffic of a device that uploads whenever it lights up, but
// for some plays.
type wire struct {
	*device
	dead func(play int) bool
	sent []bench.Packet // that are not stored yet
	from bench.Instant
}

func (*wire) Name() string { return traffic.Name }

func (w *wire) Window() time.Duration { return traffic.DefaultBurstRule().Watch() }

func (w *wire) Observe(ctx context.Context, watched bench.Span) (bench.Observation, error) {
	if _, err := w.Bench.Observe(ctx, watched); err != nil { // which moves the clock
		return bench.Observation{}, err
	}
	o := bench.Observation{Oracle: traffic.Name, Watched: watched}
	if w.lit && !w.dead(w.played) {
		for at := watched.Start; at < watched.End; at = at.Add(100 * time.Millisecond) {
			o.Packets = append(o.Packets, bench.Packet{At: at, Size: 1066, Payload: 1000, Direction: bench.Outgoing})
		}
	}
	w.sent = o.Packets
	return o, nil
}

func (w *wire) observed(until bench.Instant) results.Observed {
	o := results.Observed{Traffic: []results.Traffic{{Watched: bench.Span{Start: w.from, End: until}, Packets: w.sent}}}
	w.sent, w.from = nil, until
	return o
}

// Where one sense is lost, the controls say so, and when it is back. Whether
// the campaign can do without it is for the verdict to say.
func TestSenseThatIsLost(t *testing.T) {
	const (
		lost   = `"alexa" wakes the device, but its traffic does not show it`
		back   = `its traffic shows again that "alexa" wakes the device`
		paused = `"alexa" no longer wakes the device, though its light still reacts`
		heard  = "the device hears again"
	)
	tests := []struct {
		verdict string
		dead    func(play int) bool
		notes   []string
		voided  int
	}{
		{"light", func(int) bool { return false }, nil, 0},
		{"light", func(int) bool { return true }, []string{lost}, 0},
		{"light", func(play int) bool { return play > 4 && play <= 10 }, []string{lost, back}, 0}, // two controls
		{"light", func(play int) bool { return play%2 == 1 }, nil, 0},                             // in each control it is seen once
		{"any", func(play int) bool { return play > 4 && play <= 10 }, []string{lost, back}, 0},
		// The plays of a word and of the control behind it are void.
		{"all", func(play int) bool { return play > 2 && play <= 10 }, []string{paused, heard}, 4},
	}
	for _, test := range tests {
		d := new(device)
		r := newRigOf(t, parse(t, strings.Replace(physicalSpec, "protocol:", "  traffic: {driver: tap}\njudge: {verdict: "+test.verdict+"}\nprotocol:", 1)))
		w := &wire{device: d, dead: test.dead}
		r.OpenBench = func(int) (*campaign.Bench, error) {
			return &campaign.Bench{Player: d, Oracles: []oracle.Oracle{d, w}, Observed: w.observed, Close: func() error { return nil }}, nil
		}
		var notes []string
		r.Note = func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
		synctest.Test(t, func(t *testing.T) {
			tally, err := r.Run(t.Context())
			if err != nil || tally.Left() != 0 {
				t.Errorf("%d plays left, error %v", tally.Left(), err)
			}
		})
		if !slices.EqualFunc(notes, test.notes, strings.HasPrefix) {
			t.Errorf("verdict by %s: it said %q, want %q", test.verdict, notes, test.notes)
		}
		if voids, err := r.store.Voids(); err != nil || len(voids) != test.voided {
			t.Errorf("verdict by %s: %d plays are void, error %v; want %d", test.verdict, len(voids), err, test.voided)
		}
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
					Traffic: []results.Traffic{{
						Watched: bench.Span{Start: last, End: until},
						Packets: []bench.Packet{{At: last, Size: 100, Payload: 40, Direction: bench.Outgoing}},
					}},
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
