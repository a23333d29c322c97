package wyoming

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/wyoming"
	"wakefuzz/playback"
	"wakefuzz/tts"
)

// Sound is sent in frames as long as openWakeWord's: 80 ms.
const (
	frameSamples = 1280
	frameStep    = frameSamples * time.Second / tts.SampleRate
	// leadIn is how many frames of silence come first. openWakeWord remembers
	// 25 frames, microWakeWord less.
	leadIn = 32
)

// fault is what spoils one play: the server failed, and may not with the next.
type fault struct{ error }

func faultf(format string, args ...any) error { return fault{fmt.Errorf(format, args...)} }

// stream is what the server hears of a play.
type stream struct {
	signal *playback.Signal
	start  bench.Instant
	frames int
	window bench.Span // in which a detection may lie
}

// hear has the server hear the stream, and returns when it detected its wake
// word, if it did. What spoils this play only is a fault.
func (e *Engine) hear(ctx context.Context, s stream) ([]bench.Instant, error) {
	conn, err := e.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("wyoming: %w", err)
	}
	defer conn.Close()
	now, err := e.ask(ctx, conn)
	switch {
	case err != nil:
		return nil, fault{err}
	case now != e.offer:
		return nil, fmt.Errorf("wyoming: the server is another than at the beginning: %s with %s, not %s with %s",
			now.program, now.model, e.offer.program, e.offer.model)
	}

	// The server speaks while it is spoken to, so what it says is read beside.
	listening, hangUp := context.WithCancel(ctx)
	var listener sync.WaitGroup
	defer listener.Wait()
	defer hangUp()
	answers := make(chan answer, 1)
	listener.Go(func() { answers <- listen(listening, conn) })

	d, sent, err := e.send(ctx, conn, s, answers)
	switch {
	case errors.Is(err, io.EOF):
		return nil, faultf("the server ended the connection without an answer")
	case err != nil:
		return nil, fault{err}
	case d == nil:
		return nil, nil
	case d.Name != "" && d.Name != e.options.Model:
		return nil, faultf("asked for %s, the server detected %s", e.options.Model, d.Name)
	}
	// The time of the stream, which is what its chunks are stamped with.
	ms := int64(sent) * frameStep.Milliseconds()
	if t := d.Timestamp; t != nil && *t > 0 {
		ms = min(ms, *t)
	}
	at := s.start.Add(time.Duration(ms) * time.Millisecond)
	if at <= s.window.Start {
		return nil, faultf("the server detected %s before it was played anything", e.options.Model)
	}
	// Nothing but the clip sounded: what a server tells late is within the window.
	return []bench.Instant{min(at, s.window.End-1)}, nil
}

// answer is the server's on a stream: a detection, or none where the stream came
// to its end without one.
type answer struct {
	detection *wyoming.Detection
	err       error
}

// listen waits for the answer, and passes over events that mean nothing here.
func listen(ctx context.Context, conn *wyoming.Conn) answer {
	for {
		event, err := conn.Receive(ctx)
		if err != nil {
			return answer{err: err}
		}
		switch event.Type {
		case wyoming.TypeDetection:
			var d wyoming.Detection
			err := event.Decode(&d)
			return answer{&d, err}
		case wyoming.TypeNotDetected:
			return answer{}
		}
	}
}

// send sends the stream at its pace until it has ended or is answered, and
// returns the detection, nil for none, and how many frames were sent until then.
func (e *Engine) send(ctx context.Context, conn *wyoming.Conn, s stream, answers <-chan answer) (d *wyoming.Detection, sent int, err error) {
	answered := func(within time.Duration) bool {
		select {
		case a := <-answers:
			d, err = a.detection, a.err
			return true
		case <-time.After(within):
			return false
		}
	}
	write := func(events ...wyoming.Event) bool {
		writing, cancel := context.WithTimeout(ctx, e.options.Timeout)
		defer cancel()
		failed := conn.Send(writing, events...)
		if failed == nil {
			return true
		}
		// Perhaps the server has said why it takes no more.
		if !answered(e.options.Timeout) || d == nil {
			err = fmt.Errorf("the server takes no more sound: %w", e.explain(ctx, failed))
		}
		return false
	}
	if !write(opening(e.options.Model)...) {
		return d, 0, err
	}
	began := time.Now()
	for ; sent < s.frames; sent++ {
		if answered(e.due(sent, began)) {
			return d, sent, early(d, err)
		}
		if !write(s.chunk(sent)) {
			return d, sent, err
		}
	}
	if answered(e.options.Lag) {
		return d, sent, early(d, err)
	}
	if write(event(wyoming.TypeAudioStop, stop{s.end()}, nil)) && !answered(e.options.Timeout) {
		err = fmt.Errorf("the server did not answer within %v", e.options.Timeout)
	}
	return d, sent, err
}

// early is what is wrong with an answer before the end of the stream.
func early(d *wyoming.Detection, err error) error {
	if d == nil && err == nil {
		return errors.New("the server says that there was no wake word before it has heard all")
	}
	return err
}

// due is how long to wait before the frame is sent. The lead-in is sent at once:
// it fills a server's memory and holds nothing to detect.
func (e *Engine) due(frame int, began time.Time) time.Duration {
	if e.options.Speed == 0 || frame <= leadIn {
		return 0
	}
	after := float64(time.Duration(frame-leadIn)*frameStep) / e.options.Speed
	return time.Until(began.Add(time.Duration(after)))
}

// opening begins a stream.
func opening(model string) []wyoming.Event {
	return []wyoming.Event{
		event(wyoming.TypeDetect, wyoming.Detect{Names: []string{model}}, nil),
		event(wyoming.TypeAudioStart, format(0), nil),
	}
}

// format is that of the sound, up to that time.
func format(ms int64) wyoming.Audio {
	return wyoming.Audio{Rate: tts.SampleRate, Width: 2, Channels: 1, Timestamp: &ms}
}

// stop is the data of the event that ends a stream.
type stop struct {
	Timestamp int64 `json:"timestamp"`
}

func event(kind string, data any, payload []byte) wyoming.Event {
	e, err := wyoming.NewEvent(kind, data, payload)
	if err != nil {
		panic(err) // our own structs, which JSON can hold
	}
	return e
}

// chunk is the next frame. Its timestamp is the time of its end, so that it is
// never 0, which servers take for none.
func (s stream) chunk(frame int) wyoming.Event {
	pcm := make([]byte, 0, 2*frameSamples)
	for range frameSamples {
		var sample int16
		if frame >= leadIn {
			sample = s.signal.Next()
		}
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(sample))
	}
	return event(wyoming.TypeAudioChunk, format(int64(frame+1)*frameStep.Milliseconds()), pcm)
}

// end is the last timestamp.
func (s stream) end() int64 { return int64(s.frames) * frameStep.Milliseconds() }
