package campaign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/playback"
	"wakefuzz/results"
	"wakefuzz/tts"
)

// Bench is one device under test, with what sounds the clips and what watches.
// One goroutine uses it.
type Bench struct {
	Player  playback.Player
	Oracles []oracle.Oracle
	// Facts are what shapes its observations beyond the spec, such as the hash
	// of a model. They must be the same in every session of a campaign.
	Facts map[string]string
	// Settle waits until the device is at rest, and returns "", or at the limit
	// what keeps it from resting. It is nil where every play begins from the
	// same state.
	Settle func(context.Context, SettleSpec) (restless string, err error)
	// Now is the bench's clock. It is nil where time stands still between plays.
	Now func() bench.Instant
	// Observed returns what was recorded up to the instant and not returned
	// before, whatever was played. It is nil where plays are all there is.
	Observed func(until bench.Instant) results.Observed
	// Reacting says whether the device seems to react just now. It is nil where
	// time stands still between plays.
	Reacting func(context.Context) bool
	// Evidence writes what passed between the device and the network since the
	// instant, as a pcapng file with a comment. It is nil where nothing watches
	// that.
	Evidence func(w io.Writer, from bench.Instant, comment string) error
	// Close frees the bench.
	Close func() error

	silent bench.Instant // when the last sound ended
}

// ErrChanged means that what shapes the observations is no longer what it was
// when the campaign began.
var ErrChanged = errors.New("the bench or a voice has changed since this campaign began")

// Runner carries a campaign out.
type Runner struct {
	Spec  Spec
	Store *results.Store
	// Folder is the campaign's, in which evidence is kept.
	Folder string
	// Speak gives the clip of an utterance. Several goroutines call it.
	Speak func(context.Context, tts.Utterance) (tts.Clip, error)
	// VoiceFacts are what shapes the clips beyond the spec, such as an engine's
	// version. They must be the same in every session of a campaign.
	VoiceFacts map[string]string
	// OpenBench opens the number-th, from 0, of the benches that work side by
	// side.
	OpenBench func(number int) (*Bench, error)
	// Workers is how many benches work side by side.
	Workers int
	// Version is the program's own.
	Version string
	// Stop, when closed, lets every bench finish the play in hand and then
	// ends the run.
	Stop <-chan struct{}
	// Begin is told where the campaign stands before the first play, and Report
	// of every play as soon as it is stored, one at a time.
	Begin  func(Standing)
	Report func(Event)
	// Note is told what the user should know at once.
	Note func(format string, args ...any)
	Log  *slog.Logger

	plans *planner // once it is needed
}

// Event is a play that has just been stored.
type Event struct {
	Trial   results.Trial
	Attempt results.Attempt
	Verdict oracle.Verdict
	// Standing is where the campaign stands now.
	Standing Standing
}

// Standing is where a campaign stands.
type Standing struct {
	// Trials are the trials planned; Planned and Measured count plays, and Busy
	// those that are left unmeasured: at a fixed pace, they found the device busy
	// with its reaction to a play before. GivenUp counts those of earlier batches
	// that could not be measured.
	Trials, Planned, Measured, Busy, GivenUp int
	// Batch is the number of the batch in hand, from 1, and Whole says that none
	// will follow.
	Batch int
	Whole bool
	// Hits are the words that have reacted often enough to be a hit whatever
	// their remaining plays bring; LastHit is the latest of this session.
	Hits    int
	LastHit string
}

// Left is how many of the plays that are planned are still to be measured.
func (t Standing) Left() int { return t.Planned - t.Measured - t.Busy - t.GivenUp }

// Over says whether nothing is left to play or to plan.
func (t Standing) Over() bool { return t.Whole && t.Left() == 0 }

// Standing returns where the campaign stands by what is stored, under the rules
// of the spec.
func (r *Runner) Standing() (Standing, error) {
	score, err := r.newScore()
	if err != nil {
		return Standing{}, err
	}
	return score.standing, nil
}

