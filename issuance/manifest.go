package issuance

import (
	"fmt"
	"strconv"

	"github.com/sanad-id/sanad/internal/safecsv"
)

// manifestHeader is the first line of manifest.csv. The file is RFC 4180 with
// line feeds. A row names a file and the credential in it, or a record and why
// there is none; then credential_id, status_uri, status_index and file are
// empty.
const manifestHeader = "record_id,credential_id,status_uri,status_index,file,error\n"

// codesHeader is the first line of a file of codes. A text can begin or end with a
// space; it always stands between quotation marks.
const codesHeader = "credential_id,form,text\n"

// codesName is the name of the file with a chunk's codes.
func codesName(chunk int64) string { return fmt.Sprintf("codes-%08d.csv", chunk) }

// code adds a row to a file of codes.
func (m *manifestWriter) code(id, form, text string) {
	if len(m.buf) == 0 {
		m.buf = append(m.buf, codesHeader...)
	}
	m.cell(id, ',')
	m.cell(form, ',')
	m.buf = append(m.buf, '"')
	m.buf = append(m.buf, text...) // Base45 has no quotation mark
	m.buf = append(m.buf, '"', '\n')
}

// A manifestWriter builds rows of the manifest, or of a file of codes.
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
func (m *manifestWriter) cell(v string, end byte) { m.buf = safecsv.AppendCell(m.buf, v, end) }

// layOut builds the chunk's rows of the manifest and its spool.
func (b *batchRun) layOut(c *chunk, offset int64) {
	c.spool = spool{chunk: c.number, offset: offset}
	m := manifestWriter{buf: make([]byte, 0, 128*len(c.rows))}
	for i := range c.rows {
		r := &c.rows[i]
		k := r.candidate
		switch {
		case r.broken != nil:
			c.failed++
			m.row("", "", "", 0, "", fmt.Sprintf("line %d: %s: %s", r.broken.Line, r.broken.Code, r.broken.Detail))
		case k.refused != nil:
			if k.refused.skips() {
				c.skipped++
			} else {
				c.failed++
			}
			m.row(r.id, "", "", 0, "", k.refused.Error())
		default:
			c.issued++
			b.layOutFiles(c, r, &m)
		}
	}
	c.spool.rows = m.buf
	if len(c.codes.buf) > 0 {
		c.spool.files = append(c.spool.files, spoolFile{name: codesName(c.number), data: c.codes.buf})
	}
}
