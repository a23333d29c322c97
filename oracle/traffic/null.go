package traffic

import (
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
	// audible are the larger windows, neighbours joined.
	audible []audible
	until   bench.Instant // where the last of them ends
	ranked  [][]float32   // scores as P counts them, or nil
	drifts  drift
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

// add adds a window that begins then.
func (n *Null) add(at bench.Instant, score float32) {
	if len(n.scores) == maxNull {
		// A new array: copies of the null may share the old one.
		n.scores = slices.Clone(n.scores[maxNull/2:])
	}
	if len(n.audible) == maxNull {
		n.audible = slices.Clone(n.audible[maxNull/2:])
	}
	n.scores = append(n.scores, score)
	n.ranked = nil
	if score < audibleBytes {
		return
	}
	if last := len(n.audible) - 1; last >= 0 && at <= n.until {
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
	for _, part := range n.parts() {
		below, _ := slices.BinarySearch(part, float32(bytes))
		p = max(p, float64(1+len(part)-below)/float64(1+len(part)))
	}
	return PValue{Value: p}
}

// Threshold is the least number of bytes whose p-value is at most p, or false
// where there are too few windows for it.
func (n *Null) Threshold(p float64) (bytes float64, ok bool) {
	for _, part := range n.parts() {
		const rounding = 1e-9
		reach := int(math.Min(p*float64(1+len(part))+rounding, float64(1+len(part)))) - 1 // windows that may reach it
		switch {
		case reach < 0:
			return 0, false
		case reach < len(part):
			above := math.Nextafter32(part[len(part)-1-reach], math.MaxFloat32)
			bytes = max(bytes, float64(above))
		}
	}
	return bytes, true
}

// Combine is one p-value for the windows of several plays of a word: how likely
// as many idle windows hold as many bytes together. It is a permutation test:
// the windows of the plays are mixed with the idle ones, and it counts how often
// as many drawn at random hold as much. Nothing is assumed of their distribution
// nor that small p-values of single plays are independent. Draws go on until
// twenty held as much, or a hundred thousand were made (J. Besag and P. Clifford,
// "Sequential Monte Carlo p-values", Biometrika 78, 1991), so it is never less
// than 1/100,001. The same windows give the same value. Without plays or idle
// windows there is none.
func (n *Null) Combine(plays []float64) PValue {
	const enough, most = 20, 100_000
	if len(plays) == 0 || len(n.scores) == 0 {
		return PValue{}
	}
	pool := make([]float64, 0, len(n.scores)+len(plays))
	for _, s := range n.scores {
		pool = append(pool, float64(s))
	}
	pool = append(pool, plays...)
	held := 0.0
	for _, s := range plays {
		held += s
	}
	rng := rand.New(rand.NewPCG(uint64(len(pool)), uint64(len(plays))))
	reached := 0
	for draw := 1; draw <= most; draw++ {
		sum := 0.0
		for i := range plays { // a partial shuffle: the first ones are drawn
			j := i + rng.IntN(len(pool)-i)
			pool[i], pool[j] = pool[j], pool[i]
			sum += pool[i]
		}
		if sum >= held {
			if reached++; reached == enough {
				return PValue{Value: enough / float64(draw)}
			}
		}
	}
	return PValue{Value: float64(reached+1) / (most + 1)}
}

// parts are the scores in the order of size: all of them, or both halves where
// the traffic drifted.
func (n *Null) parts() [][]float32 {
	if n.ranked == nil {
		half := len(n.scores) / 2
		n.drifts = driftOf(n.scores)
		n.ranked = [][]float32{slices.Clone(n.scores)}
		if n.drifts.real() {
			n.ranked = [][]float32{slices.Clone(n.scores[:half]), slices.Clone(n.scores[half:])}
		}
		for _, part := range n.ranked {
			slices.Sort(part)
		}
	}
	return n.ranked
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
