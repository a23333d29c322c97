package scan_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wakefuzz/campaign"
	"wakefuzz/playback/speaker"
	"wakefuzz/scan"
)

var drivers = campaign.Drivers{"speaker": {Kind: campaign.KindPlayer, Options: func() campaign.Options {
	o := speaker.DefaultOptions()
	return &o
}}}

const smallest = "name: home\ninterface: wlan0\nplayer: {driver: speaker}\n"

// The example documents every key, with its default.
func TestExampleIsTheDefault(t *testing.T) {
	text, err := os.ReadFile("../examples/scans/home.yaml")
	if err != nil {
		t.Fatal(err)
	}
	example, err := scan.ParseSpec("home.yaml", text, drivers)
	if err != nil {
		t.Fatal(err)
	}
	least, err := scan.ParseSpec("least.yaml", []byte(smallest), drivers)
	if err != nil {
		t.Fatal(err)
	}
	is, err := example.YAML()
	if err != nil {
		t.Fatal(err)
	}
	want, err := least.YAML()
	if err != nil || is != want {
		t.Errorf("the example says\n%s\nand the defaults are\n%s%v", is, want, err)
	}
	campaign, err := os.ReadFile("../examples/every-key.yaml")
	if err != nil || scan.IsSpec(campaign) || !scan.IsSpec(text) || !scan.IsSpec([]byte(is)) {
		t.Errorf("a campaign file or a scan file is taken for the other, %v", err)
	}
	frozen, err := scan.ParseSpec("frozen", []byte(is), drivers)
	if err != nil {
		t.Fatal(err)
	}
	if err := frozen.Same(example); err != nil {
		t.Error(err)
	}
}

func TestSpecsThatCannotBe(t *testing.T) {
	for change, want := range map[string]string{
		"name: a/b":                                    "names the scan's folder",
		"interface: ''":                                "ip link",
		"player: {driver: horn}":                       `"horn" is not one of`,
		"voice: {engine: ''}":                          "needs an engine and a name",
		"confirm: -1":                                  "confirm: -1",
		"confirms: 1":                                  `did you mean "confirm"?`,
		"confirm: 1.5":                                 "confirm: 1.5 is not a whole number",
		"limit_mb: -1":                                 "limit_mb: -1",
		"pace: {every: 2m}":                            "pace.every: 2m0s",
		"pace: {stretch: 2h}":                          "pace.stretch: 2h0m0s",
		"pace: {rest: -1s}":                            "pace.rest: -1s",
		"judge: {level: 1}":                            "judge.level: 1",
		"judge: {calibrated: {false_alarms: 0}}":       "judge.calibrated.false_alarms: 0",
		"probes: {wake_words: [alexa, ' Alexa ']}":     "probes.wake_words[1]: alexa stands there twice",
		"probes: {sounds: ['']}":                       "probes.sounds[0]: is empty",
		"probes: {random: {words: 0, after: [x]}}":     "random.after: is of no use",
		"probes: {wake_words: [], random: {words: 0}}": "give something to play",
	} {
		key, _, _ := strings.Cut(change, ":")
		var lines []string
		for line := range strings.Lines(smallest) {
			if !strings.HasPrefix(line, key+":") {
				lines = append(lines, line)
			}
		}
		_, err := scan.ParseSpec("home.yaml", []byte(strings.Join(lines, "")+change+"\n"), drivers)
		if !errors.Is(err, scan.ErrSpec) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that says %q", change, err, want)
		}
	}
}

func TestFolderOfAnotherScan(t *testing.T) {
	one, err := scan.ParseSpec("one.yaml", []byte(smallest), drivers)
	if err != nil {
		t.Fatal(err)
	}
	judged, other := one, one
	judged.Judge.Level, judged.LimitMB = 0.01, 1
	other.Confirm = 7
	if err := one.Same(judged); err != nil {
		t.Errorf("judged in another way: %v", err)
	}
	if err := one.Same(other); !errors.Is(err, scan.ErrPlanChanged) {
		t.Errorf("confirmed in another way: %v", err)
	}
	dir := t.TempDir()
	folder, err := scan.Open(dir, "one", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	if _, err := scan.Open(dir, "two", func(stored string) error {
		if stored != "one" {
			t.Errorf("stored is %q", stored)
		}
		return refused
	}); !errors.Is(err, refused) {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "spec.yaml")); err != nil || string(text) != "one" {
		t.Errorf("the folder now says %q, %v", text, err)
	}
}

func TestSoundsAreFoundFromTheFile(t *testing.T) {
	s := scan.Default()
	s.Probes.Sounds = []string{"glass.wav", "/sounds/dog.wav"}
	if err := s.Anchor("/home/pi"); err != nil || !slices.Equal(s.Probes.Sounds, []string{"/home/pi/glass.wav", "/sounds/dog.wav"}) {
		t.Errorf("%q, %v", s.Probes.Sounds, err)
	}
}

func FuzzParseSpec(f *testing.F) {
	f.Add([]byte(smallest))
	f.Add([]byte(smallest + "probes: {wake_words: [a], random: {words: 3, after: [b]}}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := scan.ParseSpec("fuzz.yaml", text, drivers)
		if err != nil {
			if !errors.Is(err, scan.ErrSpec) {
				t.Errorf("error %v", err)
			}
			return
		}
		frozen, err := s.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := scan.ParseSpec("frozen", []byte(frozen), drivers)
		if err == nil {
			err = s.Same(again)
		}
		if err != nil {
			t.Errorf("%v\n%s", err, frozen)
		}
	})
}
