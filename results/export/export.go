// Package export writes a report of package results.
//
// # Formats
//
//	table     for a terminal
//	table5    the layout of the paper's Table 5: words grouped by rate, lowest
//	          first, each group in alphabetical order; the wake word's own
//	          trials are among them, as they are in the paper
//	markdown  a table in Markdown
//	latex     a tabular environment that needs no package
//	csv       RFC 4180 with LF line ends, header line first
//	json      one document, the campaign and the rules included
//
// The first four are for people: unless asked otherwise they list hits only,
// and they end with the positive control, the totals, and what is missing. The
// last two are for programs: unless asked otherwise they list every word, and
// their columns and names are only ever added to. Rows come in the order of
// the report, except in table5.
//
// Where at least ten words are hits and ten are not, table and markdown say which of
// the phonetic distances tells the hits best: the rank correlation of distance
// and rate, by how much it is weaker than that of the best distance, and how
// likely a hit is nearer to the wake word than another word; see
// results.Predict. Below stands how many hits lie at which distance, as in
// section 5.5 of the paper.
//
// # Columns of csv, and names in json
//
//	word              the text that was spoken
//	role              word; positive: the wake word itself; negative: what must not
//	                  wake the device, of which one has no text: silence
//	list              the word list it is from
//	voice             the voice that spoke it
//	round             the round of the campaign, from 1
//	pronunciation     ARPAbet, with stress
//	guessed           true if the pronunciation is from letter-to-sound rules
//	phonemes          phoneme count of the pronunciation
//	code              code of the word under the report's metric
//	distance          distance of code to the wake word's code
//	phoneme_distance  edit distance of the phonemes, stress aside
//	plays             plays planned
//	measured          plays that could be judged: n
//	reacted           plays that the device reacted to: k
//	failed            plays attempted, but not measured
//	rate              k/n, 0 to 1
//	rate_low          lower end of the exact 95 % interval of the rate (Clopper and Pearson)
//	rate_high         upper end of it
//	hit               true if the device reacted in at least the report's hit rate
//	                  of the plays planned
//	peak              highest strength, in the oracle's unit: an engine's score
//	latency_ms        median time from the end of the sound to the reaction, in
//	                  milliseconds; negative if it came before the end
//	trial             the trial's ID
//	batch             the number of the batch that the trial was planned in, from 1
//	stage             last, or screening: plays that decided which words got a last
//	                  stage. Only the rates of the last one say how often a word
//	                  wakes the device
//	segment           for words that were played back to back: of which segment of
//	                  the batch, from 1; otherwise 0
//	why               why the protocol chose the word; empty where it chose all
//	control_p         the p-value of the word's reactions against the negative
//	                  controls of the last stage (Fisher's exact test, one-sided);
//	                  empty where there are none, and for all but words of the last
//	                  stage
//	control_q         the same adjusted for the number of words that were selected
//	                  (Benjamini and Hochberg)
//	voices            voices that words were planned with; this and the following
//	                  are of the word over all its voices, and empty for all but
//	                  words of the last stage
//	voices_measured   with so many of them the word was measured
//	voices_hit        with so many of them it is a hit
//	voices_rate       mean of the voices' rates; empty where the word was not
//	                  measured with each of them
//	voices_rate_low   lower end of its 95 % interval, for which each voice counts as
//	                  one play, however often it was played
//	voices_rate_high  upper end of it
//
// Where words were spoken by several voices, table and markdown have another table,
// of words by voice. In json, words are those of the last stage, and screened has the others.
//
// Where the report's rules judge several oracles, there follow two columns for
// each of them, the oracles in alphabetical order, whether they have seen a
// play or not: the columns are a matter of the rules alone. measured and
// reacted are about the verdict, and these about one oracle's own reading of
// the plays that count.
//
//	ORACLE_measured   plays that this oracle could speak of
//	ORACLE_reacted    plays that it saw the device react to
//
// In json they are by_oracle.ORACLE.measured and by_oracle.ORACLE.reacted, and
// agreements says for each two oracles how many plays they read as what; table
// and markdown have that as a table. None of this is there with one oracle.
//
// Where trials are judged as a whole too, as they are where there is traffic,
// two more columns follow for each rule of that kind, of which there is one,
// ttest: the t-test of section 4.1.2 of the paper.
//
//	ttest             reacted or quiet; n.a. where it can't be applied, as to a
//	                  campaign that was not played at a fixed pace
//	ttest_p           its p-value; empty where it is n.a.
//
// In json they are trials.ttest.state, null for n.a., and trials.ttest.p, and
// trials.ttest.inapplicable says why there is none. In the formats for people
// the columns are only there for a campaign at a fixed pace, and the reasons
// stand below.
//
// There follow, where there is traffic, how unlikely the traffic of a word's plays
// is, all of them together, for a device that hears nothing; see results.Ranking.
//
//	traffic_p         that the device's own traffic holds as much: a p-value
//	traffic_q         the same adjusted for the number of words (Benjamini and
//	                  Hochberg): of all words with 0.05 or less, 5 % are expected
//	                  to be there by chance
//
// Both are empty where that isn't known, and traffic_q for the wake word itself.
// In json they are traffic.p and traffic.q, null where unknown; traffic.play_p is
// the p-value of each play by itself, in the order of plays; and background
// says how many windows of which length the plays were compared with, whether
// p-values are approximate, and by its notes what limits them, which the formats
// for people say below.
//
// In csv, rates have 4 decimals, peak and p-values have 6 and latency_ms has 1, so that equal
// reports are equal byte for byte. rate and peak are empty (null in json) where
// nothing was measured, latency_ms where nothing reacted. A text that a
// spreadsheet would take for a formula, because it begins with one of = + - @,
// a tab or a carriage return, has an apostrophe put before it in csv.
package export

