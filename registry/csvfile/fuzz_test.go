package csvfile_test

import (
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
)

// rows returns the values of records, and checks what holds for all records.
func rows(t *testing.T, p csvfile.Parsed) [][]string {
	t.Helper()
	var all [][]string
	line := 0
	for _, r := range p.Records {
		if r.Line <= line {
			t.Fatalf("line %d after line %d", r.Line, line)
		}
		line = r.Line
		if r.ID == "" || r.ID != strings.TrimSpace(r.ID) {
			t.Fatalf("line %d: id of %d bytes is empty or not trimmed", r.Line, len(r.ID))
		}
		var values []string
		for i := range len(p.Layout.Columns) {
			v := r.At(i)
			if !utf8.ValidString(v) || strings.Contains(v, "\x00") {
				t.Fatalf("line %d: a value is not text", r.Line)
			}
			values = append(values, v)
		}
		all = append(all, values)
	}
	return all
}

// FuzzRecords checks that whatever is in a file, each record has exactly the
// columns of the header and valid text; that written again it reads the same;
// that an index finds the same records and ranges have the same ones; and that a file encoding/csv takes is
// understood as it does.
func FuzzRecords(f *testing.F) {
	for _, s := range []string{
		"id,n\n1,a\n2,b\n", "id;n\r\n1;\"a;\"\"b\r\nc\"\r\n", "id\tn\r1\t\"\r", "sep=|\nid|n\n1|", "\ufeffid,n\n1,\"a\n2,b\n3,\"c\"\n",
		"i\x00d\x00,\x00n\x00\n\x001\x00,\x00a\x00\n\x00", "\xff\xfei\x00d\x00\n\x00=\xd8\x00\xde\n\x00", "id,n\n1,\xff\n\n,,\n\"2\",b\"c\n3,\"d\" \n\"\"\n",
	} {
		f.Add(s, byte(0))
		f.Add(s, byte(1))
		f.Add(s, byte(6))
	}
	encodings := []string{"", "windows-1252", "utf-16le", "koi8-r"}
	f.Fuzz(func(t *testing.T, content string, how byte) {
		o := csvfile.Options{Quotes: csvfile.Quoting(how % 3), Encoding: encodings[how/4%4]}
		p, err := csvfile.Parse([]byte(content), o, int(how))
		if err != nil {
			if len(p.Layout.Columns) > 0 {
				t.Fatalf("records: %v", err)
			}
			return // it has no header
		}
		for i, r := range p.Again {
			if show(r) != show(p.Records[i]) || r.ID != p.Records[i].ID {
				t.Fatalf("the record at line %d is another one when looked up", r.Line)
			}
		}
		if d := cmp.Diff(p.Straight, p.Ranged); d != "" {
			t.Fatalf("in one pass and by ranges (-pass +ranges):\n%s", d)
		}
		for i, e := range p.Broken {
			if i > 0 && e.Line <= p.Broken[i-1].Line {
				t.Fatalf("error at line %d after line %d", e.Line, p.Broken[i-1].Line)
			}
		}
		rewritten(t, p, int(how))
		if len(p.Broken) == 0 && p.Layout.Quoted && p.Layout.LineEnding == "LF" && p.Layout.Encoding == "utf-8" && utf8.ValidString(content) {
			compareWithStandard(t, content, p)
		}
	})
}

// rewritten writes records with encoding/csv and reads them again.
func rewritten(t *testing.T, p csvfile.Parsed, id int) {
	content := way{comma: ','}.write(t, slices.Concat([][]string{p.Layout.Columns}, rows(t, p))...)
	if strings.HasPrefix(content, "sep=") || strings.HasPrefix(content, "\ufeff") || strings.HasPrefix(content, "\xff") {
		return
	}
	o := csvfile.Options{Delimiter: ',', Encoding: "utf-8", Quotes: csvfile.QuotesRFC4180}
	again, err := csvfile.Parse([]byte(content), o, id)
	if err != nil || len(again.Broken) > 0 {
		t.Fatalf("read what was written again: %v, %d broken", err, len(again.Broken))
	}
	if d := cmp.Diff(rows(t, p), rows(t, again)); d != "" {
		t.Fatalf("written and read again (-first +second):\n%s", d)
	}
}

