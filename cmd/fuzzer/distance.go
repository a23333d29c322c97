package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"wakefuzz/phoneme"
	"wakefuzz/wordlists"
)

// distanceRow is a line of what distance prints.
type distanceRow struct {
	Word     string `json:"word"`
	Code     string `json:"code"`
	Distance int    `json:"distance"`
}

func (a *app) distanceCommand() *cobra.Command {
	var to, pronunciation, metricName, format string
	cmd := &cobra.Command{
		Use:   "distance --to WAKE-WORD [WORD...]",
		Short: "Print words with their phonetic code and distance to the wake word",
		Long: `Print words, from the command line or one a line on standard input, with their
phonetic code and its distance to the wake word's.

The default metric is the paper's: the edit distance between Double Metaphone
codes. The metric "phonemes" needs pronunciations, from the dictionary or, for
words outside it, from flite's letter-to-sound rules.`,
		Example: "  fuzzer distance --to alexa --format csv elixir lecture letter",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				return usagef("--to is missing; name the wake word that distances are taken to")
			}
			metric, err := phoneme.ParseMetric(metricName)
			if err != nil {
				return usagef("--metric: %w", err)
			}
			if len(args) == 0 {
				if args, err = readWords(a.stdin); err != nil {
					return err
				}
			}
			if len(args) == 0 {
				return usagef("no word given; name some, or write them to standard input, one a line")
			}
			rows, err := a.distances(cmd, metric, to, pronunciation, args)
			if err != nil {
				return err
			}
			return writeDistances(a.stdout, format, rows)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the wake `word` that distances are taken to (required)")
	cmd.Flags().StringVar(&pronunciation, "pronunciation", "", "the wake word's `phones` in ARPAbet, where the dictionary lacks it")
	cmd.Flags().StringVar(&metricName, "metric", string(phoneme.MetricDoubleMetaphone), "the `metric`: "+listMetrics())
	cmd.Flags().StringVar(&format, "format", "table", "table, csv or json")
	return cmd
}

func listMetrics() string {
	var names []string
	for _, m := range phoneme.Metrics() {
		names = append(names, string(m))
	}
	return strings.Join(names, ", ")
}

// readWords reads a word or phrase a line, as many rows as there are words.
func readWords(r io.Reader) ([]string, error) {
	var words []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if word := strings.TrimSpace(lines.Text()); word != "" {
			words = append(words, word)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, usagef("reading words from standard input: %w", err)
	}
	return words, nil
}

func (a *app) distances(cmd *cobra.Command, metric phoneme.Metric, to, pronunciation string, texts []string) ([]distanceRow, error) {
	code := func(text string) (string, error) { return metric.Code(text, ""), nil }
	wake := metric.Code(to, "")
	if metric == phoneme.MetricPhonemes {
		dictionary, err := wordlists.CMU()
		if err != nil {
			return nil, err
		}
		word, err := wakeWord(to, pronunciation)
		if err != nil {
			return nil, err
		}
		wake = metric.Code(to, word.Pronunciation())
		code = func(text string) (string, error) {
			found, err := dictionary.Phrase(text)
			if err == nil {
				return metric.Code(text, found.Pronunciation()), nil
			}
			guessed, err := a.guess(cmd.Context(), []string{text})
			if err != nil {
				return "", err
			}
			return metric.Code(text, guessed[0]), nil
		}
	}
	rows := make([]distanceRow, 0, len(texts))
	for _, text := range texts {
		c, err := code(text)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		rows = append(rows, distanceRow{Word: text, Code: c, Distance: metric.Distance(c, wake)})
	}
	return rows, nil
}

func writeDistances(w io.Writer, format string, rows []distanceRow) error {
	return listing[distanceRow]{
		columns: []string{"word", "code", "distance"},
		fields:  func(r distanceRow) []string { return []string{r.Word, r.Code, strconv.Itoa(r.Distance)} },
		head:    fmt.Sprintf("%-20s %8s  %s", "word", "distance", "code"),
		line:    func(r distanceRow) string { return fmt.Sprintf("%-20s %8d  %s", r.Word, r.Distance, r.Code) },
	}.write(w, format, rows)
}
