package traffic

import (
	"fmt"
	"math"
	"slices"
	"time"

	"wakefuzz/bench"
)

// BurstRule is when outgoing traffic is a reaction: its payload reaches a rate
// in each of several windows in a row (section 4.1.1 of the paper).
//
// The paper cuts time into windows and leaves open where the first begins;
// whether a burst fills three of them then depends on luck. Here every packet
// with payload begins a row of windows, and the best row counts. A play is
// judged the same whenever it is played, and a burst of little more than one
// window can't fill three, as it could if a row might begin before it.
type BurstRule struct {
	// Window is the length of a window, the paper's s_w. At most Lookback.
	Window time.Duration `yaml:"window"`
	// Rate is the least rate of payload in a window, the paper's B_audio, in
	// kbit/s.
	Rate float64 `yaml:"rate"`
	// Consecutive is how many windows in a row must reach it, the paper's n.
	Consecutive int `yaml:"consecutive"`
	// Latency is how long after the end of the sound the row may begin.
	Latency time.Duration `yaml:"latency"`
}

// PaperBurstRule has the window, the rate (section 4.1.1) and the five windows
// (section 5.2.1) of the paper, which names no latency: it allows the 2 s that
// the paper waits for a ring to light up (section 5.5).
func PaperBurstRule() BurstRule {
	return BurstRule{Window: time.Second, Rate: 23, Consecutive: 5, Latency: 2 * time.Second}
}

// DefaultBurstRule is the paper's but for three windows instead of five, which
// find the short reactions too: of a thousand recorded voice commands to
// Amazon Echos, three windows found 98.1 % and five 36.1 %, and of 44 minutes of
// a HomePod beside a television both found its two activations and no other.
func DefaultBurstRule() BurstRule {
	r := PaperBurstRule()
	r.Consecutive = 3
	return r
}

// maxConsecutive bounds what judging costs. The paper tries 1 to 8.
const maxConsecutive = 60

// Validate returns an error where the rule could not decide anything.
func (r BurstRule) Validate() error {
	switch {
	case r.Window <= 0:
		return fmt.Errorf("window: %v is not longer than nothing", r.Window)
	case r.Window > Lookback:
		return fmt.Errorf("window: %v is longer than the %v before a play that are recorded", r.Window, Lookback)
	case !(r.Rate > 0) || math.IsInf(r.Rate, 1):
		return fmt.Errorf("rate: %g kbit/s is not a rate above 0", r.Rate)
	case r.Consecutive < 1 || r.Consecutive > maxConsecutive:
		return fmt.Errorf("consecutive: %d is not from 1 to %d", r.Consecutive, maxConsecutive)
	case r.Latency < 0:
		return fmt.Errorf("latency: %v is negative", r.Latency)
	}
	return nil
}

// String states the rule.
func (r BurstRule) String() string {
	return fmt.Sprintf("traffic payload out >= %g kbit/s in %d windows of %v, within %v", r.Rate, r.Consecutive, r.Window, r.Latency)
}

// Watch is how long after the end of a sound the traffic must be watched, so
// that a row of windows that begins in the last moment can be judged.
func (r BurstRule) Watch() time.Duration {
	return r.Latency + time.Duration(r.Consecutive)*r.Window
}

// Judge reads the packets of a play, watched from the beginning of the sound or
// earlier. Strength is the rate, in kbit/s, that the best row of windows
// sustained: that of its weakest window. The reaction begins where the earliest
// row does that reaches the rule's rate; where that is at a stray packet before
// the burst, Latency is up to a window too short.
//
// A device that was sending at the rule's rate in the window before the sound
// had not settled, and that is a fault of the device. Where packets were lost
// or the record is too short, a reaction that was seen stands, but one that
// was not seen is a fault of the oracle.
func (r BurstRule) Judge(sound bench.Span, o bench.Observation) bench.Reading {
	unmeasured := func(f bench.Fault) bench.Reading { return bench.Reading{Oracle: o.Oracle, Fault: f} }
	if o.Watched.Start > sound.Start || !inOrder(o.Packets) {
		return unmeasured(bench.FaultOracle)
	}
	sent := uploadOf(o.Packets)
	if r.rate(sent.bytes(sound.Start.Add(-r.Window), sound.Start)) >= r.Rate {
		return unmeasured(bench.FaultDevice)
	}
	reading := bench.Reading{Oracle: o.Oracle, State: bench.Quiet}
	for _, start := range sent.at {
		if start < sound.Start || start > sound.End.Add(r.Latency) {
			continue
		}
		rate := r.sustained(sent, start)
		reading.Strength = max(reading.Strength, rate)
		if rate >= r.Rate && reading.State != bench.Reacted {
			reading.State = bench.Reacted
			reading.Latency = start.Sub(sound.End)
		}
	}
	if reading.State != bench.Reacted && (o.Dropped > 0 || o.Watched.End < sound.End.Add(r.Watch())) {
		return unmeasured(bench.FaultOracle)
	}
	return reading
}

// sustained is the lowest rate in a row of windows that begins at start.
func (r BurstRule) sustained(sent upload, start bench.Instant) float64 {
	least := int64(math.MaxInt64)
	for range r.Consecutive {
		end := start.Add(r.Window)
		least = min(least, sent.bytes(start, end))
		start = end
	}
	return r.rate(least)
}

// rate is that of the bytes in a window, in kbit/s.
func (r BurstRule) rate(bytes int64) float64 {
	return float64(bytes) * 8 / 1000 / r.Window.Seconds()
}

// LastBusy is when the device last sent at the rule's rate for a whole window,
// so far as it did at all: the packet that completed it. The packets are in the
// order of time.
func (r BurstRule) LastBusy(packets []bench.Packet) (last bench.Instant, busy bool) {
	sent := uploadOf(packets)
	for _, at := range slices.Backward(sent.at) {
		if r.rate(sent.bytes(at.Add(1-r.Window), at.Add(1))) >= r.Rate {
			return at, true
		}
	}
	return 0, false
}

// upload is what a device sent, ready to be summed.
type upload struct {
	at []bench.Instant // of each packet
	// total[i] is the payload of the first i packets.
	total []int64
}

func uploadOf(packets []bench.Packet) upload {
	sent := slices.DeleteFunc(outgoing(packets), func(p bench.Packet) bool { return p.Payload <= 0 })
	u := upload{at: make([]bench.Instant, len(sent)), total: make([]int64, len(sent)+1)}
	for i, p := range sent {
		u.at[i] = p.At
		u.total[i+1] = u.total[i] + int64(p.Payload)
	}
	return u
}

// bytes is the payload sent from the one instant up to the other.
func (u upload) bytes(from, to bench.Instant) int64 {
	i, _ := slices.BinarySearch(u.at, from)
	j, _ := slices.BinarySearch(u.at, to)
	return u.total[j] - u.total[i]
}
