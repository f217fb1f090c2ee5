package csvfile

import (
	"bytes"
	"fmt"
	"io"

	"github.com/sanad-id/sanad/registry"
)

// The scanner is our own and not encoding/csv, because encoding/csv reads on to
// the next quotation mark, wherever it is, when one is missing: with nothing to
// bound what it keeps in memory, and no way back to the lines it has passed.
// It also knows neither CR as a line end nor files without quotes.

// Limits of one file, in decoded bytes.
const (
	maxValue   = 1 << 20
	maxRecord  = 4 << 20
	maxLines   = 256
	maxColumns = 1024
	maxID      = 1024

	wholeChunk  = 256 << 10 // read at once when reading a file
	lookupChunk = 16 << 10  // or a record here and there
)

// A cell is where one value stands in its record's bytes.
type cell struct {
	from, to int
	escaped  bool // contains doubled quotes
}

// A rawRecord is one record before its text is decoded. It is good until the
// next call of the scanner.
type rawRecord struct {
	line, last int   // numbers of its first and last line
	off        int64 // where it begins in the file
	bytes      []byte
	cells      []cell
	many       bool // there are more cells than can be
}

// blank is whether all cells are empty.
func (r *rawRecord) blank() bool {
	if r.many {
		return false
	}
	for _, c := range r.cells {
		if c.from != c.to {
			return false
		}
	}
	return true
}

// fit checks that the record has n cells, and nothing but empty ones beyond.
func (r *rawRecord) fit(n int) error {
	if r.many {
		return r.fail(registry.RowColumns, "more than %d cells", maxColumns)
	}
	if len(r.cells) < n {
		return r.fail(registry.RowColumns, "%d cells where the file has %d columns", len(r.cells), n)
	}
	for _, c := range r.cells[n:] {
		if c.from != c.to {
			return r.fail(registry.RowColumns, "%d cells where the file has %d columns", len(r.cells), n)
		}
	}
	for i, c := range r.cells[:n] {
		if c.to-c.from > maxValue {
			return r.fail(registry.RowTooLong, "cell %d is longer than %d bytes", i+1, maxValue)
		}
	}
	return nil
}

// fail returns a *registry.RowError for the record.
func (r *rawRecord) fail(code, format string, args ...any) error {
	detail := fmt.Sprintf(format, args...)
	if r.last > r.line {
		detail += fmt.Sprintf(" (lines %d to %d)", r.line, r.last)
	}
	return &registry.RowError{Line: r.line, Code: code, Detail: detail}
}

// A scanner splits a file into records.
type scanner struct {
	in     input
	chunk  int // how much to read at once, about
	comma  byte
	quoted bool
	end    byte // what ends a line, '\n' or '\r'; before '\n' a '\r' belongs to it

	buf   []byte // unread bytes are buf[start:limit]
	start int
	limit int
	off   int64 // where buf[start] is in the file
	line  int   // the number of the line that begins at buf[start]
	eof   bool
	err   error

	record rawRecord
}

func newScanner(f io.ReaderAt, l Layout, chunk int) *scanner {
	s := &scanner{in: newInput(f, l.Encoding), chunk: chunk, comma: byte(l.Delimiter), quoted: l.Quoted, end: '\n'}
	if l.LineEnding == "CR" {
		s.end = '\r'
	}
	return s
}

// at goes to a position of the file where a record begins.
func (s *scanner) at(off int64, line int) {
	s.in.seek(off)
	s.start, s.limit, s.off, s.line, s.eof, s.err = 0, 0, off, line, false, nil
}

// fill reads more bytes behind the unread ones and reports whether there are
// any.
func (s *scanner) fill() bool {
	if s.eof {
		return false
	}
	if s.limit+s.chunk/2 > len(s.buf) {
		// Move the unread bytes to the front, of a larger buffer if they take
		// most of this one.
		to := s.buf
		if unread := s.limit - s.start; unread+s.chunk/2 > len(s.buf) {
			to = make([]byte, max(s.chunk, 2*len(s.buf)))
		}
		s.limit = copy(to, s.buf[s.start:s.limit])
		s.start, s.buf = 0, to
	}
	n, err := s.in.read(s.buf[s.limit:])
	s.limit += n
	if err != nil {
		s.eof = true
		if err != io.EOF {
			s.err = err
		}
	}
	return n > 0
}

// pass leaves n bytes behind, with the line ends in them.
func (s *scanner) pass(n, lines int) {
	s.off += s.in.width(s.buf[s.start : s.start+n])
	s.start += n
	s.line += lines
}

// next returns the next line or record that is not empty. The error is io.EOF,
// a *registry.RowError, or what went wrong with the file.
func (s *scanner) next() (*rawRecord, error) {
	for {
		n, ended := s.lineLength()
		if s.err != nil {
			return nil, s.err
		}
		if n == 0 && !ended {
			return nil, io.EOF
		}
		line := s.buf[s.start : s.start+n]
		switch {
		case n > maxRecord, s.quoted && bytes.IndexByte(line, '"') >= 0:
			r, err := s.careful()
			if s.err != nil {
				return nil, s.err
			}
			return r, err
		case len(s.trim(line)) == 0:
			s.pass(n+length(ended), length(ended))
			continue
		}
		s.begin()
		s.split(s.trim(line))
		s.pass(n+length(ended), length(ended))
		return &s.record, nil
	}
}

// length of a line end.
func length(ended bool) int {
	if ended {
		return 1
	}
	return 0
}

// lineLength returns the length of the line that begins at the present
// position, and whether its end was seen. It stops behind maxRecord.
func (s *scanner) lineLength() (n int, ended bool) {
	searched := 0
	for {
		if s.end == '\r' {
			s.skipLineFeed()
		}
		if i := bytes.IndexByte(s.buf[s.start+searched:s.limit], s.end); i >= 0 {
			return searched + i, true
		}
		searched = s.limit - s.start
		if searched > maxRecord || !s.fill() {
			return searched, false
		}
	}
}

// skipLineFeed passes a line feed at the beginning of a line, where CR ends
// lines: some writers mix both.
func (s *scanner) skipLineFeed() {
	if s.start < s.limit && s.buf[s.start] == '\n' {
		s.pass(1, 0)
	}
}

// trim removes the carriage return of a CRLF.
func (s *scanner) trim(line []byte) []byte {
	if n := len(line); s.end == '\n' && n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// begin starts a record at the present position.
func (s *scanner) begin() {
	s.record = rawRecord{line: s.line, last: s.line, off: s.off, cells: s.record.cells[:0]}
}

// split makes the cells of a line without quotation marks that mean anything.
func (s *scanner) split(line []byte) {
	r := &s.record
	r.bytes = line
	from := 0
	for {
		i := bytes.IndexByte(line[from:], s.comma)
		if i < 0 {
			break
		}
		if len(r.cells) == maxColumns {
			r.many = true
			return
		}
		r.cells = append(r.cells, cell{from: from, to: from + i})
		from += i + 1
	}
	r.cells = append(r.cells, cell{from: from, to: len(line)})
}
