package csvfile_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
)

// ranged returns what the ranges of a source deliver, as read does.
func ranged(t *testing.T, s *csvfile.Source, ranges []registry.Range) (got []string, last error) {
	t.Helper()
	for _, g := range ranges {
		for r, err := range s.Range(t.Context(), g) {
			if row, ok := errors.AsType[*registry.RowError](err); ok {
				got = append(got, fmt.Sprintf("%d!%s", row.Line, row.Code))
				continue
			}
			if err != nil {
				return got, err
			}
			got = append(got, show(r))
		}
	}
	return got, nil
}

func cut(t *testing.T, s *csvfile.Source, n int) (ranges []registry.Range) {
	t.Helper()
	for r, err := range s.Ranges(t.Context(), n) {
		if err != nil {
			t.Fatalf("Ranges: %v", err)
		}
		ranges = append(ranges, r)
	}
	return ranges
}

// TestRangesOfBrokenLines cuts files in which it is not plain where records
// begin.
func TestRangesOfBrokenLines(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	utf16 := func(s string) string {
		b := []byte{0xFF, 0xFE}
		for _, c := range s {
			b = append(b, byte(c), byte(c>>8))
		}
		return string(b)
	}
	tests := []struct{ name, content string }{
		{"a quote that is not closed", "id,n\n1,a\n2,\"b\n3,c\n4,d\n5,e\n"},
		{"quotes that close at the wrong place", "id,n\n1,a\n2,\"b\n3,c\"d\n4,\"d\ne\"\n5,e\n"},
		{"a stray quote", "id,n\n1,a\n2,b\"\n3,c\n"},
		{"lines in values", "id,n\n1,\"a\n\nb\"\n\n\n2,\"c\nd\"\n3,e"},
		{"lines of delimiters", "id,n\n,\n1,a\n,\n\"\",\n2,b\n,\n"},
		{"too many cells, too few", "id,n\n1\n2,b,c\n3,d\n4\n"},
		{"no id", "id,n\n,x\n1,a\n,y\n"},
		{"a value that is too long", "id,n\n1,a\n2," + long + "x\n3,\"" + long + "x\n\"\n4,d\n"},
		{"bytes that are not UTF-8", "id,n\n1,\xff\n2,b\n3,\x00\n"},
		{"CR, and CRLF further down", "id,n\r1,a\r\n2,b\r\n\r\n3,\"c\r\"\r\n4,d"},
		{"UTF-16 with half a character", utf16("id,n\n1,a\n2,\"b\nc\"\n3,\"d\n4,e\n") + "5\x00,\x00\x00"},
		{"UTF-16 with half a pair", utf16("id,n\n1,a\n2,") + "\x00\xd8" + utf16("b\n3,c\n4,d\n")[2:]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, write(t, "a", tt.content), csvfile.Options{IDColumn: "id"})
			want, err := read(t, s)
			if err != nil || len(want) < 2 {
				t.Fatalf("Records: %d, %v", len(want), err)
			}
			for n := range 4 {
				got, err := ranged(t, s, cut(t, s, n+1))
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("ranges of %d: %.300q, %v; want %.300q", n+1, got, err, want)
				}
			}
		})
	}
}

// TestRangeWhereQuotesClosedSince changes what follows a range such that its
// last record, which was broken, would now go on into what follows.
func TestRangeWhereQuotesClosedSince(t *testing.T) {
	path := write(t, "a", "id,n\n1,a\n2,\"b\n3,c\n4,d\n")
	s := open(t, path, csvfile.Options{IDColumn: "id"})
	ranges := cut(t, s, 2)
	replace(t, path, "id,n\n1,a\n2,\"b\n3,c\"\n4,d\n")
	got, err := ranged(t, s, ranges[:1])
	if !errors.Is(err, registry.ErrMark) || !slices.Equal(got, []string{"2:1|a"}) {
		t.Errorf("Range: %q, %v; want the first record and ErrMark", got, err)
	}
}

func TestRangeRefuses(t *testing.T) {
	const content = "id,n\n1,a\n2,b\n3,c\n"
	tests := []struct {
		name, content string
		o             csvfile.Options
	}{
		{"another id column", content, csvfile.Options{IDColumn: "n"}},
		{"other quotes", content, csvfile.Options{IDColumn: "id", Quotes: csvfile.QuotesOrdinary}},
		{"another encoding", content, csvfile.Options{IDColumn: "id", Encoding: "windows-1252"}},
		{"another column", "id,m\n1,a\n2,b\n3,c\n", csvfile.Options{IDColumn: "id"}},
		{"another value", "id,n\n1,a\n2,c\n3,c\n", csvfile.Options{IDColumn: "id"}},
		{"a shorter file", "id,n\n1,a\n", csvfile.Options{IDColumn: "id"}},
		{"moved by a line", "id,n\n\n1,a\n2,b\n3,c\n", csvfile.Options{IDColumn: "id"}},
	}
	ranges := cut(t, open(t, write(t, "a", content), csvfile.Options{IDColumn: "id"}), 2)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ranged(t, open(t, write(t, "b", tt.content), tt.o), ranges)
			if !errors.Is(err, registry.ErrMark) || len(got) > 0 {
				t.Errorf("Range: %q, %v; want ErrMark", got, err)
			}
		})
	}
	t.Run("a copy on another machine is taken", func(t *testing.T) {
		s := open(t, write(t, "b", content), csvfile.Options{IDColumn: "id"})
		if got, err := ranged(t, s, ranges); err != nil || len(got) != 3 {
			t.Errorf("Range: %q, %v; want 3 records", got, err)
		}
	})
}
