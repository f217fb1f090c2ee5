package issuer_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
)

// nonces asks a server for n nonces, past the network.
func (b *bed) nonces(e *issuer.Endpoints, n int) []string {
	b.Helper()
	routes := e.Routes()
	at := slices.IndexFunc(routes, func(r web.Route) bool { return r.Name == "nonce" })
	if at < 0 {
		b.Fatal("there is no route for nonces")
	}
	all := make([]string, n)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/oid4vci/nonce", nil)
	for i := range all {
		w := httptest.NewRecorder()
		b.must(routes[at].Handler(w, r))
		var err error
		all[i], err = oid4vci.ReadNonceResponse(w.Code, w.Body.Bytes())
		b.must(err)
	}
	return all
}

// TestNonces: VCI-08. Nonces differ, also after a restart, have 128 bits that nobody can
// tell beforehand, and work for one issuer only.
func TestNonces(t *testing.T) {
	b := newBed(t, engines[0])
	first := b.servers[0]
	n := count(5_000, 1_000_000)
	b.serve(b.offices[0], b.values[0], nil) // the same, started again
	seen := make(map[string]bool, n)
	var ones [128]int
	for _, e := range []*issuer.Endpoints{first, b.servers[1]} {
		for _, text := range b.nonces(e, n/2) {
			raw, err := strict.DecodeBase64URL(text)
			if err != nil || len(raw) != 40 {
				t.Fatalf("VCI-08 %q: %d bytes, %v", text, len(raw), err)
			}
			random := raw[8:24]
			if seen[string(random)] {
				t.Fatal("VCI-08 the same nonce twice")
			}
			seen[string(random)] = true
			for i := range ones {
				ones[i] += int(random[i/8]>>(i%8)) & 1
			}
		}
	}
	if !testing.Short() { // what is by chance is looked at where there is enough of it
		for i, count := range ones {
			if count < n*45/100 || count > n*55/100 {
				t.Errorf("VCI-08 bit %d is set in %d of %d nonces", i, count, n)
			}
		}
	}
	ours, theirs := b.nonces(first, 1), newBed(t, engines[0])
	w := theirs.wallet()
	w.signIn(theirs.offer(1))
	r := w.request(1)
	r.Proofs.Tokens[0] = w.proofWith(ours[0])
	if a := w.send(w.ask(r)); a.status != http.StatusBadRequest || a.code() != oid4vci.InvalidNonce {
		t.Errorf("VCI-08 the nonce of another issuer: %v", a)
	}
}

// TestTenants: VCI-08, VCI-09. Two issuers on one database take neither each other's nonces nor
// each other's codes and tokens.
func TestTenants(t *testing.T) {
	b := newBed(t, engines[0])
	var backend *url.URL
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(backend); p.Out.Host = p.In.Host }}).ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	backend = b.serve(b.offices[0], b.values[0], []func(*issuer.Config){func(c *issuer.Config) { c.Issuer = front.URL }})
	w := b.wallet()
	w.signIn(b.offer(2))
	code := w.accept(b.offer(4).Link)
	r := w.request(1)
	r.Proofs.Tokens[0] = w.proofWith(b.nonces(b.servers[1], 1)[0])
	if a := w.send(w.ask(r)); a.status != http.StatusBadRequest || a.code() != oid4vci.InvalidNonce {
		t.Errorf("VCI-08 the nonce of another tenant: %v", a)
	}

	ours := b.url
	b.url, w.nonce = front.URL, "" // the wallet goes to the other issuer, by its names
	if a := w.send(w.ask(w.request(1))); a.status != http.StatusUnauthorized || a.code() != oid4vci.InvalidToken {
		t.Errorf("VCI-09 the token of another tenant: %v", a)
	}
	for name, form := range map[string]url.Values{
		"code": redeem(code, ""), "refresh token": {"grant_type": {"refresh_token"}, "refresh_token": {string(w.token.RefreshToken)}},
	} {
		if a := w.send(formPost("/oauth/token", form)); a.status != http.StatusBadRequest || a.code() != oid4vci.InvalidGrant {
			t.Errorf("VCI-09 the %s of another tenant: %v", name, a)
		}
	}
	if len(b.credentials()) != 0 {
		t.Error("VCI-08 something was issued")
	}
	b.url, w.nonce = ours, ""
	w.check(w.fetch(1), 2, 1)
	w.tokens(w.send(formPost("/oauth/token", redeem(code, ""))))
}

