package dataset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
	"wakefuzz/oracle/traffic/live"
	"wakefuzz/playback"
	"wakefuzz/tts"
)

// Session records once, until its plan is carried out or somebody ends it.
type Session struct {
	Settings Settings
	Folder   *Folder
	// Pair reads the bench's clock, which began with the session, and the wall
	// clock.
	Pair func() bench.Pair
	// Traffic records the device's packets, and Tap is in what it reads.
	Traffic *live.Recorder
	Tap     *Tap
	// Light watches the light, which LightRule reads. It is nil where nothing
	// does.
	Light     oracle.Oracle
	LightRule light.Rule
	// Player plays what Speak gives for a word, the n-th play from 0. Both are
	// nil where nothing is played.
	Player playback.Player
	Speak  func(ctx context.Context, word string, n int) (clip tts.Clip, voice string, err error)
	// Room is how many bytes the disk has left.
	Room func() (int64, error)
	// Note is told how it goes.
	Note func(format string, args ...any)

	scanner traffic.Scanner
	ring    ring
	plays   int    // so far, in all sessions
	dropped uint64 // packets of the present file

	through bench.Instant // up to where all was taken in
	alive   bench.Instant // when that was last stored
	uploads bench.Instant // the end of the latest that was stored
	stirred bench.Instant // when something was last lit or played
	pair    bench.Instant // when the present pair of stretches began, 0 for none
	lit     bool          // a spell goes on and is stored as open
	blind   map[string]Entry

	judged  bench.Instant // when the record last was
	entries int           // how many it then had
	settled bench.Instant // when these mean all that they ever will
	told    int           // occasions
	doubts  map[doubted]bool
}

// ErrFull means that the disk has no room for more.
var ErrFull = errors.New("the disk is full")

const (
	// tick is how often everything is taken in, and late how long ago that was
	// recorded: what oracles tell comes a little late.
	tick = time.Second
	late = 500 * time.Millisecond
	// fileLength is how long a file becomes, and calm for how long nothing may
	// have been lit or played when it is cut.
	fileLength = time.Hour
	calm       = 10 * time.Second
	// minute is how often it is stored that the session goes on.
	minute = time.Minute
	// review is how often the record is judged, at most.
	review = 5 * time.Second
	// final is how long after its end an upload is stored: detectors join what
	// lies closer.
	final = 5 * time.Second
	// leastRoom is left on the disk for the tables, in bytes.
	leastRoom = 16 << 20
	// silence is how long the device's first packet may take, unmentioned.
	silence = 30 * time.Second
	// patience is how much longer than its clip a play may take.
	patience = 30 * time.Second
)