// compareWithStandard reads a file with encoding/csv.
func compareWithStandard(t *testing.T, content string, p csvfile.Parsed) {
	l := p.Layout
	in := csv.NewReader(strings.NewReader(strings.TrimPrefix(content, "\ufeff")))
	in.Comma = l.Delimiter
	in.FieldsPerRecord = -1
	var want [][]string
	for {
		r, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return // such as a CR alone inside of quotes, which it refuses or changes
		}
		blank := true
		for _, v := range r {
			blank = blank && v == ""
		}
		if !blank {
			want = append(want, r[:min(len(r), len(l.Columns))])
		}
	}
	if strings.Contains(content, "\r") || strings.HasPrefix(strings.TrimPrefix(content, "\ufeff"), "sep=") {
		return // it turns CRLF inside of quotes into LF
	}
	if len(want) == 0 {
		t.Fatal("encoding/csv finds no header")
	}
	if d := cmp.Diff(want[1:], rows(t, p), equateEmpty); d != "" {
		t.Fatalf("encoding/csv and we differ (-it +we):\n%s", d)
	}
}

// FuzzScan reads a file once and in order, as a source does, within the bounds; FuzzRecords reads
// each record several times.
func FuzzScan(f *testing.F) {
	for _, s := range []string{"id,n\n1,a\n2,b\n", "id;n\r\n1;\"a;\"\"b\r\nc\"\r\n", "id\tn\r1\t\"\r", "\xff\xfei\x00d\x00\n\x00=\xd8\x00\xde\n\x00"} {
		f.Add(s)
	}
	// A file is a stream without an end; of records of two bytes a mebibyte has half a million.
	boundtest.FuzzParses(f, 4, func(t *testing.T, content string) {
		n, err := csvfile.Scan([]byte(content), csvfile.Options{})
		if err != nil && n > 0 || n > len(content) {
			t.Fatalf("%d records of %d bytes, %v", n, len(content), err)
		}
	})
}

var equateEmpty = cmp.FilterValues(func(a, b [][]string) bool { return len(a) == 0 && len(b) == 0 }, cmp.Ignore())

// FuzzMark checks that a mark that is taken has one spelling only, so that
// whatever is not a mark is refused.
func FuzzMark(f *testing.F) {
	path := filepath.Join(f.TempDir(), "a")
	for _, content := range []string{"id\n", "id\n1\n12\n123\n2\n", "id,n\nআয়েশা,1\nআ,2\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			f.Fatal(err)
		}
		m, err := open(f, path, csvfile.Options{IDColumn: "id"}).Mark(f.Context())
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(m))
	}
	boundtest.Fuzz(f, func(t *testing.T, m []byte) {
		again, err := csvfile.RecodeMark(m, "id")
		if err != nil {
			if !errors.Is(err, registry.ErrMark) {
				t.Errorf("%v, want ErrMark", err)
			}
			return
		}
		if string(again) != string(m) {
			t.Errorf("decoded and encoded: %d bytes, want the same %d", len(again), len(m))
		}
	})
}

// FuzzRange checks the same of the marks of ranges.
func FuzzRange(f *testing.F) {
	path := filepath.Join(f.TempDir(), "a")
	if err := os.WriteFile(path, []byte("id\n1\n\"2\"\n3\n\"a\nb\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	for r, err := range open(f, path, csvfile.Options{IDColumn: "id"}).Ranges(f.Context(), 2) {
		if err != nil {
			f.Fatal(err)
		}
		if _, err := csvfile.RecodeRange(r.Start, "id"); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(r.Start))
	}
	boundtest.Fuzz(f, func(t *testing.T, m []byte) {
		again, err := csvfile.RecodeRange(m, "id")
		if err != nil {
			if !errors.Is(err, registry.ErrMark) {
				t.Errorf("%v, want ErrMark", err)
			}
			return
		}
		if string(again) != string(m) {
			t.Errorf("decoded and encoded: %d bytes, want the same %d", len(again), len(m))
		}
	})
}
