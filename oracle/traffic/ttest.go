package traffic

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"wakefuzz/bench"
	"wakefuzz/stats"
)

// TTestRule compares the packets of a stretch that holds the plays of a trial
// with those of an idle stretch before it (section 4.1.2 of the paper): both
// are sorted by size into the same bins, and a t-test says how likely the bins
// would differ so much if nothing had changed.
//
// The bins are those that numpy.histogram's "auto" of the paper's day chooses,
// as many as the larger of the estimates of Sturges and of Freedman and
// Diaconis; packets beyond them fall out, as they do there. The test is for two
// independent samples, with two sides. Outgoing packets only are compared,
// frames by their whole length.
//
// What the paper leaves open is a choice here. The zero values are what its
// words say most plainly, and no other choice is clearly better on real traffic:
// of 79 idle stretches of 30 s of a HomePod bins for the idle packets flag 36
// and bins for both 46, Welch's test decides 2 otherwise, and both features
// together flag 31 but find fewer activations of an Echo.
type TTestRule struct {
	// Threshold is the p-value, the paper's t, below which the device has
	// reacted.
	Threshold float64 `yaml:"threshold"`
	// Duration is the length of each stretch, the paper's d. It is a matter of
	// the pace at which the trials were played.
	Duration time.Duration `yaml:"-"`
	// Features are what is compared; empty for the sizes.
	Features Features `yaml:"features,omitempty"`
	// Bins is whose packets the bins are made for; empty for the idle ones.
	Bins Bins `yaml:"bins,omitempty"`
	// Variances is what the test takes the spread of both samples for; empty
	// for equal.
	Variances Variances `yaml:"variances,omitempty"`
}

// Features are the properties of packets that a t-test compares.
type Features string

// The features. The paper finds that the sizes alone suffice (section 5.2.2).
// It also combines both and doesn't say how: here by Fisher's method.
const (
	FeatureSizes Features = "sizes"
	FeatureGaps  Features = "gaps"
	FeaturesBoth Features = "both"
)

// Bins says for whose packets the bins are made.
type Bins string

// The choices of bins. The paper makes them for the idle packets and uses the
// same for the others. Made for both, no packet falls out; then the means of
// the counts differ by nothing but how many packets there are.
const (
	BinsIdle Bins = "idle"
	BinsBoth Bins = "both"
)

// Variances says whether the samples are taken to spread alike.
type Variances string

// The choices: Student's test and Welch's.
const (
	VariancesEqual   Variances = "equal"
	VariancesUnequal Variances = "unequal"
)

// PaperTTestRule has the paper's numbers: the lower of the two thresholds of
// section 5.2.2, and a minute (section 4.1.2).
func PaperTTestRule() TTestRule { return TTestRule{Threshold: 0.42, Duration: time.Minute} }

// PaperTTestScan is the rule by which the paper scans traffic without known
// plays: stretches of 30 s, each compared with the one before (section 5.2.2).
func PaperTTestScan() TTestRule { return TTestRule{Threshold: 0.42, Duration: 30 * time.Second} }

// Validate returns an error where the rule could not decide anything.
func (r TTestRule) Validate() error {
	if !(r.Threshold > 0 && r.Threshold <= 1) {
		return fmt.Errorf("threshold: %g is not in (0, 1]", r.Threshold)
	}
	if r.Duration <= 0 {
		return fmt.Errorf("duration: %v is not longer than nothing", r.Duration)
	}
	if !slices.Contains([]Features{"", FeatureSizes, FeatureGaps, FeaturesBoth}, r.Features) {
		return fmt.Errorf("features: %q is not sizes, gaps or both", r.Features)
	}
	if !slices.Contains([]Bins{"", BinsIdle, BinsBoth}, r.Bins) {
		return fmt.Errorf("bins: %q is not idle or both", r.Bins)
	}
	if !slices.Contains([]Variances{"", VariancesEqual, VariancesUnequal}, r.Variances) {
		return fmt.Errorf("variances: %q is not equal or unequal", r.Variances)
	}
	return nil
}

// String states the rule.
func (r TTestRule) String() string {
	what := map[Features]string{FeatureGaps: "gaps between packets", FeaturesBoth: "packet sizes and gaps"}[r.Features]
	how := ""
	if r.Bins == BinsBoth {
		how += ", bins of both stretches"
	}
	if r.Variances == VariancesUnequal {
		how += ", unequal variances"
	}
	return fmt.Sprintf("t-test of %s p < %g, over %v%s", cmp.Or(what, "packet sizes"), r.Threshold, r.Duration, how)
}

