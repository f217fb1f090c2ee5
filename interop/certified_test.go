package interop_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	apiverifier "github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/verification"
)

// noLists are lists that nobody has.
type noLists struct{}

// List implements [apiverifier.ListSource].
func (noLists) List(context.Context, string) ([]byte, error) { return nil, errors.New("no list") }

// TestTheirCertificate has @sd-jwt/sd-jwt-vc issue with the certificate of its key in the
// header (HAIP 1.0 section 6.1.1), for a server of ours that knows the root and no such issuer.
func TestTheirCertificate(t *testing.T) {
	p := startPeer(t, "sdjwt.mjs")
	issuer, _ := theirKey(p, "issuer")
	holder, _ := theirKey(p, "holder")
	g := newGate(t, p, holder)
	g.roots, g.lists = []apiverifier.IssuerRoot{{Name: "National root", Certificates: []*x509.Certificate{g.root}, Types: []string{vct}, StatusFresh: time.Hour}}, noLists{}
	base := g.serve(t)
	for _, tt := range []struct {
		name, iss, certified string
		verdict              verification.Verdict
	}{
		{"its own name", "https://university.example", "https://university.example", verification.Valid},
		{"another name", "https://university.example", "https://college.example", verification.Invalid},
		{"the name of an issuer of the bundle", issuerURL, issuerURL, verification.Invalid}, // by another key than the bundle has,
	} {
		t.Run(tt.name, func(t *testing.T) {
			var token string
			p.call("issue", map[string]any{
				"payload": map[string]any{"iss": tt.iss, "vct": vct, "iat": g.now.Unix(), "given_name": "Amina"},
				"frame":   map[string]any{"_sd": []string{"given_name"}},
				"header":  map[string]any{"x5c": []string{base64.StdEncoding.EncodeToString(g.certificate(t, issuer, "University", tt.certified))}},
			}, &token)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/verify", strings.NewReader(token))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+relyingKey)
			r.Header.Set("Content-Type", "application/dc+sd-jwt")
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			var report struct{ Verdict verification.Verdict }
			if err := json.Unmarshal(body, &report); err != nil || report.Verdict != tt.verdict {
				t.Errorf("%s, want %s", body, tt.verdict)
			}
		})
	}
}
