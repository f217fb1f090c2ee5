package sdjwt

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// IssuerKeys finds the keys that may have signed a credential. Package trust
// implements it. It may be asked from several goroutines at once.
type IssuerKeys interface {
	// KeysFor returns the keys of this issuer that match the hint kid, all of
	// them if kid is nil. Unknown issuers and keys give none. The order is that in
	// which keys are tried.
	KeysFor(issuer string, kid []byte) []keys.PublicKey
}

// A Binding is a verifier's decision about the proof by the holder's key.
type Binding int

// The decisions. The zero Binding is none and an error.
const (
	// BindingRequired: whoever shows the credential must have signed for this
	// verifier and this request with the key that the credential is bound to.
	BindingRequired Binding = iota + 1
	// BindingRefused: there must be no such proof. That is how issuers hand out
	// credentials, and how a credential is checked that proves itself otherwise.
	BindingRefused
)

// Leeway is how far issue dates may lie ahead of the reader's clock. There is none
// for expiry.
const Leeway = time.Minute

// Expect is what a verifier requires of a presentation. Verify reports a zero field
// as an error, so that a forgotten nonce cannot become a skipped check; only those
// that say so are optional.
type Expect struct {
	// Keys is whom the verifier trusts.
	Keys IssuerKeys
	// Now is the moment to judge dates at.
	Now time.Time
	// Binding says whether the holder must prove its key.
	Binding Binding
	// Audience is the verifier's own name as it sent it in its request, prefix
	// included. It must be set if Binding is required, and only then.
	Audience string
	// Nonce is that of this one request. It must be set if Binding is required, and
	// only then.
	Nonce string
	// MaxAge is how long ago the holder may have signed. It must be set if Binding
	// is required, and only then.
	MaxAge time.Duration

	// OldType also takes credentials of drafts before November 2024 (vc+sd-jwt).
	// Optional.
	OldType bool
	// LeaveDates says that the caller judges iat, nbf and exp of the credential
	// itself, as package verification does. Optional; the dates of a proof by the
	// holder are always judged here.
	LeaveDates bool
}

func (e Expect) check() error {
	switch {
	case e.Keys == nil:
		return errors.New("sdjwt: Expect.Keys is not set")
	case e.Now.IsZero():
		return errors.New("sdjwt: Expect.Now is not set")
	case e.Binding != BindingRequired && e.Binding != BindingRefused:
		return errors.New("sdjwt: Expect.Binding is not set")
	}
	required := e.Binding == BindingRequired
	for i, set := range [...]bool{e.Audience != "", e.Nonce != "", e.MaxAge > 0} {
		if name := [...]string{"Audience", "Nonce", "MaxAge"}[i]; required && !set {
			return fmt.Errorf("sdjwt: Expect.%s is not set", name)
		} else if !required && set {
			return fmt.Errorf("sdjwt: Expect.%s is set although no proof by the holder is wanted", name)
		}
	}
	return nil
}

// types are the values of typ that will do.
func (e Expect) types() []string {
	if e.OldType {
		return []string{Typ, OldTyp}
	}
	return []string{Typ}
}

// Verify checks an SD-JWT VC as RFC 9901 section 7 sets out and returns what it
// says. A refusal is a [*credential.RejectedError]. Claims are those disclosed, in
// [credential.Verified.Fields], by name. Status and whether the key may sign this
// type are left to package verification.
func Verify(presentation string, want Expect) (*credential.Verified, error) {
	v, _, _, err := verify(presentation, want, want.types(), true, false)
	return v, err
}

// VerifyParsed is [Verify], and returns what [Parse] would of the same text: it is read once.
func VerifyParsed(presentation string, want Expect) (*credential.Verified, *Parsed, error) {
	v, t, claims, err := verify(presentation, want, want.types(), true, true)
	if err != nil {
		return nil, nil, err
	}
	said := *v
	said.Key, said.HolderProof = keys.PublicKey{}, time.Time{}
	return v, t.parsed(claims, &said, nil), nil
}

