package traffic_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wakefuzz/bench"
	"wakefuzz/internal/idletraffic"
	"wakefuzz/oracle/traffic"
	"wakefuzz/stats"
)

const hour = 60 * minute

// scan feeds packets to a scanner and returns what it found.
func scan(s traffic.Scanner, packets func(func(bench.Packet) bool)) traffic.Findings {
	var last bench.Instant
	for p := range packets {
		s.Packet(p)
		last = p.At
	}
	return s.Findings(last)
}

// speech is uploads every two to twelve minutes of the span.
func speech(seed uint64, span bench.Span) []idletraffic.Upload {
	rng := rand.New(rand.NewPCG(seed, 0))
	var uploads []idletraffic.Upload
	for at := span.Start.Add(time.Minute); at < span.End-minute; {
		uploads = append(uploads, idletraffic.SomeUpload(rng, at))
		at = at.Add(time.Duration((2 + 10*rng.Float64()) * float64(time.Minute)))
	}
	return uploads
}

// Fifty hours of each device, without a word of what is idle: of speech that is
// streamed 99 in 100 are found, and there are no more false alarms than one in
// five hours. The plain rule, beside it, finds no more and alarms no less.
func TestCalibratedScanner(t *testing.T) {
	for _, profile := range idletraffic.Profiles() {
		t.Run(profile.Name, func(t *testing.T) {
			t.Parallel()
			night := bench.Span{End: 50 * hour}
			idle := scan(traffic.DefaultCalibratedRule().Scanner(), profile.Packets(1, night))
			if alarms := len(idle.Activations); alarms > 10 {
				t.Errorf("%d false alarms in 50 idle hours", alarms)
			}
			uploads := speech(2, night)
			spoken := func(s traffic.Scanner) (found, alarms int) {
				return match(uploads, scan(s, profile.With(profile.Packets(1, night), uploads...)).Activations)
			}
			found, alarms := spoken(traffic.DefaultCalibratedRule().Scanner())
			plainly, plainAlarms := spoken(traffic.PlainVolumeRule().Scanner())
			t.Logf("of %d uploads %d were found with %d false alarms, and %d with %d by the plain rule",
				len(uploads), found, alarms, plainly, plainAlarms)
			if found*100 < len(uploads)*99 || alarms > 10 || found < plainly || alarms > plainAlarms+1 {
				t.Error("that is not as good as it should be")
			}
		})
	}
}

// Where half of the time is stated to be idle, the other half is judged by it:
// p-values are exact, and activations are at the accepted rate or below.
func TestCalibratedScannerWithIdleSpan(t *testing.T) {
	for _, profile := range idletraffic.Profiles() {
		t.Run(profile.Name, func(t *testing.T) {
			t.Parallel()
			idle, rest := bench.Span{End: 25 * hour}, bench.Span{Start: 25 * hour, End: 50 * hour}
			uploads := speech(3, rest)
			got := scan(traffic.DefaultCalibratedRule().Scanner(idle),
				profile.With(profile.Packets(4, bench.Span{End: rest.End}), uploads...))
			found, alarms := match(uploads, got.Activations)
			if found*100 < len(uploads)*99 || alarms > 10 {
				t.Errorf("%d of %d found, %d false alarms; notes %q", found, len(uploads), alarms, got.Notes)
			}
			for _, a := range got.Activations {
				if a.P.Approximate || a.P.Value > 0.2*3/3600 {
					t.Errorf("an activation has p = %+v", a.P)
				}
			}
		})
	}
}

// What is stated to be idle and holds activations all the same neither deafens
// the detector nor goes unsaid. Half an hour of it is less to learn from: 98 in
// 100 are found.
func TestCalibratedScannerWithContaminatedIdleSpan(t *testing.T) {
	night := bench.Span{End: 20 * hour}
	for _, profile := range idletraffic.Profiles() {
		for _, idle := range []bench.Span{{End: hour / 2}, {End: 2 * hour}, {End: 10 * hour}} {
			uploads := speech(5, night)
			got := scan(traffic.DefaultCalibratedRule().Scanner(idle), profile.With(profile.Packets(6, night), uploads...))
			found, alarms := match(uploads, got.Activations)
			if found*100 < len(uploads)*98 || alarms > 4 || !noted(got, "look like activations") {
				t.Errorf("%s, %v idle: %d of %d found, %d false alarms, notes %q", profile.Name, idle.Duration(), found, len(uploads), alarms, got.Notes)
			}
		}
	}
}

