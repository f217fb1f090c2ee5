package status_test

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// A jwtFixture is a good token in JWT form and what a reader requires of it.
type jwtFixture struct {
	signer keys.Signer
	typ    string
	claims map[string]any
	want   status.Expect
	mangle func(string) string
}

func goodJWT(t testing.TB) *jwtFixture {
	t.Helper()
	s := signer(t, keys.StatusList)
	return &jwtFixture{
		signer: s, typ: status.TypeJWT,
		claims: map[string]any{
			"sub": uri, "iat": now.Add(-time.Hour).Unix(), "exp": now.AddDate(0, 0, 7).Unix(), "ttl": 43200,
			"status_list": map[string]any{"bits": 1, "lst": b64(deflated(t, []byte{0xb9, 0xa3}))},
		},
		want:   status.Expect{URI: uri, Now: now, Keys: []keys.PublicKey{s.Key().Public}},
		mangle: func(s string) string { return s },
	}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (f *jwtFixture) token(t testing.TB) string {
	t.Helper()
	payload, err := strict.AppendJSON(nil, f.claims)
	if err != nil {
		t.Fatal(err)
	}
	b, err := jose.Tokens{}.SignJWS(rand.Reader, f.signer, f.typ, payload)
	if err != nil {
		t.Fatal(err)
	}
	return f.mangle(string(b))
}

// encodedList is a list in the coding of Bitstring Status List: gzip in multibase.
func encodedList() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(make([]byte, 16<<10)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return "u" + b64(b.Bytes())
}

// bitstring are the claims of a Bitstring Status List in its JWT form, which we do not
// read: it must be refused, and never be taken for a list of ours.
func bitstring(f *jwtFixture, purpose string) map[string]any {
	type m = map[string]any
	return m{"sub": uri, "iat": f.claims["iat"], "exp": f.claims["exp"], "vc": m{
		"type":              []any{"VerifiableCredential", "BitstringStatusListCredential"},
		"credentialSubject": m{"id": uri, "type": "BitstringStatusList", "statusPurpose": purpose, "encodedList": encodedList()},
	}}
}

// TestFreshJWT: ttl and exp say when a list is asked for again, the sooner of both.
func TestFreshJWT(t *testing.T) {
	const least, day = status.LeastFresh, 24 * time.Hour
	for _, tt := range []struct {
		name     string
		ttl, exp any // seconds, and seconds from now; nil if there is none
		want     time.Duration
		says     bool
	}{
		{"ttl before exp", 60, 3600, time.Minute, true},
		{"exp before ttl", 3600, 60, time.Minute, true},
		{"ttl alone", 86400, nil, day, true},
		{"exp alone", nil, 86400, day, true},
		{"neither", nil, nil, 0, false},
		{"a ttl of a second", 1, 3600, least, true},
		{"expired", 3600, -1, least, true},
		{"a ttl of nothing", 0, 3600, 0, false},
		{"a ttl below nothing", -60, 3600, 0, false},
		{"a ttl without end", 9e15, 3600, 0, false},
		{"a ttl that is a text", "60", 3600, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := goodJWT(t)
			delete(f.claims, "ttl")
			delete(f.claims, "exp")
			if tt.ttl != nil {
				f.claims["ttl"] = tt.ttl
			}
			if seconds, ok := tt.exp.(int); ok {
				f.claims["exp"] = now.Add(time.Duration(seconds) * time.Second).Unix()
			}
			if fresh, says := status.FreshJWT([]byte(f.token(t)), now); fresh != tt.want || says != tt.says {
				t.Errorf("%v, %v, want %v, %v", fresh, says, tt.want, tt.says)
			}
		})
	}
	for _, text := range []string{"", "a", "a.b", "e30.e30", "e30.W10.c2ln", "e30.!.c2ln", "<!doctype html>"} {
		if fresh, says := status.FreshJWT([]byte(text), now); says {
			t.Errorf("%q: %v", text, fresh)
		}
	}
}

