package scan_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
	"wakefuzz/playback"
	"wakefuzz/scan"
	"wakefuzz/tts"
)

// home is a network of devices that hear what is played to it, on the clock of
// a synctest bubble.
type home struct {
	began   time.Time
	set     time.Duration // what the wall clock was set by
	devices []gadget
	rng     *rand.Rand

	mu      sync.Mutex
	sources []*tap
	played  []string
	fault   string // of the next play
	onPlay  func() // called as a play begins
}

// gadget is a device: it uploads for some seconds after sounds that it minds.
type gadget struct {
	host  capturetest.Host
	minds func(says string) bool
}

var (
	speakers = capturetest.Host{MAC: "02:00:00:00:00:21", IP4: "192.168.1.21"}
	cameras  = capturetest.Host{MAC: "02:00:00:00:00:22", IP4: "192.168.1.22"}
	alarms   = capturetest.Host{MAC: "02:00:00:00:00:23", IP4: "192.168.1.23"}
)

func newHome() *home {
	return &home{began: time.Now(), rng: rand.New(rand.NewPCG(1, 2)), devices: []gadget{
		{speakers, func(says string) bool { return strings.HasPrefix(says, "alexa") }},
		{cameras, func(string) bool { return true }},
		{alarms, func(string) bool { return false }},
	}}
}

func (h *home) pair() bench.Pair {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bench.Pair{At: bench.Instant(time.Since(h.began)), Wall: time.Now().Add(h.set)}
}

// live has the devices send what they send when idle, until ctx ends.
func (h *home) live(ctx context.Context) {
	for i := range h.devices {
		go func() {
			for {
				h.mu.Lock()
				pause, size := time.Duration(h.rng.ExpFloat64()*float64(4*time.Second)), 100+h.rng.IntN(900)
				h.mu.Unlock()
				select {
				case <-ctx.Done():
					return
				case <-time.After(pause):
				}
				h.send(h.devices[i].host, size)
			}
		}()
	}
}

// send puts a packet on the wire.
func (h *home) send(from capturetest.Host, payload int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := capture.Frame{
		Link: capture.LinkEthernet, Time: time.Now().Add(h.set).UTC(),
		Data: capturetest.Frame(from, capturetest.Cloud, capturetest.TCP, payload), Headers: 66,
	}
	f.Length = len(f.Data)
	for _, s := range h.sources {
		select {
		case s.frames <- f:
		default: // as a full ring
			s.stats.Dropped++
		}
	}
}

// Play sounds a clip, whose first sample says which it is.
func (h *home) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	h.mu.Lock()
	says := texts[cue.Clip.Samples[0]]
	h.played = append(h.played, says)
	fault, onPlay := h.fault, h.onPlay
	h.fault = ""
	h.mu.Unlock()
	if onPlay != nil {
		onPlay()
	}
	start := h.pair().At
	if fault != "" {
		return playback.Sounding{Fault: bench.FaultPlayer, Detail: fault}, nil
	}
	select {
	case <-ctx.Done():
		return playback.Sounding{}, ctx.Err()
	case <-time.After(cue.Clip.Duration()):
	}
	for _, d := range h.devices {
		if d.minds(says) {
			go func() {
				for range 30 { // 3 s at 16 kB/s
					h.send(d.host, 1400)
					time.Sleep(100 * time.Millisecond)
				}
			}()
		}
	}
	return playback.Sounding{Span: bench.Span{Start: start, End: start.Add(cue.Clip.Duration())}}, nil
}

// texts are what clips say.
var texts = map[int16]string{}

func clip(_ context.Context, _ scan.Kind, says string) (tts.Clip, error) {
	for n, text := range texts {
		if text == says {
			return tts.Clip{Samples: append([]int16{n}, make([]int16, tts.SampleRate/2-1)...)}, nil
		}
	}
	return tts.Clip{}, errors.New("no such clip")
}

func (h *home) listen(ctx context.Context) (scan.Source, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &tap{ctx: ctx, frames: make(chan capture.Frame, 1000), down: make(chan error, 1)}
	h.sources = append(h.sources, s)
	return s, nil
}

// tap is a capture of a home.
type tap struct {
	ctx    context.Context
	frames chan capture.Frame
	down   chan error
	last   capture.Frame
	stats  capture.Stats
}

func (s *tap) Next() (capture.Packet, error) {
	select {
	case s.last = <-s.frames:
		return capture.Packet{}, nil
	case err := <-s.down:
		return capture.Packet{}, err
	case <-s.ctx.Done():
		return capture.Packet{}, context.Cause(s.ctx)
	}
}

func (s *tap) Frame() capture.Frame { return s.last }
func (s *tap) Stats() capture.Stats { return s.stats }
func (s *tap) Close() error         { return nil }
