package results_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"wakefuzz/bench"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine"
	"wakefuzz/phoneme"
	"wakefuzz/results"
)

// TestMain runs the tests, or what a test asked a process of its own for: the
// first word of RESULTS_CHILD is the job, the second the folder.
func TestMain(m *testing.M) {
	if job, dir, ok := strings.Cut(os.Getenv("RESULTS_CHILD"), " "); ok {
		if err := child(job, dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// child does its job for ever, and prints a line for each step that is done.
func child(job, dir string) error {
	switch job {
	case "append":
		s, err := results.Open(dir)
		if err != nil {
			return err
		}
		progress, err := s.Progress()
		if err != nil {
			return err
		}
		session, err := s.BeginSession(results.Session{PID: os.Getpid()})
		if err != nil {
			return err
		}
		fmt.Println("ready")
		trials := s.Trials()
		next := progress.Next(play(trials[0], 0))
		for ; ; next++ {
			// Two plays in one commit: they are there together or not at all.
			if err := s.Append(
				attempt(play(trials[0], 0), next, session, 0.9),
				attempt(play(trials[1], 0), next, session, 0.1),
			); err != nil {
				return err
			}
			fmt.Println(next)
		}
	case "create":
		for i := 0; ; i++ {
			s, err := results.Create(filepath.Join(dir, fmt.Sprint(i)), campaign(), plan(200, 10))
			if err != nil {
				return err
			}
			fmt.Println(i)
			if err := s.Close(); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("no job %q", job)
	}
}

// spawn starts a child. The scanner reads what it prints.
func spawn(t *testing.T, job, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RESULTS_CHILD="+job+" "+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, bufio.NewScanner(out)
}

func campaign() results.Campaign {
	return results.Campaign{
		Name:              "night",
		WakeWord:          "alexa",
		WakePronunciation: "AH0 L EH1 K S AH0",
		PlanHash:          sha256.Sum256([]byte("plan")),
		Created:           time.Date(2026, 3, 1, 22, 0, 0, 5, time.UTC),
		Fuzzer:            "v0.1.0",
		Spec:              "wake_word: alexa\n",
	}
}

// plan is a plan of n trials of so many plays, the last of them the control.
func plan(n, plays int) []results.Trial {
	trials := make([]results.Trial, n)
	for i := range trials {
		trials[i] = trial(fmt.Sprintf("word%05d", i), "W ER1 D", plays)
	}
	if n > 1 {
		trials[n-1].Role = results.RolePositive
		trials[n-1].Word = "alexa"
		trials[n-1].Pronunciation = campaign().WakePronunciation
	}
	return trials
}

func trial(word string, p phoneme.Pronunciation, plays int) results.Trial {
	sum := sha256.Sum256([]byte(word))
	return results.Trial{
		ID:            results.TrialID(sum[:16]),
		Role:          results.RoleWord,
		Word:          word,
		Pronunciation: p,
		List:          "cmudict",
		Voice:         "flite/kal16",
		Round:         1,
		Batch:         1,
		Plays:         plays,
	}
}

func play(t results.Trial, index int) results.PlayID {
	return results.PlayID{Trial: t.ID, Index: index}
}

// attempt is a measured attempt whose scores peak at so much, half a second
// before the end of a sound of one second.
func attempt(id results.PlayID, number int, session uint32, peak float32) results.Attempt {
	scores := make([]float32, 38)
	for i := range scores {
		scores[i] = float32(i%7) * 1e-3 * peak
	}
	scores[6] = peak
	state := bench.Quiet
	if peak >= 0.5 {
		state = bench.Reacted
	}
	const second = bench.Instant(time.Second)
	start := 10 * second
	return results.Attempt{
		Play:      id,
		Number:    number,
		Session:   session,
		Bench:     1,
		Wall:      time.Date(2026, 3, 1, 22, 0, number, 0, time.UTC),
		Clip:      sha256.Sum256(binary.BigEndian.AppendUint64(nil, id.Seed())),
		Sound:     bench.Span{Start: start, End: start + second},
		Phase:     17 * time.Millisecond,
		NoiseDBFS: math.Inf(-1),
		GainDB:    -3,
		Observations: []bench.Observation{{
			Oracle:  engine.Name,
			Watched: bench.Span{Start: start, End: start + 3*second},
			Scores:  bench.Series{Start: start + second/50, Step: 80 * time.Millisecond, Values: scores},
		}},
		State: state,
		Rule:  engine.DefaultRule().String(),
	}
}

// later moves the attempt on the clock of its bench.
func later(a results.Attempt, d time.Duration) results.Attempt {
	move := func(s *bench.Span) { s.Start, s.End = s.Start.Add(d), s.End.Add(d) }
	move(&a.Sound)
	for i := range a.Observations {
		move(&a.Observations[i].Watched)
		a.Observations[i].Scores.Start = a.Observations[i].Scores.Start.Add(d)
	}
	return a
}

// watching adds to an attempt what an oracle of the name traffic saw of it: a
// burst after the end of the sound if it reacted, and chatter otherwise.
func watching(a results.Attempt) results.Attempt {
	o := bench.Observation{Oracle: "traffic", Watched: bench.Span{Start: a.Sound.Start, End: a.Sound.End.Add(5 * time.Second)}}
	packet := func(at bench.Instant, payload int32, d bench.Direction) {
		o.Packets = append(o.Packets, bench.Packet{At: at, Size: payload + 66, Payload: payload, Direction: d})
	}
	packet(a.Sound.Start, 31, bench.Outgoing)
	packet(a.Sound.Start.Add(18*time.Millisecond), 0, bench.Incoming)
	if a.State == bench.Reacted {
		for i := range 20 {
			at := a.Sound.End.Add(time.Duration(300+20*i) * time.Millisecond)
			packet(at, 1448, bench.Outgoing)
			if i%2 == 1 {
				packet(at.Add(17*time.Millisecond), 0, bench.Incoming)
			}
		}
	}
	a.Observations = append(a.Observations, o)
	return a
}

// failed is an attempt that could not be measured.
func failed(id results.PlayID, number int, session uint32) results.Attempt {
	return results.Attempt{
		Play:    id,
		Number:  number,
		Session: session,
		Fault:   bench.FaultOracle,
		Detail:  "the engine ran out of frames",
	}
}

// rules judge engines by a threshold.
func rules(threshold float64) oracle.Rules {
	rule := engine.Rule{Threshold: threshold, Patience: 1}
	return oracle.Rules{
		Judges: map[string]oracle.Judge{engine.Name: rule.Judge},
		Fusion: engine.Name,
		Text:   rule.String(),
	}
}

func judging(threshold float64) results.Judging {
	return results.Judging{Rules: rules(threshold), Metric: phoneme.MetricDoubleMetaphone, HitRate: results.PaperHitRate}
}

// create makes a store in a folder of its own, with a session begun, and
// checks the file when the test is over.
func create(t testing.TB, trials []results.Trial) (s *results.Store, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "campaign")
	return createIn(t, dir, trials), dir
}

func createIn(t testing.TB, dir string, trials []results.Trial) *results.Store {
	t.Helper()
	s, err := results.Create(dir, campaign(), trials)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { checkFile(t, dir) })
	if _, err := s.BeginSession(results.Session{Started: campaign().Created, Host: "pi", PID: 7, Workers: 2, Facts: map[string]string{"model": "alexa_v0.1"}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// checkFile lets bbolt look for inconsistencies in the store.
func checkFile(t testing.TB, dir string) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "store.db"), 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second, PreLoadFreelist: true})
	if err != nil {
		t.Errorf("check %s: %v (is the store closed?)", dir, err)
		return
	}
	defer db.Close()
	if err := db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("check %s: %v", dir, err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func closing(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// all reads all attempts.
func all(t testing.TB, r *results.Reader) []results.Attempt {
	t.Helper()
	var list []results.Attempt
	for a, err := range r.Attempts() {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	return list
}

func view(t testing.TB, dir string) *results.Reader {
	t.Helper()
	r, err := results.View(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
