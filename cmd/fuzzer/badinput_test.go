package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"wakefuzz/bench"
	"wakefuzz/results"
)

// plan is how many plays the campaign of campaignFile has.
const plan = 8

var running sync.Mutex

// ran returns the folder of the campaign of campaignFile, carried out. It is
// run once, and every caller has a copy.
func ran(t *testing.T) string {
	t.Helper()
	whole := filepath.Join(shared, "ran")
	running.Lock()
	defer running.Unlock()
	if _, err := os.Stat(whole); errors.Is(err, fs.ErrNotExist) {
		fuzzer(t, exitDone, "run", campaignFile(t), "--dir", whole)
	}
	dir := filepath.Join(t.TempDir(), "campaign")
	if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func storeOf(dir string) string { return filepath.Join(dir, "store.db") }

// A store that is not what was written is refused and left alone by every
// command, and a sound copy in its place goes on as if nothing had been.
func TestDamagedStore(t *testing.T) {
	t.Parallel()
	file := campaignFile(t)
	dir := ran(t)
	want := exportCSV(t, dir)
	sound, err := os.ReadFile(storeOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"empty":         {},
		"truncated":     sound[:len(sound)/3],
		"another file":  []byte("name: small\n"),
		"a page zeroed": append(slices.Clone(sound[:8192]), append(make([]byte, 4096), sound[12288:]...)...),
		"a byte":        bytes.ReplaceAll(sound, []byte("banana"), []byte("bananb")),
	} {
		t.Run(name, func(t *testing.T) {
			if bytes.Equal(damaged, sound) {
				t.Fatal("nothing is damaged")
			}
			write(t, storeOf(dir), damaged)
			for _, args := range [][]string{{"run", file, "--dir", dir}, {"resume", dir}, {"status", dir}, {"export", dir}} {
				fuzzer(t, exitFailure, args...).says(t, storeOf(dir)+": damaged", "put a sound copy of it in its place")
			}
			if now, err := os.ReadFile(storeOf(dir)); err != nil || !bytes.Equal(now, damaged) {
				t.Errorf("the damaged store was written to: %v", err)
			}
			write(t, storeOf(dir), sound)
			fuzzer(t, exitDone, "resume", dir)
			if got := exportCSV(t, dir); got != want {
				t.Errorf("with the sound store again:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A store of a later version is refused by its version alone. Package results
// documents where that stands.
func TestNewerStore(t *testing.T) {
	t.Parallel()
	dir := ran(t)
	store, err := os.ReadFile(storeOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	header := func(version uint32) []byte {
		raw := binary.BigEndian.AppendUint32(nil, version)
		sum := crc32.Checksum(slices.Concat([]byte("header"), []byte("schema"), raw), crc32.MakeTable(crc32.Castagnoli))
		return slices.Concat([]byte("schema"), binary.LittleEndian.AppendUint32(nil, sum), raw)
	}
	newer := bytes.ReplaceAll(store, header(3), header(4))
	if bytes.Equal(newer, store) {
		t.Fatal("the store does not say its version where it is documented")
	}
	write(t, storeOf(dir), newer)
	for _, args := range [][]string{{"run", campaignFile(t), "--dir", dir}, {"resume", dir}, {"status", dir}, {"export", dir}} {
		fuzzer(t, exitFailure, args...).says(t, "newer version of this program")
	}
	if now, err := os.ReadFile(storeOf(dir)); err != nil || !bytes.Equal(now, newer) {
		t.Errorf("the newer store was written to: %v", err)
	}
}

// Clips that are not what was stored are made again, and that is said.
func TestDamagedClips(t *testing.T) {
	t.Parallel()
	file, cache := campaignFile(t), t.TempDir()
	private := func(args ...string) outcome {
		t.Helper()
		cmd := command(t, args...)
		cmd.Env = append(cmd.Env, "WAKEFUZZ_CACHE="+cache)
		return finish(t, exitDone, cmd)
	}
	private("synth", file)
	clips, err := filepath.Glob(filepath.Join(cache, "??", "*.wav"))
	if err != nil || len(clips) != 4 {
		t.Fatalf("%d clips of 4 words: %v", len(clips), err)
	}
	for i, damage := range []func([]byte) []byte{
		func(wav []byte) []byte { return wav[:len(wav)/2] },
		func(wav []byte) []byte { wav[len(wav)/2] ^= 0x40; return wav },
		func([]byte) []byte { return nil },
	} {
		wav, err := os.ReadFile(clips[i])
		if err != nil {
			t.Fatal(err)
		}
		write(t, clips[i], damage(wav))
	}
	dir := filepath.Join(t.TempDir(), "campaign")
	o := private("run", file, "--dir", dir)
	if n := strings.Count(o.stderr, "was damaged and was made again"); n != 3 {
		t.Errorf("%d clips are said to be damaged, want 3:\n%s", n, o.stderr)
	}
	if got, want := exportCSV(t, dir), exportCSV(t, ran(t)); got != want {
		t.Errorf("with clips that were made again:\n%s\nwant:\n%s", got, want)
	}
}

// mounted mounts a disk of its own, of a size such as 96k.
func mounted(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)
	if errors.Is(err, unix.EPERM) {
		t.Skip("only root, with the capability to administer the system, can mount a disk")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func remount(t *testing.T, dir string, flags uintptr, options string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|flags, options); err != nil {
		t.Fatal(err)
	}
}

// On a read-only disk a campaign can be read, and not continued.
func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	disk := mounted(t, "10m")
	file, dir := campaignFile(t), filepath.Join(disk, "campaign")
	if err := os.CopyFS(dir, os.DirFS(ran(t))); err != nil {
		t.Fatal(err)
	}
	want := exportCSV(t, dir)

	remount(t, disk, unix.MS_RDONLY, "")
	fuzzer(t, exitFailure, "run", file, "--dir", dir).says(t, "read-only file system")
	fuzzer(t, exitFailure, "resume", dir).says(t, "read-only file system")
	fuzzer(t, exitFailure, "run", file, "--dir", filepath.Join(disk, "new")).says(t, "read-only file system")
	if o := fuzzer(t, exitDone, "status", dir); !strings.Contains(o.stdout, "complete") {
		t.Errorf("status:\n%s", o.stdout)
	}
	if got := exportCSV(t, dir); got != want {
		t.Errorf("read-only:\n%s\nwritable:\n%s", got, want)
	}
}

// A disk that fills up ends the run. Every play that was reported is stored,
// and with more room the campaign ends as if there had always been room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	const planned = 32
	file := campaignFile(t, "plays: 2", "plays: 8")
	roomy := filepath.Join(t.TempDir(), "campaign")
	fuzzer(t, exitDone, "run", file, "--dir", roomy)

	disk := mounted(t, "48k") // where the plan fits, and the first plays
	dir := filepath.Join(disk, "campaign")
	o := fuzzer(t, exitFailure, "run", file, "--dir", dir, "--output", "json")
	o.says(t, "the disk is full: make room and try again", "fuzzer resume "+dir)
	events := decode(t, o.stdout)
	reported := map[string]bool{}
	for _, e := range events {
		if e.Event == "play" {
			reported[e.Word+string(rune(e.Play))] = true
		}
	}
	if end := events[len(events)-1]; end.Event != "end" || end.State != "failed" || *end.Measured != len(reported) || *end.Planned != planned {
		t.Errorf("the last event: %+v", end)
	}
	stored := measured(t, dir)
	if len(reported) == 0 || len(reported) == planned || len(stored) < len(reported) {
		t.Errorf("%d plays were reported and %d are stored, of %d", len(reported), len(stored), planned)
	}
	fuzzer(t, exitFailure, "resume", dir).says(t, "the disk is full")
	if again := measured(t, dir); !maps.Equal(again, stored) {
		t.Errorf("%d plays are stored after the second try, %d before", len(again), len(stored))
	}

	remount(t, disk, 0, "size=10m")
	fuzzer(t, exitDone, "resume", dir)
	if got, want := exportCSV(t, dir), exportCSV(t, roomy); got != want {
		t.Errorf("with room again:\n%s\nwith room all along:\n%s", got, want)
	}
}

// measured counts the measured attempts of each play of a campaign.
func measured(t *testing.T, dir string) map[results.PlayID]int {
	t.Helper()
	r, err := results.View(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	plays := map[results.PlayID]int{}
	for a, err := range r.Attempts() {
		if err != nil {
			t.Fatal(err)
		}
		if a.State != bench.Unmeasured {
			plays[a.Play]++
		}
	}
	return plays
}

// A clip cache without room, or that can't be written to, ends the run too.
func TestFullClipCache(t *testing.T) {
	t.Parallel()
	disk, file := mounted(t, "40k"), campaignFile(t) // with room for a clip or two
	dir := filepath.Join(t.TempDir(), "campaign")
	run := func(code int) outcome {
		t.Helper()
		cmd := command(t, "run", file, "--dir", dir)
		cmd.Env = append(cmd.Env, "WAKEFUZZ_CACHE="+disk)
		return finish(t, code, cmd)
	}
	run(exitFailure).says(t, "clip cache "+disk+" can't be used: make room", "no space left on device", "fuzzer resume "+dir)
	remount(t, disk, unix.MS_RDONLY, "")
	run(exitFailure).says(t, "clip cache "+disk, "read-only file system")
	if left, err := filepath.Glob(filepath.Join(disk, "unfinished", "*")); err != nil || len(left) != 0 {
		t.Errorf("left in the full cache: %q, %v", left, err)
	}
	remount(t, disk, 0, "size=10m")
	run(exitDone)
	if n := len(measured(t, dir)); n != plan {
		t.Errorf("%d plays measured, want %d", n, plan)
	}
}

// Output that can't be written is a failure, not silence.
func TestFullOutput(t *testing.T) {
	t.Parallel()
	file, dir := campaignFile(t), ran(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, args := range [][]string{
		{"status", dir},
		{"export", dir},
		{"export", dir, "--format", "csv"},
		{"resume", dir},
		{"synth", "--dry-run", file},
		{"doctor", file},
		{"voices", "flite"},
		{"distance", "--to", "alexa", "lexus"},
		{"version"},
	} {
		cmd := command(t, args...)
		var stderr strings.Builder
		cmd.Stdout, cmd.Stderr = full, &stderr
		_ = cmd.Run() // the exit code says it
		o := outcome{code: cmd.ProcessState.ExitCode(), stderr: stderr.String()}
		o.check(t, exitFailure)
		o.says(t, "no space left on device")
	}
}

// Campaign files and scan files are easily taken for each other.
func TestFilesOfTheOtherKind(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home.yaml")
	write(t, home, []byte("name: home\ninterface: wlan0\nplayer: {driver: speaker}\n"))
	fuzzer(t, exitUsage, "scan", campaignFile(t)).says(t, "is a campaign file: fuzzer run")
	fuzzer(t, exitUsage, "run", home).says(t, "is a scan file: fuzzer scan")
	fuzzer(t, exitUsage, "record", home, "--kind", "idle").says(t, "is a scan file")
	fuzzer(t, exitNoCampaign, "scan", home, "--report", "--dir", t.TempDir()).says(t, "no such scan")
}

// A program that is not installed is named, with how to install it.
func TestMissingProgram(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "campaign")
	cmd := command(t, "run", campaignFile(t), "--dir", dir)
	cmd.Env = append(cmd.Env, "PATH=")
	finish(t, exitFailure, cmd).says(t, "flite is not installed", "apt-get install flite")
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a campaign was made: %v", err)
	}
}
