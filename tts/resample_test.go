package tts_test

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"wakefuzz/tts"
)

// The resampler is tested through DecodeWAV, the only way into it.

// convert reads sound of another rate as a clip.
func convert(t testing.TB, rate int, samples []int16) []int16 {
	t.Helper()
	c, err := tts.DecodeWAV(bytes.NewReader(mono(rate, samples).bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return c.Samples
}

// inner leaves out the edges, where the kernel reaches into the silence around
// the sound.
func inner(s []int16) []int16 { return s[len(s)/8 : len(s)*7/8] }

// fit finds the amplitude of a tone in s by least squares, and the RMS of what
// is left without it.
func fit(s []int16, hertz float64) (amplitude, rest float64) {
	var ss, cc, sc, xs, xc float64
	basis := func(i int) (float64, float64) {
		return math.Sincos(2 * math.Pi * hertz * float64(i) / tts.SampleRate)
	}
	for i, x := range s {
		sin, cos := basis(i)
		ss, cc, sc = ss+sin*sin, cc+cos*cos, sc+sin*cos
		xs, xc = xs+float64(x)*sin, xc+float64(x)*cos
	}
	det := ss*cc - sc*sc
	a, b := (xs*cc-xc*sc)/det, (xc*ss-xs*sc)/det
	for i, x := range s {
		sin, cos := basis(i)
		d := float64(x) - a*sin - b*cos
		rest += d * d
	}
	return math.Hypot(a, b), math.Sqrt(rest / float64(len(s)))
}

func decibel(ratio float64) float64 { return 20 * math.Log10(ratio) }

// A tone in the pass band comes out as the same tone, and nothing else does.
func TestResampleKeepsTones(t *testing.T) {
	const amplitude = 30000
	worst := math.Inf(1)
	for _, rate := range []int{8000, 11025, 12345, 22050, 24000, 32000, 44100, 47999, 48000} {
		for _, share := range []float64{0.01, 0.1, 0.5, 0.85} {
			hertz := share * min(float64(rate), tts.SampleRate) / 2
			got, rest := fit(inner(convert(t, rate, sine(hertz, amplitude, rate, rate/2))), hertz)
			snr := decibel(amplitude / math.Sqrt2 / rest)
			worst = min(worst, snr)
			if gain := decibel(got / amplitude); snr < 80 || math.Abs(gain) > 0.01 {
				t.Errorf("%.0f Hz from %d samples/s: signal to noise %.1f dB (want 80), gain %.3f dB", hertz, rate, snr, gain)
			}
		}
	}
	t.Logf("worst signal to noise %.1f dB", worst)
}

// A tone that a clip can't hold is gone, rather than folded to another pitch.
func TestResampleSuppressesAliases(t *testing.T) {
	const amplitude = 30000
	for _, rate := range []int{22050, 24000, 44100, 48000} {
		for hertz := 8050.0; hertz < float64(rate)/2; hertz += 487 {
			_, left := fit(inner(convert(t, rate, sine(hertz, amplitude, rate, rate/4))), 1000)
			if got := decibel(left / (amplitude / math.Sqrt2)); got > -80 {
				t.Errorf("%.0f Hz from %d samples/s: %.1f dB are left (want -80)", hertz, rate, got)
			}
		}
	}
}

// Raising the rate adds no images above the old Nyquist frequency.
func TestResampleSuppressesImages(t *testing.T) {
	const amplitude = 30000
	_, left := fit(inner(convert(t, 8000, sine(3300, amplitude, 8000, 4000))), 3300)
	if got := decibel(left / (amplitude / math.Sqrt2)); got > -80 {
		t.Errorf("images at %.1f dB (want -80)", got)
	}
}

func TestResampleKeepsConstants(t *testing.T) {
	for _, rate := range []int{8000, 11025, 22050, 44100, 47999} {
		flat := make([]int16, rate/2)
		for i := range flat {
			flat[i] = 12345
		}
		for i, x := range inner(convert(t, rate, flat)) {
			if x != 12345 {
				t.Fatalf("from %d samples/s: a constant 12345 becomes %d at sample %d", rate, x, i)
			}
		}
	}
}

func TestResampleLength(t *testing.T) {
	for _, rate := range []int{8000, 8001, 11025, 16000, 22050, 44100, 48000} {
		for _, n := range []int{0, 1, 2, 3, 440, 441, 442, rate} {
			want := (n*tts.SampleRate + rate - 1) / rate
			if got := len(convert(t, rate, make([]int16, n))); got != want {
				t.Errorf("%d samples at %d/s: %d come out, want %d", n, rate, got, want)
			}
		}
	}
}

// Sound at full scale overshoots between its samples. It is held there, not
// wrapped around.
func TestResampleSaturates(t *testing.T) {
	square := make([]int16, 2000)
	for i := range square {
		square[i] = math.MaxInt16
		if i/50%2 == 1 {
			square[i] = math.MinInt16
		}
	}
	for i, x := range inner(convert(t, 8000, square)) {
		at := (i + 500) % 200 // 4000/8 samples in; a period is 200
		if at > 10 && at < 90 && x < 20000 || at > 110 && at < 190 && x > -20000 {
			t.Fatalf("sample %d of the period is %d", at, x)
		}
	}
}

func BenchmarkDecodeWAV(b *testing.B) {
	for _, rate := range []int{8000, 16000, 22050, 24000} {
		file := mono(rate, sine(440, 9000, rate, rate)).bytes()
		b.Run(fmt.Sprintf("%dHz", rate), func(b *testing.B) {
			for b.Loop() {
				if _, err := tts.DecodeWAV(bytes.NewReader(file)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "s/s")
		})
	}
}
