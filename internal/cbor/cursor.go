package cbor

import (
	"fmt"
	"iter"
	"strconv"
	"unicode/utf8"
)

// Kind is the major type of an item (RFC 8949 section 3.1).
type Kind byte

// The major types.
const (
	Unsigned Kind = iota
	Negative
	Bytes
	Text
	Array
	Map
	Tagged
	Simple // false, true, null and floating-point numbers
)

// String names the kind for error texts.
func (k Kind) String() string {
	return [...]string{"integer", "negative integer", "byte string", "text", "array", "map", "tag", "simple value"}[k&7]
}

// A Key is the key of a map: an integer or a text. Maps with other keys are
// refused.
type Key struct {
	Int  int64
	Text string // set if the key is a text
	Word bool   // the key is a text, perhaps an empty one
	// Simple is [Limits.SimpleKey] where that is the key, else 0; Int is 0 beside it.
	Simple byte
}

// Name is the key as text; an integer in decimal.
func (k Key) Name() string {
	if k.Word {
		return k.Text
	}
	return strconv.FormatInt(k.Int, 10)
}

// A Cursor reads one item from front to back. Its methods return the zero value
// once something was not as expected, and Err says what; nothing read from a
// cursor counts before Err and Done were asked. Beside the limits of one array or
// map it reads no more than four times Limits.Items items in all, so that many
// small maps cannot make work. A Cursor is not safe for use by several
// goroutines.
type Cursor struct {
	data  []byte
	limit Limits
	off   int
	heads int    // how many items were read, keys included
	text  string // data as a string, once a text was read; texts are parts of it
	err   error
}

// Cursor checks that b is one well-formed item within the limits and returns a
// cursor at its start. Byte strings and raw items that the cursor returns share
// the memory of b.
func (l Limits) Cursor(b []byte) (Cursor, error) {
	if len(b) > l.Bytes {
		return Cursor{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), l.Bytes)
	}
	if err := l.decoder().Wellformed(b); err != nil {
		return Cursor{}, l.explain(err)
	}
	return Cursor{data: b, limit: l}, nil
}

// Err returns what was wrong, or nil.
func (c *Cursor) Err() error { return c.err }

// Done returns Err, or an error if something is left to read.
func (c *Cursor) Done() error {
	if c.err == nil && c.off != len(c.data) {
		c.failf("more elements than expected")
	}
	return c.err
}

// Kind is the kind of the next item; Simple at the end.
func (c *Cursor) Kind() Kind {
	if c.err != nil || c.off >= len(c.data) {
		return Simple
	}
	return Kind(c.data[c.off] >> 5)
}

func (c *Cursor) failf(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
	}
}

// head reads the head of the next item. The bytes are well-formed, so that a
// head which does not fit means that the caller read past the end.
func (c *Cursor) head() (Kind, uint64) {
	if c.err != nil {
		return Simple, 0
	}
	if c.off >= len(c.data) {
		c.failf("ends too early")
		return Simple, 0
	}
	if c.heads++; c.heads > 4*c.limit.Items {
		c.err = fmt.Errorf("%w: more than %d items in all", ErrTooLarge, 4*c.limit.Items)
		return Simple, 0
	}
	first := c.data[c.off]
	c.off++
	kind, info := Kind(first>>5), first&31
	if info < 24 {
		return kind, uint64(info)
	}
	n := 1 << (info - 24) // 24 to 27 announce 1, 2, 4 and 8 bytes
	if info > 27 || len(c.data)-c.off < n {
		c.failf("a head that is not well-formed")
		return Simple, 0
	}
	var v uint64
	for _, b := range c.data[c.off : c.off+n] {
		v = v<<8 | uint64(b)
	}
	c.off += n
	return kind, v
}

// expect reads the head of an item of this kind.
func (c *Cursor) expect(want Kind) uint64 {
	if got := c.Kind(); got != want && c.err == nil {
		c.failf("%s in place of %s", got, want)
	}
	_, n := c.head()
	return n
}

// Int reads an integer that fits an int64.
func (c *Cursor) Int() int64 {
	kind := c.Kind()
	if kind > Negative && c.err == nil {
		c.failf("%s in place of integer", kind)
	}
	_, n := c.head()
	if n > 1<<63-1 {
		c.failf("an integer beyond 64 bits")
		return 0
	}
	if kind == Negative {
		return -1 - int64(n)
	}
	return int64(n)
}

// Bytes reads a byte string.
func (c *Cursor) Bytes() []byte { return c.take(c.expect(Bytes)) }

// Text reads a text.
func (c *Cursor) Text() string {
	n := c.expect(Text)
	from := c.off
	b := c.take(n)
	if !utf8.Valid(b) {
		c.failf("text that is not UTF-8")
	}
	if c.err != nil || len(b) == 0 {
		return ""
	}
	if c.text == "" {
		c.text = string(c.data)
	}
	return c.text[from:c.off]
}

func (c *Cursor) take(n uint64) []byte {
	if c.err == nil && n > uint64(len(c.data)-c.off) {
		c.failf("a length that does not fit")
	}
	if c.err != nil {
		return nil
	}
	from := c.off
	c.off += int(n)
	return c.data[from:c.off:c.off]
}

// Array reads the head of an array and returns how many items follow.
func (c *Cursor) Array() int {
	n := c.expect(Array)
	if c.err != nil {
		return 0
	}
	return int(n)
}

// Tag reads the number of a tag; its content is next.
func (c *Cursor) Tag() uint64 { return c.expect(Tagged) }

