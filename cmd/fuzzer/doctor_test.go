package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wakefuzz/capture/capturetest"
	"wakefuzz/internal/googletts"
	"wakefuzz/internal/pulse"
	"wakefuzz/results"
	"wakefuzz/scan"
	"wakefuzz/tts"
)

// finds makes sure that doctor reports each of these, as regular expressions of
// its lines: "STATE CHECK TEXT", with a blank in the place of any number of
// them and of line breaks.
func (o outcome) finds(t *testing.T, findings ...string) {
	t.Helper()
	text := strings.Join(strings.Fields(o.stdout), " ")
	for _, f := range findings {
		if !regexp.MustCompile(f).MatchString(text) {
			t.Errorf("it did not find %q:\n%s", f, o.stdout)
		}
	}
}

func TestDoctorWithoutPrograms(t *testing.T) {
	t.Parallel()
	cmd := command(t, "doctor", campaignFile(t))
	cmd.Env = append(cmd.Env, "PATH=")
	o := finish(t, exitUnfit, cmd)
	o.finds(t, "FAIL voice flite/kal16: .*flite is not installed: .*apt-get install flite")
	o.says(t, "checks failed: voice")
}

// A campaign needs room and the right to write, on the disks of its own folder
// and of the clips.
func TestDoctorOfDisks(t *testing.T) {
	t.Parallel()
	file := campaignFile(t)
	small, tight, locked := mounted(t, "64k"), mounted(t, "10m,nr_inodes=3"), mounted(t, "10m")
	remount(t, locked, unix.MS_RDONLY, "")
	for _, test := range []struct {
		folder, cache string
		finds         string
	}{
		{small, t.TempDir(), "FAIL disk campaign: " + small + " has room for 65 kB, and up to 2.. kB may be needed make room there, or .*--dir"},
		{t.TempDir(), locked, "FAIL disk clips: .*" + locked + ": read-only file system .*key cache of the configuration"},
		{filepath.Join(locked, "not", "yet"), t.TempDir(), "FAIL disk campaign: .*" + locked + ": read-only file system"},
		{t.TempDir(), tight, "FAIL disk clips: " + tight + " has room for 2 more files, and 4 are needed"},
	} {
		cmd := command(t, "doctor", file, "--dir", filepath.Join(test.folder, "campaign"))
		cmd.Env = append(cmd.Env, "WAKEFUZZ_CACHE="+test.cache)
		finish(t, exitUnfit, cmd).finds(t, test.finds)
	}
}

// A program can't be from the future.
func TestDoctorOfAClockThatIsWrong(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("fuzzer")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	future := filepath.Join(t.TempDir(), "fuzzer") // under which name it is main
	if err := os.WriteFile(future, text, 0o700); err != nil {
		t.Fatal(err)
	}
	written := time.Date(2087, 6, 5, 4, 3, 2, 0, time.Local)
	if err := os.Chtimes(future, written, written); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), future, "doctor", campaignFile(t))
	cmd.Env = append(os.Environ(), environment...)
	finish(t, exitUnfit, cmd).finds(t, "FAIL clock it shows .* but this program is of Thu 5 Jun 2087 04:03 ")
}

// A bench on which another process works is left alone.
func TestDoctorOfACampaignThatRuns(t *testing.T) {
	t.Parallel()
	dir := ran(t)
	runner, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer runner.Close()
	o := fuzzer(t, exitUnfit, "doctor", campaignFile(t), "--dir", dir)
	o.finds(t, fmt.Sprintf("FAIL campaign process %d is at it in %s, with 8 of 8 plays stored; the bench is not looked at wait until it ends", os.Getpid(), dir))
	if strings.Contains(o.stdout, "engine") {
		t.Errorf("the bench was looked at:\n%s", o.stdout)
	}
}

func TestDoctorOfADamagedCampaign(t *testing.T) {
	t.Parallel()
	dir := ran(t)
	write(t, storeOf(dir), nil)
	fuzzer(t, exitUnfit, "doctor", campaignFile(t), "--dir", dir).finds(t, "FAIL campaign .*damaged")
}