func noted(f traffic.Findings, what string) bool {
	return slices.ContainsFunc(f.Notes, func(n string) bool { return strings.Contains(n, what) })
}

func TestCalibratedScannerSaysWhatLimitsIt(t *testing.T) {
	usual, chatty := idletraffic.Profiles()[1], idletraffic.Profiles()[2]
	day := bench.Span{End: 20 * hour}
	slow := usual // its own bursts are as large and slow as speech
	slow.Habits = append(slices.Clone(usual.Habits), idletraffic.Habit{Every: 10 * time.Minute, Jitter: 0.01, Least: 40_000, Most: 50_000, Rate: 16_000})
	rule := traffic.DefaultCalibratedRule()

	short := scan(rule.Scanner(bench.Span{End: hour}), usual.With(usual.Packets(1, day), speech(1, bench.Span{Start: hour, End: day.End})...))
	if !noted(short, "too little to show 0.2 false alarms an hour, which takes 5h0m0s; no p-value is below 1/1198") {
		t.Errorf("an hour of idle traffic is noted as %q", short.Notes)
	}
	for _, a := range short.Activations {
		if a.P.Value < 1.0/1198 {
			t.Errorf("an hour of idle traffic gives p = %g", a.P.Value)
		}
	}

	drifted := scan(rule.Scanner(day), idletraffic.Merge(usual.Packets(1, bench.Span{End: 10 * hour}), chatty.Packets(1, bench.Span{Start: 10 * hour, End: day.End})))
	if !noted(drifted, "drifted") {
		t.Errorf("traffic that drifts is noted as %q", drifted.Notes)
	}
	if steady := scan(rule.Scanner(day), chatty.Packets(1, day)); noted(steady, "drifted") {
		t.Errorf("steady traffic is noted as %q", steady.Notes)
	}

	stated := scan(rule.Scanner(bench.Span{End: 10 * hour}), slow.Packets(1, day))
	if !noted(stated, "every 10m0s the idle device sends as much as speech") || len(stated.Activations) > 4 {
		t.Errorf("regular large bursts in idle traffic give %d activations, notes %q", len(stated.Activations), stated.Notes)
	}
	unstated := scan(rule.Scanner(), slow.Packets(1, day))
	if !noted(unstated, "the activations come every 10m0s") {
		t.Errorf("regular large bursts give notes %q", unstated.Notes)
	}
	for _, a := range unstated.Activations {
		if !a.P.Approximate {
			t.Errorf("nothing was stated to be idle, and p = %+v", a.P)
		}
	}

	one := scan(rule.Scanner(), slices.Values(idletraffic.Upload{At: minute, Kept: time.Second, Speech: 3 * time.Second, Rate: 16_000}.Packets()))
	if len(one.Activations) != 1 || !noted(one, "too little to learn from") {
		t.Errorf("a single command gives %+v", one)
	}
	beyond := scan(rule.Scanner(bench.Span{Start: 900 * hour, End: 910 * hour}), usual.Packets(1, day))
	if !noted(beyond, "0s of idle traffic is too little") {
		t.Errorf("an idle span beyond the capture is noted as %q", beyond.Notes)
	}
}

