package campaign

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"wakefuzz/results"
	"wakefuzz/wordlists"
)

// The files in a campaign's folder, besides the store's own.
const (
	specFile = "spec.yaml"
	logFile  = "log.jsonl"
)

// ErrPlanChanged means that a campaign file plans something else than the
// campaign that its folder holds.
var ErrPlanChanged = errors.New("the campaign file plans something else than the campaign in this folder")

// Create plans a campaign and makes its folder, with a store that holds the
// plan and no attempt yet. A process that is killed in the middle leaves no
// campaign or a whole one.
func Create(dir string, spec Spec, wake wordlists.Word, words []wordlists.Word, version string) (*results.Store, error) {
	trials := Plan(spec, wake, words)
	var candidates []results.Candidate
	if spec.Protocol.Kind != KindExhaustive {
		for _, w := range words {
			candidates = append(candidates, results.Candidate{Word: w.Text, Pronunciations: w.Pronunciations, Guessed: w.Guessed, List: w.List})
		}
	}
	hash, err := planHash(spec, trials)
	if err != nil {
		return nil, err
	}
	text, err := spec.YAML()
	if err != nil {
		return nil, err
	}
	store, err := results.Create(dir, results.Campaign{
		Name:              spec.Name,
		WakeWord:          wake.Text,
		WakePronunciation: wake.Pronunciation(),
		PlanHash:          hash,
		Created:           time.Now(),
		Fuzzer:            version,
		Spec:              text,
		Selected:          (len(words) + spec.Protocol.invents()) * len(spec.Voices),
	}, trials, candidates...)
	if err != nil {
		return nil, err
	}
	// For people to read; the store has the spec that counts.
	if err := writeSpec(dir, text); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// Adopt makes spec the spec of a campaign that exists, where it plans the same.
// Otherwise it returns an error that wraps ErrPlanChanged and lists what
// differs.
func Adopt(dir string, frozen, spec Spec) error {
	diff, err := PlanDiff(frozen, spec)
	if err != nil {
		return err
	}
	if len(diff) > 0 {
		return fmt.Errorf("%w, %s:\n  %s\ngive it a name or a --dir of its own, or take the change back",
			ErrPlanChanged, dir, strings.Join(diff, "\n  "))
	}
	text, err := spec.YAML()
	if err != nil {
		return err
	}
	return writeSpec(dir, text)
}

func writeSpec(dir, text string) error {
	if err := renameio.WriteFile(filepath.Join(dir, specFile), []byte(text), 0o644); err != nil {
		return fmt.Errorf("keeping the spec: %w", err)
	}
	return nil
}

// FrozenSpec returns the spec of a stored campaign: that of its last session.
func FrozenSpec(campaign results.Campaign, sessions []results.Session, drivers Drivers) (Spec, error) {
	text := campaign.Spec
	if n := len(sessions); n > 0 {
		text = sessions[n-1].Spec
	}
	return ParseSpec("stored with the campaign", []byte(text), drivers)
}

// OpenLog opens the campaign's log for appending.
func OpenLog(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, logFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the campaign's log: %w", err)
	}
	return f, nil
}
