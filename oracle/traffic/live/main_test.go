package live_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// inside says that the process has a network of its own.
const inside = "WAKEFUZZ_TEST_NETWORK"

// TestMain runs the tests in a network namespace that ends with them and from
// which nothing can leave. All threads are to be in it, so it takes a process.
func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		goleak.VerifyTestMain(m)
		return
	}
	tests := exec.Command("/proc/self/exe", os.Args[1:]...)
	tests.Env = append(os.Environ(), inside+"=1")
	tests.Stdin, tests.Stdout, tests.Stderr = os.Stdin, os.Stdout, os.Stderr
	tests.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		// Where the system lets anyone have namespaces, root isn't needed.
		tests.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		tests.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	}
	err := tests.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		fmt.Fprintf(os.Stderr, "the tests need a network namespace of their own: %v; run them as root\n", err)
		os.Exit(1)
	}
	os.Exit(tests.ProcessState.ExitCode())
}