// A clock that was set, or a pause, is no idle traffic and joins nothing.
func TestCalibratedScannerAcrossGaps(t *testing.T) {
	command := func(at bench.Instant) []bench.Packet {
		return idletraffic.Upload{At: at, Kept: time.Second, Speech: 3 * time.Second, Rate: 16_000}.Packets()
	}
	s := traffic.DefaultCalibratedRule().Scanner()
	for _, p := range command(minute) {
		s.Packet(p)
	}
	s.Gap(bench.Span{Start: minute.Add(3 * time.Second), End: 90_000 * hour})
	for _, p := range command(90_000 * hour) {
		s.Packet(p)
	}
	for _, p := range command(2 * 90_000 * hour) { // without a word
		s.Packet(p)
	}
	got := s.Findings(3 * 90_000 * hour)
	if len(got.Activations) != 3 {
		t.Fatalf("three commands give %+v", got.Activations)
	}
	for i, at := range []bench.Instant{minute, 90_000 * hour, 2 * 90_000 * hour} {
		a := got.Activations[i]
		if a.Span.Start < at.Add(-100*ms) || a.Span.Start > at || a.Span.End < at.Add(2*time.Second) || a.Span.End > at.Add(4*time.Second) {
			t.Errorf("the command at %d was found at %+v", at, a.Span)
		}
		if a.P.Value < 0.1 {
			t.Errorf("eight seconds of traffic give p = %g", a.P.Value)
		}
	}
}

// play is the observation of a sound by the calibrated rule, with packets.
func play(packets ...bench.Packet) bench.Observation {
	rule := traffic.DefaultCalibratedRule()
	return bench.Observation{
		Oracle:  traffic.Name,
		Watched: bench.Span{Start: sound.Start.Add(-traffic.Lookback), End: sound.End.Add(rule.Watch())},
		Packets: packets,
	}
}

func TestCalibratedRuleJudges(t *testing.T) {
	rule := traffic.DefaultCalibratedRule()
	usual := idletraffic.Profiles()[1]
	null := rule.NullFor(sound.Duration())
	span := bench.Span{End: 10 * hour}
	null.Learn(slices.Collect(usual.Packets(1, span)), span)
	tests := []struct {
		name     string
		packets  []bench.Packet
		state    bench.State
		strength float64
		latency  time.Duration
		fault    bench.Fault
	}{
		{"silence", nil, bench.Quiet, 0, 0, ""},
		{"a command", burst(11_300, 14_300, 1600), bench.Reacted, 48_000, 300 * ms, ""},
		{"a short one", burst(11_300, 12_600, 1600), bench.Reacted, 20_800, 300 * ms, ""},
		{"as fast as any", burst(11_300, 14_300, 99_000), bench.Reacted, 96_000, 300 * ms, ""},
		{"a report at line speed", burst(11_300, 11_500, 100_000), bench.Quiet, 6_400, 0, ""},
		{"during the sound", burst(10_200, 13_200, 1600), bench.Reacted, 48_000, -800 * ms, ""},
		{"at the last moment", burst(13_000, 16_000, 1600), bench.Reacted, 48_000, 2000 * ms, ""},
		{"an answer", towards(bench.Incoming, burst(11_300, 14_300, 1600)), bench.Quiet, 0, 0, ""},
		{"of unknown direction", towards(bench.DirectionUnknown, burst(11_300, 14_300, 1600)), bench.Reacted, 48_000, 300 * ms, ""},
		{"streaming all along", burst(8_000, 16_000, 1600), bench.Unmeasured, 0, 0, bench.FaultDevice},
		{"in disorder", slices.Concat(burst(14_000, 15_000, 9), burst(11_300, 14_300, 3200)), bench.Unmeasured, 0, 0, bench.FaultOracle},
	}
	for _, tt := range tests {
		want := bench.Reading{Oracle: traffic.Name, State: tt.state, Strength: tt.strength, Latency: tt.latency, Fault: tt.fault}
		for _, with := range []*traffic.Null{nil, null} {
			got, p := rule.Judge(sound, play(tt.packets...), with)
			if got != want {
				t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
			}
			if known := with != nil && tt.state != bench.Unmeasured; p.Known() != known {
				t.Errorf("%s: p = %+v", tt.name, p)
			}
			if with != nil && tt.state == bench.Reacted && p.Value > 1.0/5000 {
				t.Errorf("%s: a reaction with p = %g", tt.name, p.Value)
			}
		}
	}
	lacking := play()
	lacking.Dropped = 1
	if got, _ := rule.Judge(sound, lacking, nil); got.Fault != bench.FaultOracle {
		t.Errorf("with packets lost, silence reads as %+v", got)
	}
	longer := bench.Span{Start: sound.Start, End: sound.End + 1}
	o := play(burst(11_300, 14_300, 1600)...)
	o.Watched.End++
	if _, p := rule.Judge(longer, o, null); p.Known() {
		t.Errorf("a play that is longer than the null's windows has p = %+v", p)
	}
}

