package sqltable

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sanad-id/sanad/registry"
)

// A mark of this package is
//
//	"sanad-sql" 1            name and version
//	8 bytes                  of the SHA-256 of the names of the id column and of
//	                         the changed column
//	8 bytes                  number of entries, the most significant first
//	entries in order of id   uvarint: bytes shared with the id before;
//	                         uvarint: length of the rest of the id; the rest;
//	                         12 bytes of the record's digest
//	16 bytes                 of the SHA-256 of all before
//
// A record's digest covers the names of all columns and the values in order of
// the names, or of the values that of the changed column alone. It is written
// and read from front to end, beside a table in the same order.
const (
	markName   = "sanad-sql\x01"
	markDigest = 12
	markCheck  = 16
	markHead   = len(markName) + 8 + 8
)

// An entry is one record of a mark.
type entry struct {
	id     string
	digest [markDigest]byte
}

// following names the columns that a mark depends on.
func following(idColumn, changedColumn string) (sum [8]byte) {
	b := sha256.Sum256(appendText(appendText(nil, idColumn), changedColumn))
	copy(sum[:], b[:])
	return sum
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// A markWriter makes a mark of entries in order of their ids.
type markWriter struct {
	b    []byte
	last string
	n    uint64
}

func newMarkWriter(following [8]byte) *markWriter {
	b := append([]byte(markName), following[:]...)
	return &markWriter{b: append(b, make([]byte, 8)...)}
}

func (w *markWriter) add(e entry) {
	shared := 0
	for shared < min(len(w.last), len(e.id)) && w.last[shared] == e.id[shared] {
		shared++
	}
	w.b = binary.AppendUvarint(w.b, uint64(shared))
	w.b = appendText(w.b, e.id[shared:])
	w.b = append(w.b, e.digest[:]...)
	w.last = e.id
	w.n++
}

func (w *markWriter) mark() registry.Mark {
	binary.BigEndian.PutUint64(w.b[markHead-8:], w.n)
	check := sha256.Sum256(w.b)
	return append(w.b, check[:markCheck]...)
}

// A markReader yields the entries of a mark.
type markReader struct {
	b    []byte
	left uint64
	last string
}

// readMark checks the whole mark first: what it does not refuse, next can read.
func readMark(m registry.Mark, following [8]byte) (*markReader, error) {
	if len(m) < markHead+markCheck || !bytes.HasPrefix(m, []byte(markName)) {
		return nil, registry.ErrMark
	}
	b, check := m[:len(m)-markCheck], m[len(m)-markCheck:]
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:markCheck], check) {
		return nil, fmt.Errorf("%w: it is damaged", registry.ErrMark)
	}
	if !bytes.Equal(b[len(markName):markHead-8], following[:]) {
		return nil, fmt.Errorf("%w: it is of another id column or changed column", registry.ErrMark)
	}
	r := &markReader{b: b[markHead:], left: binary.BigEndian.Uint64(b[markHead-8:])}
	if r.left > uint64(len(r.b)/(2+markDigest)) {
		return nil, registry.ErrMark
	}
	try, before := *r, ""
	for first := true; try.left > 0; first = false {
		e, err := try.read()
		if err != nil || !first && e.id <= before {
			return nil, registry.ErrMark
		}
		before = e.id
	}
	if len(try.b) > 0 {
		return nil, registry.ErrMark
	}
	return r, nil
}

var errEntry = errors.New("sqltable: internal error: a mark changed while it was read")

// next returns the next entry, and whether there was one.
func (r *markReader) next() (entry, bool) {
	if r == nil || r.left == 0 {
		return entry{}, false
	}
	e, err := r.read()
	if err != nil {
		panic(err)
	}
	return e, true
}

func (r *markReader) read() (e entry, err error) {
	shared, b, ok1 := uvarint(r.b)
	length, b, ok2 := uvarint(b)
	if !ok1 || !ok2 || shared > uint64(len(r.last)) || length > maxID || shared+length > maxID || shared+length == 0 || uint64(len(b)) < length+markDigest {
		return e, errEntry
	}
	// The longest shared part, or the same mark would have two spellings.
	if shared < uint64(len(r.last)) && length > 0 && r.last[shared] == b[0] {
		return e, errEntry
	}
	e.id = r.last[:shared] + string(b[:length])
	copy(e.digest[:], b[length:])
	r.b, r.last = b[length+markDigest:], e.id
	r.left--
	return e, nil
}

// uvarint reads a number in its shortest form.
func uvarint(b []byte) (uint64, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

// entryOf is what a mark keeps of a record: its id and the beginning of a digest.
func entryOf(id string, sum [32]byte) entry {
	e := entry{id: id}
	copy(e.digest[:], sum[:])
	return e
}
