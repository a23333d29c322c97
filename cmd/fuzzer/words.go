package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"wakefuzz/phoneme"
	"wakefuzz/wordlists"
)

// wordRow is a line of what words prints.
type wordRow struct {
	Word          string                `json:"word"`
	Pronunciation phoneme.Pronunciation `json:"pronunciation"`
	Phonemes      int                   `json:"phonemes"`
	Guessed       bool                  `json:"guessed"`
	List          string                `json:"list"`
	Code          string                `json:"code"`
	Distance      int                   `json:"distance"`
}

func (a *app) wordsCommand() *cobra.Command {
	var s wordlists.Selection
	var wakeText, pronunciation, variants, metricName, format string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "words --wake-word WORD",
		Short: "List the words that a campaign would try",
		Long: `List the words that a campaign would try, with their pronunciation, phonetic
code and distance to the wake word. The flags are the keys of the section
"words" of a campaign file.`,
		Example: `  fuzzer words --wake-word alexa --phonemes 5,6 --limit 20
  fuzzer words --wake-word "hey jarvis" --order shuffle --limit 100 --format csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if wakeText == "" {
				return usagef("--wake-word is missing; name the wake word that the words are chosen for")
			}
			s.Variants = wordlists.Variants(variants)
			if err := s.Validate(); err != nil {
				return usageError{err}
			}
			metric, err := phoneme.ParseMetric(metricName)
			if err != nil {
				return usagef("--metric: %w", err)
			}
			wake, err := wakeWord(wakeText, pronunciation)
			if err != nil {
				return err
			}
			words, err := a.selectWords(cmd.Context(), ".", wake, s, seed)
			if err != nil {
				return err
			}
			return writeWords(a.stdout, format, wordRows(words, wake, metric))
		},
	}
	f := cmd.Flags()
	f.StringVar(&wakeText, "wake-word", "", "the wake `word` or phrase (required)")
	f.StringVar(&pronunciation, "pronunciation", "", "the wake word's `phones` in ARPAbet, where the dictionary lacks it")
	f.StringSliceVar(&s.Lists, "lists", nil, "cmudict (default), common, or `files` with a word a line")
	f.IntSliceVar(&s.Phonemes, "phonemes", nil, "phoneme `counts` (default: the wake word's own and one less)")
	f.StringVar(&variants, "variants", "", "whose count decides: the first pronunciation's, or any's")
	f.BoolVar(&s.Unusual, "unusual", false, "also words with digits, dots, hyphens or apostrophes")
	f.StringSliceVar(&s.Include, "include", nil, "`words` that are always in")
	f.StringSliceVar(&s.Exclude, "exclude", nil, "`words` that are never in")
	f.IntVar(&s.Random.Count, "random", 0, "how many random words to add")
	f.StringVar(&s.Order, "order", "", "a metric, alphabet or shuffle")
	f.IntVar(&s.Limit, "limit", 0, "how many words to take, 0 for all")
	f.Uint64Var(&seed, "seed", 1, "where everything random begins")
	f.StringVar(&metricName, "metric", string(phoneme.MetricDoubleMetaphone), "the distance to print: "+listMetrics())
	f.StringVar(&format, "format", "table", "table, csv or json")
	return cmd
}

func wordRows(words []wordlists.Word, wake wordlists.Word, metric phoneme.Metric) []wordRow {
	target := metric.Code(wake.Text, wake.Pronunciation())
	rows := make([]wordRow, 0, len(words))
	for _, w := range words {
		code := metric.Code(w.Text, w.Pronunciation())
		rows = append(rows, wordRow{
			Word:          w.Text,
			Pronunciation: w.Pronunciation(),
			Phonemes:      w.Pronunciation().Count(),
			Guessed:       w.Guessed,
			List:          w.List,
			Code:          code,
			Distance:      metric.Distance(code, target),
		})
	}
	return rows
}

func writeWords(w io.Writer, format string, rows []wordRow) error {
	return listing[wordRow]{
		columns: []string{"word", "pronunciation", "phonemes", "guessed", "list", "code", "distance"},
		fields: func(r wordRow) []string {
			return []string{r.Word, string(r.Pronunciation), strconv.Itoa(r.Phonemes), strconv.FormatBool(r.Guessed), r.List, r.Code, strconv.Itoa(r.Distance)}
		},
		head: fmt.Sprintf("%-20s %8s  %-12s %s", "word", "distance", "code", "pronunciation"),
		line: func(r wordRow) string {
			line := fmt.Sprintf("%-20s %8d  %-12s %s", r.Word, r.Distance, r.Code, r.Pronunciation)
			if r.Guessed {
				line += " (guessed)"
			}
			return line
		},
	}.write(w, format, rows)
}
