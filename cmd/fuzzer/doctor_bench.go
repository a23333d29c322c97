package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/capture"
	"wakefuzz/oracle/engine/pocketsphinx"
	"wakefuzz/oracle/engine/wyoming"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/light/rpio"
	"wakefuzz/oracle/traffic/live"
	"wakefuzz/playback"
	"wakefuzz/playback/speaker"
	"wakefuzz/scripts"
	"wakefuzz/tts"
)

// checkBench opens each part of the bench.
func (d *doctor) checkBench(ctx context.Context) {
	if !d.spec.Bench.Physical() {
		d.checkEngine(ctx)
		return
	}
	d.paceBy(usualLatency)
	d.checkPlayer()
	if d.spec.Bench.Light != nil {
		d.checkLight(ctx)
	}
	if d.spec.Bench.Traffic != nil {
		d.checkTraffic(ctx)
	}
}

// checkEngine loads the model, or asks the server that has it, and measures how
// fast it is with silence.
func (d *doctor) checkEngine(ctx context.Context) {
	engine := d.spec.Bench.Engine
	mend, serves := "make setup fetches models and runtime", false
	switch engine.Options.(type) {
	case *wyoming.Options:
		serves = true
		mend = "see that the server runs, and what it says; see the section bench.engine of the campaign file"
	case *pocketsphinx.Options:
		mend = "apt-get install libpocketsphinx3 pocketsphinx-en-us; see the section bench.engine of the campaign file"
	}
	b, err := d.openBench(ctx, d.spec)(0)
	if err != nil {
		d.failWith("engine", err, mend)
		d.partial = true
		return
	}
	defer func() { _ = b.Close() }() // it has told nothing that could be lost
	maps.Copy(d.facts, b.Facts)
	var others []string
	pinned, checked := assets(), 0
	for fact, sum := range b.Facts {
		file, isSum := strings.CutSuffix(fact, " sha256")
		if want, known := pinned[file]; isSum && known {
			checked++
			if !slices.Contains(want, sum) {
				others = append(others, file)
			}
		}
	}
	switch {
	case serves:
		d.ok("engine", "the server has the wake word: %s", strings.Join(slices.Sorted(maps.Values(b.Facts)), ", "))
	case len(others) > 0:
		slices.Sort(others)
		d.warn("engine", "unless it is meant to be so, fetch them anew: make setup", "%s works, but with files that are not those of set-up: %s",
			engine.Name, strings.Join(others, ", "))
	case checked > 0:
		d.ok("engine", "%s works, and its files are what they should be", engine.Name)
	default:
		d.ok("engine", "%s works", engine.Name)
	}
	clip := tts.Clip{Samples: make([]int16, tts.SampleRate)}
	took, err := playTime(ctx, b, clip)
	if err != nil {
		d.failWith("engine", err, mend)
		return
	}
	window := b.Oracles[0].Window()
	share := float64(took) / float64(clip.Duration()+window) / float64(workers(d.spec))
	d.pace = func(clip time.Duration) time.Duration { return time.Duration(share * float64(clip+window)) }
}

// playTime is how long a software bench takes to hear the clip: the mean of
// several plays, or of one that takes long.
func playTime(ctx context.Context, b *campaign.Bench, clip tts.Clip) (time.Duration, error) {
	const (
		most   = 5
		enough = time.Second
	)
	began, plays := time.Now(), time.Duration(0)
	for ; plays < most && time.Since(began) < enough; plays++ {
		sounding, err := b.Player.Play(ctx, playback.Cue{Clip: clip})
		if err != nil {
			return 0, err
		}
		watched := bench.Span{Start: sounding.Span.Start, End: sounding.Span.End.Add(b.Oracles[0].Window())}
		o, err := b.Oracles[0].Observe(ctx, watched)
		switch {
		case err != nil:
			return 0, err
		case o.Fault != bench.NoFault:
			return 0, errors.New(o.Detail)
		}
	}
	return time.Since(began) / plays, nil
}

// assets are the SHA-256 sums that the files which set-up fetches may have: the
// runtime's differ from machine to machine.
func assets() map[string][]string {
	sums := map[string][]string{}
	for lines := bufio.NewScanner(strings.NewReader(scripts.Assets)); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 5 && fields[0] != "#" {
			_, file, _ := strings.Cut(fields[3], "/")
			if file == "libonnxruntime.so.1" {
				file = "onnxruntime"
			}
			sums[file] = append(sums[file], fields[0])
		}
	}
	return sums
}

// overhead is what a play takes beyond the sound and its latency, the window
// and the rest: until the device wants samples, and the last packet was read.
// Against the virtual smart speaker it was 0.1 to 0.2 s.
const overhead = 150 * time.Millisecond

// usualLatency is that of a loudspeaker that is yet to be opened.
const usualLatency = 200 * time.Millisecond

