package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"wakefuzz/bench"
)

// Event is what an entry of the record tells of.
type Event string

// The events. Records hold these strings: they are never renamed.
const (
	// EventBegin begins a session, with its settings.
	EventBegin Event = "begin"
	// EventAlive says that the session goes on.
	EventAlive Event = "alive"
	// EventFile is a file: from its first packet to its last. It is open, as
	// spells are, until an entry with the same beginning has an end.
	EventFile Event = "file"
	// EventPlay is a word as it sounded.
	EventPlay Event = "play"
	// EventPair is a word's two stretches, of equal lengths, without a gap.
	EventPair Event = "pair"
	// EventLight is a spell of light.
	EventLight Event = "light"
	// EventUpload is what the detector took for one.
	EventUpload Event = "upload"
	// EventBlind is a time in which an oracle did not watch.
	EventBlind Event = "blind"
	// EventEnd ends a session in good order.
	EventEnd Event = "end"
)

// Entry is a line of the record.
type Entry struct {
	Session int   `json:"session"`
	Event   Event `json:"event"`
	// From and To are on the session's clock, in nanoseconds. An open entry has
	// no To.
	From bench.Instant `json:"from_ns"`
	To   bench.Instant `json:"to_ns,omitempty"`
	// Wall is the wall clock's time at From.
	Wall time.Time `json:"wall,omitzero"`
	// Word and Voice are what was played.
	Word  string `json:"word,omitempty"`
	Voice string `json:"voice,omitempty"`
	// File is a file's name, Packets and Dropped how many it holds and lacks.
	File    string `json:"file,omitempty"`
	Packets int    `json:"packets,omitempty"`
	Dropped uint64 `json:"dropped,omitempty"`
	// Oracle is who was blind.
	Oracle string `json:"oracle,omitempty"`
	// Fault is why a play did not sound, or an oracle was blind.
	Fault string `json:"fault,omitempty"`
	// Score is that of an upload.
	Score    float64   `json:"score,omitempty"`
	Settings *Settings `json:"settings,omitempty"`
}

// span is the entry's time; an open one lasts until now.
func (e Entry) span(now bench.Instant) bench.Span {
	if e.To == 0 {
		return bench.Span{Start: e.From, End: max(e.From, now)}
	}
	return bench.Span{Start: e.From, End: e.To}
}

// Settings are what must be the same in all sessions of a folder.
type Settings struct {
	Plan
	// Device is the device's address.
	Device string `json:"device"`
	// WakeWord is what is meant to wake it.
	WakeWord string `json:"wake_word"`
	// Light says that the light is watched.
	Light bool `json:"light"`
	// Reach is how long after the end of a word it can still draw a reaction.
	Reach time.Duration `json:"reach_ns"`
}

// wakes says whether the word is meant to wake the device.
func (s Settings) wakes(word string) bool { return s.Kind == Controlled || word == s.WakeWord }

// ErrRecord is wrapped by errors about a record that can't be read.
var ErrRecord = errors.New("record")

// maxEntry is how long a line of the record may be, in bytes: a thousand words
// fit.
const maxEntry = 1 << 20

// ReadRecord reads the lines of a record. What stands after the last line, as
// after a process that was killed, is left out: size is how many bytes are
// whole. Errors wrap ErrRecord and name the line.
func ReadRecord(in io.Reader) (entries []Entry, size int64, err error) {
	lines := bufio.NewReaderSize(in, maxEntry)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return entries, size, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%w: line %d: %w", ErrRecord, n, err)
		}
		var e Entry
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&e); err != nil {
			return nil, 0, fmt.Errorf("%w: line %d: %w", ErrRecord, n, err)
		}
		if err := e.follows(entries); err != nil {
			return nil, 0, fmt.Errorf("%w: line %d: %w", ErrRecord, n, err)
		}
		entries = append(entries, e)
		size += int64(len(line))
	}
}

// follows says why the entry can't stand after the others.
func (e Entry) follows(before []Entry) error {
	session := 0
	if len(before) > 0 {
		session = before[len(before)-1].Session
	}
	switch {
	case e.Event == EventBegin && e.Session == session+1 && e.Settings != nil:
		return nil
	case e.Event == EventBegin, e.Session != session || session == 0:
		return fmt.Errorf("a %q of session %d does not follow session %d", e.Event, e.Session, session)
	case e.To != 0 && e.To < e.From:
		return fmt.Errorf("a %q ends before it begins", e.Event)
	}
	return nil
}
