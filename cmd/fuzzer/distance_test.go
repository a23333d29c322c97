package main

import (
	"encoding/csv"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Section 5.5 of the paper counts the words of its Table 5 by their phonetic
// distance to alexa, from 0 to 8. The table lists alexa itself as well, which
// is no false wake word.
func TestTable5(t *testing.T) {
	t.Parallel()
	table, err := os.Open("../../phoneme/testdata/table5.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	var words []string
	for _, row := range readCSV(t, csv.NewReader(table)) {
		if row[0] != "alexa" {
			words = append(words, row[0])
		}
	}
	cmd := command(t, "distance", "--to", "alexa", "--format", "csv")
	cmd.Stdin = strings.NewReader(strings.Join(words, "\n"))
	counts := make([]int, 9)
	for i, row := range readCSV(t, csv.NewReader(strings.NewReader(finish(t, exitDone, cmd).stdout))) {
		distance, err := strconv.Atoi(row[2])
		if err != nil || row[0] != words[i] || distance >= len(counts) {
			t.Fatalf("row %d, of %q: %q, %v", i, words[i], row, err)
		}
		counts[distance]++
	}
	if want := []int{3, 9, 25, 29, 14, 2, 2, 4, 1}; !slices.Equal(counts, want) {
		t.Errorf("words at distance 0 to 8: %v, want %v", counts, want)
	}
}

// readCSV returns the rows below the header.
func readCSV(t *testing.T, r *csv.Reader) [][]string {
	t.Helper()
	rows, err := r.ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	return rows[1:]
}
