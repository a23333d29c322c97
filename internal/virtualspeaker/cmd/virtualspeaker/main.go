// Virtualspeaker runs one of the parts of a virtual smart speaker, see
// package virtualspeaker, or the whole of it with a bench around it:
//
//	virtualspeaker cloud   [flags]           the cloud
//	virtualspeaker speaker [flags]           the speaker; "lit" and "dark" on its output are its ring
//	virtualspeaker bed FOLDER COMMAND...     a command on the gateway of a whole test bed
//
// The command of a bed finds the bed's PulseAudio in its environment, the
// sound sink "wake", the speaker's light sensor as FOLDER/light, its packets on
// the interface "wlan0", and the sockets for commands as FOLDER/speaker.sock
// and FOLDER/cloud.sock.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/google/renameio/v2"

	"wakefuzz/internal/virtualspeaker"
	"wakefuzz/internal/virtualspeaker/bed"
	"wakefuzz/oracle/engine/openwakeword"
)

func main() {
	log.SetFlags(log.Lmicroseconds)
	log.SetPrefix("virtualspeaker: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	roles := map[string]func(context.Context, []string) error{"cloud": cloud, "speaker": speaker, "bed": testBed}
	if len(os.Args) < 2 || roles[os.Args[1]] == nil {
		log.Fatal("the first argument is one of: cloud, speaker, bed")
	}
	if err := roles[os.Args[1]](ctx, os.Args[2:]); err != nil {
		log.Fatal(err)
	}
}

func cloud(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("cloud", flag.ExitOnError)
	address := flags.String("listen", ":443", "`address` to serve speakers at")
	name := flags.String("name", "cloud.test", "`host` that speakers know it by")
	certificate := flags.String("certificate", "cloud.pem", "`file` to write the certificate to, once it listens")
	socket := flags.String("control", "cloud.sock", "`socket` for commands")
	_ = flags.Parse(args) // it exits
	c, err := virtualspeaker.NewCloud(*name)
	if err != nil {
		return err
	}
	listener, err := virtualspeaker.Listen(ctx, *address)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(*certificate, c.Certificate(), 0o644); err != nil {
		return err
	}
	return both(ctx, *socket, c.Obey, func(ctx context.Context) error {
		return c.Run(ctx, listener)
	})
}

func speaker(ctx context.Context, args []string) error {
	o := virtualspeaker.DefaultOptions()
	flags := flag.NewFlagSet("speaker", flag.ExitOnError)
	data := flags.String("data", dataFolder(), "`folder` that make setup fills")
	certificate := flags.String("certificate", "cloud.pem", "`file` with the cloud's certificate")
	socket := flags.String("control", "speaker.sock", "`socket` for commands")
	flags.StringVar(&o.Model, "model", o.Model, "wake word's model, "+virtualspeaker.AnySound+" or "+virtualspeaker.NoSound)
	flags.StringVar(&o.Source, "source", "wake.monitor", "PulseAudio `source` to listen to")
	flags.StringVar(&o.Interface, "interface", "", "network interface to configure; empty for none")
	flags.StringVar(&o.Folder, "folder", ".", "`folder` for what DHCP gives")
	flags.StringVar(&o.Cloud, "cloud", "cloud.test:443", "the cloud's `host:port`")
	flags.DurationVar(&o.Silence, "silence", o.Silence, "how long it is quiet at the end of a stream")
	flags.DurationVar(&o.Longest, "longest", o.Longest, "how long a stream may be")
	flags.DurationVar(&o.Boot, "boot", o.Boot, "how long a reboot takes")
	flags.Var(&o.Background, "background", "what it sends when idle, as `interval:bytes,...`")
	flags.Float64Var(&o.Haste, "haste", o.Haste, "how many times more often it sends background traffic")
	_ = flags.Parse(args) // it exits
	o.Assets = openwakeword.AssetsIn(*data)
	o.Ring = func(lit bool) {
		fmt.Println(map[bool]string{true: "lit", false: "dark"}[lit])
	}
	var err error
	if o.Trust, err = virtualspeaker.Trust(*certificate); err != nil {
		return err
	}
	s, err := virtualspeaker.New(o)
	if err != nil {
		return err
	}
	return both(ctx, *socket, s.Obey, s.Run)
}

// both runs something and serves its commands, until ctx or one of them ends.
func both(ctx context.Context, socket string, obey func(string) (any, error), run func(context.Context) error) error {
	ctx, end := context.WithCancel(ctx)
	served := make(chan error)
	go func() {
		defer end()
		served <- virtualspeaker.Serve(ctx, socket, obey)
	}()
	err := run(ctx)
	end()
	return errors.Join(err, <-served)
}

func testBed(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return errors.New("bed: give a folder, and a command to run on the gateway")
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	b, err := bed.Start(ctx, program, bed.Options{})
	if err != nil {
		return err
	}
	defer b.Close()
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	for name, target := range map[string]string{
		"light": b.Light, "speaker.sock": b.Speaker.Socket, "cloud.sock": b.Cloud.Socket,
	} {
		path := filepath.Join(args[0], name)
		if err := renameio.Symlink(target, path); err != nil {
			return err
		}
		defer os.Remove(path)
	}
	cmd := b.Command(ctx, args[1], args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// The command ends with the bed, however that ends. The kernel takes the
	// death of the thread that started it for that of the whole process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd.Run()
}

// dataFolder is where make setup puts what the program does not contain.
func dataFolder() string {
	if folder := os.Getenv("WAKEFUZZ_DATA"); folder != "" {
		return folder
	}
	share := os.Getenv("XDG_DATA_HOME")
	if share == "" {
		share = filepath.Join(os.Getenv("HOME"), ".local", "share")
	}
	return filepath.Join(share, "wakefuzz")
}
