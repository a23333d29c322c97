package virtualspeaker

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Background is what a device sends whether or not it hears anything.
type Background []Burst

// Burst is something that an idle device sends again and again.
type Burst struct {
	Every time.Duration
	Bytes int
}

// Backgrounds of several kinds of device. The first burst of each is also the
// device's greeting to its cloud.
var (
	// SpeakerBackground is what the paper saw idle speakers send: small bursts
	// every 20 s, medium ones every 300 s, large ones every 10 h (section 3). It
	// does not say how large they are.
	SpeakerBackground = Background{
		{20 * time.Second, 400},
		{300 * time.Second, 6 << 10},
		{10 * time.Hour, 256 << 10},
	}
	// CameraBackground is made up: a sign of life, its state, and now and then a
	// picture, which is as large as speech and sent at once.
	CameraBackground = Background{
		{10 * time.Second, 300},
		{60 * time.Second, 3 << 10},
		{200 * time.Second, 48 << 10},
	}
	// AlarmBackground is made up: it saves its battery.
	AlarmBackground = Background{
		{60 * time.Second, 120},
		{time.Hour, 2 << 10},
	}
)

// String writes the bursts as Set reads them.
func (b Background) String() string {
	var parts []string
	for _, burst := range b {
		parts = append(parts, fmt.Sprintf("%v:%d", burst.Every, burst.Bytes))
	}
	return strings.Join(parts, ",")
}

// Set reads bursts as in "20s:400,5m:6144": every 20 s 400 bytes, and every
// 5 min 6144. It makes a *Background a flag's value.
func (b *Background) Set(text string) error {
	var bursts Background
	for part := range strings.SplitSeq(text, ",") {
		every, size, _ := strings.Cut(part, ":")
		d, err := time.ParseDuration(every)
		n, wrong := strconv.Atoi(size)
		if err != nil || wrong != nil || d <= 0 || n <= 0 {
			return fmt.Errorf("background: %q is not an interval and a number of bytes, such as 20s:400", part)
		}
		bursts = append(bursts, Burst{d, n})
	}
	*b = bursts
	return nil
}

// repeat sends bursts until ctx ends, the first somewhere in the first
// interval. A greeting comes at once, again and again until the cloud has
// answered, which greeted is told.
func (b Burst) repeat(ctx context.Context, u *uplink, haste float64, greeted func()) {
	wait := time.Duration(rand.Float64() * float64(b.Every) / haste)
	if greeted != nil {
		for u.tell(ctx, b.Bytes) != nil {
			if !sleep(ctx, 50*time.Millisecond) {
				return
			}
		}
		greeted()
		wait = time.Duration(float64(b.Every) / haste)
	}
	for sleep(ctx, wait) {
		if err := u.tell(ctx, b.Bytes); err != nil && ctx.Err() == nil {
			log.Printf("telling the cloud: %v", err)
		}
		// Timers of devices drift; 5 % either way keeps the kinds from keeping step.
		wait = time.Duration((0.95 + 0.1*rand.Float64()) * float64(b.Every) / haste)
	}
}
