package calibration

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
)

// How the lowest level is searched for: in steps of a grid that the spec's
// level is on, by halving, and down to LowestDBFS. A level is heard where each
// of LevelPlays plays woke the device.
const (
	LevelStep  = 3   // dB
	LowestDBFS = -50 // far below any speech in a room
	LevelPlays = 3
)

const (
	// margin is by how many dB the level is to lie above the lowest that is
	// heard.
	margin = 9
	// spare is by how much a limit is to lie beyond what was measured.
	spare = 1.5
	// contrast is how many times faster an upload has to be than what is none,
	// so that a rate in between is spare from both.
	contrast = spare * spare
	// enough is how many reactions a suggestion needs.
	enough = 3
)

// Suggestion is a value of the spec, as it is and as it had better be, which
// may be the same.
type Suggestion struct {
	Key string `json:"key"`
	Old string `json:"old"`
	New string `json:"new"`
	Why string `json:"why"`
}

// Level is what became of a level.
type Level struct {
	DBFS  float64 `json:"dbfs"`
	Plays int     `json:"plays"`
	Woke  int     `json:"woke"`
}

// Report is what a session measured, and what follows from it.
type Report struct {
	// Light and Traffic are what the device did in silence, nil where nothing
	// watches.
	Light   *LightAtRest   `json:"light_at_rest,omitempty"`
	Traffic *TrafficAtRest `json:"traffic_at_rest,omitempty"`
	// Levels are those tried, from low to high.
	Levels []Level `json:"levels,omitempty"`
	// LevelDBFS is that of Plays, which are what each oracle saw, by its name.
	LevelDBFS   float64               `json:"level_dbfs"`
	Plays       []map[string]Reaction `json:"plays,omitempty"`
	Suggestions []Suggestion          `json:"suggestions"`
	// Problems are what could not be measured, and what to do about it.
	Problems []string `json:"problems"`
}

// grid is where the search for the lowest level stands: levels are counted in
// steps from the first. All from hi up that were tried were heard, lo was not,
// and both may lie one step beyond what can be tried.
type grid struct {
	first      float64
	from, to   int // that can be tried
	lo, hi     int
	triedFirst bool
}

func (r Record) grid(silence rest) grid {
	g := grid{first: min(r.Began.LevelDBFS, r.Highest)}
	g.from = int(math.Ceil((min(LowestDBFS, g.first) - g.first) / LevelStep))
	g.to = int(math.Floor((r.Highest - g.first) / LevelStep))
	g.lo, g.hi = g.from-1, g.to+1
	for _, s := range r.Steps {
		n := int(math.Round((s.LevelDBFS - g.first) / LevelStep))
		g.triedFirst = g.triedFirst || n == 0
		if silence.heard(s.Plays) {
			g.hi = min(g.hi, n)
		} else {
			g.lo = max(g.lo, n)
		}
	}
	return g
}

// nextLevel is the level to try next, if one is left.
func (r Record) nextLevel(silence rest) (level float64, more bool) {
	g := r.grid(silence)
	n := 0
	if g.triedFirst {
		n = g.lo + (g.hi-g.lo)/2
	}
	return g.first + LevelStep*float64(n), !g.triedFirst || g.hi-g.lo > 1
}

// lowest is the lowest level at which, and at all above it, the wake word was
// heard.
func (r Record) lowest(silence rest) (level float64, heard bool) {
	g := r.grid(silence)
	return g.first + LevelStep*float64(g.hi), len(r.Steps) > 0 && g.hi <= g.to
}

// level is the level to speak at.
func (r Record) level(silence rest) (level float64, heard bool) {
	lowest, heard := r.lowest(silence)
	if r.Began.LevelDBFS >= lowest+margin {
		return r.Began.LevelDBFS, heard
	}
	return max(r.Began.LevelDBFS, min(lowest+margin, math.Floor(r.Highest))), heard
}

