package learned

import (
	"math"
	"slices"

	"wakefuzz/bench"
)

// Names are those of the features, in the order of [Features]: whose packets,
// and what of them, by tsfresh's name.
func Names() []string {
	var names []string
	for _, whose := range []string{"all", "outgoing", "incoming"} {
		for _, c := range calculators {
			names = append(names, whose+"__"+c.name)
		}
	}
	return names
}

// Features are statistics of the lengths of the packets, frames in bytes, in
// the order given: of all packets, of the outgoing and of the incoming ones.
// They are finite whatever the packets are.
func Features(packets []bench.Packet) []float64 {
	var all, outgoing, incoming []float64
	for _, p := range packets {
		length := float64(p.Size)
		all = append(all, length)
		switch p.Direction {
		case bench.Outgoing:
			outgoing = append(outgoing, length)
		case bench.Incoming:
			incoming = append(incoming, length)
		}
	}
	features := make([]float64, 0, 3*len(calculators))
	for _, lengths := range [][]float64{all, outgoing, incoming} {
		s := newSequence(lengths)
		for _, c := range calculators {
			features = append(features, c.of(s))
		}
	}
	return features
}

// calculators are some of tsfresh's: its minimal set, but for what trees can't
// tell from the rest of it, and of its large one those that say how a sequence
// is spread, how it goes up and down, and how it is ordered. Where tsfresh has
// no number, for too short a sequence or an even one, it is 0 here.
var calculators = []struct {
	name string
	of   func(sequence) float64
}{
	{"length", func(s sequence) float64 { return s.n }},
	{"sum_values", func(s sequence) float64 { return s.sum }},
	{"mean", func(s sequence) float64 { return s.mean }},
	{"median", quantile(0.5)},
	{"minimum", quantile(0)},
	{"maximum", quantile(1)},
	{"standard_deviation", func(s sequence) float64 { return math.Sqrt(s.variance) }},
	{"root_mean_square", rootMeanSquare},
	{"skewness", skewness},
	{"kurtosis", kurtosis},
	{"quantile__q_0.1", quantile(0.1)},
	{"quantile__q_0.2", quantile(0.2)},
	{"quantile__q_0.3", quantile(0.3)},
	{"quantile__q_0.4", quantile(0.4)},
	{"quantile__q_0.6", quantile(0.6)},
	{"quantile__q_0.7", quantile(0.7)},
	{"quantile__q_0.8", quantile(0.8)},
	{"quantile__q_0.9", quantile(0.9)},
	{"ratio_value_number_to_time_series_length", different},
	{"absolute_sum_of_changes", changes},
	{"mean_abs_change", func(s sequence) float64 { return ratio(changes(s), s.n-1) }},
	{"count_above_mean", func(s sequence) float64 { return float64(count(s.values, s.above)) }},
	{"count_below_mean", func(s sequence) float64 { return float64(count(s.values, s.below)) }},
	{"longest_strike_above_mean", func(s sequence) float64 { return longest(s.values, s.above) }},
	{"longest_strike_below_mean", func(s sequence) float64 { return longest(s.values, s.below) }},
	{"first_location_of_maximum", firstMaximum},
	{"last_location_of_maximum", lastMaximum},
	{"number_peaks__n_1", peaks(1)},
	{"number_peaks__n_3", peaks(3)},
	{"autocorrelation__lag_1", autocorrelation(1)},
	{"autocorrelation__lag_2", autocorrelation(2)},
	{"autocorrelation__lag_3", autocorrelation(3)},
	{"linear_trend__attr_slope", slope},
}

// sequence is lengths in the order of time, with what most calculators need.
type sequence struct {
	values, sorted         []float64
	n, sum, mean, variance float64
}

func newSequence(values []float64) sequence {
	s := sequence{values: values, sorted: slices.Sorted(slices.Values(values)), n: float64(len(values))}
	for _, v := range values {
		s.sum += v
	}
	s.mean = ratio(s.sum, s.n)
	s.variance = s.moment(2)
	return s
}

// ratio is a/b, or 0 where there is none.
func ratio(a, b float64) float64 {
	if !(b > 0) {
		return 0
	}
	return a / b
}

