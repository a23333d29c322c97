package tts_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wakefuzz/tts"
	"wakefuzz/tts/flite"
	"wakefuzz/tts/ttstest"
)

func hum(text string) tts.Utterance {
	return tts.Utterance{Text: text, Voice: tts.Voice{Engine: "tone", Name: "tenor"}}
}

// counted is a synthesizer and the number of times it spoke.
func counted() (tts.Synthesizer, *atomic.Int64) {
	var n atomic.Int64
	return ttstest.Tone{Before: func(context.Context, tts.Utterance) error { n.Add(1); return nil }}, &n
}

// wantClip asks the cache and checks the sound and where it came from.
func wantClip(t *testing.T, c *tts.Cache, u tts.Utterance, from tts.Origin) {
	t.Helper()
	want, err := ttstest.Tone{}.Synthesize(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	got, origin, err := c.Clip(t.Context(), u)
	if err != nil {
		t.Fatalf("%q: %v", u.Text, err)
	}
	if origin != from || !slices.Equal(got.Samples, want.Samples) {
		t.Fatalf("%q: a clip of %d samples that was %v, want %d that were %v", u.Text, len(got.Samples), origin, len(want.Samples), from)
	}
}

// filesIn lists all files under dir but folders, relative to it.
func filesIn(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestCacheSpeaksOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	s, spoken := counted()
	c := tts.NewCache(dir, s)
	wantHeld := func(u tts.Utterance, want bool) {
		t.Helper()
		if _, got, err := c.Peek(t.Context(), u); err != nil || got != want {
			t.Errorf("%q is held: %v, error %v, want %v", u.Text, got, err, want)
		}
	}
	wantHeld(hum("alexa"), false)
	wantClip(t, c, hum("alexa"), tts.Made)
	wantHeld(hum("alexa"), true)
	wantClip(t, c, hum("alexa"), tts.Stored)
	wantClip(t, c, hum("alexas"), tts.Made)
	wantClip(t, tts.NewCache(dir, s), hum("alexa"), tts.Stored)

	// All that shapes the sound makes another clip.
	other := hum("alexa")
	other.Voice.Pitch = 1
	wantHeld(other, false)
	wantClip(t, c, other, tts.Made)
	if got := spoken.Load(); got != 3 {
		t.Errorf("three utterances were spoken %d times", got)
	}
}

// What lies in the folder is a WAV file that others can play.
func TestCacheOfARealVoice(t *testing.T) {
	s, err := flite.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := tts.NewCache(dir, s)
	u := tts.Utterance{Text: "alexa", Voice: tts.Voice{Engine: flite.Engine, Name: "kal16"}}
	clip, _, err := c.Clip(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	again, origin, err := c.Clip(t.Context(), u)
	if err != nil || origin != tts.Stored || again.Sum() != clip.Sum() {
		t.Errorf("the second time: %v, error %v", origin, err)
	}
	files := filesIn(t, dir)
	if len(files) != 1 || filepath.Ext(files[0]) != ".wav" {
		t.Fatalf("the folder holds %q, want one .wav", files)
	}
	path, err := c.File(t.Context(), u)
	if err != nil || path != filepath.Join(dir, files[0]) {
		t.Errorf("the clip is said to lie in %s, error %v, and lies in %s", path, err, files[0])
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	listened, err := tts.DecodeWAV(bytes.NewReader(file))
	if err != nil || listened.Sum() != clip.Sum() {
		t.Errorf("the file sounds different, error %v", err)
	}
	// Those whom the folder is shared with can read it.
	if info, err := os.Stat(filepath.Join(dir, files[0])); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the file's mode is %v, error %v", info.Mode(), err)
	}
}

func TestCacheMakesDamagedClipsAgain(t *testing.T) {
	dir := t.TempDir()
	s, _ := counted()
	wantClip(t, tts.NewCache(dir, s), hum("alexa"), tts.Made)
	path := filepath.Join(dir, filesIn(t, dir)[0])
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int) []byte {
		b := slices.Clone(good)
		b[at] ^= 1
		return b
	}

	for name, content := range map[string][]byte{
		"empty":           {},
		"not a WAV":       []byte("out of memory"),
		"header only":     good[:44],
		"cut in half":     good[:len(good)/2],
		"one byte short":  good[:len(good)-1],
		"other rate":      flipped(25),
		"flipped seal":    flipped(50),
		"flipped sample":  flipped(len(good) - 100),
		"zeros at end":    append(slices.Clone(good[:len(good)-512]), make([]byte, 512)...),
		"without a seal":  append(slices.Clone(good[:36]), good[36+40:]...),
		"of another word": anotherClip(t, s),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			c := tts.NewCache(dir, s)
			if _, held, err := c.Peek(t.Context(), hum("alexa")); held || err != nil {
				t.Errorf("a damaged clip is held: %v, error %v", held, err)
			}
			wantClip(t, c, hum("alexa"), tts.Remade)
			wantClip(t, c, hum("alexa"), tts.Stored)
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, good) {
				t.Errorf("the file isn't as it was, error %v", err)
			}
		})
	}
}

