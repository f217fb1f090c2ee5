package sdjwt_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	mathrand "math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"crypto/rand"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

// count is how often something is tried: at each change, and at night.
func count(change, night int) int {
	if os.Getenv("SANAD_SOAK") == "1" {
		return night
	}
	if testing.Short() {
		return max(1, change/10)
	}
	return change
}

// salts returns the salts of a draft's disclosures, and their names.
func salts(t *testing.T, issued string) (salts, names []string) {
	t.Helper()
	parts := strings.Split(issued, "~")
	for _, text := range parts[1 : len(parts)-1] {
		b, err := base64.RawURLEncoding.DecodeString(text)
		var d []any
		if err == nil {
			err = json.Unmarshal(b, &d)
		}
		if err != nil {
			t.Fatal(err)
		}
		salts = append(salts, d[0].(string))
		names = append(names, stringOf(d[1]))
	}
	return salts, names
}

// payload is the payload of an SD-JWT.
func payload(t *testing.T, issued string) map[string]any {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(issued, ".")[1])
	var m map[string]any
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSalts is SDJ-16: salts never repeat and have 128 bits, and the order of the
// digests is not that of the claims.
func TestSalts(t *testing.T) {
	token := goodToken(t)
	token.Claims = map[string]any{}
	for i := range 100 {
		token.Claims["c"+string(rune('0'+i/10))+string(rune('0'+i%10))] = sdjwt.Hidden{Value: i}
	}
	pub := issuerSigner(t).Key().Public
	seen := map[string]bool{}
	s := issuerSigner(t)
	want := count(20_000, 1_000_000)
	for len(seen) < want {
		d, err := sdjwt.NewDraft(nil, token, pub)
		if err != nil {
			t.Fatal(err)
		}
		issued, err := d.Sign(rand.Reader, s, issuedAt)
		if err != nil {
			t.Fatal(err)
		}
		these, _ := salts(t, issued)
		for _, salt := range these {
			b, err := base64.RawURLEncoding.DecodeString(salt)
			if err != nil || len(b) < 16 {
				t.Fatalf("salt %q: %d bytes", salt, len(b))
			}
			if seen[salt] {
				t.Fatalf("salt %q twice", salt)
			}
			seen[salt] = true
		}
	}
	issued := issue(t, token)
	digests := payload(t, issued)["_sd"].([]any)
	var inOrder []any
	parts := strings.Split(issued, "~")
	for _, text := range parts[1 : len(parts)-1] {
		inOrder = append(inOrder, sdjwt.Digest("sha-256", text))
	}
	if slices.Equal(digests, inOrder) {
		t.Error("the digests stand in the order of the claims")
	}
	if !slices.IsSortedFunc(digests, func(a, b any) int { return strings.Compare(a.(string), b.(string)) }) {
		t.Error("the digests are not sorted")
	}
}

// TestUnlinkable is OUT-11: two copies of one credential share no salt, digest or
// signature.
func TestUnlinkable(t *testing.T) {
	a, b := issue(t, goodToken(t)), issue(t, goodToken(t))
	for _, part := range strings.FieldsFunc(a, func(r rune) bool { return r == '~' || r == '.' })[1:] {
		if strings.Contains(b, part) {
			t.Errorf("both hold %.20s...", part)
		}
	}
}

func TestDecoys(t *testing.T) {
	token := goodToken(t)
	token.Decoys = 5
	issued := issue(t, token)
	if n := len(payload(t, issued)["_sd"].([]any)); n != 3+5 {
		t.Errorf("%d digests at the top, want 8", n)
	}
	p, err := sdjwt.Parse(issued)
	if err != nil || p.Problem != nil || len(p.Disclosures) != 9 {
		t.Errorf("Parse: %+v, %v", p, err)
	}
	token.Claims = map[string]any{"country": "XX"}
	bare := payload(t, issue(t, token))
	if bare["_sd"] != nil || bare["_sd_alg"] != nil {
		t.Errorf("nothing is hidden, and yet: %v", bare)
	}
}

