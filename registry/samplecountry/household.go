package samplecountry

import (
	"math"
	"strings"
)

// Five people with numbers that follow each other are a household: a father, a
// mother and three children.
const (
	householdSize = 5
	father        = 0
	mother        = 1
	firstChild    = 2
)

// never is the day of what does not happen.
const never day = math.MaxInt32

// defaultDay is DefaultDate. What is made later than it is decided by oddities
// only.
var defaultDay = dayOf(2026, 1, 1)

// A precision says how much of a birth date is known.
type precision int

const (
	exact precision = iota
	toMonth
	toYear
	unknown
)

// names are the parts of a name; each may be empty.
type names struct{ given, middle, family pair }

// full joins the parts in the order that the script's people use.
func (n names) full(s *script) pair {
	a, b, c := n.given, n.middle, n.family
	if s.familyFirst {
		a, b, c = n.family, n.given, n.middle
	}
	return pair{join(a.latin, b.latin, c.latin), join(a.local, b.local, c.local)}
}

// join puts blanks between those parts that are not empty.
func join(a, b, c string) string {
	if b == "" {
		b, c = c, ""
	}
	if a == "" {
		a, b, c = b, c, ""
	}
	switch {
	case b == "":
		return a
	case c == "":
		return a + " " + b
	}
	return a + " " + b + " " + c
}

// A parent as a birth record has them.
type parent struct {
	status string // KNOWN, NOT_AVAILABLE, ADOPTIVE
	names  names
	number int // -1 for those who are not in the country's registries
}

// nationalNumber is the parent's, if they have one.
func (p parent) nationalNumber() string {
	if p.number < 0 {
		return ""
	}
	return nationalNumber(p.number)
}

// A person is everything that registries say about somebody.
type person struct {
	number    int
	home      *household
	member    int
	names     names
	before    names // before the correction, if there is one
	sex       int   // ISO 5218
	born      day
	known     precision
	twin      bool
	weight    int // at birth in grams; 0 if not known
	birthTown *town
	abroad    *foreignPlace // nil if born in the country
	clinic    *office       // nil for a birth at home

	mother, father parent

	registered, again day // again: second registration of the same birth
	corrected, died   day
	odd               Oddity
	random            random // for what single registries add
}

var notAvailable = parent{status: "NOT_AVAILABLE", number: -1}

// A household is five people and where they live.
type household struct {
	number   int
	district *district
	town     *town
	street   string // may be empty
	head     int    // member who is its head, father or mother
	members  [householdSize]person
}

// A generator makes households and passes on rows.
type generator struct {
	seed      uint64
	today     day
	persons   int
	geography *geography

	home    household
	row     []string
	yield   func([]string) bool
	stopped bool
}

func newGenerator(c Config) *generator {
	g := &generator{seed: c.Seed, today: defaultDay, persons: c.Persons, geography: newGeography()}
	if !c.Date.IsZero() {
		g.today = dayOf(c.Date.Year(), int(c.Date.Month()), c.Date.Day())
	}
	return g
}

// emit passes on one row.
func (g *generator) emit(cells ...string) {
	if g.stopped {
		return
	}
	g.row = append(g.row[:0], cells...)
	g.stopped = !g.yield(g.row)
}

// present yields the members who exist and have been registered by the date of
// the export.
func (g *generator) present(h *household) func(func(*person) bool) {
	return func(yield func(*person) bool) {
		for i := range h.members {
			p := &h.members[i]
			if p.number >= g.persons || p.registered > g.today {
				continue
			}
			if !yield(p) {
				return
			}
		}
	}
}

// makeHousehold makes household number n. The result is good until the next.
func (g *generator) makeHousehold(n int) *household {
	r := newRandom(g.seed, n)
	odd, who := oddityOf(g.seed, n)
	block := n / blockHouseholds
	// Each block has two households of every district.
	turn := int(mix(g.seed^uint64(block)) % 20)
	d := g.geography.districts[(7*n+turn)%len(g.geography.districts)]
	h := &g.home
	*h = household{number: n, district: d, town: &d.towns[r.below(len(d.towns))], head: father}
	if r.percent(30) {
		h.head = mother
	}
	h.street = digits(r.between(10, 99), 2) + " " + pick(&r, streets)
	if odd == NoStreet {
		h.street = ""
	}
	for i := range h.members {
		h.members[i] = person{
			number: n*householdSize + i, home: h, member: i, corrected: never, died: never, again: never,
			random: newRandom(^g.seed, n*householdSize+i),
		}
	}
	h.members[who].odd = odd
	h.dates(&r, odd, block)
	h.name(&r, odd)
	h.births(&r)
	for i := range h.members {
		h.members[i].apply(&r)
	}
	return h
}

