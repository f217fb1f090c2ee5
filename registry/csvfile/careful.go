package csvfile

import (
	"bytes"

	"github.com/sanad-id/sanad/registry"
)

// The states between two bytes of a record with quotation marks.
type quoteState int

const (
	cellBegins  quoteState = iota
	inPlain                // inside a value without quotes
	inQuotes               // inside a quoted value
	afterQuote             // behind a quote that closes the value or is the first of two
	afterReturn            // behind a closing quote and '\r', where '\n' ends lines
)

// A careful is the reading of one record that has quotation marks, or is very
// long: byte by byte, in bounded memory.
type careful struct {
	*scanner
	state quoteState
	p     int  // position behind s.start
	drop  bool // the record is too long: its bytes are let go as they are read
	bare  int  // the first cell with a quote inside a value without quotes, from 1
	count int  // cells so far

	from    int // where the present value begins
	escaped bool
	lines   int // line ends passed
	within  int // line ends in the present value

	// Where to go on if the present quoted value turns out to be broken: behind
	// the first line end inside it. resume is -1 while there is none.
	resume     int
	resumeOff  int64
	resumeLine int
}

// careful reads one record from the present position.
func (s *scanner) careful() (*rawRecord, error) {
	s.begin()
	c := careful{scanner: s, resume: -1}
	for {
		if s.start+c.p == s.limit && !c.more() {
			return c.atEOF()
		}
		if c.state == inQuotes {
			c.quotedRun()
			continue
		}
		b := s.buf[s.start+c.p]
		switch done, broken := c.step(b); {
		case broken:
			return nil, c.broken("text follows the closing quote of cell %d")
		case done:
			c.p++ // the line end
			c.lines++
			return c.finish()
		}
		c.p++
	}
}

// more gets more bytes; those of a record that is too long are let go first.
func (c *careful) more() bool {
	if c.p > maxRecord || c.state == inQuotes && c.p-c.from > maxValue {
		c.drop = true
	}
	if c.drop {
		c.pass(c.p, c.lines)
		c.p, c.lines, c.from = 0, 0, 0
	}
	return c.fill()
}

// quotedRun reads on to the next quote, or to the end of what is there.
func (c *careful) quotedRun() {
	rest := c.buf[c.start+c.p : c.limit]
	n := bytes.IndexByte(rest, '"')
	if n >= 0 {
		c.state = afterQuote
	} else {
		n = len(rest)
	}
	if c.resume < 0 {
		if i := bytes.IndexByte(rest[:n], c.end); i >= 0 {
			c.resume = c.p + i + 1
			c.resumeOff = c.off + c.in.width(c.buf[c.start:c.start+c.resume])
			c.resumeLine = c.line + c.lines + 1
		}
	}
	ends := bytes.Count(rest[:n], []byte{c.end})
	c.lines += ends
	c.within += ends
	c.p += n
	if c.state == afterQuote {
		c.p++
	}
}

// step reads one byte outside of quotes. done: it ends the record. broken: it
// must not follow a closing quote.
func (c *careful) step(b byte) (done, broken bool) {
	switch c.state {
	case cellBegins:
		if b == '"' && c.quoted {
			c.state, c.from, c.escaped, c.resume, c.within = inQuotes, c.p+1, false, -1, 0
			return false, false
		}
		c.state, c.from, c.escaped = inPlain, c.p, false
		fallthrough
	case inPlain:
		switch b {
		case c.comma:
			c.cell(c.p)
		case c.end:
			c.cell(c.p)
			return true, false
		case '"':
			// Where the value ends is not in doubt, only whether it is right.
			if c.quoted && c.bare == 0 {
				c.bare = c.count + 1
			}
		}
		return false, false
	case afterQuote:
		switch {
		case b == '"':
			c.state, c.escaped = inQuotes, true
		case b == c.comma:
			c.cell(c.p - 1)
		case b == c.end:
			c.cell(c.p - 1)
			return true, false
		case b == '\r':
			c.state = afterReturn
		default:
			return false, true
		}
		return false, false
	default: // afterReturn
		if b != c.end {
			return false, true
		}
		c.cell(c.p - 2)
		return true, false
	}
}

// cell ends the present value before position to.
func (c *careful) cell(to int) {
	c.state = cellBegins
	c.count++
	if to-c.from > maxValue || c.p > maxRecord || c.within > maxLines {
		c.drop = true
	}
	if c.count > maxColumns {
		c.record.many = true
	}
	if c.drop || c.record.many {
		return
	}
	c.record.cells = append(c.record.cells, cell{c.from, to, c.escaped})
}

// atEOF ends the last record of a file that does not end with a line end.
func (c *careful) atEOF() (*rawRecord, error) {
	switch c.state {
	case inQuotes:
		return nil, c.broken("the quotes of cell %d are not closed")
	case afterQuote:
		c.cell(c.p - 1)
	case afterReturn:
		c.cell(c.p - 2)
	case cellBegins:
		c.from, c.escaped = c.p, false
		c.cell(c.p)
	case inPlain:
		c.cell(c.p)
	}
	return c.finish()
}

// finish leaves the record behind and returns it, if it is one.
func (c *careful) finish() (*rawRecord, error) {
	r := &c.record
	r.bytes = c.buf[c.start : c.start+c.p]
	c.pass(c.p, c.lines)
	r.last = max(r.line, c.line-1)
	c.trimLast()
	switch {
	case c.bare > 0:
		return nil, r.fail(registry.RowQuote, "a quote inside cell %d, which does not begin with one", c.bare)
	case c.drop:
		return nil, r.fail(registry.RowTooLong, "a value is longer than %d bytes or %d lines, or the record than %d bytes", maxValue, maxLines, maxRecord)
	}
	return r, nil
}

// trimLast removes the carriage return of a CRLF from a last value without
// quotes.
func (c *careful) trimLast() {
	r := &c.record
	if c.end != '\n' || c.drop || r.many {
		return
	}
	last := &r.cells[len(r.cells)-1]
	atEnd := last.to == len(r.bytes) || r.bytes[last.to] == '\n'
	if atEnd && last.to > last.from && r.bytes[last.to-1] == '\r' {
		last.to--
	}
}

// broken reports the record and goes to where lines can be read again. Every
// byte is passed at most twice on the way through a file: from a line inside
// the broken value, quotes pair up the other way round, so that a record which
// begins there does not reach further than its own line.
func (c *careful) broken(format string) error {
	r := c.record
	cell := c.count + 1
	switch {
	case c.resume < 0: // all on one line, which is let go
		c.toLineEnd()
	case c.drop:
		c.at(c.resumeOff, c.resumeLine)
	default:
		c.pass(c.resume, c.resumeLine-c.line)
	}
	r.last = max(r.line, c.line-1)
	return r.fail(registry.RowQuote, format, cell)
}

// toLineEnd leaves the rest of the present line behind.
func (c *careful) toLineEnd() {
	for {
		rest := c.buf[c.start+c.p : c.limit]
		if i := bytes.IndexByte(rest, c.end); i >= 0 {
			c.pass(c.p+i+1, c.lines+1)
			return
		}
		c.pass(c.p+len(rest), c.lines)
		c.p, c.lines = 0, 0
		if !c.fill() {
			return
		}
	}
}
