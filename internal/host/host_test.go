package host_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wakefuzz/internal/host"
)

func TestSynchronized(t *testing.T) {
	got, err := host.Synchronized()
	if err != nil {
		t.Fatal(err)
	}
	var clock unix.Timex
	if _, err := unix.Adjtimex(&clock); err != nil {
		t.Fatal(err)
	}
	if want := clock.Status&unix.STA_UNSYNC == 0; got != want {
		t.Errorf("synchronized: %v, and the kernel's status is %#x", got, clock.Status)
	}
}

func TestBuilt(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	written := time.Date(2087, 6, 5, 4, 3, 2, 0, time.UTC)
	if err := os.Chtimes(program, written, written); err != nil {
		t.Fatal(err)
	}
	if got := host.Built(program); !got.Equal(written) {
		t.Errorf("built %v, but it was written %v", got, written)
	}
	if got := host.Built("/nosuch"); got.After(time.Now()) {
		t.Errorf("a program that is not there was built %v", got)
	}
}

func TestDisk(t *testing.T) {
	folder := t.TempDir()
	whole, err := host.DiskOf(folder)
	if err != nil {
		t.Fatal(err)
	}
	if whole.Folder != folder || whole.Bytes <= 0 {
		t.Errorf("%+v", whole)
	}
	if err := whole.Usable(); err != nil {
		t.Error(err)
	}
	later, err := host.DiskOf(filepath.Join(folder, "not", "there", "yet"))
	if err != nil || later.Folder != folder || later.Device != whole.Device {
		t.Errorf("of a folder that will be made: %+v, error %v", later, err)
	}
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if d, err := host.DiskOf(path); err == nil {
			t.Errorf("%s is on %+v", path, d)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDiskOfOwn(t *testing.T) {
	folder := t.TempDir()
	err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=64k,nr_inodes=7")
	if errors.Is(err, unix.EPERM) {
		t.Skip("only root can mount a disk")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(folder, unix.MNT_DETACH)
	d, err := host.DiskOf(folder)
	if err != nil || d.Bytes != 64<<10 || d.Files < 1 || d.Files > 7 {
		t.Errorf("%+v, error %v", d, err)
	}
	if other, err := host.DiskOf(filepath.Dir(folder)); err != nil || other.Device == d.Device {
		t.Errorf("the same device as %+v, error %v", other, err)
	}
	if err := unix.Mount("tmpfs", folder, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := d.Usable(); !errors.Is(err, unix.EROFS) || !strings.Contains(err.Error(), folder) {
		t.Errorf("read-only: %v", err)
	}
	if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	// procfs has no files without a name.
	proc := host.Disk{Folder: "/proc/self"}
	if err := proc.Usable(); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("/proc can be written to: %v", err)
	}
}
