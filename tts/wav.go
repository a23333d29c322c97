package tts

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// MaxDuration is the longest clip that is read or written. A candidate for a
// wake word takes seconds, so what is longer is a mistake or an attack.
const MaxDuration = time.Minute

// What DecodeWAV accepts, in samples per second.
const (
	minWAVRate = 8000
	maxWAVRate = 48000
)

const (
	wavFormatPCM   = 1
	maxChunks      = 64      // before the sound; real files have a handful
	maxChunkSize   = 1 << 20 // of a chunk that is skipped, such as a cover picture
	streamingSize  = 0x7FFFF000
	sealChunk      = "seal" // our own; see sealOf
	fmtChunkSize   = 16
	riffHeaderSize = 12
	chunkHeadSize  = 8
)

// DecodeWAV reads a RIFF/WAVE file of 16-bit PCM, mono or stereo, at any rate
// from 8 to 48 kHz, and returns it as a clip: the two sides averaged, the rate
// converted to [SampleRate]. Chunks that aren't needed are skipped.
//
// A program that writes to a pipe can't know the length of its sound and leaves
// a placeholder in the header. Such a data chunk (of size 0, or 0x7FFFF000 and
// more) reaches to the end of r. Every other size must be true: a file that
// ends early is an error, not a shorter clip. So is a sound longer than
// [MaxDuration].
func DecodeWAV(r io.Reader) (Clip, error) {
	c, _, err := decodeWAV(r)
	return c, err
}

// decodeWAV also returns the file's seal, nil if it has none.
func decodeWAV(r io.Reader) (c Clip, seal []byte, err error) {
	var head [riffHeaderSize]byte
	if err := readFull(r, head[:], "header"); err != nil {
		return Clip{}, nil, err
	}
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return Clip{}, nil, fmt.Errorf("wav: not a RIFF/WAVE file, it begins with %q", head[:])
	}
	var format *wavFormat
	for range maxChunks {
		var head [chunkHeadSize]byte
		if err := readFull(r, head[:], "chunk header (no sound so far)"); err != nil {
			return Clip{}, nil, err
		}
		name, size := string(head[:4]), binary.LittleEndian.Uint32(head[4:])
		if name == "data" {
			if format == nil {
				return Clip{}, nil, errors.New("wav: sound without a format chunk before it")
			}
			c, err = format.decode(r, size)
			return c, seal, err
		}
		if size > maxChunkSize {
			return Clip{}, nil, fmt.Errorf("wav: chunk %q claims %d bytes, at most %d are read", name, size, maxChunkSize)
		}
		body := make([]byte, size+size%2) // chunks begin at even offsets
		if err := readFull(r, body, fmt.Sprintf("chunk %q", name)); err != nil {
			return Clip{}, nil, err
		}
		switch name {
		case "fmt ":
			if format, err = parseFormat(body[:size]); err != nil {
				return Clip{}, nil, err
			}
		case sealChunk:
			seal = body[:size]
		}
	}
	return Clip{}, nil, fmt.Errorf("wav: no sound in the first %d chunks", maxChunks)
}

type wavFormat struct {
	channels int
	rate     int
}

func parseFormat(b []byte) (*wavFormat, error) {
	if len(b) < fmtChunkSize {
		return nil, fmt.Errorf("wav: format chunk of %d bytes, want at least %d", len(b), fmtChunkSize)
	}
	code := binary.LittleEndian.Uint16(b)
	channels := int(binary.LittleEndian.Uint16(b[2:]))
	rate := binary.LittleEndian.Uint32(b[4:])
	align := int(binary.LittleEndian.Uint16(b[12:]))
	bits := binary.LittleEndian.Uint16(b[14:])
	switch {
	case code != wavFormatPCM || bits != 16:
		return nil, fmt.Errorf("wav: format %d with %d bits, only PCM (1) with 16 bits is read", code, bits)
	case align != 2*channels:
		return nil, fmt.Errorf("wav: %d bytes per frame of %d channels of 16 bits", align, channels)
	}
	f := wavFormat{channels: channels, rate: int(rate)}
	return &f, f.validate()
}

func (f wavFormat) validate() error {
	switch {
	case f.channels != 1 && f.channels != 2:
		return fmt.Errorf("wav: %d channels, only mono and stereo are read", f.channels)
	case f.rate < minWAVRate || f.rate > maxWAVRate:
		return fmt.Errorf("wav: %d samples per second, only %d to %d are read", f.rate, minWAVRate, maxWAVRate)
	}
	return nil
}

