package results

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/traffic"
	"wakefuzz/phoneme"
	"wakefuzz/stats"
)

// PaperHitRate is the rate from which a word is a hit where the spec does not
// say: 2/10, the lowest row of the paper's Table 5.
const PaperHitRate = 0.2

// Judging is how a store is judged.
type Judging struct {
	// Rules are applied to what was observed. The verdicts of the time of the
	// play, which are stored too, are only compared with.
	Rules oracle.Rules
	// Metric is the distance to the wake word.
	Metric phoneme.Metric
	// HitRate is the share of its plays that makes a word a hit; see [IsHit].
	HitRate float64
	// Trials judge trials as a whole, each by itself: none of them has a part
	// in the verdicts.
	Trials []oracle.TrialRule
	// Ranking ranks plays and words among the device's own traffic. It is nil
	// where there is no traffic.
	Ranking *Ranking
	// Watch is how long after a sound the rule for traffic looks at it. What was
	// watched for less, for a rule that asked for less, is read on in the stream of
	// traffic; see [Reader.Traffic].
	Watch time.Duration
	// Stretch is the length of the idle stretch before a trial, and that of the
	// stretch that holds its plays. It is 0 for a campaign that was not played
	// at a fixed pace.
	Stretch time.Duration
	// Early says that the plays of a word's last stage stopped when enough was
	// known. Then rates only order the words: no interval and no test holds.
	Early bool
}

// Report is what a store says under some judging.
type Report struct {
	Campaign Campaign
	Judging  Judging
	// Words has a row for each trial of a word, but for those of the screening,
	// which are in Screened; and Controls has one for each trial with a known
	// answer. All are in plan order; see [Rank].
	Words, Screened, Controls []Row
	Totals                    Totals
	// Oracles names the oracles that the rules judge, in alphabetical order,
	// and Agreements has an entry for each two of them.
	Oracles    []string
	Agreements []Agreement
	// Wholes has an entry for each of the judging's trial rules.
	Wholes []Whole
	// Background is what the judging's ranking compared with, or nil.
	Background *Background
}

// Row is what was found out about one trial.
type Row struct {
	Trial Trial
	// Measured is how many plays could be judged, n; Reacted is in how many of
	// them the device reacted, k. Failed is how many plays were attempted
	// without an attempt that counts.
	// Unjudged plays have an attempt that counts, which the rules can't judge.
	Measured, Reacted, Failed, Unjudged int
	// ByOracle is what each of the report's oracles read by itself, in their
	// order, whatever became the verdict.
	ByOracle []Readings
	// Trials is what each of the judging's trial rules said, in their order.
	Trials []oracle.TrialReading
	// P is how likely the device's own traffic holds as much as what it sent in
	// this trial's plays together, and Q, of words, the same adjusted for there
	// being many of them: of all words with at most such a Q about that share is
	// there by chance. Both are 0 where they are not known; see [Ranking].
	P, Q float64
	// PlayP is P of each play by itself, in the order of plays, and 0 where it is
	// not known. It is nil without a [Ranking], and of a screening trial.
	PlayP []float64
	// ControlP is how likely a word that reacts no more often than the negative
	// controls reacts in as many of its plays: Fisher's exact test, one-sided,
	// against all negative controls of the last stage. ControlQ is the same
	// adjusted for there being as many words as were selected, whether or not they
	// got as far as a test (Benjamini and Hochberg). Both are of words alone, and
	// 0 where they are not known: without negative controls, or where plays stopped
	// early. Screening plays have no part in them.
	ControlP, ControlQ float64
	// Rate is k/n, or 0 where n is 0. Lower and Upper are its 95 % interval;
	// see [stats.ClopperPearson], which holds it at any true rate.
	Rate, Lower, Upper float64
	// Hit is what IsHit says of the row.
	Hit bool
	// Code is the word's code under the judging's metric, and Distance its
	// distance to the wake word's.
	Code     string
	Distance int
	// Phonemes is the word's phoneme count, and PhonemeDistance the edit
	// distance of its phonemes to the wake word's, stress aside.
	Phonemes, PhonemeDistance int
	// Peak is the highest strength that was read in a play that counts, in the
	// oracle's own unit: for an engine, its highest score.
	Peak float64
	// Latency is the median time from the end of the sound to the reaction, of
	// the plays that reacted. It is negative where the device mostly reacted
	// before the sound was over.
	Latency time.Duration
}

