package interop_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/keys/keystest"
)

// issued is what a wallet of theirs brings back.
type issued struct {
	Status      int `json:"status"`
	Credentials []struct {
		Credential string `json:"credential"`
	} `json:"credentials"`
	NotificationID string `json:"notification_id"`
	TokenType      string `json:"tokenType"`
}

// issuerKeys are the keys of credentials, as a stranger finds them.
type issuerKeys struct {
	url string
	set map[string]keys.PublicKey
}

func (i issuerKeys) KeysFor(issuer string, _ []byte) []keys.PublicKey {
	var all []keys.PublicKey
	for _, k := range i.set {
		if issuer == i.url {
			all = append(all, k)
		}
	}
	return all
}

// check has both sides verify what a wallet of theirs holds and shows with
// @sd-jwt/sd-jwt-vc: all copies of one credential, each bound to a key of its own.
func (o *office) check(p *peer, got issued, copies int, name string) {
	o.Helper()
	if got.Status != http.StatusOK || len(got.Credentials) != copies || !strings.EqualFold(got.TokenType, "DPoP") {
		o.Fatalf("they got %d credentials with status %d and a token of type %s, want %d", len(got.Credentials), got.Status, got.TokenType, copies)
	}
	set := o.keysOf("/.well-known/jwt-vc-issuer", "jwks")
	now := time.Now().Truncate(time.Second)
	var holders []string
	for i, c := range got.Credentials {
		var shown string
		key := "copy " + string(rune('0'+i))
		p.call("present", map[string]any{"token": c.Credential, "holder": key, "frame": map[string]any{"name": true}, "kb": map[string]any{"aud": verifier, "nonce": "n-1", "iat": now.Unix()}}, &shown)
		v, err := sdjwt.Verify(shown, sdjwt.Expect{Keys: issuerKeys{o.url, set}, Now: time.Now(), Binding: sdjwt.BindingRequired, Audience: verifier, Nonce: "n-1", MaxAge: 10 * time.Minute})
		if err != nil {
			o.Fatalf("copy %d: %v", i, err)
		}
		if claim(v, "name") != name || claim(v, "village") != nil || v.Type != "urn:xa:licence:1" || v.Status == nil {
			o.Errorf("copy %d says %v", i, claimNames(v))
		}
		holders = append(holders, v.Holder.JWKThumbprint())
		if refusal := o.theirCheck(p, shown); refusal != "" {
			o.Errorf("copy %d: they say %s", i, refusal)
		}
	}
	slices.Sort(holders)
	if len(slices.Compact(holders)) != copies {
		o.Errorf("%d copies are bound to %d keys", copies, len(holders))
	}
}

// theirCheck has @sd-jwt/sd-jwt-vc verify a presentation, and the status list that it
// fetches by itself.
func (o *office) theirCheck(p *peer, shown string) string {
	o.Helper()
	parsed, err := sdjwt.Parse(shown)
	if err != nil {
		o.Fatal(err)
	}
	key, ok := o.keysOf("/.well-known/jwt-vc-issuer", "jwks")[parsed.KeyID]
	if !ok {
		o.Fatalf("the issuer does not publish the key %s", parsed.KeyID)
	}
	refusal := "no key of the status list"
	for kid, statusKey := range o.keysOf("/jwks.json") {
		if kid == parsed.KeyID {
			continue
		}
		refusal = p.ask("verify", map[string]any{"token": shown, "issuer": json.RawMessage(key.BareJWK()), "statusKey": json.RawMessage(statusKey.BareJWK()), "nonce": "n-1",
			"now": time.Now().Unix()}, nil)
		if refusal == "" {
			break
		}
	}
	return refusal
}

