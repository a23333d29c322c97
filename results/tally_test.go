package results_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine"
	"wakefuzz/phoneme"
	"wakefuzz/results"
	"wakefuzz/stats"
)

func TestTally(t *testing.T) {
	trials := []results.Trial{
		trial("lexus", "L EH1 K S AH0 S", 4),
		trial("hurter", "HH ER1 T ER0", 4),
		trial("meta", "M EH1 T AH0", 2),
		trial("alexa", campaign().WakePronunciation, 2),
	}
	trials[3].Role = results.RolePositive
	s, _ := create(t, trials)
	defer closing(t, s)

	later := func(a results.Attempt, frames int) results.Attempt { // the reaction comes later
		v := a.Observations[0].Scores.Values
		v[6], v[6+frames] = 0, v[6]
		return a
	}
	other := attempt(play(trials[0], 3), 1, 1, 0.9) // watched by an oracle that no rule speaks of
	other.Observations[0].Oracle = "light"
	if err := s.Append(
		attempt(play(trials[0], 0), 1, 1, 0.6),
		attempt(play(trials[0], 0), 2, 1, 0.95), // counts, and the first does not
		failed(play(trials[0], 0), 3, 1),
		later(attempt(play(trials[0], 1), 1, 1, 0.7), 10),
		attempt(play(trials[0], 2), 1, 1, 0.4),
		other,
		attempt(play(trials[1], 0), 1, 1, 0.55),
		attempt(play(trials[1], 1), 1, 1, 0.2),
		attempt(play(trials[1], 2), 1, 1, 0.9), // will be voided
		failed(play(trials[1], 3), 1, 1),
		attempt(play(trials[3], 0), 1, 1, 1),
		attempt(play(trials[3], 1), 1, 1, 1),
	); err != nil {
		t.Fatal(err)
	}
	void := results.Void{Play: play(trials[1], 2), Number: 1}
	if err := s.Void(void, void); err != nil {
		t.Fatal(err)
	}

	report, err := results.Tally(s.Reader, judging(0.5))
	if err != nil {
		t.Fatal(err)
	}
	if want := (results.Totals{
		Planned: 12, Measured: 7, Unjudged: 1, Failed: 2,
		Attempts: 12, Voided: 1, Selected: 3, Words: 3, Hits: 2, Whole: true, Sessions: 1, Disagreements: 1,
	}); report.Totals != want {
		t.Errorf("totals\n%+v, not\n%+v", report.Totals, want)
	}
	if report.Totals.Complete() {
		t.Error("an incomplete campaign is complete")
	}
	if len(report.Words) != 3 || len(report.Controls) != 1 {
		t.Fatalf("%d words, %d controls", len(report.Words), len(report.Controls))
	}
	const ms = time.Millisecond
	lexus := results.Row{
		Trial: trials[0], Measured: 3, Reacted: 2, Unjudged: 1, Rate: 2. / 3, Hit: true,
		Code: "LKSS", Distance: 2, Phonemes: 6, PhonemeDistance: 2,
		// One reaction at 20 + 6*80 ms of a sound of 1 s, one at 20 + 16*80 ms.
		Peak: float64(float32(0.95)), Latency: (-500*ms + 300*ms) / 2,
		ByOracle: []results.Readings{{Oracle: engine.Name, Reacted: 2, Quiet: 1, Unmeasured: 1}},
	}
	interval := stats.ClopperPearson(2, 3, 0.95)
	lexus.Lower, lexus.Upper = interval.Lower, interval.Upper
	if !reflect.DeepEqual(report.Words[0], lexus) {
		t.Errorf("lexus\n%+v, not\n%+v", report.Words[0], lexus)
	}
	hurter := report.Words[1]
	if hurter.Reacted != 1 || hurter.Measured != 2 || hurter.Failed != 2 || !hurter.Hit || hurter.Rate != 0.5 {
		t.Errorf("hurter: %+v", hurter)
	}
	if meta := report.Words[2]; meta.Hit || meta.Measured != 0 || meta.Rate != 0 || meta.Upper != 1 || meta.Peak != 0 {
		t.Errorf("meta: %+v", meta)
	}
	if alexa := report.Controls[0]; alexa.Distance != 0 || alexa.PhonemeDistance != 0 || alexa.Reacted != 2 || !alexa.Hit {
		t.Errorf("alexa: %+v", alexa)
	}

	// Another rule and another metric, on the same night.
	strict := judging(0.8)
	strict.Metric, strict.HitRate = phoneme.MetricPhonemes, 0.5
	if report, err = results.Tally(s.Reader, strict); err != nil {
		t.Fatal(err)
	}
	if row := report.Words[0]; row.Reacted != 1 || row.Hit || row.Distance != 2 || row.Code != "L EH K S AH S" {
		t.Errorf("lexus at 0.8: %+v", row)
	}
	if n := report.Totals.Disagreements; n != 3 { // two that reacted, one that can't be judged
		t.Errorf("%d disagreements", n)
	}

	if _, err := results.Tally(s.Reader, results.Judging{Rules: rules(0.5)}); err == nil {
		t.Error("a judging without a metric is taken")
	}
}

