package traffic

import (
	"fmt"
	"time"

	"wakefuzz/bench"
)

// headerBytes is what Ethernet, IPv4 and TCP with a time stamp put before the
// payload of most packets: a frame less these is what it carried, and a bare
// acknowledgement carried nothing. Frames are counted so where the payload is
// not known, as in an encrypted wireless capture.
const headerBytes = 66

// carried is what a packet carried, in bytes.
func carried(p bench.Packet) int64 { return max(0, int64(p.Size)-headerBytes) }

// VolumeRule is the plainest detector that does well, and the yardstick for
// others: so many bytes, in whichever direction, within a sliding window.
type VolumeRule struct {
	// Bytes is the least volume, of frames less 66 bytes each.
	Bytes int64 `yaml:"bytes"`
	// Window is the time within which it passes.
	Window time.Duration `yaml:"window"`
}

// PlainVolumeRule is 25 kB in 3 s, which on real captures of an Echo and a Home
// Mini finds more than any rule of the paper at as few false alarms.
func PlainVolumeRule() VolumeRule { return VolumeRule{Bytes: 25_000, Window: 3 * time.Second} }

// Validate returns an error where the rule could not decide anything.
func (r VolumeRule) Validate() error {
	switch {
	case r.Bytes < 1:
		return fmt.Errorf("bytes: %d is no volume", r.Bytes)
	case r.Window <= 0:
		return fmt.Errorf("window: %v is not longer than nothing", r.Window)
	}
	return nil
}

// String states the rule.
func (r VolumeRule) String() string {
	return fmt.Sprintf("traffic of %d bytes within %v", r.Bytes, r.Window)
}

// Scanner looks for the volume at any time. An activation's score is the most
// that passed within a window, in bytes.
func (r VolumeRule) Scanner() Scanner { return &volumeScanner{rule: r} }

type volumeScanner struct {
	rule VolumeRule
	clock
	passed recent
	found  activations
}

func (s *volumeScanner) Packet(p bench.Packet) {
	now := s.advance(p.At)
	if carried(p) == 0 {
		return
	}
	s.passed.add(now, carried(p))
	s.passed.forget(now.Add(1 - s.rule.Window))
	first := s.passed.ticks[0]
	if bytes := s.passed.total - first.before; bytes >= s.rule.Bytes {
		s.found.add(Activation{Span: bench.Span{Start: first.at, End: now + 1}, Score: float64(bytes)})
	}
}

func (s *volumeScanner) Gap(span bench.Span) {
	s.passed = recent{}
	s.advance(span.End)
}

func (s *volumeScanner) Findings(bench.Instant) Findings { return s.found.findings() }
