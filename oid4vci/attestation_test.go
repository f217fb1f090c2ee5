package oid4vci_test

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
)

// An attestationCase is a client attestation with its proof, good until a row spoils it.
type attestationCase struct {
	t                           testing.TB
	provider, instance          keys.Signer
	header, popHeader           jose.Header
	claims, pop                 map[string]any
	attestations, proofs        func(string) []string
	attestationText, proofToken string // in place of what is signed
	dpop                        *oid4vci.DPoP
	want                        oid4vci.AttestationExpect
}

// inList is a claim status.
func inList(index int, uri string) map[string]any {
	return map[string]any{"status_list": map[string]any{"idx": index, "uri": uri}}
}

func alone(s string) []string { return []string{s} }

func goodAttestation(t testing.TB) *attestationCase {
	provider, instance := holder(t, "provider"), holder(t, "instance")
	a, err := oid4vci.MakeClientAttestation(rand.Reader, provider, nil, oid4vci.AttestationToken{
		Issuer: "https://provider.example", ClientID: client, Key: instance.Key().Public, IssuedAt: now.Add(-time.Hour), Expires: now.Add(time.Hour),
		WalletName: "A wallet", WalletLink: "https://provider.example/wallet", Status: &credential.StatusRef{URI: "https://provider.example/list", Index: 7}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := oid4vci.MakeClientAttestationPoP(rand.Reader, instance, issuer, client, "challenge-1", now)
	if err != nil {
		t.Fatal(err)
	}
	return &attestationCase{
		t: t, provider: provider, instance: instance, header: jose.Header{Type: oid4vci.ClientAttestationTyp},
		popHeader: jose.Header{Type: oid4vci.ClientAttestationPoPTyp}, claims: claimsOf(t, a), pop: claimsOf(t, p), attestations: alone, proofs: alone,
		want: oid4vci.AttestationExpect{Audience: issuer, ClientID: client, Now: now, MaxAge: time.Minute, Algorithms: []keys.Algorithm{keys.ES256},
			Attesters: trusts(provider), NeedChallenge: true},
	}
}

func (c *attestationCase) check() (*oid4vci.ClientAttestation, error) {
	a, p := c.attestationText, c.proofToken
	if a == "" {
		a = signed(c.t, c.provider, c.header, c.claims)
	}
	if p == "" {
		p = signed(c.t, c.instance, c.popHeader, c.pop)
	}
	return oid4vci.CheckClientAttestation(c.attestations(a), c.proofs(p), c.dpop, c.want)
}

func TestClientAttestation(t *testing.T) {
	c := goodAttestation(t)
	got, err := c.check()
	if err != nil {
		t.Fatal(err)
	}
	if got.ClientID != client || !got.Key.Equal(c.instance.Key().Public) || got.Challenge != "challenge-1" || got.WalletName != "A wallet" ||
		*got.Status != (credential.StatusRef{URI: "https://provider.example/list", Index: 7}) || got.Issuer != "https://provider.example" || got.Replay == [32]byte{} || !got.Until.Equal(now.Add(time.Minute)) {
		t.Errorf("got %+v", got)
	}
	// Combined mode: the DPoP proof is the proof of possession (draft-10 section 7.3).
	combined := goodAttestation(t)
	combined.proofs = func(string) []string { return nil }
	combined.dpop = &oid4vci.DPoP{Key: c.instance.Key().Public, Nonce: "n-1"}
	if got, err := combined.check(); err != nil || got.Challenge != "n-1" {
		t.Errorf("combined mode: %+v, %v", got, err)
	}
	for _, tt := range []struct {
		name, challenge string
		spoil           func(*attestationCase)
	}{
		// Before draft-05 the challenge had the name nonce.
		{"a challenge by its old name", "challenge-2", func(c *attestationCase) { delete(c.pop, "challenge"); c.pop["nonce"] = "challenge-2" }},
		{"the new name counts", "challenge-1", func(c *attestationCase) { c.pop["nonce"] = "challenge-2" }},
		{"no challenge where none is needed", "", func(c *attestationCase) { delete(c.pop, "challenge"); c.want.NeedChallenge = false }},
		{"no challenge in combined mode where none is needed", "", func(c *attestationCase) {
			c.proofs = func(string) []string { return nil }
			c.dpop, c.want.NeedChallenge = &oid4vci.DPoP{Key: c.instance.Key().Public}, false
		}},
		// Beside a proof of its own, a DPoP proof may be by another key.
		{"a DPoP proof beside the proof", "challenge-1", func(c *attestationCase) {
			c.dpop = &oid4vci.DPoP{Key: holder(c.t, "other").Key().Public, Nonce: "n-1"}
		}},
		{"an age that the attestation does not say", "challenge-1", func(c *attestationCase) { delete(c.claims, "iat"); c.want.MaxAttestationAge = time.Hour }},
		{"any client", "challenge-1", func(c *attestationCase) { c.want.ClientID = "" }},
		{"the first place of a list", "challenge-1", func(c *attestationCase) { c.claims["status"] = inList(0, "https://provider.example/list") }},
	} {
		c := goodAttestation(t)
		tt.spoil(c)
		if got, err := c.check(); err != nil || got.Challenge != tt.challenge {
			t.Errorf("%s: %+v, %v, want challenge %q", tt.name, got, err, tt.challenge)
		}
	}
}

// TestExpectationsAreWhole sees that a forgotten expectation is no skipped check.
func TestExpectationsAreWhole(t *testing.T) {
	for name, spoil := range map[string]func(*oid4vci.AttestationExpect){
		"Audience": func(e *oid4vci.AttestationExpect) { e.Audience = "" }, "Now": func(e *oid4vci.AttestationExpect) { e.Now = time.Time{} },
		"MaxAge": func(e *oid4vci.AttestationExpect) { e.MaxAge = 0 }, "Algorithms": func(e *oid4vci.AttestationExpect) { e.Algorithms = nil },
		"Attesters": func(e *oid4vci.AttestationExpect) { e.Attesters = nil },
	} {
		c := goodAttestation(t)
		spoil(&c.want)
		if _, err := c.check(); err == nil || isRefusal(err) {
			t.Errorf("an attestation without %s: %v, want an error that is the caller's fault", name, err)
		}
	}
	for name, spoil := range map[string]func(*oid4vci.ProofExpect){
		"Issuer": func(e *oid4vci.ProofExpect) { e.Issuer = "" }, "Types": func(e *oid4vci.ProofExpect) { e.Types = nil },
		"Now": func(e *oid4vci.ProofExpect) { e.Now = time.Time{} }, "MaxAge": func(e *oid4vci.ProofExpect) { e.MaxAge = 0 },
		"algorithms": func(e *oid4vci.ProofExpect) {
			e.Types = map[oid4vci.ProofType]oid4vci.ProofSupport{oid4vci.JWTProof: {}}
		},
	} {
		c := goodProof(t)
		spoil(&c.want)
		if _, err := c.check(); err == nil || isRefusal(err) {
			t.Errorf("a proof without %s: %v, want an error that is the caller's fault", name, err)
		}
	}
}

// TestClientAttestationRefuses spoils one thing at a time.
func TestClientAttestationRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		spoil  func(*attestationCase)
		code   oid4vci.Code
		reason error
	}{
		{"OA-10 none", func(c *attestationCase) { c.attestations = func(string) []string { return nil } }, oid4vci.InvalidClient, oid4vci.ErrMissing},
		{"OA-10 twice", func(c *attestationCase) { c.attestations = func(a string) []string { return []string{a, a} } }, oid4vci.InvalidClient, oid4vci.ErrRepeated},
		{"OA-10 expired", func(c *attestationCase) { c.claims["exp"] = now.Unix() }, oid4vci.InvalidClient, oid4vci.ErrTime},
		{"OA-10 without exp", func(c *attestationCase) { delete(c.claims, "exp") }, oid4vci.InvalidClient, oid4vci.ErrMissing},
		{"JWS-16 not yet", func(c *attestationCase) { c.claims["nbf"] = now.Add(time.Hour).Unix() }, oid4vci.InvalidClient, oid4vci.ErrTime},
		{"JWS-16 exp before iat", func(c *attestationCase) {
			c.claims["iat"], c.claims["exp"] = now.Add(50*time.Second).Unix(), now.Add(10*time.Second).Unix()
		}, oid4vci.InvalidClient, oid4vci.ErrTime},
		{"OA-10 too old for us", func(c *attestationCase) { c.want.MaxAttestationAge = time.Hour }, oid4vci.UseFreshAttestation, oid4vci.ErrTime},
		{"OA-10 by nobody we trust", func(c *attestationCase) { c.want.Attesters = noOne }, oid4vci.InvalidClient, oid4vci.ErrUntrusted},
		{"OA-10 by another provider", func(c *attestationCase) { c.provider = holder(c.t, "other") }, oid4vci.InvalidClient, oid4vci.ErrSignature},
		{"OA-10 for another client", func(c *attestationCase) { c.claims["sub"] = "https://other.example" }, oid4vci.InvalidClient, oid4vci.ErrConflict},
		{"OA-10 without sub", func(c *attestationCase) { delete(c.claims, "sub") }, oid4vci.InvalidClient, oid4vci.ErrMissing},
		{"OA-10 without cnf", func(c *attestationCase) { delete(c.claims, "cnf") }, oid4vci.InvalidClient, oid4vci.ErrMissing},
		{"SIG-05 private key in cnf", func(c *attestationCase) {
			c.claims["cnf"].(map[string]any)["jwk"].(map[string]any)["d"] = "AAAA"
		}, oid4vci.InvalidClient, oid4vci.ErrPrivateKey},
		{"JWS-08 a proof in its place", func(c *attestationCase) { c.header.Type = oid4vci.ClientAttestationPoPTyp }, oid4vci.InvalidClient, oid4vci.ErrType},
		{"JWS-04 a key in the header", func(c *attestationCase) { c.header.Key = keyOf(c.provider) }, oid4vci.InvalidClient, oid4vci.ErrHeader},
		{"JWS-01 alg none", func(c *attestationCase) {
			c.attestationText = raw(c.t, c.provider, `{"typ":"oauth-client-attestation+jwt","alg":"none"}`, `{"sub":"x"}`)
		}, oid4vci.InvalidClient, oid4vci.ErrAlgorithm},
		{"ST-08 a status of another mechanism", func(c *attestationCase) { c.claims["status"] = map[string]any{"bits": map[string]any{}} }, oid4vci.InvalidClient, oid4vci.ErrUnsupported},
		{"ST-08 a status of another mechanism beside the list", func(c *attestationCase) { c.claims["status"].(map[string]any)["bits"] = map[string]any{} }, oid4vci.InvalidClient, oid4vci.ErrUnsupported},
		{"ST-08 a status without a mechanism", func(c *attestationCase) { c.claims["status"] = map[string]any{} }, oid4vci.InvalidClient, oid4vci.ErrUnsupported},
		{"a status that is a text", func(c *attestationCase) { c.claims["status"] = "valid" }, oid4vci.InvalidClient, oid4vci.ErrMalformed},
		{"ST-02 a place before the list", func(c *attestationCase) { c.claims["status"] = inList(-1, "https://provider.example/list") }, oid4vci.InvalidClient, oid4vci.ErrMalformed},
		{"a place in no list", func(c *attestationCase) {
			delete(c.claims["status"].(map[string]any)["status_list"].(map[string]any), "uri")
		}, oid4vci.InvalidClient, oid4vci.ErrMissing},
		{"a place that is no number", func(c *attestationCase) {
			c.claims["status"] = map[string]any{"status_list": map[string]any{"idx": "7", "uri": "https://provider.example/list"}}
		}, oid4vci.InvalidClient, oid4vci.ErrMalformed},
		{"OA-10 an algorithm that was not offered", func(c *attestationCase) {
			c.provider = keystest.Signer(c.t, keys.Holder, keys.EdDSA, "provider")
			c.want.Attesters = trusts(c.provider)
		}, oid4vci.InvalidClient, oid4vci.ErrAlgorithm},
		{"OA-10 no proof", func(c *attestationCase) { c.proofs = func(string) []string { return nil } }, oid4vci.InvalidClient, oid4vci.ErrMissing},
		{"OA-10 two proofs", func(c *attestationCase) { c.proofs = func(p string) []string { return []string{p, p} } }, oid4vci.InvalidClient, oid4vci.ErrRepeated},
		{"OA-10 proof by another key", func(c *attestationCase) { c.instance = holder(c.t, "other") }, oid4vci.InvalidClient, oid4vci.ErrSignature},
		{"OA-06 proof for another server", func(c *attestationCase) { c.pop["aud"] = "https://other.example" }, oid4vci.InvalidClient, oid4vci.ErrAudience},
		{"OA-06 proof for a list of servers", func(c *attestationCase) { c.pop["aud"] = []any{issuer, "https://other.example"} }, oid4vci.InvalidClient, oid4vci.ErrMalformed},
		{"OA-06 proof for the token endpoint", func(c *attestationCase) { c.pop["aud"] = tokenURL }, oid4vci.InvalidClient, oid4vci.ErrAudience},
		{"JWS-17 audience with a slash more", func(c *attestationCase) { c.pop["aud"] = issuer + "/" }, oid4vci.InvalidClient, oid4vci.ErrAudience},
		{"OA-06 proof without jti", func(c *attestationCase) { delete(c.pop, "jti") }, oid4vci.InvalidClient, oid4vci.ErrMissing},
		{"OA-10 proof without iat", func(c *attestationCase) { delete(c.pop, "iat") }, oid4vci.InvalidClient, oid4vci.ErrMissing},
		{"OA-10 old proof", func(c *attestationCase) { c.pop["iat"] = now.Add(-time.Minute).Unix() }, oid4vci.InvalidClient, oid4vci.ErrTime},
		{"OA-10 proof of the future", func(c *attestationCase) { c.pop["iat"] = now.Add(2 * time.Minute).Unix() }, oid4vci.InvalidClient, oid4vci.ErrTime},
		{"OA-10 proof without challenge", func(c *attestationCase) { delete(c.pop, "challenge") }, oid4vci.UseAttestationChallenge, oid4vci.ErrNoNonce},
		{"JWS-08 a DPoP proof in its place", func(c *attestationCase) { c.popHeader.Type = oid4vci.DPoPTyp }, oid4vci.InvalidClient, oid4vci.ErrType},
		{"OA-10 combined mode by another key", func(c *attestationCase) {
			c.proofs = func(string) []string { return nil }
			c.dpop = &oid4vci.DPoP{Key: holder(c.t, "other").Key().Public, Nonce: "n"}
		}, oid4vci.InvalidClient, oid4vci.ErrKey},
		{"OA-10 combined mode without challenge", func(c *attestationCase) {
			c.proofs = func(string) []string { return nil }
			c.dpop = &oid4vci.DPoP{Key: c.instance.Key().Public}
		}, oid4vci.UseAttestationChallenge, oid4vci.ErrNoNonce},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := goodAttestation(t)
			tt.spoil(c)
			_, err := c.check()
			refused(t, err, tt.code, tt.reason)
		})
	}
}

