// Package wyomingtest is a Wyoming server for the tests of what uses one. It
// takes the place of a real one only where a real one can't be made to fail, or
// is not there.
package wyomingtest

import (
	"context"
	"net"
	"sync"
	"testing"

	"wakefuzz/internal/wyoming"
)

// Serve listens on this machine until t ends, and has each connection handled
// by a goroutine of its own. It returns where it listens.
func Serve(t testing.TB, handle func(ctx context.Context, c *wyoming.Conn)) (uri string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		working.Wait()
	})
	working.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // t has ended
			}
			working.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // so that handle does not wait for ever
				handle(ctx, wyoming.NewConn(conn))
			})
		}
	})
	return "tcp://" + l.Addr().String()
}

// Event makes an event, which must be possible.
func Event(t testing.TB, kind string, data any, payload []byte) wyoming.Event {
	t.Helper()
	e, err := wyoming.NewEvent(kind, data, payload)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