// Next is what is left from the next item on, for whoever keeps the place; its end
// is that of everything.
func (c *Cursor) Next() []byte {
	if c.err != nil {
		return nil
	}
	return c.data[c.off:]
}

// Pairs looks at the map that is next and returns how many pairs it has; 0 for
// anything else.
func (c *Cursor) Pairs() int {
	if c.Kind() != Map {
		return 0
	}
	from := c.off
	_, n := c.head()
	c.off = from
	return int(min(n, 1<<31-1))
}

// Map reads a map and yields each key with the cursor at its value. A value that
// the loop leaves unread is skipped, strictly. A key that stands twice is an
// error.
func (c *Cursor) Map() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		n := int(min(c.expect(Map), 1<<31-1))
		var keys keySet
		for range n {
			k := c.key()
			if c.err == nil && !keys.add(k, n) {
				c.failf("a key stands twice in one map")
			}
			if c.err != nil {
				return
			}
			before := c.off
			if !yield(k) {
				return
			}
			if c.off == before {
				c.Skip()
			}
		}
	}
}

func (c *Cursor) key() Key {
	switch c.Kind() {
	case Unsigned, Negative:
		return Key{Int: c.Int()}
	case Text:
		return Key{Text: c.Text(), Word: true}
	}
	if n := c.limit.SimpleKey; n != 0 && c.off+1 < len(c.data) && c.data[c.off] == 0xf8 && c.data[c.off+1] == n {
		c.head()
		return Key{Simple: n}
	}
	c.failf("a map key of a kind that is not allowed")
	return Key{}
}

// keySet finds keys that stand twice: by looking through the few keys of a
// usual map, through a Go map in larger ones.
type keySet struct {
	few  [16]Key
	n    int
	many map[Key]struct{}
}

// add reports whether k is new. Size is the number of keys to come.
func (s *keySet) add(k Key, size int) bool {
	if size > len(s.few) {
		if s.many == nil {
			s.many = make(map[Key]struct{}, size)
		}
		s.many[k] = struct{}{}
		s.n++
		return len(s.many) == s.n
	}
	for _, old := range s.few[:s.n] {
		if old == k {
			return false
		}
	}
	s.few[s.n] = k
	s.n++
	return true
}

// Skip reads over the next item, as strictly as Value.
func (c *Cursor) Skip() { c.walk(false) }

// Raw reads the next item and returns its bytes.
func (c *Cursor) Raw() RawMessage {
	from := c.off
	c.Skip()
	if c.err != nil {
		return nil
	}
	return RawMessage(c.data[from:c.off:c.off])
}

// Value reads the next item as string, int64, float64, bool, []byte, []any,
// map[string]any or nil. Integer keys become decimal text, and a tag is dropped
// for its content.
func (c *Cursor) Value() any { return c.walk(true) }

// walk reads one item and builds it if asked to. The nesting was limited before.
func (c *Cursor) walk(build bool) any {
	switch c.Kind() {
	case Unsigned, Negative:
		if n := c.Int(); build {
			return n
		}
	case Bytes:
		if b := c.Bytes(); build {
			return b
		}
	case Text:
		if s := c.Text(); build {
			return s
		}
	case Array:
		return c.walkArray(build)
	case Map:
		return c.walkMap(build)
	case Tagged:
		c.checkTag(c.Tag())
		return c.walk(build)
	case Simple:
		return c.walkSimple()
	}
	return nil
}

func (c *Cursor) walkArray(build bool) any {
	n := c.Array()
	if !build {
		for i := 0; i < n && c.err == nil; i++ {
			c.walk(false)
		}
		return nil
	}
	list := make([]any, 0, n)
	for i := 0; i < n && c.err == nil; i++ {
		list = append(list, c.walk(true))
	}
	return list
}

func (c *Cursor) walkMap(build bool) any {
	if !build {
		for range c.Map() {
			c.walk(false)
		}
		return nil
	}
	m := map[string]any{}
	for k := range c.Map() {
		v := c.walk(true)
		if _, twice := m[k.Name()]; twice {
			c.failf("a key stands twice in one map, as integer and as text")
		}
		m[k.Name()] = v
	}
	return m
}

// checkTag refuses the contents that the tags of RFC 8949 section 3.4 forbid.
// Big numbers were refused before.
func (c *Cursor) checkTag(tag uint64) {
	if c.err != nil {
		return
	}
	kind := c.Kind()
	float := kind == Simple && c.off < len(c.data) && c.data[c.off] >= 0xf9 && c.data[c.off] <= 0xfb
	switch {
	case tag == 0 && kind != Text, tag == 1 && kind > Negative && !float:
		c.failf("a date tag on %s", kind)
	}
}

// walkSimple reads false, true, null or a floating-point number, which it leaves
// to the library.
func (c *Cursor) walkSimple() any {
	from := c.off
	kind, _ := c.head()
	if kind != Simple {
		c.failf("%s in place of %s", kind, Simple)
	}
	if c.err != nil {
		return nil
	}
	switch c.data[from] {
	case 0xf4, 0xf5:
		return c.data[from] == 0xf5
	case 0xf6:
		return nil
	case 0xf8:
		c.failf("simple value %d", c.data[from+1])
		return nil
	}
	var f float64
	if err := c.limit.decoder().Unmarshal(c.data[from:c.off], &f); err != nil {
		c.err = c.limit.explain(err)
		return nil
	}
	return f
}

// Float reads a floating-point number.
func (c *Cursor) Float() float64 {
	v, ok := c.walkSimple().(float64)
	if !ok {
		c.failf("no floating-point number")
	}
	return v
}
