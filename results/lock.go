package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockName is the file in the campaign's folder that its runner holds locked.
// The kernel releases the lock when the runner ends, however it ends.
const lockName = "lock"

// holder is what the runner writes into the lock file.
type holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
	// Socket is where snapshots are served, if not in the campaign's folder.
	Socket string `json:"socket,omitempty"`
}

// lock is a campaign's lock, held.
type lock struct{ file *os.File }

// acquire takes the folder's lock, or returns a *LockedError.
func acquire(dir string) (*lock, error) {
	path := filepath.Join(dir, lockName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, explain(dir, err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	// A runner that was killed while it started a program, such as a voice, holds
	// it on until that program runs.
	for range 20 {
		if !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
		time.Sleep(50 * time.Millisecond)
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		file.Close()
		return nil, locked(dir)
	case err != nil:
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &lock{file}, nil
}

// announce writes who holds the lock, and where snapshots are served.
func (l *lock) announce(socket string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed host"
	}
	raw, err := json.Marshal(holder{PID: os.Getpid(), Host: host, Started: time.Now().UTC().Truncate(time.Second), Socket: socket})
	if err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil {
		return explain(l.file.Name(), err)
	}
	_, err = l.file.WriteAt(append(raw, '\n'), 0)
	return explain(l.file.Name(), err)
}

// release gives the lock up. The file stays: removing it would let two runners
// lock two files of one name.
func (l *lock) release() error {
	err := l.file.Truncate(0)
	return errors.Join(err, l.file.Close())
}

// readHolder reads who holds the folder's lock. It waits a moment for a runner
// that has only just taken it.
func readHolder(dir string) (holder, error) {
	var h holder
	var err error
	for range 10 {
		var file *os.File
		if file, err = os.Open(filepath.Join(dir, lockName)); err != nil {
			return h, err
		}
		err = json.NewDecoder(io.LimitReader(file, 4096)).Decode(&h)
		file.Close()
		if err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	return h, err
}

// locked is the error for a folder that another process has locked.
func locked(dir string) *LockedError {
	h, err := readHolder(dir)
	if err != nil {
		return &LockedError{Dir: dir}
	}
	return &LockedError{Dir: dir, PID: h.PID, Host: h.Host, Since: h.Started}
}

// Hold locks a folder that holds something else than a campaign, as a campaign's
// runner locks its own, until release is called or the process ends. The error
// is a *LockedError where somebody else holds it.
func Hold(dir string) (release func() error, err error) {
	lock, err := acquire(dir)
	if err != nil {
		return nil, err
	}
	if err := lock.announce(""); err != nil {
		return nil, errors.Join(err, lock.release())
	}
	return lock.release, nil
}

// Held returns who holds a folder that Hold locks, or nil where nobody does. It
// changes nothing.
func Held(dir string) *LockedError {
	file, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return nil
	}
	defer file.Close()
	if errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return locked(dir)
	}
	return nil
}
