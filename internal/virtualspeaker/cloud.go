package virtualspeaker

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Cloud is what a speaker talks to. It takes in whatever is posted to it, and
// answers a stream of sound with about as much as a spoken sentence.
type Cloud struct {
	certificate tls.Certificate

	mu     sync.Mutex
	slow   time.Duration
	socket syscall.RawConn        // that listens
	conns  map[*tls.Conn]struct{} // that are open
	status CloudStatus
}

// CloudStatus is what a cloud has received.
type CloudStatus struct {
	// Requests are those that were answered, and Streams those of them that
	// were sound.
	Requests int `json:"requests"`
	Streams  int `json:"streams"`
	// Sound is how much of it there was, in bytes.
	Sound int64 `json:"sound"`
}

// What the cloud answers, in bytes: a spoken sentence, compressed, and a
// confirmation.
const (
	sentence     = 12 << 10
	confirmation = 80
)

// NewCloud makes a cloud with a certificate of its own, for the names or IP
// addresses given.
func NewCloud(names ...string) (*Cloud, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("virtual cloud: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "virtual cloud"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("virtual cloud: %w", err)
	}
	return &Cloud{
		certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		conns:       map[*tls.Conn]struct{}{},
	}, nil
}

// Certificate is what speakers check the cloud against, as PEM.
func (c *Cloud) Certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.certificate.Certificate[0]})
}

// Listen is where Run may serve speakers.
func Listen(ctx context.Context, address string) (*net.TCPListener, error) {
	var c net.ListenConfig
	c.SetMultipathTCP(false) // or it couldn't be lossy
	listener, err := c.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("virtual cloud: %w", err)
	}
	return listener.(*net.TCPListener), nil
}

// Run serves speakers until ctx ends, and closes the listener.
func (c *Cloud) Run(ctx context.Context, listener *net.TCPListener) error {
	socket, err := listener.SyscallConn()
	if err != nil {
		return fmt.Errorf("virtual cloud: %w", err)
	}
	c.change(func() { c.socket = socket })
	server := &http.Server{
		Handler:   http.HandlerFunc(c.answer),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{c.certificate}, MinVersion: tls.VersionTLS13},
		ConnState: c.count,
		ErrorLog:  log.New(io.Discard, "", 0), // speakers that vanish are the point of it
		// Without HTTP/2 each stream has a connection, as with most speakers.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		BaseContext:  func(net.Listener) context.Context { return ctx },
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("virtual cloud: %w", err)
	}
	return nil
}

func (c *Cloud) answer(w http.ResponseWriter, r *http.Request) {
	sound := r.URL.Path == "/sound"
	buffer := make([]byte, 4<<10)
	for {
		n, err := r.Body.Read(buffer)
		if sound {
			c.change(func() { c.status.Sound += int64(n) })
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return
		}
	}
	var slow time.Duration
	c.change(func() { slow = c.slow })
	sleep(r.Context(), slow)
	length := confirmation
	if sound {
		length = sentence
	}
	if _, err := w.Write(make([]byte, length)); err != nil {
		return
	}
	c.change(func() {
		c.status.Requests++
		if sound {
			c.status.Streams++
		}
	})
}

// count keeps account of the open connections.
func (c *Cloud) count(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.conns[conn.(*tls.Conn)] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(c.conns, conn.(*tls.Conn))
	}
}

// Obey does what a command says; see the package's comment.
func (c *Cloud) Obey(command string) (any, error) {
	name, argument, _ := strings.Cut(command, " ")
	var err error
	switch {
	case name == "slow":
		d, wrong := time.ParseDuration(argument)
		if wrong != nil || d < 0 {
			return nil, fmt.Errorf("slow: %q is not a duration such as 3s", argument)
		}
		c.change(func() { c.slow = d })
	case name == "lossy":
		share, wrong := strconv.ParseFloat(argument, 64)
		if wrong != nil || !(share >= 0 && share <= 0.9) {
			return nil, fmt.Errorf("lossy: %q is not a share from 0 to 0.9", argument)
		}
		err = c.lose(share)
	case command == "status":
	default:
		err = fmt.Errorf("%q: unknown command; known: status, slow DURATION, lossy SHARE", command)
	}
	if err != nil {
		return nil, err
	}
	var status CloudStatus
	c.change(func() { status = c.status })
	return status, nil
}

// lose has the kernel throw away that share of the packets as they arrive at
// the cloud's sockets, before TCP sees them. New connections inherit it from
// the socket that listens.
func (c *Cloud) lose(share float64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.socket == nil {
		return errors.New("lossy: the cloud is not running")
	}
	if err := thin(c.socket, share); err != nil {
		return fmt.Errorf("lossy: %w", err)
	}
	for conn := range c.conns {
		if socket, err := conn.NetConn().(*net.TCPConn).SyscallConn(); err == nil {
			_ = thin(socket, share) // fails where it has just been closed
		}
	}
	return nil
}

// thin sets the share of packets that a socket loses.
func thin(socket syscall.RawConn, share float64) error {
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtRand},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: uint32(share * math.MaxUint32), SkipFalse: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: math.MaxUint32},
	})
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(program))
	for i, p := range program {
		filter[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	var failed error
	err = socket.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	})
	return errors.Join(err, failed)
}

// change does something to what mu guards.
func (c *Cloud) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}
