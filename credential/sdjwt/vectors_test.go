package sdjwt_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/keys"
)

// A vector is one example of RFC 9901 or of SD-JWT VC.
type vector struct {
	Name, Typ                  string
	Issued, Presented          string
	CompactEquivalent          string          `json:"compact_equivalent"`
	JWSJSON                    json.RawMessage `json:"jws_json"`
	Payload                    json.RawMessage `json:"issuer_signed_payload"`
	Signed                     *bool
	IssuerJWK                  json.RawMessage   `json:"issuer_jwk"`
	IssuerJWKs                 []json.RawMessage `json:"issuer_jwks"`
	HolderJWK                  json.RawMessage   `json:"holder_jwk"`
	KeyBinding                 bool              `json:"key_binding"`
	Nonce, Aud                 string
	KBPayload                  struct{ IAT int64 } `json:"kb_payload"`
	Expected                   map[string]any
	ExpectedWithoutDisclosures map[string]any `json:"expected_without_disclosures"`
	Disclosures                []struct {
		Note, Claim, Disclosure, Digest string
		Contents                        []any
	}
	Payloads []struct {
		Payload                    json.RawMessage
		ExpectedWithoutDisclosures map[string]any `json:"expected_without_disclosures"`
		Disclosure                 string
		ExpectedWithDisclosure     map[string]any `json:"expected_with_disclosure"`
	}
}

func readVectors(t testing.TB, folder string) map[string]vector {
	t.Helper()
	files, err := filepath.Glob(vectors.Path(t, "sd-jwt", folder) + "/*.json")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]vector{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var v vector
		dec := json.NewDecoder(bytes.NewReader(b))
		if err := dec.Decode(&v); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		all[filepath.Base(f)] = v
	}
	return all
}

