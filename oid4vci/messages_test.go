package oid4vci_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
)

const goodOffer = `{"credential_issuer":"https://issuer.example","credential_configuration_ids":["birth"],` +
	`"grants":{"urn:ietf:params:oauth:grant-type:pre-authorized_code":{"pre-authorized_code":"c","tx_code":{"length":6,"description":"d"}}}}`

// TestOfferRefuses spoils one thing at a time in an offer.
func TestOfferRefuses(t *testing.T) {
	change := func(old, now string) string {
		if !strings.Contains(goodOffer, old) {
			t.Fatalf("the offer has no %s", old)
		}
		return strings.Replace(goodOffer, old, now, 1)
	}
	for _, tt := range []struct {
		name, offer string
		reason      error
	}{
		{"JSON-04 nothing", "", oid4vci.ErrMalformed},
		{"JSON-04 bytes after it", goodOffer + "x", oid4vci.ErrMalformed},
		{"JSON-01 a member twice", change(`{"credential_issuer"`, `{"credential_issuer":"https://a.example","credential_issuer"`), oid4vci.ErrMalformed},
		{"JSON-02 a member in capitals", change(`"credential_issuer"`, `"Credential_Issuer"`), oid4vci.ErrMissing},
		{"JSON-03 too large", goodOffer + strings.Repeat(" ", oid4vci.MaxOffer), oid4vci.ErrTooLarge},
		{"JSON-03 too deep", change(`"length":6`, `"length":6,"x":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)), oid4vci.ErrTooLarge},
		{"VCI-16 issuer over http", change("https://issuer", "http://issuer"), oid4vci.ErrURL},
		{"VCI-16 issuer on this machine over http", change("https://issuer.example", "http://127.0.0.1:8080"), oid4vci.ErrURL},
		{"VCI-16 issuer with user info", change("https://issuer", "https://u:p@issuer"), oid4vci.ErrURL},
		{"VCI-16 issuer with a query", change("issuer.example", "issuer.example?a=b"), oid4vci.ErrURL},
		{"VCI-16 issuer with an empty query", change("issuer.example", "issuer.example?"), oid4vci.ErrURL},
		{"VCI-16 issuer with a fragment", change("issuer.example", "issuer.example#a"), oid4vci.ErrURL},
		{"VCI-16 issuer without host", change("https://issuer.example", "https:///a"), oid4vci.ErrURL},
		{"VCI-16 issuer with a space", change("issuer.example", "issuer.example/a b"), oid4vci.ErrURL},
		{"VCI-16 issuer of another scheme", change("https://issuer.example", "file:///etc/passwd"), oid4vci.ErrURL},
		{"VCI-16 scheme in capitals", change("https://issuer.example", "HTTPS://issuer.example"), oid4vci.ErrURL},
		{"no issuer", change(`"credential_issuer":"https://issuer.example",`, ""), oid4vci.ErrMissing},
		{"issuer is a number", change(`"https://issuer.example"`, "1"), oid4vci.ErrMalformed},
		{"no configurations", change(`"credential_configuration_ids":["birth"],`, ""), oid4vci.ErrMissing},
		{"empty list of configurations", change(`["birth"]`, "[]"), oid4vci.ErrMalformed},
		{"a configuration twice", change(`["birth"]`, `["birth","birth"]`), oid4vci.ErrRepeated},
		{"a thousand configurations", change(`["birth"]`, numbered(1000)), oid4vci.ErrTooLarge},
		{"grants is a list", change(`"grants":{`, `"x":[],"grants":[],"y":{`), oid4vci.ErrMalformed},
		{"no code", change(`"pre-authorized_code":"c",`, ""), oid4vci.ErrMissing},
		{"an empty code", change(`"pre-authorized_code":"c"`, `"pre-authorized_code":""`), oid4vci.ErrMalformed},
		{"tx_code is a text", change(`{"length":6,"description":"d"}`, `"6"`), oid4vci.ErrMalformed},
		{"tx_code of another alphabet", change(`"length":6`, `"length":6,"input_mode":"emoji"`), oid4vci.ErrUnsupported},
		{"tx_code without length", change(`"length":6`, `"length":0`), oid4vci.ErrMalformed},
		{"tx_code of a million characters", change(`"length":6`, `"length":1000000`), oid4vci.ErrMalformed},
		{"tx_code with 301 characters of description", change(`"description":"d"`, `"description":"`+strings.Repeat("é", 301)+`"`), oid4vci.ErrTooLarge},
		{"VCI-17 an authorization server over http", change(`"pre-authorized_code":"c"`, `"pre-authorized_code":"c","authorization_server":"http://a.example"`), oid4vci.ErrURL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := oid4vci.Reader{}.Offer([]byte(tt.offer))
			refused(t, err, oid4vci.InvalidRequest, tt.reason)
		})
	}
	if _, err := (oid4vci.Reader{}).Offer([]byte(change(`"length":6`, `"length":6,"further":[1]`))); err != nil {
		t.Errorf("further members: %v", err)
	}
	// An empty object still means that a code is needed.
	o, err := oid4vci.Reader{}.Offer([]byte(change(`{"length":6,"description":"d"}`, `{}`)))
	if err != nil || o.PreAuthorized.TxCode == nil || o.PreAuthorized.TxCode.Mode != oid4vci.Numeric {
		t.Errorf("tx_code {}: %v", err)
	}
}

func numbered(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%q", fmt.Sprint(i))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func TestOfferLinks(t *testing.T) {
	for _, tt := range []struct {
		name, link string
		loopback   bool
		want       error
	}{
		{"by reference", "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fissuer.example%2Foffer%2F1", false, nil},
		{"HAIP", "haip-vci://?credential_offer_uri=https%3A%2F%2Fissuer.example%2Foffer%2F1", false, nil},
		{"https", "https://wallet.example/offer?credential_offer_uri=https%3A%2F%2Fissuer.example%2Foffer%2F1", false, nil},
		{"scheme in capitals", "OPENID-CREDENTIAL-OFFER://?credential_offer_uri=https%3A%2F%2Fissuer.example%2Foffer%2F1", false, nil},
		{"VCI-16 this machine, where allowed", "openid-credential-offer://?credential_offer_uri=http%3A%2F%2F127.0.0.1%3A8080%2Foffer%2F1", true, nil},
		{"VCI-16 this machine", "openid-credential-offer://?credential_offer_uri=http%3A%2F%2F127.0.0.1%3A8080%2Foffer%2F1", false, oid4vci.ErrURL},
		{"VCI-16 another machine over http, where loopback is allowed", "openid-credential-offer://?credential_offer_uri=http%3A%2F%2F10.0.0.1%2Foffer", true, oid4vci.ErrURL},
		{"VCI-16 user info", "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fa%40issuer.example%2Foffer", false, oid4vci.ErrURL},
		{"VCI-16 a file", "openid-credential-offer://?credential_offer_uri=file%3A%2F%2F%2Fetc%2Fpasswd", false, oid4vci.ErrURL},
		{"another scheme", "openid4vp://?credential_offer_uri=https%3A%2F%2Fissuer.example", false, oid4vci.ErrURL},
		{"no query", "openid-credential-offer://", false, oid4vci.ErrMissing},
		{"another parameter", "openid-credential-offer://?offer=1", false, oid4vci.ErrMissing},
		{"by value and by reference", "openid-credential-offer://?credential_offer=%7B%7D&credential_offer_uri=https%3A%2F%2Fissuer.example", false, oid4vci.ErrConflict},
		{"JSON-06 twice", "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fa.example&credential_offer_uri=https%3A%2F%2Fb.example", false, oid4vci.ErrRepeated},
		{"half an escape", "openid-credential-offer://?credential_offer=%7", false, oid4vci.ErrMalformed},
		{"JSON-03 100 KiB", "openid-credential-offer://?credential_offer=" + longText(100<<10), false, oid4vci.ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := oid4vci.Reader{LoopbackHTTP: tt.loopback}.OfferLink(tt.link)
			if tt.want != nil {
				refused(t, err, oid4vci.InvalidRequest, tt.want)
			} else if err != nil || got.URI == "" || got.Offer != nil {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	if _, err := oid4vci.ReferenceLink("https://wallet.example/offer?x=1", "https://issuer.example/offer/1"); !errors.Is(err, oid4vci.ErrURL) {
		t.Errorf("a link that begins with a query: %v", err)
	}
}

func TestWellKnown(t *testing.T) {
	for _, tt := range []struct{ id, name, want string }{
		{"https://issuer.example.com/tenant", oid4vci.IssuerWellKnown, "https://issuer.example.com/.well-known/openid-credential-issuer/tenant"},
		{"https://tenant.issuer.example.com", oid4vci.IssuerWellKnown, "https://tenant.issuer.example.com/.well-known/openid-credential-issuer"},
		{"https://a.example:8443/x/y", oid4vci.ServerWellKnown, "https://a.example:8443/.well-known/oauth-authorization-server/x/y"},
		{"https://a.example/x/", oid4vci.ServerWellKnown, "https://a.example/.well-known/oauth-authorization-server/x"},
		{"https://a.example/x%2Fy", oid4vci.IssuerWellKnown, "https://a.example/.well-known/openid-credential-issuer/x%2Fy"},
	} {
		if got, err := oid4vci.WellKnown(tt.id, tt.name); err != nil || got != tt.want {
			t.Errorf("WellKnown(%s): %s, %v, want %s", tt.id, got, err, tt.want)
		}
	}
	if _, err := oid4vci.WellKnown("https://a.example?x", oid4vci.IssuerWellKnown); !errors.Is(err, oid4vci.ErrURL) {
		t.Errorf("with a query: %v", err)
	}
}

// TestIssuerMetadataRefuses spoils one thing at a time in metadata.
func TestIssuerMetadataRefuses(t *testing.T) {
	m, _ := metadata(t)
	good, err := m.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var configurations string
	for i := range 512 {
		configurations += fmt.Sprintf(`"%d":{"format":"x"},`, i)
	}
	for _, address := range []string{"http://issuer.example", "https://a@issuer.example", "https://issuer.example?x"} {
		_, err := oid4vci.Reader{LoopbackHTTP: true}.IssuerMetadata(bytes.Replace(good, []byte(`"https://issuer.example"`), []byte(`"`+address+`"`), 1), address)
		refused(t, err, oid4vci.InvalidRequest, oid4vci.ErrURL) // VCI-16
	}
	for _, tt := range []struct {
		name, old, new string
		reason         error
	}{
		{"VCI-17 of another issuer", `"credential_issuer":"https://issuer.example"`, `"credential_issuer":"https://other.example"`, oid4vci.ErrIssuer},
		{"VCI-17 a slash more", `"credential_issuer":"https://issuer.example"`, `"credential_issuer":"https://issuer.example/"`, oid4vci.ErrIssuer},
		{"VCI-17 host in capitals", `"credential_issuer":"https://issuer.example"`, `"credential_issuer":"https://Issuer.example"`, oid4vci.ErrIssuer},
		{"VCI-16 endpoint over http", `"credential_endpoint":"https`, `"credential_endpoint":"http`, oid4vci.ErrURL},
		{"VCI-16 an address without end", `"credential_endpoint":"https:`, `"credential_endpoint":"https://issuer.example:/x`, oid4vci.ErrURL},
		{"VCI-16 authorization server over http", `{"batch`, `{"authorization_servers":["http://as.example"],"batch`, oid4vci.ErrURL},
		{"VCI-16 authorization server with a query", `{"batch`, `{"authorization_servers":["https://as.example?x"],"batch`, oid4vci.ErrURL},
		{"more configurations than are read", `"credential_configurations_supported":{`, `"credential_configurations_supported":{` + configurations, oid4vci.ErrTooLarge},
		{"VCI-16 nonce endpoint with user info", `"nonce_endpoint":"https://`, `"nonce_endpoint":"https://a@`, oid4vci.ErrURL},
		{"VCI-16 deferred endpoint is a file", `"deferred_credential_endpoint":"https:`, `"deferred_credential_endpoint":"file:`, oid4vci.ErrURL},
		{"no credential endpoint", `"credential_endpoint"`, `"x"`, oid4vci.ErrMissing},
		{"no configurations", `"credential_configurations_supported"`, `"x"`, oid4vci.ErrMissing},
		{"JSON-01 a member twice", `{"batch`, `{"nonce_endpoint":"https://a.example","batch`, oid4vci.ErrMalformed},
		{"a language twice", `"locale":"ar"`, `"locale":"en"`, oid4vci.ErrRepeated},
		{"batch of one", `"batch_size":10`, `"batch_size":1`, oid4vci.ErrMalformed},
		{"batch without size", `"batch_size":10`, `"x":1`, oid4vci.ErrMissing},
		{"no vct", `"vct":`, `"x":`, oid4vci.ErrMissing},
		{"no format", `"format":`, `"x":`, oid4vci.ErrMissing},
		{"a binding without proof types", `"proof_types_supported"`, `"x"`, oid4vci.ErrMissing},
		{"a proof type without algorithms", `"proof_signing_alg_values_supported":["ES256"]`, `"x":1`, oid4vci.ErrMissing},
		{"two descriptions of one claim", `["given_name"]`, `["parents2",0]`, oid4vci.ErrRepeated},
		{"one element and all of them", `["given_name"]`, `["parents2",null]`, oid4vci.ErrConflict},
		{"an array that is an object, too", `["given_name"]`, `["parents2","mother"]`, oid4vci.ErrConflict},
		{"a path with a negative index", `["parents2",0]`, `["parents2",-1]`, oid4vci.ErrMalformed},
		{"an empty path", `["parents2",0]`, `[]`, oid4vci.ErrMalformed},
		{"a logo without address", `"uri":`, `"x":`, oid4vci.ErrMissing},
		{"an encryption key without kid", `"kid":"enc-1",`, ``, oid4vci.ErrKey},
		{"an encryption key without alg", `"alg":"ECDH-ES",`, ``, oid4vci.ErrKey},
		{"SIG-05 a private encryption key", `"crv":"P-256","kid"`, `"d":"AAAA","crv":"P-256","kid"`, oid4vci.ErrPrivateKey},
		{"encryption_required is missing", `"encryption_required"`, `"x"`, oid4vci.ErrMissing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(string(good), tt.old) {
				t.Fatalf("the metadata have no %s:\n%s", tt.old, good)
			}
			_, err := oid4vci.Reader{}.IssuerMetadata([]byte(strings.Replace(string(good), tt.old, tt.new, 1)), issuer)
			refused(t, err, oid4vci.InvalidRequest, tt.reason)
		})
	}
	refuse := func(name, old, new string) {
		_, err := oid4vci.Reader{}.IssuerMetadata([]byte(strings.ReplaceAll(strings.Replace(string(good), `"encryption_required":false`, `"encryption_required":true`, 1), old, new)), issuer)
		if !errors.Is(err, oid4vci.ErrUnsupported) {
			t.Errorf("%s: %v, want %v", name, err, oid4vci.ErrUnsupported)
		}
	}
	refuse("VCI-11 encryption needed that we do not have", `["A128GCM","A256GCM"]`, `["A128CBC-HS256"]`)
	good = []byte(strings.ReplaceAll(string(good), `"encryption_required":false`, `"encryption_required":true`))
	refuse("VCI-11 encryption of responses needed that we do not have", `["ECDH-ES"]`, `["RSA-OAEP"]`)
}

// TestServerChoice sees that an offer cannot bring in an authorization server.
func TestServerChoice(t *testing.T) {
	m, _ := metadata(t)
	if s, err := m.Server(""); err != nil || s != issuer {
		t.Errorf("its own: %s, %v", s, err)
	}
	_, err := m.Server("https://evil.example")
	refused(t, err, oid4vci.InvalidRequest, oid4vci.ErrIssuer) // VCI-17
	m.Servers = []string{"https://as.example", "https://as2.example"}
	if s, err := m.Server("https://as2.example"); err != nil || s != "https://as2.example" {
		t.Errorf("the one that is named: %s, %v", s, err)
	}
	_, err = m.Server("https://as2.example/")
	refused(t, err, oid4vci.InvalidRequest, oid4vci.ErrIssuer)
}

func TestSignedMetadataRefuses(t *testing.T) {
	m, _ := metadata(t)
	s := holder(t, "metadata")
	good, err := oid4vci.SignMetadata(randReader, s, nil, m, now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := (oid4vci.Reader{}).SignedIssuerMetadata(good, issuer, now, trusts(s)); err != nil || got.Issuer != issuer {
		t.Fatalf("got %+v, %v", got, err)
	}
	claims := claimsOf(t, good)
	for _, tt := range []struct {
		name    string
		spoil   func(c map[string]any, h *jose.Header)
		trusted oid4vci.TrustedKeys
		at      time.Time
		reason  error
	}{
		{"VCI-21 by nobody we trust", nil, noOne, now, oid4vci.ErrUntrusted},
		{"VCI-21 by another key", nil, trusts(holder(t, "other")), now, oid4vci.ErrSignature},
		{"JWS-08 with the 4 of other names", func(_ map[string]any, h *jose.Header) { h.Type = "openid4vci-issuer-metadata+jwt" }, nil, now, oid4vci.ErrType},
		{"VCI-17 about another issuer", func(c map[string]any, _ *jose.Header) { c["sub"] = "https://other.example" }, nil, now, oid4vci.ErrIssuer},
		{"VCI-17 of another issuer inside", func(c map[string]any, _ *jose.Header) { c["credential_issuer"] = "https://other.example" }, nil, now, oid4vci.ErrIssuer},
		{"without sub", func(c map[string]any, _ *jose.Header) { delete(c, "sub") }, nil, now, oid4vci.ErrMissing},
		{"without iat", func(c map[string]any, _ *jose.Header) { delete(c, "iat") }, nil, now, oid4vci.ErrMissing},
		{"expired", nil, nil, now.Add(time.Hour), oid4vci.ErrTime},
		{"of the future", nil, nil, now.Add(-2 * time.Minute), oid4vci.ErrTime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, h := map[string]any{}, jose.Header{Type: oid4vci.MetadataTyp}
			for k, v := range claims {
				c[k] = v
			}
			if tt.spoil != nil {
				tt.spoil(c, &h)
			}
			trusted := tt.trusted
			if trusted == nil {
				trusted = trusts(s)
			}
			_, err := oid4vci.Reader{}.SignedIssuerMetadata(signed(t, s, h, c), issuer, tt.at, trusted)
			refused(t, err, oid4vci.InvalidRequest, tt.reason)
		})
	}
}

func TestServerMetadataRefuses(t *testing.T) {
	good, err := serverMetadata().JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, old, new string
		reason         error
	}{
		{"OA-04 of another server", `"issuer":"https://issuer.example"`, `"issuer":"https://other.example"`, oid4vci.ErrIssuer},
		{"OA-04 a slash more", `"issuer":"https://issuer.example"`, `"issuer":"https://issuer.example/"`, oid4vci.ErrIssuer},
		{"VCI-16 token endpoint over http", `"token_endpoint":"https`, `"token_endpoint":"http`, oid4vci.ErrURL},
		{"VCI-16 an identifier over http", `"issuer":"https://issuer.example"`, `"issuer":"http://issuer.example"`, oid4vci.ErrURL},
		{"VCI-16 an identifier with a query", `"issuer":"https://issuer.example"`, `"issuer":"https://issuer.example?x"`, oid4vci.ErrURL},
		{"no token endpoint", `"token_endpoint":`, `"x":`, oid4vci.ErrMissing},
		{"require_pushed_authorization_requests is a text", `requests":true`, `requests":"true"`, oid4vci.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(string(good), tt.old) {
				t.Fatalf("the metadata have no %s", tt.old)
			}
			asked := issuer
			if tt.reason == oid4vci.ErrURL {
				_, asked, _ = strings.Cut(strings.TrimSuffix(tt.new, `"`), `:"`)
			}
			_, err := oid4vci.Reader{}.ServerMetadata([]byte(strings.Replace(string(good), tt.old, tt.new, 1)), asked)
			refused(t, err, oid4vci.InvalidRequest, tt.reason)
		})
	}
	for name, spoil := range map[string]func(*oid4vci.ServerMetadata){
		"OA-02 PKCE": func(m *oid4vci.ServerMetadata) { m.ChallengeMethods = []string{"plain"} }, "PAR": func(m *oid4vci.ServerMetadata) { m.PAREndpoint = "" },
		"OA-04 iss": func(m *oid4vci.ServerMetadata) { m.IssParameter = false }, "DPoP": func(m *oid4vci.ServerMetadata) { m.DPoPAlgorithms = nil },
		"the code flow":      func(m *oid4vci.ServerMetadata) { m.GrantTypes = []oid4vci.GrantType{oid4vci.PreAuthorizedCode} },
		"a place to sign in": func(m *oid4vci.ServerMetadata) { m.AuthorizationEndpoint = "" },
	} {
		m := serverMetadata()
		spoil(&m)
		if err := m.CheckCodeFlow(); !errors.Is(err, oid4vci.ErrUnsupported) {
			t.Errorf("without %s: %v, want %v", name, err, oid4vci.ErrUnsupported)
		}
	}
}

// TestPushedRequestRefuses spoils one thing at a time in a pushed request.
func TestPushedRequestRefuses(t *testing.T) {
	challenge := oid4vci.PKCEChallenge("a-verifier")
	good := func() url.Values {
		return url.Values{"response_type": {"code"}, "client_id": {client}, "redirect_uri": {back}, "code_challenge": {challenge},
			"code_challenge_method": {"S256"}, "scope": {"birth"}, "x": {"unknown"}}
	}
	if _, err := oid4vci.ParsePushedRequest(good()); err != nil {
		t.Fatal(err)
	}
	query := good()
	query.Set("response_mode", "query")
	if _, err := oid4vci.ParsePushedRequest(query); err != nil {
		t.Errorf("the usual response mode: %v", err)
	}
	set := func(name, value string) func(url.Values) { return func(v url.Values) { v.Set(name, value) } }
	del := func(name string) func(url.Values) { return func(v url.Values) { v.Del(name) } }
	for _, tt := range []struct {
		name   string
		spoil  func(url.Values)
		code   oid4vci.Code
		reason error
	}{
		{"OA-02 no PKCE", del("code_challenge"), oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"OA-02 no method, which means plain", del("code_challenge_method"), oid4vci.InvalidRequest, oid4vci.ErrPKCE},
		{"OA-02 plain", set("code_challenge_method", "plain"), oid4vci.InvalidRequest, oid4vci.ErrPKCE},
		{"OA-02 a method in small letters", set("code_challenge_method", "s256"), oid4vci.InvalidRequest, oid4vci.ErrPKCE},
		{"OA-02 a challenge that is no digest", set("code_challenge", "short"), oid4vci.InvalidRequest, oid4vci.ErrPKCE},
		{"OA-02 a challenge of 43 letters that are no digest", set("code_challenge", strings.Repeat("!", 43)), oid4vci.InvalidRequest, oid4vci.ErrPKCE},
		{"OA-02 a challenge of another hash", set("code_challenge", strings.Repeat("A", 64)), oid4vci.InvalidRequest, oid4vci.ErrPKCE},
		{"OA-05 a request_uri inside", set("request_uri", "urn:ietf:params:oauth:request_uri:x"), oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"OA-11 a request object inside", set("request", "e30.e30."), oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"JSON-06 a parameter twice", func(v url.Values) { v.Add("scope", "other") }, oid4vci.InvalidRequest, oid4vci.ErrRepeated},
		{"JSON-06 an unknown parameter twice", func(v url.Values) { v.Add("x", "y") }, oid4vci.InvalidRequest, oid4vci.ErrRepeated},
		{"JSON-03 a thousand parameters", func(v url.Values) {
			for i := range 1000 {
				v.Set(fmt.Sprint(i), "x")
			}
		}, oid4vci.InvalidRequest, oid4vci.ErrTooLarge},
		{"no client", del("client_id"), oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"another response type", set("response_type", "token"), oid4vci.UnsupportedResponseType, oid4vci.ErrUnsupported},
		{"another response mode", set("response_mode", "form_post"), oid4vci.InvalidRequest, oid4vci.ErrUnsupported},
		{"nothing asked for", del("scope"), oid4vci.InvalidScope, oid4vci.ErrMissing},
		{"a scope twice", set("scope", "birth birth"), oid4vci.InvalidScope, oid4vci.ErrMalformed},
		{"two spaces in scope", set("scope", "birth  other"), oid4vci.InvalidScope, oid4vci.ErrMalformed},
		{"no redirect_uri", del("redirect_uri"), oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"OA-01 redirect over http", set("redirect_uri", "http://wallet.example/cb"), oid4vci.InvalidRequest, oid4vci.ErrURL},
		{"OA-01 redirect with user info", set("redirect_uri", "https://a@wallet.example/cb"), oid4vci.InvalidRequest, oid4vci.ErrURL},
		{"OA-01 redirect with a fragment", set("redirect_uri", "https://wallet.example/cb#x"), oid4vci.InvalidRequest, oid4vci.ErrURL},
		{"OA-01 redirect to a script", set("redirect_uri", "javascript:alert(1)"), oid4vci.InvalidRequest, oid4vci.ErrURL},
		{"OA-01 redirect to data", set("redirect_uri", "data:text/html,x"), oid4vci.InvalidRequest, oid4vci.ErrURL},
		{"OA-01 redirect with a line break", set("redirect_uri", "https://wallet.example/cb\r\nX: y"), oid4vci.InvalidRequest, oid4vci.ErrURL},
		{"dpop_jkt that is none", set("dpop_jkt", "x"), oid4vci.InvalidRequest, oid4vci.ErrMalformed},
		{"details that are no JSON", set("authorization_details", "["), oid4vci.InvalidAuthorizationDetails, oid4vci.ErrMalformed},
		{"details of nothing", set("authorization_details", "[]"), oid4vci.InvalidAuthorizationDetails, oid4vci.ErrMalformed},
		{"details that are no list", set("authorization_details", "{}"), oid4vci.InvalidAuthorizationDetails, oid4vci.ErrMalformed},
		{"more details than are read", set("authorization_details", `[{"type":"openid_credential","credential_configuration_id":"a"}`+
			strings.Repeat(`,{"type":"openid_credential","credential_configuration_id":"a"}`, 64)+`]`), oid4vci.InvalidAuthorizationDetails, oid4vci.ErrMalformed},
		{"details of another type", set("authorization_details", `[{"type":"payment"}]`), oid4vci.InvalidAuthorizationDetails, oid4vci.ErrUnsupported},
		{"details without configuration", set("authorization_details", `[{"type":"openid_credential"}]`), oid4vci.InvalidAuthorizationDetails, oid4vci.ErrMissing},
		{"a detail that is a text", set("authorization_details", `["x"]`), oid4vci.InvalidAuthorizationDetails, oid4vci.ErrMalformed},
		{"details of 32 KiB", set("authorization_details", longText(32<<10)), oid4vci.InvalidRequest, oid4vci.ErrTooLarge},
		{"two requests that contradict each other", set("authorization_details", `[{"type":"openid_credential","credential_configuration_id":"a","claims":[{"path":["x",null,"y"]},{"path":["x",0]}]}]`),
			oid4vci.InvalidAuthorizationDetails, oid4vci.ErrConflict},
		{"two requests for one claim", set("authorization_details", `[{"type":"openid_credential","credential_configuration_id":"a","claims":[{"path":["x"]},{"path":["x"]}]}]`),
			oid4vci.InvalidAuthorizationDetails, oid4vci.ErrRepeated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := good()
			tt.spoil(v)
			_, err := oid4vci.ParsePushedRequest(v)
			refused(t, err, tt.code, tt.reason)
		})
	}
}

