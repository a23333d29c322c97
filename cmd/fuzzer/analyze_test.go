package main

import (
	"bytes"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"wakefuzz/capture"
	"wakefuzz/capture/capturetest"
)

// makeCapture is a command of the scripts: "capture FILE EVENT..." makes a
// capture of a speaker and a lamp from noon on. Events follow each other:
//
//	idle     five minutes, in which both send a little
//	upload   the speaker sends 5 s of speech
//	hour     nothing for an hour
//	back     the clock is set back by an hour
//	packet   the lamp sends one packet
//	cut      the file ends in the middle of what was last
func makeCapture(ts *testscript.TestScript, _ bool, args []string) {
	speaker, lamp := capturetest.Device(1), capturetest.Device(2)
	var out bytes.Buffer
	w, err := capture.NewWriter(&out, capture.LinkEthernet, capture.KeepPayload, "")
	ts.Check(err)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	send := func(host capturetest.Host, payload int) {
		data := capturetest.Frame(host, capturetest.Cloud, capturetest.TCP, payload)
		ts.Check(w.Write(capture.Frame{Link: capture.LinkEthernet, Time: now, Data: data, Length: len(data)}))
	}
	cut := 0
	for _, event := range args[1:] {
		switch event {
		case "idle":
			for range 60 {
				send(speaker, 100)
				send(lamp, 40)
				now = now.Add(5 * time.Second)
			}
		case "upload":
			for range 50 {
				send(speaker, 800)
				now = now.Add(100 * time.Millisecond)
			}
		case "hour":
			now = now.Add(time.Hour)
		case "back":
			now = now.Add(-time.Hour)
		case "packet":
			send(lamp, 40)
		case "cut":
			cut = 10
		default:
			ts.Fatalf("no such event: %s", event)
		}
	}
	ts.Check(w.Flush())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out.Bytes()[:out.Len()-cut], 0o644))
}
