package stats_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"wakefuzz/protocol"
	"wakefuzz/stats"
	"wakefuzz/wordlists"
)

var campaigns = flag.Int("campaigns", 200, "how many campaigns TestCampaigns simulates; docs/statistics.md has 10,000")

// The bench of the simulation: every word has a known rate. Most wake the device
// no more often than silence does.
const (
	selection = 500
	perRate   = 20
	negatives = 200 // plays of negative controls
	lastPlays = 10
	q         = 0.05
)

var rates = []float64{0.95, 0.7, 0.5, 0.3, 0.15}

// estimates are what was said, over all campaigns, of words of one rate.
type estimates struct {
	rate          float64
	words, tested int
	last, pooled  float64 // sums of estimates
	// Intervals that held the rate.
	wilson, exact, pooledExact int
	// The same where the last stage stops as soon as it knows what is a hit.
	early                   float64
	earlyTested, earlyExact int
}

// way is a way to say which words wake the device more often than silence does.
type way struct {
	name   string
	pooled bool // screening plays count too
	whole  bool // m is the whole selection
	// The sum of the share of false ones among what it names, and of its square.
	share, square float64
	found         int // true ones
}

// world is what came of many campaigns on a device.
type world struct {
	words []estimates
	ways  []way
}

// simulate runs campaigns with the real protocols, and judges them. Idle words
// and negative controls react at one rate, and so do all words where there is
// nothing to find.
func simulate(idle float64, nothing bool, seeds int) world {
	w := world{ways: []way{
		{name: "last stage, m the selection", whole: true},
		{name: "last stage, m the words tested"},
		{name: "all plays, m the selection", pooled: true, whole: true},
		{name: "all plays, m the words tested", pooled: true},
	}}
	place := make(map[string]int)
	var candidates []protocol.Candidate
	add := func(n int, rate float64) {
		for range n {
			text := fmt.Sprint("word ", len(candidates))
			place[text] = len(w.words)
			candidates = append(candidates, protocol.Candidate{Word: wordlists.Word{Text: text}, Voice: "v"})
		}
		w.words = append(w.words, estimates{rate: rate, words: n * seeds})
	}
	if !nothing {
		for _, rate := range rates {
			add(perRate, rate)
		}
	}
	add(selection-len(candidates), idle)
	device := protocol.Device{
		Rate: func(c protocol.Candidate) float64 { return w.words[place[c.Word.Text]].rate },
		Clip: func(protocol.Candidate) time.Duration { return time.Second },
	}
	screens := protocol.RoundsOptions{Screens: []int{1, 1}}
	fixed := protocol.Rounds(candidates, screens, protocol.Last{Plays: lastPlays})
	early := protocol.Rounds(candidates, screens, protocol.Last{Plays: lastPlays, Hit: 2})

	for seed := range uint64(seeds) {
		device.Seed = seed
		rng := rand.New(rand.NewPCG(seed, 99))
		silence := 0
		for range negatives {
			if rng.Float64() < idle {
				silence++
			}
		}
		run := protocol.Simulate(fixed, device)
		for _, o := range run.Outcomes {
			e := &w.words[place[o.Word.Text]]
			k, n := o.Last.Reacted, o.Last.Measured()
			screened := len(screens.Screens) // they all reacted, or there were no last stage
			e.tested++
			e.last += float64(k) / float64(n)
			e.pooled += float64(k+screened) / float64(n+screened)
			e.wilson += holds(stats.Wilson(k, n), e.rate)
			e.exact += holds(stats.ClopperPearson(k, n, 0.95), e.rate)
			e.pooledExact += holds(stats.ClopperPearson(k+screened, n+screened, 0.95), e.rate)
		}
		for i := range w.ways {
			w.ways[i].judge(w.words, place, run.Outcomes, silence, len(screens.Screens), idle)
		}
		outcomes := make(map[string]protocol.Result)
		for _, o := range protocol.Simulate(early, device).Outcomes {
			outcomes[o.Word.Text] = o.Last
		}
		for text, r := range outcomes {
			e := &w.words[place[text]]
			e.earlyTested++
			e.early += float64(r.Reacted) / float64(r.Measured())
			e.earlyExact += holds(stats.ClopperPearson(r.Reacted, r.Measured(), 0.95), e.rate)
		}
	}
	return w
}

func holds(i stats.Interval, rate float64) int {
	if i.Lower <= rate && rate <= i.Upper {
		return 1
	}
	return 0
}

