package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"wakefuzz/internal/googletts"
)

// googleVoice is the change that has a Google voice speak a campaign.
var googleVoice = []string{"engine: flite, name: kal16", "engine: google, name: en-US-Neural2-D"}

// client is a machine of its own, with an empty clip cache, that is set to use
// a service on loopback.
type client struct {
	t             *testing.T
	config, cache string
}

func newClient(t *testing.T, server *googletts.Server, settings ...string) *client {
	t.Helper()
	c := &client{t: t, config: filepath.Join(t.TempDir(), "config.yaml"), cache: t.TempDir()}
	text := fmt.Sprintf("google: {endpoint: %q}\n%s", server.Endpoint(), strings.Join(settings, "\n"))
	if err := os.WriteFile(c.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *client) command(args ...string) *exec.Cmd {
	c.t.Helper()
	cmd := command(c.t, append([]string{"--config", c.config}, args...)...)
	cmd.Env = append(cmd.Env, "WAKEFUZZ_CACHE="+c.cache)
	return cmd
}

func (c *client) fuzzer(code int, args ...string) outcome {
	c.t.Helper()
	return finish(c.t, code, c.command(args...))
}

// Whatever the service does, no play is lost: in the end a campaign has found
// what an undisturbed one finds.
func TestGoogle(t *testing.T) {
	t.Parallel()
	server := googletts.Start(t)
	file := campaignFile(t, append(googleVoice, "tries: 3", "tries: 1")...)
	whole := filepath.Join(t.TempDir(), "campaign")
	newClient(t, server).fuzzer(exitDone, "run", file, "--dir", whole)
	want := exportCSV(t, whole)
	if n := server.Stats().Syntheses; n != 4 {
		t.Errorf("the service was asked for %d clips of 4 words", n)
	}

	refuse := func(code codes.Code, message string) googletts.Fault {
		return googletts.Fault{Err: status.Error(code, message)}
	}
	// A run begins with three calls: before it makes the campaign it lists the
	// voices and speaks the wake word, and then it lists the voices again.
	for name, test := range map[string]struct {
		plain  int // calls that are answered plainly, before
		faulty int // calls that meet
		fault  googletts.Fault
		code   int
		says   []string
	}{
		"quota":               {0, 2, googletts.Quota, exitDone, []string{"waiting ", "Quota exceeded"}},
		"outage":              {3, 3, googletts.Outage, exitDone, []string{"waiting ", "currently unavailable"}},
		"dropped connections": {3, 3, googletts.Fault{Drop: true}, exitDone, []string{"waiting "}},
		"truncated answers":   {3, 3, googletts.Fault{Truncate: true}, exitDone, []string{"waiting ", "damaged answer"}},
		"refused at once":     {0, 100, googletts.Unauthenticated, exitCredentials, []string{"gcloud auth application-default login"}},
		"refused midway":      {3, 100, googletts.Unauthenticated, exitCredentials, []string{"gcloud auth application-default login", "go on with: fuzzer resume "}},
		"API switched off":    {1, 100, googletts.ServiceDisabled, exitCredentials, []string{"gcloud services enable texttospeech.googleapis.com", "project 1234567890"}},
		"a word refused":      {3, 1, refuse(codes.InvalidArgument, "This text is of no use."), exitUnmeasured, []string{"2 plays could not be measured; the log in ", "fuzzer resume "}},
		"something new":       {3, 100, refuse(codes.DataLoss, "Never seen before."), exitFailure, []string{"unexpected answer", "fuzzer resume "}},
	} {
		t.Run(name, func(t *testing.T) {
			c, dir := newClient(t, server), filepath.Join(t.TempDir(), "campaign")
			server.Fail(test.plain, googletts.Fault{})
			server.Fail(test.faulty, test.fault)
			o := c.fuzzer(test.code, "run", file, "--dir", dir)
			o.says(t, test.says...)
			server.Recover()
			if test.code != exitDone {
				c.fuzzer(exitDone, "run", file, "--dir", dir)
			}
			if got := exportCSV(t, dir); got != want {
				t.Errorf("found:\n%s\nwant:\n%s", got, want)
			}
			for play, n := range measured(t, dir) {
				if n != 1 {
					t.Errorf("play %s was measured %d times", play, n)
				}
			}
		})
	}
}

// A service that does not recover within the limit is given up.
func TestGoogleGivenUp(t *testing.T) {
	t.Parallel()
	server := googletts.Start(t)
	server.Fail(1000, googletts.Outage)
	c, dir := newClient(t, server, "synthesis: {give_up_after: 1ms}"), filepath.Join(t.TempDir(), "campaign")
	c.fuzzer(exitFailure, "run", campaignFile(t, googleVoice...), "--dir", dir).says(t, "gave up after", "currently unavailable")
	if _, err := os.Stat(dir); err == nil {
		t.Error("a campaign was made")
	}
}

// Nobody has to wait for a silent service to stop.
func TestInterruptWhileTheServiceIsSilent(t *testing.T) {
	t.Parallel()
	server := googletts.Start(t)
	server.Fail(3, googletts.Fault{}) // the voices, the wake word, the voices
	server.Fail(1000, googletts.Fault{Delay: time.Hour})
	machine, file, dir := newClient(t, server), campaignFile(t, googleVoice...), filepath.Join(t.TempDir(), "campaign")
	c := startCommand(t, machine.command("run", file, "--dir", dir, "--output", "json"))
	c.await("play")
	c.await("play") // both of the wake word; the next word is yet to come
	c.signal(os.Interrupt)
	end, o := c.interrupted()
	o.says(t, "interrupted; 2 of 8 plays are stored; go on with: fuzzer resume "+dir)
	if end.State != "interrupted" || *end.Measured != 2 {
		t.Errorf("the last event: %+v", end)
	}

	server.Recover()
	server.Fail(1, googletts.Fault{}) // the voices
	server.Fail(1000, googletts.Fault{Delay: time.Hour})
	c = startCommand(t, machine.command("synth", file))
	for range 2 { // what is to be made, and what is billed
		c.lines.Scan()
	}
	c.signal(os.Interrupt)
	_, o = c.interrupted()
	o.says(t, "interrupted; what was made is kept")
}

// What will be billed is said before it is, and nothing is billed twice.
func TestGoogleSynth(t *testing.T) {
	t.Parallel()
	server := googletts.Start(t)
	file := campaignFile(t, googleVoice...)
	says := func(o outcome, text string) {
		t.Helper()
		if !strings.Contains(o.stdout, text) {
			t.Errorf("standard output lacks %q:\n%s", text, o.stdout)
		}
	}
	// alexa, alexis, lexus and banana are 22 characters.
	c := newClient(t, server)
	o := c.fuzzer(exitDone, "synth", "--dry-run", file)
	says(o, "4 clips, 0 in the cache, 4 to make\n")
	says(o, "google/en-US-Neural2-D: 22 characters billed, 0.00 USD at 16.00 USD per million")
	dear := newClient(t, server, "prices: {Neural2: 1e6}")
	says(dear.fuzzer(exitDone, "synth", "--dry-run", file), "22 characters billed, 22.00 USD at 1000000.00 USD per million")
	if n := server.Stats().Syntheses; n != 0 {
		t.Errorf("%d clips were made in dry runs", n)
	}

	says(c.fuzzer(exitDone, "synth", file), "4 clips made\n")
	says(c.fuzzer(exitDone, "synth", file), "4 clips, 4 in the cache, 0 to make\nnothing is billed\n")
	c.fuzzer(exitDone, "run", file, "--dir", filepath.Join(t.TempDir(), "campaign"))
	if s := server.Stats(); s.Syntheses != 4 || s.Characters != 22 {
		t.Errorf("%d clips and %d characters were billed, want 4 and 22", s.Syntheses, s.Characters)
	}

	// A word that is refused keeps no other from being made.
	server.Fail(1, googletts.Fault{}) // the list of voices
	server.Fail(1, googletts.Fault{Err: status.Error(codes.InvalidArgument, "This text is of no use.")})
	c = newClient(t, server)
	says(c.fuzzer(exitUnmeasured, "synth", file), "4 to make")
	says(c.fuzzer(exitDone, "synth", file), "3 in the cache, 1 to make")
}

func TestGoogleMistakes(t *testing.T) {
	t.Parallel()
	server := googletts.Start(t)
	c, dir := newClient(t, server), filepath.Join(t.TempDir(), "campaign")
	voices := c.fuzzer(exitDone, "voices", "google").stdout
	if !strings.Contains(voices, "google/en-US-Neural2-D\n") {
		t.Errorf("voices:\n%s", voices)
	}
	for _, voice := range []string{
		"engine: google, name: en-US-Neural2-Q",
		"engine: google, name: en-US-Neural2-D, rate: 9",
	} {
		file := campaignFile(t, "engine: flite, name: kal16", voice)
		c.fuzzer(exitUsage, "run", file, "--dir", dir)
	}
	// Without credentials nothing is tried, and no campaign begun.
	file := campaignFile(t, googleVoice...)
	fuzzer(t, exitCredentials, "run", file, "--dir", dir).says(t, "gcloud auth application-default login", "GOOGLE_APPLICATION_CREDENTIALS")
	fuzzer(t, exitCredentials, "synth", file)
	if _, err := os.Stat(dir); err == nil {
		t.Error("a campaign was made")
	}
	broken := command(t, "synth", file)
	broken.Env = append(broken.Env, "GOOGLE_APPLICATION_CREDENTIALS="+file)
	finish(t, exitCredentials, broken)
}
