package issuer_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/store/once"
)

// withD is a key proof with a private member in the jwk of its header.
func withD(t testing.TB, proof, d string) string {
	t.Helper()
	head, rest, _ := strings.Cut(proof, ".")
	b, err := strict.DecodeBase64URL(head)
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(b, &header); err != nil {
		t.Fatal(err)
	}
	header["jwk"].(map[string]any)["d"] = d
	if b, err = json.Marshal(header); err != nil {
		t.Fatal(err)
	}
	return strict.Base64URL(b) + "." + rest
}

// privateHalf is the d of a key of [keystest].
func privateHalf(t testing.TB, name string) string {
	t.Helper()
	d, err := keystest.Private(t, keys.ES256, name).(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return strict.Base64URL(d)
}

// holding has a wallet prove this key of [keystest].
func (w *wallet) holding(name string) {
	s := keystest.Signer(w, keys.Holder, keys.ES256, name)
	w.holder = func(int) keys.Signer { return s }
}

// disclose sends the wallet's first proof with this d in its header.
func (w *wallet) disclose(d string) answer {
	w.Helper()
	r := w.request(1)
	r.Proofs.Tokens[0] = withD(w, r.Proofs.Tokens[0], d)
	return w.send(w.ask(r))
}

// TestDisclosedKey: SIG-05. Who sends a private key is refused, and from then on so is its
// public half, whoever brings it, on each replica and in each place where it would get a
// credential. Other keys are not concerned, even if somebody sent something else as their
// private half.
func TestDisclosedKey(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		b := newBed(t, e)
		bad, victim := fmt.Sprint("disclosed ", t.Name()), fmt.Sprint("victim ", t.Name())
		w := b.wallet()
		own := w.holder
		w.signIn(b.offer(1))
		w.holding(victim)
		if a := w.disclose(privateHalf(t, bad)); a.status != http.StatusBadRequest || a.code() != oid4vci.InvalidProof {
			t.Errorf("SIG-05 the private half of another key: %v", a)
		}
		if n := b.happened("disclosed_key"); n != 0 {
			t.Errorf("SIG-05 a key that nobody disclosed was counted %d times", n)
		}
		w.check(w.fetch(1), 1, 1)
		w.signIn(b.offer(1))
		w.holding(bad)
		if a := w.disclose(privateHalf(t, bad)); a.status != http.StatusBadRequest || a.code() != oid4vci.InvalidProof {
			t.Errorf("SIG-05 a private key: %v", a)
		}
		before := len(b.credentials())
		other := b.wallet()
		other.signIn(b.offer(2))
		other.holding(bad)
		asked := other.request(1)
		for i, x := range []struct {
			who *wallet
			r   oid4vci.CredentialRequest
			why string
		}{
			{w, w.request(1), "private half was sent"}, {w, w.request(1), "private half was sent"}, {other, asked, "private half was sent"},
			{other, asked, "nonce"}, // which was used up
		} {
			if a := x.who.send(x.who.ask(x.r)); a.status != http.StatusBadRequest || !bytes.Contains(a.body, []byte(x.why)) {
				t.Errorf("SIG-05 the public half, %d: %v, want %s", i, a, x.why)
			}
		}
		two := other.request(1) // one of two keys
		other.holder = func(i int) keys.Signer { return own(i) }
		two.Proofs.Tokens = append(two.Proofs.Tokens, other.request(1).Proofs.Tokens...)
		if a := other.send(other.ask(two)); a.code() != oid4vci.InvalidProof {
			t.Errorf("SIG-05 one key of two: %v", a)
		}
		if n := b.happened("disclosed_key"); n != 5 {
			t.Errorf("SIG-05 counted %d times, want 5", n)
		}
		if n := len(b.credentials()); n != before {
			t.Errorf("SIG-05 %d credentials more", n-before)
		}
		w.holder = own
		w.check(w.fetch(1), 1, 1)
		b.clock.add(9 * 365 * 24 * time.Hour)
		for _, v := range b.values {
			_, err := v.Steps(context.Background(), b.clock.Now(), once.Step{Absent: []once.Key{once.Disclosed(keystest.Key(t, keys.Holder, keys.ES256, bad).Public)}})
			if !errors.Is(err, once.ErrExists) {
				t.Errorf("SIG-05 after nine years: %v", err)
			}
		}
		if strings.Contains(b.logs.String(), privateHalf(t, bad)) {
			t.Error("SIG-05 the private key is in the log")
		}
	})
}

