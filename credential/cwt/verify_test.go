package cwt_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
)

// fixture is a token in parts, for spoiling. It is signed as it stands.
type fixture struct {
	signer keys.Signer
	header cose.Header
	claims map[any]any
	want   cwt.Expect
	after  func([]byte) []byte
}

func goodFixture(t testing.TB) *fixture {
	s := newSigner(t, keys.ES256)
	id := s.Key().ID()
	return &fixture{
		signer: s,
		header: cose.Header{KeyID: id.Bytes()},
		claims: map[any]any{
			1: "jes.gov.xx", 4: issuedAt.AddDate(1, 0, 0).Unix(), 6: issuedAt.Unix(),
			169: map[any]any{1: "id-1", 4: "Rahim"}, -65537: "urn:xx:test:1", -65538: map[any]any{1: "x"},
			65535: map[any]any{"status_list": map[any]any{"idx": 7, "uri": "https://s.example/1"}},
		},
		want:  cwt.Expect{Keys: issuers{"jes.gov.xx", []keys.PublicKey{s.Key().Public}}},
		after: func(b []byte) []byte { return b },
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
	return f.after(b)
}

// raw replaces the payload, and the signature with it, by bytes as they are.
func (f *fixture) raw(t testing.TB, payload []byte) {
	f.after = func([]byte) []byte {
		b, err := cose.Sign1(rand.Reader, f.signer, f.header, payload)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// TestAnotherMechanism: one that stands beside the status list is noted (corpus ST-08).
func TestAnotherMechanism(t *testing.T) {
	f := goodFixture(t)
	for _, want := range []bool{false, true} {
		v, err := cwt.Verify(f.token(t), f.want)
		if err != nil || v.Status == nil || v.Status.Index != 7 || v.Status.Beside != want {
			t.Errorf("Verify: %+v, %v", v, err)
		}
		f.claims[65535].(map[any]any)["identifier_list"] = 1
	}
}

func TestVerifyRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*fixture)
		want  credential.Reason
	}{
		{"nothing spoiled", func(*fixture) {}, ""},
		{"nothing at all", func(f *fixture) { f.after = func([]byte) []byte { return nil } }, credential.Malformed},
		{"text", func(f *fixture) { f.after = func([]byte) []byte { return []byte("hello") } }, credential.Malformed},
		{"trailing byte", func(f *fixture) { f.after = func(b []byte) []byte { return append(b, 0) } }, credential.Malformed},
		{"cut", func(f *fixture) { f.after = func(b []byte) []byte { return b[:len(b)-1] } }, credential.Malformed},
		{"other signature", func(f *fixture) { f.after = func(b []byte) []byte { b[len(b)-1] ^= 1; return b } }, credential.BadSignature},
		{"other claim", func(f *fixture) {
			f.after = func(b []byte) []byte { return bytes.Replace(b, []byte("Rahim"), []byte("Karim"), 1) }
		}, credential.BadSignature},
		{"signature cut off", func(f *fixture) {
			f.after = func(b []byte) []byte { return append(b[:len(b)-66:len(b)-66], 0x40) }
		}, credential.Unsigned},
		{"encrypted", func(f *fixture) { f.after = func(b []byte) []byte { b[0] = 0xd0; return b } }, credential.Encrypted},
		{"too large", func(f *fixture) { f.claims[1000] = make([]byte, 17<<10) }, credential.TooLarge},
		{"too deep", func(f *fixture) { f.claims[1000] = nest(9) }, credential.TooLarge},
		{"deep enough", func(f *fixture) { f.claims[1000] = nest(7) }, ""},
		{"issuer nobody knows", func(f *fixture) { f.claims[1] = "elsewhere" }, credential.UnknownIssuer},
		{"no issuer", func(f *fixture) { delete(f.claims, 1) }, credential.UnknownIssuer},
		{"kid nobody knows", func(f *fixture) { f.header.KeyID = []byte("12345678") }, credential.UnknownIssuer},
		{"no kid", func(f *fixture) { f.header.KeyID = nil }, ""},
		{"empty kid", func(f *fixture) { f.header.KeyID = []byte{} }, ""},
		{"trusted kid, another key", func(f *fixture) { f.signer = newSigner(t, keys.ES256) }, credential.BadSignature},
		{"trusted kid, key of another algorithm", func(f *fixture) { f.signer = newSigner(t, keys.EdDSA) }, credential.BadSignature},
		{"nobody is trusted", func(f *fixture) { f.want.Keys = anyKey{} }, credential.UnknownIssuer},
		{"an empty key is trusted", func(f *fixture) { f.want.Keys = anyKey{{}} }, credential.BadSignature},
		{"several keys of one kid", func(f *fixture) {
			f.want.Keys = anyKey{newSigner(t, keys.ES256).Key().Public, newSigner(t, keys.EdDSA).Key().Public, f.signer.Key().Public}
		}, ""},
		{"several keys, none of them it", func(f *fixture) {
			f.want.Keys = anyKey{newSigner(t, keys.ES256).Key().Public, newSigner(t, keys.ES256).Key().Public}
		}, credential.BadSignature},
		{"as many keys as are tried", func(f *fixture) {
			var many anyKey
			for range 7 {
				many = append(many, newSigner(t, keys.ES256).Key().Public)
			}
			f.want.Keys = append(many, f.signer.Key().Public)
		}, ""},
		{"COSE-02 crit", func(f *fixture) { f.header.More = map[int64]any{2: []any{99}, 99: 1} }, credential.UnsupportedFormat},
		{"no algorithm that we carry", func(f *fixture) {
			f.after = func(b []byte) []byte { return bytes.Replace(b, []byte{0x01, 0x26}, []byte{0x01, 0x25}, 1) } // -6 for -7
		}, credential.UnsupportedAlgorithm},
		{"more keys than are tried", func(f *fixture) {
			var many anyKey
			for range 9 {
				many = append(many, newSigner(t, keys.ES256).Key().Public)
			}
			f.want.Keys = many
		}, credential.UnknownIssuer},
		{"claims are an array", func(f *fixture) { f.raw(t, []byte{0x80}) }, credential.Malformed},
		{"no claims at all", func(f *fixture) { f.raw(t, nil) }, credential.Malformed},
		{"bytes after the claims", func(f *fixture) { f.raw(t, []byte{0xa0, 0x00}) }, credential.Malformed},
		{"CBOR-03 issuer twice", func(f *fixture) { f.raw(t, []byte{0xa2, 1, 0x61, 'a', 1, 0x61, 'b'}) }, credential.Malformed},
		{"CBOR-03 attribute twice", func(f *fixture) { f.raw(t, []byte{0xa1, 0x18, 169, 0xa2, 4, 0x61, 'a', 4, 0x61, 'b'}) }, credential.Malformed},
		{"CBOR-03 unknown claim twice inside", func(f *fixture) { f.raw(t, []byte{0xa1, 0x18, 99, 0xa2, 4, 0x61, 'a', 4, 0x61, 'b'}) }, credential.Malformed},
		{"CBOR-05 claims in tag 24", func(f *fixture) { f.raw(t, []byte{0xd8, 24, 0x45, 0xa1, 1, 0x61, 'a', 0xa0}) }, credential.Malformed},
		{"CBOR-05 a claim in tag 24", func(f *fixture) { f.raw(t, []byte{0xa1, 1, 0xd8, 24, 0x42, 0x61, 'a'}) }, credential.Malformed},
		{"CBOR-04 indefinite claims", func(f *fixture) { f.raw(t, []byte{0xbf, 1, 0x61, 'a', 0xff}) }, credential.Malformed},
		{"name that is not UTF-8", func(f *fixture) { f.claims[169] = map[any]any{4: "a\xff"} }, credential.Malformed},
		{"issuer is a number", func(f *fixture) { f.claims[1] = 7 }, credential.Malformed},
		{"person is a text", func(f *fixture) { f.claims[169] = "Rahim" }, credential.Malformed},
		{"fields are an array", func(f *fixture) { f.claims[-65538] = []any{1} }, credential.Malformed},
		{"type is a number", func(f *fixture) { f.claims[-65537] = 1 }, credential.Malformed},
		{"time is a text", func(f *fixture) { f.claims[4] = "tomorrow" }, credential.Malformed},
		{"time is tagged", func(f *fixture) { f.claims[4] = cbor.Tag{Number: 1, Content: 1_800_000_000} }, credential.Malformed},
		{"time before 1970", func(f *fixture) { f.claims[6] = -1 }, credential.Malformed},
		{"time after 9999", func(f *fixture) { f.claims[4] = 253402300800 }, credential.Malformed},
		{"time beyond 63 bits", func(f *fixture) { f.claims[4] = uint64(math.MaxUint64) }, credential.Malformed},
		{"time as whole float", func(f *fixture) { f.claims[4] = float64(1_800_000_000) }, ""},
		{"time with a fraction", func(f *fixture) { f.claims[4] = 1_800_000_000.5 }, credential.Malformed},
		{"time as huge float", func(f *fixture) { f.claims[4] = 1e300 }, credential.Malformed},
		{"time is a truth value", func(f *fixture) { f.claims[4] = true }, credential.Malformed},
		{"audience", func(f *fixture) { f.claims[3] = "somebody" }, credential.UnsupportedFormat},
		{"status of another mechanism", func(f *fixture) { f.claims[65535] = map[any]any{"identifier_list": 1} }, credential.StatusUnsupported},
		{"status of two mechanisms", func(f *fixture) {
			f.claims[65535].(map[any]any)["identifier_list"] = 1
		}, ""},
		{"status without index", func(f *fixture) {
			f.claims[65535] = map[any]any{"status_list": map[any]any{"uri": "https://s.example"}}
		}, credential.Malformed},
		{"status without URI", func(f *fixture) { f.claims[65535] = map[any]any{"status_list": map[any]any{"idx": 1}} }, credential.Malformed},
		{"status with a negative index", func(f *fixture) {
			f.claims[65535] = map[any]any{"status_list": map[any]any{"idx": -1, "uri": "https://s.example"}}
		}, credential.Malformed},
		{"status is a number", func(f *fixture) { f.claims[65535] = 1 }, credential.Malformed},
		{"holder by kid", func(f *fixture) { f.claims[8] = map[any]any{3: []byte("kid")} }, credential.UnsupportedFormat},
		{"holder key of an unknown kind", func(f *fixture) { f.claims[8] = map[any]any{1: map[any]any{1: 3}} }, credential.UnsupportedAlgorithm},
		{"SIG-05 holder key with its secret", func(f *fixture) {
			f.claims[8] = map[any]any{1: map[any]any{1: 2, -1: 1, -2: make([]byte, 32), -3: make([]byte, 32), -4: make([]byte, 32)}}
		}, credential.Malformed},
		{"SIG-06 holder key off the curve", func(f *fixture) {
			f.claims[8] = map[any]any{1: map[any]any{1: 2, -1: 1, -2: make([]byte, 32), -3: make([]byte, 32)}}
		}, credential.Malformed},
		{"tag 61 before", func(f *fixture) { f.after = func(b []byte) []byte { return append([]byte{0xd8, 61}, b...) } }, ""},
		{"no tag", func(f *fixture) { f.after = func(b []byte) []byte { return b[1:] } }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := goodFixture(t)
			tt.spoil(f)
			got, err := cwt.Verify(f.token(t), f.want)
			if tt.want == "" {
				if err != nil || got == nil {
					t.Errorf("Verify: %v", err)
				}
				return
			}
			rejected(t, err, tt.want)
			if got != nil {
				t.Error("a refused token has content")
			}
			if err != nil && strings.Contains(err.Error(), "Rahim") {
				t.Errorf("the error holds a claim: %v", err)
			}
		})
	}
}

func nest(n int) any {
	var v any = 1
	for range n {
		v = []any{v}
	}
	return v
}

func TestVerifyWantsKeys(t *testing.T) {
	_, err := cwt.Verify(goodFixture(t).token(t), cwt.Expect{})
	if _, ok := errors.AsType[*credential.RejectedError](err); err == nil || ok {
		t.Errorf("Verify with nothing expected: %v, want an error that is no decision", err)
	}
}

// CWT-01: times that are missing are zero, and none is invented. What follows
// from them package verification decides.
func TestVerifyTimes(t *testing.T) {
	f := goodFixture(t)
	delete(f.claims, 4)
	delete(f.claims, 6)
	got, err := cwt.Verify(f.token(t), f.want)
	if err != nil {
		t.Fatal(err)
	}
	if !got.IssuedAt.IsZero() || !got.Expires.IsZero() || !got.NotBefore.IsZero() {
		t.Errorf("CWT-01: %v, %v, %v", got.IssuedAt, got.NotBefore, got.Expires)
	}
	f.claims[5] = float64(issuedAt.Unix())
	if got, err = cwt.Verify(f.token(t), f.want); err != nil || !got.NotBefore.Equal(issuedAt) || got.NotBefore.Location() != time.UTC {
		t.Errorf("%v, %v", got.NotBefore, err)
	}
}