// checkPlayer opens the loudspeaker, and plays silence on it.
func (d *doctor) checkPlayer() {
	o := d.spec.Bench.Player.Options.(*speaker.Options)
	s, err := speaker.New(*o, bench.NewClock())
	if err != nil {
		d.failWith("player", err, "fuzzer devices lists those there are")
		d.partial = true
		return
	}
	maps.Copy(d.facts, s.Facts())
	latency, within := s.Latency()
	text := fmt.Sprintf("%s takes sound, %v ahead, give or take %v", s.Device(), latency.Round(time.Millisecond), within.Round(time.Millisecond))
	if err := s.Close(); err != nil {
		d.failWith("player", err, "restart the sound system")
		return
	}
	if o.Device == "" {
		text += "; it is the system's default at the moment"
	}
	d.ok("player", "%s", text)
	d.paceBy(latency)
}

// paceBy reckons with plays of a loudspeaker of that latency.
func (d *doctor) paceBy(latency time.Duration) {
	var window time.Duration
	if d.spec.Bench.Light != nil {
		window = max(window, d.spec.Judge.Light.Watch())
	}
	if d.spec.Bench.Traffic != nil {
		window = max(window, d.spec.Judge.Traffic.Watch())
	}
	// The device may rest while it is watched.
	rest := max(d.spec.Bench.Settle.Quiet-window, 0)
	d.pace = func(clip time.Duration) time.Duration { return latency + clip + window + rest + overhead }
}

// lightLook is how long the light is looked at: a ring that pulses shows.
const lightLook = 2 * time.Second

// checkLight looks whether the sensor works, and the light is dark.
func (d *doctor) checkLight(ctx context.Context) {
	const check, where = "light", "see the section bench.light of the campaign file"
	looking, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	clock := bench.NewClock()
	recorder, err := openLight(looking, d.spec, clock)
	if err != nil {
		d.failWith(check, err, where)
		return
	}
	defer recorder.Close()
	start := clock.Now()
	o, err := recorder.Observe(looking, bench.Span{Start: start, End: start.Add(lightLook)})
	if err != nil {
		d.failWith(check, err, where)
		return
	}
	lit, changes := false, 0
	for _, e := range o.Edges {
		lit = e.Lit
		if e.At > start {
			changes++
		}
	}
	switch {
	case o.Fault != bench.NoFault:
		d.failWith(check, errors.New(o.Detail), where)
	case changes > 0:
		d.warn(check, "let the device come to rest, and try again; if it was at rest, turn the trimmer back a little and shade the sensor",
			"it changed %d times in %v, while nothing was played", changes, lightLook)
	case lit:
		d.fail(check, fmt.Sprintf("if the device's light is off: try polarity: %s, or see to trimmer, foil and wires", d.otherPolarity()),
			"it reads lit all the time: no play could be measured")
	default:
		d.ok(check, "%s reads dark", d.spec.Bench.Light.Name)
	}
}

// otherPolarity is the one that the spec doesn't have.
func (d *doctor) otherPolarity() light.Polarity {
	if d.spec.Bench.Light.Options.(wired).wiring() == light.ActiveHigh {
		return light.ActiveLow
	}
	return light.ActiveHigh
}

// checkTraffic looks whether the device's packets pass the interface.
func (d *doctor) checkTraffic(ctx context.Context) {
	const check, where = "traffic", "see the section bench.traffic of the campaign file"
	o := d.spec.Bench.Traffic.Options.(*live.Options)
	device, err := capture.ParseAddress(o.Device)
	if err != nil {
		d.failWith(check, err, "")
		return
	}
	listening, cancel := context.WithTimeout(ctx, d.listen)
	defer cancel()
	l, ok := d.openCapture(listening, check, where, o.Interface, device)
	if !ok {
		return
	}
	defer l.Close()
	if l.Link() != capture.LinkRadiotap {
		d.checkOffloads(o.Interface)
	}
	own := ownAddresses(o.Interface)
	if slices.Contains(own, device) {
		d.fail(check, "give the device's address instead; iw dev "+o.Interface+" station dump lists what has joined",
			"%s is the address of %s itself", device, o.Interface)
		return
	}

	others := make(chan map[capture.Address]int, 1)
	go func() { others <- senders(listening, o.Interface) }()
	began := time.Now()
	sent, got := 0, 0
	for sent == 0 && err == nil {
		var p capture.Packet
		switch p, err = l.Next(); {
		case err != nil:
		case p.Direction == capture.Outgoing:
			sent++
		default:
			got++
		}
	}
	heard := time.Since(began)
	dropped := l.Stats().Dropped
	cancel()
	seen := <-others
	switch {
	case ctx.Err() != nil:
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		d.failWith(check, err, where)
	case dropped > 0:
		d.warn(check, "let the machine do less", "%d of the device's packets were dropped within %v", dropped, heard.Round(time.Second))
	case sent > 0:
		d.ok(check, "%s sends, seen on %s after %v", device, o.Interface, heard.Round(time.Millisecond))
	default:
		d.unseen(o.Interface, device, got, seen, own)
	}
}

