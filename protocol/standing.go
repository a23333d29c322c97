package protocol

import "fmt"

// key tells candidates apart.
type key struct{ text, voice string }

func (c Candidate) key() key { return key{c.Word.Text, c.Voice} }

// standing is what the batches that are done say of a candidate.
type standing struct {
	inSegments int // how often it was played in a segment
	alone      int // how often it was asked to be played alone, to screen it
	screened   Result
	// suspect: it may have been what the device reacted to in a segment. It has
	// been tried alone so often since then, and so often without a reaction.
	suspect      bool
	tried, quiet int
	// confirmed: it goes to the last stage.
	confirmed bool
	asked     int // plays of the last stage
	last      Result
	// among is what it drew among other words, in segments, when it was confirmed.
	among Result
}

// looks is how often a candidate was played to screen it, measured or not.
func (s standing) looks() int { return s.inSegments + s.alone }

func (s *standing) add(item Item, r Result, alone int) {
	switch {
	case item.Stage == StageLast:
		s.asked += item.Plays
		s.last.Reacted += r.Reacted
		s.last.Quiet += r.Quiet
	case item.Segment > 0 && s.confirmed:
		s.among.Reacted += r.Reacted
		s.among.Quiet += r.Quiet
	case item.Segment > 0:
		s.inSegments++
		s.suspect, s.tried, s.quiet = r.Reacted > 0, 0, 0
		s.screened.Quiet += r.Quiet
	default:
		s.alone += item.Plays
		s.tried += item.Plays
		s.quiet += r.Quiet
		s.screened.Reacted += r.Reacted
		s.screened.Quiet += r.Quiet
		if s.suspect && s.tried >= alone && s.quiet == 0 {
			s.confirmed = true // what could not be measured is not a no
		}
		s.confirmed = s.confirmed || r.Reacted > 0
		s.suspect = s.suspect && !s.confirmed && s.tried < alone
	}
}

// roster is the candidates of a protocol, and where each of them is.
type roster struct {
	candidates []Candidate
	place      map[key]int
}

func newRoster(candidates []Candidate) roster {
	r := roster{candidates, make(map[key]int, len(candidates))}
	for i, c := range candidates {
		if _, twice := r.place[c.key()]; twice {
			panic(fmt.Sprintf("protocol: %q in voice %q is a candidate twice", c.Word.Text, c.Voice))
		}
		r.place[c.key()] = i
	}
	return r
}

// standings are those of all candidates, where suspects are tried alone so often
// at most. A batch of other candidates is the caller's error.
func (r roster) standings(done []Done, alone int) []standing {
	all := make([]standing, len(r.candidates))
	for _, d := range done {
		d.check()
		for i, item := range d.Batch {
			place, known := r.place[item.key()]
			if !known {
				panic(fmt.Sprintf("protocol: %q in voice %q is no candidate", item.Word.Text, item.Voice))
			}
			all[place].add(item, d.Results[i], alone)
		}
	}
	return all
}

// finish is what is left to play of the last stage.
func (r roster) finish(last Last, all []standing) Batch {
	var batch Batch
	for i, s := range all {
		if !s.confirmed {
			continue
		}
		if plays := last.next(s.asked, s.last); plays > 0 {
			batch = append(batch, Item{Candidate: r.candidates[i], Stage: StageLast, Plays: plays})
		}
	}
	return batch
}

// confirm is the suspects, each to be played alone. A play at a time, and each in
// a batch of its own: what reacts to the first needs no second.
func (r roster) confirm(all []standing) Batch {
	var batch Batch
	for i, s := range all {
		if s.suspect {
			batch = append(batch, Item{Candidate: r.candidates[i], Stage: StageScreen, Plays: 1})
		}
	}
	return batch
}
