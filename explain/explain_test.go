package explain_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/explain"
	"wakefuzz/internal/fakebench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine"
	"wakefuzz/phoneme"
	"wakefuzz/playback"
	"wakefuzz/tts"
)

// session explains "lexus" on a bench that reacts to a share of the plays of what
// is spoken.
func session(rate func(tts.Utterance) float64) explain.Session {
	b := new(fakebench.Bench)
	return explain.Session{
		Word:           "lexus",
		Pronunciations: []phoneme.Pronunciation{"L EH1 K S AH0 S"},
		WakeWord:       "alexa",
		Voice:          tts.Voice{Engine: "flite", Name: "kal16"},
		Plays:          5,
		Share:          0.5,
		Seed:           1,
		Rules:          oracle.Rules{Judges: map[string]oracle.Judge{engine.Name: engine.DefaultRule().Judge}, Fusion: engine.Name, Text: "the rule"},
		Bench:          &campaign.Bench{Player: b, Oracles: []oracle.Oracle{b}},
		Speak: func(ctx context.Context, u tts.Utterance) (tts.Clip, error) {
			if u.Pronunciation == "S" {
				return tts.Clip{}, fmt.Errorf("%w: no vowel", tts.ErrUnspeakable)
			}
			return fakebench.Clip(rate(u)), ctx.Err()
		},
		Note: func(string, ...any) {},
	}
}

// wakes is a device that hears alexa, lexus, and K and S in this order.
func wakes(u tts.Utterance) float64 {
	k, s := strings.Index(string(u.Pronunciation), "K"), strings.LastIndex(string(u.Pronunciation), "S")
	if u.Text == "alexa" || u.Text == "lexus" || k >= 0 && s > k {
		return 0.95
	}
	return 0.05
}

// onHardware has the device of a session settle before each play, unless it says
// why it is restless.
func onHardware(s *explain.Session, restless ...string) {
	s.Bench.Settle = func(ctx context.Context, _ campaign.SettleSpec) (why string, err error) {
		if len(restless) > 0 {
			why, restless = restless[0], restless[1:]
		}
		return why, ctx.Err()
	}
}