// TestServeTheirWallet has @openid4vc/openid4vci fetch credentials from `issuer serve`, by
// both flows, as a stranger: it knows nothing but the offer.
func TestServeTheirWallet(t *testing.T) {
	p := startPeer(t, "vci.mjs")
	o := newOffice(t, "  any_client: true\n", nil)
	publish := func() { o.issuer("status", "publish", "--dir", o.dir, "--out", o.dir+"/public") }
	refusedWith := func(t *testing.T, refusal, code string) {
		t.Helper()
		if !strings.Contains(refusal, code) {
			t.Errorf("they were told %q, want %s", refusal, code)
		}
	}
	t.Run("metadata", func(t *testing.T) {
		var got struct {
			Version string           `json:"version"`
			Issuer  map[string]any   `json:"credentialIssuer"`
			Servers []map[string]any `json:"authorizationServers"`
		}
		p.call("resolve", map[string]any{"offer": o.offer("REC0000003").Offer}, &got)
		if got.Version != "V1" || got.Issuer["credential_issuer"] != o.url || len(got.Servers) != 1 || got.Servers[0]["issuer"] != o.url {
			t.Errorf("they read %+v", got)
		}
	})
	t.Run("pre-authorised code with transaction code", func(t *testing.T) {
		made := o.offer("REC0000001", "--tx-code")
		refusedWith(t, p.ask("preAuthorized", map[string]any{"offer": made.Offer, "txCode": "x" + made.TxCode[1:]}, nil), "invalid_grant") // VCI-03
		var got issued
		p.call("preAuthorized", map[string]any{"offer": made.Offer, "txCode": made.TxCode, "copies": 3}, &got)
		publish()
		o.check(p, got, 3, "Amina Osman")
		var told struct {
			Status int `json:"status"`
		}
		for range 2 { // it is idempotent
			p.call("notify", map[string]any{"event": "credential_accepted"}, &told)
			if told.Status != http.StatusNoContent {
				t.Errorf("their notification: %d", told.Status)
			}
		}
		refusedWith(t, p.ask("replay", map[string]any{"configurationId": "licence.wallet"}, nil), "invalid_nonce")                            // VCI-07
		refusedWith(t, p.ask("preAuthorized", map[string]any{"offer": made.Offer, "txCode": made.TxCode, "copies": 1}, nil), "invalid_grant") // VCI-01

		// Revoked, it is so for their verifier, too.
		var shown string
		p.call("present", map[string]any{"token": got.Credentials[0].Credential, "holder": "copy 0", "frame": map[string]any{}, "kb": map[string]any{"aud": verifier, "nonce": "n-1", "iat": time.Now().Unix()}}, &shown)
		var stands []struct {
			ID string `json:"credential_id"`
		}
		b := o.issuer("status", "--dir", o.dir, "--programme", "licence", "--record", "REC0000001", "--json")
		if err := json.Unmarshal(b, &stands); err != nil || len(stands) != 1 {
			t.Fatalf("%s: %v", b, err)
		}
		o.issuer("revoke", "--dir", o.dir, stands[0].ID, "--reason", "lost")
		publish()
		if refusal := o.theirCheck(p, shown); !strings.Contains(refusal, "Status is not valid") {
			t.Errorf("after the revocation they say %q", refusal)
		}
	})
	t.Run("authorisation code with PAR, PKCE and DPoP", func(t *testing.T) {
		const back = "https://wallet.example/callback"
		begin := func(record string) string {
			made := o.offer(record, "--claim-code")
			var at struct {
				URL string `json:"url"`
			}
			p.call("beginAuthorization", map[string]any{"offer": made.Offer, "clientId": "wallet.example", "redirectUri": back}, &at)
			return o.signIn(at.URL, made.ClaimCode)
		}
		refusal := p.ask("finishAuthorization", map[string]any{"redirect": begin("REC0000002"), "verifier": strings.Repeat("x", 43)}, nil)
		refusedWith(t, refusal, "invalid_grant") // OA-02
		spoiled, err := url.Parse(begin("REC0000002"))
		if err != nil {
			t.Fatal(err)
		}
		q := spoiled.Query()
		q.Set("iss", "https://evil.example")
		spoiled.RawQuery = q.Encode()
		if refusal := p.ask("finishAuthorization", map[string]any{"redirect": spoiled.String()}, nil); !strings.Contains(refusal, "iss") {
			t.Errorf("with another iss they say %q", refusal)
		}
		redirect := begin("REC0000002")
		var got issued
		p.call("finishAuthorization", map[string]any{"redirect": redirect, "copies": 2}, &got)
		publish()
		o.check(p, got, 2, "Juma Mwangi")
		refusedWith(t, p.ask("finishAuthorization", map[string]any{"redirect": redirect}, nil), "invalid_grant") // OA-03
	})
}

