package traffic_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wakefuzz/bench"
	"wakefuzz/oracle/traffic"
)

const ms = time.Millisecond

// at is an instant, in milliseconds.
func at(ms int) bench.Instant { return bench.Instant(ms) * bench.Instant(time.Millisecond) }

// sound lasts a second, and begins late enough for there to be a time before.
var sound = bench.Span{Start: at(10_000), End: at(11_000)}

// burst is an upload of so many bytes every 100 ms, from the one time up to
// the other in milliseconds.
func burst(from, to int, bytes int32) []bench.Packet {
	var packets []bench.Packet
	for t := from; t < to; t += 100 {
		packets = append(packets, bench.Packet{At: at(t), Size: bytes + 66, Payload: bytes, Direction: bench.Outgoing})
	}
	return packets
}

// towards sets the direction of packets.
func towards(d bench.Direction, packets []bench.Packet) []bench.Packet {
	for i := range packets {
		packets[i].Direction = d
	}
	return packets
}

// watched is an observation of the sound and the rule's whole time after it.
func watched(rule traffic.BurstRule, packets ...bench.Packet) bench.Observation {
	return bench.Observation{
		Oracle:  traffic.Name,
		Watched: bench.Span{Start: sound.Start.Add(-traffic.Lookback), End: sound.End.Add(rule.Watch())},
		Packets: packets,
	}
}

func TestBurstRuleJudges(t *testing.T) {
	rule := traffic.DefaultBurstRule()
	// 288 bytes every 100 ms are 23.04 kbit/s.
	const enough, less = 288, 287
	tests := []struct {
		name     string
		packets  []bench.Packet
		state    bench.State
		strength float64
		latency  time.Duration
		fault    bench.Fault
	}{
		{"silence", nil, bench.Quiet, 0, 0, ""},
		{"a command", burst(11_300, 14_300, 3200), bench.Reacted, 256, 300 * ms, ""},
		{"just enough", burst(11_300, 14_300, enough), bench.Reacted, 23.04, 300 * ms, ""},
		{"too thin", burst(11_300, 14_300, less), bench.Quiet, 22.96, 0, ""},
		{"too short", burst(11_300, 12_200, 3200), bench.Quiet, 0, 0, ""},
		{"a pause in between", append(burst(11_300, 12_300, 3200), burst(14_300, 16_300, 3200)...), bench.Quiet, 0, 0, ""},
		{"during the sound", burst(10_200, 13_200, enough), bench.Reacted, 23.04, -800 * ms, ""},
		{"at the last moment", burst(13_000, 16_000, enough), bench.Reacted, 23.04, 2000 * ms, ""},
		{"too late", burst(13_100, 16_100, enough), bench.Quiet, 0, 0, ""},
		{"an answer", towards(bench.Incoming, burst(11_300, 14_300, 3200)), bench.Quiet, 0, 0, ""},
		{"of unknown direction", towards(bench.DirectionUnknown, burst(11_300, 14_300, 3200)), bench.Quiet, 0, 0, ""},
		{"before the sound", burst(8_000, 9_000, 3200), bench.Quiet, 0, 0, ""},
		{"not settled", burst(9_000, 9_900, 3200), bench.Unmeasured, 0, 0, bench.FaultDevice},
		{"streaming all along", burst(8_000, 16_000, enough), bench.Unmeasured, 0, 0, bench.FaultDevice},
		{"little more than a window", burst(11_300, 12_700, 3200), bench.Quiet, 0, 0, ""},
		{"acknowledgements around it", slices.Concat(burst(10_400, 11_300, 0), burst(11_300, 12_700, 3200)), bench.Quiet, 0, 0, ""},
		{"a heartbeat before", append(burst(9_900, 10_000, 500), burst(11_300, 14_300, enough)...), bench.Reacted, 23.04, 300 * ms, ""},
		{"in disorder", slices.Concat(burst(14_000, 15_000, 9), burst(11_300, 14_300, 3200)), bench.Unmeasured, 0, 0, bench.FaultOracle},
	}
	for _, tt := range tests {
		want := bench.Reading{Oracle: traffic.Name, State: tt.state, Strength: tt.strength, Latency: tt.latency, Fault: tt.fault}
		got := rule.Judge(sound, watched(rule, tt.packets...))
		if math.Abs(got.Strength-want.Strength) > 1e-9 {
			t.Errorf("%s: strength %v, want %v", tt.name, got.Strength, want.Strength)
		}
		if got.Strength = want.Strength; got != want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
		}
	}
}