// TestTrustUndecided sees that a fault in finding keys is no refusal (promise P13).
func TestTrustUndecided(t *testing.T) {
	c := goodAttestation(t)
	fault := errors.New("list of providers out of reach")
	c.want.Attesters = func(oid4vci.SignerHint) ([]keys.PublicKey, error) { return nil, fault }
	if _, err := c.check(); !errors.Is(err, fault) || isRefusal(err) {
		t.Errorf("got %v, want the fault and no refusal", err)
	}
}

// A proofCase is a credential request's proofs, good until a row spoils them.
type proofCase struct {
	t           testing.TB
	signer      keys.Signer
	header      jose.Header
	claims      map[string]any
	attester    keys.Signer
	attestation map[string]any // set: the attestation that goes with it
	text        string
	proofs      func(proof string) oid4vci.Proofs
	want        oid4vci.ProofExpect
}

func goodProof(t testing.TB) *proofCase {
	s, attester := holder(t, "copy 1"), holder(t, "attester")
	made, err := oid4vci.MakeProof(rand.Reader, s, oid4vci.ProofClaims{Issuer: issuer, Nonce: "nonce-1", Now: now, ClientID: client})
	if err != nil {
		t.Fatal(err)
	}
	es256 := []keys.Algorithm{keys.ES256}
	return &proofCase{
		t: t, signer: s, header: jose.Header{Type: oid4vci.ProofTyp, Key: keyOf(s)}, claims: claimsOf(t, made), attester: attester,
		proofs: func(p string) oid4vci.Proofs { return oid4vci.Proofs{Type: oid4vci.JWTProof, Tokens: []string{p}} },
		want: oid4vci.ProofExpect{Issuer: issuer, BatchSize: 3, Now: now, MaxAge: 5 * time.Minute, NeedNonce: true, ClientID: client,
			Types: map[oid4vci.ProofType]oid4vci.ProofSupport{oid4vci.JWTProof: {Algorithms: es256}}, Attesters: trusts(attester)},
	}
}