func TestTallyOfSeveralOracles(t *testing.T) {
	trials := plan(1, 1)
	s, _ := create(t, trials)
	defer closing(t, s)
	a := attempt(play(trials[0], 0), 1, 1, 0.3)
	second := attempt(play(trials[0], 0), 1, 1, 0.8).Observations[0]
	second.Oracle = "second"
	a.Observations = append(a.Observations, second)
	if err := s.Append(a); err != nil {
		t.Fatal(err)
	}
	both := rules(0.5)
	both.Judges["second"] = engine.DefaultRule().Judge
	for fusion, want := range map[oracle.Fusion]struct {
		reacted int
		peak    float32
	}{
		oracle.FusionAny: {1, 0.8},
		oracle.FusionAll: {0, 0.3},
		"second":         {1, 0.8},
		engine.Name:      {0, 0.3},
	} {
		both.Fusion = fusion
		report, err := results.Tally(s.Reader, results.Judging{Rules: both, Metric: phoneme.MetricLetters})
		if err != nil {
			t.Fatal(err)
		}
		if row := report.Words[0]; row.Reacted != want.reacted || float32(row.Peak) != want.peak {
			t.Errorf("%s: %d reacted, peak %v; not %+v", fusion, row.Reacted, row.Peak, want)
		}
	}
}

