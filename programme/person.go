package programme

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// An attribute is one of MOSIP Claim 169 (version 1.2) that a programme may use.
type attribute struct {
	name string
	key  int64
	kind Kind
}

// attributes are those that Sanad writes: no e-mail, no telephone number, no
// marital or legal status, and no biometrics but a portrait through photo.
var attributes = []attribute{
	{"id", 1, KindText},
	{"language", 3, KindLanguage},
	{"fullName", 4, KindText},
	{"firstName", 5, KindText},
	{"middleName", 6, KindText},
	{"lastName", 7, KindText},
	{"dateOfBirth", 8, KindDate},
	{"gender", 9, KindSex},
	{"address", 10, KindText},
	{"nationality", 13, KindCountry},
	{"guardian", 15, KindText},
	{"secondaryFullName", 19, KindText},
	{"secondaryLanguage", 20, KindLanguage},
	{"locationCode", 21, KindText},
	{"countryOfIssuance", 23, KindCountry},
}

// The keys of attributes that the programme handles in a way of their own.
const (
	personBirthDate = 8
	personFace      = 62
)

// person reads the attribute of Claim 169 that a claim goes into.
func (f *file) person(n *yaml.Node, path string, c *Claim) {
	s := f.text(n, path)
	if s == "" {
		return
	}
	i := slices.IndexFunc(attributes, func(a attribute) bool { return a.name == s })
	if i < 0 {
		names := make([]string, len(attributes))
		for i, a := range attributes {
			names[i] = a.name
		}
		f.fault(n, path, "%q is no attribute that goes into codes; use one of %s", clip(s), strings.Join(names, ", "))
		c.Person, c.Key = true, -1 // known to be meant for a person
		return
	}
	a := attributes[i]
	if c.Kind != "" && c.Kind != a.kind {
		f.fault(n, path, "%s needs a claim of type %s, not %s", a.name, a.kind, c.Kind)
	}
	c.Person, c.Key = true, a.key
}
