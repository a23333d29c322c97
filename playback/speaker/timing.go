package speaker

import (
	"slices"
	"sort"
	"time"

	"wakefuzz/bench"
	"wakefuzz/tts"
)

// target is the latency that a device is asked for. With less, a program that a
// busy machine holds up for some 50 ms would lose sound, as was seen.
const target = 200 * time.Millisecond

const (
	// settling is how long a device must have asked for samples at one pace
	// before a clip is entrusted to it.
	settling = 500 * time.Millisecond
	// aftermath is how long a device is watched after a clip, so that an
	// interruption in its last moments is seen.
	aftermath = 100 * time.Millisecond
	// jitter is how much a pace may vary without anything having gone wrong.
	jitter = 5 * time.Millisecond
	// margin is what timing may be off by beside what is not known of the
	// latency: resampling, and requests that all come late.
	margin = 5 * time.Millisecond
	// finest is more than what PulseAudio waits for at least before it asks for
	// samples, 20 ms, and so tells nothing of the blocks that it works in.
	finest = 25 * time.Millisecond
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

// buffers are what lies between the program and the sound.
type buffers struct {
	// held is what the device holds when it has just been given what it asked
	// for, as far as it can be seen.
	held time.Duration
	// hidden is what a sound server may hold besides.
	hidden time.Duration
}

// buffersOf tells the buffers by how a device began: it asks until they are
// full, faster than it can sound them. A sound server may divide the target
// between a buffer that is seen so and one that is not.
func buffersOf(beginning []request, server bool) buffers {
	var b buffers
	for _, r := range beginning {
		b.held = max(b.held, length(r.handed)-r.at.Sub(beginning[0].at))
	}
	if server {
		b.hidden = max(0, target-b.held)
	}
	return b
}

// latency is the time from a device's pace to the sound, between least and
// most.
type latency struct {
	least, most time.Duration
}

// latency tells the latency by how the device asks. What a sound server hides
// is the block that it is working on, and it asks for the next block when it
// takes one up; small ones it collects until they are worth a request.
func (b buffers) latency(requests []request) latency {
	if b.hidden == 0 {
		return latency{b.held, b.held}
	}
	asked := make([]int64, len(requests)-1)
	for i := range asked {
		asked[i] = requests[i+1].handed - requests[i].handed
	}
	slices.Sort(asked)
	block := length(asked[len(asked)/2])
	if block > finest {
		return latency{b.held + block, max(b.held+block, target)}
	}
	return latency{b.held, min(b.held+block, target)}
}

// middle is the latency as it is reckoned with.
func (l latency) middle() time.Duration { return (l.least + l.most) / 2 }

// within is the most by which the middle may be wrong.
func (l latency) within() time.Duration { return (l.most-l.least)/2 + margin }

// steady tells whether the device has kept one pace for the settling time: as
// much in the first half of it as in the second. A busy machine makes single
// requests late, and few of them may come in that time.
func steady(requests []request) bool {
	if len(requests) == 0 {
		return false
	}
	last := requests[len(requests)-1].at
	if requests[0].at > last.Add(-settling) {
		return false
	}
	requests = after(requests, last.Add(-settling))
	first, second := before(requests, last.Add(-settling/2)), after(requests, last.Add(-settling/2))
	return len(first) > 0 && len(second) > 0 && pace(second).Sub(pace(first)).Abs() <= jitter
}

// before returns the requests up to an instant, after those later than it.
func before(requests []request, at bench.Instant) []request {
	return requests[:sort.Search(len(requests), func(i int) bool { return requests[i].at > at })]
}

func after(requests []request, at bench.Instant) []request {
	return requests[len(before(requests, at)):]
}

// interruption is how long the device was without samples, or zero; of several
// times the first. Up to the request of number n it had kept its pace.
//
// A device that runs dry, because the program could not answer in time, or that
// stands still, asks for the following samples that much later. A sound server
// may also ask later because it moved what it holds to a buffer that can't be
// seen; then nothing was lost, and no answer was so late that it could be.
func (b buffers) interruption(requests []request, n int) time.Duration {
	was := pace(requests[:n])
	for i := n; i < len(requests); i++ {
		late := requests[i].at.Sub(was) - length(requests[i-1].handed)
		if gap := pace(requests[i:]).Sub(was); late >= b.held-jitter && gap > jitter {
			return gap
		}
	}
	end := after(requests, requests[len(requests)-1].at.Add(-aftermath))
	if gap := pace(end).Sub(was); gap > b.hidden+jitter {
		return gap
	}
	return 0
}
