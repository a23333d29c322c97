package protocol_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wakefuzz/phoneme"
	"wakefuzz/protocol"
	"wakefuzz/wordlists"
)

// words are candidates that sound as they are spelled: letters that name a
// phone.
func words(texts ...string) []protocol.Candidate {
	var candidates []protocol.Candidate
	for _, text := range texts {
		phones := strings.ToUpper(strings.Join(strings.Split(text, ""), " "))
		candidates = append(candidates, protocol.Candidate{
			Word:  wordlists.Word{Text: text, Pronunciations: []phoneme.Pronunciation{phoneme.Pronunciation(phones)}},
			Voice: "flite/kal16",
		})
	}
	return candidates
}

// manyWords are so many words of four phones.
func manyWords(n int) []protocol.Candidate {
	var texts []string
	for i := range n {
		texts = append(texts, strings.Map(func(r rune) rune { return rune("bdfgklmnprst"[r-'0']) }, fmt.Sprintf("%04d", i)))
	}
	return words(texts...)
}

func drawWords(t *rapid.T) []protocol.Candidate {
	return words(rapid.SliceOfNDistinct(rapid.StringOfN(rapid.RuneFrom([]rune("bdfgklmnprst")), 2, 5, -1), 1, 40, rapid.ID[string]).Draw(t, "words")...)
}

func drawLast(t *rapid.T) protocol.Last {
	plays := rapid.IntRange(1, 10).Draw(t, "plays")
	return protocol.Last{Plays: plays, Hit: rapid.IntRange(0, plays).Draw(t, "hit")}
}

// kinds draw a protocol of each kind for the candidates.
var kinds = map[string]func(*rapid.T, []protocol.Candidate, protocol.Last) protocol.Protocol{
	"exhaustive": func(_ *rapid.T, c []protocol.Candidate, last protocol.Last) protocol.Protocol {
		return protocol.Exhaustive(c, last.Plays)
	},
	"rounds": func(t *rapid.T, c []protocol.Candidate, last protocol.Last) protocol.Protocol {
		return protocol.Rounds(c, protocol.RoundsOptions{Screens: rapid.SliceOfN(rapid.IntRange(1, 3), 1, 3).Draw(t, "screens")}, last)
	},
	"sweep": func(t *rapid.T, c []protocol.Candidate, last protocol.Last) protocol.Protocol {
		return protocol.Sweep(c, "L K S", rapid.Uint64().Draw(t, "seed"), protocol.SweepOptions{
			Passes:  rapid.IntRange(1, 3).Draw(t, "passes"),
			Segment: rapid.IntRange(1, 7).Draw(t, "segment"),
			Batch:   rapid.IntRange(1, 50).Draw(t, "batch"),
			Alone:   rapid.IntRange(1, 3).Draw(t, "alone"),
			Ask:     rapid.IntRange(0, 20).Draw(t, "ask"),
		}, last)
	},
	"guided": func(t *rapid.T, c []protocol.Candidate, last protocol.Last) protocol.Protocol {
		return protocol.Guided(c, "L K S", rapid.Uint64().Draw(t, "seed"), protocol.GuidedOptions{
			Words:   rapid.IntRange(1, 50).Draw(t, "words"),
			Batch:   rapid.IntRange(1, 20).Draw(t, "batch"),
			Explore: rapid.Float64Range(0, 1).Draw(t, "explore"),
			Segment: rapid.IntRange(1, 7).Draw(t, "segment"),
			Alone:   rapid.IntRange(1, 3).Draw(t, "alone"),
			Stop:    rapid.IntRange(0, 40).Draw(t, "stop"),
		}, last)
	},
	"inventing": func(t *rapid.T, c []protocol.Candidate, last protocol.Last) protocol.Protocol {
		var lexicon []wordlists.Word
		for _, text := range words("ls", "lk", "skl", "rks", "sks", "b", "dks") {
			lexicon = append(lexicon, text.Word)
		}
		for _, candidate := range c {
			lexicon = append(lexicon, candidate.Word)
		}
		rounds := protocol.Rounds(c, protocol.RoundsOptions{Screens: []int{1}}, last)
		return protocol.Inventing(rounds, c, words("lks")[0].Word, rapid.IntRange(0, 20).Draw(t, "invented"), func() []wordlists.Word { return lexicon }, last)
	},
}

