package results

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// While a runner holds the store, bbolt lets no other process read it. So the
// runner serves copies: whoever connects to its socket is sent the length of a
// copy, 8 bytes big-endian, then the copy, a store's file as of one commit.
// The length tells a copy that was cut off.

const (
	socketName = "socket"
	// stall is how long either side waits for the other to move. While a copy
	// is under way the store keeps growing, and at times has to wait.
	stall = 3 * time.Second
)

// server serves copies of a store.
type server struct {
	listener *net.UnixListener
	// address is the socket's path, or empty where it is the one of that name
	// in the campaign's folder.
	address string
	remove  func()
	cancel  context.CancelFunc
	serving sync.WaitGroup
}

// serve begins to serve copies of the store in the folder, whose lock is held.
func serve(dir string, db *bbolt.DB) (*server, error) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{cancel: cancel}
	var err error
	if s.listener, s.remove, err = listenIn(ctx, dir); err != nil {
		// Some file systems hold no sockets.
		var private string
		if private, err = os.MkdirTemp("", "wakefuzz-"); err == nil {
			s.address = filepath.Join(private, socketName)
			if s.listener, s.remove, err = listenIn(ctx, private); err != nil {
				os.Remove(private)
			} else {
				removeSocket := s.remove
				s.remove = func() { removeSocket(); os.Remove(private) }
			}
		}
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("serve copies of the store: %w", err)
	}
	s.serving.Go(func() { s.accept(ctx, db) })
	return s, nil
}

// listenIn listens on a socket in the folder, in place of one that a killed
// runner may have left there.
func listenIn(ctx context.Context, dir string) (l *net.UnixListener, remove func(), err error) {
	path := filepath.Join(dir, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// The mode that the socket's file will be made with: ours alone.
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, failed)
	}}
	err = withShortPath(dir, func(short string) error {
		listener, err := config.Listen(ctx, "unix", filepath.Join(short, socketName))
		if err != nil {
			return err
		}
		l = listener.(*net.UnixListener)
		l.SetUnlinkOnClose(false) // the short path won't be valid then
		return nil
	})
	return l, func() { os.Remove(path) }, err
}

// withShortPath runs fn with another path of the folder. A socket's address
// ends at 108 bytes, and a campaign's path may be longer; but an open folder
// has a short name as well.
func withShortPath(dir string, fn func(short string) error) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return fn(fmt.Sprintf("/proc/self/fd/%d", folder.Fd()))
}

func (s *server) accept(ctx context.Context, db *bbolt.DB) {
	for {
		conn, err := s.listener.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // such as too many open files: it passes
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return
			}
		default:
			s.serving.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				// A reader that went away is no concern of the runner's.
				_ = guard(func() error { return sendCopy(steady{conn}, db) })
			})
		}
	}
}

func sendCopy(w io.Writer, db *bbolt.DB) error {
	return db.View(func(tx *bbolt.Tx) error {
		if err := binary.Write(w, binary.BigEndian, tx.Size()); err != nil {
			return err
		}
		_, err := tx.WriteTo(w)
		return err
	})
}

// close stops serving, copies under way included.
func (s *server) close() {
	s.cancel()
	s.listener.Close()
	s.serving.Wait()
	s.remove()
}

// steady is a connection that fails once the other side stalls.
type steady struct{ net.Conn }

func (c steady) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c steady) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// errTemp marks what went wrong on this side of a copy: trying again is
// useless.
var errTemp = errors.New("temporary file")

// fetchCopy gets a copy of the store from the folder's runner, in a file that
// has no name any more.
func fetchCopy(ctx context.Context, dir string) (*os.File, error) {
	conn, err := dialRunner(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	var size int64
	if err := binary.Read(steady{conn}, binary.BigEndian, &size); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "wakefuzz-copy-*")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTemp, err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, fmt.Errorf("%w: %w", errTemp, err)
	}
	if _, err := io.CopyN(tempWriter{file}, steady{conn}, size); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func dialRunner(ctx context.Context, dir string) (conn net.Conn, err error) {
	h, err := readHolder(dir)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	if h.Socket != "" {
		return dialer.DialContext(ctx, "unix", h.Socket)
	}
	err = withShortPath(dir, func(short string) error {
		conn, err = dialer.DialContext(ctx, "unix", filepath.Join(short, socketName))
		return err
	})
	return conn, err
}

// tempWriter marks errors of writing, to tell them from those of reading.
type tempWriter struct{ io.Writer }

func (w tempWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = fmt.Errorf("%w: %w", errTemp, err)
	}
	return n, err
}
