package cwt_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
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

// shown is a live code in parts, for spoiling: an SD-CWT and the key-binding token
// around it. Each is signed as it stands.
type shown struct {
	issuer, holder keys.Signer

	typ         any
	more        map[int64]any // of the protected header
	unprotected map[int64]any // beside the disclosures
	claims      map[any]any
	disclosures []any // byte strings, or whatever stands in their place
	token       func([]byte) []byte

	bindingTyp  any
	bindingMore map[int64]any // nil for kcwt alone
	binding     map[any]any
	kbt         func([]byte) []byte
	plain       bool // without the key-binding token
}

// salted is a disclosure of these parts under a salt of its own.
func salted(t testing.TB, n byte, parts ...any) []byte {
	t.Helper()
	b, err := cbor.Marshal(append([]any{bytes.Repeat([]byte{n}, 16)}, parts...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// digest is over the byte string, its head included.
func digest(t testing.TB, disclosure []byte) []byte {
	t.Helper()
	b, err := cbor.Marshal(disclosure)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

var redactedKey = cbor.SimpleValue(59)

func goodShown(t testing.TB) *shown {
	f := &shown{
		issuer: newSigner(t, keys.ES256), holder: newSignerFor(t, keys.ES256, keys.Holder),
		typ: int64(293), bindingTyp: int64(294),
		token: func(b []byte) []byte { return b }, kbt: func(b []byte) []byte { return b },
	}
	name, birth := salted(t, 1, "Rahim", 4), salted(t, 2, "19840418", 8)
	region := salted(t, 3, "Jessore", 2)
	address := salted(t, 4, map[any]any{1: "12 Market Road", redactedKey: [][]byte{digest(t, region)}}, 5)
	crop, decoy := salted(t, 5, "rice"), salted(t, 6)
	f.disclosures = []any{name, birth, region, address, crop, decoy}
	f.claims = map[any]any{
		1: "jes.gov.xx", 4: issuedAt.AddDate(1, 0, 0).Unix(), 6: issuedAt.Unix(),
		8:      map[any]any{1: cbor.RawMessage(f.holder.Key().Public.COSEKey())},
		169:    map[any]any{1: "id-1", redactedKey: [][]byte{digest(t, name), digest(t, birth), digest(t, decoy)}},
		-65537: "urn:xx:test:1", -65538: map[any]any{
			1:           []any{"jute", cbor.Tag{Number: 60, Content: digest(t, crop)}},
			redactedKey: [][]byte{digest(t, address)},
		},
	}
	f.binding = map[any]any{3: cwt.AudienceInPerson, 6: issuedAt.Add(time.Minute).Unix(), 39: []byte("12345678")}
	return f
}

// bytes is the live code, or the token alone.
func (f *shown) bytes(t testing.TB) []byte {
	t.Helper()
	payload, err := cbor.Marshal(f.claims)
	if err != nil {
		t.Fatal(err)
	}
	id := f.issuer.Key().ID()
	b, err := cose.Sign1(rand.Reader, f.issuer, cose.Header{KeyID: id.Bytes(), Type: f.typ, More: f.more}, payload)
	if err != nil {
		t.Fatal(err)
	}
	headers := map[int64]any{}
	for k, v := range f.unprotected {
		headers[k] = v
	}
	if f.disclosures != nil {
		headers[17] = f.disclosures
	}
	if b, err = cose.WithUnprotected(b, headers); err != nil {
		t.Fatal(err)
	}
	if b = f.token(b); f.plain {
		return b
	}
	if payload, err = cbor.Marshal(f.binding); err != nil {
		t.Fatal(err)
	}
	more := map[int64]any{13: cbor.RawMessage(b)}
	if f.bindingMore != nil {
		more = f.bindingMore
	}
	if b, err = cose.Sign1(rand.Reader, f.holder, cose.Header{Type: f.bindingTyp, More: more}, payload); err != nil {
		t.Fatal(err)
	}
	return f.kbt(b)
}

func (f *shown) verify(t testing.TB) (*credential.Verified, error) {
	t.Helper()
	return cwt.Verify(f.bytes(t), cwt.Expect{Keys: anyKey{f.issuer.Key().Public}})
}

func TestVerifyPresented(t *testing.T) {
	f := goodShown(t)
	v, err := f.verify(t)
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(v.Person, credential.Claims{
		{Key: 1, Name: "id", Value: "id-1"}, {Key: 4, Name: "fullName", Value: "Rahim"}, {Key: 8, Name: "dateOfBirth", Value: "1984-04-18"},
	}) {
		t.Errorf("person: %v", []credential.Claim(v.Person))
	}
	if !cmp.Equal(v.Fields, credential.Claims{
		{Key: 1, Value: []any{"jute", "rice"}}, {Key: 5, Value: map[string]any{"1": "12 Market Road", "2": "Jessore"}},
	}) {
		t.Errorf("fields: %v", []credential.Claim(v.Fields))
	}
	b := v.KeyBinding
	if b == nil || b.Audience != cwt.AudienceInPerson || !b.IssuedAt.Equal(issuedAt.Add(time.Minute)) || string(b.Nonce) != "12345678" || v.Withheld != 0 {
		t.Errorf("binding: %+v", b)
	}
	if !v.HolderProof.IsZero() {
		t.Error("nobody asked for a proof, and HolderProof says when it was given")
	}
}

// TestVerifyPresentedRefuses spoils one thing at a time in a live code that is good
// otherwise and signed as it stands.
func TestVerifyPresentedRefuses(t *testing.T) {
	other := newSignerFor(t, keys.ES256, keys.Holder)
	person := func(f *shown) map[any]any { return f.claims[169].(map[any]any) }
	fields := func(f *shown) map[any]any { return f.claims[-65538].(map[any]any) }
	at := func(d time.Duration) int64 { return issuedAt.Add(d).Unix() }
	rejectedAs := map[credential.Reason][]struct {
		name  string
		spoil func(*shown)
	}{
		"": {
			{"nothing spoiled", func(*shown) {}},
			{"the token alone", func(f *shown) { f.plain = true }},
			{"typ in words", func(f *shown) { f.typ, f.bindingTyp = "application/sd-cwt", "application/kb+cwt" }},
			{"typ of a narrower kind", func(f *shown) { f.typ = "application/farmer+sd-cwt" }},
			{"sd_alg named", func(f *shown) { f.more = map[int64]any{170: -16} }},
			{"without a nonce", func(f *shown) { delete(f.binding, 39) }},
			{"cti in place of iat", func(f *shown) { delete(f.binding, 6); f.binding[7] = []byte{1} }},
			{"claims of the holder's own", func(f *shown) { f.binding[1000] = "x" }},
			{"with an end", func(f *shown) { f.binding[4] = at(time.Hour) }},
			{"made in the second of issue", func(f *shown) { f.binding[6] = at(0) }},
			{"tags 61 and 18", func(f *shown) { f.kbt = func(b []byte) []byte { return append([]byte{0xd8, 61}, b...) } }},
			{"subject hidden", func(f *shown) {
				d := salted(t, 9, "subject", 2)
				f.disclosures = append(f.disclosures, d)
				f.claims[redactedKey] = [][]byte{digest(t, d)}
			}},
			{"nothing disclosed", func(f *shown) { f.disclosures = nil }},
			{"hidden below the top, under the number of a claim of the top", func(f *shown) {
				d := salted(t, 9, "x", 6)
				f.disclosures = append(f.disclosures, d)
				person(f)[redactedKey] = append(person(f)[redactedKey].([][]byte), digest(t, d))
			}},
			{"hidden at the top, in words", func(f *shown) {
				d := salted(t, 9, "x", "6")
				f.disclosures = append(f.disclosures, d)
				f.claims[redactedKey] = [][]byte{digest(t, d)}
			}},
			{"a parent without its parts", func(f *shown) { f.disclosures = slices.Delete(f.disclosures, 2, 3) }},
			{"parts before their parent", func(f *shown) { slices.Reverse(f.disclosures) }},
			{"the type in the draft's own claim", func(f *shown) { delete(f.claims, -65537); f.claims[11] = "urn:xx:test:1" }},
			{"the type in both", func(f *shown) { f.claims[11] = "urn:xx:test:1" }},
		},
		credential.Malformed: {
			{"SDJ-02 disclosure that no digest refers to", func(f *shown) { f.disclosures = append(f.disclosures, salted(t, 9, "x", 10)) }},
			{"SDJ-01 disclosure edited", func(f *shown) { f.disclosures[0] = salted(t, 1, "Karim", 4) }},
			{"disclosure with another salt", func(f *shown) { f.disclosures[0] = salted(t, 9, "Rahim", 4) }},
			{"parts without their parent", func(f *shown) { f.disclosures = slices.Delete(f.disclosures, 3, 4) }},
			{"SDJ-03 disclosure whose key is the redacted keys", func(f *shown) {
				d := salted(t, 9, "x", redactedKey)
				f.disclosures = append(f.disclosures, d)
				person(f)[redactedKey] = append(person(f)[redactedKey].([][]byte), digest(t, d))
			}},
			{"disclosure whose key is a byte string", func(f *shown) { f.first(t, salted(t, 1, "Rahim", []byte{4})) }},
			{"SDJ-04 claim that is there already", func(f *shown) { person(f)[4] = "Karim" }},
			{"SDJ-04 two disclosures of one claim", func(f *shown) {
				d := salted(t, 9, "Karim", 4)
				f.disclosures = append(f.disclosures, d)
				person(f)[redactedKey] = append(person(f)[redactedKey].([][]byte), digest(t, d))
			}},
			{"SDJ-05 four parts", func(f *shown) { f.first(t, salted(t, 1, "Rahim", 4, 5)) }},
			{"SDJ-05 no parts", func(f *shown) { f.first(t, []byte{0x80}) }},
			{"SDJ-05 no array", func(f *shown) { f.first(t, []byte{0x01}) }},
			{"SDJ-05 a map", func(f *shown) { f.first(t, []byte{0xa1, 0x01, 0x02}) }},
			{"SDJ-05 bytes after the array", func(f *shown) { f.first(t, append(salted(t, 1, "Rahim", 4), 0)) }},
			{"SDJ-05 salt of no bytes", func(f *shown) { f.first(t, []byte{0x83, 0x40, 0x61, 'b', 0x04}) }},
			{"SDJ-05 salt of 15 bytes", func(f *shown) {
				f.first(t, slices.Concat([]byte{0x83, 0x4f}, make([]byte, 15), []byte{0x61, 'b', 0x04}))
			}},
			{"SDJ-05 salt of 17 bytes", func(f *shown) {
				f.first(t, slices.Concat([]byte{0x83, 0x51}, make([]byte, 17), []byte{0x61, 'b', 0x04}))
			}},
			{"SDJ-05 salt is a text", func(f *shown) { f.first(t, []byte{0x83, 0x61, 'a', 0x61, 'b', 0x04}) }},
			{"disclosure that is no byte string", func(f *shown) { f.disclosures[0] = "Rahim" }},
			{"claim for an element", func(f *shown) {
				d := salted(t, 5, "rice", 1)
				f.disclosures[4] = d
				fields(f)[1] = []any{"jute", cbor.Tag{Number: 60, Content: digest(t, d)}}
			}},
			{"element for a claim", func(f *shown) {
				d := salted(t, 1, "Rahim")
				f.disclosures[0] = d
				person(f)[redactedKey] = [][]byte{digest(t, d)}
				f.disclosures = slices.Delete(f.disclosures, 5, 6)
				f.disclosures = slices.Delete(f.disclosures, 1, 2)
			}},
			{"SDJ-06 digest twice in one place", func(f *shown) {
				person(f)[redactedKey] = append(person(f)[redactedKey].([][]byte), person(f)[redactedKey].([][]byte)[0])
			}},
			{"SDJ-06 digest twice in two places", func(f *shown) {
				fields(f)[redactedKey] = append(fields(f)[redactedKey].([][]byte), person(f)[redactedKey].([][]byte)[0])
			}},
			{"SDJ-07 the same disclosure twice", func(f *shown) { f.disclosures = append(f.disclosures, f.disclosures[0]) }},
			{"digest of 31 bytes", func(f *shown) { person(f)[redactedKey].([][]byte)[2] = make([]byte, 31) }},
			{"redacted keys that are no array", func(f *shown) { person(f)[redactedKey] = digest(t, []byte{1}) }},
			{"digest that is a text", func(f *shown) { person(f)[redactedKey] = []any{"digest"} }},
			{"SDJ-08 digest outside of an array", func(f *shown) { fields(f)[7] = cbor.Tag{Number: 60, Content: digest(t, []byte{1})} }},
			{"SDJ-08 digest in an array that is a number", func(f *shown) { fields(f)[7] = []any{cbor.Tag{Number: 60, Content: 7}} }},
			{"tag of a claim that is to be redacted", func(f *shown) { fields(f)[7] = []any{cbor.Tag{Number: 58, Content: 7}} }},
			{"tag of a decoy to be", func(f *shown) { fields(f)[7] = []any{cbor.Tag{Number: 62, Content: 7}} }},
			{"redacted keys as a value", func(f *shown) { fields(f)[7] = redactedKey }},
			{"another simple value as a key", func(f *shown) { person(f)[cbor.SimpleValue(60)] = [][]byte{} }},
			{"empty sd_claims", func(f *shown) { f.disclosures = []any{} }},
			{"sd_claims in the protected header", func(f *shown) { f.more = map[int64]any{17: f.disclosures}; f.disclosures = nil }},
			{"issuer hidden", func(f *shown) { hideTop(t, f, 1) }},
			{"last moment hidden", func(f *shown) { hideTop(t, f, 4) }},
			{"audience hidden", func(f *shown) { f.claims[3] = "x"; hideTop(t, f, 3) }},
			{"token id hidden", func(f *shown) { f.claims[7] = []byte{1}; hideTop(t, f, 7) }},
			{"type in the draft's own claim hidden", func(f *shown) { f.claims[11] = "urn:xx:test:1"; hideTop(t, f, 11) }},
			{"nonce hidden", func(f *shown) { f.claims[39] = []byte{1}; hideTop(t, f, 39) }},
			{"first moment hidden", func(f *shown) { f.claims[5] = at(0); hideTop(t, f, 5) }},
			{"issue date hidden", func(f *shown) { hideTop(t, f, 6) }},
			{"KB-04 key of the holder hidden", func(f *shown) { hideTop(t, f, 8) }},
			{"status hidden", func(f *shown) { f.claims[65535] = map[any]any{}; hideTop(t, f, 65535) }},
			{"key of the holder with a hidden part", func(f *shown) {
				f.claims[8].(map[any]any)[redactedKey] = [][]byte{digest(t, []byte{9})}
			}},
			{"type hidden", func(f *shown) { hideTop(t, f, -65537) }},
			{"status with hidden parts", func(f *shown) {
				f.claims[65535] = map[any]any{"status_list": map[any]any{"uri": "https://s.example/1", "idx": 7, redactedKey: [][]byte{digest(t, []byte{9})}}}
			}},
			{"claims are an array", func(f *shown) { f.plain, f.token = true, f.reclaim(t, []any{1}) }},
			{"two types", func(f *shown) { f.claims[11] = "urn:xx:test:2" }},
			{"begins after it is issued", func(f *shown) { f.claims[5] = at(time.Second) }},
			{"ends when it is issued", func(f *shown) { f.claims[4] = at(0) }},
			{"no kcwt", func(f *shown) { f.bindingMore = map[int64]any{} }},
			{"kcwt is a byte string", func(f *shown) { f.bindingMore = map[int64]any{13: f.inner(t)} }},
			{"kcwt is a text", func(f *shown) { f.bindingMore = map[int64]any{13: "token"} }},
			{"a token that is no SD-CWT", func(f *shown) { f.typ = nil }},
			{"a token of another kind", func(f *shown) { f.typ = int64(61) }},
			{"SDJ-11 a proof around a proof", func(f *shown) {
				inner := f.bytes(t)
				f.bindingMore = map[int64]any{13: cbor.RawMessage(inner)}
			}},
			{"claims in the header of the proof", func(f *shown) {
				f.bindingMore = map[int64]any{13: cbor.RawMessage(f.inner(t)), 15: map[any]any{1: "x"}}
			}},
			{"KB-07 for nobody", func(f *shown) { delete(f.binding, 3) }},
			{"KB-07 for an empty name", func(f *shown) { f.binding[3] = "" }},
			{"KB-07 for several", func(f *shown) { f.binding[3] = []any{"a", "b"} }},
			{"proof with an issuer", func(f *shown) { f.binding[1] = "holder" }},
			{"proof with a subject", func(f *shown) { f.binding[2] = "holder" }},
			{"neither iat nor cti", func(f *shown) { delete(f.binding, 6) }},
			{"an end and no iat", func(f *shown) { delete(f.binding, 6); f.binding[7] = []byte{1}; f.binding[4] = at(time.Hour) }},
			{"iat is a text", func(f *shown) { f.binding[6] = "now" }},
			{"iat before 1970", func(f *shown) { f.binding[6] = -1 }},
			{"iat that is infinite", func(f *shown) { f.binding[6] = cbor.RawMessage{0xf9, 0x7c, 0x00} }},
			{"nonce is a text", func(f *shown) { f.binding[39] = "nonce" }},
			{"empty nonce", func(f *shown) { f.binding[39] = []byte{} }},
			{"trailing byte", func(f *shown) { f.kbt = func(b []byte) []byte { return append(b, 0) } }},
			{"CBOR-04 indefinite claims of the proof", func(f *shown) { f.kbt = f.rebind(t, []byte{0xbf, 0x03, 0x61, 'a', 0x06, 0x01, 0xff}) }},
			{"CBOR-03 audience twice", func(f *shown) { f.kbt = f.rebind(t, []byte{0xa3, 0x03, 0x61, 'a', 0x03, 0x61, 'b', 0x06, 0x01}) }},
		},
		credential.HolderProofBad: {
			{"KB-04 signed with another key", func(f *shown) { f.holder = other }},
			{"KB-04 no key of the holder", func(f *shown) { delete(f.claims, 8) }},
			{"KB-04 signed by the issuer", func(f *shown) { f.holder = f.issuer }},
			{"KB-04 with another algorithm", func(f *shown) { f.holder = newSignerFor(t, keys.EdDSA, keys.Holder) }},
			{"KB-03 a disclosure left out afterwards", func(f *shown) {
				signed := f.bytes(t)
				f.disclosures = f.disclosures[:5]
				f.kbt = func(b []byte) []byte { return append(b[:len(b)-64:len(b)-64], signed[len(signed)-64:]...) }
			}},
			{"KB-03 a disclosure added afterwards", func(f *shown) {
				all := f.disclosures
				f.disclosures = all[:5]
				signed := f.bytes(t)
				f.disclosures = all
				f.kbt = func(b []byte) []byte { return append(b[:len(b)-64:len(b)-64], signed[len(signed)-64:]...) }
			}},
			{"KB-02 another audience put in", func(f *shown) {
				f.kbt = func(b []byte) []byte { return bytes.Replace(b, []byte(cwt.AudienceInPerson), []byte("at-a-desk"), 1) }
			}},
			{"signature cut off", func(f *shown) { f.kbt = func(b []byte) []byte { return append(b[:len(b)-66:len(b)-66], 0x40) } }},
			{"made before the credential", func(f *shown) { f.binding[6] = at(-time.Second) }},
			{"made after the credential has ended", func(f *shown) { f.binding[6] = issuedAt.AddDate(1, 0, 0).Unix() }},
			{"ends when it was made", func(f *shown) { f.binding[4] = at(time.Minute) }},
			{"ends after the credential", func(f *shown) { f.binding[4] = issuedAt.AddDate(1, 0, 0).Unix() + 1 }},
			{"begins after it was made", func(f *shown) { f.binding[5] = at(time.Minute + time.Second) }},
			{"begins before the credential", func(f *shown) { f.claims[5] = at(0); f.binding[5] = at(-time.Second) }},
		},
		credential.BadSignature: {
			{"token by another issuer's key", func(f *shown) {
				good := f.issuer
				f.issuer = newSigner(t, keys.ES256)
				f.token = func(b []byte) []byte { f.issuer = good; return b }
			}},
			{"SDJ-01 claim of the token changed", func(f *shown) {
				f.token = func(b []byte) []byte { return bytes.Replace(b, []byte("id-1"), []byte("id-2"), 1) }
			}},
		},
		credential.Unsigned: {
			{"token without a signature", func(f *shown) { f.token = func(b []byte) []byte { return append(b[:len(b)-66:len(b)-66], 0x40) } }},
		},
		credential.UnsupportedAlgorithm: {
			{"SDJ-09 digests with SHA-1", func(f *shown) { f.more = map[int64]any{170: -14} }},
			{"SDJ-09 digests with a cut SHA-256", func(f *shown) { f.more = map[int64]any{170: -15} }},
			{"SDJ-09 digests with SHA-512", func(f *shown) { f.more = map[int64]any{170: -44} }},
		},
		credential.UnsupportedFormat: {
			{"claims in the header of the token", func(f *shown) { f.more = map[int64]any{15: map[any]any{1: "x"}} }},
			{"KB-04 key of the holder by name", func(f *shown) { f.claims[8] = map[any]any{3: []byte("kid")} }},
			{"token for a particular audience", func(f *shown) { f.claims[3] = "somebody" }},
		},
		credential.Encrypted: {
			{"encrypted disclosures in the protected header", func(f *shown) {
				f.more = map[int64]any{171: []any{[]any{[]byte{1}, []byte{2}, []byte{3}}}}
			}},
			{"encrypted disclosures", func(f *shown) { f.unprotected = map[int64]any{171: []any{[]any{[]byte{1}, []byte{2}, []byte{3}}}} }},
		},
		credential.UnknownIssuer: {},
		credential.TooLarge: {
			{"SDJ-10 more disclosures than are read", func(f *shown) {
				for i := range cwt.MaxDisclosures {
					f.disclosures = append(f.disclosures, salted(t, byte(i)))
				}
			}},
			{"SDJ-10 disclosures in disclosures", func(f *shown) {
				inner := salted(t, 100, "x", 1)
				for i := range 8 {
					f.disclosures = append(f.disclosures, inner)
					inner = salted(t, byte(i+20), map[any]any{redactedKey: [][]byte{digest(t, inner)}}, 1)
				}
				f.disclosures = append(f.disclosures, inner)
				fields(f)[redactedKey] = append(fields(f)[redactedKey].([][]byte), digest(t, inner))
			}},
			{"CBOR-01 a value nested deeper than a token may be", func(f *shown) { f.disclosures[0] = salted(t, 1, nest(9), 4) }},
			{"key of 256 bytes", func(f *shown) {
				d := salted(t, 1, "x", string(bytes.Repeat([]byte("k"), 256)))
				f.disclosures[0] = d
				person(f)[redactedKey].([][]byte)[0] = digest(t, d)
			}},
			{"nonce of 65 bytes", func(f *shown) { f.binding[39] = make([]byte, 65) }},
			{"over 16 KiB", func(f *shown) { f.binding[1000] = make([]byte, 17<<10) }},
		},
	}
	rows := 0
	for want, tests := range rejectedAs {
		for _, tt := range tests {
			rows++
			t.Run(tt.name, func(t *testing.T) {
				f := goodShown(t)
				tt.spoil(f)
				_, err := f.verify(t)
				if want == "" {
					if err != nil {
						t.Errorf("Verify: %v, want no error", err)
					}
					return
				}
				rejected(t, err, want)
			})
		}
	}
	t.Logf("%d rows", rows)
}

// first puts a disclosure in the place of the first, and its digest in place of that one's.
func (f *shown) first(t testing.TB, text []byte) {
	f.disclosures[0] = text
	f.claims[169].(map[any]any)[redactedKey].([][]byte)[0] = digest(t, text)
}

// hideTop makes a disclosure of a claim at the top.
func hideTop(t testing.TB, f *shown, key int64) {
	t.Helper()
	for k, v := range f.claims {
		if n, ok := k.(int); ok && int64(n) == key {
			d := salted(t, 9, v, key)
			delete(f.claims, k)
			f.disclosures = append(f.disclosures, d)
			f.claims[redactedKey] = [][]byte{digest(t, d)}
			return
		}
	}
	t.Fatalf("no claim %d", key)
}

// inner is the token alone.
func (f *shown) inner(t testing.TB) []byte {
	c := *f
	c.plain = true
	return c.bytes(t)
}

// reclaim signs other claims than the map of the fixture.
func (f *shown) reclaim(t testing.TB, claims any) func([]byte) []byte {
	return func([]byte) []byte {
		payload, err := cbor.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		b, err := cose.Sign1(rand.Reader, f.issuer, cose.Header{Type: f.typ}, payload)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// rebind signs these bytes in place of the claims of the proof.
func (f *shown) rebind(t testing.TB, payload []byte) func([]byte) []byte {
	return func([]byte) []byte {
		b, err := cose.Sign1(rand.Reader, f.holder, cose.Header{Type: f.bindingTyp, More: map[int64]any{13: cbor.RawMessage(f.inner(t))}}, payload)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// A token with hidden claims, as an issuer and a wallet see it.
func TestHiddenClaims(t *testing.T) {
	s, holder := newSigner(t, keys.ES256), newSignerFor(t, keys.ES256, keys.Holder)
	token := farmerCard()
	public := holder.Key().Public
	token.Holder = &public
	whole := mustSign(t, token, s)
	open, err := cwt.Verify(whole, cwt.Expect{Keys: anyKey{s.Key().Public}})
	if err != nil {
		t.Fatal(err)
	}

	token.Decoys = 2
	for _, k := range []int64{4, 8} {
		token.Person[k] = cwt.Hidden{Value: token.Person[k]}
	}
	token.Fields[90] = []any{"a", cwt.Hidden{Value: map[int64]any{1: "b", 2: cwt.Hidden{Value: "c"}}}}
	d, err := cwt.NewDraft(token, s.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := d.Sign(rand.Reader, s, issuedAt)
	if err != nil {
		t.Fatal(err)
	}
	if err := cwt.Check(issued, s.Key().Public, d.Hash()); err != nil {
		t.Fatal(err)
	}
	p, err := cwt.Parse(issued)
	if err != nil {
		t.Fatal(err)
	}
	// Two of the person and two in the list, and two decoys for each of three places.
	if len(p.Disclosures) != 4+6 || p.Withheld != 0 {
		t.Errorf("%d disclosures, %d shut, want 10 and none", len(p.Disclosures), p.Withheld)
	}
	got, err := cwt.Verify(issued, cwt.Expect{Keys: anyKey{s.Key().Public}})
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(got.Person, open.Person) {
		t.Error(cmp.Diff(open.Person, got.Person))
	}
	if list := field(got, 90); !cmp.Equal(list, []any{"a", map[string]any{"1": "b", "2": "c"}}) {
		t.Errorf("list: %v", list)
	}

	present := func(choose ...cwt.Path) *credential.Verified {
		t.Helper()
		shown, err := cwt.Present(issued, choose...)
		if err != nil {
			t.Fatal(err)
		}
		b, err := cwt.Bind(rand.Reader, shown, cwt.Proof{Audience: "x", IssuedAt: issuedAt}, holder)
		if err != nil {
			t.Fatal(err)
		}
		v, err := cwt.Verify(b, cwt.Expect{Keys: anyKey{s.Key().Public}})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	none := present()
	if none.Withheld != 4-1+6-2 || len(none.Person) != len(open.Person)-2 || !cmp.Equal(field(none, 90), []any{"a"}) {
		t.Errorf("nothing chosen: %d shut, %v", none.Withheld, none.Person)
	}
	name := present(cwt.Path{int64(169), int64(4)})
	if name.Withheld != none.Withheld-1 || len(name.Person) != len(open.Person)-1 {
		t.Errorf("the name chosen: %d shut, %v", name.Withheld, name.Person)
	}
	inside := present(cwt.Path{int64(-65538), int64(90), 1, int64(2)})
	if !cmp.Equal(field(inside, 90), []any{"a", map[string]any{"1": "b", "2": "c"}}) {
		t.Errorf("what is inside chosen: %v", field(inside, 90))
	}
	if all := present(cwt.Path{int64(169)}, cwt.Path{int64(-65538)}); len(all.Person) != len(open.Person) || all.Withheld != 6 {
		t.Errorf("everything chosen: %d shut, want the six decoys", all.Withheld)
	}
	for _, bad := range []cwt.Path{{}, {int64(169), int64(99)}, {int64(99)}, {int64(-65538), int64(90), 7}, {int64(-65538), int64(90), "x"}} {
		if _, err := cwt.Present(issued, bad); !errors.Is(err, cwt.ErrNoClaim) {
			t.Errorf("Present(%v): %v, want ErrNoClaim", bad, err)
		}
	}

	// A disclosure that got lost, or one of another token, is not handed out.
	for name, headers := range map[string]map[int64]any{"none": {}, "foreign": {17: [][]byte{salted(t, 1, "x", 4)}}} {
		b, err := cose.WithUnprotected(issued, headers)
		if err != nil {
			t.Fatal(err)
		}
		if err := cwt.Check(b, s.Key().Public, d.Hash()); !errors.Is(err, cwt.ErrNotAsDrafted) {
			t.Errorf("Check with disclosures %s: %v, want ErrNotAsDrafted", name, err)
		}
	}
}

func field(v *credential.Verified, key int64) any {
	for _, c := range v.Fields {
		if c.Key == key {
			return c.Value
		}
	}
	return nil
}

// The same claims under the same salts are the same bytes, and digests stand in an
// order that says nothing of the claims.
func TestHiddenClaimsAreDeterministic(t *testing.T) {
	s := newSigner(t, keys.ES256)
	holder := newSignerFor(t, keys.ES256, keys.Holder).Key().Public
	first := map[[32]byte]bool{}
	firstPlace := map[int64]int{}
	for round := range 40 {
		var hashes [2][32]byte
		for i := range hashes {
			token := farmerCard()
			token.Holder, token.Rand = &holder, mathrand.NewChaCha8([32]byte{byte(round)})
			for k, v := range token.Person {
				token.Person[k] = cwt.Hidden{Value: v}
			}
			d, err := cwt.NewDraft(token, s.Key().Public)
			if err != nil {
				t.Fatal(err)
			}
			hashes[i] = d.Hash()
			if i == 0 {
				continue
			}
			b, err := d.Sign(rand.Reader, s, issuedAt)
			if err != nil {
				t.Fatal(err)
			}
			firstPlace[firstDigest(t, b)]++
		}
		if hashes[0] != hashes[1] || first[hashes[0]] {
			t.Errorf("round %d: hash %x and %x", round, hashes[0], hashes[1])
		}
		first[hashes[0]] = true
	}
	if len(firstPlace) < 3 {
		t.Errorf("SDJ-16: the first digest stands for one of %d claims in 40 tokens", len(firstPlace))
	}
}

// firstDigest is the key of the person's attribute whose digest stands first.
func firstDigest(t *testing.T, token []byte) int64 {
	t.Helper()
	m, err := cose.ParseSign1(token)
	if err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	if err := cbor.Token.Unmarshal(m.Item(cose.Unprotected, 17), &list); err != nil {
		t.Fatal(err)
	}
	at, key := len(m.Payload), int64(0)
	for _, d := range list {
		var parts []any
		if err := cbor.Token.Unmarshal(d, &parts); err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(m.Payload, digest(t, d)); i >= 0 && i < at {
			at, key = i, parts[2].(int64)
		}
	}
	return key
}

// SDJ-16: salts are of the size that the draft asks for and never the same.
func TestSaltsAreUnique(t *testing.T) {
	seen := map[[16]byte]bool{}
	for range 1000 {
		_, disclosures, err := cwt.Conceal(nil, map[int64]any{1: cwt.Hidden{Value: 1}, 2: cwt.Hidden{Value: 2}})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range disclosures {
			if d[1] != 0x50 {
				t.Fatalf("%x: no salt of 16 bytes", d)
			}
			salt := [16]byte(d[2:18])
			if seen[salt] {
				t.Fatal("a salt twice")
			}
			seen[salt] = true
		}
	}
}

func TestNewDraftRefusesHidden(t *testing.T) {
	holder := newSignerFor(t, keys.ES256, keys.Holder).Key().Public
	tests := []struct {
		name  string
		spoil func(*cwt.Token)
		good  bool
	}{
		{"nothing spoiled", func(*cwt.Token) {}, true},
		{"no key of a holder", func(t *cwt.Token) { t.Holder = nil }, false},
		{"hidden twice", func(t *cwt.Token) { t.Fields[1] = cwt.Hidden{Value: cwt.Hidden{Value: "x"}} }, false},
		{"person hidden twice", func(t *cwt.Token) { t.Person[4] = cwt.Hidden{Value: cwt.Hidden{Value: "x"}} }, false},
		{"a hidden value that may not be issued", func(t *cwt.Token) { t.Person[8] = cwt.Hidden{Value: "1984"} }, false},
		{"nothing hidden", func(t *cwt.Token) { t.Fields[1] = cwt.Hidden{} }, false},
		{"too many decoys", func(t *cwt.Token) { t.Decoys = 17 }, false},
		{"fewer than no decoys", func(t *cwt.Token) { t.Decoys = -1 }, false},
		{"begins after it is issued", func(t *cwt.Token) { t.NotBefore = issuedAt.Add(time.Hour) }, false},
		{"salts run out", func(t *cwt.Token) { t.Rand = bytes.NewReader(make([]byte, 15)) }, false},
		{"more than a token holds", func(t *cwt.Token) {
			for i := range int64(cwt.MaxDisclosures + 1) {
				t.Fields[100+i] = cwt.Hidden{Value: "x"}
			}
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token := farmerCard()
			token.Holder = &holder
			token.Fields[1] = cwt.Hidden{Value: "x"}
			tt.spoil(&token)
			_, err := cwt.NewDraft(token, newSigner(t, keys.ES256).Key().Public)
			if (err == nil) != tt.good {
				t.Errorf("NewDraft: %v", err)
			}
		})
	}
}

func TestBindRefuses(t *testing.T) {
	type given struct {
		token  func(*shown) []byte
		proof  cwt.Proof
		signer keys.Signer
	}
	f := goodShown(t)
	tests := []struct {
		name  string
		spoil func(*given)
		good  bool
	}{
		{"nothing spoiled", func(*given) {}, true},
		{"no signer", func(g *given) { g.signer = nil }, false},
		{"key for credentials", func(g *given) { g.signer = f.issuer }, false},
		{"another holder's key", func(g *given) { g.signer = newSignerFor(t, keys.ES256, keys.Holder) }, false},
		{"for nobody", func(g *given) { g.proof.Audience = "" }, false},
		{"a name that misleads", func(g *given) { g.proof.Audience = "bank\u202eknab" }, false},
		{"at no time", func(g *given) { g.proof.IssuedAt = time.Time{} }, false},
		{"half a second", func(g *given) { g.proof.IssuedAt = g.proof.IssuedAt.Add(time.Second / 2) }, false},
		{"before the credential", func(g *given) { g.proof.IssuedAt = issuedAt.Add(-time.Second) }, false},
		{"ends after the credential", func(g *given) { g.proof.Expires = issuedAt.AddDate(2, 0, 0) }, false},
		{"ends before it begins", func(g *given) { g.proof.Expires = g.proof.IssuedAt }, false},
		{"long nonce", func(g *given) { g.proof.Nonce = make([]byte, 65) }, false},
		{"bound already", func(g *given) { g.token = func(f *shown) []byte { return f.bytes(t) } }, false},
		{"token for paper", func(g *given) {
			g.token = func(f *shown) []byte { delete(f.claims, 8); return f.inner(t) }
		}, false},
		{"token without its typ", func(g *given) {
			g.token = func(f *shown) []byte {
				f.typ, f.disclosures = nil, nil
				f.claims[169], f.claims[-65538] = map[any]any{4: "x"}, map[any]any{}
				return f.inner(t)
			}
		}, false},
		{"no token", func(g *given) { g.token = func(*shown) []byte { return nil } }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := goodShown(t)
			g := given{
				token: func(f *shown) []byte { return f.inner(t) },
				proof: cwt.Proof{Audience: "x", IssuedAt: issuedAt.Add(time.Hour)}, signer: f.holder,
			}
			tt.spoil(&g)
			if _, err := cwt.Bind(rand.Reader, g.token(f), g.proof, g.signer); (err == nil) != tt.good {
				t.Errorf("Bind: %v", err)
			}
		})
	}
}

// One presentation has one digest, however somebody re-encodes or re-signs it, so
// that it is known when it comes again.
func TestDigestOfPresentation(t *testing.T) {
	f := goodShown(t)
	b := f.bytes(t)
	digestOf := func(b []byte) [32]byte {
		t.Helper()
		v, err := cwt.Verify(b, cwt.Expect{Keys: anyKey{f.issuer.Key().Public}})
		if err != nil {
			t.Fatal(err)
		}
		return v.KeyBinding.Digest
	}
	want := digestOf(b)
	for name, again := range map[string][]byte{
		"without its tag":            b[1:],
		"with the tag of CWTs":       append([]byte{0xd8, 61}, b...),
		"with an unprotected header": must(cose.WithUnprotected(b, map[int64]any{99: 1})),
	} {
		if digestOf(again) != want {
			t.Errorf("%s: another digest", name)
		}
	}
	f.binding[6] = issuedAt.Add(2 * time.Minute).Unix()
	if digestOf(f.bytes(t)) == want {
		t.Error("another presentation has the same digest")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// P15: change any one byte of a live code: nothing verifies but what was signed.
func TestTamperedLiveCodesNeverVerify(t *testing.T) {
	f := goodShown(t)
	b := f.bytes(t)
	want := cwt.Expect{Keys: anyKey{f.issuer.Key().Public}}
	good := must(cwt.Verify(b, want))
	masks := []byte{1, 0x20, 0x80, 0xff}
	if raceDetector {
		masks = masks[:1]
	}
	for i := range b {
		for _, mask := range masks {
			changed := bytes.Clone(b)
			changed[i] ^= mask
			if v, err := cwt.Verify(changed, want); err == nil && !cmp.Equal(v, good) {
				t.Fatalf("verifies as something else with byte %d changed", i)
			} else if err == nil {
				t.Errorf("verifies with byte %d changed", i)
			}
		}
	}
}

// V15 at level L for a live code (qr-and-offline 3.7), 34 bytes for each hidden
// claim that stays hidden.
func TestLiveCodeSizes(t *testing.T) {
	s, holder := newSigner(t, keys.ES256), newSignerFor(t, keys.ES256, keys.Holder)
	public := holder.Key().Public
	show := func(token cwt.Token, p cwt.Proof, choose ...cwt.Path) int {
		t.Helper()
		token.Holder = &public
		shown, err := cwt.Present(mustSign(t, token, s), choose...)
		if err != nil {
			t.Fatal(err)
		}
		b, err := cwt.Bind(rand.Reader, shown, p, holder)
		if err != nil {
			t.Fatal(err)
		}
		text, err := qr.Encode(b)
		if err != nil {
			t.Fatal(err)
		}
		v := version(capacityL, len(text))
		t.Logf("%4d bytes, %4d characters: V%d-L", len(b), len(text), v)
		return v
	}
	rotating := cwt.Proof{Audience: cwt.AudienceInPerson, IssuedAt: issuedAt.Add(time.Hour)}
	answer := cwt.Proof{Audience: "jbl.jessore.3", IssuedAt: issuedAt.Add(time.Hour), Nonce: make([]byte, 16)}
	if v := show(farmerCard(), rotating); v > 15 {
		t.Errorf("a farmer card that rotates: V%d-L, at most 15", v)
	}
	if v := show(farmerCard(), answer); v > 15 {
		t.Errorf("a farmer card that answers: V%d-L, at most 15", v)
	}
	if v := show(narrowProof(), answer); v > 13 {
		t.Errorf("a narrow proof that answers: V%d-L, at most 13", v)
	}
	hiding := farmerCard()
	for _, k := range []int64{4, 8} {
		hiding.Person[k] = cwt.Hidden{Value: hiding.Person[k]}
	}
	if v := show(hiding, rotating, cwt.Path{int64(169)}); v > 16 {
		t.Errorf("a card with two hidden claims, both shown: V%d-L, at most 16", v)
	}
	if v := show(hiding, rotating); v > 15 {
		t.Errorf("a card with two hidden claims, none shown: V%d-L, at most 15", v)
	}
}

// P16, SDJ-10: the most work that a live code of the largest size can make is done
// in a blink, and what would be more is refused.
func TestHeavyLiveCodes(t *testing.T) {
	f := goodShown(t)
	list := make([]any, 0, 110)
	for i := range 100 {
		d := salted(t, byte(i), fmt.Sprint(i), int64(1000+i))
		list = append(list, d)
		f.claims[-65538].(map[any]any)[redactedKey] = append(f.claims[-65538].(map[any]any)[redactedKey].([][]byte), digest(t, d))
	}
	f.disclosures = append(f.disclosures, list...)
	b := f.bytes(t)
	if _, err := cwt.Verify(b, cwt.Expect{Keys: anyKey{f.issuer.Key().Public}}); err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(5, func() {
		_, _ = cwt.Verify(b, cwt.Expect{Keys: anyKey{f.issuer.Key().Public}})
	})
	if t.Logf("%d bytes, %d disclosures: %.0f allocations", len(b), len(f.disclosures), n); n > 3000 && !raceDetector {
		t.Errorf("%.0f allocations, at most 3000", n)
	}
}

// FuzzLive holds three properties: nothing verifies that the trusted keys did not
// sign; what can be read can be presented whole and says the same; and nothing of
// the digests is left in open claims.
func FuzzLive(f *testing.F) {
	good := goodShown(f)
	f.Add(good.bytes(f))
	f.Add(good.inner(f))
	good.disclosures = nil
	f.Add(good.inner(f))
	stranger := cwt.Expect{Keys: anyKey{newSigner(f, keys.ES256).Key().Public}}
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		if v, err := cwt.Verify(b, stranger); err == nil {
			t.Fatalf("verified %+v with a key that signed nothing", v)
		}
		p, err := cwt.Parse(b)
		if err != nil {
			if _, rejection := errors.AsType[*credential.RejectedError](err); !rejection {
				t.Fatalf("Parse: %v, want a rejection", err)
			}
			return
		}
		var claims any
		if err := cbor.Token.Unmarshal(p.OpenClaims(), &claims); err != nil && len(p.Disclosures) > 0 {
			t.Fatalf("open claims that cannot be read: %v", err)
		}
		if p.KeyBinding != nil {
			return
		}
		choose := make([]cwt.Path, 0, len(p.Disclosures))
		for _, d := range p.Disclosures {
			if d != nil {
				choose = append(choose, d)
			}
		}
		shown, err := cwt.Present(b, choose...)
		if err != nil {
			t.Fatalf("Present everything: %v", err)
		}
		again, err := cwt.Parse(shown)
		if err != nil || !bytes.Equal(again.OpenClaims(), p.OpenClaims()) {
			t.Fatalf("presented whole it says something else: %v", err)
		}
	})
}
