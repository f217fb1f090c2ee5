package cwt_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/keys"
)

// The examples of the draft, each byte of them read, both signatures verified, and
// written again as far as a draft fixes the bytes. What is not written again:
//
//   - Signatures, since ours are random. What they cover is compared instead.
//   - nested_issuer_cwt and what follows from it: the draft's digests stand in the order
//     of the claims, ours are sorted so that their order says nothing, and a digest
//     inside of a disclosure changes that disclosure. Its containers are written again.
//   - The order of disclosures in nested_kbt, which is the holder's choice; ours stay
//     in the order in which they were issued.

// draftKeys are the keys of the examples.
func draftKeys(t testing.TB) (issuer, holder keys.Signer) {
	t.Helper()
	var file struct {
		Issuer, Holder struct {
			JWK struct{ D string } `json:"jwk"`
		}
	}
	if err := json.Unmarshal(vectors.Read(t, "sd-cwt", "keys.json"), &file); err != nil {
		t.Fatal(err)
	}
	signer := func(private string, alg keys.Algorithm, curve elliptic.Curve, purpose keys.Purpose) keys.Signer {
		d, err := base64.RawURLEncoding.DecodeString(private)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := ecdsa.ParseRawPrivateKey(curve, d)
		if err != nil {
			t.Fatal(err)
		}
		return signerOf(t, alg, purpose, secret, draftIssued)
	}
	return signer(file.Issuer.JWK.D, keys.ES384, elliptic.P384(), keys.Credential), signer(file.Holder.JWK.D, keys.ES256, elliptic.P256(), keys.Holder)
}

var draftIssued = time.Unix(1725244200, 0).UTC()

func TestDraftExamplesAreRead(t *testing.T) {
	issuer, holder := draftKeys(t)
	want := cwt.Expect{Keys: anyKey{issuer.Key().Public}} // the kid of the examples is an address

	flat := func(claims map[any]any) map[any]any {
		for k, v := range map[any]any{
			int64(1): "https://issuer.example", int64(2): "https://device.example", int64(4): int64(1725330600), int64(5): int64(1725243900), int64(6): int64(1725244200),
			int64(8): map[any]any{int64(1): decode(t, holder.Key().Public.COSEKey())},
		} {
			claims[k] = v
		}
		return claims
	}
	denver := map[any]any{int64(1): "us", int64(2): "co", int64(3): "80302"}
	tests := []struct {
		file      string
		claims    map[any]any
		disclosed []string
		withheld  int
		bound     bool
	}{
		{
			"issuer_cwt",
			flat(map[any]any{
				int64(500): true, int64(501): "ABCD-123456",
				int64(502): []any{int64(1549560720), int64(1612560720), int64(1674004740)},
				int64(503): map[any]any{"country": "us", "region": "ca", "postal_code": "94188"},
			}),
			[]string{"501", "502/0", "502/1", "503/region", "503/postal_code"}, 0, false,
		},
		{
			"kbt",
			flat(map[any]any{
				int64(500): true, int64(501): "ABCD-123456",
				int64(502): []any{int64(1549560720), int64(1674004740)},
				int64(503): map[any]any{"country": "us", "region": "ca"},
			}),
			[]string{"501", "502/0", "503/region"}, 2, true,
		},
		{
			"nested_issuer_cwt",
			flat(map[any]any{int64(504): []any{
				map[any]any{int64(500): true, int64(501): "DCBA-101777", int64(502): int64(1549560720), int64(503): denver},
				map[any]any{int64(500): true, int64(501): "EFGH-789012", int64(502): int64(1612560720), int64(503): map[any]any{int64(1): "us", int64(2): "nv", int64(3): "89155"}},
				map[any]any{int64(500): true, int64(501): "ABCD-123456", int64(502): int64(1674004740), int64(503): map[any]any{int64(1): "us", int64(2): "ca", int64(3): "94188"}},
			}}),
			nil, 0, false,
		},
		{
			"nested_cwt",
			flat(map[any]any{int64(504): []any{
				map[any]any{int64(500): true, int64(501): "DCBA-101777", int64(502): int64(1549560720), int64(503): map[any]any{int64(1): "us"}},
				map[any]any{int64(500): true, int64(501): "ABCD-123456", int64(502): int64(1674004740), int64(503): map[any]any{int64(1): "us", int64(2): "ca"}},
			}}),
			[]string{"504/1", "504/1/501", "504/1/503", "504/1/503/2", "504/0", "504/0/501", "504/0/503"}, 4, false,
		},
		{
			"nested_kbt",
			flat(map[any]any{int64(504): []any{
				map[any]any{int64(500): true, int64(501): "DCBA-101777", int64(502): int64(1549560720), int64(503): map[any]any{int64(1): "us"}},
				map[any]any{int64(500): true, int64(501): "ABCD-123456", int64(502): int64(1674004740), int64(503): map[any]any{int64(1): "us", int64(2): "ca"}},
			}}),
			[]string{"504/1", "504/1/501", "504/1/503", "504/1/503/2", "504/0", "504/0/501", "504/0/503"}, 4, true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			b := vectors.Read(t, "sd-cwt", tt.file+".cbor")
			asHex, err := hex.DecodeString(string(bytes.TrimSpace(vectors.Read(t, "sd-cwt", tt.file+".hex"))))
			if err != nil || !bytes.Equal(b, asHex) {
				t.Errorf("%s: .hex and .cbor differ", tt.file)
			}
			v, err := cwt.Verify(b, want)
			if err != nil {
				t.Fatalf("%s: %v", tt.file, err)
			}
			p, err := cwt.Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if got := decode(t, p.OpenClaims()); !cmp.Equal(got, any(tt.claims)) {
				t.Errorf("%s: %s", tt.file, cmp.Diff(any(tt.claims), got))
			}
			if v.Withheld != tt.withheld || p.Withheld != tt.withheld {
				t.Errorf("%s: %d digests shut, want %d", tt.file, v.Withheld, tt.withheld)
			}
			if tt.disclosed != nil && !slices.Equal(texts(p.Disclosures), tt.disclosed) {
				t.Errorf("%s: disclosures at %v, want %v", tt.file, texts(p.Disclosures), tt.disclosed)
			}
			if !v.Holder.Equal(holder.Key().Public) || v.Issuer != "https://issuer.example" || !v.IssuedAt.Equal(draftIssued) {
				t.Errorf("%s: %+v", tt.file, v)
			}
			if (v.KeyBinding != nil) != tt.bound {
				t.Fatalf("%s: key binding %+v", tt.file, v.KeyBinding)
			}
			if b := v.KeyBinding; b != nil && (b.Audience != "https://verifier.example/app" || b.IssuedAt.Unix() != 1725244237 ||
				hex.EncodeToString(b.Nonce) != "8c0f5f523b95bea44a9a48c649240803" || !b.Expires.IsZero()) {
				t.Errorf("%s: %+v", tt.file, b)
			}
		})
	}
}

