package openwakeword

import (
	"math"
	"math/rand/v2"
	"time"

	"wakefuzz/playback"
	"wakefuzz/tts"
)

// signal is what the engine hears of one play, sample by sample and without an
// end: silence for the play's own start phase, then the clip with the noise
// under it, then the noise alone. The zero value is silence for ever.
type signal struct {
	delay int     // samples before the clip
	clip  []int16 // what is left of it
	noise noise
}

// newSignal derives phase and noise from the cue's seed alone. The phase is
// drawn first, so that it is the same at every level of noise.
func newSignal(cue playback.Cue, noiseDBFS float64) signal {
	s := signal{clip: cue.Clip.Samples, noise: noise{deviation: deviation(noiseDBFS)}}
	s.noise.source.Seed(cue.Seed, phaseAndNoise)
	s.delay = int(s.noise.source.Uint64() % frameSamples)
	return s
}

// phaseAndNoise is the second half of the generator's seed. It keeps the
// player's draws apart from others that may begin from the same play.
const phaseAndNoise = 0x77616b6566757a7a

// phase is the delay before the clip.
func (s *signal) phase() time.Duration {
	return time.Duration(s.delay) * time.Second / tts.SampleRate
}

// read fills the frame with the next samples, as int16 values.
func (s *signal) read(frame []float32) {
	for i := range frame {
		if s.delay > 0 {
			s.delay--
			frame[i] = 0
			continue
		}
		sample := s.noise.next()
		if len(s.clip) > 0 {
			sample += int64(s.clip[0])
			s.clip = s.clip[1:]
		}
		frame[i] = float32(min(max(sample, math.MinInt16), math.MaxInt16))
	}
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
