package openwakeword

import (
	"errors"
	"fmt"
)

// Listener is a wake-word model that hears one endless stream of sound, as in
// a device, where an [Engine] hears plays apart from each other. It is used by
// one goroutine.
type Listener struct {
	network *network // nil once closed
	heard   int      // samples of the next frame that are there already
}

// NewListener loads a wake word's model, named as in [Options]. The listener
// begins rested, like a play: as if it had heard silence until then. Errors
// are those of [New].
func NewListener(assets Assets, model string) (*Listener, error) {
	n, err := openNetwork(assets, model)
	if err != nil {
		return nil, fmt.Errorf("openwakeword: %w", err)
	}
	return &Listener{network: n}, nil
}

func openNetwork(assets Assets, model string) (*network, error) {
	files, _, err := read(assets, model)
	if err != nil {
		return nil, err
	}
	n, err := newNetwork(files)
	if err != nil {
		return nil, err
	}
	for range leadIn(n.head) {
		if _, err := n.step(); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", files.head.path, err), n.close())
		}
	}
	return n, nil
}

// Hear lets the model hear more sound, 16 kHz mono, in pieces of any length,
// and returns the score of each frame of 80 ms that they complete: none, where
// there is less than that.
func (l *Listener) Hear(samples []int16) ([]float32, error) {
	if l.network == nil {
		return nil, errListenerClosed
	}
	var scores []float32
	for _, sample := range samples {
		l.network.frame()[l.heard] = float32(sample)
		if l.heard++; l.heard < frameSamples {
			continue
		}
		l.heard = 0
		score, err := l.network.step()
		if err != nil {
			return scores, fmt.Errorf("openwakeword: ONNX Runtime: %w", err)
		}
		scores = append(scores, score)
	}
	return scores, nil
}

// Close frees the model. The listener can't be used again.
func (l *Listener) Close() error {
	if l.network == nil {
		return nil
	}
	n := l.network
	l.network = nil
	return n.close()
}

var errListenerClosed = errors.New("openwakeword: the listener is closed")
