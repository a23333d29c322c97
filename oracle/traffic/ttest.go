package traffic

import (
	"fmt"
	"math"
	"slices"
	"time"

	"wakefuzz/bench"
)

// TTestRule compares the packets of a stretch that holds the plays of a trial
// with those of an idle stretch before it (section 4.1.2 of the paper): both
// are sorted by size into the same bins, and a t-test says how likely the bins
// would differ so much if nothing had changed.
//
// The bins are those that numpy.histogram's "auto" of the paper's day chooses
// for the idle packets, as many as the larger of the estimates of Sturges and
// of Freedman and Diaconis; packets beyond them fall out, as they do there.
// The test is Student's for two independent samples of equal variance, with
// two sides. Outgoing packets only are compared, frames by their whole length.
type TTestRule struct {
	// Threshold is the p-value, the paper's t, below which the device has
	// reacted.
	Threshold float64 `yaml:"threshold"`
	// Duration is the length of each stretch, the paper's d. It is a matter of
	// the pace at which the trials were played.
	Duration time.Duration `yaml:"-"`
}

// PaperTTestRule has the paper's numbers: the lower of the two thresholds of
// section 5.2.2, and a minute (section 4.1.2).
func PaperTTestRule() TTestRule { return TTestRule{Threshold: 0.42, Duration: time.Minute} }

// Validate returns an error where the rule could not decide anything.
func (r TTestRule) Validate() error {
	if !(r.Threshold > 0 && r.Threshold <= 1) {
		return fmt.Errorf("threshold: %g is not in (0, 1]", r.Threshold)
	}
	if r.Duration <= 0 {
		return fmt.Errorf("duration: %v is not longer than nothing", r.Duration)
	}
	return nil
}

// String states the rule.
func (r TTestRule) String() string {
	return fmt.Sprintf("t-test of packet sizes p < %g, over %v", r.Threshold, r.Duration)
}

// TrialReading is what the t-test says of a trial.
type TrialReading struct {
	// State follows from the sizes alone, as in the paper. It is Unmeasured
	// where they can't be compared.
	State bench.State
	// Sizes compares the packets' sizes, and Gaps the times between them.
	Sizes, Gaps Comparison
}

// Comparison is the outcome of one t-test.
type Comparison struct {
	// P is the p-value, where there is one, and 0 otherwise.
	P float64
	// Inapplicable is why there is no p-value, or "".
	Inapplicable string
}

// Judge compares the packets of the two spans. It reads those in the spans
// only, so both may be parts of one stream in the order of time. That the
// capture was whole in both is for the caller to know.
func (r TTestRule) Judge(idle, probe []bench.Packet, idleSpan, probeSpan bench.Span) TrialReading {
	if reason := r.unfit(idleSpan, probeSpan); reason != "" {
		return TrialReading{Sizes: Comparison{Inapplicable: reason}, Gaps: Comparison{Inapplicable: reason}}
	}
	idle, probe = outgoing(Between(idle, idleSpan)), outgoing(Between(probe, probeSpan))
	reading := TrialReading{
		State: bench.Quiet,
		Sizes: compare(sizes(idle), sizes(probe)),
		Gaps:  compare(gaps(idle), gaps(probe)),
	}
	switch {
	case reading.Sizes.Inapplicable != "":
		reading.State = bench.Unmeasured
	case reading.Sizes.P < r.Threshold:
		reading.State = bench.Reacted
	}
	return reading
}

// unfit says why the spans can't be compared, or "".
func (r TTestRule) unfit(idle, probe bench.Span) string {
	switch {
	case idle.Duration() != r.Duration || probe.Duration() != r.Duration:
		return fmt.Sprintf("the idle stretch lasted %v and that of the plays %v, where both must last %v",
			idle.Duration(), probe.Duration(), r.Duration)
	case idle.Start < probe.End && probe.Start < idle.End:
		return "the idle stretch and that of the plays overlap"
	default:
		return ""
	}
}

// sizes are those of the packets, in bytes.
func sizes(packets []bench.Packet) []float64 {
	values := make([]float64, len(packets))
	for i, p := range packets {
		values[i] = float64(p.Size)
	}
	return values
}

// gaps are the times between packets, in seconds.
func gaps(packets []bench.Packet) []float64 {
	var values []float64
	for i := 1; i < len(packets); i++ {
		values = append(values, packets[i].At.Sub(packets[i-1].At).Seconds())
	}
	return values
}

// maxBins is how many bins are worked with. Values of which half are nearly the
// same and a few far away call for any number of them.
const maxBins = 1 << 20

