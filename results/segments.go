package results

// Segments is what hits that are known already drew among other words, in the
// segments of a sweep, which asks so what a device overlooks there; see
// protocol.Sweep.
type Segments struct {
	// Drew is in how many of these plays the device reacted.
	Drew Share
	// Expected is how many reactions the hits' rates of the last stage, by
	// themselves, let one expect in as many plays. They are hits for having reacted
	// often there, so it is rather too high.
	Expected float64
}

// Hidden is the share of reactions that segments hide, from 0 to 1, and its 95 %
// interval: how often hits reacted among other words, by [Share.Interval], against
// how often they do alone, which is taken for known.
func (s Segments) Hidden() (share, lower, upper float64) {
	hidden := func(rate float64) float64 { return max(0, 1-rate*float64(s.Drew.Measured)/s.Expected) }
	i := s.Drew.Interval()
	return hidden(s.Drew.Rate()), hidden(i.Upper), hidden(i.Lower)
}

// Segments is what known hits drew in segments: words that were played there after
// they had been in the last stage. There are none where Expected is 0.
func (r Report) Segments() Segments {
	type spoken struct{ word, voice string }
	known := make(map[spoken]Row, len(r.Words))
	for _, row := range r.Words {
		known[spoken{row.Trial.Word, row.Trial.Voice}] = row
	}
	var s Segments
	for _, row := range r.Screened {
		hit, is := known[spoken{row.Trial.Word, row.Trial.Voice}]
		if row.Trial.Segment > 0 && is && hit.Trial.Batch < row.Trial.Batch && hit.Measured > 0 {
			s.Drew.add(row.Reacted, row.Measured)
			s.Expected += float64(row.Measured) * hit.Rate
		}
	}
	return s
}
