package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/renameio/v2"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/playback"
	"wakefuzz/tts"
)

// Pace is when things happen in a round.
type Pace struct {
	// Rest is how long a round waits before its idle stretch, so that what the
	// plays before drew does not reach into it.
	Rest time.Duration `yaml:"rest"`
	// Stretch is the length of either stretch, the paper's d (section 4.1.2), and
	// Every the time from one play to the next (section 5.1.1).
	Stretch time.Duration `yaml:"stretch"`
	Every   time.Duration `yaml:"every"`
}

// PaperPace is a minute of silence and a minute of plays, every ten seconds
// (section 5.1.1). The paper knows no rest.
func PaperPace() Pace {
	return Pace{Rest: 10 * time.Second, Stretch: time.Minute, Every: 10 * time.Second}
}

// Plays is how many fit into a stretch.
func (p Pace) Plays() int { return int(p.Stretch / p.Every) }

// Round is how long a round takes.
func (p Pace) Round() time.Duration { return p.Rest + 2*p.Stretch }

// Validate says what can't be kept.
func (p Pace) Validate() error {
	switch {
	case p.Rest < 0:
		return fmt.Errorf("rest: %v is negative", p.Rest)
	case p.Stretch <= 0 || p.Stretch > time.Hour:
		return fmt.Errorf("stretch: %v is not between nothing and an hour", p.Stretch)
	case p.Every <= 0 || p.Every > p.Stretch:
		return fmt.Errorf("every: %v is not between nothing and the stretch of %v", p.Every, p.Stretch)
	}
	return nil
}

// Source is a capture of every device on a network, until the context ends that
// it was opened under.
type Source interface {
	capture.Source
	io.Closer
}

// Runner plays what the plan lacks.
type Runner struct {
	Plan    Plan
	Judging Judging
	Folder  *Folder
	// Limit is how many bytes the folder may hold, or 0 for any number.
	Limit  int64
	Player playback.Player
	// Clip makes what is sounded of a probe.
	Clip func(ctx context.Context, kind Kind, says string) (tts.Clip, error)
	// Listen begins to capture the packets of every device.
	Listen func(context.Context) (Source, error)
	// Pair reads the clock that the player goes by, and the wall clock.
	Pair func() bench.Pair
	// Begin is told of each round as it begins, and how many are still to come,
	// as far as is known. Note is told what is worth knowing.
	Begin func(task Task, left int)
	Note  func(format string, args ...any)
}

// Errors that a caller may want to tell apart.
var (
	// ErrPace: a sound is too long for the time from one play to the next.
	ErrPace = errors.New("the pace can't be kept")
	// ErrFull: the folder holds as much as it may.
	ErrFull = errors.New("the folder is full")
)

const (
	// tries is how often a round is begun that something spoils, before the scan
	// is given up.
	tries = 20
	// breather is how long a round waits that follows a spoiled one.
	breather = 5 * time.Second
	// maxStep is how far the wall clock may be set in a round.
	maxStep = 100 * time.Millisecond
	// late is how long after a moment everything that was captured up to then has
	// been read.
	late = 200 * time.Millisecond
)

// Run plays all rounds that the folder lacks: the first of every probe, and then
// those of the candidates. Errors are those of the context, of the player, of the
// disk, ErrPace and ErrFull; what was played until then is in the folder.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.rehearse(ctx); err != nil {
		return err
	}
	if err := r.play(ctx, r.Plan.First()); err != nil {
		return err
	}
	rounds, err := r.Folder.Rounds()
	if err != nil {
		return err
	}
	candidates, err := r.Judging.Candidates(r.Plan, rounds, r.Folder.Load)
	if err != nil {
		return err
	}
	return r.play(ctx, r.Plan.Second(candidates))
}

// rehearse makes every sound, and sees to it that there is time for it.
func (r *Runner) rehearse(ctx context.Context) error {
	for _, p := range r.Plan.Probes {
		for _, says := range p.Says {
			clip, err := r.Clip(ctx, p.Kind, says)
			if err != nil {
				return err
			}
			if need := clip.Duration() + r.Judging.Rule.Watch(); need > r.Plan.Pace.Every {
				return fmt.Errorf("%w: %q lasts %v and is watched for %v after that, but is played every %v; lengthen pace.every, take a shorter sound, or lower judge.calibrated.latency",
					ErrPace, says, clip.Duration().Round(time.Millisecond), r.Judging.Rule.Watch(), r.Plan.Pace.Every)
			}
		}
	}
	return nil
}

func (r *Runner) play(ctx context.Context, tasks []Task) error {
	rounds, err := r.Folder.Rounds()
	if err != nil {
		return err
	}
	tasks = left(tasks, rounds)
	for i, task := range tasks {
		size, err := r.Folder.Size()
		if err != nil {
			return err
		}
		if r.Limit > 0 && size >= r.Limit {
			return fmt.Errorf("%w: it holds %d MB; raise limit_mb, or make room", ErrFull, size/1e6)
		}
		r.Begin(task, len(tasks)-i)
		if err := r.playTask(ctx, task); err != nil {
			return err
		}
	}
	return nil
}

// spoiled is why a round has to be played again.
type spoiled struct{ error }

func (s spoiled) Unwrap() error { return s.error }