// TestDisclosedKeyElsewhere: SIG-05 in a did:jwk, by strangers, and while a credential is
// waited for.
func TestDisclosedKeyElsewhere(t *testing.T) {
	b := newBed(t, engines[0])
	listed := func(name string) bool {
		_, err := b.values[0].Get(t.Context(), b.clock.Now(), once.DisclosedKey, once.Disclosed(keystest.Key(t, keys.Holder, keys.ES256, name).Public).Digest)
		return err == nil
	}
	w := b.wallet()
	w.signIn(b.offer(1))
	w.holding("by did")
	jwk := strings.TrimSuffix(string(w.holder(0).Key().Public.BareJWK()), "}") + `,"d":"` + privateHalf(t, "by did") + `"}`
	header := strict.Base64URL([]byte(`{"alg":"ES256","typ":"openid4vci-proof+jwt","kid":"did:jwk:` + strict.Base64URL([]byte(jwk)) + `#0"}`))
	r := w.request(1)
	_, rest, _ := strings.Cut(r.Proofs.Tokens[0], ".")
	r.Proofs.Tokens[0] = header + "." + rest
	if a := w.send(w.ask(r)); a.code() != oid4vci.InvalidProof || !listed("by did") {
		t.Errorf("SIG-05 a did:jwk with its private half: %v, on the list: %v", a, listed("by did"))
	}

	stranger := b.wallet()
	stranger.signIn(b.offer(2))
	stranger.holding("by a stranger")
	r = stranger.request(1)
	r.Proofs.Tokens[0] = withD(t, r.Proofs.Tokens[0], privateHalf(t, "by a stranger"))
	p := stranger.ask(r)
	for name, token := range map[string]oid4vci.Secret{"that never was": "none", "of somebody else": w.token.AccessToken} {
		p.token = token
		if a := stranger.send(p); a.code() != oid4vci.InvalidToken || listed("by a stranger") {
			t.Errorf("SIG-05 with a token %s: %v, on the list: %v", name, a, listed("by a stranger"))
		}
	}

	w.signIn(b.offer(1))
	w.holding("meanwhile")
	b.registry.down.Store(true)
	first := w.fetch(1)
	b.registry.down.Store(false)
	b.must(once.Disclose(t.Context(), b.values[0], b.clock.Now(), w.holder(0).Key().Public))
	media, body, err := oid4vci.DeferredRequest{TransactionID: first.TransactionID}.Encode(nil)
	b.must(err)
	a := w.send(post{path: "/oid4vci/deferred", media: media, body: body, token: w.token.AccessToken})
	if a.code() != oid4vci.CredentialRequestDenied || len(b.credentials()) != 0 {
		t.Errorf("SIG-05 disclosed while the registry was waited for: %v, %d credentials", a, len(b.credentials()))
	}
}

// full is a store that puts no key on the list.
type full struct{ issuer.Once }

func (f full) Steps(ctx context.Context, now time.Time, steps ...once.Step) (int, error) {
	if len(steps[0].Put) > 0 && steps[0].Put[0].Kind == once.DisclosedKey {
		return 0, once.ErrFull
	}
	return f.Once.Steps(ctx, now, steps...)
}

// TestDisclosedKeyIsNotStored: SIG-05. The wallet hears the same if the list cannot be written,
// and the operator hears why.
func TestDisclosedKeyIsNotStored(t *testing.T) {
	b := newBed(t, engines[0], func(c *issuer.Config) { c.Once = full{c.Once} })
	w := b.wallet()
	w.signIn(b.offer(1))
	w.holding("not stored")
	if a := w.disclose(privateHalf(t, "not stored")); a.code() != oid4vci.InvalidProof || b.happened("disclosed_key") != 1 {
		t.Errorf("SIG-05 %v, counted %d times", a, b.happened("disclosed_key"))
	}
	if !strings.Contains(b.logs.String(), "could not be put on the list") {
		t.Error("SIG-05 the log does not say that the list is full")
	}
}