// Whatever is among the idle windows, p-values are in (0, 1], fall with what is
// sent, and are never less than one of all windows; the threshold is where they
// reach the level.
func TestNullGivesProbabilities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		null := traffic.NewNull(time.Second)
		sizes := rapid.SliceOfN(rapid.IntRange(0, 30), 0, 300).Draw(t, "windows")
		for i, n := range sizes {
			at := bench.Instant(i) * bench.Instant(time.Second)
			null.Learn([]bench.Packet{{At: at, Size: int32(66 + 100*n), Direction: bench.Outgoing}}, bench.Span{Start: at, End: at.Add(time.Second)})
		}
		if null.Len() != len(sizes) {
			t.Fatalf("%d windows of %d", null.Len(), len(sizes))
		}
		less := float64(rapid.IntRange(-1, 3500).Draw(t, "bytes"))
		more := less + float64(rapid.IntRange(0, 3500).Draw(t, "more"))
		p, q := null.P(less), null.P(more)
		if !(q.Value <= p.Value && p.Value <= 1 && q.Value >= 1/float64(len(sizes)+1)) {
			t.Errorf("%g bytes have p = %g, %g have %g", less, p.Value, more, q.Value)
		}
		level := rapid.Float64Range(0, 1).Draw(t, "level")
		if line, ok := null.Threshold(level); ok {
			if p := null.P(line).Value; p > level+1e-9 {
				t.Errorf("at the threshold for %g, p = %g", level, p)
			}
			if line > 0 && null.P(float64(math.Nextafter32(float32(line), -1))).Value <= level {
				t.Errorf("the threshold for %g is not the least", level)
			}
		} else if level > 1/float64(len(sizes)+1)+1e-9 {
			t.Errorf("no threshold for %g from %d windows", level, len(sizes))
		}
		plays := rapid.SliceOfN(rapid.Float64Range(0, 4000), 1, 10).Draw(t, "plays")
		if p := null.Combine(plays); len(sizes) > 0 && !(p.Value >= 1/float64(len(sizes)+1) && p.Value <= 1) {
			t.Errorf("plays combine to %g, of %d windows", p.Value, len(sizes))
		} else if p != null.Combine(plays) {
			t.Error("the same plays combine to another value")
		}
	})
}

// On idle traffic p-values are no smaller than they say, window by window and in
// tens: at each level the share of windows that reach it is no more, as far as
// a block bootstrap over half-hours can tell.
func TestPValuesOfIdleTrafficAreSuperUniform(t *testing.T) {
	for _, profile := range idletraffic.Profiles() {
		t.Run(profile.Name, func(t *testing.T) {
			t.Parallel()
			unit := traffic.PacedWindow
			learnt, other := traffic.NewNull(unit), bench.Span{Start: 20 * hour, End: 40 * hour}
			packets := slices.Collect(profile.Packets(7, bench.Span{End: other.End}))
			learnt.Learn(packets, bench.Span{End: other.Start})
			var p, ten []float64
			rng := rand.New(rand.NewPCG(8, 9))
			var scores []float64
			for at := other.Start; at < other.End; at = at.Add(unit) {
				scores = append(scores, traffic.PacedPeak(packets, bench.Span{Start: at, End: at.Add(unit)}))
				p = append(p, learnt.P(scores[len(scores)-1]).Value)
			}
			for range 1000 {
				var plays []float64
				for range 10 {
					plays = append(plays, scores[rng.IntN(len(scores))])
				}
				ten = append(ten, learnt.Combine(plays).Value)
			}
			if len(p) < 10_000 {
				t.Fatalf("only %d windows", len(p))
			}
			for what, values := range map[string][]float64{"windows": p, "tens": ten} {
				for _, level := range []float64{0.1, 0.01, 0.001} {
					reached := make([]float64, len(values))
					for i, v := range values {
						if v <= level {
							reached[i] = 1
						}
					}
					in := stats.BlockBootstrap(reached, 600, 1000, 1)
					t.Logf("%s: %.5f (%.5f to %.5f) at %g", what, stats.Mean(reached), in.Lower, in.Upper, level)
					if in.Lower > level {
						t.Errorf("of %s %.5f (%.5f to %.5f) have p <= %g", what, stats.Mean(reached), in.Lower, in.Upper, level)
					}
				}
			}
		})
	}
}

