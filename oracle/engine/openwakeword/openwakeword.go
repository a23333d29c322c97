// Package openwakeword is a bench without hardware: openWakeWord's pretrained
// wake-word models, run by ONNX Runtime and fed sample by sample. One [Engine]
// is the device, the player and the oracle of one worker; a process may have
// as many as it likes. A [Listener] is the device alone, and hears whatever it
// is given, without an end.
//
// # The chain of models
//
// Sound is heard in frames of 80 ms. Each frame yields eight spectra, the last
// 76 spectra an embedding, the last embeddings (16 for most wake words) a
// score between 0 and 1. A score therefore depends on two seconds of sound,
// and on where the word lies against the frames: the same clip may score 0.1
// at one start phase and 0.9 at another, which is why a word is played more
// than once.
//
// # A play
//
// Each play begins from the same state, that of a model which has heard
// nothing but digital silence for as long as it can remember (2 s for most
// wake words). That lead-in is computed once, not for each play; a longer one
// would change nothing. Then come the play's start phase, uniform over the
// 1280 samples of a frame, the clip with white noise under it, and the noise
// alone for as long as the play is observed. Phase and noise follow from
// [playback.Cue.Seed] alone. So a play's scores don't depend on the plays
// before it nor on the engine that plays it: on one machine, with one runtime,
// they are the same to the last bit.
//
// The bench's clock is virtual: it moves with the samples, and each lead-in
// passes on it too. So a play need not be heard before it is asked about, and
// then in batches of up to 64 frames, which gives the same scores at a fifth of
// the cost: [Engine] does so. A [Listener] hears frame by frame, as a device
// does, with the models as they are. For batches, parts of the two models that
// all wake words share are cut out when they are loaded; a model that is not
// the expected one is refused, not heard more slowly.
//
// # Limits
//
//   - The samples that are heard are the same on every machine, but scores are
//     not: ONNX Runtime picks its arithmetic by the processor, and scores then
//     differ by about 1e-6. A score that close to a threshold can fall on
//     either side.
//   - Batches round otherwise than single frames: an engine's scores and a
//     listener's differ by up to 4e-6, in eight minutes of words and noise heard by
//     five models.
//   - The scores are those of the Python package openWakeWord 0.6.0, within
//     1e-4, without its optional noise suppression, voice activity detection
//     and verifier models. It zeroes the first five scores of a stream; they
//     lie in the lead-in here.
//   - Models that tell several phrases apart, such as timer_v0.1, are refused.
//   - The pretrained models are under CC BY-NC-SA 4.0, for non-commercial use
//     only. They are no part of the program: make setup fetches them.
package openwakeword

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine"
	"wakefuzz/playback"
)

// Assets are where the files lie that the program does not contain.
type Assets struct {
	// Models is the folder of the models, as .onnx files.
	Models string
	// Library is ONNX Runtime's shared library, of API version 24 or later. A
	// process can use one only.
	Library string
}

// AssetsIn is where make setup puts them in the data folder.
func AssetsIn(folder string) Assets {
	return Assets{
		Models:  filepath.Join(folder, "models"),
		Library: filepath.Join(folder, "lib", "libonnxruntime.so.1"),
	}
}

// Options are what a campaign may choose.
type Options struct {
	// Model is the wake word's model: a name in the folder of models, such as
	// alexa_v0.1, or the path of a file, which has a slash in it.
	Model string `yaml:"model"`
	// NoiseDBFS is the level (RMS) of the white noise under the clip, in dB
	// relative to a full-scale square wave, from -100 to -10; or negative
	// infinity, in YAML -.inf, for none.
	NoiseDBFS float64 `yaml:"noise_dbfs"`
	// Window is how long the engine is observed after the end of a clip.
	Window time.Duration `yaml:"window"`
}

