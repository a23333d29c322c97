package campaign_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/internal/fakebench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
	"wakefuzz/playback"
	"wakefuzz/results"
	"wakefuzz/tts"
)

const pacedSpec = `
name: paced
wake_word: alexa
voices:
  - {engine: flite, name: kal16}
bench:
  player: {driver: speaker}
  light: {driver: lamp}
  traffic: {driver: tap}
protocol:
  plays: 10
  pace: {kind: fixed}
`

const (
	rest    = 10 * time.Second
	stretch = time.Minute
	slot    = 6 * time.Second
	// trialTime is what a trial takes: 130 s.
	trialTime = rest + 2*stretch
)

// home is a device in a room: it lights up and uploads when it wakes, chatters
// all the time, and takes its time for all of it.
type home struct {
	fakebench.Bench
	began time.Time
	// glow is how long its light stays on.
	glow time.Duration
	// play and capture say what goes wrong in the n-th play, from 1.
	play    func(n int) (playback.Sounding, error)
	capture func(n int) bench.Fault
	deaf    func(n int) bool
	played  int
	woken   []bench.Instant // when it lit up
	from    bench.Instant   // what it sent before is stored
}

func (h *home) now() bench.Instant { return bench.Instant(time.Since(h.began)) }

func (h *home) open(int) (*campaign.Bench, error) {
	h.began, h.woken, h.from = time.Now(), nil, 0
	return &campaign.Bench{
		Player: h, Oracles: []oracle.Oracle{ring{h}, tap{h}}, Now: h.now, Observed: h.observed,
		Settle: func(context.Context, campaign.SettleSpec) (string, error) { return "", nil },
		Close:  func() error { return nil },
	}, nil
}

func (h *home) sleep(ctx context.Context, until bench.Instant) error {
	select {
	case <-time.After(until.Sub(h.now())):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *home) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	h.played++
	if h.play != nil {
		if s, err := h.play(h.played); err != nil || s.Fault != bench.NoFault {
			return s, err
		}
	}
	start := h.now().Add(50 * time.Millisecond)
	span := bench.Span{Start: start, End: start.Add(cue.Clip.Duration())}
	virtual, _ := h.Bench.Play(ctx, cue)
	o, _ := h.Bench.Observe(ctx, bench.Span{Start: virtual.Span.Start, End: virtual.Span.End.Add(time.Second)})
	if slices.Max(o.Scores.Values) > 0.5 && (h.deaf == nil || !h.deaf(h.played)) {
		h.woken = append(h.woken, span.End.Add(300*time.Millisecond))
	}
	return playback.Sounding{Span: span}, h.sleep(ctx, span.End)
}

// ring is the home's light.
type ring struct{ *home }

func (ring) Name() string { return light.Name }

func (ring) Window() time.Duration { return light.DefaultRule().Watch() }

func (r ring) Observe(ctx context.Context, watched bench.Span) (bench.Observation, error) {
	o := bench.Observation{Oracle: light.Name, Watched: watched, Edges: []bench.Edge{{At: watched.Start}}}
	for _, on := range r.woken {
		off := on.Add(r.glow)
		switch {
		case on <= watched.Start && watched.Start < off:
			o.Edges[0].Lit = true
		case on > watched.Start && on < watched.End:
			o.Edges = append(o.Edges, bench.Edge{At: on, Lit: true})
		}
		if off > watched.Start && off < watched.End {
			o.Edges = append(o.Edges, bench.Edge{At: off})
		}
	}
	return o, r.sleep(ctx, watched.End)
}

// tap is the home's traffic.
type tap struct{ *home }

func (tap) Name() string { return traffic.Name }

func (tap) Window() time.Duration { return traffic.DefaultBurstRule().Watch() }

func (t tap) Observe(ctx context.Context, watched bench.Span) (bench.Observation, error) {
	err := t.sleep(ctx, watched.End.Add(100*time.Millisecond))
	if t.capture != nil && t.capture(t.played) != bench.NoFault {
		return bench.Observation{Oracle: traffic.Name, Fault: t.capture(t.played), Detail: "the cable broke"}, err
	}
	return bench.Observation{Oracle: traffic.Name, Watched: watched, Packets: t.packets(watched)}, err
}

// packets are what it sends in the span: chatter twice a second, and uploads.
func (h *home) packets(span bench.Span) []bench.Packet {
	var sent []bench.Packet
	add := func(at bench.Instant, payload int32) {
		if at >= span.Start && at < span.End {
			sent = append(sent, bench.Packet{At: at, Size: payload + 66, Payload: payload, Direction: bench.Outgoing})
		}
	}
	for n := span.Start / 5e8; n*5e8 < span.End; n++ {
		add(n*5e8, int32(rand.New(rand.NewPCG(uint64(n), 7)).IntN(400)))
	}
	for _, on := range h.woken {
		for i := range 200 {
			add(on.Add(time.Duration(i)*20*time.Millisecond), int32(300+i%30))
		}
	}
	slices.SortStableFunc(sent, func(a, b bench.Packet) int { return int(a.At - b.At) })
	return sent
}

