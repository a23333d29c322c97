package evaluate

import (
	"time"

	"wakefuzz/analysis"
	"wakefuzz/bench"
	"wakefuzz/oracle/traffic"
)

// Invoked is how the t-test tells traffic with activations from that of an idle
// device, over the whole of a capture (Figure 4 of the paper).
type Invoked struct {
	File string
	// PerHour is how often the device was awake.
	PerHour float64
	// Compared is how much of either capture was.
	Compared time.Duration
	traffic.Comparison
}

// Probed is how the t-test tells a stretch from the idle one before it (Figures
// 6 and 7 of the paper).
type Probed struct {
	File string
	// Word is what was played, or "" where this stretch was idle as well.
	Word     string
	From, To time.Duration
	// Awake says that the device was, at some time in the stretch.
	Awake bool
	traffic.Comparison
}

// longestCompared is how much of a capture is compared with an idle one, as
// long as the paper's (section 5.1.1).
const longestCompared = 6 * time.Hour

// heard is a recording with its packets.
type heard struct {
	Recording
	length  time.Duration
	packets []bench.Packet
}

// spans are those whose packets are needed.
func (r Recording) spans(compared bool) []analysis.Span {
	if compared && len(r.Stretches) == 0 {
		return []analysis.Span{{To: longestCompared}}
	}
	var all []analysis.Span
	for _, s := range r.Stretches {
		all = append(all, s.Span)
	}
	return all
}

// invoked compares the recordings with activations with the longest one
// without.
func (t *tally) invoked() []Invoked {
	var idle heard
	for _, h := range t.heard {
		if len(h.Activations) == 0 && len(h.Stretches) == 0 && len(h.Doubts) == 0 && h.length > idle.length {
			idle = h
		}
	}
	if idle.length == 0 {
		return nil
	}
	var all []Invoked
	for _, h := range t.heard {
		if len(h.Activations) == 0 || len(h.Stretches) > 0 || len(h.Doubts) > 0 {
			continue
		}
		d := min(idle.length, h.length, longestCompared)
		activations := 0
		for _, a := range h.Activations {
			if a.From < d {
				activations++
			}
		}
		all = append(all, Invoked{
			File:       h.File,
			PerHour:    float64(activations) / d.Hours(),
			Compared:   d,
			Comparison: compare(idle.packets, h.packets, analysis.Span{To: d}, analysis.Span{To: d}),
		})
	}
	return all
}

// probed compares each stretch with the idle one before it.
func (r Recording) probed(packets []bench.Packet) []Probed {
	var all []Probed
	var idle *Stretch
	var awake []analysis.Span
	for _, a := range r.Activations {
		awake = append(awake, a.Span)
	}
	for i, s := range r.Stretches {
		if idle != nil {
			all = append(all, Probed{
				File: r.File, Word: s.Word, From: s.From, To: s.To, Awake: overlapsAny(awake, s.Span),
				Comparison: compare(packets, packets, idle.Span, s.Span),
			})
		}
		if s.Word == "" {
			idle = &r.Stretches[i]
		}
	}
	return all
}

// compare is the paper's t-test of two stretches, as far as both reach.
func compare(idle, other []bench.Packet, idleSpan, span analysis.Span) traffic.Comparison {
	rule := traffic.PaperTTestRule()
	rule.Duration = min(idleSpan.To-idleSpan.From, span.To-span.From)
	stretch := func(packets []bench.Packet, from, to bench.Instant) ([]bench.Packet, bench.Span) {
		var moved []bench.Packet
		for _, p := range traffic.Between(packets, bench.Span{Start: from, End: from.Add(rule.Duration)}) {
			p.At += to - from
			if p.Direction == bench.DirectionUnknown {
				p.Direction = bench.Outgoing // as for scanners: all that is not known to come in
			}
			moved = append(moved, p)
		}
		return moved, bench.Span{Start: to, End: to.Add(rule.Duration)}
	}
	a, as := stretch(idle, bench.Instant(idleSpan.From), 0)
	b, bs := stretch(other, bench.Instant(span.From), bench.Instant(rule.Duration))
	return rule.Judge(a, b, as, bs).Sizes
}
