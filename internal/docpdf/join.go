package docpdf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/sanad-id/sanad/internal/i18n"
)

// A joiner puts the files that package fpdf writes behind each other as one: their
// objects get new numbers and are copied as they are, so that a file of thousands of
// pages needs the memory of a few. It writes itself what belongs to the whole: the tree
// of pages, the tree of tags, catalogue, title and cross-reference table (ISO 32000-1,
// 7.5).
type joiner struct {
	w       io.Writer
	sum     hash.Hash
	info    Info
	at      int64
	offsets []int64 // by object, from 1
	err     error

	root, tree, document int // numbers of objects
	parts                []string
	sections             []string // tags of pages
	parents              []string // of the parent tree, a page each
}

func newJoiner(w io.Writer, info Info) *joiner {
	j := &joiner{w: w, sum: sha256.New(), info: info}
	j.print("%%PDF-1.7\n%%\xe2\xe3\xcf\xd3\n")
	j.root, j.tree, j.document = j.reserve(), j.reserve(), j.reserve()
	return j
}

func (j *joiner) pages() int { return len(j.sections) }

func (j *joiner) print(format string, args ...any) { j.write(fmt.Appendf(nil, format, args...)) }

func (j *joiner) write(b []byte) {
	if j.err != nil {
		return
	}
	j.sum.Write(b)
	n, err := j.w.Write(b)
	j.at += int64(n)
	if err != nil {
		j.err = fmt.Errorf("docpdf: write: %w", err)
	}
}

// reserve returns the number of an object that is written later.
func (j *joiner) reserve() int {
	j.offsets = append(j.offsets, 0)
	return len(j.offsets)
}

// object writes an object.
func (j *joiner) object(n int, body string) {
	j.offsets[n-1] = j.at
	j.print("%d 0 obj\n%s\nendobj\n", n, body)
}

var (
	reference = regexp.MustCompile(`\b([0-9]+) 0 R\b`)
	startxref = regexp.MustCompile(`startxref\n([0-9]+)\n%%EOF\s*$`)
)

var errPart = errors.New("docpdf: internal error: the PDF library wrote a file of another form")

// add writes the objects of a file with these pages.
func (j *joiner) add(file []byte, tags []pageTags) error {
	objects, err := objectsOf(file)
	if err != nil {
		return err
	}
	// The last two are information and catalogue, which the whole has of its own.
	objects = objects[:len(objects)-2]
	base := len(j.offsets)
	for range objects {
		j.reserve()
	}
	renumber := func(b []byte) []byte {
		return reference.ReplaceAllFunc(b, func(m []byte) []byte {
			n, _ := strconv.Atoi(string(m[:bytes.IndexByte(m, ' ')]))
			return fmt.Appendf(nil, "%d 0 R", base+n)
		})
	}
	page := 0
	j.parts = append(j.parts, fmt.Sprintf("%d 0 R", base+1))
	for i, o := range objects {
		head, stream := o, []byte(nil)
		if at := bytes.Index(o, []byte(">>\nstream\n")); at >= 0 {
			head, stream = o[:at], o[at:]
		}
		head = renumber(head)
		switch {
		case i == 0:
			head = bytes.Replace(head, []byte("/Type /Pages"), fmt.Appendf(nil, "/Type /Pages /Parent %d 0 R", j.root), 1)
		case bytes.HasPrefix(head, []byte("<</Type /Page\n")):
			if page == len(tags) {
				return errPart
			}
			more := fmt.Appendf(nil, "<</Type /Page /StructParents %d /Tabs /S\n", len(j.sections)+page)
			head = append(more, head[len("<</Type /Page\n"):]...)
			page++
		}
		j.offsets[base+i] = j.at
		j.print("%d 0 obj\n", base+i+1)
		j.write(head)
		j.write(stream)
		j.print("endobj\n")
	}
	if page != len(tags) {
		return errPart
	}
	for i, t := range tags {
		j.section(base+3+2*i, t)
	}
	return j.err
}

// objectsOf returns what stands between "N 0 obj" and "endobj", by number, of a file as
// package fpdf writes it.
func objectsOf(file []byte) ([][]byte, error) {
	m := startxref.FindSubmatch(file)
	if m == nil {
		return nil, errPart
	}
	at, err := strconv.Atoi(string(m[1]))
	if err != nil || at >= len(file) {
		return nil, errPart
	}
	lines := strings.Split(string(file[at:]), "\n")
	var n int
	if len(lines) < 3 || lines[0] != "xref" {
		return nil, errPart
	}
	if _, err := fmt.Sscanf(lines[1], "0 %d", &n); err != nil || n < 6 || len(lines) < n+2 {
		return nil, errPart
	}
	objects := make([][]byte, n-1)
	for i := range objects {
		offset, err := strconv.Atoi(strings.TrimLeft(lines[3+i][:10], "0"))
		if err != nil || offset >= at {
			return nil, errPart
		}
		head := fmt.Appendf(nil, "%d 0 obj\n", i+1)
		if !bytes.HasPrefix(file[offset:], head) {
			return nil, errPart
		}
		body := file[offset+len(head) : at]
		end, err := endOf(body)
		if err != nil {
			return nil, err
		}
		objects[i] = body[:end]
	}
	return objects, nil
}

var length = regexp.MustCompile(`/Length ([0-9]+)`)

