package campaign_test

import (
	"slices"
	"strings"
	"testing"

	"wakefuzz/campaign"
	"wakefuzz/tts"
)

// voiced is the small spec with other voices, and what else follows them.
func voiced(voices string) string {
	return strings.Replace(smallSpec, "  - {engine: flite, name: kal16}\n", voices, 1)
}

func names(voices []tts.Voice) (all []string) {
	for _, v := range voices {
		all = append(all, v.String())
	}
	return all
}

// Lists in an entry stand for all combinations.
func TestVoicesAreCrossed(t *testing.T) {
	spec := parse(t, voiced(`
  - {engine: flite, name: [kal16, slt], rate: [0.9, 1], volume: -6}
  - engine: espeak-ng
    name: en-gb
    pitch:
      - 0
      - 2
`))
	want := []string{
		"flite/kal16 rate=0.9 volume=-6", "flite/kal16 volume=-6", "flite/slt rate=0.9 volume=-6", "flite/slt volume=-6",
		"espeak-ng/en-gb", "espeak-ng/en-gb pitch=2",
	}
	if got := names(spec.Voices); !slices.Equal(got, want) {
		t.Errorf("voices %q, want %q", got, want)
	}
}

// A sample is drawn by the seed, keeps the order of the file, and is the same
// when the spec it made is read again.
func TestVoicesAreSampled(t *testing.T) {
	const crossed = "  - {engine: flite, name: [awb, kal16, rms, slt], rate: [0.8, 0.9, 1, 1.1, 1.2]}\n"
	all := names(parse(t, voiced(crossed)).Voices)
	samples := map[string]bool{}
	for _, seed := range []string{"1", "2", "3"} {
		spec := parse(t, "seed: "+seed+"\n"+voiced(crossed+"voices_sample: 5\n"))
		sample := names(spec.Voices)
		samples[strings.Join(sample, ", ")] = true
		if len(sample) != 5 || !slices.IsSortedFunc(sample, func(a, b string) int { return slices.Index(all, a) - slices.Index(all, b) }) {
			t.Errorf("seed %s: the sample %q of %q", seed, sample, all)
		}
		frozen, err := spec.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again := parse(t, frozen)
		if diff, err := campaign.PlanDiff(spec, again); err != nil || len(diff) > 0 {
			t.Errorf("seed %s, read again: %q, error %v", seed, diff, err)
		}
	}
	if len(samples) != 3 {
		t.Errorf("three seeds drew the samples %v", samples)
	}
}

func TestBadVoices(t *testing.T) {
	for text, want := range map[string][]string{
		"  - {engine: flite, name: []}\n":                       {":8:27", "the list is empty"},
		"  - {engine: [flite, google], name: kal16}\n":          {":8:14"},
		"  - {engine: flite, name: kal16, rates: [1, 2]}\n":     {":8:34", `unknown key "rates"; did you mean "rate"?`},
		"  - {engine: flite, name: kal16, rate: [1, fast]}\n":   {":8:44", `"fast" is not a number`},
		"  - {engine: flite, name: [kal16, [slt]]}\n":           {":8:35"},
		"  - {engine: flite, name: kal16, rate: [1, 1]}\n":      {"voices[1]", "twice"},
		"  - {engine: flite, name: [kal16, \"\"]}\n":            {"voices[1]", "name"},
		"  - {engine: flite, name: kal16}\nvoices_sample: 2\n":  {"voices_sample: 2 is not between 0, for all, and the 1 voices"},
		"  - {engine: flite, name: kal16}\nvoices_sample: -1\n": {"voices_sample"},
		"  - flite/kal16\n":                                     {":8:5"},
		"  - {engine: flite, name: x, rate: &l [" + strings.Repeat("1, ", 200) + "1], pitch: [" + strings.Repeat("1, ", 200) + "1]}\n": {"more than 10000 voices"},
	} {
		_, err := campaign.ParseSpec("test.yaml", []byte(voiced(text)), drivers)
		if err == nil {
			t.Errorf("%.60q is accepted", text)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%.60q: error %v, want %q", text, err, part)
			}
		}
	}
}
