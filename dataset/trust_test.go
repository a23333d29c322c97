package dataset

import (
	"math"
	"math/rand/v2"
	"testing"

	"wakefuzz/bench"
)

// How many misses in a row it takes, after so many agreements and misses.
func TestTrust(t *testing.T) {
	for _, tt := range []struct{ seen, missed, credit, want int }{
		{0, 0, 8, 8}, // never worked
		{13, 0, 0, 6},
		{50, 0, 0, 3},
		{80, 0, 8, 3}, // as after six hours at five minutes
		{1000, 0, 0, 3},
		{45, 5, 0, 5},
		{5, 0, 0, 14},
	} {
		s := trust{seen: tt.seen, missed: tt.missed}
		row := 0
		for !s.lost {
			s.see(false, bench.Span{}, tt.credit)
			row++
			if row > 1000 {
				t.Fatalf("%+v: a row of %d is not enough", tt, row)
			}
		}
		if row != tt.want {
			t.Errorf("%+v: it takes %d in a row", tt, row)
		}
		if !s.see(true, bench.Span{}, tt.credit) || s.lost || s.missed != tt.missed {
			t.Errorf("%+v: after an agreement it is %+v", tt, s)
		}
	}
	unknown := trust{}
	for range 1000 {
		unknown.see(false, bench.Span{}, 0)
	}
	if unknown.lost {
		t.Error("an oracle of which nothing is known is taken for dead")
	}
}

// The probability is that of the last k of n being the misses, counted out.
func TestChance(t *testing.T) {
	const seen, missed, row = 5, 2, 3
	s := trust{seen: seen, missed: missed, row: row}
	rng := rand.New(rand.NewPCG(1, 2))
	order := make([]bool, seen+missed+row)
	for i := range missed + row {
		order[i] = true
	}
	const rounds = 200_000
	last := 0
	for range rounds {
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		if order[len(order)-1] && order[len(order)-2] && order[len(order)-3] {
			last++
		}
	}
	got, want := s.chance(0), float64(last)/rounds
	if math.Abs(got-want) > 5*math.Sqrt(want/rounds) {
		t.Errorf("%g, counted %g", got, want)
	}
}

// Two oracles that both live are left alone, however often they agree: at most
// twice in ten thousand occasions one is taken for dead.
func TestTrustOfTheLiving(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, misses := range []float64{0.01, 0.05, 0.2, 0.5} {
		lost, occasions := 0, 0
		for range 200 {
			var s trust
			for range 1000 {
				occasions++
				if s.see(rng.Float64() >= misses, bench.Span{}, credit) && s.lost {
					lost++
				}
			}
		}
		t.Logf("missing %g: %d taken for dead in %d occasions", misses, lost, occasions)
		if float64(lost) > 2e-4*float64(occasions) {
			t.Errorf("missing %g: %d taken for dead in %d occasions", misses, lost, occasions)
		}
	}
}
