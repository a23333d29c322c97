package speaker

import (
	"errors"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/pulse"
	"wakefuzz/tts"
)

const ms = time.Millisecond

// device is a device with a server's buffers, told by its requests.
type device struct {
	requests []request
	clock    bench.Instant // when the next request would come
	block    time.Duration // that it asks for at a time
}

// newDevice begins by filling the buffer that is seen.
func newDevice(held, block time.Duration) *device {
	return &device{requests: []request{{at: bench.Instant(time.Hour), handed: samples(held)}},
		clock: bench.Instant(time.Hour), block: block}
}

func samples(d time.Duration) int64 { return int64(d * tts.SampleRate / time.Second) }

func (d *device) handed() int64 { return d.requests[len(d.requests)-1].handed }

// run lets the device ask for the given time.
func (d *device) run(length time.Duration) *device {
	for range length / d.block {
		d.clock = d.clock.Add(d.block)
		d.requests = append(d.requests, request{d.clock, d.handed() + samples(d.block)})
	}
	return d
}

// stop lets no request through for a time. The device stood still for the part
// of it that is given: the rest it makes up for by asking for more.
func (d *device) stop(length, still time.Duration) *device {
	d.clock = d.clock.Add(length)
	d.requests = append(d.requests, request{d.clock, d.handed() + samples(length-still)})
	return d
}

// shift moves what the device holds out of sight.
func (d *device) shift(by time.Duration) *device {
	d.clock = d.clock.Add(by)
	return d
}

func TestSteady(t *testing.T) {
	greedy := newDevice(120*ms, 20*ms)
	for range 1000 {
		greedy.shift(-19 * ms).run(20 * ms)
	}
	for name, c := range map[string]struct {
		device *device
		want   bool
	}{
		"even":                  {newDevice(120*ms, 20*ms).run(time.Second), true},
		"even, in large blocks": {newDevice(120*ms, 80*ms).run(time.Second), true},
		"held up":               {newDevice(120*ms, 20*ms).run(time.Second).stop(60*ms, 0).run(200 * ms), true},
		"too short":             {newDevice(120*ms, 20*ms).run(400 * ms), false},
		"stood still":           {newDevice(120*ms, 20*ms).run(time.Second).stop(200*ms, 100*ms).run(200 * ms), false},
		"stood still long ago":  {newDevice(120*ms, 20*ms).run(time.Second).stop(200*ms, 100*ms).run(600 * ms), true},
		"asked for nothing":     {newDevice(120*ms, 20*ms).run(time.Second).shift(400 * ms).run(100 * ms), false},
		"takes all it can get":  {greedy, false},
	} {
		if got := steady(c.device.requests); got != c.want {
			t.Errorf("%s: steady is %t", name, got)
		}
	}
	if steady(nil) {
		t.Error("a device that never asked is steady")
	}
}

// A device that kept its pace up to some time ago, and then stood still, is not
// ready, and nothing can be told of it.
func TestSettleOnADeviceThatStands(t *testing.T) {
	s := &Speaker{clock: bench.NewClock(), stream: new(stream)}
	for i := range 100 {
		s.stream.requests.add(request{
			at:     s.clock.Now().Add(time.Duration(i)*20*ms - 2*settling - 2*time.Second),
			handed: samples(time.Duration(i) * 20 * ms),
		})
	}
	if requests, _, err := s.settle(t.Context(), false); !errors.Is(err, errStandstill) {
		t.Errorf("%d requests, error %v", len(requests), err)
	}
}

func TestBuffersAndLatency(t *testing.T) {
	for name, c := range map[string]struct {
		device  *device
		server  bool
		buffers buffers
		latency latency
	}{
		"a server, small blocks": {newDevice(120*ms, 20*ms).run(time.Second), true,
			buffers{120 * ms, 80 * ms}, latency{120 * ms, 140 * ms}},
		"a server, large blocks": {newDevice(120*ms, 80*ms).run(time.Second), true,
			buffers{120 * ms, 80 * ms}, latency{200 * ms, 200 * ms}},
		"a server that was ahead": {newDevice(120*ms, 80*ms).shift(1900 * ms).run(time.Second), true,
			buffers{120 * ms, 80 * ms}, latency{200 * ms, 200 * ms}},
		"a server with more than it was asked for": {newDevice(300*ms, 20*ms).run(time.Second), true,
			buffers{300 * ms, 0}, latency{300 * ms, 300 * ms}},
		"a device": {newDevice(50*ms, 50*ms).shift(-50 * ms).run(50 * ms).shift(-50 * ms).run(50 * ms).shift(-50 * ms).run(time.Second), false,
			buffers{200 * ms, 0}, latency{200 * ms, 200 * ms}},
	} {
		buffers := buffersOf(c.device.requests, c.server)
		if buffers != c.buffers {
			t.Errorf("%s: buffers %v, want %v", name, buffers, c.buffers)
		}
		if latency := buffers.latency(c.device.requests); latency != c.latency {
			t.Errorf("%s: latency %v, want %v", name, latency, c.latency)
		}
	}
}

