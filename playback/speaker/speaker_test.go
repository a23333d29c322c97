package speaker_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/bench"
	"wakefuzz/internal/pulse"
	"wakefuzz/playback"
	"wakefuzz/playback/playbacktest"
	"wakefuzz/playback/speaker"
	"wakefuzz/tts"
	"wakefuzz/tts/flite"
)

// server is the sound server of these tests.
var server *pulse.Server

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if server, err = pulse.Start(); err == nil {
			err = server.Use()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		code := m.Run()
		if err := errors.Join(server.Close(), goleak.Find()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

// addSink adds a loudspeaker for the time of the test.
func addSink(t *testing.T, name string, format pulse.Format) *pulse.Sink {
	t.Helper()
	sink, err := server.AddSink(name, format)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Remove() }) // a test may have removed it
	return sink
}

// open opens a speaker for the time of the test.
func open(t *testing.T, device string, clock bench.Clock) *speaker.Speaker {
	t.Helper()
	options := speaker.DefaultOptions()
	options.Device = device
	s, err := speaker.New(options, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// record listens to the sink until the returned function is called.
func record(t *testing.T, sink *pulse.Sink, clock bench.Clock) (stop func() pulse.Recording) {
	t.Helper()
	recorder, err := sink.Record(clock)
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() pulse.Recording {
		stopped = true
		recording, err := recorder.Stop()
		if err != nil {
			t.Fatal(err)
		}
		return recording
	}
	t.Cleanup(func() {
		if !stopped {
			stop()
		}
	})
	return stop
}

// speak returns clips of real speech.
func speak(t *testing.T, words ...string) []tts.Clip {
	t.Helper()
	voice, err := flite.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clips := make([]tts.Clip, len(words))
	for i, word := range words {
		u := tts.Utterance{Text: word, Voice: tts.Voice{Engine: flite.Engine, Name: "kal16"}}
		if clips[i], err = voice.Synthesize(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	return clips
}

// play plays a clip; an error ends the test, a fault does not.
func play(t *testing.T, s *speaker.Speaker, clip tts.Clip) playback.Sounding {
	t.Helper()
	sound, err := s.Play(t.Context(), playback.Cue{Clip: clip})
	if err != nil {
		t.Fatal(err)
	}
	return sound
}

// mustPlay plays a clip, again where the machine was too busy for it.
func mustPlay(t *testing.T, s *speaker.Speaker, clip tts.Clip) playback.Sounding {
	t.Helper()
	sound, err := patient{s}.Play(t.Context(), playback.Cue{Clip: clip})
	if err != nil {
		t.Fatal(err)
	}
	if sound.Fault != bench.NoFault {
		t.Fatalf("three plays in a row were not measured: %s: %s", sound.Fault, sound.Detail)
	}
	return sound
}

// find looks for a sounding clip in a recording within 100 ms of its span. It
// returns what was recorded of it, when that began, and how like the clip it
// is: 1 is the same but for its level.
func find(r pulse.Recording, clip tts.Clip, span bench.Span) (heard tts.Clip, at bench.Instant, likeness float64) {
	expected := int(span.Start.Sub(r.Start) * tts.SampleRate / time.Second)
	const around = tts.SampleRate / 10
	best := -1
	for i := max(0, expected-around); i < min(expected+around, len(r.Samples)-len(clip.Samples)); i++ {
		// 50 ms where there is voice tell the place.
		from := len(clip.Samples) / 3
		if l := correlate(r.Samples[i+from:i+from+tts.SampleRate/20], clip.Samples[from:from+tts.SampleRate/20]); best < 0 || l > likeness {
			best, likeness = i, l
		}
	}
	if best < 0 {
		return tts.Clip{}, 0, 0
	}
	heard.Samples = r.Samples[best : best+len(clip.Samples)]
	return heard, r.At(best), correlate(heard.Samples, clip.Samples)
}

func correlate(a, b []int16) float64 {
	var ab, aa, bb float64
	for i := range b {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// level is the RMS in dBFS of what in a clip is within 20 dB of its loudest
// 20 ms.
func level(clip tts.Clip) float64 {
	var frames []float64
	for frame := range slices.Chunk(clip.Samples, 320) {
		var sum float64
		for _, s := range frame {
			sum += float64(s) * float64(s)
		}
		frames = append(frames, sum/float64(len(frame)))
	}
	gate := slices.Max(frames) / 100
	frames = slices.DeleteFunc(frames, func(f float64) bool { return f < gate })
	var sum float64
	for _, f := range frames {
		sum += f
	}
	return 10 * math.Log10(sum/float64(len(frames))/(32768*32768))
}

// Every clip of real speech is heard to the last sample, as loud as it should
// be, and when the span says.
func TestSpeechIsHeardWhole(t *testing.T) {
	t.Parallel()
	sink := addSink(t, "speech", pulse.Telephone)
	clock := bench.NewClock()
	s := open(t, "speech", clock)
	stop := record(t, sink, clock)
	clips := speak(t, "hex", "vex", "next", "lexus", "see")
	type heard struct {
		clip  tts.Clip
		sound playback.Sounding
	}
	var plays []heard
	for i := range 50 {
		clip := clips[i%len(clips)]
		plays = append(plays, heard{clip, mustPlay(t, s, clip)})
	}
	recording := stop()

	latency, within := s.Latency()
	var off []time.Duration
	for i, p := range plays {
		heard, at, likeness := find(recording, p.clip, p.sound.Span)
		if likeness < 0.999 {
			t.Errorf("play %d: the recording is like the clip by %.4f only", i, likeness)
			continue
		}
		for j, sample := range heard.Samples {
			want := float64(p.clip.Samples[j]) * math.Pow(10, p.sound.GainDB/20)
			if math.Abs(float64(sample)-want) > 1 {
				t.Errorf("play %d: sample %d of %d is %d in the recording, want %.1f", i, j, len(heard.Samples), sample, want)
				break
			}
		}
		if l := level(heard); math.Abs(l-speaker.DefaultOptions().LevelDBFS) > 0.5 {
			t.Errorf("play %d: it was heard at %.1f dBFS", i, l)
		}
		off = append(off, p.sound.Span.Start.Sub(at))
		if d := off[len(off)-1]; d.Abs() > within {
			t.Errorf("play %d: the span is off by %v, and should be within %v", i, d, within)
		}
	}
	if len(off) > 0 {
		slices.Sort(off)
		t.Logf("latency %v, within %v; spans were off by %v to %v, median %v",
			latency, within, off[0], off[len(off)-1], off[len(off)/2])
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	addSink(t, "conformance", pulse.Telephone)
	playbacktest.Run(t, func(t *testing.T) playback.Player { return patient{open(t, "conformance", bench.NewClock())} })
}

// patient is a speaker that plays again what a busy machine interrupted, as a
// campaign does.
type patient struct{ *speaker.Speaker }

func (p patient) Play(ctx context.Context, cue playback.Cue) (sound playback.Sounding, err error) {
	for range 3 {
		if sound, err = p.Speaker.Play(ctx, cue); err != nil || sound.Fault == bench.NoFault {
			return sound, err
		}
	}
	return sound, err
}

// A device of another rate and more channels gets the same sound.
func TestOtherFormat(t *testing.T) {
	t.Parallel()
	for _, format := range []pulse.Format{{Rate: 48000, Channels: 2}, {Rate: 44100, Channels: 2}} {
		t.Run(fmt.Sprint(format.Rate), func(t *testing.T) {
			sink := addSink(t, "stereo", format)
			clock := bench.NewClock()
			s := open(t, "stereo", clock)
			stop := record(t, sink, clock)
			clip := speak(t, "alexa")[0]
			sound := mustPlay(t, s, clip)
			heard, at, likeness := find(stop(), clip, sound.Span)
			if likeness < 0.98 {
				t.Fatalf("the recording is like the clip by %.4f only", likeness)
			}
			if l := level(heard); math.Abs(l-speaker.DefaultOptions().LevelDBFS) > 0.5 {
				t.Errorf("it was heard at %.1f dBFS", l)
			}
			_, within := s.Latency()
			if off := sound.Span.Start.Sub(at); off.Abs() > within {
				t.Errorf("the span is off by %v, and should be within %v", off, within)
			}
		})
	}
}

// When the device is unplugged in the middle of a clip, that play and those
// until it is back are faults; then it sounds again.
func TestUnplugged(t *testing.T) {
	t.Parallel()
	addSink(t, "other", pulse.Telephone) // which must not take its place
	sink := addSink(t, "unplugged", pulse.Telephone)
	clock := bench.NewClock()
	s := open(t, "unplugged", clock)
	clip := speak(t, "this is a long sentence, so that there is time to pull the plug")[0]

	unplug := time.AfterFunc(clip.Duration()/2, func() { _ = sink.Remove() })
	defer unplug.Stop()
	sound := play(t, s, clip)
	if sound.Fault != bench.FaultPlayer || !strings.Contains(sound.Detail, "The unplugged loudspeaker") {
		t.Fatalf("unplugged in the middle of a clip: fault %q, %q", sound.Fault, sound.Detail)
	}
	t.Log(sound.Detail)
	sound = play(t, s, clip)
	if sound.Fault != bench.FaultPlayer || !strings.Contains(sound.Detail, "is gone") {
		t.Errorf("still unplugged: fault %q, %q", sound.Fault, sound.Detail)
	}
	t.Log(sound.Detail)

	sink = addSink(t, "unplugged", pulse.Telephone)
	stop := record(t, sink, clock)
	sound = mustPlay(t, s, clip)
	if _, _, likeness := find(stop(), clip, sound.Span); likeness < 0.999 {
		t.Errorf("plugged in again, the recording is like the clip by %.4f only", likeness)
	}
}

// A device that is put to sleep in the middle of a clip takes no more sound.
func TestSuspended(t *testing.T) {
	t.Parallel()
	sink := addSink(t, "suspended", pulse.Telephone)
	s := open(t, "suspended", bench.NewClock())
	clip := speak(t, "this is a long sentence")[0]
	suspend := time.AfterFunc(clip.Duration()/2, func() { _ = sink.Suspend(true) })
	defer suspend.Stop()
	if sound := play(t, s, clip); sound.Fault != bench.FaultPlayer {
		t.Errorf("suspended: fault %q, %q", sound.Fault, sound.Detail)
	}
	if err := sink.Suspend(false); err != nil {
		t.Fatal(err)
	}
	mustPlay(t, s, clip)
}

// A sound server that stops for a moment, long enough to lose sound and too
// short to be taken for gone, makes a fault of the play that it interrupted,
// and of no other.
func TestInterrupted(t *testing.T) {
	addSink(t, "interrupted", pulse.Telephone)
	s := open(t, "interrupted", bench.NewClock())
	clip := speak(t, "this is a long sentence")[0]
	interruption := time.AfterFunc(clip.Duration()/2, func() {
		_ = server.Signal(syscall.SIGSTOP)
		time.Sleep(250 * time.Millisecond)
		_ = server.Signal(syscall.SIGCONT)
	})
	defer interruption.Stop()
	sound := play(t, s, clip)
	if sound.Fault != bench.FaultPlayer || !strings.Contains(sound.Detail, "without sound for") {
		t.Errorf("interrupted: fault %q, %q", sound.Fault, sound.Detail)
	}
	t.Log(sound.Detail)
	mustPlay(t, s, clip)
}

// A sound server that hangs does not hang the player.
func TestServerHangs(t *testing.T) {
	addSink(t, "hung", pulse.Telephone)
	s := open(t, "hung", bench.NewClock())
	clip := speak(t, "alexa")[0]
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume := func() { _ = server.Signal(syscall.SIGCONT) }
	defer resume()
	for range 2 {
		sound := play(t, s, clip)
		if sound.Fault != bench.FaultPlayer {
			t.Errorf("while the server hung: fault %q, %q", sound.Fault, sound.Detail)
		}
		t.Log(sound.Detail)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := speaker.Devices(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Devices returned %v, want %v", err, context.DeadlineExceeded)
	}
	resume()
	mustPlay(t, s, clip)
}

// A sound server that dies takes the play with it, and not the player.
func TestServerDies(t *testing.T) {
	for _, variable := range server.Env() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value) // put back afterwards
	}
	mortal, err := pulse.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer mortal.Close()
	if err := mortal.Use(); err != nil {
		t.Fatal(err)
	}
	if _, err := mortal.AddSink("mortal", pulse.Telephone); err != nil {
		t.Fatal(err)
	}
	s := open(t, "mortal", bench.NewClock())
	clip := speak(t, "this is a long sentence")[0]
	death := time.AfterFunc(clip.Duration()/2, func() { _ = mortal.Signal(syscall.SIGKILL) })
	defer death.Stop()
	if sound := play(t, s, clip); sound.Fault != bench.FaultPlayer {
		t.Errorf("the server died: fault %q, %q", sound.Fault, sound.Detail)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := s.Play(ctx, playback.Cue{Clip: clip}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Play returned %v, want %v", err, context.DeadlineExceeded)
	}
	options := speaker.DefaultOptions()
	options.Device, options.Backend = "mortal", "pulseaudio"
	if _, err := speaker.New(options, bench.NewClock()); err == nil || !strings.Contains(err.Error(), "pulseaudio has no loudspeaker") {
		t.Errorf("without a server, New returned %v", err)
	}
}

// A clip that is broken off ends early, without a click, and the next one
// sounds whole.
func TestCancelled(t *testing.T) {
	t.Parallel()
	sink := addSink(t, "cancelled", pulse.Telephone)
	clock := bench.NewClock()
	s := open(t, "cancelled", clock)
	stop := record(t, sink, clock)
	tone := make([]int16, 2*tts.SampleRate)
	for i := range tone {
		tone[i] = int16(8000 * math.Sin(float64(i)*2*math.Pi/160)) // 100 Hz
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := s.Play(ctx, playback.Cue{Clip: tts.Clip{Samples: tone}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Play returned %v, want %v", err, context.DeadlineExceeded)
	}
	clip := speak(t, "alexa")[0]
	sound := mustPlay(t, s, clip)
	recording := stop()
	if _, _, likeness := find(recording, clip, sound.Span); likeness < 0.999 {
		t.Errorf("after a clip that was broken off, the recording is like the next by %.4f only", likeness)
	}

	until := int(sound.Span.Start.Add(-100*time.Millisecond).Sub(recording.Start) * tts.SampleRate / time.Second)
	heard := slices.DeleteFunc(slices.Clone(recording.Samples[:until]), func(s int16) bool { return s == 0 })
	if len(heard) == 0 || len(heard) > len(tone)*9/10 {
		t.Errorf("%d samples of %d were heard of a clip that was broken off in the middle", len(heard), len(tone))
	}
	for i := range recording.Samples[:until-1] {
		// A tone of 100 Hz at -20 dBFS rises by 182 a sample at most.
		if step := int(recording.Samples[i+1]) - int(recording.Samples[i]); step > 300 || step < -300 {
			t.Fatalf("a click: the sound jumps by %d", step)
		}
	}
}

// A clip that is stopped is measured, as far as it sounded, and fades out.
func TestStopped(t *testing.T) {
	t.Parallel()
	sink := addSink(t, "stopped", pulse.Telephone)
	clock := bench.NewClock()
	s := open(t, "stopped", clock)
	stop := record(t, sink, clock)
	samples := make([]int16, 4*tts.SampleRate)
	for i := range samples {
		samples[i] = int16(8000 * math.Sin(float64(i)*2*math.Pi/160))
	}
	enough := make(chan struct{})
	timer := time.AfterFunc(2*time.Second, func() { close(enough) })
	defer timer.Stop()
	sound, err := s.Play(t.Context(), playback.Cue{Clip: tts.Clip{Samples: samples}, Stop: enough})
	if err != nil || sound.Fault != bench.NoFault {
		t.Fatalf("Play returned %v, fault %q: %s", err, sound.Fault, sound.Detail)
	}
	recording := stop()
	heard := 0
	for i, sample := range recording.Samples {
		at := recording.Start.Add(time.Duration(i) * time.Second / tts.SampleRate)
		switch {
		case sample == 0:
		case at < sound.Span.Start.Add(-100*time.Millisecond) || at > sound.Span.End.Add(100*time.Millisecond):
			t.Fatalf("it sounds %v after the end of its span", at.Sub(sound.Span.End))
		default:
			heard++
		}
	}
	sounded := time.Duration(heard) * time.Second / tts.SampleRate
	if off := (sounded - sound.Span.Duration()).Abs(); off > 50*time.Millisecond || sound.Span.Duration() > 3500*time.Millisecond {
		t.Errorf("%v were heard of a clip that is said to have sounded for %v", sounded, sound.Span.Duration())
	}
	if sound, err := s.Play(t.Context(), playback.Cue{Clip: tts.Clip{Samples: samples[:tts.SampleRate]}}); err != nil || sound.Span.Duration() != time.Second {
		t.Errorf("the next clip: %+v, %v", sound, err)
	}
}

// ALSA needs no card to be tried: its plugin for PulseAudio is a device.
func TestALSA(t *testing.T) {
	sink := addSink(t, "behind-alsa", pulse.Telephone)
	t.Setenv("PULSE_SINK", sink.Name())
	options := speaker.DefaultOptions()
	options.Backend, options.Device = "alsa", "pulse"
	clock := bench.NewClock()
	s, err := speaker.New(options, clock)
	if err != nil {
		t.Fatalf("%v; install it with: apt-get install libasound2-plugins", err)
	}
	defer s.Close()
	stop := record(t, sink, clock)
	clip := speak(t, "alexa")[0]
	sound := mustPlay(t, s, clip)
	heard, _, likeness := find(stop(), clip, sound.Span)
	if likeness < 0.999 {
		t.Fatalf("the recording is like the clip by %.4f only", likeness)
	}
	if l := level(heard); math.Abs(l-options.LevelDBFS) > 0.5 {
		t.Errorf("it was heard at %.1f dBFS", l)
	}

	options.Device = "null"
	if _, err := speaker.New(options, clock); err == nil {
		t.Error("a device that swallows all sound was taken for a loudspeaker")
	}
}

func TestClosed(t *testing.T) {
	addSink(t, "closed", pulse.Telephone)
	s := open(t, "closed", bench.NewClock())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Play(t.Context(), playback.Cue{}); err == nil {
		t.Error("a closed speaker played")
	}
}

func TestDevices(t *testing.T) {
	addSink(t, "kitchen", pulse.Telephone)
	addSink(t, "kitchen-window", pulse.Telephone)
	devices, err := speaker.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := speaker.Device{Backend: "pulseaudio", ID: "kitchen", Name: "The kitchen loudspeaker", Default: true}
	if i := slices.Index(devices, want); i != 0 {
		t.Errorf("%+v is not the first of %+v", want, devices)
	}

	for name, id := range map[string]string{
		"":                        "kitchen",
		"kitchen":                 "kitchen",
		"The kitchen loudspeaker": "kitchen",
		"1":                       "kitchen-window",
		"WINDOW":                  "kitchen-window",
	} {
		s := open(t, name, bench.NewClock())
		if got := s.Device().ID; got != id {
			t.Errorf("%q opened %s, want %s", name, got, id)
		}
		if want := "pulseaudio " + id; s.Facts()["speaker"] != want {
			t.Errorf("the facts are %v, want %s", s.Facts(), want)
		}
	}
	for name, message := range map[string]string{
		"itchen":  `device: "itchen" could be any of: 0: The kitchen loudspeaker (kitchen, pulseaudio); 1: The kitchen-window`,
		"hallway": `device: no loudspeaker is called "hallway"; these are there: 0: The kitchen loudspeaker`,
	} {
		options := speaker.DefaultOptions()
		options.Device = name
		if _, err := speaker.New(options, bench.NewClock()); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: error %v, want %s", name, err, message)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := speaker.DefaultOptions().Validate(); err != nil {
		t.Error(err)
	}
	for key, change := range map[string]func(*speaker.Options){
		"backend":    func(o *speaker.Options) { o.Backend = "oss" },
		"level_dbfs": func(o *speaker.Options) { o.LevelDBFS = 1 },
		"peak_dbfs":  func(o *speaker.Options) { o.PeakDBFS = math.NaN() },
	} {
		options := speaker.DefaultOptions()
		change(&options)
		if err := options.Validate(); err == nil || !strings.HasPrefix(err.Error(), key+":") {
			t.Errorf("%s: error %v", key, err)
		}
		if _, err := speaker.New(options, bench.NewClock()); err == nil {
			t.Errorf("%s: New took it", key)
		}
	}
}
