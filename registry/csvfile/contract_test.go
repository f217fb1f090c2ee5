package csvfile_test

import (
	"bytes"
	"encoding/csv"
	"path/filepath"
	"testing"

	"golang.org/x/text/encoding/unicode"

	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
	"github.com/sanad-id/sanad/registry/registrytest"
)

// A way is one of writing a table down.
type way struct {
	comma   rune
	newline string
	encode  func(string) (string, error)
}

func (w way) write(t testing.TB, rows ...[]string) string {
	t.Helper()
	var b bytes.Buffer
	out := csv.NewWriter(&b)
	out.Comma = w.comma
	for _, r := range rows {
		if err := out.Write(r); err != nil {
			t.Fatal(err)
		}
		out.Flush()
		if w.newline != "" {
			b.Truncate(b.Len() - 1)
			b.WriteString(w.newline)
		}
	}
	if w.encode == nil {
		return b.String()
	}
	s, err := w.encode(b.String())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	ways := map[string]way{
		"comma":               {comma: ','},
		"semicolon and CRLF":  {comma: ';', newline: "\r\n"},
		"bar and CR":          {comma: '|', newline: "\r"},
		"UTF-16 with tab":     {comma: '\t', encode: unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String},
		"UTF-16 without mark": {comma: ',', encode: unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder().String},
		"UTF-8 with mark":     {comma: ',', encode: func(s string) (string, error) { return "\ufeff" + s, nil }},
	}
	for name, w := range ways {
		t.Run(name, func(t *testing.T) { testContract(t, w) })
	}
	t.Run("more records than an index holds", func(t *testing.T) {
		defer csvfile.SetMaxIndex(2)()
		testContract(t, way{comma: ','})
	})
}

func testContract(t *testing.T, w way) {
	registrytest.TestSource(t, func(t *testing.T, table registrytest.Table) registrytest.Subject {
		path := filepath.Join(t.TempDir(), "records")
		now := table
		put := func(t *testing.T, table registrytest.Table) {
			now = table
			replace(t, path, w.write(t, append([][]string{table.Columns}, table.Rows...)...))
		}
		put(t, table)
		o := csvfile.Options{IDColumn: "id", Quotes: csvfile.QuotesRFC4180}
		return registrytest.Subject{
			Source:  open(t, path, o),
			Again:   func(t *testing.T) registry.Source { return open(t, path, o) },
			Replace: put,
			Break: func(t *testing.T, id string) {
				rows := [][]string{now.Columns}
				for _, r := range now.Rows {
					if r[0] == id {
						r = r[:2]
					}
					rows = append(rows, r)
				}
				replace(t, path, w.write(t, rows...))
			},
		}
	})
}
