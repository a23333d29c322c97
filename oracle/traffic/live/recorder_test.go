package live_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/gopacket/pcapgo"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/oracle/traffic"
	"wakefuzz/oracle/traffic/live"
)

const ms = time.Millisecond

// at is an instant, in milliseconds.
func at(ms int) bench.Instant { return bench.Instant(ms) * bench.Instant(time.Millisecond) }

// clock is a bench's clock that begins now, beside a wall clock that is set and
// a process that is stopped when the test likes.
type clock struct {
	began       time.Time
	set, asleep atomic.Int64
}

func (c *clock) Pair() bench.Pair {
	asleep := time.Duration(c.asleep.Load())
	return bench.Pair{
		At:   bench.Instant(time.Since(c.began) + asleep),
		Wall: time.Now().Add(asleep + time.Duration(c.set.Load())),
	}
}

// scripted is a capture with the faults that no real one has on demand: it is
// told what comes.
type scripted struct {
	ctx   context.Context
	comes chan event
	last  event
}

type event struct {
	packet  capture.Packet
	dropped uint64 // so far
	err     error
}

func (s *scripted) Next() (capture.Packet, error) {
	select {
	case s.last = <-s.comes:
		return s.last.packet, s.last.err
	case <-s.ctx.Done():
		return capture.Packet{}, context.Cause(s.ctx)
	}
}

func (s *scripted) Frame() capture.Frame {
	return capture.Frame{Link: capture.LinkEthernet, Time: s.last.packet.Time, Data: make([]byte, 60), Length: 60, Headers: 42}
}

func (s *scripted) Stats() capture.Stats { return capture.Stats{Dropped: s.last.dropped} }
func (s *scripted) Close() error         { return nil }

// rig is a recorder of a scripted capture.
type rig struct {
	*live.Recorder
	t     *testing.T
	clock *clock
	comes chan event
	// refuse holds why the next attempts to listen fail.
	refuse chan error
}

