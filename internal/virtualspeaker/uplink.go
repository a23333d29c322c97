package virtualspeaker

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
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

// burst is something that an idle speaker sends again and again.
type burst struct {
	every time.Duration
	bytes int
}

// background is what the paper saw idle speakers send: small bursts every 20 s,
// medium ones every 300 s, large ones every 10 h (section 3). It does not say
// how large they are.
var background = []burst{
	{20 * time.Second, 400},
	{300 * time.Second, 6 << 10},
	{10 * time.Hour, 256 << 10},
}

// repeat sends bursts until ctx ends, the first somewhere in the first
// interval. Of the shortest kind there is one at once, the speaker's greeting.
func (b burst) repeat(ctx context.Context, u *uplink, haste float64) {
	wait := time.Duration(rand.Float64() * float64(b.every) / haste)
	if b == background[0] {
		for u.tell(ctx, b.bytes) != nil {
			if !sleep(ctx, 50*time.Millisecond) {
				return
			}
		}
		wait = time.Duration(float64(b.every) / haste)
	}
	for sleep(ctx, wait) {
		if err := u.tell(ctx, b.bytes); err != nil && ctx.Err() == nil {
			log.Printf("telling the cloud: %v", err)
		}
		// Timers of devices drift; 5 % either way keeps the kinds from keeping step.
		wait = time.Duration((0.95 + 0.1*rand.Float64()) * float64(b.every) / haste)
	}
}
