package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/idletraffic"
)

// simulate makes captures of every profile of made-up traffic: idle for so many
// hours and, in the manner of the paper's datasets (section 5.1.1), six hours in
// which it was woken at each of several intervals, and minutes of words after
// minutes of silence.
func simulate(hours float64, dir string) error {
	for i, profile := range idletraffic.Profiles() {
		out, err := newLabels(dir, fmt.Sprintf("simulated-%d", i+1))
		if err != nil {
			return err
		}
		s := simulation{profile, device{"simulated, " + profile.Name, idletraffic.Speaker}, out, uint64(i)}
		if !profile.Directed {
			s.device.address = idletraffic.Nobody
		}
		if err := out.end(s.make(hours)); err != nil {
			return err
		}
	}
	return nil
}

type simulation struct {
	idletraffic.Profile
	device
	out  *labels
	seed uint64
}

// The paper's intervals between invocations, and for how long (Table 3).
var intervals = []time.Duration{2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour}

const invoked = 6 * time.Hour

func (s simulation) make(hours float64) error {
	idle := time.Duration(hours * float64(time.Hour))
	s.out.add("idle.pcapng", s.device, "", "", "", 0)
	if err := s.capture("idle.pcapng", 1, idle, nil); err != nil {
		return err
	}
	for i, interval := range intervals {
		file := fmt.Sprintf("every-%g-minutes.pcapng", interval.Minutes())
		rng := rand.New(rand.NewPCG(s.seed, uint64(10+i)))
		var uploads []idletraffic.Upload
		for at := interval / 2; at < invoked-10*time.Second; at += interval {
			uploads = append(uploads, s.wake(rng, file, at, "wake"))
		}
		if err := s.capture(file, uint64(10+i), invoked, uploads); err != nil {
			return err
		}
	}
	return s.probe()
}

// probe alternates minutes of silence and of a word, every 10 s. One of the
// words wakes the device.
func (s simulation) probe() error {
	const file, minute, pairs = "probing.pcapng", time.Minute, 100
	words := []string{"alexa", "major", "alexa", "people", "alexa", "water", "alexa", "number"}
	rng := rand.New(rand.NewPCG(s.seed, 20))
	var uploads []idletraffic.Upload
	for i := range pairs {
		from := time.Duration(2*i) * minute
		word := words[i%len(words)]
		s.label(file, from, from+minute, "idle")
		s.label(file, from+minute, from+2*minute, "probe "+word)
		if word != "alexa" {
			continue
		}
		// A device that is awake does not wake.
		var until time.Duration
		for at := from + minute + 1500*time.Millisecond; at < from+2*minute-10*time.Second; at += 10 * time.Second {
			if at < until {
				continue
			}
			u := s.wake(rng, file, at, word)
			uploads = append(uploads, u)
			until = at + u.Speech
		}
	}
	return s.capture(file, 20, 2*pairs*minute, uploads)
}

// wake makes an upload, and labels it.
func (s simulation) wake(rng *rand.Rand, file string, at time.Duration, kind string) idletraffic.Upload {
	u := idletraffic.SomeUpload(rng, bench.Instant(at))
	s.label(file, at, at+u.Speech, kind)
	return u
}

func (s simulation) label(file string, from, to time.Duration, kind string) {
	s.out.add(file, s.device, seconds(from.Seconds()), seconds(to.Seconds()), kind, 0)
}

// capture writes traffic of that length with speech in it.
func (s simulation) capture(file string, seed uint64, length time.Duration, uploads []idletraffic.Upload) error {
	end := bench.Instant(length)
	packets := s.With(s.Packets(s.seed<<8|seed, bench.Span{End: end}), uploads...)
	return s.out.write(file, func(yield func(bench.Packet) bool) {
		for p := range packets {
			if p.At >= end || !yield(p) {
				return
			}
		}
	})
}
