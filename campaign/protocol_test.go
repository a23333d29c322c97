package campaign_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"wakefuzz/campaign"
	"wakefuzz/internal/fakebench"
	"wakefuzz/results"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// screened is a campaign that screens 60 words, of which some react.
const screened = `
name: screened
wake_word: alexa
seed: 5
words: {lists: [cmudict]}
voices: [{engine: flite, name: kal16}]
bench: {engine: {driver: openwakeword, model: m}}
protocol: %s
controls: {negative_every: 7}
`

// screenedRates are the words that react, and how often.
var screenedRates = map[string]float64{"alexa": 1, "word07": 1, "word08": 1, "word31": 0.5, "word40": 0.5, "word59": 1}

func screenedWords() []wordlists.Word {
	var all []wordlists.Word
	for i := range 60 {
		all = append(all, word(fmt.Sprintf("word%02d", i), "W ER1 D AH0 Z"))
	}
	return all
}

func newScreening(t *testing.T, protocol string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), spec: parse(t, fmt.Sprintf(screened, protocol))}
	store, err := campaign.Create(r.dir, r.spec, wake, screenedWords(), "test")
	if err != nil {
		t.Fatal(err)
	}
	r.use(store)
	return r
}

func (r *rig) screening() {
	r.Speak = func(_ context.Context, u tts.Utterance) (tts.Clip, error) {
		return fakebench.Clip(screenedRates[u.Text]), nil
	}
}

// screenings are the protocols that plan in batches.
var screenings = map[string]string{
	"rounds":                    `{kind: rounds, rounds: {screens: [2, 1]}}`,
	"sweep":                     `{kind: sweep, sweep: {segment: 7, batch: 30, passes: 2}}`,
	"guided":                    `{kind: guided, guided: {words: 60, batch: 20, segment: 7}}`,
	"sweep that may stop early": `{kind: sweep, stop_at: 5, sweep: {segment: 7, batch: 30, alone: 2}}`,
}

func TestScreeningFindsWhatReacts(t *testing.T) {
	for name, protocol := range screenings {
		t.Run(name, func(t *testing.T) {
			r := newScreening(t, protocol)
			r.screening()
			standing := r.run()
			if !standing.Over() || !standing.Whole {
				t.Errorf("it ended with %+v", standing)
			}
			report := r.report()
			if !report.Totals.Complete() || report.Totals.Selected != 60 || report.Totals.Screened < 60 {
				t.Errorf("totals %+v", report.Totals)
			}
			found := map[string]bool{}
			for _, row := range report.Words {
				if row.Hit {
					found[row.Trial.Word] = true
				}
				if screenedRates[row.Trial.Word] == 1 && row.Rate != 1 || screenedRates[row.Trial.Word] == 0 && row.Rate > 0 {
					t.Errorf("%s: %d of %d", row.Trial.Word, row.Reacted, row.Measured)
				}
				if !strings.Contains(protocol, "stop_at") && row.Measured != campaign.PaperPlays {
					t.Errorf("%s was played %d times", row.Trial.Word, row.Measured)
				}
			}
			for _, want := range []string{"word07", "word08", "word59"} {
				if !found[want] {
					t.Errorf("%s was not found: %v", want, found)
				}
			}
			for _, control := range report.Controls {
				if control.Trial.Role == results.RoleNegative && !control.Trial.Screening && control.Reacted > 0 || control.Trial.Role == results.RolePositive && control.Rate != 1 {
					t.Errorf("control %+v", control)
				}
			}
			attempts := r.attempts()
			standing.LastHit = ""
			if again := r.run(); again != standing || len(r.attempts()) != len(attempts) {
				t.Errorf("played on when it was over: %+v", again)
			}
		})
	}
}

