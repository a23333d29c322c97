package google

import "strings"

// PricesAsOf is when the prices of [ListPrices] were known to be right.
const PricesAsOf = "mid 2025"

// Prices says what a million characters cost in USD, by the part of a voice's
// name that follows the language: a family as "Neural2", or a single voice as
// "Neural2-C".
type Prices map[string]float64

// ListPrices returns what Google's price list said at [PricesAsOf], without
// the monthly free allowance and without tax. Prices change: until 2024 a
// WaveNet voice cost four times as much. Families that are missing here have no
// line of their own in that list.
func ListPrices() Prices {
	return Prices{
		"Standard":  4,
		"Wavenet":   4,
		"Neural2":   16,
		"Polyglot":  16,
		"Chirp-HD":  30,
		"Chirp3-HD": 30,
		"Studio":    160,
	}
}

// PerMillion is the price of a million characters of the voice, by its longest
// entry. It is not known for voices without an entry.
func (p Prices) PerMillion(voice string) (usd float64, known bool) {
	_, rest, _ := splitName(voice)
	for rest != "" {
		if usd, known = p[rest]; known {
			return usd, true
		}
		rest = rest[:max(0, strings.LastIndexByte(rest, '-'))]
	}
	return 0, false
}