// DecodePCM makes a clip of sound without a header: signed 16-bit little-endian
// samples, mono or stereo, at any rate that [DecodeWAV] reads. A sound longer
// than [MaxDuration] is an error.
func DecodePCM(raw []byte, rate, channels int) (Clip, error) {
	f := wavFormat{channels: channels, rate: rate}
	if err := f.validate(); err != nil {
		return Clip{}, err
	}
	return f.decode(bytes.NewReader(raw), streamingSize)
}

// decode reads the body of a data chunk of the given nominal size.
func (f wavFormat) decode(r io.Reader, size uint32) (Clip, error) {
	frame := 2 * f.channels
	limit := int64(f.rate) * int64(frame) * int64(MaxDuration/time.Second)
	streaming := size == 0 || size >= streamingSize
	if !streaming {
		if int64(size) > limit {
			return Clip{}, fmt.Errorf("wav: %d bytes of sound are longer than %v", size, MaxDuration)
		}
		r = io.LimitReader(r, int64(size))
	}
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return Clip{}, fmt.Errorf("wav: read sound: %w", err)
	case int64(len(raw)) > limit:
		return Clip{}, fmt.Errorf("wav: the sound is longer than %v", MaxDuration)
	case !streaming && len(raw) < int(size):
		return Clip{}, fmt.Errorf("wav: truncated: %d of %d bytes of sound: %w", len(raw), size, io.ErrUnexpectedEOF)
	case len(raw)%frame != 0:
		return Clip{}, fmt.Errorf("wav: %d bytes of sound don't make whole frames of %d bytes", len(raw), frame)
	}
	samples := make([]int16, len(raw)/frame)
	for i := range samples {
		left := int16(binary.LittleEndian.Uint16(raw[i*frame:]))
		if f.channels == 1 {
			samples[i] = left
			continue
		}
		right := int16(binary.LittleEndian.Uint16(raw[i*frame+2:]))
		samples[i] = int16((int32(left) + int32(right)) / 2)
	}
	return Clip{Samples: resample(samples, f.rate, SampleRate)}, nil
}

// EncodeWAV writes the clip as a RIFF/WAVE file that [DecodeWAV] gives back
// sample for sample and that any audio program plays.
func EncodeWAV(w io.Writer, c Clip) error {
	return encodeWAV(w, c, nil)
}

// encodeWAV puts a seal before the sound unless it is nil.
func encodeWAV(w io.Writer, c Clip, seal []byte) error {
	if c.Duration() > MaxDuration {
		return fmt.Errorf("wav: a clip of %v is longer than %v", c.Duration(), MaxDuration)
	}
	file := make([]byte, 0, 128+2*len(c.Samples))
	file = appendChunkHead(file, "RIFF", 0) // the size is filled in below
	file = append(file, "WAVE"...)
	file = appendChunkHead(file, "fmt ", fmtChunkSize)
	file = binary.LittleEndian.AppendUint16(file, wavFormatPCM)
	file = binary.LittleEndian.AppendUint16(file, 1)
	file = binary.LittleEndian.AppendUint32(file, SampleRate)
	file = binary.LittleEndian.AppendUint32(file, 2*SampleRate)
	file = binary.LittleEndian.AppendUint16(file, 2)
	file = binary.LittleEndian.AppendUint16(file, 16)
	if seal != nil {
		file = append(appendChunkHead(file, sealChunk, len(seal)), seal...)
	}
	file = c.appendPCM(appendChunkHead(file, "data", 2*len(c.Samples)))
	binary.LittleEndian.PutUint32(file[4:], uint32(len(file)-chunkHeadSize))
	if _, err := w.Write(file); err != nil {
		return fmt.Errorf("wav: write: %w", err)
	}
	return nil
}

func appendChunkHead(b []byte, name string, size int) []byte {
	return binary.LittleEndian.AppendUint32(append(b, name...), uint32(size))
}

// readFull reads what the file must still hold.
func readFull(r io.Reader, b []byte, what string) error {
	switch _, err := io.ReadFull(r, b); {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("wav: truncated in the %s: %w", what, io.ErrUnexpectedEOF)
	default:
		return fmt.Errorf("wav: read %s: %w", what, err)
	}
}
