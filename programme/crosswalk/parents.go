package crosswalk

// A Parent is one parent as a civil registry records it.
type Parent struct {
	Name Name
	// Identifier is the parent's own number; it never goes into a paper code.
	Identifier string
	// NotAvailable says that the registry knows that it has no details of this
	// parent (detailsNotAvailable of OpenCRVS).
	NotAvailable bool
}

// Parents are those that a record names, at most two for the targets here.
type Parents []Parent

// known are the parents of whom there are details.
func (p Parents) known() Parents {
	var k Parents
	for _, parent := range p {
		if !parent.NotAvailable && (parent.Name.Join(GivenFirst) != "" || parent.Identifier != "") {
			k = append(k, parent)
		}
	}
	return k
}

// EUDI returns parents[] of SD-JWT credentials: the names of each parent, and
// the identifiers where identifiers is set. That a parent is recorded as not
// available is a loss: the list is just shorter.
func (p Parents) EUDI(identifiers bool) ([]map[string]string, error) {
	var list []map[string]string
	for _, parent := range p.known() {
		m := map[string]string{}
		if n := parent.Name; n.Given == "" && n.Middle == "" && n.Family == "" && n.Full != "" {
			m["name"] = n.Full
		} else {
			for key, v := range map[string]string{"given_name": n.Given, "middle_name": n.Middle, "family_name": n.Family} {
				if v != "" {
					m[key] = v
				}
			}
		}
		if identifiers && parent.Identifier != "" {
			m["identifier"] = parent.Identifier
		}
		list = append(list, m)
	}
	for _, parent := range p {
		if parent.NotAvailable {
			return list, loss("parents", "a list of parents cannot say that a parent is recorded as not available")
		}
	}
	return list, nil
}

// OpenCRVS returns the first name, the surname and detailsNotAvailable of each
// parent, in the order mother, father. A name that is whole has to be split.
func (p Parents) OpenCRVS(o Order) ([]OpenCRVSParent, error) {
	if len(p) > 2 {
		return nil, loss("parents", "OpenCRVS has a mother and a father, not %d parents", len(p))
	}
	var list []OpenCRVSParent
	var lost error
	for _, parent := range p {
		if parent.NotAvailable {
			list = append(list, OpenCRVSParent{DetailsNotAvailable: true})
			continue
		}
		given, middle, family, err := parent.Name.Parts(o)
		if err != nil {
			lost = err
		}
		list = append(list, OpenCRVSParent{FirstName: given, MiddleName: middle, Surname: family})
	}
	return list, lost
}

// An OpenCRVSParent is mother.* or father.* of an OpenCRVS record.
type OpenCRVSParent struct {
	FirstName, MiddleName, Surname string
	DetailsNotAvailable            bool
}

// DCI returns parent1_identifier and parent2_identifier. Names are a loss, as
// is a third parent.
func (p Parents) DCI() (first, second string, err error) {
	k := p.known()
	ids := make([]string, 2)
	for i := range min(len(k), 2) {
		ids[i] = k[i].Identifier
	}
	if len(k) > 2 {
		return ids[0], ids[1], loss("parents", "DCI has room for two parents")
	}
	for _, parent := range k {
		if parent.Identifier == "" || parent.Name.Join(GivenFirst) != "" {
			return ids[0], ids[1], loss("parents", "DCI names parents by identifier only")
		}
	}
	return ids[0], ids[1], nil
}

// Claim169 returns the guardian (key 15), one text. A second parent is a loss,
// and so is that there is none: the text is then empty.
func (p Parents) Claim169(o Order) (string, error) {
	k := p.known()
	if len(k) == 0 {
		return "", loss("parents", "there is no parent of whom a name is known")
	}
	name := k[0].Name.Join(o)
	switch {
	case name == "":
		return "", loss("parents", "Claim 169 names a guardian by name, and there is a number only")
	case len(k) > 1:
		return name, loss("parents", "Claim 169 has room for one guardian")
	}
	return name, nil
}
