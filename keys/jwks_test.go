package keys_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

func TestJWKSRoundTrip(t *testing.T) {
	var list []keys.Key
	for _, alg := range keys.Algorithms() {
		list = append(list, keystest.Key(t, keys.Credential, alg, "a"))
	}
	set, err := keys.ParseJWKS(keys.JWKS(list))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		if got, err := set.Find(k.ID().String()); err != nil || !got.Equal(k.Public) {
			t.Errorf("Find %s: %v, %v", k.ID(), got, err)
		}
	}
	if got := len(set.All()); got != 3 {
		t.Errorf("%d keys, want 3", got)
	}
	for _, kid := range []string{"", "x", "../../etc/passwd", "https://a.example/"} { // JWS-06
		if k, err := set.Find(kid); !errors.Is(err, keys.ErrNoKey) {
			t.Errorf("Find %q: %v, %v", kid, k, err)
		}
	}
	if set, err := keys.ParseJWKS(keys.JWKS(nil)); err != nil || len(set.All()) != 0 {
		t.Errorf("empty set: %v, %v", set, err)
	}
}

func TestParseJWKSRefuses(t *testing.T) {
	jwk := string(keystest.Key(t, keys.Credential, keys.ES256, "a").Public.BareJWK())
	with := func(members string) string { return strings.TrimSuffix(jwk, "}") + "," + members + "}" }
	for _, tt := range []struct {
		name, set string
		want      error
	}{
		{"no JSON", `{"keys":`, keys.ErrMalformedKey},
		{"no keys", `{}`, keys.ErrMalformedKey},
		{"keys that are no list", `{"keys":{}}`, keys.ErrMalformedKey},
		{"a key that is no object", `{"keys":[1]}`, keys.ErrMalformedKey},
		{"JWS-06 two keys with one kid", `{"keys":[` + with(`"kid":"a"`) + `,` + with(`"kid":"a"`) + `]}`, keys.ErrMalformedKey},
		{"JWS-06 two kids with one key of an unknown kind", `{"keys":[` + with(`"kid":"a"`) + `,{"kty":"RSA","kid":"a"}]}`, keys.ErrMalformedKey},
		{"JWS-06 endless kid", `{"keys":[` + with(`"kid":"`+strings.Repeat("a", 513)+`"`) + `]}`, keys.ErrMalformedKey},
		{"kid that is a number", `{"keys":[` + with(`"kid":1`) + `]}`, keys.ErrMalformedKey},
		{"SIG-05 private key", `{"keys":[` + with(`"d":"AA"`) + `]}`, keys.ErrPrivate},
		{"member twice", `{"keys":[],"keys":[]}`, keys.ErrMalformedKey},
		{"too many keys", `{"keys":[` + strings.Repeat(`{},`, 512) + `{}]}`, keys.ErrMalformedKey},
		{"too long", `{"a":"` + strings.Repeat("a", 256<<10) + `"}`, keys.ErrMalformedKey},
	} {
		if set, err := keys.ParseJWKS([]byte(tt.set)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %d keys, %v, want %v", tt.name, len(set.All()), err, tt.want)
		}
	}
	set, err := keys.ParseJWKS([]byte(`{"keys":[{"kty":"RSA","n":"AA","e":"AQAB","kid":"r"},{"kty":"oct","alg":"HS256"},` + with(`"kid":"e","use":"enc"`) + `,` + with(`"kid":"s"`) + `]}`))
	if err != nil || len(set.All()) != 1 {
		t.Errorf("foreign kinds: %d keys, %v", len(set.All()), err)
	}
}

// TestRotationKeepsOldKeysListed: what was signed before any of 50 rotations can be
// checked with today's key set, until nothing of it is valid any more.
func TestRotationKeepsOldKeysListed(t *testing.T) {
	ctx, ks := t.Context(), new(keystest.Memory)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	spec := func() keys.Spec {
		return keys.Spec{Purpose: keys.Credential, Created: at, VerifyUntil: at.AddDate(10, 0, 0)}
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := keys.Bootstrap(ctx, ks, spec())
	check(err)
	_, err = keys.Bootstrap(ctx, ks, keys.Spec{Purpose: keys.StatusList, Created: at})
	check(err)
	for i := range 50 {
		at = at.AddDate(0, 1, 0)
		next, err := ks.Generate(ctx, spec())
		check(err)
		next, err = next.Publish(at)
		check(err)
		check(ks.Update(ctx, next))
		all, err := ks.Keys(ctx)
		check(err)
		// The next key is in the set before it signs.
		if set, err := keys.ParseJWKS(keys.JWKS(keys.Verifying(all, at, keys.Credential))); err != nil || len(set.All()) != i+2 {
			t.Fatalf("rotation %d: %d keys, %v", i+1, len(set.All()), err)
		}
		at = at.AddDate(0, 0, 7)
		r, err := keys.PlanRotation(all, keys.Credential, at, 7*24*time.Hour)
		check(err)
		for _, k := range r.Changes {
			check(ks.Update(ctx, k))
		}
		all, err = ks.Keys(ctx)
		check(err)
		signing, err := keys.SigningKey(all, keys.Credential, at)
		check(err)
		if signing.ID() != next.ID() {
			t.Fatalf("rotation %d: %s signs, want %s", i+1, signing.ID(), next.ID())
		}
		set, err := keys.ParseJWKS(keys.JWKS(keys.Verifying(all, at, keys.Credential)))
		check(err)
		for _, k := range all {
			_, err := set.Find(k.ID().String())
			if want := k.Purpose == keys.Credential; (err == nil) != want {
				t.Fatalf("rotation %d: %s in the set: %v, want %v", i+1, k, err == nil, want)
			}
		}
	}
	all, err := ks.Keys(ctx)
	check(err)
	gone, err := all[10].Compromise(at)
	check(err)
	check(ks.Update(ctx, gone))
	all, err = ks.Keys(ctx)
	check(err)
	listed := func(at time.Time) string {
		n := 0
		for _, k := range keys.Verifying(all, at, keys.Credential) {
			if k.ID() == gone.ID() {
				t.Error("the compromised key is listed")
			}
			n++
		}
		return fmt.Sprint(n)
	}
	if got := listed(at); got != "50" {
		t.Errorf("%s keys listed, want 50", got)
	}
	// Ten years after it was made the first key is listed no more, ten years after the last none.
	if got := listed(time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)); got != "49" {
		t.Errorf("%s keys listed after ten years, want 49", got)
	}
	if got := listed(at.AddDate(10, 0, 0)); got != "0" {
		t.Errorf("%s keys listed at the end, want 0", got)
	}
}
