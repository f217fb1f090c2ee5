package csvfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/registry"
)

// sample is how much of a file is looked at to find its delimiter and line end.
const sample = 64 << 10

// delimiters in the order in which one is preferred to another that is as
// frequent in the header.
const delimiters = ",;\t|"

var lineEnds = map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"}

// errEmpty: there is no line to take names of columns from.
var errEmpty = errors.New("csvfile: the file is empty")

// detect finds out how a file is written, as far as the options do not say, and
// what its columns are called.
func detect(f io.ReaderAt, size int64, o Options) (Layout, error) {
	if size == 0 {
		return Layout{}, errEmpty
	}
	if o.Delimiter != 0 && !strings.ContainsRune(delimiters, o.Delimiter) {
		return Layout{}, fmt.Errorf("csvfile: delimiter %q is not a comma, semicolon, tab or bar", o.Delimiter)
	}
	l, err := detectEncoding(f, o.Encoding)
	if err != nil {
		return Layout{}, err
	}
	head, err := readSample(f, l)
	if err != nil {
		return Layout{}, err
	}
	l.line = 1
	first, ending := firstLine(head, o.Quotes != QuotesOrdinary)
	l.LineEnding = ending
	if d, ok := separator(first); ok {
		l.Delimiter = rune(d)
		in := newInput(f, l.Encoding)
		passed := min(len(head), len(first)+len(lineEnds[ending]))
		l.start += in.width(head[:passed])
		l.line++
		head = head[passed:]
	}
	if o.Delimiter != 0 {
		l.Delimiter = o.Delimiter
	}
	if l.Delimiter == 0 {
		header, _ := firstLine(bytes.TrimLeft(head, "\r\n"), o.Quotes != QuotesOrdinary)
		l.Delimiter = mostFrequent(header)
	}
	l.Quoted = o.Quotes == QuotesRFC4180 || o.Quotes == QuotesDetected && l.Delimiter != '\t'
	if len(o.Columns) > 0 {
		l.Columns, err = names(o.Columns)
		return l, err
	}
	return readHeader(f, l)
}

// detectEncoding looks at the byte order mark and at where NULs are.
func detectEncoding(f io.ReaderAt, asked string) (Layout, error) {
	b := make([]byte, 1024)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return Layout{}, err
	}
	b = b[:n]
	var l Layout
	switch {
	case bytes.HasPrefix(b, []byte{0xFF, 0xFE, 0, 0}), bytes.HasPrefix(b, []byte{0, 0, 0xFE, 0xFF}):
		return Layout{}, errors.New("csvfile: the file is UTF-32, which is not supported; save it as UTF-8")
	case bytes.HasPrefix(b, []byte{0xEF, 0xBB, 0xBF}):
		l = Layout{Encoding: utf8Name, start: 3}
	case bytes.HasPrefix(b, []byte{0xFF, 0xFE}):
		l = Layout{Encoding: utf16LE, start: 2}
	case bytes.HasPrefix(b, []byte{0xFE, 0xFF}):
		l = Layout{Encoding: utf16BE, start: 2}
	}
	if asked != "" && !strings.EqualFold(asked, "utf-16") && !strings.EqualFold(asked, "utf16") {
		name, err := encodingName(asked)
		if err != nil {
			return Layout{}, err
		}
		if l.Encoding != "" && l.Encoding != name {
			return Layout{}, fmt.Errorf("csvfile: the file is to be %s but begins with the byte order mark of %s", name, l.Encoding)
		}
		l.Encoding = name
	}
	if l.Encoding != "" {
		return l, nil
	}
	l.Encoding = guessUTF16(b)
	if l.Encoding == utf8Name && asked != "" {
		return Layout{}, errors.New("csvfile: the file is to be utf-16 but does not look like it; name utf-16le or utf-16be")
	}
	return l, nil
}

