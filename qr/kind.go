package qr

import (
	"encoding/json"
	"slices"
	"strings"
)

// A Kind is what the text of a code is. Its words are stable: reports carry them
// and catalogues of messages name them.
type Kind string

// The kinds that Recognise tells apart.
const (
	// Proof is the text of a Sanad certificate or of any Claim 169 code.
	Proof Kind = "proof"
	// HealthCert is an EU or WHO health certificate, "HC1:".
	HealthCert Kind = "health_certificate"
	// OtherHealthPass is another country's or another version's: "HC2:",
	// "NL2:", "NZCP:/".
	OtherHealthPass Kind = "other_health_pass"
	// SmartHealthCard is "shc:/" or a part of one.
	SmartHealthCard Kind = "smart_health_card"
	// MDocEngagement opens a session with a mobile document, "mdoc:".
	MDocEngagement Kind = "mdoc_engagement"
	// OpenID4VPRequest asks a wallet for credentials (OpenID4VP).
	OpenID4VPRequest Kind = "presentation_request"
	// CredentialOffer offers a credential to a wallet (OpenID4VCI).
	CredentialOffer Kind = "credential_offer"
	// VCBarcode is a W3C verifiable credential barcode, "VC1-R".
	VCBarcode Kind = "vc_barcode"
	// VDSNC is an ICAO visible digital seal for non-constrained environments.
	VDSNC Kind = "vds_nc"
	// Aadhaar is the secure code of an Indian Aadhaar card: one long number.
	Aadhaar Kind = "aadhaar"
	// WebLink is an address of the web.
	WebLink Kind = "web_link"
	// OtherLink is any other link: a phone number, an e-mail, a network, an app.
	OtherLink Kind = "other_link"
	// SDJWT is a selectively disclosable JWT.
	SDJWT Kind = "sd_jwt"
	// JWT is a signed or encrypted JSON Web Token in compact form.
	JWT Kind = "jwt"
	// JSONDoc is a JSON text of no kind we know.
	JSONDoc Kind = "json"
	// Unknown is everything else, damaged codes of the other kinds included.
	Unknown Kind = "unknown"
)

// Readable reports whether [Decode] can open this kind.
func (k Kind) Readable() bool { return k == Proof || k == HealthCert }

// Kinds is every kind, for the tests that keep catalogues complete.
func Kinds() []Kind {
	return []Kind{
		Proof, HealthCert, OtherHealthPass, SmartHealthCard, MDocEngagement, OpenID4VPRequest, CredentialOffer,
		VCBarcode, VDSNC, Aadhaar, WebLink, OtherLink, SDJWT, JWT, JSONDoc, Unknown,
	}
}

// schemes are the links that have a kind of their own. RFC 3986 section 3.1
// makes schemes case-insensitive, and codes in alphanumeric mode do write them in
// capitals.
var schemes = []struct {
	prefix string
	kind   Kind
}{
	{"shc:/", SmartHealthCard},
	{"mdoc:", MDocEngagement},
	{"openid4vp:", OpenID4VPRequest},
	{"haip:", OpenID4VPRequest},
	{"haip-vp:", OpenID4VPRequest},
	{"eudi-openid4vp:", OpenID4VPRequest},
	{"mdoc-openid4vp:", OpenID4VPRequest},
	{"openid:", OpenID4VPRequest},
	{"openid-credential-offer:", CredentialOffer},
	{"haip-vci:", CredentialOffer},
	{"http://", WebLink},
	{"https://", WebLink},
}

// Recognise tells what the text of a code is from its form alone. It decodes,
// opens and checks nothing.
//
// Prefixes of signed texts ("HC1:", "VC1-R") are matched as they are written,
// with capitals, and a readable kind is named only if what follows can be one:
// "hc1:…" and "HC1:hello" are [Unknown]. A web address is a [WebLink] even if it
// has a signed text in its query.
func Recognise(text string) Kind {
	text = trim(text)
	if body, ok := strings.CutPrefix(text, healthPrefix); ok {
		if packed(body) {
			return HealthCert
		}
		return Unknown
	}
	if packed(text) {
		return Proof
	}
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return Unknown
	case strings.HasPrefix(text, "NZCP:/"), versioned(text, "HC"), versioned(text, "NL"):
		return OtherHealthPass
	case strings.HasPrefix(text, "VC1-R"):
		return VCBarcode
	case text[0] == '{' || text[0] == '[':
		return jsonKind(text)
	case len(text) >= 200 && strings.Trim(text, "0123456789") == "":
		return Aadhaar
	}
	for _, s := range schemes {
		if len(text) >= len(s.prefix) && strings.EqualFold(text[:len(s.prefix)], s.prefix) {
			return s.kind
		}
	}
	if k := tokenKind(text); k != Unknown {
		return k
	}
	if link(text) {
		return OtherLink
	}
	return Unknown
}

