package capture

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// What a file may claim. Real captures stay far below.
const (
	// maxCaptured is the most bytes of a frame that a record may hold. libpcap
	// has the same limit.
	maxCaptured = 256 << 10
	// maxLength is the longest that a frame may have been.
	maxLength = 16 << 20
	// maxInterfaces is the most interfaces that a pcapng section may describe.
	maxInterfaces = 4096
	// maxWindow is the most memory that a zstd file may ask for, in bytes.
	// "zstd -19" asks for a quarter of it.
	maxWindow = 32 << 20
	// From freeExpansion bytes on, a compressed file that is maxExpansion times
	// larger than what was read of it is taken for a bomb: captures of
	// encrypted traffic hardly shrink at all, their bare headers ten times.
	freeExpansion = 16 << 20
	maxExpansion  = 250

	bufferSize = 512 << 10
)

// Reader is a [Source] that reads a capture file: pcap of either byte order
// with micro- or nanoseconds, or pcapng, each plain or compressed with gzip or
// zstd. What it is shows in its first bytes. The file is streamed: memory does
// not grow with it.
type Reader struct {
	name    string // of the file, with what joins it to an error
	records records
	decoder decoder
	frame   Frame
	stats   Stats
	first   time.Time // of all frames
	last    time.Time
	err     error
	end     func()    // of the unpacking
	file    io.Closer // that Open opened, or nil
}

// records is a file format.
type records interface {
	// next fills in the next frame of the file, except for its Headers. After
	// the last, the error is io.EOF.
	next(*Frame) error
	// at says in which packet, and where in the file, an error is.
	at(error) error
	dropped() uint64
}

// Open reads the capture file at path, and gives the packets of the device. No
// device, the zero Address, means all of them. The Reader must be closed.
func Open(path string, device Address) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open capture: %w", err)
	}
	r, err := NewReader(f, device)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r.name, r.file = path+": ", f
	return r, nil
}

// NewReader reads a capture file from in, and gives the packets of the device.
// No device, the zero Address, means all of them. The Reader should be closed;
// that leaves in open. Errors wrap ErrFormat, ErrTruncated or ErrDevice, or are
// those of in. They name the packet, counted from 1 over all in the file, and
// the byte of the unpacked file where it begins or the file ends.
func NewReader(in io.Reader, device Address) (*Reader, error) {
	plain, end, err := decompress(in)
	if err != nil {
		return nil, err
	}
	records, err := newRecords(plain)
	if err != nil {
		end()
		return nil, err
	}
	return &Reader{
		records: records,
		decoder: decoder{device: device},
		end:     end,
	}, nil
}

// decompress finds out how the file is packed. The function it returns ends
// the unpacking.
func decompress(in io.Reader) (io.Reader, func(), error) {
	packed := &counter{in: in}
	window := bufio.NewReaderSize(packed, 64<<10)
	magic, _ := window.Peek(4) // too short a file fails later, with its reason
	u := &unpacker{packed: packed}
	end := func() {}
	switch {
	case len(magic) >= 2 && magic[0] == 0x1f && magic[1] == 0x8b:
		z, err := gzip.NewReader(window)
		if err != nil {
			return nil, nil, u.cause(err)
		}
		u.out = z
	case string(magic) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(window, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, u.cause(err)
		}
		u.out, end = z, z.Close
	default:
		return window, end, nil
	}
	return u, end, nil
}

type counter struct {
	in  io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	c.err = err
	return n, err
}

// unpacker watches over the unpacking: how much larger the file becomes, and
// whose fault an error is.
type unpacker struct {
	packed *counter
	out    io.Reader
	n      int64
}

func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.out.Read(p)
	u.n += int64(n)
	if u.n > freeExpansion && u.n/maxExpansion > u.packed.n {
		return 0, fmt.Errorf("%w: it becomes more than %d times larger when it is unpacked, as no real capture does; if you trust it, unpack it and read that", ErrFormat, maxExpansion)
	}
	return n, u.cause(err)
}

func (u *unpacker) cause(err error) error {
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return err
	case u.packed.err != nil && !errors.Is(u.packed.err, io.EOF):
		return u.packed.err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ErrTruncated
	default:
		return fmt.Errorf("%w: it can't be unpacked further: %w", ErrFormat, err)
	}
}

// newRecords finds out which format the file has.
func newRecords(in io.Reader) (records, error) {
	s := &stream{in: in, buffer: make([]byte, bufferSize), packet: 1}
	err := s.need(4)
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it is empty", ErrFormat)
	}
	if err != nil {
		return nil, s.at(err)
	}
	switch magic := binary.LittleEndian.Uint32(s.window); magic {
	case pcapMicros, pcapNanos, bits.ReverseBytes32(pcapMicros), bits.ReverseBytes32(pcapNanos):
		return newPcap(s)
	case ngSection:
		return &pcapng{stream: s}, nil
	}
	return nil, fmt.Errorf("%w: it begins with the bytes %s; pcap or pcapng, plain or in gzip or zstd, is needed", ErrFormat, hex.EncodeToString(s.window[:4]))
}

