package evaluate

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"wakefuzz/internal/figure"
	"wakefuzz/oracle/traffic"
)

// Saved says what was written to a folder.
type Saved struct {
	Files []string
	// Omitted are the figures for which the data does not suffice, each with the
	// reason.
	Omitted []string
}

// Save writes everything that is known to a folder: CSV files, and figures as
// "svg" or "png". The figures are those of the paper.
func (r *Result) Save(dir, format string) (Saved, error) {
	var saved Saved
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return saved, fmt.Errorf("write results: %w", err)
	}
	for _, f := range r.sheets() {
		path := filepath.Join(dir, f.name)
		if err := writeSheet(path, f); err != nil {
			return saved, err
		}
		saved.Files = append(saved.Files, path)
	}
	for _, f := range r.figures() {
		if len(f.panels) == 0 {
			saved.Omitted = append(saved.Omitted, fmt.Sprintf("%s: %s", f.name, f.reason))
			continue
		}
		path := filepath.Join(dir, f.name+"."+format)
		if err := f.write(path); err != nil {
			return saved, err
		}
		saved.Files = append(saved.Files, path)
	}
	if n := len(r.Devices); n > most {
		saved.Omitted = append(saved.Omitted, fmt.Sprintf("from figures: of %d devices all but the first %d that have something to show in each", n, most))
	}
	return saved, nil
}