func (h *home) observed(until bench.Instant) results.Observed {
	span := bench.Span{Start: h.from, End: until}
	h.from = until
	return results.Observed{Traffic: []results.Traffic{{Watched: span, Packets: h.packets(span)}}}
}

// newHome is a campaign at the fixed pace: a trial of alexa, and one of each of
// the four words.
func newHome(t *testing.T, h *home) *rig {
	t.Helper()
	r := newRigOf(t, parse(t, pacedSpec))
	if h.glow == 0 {
		h.glow = 2 * time.Second
	}
	r.OpenBench = h.open
	return r
}

// again opens the store as a new process would.
func (r *rig) again(h *home) {
	r.t.Helper()
	r.reopen()
	r.OpenBench = h.open
}

// pass runs the campaign, and returns how long that took.
func (r *rig) pass() (standing campaign.Standing, took time.Duration) {
	r.t.Helper()
	synctest.Test(r.t, func(t *testing.T) {
		began := time.Now()
		var err error
		if standing, err = r.Run(t.Context()); err != nil {
			t.Error(err)
		}
		took = time.Since(began)
	})
	return standing, took
}

// rows are those of the report, by word.
func (r *rig) rows() map[string]results.Row {
	rows := map[string]results.Row{}
	report := r.report()
	for _, row := range slices.Concat(report.Words, report.Controls) {
		rows[row.Trial.Word] = row
	}
	return rows
}

// wantWhole checks that every trial was played whole and that the t-test speaks
// of it.
func (r *rig) wantWhole() {
	r.t.Helper()
	takes, err := r.store.Takes()
	if err != nil {
		r.t.Fatal(err)
	}
	for word, row := range r.rows() {
		if cut := takes.Cut(row.Trial.ID); cut != "" {
			r.t.Errorf("%s was not played whole: %s", word, cut)
		}
		if got := row.Trials[0]; got.State == bench.Unmeasured {
			r.t.Errorf("the t-test of %s: %q", word, got.Inapplicable)
		}
		if row.Measured+takes.Busy(row.Trial.ID) != row.Trial.Plays {
			r.t.Errorf("%s: %d plays measured of %d", word, row.Measured, row.Trial.Plays)
		}
	}
}

func TestFixedPace(t *testing.T) {
	h := new(home)
	r := newHome(t, h)
	standing, took := r.pass()
	if standing.Left() != 0 || h.played != 50 {
		t.Errorf("%d plays, %d left", h.played, standing.Left())
	}
	if over := took - 5*trialTime; over < 0 || over > 5*time.Second {
		t.Errorf("five trials took %v", took)
	}
	var last bench.Instant
	for i, a := range r.attempts() {
		if i%10 == 0 {
			if quiet := a.Sound.Start.Sub(last); quiet < rest+stretch {
				t.Errorf("play %d began %v after the one before", i+1, quiet)
			}
		} else if between := a.Sound.Start.Sub(last) + a.Sound.Duration(); between != slot {
			t.Errorf("play %d began %v after the one before", i+1, between)
		}
		last = a.Sound.End
	}
	r.wantWhole()
	rows := r.rows()
	for word, want := range map[string]bench.State{"alexa": bench.Reacted, "banana": bench.Quiet} {
		if got := rows[word].Trials[0]; got.State != want || !(got.P > 0 && got.P < 1) {
			t.Errorf("the t-test of %s: %+v, want %v", word, got, want)
		}
	}
	if rows["alexa"].Reacted != 10 || rows["banana"].Reacted != 0 {
		t.Errorf("alexa %+v, banana %+v", rows["alexa"], rows["banana"])
	}

	// Another threshold judges the same night.
	r.spec.Judge.TTest.Threshold = 1e-300
	if got := r.rows()["banana"].Trials[0]; got.State != bench.Quiet {
		t.Errorf("at another threshold: %+v", got)
	}
}