func TestRedirectURI(t *testing.T) {
	allowed := []string{"https://wallet.example/cb", "com.example.wallet:/cb", "http://127.0.0.1:8080/cb", "http://[::1]/cb"}
	// RFC 8252 section 7.3: the port of an app on this machine is any.
	for _, uri := range append(allowed, "http://127.0.0.1:40123/cb", "http://127.0.0.1/cb", "http://[::1]:40123/cb", "http://[::1]:1/cb") {
		if err := oid4vci.CheckRedirectURI(uri, allowed); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
	for _, uri := range []string{"https://wallet.example/cb/x", "https://wallet.example/CB", "https://wallet.example/cb?x=1", "https://wallet.example:443/cb",
		"https://wallet.example/cb/../evil", "https://Wallet.example/cb", "", "http://127.0.0.1:8080/cb/x", "http://127.0.0.1:8080/cb?x=1", "http://127.0.0.2:8080/cb",
		"http://localhost:8080/cb", "https://127.0.0.1:8080/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:08080/cb", "http://u@127.0.0.1:8080/cb", "http://127.0.0.1:1@evil.example/cb",
		"http://127.0.0.1:99999/cb", "http://evil.example:8080/cb"} {
		if err := oid4vci.CheckRedirectURI(uri, allowed); !errors.Is(err, oid4vci.ErrURL) {
			t.Errorf("OA-01 %s: %v, want %v", uri, err, oid4vci.ErrURL)
		}
	}
	if err := oid4vci.CheckRedirectURI("http://localhost:8080/cb", nil); err != nil {
		t.Errorf("this machine by its name: %v", err)
	}
	for _, uri := range []string{"wallet:/cb", "ftp://127.0.0.1/cb", "https:///cb", "https://:443/cb", "https:wallet.example/cb"} {
		if err := oid4vci.CheckRedirectURI(uri, nil); !errors.Is(err, oid4vci.ErrURL) {
			t.Errorf("OA-01 %s: %v, want %v", uri, err, oid4vci.ErrURL)
		}
	}
	if err := oid4vci.CheckRedirectURI("https://wallet.example/"+longText(4096), nil); !errors.Is(err, oid4vci.ErrTooLarge) {
		t.Errorf("OA-01 an address without end: %v", err)
	}
	// What is there already stays.
	to, err := oid4vci.AuthorizationResponse{Code: "c", State: "s", Issuer: issuer}.Redirect("https://wallet.example/cb?x=1")
	if err != nil || !strings.HasPrefix(to, "https://wallet.example/cb?x=1&code=c&") {
		t.Errorf("got %s, %v", to, err)
	}
}

func TestAuthorizationQueryRefuses(t *testing.T) {
	for name, q := range map[string]url.Values{
		"OA-05 not pushed":             {"client_id": {client}, "response_type": {"code"}},
		"OA-05 of somebody else":       {"client_id": {client}, "request_uri": {"https://evil.example/request.jwt"}},
		"OA-05 no client":              {"request_uri": {"urn:ietf:params:oauth:request_uri:x"}},
		"JSON-06 two of a request_uri": {"client_id": {client}, "request_uri": {"urn:ietf:params:oauth:request_uri:x", "urn:ietf:params:oauth:request_uri:y"}},
	} {
		if _, _, err := oid4vci.ParseAuthorizationQuery(q); !isRefusal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAuthorizationResponseRefuses(t *testing.T) {
	good := func() url.Values { return url.Values{"code": {"c"}, "state": {"s"}, "iss": {issuer}} }
	for _, tt := range []struct {
		name   string
		spoil  func(url.Values)
		code   oid4vci.Code
		reason error
	}{
		{"OA-04 no iss", func(v url.Values) { v.Del("iss") }, oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"OA-04 another iss", func(v url.Values) { v.Set("iss", "https://evil.example") }, oid4vci.InvalidRequest, oid4vci.ErrIssuer},
		{"OA-04 iss with a slash more", func(v url.Values) { v.Set("iss", issuer+"/") }, oid4vci.InvalidRequest, oid4vci.ErrIssuer},
		{"OA-04 an error of another server", func(v url.Values) {
			v.Del("code")
			v.Set("error", "access_denied")
			v.Set("iss", "https://evil.example")
		}, oid4vci.InvalidRequest, oid4vci.ErrIssuer},
		{"no state", func(v url.Values) { v.Del("state") }, oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"another state", func(v url.Values) { v.Set("state", "t") }, oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"no code", func(v url.Values) { v.Del("code") }, oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"JSON-06 two codes", func(v url.Values) { v.Add("code", "d") }, oid4vci.InvalidRequest, oid4vci.ErrRepeated},
		{"a code and an error", func(v url.Values) { v.Set("error", "access_denied") }, oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"an error", func(v url.Values) { v.Del("code"); v.Set("error", "access_denied") }, oid4vci.AccessDenied, oid4vci.ErrPeer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := good()
			tt.spoil(v)
			_, err := oid4vci.ReadAuthorizationResponse(v, issuer, "s")
			refused(t, err, tt.code, tt.reason)
		})
	}
	// An error of ours comes back as one.
	to, err := oid4vci.NewError(oid4vci.AccessDenied, nil, `the "holder" said no`).Redirect(back, "s", issuer)
	if err != nil {
		t.Fatal(err)
	}
	_, err = oid4vci.ReadAuthorizationResponse(query(t, to), issuer, "s")
	refused(t, err, oid4vci.AccessDenied, oid4vci.ErrPeer)
}

func TestCheckVerifier(t *testing.T) {
	// RFC 7636 appendix B.
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	if err := oid4vci.CheckVerifier(challenge, verifier); err != nil {
		t.Error(err)
	}
	longest := oid4vci.Secret(strings.Repeat("a", 128))
	if err := oid4vci.CheckVerifier(oid4vci.PKCEChallenge(longest), longest); err != nil {
		t.Errorf("the longest verifier: %v", err)
	}
	for _, tt := range []struct{ name, challenge, verifier string }{
		{"OA-02 too long", oid4vci.PKCEChallenge(longest + "a"), string(longest + "a")},
		{"OA-02 another verifier", challenge, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK"},
		{"OA-02 no verifier", challenge, ""},
		{"OA-02 a verifier without challenge", "", verifier},
		{"OA-02 the challenge as verifier", challenge, challenge},
		{"OA-02 too short", oid4vci.PKCEChallenge("abc"), "abc"},
		{"OA-02 another alphabet", oid4vci.PKCEChallenge(oid4vci.Secret(strings.Repeat("ä", 43))), strings.Repeat("ä", 43)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, oid4vci.CheckVerifier(tt.challenge, oid4vci.Secret(tt.verifier)), oid4vci.InvalidGrant, oid4vci.ErrPKCE)
		})
	}
}

func TestTokenRequestRefuses(t *testing.T) {
	const pre = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
	for _, tt := range []struct {
		name, form string
		code       oid4vci.Code
		reason     error
	}{
		{"no grant", "code=c", oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"another grant", "grant_type=password", oid4vci.UnsupportedGrantType, oid4vci.ErrUnsupported},
		{"VCI-01 no code", "grant_type=" + pre, oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"a code without value", "grant_type=" + pre + "&pre-authorized_code=", oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"JSON-06 two codes", "grant_type=" + pre + "&pre-authorized_code=a&pre-authorized_code=b", oid4vci.InvalidRequest, oid4vci.ErrRepeated},
		{"VCI-04 tx_code with another grant", "grant_type=authorization_code&code=c&redirect_uri=https://a.example&code_verifier=v&tx_code=1", oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"both codes", "grant_type=" + pre + "&pre-authorized_code=a&code=b", oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"OA-02 no verifier", "grant_type=authorization_code&code=c&redirect_uri=https://a.example", oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"no redirect_uri", "grant_type=authorization_code&code=c&code_verifier=v", oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"no refresh token", "grant_type=refresh_token", oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"a tx_code of 1 KiB", "grant_type=" + pre + "&pre-authorized_code=a&tx_code=" + longText(1024), oid4vci.InvalidRequest, oid4vci.ErrTooLarge},
		{"details of another type", "grant_type=" + pre + `&pre-authorized_code=a&authorization_details=[{"type":"x"}]`, oid4vci.InvalidAuthorizationDetails, oid4vci.ErrUnsupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := url.ParseQuery(tt.form)
			if err != nil {
				t.Fatal(err)
			}
			_, err = oid4vci.ParseTokenRequest(v)
			refused(t, err, tt.code, tt.reason)
		})
	}
	r := oid4vci.TokenRequest{TxCode: "1234"}
	refused(t, r.CheckTxCode(false), oid4vci.InvalidRequest, oid4vci.ErrConflict) // VCI-04
	r.TxCode = ""
	refused(t, r.CheckTxCode(true), oid4vci.InvalidRequest, oid4vci.ErrMissing) // VCI-04
}

func TestTokenResponseRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		code   oid4vci.Code
		reason error
	}{
		{"OA-08 a token for everybody", 200, `{"access_token":"a","token_type":"Bearer"}`, oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"no type", 200, `{"access_token":"a"}`, oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"no token", 200, `{"token_type":"DPoP"}`, oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"a token with a line break", 200, `{"access_token":"a\nb","token_type":"DPoP"}`, oid4vci.InvalidRequest, oid4vci.ErrMalformed},
		{"a life of a text", 200, `{"access_token":"a","token_type":"DPoP","expires_in":"5"}`, oid4vci.InvalidRequest, oid4vci.ErrMalformed},
		{"details without identifiers", 200, `{"access_token":"a","token_type":"DPoP","authorization_details":[{"type":"openid_credential","credential_configuration_id":"b"}]}`, oid4vci.InvalidRequest, oid4vci.ErrMissing},
		{"an error", 400, `{"error":"invalid_grant","error_description":"gone"}`, oid4vci.InvalidGrant, oid4vci.ErrPeer},
		{"a page", 502, `<html>`, oid4vci.ServerError, oid4vci.ErrPeer},
		{"an error with a line break", 400, `{"error":"a\nb"}`, oid4vci.InvalidRequest, oid4vci.ErrPeer},
		{"a redirection", 302, `{"access_token":"a","token_type":"DPoP"}`, oid4vci.InvalidRequest, oid4vci.ErrPeer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := oid4vci.ReadTokenResponse(tt.status, []byte(tt.body), oid4vci.DPoPToken)
			refused(t, err, tt.code, tt.reason)
		})
	}
}

