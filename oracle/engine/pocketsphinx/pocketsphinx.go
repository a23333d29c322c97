// Package pocketsphinx is a bench without hardware: CMU PocketSphinx 0.8, which
// spots a phrase by the phones of its words. It needs no training for a wake word,
// has nothing in common with neural wake-word models, and so is a second opinion
// on what sounds alike. One [Engine] is the device, the player and the oracle of
// one worker; a process may have as many as it likes.
//
// The library and its model of American English are Debian's libpocketsphinx3 and
// pocketsphinx-en-us (28 MB, 50 MB installed). The library is loaded when an
// engine is opened: the program needs it neither to build nor to start.
//
// # Scores
//
// PocketSphinx compares the phrase with whatever else could have been said, as a
// ratio of likelihoods, and says that it heard the phrase where the ratio is at
// least its option kws_threshold. Its programs tell no more than that. The library
// tells the ratio itself, and that is what is observed here, so that a night can
// be judged with another threshold as well:
//
//	score = 1/2 + log10(ratio / kws_threshold) / 100, from 0 to 1
//
// A score of 0.5, the default of the key judge.engine, is where PocketSphinx
// would have decided. A hundredth more is a threshold ten times as strict.
//
// It speaks of the moment at which the phrase ended. There is a score for each
// 100 ms, 0 for those in which no phrase ended. A patience of more than one frame
// therefore finds nothing.
//
// # A play
//
// A play is heard as a whole, from the start phase to the end of its window, and
// as the first that the engine ever heard: level and noise are estimated from this
// play alone. So its scores depend on nothing but itself, and are the same in any
// order and by any engine. A PocketSphinx that listens all night estimates both
// from what it heard before, and drops silence, which here keeps its length so
// that the clock is right. Its decisions may therefore differ near the threshold.
//
// The bench's clock is virtual: it moves with the samples.
//
// # Limits
//
//   - At its usual threshold one of the 1,000 most used English words is taken
//     for "alexa" (election), in the voice slt of flite. Of the 200 words of the
//     dictionary that are nearest to it by their phonemes 42 are, and 33 are by
//     openWakeWord's model, with one play each; 17 of them by both.
//   - What eSpeak NG speaks is heard badly.
//   - A word that the model's dictionary has is heard as its first pronunciation
//     there.
//   - The library ends the process where a model's file is damaged.
package pocketsphinx

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine"
	"wakefuzz/phoneme"
	"wakefuzz/playback"
	"wakefuzz/tts"
)

// Options are what a campaign may choose.
type Options struct {
	// Keyphrase is the wake word, in lower case: "alexa", "hey jarvis".
	Keyphrase string `yaml:"keyphrase"`
	// Pronunciation is how the whole phrase sounds, in ARPAbet. It is needed only
	// where the model's dictionary lacks one of its words.
	Pronunciation phoneme.Pronunciation `yaml:"pronunciation,omitempty"`
	// KWSThreshold is the ratio of likelihoods that has a score of 0.5. The
	// longer the phrase, the smaller: from 1e-50 for a long one to 1.
	KWSThreshold float64 `yaml:"kws_threshold"`
	// Model is the folder with the model and its dictionary.
	Model string `yaml:"model"`
	// NoiseDBFS is the level (RMS) of the white noise under the clip, in dB
	// relative to a full-scale square wave, from -100 to -10; or negative
	// infinity, in YAML -.inf, for none.
	NoiseDBFS float64 `yaml:"noise_dbfs"`
	// Window is how long the engine listens after the end of a clip.
	Window time.Duration `yaml:"window"`
}

// DefaultOptions are the threshold 1e-20, Debian's model, faint noise at -60 dBFS,
// and half a second after the clip: of the 42 words of the package comment, none
// reacted later than 41 ms after its end. They name no phrase.
func DefaultOptions() Options {
	return Options{
		KWSThreshold: 1e-20,
		Model:        "/usr/share/pocketsphinx/model/en-us",
		NoiseDBFS:    -60,
		Window:       500 * time.Millisecond,
	}
}

const (
	frame         = 10 * time.Millisecond // what the library counts in
	frameSamples  = int(frame * tts.SampleRate / time.Second)
	step          = 100 * time.Millisecond // between two scores
	phaseSamples  = 1280                   // the start phase, as for models that hear frames of 80 ms
	longestWindow = 10 * time.Minute
)

