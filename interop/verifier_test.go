package interop_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	apiverifier "github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

const relyingKey = "a key of the city library, 0123456789abcdef"

const libraryPolicy = `
policy: card
version: 1
verifier: {name: {en: City library}}
purpose: {en: To lend you books.}
retention_days: 0
ask:
  - {id: birth, types: ["` + vct + `"], claims: [given_name, {path: [address, locality]}]}
`

// codes is credential/cwt as programs wire it.
type codes struct{}

func (codes) Verify(message []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	return cwt.Verify(message, cwt.Expect{Keys: keys})
}

// bundle names the gate's issuer and the type of its credentials.
func (g *gate) bundle(t *testing.T) *trust.Bundle {
	t.Helper()
	sign := keystest.Signer(t, keys.TrustBundle, keys.ES256, "bundle")
	root := keystest.Signer(t, keys.TrustRoot, keys.ES256, "trust root")
	roots, err := trust.SignRoot(rand.Reader, nil, trust.Root{
		Version: 1, Issued: g.now.AddDate(0, -2, 0), Expires: g.now.AddDate(8, 0, 0), Keys: []keys.PublicKey{root.Key().Public}, Threshold: 1,
		BundleKeys: []keys.PublicKey{sign.Key().Public}, BundleThreshold: 1,
	}, []keys.Signer{root}, g.now.AddDate(0, -2, 0))
	if err != nil {
		t.Fatal(err)
	}
	english := func(s string) map[string]string { return map[string]string{"en": s} }
	asOf := g.now.Add(-time.Hour)
	content := trust.Content{
		Roots: roots, Version: 1, AsOf: asOf, RefreshBy: g.now.AddDate(0, 0, 10), OldAfter: g.now.AddDate(0, 0, 60), Jurisdiction: "XA",
		Issuers:    []trust.Issuer{{ID: issuerURL, Names: english("Registry"), Country: "XA", Keys: []trust.IssuerKey{trust.NewIssuerKey(g.issuer.Key(), []string{vct}, nil)}}},
		Types:      []credential.Type{{ID: vct, Labels: english("Birth"), FreshFor: 7 * 24 * time.Hour, OldAfter: 30 * 24 * time.Hour, Policy: "birth/1"}},
		Algorithms: []keys.Algorithm{keys.ES256},
	}
	file, err := content.Sign(rand.Reader, []keys.Signer{sign}, asOf)
	if err != nil {
		t.Fatal(err)
	}
	b, err := trust.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// serve starts our verifier server and returns its address.
func (g *gate) serve(t *testing.T) string {
	t.Helper()
	db, err := once.Open(t.Context(), filepath.Join(t.TempDir(), "once.db"), once.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	policy, err := apiverifier.ParsePolicy([]byte(libraryPolicy))
	if err != nil {
		t.Fatal(err)
	}
	signer, b := keystest.Signer(t, keys.Request, keys.ES256, "library"), g.bundle(t)
	signature := oid4vp.Signature{Signer: signer, X5C: [][]byte{g.certificate(t, signer.Key().Public, "City library", "https://"+verifierHost)}}
	log, metrics := slog.New(slog.DiscardHandler), web.NewMetrics()
	service, err := apiverifier.New(apiverifier.Config{
		URL: "https://" + verifierHost, Prefix: oid4vp.X509Hash, Signature: func(time.Time) (oid4vp.Signature, error) { return signature, nil },
		Policies: map[string]*apiverifier.Policy{"card": policy}, Once: db, COSE: codes{}, Metrics: metrics, Log: log,
		Keys:  []apiverifier.APIKey{{Name: "library", Digest: sha256.Sum256([]byte(relyingKey))}},
		Trust: func() (*trust.Bundle, string) { return b, "" }, IssuerRoots: g.roots, Lists: g.lists,
	})
	if err != nil {
		t.Fatal(err)
	}
	server, err := web.Listen(t.Context(), web.Config{Addr: "127.0.0.1:0", Private: "127.0.0.1:0", DevHTTP: true, Log: log, Metrics: metrics, Ready: service.Ready()}, service.Routes())
	if err != nil {
		t.Fatal(err)
	}
	service.URL = server.URL() // known only now
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		_ = server.Serve(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return server.URL()
}

// relying asks as the relying party does.
func relying(t *testing.T, method, address string, body any, result any) {
	t.Helper()
	var b []byte
	var err error
	if body != nil {
		if b, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+relyingKey)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if b, err = io.ReadAll(answer.Body); err != nil || answer.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %d %s %v", method, address, answer.StatusCode, b, err)
	}
	if err := json.Unmarshal(b, result); err != nil {
		t.Fatal(err)
	}
}

// TestTheirWalletAtOurServer: a wallet of theirs answers a policy of a relying party
// over HTTP, and the relying party gets two claims; what the wallet does wrong is
// judged so.
func TestTheirWalletAtOurServer(t *testing.T) {
	p := startPeer(t, "vp.mjs")
	holder, _ := theirKey(p, "holder")
	g := newGate(t, p, holder)
	base := g.serve(t)
	for _, tt := range []struct {
		name    string
		frame   any
		change  func(kb map[string]any)
		verdict string
	}{
		{"as asked for", frame, nil, "valid"},
		{"more than asked for", map[string]any{"given_name": true, "family_name": true, "address": map[string]any{"locality": true, "street": true}}, nil, "valid"},
		{"VP-10 a claim is missing", map[string]any{"given_name": true}, nil, "invalid"},
		{"VP-02 for another verifier", frame, func(kb map[string]any) { kb["aud"] = "x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk" }, "invalid"},
		{"VP-01 for another request", frame, func(kb map[string]any) { kb["nonce"] = "another" }, "invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var created struct{ ID, Link string }
			relying(t, http.MethodPost, base+"/requests", map[string]any{"policy": "card"}, &created)
			var got resolved
			p.call("resolve", map[string]any{
				"link": created.Link, "loopback": true, "metadata": map[string]any{"vp_formats_supported": map[string]any{"dc+sd-jwt": map[string]any{}}},
			}, &got)
			kb := map[string]any{"aud": got.Client.Effective, "nonce": got.Payload["nonce"], "iat": time.Now().Unix()}
			if tt.change != nil {
				tt.change(kb)
			}
			var shown string
			p.call("present", map[string]any{"token": g.issued, "frame": tt.frame, "kb": kb}, &shown)
			answer := map[string]any{"payload": got.Payload, "token": map[string]any{"birth": []any{shown}}, "enc": "A256GCM", "send": true}
			var reply struct {
				Status int
				Body   string
			}
			p.call("respond", answer, &reply)
			// OUT-10: the wallet learns that it was not accepted, and not why.
			if want := map[string]int{"valid": http.StatusOK, "invalid": http.StatusBadRequest}[tt.verdict]; reply.Status != want {
				t.Fatalf("answered %+v, want %d", reply, want)
			}
			var state struct {
				Status string
				Result struct {
					Verdict       string
					Presentations []struct {
						Claims []struct {
							Path  []any
							Value any
						}
					}
				}
			}
			relying(t, http.MethodGet, base+"/requests/"+created.ID, nil, &state)
			if state.Status != "answered" || state.Result.Verdict != tt.verdict {
				t.Fatalf("state %+v, want %s", state, tt.verdict)
			}
			if tt.verdict == "valid" && (len(state.Result.Presentations) != 1 || len(state.Result.Presentations[0].Claims) != 2) {
				t.Errorf("the relying party gets %+v", state.Result.Presentations)
			}
			// The same answer again is one too many.
			if p.call("respond", answer, &reply); reply.Status/100 == 2 {
				t.Errorf("VP-01: answered twice: %+v", reply)
			}
		})
	}
}