// answer is what became of an item: any of its plays may have drawn a reaction,
// or could not be measured.
func answer(t *rapid.T, item protocol.Item) protocol.Result {
	reacted := rapid.IntRange(0, item.Plays).Draw(t, "reacted")
	return protocol.Result{Reacted: reacted, Quiet: rapid.IntRange(0, item.Plays-reacted).Draw(t, "quiet")}
}

// play runs a protocol with answers drawn at random to its end.
func play(t *rapid.T, p protocol.Protocol, candidates int) []protocol.Done {
	var done []protocol.Done
	for batch := p.Next(nil); len(batch) > 0; batch = p.Next(done) {
		if len(done) > 100*candidates {
			t.Fatalf("no end after %d batches for %d words", len(done), candidates)
		}
		d := protocol.Done{Batch: batch}
		for _, item := range batch {
			d.Results = append(d.Results, answer(t, item))
		}
		done = append(done, d)
	}
	return done
}

func eachKind(t *testing.T, check func(*rapid.T, []protocol.Candidate, protocol.Last, protocol.Protocol)) {
	for name, make := range kinds {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				candidates, last := drawWords(t), drawLast(t)
				check(t, candidates, last, make(t, candidates, last))
			})
		})
	}
}

// A campaign that resumes plans what it planned before.
func TestBatchesAreRepeated(t *testing.T) {
	eachKind(t, func(t *rapid.T, candidates []protocol.Candidate, _ protocol.Last, p protocol.Protocol) {
		done := play(t, p, len(candidates))
		for i := range done {
			if again := p.Next(done[:i]); !reflect.DeepEqual(again, done[i].Batch) {
				t.Fatalf("batch %d is %v, and the second time %v", i, done[i].Batch, again)
			}
		}
	})
}

func TestBatchesAreInOrder(t *testing.T) {
	eachKind(t, func(t *rapid.T, candidates []protocol.Candidate, _ protocol.Last, p protocol.Protocol) {
		for _, d := range play(t, p, len(candidates)) {
			seen, segment := map[string]bool{}, 0
			for _, item := range d.Batch {
				if seen[item.Word.Text] {
					t.Fatalf("%q is twice in a batch", item.Word.Text)
				}
				seen[item.Word.Text] = true
				if item.Plays < 1 || item.Segment > 0 && item.Plays != 1 {
					t.Fatalf("%+v has %d plays", item, item.Plays)
				}
				if item.Segment != segment && item.Segment != segment+1 {
					t.Fatalf("segment %d follows %d", item.Segment, segment)
				}
				segment = item.Segment
			}
		}
	})
}

// Rates are taken from a number of plays that was fixed beforehand, or, where
// the last stage may stop early, it stops where nothing more can change.
func TestLastStageIsWhole(t *testing.T) {
	eachKind(t, func(t *rapid.T, candidates []protocol.Candidate, last protocol.Last, p protocol.Protocol) {
		asked, got := map[string]int{}, map[string]protocol.Result{}
		for _, d := range play(t, p, len(candidates)) {
			for i, item := range d.Batch {
				if item.Stage != protocol.StageLast {
					continue
				}
				text := item.Word.Text
				if r := got[text]; last.Hit > 0 && (r.Reacted >= last.Hit || r.Quiet > last.Plays-last.Hit) {
					t.Fatalf("%q is decided with %+v, and played again", text, r)
				}
				asked[text] += item.Plays
				got[text] = protocol.Result{Reacted: got[text].Reacted + d.Results[i].Reacted, Quiet: got[text].Quiet + d.Results[i].Quiet}
			}
		}
		for text, n := range asked {
			r := got[text]
			decided := last.Hit > 0 && (r.Reacted >= last.Hit || r.Quiet > last.Plays-last.Hit)
			if n > last.Plays || n < last.Plays && !decided {
				t.Fatalf("%q has %d plays in the last stage, of %d, with %+v", text, n, last.Plays, r)
			}
		}
	})
}