// The thresholds that make sense: the library's own scale ends not far beyond.
const lowestThreshold, highestThreshold = 1e-100, 1e10

// The library counts ratios in steps of 1024 powers of 1.0001.
var stepDecades = 1024 * math.Log10(1.0001)

// decadesPerScore is how many powers of ten there are from a score of 0 to 1.
const decadesPerScore = 100

// threshold is the smallest ratio that the library would accept, in its steps.
func (o Options) threshold() int {
	return int(math.Log(o.KWSThreshold)/math.Log(1.0001)) >> 10
}

// Validate says which option can't be used, and why.
func (o Options) Validate() error {
	if err := playback.CheckNoise(o.NoiseDBFS); err != nil {
		return fmt.Errorf("noise_dbfs: %w", err)
	}
	if o.Pronunciation != "" {
		if _, err := phoneme.ParsePronunciation(string(o.Pronunciation)); err != nil {
			return fmt.Errorf("pronunciation: %w", err)
		}
	}
	switch {
	case strings.TrimSpace(o.Keyphrase) == "":
		return errors.New("keyphrase: missing; give the wake word, such as alexa")
	case strings.ContainsAny(o.Keyphrase, "/\n\x00"):
		return fmt.Errorf("keyphrase: %q holds what no word does", o.Keyphrase)
	case !(o.KWSThreshold >= lowestThreshold && o.KWSThreshold <= highestThreshold):
		return fmt.Errorf("kws_threshold: %g is not between %g and %g", o.KWSThreshold, lowestThreshold, highestThreshold)
	case o.Model == "":
		return errors.New("model: missing; give the model's folder")
	case o.Window < step || o.Window > longestWindow:
		return fmt.Errorf("window: %v is not between %v and %v", o.Window, step, longestWindow)
	}
	return nil
}

// Engine is a PocketSphinx that listens for its phrase. It implements
// [playback.Player] and [oracle.Oracle] for one worker, and is used by one
// goroutine.
type Engine struct {
	options Options
	facts   map[string]string
	decoder *decoder // nil once closed

	origin bench.Instant // the start of the last play, with its phase
	end    bench.Instant // of the last play, with its window
	signal playback.Signal
	scores []float32 // of the last play, one a step; nil until it was heard
}

var (
	_ playback.Player = (*Engine)(nil)
	_ oracle.Oracle   = (*Engine)(nil)
)

// New loads the library and the model. The error says what is missing and how to
// get it, or which word the model's dictionary lacks.
func New(options Options) (*Engine, error) {
	e, err := open(options)
	if err != nil {
		return nil, fmt.Errorf("pocketsphinx: %w", err)
	}
	return e, nil
}

func open(options Options) (*Engine, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	model, dictionary := filepath.Join(options.Model, "en-us"), filepath.Join(options.Model, "cmudict-en-us.dict")
	facts, err := factsOf(model, dictionary)
	if err != nil {
		return nil, err
	}
	d, err := openDecoder(
		"-hmm", model, "-dict", dictionary,
		"-kws_threshold", fmt.Sprintf("%g", options.KWSThreshold*math.Pow(10, -decadesPerScore/2)),
		"-kws_delay", "0", // the sound is over when it is asked
		"-cmn", "batch", // the level is this play's
		"-remove_silence", "no", // a frame is 10 ms of the clock
	)
	if err != nil {
		return nil, err
	}
	if err := d.learn(options); err != nil {
		d.close()
		return nil, err
	}
	return &Engine{options: options, facts: facts, decoder: d}, nil
}

// ownWord stands in the dictionary for a phrase that is given by its phones. No
// dictionary has it, or it could not be added.
const ownWord = "wakefuzz"

// learn has the decoder listen for the phrase.
func (d *decoder) learn(o Options) error {
	if o.Pronunciation != "" {
		phones, err := phoneme.ParsePronunciation(string(o.Pronunciation))
		if err != nil {
			return err
		}
		if err := d.add(ownWord, string(phones.Bare())); err != nil {
			return err
		}
		return d.listenFor(ownWord)
	}
	words := strings.Fields(strings.ToLower(o.Keyphrase))
	lacking := slices.DeleteFunc(slices.Clone(words), d.knows)
	if len(lacking) > 0 {
		return fmt.Errorf("keyphrase: the model's dictionary lacks %s; give the phrase's phones as pronunciation", strings.Join(lacking, ", "))
	}
	return d.listenFor(strings.Join(words, " "))
}

