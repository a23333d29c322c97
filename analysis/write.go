package analysis

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
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"wakefuzz/internal/texttable"
)

// Format is how reports are written.
type Format string

// The formats. Table is for people: the devices with their traffic, their
// activations, and notes. CSV and JSONL are for programs, a line for each
// activation:
//
//	file           the capture
//	device         the device's MAC or IP address
//	start, end     seconds since the capture's first packet
//	start_utc,     the same as RFC 3339
//	end_utc
//	detector       which found it
//	score          how strongly it stands out, in the detector's own unit:
//	               paced bytes (calibrated), kbit/s (burst), 1-p (ttest), bytes
//	               (volume)
//	p              the p-value; where there is none, CSV is empty and JSONL null
//	p_approximate  whether it is not known by what was measured which traffic
//	               was idle
const (
	Table Format = "table"
	CSV   Format = "csv"
	JSONL Format = "jsonl"
)

// ParseFormat reads a format.
func ParseFormat(s string) (Format, error) {
	if all := []Format{Table, CSV, JSONL}; !slices.Contains(all, Format(s)) {
		return "", fmt.Errorf("%q is not one of: table, csv, jsonl", s)
	}
	return Format(s), nil
}

// Writer writes reports of one capture after the other.
type Writer struct {
	out     io.Writer
	format  Format
	written int
}

// NewWriter returns a Writer. With CSV the first report begins with a header.
func NewWriter(w io.Writer, f Format) *Writer { return &Writer{out: w, format: f} }

// Write writes the report of a capture.
func (w *Writer) Write(file string, r Report) error {
	first := w.written == 0
	w.written++
	switch w.format {
	case CSV:
		return w.csv(file, r, first)
	case JSONL:
		return w.jsonl(file, r)
	default:
		text := forPeople(file, r)
		if !first {
			text = "\n" + text
		}
		_, err := io.WriteString(w.out, text)
		return err
	}
}

// line is an activation as programs read it.
type line struct {
	File         string   `json:"file"`
	Device       string   `json:"device"`
	Start        float64  `json:"start"`
	End          float64  `json:"end"`
	StartUTC     string   `json:"start_utc"`
	EndUTC       string   `json:"end_utc"`
	Detector     string   `json:"detector"`
	Score        float64  `json:"score"`
	P            *float64 `json:"p"`
	PApproximate bool     `json:"p_approximate"`
}

// lines are the activations of all devices, in the order of time.
func lines(file string, r Report) []line {
	var all []line
	for _, d := range r.Devices {
		for _, a := range d.Activations {
			l := line{
				File: file, Device: d.Address.String(), Detector: a.Detector,
				Start: microseconds(a.Start), End: microseconds(a.End),
				StartUTC: utc(r.Start.Add(a.Start)), EndUTC: utc(r.Start.Add(a.End)),
				Score: a.Score, PApproximate: a.P.Approximate,
			}
			if a.P.Known() {
				l.P = &a.P.Value
			}
			all = append(all, l)
		}
	}
	slices.SortStableFunc(all, func(x, y line) int { return cmp.Compare(x.Start, y.Start) })
	return all
}

// microseconds is a time in seconds, to the microsecond.
func microseconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e6 }

