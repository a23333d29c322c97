package speaker

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/gen2brain/malgo"

	"wakefuzz/bench"
	"wakefuzz/tts"
)

// stream is an open device. It asks for samples on a thread of its own, by
// fill, which therefore neither waits nor allocates: what passes between that
// thread and the player's goroutine is atomic.
type stream struct {
	context  *malgo.AllocatedContext
	device   *malgo.Device
	clock    bench.Clock
	handed   int64                 // samples handed over so far; fill's own
	sound    atomic.Pointer[sound] // what is to be heard; nil for silence
	requests requestLog
}

// fill gives the device the samples that it asks for.
func (s *stream) fill(out []byte) {
	now := s.clock.Now()
	clear(out)
	if sound := s.sound.Load(); sound != nil {
		sound.fill(out, s.handed)
	}
	s.handed += int64(len(out) / 2)
	s.requests.add(request{at: now, handed: s.handed})
}

// close frees the device. It waits for the sound system, as long as that takes.
func (s *stream) close() {
	// Uninit alone would wait for a sign from the device, and one that was
	// unplugged gives none.
	_ = s.device.Stop() // one that fails to stop has stopped by itself
	s.device.Uninit()
	disconnect(s.context)
}

// fadeLength is how long a sound takes to fade when it is broken off: 5 ms.
const fadeLength = tts.SampleRate / 200

// sound is a clip on its way to the device.
type sound struct {
	samples []int16
	begun   bool // fill's own, like the next two
	next    int  // the sample to hand over next
	faded   int  // how much of the fade has passed

	first     atomic.Int64 // the stream's sample at which it begins; known once over
	handed    atomic.Int64 // how many samples sounded; known once over
	cancelled atomic.Bool  // it is to fade
	over      atomic.Bool  // all of it was handed over
}

// fill puts the sound's next samples over the silence in out, which begins
// with the given sample of the stream.
func (s *sound) fill(out []byte, position int64) {
	if !s.begun {
		s.begun = true
		s.first.Store(position)
	}
	fading := s.cancelled.Load()
	for ; len(out) > 0 && s.next < len(s.samples); out = out[2:] {
		sample := s.samples[s.next]
		s.next++
		if fading {
			s.faded++
			if s.faded > fadeLength {
				s.handed.Store(int64(s.next - 1))
				s.next = len(s.samples)
				s.over.Store(true)
				return
			}
			sample = int16(int(sample) * (fadeLength - s.faded) / fadeLength)
		}
		binary.NativeEndian.PutUint16(out, uint16(sample))
	}
	if s.next == len(s.samples) && !s.over.Load() {
		s.handed.Store(int64(s.next))
		s.over.Store(true)
	}
}

// request is a moment at which the device asked for samples.
type request struct {
	at     bench.Instant
	handed int64 // how many it had been given in all, with those
}

// requestLog holds the latest requests. One thread writes and one reads, and
// neither waits for the other.
type requestLog struct {
	written atomic.Int64
	entries [1024]struct{ at, handed atomic.Int64 }
}

func (l *requestLog) add(r request) {
	n := l.written.Load()
	entry := &l.entries[n%int64(len(l.entries))]
	entry.at.Store(int64(r.at))
	entry.handed.Store(r.handed)
	l.written.Store(n + 1)
}

// since appends the requests from number n on to those given, and returns the
// number of the next. The older half of the log is left alone, as it may be
// overwritten meanwhile.
func (l *requestLog) since(n int64, requests []request) ([]request, int64) {
	written := l.written.Load()
	for n = max(n, written-int64(len(l.entries)/2)); n < written; n++ {
		entry := &l.entries[n%int64(len(l.entries))]
		requests = append(requests, request{bench.Instant(entry.at.Load()), entry.handed.Load()})
	}
	return requests, written
}