// TestVerifyJWTRefuses spoils one thing at a time in a token that is good
// otherwise.
func TestVerifyJWTRefuses(t *testing.T) {
	other := signer(t, keys.StatusList)
	type m = map[string]any
	list := func(f *jwtFixture) m { return f.claims["status_list"].(m) }
	for _, tt := range []struct {
		name  string
		spoil func(*jwtFixture)
		want  error
	}{
		{"ST-01 a bomb", func(f *jwtFixture) { list(f)["lst"] = b64(deflated(t, make([]byte, 1<<20))); f.want.MaxBytes = 1000 }, status.ErrTooLarge},
		{"ST-01 a token longer than any list allowed", func(f *jwtFixture) { f.claims["x"] = strings.Repeat("x", 200_000); f.want.MaxBytes = 1000 }, status.ErrTooLarge},
		{"ST-01 a header without end", func(f *jwtFixture) { f.mangle = func(s string) string { return strings.Repeat("e", 20000) + s } }, status.ErrTooLarge},
		{"ST-03 bits of three", func(f *jwtFixture) { list(f)["bits"] = 3 }, status.ErrBits},
		{"ST-03 bits of 16", func(f *jwtFixture) { list(f)["bits"] = 16 }, status.ErrBits},
		{"ST-03 bits of none", func(f *jwtFixture) { list(f)["bits"] = 0 }, status.ErrBits},
		{"ST-03 bits of 257, which are one in a byte", func(f *jwtFixture) { list(f)["bits"] = 257 }, status.ErrBits},
		{"ST-03 bits beyond 32", func(f *jwtFixture) { list(f)["bits"] = int64(1)<<32 + 1 }, status.ErrBits},
		{"ST-03 bits below none", func(f *jwtFixture) { list(f)["bits"] = -1 }, status.ErrBits},
		{"ST-03 bits a text", func(f *jwtFixture) { list(f)["bits"] = "1" }, status.ErrMalformed},
		{"ST-03 no bits", func(f *jwtFixture) { delete(list(f), "bits") }, status.ErrMalformed},
		{"ST-04 sub of another list", func(f *jwtFixture) { f.want.URI = uri + "0" }, status.ErrWrongSubject},
		{"ST-04 sub with a slash more", func(f *jwtFixture) { f.claims["sub"] = uri + "/" }, status.ErrWrongSubject},
		{"ST-04 no sub", func(f *jwtFixture) { delete(f.claims, "sub") }, status.ErrWrongSubject},
		{"ST-04 sub a list", func(f *jwtFixture) { f.claims["sub"] = []any{uri} }, status.ErrWrongSubject},
		{"ST-04 type JWT", func(f *jwtFixture) { f.typ = "JWT" }, status.ErrWrongType},
		{"ST-04 type of a credential", func(f *jwtFixture) { f.typ = "dc+sd-jwt" }, status.ErrWrongType},
		{"ST-04 content type for type", func(f *jwtFixture) { f.typ = status.MediaTypeJWT }, status.ErrWrongType},
		{"ST-04 the CWT form's", func(f *jwtFixture) { f.typ = status.MediaType }, status.ErrWrongType},
		{"ST-05 expired this second", func(f *jwtFixture) { f.claims["exp"] = now.Unix() }, status.ErrExpired},
		{"ST-05 expired half a second ago", func(f *jwtFixture) { f.claims["exp"] = float64(now.Unix()) - 0.5 }, status.ErrExpired},
		{"P20 the clock stands years ahead", func(f *jwtFixture) { f.want.Now = now.AddDate(10, 0, 0) }, status.ErrExpired},
		{"P20 the clock stands in 1970", func(f *jwtFixture) { f.want.Now = time.Unix(1, 0) }, status.ErrIssuedAhead},
		{"ST-05 iat a second more than the leeway ahead", func(f *jwtFixture) { f.claims["iat"] = now.Add(status.Leeway + time.Second).Unix() }, status.ErrIssuedAhead},
		{"ST-05 iat two minutes ahead", func(f *jwtFixture) { f.claims["iat"] = now.Add(2 * time.Minute).Unix() }, status.ErrIssuedAhead},
		{"ST-05 neither exp nor ttl", func(f *jwtFixture) { delete(f.claims, "exp"); delete(f.claims, "ttl") }, status.ErrNoLifetime},
		{"ST-05 no iat", func(f *jwtFixture) { delete(f.claims, "iat") }, status.ErrMalformed},
		{"iat in words", func(f *jwtFixture) { f.claims["iat"] = "2026-11-12" }, status.ErrMalformed},
		{"exp null", func(f *jwtFixture) { f.claims["exp"] = nil }, status.ErrMalformed},
		{"exp after the year 9999", func(f *jwtFixture) { f.claims["exp"] = int64(1) << 52 }, status.ErrMalformed},
		{"ttl of nothing", func(f *jwtFixture) { f.claims["ttl"] = 0 }, status.ErrMalformed},
		{"ttl below nothing", func(f *jwtFixture) { f.claims["ttl"] = -1 }, status.ErrMalformed},
		{"ttl for ever", func(f *jwtFixture) { f.claims["ttl"] = int64(1) << 52 }, status.ErrMalformed},
		{"ST-06 signed by another key", func(f *jwtFixture) { f.signer = other }, status.ErrSignature},
		{"ST-06 only other keys are trusted", func(f *jwtFixture) { f.want.Keys = []keys.PublicKey{other.Key().Public} }, status.ErrSignature},
		{"another payload", func(f *jwtFixture) {
			f.mangle = func(s string) string {
				p := strings.Split(s, ".")
				return p[0] + "." + b64([]byte(`{"sub":"x"}`)) + "." + p[2]
			}
		}, status.ErrSignature},
		{"JWS-01 no signature", func(f *jwtFixture) {
			f.mangle = func(s string) string { return s[:strings.LastIndex(s, ".")+1] }
		}, status.ErrSignature},
		{"JWS-01 alg none", func(f *jwtFixture) {
			f.mangle = func(s string) string {
				return b64([]byte(`{"alg":"none","typ":"statuslist+jwt"}`)) + s[strings.Index(s, "."):]
			}
		}, status.ErrMalformed},
		{"JWS-05 jku", func(f *jwtFixture) {
			f.mangle = func(s string) string {
				return b64([]byte(`{"alg":"ES256","jku":"https://x","typ":"statuslist+jwt"}`)) + s[strings.Index(s, "."):]
			}
		}, status.ErrMalformed},
		{"ST-12 a bitstring list", func(f *jwtFixture) { f.typ, f.claims = "vc+jwt", bitstring(f, "revocation") }, status.ErrWrongType},
		{"ST-12 a bitstring list under our type", func(f *jwtFixture) { f.claims = bitstring(f, "revocation") }, status.ErrMalformed},
		{"ST-12 a bitstring list of another purpose, beside ours", func(f *jwtFixture) {
			f.claims["vc"], f.claims["sub"] = bitstring(f, "suspension")["vc"], uri+"#list"
		}, status.ErrWrongSubject},
		{"ST-12 the bytes of a bitstring list", func(f *jwtFixture) { list(f)["lst"] = encodedList() }, status.ErrMalformed},
		{"ST-15 asked for last month, answered with the list of now", func(f *jwtFixture) { f.want.Now = now.AddDate(0, -1, 0) }, status.ErrIssuedAhead},
		{"ST-15 asked for next month, answered with the list of now", func(f *jwtFixture) { f.want.Now = now.AddDate(0, 1, 0) }, status.ErrExpired},
		{"ST-13 checksum wrong", func(f *jwtFixture) {
			b := deflated(t, []byte{0xb9, 0xa3})
			list(f)["lst"] = b64(spoilBit(b, len(b)-1, 0))
		}, status.ErrMalformed},
		{"ST-13 list of no length", func(f *jwtFixture) { list(f)["lst"] = "" }, status.ErrMalformed},
		{"list with padding", func(f *jwtFixture) { list(f)["lst"] = list(f)["lst"].(string) + "==" }, status.ErrMalformed},
		{"no list", func(f *jwtFixture) { delete(f.claims, "status_list") }, status.ErrMalformed},
		{"list in words", func(f *jwtFixture) { f.claims["status_list"] = "x" }, status.ErrMalformed},
		{"ST-14 an error page", func(f *jwtFixture) { f.mangle = func(string) string { return "<!doctype html>" } }, status.ErrMalformed},
		{"nothing at all", func(f *jwtFixture) { f.mangle = func(string) string { return "" } }, status.ErrMalformed},
		{"a line more", func(f *jwtFixture) { f.mangle = func(s string) string { return s + "\n" } }, status.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := goodJWT(t)
			tt.spoil(f)
			token := f.token(t)
			if got, err := status.VerifyJWT(token, f.want, jose.Tokens{}); !errors.Is(err, tt.want) {
				t.Errorf("VerifyJWT: %+v, %v, want %v", got, err, tt.want)
			}
			if got, err := status.ParseJWT(token, f.want.MaxBytes); errors.Is(tt.want, status.ErrWrongType) && !errors.Is(err, tt.want) {
				t.Errorf("ParseJWT: %+v, %v, want %v", got, err, tt.want)
			}
		})
	}
	f := goodJWT(t)
	if _, err := status.VerifyJWT(f.token(t), f.want, nil); err == nil {
		t.Error("verified without anybody who checks signatures")
	}
	if _, err := status.VerifyJWT(f.token(t), status.Expect{}, jose.Tokens{}); err == nil {
		t.Error("verified without expectations")
	}
	header, _, _ := strings.Cut(f.token(t), ".")
	for _, token := range []string{header, header + ".e30", header + ".e30.e30.e30"} {
		if got, err := status.ParseJWT(token, 0); !errors.Is(err, status.ErrMalformed) {
			t.Errorf("ParseJWT of %d parts: %+v, %v, want ErrMalformed", strings.Count(token, ".")+1, got, err)
		}
	}
}

