package calibration_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/calibration"
	"wakefuzz/campaign"
	"wakefuzz/oracle"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
	"wakefuzz/playback"
	"wakefuzz/tts"
)

const ms = time.Millisecond

// device is a bench with a device on a virtual clock. It reacts to what is
// not silent.
type device struct {
	// hears is the lowest level that it reacts to, and deaf says to which
	// plays it doesn't, from 0.
	hears float64
	deaf  func(play int) bool
	// latency is when it reacts after a sound, and lit for how long. blinks is
	// for how long it is then lit and dark in turns, if at all.
	latency, lit time.Duration
	blinks       [2]time.Duration
	// flashes is for how long the light is lit, now and then.
	flashes time.Duration
	// upload lasts so long, in kbit/s. streams is what it sends all the time,
	// and burst what every two minutes, for 3.5 s.
	upload                time.Duration
	rate, streams, bursts float64
	// wired is how the sensor is, and stuck that it never changes.
	wired        light.Polarity
	stuck        bool
	unseen       bool // by the capture
	unwatched    bool // by the capture, at all
	lightFails   string
	restless     string
	speakerFails int // plays that do not sound

	now       bench.Instant
	plays     int
	open      bool
	opened    []calibration.Setting
	reactions []bench.Instant
}

// usual is a device with nothing wrong about it.
func usual() *device {
	return &device{hears: -40, latency: 300 * ms, lit: 4 * time.Second, upload: 5 * time.Second, rate: 200, wired: light.ActiveLow}
}

type fakeBench struct {
	*device
	setting calibration.Setting
}

func (d *device) Open(_ context.Context, s calibration.Setting) (*campaign.Bench, error) {
	if d.open {
		return nil, errors.New("a bench is open already")
	}
	d.open = true
	d.opened = append(d.opened, s)
	f := &fakeBench{d, s}
	b := &campaign.Bench{
		Player: f,
		Settle: func(ctx context.Context, s campaign.SettleSpec) (string, error) {
			d.now = d.now.Add(8 * time.Second)
			return d.restless, ctx.Err()
		},
		Close: func() error { d.open = false; return nil },
	}
	b.Oracles = append(b.Oracles, lightOracle{f})
	if !d.unwatched {
		b.Oracles = append(b.Oracles, trafficOracle{f})
	}
	return b, nil
}

func (f *fakeBench) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	span := bench.Span{Start: f.now, End: f.now.Add(cue.Clip.Duration())}
	f.now = span.End
	if f.speakerFails > 0 {
		f.speakerFails--
		return playback.Sounding{Fault: bench.FaultPlayer, Detail: "it hangs"}, ctx.Err()
	}
	if slices.Max(cue.Clip.Samples) > 0 {
		if f.setting.LevelDBFS >= f.hears && (f.deaf == nil || !f.deaf(f.plays)) {
			f.reactions = append(f.reactions, span.End.Add(f.latency))
		}
		f.plays++
	}
	return playback.Sounding{Span: span}, ctx.Err()
}

type lightOracle struct{ *fakeBench }

func (lightOracle) Name() string          { return light.Name }
func (lightOracle) Window() time.Duration { return 0 }
func (l lightOracle) Observe(ctx context.Context, span bench.Span) (bench.Observation, error) {
	l.now = max(l.now, span.End)
	o := bench.Observation{Oracle: light.Name, Watched: bench.Span{Start: span.Start.Add(-light.Lookback), End: span.End}}
	if l.lightFails != "" {
		o.Fault, o.Detail = bench.FaultOracle, l.lightFails
		return o, ctx.Err()
	}
	var lit []bench.Span
	for _, at := range l.reactions {
		on, off := l.lit, time.Duration(0)
		if l.blinks[0] > 0 {
			on, off = l.blinks[0], l.blinks[1]
		}
		for t := at; t < at.Add(l.lit); t = t.Add(on + off) {
			lit = append(lit, bench.Span{Start: t, End: t.Add(on)})
		}
	}
	for t := bench.Instant(0); l.flashes > 0 && t < span.End; t = t.Add(20 * time.Second) {
		lit = append(lit, bench.Span{Start: t.Add(15 * time.Second), End: t.Add(15*time.Second + l.flashes)})
	}
	inverted := l.wired != l.setting.Polarity
	o.Edges = []bench.Edge{{At: o.Watched.Start, Lit: inverted}}
	slices.SortFunc(lit, func(a, b bench.Span) int { return int(a.Start - b.Start) })
	for _, s := range lit {
		if !l.stuck && s.Start > o.Watched.Start && s.End < o.Watched.End {
			o.Edges = append(o.Edges, bench.Edge{At: s.Start, Lit: !inverted}, bench.Edge{At: s.End, Lit: inverted})
		}
	}
	return o, ctx.Err()
}

type trafficOracle struct{ *fakeBench }

