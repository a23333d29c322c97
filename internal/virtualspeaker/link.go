package virtualspeaker

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// link is the speaker's network interface. It is up while the speaker has
// power and the link is plugged in, and as long as it is up, a DHCP client
// looks after its address.
type link struct {
	name   string
	folder string

	mu        sync.Mutex
	powered   bool
	unplugged bool
	end       func() // ends the DHCP client; nil while the link is down
}

//go:embed lease.sh
var leaseScript []byte

func newLink(name, folder string) (*link, error) {
	for _, program := range []string{"ip", "busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%w; install it with: apt-get install iproute2 busybox", err)
		}
	}
	l := &link{name: name, folder: folder}
	return l, os.WriteFile(l.script(), leaseScript, 0o700)
}

func (l *link) script() string { return filepath.Join(l.folder, "lease.sh") }
func (l *link) lease() string  { return filepath.Join(l.folder, "lease") }

// power switches the interface on or off, with the speaker.
func (l *link) power(on bool) error { return l.set(func() { l.powered = on }) }

// plug plugs the link in or pulls it out.
func (l *link) plug(in bool) error { return l.set(func() { l.unplugged = !in }) }

// set changes what decides whether the link is up, and sees to it.
func (l *link) set(change func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	switch up := l.powered && !l.unplugged; {
	case up && l.end == nil:
		return l.up()
	case !up && l.end != nil:
		return l.down()
	}
	return nil
}

func (l *link) up() error {
	if err := l.ip("link", "set", l.name, "up"); err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd := exec.CommandContext(ctx, "busybox", "udhcpc", "-f", "-i", l.name, "-s", l.script(), "-t", "20", "-T", "1", "-A", "1")
		cmd.Env = append(os.Environ(), "LEASE="+l.lease())
		if err := run(cmd); ctx.Err() == nil {
			log.Printf("the DHCP client ended: %v", err)
		}
	}()
	l.end = func() { end(); <-ended }
	return nil
}

func (l *link) down() error {
	l.end()
	l.end = nil
	return errors.Join(
		os.RemoveAll(l.lease()),
		l.ip("address", "flush", "dev", l.name),
		l.ip("link", "set", l.name, "down"))
}

func (l *link) ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// address is the one that DHCP gave, or empty.
func (l *link) address() string {
	address, _, _ := l.leased()
	return address
}

func (l *link) leased() (address, nameServer string, err error) {
	text, err := os.ReadFile(l.lease())
	if err != nil {
		return "", "", errors.New("no address yet")
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return "", "", errors.New("no name server")
	}
	return fields[0], fields[1], nil
}

// resolver asks the name server that DHCP gave.
func (l *link) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		_, server, err := l.leased()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.name, err)
		}
		var d net.Dialer
		return d.DialContext(ctx, network, net.JoinHostPort(server, "53"))
	}}
}