// TestCredentialRequestRefuses spoils one thing at a time in credential requests.
func TestCredentialRequestRefuses(t *testing.T) {
	_, key := metadata(t)
	other, err := jose.NewDecryptionKey("enc-1")
	if err != nil {
		t.Fatal(err)
	}
	both := []jose.Encryption{jose.A128GCM, jose.A256GCM}
	open := oid4vci.RequestExpect{Keys: []*jose.DecryptionKey{key}, Encryptions: both, ResponseEncryptions: both}
	sealed := func(text string, to *jose.DecryptionKey, enc jose.Encryption) string {
		t.Helper()
		s, err := jose.Encrypt([]byte(text), to.Public(), enc)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	jwk, err := key.Public().JWK()
	if err != nil {
		t.Fatal(err)
	}
	encryption := `"credential_response_encryption":{"jwk":` + string(jwk) + `,"enc":"A128GCM"}`
	change := func(old, now string) string {
		t.Helper()
		whole := `{"credential_configuration_id":"birth",` + encryption + `}`
		if !strings.Contains(whole, old) {
			t.Fatalf("the request has no %s", old)
		}
		return sealed(strings.Replace(whole, old, now, 1), key, jose.A128GCM)
	}
	if _, err := open.CredentialRequest("application/jwt", []byte(change("x", "x"))); err != nil {
		t.Fatal(err)
	}
	const plain = "application/json"
	for _, tt := range []struct {
		name, contentType, body string
		want                    oid4vci.RequestExpect
		code                    oid4vci.Code
		reason                  error
	}{
		{"JSON-07 a form", "application/x-www-form-urlencoded", "a=b", open, oid4vci.InvalidCredentialRequest, oid4vci.ErrUnsupported},
		{"JSON-07 no media type", "", "{}", open, oid4vci.InvalidCredentialRequest, oid4vci.ErrUnsupported},
		{"JSON-07 another charset", "application/json; charset=utf-16", "{}", open, oid4vci.InvalidCredentialRequest, oid4vci.ErrUnsupported},
		{"JSON-01 a member twice", plain, `{"credential_configuration_id":"a","credential_configuration_id":"b"}`, open, oid4vci.InvalidCredentialRequest, oid4vci.ErrMalformed},
		{"VCI-20 1 MiB", plain, `{"credential_configuration_id":"` + longText(1<<20) + `"}`, open, oid4vci.InvalidCredentialRequest, oid4vci.ErrTooLarge},
		{"VCI-20 ten thousand proofs", plain, `{"credential_configuration_id":"a","proofs":{"jwt":` + numbered(10000) + `}}`, open, oid4vci.InvalidCredentialRequest, oid4vci.ErrTooLarge},
		{"VCI-20 a hundred and one proofs", plain, `{"credential_configuration_id":"a","proofs":{"jwt":` + numbered(101) + `}}`, open, oid4vci.InvalidProof, oid4vci.ErrTooLarge},
		{"VCI-09 neither id", plain, `{"format":"dc+sd-jwt","vct":"x"}`, open, oid4vci.InvalidCredentialRequest, oid4vci.ErrMissing},
		{"VCI-09 both ids", plain, `{"credential_configuration_id":"a","credential_identifier":"b"}`, open, oid4vci.InvalidCredentialRequest, oid4vci.ErrConflict},
		{"VCI-06 two types of proof", plain, `{"credential_configuration_id":"a","proofs":{"jwt":["x"],"attestation":["y"]}}`, open, oid4vci.InvalidProof, oid4vci.ErrMalformed},
		{"VCI-06 no type of proof", plain, `{"credential_configuration_id":"a","proofs":{}}`, open, oid4vci.InvalidProof, oid4vci.ErrMalformed},
		{"VCI-06 proofs is a list", plain, `{"credential_configuration_id":"a","proofs":["x"]}`, open, oid4vci.InvalidProof, oid4vci.ErrMalformed},
		{"VCI-06 a type that we do not carry", plain, `{"credential_configuration_id":"a","proofs":{"di_vp":[{}]}}`, open, oid4vci.InvalidProof, oid4vci.ErrUnsupported},
		{"VCI-06 a type without a proof", plain, `{"credential_configuration_id":"a","proofs":{"jwt":[]}}`, open, oid4vci.InvalidProof, oid4vci.ErrMalformed},
		{"VCI-06 a proof that is no list", plain, `{"credential_configuration_id":"a","proofs":{"jwt":"x"}}`, open, oid4vci.InvalidProof, oid4vci.ErrMalformed},
		{"VCI-06 an empty proof", plain, `{"credential_configuration_id":"a","proofs":{"jwt":[""]}}`, open, oid4vci.InvalidProof, oid4vci.ErrMalformed},
		{"VCI-06 a proof that is no text", plain, `{"credential_configuration_id":"a","proofs":{"jwt":[1]}}`, open, oid4vci.InvalidProof, oid4vci.ErrMalformed},
		{"VCI-07 a proof twice", plain, `{"credential_configuration_id":"a","proofs":{"jwt":["x","x"]}}`, open, oid4vci.InvalidProof, oid4vci.ErrRepeated},
		{"VCI-12 two attestations", plain, `{"credential_configuration_id":"a","proofs":{"attestation":["x","y"]}}`, open, oid4vci.InvalidProof, oid4vci.ErrTooLarge},
		{"VCI-10 response encryption in a plain request", plain, `{"credential_configuration_id":"a",` + encryption + `}`, open, oid4vci.InvalidEncryptionParameters, oid4vci.ErrEncryption},
		{"VCI-11 plain where encryption is required", plain, `{"credential_configuration_id":"a"}`, oid4vci.RequestExpect{Keys: open.Keys, Encryptions: both, Required: true}, oid4vci.InvalidEncryptionParameters, oid4vci.ErrEncryption},
		{"VCI-11 no response encryption where it is required", plain, `{"credential_configuration_id":"a"}`, oid4vci.RequestExpect{ResponseRequired: true, ResponseEncryptions: both}, oid4vci.InvalidEncryptionParameters, oid4vci.ErrMissing},
		{"VCI-11 encrypted where that is not offered", "application/jwt", sealed(`{}`, key, jose.A128GCM), oid4vci.RequestExpect{}, oid4vci.InvalidEncryptionParameters, oid4vci.ErrUnsupported},
		{"VCI-11 for another key", "application/jwt", sealed(`{}`, other, jose.A128GCM), open, oid4vci.InvalidEncryptionParameters, oid4vci.ErrEncryption},
		{"VCI-11 an encryption that was not offered", "application/jwt", sealed(`{}`, key, jose.A256GCM), oid4vci.RequestExpect{Keys: open.Keys, Encryptions: both[:1]}, oid4vci.InvalidEncryptionParameters, oid4vci.ErrEncryption},
		{"JWS-10 dots", "application/jwt", dots(4096), open, oid4vci.InvalidEncryptionParameters, oid4vci.ErrEncryption},
		{"VCI-11 response encryption that was not offered", "application/jwt", change(`"enc":"A128GCM"`, `"enc":"A128CBC-HS256"`), open, oid4vci.InvalidEncryptionParameters, oid4vci.ErrAlgorithm},
		{"VCI-11 no enc", "application/jwt", change(`"enc":"A128GCM"`, `"x":1`), open, oid4vci.InvalidEncryptionParameters, oid4vci.ErrMissing},
		{"VCI-11 compression", "application/jwt", change(`"enc":"A128GCM"`, `"enc":"A128GCM","zip":"DEF"`), open, oid4vci.InvalidEncryptionParameters, oid4vci.ErrUnsupported},
		{"VCI-11 a jwk without alg", "application/jwt", change(`"alg":"ECDH-ES",`, ``), open, oid4vci.InvalidEncryptionParameters, oid4vci.ErrAlgorithm},
		{"VCI-11 a jwk on another curve", "application/jwt", change(`"crv":"P-256"`, `"crv":"P-384"`), open, oid4vci.InvalidEncryptionParameters, oid4vci.ErrKey},
		{"SIG-05 a private jwk", "application/jwt", change(`"crv":"P-256"`, `"d":"AAAA","crv":"P-256"`), open, oid4vci.InvalidEncryptionParameters, oid4vci.ErrPrivateKey},
		{"VCI-11 response encryption that is a text", "application/jwt", change(`{"jwk"`, `"x","y":{"jwk"`), open, oid4vci.InvalidEncryptionParameters, oid4vci.ErrMalformed},
		{"VCI-11 response encryption where there is none", "application/jwt", change("x", "x"), oid4vci.RequestExpect{Keys: open.Keys, Encryptions: both}, oid4vci.InvalidEncryptionParameters, oid4vci.ErrUnsupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.want.CredentialRequest(tt.contentType, []byte(tt.body))
			refused(t, err, tt.code, tt.reason)
		})
	}
	// A key that is going out of use still opens what was sent for it.
	rotated := oid4vci.RequestExpect{Keys: []*jose.DecryptionKey{other, key}, Encryptions: both, ResponseEncryptions: both}
	if _, err := rotated.CredentialRequest("application/jwt", []byte(change("x", "x"))); err != nil {
		t.Errorf("with the older of two keys: %v", err)
	}
}

