package results_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"wakefuzz/bench"
	"wakefuzz/internal/idletraffic"
	"wakefuzz/internal/nights"
	"wakefuzz/oracle"
	"wakefuzz/oracle/traffic"
	"wakefuzz/phoneme"
	"wakefuzz/results"
	"wakefuzz/stats"
)

// nightOf is a made-up campaign of so many words, played ten times each.
func nightOf(t *testing.T, n nights.Night, words int) results.Report {
	t.Helper()
	s, _ := create(t, plan(words+1, 10))
	defer closing(t, s)
	if err := n.Play(s); err != nil {
		t.Fatal(err)
	}
	report, err := results.Tally(s.Reader, rankingOf(n))
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// rankingOf judges a night by the calibrated rule.
func rankingOf(n nights.Night) results.Judging {
	rule := traffic.DefaultCalibratedRule()
	judge := rule.Judging(nil)
	j := results.Judging{
		Rules: oracle.Rules{
			Judges: map[string]oracle.Judge{traffic.Name: func(sound bench.Span, o bench.Observation) bench.Reading {
				reading, _ := judge(sound, o)
				return reading
			}},
			Fusion: traffic.Name,
			Text:   rule.String(),
		},
		Metric:  phoneme.MetricDoubleMetaphone,
		HitRate: results.PaperHitRate,
		Ranking: &results.Ranking{Rule: rule, Decides: true},
	}
	if n.Fixed {
		j.Stretch = nights.Stretch
	}
	return j
}

// devices are those that traffic is made up for, but for directions, and one that
// is busy for ten minutes of each hour, so that the plays of a word are more alike
// than those of the night.
func devices() []idletraffic.Profile {
	directed := slices.DeleteFunc(idletraffic.Profiles(), func(p idletraffic.Profile) bool { return !p.Directed })
	moody := directed[1]
	moody.Name = "busy now and then"
	moody.Habits = append(slices.Clone(moody.Habits), idletraffic.Habit{
		Every: 3 * time.Second, Random: true, Least: 300, Most: 3_000, Busy: 10 * time.Minute, Calm: 50 * time.Minute,
	})
	return append(directed, moody)
}

func paceOf(fixed bool) string {
	if fixed {
		return "fixed"
	}
	return "settled"
}

// Of words that don't wake the device no more have a small p-value than it says,
// as far as a block bootstrap over twenty words can tell, at either pace and
// whatever the device does. None stands out once there are so many of them.
func TestPValuesOfDeafWordsAreSuperUniform(t *testing.T) {
	const words = 600
	for _, fixed := range []bool{false, true} {
		for i, device := range devices() {
			t.Run(paceOf(fixed)+"/"+device.Name, func(t *testing.T) {
				t.Parallel()
				report := nightOf(t, nights.Night{Device: device, Seed: uint64(20 + i), Fixed: fixed}, words)
				for _, level := range []float64{0.1, 0.01, 0.001} {
					reached := make([]float64, words)
					for i, row := range report.Words {
						if row.P <= 0 || row.P < 1/float64(report.Background.Windows+1) {
							t.Fatalf("%s has p = %g of %d windows", row.Trial.Word, row.P, report.Background.Windows)
						}
						if row.P <= level {
							reached[i] = 1
						}
						for k, p := range row.PlayP {
							if p != 0 && p < 1/float64(report.Background.Windows+1) || p > 1 { // 0: busy before it
								t.Fatalf("play %d of %s has p = %g of %d windows", k, row.Trial.Word, p, report.Background.Windows)
							}
						}
						if len(row.PlayP) != row.Trial.Plays {
							t.Fatalf("%s has p-values of %d plays", row.Trial.Word, len(row.PlayP))
						}
						if row.Q < row.P*(1-1e-9) || row.Q <= 0.05 {
							t.Errorf("%s has p = %g, q = %g", row.Trial.Word, row.P, row.Q)
						}
					}
					in := stats.BlockBootstrap(reached, 20, 1000, 1)
					t.Logf("%.4f (%.4f to %.4f) at %g", stats.Mean(reached), in.Lower, in.Upper, level)
					if in.Lower > level {
						t.Errorf("%.4f (%.4f to %.4f) of the words have p <= %g", stats.Mean(reached), in.Lower, in.Upper, level)
					}
				}
				b := report.Background
				if b.Approximate == fixed || b.Unit != 5750*time.Millisecond || b.Windows < 9*words {
					t.Errorf("compared with %+v", b)
				}
				if phases := strings.Contains(strings.Join(b.Notes, "; "), "comes in phases"); phases != (device.Name == "busy now and then") {
					t.Errorf("%s is noted as %q", device.Name, b.Notes)
				}
			})
		}
	}
}

// Words that wake the device in two plays of ten or more are found among many that
// don't, whatever the pace.
func TestPValuesFindWords(t *testing.T) {
	const words, reacting = 300, 30
	for _, fixed := range []bool{false, true} {
		for i, device := range idletraffic.Profiles()[:4] {
			t.Run(paceOf(fixed)+"/"+device.Name, func(t *testing.T) {
				t.Parallel()
				rates := map[string]float64{}
				rng := rand.New(rand.NewPCG(uint64(i), 0))
				for k := range reacting {
					rates[fmt.Sprintf("word%05d", rng.IntN(words/reacting)+k*words/reacting)] = 0.4 + 0.6*rng.Float64()
				}
				report := nightOf(t, nights.Night{Device: device, Seed: uint64(40 + i), Fixed: fixed, Reacts: rates}, words)
				found, others := 0, 0
				for _, row := range report.Words {
					switch {
					case row.Q > 0.05:
					case rates[row.Trial.Word] > 0:
						found++
					default:
						others++
					}
				}
				if found < reacting-1 || others > 4 {
					t.Errorf("%d of %d found, %d others; %+v", found, reacting, others, report.Background)
				}
				if p, least := report.Controls[0].P, 1/float64(report.Background.Windows+1); p != least {
					t.Errorf("the wake word has p = %g, where %g is the least", p, least)
				}
			})
		}
	}
}