// TestHashFixesEverything: what is stored before signing covers each claim.
func TestHashFixesEverything(t *testing.T) {
	s := issuerSigner(t)
	pub := s.Key().Public
	draft := func() *sdjwt.Draft {
		d, err := sdjwt.NewDraft(bytes.NewReader(make([]byte, 1<<16)), goodToken(t), pub)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	a, b := draft(), draft()
	if a.Hash() != b.Hash() {
		t.Error("one token with one source of salts gives two hashes")
	}
	good, err := a.Sign(rand.Reader, s, issuedAt)
	if err != nil {
		t.Fatal(err)
	}
	if err := sdjwt.Check(good, pub, a.Hash()); err != nil {
		t.Errorf("Check: %v", err)
	}
	bound, err := sdjwt.Bind(rand.Reader, good, sdjwt.Proof{Audience: "a", Nonce: "n", IssuedAt: issuedAt}, holderSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, "~")
	dot := strings.LastIndex(parts[0], ".")
	for name, bad := range map[string]string{
		"another credential":     issue(t, goodToken(t)),
		"a disclosure exchanged": strings.Replace(good, parts[1], base64.RawURLEncoding.EncodeToString([]byte(`["s","x",1]`)), 1),
		"a flipped signature":    strings.Replace(good, parts[0][dot:], parts[0][dot:len(parts[0])-4]+"AAAA", 1),
		"an empty signature":     strings.Replace(good, parts[0][dot:], ".", 1),
		"with a proof":           bound,
		"nothing":                "",
		"cut":                    good[:len(good)-1],
	} {
		if err := sdjwt.Check(bad, pub, a.Hash()); !errors.Is(err, sdjwt.ErrNotAsDrafted) {
			t.Errorf("%s: Check: %v, want ErrNotAsDrafted", name, err)
		}
	}
	if err := sdjwt.Check(good, someKey(t), a.Hash()); !errors.Is(err, sdjwt.ErrNotAsDrafted) {
		t.Errorf("another key: Check: %v, want ErrNotAsDrafted", err)
	}
}

// A tamperer is a device that changes one bit of what it signs or of its answer.
type tamperer struct {
	keys.Signer
	bit int
}

// Sign implements crypto.Signer.
func (x tamperer) Sign(rnd io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	flipped := bytes.Clone(digest)
	if x.bit < 8*len(digest) {
		flipped[x.bit/8] ^= 1 << (x.bit % 8)
	}
	sig, err := x.Signer.Sign(rnd, flipped, opts)
	if err == nil && x.bit >= 8*len(digest) {
		sig[(x.bit/8)%len(sig)] ^= 1 << (x.bit % 8)
	}
	return sig, err
}

// TestFaultyDevice is P18: what a faulty device signed is never handed out.
func TestFaultyDevice(t *testing.T) {
	s := issuerSigner(t)
	pub := s.Key().Public
	d, err := sdjwt.NewDraft(nil, goodToken(t), pub)
	if err != nil {
		t.Fatal(err)
	}
	for i := range count(300, 10_000) {
		issued, err := d.Sign(rand.Reader, tamperer{s, i % 700}, issuedAt)
		if err == nil && sdjwt.Check(issued, pub, d.Hash()) == nil {
			t.Fatalf("bit %d: released", i%700)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	s := issuerSigner(t)
	d, err := sdjwt.NewDraft(nil, goodToken(t), s.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		s   keys.Signer
		now time.Time
	}{
		"a key of a status list": {keystest.Signer(t, keys.StatusList, keys.ES256, "issuer"), issuedAt},
		"another key":            {keystest.Signer(t, keys.Credential, keys.ES256, "other"), issuedAt},
		"after the key's window": {s, issuedAt.AddDate(300, 0, 0)},
		"nobody":                 {nil, issuedAt},
	} {
		if _, err := d.Sign(rand.Reader, tt.s, tt.now); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

// TestNotIssuable spoils one thing at a time in a token.
func TestNotIssuable(t *testing.T) {
	type m = map[string]any
	h := func(v any) any { return sdjwt.Hidden{Value: v} }
	deep := any("x")
	for range 9 {
		deep = []any{deep}
	}
	claim := func(v any) func(*sdjwt.Token) { return func(t *sdjwt.Token) { t.Claims = m{"c": v} } }
	name := func(n string) func(*sdjwt.Token) { return func(t *sdjwt.Token) { t.Claims = m{n: h("x")} } }
	for row, spoil := range map[string]func(*sdjwt.Token){
		"no issuer":            func(t *sdjwt.Token) { t.Issuer = "" },
		"no type":              func(t *sdjwt.Token) { t.Type = "" },
		"no issue date":        func(t *sdjwt.Token) { t.IssuedAt = time.Time{} },
		"no claims":            func(t *sdjwt.Token) { t.Claims = nil },
		"half a second":        func(t *sdjwt.Token) { t.IssuedAt = t.IssuedAt.Add(time.Millisecond) },
		"before 1970":          func(t *sdjwt.Token) { t.NotBefore = time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC) },
		"after 9999":           func(t *sdjwt.Token) { t.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"expires at issue":     func(t *sdjwt.Token) { t.Expires = t.IssuedAt },
		"expires at beginning": func(t *sdjwt.Token) { t.NotBefore = t.Expires },
		"status without URI":   func(t *sdjwt.Token) { t.Status = &credential.StatusRef{} },
		"status relative":      func(t *sdjwt.Token) { t.Status = &credential.StatusRef{URI: "/1"} },
		"status far":           func(t *sdjwt.Token) { t.Status = &credential.StatusRef{URI: "https://x/1", Index: math.MaxUint64} },
		"holder no key":        func(t *sdjwt.Token) { t.Holder = &keys.PublicKey{} },
		"decoys":               func(t *sdjwt.Token) { t.Decoys = 65 },
		"integrity":            func(t *sdjwt.Token) { t.TypeIntegrity = "sha256-x" },
		"short integrity":      func(t *sdjwt.Token) { t.TypeIntegrity = "sha256-AAAA" },
		"unknown integrity":    func(t *sdjwt.Token) { t.TypeIntegrity = "md5-" + base64.StdEncoding.EncodeToString(make([]byte, 32)) },
		"decoys below nothing": func(t *sdjwt.Token) { t.Decoys = -1 },
		"claim iss":            name("iss"), "claim vct": name("vct"), "claim exp": name("exp"), "claim nbf": name("nbf"), "claim cnf": name("cnf"),
		"claim status": name("status"), "claim integrity": name("vct#integrity"), "claim iat": name("iat"), "claim aud": name("aud"),
		"claim _sd": name("_sd"), "claim _sd_alg": name("_sd_alg"), "claim ...": name("..."), "claim without name": name(""),
		"member ...":        claim(m{"...": "x"}),
		"hidden member _sd": claim(h(m{"_sd": h("x")})),
		"member _sd_alg":    claim([]any{m{"_sd_alg": "x"}}),
		"hidden twice":      claim(h(h("x"))),
		"empty text":        claim(h("")),
		"control character": claim("a\x00b"),
		"override":          claim("a\u202eb"),
		"not UTF-8":         claim("\xff"),
		"long text":         claim(strings.Repeat("x", 64<<10+1)),
		"NaN":               claim(math.NaN()),
		"large number":      claim(int64(1 << 53)),
		"bytes":             claim([]byte("x")),
		"null":              claim(nil),
		"too deep":          claim(deep),
		"513 hidden":        claim(h(slices.Repeat([]any{h(1)}, 512))),
		"too large":         claim(h(slices.Repeat([]any{strings.Repeat("x", 60<<10)}, 2))),
	} {
		t.Run(row, func(t *testing.T) {
			token := goodToken(t)
			spoil(&token)
			if _, err := sdjwt.NewDraft(nil, token, issuerSigner(t).Key().Public); !errors.Is(err, sdjwt.ErrNotIssuable) {
				t.Errorf("NewDraft: %v, want ErrNotIssuable", err)
			}
		})
	}
	if _, err := sdjwt.NewDraft(bytes.NewReader(nil), goodToken(t), issuerSigner(t).Key().Public); err == nil || errors.Is(err, sdjwt.ErrNotIssuable) {
		t.Errorf("without random bytes: %v", err)
	}
}

// TestGaps: a place in an array of which something is hidden proves nothing.
func TestGaps(t *testing.T) {
	token := goodToken(t)
	token.Claims = map[string]any{
		"all":  []any{sdjwt.Hidden{Value: "a"}, sdjwt.Hidden{Value: "b"}},
		"some": []any{"a", sdjwt.Hidden{Value: []any{sdjwt.Hidden{Value: 1}, sdjwt.Hidden{Value: 2}}}},
		"none": []any{"a", "b"},
	}
	whole := issue(t, token)
	for _, tt := range []struct {
		choose []sdjwt.Path
		want   []sdjwt.Path
	}{
		{nil, []sdjwt.Path{{"all"}, {"some"}}},
		{[]sdjwt.Path{{"all", nil}}, []sdjwt.Path{{"some"}}},
		{[]sdjwt.Path{{"all", nil}, {"some", 1, 1}}, []sdjwt.Path{{"some", 1}}},
		{[]sdjwt.Path{{"all", 1}, {"some"}}, []sdjwt.Path{{"all"}}},
		{[]sdjwt.Path{{"all"}, {"some"}}, nil},
	} {
		shown, err := sdjwt.Present(whole, tt.choose...)
		if err != nil {
			t.Fatal(err)
		}
		p, err := sdjwt.Parse(shown)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(p.Gaps, tt.want) {
			t.Errorf("%v: gaps %v, want %v", tt.choose, p.Gaps, tt.want)
		}
	}
}

// TestDraftsShareNothing: drafts are written in room that others have used, and nothing of
// one is left in the next, whatever became of it.
func TestDraftsShareNothing(t *testing.T) {
	pub := issuerSigner(t).Key().Public
	small, large, refused := goodToken(t), tenClaims(t), tenClaims(t)
	small.Claims = map[string]any{"a": sdjwt.Hidden{Value: []any{"x", sdjwt.Hidden{Value: map[string]any{"B": sdjwt.Hidden{Value: true}}}}}}
	large.Claims["portrait"] = sdjwt.Hidden{Value: strings.Repeat("p", 20<<10)}
	for _, name := range []string{"one", "two", "three"} { // more than a credential may have, as is found in the end
		refused.Claims[name] = sdjwt.Hidden{Value: strings.Repeat(name, 20<<10)}
	}
	draft := func(token sdjwt.Token) string {
		d, err := sdjwt.NewDraft(mathrand.NewChaCha8([32]byte{}), token, pub)
		if err != nil {
			return err.Error()
		}
		return string(d.ToBeSigned()) + "~" + d.Disclosures()
	}
	tokens := []sdjwt.Token{tenClaims(t), small, refused, large}
	want := make([]string, len(tokens))
	for i, token := range tokens {
		want[i] = draft(token)
	}
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range 40 {
				if j := (i + n) % len(tokens); draft(tokens[j]) != want[j] {
					t.Errorf("token %d is drafted otherwise after others", j)
				}
			}
		})
	}
	wg.Wait()
	failing := tenClaims(t)
	if _, err := sdjwt.NewDraft(iotest.ErrReader(errors.New("no randomness")), failing, pub); err == nil {
		t.Error("a draft without randomness")
	}
	if draft(tokens[0]) != want[0] {
		t.Error("a token is drafted otherwise after one without randomness")
	}
}