// attested adds an attestation of these keys to the header, and requires one.
func (c *proofCase) attested(names ...string) *proofCase {
	var list []keys.PublicKey
	for _, n := range names {
		list = append(list, holder(c.t, n).Key().Public)
	}
	text, err := oid4vci.MakeKeyAttestation(rand.Reader, c.attester, nil, oid4vci.KeyAttestationToken{Keys: list, KeyStorage: []string{"iso_18045_high"},
		UserAuthentication: []string{"iso_18045_high"}, Nonce: "nonce-1", IssuedAt: now, Expires: now.Add(time.Hour)})
	if err != nil {
		c.t.Fatal(err)
	}
	c.attestation = claimsOf(c.t, text)
	c.want.Types = map[oid4vci.ProofType]oid4vci.ProofSupport{}
	for _, p := range []oid4vci.ProofType{oid4vci.JWTProof, oid4vci.AttestationProof} {
		c.want.Types[p] = oid4vci.ProofSupport{Algorithms: []keys.Algorithm{keys.ES256},
			Attestation: &oid4vci.AttestationNeeds{KeyStorage: []string{"iso_18045_high", "iso_18045_moderate"}}}
	}
	return c
}

// byAttestation makes the attestation the proof itself.
func (c *proofCase) byAttestation(names ...string) *proofCase {
	c.attested(names...)
	c.proofs = func(string) oid4vci.Proofs {
		return oid4vci.Proofs{Type: oid4vci.AttestationProof, Tokens: []string{signed(c.t, c.attester, jose.Header{Type: oid4vci.KeyAttestationTyp}, c.attestation)}}
	}
	return c
}

