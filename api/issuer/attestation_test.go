package issuer_test

import (
	"context"
	"crypto/rand"
	"errors"
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
