package tts_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"wakefuzz/tts"
)

// sine is a pure tone at the given rate.
func sine(hertz, amplitude float64, rate, samples int) []int16 {
	s := make([]int16, samples)
	for i := range s {
		s[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*hertz*float64(i)/float64(rate))))
	}
	return s
}

// wavFile describes a file as another program would write it.
type wavFile struct {
	format, channels, rate, align, bits int
	extra                               string // chunks between format and data
	dataSize                            int64  // -1 for the true one
	samples                             []int16
}

func mono(rate int, samples []int16) wavFile {
	return wavFile{format: 1, channels: 1, rate: rate, align: 2, bits: 16, dataSize: -1, samples: samples}
}

func (f wavFile) bytes() []byte {
	le := binary.LittleEndian
	var fmtBody []byte
	fmtBody = le.AppendUint16(fmtBody, uint16(f.format))
	fmtBody = le.AppendUint16(fmtBody, uint16(f.channels))
	fmtBody = le.AppendUint32(fmtBody, uint32(f.rate))
	fmtBody = le.AppendUint32(fmtBody, uint32(f.rate*f.align))
	fmtBody = le.AppendUint16(fmtBody, uint16(f.align))
	fmtBody = le.AppendUint16(fmtBody, uint16(f.bits))
	size := f.dataSize
	if size < 0 {
		size = int64(2 * len(f.samples))
	}
	b := []byte("RIFF\x00\x00\x00\x00WAVE")
	b = append(b, chunk("fmt ", string(fmtBody))...)
	b = append(b, f.extra...)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(size))
	for _, s := range f.samples {
		b = le.AppendUint16(b, uint16(s))
	}
	return b
}

// chunk pads an odd body, as RIFF asks for.
func chunk(name, body string) string {
	b := binary.LittleEndian.AppendUint32([]byte(name), uint32(len(body)))
	return string(b) + body + strings.Repeat("\x00", len(body)%2)
}

func TestWAVRoundTrip(t *testing.T) {
	for _, want := range [][]int16{{}, {0}, {math.MinInt16, -1, 0, 1, math.MaxInt16}, sine(440, 9000, tts.SampleRate, 5000)} {
		var b bytes.Buffer
		if err := tts.EncodeWAV(&b, tts.Clip{Samples: want}); err != nil {
			t.Fatal(err)
		}
		if size := binary.LittleEndian.Uint32(b.Bytes()[4:]); int(size) != b.Len()-8 {
			t.Errorf("the header says %d bytes follow, %d do", size, b.Len()-8)
		}
		got, err := tts.DecodeWAV(iotest.OneByteReader(&b))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Samples, want) {
			t.Errorf("%d samples came back as %d others", len(want), len(got.Samples))
		}
	}
}

