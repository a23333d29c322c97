package export

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"wakefuzz/bench"
	"wakefuzz/internal/texttable"
	"wakefuzz/oracle"
	"wakefuzz/oracle/traffic"
	"wakefuzz/results"
)

// width is how long a line of table5 gets, in characters.
const width = 78

// column is a column of a table for people.
type column struct {
	head string
	text bool // aligned left, as numbers are not
	cell func(results.Row) string
}

// layout is the table's columns. The voice is told where there are several.
func layout(report results.Report) []column {
	all := []column{
		{"word", true, func(r results.Row) string { return plain(r.Trial.Word) }},
		{"voice", true, func(r results.Row) string { return plain(r.Trial.Voice) }},
		{"woke", false, func(r results.Row) string { return fmt.Sprintf("%d/%d", r.Reacted, r.Measured) }},
		{"rate", false, func(r results.Row) string { return ifAny(r.Measured, "%.2f", r.Rate) }},
		{"95 %", false, func(r results.Row) string { return fmt.Sprintf("%.2f-%.2f", r.Lower, r.Upper) }},
		{"distance", false, func(r results.Row) string { return fmt.Sprint(r.Distance) }},
		{"code", true, func(r results.Row) string { return plain(r.Code) }},
		{"phonemes", false, func(r results.Row) string { return fmt.Sprint(r.Phonemes) }},
		{"peak", false, func(r results.Row) string { return ifAny(r.Measured, "%.3f", r.Peak) }},
		{"latency", false, func(r results.Row) string { return ifAny(r.Reacted, "%.0f ms", milliseconds(r.Latency)) }},
	}
	if len(voices(report)) <= 1 {
		all = slices.Delete(all, 1, 2)
	}
	if _, measured := report.Negatives(); measured > 0 && !report.Judging.Early {
		all = append(all,
			column{"p", false, func(r results.Row) string { return small(r.ControlP) }},
			column{"q", false, func(r results.Row) string { return small(r.ControlQ) }})
	}
	if compared(report) {
		all = append(all,
			column{"traffic p", false, func(r results.Row) string { return small(r.P) }},
			column{"traffic q", false, func(r results.Row) string { return small(r.Q) }})
	}
	if report.Judging.Stretch == 0 {
		return all // no trial could be judged
	}
	for i, rule := range report.Judging.Trials {
		all = append(all,
			column{rule.Name, true, func(r results.Row) string { return stateOf(r.Trials[i]) }},
			column{rule.Name + " p", false, func(r results.Row) string { return ifAny(int(r.Trials[i].State), "%.3f", r.Trials[i].P) }})
	}
	return all
}

// compared says whether plays could be compared with the device's own traffic.
func compared(report results.Report) bool {
	return report.Background != nil && report.Background.Windows > 0
}

// small is a p-value, or a dash for none.
func small(p float64) string {
	if p == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2g", p)
}

// Background says, a line each, what plays were compared with to give p-values,
// and what limits those. It is empty where there was nothing to compare.
func Background(report results.Report) []string {
	if report.Background == nil {
		return nil
	}
	var lines []string
	if b := report.Background; compared(report) {
		kind := "idle windows"
		if b.Approximate {
			kind = "plays of words that don't stand out"
		}
		line := fmt.Sprintf("p-values by comparison with %d %s, %v each", b.Windows, kind, b.Unit.Round(10*time.Millisecond))
		if b.Line > 0 {
			line += fmt.Sprintf("; a play is a reaction from %.1f kB in %v on", b.Line/1000, traffic.PacedWindow)
		}
		lines = append(lines, line)
	}
	return append(lines, report.Background.Notes...)
}

// wholes is what was found of a control's plays together.
func wholes(report results.Report, row results.Row) string {
	text := ""
	for i, r := range row.Trials {
		if r.State != bench.Unmeasured {
			text += fmt.Sprintf("; %s %s, p %.3f", report.Judging.Trials[i].Name, r.State, r.P)
		}
	}
	if row.P > 0 {
		text += "; traffic p " + small(row.P)
	}
	return text
}

// inapplicable stands for what a rule says of a trial that it can't judge.
const inapplicable = "n.a."

func stateOf(r oracle.TrialReading) string {
	if r.State == bench.Unmeasured {
		return inapplicable
	}
	return r.State.String()
}