// Run plays what the store does not hold yet, and returns where the campaign
// then stands. With nothing left to play it opens no bench and speaks no word.
// It returns early, without an error, when Stop is closed. An error means that
// nothing more can be measured for now: what was measured is stored, and a later
// Run goes on from there.
func (r *Runner) Run(ctx context.Context) (Standing, error) {
	score, err := r.newScore()
	if err != nil {
		return Standing{}, err
	}
	// A campaign that was killed between two batches may have no other to play.
	for score.standing.Left() == 0 {
		if more, err := r.planNext(); err != nil {
			return score.standing, err
		} else if !more {
			score.standing.Whole = true
			return score.standing, r.keepSpec()
		}
		if score, err = r.newScore(); err != nil {
			return Standing{}, err
		}
	}
	benches, err := r.openBenches()
	if err != nil {
		return score.standing, err
	}
	defer r.closeBenches(benches)
	session, err := r.beginSession(benches[0].Facts)
	if err != nil {
		return score.standing, err
	}
	r.Begin(score.standing)
	blind := map[string]bool{}
	evidence := &evidence{dir: filepath.Join(r.Folder, evidenceFolder), limit: int64(r.Spec.Evidence.LimitMB) * 1e6}
	for more := true; more; {
		for tries := 0; tries < r.Spec.Protocol.Tries; {
			progress, err := r.Store.Progress()
			if err != nil {
				return score.standing, err
			}
			jobs, err := r.left(progress)
			if err != nil {
				return score.standing, err
			}
			if len(jobs) == 0 || r.Stopped() {
				break
			}
			pass := pass{Runner: r, session: session, progress: progress, score: score, evidence: evidence, watch: watch{blind: blind}}
			if r.Spec.Bench.Physical() {
				if pass.hearing, err = r.readHearing(); err != nil {
					return score.standing, err
				}
			}
			err = pass.play(ctx, jobs, benches)
			if pass.voided == 0 {
				tries++ // what was voided is not to blame on the plays
			}
			if err != nil {
				return score.standing, err
			}
		}
		if r.Stopped() {
			break
		}
		if more, err = r.planNext(); err != nil {
			return score.standing, err
		}
		next, err := r.newScore()
		if err != nil {
			return score.standing, err
		}
		score.become(next)
	}
	return score.standing, nil
}

// Stopped says whether Stop is closed.
func (r *Runner) Stopped() bool {
	select {
	case <-r.Stop:
		return true
	default:
		return false
	}
}

func (r *Runner) openBenches() ([]*Bench, error) {
	benches := make([]*Bench, 0, r.Workers)
	for i := range max(r.Workers, 1) {
		b, err := r.OpenBench(i)
		if err != nil {
			r.closeBenches(benches)
			return nil, err
		}
		benches = append(benches, b)
	}
	return benches, nil
}

func (r *Runner) closeBenches(benches []*Bench) {
	for i, b := range benches {
		if err := b.Close(); err != nil {
			r.Log.Error("closing a bench", "bench", i, "error", err)
		}
	}
}

// beginSession stores who measures with what, after making sure that it is
// what measured before.
func (r *Runner) beginSession(benchFacts map[string]string) (uint32, error) {
	facts := maps.Clone(r.VoiceFacts)
	if facts == nil {
		facts = map[string]string{}
	}
	maps.Copy(facts, benchFacts)
	sessions, err := r.Store.Sessions()
	if err != nil {
		return 0, err
	}
	if err := SameFacts(sessions, facts); err != nil {
		return 0, err
	}
	return r.storeSession(facts)
}

// SameFacts returns an error that wraps ErrChanged where what is to shape the
// next session's observations is not what shaped those of the sessions before.
func SameFacts(sessions []results.Session, facts map[string]string) error {
	if len(sessions) == 0 {
		return nil
	}
	was := sessions[0].Facts
	for _, key := range union(was, facts) {
		if was[key] != facts[key] {
			return fmt.Errorf("%w: %s was %s and is %s; put it back, or begin a new campaign",
				ErrChanged, key, orNone(was[key]), orNone(facts[key]))
		}
	}
	return nil
}

// keepSpec stores the spec of a complete campaign for those who judge it later,
// by a session in which nothing is played, unless it is the stored one.
func (r *Runner) keepSpec() error {
	sessions, err := r.Store.Sessions()
	if err != nil {
		return err
	}
	spec, err := r.Spec.YAML()
	last := sessions[len(sessions)-1] // a complete campaign has had one
	if err != nil || spec == last.Spec {
		return err
	}
	_, err = r.storeSession(last.Facts)
	return err
}