// Only what was quiet is given up. What could not be measured is not a no.
func TestReactionsAreFollowedUp(t *testing.T) {
	follow := func(kind string, follow func(item protocol.Item, r protocol.Result, goesOn bool) bool) {
		t.Run(kind, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				candidates := drawWords(t)
				p := kinds[kind](t, candidates, drawLast(t))
				goesOn, last := map[string]bool{}, map[string]bool{}
				for _, d := range play(t, p, len(candidates)) {
					for i, item := range d.Batch {
						switch {
						case item.Stage == protocol.StageLast:
							last[item.Word.Text] = true
						case last[item.Word.Text]: // a known hit among other words
						default:
							goesOn[item.Word.Text] = follow(item, d.Results[i], goesOn[item.Word.Text])
						}
					}
				}
				if !reflect.DeepEqual(only(goesOn), last) {
					t.Fatalf("%v should go on, and %v were played in the last stage", only(goesOn), last)
				}
			})
		})
	}
	follow("rounds", func(_ protocol.Item, r protocol.Result, _ bool) bool {
		return r.Reacted > 0 || r.Measured() == 0
	})
	// In a segment a reaction makes a suspect. Alone, a single one is enough, and
	// only a suspect that was quiet at least once is none.
	suspect, quiet := map[string]bool{}, map[string]bool{}
	follow("sweep", func(item protocol.Item, r protocol.Result, goesOn bool) bool {
		text := item.Word.Text
		if item.Segment > 0 {
			suspect[text], quiet[text] = r.Reacted > 0, false
			return r.Reacted > 0
		}
		if item.Why != "" { // it was asked beforehand
			suspect[text] = false
		}
		quiet[text] = quiet[text] || r.Quiet > 0
		return r.Reacted > 0 || suspect[text] && !quiet[text]
	})
}

// Plays of an earlier batch that were taken back, since the device was deaf, may
// come out otherwise when later batches are planned already.
func TestRoundsTakeUpWhatReactsLater(t *testing.T) {
	p := protocol.Rounds(words("deaf", "heard", "quiet"), protocol.RoundsOptions{Screens: []int{1, 2}}, protocol.Last{Plays: 3})
	var done []protocol.Done
	// next plays the batch that follows, with no reaction to what is not named.
	next := func(reacts ...string) (played []string) {
		d := protocol.Done{Batch: p.Next(done)}
		for _, item := range d.Batch {
			played = append(played, fmt.Sprintf("%s %s x%d", item.Word.Text, item.Stage, item.Plays))
			result := protocol.Result{Quiet: item.Plays}
			if slices.Contains(reacts, item.Word.Text) {
				result = protocol.Result{Reacted: item.Plays}
			}
			d.Results = append(d.Results, result)
		}
		done = append(done, d)
		return played
	}
	next("heard")
	next("heard")
	done[0].Results[0] = protocol.Result{Reacted: 1} // deaf was played again
	for i, want := range [][]string{
		{"heard last x3", "deaf screen x2"},
		{"deaf last x3"},
		nil,
	} {
		if got := next("deaf", "heard"); !slices.Equal(got, want) {
			t.Errorf("batch %d is %q, want %q", i+3, got, want)
		}
	}
}

func only(set map[string]bool) map[string]bool {
	kept := map[string]bool{}
	for text, in := range set {
		if in {
			kept[text] = true
		}
	}
	return kept
}

// Every pass of a sweep plays every word that has not been confirmed, in
// another order.
func TestSweepPassesOverAllWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		candidates := drawWords(t)
		passes := rapid.IntRange(1, 3).Draw(t, "passes")
		p := protocol.Sweep(candidates, "L K S", 1, protocol.SweepOptions{Passes: passes, Segment: 3, Batch: 10, Alone: 1}, protocol.Last{Plays: 2})
		inSegments, last := map[string]int{}, map[string]bool{}
		for _, d := range play(t, p, len(candidates)) {
			for _, item := range d.Batch {
				if item.Segment > 0 {
					inSegments[item.Word.Text]++
				}
				last[item.Word.Text] = last[item.Word.Text] || item.Stage == protocol.StageLast
			}
		}
		for _, c := range candidates {
			if n := inSegments[c.Word.Text]; n > passes || n < passes && !last[c.Word.Text] {
				t.Fatalf("%q is in %d segments of %d passes; last stage: %v", c.Word.Text, n, passes, last[c.Word.Text])
			}
		}
	})
}