// packed reports whether text can be Base45 of a zlib stream: only characters
// of the alphabet, and first bytes that are 0x78 and a check byte without preset
// dictionary (RFC 1950 section 2.2).
func packed(text string) bool {
	if len(text) < 3 || len(text)%3 == 1 {
		return false
	}
	var head [2]byte
	b, err := appendFromBase45(head[:0], text[:3])
	if err != nil || b[0] != 0x78 || (uint(b[0])<<8|uint(b[1]))%31 != 0 || b[1]&0x20 != 0 {
		return false
	}
	for i := range len(text) {
		if digits[text[i]] == 255 {
			return false
		}
	}
	return true
}

// versioned reports whether text is a prefix, one digit or capital and a colon.
func versioned(text, prefix string) bool {
	n := len(prefix)
	return len(text) > n+1 && text[:n] == prefix && text[n+1] == ':' && (text[n] >= '0' && text[n] <= '9' || text[n] >= 'A' && text[n] <= 'Z')
}

func jsonKind(text string) Kind {
	if len(text) > 4*MaxText || !json.Valid([]byte(text)) {
		return Unknown
	}
	var seal struct {
		Data struct {
			Header struct {
				Type string `json:"t"`
			} `json:"hdr"`
		} `json:"data"`
		Signature json.RawMessage `json:"sig"`
	}
	if json.Unmarshal([]byte(text), &seal) == nil && strings.HasPrefix(seal.Data.Header.Type, "icao.") && seal.Signature != nil {
		return VDSNC
	}
	return JSONDoc
}

// tokenKind tells JWTs by their first part, which is base64url of a JSON object
// and therefore begins with "ey", and by the number of parts.
func tokenKind(text string) Kind {
	const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	token, disclosures, selective := strings.Cut(text, "~")
	dots := strings.Count(token, ".")
	if !strings.HasPrefix(token, "ey") || dots != 2 && dots != 4 || strings.Trim(token, base64url+".") != "" {
		return Unknown
	}
	if strings.Trim(disclosures, base64url+".~") != "" {
		return Unknown
	}
	if selective {
		return SDJWT
	}
	return JWT
}

// plainSchemes are links without "//" that codes carry.
var plainSchemes = []string{
	"tel", "sms", "smsto", "mms", "mmsto", "mailto", "matmsg", "geo", "wifi", "mecard", "begin", "data", "javascript", "urn", "did",
	"bitcoin", "ethereum", "lightning", "whatsapp", "skype", "facetime", "market", "upi", "fido", "otpauth", "dpp",
}

// link reports whether text is a link: any scheme of letters, digits, "+", "-"
// and "." (RFC 3986 section 3.1) before "://", or one of plainSchemes.
func link(text string) bool {
	scheme, rest, ok := strings.Cut(strings.ToLower(text), ":")
	if !ok || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.") != "" {
		return false
	}
	return slices.Contains(plainSchemes, scheme) || scheme != "" && strings.HasPrefix(rest, "//")
}

// Choose takes the code that can be checked out of the texts of all codes in one picture,
// and tells how many were left aside. A certificate has a second code beside it that
// leads to a page of help; two that can be checked are one too many, since nobody could
// say which of them a verdict is about. A single code is taken whatever it is.
func Choose(codes []string) (text string, ignored int, ok bool) {
	if len(codes) == 1 {
		return codes[0], 0, true
	}
	for _, c := range codes {
		if !Recognise(c).Readable() {
			continue
		}
		if ok {
			return "", 0, false
		}
		text, ok = c, true
	}
	return text, max(0, len(codes)-1), ok
}