func writeSheet(path string, f file) error {
	out, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if err := errors.Join(f.write(out), out.Close()); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// chart is a figure: panels, a few beside each other, that share a legend.
type chart struct {
	name    string
	panels  []panel
	columns int
	height  vg.Length // of a panel
	mark    string    // what points are marked for
	dashed  string    // what the panels' lines at certain values are
	reason  string    // why there are no panels
}

// panel is a plot of lines over the same axes.
type panel struct {
	title  string
	x, y   axis
	series []series
	// across and up are lines at certain values, to compare with.
	across, up []float64
}

// axis is one of a panel's. Where it has no limits they follow from the values.
type axis struct {
	label    string
	min, max float64
	ticks    []float64
	log      bool
	root     bool     // the scale is that of the square root
	names    []string // of 0, 1, 2, ... downwards, instead of numbers
}

// series is what has one colour.
type series struct {
	name   string
	colour color.NRGBA
	points []point
	line   bool
	ranged bool // points are from low to high
}

type point struct {
	x, y      float64
	low, high float64 // of x
	text      string
	marked    bool // as the chart's mark says
}

const (
	most   = 8 // series that can be told apart
	panelH = 2.5 * vg.Inch
)

// figures are all that the paper has and this can draw.
func (r *Result) figures() []chart {
	return []chart{r.rocBurst(), r.rocTTest(), r.rocs(), r.thresholds(), r.invocations(), r.alternation(), r.words()}
}

// coloured gives each device that has something a colour, in turn.
func coloured(devices []Device, of func(Device) []point, line bool) []series {
	var all []series
	for _, d := range devices {
		if points := of(d); len(points) > 0 && len(all) < most {
			all = append(all, series{name: d.Name, colour: figure.Colours[len(all)], points: points, line: line})
		}
	}
	return all
}

// The axes. On the scale of the square root there is room for low rates, where
// it matters, and 0 has its place.
var (
	fprAxis = axis{label: "false positive rate (% of windows of 30 s)", max: 100, root: true, ticks: []float64{0, 1, 5, 10, 20, 40, 60, 80, 100}}
	tprAxis = axis{label: "true positive rate (% of activations)", max: 103, ticks: []float64{0, 20, 40, 60, 80, 100}}
	pAxis   = axis{label: "p", max: 1.03, ticks: []float64{0, 0.2, 0.4, 0.6, 0.8, 1}}
)

const noROC = "no device has both activations at known times and windows of 30 s without"

// roc are the points of a curve. Points at the same place share a label.
func (c Curve) roc(text func(Outcome) string) []point {
	if !c.HasAUC {
		return nil
	}
	points := []point{{x: 100, y: 100}}
	for _, o := range c.Outcomes {
		if o.OffCurve {
			continue
		}
		p := o.point()
		p.text = text(o)
		if last := &points[len(points)-1]; len(points) > 1 && last.x == p.x && last.y == p.y {
			if first, _, _ := strings.Cut(last.text, "–"); p.text != "" && first != "" {
				last.text = first + "–" + p.text
			} else {
				last.text += p.text
			}
			continue
		}
		points = append(points, p)
	}
	return append(points, point{})
}

// point is the outcome's on a ROC curve.
func (o Outcome) point() point { return point{x: 100 * o.FPR().value(), y: 100 * o.TPR().value()} }

// curve is that of the detector, if there is one.
func (d Device) curve(detector string) Curve {
	for _, c := range d.Curves {
		if c.Detector == detector {
			return c
		}
	}
	return Curve{}
}

// rocBurst is the burst rule, n by n, a panel for each device (Figure 3).
func (r *Result) rocBurst() chart {
	c := chart{name: "roc-burst", columns: 2, height: panelH, reason: noROC}
	for _, d := range r.Devices {
		points := d.curve("burst").roc(func(o Outcome) string { return fmt.Sprint(o.Value) })
		if len(points) > 0 && len(c.panels) < most {
			c.panels = append(c.panels, panel{title: d.Name, x: fprAxis, y: tprAxis,
				series: []series{{name: "burst; numbers are n", colour: figure.Colours[2], points: points, line: true}}})
		}
	}
	return c
}

// rocTTest is the t-test on all devices (Figure 5).
func (r *Result) rocTTest() chart {
	usual := traffic.PaperTTestScan().Threshold
	lines := coloured(r.Devices, func(d Device) []point {
		curve := d.curve("ttest")
		points := curve.roc(func(Outcome) string { return "" })
		for _, o := range curve.Outcomes {
			if o.Value == usual && points != nil {
				if i := slices.Index(points, o.point()); i >= 0 {
					points[i].marked = true
				}
			}
		}
		return points
	}, true)
	c := chart{name: "roc-ttest", columns: 1, height: 3.4 * vg.Inch, mark: fmt.Sprintf("p < %g", usual), reason: noROC}
	if len(lines) > 0 {
		c.panels = []panel{{x: fprAxis, y: tprAxis, series: lines}}
	}
	return c
}

// rocs are all detectors, a panel for each device (Figure 8).
func (r *Result) rocs() chart {
	c := chart{name: "roc", columns: 2, height: panelH, reason: noROC}
	for _, d := range r.Devices {
		p := panel{title: d.Name, x: fprAxis, y: tprAxis}
		for i, detector := range []string{"calibrated", "volume", "burst", "ttest", "ttest, bins of both", "forest"} {
			if points := d.curve(detector).roc(func(Outcome) string { return "" }); points != nil {
				p.series = append(p.series, series{name: detector, colour: figure.Colours[i], points: points, line: true})
			}
		}
		if len(p.series) > 0 && len(c.panels) < most {
			c.panels = append(c.panels, p)
		}
	}
	return c
}

// thresholds are what a line at so many bytes finds, and how often it is reached
// otherwise.
func (r *Result) thresholds() chart {
	c := chart{name: "thresholds", columns: 2, height: panelH, reason: noROC, dashed: "the line of a device of which nothing is known"}
	for _, detector := range []string{"calibrated", "volume"} {
		what := func(value func(Outcome) (float64, bool)) []series {
			return coloured(r.Devices, func(d Device) []point {
				var points []point
				for _, curve := range d.Curves {
					if curve.Detector != detector || !curve.HasAUC {
						continue
					}
					for _, o := range curve.Outcomes {
						if y, ok := value(o); ok && !o.OffCurve {
							points = append(points, point{x: o.Value, y: y})
						}
					}
				}
				return points
			}, true)
		}
		found := what(func(o Outcome) (float64, bool) { return 100 * o.TPR().value(), o.Activations > 0 })
		alarms := what(func(o Outcome) (float64, bool) {
			return float64(o.FalseAlarms) / o.Hours, o.Hours > 0 && o.FalseAlarms > 0
		})
		if len(found) == 0 {
			continue
		}
		x := axis{label: "least volume in 3 s (paced kB)", min: 1, max: 200, log: true}
		usual := float64(traffic.DefaultLine) / 1000
		if detector == "volume" {
			x.label, usual = "least volume in 3 s (kB)", float64(traffic.PlainVolumeRule().Bytes)/1000
		}
		c.panels = append(c.panels,
			panel{title: detector, x: x, y: tprAxis, series: found, up: []float64{usual}},
			panel{title: detector, x: x, y: axis{label: "false alarms an hour", min: 0.01, max: 2000, log: true, ticks: []float64{0.01, 0.1, 1, 10, 100, 1000}}, series: alarms, up: []float64{usual}})
	}
	return c
}

// invocations is p against how often the device was invoked (Figure 4).
func (r *Result) invocations() chart {
	lines := coloured(r.Devices, func(d Device) []point {
		var points []point
		for _, i := range d.Invoked {
			if i.Inapplicable == "" {
				points = append(points, point{x: i.PerHour, y: i.P})
			}
		}
		slices.SortFunc(points, func(a, b point) int { return int(math.Copysign(1, a.x-b.x)) })
		return points
	}, true)
	c := chart{name: "invocations", columns: 1, height: 3 * vg.Inch,
		reason: "no device has a capture without activations and two or more with, at known times"}
	if len(lines) > 0 {
		c.panels = []panel{{x: axis{label: "activations an hour", log: true}, y: axis{label: "p against an idle capture", max: pAxis.max, ticks: pAxis.ticks}, series: lines}}
	}
	return c
}

// alternation is p of stretches, idle and probed in turn (Figure 6).
func (r *Result) alternation() chart {
	c := chart{name: "alternation", columns: 1, height: 1.7 * vg.Inch, dashed: paperThreshold(),
		reason: "no device has stretches of the kinds idle and probe"}
	for _, d := range r.Devices {
		kinds := []series{
			{name: "nothing played", colour: figure.Colours[7]},
			{name: "a word played, device asleep", colour: figure.Colours[1]},
			{name: "a word played, device awake", colour: figure.Colours[0]},
		}
		for i, p := range d.Probed {
			kind := &kinds[0]
			switch {
			case p.Word != "" && p.Awake:
				kind = &kinds[2]
			case p.Word != "":
				kind = &kinds[1]
			}
			if p.Inapplicable == "" {
				kind.points = append(kind.points, point{x: float64(i + 1), y: p.P})
			}
		}
		kinds = slices.DeleteFunc(kinds, func(s series) bool { return len(s.points) == 0 })
		if len(kinds) > 1 && len(c.panels) < most {
			c.panels = append(c.panels, panel{
				title: d.Name, x: axis{label: "stretch, each against the idle one before"}, y: pAxis,
				across: []float64{traffic.PaperTTestRule().Threshold}, series: kinds,
			})
		}
	}
	return c
}

// paperThreshold names the line of the paper's threshold.
func paperThreshold() string { return fmt.Sprintf("p = %g", traffic.PaperTTestRule().Threshold) }

// mostWords is how many words fit on a page.
const mostWords = 40

// words is p for each word and device (Figure 7): its median and quartiles.
func (r *Result) words() chart {
	var words []string
	for _, d := range r.Devices {
		for _, p := range d.Probed {
			if p.Word != "" && !slices.Contains(words, p.Word) && len(words) < mostWords {
				words = append(words, p.Word)
			}
		}
	}
	slices.Sort(words)
	// Devices are one below the other at each word.
	devices := 0
	for _, d := range r.Devices {
		if len(d.Probed) > 0 {
			devices++
		}
	}
	step := 0.7 / float64(max(1, min(devices, most)))
	n := -0.35 + step/2
	lines := coloured(r.Devices, func(d Device) []point {
		var points []point
		for i, word := range words {
			var p []float64
			for _, probed := range d.Probed {
				if probed.Word == word && probed.Inapplicable == "" {
					p = append(p, probed.P)
				}
			}
			if len(p) > 0 {
				points = append(points, point{x: quantile(p, 0.5), y: float64(i) + n, low: quantile(p, 0.25), high: quantile(p, 0.75)})
			}
		}
		if len(d.Probed) > 0 {
			n += step
		}
		return points
	}, false)
	c := chart{name: "words", columns: 1, dashed: paperThreshold(), height: vg.Inch + 0.22*vg.Inch*vg.Length(len(words))*max(1, vg.Length(len(lines))/3),
		reason: "no device has stretches of the kind probe after idle ones"}
	if len(lines) > 0 {
		for i := range lines {
			lines[i].ranged = true
		}
		c.panels = []panel{{x: axis{label: "p (median and quartiles)", max: 1, ticks: pAxis.ticks}, y: axis{names: words}, series: lines, up: []float64{traffic.PaperTTestRule().Threshold}}}
	}
	return c
}

// quantile is interpolated; values are put in order.
func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	whole, part := math.Modf(float64(len(values)-1) * q)
	low := values[int(whole)]
	return low + part*(values[min(int(whole)+1, len(values)-1)]-low)
}