func run(t *testing.T, s explain.Session) explain.Report {
	t.Helper()
	r, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// played are what was tried, without the stretches.
func played(r explain.Report) (spelled []string) {
	for _, try := range r.Tried {
		if try.Text != "" {
			spelled = append(spelled, try.Text)
		}
	}
	return spelled
}

func TestExplains(t *testing.T) {
	r := run(t, session(wakes))
	if r.Problem != "" || r.Pronunciation != "L EH1 K S AH0 S" || r.Stretch != "K S" || r.Core != "K S" {
		t.Errorf("%+v", r)
	}
	if got := played(r); !slices.Equal(got, []string{"lexus"}) || r.Tried[0].Text != "lexus" {
		t.Errorf("it played %q", got)
	}
	for _, try := range r.Tried {
		if want := 5; try.Plays != want && (try.Phones != "S" || try.Plays != 0) {
			t.Errorf("%d plays of %s", try.Plays, try)
		}
		if try.Wakes != (try.Reacted >= 3) {
			t.Errorf("%s: %+v", try, try)
		}
	}
	if r.WakeWord != "alexa" || r.Voice != "flite/kal16" || r.Plays != 5 || r.Share != 0.5 || r.Rule != "the rule" {
		t.Errorf("%+v", r)
	}

	// It is the same again, and other plays with another seed.
	if again := run(t, session(wakes)); fmt.Sprint(again) != fmt.Sprint(r) {
		t.Errorf("%+v, and then %+v", r, again)
	}
	half := func(tts.Utterance) float64 { return 0.5 }
	one, other := session(half), session(half)
	one.Plays, other.Plays, other.Seed = 1000, 1000, 2
	if a, b := run(t, one), run(t, other); fmt.Sprint(a.Tried) == fmt.Sprint(b.Tried) {
		t.Errorf("with another seed it still tried %v", a.Tried)
	}
}

// A device that is not a program is known to hear before and after.
func TestControls(t *testing.T) {
	s := session(wakes)
	onHardware(&s)
	r := run(t, s)
	if got := played(r); !slices.Equal(got, []string{"alexa", "lexus", "alexa"}) || r.Stretch != "K S" || r.Problem != "" {
		t.Errorf("it played %q: %+v", got, r)
	}

	s = session(func(tts.Utterance) float64 { return 0 })
	onHardware(&s)
	if r := run(t, s); !strings.Contains(r.Problem, `the wake word, "alexa", 0 of 5, does not wake the device`) || len(r.Tried) != 1 {
		t.Errorf("%+v", r)
	}

	alexas := 0
	s = session(func(u tts.Utterance) float64 {
		if u.Text == "alexa" {
			alexas++
		}
		if alexas > 1 {
			return 0
		}
		return wakes(u)
	})
	onHardware(&s)
	if r := run(t, s); !strings.Contains(r.Problem, "at the end the wake word") || r.Stretch != "K S" {
		t.Errorf("%+v", r)
	}
}

// What can't be explained says why.
func TestProblems(t *testing.T) {
	rate := func(spelled, spoken float64) func(tts.Utterance) float64 {
		return func(u tts.Utterance) float64 {
			if u.Pronunciation == "" {
				return spelled
			}
			return spoken
		}
	}
	for name, tt := range map[string]struct {
		rate   func(tts.Utterance) float64
		change func(*explain.Session)
		want   string
	}{
		"quiet":  {rate(0, 1), nil, `"lexus", 0 of 5: it does not wake the device`},
		"seldom": {rate(0.2, 1), func(s *explain.Session) { s.Plays = 100 }, "a lower share"},
		"spoken in another way": {
			rate(1, 0), nil,
			"spoken as phones it does not wake the device, though spelled it does",
		},
		"no spelling": {
			rate(0, 0), func(s *explain.Session) { s.Unspelled = true },
			"spoken as phones it does not wake the device",
		},
		"no phones": {
			rate(1, 1), func(s *explain.Session) { s.Pronunciations = []phoneme.Pronunciation{"S"} },
			"S, which the voice flite/kal16 can't speak",
		},
		"restless": {
			wakes, func(s *explain.Session) { onHardware(s, slices.Repeat([]string{"it is lit"}, 5)...) },
			"the device does not come to rest: it is lit",
		},
		"silent": {
			wakes, func(s *explain.Session) { s.Bench.Player = broken{fault: bench.FaultPlayer} },
			"a play could not be measured: player: it hangs",
		},
		"unseen": {
			wakes, func(s *explain.Session) { s.Bench.Oracles = nil },
			"a play could not be measured: oracle",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := session(tt.rate)
			if tt.change != nil {
				tt.change(&s)
			}
			if r := run(t, s); !strings.Contains(r.Problem, tt.want) || r.Stretch != "" {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A device that is busy for a while is waited for.
func TestWaits(t *testing.T) {
	s := session(wakes)
	onHardware(&s, "it is lit", "it is lit", "", "it is lit")
	if r := run(t, s); r.Problem != "" || r.Stretch != "K S" {
		t.Errorf("%+v", r)
	}
}

// The first pronunciation that wakes the device is the one that is cut.
func TestPronunciations(t *testing.T) {
	s := session(wakes)
	s.Pronunciations = []phoneme.Pronunciation{"S", "L EH1 T", "L EH1 K S AH0"}
	if r := run(t, s); r.Pronunciation != "L EH1 K S AH0" || r.Stretch != "K S" {
		t.Errorf("%+v", r)
	}
	s.Unspelled = true
	if r := run(t, s); r.Stretch != "K S" || len(played(r)) != 0 {
		t.Errorf("%+v", r)
	}
}

// What makes any further play impossible is an error.
func TestErrors(t *testing.T) {
	gone := errors.New("gone")
	for name, change := range map[string]func(*explain.Session){
		"voice": func(s *explain.Session) {
			s.Speak = func(context.Context, tts.Utterance) (tts.Clip, error) { return tts.Clip{}, gone }
		},
		"player": func(s *explain.Session) { s.Bench.Player = broken{err: gone} },
		"oracle": func(s *explain.Session) { s.Bench.Oracles = []oracle.Oracle{blind{gone}} },
		"settling": func(s *explain.Session) {
			s.Bench.Settle = func(context.Context, campaign.SettleSpec) (string, error) { return "", gone }
		},
	} {
		s := session(wakes)
		change(&s)
		if r, err := s.Run(t.Context()); !errors.Is(err, gone) || r.Problem != "" {
			t.Errorf("%s: %v, %+v", name, err, r)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := session(wakes).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// broken is a player that does not sound.
type broken struct {
	fault bench.Fault
	err   error
}

func (b broken) Play(context.Context, playback.Cue) (playback.Sounding, error) {
	return playback.Sounding{Fault: b.fault, Detail: "it hangs"}, b.err
}

// blind is an oracle that is of no use.
type blind struct{ error }

func (blind) Name() string          { return engine.Name }
func (blind) Window() time.Duration { return 0 }
func (o blind) Observe(context.Context, bench.Span) (bench.Observation, error) {
	return bench.Observation{}, o.error
}