// DefaultOptions are alexa_v0.1, faint noise at -60 dBFS, and a window of
// 1.2 s. The window was measured with "alexa" and 19 words like it in four
// flite voices at 16 phases: as they are, and with the silence at their ends
// cut off, the latter at -60 and at -45 dBFS. In the 2,121 plays that
// alexa_v0.1 reacted to, more than half of the first scores of 0.5 or more
// came before the clip's end, 99 % within 0.77 s after it and the last at
// 1.03 s; that was the latest peak as well. A play costs in proportion to its
// length: the 2 s that the paper gives the light ring (section 4.2) would cost
// a third more and find nothing more.
func DefaultOptions() Options {
	return Options{Model: "alexa_v0.1", NoiseDBFS: -60, Window: 1200 * time.Millisecond}
}

// longestWindow bounds what a slip of the pen costs. The models remember two
// seconds.
const longestWindow = 10 * time.Minute

// Validate says which option can't be used, and why.
func (o Options) Validate() error {
	if err := playback.CheckNoise(o.NoiseDBFS); err != nil {
		return fmt.Errorf("noise_dbfs: %w", err)
	}
	switch {
	case o.Model == "":
		return errors.New("model: missing; name a wake word's model, such as alexa_v0.1")
	case o.Window < frameStep:
		return fmt.Errorf("window: %v is shorter than the %v between two scores", o.Window, frameStep)
	case o.Window > longestWindow:
		return fmt.Errorf("window: %v is longer than %v", o.Window, longestWindow)
	}
	return nil
}

// Engine is a wake-word model that listens. It implements [playback.Player]
// and [oracle.Oracle] for one worker, and is used by one goroutine.
type Engine struct {
	options Options
	facts   map[string]string
	batch   *batch // nil once closed
	rested  memory // after the lead-in

	clock  bench.Instant   // the end of the last frame that was asked for
	origin bench.Instant   // the start of the first frame since the lead-in
	signal playback.Signal // what is yet to be heard
	length int             // frames from origin to the end of the play's window
	scores []float32       // one per frame heard since origin
}

var (
	_ playback.Player = (*Engine)(nil)
	_ oracle.Oracle   = (*Engine)(nil)
)

// New loads the models. The error says which file is missing, can't be loaded
// or is not what it should be; it wraps [io/fs.ErrNotExist] where one is
// missing.
func New(assets Assets, options Options) (*Engine, error) {
	e, err := open(assets, options)
	if err != nil {
		return nil, fmt.Errorf("openwakeword: %w", err)
	}
	return e, nil
}

func open(assets Assets, options Options) (*Engine, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	files, facts, err := read(assets, options.Model)
	if err != nil {
		return nil, err
	}
	b, err := newBatch(files)
	if err != nil {
		return nil, err
	}
	var silence playback.Signal
	for left := leadIn(b.head); left > 0; left -= batchFrames {
		if _, err := b.hear(min(left, batchFrames), silence.Next, nil); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", files.head.path, err), b.close())
		}
	}
	return &Engine{options: options, facts: facts, batch: b, rested: b.remember()}, nil
}

// read loads ONNX Runtime and reads a wake word's models, and says what they
// are.
func read(assets Assets, model string) (files modelFiles, facts map[string]string, err error) {
	library, err := loadRuntime(assets.Library)
	if err != nil {
		return files, nil, err
	}
	if files, err = readModels(assets.Models, model); err != nil {
		return files, nil, err
	}
	facts = map[string]string{
		"onnxruntime version": ort.GetVersion(),
		"onnxruntime sha256":  library,
	}
	for _, f := range []modelFile{files.mel, files.embedding, files.head} {
		sum := sha256.Sum256(f.bytes)
		facts[filepath.Base(f.path)+" sha256"] = hex.EncodeToString(sum[:])
	}
	return files, facts, nil
}

// Close frees the models. Only ONNX Runtime itself stays, for the other
// engines of the process. The engine can't be used again.
func (e *Engine) Close() error {
	if e.batch == nil {
		return nil
	}
	b := e.batch
	e.batch = nil
	return b.close()
}

var errClosed = errors.New("openwakeword: the engine is closed")

// Name is engine.Name.
func (e *Engine) Name() string { return engine.Name }

// Window is the option of that name.
func (e *Engine) Window() time.Duration { return e.options.Window }

