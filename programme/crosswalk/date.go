package crosswalk

import (
	"fmt"
	"strings"
	"time"
)

// A Date is a calendar date of which the day, or the day and the month, may be
// unknown (0). The zero Date is no date.
type Date struct{ Year, Month, Day int }

// Years outside this span are taken for a slip or for another calendar: 2567
// is a year of the Buddhist era, 1403 one of the Persian calendar.
const (
	minYear = 1850
	maxYear = 2199
)

// maxFormat is the longest description of a format, in bytes.
const maxFormat = 64

// A Format reads dates that are written one way. Make it with [ParseFormat].
type Format struct {
	spec  string
	parts []part
	time  bool
	zone  *time.Location
}

// A part is a field of a format (kind y, m, d or n for a month's name) or a
// separator (kind 0).
type part struct {
	kind byte
	min  int
	max  int
	sep  byte
}

// Formats that need no separator or zone to be told apart: what a date is read
// with if a programme names no format.
var isoSpecs = []string{"YYYY-MM-DD", "YYYYMMDD", "YYYY-MM", "YYYY", "date-time"}

// ISOFormats returns the formats of ISO 8601 that cannot be mistaken for one
// another: YYYY-MM-DD, YYYYMMDD, YYYY-MM, YYYY and date-time.
func ISOFormats() []Format {
	fs := make([]Format, len(isoSpecs))
	for i, s := range isoSpecs {
		fs[i], _ = ParseFormat(s, nil)
	}
	return fs
}

// ParseFormat returns the format that spec describes with YYYY, MM, DD (two
// digits), M, D (one or two), MMM (English name or three letters) and the
// separators - / . , and space; or "date-time" for RFC 3339 and its usual
// variations. Of a date-time that names a time zone, zone says which day it is
// where the registry stands; nil if that does not matter because the times are
// all midnight.
func ParseFormat(spec string, zone *time.Location) (Format, error) {
	if len(spec) > maxFormat {
		return Format{}, fmt.Errorf("date format %q is longer than %d characters", clip(spec), maxFormat)
	}
	f := Format{spec: spec, zone: zone}
	if spec == "date-time" {
		f.time = true
		return f, nil
	}
	tokens := []struct {
		text string
		part part
	}{
		{"YYYY", part{kind: 'y', min: 4, max: 4}},
		{"MMM", part{kind: 'n', min: 3, max: 9}},
		{"MM", part{kind: 'm', min: 2, max: 2}}, {"M", part{kind: 'm', min: 1, max: 2}},
		{"DD", part{kind: 'd', min: 2, max: 2}}, {"D", part{kind: 'd', min: 1, max: 2}},
	}
	var seen [256]bool
next:
	for rest := spec; rest != ""; {
		for _, t := range tokens {
			if !strings.HasPrefix(rest, t.text) {
				continue
			}
			kind := t.part.kind
			if kind == 'n' {
				kind = 'm'
			}
			if seen[kind] {
				return Format{}, fmt.Errorf("date format %q names a part twice", clip(spec))
			}
			seen[kind] = true
			f.parts = append(f.parts, t.part)
			rest = rest[len(t.text):]
			continue next
		}
		if !strings.ContainsRune("-/., ", rune(rest[0])) {
			return Format{}, fmt.Errorf("date format %q: use YYYY, MM, DD, M, D, MMM and the separators - / . , or space", clip(spec))
		}
		f.parts = append(f.parts, part{sep: rest[0]})
		rest = rest[1:]
	}
	if !seen['y'] {
		return Format{}, fmt.Errorf("date format %q has no year of four digits (YYYY)", clip(spec))
	}
	if seen['d'] && !seen['m'] {
		return Format{}, fmt.Errorf("date format %q has a day but no month", clip(spec))
	}
	for i := 1; i < len(f.parts); i++ {
		if a, b := f.parts[i-1], f.parts[i]; a.min != a.max && b.kind != 0 {
			return Format{}, fmt.Errorf("date format %q: a part of varying length needs a separator behind it", clip(spec))
		}
	}
	return f, nil
}

// String returns the format as it was described.
func (f Format) String() string { return f.spec }

// ParseDate reads text with the first of the formats that fits. No two formats
// of one list should fit the same text; the caller sees to that.
func ParseDate(text string, formats []Format) (Date, error) {
	var last error
	for _, f := range formats {
		d, err := f.Parse(text)
		if err == nil {
			return d, nil
		}
		if _, unread := err.(*UnreadableError); !unread || last == nil {
			last = err
		}
		if _, lost := err.(*LossError); lost {
			return Date{}, err // the shape fits: the date itself is the trouble
		}
	}
	if len(formats) > 1 {
		names := make([]string, len(formats))
		for i, f := range formats {
			names[i] = f.spec
		}
		return Date{}, unreadable("date", "not a date of the form %s", strings.Join(names, " or "))
	}
	return Date{}, last
}

