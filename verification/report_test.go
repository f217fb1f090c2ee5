package verification_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/verification"
)

// TestReportJSON compares whole reports: their members, order and words are what
// scripts and other programs rely on.
func TestReportJSON(t *testing.T) {
	s := newScene(t)
	s.conf.Now = at(asOf.Add(9 * day))
	r := s.check(t)
	want := `{
  "verdict": "check_needed",
  "kind": "proof",
  "format": "cwt",
  "type": "urn:xa:farmer:1",
  "issuer": "agri.xa",
  "issued_at": "2026-10-12T06:00:00Z",
  "expires": "2029-11-12T06:00:00Z",
  "judged_at": "2026-11-21T06:00:00Z",
  "checks": [
    {"id": "format", "result": "pass", "detail": "cwt"},
    {"id": "signature", "result": "pass", "detail": "ES256", "as_of": "2026-11-12"},
    {"id": "issuer", "result": "pass", "as_of": "2026-11-12"},
    {"id": "type", "result": "pass", "as_of": "2026-11-12"},
    {"id": "time", "result": "pass", "as_of": "2026-11-21"},
    {"id": "key", "result": "pass", "as_of": "2026-11-12"},
    {"id": "status", "result": "stale", "reason": "status_old", "detail": "list older than 7 days", "as_of": "2026-11-12"},
    {"id": "clock", "result": "pass"},
    {"id": "trust", "result": "pass", "as_of": "2026-11-12"},
    {"id": "holder", "result": "not_checked"}
  ],
  "basis": {"bundle_version": 1, "keys_as_of": "2026-11-12", "status_as_of": "2026-11-12", "status_age_s": 777600, "policy": "farmer-card/2"},
  "binding": {"holder": "none", "age_s": null},
  "person_check": "other_id",
  "claims": {"district": "Jessore", "full_name": "Rahima Begum", "crop": 3, "field_9": "unlisted"},
  "warnings": ["update_soon", "anyone_can_have_a_copy"]
}`
	equalJSON(t, r, want)

	s = newScene(t)
	s.conf.TrustProblem, s.input = "no bundle was given", []byte("BEGIN:VCARD")
	equalJSON(t, s.check(t), `{
  "verdict": "undetermined",
  "kind": "other_link",
  "text": "BEGIN:VCARD",
  "judged_at": "2026-11-15T06:00:00Z",
  "checks": [
    {"id": "format", "result": "unknown", "reason": "unsupported_format", "detail": "other link, which is not checked here"},
    {"id": "signature", "result": "not_checked"},
    {"id": "issuer", "result": "not_checked"},
    {"id": "type", "result": "not_checked"},
    {"id": "time", "result": "not_checked"},
    {"id": "key", "result": "not_checked"},
    {"id": "status", "result": "not_checked"},
    {"id": "clock", "result": "pass"},
    {"id": "trust", "result": "missing", "reason": "no_trust", "detail": "no bundle was given"},
    {"id": "holder", "result": "not_checked"}
  ],
  "basis": {"bundle_version": 0, "keys_as_of": null, "status_as_of": null, "status_age_s": null, "policy": ""},
  "binding": {"holder": "none", "age_s": null},
  "person_check": "none",
  "claims": {},
  "warnings": []
}`)
}

// equalJSON compares texts, so that the order of members counts too.
func equalJSON(t *testing.T, r verification.Report, want string) {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got, compact bytes.Buffer
	if err := json.Compact(&got, b); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&compact, []byte(want)); err != nil {
		t.Fatal(err)
	}
	split := strings.NewReplacer(",", ",\n", "{", "{\n")
	if diff := cmp.Diff(split.Replace(compact.String()), split.Replace(got.String())); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// TestClaimNames holds every claim under a name of its own, whatever issuer and
