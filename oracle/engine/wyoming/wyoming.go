// Package wyoming is a bench without hardware whose model runs elsewhere: a
// wake-word server that speaks Wyoming, Home Assistant's protocol, as those of
// openWakeWord, microWakeWord and Porcupine do. One [Engine] is the player and
// the oracle of one worker; a server hears as many at the same time as it has
// the power for.
//
// # A play
//
// Each play is a connection and a stream of its own. It begins with what the
// server offers, which must be what it offered at the beginning. Then the
// server hears 2.56 s of digital silence, which fill the memory of its models
// as in every other play, and then what any software bench hears of the play
// (see [playback.Signal]), until the window after the clip is over. The stream
// ends with the first detection. The bench's clock is virtual: it moves with
// the samples, and the timestamps that come back are mapped to it.
//
// A server tells when it heard its wake word, and no score. So plays are judged
// by [engine.Detected], and the threshold is the server's own: it is an option
// of the server, shapes every result, and nothing here can know it.
//
// # Names
//
// Servers answer a wake word that they don't have by listening for another, or
// for all. So a name is looked up in the server's own list, letter by letter,
// and a detection under another name is a fault.
//
// # When a server has heard everything
//
// A server of one thread (microWakeWord, Porcupine, openWakeWord from 2.0 on)
// answers the end of the stream after it has heard all of it. That answer is
// what makes a play quiet, and sound may be sent as fast as the server takes
// it: Speed 0. The server wyoming-openwakeword up to 1.8 listens in threads of
// its own: it answers the end at once, drops what it has not heard by then, and
// gives a detection the timestamp of the sound that came last. To such a server
// sound has to be sent at the pace of speech, Speed 1, which is the default, and
// the stream is held open for Lag before it is ended.
//
// # Limits
//
//   - Nothing in the protocol says how far such a server has come. One that
//     falls behind by more than the window and Lag leave, because too many
//     workers feed it, misses words, and its plays read as quiet. The plays of
//     the wake word show it.
//   - Whether a server's answer depends on its other clients is the server's
//     doing. That of openWakeWord up to 1.8 computes all their spectra together:
//     with eight workers 1 and, another time, 3 of 80 plays came out otherwise
//     than with one worker, which gave the same 80 at Speed 0, 1 and 4.
//   - A detection ends the play. Of what sounded after it nothing is known, and
//     a span that begins there is a fault.
//   - Where a server gives no timestamp, the detection counts from the last
//     sound that was sent.
package wyoming

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/wyoming"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine"
	"wakefuzz/playback"
)

// Options are what a campaign may choose.
type Options struct {
	// URI is where the server listens: tcp://HOST:PORT or unix:///PATH.
	URI string `yaml:"uri"`
	// Model is the wake word, by the server's own name of it, such as
	// alexa_v0.1.
	Model string `yaml:"model"`
	// NoiseDBFS is the level (RMS) of the white noise under the clip, in dB
	// relative to a full-scale square wave, from -100 to -10; or negative
	// infinity, in YAML -.inf, for none.
	NoiseDBFS float64 `yaml:"noise_dbfs"`
	// Window is how long the server listens after the end of a clip.
	Window time.Duration `yaml:"window"`
	// Speed is how many times faster than it would sound the sound is sent; 0
	// means as fast as the server takes it.
	Speed float64 `yaml:"speed"`
	// Lag is how long the stream is held open after the last sound.
	Lag time.Duration `yaml:"lag"`
	// Timeout is how long the server may take to answer, and how long one that
	// can't be reached is waited for.
	Timeout time.Duration `yaml:"timeout"`
}

// DefaultOptions name no wake word, and the port of openWakeWord's server. The
// window is that of the driver openwakeword and one and a half of its frames,
// which a server's own buffers may hold back.
func DefaultOptions() Options {
	return Options{
		URI:       "tcp://127.0.0.1:10400",
		NoiseDBFS: -60,
		Window:    1320 * time.Millisecond,
		Speed:     1,
		Lag:       300 * time.Millisecond,
		Timeout:   10 * time.Second,
	}
}

