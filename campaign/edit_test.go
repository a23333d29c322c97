package campaign_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"wakefuzz/campaign"
)

const noise = "bench.engine.noise_dbfs"

// A campaign file keeps all that is not changed, byte for byte.
func TestEditSpec(t *testing.T) {
	const head = "name: x\nwake_word: alexa\nvoices: [{engine: flite, name: kal16}]\n"
	const engine = "bench: {engine: {driver: openwakeword}}\n"
	window := campaign.Change{Key: "judge.light.window", Value: "3s"}
	hold := campaign.Change{Key: "judge.light.hold_over", Value: "700ms"}
	quieter := campaign.Change{Key: noise, Value: "-50"}
	for name, tt := range map[string]struct {
		text    string
		changes []campaign.Change
		want    string
	}{
		"nothing": {head + engine, nil, head + engine},
		"a value with a comment": {
			head + engine + "\njudge:\n  light:\n    # why\n    window:   2s   # the paper's\n  hit_rate: 0.3\n",
			[]campaign.Change{window},
			head + engine + "\njudge:\n  light:\n    # why\n    window:   3s   # the paper's\n  hit_rate: 0.3\n",
		},
		"a value in braces, after letters of two bytes": {
			"name: x\nwake_word: alexa\nvoices: [{engine: flite, name: kal16}]\nbench: {engine: {driver: openwakeword, model: \"./Käse.onnx\", noise_dbfs: -60.0}} # é\n",
			[]campaign.Change{quieter},
			"name: x\nwake_word: alexa\nvoices: [{engine: flite, name: kal16}]\nbench: {engine: {driver: openwakeword, model: \"./Käse.onnx\", noise_dbfs: -50}} # é\n",
		},
		"quoted": {
			head + engine + "judge: {light: {window: '2s', hold_over: \"500ms\"}}\n",
			[]campaign.Change{window, hold},
			head + engine + "judge: {light: {window: '3s', hold_over: \"700ms\"}}\n",
		},
		"a key that braces lack": {
			head + engine, []campaign.Change{quieter},
			head + "bench: {engine: {driver: openwakeword, noise_dbfs: -50}}\n",
		},
		"keys and sections that braces lack": {
			head + engine + "judge: {\n  hit_rate: 0.3,\n}\n", []campaign.Change{window, hold},
			head + engine + "judge: {\n  hit_rate: 0.3, light: {window: 3s, hold_over: 700ms}\n}\n",
		},
		"empty braces": {
			head + engine + "judge: {}\n", []campaign.Change{window},
			head + engine + "judge: {light: {window: 3s}}\n",
		},
		"a key that a section lacks": {
			head + "bench:\n    engine:\n        driver: openwakeword # first\n        window: 1.2s # last\n\n# the end\nseed: 2\n",
			[]campaign.Change{quieter},
			head + "bench:\n    engine:\n        driver: openwakeword # first\n        window: 1.2s # last\n        noise_dbfs: -50\n\n# the end\nseed: 2\n",
		},
		"a section that the file lacks": {
			head + engine, []campaign.Change{window, hold},
			head + engine + "judge:\n  light:\n    window: 3s\n    hold_over: 700ms\n",
		},
		"no newline at the end": {
			head + strings.TrimSpace(engine), []campaign.Change{window},
			head + engine + "judge:\n  light:\n    window: 3s\n",
		},
		"lines that end otherwise": {
			strings.ReplaceAll(head+engine+"judge:\n  hit_rate: 0.3\n", "\n", "\r\n"), []campaign.Change{window},
			strings.ReplaceAll(head+engine+"judge:\n  hit_rate: 0.3\n  light:\n    window: 3s\n", "\n", "\r\n"),
		},
		"the same value": {
			head + engine + "judge: {light: {window: 3s}}\n", []campaign.Change{window},
			head + engine + "judge: {light: {window: 3s}}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := campaign.EditSpec("test.yaml", []byte(tt.text), drivers, tt.changes...)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

// Where a change can't be made without changing something else, nothing is, and
// the user is told what to write.
func TestEditSpecRefuses(t *testing.T) {
	const head = "name: x\nwake_word: alexa\nvoices: [{engine: flite, name: kal16}]\nbench: {engine: {driver: openwakeword}}\n"
	window := campaign.Change{Key: "judge.light.window", Value: "3s"}
	for name, tt := range map[string]struct {
		text   string
		change campaign.Change
		want   string
	}{
		"an empty section": {head + "judge:\n", window, "judge is not written out as a section"},
		"an anchor":        {head + "judge: {light: {window: &w 2s, hold_over: 500ms}}\n", window, "judge.light.window is not written as a plain value"},
		"an alias":         {head + "judge: {light: {hold_over: &w 2s, window: *w}}\n", window, "judge.light.window is not written as a plain value"},
		"a wrong value":    {head, campaign.Change{Key: "controls.plays", Value: "0"}, "controls.plays: 0 is not between"},
		"a wrong key":      {head, campaign.Change{Key: "judge.light.widow", Value: "3s"}, `did you mean "window"?`},
		"a wrong file":     {"name: x\n", window, "wake_word: is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := campaign.EditSpec("test.yaml", []byte(tt.text), drivers, tt.change)
			if !errors.Is(err, campaign.ErrSpec) || !strings.Contains(err.Error(), tt.want) || got != nil {
				t.Fatalf("%q, error %v; want %q", got, err, tt.want)
			}
			if !strings.Contains(tt.want, "missing") && !strings.Contains(err.Error(), tt.change.Key+": "+tt.change.Value) {
				t.Errorf("it does not say what to write: %v", err)
			}
		})
	}
}

// Whatever a file looks like, it ends up with the value, or is refused.
func FuzzEditSpec(f *testing.F) {
	f.Add([]byte(smallSpec))
	every, err := os.ReadFile("../examples/every-key.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(every)
	f.Add([]byte("name: x\nwake_word: a\nvoices: [{engine: f, name: k}]\nbench:\n  engine: {driver: openwakeword}\njudge: {light: {window: '2s'}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		before, err := campaign.ParseSpec("fuzz.yaml", text, drivers)
		if err != nil {
			return
		}
		edited, err := campaign.EditSpec("fuzz.yaml", text, drivers,
			campaign.Change{Key: "judge.light.window", Value: "3s"}, campaign.Change{Key: "controls.plays", Value: "7"})
		if err != nil {
			if !errors.Is(err, campaign.ErrSpec) {
				t.Fatalf("error %v does not wrap ErrSpec", err)
			}
			return
		}
		after, err := campaign.ParseSpec("fuzz.yaml", edited, drivers)
		if err != nil {
			t.Fatalf("the edited file is refused: %v\n%s", err, edited)
		}
		before.Judge.Light.Window, before.Controls.Plays = after.Judge.Light.Window, 7
		want, err := before.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := after.YAML(); err != nil || got != want || after.Judge.Light.Window.String() != "3s" {
			t.Fatalf("%v\n%s\nwant:\n%s", err, got, want)
		}
	})
}
