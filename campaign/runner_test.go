package campaign_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/internal/fakebench"
	"wakefuzz/oracle"
	"wakefuzz/phoneme"
	"wakefuzz/playback"
	"wakefuzz/results"
	"wakefuzz/results/export"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rates are the words of the test campaign and how often each reacts.
var rates = map[string]float64{"alexa": 1, "alexis": 0.9, "lexus": 0.5, "letter": 0.1, "banana": 0}

var wake = word("alexa", "AH0 L EH1 K S AH0")

func word(text string, p phoneme.Pronunciation) wordlists.Word {
	return wordlists.Word{Text: text, Pronunciations: []phoneme.Pronunciation{p}, List: "test"}
}

func words() []wordlists.Word {
	return []wordlists.Word{
		word("alexis", "AH0 L EH1 K S IH0 S"),
		word("lexus", "L EH1 K S AH0 S"),
		word("letter", "L EH1 T ER0"),
		word("banana", "B AH0 N AE1 N AH0"),
	}
}

// rig is a campaign on fake benches, with what a test wants to go wrong.
type rig struct {
	t     *testing.T
	dir   string
	spec  campaign.Spec
	store *results.Store
	log   bytes.Buffer
	campaign.Runner
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOf(t, parse(t, smallSpec))
}

func newRigOf(t *testing.T, spec campaign.Spec) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), spec: spec}
	store, err := campaign.Create(r.dir, r.spec, wake, words(), "test")
	if err != nil {
		t.Fatal(err)
	}
	r.use(store)
	return r
}

// use makes a runner for the store, as a new process would.
func (r *rig) use(store *results.Store) {
	r.store = store
	r.Runner = campaign.Runner{
		Spec:   r.spec,
		Store:  store,
		Folder: r.dir,
		Speak:  func(_ context.Context, u tts.Utterance) (tts.Clip, error) { return fakebench.Clip(rates[u.Text]), nil },
		OpenBench: func(int) (*campaign.Bench, error) {
			b := new(fakebench.Bench)
			return &campaign.Bench{Player: b, Oracles: []oracle.Oracle{b}, Close: func() error { return nil }}, nil
		},
		Workers: 1,
		Version: "test",
		Begin:   func(campaign.Standing) {},
		Report:  func(campaign.Event) {},
		Note:    func(string, ...any) {},
		Log:     slog.New(slog.NewTextHandler(&syncWriter{w: &r.log}, nil)),
	}
	r.t.Cleanup(func() { _ = store.Close() })
}

