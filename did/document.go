package did

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// A Relationship is what a key of a DID may be used for (DID Core 1.0 section 5.3).
type Relationship string

// The relationships of signing keys.
const (
	// Assertion keys sign credentials.
	Assertion Relationship = "assertionMethod"
	// Authentication keys sign in the name of the subject: requests of verifiers, and
	// presentations of holders.
	Authentication Relationship = "authentication"
)

// relationships are those of DID Core 1.0. Of the others only their form is checked.
var relationships = []Relationship{Assertion, Authentication, "keyAgreement", "capabilityInvocation", "capabilityDelegation"}

// A Document is what a DID document says of keys.
type Document struct {
	// ID is the DID that the document is about.
	ID string
	// Methods are the verification methods of this DID, with absolute ids. Those of
	// other DIDs are left out: their documents were not asked.
	Methods []Method
	// listed are, for each relationship, the ids of the methods that may be used for it.
	listed map[Relationship][]string
}

// A Method is a verification method: a key with a name.
type Method struct {
	// ID is the DID, "#" and the name.
	ID string
	// Type is how the document has the key, such as "JsonWebKey" or "Multikey".
	Type string
	// Key is the key; the zero key if it is of a kind that Sanad does not accept.
	Key keys.PublicKey
}

// Key returns the key that kid names: the DID URL of a method, or its fragment with the
// "#" before it. It must be listed for the relationship.
func (d *Document) Key(kid string, r Relationship) (keys.PublicKey, error) {
	if strings.HasPrefix(kid, "#") {
		kid = d.ID + kid
	}
	did, err := ofURL(kid)
	if err != nil {
		return keys.PublicKey{}, err
	}
	if did != d.ID {
		return keys.PublicKey{}, fmt.Errorf("%w: the key belongs to another DID", ErrNoKey)
	}
	i := slices.IndexFunc(d.Methods, func(m Method) bool { return m.ID == kid })
	switch {
	case i < 0:
		return keys.PublicKey{}, fmt.Errorf("%w: %s", ErrNoKey, cut(kid[len(did):]))
	case !slices.Contains(d.listed[r], kid):
		return keys.PublicKey{}, fmt.Errorf("%w: %s for %s", ErrRelationship, cut(kid[len(did):]), r)
	case d.Methods[i].Key.IsZero():
		return keys.PublicKey{}, fmt.Errorf("%w: a method of type %s", ErrUnsupportedKey, cut(d.Methods[i].Type))
	}
	return d.Methods[i].Key, nil
}

// Keys returns the keys that are listed for the relationship, for tokens that name
// none.
func (d *Document) Keys(r Relationship) []keys.PublicKey {
	var list []keys.PublicKey
	for _, m := range d.Methods {
		if !m.Key.IsZero() && slices.Contains(d.listed[r], m.ID) {
			list = append(list, m.Key)
		}
	}
	return list
}

// Limits of a document.
const (
	maxDocument = 256 << 10
	maxMethods  = 128
)

var documentLimits = strict.Limits{Bytes: maxDocument, Depth: 16, Items: 16 << 10}

// Parse reads the document of a DID. It must be JSON with a member id that is the DID,
// byte for byte. Members that are not about keys are passed over.
func Parse(b []byte, did string) (*Document, error) {
	if _, _, err := split(did); err != nil {
		return nil, err
	}
	v, err := documentLimits.Object(b)
	if errors.Is(err, strict.ErrTooLarge) {
		return nil, fmt.Errorf("%w: document: %v", ErrTooLarge, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDocument, err)
	}
	if id, ok := v.Get("id").Text(); !ok || id != did {
		return nil, ErrSubject
	}
	// DID Core 1.0 section 7.1.3 has this in the metadata of a resolution; methods
	// without such a place write it into the document.
	if gone := v.Get("deactivated"); gone.Kind() == strict.Bool && gone.Any() == true {
		return nil, ErrDeactivated
	} else if gone.Kind() != strict.None && gone.Kind() != strict.Bool {
		return nil, fmt.Errorf("%w: deactivated is true or false", ErrDocument)
	}
	p := reader{Document{ID: did, listed: map[Relationship][]string{}}}
	if err := p.list(v.Get("verificationMethod"), "verificationMethod", func(m strict.Value) error {
		_, err := p.method(m)
		return err
	}); err != nil {
		return nil, err
	}
	for _, r := range relationships {
		if err := p.list(v.Get(string(r)), string(r), func(m strict.Value) error { return p.reference(r, m) }); err != nil {
			return nil, err
		}
	}
	return &p.Document, nil
}

// reader puts a document together.
type reader struct{ Document }

// list calls f for each element of a member that must be a list if it is there.
func (p *reader) list(v strict.Value, name string, f func(strict.Value) error) error {
	if v.Kind() == strict.None {
		return nil
	}
	if v.Kind() != strict.Array {
		return fmt.Errorf("%w: %s is not a list", ErrDocument, name)
	}
	if v.Len() > maxMethods {
		return fmt.Errorf("%w: %s with %d elements, at most %d", ErrTooLarge, name, v.Len(), maxMethods)
	}
	for i := range v.Len() {
		if err := f(v.At(i)); err != nil {
			return fmt.Errorf("%s %d: %w", name, i+1, err)
		}
	}
	return nil
}

