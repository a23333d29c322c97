package phoneme_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"wakefuzz/phoneme"
)

func ExampleMetric_Distance() {
	m := phoneme.MetricDoubleMetaphone
	fmt.Println(m.Distance(m.Code("alexa", ""), m.Code("elixir", "")))

	m = phoneme.MetricPhonemes
	fmt.Println(m.Distance(m.Code("alexa", "AH0 L EH1 K S AH0"), m.Code("elixir", "IH0 L IH1 K S ER0")))
	// Output:
	// 1
	// 3
}

func TestMetricCode(t *testing.T) {
	for _, test := range []struct {
		metric        phoneme.Metric
		text          string
		pronunciation phoneme.Pronunciation
		want          string
	}{
		{phoneme.MetricDoubleMetaphone, "Alexa", "", "ALKS"},
		{phoneme.MetricMetaphone, "Alexa", "", "LKS"},
		{phoneme.MetricLetters, "Alexa", "", "alexa"},
		{phoneme.MetricLetters, "Hey, O'Neill 2!", "", "heyoneill2"},
		{phoneme.MetricLetters, "cafe\u0301", "", "café"},
		{phoneme.MetricPhonemes, "Alexa", "AH0 L EH1 K S AH0", "AH L EH K S AH"},
	} {
		if got := test.metric.Code(test.text, test.pronunciation); got != test.want {
			t.Errorf("%s of %q is %q, want %q", test.metric, test.text, got, test.want)
		}
	}
}

func TestPhonemeDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "AH L", 2},
		{"CH", "SH", 1}, // a phone is one, though it has two letters
		{"AH L EH K S AH", "L EH K S AH S", 2},
		{"AH L EH K S AH", "IH L IH K S ER", 3},
		{"AA B", "B AA", 2},
	} {
		if got := phoneme.MetricPhonemes.Distance(test.a, test.b); got != test.want {
			t.Errorf("distance of %q and %q is %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

// Section 5.5 of the paper says how many words of Table 5 have each distance
// to "alexa". The other row holds the metric that is not the paper's to what
// it gave when the paper's was looked for.
func TestTable5(t *testing.T) {
	words := table5(t)
	for metric, want := range map[phoneme.Metric][]int{
		phoneme.MetricDoubleMetaphone: {3, 9, 25, 29, 14, 2, 2, 4, 1},
		phoneme.MetricMetaphone:       {4, 13, 35, 21, 6, 3, 2, 4, 1},
	} {
		got := make([]int, len(want))
		for _, word := range words {
			distance := metric.Distance(metric.Code("alexa", ""), metric.Code(word, ""))
			if distance >= len(got) {
				t.Errorf("%s: %s is at distance %d", metric, word, distance)
				continue
			}
			got[distance]++
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: words at distance 0 to 8 are %v, want %v", metric, got, want)
		}
	}
}

// table5 has the false wake words of the paper's Table 5: its words without
// "alexa" itself, which it lists too.
func table5(t *testing.T) []string {
	file, err := os.Open("testdata/table5.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, row := range rows[1:] {
		if row[0] != "alexa" {
			words = append(words, row[0])
		}
	}
	if len(words) != 89 {
		t.Fatalf("Table 5 has %d words besides alexa, want 89", len(words))
	}
	return words
}

func TestParseMetric(t *testing.T) {
	for _, m := range phoneme.Metrics() {
		if got, err := phoneme.ParseMetric(string(m)); err != nil || got != m {
			t.Errorf("ParseMetric(%q) = %q, %v", m, got, err)
		}
	}
	for _, name := range []string{"", "Letters", "soundex"} {
		got, err := phoneme.ParseMetric(name)
		if err == nil || got != "" {
			t.Errorf("ParseMetric(%q) = %q, %v; want an error", name, got, err)
			continue
		}
		for _, m := range phoneme.Metrics() {
			if !strings.Contains(err.Error(), string(m)) {
				t.Errorf("error %q doesn't name %s", err, m)
			}
		}
	}
}

func TestMetricUnmarshalText(t *testing.T) {
	var spec struct{ Order phoneme.Metric }
	if err := json.Unmarshal([]byte(`{"Order":"phonemes"}`), &spec); err != nil || spec.Order != phoneme.MetricPhonemes {
		t.Errorf("got %q, %v", spec.Order, err)
	}
	if err := json.Unmarshal([]byte(`{"Order":"phones"}`), &spec); err == nil || spec.Order != phoneme.MetricPhonemes {
		t.Errorf("got %q, %v; want an error and the old value", spec.Order, err)
	}
}

func TestUnknownMetricPanics(t *testing.T) {
	for name, use := range map[string]func(phoneme.Metric){
		"Code":     func(m phoneme.Metric) { m.Code("alexa", "") },
		"Distance": func(m phoneme.Metric) { m.Distance("ALKS", "LKS") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("a metric that doesn't exist gave an answer")
				}
			}()
			use("soundex")
		})
	}
}

func TestPhonemeDistanceProperties(t *testing.T) {
	m := phoneme.MetricPhonemes
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) string { return m.Code("", pronunciation(phones().Draw(t, label))) }
		checkMetricAxioms(t, m, draw("a"), draw("b"), draw("c"))
	})
}

func TestPhonemeDistanceOfOneEdit(t *testing.T) {
	m := phoneme.MetricPhonemes
	rapid.Check(t, func(t *rapid.T) {
		before := phones().Draw(t, "phones")
		i := rapid.IntRange(0, len(before)-1).Draw(t, "place")
		phone := rapid.SampledFrom(allPhones).Draw(t, "phone")
		code := func(phones []string) string { return m.Code("", pronunciation(phones)) }

		exchange := 1
		if pronunciation(before[i:i+1]).Bare() == phoneme.Pronunciation(phone) {
			exchange = 0 // only the stress differs
		}
		for _, edit := range []struct {
			after []string
			want  int
		}{
			{slices.Insert(slices.Clone(before), i, phone), 1},
			{slices.Delete(slices.Clone(before), i, i+1), 1},
			{slices.Replace(slices.Clone(before), i, i+1, phone), exchange},
		} {
			if got := m.Distance(code(before), code(edit.after)); got != edit.want {
				t.Errorf("distance of %q and %q is %d, want %d", before, edit.after, got, edit.want)
			}
		}
	})
}

// checkMetricAxioms holds distances between three codes to what makes a
// distance one.
func checkMetricAxioms(t interface{ Errorf(string, ...any) }, m phoneme.Metric, a, b, c string) {
	ab, ba, bc, ac := m.Distance(a, b), m.Distance(b, a), m.Distance(b, c), m.Distance(a, c)
	if (ab == 0) != (a == b) {
		t.Errorf("%s: distance of %q and %q is %d", m, a, b, ab)
	}
	if ab != ba {
		t.Errorf("%s: from %q to %q it is %d, and back %d", m, a, b, ab, ba)
	}
	if ac > ab+bc {
		t.Errorf("%s: from %q to %q it is %d, but over %q %d+%d", m, a, c, ac, b, ab, bc)
	}
}

func BenchmarkDistance(b *testing.B) {
	for _, m := range phoneme.Metrics() {
		b.Run(string(m), func(b *testing.B) {
			alexa := m.Code("alexa", "AH0 L EH1 K S AH0")
			elixir := m.Code("elixir", "IH0 L IH1 K S ER0")
			b.ReportAllocs()
			for b.Loop() {
				m.Distance(alexa, elixir)
			}
		})
	}
}
