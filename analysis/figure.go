package analysis

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"wakefuzz/internal/figure"
)

// Figure is a picture of timelines, a panel for each device: how fast it sent and
// received, and above that where the detectors found activations. Rates are on a
// logarithmic scale, since what a device sends now and then is a thousand times
// what it sends while it idles.
type Figure struct {
	path   string
	panels []panel
}

// panel is a device of a report.
type panel struct {
	file      string
	length    time.Duration
	detectors []string
	Device
}

// maxPanels is how many devices fit on a page.
const maxPanels = 10

// NewFigure returns a figure without panels, to be written to the path, whose
// extension is .svg or .png.
func NewFigure(path string) (*Figure, error) {
	if err := figure.CheckPath(path); err != nil {
		return nil, err
	}
	return &Figure{path: path}, nil
}

// Add adds the devices of a report that has timelines.
func (f *Figure) Add(file string, r Report) {
	for _, d := range r.Devices {
		f.panels = append(f.panels, panel{filepath.Base(file), r.Length, r.Detectors, d})
	}
}

// Omitted is how many devices there is no room for: those with the fewest
// activations, and of these those with the least traffic.
func (f *Figure) Omitted() int { return max(0, len(f.panels)-maxPanels) }

// chosen are the panels that there is room for, in the order in which they were
// added.
func (f *Figure) chosen() []panel {
	order := make([]int, len(f.panels))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		a, b := f.panels[x], f.panels[y]
		if n := len(b.Activations) - len(a.Activations); n != 0 {
			return n
		}
		return int(min(max(b.Traffic.Bytes()-a.Traffic.Bytes(), -1), 1))
	})
	order = order[:min(len(order), maxPanels)]
	slices.Sort(order)
	var chosen []panel
	for _, i := range order {
		chosen = append(chosen, f.panels[i])
	}
	return chosen
}

// Write draws the figure and writes it to its file.
func (f *Figure) Write() error {
	if len(f.panels) == 0 {
		return fmt.Errorf("%s: there is no device to draw", f.path)
	}
	panels := f.chosen()
	entries := legend(panels)
	height := (panelHeight+markHeight*vg.Length(len(panels[0].detectors)))*vg.Length(len(panels)) + figure.LegendHeight(entries) + 0.15*vg.Inch
	return figure.Write(f.path, height, func(c draw.Canvas) {
		figure.Legend(c, entries)
		plots(draw.Crop(c, 0, 0, 0, -figure.LegendHeight(entries)), panels)
	})
}

// The sizes of panels.
const (
	panelHeight = 1.2 * vg.Inch // without marks
	ratesHeight = 0.8 * vg.Inch // of that, roughly
	markHeight  = 7             // of each detector
)

var (
	outColour = color.NRGBA{0x1f, 0x3b, 0x63, 0xff}
	inColour  = color.NRGBA{0xc4, 0xcc, 0xd6, 0xff}
)

// markColour is that of a detector's marks.
func markColour(detector int) color.NRGBA {
	return figure.Colours[[]int{0, 2, 3, 5}[detector%4]] // none is like the colour of what was sent
}

// plots draws the panels, one below the other.
func plots(canvas draw.Canvas, panels []panel) {
	top := 1000.0 // the same for all panels, so that they can be compared
	for _, p := range panels {
		for i := range p.Timeline.Out {
			top = max(top, float64(p.Timeline.Out[i]), float64(p.Timeline.In[i]))
		}
	}
	several := slices.ContainsFunc(panels, func(p panel) bool { return p.file != panels[0].file })
	rows := make([][]*plot.Plot, len(panels))
	for i, p := range panels {
		rows[i] = []*plot.Plot{p.plot(top, several, i == len(panels)-1 || panels[i+1].file != p.file)}
	}
	tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadTop: 2, PadRight: 0.12 * vg.Inch, PadLeft: 0.06 * vg.Inch, PadBottom: 0.06 * vg.Inch, PadY: 0.06 * vg.Inch}
	for i, row := range plot.Align(rows, tiles, canvas) {
		rows[i][0].Draw(row[0])
	}
}

// plot is a panel as gonum's.
func (p panel) plot(top float64, named, labelled bool) *plot.Plot {
	title, x := p.Address.String(), ""
	if named {
		title += "   " + p.file
	}
	unit, per := timeUnit(p.length)
	if labelled {
		x = "time since the first packet (" + unit + ")"
	}
	out := figure.Plot(title, x, "bytes/s")
	out.X.Min, out.X.Max = 0, max(p.length, time.Second).Seconds()/per
	out.X.Tick.Marker = rounds{}
	top *= 1.3
	marks := markHeight * float64(len(p.detectors)) / float64(ratesHeight)
	// The plot's own axis is even: on a logarithmic one gonum leaves the wrong room.
	out.Y.Min, out.Y.Max = math.Log10(leastRate), math.Log10(top*math.Pow(top/leastRate, marks))
	out.Y.Tick.Marker = decades{top}
	out.Add(picture{p, per, top})
	return out
}

// leastRate is where the scale begins, in bytes a second.
const leastRate = 10

// timeUnit is the unit of a time axis, and its seconds.
func timeUnit(length time.Duration) (name string, seconds float64) {
	switch {
	case length <= 5*time.Minute:
		return "s", 1
	case length <= 5*time.Hour:
		return "min", 60
	case length <= 5*24*time.Hour:
		return "h", 3600
	default:
		return "days", 86400
	}
}

// rounds are ticks at round numbers of seconds, minutes, hours or days.
type rounds struct{}

