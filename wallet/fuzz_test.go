package wallet_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/wallet"
)

// places are where the other side answers a wallet.
var places = []string{
	"/offer/1", "/.well-known/openid-credential-issuer", "/.well-known/oauth-authorization-server", "/token", "/nonce", "/credential",
	"/.well-known/jwt-vc-issuer", "/type/licence", "/request/7", "/response/7", "/status/1",
}

// FuzzAnswers puts one answer of the other side in place of the right one. Whatever it is,
// what the wallet keeps is signed by the issuer for a key of the wallet, a presentation
// goes to the verifier that was asked about and to nobody else, and nothing is sent
// without TLS.
func FuzzAnswers(f *testing.F) {
	// The right answers, to begin with.
	w := newWorld(f)
	w.listed()
	for _, path := range places {
		w.spoil[path] = func(a *wallet.Answer) {
			for i, p := range places {
				if p == path {
					f.Add(uint8(i), a.Status, a.Type, a.Body)
				}
			}
		}
	}
	a, kept := w.holding()
	if err := w.present(a); err != nil {
		f.Fatal(err)
	}
	held, err := kept.Held()
	if err != nil || len(held) != 1 {
		f.Fatal(err)
	}
	if err := a.Status(f.Context(), held[0]); err != nil {
		f.Fatal(err)
	}
	for i := range places {
		f.Add(uint8(i), 200, "application/json", []byte(`{"credential_issuer":"https://evil.example","token_endpoint":"https://evil.example/token","credentials":[{"credential":"x~"}]}`))
		f.Add(uint8(i), 302, "", []byte("https://evil.example/"))
	}
	// Each of these goes through all that a wallet does, with keys and signatures.
	boundtest.FuzzParses(f, 20, func(t *testing.T, place uint8, status int, media string, body []byte) {
		path := places[int(place)%len(places)]
		w := newWorld(t)
		w.listed()
		changed := func(a *wallet.Answer) { a.Status, a.Type, a.Body = max(status, 1), media, body }
		w.spoil[path] = changed
		a, kept := w.agent(nil)
		_, _, _ = w.accept(a)
		held, err := kept.Held()
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range held {
			for _, c := range h.Copies {
				v, err := sdjwt.Verify(c.Credential, sdjwt.Expect{Keys: oneKey{w.signer.Key().Public}, Now: w.now, Binding: sdjwt.BindingRefused})
				signer, _ := c.Signer()
				if err != nil || v.Holder == nil || !v.Holder.Equal(signer.Key().Public) {
					t.Fatalf("with another answer at %s it keeps %q: %v", path, c.Credential, err)
				}
			}
		}
		if len(held) == 0 {
			delete(w.spoil, path)
			if _, _, err := w.accept(a); err != nil {
				t.Fatalf("after a bad answer the right ones do not work: %v", err)
			}
			w.spoil[path] = changed
		}
		_ = w.present(a)
		w.now = w.now.Add(time.Minute)
		if held, err = kept.Held(); err != nil {
			t.Fatal(err)
		}
		_ = a.Status(t.Context(), held[0])
		for _, r := range w.seen {
			u, err := url.Parse(r.Address)
			if err != nil || u.Scheme != "https" {
				t.Fatalf("asked %q", r.Address)
			}
			if strings.Contains(string(r.Body), "response=") && u.Host != library {
				t.Fatalf("a presentation went to %s", u.Host)
			}
		}
	})
}
