package issuer_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
)

// TestAttestationStatus: an attestation that says where it can be revoked is taken while its
// list says that it holds, and only then: not once it is revoked (corpus VCI-12, OA-10), and
// not while nobody can tell (promise P13).
func TestAttestationStatus(t *testing.T) {
	place := credential.StatusRef{URI: "https://attester.example/list", Index: 7}
	says := func(err error) issuer.AttestationStatus {
		return func(_ context.Context, at credential.StatusRef) error {
			if at != place {
				t.Errorf("asked about %+v", at)
			}
			return err
		}
	}
	for name, tt := range map[string]struct {
		ask  issuer.AttestationStatus
		none bool // the attestation names no list
		ok   bool
		then int // status of a refusal, 0 if that of its code
	}{
		"holds":               {ask: says(nil), ok: true},
		"names no list":       {none: true, ok: true},
		"revoked":             {ask: says(credential.Reject(credential.Revoked, ""))},
		"suspended":           {ask: says(credential.Reject(credential.Suspended, ""))},
		"nobody here can ask": {},
		"out of reach":        {ask: says(errors.New("no answer")), then: 503},
	} {
		t.Run(name, func(t *testing.T) {
			attester, instance := keystest.Signer(t, keys.Holder, keys.ES256, "attester"), keystest.Signer(t, keys.Holder, keys.ES256, "instance")
			trusted := func(oid4vci.SignerHint) ([]keys.PublicKey, error) {
				return []keys.PublicKey{attester.Key().Public}, nil
			}
			b := newBed(t, engines[0], func(c *issuer.Config) {
				c.Attestation = issuer.Attestation{Attesters: trusted, Status: tt.ask}
				c.KeyAttesters, c.KeyStatus = trusted, tt.ask
			})
			var at *credential.StatusRef
			if !tt.none {
				at = &place
			}
			check := func(what string, a answer, code oid4vci.Code, status int) {
				t.Helper()
				if tt.then != 0 {
					code, status = oid4vci.TemporarilyUnavailable, tt.then
				}
				if tt.ok {
					code, status = "", 200
				}
				if a.code() != code || a.status != status {
					t.Errorf("%s: %v, want %d %s", what, a, status, code)
				}
			}
			now := b.clock.Now()
			w := b.wallet()
			p := formPost("/oauth/token", redeem(w.accept(b.offer(1).Link), ""))
			wallet, err := oid4vci.MakeClientAttestation(rand.Reader, attester, nil, oid4vci.AttestationToken{
				ClientID: "wallet.example", Key: instance.Key().Public, IssuedAt: now, Expires: now.Add(time.Hour), Status: at,
			})
			b.must(err)
			pop, err := oid4vci.MakeClientAttestationPoP(rand.Reader, instance, b.url, "", "", now)
			b.must(err)
			p.header.Set(oid4vci.ClientAttestationHeader, wallet)
			p.header.Set(oid4vci.ClientAttestationPoPHeader, pop)
			check("of the wallet", w.send(p), oid4vci.InvalidClient, 401)

			w = b.wallet()
			w.signIn(b.offer(2))
			ofKeys, err := oid4vci.MakeKeyAttestation(rand.Reader, attester, nil, oid4vci.KeyAttestationToken{
				Keys: []keys.PublicKey{w.holder(0).Key().Public}, Nonce: w.cNonce(), IssuedAt: now, Expires: now.Add(time.Hour), Status: at,
			})
			b.must(err)
			r := oid4vci.CredentialRequest{Configuration: configuration, Proofs: oid4vci.Proofs{Type: oid4vci.AttestationProof, Tokens: []string{ofKeys}}}
			check("of keys", w.send(w.ask(r)), oid4vci.InvalidProof, 400)
			if n := len(b.credentials()); (n == 1) != tt.ok {
				t.Errorf("%d credentials were issued", n)
			}
		})
	}
}

