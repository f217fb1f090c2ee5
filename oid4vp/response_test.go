package oid4vp_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/oid4vp"
)

// TestRespond is what goes over the wire.
func TestRespond(t *testing.T) {
	s := newScene(t)
	r := s.received(t)
	form := s.respond(t, r)
	header := map[string]any{}
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(form.Get("response"), ".")[0])
	if err != nil || json.Unmarshal(b, &header) != nil {
		t.Fatal(err)
	}
	// HAIP section 5: A256GCM if both are offered; section 8.3: the kid is copied.
	if len(form) != 1 || header["alg"] != "ECDH-ES" || header["enc"] != "A256GCM" || header["kid"] != "request 7" {
		t.Errorf("sent %v with %v", form, header)
	}
	for _, tt := range []struct {
		offered []jose.Encryption
		want    string
	}{
		{nil, "A128GCM"}, {[]jose.Encryption{"A128CBC-HS256", "A128GCM"}, "A128GCM"}, {[]jose.Encryption{"A256GCM"}, "A256GCM"}, {[]jose.Encryption{"A128CBC-HS256"}, ""},
	} {
		r.Metadata.Encryptions = tt.offered
		form, err := r.Respond(oid4vp.VPToken{"card": {"x~"}})
		if tt.want == "" {
			if !errors.Is(err, oid4vp.ErrEncryption) {
				t.Errorf("%v: %v, %v", tt.offered, form, err)
			}
			continue
		}
		got, err := oid4vp.ParseResponse(form, s.expected())
		b, _ := base64.RawURLEncoding.DecodeString(strings.Split(form.Get("response"), ".")[0])
		if err != nil || got.Token["card"][0] != "x~" || !strings.Contains(string(b), tt.want) {
			t.Errorf("%v: %s, %v", tt.offered, b, err)
		}
	}
	r.Metadata.Encryptions = nil
	for name, token := range map[string]oid4vp.VPToken{
		"nothing":                         {},
		"nothing for a query":             {"card": nil},
		"an empty presentation":           {"card": {""}},
		"something that nobody asked for": {"card": {"x~"}, "other": {"x~"}},
		"two where one was asked for":     {"card": {"x~", "y~"}},
	} {
		if form, err := r.Respond(token); err == nil {
			t.Errorf("%s: sent %v", name, form)
		}
	}
	// A key that went after the request was opened.
	r.Metadata.Keys = nil
	if form, err := r.Respond(oid4vp.VPToken{"card": {"x~"}}); !errors.Is(err, oid4vp.ErrEncryption) {
		t.Errorf("no key: %v, %v", form, err)
	}
}

