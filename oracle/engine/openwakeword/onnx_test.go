package openwakeword

import (
	"bytes"
	"os"
	"strings"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
)

// notANumber is a model of three operations: Sub makes zeros of in, Div makes
// nans of zeros, and ReduceMean makes out of nans.
func notANumber(t testing.TB) []byte {
	t.Helper()
	onnx, err := os.ReadFile("testdata/not-a-number.onnx")
	if err != nil {
		t.Fatal(err)
	}
	return onnx
}

func named(name string) port { return port{name, ort.NewShape(1, -1)} }

func TestCut(t *testing.T) {
	onnx := notANumber(t)
	for _, tt := range []struct {
		in, out       string
		dropped, kept string
	}{
		{"in", "out", "", "Sub Div ReduceMean"},
		{"in", "nans", "ReduceMean", "Sub Div"},
		{"zeros", "out", "Sub", "Div ReduceMean"},
		{"zeros", "nans", "Sub ReduceMean", "Div"},
	} {
		part, err := cut(onnx, named(tt.in), named(tt.out), strings.Fields(tt.dropped)...)
		if err != nil {
			t.Errorf("%s to %s: %v", tt.in, tt.out, err)
			continue
		}
		for _, op := range strings.Fields("Sub Div ReduceMean") {
			if got, want := bytes.Contains(part, []byte(op)), strings.Contains(tt.kept, op); got != want {
				t.Errorf("%s to %s: keeps %s: %t", tt.in, tt.out, op, got)
			}
		}
		again, err := cut(part, named(tt.in), named(tt.out))
		if err != nil || !bytes.Equal(again, part) {
			t.Errorf("%s to %s: cut again, it is another model: error %v", tt.in, tt.out, err)
		}
	}
}

func TestCutRefuses(t *testing.T) {
	onnx := notANumber(t)
	for _, tt := range []struct {
		name    string
		onnx    []byte
		in, out string
		dropped string
		want    string
	}{
		{"no model", []byte("not a model"), "in", "out", "", "not a protobuf message"},
		{"half a model", onnx[:len(onnx)/2], "in", "out", "", "not a protobuf message"},
		{"nothing", nil, "in", "out", "", "0 graphs"},
		{"two models in one", append(bytes.Clone(onnx), onnx...), "in", "out", "", "2 graphs"},
		{"an output that there is not", onnx, "in", "elsewhere", "Sub Div ReduceMean", "elsewhere is not made of in alone"},
		{"an input that there is not", onnx, "elsewhere", "out", "", "out is not made of elsewhere alone"},
		{"from back to front", onnx, "out", "in", "Sub Div ReduceMean", "in is not made of out alone"},
		{"something else falls away", onnx, "zeros", "out", "Mul", `["Sub"] would fall away instead of ["Mul"]`},
		{"something falls away", onnx, "in", "nans", "", `["ReduceMean"] would fall away instead of []`},
		{"nothing falls away", onnx, "in", "out", "Sub", `[] would fall away instead of ["Sub"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := cut(tt.onnx, named(tt.in), named(tt.out), strings.Fields(tt.dropped)...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzCut: whatever the bytes, cut fails or yields what can be cut again, to
// the same effect.
func FuzzCut(f *testing.F) {
	f.Add(notANumber(f))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, onnx []byte) {
		part, err := cut(onnx, named("zeros"), named("nans"), "Sub", "ReduceMean")
		if err != nil {
			return
		}
		again, err := cut(part, named("zeros"), named("nans"))
		if err != nil || !bytes.Equal(again, part) {
			t.Errorf("cut again, it is another model: error %v", err)
		}
	})
}
