package results

import "wakefuzz/stats"

// Hearing is how well the bench heard what it should, and only that, by its
// controls: as a whole, or one of its oracles.
type Hearing struct {
	// Oracle is its name, or "" for the verdict.
	Oracle string
	// Positive is of the plays of the wake word, and Negative of those of silence
	// and of far words, those of the screening included.
	Positive, Negative Share
}

// Share is in how many plays the device reacted, of how many that were measured.
type Share struct {
	Reacted, Measured int
}

// Interval is the exact 95 % interval of the share.
func (s Share) Interval() stats.Interval { return stats.ClopperPearson(s.Reacted, s.Measured, 0.95) }

// Rate is the share as a number, or 0 of no plays.
func (s Share) Rate() float64 { return float64(s.Reacted) / float64(max(1, s.Measured)) }

func (s *Share) add(reacted, measured int) {
	s.Reacted += reacted
	s.Measured += measured
}

// Hearing says how well the bench heard: the verdict first, then each oracle
// where there are several.
func (r Report) Hearing() []Hearing {
	all := []Hearing{{}}
	if len(r.Oracles) > 1 {
		for _, name := range r.Oracles {
			all = append(all, Hearing{Oracle: name})
		}
	}
	for _, row := range r.Controls {
		for i := range all {
			reacted, measured := row.Reacted, row.Measured
			if i > 0 {
				reacted, measured = row.ByOracle[i-1].Reacted, row.ByOracle[i-1].Measured()
			}
			if row.Trial.Role == RolePositive {
				all[i].Positive.add(reacted, measured)
			} else {
				all[i].Negative.add(reacted, measured)
			}
		}
	}
	return all
}

// OverTime splits the plays of the wake word into so many stretches of the plan at
// most, in its order, and says how many of each woke the device.
func (r Report) OverTime(stretches int) []Share {
	var trials []Share
	for _, row := range r.Controls {
		if row.Trial.Role == RolePositive && row.Measured > 0 {
			trials = append(trials, Share{row.Reacted, row.Measured})
		}
	}
	n := min(stretches, len(trials))
	all := make([]Share, n)
	for i, t := range trials {
		all[i*n/len(trials)].add(t.Reacted, t.Measured)
	}
	return all
}
