package googletts

import (
	"net"
	"sync"
)

// listener can cut one of its connections after a number of bytes, so that a
// caller sees an answer begin and never end.
type listener struct {
	net.Listener
	mu    sync.Mutex
	conns map[string]*conn // by the caller's address
}

func newListener(inner net.Listener) *listener {
	return &listener{Listener: inner, conns: make(map[string]*conn)}
}

func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, listener: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[inner.RemoteAddr().String()] = c
	return c, nil
}

// cut closes the caller's connection once n more bytes have been written to it.
func (l *listener) cut(caller net.Addr, n int) {
	l.mu.Lock()
	c := l.conns[caller.String()]
	l.mu.Unlock()
	if c == nil {
		return // gone already, which is what was asked for
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limited, c.left = true, n
}

type conn struct {
	net.Conn
	listener *listener

	mu      sync.Mutex
	limited bool
	left    int // bytes until the connection is cut, where limited
}

func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.limited || len(p) < c.left {
		n, err := c.Conn.Write(p)
		c.left -= n
		return n, err
	}
	n, err := c.Conn.Write(p[:c.left])
	c.left -= n
	if err == nil {
		err = net.ErrClosed
	}
	_ = c.Close() // the write's error is the one to tell
	return n, err
}

func (c *conn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c.RemoteAddr().String())
	c.listener.mu.Unlock()
	return c.Conn.Close()
}
