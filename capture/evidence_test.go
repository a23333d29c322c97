package capture_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/pcapgo"

	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
)

func TestEvidenceHoldsHeadersAndTrueLengths(t *testing.T) {
	const comment = "play 3f2a#4 of \"alexia\", attempt 1"
	secret := capturetest.Frame(speakerHost, cloud, capturetest.TCP, 500)
	copy(secret[66:], bytes.Repeat([]byte("what was said "), 30))
	file := pcapFile(1, frames(secret, capturetest.Frame6(cloud, speakerHost, capturetest.UDP, 300))...)
	want, _, err := read(t, file, speaker)
	if err != nil {
		t.Fatal(err)
	}
	for keep, says := range map[capture.Keep]bool{capture.KeepHeaders: false, capture.KeepPayload: true} {
		var out bytes.Buffer
		w, err := capture.NewWriter(&out, capture.LinkEthernet, keep, comment)
		if err != nil {
			t.Fatal(err)
		}
		r := open(t, file, speaker)
		for {
			if _, err := r.Next(); errors.Is(err, io.EOF) {
				break
			}
			if err := w.Write(r.Frame()); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(out.Bytes(), []byte("what was said")) != says {
			t.Errorf("keep %d: payload kept is %v, want %v", keep, !says, says)
		}
		got, _, err := read(t, out.Bytes(), speaker)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("keep %d: read again %+v, %v; want %+v", keep, got, err, want)
		}
		other, err := pcapgo.NewNgReader(&out, pcapgo.DefaultNgReaderOptions)
		if err != nil || other.SectionInfo().Comment != comment {
			t.Errorf("keep %d: the comment is %q, %v", keep, other.SectionInfo().Comment, err)
		}
	}
}

// full is a disk without room.
type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWhatCannotBeWritten(t *testing.T) {
	if _, err := capture.NewWriter(io.Discard, capture.LinkEthernet, 0, strings.Repeat("x", 1<<16)); err == nil {
		t.Error("a giant comment was taken")
	}
	if _, err := capture.NewWriter(io.Discard, capture.LinkCooked2, 0, ""); err == nil {
		t.Error("a link type that the writer has no number for was taken")
	}
	w, err := capture.NewWriter(full{}, capture.LinkEthernet, capture.KeepPayload, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(capture.Frame{Link: capture.LinkRaw}); err == nil {
		t.Error("a frame of another link type was taken")
	}
	frame := capture.Frame{Link: capture.LinkEthernet, Data: make([]byte, 10<<10), Length: 10 << 10}
	if err := w.Write(frame); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
	if err := w.Flush(); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
	if _, err := capture.NewWriter(full{}, capture.LinkEthernet, 0, strings.Repeat("x", 10<<10)); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
}

func TestRecentFrames(t *testing.T) {
	at := func(s float64) time.Time { return noon.Add(time.Duration(s * float64(time.Second))) }
	recent := capture.NewRecent(10*time.Second, capture.KeepHeaders)
	buffer := make([]byte, 100)
	for i := range 30 {
		buffer[0] = byte(i) // the buffer is used again, as a source's is
		recent.Add(capture.Frame{Time: at(float64(i)), Data: buffer, Length: 100, Headers: 40})
	}
	var got []byte
	for _, f := range recent.Frames() {
		if len(f.Data) != 40 || f.Length != 100 {
			t.Errorf("kept %d bytes of %d", len(f.Data), f.Length)
		}
		got = append(got, f.Data[0])
	}
	if want := []byte{19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29}; !bytes.Equal(got, want) {
		t.Errorf("frames %v, want %v", got, want)
	}

	// A flood within the span doesn't take all memory: the oldest go.
	flood := capture.NewRecent(time.Hour, capture.KeepPayload)
	large := make([]byte, 1<<20)
	for i := range 100 {
		flood.Add(capture.Frame{Time: at(float64(i)), Data: large, Length: len(large)})
	}
	if n := len(flood.Frames()); n < 50 || n > 64 {
		t.Errorf("%d MB kept of a flood of 100", n)
	}
}
