package virtualspeaker

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"wakefuzz/tts"
)

// listen sends what a source of PulseAudio sounds, frame by frame, until ctx
// ends. Without a sound server it hears silence, and tries again.
func listen(ctx context.Context, source string, frames chan<- []int16) {
	for {
		err := record(ctx, source, frames)
		if ctx.Err() != nil {
			return
		}
		log.Printf("nothing to hear: %v", err)
		for range time.Second / frame {
			if !sleep(ctx, frame) || !send(ctx, frames, make([]int16, frameSamples)) {
				return
			}
		}
	}
}

// record sends what a source sounds until there is no more.
func record(ctx context.Context, source string, frames chan<- []int16) error {
	from, to, err := os.Pipe()
	if err != nil {
		return err
	}
	defer from.Close()
	ctx, end := context.WithCancel(ctx)
	ended := make(chan error)
	go func() {
		// The small latency has the server hand out sound as it is made, instead
		// of a second at a time.
		cmd := exec.CommandContext(ctx, "parec", "--device="+source, "--raw", "--format=s16le",
			fmt.Sprintf("--rate=%d", tts.SampleRate), "--channels=1", "--latency-msec=20")
		cmd.Stdout = to
		err := run(cmd)
		to.Close()
		ended <- err
	}()
	for bytes := make([]byte, 2*frameSamples); ; {
		if _, err := io.ReadFull(from, bytes); err != nil {
			break
		}
		heard := make([]int16, frameSamples)
		for i := range heard {
			heard[i] = int16(binary.LittleEndian.Uint16(bytes[2*i:]))
		}
		if !send(ctx, frames, heard) {
			break
		}
	}
	end()
	return <-ended
}

// send says whether the frame was taken.
func send(ctx context.Context, frames chan<- []int16, heard []int16) bool {
	select {
	case <-ctx.Done():
		return false
	case frames <- heard:
		return true
	}
}

// run runs a program that was made with exec.CommandContext until it ends or
// the context does. It never outlives this process.
func run(cmd *exec.Cmd) error {
	// The kernel takes the death of the thread that started the program for
	// that of the whole process, so the thread stays until the program ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	cmd.Stderr = os.Stderr
	return cmd.Run()
}
