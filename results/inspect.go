package results

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"runtime/debug"
)

// bbolt trusts the file that it maps. A page that names itself as its child
// makes it recurse until the program dies, and a page beyond the end of the
// file is a bus error; neither can be recovered from. So the file's structure
// is checked here, by plain reads, before bbolt walks it: see
// [inspect]. The layout is that of bbolt's file format version 2.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeader   = 16 // id uint64, flags uint16, count uint16, overflow uint32
	element      = 16 // of a branch or a leaf page
	bucketHeader = 16 // root page uint64, sequence uint64

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketEntry  = 0x01

	minPageSize = 4 << 10
	maxPageSize = 64 << 10
)

var native = binary.NativeEndian

// meta is what a meta page says.
type meta struct {
	pageSize           uint64
	root, freelist     uint64
	pages, transaction uint64
}

// image is a store's file under inspection.
type image struct {
	file io.ReaderAt
	meta
	seen []bool // by page: reached, or free
}

// inspect returns an error unless bbolt can safely read, and append to, the
// file of that size: every page lies within the file, is reached exactly once,
// is of the right kind, and has its keys in order. What the values say is
// checked when they are read. No page that is not in use is looked at.
func inspect(file io.ReaderAt, size int64) error {
	m, err := readMeta(file, size)
	if err != nil {
		return err
	}
	if m.pages > uint64(size)/m.pageSize {
		return fmt.Errorf("%d bytes are left of %d", size, m.pages*m.pageSize)
	}
	if m.pages < 3 {
		return errors.New("no data pages")
	}
	im := &image{file: file, meta: m, seen: make([]bool, m.pages)}
	im.seen[0], im.seen[1] = true, true // the meta pages
	if err := im.bucket(m.root, true); err != nil {
		return err
	}
	if err := im.free(); err != nil {
		return err
	}
	for id, seen := range im.seen {
		if !seen {
			return fmt.Errorf("page %d: lost", id)
		}
	}
	return nil
}

// readMeta returns the newer of the two meta pages that are sound. A torn one
// is what a loss of power in mid-commit leaves: the commit did not happen.
func readMeta(file io.ReaderAt, size int64) (newest meta, err error) {
	found := false
	try := func(at int64) {
		m, ok := parseMeta(file, at)
		if !ok || uint64(size) < 2*m.pageSize || (at != 0 && uint64(at) != m.pageSize) {
			return
		}
		if !found || m.transaction > newest.transaction {
			newest, found = m, true
		}
	}
	try(0)
	if found {
		try(int64(newest.pageSize))
	} else {
		// The second page begins where the first, which is lost, would tell.
		for at := int64(minPageSize); at <= maxPageSize && !found; at *= 2 {
			try(at)
		}
	}
	if !found {
		return meta{}, errors.New("neither meta page is sound")
	}
	return newest, nil
}

func parseMeta(file io.ReaderAt, at int64) (meta, bool) {
	var raw [64]byte
	if _, err := file.ReadAt(raw[:], at+pageHeader); err != nil {
		return meta{}, false
	}
	sum := fnv.New64a()
	sum.Write(raw[:56])
	m := meta{
		pageSize:    uint64(native.Uint32(raw[8:])),
		root:        native.Uint64(raw[16:]),
		freelist:    native.Uint64(raw[32:]),
		pages:       native.Uint64(raw[40:]),
		transaction: native.Uint64(raw[48:]),
	}
	sound := native.Uint32(raw[0:]) == boltMagic &&
		native.Uint32(raw[4:]) == boltVersion &&
		native.Uint64(raw[56:]) == sum.Sum64() &&
		m.pageSize >= minPageSize && m.pageSize <= maxPageSize && m.pageSize&(m.pageSize-1) == 0
	return m, sound
}

// page is a page with its overflow.
type page struct {
	id    uint64
	flags uint16
	count int
	data  []byte // header included
}

// read reads a page that nothing has referred to before.
func (im *image) read(id uint64) (page, error) {
	if id < 2 || id >= im.pages {
		return page{}, fmt.Errorf("page %d: out of range", id)
	}
	data := make([]byte, im.pageSize)
	if _, err := im.file.ReadAt(data, int64(id*im.pageSize)); err != nil {
		return page{}, fmt.Errorf("page %d: %w", id, err)
	}
	overflow := uint64(native.Uint32(data[12:]))
	if native.Uint64(data) != id || id+overflow >= im.pages {
		return page{}, fmt.Errorf("page %d: not what it should be", id)
	}
	for i := id; i <= id+overflow; i++ {
		if err := im.mark(i); err != nil {
			return page{}, err
		}
	}
	if overflow > 0 {
		data = append(data, make([]byte, overflow*im.pageSize)...)
		if _, err := im.file.ReadAt(data[im.pageSize:], int64((id+1)*im.pageSize)); err != nil {
			return page{}, fmt.Errorf("page %d: %w", id, err)
		}
	}
	return parsePage(id, data), nil
}

func parsePage(id uint64, data []byte) page {
	return page{id: id, flags: native.Uint16(data[8:]), count: int(native.Uint16(data[10:])), data: data}
}

func (im *image) mark(id uint64) error {
	if im.seen[id] {
		return fmt.Errorf("page %d: in use twice", id)
	}
	im.seen[id] = true
	return nil
}

// bucket checks the tree below a root page. Only the top bucket holds buckets.
func (im *image) bucket(root uint64, top bool) error {
	_, err := im.tree(root, nil, nil, top)
	return err
}

