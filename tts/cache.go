package tts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Origin is how a [Cache] came by a clip.
type Origin uint8

// The origins.
const (
	Stored Origin = iota // it was there, or another caller was having it made
	Made                 // this call had the synthesizer speak
	Remade               // so too, because the clip that was there was damaged
)

// String returns "stored", "made" or "remade".
func (o Origin) String() string {
	switch o {
	case Made:
		return "made"
	case Remade:
		return "remade"
	default:
		return "stored"
	}
}

// Cache keeps what a synthesizer has spoken in a folder, so that nothing is
// spoken, or paid for, twice. Any number of caches, synthesizers, campaigns and
// processes may share the folder at the same time.
//
// A clip is a WAV file under its [Key], to be listened to like any other. It
// carries a seal, a hash of its key and its samples, which is checked whenever
// it is read: a file that was torn, altered or misplaced is made again. That is
// also why writing doesn't wait for the disk.
type Cache struct {
	dir     string
	engine  Synthesizer
	flights singleflight.Group
	tidy    sync.Once

	mu      sync.Mutex
	version string // of engine, once known
}

// NewCache returns a cache of what s speaks. The folder is made when the first
// clip is.
func NewCache(dir string, s Synthesizer) *Cache { return &Cache{dir: dir, engine: s} }

// Clip returns the clip of u, and has the synthesizer speak if it isn't there.
// Callers that want the same clip at the same time have it made once. They
// share its samples, which must not be changed.
//
// Errors are those of [Synthesizer.Synthesize], or say that the folder can't be
// used.
func (c *Cache) Clip(ctx context.Context, u Utterance) (Clip, Origin, error) {
	key, err := c.key(ctx, u)
	if err != nil {
		return Clip{}, Stored, err
	}
	for {
		// A flight belongs to the call that began it, and ends with its context.
		origin := Stored
		flight := c.flights.DoChan(key, func() (any, error) {
			clip, from, err := c.fetch(ctx, key, u)
			origin = from
			if err != nil && ctx.Err() != nil {
				return nil, abandoned{err}
			}
			return clip, err
		})
		select {
		case <-ctx.Done():
			return Clip{}, Stored, ctx.Err()
		case r := <-flight:
			switch {
			case r.Err == nil:
				return r.Val.(Clip), origin, nil
			case !errors.As(r.Err, new(abandoned)):
				return Clip{}, Stored, r.Err
			case ctx.Err() != nil:
				return Clip{}, Stored, ctx.Err()
			}
			// Another call began it and gave up. We haven't.
		}
	}
}

// abandoned is the error of a flight whose context ended.
type abandoned struct{ error }

// Peek returns u's clip where [Cache.Clip] would return it without having it
// spoken, and says whether it is so.
func (c *Cache) Peek(ctx context.Context, u Utterance) (Clip, bool, error) {
	key, err := c.key(ctx, u)
	if err != nil {
		return Clip{}, false, err
	}
	clip, err := c.load(key)
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, new(damaged)) {
		return Clip{}, false, nil
	}
	return clip, err == nil, err
}

// File is the path of u's clip, whether or not it is there.
func (c *Cache) File(ctx context.Context, u Utterance) (string, error) {
	key, err := c.key(ctx, u)
	if err != nil {
		return "", err
	}
	return c.path(key), nil
}

// key asks the engine for its version once.
func (c *Cache) key(ctx context.Context, u Utterance) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version == "" {
		v, err := c.engine.Version(ctx)
		if err != nil {
			return "", fmt.Errorf("version of %s: %w", u.Voice.Engine, err)
		}
		c.version = v
	}
	return Key(u, c.version), nil
}

// fetch returns the clip from the folder, or makes it and puts it there.
func (c *Cache) fetch(ctx context.Context, key string, u Utterance) (Clip, Origin, error) {
	clip, err := c.load(key)
	origin := Made
	switch {
	case err == nil:
		return clip, Stored, nil
	case errors.As(err, new(damaged)):
		origin = Remade
	case !errors.Is(err, fs.ErrNotExist):
		return Clip{}, Stored, err
	}
	clip, err = c.engine.Synthesize(ctx, u)
	if err != nil {
		return Clip{}, Stored, err
	}
	if err := c.store(key, clip); err != nil {
		return Clip{}, Stored, err
	}
	return clip, origin, nil
}

// path spreads the clips over 256 folders.
func (c *Cache) path(key string) string { return filepath.Join(c.dir, key[:2], key+".wav") }

// damaged is the error of a clip that is there but isn't what was stored.
type damaged struct{ error }

// load returns a stored clip. The error is fs.ErrNotExist if there is none.
func (c *Cache) load(key string) (Clip, error) {
	file, err := os.ReadFile(c.path(key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Clip{}, err
	case err != nil:
		return Clip{}, c.unusable(err)
	}
	clip, seal, err := decodeWAV(bytes.NewReader(file))
	switch {
	case err != nil:
		return Clip{}, damaged{err}
	case !bytes.Equal(seal, sealOf(key, clip)):
		return Clip{}, damaged{errors.New("the seal is broken")}
	}
	return clip, nil
}

// sealOf covers the key too, so that one clip's file isn't taken for another's.
func sealOf(key string, c Clip) []byte {
	sum := c.Sum()
	seal := sha256.Sum256(append([]byte(key), sum[:]...))
	return seal[:]
}

// store writes the clip in whole: another process sees all of it or nothing.
func (c *Cache) store(key string, clip Clip) error {
	var file bytes.Buffer
	if err := encodeWAV(&file, clip, sealOf(key, clip)); err != nil {
		return err
	}
	if err := c.write(c.path(key), file.Bytes()); err != nil {
		return c.unusable(err)
	}
	return nil
}

func (c *Cache) write(path string, content []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	unfinished := filepath.Join(c.dir, "unfinished")
	if err := os.MkdirAll(unfinished, 0o755); err != nil {
		return err
	}
	c.tidy.Do(func() { removeLeftovers(unfinished) })

	f, err := os.CreateTemp(unfinished, "*.wav")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// removeLeftovers clears away what processes that were killed were writing.
// Whoever still writes has been at it for far less than an hour.
func removeLeftovers(unfinished string) {
	entries, err := os.ReadDir(unfinished)
	if err != nil {
		return // then writing there will fail, and say why
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Hour {
			os.Remove(filepath.Join(unfinished, e.Name()))
		}
	}
}

// unusable says that it is the folder that fails, and not a voice.
func (c *Cache) unusable(err error) error {
	return fmt.Errorf("clip cache %s can't be used: make room or make it writable, or choose another folder: %w", c.dir, err)
}