// Readings counts what one oracle read in the plays that count, those included
// that the verdict leaves unmeasured.
type Readings struct {
	Oracle                     string
	Reacted, Quiet, Unmeasured int
}

// Measured is how many plays the oracle could speak of.
func (r Readings) Measured() int { return r.Reacted + r.Quiet }

// Agreement says how often two oracles agreed on a play that counts, of words
// and controls. A light without traffic is a wake word found by a local model
// alone; traffic without a light is worth a look as well.
type Agreement struct {
	// A and B name the oracles.
	A, B string
	// Plays counts the plays, by what A read and what B read.
	Plays [bench.Reacted + 1][bench.Reacted + 1]int
}

// Whole says what a rule found that judges trials as a whole, those of controls
// included.
type Whole struct {
	Rule oracle.TrialRule
	// Trials counts them by what the rule read, and Inapplicable those that it
	// could not judge, by the reason.
	Trials       [bench.Reacted + 1]int
	Inapplicable map[string]int
}

func (w *Whole) add(r oracle.TrialReading) {
	w.Trials[r.State]++
	if r.State == bench.Unmeasured {
		w.Inapplicable[r.Inapplicable]++
	}
}

// Totals are sums over all trials: of plays and attempts, those of controls
// included.
type Totals struct {
	// Planned plays are each Measured, Unjudged, Failed, or were not attempted.
	// Unjudged plays have an attempt that counts, but the rules can't judge
	// what it observed.
	Planned, Measured, Unjudged, Failed int
	// GivenUp is how many plays of earlier batches have no attempt that counts:
	// the campaign went on without them.
	GivenUp int
	// Busy is how many of the Failed ones are left so: at a fixed pace, they
	// found the device busy with its reaction to a play before.
	Busy int
	// Attempts is how many are stored, and Voided how many of those were voided.
	Attempts, Voided int
	// Selected is how many words were selected, times their voices. Words is how
	// many trials of words are planned that are not screening, and Hits how many
	// of those are hits. Screened counts the trials of the screening, a word as
	// often as it was screened.
	Selected, Words, Hits, Screened int
	// Whole says that no batch will follow.
	Whole    bool
	Sessions int
	// Disagreements is how many plays are judged otherwise than they were at
	// the time of the play.
	Disagreements int
}

// Complete reports whether all is planned, and every planned play has an attempt
// that counts, or will never have one.
func (t Totals) Complete() bool {
	return t.Whole && t.Measured+t.Unjudged+t.Busy+t.GivenUp == t.Planned
}

// outcome is what is known of a play: the verdict on the attempt that counts.
type outcome struct {
	attempted, counts, voided bool
	state, live               bench.State
	strength                  float64
	latency                   time.Duration
	stimulus                  stimulus
}

// Tally judges everything that is stored. It returns an error where the store
// can't be read, or there is no such metric.
func Tally(r *Reader, j Judging) (Report, error) {
	report, _, err := tally(r, j)
	if err != nil {
		return Report{}, err
	}
	return *report, nil
}

