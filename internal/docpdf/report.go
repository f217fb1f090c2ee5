package docpdf

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/sanad-id/sanad/internal/i18n"
)

// A Report is an account in tables and charts: what an office says about a period. Words
// in it are in its language already.
type Report struct {
	Title    string
	Lines    []string // below the title: whose, of when
	Language i18n.Language
	// Made must be set.
	Made     time.Time
	Sections []Section
}

// A Section is a heading with what stands below it, each part optional.
type Section struct {
	Heading string
	Chart   *Chart
	// Head names the columns of Rows. The first cell of a row says what it is about, the
	// others are numbers and short words.
	Head []string
	Rows [][]string
	// Text are paragraphs.
	Text []string
}

// A Chart shows numbers as bars, drawn as vectors. A table should say the same.
type Chart struct {
	// Alt says what is shown.
	Alt string
	// Labels name the bars, which lie below each other then. Without labels they stand
	// side by side, such as days.
	Labels []string
	Values []int64
}

// Limits on a report.
const (
	maxSections = 40
	maxRows     = 2000
	maxColumns  = 8
	maxBars     = 400
)

func (r *Report) check() error {
	switch {
	case r.Title == "" || r.Made.IsZero():
		return fmt.Errorf("%w: a report without title or date", ErrCertificate)
	case len(r.Sections) > maxSections:
		return fmt.Errorf("%w: %d sections, at most %d", ErrCertificate, len(r.Sections), maxSections)
	}
	for _, s := range r.Sections {
		if len(s.Rows) > maxRows || len(s.Head) > maxColumns {
			return fmt.Errorf("%w: a table of %d rows and %d columns", ErrCertificate, len(s.Rows), len(s.Head))
		}
		for _, row := range s.Rows {
			if len(row) == 0 || len(row) > maxColumns || len(s.Head) > 0 && len(row) != len(s.Head) {
				return fmt.Errorf("%w: a row of %d cells", ErrCertificate, len(row))
			}
		}
		if c := s.Chart; c != nil && (len(c.Values) > maxBars || len(c.Labels) > 0 && len(c.Labels) != len(c.Values)) {
			return fmt.Errorf("%w: a chart of %d bars", ErrCertificate, len(c.Values))
		}
	}
	return nil
}

// Report prints a report as a PDF file on A4: tagged, with tables as tables, so that it
// can be read to people and searched.
func (p *Printer) Report(w io.Writer, r Report) ([]Note, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	title, _ := outside(r.Title)
	d := p.Document(w, Info{Title: title, Language: r.Language, Made: r.Made})
	a := account{d: d, r: &r, mirror: r.Language.Direction() == "rtl"}
	a.draw()
	if d.err != nil {
		return nil, d.err
	}
	d.count = 1
	return a.notes, d.Close()
}

// Measures of a page of a report, in points.
const (
	reportWide, reportHigh = 210 * mm, 297 * mm
	reportMargin           = 20 * mm
	reportWidth            = reportWide - 2*reportMargin
	reportText             = 10.0
	reportBar              = 12.0 // a bar that lies, with its gap
	reportChart            = 90.0 // the height of bars that stand
	reportGap              = 4.0
)

// An account is a report on its way to paper.
type account struct {
	d      *Document
	r      *Report
	mirror bool
	y      float64
	page   int
	tables int
	notes  []Note
}

func (a *account) draw() {
	a.next()
	a.paragraph("H1", a.r.Title, 20, true)
	for _, l := range a.r.Lines {
		a.paragraph("P", l, reportText, false)
	}
	for _, s := range a.r.Sections {
		a.section(s)
	}
}

