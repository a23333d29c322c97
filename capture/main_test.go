package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var speaker = capturetest.Address(capturetest.Speaker.MAC)

// noon is when made captures begin.
var noon = time.Date(2024, 5, 6, 12, 0, 0, 123456789, time.UTC)

// record is a frame of a made capture.
type record struct {
	at     time.Time
	data   []byte
	length int // 0: that of data
}

func (r record) wire() int { return max(r.length, len(r.data)) }

// pcapFile makes a pcap file with times in nanoseconds.
func pcapFile(link capture.LinkType, records ...record) []byte {
	return pcapOf(binary.LittleEndian, 0xa1b23c4d, link, records...)
}

func pcapOf(order binary.AppendByteOrder, magic uint32, link capture.LinkType, records ...record) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	for _, v := range []uint32{0, 0, 262144, uint32(link)} {
		b = order.AppendUint32(b, v)
	}
	for _, r := range records {
		fraction := r.at.Nanosecond()
		if magic == 0xa1b2c3d4 {
			fraction /= 1000
		}
		for _, v := range []int{int(r.at.Unix()), fraction, len(r.data), r.wire()} {
			b = order.AppendUint32(b, uint32(v))
		}
		b = append(b, r.data...)
	}
	return b
}

// frames are records of frames a second apart.
func frames(data ...[]byte) []record {
	records := make([]record, len(data))
	for i, d := range data {
		records[i] = record{at: noon.Add(time.Duration(i) * time.Second), data: d}
	}
	return records
}

// read reads a capture to its end, and returns why it ended.
func read(t testing.TB, file []byte, device capture.Address) ([]capture.Packet, *capture.Reader, error) {
	t.Helper()
	r, err := capture.NewReader(bytes.NewReader(file), device)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	var packets []capture.Packet
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return packets, r, nil
		}
		if err != nil {
			return packets, r, err
		}
		packets = append(packets, p)
	}
}
