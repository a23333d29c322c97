package export_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine"
	"wakefuzz/phoneme"
	"wakefuzz/results"
	"wakefuzz/results/export"
	"wakefuzz/wordlists"
)

var update = flag.Bool("update", false, "write the golden files")

// table5 is the paper's Table 5: in how many of ten plays each word woke it.
var table5 = map[int]string{
	2:  "alita, baxa, elater, hexer, liker, ochna, taxer",
	3:  "bertha, electroceramic, excern, oxer, taxir",
	4:  "electrohydraulic, electropathic, wexler",
	5:  "blacksher, electic, hoaxer",
	6:  "bugsha, elatha, elator, electrodissolution, electrostenolytic, eloper, eluted, fluxer, huerta, hurter, irksome, lecher, lefter, lepre, lesser, letter, licker, lipper, loasa, loker, lotor, lyssa, maloca, maxillar, melosa, meta, metae, muleta, paxar, rickner",
	7:  "alexy, crytzer, electroanalytical, hyper, kleckner, lecture, likker, volupte, wexner",
	8:  "electroreduction, hiper, wechsler",
	9:  "aleta, alexa, alexia, annection, elatcha, electre, kreitzer",
	10: "alachah, alexipharmic, alexiteric, alissa, alosa, alyssa, barranca, beletter, elector, electra, electroresection, electrotelegraphic, elissa, elixir, gloeckner, lechner, lecter, lictor, lxi, lxx, mixer, olexa, walesa",
}

var rule = engine.DefaultRule()

var judging = results.Judging{
	Rules: oracle.Rules{
		Judges: map[string]oracle.Judge{engine.Name: rule.Judge},
		Fusion: engine.Name,
		Text:   rule.String(),
	},
	Metric:  phoneme.MetricDoubleMetaphone,
	HitRate: results.PaperHitRate,
}

var campaign = results.Campaign{
	Name:              "table-5",
	WakeWord:          "alexa",
	WakePronunciation: "AH0 L EH1 K S AH0",
	PlanHash:          sha256.Sum256(nil),
	Created:           time.Date(2020, 7, 1, 0, 0, 0, 0, time.UTC),
	Fuzzer:            "v0.1.0",
	Spec:              "wake_word: alexa\n",
}

// outcome is how often a word woke the device in so many plays, and how many
// more could not be measured.
type outcome struct {
	trial             results.Trial
	reacted, measured int
	failed            int
}

func word(text string, p phoneme.Pronunciation, reacted, measured int) outcome {
	sum := sha256.Sum256([]byte(text))
	return outcome{
		trial: results.Trial{
			ID: results.TrialID(sum[:16]), Role: results.RoleWord, Word: text, Pronunciation: p,
			List: "cmudict", Voice: "flite/kal16", Round: 1, Plays: 10,
		},
		reacted: reacted, measured: measured,
	}
}

func control(reacted int) outcome {
	o := word("alexa", campaign.WakePronunciation, reacted, 10)
	o.trial.Role = results.RolePositive
	return o
}