// compare is the t-test of the counts of both samples in the bins of the first.
func compare(idle, probe []float64) Comparison {
	slices.Sort(idle)
	slices.Sort(probe)
	if len(idle) < 2 || idle[0] == idle[len(idle)-1] {
		return Comparison{Inapplicable: "too few different packets in the idle stretch to make bins of"}
	}
	b := binsOf(idle)
	if !(b.n <= maxBins) {
		return Comparison{Inapplicable: fmt.Sprintf("the packets of the idle stretch call for %.0f bins, more than %d", b.n, maxBins)}
	}
	meanIdle, squaresIdle := moments(b.counts(idle), b.n)
	meanProbe, squaresProbe := moments(b.counts(probe), b.n)
	pooled := (squaresIdle + squaresProbe) / (2*b.n - 2)
	if pooled == 0 {
		return Comparison{Inapplicable: "every bin holds the same number of packets, so that their spread says nothing"}
	}
	t := (meanIdle - meanProbe) / math.Sqrt(pooled*2/b.n)
	return Comparison{P: twoSided(t, int(b.n)-1)}
}

// bins are n of equal width from the first edge to the last, which belongs to
// the last bin.
type bins struct {
	first, last, n float64
}

// binsOf chooses bins for the sorted values, of which two at least differ.
func binsOf(values []float64) bins {
	n := float64(len(values))
	b := bins{first: values[0], last: values[len(values)-1]}
	span := b.last - b.first
	width := span / (math.Log2(n) + 1) // Sturges
	// Freedman and Diaconis; of no use where half of the values are the same.
	if w := 2 * (percentile(values, 0.75) - percentile(values, 0.25)) / thirdPower(n); w > 0 {
		width = min(width, w)
	}
	b.n = math.Ceil(span / width)
	return b
}

// thirdPower is n to the power of 1.0/3.0, as numpy has it. As a float64 that
// exponent is a little less than a third, and so is the power of 64 a little
// less than 4, which may change how many bins there are. It is rounded
// correctly for cubes, where that matters; math.Pow is not.
func thirdPower(n float64) float64 {
	const less = 1.0/3 - 6004799503160661.0/(1<<54)
	root := math.Cbrt(n)
	return math.FMA(root, -less*math.Log(n), root)
}

// percentile is interpolated between the sorted values, from the nearer one.
func percentile(values []float64, q float64) float64 {
	whole, part := math.Modf(float64(len(values)-1) * q)
	low := values[int(whole)]
	high := values[min(int(whole)+1, len(values)-1)]
	// Conversions keep a product from being fused with a sum, which would
	// round otherwise on some processors than on others.
	if part < 0.5 {
		return low + float64((high-low)*part)
	}
	return high - float64((high-low)*(1-part))
}

// edge is where the i-th bin begins.
func (b bins) edge(i int) float64 {
	if float64(i) == b.n {
		return b.last
	}
	return float64(float64(i)*((b.last-b.first)/b.n)) + b.first
}

// counts are how many of the sorted values fall into each bin that has any.
func (b bins) counts(values []float64) []float64 {
	var counts []float64
	in := -1 // the bin of the last count
	for _, v := range values {
		if v < b.first || v > b.last {
			continue
		}
		i := min(int((v-b.first)/(b.last-b.first)*b.n), int(b.n)-1)
		for v < b.edge(i) {
			i--
		}
		for i < int(b.n)-1 && v >= b.edge(i+1) {
			i++
		}
		if i != in {
			counts = append(counts, 0)
			in = i
		}
		counts[len(counts)-1]++
	}
	return counts
}

// moments are the mean of n counts, of which those not given are 0, and the sum
// of their squared distances from it.
func moments(counts []float64, n float64) (mean, squares float64) {
	for _, c := range counts {
		mean += c / n
	}
	for _, c := range counts {
		squares += (c - mean) * (c - mean)
	}
	return mean, squares + (n-float64(len(counts)))*mean*mean
}

// twoSided is the probability that Student's t with 2·half degrees of freedom
// lies as far from 0 as t or farther. Two samples of equal size always have an
// even number of them, and then there is a finite sum (Abramowitz and Stegun,
// 26.7.4) that holds for any number of bins.
func twoSided(t float64, half int) float64 {
	degrees := 2 * float64(half)
	cos2 := degrees / (degrees + t*t)
	term, sum := 1.0, 1.0
	for i := 1; i < half && term > 0; i++ {
		term *= cos2 * (float64(2*i-1) / float64(2*i))
		sum += term
	}
	sin := math.Abs(t) / math.Sqrt(degrees+t*t)
	return max(0, 1-sin*sum)
}
