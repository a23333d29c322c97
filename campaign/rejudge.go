package campaign

import (
	"context"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"wakefuzz/results"
)

// ParseJudge reads the section judge of a file, which may be a campaign file or
// hold nothing else, strictly: what it leaves out is at its default, and not as
// in the campaign that is to be judged. An error wraps ErrSpec and names the
// line, with name standing for the file.
func ParseJudge(name string, text []byte, drivers Drivers) (JudgeSpec, error) {
	file := struct {
		Judge section[JudgeSpec] `yaml:"judge"`
	}{section[JudgeSpec]{Value: Default().Judge}}
	if err := parseSection(name, text, drivers, &file); err != nil {
		return JudgeSpec{}, err
	}
	if !file.Judge.there {
		return JudgeSpec{}, fmt.Errorf("%w %s: there is no section judge in it", ErrSpec, name)
	}
	return file.Judge.Value, nil
}

// ParseGate reads the section gate of a file as ParseJudge does the section judge.
func ParseGate(name string, text []byte, drivers Drivers) (results.Gate, error) {
	var file struct {
		Gate section[results.Gate] `yaml:"gate"`
	}
	if err := parseSection(name, text, drivers, &file); err != nil {
		return results.Gate{}, err
	}
	if !file.Gate.Value.Asks() {
		return results.Gate{}, fmt.Errorf("%w %s: there is no section gate in it that asks for anything", ErrSpec, name)
	}
	if err := file.Gate.Value.Validate(); err != nil {
		return results.Gate{}, fmt.Errorf("%w %s: gate.%w", ErrSpec, name, err)
	}
	return file.Gate.Value, nil
}

// parseSection decodes a file of which only sections are asked for.
func parseSection(name string, text []byte, drivers Drivers, file any) error {
	if len(text) > maxSpecBytes {
		return fmt.Errorf("%w %s: larger than %d bytes", ErrSpec, name, maxSpecBytes)
	}
	if err := decode(context.Background(), text, file); err != nil {
		return fmt.Errorf("%w %s%s", ErrSpec, name, explain(err, file, drivers))
	}
	if err := keeps(file, text); err != nil {
		return fmt.Errorf("%w %s: %w", ErrSpec, name, err)
	}
	return nil
}

// section is a section of a file that is decoded strictly wherever it stands.
type section[T any] struct {
	Value T
	there bool
}

// UnmarshalYAML decodes the section.
func (s *section[T]) UnmarshalYAML(_ context.Context, node ast.Node) error {
	s.there = true
	return yaml.NodeToValue(node, &s.Value, yaml.Strict())
}

// MarshalYAML writes the section as it is read.
func (s section[T]) MarshalYAML() (any, error) { return s.Value, nil }

// Rejudged is the spec with another section judge. The error is why that can't
// judge what the bench observed.
func (s Spec) Rejudged(judge JudgeSpec) (Spec, error) {
	s.Judge = judge
	return s, s.validateJudge()
}
