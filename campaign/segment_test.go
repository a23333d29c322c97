package campaign_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/oracle"
	"wakefuzz/oracle/light"
	"wakefuzz/playback"
	"wakefuzz/results"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

const sweptSpec = `
name: swept
wake_word: alexa
voices:
  - {engine: flite, name: kal16}
bench:
  player: {driver: speaker}
  light: {driver: lamp}
  settle: {quiet: 1s, limit: 20s}
protocol: {kind: sweep, plays: 3, gap: 100ms, sweep: {segment: 4, batch: 12, alone: 1, ask: 0}}
controls: {every: 8, plays: 2}
`

// room is a loudspeaker and a device that hears it, on the clock of a synctest
// bubble: words take time, and the device reacts while they are said.
type room struct {
	t     *testing.T
	began time.Time
	edges []bench.Edge // of its light

	mu   sync.Mutex // the bench looks at what follows while a sound is on
	dark bench.Instant
	// broken says at which plays the bench takes the device for one that reacts,
	// for no reason; plays counts them.
	broken func(play int) bool
	plays  int
	sounds []time.Duration // how long each was to be, and was
	cut    int
}

// A clip's samples all say when the device reacts to it, as code: 100 and that
// many tenths of a second after it begins, or 1 for never.
const never, tenths = 100, 101

func say(length time.Duration, code int16) tts.Clip {
	samples := make([]int16, length*tts.SampleRate/time.Second)
	for i := range samples {
		samples[i] = code
	}
	return tts.Clip{Samples: samples}
}

func (r *room) now() bench.Instant { return bench.Instant(time.Since(r.began)) }

// held is how much sound a loudspeaker has taken before it is told to stop.
const held = 200 * time.Millisecond

func (r *room) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	const tick = 10 * time.Millisecond
	r.mu.Lock()
	r.plays++
	r.mu.Unlock()
	start, stop := r.now(), cue.Stop
	length := cue.Clip.Duration()
	var word time.Duration // where the present word began
	for at := time.Duration(0); at < length; at += tick {
		code := cue.Clip.Samples[at*tts.SampleRate/time.Second]
		if before := max(0, at-tick); code == 0 || cue.Clip.Samples[before*tts.SampleRate/time.Second] != code {
			word = at
		}
		now := r.now()
		if code >= tenths && at-word == time.Duration(code-tenths)*100*time.Millisecond && now >= r.dark {
			r.mu.Lock()
			r.dark = now.Add(3 * time.Second)
			r.mu.Unlock()
			r.edges = append(r.edges, bench.Edge{At: now, Lit: true}, bench.Edge{At: r.dark})
		}
		select {
		case <-stop:
			length, stop = min(length, at+held), nil
			r.cut++
		case <-ctx.Done():
			return playback.Sounding{}, ctx.Err()
		case <-time.After(tick):
		}
	}
	r.sounds = append(r.sounds, cue.Clip.Duration(), length)
	return playback.Sounding{Span: bench.Span{Start: start, End: start.Add(length)}}, nil
}

func (*room) Name() string { return light.Name }

func (*room) Window() time.Duration { return light.DefaultRule().Watch() }

func (r *room) Observe(ctx context.Context, watched bench.Span) (bench.Observation, error) {
	time.Sleep(watched.End.Sub(r.now()))
	o := bench.Observation{Oracle: light.Name, Watched: watched, Edges: []bench.Edge{{At: watched.Start}}}
	for _, e := range r.edges {
		switch {
		case e.At <= watched.Start:
			o.Edges[0].Lit = e.Lit
		case e.At <= watched.End:
			o.Edges = append(o.Edges, e)
		}
	}
	return o, ctx.Err()
}

func (r *room) settle(_ context.Context, s campaign.SettleSpec) (string, error) {
	time.Sleep(r.dark.Add(s.Quiet).Sub(r.now()))
	return "", nil
}

func (r *room) reacting(context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now() < r.dark || r.broken != nil && r.broken(r.plays)
}

// sweep is a campaign of 24 words that the room plays. The word early is long, and
// the device reacts to its beginning; late is a common hit.
func sweep(t *testing.T, device *room) *rig {
	t.Helper()
	var words []wordlists.Word
	for i := range 20 {
		words = append(words, word(fmt.Sprintf("word%02d", i), "W ER1 D"))
	}
	for _, text := range []string{"early1", "early2", "early3", "late"} {
		words = append(words, word(text, "ER1 L IY0"))
	}
	r := &rig{t: t, dir: t.TempDir(), spec: parse(t, sweptSpec)}
	store, err := campaign.Create(r.dir, r.spec, wake, words, "test")
	if err != nil {
		t.Fatal(err)
	}
	device.t = t
	r.use(store)
	r.inRoom(device)
	return r
}

// inRoom has the campaign played in the room, as use does with a fake bench.
func (r *rig) inRoom(device *room) {
	r.Speak = func(_ context.Context, u tts.Utterance) (tts.Clip, error) {
		switch {
		case strings.HasPrefix(u.Text, "early"):
			return say(2*time.Second, tenths+3), nil
		case u.Text == "late", u.Text == "alexa":
			return say(600*time.Millisecond, tenths+5), nil
		}
		return say(500*time.Millisecond, never), nil
	}
	r.OpenBench = func(int) (*campaign.Bench, error) {
		return &campaign.Bench{
			Player: device, Oracles: []oracle.Oracle{device},
			Settle: device.settle, Now: device.now, Reacting: device.reacting, Close: func() error { return nil },
		}, nil
	}
}

