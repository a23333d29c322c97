package program_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/tts"
	"wakefuzz/tts/internal/program"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell stands for a synthesizer that misbehaves.
func shell(t *testing.T) program.Program {
	t.Helper()
	p, err := program.Find("sh", "dash")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOutput(t *testing.T) {
	got, err := shell(t).Output(t.Context(), "wake up", "-c", `read a b; echo "$b $a $LC_ALL"`)
	if err != nil || string(got) != "up wake C.UTF-8\n" {
		t.Errorf("output %q, error %v", got, err)
	}
}

func TestOutputOfAFailure(t *testing.T) {
	got, err := shell(t).Output(t.Context(), "", "-c", `echo half; echo no such >&2; echo lexicon >&2; exit 3`)
	if string(got) != "half\n" || err == nil || !strings.Contains(err.Error(), "sh: exit status 3: no such lexicon") {
		t.Errorf("output %q, error %v, want status and message", got, err)
	}
}

// A program that complains at length still does its work.
func TestOutputPassesOverComplaints(t *testing.T) {
	got, err := shell(t).Output(t.Context(), "", "-c", `i=0; while [ $i -lt 2000 ]; do echo warning $i >&2; i=$((i+1)); done; echo done`)
	if err != nil || string(got) != "done\n" {
		t.Errorf("output %q, error %v", got, err)
	}
}

func TestOutputIsBounded(t *testing.T) {
	if got, err := shell(t).Output(t.Context(), "", "-c", `while :; do echo and so on and on; done`); err == nil || got != nil {
		t.Errorf("an endless output: %d bytes, error %v", len(got), err)
	}
}

// When the context ends, the program is gone, with what it started.
func TestOutputKillsAll(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if b, err := os.ReadFile(pids); err == nil && strings.HasSuffix(string(b), "\n") {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := shell(t).Output(ctx, "", "-c", `sleep 600 & echo $$ $! >`+pids+`; sleep 600`)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	b, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(5 * time.Second); alive(pid); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d lives on", pid)
			}
		}
	}
}

// alive tells whether a process runs. An orphan that was killed may remain as a
// zombie where no init reaps it.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

// What the terminal sends to its foreground processes, such as Ctrl-C, is not
// for the program.
func TestOutputHasItsOwnGroup(t *testing.T) {
	got, err := shell(t).Output(t.Context(), "", "-c", `cut -d" " -f5 /proc/self/stat`)
	if err != nil {
		t.Fatal(err)
	}
	if ours := strconv.Itoa(syscall.Getpgrp()); strings.TrimSpace(string(got)) == ours {
		t.Errorf("the program runs in our process group, %s", ours)
	}
}

func TestSpeakMisbehaviour(t *testing.T) {
	u := tts.Utterance{Text: "alexa"}
	for name, test := range map[string]struct {
		script, want string
		is           error
	}{
		"endless sound": {script: `while :; do echo and so on and on; done`, is: tts.ErrUnspeakable, want: "longer than 1m0s"},
		"crash":         {script: `kill -SEGV $$`, want: `speak "alexa": sh: signal: segmentation fault`},
		"no sound file": {script: `echo hello`, want: "sh wrote no usable sound"},
		"nothing":       {script: `:`, want: "sh wrote no usable sound"},
	} {
		_, err := shell(t).Speak(t.Context(), u, "", "-c", test.script)
		if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
		}
		if test.is == nil && errors.Is(err, tts.ErrUnspeakable) {
			t.Errorf("%s: a broken program is taken for an odd text: %v", name, err)
		}
	}
}

func TestFind(t *testing.T) {
	if _, err := program.Find("no-such-program", "some-package"); err == nil || !strings.Contains(err.Error(), "apt-get install some-package") {
		t.Errorf("error %v, want what to install", err)
	}
}
