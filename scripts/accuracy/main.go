// Command accuracy makes labelled captures, as "fuzzer evaluate" reads them, of
// public data on smart speakers in the forms in which others published it, and
// of made-up traffic. scripts/accuracy.sh measures all detectors with it.
//
//	accuracy [-data DATA] [-hours H] DIR
//
// DATA is a folder with any of these; what is missing is told and left out:
//
//	vcfp/traces.tar.gz    a CSV for each command spoken to an Echo: time in s, IP
//	                      length, direction (1 from the speaker, -1 to it)
//	vcfp/captures.csv     captures of two Echos with the speaker's address, and
//	                      how many commands each nominally holds
//	homepod/labels.csv    a capture with the times of its activations, which
//	                      evaluate reads as it is
//	homepod/echodot3a.pcap  a capture with one activation, somewhere
//
// Each is also made without directions, as a capture is whose addresses were
// taken out: both ends of every packet bear the same.
package main

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/internal/idletraffic"
)

func main() {
	data := flag.String("data", "", "the `folder` with captures and traces")
	hours := flag.Float64("hours", 0, "how many hours of made-up idle traffic of each profile")
	flag.Parse()
	if err := run(*data, *hours, flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "accuracy: %v\n", err)
		os.Exit(1)
	}
}

func run(data string, hours float64, args []string) error {
	if len(args) != 1 || !(hours >= 0 && hours <= 10_000) || data == "" && hours == 0 {
		return errors.New("usage: accuracy [-data DATA] [-hours H] DIR")
	}
	dir := args[0]
	if data != "" {
		if err := convert(data, dir); err != nil {
			return err
		}
	}
	if hours > 0 {
		return simulate(hours, dir)
	}
	return nil
}

// convert makes labelled captures of whatever there is.
func convert(data, dir string) error {
	parts := []struct {
		needs string
		make  func(data, dir string) error
	}{
		{"homepod/labels.csv", homepod},
		{"homepod/echodot3a.pcap", echoDot},
		{"vcfp/traces.tar.gz", traces},
		{"vcfp/captures.csv", captures},
	}
	made := 0
	for _, p := range parts {
		switch _, err := os.Stat(filepath.Join(data, p.needs)); {
		case errors.Is(err, fs.ErrNotExist):
			fmt.Fprintf(os.Stderr, "accuracy: there is no %s in %s; left out\n", p.needs, data)
			continue
		case err != nil:
			return err
		}
		if err := p.make(data, dir); err != nil {
			return fmt.Errorf("%s: %w", p.needs, err)
		}
		made++
	}
	if made == 0 {
		return fmt.Errorf("%s holds none of the data; see go doc ./scripts/accuracy", data)
	}
	return nil
}

// labels is a labels file that is being written, and the folder it is in.
type labels struct {
	dir  string
	file *os.File
	out  *csv.Writer
}

// newLabels begins a folder of captures.
func newLabels(dir, name string) (*labels, error) {
	l := &labels{dir: filepath.Join(dir, name)}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return nil, err
	}
	var err error
	if l.file, err = os.Create(filepath.Join(l.dir, "labels.csv")); err != nil {
		return nil, err
	}
	l.out = csv.NewWriter(l.file)
	l.out.Write([]string{"file", "device", "mac", "ip", "activation_start_s", "activation_end_s", "kind", "nominal"})
	return l, nil
}

// device is how labels name one.
type device struct {
	name    string
	address capture.Address
}

// add writes a line. Empty times say that there was no activation, and a nominal
// number above 0 that there were about as many at unknown times.
func (l *labels) add(file string, d device, start, end, kind string, nominal int) {
	mac, ip, count := "", d.address.String(), ""
	if d.address.IsMAC() {
		mac, ip = ip, ""
	}
	if nominal > 0 {
		count = strconv.Itoa(nominal)
	}
	l.out.Write([]string{file, d.name, mac, ip, start, end, kind, count})
}

// end writes what is buffered; err is of what went before.
func (l *labels) end(err error) error {
	l.out.Flush()
	return errors.Join(err, l.out.Error(), l.file.Close())
}

// flat names a capture after itself and its folder.
func flat(path string) string {
	dir, base := filepath.Split(path)
	return filepath.Base(dir) + "-" + strings.TrimSuffix(base, filepath.Ext(base))
}

// link puts a capture into the folder, under a name without folders.
func (l *labels) link(path string) (file string, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	file = flat(path) + filepath.Ext(path)
	return file, os.Symlink(path, filepath.Join(l.dir, file))
}

// write makes a capture of packets in the folder.
func (l *labels) write(file string, packets iter.Seq[bench.Packet]) error {
	out, err := os.Create(filepath.Join(l.dir, file))
	if err != nil {
		return err
	}
	return errors.Join(idletraffic.WriteFile(out, packets), out.Close())
}

func seconds(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }
