package virtualspeaker

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// uplink is the speaker's way to its cloud. Its connections stay open for the
// next request.
type uplink struct {
	url       string
	transport *http.Transport

	mu    sync.Mutex
	alive context.Context // until the link is cut
	cut   func()
}

// patience is how long an answer of the cloud may take.
const patience = 15 * time.Second

func newUplink(cloud string, trust *x509.CertPool, dialer *net.Dialer) *uplink {
	dialer.Timeout = patience
	u := &uplink{
		url: "https://" + cloud,
		transport: &http.Transport{
			DialContext:         dialer.DialContext,
			TLSClientConfig:     &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS13},
			TLSHandshakeTimeout: patience,
			DisableCompression:  true,
		},
	}
	u.alive, u.cut = context.WithCancel(context.Background())
	return u
}

// hangUp ends all connections, and what is being sent over them.
func (u *uplink) hangUp() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cut()
	u.alive, u.cut = context.WithCancel(context.Background())
	u.transport.CloseIdleConnections()
}

// stream sends sound as it comes, and returns once the cloud has answered. The
// sound may go on that long.
func (u *uplink) stream(ctx context.Context, sound <-chan []int16, longest time.Duration) error {
	return u.post(ctx, "/sound", &pcm{sound: sound}, longest+patience)
}

// tell sends something that long.
func (u *uplink) tell(ctx context.Context, length int) error {
	return u.post(ctx, "/state", bytes.NewReader(make([]byte, length)), patience)
}

func (u *uplink) post(ctx context.Context, path string, body io.Reader, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	u.mu.Lock()
	defer context.AfterFunc(u.alive, cancel)()
	u.mu.Unlock()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url+path, body)
	if err != nil {
		return err
	}
	response, err := u.transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", request.URL, response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
