package samplecountry

// The civil registry and the population register.

var births = table{
	name:        "births",
	description: "Birth records of the civil registry: one a person, and a second one for a birth that was registered twice",
	columns: []Column{
		{"registration_number", "B-<district>-<year of registration>-<8 digits>"},
		{"national_number", "the same in both records of a birth that was registered twice"},
		{"given_names", "in Latin letters"},
		{"middle_names", "second name, patronymic or father's name; often empty"},
		{"family_name", "empty for those who have none"},
		{"given_names_local", "in the script of the district"},
		{"middle_names_local", ""},
		{"family_name_local", ""},
		{"script", "of the local names: ISO 15924, such as Beng"},
		{"language", "of the local names: BCP 47, such as bn"},
		{"sex", "ISO 5218: 1 male, 2 female, 0 not known, 9 not applicable"},
		{"date_of_birth", "1987-05-12; 1987-05-00 or 1987-00-00 if the day or the month is unknown; empty if the date is"},
		{"age_at_registration", "in years, estimated; only if date_of_birth is empty"},
		{"place_of_birth_code", "location code of the municipality; empty if born abroad"},
		{"place_of_birth", "its name"},
		{"place_of_birth_local", ""},
		{"facility_code", "office code of a health facility; empty for a birth at home or abroad"},
		{"country_of_birth", "ISO 3166-1 alpha-3; XAA is the country itself"},
		{"birth_type", "SINGLE or TWIN"},
		{"birth_weight_g", "grams; may be empty"},
		{"mother_status", "KNOWN, NOT_AVAILABLE or ADOPTIVE"},
		{"mother_name", "in full; empty if not available"},
		{"mother_name_local", ""},
		{"mother_national_number", "empty for those who have none"},
		{"father_status", "KNOWN, NOT_AVAILABLE or ADOPTIVE"},
		{"father_name", "in full; empty if not available"},
		{"father_name_local", ""},
		{"father_national_number", "empty for those who have none"},
		{"registration_date", "1987-05-20"},
		{"registration_office_code", "office code"},
		{"registration_office", "its name"},
		{"registration_office_local", ""},
		{"status", "REGISTERED, CORRECTED or DECEASED"},
		{"corrected_on", "date or empty"},
		{"correction", "what was corrected: given_names, or empty"},
		{"remarks", "mostly empty; may contain a line break"},
	},
	household: func(g *generator, h *household) {
		for p := range g.present(h) {
			g.birth(p, p.registrationNumber(p.registered, 0), p.registered)
			if p.again <= g.today {
				g.birth(p, p.registrationNumber(p.again, MaxPersons), p.again)
			}
		}
	},
}

// registrationNumber of a birth that was registered on a day.
func (p *person) registrationNumber(on day, offset int) string {
	y, _, _ := on.civil()
	return "B-" + digits(p.district().number, 2) + "-" + digits(y, 4) + "-" + digits(scatter(p.number+offset), 8)
}

// birth emits one birth record.
func (g *generator) birth(p *person, registration string, on day) {
	n, s, office := p.namesOn(g.today), p.district().script, &p.district().office
	mother, father := p.mother.names.full(s), p.father.names.full(s)
	code, place, country := p.birthTown.code, p.birthTown.name, Alpha3
	if p.abroad != nil {
		code, place, country = "", p.abroad.name, p.abroad.alpha3
	}
	age, clinic, weight, kind := "", "", "", "SINGLE"
	if p.known == unknown {
		age = number(p.age(on))
	}
	if p.clinic != nil {
		clinic = p.clinic.code
	}
	if p.weight > 0 {
		weight = number(p.weight)
	}
	if p.twin {
		kind = "TWIN"
	}
	status, correction := "REGISTERED", ""
	if p.corrected <= g.today {
		status, correction = "CORRECTED", "given_names"
	}
	if p.died <= g.today {
		status = "DECEASED"
	}
	g.emit(registration, nationalNumber(p.number),
		n.given.latin, n.middle.latin, n.family.latin, n.given.local, n.middle.local, n.family.local, s.code, s.language,
		sexISO.of(p), isoZeros.birth(p), age, code, place.latin, place.local, clinic, country, kind, weight,
		p.mother.status, mother.latin, mother.local, p.mother.nationalNumber(),
		p.father.status, father.latin, father.local, p.father.nationalNumber(),
		iso(on), office.code, office.name.latin, office.name.local,
		status, isoOr(p.corrected, g.today), correction, p.remarks())
}

func (p *person) remarks() string {
	switch p.odd {
	case Emoji, ControlCharacter, DirectionCharacter:
		return "intake error: " + string(p.odd)
	case LineBreak:
		return "Checked by the district office.\nEntry moved from the old book."
	case Adopted:
		return "adoption order on file"
	}
	return ""
}