// Parse reads a date. An unknown month or day may be written 00, XX, xx or ??;
// an unknown year (0000, XXXX, ????) is a [*LossError], since nothing of the
// date remains that a credential could say.
func (f Format) Parse(text string) (Date, error) {
	if len(text) > 64 {
		return Date{}, unreadable("date", "the text is longer than any date")
	}
	text = Digits(strings.TrimSpace(text))
	if f.time {
		return f.parseTime(text)
	}
	var d Date
	s := text
	for i, p := range f.parts {
		if p.kind == 0 {
			if s == "" || s[0] != p.sep {
				return Date{}, f.shape()
			}
			s = s[1:]
			continue
		}
		n := p.max
		if p.min != p.max { // runs to the separator or the end
			n = len(s)
			if i+1 < len(f.parts) {
				n = strings.IndexByte(s, f.parts[i+1].sep)
			}
		}
		if n < p.min || n > p.max || n > len(s) {
			return Date{}, f.shape()
		}
		v, ok := number(s[:n])
		if p.kind == 'n' {
			v, ok = month(s[:n])
		}
		if !ok {
			return Date{}, f.shape()
		}
		switch p.kind {
		case 'y':
			d.Year = v
		case 'm', 'n':
			d.Month = v
		case 'd':
			d.Day = v
		}
		s = s[n:]
	}
	if s != "" {
		return Date{}, f.shape()
	}
	return d, d.check()
}

func (f Format) shape() error { return unreadable("date", "not a date of the form %s", f.spec) }

// number reads ASCII digits, or unknown ones as 0.
func number(s string) (int, bool) {
	v := 0
	unknown := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			v = v*10 + int(c-'0')
		case c == 'X' || c == 'x' || c == '?':
			unknown++
		default:
			return 0, false
		}
	}
	if unknown > 0 {
		return 0, unknown == len(s)
	}
	return v, s != ""
}

var months = []string{"january", "february", "march", "april", "may", "june",
	"july", "august", "september", "october", "november", "december"}

// month reads an English month's name or its first three letters.
func month(s string) (int, bool) {
	s = strings.ToLower(s)
	for i, m := range months {
		if s == m || s == m[:3] {
			return i + 1, true
		}
	}
	return 0, false
}

// check says whether the calendar has such a date.
func (d Date) check() error {
	switch {
	case d.Year == 0:
		return loss("date", "the year is unknown")
	case d.Year < minYear || d.Year > maxYear:
		return unreadable("date", "the year is not between %d and %d; is it of another calendar?", minYear, maxYear)
	case d.Month == 0 && d.Day != 0:
		return loss("date", "the day is known but not the month")
	case d.Month > 12:
		return unreadable("date", "there is no such month; are day and month the other way round?")
	case d.Month != 0 && d.Day > daysIn(d.Year, d.Month):
		return unreadable("date", "the month has no such day")
	}
	return nil
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// parseTime reads a date-time. A moment that is not midnight and whose zone is
// not the registry's may belong to the day before or after: if no zone was
// given for such a text, that is a loss. It happens when a program stores local
// midnight as UTC.
func (f Format) parseTime(text string) (Date, error) {
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04",
		"2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07",
	} {
		t, err := time.Parse(layout, text) // takes fractions of a second, too
		if err != nil {
			continue
		}
		zoned := strings.Contains(layout, "Z07")
		if zoned && f.zone != nil {
			t = t.In(f.zone)
		}
		d := Date{t.Year(), int(t.Month()), t.Day()}
		if err := d.check(); err != nil {
			return Date{}, err
		}
		if midnight := t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0; zoned && f.zone == nil && !midnight {
			return d, loss("date", "a time in another zone than the registry's may fall on another day; name the registry's zone")
		}
		return d, nil
	}
	return Date{}, unreadable("date", "not a date-time such as 1984-04-18T00:00:00Z")
}

// IsZero says that there is no date.
func (d Date) IsZero() bool { return d == Date{} }

// Complete says that year, month and day are known.
func (d Date) Complete() bool { return d.Year != 0 && d.Month != 0 && d.Day != 0 }