// tally is Tally, with what became of each play, by its slot.
func tally(r *Reader, j Judging) (*Report, []outcome, error) {
	report := &Report{Campaign: r.Campaign(), Judging: j}
	if _, err := phoneme.ParseMetric(string(j.Metric)); err != nil {
		return nil, nil, err
	}
	voided, err := r.voided()
	if err != nil {
		return nil, nil, err
	}
	sessions, err := r.Sessions()
	if err != nil {
		return nil, nil, err
	}
	t := &report.Totals
	t.Planned, t.Voided, t.Sessions = r.plan.plays(), len(voided), len(sessions)
	t.Selected, t.Whole = r.campaign.Selected, r.plan.whole

	report.Oracles = slices.Sorted(maps.Keys(j.Rules.Judges))
	plays := make([]outcome, r.plan.plays())
	// What each oracle read of each play, the oracles of a play side by side.
	readings := make([]bench.State, len(plays)*len(report.Oracles))
	of := func(slot int) []bench.State {
		return readings[slot*len(report.Oracles):][:len(report.Oracles)]
	}
	var takes *Takes
	if j.Stretch > 0 || j.Ranking != nil {
		if takes, err = r.Takes(); err != nil {
			return nil, nil, err
		}
	}
	rows := make([]Row, len(r.plan.trials))
	var idle *traffic.Null
	if j.Ranking != nil {
		idle = j.Ranking.Rule.NullFor(takes.longest)
	}
	if len(j.Trials) > 0 || idle != nil {
		if err := r.judgeTrials(j, takes, rows, idle); err != nil {
			return nil, nil, err
		}
	}
	rules := j.Ranking.decide(j.Rules, idle)
	scores := j.Ranking.newScores(len(plays))
	for a, err := range r.Attempts() {
		if err != nil {
			return nil, nil, err
		}
		t.Attempts++
		slot := r.plan.first[r.plan.places[a.Play.Trial]] + a.Play.Index
		void := voided[attemptKey{slot, a.Number}]
		plays[slot].attempted = true
		plays[slot].voided = plays[slot].voided || void
		if counts(a.State, void) {
			if err := r.readOn(a, j.Watch); err != nil {
				return nil, nil, err
			}
			scores.add(slot, a)
			verdict := rules.Judge(a.Sound, a.Observations)
			plays[slot] = judged(a, verdict, j.Rules.Fusion)
			for i, name := range report.Oracles {
				of(slot)[i] = reading(verdict, name)
			}
		}
	}

	wake := wakeWord{metric: j.Metric, pronunciation: phoneme.MetricPhonemes.Code("", report.Campaign.WakePronunciation)}
	wake.code = j.Metric.Code(report.Campaign.WakeWord, report.Campaign.WakePronunciation)
	report.Background = scores.rank(r.plan, rows, idle, j.Stretch > 0)
	for _, rule := range j.Trials {
		report.Wholes = append(report.Wholes, Whole{Rule: rule, Inapplicable: map[string]int{}})
	}
	places := map[[2]string]int{} // of tested words, by text and voice
	for i, trial := range r.plan.trials {
		row := rows[i]
		row.Trial = trial
		wake.compare(&row)
		row.add(plays[r.plan.first[i]:r.plan.first[i+1]], t)
		row.ByOracle = make([]Readings, len(report.Oracles))
		for o, name := range report.Oracles {
			row.ByOracle[o].Oracle = name
		}
		for slot := r.plan.first[i]; slot < r.plan.first[i+1]; slot++ {
			if plays[slot].counts {
				row.read(of(slot))
			}
		}
		row.Hit = !trial.Screening && IsHit(row.Reacted, trial.Plays, j.HitRate)
		for i, reading := range row.Trials {
			report.Wholes[i].add(reading)
		}
		busy := 0
		if j.Stretch > 0 {
			busy = takes.Busy(trial.ID)
		}
		t.Busy += busy
		if trial.Batch < r.plan.batches {
			t.GivenUp += givenUp(plays[r.plan.first[i]:r.plan.first[i+1]]) - busy
		}
		switch {
		case trial.Role != RoleWord:
			report.Controls = append(report.Controls, row)
		case trial.Screening:
			t.Screened++
			report.Screened = append(report.Screened, row)
		default:
			at, known := places[[2]string{trial.Word, trial.Voice}]
			if known { // played on in a later batch
				report.Words[at].merge(row, j.HitRate)
				continue
			}
			places[[2]string{trial.Word, trial.Voice}] = len(report.Words)
			report.Words = append(report.Words, row)
		}
	}
	t.Words = len(report.Words)
	if t.Selected == 0 {
		t.Selected = t.Words
	}
	report.test()
	for _, row := range report.Words {
		if row.Hit {
			t.Hits++
		}
	}
	for a := range report.Oracles {
		for b := a + 1; b < len(report.Oracles); b++ {
			agreement := Agreement{A: report.Oracles[a], B: report.Oracles[b]}
			for slot, play := range plays {
				if play.counts {
					agreement.Plays[of(slot)[a]][of(slot)[b]]++
				}
			}
			report.Agreements = append(report.Agreements, agreement)
		}
	}
	return report, plays, nil
}

