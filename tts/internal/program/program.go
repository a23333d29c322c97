// Package program runs speech synthesizers that are programs: one process an
// utterance, which writes its sound to standard output. What such drivers have
// in common is here: finding the program, bounding what goes in and comes out,
// ending it with its context, and making a clip of what it wrote.
package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"wakefuzz/phoneme"
	"wakefuzz/tts"
)

// Limits of what is asked of a program.
const (
	// MaxText is the longest text in bytes: a wake word has a few dozen.
	MaxText = 500
	// MaxVolume bounds the gain in decibels, both ways. Much softer, and nothing
	// is left of 16 bits.
	MaxVolume = 40
	// maxOutput holds [tts.MaxDuration] of 16-bit sound at 32 kHz, the most
	// that these programs write, and rather more text than any lists.
	maxOutput = 4 << 20
)

// silence is the peak that a spoken word exceeds by far. Given nothing to say,
// flite's voices breathe with a peak of up to 153, while their softest words
// reach thousands.
const silence = 300

// Program is an installed program.
type Program struct {
	// Gap is what the program writes to standard error, before the name of what
	// it lacks, where it leaves a hole in the sound. Phones that it does so for are
	// unspeakable. A text is not: it is the engine that reads it.
	Gap string

	name, path string
}

// Find looks a program up in PATH. The error says which Debian package has it.
func Find(name, debianPackage string) (Program, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return Program{}, fmt.Errorf("the program %s is not installed: install it with \"apt-get install %s\": %w", name, debianPackage, err)
	}
	return Program{name: name, path: path}, nil
}

// errTooMuch: the program wrote more than maxOutput.
var errTooMuch = errors.New("output too long")

// Output runs the program with the given standard input and returns what it
// wrote to standard output, also if it failed. When ctx ends, the program is
// killed and the error wraps that of ctx.
func (p Program) Output(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	out, _, err := p.run(ctx, stdin, args...)
	return out, err
}

// run is Output, with the beginning of what the program wrote to standard error,
// on one line.
func (p Program) run(ctx context.Context, stdin string, args ...string) (output []byte, complaints string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	running, kill := context.WithCancel(ctx)
	defer kill()
	out := limited{room: maxOutput, overflow: kill}
	complaint := limited{room: 4 << 10}
	cmd := exec.CommandContext(running, p.path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8") // the text's encoding
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	// A group of its own: Ctrl-C on the terminal must not end a word that the
	// campaign still waits for. With it ends what the program itself started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // should a child have left the group, and hold our pipes
	err = cmd.Run()
	complaints = strings.Join(strings.Fields(complaint.kept.String()), " ")
	switch {
	case err == nil:
		return out.kept.Bytes(), complaints, nil
	case ctx.Err() != nil:
		return nil, "", fmt.Errorf("%s: %w", p.name, ctx.Err())
	case out.overflowed:
		return nil, "", fmt.Errorf("%s: %w", p.name, errTooMuch)
	default:
		return out.kept.Bytes(), complaints, fmt.Errorf("%s: %w: %s", p.name, err, complaints)
	}
}

// limited keeps what is written to it as long as there is room. More than that
// it passes over or, if there is an overflow, calls that and refuses.
type limited struct {
	kept       bytes.Buffer
	room       int
	overflow   func()
	overflowed bool
}

func (l *limited) Write(b []byte) (int, error) {
	switch {
	case l.kept.Len()+len(b) <= l.room:
		return l.kept.Write(b)
	case l.overflow == nil:
		return len(b), nil
	default:
		l.overflowed = true
		l.overflow()
		return 0, errTooMuch
	}
}

// Phones are the phones that u asks for, or "" where its text is to be read. It
// refuses what no program could speak, as [tts.ErrUnspeakable].
func Phones(u tts.Utterance) (phoneme.Pronunciation, error) {
	phones, err := u.Phones()
	if err == nil && phones == "" {
		err = CheckText(u.Text)
	}
	return phones, err
}

// CheckText refuses a text that no program could speak, as [tts.ErrUnspeakable].
func CheckText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return fmt.Errorf("%w: it is empty", tts.ErrUnspeakable)
	case len(text) > MaxText:
		return fmt.Errorf("%w: it has %d bytes, at most %d are spoken", tts.ErrUnspeakable, len(text), MaxText)
	case !utf8.ValidString(text):
		return fmt.Errorf("%w: %q is not UTF-8", tts.ErrUnspeakable, text)
	case strings.ContainsRune(text, 0):
		return fmt.Errorf("%w: %q holds a zero byte", tts.ErrUnspeakable, text)
	}
	return nil
}

