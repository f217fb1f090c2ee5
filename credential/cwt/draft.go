package cwt

import "strings"

// What draft-ietf-spice-sd-cwt-08 asks IANA for, all of it in this file. The numbers
// are early assignments or requests; when the RFC comes, look here.
const (
	claimVCT = 11 // vct, section 17.4.1; read only, since its type is still disputed

	headerDisclosures = 17  // sd_claims, section 17.1.1
	headerHash        = 170 // sd_alg, section 17.1.2
	headerSealed      = 171 // sd_aead_encrypted_claims, section 17.1.3; refused

	typSDCWT      = 293 // application/sd-cwt as a content format, section 17.7
	typKeyBinding = 294 // application/kb+cwt as a content format, section 17.7

	simpleRedacted  = 59 // the key of a map under which digests stand, section 17.2
	tagToBeRedacted = 58 // section 17.3.1; only before a token is issued
	tagRedacted     = 60 // a digest in the place of an element, section 17.3.2
	tagToBeDecoy    = 62 // section 17.3.3; only before a token is issued
)

// What others registered and these tokens need.
const (
	headerKCWT   = 13 // kcwt: the token whose key signed, RFC 9528 section 9.6
	headerClaims = 15 // CWT claims in a header, RFC 9597; refused here
	claimSubject = 2  // sub, RFC 8392 section 3.1.2; read only
	claimTokenID = 7  // cti, RFC 8392 section 3.1.7; read only
	claimNonce   = 39 // cnonce, RFC 9200 section 5.3.1

	algSHA256 = -16 // RFC 9054
)

// isSDCWT reports whether a typ says that the token is an SD-CWT (section 5).
func isSDCWT(typ any) bool {
	switch typ := typ.(type) {
	case int64:
		return typ == typSDCWT
	case string:
		typ = strings.ToLower(typ)
		return typ == "application/sd-cwt" || strings.HasPrefix(typ, "application/") && strings.HasSuffix(typ, "+sd-cwt")
	}
	return false
}

// isKeyBinding reports whether a typ says that the token is a key-binding token
// (section 8.1).
func isKeyBinding(typ any) bool {
	switch typ := typ.(type) {
	case int64:
		return typ == typKeyBinding
	case string:
		return strings.EqualFold(typ, "application/kb+cwt")
	}
	return false
}

// plainClaims are the claims that no holder may leave out: those of section 7 table
// 2, and those that decide which rules hold and whether the credential was revoked.
var plainClaims = map[int64]bool{
	ClaimIssuer: true, ClaimAudience: true, ClaimExpires: true, ClaimNotBefore: true, ClaimIssuedAt: true, claimTokenID: true,
	ClaimConfirmation: true, claimNonce: true, claimVCT: true, ClaimStatus: true, ClaimType: true,
}

// digestSize is that of SHA-256, the one hash that we take and the default of the
// draft.
const digestSize = 32
