package virtualspeaker

import "wakefuzz/oracle/engine/openwakeword"

// What a device may listen for instead of a wake word.
const (
	// AnySound is what cameras that tell of noises listen for.
	AnySound = "any-sound"
	// NoSound is for devices that have a microphone, as smoke alarms that test
	// their own siren do, and send nothing of what they hear.
	NoSound = "no-sound"
)

// ears score what a device hears. Close is called once, when it hears no more.
type ears interface {
	Hear(samples []int16) (scores []float32, err error)
	Close() error
}

// ears are those that the options ask for.
func (o Options) ears() (ears, error) {
	switch o.Model {
	case AnySound:
		return level{from: loud}, nil
	case NoSound:
		return level{from: beyond}, nil
	}
	return openwakeword.NewListener(o.Assets, o.Model)
}

// level scores a frame 1 where its RMS, in sample steps, is at least so much,
// and else 0.
type level struct{ from float64 }

// beyond is louder than any sound.
const beyond = 1 << 16

func (l level) Hear(samples []int16) ([]float32, error) {
	if rms(samples) >= l.from {
		return []float32{1}, nil
	}
	return []float32{0}, nil
}

func (level) Close() error { return nil }
