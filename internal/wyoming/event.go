// Package wyoming speaks the Wyoming protocol, by which voice assistants reach
// their wake-word engines and voices: events over a stream of bytes.
//
// An event is a line of JSON with its type, then, as long as the line says, a
// JSON object of data and a payload of bytes, which is sound. A client asks,
// and the server answers on the same connection; see [Conn]. The package has
// the events that a fuzzer needs: to ask what a server offers, to have a wake
// word detected, and to have a text spoken.
//
// # Limits
//
// The other side is not trusted: what is longer than a real event ever is, or
// is not what the protocol says, is an error, and the connection is then of no
// further use. Unknown fields are passed over, because the protocol grows by
// them.
package wyoming

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
)

// The longest parts of an event that are read or written, in bytes. The list of
// every voice of Piper, with the hundreds of speakers that some have, stays
// below a tenth of maxData; the longest clip, in one piece at 48 kHz, stays
// below maxPayload.
const (
	maxHeader  = 4 << 20
	maxData    = 4 << 20
	maxPayload = 16 << 20
)

// Event is one message, either way.
type Event struct {
	// Type says what it is: "detect", "audio-chunk".
	Type string
	// Data is a JSON object, or nil for none.
	Data json.RawMessage
	// Payload is sound, or nil for none.
	Payload []byte
}

// NewEvent makes an event of data that becomes a JSON object, or nil.
func NewEvent(kind string, data any, payload []byte) (Event, error) {
	e := Event{Type: kind, Payload: payload}
	if data == nil {
		return e, nil
	}
	var err error
	if e.Data, err = json.Marshal(data); err != nil {
		return Event{}, fmt.Errorf("wyoming: %s: %w", kind, err)
	}
	return e, nil
}

// Decode reads the event's data into a struct.
func (e Event) Decode(into any) error {
	if len(e.Data) == 0 {
		return nil
	}
	if err := json.Unmarshal(e.Data, into); err != nil {
		return fmt.Errorf("wyoming: %s: %w", e.Type, err)
	}
	return nil
}

// header is an event's first line.
type header struct {
	Type          string          `json:"type"`
	Data          json.RawMessage `json:"data,omitempty"`
	DataLength    int             `json:"data_length,omitempty"`
	PayloadLength int             `json:"payload_length,omitempty"`
}

func (h header) validate() error {
	switch {
	case h.Type == "":
		return errors.New("wyoming: an event without a type")
	case h.DataLength < 0 || h.DataLength > maxData:
		return fmt.Errorf("wyoming: %s: %d bytes of data are not between 0 and %d", h.Type, h.DataLength, maxData)
	case h.PayloadLength < 0 || h.PayloadLength > maxPayload:
		return fmt.Errorf("wyoming: %s: a payload of %d bytes is not between 0 and %d", h.Type, h.PayloadLength, maxPayload)
	}
	return nil
}

// Append appends the event as it goes over the wire.
func (e Event) Append(b []byte) ([]byte, error) {
	h := header{Type: e.Type, DataLength: len(e.Data), PayloadLength: len(e.Payload)}
	if err := h.validate(); err != nil {
		return b, err
	}
	if _, err := object(e.Data); err != nil {
		return b, fmt.Errorf("wyoming: %s: %w", e.Type, err)
	}
	line, err := json.Marshal(h)
	if err != nil {
		return b, fmt.Errorf("wyoming: %w", err)
	}
	b = append(append(b, line...), '\n')
	return append(append(b, e.Data...), e.Payload...), nil
}

// ReadEvent reads the next event. The error is io.EOF where there is none, and
// wraps io.ErrUnexpectedEOF where one is cut off.
func ReadEvent(r *bufio.Reader) (Event, error) {
	line, err := readLine(r)
	if err != nil {
		return Event{}, err
	}
	var h header
	if err := json.Unmarshal(line, &h); err != nil {
		return Event{}, fmt.Errorf("wyoming: a line that is not an event's, %.80q: %w", line, err)
	}
	if err := h.validate(); err != nil {
		return Event{}, err
	}
	e := Event{Type: h.Type}
	more, err := readPart(r, h.DataLength)
	if err != nil {
		return Event{}, fmt.Errorf("wyoming: %s: its data: %w", h.Type, err)
	}
	if e.Data, err = merge(h.Data, more); err != nil {
		return Event{}, fmt.Errorf("wyoming: %s: %w", h.Type, err)
	}
	if e.Payload, err = readPart(r, h.PayloadLength); err != nil {
		return Event{}, fmt.Errorf("wyoming: %s: its payload: %w", h.Type, err)
	}
	return e, nil
}

// readLine reads up to a line's end, which it leaves out.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxHeader:
			return nil, fmt.Errorf("wyoming: a line of more than %d bytes", maxHeader)
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, fmt.Errorf("wyoming: a line that is cut off, %.80q: %w", line, io.ErrUnexpectedEOF)
		default:
			return nil, err
		}
	}
}

// readPart reads so many bytes, and makes room for them only as they come.
func readPart(r *bufio.Reader, length int) ([]byte, error) {
	if length == 0 {
		return nil, nil
	}
	var part bytes.Buffer
	if _, err := io.CopyN(&part, r, int64(length)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("%d of %d bytes: %w", part.Len(), length, err)
	}
	return part.Bytes(), nil
}

// merge puts the fields of the second object over those of the first.
func merge(first, second json.RawMessage) (json.RawMessage, error) {
	fields, err := object(first)
	if err != nil {
		return nil, err
	}
	more, err := object(second)
	switch {
	case err != nil:
		return nil, err
	case more == nil && fields == nil:
		return nil, nil
	case more == nil:
		return first, nil
	case fields == nil:
		return second, nil
	}
	maps.Copy(fields, more)
	return json.Marshal(fields)
}

// object is data as its fields: nil for no data, and for null.
func object(data json.RawMessage) (map[string]json.RawMessage, error) {
	if len(data) == 0 {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("data that is no object, %.80q: %w", data, err)
	}
	return fields, nil
}
