// Package measure is what benchmarks share that compare the program with others:
// time by the clock and by the processors, memory, and the middle of several
// rounds.
package measure

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Cost is what something took, by the clock and of the processors.
type Cost struct{ Wall, Processor time.Duration }

// CostOf measures a function, and what it has other processes do.
func CostOf(f func()) Cost {
	start, used := time.Now(), processorTime()
	f()
	return Cost{time.Since(start), processorTime() - used}
}

func processorTime() (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			panic(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// Rates reports how many of n things a second there were, in the median of the
// rounds: PREFIXthings/s by the clock, and PREFIXprocessor-things/s for a second
// of processor time, which is what is left of it on a machine that does other
// things as well.
func Rates(b *testing.B, prefix, things string, n int, rounds []Cost) {
	if len(rounds) == 0 {
		return
	}
	var walls, processors []time.Duration
	for _, c := range rounds {
		walls, processors = append(walls, c.Wall), append(processors, c.Processor)
	}
	b.ReportMetric(float64(n)/Median(walls).Seconds(), prefix+things+"/s")
	b.ReportMetric(float64(n)/Median(processors).Seconds(), prefix+"processor-"+things+"/s")
}

// Median is the middle one of the values, which it sorts.
func Median[T time.Duration | float64](values []T) T {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// ResetPeakMemory has the kernel forget how much memory the process once had.
func ResetPeakMemory(b *testing.B) {
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// PeakMemory is the most memory that the process has had since then, in bytes.
// What getrusage tells is no less than what the parent had.
func PeakMemory(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kB float64
	if _, err := fmt.Fscan(bytes.NewReader(after), &kB); err != nil {
		b.Fatal(err)
	}
	return kB * 1024
}
