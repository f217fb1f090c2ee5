package samplecountry

import "strconv"

// A registry writes dates and sexes in its own way; these are the ways.

func number(n int) string { return strconv.Itoa(n) }

// iso is 1987-05-12.
func iso(d day) string {
	y, m, dd := d.civil()
	return digits(y, 4) + "-" + digits(m, 2) + "-" + digits(dd, 2)
}

// isoOr is iso, or nothing for what has not happened by today.
func isoOr(d, today day) string {
	if d > today {
		return ""
	}
	return iso(d)
}

// A dateStyle writes a date of which the month or the day may be unknown. A
// date that is not known at all is an empty cell everywhere but in EDTF.
type dateStyle int

const (
	isoZeros    dateStyle = iota // 1987-05-12, 1987-05-00, 1987-00-00
	isoShort                     // 1987-05-12, 1987-05, 1987
	edtf                         // 1987-05-12, 1987-05-XX, 1987-XX-XX, XXXX-XX-XX (ISO 8601-2)
	dashDMY                      // 12-05-1987, 00-05-1987, 00-00-1987
	slashDMY                     // 12/05/1987
	dotDMY                       // 12.05.1987, 05.1987, 1987
	compactZero                  // 19870512, 19870500, 19870000
)

// write writes the date that the person was born on.
func (s dateStyle) birth(p *person) string { return s.write(p.born, p.known) }

// on writes a date that is known.
func (s dateStyle) on(d day) string { return s.write(d, exact) }

func (s dateStyle) write(d day, known precision) string {
	if known == unknown {
		if s == edtf {
			return "XXXX-XX-XX"
		}
		return ""
	}
	year, month, dayOfMonth := d.civil()
	y, m, dd := digits(year, 4), digits(month, 2), digits(dayOfMonth, 2)
	blank := "00"
	if s == edtf {
		blank = "XX"
	}
	if known >= toYear {
		m = blank
	}
	if known >= toMonth {
		dd = blank
	}
	switch s {
	case dashDMY:
		return dd + "-" + m + "-" + y
	case slashDMY:
		return dd + "/" + m + "/" + y
	case compactZero:
		return y + m + dd
	case dotDMY:
		return [...]string{dd + "." + m + "." + y, m + "." + y, y}[known]
	case isoShort:
		return [...]string{y + "-" + m + "-" + dd, y + "-" + m, y}[known]
	}
	return y + "-" + m + "-" + dd
}

// A sexStyle is how a registry writes ISO 5218's 0 (not known), 1 (male), 2
// (female) and 9 (not applicable), in this order.
type sexStyle [4]string

var (
	sexISO     = sexStyle{"0", "1", "2", "9"}
	sexTitle   = sexStyle{"Unknown", "Male", "Female", "Other"}
	sexCapital = sexStyle{"UNKNOWN", "MALE", "FEMALE", "NOT_APPLICABLE"}
	sexLetter  = sexStyle{"U", "M", "F", "X"}
	sexSmall   = sexStyle{"", "m", "f", "x"}
	sexWord    = sexStyle{"unknown", "male", "female", "unknown"}
)

func (s sexStyle) of(p *person) string { return s[min(p.sex, 3)] }

// phone is the person's telephone number, or nothing for the four in ten who
// have none. No country has the prefix +999.
func (p *person) phone() string {
	r := p.draw(0)
	if !r.percent(60) {
		return ""
	}
	return "+9997" + digits(scatter(p.number+3), 8)
}

// draw returns random numbers of the person's for one purpose.
func (p *person) draw(purpose int) random { return newRandom(uint64(p.random), purpose) }

// serial is the person's number in the registry with this tag.
func (p *person) serial(tag int) string {
	return digits(scatter((p.number+tag*7_000_000)%100_000_000), 8)
}

func (p *person) district() *district { return p.home.district }
