// Curves tries every protocol on words whose rates are known, on a virtual
// clock, and writes what each would have found, and when.
//
//	go run ./scripts/curves [-out FOLDER] [-seeds 5] TRUTH.csv ...
//
// A truth is a table with the columns word, k and n: in k of n plays the word
// drew a reaction, and words that are not in it never do. Its name says what was
// played to what, as in kal16-alexa.csv or kal16-hey_jarvis.csv: flite's voice
// and the wake word. The candidates are the words of five and six phonemes of
// the dictionary; their clips, without the silence around them, are as long as
// the voice makes them: they come from the cache of clips, and those that are
// not in it are spoken.
//
// The figure and curves.csv are of the first truth; the table that is printed
// is of all.
package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"golang.org/x/sync/errgroup"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"wakefuzz/internal/figure"
	"wakefuzz/internal/texttable"
	"wakefuzz/protocol"
	"wakefuzz/tts"
	"wakefuzz/tts/flite"
	"wakefuzz/wordlists"
)

func main() {
	out := flag.String("out", "", "folder for curves.csv and curves.svg")
	seeds := flag.Int("seeds", 5, "how many times each protocol is tried, with other chances")
	cache := flag.String("cache", filepath.Join(os.Getenv("HOME"), ".cache", "wakefuzz", "clips"), "cache of clips")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, flag.Args(), *out, *cache, *seeds); err != nil {
		fmt.Fprintln(os.Stderr, "curves:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, paths []string, out, cache string, seeds int) error {
	if len(paths) == 0 || seeds < 1 {
		return errors.New("give the tables of truths, and at least one seed")
	}
	sheet := texttable.New(table.Row{"truth", "protocol", "bench hours", "plays", "words",
		"hits", "found", "least", "at 9/10", "found", "others", "found", "expected"}, 1, 2)
	for i, path := range paths {
		t, err := readTruth(ctx, path, cache)
		if err != nil {
			return err
		}
		var names []string
		var curves [][]protocol.Point
		for _, contender := range t.contenders() {
			var runs []protocol.Run
			for seed := range seeds {
				device := t.device(uint64(seed + 1))
				if contender.change != nil {
					contender.change(&device)
				}
				runs = append(runs, protocol.Simulate(contender.of(uint64(seed+1)), device))
			}
			sheet.AppendRow(t.row(contender, runs))
			names = append(names, contender.name)
			curves = append(curves, runs[0].Curve(half, nil))
		}
		if i == 0 && out != "" {
			if err := write(out, names, curves); err != nil {
				return err
			}
		}
	}
	_, err := io.WriteString(w, texttable.Render(sheet))
	return err
}

// The rates by which words are told apart.
const (
	half = 0.5 // a hit
	sure = 0.9
)

// truth is what is known of a device.
type truth struct {
	name       string
	wake       wordlists.Word
	candidates []protocol.Candidate
	rates      map[string]float64
	clips      map[string]time.Duration
}

func readTruth(ctx context.Context, path, cache string) (*truth, error) {
	t := &truth{name: strings.TrimSuffix(filepath.Base(path), ".csv"), rates: map[string]float64{}, clips: map[string]time.Duration{}}
	voice, wake, ok := strings.Cut(t.name, "-")
	if !ok {
		return nil, fmt.Errorf("%s: the name is not of the form VOICE-WAKE_WORD.csv", path)
	}
	cmu, err := wordlists.CMU()
	if err != nil {
		return nil, err
	}
	if t.wake, err = cmu.Phrase(strings.ReplaceAll(wake, "_", " ")); err != nil {
		return nil, err
	}
	if err := t.readRates(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	words, err := wordlists.Select(ctx, wordlists.Request{Wake: t.wake, Dictionary: cmu, Selection: wordlists.Selection{Phonemes: []int{5, 6}}})
	if err != nil {
		return nil, err
	}
	for _, word := range words {
		t.candidates = append(t.candidates, protocol.Candidate{Word: word, Voice: "flite/" + voice})
	}
	return t, t.measureClips(ctx, voice, cache)
}

func (t *truth) readRates(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return err
	}
	column := func(name string) int { return slices.Index(rows[0], name) }
	if len(rows) == 0 || column("word") < 0 || column("k") < 0 || column("n") < 0 {
		return errors.New("there are no columns word, k and n")
	}
	for i, row := range rows[1:] {
		k, kErr := strconv.Atoi(row[column("k")])
		n, nErr := strconv.Atoi(row[column("n")])
		if err := errors.Join(kErr, nErr); err != nil || k < 0 || n < 1 || k > n {
			return fmt.Errorf("row %d: %v", i+2, row)
		}
		t.rates[row[column("word")]] = float64(k) / float64(n)
	}
	return nil
}

// measureClips finds out how long the words sound.
func (t *truth) measureClips(ctx context.Context, voice, dir string) error {
	engine, err := flite.New(ctx)
	if err != nil {
		return err
	}
	clips := tts.NewCache(dir, engine)
	lengths := make([]time.Duration, len(t.candidates))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i, c := range t.candidates {
		group.Go(func() error {
			clip, _, err := clips.Clip(ctx, tts.Utterance{Text: c.Word.Text, Voice: tts.Voice{Engine: "flite", Name: voice}})
			lengths[i] = clip.Trim().Duration()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, c := range t.candidates {
		t.clips[c.Word.Text] = lengths[i]
	}
	return nil
}

func (t *truth) rate(c protocol.Candidate) float64 { return t.rates[c.Word.Text] }

func (t *truth) device(seed uint64) protocol.Device {
	return protocol.Device{
		Timing: protocol.DefaultTiming(),
		Rate:   t.rate,
		Clip:   func(c protocol.Candidate) time.Duration { return t.clips[c.Word.Text] },
		Seed:   seed,
	}
}

// contender is a protocol that is tried.
type contender struct {
	name string
	of   func(seed uint64) protocol.Protocol
	// chance is how likely a word of that rate gets to the last stage, where it
	// can be said.
	chance func(rate float64) float64
	// change, if there is any, is what is else with the device.
	change func(*protocol.Device)
}

// masked is how much of their reactions words lost that followed another word
// after 0.1 s: see protocol.Sweep.
const masked = 0.89

func (t *truth) contenders() []contender {
	last := protocol.Last{Plays: 10}
	sweep := func(name string, o protocol.SweepOptions, last protocol.Last, change func(*protocol.Device)) contender {
		d := t.device(0)
		if change != nil {
			change(&d)
		}
		return contender{name,
			func(seed uint64) protocol.Protocol {
				return protocol.Sweep(t.candidates, t.wake.Pronunciation(), seed, o, last)
			},
			func(r float64) float64 {
				inPass := r * (1 - d.Masked) * (1 - math.Pow(1-r, float64(o.Alone)))
				return 1 - math.Pow(1-inPass, float64(o.Passes))
			}, change}
	}
	all := []contender{
		{"exhaustive", func(uint64) protocol.Protocol { return protocol.Exhaustive(t.candidates, last.Plays) }, func(float64) float64 { return 1 }, nil},
		{"rounds", func(uint64) protocol.Protocol {
			return protocol.Rounds(t.candidates, protocol.RoundsOptions{}.WithDefaults(), last)
		}, func(r float64) float64 { return r * r }, nil},
	}
	for passes := 1; passes <= 3; passes++ {
		all = append(all, sweep(fmt.Sprintf("sweep, passes: %d", passes), protocol.SweepOptions{Passes: passes}.WithDefaults(), last, nil))
	}
	mask := func(d *protocol.Device) { d.Masked = masked }
	asked := sweep("sweep, masked", protocol.SweepOptions{}.WithDefaults(), last, mask)
	asked.chance = nil // it goes on with one word at a time
	inVain := protocol.SweepOptions{}.WithDefaults()
	inVain.Ask = 0
	unasked := sweep("sweep, masked, ask: 0", inVain, last, mask)
	return append(all,
		unasked, asked,
		contender{"guided", func(seed uint64) protocol.Protocol {
			return protocol.Guided(t.candidates, t.wake.Pronunciation(), seed, protocol.GuidedOptions{}.WithDefaults(), last)
		}, nil, nil})
}

// row is what became of the protocol, on average, and in the worst run for hits.
// Found are words that got to the last stage.
func (t *truth) row(c contender, runs []protocol.Run) table.Row {
	kinds := []func(rate float64) bool{
		func(r float64) bool { return r >= half },
		func(r float64) bool { return r >= sure },
		func(r float64) bool { return r > 0 && r < sure },
	}
	total, found, least := make([]int, 3), make([]int, 3), math.MaxInt
	expected, variance := 0.0, 0.0
	for _, candidate := range t.candidates {
		r := t.rate(candidate)
		for i, is := range kinds {
			if is(r) {
				total[i]++
			}
		}
		if c.chance != nil && kinds[2](r) {
			p := c.chance(r)
			expected += p
			variance += p * (1 - p)
		}
	}
	hours, plays, words := 0.0, 0, 0
	for _, run := range runs {
		hours += run.At.Hours()
		plays += run.Plays
		words += run.Words
		hits := 0
		seen := map[string]bool{}
		for _, o := range run.Outcomes {
			if seen[o.Word.Text] {
				continue
			}
			seen[o.Word.Text] = true
			for i, is := range kinds {
				if is(t.rate(o.Candidate)) {
					found[i]++
				}
			}
			if kinds[0](t.rate(o.Candidate)) {
				hits++
			}
		}
		least = min(least, hits)
	}
	n := len(runs)
	mean := func(sum int) string { return fmt.Sprintf("%.1f", float64(sum)/float64(n)) }
	share := func(part, whole int) string { return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(max(1, whole))) }
	of := ""
	if c.chance != nil {
		of = fmt.Sprintf("%.1f ± %.1f", expected, 1.96*math.Sqrt(variance))
	}
	return table.Row{t.name, c.name, fmt.Sprintf("%.1f", hours/float64(n)), plays / n, words / n,
		total[0], share(found[0], n*total[0]), share(least, total[0]),
		total[1], share(found[1], n*total[1]), total[2], mean(found[2]), of}
}

// write writes the curves as a table and as a figure.
func write(dir string, names []string, curves [][]protocol.Point) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var rows bytes.Buffer
	if err := protocol.WriteCurves(&rows, names, curves); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "curves.csv"), rows.Bytes(), 0o644); err != nil {
		return err
	}
	p := figure.Plot("", "bench hours", "words found (at least half of ten plays)")
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.X.Min, p.X.Max = 0.1, 1000
	var legend []figure.Entry
	for i, curve := range curves {
		if next := i + 1; next < len(names) && strings.HasPrefix(names[next], "sweep, passes") && strings.HasPrefix(names[i], "sweep, passes") {
			continue // it is the beginning of the next one
		}
		var steps plotter.XYs
		found := 0
		for _, point := range curve {
			at := max(p.X.Min, point.At.Hours())
			steps = append(steps, plotter.XY{X: at, Y: float64(found)}, plotter.XY{X: at, Y: float64(point.Found)})
			found = point.Found
		}
		line, err := plotter.NewLine(steps)
		if err != nil {
			return err
		}
		line.Color, line.Width = figure.Colours[i], 1.2
		p.Add(line)
		legend = append(legend, figure.Entry{Name: names[i], Sign: func(c draw.Canvas, at vg.Point) {
			c.StrokeLine2(line.LineStyle, at.X-5, at.Y, at.X+5, at.Y)
		}})
	}
	height := figure.LegendHeight(legend)
	return figure.Write(filepath.Join(dir, "curves.svg"), 3*vg.Inch+height, func(c draw.Canvas) {
		figure.Legend(c, legend)
		p.Draw(draw.Crop(c, 0, -0.15*vg.Inch, 0.05*vg.Inch, -height))
	})
}
