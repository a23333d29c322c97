package capture_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
	"wakefuzz/internal/measure"
)

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
		packets, err = capturetest.Traffic([]capturetest.Host{speakerHost}, noon, bytes, w.Write)
		if err != nil {
			b.Fatal(err)
		}
		finish = w.Flush
	}
	if packets == 0 {
		out.Write(pcapFile(capture.LinkEthernet))
		packets, err = capturetest.Traffic([]capturetest.Host{speakerHost}, noon, bytes, func(f capture.Frame) error {
			_, err := out.Write(pcapFile(0, record{at: f.Time, data: f.Data})[24:])
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(finish(), buffered.Flush(), f.Sync(), f.Close()); err != nil {
		b.Fatal(err)
	}
	return packets
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
			var own, bare, tcpdump []measure.Cost
			var peak []float64
			for b.Loop() {
				measure.ResetPeakMemory(b)
				own = append(own, measure.CostOf(func() { readFile(b, path, packets) }))
				peak = append(peak, measure.PeakMemory(b)/1e6)
				if c.beside {
					bare = append(bare, measure.CostOf(func() { stepThrough(b, path, packets) }))
					tcpdump = append(tcpdump, measure.CostOf(func() { copyWithTcpdump(b, path) }))
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(measure.Median(peak), "peak-MB")
			for prefix, costs := range map[string][]measure.Cost{"": own, "bare-": bare, "tcpdump-": tcpdump} {
				measure.Rates(b, prefix, "packets", packets, costs)
			}
		})
	}
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