func (trafficOracle) Name() string          { return traffic.Name }
func (trafficOracle) Window() time.Duration { return 0 }
func (t trafficOracle) Observe(ctx context.Context, span bench.Span) (bench.Observation, error) {
	t.now = max(t.now, span.End)
	o := bench.Observation{Oracle: traffic.Name, Watched: bench.Span{Start: span.Start.Add(-traffic.Lookback), End: span.End}}
	if t.unseen {
		return o, ctx.Err()
	}
	const pace = 50 * ms
	first := (o.Watched.Start/bench.Instant(pace) + 1) * bench.Instant(pace)
	for at := first; at < o.Watched.End; at = at.Add(pace) {
		rate := t.streams
		for _, r := range t.reactions {
			if at >= r && at < r.Add(t.upload) {
				rate += t.rate
			}
		}
		since := time.Duration(at) % (2 * time.Minute)
		if since < 3500*ms {
			rate += t.bursts
		}
		if time.Duration(at)%(20*time.Second) < pace {
			rate += 64 // 400 bytes
		}
		if bytes := rate * 1000 / 8 * pace.Seconds(); bytes > 0 {
			o.Packets = append(o.Packets, bench.Packet{At: at, Size: int32(bytes) + 66, Payload: int32(math.Ceil(bytes)), Direction: bench.Outgoing})
		}
	}
	return o, ctx.Err()
}

var (
	_ oracle.Oracle   = lightOracle{}
	_ oracle.Oracle   = trafficOracle{}
	_ playback.Player = (*fakeBench)(nil)
)

func clip() tts.Clip {
	samples := make([]int16, tts.SampleRate)
	samples[0] = 1000
	return tts.Clip{Samples: samples}
}

func session(d *device) calibration.Session {
	return calibration.Session{
		Setting: calibration.Setting{LevelDBFS: -20, Polarity: light.ActiveLow, Light: light.DefaultRule(), Traffic: campaign.TrafficSpec{Detector: campaign.DetectorBurst, Calibrated: traffic.DefaultCalibratedRule(), Burst: traffic.DefaultBurstRule()}},
		Clip:    clip(),
		Silence: 2 * time.Minute,
		Watch:   10 * time.Second,
		Plays:   10,
		Levels:  true,
		Highest: -10.4,
		Open:    d.Open,
		Note:    func(string, ...any) {},
	}
}

