package audit

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	maxEntry = 8 << 10
	maxSlots = 16

	timeLayout = "2006-01-02T15:04:05.000Z"
)

// Marshal returns the event as entry n of a log: one line of JSON without its
// line break. It refuses an event that breaks the limits named at [Event].
func (e Event) Marshal(n int64) ([]byte, error) {
	b, err := e.appendEntry(make([]byte, 0, 512), n)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return b, nil
}

// appendEntry is Marshal into b.
func (e Event) appendEntry(b []byte, n int64) ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("%s event: %w", clip(string(e.Kind)), err)
	}
	start := len(b)
	b = strconv.AppendInt(append(b, `{"n":`...), n, 10)
	b = e.Time.UTC().AppendFormat(append(b, `,"time":"`...), timeLayout)
	b = append(append(b, `","kind":"`...), e.Kind...)
	b = append(b, '"')
	for _, m := range e.members() {
		if m.value != "" {
			b = append(append(append(b, `,"`...), m.name...), `":`...)
			b = appendText(b, m.value)
		}
	}
	if len(e.Slots) > 0 {
		b = append(b, `,"slots":[`...)
		for i, s := range e.Slots {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(append(b, `{"list":`...), s.URI)
			b = strconv.AppendUint(append(b, `,"index":`...), s.Index, 10)
			if s.Size != 0 {
				b = strconv.AppendUint(append(b, `,"size":`...), s.Size, 10)
			}
			if s.Form != "" {
				b = appendText(append(b, `,"form":`...), s.Form)
			}
			if s.Digest != "" {
				b = appendText(append(b, `,"digest":`...), s.Digest)
			}
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	if e.Count != 0 {
		b = strconv.AppendInt(append(b, `,"count":`...), int64(e.Count), 10)
	}
	if e.Version != 0 {
		b = strconv.AppendInt(append(b, `,"version":`...), int64(e.Version), 10)
	}
	if e.Row != 0 {
		b = strconv.AppendInt(append(b, `,"row":`...), e.Row, 10)
	}
	if !e.Expires.IsZero() {
		b = append(e.Expires.UTC().AppendFormat(append(b, `,"expires":"`...), timeLayout), '"')
	}
	if e.Idempotency != "" {
		b = appendText(append(b, `,"idempotency":`...), e.Idempotency)
	}
	b = append(b, '}')
	if len(b)-start > maxEntry {
		return nil, fmt.Errorf("%s event: entry of %d bytes, at most %d", clip(string(e.Kind)), len(b)-start, maxEntry)
	}
	return b, nil
}

// A member is one text member of an entry.
type member struct {
	name  string
	value string
	limit int
	valid class // 0: any text, encoded
}

// members are the text members in their order.
func (e *Event) members() [9]member {
	return [9]member{
		{"actor", e.Actor, 128, 0},
		{"programme", e.Programme, 128, identifier},
		{"credential", e.Credential, 128, identifier},
		{"record", e.Record, 64, hexDigits},
		{"batch", e.Batch, 128, identifier},
		{"key", e.Key, 128, identifier},
		{"digest", e.Digest, 512, identifier},
		{"reason", e.Reason, 64, code},
		{"detail", e.Detail, 256, 0},
	}
}

func (e *Event) check() error {
	switch {
	case e.Time.IsZero():
		return errors.New("time is not set")
	case e.Time.Year() < 0 || e.Time.Year() > 9999: // the layout has four digits
		return errors.New("time is out of range")
	case !slices.Contains(kinds, e.Kind):
		return errors.New("unknown kind")
	case e.Actor == "":
		return errors.New("actor is not set")
	case e.Count < 0:
		return errors.New("count is negative")
	case e.Version < 0 || e.Row < 0:
		return errors.New("version or row is negative")
	case e.Expires.Year() < 0 || e.Expires.Year() > 9999:
		return errors.New("expires is out of range")
	case len(e.Slots) > maxSlots:
		return fmt.Errorf("%d slots, at most %d", len(e.Slots), maxSlots)
	}
	for _, m := range e.members() {
		if err := m.check(); err != nil {
			return err
		}
	}
	if m := (member{"idempotency", e.Idempotency, 64, hexDigits}); m.check() != nil {
		return m.check()
	}
	for _, s := range e.Slots {
		for _, m := range [...]member{{"list", s.URI, 512, identifier}, {"form", s.Form, 128, identifier}, {"digest of a slot", s.Digest, 64, hexDigits}} {
			if err := m.check(); err != nil {
				return err
			}
		}
		if s.URI == "" {
			return errors.New("a slot without its list")
		}
	}
	return nil
}

// check names the member that is at fault and never its value.
func (m *member) check() error {
	if len(m.value) > m.limit {
		return fmt.Errorf("%s of %d bytes, at most %d", m.name, len(m.value), m.limit)
	}
	if m.valid == 0 {
		if !utf8.ValidString(m.value) {
			return fmt.Errorf("%s is not UTF-8", m.name)
		}
		return nil
	}
	for i := range len(m.value) {
		if classes[m.value[i]]&m.valid == 0 {
			return fmt.Errorf("%s has a character at byte %d that it must not have", m.name, i)
		}
	}
	return nil
}

// A class is a set of ASCII characters. None has one that JSON escapes.
type class byte

const (
	identifier class = 1 << iota
	hexDigits
	code
	plain // what stands in a JSON string as it is
)

var classes = func() (t [256]class) {
	for c := byte(' '); c < 0x7f; c++ {
		if c != '"' && c != '\\' {
			t[c] |= plain
		}
		if c != '"' && c != '\\' && c != '\'' && c != '`' && c != ' ' {
			t[c] |= identifier
		}
		if '0' <= c && c <= '9' || 'a' <= c && c <= 'f' {
			t[c] |= hexDigits
		}
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.' {
			t[c] |= code
		}
	}
	return t
}()

