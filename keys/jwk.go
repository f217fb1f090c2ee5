package keys

import (
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/sanad-id/sanad/internal/strict"
)

// maxJWKDepth is how deep a JWK may be nested. Its own members need 2.
const maxJWKDepth = 8

// jwkMembers returns the required members in the order and form that RFC 7638
// section 3 hashes.
func (p *publicKey) jwkMembers() []byte {
	return p.appendJWKMembers(make([]byte, 0, 256))
}

func (p *publicKey) appendJWKMembers(b []byte) []byte {
	enc := base64.RawURLEncoding
	b = append(b, `{"crv":"`...)
	b = append(append(b, p.alg.joseCrv...), `","kty":"`...)
	b = append(append(b, p.alg.joseKty...), `","x":"`...)
	b = enc.AppendEncode(b, p.point[:p.alg.size])
	if p.alg.curve != nil {
		b = enc.AppendEncode(append(b, `","y":"`...), p.point[p.alg.size:])
	}
	return append(b, `"}`...)
}

// BareJWK returns the key as a JSON Web Key with nothing but the members that make
// it, in the form that RFC 7638 section 3 hashes: how a credential names the key of
// its holder.
func (k PublicKey) BareJWK() []byte { return k.get().jwkMembers() }

// AppendBareJWK appends [PublicKey.BareJWK] to dst.
func (k PublicKey) AppendBareJWK(dst []byte) []byte { return k.get().appendJWKMembers(dst) }

// JWK returns the key as a JSON Web Key with alg, use "sig" and, as kid, its ID.
// All its values are made of characters that need no escaping.
func (k PublicKey) JWK() []byte {
	p := k.get()
	head := fmt.Appendf(nil, `{"alg":%q,"kid":%q,"use":"sig",`, p.alg.name, k.ID())
	return append(head, p.jwkMembers()[1:]...)
}

// privateMembers are the JWK members that hold secrets (RFC 7518 sections 6.2.2,
// 6.3.2 and 6.4, RFC 8037 section 2).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// ParseJWK reads a public JSON Web Key (RFC 7517) for one of the accepted
// algorithms. It is strict: no member twice at any depth, names in their exact
// case, no private members ([ErrPrivate]), coordinates of exactly the curve's
// length, and "use", "key_ops" and "alg", where present, must agree with
// checking signatures. Unknown members are passed over, as the RFC wants;
// nothing that a member points at is ever fetched.
func ParseJWK(b []byte) (PublicKey, error) {
	if err := checkSize(b); err != nil {
		return PublicKey{}, err
	}
	m, err := strict.Limits{Bytes: maxKeyText, Depth: maxJWKDepth, Items: maxKeyText}.Object(b)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: JWK: %v", ErrMalformedKey, err)
	}
	return parseJWK(m)
}

// JWKOf is [ParseJWK] for a JWK that stands in another text, which was read with
// package strict.
func JWKOf(m strict.Value) (PublicKey, error) {
	if m.Kind() != strict.Object {
		return PublicKey{}, fmt.Errorf("%w: JWK: not a JSON object", ErrMalformedKey)
	}
	// Most have a few short texts. Others are measured as texts of their own are.
	const short = 512
	simple := m.Len() <= 16
	for i := range m.Len() {
		s, ok := m.At(i).Text()
		simple = simple && ok && len(s) <= short && len(m.Name(i)) <= short
	}
	if simple {
		return parseJWK(m)
	}
	b, err := strict.AppendJSON(nil, m)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: JWK: %v", ErrMalformedKey, err)
	}
	return ParseJWK(b)
}

