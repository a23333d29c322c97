package scan_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
	"wakefuzz/internal/idletraffic"
	"wakefuzz/results"
	"wakefuzz/scan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plan tries two wake words, a sound, and four words.
func plan() scan.Plan {
	p := scan.Plan{Pace: scan.PaperPace(), Confirm: 1, Seed: 1, Probes: []scan.Probe{
		{Kind: scan.WakeWord, Name: "alexa", Says: []string{"alexa"}},
		{Kind: scan.WakeWord, Name: "hey jarvis", Says: []string{"hey jarvis"}},
		{Kind: scan.Sound, Name: "glass.wav", Says: []string{"glass.wav"}},
		{Kind: scan.Words, Says: []string{"banana", "window", "table", "seven"}},
	}}
	clear(texts)
	for _, probe := range p.Probes {
		for _, says := range probe.Says {
			texts[int16(len(texts)+1)] = says
		}
	}
	return p
}

// runner scans a home into a folder.
func (h *home) runner(t *testing.T, dir string) *scan.Runner {
	t.Helper()
	folder, err := scan.Open(dir, "the spec", func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	return &scan.Runner{
		Plan: plan(), Judging: scan.DefaultJudging(), Folder: folder,
		Player: h, Clip: clip, Listen: h.listen, Pair: h.pair,
		Begin: func(scan.Task, int) {},
		Note:  t.Logf,
	}
}

// reactions are the probes that each device is reported to react to.
func reactions(t *testing.T, r *scan.Runner) map[string][]string {
	t.Helper()
	rounds, err := r.Folder.Rounds()
	if err != nil {
		t.Fatal(err)
	}
	report, err := r.Judging.Judge(r.Plan, rounds, r.Folder.Load)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, d := range report.Devices {
		found[d.Address.String()] = []string{}
		for i, f := range d.Probes {
			if f.Reacts {
				found[d.Address.String()] = append(found[d.Address.String()], r.Plan.Probes[i].String())
			}
		}
		if d.Reacts() != (len(found[d.Address.String()]) > 0) {
			t.Errorf("%s reacts to %q, and to any sound: %+v", d.Address, found[d.Address.String()], d.Any)
		}
	}
	return found
}

// want is what the home's devices react to.
var want = map[string][]string{
	speakers.MAC: {`"alexa"`},
	cameras.MAC:  {`"alexa"`, `"hey jarvis"`, `"glass.wav"`, "random words"},
	alarms.MAC:   {},
}

func check(t *testing.T, r *scan.Runner) {
	t.Helper()
	found := reactions(t, r)
	for device, to := range want {
		if !slices.Equal(found[device], to) {
			t.Errorf("%s reacts to %q, want %q", device, found[device], to)
		}
	}
	if len(found) != len(want) {
		t.Errorf("there are %d devices: %v", len(found), found)
	}
}

func TestScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome()
		h.live(t.Context())
		r := h.runner(t, t.TempDir())
		if err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(t, r)
		// Four probes, and all of them again since the camera minds all.
		if len(h.played) != 2*4*6 {
			t.Errorf("%d plays", len(h.played))
		}
		if err := r.Run(t.Context()); err != nil || len(h.played) != 2*4*6 {
			t.Errorf("a scan that is done plays again: %d plays, %v", len(h.played), err)
		}
	})
}

// Whatever spoils a round, and wherever a scan is cut off, in the end every round
// was played once.
func TestScanGoesOn(t *testing.T) {
	for name, spoil := range map[string]func(h *home, end context.CancelFunc){
		"interrupted":     func(_ *home, end context.CancelFunc) { end() },
		"loudspeaker":     func(h *home, _ context.CancelFunc) { h.fault = "it is gone" },
		"clock set ahead": func(h *home, _ context.CancelFunc) { h.set += time.Hour },
		"clock set back":  func(h *home, _ context.CancelFunc) { h.set -= time.Minute },
		"interface is down": func(h *home, _ context.CancelFunc) {
			h.sources[len(h.sources)-1].down <- fmt.Errorf("%w: down", capture.ErrInterface)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHome()
				h.live(t.Context())
				r := h.runner(t, t.TempDir())
				ctx, end := context.WithCancel(t.Context())
				spoiled := 0
				h.onPlay = func() {
					h.mu.Lock()
					defer h.mu.Unlock()
					if n := len(h.played); n == 9 || n == 33 {
						spoiled++
						spoil(h, end)
					}
				}
				for err := r.Run(ctx); err != nil; err = r.Run(ctx) {
					if ctx.Err() == nil {
						t.Fatal(err)
					}
					ctx, end = context.WithCancel(t.Context())
				}
				end()
				check(t, r)
				if spoiled != 2 || len(h.played) <= 2*4*6 {
					t.Errorf("%d rounds were spoiled, and there are %d plays", spoiled, len(h.played))
				}
				files, err := filepath.Glob(filepath.Join(r.Folder.Path(), "rounds", "*"))
				if err != nil || len(files) != 2*2*4 {
					t.Errorf("%d files, %v", len(files), err)
				}
			})
		})
	}
}

func TestScanThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome()
		r := h.runner(t, t.TempDir())
		r.Plan.Pace.Every = 5 * time.Second
		if err := r.Run(t.Context()); !errors.Is(err, scan.ErrPace) {
			t.Errorf("too fast: %v", err)
		}
		r.Plan.Pace = scan.PaperPace()
		r.Limit = 1
		if err := r.Run(t.Context()); !errors.Is(err, scan.ErrFull) {
			t.Errorf("without room: %v", err)
		}
		var locked *results.LockedError
		if _, err := scan.Open(r.Folder.Path(), "", nil); !errors.As(err, &locked) {
			t.Errorf("open twice: %v", err)
		}
		r.Listen = func(context.Context) (scan.Source, error) { return nil, os.ErrPermission }
		r.Limit = 0
		if err := r.Run(t.Context()); !errors.Is(err, os.ErrPermission) {
			t.Errorf("without the right to capture: %v", err)
		}
	})
}

// Of scans of devices that hear nothing, about as many report a reaction as the
// level says, or fewer, whatever the devices send.
func TestNothingHeard(t *testing.T) {
	const scans, most, length = 40, 18, 130 * time.Second
	j := scan.DefaultJudging()
	plan := scan.Plan{Pace: scan.PaperPace(), Probes: make([]scan.Probe, 6)}
	wrong, small, probesAgain := 0, 0, 0
	for seed := range uint64(scans) {
		traffic := map[capture.Address][]bench.Packet{}
		for i, profile := range idletraffic.Profiles() {
			whole := bench.Span{End: bench.Instant(most * length)}
			traffic[capturetest.Address(fmt.Sprintf("02:00:00:00:01:%02x", i))] = slices.Collect(profile.Packets(seed*100+uint64(i), whole))
		}
		var rounds []scan.Round
		recordings := map[scan.Task]scan.Recording{}
		load := func(r scan.Round) (scan.Recording, error) { return recordings[r.Task], nil }
		add := func(task scan.Task) {
			began := bench.Instant(len(rounds)) * bench.Instant(length)
			r := scan.Recording{Packets: map[capture.Address][]bench.Packet{}, Round: round(task)}
			for address, packets := range traffic {
				for _, p := range packets {
					if p.At -= began; p.At >= 0 && p.At < bench.Instant(length) {
						r.Packets[address] = append(r.Packets[address], p)
					}
				}
			}
			rounds, recordings[task] = append(rounds, r.Round), r
		}
		for i := range plan.Probes {
			add(scan.Task{Probe: i})
		}
		candidates, err := j.Candidates(plan, rounds, load)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range candidates {
			probesAgain++
			for repeat := range 2 {
				add(scan.Task{Probe: i, Repeat: repeat, Confirms: true})
			}
		}
		report, err := j.Judge(plan, rounds, load)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(report.Devices, func(d scan.Device) bool {
			return d.Any.Q <= j.Level || slices.ContainsFunc(d.Probes, func(f scan.Finding) bool { return f.Q <= j.Level })
		}) {
			small++
		}
		if slices.ContainsFunc(report.Devices, scan.Device.Reacts) {
			wrong++
		}
	}
	t.Logf("of %d scans %d have a small p-value and %d report a reaction; %d probes were repeated", scans, small, wrong, probesAgain)
	// By two families at 5 % each, four scans or fewer have one on average; nine
	// and more come by chance once in fifty times.
	if small > 8 || wrong > 4 || probesAgain == 0 {
		t.Error("too many")
	}
}

// round is one at the paper's pace.
func round(task scan.Task) scan.Round {
	r := scan.Round{
		Task:    task,
		Idle:    bench.Span{Start: seconds(10), End: seconds(70)},
		Probing: bench.Span{Start: seconds(70), End: seconds(130)},
	}
	for i := range 6 {
		r.Plays = append(r.Plays, scan.Play{Sound: bench.Span{Start: seconds(70 + 10*i), End: seconds(71 + 10*i)}})
	}
	return r
}