// judge names the words of a campaign that wake the device more often than
// silence, and counts the wrong ones among them.
func (w *way) judge(words []estimates, place map[string]int, tested []protocol.Outcome, silence, screened int, idle float64) {
	m := len(tested)
	if w.whole {
		m = selection
	}
	p := make([]float64, len(tested))
	for i, o := range tested {
		k, n := o.Last.Reacted, o.Last.Measured()
		if w.pooled {
			k, n = k+screened, n+screened
		}
		p[i] = stats.FisherGreater(k, n, silence, negatives)
	}
	named, wrong := 0.0, 0.0
	for i, adjusted := range stats.BenjaminiHochbergOf(m, p) {
		if adjusted > q {
			continue
		}
		named++
		if words[place[tested[i].Word.Text]].rate <= idle {
			wrong++
		} else {
			w.found++
		}
	}
	share := wrong / max(1, named)
	w.share += share
	w.square += share * share
}

// falseShare is the false discovery rate, and its standard error.
func (w *way) falseShare(n int) (rate, deviation float64) {
	rate = w.share / float64(n)
	return rate, math.Sqrt(max(0, w.square/float64(n)-rate*rate) / float64(n))
}

// covers is how often the interval of n plays holds the rate, whatever chose
// the word: by summing up what can happen.
func covers(rate float64, n int, interval func(k int) stats.Interval) float64 {
	share := 0.0
	for k := range n + 1 {
		if holds(interval(k), rate) == 1 {
			share += stats.BinomialGreater(k, n, rate)
			if k < n {
				share -= stats.BinomialGreater(k+1, n, rate)
			}
		}
	}
	return share
}

// What docs/statistics.md promises of a campaign's numbers holds, in campaigns
// by the real protocols on a device whose every word has a known rate; and what
// it warns of happens.
func TestCampaigns(t *testing.T) {
	n := *campaigns
	var intervals, discoveries strings.Builder
	for _, device := range []struct {
		idle    float64
		nothing bool
	}{{0, false}, {0.02, false}, {0.1, false}, {0.1, true}} {
		w := simulate(device.idle, device.nothing, n)
		intervals.Reset()
		for _, e := range w.words {
			if e.tested < 20 {
				continue
			}
			checkEstimates(t, e)
			tested, earlier := float64(e.tested), float64(e.earlyTested)
			fmt.Fprintf(&intervals, "| %g | %.1f %% | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f |\n", e.rate, 100*tested/float64(e.words),
				e.last/tested, float64(e.wilson)/tested, float64(e.exact)/tested,
				e.pooled/tested, float64(e.pooledExact)/tested, e.early/earlier)
		}
		what := "100 words to find"
		if device.nothing {
			what = "nothing to find"
		}
		for i := range w.ways {
			way := &w.ways[i]
			rate, deviation := way.falseShare(n)
			fmt.Fprintf(&discoveries, "| %g, %s | %s | %.2f %% | %.1f |\n", device.idle, what, way.name, 100*rate, float64(way.found)/float64(n))
			if !way.pooled && rate > q+4*deviation {
				t.Errorf("idle at %g, %s: %.4f of the discoveries are false, want %g at most", device.idle, way.name, rate, q)
			}
			if way.pooled && !way.whole && device.nothing && rate < 2*q {
				t.Errorf("with screening plays only %.4f of the discoveries are false: the test tests nothing", rate)
			}
		}
		if device.idle == 0.1 && !device.nothing { // the others are alike, without its last row
			t.Logf("%d campaigns\n| rate | tested | last stage says | Wilson holds | exact holds | all plays say | exact holds | stopped early says |\n|---|---|---|---|---|---|---|---|\n%s", n, intervals.String())
		}
	}
	t.Logf("\n| idle words at | p-values from | false discoveries | found |\n|---|---|---|---|\n%s", discoveries.String())
}

// checkEstimates holds what is said of words of one rate to what must be said.
func checkEstimates(t *testing.T, e estimates) {
	t.Helper()
	tested := float64(e.tested)
	// Four standard errors: one in 16,000 by chance, and the seeds are fixed.
	near := func(what string, got, want, variance float64) {
		t.Helper()
		if d := math.Abs(got - want); d > 4*math.Sqrt(variance/tested)+1e-9 {
			t.Errorf("of words at %g, %s is %.4f, want %.4f", e.rate, what, got, want)
		}
	}
	variance := e.rate * (1 - e.rate) / lastPlays
	near("the mean rate of the last stage", e.last/tested, e.rate, variance)
	near("the mean rate of all plays", e.pooled/tested, (lastPlays*e.rate+2)/(lastPlays+2), variance)
	want := covers(e.rate, lastPlays, func(k int) stats.Interval { return stats.Wilson(k, lastPlays) })
	near("how often Wilson's interval holds", float64(e.wilson)/tested, want, want*(1-want))
	want = covers(e.rate, lastPlays, func(k int) stats.Interval { return stats.ClopperPearson(k, lastPlays, 0.95) })
	near("how often the exact interval holds", float64(e.exact)/tested, want, want*(1-want))
	if want < 0.95 {
		t.Errorf("the exact interval holds a rate of %g in %.4f of all cases", e.rate, want)
	}
}
