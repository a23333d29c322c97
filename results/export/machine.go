package export

import (
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/results"
)

// record is a row as programs read it.
type record struct {
	Word            string   `json:"word"`
	Role            string   `json:"role"`
	List            string   `json:"list"`
	Voice           string   `json:"voice"`
	Round           int      `json:"round"`
	Pronunciation   string   `json:"pronunciation"`
	Guessed         bool     `json:"guessed"`
	Phonemes        int      `json:"phonemes"`
	Code            string   `json:"code"`
	Distance        int      `json:"distance"`
	PhonemeDistance int      `json:"phoneme_distance"`
	Plays           int      `json:"plays"`
	Measured        int      `json:"measured"`
	Reacted         int      `json:"reacted"`
	Failed          int      `json:"failed"`
	Rate            *float64 `json:"rate"`
	RateLow         float64  `json:"rate_low"`
	RateHigh        float64  `json:"rate_high"`
	Hit             bool     `json:"hit"`
	Peak            *float64 `json:"peak"`
	LatencyMS       *float64 `json:"latency_ms"`
	Trial           string   `json:"trial"`
	// ByOracle is there where the report has several oracles.
	ByOracle map[string]counts `json:"by_oracle,omitempty"`
	// Trials is there where trials are judged as a whole.
	Trials map[string]whole `json:"trials,omitempty"`
	// Traffic is there where plays are ranked among the device's own traffic.
	Traffic *ranked `json:"traffic,omitempty"`

	Batch    int      `json:"batch"`
	Stage    string   `json:"stage"`
	Segment  int      `json:"segment"`
	Why      string   `json:"why"`
	ControlP *float64 `json:"control_p"`
	ControlQ *float64 `json:"control_q"`

	overVoices
}

// overVoices is what was found of a word of the last stage over all its voices.
type overVoices struct {
	Voices         *int     `json:"voices"`
	VoicesMeasured *int     `json:"voices_measured"`
	VoicesHit      *int     `json:"voices_hit"`
	VoicesRate     *float64 `json:"voices_rate"`
	VoicesRateLow  *float64 `json:"voices_rate_low"`
	VoicesRateHigh *float64 `json:"voices_rate_high"`
}

// stage is the name of a trial's stage.
func stage(t results.Trial) string {
	if t.Screening {
		return "screening"
	}
	return "last"
}

// ranked is how unlikely the traffic of a trial is.
type ranked struct {
	P *float64 `json:"p"`
	Q *float64 `json:"q"`
	// PlayP is of each play by itself, null where it is not known.
	PlayP []*float64 `json:"play_p"`
}

// whole is what a rule says of a trial as a whole.
type whole struct {
	State        *string  `json:"state"`
	P            *float64 `json:"p"`
	Inapplicable string   `json:"inapplicable,omitempty"`
}

func wholeOf(r oracle.TrialReading) whole {
	if r.State == bench.Unmeasured {
		return whole{Inapplicable: r.Inapplicable}
	}
	state := r.State.String()
	return whole{State: &state, P: known(r.P, true)}
}

// counts are what one oracle read in a trial.
type counts struct {
	Measured int `json:"measured"`
	Reacted  int `json:"reacted"`
}

func records(report results.Report, all overview, rows []results.Row) []record {
	list := make([]record, len(rows)) // never nil: an empty list is [] in JSON
	for i, r := range rows {
		t := r.Trial
		list[i] = record{
			Word:            t.Word,
			Role:            string(t.Role),
			List:            t.List,
			Voice:           t.Voice,
			Round:           t.Round,
			Pronunciation:   string(t.Pronunciation),
			Guessed:         t.Guessed,
			Phonemes:        r.Phonemes,
			Code:            r.Code,
			Distance:        r.Distance,
			PhonemeDistance: r.PhonemeDistance,
			Plays:           t.Plays,
			Measured:        r.Measured,
			Reacted:         r.Reacted,
			Failed:          r.Failed,
			Rate:            known(r.Rate, r.Measured > 0),
			RateLow:         r.Lower,
			RateHigh:        r.Upper,
			Hit:             r.Hit,
			Peak:            known(r.Peak, r.Measured > 0),
			LatencyMS:       known(milliseconds(r.Latency), r.Reacted > 0),
			Trial:           t.ID.String(),

			Batch: t.Batch, Stage: stage(t), Segment: t.Segment, Why: t.Why,
			ControlP: known(r.ControlP, r.ControlP > 0), ControlQ: known(r.ControlQ, r.ControlQ > 0),
		}
		if over, there := all.words[t.Word]; there && t.Role == results.RoleWord && !t.Screening {
			voices := len(all.voices)
			list[i].overVoices = overVoices{
				&voices, &over.Measured, &over.Hits,
				known(over.Rate, over.Known), known(over.Lower, over.Known), known(over.Upper, over.Known),
			}
		}
		if several(report) {
			list[i].ByOracle = make(map[string]counts)
			for _, o := range r.ByOracle {
				list[i].ByOracle[o.Oracle] = counts{Measured: o.Measured(), Reacted: o.Reacted}
			}
		}
		if report.Judging.Ranking != nil {
			list[i].Traffic = &ranked{P: known(r.P, r.P > 0), Q: known(r.Q, r.Q > 0), PlayP: make([]*float64, len(r.PlayP))}
			for k, p := range r.PlayP {
				list[i].Traffic.PlayP[k] = known(p, p > 0)
			}
		}
		if len(report.Judging.Trials) > 0 {
			list[i].Trials = make(map[string]whole)
			for j, rule := range report.Judging.Trials {
				list[i].Trials[rule.Name] = wholeOf(r.Trials[j])
			}
		}
	}
	return list
}

