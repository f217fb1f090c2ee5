package sdjwt

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sanad-id/sanad/internal/strict"
)

// ErrMetadata: a type metadata document that may not be used. The text says why.
var ErrMetadata = errors.New("sdjwt: type metadata")

// MaxMetadata is the most bytes of a type metadata document.
const MaxMetadata = 256 << 10

// maxExtends is how many types may stand above one another.
const maxExtends = 8

// TypeMetadata is what the owner of a type says about it (SD-JWT VC section 5). It
// describes; whether an issuer may issue the type is not its business.
type TypeMetadata struct {
	// Type is the vct that it describes.
	Type string
	// Extends is the type that it builds on, "" if there is none, and
	// ExtendsIntegrity the hash of that type's document, "" if it states none.
	Extends, ExtendsIntegrity string
	// Display are the names of the type, one for each language.
	Display []TypeDisplay
	// Claims describe claims, each path once.
	Claims []ClaimMetadata
}

// TypeDisplay is the name of a type in one language (BCP 47).
type TypeDisplay struct{ Locale, Name, Description string }

// ClaimMetadata describes the claims at one path.
type ClaimMetadata struct {
	Path    Path
	Display []ClaimDisplay
	// Mandatory says that every credential of the type has the claim.
	Mandatory bool
	// SD is "always", "allowed" or "never": whether the holder can leave it out.
	SD string
}

// ClaimDisplay is the name of a claim in one language (BCP 47).
type ClaimDisplay struct{ Locale, Label, Description string }

var metadataLimits = strict.Limits{Bytes: MaxMetadata, Depth: 16, Items: 1 << 14}

// ParseTypeMetadata reads one document. Rendering, which would have a wallet fetch
// and draw what somebody else chose, is left out.
func ParseTypeMetadata(document []byte) (*TypeMetadata, error) {
	v, err := metadataLimits.Object(document)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMetadata, err)
	}
	r := metadataReader{}
	m := &TypeMetadata{Type: r.text(v, "vct", true), Extends: r.text(v, "extends", false), ExtendsIntegrity: r.text(v, "extends#integrity", false)}
	for _, d := range r.list(v, "display") {
		m.Display = append(m.Display, TypeDisplay{r.text(d, "locale", true), r.text(d, "name", true), r.text(d, "description", false)})
	}
	for _, c := range r.list(v, "claims") {
		m.Claims = append(m.Claims, r.claim(c))
	}
	for i, c := range m.Claims {
		if slices.ContainsFunc(m.Claims[:i], func(d ClaimMetadata) bool { return slices.Equal(c.Path, d.Path) }) {
			r.fail("a path twice")
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}

// A metadataReader keeps the first error.
type metadataReader struct{ err error }

func (r *metadataReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: "+format, append([]any{ErrMetadata}, args...)...)
	}
}

func (r *metadataReader) text(v strict.Value, name string, required bool) string {
	m := v.Get(name)
	if m.Kind() == strict.None && !required {
		return ""
	}
	s, ok := m.Text()
	if !ok || s == "" {
		r.fail("%s is no text", name)
	}
	return s
}

// list returns the elements of a member, which are objects.
func (r *metadataReader) list(v strict.Value, name string) []strict.Value {
	m := v.Get(name)
	if m.Kind() == strict.None {
		return nil
	}
	if m.Kind() != strict.Array {
		r.fail("%s is no array", name)
	}
	var all []strict.Value
	for i := range m.Len() {
		if m.At(i).Kind() != strict.Object {
			r.fail("%s holds something that is no object", name)
		}
		all = append(all, m.At(i))
	}
	return all
}

