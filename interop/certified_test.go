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
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/verification"
)

// A theirList is the address of their status list, with what it answers now.
type theirList struct {
	address, token string
	asked          int
}

// List implements [apiverifier.ListSource].
func (l *theirList) List(_ context.Context, address string) ([]byte, error) {
	if l.asked++; address != l.address || l.token == "" {
		return nil, errors.New("no list")
	}
	return []byte(l.token), nil
}

// TestTheirCertificate has @sd-jwt/sd-jwt-vc issue with the certificate of its key in the
// header (HAIP 1.0 section 6.1.1), for a server of ours that knows the root and no such issuer.
func TestTheirCertificate(t *testing.T) {
	p := startPeer(t, "sdjwt.mjs")
	issuer, _ := theirKey(p, "issuer")
	holder, _ := theirKey(p, "holder")
	g := newGate(t, p, holder)
	g.roots, g.lists = []apiverifier.IssuerRoot{{Name: "National root", Certificates: []*x509.Certificate{g.root}, Types: []string{vct}, StatusFresh: time.Hour}}, new(theirList)
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
			body := prove(t, base, token)
			var report struct{ Verdict verification.Verdict }
			if err := json.Unmarshal([]byte(body), &report); err != nil || report.Verdict != tt.verdict {
				t.Errorf("%s, want %s", body, tt.verdict)
			}
		})
	}
}

// prove has the server judge a credential, and returns the report.
func prove(t *testing.T, base, token string) string {
	t.Helper()
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
	return string(body)
}

// TestTheirStatusList has @sd-jwt/jwt-status-list make the list of that issuer, signed with the
// key of its certificate (Token Status List, x5c): the verdict follows it from token to token.
func TestTheirStatusList(t *testing.T) {
	const university, address, place = "https://university.example", "https://university.example/status/1", 137
	p := startPeer(t, "sdjwt.mjs")
	issuer, _ := theirKey(p, "issuer")
	holder, _ := theirKey(p, "holder")
	stranger, _ := theirKey(p, "stranger")
	g := newGate(t, p, holder)
	lists := &theirList{address: address}
	g.roots, g.lists = []apiverifier.IssuerRoot{{Name: "National root", Certificates: []*x509.Certificate{g.root}, Types: []string{vct}, StatusFresh: time.Hour}}, lists
	base := g.serve(t)
	chained := func(key keys.PublicKey, name string) map[string]any {
		return map[string]any{"x5c": []string{base64.StdEncoding.EncodeToString(g.certificate(t, key, name, university))}}
	}
	var token string
	p.call("issue", map[string]any{
		"payload": map[string]any{
			"iss": university, "vct": vct, "iat": g.now.Unix(), "given_name": "Amina", "status": map[string]any{"status_list": map[string]any{"uri": address, "idx": place}},
		},
		"frame": map[string]any{"_sd": []string{"given_name"}}, "header": chained(issuer, "University"),
	}, &token)
	type list struct {
		key     string
		bits    int
		value   int
		payload map[string]any
		header  map[string]any
	}
	good := func() list {
		return list{"issuer", 2, 0, map[string]any{"iss": university, "sub": address, "iat": g.now.Add(-time.Minute).Unix(), "exp": g.now.Add(time.Hour).Unix(), "ttl": 60}, chained(issuer, "University")}
	}
	for _, tt := range []struct {
		name   string
		change func(*list)
		want   []string
	}{
		{"valid", func(*list) {}, []string{`"verdict":"valid"`, `"vouched_by":"National root"`}},
		{"suspended", func(l *list) { l.value = 2 }, []string{`"verdict":"invalid"`, `"suspended"`}},
		{"valid once more", func(*list) {}, []string{`"verdict":"valid"`}},
		{"of one bit", func(l *list) { l.bits = 1 }, []string{`"verdict":"valid"`}},
		{"without an end", func(l *list) { delete(l.payload, "exp") }, []string{`"verdict":"valid"`}},
		{"revoked", func(l *list) { l.value = 1 }, []string{`"verdict":"invalid"`, `"revoked"`}},
		{"revoked, of one bit", func(l *list) { l.value, l.bits = 1, 1 }, []string{`"verdict":"invalid"`, `"revoked"`}},
		{"by a key of its own", func(l *list) { l.key, l.header = "stranger", chained(stranger, "Lists") }, []string{`"verdict":"valid"`}},
		{"by another key than the certificate's", func(l *list) { l.key = "stranger" }, []string{`"verdict":"undetermined"`, "no trusted key signed"}},
		{"of another address", func(l *list) { l.payload["sub"] = address + "0" }, []string{`"verdict":"undetermined"`, "token of another list"}},
		{"of another type", func(l *list) { l.header["typ"] = "JWT" }, []string{`"verdict":"undetermined"`, "not a status list token"}},
		{"that has ended", func(l *list) { l.payload["exp"] = g.now.Add(-time.Second).Unix() }, []string{`"verdict":"undetermined"`, "token has expired"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := good()
			tt.change(&l)
			values := make([]int, 1024)
			values[place] = l.value
			p.call("list", map[string]any{"key": l.key, "values": values, "bits": l.bits, "payload": l.payload, "header": l.header}, &lists.token)
			body := prove(t, base, token)
			for _, want := range tt.want {
				if !strings.Contains(body, want) {
					t.Errorf("%s, want %s", body, want)
				}
			}
		})
	}
	if lists.asked != 12 {
		t.Errorf("asked %d times, want once for each", lists.asked)
	}
}
