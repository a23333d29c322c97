// Package virtualspeaker is a smart speaker made of software, and the cloud
// that it talks to, for tests of everything that lies between a loudspeaker
// and a verdict.
//
// # What it does
//
// A [Speaker] listens to a source of PulseAudio, usually the monitor of a sink
// that a test plays to, and runs a real wake-word model on what it hears. When
// the model reacts, the speaker reacts: it lights its ring and streams what it
// hears, beginning half a second before, to its [Cloud] over TLS, as 16-bit
// samples at 16 kHz. The stream ends once it has been quiet for a while; the
// ring goes dark when the cloud has answered. Beside that the speaker sends
// what idle speakers send, at the intervals that section 3 of the paper
// gives; the sizes are ours.
//
// The other devices of section 5.1 are speakers of another kind: a camera that
// tells of noises reacts to any sound ([AnySound]), a smoke alarm to none
// ([NoSound]), and either has a background of its own.
//
// Where it is given a network interface, it brings the link up, gets its
// address and its name server by DHCP, and finds the cloud by name, as a
// device does. The folder bed puts speaker and cloud into network namespaces
// with a gateway between them.
//
// # Commands
//
// Speaker and cloud obey commands on a Unix socket, by [Serve], one a line.
// Each is answered by a line of JSON: the [Status], or {"error": ...}. What a
// command changes stays so until another changes it back; a reboot changes
// nothing of it.
//
//	status             what it is doing
//	mute, unmute       the microphone hears nothing
//	deaf, hearing      the model reacts to nothing; a reaction under way goes on
//	misses SHARE       it misses that share of the words that would wake it, from 0
//	                   to 1, evenly: with 0.5 every second one
//	unplug, plug       the network link goes down, with its address
//	react light        it reacts without traffic; react traffic: without light;
//	                   react both: as it should
//	flicker, steady    the ring flickers while it is lit
//	reboot             everything ends, the link goes down, and some time
//	                   later it all begins anew
//
// The cloud obeys these:
//
//	status             what it has received
//	slow DURATION      answers come that late; 0s for at once
//	lossy SHARE        that share of the packets sent to it is lost, from 0 to
//	                   0.9, on the last hop; TCP sends them again
//
// # Limits
//
//   - It hears what PulseAudio mixes, not what a room does to a sound.
//   - Its traffic is plain HTTP over TLS; only sizes and times are meant to
//     look like a speaker's.
//   - A sound server that hangs, as opposed to one that is gone, stops the
//     speaker in the middle of what it does.
package virtualspeaker

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"wakefuzz/oracle/engine/openwakeword"
	"wakefuzz/tts"
)

// Options are how a speaker is made.
type Options struct {
	Assets openwakeword.Assets
	// Model is the wake word's model, named as in openwakeword.Options, and
	// Threshold the score from which on it reacts. AnySound and NoSound are for
	// devices without a wake word, whose scores are 0 and 1.
	Model     string
	Threshold float32
	// Source is what the speaker listens to, by PulseAudio's name.
	Source string
	// Interface is the network interface that the speaker has for itself, and
	// configures by DHCP, with what it keeps of that in Folder. Without one it
	// uses the network as it is.
	Interface, Folder string
	// Cloud is the cloud's host and port, and Trust what its certificate is
	// checked against.
	Cloud string
	Trust *x509.CertPool
	// Silence is how long it must have been quiet for a stream to end, and
	// Longest when it ends in any case.
	Silence, Longest time.Duration
	// Background is what it sends when idle, and Haste how many times more often
	// than that says.
	Background Background
	Haste      float64
	// Boot is how long a reboot takes.
	Boot time.Duration
	// Ring is called when the ring is lit or goes dark, by one goroutine at a
	// time.
	Ring func(lit bool)
}

// DefaultOptions lack Assets, Source, Cloud, Trust and Ring. A silence of 2.5 s
// makes a stream send in at least three windows of a second, which is what the
// burst rule of section 4.1.1 needs with n = 3, wherever they begin.
func DefaultOptions() Options {
	return Options{
		Model:      "alexa_v0.1",
		Threshold:  0.5,
		Silence:    2500 * time.Millisecond,
		Longest:    10 * time.Second,
		Background: SpeakerBackground,
		Haste:      1,
		Boot:       3 * time.Second,
	}
}

// frame is how much sound the model hears at a time.
const (
	frame        = 80 * time.Millisecond
	frameSamples = int(frame * tts.SampleRate / time.Second)
)

// before is how much of what was heard before the model reacted is streamed.
const before = 500 * time.Millisecond

// loud is the RMS, in sample steps, from which on a frame is not quiet: -50 dBFS.
const loud = 104

