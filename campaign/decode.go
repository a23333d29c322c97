package campaign

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/goccy/go-yaml"
)

// maxSpecBytes bounds a campaign file: the largest sensible one, with long
// include lists, stays far below.
const maxSpecBytes = 1 << 20

// ParseSpec reads a campaign file strictly: a key that is unknown, a value of
// the wrong type or out of range is an error that wraps ErrSpec and names the
// line, with name standing for the file.
func ParseSpec(name string, text []byte, drivers Drivers) (Spec, error) {
	spec := Default()
	if err := Decode(text, drivers, &spec); err != nil {
		return Spec{}, fmt.Errorf("%w %s%w", ErrSpec, name, err)
	}
	if err := spec.validate(); err != nil {
		return Spec{}, fmt.Errorf("%w %s: %w", ErrSpec, name, err)
	}
	return spec, nil
}

// Decode reads a file of a person's strictly into a struct that holds its
// defaults; drivers are what it may name. The error begins with a colon, or with
// the place of what is wrong, ":line:column: ", and is to stand behind the
// file's name.
func Decode(text []byte, drivers Drivers, spec any) error {
	if len(text) > maxSpecBytes {
		return fmt.Errorf(": larger than %d bytes", maxSpecBytes)
	}
	ctx := context.WithValue(context.Background(), driversKey{}, drivers)
	if err := decode(ctx, text, spec, yaml.Strict()); err != nil {
		return errors.New(explain(err, spec, drivers))
	}
	if err := keeps(spec, text); err != nil {
		return fmt.Errorf(": %w", err)
	}
	return nil
}

// decode is the YAML decoder, which panics at some files that are none of its
// liking, such as a list that is a tag and nothing else.
func decode(ctx context.Context, text []byte, spec any, options ...yaml.DecodeOption) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("it can't be read as YAML: %v", v)
		}
	}()
	return yaml.UnmarshalContext(ctx, text, spec, options...)
}

// keeps returns an error where the spec took a number for another than was
// written: the decoder silently cuts the fraction off where a whole number is
// wanted.
func keeps(spec any, written []byte) error {
	frozen, err := yaml.Marshal(spec)
	if err != nil {
		return err
	}
	var was, is any
	if err := errors.Join(yaml.Unmarshal(written, &was), yaml.Unmarshal(frozen, &is)); err != nil {
		return err
	}
	return cutOff("", was, is)
}

func cutOff(path string, was, is any) error {
	switch was := was.(type) {
	case map[string]any:
		taken, _ := is.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(was)) {
			if err := cutOff(strings.TrimPrefix(path+"."+key, "."), was[key], taken[key]); err != nil {
				return err
			}
		}
	case []any:
		taken, _ := is.([]any)
		for i := range min(len(was), len(taken)) {
			if err := cutOff(fmt.Sprintf("%s[%d]", path, i), was[i], taken[i]); err != nil {
				return err
			}
		}
	case float64:
		whole, ok := is.(uint64)
		if ok && float64(whole) != was {
			return fmt.Errorf("%s: %g is not a whole number", path, was)
		}
	}
	return nil
}

// explain turns an error of the YAML decoder into ":line:column: what", names
// the nearest known key where one is unknown, and says what a value should be.
func explain(err error, spec any, drivers Drivers) string {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return ": " + err.Error()
	}
	message := at.GetMessage()
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		key := unknown.Token.Value
		message = fmt.Sprintf("unknown key %q", key)
		if near := nearest(key, keys(spec, drivers)); near != "" {
			message += fmt.Sprintf("; did you mean %q?", near)
		}
	}
	var wrong *yaml.TypeError
	var large *yaml.OverflowError
	switch {
	case errors.As(err, &wrong):
		message = fmt.Sprintf("%q is not %s", wrong.Token.Value, kind(wrong.DstType))
	case errors.As(err, &large):
		message = large.SrcNum + " is out of range"
	}
	position := at.GetToken().Position
	return fmt.Sprintf(":%d:%d: %s", position.Line, position.Column, message)
}

// kind says what a value of the type looks like in a file.
func kind(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration, such as 1.2s"
	case reflect.Int <= t.Kind() && t.Kind() <= reflect.Uint64:
		return "a whole number"
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		return "a number"
	case t.Kind() == reflect.Bool:
		return "true or false"
	default:
		return "a " + t.Kind().String()
	}
}

// nearest returns the known key closest to the given one, or "" where none is
// within half its length.
func nearest(key string, known []string) string {
	best, distance := "", len(key)/2+1
	for _, k := range known {
		if d := levenshtein.ComputeDistance(key, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// keys returns every key that a spec may hold, sorted.
func keys(spec any, drivers Drivers) []string {
	found := []string{"driver"}
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for f := range t.Fields() {
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if key == "-" || !f.IsExported() {
				continue
			}
			if key != "" {
				found = append(found, key)
			}
			walk(f.Type) // an inline struct has keys, but none of its own
		}
	}
	walk(reflect.TypeOf(spec))
	for _, options := range drivers {
		walk(reflect.TypeOf(options.Options()))
	}
	slices.Sort(found)
	return slices.Compact(found)
}