// TestKeyAttestationRequired: what the metadata say of a programme's keys is what holds a
// credential request to it (OpenID4VCI sections 8.2.1 and 12.2.4, appendix D.1; corpus VCI-12);
// other programmes' keys need not be attested.
func TestKeyAttestationRequired(t *testing.T) {
	attester := keystest.Signer(t, keys.Holder, keys.ES256, "attester")
	needs := oid4vci.AttestationNeeds{KeyStorage: []string{"iso_18045_high", "iso_18045_moderate"}, UserAuthentication: []string{"iso_18045_high"}}
	b := newBed(t, engines[0], func(c *issuer.Config) {
		c.KeyAttesters = func(oid4vci.SignerHint) ([]keys.PublicKey, error) {
			return []keys.PublicKey{attester.Key().Public}, nil
		}
		c.KeyAttestation = map[string]oid4vci.AttestationNeeds{"licence": needs}
	})
	_, err := b.offices[0].service.AddProgramme(t.Context(), []byte(nestedProgramme), "tester")
	b.must(err)
	metadata, err := oid4vci.Reader{LoopbackHTTP: true}.IssuerMetadata(b.wallet().get("/.well-known/openid-credential-issuer").body, b.url)
	b.must(err)
	for id, want := range map[string]*oid4vci.AttestationNeeds{configuration: &needs, nestedConfiguration: nil} {
		c, _ := metadata.Configuration(id)
		for _, kind := range []oid4vci.ProofType{oid4vci.JWTProof, oid4vci.AttestationProof} {
			if p, ok := c.Proofs[kind]; !ok || !reflect.DeepEqual(p.Attestation, want) {
				t.Errorf("metadata of %s: proofs of type %s want %+v", id, kind, p.Attestation)
			}
		}
	}
	type levels struct{ storage, user []string }
	good := &levels{[]string{"iso_18045_moderate"}, []string{"iso_18045_basic", "iso_18045_high"}}
	n := 0
	for name, tt := range map[string]struct {
		alone    bool    // as proof of type attestation
		attested *levels // nil without attestation
		code     oid4vci.Code
	}{
		"in a proof":                        {attested: good},
		"alone":                             {alone: true, attested: good},
		"none":                              {code: oid4vci.InvalidProof},
		"weaker key store, in a proof":      {attested: &levels{[]string{"iso_18045_basic"}, good.user}, code: oid4vci.InvalidProof},
		"weaker key store, alone":           {alone: true, attested: &levels{[]string{"iso_18045_basic"}, good.user}, code: oid4vci.InvalidProof},
		"no word of the user, in a proof":   {attested: &levels{storage: good.storage}, code: oid4vci.InvalidProof},
		"no word of the key store, alone":   {alone: true, attested: &levels{user: good.user}, code: oid4vci.InvalidProof},
		"levels that belong to one another": {alone: true, attested: &levels{good.user, good.storage}, code: oid4vci.InvalidProof},
	} {
		t.Run(name, func(t *testing.T) {
			n++
			before := len(b.credentials())
			w := b.wallet()
			w.signIn(b.offer(n))
			claims := oid4vci.ProofClaims{Issuer: b.url, Nonce: w.cNonce(), Now: b.clock.Now()}
			if tt.attested != nil {
				claims.KeyAttestation, err = oid4vci.MakeKeyAttestation(rand.Reader, attester, nil, oid4vci.KeyAttestationToken{
					Keys: []keys.PublicKey{w.holder(0).Key().Public}, KeyStorage: tt.attested.storage, UserAuthentication: tt.attested.user,
					Nonce: claims.Nonce, IssuedAt: claims.Now, Expires: claims.Now.Add(time.Hour),
				})
				b.must(err)
			}
			proofs := oid4vci.Proofs{Type: oid4vci.AttestationProof, Tokens: []string{claims.KeyAttestation}}
			if !tt.alone {
				proof, err := oid4vci.MakeProof(rand.Reader, w.holder(0), claims)
				b.must(err)
				proofs = oid4vci.Proofs{Type: oid4vci.JWTProof, Tokens: []string{proof}}
			}
			a := w.send(w.ask(oid4vci.CredentialRequest{Configuration: configuration, Proofs: proofs}))
			if a.code() != tt.code {
				t.Errorf("%v, want %q", a, tt.code)
			}
			if got := len(b.credentials()) - before; (got == 1) != (tt.code == "") {
				t.Errorf("%d credentials were issued", got)
			}
		})
	}
	if _, err := issuer.New(issuer.Config{
		Issuer: "https://office.example", Office: b.offices[0], Once: b.values[0], KeyAttestation: map[string]oid4vci.AttestationNeeds{"licence": {}},
		Secret: func() ([]byte, error) { return nil, nil }, Keys: func(context.Context) (map[string]issuer.Document, error) { return nil, nil },
	}); err == nil || !strings.Contains(err.Error(), "KeyAttesters") {
		t.Errorf("nobody could attest: %v", err)
	}
}