// reopen closes the store and opens it again.
func (r *rig) reopen() {
	r.t.Helper()
	if err := r.store.Close(); err != nil {
		r.t.Fatal(err)
	}
	store, err := results.Open(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	r.use(store)
}

// withBench makes every bench play and watch by these, nil for the fake.
func (r *rig) withBench(player playback.Player, oracles ...oracle.Oracle) {
	r.OpenBench = func(int) (*campaign.Bench, error) {
		return &campaign.Bench{Player: player, Oracles: oracles, Close: func() error { return nil }}, nil
	}
}

func (r *rig) run() campaign.Standing {
	r.t.Helper()
	tally, err := r.Run(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return tally
}

func (r *rig) report() results.Report {
	r.t.Helper()
	report, err := results.Tally(r.store.Reader, r.spec.Judging())
	if err != nil {
		r.t.Fatal(err)
	}
	return report
}

func (r *rig) csv() string {
	r.t.Helper()
	report := r.report()
	results.Rank(report.Words, r.spec.Rank.Order)
	var b strings.Builder
	if err := export.Write(&b, export.CSV, report, export.Options{}); err != nil {
		r.t.Fatal(err)
	}
	return b.String()
}

func (r *rig) attempts() []results.Attempt {
	r.t.Helper()
	var all []results.Attempt
	for a, err := range r.store.Attempts() {
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

type syncWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

func TestCampaignRunsWhole(t *testing.T) {
	r := newRig(t)
	var events []campaign.Event
	r.Report = func(e campaign.Event) { events = append(events, e) }
	tally := r.run()
	if want := (campaign.Standing{Trials: 5, Planned: 20, Measured: 20, Batch: 1, Whole: true, Hits: tally.Hits, LastHit: tally.LastHit}); tally != want {
		t.Errorf("tally %+v, want %+v", tally, want)
	}
	if len(events) != 20 || events[19].Standing != tally {
		t.Errorf("%d events, the last with %+v", len(events), events[len(events)-1].Standing)
	}
	report := r.report()
	if report.Totals.Hits != tally.Hits || report.Totals.Measured != 20 {
		t.Errorf("report has %d hits of %d plays, the live tally %d", report.Totals.Hits, report.Totals.Measured, tally.Hits)
	}
	if c := report.Controls; len(c) != 1 || c[0].Trial.Word != "alexa" || c[0].Reacted != 4 {
		t.Errorf("controls %+v", c)
	}
	for _, row := range report.Words {
		if row.Trial.Word == "banana" && (row.Reacted != 0 || row.Hit) {
			t.Errorf("banana never reacts, but: %+v", row)
		}
		if row.Trial.Word == "alexis" && !row.Hit {
			t.Errorf("alexis nearly always reacts, but: %+v", row)
		}
	}
}

func TestAttemptsSayHowTheyWereMade(t *testing.T) {
	r := newRig(t)
	r.VoiceFacts = map[string]string{"voice.flite": "2.2"}
	r.run()
	sessions, err := r.store.Sessions()
	if err != nil || len(sessions) != 1 || sessions[0].Facts["voice.flite"] != "2.2" || sessions[0].Workers != 1 {
		t.Fatalf("sessions %+v, %v", sessions, err)
	}
	for _, a := range r.attempts() {
		if a.Number != 1 || a.Session != sessions[0].ID || a.Rule != "engine score >= 0.5" || a.State == bench.Unmeasured {
			t.Errorf("attempt %+v", a)
		}
		if a.Sound.Duration() != 500*time.Millisecond || len(a.Observations) != 1 || len(a.Observations[0].Scores.Values) != 18 {
			t.Errorf("observations of %s: %+v", a.Play, a)
		}
	}
}

func TestStopAndResume(t *testing.T) {
	whole := newRig(t)
	whole.run()
	want := whole.csv()
	for _, workers := range []int{1, 2} {
		for after := range 20 {
			t.Run(fmt.Sprintf("%d workers, after %d", workers, after), func(t *testing.T) {
				r := newRig(t)
				stop := make(chan struct{})
				r.Stop, r.Workers = stop, workers
				played := 0
				r.Report = func(campaign.Event) {
					if played++; played == after {
						close(stop)
					}
				}
				if after == 0 {
					close(stop)
				}
				tally := r.run()
				// A bench finishes the play in hand, and no more.
				if tally.Measured < after || tally.Measured >= after+workers {
					t.Errorf("stopped after %d plays, asked to after %d", tally.Measured, after)
				}
				r.reopen()
				r.Workers = 3 - workers
				if tally := r.run(); tally.Left() != 0 {
					t.Errorf("%d plays left after resuming", tally.Left())
				}
				if n := len(r.attempts()); n != 20 {
					t.Errorf("%d attempts for 20 plays", n)
				}
				if got := r.csv(); got != want {
					t.Errorf("resumed:\n%s\nuninterrupted:\n%s", got, want)
				}
			})
		}
	}
}

// faulty plays as the fake does, but fails as told.
type faulty struct {
	fakebench.Bench
	play    func(n int) (playback.Sounding, error, bool)
	observe func(n int) (bench.Observation, error, bool)
	played  atomic.Int32
}

func (f *faulty) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	n := int(f.played.Add(1))
	if f.play != nil {
		if s, err, fails := f.play(n); fails {
			return s, err
		}
	}
	return f.Bench.Play(ctx, cue)
}

func (f *faulty) Observe(ctx context.Context, watched bench.Span) (bench.Observation, error) {
	if f.observe != nil {
		if o, err, fails := f.observe(int(f.played.Load())); fails {
			return o, err
		}
	}
	return f.Bench.Observe(ctx, watched)
}

// A play that can't be measured is never a "no". It is tried again, after the
// others, and its attempts say what was wrong.
func TestUnmeasuredPlaysAreTriedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		bench *faulty
		fault bench.Fault
	}{
		"player": {fault: bench.FaultPlayer, bench: &faulty{play: func(n int) (playback.Sounding, error, bool) {
			return playback.Sounding{Fault: bench.FaultPlayer, Detail: "the device went away"}, nil, n == 3
		}}},
		"no sound": {fault: bench.FaultPlayer, bench: &faulty{play: func(n int) (playback.Sounding, error, bool) {
			return playback.Sounding{}, nil, n == 3
		}}},
		"target": {fault: bench.FaultDevice, bench: &faulty{play: func(n int) (playback.Sounding, error, bool) {
			return playback.Sounding{Fault: bench.FaultDevice, Detail: "it does not settle"}, nil, n == 3
		}}},
		"oracle": {fault: bench.FaultOracle, bench: &faulty{observe: func(n int) (bench.Observation, error, bool) {
			return bench.Observation{Oracle: "engine", Fault: bench.FaultOracle, Detail: "packets were dropped"}, nil, n == 3
		}}},
		"oracle without scores": {fault: bench.FaultOracle, bench: &faulty{observe: func(n int) (bench.Observation, error, bool) {
			return bench.Observation{Oracle: "engine"}, nil, n == 3
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			b := test.bench
			r.withBench(b, b)
			if tally := r.run(); tally.Left() != 0 {
				t.Errorf("%d plays left", tally.Left())
			}
			all := r.attempts()
			if len(all) != 21 {
				t.Fatalf("%d attempts, want 20 and one more", len(all))
			}
			bad, again := all[2], all[20]
			if bad.State != bench.Unmeasured || bad.Fault != test.fault {
				t.Errorf("the third play: %v, fault %q %q; want fault %q", bad.State, bad.Fault, bad.Detail, test.fault)
			}
			if again.Play != bad.Play || again.Number != 2 || again.State == bench.Unmeasured {
				t.Errorf("the last attempt is %s number %d: %v", again.Play, again.Number, again.State)
			}
			if !strings.Contains(r.log.String(), "play not measured") {
				t.Error("the log does not tell")
			}
		})
	}
}

func TestPlaysThatStayUnmeasuredAreLeft(t *testing.T) {
	r := newRig(t)
	r.Speak = func(_ context.Context, u tts.Utterance) (tts.Clip, error) {
		if u.Text == "lexus" {
			return tts.Clip{}, fmt.Errorf("flite: %w", tts.ErrUnspeakable)
		}
		return fakebench.Clip(rates[u.Text]), nil
	}
	tally := r.run()
	if tally.Left() != 4 {
		t.Errorf("%d plays left, want the 4 of lexus", tally.Left())
	}
	if n := len(r.attempts()); n != 16+4*r.spec.Protocol.Tries {
		t.Errorf("%d attempts", n)
	}
	report := r.report()
	for _, row := range report.Words {
		if row.Trial.Word == "lexus" && (row.Measured != 0 || row.Failed != 4 || row.Hit) {
			t.Errorf("lexus: %+v", row)
		}
	}
	r.reopen() // with a voice that can
	if tally := r.run(); tally.Left() != 0 {
		t.Errorf("%d plays left in a better session", tally.Left())
	}
}

var errBroken = errors.New("broken")

// A bench that is of no further use ends the run, and nothing stored is lost.
func TestBrokenBenchEndsTheRun(t *testing.T) {
	for name, b := range map[string]*faulty{
		"player": {play: func(n int) (playback.Sounding, error, bool) { return playback.Sounding{}, errBroken, n == 7 }},
		"oracle": {observe: func(n int) (bench.Observation, error, bool) { return bench.Observation{}, errBroken, n == 7 }},
		"panic": {play: func(n int) (playback.Sounding, error, bool) {
			if n == 7 {
				panic(errBroken)
			}
			return playback.Sounding{}, nil, false
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.withBench(b, b)
			tally, err := r.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), "broken") || strings.Contains(err.Error(), "goroutine") {
				t.Fatalf("error %v", err)
			}
			if tally.Measured != 6 {
				t.Errorf("%d plays measured, want 6", tally.Measured)
			}
			r.reopen()
			if tally := r.run(); tally.Left() != 0 {
				t.Errorf("%d plays left after resuming on a good bench", tally.Left())
			}
		})
	}
}

