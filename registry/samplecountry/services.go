package samplecountry

// The registries of those who serve people: agriculture, trade, schools, relief
// and health.

var farmers = table{
	name:        "farmers",
	description: "Farmer registry: about one adult in five",
	columns: []Column{
		{"farmerID", "F<district><8 digits>"},
		{"nationalNumber", ""},
		{"fullName", "in Latin letters"},
		{"fullNameLocal", "in the script of the district"},
		{"script", "ISO 15924"},
		{"mobileNumber", "empty for four in ten"},
		{"dateOfBirth", "12-05-1987; 00-05-1987 or 00-00-1987 if the day or the month is unknown; empty if the date is"},
		{"gender", "Male, Female, Unknown or Other"},
		{"state", "province"},
		{"district", ""},
		{"villageOrTown", ""},
		{"villageCode", "location code of the municipality"},
		{"postalCode", ""},
		{"farmID", "P<8 digits>"},
		{"landArea", "3 hectares or 2.5 acres"},
		{"landOwnershipType", "Owner, Tenant, Sharecropper or Communal"},
		{"primaryCropType", ""},
		{"secondaryCropType", "may be empty"},
		{"livestockSystem", "may be empty"},
		{"irrigationScheme", "may be empty"},
		{"registrationDate", "02-11-2023"},
		{"lastUpdated", "2025-03-02T09:15:00Z"},
	},
	household: func(g *generator, h *household) {
		for p := range g.present(h) {
			r := p.draw(2)
			if chosen := r.percent(20) || p.odd == Deceased; !chosen || p.age(g.today) < 18 || !p.live(g.today) {
				continue
			}
			full := p.namesOn(g.today).full(h.district.script)
			area, unit := r.between(2, 90), " hectares"
			if r.percent(40) {
				unit = " acres"
			}
			size := number(area / 10)
			if area%10 != 0 {
				size += "." + number(area%10)
			}
			registered := dayOf(2021, 1, 1) + day(r.below(1400))
			updated := registered + day(r.below(400))
			g.emit("F"+digits(h.district.number, 2)+p.serial(2), nationalNumber(p.number), full.latin, full.local, h.district.script.code,
				p.phone(), dashDMY.birth(p), sexTitle.of(p),
				h.district.province.name.latin, h.district.name.latin, h.town.name.latin, h.town.code, h.town.postal,
				"P"+p.serial(3), size+unit, pick(&r, tenures), pick(&r, crops), pick(&r, secondCrops), pick(&r, livestock), pick(&r, irrigation),
				dashDMY.on(registered), iso(updated)+"T"+digits(r.between(7, 17), 2)+":"+digits(r.below(60), 2)+":00Z")
		}
	},
}

var (
	tenures     = []string{"Owner", "Owner", "Tenant", "Sharecropper", "Communal"}
	crops       = []string{"Rice", "Maize", "Wheat", "Jute", "Teff", "Dates", "Cassava", "Potatoes", "Coffee", "Lentils"}
	secondCrops = []string{"", "", "Sesame", "Onions", "Chillies", "Groundnuts", "Mangoes", "Cotton"}
	livestock   = []string{"", "Mixed smallholding", "Cattle", "Goats and sheep", "Poultry"}
	irrigation  = []string{"", "", "River canal", "Tube well", "Rain fed"}
)

var tradeLicences = table{
	name:        "trade_licences",
	description: "Trade licences of the municipalities: about one adult in twelve",
	columns: []Column{
		{"licence_number", "TL-<district>-<8 digits>"},
		{"application_number", "AP-<8 digits>"},
		{"trade_name", ""},
		{"trade_name_local", ""},
		{"script", "ISO 15924"},
		{"licence_type", "PERMANENT or TEMPORARY"},
		{"application_type", "NEW or RENEWAL"},
		{"activity_codes", "47.11;56.10"},
		{"activities", "names of the codes in the same order, with semicolons between"},
		{"owner_name", ""},
		{"owner_name_local", ""},
		{"owner_national_number", ""},
		{"premises_street", "may be empty"},
		{"premises_locality", ""},
		{"premises_locality_local", ""},
		{"premises_district", ""},
		{"location_code", "of the municipality"},
		{"municipality", "tenant id: xa.<district>"},
		{"financial_year", "2025-26"},
		{"commencement_date", "12/05/2019"},
		{"issued_date", "12/05/2025"},
		{"valid_from", "01/07/2025: the financial year of the export; for expired licences the one before"},
		{"valid_to", "30/06/2026"},
		{"licence_status", "ACTIVE, EXPIRED or SUSPENDED"},
	},
	household: func(g *generator, h *household) {
		for p := range g.present(h) {
			r := p.draw(4)
			chosen := r.percent(8) || p.odd == NoStreet
			if !chosen || p.age(g.today) < 20 || !p.live(g.today) {
				continue
			}
			g.licence(p, &r)
		}
	},
}

