// Package copytext writes and reads table rows in the text form of PostgreSQL's
// COPY: a row a line, columns apart by a tab, \N for NULL, backslash escapes, binary
// values in hexadecimal behind \x (PostgreSQL documentation, COPY, "Text Format", and
// bytea, "Hex Format"). PostgreSQL reads it as it is; every other database can.
//
// Start with [Writer] and [Reader]. The form is strict: Reader takes what Writer and
// PostgreSQL write and nothing else, so that one content has one form.
//
// Left to others: which tables and columns there are, and what they mean.
//
// A row is at most [MaxRow] bytes, and has at most 64 columns.
package copytext

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// MaxRow is the greatest length of a row in its text form, without its line
// break. The largest rows are blocks of the audit log.
const MaxRow = 1 << 28

const maxColumns = 64

// ErrMalformed: not rows in the form that Writer writes.
var ErrMalformed = errors.New("copytext: malformed")

// A Value is one value of a row in its text form without escapes: digits, text, or
// \x and hexadecimal digits. Null is set for NULL.
type Value struct {
	Text []byte
	Null bool
}

// Int is the value as a whole number.
func (v Value) Int() (int64, error) {
	n, err := strconv.ParseInt(string(v.Text), 10, 64)
	if v.Null || err != nil || strconv.FormatInt(n, 10) != string(v.Text) {
		return 0, fmt.Errorf("%w: not a number", ErrMalformed)
	}
	return n, nil
}

// Bytes appends the value as a binary one to b.
func (v Value) Bytes(b []byte) ([]byte, error) {
	if v.Null || len(v.Text) < 2 || v.Text[0] != '\\' || v.Text[1] != 'x' {
		return nil, fmt.Errorf("%w: not a binary value", ErrMalformed)
	}
	for _, c := range v.Text[2:] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return nil, fmt.Errorf("%w: not a binary value", ErrMalformed)
		}
	}
	b, err := hex.AppendDecode(b, v.Text[2:])
	if err != nil {
		return nil, fmt.Errorf("%w: not a binary value", ErrMalformed)
	}
	return b, nil
}

// A Writer writes rows. The first error stays.
type Writer struct {
	w       *bufio.Writer
	row     []byte
	columns int
	err     error
}

// NewWriter returns a Writer to w. [Writer.Flush] must be called at the end.
func NewWriter(w io.Writer) *Writer { return &Writer{w: bufio.NewWriterSize(w, 64<<10)} }

func (w *Writer) next() {
	if w.columns > 0 {
		w.row = append(w.row, '\t')
	}
	w.columns++
}

// Null adds a NULL to the row.
func (w *Writer) Null() {
	w.next()
	w.row = append(w.row, '\\', 'N')
}

// Int adds a number to the row.
func (w *Writer) Int(n int64) {
	w.next()
	w.row = strconv.AppendInt(w.row, n, 10)
}

// Bytes adds a binary value to the row.
func (w *Writer) Bytes(b []byte) {
	w.next()
	w.row = hex.AppendEncode(append(w.row, `\\x`...), b)
}

// Text adds text to the row. Text that is no UTF-8 or has a NUL, which PostgreSQL
// does not hold, is an error.
func (w *Writer) Text(s string) {
	w.next()
	if w.err == nil && !utf8.ValidString(s) {
		w.err = fmt.Errorf("%w: text that is not UTF-8 in column %d", ErrMalformed, w.columns)
	}
	from := 0
	for i := range len(s) {
		e := escapes[s[i]]
		if e == 0 {
			continue
		}
		if e == 1 && w.err == nil {
			w.err = fmt.Errorf("%w: text with a NUL in column %d", ErrMalformed, w.columns)
		}
		w.row = append(append(w.row, s[from:i]...), '\\', e)
		from = i + 1
	}
	w.row = append(w.row, s[from:]...)
}

// escapes says how a byte is written behind a backslash: 0 for those that stand for
// themselves, 1 for the one that must not be.
var escapes = [256]byte{0: 1, '\b': 'b', '\t': 't', '\n': 'n', '\v': 'v', '\f': 'f', '\r': 'r', '\\': '\\'}

