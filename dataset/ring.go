package dataset

import (
	"errors"

	"wakefuzz/bench"
	"wakefuzz/oracle/light"
)

// ring follows a light bit by bit, and tells its spells as the rule would tell
// them of the whole.
type ring struct {
	rule light.Rule
	// held is what was seen since the light was last at rest.
	held bench.Observation
}

// tooMany is how many changes may pass before the light is at rest.
const tooMany = 1 << 16

var errRestless = errors.New("its sensor changes all the time; turn the trimmer of the comparator, or shade the sensor")

// see takes in what was observed from where the last observation ended, and
// returns the spells that are over.
func (r *ring) see(watched bench.Span, edges []bench.Edge) ([]bench.Span, error) {
	h := &r.held
	if len(h.Edges) == 0 {
		h.Watched = watched
		h.Edges = []bench.Edge{{At: watched.Start}}
		for _, e := range edges {
			if e.At <= watched.Start {
				h.Edges[0].Lit = e.Lit
			}
		}
	}
	for _, e := range edges {
		if last := h.Edges[len(h.Edges)-1]; e.At >= watched.Start && e.At > last.At && e.Lit != last.Lit {
			h.Edges = append(h.Edges, e)
		}
	}
	h.Watched.End = watched.End
	last := h.Edges[len(h.Edges)-1]
	switch {
	case len(h.Edges) > tooMany:
		return r.end(), errRestless
	case last.Lit || watched.End.Sub(last.At) < max(r.rule.HoldOver, r.rule.Debounce):
		return nil, nil
	}
	over := r.rule.Spells(*h)
	h.Watched.Start = watched.End
	h.Edges = append(h.Edges[:0], bench.Edge{At: watched.End})
	return over, nil
}

// lit is the spell that goes on, if one does that is no flash.
func (r *ring) lit() (bench.Span, bool) {
	spells := r.rule.Spells(r.held)
	if len(spells) == 0 {
		return bench.Span{}, false
	}
	last := spells[len(spells)-1]
	return last, last.Duration() >= r.rule.MinLit
}

// end forgets what was seen, and returns the spells in it. It is not known when
// the last of them would have ended.
func (r *ring) end() []bench.Span {
	spells := r.rule.Spells(r.held)
	r.held = bench.Observation{}
	return spells
}
