package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wakefuzz/campaign"
	"wakefuzz/capture"
	"wakefuzz/results"
	"wakefuzz/scan"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// examineScan makes the checks of a scan file. An error is that it is none.
func (d *doctor) examineScan(ctx context.Context) error {
	spec, err := readScan(d.file)
	if err != nil {
		return err
	}
	d.begin = "scan"
	d.dir = firstOf(d.dir, filepath.Join("scans", spec.Name))
	d.spec = campaign.Spec{Voices: []tts.Voice{spec.Voice}, Bench: campaign.BenchSpec{Player: spec.Player}}
	plan := spec.Plan(wordlists.Common())

	d.checkClock()
	rounds := d.checkRounds(spec)
	for _, says := range texts(plan) {
		d.left = append(d.left, share{tts.Utterance{Text: says, Voice: spec.Voice}, 1})
	}
	if voices := d.checkVoices(ctx); voices != nil {
		d.checkClips(ctx, voices)
		voices.Close()
	}
	d.checkSounds(spec, plan)
	rate := 0.0
	if !d.running {
		d.checkPlayer()
		rate = d.checkNetwork(ctx, spec.Interface)
	}
	left, most := plan.Left(rounds)
	d.checkDisks(need{"scan", d.dir, "choose another folder with --dir", scanBytes(spec, most, rate), int64(2*most + 8)})
	if most > 0 {
		d.line("", "scan", fmt.Sprintf("%d rounds, about %s; with all probes repeated that some device may have reacted to, %s at most",
			left, rough(time.Duration(left)*spec.Pace.Round()), rough(time.Duration(most)*spec.Pace.Round())))
	}
	d.tellCosts()
	return nil
}

// texts are what is spoken, each once.
func texts(plan scan.Plan) (all []string) {
	for _, probe := range plan.Probes {
		if probe.Kind != scan.Sound {
			all = append(all, probe.Says...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// checkRounds looks at the scan that is in the folder, and returns what it has
// done.
func (d *doctor) checkRounds(spec scan.Spec) []scan.Round {
	const check, mend = "rounds", "choose another folder with --dir"
	folder, stored, err := scan.View(d.dir)
	switch {
	case errors.Is(err, scan.ErrNotFound):
		d.ok(check, "%s does not exist yet and will be made", d.dir)
		return nil
	case err == nil:
		err = d.sameScan(spec)(stored)
	}
	if err != nil {
		d.failWith(check, err, mend)
		return nil
	}
	rounds, err := folder.Rounds()
	held := results.Held(d.dir)
	switch {
	case err != nil:
		d.failWith(check, err, mend)
	case held != nil:
		d.running = true
		d.fail(check, "wait until it ends, or stop it with Ctrl-C", "process %d is at it in %s, with %d rounds stored; loudspeaker and network are not looked at", held.PID, d.dir, len(rounds))
	default:
		d.ok(check, "%s goes on: %d rounds are stored", d.dir, len(rounds))
	}
	return rounds
}

// checkSounds reads the sounds, and sees to it that there is time to watch what
// they draw, and what the clips do that there are.
func (d *doctor) checkSounds(spec scan.Spec, plan scan.Plan) {
	const check = "sounds"
	longest, which := time.Duration(0), ""
	for u, length := range d.clips.length {
		if length > longest || length == longest && u.Text < which {
			longest, which = length, u.Text
		}
	}
	read := 0
	for _, probe := range plan.Probes {
		if probe.Kind != scan.Sound {
			continue
		}
		clip, err := readSound(probe.Name)
		if err != nil {
			d.failWith(check, err, "16-bit PCM is what most programs write on request")
			continue
		}
		read++
		if length := clip.Duration(); length > longest {
			longest, which = length, probe.Name
		}
	}
	watch := spec.Judge.Rule.Watch()
	switch {
	case longest+watch > spec.Pace.Every:
		d.fail(check, "lengthen pace.every, take a shorter sound, or lower judge.calibrated.latency",
			"%q lasts %v and is watched for %v after that, but is played every %v", which, longest.Round(time.Millisecond), watch, spec.Pace.Every)
	case read > 0:
		d.ok(check, "%d can be read", read)
	}
}

// checkNetwork listens to what passes the interface, and returns how many packets
// that were in a second.
func (d *doctor) checkNetwork(ctx context.Context, iface string) (rate float64) {
	const check = "network"
	listening, cancel := context.WithTimeout(ctx, d.listen)
	defer cancel()
	l, ok := d.openCapture(listening, check, `see the key interface of the scan file; "ip link" lists those there are`, iface, capture.Address{})
	if !ok {
		return 0
	}
	defer l.Close()
	own := ownAddresses(iface)
	sent := map[capture.Address]int{}
	var err error
	packets, beyond := 0, false
	for err == nil {
		var p capture.Packet
		if p, err = l.Next(); err != nil || slices.Contains(own, p.Device) {
			continue
		}
		packets++
		beyond = beyond || isPublic(p.Peer)
		if p.Direction == capture.Outgoing {
			sent[p.Device]++
		}
	}
	dropped := l.Stats().Dropped
	rate = float64(packets) / d.listen.Seconds()
	known, failed := capture.Neighbours(iface)
	if failed != nil {
		known = nil // a hint less
	}
	list := strings.Join(mostActive(sent, known), ", ")
	switch {
	case ctx.Err() != nil:
	case !errors.Is(err, context.DeadlineExceeded):
		d.failWith(check, err, "see the key interface of the scan file")
	case dropped > 0:
		d.warn(check, "let the machine do less", "%d packets were dropped within %v", dropped, d.listen)
	case len(sent) == 0:
		d.fail(check, "see that the devices are on this network, and that this is the interface which their packets pass; or listen for longer: --listen 5m",
			"nobody but this machine sent anything on %s within %v", iface, d.listen)
	case !beyond:
		d.warn(check, "the interface must be the access point's, or one in monitor mode (docs/hardware.md), or what devices send to the Internet is not seen",
			"%d devices send on %s, but none to anybody outside of this network within %v: %s", len(sent), iface, d.listen, list)
	default:
		d.ok(check, "%d devices send on %s, with %.1f packets a second in all: %s", len(sent), iface, rate, list)
	}
	return rate
}

// isPublic says whether it is an address of the Internet.
func isPublic(a capture.Address) bool {
	ip, err := netip.ParseAddr(a.String())
	return err == nil && ip.IsGlobalUnicast() && !ip.IsPrivate()
}

// bytesPerPacket is what a packet's headers take in a capture file, with those of
// the file's own, rounded up.
const bytesPerPacket = 150

// scanBytes is what the rounds take at most: of a network that may be twice as
// busy then.
func scanBytes(spec scan.Spec, rounds int, rate float64) int64 {
	bytes := int64(2 * rate * bytesPerPacket * (time.Duration(rounds) * spec.Pace.Round()).Seconds())
	if limit := int64(spec.LimitMB) * 1e6; limit > 0 {
		bytes = min(bytes, limit)
	}
	return bytes + int64(rounds)*4096
}
