package protocol_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"wakefuzz/protocol"
)

func ExampleShrink() {
	// A device that wants K and S, in this order and close to each other.
	asked := 0
	stretch, core, err := protocol.Shrink(context.Background(), strings.Fields("N EH K T S T OW"),
		func(_ context.Context, phones []string) (bool, error) {
			asked++
			k, s := slices.Index(phones, "K"), slices.Index(phones, "S")
			return k >= 0 && k < s && s < k+3, nil
		})
	fmt.Println(stretch, core, err, "after", asked, "questions")
	// Output: [K T S] [K S] <nil> after 13 questions
}

func TestShrink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		phones := rapid.SliceOfN(rapid.SampledFrom([]string{"K", "S", "EH", "L"}), 1, 12).Draw(t, "phones")
		needs := rapid.SliceOfN(rapid.SampledFrom(phones), 1, 4).Draw(t, "needs")
		asked := map[string]bool{}
		wakes := func(row []string) bool {
			i := 0
			for _, phone := range row {
				if i < len(needs) && phone == needs[i] {
					i++
				}
			}
			return i == len(needs)
		}
		stretch, core, err := protocol.Shrink(t.Context(), phones, func(_ context.Context, row []string) (bool, error) {
			if text := strings.Join(row, " "); asked[text] {
				t.Fatalf("%s is asked for twice", text)
			} else {
				asked[text] = true
			}
			return wakes(row), nil
		})
		if !wakes(phones) {
			if !errors.Is(err, protocol.ErrQuiet) {
				t.Fatalf("the error is %v, want ErrQuiet", err)
			}
			return
		}
		whole, part := strings.Join(phones, " "), strings.Join(stretch, " ")
		if err != nil || !strings.Contains(" "+whole+" ", " "+part+" ") || !wakes(stretch) {
			t.Fatalf("%s of %s, %v", part, whole, err)
		}
		if len(stretch) > 1 && (wakes(stretch[1:]) || wakes(stretch[:len(stretch)-1])) {
			t.Fatalf("%s is not the shortest", part)
		}
		if !slices.Equal(core, needs) {
			t.Fatalf("the core of %s is %v, want %v", whole, core, needs)
		}
	})
}

func TestShrinkEndsWithTheError(t *testing.T) {
	broken := errors.New("broken")
	asked := 0
	_, _, err := protocol.Shrink(t.Context(), strings.Fields("L EH K S"), func(context.Context, []string) (bool, error) {
		if asked++; asked == 3 {
			return false, broken
		}
		return true, nil
	})
	if !errors.Is(err, broken) || asked != 3 {
		t.Errorf("%v after %d questions, want the error after 3", err, asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := protocol.Shrink(ctx, []string{"L"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want that of the context", err)
	}
	if _, _, err := protocol.Shrink(t.Context(), nil, nil); !errors.Is(err, protocol.ErrQuiet) {
		t.Errorf("the error is %v, want ErrQuiet", err)
	}
}