// A run that is stopped ends at once, or after the play in hand, and what it had
// of a trial is played again with all the rest.
func TestStopAtFixedPace(t *testing.T) {
	for _, at := range []time.Duration{
		5 * time.Second, 40 * time.Second, // rest, and idle stretch
		70*time.Second + 100*time.Millisecond, // the first play sounds
		104 * time.Second,
		trialTime - 200*time.Millisecond, // all have been played, and the stretch is not over
		trialTime + 30*time.Second,       // idle before the next
		trialTime + 100*time.Second,
	} {
		t.Run(at.String(), func(t *testing.T) {
			h := new(home)
			r := newHome(t, h)
			var took time.Duration
			synctest.Test(t, func(t *testing.T) {
				stop := make(chan struct{})
				r.Stop = stop
				began := time.Now()
				time.AfterFunc(at, func() { close(stop) })
				if _, err := r.Run(t.Context()); err != nil {
					t.Error(err)
				}
				took = time.Since(began)
			})
			if late := took - at; late < 0 || late >= slot {
				t.Errorf("stopped after %v, and over %v later", at, late)
			}
			measured := 0
			for _, row := range r.rows() {
				measured += row.Measured
			}
			r.again(h)
			if standing, _ := r.pass(); standing.Left() != 0 {
				t.Errorf("%d plays left", standing.Left())
			}
			r.wantWhole()
			voids, err := r.store.Voids()
			if err != nil {
				t.Fatal(err)
			}
			if len(voids) != measured%10 {
				t.Errorf("%d plays are void of the %d measured", len(voids), measured)
			}
			for _, v := range voids {
				if !strings.Contains(v.Reason, "cut off after") {
					t.Errorf("void: %q", v.Reason)
				}
			}
		})
	}
}

// What a second interrupt or a bench that breaks leaves of a trial is played
// again.
func TestBrokenTrialIsPlayedAgain(t *testing.T) {
	h := &home{}
	h.play = func(n int) (s playback.Sounding, err error) {
		if n == 15 {
			err = errors.New("the rig caught fire")
		}
		return s, err
	}
	r := newHome(t, h)
	synctest.Test(t, func(t *testing.T) {
		if _, err := r.Run(t.Context()); err == nil {
			t.Error("no error")
		}
	})
	r.again(h)
	if standing, _ := r.pass(); standing.Left() != 0 {
		t.Errorf("%d plays left", standing.Left())
	}
	r.wantWhole()
	if voids, err := r.store.Voids(); err != nil || len(voids) != 4 {
		t.Errorf("%d plays are void, want 4; %v", len(voids), err)
	}
}

func TestFaultAtFixedPace(t *testing.T) {
	mute := playback.Sounding{Fault: bench.FaultPlayer, Detail: "unplugged"}
	tests := map[string]struct {
		fails        func(n int) bool
		sounds       bool // though nothing watches
		played, left int
		inapplicable string
	}{
		"once":      {func(n int) bool { return n == 4 }, false, 60, 0, ""},
		"blind":     {func(n int) bool { return n == 4 }, true, 60, 0, ""},
		"each time": {func(n int) bool { return n == 4 || n > 50 && n%10 == 4 }, false, 70, 1, "did not sound"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := &home{}
			if test.sounds {
				h.capture = func(n int) bench.Fault {
					if test.fails(n) {
						return bench.FaultOracle
					}
					return bench.NoFault
				}
			} else {
				h.play = func(n int) (playback.Sounding, error) {
					if test.fails(n) {
						return mute, nil
					}
					return playback.Sounding{}, nil
				}
			}
			r := newHome(t, h)
			r.spec.Judge.Verdict = oracle.FusionAll // for the traffic to matter
			r.Runner.Spec = r.spec
			standing, _ := r.pass()
			if h.played != test.played || standing.Left() != test.left {
				t.Errorf("%d plays, %d left; want %d and %d", h.played, standing.Left(), test.played, test.left)
			}
			if test.inapplicable == "" {
				r.wantWhole()
			} else if got := r.rows()["alexa"]; !strings.Contains(got.Trials[0].Inapplicable, test.inapplicable) || got.Measured != 9 {
				t.Errorf("alexa, which is never whole: %+v", got)
			}
		})
	}
}

// A device that is still busy with its reaction is not waited for, and its trial
// not played again: trials with reactions would be the only ones to get a second
// chance of having none.
func TestBusyDeviceAtFixedPace(t *testing.T) {
	h := &home{glow: 8 * time.Second}
	r := newHome(t, h)
	standing, _ := r.pass()
	if h.played != 50 || standing.Left() != 0 || standing.Busy < 5 || standing.Measured+standing.Busy != 50 {
		t.Errorf("%d plays, %+v", h.played, standing)
	}
	totals := r.report().Totals
	if totals.Busy != standing.Busy || !totals.Complete() {
		t.Errorf("totals %+v", totals)
	}
	r.wantWhole()
	// One that was never at rest is another matter.
	h = &home{glow: 8 * time.Second}
	r = newHome(t, h)
	h.play = func(int) (playback.Sounding, error) {
		h.woken = append(h.woken, h.now().Add(-time.Second))
		return playback.Sounding{}, nil
	}
	r.Note = func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); strings.Contains(text, "does not come to rest") {
			h.play = nil
		}
	}
	if standing, _ := r.pass(); standing.Left() != 0 {
		t.Errorf("%d plays left", standing.Left())
	}
	r.wantWhole()
}