// playTask plays a round until it is not spoiled.
func (r *Runner) playTask(ctx context.Context, task Task) error {
	for try := 1; ; try++ {
		err := r.playOnce(ctx, task)
		var why spoiled
		if !errors.As(err, &why) {
			return err
		}
		if try == tries {
			return fmt.Errorf("the round of %s was begun %d times in vain: %w", r.Plan.Probes[task.Probe], tries, why.error)
		}
		r.Note("the round of %s is played again: %v", r.Plan.Probes[task.Probe], why.error)
		if err := sleep(ctx, breather); err != nil {
			return err
		}
	}
}

// playOnce plays a round, and adds it to the folder.
func (r *Runner) playOnce(ctx context.Context, task Task) (err error) {
	file, err := r.Folder.create(task)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Cleanup()) }()
	capturing, end := context.WithCancelCause(ctx)
	source, err := r.Listen(capturing)
	if err != nil {
		end(err)
		if ctx.Err() == nil && errors.Is(err, capture.ErrInterface) {
			return spoiled{err}
		}
		return err
	}
	over := errors.New("the round is over")
	captured := make(chan error, 1)
	var dropped uint64
	go func() {
		defer source.Close()
		err := keep(source, file, fmt.Sprintf("wakefuzz scan, round %s: %s", task.name(), r.Plan.Probes[task.Probe]))
		dropped = source.Stats().Dropped
		if err != nil {
			end(err) // the round ends with it
		}
		captured <- err
	}()
	round, err := r.sound(capturing, task)
	end(over)
	failed := <-captured
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.Is(failed, over):
		return failed
	case err != nil:
		return err
	}
	round.Dropped = dropped
	return r.Folder.Add(round, file)
}

// keep writes what passes until the source ends, and returns why it did. What
// ends the source spoils the round; what can't be written is another matter.
func keep(source Source, file *renameio.PendingFile, comment string) error {
	var out *capture.Writer
	var last capture.Frame
	for {
		_, err := source.Next()
		if err != nil {
			if out == nil { // nothing has passed
				var failed error
				if out, failed = capture.NewWriter(file, capture.LinkEthernet, capture.KeepHeaders, comment); failed != nil {
					return failed
				}
			}
			if failed := out.Flush(); failed != nil {
				return failed
			}
			return spoiled{err}
		}
		frame := source.Frame()
		if last.Same(frame) {
			continue
		}
		last = frame
		if out == nil {
			if out, err = capture.NewWriter(file, frame.Link, capture.KeepHeaders, comment); err != nil {
				return err
			}
		}
		if err := out.Write(frame); err != nil {
			return err
		}
	}
}

// sound carries a round out, while its packets are captured.
func (r *Runner) sound(ctx context.Context, task Task) (Round, error) {
	clock := roundClock{read: r.Pair, last: r.Pair()}
	clock.began = clock.last
	round := Round{Task: task, Began: clock.began.Wall.Round(0)}
	now := clock.began.At
	idle := bench.Span{Start: now.Add(r.Plan.Pace.Rest), End: now.Add(r.Plan.Pace.Rest + r.Plan.Pace.Stretch)}
	probing := bench.Span{Start: idle.End, End: idle.End.Add(r.Plan.Pace.Stretch)}
	round.Idle, round.Probing = clock.span(idle), clock.span(probing)
	kind := r.Plan.Probes[task.Probe].Kind
	for i, says := range r.Plan.says(task) {
		clip, err := r.Clip(ctx, kind, says)
		if err != nil {
			return round, err
		}
		if err := r.wait(ctx, probing.Start.Add(time.Duration(i)*r.Plan.Pace.Every)); err != nil {
			return round, err
		}
		sounding, err := r.Player.Play(ctx, playback.Cue{Clip: clip})
		if err != nil {
			return round, err
		}
		if sounding.Fault != bench.NoFault {
			return round, spoiled{fmt.Errorf("the loudspeaker: %s", sounding.Detail)}
		}
		if err := clock.steady(); err != nil {
			return round, err
		}
		// A sound that comes late leaves less time to watch what it draws.
		if sounding.Span.Start < probing.Start || sounding.Span.End.Add(r.Judging.Rule.Watch()) > probing.Start.Add(time.Duration(i+1)*r.Plan.Pace.Every+late) {
			return round, spoiled{fmt.Errorf("%q came late; is the machine busy?", says)}
		}
		round.Plays = append(round.Plays, Play{Says: says, Sound: clock.span(sounding.Span)})
	}
	if err := r.wait(ctx, probing.End.Add(late)); err != nil {
		return round, err
	}
	return round, clock.steady()
}

// wait waits until the instant of the player's clock.
func (r *Runner) wait(ctx context.Context, until bench.Instant) error {
	return sleep(ctx, until.Sub(r.Pair().At))
}

// roundClock turns instants of the player's clock into those of a round, which
// is what the wall clock says that stamps packets.
type roundClock struct {
	read        func() bench.Pair
	began, last bench.Pair
}

// steady is an error where the wall clock was set since it was last asked.
func (c *roundClock) steady() error {
	now := c.read()
	step := c.last.Instant(now.Wall).Sub(now.At)
	c.last = now
	if step.Abs() > maxStep {
		return spoiled{fmt.Errorf("the wall clock was set by %v", step)}
	}
	return nil
}

func (c *roundClock) span(s bench.Span) bench.Span {
	// What the wall clock has gained or lost since the beginning.
	drift := c.last.Wall.Round(0).Sub(c.began.Wall.Round(0)) - c.last.At.Sub(c.began.At)
	origin := c.began.At.Add(-drift)
	return bench.Span{Start: bench.Instant(s.Start.Sub(origin)), End: bench.Instant(s.End.Sub(origin))}
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
