package speaker

import (
	"math"
	"slices"

	"wakefuzz/tts"
)

const (
	fullScale = 32768
	// gateFrame is the stretch over which a level is taken: 20 ms, a pitch
	// period or two.
	gateFrame = tts.SampleRate / 50
	// voicedWithin is how far below the loudest frame a frame may lie and still
	// count as voice, in decibels: consonants do, the silence at the ends and
	// between words does not.
	voicedWithin = 20
	// silent is the level in dBFS below which a clip has no voice at all.
	silent = -60
)

// loudness is the level of the voice in a clip and its highest peak, both in
// dBFS. The level of a silent clip is negative infinity.
func loudness(clip tts.Clip) (level, peak float64) {
	type frame struct{ energy, length float64 }
	var frames []frame
	var loudest, highest float64
	for part := range slices.Chunk(clip.Samples, gateFrame) {
		f := frame{length: float64(len(part))}
		for _, sample := range part {
			f.energy += float64(sample) * float64(sample)
			highest = max(highest, math.Abs(float64(sample)))
		}
		loudest = max(loudest, f.energy/f.length)
		frames = append(frames, f)
	}
	gate := loudest * math.Pow(10, -voicedWithin/10.)
	var voice frame
	for _, f := range frames {
		if f.energy/f.length >= gate {
			voice.energy += f.energy
			voice.length += f.length
		}
	}
	peak = 20 * math.Log10(highest/fullScale)
	if level = 10 * math.Log10(voice.energy/voice.length/(fullScale*fullScale)); !(level >= silent) {
		level = math.Inf(-1)
	}
	return level, peak
}

// Gain is the change of level in decibels by which a clip is brought to
// LevelDBFS, and whether PeakDBFS held it below that. A silent clip is left as
// it is.
func (o Options) Gain(clip tts.Clip) (gain float64, held bool) {
	level, peak := loudness(clip)
	if math.IsInf(level, -1) {
		return 0, false
	}
	wanted, most := o.LevelDBFS-level, o.PeakDBFS-peak
	return min(wanted, most), most < wanted
}

// amplify returns the clip's samples, changed by a gain in decibels.
func amplify(clip tts.Clip, gain float64) []int16 {
	factor := math.Pow(10, gain/20)
	samples := make([]int16, len(clip.Samples))
	for i, sample := range clip.Samples {
		// The ceiling keeps the peak in range; only its rounding may not.
		samples[i] = int16(min(math.Round(factor*float64(sample)), math.MaxInt16))
	}
	return samples
}