func parseJWK(m strict.Value) (PublicKey, error) {
	jwk := jwkReader{members: m}
	kty := jwk.text("kty")
	if kty == "oct" {
		return PublicKey{}, fmt.Errorf("%w: a symmetric JWK (oct) is no public key", ErrUnsupportedKey)
	}
	for _, name := range privateMembers {
		if m.Get(name).Kind() != strict.None {
			return PublicKey{}, fmt.Errorf("%w (JWK member %q): keep it where it is and give the JWK without that member", ErrPrivate, name)
		}
	}
	if m.Get("keys").Kind() != strict.None && kty == "" {
		return PublicKey{}, fmt.Errorf("%w: this is a JWK set; give the one JWK that is meant", ErrMalformedKey)
	}
	crv, alg := jwk.text("crv"), jwk.text("alg")
	use, ops := jwk.text("use"), jwk.list("key_ops")
	jwk.text("kid")
	if jwk.err != nil {
		return PublicKey{}, jwk.err
	}
	r := find(func(r *algorithm) bool { return r.joseKty == kty && r.joseCrv == crv })
	if r == nil {
		return PublicKey{}, fmt.Errorf("%w: JWK of type %q on curve %q", ErrUnsupportedKey, cut(kty), cut(crv))
	}
	if alg != "" && alg != string(r.name) && alg != r.fullJOSE {
		return PublicKey{}, fmt.Errorf("%w: the JWK says %q, its curve %s is for %s", ErrKeyUse, cut(alg), r.joseCrv, r.name)
	}
	if use != "" && use != "sig" {
		return PublicKey{}, fmt.Errorf("%w: JWK use %q, want \"sig\"", ErrKeyUse, cut(use))
	}
	if err := checkOps(m.Get("key_ops").Kind() != strict.None, ops); err != nil {
		return PublicKey{}, err
	}
	point := make([]byte, 0, maxPoint)
	point = jwk.coordinate(point, "x", r.size)
	if r.curve != nil {
		point = jwk.coordinate(point, "y", r.size)
	} else if m.Get("y").Kind() != strict.None {
		return PublicKey{}, fmt.Errorf("%w: JWK on %s with a y", ErrMalformedKey, r.joseCrv)
	}
	if jwk.err != nil {
		return PublicKey{}, jwk.err
	}
	return newPublicKey(r, point)
}

// checkOps refuses key operations that leave out verifying or go beyond
// signatures (RFC 7517 section 4.3).
func checkOps(present bool, ops []string) error {
	if !present {
		return nil
	}
	for i, op := range ops {
		if op != "verify" && op != "sign" || slices.Contains(ops[:i], op) {
			return fmt.Errorf("%w: JWK key_ops with %q", ErrKeyUse, cut(op))
		}
	}
	if !slices.Contains(ops, "verify") {
		return fmt.Errorf("%w: JWK key_ops without \"verify\"", ErrKeyUse)
	}
	return nil
}

// A jwkReader takes members out of a JWK and keeps the first error.
type jwkReader struct {
	members strict.Value
	err     error
}

func (j *jwkReader) fail(kind error, format string, args ...any) {
	if j.err == nil {
		j.err = fmt.Errorf("%w: JWK "+format, append([]any{kind}, args...)...)
	}
}

// text returns a member that must be a text without being empty, or "" if it is
// absent.
func (j *jwkReader) text(name string) string {
	v := j.members.Get(name)
	if v.Kind() == strict.None {
		return ""
	}
	s, ok := v.Text()
	if !ok || s == "" {
		j.fail(ErrMalformedKey, "member %q is not a text", name)
	}
	return s
}

// list returns a member that must be an array of texts.
func (j *jwkReader) list(name string) []string {
	v := j.members.Get(name)
	if v.Kind() == strict.None {
		return nil
	}
	if v.Kind() != strict.Array {
		j.fail(ErrMalformedKey, "member %q is not an array", name)
		return nil
	}
	var texts []string
	for i := range v.Len() {
		s, ok := v.At(i).Text()
		if !ok {
			j.fail(ErrMalformedKey, "member %q holds something that is not a text", name)
		}
		texts = append(texts, s)
	}
	return texts
}

// coordinate appends a member that must be base64url of exactly size bytes
// (RFC 7518 section 6.2.1.2: leading zeros are kept).
func (j *jwkReader) coordinate(point []byte, name string, size int) []byte {
	b, err := strict.AppendDecoded(point, j.text(name))
	if err != nil {
		j.fail(ErrMalformedKey, "member %q is not base64url", name)
		return point
	}
	if n := len(b) - len(point); n != size {
		j.fail(ErrInvalidKey, "member %q has %d bytes, want %d", name, n, size)
		return point
	}
	return b
}