import (
	"fmt"
	"io"
	"slices"

	"wakefuzz/results"
)

// Format is an output format.
type Format string

// The formats; see the package comment.
const (
	Table    Format = "table"
	Table5   Format = "table5"
	CSV      Format = "csv"
	JSON     Format = "json"
	Markdown Format = "markdown"
	LaTeX    Format = "latex"
)

// Formats lists the formats, Table first.
func Formats() []Format { return []Format{Table, Table5, CSV, JSON, Markdown, LaTeX} }

// ParseFormat is the format of that name. The error lists the names.
func ParseFormat(name string) (Format, error) {
	if f := Format(name); slices.Contains(Formats(), f) {
		return f, nil
	}
	return "", fmt.Errorf("no format %.40q: use one of %v", name, Formats())
}

// Rows says which words are listed. The zero Rows is what the format is for.
type Rows int

// The choices of rows. Positive controls are there in any case.
const (
	Default Rows = iota
	Hits
	All
)

// Options shape the output.
type Options struct {
	Rows Rows
}

// Write writes the report. Errors are those of w, or that there is no such
// format.
func Write(w io.Writer, format Format, report results.Report, options Options) error {
	rows := options.Rows
	if rows == Default && format != CSV && format != JSON {
		rows = Hits
	}
	all := overviewOf(format, report, rows)
	if rows == Hits {
		report.Words = slices.DeleteFunc(slices.Clone(report.Words), func(r results.Row) bool { return !r.Hit })
		report.Screened = nil
	}
	write, known := map[Format]func(io.Writer, results.Report, overview) error{
		Table:    writeTable,
		Table5:   writeTable5,
		CSV:      writeCSV,
		JSON:     writeJSON,
		Markdown: writeMarkdown,
		LaTeX:    writeLaTeX,
	}[format]
	if !known {
		_, err := ParseFormat(string(format))
		return err
	}
	return write(w, report, all)
}

// overview is what is told of all words together, whichever are listed.
type overview struct {
	prediction results.Prediction
	segments   results.Segments
	// voices are those that words were planned with. words are the words over
	// them, by name; listed are those that a table by voice lists, in the report's
	// order, where there are several voices.
	voices []string
	words  map[string]results.WordRow
	listed []results.WordRow
}

func overviewOf(format Format, report results.Report, rows Rows) overview {
	c := overview{segments: report.Segments(), voices: report.Voices(), words: map[string]results.WordRow{}}
	if format == Table || format == Markdown {
		c.prediction = results.Predict(report.Campaign, report.Words, report.Screened)
	}
	for _, word := range results.OverVoices(report) {
		c.words[word.Word] = word
		if len(c.voices) > 1 && (rows != Hits || word.Hits > 0) {
			c.listed = append(c.listed, word)
		}
	}
	return c
}