func (r *metadataReader) claim(v strict.Value) ClaimMetadata {
	c := ClaimMetadata{SD: r.text(v, "sd", false)}
	switch c.SD {
	case "":
		c.SD = "allowed"
	case "always", "allowed", "never":
	default:
		r.fail("sd is neither always, allowed nor never")
	}
	if m := v.Get("mandatory"); m.Kind() == strict.Bool {
		c.Mandatory = m.Any() == true
	} else if m.Kind() != strict.None {
		r.fail("mandatory is neither true nor false")
	}
	path := v.Get("path")
	for i := range path.Len() {
		step := path.At(i)
		switch n, whole := step.Int(); {
		case path.Kind() != strict.Array:
		case step.Kind() == strict.Null:
			c.Path = append(c.Path, nil)
		case step.Kind() == strict.Text:
			c.Path = append(c.Path, step.Any())
		case whole && n >= 0 && n <= maxIndex:
			c.Path = append(c.Path, int(n))
		default:
			r.fail("a path with a step of another kind")
		}
	}
	if len(c.Path) == 0 {
		r.fail("a claim without a path")
	}
	for _, d := range r.list(v, "display") {
		c.Display = append(c.Display, ClaimDisplay{r.text(d, "locale", true), r.text(d, "label", true), r.text(d, "description", false)})
	}
	return c
}

// ResolveType returns the metadata of a type with all that it inherits (SD-JWT VC
// section 5). Integrity is the vct#integrity of the credential, "" if it has
// none. Fetch returns the document of a type; what may be fetched is its business.
func ResolveType(vct, integrity string, fetch func(vct string) ([]byte, error)) (*TypeMetadata, error) {
	var chain []*TypeMetadata // the type itself first
	for vct != "" {
		if slices.ContainsFunc(chain, func(m *TypeMetadata) bool { return m.Type == vct }) {
			return nil, fmt.Errorf("%w: a type that extends itself", ErrMetadata)
		}
		if len(chain) == maxExtends {
			return nil, fmt.Errorf("%w: more than %d types above one another", ErrMetadata, maxExtends)
		}
		document, err := fetch(vct)
		if err != nil {
			return nil, fmt.Errorf("fetch type metadata: %w", err)
		}
		if integrity != "" && !HasIntegrity(document, integrity) {
			return nil, fmt.Errorf("%w: the document is not the one whose hash was stated", ErrMetadata)
		}
		m, err := ParseTypeMetadata(document)
		if err != nil {
			return nil, err
		}
		if m.Type != vct {
			return nil, fmt.Errorf("%w: the document is about another type", ErrMetadata)
		}
		chain = append(chain, m)
		vct, integrity = m.Extends, m.ExtendsIntegrity
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("%w: no type", ErrMetadata)
	}
	effective := *chain[len(chain)-1]
	for i := len(chain) - 2; i >= 0; i-- {
		if err := effective.extend(chain[i]); err != nil {
			return nil, err
		}
	}
	return &effective, nil
}

// extend adds what a type says beyond the one it extends.
func (m *TypeMetadata) extend(child *TypeMetadata) error {
	m.Type, m.Extends, m.ExtendsIntegrity = child.Type, child.Extends, child.ExtendsIntegrity
	if child.Display != nil {
		m.Display = child.Display
	}
	m.Claims = slices.Clone(m.Claims)
	for _, c := range child.Claims {
		i := slices.IndexFunc(m.Claims, func(old ClaimMetadata) bool { return slices.Equal(old.Path, c.Path) })
		if i < 0 {
			m.Claims = append(m.Claims, c)
			continue
		}
		if old := m.Claims[i]; old.SD != "allowed" && old.SD != c.SD || old.Mandatory && !c.Mandatory {
			return fmt.Errorf("%w: a type weakens what the one above says", ErrMetadata)
		}
		m.Claims[i] = c
	}
	return nil
}

// Check says which claim of a credential is not as the type wants it: a mandatory
// one that is missing among all that were issued, one that can be left out and must
// not, or the reverse. It is for issuers and for holders, who see all disclosures.
func (m *TypeMetadata) Check(issued *Parsed) error {
	for _, c := range m.Claims {
		claims, err := c.Path.find(issued.claims)
		if c.Mandatory && (err != nil || len(claims) == 0) {
			return fmt.Errorf("%w: mandatory claim %v is missing", ErrMetadata, []any(c.Path))
		}
		hidden := slices.ContainsFunc(issued.Disclosures, func(d Path) bool { return len(d) == len(c.Path) && c.Path.touches(d) })
		if c.SD == "never" && hidden {
			return fmt.Errorf("%w: claim %v can be left out and must not", ErrMetadata, []any(c.Path))
		}
		if c.SD == "always" && len(claims) > 0 && !hidden {
			return fmt.Errorf("%w: claim %v cannot be left out and must be", ErrMetadata, []any(c.Path))
		}
	}
	return nil
}