func (c *proofCase) check() (*oid4vci.Proven, error) {
	if c.attestation != nil && c.header.KeyAttestation == "" {
		c.header.KeyAttestation = signed(c.t, c.attester, jose.Header{Type: oid4vci.KeyAttestationTyp}, c.attestation)
	}
	text := c.text
	if text == "" {
		text = signed(c.t, c.signer, c.header, c.claims)
	}
	return oid4vci.CheckProofs(c.proofs(text), c.want)
}

func TestProofsAccepted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*proofCase)
		keys  []string
	}{
		{"one", func(*proofCase) {}, []string{"copy 1"}},
		{"without its sender", func(c *proofCase) { delete(c.claims, "iss") }, []string{"copy 1"}},
		{"a batch", func(c *proofCase) {
			other := signed(c.t, holder(c.t, "copy 2"), jose.Header{Type: oid4vci.ProofTyp, Key: keyOf(holder(c.t, "copy 2"))}, c.claims)
			c.proofs = func(p string) oid4vci.Proofs {
				return oid4vci.Proofs{Type: oid4vci.JWTProof, Tokens: []string{p, other}}
			}
		}, []string{"copy 1", "copy 2"}},
		{"attested with others", func(c *proofCase) { c.attested("copy 1", "copy 2") }, []string{"copy 1", "copy 2"}},
		{"attested, named by a kid; who signed comes first", func(c *proofCase) {
			c.attested("copy 2", "copy 1")
			c.header.Key, c.header.KeyID = nil, "0"
		}, []string{"copy 1", "copy 2"}},
		{"attested with more keys than the batch has proofs", func(c *proofCase) { c.attested("b", "c", "d", "copy 1") }, []string{"copy 1", "b", "c", "d"}},
		{"by a certificate", func(c *proofCase) { c.header.Key, c.header.X5C = nil, [][]byte{certificate(c.t, c.signer)} }, []string{"copy 1"}},
		{"a kid that names a key", func(c *proofCase) {
			c.header.Key, c.header.KeyID = nil, "did:example:1#k"
			c.want.KeyByID = func(string) (keys.PublicKey, error) { return c.signer.Key().Public, nil }
		}, []string{"copy 1"}},
		{"attested with the way of signing in", func(c *proofCase) {
			c.attested("copy 1").want.Types[oid4vci.JWTProof].Attestation.UserAuthentication = []string{"iso_18045_high"}
		}, []string{"copy 1"}},
		{"an attestation alone", func(c *proofCase) { c.byAttestation("copy 1", "copy 2", "copy 3") }, []string{"copy 1", "copy 2", "copy 3"}},
		{"an attestation alone without end", func(c *proofCase) { delete(c.byAttestation("copy 1").attestation, "exp") }, []string{"copy 1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := goodProof(t)
			tt.spoil(c)
			got, err := c.check()
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Keys) != len(tt.keys) || len(got.Nonces) != 1 || got.Nonces[0] != "nonce-1" {
				t.Fatalf("got %+v", got)
			}
			for i, name := range tt.keys {
				if !got.Keys[i].Equal(holder(t, name).Key().Public) {
					t.Errorf("key %d is not %q", i, name)
				}
			}
		})
	}
}