// absolute resolves a relative DID URL (DID Core 1.0 section 3.2.2).
func (p *reader) absolute(v strict.Value) (string, error) {
	id, ok := v.Text()
	if !ok {
		return "", fmt.Errorf("%w: an id that is not a text", ErrDocument)
	}
	if strings.HasPrefix(id, "#") {
		id = p.ID + id
	}
	if _, err := ofURL(id); err != nil {
		return "", fmt.Errorf("%w: %w", ErrDocument, err)
	}
	return id, nil
}

// reference reads one element of a relationship: the id of a method, or a whole method
// that is for this relationship only.
func (p *reader) reference(r Relationship, v strict.Value) error {
	var id string
	var err error
	if v.Kind() == strict.Object {
		id, err = p.method(v)
	} else {
		id, err = p.absolute(v)
	}
	if err != nil {
		return err
	}
	if slices.Contains(p.listed[r], id) {
		return fmt.Errorf("%w: a key is listed twice", ErrDocument)
	}
	p.listed[r] = append(p.listed[r], id)
	return nil
}

// privateMembers are members of a method that hold secrets, as far as any suite has
// named them.
var privateMembers = []string{"secretKeyMultibase", "secretKeyJwk", "privateKeyMultibase", "privateKeyJwk", "privateKeyBase58", "privateKeyHex", "privateKeyPem"}

// method reads a verification method (DID Core 1.0 section 5.2) and returns its id.
func (p *reader) method(v strict.Value) (string, error) {
	if v.Kind() != strict.Object {
		return "", fmt.Errorf("%w: a verification method is an object", ErrDocument)
	}
	id, err := p.absolute(v.Get("id"))
	if err != nil {
		return "", err
	}
	kind, ok := v.Get("type").Text()
	if controller, isText := v.Get("controller").Text(); !ok || kind == "" || !isText || controller == "" {
		return "", fmt.Errorf("%w: a verification method has a type and a controller", ErrDocument)
	}
	for _, name := range privateMembers {
		if v.Get(name).Kind() != strict.None {
			return "", fmt.Errorf("%w: in a DID document", keys.ErrPrivate)
		}
	}
	if slices.ContainsFunc(p.Methods, func(m Method) bool { return m.ID == id }) {
		return "", fmt.Errorf("%w: two verification methods with one id", ErrDocument)
	}
	if len(p.Methods) == maxMethods {
		return "", fmt.Errorf("%w: more than %d verification methods", ErrTooLarge, maxMethods)
	}
	key, err := methodKey(v)
	if err != nil && !errors.Is(err, ErrUnsupportedKey) {
		return "", err
	}
	if strings.HasPrefix(id, p.ID+"#") {
		p.Methods = append(p.Methods, Method{ID: id, Type: kind, Key: key})
	}
	return id, nil
}

// methodKey reads the one key of a method. The form decides and not the type, since
// the same forms stand under many types.
func methodKey(v strict.Value) (keys.PublicKey, error) {
	jwk, multi := v.Get("publicKeyJwk"), v.Get("publicKeyMultibase")
	switch {
	case jwk.Kind() != strict.None && multi.Kind() != strict.None:
		return keys.PublicKey{}, fmt.Errorf("%w: a method with two keys", ErrDocument)
	case jwk.Kind() == strict.Object:
		b, err := strict.AppendJSON(nil, jwk)
		if err != nil {
			return keys.PublicKey{}, fmt.Errorf("%w: publicKeyJwk: %v", ErrDocument, err)
		}
		return parseJWK(b, ErrDocument)
	case multi.Kind() == strict.Text:
		s, _ := multi.Text()
		key, err := parseMultikey(s)
		if err != nil && !errors.Is(err, ErrUnsupportedKey) && !errors.Is(err, keys.ErrPrivate) {
			err = fmt.Errorf("%w: publicKeyMultibase: %w", ErrDocument, err)
		}
		return key, err
	case jwk.Kind() == strict.None && multi.Kind() == strict.None:
		return keys.PublicKey{}, fmt.Errorf("%w: a method without publicKeyJwk and publicKeyMultibase", ErrUnsupportedKey)
	}
	return keys.PublicKey{}, fmt.Errorf("%w: publicKeyJwk is an object, publicKeyMultibase a text", ErrDocument)
}

// parseJWK is keys.ParseJWK with the errors of this package; what is wrong with the
// text itself is bad.
func parseJWK(b []byte, bad error) (keys.PublicKey, error) {
	key, err := keys.ParseJWK(b)
	switch {
	case err == nil || errors.Is(err, keys.ErrPrivate):
		return key, err
	case errors.Is(err, keys.ErrUnsupportedKey) || errors.Is(err, keys.ErrKeyUse):
		return key, fmt.Errorf("%w: %w", ErrUnsupportedKey, err)
	}
	return key, fmt.Errorf("%w: %w", bad, err)
}

// single is the document of a DID that is a key itself.
func single(did, fragment, kind string, key keys.PublicKey) *Document {
	id := did + "#" + fragment
	return &Document{
		ID: did, Methods: []Method{{ID: id, Type: kind, Key: key}},
		listed: map[Relationship][]string{Assertion: {id}, Authentication: {id}, "capabilityInvocation": {id}, "capabilityDelegation": {id}},
	}
}
