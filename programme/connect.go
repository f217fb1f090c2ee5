package programme

import (
	"fmt"
	"slices"
)

// connect checks what can be checked only when all of a file has been read, and
// joins its parts. It runs after faults, too, so that they are all reported at
// once; what could not be read is then passed over.
func (f *file) connect() {
	f.checkLabels()
	f.checkClaims()
	f.connectForms()
	f.connectValidity()
	f.checkPersonCheck()
}

// complete says that every claim has a name, so that a name which is not among
// them is wrong.
func (f *file) complete() bool {
	return !slices.ContainsFunc(f.p.Claims, func(c Claim) bool { return c.Name == "" })
}

// checkLabels says which labels are missing in which language.
func (f *file) checkLabels() {
	for _, l := range f.labels {
		for _, tag := range f.p.Languages {
			if l.labels[tag] == "" {
				f.faultAt(l.at, "has no label in %q, one of the languages of the programme", tag)
			}
		}
	}
}

func (f *file) checkClaims() {
	p := f.p
	names, keys := map[string]bool{}, map[string]string{}
	for i := range p.Claims {
		c := &p.Claims[i]
		if c.Name != "" && names[c.Name] {
			f.faultAt(c.at, "there is another claim called %q", c.Name)
		}
		names[c.Name] = true
		if c.Key < 1 {
			continue
		}
		key := fmt.Sprint(c.Person, c.Key)
		if other, ok := keys[key]; ok {
			f.faultAt(c.at, "has the same key as the claim %q; every claim has its own", other)
		}
		keys[key] = c.Name
	}
	for i := range p.Claims {
		object := p.Claims[i].Name
		if n := slices.IndexFunc(p.Claims, func(c Claim) bool { return c.within(object) }); object != "" && n >= 0 {
			f.faultAt(p.Claims[i].at, "the claim %q stands within this one, which has a value of its own; give one of them another name", p.Claims[n].Name)
		}
	}
	for i := range p.Claims {
		c := &p.Claims[i]
		c.onlyWith = f.otherClaim(c, i, "only_with", c.OnlyWith)
		c.differs = f.otherClaim(c, i, "differs_from", c.DiffersFrom)
	}
}

// otherClaim finds the claim that only_with or differs_from names, -1 if none.
func (f *file) otherClaim(c *Claim, own int, key, name string) int {
	p := f.p
	if name == "" {
		return -1
	}
	i := p.claimIndex(name)
	switch {
	case i < 0 && !f.complete():
	case i < 0:
		f.faultAt(c.at, "%s names %q, which is no claim%s", key, clip(name), meant(name, p.claimNames()))
	case i == own || p.Claims[i].OnlyWith != "" || p.Claims[i].DiffersFrom != "":
		f.faultAt(c.at, "%s must name another claim, one that is not left out for another's sake", key)
	case c.Required:
		f.faultAt(c.at, "is required and may be left out by %s; only one can be so", key)
	}
	return i
}

func (p *Programme) claimIndex(name string) int {
	return slices.IndexFunc(p.Claims, func(c Claim) bool { return c.Name == name })
}

func (p *Programme) claimNames() []string {
	names := make([]string, len(p.Claims))
	for i := range p.Claims {
		names[i] = p.Claims[i].Name
	}
	return names
}

