package light_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/oracletest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a sensor with the faults that no real one has on demand. Each
// watch follows the next script; after the last it is dark and well.
type scripted struct {
	now     func() bench.Instant
	lag     time.Duration
	scripts []func(ctx context.Context, report func(light.Level)) error
	watched int
}

func (s *scripted) Timing() light.Timing { return light.Timing{Source: "a script", Lag: s.lag} }

func (s *scripted) Watch(ctx context.Context, report func(light.Level)) error {
	s.watched++
	if s.watched <= len(s.scripts) {
		return s.scripts[s.watched-1](ctx, report)
	}
	return s.steady(ctx, report)
}

// steady reports a dark light for ever.
func (s *scripted) steady(ctx context.Context, report func(light.Level)) error {
	return s.lit(ctx, report, nil)
}

// lit reports every 10 ms, and a light that is lit in the spans given.
func (s *scripted) lit(ctx context.Context, report func(light.Level), spans []bench.Span) error {
	for {
		now := s.now()
		report(light.Level{At: now, High: slices.ContainsFunc(spans, func(s bench.Span) bool {
			return s.Start <= now && now < s.End
		})})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * ms):
		}
	}
}

// script is a sensor on a clock that begins now.
func script() *scripted {
	began := time.Now()
	return &scripted{lag: 100 * ms, now: func() bench.Instant { return bench.Instant(time.Since(began)) }}
}

func (s *scripted) open(t *testing.T) *light.Recorder {
	t.Helper()
	r, err := light.Open(t.Context(), light.Setup{Sensor: s, Polarity: light.ActiveHigh, Window: 200 * ms, Now: s.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func observe(t *testing.T, r *light.Recorder, from, to int) bench.Observation {
	t.Helper()
	o, err := r.Observe(t.Context(), bench.Span{Start: at(from), End: at(to)})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// wantFault checks that the span was lost, and that the detail says why.
func wantFault(t *testing.T, o bench.Observation, why string) {
	t.Helper()
	if o.Fault != bench.FaultOracle || !strings.Contains(o.Detail, why) {
		t.Errorf("fault %q, %q; want fault %q that speaks of %q", o.Fault, o.Detail, bench.FaultOracle, why)
	}
	if len(o.Edges) > 0 {
		t.Errorf("a lost span has edges: %v", o.Edges)
	}
}

func TestRecorderObserves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script()
		s.scripts = append(s.scripts, func(ctx context.Context, report func(light.Level)) error {
			return s.lit(ctx, report, []bench.Span{{Start: at(500), End: at(700)}, {Start: at(5000), End: at(5100)}})
		})
		r := s.open(t)
		if r.Name() != light.Name || r.Window() != 200*ms {
			t.Errorf("name %q, window %v", r.Name(), r.Window())
		}
		tests := []struct {
			name     string
			from, to int
			watched  int // where the record begins
			edges    []bench.Edge
		}{
			{"reaching back to the first report", 600, 1000, 0, []bench.Edge{{At: 0}, {At: at(500), Lit: true}, {At: at(700)}}},
			{"ending as the light changes", 100, 500, 0, []bench.Edge{{At: 0}}},
			{"ending after it changed", 100, 501, 0, []bench.Edge{{At: 0}, {At: at(500), Lit: true}}},
			{"beginning in the light", 2600, 2700, 600, []bench.Edge{{At: at(600), Lit: true}, {At: at(700)}}},
			{"beginning as it changes", 2700, 2800, 700, []bench.Edge{{At: at(700)}}},
			{"nothing changed", 3000, 4000, 1000, []bench.Edge{{At: at(1000)}}},
			{"no time at all", 5050, 5050, 3050, []bench.Edge{{At: at(3050)}, {At: at(5000), Lit: true}}},
			{"long ago", 4900, 5200, 2900, []bench.Edge{{At: at(2900)}, {At: at(5000), Lit: true}, {At: at(5100)}}},
		}
		for _, tt := range tests {
			o := observe(t, r, tt.from, tt.to)
			want := bench.Span{Start: at(tt.watched), End: at(tt.to)}
			if o.Oracle != light.Name || o.Fault != bench.NoFault || o.Watched != want || !slices.Equal(o.Edges, tt.edges) {
				t.Errorf("%s: got %+v, want %v with %v", tt.name, o, want, tt.edges)
			}
			if s.now() < at(tt.to) {
				t.Errorf("%s: observed at %d, before the span was over", tt.name, s.now())
			}
		}
	})
}

// A sensor that fails takes the spans with it that it was not watching
// throughout, and no others.
func TestRecorderOpensAFailedSensorAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script()
		s.scripts = append(s.scripts,
			func(ctx context.Context, report func(light.Level)) error {
				well, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				s.steady(well, report)
				return errors.New("the wire burnt")
			},
			func(context.Context, func(light.Level)) error { return errors.New("still burning") },
			func(context.Context, func(light.Level)) error { return nil },
		)
		r := s.open(t)
		if o := observe(t, r, 100, 900); o.Fault != bench.NoFault {
			t.Fatalf("while the sensor was well: %+v", o)
		}
		wantFault(t, observe(t, r, 950, 1050), "the wire burnt")
		wantFault(t, observe(t, r, 1100, 1300), "still burning")
		wantFault(t, observe(t, r, 1300, 2000), "without a reason")
		wantFault(t, observe(t, r, 2000, 3000), "750ms into the span: the sensor stopped") // after pauses of 250, 500 and 1000 ms
		if o := observe(t, r, 2800, 3200); o.Fault != bench.NoFault {
			t.Errorf("after the sensor was opened anew: %+v", o)
		}
		if s.watched != 4 {
			t.Errorf("the sensor was opened %d times, want 4", s.watched)
		}
	})
}