// endOf is where the object ends: at the first "endobj", behind the stream if there is
// one, since a stream can contain anything.
func endOf(body []byte) (int, error) {
	from := 0
	end := bytes.Index(body, []byte("endobj\n"))
	if at := bytes.Index(body, []byte(">>\nstream\n")); at >= 0 && at < end {
		m := length.FindSubmatch(body[:at])
		if m == nil {
			return 0, errPart
		}
		n, err := strconv.Atoi(string(m[1]))
		if from = at + len(">>\nstream\n") + n; err != nil || from > len(body) {
			return 0, errPart
		}
	}
	end = bytes.Index(body[from:], []byte("endobj\n"))
	if end < 0 {
		return 0, errPart
	}
	return from + end, nil
}

// section writes the tags of a page (ISO 32000-1, 14.7).
func (j *joiner) section(page int, tags pageTags) {
	section := j.reserve()
	var all []string
	numbers := make([]int, len(tags))
	for i := range tags {
		numbers[i] = j.reserve()
		all = append(all, fmt.Sprintf("%d 0 R", numbers[i]))
	}
	kids, parents := j.nest(section, tags, numbers)
	for i, t := range tags {
		extra := ""
		if t.alt != "" {
			extra += " /Alt " + textString(t.alt)
		}
		if t.lang != "" {
			extra += " /Lang (" + t.lang + ")"
		}
		j.object(numbers[i], fmt.Sprintf("<</Type /StructElem /S /%s /P %d 0 R /Pg %d 0 R /K %d%s>>", t.role, parents[i], page, i, extra))
	}
	j.object(section, fmt.Sprintf("<</Type /StructElem /S /Sect /P %d 0 R /K [%s]>>", j.document, strings.Join(kids, " ")))
	array := j.reserve()
	j.object(array, "["+strings.Join(all, " ")+"]")
	j.sections = append(j.sections, fmt.Sprintf("%d 0 R", section))
	j.parents = append(j.parents, fmt.Sprintf("%d %d 0 R", len(j.parents), array))
}

// close writes what belongs to the whole.
func (j *joiner) close() error {
	count := len(j.sections)
	j.object(j.root, fmt.Sprintf("<</Type /Pages /Kids [%s] /Count %d>>", strings.Join(j.parts, " "), count))
	parents := j.reserve()
	j.object(parents, "<</Nums ["+strings.Join(j.parents, " ")+"]>>")
	j.object(j.document, fmt.Sprintf("<</Type /StructElem /S /Document /P %d 0 R /K [%s]>>", j.tree, strings.Join(j.sections, " ")))
	j.object(j.tree, fmt.Sprintf("<</Type /StructTreeRoot /K %d 0 R /ParentTree %d 0 R /ParentTreeNextKey %d>>", j.document, parents, count))
	made := j.info.Made.UTC()
	metadata, info, catalogue := j.reserve(), j.reserve(), j.reserve()
	xmp := j.xmp()
	j.object(metadata, fmt.Sprintf("<</Type /Metadata /Subtype /XML /Length %d>>\nstream\n%s\nendstream", len(xmp), xmp))
	date := made.Format("D:20060102150405Z")
	j.object(info, fmt.Sprintf("<</Title %s /Producer (Sanad) /CreationDate (%s) /ModDate (%s)>>", textString(j.info.Title), date, date))
	j.object(catalogue, fmt.Sprintf("<</Type /Catalog /Pages %d 0 R /Lang (%s) /Metadata %d 0 R /MarkInfo <</Marked true>> /StructTreeRoot %d 0 R"+
		" /ViewerPreferences <</DisplayDocTitle true /Direction /%s /PrintScaling /None>>>>",
		j.root, j.info.Language.Tag(), metadata, j.tree, reading(j.info.Language)))
	id := hex.EncodeToString(j.sum.Sum(nil)[:16])
	start := j.at
	j.print("xref\n0 %d\n0000000000 65535 f \n", len(j.offsets)+1)
	for _, o := range j.offsets {
		j.print("%010d 00000 n \n", o)
	}
	j.print("trailer\n<</Size %d /Root %d 0 R /Info %d 0 R /ID [<%s> <%s>]>>\nstartxref\n%d\n%%%%EOF\n", len(j.offsets)+1, catalogue, info, id, id, start)
	return j.err
}

// reading is the order in which pages of a language lie beside each other.
func reading(l i18n.Language) string {
	if l.Direction() == "rtl" {
		return "R2L"
	}
	return "L2R"
}

// xmp is the metadata once more, as XML (ISO 16684-1).
func (j *joiner) xmp() string {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace
	title, lang, date := escape(j.info.Title), escape(j.info.Language.Tag()), j.info.Made.UTC().Format("2006-01-02T15:04:05Z")
	return `<?xpacket begin="` + "\ufeff" + `" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">` + title + `</rdf:li></rdf:Alt></dc:title>
<dc:language><rdf:Bag><rdf:li>` + lang + `</rdf:li></rdf:Bag></dc:language>
<xmp:CreateDate>` + date + `</xmp:CreateDate><xmp:ModifyDate>` + date + `</xmp:ModifyDate><pdf:Producer>Sanad</pdf:Producer>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>`
}

// textString is a text as PDF writes it, in hexadecimal: nothing in it can end it.
func textString(s string) string { return "<" + utf16Hex(s) + ">" }