// Of each thing that can be wrong with a bench, what is suggested, and what is
// said where nothing can be.
func TestSuggestions(t *testing.T) {
	const (
		window   = "judge.light.window"
		debounce = "judge.light.debounce"
		holdOver = "judge.light.hold_over"
		minLit   = "judge.light.min_lit"
		polarity = "bench.light.polarity"
		rate     = "judge.traffic.rate"
		rows     = "judge.traffic.consecutive"
		latency  = "judge.traffic.latency"
		level    = "bench.player.level_dbfs"
	)
	lightKeys := []string{polarity, window, debounce, holdOver, minLit}
	trafficKeys := []string{rate, rows, latency}
	calibrated := func(_ *device, s *calibration.Session) { s.Setting.Traffic.Detector = campaign.DetectorCalibrated }
	for name, tt := range map[string]struct {
		change  func(*device, *calibration.Session)
		want    map[string]string // that differ from what was
		lacks   []string          // keys of which nothing is said
		problem string
	}{
		"nothing": {func(*device, *calibration.Session) {}, nil, nil, ""},
		"the polarity": {
			func(_ *device, s *calibration.Session) { s.Setting.Polarity = light.ActiveHigh },
			map[string]string{polarity: "active-low"}, nil, "",
		},
		"slow": {
			func(d *device, _ *calibration.Session) { d.latency = 2900 * ms },
			map[string]string{window: "4.5s", latency: "4.5s"}, nil, "",
		},
		"a short window": {
			func(_ *device, s *calibration.Session) { s.Setting.Light.Window = 500 * ms },
			map[string]string{window: "2s"}, nil, "",
		},
		"a ring that pulses slowly": {
			func(d *device, _ *calibration.Session) { d.blinks = [2]time.Duration{50 * ms, 700 * ms} },
			map[string]string{holdOver: "1.1s", minLit: "25ms"}, nil, "",
		},
		"chatter": {
			func(d *device, _ *calibration.Session) { d.blinks = [2]time.Duration{100 * ms, 12 * ms} },
			map[string]string{debounce: "25ms"}, nil, "",
		},
		"flashes": {
			func(d *device, _ *calibration.Session) { d.flashes = 90 * ms },
			map[string]string{minLit: "135ms"}, nil, "",
		},
		"flashes like a reaction": {
			func(d *device, _ *calibration.Session) { d.flashes, d.lit = 500*ms, 900*ms },
			nil, []string{minLit}, "too alike to be told apart",
		},
		"a light that is always lit": {
			func(d *device, s *calibration.Session) { d.stuck, s.Setting.Polarity = true, light.ActiveHigh },
			nil, lightKeys, "look at the wire, the foil and the trimmer",
		},
		"a light that is never lit": {
			func(d *device, _ *calibration.Session) { d.stuck = true },
			nil, lightKeys, "look at where the sensor sits",
		},
		"no sensor": {
			func(d *device, _ *calibration.Session) { d.lightFails = "light: the port is gone" },
			nil, lightKeys, "the port is gone",
		},
		"another device's address": {
			func(d *device, _ *calibration.Session) { d.unseen = true },
			nil, trafficKeys, "no packets of the device at all",
		},
		"no capture": {func(d *device, _ *calibration.Session) { d.unwatched = true }, nil, trafficKeys, ""},
		"no way to its cloud": {
			func(d *device, _ *calibration.Session) { d.rate = 0 },
			nil, trafficKeys, "uploaded after 0 of 10 wake words, though its light came on",
		},
		"bursts slower than uploads": {
			func(d *device, _ *calibration.Session) { d.bursts = 40 },
			map[string]string{rate: "89"}, nil, "",
		},
		"short uploads": {
			func(d *device, _ *calibration.Session) { d.upload = 2 * time.Second },
			map[string]string{rows: "2"}, nil, "",
		},
		"slow uploads": {
			func(d *device, _ *calibration.Session) { d.rate = 16 },
			map[string]string{rate: "4"}, nil, "",
		},
		"one that streams": {
			func(d *device, _ *calibration.Session) { d.streams = 40 },
			map[string]string{rate: "98"}, nil, "",
		},
		"one that streams as fast as it uploads": {
			func(d *device, _ *calibration.Session) { d.streams = 400 },
			nil, trafficKeys, "uploaded after 0 of 10",
		},
		"bursts for three windows": {
			func(d *device, _ *calibration.Session) { d.bursts, d.rate = 45, 100 },
			map[string]string{rows: "4", rate: "47"}, nil, "",
		},
		"the calibrated detector": {calibrated, nil, []string{rate, rows}, ""},
		"slow, by the calibrated detector": {
			func(d *device, s *calibration.Session) { calibrated(d, s); d.latency = 2900 * ms },
			map[string]string{window: "4.5s", latency: "4.5s"}, []string{rate, rows}, "",
		},
		"small uploads, by the calibrated detector": {
			func(d *device, s *calibration.Session) { calibrated(d, s); d.rate = 16 },
			nil, trafficKeys, "of 10 uploads only 0 are as large as",
		},
		"one that streams, by the calibrated detector": {
			func(d *device, s *calibration.Session) { calibrated(d, s); d.streams = 40 },
			nil, trafficKeys, "plays would wait until it sends less than 23: write judge.traffic.detector: burst",
		},
		"a faint loudspeaker": {
			func(d *device, _ *calibration.Session) { d.hears = -21 },
			map[string]string{level: "-11"}, nil, "",
		},
		"a low level": {
			func(d *device, s *calibration.Session) { d.hears, s.Setting.LevelDBFS = -27, -40 },
			map[string]string{level: "-16"}, nil, "",
		},
		"a level above the ceiling": {
			func(_ *device, s *calibration.Session) { s.Setting.LevelDBFS = -4 },
			nil, nil, "",
		},
		"deaf": {
			func(d *device, _ *calibration.Session) { d.hears = 0 },
			nil, slices.Concat(lightKeys, trafficKeys, []string{level}), "no level up to -11 dBFS woke the device",
		},
		"hardly ever woken": {
			func(d *device, s *calibration.Session) {
				s.Levels, d.deaf = false, func(play int) bool { return play != 4 }
			},
			nil, slices.Concat(lightKeys, trafficKeys, []string{level}), "it came on for 1 of 10 wake words",
		},
		"restless": {
			func(d *device, _ *calibration.Session) { d.restless = "its light was not dark" },
			nil, slices.Concat(lightKeys, trafficKeys, []string{level}), "does not come to rest: its light was not dark",
		},
		"a loudspeaker that fails now and then": {func(d *device, _ *calibration.Session) { d.speakerFails = 2 }, nil, nil, ""},
		"a loudspeaker that fails": {
			func(d *device, _ *calibration.Session) { d.speakerFails = 100 },
			nil, slices.Concat(lightKeys, trafficKeys, []string{level}), "the loudspeaker: it hangs",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := usual()
			s := session(d)
			tt.change(d, &s)
			record, err := s.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d.open {
				t.Error("the bench was left open")
			}
			report := record.Report()
			got, said := map[string]string{}, map[string]bool{}
			for _, s := range report.Suggestions {
				said[s.Key] = true
				if s.Why == "" {
					t.Errorf("no reason for %s", s.Key)
				}
				if s.New != s.Old {
					got[s.Key] = s.New
				}
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("suggests %v, want %v\n%+v", got, tt.want, report.Suggestions)
			}
			for _, key := range slices.Concat(lightKeys, trafficKeys, []string{level}) {
				if said[key] == slices.Contains(tt.lacks, key) {
					t.Errorf("%s is among the suggestions: %v", key, said[key])
				}
			}
			problems := strings.Join(report.Problems, "\n")
			if (tt.problem == "") != (problems == "") || !strings.Contains(problems, tt.problem) {
				t.Errorf("problems %q, want %q", problems, tt.problem)
			}
		})
	}
}

