// Package idletraffic makes up what a smart speaker sends while nobody speaks to
// it, and what it sends when it has heard something: for tests and measurements
// of detectors over more hours than there are captures of.
//
// # Idle
//
// A [Profile] is a device: the things it does of its own accord, each with its
// size, its pace and its times. Section 4.1.2 of the paper saw frequent small
// bursts and infrequent larger ones; section 5.2.1 medium bursts every few
// minutes and large ones every few hours. What is large goes as TCP sends it:
// ten segments, then twice as many each round trip, until the line is full, with
// an acknowledgement for every other segment.
//
// # Speech
//
// An [Upload] is speech as it is streamed: at first what the device had kept
// from before the wake word, at once, and then chunks as they are spoken.
//
// Everything follows from a seed. The numbers are chosen to resemble the paper's
// words and public captures, not fitted to any one of them.
package idletraffic

import (
	"cmp"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"wakefuzz/bench"
)

// Profile is a device with its habits.
type Profile struct {
	Name string
	// Directed says whether the capture knows the directions of packets.
	Directed bool
	Habits   []Habit
}

// Habit is something a device does again and again.
type Habit struct {
	// Every is the time from one to the next: a period of which Jitter is the
	// share by which each is off at most or, with Random, the mean of times that
	// nothing foretells.
	Every  time.Duration
	Jitter float64
	Random bool
	// Least and Most are the bytes that are sent, evenly by their logarithm.
	Least, Most float64
	// Incoming is the share of times in which they are received instead.
	Incoming float64
	// Busy and Calm are for how long it does so at all and then doesn't, in turn.
	// Without them it always does.
	Busy, Calm time.Duration
	// Rate is the line's in bytes a second, or how fast the device sends where
	// it takes its time; 0 for 1 MB/s.
	Rate float64
}

// Profiles are the devices to try a detector on.
func Profiles() []Profile {
	keepalive := Habit{Every: 20 * time.Second, Jitter: 0.02, Least: 30, Most: 300}
	names := Habit{Every: 90 * time.Second, Random: true, Least: 30, Most: 60}
	medium := Habit{Every: 300 * time.Second, Jitter: 0.05, Least: 1_500, Most: 6_000}
	report := Habit{Every: 4 * time.Hour, Random: true, Least: 20_000, Most: 300_000}
	quiet := []Habit{keepalive, names, {Every: time.Hour, Random: true, Least: 1_000, Most: 4_000}}
	usual := []Habit{keepalive, names, medium, report}
	chatty := append(slices.Clone(usual),
		Habit{Every: 5 * time.Second, Random: true, Least: 50, Most: 1_500},
		Habit{Every: 30 * time.Second, Random: true, Least: 500, Most: 5_000},
		Habit{Every: 15 * time.Minute, Random: true, Least: 5_000, Most: 60_000})
	updating := append(slices.Clone(usual),
		Habit{Every: 6 * time.Hour, Random: true, Least: 500_000, Most: 5_000_000, Incoming: 1},
		Habit{Every: time.Hour, Jitter: 0.01, Least: 50_000, Most: 200_000, Rate: 2_500_000})
	return []Profile{
		{"quiet", true, quiet},
		{"usual", true, usual},
		{"chatty", true, chatty},
		{"updating", true, updating},
		{"usual, directions unknown", false, usual},
		{"chatty, directions unknown", false, chatty},
	}
}

// Packets are those that the device sends and receives in the span.
func (p Profile) Packets(seed uint64, span bench.Span) iter.Seq[bench.Packet] {
	streams := make([]iter.Seq[bench.Packet], len(p.Habits))
	for i, h := range p.Habits {
		streams[i] = h.packets(rand.New(rand.NewPCG(seed, uint64(i))), span)
	}
	return p.towards(Merge(streams...))
}

// towards forgets the directions that the capture doesn't know.
func (p Profile) towards(packets iter.Seq[bench.Packet]) iter.Seq[bench.Packet] {
	if p.Directed {
		return packets
	}
	return func(yield func(bench.Packet) bool) {
		for packet := range packets {
			packet.Direction = bench.DirectionUnknown
			if !yield(packet) {
				return
			}
		}
	}
}

// With is the device's traffic with speech added. The uploads are in the order
// of time.
func (p Profile) With(packets iter.Seq[bench.Packet], uploads ...Upload) iter.Seq[bench.Packet] {
	var speech []bench.Packet
	for _, u := range uploads {
		speech = append(speech, u.Packets()...)
	}
	slices.SortStableFunc(speech, inTime)
	return Merge(packets, p.towards(slices.Values(speech)))
}

func inTime(a, b bench.Packet) int { return cmp.Compare(a.At, b.At) }

