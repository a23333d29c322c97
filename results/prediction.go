package results

import (
	"wakefuzz/phoneme"
	"wakefuzz/stats"
	"wakefuzz/wordlists"
)

// Prediction says how well phonetic distances to the wake word tell beforehand
// which words wake the device.
type Prediction struct {
	// Words is how many words it is about, and Hits how many of them are hits.
	// A word spoken by several voices is one, at its rate over all of them, and
	// a hit if it is one in any.
	Words, Hits int
	// Metrics has an entry for each of phoneme.Metrics, in their order, and
	// Best is the place of the one whose rank correlation is the strongest.
	Metrics []Predictor
	Best    int
}

// Predictor is what one metric's distance tells.
type Predictor struct {
	Metric phoneme.Metric
	// Correlation is the rank correlation of distance and rate, and Interval
	// its 95 % interval; see [stats.Spearman]. It is negative where near words
	// wake the device more often than far ones. Where few words do, it is near 0
	// for the best of distances too: most near words don't.
	Correlation float64
	Interval    stats.Interval
	// Behind is by how much the correlation is weaker than that of the best
	// metric, and BehindInterval its 95 % interval: one that holds 0 says that
	// either may be the better one. Both are 0 for the best itself.
	Behind         float64
	BehindInterval stats.Interval
	// Nearer is how likely a hit lies nearer to the wake word than a word that
	// is none, ties counting half, and NearerInterval its 95 % interval; see
	// [stats.AUC].
	Nearer         float64
	NearerInterval stats.Interval
}

// Predict compares the metrics by the words of a campaign: those that were
// tested, at the rates that they have, and those that were screened and never
// reacted, at 0. A word that reacted when it was screened and was not tested, or
// of which nothing was measured, says nothing yet, and is left out. So is what a
// protocol made out of hits: it is near to them, and its spelling means nothing.
//
// Leaving words out that don't react would make any distance look worse, and
// one by which words were chosen look useless: what matters is how the words
// were chosen that a campaign plays.
func Predict(c Campaign, tested, screened []Row) Prediction {
	type outcome struct {
		trial             Trial
		reacted, measured int
		hit, open         bool
	}
	var words []*outcome
	byText := make(map[string]*outcome)
	add := func(r Row, of map[string]*outcome) {
		o := of[r.Trial.Word]
		if o == nil {
			o = &outcome{trial: r.Trial}
			of[r.Trial.Word] = o
			words = append(words, o)
		}
		o.reacted += r.Reacted
		o.measured += r.Measured
		o.hit = o.hit || r.Hit
	}
	for _, r := range tested {
		add(r, byText)
	}
	screenedOnly := make(map[string]*outcome)
	for _, r := range screened {
		if byText[r.Trial.Word] == nil {
			add(r, screenedOnly)
		}
	}
	for _, o := range screenedOnly {
		o.open, o.hit = o.reacted > 0, false
	}

	var p Prediction
	var rates []float64
	var known []*outcome
	for _, o := range words {
		if o.open || o.measured == 0 || wordlists.Invented(o.trial.List) {
			continue
		}
		known = append(known, o)
		rates = append(rates, float64(o.reacted)/float64(o.measured))
		if o.hit {
			p.Hits++
		}
	}
	p.Words = len(known)

	distances := make([][]float64, len(phoneme.Metrics()))
	for i, metric := range phoneme.Metrics() {
		m := Predictor{Metric: metric}
		wake := metric.Code(c.WakeWord, c.WakePronunciation)
		of := make([]float64, len(known))
		var hits, others []float64 // how near
		for j, o := range known {
			of[j] = float64(metric.Distance(metric.Code(o.trial.Word, o.trial.Pronunciation), wake))
			if o.hit {
				hits = append(hits, -of[j])
			} else {
				others = append(others, -of[j])
			}
		}
		distances[i] = of
		m.Correlation, m.Interval = stats.Spearman(of, rates)
		m.Nearer, m.NearerInterval = stats.AUC(hits, others)
		p.Metrics = append(p.Metrics, m)
		if m.Correlation < p.Metrics[p.Best].Correlation {
			p.Best = i
		}
	}
	for i := range p.Metrics {
		if m := &p.Metrics[i]; i != p.Best {
			m.Behind, m.BehindInterval = stats.SpearmanDifference(distances[i], distances[p.Best], rates)
		}
	}
	return p
}
