package openwakeword

import (
	"errors"
	"fmt"
	"slices"

	ort "github.com/yalue/onnxruntime_go"
)

// batchFrames is how many frames a batch hears at once at most. An embedding
// costs 0.8 ms by itself, 0.13 ms in a batch of 25 frames, which is a play of
// two seconds, 0.11 ms in one of 64, and no less in longer ones, which leave
// the processor's cache (AMD EPYC with AVX-512).
const batchFrames = 64

// batch is the chain of the three models for many frames at once. It gives the
// scores of a [network], but for rounding, at a fraction of the cost:
//
//   - An embedding looks at 76 spectra, and the next one at 68 of the same. Its
//     model is made of convolutions without padding in time, whose strides
//     come to the eight spectra of a frame. So over a longer stretch of spectra
//     they give the embeddings of all its windows, and most of the work for one
//     is done for its neighbours too.
//   - Spectra are a product of matrices, which is faster for many columns. But
//     they are cut off at 80 dB below the loudest value of the frame, so that
//     is left to this program.
type batch struct {
	mel       *elastic // in: 480 samples and 1280 for each frame; out: 8 x 32 for each
	embedding *elastic // in: 68 x 32 and 8 x 32 for each frame; out: 96 rows of a number for each
	head      *model   // in: the last embeddings; out: the score

	// What the models are given: first what is remembered of earlier frames,
	// then what the frames at hand add to it.
	samples, spectra, embeddings []float32
	// What the embedding model yields, a column for each frame.
	columns []float32
}

const (
	melFrame  = melPerFrame * melBands               // numbers that a frame yields
	melBefore = (melWindow - melPerFrame) * melBands // numbers that an embedding needs besides
)

// melRange is what the spectrogram's model leaves of a frame's spectra, in dB
// below their maximum.
const melRange = 80

// memory is what a batch remembers of the frames before the next.
type memory struct {
	samples, spectra, embeddings []float32
}

// newBatch loads the models. The batch has heard nothing yet, not even silence.
func newBatch(files modelFiles) (*batch, error) {
	b := new(batch)
	if err := b.load(files); err != nil {
		return nil, errors.Join(err, b.close())
	}
	b.samples = make([]float32, contextSamples+batchFrames*frameSamples)
	b.spectra = make([]float32, melBefore+batchFrames*melFrame)
	b.embeddings = make([]float32, len(b.head.in)+(batchFrames-1)*embeddingSize)
	b.columns = make([]float32, embeddingSize*batchFrames)
	return b, nil
}

func (b *batch) load(files modelFiles) (err error) {
	// The rest subtracts the range from the maximum and clips.
	b.mel, err = newElastic(files.mel,
		port{"input", ort.NewShape(1, -1)},
		port{"onnx::ReduceMax_31", ort.NewShape(1, 1, -1, melBands)},
		"ReduceMax", "Constant", "Sub", "Cast", "Clip")
	if err != nil {
		return err
	}
	// The reshapes say that there are 76 spectra and one embedding.
	b.embedding, err = newElastic(files.embedding,
		port{"model/conv2d/Conv2D__6:0", ort.NewShape(1, 1, -1, melBands)},
		port{"model/conv2d_19/Conv2D:0", ort.NewShape(1, embeddingSize, -1, 1)},
		"Reshape", "Reshape")
	if err != nil {
		return err
	}
	b.head, err = newHead(files.head)
	return err
}

// before is how many numbers of earlier embeddings a score needs.
func (b *batch) before() int { return len(b.head.in) - embeddingSize }

// hear lets the models hear that many frames, at most batchFrames, sample by
// sample from next, and appends their scores.
func (b *batch) hear(frames int, next func() int16, scores []float32) ([]float32, error) {
	samples := b.samples[:contextSamples+frames*frameSamples]
	for i := contextSamples; i < len(samples); i++ {
		samples[i] = float32(next())
	}
	spectra := b.spectra[:melBefore+frames*melFrame]
	if err := b.mel.run(samples, spectra[melBefore:]); err != nil {
		return scores, err
	}
	for frame := range slices.Chunk(spectra[melBefore:], melFrame) {
		floor := slices.Max(frame) - melRange
		for i, v := range frame {
			frame[i] = max(v, floor)/10 + 2
		}
	}
	columns := b.columns[:embeddingSize*frames]
	if err := b.embedding.run(spectra, columns); err != nil {
		return scores, err
	}
	embeddings := b.embeddings[:b.before()+frames*embeddingSize]
	for frame := range frames {
		embedding := embeddings[b.before()+frame*embeddingSize:][:embeddingSize]
		for i := range embedding {
			embedding[i] = columns[i*frames+frame]
		}
	}
	for frame := range frames {
		copy(b.head.in, embeddings[frame*embeddingSize:])
		if err := b.head.run(); err != nil {
			return scores, err
		}
		scores = append(scores, b.head.out[0])
	}
	copy(b.samples, samples[frames*frameSamples:])
	copy(b.spectra, spectra[frames*melFrame:])
	copy(b.embeddings, embeddings[frames*embeddingSize:])
	return scores, nil
}

// remember copies what the batch remembers.
func (b *batch) remember() memory {
	return memory{
		samples:    slices.Clone(b.samples[:contextSamples]),
		spectra:    slices.Clone(b.spectra[:melBefore]),
		embeddings: slices.Clone(b.embeddings[:b.before()]),
	}
}

// recall makes the batch remember m, and nothing else.
func (b *batch) recall(m memory) {
	copy(b.samples, m.samples)
	copy(b.spectra, m.spectra)
	copy(b.embeddings, m.embeddings)
}

func (b *batch) close() error {
	var errs []error
	for _, m := range []*elastic{b.mel, b.embedding} {
		if m != nil {
			errs = append(errs, m.close())
		}
	}
	if b.head != nil {
		errs = append(errs, b.head.close())
	}
	return errors.Join(errs...)
}

// newElastic loads the part of a model between two values; see [cut].
func newElastic(file modelFile, in, out port, dropped ...string) (*elastic, error) {
	part, err := cut(file.bytes, in, out, dropped...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.path, err)
	}
	m, err := loadElastic(part, in, out)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.path, err)
	}
	return m, nil
}
