package pulse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"time"

	"wakefuzz/bench"
)

// recordRate is how many samples a recording has per second.
const recordRate = 16000

// block is how long the blocks are in which a server makes sound while it is
// recorded. It makes each at the moment at which its first sample leaves.
const block = 5 * time.Millisecond

// Recording is what was heard, 16 kHz mono.
type Recording struct {
	Samples []int16
	// Start is when the first sample left, to a millisecond or so. Nothing comes
	// in before the server made it, so what came with the least delay tells.
	Start bench.Instant
}

// At is when sample i left.
func (r Recording) At(i int) bench.Instant {
	return r.Start.Add(length(i))
}

func length(samples int) time.Duration { return time.Duration(samples) * time.Second / recordRate }

// Recorder listens to a sink.
type Recorder struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	done   chan Recording
}

// Record begins to listen to what the sink sounds, and returns once it hears.
func (k *Sink) Record(clock bench.Clock) (*Recorder, error) {
	r := &Recorder{done: make(chan Recording, 1)}
	r.cmd = k.server.command("parec", "--device="+k.name+".monitor", "--raw", "--format=s16le",
		fmt.Sprintf("--rate=%d", recordRate), "--channels=1",
		fmt.Sprintf("--latency-msec=%d", block.Milliseconds()))
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
	start := bench.Instant(math.MaxInt64)
	for buffer := make([]byte, 1<<16); ; {
		n, err := out.Read(buffer)
		if n > 0 {
			if len(pcm) == 0 {
				close(hears)
			}
			pcm = append(pcm, buffer[:n]...)
			start = min(start, clock.Now().Add(block-length(len(pcm)/2)))
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
