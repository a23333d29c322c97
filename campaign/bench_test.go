package campaign_test

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wakefuzz/campaign"
	"wakefuzz/internal/fakebench"
	"wakefuzz/internal/measure"
	"wakefuzz/oracle"
	"wakefuzz/oracle/engine/openwakeword"
	"wakefuzz/results"
	"wakefuzz/results/export"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// life is a campaign from its plan to its export. It is as large as asked for,
// and its fake benches take no time, so that what is left is what the harness
// itself costs.
type life struct {
	testing.TB
	dir     string
	spec    campaign.Spec
	store   *results.Store
	planned int
}

// newLife selects that many words of the CMU dictionary, and plans and creates
// a campaign of them.
func newLife(tb testing.TB, words, plays int) *life {
	tb.Helper()
	l := &life{TB: tb, dir: tb.TempDir()}
	spec, err := campaign.ParseSpec("test.yaml", []byte(smallSpec), drivers)
	if err != nil {
		tb.Fatal(err)
	}
	spec.Words.Order, spec.Words.Limit, spec.Protocol.Plays = "phonemes", words, plays
	dictionary, err := wordlists.CMU()
	if err != nil {
		tb.Fatal(err)
	}
	selected, err := wordlists.Select(tb.Context(), wordlists.Request{
		Dictionary: dictionary,
		Wake:       wake,
		Selection:  spec.Words,
		Seed:       spec.Seed,
	})
	if err != nil {
		tb.Fatal(err)
	}
	if len(selected) != words {
		tb.Fatalf("%d words are selected, not %d", len(selected), words)
	}
	l.spec, l.planned = spec, (words+1)*plays
	if l.store, err = campaign.Create(l.dir, spec, wake, selected, "test"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.store.Close() })
	return l
}

// reopen closes the store and opens it again, as a new process would.
func (l *life) reopen() {
	l.Helper()
	if err := l.store.Close(); err != nil {
		l.Fatal(err)
	}
	store, err := results.Open(l.dir)
	if err != nil {
		l.Fatal(err)
	}
	l.store = store
}

