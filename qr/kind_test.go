package qr_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/qr"
)

func TestRecognise(t *testing.T) {
	proof, err := qr.Encode([]byte("any message"))
	if err != nil {
		t.Fatal(err)
	}
	jwt := "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UifQ.c2lnbmF0dXJl"
	tests := []struct {
		name string
		text string
		want qr.Kind
	}{
		{"ours", proof, qr.Proof},
		{"ours, with a line end", proof + "\n", qr.Proof},
		{"stream at level 0", "V7FV50U50UAW00010", qr.Proof},
		{"health certificate", "HC1:" + proof, qr.HealthCert},
		{"health certificate of version 2", "HC2:" + proof, qr.OtherHealthPass},
		{"health certificate of a letter", "HCX:" + proof, qr.OtherHealthPass},
		{"Dutch domestic pass", "NL2:" + proof, qr.OtherHealthPass},
		{"New Zealand pass", "NZCP:/1/2KCEVIQEIVVWK6JNGEASNICZAEP2KALYDZSGSZB2O5SWEOTOPJRXALTDN53GSZBRHEXGQZLBNR2GQLTO", qr.OtherHealthPass},
		{"smart health card", "shc:/56762909524320603460292437404460", qr.SmartHealthCard},
		{"part of a smart health card", "shc:/1/2/567629095243206", qr.SmartHealthCard},
		{"mobile document", "mdoc:owBjMS4wAYIB2BhYS6QBAiABIVgg", qr.MDocEngagement},
		{"presentation request", "openid4vp://?client_id=x509_san_dns%3Averifier.example&request_uri=https%3A%2F%2Fv.example", qr.OpenID4VPRequest},
		{"presentation request, high assurance", "haip://?request_uri=https%3A%2F%2Fv.example", qr.OpenID4VPRequest},
		{"presentation request in capitals", "OPENID4VP://?CLIENT_ID=X", qr.OpenID4VPRequest},
		{"credential offer", "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fi.example", qr.CredentialOffer},
		{"barcode credential", "VC1-RSJDTHVTRFQH", qr.VCBarcode},
		{"ICAO seal", `{"data":{"hdr":{"is":"UTO","t":"icao.test","v":1},"msg":{}},"sig":{"alg":"ES256"}}`, qr.VDSNC},
		{"ICAO seal without signature", `{"data":{"hdr":{"is":"UTO","t":"icao.test","v":1},"msg":{}}}`, qr.JSONDoc},
		{"JSON object", ` {"a": 1}`, qr.JSONDoc},
		{"JSON array", `[1, 2]`, qr.JSONDoc},
		{"JSON with another member of that name", `{"data": 5}`, qr.JSONDoc},
		{"half of a JSON object", `{"a": `, qr.Unknown},
		{"Aadhaar", "6" + strings.Repeat("0123456789", 200), qr.Aadhaar},
		{"short number", "0123456789", qr.Unknown},
		{"JWT", jwt, qr.JWT},
		{"encrypted JWT", "eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn", qr.JWT},
		{"SD-JWT", jwt + "~WyJzYWx0IiwiYSIsMV0~", qr.SDJWT},
		{"SD-JWT with a key binding", jwt + "~WyJzYWx0IiwiYSIsMV0~" + jwt, qr.SDJWT},
		{"almost a JWT", "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UifQ", qr.Unknown},
		{"JWT with a line end within", "eyJhbGciOiJFUzI1NiJ9.eyJp\nc3MiOiJqb2UifQ.c2lnbmF0dXJl", qr.Unknown},
		{"QR-03 web address", "https://example.org/verify?c=" + proof, qr.WebLink},
		{"QR-03 web address in capitals", "HTTPS://EXAMPLE.ORG/A", qr.WebLink},
		{"QR-03 phone number", "tel:+15551234567", qr.OtherLink},
		{"QR-03 message", "SMSTO:+15551234567:hello", qr.OtherLink},
		{"QR-03 e-mail", "mailto:a@example.org", qr.OtherLink},
		{"QR-03 network", "WIFI:S:name;T:WPA;P:secret;;", qr.OtherLink},
		{"QR-03 wallet of another kind", "bitcoin:175tWpb8K1S7NmH4Zx6rewF9WQrcZv245W", qr.OtherLink},
		{"QR-03 app of some wallet", "some-wallet://open?x=1", qr.OtherLink},
		{"QR-03 script", "javascript:alert(1)", qr.OtherLink},
		{"QR-02 known prefix, wrong body", "HC1:HELLO WORLD", qr.Unknown},
		{"QR-02 known prefix, no body", "HC1:", qr.Unknown},
		{"QR-02 known prefix, damaged body", "HC1:" + proof[:10] + "é" + proof[11:], qr.Unknown},
		{"QR-02 another country's prefix", "HL0:" + proof, qr.Unknown},
		{"QR-02 prefix in small letters", "hc1:" + proof, qr.Unknown},
		{"QR-02 prefix in mixed case", "Hc1:" + proof, qr.Unknown},
		{"QR-02 body in small letters", "HC1:" + strings.ToLower(proof), qr.Unknown},
		{"ours in small letters", strings.ToLower(proof), qr.Unknown},
		{"Base45 of something else", "%69 VD92EX0", qr.Unknown},
		{"Base45 with a preset dictionary", qr.EncodeBase45([]byte{0x78, 0xbb, 1, 2, 3, 4}), qr.Unknown},
		{"words", "hello", qr.Unknown},
		{"sentence with a colon", "note: call back", qr.Unknown},
		{"nothing", "", qr.Unknown},
		{"space", " \n", qr.Unknown},
		{"zero bytes", "\x00\x00\x00", qr.Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := qr.Recognise(tt.text)
			if got != tt.want {
				t.Errorf("Recognise: %s, want %s", got, tt.want)
			}
			if got.Readable() != (tt.want == qr.Proof || tt.want == qr.HealthCert) {
				t.Errorf("%s is readable: %v", got, got.Readable())
			}
		})
	}
}

func TestKindsAreDistinct(t *testing.T) {
	kinds := qr.Kinds()
	slices.Sort(kinds)
	if n := len(slices.Compact(kinds)); n != 16 || n != len(qr.Kinds()) {
		t.Errorf("%d different kinds of %d", n, len(qr.Kinds()))
	}
}

func TestChoose(t *testing.T) {
	const help = "https://check.example/"
	for _, tt := range []struct {
		name    string
		codes   []string
		text    string
		ignored int
		ok      bool
	}{
		{"one code", []string{help}, help, 0, true},
		{"a certificate beside its help", []string{help, "HC1:6BF"}, "HC1:6BF", 1, true},
		{"two certificates", []string{"HC1:6BF", help, "HC1:NCF"}, "", 0, false},
		{"two of no use", []string{help, "hello"}, "", 1, false},
		{"none", nil, "", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if text, ignored, ok := qr.Choose(tt.codes); text != tt.text || ok != tt.ok || ok && ignored != tt.ignored {
				t.Errorf("choose: %q, %d, %v", text, ignored, ok)
			}
		})
	}
}
