package credential

import "time"

// A Type describes one type of credential for whoever shows or checks it: what
// the integer keys of its own map mean and how old its status may be. Programmes
// make it, trust bundles carry it.
type Type struct {
	// ID is the type identifier that credentials name, such as "urn:xx:farmer:1".
	ID string `cbor:"1,keyasint"`
	// Labels is the name of the type by language tag (BCP 47); "en" is required.
	Labels map[string]string `cbor:"2,keyasint"`
	// Fields are the fields of the type in display order.
	Fields []TypeField `cbor:"3,keyasint,omitempty"`
	// Person says that the credential is about a person (Claim 169).
	Person bool `cbor:"4,keyasint,omitempty"`
	// PersonCheck is what a verifier compares to tie paper to a person:
	// "photo", "other_id" or "none".
	PersonCheck string `cbor:"5,keyasint,omitempty"`
	// FreshFor is how old status data may be for the verdict valid; zero never
	// gives valid for a credential with a status reference.
	FreshFor time.Duration `cbor:"6,keyasint,omitempty"`
	// OldAfter is the age from which status data count as old.
	OldAfter time.Duration `cbor:"7,keyasint,omitempty"`
	// StatusRequired says that every credential of the type has a status
	// reference; one without is then refused.
	StatusRequired bool `cbor:"8,keyasint,omitempty"`
	// HolderRequired says that policy wants a proof by the holder's key; paper
	// is then at best check_needed.
	HolderRequired bool `cbor:"9,keyasint,omitempty"`
	// Policy names the programme and its version, such as "farmer-card/2".
	Policy string `cbor:"10,keyasint,omitempty"`
}

// Field returns the field of this name.
func (t *Type) Field(name string) (f TypeField, ok bool) {
	for _, f := range t.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return TypeField{}, false
}

// A TypeField describes one field.
type TypeField struct {
	// Key is the integer key in the type's own map, or the Claim 169 key if
	// Person is set.
	Key int64 `cbor:"1,keyasint"`
	// Name is the claim's name in code and JSON, such as "farm_size".
	Name string `cbor:"2,keyasint"`
	// Labels is the name for people by language tag; "en" is required.
	Labels map[string]string `cbor:"3,keyasint"`
	// Person says that the field is a Claim 169 attribute.
	Person bool `cbor:"4,keyasint,omitempty"`
	// Sensitive fields are shown only when asked for.
	Sensitive bool `cbor:"5,keyasint,omitempty"`
	// Kind tells a screen how to show the value: "text", "date", "integer",
	// "number", "boolean", "list" or "code".
	Kind string `cbor:"6,keyasint,omitempty"`
	// Values are the words for a coded value by language: Values["1"]["en"].
	Values map[string]map[string]string `cbor:"7,keyasint,omitempty"`
}