// A word that woke the device twice in ten plays stands out of hundreds that did
// not; none of them does.
func TestCombinedPlaysFindWords(t *testing.T) {
	rule := traffic.DefaultCalibratedRule()
	chatty := idletraffic.Profiles()[2]
	night := bench.Span{End: 40 * hour}
	packets := slices.Collect(chatty.Packets(10, night))
	null := rule.NullFor(time.Second)
	null.Learn(packets, bench.Span{End: 10 * hour})
	judge := rule.Judging(null)
	rng := rand.New(rand.NewPCG(11, 12))
	const words = 400
	p := make([]float64, words)
	for word := range p {
		var plays []float64
		for i := range 10 {
			at := 10*hour + bench.Instant(rng.Int64N(int64(29*hour)))
			heard := packets
			if word < 20 && i < 2 {
				upload := idletraffic.SomeUpload(rng, at.Add(1500*time.Millisecond))
				heard = slices.Collect(chatty.With(slices.Values(traffic.Between(packets, bench.Span{Start: at - minute, End: at + minute})), upload))
			}
			s := bench.Span{Start: at, End: at.Add(time.Second)}
			watched := bench.Span{Start: at.Add(-traffic.Lookback), End: s.End.Add(rule.Watch())}
			reading, _ := judge(s, bench.Observation{Oracle: traffic.Name, Watched: watched, Packets: traffic.Between(heard, watched)})
			plays = append(plays, reading.Strength)
		}
		p[word] = null.Combine(plays).Value
	}
	found, others := 0, 0
	for word, q := range stats.BenjaminiHochberg(p) {
		switch {
		case q > 0.05:
		case word < 20:
			found++
		default:
			others++
		}
	}
	if found < 19 || others > 4 {
		t.Errorf("%d of 20 words found, %d others", found, others)
	}
}

func TestCalibratedRule(t *testing.T) {
	if got, want := traffic.DefaultCalibratedRule().String(), "traffic above idle, 0.2 false alarms an hour, within 2s"; got != want {
		t.Errorf("the rule states itself as %q, want %q", got, want)
	}
	tests := []struct {
		change func(*traffic.CalibratedRule)
		wrong  string
	}{
		{func(*traffic.CalibratedRule) {}, ""},
		{func(r *traffic.CalibratedRule) { r.FalseAlarms = 0 }, "false_alarms"},
		{func(r *traffic.CalibratedRule) { r.FalseAlarms = math.NaN() }, "false_alarms"},
		{func(r *traffic.CalibratedRule) { r.FalseAlarms = math.Inf(1) }, "false_alarms"},
		{func(r *traffic.CalibratedRule) { r.Latency = -1 }, "latency"},
	}
	for _, tt := range tests {
		rule := traffic.DefaultCalibratedRule()
		tt.change(&rule)
		checkError(t, rule, rule.Validate(), tt.wrong)
	}
}

// match counts the uploads that were found, and the activations that are none.
func match(uploads []idletraffic.Upload, activations []traffic.Activation) (found, alarms int) {
	i := 0
	for _, u := range uploads {
		for i < len(activations) && activations[i].Span.End <= u.At.Add(-2*time.Second) {
			i++
			alarms++
		}
		hit := false
		for i < len(activations) && activations[i].Span.Start < u.Span().End.Add(5*time.Second) {
			i++
			hit = true
		}
		if hit {
			found++
		}
	}
	return found, alarms + len(activations) - i
}
