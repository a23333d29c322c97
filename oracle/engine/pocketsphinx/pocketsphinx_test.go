package pocketsphinx_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/bench"
	"wakefuzz/oracle/engine"
	"wakefuzz/oracle/engine/pocketsphinx"
	"wakefuzz/oracle/oracletest"
	"wakefuzz/playback"
	"wakefuzz/playback/playbacktest"
	"wakefuzz/tts"
	"wakefuzz/tts/flite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(change ...func(*pocketsphinx.Options)) pocketsphinx.Options {
	o := pocketsphinx.DefaultOptions()
	o.Keyphrase = "alexa"
	for _, f := range change {
		f(&o)
	}
	return o
}

func open(t testing.TB, change ...func(*pocketsphinx.Options)) *pocketsphinx.Engine {
	t.Helper()
	e, err := pocketsphinx.New(options(change...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// say is the clip of a text by a voice of flite.
func say(t testing.TB, voice, text string) tts.Clip {
	t.Helper()
	s, err := flite.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Synthesize(t.Context(), tts.Utterance{Text: text, Voice: tts.Voice{Engine: flite.Engine, Name: voice}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// play plays a cue and observes it for the window after its end.
func play(t testing.TB, e *pocketsphinx.Engine, cue playback.Cue) (playback.Sounding, bench.Observation) {
	t.Helper()
	sound, err := e.Play(t.Context(), cue)
	if err != nil {
		t.Fatal(err)
	}
	o, err := e.Observe(t.Context(), bench.Span{Start: sound.Span.Start, End: sound.Span.End.Add(e.Window())})
	if err != nil || o.Fault != bench.NoFault {
		t.Fatalf("seed %d: error %v, fault %q: %s", cue.Seed, err, o.Fault, o.Detail)
	}
	return sound, o
}

func TestConformance(t *testing.T) {
	t.Run("player", func(t *testing.T) {
		playbacktest.Run(t, func(t *testing.T) playback.Player { return open(t) })
	})
	t.Run("oracle", func(t *testing.T) {
		word := say(t, "slt", "alexa")
		oracletest.Run(t, func(t *testing.T) oracletest.Bench {
			e := open(t)
			seed := uint64(0)
			return oracletest.Bench{Oracle: e, Sound: func(ctx context.Context) (bench.Span, error) {
				seed++
				sound, err := e.Play(ctx, playback.Cue{Clip: word, Seed: seed})
				return sound.Span, err
			}}
		})
	})
}

// The wake word wakes the engine with every voice, at its end; words far from it
// don't.
func TestHearsItsPhrase(t *testing.T) {
	e := open(t)
	for _, voice := range []string{"awb", "kal16", "rms", "slt"} {
		word := say(t, voice, "alexa")
		for seed := range uint64(4) {
			sound, o := play(t, e, playback.Cue{Clip: word, Seed: seed})
			r := engine.DefaultRule().Judge(sound.Span, o)
			if r.State != bench.Reacted || r.Latency > 200*time.Millisecond || r.Latency < -500*time.Millisecond {
				t.Errorf("%s, seed %d: alexa reads %+v", voice, seed, r)
			}
		}
		for _, text := range []string{"banana", "window", "mister smith", "thunderstorm"} {
			sound, o := play(t, e, playback.Cue{Clip: say(t, voice, text)})
			if r := engine.DefaultRule().Judge(sound.Span, o); r.State != bench.Quiet {
				t.Errorf("%s: %q reads %+v", voice, text, r)
			}
		}
	}
	sound, o := play(t, e, playback.Cue{Clip: tts.Clip{Samples: make([]int16, 3*tts.SampleRate)}})
	if r := engine.DefaultRule().Judge(sound.Span, o); r.State != bench.Quiet {
		t.Errorf("silence reads %+v", r)
	}
}

// The engine decides as PocketSphinx's own program does of the same sound.
func TestDecidesAsTheProgram(t *testing.T) {
	dir := t.TempDir()
	e, o := open(t), options()
	decided := map[bool]int{}
	for i, text := range []string{"alexa", "lexus", "plexus", "election", "vex", "acceptable", "banana"} {
		cue := playback.Cue{Clip: say(t, "slt", text), Seed: uint64(i)}
		sound, observed := play(t, e, cue)
		reacted := engine.DefaultRule().Judge(sound.Span, observed).State == bench.Reacted
		decided[reacted]++

		// The same samples, as many as the engine heard.
		signal := playback.NewSignal(cue, 1280, o.NoiseDBFS)
		length := (sound.Phase + cue.Clip.Duration() + o.Window + 100*time.Millisecond - 1).Truncate(100 * time.Millisecond)
		var raw []byte
		for range length * tts.SampleRate / time.Second {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(signal.Next()))
		}
		for name, content := range map[string][]byte{"play.raw": raw, "list": []byte("play\n")} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		hypothesis := filepath.Join(dir, "hypothesis")
		output, err := exec.CommandContext(t.Context(), "pocketsphinx_batch",
			"-hmm", filepath.Join(o.Model, "en-us"), "-dict", filepath.Join(o.Model, "cmudict-en-us.dict"),
			"-keyphrase", o.Keyphrase, "-kws_threshold", fmt.Sprint(o.KWSThreshold), "-kws_delay", "0", "-remove_silence", "no",
			"-adcin", "yes", "-cepdir", dir, "-cepext", ".raw", "-ctl", filepath.Join(dir, "list"), "-hyp", hypothesis).CombinedOutput()
		if err != nil {
			t.Fatalf("%v (apt-get install pocketsphinx): %s", err, output)
		}
		said, err := os.ReadFile(hypothesis)
		if err != nil {
			t.Fatal(err)
		}
		if heard := strings.HasPrefix(string(said), "alexa"); heard != reacted {
			t.Errorf("%s: reacted %v with a best score of %g, while the program says %q", text, reacted, slices.Max(observed.Scores.Values), said)
		}
	}
	if decided[true] < 2 || decided[false] < 2 {
		t.Errorf("of the words %d react and %d don't: no test of a decision", decided[true], decided[false])
	}
}

// Each of several words in one sound is heard where it is.
func TestHearsAPhraseAmongOthers(t *testing.T) {
	e := open(t)
	word, other, gap := say(t, "slt", "alexa"), say(t, "slt", "banana"), make([]int16, tts.SampleRate/2)
	c := tts.Clip{Samples: slices.Concat(other.Samples, gap, word.Samples, gap, other.Samples, gap, word.Samples)}
	ends := []time.Duration{
		other.Duration() + 500*time.Millisecond + word.Duration(),
		c.Duration(),
	}
	sound, o := play(t, e, playback.Cue{Clip: c})
	var heard []time.Duration
	for i, score := range o.Scores.Values {
		if score >= 0.5 {
			heard = append(heard, o.Scores.At(i).Sub(sound.Span.Start))
		}
	}
	if len(heard) != len(ends) {
		t.Fatalf("heard at %v, want %v", heard, ends)
	}
	for i := range ends {
		if d := heard[i] - ends[i]; d < -400*time.Millisecond || d > 200*time.Millisecond {
			t.Errorf("heard at %v, want %v", heard, ends)
		}
	}
}

// A play's scores are the same in any order, by any engine, beside others.
func TestScoresDependOnTheCueAlone(t *testing.T) {
	var cues []playback.Cue
	for i, text := range []string{"alexa", "lexus", "banana", "election", "alexis", "thunderstorm"} {
		cues = append(cues, playback.Cue{Clip: say(t, "kal16", text), Seed: uint64(i)})
	}
	hear := func(e *pocketsphinx.Engine, order ...int) [][]float32 {
		all := make([][]float32, len(cues))
		for _, i := range order {
			_, o := play(t, e, cues[i])
			all[i] = o.Scores.Values
		}
		return all
	}
	engines := []*pocketsphinx.Engine{open(t), open(t)}
	want := hear(engines[0], 0, 1, 2, 3, 4, 5)
	if slices.Max(want[0]) == 0 || slices.Max(want[1]) == 0 {
		t.Fatalf("alexa scores %v, lexus %v", want[0], want[1])
	}
	again := make([][][]float32, 2)
	var wg sync.WaitGroup
	for i, order := range [][]int{{5, 4, 3, 2, 1, 0}, {3, 0, 5, 1, 4, 2}} {
		wg.Go(func() { again[i] = hear(engines[i], order...) })
	}
	wg.Wait()
	for _, got := range again {
		for i := range cues {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("cue %d scores %v, and in another order %v", i, want[i], got[i])
			}
		}
	}
}

// The threshold moves the scores and nothing else: what reacts at one reacts
// where the other's scores say so.
func TestThresholdOnlyMovesTheScores(t *testing.T) {
	strict, lax := open(t, func(o *pocketsphinx.Options) { o.KWSThreshold = 1 }), open(t)
	for _, text := range []string{"alexa", "lexus", "alexis", "election"} {
		cue := playback.Cue{Clip: say(t, "slt", text)}
		_, a := play(t, strict, cue)
		_, b := play(t, lax, cue)
		for i := range a.Scores.Values {
			x, y := float64(a.Scores.Values[i]), float64(b.Scores.Values[i])
			if y > 0.25 && y < 0.95 && math.Abs(y-x-0.2) > 0.001 {
				t.Errorf("%s: a score of %g at threshold 1 and of %g at 1e-20, want 0.2 between them", text, x, y)
			}
		}
	}
}

// A phrase that no dictionary has is heard by its phones, and so is one that has
// others there.
func TestPronunciation(t *testing.T) {
	word := say(t, "slt", "alexa")
	for _, phrase := range []string{"wakefuzz bench", "alexa", "banana"} {
		e := open(t, func(o *pocketsphinx.Options) { o.Keyphrase, o.Pronunciation = phrase, "AH0 L EH1 K S AH0" })
		_, o := play(t, e, playback.Cue{Clip: word})
		if best := slices.Max(o.Scores.Values); best < 0.5 {
			t.Errorf("%s: the best score is %g", phrase, best)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*pocketsphinx.Options)
		want   string
	}{
		"no phrase":       {func(o *pocketsphinx.Options) { o.Keyphrase = " " }, "keyphrase: missing"},
		"unknown word":    {func(o *pocketsphinx.Options) { o.Keyphrase = "okay zorblax" }, "lacks zorblax; give the phrase's phones"},
		"strange phrase":  {func(o *pocketsphinx.Options) { o.Keyphrase = "alexa/1e-2/" }, "keyphrase"},
		"no such phones":  {func(o *pocketsphinx.Options) { o.Pronunciation = "AX" }, "pronunciation"},
		"threshold":       {func(o *pocketsphinx.Options) { o.KWSThreshold = 0 }, "kws_threshold: 0"},
		"threshold NaN":   {func(o *pocketsphinx.Options) { o.KWSThreshold = math.NaN() }, "kws_threshold: NaN"},
		"noise":           {func(o *pocketsphinx.Options) { o.NoiseDBFS = 3 }, "noise_dbfs"},
		"window":          {func(o *pocketsphinx.Options) { o.Window = time.Millisecond }, "window"},
		"model's folder":  {func(o *pocketsphinx.Options) { o.Model = "" }, "model: missing"},
		"model not there": {func(o *pocketsphinx.Options) { o.Model = t.TempDir() }, "apt-get install pocketsphinx-en-us"},
	} {
		if e, err := pocketsphinx.New(options(test.change)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
			if err == nil {
				_ = e.Close()
			}
		}
	}
	if _, err := pocketsphinx.New(options(func(o *pocketsphinx.Options) { o.Model = filepath.Join(t.TempDir(), "none") })); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: error %v, want fs.ErrNotExist", err)
	}
}

// What was not heard is a fault, and no silence.
func TestObserveOutsideThePlay(t *testing.T) {
	e := open(t)
	word := say(t, "slt", "alexa")
	before, _ := play(t, e, playback.Cue{Clip: word})
	sound, _ := play(t, e, playback.Cue{Clip: word})
	for _, span := range []bench.Span{
		before.Span,
		{Start: sound.Span.Start, End: sound.Span.End.Add(time.Minute)},
	} {
		if o, err := e.Observe(t.Context(), span); err != nil || o.Fault != bench.FaultOracle {
			t.Errorf("%v: fault %q, error %v", span, o.Fault, err)
		}
	}
	if _, err := e.Observe(t.Context(), bench.Span{Start: sound.Span.End, End: sound.Span.Start}); err == nil {
		t.Error("a span that ends before it starts is observed")
	}
}

func TestFacts(t *testing.T) {
	facts := open(t).Facts()
	for _, name := range []string{"libpocketsphinx.so.3 sha256", "cmudict-en-us.dict sha256", "pocketsphinx mdef sha256", "pocketsphinx means sha256"} {
		if len(facts[name]) != 64 {
			t.Errorf("%s is %q", name, facts[name])
		}
	}
}

func TestClose(t *testing.T) {
	e := open(t)
	for range 2 {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := e.Play(t.Context(), playback.Cue{}); err == nil {
		t.Error("a closed engine plays")
	}
	if _, err := e.Observe(t.Context(), bench.Span{}); err == nil {
		t.Error("a closed engine observes")
	}
}

func BenchmarkPlay(b *testing.B) {
	e := open(b)
	word := say(b, "kal16", "alexa")
	for i := 0; b.Loop(); i++ {
		play(b, e, playback.Cue{Clip: word, Seed: uint64(i)})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "words/s")
}