// TestServeTheirAttestedWallet has @openid4vc's wallet attested by a provider, and its keys by
// a maker of key stores, under a root that the issuer trusts; without that it gets nothing.
func TestServeTheirAttestedWallet(t *testing.T) {
	p := startPeer(t, "vci.mjs")
	now := time.Now().Truncate(time.Second)
	rootKey := keystest.Signer(t, keys.CertificateRoot, keys.ES256, "root of providers")
	der, err := chain.NewRoot(rand.Reader, rootKey, chain.Name{Organization: "Wallet Authority", Country: "XA"}, now.Add(-time.Hour), now.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	root, err := chain.ParseRoot(der)
	if err != nil {
		t.Fatal(err)
	}
	x5c := func(name string) []string {
		key, _ := theirKey(p, name)
		leaf, err := chain.Issue(rand.Reader, root, rootKey, chain.Subject{Name: chain.Name{Organization: name}, Address: "https://" + name + ".example", Key: key}, now.Add(-time.Minute), now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return []string{base64.StdEncoding.EncodeToString(leaf)}
	}
	o := newOffice(t, "  any_client: true\n  wallet_providers: providers.pem\n  attestation_required: true\n  key_attesters: providers.pem\n",
		map[string]string{"providers.pem": string(chain.EncodePEM(der))})
	made := o.offer("REC0000003", "--tx-code")
	args := map[string]any{"offer": made.Offer, "txCode": made.TxCode, "clientId": "https://wallet.example", "copies": 2}
	if refusal := p.ask("preAuthorized", args, nil); !strings.Contains(refusal, "invalid_client") { // OA-10
		t.Errorf("without attestation they were told %q", refusal)
	}
	args["attested"], args["attestedKeys"] = x5c("provider"), x5c("attester")
	// The library writes the typ of OpenID4VCI draft 15, which we do not take.
	if refusal := p.ask("preAuthorized", args, nil); !strings.Contains(refusal, "invalid_proof") || !strings.Contains(refusal, "keyattestation+jwt") {
		t.Errorf("with an attestation of draft 15 they were told %q", refusal)
	}
	made = o.offer("REC0000003", "--tx-code")
	args["offer"], args["txCode"], args["finalTyp"] = made.Offer, made.TxCode, true
	var got issued
	p.call("preAuthorized", args, &got)
	o.issuer("status", "publish", "--dir", o.dir, "--out", o.dir+"/public")
	o.check(p, got, 2, "Rahim Uddin")
}

var formAction = regexp.MustCompile(`<form method="post" action="([^"]+)">`)

// signIn is the holder at a browser: it opens the page, types the code from the counter
// and returns where it is sent.
func (o *office) signIn(page, code string) string {
	o.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		o.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Transport: patientTransport{}, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), o.url) {
			return nil
		}
		return http.ErrUseLastResponse // it leaves the issuer
	}}
	r, err := browser.Get(page)
	if err != nil {
		o.Fatal(err)
	}
	b, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	form := formAction.FindSubmatch(b)
	if err != nil || r.StatusCode != http.StatusOK || form == nil {
		o.Fatalf("the page: %d, %v\n%s", r.StatusCode, err, b)
	}
	action, err := r.Request.URL.Parse(strings.ReplaceAll(string(form[1]), "&amp;", "&"))
	if err != nil {
		o.Fatal(err)
	}
	r, err = browser.PostForm(action.String(), url.Values{"code": {code}})
	if err != nil {
		o.Fatal(err)
	}
	_ = r.Body.Close()
	to := r.Header.Get("Location")
	if r.StatusCode != http.StatusFound && r.StatusCode != http.StatusSeeOther || to == "" {
		o.Fatalf("after the code: %d to %q", r.StatusCode, to)
	}
	return to
}

// A patientTransport asks again when it was told that it asks too often.
type patientTransport struct{}

func (patientTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	for {
		again := r.Clone(r.Context())
		if r.GetBody != nil {
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			again.Body = body
		}
		answer, err := http.DefaultTransport.RoundTrip(again)
		if err != nil || answer.StatusCode != http.StatusTooManyRequests {
			return answer, err
		}
		_ = answer.Body.Close()
		seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		if err != nil {
			return nil, fmt.Errorf("status 429 without Retry-After: %w", err)
		}
		time.Sleep(time.Duration(seconds) * time.Second)
	}
}