// attested is a post of a wallet of this instance, with an attestation by its provider and a
// proof of its own.
func (w *wallet) attested(p post, provider, instance keys.Signer) post {
	w.Helper()
	now := w.clock.Now()
	attestation, err := oid4vci.MakeClientAttestation(rand.Reader, provider, nil, oid4vci.AttestationToken{
		ClientID: "wallet.example", Key: instance.Key().Public, IssuedAt: now, Expires: now.Add(time.Hour),
	})
	w.must(err)
	pop, err := oid4vci.MakeClientAttestationPoP(rand.Reader, instance, w.url, "", "", now)
	w.must(err)
	p.header.Set(oid4vci.ClientAttestationHeader, attestation)
	p.header.Set(oid4vci.ClientAttestationPoPHeader, pop)
	return p
}

// TestAttestationRequired: OA-10. Where every wallet is to be attested none gets anything without.
func TestAttestationRequired(t *testing.T) {
	provider, mine := keystest.Signer(t, keys.Holder, keys.ES256, "provider"), keystest.Signer(t, keys.Holder, keys.ES256, "mine")
	b := newBed(t, engines[0], func(c *issuer.Config) {
		c.Attestation = issuer.Attestation{Required: true, Attesters: func(oid4vci.SignerHint) ([]keys.PublicKey, error) {
			return []keys.PublicKey{provider.Key().Public}, nil
		}}
	})
	w := b.wallet()
	p := formPost("/oauth/token", redeem(w.accept(b.offer(1).Link), ""))
	if a := w.send(p); a.status != 401 || a.code() != oid4vci.InvalidClient {
		t.Errorf("OA-10 a token without attestation: %v", a)
	}
	if _, a := b.wallet().push(); a.status != 401 || a.code() != oid4vci.InvalidClient {
		t.Errorf("OA-10 a pushed request without attestation: %v", a)
	}
	w.tokens(w.send(w.attested(p, provider, mine)))
}