// appendText appends s as a JSON string. Whatever could end the line, end the
// string or disturb a terminal is written as \uXXXX.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	n := 0
	for n < len(s) && classes[s[n]]&plain != 0 {
		n++
	}
	b = append(b, s[:n]...)
	for _, r := range s[n:] {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case disturbs(r):
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// disturbs reports control characters and those that break lines or turn the
// direction of text.
func disturbs(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r < 0xa0:
		return true
	case r == 0x061c, r == 0xfeff:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	}
	return false
}

// ParseEntry reads a line that [Event.Marshal] wrote and returns the event and
// its number. It accepts exactly what Marshal writes.
func ParseEntry(line []byte) (int64, Event, error) {
	n, e, err := parseEntry(line)
	if err != nil {
		return 0, Event{}, fmt.Errorf("audit: %w", err)
	}
	return n, e, nil
}

func parseEntry(line []byte) (int64, Event, error) {
	if len(line) > maxEntry {
		return 0, Event{}, fmt.Errorf("entry of %d bytes, at most %d", len(line), maxEntry)
	}
	p := parser{rest: line}
	n, e := p.entry()
	if p.err != nil {
		return 0, Event{}, fmt.Errorf("not an entry: %w", p.err)
	}
	// Marshal is the only authority on the format: numbers with leading zeros,
	// other escapes and empty members are not what it writes.
	again, err := e.appendEntry(make([]byte, 0, len(line)), n)
	if err != nil {
		return 0, Event{}, err
	}
	if !bytes.Equal(again, line) {
		return 0, Event{}, errors.New("not an entry: not in the form that it is written in")
	}
	return n, e, nil
}

// A parser reads the parts of an entry in their order and keeps the first error.
type parser struct {
	rest []byte
	err  error
}

