package cwt_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
)

// dgc is one file of the test data of the EU Digital COVID Certificate. A step
// without an expectation is not judged.
type dgc struct {
	JSON       any
	CBOR       string
	COSE       string
	Compressed string `json:"COMPRESSED"`
	Base45     string `json:"BASE45"`
	Prefix     string `json:"PREFIX"`
	Context    struct {
		Certificate string `json:"CERTIFICATE"`
		Clock       string `json:"VALIDATIONCLOCK"`
	} `json:"TESTCTX"`
	Expected struct {
		Unprefix    *bool `json:"EXPECTEDUNPREFIX"`
		Base45      *bool `json:"EXPECTEDB45DECODE"`
		Compression *bool `json:"EXPECTEDCOMPRESSION"`
		Verify      *bool `json:"EXPECTEDVERIFY"`
		Decode      *bool `json:"EXPECTEDDECODE"`
		ValidJSON   *bool `json:"EXPECTEDVALIDJSON"`
		Expiration  *bool `json:"EXPECTEDEXPIRATIONCHECK"`
	} `json:"EXPECTEDRESULTS"`
}

// dgcRefused are the files whose token is refused, all of them, with the reason.
// Those with a "why" the source wants verified; we refuse them on purpose.
var dgcRefused = map[string]struct {
	reason credential.Reason
	why    string
}{
	"common/2DCode/raw/CO1.json":  {credential.UnsupportedAlgorithm, "signed with PS256, which we do not carry: the verdict is that we cannot tell"},
	"common/2DCode/raw/CO2.json":  {credential.UnsupportedAlgorithm, "signed with PS256"},
	"common/2DCode/raw/CO20.json": {credential.Malformed, "the algorithm stands in the unprotected header only, where anybody can change it"},
	"common/2DCode/raw/CO21.json": {credential.Malformed, "two different kids in the two headers; RFC 9052 section 3 forbids one label in both"},
	"common/2DCode/raw/CBO2.json": {reason: credential.Malformed},
	"common/2DCode/raw/CO5.json":  {reason: credential.BadSignature},
	"common/2DCode/raw/CO22.json": {reason: credential.Malformed},
	"common/2DCode/raw/CO23.json": {reason: credential.Malformed},
}

// dgcOtherJSON are the files whose JSON is not what was signed, though the source
// wants them equal. The CBOR of the first agrees with us; the second has none.
// Each row is a member of the first test entry, as signed.
var dgcOtherJSON = map[string]map[string]any{
	"FR/2DCode/raw/test_pcr_ok.json": {"sc": "2021-05-16T14:34:56Z", "dr": "2021-05-17T14:45:01Z"}, // two hours later
	"PT/1.3.0/2DCode/raw/4.json":     {"sc": "2021-06-30T12:34:56Z"},                               // Z for +00:00
}

// dgcDamaged are the files that keep the prefix before a text that is none. We
// call such a text unknown, not a health certificate.
var dgcDamaged = []string{"common/2DCode/raw/B1.json"}

// signerList is the trust list of health certificates: a kid is the first 8 bytes
// of the SHA-256 of the signer's certificate, and issuers are not named.
type signerList struct {
	kid []byte
	key keys.PublicKey
}

// KeysFor implements cwt.IssuerKeys.
func (s signerList) KeysFor(_ string, kid []byte) []keys.PublicKey {
	if s.key.IsZero() || !bytes.Equal(kid, s.kid) {
		return nil
	}
	return []keys.PublicKey{s.key}
}

