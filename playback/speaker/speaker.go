// Package speaker is the player of a bench with hardware: it sounds clips from
// a loudspeaker, through PulseAudio or ALSA.
//
// # Loudness
//
// Voices differ in level by ten decibels and more, and a device that hears one
// word louder than another is not asked the same question. Each clip is
// therefore brought to one level: the RMS of its voice, which is all frames of
// 20 ms that are no more than 20 dB below its loudest frame. A ceiling on the
// peak has the last word; [Options.Gain] tells whether it held a clip down.
// Levels are in dBFS, relative to a square wave of full scale. A clip whose
// voice would lie below -60 dBFS is silence, and is sounded as it is.
//
// # Time
//
// The device stays open from play to play and is fed silence, so that no
// amplifier has to wake up for a word. It asks for samples at its own pace, and
// that pace tells when each sample is taken, to a fraction of a millisecond,
// however late the program answers. From there to the loudspeaker it takes as
// long as the device's buffers hold, which is measured when it is opened: it
// asks to have them filled, faster than it sounds them. A sound server divides
// the 200 ms that it is asked for between a buffer that can be seen so, of
// 120 ms with PulseAudio, and the block that it works on. How long that is
// follows from what it asks for at a time, more or less closely.
// [playback.Sounding.Span] is reckoned with the middle of what is possible, and
// [Speaker.Latency] says how much it may be off: 5 ms where no other program
// uses the device, else 15 ms, and up to 33 ms if blocks are between 25 and
// 80 ms long. Against recordings of PulseAudio sinks, where 15 ms are stated,
// spans were 5.0 to 5.3 ms late. Where it is 5 ms a recording would change it;
// by the same stream before and after one began, it is right to 0.3 ms.
//
// # When the device fails
//
// A device that runs dry or stands still in the middle of a play, because the
// machine is too busy or the device was unplugged, makes that play a
// [bench.FaultPlayer]. What was interrupted is known from the device's pace: it
// asks for what follows that much later. A device that is gone is opened again
// before the next play, under the same ID, at growing intervals for up to 10 s;
// then that play is a fault as well. Another device never takes its place.
//
// # Limits
//
//   - What follows the sound system is not known to it, and not in the latency:
//     a Bluetooth link (100 to 300 ms), a television, the way through the air
//     (3 ms a metre).
//   - The volume of the system and of the amplifier is left as it is.
//   - Another program that begins or ceases to use the device in the middle of a
//     play makes PulseAudio work in other blocks, and that span may be off by
//     80 ms.
//   - The device's requests are answered by the Go scheduler: a program that
//     keeps all its threads busy for 100 ms loses sound. Where the system
//     permits it the answering thread is a real-time one.
//   - A device that falls asleep on digital silence, as some Bluetooth and HDMI
//     devices do, still cuts the beginning of words.
//   - An ALSA device may be a plugin that hands the sound on to a server. What
//     that holds is not in the latency: up to 50 ms with PulseAudio's. ALSA's
//     part was tried with this plugin, not with a card, and PulseAudio's not
//     with PipeWire.
package speaker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"wakefuzz/bench"
	"wakefuzz/playback"
)

// Options are what a campaign may choose.
type Options struct {
	// Device is the loudspeaker: its ID, name, index, or a part of ID or name,
	// as [Devices] lists them. Empty is the system's default at the time that
	// the speaker is opened.
	Device string `yaml:"device"`
	// Backend is the sound system, "pulseaudio" or "alsa". Empty is the first
	// of these that has the device.
	Backend string `yaml:"backend"`
	// LevelDBFS is the level that the voice in every clip is brought to.
	LevelDBFS float64 `yaml:"level_dbfs"`
	// PeakDBFS is the highest peak that a clip may reach on the way there.
	PeakDBFS float64 `yaml:"peak_dbfs"`
}

// DefaultOptions are the default device, -20 dBFS, and peaks up to -1 dBFS. The
// peaks of flite's voices are 13 to 15 dB above their level, so the ceiling
// does not touch them.
func DefaultOptions() Options { return Options{LevelDBFS: -20, PeakDBFS: -1} }

// Validate says which option can't be used, and why.
func (o Options) Validate() error {
	known := func(b backend) bool { return b.name == o.Backend }
	switch {
	case o.Backend != "" && !slices.ContainsFunc(backends, known):
		return fmt.Errorf("backend: %q is none of: %s, %s", o.Backend, backends[0].name, backends[1].name)
	case !(o.LevelDBFS >= silent && o.LevelDBFS <= 0):
		return fmt.Errorf("level_dbfs: %g is not between %d and 0", o.LevelDBFS, silent)
	case !(o.PeakDBFS >= o.LevelDBFS && o.PeakDBFS <= 0):
		return fmt.Errorf("peak_dbfs: %g is not between level_dbfs, %g, and 0", o.PeakDBFS, o.LevelDBFS)
	}
	return nil
}