// What a slip of the pen may cost.
const (
	longestWindow = 10 * time.Minute
	longestWait   = 10 * time.Minute
	slowest       = 0.1
	fastest       = 1000
)

// Validate says which option can't be used, and why.
func (o Options) Validate() error {
	if _, err := wyoming.ParseAddress(o.URI); err != nil {
		return fmt.Errorf("uri: %w", err)
	}
	if err := playback.CheckNoise(o.NoiseDBFS); err != nil {
		return fmt.Errorf("noise_dbfs: %w", err)
	}
	switch {
	case o.Model == "":
		return errors.New("model: missing; name the wake word as the server does, such as alexa_v0.1")
	case o.Window < frameStep || o.Window > longestWindow:
		return fmt.Errorf("window: %v is not between %v and %v", o.Window, frameStep, longestWindow)
	case o.Speed != 0 && !(o.Speed >= slowest && o.Speed <= fastest):
		return fmt.Errorf("speed: %g is neither 0 nor between %g and %g", o.Speed, slowest, float64(fastest))
	case o.Lag < 0 || o.Lag > longestWait:
		return fmt.Errorf("lag: %v is not between 0 and %v", o.Lag, longestWait)
	case o.Timeout <= 0 || o.Timeout > longestWait:
		return fmt.Errorf("timeout: %v is not between 0 and %v", o.Timeout, longestWait)
	}
	return nil
}

// Engine is a wake-word server that listens. It implements [playback.Player]
// and [oracle.Oracle] for one worker, and is used by one goroutine.
type Engine struct {
	options Options
	address wyoming.Address
	offer   offer

	clock bench.Instant // the end of the last play's stream
	last  play
}

// play is what is kept of a play.
type play struct {
	heard  bench.Span      // the stream from the end of its lead-in
	at     []bench.Instant // of the detection, if there was one
	fault  bench.Fault
	detail string
}

var (
	_ playback.Player = (*Engine)(nil)
	_ oracle.Oracle   = (*Engine)(nil)
)

// New asks the server what it offers. The error says that it can't be reached,
// or which wake words it has where it lacks the one asked for.
func New(ctx context.Context, o Options) (*Engine, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("wyoming: %w", err)
	}
	address, err := wyoming.ParseAddress(o.URI)
	if err != nil {
		return nil, fmt.Errorf("wyoming: uri: %w", err)
	}
	e := &Engine{options: o, address: address}
	conn, err := e.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("wyoming: %w", err)
	}
	defer conn.Close()
	if e.offer, err = e.ask(ctx, conn); err != nil {
		return nil, fmt.Errorf("wyoming: %s: %w", o.URI, err)
	}
	return e, nil
}

// Name is engine.Name.
func (e *Engine) Name() string { return engine.Name }

// Window is the option of that name.
func (e *Engine) Window() time.Duration { return e.options.Window }

// Facts are what else shapes the detections, as far as the server tells: its
// program and its model, and their versions.
func (e *Engine) Facts() map[string]string {
	return map[string]string{
		"wyoming program": e.offer.program,
		"wyoming model":   e.offer.model,
	}
}

// Close returns nil: there is no connection but while a play lasts.
func (e *Engine) Close() error { return nil }

// Play has the server hear the clip and the window after it, on a connection of
// its own. A server that hangs, ends the connection or answers what the protocol
// does not know makes the play unmeasured. An error means that the server can't
// be reached any more, that it is another than at the beginning, or that ctx
// ended.
func (e *Engine) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	signal := playback.NewSignal(cue, frameSamples, e.options.NoiseDBFS)
	phase := signal.Phase()
	start := e.clock.Add(leadIn*frameStep + phase)
	sound := playback.Sounding{
		Span:      bench.Span{Start: start, End: start.Add(cue.Clip.Duration())},
		Phase:     phase,
		NoiseDBFS: e.options.NoiseDBFS,
	}
	window := bench.Span{Start: start, End: sound.Span.End.Add(e.options.Window)}
	s := stream{
		signal: &signal,
		start:  e.clock,
		frames: leadIn + frames(phase+cue.Clip.Duration()+e.options.Window),
		window: window,
	}
	e.clock = e.clock.Add(time.Duration(s.frames) * frameStep)
	e.last = play{heard: bench.Span{Start: s.start.Add(leadIn * frameStep), End: e.clock}}
	at, err := e.hear(ctx, s)
	var f fault
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.As(err, &f):
		e.last.fault, e.last.detail = bench.FaultDevice, f.Error()
		err = nil
	}
	if err != nil {
		e.last.fault, e.last.detail = bench.FaultDevice, err.Error()
		return playback.Sounding{}, err
	}
	e.last.at = at
	sound.Fault, sound.Detail = e.last.fault, e.last.detail
	return sound, nil
}