// TestProofsWithoutNonce: whether one is needed is the issuer's to say.
func TestProofsWithoutNonce(t *testing.T) {
	for _, c := range []*proofCase{goodProof(t), goodProof(t).attested("copy 1"), goodProof(t).byAttestation("copy 1")} {
		delete(c.claims, "nonce")
		delete(c.attestation, "nonce")
		c.want.NeedNonce = false
		if got, err := c.check(); err != nil || len(got.Nonces) != 0 {
			t.Errorf("%+v, %v, want no nonces", got, err)
		}
	}
}

// certificate is one of a key, signed by itself.
func certificate(t testing.TB, s keys.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now, NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, s.Public(), s)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestProofsRefused spoils one thing at a time.
func TestProofsRefused(t *testing.T) {
	jwk := string(holder(t, "copy 1").Key().Public.BareJWK())
	many := func(n int) func(*proofCase) {
		return func(c *proofCase) {
			c.proofs = func(p string) oid4vci.Proofs {
				list := make([]string, n)
				for i := range list {
					list[i] = p
				}
				return oid4vci.Proofs{Type: oid4vci.JWTProof, Tokens: list}
			}
		}
	}
	for _, tt := range []struct {
		name   string
		spoil  func(*proofCase)
		reason error
	}{
		{"VCI-06 none at all", func(c *proofCase) { c.proofs = func(string) oid4vci.Proofs { return oid4vci.Proofs{} } }, oid4vci.ErrMissing},
		{"VCI-06 empty list", func(c *proofCase) {
			c.proofs = func(string) oid4vci.Proofs { return oid4vci.Proofs{Type: oid4vci.JWTProof} }
		}, oid4vci.ErrMissing},
		{"VCI-06 a type that was not offered", func(c *proofCase) {
			c.proofs = func(p string) oid4vci.Proofs {
				return oid4vci.Proofs{Type: oid4vci.AttestationProof, Tokens: []string{p}}
			}
		}, oid4vci.ErrUnsupported},
		{"VCI-20 one more than the batch", many(4), oid4vci.ErrTooLarge},
		{"VCI-20 ten thousand", many(10000), oid4vci.ErrTooLarge},
		{"VCI-20 more than is offered without batch", func(c *proofCase) { many(2)(c); c.want.BatchSize = 0 }, oid4vci.ErrTooLarge},
		{"VCI-07 two proofs by one key", many(2), oid4vci.ErrRepeated},
		{"VCI-06 alg none", func(c *proofCase) {
			c.text = raw(c.t, c.signer, `{"typ":"openid4vci-proof+jwt","alg":"none","jwk":`+jwk+`}`, `{}`)
		}, oid4vci.ErrAlgorithm},
		{"VCI-06 a MAC", func(c *proofCase) {
			c.text = raw(c.t, c.signer, `{"typ":"openid4vci-proof+jwt","alg":"HS256","jwk":`+jwk+`}`, `{}`)
		}, oid4vci.ErrHeader},
		{"VCI-06 an algorithm that was not offered", func(c *proofCase) {
			c.want.Types = map[oid4vci.ProofType]oid4vci.ProofSupport{oid4vci.JWTProof: {Algorithms: []keys.Algorithm{keys.EdDSA}}}
		}, oid4vci.ErrAlgorithm},
		{"VCI-06 another typ", func(c *proofCase) { c.header.Type = "jwt" }, oid4vci.ErrType},
		{"JWS-08 a DPoP proof", func(c *proofCase) { c.header.Type = oid4vci.DPoPTyp }, oid4vci.ErrType},
		{"VCI-06 jwk and kid", func(c *proofCase) { c.header.KeyID = "did:example:1#k" }, oid4vci.ErrKey},
		{"VCI-06 jwk and x5c", func(c *proofCase) { c.header.X5C = [][]byte{{0x30}} }, oid4vci.ErrKey},
		{"VCI-06 no key", func(c *proofCase) { c.header.Key = nil }, oid4vci.ErrKey},
		{"VCI-06 a kid that says nothing here", func(c *proofCase) { c.header.Key, c.header.KeyID = nil, "1" }, oid4vci.ErrKey},
		{"VCI-06 a kid that names no key", func(c *proofCase) {
			c.header.Key, c.header.KeyID = nil, "1"
			c.want.KeyByID = func(string) (keys.PublicKey, error) { return keys.PublicKey{}, nil }
		}, oid4vci.ErrKey},
		{"VCI-06 a certificate that is none", func(c *proofCase) { c.header.Key, c.header.X5C = nil, [][]byte{{0x30, 0}} }, oid4vci.ErrKey},
		{"VCI-06 a certificate of another key", func(c *proofCase) {
			c.header.Key, c.header.X5C = nil, [][]byte{certificate(c.t, holder(c.t, "other"))}
		}, oid4vci.ErrSignature},
		{"SIG-05 a private key in the header", func(c *proofCase) {
			c.text = raw(c.t, c.signer, `{"typ":"openid4vci-proof+jwt","alg":"ES256","jwk":`+jwk[:len(jwk)-1]+`,"d":"AAAA"}}`, `{}`)
		}, oid4vci.ErrPrivateKey},
		{"SIG-06 a symmetric key", func(c *proofCase) {
			c.text = raw(c.t, c.signer, `{"typ":"openid4vci-proof+jwt","alg":"ES256","jwk":{"kty":"oct","k":"AA"}}`, `{}`)
		}, oid4vci.ErrKey},
		{"SIG-07 a key for encryption", func(c *proofCase) {
			c.text = raw(c.t, c.signer, `{"typ":"openid4vci-proof+jwt","alg":"ES256","jwk":`+jwk[:len(jwk)-1]+`,"use":"enc"}}`, `{}`)
		}, oid4vci.ErrMalformed},
		{"VCI-06 signed by another key", func(c *proofCase) {
			good := signed(c.t, c.signer, c.header, c.claims)
			c.text = tampered(good, jose.Header{Type: oid4vci.ProofTyp, Key: keyOf(holder(c.t, "other"))})
		}, oid4vci.ErrSignature},
		{"VCI-06 for another issuer", func(c *proofCase) { c.claims["aud"] = "https://other.example" }, oid4vci.ErrAudience},
		{"VCI-06 for the credential endpoint", func(c *proofCase) { c.claims["aud"] = issuer + "/oid4vci/credential" }, oid4vci.ErrAudience},
		{"JWS-17 for a list", func(c *proofCase) { c.claims["aud"] = []any{issuer} }, oid4vci.ErrMalformed},
		{"JWS-17 host in capitals", func(c *proofCase) { c.claims["aud"] = "https://ISSUER.example" }, oid4vci.ErrAudience},
		{"VCI-06 without aud", func(c *proofCase) { delete(c.claims, "aud") }, oid4vci.ErrMissing},
		{"VCI-06 old", func(c *proofCase) { c.claims["iat"] = now.Add(-5 * time.Minute).Unix() }, oid4vci.ErrTime},
		{"VCI-06 of the future", func(c *proofCase) { c.claims["iat"] = now.Add(2 * time.Minute).Unix() }, oid4vci.ErrTime},
		{"VCI-06 without iat", func(c *proofCase) { delete(c.claims, "iat") }, oid4vci.ErrMissing},
		{"JWS-16 expired", func(c *proofCase) { c.claims["exp"] = now.Unix() }, oid4vci.ErrTime},
		{"VCI-06 without nonce", func(c *proofCase) { delete(c.claims, "nonce") }, oid4vci.ErrNoNonce},
		{"VCI-06 a nonce that is a number", func(c *proofCase) { c.claims["nonce"] = 1 }, oid4vci.ErrMalformed},
		{"VCI-06 another client", func(c *proofCase) { c.claims["iss"] = "https://other.example" }, oid4vci.ErrConflict},
		{"VCI-06 a client where the token was anonymous", func(c *proofCase) { c.want.ClientID = "" }, oid4vci.ErrConflict},
		{"VCI-12 no attestation where one is needed", func(c *proofCase) { c.attested("copy 1").attestation = nil }, oid4vci.ErrAttestation},
		{"VCI-12 attestation of other keys", func(c *proofCase) { c.attested("copy 2") }, oid4vci.ErrAttestation},
		{"VCI-12 attestation of other keys, with a kid", func(c *proofCase) {
			c.attested("copy 2")
			c.header.Key, c.header.KeyID = nil, "0"
		}, oid4vci.ErrSignature},
		{"VCI-12 expired attestation", func(c *proofCase) { c.attested("copy 1").attestation["exp"] = now.Unix() }, oid4vci.ErrTime},
		{"VCI-12 attestation without exp in a proof", func(c *proofCase) { delete(c.attested("copy 1").attestation, "exp") }, oid4vci.ErrMissing},
		{"VCI-12 attestation without nonce", func(c *proofCase) { delete(c.attested("copy 1").attestation, "nonce") }, oid4vci.ErrNoNonce},
		{"VCI-12 attestation without iat", func(c *proofCase) { delete(c.attested("copy 1").attestation, "iat") }, oid4vci.ErrMissing},
		{"VCI-12 attestation by nobody we trust", func(c *proofCase) { c.attested("copy 1").want.Attesters = noOne }, oid4vci.ErrUntrusted},
		{"VCI-12 attestations are not taken", func(c *proofCase) { c.attested("copy 1").want.Attesters = nil }, oid4vci.ErrUntrusted},
		{"VCI-12 attestation by another signer", func(c *proofCase) { c.attested("copy 1").attester = holder(c.t, "other") }, oid4vci.ErrSignature},
		{"VCI-12 attestation of a lower level", func(c *proofCase) { c.attested("copy 1").attestation["key_storage"] = []any{"iso_18045_basic"} }, oid4vci.ErrAttestation},
		{"VCI-12 attestation of no level", func(c *proofCase) { delete(c.attested("copy 1").attestation, "key_storage") }, oid4vci.ErrAttestation},
		{"VCI-12 attestation of a lower level of signing in", func(c *proofCase) {
			c.attested("copy 1").want.Types[oid4vci.JWTProof].Attestation.UserAuthentication = []string{"iso_18045_enhanced"}
		}, oid4vci.ErrAttestation},
		{"VCI-20 more keys in all than any request may have", func(c *proofCase) {
			names := []string{"copy 1"}
			for i := range oid4vci.MaxBatch - 1 {
				names = append(names, fmt.Sprint("more ", i))
			}
			c.attested(names...)
			second := holder(c.t, "copy 2")
			other := signed(c.t, second, jose.Header{Type: oid4vci.ProofTyp, Key: keyOf(second),
				KeyAttestation: signed(c.t, c.attester, jose.Header{Type: oid4vci.KeyAttestationTyp}, goodProof(c.t).attested("copy 2").attestation)}, c.claims)
			c.proofs = func(p string) oid4vci.Proofs {
				return oid4vci.Proofs{Type: oid4vci.JWTProof, Tokens: []string{p, other}}
			}
		}, oid4vci.ErrTooLarge},
		{"VCI-12 attestation of no keys", func(c *proofCase) { c.attested("copy 1").attestation["attested_keys"] = []any{} }, oid4vci.ErrMalformed},
		{"VCI-12 attestation of a key twice", func(c *proofCase) {
			list := c.attested("copy 1").attestation["attested_keys"].([]any)
			c.attestation["attested_keys"] = append(list, list[0])
		}, oid4vci.ErrRepeated},
		{"ST-08 attestation with a status of another mechanism", func(c *proofCase) {
			c.attested("copy 1").attestation["status"] = map[string]any{"bits": map[string]any{}}
		}, oid4vci.ErrUnsupported},
		{"ST-02 attestation with a place before the list", func(c *proofCase) {
			c.attested("copy 1").attestation["status"] = inList(-1, "https://attester.example/list")
		}, oid4vci.ErrMalformed},
		{"SIG-05 attestation of a private key", func(c *proofCase) {
			c.attested("copy 1").attestation["attested_keys"].([]any)[0].(map[string]any)["d"] = "AAAA"
		}, oid4vci.ErrPrivateKey},
		{"VCI-20 attestations of more keys than any request may have", func(c *proofCase) {
			list := c.attested("copy 1").attestation["attested_keys"].([]any)
			for len(list) <= oid4vci.MaxBatch {
				list = append(list, list[0])
			}
			c.attestation["attested_keys"] = list
		}, oid4vci.ErrTooLarge},
		{"JWS-08 a proof in place of the attestation", func(c *proofCase) {
			c.attested("copy 1")
			c.header.KeyAttestation = signed(c.t, c.attester, jose.Header{Type: oid4vci.ProofTyp}, c.attestation)
		}, oid4vci.ErrType},
		{"VCI-12 two attestations alone", func(c *proofCase) {
			one := c.byAttestation("copy 1").proofs("")
			c.proofs = func(string) oid4vci.Proofs {
				return oid4vci.Proofs{Type: oid4vci.AttestationProof, Tokens: []string{one.Tokens[0], one.Tokens[0] + "x"}}
			}
		}, oid4vci.ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := goodProof(t)
			tt.spoil(c)
			_, err := c.check()
			refused(t, err, oid4vci.InvalidProof, tt.reason)
		})
	}
}

