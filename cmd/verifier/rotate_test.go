package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/did"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vp"
)

// documents resolves DIDs as wallets do, at the server itself.
type documents struct {
	l *library
	t *testing.T
}

func (d documents) Method(ctx context.Context, id, keyID string) (oid4vp.Vouched, error) {
	r := did.New(did.Config{LocalHosts: []string{"localhost"}, Fetch: func(_ context.Context, address string) ([]byte, error) {
		if !strings.HasSuffix(address, "/.well-known/did.json") {
			d.t.Errorf("resolving asks %s", address)
		}
		res, err := http.Get(d.l.public + "/.well-known/did.json")
		if err != nil {
			return nil, err
		}
		defer res.Body.Close() //nolint:errcheck // read to its end
		return io.ReadAll(res.Body)
	}})
	doc, err := r.Resolve(ctx, id)
	if err != nil {
		return oid4vp.Vouched{}, err
	}
	key, err := doc.Key(keyID, did.Authentication)
	return oid4vp.Vouched{Key: key, Hosts: []string{"localhost"}}, err
}

// opened is a fresh request of the server, as a wallet opens it.
func (l *library) opened(t *testing.T) (*oid4vp.Request, error) {
	t.Helper()
	res, err := http.Post(l.priv+"/requests", "application/json", strings.NewReader(`{"policy": "card"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	var made struct{ Link string }
	if err := json.NewDecoder(res.Body).Decode(&made); err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("%d, %v", res.StatusCode, err)
	}
	i := must[*oid4vp.Invocation](t)(oid4vp.ParseInvocation(made.Link))
	answer := must[*http.Response](t)(http.PostForm(strings.Replace(i.RequestURI, "http://localhost:9", l.public, 1), must[map[string][]string](t)(i.Form(nil, "nonce"))))
	defer answer.Body.Close() //nolint:errcheck // read to its end
	object := must[[]byte](t)(io.ReadAll(answer.Body))
	return i.Open(t.Context(), string(object), oid4vp.Expect{Now: l.now, Chains: oid4vp.Roots{l.root}, DIDs: documents{l, t}, WalletNonce: "nonce", DevHTTP: true})
}

// TestRotate replaces the key of a server that goes on: made, certified, taken into use.
func TestRotate(t *testing.T) {
	l := newLibrary(t)
	l.prepare(t)
	l.serve(t)
	signed := func() string {
		t.Helper()
		r, err := l.opened(t)
		if err != nil {
			t.Fatal(err)
		}
		return must[keys.PublicKey](t)(r.Client.Key, nil).JWKThumbprint()
	}
	first := signed()
	step := func(want string) {
		t.Helper()
		var got struct{ Step string }
		if err := json.Unmarshal([]byte(l.ok(t, "keys", "rotate", "--json")), &got); err != nil || got.Step != want {
			t.Errorf("keys rotate: %q, %v, want %s", got.Step, err, want)
		}
	}
	step("generate")
	step("publish") // nothing happens without a certificate
	if signed() != first {
		t.Error("a key without certificate signs")
	}
	if out := l.ok(t, "keys", "list"); !strings.Contains(out, "is to follow") {
		t.Errorf("keys list: %s", out)
	}
	// The certificate of the old key is not one for the new key.
	if status, _, _ := l.run(t, "keys", "import-chain", "--chain", l.path("library.pem"), "--root", l.path("root.pem")); status == 0 {
		t.Error("the old certificate was taken for the new key")
	}
	if err := os.WriteFile(l.path("library/request.csr"), []byte(l.ok(t, "keys", "csr", "--country", "XA")), 0o600); err != nil {
		t.Fatal(err)
	}
	l.certify(t, l.now)
	l.ok(t, "keys", "import-chain", "--chain", l.path("library.pem"), "--root", l.path("root.pem"))
	if signed() != first {
		t.Error("a key signs before it was taken into use")
	}
	step("activate")
	if second := signed(); second == first {
		t.Error("the old key signs still")
	}
	step("generate") // the next one
}

// TestByDID: a server without a certificate is known by its did:web, before and after a
// rotation.
func TestByDID(t *testing.T) {
	l := newLibrary(t)
	settings := must[[]byte](t)(os.ReadFile(l.path("library/verifier.yaml")))
	if err := os.WriteFile(l.path("library/verifier.yaml"), []byte(strings.Replace(string(settings), "prefix: x509_hash", "prefix: decentralized_identifier", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	l.ok(t, "trust", "import", l.path("office.trust"), "--dir", l.path("library/trust"), "--fingerprint", string(l.files["fingerprint"]))
	l.serve(t)
	for _, want := range []string{"as made", "rotated"} {
		r, err := l.opened(t)
		if err != nil || r.Client.ID.String() != "decentralized_identifier:did:web:localhost%3A9" {
			t.Fatalf("%s: %+v, %v", want, r, err)
		}
		l.ok(t, "keys", "rotate")
		l.ok(t, "keys", "rotate")
	}
}
