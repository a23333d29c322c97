package protocol

import (
	"fmt"
	"math"
	"time"
)

// Timing is how long a bench takes.
type Timing struct {
	// Gap is the silence between two clips of a segment.
	Gap time.Duration
	// Latency is how long after a clip's end a reaction to it is seen.
	Latency time.Duration
	// Window is how long after a clip's end a reaction counts as one to it: two
	// seconds in the paper, and less where the device's latency was measured.
	Window time.Duration
	// Rest is what passes between the window of a play, or of a segment, and
	// the next one: nothing, where the device rests while it is watched.
	Rest time.Duration
	// Settle is what passes between a reaction that was seen and the next play.
	Settle time.Duration
}

// DefaultTiming is that of a smart speaker that was calibrated: its ring lights
// within a second of the word's end, so that it is watched for no longer, and it
// answers a word that it takes for the wake word for about eight.
func DefaultTiming() Timing {
	return Timing{
		Gap:     30 * time.Millisecond,
		Latency: 300 * time.Millisecond,
		Window:  time.Second,
		Settle:  8 * time.Second,
	}
}

// Facts are what a cost is estimated from, before anything was played.
type Facts struct {
	Timing
	// Clip is the mean length of a clip without the silence around it.
	Clip time.Duration
	// Hits is the share of words that the device reacts to at all, and Rate to
	// what share of their plays. Of the 47,256 words of five and six phonemes
	// 0.9 % wake openWakeWord's "alexa" in flite's kal16, with a mean rate of 0.44.
	Hits, Rate float64
}

// Cost is what a protocol asks of a bench.
type Cost struct {
	// Plays is the number that is to be expected.
	Plays int
	// MostPlays is the number that is not exceeded, whatever the device does.
	MostPlays int
	// Bench is how long the expected plays take.
	Bench time.Duration
	// Characters is how many characters of text are spoken at most: each word
	// once in each voice, since clips are kept. Services bill by them.
	Characters int
}

// String is such as "47250 plays (at most 614250), 11.4 hours, 283500
// characters".
func (c Cost) String() string {
	return fmt.Sprintf("%d plays (at most %d), %.1f hours, %d characters", c.Plays, c.MostPlays, c.Bench.Hours(), c.Characters)
}

// bill adds up expectations.
type bill struct {
	Facts
	plays, seconds float64
}

// alone adds so many plays by themselves, so many of which draw a reaction.
func (b *bill) alone(plays, reactions float64) {
	b.plays += plays
	b.seconds += plays*b.Clip.Seconds() + (plays-reactions)*(b.Window+b.Rest).Seconds() + reactions*(b.Latency+b.Settle).Seconds()
}

// segments adds so many words in segments, so many of which draw a reaction,
// and returns how many words become suspects.
func (b *bill) segments(words, perSegment, reactions float64) (suspects float64) {
	pitch := (b.Clip + b.Gap).Seconds()
	before := math.Floor(max(0, (b.Window-b.Latency).Seconds()) / pitch)
	after := math.Ceil(max(0, (b.Latency-b.Gap).Seconds()) / pitch)
	b.plays += words
	b.seconds += words*pitch + words/perSegment*(b.Window+b.Rest).Seconds() +
		reactions*(b.Latency+b.Settle-time.Duration(after)*(b.Clip+b.Gap)).Seconds()
	return reactions * (1 + before + after)
}

func (b *bill) cost(most int, candidates []Candidate) Cost {
	characters := 0
	for _, c := range candidates {
		characters += len([]rune(c.Word.Text))
	}
	return Cost{
		Plays:      int(math.Round(b.plays)),
		MostPlays:  most,
		Bench:      time.Duration(b.seconds * float64(time.Second)),
		Characters: characters,
	}
}

// once is how likely a word that reacts at all does so in one of the plays.
func (f Facts) once(plays int) float64 { return 1 - math.Pow(1-f.Rate, float64(plays)) }

func (e exhaustive) Cost(f Facts) Cost {
	b := bill{Facts: f}
	plays := float64(len(e.candidates) * e.plays)
	b.alone(plays, plays*f.Hits*f.Rate)
	return b.cost(len(e.candidates)*e.plays, e.candidates)
}

func (r rounds) Cost(f Facts) Cost {
	b := bill{Facts: f}
	words := float64(len(r.candidates))
	hits := words * f.Hits
	most := r.last.Plays
	for _, plays := range r.Screens {
		n := float64(plays)
		b.alone(words*n, hits*n*f.Rate)
		hits *= f.once(plays)
		words = hits
		most += plays
	}
	b.finish(hits, r.last)
	return b.cost(most*len(r.candidates), r.candidates)
}

func (s sweep) Cost(f Facts) Cost {
	// Segments are taken to hide nothing.
	b := bill{Facts: f}
	words, most := float64(len(s.candidates)), 0
	if asked := len(s.asked); asked > 0 {
		b.alone(float64(asked), 0)
		if f.Hits > 0 && f.Rate > 0 {
			suspects := b.segments(enough/f.Rate, float64(s.Segment), enough)
			b.alone((suspects-enough)*float64(s.Alone), 0)
		}
		// One word at a time in the place of segments, and known hits in batches of
		// half as many words as stand between two of them, or more.
		most = asked + len(s.candidates)*s.Passes + len(s.candidates)*s.Passes/(apart/2+1)
	}
	found, left := 0.0, words*f.Hits
	for range s.Passes {
		found += b.screen(words-found, left, s.Segment, s.Alone)
		left = words*f.Hits - found
	}
	b.finish(found, s.last)
	return b.cost(most+len(s.candidates)*(s.Passes*(1+s.Alone)+s.last.Plays), s.candidates)
}

// screen adds words played in segments, with suspects played alone, and returns
// how many of the hits among the words are confirmed.
func (b *bill) screen(words, hits float64, perSegment, alone int) float64 {
	reactions := hits * b.Rate
	suspects := b.segments(words, float64(perSegment), reactions)
	confirmed := reactions * b.once(alone)
	plays := (suspects - reactions) * float64(alone)
	if b.Rate > 0 {
		plays += confirmed / b.Rate // until the first reaction
	}
	b.alone(plays, confirmed)
	return confirmed
}

// finish adds the last stage.
func (b *bill) finish(words float64, last Last) {
	n := words * float64(last.Plays)
	b.alone(n, n*b.Rate)
}
