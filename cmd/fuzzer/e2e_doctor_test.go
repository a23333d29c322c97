//go:build e2e

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"wakefuzz/internal/virtualspeaker/bed"
)

// doctor looks at the device's bench, with the campaign file changed.
func (d *device) doctor(code int, changes ...string) outcome {
	d.t.Helper()
	text, err := os.ReadFile(d.spec)
	if err != nil {
		d.t.Fatal(err)
	}
	changed := strings.NewReplacer(changes...).Replace(string(text))
	if len(changes) > 0 && changed == string(text) {
		d.t.Fatalf("%q changes nothing", changes)
	}
	file := filepath.Join(d.t.TempDir(), "changed.yaml")
	write(d.t, file, []byte(changed))
	return d.fuzzer("doctor", file, "--dir", d.folder).end(d.t, code)
}

// All of a bench that is as it should be is found to be so, and each thing that
// isn't is found.
func TestDoctorOfADeviceThatAnswers(t *testing.T) {
	d := newDevice(t, night{words: "banana, window", plays: 3, every: 1})
	o := d.doctor(exitDone)
	t.Log(o.stdout)
	o.finds(t, "ok player .*"+bed.Sink+".* takes sound",
		"ok light serial reads dark",
		"ok traffic "+bed.DeviceMAC+" sends, seen on "+bed.Interface+" after ",
		`night 13 plays, about 1m\d\ds; begun now`)

	d.doctor(exitUnfit, "silence: 2s", "silence: 2s, polarity: active-high").finds(t,
		"FAIL light it reads lit all the time: .* if the device's light is off: try polarity: active-low")
	d.doctor(exitUnfit, "port: "+d.Light, "port: /dev/nosuch").finds(t,
		"FAIL light .*/dev/nosuch: no such device plug the microcontroller in")
	d.doctor(exitUnfit, "port: "+d.Light, "port: /dev/ptmx").finds(t,
		"FAIL light .*/dev/ptmx: no line of the protocol .* docs/serial-sensor.ino")

	// A ring that flickers, for as long as the wake word is said.
	d.tell("flicker")
	clip := filepath.Join(t.TempDir(), "alexa.wav")
	if out, err := exec.Command("flite", "-voice", "kal16", "-t", "alexa", "-o", clip).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	said := make(chan struct{})
	go func() {
		defer close(said)
		for ctx.Err() == nil {
			_ = d.Command(ctx, "paplay", "--device="+bed.Sink, clip).Run() // it ends with ctx
		}
	}()
	defer func() {
		cancel()
		<-said
	}()
	d.doctor(exitDone).finds(t, "warn light it changed [0-9]+ times in 2s, while nothing was played .* trimmer")
}
