package campaign

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"wakefuzz/tts"
)

// maxVoices bounds what a slip of the pen plans.
const maxVoices = 10000

// Voices are the voices of a spec, every one spelled out. In a file, a key of an
// entry may hold a list, and the entry then stands for all combinations:
//
//	{engine: flite, name: [kal16, slt], rate: [0.9, 1, 1.1]}    # six voices
type Voices []tts.Voice

// UnmarshalYAML spells the entries out, in the order of the keys engine, name,
// rate, pitch, volume, the last changing fastest.
func (v *Voices) UnmarshalYAML(ctx context.Context, node ast.Node) error {
	var entries []struct {
		Engine string         `yaml:"engine"`
		Name   oneOf[string]  `yaml:"name"`
		Rate   oneOf[float64] `yaml:"rate"`
		Pitch  oneOf[float64] `yaml:"pitch"`
		Volume oneOf[float64] `yaml:"volume"`
	}
	if err := yaml.NodeToValue(node, &entries, yaml.Strict()); err != nil {
		return err
	}
	*v = nil
	for _, e := range entries {
		for _, name := range e.Name.values() {
			for _, rate := range e.Rate.values() {
				for _, pitch := range e.Pitch.values() {
					for _, volume := range e.Volume.values() {
						*v = append(*v, tts.Voice{Engine: e.Engine, Name: name, Rate: rate, Pitch: pitch, Volume: volume})
						if len(*v) > maxVoices {
							return &yaml.SyntaxError{Message: fmt.Sprintf("these are more than %d voices", maxVoices), Token: node.GetToken()}
						}
					}
				}
			}
		}
	}
	return nil
}

// oneOf is a value, or a list of values to choose from.
type oneOf[T any] []T

// UnmarshalYAML reads either.
func (o *oneOf[T]) UnmarshalYAML(_ context.Context, node ast.Node) error {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		*o = make([]T, 1)
		return yaml.NodeToValue(node, &(*o)[0], yaml.Strict())
	}
	if len(list.Values) == 0 {
		return &yaml.SyntaxError{Message: "the list is empty; leave the key out for the default", Token: node.GetToken()}
	}
	return yaml.NodeToValue(node, (*[]T)(o), yaml.Strict())
}

// values are the values, or the default alone where there are none.
func (o oneOf[T]) values() []T {
	if len(o) == 0 {
		return make([]T, 1)
	}
	return o
}

// sampleVoices leaves as many of the voices as the spec asks for: a choice by its
// seed, in the order of the file. Of a spec that was sampled it leaves all.
func (s *Spec) sampleVoices() error {
	switch n := s.VoicesSample; {
	case n < 0 || n > len(s.Voices):
		return fmt.Errorf("voices_sample: %d is not between 0, for all, and the %d voices", n, len(s.Voices))
	case n > 0:
		random := rand.New(rand.NewPCG(s.Seed, chooseVoices))
		chosen := random.Perm(len(s.Voices))[:n]
		slices.Sort(chosen)
		sample := make(Voices, n)
		for i, at := range chosen {
			sample[i] = s.Voices[at]
		}
		s.Voices = sample
	}
	return nil
}

// chooseVoices keeps this draw apart from others of the same seed.
const chooseVoices = 0x766f69636573
