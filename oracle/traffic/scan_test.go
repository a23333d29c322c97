package traffic_test

import (
	"cmp"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wakefuzz/bench"
	"wakefuzz/oracle/traffic"
)

// inMilliseconds rounds the times of packets, which is as fine as scanners see
// them.
func inMilliseconds(packets []bench.Packet) []bench.Packet {
	for i := range packets {
		packets[i].At -= packets[i].At % bench.Instant(ms)
	}
	return packets
}

// directed leaves out packets of unknown direction, which a scanner counts and
// a rule for plays doesn't.
func directed(packets []bench.Packet) []bench.Packet {
	return slices.DeleteFunc(packets, func(p bench.Packet) bool { return p.Direction == bench.DirectionUnknown })
}

// A scan finds what the rule finds that judges plays, if a sound lasts all along.
func TestBurstScannerAgreesWithItsRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := someRule(t)
		packets := directed(inMilliseconds(somePackets(t, "packets")))
		all := bench.Span{End: 2 * minute}
		want := rule.Judge(all, bench.Observation{Watched: bench.Span{End: 10 * minute}, Packets: packets})
		got := scan(rule.Scanner(), slices.Values(packets))
		if (want.State == bench.Reacted) != (len(got.Activations) > 0) {
			t.Fatalf("a scan finds %+v, the rule %+v", got, want)
		}
		for i, a := range got.Activations {
			if i == 0 && a.Span.Start.Sub(all.End) != want.Latency {
				t.Errorf("a scan finds %+v, the rule %+v", a, want)
			}
			if i > 0 && a.Span.Start.Sub(got.Activations[i-1].Span.End) < 3*time.Second {
				t.Errorf("%+v and %+v are one", got.Activations[i-1], a)
			}
		}
		if n := len(got.Activations); n > 0 {
			best := slices.MaxFunc(got.Activations, func(a, b traffic.Activation) int { return cmp.Compare(a.Score, b.Score) })
			if math.Abs(best.Score-want.Strength) > 1e-9 {
				t.Errorf("the best of %d is %g, want %g", n, best.Score, want.Strength)
			}
		}
	})
}

func TestBurstScannerFindsUploads(t *testing.T) {
	scanner := traffic.DefaultBurstRule().Scanner()
	got := scan(scanner, slices.Values(towards(bench.DirectionUnknown, burst(5_000, 9_000, 3200))))
	if len(got.Activations) != 1 || len(got.Notes) != 1 {
		t.Fatalf("an upload of unknown direction gives %+v", got)
	}
	// The last row begins with the packet whose third window holds the last one.
	if a := got.Activations[0]; a.Span != (bench.Span{Start: at(5_000), End: at(9_900)}) {
		t.Errorf("it is found at %+v", a.Span)
	}
	// An upload is found before it is over, and not across a gap.
	early := traffic.DefaultBurstRule().Scanner()
	for _, p := range burst(5_000, 7_600, 3200) {
		early.Packet(p)
	}
	if got := early.Findings(at(7_600)); len(got.Activations) != 1 {
		t.Errorf("an upload of 2.6 s that goes on gives %+v", got)
	}
	early.Gap(bench.Span{Start: at(7_600), End: at(7_601)})
	for _, p := range burst(7_601, 9_000, 3200) {
		early.Packet(p)
	}
	if got := early.Findings(at(9_000)); len(got.Activations) != 1 {
		t.Errorf("an upload with a gap gives %+v", got)
	}
}

