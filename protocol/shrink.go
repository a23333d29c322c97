package protocol

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// ErrQuiet is what [Shrink] returns where the whole does not wake the device.
var ErrQuiet = errors.New("the device does not react to the whole of it")

// Shrink finds what it is in a word that wakes a device, by delta debugging (A.
// Zeller and R. Hildebrandt, "Simplifying and isolating failure-inducing
// input", IEEE TSE 28, 2002). Wakes plays phones, and says whether they do; it
// is asked once for the same phones, and its first error ends the search.
//
// The stretch is phones in a row. It is cut at its ends alone, since phones
// that are taken from the middle bring others together that never were. It
// still wakes the device, and does not without its first or without its last
// phone. That is not always the shortest stretch which does: a device may react
// to a part of something that it does not react to.
//
// The core is what is left of the stretch when phones are taken from anywhere:
// it wakes the device, and does not without any one of its phones. It tells
// which phones the stretch needs, and is no stretch of the word.
//
// A device that reacts now and then needs a wakes that plays often enough: one
// that says no by chance makes both longer, one that says yes by chance makes
// them wrong. The error is ErrQuiet where the whole does not wake the device.
func Shrink(ctx context.Context, phones []string, wakes func(context.Context, []string) (bool, error)) (stretch, core []string, err error) {
	s := shrinking{ctx: ctx, wakes: wakes, known: make(map[string]bool)}
	if len(phones) == 0 || !s.ask(phones) {
		if s.err == nil {
			s.err = ErrQuiet
		}
		return nil, nil, s.err
	}
	stretch = s.cut(phones, func(length, size int) []int { return []int{0, length - size} })
	core = s.cut(stretch, func(length, size int) []int {
		var places []int
		for at := 0; at < length; at += size {
			places = append(places, min(at, length-size))
		}
		return places
	})
	if s.err != nil {
		return nil, nil, s.err
	}
	return stretch, core, nil
}

type shrinking struct {
	ctx   context.Context
	wakes func(context.Context, []string) (bool, error)
	known map[string]bool
	err   error
}

// ask is false from the first error on, so that nothing more is cut.
func (s *shrinking) ask(phones []string) bool {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.err != nil {
		return false
	}
	k := strings.Join(phones, " ")
	yes, asked := s.known[k]
	if !asked {
		yes, s.err = s.wakes(s.ctx, phones)
		s.known[k] = yes
	}
	return yes && s.err == nil
}

// cut takes pieces away, large ones first, for as long as what is left wakes
// the device. Places is where pieces of a size may be taken from.
func (s *shrinking) cut(phones []string, places func(length, size int) []int) []string {
	for size := len(phones) / 2; size > 0; {
		if smaller := s.without(phones, size, places(len(phones), size)); smaller != nil {
			phones = smaller
			size = min(size, len(phones)/2)
		} else {
			size /= 2
		}
	}
	return phones
}

// without is the phones less one piece, or nil where the device needs them all.
func (s *shrinking) without(phones []string, size int, places []int) []string {
	for _, at := range places {
		if rest := slices.Concat(phones[:at], phones[at+size:]); s.ask(rest) {
			return rest
		}
	}
	return nil
}