// Google's voices are asked for, and none is made to speak.
func TestDoctorOfGoogle(t *testing.T) {
	t.Parallel()
	server := googletts.Start(t)
	file := campaignFile(t, googleVoice...)
	c := newClient(t, server)
	c.fuzzer(exitDone, "doctor", file).finds(t, "ok voice google/en-US-Neural2-D",
		"warn clips 4 clips, 0 in the cache, 4 to make make them ahead of time: fuzzer synth "+file,
		`cost google/en-US-Neural2-D: 22 characters billed, 0.00 USD at 16.00 USD per million`)
	if s := server.Stats(); s.Syntheses != 0 || s.Listings == 0 {
		t.Errorf("the service was asked for: %+v", s)
	}
	server.Fail(100, googletts.Unauthenticated)
	c.fuzzer(exitUnfit, "doctor", file).finds(t, "FAIL voice google/en-US-Neural2-D: .*credentials .*gcloud auth application-default login",
		"cost google/en-US-Neural2-D: not known")
}

// gateway moves the test into a network of its own with two wires, from which
// nothing can leave. Programs that it starts are there too. What is sent at the
// far ends comes in at wlan0 and wlan1.
func gateway(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("it needs a network namespace of its own: sudo make test")
	}
	runtime.LockOSThread() // for good: the thread and its network end with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	// The far end of a wire must not speak by itself, to find neighbours.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, name := range []string{"wlan0", "wlan1"} {
		ip(t, "link add "+name+" address 02:00:00:00:00:01 type veth peer name far-"+name)
		ip(t, "link set "+name+" up")
		ip(t, "link set far-"+name+" up")
	}
	ip(t, "address add 192.0.2.1/24 dev wlan0")
}

func ip(t *testing.T, arguments string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(arguments)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", arguments, err, out)
	}
}

// send has a device send packets to wlan0 until the test ends.
func send(t *testing.T, device string) {
	t.Helper()
	var mac [6]byte
	fmt.Sscanf(device, "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5])
	frame := append(append([]byte{2, 0, 0, 0, 0, 1}, mac[:]...), 0x88, 0xb5)
	sendFrame(t, append(frame, make([]byte, 46)...))
}

// sendFrame has a frame come in at wlan0, again and again until the test ends.
func sendFrame(t *testing.T, frame []byte) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile("/proc/thread-self/net/dev_mcast") // "INDEX NAME ..."
	if err != nil {
		t.Fatal(err)
	}
	far := regexp.MustCompile(`(?m)^(\d+)\s+far-wlan0\s`).FindSubmatch(index)
	if far == nil {
		t.Fatalf("far-wlan0 is not among:\n%s", index)
	}
	var to unix.SockaddrLinklayer
	fmt.Sscan(string(far[1]), &to.Ifindex)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := unix.Sendto(fd, frame, 0, &to); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		unix.Close(fd)
	})
}

// loudspeakers starts a sound server with two of them.
func loudspeakers(t *testing.T) *pulse.Server {
	t.Helper()
	server, err := pulse.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	for _, name := range []string{"wake-left", "wake-right"} {
		if _, err := server.AddSink(name, pulse.Telephone); err != nil {
			t.Fatal(err)
		}
	}
	return server
}

