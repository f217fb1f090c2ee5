package interop_test

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

const (
	issuerURL = "https://issuer.example"
	vct       = "https://issuer.example/type/birth"
	verifier  = "x509_hash:abc"
)

// oneKey trusts one key for one issuer.
type oneKey struct{ key keys.PublicKey }

func (o oneKey) KeysFor(issuer string, _ []byte) []keys.PublicKey {
	if issuer != issuerURL {
		return nil
	}
	return []keys.PublicKey{o.key}
}

// theirKey is the public key of a peer with this name.
func theirKey(p *peer, name string) (keys.PublicKey, json.RawMessage) {
	p.t.Helper()
	var jwk json.RawMessage
	p.call("key", map[string]any{"name": name}, &jwk)
	key, err := keys.ParseJWK(jwk)
	if err != nil {
		p.t.Fatal(err)
	}
	return key, jwk
}

// claimNames are the names of what a presentation shows.
func claimNames(v *credential.Verified) []string {
	var names []string
	for _, c := range v.Fields {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

// claim is the value of one claim, nil if it is not shown.
func claim(v *credential.Verified, name string) any {
	for _, c := range v.Fields {
		if c.Name == name {
			return c.Value
		}
	}
	return nil
}

// personClaims are the claims of the credentials that are exchanged: plain, hidden, hidden
// inside of hidden, and elements of an array.
func personClaims() map[string]any {
	return map[string]any{
		"country":     "SD",
		"given_name":  sdjwt.Hidden{Value: "Amina"},
		"family_name": sdjwt.Hidden{Value: "Osman"},
		"birth":       sdjwt.Hidden{Value: map[string]any{"place": sdjwt.Hidden{Value: "Kassala"}, "year": sdjwt.Hidden{Value: 2019}}},
		"languages":   []any{sdjwt.Hidden{Value: "ar"}, sdjwt.Hidden{Value: "en"}},
	}
}

// TestTheirSDJWT has @sd-jwt/sd-jwt-vc issue and present, and our package verify; then
// our package presents what they issued.
func TestTheirSDJWT(t *testing.T) {
	p := startPeer(t, "sdjwt.mjs")
	issuer, _ := theirKey(p, "issuer")
	_, holderJWK := theirKey(p, "holder")
	now := time.Now().Truncate(time.Second)
	issue := func(cnf json.RawMessage) string {
		var token string
		p.call("issue", map[string]any{
			"payload": map[string]any{"iss": issuerURL, "vct": vct, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "cnf": map[string]any{"jwk": cnf},
				"country": "SD", "given_name": "Amina", "family_name": "Osman", "birth": map[string]any{"place": "Kassala", "year": 2019}, "languages": []string{"ar", "en"}},
			"frame": map[string]any{"_sd": []string{"given_name", "family_name", "birth"}, "_sd_decoy": 2, "birth": map[string]any{"_sd": []string{"place", "year"}},
				"languages": map[string]any{"_sd": []int{0, 1}}},
			"header": map[string]any{"kid": "k1"},
		}, &token)
		return token
	}
	token := issue(holderJWK)
	want := sdjwt.Expect{Keys: oneKey{issuer}, Now: now, Binding: sdjwt.BindingRequired, Audience: verifier, Nonce: "n-1", MaxAge: time.Minute}
	var shown string
	p.call("present", map[string]any{"token": token, "frame": map[string]any{"given_name": true, "birth": map[string]any{"year": true}, "languages": map[string]any{"1": true}},
		"kb": map[string]any{"aud": verifier, "nonce": "n-1", "iat": now.Unix()}}, &shown)
	got, err := sdjwt.Verify(shown, want)
	if err != nil {
		t.Fatalf("what they present: %v", err)
	}
	if names := claimNames(got); !slices.Equal(names, []string{"birth", "country", "given_name", "languages"}) || !reflect.DeepEqual(claim(got, "birth"), map[string]any{"year": int64(2019)}) {
		t.Errorf("they show %v: %v", names, claim(got, "birth"))
	}
	for name, spoil := range map[string]func(*sdjwt.Expect){
		"another nonce":    func(e *sdjwt.Expect) { e.Nonce = "n-2" },
		"another verifier": func(e *sdjwt.Expect) { e.Audience = "x509_hash:other" },
		"another issuer": func(e *sdjwt.Expect) {
			e.Keys = oneKey{keystest.Signer(t, keys.Credential, keys.ES256, "other").Key().Public}
		},
	} {
		e := want
		spoil(&e)
		if _, err := sdjwt.Verify(shown, e); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	// What they issued to a key of ours, presented by us.
	holder := keystest.Signer(t, keys.Holder, keys.ES256, "holder")
	token = issue(json.RawMessage(holder.Key().Public.BareJWK()))
	part, err := sdjwt.Present(token, sdjwt.Path{"family_name"}, sdjwt.Path{"birth", "place"})
	if err != nil {
		t.Fatal(err)
	}
	bound, err := sdjwt.Bind(rand.Reader, part, sdjwt.Proof{Audience: verifier, Nonce: "n-1", IssuedAt: now}, holder)
	if err != nil {
		t.Fatal(err)
	}
	got, err = sdjwt.Verify(bound, want)
	if err != nil {
		t.Fatalf("what we present of theirs: %v", err)
	}
	if names := claimNames(got); !slices.Equal(names, []string{"birth", "country", "family_name", "languages"}) {
		t.Errorf("we show %v", names)
	}
}

// TestOurSDJWT issues with our package; we present and they verify, and they present
// and both verify.
func TestOurSDJWT(t *testing.T) {
	p := startPeer(t, "sdjwt.mjs")
	issuer := keystest.Signer(t, keys.Credential, keys.ES256, "issuer")
	issuerJWK := json.RawMessage(issuer.Key().Public.BareJWK())
	now := time.Now().Truncate(time.Second)
	issue := func(holder keys.PublicKey) string {
		t.Helper()
		d, err := sdjwt.NewDraft(rand.Reader, sdjwt.Token{Issuer: issuerURL, Type: vct, IssuedAt: now, Expires: now.Add(time.Hour), Holder: &holder, Claims: personClaims(), Decoys: 3},
			issuer.Key().Public)
		if err != nil {
			t.Fatal(err)
		}
		token, err := d.Sign(rand.Reader, issuer, now)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	type verified struct {
		Payload map[string]any `json:"payload"`
		KB      map[string]any `json:"kb"`
	}
	// Ours, bound by us.
	holder := keystest.Signer(t, keys.Holder, keys.ES256, "holder")
	part, err := sdjwt.Present(issue(holder.Key().Public), sdjwt.Path{"given_name"}, sdjwt.Path{"birth", "year"}, sdjwt.Path{"languages", 0})
	if err != nil {
		t.Fatal(err)
	}
	bound, err := sdjwt.Bind(rand.Reader, part, sdjwt.Proof{Audience: verifier, Nonce: "n-1", IssuedAt: now}, holder)
	if err != nil {
		t.Fatal(err)
	}
	var got verified
	check := map[string]any{"token": bound, "issuer": issuerJWK, "nonce": "n-1", "now": now.Unix()}
	p.call("verify", check, &got)
	if got.Payload["given_name"] != "Amina" || got.Payload["family_name"] != nil || got.Payload["country"] != "SD" || got.KB["aud"] != verifier {
		t.Errorf("they read %v, %v", got.Payload, got.KB)
	}
	if birth, _ := got.Payload["birth"].(map[string]any); birth["year"] != 2019.0 || birth["place"] != nil {
		t.Errorf("they read of the birth %v", birth)
	}
	if list, _ := got.Payload["languages"].([]any); len(list) != 1 || list[0] != "ar" {
		t.Errorf("they read of the languages %v", list)
	}
	// That the peer does check is seen where it must refuse.
	for name, change := range map[string]any{"nonce": "n-2", "issuer": json.RawMessage(holder.Key().Public.BareJWK()), "now": now.Add(2 * time.Hour).Unix()} {
		bad := maps.Clone(check)
		bad[name] = change
		if p.ask("verify", bad, nil) == "" {
			t.Errorf("they took another %s", name)
		}
	}
	// Ours, held and presented by them.
	theirs, _ := theirKey(p, "holder")
	token := issue(theirs)
	var names []string
	p.call("presentable", map[string]any{"token": token}, &names)
	if !slices.Contains(names, "birth.place") || !slices.Contains(names, "given_name") || slices.Contains(names, "country") {
		t.Errorf("they can leave out %v", names)
	}
	var shown string
	p.call("present", map[string]any{"token": token, "frame": map[string]any{"family_name": true}, "kb": map[string]any{"aud": verifier, "nonce": "n-1", "iat": now.Unix()}}, &shown)
	v, err := sdjwt.Verify(shown, sdjwt.Expect{Keys: oneKey{issuer.Key().Public}, Now: now, Binding: sdjwt.BindingRequired, Audience: verifier, Nonce: "n-1", MaxAge: time.Minute})
	if err != nil {
		t.Fatalf("what they present of ours: %v", err)
	}
	if names := claimNames(v); !slices.Equal(names, []string{"country", "family_name", "languages"}) {
		t.Errorf("they show %v", names)
	}
}
