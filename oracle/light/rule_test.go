package light_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"wakefuzz/bench"
	"wakefuzz/oracle/light"
)

const ms = time.Millisecond

// at is an instant in milliseconds.
func at(ms int) bench.Instant { return bench.Instant(ms) * bench.Instant(time.Millisecond) }

// record is the observation from one instant to another, in milliseconds, of a
// light that is dark at first and changes at the instants given.
func record(from, to int, changes ...int) bench.Observation {
	o := bench.Observation{
		Oracle:  light.Name,
		Watched: bench.Span{Start: at(from), End: at(to)},
		Edges:   []bench.Edge{{At: at(from)}},
	}
	for i, c := range changes {
		o.Edges = append(o.Edges, bench.Edge{At: at(c), Lit: i%2 == 0})
	}
	return o
}

// lit is the same of a light that is lit at first.
func lit(from, to int, changes ...int) bench.Observation {
	return record(from, to, append([]int{from}, changes...)...)
}

// flicker is changes every period milliseconds from one to the other.
func flicker(from, to, period int) []int {
	var changes []int
	for c := from; c < to; c += period {
		changes = append(changes, c)
	}
	return changes
}

func TestJudge(t *testing.T) {
	// The sound lasts from 1 s to 2 s; the window is open until 4 s.
	sound := bench.Span{Start: at(1000), End: at(2000)}
	full := int(light.DefaultRule().Watch()/ms) + 2000
	reacted := func(latency, lasted time.Duration) bench.Reading {
		return bench.Reading{Oracle: light.Name, State: bench.Reacted, Latency: latency, Strength: lasted.Seconds()}
	}
	quiet := bench.Reading{Oracle: light.Name, State: bench.Quiet}
	device := bench.Reading{Oracle: light.Name, Fault: bench.FaultDevice}
	broken := bench.Reading{Oracle: light.Name, Fault: bench.FaultOracle}
	tests := []struct {
		name string
		o    bench.Observation
		want bench.Reading
	}{
		{"dark", record(0, full), quiet},
		{"lit for a second", record(0, full, 2300, 3300), reacted(300*ms, time.Second)},
		{"lit during the word", record(0, full, 1900, 3000), reacted(-100*ms, 1100*ms)},
		{"lit beyond the record", record(0, full, 3000), reacted(time.Second, time.Duration(full-3000)*ms)},
		{"lit in the last moment of the window", record(0, full, 3999), reacted(1999*ms, time.Duration(full-3999)*ms)},
		{"lit in the last moment, a flash", record(0, full, 3999, 4048), quiet},
		{"lit too late", record(0, full, 4000), quiet},
		{"the first of two reactions", record(0, full, 2300, 2500, 3300, 3800), reacted(300*ms, 200*ms)},
		{"a flash", record(0, full, 2300, 2349), quiet},
		{"no flash", record(0, full, 2300, 2350), reacted(300*ms, 50*ms)},
		{"flashes, however many", record(0, full, 2300, 2320, 2400, 2420, 2500, 2520, 2600, 2620), quiet},
		{"chatter at both ends", record(0, full, 2300, 2303, 2305, 2309, 2312, 3300, 3302, 3304), reacted(300*ms, 1004*ms)},
		{"chatter throughout", record(0, full, flicker(2300, 3301, 5)...), reacted(300*ms, time.Duration(full-2300)*ms)},
		{"a pulsing ring", record(0, full, 2300, 2500, 2900, 3100, 3500, 3700), reacted(300*ms, 1400*ms)},
		{"lit before the sound, and out", record(0, full, 200, 499), quiet},
		{"lit before the sound, and again", record(0, full, 200, 499, 1000, 1500), device},
		{"lit when the sound began", record(0, full, 900, 1500), device},
		{"lit as the sound began", record(0, full, 1000, 1500), device},
		{"lit when the record began", lit(1000, full, 1500), device},
		{"lit for an unknown time when the record began", lit(1000, full, 1010), device},
		{"lit throughout", lit(0, full), device},
		{"between two pulses when the sound began", record(0, full, 300, 800, 1200, 1600), device},
		{"watched from the sound on", record(1000, full, 2300, 2600), reacted(300*ms, 300*ms)},
		{"watched too late", record(1001, full), broken},
		{"watched too short", record(0, 3999), broken},
		{"watched too short, but it reacted", record(0, 2999, 2300), reacted(300*ms, 699*ms)},
		{"watched too short to tell a flash", record(0, 2310, 2300), broken},
		{"nothing recorded", bench.Observation{Oracle: light.Name, Watched: bench.Span{Start: 0, End: at(full)}}, broken},
		{"changes out of order", record(0, full, 2300, 2200), broken},
		{"changes after the end", record(0, full, full+1), broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := slices.Clone(tt.o.Edges)
			if got := light.DefaultRule().Judge(sound, tt.o); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if !slices.Equal(tt.o.Edges, before) {
				t.Error("judging changed the record")
			}
		})
	}
}