// anotherClip is the file of a clip that is sound, but not the one looked for.
func anotherClip(t *testing.T, s tts.Synthesizer) []byte {
	t.Helper()
	dir := t.TempDir()
	wantClip(t, tts.NewCache(dir, s), hum("another"), tts.Made)
	b, err := os.ReadFile(filepath.Join(dir, filesIn(t, dir)[0]))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What killed processes left is cleared away once it is old; what may still be
// written isn't.
func TestCacheClearsLeftovers(t *testing.T) {
	dir := t.TempDir()
	unfinished := filepath.Join(dir, "unfinished")
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		t.Fatal(err)
	}
	old, fresh := filepath.Join(unfinished, "1.wav"), filepath.Join(unfinished, "2.wav")
	for _, path := range []string{old, fresh} {
		if err := os.WriteFile(path, []byte("RIFF"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(old, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	wantClip(t, tts.NewCache(dir, ttstest.Tone{}), hum("alexa"), tts.Made)
	got := filesIn(t, unfinished)
	if !slices.Equal(got, []string{"2.wav"}) {
		t.Errorf("left are %q, want 2.wav", got)
	}
}

// Workers that want the same clip at the same time have it made once.
func TestCacheJoinsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spoken := 0
		s := ttstest.Tone{Before: func(context.Context, tts.Utterance) error {
			spoken++
			time.Sleep(time.Second)
			return nil
		}}
		c := tts.NewCache(t.TempDir(), s)
		var origins [tts.Remade + 1]atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, origin, err := c.Clip(t.Context(), hum("alexa"))
				if err != nil {
					t.Error(err)
				}
				origins[origin].Add(1)
			})
		}
		wg.Wait()
		if spoken != 1 || origins[tts.Made].Load() != 1 || origins[tts.Stored].Load() != 7 {
			t.Errorf("8 callers: spoken %d times, %d made, %d stored", spoken, origins[tts.Made].Load(), origins[tts.Stored].Load())
		}
	})
}

// One who gives up takes nobody along.
func TestCacheCancelledCallerHarmsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ttstest.Tone{Before: func(ctx context.Context, _ tts.Utterance) error {
			select {
			case <-time.After(10 * time.Second):
				return nil
			case <-ctx.Done():
				return fmt.Errorf("speaking: %w", ctx.Err())
			}
		}}
		c := tts.NewCache(t.TempDir(), s)
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if _, _, err := c.Clip(ctx, hum("alexa")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first caller: error %v, want context.DeadlineExceeded", err)
			}
		})
		wg.Go(func() {
			time.Sleep(time.Second)
			start := time.Now()
			if _, origin, err := c.Clip(t.Context(), hum("alexa")); err != nil || origin != tts.Made {
				t.Errorf("the second caller: %v, error %v, want a clip made", origin, err)
			}
			if waited := time.Since(start); waited != 14*time.Second {
				t.Errorf("the second caller waited %v, want 4 s for the first and 10 s of its own", waited)
			}
		})
		wg.Go(func() {
			time.Sleep(2 * time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, _, err := c.Clip(ctx, hum("alexa")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the third caller: error %v, want context.DeadlineExceeded", err)
			}
		})
		wg.Wait()
	})
}