// verify is Verify for tokens of these types, which are credentials (VCs) or not. It also
// returns the token and its claims, with the paths of disclosures if they are wanted.
func verify(presentation string, want Expect, types []string, vc, paths bool) (v *credential.Verified, t *token, claims strict.Value, err error) {
	if err := want.check(); err != nil {
		return nil, nil, claims, err
	}
	t, err = read(presentation, func(jwt string) (*jose.Message, error) {
		return jose.Parse(jwt, jose.Expect{Types: types, MaxBytes: MaxSize})
	})
	if err != nil {
		return nil, nil, claims, err
	}
	// Section 7.3 step 1: whether a proof is needed was decided before.
	switch {
	case want.Binding == BindingRequired && t.binding == "":
		return nil, nil, claims, credential.Reject(credential.HolderProofMissing, "no proof by the holder's key")
	case want.Binding == BindingRefused && t.binding != "":
		return nil, nil, claims, malformed("a proof by the holder's key where none belongs")
	}
	// Section 7.1 step 2: the issuer's signature, by a key that we trust.
	key, err := t.checkIssuer(want.Keys)
	if err != nil {
		return nil, nil, claims, err
	}
	// Steps 3 to 5: digests and disclosures.
	claims, err = t.open(paths)
	if err != nil {
		return nil, nil, claims, err
	}
	v, err = t.verified(claims, key, vc)
	if err != nil {
		return nil, nil, claims, err
	}
	// Step 6: validity.
	if err := checkClaims(claims, v, want); err != nil {
		return nil, nil, claims, err
	}
	// Section 7.3 step 5: the holder signed for us, for this request.
	if want.Binding == BindingRequired {
		if v.HolderProof, err = t.checkBinding(v.Holder, want); err != nil {
			return nil, nil, claims, err
		}
	}
	return v, t, claims, nil
}

// maxTries is how many keys are tried on one token.
const maxTries = 8

// checkIssuer returns the key that verifies the token.
func (t *token) checkIssuer(trusted IssuerKeys) (keys.PublicKey, error) {
	issuer, _ := t.payload.Get("iss").Text()
	candidates := trusted.KeysFor(issuer, hint(t.message.KeyID))
	if len(candidates) == 0 {
		if t.message.Algorithm == "" {
			return keys.PublicKey{}, credential.Reject(credential.UnsupportedAlgorithm, "%.40q", t.message.RawAlgorithm)
		}
		return keys.PublicKey{}, credential.Reject(credential.UnknownIssuer, "no key known for this issuer and kid")
	}
	tries := 0
	for _, key := range candidates {
		if key.Algorithm() != t.message.Algorithm {
			continue
		}
		if tries++; tries > maxTries {
			return keys.PublicKey{}, credential.Reject(credential.UnknownIssuer, "the token fits more than %d keys", maxTries)
		}
		err := t.message.Verify(key.Algorithm(), key)
		switch {
		case err == nil:
			return key, nil
		case errors.Is(err, jose.ErrUnsigned):
			return keys.PublicKey{}, reject(err)
		case !errors.Is(err, jose.ErrSignature):
			return keys.PublicKey{}, fmt.Errorf("sdjwt: verify: %w", err)
		}
	}
	if t.message.Unsigned() {
		return keys.PublicKey{}, credential.Reject(credential.Unsigned, "the signature is empty")
	}
	return keys.PublicKey{}, credential.Reject(credential.BadSignature, "no key of the issuer verifies the signature")
}

// hint is the kid as trust data know it, nil if it has another form.
func hint(kid string) []byte {
	id, err := keys.ParseID(kid)
	if err != nil {
		return nil
	}
	return id.Bytes()
}