// packets may overlap with the next time where one takes long: they are put in
// order as far as they reach.
func (h Habit) packets(rng *rand.Rand, span bench.Span) iter.Seq[bench.Packet] {
	return func(yield func(bench.Packet) bool) {
		var pending []bench.Packet
		period := span.Start.Add(scaled(h.Every, rng.Float64()))
		for {
			at := period.Add(scaled(h.Every, h.Jitter*(2*rng.Float64()-1)))
			if h.Random {
				at = period
				period = period.Add(scaled(h.Every, rng.ExpFloat64()))
			} else {
				period = period.Add(h.Every)
			}
			at = max(at, span.Start)
			if h.Calm > 0 && at.Sub(span.Start)%(h.Busy+h.Calm) >= h.Busy && at < span.End {
				continue
			}
			due, _ := slices.BinarySearchFunc(pending, bench.Packet{At: at}, inTime)
			for i, p := range pending {
				if p.At >= span.End || i >= due && at < span.End {
					break
				}
				if !yield(p) {
					return
				}
			}
			if at >= span.End {
				return
			}
			pending = slices.Delete(pending, 0, due)
			size := h.Least * math.Pow(h.Most/h.Least, rng.Float64())
			direction := bench.Outgoing
			if rng.Float64() < h.Incoming {
				direction = bench.Incoming
			}
			pending = append(pending, transfer(rng, at, int(size), cmp.Or(h.Rate, 1e6), direction)...)
			slices.SortStableFunc(pending, inTime)
		}
	}
}

func scaled(d time.Duration, by float64) time.Duration { return time.Duration(float64(d) * by) }

const (
	header  = 66   // Ethernet, IPv4 and TCP with time stamps, in bytes
	segment = 1448 // the most that follows it
)

// transfer is bytes as TCP sends them on a line of the rate: ten segments, and
// twice as many each round trip.
func transfer(rng *rand.Rand, at bench.Instant, bytes int, rate float64, direction bench.Direction) []bench.Packet {
	back := bench.Incoming
	if direction == bench.Incoming {
		back = bench.Outgoing
	}
	trip := scaled(20*time.Millisecond, 1+2*rng.Float64())
	var packets []bench.Packet
	for window := 10; bytes > 0; window *= 2 {
		sent := at
		for i := 0; i < window && bytes > 0; i++ {
			n := min(bytes, segment)
			packets = append(packets, bench.Packet{At: sent, Size: int32(header + n), Payload: int32(n), Direction: direction})
			if i%2 == 1 || bytes == n {
				packets = append(packets, bench.Packet{At: sent.Add(trip), Size: header, Direction: back})
			}
			bytes -= n
			sent = sent.Add(scaled(time.Second, float64(header+n)/rate))
		}
		at = max(at.Add(trip), sent)
	}
	return packets
}

// Upload is speech that is streamed to a cloud.
type Upload struct {
	At bench.Instant
	// Kept is how much the device had kept from before: the wake word and what
	// came before it, which goes at once.
	Kept time.Duration
	// Speech is how long it goes on from there.
	Speech time.Duration
	// Rate is that of the coded speech, in bytes a second.
	Rate float64
	// Seed makes uploads differ.
	Seed uint64
}

// Span is when the upload passes.
func (u Upload) Span() bench.Span { return bench.Span{Start: u.At, End: u.At.Add(u.Speech)} }

// SomeUpload draws an upload: 64 to 256 kbit/s, 1 to 8 s, and 1 to 2 s kept, for
// devices send the wake word too, and half a second from before it.
func SomeUpload(rng *rand.Rand, at bench.Instant) Upload {
	return Upload{
		At:     at,
		Kept:   scaled(time.Second, 1+rng.Float64()),
		Speech: scaled(time.Second, 1+7*rng.Float64()),
		Rate:   8_000 * math.Pow(4, rng.Float64()),
		Seed:   rng.Uint64(),
	}
}

// Packets are those of the upload, in the order of time: what was kept, at line
// speed, and a chunk every tenth of a second.
func (u Upload) Packets() []bench.Packet {
	const chunk = 100 * time.Millisecond
	rng := rand.New(rand.NewPCG(u.Seed, uint64(u.At)))
	packets := transfer(rng, u.At, int(u.Rate*u.Kept.Seconds()), 1e6, bench.Outgoing)
	for at := chunk; at <= u.Speech; at += chunk {
		late := scaled(20*time.Millisecond, rng.Float64())
		packets = append(packets, transfer(rng, u.At.Add(at+late), int(u.Rate*chunk.Seconds()), 1e6, bench.Outgoing)...)
	}
	slices.SortStableFunc(packets, inTime)
	return packets
}

// Merge is packets of several streams, each in the order of time, in that order.
func Merge(streams ...iter.Seq[bench.Packet]) iter.Seq[bench.Packet] {
	return func(yield func(bench.Packet) bool) {
		type head struct {
			packet bench.Packet
			next   func() (bench.Packet, bool)
		}
		var heads []head
		for _, s := range streams {
			next, stop := iter.Pull(s)
			defer stop()
			if p, ok := next(); ok {
				heads = append(heads, head{p, next})
			}
		}
		for len(heads) > 0 {
			first := 0
			for i := range heads {
				if heads[i].packet.At < heads[first].packet.At {
					first = i
				}
			}
			if !yield(heads[first].packet) {
				return
			}
			p, ok := heads[first].next()
			if !ok {
				heads = slices.Delete(heads, first, first+1)
				continue
			}
			heads[first].packet = p
		}
	}
}
