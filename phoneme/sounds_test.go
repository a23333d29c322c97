package phoneme_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"wakefuzz/phoneme"
)

func ExampleDifference() {
	for _, pair := range []string{"B P", "K T", "K S", "EH AE", "EH IY", "B AA"} {
		a, b, _ := strings.Cut(pair, " ")
		fmt.Printf("%s %.2f\n", pair, phoneme.Difference(a, b))
	}
	// Output:
	// B P 0.17
	// K T 0.17
	// K S 0.33
	// EH AE 0.17
	// EH IY 0.17
	// B AA 1.00
}

func ExampleSounds_Distance() {
	alexa := phoneme.Pronunciation("AH0 L EH1 K S AH0").Sounds()
	for _, p := range []phoneme.Pronunciation{"IH0 L EH1 K S AH0", "L EH1 K S AH0 S", "HH EH1 K S T", "B AA1 B"} {
		fmt.Printf("%s %.2f\n", p, alexa.Distance(p.Sounds()))
	}
	// Output:
	// IH0 L EH1 K S AH0 0.23
	// L EH1 K S AH0 S 1.00
	// HH EH1 K S T 2.50
	// B AA1 B 3.03
}

func ExampleSounds_Within() {
	jarvis := phoneme.Pronunciation("HH EY1 JH AA1 R V AH0 S").Sounds()
	for _, p := range []phoneme.Pronunciation{"JH AA1 R V AH0 S", "G EY1 D AA2 R", "B AA1 B"} {
		s := p.Sounds()
		fmt.Printf("%s %.2f, of the whole %.2f\n", p, s.Within(jarvis), s.Distance(jarvis))
	}
	// Output:
	// JH AA1 R V AH0 S 0.00, of the whole 1.00
	// G EY1 D AA2 R 0.65, of the whole 2.32
	// B AA1 B 0.75, of the whole 2.95
}

// Within is the least distance to all stretches, tried one by one.
func TestSoundsWithin(t *testing.T) {
	draw := rapid.SliceOfN(rapid.SampledFrom(allPhones), 0, 80)
	rapid.Check(t, func(t *rapid.T) {
		a := phoneme.Pronunciation(strings.Join(draw.Draw(t, "a"), " ")).Sounds()
		b := phoneme.Pronunciation(strings.Join(draw.Draw(t, "b"), " ")).Sounds()
		least := math.Inf(1)
		for from := range len(b) + 1 {
			for to := from; to <= len(b); to++ {
				least = min(least, a.Distance(b[from:to]))
			}
		}
		if got := a.Within(b); math.Abs(got-least) > 1e-9 {
			t.Fatalf("%v, but a stretch is at %v", got, least)
		}
	})
}

func TestDifferenceIsADistance(t *testing.T) {
	for _, a := range append(allPhones, "XX") {
		for _, b := range append(allPhones, "XX") {
			d := phoneme.Difference(a, b)
			if d != phoneme.Difference(b, a) || (d == 0) != (a == b) || d < 0 || d > 1 {
				t.Errorf("%s and %s are %v and %v apart", a, b, d, phoneme.Difference(b, a))
			}
		}
	}
}

func TestSoundsDistanceIsADistance(t *testing.T) {
	draw := rapid.SliceOfN(rapid.SampledFrom(allPhones), 1, 100)
	rapid.Check(t, func(t *rapid.T) {
		pronunciation := phoneme.Pronunciation(strings.Join(draw.Draw(t, "a"), " "))
		a := pronunciation.Sounds()
		b := phoneme.Pronunciation(strings.Join(draw.Draw(t, "b"), " ")).Sounds()
		if a.Pronunciation() != pronunciation {
			t.Fatalf("%s comes back as %s", pronunciation, a.Pronunciation())
		}
		d := a.Distance(b)
		if math.Abs(d-b.Distance(a)) > 1e-9 || (d == 0) != (a.Pronunciation() == b.Pronunciation()) {
			t.Fatalf("%v, and %v the other way", d, b.Distance(a))
		}
		fewest := phoneme.Gap * math.Abs(float64(len(a)-len(b)))
		if most := phoneme.Gap * float64(len(a)+len(b)); d < fewest-1e-9 || d > most+1e-9 {
			t.Fatalf("%v is not between %v and %v", d, fewest, most)
		}
		longest := phoneme.Pronunciation(strings.Repeat("AA1 ", 99) + "XX B")
		if got := longest.Sounds(); len(got) != 100 {
			t.Fatalf("%d sounds", len(got))
		}
	})
}
