// Package nights makes up whole campaigns: a device whose idle traffic is made
// up too (package idletraffic) is played to at one of the two paces, reacts to
// some words now and then, and what a capture would have seen of that is stored.
// Tests and measurements of what is made of a night use it. No clock is waited
// for: a hundred hours take seconds.
package nights

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/idletraffic"
	"wakefuzz/oracle/traffic"
	"wakefuzz/results"
)

// Night is a campaign that is yet to be played.
type Night struct {
	Device idletraffic.Profile
	Seed   uint64
	// Fixed is the paper's pace, with its rest of 10 s and stretches of a minute;
	// otherwise each play begins when the device has been quiet for 2 s.
	Fixed bool
	// Reacts says in which share of its plays a word wakes the device, which the
	// wake word always does.
	Reacts map[string]float64
}

// The times of a campaign, as it has them by default.
const (
	rest    = 10 * time.Second
	Stretch = time.Minute
	quiet   = 2 * time.Second
	sound   = 750 * time.Millisecond // of each word
	late    = 150 * time.Millisecond // from the bench being ready to the sound
)

// batch is how many trials are stored at once.
const batch = 50

// Play plays all trials of the store's plan once, in a session of their own.
func (n Night) Play(s *results.Store) error {
	session, err := s.BeginSession(results.Session{Started: time.Unix(0, 0), Workers: 1, Spec: s.Campaign().Spec})
	if err != nil {
		return err
	}
	h := n.home()
	defer h.stop()
	var attempts []results.Attempt
	for i, t := range s.Trials() {
		begin := h.now.Add(rest + Stretch)
		for index := range t.Plays {
			at := begin.Add(time.Duration(index) * Stretch / time.Duration(t.Plays))
			if !n.Fixed {
				at = h.settled()
			}
			a := h.play(t, index, at.Add(late))
			a.Session = session
			attempts = append(attempts, a)
		}
		if n.Fixed {
			h.hear(max(h.now, begin.Add(Stretch+late)))
		}
		if (i+1)%batch == 0 || i+1 == len(s.Trials()) {
			if err := s.AppendObserved(h.drain(session), attempts...); err != nil {
				return fmt.Errorf("trial %d: %w", i+1, err)
			}
			attempts = nil
		}
	}
	return nil
}

// home is the device with what watches it.
type home struct {
	Night
	rule    traffic.CalibratedRule
	rng     *rand.Rand
	next    func() (bench.Packet, bool) // of what it sends anyway
	stop    func()
	ahead   bench.Packet
	now     bench.Instant
	stored  bench.Instant
	heard   []bench.Packet // up to now
	uploads []bench.Packet // still to come
}

func (n Night) home() *home {
	h := &home{Night: n, rule: traffic.DefaultCalibratedRule(), rng: rand.New(rand.NewPCG(n.Seed, 1))}
	h.next, h.stop = iter.Pull(n.Device.Packets(n.Seed, bench.Span{End: math.MaxInt64 / 4}))
	h.ahead, _ = h.next()
	return h
}

// hear captures until then.
func (h *home) hear(until bench.Instant) {
	for {
		switch upload := len(h.uploads) > 0 && h.uploads[0].At <= h.ahead.At; {
		case upload && h.uploads[0].At < until:
			h.heard, h.uploads = append(h.heard, h.uploads[0]), h.uploads[1:]
		case !upload && h.ahead.At < until:
			h.heard = append(h.heard, h.ahead)
			h.ahead, _ = h.next()
		default:
			h.now = until
			return
		}
	}
}

// settled waits until the device has been quiet.
func (h *home) settled() bench.Instant {
	for {
		last, busy := traffic.DefaultBurstRule().LastBusy(traffic.Between(h.heard, bench.Span{Start: h.now.Add(-quiet - traffic.Lookback), End: h.now}))
		if !busy || last.Add(quiet) <= h.now {
			return h.now
		}
		h.hear(last.Add(quiet))
	}
}

// play is a play that sounds from then on.
func (h *home) play(t results.Trial, index int, at bench.Instant) results.Attempt {
	reacts := h.rng.Float64() < h.Reacts[t.Word] || t.Role == results.RolePositive
	span := bench.Span{Start: at, End: at.Add(sound)}
	if reacts {
		upload := idletraffic.SomeUpload(h.rng, span.End.Add(time.Duration((0.2+h.rng.Float64())*float64(time.Second))))
		for _, p := range upload.Packets() {
			if !h.Device.Directed {
				p.Direction = bench.DirectionUnknown
			}
			h.uploads = append(h.uploads, p)
		}
		slices.SortStableFunc(h.uploads, func(a, b bench.Packet) int { return int(a.At - b.At) })
	}
	h.hear(span.End.Add(h.rule.Watch()))
	watched := bench.Span{Start: span.Start.Add(-traffic.Lookback), End: h.now}
	o := bench.Observation{Oracle: traffic.Name, Watched: watched, Packets: slices.Clone(traffic.Between(h.heard, watched))}
	reading, _ := h.rule.Judge(span, o, nil)
	return results.Attempt{
		Play: results.PlayID{Trial: t.ID, Index: index}, Number: 1,
		Wall:  time.Unix(0, int64(at)),
		Sound: span, Observations: []bench.Observation{o},
		State: reading.State, Fault: reading.Fault, Rule: h.rule.String(),
	}
}

// drain is what was captured since the last time.
func (h *home) drain(session uint32) results.Observed {
	span := bench.Span{Start: h.stored, End: h.now}
	h.stored = h.now
	o := results.Observed{Session: session, Traffic: []results.Traffic{{Watched: span, Packets: traffic.Between(h.heard, span)}}}
	h.heard = slices.Clone(traffic.Between(h.heard, bench.Span{Start: h.now.Add(-time.Minute), End: h.now}))
	return o
}