// The plain rule, by its definition: every packet ends a window.
func TestVolumeScanner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := traffic.VolumeRule{
			Bytes:  int64(rapid.IntRange(1, 30_000).Draw(t, "bytes")),
			Window: time.Duration(rapid.IntRange(1, 3000).Draw(t, "window")) * ms,
		}
		packets := inMilliseconds(somePackets(t, "packets"))
		most := int64(0)
		for _, last := range packets {
			bytes := int64(0)
			for _, p := range packets {
				if p.At <= last.At && p.At > last.At.Add(-rule.Window) {
					bytes += int64(p.Size) - 66
				}
			}
			most = max(most, bytes)
		}
		got := scan(rule.Scanner(), slices.Values(packets))
		score := 0.0
		for _, a := range got.Activations {
			score = max(score, a.Score)
		}
		if (most >= rule.Bytes) != (score > 0) || score > 0 && score != float64(most) {
			t.Errorf("%v finds %+v, where a window holds %d at most", rule, got, most)
		}
	})
	if got, want := traffic.PlainVolumeRule().String(), "traffic of 25000 bytes within 3s"; got != want {
		t.Errorf("the rule states itself as %q, want %q", got, want)
	}
	for wrong, rule := range map[string]traffic.VolumeRule{"": traffic.PlainVolumeRule(), "bytes": {Window: 1}, "window": {Bytes: 1}} {
		checkError(t, rule, rule.Validate(), wrong)
	}
}

// Each stretch is compared with the one before, as the rule compares them.
func TestTTestScannerAgreesWithItsRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := traffic.PaperTTestScan()
		rule.Duration = time.Duration(rapid.IntRange(1000, 20_000).Draw(t, "duration")) * ms
		rule.Bins = rapid.SampledFrom([]traffic.Bins{traffic.BinsIdle, traffic.BinsBoth}).Draw(t, "bins")
		packets := directed(somePackets(t, "packets"))
		if len(packets) == 0 {
			return
		}
		scanner := rule.Scanner()
		scan(scanner, slices.Values(packets))
		stretches := scanner.Stretches()
		for start := packets[0].At.Add(rule.Duration); start.Add(rule.Duration) <= packets[len(packets)-1].At; start = start.Add(rule.Duration) {
			idle, probe := bench.Span{Start: start.Add(-rule.Duration), End: start}, bench.Span{Start: start, End: start.Add(rule.Duration)}
			want := rule.Judge(packets, packets, idle, probe)
			if len(stretches) > 0 && stretches[0].Span == probe {
				if stretches[0].Reading != want {
					t.Fatalf("%+v compares as %+v, want %+v", probe, stretches[0].Reading, want)
				}
				stretches = stretches[1:]
			} else if len(traffic.Between(packets, probe)) > 0 {
				t.Fatalf("%+v is not compared", probe)
			}
		}
		if len(stretches) > 0 {
			t.Errorf("%+v are more than there are", stretches)
		}
	})
}

// scanners are all there are.
func scanners() map[string]traffic.Scanner {
	all := map[string]traffic.Scanner{
		"volume":     traffic.PlainVolumeRule().Scanner(),
		"t-test":     traffic.PaperTTestScan().Scanner(),
		"calibrated": traffic.DefaultCalibratedRule().Scanner(),
		"told":       traffic.DefaultCalibratedRule().Scanner(bench.Span{Start: minute, End: hour}, bench.Span{Start: 2 * hour, End: 900 * hour}),
	}
	for n := 1; n <= 8; n++ {
		rule := traffic.PaperBurstRule()
		rule.Consecutive = n
		all["burst "+string(rune('0'+n))] = rule.Scanner()
	}
	both := traffic.PaperTTestScan()
	both.Features, both.Bins, both.Variances = traffic.FeaturesBoth, traffic.BinsBoth, traffic.VariancesUnequal
	all["t-test of both"] = both.Scanner()
	return all
}