// What was seen stands, what wasn't seen may have been there.
func TestBurstRuleOnALackingRecord(t *testing.T) {
	rule := traffic.DefaultBurstRule()
	lacks := map[string]func(*bench.Observation){
		"dropped": func(o *bench.Observation) { o.Dropped = 1 },
		"ends early": func(o *bench.Observation) {
			o.Watched.End--
		},
	}
	for name, lack := range lacks {
		yes, no := watched(rule, burst(11_300, 14_300, 3200)...), watched(rule)
		lack(&yes)
		lack(&no)
		if got := rule.Judge(sound, yes); got.State != bench.Reacted {
			t.Errorf("%s: a burst that was seen reads as %+v", name, got)
		}
		if got := rule.Judge(sound, no); got.State != bench.Unmeasured || got.Fault != bench.FaultOracle {
			t.Errorf("%s: a burst that was not seen reads as %+v", name, got)
		}
	}
	late := watched(rule, burst(11_300, 14_300, 3200)...)
	late.Watched.Start = sound.Start + 1
	if got := rule.Judge(sound, late); got.Fault != bench.FaultOracle {
		t.Errorf("a record that begins within the sound reads as %+v", got)
	}
	late.Watched.Start = sound.Start
	if got := rule.Judge(sound, late); got.State != bench.Reacted {
		t.Errorf("a record that begins with the sound reads as %+v", got)
	}
}

// somePackets draws a minute's packets at most, many of them about the sound.
func somePackets(t *rapid.T, label string) []bench.Packet {
	packets := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) bench.Packet {
		payload := rapid.Int32Range(0, 4000).Draw(t, "payload")
		when := rapid.OneOf(rapid.IntRange(8_000, 17_000), rapid.IntRange(0, 59_999)).Draw(t, "at")
		return bench.Packet{
			At:        at(when) + bench.Instant(rapid.SampledFrom([]int{0, 0, 1, 999_999}).Draw(t, "ns")),
			Size:      payload + 66,
			Payload:   payload,
			Direction: rapid.SampledFrom([]bench.Direction{bench.Outgoing, bench.Outgoing, bench.Incoming, bench.DirectionUnknown}).Draw(t, "direction"),
		}
	}), 0, 60).Draw(t, label)
	return inTime(packets)
}

func inTime(packets []bench.Packet) []bench.Packet {
	slices.SortStableFunc(packets, func(a, b bench.Packet) int { return int(a.At - b.At) })
	return packets
}

func shift(packets []bench.Packet, by bench.Instant) []bench.Packet {
	shifted := slices.Clone(packets)
	for i := range shifted {
		shifted[i].At += by
	}
	return shifted
}

func someRule(t *rapid.T) traffic.BurstRule {
	return traffic.BurstRule{
		Window:      time.Duration(rapid.IntRange(1, 2000).Draw(t, "window")) * ms,
		Rate:        rapid.Float64Range(0.5, 60).Draw(t, "rate"),
		Consecutive: rapid.IntRange(1, 5).Draw(t, "consecutive"),
		Latency:     time.Duration(rapid.IntRange(0, 3000).Draw(t, "latency")) * ms,
	}
}

// More of what was sent from the sound on never takes a reaction away.
func TestMoreTrafficIsNoLessOfAReaction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := someRule(t)
		packets, more := somePackets(t, "packets"), somePackets(t, "more")
		more = slices.DeleteFunc(more, func(p bench.Packet) bool { return p.At < sound.Start })
		less := rule.Judge(sound, watched(rule, packets...))
		got := rule.Judge(sound, watched(rule, inTime(append(packets, more...))...))
		if less.State == bench.Reacted && got.State != bench.Reacted || less.Strength > got.Strength {
			t.Errorf("%+v became %+v with more packets", less, got)
		}
	})
}

func TestBurstRuleKnowsNoTimeOfDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := someRule(t)
		o := watched(rule, somePackets(t, "packets")...)
		want := rule.Judge(sound, o)
		by := bench.Instant(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "shift"))
		o.Packets = shift(o.Packets, by)
		o.Watched = bench.Span{Start: o.Watched.Start + by, End: o.Watched.End + by}
		if got := rule.Judge(bench.Span{Start: sound.Start + by, End: sound.End + by}, o); got != want {
			t.Errorf("shifted by %d, %+v became %+v", by, want, got)
		}
	})
}