func utc(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

func (w *Writer) csv(file string, r Report, header bool) error {
	out := csv.NewWriter(w.out)
	if header {
		out.Write([]string{"file", "device", "start", "end", "start_utc", "end_utc", "detector", "score", "p", "p_approximate"})
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	for _, l := range lines(file, r) {
		p, approximate := "", ""
		if l.P != nil {
			p, approximate = strconv.FormatFloat(*l.P, 'g', -1, 64), strconv.FormatBool(l.PApproximate)
		}
		out.Write([]string{l.File, l.Device, number(l.Start), number(l.End), l.StartUTC, l.EndUTC, l.Detector, number(l.Score), p, approximate})
	}
	out.Flush()
	return out.Error()
}

func (w *Writer) jsonl(file string, r Report) error {
	out := json.NewEncoder(w.out)
	for _, l := range lines(file, r) {
		if err := out.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

// inapplicable stands for a number that there is none of.
const inapplicable = "n.a."

// forPeople is a report as a person reads it.
func forPeople(file string, r Report) string {
	var b strings.Builder
	if r.Start.IsZero() {
		fmt.Fprintf(&b, "%s: no packets\n", file)
		return b.String()
	}
	fmt.Fprintf(&b, "%s: %v of traffic from %s on, %s\n", file, r.Watched.Round(time.Millisecond),
		r.Start.UTC().Format("2006-01-02 15:04:05 UTC"), count(len(r.Devices), "device"))
	if len(r.Devices) > 0 {
		b.WriteString("\n" + devices(r))
	}
	if all := lines(file, r); len(all) > 0 {
		b.WriteString("\n" + activations(r, all))
	}
	for i, note := range r.Remarks() {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	return b.String()
}

func devices(r Report) string {
	// What has no direction gets a column where there is such.
	undirected := slices.ContainsFunc(r.Devices, func(d Device) bool { return d.Traffic.Unknown > 0 })
	head := table.Row{"device", "packets", "out", "in"}
	if undirected {
		head = append(head, "out or in")
	}
	head = append(head, "rate", "first", "last")
	if len(r.Detectors) == 1 {
		head = append(head, "activations")
	} else {
		for _, name := range r.Detectors {
			head = append(head, name)
		}
	}
	t := texttable.New(head, 1)
	for _, d := range r.Devices {
		row := table.Row{d.Address, d.Traffic.Packets, size(float64(d.Traffic.Out)), size(float64(d.Traffic.In))}
		if undirected {
			row = append(row, size(float64(d.Traffic.Unknown)))
		}
		rate := inapplicable
		if r.Watched > 0 {
			rate = size(float64(d.Traffic.Bytes())/r.Watched.Seconds()) + "/s"
		}
		row = append(row, rate, seconds(d.Traffic.First), seconds(d.Traffic.Last))
		for _, name := range r.Detectors {
			n := 0
			for _, a := range d.Activations {
				if a.Detector == name {
					n++
				}
			}
			row = append(row, n)
		}
		t.AppendRow(row)
	}
	return texttable.Render(t)
}

func activations(r Report, all []line) string {
	t := texttable.New(table.Row{"activation of", "detector", "start", "end", "UTC", "score", "p"}, 1, 2, 5)
	for _, l := range all {
		p := inapplicable
		if l.P != nil {
			p = fmt.Sprintf("%.2g", *l.P)
			if l.PApproximate {
				p = "~" + p
			}
		}
		t.AppendRow(table.Row{
			l.Device, l.Detector, fmt.Sprintf("%.1f s", l.Start), fmt.Sprintf("%.1f s", l.End),
			r.Start.Add(time.Duration(l.Start * 1e9)).UTC().Format("2006-01-02 15:04:05"), score(l.Score), p,
		})
	}
	return texttable.Render(t)
}

// score has as many digits as say something.
func score(v float64) string {
	if math.Abs(v) >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// size is a number of bytes.
func size(n float64) string {
	switch {
	case n < 10 && n != math.Trunc(n):
		return fmt.Sprintf("%.1f B", n)
	case n < 999.5:
		return fmt.Sprintf("%.0f B", n)
	case n < 999_950:
		return fmt.Sprintf("%.1f kB", n/1e3)
	case n < 999_950_000:
		return fmt.Sprintf("%.1f MB", n/1e6)
	default:
		return fmt.Sprintf("%.1f GB", n/1e9)
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Remarks are the report's notes and those on devices, a line each. What is to
// be said of several devices is said once.
func (r Report) Remarks() []string {
	remarks := slices.Clone(r.Notes)
	of := make(map[Note][]string)
	var order []Note
	for _, d := range r.Devices {
		for _, note := range d.Notes {
			if of[note] == nil {
				order = append(order, note)
			}
			of[note] = append(of[note], d.Address.String())
		}
	}
	for _, note := range order {
		who := of[note][0]
		if n := len(of[note]); n > 1 {
			who = fmt.Sprintf("%d devices", n)
		}
		remarks = append(remarks, fmt.Sprintf("%s, %s: %s", who, note.Detector, note.Text))
	}
	return remarks
}