// TestAttestedInstance: the proof of an attested instance works once (OA-06, OA-10), and what an
// instance began or was given is for no other one, not of the same provider either, and not for
// one that says nothing of itself. An attestation of keys has a nonce of ours (VCI-12).
func TestAttestedInstance(t *testing.T) {
	provider, mine, other := keystest.Signer(t, keys.Holder, keys.ES256, "provider"), keystest.Signer(t, keys.Holder, keys.ES256, "mine"), keystest.Signer(t, keys.Holder, keys.ES256, "other")
	trusted := func(oid4vci.SignerHint) ([]keys.PublicKey, error) {
		return []keys.PublicKey{provider.Key().Public}, nil
	}
	b := newBed(t, engines[0], func(c *issuer.Config) {
		c.Attestation, c.KeyAttesters = issuer.Attestation{Attesters: trusted}, trusted
	})
	w := b.wallet()
	first, second := redeem(w.accept(b.offer(1).Link), ""), redeem(w.accept(b.offer(2).Link), "")
	w.cNonce()
	used := w.attested(formPost("/oauth/token", first), provider, mine)
	w.tokens(w.send(used))
	again := formPost("/oauth/token", second)
	again.header = used.header
	if a := w.send(again); a.status != 401 || a.code() != oid4vci.InvalidClient {
		t.Errorf("OA-06, OA-10 a proof of possession again: %v", a)
	}
	named := w.attested(formPost("/oauth/token", second), provider, mine)
	second.Set("client_id", "https://other.example")
	named.body = []byte(second.Encode())
	if a := w.send(named); a.status != 401 || a.code() != oid4vci.InvalidClient {
		t.Errorf("OA-10 in the name of another client: %v", a)
	}

	// strangers have everything but the key of the instance.
	strangers := func(what string, p post, want oid4vci.Code) {
		t.Helper()
		bare := p
		bare.header = http.Header{}
		for name, p := range map[string]post{"another instance": w.attested(p, provider, other), "one that says nothing": bare} {
			if a := w.send(p); a.status != 400 || a.code() != want {
				t.Errorf("OA-10 the %s of an instance, by %s: %v", what, name, a)
			}
		}
	}
	refresh := func() post {
		return formPost("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(w.token.RefreshToken)}})
	}
	strangers("refresh token", refresh(), oid4vci.InvalidGrant)
	w.tokens(w.send(w.attested(refresh(), provider, mine)))

	made := b.offer(3, func(r *issuer.OfferRequest) { r.ClaimCode = true })
	z := &authorization{wallet: w, verifier: oid4vci.Secret(strings.Repeat("v", 43))}
	w.id = "wallet.example"
	form, err := oid4vci.AuthorizationRequest{
		ClientID: w.id, RedirectURI: back, State: "state-1", Scopes: []string{configuration}, Challenge: oid4vci.PKCEChallenge(z.verifier),
		IssuerState: w.accept(made.Link).AuthorizationCode.IssuerState,
	}.Form()
	b.must(err)
	a := w.send(w.attested(formPost("/oauth/par", form), provider, mine))
	pushed, err := oid4vci.ReadPushedResponse(a.status, a.body)
	b.must(err)
	z.requestURI = pushed.RequestURI
	z.visit()
	code, err := z.code(z.submit(z.page, url.Values{"code": {made.ClaimCode}}))
	b.must(err)
	strangers("authorization code", formPost("/oauth/token", z.tokenForm(code)), oid4vci.InvalidGrant)
	w.tokens(w.send(w.attested(formPost("/oauth/token", z.tokenForm(code)), provider, mine)))

	ofKeys := func(nonce string) answer {
		t.Helper()
		now := b.clock.Now()
		text, err := oid4vci.MakeKeyAttestation(rand.Reader, provider, nil, oid4vci.KeyAttestationToken{
			Keys: []keys.PublicKey{w.holder(0).Key().Public}, Nonce: nonce, IssuedAt: now, Expires: now.Add(time.Hour),
		})
		b.must(err)
		return w.send(w.ask(oid4vci.CredentialRequest{Configuration: configuration, Proofs: oid4vci.Proofs{Type: oid4vci.AttestationProof, Tokens: []string{text}}}))
	}
	if a := ofKeys(flip(w.cNonce())); a.status != 400 || a.code() != oid4vci.InvalidNonce {
		t.Errorf("VCI-12 an attestation of keys with a nonce that is not ours: %v", a)
	}
	nonce := w.cNonce()
	w.check(w.read(ofKeys(nonce), 1), 3, 1)
	if a := ofKeys(nonce); a.status != 400 || a.code() != oid4vci.InvalidNonce {
		t.Errorf("VCI-12 an attestation of keys with a nonce that was used: %v", a)
	}
}