// An activity is a class of ISIC revision 4 with our own words for it.
type activity struct{ code, name string }

var activities = []activity{
	{"47.11", "Retail of food"}, {"56.10", "Restaurant"}, {"47.71", "Retail of clothing"}, {"95.22", "Repair of appliances"}, {"96.02", "Hairdressing"},
	{"45.20", "Repair of vehicles"}, {"10.71", "Bakery"}, {"14.10", "Tailoring"}, {"47.73", "Pharmacy"}, {"31.00", "Furniture making"},
}

// financialYear is the year in which that of the export began, in July.
func (g *generator) financialYear() int {
	y, m, _ := g.today.civil()
	if m < 7 {
		y--
	}
	return y
}

// licence emits one trade licence.
func (g *generator) licence(p *person, r *random) {
	h, s := p.home, p.district().script
	n := p.namesOn(g.today)
	owner := n.full(s)
	a := pick(r, activities)
	codes, work := a.code, a.name
	if b := pick(r, activities); b != a && r.percent(40) {
		codes, work = codes+";"+b.code, work+";"+b.name
	}
	kind, application := "PERMANENT", "NEW"
	if r.percent(15) {
		kind = "TEMPORARY"
	}
	year, status := g.financialYear(), "ACTIVE"
	switch x := r.below(100); {
	case x < 8:
		status, year = "EXPIRED", year-1
	case x < 11:
		status = "SUSPENDED"
	}
	from := dayOf(year, 7, 1)
	began := from - day(r.below(3000))
	if from-began > 365 {
		application = "RENEWAL"
	}
	shop := localWord{"Stores", false, " "}
	g.emit("TL-"+digits(h.district.number, 2)+"-"+p.serial(4), "AP-"+p.serial(5),
		shop.of(n.given.latin), s.shop.of(n.given.local), s.code, kind, application, codes, work,
		owner.latin, owner.local, nationalNumber(p.number),
		h.street, h.town.name.latin, h.town.name.local, h.district.name.latin, h.town.code, "xa."+digits(h.district.number, 2),
		number(year)+"-"+digits((year+1)%100, 2), slashDMY.on(began), slashDMY.on(from-day(r.between(1, 40))),
		slashDMY.on(from), slashDMY.on(dayOf(year+1, 6, 30)), status)
}

var schoolCertificates = table{
	name:        "school_certificates",
	description: "School leaving certificates of the last years: most of those who have turned 17 since 2008",
	columns: []Column{
		{"certificate_number", "SC-<year>-<8 digits>"},
		{"student_number", "<district><8 digits>"},
		{"index_number", "<school>/<3 digits>"},
		{"surname", "may be empty"},
		{"other_names", "given and middle names"},
		{"full_name_local", ""},
		{"script", "ISO 15924"},
		{"previous_names", "mostly empty"},
		{"date_of_birth", "19870512; 19870500 or 19870000 if the day or the month is unknown; empty if the date is"},
		{"sex", "m, f, x (not applicable) or empty (not known)"},
		{"school_code", "office code"},
		{"school_name", ""},
		{"school_name_local", ""},
		{"programme", "Science, Humanities or Commerce"},
		{"qualification", ""},
		{"level_national", "Grade 10 or Grade 12"},
		{"level_isced", "ISCED 2011: 2 or 3"},
		{"examination_session", "2025-06"},
		{"award_date", "20250620"},
		{"result", "PASS, MERIT or DISTINCTION"},
		{"language", "of instruction: BCP 47"},
		{"subjects", "MAT|Mathematics|A|87;ENG|English|B|72: code, name, grade, score"},
	},
	household: func(g *generator, h *household) {
		for p := range g.present(h) {
			r := p.draw(6)
			year, _, _ := p.born.civil()
			award := dayOf(year+17, 6, r.between(10, 28))
			if !r.percent(60) || year+17 < 2008 || award > g.today {
				continue
			}
			g.schoolCertificate(p, award, &r)
		}
	},
}

var (
	subjects = []pair{
		{"MAT", "Mathematics"}, {"ENG", "English"}, {"LOC", "First language"}, {"SCI", "Science"}, {"HIS", "History"},
		{"GEO", "Geography"}, {"ICT", "Computing"}, {"AGR", "Agriculture"},
	}
	branches = []string{"Science", "Humanities", "Commerce"}
)