// connectForms finds the claims of each form.
func (f *file) connectForms() {
	p := f.p
	main := p.mainCode()
	if p.Photo.Policy == PhotoInline && p.Photo.Form == "" {
		p.Photo.Form = main
	}
	for i := range p.Forms {
		form, where := &p.Forms[i], f.forms[i]
		if form.Wallet() {
			f.connectWallet(form, where)
			if len(form.carried) == 0 && len(f.faults) == 0 {
				f.faultAt(where.at, "carries no claim")
			}
			continue
		}
		form.Photo = p.Photo.carriedBy(form.Name)
		if form.MaxVersion == 0 {
			form.MaxVersion = usualVersion(form.Level, form.Photo)
		}
		if limit := versionLimit(form.Level, form.Photo); form.MaxVersion > limit {
			f.faultAt(where.at, "max_version %d is too dense to be read from paper; at level %s it is at most %d", form.MaxVersion, form.Level, limit)
		}
		if where.all {
			for j := range p.Claims {
				if !p.Claims[j].NeverQR {
					form.carry(p, j)
				}
			}
		}
		for _, a := range where.names {
			f.carryNamed(form, a)
		}
		if len(form.carried) == 0 && len(f.faults) == 0 {
			f.faultAt(where.at, "carries no claim")
		}
	}
	if main == "" && len(p.Forms) > 0 && p.Photo.Policy != PhotoNone {
		f.faultAt(f.top["photo"], "goes into a code, and the programme has none under forms")
	} else if name := p.Photo.Form; name != "" && p.Photo.Policy != PhotoNone {
		if form, ok := p.Form(name); !ok {
			f.faultAt(f.top["photo"], "names the form %q, which is not under forms", clip(name))
		} else if form.Wallet() {
			f.faultAt(f.top["photo"], "names the form %q, which is no code", clip(name))
		}
	}
	if p.Photo.Policy == PhotoSecondCode && main != "" && p.Photo.Form == main {
		f.faultAt(f.top["photo"], "second_code puts the picture into a form other than the main one, %q", main)
	}
}

// mainCode is the name of the first form that is a code, empty if there is none.
func (p *Programme) mainCode() string {
	for _, f := range p.Forms {
		if !f.Wallet() {
			return f.Name
		}
	}
	return ""
}

func (form *Form) carry(p *Programme, i int) {
	form.carried = append(form.carried, i)
	form.Claims = append(form.Claims, p.Claims[i].Name)
}

func (f *file) carryNamed(form *Form, a at) {
	p := f.p
	name := f.text(a.node, a.path)
	i := p.claimIndex(name)
	switch {
	case name == "" || i < 0 && !f.complete():
	case i < 0:
		f.faultAt(a, "there is no claim %q%s", clip(name), meant(name, p.claimNames()))
	case p.Claims[i].NeverQR && form.Kind != FormSDJWT:
		f.faultAt(a, "the claim %q is never_qr, and this form is a code", name)
	case slices.Contains(form.carried, i):
		f.faultAt(a, "%q stands here a second time; remove one", name)
	default:
		form.carry(p, i)
	}
}

// connectValidity finds the claims that validity names.
func (f *file) connectValidity() {
	p, a := f.p, f.top["validity"]
	find := func(key, name string) *Claim {
		i := p.claimIndex(name)
		if i < 0 {
			if f.complete() {
				f.faultAt(at{a.node, join(a.path, key)}, "there is no claim %q%s", clip(name), meant(name, p.claimNames()))
			}
			return nil
		}
		c := &p.Claims[i]
		switch {
		case c.Kind != KindDate || c.take != "" || c.Person && c.Key != personBirthDate:
			f.faultAt(at{a.node, join(a.path, key)}, "the claim %q must be of type date, with day and month", name)
		case !c.Required || c.OnLoss != OnLossError:
			f.faultAt(at{a.node, join(a.path, key)}, "the claim %q must be required, with on_loss: error; else a credential could be without its dates", name)
		}
		return c
	}
	if p.Validity.From != "" {
		if c := find("from", p.Validity.From); c != nil {
			c.startsValidity = true
		}
	}
	if p.Validity.Until != "" {
		if c := find("until", p.Validity.Until); c != nil {
			c.endsValidity = true
		}
	}
}

// checkPersonCheck fills in what ties paper to a person.
func (f *file) checkPersonCheck() {
	p := f.p
	person := slices.ContainsFunc(p.Claims, func(c Claim) bool { return c.Person })
	switch {
	case p.PersonCheck == "" && p.Photo.Policy != PhotoNone:
		p.PersonCheck = "photo"
	case p.PersonCheck == "" && person:
		p.PersonCheck = "other_id"
	case p.PersonCheck == "":
		p.PersonCheck = "none"
	case p.PersonCheck == "photo" && p.Photo.Policy == PhotoNone:
		f.faultAt(f.top["person_check"], "is photo, but the programme carries none (photo: {policy: none})")
	}
	if p.Photo.Policy != PhotoNone && !person {
		f.faultAt(f.top["photo"], "a picture goes with Claim 169; at least one claim must have person")
	}
}
