package cwt_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"os"
	"path"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
)

// claim169 is one file of the vectors of idpass/claim-169.
type claim169 struct {
	Text string `json:"qr_data"`
	Key  *struct {
		Algorithm keys.Algorithm `json:"algorithm"`
		Public    string         `json:"public_key_hex"`
	} `json:"signing_key"`
	Person map[string]any `json:"expected_claim169"`
	Token  struct {
		Issuer    string `json:"issuer"`
		Subject   string `json:"subject"`
		Expires   int64  `json:"expiresAt"`
		NotBefore int64  `json:"notBefore"`
		IssuedAt  int64  `json:"issuedAt"`
	} `json:"expected_cwt_meta"`
}

// claim169Refused are the files that do not verify, all of them, with the reason.
var claim169Refused = map[string]credential.Reason{
	"encrypted-aes256.json":    credential.Encrypted, // we hold no key and do not decrypt
	"encrypted-signed.json":    credential.Encrypted,
	"claim169-example.json":    credential.Unsigned, // an empty signature, for decoders only
	"demographics-full.json":   credential.Unsigned,
	"minimal.json":             credential.Unsigned,
	"refugee-identity.json":    credential.Unsigned,
	"with-all-biometrics.json": credential.Unsigned,
	"with-face.json":           credential.Unsigned,
	"with-fingerprints.json":   credential.Unsigned,
}

// claim169Faces are the faces as they are signed, in hex. The source leaves out
// the data of the first two, and its JSON of the last has other bytes.
var claim169Faces = map[string]struct{ from, mediaType string }{
	"claim169-example.json":    {"52494646dc01000057454250", "image/webp"},
	"refugee-identity.json":    {"524946467203000057454250", "image/webp"}, // attributes 16 and 17
	"with-all-biometrics.json": {"ffd8ffe00010", "image/jpeg"},
	"with-face.json":           {"ffd8ffe00010", "image/jpeg"},
}

func TestClaim169(t *testing.T) {
	files, err := os.ReadDir(vectors.Path(t, "claim169", "valid"))
	if err != nil {
		t.Fatal(err)
	}
	var verified, refused int
	for _, f := range files {
		t.Run(f.Name(), func(t *testing.T) {
			var v claim169
			if err := json.Unmarshal(vectors.Read(t, path.Join("claim169/valid", f.Name())), &v); err != nil {
				t.Fatal(err)
			}
			if kind := qr.Recognise(v.Text); kind != qr.Proof {
				t.Errorf("Recognise: %s", kind)
			}
			token, err := qr.Decode(v.Text)
			if err != nil {
				t.Fatal(err)
			}
			reason := claim169Refused[f.Name()]
			if reason != credential.Encrypted {
				v.checkContent(t, f.Name(), token)
			}
			got, err := cwt.Verify(token, cwt.Expect{Keys: anyKey{v.key(t)}})
			if reason != "" {
				rejected(t, err, reason)
				refused++
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			verified++
			if got.Format != credential.FormatCWT || got.Type != "" || got.Issuer != v.Token.Issuer || !got.Key.Equal(v.key(t)) {
				t.Errorf("Verify: %+v", got)
			}
			_, err = cwt.Verify(token, cwt.Expect{Keys: anyKey{newSigner(t, v.Key.Algorithm).Key().Public}})
			rejected(t, err, credential.BadSignature)
		})
	}
	t.Logf("%d verified, %d refused", verified, refused)
	if verified+refused == 11 && verified != 2 {
		t.Errorf("%d verified, want 2", verified)
	}
}

// key is the key of the file, or some key where it has none.
func (v *claim169) key(t *testing.T) keys.PublicKey {
	t.Helper()
	if v.Key == nil {
		return newSigner(t, keys.EdDSA).Key().Public
	}
	b, err := hex.DecodeString(v.Key.Public)
	if err != nil {
		t.Fatal(err)
	}
	if v.Key.Algorithm == keys.EdDSA {
		pub, err := keys.NewPublicKey(keys.EdDSA, ed25519.PublicKey(b))
		if err != nil {
			t.Fatal(err)
		}
		return pub
	}
	point, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), b)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := keys.NewPublicKey(v.Key.Algorithm, point)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// checkContent compares what Parse reads with what the file expects.
func (v *claim169) checkContent(t *testing.T, name string, token []byte) {
	p, err := cwt.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	if p.Signed != (v.Key != nil) {
		t.Errorf("Signed: %v", p.Signed)
	}
	got := v.Token
	got.Issuer, got.Expires, got.NotBefore, got.IssuedAt = p.Issuer, unix(p.Expires), unix(p.NotBefore), unix(p.IssuedAt)
	for _, c := range p.Other {
		if c.Key != 2 || c.Value != v.Token.Subject { // sub
			t.Errorf("claim %d: %v", c.Key, c.Value)
		}
	}
	if got != v.Token {
		t.Errorf("token: %+v, want %+v", got, v.Token)
	}
	person := map[string]any{}
	for _, c := range p.Person {
		if key, ok := cwt.PersonKey(c.Name); !ok || key != c.Key || cwt.PersonName(c.Key) != c.Name {
			t.Errorf("attribute %d is named %q, which is %d", c.Key, c.Name, key)
		}
		if c.Key != 16 && c.Key < 50 {
			person[c.Name] = c.Value
		}
	}
	for key := range v.Person {
		if k, _ := cwt.PersonKey(key); k >= 50 {
			if !contains(p.Person, k) {
				t.Errorf("%s is missing", key)
			}
			delete(v.Person, key)
		}
	}
	if diff := cmp.Diff(v.Person, asJSON(t, person)); diff != "" {
		t.Errorf("person: %s", diff)
	}
	face := cwt.FaceOf(p.Person)
	if want, ok := claim169Faces[name]; ok != (face != nil) || ok &&
		(face.MediaType != want.mediaType || hex.EncodeToString(face.Data[:len(want.from)/2]) != want.from) {
		t.Errorf("face: %v", face)
	}
}

func contains(claims credential.Claims, key int64) bool {
	for _, c := range claims {
		if c.Key == key {
			return true
		}
	}
	return false
}

// unix is 0 for the zero time.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
