package campaign

import (
	"context"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// ParseJudge reads the section judge of a file, which may be a campaign file or
// hold nothing else, strictly: what it leaves out is at its default, and not as
// in the campaign that is to be judged. An error wraps ErrSpec and names the
// line, with name standing for the file.
func ParseJudge(name string, text []byte, drivers Drivers) (JudgeSpec, error) {
	var file struct {
		Judge *judgeSection `yaml:"judge"`
	}
	if len(text) > maxSpecBytes {
		return JudgeSpec{}, fmt.Errorf("%w %s: larger than %d bytes", ErrSpec, name, maxSpecBytes)
	}
	err := decode(context.Background(), text, &file)
	switch {
	case err != nil:
		return JudgeSpec{}, fmt.Errorf("%w %s%s", ErrSpec, name, explain(err, &file, drivers))
	case file.Judge == nil:
		return JudgeSpec{}, fmt.Errorf("%w %s: there is no section judge in it", ErrSpec, name)
	}
	if err := keeps(struct {
		Judge JudgeSpec `yaml:"judge"`
	}{JudgeSpec(*file.Judge)}, text); err != nil {
		return JudgeSpec{}, fmt.Errorf("%w %s: %w", ErrSpec, name, err)
	}
	return JudgeSpec(*file.Judge), nil
}

// judgeSection is decoded strictly wherever it stands.
type judgeSection JudgeSpec

// UnmarshalYAML decodes the section.
func (j *judgeSection) UnmarshalYAML(_ context.Context, node ast.Node) error {
	judge := Default().Judge
	err := yaml.NodeToValue(node, &judge, yaml.Strict())
	*j = judgeSection(judge)
	return err
}

// Rejudged is the spec with another section judge. The error is why that can't
// judge what the bench observed.
func (s Spec) Rejudged(judge JudgeSpec) (Spec, error) {
	s.Judge = judge
	return s, s.validateJudge()
}
