package main

import (
	"context"
	"encoding/json"
	"fmt"
)

// device returns the path of the only device of a kind that the machine's board
// has. Such devices have no names, and their numbers differ from one version of
// the emulator to the next.
func (w *wires) device(ctx context.Context, kind string) (string, error) {
	if path := w.devices[kind]; path != "" {
		return path, nil
	}
	s, err := w.socket(ctx, "qmp")
	if err != nil {
		return "", err
	}
	if _, err := s.read(); err != nil { // its greeting
		return "", err
	}
	if _, err := s.ask(`{"execute": "qmp_capabilities"}`); err != nil {
		return "", err
	}
	const board = "/machine/unattached"
	line, err := s.ask(fmt.Sprintf(`{"execute": "qom-list", "arguments": {"path": %q}}`, board))
	if err != nil {
		return "", err
	}
	var answer struct {
		Return []struct{ Name, Type string }
	}
	if err := json.Unmarshal([]byte(line), &answer); err != nil {
		return "", fmt.Errorf("listing the machine's devices: %w", err)
	}
	for _, d := range answer.Return {
		if d.Type == "child<"+kind+">" {
			path := board + "/" + d.Name
			w.devices = map[string]string{kind: path}
			return path, nil
		}
	}
	return "", fmt.Errorf("the machine has no %s", kind)
}