// Words after a reaction in a segment are not heard, and are played again.
func TestEveryWordOfASegmentIsHeard(t *testing.T) {
	r := newScreening(t, `{kind: sweep, sweep: {segment: 60, alone: 1, ask: 0}}`)
	r.screening()
	r.run()
	sounds := map[results.TrialID]int{}
	for _, a := range r.attempts() {
		sounds[a.Play.Trial]++
	}
	suspects := map[string]bool{}
	for _, trial := range r.store.Trials() {
		if trial.Segment == 0 {
			continue
		}
		if sounds[trial.ID] != 1 {
			t.Errorf("%s was told of %d times", trial.Word, sounds[trial.ID])
		}
	}
	for _, row := range r.report().Screened {
		if row.Trial.Segment > 0 && row.Reacted > 0 {
			suspects[row.Trial.Word] = true
		}
	}
	for _, want := range []string{"word07", "word08", "word59"} {
		if !suspects[want] {
			t.Errorf("%s is no suspect: %v", want, suspects)
		}
	}
	if len(suspects) > 20 {
		t.Errorf("%d suspects", len(suspects))
	}
}

func TestScreeningResumes(t *testing.T) {
	for name, protocol := range screenings {
		t.Run(name, func(t *testing.T) {
			whole := newScreening(t, protocol)
			whole.screening()
			whole.run()
			want, plays := whole.csv(), len(whole.attempts())
			for after := 0; after < plays; after += 1 + plays/9 {
				for workers := 1; workers <= 2; workers++ {
					r := newScreening(t, protocol)
					r.screening()
					stop := make(chan struct{})
					r.Stop, r.Workers = stop, workers
					played := 0
					r.Report = func(campaign.Event) {
						if played++; played == after {
							close(stop)
						}
					}
					if after == 0 {
						close(stop)
					}
					r.run()
					r.reopen()
					r.screening()
					r.Workers = 3 - workers
					if standing := r.run(); !standing.Over() {
						t.Errorf("stopped after %d: it ended with %+v", after, standing)
					}
					if got := r.csv(); got != want {
						t.Fatalf("stopped after %d, with %d workers:\n%s\nuninterrupted:\n%s", after, workers, got, want)
					}
				}
			}
		})
	}
}

// Words that are made out of hits follow the search, also where it was stopped,
// and those that have no spelling are spoken by their phones.
func TestInventedWordsAreSpoken(t *testing.T) {
	const guided = `{kind: guided, plays: 2, guided: {words: 60, batch: 20, invent: 30}}`
	var invented sync.Map // whether it was spoken by its phones
	speak := func(r *rig) {
		r.Speak = func(_ context.Context, u tts.Utterance) (tts.Clip, error) {
			if rate, known := screenedRates[u.Text]; known || strings.HasPrefix(u.Text, "word") {
				return fakebench.Clip(rate), nil
			}
			invented.Store(u.Text, u.Pronunciation != "")
			return fakebench.Clip(1), nil
		}
	}
	whole := newScreening(t, guided)
	speak(whole)
	whole.run()
	want := whole.csv()
	pairs, others := 0, 0
	for text, phones := range invented.Range {
		pair := strings.Contains(text.(string), " ")
		if phones == pair {
			t.Errorf("%q was spoken by its phones: %v", text, phones)
		}
		if pair {
			pairs++
		} else {
			others++
		}
	}
	if pairs == 0 || others == 0 || pairs+others != 30 {
		t.Errorf("%d pairs and %d other words were invented", pairs, others)
	}
	report := whole.report()
	if n := report.Totals.Selected; n != 90 {
		t.Errorf("%d words were selected, with those that are invented", n)
	}
	last := 0
	for _, row := range report.Words {
		if wordlists.Invented(row.Trial.List) && row.Reacted == 2 {
			last++
		}
	}
	if last != 30 {
		t.Errorf("%d invented words are in the table", last)
	}

	stopped := newScreening(t, guided)
	speak(stopped)
	stop := make(chan struct{})
	stopped.Stop = stop
	halt := sync.OnceFunc(func() { close(stop) })
	stopped.Report = func(e campaign.Event) {
		if wordlists.Invented(e.Trial.List) {
			halt()
		}
	}
	stopped.run()
	stopped.reopen()
	speak(stopped)
	if standing := stopped.run(); !standing.Over() {
		t.Errorf("it ended with %+v", standing)
	}
	if got := stopped.csv(); got != want {
		t.Errorf("stopped:\n%s\nuninterrupted:\n%s", got, want)
	}
}
