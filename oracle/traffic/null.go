package traffic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"wakefuzz/bench"
	"wakefuzz/stats"
)

// Null is what a device's idle traffic looks like: the paced bytes of windows of
// one length in which, as far as is known, it sent nothing that it heard. What a
// window of unknown kind holds is ranked among them, and its rank is a p-value
// that holds whatever the distribution is, as long as an idle window of that
// time would have been like those (an empirical null, or conformal p-value).
type Null struct {
	unit   time.Duration
	scores []float32 // in the order of time
	// begins are the places among them of windows that don't follow directly upon
	// the one before.
	begins []int
	latest bench.Instant // where the last one ends
	// audible are the larger windows, neighbours joined.
	audible []audible
	until   bench.Instant // where the last of them ends
	learnt  *learnt       // what follows from all that, once it is asked for
}

// learnt is what follows from a null's windows.
type learnt struct {
	drifts drift
	// parts are all windows or, where the traffic drifted, both halves.
	parts []part
}

// part are windows that are taken to be alike.
type part struct {
	scores []float32 // in the order of time
	begins []int     // as in Null
	ranked []float32 // in the order of size
	phased bool      // the traffic comes in phases
	// groups are the sums of so many neighbours at a time, in the order of size.
	groups map[int][]float64
	// pool holds the scores, and has room behind them for those of plays.
	pool []float64
}

// audible is a stretch in which idle traffic carried much.
type audible struct {
	at   bench.Instant
	peak float32
}

const (
	// audibleBytes is far below what any speech fills a window with. Smaller
	// windows say nothing of where to draw the line.
	audibleBytes = 4000
	// maxNull bounds a null: nine days of windows of 3 s. A longer one forgets
	// its older half.
	maxNull = 1 << 18
)

// smallestP is the least p-value that can be written down.
const smallestP = math.SmallestNonzeroFloat64

// NewNull returns a null of no windows yet, of the length.
func NewNull(unit time.Duration) *Null { return &Null{unit: unit} }

// Unit is the length of the null's windows.
func (n *Null) Unit() time.Duration { return n.unit }

// Len is how many windows there are.
func (n *Null) Len() int { return len(n.scores) }

// Span is how much idle traffic that is.
func (n *Null) Span() time.Duration { return time.Duration(len(n.scores)) * n.unit }

// Learn cuts an idle span into windows and adds them. Packets are the device's,
// in the order of time; spans come in the order of time too.
func (n *Null) Learn(packets []bench.Packet, idle bench.Span) {
	packets = Between(packets, idle)
	for at := idle.Start; idle.End.Sub(at) >= n.unit; at = at.Add(n.unit) {
		window := bench.Span{Start: at, End: at.Add(n.unit)}
		n.add(at, float32(PacedPeak(packets, window)))
	}
}

// Add adds a window that begins then and of which it is known how many paced
// bytes it holds.
func (n *Null) Add(at bench.Instant, bytes float64) { n.add(at, float32(bytes)) }

// add adds a window that begins then. One that begins before its predecessor is
// on another clock.
func (n *Null) add(at bench.Instant, score float32) {
	if len(n.scores) == maxNull {
		// A new array: copies of the null may share the old one.
		n.scores = slices.Clone(n.scores[maxNull/2:])
		n.begins = shifted(n.begins, maxNull/2)
	}
	if len(n.audible) == maxNull {
		n.audible = slices.Clone(n.audible[maxNull/2:])
	}
	if at != n.latest || len(n.scores) == 0 {
		n.begins = append(n.begins, len(n.scores))
	}
	n.latest = at.Add(n.unit)
	n.scores = append(n.scores, score)
	n.learnt = nil
	if score < audibleBytes {
		return
	}
	if last := len(n.audible) - 1; last >= 0 && at <= n.until && at >= n.audible[last].at {
		n.audible[last].peak = max(n.audible[last].peak, score)
	} else {
		n.audible = append(n.audible, audible{at, score})
	}
	n.until = at.Add(n.unit)
}

// P is how likely an idle window holds as many bytes: the share of those that
// do, the window in question counted among them, so that it is never less than
// 1/(N+1) of N windows. Ties count against it. Where the traffic of the later
// half of the windows is another than that of the earlier, it is the larger of
// what either says. Without windows it is 1.
func (n *Null) P(bytes float64) PValue {
	p := 0.0
	for _, part := range n.learn().parts {
		p = max(p, rank(part.ranked, float32(bytes)))
	}
	return PValue{Value: p}
}

// rank is the share of values, which are in the order of size, that are no less,
// the one in question counted among them.
func rank[T float32 | float64](ordered []T, value T) float64 {
	below, _ := slices.BinarySearch(ordered, value)
	return float64(1+len(ordered)-below) / float64(1+len(ordered))
}