// tree checks the pages below id, whose keys are from low (nil: any) to before
// high (nil: any). It returns the last key.
func (im *image) tree(id uint64, low, high []byte, top bool) (last []byte, err error) {
	p, err := im.read(id)
	if err != nil {
		return nil, err
	}
	switch p.flags {
	case leafPage:
		return im.leaf(p, low, high, top)
	case branchPage:
		if p.count == 0 {
			return nil, fmt.Errorf("page %d: an empty branch", id)
		}
	default:
		return nil, fmt.Errorf("page %d: of kind %#x", id, p.flags)
	}
	last = low
	for i := range p.count {
		key, child, err := p.branch(i)
		if err != nil {
			return nil, err
		}
		if err := p.ordered(i, last, key, high); err != nil {
			return nil, err
		}
		below := high
		if i+1 < p.count {
			if below, _, err = p.branch(i + 1); err != nil {
				return nil, err
			}
		}
		if last, err = im.tree(child, key, below, top); err != nil {
			return nil, err
		}
	}
	return last, nil
}

// leaf checks a leaf page's keys, and the buckets that its values are.
func (im *image) leaf(p page, low, high []byte, top bool) (last []byte, err error) {
	last = low
	for i := range p.count {
		flags, key, value, err := p.leaf(i)
		if err != nil {
			return nil, err
		}
		if err := p.ordered(i, last, key, high); err != nil {
			return nil, err
		}
		last = key
		switch {
		case flags == 0 && !top:
		case flags == bucketEntry && top && len(value) >= bucketHeader:
			if root := native.Uint64(value); root != 0 {
				err = im.bucket(root, false)
			} else {
				err = im.inline(value[bucketHeader:])
			}
			if err != nil {
				return nil, fmt.Errorf("bucket %q: %w", key, err)
			}
		default:
			return nil, fmt.Errorf("page %d: entry %d is of kind %#x", p.id, i, flags)
		}
	}
	return last, nil
}

// inline checks a small bucket, whose only page is its value.
func (im *image) inline(data []byte) error {
	if len(data) < pageHeader {
		return fmt.Errorf("an inline page of %d bytes", len(data))
	}
	p := parsePage(0, data)
	if p.flags != leafPage {
		return fmt.Errorf("an inline page of kind %#x", p.flags)
	}
	_, err := im.leaf(p, nil, nil, false)
	return err
}

// ordered returns an error unless the page's i-th key follows last and is
// before high. A first key may equal the key by which its page is known.
func (p page) ordered(i int, last, key, high []byte) error {
	order := bytes.Compare(last, key)
	if order > 0 || (order == 0 && i > 0) || (high != nil && bytes.Compare(key, high) >= 0) {
		return fmt.Errorf("page %d: key %d is out of order", p.id, i)
	}
	return nil
}

// branch is the i-th element of a branch page.
func (p page) branch(i int) (key []byte, child uint64, err error) {
	at, err := p.element(i)
	if err != nil {
		return nil, 0, err
	}
	key, err = p.slice(at, native.Uint32(p.data[at:]), uint64(native.Uint32(p.data[at+4:])))
	return key, native.Uint64(p.data[at+8:]), err
}

// leaf is the i-th element of a leaf page.
func (p page) leaf(i int) (flags uint32, key, value []byte, err error) {
	at, err := p.element(i)
	if err != nil {
		return 0, nil, nil, err
	}
	keyLen, valueLen := uint64(native.Uint32(p.data[at+8:])), uint64(native.Uint32(p.data[at+12:]))
	both, err := p.slice(at, native.Uint32(p.data[at+4:]), keyLen+valueLen)
	if err != nil {
		return 0, nil, nil, err
	}
	return native.Uint32(p.data[at:]), both[:keyLen], both[keyLen:], nil
}

func (p page) element(i int) (at int, err error) {
	at = pageHeader + i*element
	if at+element > len(p.data) {
		return 0, fmt.Errorf("page %d: entry %d is out of range", p.id, i)
	}
	return at, nil
}

// slice is what an element at the offset refers to: length bytes, pos after it.
func (p page) slice(at int, pos uint32, length uint64) ([]byte, error) {
	start := uint64(at) + uint64(pos)
	if start < uint64(pageHeader+p.count*element) || start+length > uint64(len(p.data)) {
		return nil, fmt.Errorf("page %d: an entry is out of range", p.id)
	}
	return p.data[start : start+length], nil
}

// free checks the list of free pages: a page in use that it names would be
// written over by the next commit.
func (im *image) free() error {
	p, err := im.read(im.freelist)
	if err != nil {
		return err
	}
	if p.flags != freelistPage {
		return fmt.Errorf("page %d: not the free list", p.id)
	}
	ids, count := p.data[pageHeader:], uint64(p.count)
	if count == 0xFFFF { // then the count is too large for the header
		count, ids = native.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return fmt.Errorf("page %d: a free list of %d pages", p.id, count)
	}
	for i := range count {
		id := native.Uint64(ids[8*i:])
		if id < 2 || id >= im.pages {
			return fmt.Errorf("page %d: out of range", id)
		}
		if err := im.mark(id); err != nil {
			return err
		}
	}
	return nil
}

// guard runs fn, which reads mapped pages, and returns damage in place of a
// crash: a disk that can't read a page, or a file cut short since it was
// inspected, is a fault of memory access to the program.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return fn()
}
