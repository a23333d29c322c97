package results

import (
	"cmp"
	"slices"

	"wakefuzz/wordlists"
)

// Impact is how often the word would wake the device by mistake in a million
// words of everyday speech: its rate times how often it is said, see
// [wordlists.Frequency]. It is not known, and 0, where that is not, or nothing
// was measured. It is an order of magnitude: people are no text-to-speech
// voices, and films no homes.
func (row Row) Impact() (perMillion float64, known bool) {
	said, known := wordlists.Frequency(row.Trial.Word)
	if !known || row.Measured == 0 {
		return 0, false
	}
	return row.Rate * said, true
}

// rankByImpact sorts the rows, highest impact first. What is equal, as all is
// whose impact is not known, goes on by rate.
func rankByImpact(rows []Row) {
	impacts := make(map[string]float64, len(rows)) // of a word at the rate of 1
	for _, r := range rows {
		impacts[r.Trial.Word], _ = wordlists.Frequency(r.Trial.Word)
	}
	Rank(rows, OrderRate)
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Compare(b.Rate*impacts[b.Trial.Word], a.Rate*impacts[a.Trial.Word])
	})
}