// Next returns the next packet of the device.
func (r *Reader) Next() (packet Packet, err error) {
	if r.decoder.others.take(&packet) {
		r.stats.Packets++
		return packet, nil
	}
	for r.err == nil {
		verdict, err := r.step(&packet)
		if err != nil {
			r.frame, r.err = Frame{}, err
			if !errors.Is(err, io.EOF) {
				r.err = fmt.Errorf("%s%w", r.name, err)
			}
			break
		}
		if r.stats.count(verdict) {
			return packet, nil
		}
	}
	return Packet{}, r.err
}

// step reads one frame.
func (r *Reader) step(packet *Packet) (verdict, error) {
	if err := r.records.next(&r.frame); err != nil {
		return isForeign, err
	}
	if r.frame.Link != LinkEthernet { // which is always fit
		if err := r.decoder.check(r.frame.Link); err != nil {
			return isForeign, r.records.at(err)
		}
	}
	if t := r.frame.Time; !t.IsZero() {
		if r.first.IsZero() {
			r.first = t
		}
		r.last = t
	}
	return r.decoder.decode(&r.frame, packet), nil
}

// count counts a frame, and reports whether it is a packet.
func (s *Stats) count(v verdict) bool {
	switch v {
	case isPacket:
		s.Packets++
	case isRetry:
		s.Retries++
	default:
		s.Skipped++
	}
	return v == isPacket
}

// Frame returns the bytes of the packet that Next returned last.
func (r *Reader) Frame() Frame { return r.frame }

// Times are those of the first and of the latest frame that was read and has a
// time, whoever's it is; zero Times where there is none so far. Where the clock
// was set, the first need not be the earliest.
func (r *Reader) Times() (first, latest time.Time) { return r.first, r.last }

// Stats counts what was read so far. Dropped is what the file says of itself.
func (r *Reader) Stats() Stats {
	s := r.stats
	s.Dropped = r.records.dropped()
	return s
}

// Close releases what the Reader holds, and closes the file that Open opened.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = os.ErrClosed
	}
	r.end()
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// stream is a file under a window that moves forward. It is what bufio.Reader
// would be, but that a step from record to record within the window is a matter
// of a few instructions.
type stream struct {
	in      io.Reader
	buffer  []byte
	window  []byte // the part of the buffer that was read and not left behind
	offset  int64  // of the window in the file
	held    int64  // bytes that the next step leaves behind, in the window or beyond
	packet  uint64 // number of the packet at hand, or to come
	swapped bool   // the file is big-endian
}

// advance leaves behind what was held. Only then does a frame's data go.
func (s *stream) advance() error {
	for s.held > int64(len(s.window)) {
		s.leave(len(s.window))
		if err := s.fill(1); err != nil {
			return early(err)
		}
	}
	s.leave(int(s.held))
	return nil
}

func (s *stream) leave(n int) {
	s.window = s.window[n:]
	s.offset += int64(n)
	s.held -= int64(n)
}

// need makes the window n bytes long or longer; bufferSize is the most. The
// error is io.EOF where the file ends right here, and ErrTruncated where it ends
// before the n bytes do.
func (s *stream) need(n int) error {
	if n <= len(s.window) {
		return nil
	}
	return s.fill(n)
}

// fill is need where there is something to read.
func (s *stream) fill(n int) error {
	have := copy(s.buffer, s.window)
	more, err := io.ReadAtLeast(s.in, s.buffer[have:], n-have)
	s.window = s.buffer[:have+more]
	if len(s.window) > 0 {
		err = early(err)
	}
	return err
}

// early is an error where more was to come.
func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return err
}

// at says where in the file an error is.
func (s *stream) at(err error) error {
	return fmt.Errorf("packet %d, at byte %d: %w", s.packet, s.offset, err)
}

func (s *stream) u16(b []byte) uint16 {
	if v := binary.LittleEndian.Uint16(b); !s.swapped {
		return v
	}
	return binary.BigEndian.Uint16(b)
}

func (s *stream) u32(b []byte) uint32 {
	if v := binary.LittleEndian.Uint32(b); !s.swapped {
		return v
	}
	return binary.BigEndian.Uint32(b)
}

// sizes checks what a record claims.
func sizes(captured, length uint32) error {
	if captured <= maxCaptured && length <= maxLength {
		return nil
	}
	if captured > maxCaptured {
		return fmt.Errorf("%w: the record claims %d captured bytes, more than the %d that are possible; the file is damaged here", ErrFormat, captured, maxCaptured)
	}
	return fmt.Errorf("%w: the record claims a frame of %d bytes, more than the %d that are possible; the file is damaged here", ErrFormat, length, maxLength)
}
