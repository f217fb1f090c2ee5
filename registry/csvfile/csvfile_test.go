package csvfile_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
)

// write puts a file into a directory of the test's own.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	replace(t, path, content)
	return path
}

// replace gives a file another content, and a time that differs from before.
func replace(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	modified = modified.Add(time.Second)
	if err := os.Chtimes(path, modified, modified); err != nil {
		t.Fatal(err)
	}
}

var modified = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func open(t testing.TB, path string, o csvfile.Options) *csvfile.Source {
	t.Helper()
	s, err := csvfile.Open(path, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

// read returns what Records delivers as one string a record: its line and
// values, or line and code of a row error; and the error that ended it.
func read(t testing.TB, s *csvfile.Source) (got []string, last error) {
	t.Helper()
	for r, err := range s.Records(t.Context()) {
		if row, ok := errors.AsType[*registry.RowError](err); ok {
			got = append(got, fmt.Sprintf("%d!%s", row.Line, row.Code))
			continue
		}
		if err != nil {
			last = err
			continue
		}
		if last != nil {
			t.Errorf("a record after the error %v", last)
		}
		got = append(got, show(r))
	}
	return got, last
}

func show(r registry.Record) string {
	var values []string
	for i := range r.Columns().Len() {
		values = append(values, r.At(i))
	}
	return fmt.Sprintf("%d:%s", r.Line, strings.Join(values, "|"))
}

func TestRecords(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	tests := []struct {
		name    string
		file    string // name; its ending means nothing
		content string
		o       csvfile.Options
		want    []string
	}{
		{"comma", "a", "id,n\n1,a\n2,b\n", csvfile.Options{}, []string{"2:1|a", "3:2|b"}},
		{"semicolon", "a", "id;n;m,o\n1;a,b;\n", csvfile.Options{}, []string{"2:1|a,b|"}},
		{"tab", "a", "id\tn\n1\ta,b\n", csvfile.Options{}, []string{"2:1|a,b"}},
		{"bar", "a", "id|n\n1|a\n", csvfile.Options{}, []string{"2:1|a"}},
		{"delimiter in quotes is not counted", "a", "\"id\";\"a,b,c\"\n1;x\n", csvfile.Options{}, []string{"2:1|x"}},
		{"delimiter named", "a", "id;n,m\n1;a,b\n", csvfile.Options{Delimiter: ',', IDColumn: "m"}, []string{"2:1;a|b"}},
		{"separator line", "a", "sep=;\r\nid;n\r\n1;a\r\n", csvfile.Options{}, []string{"3:1|a"}},
		{"one column", "a", "id\n1\n2\n", csvfile.Options{}, []string{"2:1", "3:2"}},
		{"no line end at the end", "a", "id,n\n1,a", csvfile.Options{}, []string{"2:1|a"}},
		{"CRLF", "a", "id,n\r\n1,a\r\n2,b\r\n", csvfile.Options{}, []string{"2:1|a", "3:2|b"}},
		{"CR", "a", "id,n\r1,a\r2,b\r", csvfile.Options{}, []string{"2:1|a", "3:2|b"}},
		{"CR, and CRLF further down", "a", "id,n\r1,a\r\n2,b\r\n", csvfile.Options{}, []string{"2:1|a", "3:2|b"}},
		{"LF, and CRLF further down", "a", "id,n\n1,a\r\n2,b\n", csvfile.Options{}, []string{"2:1|a", "3:2|b"}},
		{"CR inside a line", "a", "id,n\n1,a\rb\n", csvfile.Options{}, []string{"2:1|a\rb"}},
		{"header alone", "a", "id,n\n", csvfile.Options{}, nil},
		{"header alone without line end", "a", "id,n", csvfile.Options{}, nil},
		{"header alone and CR", "a", "id,n\r", csvfile.Options{}, nil},
		{"blank lines", "a", "\n\nid,n\n\n1,a\n\n\n2,b\n", csvfile.Options{}, []string{"5:1|a", "8:2|b"}},
		{"blank lines before the header, semicolon", "a", "\r\n\r\nid;n\r\n1;a\r\n", csvfile.Options{}, []string{"4:1|a"}},
		{"a line of delimiters before the header", "a", ";;\nid;n;\n1;a;\n", csvfile.Options{}, []string{"3:1|a|"}},
		{"lines of delimiters", "a", "id,n\n1,a\n,\n\"\",\n2,b\n", csvfile.Options{}, []string{"2:1|a", "5:2|b"}},
		{"empty cells beyond the last column", "a", "id,n\n1,a,,\n2,b\n", csvfile.Options{}, []string{"2:1|a", "3:2|b"}},
		{"header trimmed, names made up", "a", " id ,,n\n1,a,b\n", csvfile.Options{}, []string{"2:1|a|b"}},
		{"values not trimmed", "a", "id,n\n 1 , a \n", csvfile.Options{}, []string{"2: 1 | a "}},
		{"no header line", "a", "1,a\n2,b\n", csvfile.Options{Columns: []string{"id", "n"}}, []string{"1:1|a", "2:2|b"}},

		{"quotes", "a", "id,n\n\"1\",\"a,b\"\n", csvfile.Options{}, []string{"2:1|a,b"}},
		{"doubled quotes", "a", "id,n\n1,\"a \"\"b\"\" c\"\n", csvfile.Options{}, []string{`2:1|a "b" c`}},
		{"quoted line break", "a", "id,n\n1,\"a\nb\"\n2,c\n", csvfile.Options{}, []string{"2:1|a\nb", "4:2|c"}},
		{"quoted CRLF", "a", "id,n\r\n1,\"a\r\nb\"\r\n2,c\r\n", csvfile.Options{}, []string{"2:1|a\r\nb", "4:2|c"}},
		{"quoted CR where CR ends lines", "a", "id,n\r1,\"a\rb\"\r2,c\r", csvfile.Options{}, []string{"2:1|a\rb", "4:2|c"}},
		{"quoted header with line break", "a", "id,\"n\nm\"\n1,a\n", csvfile.Options{}, []string{"3:1|a"}},
		{"quotes at the end of the file", "a", "id,n\n1,\"a\"", csvfile.Options{}, []string{"2:1|a"}},
		{"quotes and CR at the end of the file", "a", "id,n\r\n1,\"a\"\r", csvfile.Options{}, []string{"2:1|a"}},
		{"empty cell after quotes at the end of the file", "a", "id,n\n\"1\",", csvfile.Options{}, []string{"2:1|"}},
		{"plain cell with CR after quotes", "a", "id,n\r\n\"1\",a\r\n", csvfile.Options{}, []string{"2:1|a"}},
		{"plain cell with CR after quotes at the end of the file", "a", "id,n\r\n\"1\",a\r", csvfile.Options{}, []string{"2:1|a"}},
		{"quotes in a tab file are characters", "a", "id\tn\n1\t\"a\n2\tb\"c\n", csvfile.Options{}, []string{`2:1|"a`, `3:2|b"c`}},
		{"quotes in a tab file, asked for", "a", "id\tn\n1\t\"a\tb\"\n", csvfile.Options{Quotes: csvfile.QuotesRFC4180}, []string{"2:1|a\tb"}},
		{"no quotes in a comma file, asked for", "a", "id,n\n1,\"a\"\n", csvfile.Options{Quotes: csvfile.QuotesOrdinary}, []string{`2:1|"a"`}},
		{"a value of 1 MiB", "a", "id,n\n1," + long + "\n2,b\n", csvfile.Options{}, []string{"2:1|" + long, "3:2|b"}},
		{"a quoted value of 1 MiB", "a", "id,n\n1,\"" + long + "\"\n2,b\n", csvfile.Options{}, []string{"2:1|" + long, "3:2|b"}},
		{"one id twice", "a", "id,n\n1,a\n1,b\n", csvfile.Options{}, []string{"2:1|a", "3:1|b"}},
		{"control characters and U+FFFD as they stand", "a", "id,n\n1,a\x10\x07\ufffd\n", csvfile.Options{}, []string{"2:1|a\x10\x07\ufffd"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.o.IDColumn == "" {
				tt.o.IDColumn = "id"
			}
			s := open(t, write(t, tt.file, tt.content), tt.o)
			got, err := read(t, s)
			if err != nil {
				t.Fatalf("Records: %v", err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("records (-want +got):\n%s", d)
			}
		})
	}
}

// TestRecordsRefuses spoils one line of a file that is good otherwise. The
// others are delivered.
func TestRecordsRefuses(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	forged := "\n9,forged\n"
	tests := []struct {
		name  string
		line  string // the one between the records 1 and 3, of line 3
		quote csvfile.Quoting
		want  []string
	}{
		{"too few cells", "2\n", 0, []string{"3!columns", "4:3|c"}},
		{"too many cells", "2,b,c\n", 0, []string{"3!columns", "4:3|c"}},
		{"too many quoted cells", "2,b,\"c\"\n", 0, []string{"3!columns", "4:3|c"}},
		{"thousands of cells", "2," + strings.Repeat(",", 2000) + "\n", 0, []string{"3!columns", "4:3|c"}},
		{"thousands of cells with quotes", `2,""` + strings.Repeat(",", 2000) + "\n", 0, []string{"3!columns", "4:3|c"}},
		{"no id", ",b\n", 0, []string{"3!no_id", "4:3|c"}},
		{"an id of blanks", "  ,b\n", 0, []string{"3!no_id", "4:3|c"}},
		{"an id of 2 KiB", long[:2048] + ",b\n", 0, []string{"3!too_long", "4:3|c"}},
		{"not UTF-8", "2,M\xfcller\n", 0, []string{"3!encoding", "4:3|c"}},
		{"not UTF-8 in quotes", "2,\"M\xfcller\"\n", 0, []string{"3!encoding", "4:3|c"}},
		{"a surrogate in UTF-8", "2,\xed\xa0\x80\n", 0, []string{"3!encoding", "4:3|c"}},
		{"a NUL", "2,a\x00b\n", 0, []string{"3!encoding", "4:3|c"}},
		{"a value over 1 MiB", "2," + long + "x\n", 0, []string{"3!too_long", "4:3|c"}},
		{"a quoted value over 1 MiB", "2,\"" + long + "x\"\n", 0, []string{"3!too_long", "4:3|c"}},
		{"a record over 4 MiB", "2," + strings.Repeat(long+",", 5) + "\n", 0, []string{"3!too_long", "4:3|c"}},
		{"a record of 20 MiB in a tab file's way", "2," + strings.Repeat(long, 20) + "\n", csvfile.QuotesOrdinary, []string{"3!too_long", "4:3|c"}},

		{"a quote that is not closed", "2,\"b\n", 0, []string{"3!quote", "4:3|c"}},
		{"a quote inside a value", "2,5\" pipe\n", 0, []string{"3!quote", "4:3|c"}},
		{"text after a closing quote", "2,\"b\"b\n", 0, []string{"3!quote", "4:3|c"}},
		{"a blank after a closing quote", "\"2\" ,b\n", 0, []string{"3!quote", "4:3|c"}},
		{"a CR after a closing quote", "2,\"b\"\rb\n", 0, []string{"3!quote", "4:3|c"}},
		{"an unclosed value that ends with a pair of quotes", "2,\"b\"\"\n", 0, []string{"3!quote", "4:3|c"}},
		{"a quote that only the next quoted value ends", "2,\"b\n5,\"d\"\n", 0, []string{"3!quote", "4:5|d", "5:3|c"}},
		{"a broken value on the last of a record's lines", "\"2\n2\",\"b\"b\n", 0, []string{"3!quote", "5:3|c"}},

		// What is inside of quotes that are right is never taken for records.
		{"a quoted value over 1 MiB with a forged record", "2,\"" + forged + long + "\"\n", 0, []string{"3!too_long", "6:3|c"}},
		{"a quoted value of 9 MiB with a forged record", "2,\"" + strings.Repeat(long, 9) + forged + "\"\n", 0, []string{"3!too_long", "6:3|c"}},
		{"a value of 300 lines", "2,\"" + strings.Repeat(forged, 150) + "\"\n", 0, []string{"3!too_long", "304:3|c"}},
		{"too many cells and a forged record", "2,\"" + forged + "\",c\n", 0, []string{"3!columns", "6:3|c"}},
		{"no id and a forged record", ",\"" + forged + "\"\n", 0, []string{"3!no_id", "6:3|c"}},
		{"a stray quote behind a forged record", "\"" + forged + "\",b\"b\n", 0, []string{"3!quote", "6:3|c"}},
		{"a broken value behind a forged record", "\"" + forged + "\",\"b\"b\n", 0, []string{"3!quote", "6:3|c"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, "a.csv", "id,n\n1,a\n"+tt.line+"3,c\n")
			got, err := read(t, open(t, path, csvfile.Options{IDColumn: "id", Quotes: tt.quote}))
			if err != nil {
				t.Fatalf("Records: %v", err)
			}
			want := append([]string{"2:1|a"}, tt.want...)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("records (-want +got):\n%s", d)
			}
		})
	}
}

// A stray quote costs its own line, in a file with a million bytes behind it
// and however many of them there are.
func TestStrayQuotesDoNotSwallow(t *testing.T) {
	var b strings.Builder
	b.WriteString("id,n\n")
	var want []string
	for i := range 60_000 {
		if i%10 == 3 {
			fmt.Fprintf(&b, "%d,\"x\n", i)
			want = append(want, fmt.Sprintf("%d!quote", i+2))
			continue
		}
		fmt.Fprintf(&b, "%d,n\n", i)
		want = append(want, fmt.Sprintf("%d:%d|n", i+2, i))
	}
	for _, tail := range []string{"", "end,\"x", strings.Repeat("7,"+strings.Repeat("y", 1000)+"\n", 9000)} {
		got, err := read(t, open(t, write(t, "a.csv", b.String()+tail), csvfile.Options{IDColumn: "id"}))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got[:len(want)]); d != "" {
			t.Fatalf("records (-want +got):\n%s", d)
		}
	}
}