func texts(paths []cwt.Path) []string {
	var out []string
	for _, p := range paths {
		out = append(out, p.String())
	}
	return out
}

func decode(t testing.TB, b []byte) any {
	t.Helper()
	var v any
	if err := cbor.Token.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// The flat example, made by our issuer and presented by our holder.
func TestDraftExampleIsWritten(t *testing.T) {
	issuer, holder := draftKeys(t)
	var salts []byte
	for _, s := range []string{"bae611067bb823486797da1ebbb52f83", "8de86a012b3043ae6e4457b9e1aaab80", "7af7084b50badeb57d49ea34627c7a52", "ec615c3035d5a4ff2f5ae29ded683c8e", "37c23d4ec4db0806601e6b6dc6670df9"} {
		salts = append(salts, unhex(t, s)...)
	}
	// Our concealer goes through texts as keys in their order, the draft writes the
	// region first; so the salts of the two change places here.
	postal, region := slices.Clone(salts[64:]), slices.Clone(salts[48:64])
	copy(salts[48:], append(postal, region...))
	claims, disclosures, err := cwt.Conceal(bytes.NewReader(salts), map[int64]any{
		1: "https://issuer.example", 2: "https://device.example", 4: 1725330600, 5: 1725243900, 6: 1725244200,
		8:   map[int64]any{1: cbor.RawMessage(holder.Key().Public.COSEKey())},
		500: true, 501: cwt.Hidden{Value: "ABCD-123456"},
		502: []any{cwt.Hidden{Value: 1549560720}, cwt.Hidden{Value: 1612560720}, 1674004740},
		503: map[string]any{"country": "us", "region": cwt.Hidden{Value: "ca"}, "postal_code": cwt.Hidden{Value: "94188"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	disclosures[3], disclosures[4] = disclosures[4], disclosures[3]

	want := vectors.Read(t, "sd-cwt", "issuer_cwt.cbor")
	payload, err := cbor.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	b, err := cose.Sign1(rand.Reader, issuer, cose.Header{
		KeyID: []byte("https://issuer.example/cose-key3"), Type: int64(293), More: map[int64]any{170: -16},
	}, payload)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = cose.WithUnprotected(b, map[int64]any{17: disclosures}); err != nil {
		t.Fatal(err)
	}
	// All but the signature, which is the last 96 bytes.
	if n := len(want) - 96; len(b) != len(want) || !bytes.Equal(b[:n], want[:n]) {
		t.Errorf("issuer_cwt: got %x\nwant %x", b, want)
	}
	if _, err := cwt.Verify(b, cwt.Expect{Keys: anyKey{issuer.Key().Public}}); err != nil {
		t.Error(err)
	}

	// The holder's part, from the bytes of the draft.
	shown, err := cwt.Present(want, cwt.Path{int64(501)}, cwt.Path{int64(502), 0}, cwt.Path{int64(503), "region"})
	if err != nil {
		t.Fatal(err)
	}
	kbt := vectors.Read(t, "sd-cwt", "kbt.cbor")
	if !bytes.Contains(kbt, shown) {
		t.Errorf("Present: %x is not what kbt holds", shown)
	}
	ours, err := cwt.Bind(rand.Reader, shown, cwt.Proof{
		Audience: "https://verifier.example/app", IssuedAt: time.Unix(1725244237, 0), Nonce: unhex(t, "8c0f5f523b95bea44a9a48c649240803"),
	}, holder)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(kbt) - 64; len(ours) != len(kbt) || !bytes.Equal(ours[:n], kbt[:n]) {
		t.Errorf("kbt: got %x\nwant %x", ours, kbt)
	}

	// Nested: the same disclosures in our order say the same.
	nested, err := cwt.Present(vectors.Read(t, "sd-cwt", "nested_issuer_cwt.cbor"),
		cwt.Path{int64(504), 2, int64(501)}, cwt.Path{int64(504), 2, int64(503), int64(2)}, cwt.Path{int64(504), 0, int64(501)}, cwt.Path{int64(504), 0, int64(503)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := cwt.Parse(nested)
	if err != nil {
		t.Fatal(err)
	}
	// Whoever shows a place shows all that is in it, the draft's holder kept some.
	want504 := []string{"504/0/501", "504/0/503/2", "504/0/503/3", "504/0/503", "504/0", "504/1/501", "504/1/503/2", "504/1/503", "504/1"}
	if !slices.Equal(texts(got.Disclosures), want504) || got.Withheld != 2 {
		t.Errorf("nested: %v, %d shut, want %v", texts(got.Disclosures), got.Withheld, want504)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
