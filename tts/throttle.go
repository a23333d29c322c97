package tts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"
)

// Limits is how a service is called: how much at once, how fast, and for how
// long in spite of failures. The zero value of a field means its default.
type Limits struct {
	// AtOnce is the number of calls under way at the same time; 4 by default.
	AtOnce int
	// PerSecond is the number of calls begun per second; no limit by default.
	PerSecond float64
	// GiveUpAfter is for how long one call is tried; 5 minutes by default.
	GiveUpAfter time.Duration
	// Waiting, if set, is told why and for how long a call waits before it is
	// tried again. It may be called by many goroutines at once.
	Waiting func(why error, wait time.Duration)
}

// The pauses between tries begin around firstPause and grow by half each, give
// or take half, up to longestPause: a service that is out for an hour is asked
// once a minute, and callers that failed together don't come back together.
const (
	defaultAtOnce      = 4
	defaultGiveUpAfter = 5 * time.Minute
	firstPause         = 500 * time.Millisecond
	longestPause       = time.Minute
)

// Throttle returns s, called within the limits. A call that fails with
// [ErrQuota] or [ErrUnavailable] is tried again, after a growing pause or as
// long as an error that wraps a [backoff.RetryAfterError] says; what fails
// otherwise fails at once. The result is a [Biller] if s is.
func Throttle(s Synthesizer, l Limits) Synthesizer {
	if l.AtOnce == 0 {
		l.AtOnce = defaultAtOnce
	}
	if l.GiveUpAfter == 0 {
		l.GiveUpAfter = defaultGiveUpAfter
	}
	pace := rate.NewLimiter(rate.Inf, 1)
	if l.PerSecond != 0 {
		pace.SetLimit(rate.Limit(l.PerSecond))
	}
	t := &throttled{engine: s, limits: l, slots: make(chan struct{}, l.AtOnce), pace: pace}
	if b, ok := s.(Biller); ok {
		return struct {
			*throttled
			Biller
		}{t, b}
	}
	return t
}

type throttled struct {
	engine Synthesizer
	limits Limits
	slots  chan struct{}
	pace   *rate.Limiter
}

func (t *throttled) Synthesize(ctx context.Context, u Utterance) (Clip, error) {
	return call(ctx, t, func() (Clip, error) { return t.engine.Synthesize(ctx, u) })
}

func (t *throttled) Voices(ctx context.Context) ([]string, error) {
	return call(ctx, t, func() ([]string, error) { return t.engine.Voices(ctx) })
}

func (t *throttled) Version(ctx context.Context) (string, error) {
	return call(ctx, t, func() (string, error) { return t.engine.Version(ctx) })
}

// call tries f until it succeeds, fails for good, or time is up.
func call[T any](ctx context.Context, t *throttled, f func() (T, error)) (T, error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstPause, longestPause
	tries := 0
	result, err := backoff.Retry(ctx, func() (T, error) {
		tries++
		result, err := inTurn(ctx, t, f)
		if err != nil && !passing(err) {
			return result, backoff.Permanent(err)
		}
		return result, err
	},
		backoff.WithBackOff(pause),
		backoff.WithMaxElapsedTime(t.limits.GiveUpAfter),
		backoff.WithNotify(func(err error, wait time.Duration) {
			if t.limits.Waiting != nil {
				t.limits.Waiting(err, wait)
			}
		}))
	if err != nil && passing(err) {
		err = fmt.Errorf("gave up after %d tries: %w", tries, err)
	}
	return result, err
}

// inTurn calls f once, when a slot is free and the pace allows it. A call that
// waits for its next try holds no slot.
func inTurn[T any](ctx context.Context, t *throttled, f func() (T, error)) (none T, err error) {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-ctx.Done():
		return none, ctx.Err()
	}
	if err := t.pace.Wait(ctx); err != nil {
		if ctx.Err() == nil { // it foresees that the time won't do
			err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
		}
		return none, err
	}
	return f()
}

// passing tells whether trying again later may help.
func passing(err error) bool { return errors.Is(err, ErrQuota) || errors.Is(err, ErrUnavailable) }
