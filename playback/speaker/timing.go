package speaker

import (
	"sort"
	"time"

	"wakefuzz/bench"
	"wakefuzz/tts"
)

// target is the latency that a device is asked for. It is long enough that a
// program held up for 40 ms loses nothing, and half of what a sound server may
// hide of it is 10 ms.
const target = 80 * time.Millisecond

const (
	// settling is how long a device must have asked for samples at one pace
	// before a clip is entrusted to it.
	settling = 500 * time.Millisecond
	// aftermath is how long a device is watched after a clip, so that an
	// interruption in its last moments is seen.
	aftermath = 100 * time.Millisecond
	// jitter is how much a pace may vary without anything having gone wrong.
	jitter = 5 * time.Millisecond
	// margin is what timing may be off by beside the part of the latency that
	// is hidden: resampling, and requests that all come late.
	margin = 5 * time.Millisecond
)

// pace is the line that a device's requests lie on: when the stream's first
// sample would have been asked for, had the device asked for it as it does for
// the others. Devices ask at their own pace, and nothing can make a request
// early, so the least late of them tells.
func pace(requests []request) bench.Instant {
	earliest := requests[0].line()
	for _, r := range requests[1:] {
		earliest = min(earliest, r.line())
	}
	return earliest
}

// line is the pace as told by one request.
func (r request) line() bench.Instant { return r.at.Add(-length(r.handed)) }

// length is how long so many samples sound.
func length(samples int64) time.Duration {
	return time.Duration(samples) * time.Second / tts.SampleRate
}

// latency is the time from the pace to the sound: between least and most.
type latency struct {
	least, most time.Duration
}

// latencyOf tells the latency by how a device began. It first asks until its
// buffers are full, faster than it can sound them; what it then holds is that
// much delayed. A sound server may add, unseen, up to what it was asked for.
func latencyOf(beginning []request) latency {
	var held time.Duration
	for _, r := range beginning {
		held = max(held, length(r.handed)-r.at.Sub(beginning[0].at))
	}
	return latency{least: held, most: max(held, target)}
}

// middle is the latency as it is reckoned with.
func (l latency) middle() time.Duration { return (l.least + l.most) / 2 }

// within is the most by which the middle may be wrong.
func (l latency) within() time.Duration { return l.hidden()/2 + margin }

// hidden is the part of which nothing is known.
func (l latency) hidden() time.Duration { return l.most - l.least }

// steady tells whether the device has kept one pace for the settling time.
func steady(requests []request) bool {
	const parts = 5
	if len(requests) == 0 {
		return false
	}
	from := requests[len(requests)-1].at.Add(-settling)
	if requests[0].at > from {
		return false
	}
	var first bench.Instant
	for i := range parts {
		requests = after(requests, from)
		part := before(requests, from.Add(settling/parts))
		if len(part) == 0 {
			return false
		}
		if i == 0 {
			first = pace(part)
		}
		if p := pace(part); p > first.Add(jitter) || first > p.Add(jitter) {
			return false
		}
		from = from.Add(settling / parts)
	}
	return true
}

// before returns the requests up to an instant, after those later than it.
func before(requests []request, at bench.Instant) []request {
	return requests[:sort.Search(len(requests), func(i int) bool { return requests[i].at > at })]
}

func after(requests []request, at bench.Instant) []request {
	return requests[len(before(requests, at)):]
}

// interruption is how long the device was without samples, or nothing. Up to
// the request of number n it had kept its pace.
//
// A device that runs dry, because the program could not answer in time, or that
// stands still, asks for the following samples that much later. A sound server
// may also ask later, by no more than what is hidden of the latency, because it
// moved what it holds from one buffer to another; then nothing was lost, and no
// answer was late.
func (l latency) interruption(requests []request, n int) time.Duration {
	was := pace(requests[:n])
	for i := n; i < len(requests); i++ {
		late := requests[i].at.Sub(was) - length(requests[i-1].handed)
		if gap := pace(requests[i:]).Sub(was); late >= l.least-l.hidden() && gap > jitter {
			return gap
		}
	}
	end := after(requests, requests[len(requests)-1].at.Add(-aftermath))
	if gap := pace(end).Sub(was); gap > l.hidden()+jitter {
		return gap
	}
	return 0
}