// Observe returns the detection in the span, if there was one. A span that was
// not heard, because it lies outside of the last play or after its detection,
// is a fault.
func (e *Engine) Observe(ctx context.Context, watched bench.Span) (bench.Observation, error) {
	o := bench.Observation{Oracle: engine.Name, Watched: watched}
	unheard := func(detail string) (bench.Observation, error) {
		o.Fault, o.Detail = bench.FaultOracle, detail
		return o, nil
	}
	switch {
	case ctx.Err() != nil:
		return o, ctx.Err()
	case watched.End < watched.Start:
		return o, fmt.Errorf("wyoming: asked to observe a span that ends %v before it starts", -watched.Duration())
	case watched.Start < e.last.heard.Start:
		return unheard("the span begins before the last play")
	case watched.End > e.last.heard.End:
		return unheard("the span reaches beyond the last play's window")
	case e.last.fault != bench.NoFault:
		o.Fault, o.Detail = e.last.fault, e.last.detail
		return o, nil
	}
	for _, at := range e.last.at {
		switch {
		case at < watched.Start:
			return unheard("the play ended with a detection before the span")
		case at < watched.End:
			o.Detections = []bench.Instant{at}
		}
	}
	return o, nil
}

// offer is what a server offers of what was asked for: program and model, each
// with its version where the server tells it.
type offer struct{ program, model string }

// ask asks the server what it offers, for no longer than the timeout.
func (e *Engine) ask(ctx context.Context, conn *wyoming.Conn) (offer, error) {
	asking, cancel := context.WithTimeout(ctx, e.options.Timeout)
	defer cancel()
	info, err := conn.Describe(asking)
	if err != nil {
		return offer{}, e.explain(ctx, err)
	}
	names := map[string]bool{}
	for _, p := range info.Wake {
		for _, m := range p.Models {
			if m.Name == e.options.Model && m.Installed {
				return offer{versioned(p.Name, p.Version), versioned(m.Name, m.Version)}, nil
			}
			if m.Installed {
				names[m.Name] = true
			}
		}
	}
	if len(names) == 0 {
		return offer{}, errors.New("the server has no wake words")
	}
	return offer{}, fmt.Errorf("model: the server has no wake word %q, but %s",
		e.options.Model, strings.Join(slices.Sorted(maps.Keys(names)), ", "))
}

func versioned(name, version string) string { return strings.TrimSpace(name + " " + version) }

// explain says that the server did not answer where that was what ended.
func (e *Engine) explain(ctx context.Context, err error) error {
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the server did not answer within %v", e.options.Timeout)
	}
	return err
}

// retry is how long to wait before another try to reach the server.
const retry = 200 * time.Millisecond

// dial connects to the server, and waits for one that is not there.
func (e *Engine) dial(ctx context.Context) (*wyoming.Conn, error) {
	dialing, cancel := context.WithTimeout(ctx, e.options.Timeout)
	defer cancel()
	for {
		conn, err := wyoming.Dial(dialing, e.address)
		if err == nil {
			return conn, nil
		}
		select {
		case <-time.After(retry):
		case <-dialing.Done():
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, fmt.Errorf("%s can't be reached for %v: %w", e.options.URI, e.options.Timeout, err)
		}
	}
}

// frames is how many frames a stretch of sound takes.
func frames(d time.Duration) int {
	return int(math.Ceil(float64(d) / float64(frameStep)))
}
