package main

import (
	"os"
	"path/filepath"
	"testing"

	"wakefuzz/campaign"
)

// Every example is read, and frozen and read again it plans the same.
func TestExamplesAreSpecs(t *testing.T) {
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(examples) < 5 {
		t.Fatalf("examples %q, %v", examples, err)
	}
	for _, example := range examples {
		text, err := os.ReadFile(example)
		if err != nil {
			t.Fatal(err)
		}
		spec, err := campaign.ParseSpec(example, text, drivers)
		if err != nil {
			t.Error(err)
			continue
		}
		frozen, err := spec.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := campaign.ParseSpec("frozen", []byte(frozen), drivers)
		if err != nil {
			t.Errorf("%s, frozen: %v\n%s", example, err, frozen)
			continue
		}
		if diff, err := campaign.PlanDiff(spec, again); err != nil || len(diff) > 0 {
			t.Errorf("%s, frozen, plans something else: %q, %v", example, diff, err)
		}
	}
}