// A verdict by the light, beside what the traffic says, which its rule reads
// from the packets of the stream.
func TestAgreement(t *testing.T) {
	trials := plan(2, 7)
	s, _ := create(t, trials)
	defer closing(t, s)
	lit := func(sound bench.Span, o bench.Observation) bench.Reading {
		state := bench.Quiet
		if len(o.Edges) > 1 {
			state = bench.Reacted
		}
		return bench.Reading{State: state}
	}
	burst := func(sound bench.Span, o bench.Observation) bench.Reading {
		state := bench.Quiet
		if len(o.Packets) > 20 {
			state = bench.Reacted
		}
		return bench.Reading{State: state}
	}
	// What light and traffic see, play by play.
	const none = "unwatched"
	seen := [][2]string{
		{"reacted", "reacted"}, {"reacted", "reacted"}, {"reacted", "quiet"}, {"quiet", "reacted"},
		{"quiet", "quiet"}, {"quiet", "unmeasured"}, {"quiet", none},
	}
	for i, see := range seen {
		a := watching(later(attempt(play(trials[i%2], i/2), 1, 1, map[string]float32{"reacted": 1}[see[1]]), time.Duration(i)*time.Minute))
		traffic := a.Observations[1]
		observed := results.Observed{Session: 1, Bench: 1, Traffic: []results.Traffic{{Watched: traffic.Watched, Packets: traffic.Packets}}}
		if see[1] == "unmeasured" {
			traffic.Fault = bench.FaultOracle
		}
		light := bench.Observation{Oracle: "light", Watched: traffic.Watched, Edges: []bench.Edge{{At: traffic.Watched.Start}}}
		a.State = bench.Quiet
		if see[0] == "reacted" {
			a.State = bench.Reacted
			light.Edges = append(light.Edges, bench.Edge{At: a.Sound.End, Lit: true})
		}
		a.Observations = []bench.Observation{light, traffic}
		if see[1] == none {
			a.Observations = a.Observations[:1]
		}
		if err := s.AppendObserved(observed, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Append(failed(play(trials[0], 5), 1, 1)); err != nil {
		t.Fatal(err)
	}
	report, err := results.Tally(s.Reader, results.Judging{
		Rules:  oracle.Rules{Judges: map[string]oracle.Judge{"traffic": burst, "light": lit}, Fusion: "light"},
		Metric: phoneme.MetricLetters,
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"light", "traffic"}; !slices.Equal(report.Oracles, want) {
		t.Errorf("oracles %v", report.Oracles)
	}
	want := results.Agreement{A: "light", B: "traffic"}
	want.Plays[bench.Reacted][bench.Reacted] = 2
	want.Plays[bench.Reacted][bench.Quiet] = 1
	want.Plays[bench.Quiet][bench.Reacted] = 1
	want.Plays[bench.Quiet][bench.Quiet] = 1
	want.Plays[bench.Quiet][bench.Unmeasured] = 2
	if !slices.Equal(report.Agreements, []results.Agreement{want}) {
		t.Errorf("agreement\n%v, not\n%v", report.Agreements, want)
	}
	for i, want := range [][]results.Readings{
		{{Oracle: "light", Reacted: 2, Quiet: 2}, {Oracle: "traffic", Reacted: 1, Quiet: 2, Unmeasured: 1}},
		{{Oracle: "light", Reacted: 1, Quiet: 2}, {Oracle: "traffic", Reacted: 2, Unmeasured: 1}},
	} {
		row := slices.Concat(report.Words, report.Controls)[i]
		if !slices.Equal(row.ByOracle, want) {
			t.Errorf("%s: %+v, not %+v", row.Trial.Word, row.ByOracle, want)
		}
		if row.Reacted != want[0].Reacted || row.Measured != want[0].Measured() {
			t.Errorf("%s: the verdict is not that of the light: %+v", row.Trial.Word, row)
		}
	}
	if report.Totals.Disagreements != 0 {
		t.Errorf("%d plays are judged otherwise than live", report.Totals.Disagreements)
	}
}

func TestRank(t *testing.T) {
	row := func(word string, distance, reacted, measured int) results.Row {
		r := results.Row{Trial: trial(word, "", 10), Distance: distance, Reacted: reacted, Measured: measured}
		r.Rate = float64(reacted) / float64(measured)
		interval := stats.ClopperPearson(reacted, measured, 0.95)
		r.Lower, r.Upper = interval.Lower, interval.Upper
		return r
	}
	rows := []results.Row{
		row("d", 2, 2, 2), row("b", 1, 5, 10), row("a", 1, 5, 10), row("c", 1, 9, 10), row("e", 3, 10, 10), row("f", 3, 10, 10),
	}
	rows[5].Trial = rows[4].Trial
	rows[5].Trial.Voice = "flite/awb"
	for order, want := range map[results.Order]string{
		results.OrderDistance:   "cabdee",
		results.OrderRate:       "deecab",
		results.OrderLowerBound: "eecabd",
		"":                      "cabdee",
	} {
		for range 5 {
			rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
			results.Rank(rows, order)
			got := ""
			for i, r := range rows {
				got += r.Trial.Word
				if i > 0 && r.Trial.Word == "e" && rows[i-1].Trial.Word == "e" && r.Trial.Voice != "flite/kal16" {
					t.Error("voices are out of order")
				}
			}
			if got != want {
				t.Errorf("%q: %s, not %s", order, got, want)
			}
		}
	}
	for _, order := range results.Orders() {
		if parsed, err := results.ParseOrder(string(order)); err != nil || parsed != order {
			t.Errorf("%s: %v, %v", order, parsed, err)
		}
	}
	if _, err := results.ParseOrder("size"); err == nil {
		t.Error("an order that there is not is taken")
	}
}

// TestWhatCounts holds the counting rule against a model of a few lines, while
// sessions come and go.
func TestWhatCounts(t *testing.T) {
	type try struct{ measured, reacted, voided bool }
	memory := mount(t, "tmpfs", "", 0, "size=64m") // syncing thousands of commits to a disk takes its time
	rapid.Check(t, func(t *rapid.T) {
		dir := filepath.Join(memory, "campaign")
		defer os.RemoveAll(dir)
		trials := plan(3, 2)
		s, err := results.Create(dir, campaign(), trials)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { s.Close() }()
		session, err := s.BeginSession(results.Session{})
		if err != nil {
			t.Fatal(err)
		}
		model := map[results.PlayID][]try{}
		ids := []results.PlayID{}
		for _, trial := range trials {
			for i := range trial.Plays {
				ids = append(ids, play(trial, i))
			}
		}
		drawPlay := rapid.SampledFrom(ids)

		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				var group []results.Attempt
				added := map[results.PlayID][]try{}
				for range rapid.IntRange(1, 4).Draw(t, "size") {
					id := drawPlay.Draw(t, "play")
					now := try{measured: rapid.Bool().Draw(t, "measured"), reacted: rapid.Bool().Draw(t, "reacted")}
					number := len(model[id]) + len(added[id]) + 1
					switch {
					case !now.measured:
						group = append(group, failed(id, number, session))
					case now.reacted:
						group = append(group, attempt(id, number, session, 0.9))
					default:
						group = append(group, attempt(id, number, session, 0.1))
					}
					added[id] = append(added[id], now)
				}
				if err := s.Append(group...); err != nil {
					t.Fatal(err)
				}
				for id, tries := range added {
					model[id] = append(model[id], tries...)
				}
			},
			"void": func(t *rapid.T) {
				id := drawPlay.Draw(t, "play")
				if len(model[id]) == 0 {
					t.Skip("nothing to void")
				}
				i := rapid.IntRange(0, len(model[id])-1).Draw(t, "attempt")
				if err := s.Void(results.Void{Play: id, Number: i + 1}); err != nil {
					t.Fatal(err)
				}
				model[id][i].voided = true
			},
			"resume": func(t *rapid.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if s, err = results.Open(dir); err != nil {
					t.Fatal(err)
				}
				if session, err = s.BeginSession(results.Session{}); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				progress, err := s.Progress()
				if err != nil {
					t.Fatal(err)
				}
				var want results.Totals
				reacted := 0
				for _, id := range ids {
					want.Planned++
					var counting *try
					for i := range model[id] {
						want.Attempts++
						if m := &model[id][i]; m.voided {
							want.Voided++
						} else if m.measured {
							counting = m
						}
					}
					switch {
					case counting != nil:
						want.Measured++
						if counting.reacted {
							reacted++
						}
					case len(model[id]) > 0:
						want.Failed++
					}
					if progress.Done(id) != (counting != nil) {
						t.Fatalf("play %s: done is %v", id, progress.Done(id))
					}
					if next := progress.Next(id); next != len(model[id])+1 {
						t.Fatalf("play %s: the next attempt is %d, not %d", id, next, len(model[id])+1)
					}
				}
				report, err := results.Tally(s.Reader, judging(0.5))
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range slices.Concat(report.Words, report.Controls) {
					reacted -= row.Reacted
				}
				if reacted != 0 {
					t.Fatalf("reacted is off by %d", reacted)
				}
				want.Selected, want.Words, want.Hits, want.Whole, want.Sessions = 2, 2, report.Totals.Hits, true, int(session)
				if report.Totals != want {
					t.Fatalf("totals %+v, not %+v", report.Totals, want)
				}
			},
		})
	})
}

