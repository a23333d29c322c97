package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
)

// maxFuzzed is the largest file that is fuzzed, in bytes.
const maxFuzzed = 64 << 10

// exhaust reads a capture to its end, whatever that is, and holds each packet
// to what must be true of any.
func exhaust(t *testing.T, file []byte, device capture.Address) {
	if len(file) > maxFuzzed {
		return
	}
	r, err := capture.NewReader(bytes.NewReader(file), device)
	if err != nil {
		return
	}
	defer r.Close()
	for {
		p, err := r.Next()
		if err != nil {
			if _, again := r.Next(); !errors.Is(again, err) {
				t.Fatalf("ended with %v, then with %v", err, again)
			}
			return
		}
		f := r.Frame()
		if p.Size < 0 || p.Payload < 0 || p.Payload > p.Size || int(p.Size) > f.Length {
			t.Fatalf("%+v of a frame of %d bytes", p, f.Length)
		}
		if f.Headers < 0 || f.Headers > len(f.Data) || len(f.Data) > f.Length {
			t.Fatalf("%d of headers, %d captured, %d in all", f.Headers, len(f.Data), f.Length)
		}
		if !p.Device.IsValid() || device.IsValid() && p.Device != device || p.Direction == capture.Unknown && p.Peer != p.Device {
			t.Fatalf("%+v of device %q", p, device)
		}
		if err := kept(f); err != nil {
			t.Fatal(err)
		}
	}
}

// kept writes a frame as evidence.
func kept(f capture.Frame) error {
	if f.Link > 0xff {
		return nil
	}
	w, err := capture.NewWriter(io.Discard, f.Link, capture.KeepHeaders, "")
	if err != nil {
		return err
	}
	return w.Write(f)
}

func FuzzPcap(f *testing.F) {
	records := frames(
		capturetest.Frame(speakerHost, cloud, capturetest.TCP, 100),
		capturetest.Frame6(cloud, speakerHost, capturetest.UDP, 10))
	file := pcapFile(capture.LinkEthernet, records...)
	f.Add(file)
	f.Add(pcapOf(binary.BigEndian, 0xa1b2c3d4, capture.LinkEthernet, records...))
	f.Add(gzipped(file))
	f.Add(zstded(file))
	f.Fuzz(func(t *testing.T, file []byte) {
		exhaust(t, file, capture.Address{})
		exhaust(t, file, speaker)
	})
}

func FuzzPcapng(f *testing.F) {
	frame := capturetest.Frame(speakerHost, cloud, capturetest.TCP, 100)
	f.Add(ngPacketBlock(0, 1, frame))
	f.Add(join(ngIface(101, 60, []byte{9, 0, 1, 0, 0x83, 0, 0, 0}), ngPacketBlock(1, 1, frame[14:])))
	f.Add(join(ngHeader(), ngIface(1, 0), ngBlock(3, words(uint32(len(frame))), frame)))
	f.Add(ngBlock(2, words(0, 0, 3e6, uint32(len(frame)), uint32(len(frame))), frame))
	f.Add(ngBlock(5, words(0, 0, 0), []byte{5, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0, 0}))
	f.Fuzz(func(t *testing.T, blocks []byte) {
		exhaust(t, join(ngHeader(), ngIface(1, 0), blocks), capture.Address{})
		exhaust(t, join(ngHeader(), ngIface(1, 0), blocks), speaker)
	})
}

func FuzzDecode(f *testing.F) {
	udp := capturetest.Frame(speakerHost, cloud, capturetest.UDP, 100)
	tcp6 := capturetest.Frame6(speakerHost, cloud, capturetest.TCP, 100)
	data := wifi{toDS: true, protected: true, subtype: 8, a1: bssid, a2: speakerHost.MAC, a3: cloud.MAC, body: ccmp(20)}.frame()
	f.Add(uint16(capture.LinkEthernet), udp, uint16(142))
	f.Add(uint16(capture.LinkEthernet), append(append([]byte(nil), tcp6[:12]...), append([]byte{0x81, 0, 0, 1}, tcp6[12:]...)...), uint16(0))
	f.Add(uint16(capture.LinkRaw), tcp6[14:], uint16(1500))
	f.Add(uint16(capture.LinkCooked), append(make([]byte, 14), append([]byte{8, 0}, udp[14:]...)...), uint16(200))
	f.Add(uint16(capture.LinkCooked2), append([]byte{0x86, 0xdd}, append(make([]byte, 18), tcp6[14:]...)...), uint16(200))
	f.Add(uint16(capture.LinkWiFi), data, uint16(0))
	f.Add(uint16(capture.LinkRadiotap), append([]byte{0, 0, 9, 0, 2, 0, 0, 0, 0x10}, data...), uint16(0))
	f.Fuzz(func(t *testing.T, link uint16, frame []byte, length uint16) {
		file := pcapFile(capture.LinkType(link), record{at: noon, data: frame, length: int(length)}, record{at: noon, data: frame})
		for _, device := range []capture.Address{{}, speaker, capturetest.Address(speakerHost.IP4), capturetest.Address(speakerHost.IP6)} {
			exhaust(t, file, device)
		}
	})
}