// type call it.
func TestClaimNames(t *testing.T) {
	s := newScene(t)
	s.content.Types[0].Fields = []credential.TypeField{
		{Key: 4, Name: "name", Person: true, Labels: map[string]string{"en": "Name"}},
		{Key: 62, Name: "portrait", Person: true, Labels: map[string]string{"en": "Portrait"}},
		{Key: 4, Name: "acres", Labels: map[string]string{"en": "Acres"}},
		{Key: 7, Name: "absent", Labels: map[string]string{"en": "Absent"}},
	}
	s.state(func(v *credential.Verified) {
		v.Person = credential.Claims{
			{Key: 4, Name: "fullName", Value: "A"}, {Key: 8, Name: "dateOfBirth", Value: "19840418"}, {Key: 62, Name: "face", Value: map[int64]any{0: []byte{1}}},
			{Key: 77, Value: "x"},
		}
		v.Fields = credential.Claims{
			{Name: "name", Value: "no, me"}, {Key: 4, Value: math.NaN()}, {Key: 5, Value: []any{int64(1), map[int64]any{2: []byte{0xff}}}},
			{Key: 6, Value: map[string]any{"a": math.Inf(1)}},
		}
		v.Face = &credential.Face{Data: []byte{1}, MediaType: "image/webp"}
	})
	r := s.check(t)
	if r.Verdict != verification.Valid {
		t.Fatalf("%s: %+v", r.Verdict, r.Checks)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `"claims":{"name":"A","acres":"NaN","dateOfBirth":"19840418","person_77":"x","field_0":"no, me",` +
		`"field_5":[1,{"2":"/w=="}],"field_6":{"a":"+Inf"},"face":{"data":"AQ==","media_type":"image/webp"}}`
	if !strings.Contains(string(b), want) {
		t.Errorf("report %s\nwant %s in it", b, want)
	}
}

// TestClaimsDoNotPrint lets no claim into a log or an error text by accident
// (promise P22).
func TestClaimsDoNotPrint(t *testing.T) {
	s := newScene(t)
	r := s.check(t)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("checked", "report", r, "claim", r.Claims[0])
	slog.New(slog.NewTextHandler(&log, nil)).Info("checked", "report", r, "claim", r.Claims[0])
	fmt.Fprintf(&log, "%v %+v %#v", r.Claims, r.Claims, r.Claims)
	for _, c := range r.Checks {
		fmt.Fprint(&log, c.Detail)
	}
	for _, secret := range []string{"Rahima", "Jessore", "unlisted"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q in %s", secret, &log)
		}
	}
}

