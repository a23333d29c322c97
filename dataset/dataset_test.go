package dataset_test

import (
	"slices"
	"strings"
	"testing"
	"time"

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
