package gpiocdev

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/warthog618/go-gpiocdev"
	"golang.org/x/sys/unix"

	"wakefuzz/bench"
)

// What a line can do to us that no board does on demand: edges lost, late,
// without a number or without an interrupt.
func TestKnowledge(t *testing.T) {
	type step struct {
		at     int // fiftieths of inFlight
		high   bool
		number uint32 // of an edge; 0 for a reading
		news   int    // what is reported: up to when the level is known, or none
		err    string
	}
	const none = -1
	tests := []struct {
		name  string
		steps []step
	}{
		{"nothing happens", []step{
			{at: 120, news: none}, // not beyond what the first reading said
			{at: 151, news: 101},
			{at: 171, news: 121},
			{at: 171, news: none},
		}},
		{"an edge, and no sooner is it said that there was none", []step{
			{at: 151, news: 101},
			{at: 160, high: true, number: 1, news: 160},
			{at: 171, high: true, news: none},
			{at: 211, high: true, news: 161},
			{at: 211, number: 2, news: 211},
		}},
		{"an edge before the first reading", []step{
			{at: 100, high: true, number: 1, news: none},
			{at: 151, news: 101},
		}},
		{"a reading that is ahead of its edge", []step{
			{at: 151, high: true, news: none},
			{at: 171, high: true, news: none},
			{at: 150, high: true, number: 1, news: 150},
			{at: 191, high: true, news: none},
			{at: 231, high: true, news: 181},
		}},
		{"readings ahead of their edges, again and again", []step{
			{at: 150, high: true, news: none},
			{at: 150, high: true, number: 1, news: 150},
			{at: 200, high: false, news: none},
			{at: 200, high: false, number: 2, news: 200},
			{at: 250, high: true, news: none},
			{at: 250, high: true, number: 3, news: 250},
		}},
		{"two edges that read as one level", []step{
			{at: 150, high: true, number: 1, news: 150},
			{at: 151, high: true, number: 2, news: 151},
		}},
		{"an edge that is lost", []step{
			{at: 150, high: true, number: 1, news: 150},
			{at: 151, high: true, number: 3, err: "edge 3 came after edge 1"},
		}},
		{"an edge that is late", []step{
			{at: 200, news: 150},
			{at: 149, high: true, number: 1, err: "an edge took longer than"},
		}},
		{"an edge without an interrupt", []step{
			{at: 151, high: true, news: none},
			{at: 201, high: true, news: none},
			{at: 202, high: true, err: "without an edge"},
		}},
	}
	at := func(n int) bench.Instant { return bench.Instant(n) * bench.Instant(inFlight/50) }
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := knowledge{began: at(100), through: at(100)}
			for i, s := range tt.steps {
				var news bool
				var err error
				if s.number > 0 {
					news, err = k.edge(at(s.at), s.high, s.number)
				} else {
					news, err = k.reading(at(s.at), s.high)
				}
				switch {
				case s.err != "":
					if err == nil || !strings.Contains(err.Error(), s.err) {
						t.Fatalf("step %d: error %v, want one that speaks of %q", i+1, err, s.err)
					}
				case err != nil:
					t.Fatalf("step %d: %v", i+1, err)
				case news != (s.news != none):
					t.Fatalf("step %d: news: %t, of %+v", i+1, news, k.level())
				case news && k.level().At != at(s.news):
					t.Fatalf("step %d: reported %+v, want it at %v", i+1, k.level(), at(s.news))
				}
			}
		})
	}
}

func TestExplain(t *testing.T) {
	for want, err := range map[string]error{
		"gpiodetect":    fs.ErrNotExist,
		"usermod":       &fs.PathError{Op: "open", Path: "/dev/gpiochip0", Err: unix.EACCES},
		"somebody is":   unix.EBUSY,
		"lists the lin": gpiocdev.ErrInvalidOffset,
		"bad request":   errors.New("bad request"),
	} {
		if got := DefaultOptions().explain(err); !errors.Is(got, err) || !strings.Contains(got.Error(), want) {
			t.Errorf("%v is explained by %q, want %q in it", err, got, want)
		}
	}
}