// inTime runs the campaign on a clock of its own, once what is to be done before
// is done.
func (r *rig) inTime(device *room, before ...func()) (standing campaign.Standing) {
	r.t.Helper()
	synctest.Test(r.t, func(t *testing.T) {
		device.began = time.Now().Add(-time.Duration(device.dark)) // after all that was
		for _, f := range before {
			f()
		}
		var err error
		if standing, err = r.Run(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return standing
}

// told is what the table says of words, and whether words of the screening were
// told of at all: which of them are suspects depends on where a sound began.
func (r *rig) told() map[string]string {
	told := map[string]string{}
	report := r.report()
	for _, row := range report.Words {
		told[row.Trial.Word] = fmt.Sprintf("%d of %d", row.Reacted, row.Measured)
	}
	for _, row := range report.Screened {
		if row.Trial.Segment > 0 {
			told["screened "+row.Trial.Word] = fmt.Sprint(row.Measured)
		}
	}
	return told
}

// A reaction ends the sound, be it to the beginning of a segment's first word;
// whatever else is said of the other words, each was heard.
func TestReactionEndsTheSound(t *testing.T) {
	device := &room{}
	r := sweep(t, device)
	if standing := r.inTime(device); !standing.Over() || standing.Hits != 4 {
		t.Errorf("it ended with %+v", standing)
	}
	report := r.report()
	for _, row := range report.Words {
		if row.Reacted != 3 && (strings.HasPrefix(row.Trial.Word, "early") || row.Trial.Word == "late") {
			t.Errorf("%s: %d of %d", row.Trial.Word, row.Reacted, row.Measured)
		}
	}
	if len(report.Words) != 4 || report.Totals.Voided > 0 || report.Totals.Attempts != report.Totals.Planned {
		t.Errorf("%d words in the last stage; %+v", len(report.Words), report.Totals)
	}
	first := map[string]bool{}
	for i, trial := range r.store.Trials() {
		first[trial.Word] = first[trial.Word] || trial.Segment > 0 && r.store.Trials()[i-1].Segment != trial.Segment
	}
	if !first["early1"] && !first["early2"] && !first["early3"] {
		t.Error("no long word is the first of its segment: the seed shows nothing")
	}
	if device.cut == 0 {
		t.Error("no sound was stopped")
	}
}

// What stops a sound for nothing, be it in its first word, costs no word.
func TestSoundStoppedForNothing(t *testing.T) {
	whole := &room{}
	want := sweep(t, whole)
	want.inTime(whole)

	device := &room{broken: func(play int) bool { return play%7 == 6 }}
	r := sweep(t, device)
	if standing := r.inTime(device); !standing.Over() {
		t.Errorf("it ended with %+v", standing)
	}
	stopped := slices.ContainsFunc(r.attempts(), func(a results.Attempt) bool { return strings.Contains(a.Detail, "stopped before the word was over") })
	if !stopped || device.cut <= whole.cut {
		t.Errorf("nothing was stopped for nothing, in %d sounds that were cut", device.cut)
	}
	if got, want := r.told(), want.told(); !maps.Equal(got, want) {
		t.Errorf("stopped for nothing: %v, otherwise: %v", got, want)
	}
}

// A run that is to stop does not wait for a segment's end, and goes on with the
// words that were not said.
func TestRunStopsInMidSegment(t *testing.T) {
	whole := &room{}
	want := sweep(t, whole)
	want.inTime(whole)

	device := &room{}
	r := sweep(t, device)
	told := r.inTime(device, func() {
		stop := make(chan struct{})
		r.Stop = stop
		r.Report = func(e campaign.Event) {
			if e.Standing.Measured == 3 { // the controls; a reaction takes 3 s, and a second of rest
				time.AfterFunc(3*time.Second, func() { close(stop) })
			}
		}
	}).Measured
	if n := len(device.sounds); device.sounds[n-1] >= device.sounds[n-2] || told < 4 || told > 6 {
		t.Errorf("the last sound took %v of %v, and told of %d words", device.sounds[n-1], device.sounds[n-2], told-3)
	}
	r.reopen()
	r.inRoom(device)
	if standing := r.inTime(device); !standing.Over() {
		t.Errorf("it ended with %+v", standing)
	}
	if got, want := r.told(), want.told(); !maps.Equal(got, want) {
		t.Errorf("stopped and resumed: %v, otherwise: %v", got, want)
	}
}

// A segment that no voice can speak waits for no device, and stops nothing.
func TestSegmentThatCannotBeSpoken(t *testing.T) {
	device := &room{}
	r := sweep(t, device)
	speak := r.Speak
	r.Speak = func(ctx context.Context, u tts.Utterance) (tts.Clip, error) {
		if strings.HasPrefix(u.Text, "word") {
			return tts.Clip{}, fmt.Errorf("%q: %w", u.Text, tts.ErrUnspeakable)
		}
		return speak(ctx, u)
	}
	standing := r.inTime(device)
	if standing.Hits != 4 || standing.GivenUp == 0 {
		t.Errorf("it ended with %+v", standing)
	}
	if n := device.plays; n > 60 {
		t.Errorf("%d sounds", n)
	}
}
