package results_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"wakefuzz/results"
)

func TestKilledWhileAppending(t *testing.T) {
	s, dir := create(t, plan(2, 1))
	closing(t, s)
	acknowledged, before := 0, 0
	for round := range 12 {
		cmd, lines := spawn(t, "append", dir)
		if !lines.Scan() {
			t.Fatalf("round %d: the runner did not start", round)
		}
		time.AfterFunc(time.Duration(rand.IntN(40))*time.Millisecond, func() { cmd.Process.Kill() })
		for lines.Scan() {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatal(err)
			}
			acknowledged = n
		}
		cmd.Wait()

		r := view(t, dir)
		attempts := all(t, r)
		closing(t, r)
		if len(attempts)%2 != 0 {
			t.Errorf("round %d: half a commit is there", round)
		}
		stored := len(attempts) / 2
		if known := max(acknowledged, before); stored < known || stored > known+1 {
			t.Errorf("round %d: %d commits are there, %d were acknowledged", round, stored, known)
		}
		before = stored
		checkFile(t, dir)
	}
	if acknowledged == 0 {
		t.Error("no commit was acknowledged in any round")
	}
}

func TestKilledWhileCreating(t *testing.T) {
	created := 0
	for round := range 8 {
		dir := t.TempDir()
		cmd, lines := spawn(t, "create", dir)
		kill := func() {
			time.AfterFunc(time.Duration(rand.IntN(60))*time.Millisecond, func() { cmd.Process.Kill() })
		}
		// Every other round is killed once it is known to have made a store: on a
		// busy machine the others may not get that far.
		if round%2 == 0 {
			kill()
		}
		acknowledged := -1
		for lines.Scan() {
			if acknowledged, _ = strconv.Atoi(lines.Text()); acknowledged == 0 && round%2 == 1 {
				kill()
			}
		}
		cmd.Wait()
		created += acknowledged + 1
		for i := range acknowledged + 2 {
			folder := filepath.Join(dir, fmt.Sprint(i))
			r, err := results.View(t.Context(), folder)
			if errors.Is(err, results.ErrNotFound) && i > acknowledged {
				closing(t, createIn(t, folder, plan(2, 1))) // nothing is in the way
				continue
			}
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if n := len(r.Trials()); n != 200 {
				t.Errorf("round %d: a store with %d trials", round, n)
			}
			closing(t, r)
		}
	}
	if created == 0 {
		t.Error("no store was made in any round")
	}
}

