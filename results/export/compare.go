package export

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"wakefuzz/internal/texttable"
	"wakefuzz/results"
)

// ComparisonFormats lists the formats of comparisons.
func ComparisonFormats() []Format { return []Format{Table, CSV, JSON} }

// WriteComparison writes what two judgings of a campaign differ in. Table is for
// people, and lists the words of which anything is another. CSV and JSON list all
// trials; CSV has these columns, which JSON has as well, and ends there:
//
//	word, role, voice, round    as in a report
//	was_measured, was_reacted   plays that could be judged, and that the device
//	                            reacted to, by the campaign's own rule
//	was_hit                     true if the word was a hit by that
//	now_measured, now_reacted   the same by the other rule; where that judges
//	now_hit                     trials as a whole, of one trial
//	change                      became or ceased to be a hit; empty for neither
//	trial                       the trial's ID
//
// Errors are those of w, or that there is no such format for comparisons.
func WriteComparison(w io.Writer, format Format, c results.Comparison) error {
	switch format {
	case Table:
		return writeChanges(w, c)
	case CSV:
		return changesCSV(w, c)
	case JSON:
		return changesJSON(w, c)
	default:
		return fmt.Errorf("no format %.40q for comparisons: use one of %v", format, ComparisonFormats())
	}
}

// The words for what became of a hit.
const (
	became = "became"
	ceased = "ceased"
)

func changeOf(c results.Change) string {
	switch {
	case c.Became():
		return became
	case c.Ceased():
		return ceased
	default:
		return ""
	}
}

// ruleNow states the rule that the verdicts are compared with.
func ruleNow(c results.Comparison) string {
	for _, w := range c.Now.Wholes {
		if w.Rule.Name == c.Whole {
			return w.Rule.Text
		}
	}
	return c.Now.Judging.Rules.Text
}

func writeChanges(w io.Writer, c results.Comparison) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Campaign %s, wake word %q, judged again\n", plain(c.Was.Campaign.Name), c.Was.Campaign.WakeWord)
	fmt.Fprintf(&b, "was: %s; a hit from a rate of %g\n", plain(c.Was.Judging.Rules.Text), c.Was.Judging.HitRate)
	hit := fmt.Sprintf("a hit from a rate of %g", c.Now.Judging.HitRate)
	if c.Whole != "" {
		hit = "a hit where it says so of the trial"
	}
	fmt.Fprintf(&b, "now: %s; %s\n\n", plain(ruleNow(c)), hit)

	t := texttable.New(table.Row{"word", "voice", "was", "now", "hit"}, 1, 2, 5)
	for _, change := range c.Changes {
		if !c.Differs(change) {
			continue
		}
		name := plain(change.Trial.Word)
		if change.Trial.Role != results.RoleWord {
			name += " (control)"
		}
		t.AppendRow(table.Row{name, plain(change.Trial.Voice), share(change.Was), share(change.Now), changeOf(change)})
	}
	if t.Length() > 0 {
		fmt.Fprintf(&b, "%s\n", texttable.Render(t))
	}
	a := results.Agreement{A: "was", B: "now", Plays: c.Agreement}
	fmt.Fprintf(&b, "%s%s by what they were (down) and are now (across):\n%s\n", strings.ToUpper(subject(c)[:1]), subject(c)[1:], texttable.Render(prettyAgreement(a)))
	gained, lost := 0, 0
	for _, change := range c.Changes {
		if change.Became() && change.Trial.Role == results.RoleWord {
			gained++
		}
		if change.Ceased() && change.Trial.Role == results.RoleWord {
			lost++
		}
	}
	fmt.Fprintf(&b, "%s became a hit, %s ceased to be one, of %d; %s as before.\n",
		count(gained, "word"), count(lost, "word"), c.Was.Totals.Words, count(len(c.Changes)-t.Length(), "trial"))
	for _, line := range append(notes(c), neverReplayed(c, shownUnplayed)...) {
		fmt.Fprintf(&b, "%s.\n", line)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func share(o results.Outcome) string { return fmt.Sprintf("%d/%d", o.Reacted, o.Measured) }

// subject is what the agreement counts.
func subject(c results.Comparison) string {
	if c.Whole != "" {
		return "trials"
	}
	return "plays"
}

// notes say what limits the rule that the store is judged by now.
func notes(c results.Comparison) []string {
	var lines []string
	if n := c.Now.Totals.Unjudged; n > 0 && c.Whole == "" {
		lines = append(lines, fmt.Sprintf("The rule can't judge what was observed in %s", count(n, "play")))
	}
	if c.Whole != "" {
		return append(lines, Wholes(c.Now)...)
	}
	if ranking := c.Now.Judging.Ranking; ranking != nil && ranking.Decides {
		return append(lines, Background(c.Now)...)
	}
	return lines
}

// shownUnplayed is how many words are named to people that were never replayed.
const shownUnplayed = 20

// neverReplayed names words that would have got on from the screening, so many of
// them.
func neverReplayed(c results.Comparison, most int) []string {
	if len(c.Unplayed) == 0 {
		return nil
	}
	var names []string
	for _, t := range c.Unplayed[:min(most, len(c.Unplayed))] {
		names = append(names, plain(t.Word))
	}
	if more := len(c.Unplayed) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more, which json has", more))
	}
	return []string{fmt.Sprintf("%s would have reacted in the screening, and never got a last stage: %s", count(len(c.Unplayed), "word"), strings.Join(names, ", "))}
}