// hanging never finishes its third play, but heeds its context.
type hanging struct{ faulty }

func (h *hanging) Play(ctx context.Context, cue playback.Cue) (playback.Sounding, error) {
	if h.played.Add(1) == 3 {
		<-ctx.Done()
		return playback.Sounding{}, ctx.Err()
	}
	return h.Bench.Play(ctx, cue)
}

func TestHangingPlayIsGivenUp(t *testing.T) {
	r := newRig(t)
	h := new(hanging)
	synctest.Test(t, func(t *testing.T) {
		r.withBench(h, h)
		tally, err := r.Run(t.Context())
		if err != nil || tally.Left() != 0 {
			t.Errorf("%d plays left, error %v", tally.Left(), err)
		}
	})
	if bad := r.attempts()[2]; bad.Fault != bench.FaultPlayer || !strings.Contains(bad.Detail, "did not finish") {
		t.Errorf("the hanging play: %q %q", bad.Fault, bad.Detail)
	}
}

func TestSecondInterruptStopsAtOnce(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	b := &faulty{play: func(n int) (playback.Sounding, error, bool) {
		if n == 5 {
			cancel()
			return playback.Sounding{}, ctx.Err(), true
		}
		return playback.Sounding{}, nil, false
	}}
	r.withBench(b, b)
	if _, err := r.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	all := r.attempts()
	if last := all[len(all)-1]; len(all) != 5 || last.Fault != bench.FaultInterrupted || last.Fault.Party() != "operator" {
		t.Errorf("%d attempts, the last: %+v", len(all), last)
	}
}