func TestGranted(t *testing.T) {
	known := []string{"birth", "id"}
	byID := oid4vci.Granted{Details: []oid4vci.AuthorizationDetail{{Configuration: "birth", Identifiers: []string{"b1", "b2"}}}}
	byScope := oid4vci.Granted{Configurations: []string{"birth"}}
	for _, tt := range []struct {
		name    string
		granted oid4vci.Granted
		request oid4vci.CredentialRequest
		code    oid4vci.Code
	}{
		{"by identifier", byID, oid4vci.CredentialRequest{Identifier: "b2"}, ""},
		{"by configuration", byScope, oid4vci.CredentialRequest{Configuration: "birth"}, ""},
		{"VCI-09 a configuration where identifiers were given", byID, oid4vci.CredentialRequest{Configuration: "birth"}, oid4vci.InvalidCredentialRequest},
		{"VCI-09 an identifier where none was given", byScope, oid4vci.CredentialRequest{Identifier: "b1"}, oid4vci.InvalidCredentialRequest},
		{"VCI-09 another identifier", byID, oid4vci.CredentialRequest{Identifier: "b3"}, oid4vci.UnknownCredentialIdentifier},
		{"VCI-09 a configuration as identifier", byID, oid4vci.CredentialRequest{Identifier: "birth"}, oid4vci.UnknownCredentialIdentifier},
		{"VCI-09 an unknown configuration", byScope, oid4vci.CredentialRequest{Configuration: "x"}, oid4vci.UnknownCredentialConfiguration},
		{"VCI-09 a configuration that was not granted", byScope, oid4vci.CredentialRequest{Configuration: "id"}, oid4vci.InsufficientScope},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, err := tt.granted.Configuration(&tt.request, known)
			if tt.code != "" {
				refused(t, err, tt.code, nil)
			} else if err != nil || id != "birth" {
				t.Errorf("got %q, %v", id, err)
			}
		})
	}
}

