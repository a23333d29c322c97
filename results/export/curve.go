package export

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image/color"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"wakefuzz/internal/figure"
	"wakefuzz/internal/texttable"
	"wakefuzz/results"
)

// WriteCurve writes how many false wake words there are at each threshold. Table is
// for people. CSV and JSON have these columns:
//
//	threshold       of the engine's score
//	hits            words of the last stage that are hits at it
//	unplayed        words that were screened, would then have reacted in a play in
//	                which they did not, and never got a last stage
//	measured        plays of the words of the last stage
//	reacted         of these, those that would have drawn a reaction
//	wake_measured   plays of the wake word
//	wake_reacted    of these, those that would have woken the device
//	wake_rate       the share, empty (null) where it was not played
//	wake_low        the ends of its exact 95 % interval
//	wake_high
//
// Errors are those of w, or that there is no such format for curves.
func WriteCurve(w io.Writer, format Format, c results.Curve) error {
	switch format {
	case Table:
		return curveTable(w, c)
	case CSV:
		return curveCSV(w, c)
	case JSON:
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		return out.Encode(struct {
			Campaign string       `json:"campaign"`
			WakeWord string       `json:"wake_word"`
			Rule     string       `json:"rule"`
			Patience int          `json:"patience"`
			HitRate  float64      `json:"hit_rate"`
			Tested   int          `json:"tested"`
			Points   []curvePoint `json:"points"`
		}{c.Campaign.Name, c.Campaign.WakeWord, c.Rule.String(), c.Rule.Patience, c.HitRate, c.Tested, curvePoints(c)})
	default:
		return fmt.Errorf("no format %.40q for curves: use one of %v", format, ComparisonFormats())
	}
}

// curvePoint is a point as programs read it.
type curvePoint struct {
	Threshold    float64  `json:"threshold"`
	Hits         int      `json:"hits"`
	Unplayed     int      `json:"unplayed"`
	Measured     int      `json:"measured"`
	Reacted      int      `json:"reacted"`
	WakeMeasured int      `json:"wake_measured"`
	WakeReacted  int      `json:"wake_reacted"`
	WakeRate     *float64 `json:"wake_rate"`
	WakeLow      float64  `json:"wake_low"`
	WakeHigh     float64  `json:"wake_high"`
}

func curvePoints(c results.Curve) []curvePoint {
	list := make([]curvePoint, 0, len(c.Points))
	for _, p := range c.Points {
		interval := p.Wake.Interval()
		list = append(list, curvePoint{
			p.Threshold, p.Hits, p.Unplayed, p.Plays.Measured, p.Plays.Reacted, p.Wake.Measured, p.Wake.Reacted,
			known(p.Wake.Rate(), p.Wake.Measured > 0), interval.Lower, interval.Upper,
		})
	}
	return list
}

func curveCSV(w io.Writer, c results.Curve) error {
	out := csv.NewWriter(w)
	out.Write([]string{
		"threshold", "hits", "unplayed", "measured", "reacted",
		"wake_measured", "wake_reacted", "wake_rate", "wake_low", "wake_high",
	})
	for _, p := range curvePoints(c) {
		out.Write([]string{
			strconv.FormatFloat(p.Threshold, 'g', -1, 64), strconv.Itoa(p.Hits), strconv.Itoa(p.Unplayed), strconv.Itoa(p.Measured), strconv.Itoa(p.Reacted),
			strconv.Itoa(p.WakeMeasured), strconv.Itoa(p.WakeReacted), fixed(p.WakeRate, 4), fixed(&p.WakeLow, 4), fixed(&p.WakeHigh, 4),
		})
	}
	out.Flush()
	return out.Error()
}