// Report judges what was observed.
func (r Record) Report() Report {
	silence := r.rest()
	report := Report{
		Light: silence.light, Traffic: silence.traffic, LevelDBFS: r.Used.LevelDBFS,
		Suggestions: []Suggestion{}, Problems: []string{},
	}
	if r.Trouble != "" {
		report.problem("%s", r.Trouble)
	}
	for _, s := range r.Steps {
		l := Level{DBFS: s.LevelDBFS, Plays: len(s.Plays)}
		for _, p := range s.Plays {
			if silence.woke(p) {
				l.Woke++
			}
		}
		report.Levels = append(report.Levels, l)
	}
	slices.SortFunc(report.Levels, func(a, b Level) int { return int(a.DBFS - b.DBFS) })
	for _, p := range r.Plays {
		report.Plays = append(report.Plays, silence.reactions(p))
	}
	if report.Light != nil {
		r.suggestLight(&report)
	}
	if report.Traffic != nil {
		r.suggestTraffic(&report)
	}
	r.suggestLevel(&report, silence)
	return report
}

func (t *Report) problem(format string, args ...any) {
	t.Problems = append(t.Problems, fmt.Sprintf(format, args...))
}

func (t *Report) suggest(key, old, suggested, format string, args ...any) {
	t.Suggestions = append(t.Suggestions, Suggestion{Key: key, Old: old, New: suggested, Why: fmt.Sprintf(format, args...)})
}

// Saw are the reactions that an oracle saw.
func (t Report) Saw(oracle string) (reactions []Reaction) {
	for _, play := range t.Plays {
		if re := play[oracle]; re.State == bench.Reacted {
			reactions = append(reactions, re)
		}
	}
	return reactions
}

// sufficient says whether so many reactions of so many plays allow for a
// suggestion.
func sufficient(reactions, plays int) bool { return reactions >= enough && 2*reactions >= plays }

// longest is the longest of something about reactions.
func longest(reactions []Reaction, of func(Reaction) time.Duration) (d time.Duration) {
	for i, re := range reactions {
		if d = max(d, of(re)); i == 0 {
			d = of(re)
		}
	}
	return d
}

// up rounds a duration up to a whole number of units.
func up(d, unit time.Duration) time.Duration { return (d + unit - 1) / unit * unit }

// spared is the limit for something that took so long.
func spared(d, unit time.Duration) time.Duration {
	return up(time.Duration(spare*float64(d)), unit)
}

// atLeast keeps a value that is large enough.
func (t *Report) atLeast(key string, old, least time.Duration, format string, args ...any) {
	t.suggest(key, old.String(), max(old, least).String(), format, args...)
}

func (r Record) suggestLight(t *Report) {
	rest := *t.Light
	if rest.Problem != "" {
		t.problem("light: nothing was seen of it in silence: %s", rest.Problem)
		return
	}
	seen := t.Saw(light.Name)
	if len(t.Plays) > 0 && !sufficient(len(seen), len(t.Plays)) {
		switch {
		case rest.Inverted:
			t.problem("light: it read lit for %.0f %% of the silence, and came on for %d of %d wake words under the other polarity: look at the wire, the foil and the trimmer", 100*rest.Lit, len(seen), len(t.Plays))
		case t.othersSaw(light.Name):
			t.problem("light: it came on for %d of %d wake words, though the device sent as it does when woken: look at where the sensor sits, and at its trimmer", len(seen), len(t.Plays))
		default:
			t.problem("light: could not be measured: it came on for %d of %d wake words", len(seen), len(t.Plays))
		}
		return
	}
	if len(seen) == 0 {
		return // nothing was played
	}
	old := r.Began.Polarity
	if rest.Inverted {
		t.suggest("bench.light.polarity", string(old), string(other(old)), "lit for %.0f %% of the silence; the other way round it shows %d of %d wakes", 100*rest.Lit, len(seen), len(t.Plays))
	} else {
		t.suggest("bench.light.polarity", string(old), string(old), "dark in silence, lit in %d of %d wakes", len(seen), len(t.Plays))
	}

	rule := r.Began.Light
	latest := longest(seen, func(re Reaction) time.Duration { return re.Latency })
	t.atLeast("judge.light.window", rule.Window, max(light.PaperWindow, spared(latest, 500*time.Millisecond)),
		"the latest came %.2f s after the word", latest.Seconds())
	trembling := longest(seen, func(re Reaction) time.Duration { return re.Chatter })
	debounce := max(rule.Debounce, up(2*trembling, 5*time.Millisecond))
	t.suggest("judge.light.debounce", rule.Debounce.String(), debounce.String(), "the longest chatter was %v", trembling.Round(time.Millisecond))
	gap := longest(seen, func(re Reaction) time.Duration { return re.Gap })
	t.atLeast("judge.light.hold_over", rule.HoldOver, min(light.Lookback, max(debounce, spared(gap, 100*time.Millisecond))),
		"the longest gap in a reaction was %v", gap.Round(time.Millisecond))

	shortest := -longest(seen, func(re Reaction) time.Duration { return -re.Stretch })
	least, most := spared(rest.Flash, 5*time.Millisecond), shortest/2/(5*time.Millisecond)*(5*time.Millisecond)
	if least > most {
		t.problem("light: it was lit for %v in silence and for no longer than %v at a stretch in a reaction, too alike to be told apart: look at the foil and the trimmer",
			rest.Flash.Round(time.Millisecond), shortest.Round(time.Millisecond))
		return
	}
	t.suggest("judge.light.min_lit", rule.MinLit.String(), min(max(rule.MinLit, least), most).String(),
		"lit for %v at a stretch or longer when woken, for %v at most in silence", shortest.Round(10*time.Millisecond), rest.Flash.Round(time.Millisecond))
}