func TestCredentialResponseRefuses(t *testing.T) {
	key, err := jose.NewDecryptionKey("k")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		want   oid4vci.ResponseExpect
		status int
		typ    string
		body   string
		code   oid4vci.Code
		reason error
	}{
		{"an error", oid4vci.ResponseExpect{}, 400, "application/json", `{"error":"invalid_nonce"}`, oid4vci.InvalidNonce, oid4vci.ErrPeer},
		{"VCI-18 more credentials than keys", oid4vci.ResponseExpect{Keys: 1}, 200, "application/json", `{"credentials":[{"credential":"a"},{"credential":"b"}]}`, oid4vci.InvalidRequest, oid4vci.ErrTooLarge},
		{"VCI-11 plain where encryption was asked for", oid4vci.ResponseExpect{Key: key, Encryption: jose.A128GCM}, 200, "application/json", `{"credentials":[{"credential":"a"}]}`, oid4vci.InvalidRequest, oid4vci.ErrEncryption},
		{"VCI-11 encrypted where it was not asked for", oid4vci.ResponseExpect{}, 200, "application/jwt", "a.b.c.d.e", oid4vci.InvalidRequest, oid4vci.ErrUnsupported},
		{"VCI-11 not for our key", oid4vci.ResponseExpect{Key: key, Encryption: jose.A128GCM}, 200, "application/jwt", "a.b.c.d.e", oid4vci.InvalidRequest, oid4vci.ErrEncryption},
		{"credentials and a transaction", oid4vci.ResponseExpect{}, 200, "application/json", `{"credentials":[{"credential":"a"}],"transaction_id":"t","interval":1}`, oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"credentials and a transaction without interval", oid4vci.ResponseExpect{}, 200, "application/json", `{"credentials":[{"credential":"a"}],"transaction_id":"t"}`, oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"credentials and an interval", oid4vci.ResponseExpect{}, 200, "application/json", `{"credentials":[{"credential":"a"}],"interval":1}`, oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"no transaction", oid4vci.ResponseExpect{}, 202, "application/json", `{"interval":1}`, oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"VCI-13 a notification without credentials", oid4vci.ResponseExpect{}, 202, "application/json", `{"transaction_id":"t","interval":1,"notification_id":"n"}`, oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"VCI-14 deferred with the status of credentials", oid4vci.ResponseExpect{}, 200, "application/json", `{"transaction_id":"t","interval":1}`, oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"neither", oid4vci.ResponseExpect{}, 200, "application/json", `{}`, oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"no interval", oid4vci.ResponseExpect{}, 202, "application/json", `{"transaction_id":"t"}`, oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"another status", oid4vci.ResponseExpect{}, 202, "application/json", `{"credentials":[{"credential":"a"}]}`, oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"VCI-14 another transaction", oid4vci.ResponseExpect{TransactionID: "u"}, 202, "application/json", `{"transaction_id":"t","interval":1}`, oid4vci.InvalidRequest, oid4vci.ErrConflict},
		{"a credential that is an object", oid4vci.ResponseExpect{}, 200, "application/json", `{"credentials":[{"credential":{}}]}`, oid4vci.InvalidRequest, oid4vci.ErrMalformed},
		{"a text in place of an object", oid4vci.ResponseExpect{}, 200, "application/json", `{"credentials":["a"]}`, oid4vci.InvalidRequest, oid4vci.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.want.CredentialResponse(tt.status, tt.typ, []byte(tt.body))
			refused(t, err, tt.code, tt.reason)
		})
	}
}