func (r *Runner) storeSession(facts map[string]string) (uint32, error) {
	spec, err := r.Spec.YAML()
	if err != nil {
		return 0, err
	}
	host, _ := os.Hostname() // a session of an unnamed host is still a session
	return r.Store.BeginSession(results.Session{
		Started: time.Now(),
		Host:    host,
		PID:     os.Getpid(),
		Fuzzer:  r.Version,
		Workers: r.Workers,
		Spec:    spec,
		Facts:   facts,
	})
}

// pass is one go through the jobs that are left.
type pass struct {
	*Runner
	session  uint32
	progress *results.Progress
	score    *score
	evidence *evidence
	watch
}

func (p *pass) play(ctx context.Context, jobs []job, benches []*Bench) error {
	g, ctx := errgroup.WithContext(ctx)
	ready := p.speakAhead(ctx, g, jobs, 2*len(benches))
	for number, b := range benches {
		g.Go(func() error {
			for next := range ready {
				if err := p.playJob(ctx, number, b, <-next); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// spoken is a job with its clip, or with the reason why it has none.
type spoken struct {
	job
	clip tts.Clip
	err  error
	// segment are the words of a segment, each by itself.
	segment []spoken
}

// speakAhead fetches the clips of the next few jobs while earlier ones are
// played, so that a slow voice does not keep the benches waiting, and hands
// them out in the order of the plan.
func (p *pass) speakAhead(ctx context.Context, g *errgroup.Group, jobs []job, ahead int) <-chan chan spoken {
	voices := p.Spec.VoicesByName()
	ready := make(chan chan spoken, ahead)
	g.Go(func() error {
		// Nobody waits for a voice once the run is to stop.
		ctx, cancel := p.untilStop(ctx)
		defer cancel()
		defer close(ready)
		var speaking sync.WaitGroup
		defer speaking.Wait()
		for _, j := range jobs {
			next := make(chan spoken, 1)
			select {
			case ready <- next:
			case <-ctx.Done():
				return nil // whoever cancelled has the reason
			}
			speaking.Go(func() {
				if len(j.segment) == 0 {
					next <- p.speak(ctx, j, voices)
					return
				}
				s := spoken{job: j}
				for _, t := range j.segment {
					s.segment = append(s.segment, p.speak(ctx, job{trial: t, plays: []int{0}}, voices))
				}
				next <- s
			})
		}
		return nil
	})
	return ready
}

// speak fetches the clip of a job.
func (p *pass) speak(ctx context.Context, j job, voices map[string]tts.Voice) spoken {
	if j.trial.Word == "" {
		return spoken{job: j, clip: silence}
	}
	clip, err := p.Speak(ctx, Utterance(j.trial, voices))
	return spoken{job: j, clip: clip, err: err}
}

// silence is what a control plays that has no word, as long as a word.
var silence = tts.Clip{Samples: make([]int16, tts.SampleRate*6/10)}

// left lists what is left to play.
func (r *Runner) left(progress *results.Progress) ([]job, error) {
	if !r.Spec.Protocol.Pace.Fixed() {
		return remaining(r.Store.Trials(), progress), nil
	}
	takes, err := r.Store.Takes()
	if err != nil {
		return nil, err
	}
	return untaken(r.Store.Trials(), takes, progress), nil
}

// playJob plays what is left of a trial and stores each play before the next.
func (p *pass) playJob(ctx context.Context, number int, b *Bench, j spoken) error {
	if p.Stopped() {
		return nil
	}
	if len(j.segment) > 0 {
		return p.playSegment(ctx, number, b, j.segment)
	}
	if j.err != nil && !concernsOneWord(j.err) {
		return fmt.Errorf("speaking %q: %w", j.trial.Word, j.err)
	}
	if p.Spec.Protocol.Pace.Fixed() && j.err == nil {
		return p.playPaced(ctx, number, b, j)
	}
	for _, index := range j.plays {
		a, err := p.playOnce(ctx, number, b, j, index, nil)
		if err != nil || p.Stopped() {
			return err
		}
		if err := p.check(ctx, b, j, a); err != nil {
			return err
		}
	}
	return nil
}

// playOnce plays a trial's play and stores the attempt. With the run stopped it
// plays nothing. Where there is a pace, the device is not waited for, and the
// attempt is stored, with all that was observed up to then, when the pace says;
// with the run stopped meanwhile it is not.
func (p *pass) playOnce(ctx context.Context, number int, b *Bench, j spoken, index int, pace *pace) (results.Attempt, error) {
	a := p.begin(results.PlayID{Trial: j.trial.ID, Index: index}, number)
	restless := ""
	if pace == nil {
		var err error
		if restless, err = p.settle(ctx, b); err != nil || p.Stopped() {
			return a, err
		}
	}
	var verdict oracle.Verdict
	var fatal error
	switch {
	case j.err != nil:
		a.Fault, a.Detail = bench.FaultSynthesis, j.err.Error()
	case restless != "":
		a.Fault, a.Detail = bench.FaultDevice, restless
	default:
		verdict, fatal = p.attempt(ctx, b, j.clip, &a)
	}
	until := heard(a)
	if pace != nil && fatal == nil {
		if over := pace.over(a); over > 0 {
			until = max(until, over)
			if err := p.wait(ctx, b, until); err != nil || p.Stopped() {
				return a, err
			}
		}
	}
	if err := p.Store.AppendObserved(p.observed(b, a, until), a); err != nil {
		return a, errors.Join(err, fatal)
	}
	if fatal != nil {
		return a, fatal
	}
	p.tell(j.trial, a, verdict)
	p.keep(ctx, b, j.trial, a, verdict)
	return a, nil
}

// tell counts a stored play and reports it.
func (p *pass) tell(t results.Trial, a results.Attempt, v oracle.Verdict) {
	p.score.add(t, a, v, p.Report)
	if a.Fault != bench.NoFault {
		p.Log.Warn("play not measured", "word", t.Word, "play", a.Play, "fault", a.Fault, "detail", a.Detail)
	}
}

// begin is an attempt at the play of which nothing is known yet.
func (p *pass) begin(play results.PlayID, number int) results.Attempt {
	return results.Attempt{
		Play:    play,
		Number:  p.progress.Next(play),
		Session: p.session,
		Bench:   number,
		Wall:    time.Now(),
		Rule:    p.Spec.Rules().Text,
	}
}

// settle lets the device come to rest, for as long as the spec allows.
func (p *pass) settle(ctx context.Context, b *Bench) (restless string, err error) {
	if b.Settle == nil {
		return "", nil
	}
	// A sound that failed may have been heard, and nobody waited for what it
	// draws: a device is at rest only if it has been so since then.
	if b.Now != nil {
		if err := p.wait(ctx, b, b.silent.Add(p.Spec.Bench.Settle.Quiet)); err != nil || p.Stopped() {
			return "", err
		}
	}
	settling, cancel := p.untilStop(ctx)
	defer cancel()
	restless, err = b.Settle(settling, p.Spec.Bench.Settle)
	if ctx.Err() == nil && p.Stopped() {
		return restless, nil
	}
	return restless, err
}

// heard is how far the attempt was watched, or 0 where nothing sounded.
func heard(a results.Attempt) bench.Instant {
	until := a.Sound.End
	for _, o := range a.Observations {
		until = max(until, o.Watched.End)
	}
	return until
}

// observed is what the bench recorded up to the instant, to be stored with the
// attempt.
func (p *pass) observed(b *Bench, a results.Attempt, until bench.Instant) results.Observed {
	if b.Observed == nil || until == 0 {
		return results.Observed{} // what there is comes with the next attempt
	}
	o := b.Observed(until)
	o.Session, o.Bench = a.Session, a.Bench
	return o
}

// untilStop returns a context that ends with the run, too.
func (r *Runner) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-r.Stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel()
		<-ended
	}
}

// concernsOneWord tells a word that its voice can't speak, or that the service
// failed to speak after every retry, from what would fail for all others too.
func concernsOneWord(err error) bool {
	return errors.Is(err, tts.ErrUnspeakable) || errors.Is(err, tts.ErrUnavailable) || errors.Is(err, tts.ErrQuota)
}

// attempt plays the clip once and fills in what was observed. An error means
// that the bench is of no further use, or that the run was cut short.
func (p *pass) attempt(ctx context.Context, b *Bench, clip tts.Clip, a *results.Attempt) (oracle.Verdict, error) {
	attempts := []results.Attempt{*a}
	verdicts, err := p.sound(ctx, b, playback.Cue{Clip: clip, Seed: a.Play.Seed()}, []placed{{clip: clip}}, attempts)
	*a = attempts[0]
	return verdicts[0], err
}

// placed is a word's clip, and where in a sound it begins.
type placed struct {
	clip tts.Clip
	at   time.Duration
}

// sound plays the cue, which sounds the words one after the other, and fills in
// what was observed of each, until one of them makes the device react: for the
// words after that, of which nobody knows whether they were heard, there is no
// verdict. An error is about all of them.
func (p *pass) sound(ctx context.Context, b *Bench, cue playback.Cue, words []placed, attempts []results.Attempt) (verdicts []oracle.Verdict, err error) {
	busy := bench.FaultPlayer // whose fault it is if the bench fails now
	unmeasured := func(detail string) []oracle.Verdict {
		for i := range attempts {
			attempts[i].State, attempts[i].Fault, attempts[i].Detail = bench.Unmeasured, busy, detail
		}
		return slices.Repeat([]oracle.Verdict{{Fault: busy}}, len(attempts))
	}
	defer func() {
		if v := recover(); v != nil {
			p.Log.Error("a driver panicked", "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("bench %d: its driver panicked: %v; the log has the details", attempts[0].Bench, v)
		}
		if err != nil {
			if ctx.Err() != nil {
				busy = bench.FaultInterrupted
			}
			verdicts = unmeasured(err.Error())
		}
	}()
	limit := patience(cue.Clip, b.Oracles)
	playing, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	// tooSlow tells a driver that gave up at our time limit, which costs this
	// play, from one that failed, which costs the bench.
	tooSlow := func(err error) bool {
		return errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil
	}

	sounding, err := p.playUntilReaction(playing, b, cue, len(words))
	if b.Now != nil {
		b.silent = b.Now()
	}
	switch {
	case tooSlow(err):
		return unmeasured(fmt.Sprintf("the player did not finish within %v", limit)), nil
	case err != nil:
		return nil, fmt.Errorf("bench %d: player: %w", attempts[0].Bench, err)
	}
	if sounding.Fault == bench.NoFault && sounding.Span.Duration() < cue.Clip.Duration()-stopped {
		p.Log.Info("a sound was stopped", "sounded", sounding.Span.Duration(), "planned", cue.Clip.Duration(), "words", len(words))
	}
	busy = bench.FaultOracle
	reacted := bench.Instant(math.MaxInt64)
	for i, word := range words {
		of, cut := sounding, false
		if len(words) > 1 && sounding.Fault == bench.NoFault {
			of.Span.Start = sounding.Span.Start.Add(word.at)
			of.Span.End = of.Span.Start.Add(word.clip.Duration())
			if of.Span.Start >= min(reacted, sounding.Span.End) {
				break
			}
			if cut = of.Span.End > sounding.Span.End.Add(stopped); cut {
				of.Span.End = sounding.Span.End
			}
		}
		var observations []bench.Observation
		if sounding.Fault == bench.NoFault {
			for _, o := range b.Oracles {
				watched := bench.Span{Start: of.Span.Start, End: of.Span.End.Add(o.Window())}
				observation, err := o.Observe(playing, watched)
				switch {
				case tooSlow(err):
					return unmeasured(fmt.Sprintf("oracle %s did not answer within %v", o.Name(), limit)), nil
				case err != nil:
					return nil, fmt.Errorf("bench %d: oracle %s: %w", attempts[0].Bench, o.Name(), err)
				}
				observations = append(observations, observation)
			}
		}
		verdict := p.record(word.clip, of, observations, &attempts[i])
		if cut && verdict.State != bench.Reacted {
			break
		}
		verdicts = append(verdicts, verdict)
		for _, r := range verdict.Readings {
			if r.State == bench.Reacted {
				reacted = min(reacted, of.Span.End.Add(r.Latency))
			}
		}
	}
	return verdicts, nil
}

// record is the one place where the campaign's values become a stored record.
func (p *pass) record(clip tts.Clip, s playback.Sounding, observations []bench.Observation, a *results.Attempt) oracle.Verdict {
	a.Clip = clip.Sum()
	a.Sound, a.Phase, a.NoiseDBFS, a.GainDB = s.Span, s.Phase, s.NoiseDBFS, s.GainDB
	a.Observations = observations
	verdict := oracle.Verdict{Fault: s.Fault}
	switch {
	case s.Fault != bench.NoFault:
		a.Detail = s.Detail
	case s.Span.Duration() <= 0 || len(observations) == 0:
		verdict.Fault, a.Detail = bench.FaultPlayer, fmt.Sprintf("the player reported a sound of %v", s.Span.Duration())
	default:
		verdict = p.Spec.Rules().Judge(s.Span, observations)
		for _, o := range observations {
			if o.Fault != bench.NoFault {
				a.Detail = o.Detail
			}
		}
	}
	a.State, a.Fault = verdict.State, verdict.Fault
	return verdict
}

// stopped is by how much a sound has to be shorter than planned to have been
// stopped: loudspeakers tell when a sound ended to some milliseconds.
const stopped = 50 * time.Millisecond

// patience is how long a play may take by the wall clock: ten times as long as
// it sounds and is watched, and half a minute for a device that wakes slowly.
func patience(clip tts.Clip, oracles []oracle.Oracle) time.Duration {
	longest := time.Duration(0)
	for _, o := range oracles {
		longest = max(longest, o.Window())
	}
	return 30*time.Second + 10*(clip.Duration()+longest)
}

// score keeps the campaign's standing as plays come in.
type score struct {
	mu       sync.Mutex
	hitRate  float64
	paced    bool
	standing Standing
	trials   map[results.TrialID]*counts
}

// counts are those of a word's plays of the last stage, which may be of several
// batches, or of any other trial's.
type counts struct {
	plays, reacted, measured int
}

// newScore counts what is stored already, under the rules of today.
func (r *Runner) newScore() (*score, error) {
	judging := r.Spec.Judging()
	judging.Trials, judging.Ranking = nil, nil // plays are all that is counted, as they were judged when they were played
	report, err := results.Tally(r.Store.Reader, judging)
	if err != nil {
		return nil, err
	}
	s := &score{hitRate: r.Spec.Judge.HitRate, paced: r.Spec.Protocol.Pace.Fixed(), trials: map[results.TrialID]*counts{}}
	s.standing.Busy, s.standing.GivenUp, s.standing.Whole = report.Totals.Busy, report.Totals.GivenUp, report.Totals.Whole
	words := map[[2]string]*counts{}
	for _, row := range slices.Concat(report.Words, report.Screened, report.Controls) {
		c := &counts{plays: row.Trial.Plays, reacted: row.Reacted, measured: row.Measured}
		s.trials[row.Trial.ID] = c
		if row.Trial.Role == results.RoleWord && !row.Trial.Screening {
			words[[2]string{row.Trial.Word, row.Trial.Voice}] = c
		}
		s.standing.Planned += row.Trial.Plays
		s.standing.Measured += row.Measured
		s.standing.Trials++
		if row.Hit && row.Trial.Role == results.RoleWord {
			s.standing.Hits++
		}
	}
	for _, t := range r.Store.Trials() {
		s.standing.Batch = max(s.standing.Batch, t.Batch)
		if _, counted := s.trials[t.ID]; !counted {
			s.trials[t.ID] = words[[2]string{t.Word, t.Voice}]
		}
	}
	return s, nil
}

// become takes over what another score has counted.
func (s *score) become(other *score) {
	s.mu.Lock()
	defer s.mu.Unlock()
	other.standing.LastHit = s.standing.LastHit
	s.standing, s.trials = other.standing, other.trials
}

// add counts a stored play and reports it.
func (s *score) add(t results.Trial, a results.Attempt, v oracle.Verdict, report func(Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.trials[t.ID]
	if a.State != bench.Unmeasured {
		c.measured++
		s.standing.Measured++
	}
	if s.paced && c.reacted > 0 && a.Fault == bench.FaultDevice && a.Sound.Duration() > 0 {
		s.standing.Busy++
	}
	if a.State == bench.Reacted {
		was := results.IsHit(c.reacted, c.plays, s.hitRate)
		c.reacted++
		if !was && results.IsHit(c.reacted, c.plays, s.hitRate) && t.Role == results.RoleWord && !t.Screening {
			s.standing.Hits++
			s.standing.LastHit = t.Word
		}
	}
	report(Event{Trial: t, Attempt: a, Verdict: v, Standing: s.standing})
}