// String returns what is known of the date: 1984-04-18, 1984-04 or 1984.
func (d Date) String() string {
	var b [10]byte
	s := b[:0]
	switch {
	case d.Year == 0:
		return ""
	case d.Month == 0:
		return string(appendInt(s, d.Year, 4))
	case d.Day == 0:
		return string(appendInt(append(appendInt(s, d.Year, 4), '-'), d.Month, 2))
	}
	s = append(appendInt(s, d.Year, 4), '-')
	s = append(appendInt(s, d.Month, 2), '-')
	return string(appendInt(s, d.Day, 2))
}

func appendInt(b []byte, v, width int) []byte {
	for w := width - 1; w >= 0; w-- {
		div := 1
		for range w {
			div *= 10
		}
		b = append(b, byte('0'+v/div%10))
	}
	return b
}

// ISO returns YYYY-MM-DD as SD-JWT and the EUDI PID write a date. An unknown
// day or month is a loss; the text is then what is known.
func (d Date) ISO() (string, error) {
	if !d.Complete() {
		return d.String(), d.lost("an ISO date")
	}
	return d.String(), nil
}

// Claim169 returns YYYYMMDD. Claim 169 leaves an incomplete date out: a loss,
// and the text is then empty.
func (d Date) Claim169() (string, error) {
	if !d.Complete() {
		return "", d.lost("Claim 169")
	}
	var b [8]byte
	s := appendInt(b[:0], d.Year, 4)
	return string(appendInt(appendInt(s, d.Month, 2), d.Day, 2)), nil
}

// DCI returns the date-time of the DCI schemas, midnight UTC of the day. An
// incomplete date is a loss, and the text is then empty.
func (d Date) DCI() (string, error) {
	if !d.Complete() {
		return "", d.lost("a DCI date-time")
	}
	return d.String() + "T00:00:00Z", nil
}

// OpenCRVS returns dob, or dobUnknown and the age on the day on, of OpenCRVS. An
// incomplete date becomes an age, which is a loss; if the age is not certain
// either, it is the lower one.
func (d Date) OpenCRVS(on Date) (dob string, unknown bool, age int, err error) {
	if d.Complete() {
		return d.String(), false, 0, nil
	}
	if d.IsZero() || !on.Complete() {
		return "", true, 0, d.lost("OpenCRVS")
	}
	day := on.Year*10000 + on.Month*100 + on.Day
	return "", true, max((day-d.latest())/10000, 0), d.lost("OpenCRVS")
}

// BornAtAge returns what an age on a day (age and dobUnknown of OpenCRVS) says of
// the date of birth: a year, which may also be the one before. That is a loss.
func BornAtAge(years int, on Date) (Date, error) {
	if years < 0 || years > 150 || on.Year-years < minYear {
		return Date{}, unreadable("date", "not the age of a person")
	}
	return Date{Year: on.Year - years}, loss("date", "an age tells the year of birth only to within one year")
}

func (d Date) lost(target string) error {
	switch {
	case d.Year == 0:
		return loss("date", "the date is unknown")
	case d.Month == 0:
		return loss("date", "month and day are unknown, which %s cannot say", target)
	}
	return loss("date", "the day is unknown, which %s cannot say", target)
}

// Before says whether d is surely before e: what is unknown is not sure.
func (d Date) Before(e Date) bool {
	return d.latest() < e.earliest()
}

// earliest and latest are the first and the last day that the date may be, as
// the number YYYYMMDD.
func (d Date) earliest() int { return d.Year*10000 + max(d.Month, 1)*100 + max(d.Day, 1) }

func (d Date) latest() int {
	m := d.Month
	if m == 0 {
		m = 12
	}
	day := d.Day
	if day == 0 {
		day = daysIn(max(d.Year, 1), m)
	}
	return d.Year*10000 + m*100 + day
}

// AgeOver says whether someone born on d is years old or older on the day on.
// It is a loss if that depends on an unknown month or day. Who is born on 29
// February comes of age on 1 March in other years.
func (d Date) AgeOver(years int, on Date) (bool, error) {
	if d.IsZero() || !on.Complete() {
		return false, loss("date", "the date of birth is unknown")
	}
	day := on.Year*10000 + on.Month*100 + on.Day
	sure := d.latest()+years*10000 <= day
	maybe := d.earliest()+years*10000 <= day
	if sure != maybe {
		return false, d.lost("an age")
	}
	return sure, nil
}

// Start returns the first moment of the day in zone. The date must be complete.
func (d Date) Start(zone *time.Location) time.Time {
	return time.Date(d.Year, time.Month(d.Month), d.Day, 0, 0, 0, 0, zone)
}

// DateOf returns the day of t in t's zone.
func DateOf(t time.Time) Date { return Date{t.Year(), int(t.Month()), t.Day()} }

// clip shortens text of a programme file for a message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
