package oid4vci

import (
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// AttestationExpect is what an authorization server requires of the attestation of a
// wallet. A zero field is reported as an error unless it says so.
type AttestationExpect struct {
	// Audience is the issuer identifier of the authorization server.
	Audience string
	// ClientID is that of the request, "" if the request names none.
	ClientID string
	// Now is the moment to judge at, and MaxAge how long ago the proof of possession may
	// have been made.
	Now    time.Time
	MaxAge time.Duration
	// Algorithms are those that the server offers for both.
	Algorithms []keys.Algorithm
	// Attesters finds the keys of wallet providers.
	Attesters TrustedKeys
	// NeedChallenge refuses a proof without challenge with [UseAttestationChallenge].
	// Whether it is one of ours is the caller's. Optional.
	NeedChallenge bool
	// MaxAttestationAge is how long ago the attestation itself may have been made, if it
	// says; zero leaves that to its expiry. Optional.
	MaxAttestationAge time.Duration
}

func (e AttestationExpect) check() error {
	if e.Audience == "" || e.Now.IsZero() || e.MaxAge <= 0 || len(e.Algorithms) == 0 || e.Attesters == nil {
		return errors.New("oid4vci: AttestationExpect.Audience, Now, MaxAge, Algorithms or Attesters is not set")
	}
	return nil
}

// A ClientAttestation is an attestation that was checked, with its proof of possession.
type ClientAttestation struct {
	// ClientID is the wallet: the same for all of its kind.
	ClientID string
	// Key is the key of this instance, to which refresh tokens are bound.
	Key keys.PublicKey
	// Issuer is who attests, "" if that is not said.
	Issuer string
	// WalletName and WalletLink are for people (OpenID4VCI appendix E). Optional.
	WalletName, WalletLink string
	// Status is where a status list says whether the attestation still holds, which is
	// the caller's to ask; nil if it names none.
	Status *credential.StatusRef
	// Challenge is the server's challenge in the proof, "" if there is none.
	Challenge string
	// Replay is what the caller must remember until Until. It is zero in combined mode,
	// where the DPoP proof has one.
	Replay [sha256.Size]byte
	Until  time.Time
}

// CheckClientAttestation checks a client attestation and its proof of possession
// (client attestation draft-10 sections 7.1 and 7.2). Attestations and proofs are the
// values of all header fields [ClientAttestationHeader] and
// [ClientAttestationPoPHeader]. If there is no proof but a DPoP proof that was checked,
// that one counts (section 7.3); otherwise dpop is not looked at and may be nil.
func CheckClientAttestation(attestations, proofs []string, dpop *DPoP, want AttestationExpect) (*ClientAttestation, error) {
	if err := want.check(); err != nil {
		return nil, err
	}
	a, err := checkAttestation(attestations, want)
	if err != nil {
		return nil, err
	}
	if len(proofs) == 0 && dpop != nil {
		// Section 7.3 step 4.
		if !dpop.Key.Equal(a.Key) {
			return nil, refuse(InvalidClient, ErrKey, "the DPoP proof is by another key than the client attestation names")
		}
		if a.Challenge = dpop.Nonce; want.NeedChallenge && a.Challenge == "" {
			return nil, NeedChallenge()
		}
		return a, nil
	}
	return a, a.checkProof(proofs, want)
}

// NeedChallenge asks the client for a proof with a challenge of the server, which goes
// into the header [ClientAttestationChallengeHeader] of this answer.
func NeedChallenge() *Error {
	return NewError(UseAttestationChallenge, ErrNoNonce, "a proof with a fresh challenge is needed")
}

// ChallengeResponse is the body of the answer of the challenge endpoint (client
// attestation draft-10 section 6.1). It must not be cached.
func ChallengeResponse(challenge string) ([]byte, error) {
	if challenge == "" {
		return nil, errors.New("oid4vci: an empty challenge")
	}
	return write(map[string]any{"attestation_challenge": challenge})
}

// ReadChallengeResponse reads the answer of the challenge endpoint.
func ReadChallengeResponse(status int, body []byte) (string, error) {
	if status < 200 || status > 299 {
		return "", ReadError(status, body)
	}
	in := readObject(smallLimits, body, "challenge response", InvalidRequest)
	challenge := in.mustText("attestation_challenge", maxJTI)
	return challenge, in.err
}

// one returns the only value of a header field.
func one(values []string, code Code, what string) (string, error) {
	if len(values) == 0 {
		return "", refuse(code, ErrMissing, "no %s", what)
	}
	if len(values) > 1 {
		return "", refuse(code, ErrRepeated, "several of %s", what)
	}
	return values[0], nil
}

// checkAttestation checks the attestation alone (section 7.1).
func checkAttestation(headers []string, want AttestationExpect) (*ClientAttestation, error) {
	text, err := one(headers, InvalidClient, "client attestation")
	if err != nil {
		return nil, err
	}
	t, err := readToken(text, ClientAttestationTyp, keyNone, jose.MaxToken, InvalidClient)
	if err != nil {
		return nil, err
	}
	if err := t.verifyTrusted(want.Attesters, want.Algorithms); err != nil {
		return nil, err
	}
	a := &ClientAttestation{
		ClientID: t.claims.mustText("sub", maxURL), Issuer: t.claims.text("iss", maxURL),
		WalletName: t.claims.text("wallet_name", maxText), WalletLink: t.claims.text("wallet_link", maxURL),
		Status: t.status(),
	}
	if a.Key, err = t.confirmation(); err != nil {
		return nil, err
	}
	if err := t.checkTimes(want.Now, "exp"); err != nil {
		return nil, err
	}
	if iat := t.date("iat"); want.MaxAttestationAge > 0 && !iat.IsZero() && !want.Now.Before(iat.Add(want.MaxAttestationAge)) {
		return nil, refuse(UseFreshAttestation, ErrTime, "the client attestation is too old")
	}
	if want.ClientID != "" && want.ClientID != a.ClientID {
		return nil, refuse(InvalidClient, ErrConflict, "client_id is not the sub of the client attestation")
	}
	return a, nil
}

// checkProof checks the proof of possession (section 7.2).
func (a *ClientAttestation) checkProof(headers []string, want AttestationExpect) error {
	text, err := one(headers, InvalidClient, "proof of possession for the client attestation")
	if err != nil {
		return err
	}
	t, err := readToken(text, ClientAttestationPoPTyp, keyNone, maxProof, InvalidClient)
	if err != nil {
		return err
	}
	if err := t.verify(a.Key, want.Algorithms); err != nil {
		return err
	}
	if err := t.audience(want.Audience); err != nil {
		return err
	}
	jti := t.claims.mustText("jti", maxJTI)
	// Before draft-05 the claim had the name nonce.
	if a.Challenge = t.claims.text("challenge", maxJTI); a.Challenge == "" {
		a.Challenge = t.claims.text("nonce", maxJTI)
	}
	iat, err := t.issuedAt(want.Now, want.MaxAge)
	if err != nil {
		return err
	}
	if want.NeedChallenge && a.Challenge == "" {
		return NeedChallenge()
	}
	a.Replay = sha256.Sum256([]byte("attestation-pop\x00" + a.Key.JWKThumbprint() + "\x00" + jti))
	a.Until = iat.Add(want.MaxAge)
	return nil
}

// An AttestationToken is what a wallet provider says of one of its wallets.
type AttestationToken struct {
	// Issuer is the wallet provider. Optional.
	Issuer   string
	ClientID string
	// Key is the key of the instance.
	Key               keys.PublicKey
	IssuedAt, Expires time.Time
	WalletName        string
	WalletLink        string
	// Status is where it can be revoked. Optional.
	Status *credential.StatusRef
}

// MakeClientAttestation makes a client attestation. Chain is the provider's
// certificates without the root; without one the header has the kid of the key.
func MakeClientAttestation(rnd io.Reader, s keys.Signer, chain [][]byte, a AttestationToken) (string, error) {
	if a.ClientID == "" || a.Key.IsZero() || a.IssuedAt.IsZero() || a.Expires.IsZero() {
		return "", errors.New("oid4vci: AttestationToken.ClientID, Key, IssuedAt or Expires is not set")
	}
	claims := map[string]any{
		"sub": a.ClientID, "iat": a.IssuedAt.Unix(), "exp": a.Expires.Unix(), "cnf": map[string]any{"jwk": strict.Raw(a.Key.BareJWK())},
	}
	put(claims, "iss", a.Issuer)
	put(claims, "wallet_name", a.WalletName)
	put(claims, "wallet_link", a.WalletLink)
	putStatus(claims, a.Status)
	return sign(rnd, s, jose.Header{Type: ClientAttestationTyp, X5C: chain}, claims)
}

// MakeClientAttestationPoP makes the proof of possession that goes with an attestation
// to the authorization server with this identifier. Challenge is the last that it gave,
// "" if none. ClientID is for servers of draft-07, which want it as iss, and want exp; ""
// leaves both out.
func MakeClientAttestationPoP(rnd io.Reader, s keys.Signer, audience, clientID, challenge string, now time.Time) (string, error) {
	if audience == "" || now.IsZero() {
		return "", errors.New("oid4vci: a proof of possession without audience or time")
	}
	jti, err := NewSecret(rnd)
	if err != nil {
		return "", err
	}
	claims := map[string]any{"aud": audience, "jti": string(jti), "iat": now.Unix()}
	if clientID != "" {
		claims["iss"], claims["exp"] = clientID, now.Add(time.Minute).Unix()
	}
	put(claims, "challenge", challenge)
	return sign(rnd, s, jose.Header{Type: ClientAttestationPoPTyp}, claims)
}

// A KeyAttestation is an attestation of keys that was checked (appendix D.1).
type KeyAttestation struct {
	// Keys are those attested, each once.
	Keys []keys.PublicKey
	// KeyStorage and UserAuthentication are the levels attested.
	KeyStorage, UserAuthentication []string
	// Certification is an address about the key store, "" if there is none.
	Certification string
	// Nonce is the issuer's nonce in it, "" if there is none.
	Nonce string
	// Issuer is who attests, "" if that is not said.
	Issuer string
	// Status is where a status list says whether the attestation still holds, which is
	// the caller's to ask; nil if it names none.
	Status *credential.StatusRef
}

// checkKeyAttestation checks a key attestation, for keys that sign themselves (jwt) or
// not.
func checkKeyAttestation(text string, inProof bool, want ProofExpect, support ProofSupport) (*KeyAttestation, error) {
	t, err := readToken(text, KeyAttestationTyp, keyNone, jose.MaxToken, InvalidProof)
	if err != nil {
		return nil, err
	}
	if err := t.verifyTrusted(want.Attesters, support.Algorithms); err != nil {
		return nil, err
	}
	a := &KeyAttestation{
		KeyStorage: t.claims.texts("key_storage", maxEntries, maxName), UserAuthentication: t.claims.texts("user_authentication", maxEntries, maxName),
		Certification: t.claims.text("certification", maxURL), Nonce: t.claims.text("nonce", maxJTI),
		Issuer: t.claims.text("iss", maxURL), Status: t.status(),
	}
	list := t.claims.list("attested_keys", MaxBatch)
	t.claims.need("attested_keys", list != nil)
	for _, v := range list {
		key, err := jose.Key(v)
		if err != nil {
			t.claims.fail(keyReason(err), "a key in attested_keys")
			break
		}
		if slices.ContainsFunc(a.Keys, key.Equal) {
			t.claims.fail(ErrRepeated, "a key stands twice in attested_keys")
		}
		a.Keys = append(a.Keys, *key)
	}
	needed := []string{"iat"}
	if inProof {
		needed = append(needed, "exp") // appendix D.1
	}
	if err := t.checkTimes(want.Now, needed...); err != nil {
		return nil, err
	}
	if want.NeedNonce && a.Nonce == "" {
		return nil, refuse(InvalidProof, ErrNoNonce, "the key attestation has no nonce")
	}
	if n := support.Attestation; n != nil && (!level(n.KeyStorage, a.KeyStorage) || !level(n.UserAuthentication, a.UserAuthentication)) {
		return nil, refuse(InvalidProof, ErrAttestation, "the key attestation does not reach the level that is needed")
	}
	return a, nil
}

// level reports whether one of the accepted levels is attested.
func level(accepted, attested []string) bool {
	return len(accepted) == 0 || slices.ContainsFunc(attested, func(s string) bool { return slices.Contains(accepted, s) })
}

// A KeyAttestationToken is what a maker of a key store says of keys in it.
type KeyAttestationToken struct {
	// Issuer is who attests. Optional.
	Issuer                         string
	Keys                           []keys.PublicKey
	KeyStorage, UserAuthentication []string
	// Nonce is that of the credential issuer. Optional.
	Nonce             string
	IssuedAt, Expires time.Time
	// Status is where it can be revoked. Optional.
	Status *credential.StatusRef
}

// MakeKeyAttestation makes a key attestation. Chain is the signer's certificates
// without the root; without one the header has the kid of the key.
func MakeKeyAttestation(rnd io.Reader, s keys.Signer, chain [][]byte, a KeyAttestationToken) (string, error) {
	if len(a.Keys) == 0 || a.IssuedAt.IsZero() {
		return "", errors.New("oid4vci: KeyAttestationToken.Keys or IssuedAt is not set")
	}
	list := make([]any, len(a.Keys))
	for i, k := range a.Keys {
		list[i] = strict.Raw(k.BareJWK())
	}
	claims := map[string]any{"iat": a.IssuedAt.Unix(), "attested_keys": list}
	if !a.Expires.IsZero() {
		claims["exp"] = a.Expires.Unix()
	}
	put(claims, "iss", a.Issuer)
	put(claims, "nonce", a.Nonce)
	putList(claims, "key_storage", a.KeyStorage)
	putList(claims, "user_authentication", a.UserAuthentication)
	putStatus(claims, a.Status)
	return sign(rnd, s, jose.Header{Type: KeyAttestationTyp, X5C: chain}, claims)
}

// status reads the claim status of an attestation: its place in a Token Status List (section
// 6.2 of that), nil without the claim. Of another mechanism, in its place or beside it, nobody
// here could say whether the attestation still holds, so it is refused (corpus ST-08).
func (t *token) status() *credential.StatusRef {
	in, ok := t.claims.at("status")
	if !ok {
		return nil
	}
	list, ok := in.at("status_list")
	if !ok || in.v.Len() > 1 {
		t.claims.fail(ErrUnsupported, "%s with a status that is not in a status list alone", t.claims.name)
	}
	index, whole := list.v.Get("idx").Int()
	ref := &credential.StatusRef{URI: list.mustText("uri", maxURL), Index: uint64(max(0, index))}
	if !whole || index < 0 {
		list.fail(ErrMalformed, "idx in status_list is no index")
	}
	in.join(list)
	t.claims.join(in)
	return ref
}

func putStatus(m map[string]any, ref *credential.StatusRef) {
	if ref != nil {
		m["status"] = map[string]any{"status_list": map[string]any{"idx": int64(ref.Index), "uri": ref.URI}}
	}
}