// factsOf are the SHA-256 of all that shapes the scores: the library, the model
// and its dictionary.
func factsOf(model, dictionary string) (map[string]string, error) {
	path, err := load()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(model)
	if err != nil {
		return nil, fmt.Errorf("model: %w; install it with \"apt-get install pocketsphinx-en-us\"", err)
	}
	facts := map[string]string{}
	files := map[string]string{library: path, filepath.Base(dictionary): dictionary}
	for _, entry := range entries {
		files["pocketsphinx "+entry.Name()] = filepath.Join(model, entry.Name())
	}
	for name, path := range files {
		sum, err := sumFile(path)
		if err != nil {
			return nil, err
		}
		facts[name+" sha256"] = sum
	}
	return facts, nil
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Close frees the model. The engine can't be used again.
func (e *Engine) Close() error {
	if e.decoder != nil {
		e.decoder.close()
		e.decoder = nil
	}
	return nil
}

var errClosed = errors.New("pocketsphinx: the engine is closed")

// Name is engine.Name.
func (e *Engine) Name() string { return engine.Name }

// Window is the option of that name.
func (e *Engine) Window() time.Duration { return e.options.Window }

// Facts are what else shapes the scores, for the record of a session: the
// SHA-256 of the library, of the dictionary, and of each of the model's files.
func (e *Engine) Facts() map[string]string { return maps.Clone(e.facts) }

// Play takes the clip. The engine hears it when it is asked what it heard.
func (e *Engine) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	if e.decoder == nil {
		return playback.Sounding{}, errClosed
	}
	if err := ctx.Err(); err != nil {
		return playback.Sounding{}, err
	}
	e.signal = playback.NewSignal(cue, phaseSamples, e.options.NoiseDBFS)
	phase := e.signal.Phase()
	e.origin = e.end
	start := e.origin.Add(phase)
	sound := playback.Sounding{
		Span:      bench.Span{Start: start, End: start.Add(cue.Clip.Duration())},
		Phase:     phase,
		NoiseDBFS: e.options.NoiseDBFS,
	}
	steps := (sound.Span.End.Add(e.options.Window).Sub(e.origin) + step - 1) / step
	e.end = e.origin.Add(steps * step)
	e.scores = nil
	return sound, nil
}

// Observe returns the score of each 100 ms that ended in the span, which must lie
// in the last play and its window: otherwise it is a fault. An error means that
// the library is broken, or that ctx ended.
func (e *Engine) Observe(ctx context.Context, watched bench.Span) (bench.Observation, error) {
	o := bench.Observation{Oracle: engine.Name, Watched: watched}
	switch {
	case e.decoder == nil:
		return o, errClosed
	case ctx.Err() != nil:
		return o, ctx.Err()
	case watched.End < watched.Start:
		return o, fmt.Errorf("pocketsphinx: asked to observe a span that ends %v before it starts", -watched.Duration())
	case watched.Start < e.origin || watched.End > e.end:
		o.Fault = bench.FaultOracle
		o.Detail = "the span is not within the last play and its window, which is all that was heard"
		return o, nil
	}
	if e.scores == nil {
		if err := e.hear(); err != nil {
			return o, fmt.Errorf("pocketsphinx: %w", err)
		}
	}
	first := int(watched.Start.Sub(e.origin) / step)
	end := int(watched.End.Sub(e.origin) / step)
	o.Scores = bench.Series{
		Start:  e.origin.Add(time.Duration(first+1) * step),
		Step:   step,
		Values: slices.Clone(e.scores[first:end]),
	}
	return o, nil
}

// hear listens to the last play.
func (e *Engine) hear() error {
	length := e.end.Sub(e.origin)
	samples := make([]int16, length*tts.SampleRate/time.Second)
	for i := range samples {
		samples[i] = e.signal.Next()
	}
	ratios, err := e.decoder.hear(samples, len(samples)/frameSamples)
	if err != nil {
		return err
	}
	e.scores = make([]float32, length/step)
	for i, ratio := range ratios {
		if ratio != unheard {
			at := i * int(frame) / int(step)
			e.scores[at] = max(e.scores[at], e.options.score(int(ratio)))
		}
	}
	return nil
}

// score is that of a ratio in the library's steps.
func (o Options) score(ratio int) float32 {
	decades := float64(ratio-o.threshold()) * stepDecades
	return float32(min(max(0.5+decades/decadesPerScore, 0), 1))
}