// next begins a page.
func (a *account) next() {
	if a.d.part != nil && len(a.d.part.pages) >= partPages && a.d.err == nil {
		a.d.err = a.d.write()
	}
	if a.d.part == nil {
		a.d.part = newPart(a.d.set)
	}
	a.page++
	a.d.part.page(reportWide, reportHigh)
	a.d.part.grey(0)
	a.y = reportMargin
	number := a.set(a.r.Language.Number(a.page), 8, reportWidth)
	a.d.part.artifact(func() {
		a.d.part.lines(number, area{reportMargin, reportHigh - 12*mm, reportWidth, 0}, 8, middle, false)
	})
}

// room begins another page if there are not so many points left.
func (a *account) room(points float64) {
	if a.y+points > reportHigh-reportMargin && a.y > reportMargin {
		a.next()
	}
}

// set sets a text in lines of a width.
func (a *account) set(text string, size, width float64) []line {
	text, cut := outside(text)
	para := a.d.set.shape(text, a.r.Language.Tag(), byText)
	for what, is := range map[string]bool{Clipped: cut, Missing: para.missing} {
		if n := (Note{What: what, Where: "report"}); is && !slices.Contains(a.notes, n) {
			a.notes = append(a.notes, n)
		}
	}
	return a.d.set.wrap(para, width/size*em)
}

func (a *account) start() side {
	if a.mirror {
		return right
	}
	return left
}

func (a *account) paragraph(role, text string, size float64, bold bool) {
	set := a.set(text, size, reportWidth)
	high := height(set) * size / em
	a.room(high)
	a.d.part.tagged(tag{role: role}, func() {
		a.d.part.lines(set, area{reportMargin, a.y, reportWidth, high}, size, a.start(), bold)
	})
	a.y += high + reportGap
}

func (a *account) section(s Section) {
	a.y += 2 * reportGap
	if s.Heading != "" {
		a.room(40 * mm) // a heading does not stand alone at the foot
		a.paragraph("H2", s.Heading, 13, true)
	}
	if s.Chart != nil && len(s.Chart.Values) > 0 {
		if len(s.Chart.Labels) > 0 {
			a.lying(s.Chart)
		} else {
			a.standing(s.Chart)
		}
	}
	a.table(s)
	for _, t := range s.Text {
		a.paragraph("P", t, reportText, false)
	}
}

// standing draws bars side by side, in the direction of reading.
func (a *account) standing(c *Chart) {
	a.room(reportChart + reportGap)
	most := max(slices.Max(c.Values), 1)
	step := reportWidth / float64(len(c.Values))
	to := a.d.part
	to.tagged(tag{role: "Figure", alt: c.Alt}, func() {
		to.grey(0.35)
		for i, v := range c.Values {
			x := reportMargin + float64(i)*step
			if a.mirror {
				x = reportMargin + reportWidth - float64(i+1)*step
			}
			if high := float64(v) / float64(most) * reportChart; v > 0 {
				to.bar(x+step*0.1, a.y+reportChart-max(high, 0.5), step*0.8, max(high, 0.5))
			}
		}
		to.grey(0)
		to.stroke(reportMargin, a.y+reportChart, reportMargin+reportWidth, a.y+reportChart, 0.5, "")
	})
	a.y += reportChart + 2*reportGap
}

// lying draws bars below each other. Their names stand in the table.
func (a *account) lying(c *Chart) {
	high := reportBar * float64(len(c.Values))
	if high > 120*mm {
		return // the table says it
	}
	a.room(high + reportGap)
	most := max(slices.Max(c.Values), 1)
	to := a.d.part
	names := reportWidth * 0.35
	var sets [][]line
	for _, l := range c.Labels {
		sets = append(sets, a.set(l, 7, names-reportGap)[:1])
	}
	to.tagged(tag{role: "Figure", alt: c.Alt}, func() {
		for i, v := range c.Values {
			y, long := a.y+float64(i)*reportBar, float64(v)/float64(most)*(reportWidth-names)
			x, at := reportMargin+names, reportMargin
			if a.mirror {
				x, at = reportMargin+reportWidth-names-long, reportMargin+reportWidth-names+reportGap
			}
			to.lines(sets[i], area{at, y + 1, names - reportGap, reportBar}, 7, a.start(), false)
			to.grey(0.35)
			to.bar(x, y+1, max(long, 0.5), reportBar-3)
			to.grey(0)
		}
	})
	a.y += high + 2*reportGap
}

