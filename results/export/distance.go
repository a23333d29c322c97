package export

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"wakefuzz/internal/texttable"
	"wakefuzz/results"
	"wakefuzz/stats"
)

// telling says whether there are enough hits, and enough other words, to tell
// distances apart by. Of fewer the intervals are wide, and not to be trusted.
func telling(p results.Prediction) bool {
	const enough = 10
	return min(p.Hits, p.Words-p.Hits) >= enough
}

func predictionTitle(p results.Prediction) string {
	return fmt.Sprintf("Which distance tells the hits, by %s with %s", count(p.Words, "word"), count(p.Hits, "hit"))
}

func prettyPrediction(p results.Prediction) table.Writer {
	t := texttable.New(table.Row{"distance", "rank correlation", "95 %", "behind the best", "95 %", "hit is nearer", "95 %"}, 1, 3, 5, 7)
	for i, m := range p.Metrics {
		row := table.Row{m.Metric, fmt.Sprintf("%.3f", m.Correlation), between(m.Interval, 3), "-", "", fmt.Sprintf("%.2f", m.Nearer), between(m.NearerInterval, 2)}
		if i != p.Best {
			row[3], row[4] = fmt.Sprintf("%.3f", m.Behind), between(m.BehindInterval, 3)
		}
		t.AppendRow(row)
	}
	return t
}

func between(i stats.Interval, decimals int) string {
	return fmt.Sprintf("%.*f to %.*f", decimals, i.Lower, decimals, i.Upper)
}

// spread says how the hits spread over the distances of the report's metric, as
// the paper's section 5.5 does. It is "" where there are none.
func spread(report results.Report) string {
	const far = 3 // the paper counts from there
	distances := make(map[string]int)
	for _, r := range report.Words {
		if r.Hit { // by one of its voices
			distances[r.Trial.Word] = r.Distance
		}
	}
	var hits []int
	beyond := 0
	for _, d := range distances {
		for len(hits) <= d {
			hits = append(hits, 0)
		}
		hits[d]++
		if d >= far {
			beyond++
		}
	}
	if len(hits) == 0 {
		return ""
	}
	return fmt.Sprintf("Hits by distance from 0 to %d: %s; %d of %d at %d or more.",
		len(hits)-1, strings.ReplaceAll(strings.Trim(fmt.Sprint(hits), "[]"), " ", ", "), beyond, len(distances), far)
}