// guessUTF16 returns a kind of UTF-16 if there are NULs and most bytes that could
// be line ends are such in it, else UTF-8. (Halves of other characters can
// look like NULs and line ends as well. A guess that is not made costs a word in
// the settings, a wrong one the meaning of the file.)
func guessUTF16(b []byte) string {
	if bytes.IndexByte(b, 0) < 0 {
		return utf8Name
	}
	var nuls, ends [2]int // at even and odd places: NULs; line ends with a NUL beside them
	all := 0
	for i, c := range b {
		switch {
		case c == 0:
			nuls[i%2]++
		case c != '\n' && c != '\r':
			continue
		case i%2 == 0 && i+1 < len(b) && b[i+1] == 0, i%2 == 1 && b[i-1] == 0:
			ends[i%2]++
			fallthrough
		default:
			all++
		}
	}
	if all == 0 { // one line: only if most of it is ASCII
		ends, all = [2]int{nuls[1], nuls[0]}, max(1, len(b)/4)
	}
	switch {
	case 2*ends[0] > all && ends[1] == 0:
		return utf16LE
	case 2*ends[1] > all && ends[0] == 0:
		return utf16BE
	}
	return utf8Name
}

// readSample returns the decoded beginning of the file.
func readSample(f io.ReaderAt, l Layout) ([]byte, error) {
	in := newInput(f, l.Encoding)
	in.seek(l.start)
	head := make([]byte, 0, 2*sample)
	for len(head) < sample {
		n, err := in.read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return head, nil
}

// firstLine returns the first line without its end, and what that is. A line
// end inside of quotes does not count, unless all others are inside, too.
func firstLine(head []byte, quotes bool) (line []byte, ending string) {
	inside := false
	for i := 0; i < len(head); i++ {
		b, next := head[i], byte(0)
		if i+1 < len(head) {
			next = head[i+1]
		}
		switch {
		case inside && b == '"' && next == '"':
			i++
		case inside:
			inside = b != '"'
		case b == '"':
			inside = quotes && (i == 0 || strings.IndexByte(delimiters, head[i-1]) >= 0)
		case b == '\n':
			return head[:i], "LF"
		case b == '\r' && next == '\n', b == '\r' && i+1 == len(head):
			return head[:i], "CRLF"
		case b == '\r':
			return head[:i], "CR"
		}
	}
	if inside {
		return firstLine(head, false)
	}
	return head, "LF"
}

// separator reads the line with which spreadsheets may be told the delimiter.
func separator(line []byte) (byte, bool) {
	d, ok := bytes.CutPrefix(line, []byte("sep="))
	if !ok || len(d) != 1 || strings.IndexByte(delimiters, d[0]) < 0 {
		return 0, false
	}
	return d[0], true
}

// mostFrequent returns the delimiter that occurs most often in a line outside
// of quotes.
func mostFrequent(line []byte) rune {
	var count [len(delimiters)]int
	inside := false
	for _, b := range line {
		if b == '"' {
			inside = !inside
		}
		if i := strings.IndexByte(delimiters, b); i >= 0 && !inside {
			count[i]++
		}
	}
	best := 0
	for i, n := range count {
		if n > count[best] {
			best = i
		}
	}
	return rune(delimiters[best])
}

// readHeader reads the names of the columns and sets where records begin.
func readHeader(f io.ReaderAt, l Layout) (Layout, error) {
	t, err := newTexts(l.Encoding)
	if err != nil {
		return Layout{}, err
	}
	s := newScanner(f, l, lookupChunk)
	s.at(l.start, l.line)
	raw, err := s.next()
	for err == nil && raw.blank() {
		raw, err = s.next()
	}
	if err == io.EOF {
		err = errEmpty
	}
	if err != nil {
		return Layout{}, plain(err)
	}
	if err := raw.fit(len(raw.cells)); err != nil {
		return Layout{}, plain(err)
	}
	header, err := t.values(raw, len(raw.cells))
	if err != nil {
		return Layout{}, plain(err)
	}
	l.start, l.line = s.off, s.line
	l.Columns, err = names(header)
	return l, err
}

// plain makes an ordinary error of a row error: without a header there are no
// rows to go on with.
func plain(err error) error {
	if row, ok := errors.AsType[*registry.RowError](err); ok {
		return fmt.Errorf("%w: %v", ErrHeader, row)
	}
	return err
}

// names trims the names of columns and gives a name to those that have none.
func names(header []string) ([]string, error) {
	if len(header) > maxColumns {
		return nil, fmt.Errorf("csvfile: more than %d columns", maxColumns)
	}
	header = slices.Clone(header)
	for i, n := range header {
		n = strings.TrimSpace(n)
		if n == "" {
			n = fmt.Sprintf("col_%d", i+1)
		}
		header[i] = n
	}
	return header, nil
}