// unplayed is a word that was never replayed as programs read it.
type unplayed struct {
	Word  string `json:"word"`
	Voice string `json:"voice"`
}

// changed is a change as programs read it.
type changed struct {
	Word   string  `json:"word"`
	Role   string  `json:"role"`
	Voice  string  `json:"voice"`
	Round  int     `json:"round"`
	Was    outcome `json:"was"`
	Now    outcome `json:"now"`
	Change string  `json:"change,omitempty"`
	Trial  string  `json:"trial"`
}

type outcome struct {
	Measured int  `json:"measured"`
	Reacted  int  `json:"reacted"`
	Hit      bool `json:"hit"`
}

func changes(c results.Comparison) []changed {
	list := make([]changed, 0, len(c.Changes))
	for _, change := range c.Changes {
		t := change.Trial
		list = append(list, changed{
			Word: t.Word, Role: string(t.Role), Voice: t.Voice, Round: t.Round,
			Was: outcome(change.Was), Now: outcome(change.Now), Change: changeOf(change), Trial: t.ID.String(),
		})
	}
	return list
}

func changesCSV(w io.Writer, c results.Comparison) error {
	out := csv.NewWriter(w)
	out.Write([]string{
		"word", "role", "voice", "round", "was_measured", "was_reacted", "was_hit",
		"now_measured", "now_reacted", "now_hit", "change", "trial",
	})
	for _, r := range changes(c) {
		line := []string{cell(r.Word), r.Role, cell(r.Voice), strconv.Itoa(r.Round)}
		for _, o := range []outcome{r.Was, r.Now} {
			line = append(line, strconv.Itoa(o.Measured), strconv.Itoa(o.Reacted), strconv.FormatBool(o.Hit))
		}
		out.Write(append(line, r.Change, r.Trial))
	}
	out.Flush()
	return out.Error()
}

func changesJSON(w io.Writer, c results.Comparison) error {
	never := make([]unplayed, 0, len(c.Unplayed))
	for _, t := range c.Unplayed {
		never = append(never, unplayed{t.Word, t.Voice})
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(struct {
		Campaign  string    `json:"campaign"`
		WakeWord  string    `json:"wake_word"`
		Was       string    `json:"was"`
		Now       string    `json:"now"`
		Words     []changed `json:"words"`
		Of        string    `json:"agreement_of"`
		Agreement agreement `json:"agreement"`
		Notes     []string  `json:"notes"`
		// Unplayed are words that never got a last stage and would have.
		Unplayed []unplayed `json:"never_replayed"`
	}{
		c.Was.Campaign.Name, c.Was.Campaign.WakeWord, c.Was.Judging.Rules.Text, ruleNow(c),
		changes(c), subject(c), agreementOf(results.Agreement{A: "was", B: "now", Plays: c.Agreement}),
		append([]string{}, notes(c)...), never,
	})
}
