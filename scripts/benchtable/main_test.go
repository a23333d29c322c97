package main

import (
	"fmt"
	"strings"
	"testing"
)

// output is what two rounds of all benchmarks of the table would print, where
// the n-th figure is n in the first round and 3n in the second.
func output() string {
	var b strings.Builder
	for round := range 2 {
		b.WriteString("goos: linux\ncpu: Some Processor\n")
		n, done := 0, map[figure]bool{}
		for _, r := range table {
			for _, f := range []figure{r.figure, r.other} {
				if f.benchmark == "" || done[f] {
					continue
				}
				done[f] = true
				n++
				value, unit := float64(n*(1+2*round)), f.unit
				if unit == "ms" {
					value, unit = value*1e6, "ns/op"
				}
				pkg, name, _ := strings.Cut(f.benchmark, ".")
				fmt.Fprintf(&b, "pkg: wakefuzz/%s\n%s-16  \t 10\t %g %s\t 7 allocs/op\nPASS\n", pkg, name, value, unit)
			}
		}
	}
	return b.String()
}

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := run(strings.NewReader(output()), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 1+len(table) {
		t.Fatalf("%d lines for a header and %d rows:\n%s", len(lines), len(table), &out)
	}
	for i, want := range []string{
		"median range ratio to",
		"engine bench, 1 worker 2.00 plays/s 1.00 - 3.00",
		"engine bench, 2 workers 4.00 plays/s 2.00 - 6.00 2.00x 1 worker, 2.00",
	} {
		if got := strings.Join(strings.Fields(lines[i]), " "); got != want {
			t.Errorf("line %d is %q, want %q", i+1, got, want)
		}
	}
	if !strings.Contains(out.String(), " ms ") || strings.Contains(out.String(), "000000") {
		t.Errorf("times are not in milliseconds:\n%s", &out)
	}
}

func TestWhatWasSkippedIsSaid(t *testing.T) {
	var without []string
	for _, line := range strings.Split(output(), "\n") {
		if strings.HasPrefix(line, "BenchmarkLive") {
			line = "--- SKIP: BenchmarkLive-16"
		}
		without = append(without, line)
	}
	var out strings.Builder
	if err := run(strings.NewReader(strings.Join(without, "\n")), &out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"live capture", "  lost"} {
		if !strings.Contains(out.String(), "\n"+fmt.Sprintf("%-31s", name)+"   skipped\n") {
			t.Errorf("%q is not skipped:\n%s", name, &out)
		}
	}
}

func TestWhatIsMissingIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"nothing ran":       "",
		"one is renamed":    strings.ReplaceAll(output(), "BenchmarkGunzip", "BenchmarkUnpack"),
		"one is in another": strings.ReplaceAll(output(), "wakefuzz/results", "wakefuzz/outcomes"),
		"no number":         "pkg: wakefuzz/results\nBenchmarkCommit/store-2 10 many commits/s\n",
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := run(strings.NewReader(text), &out); err == nil || out.Len() > 0 {
				t.Errorf("error %v, output %q", err, &out)
			}
		})
	}
}

func TestNumber(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 0.02871: "0.0287", 0.51: "0.510", 1: "1.00", 33.44: "33.4", 98.07: "98.1", 1603.4: "1603", 100: "100",
	} {
		if got := number(x); got != want {
			t.Errorf("%g is %s, want %s", x, got, want)
		}
	}
}