func TestCachePassesOnErrors(t *testing.T) {
	dir := t.TempDir()
	c := tts.NewCache(dir, ttstest.Tone{})
	if _, _, err := c.Clip(t.Context(), hum("")); !errors.Is(err, tts.ErrUnspeakable) {
		t.Errorf("error %v, want ErrUnspeakable", err)
	}
	if files := filesIn(t, dir); len(files) != 0 {
		t.Errorf("a failure left %q", files)
	}
	c = tts.NewCache(dir, noVersion{})
	if _, _, err := c.Clip(t.Context(), hum("alexa")); !errors.Is(err, tts.ErrCredentials) {
		t.Errorf("error %v, want ErrCredentials", err)
	}
	if _, _, err := c.Peek(t.Context(), hum("alexa")); !errors.Is(err, tts.ErrCredentials) {
		t.Errorf("error %v, want ErrCredentials", err)
	}
}

type noVersion struct{ ttstest.Tone }

func (noVersion) Version(context.Context) (string, error) { return "", tts.ErrCredentials }

// A folder that can't be used is named, with what to do.
func TestCacheFolderUnusable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	blocked := t.TempDir()
	if err := os.WriteFile(filepath.Join(blocked, "unfinished"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{
		"a file":                   file,
		"below a file":             filepath.Join(file, "cache"),
		"no folder can be made":    "/proc/clips",
		"nothing can be put there": blocked,
	} {
		_, _, err := tts.NewCache(dir, ttstest.Tone{}).Clip(t.Context(), hum("alexa"))
		if err == nil || !strings.Contains(err.Error(), "clip cache "+dir+" can't be used: make room") {
			t.Errorf("%s: error %v, want one that names the folder and says what to do", name, err)
		}
	}
	if _, _, err := tts.NewCache(file, ttstest.Tone{}).Peek(t.Context(), hum("alexa")); err == nil {
		t.Error("a file holds no clips, and no error says that it can't")
	}
}

// A folder in use is not changed into another while a clip is on its way there.
func TestCacheKeepsNothingHalfWritten(t *testing.T) {
	dir := t.TempDir()
	key := tts.Key(hum("alexa"), "1")
	// A folder where the clip belongs: renaming to there fails.
	if err := os.MkdirAll(filepath.Join(dir, key[:2], key+".wav", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tts.NewCache(dir, ttstest.Tone{}).Clip(t.Context(), hum("alexa")); err == nil {
		t.Error("a folder is taken for a clip")
	}
	if files := filesIn(t, dir); len(files) != 0 {
		t.Errorf("left behind: %q", files)
	}
}

const fillCacheEnv = "WAKEFUZZ_TEST_FILL_CACHE"

const sharedWords = 60

// fillCache is the body of the processes of TestCacheSharedByProcesses.
func fillCache(dir string) (status int) {
	c := tts.NewCache(dir, ttstest.Tone{})
	for i := range sharedWords {
		u := hum(fmt.Sprint("word ", i))
		got, _, err := c.Clip(context.Background(), u)
		want, _ := ttstest.Tone{}.Synthesize(context.Background(), u)
		if err != nil || got.Sum() != want.Sum() {
			fmt.Fprintf(os.Stderr, "%q: other sound, or error %v\n", u.Text, err)
			return 1
		}
	}
	return 0
}

func TestCacheSharedByProcesses(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), fillCacheEnv+"="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	if got := len(filesIn(t, dir)); got != sharedWords {
		t.Errorf("%d files are left, want one for each of %d words", got, sharedWords)
	}
	s, spoken := counted()
	c := tts.NewCache(dir, s)
	for i := range sharedWords {
		wantClip(t, c, hum(fmt.Sprint("word ", i)), tts.Stored)
	}
	if spoken.Load() != 0 {
		t.Errorf("%d clips were made once more", spoken.Load())
	}
}

func TestOriginString(t *testing.T) {
	if got := fmt.Sprint(tts.Stored, tts.Made, tts.Remade); got != "stored made remade" {
		t.Errorf("the origins are %s", got)
	}
}

func BenchmarkCacheHit(b *testing.B) {
	c := tts.NewCache(b.TempDir(), ttstest.Tone{})
	u := hum("alexa will wake") // 1.2 s
	for b.Loop() {
		if _, _, err := c.Clip(b.Context(), u); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "hits/s")
}
