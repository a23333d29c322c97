package tts_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v5"

	"wakefuzz/tts"
	"wakefuzz/tts/ttstest"
)

// failing fails with the errors one after another, then speaks.
func failing(errs ...error) (tts.Synthesizer, *int) {
	tries := 0
	return ttstest.Tone{Before: func(context.Context, tts.Utterance) error {
		tries++
		if tries <= len(errs) {
			return errs[tries-1]
		}
		return nil
	}}, &tries
}

func TestThrottleTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quota := fmt.Errorf("429: %w", tts.ErrQuota)
		outage := fmt.Errorf("503: %w", tts.ErrUnavailable)
		s, tries := failing(quota, outage, outage, quota, quota)
		var waits []time.Duration
		s = tts.Throttle(s, tts.Limits{Waiting: func(why error, wait time.Duration) {
			if !errors.Is(why, tts.ErrQuota) && !errors.Is(why, tts.ErrUnavailable) {
				t.Errorf("waiting because of %v", why)
			}
			waits = append(waits, wait)
		}})
		start := time.Now()
		if _, err := s.Synthesize(t.Context(), hum("alexa")); err != nil || *tries != 6 {
			t.Fatalf("error %v after %d tries", err, *tries)
		}
		total := time.Duration(0)
		nominal := 500 * time.Millisecond
		for i, wait := range waits {
			if wait < nominal/2 || wait > nominal*3/2 {
				t.Errorf("pause %d is %v, want %v give or take half", i+1, wait, nominal)
			}
			total += wait
			nominal = nominal * 3 / 2
		}
		if len(waits) != 5 || time.Since(start) != total {
			t.Errorf("told of pauses %v, waited %v", waits, time.Since(start))
		}
	})
}

// A service that says when to come back is believed.
func TestThrottleHeedsTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := failing(fmt.Errorf("%w: %w", tts.ErrQuota, backoff.RetryAfter(42)))
		start := time.Now()
		if _, err := tts.Throttle(s, tts.Limits{}).Synthesize(t.Context(), hum("alexa")); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited != 42*time.Second {
			t.Errorf("waited %v, want 42 s", waited)
		}
	})
}

func TestThrottleFailsAtOnce(t *testing.T) {
	for _, want := range []error{tts.ErrCredentials, tts.ErrVoice, tts.ErrUnspeakable, errors.New("broken")} {
		s, tries := failing(want)
		if _, err := tts.Throttle(s, tts.Limits{}).Synthesize(t.Context(), hum("alexa")); !errors.Is(err, want) || *tries != 1 {
			t.Errorf("error %v after %d tries, want %v after one", err, *tries, want)
		}
	}
}

func TestThrottleGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		s := ttstest.Tone{Before: func(context.Context, tts.Utterance) error { tries++; return tts.ErrUnavailable }}
		start := time.Now()
		_, err := tts.Throttle(s, tts.Limits{GiveUpAfter: time.Hour}).Synthesize(t.Context(), hum("alexa"))
		if !errors.Is(err, tts.ErrUnavailable) || !strings.Contains(err.Error(), fmt.Sprintf("gave up after %d tries", tries)) {
			t.Errorf("error %v after %d tries", err, tries)
		}
		// The pauses stay short enough to notice within two minutes that the
		// service is back, and long enough not to besiege it.
		if took := time.Since(start); took > time.Hour || took < 58*time.Minute || tries < 40 || tries > 150 {
			t.Errorf("gave up after %v and %d tries", took, tries)
		}
	})
}

func TestThrottleStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ttstest.Tone{Before: func(context.Context, tts.Utterance) error { return tts.ErrUnavailable }}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		start := time.Now()
		_, err := tts.Throttle(s, tts.Limits{}).Synthesize(ctx, hum("alexa"))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 20*time.Second {
			t.Errorf("error %v after %v, want context.DeadlineExceeded after 20 s", err, time.Since(start))
		}
	})
}

func TestThrottleBoundsCallsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			now += n
			most = max(most, now)
		}
		s := tts.Throttle(ttstest.Tone{Before: func(context.Context, tts.Utterance) error {
			count(1)
			time.Sleep(time.Second)
			count(-1)
			return nil
		}}, tts.Limits{AtOnce: 3})
		start := time.Now()
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() {
				if _, err := s.Synthesize(t.Context(), hum("alexa")); err != nil {
					t.Error(err)
				}
			})
		}
		// Whoever waits for a slot can leave the queue.
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		synctest.Wait()
		if _, err := s.Synthesize(ctx, hum("alexa")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want context.DeadlineExceeded", err)
		}
		wg.Wait()
		if took := time.Since(start); most != 3 || took != 4*time.Second {
			t.Errorf("12 calls of a second: %d at once, done in %v, want 3 in 4 s", most, took)
		}
	})
}

func TestThrottleKeepsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := tts.Throttle(ttstest.Tone{}, tts.Limits{PerSecond: 5})
		start := time.Now()
		for range 11 {
			if _, err := s.Synthesize(t.Context(), hum("alexa")); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < 1990*time.Millisecond || took > 2010*time.Millisecond {
			t.Errorf("11 calls took %v, want 2 s", took)
		}
		// A turn that comes too late is not waited for.
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := s.Synthesize(ctx, hum("alexa")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want context.DeadlineExceeded", err)
		}
	})
}

type billed struct{ ttstest.Tone }

func (billed) BilledCharacters(u tts.Utterance) int { return len(u.Text) }

func TestThrottleForwards(t *testing.T) {
	if _, ok := tts.Throttle(ttstest.Tone{}, tts.Limits{}).(tts.Biller); ok {
		t.Error("what costs nothing becomes a Biller")
	}
	s := tts.Throttle(billed{}, tts.Limits{})
	if b, ok := s.(tts.Biller); !ok || b.BilledCharacters(hum("alexa")) != 5 {
		t.Error("a Biller doesn't stay one")
	}
	if v, err := s.Version(t.Context()); v != "1" || err != nil {
		t.Errorf("version %q, error %v", v, err)
	}
	if v, err := s.Voices(t.Context()); len(v) != 3 || err != nil {
		t.Errorf("voices %q, error %v", v, err)
	}
	t.Run("conformance", func(t *testing.T) {
		ttstest.Run(t, s, ttstest.Options{Phones: true, Voice: hum("").Voice})
	})
}
