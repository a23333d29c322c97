// Package host asks the kernel about the machine that a campaign is to run on:
// whether its clock is right, and how much room its disks have. It changes
// nothing, and leaves nothing behind.
package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// Synchronized says whether the kernel takes its wall clock for synchronized,
// as chrony, ntpd and systemd-timesyncd tell it once they have set it.
func Synchronized() (bool, error) {
	var clock unix.Timex // without modes: only a question
	state, err := unix.Adjtimex(&clock)
	if err != nil {
		return false, fmt.Errorf("asking for the state of the clock: %w", err)
	}
	return state != unix.TIME_ERROR && clock.Status&unix.STA_UNSYNC == 0, nil
}

// Built returns a time that has certainly passed: when the source of the
// program was committed or its file was written, whichever is later. A clock
// that shows less is wrong. It is the zero time where neither is known.
func Built(program string) time.Time {
	var built time.Time
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				built, _ = time.Parse(time.RFC3339, s.Value) // else unknown
			}
		}
	}
	if file, err := os.Stat(program); err == nil && file.ModTime().After(built) {
		built = file.ModTime()
	}
	return built
}

// Disk is the file system that a folder is on, or would be made on.
type Disk struct {
	// Folder is the folder itself or, where it does not exist yet, the nearest
	// one above it that does.
	Folder string
	// Device tells file systems apart.
	Device uint64
	// Bytes and Files are how many of each this user may still add. Files is -1
	// where the file system does not count them.
	Bytes, Files int64
}

// DiskOf returns the file system of a folder.
func DiskOf(folder string) (Disk, error) {
	path, err := filepath.Abs(folder)
	if err != nil {
		return Disk{}, err
	}
	info, err := os.Stat(path)
	for errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path) {
		path = filepath.Dir(path)
		info, err = os.Stat(path)
	}
	if err != nil {
		return Disk{}, err
	}
	if !info.IsDir() {
		return Disk{}, fmt.Errorf("%s is not a folder", path)
	}
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return Disk{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	var room unix.Statfs_t
	if err := unix.Statfs(path, &room); err != nil {
		return Disk{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	d := Disk{Folder: path, Device: uint64(stat.Dev), Bytes: int64(room.Bavail) * int64(room.Frsize), Files: int64(room.Ffree)}
	if room.Files == 0 {
		d.Files = -1
	}
	return d, nil
}

// Usable returns an error where files can't be made and locked in the folder.
// It tries with a file that has no name, which the kernel takes back whatever
// happens, or where the file system has no such files only asks for the right.
func (d Disk) Usable() error {
	fd, err := unix.Open(d.Folder, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EISDIR):
		if err := unix.Access(d.Folder, unix.W_OK|unix.X_OK); err != nil {
			return &fs.PathError{Op: "write to", Path: d.Folder, Err: err}
		}
		return nil
	case err != nil:
		return &fs.PathError{Op: "make a file in", Path: d.Folder, Err: err}
	}
	defer unix.Close(fd)
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return &fs.PathError{Op: "lock a file in", Path: d.Folder, Err: err}
	}
	return nil
}