// schoolCertificate emits one school certificate.
func (g *generator) schoolCertificate(p *person, award day, r *random) {
	n, d := p.namesOn(g.today), p.district()
	year, month, _ := award.civil()
	qualification, national, isced := "School Leaving Certificate", "Grade 12", "3"
	if r.percent(30) {
		qualification, national, isced = "Junior School Certificate", "Grade 10", "2"
	}
	taken, total := "", 0
	count := r.between(4, 6)
	first := r.below(len(subjects))
	for i := range count {
		score := r.between(41, 98)
		total += score
		s := subjects[(first+i)%len(subjects)]
		if i > 0 {
			taken += ";"
		}
		taken += s.latin + "|" + s.local + "|" + grade(score) + "|" + number(score)
	}
	result := "PASS"
	switch mean := total / count; {
	case mean >= 80:
		result = "DISTINCTION"
	case mean >= 65:
		result = "MERIT"
	}
	previous := ""
	if p.corrected <= g.today {
		previous = p.before.full(d.script).latin
	}
	g.emit("SC-"+digits(year, 4)+"-"+p.serial(6), digits(d.number, 2)+p.serial(7), d.school.code+"/"+digits(r.below(1000), 3),
		n.family.latin, join(n.given.latin, n.middle.latin, ""), n.full(d.script).local, d.script.code, previous,
		compactZero.birth(p), sexSmall.of(p), d.school.code, d.school.name.latin, d.school.name.local,
		pick(r, branches), qualification, national, isced, digits(year, 4)+"-"+digits(month, 2), compactZero.on(award),
		result, d.script.language, taken)
}

func grade(score int) string {
	switch {
	case score >= 80:
		return "A"
	case score >= 65:
		return "B"
	case score >= 50:
		return "C"
	}
	return "D"
}

var beneficiaries = table{
	name:        "beneficiaries",
	description: "Beneficiaries of relief programmes: about one adult in six",
	columns: []Column{
		{"beneficiary_id", "16 hexadecimal digits that say nothing about the person"},
		{"national_number", ""},
		{"programme_identifier", "FS-2026 or CT-2026"},
		{"programme_name", ""},
		{"implementing_institution", ""},
		{"given_name", "given and middle names"},
		{"surname", "may be empty"},
		{"full_name_local", ""},
		{"script", "ISO 15924"},
		{"sex", "M, F, X (not applicable) or U (not known)"},
		{"birth_date", "1987-05-12; 1987-05 or 1987 if the day or the month is unknown; empty if the date is"},
		{"assistance_unit", "HOUSEHOLD or INDIVIDUAL"},
		{"household_size", ""},
		{"enrollment_date", "2025-11-02"},
		{"enrollment_status", "ENROLLED, SUSPENDED or EXITED"},
		{"benefit_type", "CASH, FOOD or VOUCHER"},
		{"benefit_value", "1500.00"},
		{"benefit_currency", "XTS, the test code of ISO 4217"},
		{"benefit_frequency", "MONTHLY, QUARTERLY or ONCE"},
		{"entitlement_count", ""},
		{"valid_from", "2026-01-01: the first day of the quarter of the export"},
		{"valid_until", "2026-03-31: 90 days"},
		{"redemption_area", "location code of the district"},
		{"redemption_area_name", ""},
		{"alternate_collector", "full name of another adult of the household; mostly empty"},
	},
	household: func(g *generator, h *household) {
		for p := range g.present(h) {
			r := p.draw(8)
			if chosen := r.percent(16) || p.odd == Deceased; !chosen || p.age(g.today) < 18 || !p.live(g.today) {
				continue
			}
			g.beneficiary(p, &r)
		}
	},
}

// beneficiary emits one beneficiary.
func (g *generator) beneficiary(p *person, r *random) {
	h, n := p.home, p.namesOn(g.today)
	id, programme, institution := "FS-2026", "Food Support 2026", "Ministry of Relief"
	unit, size, benefit := "HOUSEHOLD", r.between(2, 9), pick(r, []string{"FOOD", "VOUCHER"})
	if r.percent(40) {
		id, programme, institution = "CT-2026", "Cash Transfer for Elders and Carers 2026", "Social Protection Agency"
		unit, size, benefit = "INDIVIDUAL", 1, "CASH"
	}
	status := "ENROLLED"
	switch x := r.below(100); {
	case x < 4:
		status = "SUSPENDED"
	case x < 7:
		status = "EXITED"
	}
	collector := ""
	if other := &h.members[1-min(p.member, 1)]; r.percent(15) && other.live(g.today) && other.number < g.persons {
		collector = other.names.full(h.district.script).latin
	}
	year, month, _ := g.today.civil()
	from := dayOf(year, month-(month-1)%3, 1) // entitlements are for a quarter
	enrolled := defaultDay - day(r.between(20, 300))
	g.emit(hex16(mix(uint64(p.number)^mix(g.seed))), nationalNumber(p.number), id, programme, institution,
		join(n.given.latin, n.middle.latin, ""), n.family.latin, n.full(h.district.script).local, h.district.script.code,
		sexLetter.of(p), isoShort.birth(p), unit, number(size), iso(enrolled), status, benefit,
		number(r.between(4, 30)*100)+".00", Currency, pick(r, []string{"MONTHLY", "QUARTERLY", "ONCE"}), number(r.between(1, 6)),
		iso(from), iso(from+89), h.district.code, h.district.name.latin, collector)
}