func TestDoctorOfADevice(t *testing.T) {
	const device, other = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
	t.Parallel()
	gateway(t)
	server := loudspeakers(t)
	send(t, device)
	doctor := func(code int, changes ...string) outcome {
		t.Helper()
		changes = append([]string{
			"{engine: {driver: openwakeword, model: alexa_v0.1, window: 1.2s}}",
			`{player: {driver: speaker, device: wake-left}, traffic: {driver: capture, interface: wlan0, device: "` + device + `"}}`,
		}, changes...)
		cmd := command(t, "doctor", campaignFile(t, changes...), "--listen", "1s")
		cmd.Env = append(cmd.Env, server.Env()...)
		return finish(t, code, cmd)
	}
	wlan1 := []string{"interface: wlan0", "interface: wlan1"}

	doctor(exitDone).finds(t, `ok player .*wake-left.* takes sound, \d+ms ahead`,
		"ok traffic "+device+" sends, seen on wlan0 after ",
		`warn offloads .*tso.* of wlan0 may show several packets as one: .* sudo ethtool -K wlan0 .*tso off`,
		`night 8 plays, about \d+s; begun now`)

	// The loudspeaker.
	doctor(exitUnfit, "wake-left", "nosuch").finds(t, `FAIL player .*no loudspeaker is called "nosuch" these are there: .*wake-left.*wake-right`)
	doctor(exitUnfit, "wake-left", "wake").finds(t, `FAIL player .*"wake" could be any of: .*wake-left.*wake-right`)

	// A clip's peaks reach the ceiling long before its voice has the level.
	clips := t.TempDir()
	file := campaignFile(t)
	for _, args := range [][]string{{"synth", file}, {"doctor", file}} {
		cmd := command(t, args...)
		cmd.Env = append(cmd.Env, "WAKEFUZZ_CACHE="+clips)
		finish(t, exitDone, cmd)
	}
	loud := command(t, "doctor", campaignFile(t, "{engine: {driver: openwakeword, model: alexa_v0.1, window: 1.2s}}",
		`{player: {driver: speaker, device: wake-left, level_dbfs: -6}, traffic: {driver: capture, interface: wlan0, device: "`+device+`"}}`))
	loud.Env = append(append(loud.Env, server.Env()...), "WAKEFUZZ_CACHE="+clips)
	finish(t, exitDone, loud).finds(t, `ok clips 4 clips, 4 in the cache`,
		`warn level 4 of 4 clips stay below -6 dBFS, since their peaks reach -1 dBFS: the quietest, "\w+" by flite/kal16, by \d+\.\d dB level_dbfs: -\d\d in the section player would bring`)

	// A device under another address is quiet all night.
	doctor(exitUnfit, `"`+device, `"`+other).finds(t, "FAIL traffic "+other+" sent nothing on wlan0 within 1s .*bench.traffic.device: "+device+` \(\d+\)`)
	doctor(exitUnfit, `"`+device, `"02:00:00:00:00:01`).finds(t, "FAIL traffic 02:00:00:00:00:01 is the address of wlan0 itself")
	doctor(exitUnfit, `"`+device, `"192.0.2.1`).finds(t, "FAIL traffic 192.0.2.1 is the address of wlan0 itself")
	doctor(exitUnfit, wlan1...).finds(t, "FAIL traffic "+device+" sent nothing on wlan1 within 1s, and nor did anybody else")
	// One that this machine knows may just be quiet.
	ip(t, "neighbour add 192.0.2.7 lladdr "+other+" dev wlan0")
	doctor(exitDone, `"`+device, `"`+other).finds(t, "warn traffic "+other+" sent nothing on wlan0 within 1s; but this machine knows it, as 192.0.2.7, "+other)

	ip(t, "link set wlan1 down")
	doctor(exitUnfit, wlan1...).finds(t, "FAIL traffic .*wlan1: .*down.* listen again|ip link set wlan1 up")
	doctor(exitUnfit, "interface: wlan0", "interface: wlan7").finds(t, `FAIL traffic .*wlan7: .*no such network interface "ip link" lists`)

	// Without the right to capture. The thread never gets it back.
	if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_NET_RAW, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	doctor(exitUnfit).finds(t, "FAIL traffic this program may not capture on wlan0 give the program the right: sudo setcap cap_net_raw[+]ep /.*fuzzer")
}