// Row writes a whole row of values as package database/sql reads them: nil, int64, string
// or []byte. Another type is an error.
func (w *Writer) Row(values []any) error {
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			w.Null()
		case int64:
			w.Int(v)
		case string:
			w.Text(v)
		case []byte:
			w.Bytes(v)
		default:
			if w.next(); w.err == nil {
				w.err = fmt.Errorf("%w: a %T in column %d", ErrMalformed, v, w.columns)
			}
		}
	}
	return w.End()
}

// End ends the row and returns the first error there was.
func (w *Writer) End() error {
	switch {
	case w.err != nil:
	case len(w.row) > MaxRow || w.columns > maxColumns || w.columns == 0:
		w.err = fmt.Errorf("%w: a row of %d bytes in %d columns", ErrMalformed, len(w.row), w.columns)
	default:
		_, w.err = w.w.Write(append(w.row, '\n'))
	}
	w.row, w.columns = w.row[:0], 0
	return w.err
}

// Flush writes what is buffered.
func (w *Writer) Flush() error {
	if w.err == nil {
		w.err = w.w.Flush()
	}
	return w.err
}

// A Reader reads rows.
type Reader struct {
	r       *bufio.Reader
	columns int
	row     []byte
	values  []Value
	line    int64
	most    int // MaxRow; less in a test
}

// NewReader returns a Reader of rows of so many columns.
func NewReader(r io.Reader, columns int) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 64<<10), columns: columns, values: make([]Value, 0, columns), most: MaxRow}
}

// Read returns the next row, which is good until the next call, and [io.EOF]
// behind the last. What is malformed is [ErrMalformed] with its line.
func (r *Reader) Read() ([]Value, error) {
	r.row, r.values = r.row[:0], r.values[:0]
	for {
		part, err := r.r.ReadSlice('\n')
		r.row = append(r.row, part...)
		if err == nil {
			break
		}
		if err == io.EOF && len(r.row) == 0 {
			return nil, io.EOF
		}
		r.line++
		switch {
		case err == io.EOF:
			return nil, r.malformed("the row breaks off")
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
		r.line--
		if len(r.row) > r.most {
			r.line++
			return nil, r.malformed("too long")
		}
	}
	r.line++
	if len(r.row) > r.most+1 {
		return nil, r.malformed("too long")
	}
	return r.values, r.split(r.row[:len(r.row)-1])
}

// split takes a row apart in its place.
func (r *Reader) split(row []byte) error {
	if !utf8.Valid(row) {
		return r.malformed("not UTF-8")
	}
	for done := false; !done; {
		v := Value{Text: row[:0]}
		i := 0
		for ; i < len(row) && row[i] != '\t'; i++ {
			c := row[i]
			switch {
			case c != '\\' && escapes[c] != 0:
				return r.malformed("a character that must be escaped")
			case v.Null:
				return r.malformed("text behind a NULL")
			case c != '\\':
				v.Text = append(v.Text, c)
				continue
			}
			if i++; i == len(row) {
				return r.malformed("half an escape")
			}
			if row[i] == 'N' && i == 1 {
				v.Null = true
				continue
			}
			c, ok := unescape(row[i])
			if !ok {
				return r.malformed("an unknown escape")
			}
			v.Text = append(v.Text, c)
		}
		if done = i == len(row); !done {
			row = row[i+1:]
		}
		if len(r.values) == r.columns {
			return r.malformed("too many columns")
		}
		r.values = append(r.values, v)
	}
	if len(r.values) < r.columns {
		return r.malformed("too few columns")
	}
	return nil
}

func unescape(c byte) (byte, bool) {
	switch c {
	case 'b':
		return '\b', true
	case 't':
		return '\t', true
	case 'n':
		return '\n', true
	case 'v':
		return '\v', true
	case 'f':
		return '\f', true
	case 'r':
		return '\r', true
	case '\\':
		return '\\', true
	}
	return 0, false
}

func (r *Reader) malformed(why string) error {
	return fmt.Errorf("%w: line %d: %s", ErrMalformed, r.line, why)
}