// Negatives is in how many plays of the last stage's negative controls the device
// reacted, and how many could be measured.
func (r Report) Negatives() (reacted, measured int) {
	for _, row := range r.Controls {
		if row.Trial.Role == RoleNegative && !row.Trial.Screening {
			reacted += row.Reacted
			measured += row.Measured
		}
	}
	return reacted, measured
}

// test gives words their ControlP and ControlQ.
func (r *Report) test() {
	reacted, measured := r.Negatives()
	if measured == 0 || r.Judging.Early {
		return
	}
	p := make([]float64, len(r.Words))
	for i := range r.Words {
		row := &r.Words[i]
		row.ControlP = stats.FisherGreater(row.Reacted, row.Measured, reacted, measured)
		p[i] = row.ControlP
	}
	for i, q := range stats.BenjaminiHochbergOf(max(r.Totals.Selected, len(p)), p) {
		r.Words[i].ControlQ = q
	}
}

// reading is what the oracle of that name read, in a verdict.
func reading(v oracle.Verdict, name string) bench.State {
	for _, r := range v.Readings {
		if r.Oracle == name {
			return r.State
		}
	}
	return bench.Unmeasured
}

// judged is the outcome of a play by the verdict on the attempt that counts.
func judged(a Attempt, verdict oracle.Verdict, fusion oracle.Fusion) outcome {
	o := outcome{attempted: true, counts: true, state: verdict.State, live: a.State}
	o.stimulus = stimulus{a.Clip, a.Phase, a.NoiseDBFS, a.GainDB}
	// The reading that speaks for the verdict: the first that agrees with it.
	for _, reading := range verdict.Readings {
		decides := fusion == oracle.FusionAny || fusion == oracle.FusionAll || string(fusion) == reading.Oracle
		if decides && reading.State == verdict.State {
			o.strength, o.latency = reading.Strength, reading.Latency
			break
		}
	}
	return o
}

// wakeWord is what words are compared with.
type wakeWord struct {
	metric              phoneme.Metric
	code, pronunciation string
}

func (w wakeWord) compare(row *Row) {
	t := row.Trial
	row.Code = w.metric.Code(t.Word, t.Pronunciation)
	row.Distance = w.metric.Distance(row.Code, w.code)
	row.Phonemes = t.Pronunciation.Count()
	row.PhonemeDistance = phoneme.MetricPhonemes.Distance(phoneme.MetricPhonemes.Code(t.Word, t.Pronunciation), w.pronunciation)
}

// merge adds a trial of the same word and voice, from a later batch: plays of a
// last stage that may stop early come in portions. What was made of the traffic
// of either by itself does not hold for both.
func (row *Row) merge(more Row, hitRate float64) {
	row.Trial.Plays += more.Trial.Plays
	row.Measured += more.Measured
	row.Reacted += more.Reacted
	row.Failed += more.Failed
	row.Unjudged += more.Unjudged
	for i := range row.ByOracle {
		row.ByOracle[i].Reacted += more.ByOracle[i].Reacted
		row.ByOracle[i].Quiet += more.ByOracle[i].Quiet
		row.ByOracle[i].Unmeasured += more.ByOracle[i].Unmeasured
	}
	row.P, row.Q = 0, 0
	row.Peak = max(row.Peak, more.Peak)
	if row.Latency == 0 {
		row.Latency = more.Latency
	}
	row.rate()
	row.Hit = IsHit(row.Reacted, row.Trial.Plays, hitRate)
}

// rate estimates the rate from the counts.
func (row *Row) rate() {
	if row.Measured > 0 {
		row.Rate = float64(row.Reacted) / float64(row.Measured)
	}
	interval := stats.ClopperPearson(row.Reacted, row.Measured, 0.95)
	row.Lower, row.Upper = interval.Lower, interval.Upper
}

