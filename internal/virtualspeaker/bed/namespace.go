package bed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// namespace is a network of its own. It has no name: it lasts as long as the
// file is open or a program runs in it, so however this process ends, the
// kernel clears it away with its interfaces.
type namespace struct{ file *os.File }

// newNamespace makes a network that has nothing but its loopback. There is no
// IPv6 in it, whose announcements would only add noise.
func newNamespace(ctx context.Context) (*namespace, error) {
	type made struct {
		file *os.File
		err  error
	}
	result := make(chan made)
	go func() {
		// The thread moves to the new network, and since it is never unlocked,
		// it ends with the goroutine.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			result <- made{err: fmt.Errorf("making a network namespace: %w; it takes root", err)}
			return
		}
		file, err := os.Open("/proc/thread-self/ns/net")
		result <- made{file, err}
	}()
	r := <-result
	if r.err != nil {
		return nil, r.err
	}
	n := &namespace{r.file}
	err := n.run(ctx, "sh", "-c", `ip link set lo up
		for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do if [ -e "$f" ]; then echo 1 >"$f"; fi; done`)
	if err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// path is how other programs find the namespace, as long as this process lives.
func (n *namespace) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd()) }

// command is a program in the namespace. Its process is the program's own.
func (n *namespace) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + n.path(), "--", name}, args...)...)
}

// run runs a program in the namespace.
func (n *namespace) run(ctx context.Context, name string, args ...string) error {
	if out, err := n.command(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// within calls f on a thread that is in the namespace. What f opens stays
// there; goroutines that it starts are not.
func (n *namespace) within(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: see newNamespace
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("entering a network namespace: %w", err)
			return
		}
		result <- f()
	}()
	return <-result
}

func (n *namespace) close() { n.file.Close() }