// same compares claims whatever Go type their numbers have.
func same(t testing.TB, a, b any) bool {
	t.Helper()
	var plain [2]any
	for i, v := range []any{a, b} {
		text, err := json.Marshal(v)
		if err == nil {
			err = json.Unmarshal(text, &plain[i])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return reflect.DeepEqual(plain[0], plain[1])
}

func mustJWK(t testing.TB, b []byte) keys.PublicKey {
	t.Helper()
	k, err := keys.ParseJWK(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestVectors verifies every signed example of RFC 9901 and SD-JWT VC, and opens
// every other one.
func TestVectors(t *testing.T) {
	verified, bound, opened := 0, 0, 0
	for _, folder := range []string{"rfc9901", "sd-jwt-vc"} {
		for name, v := range readVectors(t, folder) {
			t.Run(name, func(t *testing.T) {
				switch {
				case v.Payloads != nil:
					fragments(t, v)
					opened++
				case v.Signed != nil && !*v.Signed:
					openVector(t, v)
					opened++
				default:
					verifyVector(t, v)
					verified++
					if v.KeyBinding {
						bound++
					}
				}
			})
		}
	}
	if verified != 11 || bound != 7 || opened != 5 {
		t.Errorf("%d verified, %d of them with key binding, %d opened; want 11, 7, 5", verified, bound, opened)
	}
}

func verifyVector(t *testing.T, v vector) {
	if v.JWSJSON != nil {
		// RFC 9901 section 8: the JSON forms carry the same, and are not read.
		if _, err := sdjwt.Parse(string(v.JWSJSON)); err == nil {
			t.Error("the JSON serialisation was read")
		}
		v.Presented, v.Typ, v.IssuerJWK = v.CompactEquivalent, "example+sd-jwt", v.IssuerJWKs[0]
	}
	issuer := mustJWK(t, v.IssuerJWK)
	want := sdjwt.Expect{Keys: anyKey{issuer}, Now: time.Unix(1750000000, 0), Binding: sdjwt.BindingRefused}
	if v.KeyBinding {
		want.Binding, want.Audience, want.Nonce = sdjwt.BindingRequired, v.Aud, v.Nonce
		want.Now, want.MaxAge = time.Unix(v.KBPayload.IAT, 0), time.Minute
	}
	got, err := sdjwt.VerifyAs(v.Presented, want, v.Typ)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	if !got.Key.Equal(issuer) || got.Issuer != stringOf(v.Expected["iss"]) || got.Type != stringOf(v.Expected["vct"]) {
		t.Errorf("Verify: %+v", got)
	}
	if v.KeyBinding && (got.HolderProof.Unix() != v.KBPayload.IAT || !got.Holder.Equal(mustJWK(t, v.HolderJWK))) {
		t.Errorf("Verify: proof of %v by %v", got.HolderProof, got.Holder)
	}
	for _, c := range got.Fields {
		if !same(t, c.Value, v.Expected[c.Name]) {
			t.Errorf("claim %s: %v, want %v", c.Name, c.Value, v.Expected[c.Name])
		}
	}
	parsed, err := sdjwt.Parse(v.Presented)
	if err != nil || !same(t, parsed.Claims, v.Expected) {
		t.Errorf("Parse: %v, %v, want %v", parsed, err, v.Expected)
	}
	want.Keys = anyKey{someKey(t)}
	_, err = sdjwt.VerifyAs(v.Presented, want, v.Typ)
	rejected(t, err, credential.BadSignature)
	if v.Issued != "" {
		fromIssued(t, v)
	}
}

// fromIssued presents what the example presents.
func fromIssued(t *testing.T, v vector) {
	issued, err := sdjwt.Parse(v.Issued)
	if err != nil {
		t.Fatalf("Parse of what was issued: %v", err)
	}
	if len(issued.Disclosures) != len(v.Disclosures) {
		t.Errorf("%d disclosures, want %d", len(issued.Disclosures), len(v.Disclosures))
	}
	shown, err := sdjwt.Parse(v.Presented)
	if err != nil {
		t.Fatal(err)
	}
	// A path takes with it what is inside, so only the innermost are chosen.
	inner := slices.DeleteFunc(slices.Clone(shown.Disclosures), func(p sdjwt.Path) bool {
		return slices.ContainsFunc(shown.Disclosures, func(q sdjwt.Path) bool { return len(q) > len(p) && slices.Equal(q[:len(p)], p) })
	})
	p, err := sdjwt.Present(v.Issued, inner...)
	if err != nil {
		t.Fatalf("Present: %v", err)
	}
	again, err := sdjwt.Parse(p)
	if err != nil || !same(t, again.Claims, v.Expected) {
		t.Errorf("presented %v, %v, want %v", again, err, v.Expected)
	}
}

func openVector(t *testing.T, v vector) {
	var all []string
	for _, d := range v.Disclosures {
		if got := sdjwt.Digest("sha-256", d.Disclosure); got != d.Digest {
			t.Errorf("digest of %s: %s, want %s", d.Claim, got, d.Digest)
		}
		all = append(all, d.Disclosure)
	}
	if got, err := sdjwt.OpenPayload(v.Payload, all); err != nil || !same(t, got, v.Expected) {
		t.Errorf("all open: %v, %v, want %v", got, err, v.Expected)
	}
	if got, err := sdjwt.OpenPayload(v.Payload, nil); err != nil || !same(t, got, v.ExpectedWithoutDisclosures) {
		t.Errorf("all closed: %v, %v, want %v", got, err, v.ExpectedWithoutDisclosures)
	}
}

// fragments are the disclosures of RFC 9901 section 4.2: one claim in several
// spellings, each with a digest of its own.
func fragments(t *testing.T, v vector) {
	var digests []string
	for _, d := range v.Disclosures {
		if got := sdjwt.Digest("sha-256", d.Disclosure); got != d.Digest || slices.Contains(digests, got) {
			t.Errorf("%s: digest %s, want %s", d.Note, got, d.Digest)
		}
		digests = append(digests, d.Digest)
		if len(d.Contents) != 3 {
			continue
		}
		payload := []byte(`{"_sd":["` + d.Digest + `"]}`)
		if got, err := sdjwt.OpenPayload(payload, []string{d.Disclosure}); err != nil || got[stringOf(d.Contents[1])] != d.Contents[2] {
			t.Errorf("%s: %v, %v, want %v", d.Note, got, err, d.Contents)
		}
	}
	for i, p := range v.Payloads {
		if got, err := sdjwt.OpenPayload(p.Payload, nil); err != nil || !same(t, got, p.ExpectedWithoutDisclosures) {
			t.Errorf("payload %d closed: %v, %v", i, got, err)
		}
		if got, err := sdjwt.OpenPayload(p.Payload, []string{p.Disclosure}); err != nil || !same(t, got, p.ExpectedWithDisclosure) {
			t.Errorf("payload %d open: %v, %v", i, got, err)
		}
	}
}

func stringOf(v any) string {
	s, _ := v.(string)
	return s
}

// TestReissueVectors issues the claims of every example again, all of them hidden,
// and gets them back.
func TestReissueVectors(t *testing.T) {
	n := 0
	for _, folder := range []string{"rfc9901", "sd-jwt-vc"} {
		for name, v := range readVectors(t, folder) {
			if v.Expected == nil {
				continue
			}
			claims := map[string]any{}
			for k, c := range v.Expected {
				if !slices.Contains([]string{"iss", "iat", "exp", "nbf", "cnf", "vct", "status"}, k) {
					claims[k] = hide(c)
				}
			}
			token := goodToken(t)
			token.Claims = claims
			issued := issue(t, token)
			parsed, err := sdjwt.Parse(issued)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for k, c := range v.Expected {
				if _, ours := claims[k]; ours && !same(t, parsed.Claims[k], c) {
					t.Errorf("%s: claim %s: %v, want %v", name, k, parsed.Claims[k], c)
				}
			}
			n++
		}
	}
	if n != 15 {
		t.Errorf("%d examples, want 15", n)
	}
}

// hide hides a value and everything inside of it.
func hide(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for k, e := range v {
			m[k] = hide(e)
		}
		return sdjwt.Hidden{Value: m}
	case []any:
		var list []any
		for _, e := range v {
			list = append(list, hide(e))
		}
		return sdjwt.Hidden{Value: list}
	}
	return sdjwt.Hidden{Value: v}
}

// TestStatusVector reads the reference to a status list in the SD-JWT of the
// Token Status List draft.
func TestStatusVector(t *testing.T) {
	var v struct {
		vector
		Status struct {
			Idx uint64
			URI string
		} `json:"expected_status_reference"`
	}
	if err := json.Unmarshal(vectors.Read(t, "status-list", "referenced-token-sd-jwt.json"), &v); err != nil {
		t.Fatal(err)
	}
	want := sdjwt.Expect{Keys: anyKey{mustJWK(t, v.IssuerJWK)}, Now: time.Unix(1750000000, 0), Binding: sdjwt.BindingRefused}
	got, err := sdjwt.VerifyAs(v.Issued, want, "example+sd-jwt")
	if err != nil {
		t.Fatal(err)
	}
	if got.Status == nil || *got.Status != (credential.StatusRef{URI: v.Status.URI, Index: v.Status.Idx}) {
		t.Errorf("status %+v, want %+v", got.Status, v.Status)
	}
}

// TestPathVectors runs the claim paths of SD-JWT VC.
func TestPathVectors(t *testing.T) {
	var doc struct {
		Credential string `json:"credential_file"`
		Cases      []struct {
			Path     []any
			Selected []any
		}
	}
	if err := json.Unmarshal(vectors.Read(t, "sd-jwt", "type-metadata", "claim-path-cases.json"), &doc); err != nil {
		t.Fatal(err)
	}
	document := vectors.Read(t, "sd-jwt", "type-metadata", doc.Credential)
	if len(doc.Cases) != 4 {
		t.Errorf("%d cases, want 4", len(doc.Cases))
	}
	for _, c := range doc.Cases {
		if got, err := sdjwt.Find(c.Path, document); err != nil || !same(t, got, c.Selected) {
			t.Errorf("%v: %v, %v, want %v", c.Path, got, err, c.Selected)
		}
	}
}

// TestIntegrityVectors is SDJ-14: the hash is over the bytes as they came.
func TestIntegrityVectors(t *testing.T) {
	var payload map[string]any
	if err := json.Unmarshal(vectors.Read(t, "sd-jwt", "type-metadata", "education-payload.json"), &payload); err != nil {
		t.Fatal(err)
	}
	metadata := vectors.Read(t, "sd-jwt", "type-metadata", "education-type-metadata.json")
	claim := stringOf(payload["vct#integrity"])
	if !sdjwt.HasIntegrity(metadata, claim) || sdjwt.Integrity(metadata) != claim {
		t.Errorf("HasIntegrity(%q): false; the document has %s", claim, sdjwt.Integrity(metadata))
	}
	for name, bad := range map[string]string{
		"none": "", "no hash": "sha256-", "unknown": "md5-AAAA", "cut": claim[:20],
		"a good weak one beside a bad strong one": claim + " sha512-AAAA",
	} {
		if sdjwt.HasIntegrity(metadata, bad) {
			t.Errorf("%s: HasIntegrity(%q)", name, bad)
		}
	}
	if sdjwt.HasIntegrity(append(metadata, ' '), claim) {
		t.Error("one byte more, and the hash still fits")
	}
}
