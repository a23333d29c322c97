package tts

import (
	"math"
	"sync"
)

// The resampler is a windowed sinc, cut off below the lower of the two Nyquist
// frequencies. With 48 zero crossings a side and a Kaiser window of beta 9
// (90 dB) the transition takes 12 % of the band: put around 94 % of the lower
// Nyquist frequency, the pass band is flat up to 88 % of it (7.0 kHz of a clip's
// 8) and nothing above it folds back.
const (
	sincCrossings = 48
	sincCutoff    = 0.94
	kaiserBeta    = 9
	// sincSteps is how finely the kernel is tabulated per zero crossing. Linear
	// interpolation errs by less than 2e-6, below the last bit of a sample.
	sincSteps = 512
)

// sincTable is the right half of the kernel, from its middle outwards.
var sincTable = sync.OnceValue(func() []float64 {
	table := make([]float64, sincCrossings*sincSteps+2) // the last two are zero
	for i := range sincCrossings * sincSteps {
		t := float64(i) / sincSteps
		edge := t / sincCrossings
		table[i] = sinc(t) * besselI0(kaiserBeta*math.Sqrt(1-edge*edge)) / besselI0(kaiserBeta)
	}
	return table
})

func sinc(t float64) float64 {
	if t == 0 {
		return 1
	}
	return math.Sin(math.Pi*t) / (math.Pi * t)
}

// besselI0 is the modified Bessel function of order zero, by its power series.
func besselI0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

// resample converts sound from one rate to another, in samples per second. The
// first sample stays where it is in time, and the result covers all of the
// input: ⌈len(in)·to/from⌉ samples. Before and after the input is silence.
func resample(in []int16, from, to int) []int16 {
	if from == to {
		return in
	}
	g := gcd(from, to)
	up, down := to/g, from/g
	// Zero crossings per input sample: the kernel is as wide as the cut-off
	// asks for.
	density := sincCutoff * min(1, float64(to)/float64(from))
	reach := int(math.Ceil(sincCrossings / density))

	// Output n stands at input n·down/up. Its fraction, one of up phases,
	// decides the weights.
	phases := make([][]float64, up)
	out := make([]int16, (len(in)*up+down-1)/down)
	for n := range out {
		at, phase := n*down/up, n*down%up
		if phases[phase] == nil {
			phases[phase] = sincWeights(float64(phase)/float64(up), density, reach)
		}
		// The weights that fall on the input, and the input under them.
		first := at - reach + 1
		weights := phases[phase][max(0, -first):]
		under := in[max(0, first):]
		under = under[:min(len(under), len(weights))]
		sum := 0.0
		for i, x := range under {
			sum += weights[i] * float64(x)
		}
		out[n] = saturate(sum)
	}
	return out
}

// sincWeights are the kernel's values at the 2·reach input samples around a
// point that lies fraction of a sample after one of them, scaled to pass a
// constant unchanged.
func sincWeights(fraction, density float64, reach int) []float64 {
	table := sincTable()
	weights := make([]float64, 2*reach)
	total := 0.0
	for i := range weights {
		t := math.Abs(float64(i-reach+1)-fraction) * density * sincSteps
		whole := int(t)
		if whole >= len(table)-1 {
			continue
		}
		part := t - float64(whole)
		weights[i] = table[whole]*(1-part) + table[whole+1]*part
		total += weights[i]
	}
	for i := range weights {
		weights[i] /= total
	}
	return weights
}

// saturate rounds to the nearest sample and holds what is too loud at full
// scale.
func saturate(x float64) int16 {
	return int16(max(math.MinInt16, min(math.MaxInt16, math.Round(x))))
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