// Threshold is the least number of bytes whose p-value is at most p, or false
// where there are too few windows for it.
func (n *Null) Threshold(p float64) (bytes float64, ok bool) {
	for _, part := range n.learn().parts {
		const rounding = 1e-9
		count := len(part.ranked)
		reach := int(math.Min(p*float64(1+count)+rounding, float64(1+count))) - 1 // windows that may reach it
		switch {
		case reach < 0:
			return 0, false
		case reach < count:
			above := math.Nextafter32(part.ranked[count-1-reach], math.MaxFloat32)
			bytes = max(bytes, float64(above))
		}
	}
	return bytes, true
}

// Combine is one p-value for the windows of several plays of a word: how likely
// as many idle windows hold as many bytes together. Without plays or idle windows
// there is none. It is never less than 1/(N+1) of N windows, though ten plays
// together could claim more: what none of the windows showed may still happen now
// and then. Where the traffic drifted it is the larger of what either half of the
// windows says. The same windows give the same value.
//
// Two tests share the work. One is a permutation test: the windows of the plays
// are mixed with the idle ones, and it counts how often as many drawn at random
// hold as much. It tells words apart that are far rarer than one of the night's
// words, but takes windows for independent of their neighbours. The other ranks
// the plays among as many idle windows that are neighbours, as they are
// themselves. It assumes nothing of the kind, and tells no more than one in so
// many groups. Down to one in twenty of those the larger of both counts, and only
// below the first alone; unless the traffic is seen to come in phases, where it
// is the larger throughout.
func (n *Null) Combine(plays []float64) PValue {
	if len(plays) == 0 || len(n.scores) == 0 {
		return PValue{}
	}
	held, p := 0.0, 0.0
	for _, s := range plays {
		held += s
	}
	parts := n.learn().parts
	for i := range parts {
		part := &parts[i]
		p = max(p, 1/float64(len(part.scores)+1), part.combined(plays, held))
		groups := part.groupsOf(len(plays))
		const few = 20
		if group := rank(groups, held); part.phased || group*float64(len(groups)+1) >= few {
			p = max(p, group)
		}
	}
	return PValue{Value: p}
}

// Permute is the permutation test of Combine alone. It claims less than 1/(N+1)
// too, and is for those who play again what they take for a reaction: what idle
// traffic does only now and then, it hardly does at both times.
func (n *Null) Permute(plays []float64) PValue {
	if len(plays) == 0 || len(n.scores) == 0 {
		return PValue{}
	}
	held, p := 0.0, 0.0
	for _, s := range plays {
		held += s
	}
	parts := n.learn().parts
	for i := range parts {
		p = max(p, parts[i].combined(plays, held))
	}
	return PValue{Value: p}
}

// combined is the permutation test. Draws go on until a hundred held as much (J.
// Besag and P. Clifford, "Sequential Monte Carlo p-values", Biometrika 78, 1991),
// or were more than enough to tell one in as many as there are windows.
func (p *part) combined(plays []float64, held float64) float64 {
	const enough, fewest, most = 100, 10_000, 100_000
	windows := len(p.scores)
	draws := min(max(2*windows, fewest), most)
	if p.pool == nil {
		p.pool = make([]float64, windows, windows+len(plays))
		for i, s := range p.scores {
			p.pool[i] = float64(s)
		}
	}
	p.pool = append(p.pool[:windows], plays...)
	places := make([]int, len(plays))
	// Other plays draw other windows, or they would all be wrong the same way.
	rng := rand.New(rand.NewPCG(uint64(windows), seedOf(plays)))
	reached := 0
	for draw := 1; draw <= draws; draw++ {
		if drawn(rng, p.pool, places) >= held {
			if reached++; reached == enough {
				return enough / float64(draw)
			}
		}
	}
	return float64(reached+1) / float64(draws+1)
}

// drawn is the sum of some of the pool, as many as there are places: a shuffle
// that goes no further than that, and is taken back.
func drawn(rng *rand.Rand, pool []float64, places []int) (sum float64) {
	for i := range places {
		j := i + rng.IntN(len(pool)-i)
		places[i] = j
		pool[i], pool[j] = pool[j], pool[i]
		sum += pool[i]
	}
	for i, j := range slices.Backward(places) {
		pool[i], pool[j] = pool[j], pool[i]
	}
	return sum
}

// seedOf is a hash of the plays (FNV-1a).
func seedOf(plays []float64) uint64 {
	hash := uint64(14695981039346656037)
	for _, s := range plays {
		hash = (hash ^ math.Float64bits(s)) * 1099511628211
	}
	return hash
}

