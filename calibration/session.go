package calibration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"wakefuzz/bench"
	"wakefuzz/campaign"
	"wakefuzz/oracle/light"
	"wakefuzz/oracle/traffic"
	"wakefuzz/playback"
	"wakefuzz/tts"
)

// tries is how often a play that does not come off is tried.
const tries = 5

// Session plays and observes.
type Session struct {
	// Setting and Settle are the spec's.
	Setting Setting
	Settle  campaign.SettleSpec
	// Clip is the wake word.
	Clip tts.Clip
	// Silence is how long silence is watched, and Watch for how long each play
	// is watched after the word. Plays is how often the wake word is played.
	Silence, Watch time.Duration
	Plays          int
	// Levels says whether to search for the lowest level, by LevelPlays plays
	// each, up to Highest dBFS.
	Levels  bool
	Highest float64
	// Open opens the bench with a setting. There is one at a time.
	Open func(context.Context, Setting) (*campaign.Bench, error)
	// Note is told how it goes.
	Note func(format string, args ...any)

	bench   *campaign.Bench
	record  Record
	silence rest
}

// Run plays and observes, until it is done or ctx ends. What the device makes
// impossible is Trouble in the record; an error means that the bench is of no
// use, or that ctx ended.
func (s *Session) Run(ctx context.Context) (_ Record, err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	s.record = Record{Began: s.Setting, Used: s.Setting, Highest: s.Highest}
	if err := s.use(ctx, s.Setting); err != nil {
		return s.record, err
	}
	s.Note("watching the device in silence for %v", s.Silence)
	silence := tts.Clip{Samples: make([]int16, tts.SampleRate)} // a second
	for range tries {
		rest, fault, err := s.play(ctx, silence, s.Silence-silence.Duration())
		if err != nil {
			return s.record, err
		}
		s.record.Rest, s.record.Trouble = rest, fault
		if fault == "" {
			break
		}
	}
	if s.record.Trouble != "" {
		return s.record, nil
	}
	s.silence = s.record.rest()
	if err := s.use(ctx, s.silence.corrected(s.Setting)); err != nil {
		return s.record, err
	}
	if s.Levels {
		if err := s.search(ctx); err != nil || s.record.Trouble != "" {
			return s.record, err
		}
		level, heard := s.record.level(s.silence)
		if !heard {
			return s.record, nil
		}
		setting := s.record.Used
		setting.LevelDBFS = level
		if err := s.use(ctx, setting); err != nil {
			return s.record, err
		}
	}
	for i := range s.Plays {
		p, err := s.wake(ctx, fmt.Sprintf("%d of %d at %g dBFS", i+1, s.Plays, s.record.Used.LevelDBFS))
		if err != nil || s.record.Trouble != "" {
			return s.record, err
		}
		s.record.Plays = append(s.record.Plays, p)
	}
	return s.record, nil
}

// search plays the wake word at levels until the lowest is known.
func (s *Session) search(ctx context.Context) error {
	for level, more := s.record.nextLevel(s.silence); more; level, more = s.record.nextLevel(s.silence) {
		setting := s.record.Used
		setting.LevelDBFS = level
		if err := s.use(ctx, setting); err != nil {
			return err
		}
		step := Step{LevelDBFS: level}
		for len(step.Plays) < LevelPlays && s.silence.heard(step.Plays) {
			p, err := s.wake(ctx, fmt.Sprintf("at %g dBFS, %d of %d", level, len(step.Plays)+1, LevelPlays))
			if err != nil || s.record.Trouble != "" {
				return err
			}
			step.Plays = append(step.Plays, p)
		}
		s.record.Steps = append(s.record.Steps, step)
	}
	return nil
}

// use has the bench opened with the setting, if it isn't yet.
func (s *Session) use(ctx context.Context, setting Setting) (err error) {
	if s.bench != nil && setting == s.record.Used {
		return nil
	}
	if err := s.close(); err != nil {
		return err
	}
	s.record.Used = setting
	s.bench, err = s.Open(ctx, setting)
	return err
}

func (s *Session) close() error {
	if s.bench == nil {
		return nil
	}
	b := s.bench
	s.bench = nil
	return b.Close()
}

// wake plays the wake word to a device at rest. What makes that impossible
// becomes the session's trouble.
func (s *Session) wake(ctx context.Context, which string) (Play, error) {
	var why string
	for range tries {
		restless, err := s.bench.Settle(ctx, s.Settle)
		if err != nil {
			return Play{}, err
		}
		if restless != "" {
			why = "the device does not come to rest: " + restless
			s.Note("wake word %s: %s", which, why)
			continue
		}
		p, fault, err := s.play(ctx, s.Clip, s.Watch)
		if err != nil {
			return Play{}, err
		}
		if fault == "" {
			s.Note("wake word %s: %s", which, s.silence.describe(p))
			return p, nil
		}
		why = fault
		s.Note("wake word %s: %s", which, why)
	}
	s.record.Trouble = why
	return Play{}, nil
}

// play sounds a clip and observes until the watch after it is over. A fault is
// why it did not sound.
func (s *Session) play(ctx context.Context, clip tts.Clip, watch time.Duration) (p Play, fault string, err error) {
	sounding, observations, err := s.bench.Once(ctx, playback.Cue{Clip: clip}, watch)
	if err != nil {
		return p, "", err
	}
	if sounding.Fault != bench.NoFault {
		return p, "the loudspeaker: " + sounding.Detail, nil
	}
	return Play{Sound: sounding.Span, Observations: observations}, "", nil
}

// describe says in a line what was seen of a play.
func (r rest) describe(p Play) string {
	var seen []string
	reactions := r.reactions(p)
	for _, name := range []string{light.Name, traffic.Name} {
		re, watched := reactions[name]
		switch {
		case !watched:
		case re.State == bench.Reacted:
			seen = append(seen, fmt.Sprintf("%s after %.2f s", name, re.Latency.Seconds()))
		case re.State == bench.Quiet:
			seen = append(seen, "no "+name)
		default:
			seen = append(seen, fmt.Sprintf("%s unmeasured, %s", name, re.Problem))
		}
	}
	return strings.Join(seen, ", ")
}
