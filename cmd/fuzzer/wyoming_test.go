//go:build wyoming

package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wakefuzz/internal/wyoming/wyomingtest"
)

// A campaign against a real wake-word server, from doctor to the table.
func TestARealWyomingServer(t *testing.T) {
	server := wyomingtest.Python(t, "-m", "wyoming_openwakeword", "--preload-model", "alexa_v0.1")
	file := campaignFile(t, "{driver: openwakeword, model: alexa_v0.1, window: 1.2s}",
		"{driver: wyoming, uri: '"+server.URI+"', model: alexa_v0.1, speed: 4, lag: 1s}")
	fuzzer(t, exitDone, "doctor", file).finds(t, "ok engine the server has the wake word: alexa_v0.1, openwakeword")
	dir := filepath.Join(t.TempDir(), "campaign")
	fuzzer(t, exitDone, "run", file, "--dir", dir)
	table := exportCSV(t, dir)
	for word, hit := range map[string]bool{"alexis": true, "lexus": true, "alexa": true, "banana": false} {
		row := regexp.MustCompile(fmt.Sprintf(`(?m)^%s,.*,%t,`, word, hit))
		if !row.MatchString(table) {
			t.Errorf("%s is not a hit: %t, in\n%s", word, hit, table)
		}
	}
	if status := fuzzer(t, exitDone, "status", dir).stdout; !strings.Contains(status, "engine says so") {
		t.Errorf("status:\n%s", status)
	}

	unknown := campaignFile(t, "{driver: openwakeword, model: alexa_v0.1, window: 1.2s}", "{driver: wyoming, uri: '"+server.URI+"', model: alexo}")
	fuzzer(t, exitUnfit, "doctor", unknown).finds(t, `FAIL engine .*no wake word "alexo", but alexa_v0.1`)
}
