package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"wakefuzz/internal/host"
	"wakefuzz/oracle/traffic/live"
	"wakefuzz/playback/speaker"
	"wakefuzz/tts"
)

// checkVoices makes sure that each voice is there, and opens those that are.
func (d *doctor) checkVoices(ctx context.Context) *voicebox {
	var there []tts.Voice
	for _, v := range d.spec.Voices {
		asking, cancel := context.WithTimeout(ctx, answerWithin)
		box, err := d.openSpeaker(asking, []tts.Voice{v}, d.complain)
		cancel()
		if err != nil {
			d.failWith("voice", fmt.Errorf("%s: %w", v, err), "")
			d.mute, d.partial = append(d.mute, v), true
			continue
		}
		box.Close()
		d.ok("voice", "%s", v)
		there = append(there, v)
	}
	if len(there) == 0 {
		return nil
	}
	box, err := d.openSpeaker(ctx, there, d.complain)
	if err != nil {
		d.failWith("voice", err, "")
		return nil
	}
	facts, err := box.Facts(ctx)
	if err != nil {
		d.failWith("voice", err, "")
		d.partial = true
	}
	for key, value := range facts {
		d.facts[key] = value
	}
	return box
}

// clipSizes are how long the clips are that the cache has.
type clipSizes struct {
	length map[tts.Utterance]time.Duration
	total  time.Duration
}

// What a clip is taken for while none is there to measure. Words of the CMU
// dictionary of 5 and 6 phonemes in flite's kal16 are 0.75 s on the average.
const usualClip = 750 * time.Millisecond

// mean is the mean length of the clips.
func (c clipSizes) mean() time.Duration {
	if len(c.length) == 0 {
		return usualClip
	}
	return c.total / time.Duration(len(c.length))
}

// of is the length of the utterance's clip, as far as it is known.
func (c clipSizes) of(u tts.Utterance) time.Duration {
	if length, known := c.length[u]; known {
		return length
	}
	return c.mean()
}

// checkClips looks which clips there are and, for a loudspeaker, which of them
// can't be brought to the level of the others.
func (d *doctor) checkClips(ctx context.Context, box *voicebox) {
	d.clips.length = map[tts.Utterance]time.Duration{}
	var all []tts.Utterance
	for _, s := range d.left {
		if _, seen := d.clips.length[s.utterance]; !seen && box.engines[s.utterance.Voice.Engine] != nil {
			d.clips.length[s.utterance] = 0
			all = append(all, s.utterance)
		}
	}
	clear(d.clips.length)
	var loudness level
	if d.spec.Bench.Physical() {
		loudness.options = *d.spec.Bench.Player.Options.(*speaker.Options)
	}
	stock, err := box.takeStock(ctx, all, func(u tts.Utterance, c tts.Clip) {
		d.clips.length[u] = c.Duration()
		d.clips.total += c.Duration()
		if d.spec.Bench.Physical() {
			loudness.add(u, c)
		}
	})
	if err != nil {
		d.failWith("clips", err, "")
		return
	}
	d.stock = stock
	switch {
	case d.begin == "run" && len(stock.missing) > 0 && (d.spec.Bench.Physical() || len(stock.billed) > 0):
		d.warn("clips", "make them ahead of time: fuzzer synth "+d.file, "%s", stock)
	default:
		d.ok("clips", "%s", stock)
	}
	if d.spec.Bench.Physical() && len(d.clips.length) > 0 {
		loudness.report(d)
	}
}

// level is what the loudspeaker's peak ceiling does to the clips.
type level struct {
	options speaker.Options
	held    int
	worst   tts.Utterance
	short   float64 // of the level, in decibels, of the worst
}

func (l *level) add(u tts.Utterance, c tts.Clip) {
	gain, held := l.options.Gain(c)
	if !held {
		return
	}
	free := l.options
	free.PeakDBFS = math.Inf(1)
	wanted, _ := free.Gain(c)
	if l.held++; wanted-gain > l.short {
		l.short, l.worst = wanted-gain, u
	}
}

func (l *level) report(d *doctor) {
	const knobs = "the knobs of system and amplifier can't be read"
	if l.held == 0 {
		d.ok("level", "all clips can sound at %g dBFS (%s)", l.options.LevelDBFS, knobs)
		return
	}
	all := math.Floor(l.options.LevelDBFS - l.short)
	d.warn("level", fmt.Sprintf("level_dbfs: %g in the section player would bring all clips to one level; turn the amplifier up instead", all),
		"%d of %d clips stay below %g dBFS, since their peaks reach %g dBFS: the quietest, %q by %s, by %.1f dB",
		l.held, len(d.clips.length), l.options.LevelDBFS, l.options.PeakDBFS, l.worst.Text, l.worst.Voice, l.short)
}

// What a campaign adds to its folder. A play of a software bench takes 340
// bytes (docs/benchmarks.md), and one with hardware as much; packets take 6
// bytes each. A device is taken to send ten a second. All that twice over,
// since the store takes its room in steps. The evidence of a reaction is 15 kB
// (docs/hardware.md), or with what the packets carried as much as was uploaded;
// to be safe, every play is taken to react.
const (
	bytesPerPlay     = 2 * 350
	bytesPerSecond   = 2 * 10 * 6
	smallestStore    = 256 << 10
	bytesPerEvidence = 15e3
	bytesPerUpload   = 150e3
)