// dates sets sexes and birth dates, so that mothers are 18 to 37 at a birth.
func (h *household) dates(r *random, odd Oddity, block int) {
	motherBorn := dayOf(r.between(1955, 1989), 1, 1) + day(r.below(365))
	first := motherBorn.years(r.between(18, 26)) + day(r.below(365))
	if odd == TurningEighteen {
		first = defaultDay.years(-18) + 1
		if block > 0 {
			first += day(r.below(300))
		}
		motherBorn = first.years(-r.between(19, 30)) + day(r.below(100))
	}
	m := &h.members
	m[father].sex, m[mother].sex = 1, 2
	m[mother].born = motherBorn
	m[father].born = motherBorn + day(r.between(-2000, 300))
	born := first
	for i := firstChild; i < householdSize; i++ {
		m[i].sex = 1 + r.below(2)
		m[i].born = born
		born += day(r.between(400, 1400))
	}
	switch odd {
	case Twins:
		m[firstChild].twin, m[firstChild+1].twin = true, true
		m[firstChild+1].born = m[firstChild].born
	case SexNotKnown:
		m[firstChild].sex = 0
	case SexNotApplicable:
		m[firstChild+1].sex = 9
	case BornLater:
		m[householdSize-1].born = defaultDay + day(r.between(10, 40))
	}
	for i := range m {
		m[i].registered = m[i].born + day(r.between(3, 60))
		if i < firstChild && r.percent(20) {
			m[i].registered = m[i].born + day(r.between(365, 6000))
		}
		m[i].registered = min(m[i].registered, max(defaultDay-30, m[i].born+20))
	}
}

// name gives everybody a name, as their people name children.
func (h *household) name(r *random, odd Oddity) {
	s := h.district.script
	family := pick(r, s.family)
	switch odd {
	case Apostrophe:
		family = s.apostrophe
	case ThreePartSurname:
		second, third := pick(r, s.family), pick(r, s.family)
		family = pair{join(family.latin, second.latin, third.latin), join(family.local, second.local, third.local)}
	}
	f, m := &h.members[father], &h.members[mother]
	f.nameAdult(r, s, family)
	m.nameAdult(r, s, pick(r, s.family))
	given := r.below(24)
	for i := firstChild; i < householdSize; i++ {
		c := &h.members[i]
		c.names = s.child(r, c.sex, f.names.given, f.names.middle, family)
		// Brothers and sisters do not share a name.
		c.names.given = s.givens(c.sex)[(given+i*5)%24]
	}
}

// nameAdult names somebody born into a family of this name, and their parents.
func (p *person) nameAdult(r *random, s *script, family pair) {
	f := s.child(r, 1, pick(r, s.male), pick(r, s.male), family)
	if s.naming == ancestors { // the family's name is that of a grandfather
		f.middle = family
	}
	m := s.child(r, 2, pick(r, s.male), pick(r, s.family), pick(r, s.family))
	p.names = s.child(r, p.sex, f.given, f.middle, family)
	p.father, p.mother = parent{"KNOWN", f, -1}, parent{"KNOWN", m, -1}
}

func (s *script) givens(sex int) []pair {
	if sex == 2 {
		return s.female
	}
	return s.male
}

func (s *script) middles(sex int) []pair {
	if sex == 2 {
		return s.middle[1]
	}
	return s.middle[0]
}