// openCapture begins to capture, or reports why that can't be.
func (d *doctor) openCapture(ctx context.Context, check, where, iface string, device capture.Address) (*capture.Live, bool) {
	l, err := capture.Listen(ctx, iface, device, capture.KeepHeaders)
	switch {
	case errors.Is(err, fs.ErrPermission):
		d.fail(check, "give the program the right: "+d.setcap(), "this program may not capture on %s", iface)
	case err != nil:
		d.failWith(check, err, where)
	}
	return l, err == nil
}

// senders counts the packets that each device on the interface sends until ctx
// ends, or the interface fails.
func senders(ctx context.Context, iface string) map[capture.Address]int {
	seen := map[capture.Address]int{}
	l, err := capture.Listen(ctx, iface, capture.Address{}, capture.KeepHeaders)
	if err != nil {
		return seen
	}
	defer l.Close()
	for {
		switch p, err := l.Next(); {
		case err != nil:
			return seen
		case p.Direction == capture.Outgoing:
			seen[p.Device]++
		}
	}
}

// unseen reports a device that sent nothing, which a device under a wrong
// address never does.
func (d *doctor) unseen(iface string, device capture.Address, got int, seen map[capture.Address]int, own []capture.Address) {
	const check = "traffic"
	what := fmt.Sprintf("%s sent nothing on %s within %v", device, iface, d.listen)
	if got > 0 {
		what += fmt.Sprintf(", though %d packets went to it", got)
	}
	known, err := capture.Neighbours(iface)
	if err != nil {
		known = nil // a hint less
	}
	for ip, mac := range known {
		if device == mac || device == ip {
			d.warn(check, "say its wake word meanwhile, or listen for longer: --listen 1m",
				"%s; but this machine knows it, as %s, %s", what, ip, mac)
			return
		}
	}
	for _, mac := range own {
		delete(seen, mac)
	}
	if len(seen) == 0 {
		d.fail(check, "see that the device is on this network, and that this is the interface which its packets pass; say its wake word meanwhile, or listen for longer: --listen 1m",
			"%s, and nor did anybody else", what)
		return
	}
	d.fail(check, "if it is one of these, put its address into bench.traffic.device: "+strings.Join(mostActive(seen, known), ", ")+"\nelse say its wake word meanwhile, or listen for longer: --listen 1m",
		"%s", what)
}

// mostActive lists who sent the most, with how many packets that were.
func mostActive(sent map[capture.Address]int, known map[capture.Address]capture.Address) (list []string) {
	const listed = 8
	most := slices.SortedFunc(maps.Keys(sent), func(a, b capture.Address) int {
		return cmp.Or(sent[b]-sent[a], cmp.Compare(a.String(), b.String()))
	})
	for _, mac := range most[:min(len(most), listed)] {
		entry := fmt.Sprintf("%s (%d)", mac, sent[mac])
		for ip, hw := range known {
			if hw == mac {
				entry = fmt.Sprintf("%s, which is %s (%d)", mac, ip, sent[mac])
			}
		}
		list = append(list, entry)
	}
	if n := len(most) - listed; n > 0 {
		list = append(list, fmt.Sprintf("%d more", n))
	}
	return list
}

// checkOffloads looks for what shows several packets as one.
func (d *doctor) checkOffloads(iface string) {
	on, err := capture.Offloads(iface)
	switch {
	case err != nil:
		d.failWith("offloads", err, "")
	case len(on) > 0:
		mend := "sudo ethtool -K " + iface
		for _, name := range on {
			mend += " " + name + " off"
		}
		d.warn("offloads", mend, "%s of %s may show several packets as one: sums of bytes stay right, numbers of packets don't", strings.Join(on, ", "), iface)
	default:
		d.ok("offloads", "off on %s", iface)
	}
}

// setcap is the command that gives this program its rights.
func (d *doctor) setcap() string {
	program, err := os.Executable()
	if err != nil {
		program = "PROGRAM"
	}
	rights := "cap_net_raw"
	if l := d.spec.Bench.Light; l != nil {
		if _, ok := l.Options.(*sensor[rpio.Options]); ok {
			rights += ",cap_sys_nice"
		}
	}
	return fmt.Sprintf("sudo setcap %s+ep %s", rights, program)
}

// ownAddresses are the addresses of the interface itself.
func ownAddresses(iface string) []capture.Address {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil
	}
	texts := []string{ifi.HardwareAddr.String()}
	addresses, _ := ifi.Addrs() // fewer, then
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok {
			texts = append(texts, ip.IP.String())
		}
	}
	var own []capture.Address
	for _, text := range texts {
		if a, err := capture.ParseAddress(text); err == nil {
			own = append(own, a)
		}
	}
	return own
}
