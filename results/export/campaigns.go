package export

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"wakefuzz/internal/texttable"
	"wakefuzz/results"
)

// WriteCampaigns writes what two campaigns, A and B, found about the same words.
// Differences says, a line each, in what the campaigns differ otherwise. Table is
// for people, and lists the words that became hits or ceased to be, and those whose
// rate is another at a false discovery rate of results.DiffLevel. CSV and JSON list
// all words that either has played; CSV has these columns, which JSON has as well:
//
//	word, voice                 the voice is empty where the campaigns have none in
//	                            common, and words are compared over all
//	a_stage                     last; screening, where there is no last stage; empty
//	                            where A has not played the word
//	a_measured, a_reacted       plays of that stage that could be judged, and that
//	                            the device reacted to
//	a_hit                       true if the word is a hit
//	b_stage ... b_hit           the same of B
//	change                      became or ceased to be a hit; only_a or only_b where
//	                            one campaign has played it; empty otherwise
//	test                        mcnemar or fisher; empty where there is none
//	p                           the test's two-sided p-value
//	q                           the same adjusted for the number of words that
//	                            both have played (Benjamini and Hochberg)
//	rate                        rose or fell, at a q of 0.05 or less; empty otherwise
//
// Errors are those of w, or that there is no such format for comparisons.
func WriteCampaigns(w io.Writer, format Format, c results.CampaignComparison, differences []string) error {
	switch format {
	case Table:
		return campaignsTable(w, c, differences)
	case CSV:
		return campaignsCSV(w, c)
	case JSON:
		return campaignsJSON(w, c, differences)
	default:
		return fmt.Errorf("no format %.40q for comparisons: use one of %v", format, ComparisonFormats())
	}
}

// The words for words of one campaign, and for a rate that is another.
const (
	onlyA = "only_a"
	onlyB = "only_b"
	rose  = "rose"
	fell  = "fell"
)

func campaignChange(w results.WordComparison) string {
	switch {
	case !w.B.Played():
		return onlyA
	case !w.A.Played():
		return onlyB
	case w.Became():
		return became
	case w.Ceased():
		return ceased
	default:
		return ""
	}
}

func rateChange(w results.WordComparison) string {
	return map[int]string{1: rose, -1: fell}[w.Differs()]
}

// changedWords are the words of both campaigns that a person should see: those
// that became hits first, then those that ceased to be, each by how sure it is, and
// then by how large the difference.
func changedWords(c results.CampaignComparison) []results.WordComparison {
	words := slices.DeleteFunc(slices.Clone(c.Words), func(w results.WordComparison) bool {
		return !w.Became() && !w.Ceased() && w.Differs() == 0
	})
	rank := func(w results.WordComparison) int {
		return slices.Index([]string{became, ceased, ""}, campaignChange(w))
	}
	q := func(w results.WordComparison) float64 {
		if w.Test == results.NoTest {
			return 2
		}
		return w.Q
	}
	slices.SortStableFunc(words, func(a, b results.WordComparison) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), -cmp.Compare(a.Differs(), b.Differs()), cmp.Compare(q(a), q(b)),
			cmp.Compare(math.Abs(b.B.Rate()-b.A.Rate()), math.Abs(a.B.Rate()-a.A.Rate())))
	})
	return words
}