func curveTable(w io.Writer, c results.Curve) error {
	var b strings.Builder
	fmt.Fprintf(&b, "False wake words of %q by threshold, campaign %s\n\n", c.Campaign.WakeWord, plain(c.Campaign.Name))
	t := texttable.New(table.Row{"threshold", "hits", "never replayed", "the wake word", "95 %", ""}, 6)
	unplayed := false
	for _, p := range c.Points {
		own := p.Threshold == c.Rule.Threshold
		if !own && !told(p.Threshold) {
			continue
		}
		mark := ""
		if own {
			mark = "the rule"
		}
		unplayed = unplayed || p.Unplayed > 0
		interval := p.Wake.Interval()
		t.AppendRow(table.Row{
			p.Threshold, p.Hits, p.Unplayed, fmt.Sprintf("%d/%d", p.Wake.Reacted, p.Wake.Measured),
			fmt.Sprintf("%.2f-%.2f", interval.Lower, interval.Upper), mark,
		})
	}
	fmt.Fprintf(&b, "%s\n", texttable.Render(t))
	fmt.Fprintf(&b, "Rule: %s; a word is a hit from a rate of %g, of %s with a last stage.\n", c.Rule, c.HitRate, count(c.Tested, "word"))
	if unplayed {
		b.WriteString("Words that were never replayed would have reacted in the screening at that threshold, and did not on the night: they may be hits as well.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// told says whether a table for people has the threshold: every twentieth, and
// those near 1, where the scores of many engines crowd.
func told(threshold float64) bool {
	return threshold > 0.95 || math.Abs(threshold*20-math.Round(threshold*20)) < 1e-9
}

// WriteCurveFigure draws the curve, as an .svg or a .png by the path: how many
// false wake words there are at each threshold, and beside it how often the wake
// word itself is heard.
func WriteCurveFigure(path string, c results.Curve) error {
	var hits, all, rate plotter.XYs
	var low, high plotter.XYs
	unplayed := false
	for _, p := range curvePoints(c) {
		at := func(y float64) plotter.XY { return plotter.XY{X: p.Threshold, Y: y} }
		hits, all = append(hits, at(float64(p.Hits))), append(all, at(float64(p.Hits+p.Unplayed)))
		unplayed = unplayed || p.Unplayed > 0
		if p.WakeRate != nil {
			rate, low, high = append(rate, at(*p.WakeRate)), append(low, at(p.WakeLow)), append(high, at(p.WakeHigh))
		}
	}
	entries := []figure.Entry{{Name: "false wake words", Sign: stroke(figure.Colours[0])}}
	left := figure.Plot("", "threshold", "words")
	left.Add(line(hits, figure.Colours[0]))
	if unplayed {
		entries = append(entries, figure.Entry{Name: "with those never replayed", Sign: stroke(figure.Colours[4], 3, 2)})
		left.Add(line(all, figure.Colours[4], 3, 2))
	}
	right := figure.Plot("", "threshold", "wake word heard")
	if len(rate) > 0 {
		entries = append(entries,
			figure.Entry{Name: "wake word heard", Sign: stroke(figure.Colours[1])},
			figure.Entry{Name: "its 95 % interval", Sign: stroke(figure.Colours[1], 1, 2)})
		right.Add(line(rate, figure.Colours[1]), line(low, figure.Colours[1], 1, 2), line(high, figure.Colours[1], 1, 2))
	}
	entries = append(entries, figure.Entry{Name: "the rule", Sign: stroke(figure.Text, 2, 2)})
	left.Y.Min, left.Y.Max = 0, max(1, left.Y.Max*1.05)
	right.Y.Min, right.Y.Max = 0, 1
	for _, p := range []*plot.Plot{left, right} {
		p.X.Min, p.X.Max = 0, 1
		p.Add(line(plotter.XYs{{X: c.Rule.Threshold, Y: 0}, {X: c.Rule.Threshold, Y: p.Y.Max}}, figure.Text, 2, 2))
	}
	const height = 2.4 * vg.Inch
	legend := figure.LegendHeight(entries)
	return figure.Write(path, height+legend, func(canvas draw.Canvas) {
		figure.Legend(canvas, entries)
		tiles := draw.Tiles{Rows: 1, Cols: 2, PadTop: 4, PadRight: 0.15 * vg.Inch, PadLeft: 0.06 * vg.Inch, PadBottom: 0.06 * vg.Inch, PadX: 0.2 * vg.Inch}
		plots := [][]*plot.Plot{{left, right}}
		for i, tile := range plot.Align(plots, tiles, draw.Crop(canvas, 0, 0, 0, -legend))[0] {
			plots[0][i].Draw(tile)
		}
	})
}

// line is a line of a colour, dashed where dashes are given.
func line(points plotter.XYs, colour color.Color, dashes ...vg.Length) *plotter.Line {
	return &plotter.Line{XYs: points, LineStyle: draw.LineStyle{Color: colour, Width: 1, Dashes: dashes}}
}

// stroke is the sign of such a line in a legend.
func stroke(colour color.Color, dashes ...vg.Length) func(draw.Canvas, vg.Point) {
	return func(c draw.Canvas, at vg.Point) {
		c.StrokeLine2(draw.LineStyle{Color: colour, Width: 1, Dashes: dashes}, at.X-6, at.Y, at.X+6, at.Y)
	}
}
