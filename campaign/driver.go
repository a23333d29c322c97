package campaign

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Options are a driver's part of the spec: a pointer to a struct with yaml
// tags, which says by Validate what can't work.
type Options interface {
	Validate() error
}

// Kind is what a driver does on a bench, which is also the name of its section
// in a spec.
type Kind string

// The kinds.
const (
	// KindEngine is a software bench, player and oracle in one.
	KindEngine Kind = "engine"
	// KindPlayer sounds clips.
	KindPlayer Kind = "player"
	// KindLight and KindTraffic watch the device.
	KindLight   Kind = "light"
	KindTraffic Kind = "traffic"
)

// Drivers are the drivers that a spec may name, by their names.
type Drivers map[string]struct {
	Kind Kind
	// Scoreless says that an engine tells when it hears its wake word, and no
	// scores that a rule could judge.
	Scoreless bool
	// Options makes new options with their defaults set.
	Options func() Options
}

// Driver is a driver's section of the spec: the key "driver" with its name,
// and beside it the driver's own keys.
type Driver struct {
	Name      string
	Kind      Kind
	Scoreless bool
	Options   Options
}

type driversKey struct{}

// UnmarshalYAML decodes the section strictly into the options of the driver
// that it names.
func (d *Driver) UnmarshalYAML(ctx context.Context, node ast.Node) error {
	section, ok := node.(*ast.MappingNode)
	if !ok {
		return &yaml.SyntaxError{Message: `this section needs the key "driver" and the driver's own keys`, Token: node.GetToken()}
	}
	own := *section
	own.Values = nil
	for _, v := range section.Values {
		if v.Key.String() != "driver" {
			own.Values = append(own.Values, v)
			continue
		}
		if err := yaml.NodeToValue(v.Value, &d.Name); err != nil {
			return err
		}
	}
	drivers, _ := ctx.Value(driversKey{}).(Drivers)
	driver, ok := drivers[d.Name]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(drivers)), ", ")
		return &yaml.SyntaxError{Message: fmt.Sprintf("driver %q is not one of: %s", d.Name, known), Token: node.GetToken()}
	}
	d.Kind, d.Scoreless, d.Options = driver.Kind, driver.Scoreless, driver.Options()
	return yaml.NodeToValue(&own, d.Options, yaml.Strict())
}

// MarshalYAML writes the section as it is read.
func (d Driver) MarshalYAML() (any, error) {
	section := yaml.MapSlice{{Key: "driver", Value: d.Name}}
	text, err := yaml.Marshal(d.Options)
	if err != nil {
		return nil, err
	}
	var own yaml.MapSlice
	if err := yaml.Unmarshal(text, &own); err != nil {
		return nil, err
	}
	return append(section, own...), nil
}