// sane holds for every scanner, whatever it was given.
func sane(t *testing.T, name string, f traffic.Findings) {
	t.Helper()
	for i, a := range f.Activations {
		switch {
		case a.Span.End <= a.Span.Start:
			t.Errorf("%s: activation %+v lasts no time", name, a)
		case i > 0 && a.Span.Start < f.Activations[i-1].Span.End:
			t.Errorf("%s: activations %+v and %+v overlap", name, f.Activations[i-1], a)
		case !(a.Score > 0) || math.IsInf(a.Score, 0):
			t.Errorf("%s: an activation scores %g", name, a.Score)
		case a.P.Known() && !(a.P.Value > 0 && a.P.Value <= 1) || math.IsNaN(a.P.Value):
			t.Errorf("%s: an activation has p = %g", name, a.P.Value)
		}
	}
}

// FuzzScanners feeds every scanner packets that jump in time, step back, span
// years and have sizes that no packet has. Eight bytes are a packet, or a gap.
func FuzzScanners(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x01\x10\xff\xff\x00\x00\x00\x00\x09\x20\x7f\xff\x80\x00\x00\x00\x3f\xff\xff\xff\xff\xff\xff\xff"))
	var upload []byte
	for range 60 {
		upload = append(upload, 1, 29, 0, 1, 5, 0, 0, 0) // about 0.5 s on, 1,280 bytes
	}
	f.Add(upload)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 8*2000 {
			return
		}
		all := scanners()
		var now bench.Instant
		for len(data) >= 8 {
			b := data[:8]
			data = data[8:]
			// Steps from a nanosecond to 292 years, either way.
			step := bench.Instant(1) << (b[1] % 63)
			if b[0]&0x80 != 0 {
				step = -step
			}
			now += step // may overflow: that is a clock, too
			p := bench.Packet{
				At:        now,
				Direction: bench.Direction(b[0] % 4),
				Size:      int32(binary.BigEndian.Uint32(b[2:6])),
				Payload:   int32(binary.BigEndian.Uint32(b[4:8])) >> (b[0] >> 4 & 7),
			}
			for name, s := range all {
				if b[0]&0x0c == 0x0c {
					s.Gap(bench.Span{Start: now, End: now + step})
				} else {
					s.Packet(p)
				}
				if b[7] == 1 {
					sane(t, name, s.Findings(now))
				}
			}
		}
		for name, s := range all {
			sane(t, name, s.Findings(now))
			sane(t, name, s.Findings(0))
		}
	})
}

// However many packets come, what is kept stays small.
func TestScannersKeepLittle(t *testing.T) {
	for name, step := range map[string]bench.Instant{
		"a packet every 100 ns":  100,
		"a packet every 10 ms":   bench.Instant(10 * ms),
		"a packet every minute":  minute,
		"a packet every 50 days": 1200 * hour,
	} {
		t.Run(name, func(t *testing.T) {
			all := scanners()
			delete(all, "t-test") // as many as a stretch holds
			delete(all, "t-test of both")
			before := inUse()
			for i := range 100_000 {
				p := bench.Packet{At: bench.Instant(i) * step, Size: 1514, Payload: 1448, Direction: bench.Outgoing}
				for _, s := range all {
					s.Packet(p)
				}
			}
			if grown := inUse() - before; grown > 32<<20 {
				t.Errorf("%d scanners grew by %d MB", len(all), grown>>20)
			}
			runtime.KeepAlive(all)
		})
	}
}

func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkScanners is the cost of a packet of a speaker's upload.
func BenchmarkScanners(b *testing.B) {
	packets := burst(0, 60_000, 1448)
	for name, s := range map[string]func() traffic.Scanner{
		"burst":      traffic.DefaultBurstRule().Scanner,
		"t-test":     func() traffic.Scanner { return traffic.PaperTTestScan().Scanner() },
		"volume":     traffic.PlainVolumeRule().Scanner,
		"calibrated": func() traffic.Scanner { return traffic.DefaultCalibratedRule().Scanner() },
	} {
		b.Run(name, func(b *testing.B) {
			scanner := s()
			for i := range b.N {
				p := packets[i%len(packets)]
				p.At += bench.Instant(i/len(packets)) * minute
				scanner.Packet(p)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "packets/s")
		})
	}
}
