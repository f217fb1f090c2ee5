package verifier_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/qr/image"
)

// TestOpenAPI holds the description against the table of routes, both ways.
func TestOpenAPI(t *testing.T) {
	b, err := verifier.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	doc := decode[struct {
		OpenAPI string
		Paths   map[string]map[string]json.RawMessage
	}](t, b)
	var described, served []string
	for path, item := range doc.Paths {
		for method, raw := range item {
			if method == "parameters" {
				continue
			}
			op := decode[struct {
				OperationID string
				RequestBody struct{ Content map[string]any }
				Responses   map[string]any
			}](t, raw)
			var media []string
			for m := range op.RequestBody.Content {
				media = append(media, m)
			}
			slices.Sort(media)
			described = append(described, strings.Join([]string{strings.ToUpper(method), path, op.OperationID, strings.Join(media, " ")}, " "))
			if len(op.Responses) == 0 {
				t.Errorf("%s %s has no answers", method, path)
			}
		}
	}
	s := newScene(t)
	for _, r := range s.service.Routes() {
		media := slices.Sorted(slices.Values(r.Media))
		served = append(served, strings.Join([]string{r.Method, r.Pattern, r.Name, strings.Join(media, " ")}, " "))
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described:\n%s\nserved:\n%s", strings.Join(described, "\n"), strings.Join(served, "\n"))
	}
	if g := s.call(t, "GET", "/openapi.json", "", nil); g.status != http.StatusOK || !bytes.Equal(g.body, b) {
		t.Errorf("%d", g.status)
	}
}

// TestVerify: the same proof in every shape gets the same verdict.
func TestVerify(t *testing.T) {
	s := newScene(t)
	paper := cwt.Token{
		Issuer: ministry, Type: farmer, IssuedAt: s.token.IssuedAt, Expires: s.token.Expires, Status: &credential.StatusRef{URI: list, Index: 3},
		Person: map[int64]any{4: person}, Fields: map[int64]any{2: "Jessore"},
	}
	d, err := cwt.NewDraft(paper, s.issuer.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := d.Sign(rand.Reader, s.issuer, asOf)
	if err != nil {
		t.Fatal(err)
	}
	text, err := qr.Encode(raw)
	if err != nil {
		t.Fatal(err)
	}
	code, err := image.Draw(text, image.M)
	if err != nil {
		t.Fatal(err)
	}
	png, err := code.PNG(4)
	if err != nil {
		t.Fatal(err)
	}
	form := func(names ...string) (string, []byte) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for _, n := range names {
			part, err := w.CreateFormFile(n, "proof.png")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := part.Write(png); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return w.FormDataContentType(), b.Bytes()
	}
	formType, formBody := form("proof")
	twoType, twoBody := form("proof", "proof")
	otherType, otherBody := form("other")
	wallet := issue(t, s.token, s.signer)
	for _, tt := range []struct {
		name, media string
		body        []byte
		status      int
		verdict     string // or the code of a refusal
		reason      string
	}{
		{"text of a code", "text/plain", []byte(text), 200, "valid", ""},
		{"bytes of a credential", "application/cwt", raw, 200, "valid", ""},
		{"bytes of anything", "application/octet-stream", raw, 200, "valid", ""},
		{"picture", "image/png", png, 200, "valid", ""},
		{"picture in a form", formType, formBody, 200, "valid", ""},
		{"SD-JWT, which anybody may have copied", "application/dc+sd-jwt", []byte(wallet), 200, "check_needed", "holder_not_proven"},
		{"altered SD-JWT", "text/plain", []byte(alter(wallet)), 200, "invalid", "bad_signature"},
		{"nonsense", "text/plain", []byte("hello"), 200, "undetermined", "unknown_format"},
		{"a PDF", "application/octet-stream", []byte("%PDF-1.7 x"), 200, "undetermined", "unsupported_format"},
		{"half a picture", "image/png", png[:len(png)/2], 200, "undetermined", "unknown_format"},
		{"nothing", "text/plain", nil, 400, "bad_request", ""},
		{"a form with two files", twoType, twoBody, 400, "bad_request", ""},
		{"a form with another name", otherType, otherBody, 400, "bad_request", ""},
		{"a form that is none", "multipart/form-data; boundary=x", []byte("x"), 400, "bad_request", ""},
		{"HTML", "text/html", []byte("x"), 415, "unsupported_media_type", ""},
		{"VP-13 twelve megabytes", "text/plain", make([]byte, 12<<20), 413, "too_large", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := s.call(t, "POST", "/verify", tt.media, tt.body, "Authorization", "Bearer "+apiKey)
			if g.status != tt.status {
				t.Fatalf("%d %s", g.status, g.body)
			}
			if g.status != http.StatusOK {
				if g.code() != tt.verdict {
					t.Errorf("%s, want %s", g.body, tt.verdict)
				}
				return
			}
			r := decode[struct {
				Verdict string
				Checks  []struct{ Reason string }
			}](t, g.body)
			if r.Verdict != tt.verdict || tt.reason != "" && !slices.ContainsFunc(r.Checks, func(c struct{ Reason string }) bool { return c.Reason == tt.reason }) {
				t.Errorf("%s, want %s for %q", g.body, tt.verdict, tt.reason)
			}
			if g.header.Get("Cache-Control") != "no-store" {
				t.Error("OUT-07: the answer may be kept")
			}
		})
	}
	g := s.call(t, "POST", "/verify?receipt=true", "text/plain", []byte(text), "Authorization", "Bearer "+apiKey)
	both := decode[struct {
		Report  struct{ Verdict string }
		Receipt string
	}](t, g.body)
	v := s.statement(t, both.Receipt, "sanad-receipt+jwt")
	if verdict, _ := v.Get("verdict").Text(); verdict != "valid" || both.Report.Verdict != "valid" {
		t.Errorf("receipt for %s, report %s", verdict, both.Report.Verdict)
	}
	if g := s.call(t, "POST", "/verify?x=1", "text/plain", []byte(text), "Authorization", "Bearer "+apiKey); g.status != http.StatusBadRequest {
		t.Errorf("another query: %d", g.status)
	}
}

// TestAnyOrigin: wallets in a browser may fetch and answer, and nobody else's script
// may ask for results. Many who answer at one address are one crowd, as they are at the issuer.
func TestAnyOrigin(t *testing.T) {
	s := newScene(t)
	for _, r := range s.service.Routes() {
		wallets := strings.HasPrefix(r.Pattern, "/request/") || strings.HasPrefix(r.Pattern, "/response/") || r.Name == "openapi" || r.Name == "did"
		if r.AnyOrigin != wallets {
			t.Errorf("%s: any origin is %v", r.Name, r.AnyOrigin)
		}
		// The people of a hall, or of a mobile network, are one address.
		if steps := wallets && r.Name != "openapi" && r.Name != "did"; steps != (r.Rate == "people") {
			t.Errorf("%s has the rate %q", r.Name, r.Rate)
		}
		if r.Cache != "" && r.Cache != web.NoStore && r.Name != "openapi" && r.Name != "did" {
			t.Errorf("%s may be kept: %s", r.Name, r.Cache)
		}
	}
}