func TestDetailsSayNoValue(t *testing.T) {
	const secret = "Rahim"
	lines := []string{
		secret + "\n", secret + ",\"" + secret + "\n" + secret + "\"x\n", secret + ",a" + secret + "\"\n", secret + "," + secret + "\x00\n", "," + secret + "\n",
		secret + "," + secret + "," + secret + "\n", secret + ",\xff" + secret + "\n",
	}
	s := open(t, write(t, "a.csv", "id,n\n"+strings.Join(lines, "1,a\n")), csvfile.Options{IDColumn: "id"})
	n := 0
	for r, err := range s.Records(t.Context()) {
		if err != nil {
			n++
		}
		if text := fmt.Sprintf("%v %#v %v", r, r, err); strings.Contains(text, secret) {
			t.Errorf("%s contains a value", text)
		}
	}
	if n != len(lines)+1 {
		t.Errorf("%d errors, want %d", n, len(lines)+1)
	}
}

func TestEncodings(t *testing.T) {
	const text = "id,name\n1,Zoë Müller-Łukasz\n2,আয়েশা\n3,\U0001F600\n"
	want := []string{"2:1|Zoë Müller-Łukasz", "3:2|আয়েশা", "4:3|\U0001F600"}
	utf16 := func(e unicode.Endianness, bom unicode.BOMPolicy) func(string) string {
		return func(s string) string {
			out, err := unicode.UTF16(e, bom).NewEncoder().String(s)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
	le, be := utf16(unicode.LittleEndian, unicode.IgnoreBOM), utf16(unicode.BigEndian, unicode.IgnoreBOM)
	same := func(s string) string { return s }
	tests := []struct {
		name, encoding string
		encode         func(string) string
		detected       string
	}{
		{"UTF-8", "", same, "utf-8"},
		{"UTF-8, named", "UTF8", same, "utf-8"},
		{"UTF-8 with mark", "", func(s string) string { return "\ufeff" + s }, "utf-8"},
		{"UTF-16 little-endian with mark", "", utf16(unicode.LittleEndian, unicode.UseBOM), "utf-16le"},
		{"UTF-16 big-endian with mark", "", utf16(unicode.BigEndian, unicode.UseBOM), "utf-16be"},
		{"UTF-16 little-endian without mark", "", le, "utf-16le"},
		{"UTF-16 big-endian without mark", "", be, "utf-16be"},
		{"UTF-16 named", "UTF-16", le, "utf-16le"},
		{"UTF-16 little-endian, named", "utf_16le", le, "utf-16le"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, write(t, "a", tt.encode(text)), csvfile.Options{IDColumn: "id", Encoding: tt.encoding})
			if got := s.Layout().Encoding; got != tt.detected {
				t.Errorf("encoding %s, want %s", got, tt.detected)
			}
			got, err := read(t, s)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("records (-want +got):\n%s", d)
			}
			for i, id := range []string{"1", "2", "3"} {
				r, err := s.Lookup(t.Context(), id)
				if err != nil || show(r) != want[i] {
					t.Errorf("Lookup %s: %v", id, err)
				}
			}
		})
	}
	t.Run("Bengali header in UTF-16 without mark", func(t *testing.T) {
		s := open(t, write(t, "a", le("নম্বর,নাম\n1,ক\n")), csvfile.Options{IDColumn: "নম্বর"})
		if got, err := read(t, s); err != nil || len(got) != 1 || got[0] != "2:1|ক" {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("quoted line breaks and a stray quote in UTF-16", func(t *testing.T) {
		s := open(t, write(t, "a", le("id,n\n1,\"ক\n\U0001F600\"\n2,\"ক\n3,গ\n4,\"a\"\"ঘ\"\n")), csvfile.Options{IDColumn: "id"})
		got, err := read(t, s)
		if d := cmp.Diff([]string{"2:1|ক\n\U0001F600", "4!quote", "5:3|গ", `6:4|a"ঘ`}, got); err != nil || d != "" {
			t.Errorf("%v (-want +got):\n%s", err, d)
		}
		if r, err := s.Lookup(t.Context(), "4"); err != nil || r.Line != 6 {
			t.Errorf("Lookup: %v, %v", r, err)
		}
	})
	t.Run("halves of pairs in UTF-16 cost their line", func(t *testing.T) {
		broken := le("id,n\n1,") + "\x00\xd8" + le("\n2,b\n3,") + "\x00\xdc" + le("x\n4,d\n5,e") + "\x41"
		got, err := read(t, open(t, write(t, "a", broken), csvfile.Options{IDColumn: "id"}))
		if d := cmp.Diff([]string{"2!encoding", "3:2|b", "4!encoding", "5:4|d", "6!encoding"}, got); err != nil || d != "" {
			t.Errorf("%v (-want +got):\n%s", err, d)
		}
	})
	t.Run("a NUL in UTF-16", func(t *testing.T) {
		got, err := read(t, open(t, write(t, "a", le("id,n\n1,a\x00\n2,b\n")), csvfile.Options{IDColumn: "id"}))
		if d := cmp.Diff([]string{"2!encoding", "3:2|b"}, got); err != nil || d != "" {
			t.Errorf("%v (-want +got):\n%s", err, d)
		}
	})
}

func TestCharmaps(t *testing.T) {
	tests := []struct {
		encoding, text string
		m              *charmap.Charmap
	}{
		{"windows-1252", "Müller – “Café” €", charmap.Windows1252},
		{"CP1252", "Müller", charmap.Windows1252},
		{"cp850", "Müller", charmap.CodePage850},
		{"windows-1251", "Иванов Пётр", charmap.Windows1251},
		{"koi8-r", "Иванов", charmap.KOI8R},
		{"windows-1256", "محمد", charmap.Windows1256},
		{"latin1", "Müller", charmap.ISO8859_1},
		{"ISO-8859-15", "Müller €", charmap.ISO8859_15},
	}
	for _, tt := range tests {
		t.Run(tt.encoding, func(t *testing.T) {
			content, err := tt.m.NewEncoder().String("id;\"" + tt.text + "\"\n1;" + tt.text + "\n2;\"" + tt.text + "\"\"\"\n")
			if err != nil {
				t.Fatal(err)
			}
			s := open(t, write(t, "a", content), csvfile.Options{IDColumn: "id", Encoding: tt.encoding})
			if got := s.Layout().Columns[1]; got != tt.text {
				t.Errorf("column %q, want %q", got, tt.text)
			}
			got, err := read(t, s)
			if d := cmp.Diff([]string{"2:1|" + tt.text, "3:2|" + tt.text + `"`}, got); err != nil || d != "" {
				t.Errorf("%v (-want +got):\n%s", err, d)
			}
		})
	}
	t.Run("bytes without meaning", func(t *testing.T) {
		s := open(t, write(t, "a", "id,n\n1,\x81\n2,\x80\n3,a\xff\n"), csvfile.Options{IDColumn: "id", Encoding: "windows-1252"})
		got, err := read(t, s)
		if d := cmp.Diff([]string{"2!encoding", "3:2|€", "4:3|aÿ"}, got); err != nil || d != "" {
			t.Errorf("%v (-want +got):\n%s", err, d)
		}
		s = open(t, write(t, "a", "id,n\n1,\xd2\n"), csvfile.Options{IDColumn: "id", Encoding: "windows-1253"})
		if got, _ := read(t, s); len(got) != 1 || got[0] != "2!encoding" {
			t.Errorf("windows-1253: %q", got)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name, content string
		o             csvfile.Options
		want          string // in the error
	}{
		{"no id column named", "id,n\n1,a\n", csvfile.Options{}, `none is named; a.csv has "id", "n"`},
		{"an id column that is not there", "id,n\n1,a\n", csvfile.Options{IDColumn: "ID"}, `"ID" is not a column; a.csv has "id", "n"`},
		{"two columns of one name", "id,n, n\n", csvfile.Options{IDColumn: "id"}, `columns 2 and 3 are both called "n"`},
		{"a made-up name that is taken", "id,,col_2\n", csvfile.Options{IDColumn: "id"}, `columns 2 and 3 are both called "col_2"`},
		{"an empty file", "", csvfile.Options{IDColumn: "id"}, "the file is empty"},
		{"a file of blank lines", "\n\n\r\n", csvfile.Options{IDColumn: "id"}, "the file is empty"},
		{"only a byte order mark", "\xef\xbb\xbf", csvfile.Options{IDColumn: "id"}, "the file is empty"},
		{"a header with an open quote", "id,\"n\n1,a\n", csvfile.Options{IDColumn: "id"}, "line 1: the quotes of cell 2 are not closed"},
		{"a header with a stray quote", "id,n\"\n1,a\n", csvfile.Options{IDColumn: "id"}, "line 1: a quote inside cell 2"},
		{"a header that is not UTF-8", "id,n\xe9\n1,a\n", csvfile.Options{IDColumn: "id"}, "encoding: windows-1252"},
		{"a header with a NUL", "id,n\x00x\n\x001,a\n", csvfile.Options{IDColumn: "id"}, "NUL"},
		{"too many columns", "id" + strings.Repeat(",x", 1100), csvfile.Options{IDColumn: "id"}, "more than 1024"},
		{"too many names", "1,a\n", csvfile.Options{IDColumn: "id", Columns: make([]string, 1025)}, "more than 1024"},
		{"an encoding nobody knows", "id\n", csvfile.Options{IDColumn: "id", Encoding: "klingon"}, `"klingon"; there are utf-8, utf-16le, utf-16be, ibm437`},
		{"a mark of another encoding", "\xff\xfei\x00d\x00\n\x00", csvfile.Options{IDColumn: "id", Encoding: "windows-1252"}, "byte order mark of utf-16le"},
		{"UTF-32", "\xff\xfe\x00\x00i\x00\x00\x00", csvfile.Options{IDColumn: "id"}, "UTF-32"},
		{"not UTF-16", "id\n", csvfile.Options{IDColumn: "id", Encoding: "utf-16"}, "does not look like it"},
		{"an unusual delimiter", "id:n\n", csvfile.Options{IDColumn: "id", Delimiter: ':'}, `delimiter ':'`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			replace(t, "a.csv", tt.content)
			s, err := csvfile.Open("a.csv", tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open: %v, %v; want an error with %q", s, err, tt.want)
			}
		})
	}
	t.Run("no file", func(t *testing.T) {
		if _, err := csvfile.Open(filepath.Join(t.TempDir(), "none"), csvfile.Options{}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Open: %v, want ErrNotExist", err)
		}
	})
	t.Run("a directory", func(t *testing.T) {
		if _, err := csvfile.Open(t.TempDir(), csvfile.Options{}); err == nil || !strings.Contains(err.Error(), "regular") {
			t.Errorf("Open: %v", err)
		}
	})
}

func TestLayout(t *testing.T) {
	got := open(t, write(t, "a", "sep=;\r\nid; n ;\r\n1;a\r\n"), csvfile.Options{IDColumn: "id"}).Layout()
	if got.Delimiter != ';' || !got.Quoted || got.LineEnding != "CRLF" || got.Encoding != "utf-8" || strings.Join(got.Columns, "+") != "id+n+col_3" {
		t.Errorf("%+v", got)
	}
	if _, err := csvfile.Open(write(t, "a", "id,id\n"), csvfile.Options{IDColumn: "id"}); err == nil {
		t.Error("two columns of one name were not refused")
	}
}

func TestChangedFile(t *testing.T) {
	const first = "id,n\n1,a\n2,b\n"
	tests := []struct {
		name   string
		change func(path string) error
		want   error
	}{
		{"appended to", func(p string) error {
			f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("3,c\n")
			return errors.Join(err, f.Close())
		}, csvfile.ErrChanged},
		{"touched", func(p string) error { return os.Chtimes(p, modified.AddDate(1, 0, 0), modified.AddDate(1, 0, 0)) }, csvfile.ErrChanged},
		{"replaced by another file", func(p string) error {
			return errors.Join(os.WriteFile(p+".new", []byte(first), 0o600), os.Chtimes(p+".new", modified, modified), os.Rename(p+".new", p))
		}, csvfile.ErrChanged},
		{"removed", os.Remove, os.ErrNotExist},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, "a", first)
			s := open(t, path, csvfile.Options{IDColumn: "id"})
			var last error
			n := 0
			for _, err := range s.Records(t.Context()) {
				if err == nil && n == 0 {
					if err := tt.change(path); err != nil {
						t.Fatal(err)
					}
				}
				n++
				last = err
			}
			if !errors.Is(last, tt.want) {
				t.Errorf("the last error is %v, want %v", last, tt.want)
			}
		})
	}
	t.Run("replaced between two calls, same columns", func(t *testing.T) {
		path := write(t, "a", first)
		s := open(t, path, csvfile.Options{IDColumn: "id"})
		replace(t, path, "\ufeffid;n\r\n7;x\r\n")
		if got, err := read(t, s); err != nil || len(got) != 1 || got[0] != "2:7|x" {
			t.Errorf("%q, %v", got, err)
		}
		if r, err := s.Lookup(t.Context(), "7"); err != nil || r.ID != "7" {
			t.Errorf("Lookup: %v, %v", r, err)
		}
		replace(t, path, "id;n\r\n8;x\r\n")
		if _, err := s.Lookup(t.Context(), "7"); !errors.Is(err, registry.ErrNoRecord) {
			t.Errorf("Lookup after another change: %v", err)
		}
	})
	t.Run("replaced between two calls, other columns", func(t *testing.T) {
		path := write(t, "a", first)
		s := open(t, path, csvfile.Options{IDColumn: "id"})
		replace(t, path, "n,id\n1,a\n")
		if _, err := read(t, s); !errors.Is(err, csvfile.ErrColumns) {
			t.Errorf("Records: %v, want ErrColumns", err)
		}
		if _, err := s.Lookup(t.Context(), "1"); !errors.Is(err, csvfile.ErrColumns) {
			t.Errorf("Lookup: %v, want ErrColumns", err)
		}
		if _, err := s.Fingerprint(t.Context()); !errors.Is(err, csvfile.ErrColumns) {
			t.Errorf("Fingerprint: %v, want ErrColumns", err)
		}
	})
}

