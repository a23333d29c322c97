package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"wakefuzz/bench"
	"wakefuzz/campaign"
)

// outputMode is how a campaign is shown while it runs: the value of a flag.
type outputMode string

const (
	outputAuto  outputMode = "auto"
	outputPlain outputMode = "plain"
	outputJSON  outputMode = "json"
)

// Set, String and Type implement pflag.Value.
func (m *outputMode) Set(s string) error {
	switch mode := outputMode(s); mode {
	case outputAuto, outputPlain, outputJSON:
		*m = mode
		return nil
	default:
		return errors.New("it is not one of: auto, plain, json")
	}
}

func (m *outputMode) String() string { return string(*m) }

func (m *outputMode) Type() string { return "mode" }

func addOutputFlag(cmd *cobra.Command, output *outputMode) {
	cmd.Flags().Var(output, "output", "how to show progress: auto (a bar on a terminal), plain (lines), or json (an object a line on standard output)")
}

// display shows a campaign while it runs. It may be used by several goroutines.
type display interface {
	// begin says where the campaign stands before the first play.
	begin(campaign.Standing)
	// play shows a play that was stored.
	play(campaign.Event)
	// note shows a line beside the progress.
	note(format string, args ...any)
	// end says how the run ended, and takes down what is left on the screen,
	// for what is printed next. The error itself is printed there.
	end(campaign.Standing, error)
}

func (a *app) newDisplay(output outputMode) display {
	terminal := false
	if f, ok := a.stderr.(*os.File); ok {
		terminal = term.IsTerminal(int(f.Fd()))
	}
	switch {
	case output == outputJSON:
		return &jsonDisplay{out: json.NewEncoder(a.stdout)}
	case output == outputAuto && terminal:
		return &barDisplay{w: a.stderr}
	default:
		return &lineDisplay{w: a.stderr}
	}
}

// pace measures how fast a session goes.
type pace struct {
	start time.Time
	first campaign.Standing
}

// summary is the state of the campaign in one line.
func (p pace) summary(now campaign.Standing) string {
	elapsed := time.Since(p.start)
	parts := []string{fmt.Sprintf("%d hits", now.Hits)}
	if now.LastHit != "" {
		parts = append(parts, "last "+now.LastHit)
	}
	if played := now.Measured - p.first.Measured; played > 0 {
		words := float64(played) / float64(now.Planned) * float64(now.Trials)
		parts = append(parts, fmt.Sprintf("%.1f words/min", words/elapsed.Minutes()))
		left := time.Duration(float64(elapsed) * float64(now.Left()) / float64(played))
		parts = append(parts, rough(left)+" left")
	}
	return strings.Join(parts, ", ")
}

// rough writes a duration as people say it: to the second below an hour, to
// the minute above.
func rough(d time.Duration) string {
	if d < time.Hour {
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

// barDisplay is a bar on a terminal.
type barDisplay struct {
	w     io.Writer
	bars  *mpb.Progress
	bar   *mpb.Bar
	pace  pace
	mu    sync.Mutex
	tally campaign.Standing
}

func (d *barDisplay) begin(t campaign.Standing) {
	bars := mpb.New(mpb.WithOutput(d.w), mpb.WithAutoRefresh(), mpb.WithWidth(24))
	d.mu.Lock()
	d.pace, d.tally, d.bars = pace{time.Now(), t}, t, bars
	d.mu.Unlock()
	d.bar = bars.AddBar(int64(t.Planned),
		mpb.PrependDecorators(decor.CountersNoUnit("%d/%d plays ")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			d.mu.Lock()
			defer d.mu.Unlock()
			return " " + d.pace.summary(d.tally)
		})))
	d.bar.SetCurrent(int64(t.Measured))
}

func (d *barDisplay) play(e campaign.Event) {
	d.mu.Lock()
	d.tally = e.Standing
	d.mu.Unlock()
	d.bar.SetCurrent(int64(e.Standing.Measured))
}

func (d *barDisplay) note(format string, args ...any) {
	d.mu.Lock()
	bars := d.bars
	d.mu.Unlock()
	line := fmt.Sprintf(format+"\n", args...)
	if bars == nil {
		fmt.Fprint(d.w, line)
		return
	}
	_, _ = bars.Write([]byte(line)) // a lost note is in the log
}

