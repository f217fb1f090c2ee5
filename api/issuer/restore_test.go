package issuer_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/store"
)

// restored does to the database what a restore and its confirmation do at the end. The
// values that work once are all there still, as they are where they have a database of
// their own, or where it was put back together with the store's.
func (b *bed) restored() {
	b.Helper()
	o := b.offices[0]
	b.must(o.db.Fence(context.Background(), store.FenceRestored))
	b.must(o.db.Confirm(context.Background(), b.clock.Now(), func(tx issuance.Tx) error {
		return tx.Append([]audit.Event{{Time: b.clock.Now(), Kind: audit.IssuerRestored, Actor: "tester"}})
	}))
}

// TestP27OneTimeValues: nothing that was handed out before a restore works once that is
// confirmed, used or not, since a backup does not know what was used after it.
func TestP27OneTimeValues(t *testing.T) {
	for _, e := range []engine{engines[0], {"one replica on PostgreSQL", 1, onPostgres, false}} {
		t.Run(e.name, func(t *testing.T) {
			b := (&bed{TB: t, clock: &clock{}, registry: &register{}, logs: &lockedBuffer{}, events: map[string]int{}, fenced: true}).start(e)
			olds := b.handedOut()
			b.restored()
			for what, works := range olds {
				if a, worked := works(); worked {
					t.Errorf("P27 %s of before works: %v", what, a)
				}
			}
			if n := len(b.credentials()); n != 0 {
				t.Errorf("P27 %d credentials were issued", n)
			}
			for what, works := range b.handedOut() {
				if a, worked := works(); !worked {
					t.Errorf("%s made now does not work: %v", what, a)
				}
			}
		})
	}
}

// handedOut hands out one of each thing that works once, unused, and returns what
// brings it.
func (b *bed) handedOut() map[string]func() (answer, bool) {
	b.Helper()
	all := map[string]func() (answer, bool){}
	seen := func(a answer) (answer, bool) { return a, a.status == http.StatusSeeOther }

	link := b.offer(1).Link
	reference, err := oid4vci.Reader{LoopbackHTTP: true}.OfferLink(link)
	b.must(err)
	all["an offer"] = func() (answer, bool) { return ok(b.wallet().get(reference.URI)) }

	first := b.wallet()
	code := redeem(first.accept(b.offer(2).Link), "")
	all["a pre-authorized code"] = func() (answer, bool) { return ok(first.send(formPost("/oauth/token", code))) }

	stated := b.offer(3, func(r *issuer.OfferRequest) { r.ClaimCode = true })
	second := b.wallet()
	state := second.accept(stated.Link).AuthorizationCode.IssuerState
	all["an issuer state"] = func() (answer, bool) {
		z, a := second.push(func(r *oid4vci.AuthorizationRequest) { r.IssuerState = state })
		if a.status != http.StatusCreated {
			return a, false
		}
		if a = z.visit(); a.status != http.StatusSeeOther {
			return a, false
		}
		return seen(z.submit(z.page, url.Values{"code": {stated.ClaimCode}}))
	}

	third := b.wallet()
	pushed, a := third.push()
	if a.status != http.StatusCreated {
		b.Fatalf("pushed request: %v", a)
	}
	all["a pushed request"] = func() (answer, bool) { return seen(pushed.visit()) }

	login, claim := b.claim(4)
	all["a login with its claim code"] = func() (answer, bool) { return seen(login.submit(login.page, url.Values{"code": {claim.ClaimCode}})) }

	back, made := b.claim(5)
	granted, err := back.code(back.submit(back.page, url.Values{"code": {made.ClaimCode}}))
	b.must(err)
	all["an authorization code"] = func() (answer, bool) { return ok(back.send(formPost("/oauth/token", back.tokenForm(granted)))) }

	access, refresh, waits := b.wallet(), b.wallet(), b.wallet()
	access.signIn(b.offer(6))
	all["an access token"] = func() (answer, bool) { return ok(access.send(access.ask(access.request(1)))) }
	refresh.signIn(b.offer(7))
	again := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(refresh.token.RefreshToken)}}
	all["a refresh token"] = func() (answer, bool) { return ok(refresh.send(formPost("/oauth/token", again))) }

	waits.signIn(b.offer(8))
	b.registry.down.Store(true)
	deferral := waits.fetch(1)
	b.registry.down.Store(false)
	media, body, err := oid4vci.DeferredRequest{TransactionID: deferral.TransactionID}.Encode(nil)
	b.must(err)
	all["a transaction"] = func() (answer, bool) {
		return ok(waits.send(post{path: "/oid4vci/deferred", media: media, body: body, token: waits.token.AccessToken}))
	}

	// Nonces take no place before they are used, so what brings them is new.
	all["a nonce"] = b.bringsNonce(9)
	all["the nonce of a DPoP proof"] = b.bringsDPoPNonce(10)
	return all
}

// bringsNonce asks for a nonce and returns what redeems it with a new token.
func (b *bed) bringsNonce(n int) func() (answer, bool) {
	b.Helper()
	nonce := b.wallet().cNonce()
	return func() (answer, bool) {
		w := b.wallet()
		w.signIn(b.offer(n))
		r := oid4vci.CredentialRequest{Configuration: configuration, Proofs: oid4vci.Proofs{Type: oid4vci.JWTProof, Tokens: []string{w.proofWith(nonce)}}}
		a := w.send(w.ask(r))
		if a.status != http.StatusOK && a.code() != oid4vci.InvalidNonce {
			b.Errorf("a nonce: %v", a)
		}
		return ok(a)
	}
}

// bringsDPoPNonce asks for a nonce of DPoP and returns what brings a proof with it.
func (b *bed) bringsDPoPNonce(n int) func() (answer, bool) {
	b.Helper()
	w := b.wallet()
	w.sendOnce(formPost("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {strings.Repeat("a", 43)}}))
	if w.nonce == "" {
		b.Fatal("no nonce for DPoP")
	}
	return func() (answer, bool) {
		nonce := w.nonce
		o := w.accept(b.offer(n).Link)
		w.nonce = nonce
		return ok(w.sendOnce(formPost("/oauth/token", redeem(o, ""))))
	}
}