func TestInterruption(t *testing.T) {
	server := buffers{held: 120 * ms, hidden: 80 * ms}
	for name, c := range map[string]struct {
		happens func(*device) *device
		want    time.Duration
	}{
		"nothing":               {func(d *device) *device { return d }, 0},
		"held up, not dry":      {func(d *device) *device { return d.stop(100*ms, 0) }, 0},
		"dry":                   {func(d *device) *device { return d.stop(200*ms, 60*ms) }, 60 * ms},
		"moved out of sight":    {func(d *device) *device { return d.shift(80 * ms) }, 0},
		"stood still by itself": {func(d *device) *device { return d.shift(100 * ms) }, 100 * ms},
	} {
		d := newDevice(server.held, 20*ms).run(500 * ms)
		n := len(d.requests)
		d = c.happens(d.run(300 * ms)).run(300 * ms)
		if got := server.interruption(d.requests, n); got != c.want {
			t.Errorf("%s: interrupted for %v, want %v", name, got, c.want)
		}
	}
}

// When somebody listens to the device too, the server works in smaller blocks,
// and its buffers are no longer the same. A sample leaves when it would have
// all the same.
func TestLatencyFollowsTheServer(t *testing.T) {
	server, err := pulse.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	t.Setenv("PULSE_SERVER", "") // put back afterwards
	t.Setenv("PULSE_COOKIE", "")
	t.Setenv("PULSE_RUNTIME_PATH", "")
	if err := server.Use(); err != nil {
		t.Fatal(err)
	}
	sink, err := server.AddSink("blocks", pulse.Telephone)
	if err != nil {
		t.Fatal(err)
	}
	clock := bench.NewClock()
	s, err := New(DefaultOptions(), clock)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// first is when the stream's first sample left, by what is known now.
	first := func() (bench.Instant, latency) {
		requests, _, err := s.ready(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return pace(requests).Add(s.latency.middle()), s.latency
	}
	alone, large := first()
	recorder, err := sink.Record(clock)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * settling)
	together, small := first()
	if _, err := recorder.Stop(); err != nil {
		t.Fatal(err)
	}
	if large.middle() <= small.middle() {
		t.Errorf("the latency was %v while nobody listened, and %v then", large, small)
	}
	if off := together.Sub(alone); off.Abs() > large.within()+small.within() {
		t.Errorf("the same sample left %v later", off)
	}
	t.Logf("latency %v alone, %v together; sample by sample %v later", large, small, together.Sub(alone))
}

func TestFill(t *testing.T) {
	s := &stream{clock: bench.NewClock()}
	out := make([]byte, 2*320)
	clip := &sound{samples: make([]int16, 10000)}
	for i := range clip.samples {
		clip.samples[i] = 1000
	}
	s.fill(out)
	s.sound.Store(clip)
	// The device's thread must not wait for the garbage collector.
	if allocated := testing.AllocsPerRun(10, func() { s.fill(out) }); allocated != 0 {
		t.Errorf("fill allocates %g times", allocated)
	}
	if first := clip.first.Load(); first != 320 {
		t.Errorf("the clip begins at sample %d of the stream, want 320", first)
	}
	clip.cancelled.Store(true)
	last := int16(1000)
	for range 2 {
		s.fill(out)
		for i := 0; i < len(out); i += 2 {
			sample := int16(out[i]) | int16(out[i+1])<<8
			if step := last - sample; step < 0 || step > 2*1000/fadeLength {
				t.Fatalf("the fade steps from %d to %d", last, sample)
			}
			last = sample
		}
	}
	if last != 0 || !clip.over.Load() {
		t.Errorf("the faded clip ends at %d, over: %t", last, clip.over.Load())
	}
}

func TestRequestLog(t *testing.T) {
	var l requestLog
	var next int64
	var got []request
	for i := range int64(3000) {
		l.add(request{bench.Instant(i), 10 * i})
		if i%100 == 99 {
			if got, next = l.since(next, got[:0]); len(got) != 100 || got[99] != (request{bench.Instant(i), 10 * i}) {
				t.Fatalf("after %d requests the log has %d new ones", i+1, len(got))
			}
		}
	}
	if got, _ = l.since(0, nil); len(got) != len(l.entries)/2 || got[len(got)-1].handed != 29990 {
		t.Errorf("the log holds %d requests", len(got))
	}
}