// othersSaw says whether another oracle saw enough.
func (t Report) othersSaw(oracle string) bool {
	for _, name := range []string{light.Name, traffic.Name} {
		if name != oracle && sufficient(len(t.Saw(name)), len(t.Plays)) {
			return true
		}
	}
	return false
}

func (r Record) suggestTraffic(t *Report) {
	rest := *t.Traffic
	if rest.Problem != "" {
		t.problem("traffic: nothing was seen of it in silence: %s", rest.Problem)
		return
	}
	sent, any := rest.Outgoing, rest.Packets
	for _, p := range slices.Concat(r.Plays, concat(r.Steps)) {
		o, _ := p.by(traffic.Name)
		any += len(o.Packets)
		sent += int(min(payload(o.Packets, o.Watched), 1))
	}
	seen := t.Saw(traffic.Name)
	switch {
	case any == 0:
		t.problem("traffic: no packets of the device at all: check bench.traffic.device (its MAC) and interface, and that the device is on that network")
		return
	case sent == 0:
		t.problem("traffic: packets to the device, but none that it sent: check that all its packets pass bench.traffic.interface")
		return
	case len(t.Plays) == 0:
		return
	case !sufficient(len(seen), len(t.Plays)) && t.othersSaw(traffic.Name):
		t.problem("traffic: it uploaded after %d of %d wake words, though its light came on: check bench.traffic.device and interface, and the way to the Internet", len(seen), len(t.Plays))
		return
	case !sufficient(len(seen), len(t.Plays)):
		t.problem("traffic: could not be measured: an upload followed %d of %d wake words", len(seen), len(t.Plays))
		return
	}

	if r.Began.Traffic.Detector == campaign.DetectorCalibrated {
		r.suggestCalibrated(t, seen)
		return
	}
	rule := r.Began.Traffic.Burst
	slowest := func(n int) float64 {
		rate := math.Inf(1)
		for _, re := range seen {
			rate = min(rate, re.rows[n])
		}
		return rate
	}
	idle := func(n int) float64 { return max(rest.rows[n], rest.Busy, 1) }
	n := 0
	for _, k := range []int{rule.Consecutive, 3, 4, 5, 6, 7, 8, 2} {
		if k <= longestRow && slowest(k) >= max(leastUpload, contrast*idle(k)) {
			n = k
			break
		}
	}
	if n == 0 {
		t.problem("traffic: uploads were no faster than %.1f kbit/s in 3 windows of %v, the idle device as fast as %.1f: they can't be told apart", slowest(3), rule.Window, idle(3))
		return
	}
	fitting := rule
	fitting.Consecutive = n
	if rule.Rate < spare*idle(n) || rule.Rate > slowest(n)/spare {
		fitting.Rate = round(math.Sqrt(idle(n) * slowest(n)))
	}
	var latest time.Duration
	for i, p := range r.Plays {
		o, _ := p.by(traffic.Name)
		if t.Plays[i][traffic.Name].State == bench.Reacted {
			latest = max(latest, uploaded(p, o, fitting).Latency)
		}
	}
	t.suggest("judge.traffic.rate", number(rule.Rate), number(fitting.Rate),
		"in %d windows uploads had %.0f kbit/s or more, the idle device %.1f at most; 19 of 20 idle windows had up to %.1f", n, slowest(n), rest.rows[n], rest.Busy)
	t.suggest("judge.traffic.consecutive", strconv.Itoa(rule.Consecutive), strconv.Itoa(n), "as many windows of %v in a row are in every upload, and none idle", rule.Window)
	t.atLeast("judge.traffic.latency", rule.Latency, max(light.PaperWindow, spared(latest, 500*time.Millisecond)),
		"the latest upload began %.2f s after the word", latest.Seconds())
}

