//go:build wyoming

package wyoming_test

import (
	"slices"
	"testing"

	"wakefuzz/internal/wyoming/wyomingtest"
	"wakefuzz/tts"
	"wakefuzz/tts/ttstest"
	"wakefuzz/tts/wyoming"
)

// A server on the protocol's own library, with voices at 16 and at 22.05 kHz.
func TestARealServer(t *testing.T) {
	s := open(t, wyomingtest.Python(t, "testdata/server.py").URI)
	voices, err := s.Voices(t.Context())
	if want := []string{"espeak-ng", "flite/kal16", "flite/slt"}; err != nil || !slices.Equal(voices, want) {
		t.Fatalf("voices %q, %v", voices, err)
	}
	for _, name := range []string{"flite/kal16", "espeak-ng"} {
		t.Run(name, func(t *testing.T) {
			ttstest.Run(t, s, ttstest.Options{Fixed: true, Voice: tts.Voice{Engine: wyoming.Engine, Name: name}})
		})
	}
}
