package sdjwt_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

type obj = map[string]any

func TestVerifyFixture(t *testing.T) {
	f := goodFixture(t)
	v, err := f.verify()
	if err != nil {
		t.Fatal(err)
	}
	if v.Format != credential.FormatSDJWT || v.Issuer != issuerName || v.Type != vct || !v.IssuedAt.Equal(issuedAt) ||
		v.Status == nil || v.Status.Index != 77 || v.Holder == nil || !v.HolderProof.Equal(issuedAt) {
		t.Errorf("Verify: %+v", v)
	}
	want := []string{"family_name Mwangi", "given_name Juma", "list [plain]", "open yes"}
	for i, c := range v.Fields {
		if got := fmt.Sprint(c.Name, " ", c.Value); i >= len(want) || got != want[i] {
			t.Errorf("claim %d: %s", i, got)
		}
	}
	if len(v.Fields) != len(want) {
		t.Errorf("%d claims, want %d", len(v.Fields), len(want))
	}
}

// TestAnotherMechanism: one that stands beside the status list is noted (corpus ST-08).
func TestAnotherMechanism(t *testing.T) {
	for name, spoil := range map[string]func(*fixture){
		"":                  func(*fixture) {},
		"below status":      func(f *fixture) { f.payload["status"].(obj)["identifier_list"] = obj{} },
		"in a claim of its": func(f *fixture) { f.payload["credentialStatus"] = obj{"type": "BitstringStatusListEntry"} },
	} {
		f := goodFixture(t)
		spoil(f)
		v, err := f.verify()
		if err != nil || v.Status == nil || v.Status.Index != 77 || v.Status.Beside != (name != "") {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

// nested is n arrays around nothing.
func nested(n int) any {
	var v any = "x"
	for range n {
		v = []any{v}
	}
	return v
}

// TestVerifyRefuses spoils one thing at a time in a presentation that is good
// otherwise; everything is signed again after it was spoilt. The ids are those of
// the corpus, groups 3.1 to 3.4.
func TestVerifyRefuses(t *testing.T) {
	other := keystest.Signer(t, keys.Credential, keys.ES256, "somebody")
	holder2 := keystest.Signer(t, keys.Holder, keys.ES256, "holder 2")
	p384 := keystest.Key(t, keys.Credential, keys.ES384, "issuer").Public
	tests := []struct {
		id, name string
		spoil    func(*fixture)
		want     credential.Reason
	}{
		{"JWS-01", "alg none", func(f *fixture) { f.header["alg"] = "none" }, credential.Unsigned},
		{"JWS-01", "alg nOnE", func(f *fixture) { f.header["alg"] = "nOnE" }, credential.Unsigned},
		{"JWS-01", "no signature", func(f *fixture) {
			f.kb, f.want = nil, unbound(f.want)
			f.last = func(s string) string {
				jwt, rest, _ := strings.Cut(s, "~")
				return jwt[:strings.LastIndex(jwt, ".")+1] + "~" + rest
			}
		}, credential.Unsigned},
		{"JWS-01", "no signature, and an algorithm that is not the key's", func(f *fixture) {
			f.kb, f.want, f.header["alg"] = nil, unbound(f.want), "ES384"
			f.last = func(s string) string {
				jwt, rest, _ := strings.Cut(s, "~")
				return jwt[:strings.LastIndex(jwt, ".")+1] + "~" + rest
			}
		}, credential.Unsigned},
		{"JWS-02", "alg HS256", func(f *fixture) { f.header["alg"] = "HS256" }, credential.Malformed},
		{"JWS-03", "alg RS256 for an EC key", func(f *fixture) { f.header["alg"] = "RS256" }, credential.BadSignature},
		{"JWS-03", "ES256 and the issuer has a P-384 key", func(f *fixture) { f.want.Keys = anyKey{p384} }, credential.BadSignature},
		{"JWS-03", "alg RS256 and nobody knows the issuer", func(f *fixture) { f.header["alg"], f.want.Keys = "RS256", anyKey{} }, credential.UnsupportedAlgorithm},
		{"JWS-04", "own key in the header", func(f *fixture) {
			f.header["jwk"], f.issuer = jwk(t, other.Key().Public), other
		}, credential.Malformed},
		{"JWS-05", "jku", func(f *fixture) { f.header["jku"] = "https://127.0.0.1/" }, credential.Malformed},
		{"JWS-06", "kid of another issuer's key", func(f *fixture) { f.header["kid"] = other.Key().Public.ID().String() }, credential.UnknownIssuer},
		{"JWS-06", "kid that is a path", func(f *fixture) { f.header["kid"], f.issuer = "../../keys", other }, credential.BadSignature},
		{"JWS-06", "kid that is a query", func(f *fixture) { f.header["kid"], f.issuer = "' OR 1=1 --", other }, credential.BadSignature},
		{"JWS-06", "kid that is an address", func(f *fixture) { f.header["kid"], f.issuer = "https://127.0.0.1/key", other }, credential.BadSignature},
		{"JWS-06", "kid of 600 bytes", func(f *fixture) { f.header["kid"] = strings.Repeat("k", 600) }, credential.TooLarge},
		{"JWS-06", "a hint that fits nine keys", func(f *fixture) { f.want.Keys = many(t, 8, f.issuer) }, credential.UnknownIssuer},
		{"JWS-07", "crit", func(f *fixture) { f.header["crit"] = []any{"x"} }, credential.Malformed},
		{"JWS-07", "b64", func(f *fixture) { f.header["b64"] = false }, credential.Malformed},
		{"JWS-08", "a status list", func(f *fixture) { f.header["typ"] = "statuslist+jwt" }, credential.Malformed},
		{"JWS-08", "a proof in place of a credential", func(f *fixture) { f.header["typ"] = sdjwt.BindingTyp }, credential.Malformed},
		{"JWS-08", "a plain token", func(f *fixture) { f.last = func(s string) string { j, _, _ := strings.Cut(s, "~"); return j } }, credential.Malformed},
		{"JWS-09", "JSON serialisation", func(f *fixture) { f.last = func(string) string { return `{"payload":"e30","signatures":[]}` } }, credential.UnsupportedFormat},
		{"JWS-10", "140 KB", func(f *fixture) { f.last = func(s string) string { return s + strings.Repeat("x", 140<<10) } }, credential.TooLarge},
		{"JWS-10", "a header of 40 KB", func(f *fixture) { f.header["x"] = strings.Repeat("x", 40<<10) }, credential.TooLarge},
		{"JWS-15", "encrypted", func(f *fixture) {
			f.want = unbound(f.want)
			f.last = func(string) string { return "e30.AA.AA.AA.AA~" }
		}, credential.Encrypted},
		{"JWS-15", "a payload that is a list", func(f *fixture) { f.payload, f.disclosures = obj{"raw": raw("[]"), "_sd": []any{}}, nil }, credential.Malformed},
		{"JWS-10", "nothing", func(f *fixture) { f.last = func(string) string { return "" } }, credential.Malformed},
		{"JWS-10", "only ~", func(f *fixture) {
			f.want = unbound(f.want)
			f.last = func(string) string { return "~~~" }
		}, credential.Malformed},
		{"JWS-16", "expired this second", func(f *fixture) { f.want.Now = issuedAt.AddDate(3, 0, 0); f.kb["iat"] = f.want.Now.Unix() }, credential.Expired},
		{"JWS-16", "not yet valid", func(f *fixture) { f.payload["nbf"] = f.want.Now.Add(61 * time.Second).Unix() }, credential.NotYetValid},
		{"JWS-16", "issued ahead", func(f *fixture) { f.payload["iat"] = f.want.Now.Add(61 * time.Second).Unix() }, credential.IssuedInFuture},
		{"JWS-16", "expires before it is issued", func(f *fixture) { f.payload["exp"] = issuedAt.Unix() - 1 }, credential.Malformed},
		{"JWS-16", "expires when it is issued", func(f *fixture) {
			f.payload["exp"], f.want.LeaveDates = issuedAt.Unix(), true
		}, credential.Malformed},
		{"JWS-16", "expires before it begins", func(f *fixture) {
			f.payload["exp"], f.payload["nbf"] = f.want.Now.Add(30*time.Second).Unix(), f.want.Now.Add(31*time.Second).Unix()
		}, credential.Malformed},
		{"JWS-16", "expires when it begins", func(f *fixture) {
			f.payload["exp"], f.payload["nbf"] = f.want.Now.Add(30*time.Second).Unix(), f.want.Now.Add(30*time.Second).Unix()
		}, credential.Malformed},
		{"JWS-16", "exp a text", func(f *fixture) { f.payload["exp"] = "1900000000" }, credential.Malformed},
		{"JWS-16", "exp null", func(f *fixture) { f.payload["exp"] = nil }, credential.Malformed},
		{"JWS-16", "iat negative", func(f *fixture) { f.payload["iat"] = -1 }, credential.Malformed},
		{"JWS-17", "for another verifier", func(f *fixture) { f.payload["aud"] = "somebody" }, credential.UnsupportedFormat},
		{"JWS-17", "for others", func(f *fixture) { f.payload["aud"] = []any{"a", "b"} }, credential.UnsupportedFormat},
		{"JWS-17", "audience an object", func(f *fixture) { f.payload["aud"] = obj{"x": audience} }, credential.UnsupportedFormat},
		{"JWS-19", "names nobody", func(f *fixture) { f.payload["iss"], f.want.Keys = "", anyKey{f.issuer.Key().Public} }, credential.Malformed},
		{"JWS-19", "names another issuer", func(f *fixture) { f.payload["iss"] = "https://other.example" }, credential.UnknownIssuer},
		{"JWS-19", "signed by another issuer", func(f *fixture) { f.issuer = other }, credential.BadSignature},

		{"SIG-05", "private key in cnf", func(f *fixture) { f.payload["cnf"].(obj)["jwk"].(obj)["d"] = "AA" }, credential.Malformed},
		{"SIG-06", "symmetric key in cnf", func(f *fixture) { f.payload["cnf"] = obj{"jwk": obj{"kty": "oct", "k": "AA"}} }, credential.UnsupportedAlgorithm},
		{"SIG-06", "key in cnf off the curve", func(f *fixture) { f.payload["cnf"].(obj)["jwk"].(obj)["x"] = b64(make([]byte, 32)) }, credential.Malformed},
		{"SIG-07", "key in cnf for encryption", func(f *fixture) { f.payload["cnf"].(obj)["jwk"].(obj)["use"] = "enc" }, credential.Malformed},

		{"JSON-01", "vct twice", func(f *fixture) {
			f.payload = obj{"raw": raw(`{"vct":"` + vct + `","vct":"x","iss":"` + issuerName + `"}`)}
			f.disclosures = nil
		}, credential.Malformed},
		{"JSON-01", "a name twice inside a disclosure", func(f *fixture) {
			d := b64([]byte(`["s","x",{"a":1,"a":2}]`))
			f.disclosures = append(f.disclosures, d)
			f.digest(d)
		}, credential.Malformed},
		{"JSON-02", "VCT", func(f *fixture) { f.payload["VCT"] = vct; delete(f.payload, "vct") }, credential.Malformed},
		{"JSON-04", "bytes after a disclosure", func(f *fixture) {
			d := b64([]byte(`["s","y",1]]`))
			f.disclosures = append(f.disclosures, d)
			f.digest(d)
		}, credential.Malformed},
		{"JSON-04", "padded disclosure", func(f *fixture) {
			d := b64([]byte(`["s","xy",1]`)) + "="
			f.disclosures = append(f.disclosures, d)
			f.digest(d)
		}, credential.Malformed},

		{"SDJ-01", "value edited", func(f *fixture) {
			f.disclosures[0] = f.disclosure("salt given_name", "given_name", "Jomo")
		}, credential.Malformed},
		{"SDJ-01", "same value, other spelling", func(f *fixture) {
			f.disclosures[0] = b64([]byte(`["salt given_name", "given_name","Juma"]`))
		}, credential.Malformed},
		{"SDJ-02", "a disclosure without digest", func(f *fixture) {
			f.disclosures = append(f.disclosures, f.disclosure("s", "role", "admin"))
		}, credential.Malformed},
		{"SDJ-02", "a child without its parent", func(f *fixture) {
			child := f.disclosure("s", "ward", "Bahati")
			f.hide("address", obj{"_sd": []any{sdjwt.Digest("sha-256", child)}})
			f.disclosures[len(f.disclosures)-1] = child
		}, credential.Malformed},
		{"SDJ-03", "named _sd", func(f *fixture) { f.hide("_sd", []any{}) }, credential.Malformed},
		{"SDJ-03", "named ...", func(f *fixture) { f.hide("...", "x") }, credential.Malformed},
		{"SDJ-03", "named _sd_alg", func(f *fixture) { f.hide("_sd_alg", "sha-256") }, credential.Malformed},
		{"SDJ-04", "name of an open claim", func(f *fixture) { f.hide("open", "no") }, credential.Malformed},
		{"SDJ-04", "two disclosures for one name", func(f *fixture) {
			d := f.disclosure("another salt", "given_name", "Jomo")
			f.disclosures = append(f.disclosures, d)
			f.digest(d)
		}, credential.Malformed},
		{"SDJ-05", "two elements under _sd", func(f *fixture) {
			d := f.disclosure("s", "x")
			f.disclosures = append(f.disclosures, d)
			f.digest(d)
		}, credential.Malformed},
		{"SDJ-05", "three in an array slot", func(f *fixture) {
			d := f.disclosure("s", "x", "y")
			f.disclosures = append(f.disclosures, d)
			f.payload["list"] = []any{obj{"...": sdjwt.Digest("sha-256", d)}}
		}, credential.Malformed},
		{"SDJ-05", "no element", func(f *fixture) { f.first(f.disclosure()) }, credential.Malformed},
		{"SDJ-05", "one element", func(f *fixture) { f.first(f.disclosure("s")) }, credential.Malformed},
		{"SDJ-05", "four elements", func(f *fixture) { f.first(f.disclosure("s", "a", "b", "c")) }, credential.Malformed},
		{"SDJ-05", "no array", func(f *fixture) { f.first(b64([]byte(`{"a":"s","b":"name","c":"value"}`))) }, credential.Malformed},
		{"SDJ-05", "a text", func(f *fixture) { f.first(b64([]byte(`"abc"`))) }, credential.Malformed},
		{"SDJ-05", "null", func(f *fixture) { f.first(b64([]byte(`null`))) }, credential.Malformed},
		{"SDJ-05", "salt a number", func(f *fixture) { f.first(f.disclosure(1, "x", "y")) }, credential.Malformed},
		{"SDJ-05", "salt of an element null", func(f *fixture) {
			d := f.disclosure(nil, "y")
			f.disclosures = append(f.disclosures, d)
			f.payload["list"] = []any{obj{"...": sdjwt.Digest("sha-256", d)}}
		}, credential.Malformed},
		{"SDJ-05", "name a number", func(f *fixture) { f.first(f.disclosure("s", 1, "y")) }, credential.Malformed},
		{"SDJ-05", "an empty one", func(f *fixture) { f.first("") }, credential.Malformed},
		{"SDJ-06", "a digest twice", func(f *fixture) { f.digest(f.disclosures[0]) }, credential.Malformed},
		{"SDJ-06", "a digest again in an object", func(f *fixture) {
			f.payload["address"] = obj{"_sd": []any{sdjwt.Digest("sha-256", f.disclosures[0])}}
		}, credential.Malformed},
		{"SDJ-06", "a digest again in an array", func(f *fixture) {
			f.payload["list"] = []any{obj{"...": sdjwt.Digest("sha-256", f.disclosures[0])}}
		}, credential.Malformed},
		{"SDJ-06", "a digest again inside a disclosure", func(f *fixture) {
			f.hide("address", obj{"_sd": []any{sdjwt.Digest("sha-256", f.disclosures[0])}})
		}, credential.Malformed},
		{"SDJ-06", "a decoy twice", func(f *fixture) { f.digest("decoy"); f.digest("decoy") }, credential.Malformed},
		{"SDJ-07", "a disclosure twice", func(f *fixture) { f.disclosures = append(f.disclosures, f.disclosures[0]) }, credential.Malformed},
		{"SDJ-08", "a slot with other members", func(f *fixture) {
			f.payload["list"] = []any{obj{"...": "x", "y": 1}}
		}, credential.Malformed},
		{"SDJ-08", "a slot outside an array", func(f *fixture) { f.payload["slot"] = obj{"...": "x"} }, credential.Malformed},
		{"SDJ-08", "a slot at the top", func(f *fixture) { f.payload["..."] = "x" }, credential.Malformed},
		{"SDJ-08", "a slot that is no text", func(f *fixture) { f.payload["list"] = []any{obj{"...": 1}} }, credential.Malformed},
		{"SDJ-08", "_sd no array", func(f *fixture) { f.payload["o"] = obj{"_sd": "x"} }, credential.Malformed},
		{"SDJ-08", "_sd null", func(f *fixture) { f.payload["o"] = obj{"_sd": nil} }, credential.Malformed},
		{"SDJ-08", "_sd with a number", func(f *fixture) { f.payload["o"] = obj{"_sd": []any{1}} }, credential.Malformed},
		// With nothing disclosed, so that no digest is there to be wrong.
		{"SDJ-09", "_sd_alg unknown", func(f *fixture) { f.hash("sha-3000") }, credential.Malformed},
		{"SDJ-09", "_sd_alg cut short", func(f *fixture) { f.hash("sha-256-32") }, credential.Malformed},
		{"SDJ-09", "_sd_alg MD5", func(f *fixture) { f.hash("md5") }, credential.Malformed},
		{"SDJ-09", "_sd_alg SHA-1", func(f *fixture) { f.hash("sha-1") }, credential.Malformed},
		{"SDJ-09", "_sd_alg in capitals", func(f *fixture) { f.hash("SHA-256") }, credential.Malformed},
		{"SDJ-09", "_sd_alg in other letters", func(f *fixture) { f.hash("sha256") }, credential.Malformed},
		{"SDJ-09", "_sd_alg empty", func(f *fixture) { f.hash("") }, credential.Malformed},
		{"SDJ-09", "_sd_alg null", func(f *fixture) { f.hash(nil) }, credential.Malformed},
		{"SDJ-09", "_sd_alg unknown, and the digests of the longest that we have", func(f *fixture) {
			rehash(f, "sha-512")
			f.payload["_sd_alg"], f.last = "sha-3000", func(s string) string { return s }
		}, credential.Malformed},
		{"SDJ-09", "_sd_alg of another hash than used", func(f *fixture) { f.payload["_sd_alg"] = "sha-512" }, credential.Malformed},
		{"SDJ-09", "_sd_alg below the top", func(f *fixture) { f.payload["o"] = obj{"_sd_alg": "sha-256"} }, credential.Malformed},
		{"SDJ-09", "_sd_alg in a disclosure", func(f *fixture) { f.hide("o", obj{"_sd_alg": "sha-256"}) }, credential.Malformed},
		{"SDJ-10", "513 disclosures", func(f *fixture) {
			for i := range 511 {
				f.hide(fmt.Sprint("c", i), i)
			}
		}, credential.TooLarge},
		{"SDJ-10", "more values than allowed", func(f *fixture) { f.payload["x"] = slices.Repeat([]any{1}, 4096) }, credential.TooLarge},
		{"SDJ-10", "more values than allowed, over several disclosures", func(f *fixture) {
			f.hide("x", slices.Repeat([]any{1}, 2100))
			f.hide("y", slices.Repeat([]any{1}, 2100))
		}, credential.TooLarge},
		{"SDJ-10", "17 levels", func(f *fixture) { f.payload["deep"] = nested(16) }, credential.TooLarge},
		{"SDJ-10", "levels over disclosures", func(f *fixture) {
			var inner any = "x"
			for i := range 20 {
				d := f.disclosure(fmt.Sprint("s", i), "c", inner)
				f.disclosures = append(f.disclosures, d)
				inner = obj{"_sd": []any{sdjwt.Digest("sha-256", d)}}
			}
			f.payload["deep"] = inner
		}, credential.TooLarge},
		{"SDJ-11", "a proof where none is wanted", func(f *fixture) { f.want = unbound(f.want) }, credential.Malformed},
		{"SDJ-12", "vc+sd-jwt", func(f *fixture) { f.header["typ"] = sdjwt.OldTyp }, credential.Malformed},
		{"SDJ-12", "no typ", func(f *fixture) { delete(f.header, "typ") }, credential.Malformed},
		{"SDJ-12", "no vct", func(f *fixture) { delete(f.payload, "vct") }, credential.Malformed},
		{"SDJ-12", "vct a list", func(f *fixture) { f.payload["vct"] = []any{vct} }, credential.Malformed},
		{"SDJ-12", "vct empty", func(f *fixture) { f.payload["vct"] = "" }, credential.Malformed},
		{"SDJ-14", "vct#integrity a number", func(f *fixture) { f.payload["vct#integrity"] = 1 }, credential.Malformed},

		{"KB-01", "proof removed", func(f *fixture) { f.kb = nil }, credential.HolderProofMissing},
		{"KB-01", "proof removed, and the holder's key too", func(f *fixture) { f.kb = nil; delete(f.payload, "cnf") }, credential.HolderProofMissing},
		{"KB-02", "nonce of another request", func(f *fixture) { f.kb["nonce"] = "n-2" }, credential.WrongNonce},
		{"KB-02", "no nonce", func(f *fixture) { delete(f.kb, "nonce") }, credential.WrongNonce},
		{"KB-02", "nonce a number", func(f *fixture) { f.kb["nonce"] = 1 }, credential.WrongNonce},
		{"KB-02", "for another verifier", func(f *fixture) { f.kb["aud"] = "x509_hash:other" }, credential.WrongAudience},
		{"KB-03", "a disclosure removed after", func(f *fixture) {
			f.last = func(s string) string { return strings.Replace(s, f.disclosures[0]+"~", "", 1) }
		}, credential.HolderProofBad},
		{"KB-03", "a disclosure added after", func(f *fixture) {
			late := f.hide("late", "x")
			f.kb["sd_hash"] = sdjwt.Digest("sha-256", strings.Replace(f.text()[:strings.LastIndex(f.text(), "~")+1], late+"~", "", 1))
		}, credential.HolderProofBad},
		{"KB-03", "disclosures in another order", func(f *fixture) {
			f.last = func(s string) string {
				a, b := f.disclosures[0], f.disclosures[1]
				return strings.Replace(s, a+"~"+b+"~", b+"~"+a+"~", 1)
			}
		}, credential.HolderProofBad},
		{"KB-03", "no sd_hash", func(f *fixture) { f.kb["sd_hash"] = nil }, credential.HolderProofBad},
		{"KB-04", "another key than cnf", func(f *fixture) { f.holder = holder2 }, credential.HolderProofBad},
		{"KB-04", "the issuer's key", func(f *fixture) { f.holder = f.issuer }, credential.HolderProofBad},
		{"KB-04", "no cnf", func(f *fixture) { delete(f.payload, "cnf") }, credential.HolderProofBad},
		{"KB-04", "cnf by reference", func(f *fixture) { f.payload["cnf"] = obj{"kid": "did:example:1#1"} }, credential.UnsupportedFormat},
		{"KB-04", "cnf by thumbprint", func(f *fixture) { f.payload["cnf"] = obj{"jkt": "x"} }, credential.UnsupportedFormat},
		{"KB-04", "cnf a text", func(f *fixture) { f.payload["cnf"] = "x" }, credential.Malformed},
		{"KB-04", "own key in the header", func(f *fixture) {
			f.holder, f.kbHeader["jwk"] = holder2, jwk(t, holder2.Key().Public)
		}, credential.HolderProofBad},
		{"KB-04", "cnf disclosed", func(f *fixture) {
			delete(f.payload, "cnf")
			f.hide("cnf", obj{"jwk": jwk(t, f.holder.Key().Public)})
		}, credential.Malformed},
		{"KB-04", "alg none", func(f *fixture) { f.kbHeader["alg"] = "none" }, credential.HolderProofBad},
		{"KB-04", "alg ES384", func(f *fixture) { f.kbHeader["alg"] = "ES384" }, credential.HolderProofBad},
		{"KB-04", "typ JWT", func(f *fixture) { f.kbHeader["typ"] = "JWT" }, credential.HolderProofBad},
		{"KB-04", "no typ", func(f *fixture) { delete(f.kbHeader, "typ") }, credential.HolderProofBad},
		{"KB-04", "aud twice", func(f *fixture) {
			f.kb = obj{"raw": raw(`{"aud":"x","aud":"` + audience + `","nonce":"` + nonce + `","iat":1794472200}`)}
		}, credential.HolderProofBad},
		{"KB-06", "a second too old", func(f *fixture) { f.kb["iat"] = f.want.Now.Add(-61 * time.Second).Unix() }, credential.HolderProofOld},
		{"KB-06", "in the future", func(f *fixture) { f.kb["iat"] = f.want.Now.Add(61 * time.Second).Unix() }, credential.HolderProofBad},
		{"KB-06", "no iat", func(f *fixture) { delete(f.kb, "iat") }, credential.HolderProofBad},
		{"KB-06", "expired", func(f *fixture) { f.kb["exp"] = f.want.Now.Unix() }, credential.HolderProofOld},
		{"KB-06", "not yet valid", func(f *fixture) { f.kb["nbf"] = f.want.Now.Add(2 * time.Minute).Unix() }, credential.HolderProofBad},
		{"KB-07", "aud a list", func(f *fixture) { f.kb["aud"] = []any{audience} }, credential.WrongAudience},
		{"KB-07", "aud without its prefix", func(f *fixture) { f.kb["aud"] = strings.TrimPrefix(audience, "x509_hash:") }, credential.WrongAudience},
		{"KB-07", "aud in other letters", func(f *fixture) { f.kb["aud"] = strings.ToUpper(audience) }, credential.WrongAudience},
		{"KB-07", "aud with a slash", func(f *fixture) { f.kb["aud"] = audience + "/" }, credential.WrongAudience},
		{"KB-07", "no aud", func(f *fixture) { delete(f.kb, "aud") }, credential.WrongAudience},

		{"ST-12", "a bitstring list, in a claim of its own", func(f *fixture) {
			delete(f.payload, "status")
			f.payload["credentialStatus"] = obj{"type": "BitstringStatusListEntry", "statusPurpose": "revocation", "statusListIndex": "7", "statusListCredential": "https://x"}
		}, credential.StatusUnsupported},
		{"ST-12", "a bitstring list, below status", func(f *fixture) {
			f.payload["status"] = obj{"type": "BitstringStatusListEntry", "statusPurpose": "suspension", "statusListIndex": "7", "statusListCredential": "https://x"}
		}, credential.StatusUnsupported},
		{"ST-08", "status empty", func(f *fixture) { f.payload["status"] = obj{} }, credential.StatusUnsupported},
		{"ST-08", "status unknown", func(f *fixture) { f.payload["status"] = obj{"other": 1} }, credential.StatusUnsupported},
		{"ST-08", "status a text", func(f *fixture) { f.payload["status"] = "x" }, credential.Malformed},
		{"ST-08", "status without index", func(f *fixture) { f.payload["status"] = obj{"status_list": obj{"uri": "https://x"}} }, credential.Malformed},
		{"ST-08", "status with a negative index", func(f *fixture) {
			f.payload["status"] = obj{"status_list": obj{"uri": "https://x", "idx": -1}}
		}, credential.Malformed},
		{"ST-08", "status with half an index", func(f *fixture) {
			f.payload["status"] = obj{"status_list": obj{"uri": "https://x", "idx": 0.5}}
		}, credential.Malformed},
		{"ST-08", "status disclosed", func(f *fixture) { delete(f.payload, "status"); f.hide("status", obj{}) }, credential.Malformed},
		{"ST-08", "status with an empty _sd", func(f *fixture) { f.payload["status"].(obj)["_sd"] = []any{} }, credential.Malformed},
		{"ST-08", "status with a hidden part", func(f *fixture) {
			f.payload["status"].(obj)["status_list"].(obj)["_sd"] = []any{"decoy"}
		}, credential.Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			f := goodFixture(t)
			tt.spoil(f)
			_, err := f.verify()
			rejected(t, err, tt.want)
		})
	}
	for _, name := range []string{"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"} {
		t.Run("SDJ-04 disclosed "+name, func(t *testing.T) {
			f := goodFixture(t)
			f.hide(name, "x")
			_, err := f.verify()
			rejected(t, err, credential.Malformed)
		})
	}
}

// first puts a disclosure in the place of the first, and its digest beside the others.
func (f *fixture) first(text string) { f.disclosures[0] = text; f.digest(text) }

// hash states an algorithm of the digests when nothing is disclosed.
func (f *fixture) hash(name any) {
	f.payload["_sd_alg"], f.disclosures, f.kb, f.want = name, nil, nil, unbound(f.want)
}

// many are n keys of strangers, and that of s behind them.
func many(t testing.TB, n int, s keys.Signer) anyKey {
	var all anyKey
	for i := range n {
		all = append(all, keystest.Key(t, keys.Credential, keys.ES256, fmt.Sprint("stranger ", i)).Public)
	}
	return append(all, s.Key().Public)
}

// unbound wants no proof by the holder.
func unbound(e sdjwt.Expect) sdjwt.Expect {
	e.Binding, e.Audience, e.Nonce, e.MaxAge = sdjwt.BindingRefused, "", "", 0
	return e
}

// TestVerifyTakes are the neighbours of the refusals: what is just about right.
func TestVerifyTakes(t *testing.T) {
	for name, change := range map[string]func(*fixture){
		"a second before it expires": func(f *fixture) {
			f.want.Now = issuedAt.AddDate(3, 0, 0).Add(-time.Second)
			f.kb["iat"] = f.want.Now.Unix()
		},
		"begins within the leeway":    func(f *fixture) { f.payload["nbf"] = f.want.Now.Add(time.Minute).Unix() },
		"issued within the leeway":    func(f *fixture) { f.payload["iat"] = f.want.Now.Add(time.Minute).Unix() },
		"proof as old as allowed":     func(f *fixture) { f.kb["iat"] = f.want.Now.Add(-time.Minute).Unix() },
		"proof within the leeway":     func(f *fixture) { f.kb["iat"] = f.want.Now.Add(time.Minute).Unix() },
		"proof with further claims":   func(f *fixture) { f.kb["transaction_data_hashes"] = []any{"x"} },
		"names us among others":       func(f *fixture) { f.payload["aud"] = []any{"x", audience} },
		"sha-384":                     func(f *fixture) { rehash(f, "sha-384") },
		"sha-512":                     func(f *fixture) { rehash(f, "sha-512") },
		"no _sd_alg":                  func(f *fixture) { delete(f.payload, "_sd_alg") },
		"a hint that fits eight keys": func(f *fixture) { f.want.Keys = many(t, 7, f.issuer) },
		"hidden below the top, and called like a claim of the top": func(f *fixture) {
			d := f.disclosure("s", "exp", "2030")
			f.disclosures = append(f.disclosures, d)
			f.payload["licence"] = obj{"status": obj{"_sd": []any{sdjwt.Digest("sha-256", d)}}}
		},
		"nothing disclosed":             func(f *fixture) { f.disclosures = nil },
		"decoys":                        func(f *fixture) { f.digest("decoy 1"); f.digest("decoy 2") },
		"an empty _sd below the top":    func(f *fixture) { f.payload["o"] = obj{"a": obj{"_sd": []any{}}, "b": []any{obj{"_sd": []any{}}}} },
		"an undisclosed slot":           func(f *fixture) { f.payload["list"] = []any{"a", obj{"...": "x"}} },
		"iat disclosed":                 func(f *fixture) { delete(f.payload, "iat"); f.hide("iat", issuedAt.Unix()) },
		"a kid that is none of our ids": func(f *fixture) { f.header["kid"] = "key-1" },
		"no kid":                        func(f *fixture) { delete(f.header, "kid") },
		"16 levels":                     func(f *fixture) { f.payload["deep"] = nested(14) },
		"512 disclosures": func(f *fixture) {
			for i := range 510 {
				f.hide(fmt.Sprint("c", i), i)
			}
		},
		"vc+sd-jwt where it is wanted": func(f *fixture) { f.header["typ"], f.want.OldType = sdjwt.OldTyp, true },
		"expired, where the caller judges": func(f *fixture) {
			f.want.Now, f.want.LeaveDates = issuedAt.AddDate(9, 0, 0), true
			f.kb["iat"] = f.want.Now.Unix()
		},
		"without a proof where none is asked":  func(f *fixture) { f.kb, f.want = nil, unbound(f.want) },
		"an unknown mechanism beside the list": func(f *fixture) { f.payload["status"].(obj)["other"] = obj{"x": 1} },
		"certificates that nobody asked for":   func(f *fixture) { f.header["x5c"] = []any{"AAAA"} },
	} {
		t.Run(name, func(t *testing.T) {
			f := goodFixture(t)
			change(f)
			v, err := f.verify()
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range v.Fields {
				if s := fmt.Sprint(c.Value); strings.Contains(s, "_sd") || strings.Contains(s, "...") || c.Name == "_sd" || c.Name == "_sd_alg" {
					t.Errorf("digests are left in claim %s", c.Name)
				}
			}
		})
	}
}

// rehash makes the digests of a fixture anew.
func rehash(f *fixture, name string) {
	f.payload["_sd_alg"], f.payload["_sd"] = name, []any{}
	for _, d := range f.disclosures {
		f.payload["_sd"] = append(f.payload["_sd"].([]any), sdjwt.Digest(name, d))
	}
	shown := f.token(f.issuer, f.header, f.payload) + "~" + strings.Join(f.disclosures, "~") + "~"
	f.kb["sd_hash"] = sdjwt.Digest(name, shown)
	f.last = func(s string) string { return shown + s[strings.LastIndex(s, "~")+1:] }
}

// TestForgottenExpectations is KB-05: nothing that a verifier must say has a
// default.
func TestForgottenExpectations(t *testing.T) {
	text := goodFixture(t).text()
	for name, forget := range map[string]func(*sdjwt.Expect){
		"keys":                     func(e *sdjwt.Expect) { e.Keys = nil },
		"now":                      func(e *sdjwt.Expect) { e.Now = time.Time{} },
		"binding":                  func(e *sdjwt.Expect) { e.Binding = 0 },
		"audience":                 func(e *sdjwt.Expect) { e.Audience = "" },
		"nonce":                    func(e *sdjwt.Expect) { e.Nonce = "" },
		"max age":                  func(e *sdjwt.Expect) { e.MaxAge = 0 },
		"refused, and yet a nonce": func(e *sdjwt.Expect) { e.Binding = sdjwt.BindingRefused },
		"everything of the proof":  func(e *sdjwt.Expect) { e.Binding, e.Audience, e.Nonce, e.MaxAge = 0, "", "", 0 },
		"a decision of no kind":    func(e *sdjwt.Expect) { e.Binding = sdjwt.BindingRefused + 1 },
	} {
		want := goodFixture(t).want
		forget(&want)
		v, err := sdjwt.Verify(text, want)
		if _, decided := err.(*credential.RejectedError); err == nil || decided {
			t.Errorf("KB-05 %s forgotten: %v, %v, want an error that is no decision", name, v, err)
		}
	}
}

// TestPresentAndBind shows some claims of a deep credential and proves it.
func TestPresentAndBind(t *testing.T) {
	issued := issue(t, goodToken(t))
	type row struct {
		choose []sdjwt.Path
		want   string
	}
	always := `"country":"XX"`
	for name, tt := range map[string]row{
		"nothing":         {nil, `{` + always + `,"crops":["beans"]}`},
		"one claim":       {[]sdjwt.Path{{"given_name"}}, `{` + always + `,"crops":["beans"],"given_name":"Juma"}`},
		"an open claim":   {[]sdjwt.Path{{"country"}}, `{` + always + `,"crops":["beans"]}`},
		"deep inside":     {[]sdjwt.Path{{"address", "point", "lat"}}, `{"address":{"point":{"lat":-0.25,"lon":36.5},"region":"Nakuru"},` + always + `,"crops":["beans"]}`},
		"an object whole": {[]sdjwt.Path{{"address"}}, `{"address":{"point":{"lat":-0.25,"lon":36.5},"region":"Nakuru","ward":"Bahati"},` + always + `,"crops":["beans"]}`},
		"an element":      {[]sdjwt.Path{{"crops", 0}}, `{` + always + `,"crops":["maize","beans"]}`},
		"each element":    {[]sdjwt.Path{{"crops", nil}}, `{` + always + `,"crops":["maize","beans",{"acres":2,"name":"tea"}]}`},
		"two at one time": {[]sdjwt.Path{{"address", "ward"}, {"family_name"}}, `{"address":{"region":"Nakuru","ward":"Bahati"},` + always + `,"crops":["beans"],"family_name":"Mwangi"}`},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := sdjwt.Present(issued, tt.choose...)
			if err != nil {
				t.Fatal(err)
			}
			bound, err := sdjwt.Bind(rand.Reader, p, sdjwt.Proof{Audience: audience, Nonce: nonce, IssuedAt: issuedAt}, holderSigner(t))
			if err != nil {
				t.Fatal(err)
			}
			v, err := sdjwt.Verify(bound, goodFixture(t).want)
			if err != nil {
				t.Fatal(err)
			}
			got := obj{}
			for _, c := range v.Fields {
				got[c.Name] = c.Value
			}
			if text := string((&fixture{t: t}).json(got)); text != tt.want {
				t.Errorf("got %s\nwant %s", text, tt.want)
			}
			if sdjwt.Unbound(bound) != p {
				t.Error("Unbound is not what was bound")
			}
		})
	}
	for name, path := range map[string]sdjwt.Path{
		"empty": {}, "no such claim": {"x"}, "no such element": {"crops", 3}, "below a text": {"given_name", "x"}, "into an element that is a text": {"crops", nil, "name"}, "negative": {"crops", -1}, "odd": {1.5},
	} {
		if p, err := sdjwt.Present(issued, path); err == nil {
			t.Errorf("%s: presented %d bytes", name, len(p))
		}
	}
}

