package bed

import (
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle/light/lighttest"
	"wakefuzz/oracle/light/serial"
)

// The sensor is one that the driver for such sensors understands.
func TestSensor(t *testing.T) {
	lighttest.Run(t, func(t *testing.T) lighttest.Rig {
		s, err := newSensor()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.close)
		clock := bench.NewClock()
		o := serial.DefaultOptions()
		o.Port = s.path()
		o.Silence = 2 * time.Second // a busy machine may delay a heartbeat
		driver, err := serial.New(clock, o)
		if err != nil {
			t.Fatal(err)
		}
		return lighttest.Rig{
			Sensor:  driver,
			Now:     clock.Now,
			Set:     func(_ *testing.T, high bool) { s.show(!high) },
			Changes: 300,
			Pace:    2 * time.Millisecond,
		}
	})
}
