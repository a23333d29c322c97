package learned_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/forest"
	"wakefuzz/learned"
)

// feature is the one of that name.
func feature(t *testing.T, features []float64, name string) float64 {
	t.Helper()
	i := slices.Index(learned.Names(), name)
	if i < 0 || len(features) != len(learned.Names()) {
		t.Fatalf("no feature %q among %d, of which %d have names", name, len(features), len(learned.Names()))
	}
	return features[i]
}

// The features are tsfresh's; scripts/features-golden.py made them.
func TestFeaturesAgreeWithTsfresh(t *testing.T) {
	var golden struct {
		Names []string
		Cases []struct {
			Lengths  []int32
			Features []*float64
		}
	}
	data, err := os.ReadFile("testdata/features.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 60 || 3*len(golden.Names) != len(learned.Names()) {
		t.Fatalf("%d cases of %d features, for the three times of %d", len(golden.Cases), len(golden.Names), len(learned.Names()))
	}
	for _, c := range golden.Cases {
		var packets []bench.Packet
		for _, length := range c.Lengths {
			packets = append(packets, bench.Packet{Size: length, Direction: bench.Incoming})
		}
		features := learned.Features(packets)
		for i, name := range golden.Names {
			want := 0.0
			if c.Features[i] != nil {
				want = *c.Features[i]
			}
			for whose, want := range map[string]float64{"all": want, "incoming": want} {
				if got := feature(t, features, whose+"__"+name); !(math.Abs(got-want) <= 1e-9*max(1, math.Abs(want))) {
					t.Errorf("%s of %v: %s is %v, want %v", whose, c.Lengths, name, got, want)
				}
			}
			if got := feature(t, features, "outgoing__"+name); got != 0 {
				t.Errorf("without outgoing packets, their %s is %v", name, got)
			}
		}
	}
}

func TestFeaturesTellDirectionsApart(t *testing.T) {
	features := learned.Features([]bench.Packet{
		{Size: 100, Direction: bench.Outgoing}, {Size: 1514, Direction: bench.Incoming},
		{Size: 300, Direction: bench.Outgoing}, {Size: 60},
	})
	for name, want := range map[string]float64{
		"all__length": 4, "outgoing__length": 2, "incoming__length": 1,
		"all__sum_values": 1974, "outgoing__mean": 200, "incoming__maximum": 1514,
	} {
		if got := feature(t, features, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// Whatever a capture holds, there is a number for it.
func FuzzFeatures(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 100, 1, 0, 0, 0, 100, 1, 127, 255, 255, 255, 2})
	f.Add([]byte{128, 0, 0, 0, 9, 127, 255, 255, 255, 1, 128, 0, 0, 0, 1, 127, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		var packets []bench.Packet
		for c := range slices.Chunk(data, 5) {
			if len(c) == 5 {
				size := int32(uint32(c[0])<<24 | uint32(c[1])<<16 | uint32(c[2])<<8 | uint32(c[3]))
				packets = append(packets, bench.Packet{Size: size, Direction: bench.Direction(c[4])})
			}
		}
		for i, v := range learned.Features(packets) {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%s of %v is %v", learned.Names()[i], packets, v)
			}
		}
	})
}

func seconds(from, to float64) bench.Span {
	at := func(s float64) bench.Instant { return bench.Instant(s * float64(time.Second)) }
	return bench.Span{Start: at(from), End: at(to)}
}