// write draws the chart.
func (c chart) write(path string) error {
	var entries []figure.Entry
	seen := make(map[string]bool)
	for _, p := range c.panels {
		for _, s := range p.series {
			if !seen[s.name] {
				seen[s.name] = true
				entries = append(entries, figure.Entry{Name: s.name, Sign: s.sign})
			}
		}
	}
	if c.mark != "" {
		entries = append(entries, figure.Entry{Name: c.mark, Sign: series{colour: figure.Text}.dot})
	}
	if c.dashed != "" {
		entries = append(entries, figure.Entry{Name: c.dashed, Sign: func(c draw.Canvas, at vg.Point) {
			c.StrokeLine2(dashes, at.X-6.5, at.Y, at.X+6.5, at.Y)
		}})
	}
	columns := min(c.columns, len(c.panels))
	rows := (len(c.panels) + columns - 1) / columns
	legend := figure.LegendHeight(entries)
	plots := make([][]*plot.Plot, rows)
	for i := range rows * columns {
		row := i / columns
		if i >= len(c.panels) {
			plots[row] = append(plots[row], nil)
			continue
		}
		plots[row] = append(plots[row], c.panels[i].plot())
	}
	return figure.Write(path, c.height*vg.Length(rows)+legend, func(canvas draw.Canvas) {
		figure.Legend(canvas, entries)
		tiles := draw.Tiles{Rows: rows, Cols: columns, PadTop: 4, PadRight: 0.15 * vg.Inch, PadLeft: 0.06 * vg.Inch,
			PadBottom: 0.06 * vg.Inch, PadX: 0.2 * vg.Inch, PadY: 0.15 * vg.Inch}
		for i, row := range plot.Align(plots, tiles, draw.Crop(canvas, 0, 0, 0, -legend)) {
			for j, tile := range row {
				if plots[i][j] != nil {
					plots[i][j].Draw(tile)
				}
			}
		}
	})
}

