package sqltable

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"

	"fmt"
	"hash"
	"iter"
	"math"

	"github.com/sanad-id/sanad/registry"
)

// The mark of a range is
//
//	"sanad-sql-range" 1      name and version
//	8 bytes                  of the SHA-256 of the names of the id column and of
//	                         the changed column
//	uvarint, three times     number of the first record; how many there are; how
//	                         many records with the id before come before it
//	"r"                      for records with ids: the id before the first one and
//	                         the last id, each as "i" or "t": integer or text;
//	                         uvarint: length; the id
//	or "f"                   for the very first records: the last id alone
//	then                     16 bytes of the SHA-256 of all ids from the first one
//	or "t"                   for records without an id, uvarint, four times: how
//	                         many of them come before, and how many there are of
//	                         each kind
//	16 bytes                 of the SHA-256 of all before
//
// It begins where the range before it ends, so that a record that has come in
// between belongs to one. It holds as long as the records between the two ids are
// those that were there when it was made, whatever their values are.
const rangeName = "sanad-sql-range\x01"

// A run is what the mark of a range says.
type run struct {
	first   int64
	n, skip int
	from    key // the id before; class 0: there is none
	to      key // the last id; class 0: the records have none
	ids     [markCheck]byte
	before  int
	tail    tail
}

func (r *run) encode(following [8]byte) registry.Mark {
	b := append([]byte(rangeName), following[:]...)
	numbers := func(v ...int) {
		for _, v := range v {
			b = binary.AppendUvarint(b, uint64(v))
		}
	}
	b = binary.AppendUvarint(b, uint64(r.first))
	numbers(r.n, r.skip)
	switch {
	case r.to.class == 0:
		b = append(b, 't')
		numbers(r.before, r.tail[0], r.tail[1], r.tail[2])
	case r.from.class == 0:
		b = append(b, 'f')
	default:
		b = appendText(append(b, 'r', r.from.class), r.from.text)
	}
	if r.to.class != 0 {
		b = appendText(append(b, r.to.class), r.to.text)
		b = append(b, r.ids[:]...)
	}
	check := sha256.Sum256(b)
	return append(b, check[:markCheck]...)
}

// decodeRun returns what a range's mark says, or ErrMark.
func decodeRun(m registry.Mark, following [8]byte) (r run, err error) {
	if len(m) < len(rangeName)+len(following)+markCheck || !bytes.HasPrefix(m, []byte(rangeName)) {
		return r, registry.ErrMark
	}
	b, check := m[:len(m)-markCheck], m[len(m)-markCheck:]
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:markCheck], check) {
		return r, fmt.Errorf("%w: it is damaged", registry.ErrMark)
	}
	b = b[len(rangeName):]
	if !bytes.Equal(b[:len(following)], following[:]) {
		return r, fmt.Errorf("%w: it is of another id column or changed column", registry.ErrMark)
	}
	b = b[len(following):]
	good := true
	number := func(most uint64) int {
		v, rest, ok := uvarint(b)
		if good = good && ok && v <= most; !good {
			return 0
		}
		b = rest
		return int(v)
	}
	take := func(n int) []byte {
		if good = good && n <= len(b); !good {
			return make([]byte, n)
		}
		taken := b[:n]
		b = b[n:]
		return taken
	}
	id := func() key {
		class := take(1)[0]
		text := take(number(maxID))
		good = good && (class == textual || class == integer && isInteger(string(text)))
		return key{class, string(text)}
	}
	r.first, r.n, r.skip = int64(number(math.MaxInt64/4)), number(math.MaxInt32), number(math.MaxInt32)
	switch kind := take(1)[0]; kind {
	case 'r', 'f':
		if kind == 'r' {
			r.from = id()
		}
		good = good && (kind == 'r') == (r.skip > 0)
		r.to = id()
		copy(r.ids[:], take(markCheck))
	case 't':
		r.before = number(math.MaxInt32)
		for i := range r.tail {
			r.tail[i] = number(math.MaxInt32)
		}
		good = good && r.skip == 0 && r.before+r.n <= r.tail.total()
	default:
		good = false
	}
	if !good || len(b) > 0 || r.first < 1 || r.n < 1 {
		return run{}, registry.ErrMark
	}
	return r, nil
}

// idsSum is the digest of the ids of a run, one after the other.
type idsSum struct {
	hash.Hash
	buf []byte
}

func newIDsSum() *idsSum { return &idsSum{Hash: sha256.New()} }

func (s *idsSum) add(c cell) {
	s.buf = appendText(append(s.buf[:0], c.class), c.text)
	s.Write(s.buf)
}

func (s *idsSum) sum() (sum [markCheck]byte) {
	copy(sum[:], s.Hash.Sum(nil))
	return sum
}

// Ranges implements [registry.Ranger]. It reads all ids, and nothing else.
func (s *Source) Ranges(ctx context.Context, n int) iter.Seq2[registry.Range, error] {
	return func(yield func(registry.Range, error) bool) {
		if n < 1 || n > math.MaxInt32 {
			yield(registry.Range{}, fmt.Errorf("sqltable: ranges of %d records", n))
			return
		}
		c := cutter{Source: s, n: n, yield: yield, following: s.following()}
		if err := c.cut(ctx); err != nil && !c.stopped {
			yield(registry.Range{}, err)
		}
	}
}