func TestDecodeWAV(t *testing.T) {
	samples := sine(300, 8000, tts.SampleRate, 800)
	var sides []int16
	for _, s := range samples {
		sides = append(sides, s+100, s-100)
	}
	stereo := mono(tts.SampleRate, sides)
	stereo.channels, stereo.align = 2, 4

	with := func(change func(*wavFile)) []byte {
		f := mono(tts.SampleRate, samples)
		change(&f)
		return f.bytes()
	}
	for name, file := range map[string][]byte{
		"mono":                with(func(*wavFile) {}),
		"stereo is averaged":  stereo.bytes(),
		"odd unknown chunk":   with(func(f *wavFile) { f.extra = chunk("LIST", "a comment") }),
		"streaming, size 0":   with(func(f *wavFile) { f.dataSize = 0 }),
		"streaming, espeak":   with(func(f *wavFile) { f.dataSize = 0x7FFFF000 }),
		"streaming, all ones": with(func(f *wavFile) { f.dataSize = math.MaxUint32 }),
		"something behind":    append(with(func(*wavFile) {}), "garbage"...),
	} {
		got, err := tts.DecodeWAV(bytes.NewReader(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !slices.Equal(got.Samples, samples) {
			t.Errorf("%s: other samples came back", name)
		}
	}
}

func TestDecodeWAVRefuses(t *testing.T) {
	samples := make([]int16, 100)
	with := func(change func(*wavFile)) string {
		f := mono(tts.SampleRate, samples)
		change(&f)
		return string(f.bytes())
	}
	whole := with(func(*wavFile) {})
	for name, test := range map[string]struct{ file, want string }{
		"empty file":         {"", "truncated in the header"},
		"not WAV":            {"<!DOCTYPE html>", "not a RIFF/WAVE file"},
		"big-endian":         {"RIFX" + whole[4:], "not a RIFF/WAVE file"},
		"half a header":      {whole[:30], "truncated in the chunk"},
		"no sound at all":    {whole[:36], "no sound so far"},
		"sound first":        {whole[:12] + whole[36:], "without a format chunk"},
		"short format chunk": {whole[:12] + chunk("fmt ", "12345678901234"), "format chunk of 14 bytes"},
		"truncated":          {whole[:len(whole)-2], "198 of 200 bytes"},
		"odd size":           {with(func(f *wavFile) { f.dataSize = 199 }), "whole frames"},
		"odd streaming":      {with(func(f *wavFile) { f.dataSize = 0 }) + "x", "whole frames"},
		"float":              {with(func(f *wavFile) { f.format = 3 }), "only PCM"},
		"8 bits":             {with(func(f *wavFile) { f.bits = 8 }), "only PCM"},
		"5.1":                {with(func(f *wavFile) { f.channels = 6 }), "6 channels"},
		"wrong frame size":   {with(func(f *wavFile) { f.align = 4 }), "4 bytes per frame"},
		"too slow":           {with(func(f *wavFile) { f.rate = 7999 }), "7999 samples per second"},
		"too fast":           {with(func(f *wavFile) { f.rate = 96000 }), "96000 samples per second"},
		"too long":           {with(func(f *wavFile) { f.dataSize = 61 * 2 * tts.SampleRate }), "longer than 1m0s"},
		"huge chunk":         {with(func(f *wavFile) { f.extra = "LIST\xff\xff\xff\xff" }), "claims 4294967295 bytes"},
		"chunks for ever":    {whole[:36] + strings.Repeat(chunk("junk", ""), 100), "no sound in the first 64"},
	} {
		if _, err := tts.DecodeWAV(strings.NewReader(test.file)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one about %q", name, err, test.want)
		}
	}
}

// A pipe that never ends is not read to its end.
func TestDecodeWAVBoundsAStream(t *testing.T) {
	f := mono(tts.SampleRate, nil)
	f.dataSize = 0
	endless := io.MultiReader(bytes.NewReader(f.bytes()), zeros{})
	if _, err := tts.DecodeWAV(endless); err == nil || !strings.Contains(err.Error(), "longer than 1m0s") {
		t.Errorf("error %v, want one about the length", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestWAVPassesOnErrors(t *testing.T) {
	broken := errors.New("the cable is out")
	var b bytes.Buffer
	if err := tts.EncodeWAV(&b, tts.Clip{Samples: make([]int16, 100)}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{0, 14, 100} {
		r := io.MultiReader(io.LimitReader(bytes.NewReader(b.Bytes()), n), iotest.ErrReader(broken))
		if _, err := tts.DecodeWAV(r); !errors.Is(err, broken) {
			t.Errorf("reading fails after %d bytes: error %v, want %v", n, err, broken)
		}
	}
	r, w := io.Pipe()
	r.CloseWithError(broken)
	if err := tts.EncodeWAV(w, tts.Clip{}); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	if err := tts.EncodeWAV(io.Discard, tts.Clip{Samples: make([]int16, 61*tts.SampleRate)}); err == nil {
		t.Error("a clip that can't be read back is written")
	}
}

func FuzzDecodeWAV(f *testing.F) {
	f.Add(mono(tts.SampleRate, sine(440, 9000, tts.SampleRate, 100)).bytes())
	f.Add(mono(8000, sine(440, 9000, 8000, 50)).bytes())
	f.Add(mono(22050, sine(440, 9000, 22050, 50)).bytes())
	f.Add(mono(47999, sine(440, 9000, 47999, 50)).bytes())
	streaming := mono(tts.SampleRate, make([]int16, 10))
	streaming.dataSize, streaming.extra = 0x7FFFF000, chunk("LIST", "odd")
	f.Add(streaming.bytes())
	stereo := mono(44100, make([]int16, 10))
	stereo.channels, stereo.align = 2, 4
	f.Add(stereo.bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 1<<16 {
			return // more of the same
		}
		c, err := tts.DecodeWAV(bytes.NewReader(file))
		if err != nil {
			if len(c.Samples) != 0 {
				t.Fatalf("both %d samples and an error: %v", len(c.Samples), err)
			}
			return
		}
		// What was read can be written, and reads the same.
		var b bytes.Buffer
		if err := tts.EncodeWAV(&b, c); err != nil {
			t.Fatal(err)
		}
		again, err := tts.DecodeWAV(&b)
		if err != nil || !slices.Equal(again.Samples, c.Samples) {
			t.Fatalf("%d samples came back as %d, error %v", len(c.Samples), len(again.Samples), err)
		}
	})
}