func (p *parser) entry() (int64, Event) {
	var e Event
	p.must(`{"n":`)
	n := p.number()
	p.must(`,"time":`)
	at, err := time.Parse(timeLayout, p.text())
	if err != nil {
		p.fail("time")
	}
	e.Time = at
	p.must(`,"kind":`)
	e.Kind = Kind(p.text())
	for _, m := range []struct {
		name string
		to   *string
	}{
		{`,"actor":`, &e.Actor}, {`,"programme":`, &e.Programme}, {`,"credential":`, &e.Credential},
		{`,"record":`, &e.Record}, {`,"batch":`, &e.Batch}, {`,"key":`, &e.Key}, {`,"digest":`, &e.Digest},
		{`,"reason":`, &e.Reason}, {`,"detail":`, &e.Detail},
	} {
		if p.has(m.name) {
			*m.to = p.text()
		}
	}
	if p.has(`,"slots":[`) {
		e.Slots = p.slots()
	}
	if p.has(`,"count":`) {
		e.Count = int(p.number())
	}
	if p.has(`,"version":`) {
		e.Version = int(p.number())
	}
	if p.has(`,"row":`) {
		e.Row = p.number()
	}
	if p.has(`,"expires":`) {
		if e.Expires, err = time.Parse(timeLayout, p.text()); err != nil {
			p.fail("time")
		}
	}
	if p.has(`,"idempotency":`) {
		e.Idempotency = p.text()
	}
	p.must(`}`)
	if len(p.rest) > 0 {
		p.fail("end")
	}
	return n, e
}

func (p *parser) slots() []SlotRef {
	var slots []SlotRef
	for p.err == nil && len(slots) < maxSlots {
		p.must(`{"list":`)
		uri := p.text()
		p.must(`,"index":`)
		s := SlotRef{URI: uri, Index: p.unsigned()}
		if p.has(`,"size":`) {
			s.Size = p.unsigned()
		}
		if p.has(`,"form":`) {
			s.Form = p.text()
		}
		if p.has(`,"digest":`) {
			s.Digest = p.text()
		}
		slots = append(slots, s)
		p.must(`}`)
		if !p.has(`,`) {
			break
		}
	}
	p.must(`]`)
	return slots
}

func (p *parser) fail(what string) {
	if p.err == nil {
		p.err = fmt.Errorf("%s expected %d bytes before the end", what, len(p.rest))
	}
}

func (p *parser) has(s string) bool {
	rest, ok := bytes.CutPrefix(p.rest, []byte(s))
	if ok && p.err == nil {
		p.rest = rest
	}
	return ok && p.err == nil
}

func (p *parser) must(s string) {
	if !p.has(s) {
		p.fail(strconv.Quote(s))
	}
}

func (p *parser) digits() string {
	n := 0
	for n < len(p.rest) && p.rest[n] >= '0' && p.rest[n] <= '9' {
		n++
	}
	s := string(p.rest[:n])
	p.rest = p.rest[n:]
	return s
}

func (p *parser) number() int64 {
	n, err := strconv.ParseInt(p.digits(), 10, 64)
	if err != nil {
		p.fail("number")
	}
	return n
}

func (p *parser) unsigned() uint64 {
	n, err := strconv.ParseUint(p.digits(), 10, 64)
	if err != nil {
		p.fail("number")
	}
	return n
}

// text reads a string. The escapes are those of appendText; that they were used
// where appendText uses them is checked by ParseEntry.
func (p *parser) text() string {
	p.must(`"`)
	var b []byte
	for p.err == nil {
		i := bytes.IndexAny(p.rest, `"\`)
		if i < 0 {
			p.fail("end of text")
			break
		}
		b = append(b, p.rest[:i]...)
		if p.rest[i] == '"' {
			p.rest = p.rest[i+1:]
			break
		}
		if len(p.rest) < i+2 {
			p.fail("escape")
			break
		}
		if c := p.rest[i+1]; c != 'u' {
			b = append(b, c)
			p.rest = p.rest[i+2:]
			continue
		}
		p.rest = p.rest[i+2:]
		if len(p.rest) < 4 {
			p.fail("escape")
			break
		}
		r, err := strconv.ParseUint(string(p.rest[:4]), 16, 16)
		if err != nil {
			p.fail("escape")
			break
		}
		b = utf8.AppendRune(b, rune(r))
		p.rest = p.rest[4:]
	}
	return string(b)
}

// clip keeps what we quote in errors short.
func clip(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return strconv.QuoteToASCII(s)
}