// table draws a table, with its head again on each page.
func (a *account) table(s Section) {
	if len(s.Rows) == 0 {
		return
	}
	a.tables++
	columns := len(s.Rows[0])
	first := reportWidth * max(0.3, 0.7-0.1*float64(columns-1))
	other := (reportWidth - first) / float64(max(columns-1, 1))
	if columns == 1 {
		first = reportWidth
	}
	number := 0
	row := func(cells []string, head bool) {
		size := reportText
		if head {
			size = 8
		}
		sets, high := make([][]line, columns), 0.0
		for i, cell := range cells {
			wide := other - reportGap
			if i == 0 {
				wide = first - reportGap
			}
			sets[i] = a.set(cell, size, wide)
			high = max(high, height(sets[i])*size/em)
		}
		if page := a.page; !head {
			if a.room(high + reportGap); a.page != page && len(s.Head) > 0 {
				return
			}
		}
		number++
		for i := range cells {
			t, x, wide, at := tag{role: "TD", table: a.tables, row: number}, reportMargin, first-reportGap, a.start()
			if head || i == 0 {
				t.role = "TH"
			}
			if i > 0 {
				x, wide, at = reportMargin+first+float64(i-1)*other, other-reportGap, right
				if a.mirror {
					at = left
				}
			}
			if a.mirror {
				x = 2*reportMargin + reportWidth - x - wide
			}
			a.d.part.tagged(t, func() { a.d.part.lines(sets[i], area{x, a.y, wide, high}, size, at, head) })
		}
		a.y += high + reportGap/2
		a.d.part.artifact(func() {
			a.d.part.grey(0.75)
			a.d.part.stroke(reportMargin, a.y, reportMargin+reportWidth, a.y, 0.4, "")
			a.d.part.grey(0)
		})
		a.y += reportGap / 2
	}
	if len(s.Head) > 0 {
		row(s.Head, true)
	}
	for _, cells := range s.Rows {
		page := a.page
		if row(cells, false); a.page != page && len(s.Head) > 0 {
			row(s.Head, true) // a new page begins with the head
			row(cells, false)
		}
	}
	a.y += reportGap
}

// bar fills a rectangle.
func (p *part) bar(x, y, w, h float64) {
	_, page := p.pdf.GetPageSize()
	p.raw("%.2f %.2f %.2f %.2f re f", x, page-y-h, w, h)
}

// nest puts the cells of tables into rows and tables: what a section has as kids.
func (j *joiner) nest(section int, tags pageTags, numbers []int) (kids []string, parents []int) {
	parents = make([]int, len(tags))
	for i := 0; i < len(tags); {
		if tags[i].table == 0 {
			parents[i] = section
			kids = append(kids, strconv.Itoa(numbers[i])+" 0 R")
			i++
			continue
		}
		table := j.reserve()
		var rows []string
		for begun := i; i < len(tags) && tags[i].table == tags[begun].table; {
			row, from := j.reserve(), i
			cells := ""
			for ; i < len(tags) && tags[i].table == tags[from].table && tags[i].row == tags[from].row; i++ {
				parents[i] = row
				cells += fmt.Sprintf(" %d 0 R", numbers[i])
			}
			j.object(row, fmt.Sprintf("<</Type /StructElem /S /TR /P %d 0 R /K [%s ]>>", table, cells))
			rows = append(rows, fmt.Sprintf("%d 0 R", row))
		}
		j.object(table, fmt.Sprintf("<</Type /StructElem /S /Table /P %d 0 R /K %v>>", section, rows))
		kids = append(kids, fmt.Sprintf("%d 0 R", table))
	}
	return kids, parents
}
