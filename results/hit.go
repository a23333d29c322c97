package results

import (
	"fmt"
	"slices"
)

// IsHit says whether a word that reacted in so many of its planned plays is a
// hit at that rate. Plays that are not measured count as not reacted, so that
// a word is no hit after one play of ten, and once it is one it stays one.
func IsHit(reacted, planned int, rate float64) bool {
	const rounding = 1e-9 // 0.7 of 10 plays is 7, whatever binary fractions say
	return reacted > 0 && float64(reacted) >= rate*float64(planned)-rounding
}

// ParseOrder is the order of that name. The error lists the names.
func ParseOrder(name string) (Order, error) {
	if o := Order(name); slices.Contains(Orders(), o) {
		return o, nil
	}
	return "", fmt.Errorf("no order %.40q: use one of %v", name, Orders())
}

// UnmarshalText is ParseOrder, for decoders.
func (o *Order) UnmarshalText(text []byte) (err error) {
	*o, err = ParseOrder(string(text))
	return err
}
