package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"wakefuzz/stats"
)

func cusum(t *testing.T, good, bad, between float64) *stats.Cusum {
	t.Helper()
	c, err := stats.NewCusum(good, bad, between)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The limit is the lowest that keeps the promise.
func TestCusumKeepsItsPromise(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		good := rapid.Float64Range(1e-3, 0.5).Draw(rt, "good")
		bad := rapid.Float64Range(min(0.99, 2*good), 0.999).Draw(rt, "bad")
		between := rapid.Float64Range(1, 1e4).Draw(rt, "between")
		c := cusum(t, good, bad, between)
		if got := c.RunLength(good); got < between {
			rt.Errorf("%v: an alarm every %g plays, want %g", c, got, between)
		}
		lower := stats.Cusum{Up: c.Up, Limit: c.Limit - 1}
		if c.Limit > 1 && lower.RunLength(good) >= between {
			rt.Errorf("%v: a limit of %d keeps the promise too", c, lower.Limit)
		}
	})
}

// What is computed of the chain is what happens.
func TestCusumRunsAsLongAsComputed(t *testing.T) {
	c := cusum(t, 0.02, 0.3, 500)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, p := range []float64{0.02, 0.1, 0.5, 1} {
		const runs = 4000
		plays := 0
		for range runs {
			c.Reset()
			for alarm := false; !alarm; plays++ {
				alarm = c.Add(rng.Float64() < p)
			}
		}
		got, want := float64(plays)/runs, c.RunLength(p)
		if math.Abs(got/want-1) > 0.06 { // a mean of 4,000 that are about exponential
			t.Errorf("at a rate of %g an alarm came after %.1f plays, want %.1f", p, got, want)
		}
	}
}

// An alarm says since when.
func TestCusumTellsTheBeginning(t *testing.T) {
	c := cusum(t, 0.02, 0.5, 1000)
	for range 100 {
		if c.Add(false) {
			t.Fatal("alarm without a failure")
		}
	}
	if c.Since() != 0 {
		t.Errorf("trouble since %d plays, and there is none", c.Since())
	}
	failures := 1
	for ; !c.Add(true); failures++ {
		if failures > 10 {
			t.Fatal("no alarm from a deaf device")
		}
	}
	if c.Since() != failures {
		t.Errorf("trouble since %d plays, want %d", c.Since(), failures)
	}
	c.Reset()
	if c.Add(true) || c.Since() != 1 {
		t.Error("one failure after a reset is an alarm")
	}
}

func TestCusumOfNothing(t *testing.T) {
	c := cusum(t, 0.1, 0.5, 100)
	if got := c.RunLength(0); !math.IsInf(got, 1) {
		t.Errorf("without failures there is an alarm every %g plays", got)
	}
	if got := (&stats.Cusum{Up: 2, Limit: 100_000}).RunLength(0.01); !math.IsInf(got, 1) {
		t.Errorf("what never happens comes after %g plays", got)
	}
	if got := c.RunLength(1); got != math.Ceil(float64(c.Limit)/float64(c.Up)) {
		t.Errorf("%v: of failures alone the alarm comes after %g", c, got)
	}
	for _, wish := range [][3]float64{
		{0, 0.5, 10}, {0.5, 0.1, 10}, {0.1, 1, 10}, {0.1, 0.5, 0}, {0.1, 0.1 + 1e-12, 1e300},
		{math.NaN(), 0.5, 10}, {0.1, math.NaN(), 10}, {0.1, 0.5, math.NaN()}, {0.1, 0.5, math.Inf(1)},
	} {
		if c, err := stats.NewCusum(wish[0], wish[1], wish[2]); err == nil {
			t.Errorf("%v gives %v", wish, c)
		}
	}
}
