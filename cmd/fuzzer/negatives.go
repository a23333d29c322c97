package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"wakefuzz/campaign"
	"wakefuzz/results"
	"wakefuzz/tts"
	"wakefuzz/wordlists"
)

// formatNegatives is the format of export that is a folder.
const formatNegatives = "negatives"

// The files in that folder.
const (
	phrasesFile   = "custom_negative_phrases.yaml"
	manifestFile  = "negatives.csv"
	clipsDir      = "clips"
	homophonesDir = "homophones"
)

// negative is a hit as training data.
type negative struct {
	results.Row
	utterance tts.Utterance
	// homophone says that it can't be told from the wake word, and readable that
	// its text says how it sounds, as that of invented phones does not.
	homophone, readable bool
	file                string // below the folder
}

// exportNegatives writes the hits as what a model is trained not to react to.
// Homophones of the wake word are among it only where that is asked for.
func (a *app) exportNegatives(cmd *cobra.Command, store *results.Reader, spec campaign.Spec, folder string, homophones bool) error {
	ctx, cancel := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if err := vacant(folder); err != nil {
		return err
	}
	report, err := results.Tally(store, spec.Judging())
	if err != nil {
		return err
	}
	dictionary, err := wordlists.CMU()
	if err != nil {
		return err
	}
	var negatives []negative
	var utterances []tts.Utterance
	voices := spec.VoicesByName()
	results.Rank(report.Words, results.OrderRate)
	for _, row := range report.Words {
		if !row.Hit {
			continue
		}
		n := negative{Row: row, utterance: campaign.Utterance(row.Trial, voices), readable: true}
		n.homophone = results.Homophone(report.Campaign, row.Trial, dictionary)
		if n.utterance.Pronunciation != "" {
			_, err := dictionary.Phrase(row.Trial.Word)
			n.readable = err == nil
		}
		dir := clipsDir
		if n.homophone && !homophones {
			dir = homophonesDir
		}
		voice := fileName(strings.Replace(row.Trial.Voice, "/", "-", 1))
		n.file = filepath.Join(dir, voice, fileName(row.Trial.Word)+"."+voice+".wav")
		negatives, utterances = append(negatives, n), append(utterances, n.utterance)
	}
	speaker, err := a.openSpeaker(ctx, spec.Voices, a.complain)
	if err != nil {
		return err
	}
	defer speaker.Close()
	if err := a.sameVoices(ctx, speaker, store); err != nil {
		return err
	}
	stock, err := speaker.takeStock(ctx, utterances, nil)
	if err != nil {
		return err
	}
	if err := a.announce(stock); err != nil {
		return err
	}
	phrases, alike, unreadable := sortNegatives(negatives, homophones)
	manifest, err := manifestOf(negatives)
	if err != nil {
		return err
	}
	if err := writeFolder(folder, func(dir string) error {
		for _, n := range negatives {
			clip, err := speaker.Speak(ctx, n.utterance)
			if err != nil {
				return fmt.Errorf("%q by %s: %w", n.utterance, n.Trial.Voice, err)
			}
			var wav bytes.Buffer
			if err := tts.EncodeWAV(&wav, clip); err != nil {
				return err
			}
			if err := writeNew(filepath.Join(dir, n.file), wav.Bytes()); err != nil {
				return err
			}
		}
		return errors.Join(
			writeNew(filepath.Join(dir, phrasesFile), phraseList(report.Campaign, phrases, alike)),
			writeNew(filepath.Join(dir, manifestFile), manifest))
	}); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%d phrases and %d clips in %s\n", len(phrases), len(negatives), folder)
	for _, left := range []struct {
		words []string
		why   string
	}{
		{alike, "they sound like the wake word, or have it in them"},
		{unreadable, "nobody could read them aloud"},
	} {
		if len(left.words) > 0 {
			fmt.Fprintf(a.stdout, "not among the phrases, since %s: %s\n", left.why, strings.Join(left.words, ", "))
		}
	}
	return nil
}