// child names a child of a father with this given name, whose own father's was
// grandfather's, in a family of this name.
func (s *script) child(r *random, sex int, father, grandfather, family pair) names {
	n := names{given: pick(r, s.givens(sex)), family: family}
	withMiddle := r.percent(25)
	switch s.naming {
	case fatherFamily:
		if s.middle[0] != nil && withMiddle {
			n.middle = pick(r, s.middles(sex))
		}
	case fatherGiven:
		n.middle = father
	case ancestors:
		n.middle, n.family = father, grandfather
	case patronymic:
		n.middle = pair{father.latin + "ovich", father.local + "ович"}
		if sex == 2 {
			n.middle = pair{father.latin + "ovna", father.local + "овна"}
		}
		n.family = s.familyOf(family, sex)
	}
	return n
}

// familyOf is the form of a family name that a person of this sex has.
func (s *script) familyOf(family pair, sex int) pair {
	if s.naming != patronymic || sex != 2 {
		return family
	}
	return pair{
		strings.ReplaceAll(family.latin, " ", "a ") + "a",
		strings.ReplaceAll(family.local, " ", "а ") + "а",
	}
}

// births sets where everybody was born, and who the children's parents are.
func (h *household) births(r *random) {
	for i := range h.members {
		p := &h.members[i]
		p.birthTown = h.town
		if i < firstChild {
			p.birthTown = &h.district.towns[r.below(len(h.district.towns))]
		}
		if r.percent(70) {
			p.clinic = &h.district.clinic
		}
		if p.weight = r.between(2100, 4300); i < firstChild || r.percent(10) {
			p.weight = 0
		}
		if i < firstChild {
			continue
		}
		f, m := &h.members[father], &h.members[mother]
		p.father, p.mother = parent{"KNOWN", f.names, f.number}, parent{"KNOWN", m.names, m.number}
	}
}

// apply makes a person as odd as they are to be, and lets some of those who are
// not odd die.
func (p *person) apply(r *random) {
	s := p.home.district.script
	natural := p.member < firstChild && r.percent(5)
	switch p.odd {
	case SingleName:
		p.names.middle, p.names.family = pair{}, pair{}
	case NoFamilyName:
		p.names.middle, p.names.family = pick(r, s.male), pair{}
	case CombiningMark:
		p.names.given = s.accented
	case DayUnknown:
		p.known = toMonth
	case MonthUnknown:
		p.known = toYear
	case YearUnknown:
		p.known = unknown
	case NoFather:
		p.father = notAvailable
	case NoParents:
		p.father, p.mother = notAvailable, notAvailable
	case Adopted:
		p.father.status, p.mother.status = "ADOPTIVE", "ADOPTIVE"
	case BornAbroad:
		p.abroad, p.clinic = &s.abroad, nil
	case Corrected, CorrectedLater:
		p.before = p.names
		for p.before.given == p.names.given {
			p.before.given = pick(r, s.givens(p.sex))
		}
		p.corrected = defaultDay + day(r.between(-60, -20))
		if p.odd == CorrectedLater {
			p.corrected = defaultDay + day(r.between(20, 60))
		}
	case RegisteredTwice:
		p.again = min(p.registered+day(r.between(100, 900)), defaultDay-10)
	case Deceased:
		p.died = defaultDay + day(r.between(-25, -15))
	case DeceasedLater:
		p.died = defaultDay + day(r.between(20, 40))
	case Emoji:
		p.names.given = pair{p.names.given.latin + "\U0001F600", p.names.given.local + "\U0001F600"}
	case ControlCharacter:
		p.names.given = pair{p.names.given.latin + "\u0007", p.names.given.local + "\u0007"}
	case DirectionCharacter:
		p.names.given = pair{"\u202e" + p.names.given.latin, "\u202e" + p.names.given.local}
	default:
		if natural { // not before the youngest child was born
			p.died = max(defaultDay-day(r.between(200, 5000)), p.home.members[householdSize-1].born+40)
		}
	}
}

// namesOn are the names as registered on a day.
func (p *person) namesOn(d day) names {
	if p.corrected != never && d < p.corrected {
		return p.before
	}
	return p.names
}

// age in full years on a day.
func (p *person) age(on day) int {
	y, m, d := p.born.civil()
	ty, tm, td := on.civil()
	age := ty - y
	if tm < m || tm == m && td < d {
		age--
	}
	return age
}

// live is whether other registries still have the person: the death is not
// known to them before a few months have passed.
func (p *person) live(on day) bool { return p.died == never || on < p.died+100 }
