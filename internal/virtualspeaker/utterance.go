package virtualspeaker

import (
	"encoding/binary"
	"io"
	"math"
	"time"
)

// utterance is what is heard from a wake word on until it is quiet.
type utterance struct {
	sound            chan []int16 // has room for all of it
	silence, longest time.Duration
	length, quiet    time.Duration
}

func newUtterance(recent [][]int16, silence, longest time.Duration) *utterance {
	u := &utterance{
		sound:   make(chan []int16, len(recent)+int(longest/frame)+1),
		silence: silence,
		longest: longest,
	}
	for _, heard := range recent {
		u.sound <- heard
	}
	return u
}

// hear takes in a frame.
func (u *utterance) hear(heard []int16) {
	u.sound <- heard
	u.length += frame
	u.quiet += frame
	if rms(heard) >= loud {
		u.quiet = 0
	}
}

// over says whether the utterance has ended.
func (u *utterance) over() bool { return u.quiet >= u.silence || u.length >= u.longest }

func rms(samples []int16) float64 {
	var sum float64
	for _, v := range samples {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(samples)))
}

// pcm reads sound as bytes, a frame at a time at most, until it is closed.
type pcm struct {
	sound <-chan []int16
	rest  []byte
}

func (p *pcm) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		heard, ok := <-p.sound
		if !ok {
			return 0, io.EOF
		}
		for _, v := range heard {
			p.rest = binary.LittleEndian.AppendUint16(p.rest, uint16(v))
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