func TestBindRefuses(t *testing.T) {
	issued := issue(t, goodToken(t))
	good := sdjwt.Proof{Audience: audience, Nonce: nonce, IssuedAt: issuedAt}
	bound, err := sdjwt.Bind(rand.Reader, issued, good, holderSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	free := goodToken(t)
	free.Holder = nil
	for name, tt := range map[string]struct {
		text  string
		proof sdjwt.Proof
		s     keys.Signer
	}{
		"bound already":      {bound, good, holderSigner(t)},
		"another key":        {issued, good, keystest.Signer(t, keys.Holder, keys.ES256, "x")},
		"a key of an issuer": {issued, good, keystest.Signer(t, keys.Credential, keys.ES256, "holder")},
		"bound to nobody":    {issue(t, free), good, holderSigner(t)},
		"no audience":        {issued, sdjwt.Proof{Nonce: nonce, IssuedAt: issuedAt}, holderSigner(t)},
		"no nonce":           {issued, sdjwt.Proof{Audience: audience, IssuedAt: issuedAt}, holderSigner(t)},
		"no time":            {issued, sdjwt.Proof{Audience: audience, Nonce: nonce}, holderSigner(t)},
		"nothing to present": {"", good, holderSigner(t)},
	} {
		if p, err := sdjwt.Bind(rand.Reader, tt.text, tt.proof, tt.s); err == nil {
			t.Errorf("%s: bound %d bytes", name, len(p))
		}
	}
	if p, err := sdjwt.Present(bound); err == nil {
		t.Errorf("presented what was bound already: %d bytes", len(p))
	}
	// SDJ-11: what an issuer hands out has no proof.
	if _, err := sdjwt.Verify(bound, unbound(goodFixture(t).want)); err == nil {
		t.Error("a credential with a proof was taken from an issuer")
	}
}
