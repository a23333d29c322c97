package campaign_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/oracle/engine/openwakeword"
)

// drivers are the real ones: the spec of an example must be read as the
// command reads it.
var drivers = campaign.Drivers{
	"openwakeword": {Kind: campaign.KindEngine, Options: func() campaign.Options {
		o := openwakeword.DefaultOptions()
		return &o
	}},
	"listener": {Kind: campaign.KindEngine, Scoreless: true, Options: func() campaign.Options { return new(noOptions) }},
	"speaker":  {Kind: campaign.KindPlayer, Options: func() campaign.Options { return new(noOptions) }},
	"lamp":     {Kind: campaign.KindLight, Options: func() campaign.Options { return new(noOptions) }},
	"tap":      {Kind: campaign.KindTraffic, Options: func() campaign.Options { return new(noOptions) }},
}

// noOptions are those of a driver that has none.
type noOptions struct{}

func (noOptions) Validate() error { return nil }

const smallSpec = `
name: small
wake_word: alexa
words:
  phonemes: [5, 6]
  limit: 3
voices:
  - {engine: flite, name: kal16}
bench:
  engine:
    driver: openwakeword
    model: alexa_v0.1
protocol:
  plays: 4
`

func parse(t *testing.T, text string) campaign.Spec {
	t.Helper()
	spec, err := campaign.ParseSpec("test.yaml", []byte(text), drivers)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestDefaultsAreThePapers(t *testing.T) {
	spec := parse(t, smallSpec)
	if spec.Judge.HitRate != 0.2 || spec.Rank.Metric != "double-metaphone" || spec.Rank.Order != "distance" {
		t.Errorf("judge %+v, rank %+v", spec.Judge, spec.Rank)
	}
	if spec = parse(t, strings.Replace(smallSpec, "protocol:\n  plays: 4\n", "", 1)); spec.Protocol.Plays != 10 {
		t.Errorf("%d plays a word, want the paper's 10", spec.Protocol.Plays)
	}
}

// An engine that tells no scores is judged by what it said.
func TestAnEngineWithoutScores(t *testing.T) {
	const engine = "driver: openwakeword\n    model: alexa_v0.1"
	rules := parse(t, strings.Replace(smallSpec, engine, "driver: listener", 1)).Rules()
	if rules.Text != "engine says so" {
		t.Errorf("the rule is %q", rules.Text)
	}
	o := bench.Observation{Oracle: "engine", Watched: bench.Span{End: 9}, Detections: []bench.Instant{7}}
	if v := rules.Judge(bench.Span{End: 5}, []bench.Observation{o}); v.State != bench.Reacted {
		t.Errorf("a detection is judged as %v", v.State)
	}
}

func TestBadSpecs(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(smallSpec, old) {
			t.Fatalf("the spec has no %q", old)
		}
		return strings.Replace(smallSpec, old, new, 1)
	}
	for name, test := range map[string]struct {
		text string
		want []string // in the message
	}{
		"unknown key":            {replace("limit:", "limmit:"), []string{"test.yaml:6:3", `unknown key "limmit"`, `did you mean "limit"?`}},
		"unknown key, top level": {replace("voices:", "voizes:"), []string{"test.yaml:7:1", `did you mean "voices"?`}},
		"unknown driver key":     {replace("model:", "modell:"), []string{"test.yaml:12:5", `did you mean "model"?`}},
		"unlike any key":         {replace("limit:", "zzzzzzzzzzzz:"), []string{`unknown key "zzzzzzzzzzzz"`}},
		"wrong type":             {replace("limit: 3", "limit: three"), []string{"test.yaml:6:10", `"three" is not a whole number`}},
		"wrong type, a number":   {smallSpec + "judge:\n  hit_rate: high\n", []string{`"high" is not a number`}},
		"wrong type, a switch":   {replace("limit: 3", "unusual: often"), []string{`"often" is not true or false`}},
		"wrong type, a text":     {replace("name: small", "name: [small]"), []string{"test.yaml:2:7", "is not a string"}},
		"wrong type, a duration": {replace("model: alexa_v0.1", "window: 3"), []string{`"3" is not a duration, such as 1.2s`}},
		"out of range":           {"seed: -1\n" + smallSpec, []string{"test.yaml:1:7", "-1 is out of range"}},
		"list for a number":      {replace("plays: 4", "plays: [4]"), []string{"test.yaml:14:10"}},
		"not YAML":               {"name: [", []string{"test.yaml:1:"}},
		"empty":                  {"", []string{"name:"}},
		"unknown driver":         {replace("driver: openwakeword", "driver: porcupine"), []string{`"porcupine"`, "openwakeword"}},
		"engine not a section":   {replace("  engine:\n    driver: openwakeword\n    model: alexa_v0.1\n", "  engine: openwakeword\n"), []string{`"driver"`}},
		"no bench":               {replace("bench:\n  engine:\n    driver: openwakeword\n    model: alexa_v0.1\n", ""), []string{"bench.engine"}},
		"hardware and a model":   {replace("bench:\n", "bench:\n  player: {driver: speaker}\n"), []string{"bench.engine"}},
		"nobody watches":         {replace("  engine:\n    driver: openwakeword\n    model: alexa_v0.1\n", "  player: {driver: speaker}\n"), []string{"bench.light"}},
		"nobody plays":           {replace("  engine:\n    driver: openwakeword\n    model: alexa_v0.1\n", "  light: {driver: lamp}\n"), []string{"bench.player"}},
		"a lamp that plays":      {replace("  engine:\n    driver: openwakeword\n    model: alexa_v0.1\n", "  player: {driver: lamp}\n"), []string{"bench.player: the driver lamp is not a player but a light"}},
		"no time to settle":      {replace("bench:\n", "bench:\n  settle: {quiet: 5s, limit: 1s}\n"), []string{"bench.settle"}},
		"controls of a model":    {smallSpec + "controls:\n  every: 5\n", []string{"controls.every"}},
		"negatives, less than 0": {smallSpec + "controls:\n  negative_every: -1\n", []string{"controls.negative_every: -1 is not between"}},
		"negatives, hardly any":  {smallSpec + "controls:\n  negative_every: 1000001\n", []string{"controls.negative_every: 1000001 is not between"}},
		"negatives by a number":  {smallSpec + "controls:\n  negatives: 10\n", []string{`unknown key "negatives"`}},
		"controls, retry":        {smallSpec + "controls:\n  retry: 1ms\n", []string{"controls.retry"}},
		"evidence, quiet":        {smallSpec + "evidence:\n  quiet: -1\n", []string{"evidence.quiet"}},
		"evidence, limit":        {smallSpec + "evidence:\n  limit_mb: 2000000\n", []string{"evidence.limit_mb"}},
		"verdict of nobody":      {smallSpec + "judge:\n  verdict: light\n", []string{"judge.verdict", "engine"}},
		"no voices":              {replace("voices:\n  - {engine: flite, name: kal16}\n", ""), []string{"voices"}},
		"a voice twice":          {replace("kal16}\n", "kal16}\n  - {engine: flite, name: kal16, rate: 1}\n"), []string{"voices[1]", "twice"}},
		"a voice without name":   {replace(", name: kal16", ""), []string{"voices[0]"}},
		"no wake word":           {replace("wake_word: alexa\n", ""), []string{"wake_word"}},
		"a name with a slash":    {replace("name: small", "name: ../small"), []string{"name:"}},
		"half a play":            {replace("plays: 4", "plays: 2.5"), []string{"protocol.plays: 2.5 is not a whole number"}},
		"half a phoneme":         {replace("[5, 6]", "[5.5, 6]"), []string{"words.phonemes[0]: 5.5 is not a whole number"}},
		"no plays":               {replace("plays: 4", "plays: 0"), []string{"protocol.plays"}},
		"no tries":               {smallSpec + "  tries: 0\n", []string{"protocol.tries"}},
		"unknown protocol":       {smallSpec + "  kind: psychic\n", []string{"protocol.kind", "psychic"}},
		"too many workers":       {replace("bench:\n", "bench:\n  workers: 100000\n"), []string{"bench.workers"}},
		"hit rate of nothing":    {smallSpec + "judge:\n  hit_rate: 0\n", []string{"judge.hit_rate"}},
		"hit rate not a number":  {smallSpec + "judge:\n  hit_rate: .nan\n", []string{"judge.hit_rate"}},
		"threshold":              {smallSpec + "judge:\n  engine: {threshold: 1.5}\n", []string{"judge.engine.threshold"}},
		"threshold of nothing":   {replace("driver: openwakeword\n    model: alexa_v0.1", "driver: listener") + "judge:\n  engine: {threshold: 0.7}\n", []string{"judge.engine", "listener"}},
		"patience":               {smallSpec + "judge:\n  engine: {patience: 0}\n", []string{"judge.engine.patience"}},
		"metric":                 {smallSpec + "rank:\n  metric: soundex\n", []string{"soundex", "double-metaphone"}},
		"order":                  {smallSpec + "rank:\n  order: luck\n", []string{"luck", "lower-bound"}},
		"word order":             {replace("limit: 3", "order: luck"), []string{"words.order"}},
		"window":                 {replace("model: alexa_v0.1", "window: 1ms"), []string{"bench.engine.window"}},
		"window without unit":    {replace("model: alexa_v0.1", "window: soon"), []string{`invalid duration "soon"`}},
		"pronunciation":          {"pronunciation: AH LEX\n" + smallSpec, []string{"pronunciation", "LEX"}},
		"detector":               {smallSpec + "judge:\n  traffic: {detector: loud}\n", []string{"test.yaml:16:23", `"loud" is not one of: calibrated, burst`}},
		"another detector's key": {smallSpec + "judge:\n  traffic: {detector: calibrated, rate: 23}\n", []string{"test.yaml:16:35", "rate is a key of the detector burst, and this one is calibrated"}},
		"two detectors' keys":    {smallSpec + "judge:\n  traffic: {rate: 23, false_alarms: 1}\n", []string{"test.yaml:16:23", "false_alarms is a key of the detector calibrated, and this one is burst"}},
		"no detector's key":      {smallSpec + "judge:\n  traffic: {detector: burst, ratte: 23}\n", []string{"test.yaml:16:30", `unknown key "ratte"; did you mean "rate"?`}},
		"half a window":          {smallSpec + "judge:\n  traffic: {consecutive: 2.5}\n", []string{"judge.traffic.consecutive: 2.5 is not a whole number"}},
		"traffic not a section":  {smallSpec + "judge:\n  traffic: burst\n", []string{"test.yaml:16:12", "needs the key detector"}},
		"huge":                   {smallSpec + strings.Repeat("# filler\n", 1<<17), []string{"larger"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := campaign.ParseSpec("test.yaml", []byte(test.text), drivers)
			if !errors.Is(err, campaign.ErrSpec) {
				t.Fatalf("error %v does not wrap ErrSpec", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error does not say %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestFrozenSpecIsTheSpec(t *testing.T) {
	every, err := os.ReadFile("../examples/every-key.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{smallSpec, physicalSpec, pacedSpec, string(every)} {
		spec := parse(t, text)
		frozen, err := spec.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again := parse(t, frozen)
		if got, want := show(again), show(spec); got != want {
			t.Errorf("frozen and read again:\n%s\nwas:\n%s\nfrozen as:\n%s", got, want, frozen)
		}
		if diff, err := campaign.PlanDiff(spec, again); err != nil || len(diff) != 0 {
			t.Errorf("plan differs after freezing: %q, %v", diff, err)
		}
	}
}

// show prints a spec with what its pointer points to.
func show(s campaign.Spec) string {
	parts := []*campaign.Driver{s.Bench.Engine, s.Bench.Player, s.Bench.Light, s.Bench.Traffic}
	s.Bench.Engine, s.Bench.Player, s.Bench.Light, s.Bench.Traffic = nil, nil, nil, nil
	text := fmt.Sprintf("%+v", s)
	for _, d := range parts {
		if d != nil {
			text += fmt.Sprintf(" %s %s %+v", d.Kind, d.Name, d.Options)
		}
	}
	return text
}

func TestPlanDiff(t *testing.T) {
	spec := parse(t, smallSpec)
	for name, test := range map[string]struct {
		change func(*campaign.Spec)
		want   []string
	}{
		"nothing":    {func(*campaign.Spec) {}, nil},
		"judging":    {func(s *campaign.Spec) { s.Judge.HitRate, s.Judge.Engine.Threshold = 0.5, 0.9 }, nil},
		"ranking":    {func(s *campaign.Spec) { s.Rank.Order = "rate" }, nil},
		"workers":    {func(s *campaign.Spec) { s.Bench.Workers = 7 }, nil},
		"tries":      {func(s *campaign.Spec) { s.Protocol.Tries = 7 }, nil},
		"the pace":   {func(s *campaign.Spec) { s.Protocol.Pace.Rest = time.Minute }, []string{"protocol.pace.rest: 10s -> 1m0s"}},
		"the t-test": {func(s *campaign.Spec) { s.Judge.TTest.Threshold = 0.05 }, nil},
		"plays":      {func(s *campaign.Spec) { s.Protocol.Plays = 5 }, []string{"protocol.plays: 4 -> 5"}},
		"limit":      {func(s *campaign.Spec) { s.Words.Limit = 0 }, []string{"words.limit: 3 -> (none)"}},
		"a voice":    {func(s *campaign.Spec) { s.Voices[0].Name = "slt" }, []string{"voices: "}},
		"the model":  {func(s *campaign.Spec) { s.Bench.Engine.Options = &openwakeword.Options{Model: "x"} }, []string{"bench.engine.model: alexa_v0.1 -> x", "bench.engine.noise_dbfs: ", "bench.engine.window: "}},
	} {
		t.Run(name, func(t *testing.T) {
			changed := parse(t, smallSpec)
			test.change(&changed)
			diff, err := campaign.PlanDiff(spec, changed)
			if err != nil {
				t.Fatal(err)
			}
			if len(diff) != len(test.want) {
				t.Fatalf("differences %q, want %q", diff, test.want)
			}
			for i, want := range test.want {
				if !strings.HasPrefix(diff[i], want) {
					t.Errorf("difference %q, want %q", diff[i], want)
				}
			}
		})
	}
}

// A file from before there was a choice of detectors means what it meant.
func TestTrafficDetector(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "traffic above idle, 0.2 false alarms an hour, within 2s",
		"traffic: {latency: 3s}":              "traffic above idle, 0.2 false alarms an hour, within 3s",
		"traffic: {false_alarms: 1}":          "traffic above idle, 1 false alarms an hour, within 2s",
		"traffic: {detector: burst}":          "traffic payload out >= 23 kbit/s in 3 windows of 1s, within 2s",
		"traffic: {consecutive: 5}":           "traffic payload out >= 23 kbit/s in 5 windows of 1s, within 2s",
		"traffic: {latency: 1s, window: 2s}":  "traffic payload out >= 23 kbit/s in 3 windows of 2s, within 1s",
		"traffic: {rate: 9, detector: burst}": "traffic payload out >= 9 kbit/s in 3 windows of 1s, within 2s",
	} {
		spec := parse(t, strings.Replace(physicalSpec, "bench:", "judge: {verdict: traffic, "+text+"}\nbench:\n  traffic: {driver: tap}", 1))
		if got := spec.Judge.Traffic.String(); got != want {
			t.Errorf("%q means %q, want %q", text, got, want)
		}
		frozen, err := spec.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if again := parse(t, frozen); again.Judge.Traffic != spec.Judge.Traffic {
			t.Errorf("%q, frozen, is %+v\n%s", text, again.Judge.Traffic, frozen)
		}
	}
}

func TestRejudged(t *testing.T) {
	spec := parse(t, physicalSpec)
	judge, err := campaign.ParseJudge("other.yaml", []byte("voices: 3\njudge: {traffic: {consecutive: 5}, hit_rate: 0.5}\n"), drivers)
	if err != nil {
		t.Fatal(err)
	}
	now, err := spec.Rejudged(judge)
	if err != nil || now.Judge.HitRate != 0.5 || now.Judge.Traffic.Burst.Consecutive != 5 || spec.Judge.HitRate != 0.2 {
		t.Errorf("%+v, %v", now.Judge, err)
	}
	for text, want := range map[string]string{
		"":                             "other.yaml: there is no section judge in it",
		"hit_rate: 0.5":                "there is no section judge in it",
		"judge: [1]":                   "other.yaml:1:8",
		"judge: {hitrate: 0.5}":        `did you mean "hit_rate"?`,
		"judge: {traffic: {n: 5}}":     "other.yaml:1:19: unknown key",
		"judge:\n  light: {window: 2}": "other.yaml:2:19",
		"judge: {engine: {patience: 1.5}, hit_rate: 1}": "judge.engine.patience: 1.5 is not a whole number",
		strings.Repeat("# filler\n", 1<<17):             "larger",
	} {
		if _, err := campaign.ParseJudge("other.yaml", []byte(text), drivers); !errors.Is(err, campaign.ErrSpec) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	for _, change := range []func(*campaign.JudgeSpec){
		func(j *campaign.JudgeSpec) { j.HitRate = 2 },
		func(j *campaign.JudgeSpec) { j.Verdict = "engine" },
		func(j *campaign.JudgeSpec) { j.TTest.Threshold = 0 },
		func(j *campaign.JudgeSpec) { j.Light.Window = -1 },
	} {
		bad := judge
		change(&bad)
		if _, err := spec.Rejudged(bad); err == nil {
			t.Errorf("%+v judges", bad)
		}
	}
}

func TestParseGate(t *testing.T) {
	gate, err := campaign.ParseGate("gate.yaml", []byte("name: 5\ngate: {max_hits: 0, max_rate: 0.5}\n"), drivers)
	if err != nil || gate.MaxHits == nil || *gate.MaxHits != 0 || *gate.MaxRate != 0.5 || gate.MaxNewHits != nil {
		t.Errorf("%+v, %v", gate, err)
	}
	for text, want := range map[string]string{
		"":                        "gate.yaml: there is no section gate in it that asks for anything",
		"gate: {}":                "no section gate in it that asks",
		"gate: {max_hits: 1.5}":   "gate.max_hits: 1.5 is not a whole number",
		"gate: {max_hits: -1}":    "gate.max_hits: -1 is negative",
		"gate: {max_rate: 2}":     "gate.max_rate: 2 is not in [0, 1]",
		"gate:\n  max_hit: 1":     `gate.yaml:2:3: unknown key "max_hit"; did you mean "max_hits"?`,
		"gate: {max_risen: many}": "gate.yaml:1:19",
	} {
		if _, err := campaign.ParseGate("gate.yaml", []byte(text), drivers); !errors.Is(err, campaign.ErrSpec) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}

	// A gate is part of the file and shapes no play.
	with, without := parse(t, smallSpec+"gate: {max_hits: 3}\n"), parse(t, smallSpec)
	if *with.Gate.MaxHits != 3 || without.Gate.Asks() {
		t.Errorf("%+v, %+v", with.Gate, without.Gate)
	}
	if diff, err := campaign.PlanDiff(with, without); err != nil || len(diff) > 0 {
		t.Errorf("a gate plans something else: %q, %v", diff, err)
	}
	if text, err := without.YAML(); err != nil || strings.Contains(text, "gate") {
		t.Errorf("%v:\n%s", err, text)
	}
}

func FuzzParseGate(f *testing.F) {
	f.Add([]byte("gate: {max_hits: 1, max_rate: 0.5}"))
	f.Add([]byte("gate: &a {max_risen: *a}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		gate, err := campaign.ParseGate("fuzz.yaml", text, drivers)
		if err != nil && !errors.Is(err, campaign.ErrSpec) {
			t.Fatalf("error %v does not wrap ErrSpec", err)
		}
		if err == nil && (!gate.Asks() || gate.Validate() != nil) {
			t.Fatalf("%+v is taken", gate)
		}
	})
}

func FuzzParseJudge(f *testing.F) {
	f.Add([]byte("judge: {traffic: {rate: 1}, hit_rate: 0.5}"))
	f.Add([]byte("judge: &a {light: *a}"))
	f.Add([]byte("name: x\njudge:\n  traffic: !tag\nseed: 1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := campaign.ParseJudge("fuzz.yaml", text, drivers); err != nil && !errors.Is(err, campaign.ErrSpec) {
			t.Fatalf("error %v does not wrap ErrSpec", err)
		}
	})
}

func FuzzParseSpec(f *testing.F) {
	f.Add([]byte(smallSpec))
	every, err := os.ReadFile("../examples/every-key.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(every)
	f.Add([]byte("a: &a [*a, *a]"))
	f.Add([]byte("name: x\nname: y"))
	f.Add([]byte(smallSpec + "judge: {traffic: {window: 1s, latency: 1s}}"))
	f.Add([]byte(strings.Replace(smallSpec, "name: kal16", "name: [a, b], rate: [1, 2]", 1) + "voices_sample: 3\n"))
	f.Add([]byte("name: x\nwords:\n  phonemes: !tag\nseed: 1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		spec, err := campaign.ParseSpec("fuzz.yaml", text, drivers)
		if err != nil {
			if !errors.Is(err, campaign.ErrSpec) {
				t.Fatalf("error %v does not wrap ErrSpec", err)
			}
			return
		}
		// What is accepted can be frozen and read again as the same.
		frozen, err := spec.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := campaign.ParseSpec("frozen.yaml", []byte(frozen), drivers)
		if err != nil {
			t.Fatalf("the frozen spec is refused: %v\n%s", err, frozen)
		}
		if diff, err := campaign.PlanDiff(spec, again); err != nil || len(diff) > 0 {
			t.Fatalf("the frozen spec plans something else: %q, %v", diff, err)
		}
	})
}