// TestTokensDoNotStandForEachOther gives each kind of token to the reader of every
// other kind (JWS-08): off the diagonal all are refused.
func TestTokensDoNotStandForEachOther(t *testing.T) {
	s := holder(t, "copy 1")
	typs := []string{oid4vci.ProofTyp, oid4vci.KeyAttestationTyp, oid4vci.MetadataTyp, oid4vci.DPoPTyp, oid4vci.ClientAttestationTyp,
		oid4vci.ClientAttestationPoPTyp, "dc+sd-jwt", "kb+jwt", "statuslist+jwt", "oauth-authz-req+jwt", "at+jwt", "JWT"}
	// One set of claims that has everything that any of them needs.
	claims := map[string]any{
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "aud": issuer, "sub": client, "jti": "j", "nonce": "nonce-1", "htm": "POST", "htu": tokenURL,
		"cnf": map[string]any{"jwk": strict.Raw(s.Key().Public.BareJWK())}, "attested_keys": []any{strict.Raw(s.Key().Public.BareJWK())},
		"credential_issuer": issuer, "credential_endpoint": issuer + "/c", "credential_configurations_supported": map[string]any{},
	}
	types := map[oid4vci.ProofType]oid4vci.ProofSupport{oid4vci.JWTProof: {Algorithms: []keys.Algorithm{keys.ES256}}, oid4vci.AttestationProof: {Algorithms: []keys.Algorithm{keys.ES256}}}
	proofs := oid4vci.ProofExpect{Issuer: issuer, Types: types, Now: now, MaxAge: time.Minute, NeedNonce: true, Attesters: trusts(s)}
	client := oid4vci.AttestationExpect{Audience: issuer, Now: now, MaxAge: time.Minute, Algorithms: []keys.Algorithm{keys.ES256}, Attesters: trusts(s)}
	attestation := signed(t, s, jose.Header{Type: oid4vci.ClientAttestationTyp}, claims)
	readers := map[string]func(token string) error{
		oid4vci.ProofTyp: func(token string) error {
			_, err := oid4vci.CheckProofs(oid4vci.Proofs{Type: oid4vci.JWTProof, Tokens: []string{token}}, proofs)
			return err
		},
		oid4vci.KeyAttestationTyp: func(token string) error {
			_, err := oid4vci.CheckProofs(oid4vci.Proofs{Type: oid4vci.AttestationProof, Tokens: []string{token}}, proofs)
			return err
		},
		oid4vci.MetadataTyp: func(token string) error {
			_, err := oid4vci.Reader{}.SignedIssuerMetadata(token, issuer, now, trusts(s))
			return err
		},
		oid4vci.DPoPTyp: func(token string) error {
			_, err := oid4vci.CheckDPoP([]string{token}, oid4vci.DPoPExpect{Method: "POST", URL: tokenURL, Now: now, MaxAge: time.Minute,
				Algorithms: []keys.Algorithm{keys.ES256}, At: oid4vci.AuthorizationServer})
			return err
		},
		oid4vci.ClientAttestationTyp: func(token string) error {
			_, err := oid4vci.CheckClientAttestation([]string{token}, nil, &oid4vci.DPoP{Key: s.Key().Public}, client)
			return err
		},
		oid4vci.ClientAttestationPoPTyp: func(token string) error {
			_, err := oid4vci.CheckClientAttestation([]string{attestation}, []string{token}, nil, client)
			return err
		},
	}
	for reader, read := range readers {
		for _, typ := range typs {
			h := jose.Header{Type: typ}
			if reader == oid4vci.ProofTyp || reader == oid4vci.DPoPTyp {
				h.Key = keyOf(s)
			}
			c := claims
			if reader == oid4vci.MetadataTyp {
				c = map[string]any{}
				for k, v := range claims {
					c[k] = v
				}
				c["sub"] = issuer
			}
			err := read(signed(t, s, h, c))
			if typ == reader && err != nil {
				t.Errorf("reader of %s refused its own: %v", reader, err)
			}
			if typ != reader && !errors.Is(err, oid4vci.ErrType) {
				t.Errorf("reader of %s, given %s: %v, want %v", reader, typ, err, oid4vci.ErrType)
			}
		}
	}
}

