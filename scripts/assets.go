// Package scripts is the list of what set-up fetches, for the program to
// compare with what it finds.
package scripts

import _ "embed"

// Assets is assets.txt, which says of itself how to be read.
//
//go:embed assets.txt
var Assets string
