// Package figure has what the project's figures share: a font without serifs,
// colours, and pages as SVG or PNG.
package figure

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Width is that of a page: the text of a paper.
const Width = 7 * vg.Inch

const resolution = 200 // dots an inch, of a PNG

// The colours can be told apart in print and by most people who see few colours
// (M. Okabe and K. Ito).
var (
	Text    = color.NRGBA{0x22, 0x22, 0x22, 0xff}
	Grid    = color.NRGBA{0xe6, 0xe6, 0xe6, 0xff}
	Colours = []color.NRGBA{
		{0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x72, 0xb2, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
		{0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x22, 0x22, 0x22, 0xff}, {0x99, 0x99, 0x99, 0xff},
	}
)

// Sans is the font.
func Sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// CheckPath returns an error where there is no figure of the path's kind.
func CheckPath(path string) error {
	if ext := strings.ToLower(filepath.Ext(path)); ext != ".svg" && ext != ".png" {
		return fmt.Errorf("%q is neither an .svg nor a .png file", path)
	}
	return nil
}

// Write draws a page of the height and writes it to the path, an .svg or a .png.
func Write(path string, height vg.Length, drawOn func(draw.Canvas)) error {
	if err := CheckPath(path); err != nil {
		return err
	}
	var page vg.CanvasSizer
	var out io.WriterTo
	if strings.EqualFold(filepath.Ext(path), ".png") {
		c := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(Width, height), vgimg.UseDPI(resolution))}
		page, out = c, c
	} else {
		c := vgsvg.New(Width, height)
		page, out = c, c
	}
	canvas := draw.New(page)
	canvas.FillPolygon(color.White, []vg.Point{{}, {Y: height}, {X: Width, Y: height}, {X: Width}})
	drawOn(canvas)
	var picture bytes.Buffer
	if _, err := out.WriteTo(&picture); err != nil {
		return fmt.Errorf("draw figure: %w", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write figure: %w", err)
	}
	// Whoever looks at it may lack the font that is named.
	_, err = file.Write(bytes.ReplaceAll(picture.Bytes(), []byte("family:Liberation Sans"), []byte("family:Liberation Sans,Arial,Helvetica,sans-serif")))
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write figure: %w", err)
	}
	return nil
}

// Plot returns a plot in the project's manner, with nothing in it yet.
func Plot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle.Font = Sans(8)
	p.Title.TextStyle.Color = Text
	p.Title.Padding = 3
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font = Sans(8)
		axis.Label.Padding = 2
		axis.Tick.Label.Font = Sans(7)
		axis.Tick.Length = 3
		axis.Padding = 0
		axis.LineStyle.Width = 0.5
		axis.Tick.LineStyle.Width = 0.5
		for _, c := range []*color.Color{&axis.Label.TextStyle.Color, &axis.Tick.Label.Color, &axis.LineStyle.Color, &axis.Tick.LineStyle.Color} {
			*c = Text
		}
	}
	return p
}

// Entry is a sign of a legend, and what it means.
type Entry struct {
	Name string
	Sign func(c draw.Canvas, at vg.Point)
}

// The places of a legend.
const (
	signWidth   = 13
	entryGap    = 4
	legendLine  = 13
	legendStart = 0.4 * vg.Inch
	// spare is by how much wider the text of an SVG may be where whoever looks at
	// it has neither of the fonts that it names: DejaVu Sans is.
	spare = 1.2
)

var legendStyle = draw.TextStyle{Color: Text, Font: Sans(8), Handler: plot.DefaultTextHandler, YAlign: draw.YCenter}

// LegendHeight is how much room a legend needs.
func LegendHeight(entries []Entry) vg.Length {
	height := vg.Length(0)
	layout(entries, func(_ Entry, at vg.Point) { height = at.Y + legendLine/2 })
	return height + 6
}

// Legend draws entries one after the other at the top of the canvas, over as
// many lines as they need.
func Legend(c draw.Canvas, entries []Entry) {
	layout(entries, func(e Entry, at vg.Point) {
		place := vg.Point{X: c.Min.X + at.X, Y: c.Max.Y - at.Y}
		e.Sign(c, vg.Point{X: place.X + signWidth/2, Y: place.Y})
		c.FillText(legendStyle, vg.Point{X: place.X + signWidth + 3, Y: place.Y}, e.Name)
	})
}

// layout tells where entries are, from the upper left corner.
func layout(entries []Entry, place func(Entry, vg.Point)) {
	x, y := legendStart, vg.Length(legendLine)
	for _, e := range entries {
		width := signWidth + 3 + spare*legendStyle.Width(e.Name)
		if x > legendStart && x+width > Width-0.1*vg.Inch {
			x, y = legendStart, y+legendLine
		}
		place(e, vg.Point{X: x, Y: y})
		x += width + entryGap
	}
}
