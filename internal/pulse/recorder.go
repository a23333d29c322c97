package pulse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"wakefuzz/bench"
)

// recordRate is how many samples a recording has per second.
const recordRate = 16000

// Recording is what was heard, 16 kHz mono.
type Recording struct {
	Samples []int16
	// Start is when the first sample left. It is told from the moments at which
	// the parts of the recording came in: none can come before it was heard, so
	// the least delayed of them gives the time, some milliseconds late at most.
	Start bench.Instant
}

// At is when sample i left.
func (r Recording) At(i int) bench.Instant {
	return r.Start.Add(time.Duration(i) * time.Second / recordRate)
}

// Recorder listens to a sink.
type Recorder struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	done   chan Recording
}

// Record begins to listen to what the sink sounds, and returns once it hears.
func (k *Sink) Record(clock bench.Clock) (*Recorder, error) {
	r := &Recorder{done: make(chan Recording, 1)}
	// The small latency has the server hand out sound as it is made, instead
	// of a second at a time.
	r.cmd = k.server.command("parec", "--device="+k.name+".monitor", "--raw", "--format=s16le",
		fmt.Sprintf("--rate=%d", recordRate), "--channels=1", "--latency-msec=5")
	r.cmd.Stderr = &r.stderr
	out, err := r.cmd.StdoutPipe()
	if err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("pulse: recording %s: %w", k.name, err)
	}
	hears := make(chan struct{})
	go r.listen(out, clock, hears)
	select {
	case <-hears:
		return r, nil
	case recording := <-r.done:
		r.done <- recording
		_, err := r.Stop()
		return nil, errors.Join(fmt.Errorf("pulse: recording %s: nothing was heard: %s", k.name, r.stderr.Bytes()), err)
	case <-time.After(patience):
		_, err := r.Stop()
		return nil, errors.Join(fmt.Errorf("pulse: recording %s: nothing was heard for %v", k.name, patience), err)
	}
}

// listen takes in what the program records until it ends.
func (r *Recorder) listen(out io.Reader, clock bench.Clock, hears chan struct{}) {
	var pcm []byte
	var start bench.Instant
	for buffer := make([]byte, 1<<16); ; {
		n, err := out.Read(buffer)
		now := clock.Now()
		pcm = append(pcm, buffer[:n]...)
		if n > 0 {
			begun := now.Add(-time.Duration(len(pcm)/2) * time.Second / recordRate)
			if start == 0 {
				close(hears)
				start = begun
			}
			start = min(start, begun)
		}
		if err != nil {
			break
		}
	}
	samples := make([]int16, len(pcm)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(pcm[2*i:]))
	}
	r.done <- Recording{Samples: samples, Start: start}
}

// Stop ends the recording.
func (r *Recorder) Stop() (Recording, error) {
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return Recording{}, fmt.Errorf("pulse: ending a recording: %w", err)
	}
	recording := <-r.done
	_ = r.cmd.Wait() // it is ended by a signal
	return recording, nil
}
