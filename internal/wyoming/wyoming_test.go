package wyoming_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wakefuzz/internal/wyoming"
	"wakefuzz/internal/wyoming/wyomingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func read(text string) (wyoming.Event, error) {
	return wyoming.ReadEvent(bufio.NewReader(strings.NewReader(text)))
}

func TestReadEvent(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want wyoming.Event
	}{
		"bare":    {`{"type":"describe"}` + "\n", wyoming.Event{Type: "describe"}},
		"version": {`{"type": "not-detected", "version": "1.1", "more": [1]}` + "\n", wyoming.Event{Type: "not-detected"}},
		"data in the line": {`{"type":"detect","data":{"names":["a"]}}` + "\n",
			wyoming.Event{Type: "detect", Data: json.RawMessage(`{"names":["a"]}`)}},
		"data behind it": {`{"type":"detect","data_length":8}` + "\n" + `{"b": 1}`,
			wyoming.Event{Type: "detect", Data: json.RawMessage(`{"b": 1}`)}},
		"the latter over the former": {`{"type":"x","data":{"a":1,"b":1},"data_length":13}` + "\n" + `{"b":2,"c":3}`,
			wyoming.Event{Type: "x", Data: json.RawMessage(`{"a":1,"b":2,"c":3}`)}},
		"nulls":   {`{"type":"x","data":null,"data_length":null,"payload_length":null}` + "\n", wyoming.Event{Type: "x"}},
		"payload": {`{"type":"x","payload_length":3}` + "\n" + "a\nb{", wyoming.Event{Type: "x", Payload: []byte("a\nb")}},
	} {
		got, err := read(c.text)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestReadEventRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		cut  bool // it is cut off
		want string
	}{
		"a line cut off":         {`{"type":"x"`, true, "cut off"},
		"data cut off":           {`{"type":"x","data_length":9}` + "\n{", true, "1 of 9 bytes"},
		"payload cut off":        {`{"type":"x","payload_length":9}` + "\n", true, "0 of 9 bytes"},
		"not JSON":               {"HTTP/1.1 400 Bad Request\n", false, "HTTP/1.1"},
		"an empty line":          {"\n", false, "not an event's"},
		"an array":               {"[1]\n", false, "not an event's"},
		"no type":                {"{}\n", false, "without a type"},
		"a type that is none":    {`{"type":3}` + "\n", false, "type"},
		"data that is none":      {`{"type":"x","data":[1]}` + "\n", false, "no object"},
		"more data that is none": {`{"type":"x","data_length":3}` + "\n[1]", false, "no object"},
		"a negative length":      {`{"type":"x","payload_length":-1}` + "\n", false, "-1"},
		"half a byte":            {`{"type":"x","payload_length":1.5}` + "\n", false, "1.5"},
		"too much data":          {`{"type":"x","data_length":4194305}` + "\n", false, "4194305"},
		"too large a payload":    {`{"type":"x","payload_length":16777217}` + "\n", false, "16777217"},
		"too long a line":        {strings.Repeat(" ", 5<<20), false, "a line of more than"},
	} {
		_, err := read(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) != c.cut || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := read(""); !errors.Is(err, io.EOF) {
		t.Errorf("nothing at all: %v", err)
	}
}

func TestAppendRefuses(t *testing.T) {
	for want, e := range map[string]wyoming.Event{
		"without a type": {},
		"no object":      {Type: "x", Data: json.RawMessage(`[1]`)},
		"bytes of data":  {Type: "x", Data: json.RawMessage(`"` + strings.Repeat("a", 5<<20) + `"`)},
		"a payload of":   {Type: "x", Payload: make([]byte, 17<<20)},
	} {
		if b, err := e.Append(nil); err == nil || !strings.Contains(err.Error(), want) || len(b) > 0 {
			t.Errorf("%s: %d bytes, %v", want, len(b), err)
		}
	}
}

