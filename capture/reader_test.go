package capture_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/klauspost/compress/zstd"

	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
)

func open(t testing.TB, file []byte, device capture.Address) *capture.Reader {
	t.Helper()
	r, err := capture.NewReader(bytes.NewReader(file), device)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zstded(b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

// ngFile makes a pcapng file with another's code.
func ngFile(t testing.TB, records ...record) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := pcapgo.NewNgWriter(&out, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		err := w.WritePacket(gopacket.CaptureInfo{Timestamp: r.at, CaptureLength: len(r.data), Length: r.wire()}, r.data)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFilesAreSources(t *testing.T) {
	for name, pack := range map[string]func([]record) []byte{
		"pcap":       func(r []record) []byte { return pcapFile(capture.LinkEthernet, r...) },
		"pcap.gz":    func(r []record) []byte { return gzipped(pcapFile(capture.LinkEthernet, r...)) },
		"pcapng":     func(r []record) []byte { return ngFile(t, r...) },
		"pcapng.gz":  func(r []record) []byte { return gzipped(ngFile(t, r...)) },
		"pcapng.zst": func(r []record) []byte { return zstded(ngFile(t, r...)) },
		"big-endian": func(r []record) []byte { return pcapOf(binary.BigEndian, 0xa1b2c3d4, capture.LinkEthernet, r...) },
		"pcap of two": func(r []record) []byte {
			return append(gzipped(pcapFile(1, r[:3]...)), gzipped(pcapFile(1, r[3:]...)[24:])...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			capturetest.Run(t, func(t *testing.T, device capture.Address, data [][]byte) (capture.Source, func()) {
				path := filepath.Join(t.TempDir(), "capture")
				if err := os.WriteFile(path, pack(frames(data...)), 0o600); err != nil {
					t.Fatal(err)
				}
				r, err := capture.Open(path, device)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := r.Close(); err != nil {
						t.Error(err)
					}
				})
				return r, func() {}
			})
		})
	}
}

func TestTimes(t *testing.T) {
	frame := capturetest.Frame(speakerHost, cloud, capturetest.UDP, 10)
	records := []record{{at: noon, data: frame}, {at: noon.Add(-time.Hour), data: frame}} // the clock stepped back
	micros := noon.Truncate(time.Microsecond)
	// Interfaces of a pcapng file state the unit of their times and an offset.
	option := func(code uint16, value ...byte) []byte {
		b := binary.LittleEndian.AppendUint16(nil, code)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
		b = append(b, value...)
		return append(b, make([]byte, (4-len(b)%4)%4)...)
	}
	ticks := func(perSecond uint64) (a, b uint64) {
		seconds := uint64(noon.Unix())
		fraction := uint64(noon.Nanosecond()) * (perSecond / 1e3) / 1e6
		return seconds*perSecond + fraction, (seconds-3600)*perSecond + fraction
	}
	ng := func(perSecond uint64, options ...[]byte) []byte {
		first, second := ticks(perSecond)
		return join(ngHeader(), ngIface(1, 0, options...), ngPacketBlock(0, first, frame), ngPacketBlock(0, second, frame))
	}
	for _, c := range []struct {
		name string
		file []byte
		want time.Time
	}{
		{"nanoseconds", pcapFile(1, records...), noon},
		{"nanoseconds, big-endian", pcapOf(binary.BigEndian, 0xa1b23c4d, 1, records...), noon},
		{"microseconds", pcapOf(binary.LittleEndian, 0xa1b2c3d4, 1, records...), micros},
		{"microseconds, big-endian", pcapOf(binary.BigEndian, 0xa1b2c3d4, 1, records...), micros},
		{"pcapng", ng(1e6), micros},
		{"pcapng, nanoseconds", ng(1e9, option(9, 9)), noon},
		{"pcapng, milliseconds, with an offset", ng(1e3, option(9, 3), option(14, 100, 0, 0, 0, 0, 0, 0, 0)), noon.Truncate(time.Millisecond).Add(100 * time.Second)},
	} {
		t.Run(c.name, func(t *testing.T) {
			packets, _, err := read(t, c.file, speaker)
			if err != nil || len(packets) != 2 {
				t.Fatalf("%d packets, %v", len(packets), err)
			}
			if got := packets[0].Time; !got.Equal(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if got := packets[1].Time.Sub(packets[0].Time); got != -time.Hour {
				t.Errorf("the second packet is %v after the first, want an hour before", got)
			}
		})
	}

	halves := join(ngHeader(), ngIface(1, 0, option(9, 0x81)), ngPacketBlock(0, 7, frame))
	packets, _, err := read(t, halves, speaker)
	if err != nil || len(packets) != 1 || !packets[0].Time.Equal(time.Unix(3, 5e8)) {
		t.Errorf("seven halves of a second: %v, %v", packets, err)
	}
	for _, unit := range []byte{20, 127, 0xc0, 0xff} {
		if _, _, err := read(t, join(ngHeader(), ngIface(1, 0, option(9, unit))), speaker); !errors.Is(err, capture.ErrFormat) {
			t.Errorf("unit %#x: %v", unit, err)
		}
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// The blocks of a little-endian pcapng file.

func ngBlock(kind uint32, body ...[]byte) []byte {
	b := join(body...)
	b = append(b, make([]byte, (4-len(b)%4)%4)...)
	length := uint32(len(b) + 12)
	out := binary.LittleEndian.AppendUint32(nil, kind)
	out = binary.LittleEndian.AppendUint32(out, length)
	return binary.LittleEndian.AppendUint32(append(out, b...), length)
}

func words(v ...uint32) []byte {
	var b []byte
	for _, w := range v {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

func ngHeader() []byte { return ngBlock(0x0a0d0d0a, words(0x1a2b3c4d, 1, 0xffffffff, 0xffffffff)) }

func ngIface(link, snap uint32, options ...[]byte) []byte {
	return ngBlock(1, words(link, snap), join(options...))
}

func ngPacketBlock(iface uint32, ticks uint64, frame []byte) []byte {
	return ngBlock(6, words(iface, uint32(ticks>>32), uint32(ticks), uint32(len(frame)), uint32(len(frame))), frame)
}

func TestBlocksOfPcapng(t *testing.T) {
	frame := capturetest.Frame(speakerHost, cloud, capturetest.UDP, 100)
	ip := frame[14:]
	drops := func(code byte, n byte) []byte { return []byte{code, 0, 8, 0, n, 0, 0, 0, 0, 0, 0, 0} }
	big := func(b []byte) []byte { // the other byte order, word by word
		out := append([]byte(nil), b...)
		for i := 0; i+4 <= len(out); i += 4 {
			binary.BigEndian.PutUint32(out[i:], binary.LittleEndian.Uint32(b[i:]))
		}
		return out
	}
	bigPacket := big(ngPacketBlock(0, 42, frame))
	copy(bigPacket[28:], frame)
	bigIface := big(ngIface(0, 0))
	bigIface[9] = 1 // link types are two bytes
	section := join(
		ngHeader(),
		ngIface(1, 0), ngIface(101, 64),
		ngBlock(0x0bad, bytes.Repeat([]byte{7}, 1<<20)), // of no interest
		ngPacketBlock(0, 1e6, frame),
		ngPacketBlock(1, 2e6, ip),
		ngBlock(2, words(0, 0, 3e6, uint32(len(frame)), uint32(len(frame))), frame), // the old packet block
		ngBlock(3, words(uint32(len(frame))), frame),                                // the simple one: of interface 0, no time
		ngBlock(5, words(0, 0, 0), drops(5, 3), drops(7, 4)),
		ngBlock(5, words(1, 0, 0), drops(5, 9)),
		ngBlock(5, words(1, 0, 0), drops(5, 10)),  // running totals
		ngBlock(5, words(77, 0, 0), drops(5, 99)), // of nobody
	)
	file := join(section, section, big(ngHeader()), bigIface, bigPacket)
	packets, r, err := read(t, file, capturetest.Address(speakerHost.IP4))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range packets {
		at := "-"
		if !p.Time.IsZero() {
			at = fmt.Sprint(p.Time.UnixMicro())
		}
		got = append(got, fmt.Sprintf("%d/%d@%s", p.Size, p.Payload, at))
	}
	one := "142/100@1000000 128/100@2000000 142/100@3000000 142/100@- "
	if s := strings.Join(got, " "); s != one+one+"142/100@42" {
		t.Errorf("got %s", s)
	}
	if dropped := r.Stats().Dropped; dropped != 2*(3+4+10) {
		t.Errorf("%d dropped, want 34", dropped)
	}
}

func TestDamagedFiles(t *testing.T) {
	frame := capturetest.Frame(speakerHost, cloud, capturetest.UDP, 10)
	classic := pcapFile(1, frames(frame, frame)...)
	ng := join(ngHeader(), ngIface(1, 0), ngPacketBlock(0, 1, frame), ngPacketBlock(0, 2, frame))
	second := len(ng) - len(ngPacketBlock(0, 2, frame))
	patched := func(file []byte, at int, v uint32) []byte {
		b := append([]byte(nil), file...)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	interfaces := join(ngHeader(), bytes.Repeat(ngIface(1, 0), 5000))
	badSum := gzipped(classic)
	badSum[len(badSum)-8] ^= 1
	zstdWindow := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8}, make([]byte, 20)...)
	bombed := func(pack func([]byte) []byte) []byte {
		return pack(pcapFile(1, slices.Repeat(frames(make([]byte, 256<<10)), 100)...))
	}
	for _, c := range []struct {
		name    string
		file    []byte
		packets int
		want    error
		says    string
	}{
		{"empty", nil, 0, capture.ErrFormat, "empty"},
		{"text", []byte("time,size\n"), 0, capture.ErrFormat, "74696d65"},
		{"three bytes", classic[:3], 0, capture.ErrTruncated, "at byte 0"},
		{"half a header", classic[:20], 0, capture.ErrTruncated, "at byte 0"},
		{"another version", patched(classic, 4, 3), 0, capture.ErrFormat, "version 3"},
		{"half a record's header", classic[:24+16+len(frame)+7], 1, capture.ErrTruncated, "packet 2, at byte 100"},
		{"half a record", classic[:len(classic)-1], 1, capture.ErrTruncated, "packet 2, at byte 100"},
		{"giant record", patched(classic, 100+8, 0xfffffff0), 1, capture.ErrFormat, "packet 2, at byte 100: not a readable capture: the record claims 4294967280"},
		{"giant frame", patched(classic, 100+12, 0x7fffffff), 1, capture.ErrFormat, "packet 2, at byte 100"},
		{"another link type", patched(classic, 20, 195), 0, capture.ErrFormat, "link type 195"},

		{"pcapng, half a section", ng[:20], 0, capture.ErrTruncated, "at byte 20"},
		{"pcapng, no byte order", patched(ng, 8, 0), 0, capture.ErrFormat, "byte order"},
		{"pcapng, impossible section", patched(ng, 4, 4), 0, capture.ErrFormat, "section's header of 4"},
		{"pcapng, half an interface", ng[:28+12], 0, capture.ErrTruncated, "at byte 28"},
		{"pcapng, short interface", join(ngHeader(), ngBlock(1, words(1))), 0, capture.ErrFormat, "too short"},
		{"pcapng, giant interface", patched(ng, 28+4, 1<<30), 0, capture.ErrFormat, "not credible"},
		{"pcapng, interfaces without end", interfaces, 0, capture.ErrFormat, "4096 interfaces"},
		{"pcapng, no interface", join(ngHeader(), ngPacketBlock(0, 1, frame)), 0, capture.ErrFormat, "interface 0, of 0"},
		{"pcapng, impossible block", patched(ng, second+4, 13), 1, capture.ErrFormat, fmt.Sprintf("packet 2, at byte %d", second)},
		{"pcapng, short packet", join(ng[:second], ngBlock(6, words(0))), 1, capture.ErrFormat, "too short"},
		{"pcapng, packet larger than its block", patched(ng, second+20, 5000), 1, capture.ErrFormat, "claims 5000 bytes"},
		{"pcapng, giant packet", patched(ng, second+20, 1<<31), 1, capture.ErrFormat, "2147483648"},
		{"pcapng, half a packet", ng[:second+50], 1, capture.ErrTruncated, "packet 2"},
		{"pcapng, half a packet's header", ng[:second+12], 1, capture.ErrTruncated, "packet 2"},
		{"pcapng, no end of the last block", ng[:len(ng)-2], 2, capture.ErrTruncated, "packet 3"},
		{"pcapng, giant unknown block", patched(join(ng, ngBlock(99, make([]byte, 4000))), len(ng)+4, 0xfffffffc), 2, capture.ErrTruncated, ""},
		{"pcapng, giant section", join(patched(ngHeader(), 4, 0xfffffffc), ng), 0, capture.ErrTruncated, ""},
		{"pcapng, half an unknown block", join(ng, ngBlock(99, make([]byte, 4000))[:2000]), 2, capture.ErrTruncated, ""},

		{"gzip, no more than its header", gzipped(classic)[:8], 0, capture.ErrTruncated, ""},
		{"gzip, impossible header", []byte{0x1f, 0x8b, 99, 99, 0, 0, 0, 0, 0, 0, 0, 0}, 0, capture.ErrFormat, "unpacked"},
		{"gzip, cut", gzipped(classic)[:len(gzipped(classic))-12], 2, capture.ErrTruncated, ""},
		{"gzip, wrong checksum", badSum, 2, capture.ErrFormat, "unpacked"},
		{"gzip of gzip", gzipped(gzipped(classic)), 0, capture.ErrFormat, "1f8b"},
		{"gzip bomb", bombed(gzipped), -1, capture.ErrFormat, "250 times"},
		{"zstd, cut", zstded(classic)[:len(zstded(classic))-6], -1, capture.ErrTruncated, ""},
		{"zstd, giant window", zstdWindow, 0, capture.ErrFormat, "window"},
		{"zstd bomb", bombed(zstded), -1, capture.ErrFormat, "250 times"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := capture.NewReader(bytes.NewReader(c.file), speaker)
			n := 0
			if err == nil {
				defer r.Close()
				for err == nil {
					if _, err = r.Next(); err == nil {
						n++
					}
				}
				if _, again := r.Next(); !errors.Is(again, err) {
					t.Errorf("ended with %v, then with %v", err, again)
				}
			}
			runtime.ReadMemStats(&after)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v; want %v that says %q", err, c.want, c.says)
			}
			if c.packets >= 0 && n != c.packets {
				t.Errorf("%d packets before the error, want %d", n, c.packets)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
				t.Errorf("%d bytes of memory for a file of %d", grown, len(c.file))
			}
		})
	}
}

// TestRoutersWithoutEnd reads a capture in which every frame comes from the
// Internet through another router.
func TestRoutersWithoutEnd(t *testing.T) {
	const routers = 20_000
	home := capturetest.Host{MAC: speakerHost.MAC, IP4: "10.0.0.1"}
	frame := capturetest.Frame(cloud, home, capturetest.UDP, 1)
	records := make([]record, routers)
	for i := range records {
		records[i] = record{at: noon, data: slices.Clone(frame)}
		binary.BigEndian.PutUint32(records[i].data[8:], 1<<24+uint32(i))
	}
	file := pcapFile(capture.LinkEthernet, records...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := open(t, file, capture.Address{})
	var err error
	for n := 0; err == nil; n++ {
		var p capture.Packet
		if p, err = r.Next(); err == nil && p.Device != speaker {
			t.Fatalf("packet %d is %v's", n, p.Device)
		}
	}
	runtime.ReadMemStats(&after)
	if got := r.Stats(); !errors.Is(err, io.EOF) || got.Packets != routers {
		t.Errorf("%+v, %v; want %d packets", got, err, routers)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes of memory", grown)
	}
}

func TestOpenNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "night.pcap")
	if _, err := capture.Open(path, speaker); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file: %v", err)
	}
	frame := capturetest.Frame(speakerHost, cloud, capturetest.UDP, 10)
	file := pcapFile(1, frames(frame, frame)...)
	if err := os.WriteFile(path, []byte("night"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := capture.Open(path, speaker); !errors.Is(err, capture.ErrFormat) || !strings.Contains(err.Error(), path) {
		t.Errorf("not a capture: %v", err)
	}
	if err := os.WriteFile(path, file[:len(file)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := capture.Open(path, speaker)
	if err != nil {
		t.Fatal(err)
	}
	r.Next()
	if _, err := r.Next(); !errors.Is(err, capture.ErrTruncated) || !strings.HasPrefix(err.Error(), path+": packet 2") {
		t.Errorf("a truncated file: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}

	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err = capture.Open(path, speaker); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, err := r.Next(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// failing is a disk that fails after some bytes.
type failing struct {
	io.Reader
	err error
}

func (f failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = f.err
	}
	return n, err
}

func TestErrorsOfTheDiskAreNotTheFiles(t *testing.T) {
	broken := errors.New("input/output error")
	file := pcapFile(1, frames(capturetest.Frame(speakerHost, cloud, capturetest.UDP, 10))...)
	for name, b := range map[string][]byte{"plain": file, "gzip": gzipped(file)[:50], "zstd": zstded(file)[:20]} {
		r, err := capture.NewReader(failing{bytes.NewReader(b), broken}, speaker)
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, broken) || errors.Is(err, capture.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadingAllocatesNothingPerPacket(t *testing.T) {
	frame := capturetest.Frame(speakerHost, cloud, capturetest.TCP, 100)
	var records []record
	for range 2000 {
		records = append(records, record{at: noon, data: frame})
	}
	for name, file := range map[string][]byte{"pcap": pcapFile(1, records...), "pcapng": ngFile(t, records...)} {
		r := open(t, file, speaker)
		if n := testing.AllocsPerRun(1000, func() { r.Next() }); n != 0 {
			t.Errorf("%s: %v allocations a packet", name, n)
		}
	}
}
