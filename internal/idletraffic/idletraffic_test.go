package idletraffic_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/idletraffic"
)

// Packets come in the order of time and within the span, the same for the same
// seed and others for another, and about as many bytes as the habits say.
func TestProfiles(t *testing.T) {
	span := bench.Span{Start: 1e9, End: bench.Instant(30 * time.Hour)}
	for _, profile := range idletraffic.Profiles() {
		packets := slices.Collect(profile.Packets(1, span))
		if !slices.Equal(packets, slices.Collect(profile.Packets(1, span))) {
			t.Errorf("%s: the same seed makes other packets", profile.Name)
		}
		if slices.Equal(packets, slices.Collect(profile.Packets(2, span))) {
			t.Errorf("%s: another seed makes the same packets", profile.Name)
		}
		keepalives, bytes := 0, 0
		for i, p := range packets {
			switch {
			case p.At < span.Start || p.At >= span.End || i > 0 && p.At < packets[i-1].At:
				t.Fatalf("%s: packet %d is at %d", profile.Name, i, p.At)
			case p.Payload < 0 || p.Size != p.Payload+66 || p.Size > 1514:
				t.Fatalf("%s: packet %d is %+v", profile.Name, i, p)
			case profile.Directed == (p.Direction == bench.DirectionUnknown):
				t.Fatalf("%s: packet %d goes %v", profile.Name, i, p.Direction)
			case p.Payload >= 30 && p.Payload <= 300:
				keepalives++
			}
			bytes += int(p.Payload)
		}
		if keepalives < 30*180-1 {
			t.Errorf("%s: %d small packets in 30 h", profile.Name, keepalives)
		}
		// An hour of the quietest holds 180 heartbeats of 117 bytes on average.
		if bytes < 30*180*100 {
			t.Errorf("%s: %d bytes in 30 h", profile.Name, bytes)
		}
	}
}

// An upload carries what was kept and what was spoken, and lasts as long as
// speech does.
func TestUpload(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		upload := idletraffic.SomeUpload(rng, 1e9)
		sent, last := 0.0, upload.At
		for _, p := range upload.Packets() {
			if p.At < last {
				t.Fatalf("%+v is out of order", p)
			}
			last = p.At
			if p.Direction == bench.Outgoing {
				sent += float64(p.Payload)
			}
		}
		want := upload.Rate * (upload.Kept + upload.Speech).Seconds()
		if sent < 0.9*want || sent > 1.01*want {
			t.Errorf("%+v sends %.0f bytes of %.0f", upload, sent, want)
		}
		if took := last.Sub(upload.At); took < upload.Speech-100*time.Millisecond || took > upload.Speech+300*time.Millisecond {
			t.Errorf("%+v takes %v", upload, took)
		}
	}
}
