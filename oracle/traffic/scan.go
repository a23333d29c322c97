package traffic

import "wakefuzz/bench"

// Scanner looks for activations in the traffic of one device, whatever was
// played when: in a capture file, or on the wire as it goes. What it keeps
// does not grow with the packets but, at most, slowly with time.
type Scanner interface {
	// Packet takes the device's next packet. Packets come in the order of
	// time; one that steps back counts as simultaneous with its predecessor.
	Packet(p bench.Packet)
	// Gap says that nothing is known of the span: the capture was not at work,
	// or its clock was set. No window reaches across.
	Gap(span bench.Span)
	// Findings returns what the traffic up to the instant holds, as far as it
	// is known by now: later traffic may change what a detector that learns
	// thinks of earlier traffic, and the last activation may still go on.
	Findings(now bench.Instant) Findings
}

// Findings is what a scanner found in the traffic of one device.
type Findings struct {
	// Activations are in the order of time and don't overlap.
	Activations []Activation
	// Notes tell a person, a line each, what limits the findings: that there
	// was too little idle traffic, that the device's own bursts are as large as
	// speech.
	Notes []string
}

// Activation is a stretch in which a device is taken to have sent what it
// heard.
type Activation struct {
	Span bench.Span
	// Score is how strongly it stands out, in the detector's own unit: the
	// larger, the stronger.
	Score float64
	// P is how likely the device's idle traffic has a stretch like this, where
	// the detector knows.
	P PValue
}

// PValue is a p-value in (0, 1], or none: the zero PValue.
type PValue struct {
	Value float64
	// Approximate says that it is not known by what was measured which traffic
	// was idle: the detector chose that itself.
	Approximate bool
}

// Known reports whether there is a p-value.
func (p PValue) Known() bool { return p.Value > 0 }
