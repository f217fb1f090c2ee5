package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

// A corpus is what is judged by one trust bundle: seeds, and what a mutator makes of
// them.
type corpus struct {
	trust []byte
	now   time.Time
	seeds [][]byte
	// sign signs a payload as an issuer does whom the bundle knows, or one whom it does
	// not know; nil where nobody but the office has its keys.
	sign []func(payload []byte) []byte
	make func(r *mathrand.Rand) []byte
}

// pension asks for the holder's key.
const pension = "urn:xa:pension:1"

// handMade is a corpus of a country whose keys the test has: everything that the rules
// tell apart, and the test vectors.
func handMade(t *testing.T) *corpus {
	root, bundle, issuer := newSigner(t, keys.TrustRoot), newSigner(t, keys.TrustBundle), newSigner(t, keys.Credential)
	retired, stolen, teacher, stranger, holder := newSigner(t, keys.Credential), newSigner(t, keys.Credential), newSigner(t, keys.Credential), newSigner(t, keys.Credential), newSigner(t, keys.Holder)
	content := content(t, root, bundle, issuer)
	office := []string{farmer, licence, pension, verification.TypeClaim169, verification.TypeHealthCert}
	key := func(s keys.Signer, state keys.State) trust.IssuerKey {
		k := trust.NewIssuerKey(s.Key(), office, nil)
		k.State = state
		return k
	}
	old := key(retired, keys.Retired)
	old.SignUntil = asOf.AddDate(0, 0, -10)
	lost := key(stolen, keys.Compromised)
	lost.CompromisedSince = asOf.AddDate(0, -2, 0)
	content.Issuers[0].Keys = []trust.IssuerKey{key(issuer, keys.Active), old, lost}
	content.Issuers = append(content.Issuers, trust.Issuer{
		ID: "school.xa", Names: map[string]string{"en": "High School"}, Country: "XA", Keys: []trust.IssuerKey{trust.NewIssuerKey(teacher.Key(), []string{licence}, nil)},
	})
	if mosip := publishedKeys(t); len(mosip) > 0 {
		content.Issuers = append(content.Issuers, trust.Issuer{ID: "https://mosip.example.org", Names: map[string]string{"en": "Vectors"}, Keys: mosip})
		content.Algorithms = append(content.Algorithms, keys.EdDSA)
	}
	english := func(s string) map[string]string { return map[string]string{"en": s} }
	for _, id := range []string{pension, verification.TypeClaim169, verification.TypeHealthCert} {
		content.Types = append(content.Types, credential.Type{
			ID: id, Labels: english(id), FreshFor: 7 * 24 * time.Hour, OldAfter: 30 * 24 * time.Hour, HolderRequired: id == pension, Policy: "other/1",
		})
	}
	content.Status = listOf(t, asOf, map[uint64]byte{1: status.Invalid, 2: status.Suspended})
	c := &corpus{now: asOf.Add(3 * time.Hour)}
	c.trust = must[[]byte](t)(content.Sign(rand.Reader, []keys.Signer{bundle}, content.AsOf))

	signers := []keys.Signer{issuer, issuer, issuer, issuer, issuer, issuer, issuer, issuer, retired, stolen, teacher, stranger}
	for _, s := range signers {
		c.sign = append(c.sign, func(payload []byte) []byte {
			id := s.Key().ID()
			return must[[]byte](t)(cose.Sign1(rand.Reader, s, cose.Header{KeyID: id.Bytes()}, payload))
		})
	}
	// issue signs what an issuer of ours would lint away, too.
	issue := func(by keys.Signer, claims map[int64]any) []byte {
		id := by.Key().ID()
		return must[[]byte](t)(cose.Sign1(rand.Reader, by, cose.Header{KeyID: id.Bytes()}, must[[]byte](t)(cbor.Marshal(claims))))
	}
	c.make = func(r *mathrand.Rand) []byte {
		message := issue(signers[r.IntN(len(signers))], oddClaims(r, c.now, holder.Key().Public))
		if r.IntN(4) > 0 {
			return message
		}
		shown, err := cwt.Present(message)
		if err != nil {
			return message
		}
		p := cwt.Proof{Audience: pick(r, cwt.AudienceInPerson, cwt.AudienceInPerson, "bank.xa-12", "Janata Bank"), IssuedAt: c.now.Add(pickSpan(r))}
		if r.IntN(3) == 0 {
			p.Expires = c.now.Add(pickSpan(r))
		}
		if r.IntN(4) == 0 {
			p.Nonce = []byte("a nonce of a question")
		}
		if bound, err := cwt.Bind(rand.Reader, shown, p, holder); err == nil {
			return bound
		}
		return shown
	}
	r := mathrand.New(mathrand.NewPCG(15, 1))
	for range 60 {
		c.seeds = append(c.seeds, c.make(r))
	}
	files := makeFixturesFor(t, holder)
	for _, name := range slices.Sorted(maps.Keys(files)) { // in the same order each time
		switch filepath.Ext(name) {
		case ".txt", ".hex", ".bin", ".sdjwt", ".jwk", ".pem":
			c.seeds = append(c.seeds, files[name])
		}
	}
	c.seeds = append(c.seeds, foreignCodes()...)
	c.seeds = append(c.seeds, published(t)...)
	return c
}

