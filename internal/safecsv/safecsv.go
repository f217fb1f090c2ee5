// Package safecsv writes CSV that every reader gets back as it was written and no
// spreadsheet takes for formulas: manifests, lists of faulty records, exported figures.
//
// The files are RFC 4180 with line feeds. A cell whose text could begin a formula gets
// an apostrophe before it, as spreadsheets mark text themselves (OWASP, CSV injection);
// a NUL becomes U+FFFD. Start with [AppendRow]. Reading is left to encoding/csv.
package safecsv

import "strings"

// AppendRow appends one row with these cells.
func AppendRow(b []byte, cells ...string) []byte {
	for i, c := range cells {
		end := byte(',')
		if i == len(cells)-1 {
			end = '\n'
		}
		b = AppendCell(b, c, end)
	}
	return b
}

// AppendCell appends a cell and what ends it: a comma, or a line feed at the end of the
// row.
func AppendCell(b []byte, v string, end byte) []byte {
	quote := strings.ContainsAny(v, ",\"\r\n") || strings.TrimSpace(v) != v
	if quote {
		b = append(b, '"')
	}
	if Formula(v) {
		b = append(b, '\'')
	}
	for i := range len(v) {
		switch c := v[i]; c {
		case '"':
			b = append(b, '"', '"')
		case 0:
			b = append(b, "\uFFFD"...)
		default:
			b = append(b, c)
		}
	}
	if quote {
		b = append(b, '"')
	}
	return append(b, end)
}

// Formula reports whether a spreadsheet could take the text for a formula, or for what
// leads to the next cell. The wide forms count where East Asian input methods write
// them.
func Formula(v string) bool {
	t := strings.TrimLeft(v, " \u00a0\u3000\ufeff")
	if t == "" {
		return false
	}
	if strings.IndexByte("=+-@\t\r\n", t[0]) >= 0 {
		return true
	}
	for _, wide := range []string{"＝", "＋", "－", "＠"} {
		if strings.HasPrefix(t, wide) {
			return true
		}
	}
	return false
}