func TestErrorsOfTheVoiceThatConcernAllEndTheRun(t *testing.T) {
	for _, want := range []error{tts.ErrCredentials, tts.ErrVoice, errBroken} {
		r := newRig(t)
		r.Speak = func(context.Context, tts.Utterance) (tts.Clip, error) { return tts.Clip{}, want }
		if _, err := r.Run(t.Context()); !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
		if n := len(r.attempts()); n != 0 {
			t.Errorf("%d attempts after %v", n, want)
		}
	}
}

func TestStopDoesNotWaitForAVoice(t *testing.T) {
	r := newRig(t)
	stop := make(chan struct{})
	r.Stop = stop
	r.Speak = func(ctx context.Context, u tts.Utterance) (tts.Clip, error) {
		if u.Text == "alexis" {
			<-ctx.Done() // a service that does not answer
			return tts.Clip{}, ctx.Err()
		}
		return fakebench.Clip(rates[u.Text]), nil
	}
	r.Report = func(e campaign.Event) {
		if e.Standing.Measured == 4 {
			close(stop)
		}
	}
	if tally := r.run(); tally.Measured != 4 {
		t.Errorf("%d plays measured", tally.Measured)
	}
}

func TestAChangedBenchIsRefused(t *testing.T) {
	r := newRig(t)
	stop := make(chan struct{})
	close(stop)
	r.Stop = stop
	r.VoiceFacts = map[string]string{"voice.flite": "2.2"}
	r.run()
	r.reopen()
	r.VoiceFacts = map[string]string{"voice.flite": "2.3"}
	_, err := r.Run(t.Context())
	if !errors.Is(err, campaign.ErrChanged) || !strings.Contains(err.Error(), "voice.flite was 2.2 and is 2.3") {
		t.Errorf("error %v", err)
	}
}