// Whatever was recorded, the spells are in order and apart, and judging it
// gives a reading that is whole.
func TestJudgeAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		instant := rapid.Map(rapid.IntRange(-100, 3000), at)
		o := bench.Observation{
			Oracle:  light.Name,
			Watched: bench.Span{Start: instant.Draw(t, "start"), End: instant.Draw(t, "end")},
			Edges: rapid.SliceOf(rapid.Custom(func(t *rapid.T) bench.Edge {
				return bench.Edge{At: instant.Draw(t, "at"), Lit: rapid.Bool().Draw(t, "lit")}
			})).Draw(t, "edges"),
		}
		if rapid.Bool().Draw(t, "in order") {
			slices.SortFunc(o.Edges, func(a, b bench.Edge) int { return int(a.At - b.At) })
			if len(o.Edges) > 0 {
				o.Watched.Start = o.Edges[0].At
			}
		}
		rule := light.Rule{
			Window:   time.Duration(rapid.IntRange(1, 2000).Draw(t, "window")) * ms,
			Debounce: time.Duration(rapid.IntRange(0, 50).Draw(t, "debounce")) * ms,
			MinLit:   time.Duration(rapid.IntRange(0, 300).Draw(t, "min lit")) * ms,
			HoldOver: time.Duration(rapid.IntRange(50, 2000).Draw(t, "hold over")) * ms,
		}
		sound := bench.Span{Start: instant.Draw(t, "sound")}
		sound.End = sound.Start.Add(500 * ms)

		spells := rule.Spells(o)
		for i, s := range spells {
			if s.Start >= s.End || s.Start < o.Watched.Start || s.End > o.Watched.End {
				t.Fatalf("spell %v of a record of %v", s, o.Watched)
			}
			if i > 0 && s.Start.Sub(spells[i-1].End) < rule.HoldOver {
				t.Fatalf("the gap between %v and %v was not closed", spells[i-1], s)
			}
		}
		r := rule.Judge(sound, o)
		if (r.State == bench.Unmeasured) != (r.Fault != bench.NoFault) {
			t.Fatalf("reading %+v", r)
		}
		if r.State == bench.Reacted && (r.Latency >= rule.Window || r.Latency <= -sound.Duration() || r.Strength <= 0) {
			t.Fatalf("reading %+v under %v", r, rule)
		}
	})
}

func TestRuleValidate(t *testing.T) {
	change := func(f func(*light.Rule)) light.Rule {
		r := light.DefaultRule()
		f(&r)
		return r
	}
	tests := []struct {
		rule light.Rule
		want string // what the error speaks of; empty for none
	}{
		{light.DefaultRule(), ""},
		{light.Rule{Window: 1}, ""},
		{light.Rule{}, "window: 0s "},
		{change(func(r *light.Rule) { r.Window = -time.Second }), "window: -1s "},
		{change(func(r *light.Rule) { r.Debounce = -ms }), "debounce: -1ms "},
		{change(func(r *light.Rule) { r.MinLit = -ms }), "min_lit: -1ms "},
		{change(func(r *light.Rule) { r.HoldOver = 5 * ms }), "hold_over: 5ms is shorter"},
		{change(func(r *light.Rule) { r.HoldOver = 3 * time.Second }), "hold_over: 3s is longer"},
		{change(func(r *light.Rule) { r.HoldOver = math.MaxInt64 }), "hold_over: "},
	}
	for _, tt := range tests {
		err := tt.rule.Validate()
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%+v: %v", tt.rule, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%+v: error %v, want one with %q", tt.rule, err, tt.want)
		}
	}
}

func TestRuleText(t *testing.T) {
	if got, want := light.DefaultRule().String(), "light lit for 50ms within 2s, gaps below 10ms and 500ms closed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRuleInYAML(t *testing.T) {
	got := light.DefaultRule()
	text := "window: 1.5s\ndebounce: 2ms\nmin_lit: 80ms\nhold_over: 1s\n"
	if err := yaml.UnmarshalWithOptions([]byte(text), &got, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	want := light.Rule{Window: 1500 * ms, Debounce: 2 * ms, MinLit: 80 * ms, HoldOver: time.Second}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPolarity(t *testing.T) {
	for polarity, want := range map[light.Polarity][2]bool{ // lit while low, lit while high
		light.ActiveLow:  {true, false},
		light.ActiveHigh: {false, true},
	} {
		if err := polarity.Validate(); err != nil {
			t.Error(err)
		}
		if got := [2]bool{polarity.Lit(false), polarity.Lit(true)}; got != want {
			t.Errorf("%s: lit while low, high: %v, want %v", polarity, got, want)
		}
	}
	if err := light.Polarity("low").Validate(); err == nil || !strings.Contains(err.Error(), `"low"`) {
		t.Errorf("polarity low: error %v", err)
	}
}
