package stats_test

import (
	"fmt"

	"wakefuzz/stats"
)

// How little a word may react and still be told from silence is a matter of how
// often silence was played.
func ExampleFisherGreater() {
	for _, silence := range []struct{ reacted, plays int }{{0, 20}, {0, 100}, {0, 500}, {0, 2000}, {10, 500}} {
		fmt.Printf("%2d/%-4d", silence.reacted, silence.plays)
		for _, k := range []int{1, 2, 3, 5, 7, 10} {
			fmt.Printf("  %.1g", stats.FisherGreater(k, 10, silence.reacted, silence.plays))
		}
		fmt.Println()
	}
	// Output:
	// 0/20    0.3  0.1  0.03  0.002  6e-05  3e-08
	//  0/100   0.09  0.008  0.0006  2e-06  4e-09  2e-14
	//  0/500   0.02  0.0003  5e-06  9e-10  7e-14  3e-21
	//  0/2000  0.005  2e-05  9e-08  9e-13  5e-18  3e-27
	// 10/500   0.2  0.02  0.001  2e-06  1e-09  6e-16
}

// The rule for an alarm, from what it is to tell apart: how long a bench that is
// well goes without one, and how soon it comes to one that is not.
func ExampleNewCusum() {
	for _, want := range []struct{ good, bad, between float64 }{
		{0.01, 0.3, 20_000}, {0.05, 0.5, 20_000}, {0.2, 0.7, 20_000}, // wake words that are missed
		{0.001, 0.1, 20_000}, {0.01, 0.2, 20_000}, // silence that is heard
	} {
		rule, err := stats.NewCusum(want.good, want.bad, want.between)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%g or %g: +%d, -1, alarm at %d; every %.0f plays, after %.1f, at once %.0f\n",
			want.good, want.bad, rule.Up, rule.Limit, rule.RunLength(want.good), rule.RunLength(want.bad), rule.RunLength(1))
	}
	// Output:
	// 0.01 or 0.3: +10, -1, alarm at 22; every 23187 plays, after 10.6, at once 3
	// 0.05 or 0.5: +4, -1, alarm at 16; every 35221 plays, after 10.8, at once 4
	// 0.2 or 0.7: +1, -1, alarm at 7; every 36395 plays, after 15.6, at once 7
	// 0.001 or 0.1: +44, -1, alarm at 45; every 24220 plays, after 20.1, at once 2
	// 0.01 or 0.2: +14, -1, alarm at 34; every 20740 plays, after 17.4, at once 3
}