func ExampleSweep() {
	p := protocol.Sweep(words("lks", "plks", "bnd", "gls", "fks"), "L K S", 1,
		protocol.SweepOptions{Passes: 1, Segment: 2, Batch: 10, Alone: 3}, protocol.Last{Plays: 10})
	run := []protocol.Done{}
	for batch := p.Next(run); len(batch) > 0; batch = p.Next(run) {
		d := protocol.Done{Batch: batch}
		var items []string
		for _, item := range batch {
			items = append(items, fmt.Sprintf("%d %s %s x%d", item.Segment, item.Word.Text, item.Stage, item.Plays))
			r := protocol.Result{Quiet: item.Plays}
			if item.Word.Text == "lks" {
				r = protocol.Result{Reacted: item.Plays}
			}
			d.Results = append(d.Results, r)
		}
		fmt.Println(strings.Join(items, "; "))
		run = append(run, d)
	}
	// Output:
	// 1 lks screen x1; 1 gls screen x1; 2 fks screen x1; 2 plks screen x1; 3 bnd screen x1
	// 0 lks screen x1
	// 0 lks last x10
}

// All that a device reacts to is found, and nothing else, on a device that is
// sure of itself.
func TestSimulateFindsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		candidates, last := drawWords(t), drawLast(t)
		hits := map[string]bool{}
		for _, c := range candidates {
			hits[c.Word.Text] = rapid.Bool().Draw(t, "hit")
		}
		for name, make := range kinds {
			if name == "guided" || name == "inventing" {
				continue // it does not play every word, or it plays others too
			}
			run := protocol.Simulate(make(t, candidates, last), device(func(text string) float64 {
				if hits[text] {
					return 1
				}
				return 0
			}))
			curve := run.Curve(0.5, nil)
			if got := curve[len(curve)-1].Found; got != len(only(hits)) || run.Words != len(candidates) {
				t.Fatalf("%s finds %d of %d hits, with %d of %d words", name, got, len(only(hits)), run.Words, len(candidates))
			}
		}
	})
}

// A device that hears nothing in a segment is swept in vain, if it is not asked.
func TestSimulateMasks(t *testing.T) {
	d := device(func(string) float64 { return 1 })
	o := protocol.SweepOptions{}.WithDefaults()
	o.Ask = 0
	p := protocol.Sweep(words("b", "d", "k"), "L K S", 1, o, protocol.Last{Plays: 10})
	if run := protocol.Simulate(p, d); len(run.Outcomes) != 3 {
		t.Errorf("%d of 3 words are found", len(run.Outcomes))
	}
	d.Masked = 1
	if run := protocol.Simulate(p, d); len(run.Outcomes) != 0 {
		t.Errorf("%d words are found in masked segments", len(run.Outcomes))
	}
}

