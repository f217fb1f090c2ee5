package safecsv_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/safecsv"
)

func TestFormulasAreText(t *testing.T) {
	for _, v := range []string{
		"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", `=HYPERLINK("http://x","y")`, "＝1", "\u00a0=1", "\u3000@x", "\ufeff=1",
	} {
		t.Run("OUT-01 "+v, func(t *testing.T) {
			rows, err := csv.NewReader(strings.NewReader(string(safecsv.AppendRow(nil, v, "plain", v)))).ReadAll()
			if err != nil || len(rows) != 1 || len(rows[0]) != 3 {
				t.Fatalf("%q, %v", rows, err)
			}
			for _, i := range []int{0, 2} {
				if safecsv.Formula(rows[0][i]) || !strings.HasPrefix(rows[0][i], "'") {
					t.Errorf("cell %q would be a formula", rows[0][i])
				}
			}
			if rows[0][1] != "plain" {
				t.Errorf("a plain cell comes back as %q", rows[0][1])
			}
		})
	}
}

// FuzzAppendRow: what is read back is what was written, but for the mark of text and
// the NULs, and no cell is a formula.
func FuzzAppendRow(f *testing.F) {
	for _, s := range []string{"", "a", "=1", "a,b", `say "no"`, "two\nlines", " x ", "\x00", "é রি", "'"} {
		f.Add(s, "z")
		f.Add("z", s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		r := csv.NewReader(strings.NewReader(string(safecsv.AppendRow(nil, a, b, "end"))))
		row, err := r.Read()
		if err != nil || len(row) != 3 {
			t.Fatalf("%q %q: %q, %v", a, b, row, err)
		}
		for i, v := range []string{a, b} {
			want := strings.ReplaceAll(strings.ReplaceAll(v, "\r\n", "\n"), "\x00", "\uFFFD") // encoding/csv reads line ends so
			if safecsv.Formula(v) {
				want = "'" + want
			}
			if row[i] != want || safecsv.Formula(row[i]) {
				t.Errorf("%q comes back as %q, want %q", v, row[i], want)
			}
		}
	})
}
