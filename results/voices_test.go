package results_test

import (
	"math"
	"testing"

	"wakefuzz/results"
)

// spokenBy is a row of a word that woke the device in k of ten plays.
func spokenBy(word, voice string, k int) results.Row {
	return results.Row{
		Trial:    results.Trial{Role: results.RoleWord, Word: word, Voice: voice, Plays: 10},
		Measured: 10, Reacted: k, Rate: float64(k) / 10, Hit: k >= 2,
	}
}

func TestOverVoices(t *testing.T) {
	screened := spokenBy("vex", "b", 0)
	screened.Trial.Screening = true
	unmeasured := spokenBy("hex", "b", 0)
	unmeasured.Measured = 0
	r := results.Report{
		Words: []results.Row{
			spokenBy("lexus", "c", 10), spokenBy("vex", "a", 10), spokenBy("lexus", "a", 1), spokenBy("lexus", "b", 4),
			spokenBy("hex", "a", 5), unmeasured, spokenBy("hex", "c", 5), spokenBy("vex", "c", 10),
		},
		Screened: []results.Row{screened},
	}
	words := results.OverVoices(r)
	if len(words) != 3 || words[0].Word != "lexus" || words[1].Word != "vex" || words[2].Word != "hex" {
		t.Fatalf("the words %+v", words)
	}
	lexus, vex, hex := words[0], words[1], words[2]
	if lexus.Rows[0].Reacted != 1 || lexus.Rows[1].Reacted != 4 || lexus.Rows[2].Reacted != 10 {
		t.Errorf("lexus by voice: %+v", lexus.Rows)
	}
	if !lexus.Known || lexus.Hits != 2 || lexus.Measured != 3 || math.Abs(lexus.Rate-0.5) > 1e-9 {
		t.Errorf("lexus: %+v", lexus)
	}
	// Thirty plays, but three voices: the interval is that of half of three.
	if lexus.Lower > 0.2 || lexus.Upper < 0.8 {
		t.Errorf("lexus has an interval from %g to %g", lexus.Lower, lexus.Upper)
	}
	// Where a voice is missing, what is left is no fair sample of the voices.
	if vex.Known || vex.Hits != 2 || vex.Measured != 2 || vex.Rows[1] != nil || vex.Upper != 0 {
		t.Errorf("vex: %+v", vex)
	}
	if hex.Known || hex.Measured != 2 || hex.Rows[1] == nil {
		t.Errorf("hex: %+v", hex)
	}
	if words := results.OverVoices(results.Report{}); len(words) != 0 {
		t.Errorf("no report has the words %+v", words)
	}
}
