package google_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The driver under test reaches for Google by name, over TLS. Here the names
// lead to servers on loopback: every connection to another machine goes through
// a proxy of our own, which knows some names and refuses the rest, and the
// certificates are of an authority that only this process trusts.

func TestMain(m *testing.M) { goleak.VerifyTestMain(&world{tests: m}) }

// internet is what stands in for every other machine.
var internet *proxy

// certificate is valid for the names of the services that the driver uses.
var certificate tls.Certificate

type world struct{ tests *testing.M }

// Run runs the tests where no credentials are and no other machine can be
// reached.
func (w *world) Run() int {
	home, err := os.MkdirTemp("", "google")
	must(err)
	defer func() { must(os.RemoveAll(home)) }()
	authority := filepath.Join(home, "authority.pem")
	certificate = issue(authority)
	internet = newProxy()
	defer internet.close()
	for name, value := range map[string]string{
		"HOME":                           home,
		"GOOGLE_APPLICATION_CREDENTIALS": "",
		"GOOGLE_CLOUD_QUOTA_PROJECT":     "",
		"GOOGLE_CLOUD_UNIVERSE_DOMAIN":   "",
		"GCE_METADATA_HOST":              "",
		"SSL_CERT_FILE":                  authority,
		"SSL_CERT_DIR":                   home,
		"HTTPS_PROXY":                    "http://" + internet.listener.Addr().String(),
		"https_proxy":                    "",
		"NO_PROXY":                       "",
		"no_proxy":                       "",
	} {
		must(os.Setenv(name, value))
	}
	return w.tests.Run()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// issue makes a certificate, and writes that of its issuer to a file.
func issue(authorityFile string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	authority := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "authority of this test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, key.Public(), key)
	must(err)
	must(os.WriteFile(authorityFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		NotBefore:    authority.NotBefore,
		NotAfter:     authority.NotAfter,
		DNSNames:     []string{"texttospeech.googleapis.com", "eu-texttospeech.googleapis.com", "oauth2.googleapis.com"},
	}
	der, err = x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), key)
	must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// proxy is an HTTP proxy that only tunnels, and only to where it was told.
type proxy struct {
	listener net.Listener
	tunnels  sync.WaitGroup

	mu     sync.Mutex
	routes map[string]string // from "name:port" to an address on loopback
}

func newProxy() *proxy {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	p := &proxy{listener: listener, routes: map[string]string{}}
	p.tunnels.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.tunnels.Go(func() { p.serve(client) })
		}
	})
	return p
}

func (p *proxy) close() {
	must(p.listener.Close())
	p.tunnels.Wait()
}

// route leads a name to an address until the test ends.
func (p *proxy) route(t *testing.T, name, address string) {
	set := func(address string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.routes[name] = address
	}
	set(address)
	t.Cleanup(func() { set("") })
}

func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	request, err := http.ReadRequest(bufio.NewReader(client))
	if err != nil {
		return
	}
	p.mu.Lock()
	address := p.routes[request.Host]
	p.mu.Unlock()
	server, err := net.Dial("tcp", address)
	if request.Method != http.MethodConnect || address == "" || err != nil {
		_, _ = io.WriteString(client, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	defer func() { _ = server.Close() }()
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	var forth sync.WaitGroup
	forth.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	_, _ = io.Copy(client, server)
	_ = client.Close()
	forth.Wait()
}