// Written into the spec, the suggestions are kept the next time.
func TestSuggestionsLast(t *testing.T) {
	d := usual()
	d.latency, d.streams, d.blinks, d.hears = 2500*ms, 40, [2]time.Duration{60 * ms, 500 * ms}, -21
	s := session(d)
	s.Setting.Polarity = light.ActiveHigh
	record, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again := session(d)
	for _, suggestion := range record.Report().Suggestions {
		set(t, &again.Setting, suggestion)
	}
	if again.Setting.Light == s.Setting.Light || again.Setting.Traffic == s.Setting.Traffic || again.Setting.LevelDBFS == s.Setting.LevelDBFS {
		t.Fatalf("nothing was suggested: %+v", again.Setting)
	}
	if record, err = again.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range record.Report().Suggestions {
		if s.New != s.Old {
			t.Errorf("now it suggests %+v", s)
		}
	}
}

func set(t *testing.T, s *calibration.Setting, to calibration.Suggestion) {
	t.Helper()
	duration := func() time.Duration {
		d, err := time.ParseDuration(to.New)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	number := func() float64 {
		x, err := strconv.ParseFloat(to.New, 64)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	switch to.Key {
	case "bench.player.level_dbfs":
		s.LevelDBFS = number()
	case "bench.light.polarity":
		s.Polarity = light.Polarity(to.New)
	case "judge.light.window":
		s.Light.Window = duration()
	case "judge.light.debounce":
		s.Light.Debounce = duration()
	case "judge.light.min_lit":
		s.Light.MinLit = duration()
	case "judge.light.hold_over":
		s.Light.HoldOver = duration()
	case "judge.traffic.rate":
		s.Traffic.Burst.Rate = number()
	case "judge.traffic.consecutive":
		s.Traffic.Burst.Consecutive = int(number())
	case "judge.traffic.latency":
		s.Traffic.Calibrated.Latency, s.Traffic.Burst.Latency = duration(), duration()
	default:
		t.Fatalf("no such key: %s", to.Key)
	}
}

// Whatever the lowest level is, it is found, and in few steps.
func TestLowestLevel(t *testing.T) {
	for hears := -60.; hears <= -11; hears += 2.5 {
		d := usual()
		d.hears = hears
		s := session(d)
		s.Silence, s.Plays = 10*time.Second, 3
		record, err := s.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := math.Ceil((hears+20)/3)*3 - 20 // the grid that -20 is on
		want = max(want, -50)
		var lowest float64
		for _, l := range slices.Backward(record.Report().Levels) {
			if l.Woke < l.Plays {
				break
			}
			lowest = l.DBFS
		}
		if lowest != want || len(record.Steps) > 5 {
			t.Errorf("of a device that hears %g dBFS the lowest is %g, want %g, in %d steps", hears, lowest, want, len(record.Steps))
		}
		if got, want := record.Used.LevelDBFS, max(-20, min(lowest+9, -11)); got != want {
			t.Errorf("lowest %g: it speaks at %g, want %g", lowest, got, want)
		}
	}
}

// A bench that fails, or an end of the context, ends it at once, with the bench
// closed.
func TestEnds(t *testing.T) {
	d := usual()
	s := session(d)
	ctx, cancel := context.WithCancel(t.Context())
	s.Note = func(format string, _ ...any) {
		if strings.HasPrefix(format, "wake word") {
			cancel()
		}
	}
	if _, err := s.Run(ctx); !errors.Is(err, context.Canceled) || d.open || d.plays != 1 {
		t.Errorf("error %v, open %v, %d plays", err, d.open, d.plays)
	}
	s = session(usual())
	broken := errors.New("no such port")
	s.Open = func(context.Context, calibration.Setting) (*campaign.Bench, error) { return nil, broken }
	if _, err := s.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// A device whose background traffic is above the rule's rate can be waited for
// only by another.
func TestRateWhileCalibrating(t *testing.T) {
	d := usual()
	d.streams = 40
	s := session(d)
	if _, err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if last := d.opened[len(d.opened)-1]; last.Traffic.Burst.Rate <= 40 {
		t.Errorf("the bench is opened with %+v", last.Traffic)
	}
}
