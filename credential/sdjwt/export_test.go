package sdjwt

import (
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/strict"
)

// VerifyAs is Verify for tokens that are no credentials, as most examples of
// RFC 9901 are.
func VerifyAs(presentation string, want Expect, typ string) (*credential.Verified, error) {
	v, _, _, err := verify(presentation, want, []string{typ}, typ == Typ, false)
	return v, err
}

// OpenPayload puts disclosures into a payload that nobody signed.
func OpenPayload(payload []byte, disclosures []string) (map[string]any, error) {
	t := token{}
	var err error
	if t.payload, err = limits.Object(payload); err != nil {
		return nil, err
	}
	if t.hash, err = hashOf(t.payload); err != nil {
		return nil, err
	}
	if t.disclosures, err = readDisclosures(disclosures, limits.Reader(len(disclosures))); err != nil {
		return nil, err
	}
	v, err := t.open(false)
	if err != nil {
		return nil, err
	}
	return v.Any().(map[string]any), nil
}

// Digest is digest with the hash of this name.
func Digest(name, text string) string { return digest(hashes[name], text) }

// Find is Path.find for a document.
func Find(p Path, document []byte) ([]any, error) {
	v, err := strict.Limits{Bytes: MaxSize, Depth: maxDepth, Items: 1000}.JSON(document)
	if err != nil {
		return nil, err
	}
	values, err := p.find(v)
	var found []any
	for _, m := range values {
		found = append(found, m.Any())
	}
	return found, err
}

// Disclosures are those of a draft, each followed by ~.
func (d *Draft) Disclosures() string { return string(d.shown) }