// pickSpan is a distance from now that lies on either side of a limit.
func pickSpan(r *mathrand.Rand) time.Duration {
	limits := []time.Duration{0, time.Minute, verification.DefaultSkew, time.Hour, 24 * time.Hour, 30 * 24 * time.Hour, 400 * 24 * time.Hour}
	d := limits[r.IntN(len(limits))] + time.Duration(r.IntN(3)-1)*time.Second
	if r.IntN(2) == 0 {
		return -d
	}
	return d
}

func pick[T any](r *mathrand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// oddClaims are claims of which some are odd: in most tokens one or none.
func oddClaims(r *mathrand.Rand, now time.Time, holder keys.PublicKey) map[int64]any {
	odd := func() bool { return r.IntN(14) == 0 }
	claims := map[int64]any{
		cwt.ClaimIssuer: "agri.xa", cwt.ClaimType: pick(r, farmer, licence), cwt.ClaimIssuedAt: now.AddDate(0, -1, 0).Unix(), cwt.ClaimExpires: now.AddDate(3, 0, 0).Unix(),
	}
	slot := map[string]any{"idx": pick[any](r, int64(3), int64(5)), "uri": lists}
	if odd() {
		claims[cwt.ClaimIssuer] = pick(r, "school.xa", "agri.xb", "https://agri.xa", "")
	}
	if odd() {
		claims[cwt.ClaimType] = pick(r, pension, "urn:xa:unknown:1", verification.TypeClaim169, "")
	}
	for _, key := range []int64{cwt.ClaimIssuedAt, cwt.ClaimNotBefore, cwt.ClaimExpires} {
		if odd() {
			claims[key] = now.Add(pickSpan(r)).Unix()
		}
		if r.IntN(196) == 0 {
			claims[key] = pick[any](r, float64(now.Unix())+0.5, int64(-1), int64(1)<<53, "tomorrow", nil, true)
		}
	}
	if odd() {
		delete(claims, cwt.ClaimIssuedAt)
	}
	if odd() {
		slot["idx"] = pick[any](r, int64(1), int64(2), int64(1)<<10-1, int64(1)<<10, int64(1)<<40, int64(-1), "3")
	}
	if odd() {
		slot["uri"] = pick(r, "https://status.xa/2", "")
	}
	if claims[cwt.ClaimStatus] = map[string]any{"status_list": slot}; odd() {
		claims[cwt.ClaimStatus] = pick[any](r, map[string]any{}, map[string]any{"status_list": slot, "other": int64(1)}, "none", nil)
	}
	if odd() {
		delete(claims, cwt.ClaimStatus)
	}
	if r.IntN(3) == 0 {
		claims[cwt.ClaimConfirmation] = map[int64]any{1: cbor.RawMessage(holder.COSEKey())}
	}
	texts := []string{"Rahima Begum", "রহিমা", "<b>&\u2028", "\u202eahamiR", "a\x00b", "x\u0301\u0301\u0301", strings.Repeat("ন", 400), "1e999", "\ufeff", "\ufffd"}
	value := func() any {
		return pick[any](r, pick(r, texts...), int64(3), int64(-7), 1.5, true, nil, []byte{1, 2}, []any{"a", int64(1)}, map[int64]any{1: "a"}, map[string]any{"b": pick(r, texts...)})
	}
	person, fields := map[int64]any{4: pick(r, texts...)}, map[int64]any{}
	for range r.IntN(4) {
		person[pick[int64](r, 3, 8, 9, 19, 20, 23)] = pick(r, texts...)
		fields[pick[int64](r, 1, 1, 2, 3, 99)] = value()
	}
	if odd() {
		person[pick[int64](r, 1, 3, 8, 9, 16, 19, 20, 23, 62, 90)] = value()
	}
	claims[cwt.ClaimPerson], claims[cwt.ClaimFields] = person, fields
	if odd() {
		claims[cwt.ClaimHCert] = map[int64]any{1: map[string]any{"ver": "1.3.0", "dob": "1984-04-18", "nam": map[string]any{"fn": pick(r, texts...)}}}
	}
	return claims
}

// publishedKeys are those of the Claim 169 vectors.
func publishedKeys(t *testing.T) (all []trust.IssuerKey) {
	for _, name := range []string{"ed25519-signed", "ecdsa-p256-signed"} {
		path, ok := vectors.Find(t, "claim169", "valid", name+".json")
		if !ok {
			return nil
		}
		var v struct {
			Key struct {
				Public string `json:"public_key_hex"`
			} `json:"signing_key"`
		}
		if err := json.Unmarshal(must[[]byte](t)(os.ReadFile(path)), &v); err != nil {
			t.Fatal(err)
		}
		raw := must[[]byte](t)(hex.DecodeString(v.Key.Public))
		k := trust.IssuerKey{State: keys.Active, ValidFrom: asOf.AddDate(-10, 0, 0), Types: []string{verification.TypeClaim169}}
		if len(raw) == ed25519.PublicKeySize {
			k.Key = must[keys.PublicKey](t)(keys.PublicKeyOf(ed25519.PublicKey(raw)))
		} else {
			k.Key = must[keys.PublicKey](t)(keys.PublicKeyOf(must[*ecdsa.PublicKey](t)(ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw))))
		}
		k.KeyID = k.Key.ID()
		all = append(all, k)
	}
	return all
}