// several reports whether there is more to tell than what became the verdict.
func several(report results.Report) bool { return len(report.Oracles) > 1 }

// known is nil for a number that is not there, or is none.
func known(x float64, there bool) *float64 {
	if !there || math.IsInf(x, 0) || math.IsNaN(x) {
		return nil
	}
	return &x
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

var columns = []string{
	"word", "role", "list", "voice", "round", "pronunciation", "guessed", "phonemes",
	"code", "distance", "phoneme_distance", "plays", "measured", "reacted", "failed",
	"rate", "rate_low", "rate_high", "hit", "peak", "latency_ms", "trial",
	"batch", "stage", "segment", "why", "control_p", "control_q",
	"voices", "voices_measured", "voices_hit", "voices_rate", "voices_rate_low", "voices_rate_high",
}

func writeCSV(w io.Writer, report results.Report, all overview) error {
	out := csv.NewWriter(w)
	head := slices.Clone(columns)
	if several(report) {
		for _, o := range report.Oracles {
			head = append(head, cell(o+"_measured"), cell(o+"_reacted"))
		}
	}
	for _, rule := range report.Judging.Trials {
		head = append(head, cell(rule.Name), cell(rule.Name+"_p"))
	}
	if report.Judging.Ranking != nil {
		head = append(head, "traffic_p", "traffic_q")
	}
	out.Write(head) // errors stay until Flush
	for _, r := range records(report, all, slices.Concat(report.Words, report.Screened, report.Controls)) {
		line := []string{
			cell(r.Word), r.Role, cell(r.List), cell(r.Voice), strconv.Itoa(r.Round),
			cell(r.Pronunciation), strconv.FormatBool(r.Guessed), strconv.Itoa(r.Phonemes),
			cell(r.Code), strconv.Itoa(r.Distance), strconv.Itoa(r.PhonemeDistance),
			strconv.Itoa(r.Plays), strconv.Itoa(r.Measured), strconv.Itoa(r.Reacted), strconv.Itoa(r.Failed),
			fixed(r.Rate, 4), fixed(&r.RateLow, 4), fixed(&r.RateHigh, 4), strconv.FormatBool(r.Hit),
			fixed(r.Peak, 6), fixed(r.LatencyMS, 1), r.Trial,
			strconv.Itoa(r.Batch), r.Stage, strconv.Itoa(r.Segment), cell(r.Why), exact(r.ControlP), exact(r.ControlQ),
			counted(r.Voices), counted(r.VoicesMeasured), counted(r.VoicesHit), fixed(r.VoicesRate, 4), fixed(r.VoicesRateLow, 4), fixed(r.VoicesRateHigh, 4),
		}
		if several(report) {
			for _, o := range report.Oracles {
				line = append(line, strconv.Itoa(r.ByOracle[o].Measured), strconv.Itoa(r.ByOracle[o].Reacted))
			}
		}
		for _, rule := range report.Judging.Trials {
			if w := r.Trials[rule.Name]; w.State != nil {
				line = append(line, *w.State, fixed(w.P, 6))
			} else {
				line = append(line, inapplicable, "")
			}
		}
		if r.Traffic != nil {
			line = append(line, fixed(r.Traffic.P, 6), fixed(r.Traffic.Q, 6))
		}
		out.Write(line)
	}
	out.Flush()
	return out.Error()
}

// cell keeps a text from being run as a formula by a spreadsheet.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func counted(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

// exact is a p-value, which may be very small.
func exact(p *float64) string {
	if p == nil {
		return ""
	}
	return strconv.FormatFloat(*p, 'g', 6, 64)
}

func fixed(x *float64, decimals int) string {
	if x == nil {
		return ""
	}
	s := strconv.FormatFloat(*x, 'f', decimals, 64)
	if strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-") // no negative zero
	}
	return s
}