// reaction is what a speaker shows of one.
type reaction string

const (
	both    reaction = "both"
	light   reaction = "light"
	traffic reaction = "traffic"
)

// Speaker is a smart speaker. It is made by New and lives while Run runs.
type Speaker struct {
	options Options
	link    *link // nil without an interface
	uplink  *uplink

	mu       sync.Mutex
	muted    bool
	deaf     bool
	misses   float64   // the share of words
	due      float64   // of a word that is to be missed
	missing  time.Time // until then it is still the word that was missed
	flickers bool
	reaction reaction
	status   Status
	reboot   func() // ends the present life; nil between lives
}

// Status is what a speaker is doing.
type Status struct {
	// Address is the one that DHCP gave, if any.
	Address string `json:"address"`
	// Online says that the cloud has answered its greeting.
	Online bool `json:"online"`
	// Hears says that sound comes in, and the model listens.
	Hears bool `json:"hears"`
	// Frames is how many of sound have come in, of 80 ms each, muted or not.
	Frames int `json:"frames"`
	// Reacts says that it is reacting to its wake word just now, and Wakes how
	// often it has begun to.
	Reacts bool `json:"reacts"`
	Wakes  int  `json:"wakes"`
	// Best is the highest score since the last command other than status.
	Best float32 `json:"best"`
	// Lives counts how often the speaker has started: once, and once for each
	// reboot.
	Lives int `json:"lives"`
}

// New makes a speaker that is switched off.
func New(o Options) (*Speaker, error) {
	if o.Haste <= 0 || o.Silence <= 0 || o.Longest <= 0 || o.Ring == nil || len(o.Background) == 0 {
		return nil, errors.New("virtual speaker: haste, silence and longest must be above zero, and ring and background be given")
	}
	s := &Speaker{options: o, reaction: both}
	dialer := &net.Dialer{}
	if o.Interface != "" {
		l, err := newLink(o.Interface, o.Folder)
		if err != nil {
			return nil, fmt.Errorf("virtual speaker: %w", err)
		}
		s.link = l
		dialer.Resolver = l.resolver()
	}
	s.uplink = newUplink(o.Cloud, o.Trust, dialer)
	return s, nil
}