const (
	// comeback is how long a play waits for the device to be there.
	comeback = 10 * time.Second
	// standstill is how long a device that asks for nothing counts as there.
	standstill = 500 * time.Millisecond
	// awakening is how long a device that was just opened may ask for nothing: a
	// PulseAudio sink that nobody used may be 2 s ahead in playing silence.
	awakening = 4 * time.Second
	// shortPause and longPause are the first and the longest time between two
	// attempts to open a device.
	shortPause, longPause = 100 * time.Millisecond, 2 * time.Second
	// glance is how often a device is looked at while it sounds.
	glance = 10 * time.Millisecond
	// farewell is how long Close waits for a sound system to answer.
	farewell = 5 * time.Second
)

// Speaker sounds clips from a loudspeaker. It implements [playback.Player] and
// is used by one goroutine.
type Speaker struct {
	options Options
	clock   bench.Clock
	device  Device
	buffers buffers
	latency latency // as of the last play

	// A sound system that hangs hangs whoever calls it. So devices are opened
	// and closed by goroutines that nobody has to wait for.
	stream  *stream     // nil while there is none
	opening chan opened // nil unless one is being opened
	closing sync.WaitGroup
	closed  bool
}

type opened struct {
	stream *stream
	err    error
}

var _ playback.Player = (*Speaker)(nil)

// New opens the loudspeaker, and waits until it takes sound. The error says
// which option is wrong, which devices there are, or what the system said.
func New(options Options, clock bench.Clock) (*Speaker, error) {
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("speaker: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), comeback)
	defer cancel()
	devices, err := Devices(ctx)
	if err != nil {
		return nil, err
	}
	device, err := choose(devices, options)
	if err != nil {
		return nil, fmt.Errorf("speaker: %w", err)
	}
	s := &Speaker{options: options, clock: clock, device: device}
	if _, _, err := s.ready(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("speaker: %w", err), s.Close())
	}
	return s, nil
}

// Close silences and frees the device. An error means that the sound system
// hangs; what it holds is freed once it answers. The speaker can't be used
// again.
func (s *Speaker) Close() error {
	s.closed = true
	s.drop()
	if opening := s.opening; opening != nil {
		s.opening = nil
		s.closing.Go(func() {
			if o := <-opening; o.stream != nil {
				o.stream.close()
			}
		})
	}
	done := make(chan struct{})
	go func() {
		s.closing.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(farewell):
		return fmt.Errorf("speaker: closing %s: %w", s.device.Name, errHangs)
	}
}

// What can be wrong with a device.
var (
	errClosed     = errors.New("speaker: the speaker is closed")
	errHangs      = errors.New("the sound system hangs; restart it")
	errStandstill = errors.New("it stopped taking sound")
	errUnsteady   = errors.New("it does not take sound at a steady pace; the machine may be too busy")
)

// Device is the loudspeaker in use.
func (s *Speaker) Device() Device { return s.device }

// Facts are what else shapes the sound, for the record of a session.
func (s *Speaker) Facts() map[string]string {
	return map[string]string{"speaker": s.device.Backend + " " + s.device.ID}
}

// Latency is how long a sample was under way in the last play, from the moment
// at which the device wanted it, and the most by which that and the play's span
// may be wrong.
func (s *Speaker) Latency() (latency, within time.Duration) {
	return s.latency.middle(), s.latency.within()
}

// Play sounds the clip at the level of the options, and returns some 100 ms
// after it has left. The phase is always zero: no two plays meet the device
// under test in the same state anyway. Whatever is wrong with the loudspeaker
// is a fault. When ctx ends the sound fades within 5 ms, as soon as what the
// device already holds (200 ms) is over, and the error is that of ctx.
func (s *Speaker) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	if s.closed {
		return playback.Sounding{}, errClosed
	}
	gain, _ := s.options.Gain(cue.Clip)
	sounding := playback.Sounding{NoiseDBFS: math.Inf(-1), GainDB: gain}
	unmeasured := func(format string, args ...any) (playback.Sounding, error) {
		now := s.clock.Now()
		sounding.Span = bench.Span{Start: now, End: now}
		sounding.Fault = bench.FaultPlayer
		sounding.Detail = fmt.Sprintf(format, args...)
		return sounding, ctx.Err()
	}

	waiting, cancel := context.WithTimeout(ctx, comeback)
	defer cancel()
	requests, next, err := s.ready(waiting)
	if err != nil {
		return unmeasured("%s was not ready within %v: %v", s.device.Name, comeback, err)
	}
	clip := &sound{samples: amplify(cue.Clip, gain)}
	requests, err = s.sound(ctx, cue.Stop, clip, requests, next)
	if err != nil {
		s.drop()
		return unmeasured("%s failed in the middle of the clip: %v", s.device.Name, err)
	}
	if ctx.Err() != nil {
		return unmeasured("broken off")
	}
	first := clip.first.Load()
	begun := slices.IndexFunc(requests, func(r request) bool { return r.handed > first })
	if gap := s.buffers.interruption(requests, begun); gap > 0 {
		return unmeasured("%s was without sound for %v in the middle of the clip; the machine or the sound system was too busy",
			s.device.Name, gap.Round(time.Millisecond))
	}
	s.latency = s.buffers.latency(requests[begun:])
	sounding.Span.Start = pace(requests[begun:]).Add(s.latency.middle() + length(first))
	sounding.Span.End = sounding.Span.Start.Add(length(clip.handed.Load()))
	return sounding, nil
}

