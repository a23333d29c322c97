package results_test

import (
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wakefuzz/results"
	"wakefuzz/stats"
)

// played is a store whose words reacted in these plays: "xx.-" in the first two of
// four, of which the last could not be measured.
func played(t *testing.T, trials []results.Trial, plays map[string]string, change func(*results.Attempt)) *results.Reader {
	t.Helper()
	for i := range trials {
		trials[i].Plays = len(plays[trials[i].Word])
	}
	s := createIn(t, filepath.Join(t.TempDir(), "campaign"), trials)
	t.Cleanup(func() { closing(t, s) })
	for _, trial := range trials {
		for i, c := range plays[trial.Word] {
			a := attempt(play(trial, i), 1, 1, map[rune]float32{'x': 0.9}[c])
			if c == '-' {
				a = failed(play(trial, i), 1, 1)
			}
			if change != nil {
				change(&a)
			}
			if err := s.Append(a); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s.Reader
}

// words are trials of these words, in one batch; those in upper case are screened.
func words(voice string, texts ...string) []results.Trial {
	var trials []results.Trial
	for _, text := range texts {
		w := trial(strings.ToLower(text)+voice, "W ER1 D", 1)
		w.Word, w.Voice, w.Screening = text, voice, text == strings.ToUpper(text)
		if text == "alexa" {
			w.Role = results.RolePositive
		}
		trials = append(trials, w)
	}
	return trials
}

func comparing(t *testing.T, a, b *results.Reader) results.CampaignComparison {
	t.Helper()
	c, err := results.CompareCampaigns(a, b, judging(0.5), judging(0.5))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// about is what is said of a word.
func about(t *testing.T, c results.CampaignComparison, word string) results.WordComparison {
	t.Helper()
	i := slices.IndexFunc(c.Words, func(w results.WordComparison) bool { return w.Word == word })
	if i < 0 {
		t.Fatalf("nothing is said of %q", word)
	}
	return c.Words[i]
}

func TestCompareCampaigns(t *testing.T) {
	const voice = "flite/kal16"
	a := played(t, words(voice, "alexa", "went", "came", "same", "mute", "gone", "SCREEN"), map[string]string{
		"alexa": "xx", "went": "xxxxxxxxxx", "came": "..........", "same": "xxxxx.....", "mute": "..........", "gone": "xx", "SCREEN": ".",
	}, nil)
	inB := map[string]string{
		"alexa": "xx", "went": "..........", "came": ".xxxxxx-..", "same": "xx.xxx....", "mute": "..........", "new": "xx", "SCREEN": "x",
	}
	b := played(t, words(voice, "alexa", "went", "came", "same", "mute", "new", "SCREEN"), inB, nil)
	c := comparing(t, a, b)

	// Three words could show a difference in pairs of plays, and one has no last
	// stage. The word that never reacts is not allowed for.
	if c.Pooled || c.Tests != 4 || c.More != 1 || c.Less != 1 || c.SignP != 1 {
		t.Errorf("%+v", c)
	}
	went := about(t, c, "went")
	if p := math.Ldexp(1, -9); went.Test != results.McNemar || !near(went.P, p) || !near(went.Q, 4*p) || !went.Ceased() || went.Became() || went.Differs() != -1 {
		t.Errorf("went: %+v", went)
	}
	came := about(t, c, "came")
	if p := math.Ldexp(1, -5); came.Test != results.McNemar || !near(came.P, p) || !near(came.Q, 2*p) || !came.Became() || came.Differs() != 0 || came.B.Measured != 9 {
		t.Errorf("came: %+v", came)
	}
	if same := about(t, c, "same"); same.P != 1 || same.Became() || same.Ceased() || same.Differs() != 0 {
		t.Errorf("same: %+v", same)
	}
	if mute := about(t, c, "mute"); mute.Test != results.McNemar || mute.P != 1 || mute.Q != 1 {
		t.Errorf("mute: %+v", mute)
	}
	if screened := about(t, c, "SCREEN"); screened.Test != results.NoTest || screened.P != 0 || !screened.B.Screened || screened.B.Hit || screened.B.Reacted != 1 {
		t.Errorf("screened: %+v", screened)
	}
	if gone, came := about(t, c, "gone"), about(t, c, "new"); gone.Both() || gone.Ceased() || gone.B.Played() || came.Both() || came.Became() || came.A.Played() {
		t.Errorf("gone %+v, new %+v", gone, came)
	}

	// Plays with other clips are no pairs.
	b = played(t, words(voice, "alexa", "went", "came", "same", "mute", "new", "SCREEN"), inB, func(a *results.Attempt) { a.Clip[0]++ })
	c = comparing(t, a, b)
	went = about(t, c, "went")
	if p := stats.FisherTwoSided(10, 10, 0, 10); went.Test != results.Fisher || went.P != p || !near(went.Q, 4*p) {
		t.Errorf("went, by other clips: %+v", went)
	}
	if mute := about(t, c, "mute"); mute.P != 1 || mute.Q != 1 || c.Tests != 4 {
		t.Errorf("mute, by other clips: %+v of %d", mute, c.Tests)
	}

	// Without a fixed number of plays there is no test.
	early := judging(0.5)
	early.Early = true
	if c, err := results.CompareCampaigns(a, b, judging(0.5), early); err != nil || about(t, c, "went").Test != results.NoTest || !about(t, c, "went").Ceased() {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestCompareCampaignsByOtherVoices(t *testing.T) {
	a := played(t, slices.Concat(words("flite/kal16", "hext", "next"), words("flite/awb", "hext")), map[string]string{"hext": "xxx.", "next": "...."}, nil)
	b := played(t, words("flite/slt", "hext", "next"), map[string]string{"hext": "x...", "next": "xxxx"}, nil)
	c := comparing(t, a, b)
	want := results.WordComparison{
		Word: "hext", A: results.Finding{Share: results.Share{Reacted: 6, Measured: 8}, Hit: true}, B: results.Finding{Share: results.Share{Reacted: 1, Measured: 4}, Hit: true},
		Test: results.Fisher, P: stats.FisherTwoSided(6, 8, 1, 4), Q: stats.FisherTwoSided(6, 8, 1, 4),
	}
	if !c.Pooled || len(c.Words) != 2 || c.Words[0] != want || !c.Words[1].Became() {
		t.Errorf("%+v", c)
	}

	// With one voice in common, words of that are compared, and those of the
	// others are in one campaign only.
	b = played(t, slices.Concat(words("flite/slt", "hext"), words("flite/awb", "hext")), map[string]string{"hext": "...."}, nil)
	if c := comparing(t, a, b); c.Pooled || len(c.Words) != 4 || !c.Words[0].Both() || c.Words[1].Both() || c.Words[2].Both() {
		t.Errorf("%+v", c.Words)
	}
}

func TestCampaignsOfOtherWakeWords(t *testing.T) {
	a := played(t, words("flite/kal16", "hext"), map[string]string{"hext": "x"}, nil)
	of := campaign()
	of.WakeWord = "computer"
	b, err := results.Create(filepath.Join(t.TempDir(), "other"), of, words("flite/kal16", "hext"))
	if err != nil {
		t.Fatal(err)
	}
	defer closing(t, b)
	if _, err := results.CompareCampaigns(a, b.Reader, judging(0.5), judging(0.5)); !errors.Is(err, results.ErrWakeWords) {
		t.Errorf("error %v", err)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-12 }

func TestGate(t *testing.T) {
	n := func(n int) *int { return &n }
	rate := func(r float64) *float64 { return &r }
	const voice = "flite/kal16"
	a := played(t, words(voice, "alexa", "one", "two"), map[string]string{"alexa": "xx", "one": "..........", "two": "x........."}, nil)
	b := played(t, words(voice, "alexa", "one", "two"), map[string]string{"alexa": "x.", "one": "xxxxxxxxxx", "two": "xx........"}, nil)
	deaf := played(t, words(voice, "alexa", "one"), map[string]string{"alexa": "..", "one": ".........."}, nil)
	missing := played(t, words(voice, "one"), map[string]string{"one": ".........."}, nil)
	for _, test := range []struct {
		gate results.Gate
		b    *results.Reader
		want []string
	}{
		{results.Gate{}, deaf, nil},
		{results.Gate{MaxHits: n(2), MaxNewHits: n(2), MaxRisen: n(1), MaxRate: rate(1), MinWakeRate: rate(0.5)}, b, nil},
		{results.Gate{MaxHits: n(1)}, b, []string{"max_hits: 2, at most 1"}},
		{results.Gate{MaxNewHits: n(1)}, b, []string{"max_new_hits: 2, at most 1"}},
		{results.Gate{MaxRisen: n(0)}, b, []string{"max_risen: 1, at most 0"}},
		{results.Gate{MaxRate: rate(0.1)}, b, []string{`max_rate: 2 above 0.1, the highest "one" by flite/kal16 with 1.00`}},
		{results.Gate{MinWakeRate: rate(0.9)}, b, []string{"min_wake_rate: 1 of 2 by flite/kal16, at least 0.9"}},
		{results.Gate{MaxHits: n(5)}, deaf, []string{"the wake word: 0 of 2 by flite/kal16, at least 0.2"}},
		{results.Gate{MaxHits: n(5)}, missing, []string{"the wake word: it was not played"}},
	} {
		if got := test.gate.Crossed(comparing(t, a, test.b)); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
	for _, bad := range []results.Gate{{MaxHits: n(-1)}, {MaxRisen: n(-1)}, {MaxRate: rate(1.5)}, {MinWakeRate: rate(math.NaN())}} {
		if bad.Validate() == nil || !bad.Asks() {
			t.Errorf("%+v is taken", bad)
		}
	}
}
