package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
)

// listing is how rows of one kind are written.
type listing[T any] struct {
	// columns and fields are the rows as CSV.
	columns []string
	fields  func(T) []string
	// head and line are the rows for people.
	head string
	line func(T) string
}

// write writes the rows as a table for people, as CSV, or as one JSON array.
func (l listing[T]) write(w io.Writer, format string, rows []T) error {
	switch format {
	case "csv":
		out := csv.NewWriter(w)
		out.Write(l.columns)
		for _, r := range rows {
			out.Write(l.fields(r))
		}
		out.Flush()
		return out.Error()
	case "json":
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		return out.Encode(rows)
	case "table":
		out := bufio.NewWriter(w)
		fmt.Fprintln(out, l.head)
		for _, r := range rows {
			fmt.Fprintln(out, l.line(r))
		}
		return out.Flush()
	default:
		return usagef("--format: %q is not one of: table, csv, json", format)
	}
}