var persons = table{
	name:        "persons",
	description: "Population register: everybody, with address",
	columns: []Column{
		{"national_number", ""},
		{"full_name", "in Latin letters, in the order the people use"},
		{"given_names", ""},
		{"middle_names", "may be empty"},
		{"family_name", "may be empty"},
		{"full_name_local", "in the script of the district"},
		{"given_names_local", ""},
		{"middle_names_local", ""},
		{"family_name_local", ""},
		{"script", "ISO 15924"},
		{"language", "BCP 47"},
		{"sex", "MALE, FEMALE, UNKNOWN or NOT_APPLICABLE"},
		{"birth_date", "EDTF: 1987-05-12, 1987-05-XX, 1987-XX-XX, XXXX-XX-XX"},
		{"birth_country", "ISO 3166-1 alpha-2"},
		{"nationality", "ISO 3166-1 alpha-2"},
		{"address_street", "may be empty"},
		{"address_locality", ""},
		{"address_district", ""},
		{"address_province", ""},
		{"postal_code", ""},
		{"location_code", "of the municipality"},
		{"phone", "empty for four in ten"},
		{"household_id", "H<8 digits>"},
		{"role", "HEAD, SPOUSE or CHILD"},
		{"birth_registration_number", "of the first record of the birth"},
		{"status", "ALIVE or DECEASED"},
		{"status_date", "date of death or empty"},
	},
	household: func(g *generator, h *household) {
		for p := range g.present(h) {
			n, s := p.namesOn(g.today), h.district.script
			full := n.full(s)
			role, status, country := "CHILD", "ALIVE", Alpha2
			switch {
			case p.member == h.head:
				role = "HEAD"
			case p.member < firstChild:
				role = "SPOUSE"
			}
			if p.died <= g.today {
				status = "DECEASED"
			}
			if p.abroad != nil {
				country = p.abroad.alpha2
			}
			g.emit(nationalNumber(p.number), full.latin, n.given.latin, n.middle.latin, n.family.latin,
				full.local, n.given.local, n.middle.local, n.family.local, s.code, s.language,
				sexCapital.of(p), edtf.birth(p), country, Alpha2,
				h.street, h.town.name.latin, h.district.name.latin, h.district.province.name.latin, h.town.postal, h.town.code,
				p.phone(), "H"+digits(h.number, 8), role, p.registrationNumber(p.registered, 0), status, isoOr(p.died, g.today))
		}
	},
}

var deaths = table{
	name:        "deaths",
	description: "Death records of the civil registry",
	columns: []Column{
		{"registration_number", "D-<district>-<year>-<8 digits>"},
		{"national_number", ""},
		{"given_names", ""},
		{"middle_names", "may be empty"},
		{"family_name", "may be empty"},
		{"full_name_local", ""},
		{"script", "ISO 15924"},
		{"sex", "male, female or unknown"},
		{"date_of_birth", "12.05.1987; 05.1987 or 1987 if the day or the month is unknown; empty if the date is"},
		{"date_of_death", "12.05.2019"},
		{"place_of_death_code", "location code of the municipality"},
		{"place_of_death", ""},
		{"spouse_name", "may be empty"},
		{"informant_name", ""},
		{"informant_relation", "SPOUSE or CHILD"},
		{"registration_date", "15.05.2019"},
		{"registration_office_code", "office code"},
		{"registration_office", ""},
	},
	household: func(g *generator, h *household) {
		for p := range g.present(h) {
			if p.died > g.today {
				continue
			}
			r := p.draw(1)
			n, s := p.namesOn(g.today), h.district.script
			registered := p.died + day(r.below(6))
			year, _, _ := registered.civil()
			spouse := &h.members[1-p.member]
			name := spouse.names.full(s).latin
			informant, relation := name, "SPOUSE"
			if spouse.died <= p.died {
				child := &h.members[firstChild]
				name, informant, relation = "", child.namesOn(g.today).full(s).latin, "CHILD"
			}
			g.emit("D-"+digits(h.district.number, 2)+"-"+digits(year, 4)+"-"+p.serial(1), nationalNumber(p.number),
				n.given.latin, n.middle.latin, n.family.latin, n.full(s).local, s.code, sexWord.of(p),
				dotDMY.birth(p), dotDMY.on(p.died), h.town.code, h.town.name.latin, name, informant, relation,
				dotDMY.on(registered), h.district.office.code, h.district.office.name.latin)
		}
	},
}

var offices = table{
	name:        "offices",
	description: "Civil registries, health facilities and schools, one of each in a district",
	columns: []Column{
		{"office_code", "CR-, HF- or SC- and the district's number"},
		{"kind", "CIVIL_REGISTRY, HEALTH_FACILITY or SCHOOL"},
		{"name", ""},
		{"name_local", ""},
		{"script", "ISO 15924"},
		{"location_code", "of the municipality"},
		{"district_code", ""},
		{"address", "may lack the street"},
		{"phone", ""},
		{"status", "OPEN or CLOSED"},
	},
	places: func(g *generator) {
		for _, d := range g.geography.districts {
			for i, o := range []office{d.office, d.clinic, d.school} {
				address := o.town.name.latin + " " + o.town.postal
				if o.street != "" {
					address = o.street + ", " + address
				}
				status := "OPEN"
				if d.number == 13 && o.kind == "SCHOOL" {
					status = "CLOSED"
				}
				g.emit(o.code, o.kind, o.name.latin, o.name.local, d.script.code, o.town.code, d.code, address,
					"+9992"+digits(d.number*10+i, 8), status)
			}
		}
	},
}

var locations = table{
	name:        "locations",
	description: "Provinces, districts and municipalities with names in two scripts",
	columns: []Column{
		{"location_code", "XA-P2 a province, XA-07 a district, XA-07-03 a municipality"},
		{"level", "1, 2 or 3"},
		{"parent_code", "empty for a province"},
		{"name", ""},
		{"name_local", ""},
		{"script", "ISO 15924"},
		{"language", "BCP 47"},
	},
	places: func(g *generator) {
		for i, p := range g.geography.provinces {
			first := g.geography.districts[i*4].script
			g.emit(p.code, "1", "", p.name.latin, p.name.local, first.code, first.language)
		}
		for _, d := range g.geography.districts {
			g.emit(d.code, "2", d.province.code, d.name.latin, d.name.local, d.script.code, d.script.language)
			for _, t := range d.towns {
				g.emit(t.code, "3", d.code, t.name.latin, t.name.local, d.script.code, d.script.language)
			}
		}
	},
}
