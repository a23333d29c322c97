package capture

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// Writer writes frames as a pcapng file, which tcpdump, tshark and [Reader]
// read. The file states each frame's true length, however much is kept of it.
type Writer struct {
	out  *pcapgo.NgWriter
	link LinkType
	keep Keep
}

// NewWriter begins a file of frames of the link type. The comment, such as the
// name of the play that the file is evidence for, stands in the file's header.
// Flush must be called at the end.
func NewWriter(w io.Writer, link LinkType, keep Keep, comment string) (*Writer, error) {
	if len(comment) > math.MaxUint16 {
		return nil, fmt.Errorf("write capture: a comment of %d bytes is too long; %d are possible", len(comment), math.MaxUint16)
	}
	if link > math.MaxUint8 {
		return nil, fmt.Errorf("write capture: %s can't be written; capture on one interface rather than on all", link)
	}
	iface := pcapgo.NgInterface{LinkType: layers.LinkType(link), TimestampResolution: 9}
	out, err := pcapgo.NewNgWriterInterface(w, iface, pcapgo.NgWriterOptions{
		SectionInfo: pcapgo.NgSectionInfo{Application: "wakefuzz", Comment: comment},
	})
	if err != nil {
		return nil, fmt.Errorf("write capture: %w", err)
	}
	return &Writer{out, link, keep}, nil
}

// Write adds a frame.
func (w *Writer) Write(f Frame) error {
	if f.Link != w.link {
		return fmt.Errorf("write capture: a frame of %s does not fit a file of %s", f.Link, w.link)
	}
	if f.Time.IsZero() {
		f.Time = time.Unix(0, 0)
	}
	data := f.kept(w.keep)
	err := w.out.WritePacket(gopacket.CaptureInfo{
		Timestamp:     f.Time,
		CaptureLength: len(data),
		Length:        f.Length,
	}, data)
	if err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}

// Flush writes what is buffered. What is below is the caller's to close.
func (w *Writer) Flush() error {
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}

// kept is as much of the frame as is to be kept.
func (f Frame) kept(k Keep) []byte {
	if k == KeepPayload {
		return f.Data
	}
	return f.Data[:f.Headers]
}

// Recent keeps the latest frames, so that a span can be written once it is
// known to be of interest. It is used by one goroutine.
type Recent struct {
	keep   Keep
	span   time.Duration
	frames []Frame
	bytes  int
}

// maxRecent is the most that a Recent keeps, in bytes: minutes of far more
// traffic than a speaker makes.
const maxRecent = 64 << 20

// NewRecent keeps frames of the span before the latest.
func NewRecent(span time.Duration, keep Keep) *Recent {
	return &Recent{keep: keep, span: span}
}

// Add keeps a copy of a frame, and lets go of those that are too old or, of a
// flood, too many.
func (r *Recent) Add(f Frame) {
	f.Data = append([]byte(nil), f.kept(r.keep)...)
	f.Headers = min(f.Headers, len(f.Data))
	r.frames = append(r.frames, f)
	r.bytes += len(f.Data) + frameCost
	for r.bytes > maxRecent || f.Time.Sub(r.frames[0].Time) > r.span {
		r.bytes -= len(r.frames[0].Data) + frameCost
		r.frames[0] = Frame{}
		r.frames = r.frames[1:]
	}
}

// frameCost is roughly what a kept frame takes besides its bytes.
const frameCost = 128

// Frames are the frames that are kept, in the order in which they came. The
// slice is good until the next Add, what the frames hold for good.
func (r *Recent) Frames() []Frame { return r.frames }
