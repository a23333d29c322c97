package results

import (
	"slices"

	"wakefuzz/stats"
)

// WordRow is a word over all the voices that spoke it.
type WordRow struct {
	Word string
	// Rows are the word's rows, of the report's words, one a voice, in the order
	// of [Report.Voices]. A voice without one is nil: the word did not get to its
	// last stage with it, or is still to be played.
	Rows []*Row
	// Hits is with how many voices the word is a hit, and Measured with how many
	// it was measured.
	Hits, Measured int
	// Known says whether the word was measured with every voice. Without that
	// there is no rate over all: the voices that a screening left over are those
	// that the word reacted with.
	Known bool
	// Rate is the mean of the voices' rates. Lower and Upper are its 95 %
	// interval, for which each voice counts as one play, however often it was
	// played: plays of one voice are alike, and a hundred of them say no more
	// about another voice than a few. It speaks of other voices like these. See
	// [stats.ClopperPearsonShares].
	Rate, Lower, Upper float64
}

// Voices are the names of the voices that words were planned with, in
// alphabetical order.
func (r Report) Voices() []string {
	var names []string
	for _, rows := range [][]Row{r.Words, r.Screened} {
		for _, row := range rows {
			names = append(names, row.Trial.Voice)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// OverVoices gathers the report's words over their voices, in the order in which
// the words are first named.
func OverVoices(r Report) []WordRow {
	voices := r.Voices()
	var words []WordRow
	places := map[string]int{}
	for i := range r.Words {
		row := &r.Words[i]
		at, known := places[row.Trial.Word]
		if !known {
			at = len(words)
			places[row.Trial.Word] = at
			words = append(words, WordRow{Word: row.Trial.Word, Rows: make([]*Row, len(voices))})
		}
		voice, _ := slices.BinarySearch(voices, row.Trial.Voice)
		words[at].Rows[voice] = row
	}
	for i := range words {
		words[i].tally()
	}
	return words
}

func (w *WordRow) tally() {
	sum := 0.0
	for _, row := range w.Rows {
		switch {
		case row == nil || row.Measured == 0:
			continue
		case row.Hit:
			w.Hits++
		}
		w.Measured++
		sum += row.Rate
	}
	if w.Known = w.Measured == len(w.Rows); w.Known {
		interval := stats.ClopperPearsonShares(sum, w.Measured, 0.95)
		w.Rate, w.Lower, w.Upper = sum/float64(w.Measured), interval.Lower, interval.Upper
	}
}