// A cutter cuts a table into ranges.
type cutter struct {
	*Source
	n         int
	yield     func(registry.Range, error) bool
	following [8]byte
	stopped   bool

	now   run
	lines int64 // records so far
	same  int   // of them, the latest ones with one id
	last  cell
	sum   *idsSum
}

func (c *cutter) cut(ctx context.Context) error {
	snap, err := c.db.begin(ctx)
	if err != nil {
		return err
	}
	defer snap.end()
	err = snap.stream(ctx, c.shape.ids, nil, func(row []cell) bool {
		c.next(row[0])
		return !c.stopped && ctx.Err() == nil
	}, nil)
	if err = cmpErr(ctx.Err(), err); err != nil || c.stopped {
		return err
	}
	c.deliver()
	t, err := c.tail(ctx, snap)
	if err != nil {
		return err
	}
	for before := 0; before < t.total() && !c.stopped; before += c.n {
		r := run{first: c.lines + int64(before) + 1, n: min(c.n, t.total()-before), before: before, tail: t}
		c.stopped = !c.yield(registry.Range{First: r.first, N: r.n, Start: r.encode(c.following)}, nil)
	}
	return nil
}

// next takes one more record in.
func (c *cutter) next(id cell) {
	if c.now.n == c.n {
		c.deliver()
	}
	if c.now.n == 0 {
		c.now = run{first: c.lines + 1, skip: c.same}
		c.sum = newIDsSum()
		if c.lines > 0 {
			c.now.from = key{c.last.class, c.last.text}
		}
		for range c.same {
			c.sum.add(c.last)
		}
	}
	if c.lines > 0 && id == c.last {
		c.same++
	} else {
		c.same = 1
	}
	c.last = id
	c.lines++
	c.sum.add(id)
	c.now.n++
	c.now.to = key{id.class, id.text}
}

// deliver yields the present range, if it has records.
func (c *cutter) deliver() {
	if c.now.n == 0 || c.stopped {
		return
	}
	c.now.ids = c.sum.sum()
	c.stopped = !c.yield(registry.Range{First: c.now.first, N: c.now.n, Start: c.now.encode(c.following)}, nil)
	c.now = run{}
}

// Range implements [registry.Ranger]. It reads the ids of the range first, to see
// that they are those it was cut from, and then the records.
func (s *Source) Range(ctx context.Context, g registry.Range) iter.Seq2[registry.Record, error] {
	return func(yield func(registry.Record, error) bool) {
		stopped, err := s.eachOf(ctx, g, yield)
		if err != nil && !stopped {
			yield(registry.Record{}, err)
		}
	}
}

var errMoved = fmt.Errorf("%w: the table has other records there", registry.ErrMark)

func (s *Source) eachOf(ctx context.Context, g registry.Range, yield func(registry.Record, error) bool) (stopped bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	r, err := decodeRun(g.Start, s.following())
	if err == nil && (r.first != g.First || r.n != g.N) {
		err = fmt.Errorf("%w: it is of another range", registry.ErrMark)
	}
	if err != nil {
		return false, err
	}
	for _, k := range []key{r.from, r.to} {
		if _, ok := s.shape.keys(k.text); k.class != 0 && !ok {
			return false, registry.ErrMark
		}
	}
	snap, err := s.db.begin(ctx)
	if err != nil {
		return false, err
	}
	defer snap.end()
	if r.to.class == 0 {
		return s.eachOfTail(ctx, snap, r, yield)
	}
	if err := s.same(ctx, snap, r); err != nil {
		return false, err
	}
	at := 0
	statement, keys := s.shape.between, []key{r.from, r.to}
	if r.from.class == 0 {
		statement, keys = s.shape.upTo, keys[1:]
	}
	err = snap.stream(ctx, statement, keys, func(row []cell) bool {
		at++
		switch {
		case at <= r.skip:
			return true
		case at > r.skip+r.n || ctx.Err() != nil:
			return false
		}
		stopped = !yield(s.record(row, int(r.first)+at-r.skip-1))
		return !stopped
	}, nil)
	return stopped, cmpErr(ctx.Err(), err)
}

// same checks that the ids of a run are those that were there.
func (s *Source) same(ctx context.Context, snap snapshot, r run) error {
	sum, n := newIDsSum(), 0
	statement, keys := s.shape.idsIn, []key{r.from, r.to}
	if r.from.class == 0 {
		statement, keys = s.shape.idsUpTo, keys[1:]
	}
	err := snap.stream(ctx, statement, keys, func(row []cell) bool {
		if n == r.skip+r.n {
			// What follows is only more records with the last id.
			if row[0].text != r.to.text {
				n = -1
			}
			return false
		}
		n++
		sum.add(row[0])
		return ctx.Err() == nil
	}, nil)
	if err = cmpErr(ctx.Err(), err); err != nil {
		return err
	}
	if n != r.skip+r.n || sum.sum() != r.ids {
		return errMoved
	}
	return nil
}

func (s *Source) eachOfTail(ctx context.Context, snap snapshot, r run, yield func(registry.Record, error) bool) (stopped bool, err error) {
	t, err := s.tail(ctx, snap)
	if err == nil && t != r.tail {
		err = errMoved
	}
	if err != nil {
		return false, err
	}
	for i := range r.n {
		if err := ctx.Err(); err != nil {
			return false, cmpErr(err, nil)
		}
		if !yield(registry.Record{}, t.at(r.before+i, int(r.first)+i)) {
			return true, nil
		}
	}
	return false, nil
}