// foreignCodes are codes of other kinds, and things that are none.
func foreignCodes() (all [][]byte) {
	for _, s := range []string{
		"HC1:", "HC1:6BF", "hc1:6BFOXN", "HC2:6BFOXN", "NL2:ABC", "shc:/5676290952432060346029243740446031222959532654603460292540772804336028702864716745222809286", "shc:/x",
		"VC1-RSJRPWCR803A3P0098G3A3-B02-J743853U53KGK0XJ6MKJ1OI0M.FO053.33963DN04$RAQS+4SMC8C3KM7VX4VAPL9%EILI:I1O$D:23%GJ0OUCPS0H8D2FB9D5G00U39.PXG49%SOGGB*K$Z6%GUSCLWEJ8%B95MOD0P I",
		"mdoc:owBjMS4wAYIB2BhYS6QBAiABIVgg", "openid4vp://?client_id=x509_san_dns%3Averifier.example&request_uri=https%3A%2F%2Fverifier.example%2Frequest%2F1",
		"openid-credential-offer://?credential_offer=%7B%7D", "haip://x", "https://example.org/pay?to=me", "HTTPS://CHECK.EXAMPLE/HELP", "http://10.0.0.1/", "tel:+8801700000000", "sms:123", "mailto:a@b",
		"WIFI:S:x;T:WPA;P:y;;", "BEGIN:VCARD\nEND:VCARD", `{"a": 1}`, `{"credentialSubject": {"id": "did:example:1"}}`, "[1,2]", "12345678901234567890", " ", "\ufeff", "\x00", "\xff\xfe", "0", "d2844", "0oRA",
		"data:text/html,<script>", "javascript:alert(1)", "NZCP:/1/2KCEVIQEIVVWK6JNGEASNICZAEP2KALYDZSGSZB2O5SWEOTOPJRXALTDN53GSZBRHEXGQZLBNR2GQLTO", "eyJhbGciOiJub25lIn0.e30.", "a.b.c~d~",
		strings.Repeat("A", qr.MaxText), strings.Repeat("A", qr.MaxText+1), strings.Repeat(".", 70_000), strings.Repeat("x", verification.MaxInput+1),
	} {
		all = append(all, []byte(s))
	}
	return all
}

