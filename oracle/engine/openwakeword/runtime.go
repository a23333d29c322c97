package openwakeword

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// loaded is the ONNX Runtime of this process. There can be one only, and it
// stays until the process ends: unloading the library under other engines, or
// loading it a second time, is not worth the risk.
var loaded struct {
	sync.Mutex
	library string // the path it was loaded from; empty before
	sum     string // SHA-256 of the library
}

// loadRuntime makes sure that the process has ONNX Runtime, from that library,
// and returns the library's SHA-256.
func loadRuntime(library string) (sum string, err error) {
	loaded.Lock()
	defer loaded.Unlock()
	if library, err = filepath.Abs(library); err != nil {
		return "", err
	}
	if _, err := os.Stat(library); err != nil {
		return "", fmt.Errorf("ONNX Runtime: %w; make setup fetches it", err)
	}
	if loaded.library != "" {
		if loaded.library != library {
			return "", fmt.Errorf("this process already runs ONNX Runtime from %s and can't load %s as well",
				loaded.library, library)
		}
		return loaded.sum, nil
	}
	if sum, err = sumFile(library); err != nil {
		return "", fmt.Errorf("ONNX Runtime: %w", err)
	}
	ort.SetSharedLibraryPath(library)
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		return "", fmt.Errorf("ONNX Runtime: %s can't be loaded: %w; make setup fetches one that fits this program",
			library, err)
	}
	loaded.library, loaded.sum = library, sum
	return sum, nil
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// model is one model, ready to run, with the tensors it reads and writes.
// Filling in, calling run and reading out allocates nothing.
type model struct {
	session *ort.AdvancedSession
	tensors []*ort.Tensor[float32]
	in, out []float32
	// The runtime keeps the addresses of in and out between calls.
	pins runtime.Pinner
}

// newOptions are those of every session.
func newOptions() (*ort.SessionOptions, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	// One thread: the benches in parallel are what fills the cores.
	if err := errors.Join(options.SetIntraOpNumThreads(1), options.SetInterOpNumThreads(1)); err != nil {
		return nil, errors.Join(err, options.Destroy())
	}
	return options, nil
}

// port is an input or output of a model. In its shape -1 stands for any length.
type port struct {
	name  string
	shape ort.Shape
}

// newModel loads a model of one input and one output from an ONNX file's bytes.
func newModel(onnx []byte, in, out port) (*model, error) {
	m := new(model)
	if err := m.load(onnx, in, out); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *model) load(onnx []byte, in, out port) (err error) {
	options, err := newOptions()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	for _, p := range []port{in, out} {
		data := make([]float32, p.shape.FlattenedSize())
		m.pins.Pin(&data[0])
		tensor, err := ort.NewTensor(p.shape, data)
		if err != nil {
			return err
		}
		m.tensors = append(m.tensors, tensor)
	}
	m.in, m.out = m.tensors[0].GetData(), m.tensors[1].GetData()
	m.session, err = ort.NewAdvancedSessionWithONNXData(onnx, []string{in.name}, []string{out.name},
		[]ort.Value{m.tensors[0]}, []ort.Value{m.tensors[1]}, options)
	return err
}

// ports returns the only input and the only output of a model.
func ports(onnx []byte) (in, out port, err error) {
	ins, outs, err := ort.GetInputOutputInfoWithONNXData(onnx)
	if err != nil {
		return in, out, err
	}
	if len(ins) != 1 || len(outs) != 1 {
		return in, out, fmt.Errorf("it has %d inputs and %d outputs, not one of each", len(ins), len(outs))
	}
	return port{ins[0].Name, ins[0].Dimensions}, port{outs[0].Name, outs[0].Dimensions}, nil
}

func (m *model) run() error { return m.session.Run() }

func (m *model) close() error {
	var errs []error
	if m.session != nil {
		errs = append(errs, m.session.Destroy())
	}
	for _, tensor := range m.tensors {
		errs = append(errs, tensor.Destroy())
	}
	m.pins.Unpin()
	return errors.Join(errs...)
}

// elastic is a model whose input and output have a dimension of any length.
type elastic struct {
	session *ort.DynamicAdvancedSession
	in, out port
}

// loadElastic loads a model of one input and one output, each with one
// dimension of any length.
func loadElastic(onnx []byte, in, out port) (m *elastic, err error) {
	options, err := newOptions()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	session, err := ort.NewDynamicAdvancedSessionWithONNXData(onnx, []string{in.name}, []string{out.name}, options)
	if err != nil {
		return nil, err
	}
	return &elastic{session, in, out}, nil
}

// run computes out from in. How much there is of both says how long they are;
// the model must yield as much as out has room for.
func (m *elastic) run(in, out []float32) (err error) {
	var pins runtime.Pinner // the tensors keep the addresses
	defer pins.Unpin()
	var tensors [2]ort.Value
	for i, side := range []struct {
		port
		data []float32
	}{{m.in, in}, {m.out, out}} {
		pins.Pin(&side.data[0])
		tensor, err := ort.NewTensor(side.fit(len(side.data)), side.data)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, tensor.Destroy()) }()
		tensors[i] = tensor
	}
	return m.session.Run(tensors[:1], tensors[1:])
}

// fit is the port's shape for so many numbers.
func (p port) fit(numbers int) ort.Shape {
	shape, rest, any := p.shape.Clone(), int64(1), 0
	for i, length := range shape {
		if length < 0 {
			any = i
		} else {
			rest *= length
		}
	}
	shape[any] = int64(numbers) / rest
	return shape
}

func (m *elastic) close() error { return m.session.Destroy() }