// TestHighAssurance: VCI-22. What must not go to whoever holds a link needs a second code or
// a login; with the link alone nothing is got, and the log names who made the offer.
func TestHighAssurance(t *testing.T) {
	b := newBed(t, engines[0], func(c *issuer.Config) { c.HighAssurance = []string{"licence"} })
	made, err := b.servers[0].Offer(t.Context(), issuer.OfferRequest{Programme: "licence", Record: recordID(1), Actor: "counter"})
	if !errors.Is(err, issuer.ErrNeedsCode) || made != nil {
		t.Fatalf("VCI-22 a bare offer: %+v, %v", made, err)
	}
	if b.happened("offer") != 0 {
		t.Error("VCI-22 a refused offer was counted")
	}
	offer := b.offer(1, func(r *issuer.OfferRequest) { r.TxCode = sixDigits })
	thief, holder := b.wallet(), b.wallet()
	o := thief.accept(offer.Link)
	for name, code := range map[string]string{"without the code": "", "with a guess": flip(offer.TxCode)} {
		if a := thief.send(formPost("/oauth/token", redeem(o, code))); a.status != http.StatusBadRequest {
			t.Errorf("VCI-22 who photographed the link, %s: %v", name, a)
		}
	}
	holder.signIn(offer)
	holder.check(holder.fetch(1), 1, 1)
	size := int64(0)
	var log bytes.Buffer
	for e, err := range b.offices[0].db.AuditEntriesFrom(context.Background(), 0, 1<<20) {
		if err != nil {
			break // that was the last
		}
		size++
		log.Write(e)
		log.WriteByte('\n')
	}
	if !strings.Contains(log.String(), `"actor":"counter"`) {
		t.Errorf("VCI-22 none of %d entries says who offered", size)
	}
}

// TestKeystoreIsAway: KEY-01 over HTTP. While nobody can sign a wallet hears 503, and gets
// its credential afterwards.
func TestKeystoreIsAway(t *testing.T) {
	b := newBed(t, engines[0])
	w := b.wallet()
	w.signIn(b.offer(1))
	path := filepath.Join(b.dir, "keystore.sanad")
	b.must(os.Rename(path, path+".away"))
	a := w.send(w.ask(w.request(1)))
	b.must(os.Rename(path+".away", path))
	if a.status != http.StatusServiceUnavailable || a.code() != oid4vci.TemporarilyUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("KEY-01 without the keys: %v", a)
	}
	for _, c := range b.credentials() {
		if c.State != issuance.Revoked {
			t.Errorf("KEY-01 %s is %s", c.ID, c.State)
		}
	}
	w.check(w.fetch(1), 1, 1)
}

// TestSampleKey: SIG-08. A wallet whose key stands in a standard gets nothing, and that is
// counted for the alarm.
func TestSampleKey(t *testing.T) {
	d, err := hex.DecodeString("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721") // RFC 6979 appendix A.2.5
	if err != nil {
		t.Fatal(err)
	}
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	if err != nil {
		t.Fatal(err)
	}
	k := keystest.Key(t, keys.Holder, keys.ES256, "sample")
	if k.Public, err = keys.NewPublicKey(keys.ES256, private.Public()); err != nil {
		t.Fatal(err)
	}
	sample, err := keys.NewSigner(k, private)
	if err != nil {
		t.Fatal(err)
	}
	b := newBed(t, engines[0])
	w := b.wallet()
	w.signIn(b.offer(1))
	own := w.holder
	w.holder = func(int) keys.Signer { return sample }
	if a := w.send(w.ask(w.request(1))); a.status != http.StatusBadRequest || a.code() != oid4vci.InvalidProof {
		t.Errorf("SIG-08 %v", a)
	}
	if n := len(b.credentials()); n != 0 || b.happened("sample_key") != 1 {
		t.Errorf("SIG-08 %d credentials, counted %d times", n, b.happened("sample_key"))
	}
	w.holder = own
	w.signIn(b.offer(1))
	w.check(w.fetch(1), 1, 1)
}
