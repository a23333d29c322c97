package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	environment = []string{
		"HOME=" + filepath.Join(dir, "home"),
		"XDG_CONFIG_HOME=" + filepath.Join(dir, "config"),
		"WAKEFUZZ_CACHE=" + filepath.Join(dir, "clips"),
		"WAKEFUZZ_DATA=" + defaultConfig().Data,
	}
	code := s.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

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

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, environment...)
			return nil
		},
	})
}