func TestLookup(t *testing.T) {
	s := open(t, write(t, "a", "n,id\na, 1 \n\"b\nb\",2\nc,3\nd,3\ne\n"), csvfile.Options{IDColumn: "id"})
	r, err := s.Lookup(t.Context(), "2")
	if err != nil || show(r) != "3:b\nb|2" || r.ID != "2" {
		t.Errorf("Lookup 2: %v, %v", show(r), err)
	}
	if r, err := s.Lookup(t.Context(), "1"); err != nil || r.ID != "1" {
		t.Errorf("Lookup 1: %v, %v", r, err)
	}
	if _, err := s.Lookup(t.Context(), "3"); !errors.Is(err, registry.ErrAmbiguous) {
		t.Errorf("Lookup 3: %v, want ErrAmbiguous", err)
	}
	// The record asked for may be the one that cannot be read.
	if _, err := s.Lookup(t.Context(), "4"); !errors.Is(err, registry.ErrNoRecord) || !strings.Contains(err.Error(), "1 cannot be") {
		t.Errorf("Lookup 4: %v, want ErrNoRecord", err)
	}
}

func TestFingerprint(t *testing.T) {
	path := write(t, "a", "id\n1\n")
	s := open(t, path, csvfile.Options{IDColumn: "id"})
	want := fmt.Sprintf("sha256:%x:5", sha256.Sum256([]byte("id\n1\n")))
	if got, err := s.Fingerprint(t.Context()); err != nil || got != want {
		t.Errorf("Fingerprint: %s, %v; want %s", got, err, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Fingerprint(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Fingerprint: %v, want Canceled", err)
	}
}

func BenchmarkRecords(b *testing.B) {
	var file bytes.Buffer
	file.WriteString("id,given,family,born,sex,place,note\n")
	for i := range 100_000 {
		note := "plain"
		if i%4 == 0 {
			note = `"quoted, text"`
		}
		fmt.Fprintf(&file, "B-07-1987-%08d,রহিম,Rahman Chowdhury,1987-05-12,1,XA-07-03,%s\n", i, note)
	}
	s := open(b, write(b, "a.csv", file.String()), csvfile.Options{IDColumn: "id"})
	b.SetBytes(int64(file.Len()))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range s.Records(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 100_000 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkLookup(b *testing.B) {
	var file bytes.Buffer
	file.WriteString("id,n\n")
	for i := range 100_000 {
		fmt.Fprintf(&file, "%08d,Rahman Chowdhury\n", i)
	}
	s := open(b, write(b, "a.csv", file.String()), csvfile.Options{IDColumn: "id"})
	i := 0
	for b.Loop() {
		i = (i + 7919) % 100_000
		if _, err := s.Lookup(b.Context(), fmt.Sprintf("%08d", i)); err != nil {
			b.Fatal(err)
		}
	}
}

// Reading takes the memory of a record, however many there are.
func TestMemoryDoesNotGrow(t *testing.T) {
	var file bytes.Buffer
	file.WriteString("id,n\n")
	for i := range 200_000 {
		fmt.Fprintf(&file, "%d,\"Rahman \"\"Chowdhury\"\"\"\n", i)
	}
	s := open(t, write(t, "a.csv", file.String()), csvfile.Options{IDColumn: "id"})
	n, first, last := 0, uint64(0), uint64(0)
	for _, err := range s.Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		switch n {
		case 100:
			first = heap()
		case 200_000:
			last = heap()
		}
	}
	if last == 0 || last > first+256<<10 {
		t.Errorf("the heap grew from %d to %d bytes in %d records", first, last, n)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