// A device that nothing was heard of until late was silent before, which counts.
func TestDeviceThatIsSeenLate(t *testing.T) {
	address := capturetest.Address(speakers.MAC)
	plan := scan.Plan{Pace: scan.PaperPace(), Probes: make([]scan.Probe, 6)}
	var rounds []scan.Round
	for i := range plan.Probes {
		rounds = append(rounds, round(scan.Task{Probe: i}))
	}
	held := 0
	report, err := scan.DefaultJudging().Judge(plan, rounds, func(r scan.Round) (scan.Recording, error) {
		recording := scan.Recording{Round: r}
		if r.Task.Probe == len(rounds)-1 { // it uploads after each sound
			var packets []bench.Packet
			for _, p := range r.Plays {
				for at := p.Sound.End; at < p.Sound.End.Add(3*time.Second); at = at.Add(50 * time.Millisecond) {
					packets = append(packets, bench.Packet{At: at, Size: 1500, Payload: 1400, Direction: bench.Outgoing})
				}
			}
			held = len(packets)
			recording.Packets = map[capture.Address][]bench.Packet{address: packets}
		}
		return recording, nil
	})
	if err != nil || len(report.Devices) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	// Of six windows among sixty idle ones all are the largest.
	d := report.Devices[0]
	if f := d.Probes[5]; d.Packets != held || !f.Reacts || f.Reacted != 6 || f.P > 1e-3 {
		t.Errorf("%+v", d)
	}
	for i, f := range d.Probes[:5] {
		if f.Plays != 6 || f.Reacted != 0 || f.P < 0.5 {
			t.Errorf("probe %d: %+v", i, f)
		}
	}
}

// A rule that looks on until after the next sound can't judge.
func TestRuleThatLooksTooLong(t *testing.T) {
	plan := scan.Plan{Pace: scan.PaperPace(), Probes: make([]scan.Probe, 1)}
	rounds := []scan.Round{round(scan.Task{})}
	load := func(r scan.Round) (scan.Recording, error) { return scan.Recording{Round: r}, nil }
	j := scan.DefaultJudging()
	j.Rule.Latency = 6 * time.Second // 1 s of sound, 6 s, and 3 s that an upload takes
	if _, err := j.Judge(plan, rounds, load); err != nil {
		t.Error(err)
	}
	j.Rule.Latency = 7 * time.Second
	if _, err := j.Judge(plan, rounds, load); !errors.Is(err, scan.ErrPace) || !strings.Contains(err.Error(), "lower judge.calibrated.latency") {
		t.Errorf("error %v", err)
	}
	if _, err := j.Judge(plan, nil, load); err != nil {
		t.Errorf("nothing to judge: %v", err)
	}
}

func seconds(n int) bench.Instant { return bench.Instant(n) * bench.Instant(time.Second) }

func TestPlan(t *testing.T) {
	s := scan.Default()
	s.Probes.WakeWords = []string{"alexa", "hey jarvis"}
	s.Probes.Sounds = []string{"glass.wav"}
	s.Probes.Random = scan.RandomSpec{Words: 14, After: []string{"alexa"}}
	words := strings.Fields("one two three four five six seven eight nine ten eleven twelve alexa thirteen fourteen fifteen")
	p := s.Plan(words)
	var names []string
	for _, probe := range p.Probes {
		names = append(names, probe.String())
	}
	if !slices.Equal(names, []string{`"alexa"`, `"hey jarvis"`, `"glass.wav"`, "random words", `"alexa" and a random word`}) {
		t.Errorf("the probes are %q", names)
	}
	random := p.Probes[3].Says
	if len(random) != 14 || slices.Contains(random, "alexa") {
		t.Errorf("the random words are %q", random)
	}
	if after := p.Probes[4].Says; after[0] != "alexa, "+random[0] || len(after) != 14 {
		t.Errorf("after the wake word: %q", after)
	}
	// Fourteen words take three rounds of six plays.
	if n := len(p.First()); n != 1+1+1+3+3 {
		t.Errorf("%d rounds at first", n)
	}
	if n := len(p.Second([]int{0, 3})); n != 2*1+2*3 {
		t.Errorf("%d rounds of candidates", n)
	}
	if !slices.Equal(p.First(), s.Plan(words).First()) {
		t.Error("two plans of one spec differ")
	}
}

func FuzzDecodeRound(f *testing.F) {
	text, err := scan.Round{
		Began: time.Unix(1e9, 0).UTC(), Idle: bench.Span{Start: 1, End: 2}, Probing: bench.Span{Start: 2, End: 9},
		Plays: []scan.Play{{Says: "alexa", Sound: bench.Span{Start: 3, End: 4}}},
	}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"idle":[0,1],"probing":[1,99999999999999999]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := scan.DecodeRound(text)
		if err != nil {
			if !errors.Is(err, scan.ErrRound) {
				t.Errorf("error %v", err)
			}
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if r2, err := scan.DecodeRound(again); err != nil || !r2.Began.Equal(r.Began) || !slices.Equal(r2.Plays, r.Plays) || r2.Task != r.Task {
			t.Errorf("%s\nreads as %+v, %v", again, r2, err)
		}
	})
}