func TestParseResponseRefuses(t *testing.T) {
	s := newScene(t)
	seal := func(payload string, key jose.EncryptionKey, enc jose.Encryption) url.Values {
		jwe, err := jose.Encrypt([]byte(payload), key, enc)
		if err != nil {
			t.Fatal(err)
		}
		return url.Values{"response": {jwe}}
	}
	other, err := jose.NewDecryptionKey("request 7")
	if err != nil {
		t.Fatal(err)
	}
	named, err := jose.NewDecryptionKey("request 8")
	if err != nil {
		t.Fatal(err)
	}
	state, renamed := s.request.State, s.decrypt.Public()
	renamed.KeyID = "request 9"
	sealed := func(payload string) url.Values {
		return seal(strings.Replace(payload, "STATE", state, 1), s.decrypt.Public(), jose.A128GCM)
	}
	plain := func(values ...string) url.Values {
		form := url.Values{}
		for i := 0; i < len(values); i += 2 {
			form.Add(values[i], values[i+1])
		}
		return form
	}
	const good = `{"vp_token":{"card":["x~"]},"state":"STATE"}`
	header := func(change map[string]any) url.Values {
		form := sealed(good)
		parts := strings.Split(form.Get("response"), ".")
		b, _ := base64.RawURLEncoding.DecodeString(parts[0])
		m := map[string]any{}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		for name, v := range change {
			m[name] = v
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		parts[0] = base64.RawURLEncoding.EncodeToString(b)
		return url.Values{"response": {strings.Join(parts, ".")}}
	}
	for _, tt := range []struct {
		id, name string
		form     url.Values
		inClear  bool // the request asked for direct_post
		want     error
	}{
		{"", "good, encrypted", sealed(good), false, nil},
		{"", "good, with more members", sealed(`{"vp_token":{"card":["x~"]},"state":"STATE","x":{"y":[]}}`), false, nil},
		{"", "good, in the clear", plain("vp_token", `{"card":["x~"]}`, "state", state, "x", "y"), true, nil},
		{"VP-08", "in the clear where encryption was asked for", plain("vp_token", `{"card":["x~"]}`, "state", state), false, oid4vp.ErrEncryption},
		{"VP-08", "nothing where encryption was asked for", plain("state", state), false, oid4vp.ErrEncryption},
		{"VP-08", "an error in the clear", plain("error", "access_denied", "state", state), false, nil},
		{"VP-08", "an error, encrypted", sealed(`{"error":"access_denied","state":"STATE"}`), false, nil},
		{"VP-08", "encrypted where nobody asked for it", sealed(good), true, oid4vp.ErrEncryption},
		{"VP-08", "presentations and an error", plain("vp_token", `{"card":["x~"]}`, "error", "access_denied", "state", state), false, oid4vp.ErrMalformed},
		{"VP-08", "an error with a token inside", sealed(`{"vp_token":{"card":["x~"]},"error":"access_denied","state":"STATE"}`), false, oid4vp.ErrMalformed},
		{"VP-09", "for another key of that name", seal(strings.Replace(good, "STATE", state, 1), other.Public(), jose.A128GCM), false, oid4vp.ErrEncryption},
		{"VP-09", "for a key of another name", seal(strings.Replace(good, "STATE", state, 1), named.Public(), jose.A128GCM), false, oid4vp.ErrEncryption},
		{"VP-09", "kid unknown, for our key", seal(strings.Replace(good, "STATE", state, 1), renamed, jose.A128GCM), false, oid4vp.ErrEncryption},
		{"VP-09", "another alg", header(map[string]any{"alg": "ECDH-ES+A128KW"}), false, oid4vp.ErrEncryption},
		{"VP-09", "another enc", header(map[string]any{"enc": "A128CBC-HS256"}), false, oid4vp.ErrEncryption},
		{"VP-09", "compressed", header(map[string]any{"zip": "DEF"}), false, oid4vp.ErrEncryption},
		{"VP-09", "another apv", header(map[string]any{"apv": "AA"}), false, oid4vp.ErrEncryption},
		{"VP-09", "a signed token", plain("response", "a.b.c"), false, oid4vp.ErrEncryption},
		{"VP-09", "not encrypted", plain("response", good), false, oid4vp.ErrEncryption},
		{"VP-01", "another state", sealed(strings.Replace(good, "STATE", "other", 1)), false, oid4vp.ErrState},
		{"VP-11", "no state", sealed(`{"vp_token":{"card":["x~"]}}`), false, oid4vp.ErrState},
		{"VP-11", "a state that is no text", sealed(`{"vp_token":{"card":["x~"]},"state":7}`), false, oid4vp.ErrMalformed},
		{"VP-01", "an error with another state", plain("error", "access_denied", "state", "other"), false, oid4vp.ErrState},
		{"8.1", "no vp_token", sealed(`{"state":"STATE"}`), false, oid4vp.ErrMalformed},
		{"8.1", "vp_token a text", sealed(`{"vp_token":"x~","state":"STATE"}`), false, oid4vp.ErrMalformed},
		{"8.1", "vp_token a list", sealed(`{"vp_token":["x~"],"state":"STATE"}`), false, oid4vp.ErrMalformed},
		{"8.1", "vp_token empty", sealed(`{"vp_token":{},"state":"STATE"}`), false, oid4vp.ErrMalformed},
		{"8.1", "a presentation outside of a list", sealed(`{"vp_token":{"card":"x~"},"state":"STATE"}`), false, oid4vp.ErrMalformed},
		{"8.1", "no presentations", sealed(`{"vp_token":{"card":[]},"state":"STATE"}`), false, oid4vp.ErrMalformed},
		{"8.1", "an id that no query has", sealed(`{"vp_token":{"a.b":["x~"]},"state":"STATE"}`), false, oid4vp.ErrMalformed},
		{"8.1", "an id twice", sealed(`{"vp_token":{"card":["x~"],"card":["y~"]},"state":"STATE"}`), false, oid4vp.ErrMalformed},
		{"8.1", "a presentation that is an object", sealed(`{"vp_token":{"card":[{}]},"state":"STATE"}`), false, oid4vp.ErrNotSupported},
		{"8.1", "an empty presentation", sealed(`{"vp_token":{"card":[""]},"state":"STATE"}`), false, oid4vp.ErrNotSupported},
		{"8.1", "no JSON inside", sealed(`x`), false, oid4vp.ErrMalformed},
		{"8.1", "no JSON", plain("vp_token", "x", "state", state), true, oid4vp.ErrMalformed},
		{"8.2", "a parameter twice", plain("vp_token", `{"card":["x~"]}`, "state", state, "state", state), true, oid4vp.ErrMalformed},
		{"8.2", "a presentation twice", plain("vp_token", `{"card":["x~"]}`, "vp_token", `{"card":["x~"]}`, "state", state), true, oid4vp.ErrMalformed},
		{"8.5", "an error without code", plain("error", "", "state", state), false, oid4vp.ErrMalformed},
		{"8.5", "an error with a line break", plain("error", "a\nb", "state", state), false, oid4vp.ErrMalformed},
		{"8.5", "an error with a long code", plain("error", strings.Repeat("a", 129), "state", state), false, oid4vp.ErrMalformed},
		{"VP-13", "10000 presentations", sealed(`{"vp_token":{"card":[` + strings.Repeat(`"x~",`, 9_999) + `"x~"]},"state":"STATE"}`), false, oid4vp.ErrTooLarge},
		{"VP-13", "65 presentations", sealed(`{"vp_token":{"card":[` + strings.Repeat(`"x~",`, 64) + `"x~"]},"state":"STATE"}`), false, oid4vp.ErrTooLarge},
		{"VP-13", "50 MB", plain("vp_token", strings.Repeat("a", 50<<20), "state", state), true, oid4vp.ErrTooLarge},
		{"VP-13", "50 MB of something else", plain("vp_token", `{"card":["x~"]}`, "state", state, "x", strings.Repeat("a", 50<<20)), true, oid4vp.ErrTooLarge},
		{"VP-13", "50 MB encrypted", plain("response", strings.Repeat("a", 50<<20)), false, oid4vp.ErrTooLarge},
		{"VP-13", "more than a response may have", plain("vp_token", `{"card":["`+strings.Repeat("a", 1<<20)+`"]}`, "state", state), true, oid4vp.ErrTooLarge},
	} {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			want := s.expected()
			if tt.inClear {
				want.Mode, want.Key = oid4vp.DirectPost, nil
			}
			got, err := oid4vp.ParseResponse(tt.form, want)
			if !errors.Is(err, tt.want) || (got == nil) != (tt.want != nil) {
				t.Fatalf("ParseResponse: %+v, %v, want %v", got, err, tt.want)
			}
			if e, ok := errors.AsType[*oid4vp.Error](err); ok && e.Status() != map[bool]int{true: 413, false: 400}[errors.Is(err, oid4vp.ErrTooLarge)] {
				t.Errorf("status %d", e.Status())
			}
		})
	}
	narrow := s.expected()
	narrow.Encryptions = []jose.Encryption{jose.A256GCM}
	if got, err := oid4vp.ParseResponse(sealed(good), narrow); !errors.Is(err, oid4vp.ErrEncryption) {
		t.Errorf("VP-09 an encryption that was not offered: %+v, %v", got, err)
	}
	for name, want := range map[string]oid4vp.ExpectResponse{
		"no mode": {}, "no key": {Mode: oid4vp.DirectPostJWT}, "a key in the clear": {Mode: oid4vp.DirectPost, Key: s.decrypt}, "another mode": {Mode: "fragment"},
	} {
		var e *oid4vp.Error
		if _, err := oid4vp.ParseResponse(sealed(good), want); err == nil || errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestResponseEncryptionVector is the encrypted response of section 8.3.
func TestResponseEncryptionVector(t *testing.T) {
	var v struct {
		Key struct {
			KID string
			D   string
		} `json:"recipient_private_jwk"`
		JWE string `json:"jwe_compact"`
	}
	if err := json.Unmarshal(vector(t, "response-encryption.json"), &v); err != nil {
		t.Fatal(err)
	}
	secret, err := base64.RawURLEncoding.DecodeString(v.Key.D)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.RestoreDecryptionKey(v.Key.KID, secret)
	if err != nil {
		t.Fatal(err)
	}
	got, err := oid4vp.ParseResponse(url.Values{"response": {v.JWE}}, oid4vp.ExpectResponse{Mode: oid4vp.DirectPostJWT, Key: key})
	if err != nil || len(got.Token) != 1 || got.Token["example_credential_id"][0] != "eyJhb...YMetA" {
		t.Errorf("ParseResponse: %+v, %v", got, err)
	}
}

// TestRefusalVector is the error of section 8.2.
func TestRefusalVector(t *testing.T) {
	form, err := url.ParseQuery("error=invalid_request&error_description=unsupported%20client_id_prefix&state=eyJhb...6-sVA")
	if err != nil {
		t.Fatal(err)
	}
	got, err := oid4vp.ParseResponse(form, oid4vp.ExpectResponse{Mode: oid4vp.DirectPost, State: "eyJhb...6-sVA"})
	if err != nil || got.Refusal == nil || got.Refusal.Code != oid4vp.InvalidRequest || got.Refusal.Description != "unsupported client_id_prefix" {
		t.Errorf("ParseResponse: %+v, %v", got, err)
	}
}

func TestReply(t *testing.T) {
	code := secret(t)
	uri, err := oid4vp.WithResponseCode("https://shop.example/done?order=7", code)
	if err != nil || uri != "https://shop.example/done?order=7&response_code="+code {
		t.Fatalf("WithResponseCode: %s, %v", uri, err)
	}
	for _, r := range []oid4vp.Reply{{}, {RedirectURI: uri}} {
		if got, err := oid4vp.ParseReply(r.JSON(), false); err != nil || got != r {
			t.Errorf("%s: %+v, %v", r.JSON(), got, err)
		}
	}
	// The example of section 8.2 has the code in the fragment.
	if got, err := oid4vp.ParseReply(vector(t, "inline", "24-response-mode-post.body.json"), false); err != nil || got.RedirectURI != "https://client.example.org/cb#response_code=091535f699ea575c7937fa5f0f454aee" {
		t.Errorf("the example: %+v, %v", got, err)
	}
	if got, err := oid4vp.ParseReply([]byte(`{"redirect_uri":"http://localhost:8080/done","x":1}`), true); err != nil || got.RedirectURI == "" {
		t.Errorf("loopback: %v", err)
	}
	// The verifier may be an app.
	if got, err := oid4vp.ParseReply([]byte(`{"redirect_uri":"com.example.shop:/done?response_code=1#2"}`), false); err != nil || got.RedirectURI != "com.example.shop:/done?response_code=1#2" {
		t.Errorf("an app: %+v, %v", got, err)
	}
	for _, tt := range []struct{ id, name, in string }{
		{"VP-07", "a scheme that is no domain name", `{"redirect_uri":"intent:/done"}`},
		{"VP-07", "an app with a line break", `{"redirect_uri":"com.example.shop:/a\nb"}`},
		{"VP-07", "an app, long", `{"redirect_uri":"com.example.shop:/` + strings.Repeat("a", 3<<10) + `"}`},
		{"VP-07", "no JSON", `<html>`},
		{"VP-07", "a list", `[]`},
		{"VP-07", "a number", `{"redirect_uri":7}`},
		{"VP-07", "script", `{"redirect_uri":"javascript:alert(1)"}`},
		{"VP-07", "data", `{"redirect_uri":"data:text/html,x"}`},
		{"VP-07", "a file", `{"redirect_uri":"file:///etc/passwd"}`},
		{"VP-07", "relative", `{"redirect_uri":"/done"}`},
		{"VP-07", "plain http", `{"redirect_uri":"http://shop.example/done"}`},
		{"VP-07", "http on loopback", `{"redirect_uri":"http://localhost/done"}`},
		{"VP-07", "a user", `{"redirect_uri":"https://shop.example@evil.example/"}`},
		{"VP-07", "empty", `{"redirect_uri":""}`},
		{"VP-07", "a line break", `{"redirect_uri":"https://shop.example/#a\nb"}`},
		{"VP-07", "large", `{"redirect_uri":"https://shop.example/` + strings.Repeat("a", 17<<10) + `"}`},
	} {
		if got, err := oid4vp.ParseReply([]byte(tt.in), false); err == nil {
			t.Errorf("%s %s: %+v", tt.id, tt.name, got)
		}
	}
	for name, tt := range map[string][2]string{
		"a weak code": {"https://shop.example/done", "7"}, "no address": {"", code}, "a fragment": {"https://shop.example/done#x", code}, "http": {"http://shop.example/", code},
	} {
		if uri, err := oid4vp.WithResponseCode(tt[0], tt[1]); err == nil {
			t.Errorf("%s: %s", name, uri)
		}
	}
}

// TestNewSecret: 256 bits, never the same, and no answer without them.
func TestNewSecret(t *testing.T) {
	a, b := secret(t), secret(t)
	if a == b || len(a) != 43 {
		t.Errorf("%s and %s", a, b)
	}
	if s, err := oid4vp.NewSecret(strings.NewReader("short")); err == nil {
		t.Errorf("from five bytes: %s", s)
	}
}

// TestErrors: every code has a status, and a description has only what OAuth allows.
func TestErrors(t *testing.T) {
	s := newScene(t)
	for _, code := range oid4vp.Codes() {
		e := &oid4vp.Error{Code: code, Description: "a \"word\" with \\ and é\n"}
		if want := map[bool]int{true: 500, false: 400}[code == oid4vp.ServerError]; e.Status() != want {
			t.Errorf("%s: status %d", code, e.Status())
		}
		got, err := oid4vp.ParseResponse(s.request.Refuse(e), s.expected())
		if err != nil || got.Refusal.Code != code || got.Refusal.Description == "" != (code == oid4vp.AccessDenied) {
			t.Errorf("%s: %+v, %v", code, got, err)
		}
	}
}
