package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wakefuzz/calibration"
	"wakefuzz/campaign"
)

const deviceSpec = `# my speaker
name: mine
wake_word: alexa
voices: [{engine: flite, name: kal16}]
bench:
  player: {driver: speaker, level_dbfs: -20} # loud
  light: {driver: serial, port: /dev/ttyACM0}
`

var suggested = []calibration.Suggestion{
	{Key: "bench.player.level_dbfs", Old: "-20", New: "-17"},
	{Key: "bench.light.polarity", Old: "active-low", New: "active-high"},
	{Key: "judge.light.window", Old: "2s", New: "2s"},
}

// The file gets the values that differ and keeps its rights; a link to it stays
// one.
func TestAdoptSuggestions(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file.yaml"), filepath.Join(dir, "link.yaml")
	if err := errors.Join(os.WriteFile(file, []byte(deviceSpec), 0o600), os.Symlink("file.yaml", link)); err != nil {
		t.Fatal(err)
	}
	a := &app{stderr: io.Discard}
	read := func() string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if err := a.adoptSuggestions(link, []byte(deviceSpec), suggested, false); err != nil || read() != deviceSpec {
		t.Fatalf("unasked: %v\n%s", err, read())
	}
	if err := a.adoptSuggestions(link, []byte(deviceSpec), suggested, true); err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("-20", "-17", "ttyACM0}", "ttyACM0, polarity: active-high}").Replace(deviceSpec)
	if got := read(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
	if info, err = os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
}

// A file that somebody edits while the device is measured is theirs.
func TestAdoptSuggestionsRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file.yaml")
	for name, tt := range map[string]struct {
		was, is, want string
	}{
		"edited":  {deviceSpec, deviceSpec + "seed: 2\n", "has changed meanwhile"},
		"aliases": {strings.Replace(deviceSpec, "level_dbfs: -20", "level_dbfs: &l -20", 1), "", "write it by hand, bench.player.level_dbfs: -17"},
	} {
		t.Run(name, func(t *testing.T) {
			is := []byte(firstOf(tt.is, tt.was))
			write(t, file, is)
			err := (&app{stderr: io.Discard}).adoptSuggestions(file, []byte(tt.was), suggested, true)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, is) {
				t.Errorf("the file was written to: %v\n%s", err, now)
			}
		})
	}
}

// What a calibration sets is what the bench is opened with, and the spec that it
// came from stays as it is.
func TestSetting(t *testing.T) {
	spec, err := campaign.ParseSpec("test.yaml", []byte(deviceSpec), drivers)
	if err != nil {
		t.Fatal(err)
	}
	was := settingOf(spec)
	other := was
	other.LevelDBFS, other.Polarity, other.Light.Window, other.Traffic.Burst.Rate = -30, "active-high", 1, 2
	if got := settingOf(withSetting(spec, other)); got != other {
		t.Errorf("got %+v, want %+v", got, other)
	}
	if got := settingOf(spec); got != was {
		t.Errorf("the spec now has %+v", got)
	}
}