// Facts are what else shapes the scores, for the record of a session: the
// SHA-256 of each model's file and of ONNX Runtime's library, and its version.
func (e *Engine) Facts() map[string]string { return maps.Clone(e.facts) }

// Play sounds the clip, after a lead-in of silence of its own. The models hear
// it when it is observed, so it must not change until then. An error means that
// ctx ended or the engine is closed.
func (e *Engine) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	if e.batch == nil {
		return playback.Sounding{}, errClosed
	}
	if err := ctx.Err(); err != nil {
		return playback.Sounding{}, err
	}
	e.batch.recall(e.rested)
	e.origin = e.clock.Add(time.Duration(leadIn(e.batch.head)) * frameStep)
	e.scores = e.scores[:0]
	e.signal = playback.NewSignal(cue, frameSamples, e.options.NoiseDBFS)
	phase := e.signal.Phase()
	start := e.origin.Add(phase)
	sound := playback.Sounding{
		Span:      bench.Span{Start: start, End: start.Add(cue.Clip.Duration())},
		Phase:     phase,
		NoiseDBFS: e.options.NoiseDBFS,
	}
	e.clock = e.after(sound.Span.End)
	e.length = int(sound.Span.End.Add(e.options.Window).Sub(e.origin) / frameStep)
	return sound, nil
}

// Observe returns the score of each frame that ended in the span, after
// letting the models hear as much of the last play as that needs. Nothing older
// than its lead-in is kept: a span that begins there is a fault, and so is a
// score that is not a number, which concerns its play only. An error means that
// the runtime is broken, or that ctx ended; the next play begins afresh.
func (e *Engine) Observe(ctx context.Context, watched bench.Span) (bench.Observation, error) {
	o := bench.Observation{Oracle: engine.Name, Watched: watched}
	switch {
	case e.batch == nil:
		return o, errClosed
	case watched.End < watched.Start:
		return o, fmt.Errorf("openwakeword: asked to observe a span that ends %v before it starts", -watched.Duration())
	case watched.Start < e.origin:
		o.Fault = bench.FaultOracle
		o.Detail = "the span begins before the last play, whose scores replaced those before it"
		return o, nil
	}
	first := int(watched.Start.Sub(e.origin) / frameStep)
	end := int(watched.End.Sub(e.origin) / frameStep)
	if err := e.hear(ctx, end); err != nil {
		return o, err
	}
	e.clock = max(e.clock, e.after(watched.End))
	o.Scores = bench.Series{
		Start:  e.origin.Add(time.Duration(first+1) * frameStep),
		Step:   frameStep,
		Values: slices.Clone(e.scores[first:end]),
	}
	if i := slices.IndexFunc(o.Scores.Values, func(v float32) bool { return v != v }); i >= 0 {
		o.Fault = bench.FaultOracle
		o.Detail = fmt.Sprintf("the model's score of frame %d is not a number", i+1)
	}
	return o, nil
}

// after is the end of the first frame that ends at that instant or after it.
func (e *Engine) after(t bench.Instant) bench.Instant {
	frames := (t.Sub(e.origin) + frameStep - 1) / frameStep
	return e.origin.Add(frames * frameStep)
}

// hear lets the models hear until there are the scores of that many frames.
//
// Rounding depends on how frames are batched, if only by a few units in the
// last place. So batches are the same whatever is asked for: they begin at
// fixed places, and only the one at the end of the play's window is shorter.
func (e *Engine) hear(ctx context.Context, frames int) (err error) {
	for len(e.scores) < frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		next := overtimeFrames
		if left := e.length - len(e.scores); left > 0 {
			next = min(left, batchFrames)
		}
		if e.scores, err = e.batch.hear(next, e.signal.Next, e.scores); err != nil {
			return fmt.Errorf("openwakeword: ONNX Runtime: %w", err)
		}
	}
	return ctx.Err()
}

// overtimeFrames is how many frames are heard at once beyond a play's window,
// where it is not known how many will be asked for.
const overtimeFrames = 8