// Run records until the plan is carried out: then the error is nil. Where ctx
// ends before, it is that of ctx. Any other error, such as one that wraps
// ErrFull, ended the recording early. What was recorded is stored in any case.
func (s *Session) Run(ctx context.Context) (err error) {
	before := s.Folder.Report()
	s.told = len(before.Occasions)
	s.plays = before.Plays
	s.scanner = traffic.DefaultCalibratedRule().Scanner()
	s.ring.rule = s.LightRule
	s.blind, s.doubts = map[string]Entry{}, map[doubted]bool{}
	now := s.Pair()
	s.through = now.At
	if err := s.Folder.begin(s.Settings, now); err != nil {
		return s.disk(err)
	}
	defer func() { err = errors.Join(err, s.end(ctx)) }()
	if err := s.awaitDevice(ctx); err != nil {
		return err
	}
	began := s.Pair().At
	for step := range s.Settings.Steps(Done{before.Length, before.Plays, before.Pairs}) {
		if err := s.until(ctx, began.Add(step.At)); err != nil {
			return err
		}
		switch step.Act {
		case Play:
			err = s.play(ctx, step.Word)
		case Silence:
			s.pair = began.Add(step.At)
		case Over:
			err = s.over(step.Word, began.Add(step.At))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitDevice waits for the device's first packet, with which labels begin.
func (s *Session) awaitDevice(ctx context.Context) error {
	for began := s.Pair().At; s.Folder.file == nil; {
		if err := s.until(ctx, s.Pair().At.Add(tick)); err != nil {
			return err
		}
		if waited := s.Pair().At.Sub(began); s.Folder.file == nil && waited >= silence {
			s.Note("waiting for a first packet of %s; is that the device's address, and is it on?", s.Settings.Device)
			began = s.Pair().At
		}
	}
	return nil
}

// until takes in what happens until the instant.
func (s *Session) until(ctx context.Context, at bench.Instant) error {
	for {
		now := s.Pair().At
		if err := ctx.Err(); err != nil {
			return err
		}
		if now.Sub(s.through) >= tick+late {
			if err := s.takeIn(ctx, now.Add(-late)); err != nil {
				return err
			}
			continue
		}
		if now >= at {
			return nil
		}
		timer := time.NewTimer(min(at.Sub(now), s.through.Add(tick+late).Sub(now)))
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// play plays a word.
func (s *Session) play(ctx context.Context, word string) error {
	clip, voice, err := s.Speak(ctx, word, s.plays)
	if err != nil {
		return fmt.Errorf("speaking %q: %w", word, err)
	}
	playing, cancel := context.WithTimeout(ctx, clip.Duration()+patience)
	defer cancel()
	e := Entry{Event: EventPlay, Word: word, Voice: voice, From: s.Pair().At}
	sounding, err := s.Player.Play(playing, playback.Cue{Clip: clip, Seed: uint64(s.plays)})
	e.To = s.Pair().At
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		e.Fault = fmt.Sprintf("the loudspeaker did not finish within %v", clip.Duration()+patience)
	case err != nil:
		return fmt.Errorf("player: %w", err)
	case sounding.Fault != bench.NoFault:
		e.Fault = "the loudspeaker: " + sounding.Detail
	default:
		e.From, e.To = sounding.Span.Start, sounding.Span.End
	}
	if e.Fault != "" {
		s.Note("%q was not played: %s", word, e.Fault)
	}
	s.plays++
	s.stirred = max(s.stirred, e.To)
	return s.store(e)
}

// over ends a pair of stretches. It counts unless the capture had a gap in it.
func (s *Session) over(word string, at bench.Instant) error {
	began := s.pair
	s.pair = 0
	if s.Folder.file == nil || s.Folder.open.From > began {
		s.Note("the capture was not at work throughout the stretches of %q; record again to repeat them", word)
		return nil
	}
	return s.store(Entry{Event: EventPair, From: began, To: at, Word: word})
}

// store appends to the record.
func (s *Session) store(e Entry) error {
	return s.disk(s.Folder.append(e))
}

// disk says of an error what it is about.
func (s *Session) disk(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("storing the dataset: %w", err)
}

// takeIn takes in what was recorded up to the instant.
func (s *Session) takeIn(ctx context.Context, until bench.Instant) error {
	if until <= s.through {
		return nil
	}
	if err := s.room(); err != nil {
		return err
	}
	span := bench.Span{Start: s.through, End: until}
	if err := s.takeTraffic(span); err != nil {
		return err
	}
	if err := s.takeLight(ctx, span); err != nil {
		return err
	}
	s.through = until
	if until.Sub(s.alive) >= minute {
		pair := s.Pair()
		s.alive = until
		if err := s.disk(s.Folder.append(Entry{Event: EventAlive, From: pair.At, Wall: wall(pair)})); err != nil {
			return err
		}
	}
	if err := s.rotate(until); err != nil {
		return err
	}
	if until.Sub(s.judged) >= review {
		return s.review(until)
	}
	return nil
}

// room returns an error that wraps ErrFull where the disk has too little.
func (s *Session) room() error {
	left, err := s.Room()
	if err == nil && left < leastRoom {
		err = fmt.Errorf("%w: %d MB are left of the %d that are kept for the labels; make room and record again, it then goes on", ErrFull, left>>20, leastRoom>>20)
	}
	return err
}

// takeTraffic puts the frames into files, of which none reaches across a gap,
// and has the scanner look at the packets.
func (s *Session) takeTraffic(span bench.Span) error {
	pair := s.Pair()
	known := span.Start
	for _, stretch := range s.Traffic.Drain(span.End) {
		if err := s.gap(bench.Span{Start: known, End: stretch.Watched.Start}); err != nil {
			return err
		}
		if err := s.sees(traffic.Name, stretch.Watched.Start); err != nil {
			return err
		}
		known = stretch.Watched.End
		s.dropped += stretch.Dropped
		for _, p := range stretch.Packets {
			s.scanner.Packet(p)
		}
		if err := s.write(known, pair); err != nil {
			return err
		}
	}
	if err := s.gap(bench.Span{Start: known, End: span.End}); err != nil {
		return err
	}
	return s.disk(s.Folder.flush())
}

// write writes the frames from before the instant.
func (s *Session) write(until bench.Instant, pair bench.Pair) error {
	for _, t := range s.Tap.take(until) {
		if err := s.disk(s.Folder.add(t, pair)); err != nil {
			return err
		}
	}
	return nil
}

// gap notes that the capture was not at work in the span, if it is one.
func (s *Session) gap(span bench.Span) error {
	if span.Duration() <= 0 {
		return nil
	}
	if err := s.cut(); err != nil {
		return err
	}
	s.Tap.take(span.End)
	s.scanner.Gap(span)
	if _, was := s.blind[traffic.Name]; was {
		return nil
	}
	return s.sawNothing(traffic.Name, span.Start, "the capture is not at work; see that its interface is up")
}

func (s *Session) cut() error {
	dropped := s.dropped
	s.dropped = 0
	return s.disk(s.Folder.cut(dropped))
}

// sawNothing notes that an oracle does not watch, from the instant on.
func (s *Session) sawNothing(oracle string, from bench.Instant, why string) error {
	e := Entry{Event: EventBlind, From: from, Oracle: oracle, Fault: why}
	s.blind[oracle] = e
	if oracle == traffic.Name {
		s.Note("nothing is captured: %s", why)
	}
	return s.store(e)
}

// sees notes that an oracle watches, from the instant on.
func (s *Session) sees(oracle string, at bench.Instant) error {
	e, was := s.blind[oracle]
	if !was {
		return nil
	}
	delete(s.blind, oracle)
	e.To = max(at, e.From+1)
	if oracle == traffic.Name {
		s.Note("the capture is at work again, after %v", e.To.Sub(e.From).Round(time.Second))
	}
	return s.store(e)
}

// takeLight follows the light.
func (s *Session) takeLight(ctx context.Context, span bench.Span) error {
	if s.Light == nil {
		return nil
	}
	o, err := s.Light.Observe(context.WithoutCancel(ctx), span)
	if err != nil {
		return fmt.Errorf("oracle %s: %w", s.Light.Name(), err)
	}
	var over []bench.Span
	failed := o.Detail
	if o.Fault == bench.NoFault {
		if over, err = s.ring.see(span, o.Edges); err != nil {
			failed = err.Error()
		}
	} else {
		over = s.ring.end()
	}
	for _, lit := range over {
		if err := s.spell(lit); err != nil {
			return err
		}
	}
	if failed != "" {
		if _, was := s.blind[light.Name]; was {
			return nil
		}
		return s.sawNothing(light.Name, span.Start, failed)
	}
	if err := s.sees(light.Name, span.Start); err != nil {
		return err
	}
	if lit, is := s.ring.lit(); is {
		s.stirred = max(s.stirred, span.End)
		if !s.lit {
			s.lit = true
			return s.store(Entry{Event: EventLight, From: lit.Start})
		}
	}
	return nil
}

// spell stores a spell that is over.
func (s *Session) spell(lit bench.Span) error {
	s.stirred = max(s.stirred, lit.End)
	s.lit = false
	return s.store(Entry{Event: EventLight, From: lit.Start, To: max(lit.End, lit.Start+1)})
}

// rotate cuts a file that is long enough, at a calm moment.
func (s *Session) rotate(now bench.Instant) error {
	if s.Folder.file == nil || s.pair != 0 {
		return nil
	}
	age := now.Sub(s.Folder.open.From)
	if age < fileLength || age < 2*fileLength && now.Sub(s.stirred) < calm {
		return nil
	}
	return s.cut()
}

// review stores the uploads that are over, and judges the record anew where it
// may mean something else by now.
func (s *Session) review(now bench.Instant) error {
	s.judged = now
	if err := s.storeUploads(now, final); err != nil {
		return err
	}
	if n := len(s.Folder.entries); n != s.entries {
		s.entries, s.settled = n, now.Add(settled+2*review)
	} else if now > s.settled {
		return nil
	}
	return s.tell(s.Folder.report(now))
}

// storeUploads stores what the detector found that ended so long ago.
func (s *Session) storeUploads(now bench.Instant, ago time.Duration) error {
	for _, a := range s.scanner.Findings(now).Activations {
		if a.Span.End.Add(ago) > now || a.Span.Start < s.uploads {
			continue
		}
		s.uploads = a.Span.End
		if err := s.store(Entry{Event: EventUpload, From: a.Span.Start, To: max(a.Span.End, a.Span.Start+1), Score: a.Score}); err != nil {
			return err
		}
	}
	return nil
}

// tell tells what is new, and puts it into the tables.
func (s *Session) tell(r Report) error {
	pair := s.Pair()
	clock := func(at bench.Instant) string {
		return pair.Wall.Add(at.Sub(pair.At)).Format(time.TimeOnly)
	}
	for _, o := range r.Occasions[min(s.told, len(r.Occasions)):] {
		if o.Session == s.Folder.session {
			s.Note("%s  %s", clock(o.Span.Start), o)
		}
	}
	s.told = len(r.Occasions)
	for _, d := range r.Doubts {
		if d.Session != s.Folder.session {
			continue
		}
		doubt := doubted{d.Who, d.Span.Start}
		open, told := s.doubts[doubt]
		switch {
		case !told && d.Labels:
			s.Note("the %s %s; labels from %s on are doubtful", d.Who, d.Why, clock(d.Span.Start))
		case !told:
			s.Note("the %s %s", d.Who, d.Why)
		case open && !d.Open:
			s.Note("the %s can be trusted again, from %s on", d.Who, clock(d.Span.End))
		}
		s.doubts[doubt] = d.Open
	}
	return s.disk(s.Folder.write(r))
}

// doubted is what tells doubts apart.
type doubted struct {
	who   string
	since bench.Instant
}

// String tells what was seen.
func (o Occasion) String() string {
	see := func(what string, s bench.State) string {
		switch s {
		case bench.Reacted:
			return what
		case bench.Quiet:
			return "no " + what
		default:
			return what + " unwatched"
		}
	}
	return fmt.Sprintf("%s: %s, %s", cmp.Or(o.Word, "unprompted"), see("light", o.Light), see("upload", o.Traffic))
}

// end takes in the rest, and ends the session in good order.
func (s *Session) end(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	if err := s.takeIn(ctx, s.Pair().At.Add(-late)); err != nil && !errors.Is(err, ErrFull) {
		return errors.Join(err, s.Folder.cut(s.dropped))
	}
	for _, lit := range s.ring.end() {
		if err := s.spell(lit); err != nil {
			return err
		}
	}
	err := s.storeUploads(s.through, 0)
	return errors.Join(err, s.cut(), s.store(Entry{Event: EventEnd, From: s.through}), s.tell(s.Folder.report(s.through)))
}