// report plays the words in a store of its own, and tallies it.
func report(t testing.TB, outcomes ...outcome) results.Report {
	t.Helper()
	var trials []results.Trial
	var attempts []results.Attempt
	for _, o := range outcomes {
		trials = append(trials, o.trial)
		for i := range o.measured {
			a := results.Attempt{
				Play: results.PlayID{Trial: o.trial.ID, Index: i}, Number: 1, Session: 1,
				Sound: bench.Span{Start: 0, End: bench.Instant(time.Second)},
				State: bench.Quiet,
				Observations: []bench.Observation{{Oracle: engine.Name, Scores: bench.Series{
					Start: bench.Instant(i) * bench.Instant(time.Millisecond), Step: 80 * time.Millisecond,
					Values: []float32{0, 0.125, 0.01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.25},
				}}},
			}
			if i < o.reacted {
				a.State = bench.Reacted
				a.Observations[0].Scores.Values[10] = 0.5 + float32(i)/32
			}
			attempts = append(attempts, a)
		}
		for i := range o.failed {
			attempts = append(attempts, results.Attempt{
				Play: results.PlayID{Trial: o.trial.ID, Index: o.measured + i}, Number: 1, Session: 1, Fault: bench.FaultOracle,
			})
		}
	}
	s, err := results.Create(filepath.Join(t.TempDir(), "campaign"), campaign, trials)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.BeginSession(results.Session{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(attempts...); err != nil {
		t.Fatal(err)
	}
	r, err := results.Tally(s.Reader, judging)
	if err != nil {
		t.Fatal(err)
	}
	results.Rank(r.Words, results.OrderDistance)
	return r
}

func paper(t testing.TB) results.Report {
	var outcomes []outcome
	for k, list := range table5 {
		for text := range strings.SplitSeq(list, ", ") {
			if text == "alexa" {
				outcomes = append(outcomes, control(k))
			} else {
				outcomes = append(outcomes, word(text, "", k, 10))
			}
		}
	}
	return report(t, outcomes...)
}

// sample has all that is hard to write: another voice, a word that is never
// measured, names that mean something to LaTeX, a terminal or a spreadsheet.
func sample(t testing.TB) results.Report {
	awb := word("lexus ", "L EH1 K S AH0 S", 10, 10)
	awb.trial.Word, awb.trial.Voice = "lexus", "flite/awb rate=1.2"
	unmeasured := word("meta", "M EH1 T AH0", 0, 0)
	unmeasured.failed = 2
	partly := word("50%_of{all}\\ways & $more", "", 3, 4)
	partly.trial.Guessed, partly.trial.List = true, "my,list.txt"
	return report(t,
		word("lexus", "L EH1 K S AH0 S", 7, 10),
		awb,
		word("next", "N EH1 K S T", 1, 10),
		unmeasured,
		partly,
		word("=1+1|\x1b[31m", "", 10, 10),
		word("naïve", "N AY0 IY1 V", 2, 10),
		control(10),
	)
}

// watchedTwice is the report as it is where two oracles watched. The traffic
// missed every other reaction and saw nothing of one play of each trial.
func watchedTwice(r results.Report) results.Report {
	r.Oracles = []string{"light", "traffic"}
	agreement := results.Agreement{A: "light", B: "traffic"}
	r.Words, r.Controls = slices.Clone(r.Words), slices.Clone(r.Controls)
	for _, rows := range [][]results.Row{r.Words, r.Controls} {
		for i := range rows {
			row := &rows[i]
			light := results.Readings{Oracle: "light", Reacted: row.Reacted, Quiet: row.Measured - row.Reacted}
			traffic := results.Readings{Oracle: "traffic", Reacted: row.Reacted / 2, Unmeasured: min(1, light.Quiet)}
			traffic.Quiet = row.Measured - traffic.Reacted - traffic.Unmeasured
			row.ByOracle = []results.Readings{light, traffic}
			agreement.Plays[bench.Reacted][bench.Reacted] += traffic.Reacted
			agreement.Plays[bench.Reacted][bench.Quiet] += light.Reacted - traffic.Reacted
			agreement.Plays[bench.Quiet][bench.Quiet] += light.Quiet - traffic.Unmeasured
			agreement.Plays[bench.Quiet][bench.Unmeasured] += traffic.Unmeasured
		}
	}
	r.Agreements = []results.Agreement{agreement}
	return r
}

// judgedWhole is the report as it is where a rule judges trials as a whole: it
// can speak of all but those of which a play was not measured.
func judgedWhole(r results.Report, stretch time.Duration) results.Report {
	rule := oracle.TrialRule{Name: "ttest", Text: "t-test of packet sizes p < 0.42, over 1m0s"}
	r.Judging.Trials, r.Judging.Stretch = []oracle.TrialRule{rule}, stretch
	whole := results.Whole{Rule: rule, Inapplicable: map[string]int{}}
	r.Words, r.Controls = slices.Clone(r.Words), slices.Clone(r.Controls)
	for _, rows := range [][]results.Row{r.Words, r.Controls} {
		for i := range rows {
			row := &rows[i]
			reading := oracle.TrialReading{State: bench.Quiet, P: 0.75}
			switch {
			case stretch == 0:
				reading = oracle.TrialReading{Inapplicable: "the plays were not at a fixed pace"}
			case row.Measured < row.Trial.Plays:
				reading = oracle.TrialReading{Inapplicable: "it was cut off after " + strconv.Itoa(row.Measured) + " of 10 plays"}
			case row.Reacted > 5:
				reading = oracle.TrialReading{State: bench.Reacted, P: 0.0123456}
			}
			row.Trials = []oracle.TrialReading{reading}
			whole.Trials[reading.State]++
			if reading.Inapplicable != "" {
				whole.Inapplicable[reading.Inapplicable]++
			}
		}
	}
	r.Wholes = []results.Whole{whole}
	return r
}

// mixed is enough hits, and enough other words, to tell distances apart by.
func mixed(t *testing.T) results.Report {
	dictionary, err := wordlists.CMU()
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []outcome
	for _, text := range strings.Fields("alexei alexis elixir electra hex hext lecture lexus licker next paxar vexed" +
		" apple banana cucumber dinner evening garden kitchen machine mixer monday plexus summer table water window yellow") {
		w, ok := dictionary.Lookup(text)
		if !ok {
			t.Fatalf("no %s", text)
		}
		o := word(text, w.Pronunciation(), 0, 10)
		if len(outcomes) < 12 {
			o.reacted = 10 - len(outcomes)/2
		}
		outcomes = append(outcomes, o)
	}
	return report(t, outcomes...)
}

// spoken is what several voices said, one of which a screening left out at a word.
func spoken(t *testing.T) results.Report {
	said := func(text, voice string, k int) outcome {
		o := word(text+voice, "", k, 10)
		o.trial.Word, o.trial.Voice = text, "flite/"+voice
		return o
	}
	screened := said("lexus", "slt", 0)
	screened.trial.Screening = true
	return report(t,
		said("elexis", "kal16", 10), said("elexis", "awb", 9), said("elexis", "slt", 2),
		said("lexus", "kal16", 7), said("lexus", "awb", 10), screened,
		said("next", "kal16", 0), said("next", "awb", 1), said("next", "slt", 0),
		said("vex", "kal16", 0), said("vex", "awb", 0), said("vex", "slt", 10),
		control(10),
	)
}

func TestGolden(t *testing.T) {
	night := sample(t)
	twice := watchedTwice(night)
	paced, settled := judgedWhole(night, time.Minute), judgedWhole(twice, 0)
	paced.Totals.Busy = 1
	disagreeing := night
	disagreeing.Totals.Disagreements, disagreeing.Totals.Unjudged, disagreeing.Totals.Voided = 1, 3, 1
	for name, c := range map[string]struct {
		report results.Report
		format export.Format
		rows   export.Rows
	}{
		"table.txt":        {disagreeing, export.Table, export.Default},
		"table-all.txt":    {night, export.Table, export.All},
		"table-empty.txt":  {report(t, word("next", "N EH1 K S T", 0, 10), control(0)), export.Table, export.Default},
		"table-fresh.txt":  {report(t, word("next", "N EH1 K S T", 0, 0)), export.Table, export.Default},
		"table5.txt":       {night, export.Table5, export.Default},
		"table5-all.txt":   {night, export.Table5, export.All},
		"table5-paper.txt": {paper(t), export.Table5, export.Default},
		"rows.csv":         {night, export.CSV, export.Default},
		"hits.csv":         {night, export.CSV, export.Hits},
		"report.json":      {night, export.JSON, export.Default},
		"hits.md":          {night, export.Markdown, export.Default},
		"empty.md":         {report(t, word("next", "N EH1 K S T", 0, 10)), export.Markdown, export.Default},
		"hits.tex":         {night, export.LaTeX, export.Default},
		"oracles.txt":      {twice, export.Table, export.Default},
		"oracles.md":       {twice, export.Markdown, export.Default},
		"oracles.csv":      {twice, export.CSV, export.Default},
		"oracles.json":     {twice, export.JSON, export.Hits},
		"trials.txt":       {paced, export.Table, export.All},
		"trials.md":        {paced, export.Markdown, export.Default},
		"trials.tex":       {paced, export.LaTeX, export.Default},
		"trials.csv":       {paced, export.CSV, export.Default},
		"trials.json":      {paced, export.JSON, export.Default},
		"trials5.txt":      {paced, export.Table5, export.Default},
		"voices.txt":       {spoken(t), export.Table, export.Default},
		"voices.md":        {spoken(t), export.Markdown, export.All},
		"voices.csv":       {spoken(t), export.CSV, export.Hits},
		"distances.txt":    {mixed(t), export.Table, export.Default},
		"distances.md":     {mixed(t), export.Markdown, export.Default},
		"settled.txt":      {settled, export.Table, export.Default},
		"settled.csv":      {settled, export.CSV, export.Default},
		"empty.tex":        {report(t, word("next", "N EH1 K S T", 0, 10)), export.LaTeX, export.Default},
	} {
		var got bytes.Buffer
		if err := export.Write(&got, c.format, c.report, export.Options{Rows: c.rows}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s is now\n%s\nrun with -update if that is right", name, got.Bytes())
		}
	}
}

// The columns of one oracle are the first of those of two, with the same cells.
func TestColumnsAreOnlyAddedTo(t *testing.T) {
	night := sample(t)
	rows := func(r results.Report) [][]string {
		var out bytes.Buffer
		if err := export.Write(&out, export.CSV, r, export.Options{}); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	one, two := rows(night), rows(watchedTwice(night))
	for i := range one {
		if !slices.Equal(one[i], two[i][:len(one[i])]) || len(two[i]) != len(one[i])+4 {
			t.Errorf("%v became %v", one[i], two[i])
		}
	}
	whole := rows(judgedWhole(watchedTwice(night), time.Minute))
	for i := range two {
		if !slices.Equal(two[i], whole[i][:len(two[i])]) || len(whole[i]) != len(two[i])+2 {
			t.Errorf("%v became %v", two[i], whole[i])
		}
	}
	// Which columns there are does not depend on what has been played.
	fresh := report(t, word("next", "", 0, 0))
	fresh.Oracles = []string{"light", "traffic"}
	if head := rows(fresh)[0]; !slices.Equal(head, two[0]) {
		t.Errorf("before the first play the columns are %v", head)
	}
}

// P-values of plays stand beside those of their words, where they are known.
func TestPValuesOfPlays(t *testing.T) {
	r := report(t, word("next", "", 1, 2))
	r.Judging.Ranking = &results.Ranking{}
	r.Words[0].P, r.Words[0].Q, r.Words[0].PlayP = 0.25, 0.5, []float64{0.125, 0}
	var out strings.Builder
	if err := export.Write(&out, export.JSON, r, export.Options{}); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(strings.Fields(out.String()), "")
	if !strings.Contains(got, `"traffic":{"p":0.25,"q":0.5,"play_p":[0.125,null]}`) {
		t.Errorf("JSON without the p-values of plays:\n%s", out.String())
	}
}

// TestPaper holds what the paper prints: the groups of Table 5, and how many
// words are how far from alexa in section 5.5.
func TestPaper(t *testing.T) {
	r := paper(t)
	if len(r.Words) != 89 || r.Totals.Hits != 89 {
		t.Fatalf("%d words, %d hits; the paper has 89", len(r.Words), r.Totals.Hits)
	}
	var distances [9]int
	for _, row := range r.Words {
		distances[row.Distance]++
	}
	if want := [9]int{3, 9, 25, 29, 14, 2, 2, 4, 1}; distances != want {
		t.Errorf("distances %v, not %v", distances, want)
	}

	var out strings.Builder
	if err := export.Write(&out, export.Table5, r, export.Options{}); err != nil {
		t.Fatal(err)
	}
	_, groups, _ := strings.Cut(out.String(), "\n\n")
	groups, _, _ = strings.Cut(groups, "\n\n")
	for line := range strings.Lines(groups) {
		if len(line) > 79 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
	words := strings.Fields(groups)
	for k := 2; k <= 10; k++ {
		want := append([]string{strconv.Itoa(k) + "/10"}, strings.Fields(table5[k])...)
		if n := min(len(want), len(words)); !slices.Equal(words[:n], want) {
			t.Fatalf("%d/10 is %v, not %v", k, words[:n], want)
		}
		words = words[len(want):]
	}
	if len(words) > 0 {
		t.Errorf("more than the paper has: %v", words)
	}
}

func TestCSVIsWhatItsReaderExpects(t *testing.T) {
	var out bytes.Buffer
	if err := export.Write(&out, export.CSV, sample(t), export.Options{}); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 9 {
		t.Errorf("%d rows", len(rows))
	}
	doc, err := os.ReadFile("export.go")
	if err != nil {
		t.Fatal(err)
	}
	for i, column := range rows[0] {
		if !bytes.Contains(doc, []byte("//\t"+column+" ")) {
			t.Errorf("column %s is not documented", column)
		}
		for _, row := range rows[1:] {
			if strings.HasPrefix(row[i], "=") {
				t.Errorf("%s is a formula: %s", column, row[i])
			}
		}
	}

	// The names in JSON are the same, in the same order.
	out.Reset()
	if err := export.Write(&out, export.JSON, sample(t), export.Options{}); err != nil {
		t.Fatal(err)
	}
	var doc2 struct{ Words []json.RawMessage }
	if err := json.Unmarshal(out.Bytes(), &doc2); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(doc2.Words[0]))
	var names []string
	for depth := 0; ; {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		if _, brace := token.(json.Delim); brace {
			depth++
			continue
		}
		names = append(names, token.(string))
		if _, err := decoder.Token(); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(names, rows[0]) {
		t.Errorf("names in JSON %v, columns in CSV %v", names, rows[0])
	}
}

func TestFormats(t *testing.T) {
	for _, f := range export.Formats() {
		if parsed, err := export.ParseFormat(string(f)); err != nil || parsed != f {
			t.Errorf("%s: %v, %v", f, parsed, err)
		}
		if err := export.Write(full{}, f, sample(t), export.Options{}); !errors.Is(err, errFull) {
			t.Errorf("%s: an error of the writer is lost: %v", f, err)
		}
	}
	if err := export.Write(full{}, "xls", results.Report{}, export.Options{}); err == nil || errors.Is(err, errFull) {
		t.Errorf("an unknown format: %v", err)
	}
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// What segments hide is told of the words that only the screening played, which a
// table of hits does not list.
func TestSegmentsAreTold(t *testing.T) {
	hit := results.Row{
		Trial:    results.Trial{Role: results.RoleWord, Word: "lexus", Voice: "flite/kal16", Batch: 2, Plays: 10},
		Measured: 10, Reacted: 8, Rate: 0.8, Hit: true,
	}
	among := hit
	among.Trial.Screening, among.Trial.Batch, among.Trial.Segment, among.Trial.Plays = true, 3, 1, 1
	among.Measured, among.Reacted = 1, 0
	r := sample(t)
	r.Words, r.Screened = append(r.Words, hit), []results.Row{among, among, among}
	for _, format := range []export.Format{export.Table, export.Markdown, export.LaTeX, export.Table5} {
		var text strings.Builder
		if err := export.Write(&text, format, r, export.Options{}); err != nil {
			t.Fatal(err)
		}
		if want := "Known hits among other words woke the device in 0/3, where 2.4 were to be expected"; !strings.Contains(text.String(), want) {
			t.Errorf("%s does not say %q:\n%s", format, want, &text)
		}
	}
}