// Wholes says of each rule that judges trials as a whole what it found, and why
// it could not be applied, a line each. It is empty where there is no such rule.
func Wholes(report results.Report) []string {
	var lines []string
	for _, w := range report.Wholes {
		if report.Judging.Stretch > 0 {
			lines = append(lines, fmt.Sprintf("%s: %s reacted, %d quiet, %d %s; rule: %s",
				w.Rule.Name, count(w.Trials[bench.Reacted], "trial"), w.Trials[bench.Quiet], w.Trials[bench.Unmeasured], inapplicable, w.Rule.Text))
		}
		reasons := slices.SortedFunc(maps.Keys(w.Inapplicable), func(a, b string) int {
			return cmp.Or(cmp.Compare(w.Inapplicable[b], w.Inapplicable[a]), cmp.Compare(a, b))
		})
		for i, why := range reasons {
			if i == maxReasons {
				lines = append(lines, fmt.Sprintf("%s: %s for %d reasons more; json has them", w.Rule.Name, inapplicable, len(reasons)-i))
				break
			}
			lines = append(lines, fmt.Sprintf("%s: %s in %s: %s", w.Rule.Name, inapplicable, count(w.Inapplicable[why], "trial"), why))
		}
	}
	return lines
}

// maxReasons is how many reasons are told.
const maxReasons = 3

func voices(report results.Report) []string {
	var names []string
	for _, r := range slices.Concat(report.Words, report.Controls) {
		names = append(names, r.Trial.Voice)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ifAny formats a number that n measurements gave, or a dash for none.
func ifAny(n int, format string, x float64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf(format, x)
}

// plain keeps what a list file holds from moving the terminal's cursor.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

func title(report results.Report) string {
	return fmt.Sprintf("False wake words of %q, campaign %s", report.Campaign.WakeWord, plain(report.Campaign.Name))
}

// remarks are what a reader must know beside the rows.
func remarks(report results.Report, all overview) []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }

	t := report.Totals
	switch {
	case len(report.Words) > 0:
	case t.Measured == 0:
		add("No play has been measured yet.")
	default:
		add("No word is a hit.")
	}
	hearing := Hearing(report)
	for _, r := range report.Controls {
		if r.Trial.Role != results.RolePositive || len(hearing) > 0 {
			continue
		}
		deaf := ""
		if r.Measured > 0 && !r.Hit {
			deaf = ": the bench did not hear it, so it may have heard nothing"
		}
		add("Positive control: %s %d/%d with %s%s%s.", plain(r.Trial.Word), r.Reacted, r.Measured, plain(r.Trial.Voice), deaf, wholes(report, r))
	}
	for _, line := range hearing {
		add("%s.", line)
	}
	if line := Segments(all.segments); line != "" {
		add("%s.", line)
	}
	j := report.Judging
	if reacted, measured := report.Negatives(); measured > 0 {
		add("p is against the negative controls of the last stage, %d/%d, by Fisher's exact test; q is p adjusted for all %s.", reacted, measured, count(t.Selected, "word")+" selected")
	}
	if j.Early {
		add("Plays stopped as soon as it was known whether a word is a hit: rates are for ranking only, and no interval holds.")
	}
	among := count(t.Words, "word")
	if t.Screened > 0 {
		among = fmt.Sprintf("%s of the last stage, from %d selected", among, t.Selected)
	}
	add("%s among %s; %d of %s measured, in %s.",
		count(t.Hits, "hit"), among, t.Measured, count(t.Planned, "play"), count(t.Sessions, "session"))
	add("Rule: %s; a word is a hit from a rate of %g. Distance: %s.", plain(j.Rules.Text), j.HitRate, j.Metric)
	if line := spread(report); line != "" {
		add("%s", line)
	}
	for _, line := range Wholes(report) {
		add("%s.", line)
	}
	for _, line := range Background(report) {
		add("traffic: %s.", line)
	}
	if !t.Whole {
		add("Incomplete: what is played next depends on what these plays give.")
	}
	if t.GivenUp > 0 {
		add("%s of earlier batches could not be measured; the campaign went on without them.", count(t.GivenUp, "play"))
	}
	if open := t.Planned - t.Measured - t.Unjudged - t.Failed; open > 0 {
		add("Incomplete: %s not attempted yet.", count(open, "play"))
	}
	if failed := t.Failed - t.Busy - t.GivenUp; failed > 0 {
		add("Incomplete: %s could not be measured.", count(failed, "play"))
	}
	if t.Busy > 0 {
		add("%s found the device busy with its reaction to one before.", count(t.Busy, "play"))
	}
	if t.Unjudged > 0 {
		add("Incomplete: this rule can't judge what was observed in %s.", count(t.Unjudged, "play"))
	}
	if t.Voided > 0 {
		add("%s voided.", count(t.Voided, "attempt"))
	}
	if t.Disagreements > 0 {
		add("%s judged otherwise than at the time of the play.", count(t.Disagreements, "play"))
	}
	return lines
}

// fewControls is how many trials of the wake word are told one by one, and
// stretches how many parts of a longer night are.
const (
	fewControls = 4
	stretches   = 6
)