func hex16(x uint64) string {
	const hexadecimal = "0123456789abcdef"
	var b [16]byte
	for i := range b {
		b[15-i] = hexadecimal[x&15]
		x >>= 4
	}
	return string(b[:])
}

var vaccinations = table{
	name:        "vaccinations",
	description: "Vaccination records, one a dose: about seven people in ten, with one to three doses",
	columns: []Column{
		{"certificateId", "V<8 digits><dose>"},
		{"preEnrollmentCode", "<8 digits>"},
		{"recipientName", "in full, in Latin letters"},
		{"recipientNameLocal", ""},
		{"script", "ISO 15924"},
		{"recipientMobileNumber", "empty for four in ten"},
		{"recipientDOB", "1987-05-12; 1987-05 or 1987 if the day or the month is unknown; empty if the date is"},
		{"recipientAge", "in years on the day of the dose"},
		{"recipientGender", "Male, Female, Unknown or Other"},
		{"recipientNationality", "ISO 3166-1 alpha-3"},
		{"recipientIdentity", "did:xa:nn:<national number>"},
		{"recipientAddressLine1", "street; may be empty"},
		{"recipientAddressLine2", "municipality"},
		{"recipientDistrict", ""},
		{"recipientState", "province"},
		{"recipientPincode", "postal code"},
		{"disease", "Measles, Tetanus or COVID-19"},
		{"vaccinationName", "made up"},
		{"vaccinationBatch", ""},
		{"vaccinationDate", "2025-03-05T09:30:00.000Z"},
		{"vaccinationDose", "1 to 3"},
		{"vaccinationTotalDoses", "1 to 3"},
		{"vaccinationEffectiveStart", "2025-03-19"},
		{"vaccinationEffectiveEnd", "2027-03-19"},
		{"vaccinationManufacturer", "made up"},
		{"vaccinatorName", ""},
		{"facilityCode", "office code"},
		{"facilityName", ""},
		{"facilityAddressLine1", ""},
		{"facilityAddressLine2", ""},
		{"facilityDistrict", ""},
		{"facilityState", ""},
		{"facilityPincode", ""},
	},
	household: func(g *generator, h *household) {
		for p := range g.present(h) {
			r := p.draw(9)
			if r.percent(70) {
				g.doses(p, &r)
			}
		}
	},
}

// A vaccine is made up, as is its maker.
type vaccine struct {
	disease, name, maker string
	doses, interval      int
}

var vaccines = []vaccine{
	{"COVID-19", "Kestavax C", "Sample Vaccines Ltd", 3, 60},
	{"Tetanus", "Kestavax T", "Sample Vaccines Ltd", 2, 180},
	{"Measles", "Kestavax M", "Specimen Biologicals", 2, 200},
}

// doses emits the doses of one person.
func (g *generator) doses(p *person, r *random) {
	h := p.home
	v := vaccines[r.below(2)]
	first := dayOf(2024, 3, 1) + day(r.below(600))
	if p.born > dayOf(2010, 1, 1) {
		v, first = vaccines[2], p.born+day(r.between(270, 400))
	}
	first = max(first, p.registered)
	full := p.namesOn(g.today).full(h.district.script)
	identity, clinic := "did:xa:nn:"+nationalNumber(p.number), &h.district.clinic
	nurse := join(pick(r, h.district.script.female).latin, pick(r, h.district.script.family).latin, "")
	for dose := range r.between(1, v.doses) {
		on := first + day(dose*v.interval)
		if on > g.today || on >= p.died {
			return
		}
		g.emit("V"+p.serial(8)+number(dose+1), p.serial(9), full.latin, full.local, h.district.script.code,
			p.phone(), isoShort.birth(p), number(p.age(on)), sexTitle.of(p), Alpha3, identity,
			h.street, h.town.name.latin, h.district.name.latin, h.district.province.name.latin, h.town.postal,
			v.disease, v.name, "LOT"+digits(r.below(100000), 5),
			iso(on)+"T"+digits(r.between(8, 16), 2)+":"+digits(r.below(60), 2)+":00.000Z", number(dose+1), number(v.doses),
			iso(on+14), iso((on + 14).years(2)), v.maker, nurse,
			clinic.code, clinic.name.latin, clinic.street, clinic.town.name.latin, h.district.name.latin,
			h.district.province.name.latin, clinic.town.postal)
	}
}
