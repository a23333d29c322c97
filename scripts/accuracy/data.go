package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"wakefuzz/bench"
	"wakefuzz/capture"
	"wakefuzz/evaluate"
	"wakefuzz/internal/idletraffic"
)

// undirected names what was made without directions.
const undirected = ", no directions"

// homepod is a capture that is labelled as evaluate needs it.
func homepod(data, dir string) error {
	recordings, err := evaluate.ReadLabels(filepath.Join(data, "homepod"))
	if err != nil {
		return err
	}
	for _, directed := range []bool{true, false} {
		out, err := newLabels(dir, "homepod"+folder(directed))
		if err != nil {
			return err
		}
		for _, r := range recordings {
			d := device{r.Name, r.Device}
			file, err := out.take(r.File, d, directed)
			if err != nil {
				return out.end(err)
			}
			for _, a := range r.Activations {
				out.add(file, d.directed(directed), seconds(a.From.Seconds()), seconds(a.To.Seconds()), a.Kind, 0)
			}
		}
		if err := out.end(nil); err != nil {
			return err
		}
	}
	return nil
}

// echoDot is a capture with one activation.
func echoDot(data, dir string) error {
	address, err := capture.ParseAddress("68:db:f5:90:19:64")
	if err != nil {
		return err
	}
	d := device{"Echo Dot 3", address}
	return nominal(dir, "echodot3a", []nominalCapture{{filepath.Join(data, "homepod", "echodot3a.pcap"), d, 1}})
}

// captures are those of captures.csv.
func captures(data, dir string) error {
	f, err := os.Open(filepath.Join(data, "vcfp", "captures.csv"))
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return err
	}
	column := make(map[string]int)
	var all []nominalCapture
	for i, row := range rows {
		if i == 0 {
			for j, name := range row {
				column[name] = j
			}
			continue
		}
		cell := func(name string) string {
			if j, ok := column[name]; ok {
				return row[j]
			}
			return ""
		}
		address, err := capture.ParseAddress(cell("device_ip"))
		if err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
		n, err := strconv.Atoi(cell("nominal_invocations"))
		if err != nil {
			return fmt.Errorf("line %d: nominal_invocations: %w", i+1, err)
		}
		path := filepath.Join(data, "vcfp", filepath.FromSlash(cell("file")))
		if _, err := os.Stat(path); err != nil {
			fmt.Fprintf(os.Stderr, "accuracy: captures.csv names %s, which is not there; left out\n", cell("file"))
			continue
		}
		all = append(all, nominalCapture{path, device{"Echo " + address.String(), address}, n})
	}
	return nominal(dir, "captures", all)
}

// nominalCapture is one with about so many activations at unknown times.
type nominalCapture struct {
	path   string
	device device
	n      int
}

func nominal(dir, name string, all []nominalCapture) error {
	for _, directed := range []bool{true, false} {
		out, err := newLabels(dir, name+folder(directed))
		if err != nil {
			return err
		}
		for _, c := range all {
			file, err := out.take(c.path, c.device, directed)
			if err != nil {
				return out.end(err)
			}
			out.add(file, c.device.directed(directed), "", "", "", c.n)
		}
		if err := out.end(nil); err != nil {
			return err
		}
	}
	return nil
}

func folder(directed bool) string {
	if directed {
		return ""
	}
	return "-undirected"
}

// directed is the device as it appears with or without directions.
func (d device) directed(directed bool) device {
	if directed {
		return d
	}
	return device{d.name + undirected, idletraffic.Nobody}
}

// take puts a capture into the folder: as it is or, with nothing in it but the
// device's packets, without directions.
func (l *labels) take(path string, d device, directed bool) (file string, err error) {
	if directed {
		return l.link(path)
	}
	in, err := capture.Open(path, d.address)
	if err != nil {
		return "", err
	}
	defer in.Close()
	var failed error
	file = flat(path) + ".pcapng"
	err = l.write(file, func(yield func(bench.Packet) bool) {
		for {
			p, err := in.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					failed = err
				}
				return
			}
			first, _ := in.Times()
			if !yield(bench.Packet{At: bench.Instant(p.Time.Sub(first)), Size: p.Size, Payload: p.Payload}) {
				return
			}
		}
	})
	return file, errors.Join(err, failed)
}

// traces are CSVs in an archive, each of one command.
func traces(data, dir string) error {
	for _, directed := range []bool{true, false} {
		if err := traceFolder(filepath.Join(data, "vcfp", "traces.tar.gz"), dir, directed); err != nil {
			return err
		}
	}
	return nil
}

func traceFolder(archive, dir string, directed bool) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	out, err := newLabels(dir, "traces"+folder(directed))
	if err != nil {
		return err
	}
	d := device{"Echo, commands", idletraffic.Speaker}.directed(directed)
	for in := tar.NewReader(unpacked); ; {
		entry, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out.end(nil)
		}
		if err != nil {
			return out.end(err)
		}
		name, ok := strings.CutSuffix(filepath.Base(entry.Name), ".csv")
		if !ok || entry.Typeflag != tar.TypeReg {
			continue
		}
		name += ".pcapng"
		packets, err := trace(in, directed)
		if err == nil {
			err = out.write(name, slices.Values(packets))
		}
		if err != nil {
			return out.end(fmt.Errorf("%s: %w", entry.Name, err))
		}
		end := 0.0
		if n := len(packets); n > 0 {
			end = time.Duration(packets[n-1].At).Seconds()
		}
		out.add(name, d, "0", seconds(end), "wake", 0)
	}
}

// trace reads a CSV of packets.
func trace(in io.Reader, directed bool) ([]bench.Packet, error) {
	r := csv.NewReader(in)
	r.FieldsPerRecord = 4 // a number, time, size, direction
	if _, err := r.Read(); err != nil {
		return nil, err
	}
	var packets []bench.Packet
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return packets, nil
		}
		if err != nil {
			return nil, err
		}
		var v [3]float64
		for i := range v {
			if v[i], err = strconv.ParseFloat(row[i+1], 64); err != nil || !(math.Abs(v[i]) < 1e6) {
				return nil, fmt.Errorf("%q is not a line of number, time, size and direction", strings.Join(row, ","))
			}
		}
		// Nearly all is TCP with time stamps: headers of 52 bytes.
		const ethernet, headers = 14, 52
		size := int32(v[1])
		p := bench.Packet{At: bench.Instant(v[0] * float64(time.Second)), Size: ethernet + size, Payload: max(0, size-headers)}
		switch {
		case !directed:
		case v[2] < 0:
			p.Direction = bench.Incoming
		default:
			p.Direction = bench.Outgoing
		}
		packets = append(packets, p)
	}
}
