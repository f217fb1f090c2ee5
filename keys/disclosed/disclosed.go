// Package disclosed finds private keys in messages where public ones belong: in the header of
// a proof, in the claim cnf of a credential, among attested keys, in a did:jwk (corpus SIG-05).
// Who sends one has disclosed it. The readers of those messages refuse them with
// [keys.ErrPrivate]; a server then asks [Keys] which key it was, and remembers it.
//
// A key counts only if the private half really is that of the public half beside it. Otherwise
// anybody could have somebody else's key refused.
//
// It stands apart from package keys because the scanner's page carries that one and has no
// list to put a key on. Left to others: the list (package store/once), and who may add to it.
package disclosed

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

const (
	// maxPart is the most characters of a header or payload, and of a did:jwk.
	maxPart = 128 << 10
	// maxTries is how many private members are tried in one call, each at the price of a
	// signature.
	maxTries = 64
)

var limits = strict.Limits{Bytes: maxPart, Depth: 16, Items: 1 << 12}

// Keys returns the keys that are disclosed in messages, each once. A message is a compact
// token or an SD-JWT, with or without its key binding; whether its signature holds does not
// matter. What cannot be read has no keys.
func Keys(messages ...string) []keys.PublicKey {
	var f finder
	for _, m := range messages {
		first, rest, more := strings.Cut(m, "~")
		f.token(first)
		if more { // RFC 9901 section 4: the last part is the key binding, if there is any
			f.token(rest[strings.LastIndexByte(rest, '~')+1:])
		}
	}
	return f.found
}

// A finder goes through messages.
type finder struct {
	tries int
	found []keys.PublicKey
}

// token looks where a compact token names keys, and into the key attestation in its header.
func (f *finder) token(text string) {
	header := f.part(text)
	if attestation, ok := header.Get("key_attestation").Text(); ok {
		f.part(attestation)
	}
}

// part looks at one token and returns its header.
func (f *finder) part(text string) (header strict.Value) {
	head, rest, _ := strings.Cut(text, ".")
	body, _, _ := strings.Cut(rest, ".")
	header, payload := decode(head), decode(body)
	cnf := payload.Get("cnf")
	for _, v := range []strict.Value{header, cnf} {
		f.jwk(v.Get("jwk"))
		f.didJWK(v.Get("kid"))
	}
	// OpenID4VCI 1.0 appendix D.1
	if list := payload.Get("attested_keys"); list.Kind() == strict.Array {
		for i := range list.Len() {
			f.jwk(list.At(i))
		}
	}
	return header
}

// decode is a JSON object in base64url; the zero value if it is none.
func decode(text string) strict.Value {
	if len(text) > maxPart {
		return strict.Value{}
	}
	b, err := strict.DecodeBase64URL(text)
	if err != nil {
		return strict.Value{}
	}
	v, err := limits.Object(b)
	if err != nil {
		return strict.Value{}
	}
	return v
}

// didJWK looks at a DID, or DID URL, of the method jwk.
func (f *finder) didJWK(v strict.Value) {
	text, _ := v.Text()
	if id, ok := strings.CutPrefix(text, "did:jwk:"); ok {
		id, _, _ = strings.Cut(id, "#")
		f.jwk(decode(id))
	}
}

// jwk adds the key of a private JWK.
func (f *finder) jwk(v strict.Value) {
	if v.Get("d").Kind() == strict.None || f.tries == maxTries {
		return
	}
	f.tries++
	k, ok := private(v)
	if ok && !slices.ContainsFunc(f.found, k.Equal) {
		f.found = append(f.found, k)
	}
}

// private returns the public key of a JWK whose d belongs to its x and y (RFC 7518 section
// 6.2.2, RFC 8037 section 2). Numbers may lack their leading zeros, or have more: a key is
// no less disclosed for that.
func private(v strict.Value) (keys.PublicKey, bool) {
	x, y := number(v, "x"), number(v, "y")
	var size int
	var derive func(d []byte) (x, y []byte, public any)
	kty, _ := v.Get("kty").Text()
	switch crv, _ := v.Get("crv").Text(); {
	case kty == "EC" && crv == "P-256":
		size, derive = 32, onCurve(ecdh.P256(), elliptic.P256())
	case kty == "EC" && crv == "P-384":
		size, derive = 48, onCurve(ecdh.P384(), elliptic.P384())
	case kty == "OKP" && crv == "Ed25519":
		size, derive = ed25519.SeedSize, edwards
	default:
		return keys.PublicKey{}, false
	}
	d := number(v, "d")
	if len(d) > size {
		return keys.PublicKey{}, false
	}
	isX, isY, public := derive(append(make([]byte, size-len(d)), d...))
	if public == nil || !bytes.Equal(trimmed(isX), x) || !bytes.Equal(trimmed(isY), y) {
		return keys.PublicKey{}, false
	}
	k, err := keys.PublicKeyOf(public)
	return k, err == nil
}

// number is a member in base64url without its leading zeros.
func number(v strict.Value, name string) []byte {
	text, _ := v.Get(name).Text()
	b, err := strict.DecodeBase64URL(text)
	if err != nil {
		return nil
	}
	return trimmed(b)
}

func trimmed(b []byte) []byte { return bytes.TrimLeft(b, "\x00") }

// onCurve multiplies the base point of a curve by d. There is no key if d is 0 or too large.
func onCurve(c ecdh.Curve, e elliptic.Curve) func(d []byte) (x, y []byte, public any) {
	return func(d []byte) (x, y []byte, public any) {
		k, err := c.NewPrivateKey(d)
		if err != nil {
			return nil, nil, nil
		}
		point := k.PublicKey().Bytes()
		key, err := ecdsa.ParseUncompressedPublicKey(e, point)
		if err != nil {
			return nil, nil, nil
		}
		return point[1 : 1+len(d)], point[1+len(d):], key
	}
}

// edwards is the Ed25519 key of a seed. It has no y.
func edwards(seed []byte) (x, y []byte, public any) {
	key := ed25519.PublicKey(ed25519.NewKeyFromSeed(seed)[ed25519.SeedSize:])
	return key, nil, key
}
