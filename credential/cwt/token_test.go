package cwt_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

// What goes in comes out, in one spelling.
func TestIssueAndVerify(t *testing.T) {
	for _, alg := range keys.Algorithms() {
		t.Run(string(alg), func(t *testing.T) {
			s := newSigner(t, alg)
			holder := newSigner(t, keys.ES256).Key().Public
			token := birthCertificate()
			token.NotBefore = issuedAt.Add(-time.Hour)
			token.Holder = &holder
			token.Fields[6] = map[int64]any{1: []any{1, 2.5, true}, 2: []byte{9}}
			token.Fields[7] = map[string]any{"a": "b"}

			b := mustSign(t, token, s)
			got, err := cwt.Verify(b, cwt.Expect{Keys: issuers{token.Issuer, []keys.PublicKey{s.Key().Public}}})
			if err != nil {
				t.Fatal(err)
			}
			id := s.Key().ID()
			want := &credential.Verified{
				Format: credential.FormatCWT, Type: token.Type, Issuer: token.Issuer, Key: s.Key().Public, KeyID: id.Bytes(),
				IssuedAt: token.IssuedAt, NotBefore: token.NotBefore, Expires: token.Expires,
				Status: token.Status, Holder: &holder,
				Person: credential.Claims{
					{Key: 1, Name: "id", Value: "19-123456-7"}, {Key: 3, Name: "language", Value: "ben"},
					{Key: 4, Name: "fullName", Value: "রহিম উদ্দিন আহমেদ"}, {Key: 8, Name: "dateOfBirth", Value: "2026-11-08"},
					{Key: 9, Name: "gender", Value: int64(1)}, {Key: 19, Name: "secondaryFullName", Value: "Rahim Uddin Ahmed"},
					{Key: 20, Name: "secondaryLanguage", Value: "eng"},
				},
				Fields: credential.Claims{
					{Key: 1, Value: "করিম উদ্দিন আহমেদ"}, {Key: 2, Value: "Karim Uddin Ahmed"}, {Key: 3, Value: "ফাতেমা বেগম"},
					{Key: 4, Value: "Fatema Begum"}, {Key: 5, Value: "যশোর সদর"},
					{Key: 6, Value: map[string]any{"1": []any{int64(1), 2.5, true}, "2": []byte{9}}},
					{Key: 7, Value: map[string]any{"a": "b"}},
				},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The token is what section 3.2 of the design says, read with nothing but CBOR.
func TestTokenOnTheWire(t *testing.T) {
	s := newSigner(t, keys.ES256)
	token := farmerCard()
	b := mustSign(t, token, s)
	var message struct {
		_           struct{} `cbor:",toarray"`
		Protected   []byte
		Unprotected map[any]any
		Payload     []byte
		Signature   []byte
	}
	var tag cbor.RawTag
	if err := cbor.Token.Unmarshal(b, &tag); err != nil || tag.Number != 18 {
		t.Fatalf("tag %d, %v", tag.Number, err)
	}
	if err := cbor.Token.Unmarshal(tag.Content, &message); err != nil {
		t.Fatal(err)
	}
	var header, claims any
	for v, raw := range map[*any][]byte{&header: message.Protected, &claims: message.Payload} {
		if err := cbor.Token.Unmarshal(raw, v); err != nil {
			t.Fatal(err)
		}
		if !cbor.IsDeterministic(raw) {
			t.Errorf("%x is not deterministic", raw)
		}
	}
	id := s.Key().ID()
	if diff := cmp.Diff(any(map[any]any{int64(1): int64(-7), int64(4): id.Bytes()}), header); diff != "" {
		t.Errorf("protected header: %s", diff)
	}
	want := map[any]any{
		int64(1): "agri.xx", int64(6): issuedAt.Unix(), int64(4): issuedAt.AddDate(3, 0, 0).Unix(),
		int64(65535): map[any]any{"status_list": map[any]any{"idx": int64(77_123), "uri": "https://s.agri.xx/1"}},
		int64(169): map[any]any{
			int64(1): "F-1234567", int64(3): "swa", int64(4): "Juma Mwangi Kamau", int64(8): "19840418", int64(9): int64(1),
		},
		int64(-65537): "urn:xx:farmer:1",
		int64(-65538): map[any]any{int64(1): "Maize", int64(2): 2.5, int64(3): "Nakuru"},
	}
	if diff := cmp.Diff(any(want), claims); diff != "" {
		t.Errorf("claims: %s", diff)
	}
	if len(message.Unprotected) != 0 || len(message.Signature) != 64 {
		t.Errorf("unprotected %v, signature of %d bytes", message.Unprotected, len(message.Signature))
	}
}

func TestNewDraftRefuses(t *testing.T) {
	face, err := cwt.FaceClaim(credential.Face{Data: make([]byte, 600), MediaType: "image/webp"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		spoil func(*cwt.Token)
		ok    bool
	}{
		{"nothing spoiled", func(*cwt.Token) {}, true},
		{"no issuer", func(t *cwt.Token) { t.Issuer = "" }, false},
		{"no type", func(t *cwt.Token) { t.Type = "" }, false},
		{"no issue date", func(t *cwt.Token) { t.IssuedAt = time.Time{} }, false},
		{"no claims", func(t *cwt.Token) { t.Person, t.Fields = nil, nil }, false},
		{"fields only", func(t *cwt.Token) { t.Person = nil }, true},
		{"person only", func(t *cwt.Token) { t.Fields = nil }, true},
		{"no end", func(t *cwt.Token) { t.Expires = time.Time{} }, true},
		{"expires before it is issued", func(t *cwt.Token) { t.Expires = t.IssuedAt.Add(-time.Second) }, false},
		{"expires when it is issued", func(t *cwt.Token) { t.Expires = t.IssuedAt }, false},
		{"expires before it begins", func(t *cwt.Token) { t.NotBefore = t.Expires }, false},
		{"half a second", func(t *cwt.Token) { t.IssuedAt = t.IssuedAt.Add(500 * time.Millisecond) }, false},
		{"before 1970", func(t *cwt.Token) { t.NotBefore = time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC) }, false},
		{"after 9999", func(t *cwt.Token) { t.Expires = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, false},
		{"status without URI", func(t *cwt.Token) { t.Status = &credential.StatusRef{Index: 1} }, false},
		{"status with half a URI", func(t *cwt.Token) { t.Status = &credential.StatusRef{URI: "/lists/1"} }, false},
		{"status index beyond 63 bits", func(t *cwt.Token) { t.Status.Index = math.MaxUint64 }, false},
		{"no status", func(t *cwt.Token) { t.Status = nil }, true},
		{"holder without key", func(t *cwt.Token) { t.Holder = &keys.PublicKey{} }, false},
		{"e-mail", func(t *cwt.Token) { t.Person[11] = "a@b.example" }, false},
		{"phone", func(t *cwt.Token) { t.Person[12] = "+15551234567" }, false},
		{"photo in the old place", func(t *cwt.Token) { t.Person[16], t.Person[17] = []byte{1}, 1 }, false},
		{"best fingers", func(t *cwt.Token) { t.Person[18] = []any{1} }, false},
		{"unassigned attribute", func(t *cwt.Token) { t.Person[24] = "x" }, false},
		{"attribute of a closed system", func(t *cwt.Token) { t.Person[75] = "x" }, false},
		{"right thumb", func(t *cwt.Token) { t.Person[50] = face }, false},
		{"left iris", func(t *cwt.Token) { t.Person[61] = face }, false},
		{"palm", func(t *cwt.Token) { t.Person[63] = face }, false},
		{"voice", func(t *cwt.Token) { t.Person[65] = face }, false},
		{"face", func(t *cwt.Token) { t.Person[62] = face }, true},
		{"face as bytes", func(t *cwt.Token) { t.Person[62] = []byte{1} }, false},
		{"face as template", func(t *cwt.Token) { t.Person[62] = []any{map[int64]any{0: []byte{1}, 1: 1, 2: 1}} }, false},
		{"face as PNG", func(t *cwt.Token) { t.Person[62] = []any{map[int64]any{0: []byte{1}, 1: 0, 2: 0}} }, false},
		{"face with an issuer", func(t *cwt.Token) { t.Person[62] = []any{map[int64]any{0: []byte{1}, 1: 0, 2: 1, 3: "x"}} }, false},
		{"face without data", func(t *cwt.Token) { t.Person[62] = []any{map[int64]any{0: []byte{}, 1: 0, 2: 1}} }, false},
		{"face of 5 kB", func(t *cwt.Token) { t.Person[62] = []any{map[int64]any{0: make([]byte, 5000), 1: 0, 2: 1}} }, false},
		{"birth date with dashes", func(t *cwt.Token) { t.Person[8] = "1984-04-18" }, false},
		{"birth date that is none", func(t *cwt.Token) { t.Person[8] = "19840431" }, false},
		{"birth date as number", func(t *cwt.Token) { t.Person[8] = 19840418 }, false},
		{"gender as word", func(t *cwt.Token) { t.Person[9] = "M" }, false},
		{"gender 4", func(t *cwt.Token) { t.Person[9] = 4 }, false},
		{"marital status 0", func(t *cwt.Token) { t.Person[14] = 0 }, false},
		{"language of two letters", func(t *cwt.Token) { t.Person[3] = "en" }, false},
		{"language in capitals", func(t *cwt.Token) { t.Person[3] = "ENG" }, false},
		{"id as number", func(t *cwt.Token) { t.Person[1] = 123 }, false},
		{"empty name", func(t *cwt.Token) { t.Person[4] = "" }, false},
		{"name with a line end", func(t *cwt.Token) { t.Person[4] = "a\nb" }, false},
		{"address with a line end", func(t *cwt.Token) { t.Person[10] = "a\nb" }, true},
		{"address with a tab", func(t *cwt.Token) { t.Person[10] = "a\tb" }, false},
		{"escape sequence", func(t *cwt.Token) { t.Fields[1] = "a\x1b[2Jb" }, false},
		{"right-to-left override", func(t *cwt.Token) { t.Fields[1] = "abc\u202edef" }, false},
		{"isolate", func(t *cwt.Token) { t.Fields[1] = "abc\u2066def" }, false},
		{"replacement character", func(t *cwt.Token) { t.Fields[1] = "Ren\ufffd" }, false},
		{"joiners", func(t *cwt.Token) { t.Fields[1] = "ক্\u200dষ র\u200c্য" }, true},
		{"Arabic", func(t *cwt.Token) { t.Person[4] = "جاناردان" }, true},
		{"not UTF-8", func(t *cwt.Token) { t.Fields[1] = "a\xff" }, false},
		{"256 letters", func(t *cwt.Token) { t.Fields[1] = strings.Repeat("ক", 256) }, true},
		{"257 letters", func(t *cwt.Token) { t.Fields[1] = strings.Repeat("a", 257) }, false},
		{"field 0", func(t *cwt.Token) { t.Fields[0] = "x" }, false},
		{"negative field", func(t *cwt.Token) { t.Fields[-1] = "x" }, false},
		{"nothing as value", func(t *cwt.Token) { t.Fields[1] = nil }, false},
		{"time as value", func(t *cwt.Token) { t.Fields[1] = issuedAt }, false},
		{"not a number", func(t *cwt.Token) { t.Fields[1] = math.NaN() }, false},
		{"infinity", func(t *cwt.Token) { t.Fields[1] = math.Inf(-1) }, false},
		{"control character in a list", func(t *cwt.Token) { t.Fields[1] = []any{"a\x00"} }, false},
		{"control character in a map", func(t *cwt.Token) { t.Fields[1] = map[string]any{"a": "\x00"} }, false},
		{"control character in a key", func(t *cwt.Token) { t.Fields[1] = map[string]any{"a\x00": "b"} }, false},
		{"control character deep inside", func(t *cwt.Token) { t.Fields[1] = map[int64]any{1: []any{map[int64]any{1: "\x07"}}} }, false},
		{"nested five deep", func(t *cwt.Token) { t.Fields[1] = []any{[]any{[]any{[]any{1}}}} }, false},
		{"control character in the issuer", func(t *cwt.Token) { t.Issuer = "a\x00" }, false},
		{"control character in the type", func(t *cwt.Token) { t.Type = "a\x00" }, false},
		{"too large for a code", func(t *cwt.Token) { t.Fields[1] = make([]byte, 2800) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSigner(t, keys.ES256)
			token := farmerCard()
			tt.spoil(&token)
			_, err := cwt.NewDraft(token, s.Key().Public)
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, cwt.ErrNotIssuable) {
				t.Errorf("NewDraft: %v, want issuable: %v", err, tt.ok)
			}
		})
	}
}

// An error about a token must not repeat what it says of a person (P22).
func TestErrorsHoldNoClaim(t *testing.T) {
	s := newSigner(t, keys.ES256)
	for _, spoil := range []func(*cwt.Token){
		func(t *cwt.Token) { t.Person[4] = "Canary Person\n" },
		func(t *cwt.Token) { t.Person[8] = "Canary" },
		func(t *cwt.Token) { t.Fields[1] = map[string]any{"Canary": "\x00"} },
		func(t *cwt.Token) { t.Person[9] = "Canary" },
	} {
		token := farmerCard()
		spoil(&token)
		if _, err := cwt.NewDraft(token, s.Key().Public); err == nil || strings.Contains(err.Error(), "Canary") {
			t.Errorf("NewDraft: %v", err)
		}
	}
}

func TestSignChecksTheSigner(t *testing.T) {
	s := newSigner(t, keys.ES256)
	d, err := cwt.NewDraft(farmerCard(), s.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		signer keys.Signer
		now    time.Time
		want   error
	}{
		{"KEY-08 a status list key", newSignerFor(t, keys.ES256, keys.StatusList), issuedAt, keys.ErrPurpose},
		{"KEY-05 past the signing window", s, issuedAt.AddDate(2, 0, 0), keys.ErrSignWindow},
		{"no signer", nil, issuedAt, keys.ErrNoKey},
		{"the signer of another key", newSigner(t, keys.ES256), issuedAt, nil},
	}
	for _, tt := range tests {
		if _, err := d.Sign(rand.Reader, tt.signer, tt.now); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// The ladder: the hash is known before the signature, and what came out is
// compared with it.
func TestCheck(t *testing.T) {
	s, other := newSigner(t, keys.ES256), newSigner(t, keys.ES256)
	pub := s.Key().Public
	d, err := cwt.NewDraft(farmerCard(), pub)
	if err != nil {
		t.Fatal(err)
	}
	hash := d.Hash()
	if hash != sha256.Sum256(d.ToBeSigned()) {
		t.Error("Hash is not the SHA-256 of ToBeSigned")
	}
	good, err := d.Sign(rand.Reader, s, issuedAt)
	if err != nil {
		t.Fatal(err)
	}
	if err := cwt.Check(good, pub, hash); err != nil {
		t.Errorf("Check: %v", err)
	}
	again, err := cwt.NewDraft(farmerCard(), pub)
	if err != nil || again.Hash() != hash {
		t.Errorf("the same token drafted again has another hash: %v", err)
	}
	token := farmerCard()
	token.Status.Index++
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	tests := map[string]struct {
		token []byte
		key   keys.PublicKey
		hash  [32]byte
	}{
		"old signature of another token": {mustSign(t, token, s), pub, hash},
		"another hash":                   {good, pub, [32]byte{1}},
		"neighbour key (SIG-09)":         {good, other.Key().Public, hash},
		"key of another kind":            {good, newSigner(t, keys.EdDSA).Key().Public, hash},
		"no key":                         {good, keys.PublicKey{}, hash},
		"flipped bit (KEY-02)":           {flipped, pub, hash},
		"nothing":                        {nil, pub, hash},
		"cut":                            {good[:len(good)-1], pub, hash},
	}
	for name, tt := range tests {
		if err := cwt.Check(tt.token, tt.key, tt.hash); !errors.Is(err, cwt.ErrNotAsDrafted) {
			t.Errorf("%s: %v, want ErrNotAsDrafted", name, err)
		}
	}
}

// P18: a device that flips any bit of any signature is caught.
func TestCheckFindsEveryFlippedBit(t *testing.T) {
	s := newSigner(t, keys.ES256)
	d, err := cwt.NewDraft(farmerCard(), s.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	good, err := d.Sign(rand.Reader, s, issuedAt)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 * len(good) {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if err := cwt.Check(bad, s.Key().Public, d.Hash()); !errors.Is(err, cwt.ErrNotAsDrafted) {
			t.Fatalf("bit %d: %v, want ErrNotAsDrafted", i, err)
		}
	}
}

// certify returns a certificate for the key in DER, signed by itself.
func certify(t *testing.T, pub, signer any) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"},
		NotBefore: issuedAt, NotAfter: issuedAt.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// A certificate in the header is a hint like the kid. It never brings a key.
func TestX5Chain(t *testing.T) {
	s := newSigner(t, keys.ES256)
	root, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := certify(t, s.Key().Public.Crypto(), root)
	token := farmerCard()
	token.X5Chain = [][]byte{der}
	b := mustSign(t, token, s)

	p, err := cwt.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	if !bytes.Equal(p.KeyID, sum[:8]) || len(p.X5Chain) != 1 || !bytes.Equal(p.X5Chain[0], der) {
		t.Errorf("kid %x, %d certificates", p.KeyID, len(p.X5Chain))
	}
	pub := s.Key().Public
	if got, err := cwt.Verify(b, cwt.Expect{Keys: issuers{token.Issuer, []keys.PublicKey{pub}}}); err != nil || !got.Key.Equal(pub) {
		t.Errorf("the certificate's key is trusted: %v", err)
	}
	_, err = cwt.Verify(b, cwt.Expect{Keys: issuers{token.Issuer, nil}})
	rejected(t, err, credential.UnknownIssuer)
	_, err = cwt.Verify(b, cwt.Expect{Keys: issuers{token.Issuer, []keys.PublicKey{newSigner(t, keys.ES256).Key().Public}}})
	rejected(t, err, credential.UnknownIssuer)
	_, err = cwt.Verify(b, cwt.Expect{Keys: issuers{"another issuer", []keys.PublicKey{pub}}})
	rejected(t, err, credential.UnknownIssuer)

	other := newSigner(t, keys.ES256)
	if _, err := cwt.NewDraft(token, other.Key().Public); err == nil {
		t.Error("drafted with the certificate of another key")
	}
	token.X5Chain = [][]byte{{1, 2, 3}}
	if _, err := cwt.NewDraft(token, pub); err == nil {
		t.Error("drafted with something that is no certificate")
	}
}

// Only what the issuer signed is read: a certificate that somebody adds to the
// unprotected header makes no difference.
func TestAddedCertificateIsNoKey(t *testing.T) {
	s, forger := newSigner(t, keys.ES256), newSigner(t, keys.ES256)
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := certify(t, forger.Key().Public.Crypto(), secret)
	payload, err := cbor.Marshal(map[int]any{1: "agri.xx", 6: issuedAt.Unix(), 169: map[int]any{4: "Forged"}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := cose.Sign1(rand.Reader, forger, cose.Header{KeyID: []byte("anything"), X5Chain: [][]byte{der}}, payload)
	if err != nil {
		t.Fatal(err)
	}
	_, err = cwt.Verify(b, cwt.Expect{Keys: issuers{"agri.xx", []keys.PublicKey{s.Key().Public}}})
	rejected(t, err, credential.UnknownIssuer)
}

func TestFaceClaim(t *testing.T) {
	s := newSigner(t, keys.ES256)
	for _, mediaType := range []string{"image/jpeg", "image/jp2", "image/avif", "image/webp"} {
		in := credential.Face{Data: []byte("a picture"), MediaType: mediaType}
		claim, err := cwt.FaceClaim(in)
		if err != nil {
			t.Fatal(err)
		}
		token := farmerCard()
		token.Person[62] = claim
		got, err := cwt.Verify(mustSign(t, token, s), cwt.Expect{Keys: anyKey{s.Key().Public}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&in, got.Face); diff != "" {
			t.Error(diff)
		}
	}
	for _, bad := range []credential.Face{{Data: []byte{1}, MediaType: "image/png"}, {MediaType: "image/webp"}, {Data: make([]byte, 4097), MediaType: "image/webp"}} {
		if _, err := cwt.FaceClaim(bad); !errors.Is(err, cwt.ErrNotIssuable) {
			t.Errorf("%s, %d bytes: %v", bad.MediaType, len(bad.Data), err)
		}
	}
}

func TestPersonKeys(t *testing.T) {
	want := []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 19, 20, 21, 22, 23, 62}
	if diff := cmp.Diff(want, cwt.PersonKeys(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if key, ok := cwt.PersonKey("fullName"); !ok || key != 4 {
		t.Errorf("fullName: %d, %v", key, ok)
	}
	if _, ok := cwt.PersonKey("shoeSize"); ok || cwt.PersonName(24) != "" {
		t.Error("an attribute that does not exist has a name")
	}
}