// TestHealthCertificates judges every step of every file that the source judges,
// but the picture (qr/image), the schema and the use of the certificate. The
// strict reader costs no genuine certificate: no file of any country has an item
// of indefinite length, a key twice or bytes left over.
func TestHealthCertificates(t *testing.T) {
	dir := vectors.Path(t, "dgc")
	var verified, refused, unreadable int
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".json" {
			return err
		}
		t.Run(name, func(t *testing.T) {
			var v dgc
			raw := bytes.TrimPrefix(vectors.Read(t, "dgc", name), []byte("\ufeff"))
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatal(err)
			}
			message := v.checkText(t, name)
			v.checkContent(t, name, message)
			switch {
			case message == nil:
				unreadable++
			case v.checkToken(t, name, message):
				verified++
			default:
				refused++
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d verified, %d refused (%d of them against the source), %d that are no such text", verified, refused, 4, unreadable)
	// Unless only some of the tests were asked for, each row has to do its work.
	if verified+refused+unreadable == 404 && (refused != len(dgcRefused) || unreadable != 3) {
		t.Errorf("want %d refused and 3 that are no such text", len(dgcRefused))
	}
}

// checkText judges prefix, Base45 and compression, and returns the message, nil if
// there is none.
func (v *dgc) checkText(t *testing.T, name string) []byte {
	if want := v.Expected.Unprefix; want != nil && !slices.Contains(dgcDamaged, name) {
		kind := qr.Recognise(v.Prefix)
		body, _ := strings.CutPrefix(v.Prefix, "HC1:")
		if got := kind == qr.HealthCert && (v.Base45 == "" || body == v.Base45); got != *want {
			t.Errorf("prefix: %v (%v), want %v", got, kind, *want)
		}
	}
	if want := v.Expected.Base45; want != nil {
		b, err := qr.DecodeBase45(v.Base45)
		if got := err == nil && sameHex(b, v.Compressed); got != *want {
			t.Errorf("Base45: %v (%v), want %v", got, err, *want)
		}
	}
	message, err := qr.Decode(v.Prefix)
	if want := v.Expected.Compression; want != nil {
		if got := err == nil && sameHex(message, v.COSE); got != *want {
			t.Errorf("compression: %v (%v), want %v", got, err, *want)
		}
	}
	if err == nil {
		return message
	}
	if !errors.Is(err, qr.ErrMalformed) || qr.Recognise(v.Prefix).Readable() && v.Expected.Compression == nil {
		t.Errorf("Decode: %v", err)
	}
	// The later steps are judged on the message that the file has beside it, if it
	// has one.
	if v.COSE == "" {
		return nil
	}
	if message, err = hex.DecodeString(v.COSE); err != nil {
		t.Fatal(err)
	}
	return message
}

// checkContent compares the payload with the JSON and the CBOR of the file.
func (v *dgc) checkContent(t *testing.T, name string, message []byte) {
	if v.Expected.Decode == nil && v.Expected.ValidJSON == nil {
		return
	}
	for field, signed := range dgcOtherJSON[name] {
		entry := v.JSON.(map[string]any)["t"].([]any)[0].(map[string]any)
		if entry[field] == signed {
			t.Errorf("%s is no difference any more", field)
		}
		entry[field] = signed
	}
	var content any
	if p, err := cwt.Parse(message); err == nil && len(p.Health) == 1 && p.Health[0].Name == "hcert" {
		content = asJSON(t, p.Health[0].Value)
	}
	same := cmp.Equal(content, v.JSON)
	for step, want := range map[string]*bool{"decode": v.Expected.Decode, "JSON": v.Expected.ValidJSON} {
		if want != nil && same != *want {
			t.Errorf("%s: %v, want %v: %s", step, same, *want, cmp.Diff(v.JSON, content))
		}
	}
}

// checkToken judges signature and dates, and reports whether the token verified.
func (v *dgc) checkToken(t *testing.T, name string, message []byte) bool {
	got, err := cwt.Verify(message, cwt.Expect{Keys: v.signers(t)})
	refusal := dgcRefused[name]
	if want := v.Expected.Verify; want != nil && *want == (refusal.reason != "" && refusal.why == "") {
		t.Errorf("the file wants verified: %v, and our table says %q", *want, refusal.reason)
	}
	if refusal.reason != "" {
		rejected(t, err, refusal.reason)
		return false
	}
	if err != nil {
		t.Errorf("Verify: %v", err)
		return false
	}
	if got.Format != credential.FormatHealthCert || got.Issuer == "" {
		t.Errorf("format %s, issuer %q", got.Format, got.Issuer)
	}
	if want := v.Expected.Expiration; want != nil {
		clock := parseClock(t, v.Context.Clock)
		if in := !got.Expires.Before(clock) && !got.IssuedAt.After(clock); in != *want {
			t.Errorf("in its time: %v, want %v", in, *want)
		}
	}
	return true
}

// signers is the trust list of the file: the key of its certificate.
func (v *dgc) signers(t *testing.T) signerList {
	der, err := base64.StdEncoding.DecodeString(v.Context.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	key, err := keys.ParsePEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	if err != nil && !errors.Is(err, keys.ErrUnsupportedKey) { // RSA
		t.Fatal(err)
	}
	return signerList{sum[:8], key}
}

// asJSON is v after a way through JSON.
func asJSON(t testing.TB, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// parseClock reads the validation clock in the spellings that occur. One without
// a zone is taken as UTC.
func parseClock(t testing.TB, s string) time.Time {
	t.Helper()
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at
		}
	}
	t.Fatalf("no time: %q", s)
	return time.Time{}
}

// sameHex reports whether b is what the file has in hex, if it has it.
func sameHex(b []byte, want string) bool {
	return want == "" || strings.EqualFold(hex.EncodeToString(b), want)
}
