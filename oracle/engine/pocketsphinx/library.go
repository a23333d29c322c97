package pocketsphinx

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "library.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// library is the name that the dynamic loader looks for. The functions that are
// used have had the same form since it was released.
const library = "libpocketsphinx.so.3"

// load makes sure that the process has the library, and returns the path of its
// file. There is one for all engines, and it stays.
var load = sync.OnceValues(func() (path string, err error) {
	name := C.CString(library)
	defer C.free(unsafe.Pointer(name))
	var complaint [256]C.char
	if C.sphinx_load(name, &complaint[0], C.int(len(complaint))) != 0 {
		return "", fmt.Errorf("%s can't be loaded (%s): install it with \"apt-get install libpocketsphinx3 pocketsphinx-en-us\"",
			library, C.GoString(&complaint[0]))
	}
	return C.GoString(C.sphinx_path()), nil
})

// decoder is a model that listens for one phrase.
type decoder struct{ ps unsafe.Pointer }

// openDecoder loads the model with its dictionary. What it searches for is the
// business of listenFor. arguments are pairs of PocketSphinx's own options and
// their values.
func openDecoder(arguments ...string) (*decoder, error) {
	if _, err := load(); err != nil {
		return nil, err
	}
	argv := make([]*C.char, 0, 1+len(arguments))
	for _, a := range append([]string{"pocketsphinx"}, arguments...) {
		argv = append(argv, C.CString(a))
	}
	defer func() {
		for _, a := range argv {
			C.free(unsafe.Pointer(a))
		}
	}()
	var complaint [256]C.char
	ps := C.sphinx_open(C.int(len(argv)), &argv[0], &complaint[0], C.int(len(complaint)))
	if ps == nil {
		return nil, fmt.Errorf("the model can't be loaded: %s", strings.TrimSpace(C.GoString(&complaint[0])))
	}
	return &decoder{ps: ps}, nil
}

// knows says whether the dictionary has the word.
func (d *decoder) knows(word string) bool {
	w := C.CString(word)
	defer C.free(unsafe.Pointer(w))
	return C.sphinx_knows(d.ps, w) != 0
}

// add puts a word into the dictionary, with its phones.
func (d *decoder) add(word, phones string) error {
	w, p := C.CString(word), C.CString(phones)
	defer C.free(unsafe.Pointer(w))
	defer C.free(unsafe.Pointer(p))
	if C.sphinx_add(d.ps, w, p) < 0 {
		return fmt.Errorf("the model has no phones %s", phones)
	}
	return nil
}

// listenFor sets the phrase. Every word of it must be in the dictionary.
func (d *decoder) listenFor(phrase string) error {
	p := C.CString(phrase)
	defer C.free(unsafe.Pointer(p))
	if C.sphinx_listen_for(d.ps, p) < 0 {
		return fmt.Errorf("it can't listen for %q", phrase)
	}
	return nil
}

// unheard is what hear says of a frame in which no phrase ended.
const unheard = C.SPHINX_UNHEARD

// hear listens to a sound from beginning to end, as the first that it ever
// heard, and says for each frame how much likelier the phrase that ended with it
// is than anything else that could have been said, in steps of [stepDecades]
// powers of ten; or unheard.
func (d *decoder) hear(samples []int16, frames int) ([]int32, error) {
	ratios := make([]int32, frames)
	for i := range ratios {
		ratios[i] = unheard
	}
	if len(samples) == 0 || frames == 0 {
		return ratios, nil
	}
	if C.sphinx_hear(d.ps, (*C.int16_t)(unsafe.Pointer(&samples[0])), C.size_t(len(samples)),
		(*C.int32_t)(unsafe.Pointer(&ratios[0])), C.int(frames)) < 0 {
		return nil, errors.New("the library failed at a sound")
	}
	runtime.KeepAlive(samples)
	return ratios, nil
}

// close frees the model.
func (d *decoder) close() { C.sphinx_close(d.ps) }
