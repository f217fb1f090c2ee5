// Package strict reads JSON (RFC 8259) and base64url (RFC 4648 section 5) where
// signed data depend on it, and writes JSON that every reader takes alike.
//
// Start with [Limits.JSON], which returns a [Value]; [AppendJSON] is the other
// direction, [DecodeBase64URL] and [AppendBase64URL] the other format. They refuse
// what readers are known to disagree on: a member twice at any depth, text that is
// not UTF-8 or holds half a surrogate pair, whole numbers beyond 2^53, numbers
// without a finite value, anything after the value, and base64url with padding,
// line breaks or stray bits. Names are compared byte for byte, so that "Alg" is
// never "alg".
//
// Nesting, size and count are bounded before anything is kept. What the members
// mean is left to the caller. encoding/json does none of this: it keeps the last of
// two equal names, folds their case and repairs text.
package strict

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Errors that callers tell apart.
var (
	// ErrMalformed: not the JSON or base64url that was expected.
	ErrMalformed = errors.New("strict: malformed")
	// ErrTooLarge: a limit on size, nesting or count is passed.
	ErrTooLarge = errors.New("strict: too large")
)

// Limits bound one JSON text. Every field must be set.
type Limits struct {
	// Bytes is the most bytes of the text.
	Bytes int
	// Depth is how deep arrays and objects may nest; 1 is a flat one.
	Depth int
	// Items is the most values, members and elements of all depths together.
	Items int
}

// maxNumber is the most characters of a number. The shortest form of a float64
// needs 24.
const maxNumber = 128

// maxWhole is the largest whole number that every reader takes alike
// (RFC 7493 section 2.2).
const maxWhole = 1<<53 - 1

// manyDigits reports whether f, which is not within maxWhole or no whole number, is one of
// those that ECMAScript writes with their digits alone, so that 11E15 comes back as
// 11000000000000000. From 1e21 on they have an exponent.
func manyDigits(f float64) bool { return math.Abs(f) > maxWhole && math.Abs(f) < 1e21 }

// A Kind is a kind of JSON value. Whole numbers are told from others by their
// value and not by their spelling: 0, -0 and 0.0 are one Int.
type Kind byte

// The kinds. None is the zero Value, which no text gives.
const (
	None Kind = iota
	Null
	Bool
	Int
	Float
	Text
	Array
	Object
)

// A Value is one JSON value. It must not be changed; copies share memory.
type Value struct {
	kind  Kind
	bits  uint64 // of a Bool, Int or Float
	text  string
	list  []Value  // elements, or the values of members
	names []string // of members, in their order
}

// Kind is the kind of v.
func (v Value) Kind() Kind { return v.kind }

// Text returns the text of v and whether v is one.
func (v Value) Text() (string, bool) { return v.text, v.kind == Text }

// Int returns the whole number v and whether v is one.
func (v Value) Int() (int64, bool) {
	if v.kind != Int {
		return 0, false
	}
	return int64(v.bits), true
}

// Len is the number of elements or members of v, 0 if v has none.
func (v Value) Len() int { return len(v.list) }

// At returns element i, or the value of member i in the order of the text.
func (v Value) At(i int) Value { return v.list[i] }

// Name returns the name of member i of an object.
func (v Value) Name(i int) string { return v.names[i] }

// Get returns the member with this name. If v is no object or has no such member,
// the Kind of what it returns is [None].
func (v Value) Get(name string) Value {
	for i, n := range v.names {
		if n == name {
			return v.list[i]
		}
	}
	return Value{}
}

// Any returns v as nil, bool, int64, float64, string, []any or map[string]any.
func (v Value) Any() any {
	switch v.kind {
	case Bool:
		return v.bits == 1
	case Int:
		return int64(v.bits)
	case Float:
		return math.Float64frombits(v.bits)
	case Text:
		return v.text
	case Array:
		list := make([]any, len(v.list))
		for i, e := range v.list {
			list[i] = e.Any()
		}
		return list
	case Object:
		m := make(map[string]any, len(v.list))
		for i, e := range v.list {
			m[v.names[i]] = e.Any()
		}
		return m
	}
	return nil
}