func TestAKilledRunnerIsNoHindrance(t *testing.T) {
	s, dir := create(t, plan(2, 1))
	closing(t, s)
	cmd, lines := spawn(t, "append", dir)
	for range 3 {
		lines.Scan()
	}
	_, err := results.Open(dir)
	if locked, ok := errors.AsType[*results.LockedError](err); !ok || locked.PID != cmd.Process.Pid {
		t.Errorf("open beside process %d: %v", cmd.Process.Pid, err)
	}
	r := view(t, dir)
	if r.RunnerPID() != cmd.Process.Pid {
		t.Errorf("the runner is process %d, not %d", cmd.Process.Pid, r.RunnerPID())
	}
	if n := len(all(t, r)); n < 4 {
		t.Errorf("%d attempts", n)
	}
	closing(t, r)

	cmd.Process.Kill()
	cmd.Wait()
	if _, err := os.Lstat(filepath.Join(dir, "socket")); err != nil {
		t.Errorf("the killed runner left no socket: %v", err)
	}
	closing(t, view(t, dir))
	if s, err = results.Open(dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(filepath.Join(dir, "socket"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info, err)
	}
	closing(t, view(t, dir))
	closing(t, s)
	if _, err := os.Lstat(filepath.Join(dir, "socket")); err == nil {
		t.Error("the socket is still there")
	}
}

func TestARunnerThatDoesNotAnswer(t *testing.T) {
	s, dir := create(t, plan(2, 1))
	closing(t, s)
	cmd, lines := spawn(t, "append", dir)
	lines.Scan()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(cmd.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the runner did not stop: %v, %v", status, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := results.View(ctx, dir)
	locked, ok := errors.AsType[*results.LockedError](err)
	if !ok || locked.PID != cmd.Process.Pid || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("view: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
}

func TestPathsLongerThanASocketsAddress(t *testing.T) {
	dir := t.TempDir()
	for len(dir) <= 200 {
		dir = filepath.Join(dir, strings.Repeat("long", 12))
	}
	trials := plan(2, 1)
	s := createIn(t, dir, trials)
	defer closing(t, s)
	if err := s.Append(attempt(play(trials[0], 0), 1, 1, 0.9)); err != nil {
		t.Fatal(err)
	}
	r := view(t, dir)
	defer closing(t, r)
	if n := len(all(t, r)); n != 1 {
		t.Errorf("%d attempts", n)
	}
}

func TestFoldersThatHoldNoSocket(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	dir := filepath.Join(t.TempDir(), "campaign")
	// Something that can't be removed stands where the socket would be.
	if err := os.MkdirAll(filepath.Join(dir, "socket", "taken"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := createIn(t, dir, plan(2, 1))
	closing(t, view(t, dir))
	closing(t, s)
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestACopyIsOfOneCommit(t *testing.T) {
	const plays = 150
	trials := plan(2, plays)
	s, dir := create(t, trials)
	done := make(chan error)
	go func() {
		for i := range plays {
			if err := s.Append(
				attempt(play(trials[0], i), 1, 1, 0.9),
				attempt(play(trials[1], i), 1, 1, 0.9),
			); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	// Readers come while it is written to and beyond its end.
	last := 0
	for last < 2*plays {
		r := view(t, dir)
		n := len(all(t, r))
		closing(t, r)
		if n%2 != 0 || n < last {
			t.Fatalf("%d attempts after %d", n, last)
		}
		if last = n; n == 2*plays {
			break
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			done = nil
		default:
		}
	}
	if done != nil {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	closing(t, s)
}

func TestReadersRaceWithARunnersComingAndGoing(t *testing.T) {
	s, dir := create(t, plan(2, 1))
	closing(t, s)
	stop := make(chan struct{})
	done := make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			s, err := results.Open(dir)
			if err == nil {
				err = s.Close()
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	for range 150 {
		closing(t, view(t, dir))
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestACopyThatIsCutOffIsFetchedAgain(t *testing.T) {
	trials := plan(2, 1)
	s, dir := create(t, trials)
	if err := s.Append(attempt(play(trials[0], 0), 1, 1, 0.9)); err != nil {
		t.Fatal(err)
	}
	closing(t, s)

	// A runner of our own making, that is killed in the middle of a copy twice.
	db, err := bbolt.Open(filepath.Join(dir, "store.db"), 0o644, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, db)
	if err := os.WriteFile(filepath.Join(dir, "lock"), []byte(`{"pid":1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	listener, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		served <- func() error {
			for i := range 3 {
				conn, err := listener.Accept()
				if err != nil {
					return err
				}
				err = db.View(func(tx *bbolt.Tx) error {
					size := tx.Size()
					if err := binary.Write(conn, binary.BigEndian, size); err != nil {
						return err
					}
					if i < 2 {
						_, err := conn.Write(make([]byte, 5000*i))
						return err
					}
					_, err := tx.WriteTo(conn)
					return err
				})
				if err := errors.Join(err, conn.Close()); err != nil {
					return err
				}
			}
			return nil
		}()
	}()
	r := view(t, dir)
	if n := len(all(t, r)); n != 1 {
		t.Errorf("%d attempts", n)
	}
	closing(t, r)
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestAFullDisk(t *testing.T) {
	dir := mount(t, "tmpfs", "", 0, "size=1m")
	trials := plan(2, 100_000)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20-64<<10), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := results.Create(filepath.Join(dir, "big"), campaign(), plan(5000, 1)); !errors.Is(err, results.ErrFull) {
		t.Fatalf("create: %v", err)
	}
	if err := os.Truncate(ballast, 128<<10); err != nil {
		t.Fatal(err)
	}
	campaign := filepath.Join(dir, "campaign")
	s := createIn(t, campaign, trials)

	fill := func(from int) (next int) {
		t.Helper()
		for next = from; ; next++ {
			err := s.Append(attempt(play(trials[0], next), 1, 1, 0.9))
			if errors.Is(err, results.ErrFull) {
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("not one line: %v", err)
				}
				return next
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	stored := fill(0)
	if stored == 0 {
		t.Fatal("nothing could be stored")
	}
	if n := len(all(t, s.Reader)); n != stored {
		t.Errorf("%d attempts are there, %d were stored", n, stored)
	}
	t.Setenv("TMPDIR", dir)
	if _, err := results.View(t.Context(), campaign); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("a view without room for the copy: %v", err)
	}
	// With some room it goes on, with the same store or one opened anew.
	if err := os.Truncate(ballast, 64<<10); err != nil {
		t.Fatal(err)
	}
	if more := fill(stored); more == stored {
		t.Error("room was made in vain")
	} else {
		stored = more
	}
	closing(t, s)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	var err error
	if s, err = results.Open(campaign); err != nil {
		t.Fatal(err)
	}
	stored = fill(stored)
	if n := len(all(t, s.Reader)); n != stored {
		t.Errorf("%d attempts are there, %d were stored", n, stored)
	}
	closing(t, s)
}

func TestAReadOnlyFolder(t *testing.T) {
	s, dir := create(t, plan(2, 1))
	closing(t, s)
	frozen := mount(t, "", dir, unix.MS_BIND, "")
	if err := unix.Mount("", frozen, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	closing(t, view(t, frozen))
	if _, err := results.Open(frozen); !errors.Is(err, results.ErrReadOnly) {
		t.Errorf("open: %v", err)
	}
	if _, err := results.Create(filepath.Join(frozen, "new"), campaign(), plan(1, 1)); !errors.Is(err, results.ErrReadOnly) {
		t.Errorf("create: %v", err)
	}
}

// mount mounts something for the length of the test.
func mount(t *testing.T, kind, source string, flags uintptr, options string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "results-mount-*") // t.TempDir would be removed too early
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	if err := unix.Mount(source, dir, kind, flags, options); err != nil {
		t.Fatalf("mount: %v: run the tests as root, in a container with CAP_SYS_ADMIN", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}