// A sweep notices that segments hide hits, and goes on without them; where they
// hide none it goes on as if it had not asked.
func TestSweepAsksTheDevice(t *testing.T) {
	candidates := manyWords(2000)
	// Two words in a hundred are hits, half of them with the end of the wake word.
	rate := func(text string) float64 {
		if strings.HasSuffix(text, "kr") || strings.HasSuffix(text, "bb") {
			return 0.9
		}
		return 0
	}
	hits := 0
	for _, c := range candidates {
		if rate(c.Word.Text) > 0 {
			hits++
		}
	}
	for _, test := range []struct {
		ask       int
		masked    float64
		segmented float64 // the least and
		most      float64 // the most share of words that are played in segments
		found     float64 // the least share of hits
	}{
		{ask: 0, masked: 0.9, segmented: 0.9, most: 1},
		{ask: 30, masked: 0.9, segmented: 0.05, most: 0.3, found: 0.75},
		{ask: 30, masked: 0, segmented: 0.9, most: 1, found: 0.75},
		{ask: 30, masked: 0.2, segmented: 0.9, most: 1, found: 0.55},
	} {
		for seed := range uint64(10) {
			o := protocol.SweepOptions{}.WithDefaults()
			o.Ask = test.ask
			p := &counting{Protocol: protocol.Sweep(candidates, "D L K R", seed, o, protocol.Last{Plays: 10})}
			d := device(rate)
			d.Masked, d.Seed = test.masked, seed
			run := protocol.Simulate(p, d)
			if share := float64(p.segmented) / float64(len(candidates)); share < test.segmented || share > test.most {
				t.Errorf("%+v, seed %d: %.2f of the words are in segments", test, seed, share)
			}
			if found := len(run.Outcomes); float64(found) < test.found*float64(hits) || test.ask == 0 && found > hits/3 {
				t.Errorf("%+v, seed %d: %d of %d hits are found", test, seed, found, hits)
			}
			if p.among > 40 {
				t.Errorf("%+v, seed %d: known hits are played %d times among other words", test, seed, p.among)
			}
		}
	}
}

// counting counts what is played in segments.
type counting struct {
	protocol.Protocol
	segmented, among int
}

func (c *counting) Next(done []protocol.Done) protocol.Batch {
	batch := c.Protocol.Next(done)
	for _, item := range batch {
		switch {
		case item.Segment > 0 && item.Why != "":
			c.among++
		case item.Segment > 0:
			c.segmented++
		}
	}
	return batch
}

func device(rate func(text string) float64) protocol.Device {
	return protocol.Device{
		Timing: protocol.DefaultTiming(),
		Rate:   func(c protocol.Candidate) float64 { return rate(c.Word.Text) },
		Clip:   func(protocol.Candidate) time.Duration { return 600 * time.Millisecond },
		Seed:   1,
	}
}

// script is a protocol of one batch.
type script protocol.Batch

func (s script) Next(done []protocol.Done) protocol.Batch {
	if len(done) > 0 {
		return nil
	}
	return protocol.Batch(s)
}

func (script) Cost(protocol.Facts) protocol.Cost { return protocol.Cost{} }

// In a segment the words are suspects whose window a reaction falls into, and
// those that have begun by then; the rest is played when the device has
// settled.
func TestSimulateSegment(t *testing.T) {
	var batch protocol.Batch
	for _, c := range words("b", "d", "k", "l", "m") {
		batch = append(batch, protocol.Item{Candidate: c, Stage: protocol.StageScreen, Plays: 1, Segment: 1})
	}
	var got []protocol.Result
	p := recorder{script(batch), &got}
	timing := protocol.DefaultTiming()
	timing.Gap, timing.Window = 100*time.Millisecond, time.Second
	d := device(func(text string) float64 {
		if text == "d" {
			return 1
		}
		return 0
	})
	d.Timing = timing
	d.Clip = func(protocol.Candidate) time.Duration { return 650 * time.Millisecond }
	run := protocol.Simulate(p, d)

	// They end at 0.65, 1.4 and 2.15 s. The reaction is at 1.7 s: b is over for
	// more than a second, and k has begun at 1.5 s.
	want := []protocol.Result{{Quiet: 1}, {Reacted: 1}, {Reacted: 1}, {Quiet: 1}, {Quiet: 1}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("results are %+v, want %+v", got, want)
	}
	rest := 2*d.Clip(protocol.Candidate{}) + timing.Gap + timing.Window + timing.Rest
	if want := 1700*time.Millisecond + timing.Settle + rest; run.At != want || run.Plays != 5 || run.Words != 5 {
		t.Errorf("%d plays of %d words took %v, want 5 of 5 in %v", run.Plays, run.Words, run.At, want)
	}
}

// recorder keeps the results of the only batch.
type recorder struct {
	script
	results *[]protocol.Result
}

