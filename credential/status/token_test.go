package status_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

// signer makes a new key for this purpose that may sign at the time now.
func signer(t testing.TB, p keys.Purpose) keys.Signer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := keys.NewPublicKey(keys.ES256, private.Public())
	if err != nil {
		t.Fatal(err)
	}
	s, err := keys.NewSigner(keys.Key{
		Public: public, Purpose: p, State: keys.Active, Created: now.AddDate(0, -2, 0), Published: now.AddDate(0, -2, 0),
		SignFrom: now.AddDate(0, -1, 0), SignUntil: now.AddDate(1, 0, 0),
	}, private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A fixture is a good token and what a reader requires of it.
type fixture struct {
	signer keys.Signer
	header cose.Header
	claims map[int64]any
	want   status.Expect
	mangle func([]byte) []byte
}

func goodFixture(t testing.TB) *fixture {
	t.Helper()
	s := signer(t, keys.StatusList)
	return &fixture{
		signer: s,
		header: cose.Header{KeyID: s.Key().ID().Bytes(), Type: status.MediaType},
		claims: map[int64]any{
			2: uri, 6: now.Add(-time.Hour).Unix(), 4: now.AddDate(0, 0, 7).Unix(), 65534: 43200,
			65533: map[string]any{"bits": 1, "lst": deflated(t, []byte{0xb9, 0xa3})},
		},
		want: status.Expect{URI: uri, Now: now, Keys: []keys.PublicKey{s.Key().Public}},
	}
}

func (f *fixture) token(t testing.TB) []byte {
	t.Helper()
	payload, err := cbor.Marshal(f.claims)
	if err != nil {
		t.Fatal(err)
	}
	b, err := cose.Sign1(rand.Reader, f.signer, f.header, payload)
	if err != nil {
		t.Fatal(err)
	}
	if f.mangle != nil {
		b = f.mangle(b)
	}
	return b
}

// TestVerifyTokenRefuses spoils one thing at a time in a token that is good
// otherwise.
func TestVerifyTokenRefuses(t *testing.T) {
	other := signer(t, keys.StatusList)
	list := func(f *fixture) map[string]any { return f.claims[65533].(map[string]any) }
	tests := []struct {
		name  string
		spoil func(*fixture)
		want  error
	}{
		{"ST-01 a bomb", func(f *fixture) { list(f)["lst"] = deflated(t, make([]byte, 1<<20)); f.want.MaxBytes = 1000 }, status.ErrTooLarge},
		{"ST-01 a token longer than any list allowed", func(f *fixture) { f.claims[99] = make([]byte, 100_000); f.want.MaxBytes = 1000 }, status.ErrTooLarge},
		{"ST-03 bits of three", func(f *fixture) { list(f)["bits"] = 3 }, status.ErrBits},
		{"ST-03 no bits", func(f *fixture) { delete(list(f), "bits") }, status.ErrBits},
		{"ST-04 sub of another list", func(f *fixture) { f.want.URI = uri + "0" }, status.ErrWrongSubject},
		{"ST-04 sub differs in case", func(f *fixture) { f.claims[2] = "https://STATUS.example/lists/7" }, status.ErrWrongSubject},
		{"ST-04 sub with a slash more", func(f *fixture) { f.claims[2] = uri + "/" }, status.ErrWrongSubject},
		{"ST-04 no sub", func(f *fixture) { delete(f.claims, 2) }, status.ErrWrongSubject},
		{"ST-04 no type", func(f *fixture) { f.header.Type = nil }, status.ErrWrongType},
		{"ST-04 type of the JWT form", func(f *fixture) { f.header.Type = "statuslist+jwt" }, status.ErrWrongType},
		{"ST-04 type of a credential", func(f *fixture) { f.header.Type = "application/cwt" }, status.ErrWrongType},
		{"ST-04 type as a number", func(f *fixture) { f.header.Type = int64(61) }, status.ErrWrongType},
		{"ST-04 type in place of content type", func(f *fixture) { f.header.Type, f.header.ContentType = nil, status.MediaType }, status.ErrWrongType},
		{"ST-05 expired this second", func(f *fixture) { f.claims[4] = now.Unix() }, status.ErrExpired},
		{"ST-05 expired a year ago", func(f *fixture) { f.claims[4] = now.AddDate(-1, 0, 0).Unix() }, status.ErrExpired},
		{"ST-05 expired half a second ago", func(f *fixture) { f.claims[4] = float64(now.Unix()) - 0.5 }, status.ErrExpired},
		{"P20 the clock stands years ahead", func(f *fixture) { f.want.Now = now.AddDate(10, 0, 0) }, status.ErrExpired},
		{"P20 the clock stands in 1970", func(f *fixture) { f.want.Now = time.Unix(1, 0) }, status.ErrIssuedAhead},
		{"ST-05 iat a second more than the leeway ahead", func(f *fixture) { f.claims[6] = now.Add(status.Leeway + time.Second).Unix() }, status.ErrIssuedAhead},
		{"ST-05 iat two minutes ahead", func(f *fixture) { f.claims[6] = now.Add(2 * time.Minute).Unix() }, status.ErrIssuedAhead},
		{"ST-05 neither exp nor ttl", func(f *fixture) { delete(f.claims, 4); delete(f.claims, 65534) }, status.ErrNoLifetime},
		{"ST-05 no iat", func(f *fixture) { delete(f.claims, 6) }, status.ErrMalformed},
		{"iat in words", func(f *fixture) { f.claims[6] = "2026-11-12" }, status.ErrMalformed},
		{"iat before 1970", func(f *fixture) { f.claims[6] = -1 }, status.ErrMalformed},
		{"exp without end", func(f *fixture) { f.claims[4] = 1e300 }, status.ErrMalformed},
		{"exp after the year 9999", func(f *fixture) { f.claims[4] = int64(1) << 62 }, status.ErrMalformed},
		{"ttl below nothing", func(f *fixture) { f.claims[65534] = -1 }, status.ErrMalformed},
		{"ttl for ever", func(f *fixture) { f.claims[65534] = uint64(1) << 63 }, status.ErrMalformed},
		{"ST-06 signed by another key", func(f *fixture) { f.signer = other }, status.ErrSignature},
		{"ST-06 another key under our kid", func(f *fixture) { f.header.KeyID = f.signer.Key().ID().Bytes(); f.signer = other }, status.ErrSignature},
		{"ST-06 only other keys are trusted", func(f *fixture) { f.want.Keys = []keys.PublicKey{other.Key().Public} }, status.ErrSignature},
		{"a bit of the signature flipped", func(f *fixture) { f.mangle = func(b []byte) []byte { return spoilBit(b, len(b)-1, 0) } }, status.ErrSignature},
		{"a bit of the list flipped", func(f *fixture) {
			f.mangle = func(b []byte) []byte { return spoilBit(b, bytes.Index(b, []byte("bits"))+4, 1) }
		}, status.ErrSignature},
		{"ST-15 asked for last month, answered with the list of now", func(f *fixture) { f.want.Now = now.AddDate(0, -1, 0) }, status.ErrIssuedAhead},
		{"ST-15 asked for next month, answered with the list of now", func(f *fixture) { f.want.Now = now.AddDate(0, 1, 0) }, status.ErrExpired},
		{"ST-13 list cut short", func(f *fixture) { lst := list(f)["lst"].([]byte); list(f)["lst"] = lst[:len(lst)-4] }, status.ErrMalformed},
		{"ST-13 checksum wrong", func(f *fixture) { lst := list(f)["lst"].([]byte); list(f)["lst"] = spoilBit(lst, len(lst)-1, 0) }, status.ErrMalformed},
		{"ST-13 list of no length", func(f *fixture) { list(f)["lst"] = []byte{} }, status.ErrMalformed},
		{"ST-13 list of no entries", func(f *fixture) { list(f)["lst"] = deflated(t, nil) }, status.ErrMalformed},
		{"no list", func(f *fixture) { delete(f.claims, 65533) }, status.ErrBits},
		{"list in words", func(f *fixture) { f.claims[65533] = "eNrbuRgAAhcBXQ" }, status.ErrMalformed},
		{"ST-14 an error page", func(f *fixture) { f.mangle = func([]byte) []byte { return []byte("<!doctype html>") } }, status.ErrMalformed},
		{"nothing at all", func(f *fixture) { f.mangle = func([]byte) []byte { return nil } }, status.ErrMalformed},
		{"cut", func(f *fixture) { f.mangle = func(b []byte) []byte { return b[:len(b)/2] } }, status.ErrMalformed},
		{"a byte more", func(f *fixture) { f.mangle = func(b []byte) []byte { return append(b, 0) } }, status.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := goodFixture(t)
			tt.spoil(f)
			token := f.token(t)
			if got, err := status.VerifyToken(token, f.want); !errors.Is(err, tt.want) {
				t.Errorf("VerifyToken: %+v, %v, want %v", got, err, tt.want)
			}
			if got, err := status.ParseToken(token, f.want.MaxBytes); errors.Is(tt.want, status.ErrWrongType) && !errors.Is(err, tt.want) {
				t.Errorf("ParseToken: %+v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

// TestForgottenExpectations: a list without a name is not taken because nobody said which
// one was asked for (ST-04), and what a reader forgets is no decision about the list.
func TestForgottenExpectations(t *testing.T) {
	for name, forget := range map[string]func(*status.Expect){
		"URI":  func(e *status.Expect) { e.URI = "" },
		"now":  func(e *status.Expect) { e.Now = time.Time{} },
		"keys": func(e *status.Expect) { e.Keys = nil },
	} {
		f := goodFixture(t)
		delete(f.claims, 2)
		forget(&f.want)
		got, err := status.VerifyToken(f.token(t), f.want)
		if got != nil || err == nil {
			t.Errorf("ST-04 %s forgotten: %+v, %v", name, got, err)
		}
		for _, decision := range []error{status.ErrWrongSubject, status.ErrSignature, status.ErrIssuedAhead, status.ErrMalformed} {
			if errors.Is(err, decision) {
				t.Errorf("ST-04 %s forgotten: %v, which is a decision", name, err)
			}
		}
	}
}

// TestVerifyTokenAccepts are tokens that differ from the usual and are good.
func TestVerifyTokenAccepts(t *testing.T) {
	other := signer(t, keys.StatusList)
	for name, change := range map[string]func(*fixture){
		"as it comes":                func(*fixture) {},
		"no ttl":                     func(f *fixture) { delete(f.claims, 65534) },
		"no exp":                     func(f *fixture) { delete(f.claims, 4) },
		"iat some seconds ahead":     func(f *fixture) { f.claims[6] = now.Add(30 * time.Second).Unix() },
		"iat the leeway ahead":       func(f *fixture) { f.claims[6] = now.Add(status.Leeway).Unix() },
		"exp in a second":            func(f *fixture) { f.claims[4] = now.Add(time.Second).Unix() },
		"dates with a fraction":      func(f *fixture) { f.claims[6], f.claims[4] = float64(now.Unix())-0.5, float64(now.Unix())+1.5 },
		"claims nobody knows":        func(f *fixture) { f.claims[1], f.claims[-70000] = "https://issuer.example", []any{"x"} },
		"our key among others":       func(f *fixture) { f.want.Keys = append([]keys.PublicKey{other.Key().Public}, f.want.Keys...) },
		"a kid that leads nowhere":   func(f *fixture) { f.header.KeyID = []byte("12") },
		"no kid":                     func(f *fixture) { f.header.KeyID = nil },
		"a list of eight bits":       func(f *fixture) { f.claims[65533].(map[string]any)["bits"] = 8 },
		"exactly as large as it may": func(f *fixture) { f.want.MaxBytes = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			f := goodFixture(t)
			change(f)
			got, err := status.VerifyToken(f.token(t), f.want)
			if err != nil {
				t.Fatal(err)
			}
			if got.URI != uri || !bytes.Equal(got.List.Bytes(), []byte{0xb9, 0xa3}) || !got.Key.Equal(f.signer.Key().Public) {
				t.Errorf("VerifyToken: %+v", got)
			}
		})
	}
}

func TestExpectMustBeSet(t *testing.T) {
	f := goodFixture(t)
	for name, spoil := range map[string]func(*status.Expect){
		"URI":  func(e *status.Expect) { e.URI = "" },
		"Now":  func(e *status.Expect) { e.Now = time.Time{} },
		"Keys": func(e *status.Expect) { e.Keys = nil },
	} {
		want := f.want
		spoil(&want)
		if _, err := status.VerifyToken(f.token(t), want); err == nil {
			t.Errorf("a token was verified without Expect.%s", name)
		}
	}
}

// TestVectorToken verifies the token of the draft.
func TestVectorToken(t *testing.T) {
	var v struct {
		CWTHex string `json:"cwt_hex"`
		JWK    json.RawMessage
		Bytes  string `json:"expected_byte_array_hex"`
	}
	readVector(t, "statuslist-cwt", &v)
	key, err := keys.ParseJWK(v.JWK)
	if err != nil {
		t.Fatal(err)
	}
	want := status.Expect{
		URI:  "https://example.com/statuslists/1",
		Now:  time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Keys: []keys.PublicKey{key},
	}
	got, err := status.VerifyToken(unhex(t, v.CWTHex), want)
	if err != nil {
		t.Fatal(err)
	}
	if !got.IssuedAt.Equal(time.Unix(1686920170, 0)) || !got.Expires.Equal(time.Unix(2291720170, 0)) || got.TTL != 12*time.Hour {
		t.Errorf("dates %v, %v, ttl %v", got.IssuedAt, got.Expires, got.TTL)
	}
	if !bytes.Equal(got.List.Bytes(), unhex(t, v.Bytes)) {
		t.Errorf("list %x, want %s", got.List.Bytes(), v.Bytes)
	}
	if next := got.NextUpdate(); !next.Equal(got.IssuedAt.Add(12 * time.Hour)) {
		t.Errorf("next update %v", next)
	}
	for name, spoil := range map[string]func(*status.Expect){
		"another key":  func(e *status.Expect) { e.Keys = []keys.PublicKey{signer(t, keys.StatusList).Key().Public} },
		"another list": func(e *status.Expect) { e.URI = "https://example.com/statuslists/2" },
		"in 2060":      func(e *status.Expect) { e.Now = time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		w := want
		spoil(&w)
		if _, err := status.VerifyToken(unhex(t, v.CWTHex), w); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

// TestVectorJWTPayload reads the list inside the JWT form of the draft.
func TestVectorJWTPayload(t *testing.T) {
	var v struct {
		Payload struct {
			List json.RawMessage `json:"status_list"`
		}
		Bytes string `json:"expected_byte_array_hex"`
	}
	readVector(t, "statuslist-jwt", &v)
	l, err := status.ParseJSON(v.Payload.List, 0)
	if err != nil || !bytes.Equal(l.Bytes(), unhex(t, v.Bytes)) {
		t.Errorf("list: %v, want %s", err, v.Bytes)
	}
}

func goodInfo(t testing.TB) status.TokenInfo {
	t.Helper()
	return status.TokenInfo{
		URI: uri, IssuedAt: now, Expires: now.AddDate(0, 0, 7), TTL: 12 * time.Hour,
		List: randomList(t, 2, 1<<12, 40, status.Suspended, 3), AggregationURI: "https://status.example/lists",
	}
}

func TestSignToken(t *testing.T) {
	s, info := signer(t, keys.StatusList), goodInfo(t)
	b, err := status.SignToken(rand.Reader, s, info, now)
	if err != nil {
		t.Fatal(err)
	}
	m, err := cose.ParseSign1(b)
	if err != nil || b[0] != 0xd2 || m.Protected.Type != status.MediaType || !bytes.Equal(m.Protected.KeyID, s.Key().ID().Bytes()) {
		t.Errorf("headers %+v, %v", m.Protected, err)
	}
	if !cbor.IsDeterministic(m.Payload) {
		t.Error("the payload is not deterministic CBOR")
	}
	got, err := status.VerifyToken(b, status.Expect{URI: uri, Now: now, Keys: []keys.PublicKey{s.Key().Public}})
	if err != nil {
		t.Fatal(err)
	}
	if got.List.SHA256() != info.List.SHA256() || !got.IssuedAt.Equal(now) || !got.Expires.Equal(info.Expires) ||
		got.TTL != info.TTL || got.AggregationURI != info.AggregationURI {
		t.Errorf("VerifyToken(SignToken) = %+v", got)
	}
	if unverified, err := status.ParseToken(b, 0); err != nil || unverified.URI != uri || !unverified.Key.IsZero() {
		t.Errorf("ParseToken: %+v, %v", unverified, err)
	}
}

func TestSignTokenRefuses(t *testing.T) {
	four, err := status.ParseCBOR(mustCBOR(t, 4, []byte{1}), 0)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		spoil func(*status.TokenInfo)
		want  error // nil for any
	}{
		{"no URI", func(i *status.TokenInfo) { i.URI = "" }, nil},
		{"relative URI", func(i *status.TokenInfo) { i.URI = "lists/7" }, nil},
		{"aggregation URI with a user", func(i *status.TokenInfo) { i.AggregationURI = "https://a@status.example" }, nil},
		{"no list", func(i *status.TokenInfo) { i.List = nil }, nil},
		{"ST-03 list of four bits", func(i *status.TokenInfo) { i.List = four }, status.ErrBits},
		{"no iat", func(i *status.TokenInfo) { i.IssuedAt = time.Time{} }, nil},
		{"P20 iat ahead of the clock", func(i *status.TokenInfo) { i.IssuedAt = now.Add(time.Second) }, status.ErrIssuedAhead},
		{"ST-05 no exp", func(i *status.TokenInfo) { i.Expires = time.Time{} }, nil},
		{"ST-05 expired before it is signed", func(i *status.TokenInfo) { i.Expires = now }, status.ErrExpired},
		{"exp with a fraction", func(i *status.TokenInfo) { i.Expires = i.Expires.Add(time.Millisecond) }, nil},
		{"ST-05 no ttl", func(i *status.TokenInfo) { i.TTL = 0 }, status.ErrNoLifetime},
		{"ttl with a fraction", func(i *status.TokenInfo) { i.TTL += time.Millisecond }, status.ErrNoLifetime},
	}
	s := signer(t, keys.StatusList)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			info := goodInfo(t)
			tt.spoil(&info)
			if _, err := status.SignToken(rand.Reader, s, info, now); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("SignToken: %v, want %v", err, tt.want)
			}
		})
	}
	for _, p := range []keys.Purpose{keys.Credential, keys.TrustBundle, keys.TrustRoot} {
		if _, err := status.SignToken(rand.Reader, signer(t, p), goodInfo(t), now); !errors.Is(err, keys.ErrPurpose) {
			t.Errorf("P18 a %s key signed a list: %v", p, err)
		}
	}
	if _, err := status.SignToken(rand.Reader, s, goodInfo(t), now.AddDate(2, 0, 0)); !errors.Is(err, keys.ErrSignWindow) {
		t.Errorf("KEY-05 a key past its window signed a list: %v", err)
	}
}

// FuzzVerifyToken changes bytes of a good token. Nothing else that verifies may
// say something else.
func FuzzVerifyToken(f *testing.F) {
	fix := goodFixture(f)
	good := fix.token(f)
	f.Add(good)
	f.Add(unhex(f, "d2845820a2012610781a6170706c69636174696f6e2f7374617475736c6973742b637774a104423132405840"))
	sum := sum256(f, good, fix.want)
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		if _, err := status.ParseToken(b, 1<<16); err != nil {
			return
		}
		if got, err := status.VerifyToken(b, fix.want); err == nil && got.List.SHA256() != sum {
			t.Fatalf("a list verified that was never signed: %x", b)
		}
		want := fix.want
		want.Keys = []keys.PublicKey{signer(t, keys.StatusList).Key().Public}
		if got, err := status.VerifyToken(b, want); err == nil {
			t.Fatalf("verified %+v with a key nobody has", got)
		}
	})
}

func sum256(t testing.TB, b []byte, want status.Expect) [32]byte {
	t.Helper()
	got, err := status.VerifyToken(b, want)
	if err != nil {
		t.Fatal(err)
	}
	return got.List.SHA256()
}

// BenchmarkRebuildAndSign is P15: ten million entries, 1 % revoked.
func BenchmarkRebuildAndSign(b *testing.B) {
	s := signer(b, keys.StatusList)
	l := randomList(b, 1, 10_000_000, 100_000, status.Invalid, 1)
	revoked := revokedIn(l)
	info := goodInfo(b)
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		l, err := status.NewList(1, 10_000_000)
		if err != nil {
			b.Fatal(err)
		}
		for _, i := range revoked {
			if err := l.Set(i, status.Invalid); err != nil {
				b.Fatal(err)
			}
		}
		info.List = l
		token, err := status.SignToken(rand.Reader, s, info, now)
		if err != nil {
			b.Fatal(err)
		}
		size = len(token)
	}
	b.ReportMetric(float64(size)/entropy(10_000_000, 100_000), "size/entropy")
}