// Run is the speaker's life, and its next ones after reboots, until ctx ends.
// The error says what it lacks; it is nil where ctx ended.
func (s *Speaker) Run(ctx context.Context) error {
	for {
		life, end := context.WithCancel(ctx)
		s.change(func() { s.status.Lives++; s.reboot = end })
		err := s.live(life)
		s.change(func() { s.status = Status{Wakes: s.status.Wakes, Lives: s.status.Lives}; s.reboot = nil })
		rebooting := life.Err() != nil && ctx.Err() == nil
		end()
		if !rebooting {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		log.Print("rebooting")
		sleep(ctx, s.options.Boot)
	}
}

// live is one life, from power-on to power-off.
func (s *Speaker) live(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer end()
	defer s.uplink.hangUp()

	ears, err := s.options.ears()
	if err != nil {
		return err
	}
	defer ears.Close()
	if s.link != nil {
		if err := s.link.power(true); err != nil {
			return err
		}
		defer func() {
			if err := s.link.power(false); err != nil {
				log.Print(err)
			}
		}()
	}
	for i, b := range s.options.Background {
		var greeted func()
		if i == 0 {
			greeted = func() { s.change(func() { s.status.Online = true }) }
		}
		parts.Go(func() { b.repeat(ctx, s.uplink, s.options.Haste, greeted) })
	}
	frames := make(chan []int16)
	parts.Go(func() { listen(ctx, s.options.Source, frames) })
	return s.hear(ctx, ears, frames)
}

// hear is what the speaker does with what it hears.
func (s *Speaker) hear(ctx context.Context, ears ears, frames <-chan []int16) error {
	var recent [][]int16 // what is streamed from before the wake word was known
	var utterance *utterance
	var reactions sync.WaitGroup
	defer reactions.Wait()
	defer func() {
		if utterance != nil {
			close(utterance.sound)
		}
	}()
	for {
		var heard []int16
		select {
		case <-ctx.Done():
			return nil
		case heard = <-frames:
		}
		if s.asks(func() bool { return s.muted }) {
			clear(heard)
		}
		scores, err := ears.Hear(heard)
		if err != nil {
			return err
		}
		if s.woken(scores) {
			utterance = newUtterance(recent, s.options.Silence, s.options.Longest)
			sound := utterance.sound
			reactions.Go(func() { s.react(ctx, sound) })
		}
		if utterance != nil {
			utterance.hear(heard)
			if utterance.over() {
				close(utterance.sound)
				utterance = nil
			}
		}
		recent = append(recent, heard)
		recent = recent[max(0, len(recent)-int(before/frame)):]
	}
}

// woken takes in scores and says whether they wake the speaker. A speaker that
// still reacts is not woken again.
func (s *Speaker) woken(scores []float32) (woken bool) {
	s.change(func() {
		s.status.Hears = true
		s.status.Frames++
		for _, score := range scores {
			s.status.Best = max(s.status.Best, score)
			woken = woken || score >= s.options.Threshold && !s.deaf && !s.status.Reacts
		}
		if woken = woken && !s.missed(); woken {
			s.status.Reacts = true
			s.status.Wakes++
		}
	})
	return woken
}

// wordLength is how long the scores of a word stay up, at most.
const wordLength = 2 * time.Second

// missed says whether a word that would wake the speaker is one to be missed.
func (s *Speaker) missed() bool {
	if time.Now().Before(s.missing) {
		return true
	}
	if s.due += s.misses; s.due < 1 {
		return false
	}
	s.due--
	s.missing = time.Now().Add(wordLength)
	return true
}

// react lights the ring and streams the sound until it ends and the cloud has
// answered.
func (s *Speaker) react(ctx context.Context, sound <-chan []int16) {
	defer s.change(func() { s.status.Reacts = false })
	var shows reaction
	var flickers bool
	s.change(func() { shows, flickers = s.reaction, s.flickers })
	over := make(chan struct{})
	var ring sync.WaitGroup
	defer ring.Wait()
	defer close(over)
	if shows != traffic {
		ring.Go(func() { glow(s.options.Ring, flickers, over) })
	}
	if shows != light {
		if err := s.uplink.stream(ctx, sound, s.options.Longest); err != nil {
			log.Printf("streaming: %v", err)
		}
	}
	for range sound { // what the cloud did not take
	}
}

// A segment of light that goes round passes any one place that often.
const (
	flickerLit  = 80 * time.Millisecond
	flickerDark = 120 * time.Millisecond
)

// glow keeps the ring lit until over is closed.
func glow(ring func(lit bool), flickers bool, over <-chan struct{}) {
	for {
		ring(true)
		if !flickers {
			<-over
			ring(false)
			return
		}
		select {
		case <-over:
		case <-time.After(flickerLit):
		}
		ring(false)
		select {
		case <-over:
			return
		case <-time.After(flickerDark):
		}
	}
}

// Obey does what a command says and returns the Status; see the package's
// comment.
func (s *Speaker) Obey(command string) (any, error) {
	if command != "status" {
		if err := s.do(command); err != nil {
			return nil, err
		}
		s.change(func() { s.status.Best = 0 })
	}
	var status Status
	s.change(func() { status = s.status })
	if s.link != nil {
		status.Address = s.link.address()
	}
	return status, nil
}

func (s *Speaker) do(command string) error {
	if text, ok := strings.CutPrefix(command, "misses "); ok {
		share, err := strconv.ParseFloat(text, 64)
		if err != nil || !(share >= 0 && share <= 1) {
			return fmt.Errorf("%s: a share from 0 to 1 is needed", command)
		}
		s.change(func() { s.misses = share })
		return nil
	}
	switch command {
	case "mute", "unmute":
		s.change(func() { s.muted = command == "mute" })
	case "deaf", "hearing":
		s.change(func() { s.deaf = command == "deaf" })
	case "flicker", "steady":
		s.change(func() { s.flickers = command == "flicker" })
	case "react both", "react light", "react traffic":
		s.change(func() { s.reaction = reaction(strings.TrimPrefix(command, "react ")) })
	case "unplug", "plug":
		if s.link == nil {
			return fmt.Errorf("%s: the speaker has no network interface of its own", command)
		}
		defer s.uplink.hangUp()
		return s.link.plug(command == "plug")
	case "reboot":
		s.change(func() {
			if s.reboot != nil {
				s.reboot()
			}
		})
	default:
		return fmt.Errorf("%q: unknown command; known: status, mute, unmute, deaf, hearing, misses SHARE, unplug, plug, react both, react light, react traffic, flicker, steady, reboot", command)
	}
	return nil
}

// change does something to what mu guards.
func (s *Speaker) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// asks asks something of what mu guards.
func (s *Speaker) asks(f func() bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

// sleep waits, and says whether it was left to.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Trust reads the certificate that a cloud has written.
func Trust(certificate string) (*x509.CertPool, error) {
	text, err := os.ReadFile(certificate)
	if err != nil {
		return nil, fmt.Errorf("virtual speaker: the cloud's certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("virtual speaker: %s holds no certificate", certificate)
	}
	return pool, nil
}
