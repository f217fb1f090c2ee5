package docpdf

import (
	"strings"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/verification/explain"
)

// A row is a claim that was shaped.
type row struct {
	name         string
	label, value *paragraph
	labels       []line // at the size under trial
	values       []line
	height       float64 // points
}

// Shares of a claim's row.
const (
	labelShare = 0.36 // of the width
	labelSize  = 0.82 // of the size of the value
	rowGap     = 0.35 // of the size, between rows
	columnGap  = 3 * mm
)

// claims puts the claims that a code carries, label and value side by side, as large as
// there is room for. Those for which there is none stay in the code, and a line says so.
func (p *plan) claims(b *Block, a area, code *Code) {
	var rows []*row
	for _, c := range p.c.Says(code) {
		rows = append(rows, &row{
			name: c.Name, label: p.shape(p.label(c.Labels), c.Name), value: p.shapeIn(p.value(&c), c.Language, c.Name),
		})
	}
	if len(rows) == 0 {
		return
	}
	width := (a.w - float64(b.Columns-1)*columnGap) / float64(b.Columns)
	size := b.Size
	for ; ; size = max(size-0.5, b.Least) {
		for _, r := range rows {
			r.fit(p.set, width, size)
		}
		if columns := split(rows, a.h, b.Columns); columns != nil || size <= b.Least {
			break
		}
	}
	columns := split(rows, a.h, b.Columns)
	var rest *paragraph
	if columns == nil {
		columns, rest = p.leaveOut(rows, a.h, b.Columns, size)
	}
	bold, s := b.Bold, p.side(b.Align)
	p.add(func(to *part) {
		to.tagged(tag{role: "P"}, func() {
			for i, rows := range columns {
				x := a.x + float64(i)*(width+columnGap)
				if p.mirror {
					x = a.x + a.w - width - float64(i)*(width+columnGap)
				}
				y := a.y
				for _, r := range rows {
					p.row(to, r, area{x, y, width, r.height}, size, s, bold)
					y += r.height
				}
				if rest != nil && i == len(columns)-1 {
					to.lines(p.set.wrap(rest, width/size*em)[:1], area{x, y, width, 0}, size*labelSize, s, false)
				}
			}
		})
	})
}

// fit wraps a row for a size.
func (r *row) fit(set *typesetter, width, size float64) {
	r.labels = set.wrap(r.label, width*labelShare*0.95/(size*labelSize)*em)
	r.values = set.wrap(r.value, width*(1-labelShare)/size*em)
	r.height = max(height(r.labels)*labelSize, height(r.values))*size/em + rowGap*size
}

// split deals rows out to columns, or returns nil if they do not fit.
func split(rows []*row, room float64, columns int) [][]*row {
	var all [][]*row
	y := 0.0
	for i, r := range rows {
		if i == 0 || y+r.height > room+0.01 {
			if len(all) == columns {
				return nil
			}
			all, y = append(all, nil), 0
			if r.height > room+0.01 {
				return nil
			}
		}
		all[len(all)-1] = append(all[len(all)-1], r)
		y += r.height
	}
	return all
}

// leaveOut keeps the rows for which there is room, shortening those that are longer
// than two lines, and says how many are left out.
func (p *plan) leaveOut(rows []*row, room float64, columns int, size float64) ([][]*row, *paragraph) {
	for _, r := range rows {
		if len(r.values) > 2 {
			p.note(Clipped, r.name)
			width := 0.0
			for _, l := range r.values {
				width = max(width, l.width)
			}
			r.values = p.ellipsis(r.values[:2], width)
		}
		if len(r.labels) > 2 {
			r.labels = r.labels[:2]
		}
		r.height = max(height(r.labels)*labelSize, height(r.values))*size/em + rowGap*size
	}
	for n := len(rows); n > 0; n-- {
		left := room
		if n < len(rows) {
			left -= size * 1.6 // for the line that says so
		}
		kept := split(rows[:n], left, columns)
		if kept == nil {
			continue
		}
		if n == len(rows) {
			return kept, nil
		}
		for _, r := range rows[n:] {
			p.note(LeftOut, r.name)
		}
		return kept, p.own(p.words.Count("paper.more", len(rows)-n), "claims")
	}
	for _, r := range rows {
		p.note(LeftOut, r.name)
	}
	return nil, nil
}

// row draws a row, the base lines of label and value at one height.
func (p *plan) row(to *part, r *row, a area, size float64, s side, bold bool) {
	wide := a.w * labelShare
	label, value := area{a.x, a.y, wide * 0.95, a.h}, area{a.x + wide, a.y, a.w - wide, a.h}
	if p.mirror {
		label.x, value.x = a.x+a.w-label.w, a.x
	}
	ascents := [2]float64{}
	if len(r.labels) > 0 {
		ascents[0] = r.labels[0].ascent * labelSize
	}
	if len(r.values) > 0 {
		ascents[1] = r.values[0].ascent
	}
	most := max(ascents[0], ascents[1])
	label.y += (most - ascents[0]) * size / em
	value.y += (most - ascents[1]) * size / em
	to.grey(0.35)
	to.lines(r.labels, label, size*labelSize, s, false)
	to.grey(0)
	to.lines(r.values, value, size, s, bold)
}

// value is a claim's value in the words of the certificate's first language.
func (p *plan) value(c *Claim) string { return c.In(p.words) }

// In returns the value in the words of a language, as verifiers show it.
func (c *Claim) In(words i18n.Language) string {
	return strings.ToValidUTF8(explain.InWords(words, c.Kind, c.Value, c.Words), "\ufffd")
}