// published are all test vectors that are codes, tokens or messages: files as they are,
// and the strings in those that are JSON. Of the four hundred health certificates every
// fifth is taken at each change.
func published(t *testing.T) (all [][]byte) {
	n := 0
	for _, folder := range []string{"base45", "claim169", "dgc", "mdoc", "sd-cwt", "sd-jwt", "status-list", "oid4vc"} {
		dir, ok := vectors.Find(t, folder)
		if !ok {
			t.Logf("without test vectors (docs/test-vectors.md)")
			return all
		}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || d.Name() == "README.md" {
				return err
			}
			if n++; folder == "dgc" && n%times(5, 1) != 0 {
				return nil
			}
			b := must[[]byte](t)(os.ReadFile(path))
			all = append(all, b)
			var v any
			if json.Unmarshal(b, &v) == nil {
				all = append(all, codesIn(v)...)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// codesIn are the strings of a document that are long enough for a code and no
// picture.
func codesIn(v any) (all [][]byte) {
	switch v := v.(type) {
	case string:
		if len(v) > 20 && !strings.HasPrefix(v, "iVBOR") {
			all = append(all, []byte(v))
		}
	case []any:
		for _, e := range v {
			all = append(all, codesIn(e)...)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, codesIn(v[name])...)
		}
	}
	return all
}

// issuedByOffice is a corpus of the programmes in examples/programmes, issued by an
// office as they are.
func issuedByOffice(t *testing.T) *corpus {
	o := officetest.New(t, officetest.Options{})
	c := &corpus{}
	for _, e := range o.Examples() {
		for _, f := range e.Forms {
			c.seeds = append(c.seeds, []byte(f.Text), f.Token)
		}
	}
	gone := o.Issue("farmer-card", 1)
	o.Revoke(gone.ID)
	c.trust, c.now = o.PublishFile(), o.Clock.Now().Add(time.Hour)
	return c
}

// mutate makes another input: spoiled in its text, its compressed stream, its message or
// its claims, and signed anew where the test has keys.
func (c *corpus) mutate(r *mathrand.Rand) []byte {
	if c.make != nil && r.IntN(4) == 0 {
		return wrap(r, c.make(r))
	}
	seed := c.seeds[r.IntN(len(c.seeds))]
	message, ok := messageOf(seed)
	if !ok || r.IntN(5) == 0 {
		return spoil(r, seed)
	}
	switch r.IntN(4) {
	case 0: // of the message
		message = spoil(r, message)
	case 1: // of the stream in the text
		return []byte(qr.EncodeBase45(spoil(r, must45(message))))
	case 2: // two messages cut together
		if other, ok := messageOf(c.seeds[r.IntN(len(c.seeds))]); ok {
			at := r.IntN(min(len(message), len(other)))
			message = slices.Concat(message[:at], other[at:])
		}
	default: // of the claims
		parsed, err := cose.ParseSign1(message)
		if err != nil || c.sign == nil {
			return wrap(r, spoil(r, message))
		}
		payload := spoil(r, parsed.Payload)
		message = c.sign[r.IntN(len(c.sign))](payload)
	}
	return wrap(r, message)
}

// must45 is the compressed stream of a code.
func must45(message []byte) []byte {
	text, err := qr.Encode(message)
	if err != nil {
		return message
	}
	b, err := qr.DecodeBase45(text)
	if err != nil {
		panic(err)
	}
	return b
}

// messageOf is the COSE message of an input that has one.
func messageOf(seed []byte) ([]byte, bool) {
	in, err := verification.Open(seed)
	if err != nil || in.Kind == string(qr.SDJWT) || len(in.Message) == 0 {
		return nil, false
	}
	return in.Message, true
}

// wrap presents a message in one of the ways that there are.
func wrap(r *mathrand.Rand, message []byte) []byte {
	text, err := qr.Encode(message)
	if err != nil {
		return message
	}
	switch r.IntN(8) {
	case 0:
		return message
	case 1:
		return []byte(hex.EncodeToString(message))
	case 2:
		return []byte(base64.StdEncoding.EncodeToString(message))
	case 3:
		return []byte("HC1:" + text)
	}
	return []byte(text)
}

// heads are beginnings of CBOR items that are worth trying anywhere.
var heads = [][]byte{
	{0xd2}, {0xd8, 0x3d}, {0xd8, 0x18}, {0xc2, 0x49}, {0xf6}, {0xf7}, {0xf9, 0x7e, 0x00}, {0xfb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0}, {0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	{0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x9b, 0, 0, 0, 1, 0, 0, 0, 0}, {0xbf}, {0x9f}, {0x5f}, {0xff}, {0xa0}, {0x80}, {0x40}, {0x18, 0x01}, {0x61, 0xff},
}

// spoil changes some bytes: flips, cuts, doubles, inserts.
func spoil(r *mathrand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return []byte{byte(r.IntN(256))}
		}
		at := r.IntN(len(b))
		switch r.IntN(8) {
		case 0, 1, 2:
			b[at] ^= 1 << r.IntN(8)
		case 3:
			b[at] = byte(r.IntN(256))
		case 4:
			b = slices.Delete(b, at, min(len(b), at+1+r.IntN(4)))
		case 5:
			end := min(len(b), at+1+r.IntN(16))
			b = slices.Insert(b, at, bytes.Clone(b[at:end])...)
		case 6:
			b = slices.Insert(b, at, heads[r.IntN(len(heads))]...)
		default:
			b = b[:max(1, at)]
		}
	}
	if utf8.Valid(b) && r.IntN(20) == 0 {
		return bytes.ToLower(b)
	}
	return b
}
