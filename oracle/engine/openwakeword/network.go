package openwakeword

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"wakefuzz/tts"
)

// The shapes of openWakeWord, version 0.5 and later.
const (
	frameSamples   = 1280 // 80 ms of new sound for each score
	contextSamples = 480  // older sound that the spectrogram needs before them
	melBands       = 32
	melPerFrame    = 8  // spectra, one per 10 ms, that a frame yields
	melWindow      = 76 // spectra that an embedding is made from
	embeddingSize  = 96
)

// frameStep is the time between two scores.
const frameStep = frameSamples * time.Second / tts.SampleRate

// network is the chain of the three models, frame by frame: sound to spectra,
// the last 76 spectra to an embedding, the last embeddings to a score. What it
// remembers of earlier frames lies in the models' own input tensors. A [batch]
// is the same chain for many frames at once.
type network struct {
	mel       *model // in: 480 + 1280 samples; out: 8 x 32 spectra
	embedding *model // in: 76 x 32 spectra; out: 96 numbers
	head      *model // in: the last embeddings, 16 x 96 for most wake words; out: the score
}

// newNetwork loads the models.
func newNetwork(files modelFiles) (*network, error) {
	n := new(network)
	if err := n.load(files); err != nil {
		return nil, errors.Join(err, n.close())
	}
	// openWakeWord begins with a window of ones, and with embeddings of random
	// noise; what they are does not matter once the lead-in has passed.
	for i := range n.embedding.in {
		n.embedding.in[i] = 1
	}
	return n, nil
}

func (n *network) load(files modelFiles) (err error) {
	n.mel, err = newModel(files.mel.bytes,
		port{"input", ort.NewShape(1, contextSamples+frameSamples)},
		port{"output", ort.NewShape(1, 1, melPerFrame, melBands)})
	if err != nil {
		return fmt.Errorf("%s: %w", files.mel.path, err)
	}
	n.embedding, err = newModel(files.embedding.bytes,
		port{"input_1", ort.NewShape(1, melWindow, melBands, 1)},
		port{"conv2d_19", ort.NewShape(1, 1, 1, embeddingSize)})
	if err != nil {
		return fmt.Errorf("%s: %w", files.embedding.path, err)
	}
	n.head, err = newHead(files.head)
	return err
}

// newHead loads a wake word's model.
func newHead(file modelFile) (*model, error) {
	in, out, err := ports(file.bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.path, err)
	}
	if len(in.shape) != 3 || in.shape[0] != 1 || in.shape[1] < 1 || in.shape[2] != embeddingSize ||
		!out.shape.Equals(ort.NewShape(1, 1)) {
		return nil, fmt.Errorf("%s: not a model of a single wake word: it turns %v numbers into %v, not [1 N %d] into [1 1]",
			file.path, in.shape, out.shape, embeddingSize)
	}
	m, err := newModel(file.bytes, in, out)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.path, err)
	}
	return m, nil
}

// leadIn is how many frames of silence it takes until nothing that the models
// remember is older than the silence: until the window of spectra has been
// replaced, and then each embedding made before that. From there on silence
// changes nothing any more, so a longer lead-in would be the same.
func leadIn(head *model) int {
	return (melWindow-1)/melPerFrame + len(head.in)/embeddingSize
}

// frame is where the next frame's samples belong: int16 values, not scaled.
func (n *network) frame() []float32 { return n.mel.in[contextSamples:] }

// step takes what is in frame and returns the score.
func (n *network) step() (float32, error) {
	if err := n.mel.run(); err != nil {
		return 0, err
	}
	copy(n.mel.in, n.mel.in[frameSamples:])
	spectra := push(n.embedding.in, n.mel.out)
	for i, v := range spectra {
		spectra[i] = v/10 + 2
	}
	if err := n.embedding.run(); err != nil {
		return 0, err
	}
	push(n.head.in, n.embedding.out)
	if err := n.head.run(); err != nil {
		return 0, err
	}
	return n.head.out[0], nil
}

// push moves the window on, puts the values at its end, and returns that end.
func push(window, values []float32) []float32 {
	copy(window, window[len(values):])
	end := window[len(window)-len(values):]
	copy(end, values)
	return end
}

func (n *network) close() error {
	var errs []error
	for _, m := range []*model{n.mel, n.embedding, n.head} {
		if m != nil {
			errs = append(errs, m.close())
		}
	}
	return errors.Join(errs...)
}

// modelFiles are the files that a network is made of.
type modelFiles struct {
	mel, embedding, head modelFile
}

type modelFile struct {
	path  string
	bytes []byte
}

// The models that all wake words share.
const (
	melFile       = "melspectrogram.onnx"
	embeddingFile = "embedding_model.onnx"
)

// readModels reads the shared models from the folder, and that of the wake
// word: a name is looked up in the folder, a path is taken as it is.
func readModels(folder, wakeWord string) (files modelFiles, err error) {
	head := wakeWord
	if !strings.ContainsRune(wakeWord, filepath.Separator) {
		head = filepath.Join(folder, strings.TrimSuffix(wakeWord, ".onnx")+".onnx")
	}
	for _, f := range []struct {
		file *modelFile
		path string
	}{
		{&files.mel, filepath.Join(folder, melFile)},
		{&files.embedding, filepath.Join(folder, embeddingFile)},
		{&files.head, head},
	} {
		bytes, err := readModel(f.path)
		if err != nil {
			hint := "make setup fetches the models"
			if known := wakeWords(folder); f.path == head && len(known) > 0 {
				hint = "known models: " + strings.Join(known, ", ")
			}
			return files, fmt.Errorf("model: %w; %s", err, hint)
		}
		*f.file = modelFile{f.path, bytes}
	}
	return files, nil
}

// largestModel bounds what is read. The largest of openWakeWord has 1.3 MB.
const largestModel = 64 << 20

func readModel(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	bytes, err := io.ReadAll(io.LimitReader(f, largestModel+1))
	if err == nil && len(bytes) > largestModel {
		err = fmt.Errorf("%s: more than %d MB", path, largestModel>>20)
	}
	return bytes, err
}

// wakeWords lists the wake words' models in the folder by name.
func wakeWords(folder string) []string {
	var names []string
	paths, _ := filepath.Glob(filepath.Join(folder, "*.onnx")) // its only error is a bad pattern
	for _, path := range paths {
		if name := filepath.Base(path); name != melFile && name != embeddingFile {
			names = append(names, strings.TrimSuffix(name, ".onnx"))
		}
	}
	return names
}