// plot is the panel as gonum's.
func (p panel) plot() *plot.Plot {
	out := figure.Plot(p.title, p.x.label, p.y.label)
	var xs, ys []float64
	for _, s := range p.series {
		for _, point := range s.points {
			xs, ys = append(xs, point.x), append(ys, point.y)
		}
	}
	p.x.apply(&out.X, xs)
	p.y.apply(&out.Y, ys)
	out.Add(p)
	return out
}

// scaled is a value's place on the axis. The axes of the plot itself are even:
// on others it would leave the wrong room for labels.
func (a axis) scaled(v float64) float64 {
	switch {
	case a.log:
		return math.Log10(v)
	case a.root:
		return math.Sqrt(max(0, v))
	default:
		return v
	}
}

// apply makes the plot's axis this one, for these values.
func (a axis) apply(to *plot.Axis, values []float64) {
	low, high := a.min, a.max
	switch {
	case len(a.names) > 0:
		low, high = -0.5, float64(len(a.names))-0.5
		to.Scale = plot.InvertedScale{Normalizer: plot.LinearScale{}}
	case high > low || len(values) == 0:
	case a.log:
		low, high = slices.Min(values)/1.3, slices.Max(values)*1.3
	default:
		high = max(1, slices.Max(values)*1.05)
	}
	to.Min, to.Max = a.scaled(low), a.scaled(high)
	var ticks []plot.Tick
	for i, name := range a.names {
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: name})
	}
	values = a.ticks
	if a.log && len(values) == 0 {
		values = oneTwoFive(low, high)
	}
	for _, v := range values {
		ticks = append(ticks, plot.Tick{Value: a.scaled(v), Label: strconv.FormatFloat(v, 'g', 4, 64)})
	}
	if len(ticks) > 0 {
		to.Tick.Marker = plot.ConstantTicks(ticks)
	}
}