// CheckVoice refuses a voice that is not among names, which are sorted, or
// whose volume is out of range, as [tts.ErrVoice].
func CheckVoice(v tts.Voice, names []string) error {
	if _, ok := slices.BinarySearch(names, v.Name); !ok {
		return fmt.Errorf("%w: %q, the voices of %s are %s", tts.ErrVoice, v.Name, v.Engine, strings.Join(names, ", "))
	}
	return CheckRange(v, "volume", v.Volume, -MaxVolume, MaxVolume)
}

// CheckRange refuses a voice with a property out of range, as [tts.ErrVoice].
func CheckRange(v tts.Voice, property string, value, lowest, highest float64) error {
	if value >= lowest && value <= highest { // false for NaN
		return nil
	}
	return fmt.Errorf("%w: %s has a %s of %g, %s can do %g to %g", tts.ErrVoice, v, property, value, v.Engine, lowest, highest)
}

// Speak runs the program with the given standard input. It writes u as a WAV
// file, which is returned as a clip, with the gain that u asks for.
func (p Program) Speak(ctx context.Context, u tts.Utterance, stdin string, args ...string) (tts.Clip, error) {
	out, complaints, err := p.run(ctx, stdin, args...)
	if errors.Is(err, errTooMuch) {
		return tts.Clip{}, fmt.Errorf("%w: the sound of %q is longer than %v", tts.ErrUnspeakable, u, tts.MaxDuration)
	}
	if err != nil {
		return tts.Clip{}, fmt.Errorf("speak %q: %w", u, err)
	}
	if p.Gap != "" && u.Pronunciation != "" {
		if _, lacking, found := strings.Cut(complaints, p.Gap); found {
			lacking, _, _ = strings.Cut(strings.TrimSpace(lacking), " ")
			return tts.Clip{}, fmt.Errorf("%w: %s by %s lacks the sound of %s in %q", tts.ErrUnspeakable, u.Voice.Name, p.name, lacking, u)
		}
	}
	c, err := tts.DecodeWAV(bytes.NewReader(out))
	if err != nil {
		return tts.Clip{}, fmt.Errorf("speak %q: %s wrote no usable sound: %w", u, p.name, err)
	}
	return Finish(p.name, u, c)
}

// Finish gives what an engine made of u the gain that u asks for. It refuses a
// clip without sound, as [tts.ErrUnspeakable].
func Finish(engine string, u tts.Utterance, c tts.Clip) (tts.Clip, error) {
	top := peak(c)
	if top < silence {
		return tts.Clip{}, fmt.Errorf("%w: %s makes no sound of %q", tts.ErrUnspeakable, engine, u)
	}
	if u.Voice.Volume != 0 {
		// As loud as asked for, or as it can be without clipping.
		amplify(c, min(math.Pow(10, u.Voice.Volume/20), math.MaxInt16/float64(top)))
	}
	return c, nil
}

// peak is the largest absolute sample.
func peak(c tts.Clip) int {
	top := 0
	for _, x := range c.Samples {
		top = max(top, int(x), -int(x))
	}
	return top
}

func amplify(c tts.Clip, gain float64) {
	for i, x := range c.Samples {
		c.Samples[i] = int16(math.Round(float64(x) * gain))
	}
}