// A scan depends on much the same, but on a whole network instead of a device.
func TestDoctorOfAScan(t *testing.T) {
	t.Parallel()
	gateway(t)
	server := loudspeakers(t)
	folder, cache := t.TempDir(), t.TempDir()
	file := filepath.Join(folder, "scan.yaml")
	doctor := func(code int, text string) outcome {
		t.Helper()
		write(t, file, []byte("name: home\ninterface: wlan0\nplayer: {driver: speaker, device: wake-left}\n"+text))
		cmd := command(t, "doctor", file, "--listen", "1s", "--dir", filepath.Join(folder, "scan"))
		cmd.Env = append(append(cmd.Env, server.Env()...), "WAKEFUZZ_CACHE="+cache)
		return finish(t, code, cmd)
	}
	doctor(exitUnfit, "").finds(t, "FAIL network nobody but this machine sent anything on wlan0 within 1s")
	send(t, "02:00:00:00:00:0a")
	doctor(exitDone, "").finds(t, `warn network \d devices send on wlan0, but none to anybody outside of this network .*: 02:00:00:00:00:0a`,
		"the access point's")
	speaker := capturetest.Host{MAC: "02:00:00:00:00:0b", IP4: "192.0.2.11"}
	sendFrame(t, capturetest.Frame(speaker, capturetest.Cloud, capturetest.UDP, 100))
	doctor(exitDone, "").finds(t, `ok rounds .*scan does not exist yet`, `ok voice flite/kal16`, `ok clips 25 clips, 0 in the cache`,
		`ok player .*wake-left.* takes sound`, `ok network \d devices send on wlan0, with \d+\.\d packets a second in all: .*`+speaker.MAC,
		`ok disk scan: `, `ok disk clips: `, `scan 15 rounds, about 3\dm.*; with all probes`, `begin with: fuzzer scan `)

	doctor(exitUnfit, "probes: {sounds: [nosuch.wav]}").finds(t, "FAIL sounds .*nosuch.wav")
	write(t, filepath.Join(folder, "long.wav"), wav(t, 6))
	doctor(exitUnfit, "probes: {sounds: [long.wav]}").finds(t, `FAIL sounds ".*long.wav" lasts 6s and is watched for 5s after that, but is played every 10s lengthen pace.every`)
	doctor(exitDone, "probes: {sounds: [long.wav]}\npace: {every: 12s}").finds(t, "ok sounds 1 can be read")
	doctor(exitUnfit, "voice: {engine: flite, name: nosuch}").finds(t, "FAIL voice flite/nosuch")

	// What is stored, and whoever is at it.
	held, err := scan.Open(filepath.Join(folder, "scan"), "name: home\ninterface: wlan0\nplayer: {driver: speaker, device: wake-left}\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	o := doctor(exitUnfit, "")
	o.finds(t, fmt.Sprintf("FAIL rounds process %d is at it in .*scan, with 0 rounds stored; loudspeaker and network are not looked at", os.Getpid()))
	if strings.Contains(o.stdout, "player") {
		t.Errorf("the loudspeaker was looked at:\n%s", o.stdout)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	doctor(exitDone, "").finds(t, "ok rounds .*scan goes on: 0 rounds are stored")
	doctor(exitUnfit, "confirm: 7").finds(t, "FAIL rounds the scan file plans something else than the scan in this folder give it a name")
	fuzzer(t, exitUsage, "doctor", filepath.Join(folder, "nosuch.yaml")).says(t, "reading the file")
	write(t, file, []byte("name: home\nprobes: {wake_wards: [alexa]}\n"))
	fuzzer(t, exitUsage, "doctor", file).says(t, `did you mean "wake_words"?`)
}

// wav is a file of so many seconds of noise.
func wav(t *testing.T, seconds int) []byte {
	t.Helper()
	clip := tts.Clip{Samples: make([]int16, seconds*tts.SampleRate)}
	for i := range clip.Samples {
		clip.Samples[i] = int16(i * 7919)
	}
	var text bytes.Buffer
	if err := tts.EncodeWAV(&text, clip); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}