// oneTwoFive are 1, 2, 5, 10, 20, ... within limits.
func oneTwoFive(low, high float64) []float64 {
	var all []float64
	for e := math.Floor(math.Log10(low)); e <= math.Log10(high); e++ {
		for _, m := range []float64{1, 2, 5} {
			if v := m * math.Pow(10, e); v >= low && v <= high*(1+1e-9) {
				all = append(all, v)
			}
		}
	}
	return all
}

// dashes are for lines at certain values.
var dashes = draw.LineStyle{Color: figure.Text, Width: 0.5, Dashes: []vg.Length{2, 2}}

// Plot draws the panel's inside.
func (p panel) Plot(c draw.Canvas, plt *plot.Plot) {
	placeX, placeY := plt.Transforms(&c)
	x := func(v float64) vg.Length { return placeX(p.x.scaled(v)) }
	y := func(v float64) vg.Length { return placeY(p.y.scaled(v)) }
	grid := draw.LineStyle{Color: figure.Grid, Width: 0.4}
	for _, t := range plt.Y.Tick.Marker.Ticks(plt.Y.Min, plt.Y.Max) {
		if t.Label != "" {
			c.StrokeLine2(grid, c.Min.X, placeY(t.Value), c.Max.X, placeY(t.Value))
		}
	}
	for _, v := range p.across {
		c.StrokeLine2(dashes, c.Min.X, y(v), c.Max.X, y(v))
	}
	for _, v := range p.up {
		c.StrokeLine2(dashes, x(v), c.Min.Y, x(v), c.Max.Y)
	}
	text := draw.TextStyle{Color: figure.Text, Font: figure.Sans(6), Handler: plot.DefaultTextHandler}
	for _, s := range slices.Backward(p.series) { // the first is on top
		at := func(p point) vg.Point { return vg.Point{X: x(p.x), Y: y(p.y)} }
		if s.line {
			// Between two settings of a detector lies whoever tosses a coin for
			// them, on a line that this scale bends.
			var bent []vg.Point
			for i, to := range s.points {
				from := s.points[max(0, i-1)]
				pieces := 1
				if p.x.root && math.Abs(from.x-to.x) > 0.2 && from.y != to.y {
					pieces = 16
				}
				for k := range pieces {
					part := float64(k+1) / float64(pieces)
					bent = append(bent, at(point{x: from.x + part*(to.x-from.x), y: from.y + part*(to.y-from.y)}))
				}
			}
			c.StrokeLines(draw.LineStyle{Color: s.colour, Width: 1.1}, bent)
		}
		for _, p := range s.points {
			if s.ranged {
				c.StrokeLine2(draw.LineStyle{Color: s.colour, Width: 0.8}, x(p.low), y(p.y), x(p.high), y(p.y))
			}
			if !s.line || p.text != "" || p.marked {
				s.dot(c, at(p))
			}
			if p.text != "" {
				place := at(p).Add(vg.Point{X: 3.5, Y: -6})
				place.Y = max(place.Y, c.Min.Y+2)
				c.FillText(text, place, p.text)
			}
		}
	}
}

func (s series) dot(c draw.Canvas, at vg.Point) {
	c.DrawGlyph(draw.GlyphStyle{Color: s.colour, Radius: 1.8, Shape: draw.CircleGlyph{}}, at)
}

// sign is the series in a legend.
func (s series) sign(c draw.Canvas, at vg.Point) {
	if s.line {
		c.StrokeLine2(draw.LineStyle{Color: s.colour, Width: 1.1}, at.X-6.5, at.Y, at.X+6.5, at.Y)
		return
	}
	s.dot(c, at)
}
