package evaluate

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/table"

	"wakefuzz/internal/texttable"
	"wakefuzz/oracle/traffic"
	"wakefuzz/stats"
)

// inapplicable stands for a number that there is none of.
const inapplicable = "n.a."

// interval is that of the share, where there is one.
func (s Share) interval() (i stats.Interval, ok bool) {
	return stats.ClopperPearson(s.Part, s.Of, 0.95), s.Of > 0
}

func (s Share) value() float64 { return float64(s.Part) / float64(max(1, s.Of)) }

// percent is the share with its interval, to so many decimals.
func (s Share) percent(decimals int) string {
	i, ok := s.interval()
	if !ok {
		return inapplicable
	}
	return fmt.Sprintf("%.*f (%.*f-%.*f)", decimals, 100*s.value(), decimals, 100*i.Lower, decimals, 100*i.Upper)
}

// resultColumns are those of an outcome.
var resultColumns = table.Row{"setting", "found", "TPR % (95 %)", "alarmed", "FPR % (95 %)", "false alarms", "an hour (95 %)"}

// WriteTable writes the usual settings for a person.
func (r *Result) WriteTable(w io.Writer) error {
	t := texttable.New(slices.Concat(table.Row{"device", "detector"}, resultColumns, table.Row{"AUC (95 %)"}), 1, 2, 3)
	for i, d := range r.Devices {
		if i > 0 {
			t.AppendRow(table.Row{""})
		}
		device := d.Name
		for _, c := range d.Curves {
			detector, auc := c.Detector, c.auc()
			for _, o := range c.Outcomes {
				if o.Usual && o.Activations+o.Windows+o.Nominal > 0 {
					t.AppendRow(slices.Concat(table.Row{device, detector}, o.cells(), table.Row{auc}))
					device, detector, auc = "", "", ""
				}
			}
		}
	}
	text := texttable.Render(t)
	if len(r.Learned) > 0 {
		t := texttable.New(slices.Concat(table.Row{"forest trained on", "asked about"}, resultColumns, table.Row{"AUC (95 %)"}), 1, 2, 3)
		for _, l := range r.Learned {
			for _, o := range l.Curve.Outcomes {
				if o.Usual {
					t.AppendRow(slices.Concat(table.Row{l.On, l.Tested}, o.cells(), table.Row{l.Curve.auc()}))
				}
			}
		}
		text += "\n" + texttable.Render(t)
	}
	_, err := io.WriteString(w, text)
	return err
}

// cells are the outcome in resultColumns.
func (o Outcome) cells() table.Row {
	found, alarmed, alarms, rate := inapplicable, inapplicable, inapplicable, inapplicable
	switch {
	case o.Activations > 0:
		found = fmt.Sprintf("%d of %d", o.Found, o.Activations)
	case o.Nominal > 0:
		found = fmt.Sprintf("%d, of about %d", o.Detections, o.Nominal)
	}
	if o.Windows > 0 {
		alarmed = fmt.Sprintf("%d of %d", o.Alarmed, o.Windows)
	}
	if o.Hours > 0 {
		interval := stats.Poisson(o.FalseAlarms, o.Hours)
		alarms = fmt.Sprintf("%d in %.2f h", o.FalseAlarms, o.Hours)
		rate = fmt.Sprintf("%.2f (%.2f-%.2f)", float64(o.FalseAlarms)/o.Hours, interval.Lower, interval.Upper)
	}
	return table.Row{o.Setting, found, o.TPR().percent(1), alarmed, o.FPR().percent(2), alarms, rate}
}

func (c Curve) auc() string {
	if !c.HasAUC {
		return inapplicable
	}
	return fmt.Sprintf("%.3f (%.3f-%.3f)", c.AUC, c.AUCInterval.Lower, c.AUCInterval.Upper)
}

// sheet is a CSV file.
type sheet struct {
	out *csv.Writer
}

func newSheet(w io.Writer, columns ...string) sheet {
	s := sheet{csv.NewWriter(w)}
	s.out.Write(columns)
	return s
}

// row writes a line. What is no number is an empty field.
func (s sheet) row(values ...any) {
	fields := make([]string, 0, len(values))
	for _, v := range values {
		switch v := v.(type) {
		case float64:
			if math.IsNaN(v) || math.IsInf(v, 0) {
				fields = append(fields, "")
			} else {
				fields = append(fields, strconv.FormatFloat(v, 'g', 6, 64))
			}
		case []float64:
			for _, x := range v {
				fields = append(fields, strconv.FormatFloat(x, 'g', 6, 64))
			}
		case missing:
			fields = append(fields, make([]string, v)...)
		default:
			fields = append(fields, fmt.Sprint(v))
		}
	}
	s.out.Write(fields)
}

// missing is so many empty fields.
type missing int

func (s sheet) end() error {
	s.out.Flush()
	return s.out.Error()
}

// values are the share and its interval, or nothing.
func (s Share) values() any {
	if i, ok := s.interval(); ok {
		return []float64{s.value(), i.Lower, i.Upper}
	}
	return missing(3)
}

