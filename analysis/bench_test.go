package analysis_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"wakefuzz/analysis"
	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
	"wakefuzz/internal/measure"
)

// captureFile makes a pcap file of so many bytes, of fifty devices, and says how
// many packets it has.
func captureFile(b *testing.B, path string, bytes int) (packets int) {
	b.Helper()
	var disk unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &disk); err != nil {
		b.Fatal(err)
	}
	if room := disk.Bavail * uint64(disk.Bsize); room < 2*uint64(bytes) {
		b.Skipf("a file of %d MB takes too much of the %d MB that are left; point TMPDIR to a disk with room", bytes>>20, room>>20)
	}
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	buffered := bufio.NewWriterSize(f, 1<<20)
	out := pcapgo.NewWriterNanos(buffered)
	if err := out.WriteFileHeader(256<<10, layers.LinkTypeEthernet); err != nil {
		b.Fatal(err)
	}
	var hosts []capturetest.Host
	for n := range uint16(50) {
		hosts = append(hosts, capturetest.Device(n))
	}
	packets, err = capturetest.Traffic(hosts, noon, bytes, func(f capture.Frame) error {
		return out.WritePacket(gopacket.CaptureInfo{Timestamp: f.Time, CaptureLength: len(f.Data), Length: f.Length}, f.Data)
	})
	if err := errors.Join(err, buffered.Flush(), f.Sync(), f.Close()); err != nil {
		b.Fatal(err)
	}
	return packets
}

// analyse looks through a capture with all detectors, and says how many
// activations each finds.
func analyse(b *testing.B, path string, packets int) map[string]int {
	r, err := capture.Open(path, capture.Address{})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	report, err := analysis.Read(r, analysis.Options{Detectors: detectors("all")})
	if n := r.Stats().Packets; err != nil || n < uint64(packets) || len(report.Devices) < 50 {
		b.Fatalf("%d packets of %d, %d devices, %v", n, packets, len(report.Devices), err)
	}
	found := make(map[string]int)
	for _, d := range report.Devices {
		for _, a := range d.Activations {
			found[a.Detector]++
		}
	}
	return found
}

// run has another program read a file as its standard input.
func run(b *testing.B, path string, program string, args ...string) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	command := exec.Command(program, args...)
	command.Stdin = f
	if out, err := command.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v: %s", program, err, out)
	}
}

// BenchmarkAnalysis measures a whole analysis of a capture of 1 GB and fifty
// devices (read, decode, tell apart, all detectors) in turn with two programs
// that read the same file and do less: tcpdump copies it to nowhere, and tshark
// counts its packets and bytes. Beside packets/s it reports, each the median of
// the rounds,
//
//	processor-packets/s     the same for a second of processor time
//	tcpdump-..., tshark-... the same of the others
//	peak-MB                 the most memory that the process had meanwhile
func BenchmarkAnalysis(b *testing.B) {
	folder := b.TempDir()
	for _, c := range []struct {
		name   string
		bytes  int
		beside bool
	}{
		{"1GB", 1 << 30, true},
		{"64MB", 64 << 20, false},
	} {
		path, packets := "", 0 // made by the first round of several
		b.Run(c.name, func(b *testing.B) {
			for _, program := range []string{"tcpdump", "tshark"} {
				if _, err := exec.LookPath(program); c.beside && err != nil {
					b.Skipf("%s, which it is compared with, is not installed: apt-get install %s", program, program)
				}
			}
			if path == "" {
				path = filepath.Join(folder, c.name+".pcap")
				packets = captureFile(b, path, c.bytes)
			}
			var own, tcpdump, tshark []measure.Cost
			var peak []float64
			for b.Loop() {
				measure.ResetPeakMemory(b)
				own = append(own, measure.CostOf(func() { analyse(b, path, packets) }))
				peak = append(peak, measure.PeakMemory(b)/1e6)
				if c.beside {
					tcpdump = append(tcpdump, measure.CostOf(func() { run(b, path, "tcpdump", "-r", "-", "-w", "/dev/null") }))
					tshark = append(tshark, measure.CostOf(func() { run(b, path, "tshark", "-r", "-", "-q", "-z", "io,stat,1") }))
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(measure.Median(peak), "peak-MB")
			measure.Rates(b, "", "packets", packets, own)
			measure.Rates(b, "tcpdump-", "packets", packets, tcpdump)
			measure.Rates(b, "tshark-", "packets", packets, tshark)
		})
	}
}

// BenchmarkBesideNumpy measures the same analysis in turn with one that is
// written with numpy and scipy, which has to find as much. PYTHON is a Python
// that has them. Of that one it reports numpy-packets/s for the whole, and
// numpy-detect-packets/s for the detectors without the reading.
func BenchmarkBesideNumpy(b *testing.B) {
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "python3"
	}
	if err := exec.Command(python, "-c", "import numpy, scipy").Run(); err != nil {
		b.Skip("no numpy and scipy: set PYTHON to a Python that has them")
	}
	path := filepath.Join(b.TempDir(), "256MB.pcap")
	packets := captureFile(b, path, 256<<20)
	var own, whole, detect []float64
	for b.Loop() {
		var found map[string]int
		own = append(own, measure.CostOf(func() { found = analyse(b, path, packets) }).Wall.Seconds())
		out, err := exec.Command(python, "../scripts/analysis-numpy.py", path).Output()
		if err != nil {
			b.Fatalf("numpy: %v: %s", err, out)
		}
		var theirs struct {
			Found  map[string]int
			Read   float64 `json:"read_s"`
			Detect float64 `json:"detect_s"`
		}
		if err := json.Unmarshal(out, &theirs); err != nil {
			b.Fatal(err)
		}
		whole, detect = append(whole, theirs.Read+theirs.Detect), append(detect, theirs.Detect)
		for name, n := range theirs.Found {
			if found[name] != n {
				b.Fatalf("numpy finds %v, not %v", theirs.Found, found)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(packets)/measure.Median(own), "packets/s")
	b.ReportMetric(float64(packets)/measure.Median(whole), "numpy-packets/s")
	b.ReportMetric(float64(packets)/measure.Median(detect), "numpy-detect-packets/s")
}
