// Package texttable lays out tables for terminals: columns apart by blanks, and
// no lines.
package texttable

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// New returns a table with that head. Columns are of numbers, and thus aligned
// to the right, but for those of words, which are counted from 1.
func New(head table.Row, words ...int) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.Style{
		Box:    table.BoxStyle{PaddingRight: "  "},
		Format: table.FormatOptions{Header: text.FormatDefault},
	})
	var columns []table.ColumnConfig
	for i := range head {
		align := text.AlignRight
		if slices.Contains(words, i+1) {
			align = text.AlignLeft
		}
		columns = append(columns, table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align})
	}
	t.SetColumnConfigs(columns)
	t.AppendHeader(head)
	return t
}

// Render returns the table as lines without trailing blanks.
func Render(t table.Writer) string {
	var b strings.Builder
	for line := range strings.Lines(t.Render()) {
		fmt.Fprintf(&b, "%s\n", strings.TrimRight(line, " \n"))
	}
	return b.String()
}