func (rounds) Ticks(low, high float64) []plot.Tick {
	step := high // where nothing is round enough
	for _, round := range []float64{0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120} {
		if (high-low)/round <= 10 {
			step = round
			break
		}
	}
	var ticks []plot.Tick
	for i := 0; low+float64(i)*step <= high; i++ {
		v := low + float64(i)*step
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 4, 64)})
	}
	return ticks
}

// decades are ticks at powers of ten from leastRate up to a value, of an axis of
// logarithms.
type decades struct{ most float64 }

func (d decades) Ticks(_, _ float64) []plot.Tick {
	var ticks []plot.Tick
	for v := float64(leastRate); v <= d.most; v *= 10 {
		label := ""
		switch {
		case v >= 1e9:
			label = fmt.Sprintf("%.0f G", v/1e9)
		case v >= 1e6:
			label = fmt.Sprintf("%.0f M", v/1e6)
		case v >= 1e3:
			label = fmt.Sprintf("%.0f k", v/1e3)
		default:
			label = fmt.Sprintf("%.0f", v)
		}
		ticks = append(ticks, plot.Tick{Value: math.Log10(v), Label: label})
	}
	return ticks
}

// picture draws a panel's inside.
type picture struct {
	panel
	per float64 // seconds in a unit of the time axis
	top float64 // what is above it is for marks
}

// Plot draws it.
func (p picture) Plot(c draw.Canvas, plt *plot.Plot) {
	x, logarithm := plt.Transforms(&c)
	y := func(v float64) vg.Length { return logarithm(math.Log10(v)) }
	at := func(d time.Duration) vg.Length {
		return min(max(x(d.Seconds()/p.per), c.Min.X), c.Max.X)
	}
	for _, tick := range plt.Y.Tick.Marker.Ticks(plt.Y.Min, plt.Y.Max)[1:] {
		c.StrokeLine2(draw.LineStyle{Color: figure.Grid, Width: 0.4}, c.Min.X, logarithm(tick.Value), c.Max.X, logarithm(tick.Value))
	}
	row := (c.Max.Y - y(p.top)) / vg.Length(max(1, len(p.detectors)))
	for i, name := range p.detectors {
		colour := markColour(i)
		band := colour
		band.A = 0x38
		middle := c.Max.Y - row*(vg.Length(i)+0.5)
		for _, a := range p.Activations {
			if a.Detector != name || a.End < 0 || a.Start > p.length {
				continue
			}
			left, right := at(a.Start), at(a.End)
			c.FillPolygon(band, box(left, max(right, left+0.8), c.Min.Y, middle))
			mark(c, colour, vg.Point{X: (left + right) / 2, Y: middle}, row)
		}
	}
	p.area(c, inColour, p.Timeline.In, at, y)
	p.area(c, outColour, p.Timeline.Out, at, y)
}

// mark is a triangle that points down to what it marks.
func mark(c draw.Canvas, colour color.Color, at vg.Point, height vg.Length) {
	half := min(height*0.45, 3.2)
	c.FillPolygon(colour, []vg.Point{{X: at.X - half, Y: at.Y + half*0.8}, {X: at.X + half, Y: at.Y + half*0.8}, {X: at.X, Y: at.Y - half}})
}

func box(left, right, bottom, top vg.Length) []vg.Point {
	return []vg.Point{{X: left, Y: bottom}, {X: left, Y: top}, {X: right, Y: top}, {X: right, Y: bottom}}
}

// columns is how many values are told apart across the page.
const columns = 1400

// area fills what is below the values.
func (p picture) area(c draw.Canvas, colour color.Color, values []uint32, at func(time.Duration) vg.Length, y func(float64) vg.Length) {
	each := max(1, (int(p.length/max(1, p.Timeline.Step))+columns)/columns)
	step := p.Timeline.Step * time.Duration(each)
	var outline []vg.Point
	fill := func() {
		if len(outline) > 0 {
			outline = append(outline, vg.Point{X: outline[len(outline)-1].X, Y: c.Min.Y})
			c.FillPolygon(colour, outline)
			outline = nil
		}
	}
	for i, most := range slices.Collect(slices.Chunk(values, each)) {
		rate := float64(slices.Max(most))
		if rate <= leastRate {
			fill()
			continue
		}
		left, right, top := at(time.Duration(i)*step), at(time.Duration(i+1)*step), y(rate)
		if outline == nil {
			outline = append(outline, vg.Point{X: left, Y: c.Min.Y})
		}
		outline = append(outline, vg.Point{X: left, Y: top}, vg.Point{X: right, Y: top})
	}
	fill()
}

// legend explains the colours.
func legend(panels []panel) []figure.Entry {
	square := func(colour color.Color) func(draw.Canvas, vg.Point) {
		return func(c draw.Canvas, at vg.Point) {
			c.FillPolygon(colour, box(at.X-3.2, at.X+3.2, at.Y-3.2, at.Y+3.2))
		}
	}
	sent := "sent"
	if slices.ContainsFunc(panels, func(p panel) bool { return p.Traffic.Unknown > 0 }) {
		sent = "sent, or no direction known"
	}
	entries := []figure.Entry{{Name: sent, Sign: square(outColour)}, {Name: "received", Sign: square(inColour)}}
	for i, name := range panels[0].detectors {
		entries = append(entries, figure.Entry{Name: "activation, " + name, Sign: func(c draw.Canvas, at vg.Point) {
			mark(c, markColour(i), at, 9)
		}})
	}
	return entries
}