// A complete campaign needs neither voice nor bench, and keeps a rule that it
// is judged by from now on.
func TestACompleteCampaignIsJudgedAnew(t *testing.T) {
	r := newRig(t)
	r.run()
	r.reopen()
	r.Speak, r.OpenBench = nil, nil
	for _, sessions := range []int{1, 2, 2} {
		if tally := r.run(); tally.Left() != 0 {
			t.Errorf("%d plays left", tally.Left())
		}
		stored, err := r.store.Sessions()
		if err != nil || len(stored) != sessions {
			t.Fatalf("%d sessions, want %d; %v", len(stored), sessions, err)
		}
		if last, err := campaign.FrozenSpec(r.store.Campaign(), stored, drivers); err != nil || last.Judge != r.Runner.Spec.Judge {
			t.Errorf("stored rule %+v, want %+v; %v", last.Judge, r.Runner.Spec.Judge, err)
		}
		r.Runner.Spec.Judge.HitRate = 1
	}
}

func TestBenchesThatCantBeOpened(t *testing.T) {
	r := newRig(t)
	r.Workers = 3
	open, closed := 0, 0
	r.OpenBench = func(n int) (*campaign.Bench, error) {
		if n == 2 {
			return nil, errBroken
		}
		open++
		return &campaign.Bench{Close: func() error { closed++; return errBroken }}, nil
	}
	if _, err := r.Run(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("error %v", err)
	}
	if open != 2 || closed != 2 {
		t.Errorf("%d opened, %d closed", open, closed)
	}
}

func TestPlansAreReproducible(t *testing.T) {
	spec := parse(t, smallSpec)
	spec.Voices = append(spec.Voices, tts.Voice{Engine: "flite", Name: "slt"})
	plan := campaign.Plan(spec, wake, words())
	if len(plan) != 10 || plan[0].Role != results.RolePositive || plan[2].Word != "alexis" || plan[3].Voice != "flite/slt" {
		t.Fatalf("plan %+v", plan)
	}
	seen := map[results.TrialID]bool{}
	for i, trial := range campaign.Plan(spec, wake, words()) {
		if trial != plan[i] {
			t.Errorf("trial %d differs: %+v and %+v", i, trial, plan[i])
		}
		if seen[trial.ID] {
			t.Errorf("the ID of %s by %s is not its own", trial.Word, trial.Voice)
		}
		seen[trial.ID] = true
	}
	// Stored IDs must not change from one release to the next.
	if got := campaign.Plan(spec, wake, nil)[0].ID.String(); got != goldenTrialID {
		t.Errorf("trial ID %s, was %s", got, goldenTrialID)
	}
	spec.Seed++
	if again := campaign.Plan(spec, wake, words()); again[0].ID == plan[0].ID {
		t.Error("another seed plans the same IDs")
	}
}

const goldenTrialID = "d59853b1f2f0ea666d261275823b9d8f"

func TestAdopt(t *testing.T) {
	r := newRig(t)
	sessions, err := r.store.Sessions()
	if err != nil {
		t.Fatal(err)
	}
	frozen, err := campaign.FrozenSpec(r.store.Campaign(), sessions, drivers)
	if err != nil {
		t.Fatal(err)
	}
	changed := frozen
	changed.Judge.HitRate = 0.7
	if err := campaign.Adopt(r.dir, frozen, changed); err != nil {
		t.Errorf("another rule is refused: %v", err)
	}
	changed.Protocol.Plays = 5
	err = campaign.Adopt(r.dir, frozen, changed)
	if !errors.Is(err, campaign.ErrPlanChanged) || !strings.Contains(err.Error(), "protocol.plays: 4 -> 5") {
		t.Errorf("error %v", err)
	}
	// The spec of the last session is the campaign's.
	r.Spec.Judge.HitRate = 0.7
	r.run()
	if sessions, err = r.store.Sessions(); err != nil {
		t.Fatal(err)
	}
	if frozen, err = campaign.FrozenSpec(r.store.Campaign(), sessions, drivers); err != nil || frozen.Judge.HitRate != 0.7 {
		t.Errorf("frozen hit rate %v, %v", frozen.Judge.HitRate, err)
	}
}