// moment is the mean of the k-th power of the distances from the mean.
func (s sequence) moment(k int) float64 {
	sum := 0.0
	for _, v := range s.values {
		power := 1.0
		for range k {
			power *= v - s.mean
		}
		sum += power
	}
	return ratio(sum, s.n)
}

func (s sequence) above(v float64) bool { return v > s.mean }
func (s sequence) below(v float64) bool { return v < s.mean }

func rootMeanSquare(s sequence) float64 {
	return math.Sqrt(s.variance + s.mean*s.mean)
}

// skewness is the sample's, corrected for bias.
func skewness(s sequence) float64 {
	if s.n < 3 || s.variance == 0 {
		return 0
	}
	return s.moment(3) / math.Pow(s.variance, 1.5) * math.Sqrt(s.n*(s.n-1)) / (s.n - 2)
}

// kurtosis is the sample's excess over a normal distribution's, corrected for
// bias.
func kurtosis(s sequence) float64 {
	if s.n < 4 || s.variance == 0 {
		return 0
	}
	excess := s.moment(4)/(s.variance*s.variance) - 3
	return (s.n - 1) / ((s.n - 2) * (s.n - 3)) * ((s.n+1)*excess + 6)
}

// quantile is interpolated between the sorted values.
func quantile(q float64) func(sequence) float64 {
	return func(s sequence) float64 {
		if len(s.sorted) == 0 {
			return 0
		}
		whole, part := math.Modf((s.n - 1) * q)
		low := s.sorted[int(whole)]
		high := s.sorted[min(int(whole)+1, len(s.sorted)-1)]
		return low + (high-low)*part
	}
}

// different is the share of values that are different.
func different(s sequence) float64 {
	n := 0.0
	for i, v := range s.sorted {
		if i == 0 || v != s.sorted[i-1] {
			n++
		}
	}
	return ratio(n, s.n)
}

// changes is the sum of the steps from each value to the next, up or down.
func changes(s sequence) float64 {
	sum := 0.0
	for i := 1; i < len(s.values); i++ {
		sum += math.Abs(s.values[i] - s.values[i-1])
	}
	return sum
}

func count(values []float64, holds func(float64) bool) int {
	n := 0
	for _, v := range values {
		if holds(v) {
			n++
		}
	}
	return n
}

// longest is how many values in a row it holds for.
func longest(values []float64, holds func(float64) bool) float64 {
	run, best := 0, 0
	for _, v := range values {
		run++
		if !holds(v) {
			run = 0
		}
		best = max(best, run)
	}
	return float64(best)
}

// firstMaximum is where the largest value stands first, as a share of the whole.
func firstMaximum(s sequence) float64 {
	if len(s.values) == 0 {
		return 0
	}
	return float64(slices.Index(s.values, s.sorted[len(s.sorted)-1])) / s.n
}

// lastMaximum is where the last one of the largest values ends.
func lastMaximum(s sequence) float64 {
	for i, v := range slices.Backward(s.values) {
		if v == s.sorted[len(s.sorted)-1] {
			return float64(i+1) / s.n
		}
	}
	return 0
}

// peaks counts values that are larger than the n before and the n after them.
func peaks(n int) func(sequence) float64 {
	return func(s sequence) float64 {
		found := 0.0
		for i := n; i < len(s.values)-n; i++ {
			v := s.values[i]
			smaller := func(w float64) bool { return w < v }
			if count(s.values[i-n:i], smaller)+count(s.values[i+1:i+1+n], smaller) == 2*n {
				found++
			}
		}
		return found
	}
}

// autocorrelation is that of values so many places apart.
func autocorrelation(lag int) func(sequence) float64 {
	return func(s sequence) float64 {
		sum := 0.0
		for i := lag; i < len(s.values); i++ {
			sum += (s.values[i-lag] - s.mean) * (s.values[i] - s.mean)
		}
		return ratio(sum, (s.n-float64(lag))*s.variance)
	}
}

// slope is that of the line through the values, a place at a time, by least
// squares.
func slope(s sequence) float64 {
	middle, sum := (s.n-1)/2, 0.0
	for i, v := range s.values {
		sum += (float64(i) - middle) * (v - s.mean)
	}
	return ratio(12*sum, s.n*(s.n*s.n-1))
}