// document is a report as programs read it.
type document struct {
	Campaign   header      `json:"campaign"`
	Judging    judging     `json:"judging"`
	Totals     totals      `json:"totals"`
	Words      []record    `json:"words"`
	Screened   []record    `json:"screened,omitempty"`
	Controls   []record    `json:"controls"`
	Agreements []agreement `json:"agreements,omitempty"`
	Background *background `json:"background,omitempty"`
}

// background is what plays were ranked among.
type background struct {
	Windows       int      `json:"windows"`
	WindowSeconds float64  `json:"window_seconds"`
	Approximate   bool     `json:"approximate"`
	LineBytes     *float64 `json:"line_bytes"`
	Notes         []string `json:"notes"`
}

func backgroundOf(b *results.Background) *background {
	if b == nil {
		return nil
	}
	return &background{
		Windows: b.Windows, WindowSeconds: b.Unit.Seconds(), Approximate: b.Approximate,
		LineBytes: known(b.Line, b.Line > 0), Notes: append([]string{}, b.Notes...),
	}
}

// agreement says how many plays two oracles read as what.
type agreement struct {
	A        string     `json:"a"`
	B        string     `json:"b"`
	Readings []agreeing `json:"readings"`
}

type agreeing struct {
	A     string `json:"a"`
	B     string `json:"b"`
	Plays int    `json:"plays"`
}

func agreements(report results.Report) []agreement {
	var list []agreement
	for _, of := range report.Agreements {
		list = append(list, agreementOf(of))
	}
	return list
}

func agreementOf(of results.Agreement) agreement {
	a := agreement{A: of.A, B: of.B}
	for _, down := range states {
		for _, across := range states {
			a.Readings = append(a.Readings, agreeing{A: down.String(), B: across.String(), Plays: of.Plays[down][across]})
		}
	}
	return a
}

type header struct {
	Name              string    `json:"name"`
	WakeWord          string    `json:"wake_word"`
	WakePronunciation string    `json:"wake_pronunciation"`
	PlanHash          string    `json:"plan_hash"`
	Created           time.Time `json:"created"`
	Fuzzer            string    `json:"fuzzer"`
	Spec              string    `json:"spec"`
}

type judging struct {
	Rules   string  `json:"rules"`
	Metric  string  `json:"metric"`
	HitRate float64 `json:"hit_rate"`
	// Trials are the rules that judge trials as a whole, by their names.
	Trials map[string]string `json:"trials,omitempty"`
}

type totals struct {
	Planned       int  `json:"planned"`
	Measured      int  `json:"measured"`
	Unjudged      int  `json:"unjudged"`
	Failed        int  `json:"failed"`
	Busy          int  `json:"busy,omitempty"`
	Attempts      int  `json:"attempts"`
	Voided        int  `json:"voided"`
	GivenUp       int  `json:"given_up,omitempty"`
	Selected      int  `json:"selected"`
	Screened      int  `json:"screened,omitempty"`
	Words         int  `json:"words"`
	Hits          int  `json:"hits"`
	Sessions      int  `json:"sessions"`
	Disagreements int  `json:"disagreements"`
	Complete      bool `json:"complete"`
}

func writeJSON(w io.Writer, report results.Report, all overview) error {
	c, j, t := report.Campaign, report.Judging, report.Totals
	trials := map[string]string{}
	for _, rule := range j.Trials {
		trials[rule.Name] = rule.Text
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(document{
		Campaign: header{
			Name:              c.Name,
			WakeWord:          c.WakeWord,
			WakePronunciation: string(c.WakePronunciation),
			PlanHash:          hex.EncodeToString(c.PlanHash[:]),
			Created:           c.Created,
			Fuzzer:            c.Fuzzer,
			Spec:              c.Spec,
		},
		Judging: judging{Rules: j.Rules.Text, Metric: string(j.Metric), HitRate: j.HitRate, Trials: trials},
		Totals: totals{
			Planned:       t.Planned,
			Measured:      t.Measured,
			Unjudged:      t.Unjudged,
			Failed:        t.Failed,
			Busy:          t.Busy,
			Attempts:      t.Attempts,
			Voided:        t.Voided,
			GivenUp:       t.GivenUp,
			Selected:      t.Selected,
			Screened:      t.Screened,
			Words:         t.Words,
			Hits:          t.Hits,
			Sessions:      t.Sessions,
			Disagreements: t.Disagreements,
			Complete:      t.Complete(),
		},
		Words:      records(report, all, report.Words),
		Screened:   records(report, all, report.Screened),
		Controls:   records(report, all, report.Controls),
		Agreements: agreements(report),
		Background: backgroundOf(report.Background),
	})
}