func (r recorder) Next(done []protocol.Done) protocol.Batch {
	if len(done) > 0 {
		*r.results = done[0].Results
	}
	return r.script.Next(done)
}

// What a protocol says it would cost is what it does cost, where the device is
// as was assumed.
func TestCostIsWhatItTakes(t *testing.T) {
	candidates := manyWords(4000)
	facts := protocol.Facts{Timing: protocol.DefaultTiming(), Clip: 600 * time.Millisecond, Hits: 0.02, Rate: 0.7}
	hits := map[string]bool{}
	for i := range int(facts.Hits * float64(len(candidates))) {
		hits[candidates[i].Word.Text] = true
	}
	rate := func(text string) float64 {
		if hits[text] {
			return facts.Rate
		}
		return 0
	}
	last := protocol.Last{Plays: 10}
	for name, p := range map[string]protocol.Protocol{
		"exhaustive": protocol.Exhaustive(candidates, 2),
		"rounds":     protocol.Rounds(candidates, protocol.RoundsOptions{Screens: []int{1, 2}}, last),
		"sweep":      protocol.Sweep(candidates, "L K S", 1, protocol.SweepOptions{Passes: 2}.WithDefaults(), last),
	} {
		cost, run := p.Cost(facts), protocol.Simulate(p, device(rate))
		if off := float64(run.Plays)/float64(cost.Plays) - 1; off < -0.05 || off > 0.05 || run.Plays > cost.MostPlays {
			t.Errorf("%s: %d plays, where %d were expected and at most %d", name, run.Plays, cost.Plays, cost.MostPlays)
		}
		// How many of the 80 hits get to the last stage is chance, and that is most of
		// the time.
		if off := run.At.Seconds()/cost.Bench.Seconds() - 1; off < -0.08 || off > 0.08 {
			t.Errorf("%s took %v, where %v was expected", name, run.At, cost.Bench)
		}
		if cost.Characters != 4*len(candidates) {
			t.Errorf("%s speaks %d characters, want %d", name, cost.Characters, 4*len(candidates))
		}
	}
}

// No device makes a protocol play more than it says.
func TestCostIsABound(t *testing.T) {
	eachKind(t, func(t *rapid.T, candidates []protocol.Candidate, _ protocol.Last, p protocol.Protocol) {
		plays := 0
		for _, d := range play(t, p, len(candidates)) {
			for _, item := range d.Batch {
				plays += item.Plays
			}
		}
		if most := p.Cost(protocol.Facts{}).MostPlays; plays > most {
			t.Fatalf("%d plays, where %d are the most", plays, most)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for want, err := range map[string]error{
		"passes: -1":         protocol.SweepOptions{Passes: -1}.WithDefaults().Validate(),
		"segment: 0":         protocol.SweepOptions{Passes: 1}.Validate(),
		"screens: there":     protocol.RoundsOptions{}.Validate(),
		"screens: a round":   protocol.RoundsOptions{Screens: []int{1, 0}}.Validate(),
		"has no plays":       protocol.Last{}.Validate(),
		"explore: NaN":       protocol.GuidedOptions{Words: 1, Batch: 1, Explore: math.NaN()}.Validate(),
		"words: 0":           protocol.GuidedOptions{}.Validate(),
		"11 reactions in 10": protocol.Last{Plays: 10, Hit: 11}.Validate(),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one with %q", err, want)
		}
	}
}

func TestWriteCurves(t *testing.T) {
	hit := func(text string) float64 {
		if text == "d" {
			return 1
		}
		return 0
	}
	run := protocol.Simulate(protocol.Exhaustive(words("b", "d"), 10), device(hit))
	var out strings.Builder
	if err := protocol.WriteCurves(&out, []string{"exhaustive"}, [][]protocol.Point{run.Curve(0.5, nil)}); err != nil {
		t.Fatal(err)
	}
	const want = "protocol,bench_hours,plays,words,found\n" +
		"exhaustive,0.0000,0,0,0\nexhaustive,0.0292,20,2,1\nexhaustive,0.0292,20,2,1\n"
	if out.String() != want {
		t.Errorf("got %s, want %s", &out, want)
	}
}