// revokedIn returns the indexes of a list that are not valid.
func revokedIn(l *status.List) []uint64 {
	var out []uint64
	for i := range l.Size() {
		if v, _ := l.Get(i); v != status.Valid {
			out = append(out, i)
		}
	}
	return out
}

func BenchmarkVerifyToken(b *testing.B) {
	s, info := signer(b, keys.StatusList), goodInfo(b)
	info.List = randomList(b, 1, 1<<20, 10_000, status.Invalid, 1)
	token, err := status.SignToken(rand.Reader, s, info, now)
	if err != nil {
		b.Fatal(err)
	}
	want := status.Expect{URI: uri, Now: now, Keys: []keys.PublicKey{s.Key().Public}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := status.VerifyToken(token, want); err != nil {
			b.Fatal(err)
		}
	}
}

func Example() {
	var t testing.T // stands for the program's own key store
	key := signer(&t, keys.StatusList)

	// The issuer gives out slots in an order that nobody else can follow.
	list, _ := status.NewList(1, 1<<20)
	order, _ := status.NewPermutation([]byte("thirty-two secret bytes of a list"), list.Size())
	slot := order.Index(0)

	// Later it revokes that credential and publishes the list.
	_ = list.Set(slot, status.Invalid)
	token, _ := status.SignToken(rand.Reader, key, status.TokenInfo{
		URI: uri, IssuedAt: now, Expires: now.AddDate(0, 0, 7), TTL: 12 * time.Hour, List: list,
	}, now)

	// A verifier has the credential's reference: URI and slot.
	got, err := status.VerifyToken(token, status.Expect{URI: uri, Now: now, Keys: []keys.PublicKey{key.Key().Public}})
	if err != nil {
		fmt.Println("no list:", err)
		return
	}
	fmt.Println("as of", got.IssuedAt.Format(time.DateOnly))
	fmt.Println(got.List.Check(slot))
	fmt.Println(got.List.Check(slot ^ 1))
	// Output:
	// as of 2026-11-12
	// revoked
	// <nil>
}