// TestBothSidesOfTime is JWS-16 for attestations and proofs: the last second that passes
// and the first that does not.
func TestBothSidesOfTime(t *testing.T) {
	attestation := func(change func(*attestationCase)) error {
		c := goodAttestation(t)
		change(c)
		_, err := c.check()
		return err
	}
	proof := func(change func(*proofCase)) error { c := goodProof(t); change(c); _, err := c.check(); return err }
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	const sec = time.Second
	for name, side := range map[string]func(past time.Duration) error{
		"attestation begins": func(p time.Duration) error {
			return attestation(func(c *attestationCase) { c.claims["nbf"] = at(oid4vci.Leeway + p) })
		},
		"attestation issued": func(p time.Duration) error {
			return attestation(func(c *attestationCase) { c.claims["iat"] = at(oid4vci.Leeway + p) })
		},
		"attestation ends": func(p time.Duration) error {
			return attestation(func(c *attestationCase) { c.claims["exp"] = at(sec - p) })
		},
		"attestation is old": func(p time.Duration) error {
			return attestation(func(c *attestationCase) {
				c.claims["iat"], c.want.MaxAttestationAge = at(sec-p-10*time.Minute), 10*time.Minute
			})
		},
		"its proof issued": func(p time.Duration) error {
			return attestation(func(c *attestationCase) { c.pop["iat"] = at(oid4vci.Leeway + p) })
		},
		"its proof is old": func(p time.Duration) error {
			return attestation(func(c *attestationCase) { c.pop["iat"] = at(sec - p - c.want.MaxAge) })
		},
		"proof of a key issued": func(p time.Duration) error {
			return proof(func(c *proofCase) { c.claims["iat"] = at(oid4vci.Leeway + p) })
		},
		"proof of a key is old": func(p time.Duration) error {
			return proof(func(c *proofCase) { c.claims["iat"] = at(sec - p - c.want.MaxAge) })
		},
		"proof of a key ends": func(p time.Duration) error { return proof(func(c *proofCase) { c.claims["exp"] = at(sec - p) }) },
		"proof of a key begins": func(p time.Duration) error {
			return proof(func(c *proofCase) { c.claims["nbf"] = at(oid4vci.Leeway + p) })
		},
	} {
		if err := side(0); err != nil {
			t.Errorf("JWS-16 %s: %v on the good side", name, err)
		}
		if err := side(sec); !errors.Is(err, oid4vci.ErrTime) {
			t.Errorf("JWS-16 %s: %v a second later, want ErrTime", name, err)
		}
	}
}
