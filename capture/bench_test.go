package capture_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
)

// traffic writes a capture of so many bytes and says how many packets it has.
// They are as large as a speaker's, 720 bytes on average, in random order and
// with content that does not shrink: two in five are bare acknowledgements, one
// in three is full.
func traffic(b *testing.B, write func(capture.Frame) error, bytes int) (packets int) {
	b.Helper()
	upload := capturetest.Frame(speakerHost, cloud, capturetest.TCP, 1448)
	ack := capturetest.Frame(cloud, speakerHost, capturetest.TCP, 0)
	download := capturetest.Frame(cloud, speakerHost, capturetest.UDP, 1200)
	small := capturetest.Frame6(speakerHost, cloud, capturetest.TCP, 80)
	mix := slices.Concat(slices.Repeat([][]byte{ack}, 40), slices.Repeat([][]byte{upload}, 36),
		slices.Repeat([][]byte{small}, 14), slices.Repeat([][]byte{download}, 10))
	random := rand.New(rand.NewPCG(1, 2))
	content := rand.NewChaCha8([32]byte{})
	for ; bytes > 0; packets++ {
		data := mix[random.IntN(len(mix))]
		if len(data) > 90 {
			content.Read(data[90:])
		}
		at := noon.Add(time.Duration(packets) * time.Millisecond)
		if err := write(capture.Frame{Link: capture.LinkEthernet, Time: at, Data: data, Length: len(data)}); err != nil {
			b.Fatal(err)
		}
		bytes -= 16 + len(data)
	}
	return packets
}

// trafficFile makes a capture file of so many bytes before it is packed, in the
// format that its extension names, and says how many packets it has. Reading it
// does not wait for the disk.
func trafficFile(b *testing.B, path string, bytes int) (packets int) {
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
	out, finish := io.Writer(buffered), func() error { return nil }
	switch filepath.Ext(path) {
	case ".gz":
		z := gzip.NewWriter(buffered)
		out, finish = z, z.Close
	case ".zst":
		z, err := zstd.NewWriter(buffered)
		if err != nil {
			b.Fatal(err)
		}
		out, finish = z, z.Close
	case ".pcapng":
		w, err := capture.NewWriter(buffered, capture.LinkEthernet, capture.KeepPayload, "")
		if err != nil {
			b.Fatal(err)
		}
		packets = traffic(b, w.Write, bytes)
		finish = w.Flush
	}
	if packets == 0 {
		out.Write(pcapFile(capture.LinkEthernet))
		packets = traffic(b, func(f capture.Frame) error {
			_, err := out.Write(pcapFile(0, record{at: f.Time, data: f.Data})[24:])
			return err
		}, bytes)
	}
	if err := errors.Join(finish(), buffered.Flush(), f.Sync(), f.Close()); err != nil {
		b.Fatal(err)
	}
	return packets
}

// cost is what something took, by the clock and of the processors.
type cost struct{ wall, processor time.Duration }

// costOf measures a function, and what it has other processes do.
func costOf(f func()) cost {
	start, used := time.Now(), processorTime()
	f()
	return cost{time.Since(start), processorTime() - used}
}

func processorTime() (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			panic(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// readFile reads a capture to its end.
func readFile(b *testing.B, path string, packets int) {
	r, err := capture.Open(path, speaker)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	for err == nil {
		_, err = r.Next()
	}
	if n := r.Stats().Packets; !errors.Is(err, io.EOF) || n != uint64(packets) {
		b.Fatalf("%d packets of %d, %v", n, packets, err)
	}
}

// stepThrough steps from record to record of a pcap file, and does nothing with
// them: the bare loop.
func stepThrough(b *testing.B, path string, packets int) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 512<<10)
	in.Discard(24)
	n := 0
	for ; ; n++ {
		h, err := in.Peek(16)
		if err != nil {
			break
		}
		in.Discard(16 + int(binary.LittleEndian.Uint32(h[8:])))
	}
	if n != packets {
		b.Fatalf("%d records of %d", n, packets)
	}
}

// copyWithTcpdump has tcpdump read a file and write it to nowhere. It gets the
// file opened, since it may not be allowed to open it.
func copyWithTcpdump(b *testing.B, path string) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	command := exec.Command("tcpdump", "-r", "-", "-w", "/dev/null")
	command.Stdin = f
	if out, err := command.CombinedOutput(); err != nil {
		b.Fatalf("tcpdump: %v: %s", err, out)
	}
}

