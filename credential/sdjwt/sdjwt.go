// Package sdjwt issues, presents and verifies SD-JWT VCs: credentials as signed
// JSON of which the holder shows what is needed (SD-JWT, RFC 9901, with the profile
// of draft-ietf-oauth-sd-jwt-vc-19).
//
// An issuer starts with [NewDraft], whose [Draft.Hash] it stores before
// [Draft.Sign], and compares what came out with [Check]. A wallet looks at what it
// has with [Parse], chooses with [Present] and proves itself with [Bind]. A verifier
// needs [Verify]. [Parse] proves nothing. What the owner of a type says about it is
// read with [ResolveType].
//
// Rules that are stated nowhere else:
//
//   - Whether the holder must prove its key is the verifier's decision, made in
//     [Expect] before anything is read. A proof that was not asked for is refused, too.
//   - A digest may occur once, a disclosure once, and each disclosure must belong to a
//     digest; what stays undisclosed leaves no trace in the result.
//   - iss, vct, vct#integrity, cnf, status, exp and nbf, and what is inside of
//     them, may not be disclosures.
//   - An array slot with other members beside "..." and an _sd_alg below the top
//     level are refused, although RFC 9901 only forbids issuers to write them.
//   - A kid that has the form of a [keys.ID] is a hint; any other is none, and all
//     keys of the issuer are tried.
//
// Left to others: which keys to trust (package trust, through [IssuerKeys]),
// whether the credential was revoked (package credential/status), rights and the
// verdict (package verification), and how bytes travel.
//
// Input over 128 KiB, of more than 512 disclosures or 4096 values, or nested deeper
// than 16 is refused before it is used.
package sdjwt

import (
	"errors"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
)

// Types of tokens.
const (
	// Typ is the typ of an SD-JWT VC.
	Typ = "dc+sd-jwt"
	// OldTyp is the one of drafts before November 2024. It is read where the
	// verifier says so and never written.
	OldTyp = "vc+sd-jwt"
	// BindingTyp is the typ of a key-binding JWT (RFC 9901 section 4.3).
	BindingTyp = "kb+jwt"
)

// Limits on what is read.
const (
	// MaxSize is the most bytes of an SD-JWT with all that belongs to it.
	MaxSize = 128 << 10
	// MaxDisclosures is the most disclosures of one.
	MaxDisclosures = 512
	// maxDepth is how deep claims may nest, disclosures included.
	maxDepth = 16
	// maxBinding is the most bytes of a key-binding JWT.
	maxBinding = 16 << 10
)

// limits bound the values of payload and disclosures together.
var limits = strict.Limits{Bytes: MaxSize, Depth: maxDepth, Items: 1 << 12}

// Names that RFC 9901 section 4 keeps for itself.
const (
	nameDigests   = "_sd"
	nameAlgorithm = "_sd_alg"
	nameSlot      = "..."
)

// plainClaims are those that must not be disclosures (SD-JWT VC,
// registered claims).
var plainClaims = []string{"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"}

func malformed(format string, args ...any) error {
	return credential.Reject(credential.Malformed, format, args...)
}

// reject turns an error of the layers below into a refusal.
func reject(err error) error {
	if _, ok := errors.AsType[*credential.RejectedError](err); ok {
		return err
	}
	reason := credential.Malformed
	switch {
	case errors.Is(err, jose.ErrTooLarge), errors.Is(err, strict.ErrTooLarge):
		reason = credential.TooLarge
	case errors.Is(err, jose.ErrEncrypted):
		reason = credential.Encrypted
	case errors.Is(err, jose.ErrUnsigned):
		reason = credential.Unsigned
	}
	return credential.Reject(reason, "%v", err)
}