// learn finds out what follows from the windows.
func (n *Null) learn() *learnt {
	if n.learnt == nil {
		n.learnt = &learnt{drifts: driftOf(n.scores)}
		cuts := []int{0, len(n.scores)}
		if n.learnt.drifts.real() {
			cuts = []int{0, len(n.scores) / 2, len(n.scores)}
		}
		for i, from := range cuts[:len(cuts)-1] {
			to := cuts[i+1]
			p := part{scores: n.scores[from:to], groups: make(map[int][]float64)}
			if inside, _ := slices.BinarySearch(n.begins, to); from < to {
				p.begins = shifted(n.begins[:inside], from)
			}
			p.ranked = slices.Sorted(slices.Values(p.scores))
			p.phased = p.comesInPhases()
			n.learnt.parts = append(n.learnt.parts, p)
		}
	}
	return n.learnt
}

// shifted are the places as counted from one of them, at which a stretch begins
// in any case.
func shifted(places []int, from int) []int {
	first, at := slices.BinarySearch(places, from)
	var rest []int
	if !at {
		rest = []int{0}
	}
	for _, place := range places[first:] {
		rest = append(rest, place-from)
	}
	return rest
}

// groupsOf are the sums of so many neighbours.
func (p *part) groupsOf(size int) []float64 {
	sums, known := p.groups[size]
	if !known {
		sums = sumsOf(p.scores, p.begins, size)
		slices.Sort(sums)
		p.groups[size] = sums
	}
	return sums
}

// sumsOf cuts each stretch of neighbours into groups of the size.
func sumsOf(scores []float32, begins []int, size int) []float64 {
	var sums []float64
	for i, begin := range begins {
		end := len(scores)
		if i+1 < len(begins) {
			end = begins[i+1]
		}
		for ; begin+size <= end; begin += size {
			sum := 0.0
			for _, s := range scores[begin : begin+size] {
				sum += float64(s)
			}
			sums = append(sums, sum)
		}
	}
	return sums
}

// comesInPhases reports whether neighbours are alike: whether the ranks of five of
// them together vary more than those of any five, by an amount that chance brings
// about in one of a thousand cases. A stretch in which as much was sent as speech
// takes says nothing about that: somebody may have spoken.
func (p *part) comesInPhases() bool {
	const size, fewest, rare = 5, 20, 3.1
	var ranks []float32
	var begins []int
	for i, begin := range p.begins {
		end := len(p.scores)
		if i+1 < len(p.begins) {
			end = p.begins[i+1]
		}
		stretch := p.scores[begin:end]
		if slices.Max(stretch) >= DefaultLine {
			continue
		}
		begins = append(begins, len(ranks))
		for _, s := range stretch {
			below, _ := slices.BinarySearch(p.ranked, s)
			to, _ := slices.BinarySearch(p.ranked, math.Nextafter32(s, math.MaxFloat32))
			ranks = append(ranks, float32(below+to)/2)
		}
	}
	fives := sumsOf(ranks, begins, size)
	if len(fives) < fewest {
		return false
	}
	single := stats.Variance(sumsOf(ranks, begins, 1))
	return stats.Variance(fives) > size*single*(1+rare*math.Sqrt(2/float64(len(fives))))
}

// Phases says that the traffic comes in phases, in a line, where it does.
func (n *Null) Phases() []string {
	if !slices.ContainsFunc(n.learn().parts, func(p part) bool { return p.phased }) {
		return nil
	}
	return []string{"the idle traffic comes in phases, so the plays of a word are only compared with as many idle windows that are neighbours as well: its p-value says no more than one in so many of those"}
}

// Drift says that the traffic drifted, in a line, where it did.
func (n *Null) Drift() []string {
	var notes []string
	if d := n.learn().drifts; d.real() {
		notes = append(notes, fmt.Sprintf("the idle traffic drifted, from %.0f to %.0f bytes in %v on average: p-values are the larger of what either half says", d.before, d.after, n.unit))
	}
	return notes
}

// max is the largest score, and 0 of none.
func (n *Null) max() float64 {
	if len(n.scores) == 0 {
		return 0
	}
	return float64(slices.Max(n.scores))
}

// drift compares the earlier half of idle windows with the later.
type drift struct {
	p             float64 // that both are alike, or 1
	before, after float64 // bytes in a window on average
}

// Windows depend on their neighbours, so blocks of them are compared, and the
// level is strict: a null is halved without need once in a thousand nights.
const (
	driftBlock  = 100 // windows
	driftBlocks = 8   // the fewest in a half
	driftLevel  = 0.001
)

func (d drift) real() bool { return d.p < driftLevel }

func driftOf(scores []float32) drift {
	var blocks []float64
	for i := 0; i+driftBlock <= len(scores); i += driftBlock {
		sum := 0.0
		for _, s := range scores[i : i+driftBlock] {
			sum += float64(s)
		}
		blocks = append(blocks, sum/driftBlock)
	}
	half := len(blocks) / 2
	if half < driftBlocks {
		return drift{p: 1}
	}
	before, after := blocks[:half], blocks[len(blocks)-half:]
	return drift{p: stats.MannWhitney(before, after), before: stats.Mean(before), after: stats.Mean(after)}
}
