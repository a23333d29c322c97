// Package ttstest is the conformance suite of speech synthesizers: what every
// [tts.Synthesizer] promises, checked by ear where a check needs one (length,
// loudness, pitch). A driver's test calls [Run] with a real engine behind it.
//
// [Tone] is a synthesizer for the tests of what uses one: it costs nothing and
// fails on demand. It takes the place of a real engine only where a real one
// can't be made to fail, or would take hours.
package ttstest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/phoneme"
	"wakefuzz/tts"
)

// Options says how the suite uses the synthesizer.
type Options struct {
	// Voice speaks the suite's words. It is one whose rate, pitch and volume can
	// be changed; the suite sets them itself.
	Voice tts.Voice
	// Fixed says that the voice has one pace and one pitch. It must refuse others.
	Fixed bool
	// Phones says whether the voice can speak phones. One that can't must say so.
	Phones bool
	// Voices is how many of the listed voices are heard, spread over the list; 0
	// means 8.
	Voices int
}

// Run checks that s keeps the promises of [tts.Synthesizer].
func Run(t *testing.T, s tts.Synthesizer, o Options) {
	t.Helper()
	suite := suite{s: s, o: o}
	t.Run("speaks words", suite.speaksWords)
	t.Run("same sound again", suite.sameSoundAgain)
	t.Run("odd texts", suite.oddTexts)
	t.Run("nothing to say", suite.nothingToSay)
	t.Run("long text", suite.longText)
	t.Run("phones", suite.phones)
	t.Run("not phones", suite.notPhones)
	t.Run("unknown voice", suite.unknownVoice)
	t.Run("voices", suite.voices)
	t.Run("rate", suite.rate)
	t.Run("pitch", suite.pitch)
	t.Run("volume", suite.volume)
	t.Run("version", suite.version)
	t.Run("concurrent calls", suite.concurrentCalls)
	t.Run("cancelled", suite.cancelled)
}

type suite struct {
	s tts.Synthesizer
	o Options
}

// words are far from each other, short and long, lower and upper case.
var words = []string{"alexa", "no", "Mississippi", "ok google", "strengths"}

// say speaks text with the suite's voice, changed by the given functions.
func (s suite) say(t *testing.T, text string, change ...func(*tts.Voice)) tts.Clip {
	t.Helper()
	u := tts.Utterance{Text: text, Voice: s.o.Voice}
	for _, f := range change {
		f(&u.Voice)
	}
	c, err := s.s.Synthesize(t.Context(), u)
	if err != nil {
		t.Fatalf("%s says %q: %v", u.Voice, text, err)
	}
	return c
}

func (s suite) speaksWords(t *testing.T) {
	said := map[[32]byte]string{}
	for _, w := range words {
		c := s.say(t, w)
		if err := plausible(c); err != nil {
			t.Errorf("%q: %v", w, err)
		}
		if other, dup := said[c.Sum()]; dup {
			t.Errorf("%q sounds exactly like %q", w, other)
		}
		said[c.Sum()] = w
	}
	if short, long := s.say(t, "no"), s.say(t, "Mississippi"); short.Duration() >= long.Duration() {
		t.Errorf("%q lasts %v, %q only %v", "no", short.Duration(), "Mississippi", long.Duration())
	}
}

// plausible tells whether a clip can be a spoken word: between a tenth of a
// second and four, neither near-silent nor clipped.
func plausible(c tts.Clip) error {
	if d := c.Duration(); d < 100*time.Millisecond || d > 4*time.Second {
		return fmt.Errorf("a word lasts %v", d)
	}
	if l := level(c); l < -45 || l > -3 {
		return fmt.Errorf("a word has a level of %.1f dBFS", l)
	}
	if n := clipped(c); n > 0 {
		return fmt.Errorf("the sound is clipped at %d places", n)
	}
	return nil
}

// level is the RMS in dB relative to a full-scale square wave.
func level(c tts.Clip) float64 {
	sum := 0.0
	for _, x := range c.Samples {
		sum += float64(x) * float64(x)
	}
	return 10*math.Log10(sum/float64(len(c.Samples))) - 20*math.Log10(-math.MinInt16)
}

