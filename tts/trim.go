package tts

import "time"

// What Trim takes for silence: sound below 1/500 of full scale (-54 dB), which is
// above the noise of the engines' own silence and far below any phone; and how
// much it leaves before and after the sound, so that no soft beginning of a
// fricative is cut.
const (
	trimLevel  = 1 << 16 / 2 / 500
	trimMargin = 10 * time.Millisecond
)

// Trim returns the clip without the silence before and after it. What is silent
// throughout stays as it is.
func (c Clip) Trim() Clip {
	loud := func(s int16) bool { return s > trimLevel || s < -trimLevel }
	first, end := 0, len(c.Samples)
	for first < end && !loud(c.Samples[first]) {
		first++
	}
	if first == end {
		return c
	}
	for !loud(c.Samples[end-1]) {
		end--
	}
	const margin = int(trimMargin * SampleRate / time.Second)
	return Clip{Samples: c.Samples[max(0, first-margin):min(len(c.Samples), end+margin)]}
}