// NewArray returns an array of these elements.
func NewArray(elements []Value) Value { return Value{kind: Array, list: elements} }

// NewObject returns an object of these members. Names must differ; that is not
// checked here.
func NewObject(names []string, values []Value) Value {
	return Value{kind: Object, names: names, list: values}
}

// lastSecond is the end of the year 9999, the last moment that RFC 3339 writes.
var lastSecond = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// Date reads v as a NumericDate (RFC 7519 section 2) of the years 1970 to 9999. A
// fraction of a second is cut off.
func (v Value) Date() (time.Time, error) {
	var n int64
	switch v.kind {
	case Int:
		n = int64(v.bits)
	case Float:
		if f := math.Float64frombits(v.bits); math.Abs(f) <= maxWhole {
			n = int64(math.Floor(f))
		} else {
			n = -1
		}
	default:
		return time.Time{}, fmt.Errorf("%w: a time that is not a number", ErrMalformed)
	}
	if n < 0 || n > lastSecond.Unix() {
		return time.Time{}, fmt.Errorf("%w: a time outside the years 1970 to 9999", ErrMalformed)
	}
	return time.Unix(n, 0).UTC(), nil
}

// JSON reads one JSON value that fills b.
func (l Limits) JSON(b []byte) (Value, error) { return l.JSONText(string(b)) }

// JSONText is JSON for a string, whose memory the value shares.
func (l Limits) JSONText(s string) (Value, error) {
	r := Reader{limits: l}
	return r.Next(s)
}

// A Reader reads several texts under one bound. The values share memory.
type Reader struct {
	limits Limits
	failed bool
	free   []Value // of no value yet
}

// Reader returns a Reader for about so many texts. The limits of bytes and depth are
// those of each text, that of items is for all of them together.
func (l Limits) Reader(texts int) *Reader {
	const usual = 4 // items of a text
	return &Reader{limits: l, free: make([]Value, 0, usual*min(texts, 64))}
}

// Next is [Limits.JSONText] that takes what it read off what is left. After an error
// there is nothing left.
func (r *Reader) Next(s string) (Value, error) {
	v, err := r.next(s)
	r.failed = r.failed || err != nil
	return v, err
}

func (r *Reader) next(s string) (Value, error) {
	l := &r.limits
	switch {
	case r.failed:
		return Value{}, fmt.Errorf("%w: after an error", ErrTooLarge)
	case l.Bytes <= 0 || l.Depth <= 0 || l.Items == 0:
		return Value{}, errors.New("strict: Limits are not set")
	case len(s) > l.Bytes:
		return Value{}, fmt.Errorf("%w: %d bytes of JSON, at most %d", ErrTooLarge, len(s), l.Bytes)
	case !utf8.ValidString(s):
		return Value{}, fmt.Errorf("%w: not UTF-8", ErrMalformed)
	}
	p := parser{s: s, items: l.Items, outer: l.Depth - 1}
	// One comma fewer than elements, mostly: the stack seldom grows.
	n := min(strings.Count(s, ",")+1, 1024)
	if cap(r.free) < n {
		r.free = make([]Value, 0, n)
	}
	p.values = r.free[:0:n]
	p.space()
	v, err := p.value(l.Depth)
	if err != nil {
		return Value{}, err
	}
	p.space()
	if p.at != len(s) {
		return Value{}, fmt.Errorf("%w: bytes after the JSON value", ErrMalformed)
	}
	if l.Items = p.items; p.items == 0 {
		l.Items = -1 // used up, and not unset
	}
	if len(v.list) <= n {
		r.free = r.free[len(v.list):len(v.list):cap(r.free)] // the rest is nobody's
	}
	return v, nil
}

// Object is JSON for a text that must be an object.
func (l Limits) Object(b []byte) (Value, error) {
	v, err := l.JSON(b)
	if err == nil && v.kind != Object {
		return Value{}, fmt.Errorf("%w: not a JSON object", ErrMalformed)
	}
	return v, err
}