func TestSmallMessagesRefuse(t *testing.T) {
	none := oid4vci.RequestExpect{}
	_, err := none.DeferredRequest("application/json", []byte(`{}`))
	refused(t, err, oid4vci.InvalidCredentialRequest, oid4vci.ErrMissing) // VCI-14
	_, err = none.DeferredRequest("application/json", []byte(`{"transaction_id":["a"]}`))
	refused(t, err, oid4vci.InvalidCredentialRequest, oid4vci.ErrMalformed)
	for name, body := range map[string]string{
		"VCI-13 no id": `{"event":"credential_accepted"}`, "no event": `{"notification_id":"n"}`,
		"another event": `{"notification_id":"n","event":"Credential_Accepted"}`, "JSON-01 twice": `{"notification_id":"n","notification_id":"m","event":"credential_deleted"}`,
	} {
		if _, err := oid4vci.ReadNotification("application/json", []byte(body)); err == nil {
			t.Errorf("%s was taken", name)
		} else {
			refused(t, err, oid4vci.InvalidNotificationRequest, nil)
		}
	}
	_, err = oid4vci.ReadNotification("text/plain", []byte(`{"notification_id":"n","event":"credential_deleted"}`))
	refused(t, err, oid4vci.InvalidNotificationRequest, oid4vci.ErrUnsupported) // JSON-07
	_, err = oid4vci.ReadNonceResponse(200, []byte(`{}`))
	refused(t, err, oid4vci.InvalidRequest, oid4vci.ErrMissing)
	_, err = oid4vci.ReadPushedResponse(201, []byte(`{"request_uri":"u"}`))
	refused(t, err, oid4vci.InvalidRequest, oid4vci.ErrMissing)
	// What comes with another status is not what was asked for, whatever it says.
	for _, status := range []int{199, 300, 400, 401} {
		_, err = oid4vci.ReadNonceResponse(status, []byte(`{"c_nonce":"n"}`))
		refused(t, err, oid4vci.InvalidRequest, oid4vci.ErrPeer)
		_, err = oid4vci.ReadChallengeResponse(status, []byte(`{"attestation_challenge":"c"}`))
		refused(t, err, oid4vci.InvalidRequest, oid4vci.ErrPeer)
		_, err = oid4vci.ReadPushedResponse(status, []byte(`{"request_uri":"u","expires_in":60}`))
		refused(t, err, oid4vci.InvalidRequest, oid4vci.ErrPeer)
	}
	for _, status := range []int{200, 299} {
		if n, err := oid4vci.ReadNonceResponse(status, []byte(`{"c_nonce":"n"}`)); err != nil || n != "n" {
			t.Errorf("a nonce with status %d: %q, %v", status, n, err)
		}
		if c, err := oid4vci.ReadChallengeResponse(status, []byte(`{"attestation_challenge":"c"}`)); err != nil || c != "c" {
			t.Errorf("a challenge with status %d: %q, %v", status, c, err)
		}
	}
	// OUT-02: what the wallet says for developers is one line of plain characters.
	n, err := oid4vci.ReadNotification("application/json", []byte(`{"notification_id":"n","event":"credential_failure","event_description":"a\nb\"\u202e"}`))
	if err != nil || n.Description == "" || strings.ContainsAny(n.Description, "\n\"\u202e") {
		t.Errorf("a notification's description: %+v, %v", n, err)
	}
}

