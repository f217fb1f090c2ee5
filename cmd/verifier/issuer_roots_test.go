package main

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
)

// TestIssuerRoots: a server whose settings name a root takes a credential under it, with the
// status list of a server that it may ask, and without the settings does not know the issuer.
func TestIssuerRoots(t *testing.T) {
	l := newLibrary(t)
	l.prepare(t)
	const university, diploma = "https://university.xb", "urn:xb:diploma:1"
	rootKey := newSigner(t, keys.CertificateRoot)
	root := must[*x509.Certificate](t)(chain.ParseRoot(must[[]byte](t)(chain.NewRoot(rand.Reader, rootKey, chain.Name{Organization: "Universities", Country: "XB"}, l.now, l.now.AddDate(5, 0, 0)))))
	sign := func(purpose keys.Purpose, address, typ string, claims map[string]any) string {
		t.Helper()
		key := newSigner(t, purpose)
		leaf := must[[]byte](t)(chain.Issue(rand.Reader, root, rootKey, chain.Subject{Name: chain.Name{Organization: address}, Address: address, Key: key.Key().Public}, l.now, l.now.AddDate(1, 0, 0)))
		return string(must[[]byte](t)(jose.Sign(rand.Reader, key, jose.Header{Type: typ, X5C: [][]byte{leaf}}, must[[]byte](t)(json.Marshal(claims)))))
	}
	bits := must[*status.List](t)(status.NewList(1, 64))
	var list *httptest.Server
	list = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", status.MediaTypeJWT)
		// The writer of ours has no room for a certificate.
		token := must[[]byte](t)(status.SignJWT(rand.Reader, newSigner(t, keys.StatusList), status.TokenInfo{
			URI: list.URL + "/1", IssuedAt: l.now.Add(-time.Minute), Expires: l.now.Add(time.Hour), TTL: time.Minute, List: bits,
		}, l.now, jose.Tokens{}))
		var claims map[string]any
		if err := json.Unmarshal(must[[]byte](t)(strict.DecodeBase64URL(strings.Split(string(token), ".")[1])), &claims); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, sign(keys.StatusList, "https://status.xb", status.TypeJWT, claims))
	}))
	defer list.Close()
	proof := sign(keys.Credential, university, "dc+sd-jwt", map[string]any{
		"iss": university, "vct": diploma, "iat": l.now.Unix(), "degree": "MSc", "status": map[string]any{"status_list": map[string]any{"uri": list.URL + "/1", "idx": 7}},
	}) + "~"
	if err := os.WriteFile(l.path("library/universities.pem"), chain.EncodePEM(root.Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := must[[]byte](t)(os.ReadFile(l.path("library/verifier.yaml")))
	for _, tt := range []struct{ name, more, want string }{
		{"no roots", "", `"verdict":"undetermined"`},
		{"a root, and the list", "issuer_roots: [{file: universities.pem, types: [\"" + diploma + "\"]}]\nlocal_hosts: [127.0.0.1]\n", `"verdict":"valid"`},
		{"a root, and a list that may not be asked for", "issuer_roots: [{file: universities.pem, types: [\"" + diploma + "\"]}]\n", `"reason":"status_unavailable"`},
		{"a root, for something else", "issuer_roots: [{file: universities.pem, types: [\"urn:xb:permit:1\"]}]\nlocal_hosts: [127.0.0.1]\n", `"reason":"unknown_type"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(l.path("library/verifier.yaml"), append([]byte(tt.more), settings...), 0o600); err != nil {
				t.Fatal(err)
			}
			l.serve(t)
			defer l.stop()
			res := must[*http.Response](t)(http.Post(l.priv+"/verify", "application/dc+sd-jwt", strings.NewReader(proof)))
			defer res.Body.Close()
			if body := string(must[[]byte](t)(io.ReadAll(res.Body))); !strings.Contains(body, tt.want) || tt.want != `"verdict":"valid"` && !strings.Contains(body, `"verdict":"undetermined"`) {
				t.Errorf("%s\nwant %s", body, tt.want)
			}
			l.stop()
			if said := strings.Contains(l.served, `"msg":"issuer root"`); said != (tt.more != "") {
				t.Errorf("at the start it says of roots: %v", said)
			}
		})
	}
	// What is wrong with a file is said before anything is served, and what has ended is noted.
	more := []byte("issuer_roots: [{file: universities.pem, types: [\"" + diploma + "\"]}]\n")
	if err := os.WriteFile(l.path("library/verifier.yaml"), append(more, settings...), 0o600); err != nil {
		t.Fatal(err)
	}
	hash, until := chain.Hash(root.Raw), root.NotAfter.Format(time.DateOnly)
	l.now = root.NotAfter.AddDate(0, 0, -29)
	_, out, _ := l.run(t, "config", "check")
	for _, line := range []string{
		`issuers under "` + root.Subject.String() + `" are taken for ` + diploma + " until " + until + ", SHA-256 " + hash + "\n",
		`note: issuer_roots: the root "` + root.Subject.String() + `" ends on ` + until,
	} {
		if !strings.Contains(out, line) {
			t.Errorf("config check does not say %s: %s", line, out)
		}
	}
	if _, out, _ := l.run(t, "status", "--json"); !strings.Contains(out, hash) {
		t.Errorf("status: %s", out)
	}
	if err := os.WriteFile(l.path("library/universities.pem"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, talk := l.run(t, "config", "check"); code != 1 || !strings.Contains(talk, "issuer_roots: ") {
		t.Errorf("config check: %d %s", code, talk)
	}
}

// TestRootViews: what an operator is told of a root, from before it begins to after its end.
func TestRootViews(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	root := must[*x509.Certificate](t)(chain.ParseRoot(must[[]byte](t)(chain.NewRoot(rand.Reader, newSigner(t, keys.CertificateRoot), chain.Name{Organization: "Universities", Country: "XB"}, now, now.AddDate(5, 0, 0)))))
	roots := []verifier.IssuerRoot{{Name: "Universities", Certificates: []*x509.Certificate{root}, Types: []string{"urn:xb:diploma:1"}}}
	for _, tt := range []struct {
		at    time.Time
		level verifier.Level
		note  string
	}{
		{root.NotBefore.Add(-time.Second), verifier.LevelFresh, "is valid from"},
		{root.NotBefore, verifier.LevelFresh, ""},
		{root.NotAfter.AddDate(0, 0, -31), verifier.LevelFresh, ""},
		{root.NotAfter.AddDate(0, 0, -30), verifier.LevelSoon, "ends on"},
		{root.NotAfter, verifier.LevelOld, "is valid from"},
	} {
		views, notes := rootViews(roots, tt.at), rootNotes(roots, tt.at)
		if len(views) != 1 || views[0].Fingerprint != chain.Hash(root.Raw) || views[0].Level != tt.level || !views[0].Until.Equal(root.NotAfter) {
			t.Errorf("at %s: %+v", tt.at, views)
		}
		if text := strings.Join(notes, "\n"); (tt.note == "") != (text == "") || !strings.Contains(text, tt.note) {
			t.Errorf("at %s: notes %q, want %q", tt.at, notes, tt.note)
		}
	}
}

// TestListSource: what an address may answer. The way to it is that of package fetch.
func TestListSource(t *testing.T) {
	answer := func(media, content string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			_, _ = io.WriteString(w, content)
		}
	}
	elsewhere := httptest.NewServer(answer(status.MediaTypeJWT, "token"))
	defer elsewhere.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/list", answer(status.MediaTypeJWT, "token"))
	mux.HandleFunc("/cwt", answer(status.MediaType, "token"))
	mux.HandleFunc("/page", answer("text/html", "token"))
	mux.HandleFunc("/long", answer(status.MediaTypeJWT, strings.Repeat("A", maxListToken+1)))
	for from, to := range map[string]string{"/moved": "/list", "/loop": "/loop", "/elsewhere": elsewhere.URL + "/list", "/file": "file:///etc/passwd", "/inside": "https://10.0.0.1/list", "/clouds": "http://169.254.169.254/latest"} {
		mux.Handle(from, http.RedirectHandler(to, http.StatusFound))
	}
	server := httptest.NewServer(mux)
	defer server.Close()
	lists := newListSource(Config{LocalHosts: []string{"127.0.0.1"}}, time.Now)
	for path, want := range map[string]error{
		"/list": nil, "/moved": nil, "/elsewhere": nil, "/loop": fetch.ErrRedirect, "/file": fetch.ErrRedirect, "/inside": fetch.ErrForbidden, "/clouds": fetch.ErrRedirect,
		"/cwt": fetch.ErrType, "/page": fetch.ErrType, "/long": fetch.ErrTooLarge, "/none": fetch.ErrStatus,
	} {
		b, err := lists.List(t.Context(), server.URL+path)
		if !errors.Is(err, want) || want == nil && string(b) != "token" || want != nil && b != nil {
			t.Errorf("%s: %d bytes, %v, want %v", path, len(b), err, want)
		}
	}
	if _, err := newListSource(Config{}, time.Now).List(t.Context(), server.URL+"/list"); !errors.Is(err, fetch.ErrURL) {
		t.Errorf("ST-07 an address inside: %v", err)
	}
}

// TestListsAreKept: a list of any size that it may have is asked for once within its ttl, and at
// least once a minute, whatever its server says of caching (Token Status List section 8.2).
func TestListsAreKept(t *testing.T) {
	now, asked, token := time.Now(), 0, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Content-Type", status.MediaTypeJWT)
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = io.WriteString(w, token)
	}))
	defer server.Close()
	for _, tt := range []struct {
		name  string
		ttl   string
		size  int
		after time.Duration
		want  int
	}{
		{"3 MiB within the ttl", "30", 3 << 20, 29 * time.Second, 1},
		{"3 MiB after the ttl", "30", 3 << 20, 30 * time.Second, 2},
		{"a ttl of a day", "86400", 0, 59 * time.Second, 1},
		{"a ttl of a day, after a minute", "86400", 0, time.Minute, 2},
	} {
		lists := newListSource(Config{LocalHosts: []string{"127.0.0.1"}}, func() time.Time { return now })
		token, asked = "e30."+strict.Base64URL([]byte(`{"ttl":`+tt.ttl+`,"x":"`+strings.Repeat("A", tt.size*3/4)+`"}`))+".c2ln", 0
		for range 2 {
			if b, err := lists.List(t.Context(), server.URL); err != nil || string(b) != token {
				t.Errorf("%s: %d bytes, %v", tt.name, len(b), err)
			}
			now = now.Add(tt.after)
		}
		if asked != tt.want {
			t.Errorf("%s: asked %d times, want %d", tt.name, asked, tt.want)
		}
	}
}
