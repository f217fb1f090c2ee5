package issuance

import (
	"strconv"
	"strings"
)

// manifestHeader is the first line of manifest.csv. The file is RFC 4180 with
// line feeds. A row names a file and the credential in it, or a record and why
// there is none; then credential_id, status_uri, status_index and file are
// empty.
const manifestHeader = "record_id,credential_id,status_uri,status_index,file,error\n"

// A manifestWriter builds rows of the manifest.
type manifestWriter struct{ buf []byte }

func (m *manifestWriter) row(record, id, list string, index uint64, file, why string) {
	m.cell(record, ',')
	m.cell(id, ',')
	m.cell(list, ',')
	if list == "" {
		m.buf = append(m.buf, ',')
	} else {
		m.buf = append(strconv.AppendUint(m.buf, index, 10), ',')
	}
	m.cell(file, ',')
	m.cell(why, '\n')
}

// cell appends a value so that every reader of CSV gets it back as one value and
// no spreadsheet takes it for a formula.
func (m *manifestWriter) cell(v string, end byte) {
	quote := strings.ContainsAny(v, ",\"\r\n") || strings.TrimSpace(v) != v
	if quote {
		m.buf = append(m.buf, '"')
	}
	if t := strings.TrimLeft(v, " "); t != "" && strings.IndexByte("=+-@\t\r\n", t[0]) >= 0 {
		m.buf = append(m.buf, '\'')
	}
	for i := range len(v) {
		switch c := v[i]; c {
		case '"':
			m.buf = append(m.buf, '"', '"')
		case 0:
			m.buf = append(m.buf, "\uFFFD"...)
		default:
			m.buf = append(m.buf, c)
		}
	}
	if quote {
		m.buf = append(m.buf, '"')
	}
	m.buf = append(m.buf, end)
}
