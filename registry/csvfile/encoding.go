package csvfile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/sanad-id/sanad/registry"
)

// Encodings that are not tables of 256 characters.
const (
	utf8Name = "utf-8"
	utf16LE  = "utf-16le"
	utf16BE  = "utf-16be"
)

// charmaps are the encodings of one byte a character that contain ASCII.
var charmaps = map[string]*charmap.Charmap{
	"windows-1250": charmap.Windows1250, "windows-1251": charmap.Windows1251, "windows-1252": charmap.Windows1252,
	"windows-1253": charmap.Windows1253, "windows-1254": charmap.Windows1254, "windows-1255": charmap.Windows1255,
	"windows-1256": charmap.Windows1256, "windows-1257": charmap.Windows1257, "windows-1258": charmap.Windows1258,
	"windows-874": charmap.Windows874,
	"iso-8859-1":  charmap.ISO8859_1, "iso-8859-2": charmap.ISO8859_2, "iso-8859-3": charmap.ISO8859_3,
	"iso-8859-4": charmap.ISO8859_4, "iso-8859-5": charmap.ISO8859_5, "iso-8859-6": charmap.ISO8859_6,
	"iso-8859-7": charmap.ISO8859_7, "iso-8859-8": charmap.ISO8859_8, "iso-8859-9": charmap.ISO8859_9,
	"iso-8859-10": charmap.ISO8859_10, "iso-8859-13": charmap.ISO8859_13, "iso-8859-14": charmap.ISO8859_14,
	"iso-8859-15": charmap.ISO8859_15, "iso-8859-16": charmap.ISO8859_16,
	"koi8-r": charmap.KOI8R, "koi8-u": charmap.KOI8U, "macintosh": charmap.Macintosh,
	"ibm437": charmap.CodePage437, "ibm850": charmap.CodePage850, "ibm852": charmap.CodePage852, "ibm866": charmap.CodePage866,
}

// Encodings returns the names that Options.Encoding can have, beside other
// spellings of them such as "UTF8" and "cp1252".
func Encodings() []string {
	names := []string{utf8Name, utf16LE, utf16BE}
	var tables []string
	for name := range charmaps {
		tables = append(tables, name)
	}
	slices.Sort(tables)
	return append(names, tables...)
}

// encodingName returns our spelling of an encoding's name.
func encodingName(name string) (string, error) {
	n := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "_", "-")
	switch n {
	case "utf8":
		n = utf8Name
	case "utf16le":
		n = utf16LE
	case "utf16be":
		n = utf16BE
	case "latin1", "latin-1":
		n = "iso-8859-1"
	}
	if number, ok := strings.CutPrefix(n, "cp"); ok {
		n = "ibm" + number
		if _, ok := charmaps[n]; !ok {
			n = "windows-" + number
		}
	}
	if slices.Contains(Encodings(), n) {
		return n, nil
	}
	return "", fmt.Errorf("csvfile: no encoding is called %q; there are %s", registry.ShortName(name), strings.Join(Encodings(), ", "))
}

// texts decodes the values of records from one encoding.
type texts struct {
	encoding string
	table    *[256]rune // nil for UTF-8; -1 for bytes that mean nothing
}

func newTexts(encoding string) (texts, error) {
	switch encoding {
	case utf8Name, utf16LE, utf16BE: // the input has made UTF-8 of UTF-16
		return texts{encoding: encoding}, nil
	}
	m, ok := charmaps[encoding]
	if !ok {
		return texts{}, fmt.Errorf("csvfile: no encoding is called %q", registry.ShortName(encoding))
	}
	t := texts{encoding: encoding, table: new([256]rune)}
	for b := range t.table {
		c := m.DecodeByte(byte(b))
		// The tables follow the web and give bytes that are not assigned in the
		// Windows encodings a control character.
		if c == utf8.RuneError || b >= 0x80 && c < 0xA0 && strings.HasPrefix(encoding, "windows-") {
			c = -1
		}
		t.table[b] = c
	}
	return t, nil
}

// values returns the first n values of a record. They do not share memory with
// it, and with each other as far as possible.
func (t texts) values(r *rawRecord, n int) ([]string, error) {
	if bytes.IndexByte(r.bytes, 0) >= 0 {
		if t.encoding != utf8Name {
			return nil, r.fail(registry.RowEncoding, "contains a NUL")
		}
		return nil, r.fail(registry.RowEncoding, "contains a NUL byte; if the file is UTF-16, name that (encoding: utf-16le or utf-16be)")
	}
	if t.table == nil && !utf8.Valid(r.bytes) {
		return nil, t.invalid(r)
	}
	whole := string(r.bytes)
	values := make([]string, n)
	for i, c := range r.cells[:n] {
		v := whole[c.from:c.to]
		if c.escaped {
			v = strings.ReplaceAll(v, `""`, `"`)
		}
		if t.table != nil {
			decoded, ok := t.decode(v)
			if !ok {
				return nil, t.invalid(r)
			}
			v = decoded
		}
		values[i] = v
	}
	return values, nil
}

func (t texts) invalid(r *rawRecord) error {
	hint := ""
	if t.encoding == utf8Name {
		hint = "; if the file has another encoding, name it, such as encoding: windows-1252"
	}
	return r.fail(registry.RowEncoding, "contains bytes that are not %s%s", t.encoding, hint)
}

// decode turns one value into UTF-8.
func (t texts) decode(v string) (string, bool) {
	i := 0
	for i < len(v) && v[i] < 0x80 {
		i++
	}
	if i == len(v) {
		return v, true
	}
	var b strings.Builder
	b.Grow(2 * len(v))
	for i := range len(v) {
		c := t.table[v[i]]
		if c < 0 {
			return "", false
		}
		b.WriteRune(c)
	}
	return b.String(), true
}
