package wyoming

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

// Address is where a server listens, as it is told by its own option --uri.
type Address struct {
	network, address string
}

// ParseAddress reads tcp://HOST:PORT or unix:///PATH.
func ParseAddress(uri string) (Address, error) {
	u, err := url.Parse(uri)
	if err == nil && u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		switch {
		case u.Scheme == "tcp" && u.Hostname() != "" && u.Port() != "" && u.Path == "":
			return Address{"tcp", u.Host}, nil
		case u.Scheme == "unix" && u.Host == "" && len(u.Path) > 1:
			return Address{"unix", u.Path}, nil
		}
	}
	return Address{}, fmt.Errorf("%q is neither tcp://HOST:PORT nor unix:///PATH", uri)
}

// Conn is a connection. One goroutine may send while another receives. After an
// error of either the connection is of no further use but to be closed.
type Conn struct {
	conn   net.Conn
	reader *bufio.Reader
}

// Dial connects to a server. The error is that of ctx where it ended.
func Dial(ctx context.Context, a Address) (*Conn, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, a.network, a.address)
	if errors.Is(err, context.DeadlineExceeded) {
		<-ctx.Done() // the dialer has a clock of its own, which may be ahead
	}
	if err != nil {
		return nil, cause(ctx, fmt.Errorf("wyoming: %w", err))
	}
	return NewConn(c), nil
}

// NewConn speaks the protocol on a connection that is there.
func NewConn(c net.Conn) *Conn { return &Conn{conn: c, reader: bufio.NewReader(c)} }

// Close ends the connection, and what waits for it.
func (c *Conn) Close() error { return c.conn.Close() }

// past is a deadline that ends what is under way.
var past = time.Unix(1, 0)

// Send sends events, in one piece. The error is that of ctx where it ended.
func (c *Conn) Send(ctx context.Context, events ...Event) error {
	var b []byte
	for _, e := range events {
		var err error
		if b, err = e.Append(b); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetWriteDeadline(past) }) // of a connection that is closed
	defer stop()
	if _, err := c.conn.Write(b); err != nil {
		return cause(ctx, err)
	}
	return nil
}

// Receive waits for the next event. The error is that of ctx where it ended, an
// [Error] where the server sent one, and io.EOF where it ended the connection.
func (c *Conn) Receive(ctx context.Context) (Event, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetReadDeadline(past) })
	defer stop()
	e, err := ReadEvent(c.reader)
	switch {
	case err != nil:
		return Event{}, cause(ctx, err)
	case e.Type == TypeError:
		var said Error
		return Event{}, errors.Join(e.Decode(&said), said)
	}
	return e, nil
}

// cause is why something failed: that ctx ended, where it did.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Describe asks the server what it offers.
func (c *Conn) Describe(ctx context.Context) (Info, error) {
	if err := c.Send(ctx, Event{Type: TypeDescribe}); err != nil {
		return Info{}, err
	}
	e, err := c.Receive(ctx)
	if err != nil {
		return Info{}, err
	}
	if e.Type != TypeInfo {
		return Info{}, fmt.Errorf("wyoming: asked what it offers, the server answers with %q", e.Type)
	}
	var info Info
	err = e.Decode(&info)
	return info, err
}