// BenchmarkRead reads capture files and decodes every packet: one of 1 GB, in
// turn with a bare loop over its records and with tcpdump, and smaller ones of
// other formats. Beside millions of packets a second it reports
//
//	processor-Mpackets/s  those in a second of processor time, which says more
//	                      on a machine that does other things as well
//	bare-, tcpdump-...    the same of the bare loop and of tcpdump
//	peak-MB               the most memory that the process had while it read
//
// each the median of the rounds.
func BenchmarkRead(b *testing.B) {
	folder := b.TempDir()
	for _, c := range []struct {
		name   string
		bytes  int
		beside bool // measure the bare loop and tcpdump too
	}{
		{"1GB.pcap", 1 << 30, true},
		{"16MB.pcap", 16 << 20, false},
		{"64MB.pcapng", 64 << 20, false},
		{"64MB.pcap.zst", 64 << 20, false},
		{"64MB.pcap.gz", 64 << 20, false},
	} {
		path, packets := "", 0 // made by the first round of several
		b.Run(c.name, func(b *testing.B) {
			if _, err := exec.LookPath("tcpdump"); c.beside && err != nil {
				b.Skip("tcpdump, which it is compared with, is not installed: apt-get install tcpdump")
			}
			if path == "" {
				path = filepath.Join(folder, c.name)
				packets = trafficFile(b, path, c.bytes)
			}
			var own, bare, tcpdump []cost
			var peak []float64
			for b.Loop() {
				resetPeakMemory(b)
				own = append(own, costOf(func() { readFile(b, path, packets) }))
				peak = append(peak, peakMemory(b)/1e6)
				if c.beside {
					bare = append(bare, costOf(func() { stepThrough(b, path, packets) }))
					tcpdump = append(tcpdump, costOf(func() { copyWithTcpdump(b, path) }))
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(peak), "peak-MB")
			for prefix, costs := range map[string][]cost{"": own, "bare-": bare, "tcpdump-": tcpdump} {
				var walls, processors []time.Duration
				for _, c := range costs {
					walls, processors = append(walls, c.wall), append(processors, c.processor)
				}
				if len(costs) > 0 {
					b.ReportMetric(float64(packets)/1e6/median(walls).Seconds(), prefix+"Mpackets/s")
					b.ReportMetric(float64(packets)/1e6/median(processors).Seconds(), prefix+"processor-Mpackets/s")
				}
			}
		})
	}
}

func median[T time.Duration | float64](values []T) T {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// resetPeakMemory has the kernel forget how much memory the process once had.
func resetPeakMemory(b *testing.B) {
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// peakMemory is the most memory that the process has had since then, in bytes.
func peakMemory(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kB float64
	if _, err := fmt.Fscan(bytes.NewReader(after), &kB); err != nil {
		b.Fatal(err)
	}
	return kB * 1024
}

// BenchmarkLive sends 10,000 packets a second, and reports how many of them
// were lost, and how many of those the kernel owns up to.
func BenchmarkLive(b *testing.B) {
	const rate, burst = 10_000, 20
	send := newWire(b)
	ctx, cancel := context.WithCancel(b.Context())
	l := listen(ctx, b, near, speaker, capture.KeepHeaders)
	var received atomic.Int64
	ended := make(chan error)
	go func() {
		for {
			if _, err := l.Next(); err != nil {
				ended <- err
				return
			}
			received.Add(1)
		}
	}()
	frame := capturetest.Frame(speakerHost, cloud, capturetest.TCP, 600)
	var sent int64
	start := time.Now()
	for b.Loop() {
		for range rate / burst {
			for range burst {
				send(frame)
			}
			sent += burst
			time.Sleep(time.Until(start.Add(time.Duration(sent) * time.Second / rate)))
		}
	}
	took := time.Since(start)
	// What is on the wire arrives.
	for range 100 {
		if received.Load() == sent {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		b.Error(err)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(sent)/took.Seconds(), "packets/s")
	b.ReportMetric(float64(sent-received.Load()), "lost-packets")
	b.ReportMetric(float64(l.Stats().Dropped), "dropped-packets")
}