// play runs the campaign on two benches, until the plan is done or enough, which
// is told of every play, says so. It returns how many plays are measured.
func (l *life) play(open func(int) (*campaign.Bench, error), enough func(campaign.Standing) bool) int {
	l.Helper()
	stop, stopped := make(chan struct{}), false
	runner := campaign.Runner{
		Spec:      l.spec,
		Store:     l.store,
		Speak:     speak,
		OpenBench: open,
		Workers:   2,
		Version:   "test",
		Stop:      stop,
		Begin:     func(campaign.Standing) {},
		Report: func(e campaign.Event) {
			if !stopped && enough(e.Standing) {
				stopped = true
				close(stop)
			}
		},
		Log: slog.New(slog.DiscardHandler),
	}
	standing, err := runner.Run(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	return standing.Measured
}

// measured says that so many plays are enough.
func measured(plays int) func(campaign.Standing) bool {
	return func(s campaign.Standing) bool { return s.Measured >= plays }
}

// atFirst calls fn at the first play, and then goes on as the other says.
func atFirst(fn func(), enough func(campaign.Standing) bool) func(campaign.Standing) bool {
	first := sync.OnceFunc(fn)
	return func(s campaign.Standing) bool {
		first()
		return enough(s)
	}
}

// speak gives a clip to which the fake bench reacts, by the word, always,
// often, rarely or, for most words, never.
func speak(_ context.Context, u tts.Utterance) (tts.Clip, error) {
	if u.Text == wake.Text {
		return fakebench.Clip(1), nil
	}
	rates := map[uint32]float64{0: 1, 1: 0.7, 2: 0.1}
	return fakebench.Clip(rates[crc32.ChecksumIEEE([]byte(u.Text))%100]), nil
}

func fakeBench(int) (*campaign.Bench, error) {
	b := new(fakebench.Bench)
	return &campaign.Bench{Player: b, Oracles: []oracle.Oracle{b}, Close: func() error { return nil }}, nil
}

// engineBench is the real thing. It keeps its facts to itself, for they are not
// those of the fake benches that began the campaign.
func engineBench(int) (*campaign.Bench, error) {
	data := os.Getenv("WAKEFUZZ_DATA")
	if data == "" {
		share := os.Getenv("XDG_DATA_HOME")
		if share == "" {
			share = filepath.Join(os.Getenv("HOME"), ".local", "share")
		}
		data = filepath.Join(share, "wakefuzz")
	}
	e, err := openwakeword.New(openwakeword.AssetsIn(data), openwakeword.DefaultOptions())
	if err != nil {
		return nil, fmt.Errorf("%w (run: make setup)", err)
	}
	return &campaign.Bench{Player: e, Oracles: []oracle.Oracle{e}, Close: e.Close}, nil
}

// csv exports what another process would see now.
func (l *life) csv() string {
	l.Helper()
	store, err := results.View(l.Context(), l.dir)
	if err != nil {
		l.Fatal(err)
	}
	defer store.Close()
	report, err := results.Tally(store, l.spec.Judging())
	if err != nil {
		l.Fatal(err)
	}
	results.Rank(report.Words, l.spec.Rank.Order)
	var text bytes.Buffer
	if err := export.Write(&text, export.CSV, report, export.Options{}); err != nil {
		l.Fatal(err)
	}
	return text.String()
}

// The campaign that is measured below is one that comes out right.
func TestLife(t *testing.T) {
	const words, plays = 200, 3
	whole := newLife(t, words, plays)
	if n := whole.play(fakeBench, measured(whole.planned)); n != whole.planned {
		t.Errorf("%d of %d plays are measured", n, whole.planned)
	}
	want := whole.csv()
	if lines := strings.Count(want, "\n"); lines != 1+words+1 {
		t.Errorf("the export has %d lines, not a header, %d words and the control", lines, words)
	}
	if hits := strings.Count(want, ",true,"); hits == 0 || hits > words/10 {
		t.Errorf("%d hits:\n%s", hits, want)
	}

	halved := newLife(t, words, plays)
	half := halved.planned / 2
	// The second bench finishes the play in hand.
	if n := halved.play(fakeBench, measured(half)); n < half || n > half+1 {
		t.Errorf("%d plays are measured, not %d", n, half)
	}
	halved.reopen()
	halved.play(fakeBench, atFirst(func() {
		if lines := strings.Count(halved.csv(), "\n"); lines != 1+words+1 {
			t.Errorf("while a runner works, the export has %d lines", lines)
		}
	}, measured(halved.planned)))
	if got := halved.csv(); got != want {
		t.Errorf("resumed:\n%s\nuninterrupted:\n%s", got, want)
	}
	attempts := 0
	for _, err := range halved.store.Attempts() {
		if err != nil {
			t.Fatal(err)
		}
		attempts++
	}
	if attempts != halved.planned {
		t.Errorf("%d attempts for %d plays", attempts, halved.planned)
	}
}

// BenchmarkCampaign takes campaigns of ten plays a word through their lives:
// 10,000 words, and 200 as in the demonstration. Run it with -benchtime 1x: an
// iteration is a whole life, and every play is a synced commit.
//
//	plan-s        to select the words, plan, and create the store
//	plays/s       stored, of two fake benches
//	resume-s      from opening the half-filled store to the first new play
//	export-s      to read the store, judge every play, and write the CSV
//	peak-MB       the most memory that the process has had till then, mapped
//	              pages of the store included; for the second campaign it is
//	              still that of the first, which is larger
//	store-MB      the store's size
//	B/play        the same, per play
//	status-ms, status-running-ms, export-running-ms
//	              the commands as processes of their own: with no runner, and
//	              while two real engines play; medians of five
func BenchmarkCampaign(b *testing.B) {
	fuzzer := filepath.Join(b.TempDir(), "fuzzer")
	if out, err := exec.Command("go", "build", "-o", fuzzer, "wakefuzz/cmd/fuzzer").CombinedOutput(); err != nil {
		b.Fatalf("build fuzzer: %v\n%s", err, out)
	}
	if _, err := wordlists.CMU(); err != nil { // loading it has a benchmark of its own
		b.Fatal(err)
	}
	for _, words := range []int{10_000, 200} {
		b.Run(fmt.Sprintf("words=%d", words), func(b *testing.B) {
			for b.Loop() {
				measureLife(b, fuzzer, words)
			}
		})
	}
}

func measureLife(b *testing.B, fuzzer string, words int) {
	began := time.Now()
	seconds := func() float64 { return time.Since(began).Seconds() }

	l := newLife(b, words, campaign.PaperPlays)
	b.ReportMetric(seconds(), "plan-s")

	half := l.planned / 2
	l.play(fakeBench, atFirst(func() { began = time.Now() }, measured(half)))
	b.ReportMetric(float64(half)/seconds(), "plays/s")

	// The rest is left to real engines, so that who looks on has to share the
	// processors with the work that a campaign is about: enough that they are
	// never done before the looking is.
	left := min(l.planned/4, 2000)
	began = time.Now()
	l.reopen()
	filled := l.play(fakeBench, atFirst(
		func() { b.ReportMetric(seconds(), "resume-s") },
		measured(l.planned-left)))
	if err := l.store.Close(); err != nil {
		b.Fatal(err)
	}

	began = time.Now()
	l.csv()
	b.ReportMetric(seconds(), "export-s")
	b.ReportMetric(measure.PeakMemory(b)/1e6, "peak-MB")
	info, err := os.Stat(filepath.Join(l.dir, "store.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/1e6, "store-MB")
	b.ReportMetric(float64(info.Size())/float64(filled), "B/play")
	b.ReportMetric(answer(b, "stopped", fuzzer, "status", l.dir), "status-ms")

	if l.store, err = results.Open(l.dir); err != nil {
		b.Fatal(err)
	}
	watched := make(chan struct{})
	watch := func() {
		defer close(watched)
		b.ReportMetric(answer(b, "running", fuzzer, "status", l.dir), "status-running-ms")
		b.ReportMetric(answer(b, wake.Text, fuzzer, "export", l.dir, "--format", "csv"), "export-running-ms")
	}
	n := l.play(engineBench, atFirst(func() { go watch() }, func(campaign.Standing) bool {
		select {
		case <-watched:
			return true
		default:
			return false
		}
	}))
	<-watched
	if n == l.planned {
		b.Error("the engines were done before the commands were")
	}
}

// answer is how long a command takes in milliseconds, the median of five. What
// it prints must hold that text.
func answer(b *testing.B, text, fuzzer string, args ...string) float64 {
	var took []time.Duration
	for range 5 {
		began := time.Now()
		out, err := exec.Command(fuzzer, args...).CombinedOutput()
		took = append(took, time.Since(began))
		if err != nil || !bytes.Contains(out, []byte(text)) {
			b.Errorf("fuzzer %s: %v\n%.1000s", args[0], err, out)
		}
	}
	slices.Sort(took)
	return 1000 * took[len(took)/2].Seconds()
}