// outcomeColumns are those of a table with a line for each setting, after those
// that say of what:
//
//	parameter, value        of the curve; the value is empty where the setting
//	                        is no point of it
//	setting                 as a person reads it
//	activations, found      at known times
//	tpr, tpr_lower, _upper  found / activations, and its interval
//	windows, alarmed        of 30 s, out of reach of any activation
//	fpr, fpr_lower, _upper
//	false_alarms, hours     out of reach of any activation
//	fa_per_hour, _lower, _upper
//	auc, auc_lower, _upper  of the whole curve
//	nominal, detections     activations at unknown times, and what was found
//
// A number that there is none of is an empty field.
var outcomeColumns = []string{
	"parameter", "value", "setting", "activations", "found", "tpr", "tpr_lower", "tpr_upper",
	"windows", "alarmed", "fpr", "fpr_lower", "fpr_upper", "false_alarms", "hours", "fa_per_hour", "fa_per_hour_lower", "fa_per_hour_upper",
	"auc", "auc_lower", "auc_upper", "nominal", "detections",
}

// outcome writes a line.
func (s sheet) outcome(of, detector string, c Curve, o Outcome) {
	var value, rate, auc any = o.Value, missing(3), missing(3)
	if o.OffCurve {
		value = missing(1)
	}
	if o.Hours > 0 {
		interval := stats.Poisson(o.FalseAlarms, o.Hours)
		rate = []float64{float64(o.FalseAlarms) / o.Hours, interval.Lower, interval.Upper}
	}
	if c.HasAUC {
		auc = []float64{c.AUC, c.AUCInterval.Lower, c.AUCInterval.Upper}
	}
	s.row(of, detector, c.Parameter, value, o.Setting, o.Activations, o.Found, o.TPR().values(),
		o.Windows, o.Alarmed, o.FPR().values(), o.FalseAlarms, o.Hours, rate, auc, o.Nominal, o.Detections)
}

// WriteCSV writes the usual settings for a program, a line each.
func (r *Result) WriteCSV(w io.Writer) error { return r.writeCSV(w, false) }

// writeCSV writes the usual settings, or all.
func (r *Result) writeCSV(w io.Writer, all bool) error {
	s := newSheet(w, append([]string{"device", "detector"}, outcomeColumns...)...)
	for _, d := range r.Devices {
		for _, c := range d.Curves {
			for _, o := range c.Outcomes {
				if o.Usual || all {
					s.outcome(d.Name, c.Detector, c, o)
				}
			}
		}
	}
	return s.end()
}

func (r *Result) writeLearned(w io.Writer) error {
	s := newSheet(w, append([]string{"trained_on", "asked_about"}, outcomeColumns...)...)
	for _, l := range r.Learned {
		for _, o := range l.Curve.Outcomes {
			s.outcome(l.On, l.Tested, l.Curve, o)
		}
	}
	return s.end()
}

// file is a CSV file by its name.
type file struct {
	name  string
	write func(io.Writer) error
}

// sheets are all CSV files:
//
//	results.csv      the usual settings ([Result.WriteCSV])
//	curves.csv       all settings
//	kinds.csv        of the usual settings, what was found of each kind of
//	                 activation
//	invocations.csv  p against how often the device was invoked: of a capture
//	                 with activations, held against one without
//	transfer.csv     the learned baseline, trained on one device and asked about
//	                 another
//	probes.csv       p of stretches, each held against the idle one before
//
// Those of which there are no lines are left out.
func (r *Result) sheets() []file {
	all := []file{
		{"results.csv", r.WriteCSV},
		{"curves.csv", func(w io.Writer) error { return r.writeCSV(w, true) }},
	}
	var kinds, invoked, probed bool
	for _, d := range r.Devices {
		kinds = kinds || len(d.Curves[0].Outcomes[0].Kinds) > 0
		invoked = invoked || len(d.Invoked) > 0
		probed = probed || len(d.Probed) > 0
	}
	if kinds {
		all = append(all, file{"kinds.csv", r.writeKinds})
	}
	if invoked {
		all = append(all, file{"invocations.csv", r.writeInvoked})
	}
	if len(r.Learned) > 0 {
		all = append(all, file{"transfer.csv", r.writeLearned})
	}
	if probed {
		all = append(all, file{"probes.csv", r.writeProbed})
	}
	return all
}

func (r *Result) writeKinds(w io.Writer) error {
	s := newSheet(w, "device", "detector", "setting", "kind", "activations", "found", "tpr", "tpr_lower", "tpr_upper")
	for _, d := range r.Devices {
		for _, c := range d.Curves {
			for _, o := range c.Outcomes {
				for _, kind := range slices.Sorted(maps.Keys(o.Kinds)) {
					if share := o.Kinds[kind]; o.Usual {
						s.row(d.Name, c.Detector, o.Setting, kind, share.Of, share.Part, share.values())
					}
				}
			}
		}
	}
	return s.end()
}

// p is the p-value, where there is one.
func p(c traffic.Comparison) any {
	if c.Inapplicable != "" {
		return missing(1)
	}
	return c.P
}

func (r *Result) writeInvoked(w io.Writer) error {
	s := newSheet(w, "device", "file", "activations_per_hour", "compared_s", "p", "inapplicable")
	for _, d := range r.Devices {
		for _, i := range d.Invoked {
			s.row(d.Name, i.File, i.PerHour, i.Compared.Seconds(), p(i.Comparison), i.Inapplicable)
		}
	}
	return s.end()
}

func (r *Result) writeProbed(w io.Writer) error {
	s := newSheet(w, "device", "file", "start_s", "end_s", "word", "awake", "p", "inapplicable")
	for _, d := range r.Devices {
		for _, i := range d.Probed {
			s.row(d.Name, i.File, i.From.Seconds(), i.To.Seconds(), i.Word, i.Awake, p(i.Comparison), i.Inapplicable)
		}
	}
	return s.end()
}
