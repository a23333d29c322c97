package results

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What can go wrong with a store, for errors.Is. A second runner is told apart
// by errors.As with a [*LockedError].
var (
	// ErrNotFound: the folder holds no store.
	ErrNotFound = errors.New("no such campaign")
	// ErrExists: the folder holds a store already.
	ErrExists = errors.New("the folder already holds a campaign")
	// ErrNewerSchema: a later version of the program made the store.
	ErrNewerSchema = errors.New("made by a newer version of this program")
	// ErrDamaged: the store's file does not hold what was written to it. It is
	// never changed once that is known.
	ErrDamaged = errors.New("damaged")
	// ErrFull: the disk, or the user's quota, is full. What was stored before
	// is safe.
	ErrFull = errors.New("the disk is full")
	// ErrReadOnly: the campaign's folder can't be written to.
	ErrReadOnly = errors.New("can't be written to")
)

// LockedError says that another process uses a campaign's store.
type LockedError struct {
	Dir string
	// PID and Host name the runner, and Since is when it began. PID is 0 where
	// the other process is not known.
	PID   int
	Host  string
	Since time.Time
}

// Error names the runner and what to do.
func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("campaign %s: in use by another process: try again when it is done", e.Dir)
	}
	return fmt.Sprintf("campaign %s: in use by process %d on %s since %s: wait for it, or stop it with kill -INT %d",
		e.Dir, e.PID, e.Host, e.Since.Local().Format(time.DateTime), e.PID)
}

// damaged wraps the cause of damage to the file with what can be done.
func damaged(path string, cause error) error {
	if !errors.Is(cause, ErrDamaged) {
		cause = fmt.Errorf("%w: %w", ErrDamaged, cause)
	}
	return fmt.Errorf("%s: %w: the file was left as it is; put a sound copy of it in its place, or start the campaign anew in another folder", path, cause)
}

// explain turns what the system says of a write into what the user can do.
func explain(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT),
		// bbolt keeps only the text of what went wrong while a file grew.
		strings.Contains(err.Error(), unix.ENOSPC.Error()):
		return fmt.Errorf("%s: %w: make room and try again; what was stored before is safe", path, ErrFull)
	case errors.Is(err, unix.EROFS), errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s: %w: %w", path, ErrReadOnly, err)
	default:
		return fmt.Errorf("%s: %w", path, err)
	}
}
