package protocol_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"wakefuzz/protocol"
	"wakefuzz/wordlists"
)

// What is invented comes last, is made out of hits and of the wake word, and is
// played by every voice.
func TestInventing(t *testing.T) {
	language := lexicon(t)
	word := func(text string) wordlists.Word {
		return language[slices.IndexFunc(language, func(w wordlists.Word) bool { return w.Text == text })]
	}
	var candidates []protocol.Candidate
	for _, w := range []wordlists.Word{word("plexus"), word("banana"), word("window")} {
		for _, voice := range []string{"flite/kal16", "flite/awb"} {
			candidates = append(candidates, protocol.Candidate{Word: w, Voice: voice})
		}
	}
	last := protocol.Last{Plays: 10}
	asked := 0
	p := protocol.Inventing(protocol.Rounds(candidates, protocol.RoundsOptions{Screens: []int{1}}, last), candidates, word("alexa"), 40,
		func() []wordlists.Word { asked++; return language }, last)
	reacted := func(item protocol.Item) int {
		switch {
		case item.Word.Text == "banana":
			return 0
		case item.Word.Text == "window" && item.Stage == protocol.StageLast:
			return 4
		default:
			return item.Plays
		}
	}
	var done []protocol.Done
	for batch := p.Next(nil); len(batch) > 0; batch = p.Next(done) {
		d := protocol.Done{Batch: batch}
		for _, item := range batch {
			k := reacted(item)
			d.Results = append(d.Results, protocol.Result{Reacted: k, Quiet: item.Plays - k})
		}
		done = append(done, d)
	}
	if len(done) != 4 || asked != 1 {
		t.Fatalf("%d batches, and the lexicon was asked for %d times", len(done), asked)
	}
	screen := done[2].Batch
	if len(screen) != 80 || len(done[3].Batch) != 80 || done[3].Batch[0].Plays != 10 {
		t.Errorf("%d are screened, and %d go on", len(screen), len(done[3].Batch))
	}
	from := map[string]int{}
	for i, item := range screen {
		if !wordlists.Invented(item.Word.List) || item.Stage != protocol.StageScreen || item.Voice != candidates[i%2].Voice {
			t.Errorf("%+v", item)
		}
		why, name, ok := strings.Cut(item.Why, " from ")
		if !ok || !strings.HasPrefix(why, "invented; ") {
			t.Errorf("%s was chosen because of %q", item.Word.Text, item.Why)
		}
		from[name]++
	}
	if from["plexus"] == 0 || from["alexa"] == 0 || len(from) != 2 {
		t.Errorf("it invents from %v", from)
	}

	// Another release, with another dictionary, goes on with the same words.
	other := protocol.Inventing(protocol.Rounds(candidates, protocol.RoundsOptions{Screens: []int{1}}, last), candidates, word("alexa"), 40,
		func() []wordlists.Word { return nil }, last)
	if again := other.Next(done[:3]); fmt.Sprint(again) != fmt.Sprint(done[3].Batch) {
		t.Errorf("it goes on with %v", again)
	}
}