// add counts the trial's plays, in the row and in the totals.
func (row *Row) add(plays []outcome, t *Totals) {
	var latencies []time.Duration
	for _, play := range plays {
		if !play.counts {
			if play.attempted {
				row.Failed++
			}
			continue
		}
		if play.state != play.live {
			t.Disagreements++
		}
		if play.state == bench.Unmeasured {
			t.Unjudged++
			row.Unjudged++
			continue
		}
		row.Measured++
		row.Peak = max(row.Peak, play.strength)
		if play.state == bench.Reacted {
			row.Reacted++
			latencies = append(latencies, play.latency)
		}
	}
	t.Measured += row.Measured
	t.Failed += row.Failed
	row.rate()
	row.Latency = median(latencies)
}

// read counts what each oracle read of a play.
func (row *Row) read(states []bench.State) {
	for i, state := range states {
		by := &row.ByOracle[i]
		switch state {
		case bench.Reacted:
			by.Reacted++
		case bench.Quiet:
			by.Quiet++
		default:
			by.Unmeasured++
		}
	}
}

// givenUp counts the plays that have no attempt that counts and will have none,
// of a trial in a batch that others followed: what was taken back is played
// again.
func givenUp(plays []outcome) int {
	n := 0
	for _, play := range plays {
		if !play.counts && !play.voided {
			n++
		}
	}
	return n
}

// median returns 0 for no durations.
func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return (d[(len(d)-1)/2] + d[len(d)/2]) / 2
}

// IsHit says whether a word that reacted in so many of its planned plays is a
// hit at that rate. Plays that are not measured count as not reacted, so that
// a word is no hit after one play of ten, and once it is one it stays one.
func IsHit(reacted, planned int, rate float64) bool {
	const rounding = 1e-9 // 0.7 of 10 plays is 7, whatever binary fractions say
	return reacted > 0 && float64(reacted) >= rate*float64(planned)-rounding
}

// Order is an order of rows.
type Order string

// The orders. What is equal goes on by distance, then rate, then alphabet,
// voice, round and the trial's ID, so that an order is total.
const (
	// OrderDistance: nearest to the wake word first, as the paper's section 5.5
	// looks at them.
	OrderDistance Order = "distance"
	// OrderRate: highest rate first.
	OrderRate Order = "rate"
	// OrderLowerBound: highest lower bound of the interval first, so that 10 of
	// 10 go before 2 of 2.
	OrderLowerBound Order = "lower-bound"
	// OrderImpact: highest [Row.Impact] first, the rate times how often people say
	// the word. Words of which nobody knows that come last.
	OrderImpact Order = "impact"
)

// Orders lists the orders.
func Orders() []Order { return []Order{OrderDistance, OrderRate, OrderLowerBound, OrderImpact} }

// ParseOrder is the order of that name. The error lists the names.
func ParseOrder(name string) (Order, error) {
	if o := Order(name); slices.Contains(Orders(), o) {
		return o, nil
	}
	return "", fmt.Errorf("no order %.40q: use one of %v", name, Orders())
}

// UnmarshalText is ParseOrder, for decoders.
func (o *Order) UnmarshalText(text []byte) (err error) {
	*o, err = ParseOrder(string(text))
	return err
}

// Rank sorts the rows. An unknown order is OrderDistance.
func Rank(rows []Row, order Order) {
	if order == OrderImpact {
		rankByImpact(rows)
		return
	}
	slices.SortFunc(rows, func(a, b Row) int {
		first := 0
		switch order {
		case OrderRate:
			first = cmp.Compare(b.Rate, a.Rate)
		case OrderLowerBound:
			first = cmp.Compare(b.Lower, a.Lower)
		}
		return cmp.Or(
			first,
			cmp.Compare(a.Distance, b.Distance),
			cmp.Compare(b.Rate, a.Rate),
			cmp.Compare(a.Trial.Word, b.Trial.Word),
			cmp.Compare(a.Trial.Voice, b.Trial.Voice),
			cmp.Compare(a.Trial.Round, b.Trial.Round),
			slices.Compare(a.Trial.ID[:], b.Trial.ID[:]),
		)
	})
}