// sound hands the clip over to the device, and adds what the device asked for
// meanwhile, and until the clip has left, to the requests; next is the number
// of the first of these. The error is that the device stands still. When ctx
// ends, or stop is closed, the clip is broken off, and there is none.
func (s *Speaker) sound(ctx context.Context, stop <-chan struct{}, clip *sound, requests []request, next int64) ([]request, error) {
	s.stream.sound.Store(clip)
	defer s.stream.sound.Store(nil)
	rest := s.buffers.held + s.buffers.hidden + aftermath
	glances := time.NewTicker(glance)
	defer glances.Stop()
	for cancelled := ctx.Done(); ; {
		requests, next = s.stream.requests.since(next, requests)
		last := requests[len(requests)-1]
		switch {
		case clip.over.Load() && ctx.Err() != nil:
			return requests, nil
		case clip.over.Load() && length(last.handed-clip.first.Load()-clip.handed.Load()) >= rest:
			return requests, nil
		case s.clock.Now().Sub(last.at) > standstill:
			return requests, errStandstill
		}
		select {
		case <-glances.C:
		case <-cancelled:
			clip.cancelled.Store(true)
			cancelled = nil
		case <-stop:
			clip.cancelled.Store(true)
			stop = nil
		}
	}
}

// ready returns once the device takes sound at a steady pace, with its requests
// of the settling time and the number of the next. Where there is no device, or
// it fails, one is opened, until ctx ends. The error is the last one there was.
func (s *Speaker) ready(ctx context.Context) (requests []request, next int64, err error) {
	for pause := shortPause; ; pause = min(2*pause, longPause) {
		fresh := s.stream == nil
		if fresh {
			err = s.open(ctx)
		}
		if err == nil {
			requests, next, err = s.settle(ctx, fresh)
		}
		if err == nil {
			return requests, next, nil
		}
		s.drop()
		select {
		case <-ctx.Done():
			return nil, 0, err
		case <-time.After(pause):
		}
	}
}

// open opens the device.
func (s *Speaker) open(ctx context.Context) error {
	if s.opening == nil {
		opening := make(chan opened, 1)
		go func() {
			stream, err := openStream(s.device, s.clock)
			opening <- opened{stream, err}
		}()
		s.opening = opening
	}
	select {
	case o := <-s.opening:
		s.stream, s.opening = o.stream, nil
		return o.err
	case <-ctx.Done():
		return errHangs
	}
}

// settle waits until the open device takes sound at a steady pace, and measures
// the latency of one that was just opened.
func (s *Speaker) settle(ctx context.Context, fresh bool) (requests []request, next int64, err error) {
	limit := standstill
	if fresh {
		limit = awakening
	}
	glances := time.NewTicker(glance)
	defer glances.Stop()
	for heard := s.clock.Now(); ; {
		requests, next = s.stream.requests.since(next, requests)
		var last bench.Instant
		if n := len(requests); n > 0 {
			last = requests[n-1].at
			heard = max(heard, last)
		}
		switch {
		// A device that was steady may stand still by now.
		case steady(requests) && s.clock.Now().Sub(last) < standstill:
			if fresh {
				s.buffers = buffersOf(requests, s.device.backend().server)
			}
			requests = after(requests, last.Add(-settling))
			s.latency = s.buffers.latency(requests)
			return requests, next, nil
		case s.clock.Now().Sub(heard) > limit:
			return nil, 0, errStandstill
		}
		select {
		case <-glances.C:
		case <-ctx.Done():
			return nil, 0, errUnsteady
		}
	}
}

// drop closes the device, if there is one.
func (s *Speaker) drop() {
	if stream := s.stream; stream != nil {
		s.stream = nil
		s.closing.Go(stream.close)
	}
}
