package results

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/traffic"
)

// Takes tells of each trial how it was played last: the last attempts at its
// plays, in one go or not. A trial that is judged as a whole must have been.
type Takes struct {
	plan  *plan
	parts []part // by slot
	n     int    // attempts so far
	// ends are where the last sound on each bench ended.
	ends map[stream]bench.Instant
	// longest is how long the longest sound lasted.
	longest time.Duration
}

// part is what a take has of a play: the last attempt at it.
type part struct {
	place  int // among all attempts, from 1; 0 where there is none
	stream stream
	sound  bench.Span
	// before is where the sound before it ended, on the same bench.
	before bench.Instant
	state  bench.State
	fault  bench.Fault
	voided bool
	// counting are the numbers of the attempts that were measured and are not
	// void.
	counting []int
}

func newTakes(p *plan) *Takes {
	return &Takes{plan: p, parts: make([]part, p.plays()), ends: map[stream]bench.Instant{}}
}

// add takes the next attempt in.
func (t *Takes) add(slot int, a Attempt, voided bool) {
	t.n++
	p := &t.parts[slot]
	s := stream{a.Session, uint32(a.Bench)}
	counting := p.counting
	if counts(a.State, voided) {
		counting = append(counting, a.Number)
	}
	*p = part{place: t.n, stream: s, sound: a.Sound, before: t.ends[s], state: a.State, fault: a.Fault, voided: voided, counting: counting}
	t.ends[s] = max(t.ends[s], a.Sound.End)
	t.longest = max(t.longest, a.Sound.Duration())
}

// Takes reads how the trials were played last.
func (r *Reader) Takes() (*Takes, error) {
	voided, err := r.voided()
	if err != nil {
		return nil, err
	}
	t := newTakes(r.plan)
	for a, err := range journal(r, attemptsBucket, func(body []byte) (storedAttempt, error) { return decodeAttempt(body, r.plan) }) {
		if err != nil {
			return nil, err
		}
		slot := r.plan.first[r.plan.places[a.Play.Trial]] + a.Play.Index
		t.add(slot, a.Attempt, voided[attemptKey{slot, a.Number}])
	}
	return t, nil
}

// Counting are the attempts at the trial's plays that were measured and are not
// void.
func (t *Takes) Counting(id TrialID) []Void {
	var list []Void
	for index, p := range t.of(id) {
		for _, number := range p.counting {
			list = append(list, Void{Play: PlayID{Trial: id, Index: index}, Number: number})
		}
	}
	return list
}

// Cut says why the trial was not played whole, or "" if it was: all of it in
// one go, and every play measured. A play that found the device busy with its
// reaction to one before is no reason to play the trial again. That would
// happen to trials with reactions only, and chance would leave them with fewer.
func (t *Takes) Cut(id TrialID) string {
	parts := t.of(id)
	reacted := false
	for i, p := range parts {
		reacted = reacted || p.state == bench.Reacted
		if p.place > 0 && p.fault != bench.NoFault && !(reacted && p.busy()) {
			return fmt.Sprintf("play %d of %d was not measured: %s", i+1, len(parts), p.fault)
		}
	}
	return torn(parts)
}

// Busy is how many plays of a trial that was played whole found the device busy
// with its reaction to one before.
func (t *Takes) Busy(id TrialID) int {
	n := 0
	for _, p := range t.of(id) {
		if p.busy() && len(p.counting) == 0 {
			n++
		}
	}
	if n > 0 && t.Cut(id) != "" {
		return 0
	}
	return n
}

// busy reports whether the clip sounded at a device that was not at rest.
func (p part) busy() bool { return p.fault == bench.FaultDevice && p.sound.Duration() > 0 }

func (t *Takes) of(id TrialID) []part {
	place, known := t.plan.places[id]
	if !known {
		return nil
	}
	return t.parts[t.plan.first[place]:t.plan.first[place+1]]
}

// torn says why the plays did not all sound in one go, or "".
func torn(parts []part) string {
	played := 0
	for _, p := range parts {
		if p.place > 0 {
			played++
		}
	}
	switch {
	case played == 0:
		return "it was not played"
	case played < len(parts):
		return fmt.Sprintf("it was cut off after %d of %d plays", played, len(parts))
	}
	for i, p := range parts {
		switch {
		case p.voided:
			return fmt.Sprintf("play %d of %d is void", i+1, len(parts))
		case p.sound.Duration() <= 0:
			return fmt.Sprintf("play %d of %d did not sound", i+1, len(parts))
		case p.place != parts[0].place+i || p.stream != parts[0].stream:
			return "its plays were not played in one go"
		}
	}
	return ""
}

