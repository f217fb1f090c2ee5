// Package cwt issues and verifies credentials as CBOR Web Tokens (RFC 8392) in
// COSE_Sign1 (RFC 9052): the form that fits a printed code. A person is
// described by the identity-data map of Claim 169 (MOSIP Claim 169 specification
// 1.2), everything else by an integer-keyed map of the credential type.
//
// An issuer starts with [NewDraft], whose [Draft.Hash] it stores before
// [Draft.Sign], and compares what came out with [Check]. A verifier needs
// [Verify], which also reads the EU and WHO health certificate (HCERT, claim
// -260). [Parse] shows what a token says to people who look into one; it proves
// nothing.
//
// A token that names a holder's key is an SD-CWT as draft-ietf-spice-sd-cwt-08 has it
// (as of 16 May 2026; draft.go has every number that may still change). What is
// [Hidden] in it the holder may leave out: a wallet chooses with [Present] and signs
// with [Bind], which makes the key-binding token that a live code shows. A verifier
// asks for one with a [Question]. Where we differ from the draft: sub is not written,
// although section 7 asks for it, because a name that every verifier sees would link
// what is shown to them (tokens are read with and without); digests are SHA-256;
// claims in headers (RFC 9597) and encrypted disclosures are refused as what we
// cannot judge; and claims nest no deeper than 8, where the draft allows 16.
//
// Left to others: the text of a code (package qr), which keys to trust (package
// trust, through [IssuerKeys]), whether the credential was revoked (package
// credential/status), and dates, rights and the verdict (package verification).
//
// Tokens over 16 KiB or nested deeper than 8 are refused before they are
// decoded; all limits on what is issued stand in lint.go.
package cwt

import "github.com/sanad-id/sanad/internal/cbor"

// The claims that Sanad reads and writes. What has no number of its own in the
// IANA registry of CWT claims stands in the private range, below -65536.
const (
	ClaimIssuer       = 1      // iss, RFC 8392 section 3.1.1
	ClaimAudience     = 3      // aud, RFC 8392 section 3.1.3; read only
	ClaimExpires      = 4      // exp, RFC 8392 section 3.1.4
	ClaimNotBefore    = 5      // nbf, RFC 8392 section 3.1.5
	ClaimIssuedAt     = 6      // iat, RFC 8392 section 3.1.6
	ClaimConfirmation = 8      // cnf, RFC 8747 section 3.1
	ClaimPerson       = 169    // identity-data, registered for MOSIP Claim 169
	ClaimHCert        = -260   // hcert, registered for the EU health certificate; read only
	ClaimStatus       = 65535  // status, draft-ietf-oauth-status-list-20 section 6.3; the number is a request
	ClaimType         = -65537 // the type of the credential; private, until vct (11) of SD-CWT is registered
	ClaimFields       = -65538 // the fields of the type; private
)

// confirmationKey is the member of cnf that holds a COSE_Key (RFC 8747
// section 3.2).
const confirmationKey = 1

// limits bound a token and all that is in it.
var limits = cbor.Token
