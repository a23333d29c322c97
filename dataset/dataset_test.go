package dataset_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/dataset"
)

func TestSteps(t *testing.T) {
	const s, m, h = time.Second, time.Minute, time.Hour
	type step = dataset.Step
	for name, tt := range map[string]struct {
		plan dataset.Plan
		done dataset.Done
		want []step
	}{
		"idle": {
			plan: dataset.Plan{Kind: dataset.Idle, Length: 6 * h},
			want: []step{{At: 6 * h, Act: dataset.End}},
		},
		"idle, resumed": {
			plan: dataset.Plan{Kind: dataset.Idle, Length: 6 * h},
			done: dataset.Done{Length: 5 * h},
			want: []step{{At: h, Act: dataset.End}},
		},
		"ordinary, long done": {
			plan: dataset.Plan{Kind: dataset.Ordinary, Length: h},
			done: dataset.Done{Length: 2 * h},
			want: []step{{Act: dataset.End}},
		},
		"controlled": {
			plan: dataset.Plan{Kind: dataset.Controlled, Length: 3 * m, Every: m, Words: []string{"alexa", "echo"}},
			want: []step{{m, dataset.Play, "alexa"}, {2 * m, dataset.Play, "echo"}, {At: 3 * m, Act: dataset.End}},
		},
		"controlled, resumed after a play": {
			plan: dataset.Plan{Kind: dataset.Controlled, Length: 3 * m, Every: m, Words: []string{"alexa", "echo"}},
			done: dataset.Done{Length: 90 * s, Plays: 1},
			want: []step{{m, dataset.Play, "echo"}, {At: 90 * s, Act: dataset.End}},
		},
		"probing": {
			plan: dataset.Plan{Kind: dataset.Probing, Every: 10 * s, Stretch: 25 * s, Words: []string{"alexa", "echo", "door"}},
			done: dataset.Done{Pairs: map[string]bool{"echo": true}, Plays: 3, Length: h},
			want: []step{
				{0, dataset.Silence, "alexa"}, {25 * s, dataset.Play, "alexa"}, {35 * s, dataset.Play, "alexa"}, {45 * s, dataset.Play, "alexa"}, {50 * s, dataset.Over, "alexa"},
				{50 * s, dataset.Silence, "door"}, {75 * s, dataset.Play, "door"}, {85 * s, dataset.Play, "door"}, {95 * s, dataset.Play, "door"}, {100 * s, dataset.Over, "door"},
				{At: 100 * s, Act: dataset.End},
			},
		},
	} {
		if err := tt.plan.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := slices.Collect(tt.plan.Steps(tt.done)); !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n%v, want\n%v", name, got, tt.want)
		}
		for range tt.plan.Steps(tt.done) {
			break // which must not panic
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	good := dataset.Plan{Kind: dataset.Probing, Every: 10 * time.Second, Stretch: time.Minute, Words: []string{"alexa"}}
	for want, change := range map[string]func(*dataset.Plan){
		`kind: "idel" is not one of`:                                  func(p *dataset.Plan) { p.Kind = "idel" },
		"for: 0s is no time":                                          func(p *dataset.Plan) { p.Kind = dataset.Idle },
		"every: 10s is not between 20s and 24h":                       func(p *dataset.Plan) { p.Kind, p.Length = dataset.Controlled, time.Hour },
		"every: 1s is shorter than 5s":                                func(p *dataset.Plan) { p.Every = time.Second },
		"stretch: 5s is not between 10s, the time between two plays,": func(p *dataset.Plan) { p.Stretch = 5 * time.Second },
		"words: there are none":                                       func(p *dataset.Plan) { p.Words = nil },
	} {
		p := good
		change(&p)
		if err := p.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// Of a word both stretches are doubtful, whichever of them is touched, and so is
// a label on the edge of a doubt.
func TestDoubtfulStretches(t *testing.T) {
	at := func(seconds float64) bench.Instant { return bench.Instant(seconds * float64(time.Second)) }
	event := func(e dataset.Event, from, to float64) dataset.Entry {
		return dataset.Entry{Session: 1, Event: e, From: at(from), To: at(to)}
	}
	pair := func(word string, from, to float64) dataset.Entry {
		e := event(dataset.EventPair, from, to)
		e.Word = word
		return e
	}
	file, blind := event(dataset.EventFile, 5, 400), event(dataset.EventBlind, 20, 30)
	file.File, file.Packets, blind.Oracle = "a.pcapng", 9, "light"
	report := dataset.Judge([]dataset.Entry{
		{Session: 1, Event: dataset.EventBegin, Settings: &dataset.Settings{Plan: dataset.Plan{Kind: dataset.Probing}, Light: true}},
		file, blind, pair("alexa", 10, 130), pair("door", 130, 250),
		event(dataset.EventLight, 15, 20), event(dataset.EventLight, 200, 204), event(dataset.EventEnd, 400, 400),
	})
	if len(report.Files) != 1 {
		t.Fatalf("%+v", report)
	}
	spans := func(labels []dataset.Label) (all []string) {
		for _, l := range labels {
			all = append(all, fmt.Sprintf("%s %v-%v", l.Kind, l.Start, l.End))
		}
		return all
	}
	f := report.Files[0]
	if got := spans(f.Labels); !slices.Equal(got, []string{"idle 2m5s-3m5s", "probe door 3m5s-4m5s", "false 3m15s-3m19s"}) {
		t.Errorf("labels %q", got)
	}
	if got := spans(f.Doubtful); !slices.Equal(got, []string{"idle 5s-1m5s", "false 10s-15s", "probe alexa 1m5s-2m5s"}) {
		t.Errorf("doubtful are %q", got)
	}
	if got := spans(f.Unknown); !slices.Equal(got, []string{"doubtful 5s-2m5s"}) || f.Lost() {
		t.Errorf("unknown are %q", got)
	}
}