// fill makes a store of n words with ten plays each, all played.
func fill(tb testing.TB, dir string, n int) *results.Store {
	tb.Helper()
	trials := plan(n, 10)
	s, err := results.Create(dir, campaign(), trials)
	if err != nil {
		tb.Fatal(err)
	}
	session, err := s.BeginSession(results.Session{})
	if err != nil {
		tb.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, trial := range trials {
		var group []results.Attempt
		for i := range trial.Plays {
			a := attempt(play(trial, i), 1, session, random.Float32())
			scores := a.Observations[0].Scores.Values
			for j := range scores { // real scores are no round numbers
				scores[j] = min(scores[j]+random.Float32()*1e-3, 1)
			}
			group = append(group, a)
		}
		if err := s.Append(group...); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			trials := plan(2, 1<<20)
			s, err := results.Create(filepath.Join(b.TempDir(), "campaign"), campaign(), trials)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			session, err := s.BeginSession(results.Session{})
			if err != nil {
				b.Fatal(err)
			}
			index := 0
			group := make([]results.Attempt, size)
			for b.Loop() {
				for i := range group {
					group[i] = attempt(play(trials[0], index), 1, session, 0.9)
					index++
				}
				if err := s.Append(group...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(index)/b.Elapsed().Seconds(), "attempts/s")
		})
	}
}

// BenchmarkCampaign is a campaign of 10,000 words of ten plays: how large its
// store is, and how long it takes to resume, to look at and to judge.
func BenchmarkCampaign(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "campaign")
	s := fill(b, dir, 10_000)
	info, err := os.Stat(filepath.Join(dir, "store.db"))
	if err != nil {
		b.Fatal(err)
	}
	run := func(name string, fn func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := fn(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(info.Size())/100_000, "bytes/attempt")
		})
	}
	run("Progress", func() error { _, err := s.Progress(); return err })
	run("Tally", func() error { _, err := results.Tally(s.Reader, judging(0.5)); return err })
	viewing := func() error {
		r, err := results.View(b.Context(), dir)
		if err != nil {
			return err
		}
		return r.Close()
	}
	run("ViewOfRunner", viewing)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	run("View", viewing)
	run("Open", func() error {
		s, err := results.Open(dir)
		if err != nil {
			return err
		}
		return s.Close()
	})
}

func TestIsHit(t *testing.T) {
	for _, test := range []struct {
		reacted, planned int
		rate             float64
		want             bool
	}{
		{2, 10, results.PaperHitRate, true},
		{1, 10, results.PaperHitRate, false},
		{0, 10, 0, false},
		{0, 10, 1e-12, false},
		{7, 10, 0.7, true}, // 0.7 * 10 is more than 7 in binary
		{10, 10, 1, true},
		{9, 10, 1, false},
	} {
		if got := results.IsHit(test.reacted, test.planned, test.rate); got != test.want {
			t.Errorf("%d of %d at %g: %v", test.reacted, test.planned, test.rate, got)
		}
	}
}