// suggestCalibrated is what is suggested for the calibrated detector, which saw
// these reactions. It has no rate to be set, so what it can't cope with is said.
func (r Record) suggestCalibrated(t *Report, seen []Reaction) {
	rule, rest := r.Began.Traffic.Calibrated, *t.Traffic
	found := 0
	for i, p := range r.Plays {
		o, _ := p.by(traffic.Name)
		rule := rule
		rule.Latency = max(o.Watched.End.Sub(p.Sound.End)-traffic.PacedWindow, 0)
		if reading, _ := rule.Judge(p.Sound, o, nil); reading.State == bench.Reacted && t.Plays[i][traffic.Name].State == bench.Reacted {
			found++
		}
	}
	const otherwise = "write judge.traffic.detector: burst, and calibrate again, which finds a rule for such a device"
	switch limit := r.Began.Traffic.Burst.Rate; {
	case rest.Busy >= limit:
		t.problem("traffic: the idle device sends up to %.1f kbit/s, and plays would wait until it sends less than %g: %s", rest.Busy, limit, otherwise)
	case !sufficient(found, len(seen)):
		t.problem("traffic: of %d uploads only %d are as large as the calibrated detector takes speech to be: %s", len(seen), found, otherwise)
	default:
		latest := longest(seen, func(re Reaction) time.Duration { return re.Latency })
		t.atLeast("judge.traffic.latency", rule.Latency, max(light.PaperWindow, spared(latest, 500*time.Millisecond)),
			"the latest upload began %.2f s after the word", latest.Seconds())
	}
}

func concat(steps []Step) (plays []Play) {
	for _, s := range steps {
		plays = append(plays, s.Plays...)
	}
	return plays
}

func (r Record) suggestLevel(t *Report, silence rest) {
	lowest, heard := r.lowest(silence)
	switch {
	case len(r.Steps) == 0, r.Trouble != "":
		return
	case !heard:
		t.problem("level: no level up to %g dBFS woke the device in each of %d plays: turn the amplifier up or come closer, and see that the device is not muted, listens for this word, and is watched at all", t.Levels[len(t.Levels)-1].DBFS, LevelPlays)
		return
	}
	level, _ := r.level(silence)
	const key = "bench.player.level_dbfs"
	old := number(r.Began.LevelDBFS)
	switch {
	case level < lowest+margin:
		t.suggest(key, old, number(level), "heard at %g dBFS, %g dB below what the ceiling on peaks allows; turn the amplifier up by %g dB", lowest, level-lowest, lowest+margin-level)
	case lowest-LevelStep < LowestDBFS:
		t.suggest(key, old, number(level), "heard even at %g dBFS, the lowest tried; at least %d dB above that", lowest, margin)
	default:
		t.suggest(key, old, number(level), "heard down to %g dBFS; at least %d dB above that", lowest, margin)
	}
}

// number is a number as YAML.
func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