func open(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, clock: &clock{began: time.Now()}, comes: make(chan event), refuse: make(chan error, 16)}
	var err error
	r.Recorder, err = live.Open(t.Context(), live.Setup{
		Options: live.Options{Interface: "wlan0", Device: "02:00:00:00:00:0a"},
		Window:  traffic.DefaultBurstRule().Watch(),
		Rest:    traffic.DefaultBurstRule(),
		Pair:    r.clock.Pair,
		Listen: func(ctx context.Context) (live.Source, error) {
			select {
			case err := <-r.refuse:
				return nil, err
			default:
				return &scripted{ctx: ctx, comes: r.comes}, nil
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// until waits for an instant, in milliseconds.
func (r *rig) until(ms int) { time.Sleep(at(ms).Sub(r.clock.Pair().At)) }

// send lets a packet come now, stamped so long ago.
func (r *rig) send(payload int32, ago time.Duration) {
	r.comes <- event{packet: capture.Packet{
		Time: r.clock.Pair().Wall.Add(-ago).Round(0), Size: payload + 66, Payload: payload, Direction: capture.Outgoing,
	}}
}

func (r *rig) observe(from, to int) bench.Observation {
	r.t.Helper()
	o, err := r.Observe(r.t.Context(), bench.Span{Start: at(from), End: at(to)})
	if err != nil {
		r.t.Fatal(err)
	}
	if now := r.clock.Pair().At; now < at(to).Add(live.Delay) {
		r.t.Errorf("the span was observed at %d, before its packets can all have been read", now)
	}
	return o
}

// wantFault checks that the span was lost, and that the detail says why.
func (r *rig) wantFault(from, to int, why string) {
	r.t.Helper()
	o := r.observe(from, to)
	if o.Fault != bench.FaultOracle || !strings.Contains(o.Detail, why) {
		r.t.Errorf("from %d to %d: fault %q, %q; want fault %q that speaks of %q", from, to, o.Fault, o.Detail, bench.FaultOracle, why)
	}
	if len(o.Packets) > 0 {
		r.t.Errorf("a lost span has packets: %v", o.Packets)
	}
}

// want checks an observation that nothing is wrong with.
func (r *rig) want(from, to int, watchedFrom int, packets ...bench.Packet) {
	r.t.Helper()
	o := r.observe(from, to)
	want := bench.Observation{Oracle: traffic.Name, Watched: bench.Span{Start: at(watchedFrom), End: at(to)}, Packets: packets}
	if len(o.Packets) == 0 {
		o.Packets = nil
	}
	if !reflect.DeepEqual(o, want) {
		r.t.Errorf("from %d to %d: got %+v, want %+v", from, to, o, want)
	}
}

func packet(ms int, payload int32) bench.Packet {
	return bench.Packet{At: at(ms), Size: payload + 66, Payload: payload, Direction: bench.Outgoing}
}

func stretch(from, to int, packets ...bench.Packet) live.Stretch {
	return live.Stretch{Watched: bench.Span{Start: at(from), End: at(to)}, Packets: packets}
}

// wantDrained checks what is new up to the instant, in milliseconds.
func (r *rig) wantDrained(until int, want ...live.Stretch) {
	r.t.Helper()
	if got := r.Drain(at(until)); !reflect.DeepEqual(got, want) {
		r.t.Errorf("drained up to %d:\n%+v, want\n%+v", until, got, want)
	}
}

func TestRecorderObserves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		if r.Name() != traffic.Name || r.Window() != 5*time.Second {
			t.Errorf("name %q, window %v", r.Name(), r.Window())
		}
		go func() {
			r.until(1000)
			r.send(1, 5*ms)
			r.send(2, 6*ms) // out of order: simultaneous
			r.until(4000)
			r.send(3, -20*ms) // stamped in the future: now
			r.comes <- event{packet: capture.Packet{Time: r.clock.Pair().Wall, Size: 60, Direction: capture.Incoming}}
			r.comes <- event{packet: capture.Packet{Time: r.clock.Pair().Wall, Size: 61}}
		}()
		late := []bench.Packet{packet(4000, 3), {At: at(4000), Size: 60, Direction: bench.Incoming}, {At: at(4000), Size: 61}}
		r.want(500, 995, 0)
		r.want(500, 996, 0, packet(995, 1), packet(995, 2))
		r.want(2995, 3500, 995, packet(995, 1), packet(995, 2))
		r.want(2996, 4000, 996)
		r.want(3500, 4500, 1500, late...)
		r.want(4000, 4000, 2000)
		r.wantDrained(4000, stretch(0, 4000, packet(995, 1), packet(995, 2)))
		r.wantDrained(4000)
		r.wantDrained(4500, stretch(4000, 4500, late...))
		r.send(4, time.Second) // too late for its stretch, it counts as of the next
		r.wantDrained(4700, stretch(4500, 4700, packet(4500, 4)))
		if _, err := r.Observe(t.Context(), bench.Span{Start: 2, End: 1}); err == nil {
			t.Error("a span that ends before it starts was observed")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*ms)
		defer cancel()
		if _, err := r.Observe(ctx, bench.Span{Start: 0, End: at(60_000)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a context that ended made Observe return %v", err)
		}
		if _, err := r.Observe(ctx, bench.Span{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a context that had ended made Observe return %v", err)
		}
		r.until(6000)
		r.Close()
		r.wantFault(5000, 60_000, "the recorder was closed")
		r.want(4500, 5000, 2500, append(late, packet(4500, 4))...)
	})
}

// A capture that fails takes the spans with it that it did not watch
// throughout, and no others.
func TestRecorderOpensAFailedCaptureAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.until(3000)
		r.send(1, 0)
		for range 3 {
			r.refuse <- errors.New("still no carrier")
		}
		r.comes <- event{err: errors.New("the cable broke")}
		// Paused for 250 ms, 500 ms, 1 s and 2 s, it is back at 6750.
		r.wantFault(2000, 3001, "the cable broke")
		r.wantFault(3500, 4000, "no carrier")
		r.wantFault(6000, 8000, "no carrier")
		r.wantFault(6749, 8000, "no carrier")
		r.want(6750, 8000, 6750)
		r.want(1000, 2900, 0) // for so long it was certainly well
		r.until(9000)
		r.send(2, 0)
		r.want(8750, 9500, 6750, packet(9000, 2))
		r.wantFault(6700, 9500, "no carrier")
		// When the first packet came, something was wrong already.
		r.wantDrained(9500, stretch(0, 2900), stretch(6750, 9500, packet(9000, 2)))

		// Well for long, it is opened again at once.
		r.until(20_000)
		r.comes <- event{err: io.ErrUnexpectedEOF}
		r.want(20_250, 20_500, 20_250)
	})
}

func TestRecorderCountsDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.until(1000)
		r.send(1, 0)
		r.until(5000)
		// It had been waiting for 200 ms, while others behind it were dropped.
		r.comes <- event{packet: capture.Packet{Time: r.clock.Pair().Wall.Add(-200 * ms), Size: 66}, dropped: 7}
		for _, tt := range []struct {
			from, to int
			dropped  uint64
		}{{500, 4800, 0}, {500, 4801, 7}, {4900, 6000, 7}, {5001, 7000, 0}} {
			o := r.observe(tt.from, tt.to)
			if o.Dropped != tt.dropped || o.Fault != bench.NoFault {
				t.Errorf("from %d to %d: %d packets dropped, want %d; fault %q", tt.from, tt.to, o.Dropped, tt.dropped, o.Fault)
			}
		}
		// What was lost before a span isn't part of its record.
		if o := r.observe(6000, 7000); o.Watched.Start != at(5000)+1 {
			t.Errorf("the record begins at %d", o.Watched.Start)
		}
		lacking := stretch(4800, 4900, bench.Packet{At: at(4800), Size: 66})
		rest := stretch(4900, 5000)
		rest.Watched.End++ // the moment of the count
		after := stretch(5000, 6000)
		after.Watched.Start++
		lacking.Dropped, rest.Dropped = 7, 7
		r.wantDrained(4900, stretch(0, 4800, packet(1000, 1)), lacking)
		r.wantDrained(6000, rest, after)
	})
}

func TestRecorderSeesTheWallClockBeSet(t *testing.T) {
	for name, by := range map[string]time.Duration{"on": time.Hour, "back": -time.Hour, "a little": live.MaxStep} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open(t)
				r.until(2500)
				r.send(1, 0)
				r.until(2600)
				r.clock.set.Store(int64(by))
				r.until(2700)
				r.send(2, 0)
				if by == live.MaxStep {
					r.want(2000, 4000, 0, packet(2500, 1), packet(2700, 2))
					return
				}
				r.wantFault(2000, 4000, "the wall clock was set by "+by.String())
				r.want(2000, 2500, 0)
				// All that is in doubt lies between two looks at the clock.
				r.until(5000)
				if o := r.observe(4500, 5000); o.Watched.Start != at(2700)+1 || o.Fault != bench.NoFault {
					t.Errorf("after the step: %+v", o)
				}
				before, after := stretch(0, 2500, packet(2500, 1)), stretch(2700, 5000)
				before.Watched.End++
				after.Watched.Start++
				r.wantDrained(5000, before, after)
			})
		})
	}
}

// On a silent wire nobody looks at the clocks for a while but who asks.
func TestRecorderSeesAStepInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.until(3100)
		r.clock.set.Store(int64(time.Hour))
		r.wantFault(2500, 3200, "the wall clock was set by 1h")
		r.want(2000, 3000, 0)
		r.until(3500)
		r.clock.set.Store(0)
		r.until(3900)
		before, between := stretch(0, 3000), stretch(3300, 3400)
		before.Watched.End++
		between.Watched.Start++
		between.Watched.End++
		r.wantDrained(3800, before, between)
	})
}

// A process that was stopped for a while reads what came meanwhile before it
// says that there was nothing.
func TestRecorderReadsWhatCameWhileStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.until(1000)
		go func() {
			time.Sleep(150 * ms)
			r.clock.asleep.Store(int64(10 * time.Second))
			time.Sleep(75 * ms)
			r.send(1, 10*time.Second)
		}()
		r.want(500, 1100+100+50, 0, packet(1000+150+75, 1))
	})
}

func TestRecorderForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		r.until(1000)
		for range live.Memory / 2 {
			r.send(1, 0)
		}
		r.until(2000)
		for range live.Memory/2 + 1 {
			r.send(2, 0)
		}
		r.wantFault(1500, 2100, "more are not remembered")
		if o := r.observe(2000, 2100); len(o.Packets) != live.Memory/2+1 || o.Fault != bench.NoFault {
			t.Errorf("%d packets are left, fault %q", len(o.Packets), o.Fault)
		}
		got := r.Drain(at(2100))
		if len(got) != 1 || got[0].Watched != (bench.Span{Start: at(2000), End: at(2100)}) || len(got[0].Packets) != live.Memory/2+1 {
			t.Errorf("%d stretches were drained, the first of %v", len(got), got[0].Watched)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		for i := range 2000 {
			r.until(1000 + i)
			r.comes <- event{packet: capture.Packet{Time: r.clock.Pair().Wall}, dropped: uint64(i + 1)}
		}
		r.wantFault(500, 3000, "more are not remembered")
		if o := r.observe(2990, 3000); o.Dropped != 10 {
			t.Errorf("%d packets were dropped", o.Dropped)
		}
	})
}