func TestRecorderDistrustsItsSensor(t *testing.T) {
	type report = func(light.Level)
	tests := []struct {
		name   string
		script func(ctx context.Context, report report) error
		want   string
	}{
		{"silent", func(ctx context.Context, report report) error {
			report(light.Level{})
			<-ctx.Done()
			return ctx.Err()
		}, "reported nothing for 100ms"},
		{"back in time", func(ctx context.Context, report report) error {
			report(light.Level{At: at(10)})
			time.Sleep(20 * ms)
			report(light.Level{At: at(8)})
			<-ctx.Done()
			return ctx.Err()
		}, "2ms before"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := script()
				s.scripts = append(s.scripts, tt.script)
				r := s.open(t)
				wantFault(t, observe(t, r, 10, 200), tt.want)
				if o := observe(t, r, 1000, 1200); o.Fault != bench.NoFault {
					t.Errorf("after the sensor was opened anew: %+v", o)
				}
			})
		})
	}
}

// A sensor that hangs can't be helped, but is never believed.
func TestRecorderWithASensorThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script()
		release := make(chan struct{})
		s.scripts = append(s.scripts, func(_ context.Context, report func(light.Level)) error {
			report(light.Level{})
			<-release
			return nil
		})
		r := s.open(t)
		wantFault(t, observe(t, r, 0, 500), "reported nothing of the last 500ms")
		close(release)
	})
}

func TestRecorderWithALightThatChatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script()
		s.scripts = append(s.scripts, func(ctx context.Context, report func(light.Level)) error {
			report(light.Level{})
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(50 * ms):
			}
			for i := range bench.Instant(100_000) {
				report(light.Level{At: at(10) + i*100, High: i%2 == 0})
			}
			return s.steady(ctx, report)
		})
		r := s.open(t)
		wantFault(t, observe(t, r, 18, 100), "trimmer")  // more than a record may hold
		wantFault(t, observe(t, r, 5, 100), "too often") // more than is remembered
		if o := observe(t, r, 2100, 2200); o.Fault != bench.NoFault || len(o.Edges) != 1 {
			t.Errorf("after the chatter: %+v", o)
		}
	})
}

func TestOpenTellsWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script()
		broken := errors.New("no such pin")
		s.scripts = append(s.scripts,
			func(context.Context, func(light.Level)) error { return broken },
			func(ctx context.Context, _ func(light.Level)) error { <-ctx.Done(); return ctx.Err() },
		)
		setup := light.Setup{Sensor: s, Polarity: light.ActiveLow, Window: time.Second, Now: s.now}
		if _, err := light.Open(t.Context(), setup); !errors.Is(err, broken) {
			t.Errorf("with a broken sensor: error %v", err)
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := light.Open(impatient, setup); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a sensor that does not report: error %v", err)
		}
		setup.Polarity = "upside-down"
		if _, err := light.Open(t.Context(), setup); err == nil || s.watched != 2 {
			t.Errorf("with a polarity that does not exist: error %v, opened %d times", err, s.watched)
		}
	})
}

func TestObserveRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := script().open(t)
		wantFault(t, observe(t, r, -500, 100), "500ms into the span, when it was opened")
		if _, err := r.Observe(t.Context(), bench.Span{Start: 1, End: 0}); err == nil {
			t.Error("a span that ends before it starts was observed")
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Observe(impatient, bench.Span{End: at(60_000)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

func TestRecorderIsAnOracle(t *testing.T) {
	oracletest.Run(t, func(t *testing.T) oracletest.Bench {
		s := script()
		s.lag = 10 * time.Second // this is no synctest: the machine may be busy
		r := s.open(t)
		return oracletest.Bench{
			Oracle: oracle.Oracle(r),
			Sound: func(context.Context) (bench.Span, error) {
				start := s.now()
				time.Sleep(50 * ms)
				return bench.Span{Start: start, End: s.now()}, nil
			},
		}
	})
}
