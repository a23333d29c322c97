package playback

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"wakefuzz/tts"
)

// Signal is what a bench without hardware hears of a play, sample by sample and
// without an end: silence for the play's own start phase, then the clip with
// white noise under it, then the noise alone. Phase and noise follow from
// [Cue.Seed], so that every software bench hears the same of the same play. The
// zero value is silence for ever.
type Signal struct {
	delay int     // samples before the clip
	clip  []int16 // what is left of it
	noise noise
}

// NewSignal derives phase and noise from the cue's seed alone. The phase is
// uniform over a frame of so many samples, at least 1, and is drawn first, so
// that it is the same at every level of noise.
func NewSignal(cue Cue, frame int, noiseDBFS float64) Signal {
	s := Signal{clip: cue.Clip.Samples, noise: noise{deviation: deviation(noiseDBFS)}}
	s.noise.source.Seed(cue.Seed, phaseAndNoise)
	s.delay = int(s.noise.source.Uint64() % uint64(frame))
	return s
}

// phaseAndNoise is the second half of the generator's seed. It keeps the
// player's draws apart from others that may begin from the same play.
const phaseAndNoise = 0x77616b6566757a7a

// Phase is what is left of the delay before the clip: all of it, of a new
// signal.
func (s *Signal) Phase() time.Duration {
	return time.Duration(s.delay) * time.Second / tts.SampleRate
}

// Next returns the next sample.
func (s *Signal) Next() int16 {
	if s.delay > 0 {
		s.delay--
		return 0
	}
	sample := s.noise.next()
	if len(s.clip) > 0 {
		sample += int64(s.clip[0])
		s.clip = s.clip[1:]
	}
	return int16(min(max(sample, math.MinInt16), math.MaxInt16))
}

// The levels of noise that are of use: below quietest hardly a sample leaves
// zero, above loudest the peaks are cut off.
const (
	quietest = -100
	loudest  = -10
)

// CheckNoise returns an error where a signal can't have noise of that level
// (RMS), in dB relative to a full-scale square wave. Negative infinity is none.
func CheckNoise(dbfs float64) error {
	if math.IsInf(dbfs, -1) || dbfs >= quietest && dbfs <= loudest {
		return nil
	}
	return fmt.Errorf("%g is not between %d and %d, nor -.inf for none", dbfs, quietest, loudest)
}

// noise is white noise of a nearly normal distribution: each sample is the sum
// of twelve uniform numbers, which never exceeds six standard deviations. It
// is made with whole numbers only, because the last bits of a logarithm or of
// a fused multiply-add differ between machines and these samples must not.
type noise struct {
	source rand.PCG
	// deviation is the standard deviation in 2^-16 sample steps.
	deviation int64
}

// deviation turns a level, in dB relative to a full-scale square wave, into a
// standard deviation in 2^-16 sample steps: zero for negative infinity.
func deviation(dbfs float64) int64 {
	return int64(math.Round(math.Pow(10, dbfs/20) * -math.MinInt16 * (1 << 16)))
}

// next returns the next sample.
func (n *noise) next() int64 {
	if n.deviation == 0 {
		return 0
	}
	const mean = 12 * (1<<16 - 1) / 2
	sum := int64(-mean)
	for range 3 {
		x := n.source.Uint64()
		sum += int64(x&0xffff + x>>16&0xffff + x>>32&0xffff + x>>48)
	}
	// sum has a standard deviation of 2^16, within one part in 10^9; adding a
	// half before the shift rounds to the nearest sample step.
	return (sum*n.deviation + 1<<31) >> 32
}
