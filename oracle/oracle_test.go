package oracle_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle"
)

// observations spells the observations of oracles a, b, c: R reacted, Q quiet,
// U unmeasured by its judge, F faulty in itself, - not there.
func observations(states string) []bench.Observation {
	var all []bench.Observation
	for i, state := range states {
		o := bench.Observation{Oracle: string(rune('a' + i)), Detail: string(state)}
		switch state {
		case '-':
			continue
		case 'F':
			o.Fault = bench.FaultDevice
		}
		all = append(all, o)
	}
	return all
}

func judge(_ bench.Span, o bench.Observation) bench.Reading {
	switch o.Detail {
	case "R":
		return bench.Reading{State: bench.Reacted, Strength: 0.9}
	case "Q":
		return bench.Reading{State: bench.Quiet, Strength: 0.1}
	case "U":
		return bench.Reading{Fault: bench.FaultOracle}
	default:
		panic("a faulty observation must not be judged")
	}
}

func TestFusion(t *testing.T) {
	const reacted, quiet, unmeasured = bench.Reacted, bench.Quiet, bench.Unmeasured
	tests := []struct {
		states   string
		any, all bench.State
		b        bench.State // what oracle b says
	}{
		{"R", reacted, reacted, unmeasured},
		{"Q", quiet, quiet, unmeasured},
		{"U", unmeasured, unmeasured, unmeasured},
		{"F", unmeasured, unmeasured, unmeasured},
		{"", unmeasured, unmeasured, unmeasured},
		{"RR", reacted, reacted, reacted},
		{"RQ", reacted, quiet, quiet},
		{"QR", reacted, quiet, reacted},
		{"QQ", quiet, quiet, quiet},
		{"RU", reacted, unmeasured, unmeasured},
		{"UR", reacted, unmeasured, reacted},
		{"QU", unmeasured, quiet, unmeasured},
		{"FQ", unmeasured, quiet, quiet},
		{"UF", unmeasured, unmeasured, unmeasured},
		{"-R", reacted, reacted, reacted},
		{"RQF", reacted, quiet, quiet},
		{"RRF", reacted, unmeasured, reacted},
		{"QQF", unmeasured, quiet, quiet},
	}
	judges := map[string]oracle.Judge{"a": judge, "b": judge, "c": judge}
	for _, tt := range tests {
		for fusion, want := range map[oracle.Fusion]bench.State{
			oracle.FusionAny: tt.any, oracle.FusionAll: tt.all, "b": tt.b,
		} {
			rules := oracle.Rules{Judges: judges, Fusion: fusion}
			got := rules.Judge(bench.Span{}, observations(tt.states))
			if got.State != want {
				t.Errorf("%q fused by %q: %v, want %v", tt.states, fusion, got.State, want)
			}
			if (got.Fault == bench.NoFault) != (got.State != unmeasured) {
				t.Errorf("%q fused by %q: %v with fault %q", tt.states, fusion, got.State, got.Fault)
			}
			if n := len(strings.ReplaceAll(tt.states, "-", "")); len(got.Readings) != n {
				t.Errorf("%q: %d readings, want %d", tt.states, len(got.Readings), n)
			}
		}
	}
}

func TestVerdictNamesTheFault(t *testing.T) {
	rules := oracle.Rules{Judges: map[string]oracle.Judge{"a": judge}, Fusion: "a"}
	for states, want := range map[string]bench.Fault{
		"F":  bench.FaultDevice, // the observation's own
		"U":  bench.FaultOracle, // the judge's
		"-R": bench.FaultOracle, // nothing from the oracle that decides
	} {
		if got := rules.Judge(bench.Span{}, observations(states)).Fault; got != want {
			t.Errorf("%q: fault %q, want %q", states, got, want)
		}
	}
}

func TestReadings(t *testing.T) {
	sound := bench.Span{Start: 5, End: 9}
	late := func(sound bench.Span, _ bench.Observation) bench.Reading {
		return bench.Reading{Oracle: "whatever", State: bench.Reacted, Latency: sound.Duration() + time.Second}
	}
	rules := oracle.Rules{Judges: map[string]oracle.Judge{"a": judge, "c": late}, Fusion: oracle.FusionAny}
	got := rules.Judge(sound, observations("QRRF")).Readings
	want := []bench.Reading{
		{Oracle: "a", State: bench.Quiet, Strength: 0.1},
		{Oracle: "b", Fault: bench.FaultOracle}, // nobody judges b
		{Oracle: "c", State: bench.Reacted, Latency: time.Second + 4},
		{Oracle: "d", Fault: bench.FaultDevice},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("readings are\n%+v\nwant\n%+v", got, want)
	}
}