// What is read can be written, and read again as the same.
func FuzzReadEvent(f *testing.F) {
	for _, text := range []string{
		`{"type":"describe"}`, `{"type":"x","data":{"a":1},"data_length":7,"payload_length":2}` + "\n" + `{"b":2}ab`,
		`{"type":"detection","data":{"name":"alexa","timestamp":80}}`, `{"type":"x","data_length":4194304}` + "\n{", "[\n", "",
	} {
		f.Add([]byte(text + "\n"))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := bufio.NewReader(bytes.NewReader(text))
		for {
			e, err := wyoming.ReadEvent(r)
			if err != nil {
				return
			}
			var detection wyoming.Detection
			var info wyoming.Info
			_, _ = e.Decode(&detection), e.Decode(&info) // must not panic
			written, err := e.Append(nil)
			if err != nil {
				t.Fatalf("%+v can't be written: %v", e, err)
			}
			again, err := wyoming.ReadEvent(bufio.NewReader(bytes.NewReader(written)))
			if err != nil || !reflect.DeepEqual(again, e) {
				t.Fatalf("%+v comes back as %+v, %v", e, again, err)
			}
		}
	})
}

func TestParseAddress(t *testing.T) {
	for uri, ok := range map[string]bool{
		"tcp://127.0.0.1:10400": true, "tcp://[::1]:1": true, "tcp://host:1": true, "unix:///run/w.sock": true,
		"": false, "127.0.0.1:10400": false, "tcp://host": false, "tcp://:1": false, "tcp://h:1/path": false,
		"tcp://u@h:1": false, "tcp://h:1?x=1": false, "unix://run/w.sock": false, "unix://": false, "unix:///": false, "http://h:1": false, "stdio://": false,
	} {
		if _, err := wyoming.ParseAddress(uri); (err == nil) != ok {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

func dial(t *testing.T, uri string) *wyoming.Conn {
	t.Helper()
	a, err := wyoming.ParseAddress(uri)
	if err != nil {
		t.Fatal(err)
	}
	c, err := wyoming.Dial(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// answering serves connections that answer the first event with another.
func answering(t *testing.T, e wyoming.Event) *wyoming.Conn {
	t.Helper()
	return dial(t, wyomingtest.Serve(t, func(ctx context.Context, c *wyoming.Conn) {
		if _, err := c.Receive(ctx); err == nil {
			_ = c.Send(ctx, e)
		}
	}))
}

func TestDescribe(t *testing.T) {
	want := wyoming.Info{
		Wake: []wyoming.Program{{Name: "p", Version: "2", Models: []wyoming.Model{{Name: "m", Installed: true}}}},
		TTS:  []wyoming.Program{{Name: "q", Voices: []wyoming.Model{{Name: "v", Speakers: []wyoming.Speaker{{Name: "s"}}}}}},
	}
	got, err := answering(t, wyomingtest.Event(t, wyoming.TypeInfo, want, nil)).Describe(t.Context())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for want, e := range map[string]wyoming.Event{
		`"pong"`:                      {Type: "pong"},
		"the server says: busy (503)": wyomingtest.Event(t, wyoming.TypeError, wyoming.Error{Text: "busy", Code: "503"}, nil),
		"cannot unmarshal":            wyomingtest.Event(t, wyoming.TypeInfo, map[string]int{"wake": 3}, nil),
	} {
		if _, err := answering(t, e).Describe(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	silent := dial(t, wyomingtest.Serve(t, func(ctx context.Context, c *wyoming.Conn) { _, _ = c.Receive(ctx) }))
	if _, err := silent.Describe(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("a server that hangs up: %v", err)
	}
}

// A server that neither reads nor answers holds nobody for longer than the
// context lasts.
func TestContextEnds(t *testing.T) {
	c := dial(t, wyomingtest.Serve(t, func(ctx context.Context, _ *wyoming.Conn) { <-ctx.Done() }))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("receive: %v", err)
	}
	sending, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	sound := wyoming.Event{Type: wyoming.TypeAudioChunk, Payload: make([]byte, 16<<20)}
	var err error
	for err == nil {
		err = c.Send(sending, sound)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("send: %v", err)
	}
}