// TestErrors sees the status of each code, and that nothing leaves the alphabet of
// error_description.
func TestErrors(t *testing.T) {
	for code, want := range map[oid4vci.Code][2]int{
		oid4vci.InvalidRequest: {400, 400}, oid4vci.InvalidGrant: {400, 400}, oid4vci.InvalidClient: {401, 401}, oid4vci.UseDPoPNonce: {400, 401},
		oid4vci.InvalidDPoPProof: {400, 401}, oid4vci.InvalidToken: {401, 401}, oid4vci.InsufficientScope: {403, 403}, oid4vci.InvalidProof: {400, 400},
		oid4vci.InvalidNonce: {400, 400}, oid4vci.InvalidTransactionID: {400, 400}, oid4vci.ServerError: {500, 500}, oid4vci.TemporarilyUnavailable: {503, 503},
		oid4vci.UseAttestationChallenge: {400, 401}, oid4vci.UseFreshAttestation: {400, 401},
	} {
		e := oid4vci.NewError(code, nil, "")
		if got := [2]int{e.Status(oid4vci.AuthorizationServer), e.Status(oid4vci.ResourceServer)}; got != want {
			t.Errorf("%s: %v, want %v", code, got, want)
		}
	}
	e := oid4vci.NewError(oid4vci.InvalidToken, nil, "say \"no\"\r\nX: é"+longText(400))
	equalJSON(t, e.JSON()[:60], []byte(`{"error":"invalid_token","error_description":"say 'no'??X: ?`)[:60])
	if c := e.Challenge(nil); strings.ContainsAny(c, "\r\n") || !strings.HasPrefix(c, `DPoP algs="", error="invalid_token", error_description="say 'no'`) || len(e.Description) != 300 {
		t.Errorf("got %q", c)
	}
	// RFC 6750 section 3.1: who brought no token is told no error.
	es256 := []keys.Algorithm{keys.ES256}
	if c := oid4vci.NewError(oid4vci.InvalidToken, oid4vci.ErrMissing, "no token").Challenge(es256); c != `DPoP algs="ES256"` {
		t.Errorf("without a token: %q", c)
	}
	if c := oid4vci.NewError(oid4vci.InvalidDPoPProof, oid4vci.ErrMissing, "").Challenge(es256); c != `DPoP algs="ES256", error="invalid_dpop_proof"` {
		t.Errorf("without a proof: %q", c)
	}
}

func TestTxCode(t *testing.T) {
	rule := oid4vci.TxCodeRule{Mode: oid4vci.Numeric, Length: 6}
	if c, err := rule.NewTxCode(randReader); err != nil || len(c) != 6 || strings.Trim(string(c), "0123456789") != "" {
		t.Errorf("numeric: %q, %v", string(c), err)
	}
	text := oid4vci.TxCodeRule{Mode: oid4vci.AnyText, Length: 8}
	if c, err := text.NewTxCode(randReader); err != nil || len(c) != 8 || strings.ContainsAny(string(c), "01258BILOSUZ") {
		t.Errorf("text: %q, %v", string(c), err)
	}
	for _, bad := range []oid4vci.TxCodeRule{{}, {Mode: oid4vci.Numeric, Length: 3}, {Mode: oid4vci.Numeric, Length: 65}, {Mode: "x", Length: 6}} {
		if _, err := bad.NewTxCode(randReader); err == nil {
			t.Errorf("%+v made a code", bad)
		}
	}
	for typed, want := range map[string]string{"123 456": "123456", " 123-456 ": "123456", "١٢٣٤٥٦": "123456", "১২৩৪৫৬": "123456", "12۳٤56": "123456", "１２３": "123", "𝟙𝟚𝟛": "123"} {
		if got := rule.Input("").Clean(typed); string(got) != want {
			t.Errorf("Clean(%q): %q, want %q", typed, string(got), want)
		}
	}
	for r, want := range map[oid4vci.TxCodeRule]int64{
		rule: 1_000_000, text: 110_075_314_176, {Mode: oid4vci.Numeric, Length: 18}: 1e18, {Mode: oid4vci.Numeric, Length: 19}: math.MaxInt64,
		{Mode: oid4vci.AnyText, Length: 64}: math.MaxInt64, {Mode: oid4vci.Numeric}: 1,
	} {
		if got := r.Codes(); got != want {
			t.Errorf("%+v: %d codes, want %d", r, got, want)
		}
	}
	for _, tt := range []struct {
		offered oid4vci.TxCodeInput
		code    oid4vci.Secret
		want    bool
	}{
		{*rule.Input(""), "123456", true}, {*rule.Input(""), "12345", false}, {*rule.Input(""), "1234567", false}, {*rule.Input(""), "12345a", false}, {*rule.Input(""), "", false},
		{oid4vci.TxCodeInput{Length: 4}, "1234", true}, {oid4vci.TxCodeInput{Length: 4}, "abcd", false}, {oid4vci.TxCodeInput{}, "12345", true}, {oid4vci.TxCodeInput{}, "x", false},
		{*text.Input(""), "ACDE-FGHJ", true}, {*text.Input(""), "12", true}, {*text.Input(""), "", false},
	} {
		if got := tt.offered.Possible(tt.code); got != tt.want {
			t.Errorf("%+v: %q possible: %v, want %v", tt.offered, string(tt.code), got, tt.want)
		}
	}
	if got := text.Clean("acde-fghj"); got != "ACDEFGHJ" {
		t.Errorf("got %q", string(got))
	}
	if got := (oid4vci.TxCodeInput{Mode: oid4vci.AnyText}).Clean(" a-B c "); got != "a-B c" {
		t.Errorf("somebody else's text: %q", string(got))
	}
}

// TestSecretsDoNotPrint prints every type that holds one.
func TestSecretsDoNotPrint(t *testing.T) {
	const canary = "canary-5f2e"
	s := oid4vci.Secret(canary)
	for _, v := range []any{
		s, &s, oid4vci.Offer{PreAuthorized: &oid4vci.PreAuthorizedGrant{Code: s}}, oid4vci.TokenRequest{Code: s, Verifier: s, TxCode: s, PreAuthorizedCode: s, RefreshToken: s},
		oid4vci.TokenResponse{AccessToken: s, RefreshToken: s}, oid4vci.AuthorizationResponse{Code: s}, oid4vci.DPoPExpect{AccessToken: s},
		oid4vci.CredentialResponse{TransactionID: s}, oid4vci.DeferredRequest{TransactionID: s}, []oid4vci.Secret{s},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			out := fmt.Sprintf(verb, v)
			if strings.Contains(out, canary) || strings.Contains(out, fmt.Sprintf("%x", canary)) {
				t.Errorf("%s of %T shows the secret: %s", verb, v, out)
			}
		}
	}
	if slices.Contains([]string{s.String(), s.GoString(), s.LogValue().String()}, canary) {
		t.Error("a secret prints")
	}
}
