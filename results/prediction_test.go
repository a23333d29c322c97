package results_test

import (
	"math"
	"testing"

	"wakefuzz/phoneme"
	"wakefuzz/results"
	"wakefuzz/wordlists"
)

var alexa = results.Campaign{WakeWord: "alexa", WakePronunciation: "AH0 L EH1 K S AH0"}

func heard(word string, p phoneme.Pronunciation, voice string, reacted, measured int) results.Row {
	r := results.Row{
		Trial:   results.Trial{Word: word, Pronunciation: p, Voice: voice, Plays: 10},
		Reacted: reacted, Measured: measured, Hit: results.IsHit(reacted, 10, results.PaperHitRate),
	}
	if measured > 0 {
		r.Rate = float64(reacted) / float64(measured)
	}
	return r
}

// Whoever is tested counts with its rate, whoever only was screened, in vain,
// counts as quiet, and whoever is not known yet does not count.
func TestPredictIsAboutAllWordsThatAreKnown(t *testing.T) {
	tested := []results.Row{
		heard("alexia", "AH0 L EH1 K S IY0 AH0", "kal16", 9, 10),
		heard("lexus", "L EH1 K S AH0 S", "kal16", 0, 10),
		heard("lexus", "L EH1 K S AH0 S", "awb", 8, 10), // a hit by one voice
		heard("elixir", "IH0 L IH1 K S ER0", "kal16", 1, 10),
		heard("meta", "M EH1 T AH0", "kal16", 0, 0), // not measured
	}
	screened := []results.Row{
		heard("lexus", "L EH1 K S AH0 S", "kal16", 1, 1), // tested since
		heard("banana", "B AH0 N AE1 N AH0", "kal16", 0, 1),
		heard("cucumber", "K Y UW1 K AH0 M B ER0", "kal16", 0, 1),
		heard("cucumber", "K Y UW1 K AH0 M B ER0", "awb", 0, 1),
		heard("hexer", "HH EH1 K S ER0", "kal16", 0, 1),
		heard("hexer", "HH EH1 K S ER0", "awb", 1, 1), // not tested yet
	}
	invented := heard("l-eh-k-s-ah", "L EH1 K S AH0", "kal16", 10, 10)
	invented.Trial.List = wordlists.ListInvented
	p := results.Predict(alexa, append(tested, invented), screened)
	if p.Words != 5 || p.Hits != 2 {
		t.Fatalf("%d words with %d hits, want 5 with 2", p.Words, p.Hits)
	}
	for i, m := range p.Metrics {
		if m.Metric != phoneme.Metrics()[i] {
			t.Errorf("metric %d is %s", i, m.Metric)
		}
	}
	// The rates 0.9, 0.4, 0.1, 0 and 0, with the ranks 5, 4, 3, 1.5 and 1.5,
	// lie at ever greater distances.
	phonemes := p.Metrics[3]
	if want := -9.5 / math.Sqrt(10*9.5); math.Abs(phonemes.Correlation-want) > 1e-12 {
		t.Errorf("the rank correlation is %g, want %g", phonemes.Correlation, want)
	}
	if phonemes.Nearer != 1 {
		t.Errorf("hits are nearer in %g of all pairs, want all", phonemes.Nearer)
	}
	best := p.Metrics[p.Best]
	for _, m := range p.Metrics {
		if m.Correlation < best.Correlation || math.Abs(m.Behind-(m.Correlation-best.Correlation)) > 1e-12 {
			t.Errorf("%s has %g, %g behind the best, which has %g", m.Metric, m.Correlation, m.Behind, best.Correlation)
		}
	}
}

func TestPredictFromNothing(t *testing.T) {
	p := results.Predict(alexa, nil, nil)
	if p.Words != 0 || p.Hits != 0 || len(p.Metrics) != len(phoneme.Metrics()) {
		t.Errorf("nothing predicts %+v", p)
	}
}

func TestImpact(t *testing.T) {
	rows := []results.Row{
		heard("ochna", "AO1 K N AH0", "kal16", 9, 10), // never counted
		heard("hext", "HH EH1 K S T", "kal16", 10, 10),
		heard("next", "N EH1 K S T", "kal16", 0, 0),
		heard("hex", "HH EH1 K S", "kal16", 10, 10),
		heard("next", "N EH1 K S T", "awb", 1, 10),
		heard("letter", "L EH1 T ER0", "kal16", 5, 10),
	}
	results.Rank(rows, results.OrderImpact)
	var order string
	for _, r := range rows {
		order += r.Trial.Word + " "
	}
	// 46 of "next", which is said ten times as often as "letter" is, go before
	// 42 and 1.3; the rest goes by rate.
	if want := "next letter hex hext ochna next "; order != want {
		t.Errorf("the order is %s, want %s", order, want)
	}
	if impact, known := rows[0].Impact(); !known || math.Abs(impact-46.4) > 2 {
		t.Errorf("next wakes it %g times in a million words (%v), want 46", impact, known)
	}
	for _, r := range rows[3:] {
		if impact, known := r.Impact(); known || impact != 0 {
			t.Errorf("%s has an impact of %g", r.Trial.Word, impact)
		}
	}
}