func campaignsTable(w io.Writer, c results.CampaignComparison, differences []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Wake word %q: campaign %s (A) and campaign %s (B)\n", c.A.Campaign.WakeWord, plain(c.A.Campaign.Name), plain(c.B.Campaign.Name))
	for _, line := range differences {
		fmt.Fprintf(&b, "  %s\n", plain(line))
	}
	b.WriteString("\n")
	t := texttable.New(table.Row{"word", "voice", "A", "B", "hit", "rate", "p", "q"}, 1, 2, 5, 6)
	for _, word := range changedWords(c) {
		p, q := "-", "-"
		if word.Test != results.NoTest {
			p, q = small(word.P), small(word.Q)
		}
		t.AppendRow(table.Row{plain(word.Word), plain(word.Voice), finding(word.A), finding(word.B), campaignChange(word), rateChange(word), p, q})
	}
	if t.Length() > 0 {
		fmt.Fprintf(&b, "%s\n", texttable.Render(t))
	}
	for _, line := range campaignRemarks(c) {
		fmt.Fprintf(&b, "%s\n", line)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func finding(f results.Finding) string {
	text := fmt.Sprintf("%d/%d", f.Reacted, f.Measured)
	if f.Screened {
		text = "screened " + text
	}
	return text
}

// campaignRemarks are what a reader must know beside the rows.
func campaignRemarks(c results.CampaignComparison) []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	counts, tests := map[string]int{}, map[results.Test]int{}
	both, stayed, screened := 0, 0, 0
	var onlyHits [2][]string
	for _, w := range c.Words {
		change := campaignChange(w)
		counts[change]++
		counts[rateChange(w)]++
		if w.Both() {
			both++
			tests[w.Test]++
			if w.A.Hit && w.B.Hit {
				stayed++
			}
			if (w.Became() || w.Ceased()) && (w.A.Screened || w.B.Screened) {
				screened++
			}
		} else if w.A.Hit || w.B.Hit {
			side := 0
			if change == onlyB {
				side = 1
			}
			onlyHits[side] = append(onlyHits[side], plain(w.Word))
		}
	}
	add("%s became a hit, %s ceased to be one, %d are one in both, of %d that both have played.",
		count(counts[became], "word"), count(counts[ceased], "word"), stayed, both)
	if screened > 0 {
		add("%d of these by screening plays alone in one of the campaigns, which may miss a hit.", screened)
	}
	if c.Pooled {
		add("The campaigns have no voice in common: words are compared over all voices of each.")
	}
	if tests[results.McNemar]+tests[results.Fisher] > 0 {
		add("%s more often in B and %d less often, at a q of %g or less.", reacting(counts[rose]), counts[fell], results.DiffLevel)
		var by []string
		if n := tests[results.McNemar]; n > 0 {
			by = append(by, fmt.Sprintf("McNemar's test for %s with the same plays in both", count(n, "word")))
		}
		if n := tests[results.Fisher]; n > 0 {
			by = append(by, fmt.Sprintf("Fisher's exact test for %s", count(n, "word")))
		}
		add("p is by %s; q allows for %d of them.", strings.Join(by, ", and by "), c.Tests)
		add("Whatever the q, %d react more often in B and %d less often: p %s by the sign test.", c.More, c.Less, small(c.SignP))
	}
	if n := tests[results.NoTest]; n > 0 {
		why := "without a last stage in both"
		if c.A.Judging.Early || c.B.Judging.Early {
			why = "plays stopped as soon as it was known whether a word is a hit"
		}
		add("Not tested: %s, %s.", count(n, "word"), why)
	}
	for i, only := range []string{onlyA, onlyB} {
		if n := counts[only]; n > 0 {
			line := fmt.Sprintf("Only in %s: %s", "AB"[i:i+1], count(n, "word"))
			if hits := onlyHits[i]; len(hits) > 0 {
				line += fmt.Sprintf(", %s: %s", count(len(hits), "hit"), strings.Join(slices.Compact(hits), ", "))
			}
			add("%s.", line)
		}
	}
	for i, r := range []results.Report{c.A, c.B} {
		side := "AB"[i : i+1]
		for _, row := range r.Controls {
			if row.Trial.Role == results.RolePositive && row.Trial.Round == 1 {
				add("%s: positive control %s %d/%d with %s.", side, plain(row.Trial.Word), row.Reacted, row.Measured, plain(row.Trial.Voice))
			}
		}
		add("%s: %s; a hit from a rate of %g; %s.", side, plain(r.Judging.Rules.Text), r.Judging.HitRate, count(r.Totals.Hits, "hit"))
		if !r.Totals.Complete() {
			add("%s: incomplete, %d of %s measured.", side, r.Totals.Measured, count(r.Totals.Planned, "play"))
		}
	}
	return lines
}

func reacting(n int) string {
	if n == 1 {
		return "1 word reacts"
	}
	return fmt.Sprintf("%d words react", n)
}

// comparedWord is a word of two campaigns as programs read it.
type comparedWord struct {
	Word   string       `json:"word"`
	Voice  string       `json:"voice"`
	A      *stageCounts `json:"a"`
	B      *stageCounts `json:"b"`
	Change string       `json:"change"`
	Test   string       `json:"test"`
	P      *float64     `json:"p"`
	Q      *float64     `json:"q"`
	Rate   string       `json:"rate"`
}

type stageCounts struct {
	Stage    string `json:"stage"`
	Measured int    `json:"measured"`
	Reacted  int    `json:"reacted"`
	Hit      bool   `json:"hit"`
}

func stageCountsOf(f results.Finding) *stageCounts {
	if !f.Played() {
		return nil
	}
	return &stageCounts{stage(results.Trial{Screening: f.Screened}), f.Measured, f.Reacted, f.Hit}
}

func comparedWords(c results.CampaignComparison) []comparedWord {
	list := make([]comparedWord, 0, len(c.Words))
	for _, w := range c.Words {
		tested := w.Test != results.NoTest
		list = append(list, comparedWord{
			Word: w.Word, Voice: w.Voice, A: stageCountsOf(w.A), B: stageCountsOf(w.B), Change: campaignChange(w),
			Test: string(w.Test), P: known(w.P, tested), Q: known(w.Q, tested), Rate: rateChange(w),
		})
	}
	return list
}

func campaignsCSV(w io.Writer, c results.CampaignComparison) error {
	out := csv.NewWriter(w)
	out.Write([]string{
		"word", "voice", "a_stage", "a_measured", "a_reacted", "a_hit",
		"b_stage", "b_measured", "b_reacted", "b_hit", "change", "test", "p", "q", "rate",
	})
	for _, r := range comparedWords(c) {
		line := []string{cell(r.Word), cell(r.Voice)}
		for _, f := range []*stageCounts{r.A, r.B} {
			if f == nil {
				line = append(line, "", "", "", "")
				continue
			}
			line = append(line, f.Stage, strconv.Itoa(f.Measured), strconv.Itoa(f.Reacted), strconv.FormatBool(f.Hit))
		}
		out.Write(append(line, r.Change, r.Test, exact(r.P), exact(r.Q), r.Rate))
	}
	out.Flush()
	return out.Error()
}

// comparedCampaign is one of two campaigns as programs read it.
type comparedCampaign struct {
	Name     string  `json:"name"`
	Rules    string  `json:"rules"`
	HitRate  float64 `json:"hit_rate"`
	Hits     int     `json:"hits"`
	Complete bool    `json:"complete"`
}

func campaignsJSON(w io.Writer, c results.CampaignComparison, differences []string) error {
	of := func(r results.Report) comparedCampaign {
		return comparedCampaign{r.Campaign.Name, r.Judging.Rules.Text, r.Judging.HitRate, r.Totals.Hits, r.Totals.Complete()}
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(struct {
		WakeWord    string           `json:"wake_word"`
		A           comparedCampaign `json:"a"`
		B           comparedCampaign `json:"b"`
		Differences []string         `json:"differences"`
		Pooled      bool             `json:"pooled"`
		Tests       int              `json:"tests"`
		More        int              `json:"more"`
		Less        int              `json:"less"`
		SignP       float64          `json:"sign_p"`
		Words       []comparedWord   `json:"words"`
	}{c.A.Campaign.WakeWord, of(c.A), of(c.B), append([]string{}, differences...), c.Pooled, c.Tests, c.More, c.Less, c.SignP, comparedWords(c)})
}
