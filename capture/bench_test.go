package capture_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
)

// traffic makes packets that are as large as a speaker's, and as
// incompressible: half of them small, half of a full frame.
func traffic(packets int) []record {
	random := rand.New(rand.NewPCG(1, 2))
	made := [][]byte{
		capturetest.Frame(speakerHost, cloud, capturetest.TCP, 1448),
		capturetest.Frame(cloud, speakerHost, capturetest.TCP, 0),
		capturetest.Frame(cloud, speakerHost, capturetest.UDP, 1200),
		capturetest.Frame6(speakerHost, cloud, capturetest.TCP, 80),
	}
	records := make([]record, packets)
	for i := range records {
		data := append([]byte(nil), made[i%len(made)]...)
		for at := 90; at+8 <= len(data); at += 8 {
			binary.LittleEndian.PutUint64(data[at:], random.Uint64())
		}
		records[i] = record{at: noon.Add(time.Duration(i) * time.Millisecond), data: data}
	}
	return records
}

// timeReading returns how long reading a file takes.
func timeReading(b *testing.B, path string, packets int) time.Duration {
	start := time.Now()
	r, err := capture.Open(path, speaker)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	for {
		if _, err = r.Next(); err != nil {
			break
		}
	}
	if n := r.Stats().Packets; !errors.Is(err, io.EOF) || n != uint64(packets) {
		b.Fatalf("%d packets of %d, %v", n, packets, err)
	}
	return time.Since(start)
}

// timeBare returns how long it takes to step from record to record of a pcap
// file, and do nothing with them.
func timeBare(b *testing.B, path string, packets int) time.Duration {
	start := time.Now()
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
	return time.Since(start)
}

func timeTcpdump(b *testing.B, path string) time.Duration {
	start := time.Now()
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
	return time.Since(start)
}

// BenchmarkRead reads a capture of 200 MB, in turn with a bare loop over its
// records and with tcpdump. The figures x-bare and x-tcpdump say how many times
// as fast as those it is.
func BenchmarkRead(b *testing.B) {
	const packets = 300_000
	records := traffic(packets)
	plain := pcapFile(capture.LinkEthernet, records...)
	_, missing := exec.LookPath("tcpdump")
	if missing != nil {
		b.Log("tcpdump is not installed: no comparison with it; apt-get install tcpdump")
	}
	for _, c := range []struct {
		name string
		file func() []byte
	}{
		{"pcap", func() []byte { return plain }},
		{"pcapng", func() []byte { return ngFile(b, records...) }},
		{"pcap.zst", func() []byte { return zstded(plain) }},
		{"pcap.gz", func() []byte { return gzipped(plain) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), c.name)
			if err := os.WriteFile(path, c.file(), 0o600); err != nil {
				b.Fatal(err)
			}
			var own, bare, tcpdump time.Duration
			rounds := 0
			for b.Loop() {
				rounds++
				own += timeReading(b, path, packets)
				if c.name == "pcap" {
					bare += timeBare(b, path, packets)
				}
				if c.name == "pcap" && missing == nil {
					tcpdump += timeTcpdump(b, path)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(packets*rounds)/own.Seconds(), "packets/s")
			if bare > 0 {
				b.ReportMetric(float64(packets*rounds)/bare.Seconds(), "bare-packets/s")
				b.ReportMetric(bare.Seconds()/own.Seconds(), "x-bare")
			}
			if tcpdump > 0 {
				b.ReportMetric(float64(packets*rounds)/tcpdump.Seconds(), "tcpdump-packets/s")
				b.ReportMetric(tcpdump.Seconds()/own.Seconds(), "x-tcpdump")
			}
		})
	}
}

// repeated is a reader of so many copies of the same bytes.
func repeated(b []byte, copies int) io.Reader {
	readers := make([]io.Reader, copies)
	for i := range readers {
		readers[i] = bytes.NewReader(b)
	}
	return io.MultiReader(readers...)
}

// BenchmarkMemory reads 1 GB, and reports the most memory that was in use
// beyond what was before.
func BenchmarkMemory(b *testing.B) {
	records := pcapFile(capture.LinkEthernet, traffic(15_000)...)[24:]
	copies := 1<<30/len(records) + 1
	inUse := func() float64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	runtime.GC()
	before, peak := inUse(), 0.0
	for b.Loop() {
		r, err := capture.NewReader(io.MultiReader(bytes.NewReader(pcapFile(capture.LinkEthernet)), repeated(records, copies)), speaker)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for ; err == nil; n++ {
			if n%100_000 == 0 {
				peak = max(peak, inUse()-before)
			}
			_, err = r.Next()
		}
		if !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
		r.Close()
	}
	b.ReportMetric(peak, "peak-MB")
}

// BenchmarkLive sends 10,000 packets a second for a second each round, and
// reports how many of them were lost.
func BenchmarkLive(b *testing.B) {
	const rate, burst = 10_000, 20
	send := newWire(b)
	ctx, cancel := context.WithCancel(b.Context())
	l := listen(ctx, b, near, speaker, capture.KeepHeaders)
	ended := make(chan uint64)
	go func() {
		var n uint64
		for {
			_, err := l.Next()
			if errors.Is(err, context.Canceled) {
				ended <- n
				return
			}
			if err != nil {
				b.Error(err)
			}
			n++
		}
	}()
	frame := capturetest.Frame(speakerHost, cloud, capturetest.TCP, 600)
	sent := 0
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
	time.Sleep(100 * time.Millisecond) // what is on the wire arrives
	cancel()
	received := <-ended
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(sent)/took.Seconds(), "packets/s")
	b.ReportMetric(float64(sent)-float64(received), "lost")
	b.ReportMetric(float64(l.Stats().Dropped), "dropped")
}
