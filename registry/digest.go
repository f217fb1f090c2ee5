package registry

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
)

// A Digester makes digests of the records of a source, to tell later whether one
// has changed. They depend on the names of the columns and not on their order. It is
// for one goroutine.
type Digester struct {
	order []int  // columns in the order of their names
	names []byte // digest of the names in this order
	buf   []byte
}

// NewDigester returns a Digester for records with these columns.
func NewDigester(columns *Columns) *Digester {
	names := columns.names
	d := &Digester{order: make([]int, len(names))}
	for i := range d.order {
		d.order[i] = i
	}
	slices.SortFunc(d.order, func(a, b int) int { return strings.Compare(names[a], names[b]) })
	var all []byte
	for _, i := range d.order {
		all = appendText(all, names[i])
	}
	sum := sha256.Sum256(all)
	d.names = sum[:]
	return d
}

// Record is the SHA-256 over all values of a record.
func (d *Digester) Record(r Record) [32]byte {
	d.buf = append(d.buf[:0], d.names...)
	for _, i := range d.order {
		d.buf = appendText(d.buf, r.values[i])
	}
	return sha256.Sum256(d.buf)
}

// Value is the SHA-256 over one value that stands for the whole record, such as
// its version.
func (d *Digester) Value(v string) [32]byte {
	d.buf = appendText(append(d.buf[:0], d.names...), v)
	return sha256.Sum256(d.buf)
}

// appendText appends a text with its length before it.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