// verified is what the claims say. Registered claims come from the payload itself,
// so that no disclosure can stand in for one.
func (t *token) verified(claims strict.Value, key keys.PublicKey, vc bool) (*credential.Verified, error) {
	v := &credential.Verified{Format: credential.FormatSDJWT, Key: key}
	if t.message.KeyID != "" {
		v.KeyID = []byte(t.message.KeyID)
	}
	var err error
	text := func(name string) string {
		m := t.payload.Get(name)
		s, ok := m.Text()
		if m.Kind() != strict.None && (!ok || s == "") {
			err = cmp.Or(err, malformed("claim %s is no text", name))
		}
		return s
	}
	date := func(from strict.Value, name string) time.Time {
		m := from.Get(name)
		if m.Kind() == strict.None {
			return time.Time{}
		}
		at, dateErr := m.Date()
		if dateErr != nil {
			err = cmp.Or(err, malformed("claim %s: %v", name, dateErr))
		}
		return at
	}
	v.Issuer, v.Type = text("iss"), text("vct")
	text("vct#integrity")
	v.NotBefore, v.Expires, v.IssuedAt = date(t.payload, "nbf"), date(t.payload, "exp"), date(claims, "iat")
	if err == nil {
		v.Status, err = readStatus(t.payload)
	}
	if err == nil {
		v.Holder, err = readHolder(t.payload.Get("cnf"))
	}
	switch {
	case err != nil:
		return nil, err
	case vc && v.Type == "":
		return nil, malformed("no vct")
	case !v.Expires.IsZero() && (!v.Expires.After(v.NotBefore) || !v.Expires.After(v.IssuedAt)):
		return nil, malformed("expires before it begins")
	}
	v.Fields = fields(claims)
	return v, nil
}