func TestQuiet(t *testing.T) {
	// burst sends above the rule's rate up to the time given, in milliseconds.
	burst := func(r *rig, until int) {
		for r.clock.Pair().At < at(until) {
			r.send(1000, 0)
			time.Sleep(100 * ms)
		}
	}
	tests := []struct {
		name    string
		happens func(r *rig)
		settled bool
		from    int // the earliest and the latest it may be decided
		to      int
	}{
		{"at once", func(*rig) {}, true, 10_000, 10_000},
		{"after a burst", func(r *rig) { burst(r, 11_000) }, true, 13_000, 13_200},
		{"heartbeats don't count", func(r *rig) {
			for range 5 {
				r.send(200, 0)
				time.Sleep(time.Second)
			}
		}, true, 10_000, 10_000},
		{"never", func(r *rig) { burst(r, 16_000) }, false, 15_000, 15_000},
		{"not recorded", func(r *rig) {
			for range 16 {
				r.refuse <- errors.New("no carrier")
			}
			r.comes <- event{err: errors.New("the cable broke")}
		}, false, 15_000, 15_000},
		{"packets lost", func(r *rig) {
			r.comes <- event{packet: capture.Packet{Time: r.clock.Pair().Wall}, dropped: 1}
		}, true, 11_000, 11_200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open(t)
				r.until(9000)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					tt.happens(r)
				}()
				r.until(10_000)
				settled, err := r.Quiet(t.Context(), 2*time.Second, 5*time.Second)
				now := r.clock.Pair().At
				if settled != tt.settled || err != nil || now < at(tt.from) || now > at(tt.to) {
					t.Errorf("settled: %v, error %v, at %v; want %v from %d to %d ms", settled, err, time.Duration(now), tt.settled, tt.from, tt.to)
				}
				<-ended
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 2 {
			if settled, err := r.Quiet(ctx, 2*time.Second, 5*time.Second); settled || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a context that ended made Quiet return %v, %v", settled, err)
			}
		}
	})
}

// Evidence holds the packets that an observation of its span has, whatever has
// happened to the wall clock since, or it is refused.
func TestEvidenceIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		evidence := func(from, to int) (packets int, err error) {
			t.Helper()
			synctest.Wait() // until what was sent is read
			var file bytes.Buffer
			if err := r.Evidence(&file, bench.Span{Start: at(from), End: at(to)}, "test"); err != nil {
				return 0, err
			}
			in, err := pcapgo.NewNgReader(&file, pcapgo.DefaultNgReaderOptions)
			for err == nil {
				if _, _, err = in.ReadPacketData(); err == nil {
					packets++
				}
			}
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			return packets, nil
		}
		want := func(from, to, want int) {
			t.Helper()
			if n, err := evidence(from, to); n != want || err != nil {
				t.Errorf("from %d to %d: %d packets, want %d; %v", from, to, n, want, err)
			}
		}
		for i := range 4 {
			r.until(1000 * (i + 1))
			r.send(1, 0)
		}
		r.until(5000)
		want(-2000, 9000, 4) // from before there was a record
		want(2000, 4000, 2)
		want(4000, 2000, 0)
		r.clock.set.Store(int64(-time.Hour))
		r.until(6000)
		r.send(1, 0)
		want(2000, 7000, 4)
		r.comes <- event{err: errors.New("the cable broke")}
		r.until(8000)
		r.send(1, 0)
		want(2000, 9000, 5)
		r.clock.set.Store(int64(time.Hour)) // the frames seem to be old
		r.until(9000)
		r.send(1, 0)
		want(8001, 10_000, 1)
		if _, err := evidence(7000, 10_000); err == nil || !strings.Contains(err.Error(), "frames of 2s ago are no longer remembered") {
			t.Errorf("frames that are lost: %v", err)
		}
		for range live.Memory {
			r.send(1, 0)
		}
		if _, err := evidence(8001, 10_000); err == nil || !strings.Contains(err.Error(), "the record no longer goes back so far") {
			t.Errorf("packets that are lost: %v", err)
		}
	})
}

func TestEvidenceOfSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open(t)
		var file strings.Builder
		if err := r.Evidence(&file, bench.Span{End: at(1000)}, "nothing"); err != nil {
			t.Fatal(err)
		}
		in, err := capture.NewReader(strings.NewReader(file.String()), capture.Address{})
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if p, err := in.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("the file holds %+v, error %v", p, err)
		}
		if err := r.Evidence(&file, bench.Span{}, strings.Repeat("long", 1<<16)); err == nil {
			t.Error("a comment was written that is too long to be read")
		}
	})
}