// No packet begins a better row than the best.
func TestBurstRuleFindsTheBestRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := someRule(t)
		packets := somePackets(t, "packets")
		o := watched(rule, packets...)
		got := rule.Judge(sound, o)
		if got.State == bench.Unmeasured {
			return
		}
		packets = slices.DeleteFunc(packets, func(p bench.Packet) bool {
			return p.At < sound.Start || p.Payload == 0 || p.Direction != bench.Outgoing
		})
		if len(packets) == 0 || packets[0].At > sound.End.Add(rule.Latency) {
			return
		}
		start := packets[0].At
		least := math.Inf(1)
		for range rule.Consecutive {
			bytes := 0
			for _, p := range packets {
				if p.At >= start && p.At < start.Add(rule.Window) {
					bytes += int(p.Payload)
				}
			}
			least = min(least, float64(bytes)*8/1000/rule.Window.Seconds())
			start = start.Add(rule.Window)
		}
		if least > got.Strength+1e-9 {
			t.Errorf("a row from %d sustains %g kbit/s, more than %+v", start, least, got)
		}
	})
}

func TestLastBusy(t *testing.T) {
	rule := traffic.DefaultBurstRule()
	tests := []struct {
		name    string
		packets []bench.Packet
		last    bench.Instant
		busy    bool
	}{
		{"silence", nil, 0, false},
		{"heartbeats", burst(0, 10_000, 200), 0, false},
		{"an answer", towards(bench.Incoming, burst(0, 10_000, 1000)), 0, false},
		{"a burst", burst(1000, 2000, 1000), at(1900), true},
		{"a burst and its end", append(burst(1000, 2000, 1000), burst(2900, 2950, 100)...), at(1900), true},
		{"a burst and a part of it", append(burst(1000, 2000, 1000), burst(2000, 2100, 1)...), at(2000), true},
	}
	for _, tt := range tests {
		if last, busy := rule.LastBusy(tt.packets); last != tt.last || busy != tt.busy {
			t.Errorf("%s: got %d, %v, want %d, %v", tt.name, last, busy, tt.last, tt.busy)
		}
	}
}

func TestBurstRule(t *testing.T) {
	if got, want := traffic.DefaultBurstRule().String(), "traffic payload out >= 23 kbit/s in 3 windows of 1s, within 2s"; got != want {
		t.Errorf("the rule states itself as %q, want %q", got, want)
	}
	if got := traffic.PaperBurstRule().Watch(); got != 7*time.Second {
		t.Errorf("five windows that begin within 2 s need %v", got)
	}
	tests := []struct {
		change func(*traffic.BurstRule)
		wrong  string
	}{
		{func(*traffic.BurstRule) {}, ""},
		{func(r *traffic.BurstRule) { *r = traffic.PaperBurstRule() }, ""},
		{func(r *traffic.BurstRule) { r.Latency = 0 }, ""},
		{func(r *traffic.BurstRule) { r.Window = 0 }, "window"},
		{func(r *traffic.BurstRule) { r.Window = traffic.Lookback + 1 }, "window"},
		{func(r *traffic.BurstRule) { r.Rate = 0 }, "rate"},
		{func(r *traffic.BurstRule) { r.Rate = math.NaN() }, "rate"},
		{func(r *traffic.BurstRule) { r.Rate = math.Inf(1) }, "rate"},
		{func(r *traffic.BurstRule) { r.Consecutive = 0 }, "consecutive"},
		{func(r *traffic.BurstRule) { r.Consecutive = 61 }, "consecutive"},
		{func(r *traffic.BurstRule) { r.Latency = -1 }, "latency"},
	}
	for _, tt := range tests {
		rule := traffic.DefaultBurstRule()
		tt.change(&rule)
		checkError(t, rule, rule.Validate(), tt.wrong)
	}
}

// checkError checks that the error speaks of what is wrong, if anything is.
func checkError(t *testing.T, rule any, err error, wrong string) {
	t.Helper()
	if (err == nil) != (wrong == "") || err != nil && !strings.HasPrefix(err.Error(), wrong) {
		t.Errorf("%+v: got error %v, want one about %q", rule, err, wrong)
	}
}
