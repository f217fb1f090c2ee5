package csvfile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/registry"
)

// A mark of this package is
//
//	"sanad-csv" 1            name and version
//	8 bytes                  of the SHA-256 of the id column's name
//	uvarint                  number of entries
//	entries in order of id   uvarint: bytes shared with the id before;
//	                         uvarint: length of the rest of the id; the rest;
//	                         12 bytes of the record's digest
//	16 bytes                 of the SHA-256 of all before
//
// A record's digest covers the names of all columns and the values in order of
// the names, so that columns may change places without a change of the record.
const (
	markName   = "sanad-csv\x01"
	markDigest = 12
	markCheck  = 16
)

// A state is the records of a file by id, as digests.
type state []stateEntry

type stateEntry struct {
	id     string
	digest [markDigest]byte
}

func (s state) sort() {
	slices.SortFunc(s, func(a, b stateEntry) int { return strings.Compare(a.id, b.id) })
}

func (s state) find(id string) (int, bool) {
	return slices.BinarySearchFunc(s, id, func(e stateEntry, id string) int { return strings.Compare(e.id, id) })
}

// encode makes a mark of a state in order of id.
func (s state) encode(idColumn string) registry.Mark {
	column := sha256.Sum256([]byte(idColumn))
	b := append([]byte(markName), column[:8]...)
	b = binary.AppendUvarint(b, uint64(len(s)))
	before := ""
	for _, e := range s {
		shared := 0
		for shared < min(len(before), len(e.id)) && before[shared] == e.id[shared] {
			shared++
		}
		b = binary.AppendUvarint(b, uint64(shared))
		b = binary.AppendUvarint(b, uint64(len(e.id)-shared))
		b = append(b, e.id[shared:]...)
		b = append(b, e.digest[:]...)
		before = e.id
	}
	check := sha256.Sum256(b)
	return append(b, check[:markCheck]...)
}

// decodeMark returns the state that a mark was made of, or ErrMark.
func decodeMark(m registry.Mark, idColumn string) (state, error) {
	if len(m) < len(markName)+8+1+markCheck || !bytes.HasPrefix(m, []byte(markName)) {
		return nil, registry.ErrMark
	}
	b, check := m[:len(m)-markCheck], m[len(m)-markCheck:]
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:markCheck], check) {
		return nil, fmt.Errorf("%w: it is damaged", registry.ErrMark)
	}
	b = b[len(markName):]
	if column := sha256.Sum256([]byte(idColumn)); !bytes.Equal(column[:8], b[:8]) {
		return nil, fmt.Errorf("%w: it is of another id column", registry.ErrMark)
	}
	b = b[8:]
	number, b, ok := uvarint(b)
	if !ok || number > uint64(len(b)/(2+markDigest)) {
		return nil, registry.ErrMark
	}
	s := make(state, number)
	before := ""
	for i := range s {
		if b, ok = s[i].decode(b, before); !ok || i > 0 && s[i].id <= before {
			return nil, registry.ErrMark
		}
		before = s[i].id
	}
	if len(b) > 0 {
		return nil, registry.ErrMark
	}
	return s, nil
}

// decode reads one entry that follows one with the id before.
func (e *stateEntry) decode(b []byte, before string) (rest []byte, ok bool) {
	shared, b, ok1 := uvarint(b)
	length, b, ok2 := uvarint(b)
	if !ok1 || !ok2 || shared > uint64(len(before)) || length > maxID || shared+length > maxID || uint64(len(b)) < length+markDigest {
		return nil, false
	}
	e.id = before[:shared] + string(b[:length])
	copy(e.digest[:], b[length:])
	return b[length+markDigest:], true
}

// uvarint reads a number in its shortest form.
func uvarint(b []byte) (uint64, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

// stateOf is what a mark keeps of a record.
func stateOf(d *registry.Digester, r registry.Record) stateEntry {
	sum := d.Record(r)
	// The id is part of the whole record's text: a copy lets that go.
	e := stateEntry{id: strings.Clone(r.ID)}
	copy(e.digest[:], sum[:])
	return e
}

// Mark implements [registry.Source].
func (s *Source) Mark(ctx context.Context) (registry.Mark, error) {
	c := s.newComparison(nil)
	for r, err := range s.Records(ctx) {
		if _, ok := errors.AsType[*registry.RowError](err); ok {
			continue
		}
		if err != nil {
			return nil, err
		}
		c.next(r)
	}
	return c.mark(), nil
}

// Changes implements [registry.Source]. Added and changed records come in the
// order of the file, then removed ones in the order of their ids.
func (s *Source) Changes(ctx context.Context, since registry.Mark) iter.Seq2[registry.Change, error] {
	return func(yield func(registry.Change, error) bool) {
		var old state
		if since != nil {
			var err error
			if old, err = decodeMark(since, s.options.IDColumn); err != nil {
				yield(registry.Change{}, err)
				return
			}
		}
		c := s.newComparison(old)
		for r, err := range s.Records(ctx) {
			change := registry.Change{}
			switch _, ok := errors.AsType[*registry.RowError](err); {
			case ok:
				c.broken = true
			case err != nil:
				yield(change, err)
				return
			default:
				if change, err = c.next(r); err == nil && change.Kind == "" {
					continue
				}
			}
			if !yield(change, err) {
				return
			}
		}
		for _, id := range c.missing() {
			if !yield(registry.Change{Kind: registry.Removed, ID: id}, nil) {
				return
			}
		}
		yield(registry.Change{Kind: registry.Reached, Mark: c.mark()}, nil)
	}
}

// A comparison is of the records of one reading with an older state.
type comparison struct {
	source   *Source
	digester *registry.Digester
	old, now state
	met      []bool // which of the old ones were met
	ids      map[string]struct{}
	broken   bool // some records could not be read
}

func (s *Source) newComparison(old state) *comparison {
	return &comparison{
		source: s, digester: registry.NewDigester(s.columns), old: old, met: make([]bool, len(old)), ids: make(map[string]struct{}),
	}
}

// next takes the next record and returns what happened to it; the zero Change
// if nothing did. A second record with an id is a *registry.RowError.
func (c *comparison) next(r registry.Record) (registry.Change, error) {
	if _, ok := c.ids[r.ID]; ok {
		return registry.Change{}, &registry.RowError{
			Line: r.Line, Code: registry.RowDuplicateID, Detail: "an earlier record has the same id",
		}
	}
	e := stateOf(c.digester, r)
	c.ids[e.id] = struct{}{}
	c.now = append(c.now, e)
	i, ok := c.old.find(e.id)
	switch {
	case !ok:
		return registry.Change{Kind: registry.Added, ID: r.ID, Record: r}, nil
	case c.old[i].digest != e.digest:
		c.met[i] = true
		return registry.Change{Kind: registry.Changed, ID: r.ID, Record: r}, nil
	}
	c.met[i] = true
	return registry.Change{}, nil
}

// missing returns the ids that are no longer there. If some records could not
// be read they may be among those: then nothing is said to be missing, and the
// mark keeps them for the next time.
func (c *comparison) missing() []string {
	var ids []string
	for i, e := range c.old {
		switch {
		case c.met[i]:
		case c.broken:
			c.now = append(c.now, e)
		default:
			ids = append(ids, e.id)
		}
	}
	return ids
}

// mark returns the mark of the present state.
func (c *comparison) mark() registry.Mark {
	c.now.sort()
	return c.now.encode(c.source.options.IDColumn)
}
