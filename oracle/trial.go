package oracle

import "wakefuzz/bench"

// Trial is what was recorded of a whole trial that was played at a fixed pace.
type Trial struct {
	// Idle is a stretch in which nothing sounded. Probe, as long and directly
	// after it, begins with the first sound and holds them all.
	Idle, Probe bench.Span
	// Sounds are the spans in which the clip sounded, one for each play.
	Sounds []bench.Span
	// Packets is the device's traffic in both stretches, in the order of time
	// and without a gap.
	Packets []bench.Packet
}

// TrialReading is what a trial says under one rule.
type TrialReading struct {
	State bench.State
	// P is how likely a trial is to look so, or more so, where the device does
	// not react. It has no meaning where State is Unmeasured.
	P float64
	// Inapplicable is why State is Unmeasured, or "".
	Inapplicable string
}

// TrialRule is a way to judge whole trials, beside the verdicts on their plays.
type TrialRule struct {
	// Name heads its column: "ttest".
	Name string
	// Text states the rule in one line.
	Text string
	// Judge is pure.
	Judge func(Trial) TrialReading
}