func TestWindows(t *testing.T) {
	recordings := []learned.Recording{
		{Name: "a", Watched: seconds(100, 121), Activations: []bench.Span{seconds(104, 112), seconds(119.5, 119.5)},
			Packets: []bench.Packet{{At: seconds(99, 0).Start, Size: 1}, {At: seconds(100, 0).Start, Size: 2}, {At: seconds(104.9, 0).Start, Size: 4}, {At: seconds(105, 0).Start, Size: 8}}},
		{Name: "b", Watched: seconds(0, 4)},
		{Name: "c", Watched: seconds(0, 5), Activations: []bench.Span{seconds(-1, 0.5), seconds(4.5, 5.4), seconds(7, 9)}},
	}
	windows, set, err := learned.Windows(recordings, learned.Cut{Length: 5 * time.Second, Step: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	// The activation from 104 only touches the first window, fills the second,
	// and half of the next; one without length is none.
	wantWindows := []learned.Window{{0, seconds(100, 105)}, {0, seconds(105, 110)}, {0, seconds(110, 115)}, {0, seconds(115, 120)}, {2, seconds(0, 5)}}
	if !slices.Equal(windows, wantWindows) {
		t.Errorf("windows %v, want %v", windows, wantWindows)
	}
	if want := []bool{false, true, false, false, true}; !slices.Equal(set.Positive, want) {
		t.Errorf("positive %v, want %v", set.Positive, want)
	}
	if want := []string{"a", "a", "a", "a", "c"}; !slices.Equal(set.Groups, want) {
		t.Errorf("groups %v, want %v", set.Groups, want)
	}
	for i, want := range []float64{6, 8, 0, 0, 0} {
		if got := feature(t, set.Rows[i], "all__sum_values"); got != want {
			t.Errorf("window %d holds %v bytes, want %v", i, got, want)
		}
	}
}

func TestWindowsOverlapAndMakeBlocks(t *testing.T) {
	recordings := []learned.Recording{{Name: "a", Watched: seconds(10, 30)}, {Name: "b", Watched: seconds(0, 7.5)}}
	cut := learned.DefaultCut()
	cut.Block = 10 * time.Second
	windows, set, err := learned.Windows(recordings, cut)
	if err != nil {
		t.Fatal(err)
	}
	if len(windows) != 9 || windows[1].Span != seconds(12.5, 17.5) || windows[8].Span != seconds(2.5, 7.5) {
		t.Errorf("windows %v", windows)
	}
	var counts []int
	for _, group := range slices.Compact(slices.Clone(set.Groups)) {
		n := 0
		for _, g := range set.Groups {
			if g == group {
				n++
			}
		}
		counts = append(counts, n)
	}
	if want := []int{4, 3, 2}; !slices.Equal(counts, want) {
		t.Errorf("the blocks %v have %v windows, want %v", set.Groups, counts, want)
	}
}

func TestWindowsRefuses(t *testing.T) {
	for _, cut := range []learned.Cut{{}, {Length: time.Second}, {Step: time.Second}, {Length: time.Second, Step: time.Second, Block: -1}} {
		if _, _, err := learned.Windows(nil, cut); err == nil || !strings.Contains(err.Error(), "longer than nothing") {
			t.Errorf("%+v: %v", cut, err)
		}
	}
}

// A device chatters, and uploads speech while it is active: a forest tells the
// windows apart in recordings that it was not trained on, and finds nothing
// where the labels are about something else.
func TestForestLearnsUploads(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var recordings, mislabelled []learned.Recording
	for i := range 12 {
		r := learned.Recording{Name: fmt.Sprint(i), Watched: seconds(0, 180)}
		var earlier []bench.Span
		chatter := func(from, to, perSecond float64, sizes ...int32) {
			for at := from; at < to; at += random.ExpFloat64() / perSecond {
				r.Packets = append(r.Packets, bench.Packet{
					At: seconds(at, at).Start, Size: sizes[random.IntN(len(sizes))], Direction: bench.Direction(1 + random.IntN(2))})
			}
		}
		chatter(0, 180, 3, 66, 97, 118, 254)
		for at := 20 + 20*random.Float64(); at < 170; at += 30 + 30*random.Float64() {
			length := 2 + 5*random.Float64()
			r.Activations = append(r.Activations, seconds(at, at+length))
			earlier = append(earlier, seconds(at-12, at-12+length))
			chatter(at+0.3, at+length, 10, 66, 1514)
		}
		slices.SortFunc(r.Packets, func(a, b bench.Packet) int { return cmp.Compare(a.At, b.At) })
		recordings = append(recordings, r)
		r.Activations = earlier
		mislabelled = append(mislabelled, r)
	}
	right := func(recordings []learned.Recording) float64 {
		_, set, err := learned.Windows(recordings, learned.DefaultCut())
		if err != nil {
			t.Fatal(err)
		}
		ps, err := forest.CrossValidate(t.Context(), set, 10, forest.Options{Trees: 20})
		if err != nil {
			t.Fatal(err)
		}
		found, all := 0.0, 0.0
		for i, p := range ps {
			if set.Positive[i] {
				all++
				if p >= 0.5 {
					found++
				}
			}
		}
		return found / all
	}
	if share := right(recordings); share < 0.8 {
		t.Errorf("%.2f of the windows are found", share)
	}
	if share := right(mislabelled); share > 0.1 {
		t.Errorf("%.2f of the windows are found where there is nothing to find", share)
	}
}
