package campaign

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// YAML returns the spec with every default filled in.
func (s Spec) YAML() (string, error) {
	text, err := yaml.MarshalWithOptions(s, yaml.IndentSequence(true))
	return string(text), err
}

// plan returns the part of the spec that decides what is planned and observed,
// with the rest at its default: evidence, judging, ranking, the gate, and how many
// hands work.
func (s Spec) plan() Spec {
	d := Default()
	s.Evidence, s.Judge, s.Rank, s.Gate = d.Evidence, d.Judge, d.Rank, d.Gate
	s.Bench.Workers, s.Protocol.Tries = 0, d.Protocol.Tries
	return s
}

// PlanDiff lists, a line each, where two specs differ in what decides the plan.
func PlanDiff(was, is Spec) ([]string, error) {
	old, err := was.plan().values()
	if err != nil {
		return nil, err
	}
	now, err := is.plan().values()
	if err != nil {
		return nil, err
	}
	var diff []string
	for _, key := range union(old, now) {
		if old[key] != now[key] {
			diff = append(diff, fmt.Sprintf("%s: %s -> %s", key, orNone(old[key]), orNone(now[key])))
		}
	}
	return diff, nil
}

// values returns the spec as dotted keys and their values, each as one line of
// YAML. Lists are one value.
func (s Spec) values() (map[string]string, error) {
	text, err := s.YAML()
	if err != nil {
		return nil, err
	}
	var tree yaml.MapSlice
	if err := yaml.UnmarshalWithOptions([]byte(text), &tree, yaml.UseOrderedMap()); err != nil {
		return nil, err
	}
	flat := map[string]string{}
	var walk func(path string, v any) error
	walk = func(path string, v any) error {
		if m, ok := v.(yaml.MapSlice); ok {
			for _, item := range m {
				if err := walk(strings.TrimPrefix(path+"."+fmt.Sprint(item.Key), "."), item.Value); err != nil {
					return err
				}
			}
			return nil
		}
		line, err := yaml.MarshalWithOptions(v, yaml.Flow(true))
		flat[path] = strings.TrimSpace(string(line))
		return err
	}
	return flat, walk("", tree)
}

func union(a, b map[string]string) []string {
	var keys []string
	for _, m := range []map[string]string{a, b} {
		for k := range m {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}
