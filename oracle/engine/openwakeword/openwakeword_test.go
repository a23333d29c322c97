package openwakeword_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine"
	"wakefuzz/oracle/engine/openwakeword"
	"wakefuzz/oracle/oracletest"
	"wakefuzz/phoneme"
	"wakefuzz/playback"
	"wakefuzz/playback/playbacktest"
	"wakefuzz/tts"
	"wakefuzz/tts/flite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dataFolder is where make setup puts what the program does not contain.
func dataFolder() string {
	if folder := os.Getenv("WAKEFUZZ_DATA"); folder != "" {
		return folder
	}
	share := os.Getenv("XDG_DATA_HOME")
	if share == "" {
		share = filepath.Join(os.Getenv("HOME"), ".local", "share")
	}
	return filepath.Join(share, "wakefuzz")
}

func assets() openwakeword.Assets { return openwakeword.AssetsIn(dataFolder()) }

// open opens an engine with default options, but for the changes.
func open(t testing.TB, changes ...func(*openwakeword.Options)) *openwakeword.Engine {
	t.Helper()
	options := openwakeword.DefaultOptions()
	for _, change := range changes {
		change(&options)
	}
	e, err := openwakeword.New(assets(), options)
	if err != nil {
		t.Fatalf("%v (run: make setup)", err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func noise(dbfs float64) func(*openwakeword.Options) {
	return func(o *openwakeword.Options) { o.NoiseDBFS = dbfs }
}

func model(name string) func(*openwakeword.Options) {
	return func(o *openwakeword.Options) { o.Model = name }
}

func clip(t testing.TB, name string) tts.Clip {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".wav"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := tts.DecodeWAV(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// play plays a cue and observes it for that long after its end.
func play(ctx context.Context, e *openwakeword.Engine, cue playback.Cue, window time.Duration) (playback.Sounding, bench.Observation, error) {
	sound, err := e.Play(ctx, cue)
	if err != nil {
		return sound, bench.Observation{}, err
	}
	o, err := e.Observe(ctx, bench.Span{Start: sound.Span.Start, End: sound.Span.End.Add(window)})
	return sound, o, err
}

// scores plays a cue, which must go well, and returns the scores.
func scores(t *testing.T, e *openwakeword.Engine, cue playback.Cue) []float32 {
	t.Helper()
	_, o, err := play(t.Context(), e, cue, e.Window())
	if err != nil || o.Fault != bench.NoFault {
		t.Fatalf("seed %d: error %v, fault %q: %s", cue.Seed, err, o.Fault, o.Detail)
	}
	return o.Scores.Values
}

func TestConformance(t *testing.T) {
	t.Run("player", func(t *testing.T) {
		playbacktest.Run(t, func(t *testing.T) playback.Player { return open(t) })
	})
	t.Run("oracle", func(t *testing.T) {
		word := clip(t, "alexa-kal16")
		oracletest.Run(t, func(t *testing.T) oracletest.Bench {
			e := open(t)
			var plays uint64
			return oracletest.Bench{Oracle: e, Sound: func(ctx context.Context) (bench.Span, error) {
				plays++
				sound, err := e.Play(ctx, playback.Cue{Clip: word, Seed: plays})
				return sound.Span, err
			}}
		})
	})
}

// TestScoresAreThoseOfOpenWakeWord compares with the Python package, and with
// a second implementation of phase and noise; see scripts/openwakeword-golden.py.
func TestScoresAreThoseOfOpenWakeWord(t *testing.T) {
	var cases []struct {
		Model     string    `json:"model"`
		Clip      string    `json:"clip"`
		Seed      uint64    `json:"seed"`
		NoiseDBFS *float64  `json:"noise_dbfs"`
		Phase     int       `json:"phase"` // in samples
		Scores    []float64 `json:"scores"`
	}
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("testdata/golden.json is empty")
	}
	for _, c := range cases {
		level := math.Inf(-1)
		if c.NoiseDBFS != nil {
			level = *c.NoiseDBFS
		}
		e := open(t, model(c.Model), noise(level))
		sound, o, err := play(t.Context(), e, playback.Cue{Clip: clip(t, c.Clip), Seed: c.Seed}, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if want := time.Duration(c.Phase) * time.Second / tts.SampleRate; sound.Phase != want {
			t.Errorf("%s, seed %d: phase %v, want %v", c.Clip, c.Seed, sound.Phase, want)
		}
		if sound.NoiseDBFS != level {
			t.Errorf("%s: noise at %g dBFS, want %g", c.Clip, sound.NoiseDBFS, level)
		}
		if len(o.Scores.Values) != len(c.Scores) {
			t.Fatalf("%s, seed %d: %d scores, want %d", c.Clip, c.Seed, len(o.Scores.Values), len(c.Scores))
		}
		for i, want := range c.Scores {
			if difference := math.Abs(float64(o.Scores.Values[i]) - want); !(difference < 1e-4) {
				t.Errorf("%s by %s, seed %d: score %d is %g, want %g", c.Clip, c.Model, c.Seed, i, o.Scores.Values[i], want)
			}
		}
	}
}

func TestWakeWordReactsAtEveryPhase(t *testing.T) {
	for _, voice := range []string{"kal16", "awb", "rms", "slt"} {
		t.Run(voice, func(t *testing.T) {
			t.Parallel()
			e, word := open(t), clip(t, "alexa-"+voice)
			var best float32
			for seed := range uint64(16) {
				peak := slices.Max(scores(t, e, playback.Cue{Clip: word, Seed: seed}))
				if peak < 0.5 {
					t.Errorf("seed %d: peak score %g", seed, peak)
				}
				best = max(best, peak)
			}
			if best < 0.999 {
				t.Errorf("the best of all peaks is %g", best)
			}
		})
	}
}

func TestFalseWakeWordsReactAtSomePhase(t *testing.T) {
	for _, word := range []string{"lexus-slt", "next-kal16", "vexed-kal16"} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			e, word := open(t), clip(t, word)
			for seed := range uint64(16) {
				if slices.Max(scores(t, e, playback.Cue{Clip: word, Seed: seed})) >= 0.5 {
					return
				}
			}
			t.Error("no reaction at 16 phases")
		})
	}
}

// Phones that no text was read for wake the model as the word does, and other
// phones don't.
func TestPhonesWakeTheModel(t *testing.T) {
	voice, err := flite.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e := open(t)
	for phones, wakes := range map[phoneme.Pronunciation]bool{
		"AH0 L EH1 K S AH0": true,
		"AH L EH K S AH":    true,
		"W IH1 N D OW0":     false,
	} {
		c, err := voice.Synthesize(t.Context(), tts.Utterance{
			Voice: tts.Voice{Engine: flite.Engine, Name: "kal16"}, Pronunciation: phones,
		})
		if err != nil {
			t.Fatal(err)
		}
		if best := slices.Max(scores(t, e, playback.Cue{Clip: c, Seed: 1})); best >= 0.9 != wakes || best < 0.1 == wakes {
			t.Errorf("%s has a score of %g", phones, best)
		}
	}
}

func TestOtherWordsStayQuiet(t *testing.T) {
	e, word := open(t), clip(t, "weather-kal16")
	for seed := range uint64(4) {
		if peak := slices.Max(scores(t, e, playback.Cue{Clip: word, Seed: seed})); peak >= 0.1 {
			t.Errorf("seed %d: peak score %g", seed, peak)
		}
	}
}

func TestSilenceStaysQuiet(t *testing.T) {
	for _, level := range []float64{math.Inf(-1), -60, -30} {
		e := open(t, noise(level))
		_, o, err := play(t.Context(), e, playback.Cue{Seed: 1}, 4*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if peak := slices.Max(o.Scores.Values); peak >= 0.1 {
			t.Errorf("noise at %g dBFS: peak score %g", level, peak)
		}
	}
}

// TestLeadInIsLongEnough: once the lead-in has passed, silence changes nothing.
func TestLeadInIsLongEnough(t *testing.T) {
	for _, name := range []string{"alexa_v0.1", "weather_v0.1"} {
		e := open(t, model(name), noise(math.Inf(-1)))
		// No play yet: the bench is silent.
		o, err := e.Observe(t.Context(), bench.Span{End: bench.Instant(5 * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		if want := int(5 * time.Second / (80 * time.Millisecond)); len(o.Scores.Values) != want {
			t.Fatalf("%s: %d scores in 5 s, want %d", name, len(o.Scores.Values), want)
		}
		if slices.Min(o.Scores.Values) != slices.Max(o.Scores.Values) {
			t.Errorf("%s: the scores of silence move: %v", name, o.Scores.Values)
		}
	}
}

// TestScoresDependOnTheCueAlone plays the same cues on engines side by side,
// forwards and backwards.
func TestScoresDependOnTheCueAlone(t *testing.T) {
	var cues []playback.Cue
	for seed, name := range []string{"alexa-kal16", "vexed-kal16", "lexus-slt", "vexed-kal16", "next-kal16"} {
		cues = append(cues, playback.Cue{Clip: clip(t, name), Seed: uint64(seed)})
	}
	alone := open(t)
	var want [][]float32
	for _, cue := range cues {
		want = append(want, scores(t, alone, cue))
	}
	if slices.Equal(want[1], want[3]) {
		t.Error("two seeds gave the same scores")
	}

	backwards := slices.Clone(cues)
	slices.Reverse(backwards)
	results := make([][][]float32, 2)
	var wait sync.WaitGroup
	for i, cues := range [][]playback.Cue{cues, backwards} {
		e := open(t)
		wait.Go(func() {
			for _, cue := range cues {
				_, o, err := play(t.Context(), e, cue, e.Window())
				if err != nil {
					t.Error(err)
					return
				}
				results[i] = append(results[i], o.Scores.Values)
			}
		})
	}
	wait.Wait()
	slices.Reverse(results[1])
	for i, got := range results {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("engine %d of two gave other scores than one alone", i+1)
		}
	}
}

// countdown is a context that ends after so many looks at it.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestCancelledInTheMiddle(t *testing.T) {
	e := open(t)
	cue := playback.Cue{Clip: babble(t, 12*tts.SampleRate, 1), Seed: 1}
	want := scores(t, e, cue)
	for looks := range 4 { // at the start of the play and of each batch of frames
		if _, _, err := play(&countdown{t.Context(), looks}, e, cue, e.Window()); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled after %d looks: error %v", looks, err)
		}
		if got := scores(t, e, cue); !slices.Equal(got, want) {
			t.Errorf("cancelled after %d looks: the next play gave other scores", looks)
		}
	}
}

func TestScoreThatIsNotANumber(t *testing.T) {
	e := open(t, model("testdata/not-a-number.onnx"))
	sound, o, err := play(t.Context(), e, playback.Cue{Clip: clip(t, "alexa-kal16")}, e.Window())
	if err != nil {
		t.Fatal(err)
	}
	if o.Fault != bench.FaultOracle || !strings.Contains(o.Detail, "not a number") {
		t.Errorf("fault %q: %s", o.Fault, o.Detail)
	}
	rules := oracle.Rules{
		Judges: map[string]oracle.Judge{engine.Name: engine.DefaultRule().Judge},
		Fusion: engine.Name,
	}
	if v := rules.Judge(sound.Span, []bench.Observation{o}); v.State != bench.Unmeasured {
		t.Errorf("it was judged as %v", v.State)
	}
}

func TestObserveAfterTheFact(t *testing.T) {
	e := open(t)
	first, err := e.Play(t.Context(), playback.Cue{Clip: clip(t, "alexa-kal16")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Play(t.Context(), playback.Cue{}); err != nil {
		t.Fatal(err)
	}
	o, err := e.Observe(t.Context(), first.Span)
	if err != nil || o.Fault != bench.FaultOracle {
		t.Errorf("a span before the last play: error %v, fault %q", err, o.Fault)
	}
	if _, err := e.Observe(t.Context(), bench.Span{Start: 2, End: 1}); err == nil {
		t.Error("a span that ends before it starts was observed")
	}
}

func TestClose(t *testing.T) {
	e := open(t)
	for range 2 {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Play(t.Context(), playback.Cue{}); err == nil {
		t.Error("a closed engine plays")
	}
	if _, err := e.Observe(t.Context(), bench.Span{}); err == nil {
		t.Error("a closed engine observes")
	}
}

func TestFacts(t *testing.T) {
	facts := open(t).Facts()
	sum := regexp.MustCompile(`^[0-9a-f]{64}$`)
	for _, file := range []string{"alexa_v0.1.onnx", "melspectrogram.onnx", "embedding_model.onnx", "onnxruntime"} {
		if !sum.MatchString(facts[file+" sha256"]) {
			t.Errorf("no SHA-256 of %s in %v", file, facts)
		}
		delete(facts, file+" sha256")
	}
	if v := facts["onnxruntime version"]; !strings.HasPrefix(v, "1.") || len(facts) != 1 {
		t.Errorf("version %q, other facts %v", v, facts)
	}
}

func TestNewRefuses(t *testing.T) {
	open(t) // so that the process has its runtime
	folder := t.TempDir()
	text := filepath.Join(folder, "text.onnx")
	if err := os.WriteFile(text, []byte("not a model"), 0o600); err != nil {
		t.Fatal(err)
	}
	models := assets().Models
	swapped := t.TempDir() // where another model lies in the place of one
	for as, name := range map[string]string{
		"melspectrogram.onnx":  "melspectrogram.onnx",
		"embedding_model.onnx": "melspectrogram.onnx",
		"alexa_v0.1.onnx":      "alexa_v0.1.onnx",
	} {
		if err := os.Symlink(filepath.Join(models, name), filepath.Join(swapped, as)); err != nil {
			t.Fatal(err)
		}
	}
	huge := filepath.Join(folder, "huge.onnx")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 1<<30); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		change  func(*openwakeword.Assets, *openwakeword.Options)
		missing bool
		want    []string
	}{
		{"no library", func(a *openwakeword.Assets, _ *openwakeword.Options) { a.Library = folder + "/gone.so" }, true, []string{"gone.so", "make setup"}},
		{"a second library", func(a *openwakeword.Assets, _ *openwakeword.Options) { a.Library = text }, false, []string{"already", "text.onnx"}},
		{"no models", func(a *openwakeword.Assets, _ *openwakeword.Options) { a.Models = folder + "/gone" }, true, []string{"melspectrogram.onnx", "make setup"}},
		{"an unknown model", func(_ *openwakeword.Assets, o *openwakeword.Options) { o.Model = "alexo" }, true, []string{"alexo.onnx", "alexa_v0.1, hey_jarvis_v0.1"}},
		{"a path to nothing", func(_ *openwakeword.Assets, o *openwakeword.Options) { o.Model = folder + "/gone.onnx" }, true, []string{"gone.onnx"}},
		{"not a model", func(_ *openwakeword.Assets, o *openwakeword.Options) { o.Model = text }, false, []string{"text.onnx"}},
		{"a huge file", func(_ *openwakeword.Assets, o *openwakeword.Options) { o.Model = huge }, false, []string{"huge.onnx", "64 MB"}},
		{"another embedding model", func(a *openwakeword.Assets, _ *openwakeword.Options) { a.Models = swapped }, false, []string{"embedding_model.onnx", "not the model of openWakeWord 0.5"}},
		{"not a wake word's model", func(_ *openwakeword.Assets, o *openwakeword.Options) { o.Model = models + "/embedding_model.onnx" }, false, []string{"embedding_model.onnx", "not a model of a single wake word"}},
		{"bad options", func(_ *openwakeword.Assets, o *openwakeword.Options) { o.Window = 0 }, false, []string{"window"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, o := assets(), openwakeword.DefaultOptions()
			tt.change(&a, &o)
			_, err := openwakeword.New(a, o)
			if err == nil {
				t.Fatal("no error")
			}
			if got := errors.Is(err, fs.ErrNotExist); got != tt.missing {
				t.Errorf("%v: is %v: %t", err, fs.ErrNotExist, got)
			}
			for _, want := range append(tt.want, "openwakeword: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not speak of %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has more than one line", err)
			}
		})
	}
}

// TestLibraryThatIsNone needs a process that has not loaded a runtime yet.
func TestLibraryThatIsNone(t *testing.T) {
	const variable = "WAKEFUZZ_TEST_LIBRARY"
	if library := os.Getenv(variable); library != "" {
		a := assets()
		a.Library = library
		_, err := openwakeword.New(a, openwakeword.DefaultOptions())
		fmt.Println(err)
		return
	}
	library := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(library, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestLibraryThatIsNone$")
	child.Env = append(os.Environ(), variable+"="+library)
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "text.so can't be loaded") {
		t.Errorf("%v, %s", err, out)
	}
}

func TestOptionsValidate(t *testing.T) {
	if err := openwakeword.DefaultOptions().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for want, change := range map[string]func(*openwakeword.Options){
		"":               noise(math.Inf(-1)),
		"noise_dbfs: ":   noise(math.Inf(1)),
		"noise_dbfs: N":  noise(math.NaN()),
		"noise_dbfs: 0":  noise(0),
		"noise_dbfs: -1": noise(-101),
		"model: ":        model(""),
		"window: ":       func(o *openwakeword.Options) { o.Window = 79 * time.Millisecond },
	} {
		o := openwakeword.DefaultOptions()
		change(&o)
		err := o.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%+v: error %v, want %q", o, err, want)
		}
	}
}
