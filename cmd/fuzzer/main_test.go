package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// The tests of this package run the real program: testscript puts this test
// binary into the PATH under the name fuzzer, and under that name it is main.
func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"fuzzer": main})
}

// suite is the tests with what they share.
type suite struct{ *testing.M }

func (s suite) Run() int {
	dir, err := os.MkdirTemp("", "fuzzer-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shared = dir
	environment = []string{
		"HOME=" + filepath.Join(dir, "home"),
		"XDG_CONFIG_HOME=" + filepath.Join(dir, "config"),
		"WAKEFUZZ_CACHE=" + filepath.Join(dir, "clips"),
		"WAKEFUZZ_DATA=" + defaultConfig().Data,
		"GOOGLE_APPLICATION_CREDENTIALS=",
		"GCE_METADATA_HOST=",
		"GORACE=atexit_sleep_ms=0", // the race detector would have every child wait a second
	}
	code := s.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// shared is a folder for what several tests share.
var shared string

// environment is what every fuzzer that a test starts is given: the machine's
// own models, a home and settings that are empty, and a clip cache that all
// tests share, so that nothing is spoken twice.
var environment []string

// command is the real program as a child process. It is killed when the test
// ends before it does.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "fuzzer", args...)
	cmd.Env = append(os.Environ(), environment...)
	return cmd
}

// outcome is how a child process ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// fuzzer runs the program, which has to end with the exit code.
func fuzzer(t *testing.T, code int, args ...string) outcome {
	t.Helper()
	return finish(t, code, command(t, args...))
}

// finish runs a command, which has to end with the exit code.
func finish(t *testing.T, code int, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the exit code says it
	o := outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	o.check(t, code)
	return o
}

// check makes sure of the exit code and, where it is that of an error, of how
// the error is told.
func (o outcome) check(t *testing.T, code int) {
	t.Helper()
	if o.code != code {
		t.Fatalf("exit code %d, want %d\n%s%s", o.code, code, o.stdout, o.stderr)
	}
	if o.code != exitDone {
		if err := checkComplaint(o.stderr); err != nil {
			t.Error(err)
		}
	}
}

// says makes sure that standard error has each of the texts.
func (o outcome) says(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(o.stderr, text) {
			t.Errorf("standard error lacks %q:\n%s", text, o.stderr)
		}
	}
}

// campaignFile writes a small campaign, changed by pairs of old and new text,
// and returns the file's path.
func campaignFile(t *testing.T, changes ...string) string {
	t.Helper()
	text := `name: small
wake_word: alexa
words: {lists: [none], include: [alexis, lexus, banana]}
voices: [{engine: flite, name: kal16}]
bench: {engine: {driver: openwakeword, model: alexa_v0.1, window: 1.2s}}
protocol: {plays: 2, tries: 3}
`
	for change := range slices.Chunk(changes, 2) {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("the campaign has no %q", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	path := filepath.Join(t.TempDir(), "campaign.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// exportCSV is what a campaign has found.
func exportCSV(t *testing.T, dir string) string {
	t.Helper()
	return fuzzer(t, exitDone, "export", dir, "--format", "csv").stdout
}

// checkComplaint returns what is wrong with how the program says that it
// failed: in one line that begins with its name, and without a stack trace.
func checkComplaint(stderr string) error {
	if n := strings.Count("\n"+stderr, "\nfuzzer: "); n != 1 {
		return fmt.Errorf("%d lines say what failed, want 1:\n%s", n, stderr)
	}
	for _, trace := range []string{"panic", "goroutine ", "runtime error", ".go:"} {
		if strings.Contains(stderr, trace) {
			return fmt.Errorf("a stack trace:\n%s", stderr)
		}
	}
	return nil
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"fails": fails, "capture": makeCapture, "night": madeUpNight},
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, environment...)
			env.Setenv("DATA", defaultConfig().Data)
			return nil
		},
	})
}

// fails is a command of the scripts: "fails CODE ARG..." runs the program with
// the arguments. It has to fail with the exit code, and to say why as it should.
func fails(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("fuzzer", args[1:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != want {
		ts.Fatalf("exit code %d expected: %v", want, err)
	}
	ts.Check(checkComplaint(ts.ReadFile("stderr")))
}