// fields are the claims that are not about the credential itself, by name.
func fields(claims strict.Value) credential.Claims {
	out := make(credential.Claims, 0, claims.Len())
	for i := range claims.Len() {
		if name := claims.Name(i); name != "iat" && !slices.Contains(plainClaims, name) {
			out = append(out, credential.Claim{Name: name, Value: claims.At(i).Any()})
		}
	}
	slices.SortFunc(out, func(a, b credential.Claim) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// readStatus reads the reference to a Token Status List
// (draft-ietf-oauth-status-list-20 section 6.2). Other mechanisms below status or, as
// with Bitstring Status List, in a claim of their own are noted beside it, and refused in
// its place.
func readStatus(payload strict.Value) (*credential.StatusRef, error) {
	v, other := payload.Get("status"), payload.Get("credentialStatus").Kind() != strict.None
	if v.Kind() == strict.None {
		if other {
			return nil, credential.Reject(credential.StatusUnsupported, "credentialStatus without a status claim")
		}
		return nil, nil
	}
	if v.Kind() != strict.Object {
		return nil, malformed("claim status is no object")
	}
	list := v.Get("status_list")
	if list.Kind() == strict.None {
		return nil, credential.Reject(credential.StatusUnsupported, "no status_list in the status claim")
	}
	index, whole := list.Get("idx").Int()
	uri, _ := list.Get("uri").Text()
	if !whole || index < 0 || uri == "" {
		return nil, malformed("status_list without uri or idx")
	}
	return &credential.StatusRef{URI: uri, Index: uint64(index), Beside: other || v.Len() > 1}, nil
}

// readHolder reads the key of the holder (RFC 7800 section 3.2). Other ways to name
// it would need a key that we do not have.
func readHolder(v strict.Value) (*keys.PublicKey, error) {
	if v.Kind() == strict.None {
		return nil, nil
	}
	if v.Kind() != strict.Object {
		return nil, malformed("claim cnf is no object")
	}
	jwk := v.Get("jwk")
	if jwk.Kind() == strict.None {
		return nil, credential.Reject(credential.UnsupportedFormat, "the holder is named by something other than a key")
	}
	pub, err := jose.Key(jwk)
	if errors.Is(err, keys.ErrUnsupportedKey) {
		return nil, credential.Reject(credential.UnsupportedAlgorithm, "key of the holder: %v", err)
	}
	if err != nil {
		return nil, malformed("key of the holder: %v", err)
	}
	return pub, nil
}

// checkClaims holds dates and audience of the credential against what is wanted.
func checkClaims(claims strict.Value, v *credential.Verified, want Expect) error {
	// RFC 7519 section 4.1.3: whoever is not named must refuse the token.
	if aud := claims.Get("aud"); aud.Kind() != strict.None && !names(aud, want.Audience) {
		return credential.Reject(credential.UnsupportedFormat, "the credential is for a particular audience")
	}
	switch {
	case want.LeaveDates:
	case !v.Expires.IsZero() && !want.Now.Before(v.Expires):
		return credential.Reject(credential.Expired, "")
	case v.NotBefore.After(want.Now.Add(Leeway)):
		return credential.Reject(credential.NotYetValid, "")
	case v.IssuedAt.After(want.Now.Add(Leeway)):
		return credential.Reject(credential.IssuedInFuture, "")
	}
	return nil
}

// names reports whether an aud of the issuer's names this verifier.
func names(aud strict.Value, verifier string) bool {
	if s, ok := aud.Text(); ok {
		return s == verifier && s != ""
	}
	for i := range aud.Len() {
		if s, ok := aud.At(i).Text(); ok && s == verifier && s != "" && aud.Kind() == strict.Array {
			return true
		}
	}
	return false
}

var bindingLimits = strict.Limits{Bytes: maxBinding, Depth: 8, Items: 256}

// checkBinding checks the key-binding JWT (RFC 9901 section 7.3) and returns when
// it was made.
func (t *token) checkBinding(holder *keys.PublicKey, want Expect) (time.Time, error) {
	bad := func(format string, args ...any) (time.Time, error) {
		return time.Time{}, credential.Reject(credential.HolderProofBad, format, args...)
	}
	if holder == nil {
		return bad("the credential names no key of a holder")
	}
	m, err := jose.Parse(t.binding, jose.Expect{Types: []string{BindingTyp}, MaxBytes: maxBinding})
	if err != nil {
		return bad("%v", err)
	}
	if err := m.Verify(holder.Algorithm(), *holder); err != nil {
		return bad("%v", err)
	}
	claims, err := bindingLimits.Object(m.Payload)
	if err != nil {
		return bad("%v", err)
	}
	at, err := claims.Get("iat").Date()
	if err != nil {
		return bad("iat: %v", err)
	}
	if got, _ := claims.Get("sd_hash").Text(); got != digest(t.hash, t.shown) {
		return bad("made for other disclosures")
	}
	// One text, and exactly ours: neither a list nor a longer or shorter name.
	if got, _ := claims.Get("aud").Text(); got != want.Audience {
		return time.Time{}, credential.Reject(credential.WrongAudience, "the proof is for another verifier")
	}
	if got, _ := claims.Get("nonce").Text(); got != want.Nonce {
		return time.Time{}, credential.Reject(credential.WrongNonce, "the proof answers another request")
	}
	if at.After(want.Now.Add(Leeway)) {
		return bad("made in the future")
	}
	if want.Now.Sub(at) > want.MaxAge {
		return time.Time{}, credential.Reject(credential.HolderProofOld, "made %s ago, at most %s", want.Now.Sub(at), want.MaxAge)
	}
	return at, bindingDates(claims, want.Now)
}

// bindingDates honours exp and nbf, which a proof need not have.
func bindingDates(claims strict.Value, now time.Time) error {
	if v := claims.Get("exp"); v.Kind() != strict.None {
		if exp, err := v.Date(); err != nil || !now.Before(exp) {
			return credential.Reject(credential.HolderProofOld, "the proof has expired")
		}
	}
	if v := claims.Get("nbf"); v.Kind() != strict.None {
		if nbf, err := v.Date(); err != nil || nbf.After(now.Add(Leeway)) {
			return credential.Reject(credential.HolderProofBad, "the proof is not yet valid")
		}
	}
	return nil
}