// Hearing says, a line each, how well the bench heard by its controls, as a whole,
// by oracle, and over time. It is empty where there are few, and no negative ones.
func Hearing(report results.Report) []string {
	positive, negative := 0, 0
	for _, r := range report.Controls {
		if r.Trial.Role == results.RolePositive {
			positive++
		} else {
			negative++
		}
	}
	if positive <= fewControls && negative == 0 {
		return nil
	}
	share := func(s results.Share) string {
		i := s.Interval()
		return fmt.Sprintf("%d/%d (%.2f-%.2f)", s.Reacted, s.Measured, i.Lower, i.Upper)
	}
	var lines []string
	for _, h := range report.Hearing() {
		what := "Controls"
		if h.Oracle != "" {
			what += " by " + h.Oracle
		}
		line := fmt.Sprintf("%s: %s woke the device in %s", what, plain(report.Campaign.WakeWord), share(h.Positive))
		if h.Negative.Measured > 0 {
			line += fmt.Sprintf(", silence and far words in %s", share(h.Negative))
		}
		lines = append(lines, line)
	}
	if parts := report.OverTime(stretches); len(parts) > 1 {
		var shares []string
		for _, s := range parts {
			shares = append(shares, fmt.Sprintf("%d/%d", s.Reacted, s.Measured))
		}
		lines = append(lines, fmt.Sprintf("%s over time: %s", plain(report.Campaign.WakeWord), strings.Join(shares, ", ")))
	}
	return lines
}

// Segments says what hits that are known drew among other words, or "" where none
// were played there.
func Segments(s results.Segments) string {
	if s.Expected == 0 {
		return ""
	}
	share, lower, upper := s.Hidden()
	return fmt.Sprintf("Known hits among other words woke the device in %d/%d, where %.1f were to be expected: segments hide %.0f %% (%.0f to %.0f)",
		s.Drew.Reacted, s.Drew.Measured, s.Expected, 100*share, 100*lower, 100*upper)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// pretty fills a table of the rows.
func pretty(report results.Report) table.Writer {
	cols := layout(report)
	head := table.Row{"#"}
	var words []int
	for i, c := range cols {
		head = append(head, c.head)
		if c.text {
			words = append(words, i+2)
		}
	}
	t := texttable.New(head, words...)
	for i, r := range report.Words {
		row := table.Row{i + 1}
		for _, c := range cols {
			row = append(row, c.cell(r))
		}
		t.AppendRow(row)
	}
	return t
}

// Agreements are tables, for a terminal, of how often the report's oracles
// agreed on a play. They are "" where there are no two oracles.
func Agreements(report results.Report) string {
	var b strings.Builder
	for i, a := range report.Agreements {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s:\n%s", agreementTitle(a), texttable.Render(prettyAgreement(a)))
	}
	return b.String()
}

// states are the outcomes of a reading, those that tell most first.
var states = []bench.State{bench.Reacted, bench.Quiet, bench.Unmeasured}

func agreementTitle(a results.Agreement) string {
	return fmt.Sprintf("Plays by what %s (down) and %s (across) read", plain(a.A), plain(a.B))
}

func prettyAgreement(a results.Agreement) table.Writer {
	head := table.Row{""}
	for _, across := range states {
		head = append(head, across.String())
	}
	t := texttable.New(head, 1)
	for _, down := range states {
		row := table.Row{down.String()}
		for _, across := range states {
			row = append(row, a.Plays[down][across])
		}
		t.AppendRow(row)
	}
	return t
}

const voicesTitle = "Words by voice; over all, each voice counts as one play, however often it was played"

// voiceColumns is how many voices fit side by side. Beyond, csv has them.
const voiceColumns = 6

// prettyVoices fills a table of the words over their voices.
func prettyVoices(all overview) table.Writer {
	head := table.Row{"word"}
	if len(all.voices) <= voiceColumns {
		for _, voice := range all.voices {
			head = append(head, plain(voice))
		}
	}
	t := texttable.New(append(head, "hit with", "rate over all", "95 %"), 1)
	for _, w := range all.listed {
		row := table.Row{plain(w.Word)}
		if len(all.voices) <= voiceColumns {
			for _, r := range w.Rows {
				if r == nil {
					row = append(row, "-")
				} else {
					row = append(row, fmt.Sprintf("%d/%d", r.Reacted, r.Measured))
				}
			}
		}
		row = append(row, fmt.Sprintf("%d/%d", w.Hits, len(all.voices)))
		if w.Known {
			row = append(row, fmt.Sprintf("%.2f", w.Rate), fmt.Sprintf("%.2f-%.2f", w.Lower, w.Upper))
		} else {
			row = append(row, "-", "-")
		}
		t.AppendRow(row)
	}
	return t
}

func writeTable(w io.Writer, report results.Report, all overview) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", title(report))
	if len(report.Words) > 0 {
		fmt.Fprintf(&b, "%s\n", texttable.Render(pretty(report)))
	}
	if agreements := Agreements(report); agreements != "" {
		fmt.Fprintf(&b, "%s\n", agreements)
	}
	if len(all.listed) > 0 {
		fmt.Fprintf(&b, "%s:\n%s\n", voicesTitle, texttable.Render(prettyVoices(all)))
	}
	if p := all.prediction; telling(p) {
		fmt.Fprintf(&b, "%s:\n%s\n", predictionTitle(p), texttable.Render(prettyPrediction(p)))
	}
	fmt.Fprintf(&b, "%s\n", strings.Join(remarks(report, all), "\n"))
	_, err := io.WriteString(w, b.String())
	return err
}