// TestClaim169 checks the public codes of Claim 169 against the keys beside them.
func TestClaim169(t *testing.T) {
	dir := vectors.Path(t, "claim169", "valid")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	clock := at(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
	reasons := map[string]credential.Reason{
		"ed25519-signed.json": credential.IssuerNotEstablished, "ecdsa-p256-signed.json": credential.IssuerNotEstablished,
		"encrypted-aes256.json": credential.Encrypted, "encrypted-signed.json": credential.Encrypted,
	}
	for _, f := range files {
		t.Run(f.Name(), func(t *testing.T) {
			var v struct {
				Text string `json:"qr_data"`
				Key  *struct {
					Public string `json:"public_key_hex"`
				} `json:"signing_key"`
				Person map[string]any `json:"expected_claim169"`
			}
			if err := json.Unmarshal(vectors.Read(t, "claim169", "valid", f.Name()), &v); err != nil {
				t.Fatal(err)
			}
			conf := verification.Config{Now: clock}
			if v.Key != nil && reasons[f.Name()] == credential.IssuerNotEstablished {
				raw, err := hex.DecodeString(v.Key.Public)
				if err != nil {
					t.Fatal(err)
				}
				key := rawKey(t, raw)
				conf.Pinned = &key
			}
			r := newChecker(t, conf).Check([]byte(v.Text))
			want, ok := reasons[f.Name()]
			if !ok {
				want = credential.Unsigned
			}
			if got := r.Reasons(); r.Verdict != verification.VerdictFor(want) || len(got) == 0 || got[0] != want {
				t.Errorf("%s %v, want %s", r.Verdict, got, want)
			}
			for _, c := range r.Claims {
				if c.Name != "face" && fmt.Sprint(v.Person[c.Name]) != fmt.Sprint(c.Value) {
					t.Errorf("claim %s differs", c.Name)
				}
			}
			if conf.Pinned != nil && len(r.Claims) != len(v.Person) {
				t.Errorf("%d claims, want %d", len(r.Claims), len(v.Person))
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("NCFOXN%TS3DH3ZSUZK+.V0ETD%65NL-AH"))
	f.Add([]byte("d28443a10126a0"))
	f.Add([]byte{0xd8, 0x3d, 0xd2, 0x84})
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		in, err := verification.Open(b)
		if (err == nil) != (in.Message != nil) {
			t.Fatalf("message %v and error %v", in.Message != nil, err)
		}
		if in.Kind == "" {
			t.Fatal("no kind")
		}
		if err == nil && len(in.Message) > max(qr.MaxInflated, len(b)) {
			t.Fatalf("%d bytes became %d", len(b), len(in.Message))
		}
	})
}

// rawKey reads a key as the Claim 169 vectors write it: 32 bytes of Ed25519 or a
// point of P-256.
func rawKey(t *testing.T, raw []byte) keys.PublicKey {
	t.Helper()
	jwk := fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q}`, b64(raw))
	if len(raw) == 65 {
		jwk = fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, b64(raw[1:33]), b64(raw[33:]))
	}
	key, err := keys.ParseJWK([]byte(jwk))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// TestHealthCertificates checks the test data of the EU health certificate, each
// against the key of its own signer, at the moment that the data name.
func TestHealthCertificates(t *testing.T) {
	dir := vectors.Path(t, "dgc")
	verdicts := map[verification.Verdict]int{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".json" {
			return err
		}
		var v struct {
			Prefix  string `json:"PREFIX"`
			Context struct {
				Certificate string `json:"CERTIFICATE"`
				Clock       string `json:"VALIDATIONCLOCK"`
			} `json:"TESTCTX"`
			Expected struct {
				Verify *bool `json:"EXPECTEDVERIFY"`
				Dates  *bool `json:"EXPECTEDEXPIRATIONCHECK"`
			} `json:"EXPECTEDRESULTS"`
		}
		if err := json.Unmarshal(bytes.TrimPrefix(vectors.Read(t, "dgc", name), []byte("\ufeff")), &v); err != nil {
			return err
		}
		var clock time.Time
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05"} {
			if c, err := time.Parse(layout, v.Context.Clock); err == nil {
				clock = c
			}
		}
		pem := "-----BEGIN CERTIFICATE-----\n" + v.Context.Certificate + "\n-----END CERTIFICATE-----\n"
		key, err := keys.ParsePEM([]byte(pem))
		if err != nil {
			return nil // RSA, or no certificate at all
		}
		r := newChecker(t, verification.Config{Pinned: &key, Now: at(clock)}).Check([]byte(v.Prefix))
		verdicts[r.Verdict]++
		signed := r.Check(verification.CheckSignature).Result == verification.Pass
		if signed != (r.Format == credential.FormatHealthCert && len(r.Claims) == 1 && r.Type == verification.TypeHealthCert) {
			t.Errorf("%s: signed %v, format %s with %d claims", name, signed, r.Format, len(r.Claims))
		}
		if v.Expected.Verify != nil && !*v.Expected.Verify && signed {
			t.Errorf("%s: verified, and must not be", name)
		}
		if want := v.Expected.Dates; want != nil && signed {
			if got := r.Check(verification.CheckTime).Result == verification.Pass; got != *want {
				t.Errorf("%s: within its dates: %v, want %v", name, got, *want)
			}
		}
		if r.Verdict == verification.Valid {
			t.Errorf("%s: valid by a pinned key", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v", verdicts)
	if verdicts[verification.CheckNeeded] < 300 {
		t.Errorf("%d verified, want at least 300", verdicts[verification.CheckNeeded])
	}
}