func (d *barDisplay) end(campaign.Standing, error) {
	if d.bars != nil {
		d.bar.Abort(false)
		d.bars.Wait()
	}
}

// linePause is how long plain progress keeps still between two lines.
const linePause = 10 * time.Second

// lineDisplay is a line now and then, for files and pipes.
type lineDisplay struct {
	w    io.Writer
	mu   sync.Mutex
	pace pace
	last time.Time
}

func (d *lineDisplay) begin(t campaign.Standing) {
	d.pace, d.last = pace{time.Now(), t}, time.Now()
	d.note("%d of %d plays are stored", t.Measured, t.Planned)
}

func (d *lineDisplay) play(e campaign.Event) {
	d.mu.Lock()
	due := time.Since(d.last) >= linePause
	if due {
		d.last = time.Now()
	}
	d.mu.Unlock()
	if due {
		d.note("%d/%d plays, %s", e.Standing.Measured, e.Standing.Planned, d.pace.summary(e.Standing))
	}
}

func (d *lineDisplay) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.w, format+"\n", args...)
}

func (d *lineDisplay) end(t campaign.Standing, err error) {
	if err == nil { // an error says so itself
		d.note("%d of %d plays are stored", t.Measured, t.Planned)
	}
}

// jsonDisplay is one object a line. The fields are documented in
// docs/command-line.md.
type jsonDisplay struct {
	mu  sync.Mutex
	out *json.Encoder
}

type jsonEvent struct {
	Event   string  `json:"event"`
	Time    string  `json:"time"`
	Word    string  `json:"word,omitempty"`
	Voice   string  `json:"voice,omitempty"`
	Role    string  `json:"role,omitempty"`
	Play    int     `json:"play,omitempty"`
	Attempt int     `json:"attempt,omitempty"`
	State   string  `json:"state,omitempty"`
	Score   float64 `json:"score,omitempty"`
	Fault   string  `json:"fault,omitempty"`
	Message string  `json:"message,omitempty"`

	Planned  *int   `json:"planned,omitempty"`
	Measured *int   `json:"measured,omitempty"`
	Hits     *int   `json:"hits,omitempty"`
	LastHit  string `json:"last_hit,omitempty"`
}

func (d *jsonDisplay) emit(e jsonEvent) {
	e.Time = time.Now().UTC().Format(time.RFC3339Nano)
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.out.Encode(e) // a reader that went away does not stop a campaign
}

func (e jsonEvent) with(t campaign.Standing) jsonEvent {
	e.Planned, e.Measured, e.Hits, e.LastHit = &t.Planned, &t.Measured, &t.Hits, t.LastHit
	return e
}

func (d *jsonDisplay) begin(t campaign.Standing) { d.emit(jsonEvent{Event: "begin"}.with(t)) }

func (d *jsonDisplay) play(e campaign.Event) {
	j := jsonEvent{
		Event:   "play",
		Word:    e.Trial.Word,
		Voice:   e.Trial.Voice,
		Role:    string(e.Trial.Role),
		Play:    e.Attempt.Play.Index + 1,
		Attempt: e.Attempt.Number,
		State:   e.Attempt.State.String(),
		Fault:   string(e.Attempt.Fault),
		Message: e.Attempt.Detail,
	}
	for _, r := range e.Verdict.Readings {
		if r.State != bench.Unmeasured {
			j.Score = max(j.Score, r.Strength)
		}
	}
	d.emit(j.with(e.Standing))
}

func (d *jsonDisplay) note(format string, args ...any) {
	d.emit(jsonEvent{Event: "note", Message: fmt.Sprintf(format, args...)})
}

func (d *jsonDisplay) end(t campaign.Standing, err error) {
	state, ok := map[int]string{
		exitDone:        "complete",
		exitUnmeasured:  "unmeasured",
		exitInterrupted: "interrupted",
	}[exitCode(err)]
	if !ok {
		state = "failed"
	}
	d.emit(jsonEvent{Event: "end", State: state, Message: describe(err)}.with(t))
}