func writeMarkdown(w io.Writer, report results.Report, all overview) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", title(report))
	if len(report.Words) > 0 {
		fmt.Fprintf(&b, "%s\n\n", pretty(report).RenderMarkdown())
	}
	for _, a := range report.Agreements {
		fmt.Fprintf(&b, "%s:\n\n%s\n\n", agreementTitle(a), prettyAgreement(a).RenderMarkdown())
	}
	if len(all.listed) > 0 {
		fmt.Fprintf(&b, "%s:\n\n%s\n\n", voicesTitle, prettyVoices(all).RenderMarkdown())
	}
	if p := all.prediction; telling(p) {
		fmt.Fprintf(&b, "%s:\n\n%s\n\n", predictionTitle(p), prettyPrediction(p).RenderMarkdown())
	}
	for _, line := range remarks(report, all) {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeLaTeX(w io.Writer, report results.Report, all overview) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%% %s\n", title(report))
	if len(report.Words) > 0 {
		cols := layout(report)
		b.WriteString("\\begin{tabular}{r")
		for _, c := range cols {
			b.WriteString(map[bool]string{true: "l", false: "r"}[c.text])
		}
		b.WriteString("}\n\\hline\n\\#")
		for _, c := range cols {
			b.WriteString(" & " + latex.Replace(c.head))
		}
		b.WriteString(" \\\\\n\\hline\n")
		for i, r := range report.Words {
			fmt.Fprint(&b, i+1)
			for _, c := range cols {
				b.WriteString(" & " + latex.Replace(c.cell(r)))
			}
			b.WriteString(" \\\\\n")
		}
		b.WriteString("\\hline\n\\end{tabular}\n")
	}
	for _, line := range remarks(report, all) {
		fmt.Fprintf(&b, "\n%s\n", latex.Replace(line))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var latex = strings.NewReplacer(
	`\`, `\textbackslash{}`, `{`, `\{`, `}`, `\}`, `&`, `\&`, `%`, `\%`, `$`, `\$`, `#`, `\#`, `_`, `\_`,
	`~`, `\textasciitilde{}`, `^`, `\textasciicircum{}`, `<`, `\textless{}`, `>`, `\textgreater{}`,
)

func writeTable5(w io.Writer, report results.Report, all overview) error {
	rows := slices.Concat(report.Words, report.Controls)
	rows = slices.DeleteFunc(rows, func(r results.Row) bool { return r.Measured == 0 || r.Trial.Role == results.RoleNegative })
	slices.SortFunc(rows, func(a, b results.Row) int {
		return cmp.Or(cmp.Compare(a.Rate, b.Rate), cmp.Compare(a.Measured, b.Measured), cmp.Compare(a.Trial.Word, b.Trial.Word))
	})
	var b strings.Builder
	fmt.Fprintf(&b, "Probability of activating %q\n\n", report.Campaign.WakeWord)
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].Rate == rows[0].Rate && rows[n].Measured == rows[0].Measured {
			n++
		}
		var words []string
		for _, r := range rows[:n] {
			words = append(words, plain(r.Trial.Word))
		}
		group(&b, fmt.Sprintf("%5s", fmt.Sprintf("%d/%d", rows[0].Reacted, rows[0].Measured)), slices.Compact(words))
		rows = rows[n:]
	}
	fmt.Fprintf(&b, "\n%s\n", strings.Join(remarks(report, all), "\n"))
	_, err := io.WriteString(w, b.String())
	return err
}

// group writes a label and a list of words, wrapped and indented.
func group(b *strings.Builder, label string, words []string) {
	line := label + "  "
	for i, word := range words {
		if i+1 < len(words) {
			word += ","
		}
		if i > 0 && text.StringWidthWithoutEscSequences(line+word) > width {
			fmt.Fprintf(b, "%s\n", strings.TrimRight(line, " "))
			line = strings.Repeat(" ", len(label)+2)
		}
		line += word + " "
	}
	fmt.Fprintf(b, "%s\n", strings.TrimRight(line, " "))
}