// sortNegatives are the words, each once and in alphabetical order, that are
// phrases to train against, those left out since they can't be told from the wake
// word, and those that are no text.
func sortNegatives(negatives []negative, homophones bool) (phrases, alike, unreadable []string) {
	for _, n := range negatives {
		list := &phrases
		switch {
		case n.homophone && !homophones:
			list = &alike
		case !n.readable:
			list = &unreadable
		}
		*list = append(*list, n.Trial.Word)
	}
	for _, list := range []*[]string{&phrases, &alike, &unreadable} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return phrases, alike, unreadable
}

// manifestOf is the table of all clips.
func manifestOf(negatives []negative) ([]byte, error) {
	var manifest bytes.Buffer
	table := csv.NewWriter(&manifest)
	table.Write([]string{"file", "word", "voice", "measured", "reacted", "homophone"})
	for _, n := range negatives {
		table.Write([]string{n.file, n.Trial.Word, n.Trial.Voice, strconv.Itoa(n.Measured), strconv.Itoa(n.Reacted), strconv.FormatBool(n.homophone)})
	}
	table.Flush()
	return manifest.Bytes(), table.Error()
}

// phraseList is the list as the configuration of openWakeWord's training has it.
// Every phrase is quoted: some words are no texts in YAML otherwise.
func phraseList(c results.Campaign, phrases, alike []string) []byte {
	var list bytes.Buffer
	fmt.Fprintf(&list, "# What wakes %q by mistake, by campaign %s: for the training configuration of\n# an openWakeWord model.\n", c.WakeWord, c.Name)
	if len(phrases) == 0 {
		list.WriteString("custom_negative_phrases: []\n")
	} else {
		list.WriteString("custom_negative_phrases:\n")
	}
	for _, phrase := range phrases {
		fmt.Fprintf(&list, "  - %q\n", phrase)
	}
	if len(alike) > 0 {
		list.WriteString("# Left out: they sound like the wake word, or have it in them. A model that is\n# trained against them no longer hears it.\n")
	}
	for _, phrase := range alike {
		fmt.Fprintf(&list, "#  - %q\n", phrase)
	}
	return list.Bytes()
}

// sameVoices warns where the voices are not those that the campaign heard.
func (a *app) sameVoices(ctx context.Context, s *voicebox, store *results.Reader) error {
	sessions, err := store.Sessions()
	if err != nil || len(sessions) == 0 {
		return err
	}
	facts, err := s.Facts(ctx)
	for name, version := range facts {
		if was, known := sessions[0].Facts[name]; known && was != version {
			a.complain("%s is %s, and was %s in the campaign: clips may sound otherwise", name, version, was)
		}
	}
	return err
}

// fileName is a text as a part of a file's name, another one for each text: a
// blank is an underscore, and what is usual in no name stands there by its code.
func fileName(text string) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '\'', c == '=', c == '.' && i > 0:
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('_')
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// vacant returns an error unless the folder can be made, or is empty.
func vacant(folder string) error {
	entries, err := os.ReadDir(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return usagef("--out: %w", err)
	case len(entries) > 0:
		return usagef("--out: %s is not empty; name a new folder", folder)
	}
	return nil
}

// writeFolder makes a folder with what fill puts into it: whole or not at all. A
// folder of that name that is not empty is left as it is.
func writeFolder(folder string, fill func(dir string) error) error {
	parent := filepath.Dir(filepath.Clean(folder))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(parent, "."+filepath.Base(folder)+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := errors.Join(fill(dir), os.Chmod(dir, 0o755)); err != nil {
		return err
	}
	if err := os.Remove(folder); err != nil && !errors.Is(err, fs.ErrNotExist) { // only an empty one
		return err
	}
	return os.Rename(dir, filepath.Clean(folder))
}

// writeNew writes a file that must not be there yet.
func writeNew(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}