// need is what will be written to a folder.
type need struct {
	name, folder, mend string
	bytes, files       int64
}

func (d *doctor) campaignNeeds() need {
	evidence, files := d.evidence()
	return need{"campaign", d.dir, "choose another folder with --dir", d.storeBytes() + evidence, files + 8}
}

// checkDisks makes sure that there is room for what will be written: that, and
// the missing clips.
func (d *doctor) checkDisks(run need) {
	needs := []need{run, {"clips", d.config.Cache, "choose another folder with the key cache of the configuration", d.cacheBytes(), int64(len(d.stock.missing))}}
	taken := map[uint64]host.Disk{} // by those before
	for _, n := range needs {
		check := "disk"
		disk, err := host.DiskOf(n.folder)
		if err == nil {
			err = disk.Usable()
		}
		if err != nil {
			d.fail(check, n.mend, "%s: %v", n.name, err)
			continue
		}
		before := taken[disk.Device]
		bytes, files := n.bytes+before.Bytes, n.files+before.Files
		taken[disk.Device] = host.Disk{Bytes: bytes, Files: files}
		switch {
		case bytes > disk.Bytes:
			d.fail(check, "make room there, or "+n.mend, "%s: %s has room for %s, and up to %s may be needed", n.name, disk.Folder, size(disk.Bytes), size(bytes))
		case disk.Files >= 0 && files > disk.Files:
			d.fail(check, "remove files there, or "+n.mend, "%s: %s has room for %d more files, and %d are needed", n.name, disk.Folder, disk.Files, files)
		default:
			d.ok(check, "%s: %s has room for %s, and up to %s may be needed", n.name, disk.Folder, size(disk.Bytes), size(bytes))
		}
	}
}

func (d *doctor) storeBytes() int64 {
	plays, length := d.night()
	bytes := int64(plays)*bytesPerPlay + smallestStore
	if d.spec.Bench.Traffic != nil {
		bytes += int64(length.Seconds()) * bytesPerSecond
	}
	return bytes
}

// evidence is what the files of packets take at most.
func (d *doctor) evidence() (bytes, files int64) {
	if d.spec.Bench.Traffic == nil || d.spec.Evidence.LimitMB == 0 {
		return 0, 0
	}
	each := int64(bytesPerEvidence)
	if d.spec.Bench.Traffic.Options.(*live.Options).Payload {
		each = bytesPerUpload
	}
	plays, _ := d.night()
	return min(int64(plays)*each, int64(d.spec.Evidence.LimitMB)*1e6), int64(plays)
}

// cacheBytes is what the missing clips take, in whole blocks.
func (d *doctor) cacheBytes() int64 {
	const block = 4096
	samples := int64(d.clips.mean().Seconds() * tts.SampleRate)
	return int64(len(d.stock.missing)) * (2*samples/block + 2) * block
}

// size is a number of bytes as people read it.
func size(bytes int64) string {
	switch {
	case bytes >= 10e9:
		return fmt.Sprintf("%d GB", bytes/1e9)
	case bytes >= 1e6:
		return fmt.Sprintf("%d MB", bytes/1e6)
	default:
		return fmt.Sprintf("%d kB", bytes/1e3)
	}
}

// night is how many plays are left and how long they take: 0 where no bench
// could be opened.
func (d *doctor) night() (plays int, length time.Duration) {
	fixed := d.spec.Protocol.Pace
	for _, s := range d.left {
		plays += s.plays
		switch {
		case fixed.Fixed(): // a share is a trial
			length += fixed.Trial()
		case d.pace != nil:
			length += time.Duration(s.plays) * d.pace(d.clips.of(s.utterance))
		}
	}
	return plays, length
}

// tellNight says how long the campaign will take, and what it costs.
func (d *doctor) tellNight() {
	plays, length := d.night()
	if plays == 0 {
		return
	}
	if d.expected != "" {
		d.line("", "night", d.expected)
		d.tellCosts()
		return
	}
	text := fmt.Sprintf("%d plays", plays)
	if d.pace != nil {
		text += fmt.Sprintf(", about %s; begun now, it ends at about %s", rough(length), date(time.Now().Add(length)))
	}
	if d.spec.Bench.Physical() && !d.spec.Protocol.Pace.Fixed() {
		text += "\nand later by some seconds for each reaction, until the device is at rest again"
	}
	d.line("", "night", text)
	d.tellCosts()
}

// tellCosts says what the clips cost that are yet to be made.
func (d *doctor) tellCosts() {
	if len(d.mute) == 0 || len(d.stock.billed) > 0 {
		for _, line := range d.costs(d.stock) {
			d.line("", "cost", line)
		}
	}
	for _, v := range d.mute {
		d.line("", "cost", fmt.Sprintf("%s: not known, while it can't be asked", v))
	}
}