// TrialReading is what the t-test says of a trial.
type TrialReading struct {
	// State follows from the rule's features, the sizes alone in the paper. It
	// is Unmeasured where they can't be compared.
	State bench.State
	// Sizes compares the packets' sizes, and Gaps the times between them.
	Sizes, Gaps Comparison
	// Combined joins both comparisons by Fisher's method.
	Combined Comparison
}

// Of is the comparison of the features, by which the State is decided.
func (t TrialReading) Of(f Features) Comparison {
	switch f {
	case FeatureGaps:
		return t.Gaps
	case FeaturesBoth:
		return t.Combined
	default:
		return t.Sizes
	}
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
		c := Comparison{Inapplicable: reason}
		return TrialReading{Sizes: c, Gaps: c, Combined: c}
	}
	return r.judge(sampleOf(outgoing(Between(idle, idleSpan))), sampleOf(outgoing(Between(probe, probeSpan))))
}

// sample is what is compared of all packets of a stretch, from the least value to
// the largest. Gaps are nil where nobody asks for them.
type sample struct {
	sizes []float64 // of the packets, in bytes
	gaps  []float64 // between packets, in seconds
}

func sampleOf(packets []bench.Packet) sample {
	s := sample{gaps: []float64{}}
	for i, p := range packets {
		s.sizes = append(s.sizes, float64(p.Size))
		if i > 0 {
			s.gaps = append(s.gaps, p.At.Sub(packets[i-1].At).Seconds())
		}
	}
	s.sort()
	return s
}

func (s sample) sort() {
	slices.Sort(s.sizes)
	slices.Sort(s.gaps)
}

// emptied is a sample of nothing, which takes the room of this one.
func (s sample) emptied() sample { return sample{s.sizes[:0], s.gaps[:0]} }

// judge compares two stretches of the same length.
func (r TTestRule) judge(idle, probe sample) TrialReading {
	reading := TrialReading{
		State: bench.Quiet,
		Sizes: r.compare(idle.sizes, probe.sizes),
		Gaps:  Comparison{Inapplicable: "the gaps between packets are not looked at"},
	}
	if idle.gaps != nil && probe.gaps != nil {
		reading.Gaps = r.compare(idle.gaps, probe.gaps)
	}
	reading.Combined = combine(reading.Sizes, reading.Gaps)
	switch of := reading.Of(r.Features); {
	case of.Inapplicable != "":
		reading.State = bench.Unmeasured
	case of.P < r.Threshold:
		reading.State = bench.Reacted
	}
	return reading
}

// combine joins two p-values by Fisher's method, which has a closed form for
// two: -2·ln(p·q) is distributed as chi-square with four degrees of freedom.
func combine(a, b Comparison) Comparison {
	switch product := a.P * b.P; {
	case a.Inapplicable != "":
		return a
	case b.Inapplicable != "":
		return b
	case product == 0:
		return Comparison{}
	default:
		return Comparison{P: product * (1 - math.Log(product))}
	}
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

// maxBins is how many bins are worked with. Values of which half are nearly the
// same and a few far away call for any number of them.
const maxBins = 1 << 20

// compare is the t-test of the counts of both samples, which are sorted, in the
// same bins.
func (r TTestRule) compare(idle, probe []float64) Comparison {
	binned := idle
	if r.Bins == BinsBoth {
		binned = slices.Concat(idle, probe)
		slices.Sort(binned)
	}
	if len(binned) < 2 || binned[0] == binned[len(binned)-1] {
		return Comparison{Inapplicable: "too few different packets to make bins of"}
	}
	b := binsOf(binned)
	if !(b.n <= maxBins) {
		return Comparison{Inapplicable: fmt.Sprintf("the packets call for %.0f bins, more than %d", b.n, maxBins)}
	}
	meanIdle, squaresIdle := moments(b.counts(idle), b.n)
	meanProbe, squaresProbe := moments(b.counts(probe), b.n)
	squares := squaresIdle + squaresProbe
	if squares == 0 {
		return Comparison{Inapplicable: "every bin holds the same number of packets, so that their spread says nothing"}
	}
	// As many bins on both sides: t is the same for Student and Welch.
	t := (meanIdle - meanProbe) / math.Sqrt(squares/(b.n-1)/b.n)
	degrees := 2*b.n - 2
	if r.Variances == VariancesUnequal {
		degrees = (b.n - 1) * squares * squares / (squaresIdle*squaresIdle + squaresProbe*squaresProbe)
	}
	return Comparison{P: stats.StudentTwoSided(t, degrees)}
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
	for n, v := range values {
		if v < b.first || v > b.last {
			continue
		}
		if in >= 0 && v == values[n-1] { // as mostly in a long stretch
			counts[len(counts)-1]++
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