// A parser stands at one byte of a text that is valid UTF-8.
type parser struct {
	s     string
	at    int
	items int // how many more values it may make
	outer int // how many levels the outermost array or object may open

	values []Value // the elements of arrays and objects that are still open
	names  []string
}

func (p *parser) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrMalformed, what, p.at)
}

// peek is the byte at which p stands, 0 at the end. A zero byte in the text is
// nowhere allowed, so the two need no telling apart.
func (p *parser) peek() byte {
	if p.at < len(p.s) {
		return p.s[p.at]
	}
	return 0
}

func (p *parser) space() {
	for p.at < len(p.s) {
		switch p.s[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// value reads one value; depth is how many levels more it may open.
func (p *parser) value(depth int) (Value, error) {
	if p.items--; p.items < 0 {
		return Value{}, fmt.Errorf("%w: too many values in JSON", ErrTooLarge)
	}
	switch c := p.peek(); {
	case c == '"':
		s, err := p.text()
		return Value{kind: Text, text: s}, err
	case c == '{' || c == '[':
		if depth == 0 {
			return Value{}, fmt.Errorf("%w: JSON nested too deep", ErrTooLarge)
		}
		p.at++
		if c == '{' {
			return p.object(depth - 1)
		}
		return p.array(depth - 1)
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for _, w := range [...]struct {
		word  string
		value Value
	}{{"true", Value{kind: Bool, bits: 1}}, {"false", Value{kind: Bool}}, {"null", Value{kind: Null}}} {
		if strings.HasPrefix(p.s[p.at:], w.word) {
			p.at += len(w.word)
			return w.value, nil
		}
	}
	return Value{}, p.fail("no JSON value")
}

// array reads what follows the bracket.
func (p *parser) array(depth int) (Value, error) {
	from := len(p.values)
	p.space()
	if p.peek() == ']' {
		p.at++
		return Value{kind: Array}, nil
	}
	for {
		p.space()
		v, err := p.value(depth)
		if err != nil {
			return Value{}, err
		}
		p.values = append(p.values, v)
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case ']':
			p.at++
			return Value{kind: Array, list: p.take(from, depth)}, nil
		default:
			return Value{}, p.fail("neither comma nor bracket")
		}
	}
}

// take returns the values from this place of the stack on. The outermost array or
// object takes the stack itself, since nothing follows it.
func (p *parser) take(from, depth int) []Value {
	if depth == p.outer {
		return slices.Clip(p.values)
	}
	list := slices.Clone(p.values[from:])
	p.values = p.values[:from]
	return list
}

// takeNames is take for the names of members.
func (p *parser) takeNames(from, depth int) []string {
	if depth == p.outer {
		return p.names
	}
	names := slices.Clone(p.names[from:])
	p.names = p.names[:from]
	return names
}

// object reads what follows the brace.
func (p *parser) object(depth int) (Value, error) {
	from, fromName := len(p.values), len(p.names)
	p.space()
	if p.peek() == '}' {
		p.at++
		return Value{kind: Object}, nil
	}
	var seen nameSet
	if p.names == nil {
		p.names = make([]string, 0, cap(p.values)-len(p.values))
	}
	for {
		p.space()
		if p.peek() != '"' {
			return Value{}, p.fail("no member name")
		}
		name, err := p.text()
		if err != nil {
			return Value{}, err
		}
		if seen.has(p.names[fromName:], name) {
			return Value{}, p.fail("a member that stands there twice")
		}
		p.names = append(p.names, name)
		p.space()
		if p.peek() != ':' {
			return Value{}, p.fail("no colon")
		}
		p.at++
		p.space()
		v, err := p.value(depth)
		if err != nil {
			return Value{}, err
		}
		p.values = append(p.values, v)
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case '}':
			p.at++
			return Value{kind: Object, list: p.take(from, depth), names: p.takeNames(fromName, depth)}, nil
		default:
			return Value{}, p.fail("neither comma nor brace")
		}
	}
}

// fewNames is up to how many names are compared one by one.
const fewNames = 16

// A nameSet answers whether a name stands in a list that only grows.
type nameSet map[string]bool

func (n *nameSet) has(names []string, name string) bool {
	if len(names) < fewNames {
		for _, other := range names {
			if other == name {
				return true
			}
		}
		return false
	}
	if *n == nil {
		*n = make(nameSet, 2*len(names))
		for _, other := range names {
			(*n)[other] = true
		}
	}
	twice := (*n)[name]
	(*n)[name] = true
	return twice
}

// text reads a string. Without escapes it shares the memory of the text.
func (p *parser) text() (string, error) {
	p.at++
	from := p.at
	for p.at < len(p.s) {
		switch c := p.s[p.at]; {
		case c == '"':
			p.at++
			return p.s[from : p.at-1], nil
		case c == '\\':
			return p.escaped(from)
		case c < ' ':
			return "", p.fail("a control character in a text")
		}
		p.at++
	}
	return "", p.fail("a text without an end")
}

// escaped goes on with a text that began at from, where the first escape stands.
func (p *parser) escaped(from int) (string, error) {
	b := append(make([]byte, 0, 2*(p.at-from)+16), p.s[from:p.at]...)
	for p.at < len(p.s) {
		switch c := p.s[p.at]; {
		case c == '"':
			p.at++
			return string(b), nil
		case c < ' ':
			return "", p.fail("a control character in a text")
		case c != '\\':
			b = append(b, c)
			p.at++
		default:
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		}
	}
	return "", p.fail("a text without an end")
}

// escape reads one escape, or two that are the halves of one character.
func (p *parser) escape() (rune, error) {
	p.at++
	c := p.peek()
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 && c != 0 {
		p.at++
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	if c != 'u' {
		return 0, p.fail("an unknown escape")
	}
	r, ok := p.hex()
	if !ok {
		return 0, p.fail("an escape without four hexadecimal digits")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if p.peek() == '\\' && strings.HasPrefix(p.s[p.at:], `\u`) {
		p.at++
		if low, ok := p.hex(); ok {
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				return r, nil
			}
		}
	}
	return 0, p.fail("half of a surrogate pair")
}

// hex reads the u of an escape and its four digits.
func (p *parser) hex() (rune, bool) {
	p.at++
	if len(p.s)-p.at < 4 {
		return 0, false
	}
	var r rune
	for _, c := range []byte(p.s[p.at : p.at+4]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	p.at += 4
	return r, true
}

// number reads a number (RFC 8259 section 6).
func (p *parser) number() (Value, error) {
	from, whole := p.at, true
	if p.peek() == '-' {
		p.at++
	}
	if p.peek() == '0' {
		p.at++
	} else if !p.digits() {
		return Value{}, p.fail("a number without digits")
	}
	if p.peek() == '.' {
		p.at++
		if whole = false; !p.digits() {
			return Value{}, p.fail("a number that ends in its point")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if whole = false; !p.digits() {
			return Value{}, p.fail("a number without exponent")
		}
	}
	s := p.s[from:p.at]
	if len(s) > maxNumber {
		return Value{}, fmt.Errorf("%w: a number of %d characters", ErrTooLarge, len(s))
	}
	if whole {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n > maxWhole || n < -maxWhole {
			return Value{}, p.fail("a whole number that not every reader takes alike")
		}
		return Value{kind: Int, bits: uint64(n)}, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return Value{}, p.fail("a number that is not finite")
	}
	if f == math.Trunc(f) && math.Abs(f) <= maxWhole {
		return Value{kind: Int, bits: uint64(int64(f))}, nil
	}
	if manyDigits(f) {
		return Value{}, p.fail("a whole number that not every reader takes alike")
	}
	return Value{kind: Float, bits: math.Float64bits(f)}, nil
}

// digits passes over digits and reports whether there was one.
func (p *parser) digits() bool {
	from := p.at
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.at++
	}
	return p.at > from
}
