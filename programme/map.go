package programme

import (
	"reflect"
	"slices"
	"time"

	"github.com/sanad-id/sanad/programme/crosswalk"
	"github.com/sanad-id/sanad/registry"
)

// A mapping is one record on its way into a credential.
type mapping struct {
	programme *Programme
	record    registry.Record
	today     crosswalk.Date // in the programme's zone
	from      crosswalk.Date // of the claims that validity names
	until     crosswalk.Date
	problems  []Problem
}

// maxID is the longest id of a record, in bytes.
const maxID = 200

// Map makes the content of a credential from a record. If one of the problems
// is fatal, the record must not be issued and the content is not complete; the
// others say what was left out or kept as it stands. now is the moment of
// issue: it decides about ages and validity.
func (p *Programme) Map(r registry.Record, now time.Time) (Content, []Problem) {
	m := mapping{programme: p, record: r, today: crosswalk.DateOf(now.In(p.zone))}
	m.checkRecord()
	c := Content{programme: p, values: make([]any, len(p.Claims)), issued: now.Truncate(time.Second)}
	for i := range p.Claims {
		c.values[i] = m.claim(&p.Claims[i])
	}
	for i := range p.Claims {
		claim := &p.Claims[i]
		if claim.onlyWith >= 0 && c.values[claim.onlyWith] == nil {
			c.values[i] = nil
		}
		if claim.differs >= 0 && reflect.DeepEqual(c.values[i], c.values[claim.differs]) {
			c.values[i] = nil
		}
	}
	if p.Photo.from != nil {
		c.photo = m.photo()
	}
	m.validity(&c, now)
	return c, m.problems
}

// Glance returns what a record says for a claim, for lists in which people look for a
// record: the text put together, a date as far as it is known (1962-04), "" if there is
// nothing or nothing that can be read. It judges nothing.
func (p *Programme) Glance(r registry.Record, c *Claim) string {
	s, t := c.from.text(&mapping{programme: p, record: r})
	if t != nil {
		return ""
	}
	if c.Kind == KindDate {
		if d, err := crosswalk.ParseDate(s, c.formats); err == nil {
			return d.String()
		}
	}
	return s
}

func (m *mapping) problem(fatal bool, column, claim, code, detail string) {
	m.problems = append(m.problems, Problem{
		Line: m.record.Line, Column: column, Claim: claim, Code: code, Detail: detail, Fatal: fatal,
	})
}

// checkRecord checks the record as a whole: its id and whether the programme is
// about it.
func (m *mapping) checkRecord() {
	rec := &m.programme.Records
	if _, ok := m.record.Value(rec.IDColumn); !ok {
		m.unknownColumn(rec.IDColumn)
	}
	switch id, code, detail := clean(m.record.ID); {
	case code != "":
		m.problem(true, rec.IDColumn, "", CodeNoID, "the record's id "+detail)
	case id == "" || len(id) > maxID:
		m.problem(true, rec.IDColumn, "", CodeNoID, "the record has no id, or one of more than 200 bytes")
	}
	for _, cond := range rec.OnlyIf {
		s, t := copied{column: cond.Column}.text(m)
		switch {
		case t != nil:
			m.unknownColumn(cond.Column)
		case !slices.Contains(cond.Values, s):
			m.problem(true, cond.Column, "", CodeNotEligible, "the programme is not for records with this value (only_if)")
		}
	}
}

func (m *mapping) unknownColumn(name string) {
	_, t := copied{column: name}.text(m)
	m.problem(true, name, "", t.code, t.detail)
}

// claim returns the value of one claim, nil if there is none.
func (m *mapping) claim(c *Claim) any {
	before := len(m.problems)
	v := m.value(c)
	if v != nil {
		if code, detail := c.constraint.check(v); code != "" {
			m.problem(true, c.column(), c.Name, code, detail)
			return nil
		}
		return v
	}
	if c.Required && !Fatal(m.problems[before:]) {
		m.problem(true, c.column(), c.Name, CodeMissing, "the record has no value, and the programme requires one")
	}
	return nil
}

func (m *mapping) value(c *Claim) any {
	s, t := c.from.text(m)
	if t != nil {
		near, ok := m.lost(c, t).(string)
		if !ok {
			return nil
		}
		s = near
	}
	if s == "" {
		return nil
	}
	v, t := c.read(m, s)
	if t != nil {
		return m.lost(c, t)
	}
	return v
}

// lost reports a value that does not come through, and returns what is carried
// in its place, nil for nothing.
func (m *mapping) lost(c *Claim, t *trouble) any {
	fatal := !t.loss || c.OnLoss == OnLossError
	m.problem(fatal, t.column, c.Name, t.code, t.detail)
	if fatal || c.OnLoss != OnLossKeep {
		return nil
	}
	return t.near
}

// photo returns the portrait, nil if there is none that may be carried.
func (m *mapping) photo() *picture {
	p := &m.programme.Photo
	column := p.from.columns()[0]
	s, t := p.from.text(m)
	switch {
	case t != nil:
		m.problem(!t.loss || p.Required, t.column, "photo", t.code, t.detail)
		return nil
	case s == "" && p.Required:
		m.problem(true, column, "photo", CodeMissing, "the record has no picture, and the programme requires one")
		return nil
	case s == "":
		return nil
	}
	pic, detail := p.read(s)
	if pic == nil {
		m.problem(p.Required, column, "photo", CodePhoto, detail)
	}
	return pic
}

// validity sets when the credential begins and ceases to be valid.
func (m *mapping) validity(c *Content, now time.Time) {
	v, zone := m.programme.Validity, m.programme.zone
	now = now.Truncate(time.Second)
	start := now
	if v.From != "" {
		if m.from.IsZero() {
			return // reported with its claim
		}
		start = m.from.Start(zone)
		c.notBefore = start
	}
	switch {
	case v.Endless():
		return
	case v.Until == "":
		c.expires = start.AddDate(v.Years, v.Months, v.Days)
	case m.until.IsZero():
		return // reported with its claim
	default:
		// The last second of the last day, so that it shows as that day.
		c.expires = m.until.Start(zone).AddDate(0, 0, 1).Add(-time.Second)
	}
	switch {
	case !c.expires.After(start):
		m.problem(true, "", v.Until, CodeDateOrder, "the credential would end before it begins")
	case !c.expires.After(now):
		m.problem(true, "", v.Until, CodeExpired, "the credential would be over when it is issued")
	}
}