// The spellings of Claim 169 that occur, all read as one.
func TestVerifyReadsSpellings(t *testing.T) {
	picture := []byte("RIFF....WEBP")
	tests := []struct {
		name   string
		person map[any]any
		want   credential.Claims
		face   *credential.Face
	}{
		{"birth date in digits", map[any]any{8: "19840418"}, credential.Claims{{Key: 8, Name: "dateOfBirth", Value: "1984-04-18"}}, nil},
		{"birth date with dashes", map[any]any{8: "1984-04-18"}, credential.Claims{{Key: 8, Name: "dateOfBirth", Value: "1984-04-18"}}, nil},
		{"birth date as number", map[any]any{8: 19840418}, credential.Claims{{Key: 8, Name: "dateOfBirth", Value: "1984-04-18"}}, nil},
		{"birth date that is none", map[any]any{8: "about 1984"}, credential.Claims{{Key: 8, Name: "dateOfBirth", Value: "about 1984"}}, nil},
		{"id as number", map[any]any{1: 3918592438}, credential.Claims{{Key: 1, Name: "id", Value: "3918592438"}}, nil},
		{"language in capitals", map[any]any{3: "EN", 20: "AR"}, credential.Claims{{Key: 3, Name: "language", Value: "en"}, {Key: 20, Name: "secondaryLanguage", Value: "ar"}}, nil},
		{"gender as text", map[any]any{9: "1", 14: "2"}, credential.Claims{{Key: 9, Name: "gender", Value: int64(1)}, {Key: 14, Name: "maritalStatus", Value: int64(2)}}, nil},
		{"gender as word", map[any]any{9: "Male"}, credential.Claims{{Key: 9, Name: "gender", Value: "Male"}}, nil},
		{"unknown keys are kept", map[any]any{42: "x", "own": 1, 80: true},
			credential.Claims{{Name: "own", Value: int64(1)}, {Key: 42, Value: "x"}, {Key: 80, Value: true}}, nil},
		{"face as map", map[any]any{62: map[any]any{0: picture, 1: 0, 2: 4}}, nil, &credential.Face{Data: picture, MediaType: "image/webp"}},
		{"face as list", map[any]any{62: []any{map[any]any{0: picture, 1: 0, 2: 1}}}, nil, &credential.Face{Data: picture, MediaType: "image/jpeg"}},
		{"face without format", map[any]any{62: []any{map[any]any{0: picture, 2: 3}}}, nil, &credential.Face{Data: picture, MediaType: "image/avif"}},
		{"photo in the old place", map[any]any{16: picture, 17: 2}, nil, &credential.Face{Data: picture, MediaType: "image/jp2"}},
		{"face before photo", map[any]any{16: []byte{1}, 17: 2, 62: map[any]any{0: picture, 1: 0, 2: 4}}, nil, &credential.Face{Data: picture, MediaType: "image/webp"}},
		{"face as template", map[any]any{62: map[any]any{0: picture, 1: 1, 2: 1}}, nil, nil},
		{"face of an unknown kind", map[any]any{62: map[any]any{0: picture, 1: 0, 2: 100}}, nil, nil},
		{"face of 5 kB", map[any]any{62: map[any]any{0: make([]byte, 5000), 1: 0, 2: 4}}, nil, nil},
		{"face as text", map[any]any{62: "picture"}, nil, nil},
		{"empty list of faces", map[any]any{62: []any{}}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := goodFixture(t)
			f.claims[169] = tt.person
			got, err := cwt.Verify(f.token(t), f.want)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want != nil && !cmp.Equal(got.Person, tt.want) {
				t.Error(cmp.Diff(tt.want, got.Person))
			}
			if len(got.Person) != len(tt.person) {
				t.Errorf("%d of %d attributes", len(got.Person), len(tt.person))
			}
			if diff := cmp.Diff(tt.face, got.Face); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Parse shows what stands in a token, signed or not, and keeps the spelling.
func TestParse(t *testing.T) {
	f := goodFixture(t)
	f.claims[2], f.claims["own"] = "subject", 5
	f.claims[169] = map[any]any{8: "19840418"}
	p, err := cwt.Parse(f.token(t))
	if err != nil {
		t.Fatal(err)
	}
	other := credential.Claims{{Key: 2, Value: "subject"}, {Name: "own", Value: int64(5)}}
	if !p.Signed || p.Algorithm != keys.ES256 || p.Issuer != "jes.gov.xx" || p.Type != "urn:xx:test:1" || !cmp.Equal(p.Other, other) {
		t.Errorf("Parse: %+v", p)
	}
	if len(p.Person) != 1 || p.Person[0].Value != "19840418" {
		t.Errorf("person: %v", p.Person)
	}
}

// P15, P16: change any one character of a code to any other, or any one byte of
// its message: nothing verifies that was not signed, and nothing panics.
func TestTamperedCodesNeverVerify(t *testing.T) {
	s := newSigner(t, keys.ES256)
	want := cwt.Expect{Keys: anyKey{s.Key().Public}}
	for name, token := range benchmarkTokens {
		message := mustSign(t, token(), s)
		text, err := qr.Encode(message)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifyText(text, want); err != nil {
			t.Fatal(err)
		}
		step := 1
		if raceDetector {
			step = 5 // some ten times slower, and there is one goroutine
		}
		for i := 0; i < len(text); i += step {
			for _, c := range []byte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:a\x00~") {
				changed := text[:i] + string(rune(c)) + text[i+1:]
				// Up to seven bits fill the last byte before the checksum and mean
				// nothing: texts that differ in them hold the same message.
				if _, err := verifyText(changed, want); err == nil && c != text[i] && !holds(changed, message) {
					t.Fatalf("%s: verifies with character %d changed", name, i)
				}
			}
			if _, err := verifyText(text[:i]+text[i+1:], want); err == nil {
				t.Fatalf("%s: verifies without character %d", name, i)
			}
		}
		for i := range message {
			for _, mask := range []byte{1, 0x20, 0x80, 0xff} {
				changed := bytes.Clone(message)
				changed[i] ^= mask
				if _, err := cwt.Verify(changed, want); err == nil {
					t.Fatalf("%s: verifies with byte %d changed", name, i)
				}
			}
		}
	}
}

func holds(text string, message []byte) bool {
	b, err := qr.Decode(text)
	return err == nil && bytes.Equal(b, message)
}

// P17: what a check allocates.
func TestVerifyAllocations(t *testing.T) {
	s := newSigner(t, keys.ES256)
	token := birthCertificate()
	text := issueText(t, token, s)
	want := cwt.Expect{Keys: anyKey{s.Key().Public}}
	n := testing.AllocsPerRun(100, func() {
		if _, err := verifyText(text, want); err != nil {
			t.Fatal(err)
		}
	})
	if t.Logf("%.0f allocations", n); n > 60 && !raceDetector {
		t.Errorf("%.0f allocations, at most 60", n)
	}
}

// FuzzVerify: nothing verifies that the trusted key did not sign.
func FuzzVerify(f *testing.F) {
	for _, token := range benchmarkTokens {
		f.Add(mustSign(f, token(), newSigner(f, keys.ES256)))
	}
	f.Add(goodFixture(f).token(f))
	stranger := cwt.Expect{Keys: anyKey{newSigner(f, keys.ES256).Key().Public, newSigner(f, keys.EdDSA).Key().Public}}
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		if v, err := cwt.Verify(b, stranger); err == nil {
			t.Fatalf("verified %+v with a key that signed nothing", v)
		}
		p, err := cwt.Parse(b)
		if _, rejection := errors.AsType[*credential.RejectedError](err); err != nil && !rejection {
			t.Fatalf("Parse: %v, want a rejection", err)
		}
		if err == nil && (len(p.Person) > 1024 || p.IssuedAt.Year() > 9999) {
			t.Fatalf("parsed beyond the limits: %+v", p)
		}
	})
}
