//go:build accuracy

package evaluate_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/evaluate"
	"wakefuzz/oracle/traffic"
	"wakefuzz/stats"
)

// p-values of real idle windows, those of the HomePod in the folder DATA: either
// half of the capture is ranked among the other, without its activations. That
// the test of made-up traffic in oracle/traffic asks of 10,000 windows can't be
// asked of these.
func TestPValuesOfRealIdleTrafficAreSuperUniform(t *testing.T) {
	data := os.Getenv("DATA")
	if data == "" {
		t.Fatal("set DATA to the folder of captures")
	}
	recordings, err := evaluate.ReadLabels(filepath.Join(data, "homepod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recordings {
		packets, length := packetsOf(t, r)
		halves := [2]*traffic.Null{traffic.NewNull(traffic.PacedWindow), traffic.NewNull(traffic.PacedWindow)}
		var scores [2][]float64
		for at := bench.Instant(0); at.Add(traffic.PacedWindow) <= length; at = at.Add(traffic.PacedWindow) {
			window := bench.Span{Start: at, End: at.Add(traffic.PacedWindow)}
			if awake(r, window) {
				continue
			}
			half := 0
			if at >= length/2 {
				half = 1
			}
			score := traffic.PacedPeak(packets, window)
			halves[half].Add(at, score)
			scores[half] = append(scores[half], score)
		}
		var p []float64
		for half, scores := range scores {
			for _, s := range scores {
				p = append(p, halves[1-half].P(s).Value)
			}
		}
		for _, level := range []float64{0.1, 0.01} {
			reached := make([]float64, len(p))
			for i, v := range p {
				if v <= level {
					reached[i] = 1
				}
			}
			in := stats.BlockBootstrap(reached, 20, 1000, 1)
			t.Logf("%s, %d windows: %.4f (%.4f to %.4f) at %g", r.Name, len(p), stats.Mean(reached), in.Lower, in.Upper, level)
			if in.Lower > level {
				t.Errorf("%.4f (%.4f to %.4f) have p <= %g", stats.Mean(reached), in.Lower, in.Upper, level)
			}
		}
	}
}

// awake reports whether the device was awake about then, or just before.
func awake(r evaluate.Recording, window bench.Span) bool {
	for _, a := range r.Activations {
		if window.End > bench.Instant(a.From-5*time.Second) && window.Start < bench.Instant(a.To+5*time.Second) {
			return true
		}
	}
	return false
}

// packetsOf are the device's packets, and how long the capture is.
func packetsOf(t *testing.T, r evaluate.Recording) (packets []bench.Packet, length bench.Instant) {
	t.Helper()
	in, err := capture.Open(r.File, r.Device)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for {
		p, err := in.Next()
		first, latest := in.Times()
		if errors.Is(err, io.EOF) {
			return packets, bench.Instant(latest.Sub(first))
		}
		if err != nil {
			t.Fatal(err)
		}
		direction := bench.Outgoing
		if p.Direction == capture.Incoming {
			direction = bench.Incoming
		}
		packets = append(packets, bench.Packet{At: bench.Instant(p.Time.Sub(first)), Size: p.Size, Payload: p.Payload, Direction: direction})
	}
}