// clipped counts the places where three samples in a row are at full scale: one
// alone may be a true peak.
func clipped(c tts.Clip) (places int) {
	run := 0
	for _, x := range c.Samples {
		if x != math.MaxInt16 && x != math.MinInt16 {
			run = 0
			continue
		}
		if run++; run == 3 {
			places++
		}
	}
	return places
}

func (s suite) sameSoundAgain(t *testing.T) {
	for _, w := range words {
		first := s.say(t, w)
		if again := s.say(t, w); again.Sum() != first.Sum() {
			t.Errorf("%q sounds different the second time", w)
		}
	}
}

// oddTexts: text is text, whatever it looks like. An engine may refuse it, but
// only as unspeakable.
func (s suite) oddTexts(t *testing.T) {
	for _, text := range []string{
		"don't", "don’t", "naïve", "café", "Zürich", "日本", "12", "a.b.c", "o'clock", "e-mail",
		"-v", "--help", "-o", "/dev/null", scriptFile(t), "$(echo hello)", "a;b", `"quoted"`, "<b>bold</b>", "[[",
		"two\nlines", "tab\there", "nul\x00byte", "\xff\xfe",
	} {
		c, err := s.s.Synthesize(t.Context(), tts.Utterance{Text: text, Voice: s.o.Voice})
		switch {
		case errors.Is(err, tts.ErrUnspeakable):
		case err != nil:
			t.Errorf("%q: %v (want sound or ErrUnspeakable)", text, err)
		case len(c.Samples) == 0:
			t.Errorf("%q: a clip without sound (want ErrUnspeakable)", text)
		}
	}
	for _, text := range []string{"don't", "naïve"} {
		if err := plausible(s.say(t, text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// scriptFile is the path of a file with more than a minute's text: an engine
// that takes it for the name of a script gives itself away.
func scriptFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte(strings.Repeat("one two three four five. ", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s suite) nothingToSay(t *testing.T) {
	for _, text := range []string{"", " ", "\n", "\t \n"} {
		if _, err := s.s.Synthesize(t.Context(), tts.Utterance{Text: text, Voice: s.o.Voice}); !errors.Is(err, tts.ErrUnspeakable) {
			t.Errorf("%q: error %v, want ErrUnspeakable", text, err)
		}
	}
}

func (s suite) longText(t *testing.T) {
	u := tts.Utterance{Text: strings.Repeat("supercalifragilistic ", 5000), Voice: s.o.Voice}
	switch c, err := s.s.Synthesize(t.Context(), u); {
	case err == nil && c.Duration() > tts.MaxDuration:
		t.Errorf("a clip of %v, longer than %v", c.Duration(), tts.MaxDuration)
	case err != nil && !errors.Is(err, tts.ErrUnspeakable):
		t.Errorf("error %v, want ErrUnspeakable or a clip of at most %v", err, tts.MaxDuration)
	}
}

// spoken are words by their phones: every phone that there is, stressed and not.
var spoken = map[phoneme.Pronunciation]string{
	"AH0 L EH1 K S AH0":           "alexa",
	"W IH1 N D OW0":               "window",
	"S T R EH1 NG K TH S":         "strengths",
	"CH ER1 CH Y AA2 R D":         "churchyard",
	"HH AO1 L W EY2":              "hallway",
	"B UH1 K SH AA2 P":            "bookshop",
	"M EH1 ZH ER0":                "measure",
	"F AA1 DH ER0":                "father",
	"JH OY1 F AH0 L IY0":          "joyfully",
	"V AW1 Z UW1 G AE1 B AY1 AH1": "", // no word at all
}

// phones are spoken instead of the text, whatever that is.
func (s suite) phones(t *testing.T) {
	say := func(u tts.Utterance) (tts.Clip, error) {
		u.Voice = s.o.Voice
		return s.s.Synthesize(t.Context(), u)
	}
	if !s.o.Phones {
		if _, err := say(tts.Utterance{Text: "alexa", Pronunciation: "AH0 L EH1 K S AH0"}); !errors.Is(err, tts.ErrUnspeakable) {
			t.Errorf("error %v, want ErrUnspeakable", err)
		}
		return
	}
	said := map[[32]byte]phoneme.Pronunciation{s.say(t, "banana").Sum(): "its text, banana"}
	for p, text := range spoken {
		c, err := say(tts.Utterance{Text: text, Pronunciation: p})
		if err != nil {
			t.Errorf("%q: %v", p, err)
			continue
		}
		if err := plausible(c); err != nil {
			t.Errorf("%q: %v", p, err)
		}
		if other, dup := said[c.Sum()]; dup {
			t.Errorf("%q sounds exactly like %q", p, other)
		}
		said[c.Sum()] = p
		for _, same := range []tts.Utterance{
			{Text: text, Pronunciation: p},
			{Text: "banana", Pronunciation: p},
			{Text: "<b>&]]", Pronunciation: p},
			{Text: text, Pronunciation: "  " + phoneme.Pronunciation(strings.ToLower(string(p)))},
		} {
			if again, err := say(same); err != nil || again.Sum() != c.Sum() {
				t.Errorf("%q, as %q, sounds different, error %v", same, text, err)
			}
		}
	}
	plain, err := say(tts.Utterance{Pronunciation: "AH L EH K S AH"})
	if err != nil {
		t.Fatalf("phones without stress: %v", err)
	}
	fast, err := s.s.Synthesize(t.Context(), tts.Utterance{
		Pronunciation: "AH L EH K S AH",
		Voice:         tts.Voice{Engine: s.o.Voice.Engine, Name: s.o.Voice.Name, Rate: 1.5},
	})
	if err != nil || fast.Duration() >= plain.Duration() {
		t.Errorf("phones last %v at rate 1.5, error %v, and %v at 1", fast.Duration(), err, plain.Duration())
	}
}

// notPhones: what is no pronunciation is refused, and never read as text.
func (s suite) notPhones(t *testing.T) {
	for _, p := range []phoneme.Pronunciation{" ", "alexa", "AX", "K1", "AH3", "]]", "AH) (exit", phoneme.Pronunciation(strings.Repeat("AH ", 1000))} {
		u := tts.Utterance{Text: "alexa", Voice: s.o.Voice, Pronunciation: p}
		if _, err := s.s.Synthesize(t.Context(), u); !errors.Is(err, tts.ErrUnspeakable) {
			t.Errorf("%.20q: error %v, want ErrUnspeakable", p, err)
		}
	}
}

func (s suite) unknownVoice(t *testing.T) {
	for _, name := range []string{"", "no-such-voice", "../" + s.o.Voice.Name, "-v"} {
		v := s.o.Voice
		v.Name = name
		if _, err := s.s.Synthesize(t.Context(), tts.Utterance{Text: "alexa", Voice: v}); !errors.Is(err, tts.ErrVoice) {
			t.Errorf("voice %q: error %v, want ErrVoice", name, err)
		}
	}
}

func (s suite) voices(t *testing.T) {
	names, err := s.s.Voices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("voices aren't sorted, or one is listed twice: %q", names)
	}
	if _, ok := slices.BinarySearch(names, s.o.Voice.Name); !ok {
		t.Errorf("voice %q is missing from the list %q", s.o.Voice.Name, names)
	}
	want := s.o.Voices
	if want == 0 {
		want = 8
	}
	said := map[[32]byte]string{}
	for i := range min(want, len(names)) {
		name := names[i*len(names)/min(want, len(names))]
		c := s.say(t, "banana", func(v *tts.Voice) { v.Name = name })
		if err := plausible(c); err != nil {
			t.Errorf("voice %q: %v", name, err)
		}
		if other, dup := said[c.Sum()]; dup {
			t.Errorf("voice %q sounds exactly like %q", name, other)
		}
		said[c.Sum()] = name
		if c.Sum() == s.say(t, "potato", func(v *tts.Voice) { v.Name = name }).Sum() {
			t.Errorf("voice %q says the same for two words", name)
		}
	}
}

func (s suite) rate(t *testing.T) {
	const text = "extraordinary"
	if s.o.Fixed {
		s.refuses(t, func(v *tts.Voice) { v.Rate = 0.7 }, func(v *tts.Voice) { v.Rate = 1.5 }, func(v *tts.Voice) { v.Rate = math.NaN() })
		if usual := s.say(t, text, func(v *tts.Voice) { v.Rate = 1 }); usual.Sum() != s.say(t, text).Sum() {
			t.Error("rate 1 sounds different from no rate")
		}
		return
	}
	slow := s.say(t, text, func(v *tts.Voice) { v.Rate = 0.7 })
	plain := s.say(t, text)
	usual := s.say(t, text, func(v *tts.Voice) { v.Rate = 1 })
	fast := s.say(t, text, func(v *tts.Voice) { v.Rate = 1.5 })
	if slow.Duration() <= plain.Duration() || plain.Duration() <= fast.Duration() {
		t.Errorf("%q lasts %v at rate 0.7, %v at 1, %v at 1.5", text, slow.Duration(), plain.Duration(), fast.Duration())
	}
	if plain.Sum() != usual.Sum() {
		t.Error("rate 1 sounds different from no rate")
	}
	for _, rate := range []float64{-1, 1e6, math.NaN(), math.Inf(1)} {
		v := s.o.Voice
		v.Rate = rate
		if _, err := s.s.Synthesize(t.Context(), tts.Utterance{Text: text, Voice: v}); !errors.Is(err, tts.ErrVoice) {
			t.Errorf("rate %v: error %v, want ErrVoice", rate, err)
		}
	}
}

// refuses: the voice has no such settings, and says so.
func (s suite) refuses(t *testing.T, changes ...func(*tts.Voice)) {
	t.Helper()
	for _, change := range changes {
		v := s.o.Voice
		change(&v)
		if _, err := s.s.Synthesize(t.Context(), tts.Utterance{Text: "alexa", Voice: v}); !errors.Is(err, tts.ErrVoice) {
			t.Errorf("%s: error %v, want ErrVoice", v, err)
		}
	}
}

func (s suite) pitch(t *testing.T) {
	const text = "no no no"
	if s.o.Fixed {
		s.refuses(t, func(v *tts.Voice) { v.Pitch = -4 }, func(v *tts.Voice) { v.Pitch = 4 }, func(v *tts.Voice) { v.Pitch = math.NaN() })
		return
	}
	low := s.say(t, text, func(v *tts.Voice) { v.Pitch = -4 })
	plain := s.say(t, text)
	high := s.say(t, text, func(v *tts.Voice) { v.Pitch = 4 })
	fl, fp, fh := Pitch(low), Pitch(plain), Pitch(high)
	if !(fl < fp && fp < fh) {
		t.Errorf("the pitch is %.0f Hz at -4 semitones, %.0f at 0, %.0f at +4", fl, fp, fh)
	}
	for _, pitch := range []float64{-1e3, 1e3, math.NaN()} {
		v := s.o.Voice
		v.Pitch = pitch
		if _, err := s.s.Synthesize(t.Context(), tts.Utterance{Text: text, Voice: v}); !errors.Is(err, tts.ErrVoice) {
			t.Errorf("pitch %v: error %v, want ErrVoice", pitch, err)
		}
	}
}

// Pitch estimates the voice's fundamental in hertz, from 60 to 400: the median
// over frames of 50 ms of the first strong peak of their autocorrelation. It
// is 0 if nothing in the clip is voiced.
func Pitch(c tts.Clip) float64 {
	const (
		frame    = tts.SampleRate / 20
		shortest = tts.SampleRate / 400
		longest  = tts.SampleRate / 60
	)
	loudest := 0.0
	for at := 0; at+frame+longest <= len(c.Samples); at += frame {
		loudest = max(loudest, product(c.Samples[at:at+frame], c.Samples[at:]))
	}
	var found []float64
	for at := 0; at+frame+longest <= len(c.Samples); at += frame / 2 {
		x := c.Samples[at : at+frame]
		if product(x, c.Samples[at:]) < loudest/20 {
			continue
		}
		var r [longest + 1]float64
		for lag := shortest; lag <= longest; lag++ {
			y := c.Samples[at+lag : at+lag+frame]
			r[lag] = product(x, y) / math.Sqrt(product(x, x)*product(y, y)+1)
		}
		best := slices.Max(r[shortest:])
		if best < 0.6 {
			continue // unvoiced
		}
		// The first peak that is nearly as high as the highest, so that twice
		// the period isn't taken for the period.
		for lag := shortest + 1; lag < longest; lag++ {
			if r[lag] > 0.9*best && r[lag] >= r[lag-1] && r[lag] >= r[lag+1] {
				found = append(found, float64(tts.SampleRate)/float64(lag))
				break
			}
		}
	}
	if len(found) == 0 {
		return 0
	}
	slices.Sort(found)
	return found[len(found)/2]
}

// product sums x[i]·y[i] over the length of x.
func product(x, y []int16) (sum float64) {
	for i, a := range x {
		sum += float64(a) * float64(y[i])
	}
	return sum
}

func (s suite) volume(t *testing.T) {
	const text = "alexa"
	plain := s.say(t, text)
	soft := s.say(t, text, func(v *tts.Voice) { v.Volume = -6 })
	if diff := level(soft) - level(plain); math.Abs(diff+6) > 1 {
		t.Errorf("-6 dB makes the sound %+.1f dB louder", diff)
	}
	loud := s.say(t, text, func(v *tts.Voice) { v.Volume = 3 })
	if level(loud) < level(plain) {
		t.Errorf("+3 dB makes the sound softer: %.1f dBFS, %.1f before", level(loud), level(plain))
	}
	if n := clipped(loud); n > 0 {
		t.Errorf("+3 dB clips the sound at %d places", n)
	}
	for _, volume := range []float64{1e3, math.NaN()} {
		v := s.o.Voice
		v.Volume = volume
		if _, err := s.s.Synthesize(t.Context(), tts.Utterance{Text: text, Voice: v}); !errors.Is(err, tts.ErrVoice) {
			t.Errorf("volume %v: error %v, want ErrVoice", volume, err)
		}
	}
}

func (s suite) version(t *testing.T) {
	one, err := s.s.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.s.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if one == "" || one != two {
		t.Errorf("version %q, then %q", one, two)
	}
}

func (s suite) concurrentCalls(t *testing.T) {
	want := make([]tts.Clip, len(words))
	for i, w := range words {
		want[i] = s.say(t, w)
	}
	var wg sync.WaitGroup
	for i := range 4 * len(words) {
		wg.Go(func() {
			w := words[i%len(words)]
			c, err := s.s.Synthesize(t.Context(), tts.Utterance{Text: w, Voice: s.o.Voice})
			if err != nil {
				t.Errorf("%q: %v", w, err)
			} else if c.Sum() != want[i%len(words)].Sum() {
				t.Errorf("%q sounds different among concurrent calls", w)
			}
		})
	}
	wg.Wait()
}

// cancelled: a call ends with its context and leaves no goroutine and no
// process behind.
func (s suite) cancelled(t *testing.T) {
	s.say(t, "warm up") // what stays for good is there now
	before, running := goleak.IgnoreCurrent(), children(t)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.s.Synthesize(ctx, tts.Utterance{Text: "alexa", Voice: s.o.Voice}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is over: error %v, want context.Canceled", err)
	}
	// Over at some point under way, each time at another one.
	long := strings.Repeat("wake up now ", 8)
	for i := range 12 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*2*time.Millisecond)
		_, err := s.s.Synthesize(ctx, tts.Utterance{Text: long, Voice: s.o.Voice})
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a context that ended: error %v, want context.DeadlineExceeded", err)
		}
	}
	goleak.VerifyNone(t, before)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left := slices.DeleteFunc(children(t), func(pid string) bool { return slices.Contains(running, pid) })
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes left behind: %q", left)
		}
	}
}

// children lists the processes that this one started and that still exist.
func children(t *testing.T) (all []string) {
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lists {
		b, err := os.ReadFile(path)
		if err == nil { // a thread that ended meanwhile has no children
			all = append(all, strings.Fields(string(b))...)
		}
	}
	return all
}