// stretches are those of a trial that was played at a fixed pace, each of the
// length given, or why they can't be had.
func stretches(parts []part, length time.Duration) (_ oracle.Trial, inapplicable string) {
	if why := torn(parts); why != "" {
		return oracle.Trial{}, why
	}
	start := parts[0].sound.Start
	t := oracle.Trial{
		Idle:  bench.Span{Start: start.Add(-length), End: start},
		Probe: bench.Span{Start: start, End: start.Add(length)},
	}
	if parts[0].before > t.Idle.Start {
		return t, "another play sounded in the idle stretch before it"
	}
	slot := length / time.Duration(len(parts))
	for i, p := range parts {
		// Nearer to its own moment than to another's.
		if late := p.sound.Start.Sub(start.Add(time.Duration(i) * slot)); late.Abs() > slot/2 {
			return t, fmt.Sprintf("the plays did not keep the pace: play %d of %d began %v late", i+1, len(parts), late.Round(time.Millisecond))
		}
		if p.sound.End > t.Probe.End {
			return t, fmt.Sprintf("play %d of %d ended after the stretch for the plays", i+1, len(parts))
		}
		t.Sounds = append(t.Sounds, p.sound)
	}
	return t, ""
}

// judgeTrials judges each trial as a whole, and puts what the rules say into
// its row, by the trial's place in the plan. What passed in the idle stretches is
// added to the null, unless it is nil. It holds one trial's traffic at a time.
func (r *Reader) judgeTrials(j Judging, takes *Takes, rows []Row, idle *traffic.Null) error {
	type stretch struct {
		oracle.Trial
		stream
		row *Row
	}
	var all []stretch
	for place := range rows {
		row := &rows[place]
		if j.Stretch == 0 {
			row.inapplicable(j, settled)
			continue
		}
		parts := takes.of(r.plan.trials[place].ID)
		trial, why := stretches(parts, j.Stretch)
		if why != "" {
			row.inapplicable(j, why)
			continue
		}
		all = append(all, stretch{trial, parts[0].stream, row})
	}
	// In the order in which they are stored.
	slices.SortFunc(all, func(a, b stretch) int {
		return cmp.Or(cmp.Compare(a.session, b.session), cmp.Compare(a.bench, b.bench), cmp.Compare(a.Idle.Start, b.Idle.Start))
	})
	for _, s := range all {
		why, err := r.listen(s.stream, &s.Trial)
		if err != nil {
			return err
		}
		if why != "" {
			s.row.inapplicable(j, why)
			continue
		}
		if idle != nil {
			idle.Learn(s.Packets, s.Idle)
		}
		for _, rule := range j.Trials {
			s.row.Trials = append(s.row.Trials, rule.Judge(s.Trial))
		}
	}
	return nil
}

// settled is why a trial without stretches can't be judged.
const settled = "the plays were not at a fixed pace, with an idle stretch before them"

func (row *Row) inapplicable(j Judging, why string) {
	for range j.Trials {
		row.Trials = append(row.Trials, oracle.TrialReading{Inapplicable: why})
	}
}

// listen fills in the trial's packets, or says why they are not all there.
func (r *Reader) listen(s stream, t *oracle.Trial) (inapplicable string, err error) {
	whole := bench.Span{Start: t.Idle.Start, End: t.Probe.End}
	heard := whole.Start // so far without a gap
	for piece, err := range r.Traffic(s.session, int(s.bench), whole) {
		switch {
		case err != nil:
			return "", err
		case piece.Dropped > 0:
			return fmt.Sprintf("the capture lost up to %d packets", piece.Dropped), nil
		case piece.Watched.Start > heard:
			return gap, nil
		}
		heard = piece.Watched.End
		t.Packets = append(t.Packets, within(piece.Packets, whole)...)
	}
	if heard < whole.End {
		return gap, nil
	}
	return "", nil
}

const gap = "the capture was not at work throughout"
