//go:build e2e

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/pcapgo"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/capture"
	"wakefuzz/internal/virtualspeaker/bed"
	"wakefuzz/oracle/traffic"
	"wakefuzz/results"
)

// checkEvidence checks that every reaction that an oracle saw has its evidence, that this is what is stored of it, packet for packet, and that
// nothing is in there of what the device said.
func checkEvidence(t *testing.T, folder string) {
	t.Helper()
	r, err := results.View(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec, err := frozenSpec(r)
	if err != nil {
		t.Fatal(err)
	}
	in, files, size, err := campaign.Evidence(folder)
	if err != nil {
		t.Fatal(err)
	}
	words := map[results.TrialID]string{}
	for _, trial := range r.Trials() {
		words[trial.ID] = trial.Word
	}
	packets, checked := 0, 0
	var reactions []reaction
	var sizes []string
	for a, err := range r.Attempts() {
		if err != nil {
			t.Fatal(err)
		}
		of, err := filepath.Glob(filepath.Join(in, fmt.Sprintf("*_%.12s_play%d_attempt%d_%s.pcapng", a.Play.Trial, a.Play.Index+1, a.Number, a.State)))
		if err != nil || len(of) > 1 {
			t.Fatalf("play %s, attempt %d has the evidence %q, %v", a.Play, a.Number, of, err)
		}
		verdict := spec.Rules().Judge(a.Sound, a.Observations)
		if slices.ContainsFunc(verdict.Readings, func(r bench.Reading) bool { return r.State == bench.Reacted }) {
			reactions = append(reactions, reaction{a.Session, a.Sound.Start, len(of) > 0})
		}
		if len(of) == 0 {
			continue
		}
		checked++
		packets += checkFile(t, r, of[0], words[a.Play.Trial], a)
		info, err := os.Stat(of[0])
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, fmt.Sprintf("%s %d", a.State, info.Size()))
	}
	lacking := 0
	for _, r := range reactions {
		if !slices.ContainsFunc(reactions, r.shares) {
			lacking++
		}
	}
	// The process may have been killed right after it stored a reaction.
	if lacking > 1 || checked != files || checked == 0 {
		t.Errorf("%d plays have evidence, and %d files are there; %d reactions have none", checked, files, lacking)
	}
	t.Logf("evidence of %d plays: %d packets in %d bytes, in %s", checked, packets, size, strings.Join(sizes, ", "))
}

// reaction is of a word that a device may have reacted to.
type reaction struct {
	session uint32
	start   bench.Instant // of the word
	kept    bool          // it has evidence
}

// shares says whether another word has the evidence of the same reaction, as of
// the words of a segment one has. Words by themselves are farther apart.
func (r reaction) shares(other reaction) bool {
	const reach = 5 * time.Second
	return other.kept && r.session == other.session && max(r.start, other.start).Sub(min(r.start, other.start)) < reach
}

// checkFile checks the evidence of an attempt, and returns how many packets it
// holds.
func checkFile(t *testing.T, r *results.Reader, path, word string, a results.Attempt) int {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ng, err := pcapgo.NewNgReader(file, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	if comment := ng.SectionInfo().Comment; !strings.Contains(comment, fmt.Sprintf("%q", word)) || !strings.Contains(comment, a.Play.String()) {
		t.Errorf("%s says %q of %q, play %s", path, comment, word, a.Play)
	}

	device, err := capture.ParseAddress(bed.DeviceMAC)
	if err != nil {
		t.Fatal(err)
	}
	in, err := capture.Open(path, device)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var got []bench.Packet // without their times, which are of another clock
	for {
		p, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if f := in.Frame(); len(f.Data)+int(p.Payload) > f.Length || len(f.Data) > 200 {
			t.Errorf("%s: %d bytes are kept of a frame of %d with %d of payload", path, len(f.Data), f.Length, p.Payload)
		}
		direction := map[capture.Direction]bench.Direction{capture.Outgoing: bench.Outgoing, capture.Incoming: bench.Incoming}[p.Direction]
		got = append(got, bench.Packet{Size: p.Size, Payload: p.Payload, Direction: direction})
	}

	span := bench.Span{Start: a.Sound.Start.Add(-traffic.Lookback), End: math.MaxInt64}
	var stored []bench.Packet
	for p, err := range r.Packets(a.Session, a.Bench, span) {
		if err != nil {
			t.Fatal(err)
		}
		p.At = 0
		stored = append(stored, p)
	}
	for _, o := range a.Observations {
		if o.Oracle == traffic.Name && (o.Watched.Start < span.Start || len(got) < len(o.Packets)) {
			t.Errorf("%s has %d packets from %d on, of an observation of %d from %d on", path, len(got), span.Start, len(o.Packets), o.Watched.Start)
		}
	}
	// Of a session's last play, the store may lack what came after its window.
	if n := min(len(got), len(stored)); !slices.Equal(got[:n], stored[:n]) {
		t.Errorf("%s holds\n%v, stored is\n%v", path, got, stored[:n])
	}
	return len(got)
}