func TestPacesThatCantBeKept(t *testing.T) {
	parse(t, strings.Replace(pacedSpec, "plays: 10", "plays: 6", 1)+"judge: {traffic: {consecutive: 5}}\n")
	for name, test := range map[string]struct{ old, new, want string }{
		"unknown":          {"fixed", "brisk", `protocol.pace.kind: "brisk" is not one of: settled, fixed`},
		"no rest":          {"fixed", "fixed, rest: -1s", "protocol.pace.rest: -1s is negative"},
		"no time":          {"fixed", "fixed, stretch: 0s", "protocol.pace.stretch: 0s is not"},
		"years":            {"fixed", "settled, stretch: 9000h", "protocol.pace.stretch: 9000h0m0s is not"},
		"too short":        {"fixed", "fixed, stretch: 59s", "protocol.pace.stretch: 59s is 5.9s for each of 10 plays, but a word and the 5s that judge.traffic watches after it take 6s; lengthen it, or lower protocol.plays"},
		"five windows":     {"protocol:", "judge: {traffic: {consecutive: 5}}\nprotocol:", "the 7s that judge.traffic watches"},
		"too many plays":   {"plays: 10", "plays: 10000", "lower protocol.plays"},
		"too many checks":  {"protocol:", "controls: {every: 1, plays: 11}\nprotocol:", "lower controls.plays"},
		"light alone":      {"  traffic: {driver: tap}\nprotocol:", "protocol:\n  tries: 1", ""},
		"light too long":   {"  traffic: {driver: tap}\nprotocol:", "judge: {light: {window: 5s}}\nprotocol:", "judge.light watches"},
		"software":         {"  player: {driver: speaker}\n  light: {driver: lamp}\n  traffic: {driver: tap}", "  engine: {driver: openwakeword, model: alexa_v0.1}", "protocol.pace.kind: a software bench"},
		"threshold":        {"protocol:", "judge: {ttest: {threshold: 1.5}}\nprotocol:", "judge.ttest.threshold: 1.5 is not"},
		"another duration": {"protocol:", "judge: {ttest: {duration: 10s}}\nprotocol:", "unknown key"},
	} {
		text := strings.Replace(pacedSpec, test.old, test.new, 1)
		_, err := campaign.ParseSpec("test.yaml", []byte(text), drivers)
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, campaign.ErrSpec) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Plays that a control takes back take their trials with them.
func TestDeafDeviceAtFixedPace(t *testing.T) {
	for first := 1; first < 60; first += 7 {
		h := &home{deaf: func(n int) bool { return n >= first && n < first+35 }}
		r := newRigOf(t, parse(t, pacedSpec+"controls: {every: 1, plays: 3}\n"))
		h.glow = 2 * time.Second
		r.OpenBench = h.open
		if standing, _ := r.pass(); standing.Left() != 0 {
			t.Errorf("deaf from play %d: %d plays left", first, standing.Left())
		}
		takes, err := r.store.Takes()
		if err != nil {
			t.Fatal(err)
		}
		report := r.report()
		for _, row := range slices.Concat(report.Words, report.Controls) {
			if cut := takes.Cut(row.Trial.ID); cut != "" || row.Trials[0].State == bench.Unmeasured || row.Measured != row.Trial.Plays {
				t.Errorf("deaf from play %d: %s, round %d: %q, %+v", first, row.Trial.Word, row.Trial.Round, cut, row.Trials[0])
			}
			if row.Trial.Role == results.RolePositive && row.Reacted == 0 {
				t.Errorf("deaf from play %d: no control", first)
			}
		}
	}
}

// Words that are longer than their time are played, but the t-test does without.
func TestLongWordsOverrunThePace(t *testing.T) {
	h := new(home)
	r := newHome(t, h)
	speak := r.Speak
	r.Speak = func(ctx context.Context, u tts.Utterance) (tts.Clip, error) {
		clip, err := speak(ctx, u)
		if u.Text == "lexus" {
			clip.Samples = slices.Concat(clip.Samples, make([]int16, tts.SampleRate))
		}
		return clip, err
	}
	standing, _ := r.pass()
	if h.played != 50 || standing.Left() != 0 {
		t.Errorf("%d plays, %d left", h.played, standing.Left())
	}
	rows := r.rows()
	if got := rows["lexus"].Trials[0].Inapplicable; !strings.Contains(got, "did not keep the pace") {
		t.Errorf("lexus: %q", got)
	}
	if rows["lexus"].Measured != 10 || rows["letter"].Trials[0].State == bench.Unmeasured {
		t.Errorf("lexus %+v, letter %+v", rows["lexus"], rows["letter"])
	}
}