// TestSignJWT signs lists and reads them again.
func TestSignJWT(t *testing.T) {
	s := signer(t, keys.StatusList)
	l, err := status.NewList(2, 1<<12)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range map[uint64]byte{3: status.Invalid, 4: status.Suspended, 4095: status.Invalid} {
		if err := l.Set(i, v); err != nil {
			t.Fatal(err)
		}
	}
	info := status.TokenInfo{URI: uri, IssuedAt: now, Expires: now.AddDate(0, 0, 1), TTL: time.Hour, List: l, AggregationURI: "https://status.example/all"}
	b, err := status.SignJWT(rand.Reader, s, info, now, jose.Tokens{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := status.VerifyJWT(string(b), status.Expect{URI: uri, Now: now, Keys: []keys.PublicKey{s.Key().Public}}, jose.Tokens{})
	if err != nil {
		t.Fatal(err)
	}
	if got.List.SHA256() != l.SHA256() || !got.Expires.Equal(info.Expires) || got.TTL != info.TTL || got.AggregationURI != info.AggregationURI || !got.NextUpdate().Equal(now.Add(time.Hour)) {
		t.Errorf("VerifyJWT: %+v", got)
	}
	if looked, err := status.ParseJWT(string(b), 0); err != nil || looked.URI != uri || !looked.Key.IsZero() {
		t.Errorf("ParseJWT: %+v, %v", looked, err)
	}
	if _, err := status.SignJWT(rand.Reader, signer(t, keys.Credential), info, now, jose.Tokens{}); !errors.Is(err, keys.ErrPurpose) {
		t.Errorf("KEY-08: SignJWT with a credential key: %v, want ErrPurpose", err)
	}
	info.TTL = 0
	if _, err := status.SignJWT(rand.Reader, s, info, now, jose.Tokens{}); !errors.Is(err, status.ErrNoLifetime) {
		t.Errorf("SignJWT without ttl: %v, want ErrNoLifetime", err)
	}
}

// TestVectorJWT verifies the token of the draft, iss included, which newer texts do
// not list.
func TestVectorJWT(t *testing.T) {
	var v struct {
		JWT   string
		JWK   json.RawMessage
		Bytes string `json:"expected_byte_array_hex"`
	}
	readVector(t, "statuslist-jwt", &v)
	key, err := keys.ParseJWK(v.JWK)
	if err != nil {
		t.Fatal(err)
	}
	got, err := status.VerifyJWT(v.JWT, status.Expect{
		URI: "https://example.com/statuslists/1", Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Keys: []keys.PublicKey{key},
	}, jose.Tokens{})
	if err != nil {
		t.Fatal(err)
	}
	if !got.IssuedAt.Equal(time.Unix(1686920170, 0)) || !got.Expires.Equal(time.Unix(2291720170, 0)) || got.TTL != 12*time.Hour {
		t.Errorf("dates %v, %v, ttl %v", got.IssuedAt, got.Expires, got.TTL)
	}
	if !bytes.Equal(got.List.Bytes(), unhex(t, v.Bytes)) {
		t.Errorf("list %x, want %s", got.List.Bytes(), v.Bytes)
	}
}

// FuzzVerifyJWT: without a key that signed it no token says anything, and looking
// into one does not panic.
func FuzzVerifyJWT(f *testing.F) {
	good := goodJWT(f)
	f.Add(good.token(f))
	f.Add("e30.e30.")
	stranger := signer(f, keys.StatusList).Key().Public
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		want := good.want
		want.Keys, want.MaxBytes = []keys.PublicKey{stranger}, 1<<16
		if got, err := status.VerifyJWT(s, want, jose.Tokens{}); err == nil {
			t.Fatalf("verified %+v", got)
		}
		if got, err := status.ParseJWT(s, 1<<16); err == nil && got.List.Size() == 0 {
			t.Fatal("a list of no entries")
		}
	})
}
